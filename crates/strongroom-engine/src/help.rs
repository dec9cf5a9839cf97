//! What to do about an error, as a value. The engine knows settings and commands by name; a command line shows them
//! as flags, a portal as fields and buttons.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a person can do: sentences, with the settings and commands they mention kept apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Help(Vec<Part>);

/// A piece of a help text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Plain words.
    Text(String),
    /// A setting, and the value to give it where there is a certain one.
    Setting(Setting, #[serde(default)] Option<String>),
    /// A command of Strongroom.
    Command(Command),
}

/// Settings that help texts mention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// Patterns of namespaces to take.
    Include,
    /// Patterns of namespaces to leave out.
    Exclude,
    /// The plan, a series of backups.
    Plan,
    /// Rules for other names.
    Rename,
    /// What to do with collections that exist: `drop` or `keep`.
    Existing,
    /// What to do about users and roles.
    Users,
    /// The moment to restore.
    At,
    /// How a backup gets consistent.
    Consistency,
    /// Collections read at once.
    Readers,
    /// How far a member may lag.
    MaxLag,
    /// How long anything is waited for that makes no progress.
    Wait,
    /// Server-side encryption.
    Sse,
    /// The checksum that goes with each object.
    Checksum,
    /// The account that must own the bucket.
    ExpectedOwner,
    /// The AWS profile whose credentials are used.
    Profile,
    /// The role that the credentials take on.
    AssumedRole,
    /// What the owner of that role wants to hear.
    ExternalId,
    /// Credentials of an administrator.
    AdminProfile,
    /// The policy of an identity.
    IdentityPolicy,
    /// Which identities and policies: classic, single or split.
    Access,
    /// Whether the bucket keeps versions.
    Versioned,
    /// An identity that exists, to be granted access.
    GrantTo,
    /// Roles instead of users.
    Role,
    /// What the names of policies and identities begin with.
    Name,
    /// Whether to create another access key.
    NewKey,
}

/// Commands that help texts mention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Lists the backups of a location.
    List,
    /// Reads a backup and compares every byte.
    Verify,
    /// Makes a backup.
    Backup,
    /// Deletes a backup.
    Delete,
    /// Deletes what is left of backups that were never finished.
    Clean,
    /// Finds the policy statement that decides about a request.
    Explain,
}

impl Help {
    /// Puts parts together, in order; [`help!`](crate::help!) is the short form.
    pub fn new(parts: impl IntoIterator<Item = Part>) -> Self {
        Self(parts.into_iter().collect())
    }

    /// The parts, in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The same with one more part at its end.
    #[must_use]
    pub fn and(mut self, part: impl Into<Part>) -> Self {
        self.0.push(part.into());
        self
    }

    /// The text, with settings and commands shown as `setting` and `command` say.
    pub fn render(
        &self,
        setting: impl Fn(Setting, Option<&str>) -> String,
        command: impl Fn(Command) -> String,
    ) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Setting(name, value) => setting(*name, value.as_deref()),
            Part::Command(name) => command(*name),
        };
        self.0.iter().map(part).collect()
    }
}

/// Settings and commands under the names they have as data.
impl fmt::Display for Help {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(
            |name, value| match value {
                Some(value) => format!("`{name}: {value}`"),
                None => format!("`{name}`"),
            },
            |name| format!("`{name}`"),
        ))
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Setting {
    /// The setting with a certain value.
    pub fn to(self, value: impl Into<String>) -> Part {
        Part::Setting(self, Some(value.into()))
    }
}

impl From<&str> for Part {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Part {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Setting> for Part {
    fn from(name: Setting) -> Self {
        Self::Setting(name, None)
    }
}

impl From<Command> for Part {
    fn from(name: Command) -> Self {
        Self::Command(name)
    }
}

impl<T: Into<Part>> From<T> for Help {
    fn from(part: T) -> Self {
        Self(vec![part.into()])
    }
}

/// A help text made of words, settings and commands:
/// `help!["Leave ", Setting::At, " out, or choose another backup."]`.
#[macro_export]
macro_rules! help {
    ($($part:expr),+ $(,)?) => {
        $crate::Help::new([$($crate::HelpPart::from($part)),+])
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_interface_names_settings_in_its_own_way() {
        let help = help!["Set ", Setting::Sse.to("AES256"), ", or see ", Command::List, "."];
        assert_eq!(help.to_string(), "Set `sse: AES256`, or see `list`.");
        let flags = help.render(
            |name, value| format!("--{name} {}", value.unwrap_or_default()),
            |name| format!("strongroom {name}"),
        );
        assert_eq!(flags, "Set --sse AES256, or see strongroom list.");
    }

    #[test]
    fn it_is_written_as_data_and_read_back() {
        let help = help!["Set ", Setting::MaxLag, "."];
        let written = serde_json::to_string(&help).unwrap();
        assert_eq!(written, r#"[{"text":"Set "},{"setting":["max-lag",null]},{"text":"."}]"#);
        assert_eq!(serde_json::from_str::<Help>(&written).unwrap(), help);
    }
}
