//! Progress on stderr: bars for a person, lines for a pipe or a log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use strongroom_engine::words::phase;
use strongroom_engine::{Event, LogLine, Observer};

use crate::words::{count, say, size};

/// How often a log learns how far it is.
const LINE_EVERY: Duration = Duration::from_secs(10);
const STYLE: &str = "{msg:24} [{bar:32}] {percent:>3} %  {binary_bytes_per_sec}  {eta} left";

/// What a person reads of an event that stands in a line of its own.
fn told(event: &Event) -> Option<String> {
    let LogLine { message, .. } = event.log_line()?;
    match event {
        Event::Warning(_) => Some(format!("warning: {message}")),
        Event::Member(_) | Event::Slowed { .. } | Event::Retrying { .. } => Some(message),
        _ => None,
    }
}

fn say_line(event: &Event) {
    if let Some(line) = event.log_line() {
        say(&line.message);
    }
}

/// A bar of bytes.
#[derive(Debug)]
pub(crate) struct Bars(ProgressBar);

impl Bars {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template(STYLE) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }
}

impl Observer for Bars {
    fn observe(&self, event: &Event) {
        match event {
            Event::Planned { bytes, .. } => {
                self.0.set_length(*bytes);
                self.0.set_position(0);
            }
            Event::Phase { phase: step } => self.0.set_message(phase(*step)),
            Event::Advanced { bytes, .. } => self.0.inc(*bytes),
            other => {
                if let Some(line) = told(other) {
                    self.0.println(line);
                }
            }
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A line for each step, and now and then one that says how far it is.
#[derive(Debug)]
pub(crate) struct Lines(Mutex<Tally>);

#[derive(Debug)]
struct Tally {
    documents: u64,
    bytes: u64,
    planned: u64,
    said: Instant,
}

impl Lines {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Tally { documents: 0, bytes: 0, planned: 0, said: Instant::now() }))
    }
}

impl Observer for Lines {
    fn observe(&self, event: &Event) {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Planned { bytes, .. } => {
                (tally.planned, tally.bytes, tally.documents) = (*bytes, 0, 0);
                say_line(event);
            }
            Event::Phase { .. } => say_line(event),
            Event::Advanced { documents, bytes } => {
                tally.documents += documents;
                tally.bytes += bytes;
                if tally.said.elapsed() >= LINE_EVERY {
                    tally.said = Instant::now();
                    let (done, all) = (size(tally.bytes), size(tally.planned));
                    say(&format!("{done} of {all}, {}", count(tally.documents, "document")));
                }
            }
            other => {
                if let Some(line) = told(other) {
                    say(&line);
                }
            }
        }
    }
}
