//! Why a run ended before it did what was asked for, in words.

use crate::model::{Int, Problem, Run, RunKind, RunRequest};

/// The code of a run whose worker vanished.
pub const WORKER_LOST: &str = "SR-WORKER-LOST";
/// The code of a run that a worker gave up when it was stopped.
pub const WORKER_STOPPED: &str = "SR-WORKER-STOPPED";
/// The code of a run that took too long.
pub const DEADLINE: &str = "SR-DEADLINE";

/// What a try that did not succeed left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remains {
    /// Whether objects of a backup may stand in its location, which are not taken back.
    pub objects: bool,
    /// Names of what a restore may have put into its target, as `db.collection`.
    pub in_target: Vec<String>,
}

pub(super) fn too_late(run: &Run, remains: &Remains) -> Problem {
    let minutes = run.limits.deadline_minutes.map_or(0, Int::get);
    let why = format!("the run did not end within {minutes} minutes");
    if run.request.kind() == RunKind::Restore {
        return restore_ended(run, DEADLINE, &why, remains);
    }
    let last = run.problem.as_ref().map(|problem| format!("; the last try failed: {}", problem.message));
    Problem {
        code: DEADLINE.into(),
        message: format!("{why}{}", last.unwrap_or_default()),
        help: Some("Allow more minutes, or find out in the log of the run what took so long.".into()),
    }
}

/// What a cancelled run has to say: only a restore leaves something that is not taken back.
pub(super) fn of_cancelled(run: &Run, why: &str, remains: &Remains) -> Option<Problem> {
    let restores = run.request.kind() == RunKind::Restore && !remains.in_target.is_empty();
    restores.then(|| restore_ended(run, "SR-CANCELLED", why, remains))
}

/// A restore that ended too early says what is in its target.
pub(super) fn restore_ended(run: &Run, code: &str, why: &str, remains: &Remains) -> Problem {
    const SHOWN: usize = 20;
    let target = match &run.request {
        RunRequest::Restore(request) => request.target.as_str(),
        _ => "the target",
    };
    let shown: Vec<String> = remains.in_target.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = match remains.in_target.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let holds = match shown.is_empty() {
        true => format!("nothing was written to `{target}` yet"),
        false => format!("`{target}` may hold a part of {}{more}", shown.join(", ")),
    };
    Problem {
        code: code.into(),
        message: format!("{why} before the restore ended: {holds}"),
        help: Some(
            "Look at the target, then restore again: `existing: drop` replaces what is there. A restore is never begun \
             again by itself."
                .into(),
        ),
    }
}

pub(super) fn worker_lost(run: &Run) -> Problem {
    Problem {
        code: WORKER_LOST.into(),
        message: format!("the worker was lost during try {}", run.attempt),
        help: Some("See in the log of the service whether it was killed or ran out of memory.".into()),
    }
}
