//! The fuzzer, and hostile archives for it.

use std::path::PathBuf;
use std::process::Command;

use testbed::tools;

use crate::Outcome;
use crate::steps::{root, run, step};

const FUZZ_VERSION: &str = "0.13.1";
const FUZZ_SECONDS: u32 = 60;
const FUZZ_MEMORY_MEGABYTES: u32 = 512;

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
pub(crate) fn fuzz() -> Outcome {
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
