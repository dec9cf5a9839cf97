//! What came of a probe, and what follows from it. Pure.

use crate::bucket::probe::{Answer, Done};
use crate::error::{Code, Error};
use crate::guard::prove::Verdict;

/// What came of a probe: only what was seen.
#[derive(Debug)]
pub(super) enum Outcome {
    /// One request, and its answer.
    Asked(Answer),
    /// A job of several requests was done.
    Worked,
    /// A job of several requests failed.
    Failed(Error),
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self::Asked(answer)
    }
}

impl<T> From<Result<T, Error>> for Outcome {
    fn from(done: Result<T, Error>) -> Self {
        done.map_or_else(Self::Failed, |_| Self::Worked)
    }
}

impl Outcome {
    fn worked(&self) -> bool {
        matches!(self, Self::Worked | Self::Asked(Answer::Done(_)))
    }

    fn refused(&self) -> bool {
        match self {
            Self::Asked(answer) => answer.refused(),
            Self::Failed(error) => error.code() == Code::Denied,
            Self::Worked => false,
        }
    }

    fn not_offered(&self) -> bool {
        match self {
            Self::Asked(answer) => answer.not_offered(),
            Self::Failed(error) => error.code() == Code::NotOffered,
            Self::Worked => false,
        }
    }

    fn error_status(&self) -> Option<u16> {
        match self {
            Self::Asked(answer) => answer.error_status(),
            Self::Worked | Self::Failed(_) => None,
        }
    }

    /// In words.
    pub(super) fn seen(&self) -> String {
        match self {
            Self::Worked => "done".into(),
            Self::Failed(error) => format!("{}: {}", error.code().as_str(), error.message()),
            Self::Asked(answer) => seen(answer),
        }
    }
}

pub(super) fn seen(answer: &Answer) -> String {
    match answer {
        Answer::Done(Done { encryption: Some(mode), .. }) => format!("done, encryption {mode}"),
        Answer::Done(_) => "done".into(),
        Answer::Silence(why) => format!("no answer: {why}"),
        Answer::Error { status, code, message } => {
            let name = if code.is_empty() { String::new() } else { format!(" {code}") };
            let message = if message.is_empty() { String::new() } else { format!(": {message}") };
            format!("{status}{name}{message}")
        }
    }
}

/// What must come of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Must {
    Work,
    BeRefused,
    /// Refused because something is there already.
    Conflict,
    /// Not found, because it was deleted.
    BeGone,
}

impl Must {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Work => "done",
            Self::BeRefused => "refused",
            Self::Conflict => "412, because it is there already",
            Self::BeGone => "404",
        }
    }

    pub(super) fn judge(self, outcome: &Outcome) -> Verdict {
        let holds = match self {
            Self::Work => outcome.worked(),
            Self::BeRefused => outcome.refused(),
            Self::Conflict => outcome.error_status() == Some(412),
            Self::BeGone => outcome.error_status() == Some(404),
        };
        match (holds, self) {
            (true, _) => Verdict::Pass,
            (false, _) if outcome.not_offered() => Verdict::NotOffered,
            (false, Self::Work) => Verdict::Fail,
            // It was done although it must not be.
            (false, _) if outcome.worked() => Verdict::Fail,
            // Neither done nor refused: no connection, a time-out, an error of the server.
            (false, _) => Verdict::CouldNotTell,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16) -> Outcome {
        Outcome::Asked(Answer::Error { status, code: String::new(), message: String::new() })
    }

    #[test]
    fn only_what_was_seen_counts() {
        use Verdict::{CouldNotTell, Fail, NotOffered, Pass};
        let done = || Outcome::Asked(Answer::Done(Done::default()));
        let silence = || Outcome::Asked(Answer::Silence("timed out".into()));
        let failed = |code| Outcome::Failed(Error::new(code, "so it is"));
        for (outcome, work, refused, conflict, gone) in [
            (done(), Pass, Fail, Fail, Fail),
            (Outcome::Worked, Pass, Fail, Fail, Fail),
            (error(403), Fail, Pass, CouldNotTell, CouldNotTell),
            (error(404), Fail, CouldNotTell, CouldNotTell, Pass),
            (error(412), Fail, CouldNotTell, Pass, CouldNotTell),
            (error(501), NotOffered, NotOffered, NotOffered, NotOffered),
            (error(503), Fail, CouldNotTell, CouldNotTell, CouldNotTell),
            (silence(), Fail, CouldNotTell, CouldNotTell, CouldNotTell),
            (failed(Code::Denied), Fail, Pass, CouldNotTell, CouldNotTell),
            (failed(Code::StoreHost), Fail, CouldNotTell, CouldNotTell, CouldNotTell),
            (failed(Code::Damaged), Fail, CouldNotTell, CouldNotTell, CouldNotTell),
        ] {
            let verdicts =
                [Must::Work, Must::BeRefused, Must::Conflict, Must::BeGone].map(|m| m.judge(&outcome));
            assert_eq!(verdicts, [work, refused, conflict, gone], "{outcome:?}");
        }
    }

    #[test]
    fn no_status_is_printed_that_no_server_sent() {
        let damaged = Outcome::Failed(Error::new(Code::Damaged, "other bytes came back"));
        for (outcome, words) in [
            (Outcome::Worked, "done"),
            (damaged, "SR-DAMAGED: other bytes came back"),
            (Outcome::Asked(Answer::Silence("timed out".into())), "no answer: timed out"),
            (error(403), "403"),
        ] {
            assert_eq!(outcome.seen(), words);
        }
    }
}
