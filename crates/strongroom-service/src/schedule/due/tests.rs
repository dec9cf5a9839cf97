use chrono::NaiveDateTime;
use proptest::prelude::*;

use super::*;
use crate::schedule::{Cron, Every};

fn utc(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap().and_utc()
}

fn daily() -> Schedule {
    Schedule::Cron(Cron { pattern: "0 2 * * *".parse().unwrap(), zone: "UTC".parse().unwrap() })
}

fn hourly() -> Schedule {
    let (hours, anchor, zone) = (1.try_into().unwrap(), utc("2026-01-01 00:00"), "UTC".parse().unwrap());
    Schedule::Every(Every { hours, anchor, zone })
}

fn look<'a>(schedule: &'a Schedule, running: &'a Running, mark: &str, now: &str) -> Look<'a> {
    static NONE: BTreeSet<DateTime<Utc>> = BTreeSet::new();
    Look { schedule, running, quiet: None, mark: utc(mark), taken: &NONE, now: utc(now) }
}

fn due(at: &str, catch_up: bool) -> Option<Due> {
    Some(Due { scheduled_for: utc(at), catch_up })
}

#[test]
fn what_comes_due_runs_and_is_dealt_with() {
    let (schedule, running) = (daily(), Running::default());
    let before = decide(&look(&schedule, &running, "2026-11-24 02:00", "2026-11-25 01:59"));
    assert_eq!((before.run, before.next), (None, Some(utc("2026-11-25 02:00"))));
    let at = decide(&look(&schedule, &running, "2026-11-24 02:00", "2026-11-25 02:00"));
    assert_eq!(at.run, due("2026-11-25 02:00", false));
    assert_eq!((at.mark, at.missed), (utc("2026-11-25 02:00"), None));
    assert_eq!(at.next, Some(utc("2026-11-26 02:00")));
    let again = decide(&look(&schedule, &running, "2026-11-25 02:00", "2026-11-25 02:01"));
    assert_eq!(again.run, None);
}

#[test]
fn one_run_makes_up_for_all_that_were_missed() {
    let (schedule, running) = (daily(), Running::default());
    let found = decide(&look(&schedule, &running, "2026-11-20 02:00", "2026-11-25 14:00"));
    assert_eq!(found.run, due("2026-11-25 02:00", true));
    let gap = found.missed.unwrap();
    assert_eq!((gap.count, gap.first, gap.last), (4, utc("2026-11-21 02:00"), utc("2026-11-24 02:00")));
    assert_eq!(
        gap.to_string(),
        "4 runs from 2026-11-21 02:00 UTC to 2026-11-24 02:00 UTC could not start in time"
    );
}

#[test]
fn without_catching_up_all_are_missed_and_the_next_comes_at_its_time() {
    let (schedule, running) = (daily(), Running { catch_up: false, ..Running::default() });
    let found = decide(&look(&schedule, &running, "2026-11-20 02:00", "2026-11-25 14:00"));
    assert_eq!((found.run, found.missed.unwrap().count), (None, 5));
    assert_eq!((found.mark, found.next), (utc("2026-11-25 02:00"), Some(utc("2026-11-26 02:00"))));
    let in_time = decide(&look(&schedule, &running, "2026-11-20 02:00", "2026-11-25 03:00"));
    assert_eq!(in_time.run, due("2026-11-25 02:00", false), "an hour is given unless set");
}

#[test]
fn how_late_one_may_start_is_half_the_time_to_the_next_unless_set() {
    let late =
        |schedule: &Schedule, running: &Running| start_within(schedule, running, utc("2026-11-25 02:00"));
    assert_eq!(late(&daily(), &Running::default()), TimeDelta::hours(1));
    assert_eq!(late(&hourly(), &Running::default()), TimeDelta::minutes(30));
    let set = Running { start_within_minutes: Some(5.try_into().unwrap()), ..Running::default() };
    assert_eq!(late(&daily(), &set), TimeDelta::minutes(5));
}

