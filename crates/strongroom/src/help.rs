//! Help texts in the words of the command line: settings are flags, commands are commands.

use strongroom_engine::{Help, HelpCommand as Command, Setting};

/// The text as printed.
pub(crate) fn in_words(help: &Help) -> String {
    help.render(
        |setting, value| match (setting, value) {
            (Setting::Existing, Some("drop")) => "--drop".into(),
            (Setting::Existing, _) => "--into-existing".into(),
            (setting, Some(value)) if value.contains('*') => format!("{} '{value}'", flag(setting)),
            (setting, Some(value)) => format!("{} {value}", flag(setting)),
            (setting, None) => flag(setting).into(),
        },
        |command| format!("`strongroom {}`", name(command)),
    )
}

fn flag(setting: Setting) -> &'static str {
    match setting {
        Setting::Include => "--include",
        Setting::Exclude => "--exclude",
        Setting::Plan => "--plan",
        Setting::Rename => "--rename",
        Setting::Existing => "--into-existing",
        Setting::Users => "--users",
        Setting::At => "--at",
        Setting::Consistency => "--consistency",
        Setting::Readers => "--readers",
        Setting::MaxLag => "--max-lag",
        Setting::Wait => "--wait",
        Setting::Sse => "--sse",
        Setting::Checksum => "--checksum",
        Setting::ExpectedOwner => "--expected-bucket-owner",
        Setting::Profile => "--profile",
        Setting::AssumedRole => "--role-arn",
        Setting::ExternalId => "--external-id",
        Setting::AdminProfile => "--admin-profile",
        Setting::IdentityPolicy => "--identity-policy",
        Setting::Access => "--access",
        Setting::Versioned => "--versioned",
        Setting::GrantTo => "--grant-to",
        Setting::Role => "--role",
        Setting::Name => "--name",
        Setting::NewKey => "--new-key",
    }
}

fn name(command: Command) -> &'static str {
    match command {
        Command::List => "list LOCATION",
        Command::Verify => "verify LOCATION BACKUP",
        Command::Backup => "backup",
        Command::Delete => "delete LOCATION BACKUP",
        Command::Clean => "clean LOCATION",
        Command::Explain => "bucket explain LOCATION",
    }
}
