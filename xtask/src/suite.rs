//! The tools and the tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testbed::tools;

use crate::Outcome;
use crate::parts::{MissingParts, Part};

const FUZZ_VERSION: &str = "0.13.1";
const FUZZ_SECONDS: u32 = 60;
const FUZZ_MEMORY_MEGABYTES: u32 = 512;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Fetches everything, and prints what is here.
pub(crate) fn tools() -> Outcome<MissingParts> {
    println!("{:<22} {}", "mongod", tools::mongod()?.display());
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

fn step(name: &str) {
    println!("\n== {name}");
}

fn cargo(name: &str, arguments: &[&str]) -> Outcome {
    step(name);
    run(Command::new(env!("CARGO")).args(arguments).current_dir(root()))
}

pub(crate) fn run(command: &mut Command) -> Outcome {
    let shown = format!("{command:?}");
    let status = command.status().map_err(|e| format!("{shown}: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{shown}: {status}").into()) }
}

/// The fuzzer, built once into `target/tools`.
pub(crate) fn fuzzer() -> Outcome<PathBuf> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    tools::run(Command::new(compiler).arg("--version"), "find a C++ compiler")?;
    let folder = tools::folder().join(format!("cargo-fuzz-{FUZZ_VERSION}"));
    let program = folder.join("bin/cargo-fuzz");
    if !program.exists() {
        println!("building cargo-fuzz (about a minute)");
        let install = ["install", "cargo-fuzz", "--locked", "--version", FUZZ_VERSION, "--root"];
        run(Command::new(env!("CARGO")).args(install).arg(&folder))?;
    }
    Ok(program)
}

/// Hostile archives for a minute. The fuzzer wants compiler flags that are not stable, and nothing else of a
/// nightly compiler.
fn fuzz() -> Outcome {
    step("fuzz the archive (a minute; the first time also about two to build it)");
    let seconds = format!("-max_total_time={FUZZ_SECONDS}");
    let memory = format!("-rss_limit_mb={FUZZ_MEMORY_MEGABYTES}");
    let program = fuzzer()?.canonicalize()?;
    let mut command = Command::new(program);
    command.env("RUSTC_BOOTSTRAP", "1").current_dir(root().join("fuzz"));
    std::fs::create_dir_all(root().join("fuzz/corpus/archive"))?;
    command.args(["run", "archive", "corpus/archive", "seeds/archive", "--", &seconds, &memory]);
    run(&mut command)?;
    println!("test fuzz archive for {FUZZ_SECONDS} seconds ... ok");
    Ok(())
}
