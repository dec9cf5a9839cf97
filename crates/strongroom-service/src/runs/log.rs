//! What a run says while it works: lines of its log, and how far it is. Both are bounded, whatever the engine reports.

use std::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use strongroom_engine::{Clock, Event, Level as Told, Observer, Warning};

use crate::model::{Level, LogLine, Problem, Progress};

/// Lines of plain news that one try may write. What comes after is counted.
const INFO_MAX: u64 = 1_000;
/// Lines of warnings that one try may write besides.
const WARNINGS_MAX: u64 = 500;
/// Characters of a line.
const MESSAGE_MAX: usize = 2_000;

/// Hears a job, and keeps what the state and those who watch will ask for.
pub struct Recorder {
    clock: Arc<dyn Clock>,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    lines: Vec<LogLine>,
    /// How many of them were told.
    told: usize,
    last_number: u64,
    info: u64,
    warnings: u64,
    left_out: u64,
    progress: Progress,
    objects_left: bool,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("progress", &self.progress()).finish_non_exhaustive()
    }
}

impl Recorder {
    /// For a try of a run whose log has so many lines already.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, last_number: u64) -> Self {
        Self { clock, heard: Mutex::new(Heard { last_number, ..Heard::default() }) }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the job is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.heard().progress.clone()
    }

    /// The lines that were not told yet, in their order.
    #[must_use]
    pub fn untold(&self) -> Vec<LogLine> {
        let heard = self.heard();
        heard.lines[heard.told..].to_vec()
    }

    /// These lines were told.
    pub fn told(&self, lines: &[LogLine]) {
        let mut heard = self.heard();
        let Some(last) = lines.last() else { return };
        heard.told = heard.lines.partition_point(|line| line.number <= last.number);
    }

    /// Whether objects were left in the location that could not be taken back.
    #[must_use]
    pub fn objects_left(&self) -> bool {
        self.heard().objects_left
    }

    /// Writes a line.
    pub fn line(&self, level: Level, code: &str, message: &str) {
        let at = self.clock.now();
        self.heard().push(at, level, code, message);
    }

    /// Writes down how the try ended.
    pub fn ended(&self, problem: Option<&Problem>) {
        let at = self.clock.now();
        let mut heard = self.heard();
        if heard.left_out > 0 {
            let message = format!("{} lines were left out of this log", heard.left_out);
            heard.write(at, Level::Warning, "left-out", &message);
        }
        match problem {
            Some(problem) => {
                let help = problem.help.as_ref().map(|help| format!(" {help}")).unwrap_or_default();
                heard.write(at, Level::Error, &problem.code, &format!("{}.{help}", problem.message));
            }
            None => heard.write(at, Level::Info, "succeeded", "done"),
        }
    }

    /// The whole log of this try, a line of JSON each.
    #[must_use]
    pub fn json_lines(&self) -> String {
        let mut text = String::new();
        for line in &self.heard().lines {
            if let Ok(json) = serde_json::to_string(line) {
                let _ = writeln!(text, "{json}");
            }
        }
        text
    }
}

impl Heard {
    fn push(&mut self, at: DateTime<Utc>, level: Level, code: &str, message: &str) {
        let (written, most) = match level {
            Level::Info => (&mut self.info, INFO_MAX),
            Level::Warning | Level::Error => (&mut self.warnings, WARNINGS_MAX),
        };
        if *written == most {
            self.left_out += 1;
            return;
        }
        *written += 1;
        self.write(at, level, code, message);
    }

