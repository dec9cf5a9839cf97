//! The service as a process: how soon it answers, and what it takes.

use std::fs::{self, File};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use super::figure::{Bound, figure};
use super::place::Place;
use crate::Outcome;
use crate::bench::measure::cpu_of;

/// Requests at a time.
pub(super) const AT_ONCE: usize = 50;
const POLL: Duration = Duration::from_millis(5);
/// A start that takes longer has failed.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Its upkeep comes by every minute.
const REST: Duration = Duration::from_secs(60);

/// A service that answers.
pub(super) struct Process {
    child: Child,
    id: u32,
    pub(super) url: String,
    pub(super) http: reqwest::Client,
}

/// Starts it, and prints how long it took until it was ready.
pub(super) async fn start(place: &Place) -> Outcome<Process> {
    let listen = format!("127.0.0.1:{}", testbed::mongod::free_port()?);
    fs::create_dir_all(place.backups())?;
    let begun = Instant::now();
    let mut command = Command::new(&place.program);
    command.args(["serve", "--listen", &listen]).env("STRONGROOM_STATE_URL", &place.url);
    command.env("STRONGROOM_DATA", place.folder.path()).env("STRONGROOM_MASTER_KEY_FILE", place.key());
    command.env("STRONGROOM_FOLDERS", place.backups()).env("STRONGROOM_STOP_SECONDS", "10");
    let log = File::create(place.folder.path().join("log"))?;
    let child = command.stderr(log).kill_on_drop(true).spawn()?;
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(AT_ONCE).build()?;
    let id = child.id().ok_or("the service ended at once")?;
    let mut process = Process { child, id, url: format!("http://{listen}"), http };
    process.ready(begun, place).await?;
    figure("start, until it says that it is ready", begun.elapsed().as_secs_f64(), "s", Bound::Below(2.0));
    Ok(process)
}

impl Process {
    async fn ready(&mut self, begun: Instant, place: &Place) -> Outcome {
        let url = format!("{}/readyz", self.url);
        while !matches!(self.http.get(&url).send().await, Ok(answer) if answer.status().is_success()) {
            if self.child.try_wait()?.is_some() || begun.elapsed() > READY_WITHIN {
                let log = fs::read_to_string(place.folder.path().join("log"))?;
                return Err(format!("the service does not come up:\n{log}").into());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// CPU seconds that it has used so far.
    pub(super) fn cpu(&self) -> Outcome<f64> {
        cpu_of(self.id)
    }

    /// What it takes while nothing is asked of it: CPU, and the memory that it has come to hold.
    pub(super) async fn at_rest(&self) -> Outcome {
        let (before, begun) = (self.cpu()?, Instant::now());
        tokio::time::sleep(REST).await;
        let share = (self.cpu()? - before) / begun.elapsed().as_secs_f64();
        figure("CPU while nothing is asked, over a minute", share * 100.0, "%", Bound::Below(1.0));
        figure("memory after the lists (resident)", self.resident_megabytes()?, "MB", Bound::Below(150.0));
        Ok(())
    }

    /// `VmRSS` (proc(5)).
    pub(super) fn resident_megabytes(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024.0 / 1e6)
    }

    pub(super) async fn end(mut self) -> Outcome {
        let id = self.id.to_string();
        crate::steps::run(std::process::Command::new("kill").args(["-TERM", &id]))?;
        let status = self.child.wait().await?;
        if status.success() { Ok(()) } else { Err(format!("the service ended with {status}").into()) }
    }
}
