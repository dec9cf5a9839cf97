//! Every table at least once: what is written is what is read.

use chrono::TimeDelta;
use serde_json::json;
use strongroom_service::job::Event;
use strongroom_service::model::{
    AuditEvent, AuditId, BackupState, ChangeState, LogLine, Run, RunState, Secret, SessionId, Settings,
    Token, TokenId,
};
use strongroom_service::secrets::{Bearer, BearerKind, Keyring};
use strongroom_service::state::audit::AuditFilter;
use strongroom_service::state::backups::BackupFilter;
use strongroom_service::state::changes::ChangeFilter;
use strongroom_service::state::idempotency::Answer;
use strongroom_service::state::leftovers::Leftover;
use strongroom_service::state::plans::PlanFilter;
use strongroom_service::state::runs::RunFilter;
use strongroom_service::state::sessions::Session;
use strongroom_service::state::users::Proofs;
use strongroom_service::state::{
    Scope, StateError, audit, backups, changes, idempotency, leftovers, log_lines, plans, runs, secrets,
    sessions, settings, tickets, tokens, users,
};

use super::bed::{Bed, first};
use super::on_both;

fn secret(text: &str) -> Secret {
    text.to_owned().try_into().unwrap()
}

fn bearer(kind: BearerKind) -> Bearer {
    Bearer::random(kind).unwrap()
}

fn made<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap()
}

