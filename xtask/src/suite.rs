//! The tools and the tests.

use std::process::{Command, Stdio};

use testbed::versions;

use crate::Outcome;
use crate::fuzz::fuzz;
use crate::parts::{MissingParts, Part};
use crate::steps::{root, run, step};
use crate::versions::{OTHER_VERSIONS, chosen};

/// Fetches everything, and prints what is here.
pub(crate) fn tools() -> Outcome<MissingParts> {
    println!("{:<22} {}", "mongod", versions::mongod()?.display());
    MissingParts::look()
}

/// Every check, one after the other; the first that fails ends it. What needs a missing part is ignored.
pub(crate) fn test() -> Outcome {
    step("parts (about three minutes the first time)");
    let missing = tools()?;
    if !missing.has(Part::Rustfmt) {
        cargo("format", &["fmt", "--all", "--check"])?;
    }
    if !missing.has(Part::Clippy) {
        let lints = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        cargo("lints (about five minutes the first time)", &lints)?;
    }
    let tests = tests(&missing)?;
    on_other_versions(&missing, &tests)?;
    if !missing.has(Part::CargoFuzz) {
        fuzz()?;
    }
    let (ignored, sum) = missing.summary(&tests);
    println!();
    for line in ignored {
        println!("{line}");
    }
    println!("all checks passed{sum}");
    Ok(())
}

/// The names of all tests, after those that can run here have passed.
fn tests(missing: &MissingParts) -> Outcome<Vec<String>> {
    step("build the tests (about ten minutes the first time)");
    let tests = listed()?;
    // A mark that no test bears would let tests go uncounted.
    for mark in Part::ALL.into_iter().filter_map(Part::mark) {
        if !tests.iter().any(|test| test.contains(mark)) {
            return Err(format!("no test has `{mark}` in its name").into());
        }
    }
    let mut all = vec!["test", "--workspace", "--no-fail-fast", "--"];
    all.extend(missing.marks().flat_map(|mark| ["--skip", mark]));
    cargo("tests (about ten minutes)", &all)?;
    if let Some(mark) = Part::Mongorestore.mark().filter(|_| !missing.has(Part::Mongorestore)) {
        let ignored = ["test", "--package", "strongroom", "--test", "it", mark, "--", "--ignored"];
        cargo("tests with mongorestore", &ignored)?;
    }
    Ok(tests)
}

/// The tests that show how a server behaves, once more against each other version of MongoDB that can be had here.
fn on_other_versions(missing: &MissingParts, tests: &[String]) -> Outcome {
    for version in OTHER_VERSIONS.into_iter().filter(|version| !missing.has(Part::Mongodb(*version))) {
        step(&format!("tests with {} (about three minutes)", version.name()));
        let chosen = chosen(version, tests)?;
        let mut command = Command::new(env!("CARGO"));
        command.args(["test", "--workspace", "--no-fail-fast", "--test", "it", "--"]).args(chosen);
        run(command.env("STRONGROOM_MONGOD", version.mongod()?).current_dir(root()))?;
    }
    Ok(())
}

fn listed() -> Outcome<Vec<String>> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--workspace", "--tests", "--", "--list"]).current_dir(root());
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", output.status).into());
    }
    let lines = String::from_utf8(output.stdout)?;
    Ok(lines.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

fn cargo(name: &str, arguments: &[&str]) -> Outcome {
    step(name);
    run(Command::new(env!("CARGO")).args(arguments).current_dir(root()))
}
