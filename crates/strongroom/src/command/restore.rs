//! `strongroom restore`.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strongroom_engine::bucket::StoreOptions;
use strongroom_engine::deployment::Target;
use strongroom_engine::restore::{
    self, Action, Archive, Existing, Expiry, Grants, NotAll, Options, Preview, Restored, Source,
};
use strongroom_engine::{ClusterTime, Code, Error, Job, Location, Result};
use tokio_util::sync::CancellationToken;

use super::{at_once, job};
use crate::cli::{One, Origin, Place, Restore, Store};
use crate::output::Output;
use crate::words::{count, in_line, namespaces, size};

const STDIN: &str = "-";

pub(crate) async fn run(options: Restore, output: &Output, cancel: CancellationToken) -> Result<()> {
    let filter = options.selection.filter()?;
    let uri = super::uri(options.uri, &filter, output)?;
    let work = Options {
        filter,
        renames: options.rename.into_iter().collect(),
        existing: match (options.drop, options.into_existing) {
            (true, _) => Existing::Drop,
            (false, true) => Existing::Keep,
            (false, false) => Existing::Refuse,
        },
        collection_options: options.options,
        indexes: options.indexes,
        commit_quorum: options.commit_quorum,
        users: options.users,
        ttl: options.ttl,
        at: options.at,
        writers: at_once(options.writers),
    };
    work.check()?;
    let job = job(output, cancel, options.from.store.waits());
    let prepared = job.unless_cancelled(async {
        let source = source(options.from, &job).await?;
        let target = Target::connect(&uri).await?;
        restore::prepare(source, target, work).await
    });
    let mut prepared = prepared.await?;
    if options.dry_run {
        prepared.name_grants(&job).await?;
        return output.answer(prepared.preview(), &PreviewText(prepared.preview()));
    }
    let restored = prepared.run(job).await?;
    output.answer(&restored, &RestoredText(&restored))?;
    if restored.exceptions.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Code::Incomplete,
        format!("restored, with {}", count(restored.exceptions.len() as u64, "exception")),
    )
    .help("What is missing, and why, is listed above."))
}

async fn source(options: Origin, job: &Job) -> Result<Source> {
    if let Some(archive) = options.archive {
        return open_archive(archive, options.store, job).await.map(Source::archive);
    }
    let (Some(location), Some(backup)) = (options.location, options.backup) else {
        return Err(Error::new(Code::Usage, "neither a backup nor an archive was named")
            .help("Give a location and a backup id (or `latest`), or a mongodump archive with --archive."));
    };
    let place = Place { location, plan: options.plan, store: options.store };
    let (store, manifest) = super::find(One { place, backup }, job.observer.clone()).await?;
    Ok(Source::backup(store, Arc::new(manifest)))
}

/// What is opened here blocks while it is read.
async fn open_archive(archive: String, store: Store, job: &Job) -> Result<Archive> {
    let options = store.options(job.observer.clone());
    let open = move || match Location::of_object(&archive) {
        Ok(location) => Archive::open_location(archive, location, options),
        Err(error) if archive.contains("://") => Err(error),
        Err(_) if archive == STDIN => Archive::open("stdin", Box::new(io::stdin())),
        Err(_) => open_path(archive),
    };
    tokio::task::spawn_blocking(open)
        .await
        .map_err(|e| Error::new(Code::Internal, "the archive's reader ended abruptly").caused_by(e))?
}

/// A folder, a file, or a pipe, which gives its bytes once.
fn open_path(path: String) -> Result<Archive> {
    let unopened = |e: io::Error| {
        Error::new(Code::Usage, format!("cannot open the archive `{path}`: {e}"))
            .help("Name a file, a folder, s3://bucket/key, or - for stdin.")
    };
    let kind = fs::metadata(&path).map_err(unopened)?;
    if kind.is_dir() {
        return Archive::open_folder(path.as_str(), Path::new(&path));
    }
    let file = File::open(&path).map_err(unopened)?;
    if !kind.is_file() {
        return Archive::open(path, Box::new(file));
    }
    Archive::open_location(path.as_str(), Location::Folder(PathBuf::from(&path)), StoreOptions::default())
}

struct PreviewText<'a>(&'a Preview);

