//! What holds for the whole service.

use super::record::Changed;
use super::{Actor, Expected, Result, changes};
use crate::loosening;
use crate::model::{ChangeSettings, Loosening, Settings};
use crate::service::Service;
use crate::state;

/// The settings, and their version.
///
/// # Errors
/// The state's.
pub async fn get(service: &Service) -> Result<(Settings, u64)> {
    let mut conn = service.state.reader().await?;
    Ok(state::settings::get(&mut conn).await?)
}

/// Replaces the settings, and gives them as they are now, with their version. What loosens something is a change that
/// waits, and takes the place of one that waited before.
///
/// # Errors
/// `SR-CHANGED`.
pub async fn replace(
    service: &Service,
    actor: &Actor,
    expected: &Expected,
    wanted: Settings,
) -> Result<(Settings, u64)> {
    let mut tx = service.state.begin().await?;
    let (before, version) = state::settings::get(&mut tx).await?;
    expected.check(version)?;
    let split = loosening::of_settings(&before, &wanted);
    let what = |settings| Loosening::ChangeSettings(ChangeSettings { settings });
    let asked = split.later.map(|settings| (what(settings), split.loosens));
    let waiting = changes::waiting_of_settings(&mut tx).await?;
    let waiting = changes::instead_of(&mut tx, service, actor, (waiting, asked)).await?;
    let settings = if waiting.is_some() { split.now } else { wanted };
    state::settings::update(&mut tx, &settings, version).await?;
    let record = Changed::new("settings.update", "settings").before(&before).after(&settings);
    record.record(&mut tx, service, actor).await?;
    tx.commit().await?;
    Ok((settings, version + 1))
}