#[test]
fn what_is_due_in_quiet_hours_runs_once_at_their_end() {
    let quiet = serde_json::from_str(r#"{"from":"08:00","until":"18:00","zone":"UTC"}"#).unwrap();
    let (schedule, running) =
        (hourly(), Running { catch_up: false, quiet_hours: Some(quiet), ..Running::default() });
    let waiting = decide(&look(&schedule, &running, "2026-11-25 07:00", "2026-11-25 12:10"));
    assert_eq!((waiting.run, waiting.missed), (None, None));
    assert_eq!((waiting.mark, waiting.next), (utc("2026-11-25 07:00"), Some(utc("2026-11-25 18:00"))));
    let open = decide(&look(&schedule, &running, "2026-11-25 07:00", "2026-11-25 18:00"));
    assert_eq!((open.run, open.missed.unwrap().count), (due("2026-11-25 18:00", false), 10));
    // The one of 02:00 waits until 18:00 and is not late then.
    let night = serde_json::from_str(r#"{"from":"01:00","until":"18:00","zone":"UTC"}"#).unwrap();
    let running = Running { catch_up: false, quiet_hours: Some(night), ..Running::default() };
    let daily = daily();
    let open = decide(&look(&daily, &running, "2026-11-24 02:00", "2026-11-25 18:00"));
    assert_eq!(open.run, due("2026-11-25 02:00", false));
}

#[test]
fn a_clock_that_was_a_year_ahead_loses_nothing_and_runs_nothing_twice() {
    let (schedule, running) = (daily(), Running::default());
    let ahead = decide(&look(&schedule, &running, "2026-11-25 02:00", "2027-11-25 02:10"));
    assert_eq!(ahead.run, due("2027-11-25 02:00", false));
    let back = decide(&Look {
        mark: ahead.mark,
        ..look(&schedule, &running, "2026-11-25 02:00", "2026-11-25 02:20")
    });
    assert_eq!(back.clock_went_back, Some(ahead.mark - utc("2026-11-25 02:20")));
    assert_eq!((back.run, back.next), (None, Some(utc("2026-11-26 02:00"))));
    let taken = BTreeSet::from([utc("2027-11-25 02:00")]);
    let later = Look {
        mark: back.mark,
        taken: &taken,
        ..look(&schedule, &running, "2026-11-25 02:00", "2026-11-26 02:00")
    };
    assert_eq!(decide(&later).run, due("2026-11-26 02:00", false));
    let a_year_on =
        Look { taken: &taken, ..look(&schedule, &running, "2027-11-24 02:00", "2027-11-25 02:00") };
    let found = decide(&a_year_on);
    assert_eq!((found.run, found.missed, found.mark), (None, None, utc("2027-11-25 02:00")));
}

#[test]
fn a_long_gap_is_counted_up_to_a_limit() {
    let every_minute =
        Schedule::Cron(Cron { pattern: "* * * * *".parse().unwrap(), zone: "UTC".parse().unwrap() });
    let running = Running::default();
    let found = decide(&look(&every_minute, &running, "2026-01-01 00:00", "2026-11-25 02:00"));
    let gap = found.missed.unwrap();
    assert_eq!((gap.count, gap.last), (Gap::MAX, utc("2026-11-25 01:59")));
    assert!(gap.to_string().starts_with("at least 100000 runs"));
}

/// The clock of a machine, its errors included, and the looks that are taken on the way.
fn looks() -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::vec(prop_oneof![8 => 1_i64..90, 1 => -3000_i64..0, 1 => 90_i64..6000], 1..120)
}

proptest! {
    #[test]
    fn whatever_the_clock_does_no_occurrence_runs_twice(steps in looks(), catch_up: bool, every_hour: bool) {
        let schedule = if every_hour { hourly() } else { daily() };
        let running = Running { catch_up, ..Running::default() };
        let mut now = utc("2026-06-01 00:30");
        let (mut mark, mut ran) = (Schedule::counts_from(now), BTreeSet::new());
        for step in steps {
            now += TimeDelta::minutes(step);
            let taken: BTreeSet<_> = ran.range(mark..).copied().filter(|at| *at > mark).collect();
            let found = decide(&Look { schedule: &schedule, running: &running, quiet: None, mark, taken: &taken, now });
            if let Some(run) = found.run {
                prop_assert!(run.scheduled_for <= now);
                prop_assert!(ran.insert(run.scheduled_for), "{} twice", run.scheduled_for);
            }
            mark = found.mark;
        }
    }

    #[test]
    fn every_occurrence_is_run_or_reported_as_missed_once(steps in proptest::collection::vec(1_i64..600, 1..80), catch_up: bool) {
        let (schedule, running) = (hourly(), Running { catch_up, ..Running::default() });
        let start = utc("2026-06-01 00:30");
        let (mut now, mut mark, taken) = (start, Schedule::counts_from(start), BTreeSet::new());
        let (mut ran, mut missed) = (0, 0);
        for step in steps {
            now += TimeDelta::minutes(step);
            let found = decide(&Look { schedule: &schedule, running: &running, quiet: None, mark, taken: &taken, now });
            ran += u64::from(found.run.is_some());
            missed += found.missed.map_or(0, |gap| gap.count);
            prop_assert!(found.next.unwrap() > now);
            mark = found.mark;
        }
        let all = crate::schedule::between(&schedule, start, now, usize::MAX).len() as u64;
        prop_assert_eq!(ran + missed, all);
    }
}
