//! What other clients feel while a server is dumped: a client reads single documents of it by their `_id`, beside
//! nothing, beside mongodump, and beside backups.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mongodb::Collection;
use mongodb::bson::{Bson, Document, doc};
use strongroom_engine::backup::readers_default;
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

use super::measure::{measure, verdict};
use crate::Outcome;

/// Reads that the client has under way at once. Each is followed by the next without a pause.
const AT_ONCE: usize = 2;
/// Documents that it reads in turn, chosen at random. For less than a twentieth of a collection `$sample` uses a random
/// cursor and does not read it all (MongoDB's manual).
const DOCUMENTS: i32 = 10_000;
/// How long it reads beside each, at least.
const SPELL: Duration = Duration::from_secs(8);
/// How much longer a dump may take before it counts as slower, as a share: machines are noisy.
const NOISE: f64 = 0.1;
/// What the client prints when it begins.
const READY: &str = "ready";

/// What the client reads beside.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Beside {
    Nothing,
    Mongodump,
    /// With as many readers as the program chooses, or with these.
    Backup(Option<&'static str>),
}

impl Beside {
    fn name(self) -> String {
        match self {
            Self::Nothing => "nothing".to_owned(),
            Self::Mongodump => "mongodump --archive".to_owned(),
            Self::Backup(None) => format!("backup, default (readers here: {})", readers_default()),
            Self::Backup(Some(readers)) => format!("backup, --readers {readers}"),
        }
    }
}

/// What the client felt in one spell, or the medians of several.
#[derive(Debug, Clone, Copy)]
struct Felt {
    /// Milliseconds that half of the reads took at most.
    p50: f64,
    /// Milliseconds that all reads but a hundredth took at most.
    p99: f64,
    reads_per_second: f64,
    /// Seconds of a dump, the median; none beside nothing.
    wall: Option<f64>,
}

/// The comparison, with a server that nobody else uses.
pub(super) struct Others<'a> {
    /// Folder of the programs that were built with all optimisations.
    pub(super) release: &'a Path,
    pub(super) work: &'a Path,
    pub(super) uri: &'a str,
    pub(super) mongodump: Option<PathBuf>,
    /// Spells beside each. They take turns, so that what slows the machine for a while slows all of them.
    pub(super) rounds: usize,
}

impl Others<'_> {
    pub(super) fn compare(&self) -> Outcome {
        println!("\nwhat other clients feel: reads by _id, {AT_ONCE} at once, beside");
        println!("{:<40} {:>8} {:>8} {:>10} {:>12}", "", "p50 ms", "p99 ms", "reads/s", "wall s");
        let mut all = vec![Beside::Nothing];
        all.extend(self.mongodump.is_some().then_some(Beside::Mongodump));
        all.extend([None, Some("1"), Some("2")].map(Beside::Backup));
        let mut spells = vec![Vec::new(); all.len()];
        for _ in 0..self.rounds.max(1) {
            for (beside, spells) in all.iter().zip(&mut spells) {
                spells.push(self.spell(*beside)?);
            }
        }
        let felt: Vec<(Beside, Felt)> = all.into_iter().zip(spells.iter().map(|s| medians(s))).collect();
        for (beside, felt) in &felt {
            let wall = felt.wall.map_or_else(String::new, |wall| format!("{wall:.2}"));
            let Felt { p50, p99, reads_per_second, .. } = felt;
            println!("{:<40} {p50:>8.2} {p99:>8.2} {reads_per_second:>10.0} {wall:>12}", beside.name());
        }
        let of = |wanted| felt.iter().find(|(beside, _)| *beside == wanted).map(|(_, felt)| *felt);
        if let (Some(ours), Some(theirs)) = (of(Beside::Backup(None)), of(Beside::Mongodump)) {
            println!();
            verdict("reads beside a default backup: p99 / mongodump", ours.p99 / theirs.p99, 1.0);
            if let (Some(ours), Some(theirs)) = (ours.wall, theirs.wall) {
                verdict("default backup beside reads: wall / mongodump", ours / theirs, 1.0 + NOISE);
            }
        }
        Ok(())
    }

    /// The client reads until dumps have run for long enough.
    fn spell(&self, beside: Beside) -> Outcome<Felt> {
        let client = Client::start(self.release, self.uri)?;
        let to = self.work.join("beside");
        let begun = Instant::now();
        let mut walls = Vec::new();
        while begun.elapsed() < SPELL {
            if let Some(mut dump) = self.dump(beside, &to) {
                walls.push(measure(&mut dump)?.wall);
                if to.is_dir() { fs::remove_dir_all(&to)? } else { fs::remove_file(&to)? }
            } else {
                std::thread::sleep(SPELL);
            }
        }
        Ok(Felt { wall: median(walls), ..client.end()? })
    }

    fn dump(&self, beside: Beside, to: &Path) -> Option<Command> {
        let mut command = match beside {
            Beside::Nothing => return None,
            Beside::Mongodump => {
                let mut command = Command::new(self.mongodump.as_ref()?);
                command.arg(format!("--archive={}", to.display()));
                command
            }
            Beside::Backup(readers) => {
                let mut command = Command::new(self.release.join("strongroom"));
                command.arg("backup").arg("--to").arg(format!("file://{}", to.display()));
                command.args(readers.map(|readers| format!("--readers={readers}")));
                command
            }
        };
        command.args(["--quiet", "--uri", self.uri]).stdout(Stdio::null());
        Some(command)
    }
}

