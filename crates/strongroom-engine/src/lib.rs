//! What Strongroom can do to one MongoDB deployment and one bucket.
//!
//! Two values are opened first: a [`Deployment`](deployment::Deployment) to read (or a
//! [`Target`](deployment::Target) to restore into) and an [`ObjectStore`](bucket::ObjectStore) that holds backups.
//! The jobs work on these. The two long ones are values themselves: [`backup::prepare`] and [`restore::prepare`] look and
//! decide, what they give can be shown and recorded, and its `run` does just that. [`verify`], [`cat`], [`catalog`] and
//! [`guard`] are the short ones.
//!
//! Every job takes a [`Job`]: an [`Observer`] that receives its [`Event`]s, a token that stops it, and a [`Clock`].
//! Whatever stops a job, it removes what it made and is not part of its result.
//!
//! What a person can choose is data with one written form ([`settings`]). What fails is an [`Error`] with a stable
//! [`Code`], whose [`Class`] says whether trying again helps, and a [`Help`] that each interface puts in its own words.
//!
//! # Example
//!
//! A backup of a deployment into a folder, read back and compared:
//!
//! ```
//! # use std::sync::Arc;
//! # use async_trait::async_trait;
//! # use chrono::{DateTime, Utc};
//! use strongroom_engine::bucket::{self, StoreOptions};
//! use strongroom_engine::deployment::Deployment;
//! use strongroom_engine::{BackupId, Clock, Job, backup, catalog, verify};
//! # #[derive(Debug)]
//! # struct SystemClock;
//! # #[async_trait]
//! # impl Clock for SystemClock {
//! #     fn now(&self) -> DateTime<Utc> { std::time::SystemTime::now().into() }
//! #     async fn sleep_until(&self, _: DateTime<Utc>) {}
//! # }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = testbed::Mongod::replica_set().await?;
//! # let folder = tempfile::tempdir()?;
//! # let (uri, location) = (server.uri(), format!("file://{}", folder.path().display()));
//! let job = Job::unwatched(Arc::new(SystemClock));
//! let store = bucket::open(&location.parse()?, StoreOptions::default())?;
//! let deployment = Deployment::connect(&uri.parse()?).await?;
//!
//! let id = BackupId::new(job.clock.now(), 7);
//! let prepared = backup::prepare(deployment, store.clone(), backup::Options::default(), id, &job).await?;
//! println!("{}", serde_json::to_string_pretty(&prepared)?);
//! let made = prepared.run(&job).await?;
//!
//! let found = catalog::find(&*store, None, "latest").await?;
//! assert_eq!(found.id, made.id);
//! let report = verify(store, &found, 2, &job).await?;
//! assert!(report.problems.is_empty());
//! # Ok(())
//! # }
//! ```

pub mod backup;
pub mod bucket;
pub mod catalog;
pub mod clean;
pub mod deployment;
pub mod guard;
pub mod restore;
pub mod settings;
pub mod words;

mod backoff;
mod cat;
mod clock;
mod compression;
mod counts;
mod definition;
mod error;
mod extended_json;
mod hash;
mod help;
mod job;
mod layout;
mod location;
mod log;
mod log_line;
mod manifest;
mod members;
mod moment;
mod names;
mod oplog;
mod prelude;
mod progress;
mod quantity;
mod renames;
mod role;
mod segments;
mod selection;
mod spool;
mod stream;
mod summary;
mod timestamps;
mod verify;
mod waits;

pub use backoff::Backoff;
pub use cat::cat;
pub use clock::Clock;
pub use compression::{Compression, ZSTD_DEFAULT_LEVEL};
pub use error::{Class, Code, Error, Refused, Result};
pub use help::{Command as HelpCommand, Help, Part as HelpPart, Setting};
pub use job::Job;
pub use layout::{BackupId, PlanName};
pub use location::Location;
pub use log::{LOG_BYTES_MAX, read_log, store_log};
pub use log_line::{Level, LogLine};
pub use manifest::{Consistency, Content, Manifest, Namespace, OplogWindow, Segment, Selection, Tool};
pub use members::{Member, MemberState, Source, Topology};
pub use moment::ClusterTime;
pub use names::{Name, NamespaceKind};
pub use progress::{Event, Observer, Phase, Silent, Warning};
pub use quantity::{Bytes, Period};
pub use renames::{Renames, Rule as RenameRule};
pub use role::AssumedRole;
pub use selection::{Filter, Query};
pub use summary::{Encryption, Moment as SummaryMoment, Status, Summary, Totals};
pub use verify::{Problem, Report as VerifyReport, verify};
pub use waits::{Wait, WaitLimit, Waits};

/// What stands as `RESTORE.md` beside the backups: how to restore with stock tools alone.
pub const RESTORE_NOTE: &str = include_str!("RESTORE.md");
