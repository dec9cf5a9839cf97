//! The tools and the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use testbed::{ceph, tools};

use crate::Outcome;

const FUZZ_VERSION: &str = "0.13.1";
const FUZZ_SECONDS: u32 = 60;
const FUZZ_MEMORY_MEGABYTES: u32 = 512;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Fetches everything, and says what is had.
pub(crate) fn tools() -> Outcome {
    println!("mongod       {}", tools::mongod()?.display());
    ceph::install()?;
    println!("ceph         {}", ceph::PACKAGES.join(" "));
    println!("moto         {}", tools::python("moto", &[testbed::moto::PACKAGE])?.display());
    println!("cfn-lint     {}", tools::cfn_lint()?.display());
    println!("cargo-fuzz   {}", fuzzer()?.display());
    Ok(())
}

/// Every check, one after the other; the first that fails ends it.
pub(crate) fn test() -> Outcome {
    step("tools")?;
    tools()?;
    cargo("format", &["fmt", "--all", "--check"])?;
    cargo("lints", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])?;
    cargo("tests", &["test", "--workspace", "--no-fail-fast"])?;
    fuzz()?;
    println!("\nall checks passed");
    Ok(())
}

fn step(name: &str) -> Outcome {
    println!("\n== {name}");
    Ok(())
}

fn cargo(name: &str, arguments: &[&str]) -> Outcome {
    step(name)?;
    run(Command::new(env!("CARGO")).args(arguments).current_dir(root()))
}

pub(crate) fn run(command: &mut Command) -> Outcome {
    let shown = format!("{command:?}");
    let status = command.status().map_err(|e| format!("{shown}: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{shown}: {status}").into()) }
}

/// The fuzzer, built once into `target/tools`.
fn fuzzer() -> Outcome<PathBuf> {
    let folder = tools::folder().join(format!("cargo-fuzz-{FUZZ_VERSION}"));
    let program = folder.join("bin/cargo-fuzz");
    if !program.exists() {
        let install = ["install", "cargo-fuzz", "--quiet", "--locked", "--version", FUZZ_VERSION, "--root"];
        run(Command::new(env!("CARGO")).args(install).arg(&folder))?;
    }
    Ok(program)
}

/// Hostile archives for a minute. The fuzzer wants compiler flags that are not stable, and nothing else of a
/// nightly compiler.
fn fuzz() -> Outcome {
    step("fuzz the archive")?;
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
