//! The bucket's security: the policies for given settings, applied, proved and explained.
//!
//! What is decided here is pure: settings and facts go in, documents, plans and verdicts come out. Requests are
//! made by `bucket/`.

mod explain;
mod formats;
mod judged;
mod policy;
mod prove;
pub mod provision;
mod refusal;
mod refused;
mod settings;
mod steps;
mod table;
mod thief;
mod wish;

pub use explain::{Checked, Explained, Sources, explain, plan_check};
pub use formats::{Format, render};
pub use policy::{Attached, Document, documents, is_own_sid};
pub use prove::{Counts, Credentials, Finding, Report, Verdict, html, prove};
pub use refusal::{explain_refusal, gather, known_policies, principal};
pub use refused::{KnownPolicies, PlanRefusal, Refusing, refused};

pub use settings::{Access, Dialect, Retention, RetentionMode, Settings, Trust, partition};
pub use table::iam_page;
pub use thief::{Ability, thief};
