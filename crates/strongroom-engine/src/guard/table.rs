//! docs/IAM.md, made from the table of permissions. Pure.

use std::fmt::Write;

use super::policy::documents;
use super::settings::{Access, Settings};
use crate::bucket::actions::{Level, Scope, USES, When};
use crate::bucket::administration::ADMIN;

/// The page.
#[must_use]
pub fn iam_page() -> String {
    let mut page = String::from(INTRODUCTION);
    page += "\n## What backing up, restoring and deleting need\n\n| who | permission | on | in | commands | why |\n|---|---|---|---|---|---|\n";
    for line in &USES {
        let place = match (line.operation.level, line.scope) {
            (Level::Object, Scope::Everything) => "`PREFIX/*`".to_owned(),
            (Level::Object, scope) => {
                scope.patterns().iter().map(|p| format!("`PREFIX/{p}`")).collect::<Vec<_>>().join(", ")
            }
            (Level::Key, _) => "the KMS key".into(),
            _ => "the bucket, for names below `PREFIX/`".into(),
        };
        let buckets = match line.when {
            When::Always => "every bucket",
            When::Unversioned => "buckets without versions",
            When::Versioned => "buckets with versions",
            When::Kms => "buckets with your own KMS key",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| {} | `{}` | {place} | {buckets} | {} | {} |",
            line.role.as_str(),
            line.operation.action,
            line.commands,
            line.why
        );
    }
    page += "\n## What `bucket provision`, `prove` and `explain` also need, with an administrator's credentials\n\n| permission | request | why |\n|---|---|---|\n";
    for row in &ADMIN {
        let mut actions: Vec<String> = row.operations.iter().map(|of| format!("`{}`", of.action)).collect();
        actions.dedup();
        let names: Vec<&str> = row.operations.iter().map(|of| of.name).collect();
        let _ = writeln!(page, "| {} | {} | {} |", actions.join(", "), names.join(", "), row.why);
    }
    page += "\n## The policies\n\nFor bucket `BUCKET`, prefix `PREFIX`, encryption `AES256`, without versions. `strongroom bucket policy` prints\nthem for yours.\n";
    for access in [Access::Classic, Access::Single, Access::Split] {
        let _ = writeln!(page, "\n### {}", access.as_str());
        for document in documents(&example(access)) {
            let _ = writeln!(page, "\n{}:\n\n```json\n{:#}\n```", document.title(), document.policy);
        }
    }
    page
}

const INTRODUCTION: &str = "# Permissions\n\nMade from the tables in `crates/strongroom-engine/src/bucket/actions.rs` and `administration.rs`; a test compares. Another test runs every\ncommand under exactly these permissions, and again without each of them.\n\nAccess: **classic** is mLab's page, one identity for the whole bucket; **single** is one identity below its prefix;\n**split** has a writer that can neither read nor delete, a restorer, and a pruner.\n";

fn example(access: Access) -> Settings {
    Settings { name: "strongroom".into(), access, ..Settings::new("BUCKET", "PREFIX") }
}
