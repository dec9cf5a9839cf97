//! What a restore will do, as one number: whoever was shown a preview can have exactly that run, and nothing else. Pure.

use serde::Serialize;

use super::Source;
use super::expiry::Expiry;
use super::item::Item;
use super::present::Present;
use super::preview::{Preview, PreviewedNamespace};
use super::replay::Window;
use super::settings::Options;
use crate::error::{Code, Error, Result};
use crate::hash::{Sha256, sha256};

/// Counted up when what is digested changes its form.
const VERSION: u32 = 1;

/// All that decides what is done to the target, in one order. How many writers there are does not; nor does what the
/// preview names of users, which is of the source's documents.
#[derive(Serialize)]
struct Digested<'a> {
    version: u32,
    backup: &'a str,
    plan: Option<&'a str>,
    /// Of what is fetched; an archive is not known before it is read.
    contents: Option<String>,
    target_version: &'a str,
    target_set: Option<&'a str>,
    namespaces: &'a [PreviewedNamespace],
    expiring: &'a [Expiry],
    replay: Option<Window>,
    options: Options,
    /// Which names are there already, where that decides what is done.
    present: Vec<(String, bool)>,
}

/// The SHA-256 of that, as 64 hexadecimal digits.
pub(super) fn digest(
    (source, preview): (&Source, &Preview),
    (items, present): (&[Item], &Present),
    settings: &Options,
) -> Result<String> {
    let deciding = items.iter().filter(|item| item.action.depends_on_target());
    let digested = Digested {
        version: VERSION,
        backup: &preview.backup,
        plan: preview.plan.as_deref(),
        contents: contents(source),
        target_version: &preview.target_version,
        target_set: preview.target_set.as_deref(),
        namespaces: &preview.namespaces,
        expiring: &preview.expiring,
        replay: preview.replay,
        options: Options { writers: 1, ..settings.clone() },
        present: deciding.map(|item| (item.to.to_string(), present.contains(&item.to))).collect(),
    };
    let text = serde_json::to_vec(&digested)
        .map_err(|e| Error::new(Code::Internal, "the preview cannot be written").caused_by(e))?;
    Ok(hex::encode(sha256(&text)))
}

fn contents(source: &Source) -> Option<String> {
    let Source::Backup(backup) = source else { return None };
    let mut sum = Sha256::new();
    for segment in &backup.manifest.segments {
        sum.update(segment.sha256.as_bytes());
    }
    for namespace in &backup.manifest.namespaces {
        sum.update(namespace.metadata.get().as_bytes());
        sum.update(namespace.metadata_bson.as_deref().unwrap_or_default().as_bytes());
    }
    Some(hex::encode(sum.finish()))
}
