//! Errors of the engine, as runs and people are told of them.

use strongroom_engine::Error;

use crate::job::{Failure, Remains};
use crate::model::Problem;

/// An error as it is kept and shown.
#[must_use]
pub fn problem(error: &Error) -> Problem {
    let causes = error.causes().fold(String::new(), |text, cause| format!("{text}: {cause}"));
    Problem {
        code: error.code().as_str().into(),
        message: format!("{}{causes}", error.message()),
        help: error.help_text().map(ToString::to_string),
    }
}

/// Why a run failed. `random` is evenly spread over 0 to 1.
#[must_use]
pub fn failure(error: &Error, remains: Remains, random: f64) -> Failure {
    Failure { class: error.code().class(), problem: problem(error), remains, random }
}
