use std::collections::BTreeSet;
use std::fmt::Write;

use chrono::{NaiveDateTime, TimeDelta};
use proptest::prelude::*;

use super::*;
use crate::schedule::Zone;

fn utc(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap().and_utc()
}

fn good(at: &str) -> Candidate {
    let at = utc(at);
    Candidate {
        id: BackupKey::new(at, 0),
        at,
        standing: Standing::Good,
        requested: false,
        locked_until: None,
        holds: Vec::new(),
    }
}

fn daily(days: std::ops::RangeInclusive<u32>) -> Vec<Candidate> {
    days.map(|day| good(&format!("2026-11-{day:02} 02:00"))).collect()
}

fn rules(json: &str) -> Retention {
    serde_json::from_str(json).unwrap()
}

fn berlin() -> Zone {
    "Europe/Berlin".parse().unwrap()
}

/// A line for each backup: what becomes of it, and why.
fn told(backups: &[Candidate], json: &str, now: &str) -> String {
    let mut text = format!("{json} at {now}\n");
    for (backup, judged) in backups.iter().zip(apply(backups, &rules(json), berlin(), utc(now))) {
        let verdict = if judged.keep { "keep  " } else { "delete" };
        let at = backup.at.format("%a %Y-%m-%d %H:%M");
        let _ = writeln!(text, "  {verdict} {at}: {}", judged.words().join("; "));
    }
    text
}

