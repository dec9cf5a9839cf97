//! What holds for the whole service.

use super::record::Changed;
use super::{Actor, Expected, Result};
use crate::model::Settings;
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

/// Replaces the settings, and gives their new version.
///
/// # Errors
/// `SR-CHANGED`.
pub async fn replace(
    service: &Service,
    actor: &Actor,
    expected: &Expected,
    settings: &Settings,
) -> Result<u64> {
    let mut tx = service.state.begin().await?;
    let (before, version) = state::settings::get(&mut tx).await?;
    expected.check(version)?;
    state::settings::update(&mut tx, settings, version).await?;
    let record = Changed::new("settings.update", "settings").before(&before).after(settings);
    record.record(&mut tx, service, actor).await?;
    tx.commit().await?;
    Ok(version + 1)
}