fn median(mut of: Vec<f64>) -> Option<f64> {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied()
}

fn medians(spells: &[Felt]) -> Felt {
    let of = |what: fn(&Felt) -> f64| median(spells.iter().map(what).collect()).unwrap_or(f64::NAN);
    Felt {
        p50: of(|felt| felt.p50),
        p99: of(|felt| felt.p99),
        reads_per_second: of(|felt| felt.reads_per_second),
        wall: median(spells.iter().filter_map(|felt| felt.wall).collect()),
    }
}

/// A process that runs [`reads`]. It was built with all optimisations, as this one need not be.
struct Client {
    process: Child,
    input: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Client {
    /// Returns once it reads.
    fn start(release: &Path, uri: &str) -> Outcome<Self> {
        let mut process = Command::new(release.join("xtask"))
            .args(["reads", uri])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take().ok_or("the client has no input")?;
        let mut answers = BufReader::new(process.stdout.take().ok_or("the client has no output")?);
        let mut ready = String::new();
        answers.read_line(&mut ready)?;
        if ready.trim_end() != READY {
            return Err(format!("the client does not read: {ready}").into());
        }
        Ok(Self { process, input, answers })
    }

    fn end(mut self) -> Outcome<Felt> {
        drop(self.input);
        let mut answer = String::new();
        self.answers.read_to_string(&mut answer)?;
        self.process.wait()?;
        let figures: Vec<f64> = answer.split_whitespace().filter_map(|figure| figure.parse().ok()).collect();
        let [p50, p99, reads_per_second] = figures[..] else {
            return Err(format!("the client did not read on: {answer}").into());
        };
        Ok(Felt { p50, p99, reads_per_second, wall: None })
    }
}

/// Reads single documents by `_id` until the standard input ends. Then prints the milliseconds that half of the reads
/// and all but a hundredth took at most, and the number of reads in a second.
pub(crate) async fn reads(uri: &str) -> Outcome {
    // The largest collection of the bench's data.
    let events = mongodb::Client::with_uri_str(uri).await?.database("bench").collection("events");
    let ids = Arc::new(ids(&events).await?);
    let is_over = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    for task in 0..AT_ONCE {
        let first = ids.len() / AT_ONCE * task;
        tasks.spawn(read_on(events.clone(), ids.clone(), first, is_over.clone()));
    }
    println!("{READY}");
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    is_over.store(true, Ordering::Relaxed);
    let mut taken = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        taken.extend(ended??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    taken.sort();
    let at = |part: usize| taken.get(taken.len() * part / 100).map_or(f64::NAN, |t| t.as_secs_f64() * 1000.0);
    println!("{} {} {}", at(50), at(99), taken.len() as f64 / seconds);
    Ok(())
}

async fn ids(of: &Collection<Document>) -> Outcome<Vec<Bson>> {
    let sample = [doc! { "$sample": { "size": DOCUMENTS } }, doc! { "$project": { "_id": 1 } }];
    let mut cursor = of.aggregate(sample).await?;
    let mut ids = Vec::new();
    while cursor.advance().await? {
        ids.push(cursor.deserialize_current()?.remove("_id").ok_or("a document without an _id")?);
    }
    Ok(ids)
}

/// Reads one after the other until it is over, and returns what each took.
async fn read_on(
    of: Collection<Document>,
    ids: Arc<Vec<Bson>>,
    first: usize,
    is_over: Arc<AtomicBool>,
) -> Outcome<Vec<Duration>> {
    let mut taken = Vec::new();
    for id in ids.iter().cycle().skip(first) {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let begun = Instant::now();
        of.find_one(doc! { "_id": id }).await?.ok_or("a document is gone")?;
        taken.push(begun.elapsed());
    }
    Ok(taken)
}