    fn write(&mut self, at: DateTime<Utc>, level: Level, code: &str, message: &str) {
        self.last_number += 1;
        // Names in the data are anything, and a database may take no control character.
        let message =
            message.chars().take(MESSAGE_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.lines.push(LogLine { number: self.last_number, at, level, code: code.into(), message });
    }

    fn count(&mut self, event: &Event) {
        match event {
            Event::Planned { documents, bytes, .. } => {
                self.progress.documents_total = *documents;
                self.progress.bytes_total = *bytes;
            }
            Event::Phase { phase } => self.progress.phase = Some(phase.as_str().into()),
            Event::Advanced { documents, bytes } => {
                self.progress.documents += documents;
                self.progress.bytes += bytes;
            }
            Event::Segment { stored_bytes, .. } => self.progress.stored_bytes += stored_bytes,
            Event::Warning(Warning::ObjectsLeft { .. }) => self.objects_left = true,
            _ => {}
        }
    }
}

impl Observer for Recorder {
    fn observe(&self, event: &Event) {
        let at = self.clock.now();
        let mut heard = self.heard();
        heard.count(event);
        if let Some((level, code, message)) = told(event) {
            heard.push(at, level, &code, &message);
        }
    }
}

/// An event as a line of a log; none for what is only counted.
fn told(event: &Event) -> Option<(Level, String, String)> {
    if matches!(event, Event::Segment { .. }) {
        return None;
    }
    let line = event.log_line()?;
    let level = match (event, line.level) {
        (Event::Retrying { .. }, _) | (_, Told::Warning) => Level::Warning,
        (_, Told::Detail | Told::Info) => Level::Info,
    };
    Some((level, line.code, line.message))
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use strongroom_engine::Phase;

    use super::*;

    #[derive(Debug)]
    struct Fixed;

    #[async_trait]
    impl Clock for Fixed {
        fn now(&self) -> DateTime<Utc> {
            DateTime::from_timestamp(1_795_000_000, 0).unwrap()
        }

        async fn sleep_until(&self, _: DateTime<Utc>) {}
    }

    fn recorder() -> Recorder {
        Recorder::new(Arc::new(Fixed), 10)
    }

    #[test]
    fn lines_are_numbered_on_and_told_once() {
        let recorder = recorder();
        recorder.observe(&Event::Phase { phase: Phase::Reading });
        recorder.observe(&Event::Warning(Warning::SegmentsNotSeen));
        let lines = recorder.untold();
        recorder.told(&lines);
        let told: Vec<_> = lines.iter().map(|line| (line.number, line.level, line.code.as_str())).collect();
        assert_eq!(told, [(11, Level::Info, "phase"), (12, Level::Warning, "segments-not-seen")]);
        assert!(recorder.untold().is_empty());
        recorder.ended(None);
        assert_eq!(recorder.untold()[0].number, 13);
        assert_eq!(recorder.json_lines().lines().count(), 3);
    }

    #[test]
    fn progress_is_summed_up() {
        let recorder = recorder();
        recorder.observe(&Event::Planned { namespaces: 1, documents: 9, bytes: 90 });
        recorder.observe(&Event::Phase { phase: Phase::Reading });
        for _ in 0..2 {
            recorder.observe(&Event::Advanced { documents: 3, bytes: 30 });
            recorder.observe(&Event::Segment { key: "k".into(), stored_bytes: 7 });
        }
        let expected = Progress {
            phase: Some("reading".into()),
            documents: 6,
            documents_total: 9,
            bytes: 60,
            bytes_total: 90,
            stored_bytes: 14,
        };
        assert_eq!(recorder.progress(), expected);
    }

    #[test]
    fn a_log_is_bounded_and_says_what_was_left_out() {
        let recorder = recorder();
        for number in 0..3 * INFO_MAX {
            recorder.observe(&Event::Namespace { name: format!("d.{number}\u{0}\n"), documents: 1 });
        }
        let warning = Warning::ObjectsLeft { objects: 1, example: "x".repeat(2 * MESSAGE_MAX) };
        recorder.observe(&Event::Warning(warning));
        let problem =
            Problem { code: "SR-X".into(), message: "it broke".into(), help: Some("Mend it.".into()) };
        recorder.ended(Some(&problem));
        let lines = recorder.untold();
        assert_eq!(lines.len() as u64, INFO_MAX + 3);
        assert!(recorder.objects_left());
        assert!(
            lines
                .iter()
                .all(|line| line.message.chars().count() <= MESSAGE_MAX && !line.message.contains('\0'))
        );
        let [.., left_out, last] = &lines[..] else { panic!() };
        assert_eq!(left_out.message, "2000 lines were left out of this log");
        assert_eq!((last.level, last.message.as_str()), (Level::Error, "it broke. Mend it."));
    }
}
