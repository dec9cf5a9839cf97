//! A role of IAM that credentials take on before they are used.

use serde::{Deserialize, Serialize};

/// The name that sessions of a role have in the logs of its account.
pub(crate) const SESSION_NAME: &str = "strongroom";

/// A role to take on (`AssumeRole` of AWS STS), and what its owner wants to hear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AssumedRole {
    /// Its ARN, such as `arn:aws:iam::111122223333:role/backups`.
    pub arn: String,
    /// The external id that its trust policy asks for, 2 to 1224 characters. It is no secret: it keeps one customer of a
    /// service from naming another's role (IAM User Guide, "The confused deputy problem").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

impl AssumedRole {
    /// Whether the ARN can name a role: `arn`, partition, service, region, account and resource, of which other servers
    /// than Amazon's leave some empty.
    pub(crate) fn is_named(&self) -> bool {
        self.arn.starts_with("arn:")
            && self.arn.splitn(6, ':').filter(|part| !part.is_empty()).count() >= 3
            && self.arn.split(':').count() >= 6
            && self.arn.len() <= 2048
            && !self.arn.contains(|c: char| c.is_whitespace() || c.is_control())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_has_its_parts() {
        for (arn, named) in [
            ("arn:aws:iam::111122223333:role/backups", true),
            ("arn:aws-cn:iam::111122223333:role/path/backups", true),
            ("arn:aws:iam:::role/backups", true),
            ("arn:::::", false),
            ("backups", false),
            ("arn:aws:iam::111122223333", false),
            ("arn:aws:iam::111122223333:role/back ups", false),
            ("", false),
        ] {
            assert_eq!(AssumedRole { arn: arn.into(), external_id: None }.is_named(), named, "{arn}");
        }
    }
}
