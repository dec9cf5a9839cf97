//! The error of everything that people and programs ask of the service.

use serde::{Deserialize, Serialize};
use strongroom_engine as engine;
use utoipa::ToSchema;

use crate::state::StateError;

/// Defines the codes of the service in one table: a name and a meaning for each.
macro_rules! codes {
    ($($variant:ident $name:literal $meaning:literal)+) => {
        /// A stable name for a kind of refusal that only the service gives. The others are the engine's.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ServiceCode {
            $(#[doc = $meaning] $variant,)+
        }

        impl ServiceCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name as written, such as `SR-TAKEN`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }
        }
    };
}

codes! {
    Request "SR-REQUEST"
        "The request is malformed, or a field of it is unknown, missing or out of bounds; the fields are listed."
    SignIn "SR-SIGN-IN"
        "Nobody is signed in, or the password, the session or the token is not valid."
    Forbidden "SR-FORBIDDEN"
        "The user or the token may not do this."
    CrossSite "SR-CROSS-SITE"
        "The request was sent by a page of another site."
    Missing "SR-MISSING"
        "There is no such resource, or the token may not see it."
    Method "SR-METHOD"
        "The resource does not support this method."
    Taken "SR-TAKEN"
        "Another resource has this name."
    Conflict "SR-CONFLICT"
        "The request does not fit how things stand, such as deleting what is still in use."
    Changed "SR-CHANGED"
        "The resource was changed since it was read."
    KeyReused "SR-KEY-REUSED"
        "The idempotency key was used before, for another request."
    TooLarge "SR-TOO-LARGE"
        "The request is larger than the service accepts."
    MediaType "SR-MEDIA-TYPE"
        "The body of the request is not JSON."
    TooMany "SR-TOO-MANY"
        "There were too many requests of this kind; the answer says when to try again."
    Unavailable "SR-UNAVAILABLE"
        "The service cannot reach its database, or has no space left, and cannot work at the moment."
    TooSlow "SR-TOO-SLOW"
        "The request took longer than the service allows."
}

/// A code of the service or of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// One that only the service gives.
    Service(ServiceCode),
    /// One of the engine.
    Engine(engine::Code),
}

impl Code {
    /// The name as written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service(code) => code.as_str(),
            Self::Engine(code) => code.as_str(),
        }
    }
}

/// Characters of the name of a field that is wrong.
const FIELD_MAX: usize = 1000;
/// Characters of what is wrong with a field.
const MESSAGE_MAX: usize = 2000;

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// The field, such as `schedule.pattern` or `labels.team`; a header or a parameter by its name.
    #[schema(max_length = 1000)]
    pub field: String,
    /// What is wrong with it.
    #[schema(max_length = 2000)]
    pub message: String,
}

impl FieldError {
    /// A message may repeat what was sent, which may be long.
    fn new(field: String, message: String) -> Self {
        let short = |text: String, most: usize| match text.char_indices().nth(most) {
            Some((end, _)) => text[..end].to_owned(),
            None => text,
        };
        Self { field: short(field, FIELD_MAX), message: short(message, MESSAGE_MAX) }
    }
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    code: Code,
    message: String,
    help: Option<String>,
    fields: Vec<FieldError>,
    retry_after: Option<u64>,
}

/// The result of what a person asks for.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with its code and what happened: lower case, no final period.
    pub fn new(code: ServiceCode, message: impl Into<String>) -> Self {
        Self::of(Code::Service(code), message.into())
    }

    fn of(code: Code, message: String) -> Self {
        Self(Box::new(Inner { code, message, help: None, fields: Vec::new(), retry_after: None }))
    }

    /// One field is wrong.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        let mut error = Self::new(ServiceCode::Request, format!("`{field}`: {message}"));
        error.0.fields.push(FieldError::new(field, message));
        error
    }

    /// There is no `thing` of that id, or it may not be seen.
    #[must_use]
    pub fn missing(thing: &str) -> Self {
        Self::new(ServiceCode::Missing, format!("there is no such {thing}"))
    }

    /// A fault of the service. Its `message` is written to the log and not shown.
    #[must_use]
    pub fn internal(message: &str) -> Self {
        tracing::error!(message, "a fault of the service");
        Self::of(Code::Engine(engine::Code::Internal), "the service has a fault; its log says more".into())
    }

    /// Adds what can be done about it, in full sentences.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Adds after how many seconds it may be tried again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// The same, said of a field of the request.
    #[must_use]
    pub fn at(mut self, field: &str) -> Self {
        self.0.fields.push(FieldError::new(field.into(), self.0.message.clone()));
        self
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What happened.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What can be done about it.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// The fields that are wrong.
    #[must_use]
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// After how many seconds it may be tried again.
    #[must_use]
    pub fn seconds_to_wait(&self) -> Option<u64> {
        self.0.retry_after
    }

    /// Whether it has this code.
    #[must_use]
    pub fn is(&self, code: ServiceCode) -> bool {
        self.0.code == Code::Service(code)
    }
}

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Self {
        let mut made = Self::of(Code::Engine(error.code()), error.message().into());
        made.0.help = error.help_text().map(in_words);
        made
    }
}

/// The help of the engine, with its settings named as the API names them.
fn in_words(help: &engine::Help) -> String {
    let name = |setting: engine::Setting| setting.to_string().replace('-', "_");
    help.render(
        |setting, value| match value {
            Some(value) => format!("`{}: {value}`", name(setting)),
            None => format!("`{}`", name(setting)),
        },
        |command| format!("`{command}`"),
    )
}

impl From<StateError> for Error {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Unavailable(why) => {
                tracing::error!(why, "the state is not available");
                Self::new(ServiceCode::Unavailable, "the service cannot reach its database")
                    .help("It goes on by itself when the database is back. Try again later.")
            }
            StateError::Full => {
                Self::new(ServiceCode::Unavailable, "the disk of the service's database is full")
                    .help("Make room on it. Nothing was changed.")
            }
            StateError::Conflict => super::expected::changed(),
            StateError::Taken { what } => {
                Self::new(ServiceCode::Taken, format!("another resource has this {what}")).at(what)
            }
            StateError::Missing => Self::missing("resource"),
            StateError::Referenced { by } => {
                Self::new(ServiceCode::Conflict, format!("the resource is still in use by {by}"))
            }
            StateError::Nul => Self::new(ServiceCode::Request, "a text holds the character U+0000"),
            StateError::Damaged(_)
            | StateError::Newer { .. }
            | StateError::InUse(_)
            | StateError::Address(_) => Self::internal(&error.to_string()),
        }
    }
}
