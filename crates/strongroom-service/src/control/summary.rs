//! How everything stands, from what is kept as runs end.

use chrono::TimeDelta;

use super::Result;
use crate::model::{ChangeState, Int, NextRun, Plan, Run, RunKind, Summary};
use crate::service::Service;
use crate::state::changes::ChangeFilter;
use crate::state::runs::RunFilter;
use crate::state::{self, Conn, PageRequest};

/// Runs, and plans that run next, that are shown.
const SHOWN: u64 = 10;
const DAYS: i64 = 30;

/// How everything stands.
///
/// # Errors
/// The state's.
pub async fn get(service: &Service) -> Result<Summary> {
    let today = service.clock.now().date_naive();
    let mut conn = service.state.reader().await?;
    let (settings, _) = state::settings::get(&mut conn).await?;
    let (queued, running) = state::runs::open_counts(&mut conn).await?;
    let from = today - TimeDelta::days(DAYS - 1);
    Ok(Summary {
        paused: settings.paused,
        plans: state::plans::counts(&mut conn).await?,
        queued,
        running,
        waiting_changes: waiting(&mut conn).await?,
        last_runs: last_runs(&mut conn).await?,
        next_runs: state::plans::soonest(&mut conn, SHOWN).await?.into_iter().filter_map(next).collect(),
        days: state::counts::by_day(&mut conn, None, RunKind::Backup, from, today).await?,
    })
}

async fn last_runs(conn: &mut Conn) -> Result<Vec<Run>> {
    let page = PageRequest { after: None, limit: Int::of(SHOWN) };
    Ok(state::runs::list(conn, &RunFilter::default(), &page).await?.items)
}

/// Few wait at a time: the delay is a day.
async fn waiting(conn: &mut Conn) -> Result<u64> {
    let filter = ChangeFilter { state: Some(ChangeState::Waiting), ..ChangeFilter::default() };
    let page = PageRequest { after: None, limit: Int::of(200) };
    Ok(state::changes::list(conn, &filter, &page).await?.items.len() as u64)
}

fn next(plan: Plan) -> Option<NextRun> {
    Some(NextRun { at: plan.status.next_due?, plan: plan.id, name: plan.settings.name })
}
