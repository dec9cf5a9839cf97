//! The same security as documents, as commands, as templates, as steps for a person. Pure.

mod aws_cli;
mod cloudformation;
mod console;
mod terraform;

use serde_json::{Map, Value};

use super::policy::{Attached, Document, documents};
use super::settings::Settings;
use crate::settings::choices;

/// How the policies are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The documents alone.
    Json,
    /// Commands of the `aws` tool for a POSIX shell.
    AwsCli,
    /// An AWS CloudFormation template in JSON.
    CloudFormation,
    /// A Terraform configuration.
    Terraform,
    /// What to click in AWS' console.
    Console,
}

choices!(Format is "a format" {
    Json "json"
    AwsCli "aws-cli"
    CloudFormation "cloudformation"
    Terraform "terraform"
    Console "console"
});

/// All that these settings ask for, written down. Ends with a line break.
#[must_use]
pub fn render(settings: &Settings, format: Format) -> String {
    let documents = documents(settings);
    match format {
        Format::Json => json(&documents),
        Format::AwsCli => aws_cli::script(settings, &documents),
        Format::CloudFormation => cloudformation::template(settings, &documents),
        Format::Terraform => terraform::configuration(settings, &documents),
        Format::Console => console::steps(settings, &documents),
    }
}

/// One document by itself, several under their names.
fn json(documents: &[Document]) -> String {
    match documents {
        [one] => format!("{:#}\n", one.policy),
        several => {
            let named: Map<String, Value> = several.iter().map(|d| (d.title(), d.policy.clone())).collect();
            format!("{:#}\n", Value::Object(named))
        }
    }
}

fn bucket_policy(documents: &[Document]) -> Option<&Value> {
    documents.iter().find(|d| d.attached == Attached::Bucket).map(|d| &d.policy)
}

/// Names and policies of the identities, with the trust policy where roles are made.
fn identities(documents: &[Document]) -> impl Iterator<Item = (&str, &Value, Option<&Value>)> {
    documents.iter().filter_map(|document| match &document.attached {
        Attached::Identity { name, .. } => {
            let trust =
                documents.iter().find(|d| matches!(&d.attached, Attached::Trust { name: of } if of == name));
            Some((name.as_str(), &document.policy, trust.map(|d| &d.policy)))
        }
        _ => None,
    })
}
