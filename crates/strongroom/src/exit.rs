//! Exit statuses: one for each kind of outcome, so that a script can tell them apart.

use strongroom_engine::Code;
use strongroom_service::control::ServiceCode;

use crate::failure::{Failure, RemoteCode};

/// Statuses and what they mean, as the help and the README list them.
pub(crate) const TABLE: [(u8, &str); 14] = [
    (0, "done"),
    (1, "a fault in Strongroom or this machine"),
    (2, "wrong usage: an option, the URI or the location"),
    (3, "MongoDB: no connection, refused, or an error"),
    (4, "storage: no connection, denied, wrong key or region, no space"),
    (5, "damaged, or made by a newer Strongroom"),
    (6, "the target of the restore is not empty, or changed meanwhile"),
    (7, "there is no such backup, or nothing of that name or id in the service"),
    (8, "done, but something is missing; it was listed"),
    (9, "the bucket's security is not as it should be; it was listed"),
    (10, "the service: nobody is signed in, or this is not allowed"),
    (11, "the service: it does not fit how things stand, or was changed meanwhile"),
    (12, "the service: no connection, no answer, or it cannot work at the moment"),
    (130, "cancelled"),
];

/// The exit status of a command that failed.
pub(crate) fn of(failure: &Failure) -> u8 {
    match failure {
        Failure::Here(error) => status(error.code()),
        Failure::Remote(remote) => remote_status(&remote.code),
    }
}

/// The same for what a service answered.
pub(crate) fn remote_status(code: &RemoteCode) -> u8 {
    match code {
        RemoteCode::Engine(code) => status(*code),
        RemoteCode::Service(
            ServiceCode::Request | ServiceCode::Method | ServiceCode::TooLarge | ServiceCode::MediaType,
        ) => 2,
        RemoteCode::Service(ServiceCode::Missing) => 7,
        RemoteCode::Service(ServiceCode::SignIn | ServiceCode::Forbidden | ServiceCode::CrossSite) => 10,
        RemoteCode::Service(
            ServiceCode::Taken | ServiceCode::Conflict | ServiceCode::Changed | ServiceCode::KeyReused,
        ) => 11,
        RemoteCode::Service(ServiceCode::TooMany | ServiceCode::Unavailable | ServiceCode::TooSlow)
        | RemoteCode::Unreachable
        | RemoteCode::Answer
        | RemoteCode::Unknown { passing: true, .. } => 12,
        RemoteCode::Unknown { passing: false, .. } => 11,
    }
}

