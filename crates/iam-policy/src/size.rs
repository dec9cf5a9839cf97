//! How large a policy may be. Source: IAM User Guide, "IAM and AWS STS quotas"; Amazon S3 User Guide, "Bucket
//! policies" (20 KB).

/// What a policy's text is attached to; that decides its limit and what counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attachment {
    /// A managed policy: 6,144 characters.
    Managed,
    /// All inline policies of a user together: 2,048 characters.
    UserInline,
    /// All inline policies of a group together: 5,120 characters.
    GroupInline,
    /// All inline policies of a role together: 10,240 characters.
    RoleInline,
    /// A role's trust policy: 2,048 characters, unless AWS raised it.
    Trust,
    /// A session policy, and the managed ones named with it: 2,048 characters.
    Session,
    /// A bucket policy: 20,480 bytes, white space included.
    Bucket,
}

/// The size of a policy and the most it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// In characters without white space; for a bucket policy in bytes.
    pub used: usize,
    /// In the same unit.
    pub limit: usize,
}

impl Size {
    /// By how much it is too large; 0 if it is not.
    #[must_use]
    pub fn over(&self) -> usize {
        self.used.saturating_sub(self.limit)
    }
}

/// Measures a policy's text as AWS does. White space within JSON strings counts.
#[must_use]
pub fn size(text: &str, attachment: Attachment) -> Size {
    let limit = match attachment {
        Attachment::Managed => 6144,
        Attachment::UserInline | Attachment::Trust | Attachment::Session => 2048,
        Attachment::GroupInline => 5120,
        Attachment::RoleInline => 10240,
        Attachment::Bucket => 20480,
    };
    let used = if attachment == Attachment::Bucket { text.len() } else { characters(text) };
    Size { used, limit }
}

fn characters(text: &str) -> usize {
    let (mut used, mut quoted, mut escaped) = (0, false, false);
    for c in text.chars() {
        if quoted || !c.is_ascii_whitespace() {
            used += 1;
        }
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_counts_in_strings_and_in_bucket_policies() {
        let text = "{ \"Id\" :\n\t\"a \\\" b\" }";
        assert_eq!(size(text, Attachment::Managed), Size { used: 15, limit: 6144 });
        assert_eq!(size(text, Attachment::Bucket), Size { used: text.len(), limit: 20480 });
        assert_eq!(size("\"ä\"", Attachment::UserInline).used, 3);
        assert_eq!(size("\"ä\"", Attachment::Bucket).used, 4);
        assert_eq!(Size { used: 7, limit: 5 }.over(), 2);
        assert_eq!(Size { used: 5, limit: 5 }.over(), 0);
    }
}
