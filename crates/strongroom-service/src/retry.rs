//! Whether what failed is tried again, and when: by who or what can put it right.

use std::time::Duration;

use strongroom_engine::{Backoff, Class};

use crate::model::{RunKind, RunLimits};

/// The longest pause between two tries.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// Tries of what most likely fails again: a second one tells a fault from an accident.
const TRIES_OF_LASTING: u64 = 2;

/// How many times a run of this kind is tried that fails so, the first time included.
///
/// A restore is never tried again by itself: only a person knows whether what the target holds by then may go.
#[must_use]
pub fn tries(kind: RunKind, class: Class, limits: &RunLimits) -> u64 {
    let most = limits.attempts.get();
    match (kind, class) {
        (RunKind::Restore, _) | (_, Class::User) => 1,
        (_, Class::Passing) => most,
        // What was read damaged may be read whole from the beginning; what is stored damaged stays so.
        (RunKind::Backup, Class::Damage) | (_, Class::Lasting) => most.min(TRIES_OF_LASTING),
        (_, Class::Damage) => 1,
    }
}

/// The pause after `attempt` tries that failed so; none: it is not tried again. `random` is evenly spread over 0 to 1: it
/// shortens the pause by up to half, so that runs that failed together do not return together.
#[must_use]
pub fn pause(kind: RunKind, class: Class, attempt: u64, limits: &RunLimits, random: f64) -> Option<Duration> {
    let retries = tries(kind, class, limits).saturating_sub(1);
    let retries = u32::try_from(retries).unwrap_or(u32::MAX);
    let first = Duration::from_secs(limits.retry_after_seconds.get());
    let failures = u32::try_from(attempt).unwrap_or(u32::MAX);
    Backoff::new(first, LONGEST, retries).jittered_pause(failures, random)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Int;

    const LIMITS: RunLimits =
        RunLimits { attempts: Int::of(4), retry_after_seconds: Int::of(60), deadline_minutes: None };

    fn pauses(kind: RunKind, class: Class) -> Vec<u64> {
        let pause = |attempt| pause(kind, class, attempt, &LIMITS, 1.0);
        (1..).map_while(pause).map(|pause| pause.as_secs()).collect()
    }

    #[test]
    fn what_passes_is_tried_again_with_pauses_that_double() {
        assert_eq!(pauses(RunKind::Backup, Class::Passing), [60, 120, 240]);
        let slow = RunLimits { retry_after_seconds: Int::of(3000), ..LIMITS };
        assert_eq!(pause(RunKind::Backup, Class::Passing, 2, &slow, 1.0), Some(LONGEST));
        assert_eq!(pause(RunKind::Backup, Class::Passing, 1, &LIMITS, 0.0), Some(Duration::from_secs(30)));
    }

    #[test]
    fn what_only_a_person_can_put_right_is_not_tried_again() {
        for kind in [RunKind::Backup, RunKind::Verify, RunKind::Prove, RunKind::Sweep] {
            assert!(pauses(kind, Class::User).is_empty());
        }
    }

    #[test]
    fn a_restore_is_never_tried_again_by_itself() {
        for class in [Class::Passing, Class::Lasting, Class::Damage, Class::User] {
            assert!(pauses(RunKind::Restore, class).is_empty());
        }
    }

    #[test]
    fn what_most_likely_fails_again_is_tried_twice() {
        assert_eq!(pauses(RunKind::Backup, Class::Lasting), [60]);
        assert_eq!(pauses(RunKind::Backup, Class::Damage), [60]);
        assert!(pauses(RunKind::Verify, Class::Damage).is_empty());
    }
}
