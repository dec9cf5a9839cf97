//! A deployment tried out: whether it could be backed up, and what its user lacks. Nothing is read but lists and
//! statistics, and nothing is stored.

use std::collections::BTreeSet;

use serde::Serialize;

use super::before::{self, ROLE};
use super::settings::Options;
use crate::deployment::{
    Catalogue, ConnectOptions, ConnectionString, Deployment, Described, Privilege, Privileges,
};
use crate::error::{Error, Result};
use crate::members::Source;
use crate::progress::Warning;
use crate::waits::{Wait, Waits};

/// How many missing privileges are named.
const NAMED_MAX: usize = 100;

/// What was found of a deployment. It holds no secret.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Examination {
    /// Why it cannot be backed up as the options say; none: it can.
    pub problem: Option<Error>,
    /// What it is, and the member that would be read; none if nothing could be reached.
    pub source: Option<Source>,
    /// The user; none without access control.
    pub user: Option<String>,
    /// Databases with something to back up; none if they could not be listed.
    pub databases: Option<u64>,
    /// Collections and views to back up.
    pub collections: Option<u64>,
    /// Bytes of their documents, by the server's statistics. They count as 0 where the user may not see them.
    pub bytes: Option<u64>,
    /// What the user lacks, such as ``` `find` on `shop.orders` ```; the first hundred.
    pub missing: Vec<String>,
    /// How many more the user lacks.
    pub missing_more: u64,
    /// The command of mongosh that grants what is missing, to be run by an administrator.
    pub grant: Option<String>,
    /// What a person should know although it can be backed up.
    pub warnings: Vec<Warning>,
}

/// Connects, and looks at all that a backup with these options needs. Whatever fails is the examination's `problem`: what
/// was found before that is there. It takes as long as a connection and two first answers may take at most.
pub async fn examine(uri: &ConnectionString, options: &Options, waits: Waits) -> Examination {
    let mut found = Examination::default();
    let limits = ConnectOptions { lag_max: options.max_lag.duration(), waits };
    let connected = Deployment::connect_with(uri, &limits).await;
    let deployment = match connected {
        Ok(deployment) => deployment,
        Err(error) => return Examination { problem: Some(error), ..found },
    };
    found.source = Some(deployment.source().clone());
    found.warnings = deployment.warnings().to_vec();
    let member = format!("`{}`", deployment.source().member);
    let looked = waits.limit(Wait::FirstByte, member, found.look(&deployment, options)).await;
    found.problem = looked.err();
    deployment.close().await;
    found
}

impl Examination {
    async fn look(&mut self, deployment: &Deployment, options: &Options) -> Result<()> {
        let privileges = deployment.privileges().await?;
        let privileges = privileges.as_ref();
        self.user = privileges.map(|privileges| privileges.user().to_owned());
        self.warnings.extend(before::user_may_write(privileges));
        let topology = deployment.source().topology;
        let mut needed = before::needed_for_lists(&options.filter);
        let may_list = privileges.is_none_or(|user| user.lacks(&needed).next().is_none());
        needed.extend(before::needed_for_oplog(topology, options.consistency));
        // Before anything is listed, so that it is there if a list takes too long.
        self.note(privileges, &needed);
        if may_list {
            let Catalogue { namespaces, warnings } = deployment.namespaces(&options.filter).await?;
            self.warnings.extend(warnings);
            self.count(&namespaces);
            needed.extend(before::needed_for_collections(&namespaces));
            self.note(privileges, &needed);
            before::check_selection(&namespaces, options)?;
        }
        match privileges {
            Some(privileges) => privileges.require(&needed, ROLE),
            None => Ok(()),
        }
    }

    fn count(&mut self, namespaces: &[Described]) {
        let databases: BTreeSet<&str> = namespaces.iter().map(|found| found.db.as_str()).collect();
        self.databases = Some(databases.len() as u64);
        self.collections = Some(namespaces.len() as u64);
        self.bytes = Some(namespaces.iter().map(|found| found.bytes).sum());
    }

    fn note(&mut self, privileges: Option<&Privileges>, needed: &[Privilege]) {
        let Some(privileges) = privileges else { return };
        let mut missing = privileges.lacks(needed).map(ToString::to_string);
        self.missing = missing.by_ref().take(NAMED_MAX).collect();
        self.missing_more = missing.count() as u64;
        self.grant = (!self.missing.is_empty()).then(|| privileges.grant(ROLE));
    }
}
