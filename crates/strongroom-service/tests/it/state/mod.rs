//! The state: the same contract on SQLite and on PostgreSQL.

mod bed;
mod opening;