#[test]
fn reasons_of_a_table_of_cases() {
    let mut mixed = daily(10..=20);
    mixed[1].holds = vec!["the audit of 2026".into()];
    mixed[2].locked_until = Some(utc("2026-12-01 00:00"));
    mixed[3].requested = true;
    mixed[4].standing = Standing::Foreign;
    mixed[5].standing = Standing::Incomplete;
    mixed[6].standing = Standing::Discarded;
    mixed[9].standing = Standing::Incomplete;
    mixed[10].standing = Standing::Running;
    let several: Vec<_> =
        ["22 23:30", "23 01:00", "23 13:00", "24 01:00"].map(|at| good(&format!("2026-11-{at}"))).to_vec();
    let long: Vec<_> =
        ["2024-12-31", "2025-06-30", "2025-12-31", "2026-10-31", "2026-11-22", "2026-11-23", "2026-11-24"]
            .map(|date| good(&format!("{date} 12:00")))
            .to_vec();
    let cases = [
        told(&daily(20..=24), "{}", "2026-11-24 03:00"),
        told(&daily(20..=24), r#"{"last":3}"#, "2026-11-24 03:00"),
        told(&daily(20..=24), r#"{"max_age_days":2}"#, "2026-11-24 03:00"),
        told(&several, r#"{"daily":2}"#, "2026-11-24 03:00"),
        told(&long, r#"{"last":1,"weekly":2,"monthly":2,"yearly":2}"#, "2026-11-24 13:00"),
        told(&mixed, r#"{"last":2}"#, "2026-11-20 03:00"),
        told(&mixed, r#"{"last":2,"keeps_requested":false}"#, "2026-12-20 03:00"),
        told(&daily(1..=2), r#"{"max_age_days":1}"#, "2027-11-24 03:00"),
    ];
    insta::assert_snapshot!(cases.join("\n"));
}

#[test]
fn the_hour_that_comes_twice_is_two_hours() {
    // In Berlin it is 02:00 at 00:00 UTC and again at 01:00 UTC.
    let backups = ["2026-10-25 00:30", "2026-10-25 01:30", "2026-10-25 02:30"].map(good);
    let judged = apply(&backups, &rules(r#"{"hourly":2}"#), berlin(), utc("2026-10-25 03:00"));
    assert_eq!(judged.iter().map(|judged| judged.keep).collect::<Vec<_>>(), [false, true, true]);
}

#[test]
fn days_are_those_of_the_zone() {
    let backups = ["2026-11-22 22:30", "2026-11-22 23:30"].map(good);
    let kept = |zone: &str| {
        let judged =
            apply(&backups, &rules(r#"{"daily":7}"#), zone.parse().unwrap(), utc("2026-11-24 03:00"));
        judged.iter().filter(|judged| judged.keep).count()
    };
    assert_eq!(kept("UTC"), 1);
    assert_eq!(kept("Europe/Berlin"), 2, "in Berlin midnight is between them");
}

#[test]
fn unknown_rules_and_rules_that_keep_nothing_are_refused() {
    let refused = |json| serde_json::from_str::<Retention>(json).unwrap_err().to_string();
    assert!(refused(r#"{"days":3}"#).contains("`days`"));
    assert!(refused(r#"{"last":0}"#).contains("between 1 and 10000"));
    assert!(rules("{}").keeps_requested);
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        8 => Just(Standing::Good),
        1 => Just(Standing::Incomplete),
        1 => Just(Standing::Running),
        1 => Just(Standing::Foreign),
        1 => Just(Standing::Discarded),
    ]
}

prop_compose! {
    fn candidate()(
        minutes in 0_i64..3 * 525_600, standing in standing(), requested in prop::bool::weighted(0.1),
        locked in prop::option::weighted(0.1, 0_i64..1000), held in prop::bool::weighted(0.1), random: u128,
    ) -> Candidate {
        let at = utc("2024-01-01 00:00") + TimeDelta::minutes(minutes);
        Candidate {
            id: BackupKey::new(at, random), at, standing, requested,
            locked_until: locked.map(|days| at + TimeDelta::days(days)),
            holds: if held { vec!["held".into()] } else { Vec::new() },
        }
    }
}

fn keep() -> impl Strategy<Value = Option<Keep>> {
    prop::option::weighted(0.4, (1_u64..12).prop_map(Int::of))
}

prop_compose! {
    pub(crate) fn any_rules()(
        last in keep(), age in prop::option::weighted(0.3, 1_u64..900),
        hourly in keep(), daily in keep(), weekly in keep(), monthly in keep(), yearly in keep(),
        keeps_requested: bool,
    ) -> Retention {
        let max_age_days = age.map(Int::of);
        Retention { last, max_age_days, hourly, daily, weekly, monthly, yearly, keeps_requested }
    }
}

pub(crate) fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    prop::collection::vec(candidate(), 0..60)
}

/// Ids of what is kept.
pub(crate) fn kept(backups: &[Candidate], rules: &Retention, now: DateTime<Utc>) -> BTreeSet<BackupKey> {
    let judged = apply(backups, rules, berlin(), now);
    backups
        .iter()
        .zip(judged)
        .filter(|(_, judged)| judged.keep)
        .map(|(backup, _)| backup.id.clone())
        .collect()
}

fn of(standing: Standing, backups: &[Candidate]) -> impl Iterator<Item = &Candidate> {
    backups.iter().filter(move |backup| backup.standing == standing)
}

proptest! {
    #[test]
    fn the_newest_good_one_and_what_is_not_the_plans_own_are_never_deleted(
        backups in candidates(), rules in any_rules(), days in 0_i64..4000,
    ) {
        let kept = kept(&backups, &rules, utc("2024-01-01 00:00") + TimeDelta::days(days));
        if let Some(newest) = of(Standing::Good, &backups).max_by_key(|backup| (backup.at, backup.id.clone())) {
            prop_assert!(kept.contains(&newest.id));
        }
        for untouched in of(Standing::Foreign, &backups).chain(of(Standing::Running, &backups)) {
            prop_assert!(kept.contains(&untouched.id));
        }
        for held in backups.iter().filter(|backup| !backup.holds.is_empty()) {
            prop_assert!(kept.contains(&held.id));
        }
    }

    #[test]
    fn a_rule_beside_others_deletes_no_more(backups in candidates(), rules in any_rules(), more in any_rules()) {
        prop_assume!(!rules.keeps_all());
        let now = utc("2026-12-01 00:00");
        let both = Retention {
            last: rules.last.or(more.last), max_age_days: rules.max_age_days.or(more.max_age_days),
            hourly: rules.hourly.or(more.hourly), daily: rules.daily.or(more.daily),
            weekly: rules.weekly.or(more.weekly), monthly: rules.monthly.or(more.monthly),
            yearly: rules.yearly.or(more.yearly), keeps_requested: rules.keeps_requested,
        };
        prop_assert!(kept(&backups, &rules, now).is_subset(&kept(&backups, &both, now)));
    }

    #[test]
    fn what_it_kept_it_keeps_again_in_any_order(
        backups in candidates(), rules in any_rules(), turn in 0_usize..60,
    ) {
        let now = utc("2026-12-01 00:00");
        let first = kept(&backups, &rules, now);
        let mut survivors: Vec<_> = backups.iter().filter(|backup| first.contains(&backup.id)).cloned().collect();
        prop_assert_eq!(&kept(&survivors, &rules, now), &first);
        let turn = turn.min(survivors.len());
        survivors.rotate_left(turn);
        prop_assert_eq!(&kept(&survivors, &rules, now), &first);
        let mut turned = backups;
        turned.reverse();
        prop_assert_eq!(&kept(&turned, &rules, now), &first);
    }

    #[test]
    fn as_time_goes_on_no_more_is_kept(backups in candidates(), rules in any_rules(), days in 0_i64..2000, later in 0_i64..2000) {
        let now = utc("2024-01-01 00:00") + TimeDelta::days(days);
        let then = kept(&backups, &rules, now + TimeDelta::days(later));
        prop_assert!(then.is_subset(&kept(&backups, &rules, now)));
    }

    #[test]
    fn every_verdict_has_a_reason(backups in candidates(), rules in any_rules()) {
        for judged in apply(&backups, &rules, berlin(), utc("2026-12-01 00:00")) {
            prop_assert!(!judged.reasons.is_empty());
        }
    }
}
