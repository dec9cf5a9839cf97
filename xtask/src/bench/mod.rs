//! Figures: each work of the program against the limit and, where `MONGODUMP` and `MONGORESTORE` name them, against
//! MongoDB's own tools, in one run with the same server. Ratios and CPU seconds rather than time on the clock alone,
//! and everything in memory, since machines and disks are noisy.

mod measure;
mod others;
pub(crate) mod service;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sandbox::Sandbox;
use strongroom_engine::Filter;
use strongroom_engine::deployment::{Deployment, Find, ReadAt, Scan, Setback};
use testbed::mongod::Options;
use testbed::{Mongod, dataset};
use tokio::task::JoinSet;

use self::measure::{Taken, measure, verdict};
use self::others::Others;
use crate::Outcome;
use crate::steps;

pub(crate) use self::others::reads;

/// Memory as a file system.
const MEMORY: &str = "/dev/shm";
const READERS: [&str; 2] = ["--readers", "2"];

pub(crate) async fn run(runs: usize, megabytes: u64, growth: bool) -> Outcome {
    println!("building strongroom with all optimisations (about ten minutes the first time)");
    let build = ["build", "--release", "--package", "strongroom", "--package", "xtask"];
    steps::run(Command::new(env!("CARGO")).args(build).current_dir(steps::root()))?;
    let bench = Bench::new(runs)?;
    println!(
        "{} cores; {runs} runs each, medians; {} readers; data and output in memory\n",
        cores(),
        READERS[1]
    );
    println!("{:<40} {:>8} {:>8} {:>10} {:>12}", "", "CPU s", "wall s", "peak MiB", "output MB");
    let server = bench.load(megabytes).await?;
    bench.compare(&server.uri()).await?;
    bench.others(&server.uri())?;
    drop(server);
    if growth {
        bench.growth().await?;
    }
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

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.release.join("strongroom"));
        command.args(arguments).stdout(Stdio::null());
        command
    }

    fn backup(&self, uri: &str, to: &Path, compress: &str) -> Outcome<Taken> {
        if to.exists() {
            fs::remove_dir_all(to)?;
        }
        let to = format!("file://{}", to.display());
        measure(
            self.program(&["backup", "--quiet", "--uri", uri, "--compress", compress, "--to", &to])
                .args(READERS),
        )
    }

    fn drain(&self, uri: &str) -> Outcome<Taken> {
        measure(Command::new(self.release.join("xtask")).args(["drain", uri, READERS[1]]))
    }

    async fn compare(&self, uri: &str) -> Outcome {
        let drain = self.row("reading alone (the limit)", None, || self.drain(uri))?;
        let (plain_to, zstd_to) = (self.work.path().join("none"), self.work.path().join("zstd"));
        let plain =
            self.row("backup, no compression", Some(&plain_to), || self.backup(uri, &plain_to, "none"))?;
        let zstd = self.row("backup, zstd", Some(&zstd_to), || self.backup(uri, &zstd_to, "zstd"))?;
        let http = self.over_http(uri).await?;
        let dumped = self.mongodump(uri)?;
        let restores = self.restores(&zstd_to).await?;
        println!();
        let verdicts = [
            ("backup without compression: CPU / reading alone", plain.cpu / drain.cpu, 2.0),
            ("backup without compression: wall / reading alone", plain.wall / drain.wall, 1.4),
            ("backup over HTTP to the sandbox: wall / to a folder", http.wall / zstd.wall, 1.5),
            ("peak MiB with zstd", zstd.peak_mib, 150.0),
        ];
        for (what, ratio, limit) in verdicts {
            verdict(what, ratio, limit);
        }
        if let Some((archive, gzip, smaller)) = dumped {
            verdict("backup without compression: CPU / mongodump", plain.cpu / archive.cpu, 0.45);
            verdict("backup without compression: wall / mongodump", plain.wall / archive.wall, 0.65);
            verdict("backup, zstd: CPU / mongodump --gzip", zstd.cpu / gzip.cpu, 0.25);
            verdict("backup, zstd: wall / mongodump --gzip", zstd.wall / gzip.wall, 0.30);
            verdict(
                "backup, zstd: output / mongodump --gzip",
                folder_bytes(&zstd_to)? as f64 / smaller as f64,
                1.0,
            );
        }
        if let (ours, Some(theirs)) = restores {
            verdict("restore: CPU / mongorestore", ours.cpu / theirs.cpu, 0.25);
            verdict("restore: wall / mongorestore", ours.wall / theirs.wall, 0.60);
        }
        Ok(())
    }

    /// What other clients feel, when nothing else runs any more.
    fn others(&self, uri: &str) -> Outcome {
        let mongodump = std::env::var_os("MONGODUMP").map(PathBuf::from);
        Others { release: &self.release, work: self.work.path(), uri, mongodump, rounds: self.runs }.compare()
    }

    /// Measures, and prints what was taken and how much came out.
    fn row(&self, name: &str, out: Option<&Path>, one: impl FnMut() -> Outcome<Taken>) -> Outcome<Taken> {
        let taken = self.median(one)?;
        let bytes = match out {
            Some(path) if path.is_dir() => folder_bytes(path)?,
            Some(path) => fs::metadata(path)?.len(),
            None => 0,
        };
        let (cpu, wall, peak) = (taken.cpu, taken.wall, taken.peak_mib);
        println!("{name:<40} {cpu:>8.2} {wall:>8.2} {peak:>10.0} {:>12.1}", bytes as f64 / 1e6);
        Ok(taken)
    }

    /// Into a bucket of the sandbox, which runs in this process: its CPU does not count, its time does.
    async fn over_http(&self, uri: &str) -> Outcome<Taken> {
        let sandbox = Sandbox::builder().region("eu-central-1").start().await?;
        let key = sandbox.account().create_root_access_key();
        let mut number = 0;
        self.row("backup, zstd, over HTTP to the sandbox", None, || {
            number += 1;
            let bucket = format!("bench-{number}");
            sandbox.create_bucket(&bucket);
            let mut command =
                self.program(&["backup", "--quiet", "--uri", uri, "--to", &format!("s3://{bucket}/b")]);
            command.env("AWS_ENDPOINT_URL", sandbox.endpoint()).env("AWS_REGION", "eu-central-1");
            command.env("AWS_ACCESS_KEY_ID", &key.id).env("AWS_SECRET_ACCESS_KEY", &key.secret);
            measure(command.args(READERS))
        })
    }

    /// mongodump's archive, plain and gzipped, and the bytes of the latter.
    fn mongodump(&self, uri: &str) -> Outcome<Option<(Taken, Taken, u64)>> {
        let Some(program) = std::env::var_os("MONGODUMP") else {
            println!("(set MONGODUMP to compare with it)");
            return Ok(None);
        };
        let (archive, gzipped) = (self.work.path().join("archive"), self.work.path().join("archive.gz"));
        let dump = |to: &Path, more: &[&str]| {
            let mut command = Command::new(&program);
            command.args(["--quiet", "--uri", uri]).arg(format!("--archive={}", to.display())).args(more);
            measure(&mut command)
        };
        let plain = self.row("mongodump --archive", Some(&archive), || dump(&archive, &[]))?;
        fs::remove_file(&archive)?;
        let gzip = self.row("mongodump --archive --gzip", Some(&gzipped), || dump(&gzipped, &["--gzip"]))?;
        let bytes = fs::metadata(&gzipped)?.len();
        fs::remove_file(&gzipped)?;
        Ok(Some((plain, gzip, bytes)))
    }

    /// The backup restored, and its archive restored by mongorestore.
    async fn restores(&self, from: &Path) -> Outcome<(Taken, Option<Taken>)> {
        let archive = self.work.path().join("archive");
        let target = Mongod::start(Options {
            replica_set: true,
            parent: Some(PathBuf::from(MEMORY)),
            ..Options::default()
        })
        .await?;
        let uri = target.uri();
        let location = format!("file://{}", from.display());
        let ours = self.row("restore", None, || {
            measure(&mut self.program(&["restore", "--quiet", "--drop", "--uri", &uri, &location, "latest"]))
        })?;
        let Some(program) = std::env::var_os("MONGORESTORE") else {
            println!("(set MONGORESTORE to compare with it)");
            return Ok((ours, None));
        };
        self.write_archive(from, &archive)?;
        let theirs = self.row("mongorestore --archive", None, || {
            let mut command = Command::new(&program);
            command
                .args(["--quiet", "--drop", "--uri", &uri])
                .arg(format!("--archive={}", archive.display()));
            measure(&mut command)
        })?;
        fs::remove_file(&archive)?;
        Ok((ours, Some(theirs)))
    }

    /// What the same work takes of more and more.
    async fn growth(&self) -> Outcome {
        println!("\ngrowth (backup, zstd)");
        for megabytes in [250, 1000, 4000] {
            let server = self.load(megabytes).await?;
            let (uri, to) = (server.uri(), self.work.path().join("growth"));
            let taken = self.row(&format!("{megabytes} MB"), Some(&to), || self.backup(&uri, &to, "zstd"))?;
            println!("{:<40} {:>8.2} CPU s for each GB", "", taken.cpu / megabytes as f64 * 1000.0);
            fs::remove_dir_all(&to)?;
        }
        Ok(())
    }

    fn write_archive(&self, store: &Path, to: &Path) -> Outcome {
        let mut command = Command::new(self.release.join("strongroom"));
        command.args(["cat", "--quiet"]).arg(format!("file://{}", store.display())).arg("latest");
        steps::run(command.stdout(fs::File::create(to)?))
    }
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

/// Loads the bench's data into a server.
pub(crate) async fn load(uri: &str, megabytes: u64) -> Outcome {
    let client = mongodb::Client::with_uri_str(uri).await?;
    Ok(dataset::generate(&client, megabytes * 1_000_000).await?)
}

/// Reads all documents as raw batches, and throws them away.
pub(crate) async fn drain(uri: &str, readers: usize) -> Outcome {
    const REPLY_DOCUMENTS: u32 = 10_000;
    let deployment = Arc::new(Deployment::connect(&uri.parse()?).await?);
    let mut namespaces = deployment.namespaces(&Filter::default()).await?.namespaces;
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
                    is_raw: false,
                    batch_documents: Some(REPLY_DOCUMENTS),
                };
                let mut batches = deployment.read(&find).await.map_err(Setback::into_error)?;
                while batches.next().await.map_err(Setback::into_error)?.is_some() {}
            }
            Ok::<(), strongroom_engine::Error>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}
