//! Plans whose bucket would refuse them are flagged whenever their location changes.

use super::Result;
use crate::model::{Int, Location};
use crate::runs::refusal;
use crate::state::plans::{self, PlanFilter};
use crate::state::{Conn, PageRequest};

/// Flags all plans of a location anew, after its settings changed.
///
/// # Errors
/// The state's.
pub(super) async fn refresh(conn: &mut Conn, location: &Location) -> Result<()> {
    let filter = PlanFilter { location: Some(location.id.clone()), ..PlanFilter::default() };
    let mut page = PageRequest { after: None, limit: Int::of(200) };
    loop {
        let plans = plans::list(conn, &filter, &page).await?;
        for plan in plans.items {
            let refused = refusal(location, &plan.folder, &plan.settings.backup.encryption);
            if refused != plan.status.refused_by_bucket {
                plans::set_refused(conn, &plan.id, refused.as_ref()).await?;
            }
        }
        match plans.next {
            Some(next) => page.after = Some(next),
            None => return Ok(()),
        }
    }
}
