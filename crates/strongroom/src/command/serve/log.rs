//! The log of the service, on stderr: lines for people, or a JSON object a line with the fields of all spans around it.

use std::io;

use strongroom_service::config::{Log, LogFormat};
use tracing_subscriber::EnvFilter;

/// Crates whose messages belong to the log; of others only warnings do.
const OURS: [&str; 3] = ["strongroom", "strongroom_service", "strongroom_engine"];

/// Logs from now on.
pub(super) fn begin(settings: &Log) {
    let level = settings.level;
    let ours = OURS.map(|name| format!("{name}={level}")).join(",");
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(format!("warn,{ours}")))
        .with_writer(io::stderr)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()));
    // A log that was begun before stays.
    let _ = match settings.format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).try_init(),
    };
}
