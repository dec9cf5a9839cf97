use chrono::NaiveDateTime;
use proptest::prelude::*;

use super::*;
use crate::retention::apply;
use crate::retention::tests::any_rules;

const GIB: u64 = 1 << 30;

fn utc(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap().and_utc()
}

fn stored(at: &str, bytes: u64) -> Stored {
    let at = utc(at);
    let backup = Candidate {
        id: BackupKey::new(at, 1),
        at,
        standing: Standing::Good,
        requested: false,
        locked_until: None,
        holds: Vec::new(),
    };
    Stored { backup, bytes, sweep_after: None }
}

fn daily() -> Schedule {
    serde_json::from_str(r#"{"kind":"cron","pattern":"0 2 * * *","zone":"UTC"}"#).unwrap()
}

fn rules(json: &str) -> Retention {
    serde_json::from_str(json).unwrap()
}

fn subject<'a>(schedule: &'a Schedule, retention: &'a Retention, backups: &'a [Stored]) -> Subject<'a> {
    Subject { schedule, paused: false, retention, backups, grace_hours: Int::of(0), lock_days: None }
}

fn scenario(until: &str, more: &str) -> Scenario {
    let until = utc(until).to_rfc3339();
    serde_json::from_str(&format!(r#"{{"until":"{until}"{more}}}"#)).unwrap()
}

fn kept(forecast: &Forecast) -> Vec<String> {
    let kept = forecast.backups.iter().filter(|backup| backup.expired_at.is_none());
    kept.map(|backup| backup.at.format("%m-%d").to_string()).collect()
}

#[test]
fn what_will_exist_on_a_date_and_why() {
    let (schedule, retention) = (daily(), rules(r#"{"last":2,"monthly":3}"#));
    let backups = [stored("2026-10-31 02:00", GIB), stored("2026-11-24 02:00", GIB)];
    let seen = simulate(
        &subject(&schedule, &retention, &backups),
        &scenario("2026-12-05 12:00", ""),
        utc("2026-11-25 00:00"),
    )
    .unwrap();
    assert_eq!(kept(&seen), ["12-05", "12-04", "11-30", "10-31"]);
    assert_eq!((seen.count, seen.bytes), (4, 4 * GIB));
    assert_eq!(seen.backups[2].reasons, ["the newest of November 2026 (month 2 of 3)"]);
    assert_eq!(seen.backups[3].id, Some(backups[0].backup.id.clone()));
    assert_eq!(seen.backups[0].id, None);
    assert_eq!(seen.expired_count, 9, "of 2 and 11 to come");
    assert_eq!(seen.expired[0].at, utc("2026-12-03 02:00"), "the last first");
    assert_eq!(seen.days.len(), 11);
    assert_eq!(seen.days[0], DayStored { date: "2026-11-25".parse().unwrap(), backups: 3, bytes: 3 * GIB });
    assert_eq!(seen.sizes, format!("by 2 backups: {GIB} bytes now, growing by 0 in 30 days"));
}

#[test]
fn grace_and_locks_keep_more() {
    let (schedule, retention) = (daily(), rules(r#"{"last":2}"#));
    let plain = subject(&schedule, &retention, &[]);
    let count = |subject: Subject<'_>| {
        simulate(&subject, &scenario("2026-12-31 12:00", ""), utc("2026-11-25 00:00")).unwrap()
    };
    assert_eq!(count(plain).count, 2);
    let graced = count(Subject { grace_hours: Int::of(72), ..plain });
    assert_eq!(kept(&graced).len(), 2);
    assert!(graced.count > 4 && graced.count < 7, "{}", graced.count);
    let in_grace = &graced.backups[2];
    assert_eq!(in_grace.swept_at, in_grace.expired_at.map(|at| at + TimeDelta::hours(72)));
    let locked = count(Subject { lock_days: Some(10), ..plain });
    assert_eq!(kept(&locked).len(), 10);
    assert!(locked.backups[9].reasons[0].contains("Object Lock"), "{:?}", locked.backups[9].reasons);
    let paused = count(Subject { paused: true, backups: &[], ..plain });
    assert_eq!((paused.count, paused.expired_count), (0, 0));
}

#[test]
fn a_gibibyte_for_a_month_costs_what_the_table_says() {
    let (schedule, retention) = (daily(), Retention::default());
    let backups = [stored("2026-11-24 02:00", GIB)];
    let subject = Subject { paused: true, ..subject(&schedule, &retention, &backups) };
    let cost =
        |more| simulate(&subject, &scenario("2027-01-16 12:00", more), utc("2026-12-01 00:00")).unwrap();
    let standard = cost("");
    assert_eq!(standard.months[0].month, "2026-12");
    assert_eq!(standard.months[0].storage_micros, 23_000);
    assert_eq!(standard.months[1].storage_micros, 11_500, "half of January");
    assert_eq!((standard.total_micros, standard.currency.as_str()), (34_500, "USD"));
    let own = r#","prices":{"currency":"EUR","class":"cheap","classes":[{"name":"cheap","gib_month_micros":4000,"thousand_puts_micros":0,"minimum_days":0}]}"#;
    let own = cost(own);
    assert_eq!((own.months[0].storage_micros, own.currency.as_str()), (4000, "EUR"));
}

#[test]
fn what_is_deleted_before_its_least_time_is_charged_for_it() {
    let (schedule, retention) = (daily(), Retention::default());
    let mut backups = [stored("2026-12-01 00:00", GIB)];
    backups[0].backup.standing = Standing::Discarded;
    let subject = Subject { paused: true, ..subject(&schedule, &retention, &backups) };
    let scenario = scenario("2027-01-01 00:00", r#","prices":{"class":"GLACIER_IR"}"#);
    let seen = simulate(&subject, &scenario, utc("2026-12-11 00:00")).unwrap();
    assert_eq!(seen.months[0].early_deletion_micros, 80 * 4000 / 30);
    assert_eq!(seen.months[0].storage_micros, 0);
}

#[test]
fn requests_are_charged_for_what_is_made() {
    let (schedule, retention) = (daily(), rules(r#"{"last":1}"#));
    let scenario = scenario("2026-12-31 12:00", r#","sizes":{"bytes":8388608000}"#);
    let seen = simulate(&subject(&schedule, &retention, &[]), &scenario, utc("2026-12-01 00:00")).unwrap();
    // 31 backups of 1003 objects, a thousand for 5000.
    assert_eq!(seen.months[0].requests_micros, 31 * 1003 * 5);
}

#[test]
fn sizes_follow_their_trend_unless_they_are_given() {
    let (schedule, retention) = (daily(), rules(r#"{"last":1}"#));
    let backups: Vec<_> =
        (0..10).map(|day| stored(&format!("2026-11-{:02} 02:00", 11 + day), (day + 1) * GIB)).collect();
    let size = |more: &str| {
        let scenario = scenario("2026-11-30 12:00", more);
        let seen = simulate(&subject(&schedule, &retention, &backups), &scenario, utc("2026-11-20 12:00"));
        let seen = seen.unwrap();
        ((seen.backups[0].bytes + (1 << 19)) >> 20, seen.sizes)
    };
    let (mebibytes, told) = size("");
    assert_eq!(mebibytes, 20 * 1024);
    assert!(told.starts_with("by 10 backups: ") && told.contains("growing"), "{told}");
    assert_eq!(size(r#","sizes":{"bytes":1073741824}"#).0, 1024);
    let given = size(r#","sizes":{"bytes":1073741824,"growth_percent":3653}"#);
    assert!((1990..2010).contains(&given.0), "a tenth of it a day, for 9.58 days: {given:?}");
}

#[test]
fn what_is_too_much_or_has_no_price_is_refused() {
    let every_minute = serde_json::from_str(r#"{"kind":"cron","pattern":"* * * * *","zone":"UTC"}"#).unwrap();
    let retention = rules(r#"{"last":7}"#);
    let subject = subject(&every_minute, &retention, &[]);
    let refused =
        |until, more| simulate(&subject, &scenario(until, more), utc("2026-11-25 00:00")).unwrap_err();
    assert!(refused("2027-11-25 00:00", "").contains("more than 100000 backups"));
    assert!(refused("2026-11-24 00:00", "").contains("has passed"));
    assert!(refused("2037-11-24 00:00", "").contains("3660 days"));
    assert!(
        refused("2026-11-26 00:00", r#","prices":{"class":"COLD"}"#)
            .contains("no storage class `COLD`; it has STANDARD, ")
    );
    let old = rules(r#"{"max_age_days":36500}"#);
    let subject = Subject { retention: &old, ..subject };
    let much = simulate(&subject, &scenario("2027-02-01 00:00", ""), utc("2026-11-25 00:00"));
    assert!(much.is_ok(), "{much:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn looking_once_a_day_ends_as_looking_after_every_backup(
        rules in any_rules(), hours in 1_u64..30, days in 1_i64..60,
    ) {
        let schedule = format!(r#"{{"kind":"every","hours":{hours},"anchor":"2026-01-01T00:00:00Z","zone":"America/New_York"}}"#);
        let schedule: Schedule = serde_json::from_str(&schedule).unwrap();
        let now = utc("2026-10-20 07:30");
        let until = now + TimeDelta::days(days);
        let asked = Scenario { until, sizes: Sizes::default(), prices: Prices::default() };
        let seen = simulate(&subject(&schedule, &rules, &[]), &asked, now).unwrap();

        let mut alive: Vec<Candidate> = Vec::new();
        for occurrence in crate::schedule::between(&schedule, now, until, usize::MAX) {
            alive.push(Candidate { id: BackupKey::new(occurrence.at, 0), ..stored("2026-01-01 00:00", 0).backup });
            alive.last_mut().unwrap().at = occurrence.at;
            let judged = apply(&alive, &rules, schedule.zone(), occurrence.at);
            let mut judged = judged.iter();
            alive.retain(|_| judged.next().unwrap().keep);
        }
        let mut judged = apply(&alive, &rules, schedule.zone(), until).into_iter();
        alive.retain(|_| judged.next().unwrap().keep);
        alive.reverse();
        let expected: Vec<_> = alive.iter().map(|backup| backup.at).take(LISTED_MAX).collect();
        prop_assert_eq!(seen.backups.iter().map(|backup| backup.at).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn of_the_catalogue_only_what_the_plan_has_counts() {
    let plan: PlanId = "plan_01kb0s4r1q8f6v2m9c3t7x5zya".parse().unwrap();
    let backup = |more: serde_json::Value| -> Backup {
        let mut json = serde_json::json!({
            "id": "bak_01kb0s4r1q8f6v2m9c3t7x5zya", "name": "20261123T020000Z-7f3k", "folder": "nightly",
            "location": "loc_01kb0s4r1q8f6v2m9c3t7x5zya", "plan": plan, "scheduled": true, "state": "kept",
            "complete": true, "started_at": "2026-11-23T02:00:00Z", "finished_at": "2026-11-23T02:10:00Z",
            "server_version": "6.0.5", "namespaces": 1, "documents": 1, "raw_bytes": 9, "stored_bytes": 7,
            "holds": [], "reasons": [],
        });
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(json).unwrap()
    };
    let standing = |more| Stored::of(&backup(more), &plan).map(|stored| stored.backup.standing);
    assert_eq!(standing(serde_json::json!({})), Some(Standing::Good));
    assert_eq!(standing(serde_json::json!({"complete": false})), Some(Standing::Incomplete));
    assert_eq!(
        standing(serde_json::json!({"state": "expired"})),
        Some(Standing::Good),
        "rules may keep it again"
    );
    let by = serde_json::json!({"state": "expired", "expired_by": "usr_01kb0s4r1q8f6v2m9c3t7x5zya"});
    assert_eq!(standing(by), Some(Standing::Discarded));
    assert_eq!(standing(serde_json::json!({"state": "swept"})), None);
    assert_eq!(standing(serde_json::json!({"state": "missing"})), None);
    assert_eq!(standing(serde_json::json!({"plan": "plan_01kb0s4r1q8f6v2m9c3t7x5zyb"})), None);
    assert_eq!(Stored::of(&backup(serde_json::json!({})), &plan).unwrap().bytes, 7);
}
