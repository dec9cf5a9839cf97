//! What settings of a plan would do that are not saved.

use strongroom_engine::{Code, PlanName};

use super::{Checked, check, folder};
use crate::control::{Actor, Result, ServiceCode};
use crate::model::{Location, NewPlan, PlanPreview, Problem};
use crate::runs::refusal;
use crate::schedule::{self, Schedule};
use crate::service::Service;
use crate::state::plans::{self, PlanFilter};
use crate::state::{Conn, PageRequest};

/// Occurrences that are shown.
const SHOWN: usize = 10;

/// Checks settings of a plan without saving them.
///
/// # Errors
/// `SR-REQUEST` with the field that is wrong.
pub async fn preview(service: &Service, actor: &Actor, wanted: NewPlan) -> Result<PlanPreview> {
    let now = service.clock.now();
    let mut conn = service.state.reader().await?;
    let checked = check(&mut conn, actor, (wanted, None), now).await?;
    let folder = folder(&checked.settings)?;
    let warnings = warnings(&mut conn, &checked, &folder).await?;
    let after = Schedule::counts_from(now);
    let occurrences = schedule::preview(&checked.settings.schedule, after, SHOWN);
    Ok(PlanPreview { folder, occurrences, warnings })
}

async fn warnings(conn: &mut Conn, checked: &Checked, folder: &PlanName) -> Result<Vec<Problem>> {
    let Checked { settings, deployment, location } = checked;
    let mut warnings = Vec::new();
    warnings.extend(refusal(location, folder, &settings.backup.encryption));
    warnings.extend(deployment.last_test.as_ref().and_then(|test| test.problem.clone()));
    warnings.extend(unproven(location));
    warnings.extend(taken(conn, settings).await?);
    Ok(warnings)
}

fn unproven(location: &Location) -> Option<Problem> {
    let proof = location.last_proof.as_ref().filter(|proof| !proof.passed)?;
    Some(Problem {
        code: Code::NotProved.as_str().into(),
        message: format!("the last proof of `{}` failed {} of its probes", location.name, proof.fail),
        help: Some("See its run for what the bucket allows that it should not.".into()),
    })
}

async fn taken(conn: &mut Conn, settings: &NewPlan) -> Result<Option<Problem>> {
    let filter = PlanFilter { name: Some(settings.name.clone()), ..PlanFilter::default() };
    let others = plans::list(conn, &filter, &PageRequest::default()).await?.items;
    Ok(others.first().map(|_| Problem {
        code: ServiceCode::Taken.as_str().into(),
        message: format!("another plan is called `{}`", settings.name),
        help: Some("Choose another name.".into()),
    }))
}
