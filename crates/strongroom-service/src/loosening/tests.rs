use proptest::prelude::*;

use super::*;
use crate::retention::tests::{any_rules, candidates, kept};

fn plan(more: &str) -> NewPlan {
    let json = format!(
        r#"{{"name":"nightly","deployment":"dep_01kb0s4r1q8f6v2m9c3t7x5zya","location":"loc_01kb0s4r1q8f6v2m9c3t7x5zya",
           "schedule":{{"kind":"cron","pattern":"0 2 * * *","zone":"UTC"}}{more}}}"#
    );
    serde_json::from_str(&json).unwrap()
}

fn loosens(old: &str, new: &str) -> Vec<String> {
    of_plan(&plan(old), &plan(new)).loosens
}

#[test]
fn what_is_loosened_is_said_in_words() {
    assert_eq!(
        loosens(r#","retention":{"last":30,"monthly":12}"#, r#","retention":{"last":7,"daily":14}"#),
        [
            "fewer of the newest backups are kept: 7 instead of 30",
            "no monthly backups are kept for their own sake any more (12 until now)"
        ]
    );
    assert_eq!(
        loosens("", r#","retention":{"last":7}"#),
        ["backups are deleted by rules, and were kept forever until now"]
    );
    assert_eq!(
        loosens(
            r#","backup":{"encryption":"AES256"}"#,
            r#","backup":{"consistency":"none","exclude":["tmp.*"]}"#
        ),
        [
            "no encryption is asked for any more (`AES256` until now)",
            "backups no longer hold one moment (consistency `none` instead of `snapshot`)",
            "`tmp.*` is left out"
        ]
    );
    assert_eq!(
        loosens(r#","backup":{"encryption":"aws:kms:alias/mine"}"#, r#","backup":{"encryption":"aws:kms"}"#),
        ["encryption is weaker: `aws:kms` instead of `aws:kms:alias/mine`"]
    );
    assert_eq!(
        loosens("", r#","backup":{"include":["shop.*"]}"#),
        ["only `shop.*` is backed up, and no longer everything"]
    );
}

#[test]
fn a_pause_another_schedule_and_what_is_stricter_wait_for_nothing() {
    let changes = [
        ("", r#","paused":true"#),
        (r#","retention":{"last":7}"#, ""),
        (r#","retention":{"last":7}"#, r#","retention":{"last":7,"yearly":1}"#),
        ("", r#","backup":{"encryption":"AES256"}"#),
        (r#","backup":{"encryption":"AES256"}"#, r#","backup":{"encryption":"aws:kms"}"#),
        (r#","backup":{"include":["a.*"]}"#, r#","backup":{"include":["b.*","a.*"]}"#),
        (r#","backup":{"exclude":["a.*"]}"#, ""),
        (r#","backup":{"consistency":"none"}"#, r#","backup":{"consistency":"oplog"}"#),
    ];
    for (old, new) in changes {
        let split = of_plan(&plan(old), &plan(new));
        assert_eq!(split, Split { now: plan(new), later: None, loosens: Vec::new() }, "{old} to {new}");
    }
}

#[test]
fn the_stricter_part_holds_at_once_and_the_rest_waits() {
    let old =
        plan(r#","retention":{"last":30,"daily":7},"backup":{"include":["a.*","b.*"],"exclude":["c.*"]}"#);
    let new = plan(
        r#","retention":{"last":7,"daily":14},"backup":{"include":["b.*","d.*"],"exclude":["e.*","c.*"],"encryption":"AES256"}"#,
    );
    let split = of_plan(&old, &new);
    let now = plan(
        r#","retention":{"last":30,"daily":14},"backup":{"include":["b.*","d.*","a.*"],"exclude":["c.*"],"encryption":"AES256"}"#,
    );
    assert_eq!(split.now, now);
    assert_eq!(split.later, Some(new));
    assert_eq!(split.loosens.len(), 3, "{:?}", split.loosens);
}

#[test]
fn the_delay_itself_is_not_shortened_at_once() {
    let old = Settings { second_admin: true, ..Settings::default() };
    let new = Settings {
        loosening_delay_hours: Int::of(0),
        grace_hours: Int::of(1),
        second_admin: false,
        paused: true,
        ..Settings::default()
    };
    let split = of_settings(&old, &new);
    assert_eq!(split.now, Settings { paused: true, ..old.clone() });
    assert_eq!(split.loosens.len(), 3, "{:?}", split.loosens);
    assert_eq!(of_settings(&new, &old).loosens, Vec::<String>::new());
}

#[test]
fn a_deletion_loosens_only_what_it_takes_along() {
    assert!(of_deletion(BackupsOfDeleted::Keep, 7).is_empty());
    assert!(of_deletion(BackupsOfDeleted::Expire, 0).is_empty());
    assert_eq!(of_deletion(BackupsOfDeleted::Expire, 7), ["the plan is deleted, and its 7 backups with it"]);
}

fn encryption() -> impl Strategy<Value = Sse> {
    let key = prop::option::of("[a-b]");
    prop_oneof![Just(Sse::None), Just(Sse::Aes256), key.clone().prop_map(Sse::Kms), key.prop_map(Sse::Dsse),]
}

fn patterns() -> impl Strategy<Value = Patterns> {
    let name = prop::sample::select(vec!["a.*", "b.*", "c.*", "d.*"]);
    prop::collection::btree_set(name, 0..4).prop_map(|names| {
        let patterns: Vec<Pattern> = names.into_iter().map(|name| name.parse().unwrap()).collect();
        patterns.try_into().unwrap()
    })
}

prop_compose! {
    fn any_plan()(
        retention in any_rules(), encryption in encryption(), include in patterns(), exclude in patterns(), torn: bool,
        paused: bool,
    ) -> NewPlan {
        let consistency = if torn { ConsistencyMode::None } else { ConsistencyMode::Snapshot };
        let backup = BackupSettings { encryption, include, exclude, consistency, ..BackupSettings::default() };
        NewPlan { retention, backup, paused, ..plan("") }
    }
}

proptest! {
    #[test]
    fn the_same_settings_loosen_nothing(plan in any_plan()) {
        prop_assert_eq!(of_plan(&plan, &plan), Split { now: plan, later: None, loosens: Vec::new() });
    }

    #[test]
    fn what_holds_at_once_is_as_strict_as_both(old in any_plan(), new in any_plan()) {
        let split = of_plan(&old, &new);
        prop_assert_eq!(&of_plan(&old, &split.now).loosens, &Vec::<String>::new());
        prop_assert_eq!(&of_plan(&new, &split.now).loosens, &Vec::<String>::new());
        prop_assert_eq!(split.later.is_some(), !split.loosens.is_empty());
        if split.loosens.is_empty() {
            prop_assert_eq!(&split.now, &new);
        }
        // What is left of the change is what waits, no less.
        prop_assert_eq!(of_plan(&split.now, &new).loosens.is_empty(), split.loosens.is_empty());
    }

    #[test]
    fn what_holds_at_once_deletes_no_more_than_before(
        backups in candidates(), old in any_rules(), new in any_rules(),
    ) {
        let plan = plan("");
        let (old, new) = (NewPlan { retention: old, ..plan.clone() }, NewPlan { retention: new, ..plan });
        let now = of_plan(&old, &new).now.retention;
        let at = "2026-12-01T00:00:00Z".parse().unwrap();
        prop_assert!(kept(&backups, &old.retention, at).is_subset(&kept(&backups, &now, at)));
        if of_plan(&old, &new).loosens.is_empty() {
            prop_assert!(kept(&backups, &old.retention, at).is_subset(&kept(&backups, &new.retention, at)));
        }
    }
}
