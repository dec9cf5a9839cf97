use std::collections::BTreeSet;

use chrono::TimeZone;
use proptest::prelude::*;

use super::*;

fn utc(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap().and_utc()
}

fn cron(pattern: &str, zone: &str) -> Schedule {
    Schedule::Cron(Cron { pattern: pattern.parse().unwrap(), zone: zone.parse().unwrap() })
}

/// Local times, with offset and note, of the occurrences from midnight to midnight in UTC.
fn shown_between(schedule: &Schedule, from: &str, until: &str) -> Vec<String> {
    let (from, until) = (utc(&format!("{from} 00:00")), utc(&format!("{until} 00:00")));
    let line = |o: Occurrence| {
        let note = o.note.map_or_else(String::new, |note| format!(" ({note})"));
        format!("{}{note}", o.local.format("%d %H:%M %z"))
    };
    between(schedule, from, until, 100).into_iter().map(line).collect()
}

#[test]
fn several_times_a_day_in_new_york_come_once_each_when_clocks_change() {
    let spring = shown_between(&cron("30 2,14 * * *", "America/New_York"), "2026-03-08", "2026-03-09");
    assert_eq!(
        spring,
        [
            "08 03:00 -0400 (02:30 does not exist on this day, since the clock goes from 02:00 to 03:00: it runs at \
             03:00)",
            "08 14:30 -0400",
        ]
    );
    let autumn = shown_between(&cron("30 1,13 * * *", "America/New_York"), "2026-11-01", "2026-11-02");
    assert_eq!(
        autumn,
        [
            "01 01:30 -0400 (01:30 comes twice on this day, since the clock goes back: it runs the first time)",
            "01 13:30 -0500",
        ]
    );
}

#[test]
fn times_that_are_skipped_together_run_once_and_with_the_one_at_their_end() {
    let all = shown_between(&cron("*/15 2,3 * * *", "America/New_York"), "2026-03-08", "2026-03-09");
    assert_eq!(all.len(), 4);
    assert!(all[0].starts_with("08 03:00 -0400 (02:00, 02:15, 02:30 and 1 more do not exist"), "{}", all[0]);
    assert_eq!(all[1], "08 03:15 -0400");
}

#[test]
fn half_an_hour_in_lord_howe() {
    let spring = shown_between(&cron("15 2,14 * * *", "Australia/Lord_Howe"), "2026-10-03", "2026-10-04");
    assert_eq!(spring.len(), 2);
    assert_eq!(spring[0], "03 14:15 +1030");
    assert!(spring[1].starts_with("04 02:30 +1100 (02:15 does not exist"), "{}", spring[1]);
    let autumn = shown_between(&cron("45 1,13 * * *", "Australia/Lord_Howe"), "2026-04-04", "2026-04-05");
    assert!(autumn[1].starts_with("05 01:45 +1100 (01:45 comes twice"), "{autumn:?}");
}

#[test]
fn midnight_that_is_skipped_in_beirut() {
    let spring = shown_between(&cron("0,30 0,12 * * *", "Asia/Beirut"), "2026-03-28", "2026-03-29");
    assert_eq!(
        spring[2..3],
        ["29 01:00 +0300 (00:00 and 00:30 do not exist on this day, since the clock goes from \
         00:00 to 01:00: it runs at 01:00)"]
    );
    assert_eq!(spring.len(), 3, "{spring:?}");
    let autumn = shown_between(&cron("30 23,11 * * *", "Asia/Beirut"), "2026-10-24", "2026-10-25");
    assert!(autumn[1].starts_with("24 23:30 +0300 (23:30 comes twice"), "{autumn:?}");
    assert_eq!(autumn.len(), 2);
}

#[test]
fn the_month_of_fasting_in_casablanca() {
    let schedule = cron("30 2 * * *", "Africa/Casablanca");
    let begin = shown_between(&schedule, "2026-02-14", "2026-02-17");
    assert_eq!(begin.len(), 3, "{begin:?}");
    assert!(begin[1].starts_with("15 02:30 +0100 (02:30 comes twice"), "{begin:?}");
    assert_eq!(begin[2], "16 02:30 +0000");
    let end = shown_between(&schedule, "2026-03-21", "2026-03-24");
    assert!(end[1].starts_with("22 03:00 +0100 (02:30 does not exist"), "{end:?}");
}

