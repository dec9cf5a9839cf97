//! The test that every list and every look of a loop goes through an index, however many rows there are.

use std::cell::RefCell;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use strongroom_engine::Clock;

use super::backups::{self, BackupFilter};
use super::page::PageRequest;
use super::plans::{self, PlanFilter};
use super::runs::{self, RunFilter};
use super::sql::Sql;
use super::{Conn, Scope, State, changes, counts, leftovers, log_lines};
use crate::model::{BackupKey, BackupState, DeploymentId, LocationId, PlanId, RunId, RunKind, RunState};

thread_local! {
    static SEEN: RefCell<Vec<Sql>> = const { RefCell::new(Vec::new()) };
}

/// Every statement of this thread.
pub(super) fn note(sql: &Sql) {
    SEEN.with_borrow_mut(|seen| seen.push(sql.clone()));
}

#[derive(Debug)]
struct Still;

#[async_trait]
impl Clock for Still {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }

    async fn sleep_until(&self, _: DateTime<Utc>) {}
}

/// What SQLite says it will do for a statement.
async fn explained(conn: &mut Conn, sql: &Sql) -> Vec<String> {
    let explain = sql.clone().after("EXPLAIN QUERY PLAN ");
    let rows = conn.all(explain).await.unwrap();
    rows.iter().map(|row| row.get("detail").unwrap()).collect()
}

/// The statements that were run meanwhile, each with what SQLite does for it.
async fn looked_at(conn: &mut Conn) -> Vec<(Sql, Vec<String>)> {
    let mut all = Vec::new();
    for sql in SEEN.take() {
        let plan = explained(conn, &sql).await;
        all.push((sql, plan));
    }
    SEEN.take();
    all
}

async fn opened() -> (tempfile::TempDir, State) {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("strongroom.db").into(), Arc::new(Still)).await.unwrap();
    (folder, state)
}

fn some<T>(which: bool, value: T) -> Option<T> {
    which.then_some(value)
}

/// Every filter of runs, with and without each of what it can ask for.
fn filters() -> Vec<RunFilter> {
    let now = DateTime::UNIX_EPOCH;
    let states = [None, Some(RunState::Queued), Some(RunState::Failed), Some(RunState::Succeeded)];
    let kinds = [None, Some(RunKind::Backup), Some(RunKind::Restore)];
    let mut all = Vec::new();
    for bits in 0_u8..32 {
        let has = |bit: u8| bits & (1 << bit) != 0;
        let scope = Scope {
            deployments: some(has(4), DeploymentId::new(now, 1)).into_iter().collect(),
            plans: Vec::new(),
        };
        for (state, kind) in states.iter().flat_map(|state| kinds.iter().map(move |kind| (*state, *kind))) {
            all.push(RunFilter {
                plan: some(has(0), PlanId::new(now, 1)),
                deployment: some(has(1), DeploymentId::new(now, 1)),
                location: some(has(2), LocationId::new(now, 1)),
                backup: some(has(3), BackupKey::new(now, 1)),
                kind,
                state,
                scope: scope.clone(),
                ..RunFilter::default()
            });
        }
    }
    all
}

#[tokio::test]
async fn no_list_of_runs_reads_more_than_an_index_says() {
    let (_folder, state) = opened().await;
    let mut conn = state.reader().await.unwrap();
    SEEN.take();
    for filter in filters() {
        runs::list(&mut conn, &filter, &PageRequest::default()).await.unwrap();
        let (sql, plan) = looked_at(&mut conn).await.remove(0);
        let narrow = filter.plan.is_some() || filter.backup.is_some();
        let within = narrow || filter.deployment.is_some() || filter.location.is_some();
        let scoped = !filter.scope.deployments.is_empty();
        let rare = filter.state.is_some_and(|state| state != RunState::Succeeded)
            || filter.kind.is_some_and(|kind| kind != RunKind::Backup);
        if within || scoped || rare {
            assert!(plan[0].starts_with("SEARCH runs USING INDEX"), "{sql:?}\n{plan:#?}");
        } else {
            // Nearly all runs are such: the newest of them are at the end of the key.
            assert!(
                plan[0].starts_with("SCAN runs USING INDEX sqlite_autoindex_runs_1"),
                "{sql:?}\n{plan:#?}"
            );
        }
        if filter.plan.is_some() && filter.backup.is_none() {
            assert!(plan[0].contains("(plan=?"), "the plan is the narrowest\n{sql:?}\n{plan:#?}");
        }
    }
}

#[tokio::test]
async fn no_loop_reads_more_than_what_it_looks_for() {
    let (_folder, state) = opened().await;
    let now = DateTime::UNIX_EPOCH;
    let (plan, location, run) = (PlanId::new(now, 1), LocationId::new(now, 1), RunId::new(now, 1));
    let mut tx = state.begin().await.unwrap();
    SEEN.take();
    runs::claim(&mut tx, "worker", 4, TimeDelta::seconds(30)).await.unwrap();
    runs::heartbeat(&mut tx, &run, 1, TimeDelta::seconds(30), None).await.unwrap();
    runs::reap(&mut tx, 10).await.unwrap();
    runs::waiting(&mut tx, now, 10).await.unwrap();
    runs::open_of(&mut tx, &plan).await.unwrap();
    runs::of_worker(&mut tx, "worker").await.unwrap();
    plans::due(&mut tx, now, 10).await.unwrap();
    plans::next_due(&mut tx).await.unwrap();
    plans::list(&mut tx, &PlanFilter { failing: true, ..PlanFilter::default() }, &PageRequest::default())
        .await
        .unwrap();
    backups::of_plan(&mut tx, &plan).await.unwrap();
    backups::to_sweep(&mut tx, &location, now, 10).await.unwrap();
    let expired = BackupFilter { state: Some(BackupState::Expired), ..BackupFilter::default() };
    backups::list(&mut tx, &expired, &PageRequest::default()).await.unwrap();
    changes::due(&mut tx, now, 10).await.unwrap();
    leftovers::due(&mut tx, Some(&location), now, 10).await.unwrap();
    log_lines::after(&mut tx, &run, 0, 10).await.unwrap();
    counts::by_day(&mut tx, Some(&plan), RunKind::Backup, now.date_naive(), now.date_naive()).await.unwrap();
    for (sql, plan) in looked_at(&mut tx).await {
        // The one row of the settings is no table to search.
        let scans = plan.iter().filter(|step| step.starts_with("SCAN") && !step.starts_with("SCAN settings"));
        let whole: Vec<_> = scans.filter(|step| !step.contains("USING INDEX plans_failing")).collect();
        assert!(whole.is_empty(), "{sql:?}\n{plan:#?}");
    }
}
