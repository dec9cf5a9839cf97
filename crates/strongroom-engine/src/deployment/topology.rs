//! What the deployment is, and which member to read from.

use std::sync::Arc;

use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::options::{ReadPreference, SelectionCriteria};
use mongodb::{Client, Database};

use super::run;
use crate::error::{Code, Error, Result};
use crate::manifest::{ClusterTime, Source, Topology};

/// The member to read from.
pub(super) struct Member {
    pub(super) criteria: SelectionCriteria,
    pub(super) source: Source,
    pub(super) now: Option<ClusterTime>,
}

/// Chooses by the read preference that the connection string names, else a secondary before the primary.
/// With a `direct` connection the driver knows the one member by the name in the URI, not by the set's.
pub(super) async fn choose(
    client: &Client,
    wanted: Option<SelectionCriteria>,
    direct: bool,
) -> Result<Member> {
    let admin = client.database("admin");
    let asked = wanted.is_some();
    let criteria = wanted.unwrap_or_else(|| {
        SelectionCriteria::ReadPreference(ReadPreference::SecondaryPreferred { options: None })
    });
    let hello = run(&admin, doc! { "hello": 1 }, &criteria).await?;
    let topology = shape(&hello);
    let criteria = match (topology, hello.get_str("me")) {
        (Topology::ReplicaSet, Ok(me)) if !direct => pinned_to(me),
        _ => criteria,
    };
    let source = describe(&admin, &criteria, &hello, topology, asked).await?;
    let now = match topology {
        Topology::ReplicaSet => hello
            .get_timestamp("operationTime")
            .ok()
            .map(|t| ClusterTime { seconds: t.time, increment: t.increment }),
        Topology::Standalone | Topology::Sharded => None,
    };
    Ok(Member { criteria, source, now })
}

fn shape(hello: &Document) -> Topology {
    if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
        Topology::Sharded
    } else if hello.contains_key("setName") {
        Topology::ReplicaSet
    } else {
        Topology::Standalone
    }
}

/// Readers must all read the same member: record ids and moments belong to one.
fn pinned_to(me: &str) -> SelectionCriteria {
    let me = me.to_lowercase();
    SelectionCriteria::Predicate(Arc::new(move |server| server.address().to_string().to_lowercase() == me))
}

async fn describe(
    admin: &Database,
    criteria: &SelectionCriteria,
    hello: &Document,
    topology: Topology,
    asked: bool,
) -> Result<Source> {
    let build = run(admin, doc! { "buildInfo": 1 }, criteria).await?;
    let server_version = build
        .get_str("version")
        .map_err(|_| Error::new(Code::Mongo, "the server does not tell its version"))?
        .to_owned();
    let secondary = hello.get_bool("secondary").unwrap_or(false);
    let role = match topology {
        Topology::Standalone => "standalone",
        Topology::Sharded => "mongos",
        Topology::ReplicaSet if secondary => "secondary",
        Topology::ReplicaSet => "primary",
    };
    Ok(Source {
        topology,
        set_name: hello.get_str("setName").ok().map(str::to_owned),
        server_version,
        feature_compatibility_version: feature_compatibility_version(admin, criteria).await,
        member: hello.get_str("me").unwrap_or("the server in the URI").to_owned(),
        member_role: role.to_owned(),
        lag_seconds: if secondary { lag(admin, hello).await } else { None },
        member_reason: reason(role, asked).to_owned(),
    })
}

fn reason(role: &str, asked: bool) -> &'static str {
    match (role, asked) {
        (_, true) => "the URI's read preference chose it",
        ("secondary", false) => "a secondary, so that the primary is spared",
        ("primary", false) => "no secondary answered",
        (_, false) => "it is the only server",
    }
}

/// A user may lack the privilege `getParameter`: then it stays unknown, nothing depends on it.
async fn feature_compatibility_version(admin: &Database, criteria: &SelectionCriteria) -> Option<String> {
    let command = doc! { "getParameter": 1, "featureCompatibilityVersion": 1 };
    let answer = run(admin, command, criteria).await.ok()?;
    let version = answer.get_document("featureCompatibilityVersion").ok()?;
    version.get_str("version").ok().map(str::to_owned)
}

/// Seconds between the last writes of the primary and of the member that said `hello`.
async fn lag(admin: &Database, hello: &Document) -> Option<f64> {
    let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
    let primary = run(admin, doc! { "hello": 1 }, &primary).await.ok()?;
    let (ahead, behind) = (last_write(&primary)?, last_write(hello)?);
    let millis = ahead.timestamp_millis().saturating_sub(behind.timestamp_millis()).max(0);
    Some(std::time::Duration::from_millis(millis.unsigned_abs()).as_secs_f64())
}

fn last_write(hello: &Document) -> Option<DateTime> {
    match hello.get_document("lastWrite").ok()?.get("lastWriteDate")? {
        Bson::DateTime(at) => Some(*at),
        _ => None,
    }
}
