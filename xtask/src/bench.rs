//! Figures: backup against reading alone, and against gzip, in one run with the same server. CPU seconds rather
//! than time on the clock, and everything in memory, since machines and disks are noisy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use strongroom_engine::deployment::{Deployment, Find, ReadAt, Scan, Setback};
use testbed::mongod::Options;
use testbed::{Mongod, dataset};
use tokio::task::JoinSet;

use crate::Outcome;
use crate::suite;

/// Memory as a file system.
const MEMORY: &str = "/dev/shm";
const READERS: usize = 2;
/// The kernel counts CPU time in hundredths of a second (`USER_HZ`, proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;
const POLL: Duration = Duration::from_millis(5);

/// What one run of a program took.
#[derive(Debug, Clone, Copy)]
struct Taken {
    cpu: f64,
    wall: f64,
    peak_mib: f64,
}

pub(crate) async fn run(runs: usize, megabytes: u64) -> Outcome {
    let build = ["build", "--release", "--quiet", "--package", "strongroom", "--package", "xtask"];
    suite::run(Command::new(env!("CARGO")).args(build).current_dir(suite::root()))?;
    let bench = Bench::new(runs)?;
    println!("{} cores; {runs} runs each, medians; {READERS} readers; data and output in memory\n", cores());
    let (drain, zstd) = bench.compare(megabytes).await?;
    let larger = bench.peak(megabytes * 4).await?;
    println!(
        "\npeak memory with {READERS} readers, zstd: {:.0} MiB at {megabytes} MB, {larger:.0} MiB at {} MB",
        zstd.peak_mib,
        megabytes * 4
    );
    println!("(limit 160 MiB at both; reading alone needs {:.0} MiB)", drain.peak_mib);
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

struct Bench {
    runs: usize,
    work: tempfile::TempDir,
    release: PathBuf,
}

impl Bench {
    fn new(runs: usize) -> Outcome<Self> {
        let mut release = std::env::current_exe()?;
        release.pop();
        release.pop();
        release.push("release");
        Ok(Self { runs, work: tempfile::Builder::new().prefix("bench-").tempdir_in(MEMORY)?, release })
    }

    async fn load(&self, megabytes: u64) -> Outcome<Mongod> {
        let parent = Some(PathBuf::from(MEMORY));
        let server = Mongod::start(Options { replica_set: true, parent, ..Options::default() }).await?;
        dataset::generate(&server.client().await?, megabytes * 1_000_000).await?;
        Ok(server)
    }

    /// The median run by CPU seconds.
    fn median(&self, mut one: impl FnMut() -> Outcome<Taken>) -> Outcome<Taken> {
        // One run warms the server's cache up, and does not count.
        one()?;
        let mut taken = (0..self.runs.max(1)).map(|_| one()).collect::<Outcome<Vec<_>>>()?;
        taken.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
        Ok(taken[taken.len() / 2])
    }

    fn backup(&self, uri: &str, to: &Path, compress: &str) -> Outcome<Taken> {
        if to.exists() {
            fs::remove_dir_all(to)?;
        }
        let mut command = Command::new(self.release.join("strongroom"));
        command.args([
            "backup",
            "--quiet",
            "--uri",
            uri,
            "--readers",
            &READERS.to_string(),
            "--compress",
            compress,
        ]);
        measure(command.arg("--to").arg(format!("file://{}", to.display())).stdout(Stdio::null()))
    }

    fn drain(&self, uri: &str) -> Outcome<Taken> {
        measure(Command::new(self.release.join("xtask")).args(["drain", uri, &READERS.to_string()]))
    }

    async fn compare(&self, megabytes: u64) -> Outcome<(Taken, Taken)> {
        let server = self.load(megabytes).await?;
        let uri = server.uri();
        let drain = self.median(|| self.drain(&uri))?;
        let (plain_to, zstd_to) = (self.work.path().join("none"), self.work.path().join("zstd"));
        let plain = self.median(|| self.backup(&uri, &plain_to, "none"))?;
        let zstd = self.median(|| self.backup(&uri, &zstd_to, "zstd"))?;
        let (archive, gzipped) = (self.work.path().join("archive"), self.work.path().join("archive.gz"));
        self.write_archive(&plain_to, &archive)?;
        let gzip = self.median(|| {
            let out = fs::File::create(&gzipped)?;
            measure(Command::new("gzip").args(["-6", "-c"]).arg(&archive).stdout(out))
        })?;
        let bytes = |path: &Path| folder_bytes(path);
        let (raw, zstd_bytes) = (fs::metadata(&archive)?.len(), bytes(&zstd_to)?);
        let gzip_bytes = fs::metadata(&gzipped)?.len();
        println!("{:<34} {:>8} {:>8} {:>10} {:>12}", "", "CPU s", "wall s", "peak MiB", "output MB");
        let row = |name: &str, taken: Taken, out: u64| {
            println!(
                "{name:<34} {:>8.2} {:>8.2} {:>10.0} {:>12.1}",
                taken.cpu,
                taken.wall,
                taken.peak_mib,
                out as f64 / 1e6
            );
        };
        row("reading alone (the limit)", drain, 0);
        row("backup, no compression", plain, bytes(&plain_to)?);
        row("backup, zstd", zstd, zstd_bytes);
        row("gzip -6 of the same archive", gzip, gzip_bytes);
        println!("\narchive: {:.1} MB", raw as f64 / 1e6);
        verdict("CPU of backup without compression / reading alone", plain.cpu / drain.cpu, 2.5);
        verdict("size with zstd / gzip -6", zstd_bytes as f64 / gzip_bytes as f64, 1.0);
        verdict(
            "CPU with zstd / (a third of gzip -6 + reading)",
            zstd.cpu / (gzip.cpu / 3.0 + drain.cpu),
            1.0,
        );
        Ok((drain, zstd))
    }

    async fn peak(&self, megabytes: u64) -> Outcome<f64> {
        let server = self.load(megabytes).await?;
        let to = self.work.path().join("large");
        let taken = self.backup(&server.uri(), &to, "zstd")?;
        Ok(taken.peak_mib)
    }

    fn write_archive(&self, store: &Path, to: &Path) -> Outcome {
        let mut command = Command::new(self.release.join("strongroom"));
        command.args(["cat", "--quiet"]).arg(format!("file://{}", store.display())).arg("latest");
        suite::run(command.stdout(fs::File::create(to)?))
    }
}

fn verdict(what: &str, ratio: f64, limit: f64) {
    let holds = if ratio <= limit { "holds" } else { "DOES NOT HOLD" };
    println!("{what:<52} {ratio:>6.2}   (at most {limit}: {holds})");
}

fn folder_bytes(path: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        bytes +=
            if entry.file_type()?.is_dir() { folder_bytes(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

/// Runs a program and measures it: CPU by what the kernel adds to this process' ended children, the peak of
/// its memory by asking while it runs.
fn measure(command: &mut Command) -> Outcome<Taken> {
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
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() / TICKS_PER_SECOND)
}

/// Loads the bench's data into a server.
pub(crate) async fn load(uri: &str, megabytes: u64) -> Outcome {
    let client = mongodb::Client::with_uri_str(uri).await?;
    Ok(dataset::generate(&client, megabytes * 1_000_000).await?)
}

/// Reads all documents as raw batches, and throws them away.
pub(crate) async fn drain(uri: &str, readers: usize) -> Outcome {
    const REPLY_DOCUMENTS: u32 = 10_000;
    let deployment = Arc::new(Deployment::connect(&uri.parse()?).await?);
    let mut namespaces = deployment.namespaces(|_, _| true).await?;
    namespaces.sort_by_key(|namespace| std::cmp::Reverse(namespace.bytes));
    let (namespaces, next) = (Arc::new(namespaces), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..readers {
        let (deployment, namespaces, next) = (deployment.clone(), namespaces.clone(), next.clone());
        tasks.spawn(async move {
            while let Some(namespace) = namespaces.get(next.fetch_add(1, Ordering::Relaxed)) {
                if namespace.data_collection().is_none() {
                    continue;
                }
                let find = Find {
                    db: namespace.db.clone(),
                    collection: deployment.collection_id(namespace),
                    at: ReadAt::Now,
                    scan: Scan::Natural(None),
                    batch_documents: Some(REPLY_DOCUMENTS),
                };
                let mut batches = deployment.read(&find).await.map_err(Setback::into_error)?;
                while batches.next().await.map_err(Setback::into_error)?.is_some() {}
            }
            Ok::<(), strongroom_engine::error::Error>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}
