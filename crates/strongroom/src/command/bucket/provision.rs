//! `strongroom bucket provision`.

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use strongroom_engine::bucket::StoreOptions;
use strongroom_engine::bucket::admin::{Admin, Opened};
use strongroom_engine::guard::provision::{self, Applied, Change, Effect, NewKey, Plan};
use strongroom_engine::guard::{Settings, Trust};
use strongroom_engine::{Code, Error, Result, Waits};

use super::credentials;
use crate::cli::bucket::Provision;
use tokio_util::sync::CancellationToken;

use crate::command::{confirm, job};
use crate::output::Output;
use crate::words::count;

pub(crate) async fn run(options: &Provision, output: &Output, cancel: CancellationToken) -> Result<()> {
    let job = job(output, cancel, Waits::default());
    let (admin, plan) = job.unless_cancelled(prepare(options)).await?;
    if options.dry_run || plan.changes.is_empty() {
        return output.answer(&plan, &Text(&plan));
    }
    if !options.yes {
        output.remark(Text(&plan).to_string().trim_end());
        confirm("Make these changes?", "nothing was changed", output)?;
    }
    let applied = provision::apply(&admin, &plan, &job).await;
    let kept =
        options.write_profile.as_ref().map_or(Ok(()), |profile| credentials::write(profile, &applied.keys));
    let shown: &[NewKey] = if options.write_profile.is_some() && kept.is_ok() { &[] } else { &applied.keys };
    let answer = Answer::of(&plan, &applied, shown);
    output
        .answer(&answer, &Done { plan: &plan, answer: &answer, profile: options.write_profile.as_deref() })?;
    kept?;
    applied.stopped.map_or(Ok(()), Err)
}

/// Looks at what is there, and compares. Changes nothing.
async fn prepare(options: &Provision) -> Result<(Admin, Plan)> {
    let mut settings = options.wanted.settings()?;
    let expected_owner = settings.account.clone();
    let store = StoreOptions { region: options.wanted.region(), expected_owner, ..options.aws.options() };
    let Opened { admin, exists } = Admin::open(&settings.bucket, store).await?;
    settings.region = admin.region().to_owned();
    let bucket_only = options.bucket_only || settings.grant_to.is_some();
    if !bucket_only || matches!(settings.trust, Some(Trust::Account)) {
        own_account(&mut settings, &admin).await?;
    }
    if let Some(profile) = &options.write_profile {
        // A key that cannot be kept must not be made.
        credentials::check_free(profile)?;
    }
    let facts = provision::look(&admin, exists, &settings, bucket_only).await?;
    if options.destroy {
        no_backups(&admin, exists, &settings).await?;
        let plan = provision::destruction(&settings, &facts)?;
        return Ok((admin, plan));
    }
    let mut plan = provision::plan(&settings, &facts, bucket_only)?;
    if options.new_key {
        plan.add_keys(&facts);
    }
    Ok((admin, plan))
}

/// ARNs of policies name the account.
async fn own_account(settings: &mut Settings, admin: &Admin) -> Result<()> {
    let caller = admin.caller().await.map_err(|e| {
        e.context("identities are created in the account of these credentials").help(
            "This server may have no IAM: --bucket-only leaves identities out, and --grant-to ARN grants access to an existing one.",
        )
    })?;
    match &settings.account {
        Some(account) if *account != caller.account => Err(Error::new(
            Code::Usage,
            format!("these credentials belong to account {}, not to {account}", caller.account),
        )
        .help("Use the credentials of the bucket's owner (--profile NAME).")),
        _ => {
            settings.account = Some(caller.account);
            Ok(())
        }
    }
}

async fn no_backups(admin: &Admin, exists: bool, settings: &Settings) -> Result<()> {
    let prefix = settings.below();
    if exists && admin.holds_objects(&prefix).await? {
        return Err(Error::new(
            Code::BucketNotEmpty,
            format!("there are objects below s3://{}/{prefix}", settings.bucket),
        )
        .help("Delete the backups first (`strongroom delete`), or keep the bucket. Nothing was changed."));
    }
    Ok(())
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    done: &'a [String],
    not_offered: &'a [String],
    complete: bool,
    keys: Vec<Key<'a>>,
}

#[derive(Serialize)]
struct Key<'a> {
    user: &'a str,
    access_key_id: &'a str,
    secret_access_key: &'a str,
}

impl<'a> Answer<'a> {
    fn of(plan: &'a Plan, applied: &'a Applied, shown: &'a [NewKey]) -> Self {
        let key = |new: &'a NewKey| Key {
            user: &new.user,
            access_key_id: &new.key.id,
            secret_access_key: &new.key.secret,
        };
        Self {
            plan,
            done: &applied.done,
            not_offered: &applied.skipped,
            complete: applied.stopped.is_none(),
            keys: shown.iter().map(key).collect(),
        }
    }
}

struct Done<'a> {
    plan: &'a Plan,
    answer: &'a Answer<'a>,
    profile: Option<&'a str>,
}

impl fmt::Display for Done<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} of {} changes made", self.answer.done.len(), self.plan.changes.len())?;
        for subject in self.answer.done {
            writeln!(f, "  {subject}")?;
        }
        for subject in self.answer.not_offered {
            writeln!(f, "not offered by this server, left out: {subject}")?;
        }
        for note in &self.plan.notes {
            writeln!(f, "note: {note}")?;
        }
        for key in &self.answer.keys {
            writeln!(f, "access key of user {}, shown this once:", key.user)?;
            writeln!(
                f,
                "  AWS_ACCESS_KEY_ID={}\n  AWS_SECRET_ACCESS_KEY={}",
                key.access_key_id, key.secret_access_key
            )?;
        }
        match self.profile {
            Some(profile) if self.answer.keys.is_empty() => {
                writeln!(f, "the access key is in profile {profile} (AWS_PROFILE={profile})")
            }
            _ => Ok(()),
        }
    }
}

struct Text<'a>(&'a Plan);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.0.notes {
            writeln!(f, "note: {note}")?;
        }
        if self.0.changes.is_empty() {
            return writeln!(f, "everything is as it should be: nothing to change");
        }
        writeln!(f, "{}:", count(self.0.changes.len() as u64, "change"))?;
        self.0.changes.iter().try_for_each(|change| write_change(f, change))
    }
}

fn write_change(f: &mut fmt::Formatter<'_>, change: &Change) -> fmt::Result {
    let sign = match change.effect {
        Effect::Create => '+',
        Effect::Change => '~',
        Effect::Remove => '-',
    };
    write!(f, "  {sign} {}", change.subject)?;
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => write!(f, ": {before} -> {after}")?,
        (None, Some(after)) => write!(f, ": {after}")?,
        _ => {}
    }
    writeln!(f, "{}", if change.widens { "  (GRANTS MORE THAN BEFORE)" } else { "" })?;
    for statement in &change.statements {
        for (sign, side) in [('-', &statement.before), ('+', &statement.after)] {
            side.as_ref().map_or(Ok(()), |side| write_statement(f, sign, side))?;
        }
    }
    Ok(())
}

fn write_statement(f: &mut fmt::Formatter<'_>, sign: char, statement: &Value) -> fmt::Result {
    format!("{statement:#}").lines().try_for_each(|line| writeln!(f, "      {sign} {line}"))
}
