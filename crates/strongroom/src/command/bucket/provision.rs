//! `strongroom bucket provision`.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use strongroom_engine::bucket::StoreOptions;
use strongroom_engine::bucket::admin::Admin;
use strongroom_engine::error::{Code, Error, Result};
use strongroom_engine::guard::provision::{self, Applied, Change, Effect, NewKey, Plan};
use strongroom_engine::guard::{Settings, Trust};

use crate::cli::bucket::Provision;
use tokio_util::sync::CancellationToken;

use crate::command::{confirm, job};
use crate::output::Output;
use crate::words::count;

pub(crate) async fn run(options: &Provision, output: &Output, cancel: CancellationToken) -> Result<()> {
    let job = job(output, cancel);
    let (admin, plan) = job.unless_cancelled(prepare(options)).await?;
    if options.dry_run || plan.changes.is_empty() {
        return output.answer(&plan, &Text(&plan));
    }
    if !options.yes {
        output.remark(Text(&plan).to_string().trim_end());
        confirm("Make these changes?", "nothing was changed", output)?;
    }
    let applied = provision::apply(&admin, &plan, &job).await;
    let kept = keep(options, &applied.keys);
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
    let store = StoreOptions {
        region: options.wanted.region(),
        expected_owner,
        profile: options.profile.clone(),
        ..StoreOptions::default()
    };
    let (admin, exists) = Admin::open(&settings.bucket, store).await?;
    settings.region = admin.region().to_owned();
    let bucket_only = options.bucket_only || settings.grant_to.is_some();
    if !bucket_only || matches!(settings.trust, Some(Trust::Account)) {
        own_account(&mut settings, &admin).await?;
    }
    if let Some(profile) = &options.write_profile {
        // A key that cannot be kept must not be made.
        free_profile(&credentials_file()?, profile)?;
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
        e.context("identities are made in the account of these credentials").help(
            "This server may have no IAM: --bucket-only leaves identities out, and --grant-to ARN lets one in that is there.",
        )
    })?;
    match &settings.account {
        Some(account) if *account != caller.account => Err(Error::new(
            Code::Usage,
            format!("these credentials are of account {}, not of {account}", caller.account),
        )
        .help("Use the credentials of the bucket's owner (AWS_PROFILE).")),
        _ => {
            settings.account = Some(caller.account);
            Ok(())
        }
    }
}

async fn no_backups(admin: &Admin, exists: bool, settings: &Settings) -> Result<()> {
    let prefix = settings.below();
    if exists && admin.holds_objects(&prefix).await? {
        return Err(Error::new(Code::BucketNotEmpty, format!("there are objects below s3://{}/{prefix}", settings.bucket))
            .help("Delete the backups first (`strongroom delete`), or leave the bucket to them. Nothing was changed."));
    }
    Ok(())
}

fn credentials_file() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("AWS_SHARED_CREDENTIALS_FILE") {
        return Ok(path.into());
    }
    let home = std::env::var_os("HOME")
        .ok_or_else(|| Error::new(Code::Usage, "HOME is not set: where is ~/.aws/credentials?"))?;
    Ok(Path::new(&home).join(".aws/credentials"))
}

fn free_profile(path: &Path, profile: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if profile.is_empty() || !profile.chars().all(fits) {
        return Err(Error::new(Code::Usage, format!("`{profile}` cannot name a profile"))
            .help("Use letters, digits, `-`, `_` and `.`."));
    }
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(unwritable(path, &e)),
    };
    if text.lines().any(|line| line.trim() == format!("[{profile}]")) {
        return Err(Error::new(
            Code::Usage,
            format!("`{}` has a profile `{profile}` already", path.display()),
        )
        .help("Choose another name, or take that one out."));
    }
    open(path).map(drop)
}

fn open(path: &Path) -> Result<fs::File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| unwritable(path, &e))?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(|e| unwritable(path, &e))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Code::Usage, format!("`{}` cannot be written: {error}", path.display()))
        .help("Nothing was changed.")
}

/// Writes keys to the profile; several to profiles with the users' roles behind the name.
fn keep(options: &Provision, keys: &[NewKey]) -> Result<()> {
    let Some(profile) = &options.write_profile else { return Ok(()) };
    let path = credentials_file()?;
    let mut file = open(&path)?;
    for NewKey { user, key } in keys {
        let role = user
            .rsplit('-')
            .next()
            .filter(|_| keys.len() > 1)
            .map(|role| format!("-{role}"))
            .unwrap_or_default();
        let section = format!(
            "\n[{profile}{role}]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            key.id, key.secret
        );
        file.write_all(section.as_bytes()).map_err(|e| {
            unwritable(&path, &e).help("The key is shown above instead: its secret is not to be had again.")
        })?;
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
            return writeln!(f, "all is as it should be: nothing to change");
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
