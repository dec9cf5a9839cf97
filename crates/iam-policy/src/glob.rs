//! Whether two patterns have a text in common: a resource's form, such as `arn:${Partition}:s3:::${BucketName}`,
//! and a Resource as a policy writes it.

/// A set of characters that one place of a text may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Just(char),
    All,
    /// All but these.
    Without(&'static str),
}

impl Set {
    fn meets(self, other: Self) -> bool {
        match (self, other) {
            (Self::Just(a), Self::Just(b)) => a == b,
            (Self::Just(c), Self::Without(not)) | (Self::Without(not), Self::Just(c)) => !not.contains(c),
            // Each leaves out a few characters only.
            _ => true,
        }
    }
}

/// A pattern: sets of characters, each once or any number of times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob(Vec<(Set, bool)>);

impl Glob {
    /// A resource as a policy writes it. A variable may hold anything.
    pub(crate) fn of_resource(text: &str) -> Self {
        let mut places = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some((inner, after)) = rest.strip_prefix("${").and_then(|rest| rest.split_once('}')) {
                places.push(match inner {
                    "*" => (Set::Just('*'), false),
                    "?" => (Set::Just('?'), false),
                    "$" => (Set::Just('$'), false),
                    _ => (Set::All, true),
                });
                rest = after;
                continue;
            }
            places.push(match c {
                '*' => (Set::All, true),
                '?' => (Set::All, false),
                c => (Set::Just(c), false),
            });
            rest = &rest[c.len_utf8()..];
        }
        Self(places)
    }

    /// A form of the tables. Its variables hold at least one character; only a last one, but for a bucket's
    /// name, holds slashes and colons.
    pub(crate) fn of_type(form: &str) -> Self {
        let mut places = Vec::new();
        let mut rest = form;
        while let Some(c) = rest.chars().next() {
            if let Some((name, after)) = rest.strip_prefix("${").and_then(|rest| rest.split_once('}')) {
                let set = match name {
                    "ObjectName" | "RoleNameWithPath" | "Alias" | "Token" => Set::All,
                    _ => Set::Without("/:"),
                };
                places.extend([(set, false), (set, true)]);
                rest = after;
                continue;
            }
            places.push((Set::Just(c), false));
            rest = &rest[c.len_utf8()..];
        }
        Self(places)
    }
}

/// Whether some text fits both.
pub(crate) fn meet(a: &Glob, b: &Glob) -> bool {
    let (a, b) = (&a.0, &b.0);
    // Places of `b` that can be reached together with the place of `a` at hand.
    let mut reached = vec![false; b.len() + 1];
    reached[0] = true;
    skip(b, &mut reached);
    for &(set, many) in a {
        if many {
            for at in 0..b.len() {
                let (wanted, optional) = b[at];
                reached[at + 1] |= reached[at] && (optional || set.meets(wanted));
            }
            continue;
        }
        let mut next = vec![false; b.len() + 1];
        for (at, &(wanted, stays)) in b.iter().enumerate() {
            next[if stays { at } else { at + 1 }] |= reached[at] && set.meets(wanted);
        }
        skip(b, &mut next);
        reached = next;
    }
    reached[b.len()]
}

/// A place that may be empty is passed.
fn skip(b: &[(Set, bool)], reached: &mut [bool]) {
    for at in 0..b.len() {
        if reached[at] && b[at].1 {
            reached[at + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meets(form: &str, resource: &str) -> bool {
        meet(&Glob::of_type(form), &Glob::of_resource(resource))
    }

    #[test]
    fn forms_meet_resources() {
        let bucket = "arn:${Partition}:s3:::${BucketName}";
        let object = "arn:${Partition}:s3:::${BucketName}/${ObjectName}";
        for (resource, is_bucket, is_object) in [
            ("*", true, true),
            ("arn:aws:s3:::b", true, false),
            ("arn:aws:s3:::b/*", false, true),
            ("arn:aws:s3:::b*", true, true),
            ("arn:aws:s3:::b?", true, false),
            ("arn:aws:s3:::b?c", true, true),
            ("arn:aws:s3:::*/x", false, true),
            ("arn:aws:s3:::b/${aws:username}/*", false, true),
            ("arn:aws:s3:::b/", false, false),
            ("arn:aws:s3:::", false, false),
            ("arn:aws:s3:us-east-1:1:b", false, false),
            ("arn:*:b", true, true),
            ("arn:*/k", false, true),
            ("", false, false),
        ] {
            assert_eq!(meets(bucket, resource), is_bucket, "bucket {resource}");
            assert_eq!(meets(object, resource), is_object, "object {resource}");
        }
        assert!(meets(
            "arn:${Partition}:iam::${Account}:role/${RoleNameWithPath}",
            "arn:aws:iam::*:role/a/*"
        ));
    }
}