/// The exit status of a command that ends with an error of this code.
pub(crate) fn status(code: Code) -> u8 {
    match code {
        Code::Usage
        | Code::Uri
        | Code::Location
        | Code::NotReplayable
        | Code::SeveralPlans
        | Code::MasterKey => 2,
        Code::MongoHost
        | Code::MongoAddress
        | Code::MongoBusy
        | Code::MongoAuth
        | Code::MongoPrivilege
        | Code::Mongo
        | Code::SnapshotTooOld
        | Code::Stalled => 3,
        Code::StoreHost
        | Code::StoreAddress
        | Code::StoreStalled
        | Code::Store
        | Code::StoreBusy
        | Code::NotOffered
        | Code::BucketMissing
        | Code::BucketRegion
        | Code::BucketNotEmpty
        | Code::Key
        | Code::Denied
        | Code::Clock
        | Code::Encryption
        | Code::Space
        | Code::ObjectExists => 4,
        Code::ObjectMissing | Code::Damaged | Code::NewerFormat => 5,
        Code::TargetNotEmpty | Code::TargetChanged => 6,
        Code::NotABackup => 7,
        Code::Incomplete => 8,
        Code::NotProved => 9,
        Code::Cancelled => 130,
        Code::Internal => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::fs;
    use std::path::{Path, PathBuf};

    use strongroom_engine::Class;

    use super::*;

    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    const INTRODUCTION: &str = "\
# Errors

Every error has a code, and a code never changes its meaning. A command prints it as `error[SR-…]`; with `--json` it is in
`{\"error\": {\"code\", \"class\", \"message\", \"help\", \"causes\"}}` on stdout. The class says who or what can put it right, so that a
program can decide whether to try again. This page is generated from the table of codes.

| class | what to do |
|---|---|
";

    /// Codes that only this program gives.
    const OWN_CODES: [(RemoteCode, &str); 2] = [
        (
            RemoteCode::Unreachable,
            "The service cannot be reached: no connection, a certificate that is not trusted, or no answer in time.",
        ),
        (
            RemoteCode::Answer,
            "What answers is no service of Strongroom, or not one that this program understands.",
        ),
    ];

    fn advice(class: Class) -> &'static str {
        match class {
            Class::User => {
                "A person has to change something: a setting, a permission, a name. Trying again changes nothing."
            }
            Class::Passing => "Try again later: a server is away or overloaded.",
            Class::Lasting => {
                "Trying again gives the same, and it is not a setting. Look at the message and the causes."
            }
            Class::Damage => {
                "Stored bytes are not what they should be. Use another backup, and find out what changed them."
            }
        }
    }

    fn page() -> String {
        let mut page = String::from(INTRODUCTION);
        for class in [Class::User, Class::Passing, Class::Lasting, Class::Damage] {
            writeln!(page, "| {} | {} |", class.as_str(), advice(class)).unwrap();
        }
        page += "\n| code | class | exit status | meaning |\n|---|---|---|---|\n";
        for code in Code::ALL {
            let (name, class, meaning) = (code.as_str(), code.class().as_str(), code.meaning());
            writeln!(page, "| `{name}` | {class} | {} | {meaning} |", status(*code)).unwrap();
        }
        page +=
            "\n## Codes of the service\n\nCommands that ask a service (`--server`) end with these too.\n\n";
        page += "| code | class | exit status | meaning |\n|---|---|---|---|\n";
        let services = ServiceCode::ALL.iter().map(|code| (RemoteCode::Service(*code), code.meaning()));
        for (code, meaning) in services.chain(OWN_CODES) {
            let (name, class, status) = (code.as_str(), code.class().as_str(), remote_status(&code));
            writeln!(page, "| `{name}` | {class} | {status} | {meaning} |").unwrap();
        }
        page + "\n## Exit statuses\n\n" + &table()
    }

    fn table() -> String {
        let rows = TABLE.map(|(status, meaning)| format!("| {status} | {meaning} |\n")).concat();
        format!("| exit status | meaning |\n|---|---|\n{rows}")
    }

    #[test]
    fn the_page_on_errors_is_made_from_the_table() {
        let path = Path::new(ROOT).join("docs/ERRORS.md");
        if std::env::var_os("STRONGROOM_WRITE_DOCS").is_some() {
            fs::write(&path, page()).unwrap();
        }
        let written = fs::read_to_string(path).unwrap();
        assert!(
            written == page(),
            "generate it again: STRONGROOM_WRITE_DOCS=1 cargo test -p strongroom --bins"
        );
    }

    #[test]
    fn every_status_is_in_the_table_and_the_table_in_the_readme() {
        for code in Code::ALL {
            assert!(TABLE.iter().any(|(known, _)| *known == status(*code)), "{}", code.as_str());
        }
        let services = ServiceCode::ALL.iter().map(|code| RemoteCode::Service(*code));
        for code in services.chain([RemoteCode::Unreachable, RemoteCode::Answer]) {
            let status = remote_status(&code);
            assert!(TABLE.iter().any(|(known, _)| *known == status), "{}", code.as_str());
        }
        let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
        assert!(readme.contains(&table()), "README.md needs this table:\n{}", table());
    }

    /// The test that provokes each code. A new code does not compile without one.
    fn provoked_by(code: Code) -> &'static str {
        match code {
            Code::Internal => "an_answer_that_cannot_be_written_is_an_error",
            Code::Usage | Code::Location => "a_wrong_command_line_is_an_error_like_every_other",
            Code::Uri | Code::MongoHost | Code::MongoAddress | Code::MongoAuth | Code::MongoPrivilege => {
                "a_deployment_that_cannot_be_read_is_told_apart"
            }
            Code::Mongo | Code::MongoBusy | Code::SnapshotTooOld => "what_a_server_answers_is_told_apart",
            Code::StoreAddress => "why_nobody_answers_and_why_no_key_was_had_are_told_apart",
            Code::StoreHost | Code::Key | Code::Clock | Code::BucketMissing => {
                "keys_clocks_regions_and_buckets_that_are_wrong_are_told_apart"
            }
            Code::Store | Code::StoreBusy | Code::NotOffered | Code::BucketRegion => {
                "answers_that_no_server_here_gives_are_told_apart"
            }
            Code::BucketNotEmpty => {
                "a_run_that_was_cut_off_is_finished_by_the_next_and_backups_keep_the_bucket"
            }
            Code::Denied => "each_missing_permission_is_named_with_the_statement_that_gives_it",
            Code::Encryption => "another_encryption_than_the_one_asked_for_is_an_error",
            Code::Space => "with_small_disk_a_backup_reports_that_it_is_full_and_leaves_nothing_there",
            Code::ObjectExists => "an_object_is_written_once",
            Code::ObjectMissing => "reading_has_its_limits",
            Code::Damaged | Code::NewerFormat => "damage_is_found_and_named_and_never_restored",
            Code::Stalled => "a_wait_that_is_too_long_says_which_it_was",
            Code::StoreStalled => "a_store_that_never_answers_is_given_up_and_each_retry_is_said",
            Code::NotReplayable => "a_missing_beginning_and_too_many_entries_are_errors",
            Code::TargetNotEmpty | Code::NotABackup => "names_and_targets_that_do_not_fit_are_refused",
            Code::TargetChanged => "a_change_of_what_was_planned_is_named",
            Code::SeveralPlans => "latest_is_of_one_plan_only",
            Code::Incomplete => "what_an_archive_lacks_is_told_by_the_exit_status",
            Code::NotProved => "a_fail_comes_with_the_statement_that_fixes_it",
            Code::MasterKey => "a_master_key_that_others_can_read_is_refused",
            Code::Cancelled => "ctrl_c_ends_a_restore_that_waits_for_its_archive",
        }
    }

    /// All Rust files below a folder.
    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }

    /// The text of a function, from its name to the end of its body.
    fn body<'a>(text: &'a str, name: &str) -> Option<&'a str> {
        let (before, rest) = text.split_once(&format!("fn {name}("))?;
        let line = before.rsplit('\n').next().unwrap_or_default();
        let indent = &line[..line.len() - line.trim_start().len()];
        rest.split(&format!("\n{indent}}}\n")).next()
    }

    #[test]
    fn every_code_is_provoked_by_a_test() {
        let mut paths = Vec::new();
        for krate in ["strongroom", "strongroom-engine", "strongroom-service"] {
            sources(&Path::new(ROOT).join("crates").join(krate), &mut paths);
        }
        let texts: Vec<String> = paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        for code in Code::ALL {
            let (name, test) = (code.as_str(), provoked_by(*code));
            let bodies: Vec<&str> = texts.iter().filter_map(|text| body(text, test)).collect();
            assert!(!bodies.is_empty(), "there is no test `{test}`, which is to provoke {name}");
            let (name, variant) = (format!("\"{name}\""), format!("Code::{code:?}"));
            let provokes = |body: &&str| body.contains(&name) || body.contains(&variant);
            assert!(bodies.iter().any(provokes), "the test `{test}` does not name {name}");
        }
    }
}
