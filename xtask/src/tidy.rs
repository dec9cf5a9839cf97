//! The invariants of ARCHITECTURE.md, held by tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps::root;

/// Every file that git knows or would add, with its text.
fn files() -> Vec<(PathBuf, String)> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    let names = String::from_utf8(listed.stdout).expect("names are UTF-8");
    let files: Vec<_> = names
        .lines()
        .map(PathBuf::from)
        .filter_map(|path| Some((path.clone(), fs::read_to_string(root().join(path)).ok()?)))
        .collect();
    assert!(files.len() > 50, "only {} files found", files.len());
    files
}

fn rust(files: &[(PathBuf, String)]) -> impl Iterator<Item = &(PathBuf, String)> {
    files.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "rs"))
}

/// Rust files of the product below `crates/`, its tests left out.
fn product(files: &[(PathBuf, String)]) -> impl Iterator<Item = &(PathBuf, String)> {
    let of = |path: &Path| {
        [
            "crates/strongroom/src",
            "crates/strongroom-engine/src",
            "crates/strongroom-service/src",
            "crates/mongo-archive/src",
            "crates/iam-policy/src",
        ]
        .iter()
        .any(|folder| path.starts_with(folder))
    };
    rust(files).filter(move |(path, _)| of(path))
}

#[test]
fn only_one_folder_names_the_driver_and_only_one_the_sdk() {
    let files = files();
    for (path, text) in product(&files) {
        let names = |needle: &str| text.contains(needle);
        if names("mongodb::") {
            assert!(path.starts_with("crates/strongroom-engine/src/deployment"), "{}", path.display());
        }
        if names("aws_sdk") || names("aws_config") || names("aws_smithy") {
            assert!(path.starts_with("crates/strongroom-engine/src/bucket"), "{}", path.display());
        }
    }
}

#[test]
fn neither_the_bucket_knows_mongodb_nor_the_deployment_the_bucket() {
    let files = files();
    for (path, text) in product(&files) {
        if path.starts_with("crates/strongroom-engine/src/bucket") {
            assert!(!text.contains("crate::deployment") && !text.contains("bson"), "{}", path.display());
        }
        if path.starts_with("crates/strongroom-engine/src/deployment") {
            assert!(!text.contains("crate::bucket"), "{}", path.display());
        }
    }
}

#[test]
fn only_the_state_speaks_sql_and_what_the_service_decides_is_pure() {
    const SERVICE: &str = "crates/strongroom-service/src";
    let pure = ["job", "retry", "schedule", "retention", "loosening", "simulate", "desired"];
    let files = files();
    let mut seen = 0;
    for (path, text) in product(&files) {
        let Ok(inside) = path.strip_prefix(SERVICE) else {
            assert!(!text.contains("sqlx::"), "{}", path.display());
            continue;
        };
        let room = inside.iter().next().and_then(|room| room.to_str()).unwrap_or_default();
        if room != "state" {
            assert!(!text.contains("sqlx::"), "{}", path.display());
        }
        if pure.contains(&room.trim_end_matches(".rs")) {
            seen += 1;
            for impure in ["tokio::", "Utc::now", "SystemTime", "std::fs", "crate::state", "async fn"] {
                assert!(!text.contains(impure), "{impure} in {}", path.display());
            }
        }
    }
    assert!(seen > pure.len());
}