#[test]
fn a_date_that_apia_skipped_has_no_run_and_the_next_has() {
    let days = shown_between(&cron("30 2,14 * * *", "Pacific/Apia"), "2011-12-29", "2012-01-01");
    let expected = [
        "28 14:30 -1000",
        "29 02:30 -1000",
        "29 14:30 -1000",
        "31 02:30 +1400",
        "31 14:30 +1400",
        "01 02:30 +1400",
    ];
    assert_eq!(days, expected, "30 December did not exist");
}

#[test]
fn a_gap_over_midnight_is_run_once_on_the_next_date() {
    // In 1919 the clock of Toronto went from 23:30 on 30 March to 00:30.
    let zone: Tz = "America/Toronto".parse().unwrap();
    let gap = NaiveDate::from_ymd_opt(1919, 3, 30).unwrap().and_hms_opt(23, 45, 0).unwrap();
    let Some(Shown::Skipped(_, end)) = shown(zone, gap) else { panic!("no gap") };
    assert_eq!(end.naive_local().to_string(), "1919-03-31 00:30:00");
    let all = cron("*/30 * * * *", "America/Scoresbysund");
    let found = between(&all, utc("2024-03-29 00:00"), utc("2024-04-01 00:00"), 1000);
    let distinct: BTreeSet<_> = found.iter().map(|o| o.at).collect();
    assert_eq!(distinct.len(), found.len());
}

#[test]
fn leap_days_and_last_days() {
    let at = |pattern, after: &str| next_after(&cron(pattern, "UTC"), utc(after)).unwrap().at;
    assert_eq!(at("0 0 29 2 *", "2026-01-01 00:00"), utc("2028-02-29 00:00"));
    assert_eq!(at("0 0 29 2 *", "2096-03-01 00:00"), utc("2104-02-29 00:00"));
    assert_eq!(at("0 0 L 2 *", "2027-01-01 00:00"), utc("2027-02-28 00:00"));
    assert_eq!(at("0 0 29 2 +SUN", "2080-01-01 00:00"), utc("2088-02-29 00:00"));
    assert_eq!(at("0 0 31 * *", "2026-01-31 00:00"), utc("2026-03-31 00:00"));
}

#[test]
fn every_so_many_hours_says_where_its_time_of_the_day_moves() {
    let every = serde_json::from_str::<Schedule>(
        r#"{"kind":"every","hours":12,"anchor":"2026-01-01T07:30:00Z","zone":"America/New_York"}"#,
    );
    let found = shown_between(&every.unwrap(), "2026-03-08", "2026-03-09");
    assert_eq!(
        found,
        ["08 03:30 -0400 (clocks have changed since the run before, which was at 14:30)", "08 15:30 -0400",]
    );
}

#[test]
fn odd_times_end_it_and_panic_nowhere() {
    let all = [cron("* * * * *", "Pacific/Apia"), cron("0 0 29 2 *", "America/New_York")];
    for schedule in &all {
        for odd in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            assert_eq!(next_after(schedule, odd), None);
            assert_eq!(last_until(schedule, odd), None);
        }
        let last = Utc.with_ymd_and_hms(9998, 12, 31, 23, 59, 59).unwrap();
        assert!(Occurrences::after(schedule, last).take(3).count() <= 3);
    }
    assert_eq!(between(&all[0], utc("2026-01-01 00:00"), utc("2027-01-01 00:00"), 5).len(), 5);
}

/// Zones with a date on which their clocks changed.
const CHANGES: [(&str, &str); 14] = [
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Asia/Beirut", "2026-03-29"),
    ("Asia/Beirut", "2026-10-25"),
    ("Africa/Casablanca", "2026-02-15"),
    ("Africa/Casablanca", "2026-03-22"),
    ("Pacific/Apia", "2011-12-30"),
    ("America/Scoresbysund", "2024-03-31"),
    ("America/Havana", "2026-11-01"),
    ("Antarctica/Troll", "2026-03-29"),
    ("Asia/Tehran", "2022-03-22"),
    ("Asia/Pyongyang", "2018-05-04"),
];

