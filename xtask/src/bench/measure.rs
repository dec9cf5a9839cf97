//! What a run of a program took, and whether that is within a limit.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Outcome;

/// The kernel counts CPU time in hundredths of a second (`USER_HZ`, proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;
const POLL: Duration = Duration::from_millis(5);

/// What one run of a program took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    pub(super) cpu: f64,
    pub(super) wall: f64,
    pub(super) peak_mib: f64,
}

/// Runs a program and measures it: CPU by what the kernel adds to this process' ended children, the peak of
/// its memory by asking while it runs.
pub(super) fn measure(command: &mut Command) -> Outcome<Taken> {
    let before = children_cpu()?;
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::null()).spawn()?;
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak = 0.0_f64;
    let status = loop {
        if let Some(found) = fs::read_to_string(&status_file).ok().and_then(|status| high_water(&status)) {
            peak = peak.max(found);
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(POLL);
    };
    let wall = begun.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("{command:?}: {status}").into());
    }
    Ok(Taken { cpu: children_cpu()? - before, wall, peak_mib: peak / 1024.0 })
}

/// KiB of the most memory that was resident (`VmHWM`, proc(5)).
fn high_water(status: &str) -> Option<f64> {
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?
        .trim()
        .strip_suffix(" kB")?
        .trim()
        .parse()
        .ok()
}

/// CPU seconds of all ended children (`cutime` and `cstime`, proc(5)).
fn children_cpu() -> Outcome<f64> {
    cpu_seconds("/proc/self/stat", 13)
}

/// CPU seconds of a process that runs, without its children (`utime` and `stime`, proc(5)).
pub(super) fn cpu_of(process: u32) -> Outcome<f64> {
    cpu_seconds(&format!("/proc/{process}/stat"), 11)
}

/// The sum of two fields; `first` counts from the one after the name.
fn cpu_seconds(path: &str, first: usize) -> Outcome<f64> {
    let stat = fs::read_to_string(path)?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks =
        after_name.split_whitespace().skip(first).take(2).filter_map(|field| field.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() / TICKS_PER_SECOND)
}

/// Prints a ratio, and whether it holds.
pub(super) fn verdict(what: &str, ratio: f64, limit: f64) {
    let holds = if ratio <= limit { "holds" } else { "DOES NOT HOLD" };
    println!("{what:<52} {ratio:>6.2}   (at most {limit}: {holds})");
}
