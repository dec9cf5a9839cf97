//! `strongroom service`: the settings of a service.

use reqwest::Method;

use super::deployment::something;
use super::fields::{Fields, quiet_hours};
use super::{table, which};
use crate::cli::service::{Setting, Settings};
use crate::failure::Result;
use crate::output::Output;
use crate::remote::{Ask, Client, paths};

pub(super) async fn run(client: &Client, command: Settings, output: &Output) -> Result<()> {
    match command {
        Settings::Show => table::show(&client.ask(Ask::get(paths::SETTINGS)).await?.value, output),
        Settings::Set(given) => {
            let fields = fields(given);
            something(&fields)?;
            let seen = client.ask(Ask::get(paths::SETTINGS)).await?;
            let ask = which::change(Method::PUT, paths::SETTINGS.into(), &seen);
            let changed = client.ask(ask.body(fields.onto(seen.value))).await?.value;
            table::show(&changed, output)
        }
    }
}

fn fields(given: Setting) -> Fields {
    Fields::default()
        .set("paused", given.paused)
        .set("quiet_hours", given.quiet_hours.map(quiet_hours))
        .set("runs_at_once", given.runs_at_once)
        .set("grace_hours", given.grace_hours)
        .set("loosening_delay_hours", given.loosening_delay_hours)
        .set("second_admin", given.second_admin)
        .set("run_history_days", given.run_history_days)
}
