//! Why a command failed: an error of the engine, or one of a service that was asked.

use strongroom_engine::{Class, Code, Error};
use strongroom_service::control::{FieldError, ServiceCode};

use crate::help;

/// The result of a command.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Here, in the engine or in what was given to the program.
    Here(Error),
    /// In the service, or on the way to it.
    Remote(Box<Remote>),
}

/// What a service answered, or that it did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) code: RemoteCode,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) fields: Vec<FieldError>,
    pub(crate) causes: Vec<String>,
}

/// The kind of a remote failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RemoteCode {
    /// One of the service.
    Service(ServiceCode),
    /// One of the engine, which the service works with.
    Engine(Code),
    /// No connection, or no answer in time.
    Unreachable,
    /// What answers is no service, or not one that this program understands.
    Answer,
    /// One that this program does not know. Whether it passes is seen from the HTTP status.
    Unknown { name: Box<str>, passing: bool },
}

impl RemoteCode {
    /// The code of this name.
    pub(crate) fn named(name: &str, passing: bool) -> Self {
        let service = ServiceCode::ALL.iter().find(|code| code.as_str() == name).copied().map(Self::Service);
        let engine = || Code::ALL.iter().find(|code| code.as_str() == name).copied().map(Self::Engine);
        service.or_else(engine).unwrap_or_else(|| {
            let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
            let name = name.chars().filter(|c| plain(*c)).take(40).collect::<String>().into();
            Self::Unknown { name, passing }
        })
    }

    /// Its name, such as `SR-TAKEN`.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Service(code) => code.as_str(),
            Self::Engine(code) => code.as_str(),
            Self::Unreachable => "SR-SERVICE-HOST",
            Self::Answer => "SR-SERVICE-ANSWER",
            Self::Unknown { name, .. } => name,
        }
    }

    /// Who or what can put it right.
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Engine(code) => code.class(),
            Self::Service(ServiceCode::TooMany | ServiceCode::Unavailable | ServiceCode::TooSlow)
            | Self::Unreachable
            | Self::Unknown { passing: true, .. } => Class::Passing,
            Self::Service(_) | Self::Unknown { .. } => Class::User,
            Self::Answer => Class::Lasting,
        }
    }
}

impl Remote {
    pub(crate) fn new(code: RemoteCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, fields: Vec::new(), causes: Vec::new() }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn caused_by(mut self, causes: Vec<String>) -> Self {
        self.causes = causes;
        self
    }
}

impl Failure {
    /// The name of its code.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Here(error) => error.code().as_str(),
            Self::Remote(remote) => remote.code.as_str(),
        }
    }

    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Here(error) => error.code().class(),
            Self::Remote(remote) => remote.code.class(),
        }
    }

    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Here(error) => error.message(),
            Self::Remote(remote) => &remote.message,
        }
    }

    /// What to do, in the words of the command line.
    pub(crate) fn help_text(&self) -> Option<String> {
        match self {
            Self::Here(error) => error.help_text().map(help::in_words),
            Self::Remote(remote) => remote.help.clone(),
        }
    }

    pub(crate) fn causes(&self) -> Vec<&str> {
        match self {
            Self::Here(error) => error.causes().collect(),
            Self::Remote(remote) => remote.causes.iter().map(String::as_str).collect(),
        }
    }

    /// The fields of a request that are wrong.
    pub(crate) fn fields(&self) -> &[FieldError] {
        match self {
            Self::Here(_) => &[],
            Self::Remote(remote) => &remote.fields,
        }
    }

    /// Whether a service refused for this reason.
    pub(crate) fn is(&self, code: ServiceCode) -> bool {
        matches!(self, Self::Remote(remote) if remote.code == RemoteCode::Service(code))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Here(error)
    }
}

impl From<Remote> for Failure {
    fn from(remote: Remote) -> Self {
        Self::Remote(Box::new(remote))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_by_their_names_and_a_hostile_one_is_plain() {
        assert_eq!(RemoteCode::named("SR-TAKEN", false), RemoteCode::Service(ServiceCode::Taken));
        assert_eq!(RemoteCode::named("SR-DENIED", false), RemoteCode::Engine(Code::Denied));
        let unknown = RemoteCode::named("SR-\u{1b}[2JNEW\n", true);
        assert_eq!((unknown.as_str(), unknown.class()), ("SR-2JNEW", Class::Passing));
    }
}