on_both! {
    async fn secrets_open_where_they_were_put_and_with_the_next_key(bed: Bed) {
        let keyring = Keyring::ephemeral().unwrap();
        let mut tx = bed.begin().await;
        secrets::put(&mut tx, &keyring, "deployments", "dep_1", "uri", &secret("old")).await.unwrap();
        secrets::put(&mut tx, &keyring, "deployments", "dep_1", "uri", &secret("mongodb://u:p@h")).await.unwrap();
        secrets::put(&mut tx, &keyring, "locations", "loc_1", "key", &secret("s")).await.unwrap();
        let got = secrets::get(&mut tx, &keyring, "deployments", "dep_1", "uri").await.unwrap();
        assert_eq!(got, Some(secret("mongodb://u:p@h")));
        assert_eq!(secrets::get(&mut tx, &keyring, "deployments", "dep_2", "uri").await, Ok(None));
        let other = Keyring::ephemeral().unwrap();
        let refused = secrets::get(&mut tx, &other, "deployments", "dep_1", "uri").await.unwrap_err();
        assert!(matches!(refused, StateError::Damaged(_)), "{refused}");

        let done = secrets::reseal(&mut tx, &keyring, None, 1).await.unwrap();
        assert_eq!(done.secrets, 0, "the first key has sealed it already");
        let rest = secrets::reseal(&mut tx, &keyring, done.next.as_ref(), 10).await.unwrap();
        assert_eq!(rest.next, None);
        secrets::delete_of(&mut tx, "deployments", "dep_1").await.unwrap();
        secrets::delete(&mut tx, "locations", "loc_1", "key").await.unwrap();
        assert_eq!(secrets::get(&mut tx, &keyring, "locations", "loc_1", "key").await, Ok(None));
    }

    async fn users_end_with_their_sessions_and_tokens(bed: Bed) {
        let (user, now) = (bed.user("ada"), bed.now());
        let mut tx = bed.begin().await;
        assert_eq!(users::any(&mut tx).await, Ok(false));
        users::insert(&mut tx, &user, &Proofs { password: None, identity: Some("idp|7".into()) }).await.unwrap();
        users::set_password(&mut tx, &user.id, "$argon2id$").await.unwrap();
        users::set_identity(&mut tx, &user.id, "idp|8").await.unwrap();
        users::signed_in(&mut tx, &user.id, now).await.unwrap();
        assert_eq!(users::by_identity(&mut tx, "idp|7").await, Ok(None));
        let found = users::by_identity(&mut tx, "idp|8").await.unwrap().unwrap();
        assert!(found.has_password && found.last_sign_in_at == Some(now));
        users::update(&mut tx, &found, 1).await.unwrap();
        assert_eq!(users::update(&mut tx, &found, 1).await, Err(StateError::Conflict));
        assert_eq!(users::admins(&mut tx).await, Ok(1));
        assert_eq!(users::list(&mut tx, &first(5)).await.unwrap().items.len(), 1);

        let carried = bearer(BearerKind::Session);
        let session = Session {
            id: SessionId::new(now, 1),
            user: user.id.clone(),
            address: Some("192.0.2.7".into()),
            created_at: now,
            last_used_at: now,
            expires_at: now + TimeDelta::hours(1),
        };
        sessions::insert(&mut tx, &session, &carried.digest()).await.unwrap();
        assert_eq!(sessions::find(&mut tx, &carried.digest(), now).await, Ok(Some(session.clone())));
        assert_eq!(sessions::find(&mut tx, &bearer(BearerKind::Session).digest(), now).await, Ok(None));
        let longer = now + TimeDelta::hours(2);
        sessions::used(&mut tx, &session.id, now, longer).await.unwrap();
        assert_eq!(sessions::of(&mut tx, &user.id).await.unwrap()[0].expires_at, longer);
        assert_eq!(sessions::find(&mut tx, &carried.digest(), longer).await, Ok(None), "it has ended");
        assert_eq!(sessions::delete_of(&mut tx, &user.id, Some(&session.id)).await, Ok(0));
        assert_eq!(sessions::trim(&mut tx, now).await, Ok(0));

        let carried = bearer(BearerKind::Token);
        let token: Token = made(json!({
            "id": TokenId::new(now, 1), "name": "ci", "user": user.id, "role": "viewer", "restorer": false,
            "deployments": [], "plans": [], "created_at": now, "expires_at": longer, "last_used_at": null,
        }));
        tokens::insert(&mut tx, &token, &carried.digest()).await.unwrap();
        tokens::used(&mut tx, &token.id, now).await.unwrap();
        let found = tokens::find(&mut tx, &carried.digest(), now).await.unwrap().unwrap();
        assert_eq!(found.last_used_at, Some(now));
        assert_eq!(tokens::list(&mut tx, Some(&user.id), &first(5)).await.unwrap().items, [found]);
        users::delete(&mut tx, &user.id, 2).await.unwrap();
        assert_eq!(tokens::get(&mut tx, &token.id).await, Ok(None));
        assert_eq!(tokens::delete(&mut tx, &token.id).await, Ok(false));
        assert_eq!(tokens::delete_of(&mut tx, &user.id).await, Ok(0));
        sessions::delete(&mut tx, &session.id).await.unwrap();
        assert_eq!(sessions::insert(&mut tx, &session, &carried.digest()).await, Err(StateError::Missing));
    }

    async fn a_ticket_is_used_once(bed: Bed) {
        let (link, now) = (bearer(BearerKind::Link), bed.now());
        let until = now + TimeDelta::minutes(10);
        let mut tx = bed.begin().await;
        tickets::insert(&mut tx, "admin", &link.digest(), &json!({"n": 1}), until).await.unwrap();
        let take = async |tx: &mut _, purpose: &str| {
            tickets::take::<serde_json::Value>(tx, purpose, &link.digest(), now).await.unwrap()
        };
        assert_eq!(take(&mut tx, "other").await, None);
        assert_eq!(take(&mut tx, "admin").await, Some(json!({"n": 1})));
        assert_eq!(take(&mut tx, "admin").await, None);
        tickets::insert(&mut tx, "admin", &link.digest(), &json!({}), now).await.unwrap();
        assert_eq!(take(&mut tx, "admin").await, None, "it has expired");
        assert_eq!(tickets::trim(&mut tx, now).await, Ok(1));
        assert_eq!(tickets::clear(&mut tx, "admin").await, Ok(0));
    }

    async fn the_audit_log_is_found_by_who_and_what(bed: Bed) {
        let now = bed.now();
        let entry: AuditEvent = made(json!({
            "id": AuditId::new(now, 1), "at": now, "user": bed.user("ada").id, "action": "plan.update",
            "subject": "plan_1", "before": {"a": 1}, "after": {"a": 2},
        }));
        let mut tx = bed.begin().await;
        audit::append(&mut tx, &entry).await.unwrap();
        let by_all = AuditFilter {
            user: entry.user.clone(),
            subject: entry.subject.clone(),
            action: Some(entry.action.clone()),
        };
        assert_eq!(audit::list(&mut tx, &by_all, &first(5)).await.unwrap().items, [entry]);
        let other = AuditFilter { action: Some("plan.delete".into()), ..AuditFilter::default() };
        assert_eq!(audit::list(&mut tx, &other, &first(5)).await.unwrap().items, []);
    }

    async fn an_answer_is_kept_for_a_day(bed: Bed) {
        let now = bed.now();
        let answer = Answer { request_hash: "ab".into(), status: 201, body: "{}".into() };
        let mut tx = bed.begin().await;
        idempotency::keep(&mut tx, "usr_1", "key", &answer, now).await.unwrap();
        assert_eq!(idempotency::find(&mut tx, "usr_1", "key", now).await, Ok(Some(answer.clone())));
        assert_eq!(idempotency::find(&mut tx, "usr_2", "key", now).await, Ok(None));
        let tomorrow = now + idempotency::KEPT_FOR;
        assert_eq!(idempotency::find(&mut tx, "usr_1", "key", tomorrow).await, Ok(None));
        idempotency::keep(&mut tx, "usr_1", "key", &answer, tomorrow).await.unwrap();
        assert_eq!(idempotency::trim(&mut tx, tomorrow).await, Ok(0));
        let again = idempotency::keep(&mut tx, "usr_1", "key", &answer, tomorrow).await;
        assert!(matches!(again, Err(StateError::Taken { .. })), "{again:?}");
    }

    async fn a_plan_shows_what_waits_for_it(bed: Bed) {
        let plan = bed.plans(&["a"]).await.remove(0);
        let mut change = bed.change(&json!({"kind": "delete_plan", "plan": plan.id, "backups": "keep"}));
        let mut tx = bed.begin().await;
        changes::insert(&mut tx, &change).await.unwrap();
        let waiting = plans::get(&mut tx, &plan.id).await.unwrap().unwrap().status.waiting_changes;
        assert_eq!(waiting, std::slice::from_ref(&change.id));
        assert_eq!(changes::due(&mut tx, bed.now(), 5).await, Ok(vec![]));
        let later = bed.now() + TimeDelta::hours(24);
        assert_eq!(changes::due(&mut tx, later, 5).await, Ok(vec![change.clone()]));
        let filter = ChangeFilter { plan: Some(plan.id.clone()), state: Some(ChangeState::Waiting), backup: None };
        assert_eq!(changes::list(&mut tx, &filter, &first(5)).await.unwrap().items, [change.clone()]);
        change.state = ChangeState::CalledBack;
        changes::decide(&mut tx, &change).await.unwrap();
        assert_eq!(changes::get(&mut tx, &change.id).await, Ok(Some(change.clone())));
        assert_eq!(changes::decide(&mut tx, &change).await, Err(StateError::Conflict));
        let waiting = plans::get(&mut tx, &plan.id).await.unwrap().unwrap().status.waiting_changes;
        assert_eq!(waiting, []);
    }

    async fn the_catalogue_knows_what_is_to_be_swept(bed: Bed) {
        let plan = bed.plans(&["a"]).await.remove(0);
        let backup = bed.stored_backup(&plan, None).await;
        let location = &backup.location;
        let mut tx = bed.begin().await;
        assert_eq!(
            backups::insert(&mut tx, &strongroom_service::model::Backup {
                id: bed.backup(&plan, None).id,
                ..backup.clone()
            })
            .await,
            Err(StateError::Taken { what: "place" })
        );
        drop(tx);
        let mut tx = bed.begin().await;
        let found = backups::find(&mut tx, location, &backup.folder, &backup.name).await;
        assert_eq!(found, Ok(Some(backup.clone())));
        let mut changed = backups::get_to_change(&mut tx, &backup.id).await.unwrap().unwrap();
        changed.state = BackupState::Expired;
        changed.sweep_after = Some(bed.now());
        backups::update(&mut tx, &changed).await.unwrap();
        assert_eq!(backups::of_plan(&mut tx, &plan.id).await, Ok(vec![changed.clone()]));
        assert_eq!(backups::locations_to_sweep(&mut tx, bed.now()).await, Ok(vec![location.clone()]));
        assert_eq!(backups::to_sweep(&mut tx, location, bed.now(), 5).await, Ok(vec![changed.clone()]));
        let filter = BackupFilter {
            since: None,
            until: None,
            plan: Some(plan.id.clone()),
            deployment: backup.deployment.clone(),
            location: Some(location.clone()),
            state: Some(BackupState::Expired),
            held: false,
            scope: Scope { deployments: vec![], plans: vec![plan.id.clone()] },
        };
        assert_eq!(backups::list(&mut tx, &filter, &first(5)).await.unwrap().items, [changed]);
        let held = BackupFilter { held: true, ..BackupFilter::default() };
        assert_eq!(backups::list(&mut tx, &held, &first(5)).await.unwrap().items, []);
    }

    async fn leftovers_wait_until_nobody_writes_them(bed: Bed) {
        let plan = bed.plans(&["a"]).await.remove(0);
        let run = bed.queued(&plan).await;
        let leftover = Leftover {
            location: plan.settings.location.clone(),
            folder: plan.folder.clone(),
            name: bed.backup(&plan, None).name,
            run: run.id,
            sweep_after: bed.now() + TimeDelta::hours(1),
        };
        let mut tx = bed.begin().await;
        leftovers::insert(&mut tx, &leftover).await.unwrap();
        leftovers::insert(&mut tx, &leftover).await.unwrap();
        assert_eq!(leftovers::due(&mut tx, None, bed.now(), 5).await, Ok(vec![]));
        let (later, location) = (leftover.sweep_after, Some(&leftover.location));
        assert_eq!(leftovers::due(&mut tx, location, later, 5).await, Ok(vec![leftover.clone()]));
        let of = leftovers::of_place(&mut tx, &leftover.location, &leftover.folder, &leftover.name).await;
        assert_eq!(of, Ok(Some(leftover.run.clone())));
        leftovers::delete(&mut tx, &leftover).await.unwrap();
        assert_eq!(leftovers::due(&mut tx, None, later, 5).await, Ok(vec![]));
    }

    async fn a_log_is_read_from_any_line_on(bed: Bed) {
        let plan = bed.plans(&["a"]).await.remove(0);
        let run = bed.queued(&plan).await;
        let mut tx = bed.begin().await;
        let claimed = runs::claim(&mut tx, "one", 4, TimeDelta::minutes(1)).await.unwrap().unwrap();
        assert_eq!(runs::of_worker(&mut tx, "one").await.unwrap(), std::slice::from_ref(&claimed));
        let line = |number: u64| -> LogLine {
            let message = format!("line {number}\0");
            made(json!({"number": number, "at": bed.now(), "level": "warning", "code": "phase", "message": message}))
        };
        let lines = [line(1), line(2), line(3)];
        assert_eq!(log_lines::append(&mut tx, &run.id, claimed.fence, &lines).await, Ok(true));
        assert_eq!(log_lines::append(&mut tx, &run.id, claimed.fence, &lines).await, Ok(true), "once more");
        let rest = log_lines::after(&mut tx, &run.id, 1, 1).await.unwrap();
        assert_eq!((rest.len(), rest[0].message.as_str()), (1, "line 2\u{fffd}"));
        assert_eq!(log_lines::last(&mut tx, &run.id).await, Ok(3));
    }

    async fn runs_are_found_by_all_that_they_concern(bed: Bed) {
        let plans = bed.plans(&["a", "b"]).await;
        let (one, other) = (bed.queued(&plans[0]).await, bed.queued(&plans[1]).await);
        let mut conn = bed.reader().await;
        let all = RunFilter {
            plan: one.plan.clone(),
            deployment: one.deployment.clone(),
            location: one.location.clone(),
            backup: None,
            kind: Some(one.request.kind()),
            state: Some(RunState::Queued),
            since: Some(bed.now()),
            until: Some(bed.now() + TimeDelta::seconds(1)),
            scope: Scope { deployments: one.deployment.clone().into_iter().collect(), plans: vec![] },
        };
        assert_eq!(runs::list(&mut conn, &all, &first(5)).await.unwrap().items, std::slice::from_ref(&one));
        let before = RunFilter { until: Some(bed.now()), ..RunFilter::default() };
        assert_eq!(runs::list(&mut conn, &before, &first(5)).await.unwrap().items, []);
        let every = runs::list(&mut conn, &RunFilter::default(), &first(5)).await.unwrap();
        assert_eq!(every.items, [other.clone(), one.clone()]);
        let of_backup = RunFilter { backup: Some(bed.backup(&plans[0], None).id), ..RunFilter::default() };
        assert_eq!(runs::list(&mut conn, &of_backup, &first(5)).await.unwrap().items, []);
        assert_eq!(runs::open_of(&mut conn, &plans[1].id).await, Ok(Some(other)));
        assert_eq!(runs::waiting(&mut conn, bed.now(), 1).await, Ok(vec![one]));
    }

    async fn old_runs_are_forgotten_once_they_have_ended(bed: Bed) {
        let plan = bed.plans(&["a"]).await.remove(0);
        let (ended, open) = (bed.queued(&plan).await, bed.queued(&plan).await);
        let mut tx = bed.begin().await;
        let (cancelled, effects) =
            strongroom_service::job::step(&ended, Event::CancelRequested, bed.now()).unwrap();
        let queued = runs::Holding::Queued;
        assert!(runs::store(&mut tx, &cancelled, queued, &effects).await.unwrap());
        assert!(!runs::store(&mut tx, &cancelled, queued, &effects).await.unwrap(), "it waits no more");
        let later = bed.now() + TimeDelta::days(1);
        assert_eq!(runs::trim(&mut tx, later, 10).await, Ok(1));
        assert_eq!(runs::get(&mut tx, &ended.id).await, Ok(None));
        assert_eq!(runs::get(&mut tx, &open.id).await, Ok(Some(open)));
    }

    async fn a_plan_is_due_until_its_occurrences_are_dealt_with(bed: Bed) {
        let plan = bed.plans(&["a"]).await.remove(0);
        let (now, next) = (bed.now(), bed.now() + TimeDelta::days(1));
        let mut tx = bed.begin().await;
        assert_eq!(plans::next_due(&mut tx).await, Ok(None));
        plans::scheduled(&mut tx, &plan.id, now, Some(now)).await.unwrap();
        assert_eq!(plans::next_due(&mut tx).await, Ok(Some(now)));
        assert_eq!(plans::due(&mut tx, now, 5).await.unwrap().len(), 1);
        plans::scheduled(&mut tx, &plan.id, next, Some(next)).await.unwrap();
        assert_eq!(plans::due(&mut tx, now, 5).await.unwrap().len(), 0);
        let (_, mark) = plans::to_schedule(&mut tx, &plan.id).await.unwrap().unwrap();
        assert_eq!(mark, next);
        let of = |at| Run { scheduled_for: Some(at), ..bed.run(&plan) };
        runs::insert(&mut tx, &of(next)).await.unwrap();
        let after = runs::occurrences_after(&mut tx, &plan.id, now).await.unwrap();
        assert_eq!(after.into_iter().collect::<Vec<_>>(), [next]);
        plans::set_refused(&mut tx, &plan.id, None).await.unwrap();
        let filter = PlanFilter {
            deployment: Some(plan.settings.deployment.clone()),
            location: Some(plan.settings.location.clone()),
            paused: Some(false),
            ..PlanFilter::default()
        };
        assert_eq!(plans::list(&mut tx, &filter, &first(5)).await.unwrap().items.len(), 1);
        let failing = PlanFilter { failing: true, ..PlanFilter::default() };
        assert_eq!(plans::list(&mut tx, &failing, &first(5)).await.unwrap().items, []);
    }

    async fn lists_are_filtered_by_a_label(bed: Bed) {
        let mut plan = bed.plans(&["a", "b"]).await.remove(0);
        let label = ("team".parse().unwrap(), "red".parse().unwrap());
        plan.settings.labels = made(json!({"team": "red"}));
        let mut tx = bed.begin().await;
        plans::update(&mut tx, &plan, 1).await.unwrap();
        let filter = PlanFilter { label: Some(label), ..PlanFilter::default() };
        let found = plans::list(&mut tx, &filter, &first(5)).await.unwrap();
        assert_eq!(found.items.len(), 1);
        plan.settings.labels = made(json!({"team": "blue"}));
        plans::update(&mut tx, &plan, 2).await.unwrap();
        assert_eq!(plans::list(&mut tx, &filter, &first(5)).await.unwrap().items, []);
    }

    async fn settings_are_the_defaults_until_somebody_changes_them(bed: Bed) {
        let mut tx = bed.begin().await;
        assert_eq!(settings::get(&mut tx).await, Ok((Settings::default(), 0)));
        let changed = Settings { second_admin: true, ..Settings::default() };
        settings::update(&mut tx, &changed, 0).await.unwrap();
        assert_eq!(settings::get(&mut tx).await, Ok((changed, 1)));
    }
}