impl fmt::Display for PreviewText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let preview = self.0;
        let set = preview.target_set.as_ref().map(|set| format!(", replica set {set}")).unwrap_or_default();
        writeln!(
            f,
            "backup {} into MongoDB {}{set}; nothing has been changed",
            preview.backup, preview.target_version
        )?;
        if preview.segments > 0 {
            writeln!(f, "{} to fetch, {}", count(preview.segments, "segment"), size(preview.stored_bytes))?;
        }
        if let Some(window) = preview.replay {
            let to = window.to.map_or("its end".to_owned(), ClusterTime::in_words);
            writeln!(f, "the oplog is replayed up to {to}")?;
            if preview.oplog_comes_last {
                writeln!(f, "(it comes after the data; whether all of it can be replayed shows only then)")?;
            }
        }
        for planned in &preview.namespaces {
            let name = planned.name.escape_debug().to_string();
            write!(f, "{name:<44} {:<32}", in_words(planned.action))?;
            if let Some(documents) = planned.documents {
                write!(f, " {documents:>12} {}", if documents == 1 { "document" } else { "documents" })?;
            }
            if planned.target != planned.name {
                write!(f, ", as {}", planned.target.escape_debug())?;
            }
            writeln!(f)?;
        }
        preview.expiring.iter().try_for_each(|expiry| writeln!(f, "{}", will_expire(expiry)))?;
        preview.grants.iter().flat_map(come_along).try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Users, roles and stored functions, a line each.
fn come_along(grants: &Grants) -> impl Iterator<Item = String> {
    let users = grants.users.iter().map(|one| {
        let anything = if one.is_powerful { ", which may do anything there" } else { "" };
        format!("the target gets {}{anything}", in_line(&one.to_string()))
    });
    let functions = grants.functions.iter().map(|one| {
        let (name, namespace) = (in_line(&one.name), in_line(&one.namespace));
        format!("the target gets stored function `{name}` in `{namespace}`")
    });
    users.chain(functions).chain(grants.not_all.map(|why| not_all(why).to_owned()))
}

fn not_all(why: NotAll) -> &'static str {
    match why {
        NotAll::Archive => {
            "the archive may bring users, roles or stored functions: users and roles are named before they are merged"
        }
        NotAll::Oplog => "the oplog that is replayed may bring other users and roles, or change these",
        NotAll::TooMany => "there are more users, roles or stored functions than are named here",
    }
}

/// What is said of documents that expire, before they are restored.
fn will_expire(expiry: &Expiry) -> String {
    let whose = whose(expiry);
    match expiry.held {
        true => format!("{whose}. They are restored with that switched off"),
        false => format!("{whose}. Those that are past their time are deleted soon after they are restored"),
    }
}

/// And after they are restored.
fn expires(expiry: &Expiry) -> String {
    let whose = whose(expiry);
    let past = match expiry.past {
        None => "how many are past their time could not be counted".to_owned(),
        Some(1) => "1 document is past its time".to_owned(),
        Some(past) => format!("{} are past their time", count(past, "document")),
    };
    match (expiry.held, &expiry.switched_on_by) {
        (true, Some(command)) => format!("{whose}; {past}. That is switched off; to switch it on: {command}"),
        (true, None) => format!("{whose}; {past}. That is switched off"),
        (false, _) => format!("{whose}; {past}, and MongoDB deletes them soon"),
    }
}

fn whose(expiry: &Expiry) -> String {
    let by = expiry.index.as_ref().map(|index| format!(", by its index `{}`", in_line(index)));
    let after = expiry.after_seconds.map(|after| format!(" {after} seconds"));
    let (by, after) = (by.unwrap_or_default(), after.unwrap_or_else(|| " some time".to_owned()));
    format!("documents of `{}` expire{after} after a date in them{by}", in_line(&expiry.namespace))
}

fn in_words(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Replace => "drop and create again",
        Action::Add => "add to what exists",
        Action::Refuse => "REFUSED: it exists",
        Action::Merge => "merge into users and roles",
        Action::Skip => "skip: the server has its own",
        Action::Index => "build its indexes",
        Action::Missing => "nothing: it does not exist",
    }
}

struct RestoredText<'a>(&'a Restored);

impl fmt::Display for RestoredText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = self.0;
        for exception in &done.exceptions {
            writeln!(f, "not restored: {exception}")?;
        }
        for expiry in done.expiring.iter().filter(|expiry| expiry.held || expiry.past != Some(0)) {
            writeln!(f, "{}", expires(expiry))?;
        }
        match &done.plan {
            Some(plan) => write!(f, "restored backup {} of plan {plan}: ", done.backup)?,
            None => write!(f, "restored {}: ", done.backup)?,
        }
        writeln!(
            f,
            "{}, {}, {}",
            namespaces(done.namespaces),
            count(done.documents, "document"),
            count(done.indexes, "index")
        )
    }
}
