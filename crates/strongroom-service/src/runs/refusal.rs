//! Which plans a bucket would refuse, by what is known of it without asking. A run asks the bucket itself.

use strongroom_engine::PlanName;
use strongroom_engine::bucket::Sse;
use strongroom_engine::guard::{KnownPolicies, refused};

use super::open::{LocationKeys, Opening};
use super::problem;
use crate::model::{Location, Problem};

/// Statements that are shown in full.
const SHOWN: usize = 2;

/// Why the bucket of a location would refuse what a plan stores with this encryption, with the statements that do; none:
/// nothing known would.
#[must_use]
pub fn refusal(location: &Location, folder: &PlanName, encryption: &Sse) -> Option<Problem> {
    let opening = Opening { location: location.clone(), keys: LocationKeys::default() };
    // A folder has no policies.
    let settings = opening.bucket_settings().ok()?;
    let refusal = refused(&settings, folder, encryption, &KnownPolicies::default())?;
    let told = problem(&refusal.error());
    let statements = refusal.statements.iter().take(SHOWN);
    let statements = statements.map(|one| format!(" The statement that refuses it: {}", one.statement));
    let help = told.help.unwrap_or_default() + &statements.collect::<String>();
    Some(Problem { help: (!help.is_empty()).then(|| help.trim().to_owned()), ..told })
}