/// Names of all crates that a crate is built with where it is built by itself, tests and build scripts left out.
fn dependencies(of: &str) -> BTreeSet<String> {
    let arguments = ["tree", "--package", of, "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let tree =
        Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo answers");
    let tree = String::from_utf8(tree.stdout).expect("cargo answers in UTF-8");
    tree.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn pure_crates_are_built_without_runtime_network_clock_or_chance() {
    for pure in ["mongo-archive", "iam-policy"] {
        let dependencies = dependencies(pure);
        assert!(!dependencies.is_empty());
        for impure in [
            "tokio",
            "async-std",
            "futures",
            "hyper",
            "mio",
            "socket2",
            "rand",
            "getrandom",
            "mongodb",
            "iana-time-zone",
        ] {
            assert!(!dependencies.contains(impure), "{pure} is built with {impure}");
        }
    }
}

#[test]
fn main_is_short_and_no_file_is_a_drawer() {
    let files = files();
    let main =
        files.iter().find(|(path, _)| path.ends_with("crates/strongroom/src/main.rs")).expect("main.rs");
    assert!(main.1.lines().count() <= 35, "main.rs has {} lines", main.1.lines().count());
    for (path, _) in rust(&files) {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        assert!(
            !["util", "utils", "common", "helpers", "misc", "manager"].contains(&stem),
            "{}",
            path.display()
        );
    }
}

#[test]
fn nothing_is_left_to_do_and_nothing_tells_of_another_place() {
    let marks = ["TO", "FIX", "XX"].map(|half| {
        format!(
            "{half}{}",
            if half == "TO" {
                "DO"
            } else if half == "FIX" {
                "ME"
            } else {
                "X"
            }
        )
    });
    let places = ["/work/", "/root/"];
    for (path, text) in files() {
        if path.extension().is_some_and(|e| e == "lock") {
            continue;
        }
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{mark} in {}", path.display());
        }
        if !path.ends_with("tidy.rs") {
            for place in places {
                assert!(!text.contains(place), "{place} in {}", path.display());
            }
        }
    }
}

#[test]
fn every_dependency_has_its_reason_in_contributing() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let reasons = fs::read_to_string(root().join("CONTRIBUTING.md")).expect("CONTRIBUTING.md");
    let section = manifest.split("[workspace.dependencies]").nth(1).expect("dependencies");
    let section = section.split("\n[").next().unwrap_or_default();
    let names =
        section.lines().filter_map(|line| line.split_once(" = ").map(|(name, rest)| (name.trim(), rest)));
    let mut checked = 0;
    for (name, _) in names.filter(|(_, rest)| !rest.contains("path = ")) {
        assert!(reasons.contains(&format!("`{name}`")), "{name} has no reason in CONTRIBUTING.md");
        checked += 1;
    }
    assert!(checked > 20);
}

#[test]
fn every_promise_names_tests_that_exist() {
    let files = files();
    let text =
        |name: &str| files.iter().find(|(path, _)| path == Path::new(name)).map(|(_, text)| text.as_str());
    let promises = text("docs/SEMANTICS.md").expect("docs/SEMANTICS.md");
    let promised = promises.split("## Not promised").next().expect("a first part");
    let paragraphs = promised.split("\n\n").filter(|paragraph| paragraph.starts_with("**"));
    let mut named = 0;
    for paragraph in paragraphs {
        let (_, tests) =
            paragraph.split_once("*Tests:*").unwrap_or_else(|| panic!("no test holds: {paragraph}"));
        for test in tests.split('`').skip(1).step_by(2) {
            named += 1;
            let function = format!("fn {test}()");
            let exists =
                files.iter().any(|(path, text)| path.starts_with("crates") && text.contains(&function));
            assert!(exists, "docs/SEMANTICS.md names the test `{test}`, which does not exist");
        }
    }
    assert!(named > 10, "only {named} tests are named");
}

/// Words of a paper that look like a path in this repository: `backup/mod.rs`, `oplog/`.
fn paths_named(text: &str) -> impl Iterator<Item = &str> {
    let outside = |c: char| !(c.is_ascii_alphanumeric() || "_-./<>:*{}".contains(c));
    let words = text.split(outside).map(|word| word.trim_end_matches(['.', ':']));
    words.filter(|word| {
        let plain = !word.contains(['<', '>', ':', '*', '{', '}']) && !word.starts_with(['/', '.', '-']);
        let path = word.ends_with(".rs") || word.ends_with(".md") || (word.ends_with('/') && word.len() > 2);
        plain && path
    })
}

#[test]
fn every_path_that_a_paper_names_exists() {
    let files = files();
    // In the bucket, in a URI, or made by a build.
    let elsewhere = ["RESTORE.md", "db3/", "target/", "segments/", "target/tools/"];
    let mut named = 0;
    for paper in ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "docs/SEMANTICS.md", "docs/FORMAT.md"] {
        let text = fs::read_to_string(root().join(paper)).expect("a paper");
        for name in paths_named(&text).filter(|name| !elsewhere.contains(name)) {
            named += 1;
            let wanted = format!("/{name}");
            let stands = |path: &Path| {
                let path = format!("/{}", path.display());
                if name.ends_with('/') { path.contains(&wanted) } else { path.ends_with(&wanted) }
            };
            assert!(files.iter().any(|(path, _)| stands(path)), "{paper} names `{name}`, which is not there");
        }
    }
    assert!(named > 40, "only {named} paths are named");
}

/// A service and a portal have no flags: the engine names settings as values. Comments and the AWS CLI script that it
/// prints may show them.
#[test]
fn the_engine_names_no_flag_of_the_command_line() {
    let files = files();
    let engine = Path::new("crates/strongroom-engine/src");
    for (path, text) in rust(&files).filter(|(path, _)| path.starts_with(engine)) {
        if path.ends_with("guard/formats/aws_cli.rs") || path.ends_with("help.rs") {
            continue;
        }
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let flag =
                line.split("--").skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
            assert!(!flag, "{}: {line}", path.display());
        }
    }
}