/// What must come out, found by walking through every minute: a time of the day is run at the first moment at which the
/// clock shows it or more.
fn walked(zone: Tz, times: &BTreeSet<NaiveTime>, first: NaiveDate, days: i64) -> BTreeSet<DateTime<Utc>> {
    let start = first.and_time(NaiveTime::MIN).and_utc() - TimeDelta::days(2);
    let minutes: Vec<_> = (0..(days + 5) * 1440)
        .map(|minute| start + TimeDelta::minutes(minute))
        .map(|at| (at, at.with_timezone(&zone).naive_local()))
        .collect();
    let dates = first.iter_days().take(usize::try_from(days).unwrap());
    let exists = |date: &NaiveDate| minutes.iter().any(|(_, local)| local.date() == *date);
    dates
        .filter(exists)
        .flat_map(|date| times.iter().map(move |time| date.and_time(*time)))
        .filter_map(|wall| minutes.iter().find(|(_, local)| *local >= wall).map(|(at, _)| *at))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn each_time_of_each_day_is_run_once_where_clocks_change(
        change in 0..CHANGES.len(),
        hours in proptest::collection::btree_set(0_u32..24, 1..5),
        minutes in proptest::collection::btree_set(0_u32..60, 1..4),
    ) {
        let (name, date) = CHANGES[change];
        let joined = |set: &BTreeSet<u32>| set.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let schedule = cron(&format!("{} {} * * *", joined(&minutes), joined(&hours)), name);
        let zone: Tz = name.parse().unwrap();
        let date: NaiveDate = date.parse().unwrap();
        let first = date.pred_opt().unwrap();
        let times = hours.iter().flat_map(|hour| {
            minutes.iter().map(|minute| NaiveTime::from_hms_opt(*hour, *minute, 0).unwrap())
        });
        let expected = walked(zone, &times.collect(), first, 4);
        let (after, until) = (*expected.first().unwrap(), *expected.last().unwrap());
        let found = between(&schedule, after - TimeDelta::minutes(1), until, 10_000);
        prop_assert!(found.windows(2).all(|pair| pair[0].at < pair[1].at));
        let found: BTreeSet<_> = found.into_iter().map(|o| o.at).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn forwards_and_backwards_are_the_same_times(
        change in 0..CHANGES.len(), minute in -3000_i64..3000, pattern in "(\\*/7|30|0,45) (1|\\*/5|2,14|23) \\* \\* \\*",
    ) {
        let (name, date) = CHANGES[change];
        let schedule = cron(&pattern, name);
        let at = date.parse::<NaiveDate>().unwrap().and_time(NaiveTime::MIN).and_utc() + TimeDelta::minutes(minute);
        let next = next_after(&schedule, at).unwrap();
        prop_assert!(next.at > at);
        let same = last_until(&schedule, next.at).unwrap();
        prop_assert_eq!(&same, &next);
        let before = last_until(&schedule, next.at - TimeDelta::milliseconds(1)).unwrap();
        prop_assert!(before.at <= at);
        prop_assert_eq!(next_after(&schedule, before.at).unwrap(), next);
    }

    #[test]
    fn elapsed_hours_are_equal_whatever_the_clock_shows(hours in 1_u64..200, after in 0_i64..4_000_000_000) {
        let anchor = utc("2026-03-01 02:00");
        let zone = "America/New_York".parse().unwrap();
        let schedule = Schedule::Every(Every { hours: hours.try_into().unwrap(), anchor, zone });
        let after = DateTime::from_timestamp(after, 0).unwrap();
        let found = preview(&schedule, after, 3);
        prop_assert!(after < found[0].at && found[0].at - after <= TimeDelta::hours(hours.cast_signed()));
        for pair in found.windows(2) {
            prop_assert_eq!(pair[1].at - pair[0].at, TimeDelta::hours(hours.cast_signed()));
        }
        prop_assert_eq!((found[0].at - anchor).num_seconds() % (hours.cast_signed() * 3600), 0);
    }
}
