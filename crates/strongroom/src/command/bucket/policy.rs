//! `strongroom bucket policy`.

use std::fmt;

use iam_policy::edit;
use serde_json::Value;
use strongroom_engine::bucket::actions::Role;
use strongroom_engine::error::{Code, Error, Result};
use strongroom_engine::guard::{Attached, Document, Format, documents, is_own_sid, render};

use super::read;
use crate::cli::bucket::{Only, PolicyArguments};
use crate::output::Output;

pub(crate) fn run(options: &PolicyArguments, output: &Output) -> Result<()> {
    let settings = options.wanted.settings()?;
    let Some(only) = options.only else {
        let text = render(&settings, options.format);
        // Shell, HCL and steps are texts to a program too.
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.clone()));
        return output.answer(&value, &text);
    };
    if options.format != Format::Json {
        return Err(
            Error::new(Code::Usage, "--only prints one document, which is JSON").help("Leave out --format.")
        );
    }
    let all = documents(&settings);
    let Some(document) = all.iter().find(|document| is(document, only)) else {
        return Err(Error::new(Code::Usage, "these settings have no such document")
            .help("Leave out --only to see the documents there are."));
    };
    let policy = match &options.merge {
        None => document.policy.clone(),
        Some(path) => merged(&read(path)?, document)?,
    };
    output.answer(&policy, &Pretty(&policy))
}

fn is(document: &Document, only: Only) -> bool {
    match (&document.attached, only) {
        (Attached::Identity { roles, .. }, Only::Identity) => roles.contains(&Role::Writer),
        (Attached::Identity { roles, .. }, Only::Restorer) => roles.contains(&Role::Restorer),
        (Attached::Identity { roles, .. }, Only::Pruner) => roles.contains(&Role::Pruner),
        (Attached::Bucket, Only::Bucket) | (Attached::Trust { .. }, Only::Trust) => true,
        _ => false,
    }
}

fn merged(existing: &str, document: &Document) -> Result<Value> {
    let statements = document.policy["Statement"].as_array().cloned().unwrap_or_default();
    let merged = edit::merge(Some(existing), document.kind(), &statements, is_own_sid).map_err(|e| {
        Error::new(Code::Usage, format!("the statements cannot be added: {e}"))
            .help("Fix the file first; nothing was written.")
    })?;
    Ok(merged.document)
}

struct Pretty<'a>(&'a Value);

impl fmt::Display for Pretty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:#}", self.0)
    }
}
