//! Following a run until it ends.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use strongroom_service::control::ServiceCode;

use super::{table, which};
use crate::cli::service::Wait;
use crate::failure::{Remote, RemoteCode, Result};
use crate::output::Output;
use crate::remote::paths::Kind;
use crate::remote::{Ask, Client, Event, Events};
use crate::words::{in_line, size, visible};

/// Without an event about the run it is looked at this often: a proxy may keep events back.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// How often a log learns how far the run is.
const LINE_EVERY: Duration = Duration::from_secs(10);
const STYLE: &str = "{msg:24} [{bar:32}] {percent:>3} %  {binary_bytes_per_sec}  {eta} left";

/// Starts a run, and follows it if that is wanted.
pub(super) async fn start(client: &Client, request: Value, wait: &Wait, output: &Output) -> Result<()> {
    let run = client.ask(Ask::create(Kind::Run.path(), request)).await?.value;
    let id = which::id_of(Kind::Run, &run)?;
    if wait.wait {
        output.remark(&format!("{id} was started"));
        return until_it_ends(client, &id, output).await;
    }
    table::done(&run, &format!("{id} was started; `strongroom run watch {id}` follows it"), output)
}

/// Follows a run, shows its progress on stderr, and ends as it ended.
pub(super) async fn until_it_ends(client: &Client, id: &str, output: &Output) -> Result<()> {
    let mut progress = Progress::new(output);
    // Events are asked for first, so that none between is missed.
    let mut events = Events::of(client);
    let run = loop {
        let run = client.ask(Ask::get(Kind::Run.one(id))).await?.value;
        progress.show(&run["progress"], run["state"].as_str());
        if has_ended(&run) {
            break run;
        }
        let looked = Instant::now();
        while looked.elapsed() < LOOK_EVERY {
            let left = LOOK_EVERY.saturating_sub(looked.elapsed());
            let Ok(event) = tokio::time::timeout(left, events.next()).await else { break };
            match event? {
                Event::Resync => break,
                Event::Told { kind, data } if is_about(&data, id) => {
                    match data.get("progress").filter(|_| kind.contains("progress")) {
                        Some(told) => progress.show(told, Some("running")),
                        None => break,
                    }
                }
                Event::Told { .. } => {}
            }
        }
    };
    drop(progress);
    ended(&run, id, output)
}

fn has_ended(run: &Value) -> bool {
    !matches!(run["state"].as_str(), Some("queued" | "running"))
}

/// Whether an event says something of the run.
fn is_about(data: &Value, id: &str) -> bool {
    ["subject", "run", "id"].iter().any(|name| data[*name] == id)
}

/// Says how a run ended.
fn ended(run: &Value, id: &str, output: &Output) -> Result<()> {
    let state = run["state"].as_str().unwrap_or_default();
    if state == "succeeded" {
        table::show(&summary(run), output)?;
        return match run.pointer("/outcome/passed").or(run.pointer("/outcome/matches")) {
            Some(Value::Bool(false)) => Err(Remote::new(
                RemoteCode::Engine(match run["outcome"]["kind"].as_str() {
                    Some("prove") => strongroom_engine::Code::NotProved,
                    _ => strongroom_engine::Code::Incomplete,
                }),
                format!("{id} ended, and not all is as it should be"),
            )
            .help(format!("`strongroom run log {id}` says more."))
            .into()),
            _ => Ok(()),
        };
    }
    let problem = &run["problem"];
    let code = match (state, problem["code"].as_str()) {
        ("cancelled", _) => RemoteCode::Engine(strongroom_engine::Code::Cancelled),
        (_, Some(code)) => RemoteCode::named(code, false),
        _ => RemoteCode::Service(ServiceCode::Conflict),
    };
    let why = problem["message"].as_str().map(|message| format!(": {message}")).unwrap_or_default();
    let help = problem["help"].as_str().map(str::to_owned);
    let help = help.unwrap_or_else(|| format!("`strongroom run log {id}` says more."));
    Err(Remote::new(code, format!("{id} {}{why}", in_line(state))).help(help).into())
}

/// What of a run that went well counts.
fn summary(run: &Value) -> Value {
    let mut shown = serde_json::Map::new();
    for name in ["id", "state", "plan", "backup_name", "started_at", "ended_at", "outcome"] {
        shown.insert(name.into(), run[name].clone());
    }
    shown.into()
}

/// A bar for a person, lines for a pipe.
enum Progress {
    Silent,
    Bar(ProgressBar),
    Lines { phase: String, said: Instant },
}

impl Progress {
    fn new(output: &Output) -> Self {
        if output.is_quiet() {
            return Self::Silent;
        }
        if output.is_json() || !io::stderr().is_terminal() {
            return Self::Lines { phase: String::new(), said: Instant::now() };
        }
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template(STYLE) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self::Bar(bar)
    }

    fn show(&mut self, told: &Value, state: Option<&str>) {
        let number = |name: &str| told[name].as_u64().unwrap_or(0);
        let words = visible(told["phase"].as_str().or(state).unwrap_or_default()).replace('\n', " ");
        match self {
            Self::Silent => {}
            Self::Bar(bar) => {
                bar.set_length(number("bytes_total"));
                bar.set_position(number("bytes"));
                bar.set_message(words);
            }
            Self::Lines { phase, said } => {
                let (done, all) = (number("bytes"), number("bytes_total"));
                if *phase != words {
                    crate::words::say(&words);
                    (*phase, *said) = (words, Instant::now());
                } else if said.elapsed() >= LINE_EVERY && all > 0 {
                    crate::words::say(&format!("{} of {}", size(done), size(all)));
                    *said = Instant::now();
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::exit;

    #[test]
    fn a_run_that_failed_ends_the_command_with_its_code() {
        let output = Output::new(true, true);
        let status =
            |run: Value| ended(&run, "run_x", &output).map_err(|failure| exit::of(&failure)).unwrap_err();
        assert_eq!(status(json!({"state": "failed", "problem": {"code": "SR-DENIED", "message": "no"}})), 4);
        assert_eq!(status(json!({"state": "cancelled"})), 130);
        assert_eq!(
            status(json!({"state": "skipped", "problem": {"code": "SR-CONFLICT", "message": "no"}})),
            11
        );
    }

    #[test]
    fn only_events_about_the_run_count() {
        assert!(is_about(&json!({"subject": "run_x"}), "run_x"));
        assert!(!is_about(&json!({"subject": "run_y"}), "run_x"));
    }
}
