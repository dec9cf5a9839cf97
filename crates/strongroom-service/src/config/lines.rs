//! Which key stands on which line of a YAML file, for messages about it. Only block mappings are looked at: in flow
//! style (`{a: 1}`) the line of the outer key is the best there is.

/// The lines (from 1) and full names of the keys in `text`, such as `(4, "tls.certificate")`.
pub(super) fn keys(text: &str) -> Vec<(usize, String)> {
    let mut open: Vec<(usize, &str)> = Vec::new();
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        let Some(key) = key(bare) else { continue };
        open.retain(|(column, _)| *column < indent);
        open.push((indent, key));
        let name = open.iter().map(|(_, key)| *key).collect::<Vec<_>>().join(".");
        found.push((at + 1, name));
    }
    found
}

fn key(line: &str) -> Option<&str> {
    let (key, rest) = line.split_once(':')?;
    let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (plain && (rest.is_empty() || rest.starts_with([' ', '\t']))).then_some(key)
}

/// The key that `line` belongs to: its own or the nearest above.
pub(super) fn key_at(text: &str, line: usize) -> Option<String> {
    keys(text).into_iter().take_while(|(at, _)| *at <= line).last().map(|(_, key)| key)
}

/// The line of a key, or of the section that it would be in.
pub(super) fn line_of(text: &str, name: &str) -> Option<usize> {
    let keys = keys(text);
    let line = |name: &str| keys.iter().find(|(_, key)| key == name).map(|(line, _)| *line);
    line(name).or_else(|| line(name.split_once('.')?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# a file\nlisten: 127.0.0.1:1\ntls:\n  certificate: a\n  key: b\nfolders:\n  - /a\nlog: {level: info}\n";

    #[test]
    fn keys_are_found_by_line_and_lines_by_key() {
        assert_eq!(key_at(TEXT, 1), None);
        assert_eq!(key_at(TEXT, 5).as_deref(), Some("tls.key"));
        assert_eq!(key_at(TEXT, 7).as_deref(), Some("folders"));
        assert_eq!(line_of(TEXT, "tls.certificate"), Some(4));
        assert_eq!(line_of(TEXT, "log.level"), Some(8));
        assert_eq!(line_of(TEXT, "oidc.issuer"), None);
    }
}
