//! What of a connection string is secret, and how it is kept out of texts. It must be found in a malformed one too.

use std::borrow::Cow;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Options whose values are secret (a session token may stand in the properties).
const SECRET_OPTIONS: [&str; 3] =
    ["tlsCertificateKeyFilePassword", "authMechanismProperties", "proxyPassword"];

/// The property of `authMechanismProperties` that is secret; others, such as a service's name, are ordinary words.
const SECRET_PROPERTY: &str = "AWS_SESSION_TOKEN";

/// A secret of this length is hidden even in the middle of a word; a shorter one only where it stands by itself.
const LONG: usize = 8;

/// A secret shorter than this may be a word of any sentence: it is hidden where punctuation stands at its side.
const SHORT: usize = 4;

/// What stands for a password in help texts.
const PLACEHOLDER: &str = "password";

/// What is printed instead.
const STARS: &str = "***";

/// `text` without the password and other secrets of the connection strings in `uri`, which may be malformed: neither as
/// they are written there nor as they are meant. Connection strings in the text itself lose their password too.
#[must_use]
pub fn without_secrets_of(uri: &str, text: &str) -> String {
    let hidden = of(uri).iter().fold(text.to_owned(), |text, secret| without(&text, secret));
    without_passwords(&hidden)
}

/// All secrets in all their forms, the longest first, so that none is left as a part of another.
fn of(uri: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (begin, _) in uri.match_indices("mongodb") {
        found.extend(in_one(&uri[begin..]).flat_map(forms));
    }
    found.retain(|secret| !secret.is_empty());
    found.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    found.dedup();
    found
}

fn in_one(uri: &str) -> impl Iterator<Item = &str> {
    let rest = uri.split_once("://").map_or("", |(_, rest)| rest);
    let (user_info, broken) = user_info(rest);
    let password = user_info.split_once(':').map_or("", |(_, password)| password);
    // What a reader of a malformed one takes for a host, a port or an option may be a piece of the password.
    let reserved = |c: char| c.is_whitespace() || "@:/?&=,#[]%".contains(c);
    let pieces = password.split(reserved).filter(move |_| broken);
    let options = rest.split_once('?').map_or("", |(_, options)| options).split(['&', ' ', '\n']);
    [password].into_iter().chain(pieces).chain(options.flat_map(secret_values))
}

/// What stands before the host, and whether it is malformed. A `@` that only comes behind a `?` or white space may end a
/// password with such a character in it: then what seems to be a host has a port that is none, or what seems to be an
/// option has no value.
fn user_info(rest: &str) -> (&str, bool) {
    let a_port = |host: &str| host.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_ok());
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let Some((all, _)) = rest.rsplit_once('@') else {
        // It may be cut off before the host.
        return if authority.split(',').all(a_port) { ("", false) } else { (authority, true) };
    };
    if all.contains(char::is_whitespace) {
        return (all, true);
    }
    let before_options = rest.split_once('?').map_or(rest, |(before, _)| before);
    if let Some((user_info, _)) = before_options.rsplit_once('@') {
        let reserved = user_info.matches(':').count() > 1 || user_info.contains(['/', '@', '[', ']', '#']);
        return (user_info, reserved);
    }
    let options = all.split_once('?').map_or("", |(_, options)| options);
    let broken = !authority.split(',').all(a_port) || !options.contains('=');
    if broken { (all, true) } else { ("", false) }
}

fn secret_values(option: &str) -> Vec<&str> {
    let Some((name, value)) = option.split_once('=') else { return Vec::new() };
    if !SECRET_OPTIONS.iter().any(|secret| secret.eq_ignore_ascii_case(name)) {
        return Vec::new();
    }
    if !name.eq_ignore_ascii_case("authMechanismProperties") {
        return vec![value];
    }
    let properties = value.split(',').filter_map(|property| property.split_once(':'));
    properties
        .filter(|(name, _)| name.eq_ignore_ascii_case(SECRET_PROPERTY))
        .map(|(_, token)| token)
        .collect()
}

/// As written, as meant, as a program shows it between quotation marks, and with all encoded that may be.
fn forms(secret: &str) -> [String; 4] {
    let meant: Cow<'_, str> = percent_decode_str(secret).decode_utf8_lossy();
    let shown = meant.escape_debug().to_string();
    let encoded = utf8_percent_encode(&meant, NON_ALPHANUMERIC).to_string();
    [secret.to_owned(), meant.into_owned(), shown, encoded]
}

/// The text with stars for the secret, where that is not just a piece of an ordinary word.
fn without(text: &str, secret: &str) -> String {
    let (mut hidden, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(secret) {
        let (before, behind) = (&rest[..at], &rest[at + secret.len()..]);
        let previous = before.chars().next_back().or_else(|| hidden.chars().next_back());
        hidden.push_str(before);
        hidden.push_str(if stands_alone(secret, previous, behind.chars().next()) { STARS } else { secret });
        rest = behind;
    }
    hidden + rest
}

fn stands_alone(secret: &str, previous: Option<char>, next: Option<char>) -> bool {
    let of_word = |c: char| c.is_alphanumeric() || c == '_';
    let joined =
        |own: Option<char>, other: Option<char>| own.is_some_and(of_word) && other.is_some_and(of_word);
    let length = secret.chars().count();
    if length >= LONG {
        return true;
    }
    if joined(secret.chars().next(), previous) || joined(secret.chars().next_back(), next) {
        return false;
    }
    let marked = |c: Option<char>| {
        c.is_some_and(|c| !c.is_whitespace() && !of_word(c) && !matches!(c, '.' | ',' | ';'))
    };
    length >= SHORT || marked(previous) || marked(next)
}

/// Every `scheme://user:password@` in a text loses its password, such as that of a bucket with its key in front. Only a
/// path may have both signs without a password.
fn without_passwords(text: &str) -> String {
    const BEFORE_HOST: &str = "://";
    let (mut hidden, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(BEFORE_HOST) {
        let begin = at + BEFORE_HOST.len();
        let end = rest[begin..].find([' ', '\n', '"', '\'', '`']).map_or(rest.len(), |found| begin + found);
        let password = rest[begin..end].rsplit_once('@').and_then(|(user_info, _)| user_info.split_once(':'));
        let of_a_path = rest[begin..].starts_with('/');
        match password.filter(|(_, password)| !of_a_path && *password != PLACEHOLDER) {
            Some((user, password)) => {
                let password_begins = begin + user.len() + 1;
                hidden.push_str(&rest[..password_begins]);
                hidden.push_str(STARS);
                hidden.push_str(&rest[password_begins + password.len()..end]);
            }
            None => hidden.push_str(&rest[..end]),
        }
        rest = &rest[end..];
    }
    hidden + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sentences_stay_readable() {
        for (uri, text) in [
            ("mongodb://u:u@h/?nonsense", "the MongoDB URI cannot be used: it is refused"),
            ("mongodb://a:a@h", "a standalone server is a server"),
            ("mongodb://u:port@h", "check the ports"),
            ("mongodb://h:27017/?appName=me@home", "no answer from h:27017"),
            (
                "mongodb://u@h:27017/?authMechanismProperties=SERVICE_NAME:mongodb",
                "MongoDB or mongodb: 27017",
            ),
        ] {
            assert_eq!(without_secrets_of(uri, text), text);
        }
    }

    #[test]
    fn whole_words_and_quoted_ones_are_hidden() {
        assert_eq!(
            without_secrets_of("mongodb://u:pass@h", "what about pass, and :pass@"),
            "what about ***, and :***@"
        );
        assert_eq!(
            without_secrets_of("mongodb://u:x@h", "u:x@h and `x` but not x"),
            "u:***@h and `***` but not x"
        );
        let uri = "mongodb://h/?tls=true&tlsCertificateKeyFilePassword=s3cret&appName=x";
        assert_eq!(without_secrets_of(uri, "it is s3cret, says x"), "it is ***, says x");
        let uri = "mongodb://h/?authMechanismProperties=SERVICE_NAME:other,AWS_SESSION_TOKEN:t0ken%2Fx";
        assert_eq!(without_secrets_of(uri, "other t0ken%2Fx t0ken/x"), "other *** ***");
    }

    #[test]
    fn a_connection_string_in_a_text_loses_its_password_whosever_it_is() {
        assert_eq!(
            without_secrets_of("", "see `mongodb+srv://u:other@h/db`, it is"),
            "see `mongodb+srv://u:***@h/db`, it is"
        );
        assert_eq!(
            without_secrets_of("", "mongodb://u:a@b@h and mongodb://h"),
            "mongodb://u:***@h and mongodb://h"
        );
    }

    /// Where malformed connection strings put a password.
    const SHAPES: [&str; 9] = [
        "mongodb://user:{}@host",
        "mongodb://user:{}@host/db?tls=true",
        "mongodb+srv://user:{}@host.example/?x=y@z",
        "mongodb://user:{}@a:1,b:2/?replicaSet=rs",
        "mongodb://user:{}@host mongodb://user:{}@host",
        "mongodb://user:{}@host\nmongodb://user:{}@host",
        "mongodb://user:{}@hostmongodb://user:{}@host",
        "uri=mongodb://user:{}@host",
        "mongodb://user:{} @host",
    ];

    proptest! {
        #[test]
        fn no_form_of_a_password_is_left(
            canary in "[A-Za-z0-9]{8,12}", tail in "[A-Za-z0-9@:/?#& !$=+,]{0,6}", shape in 0..SHAPES.len(),
        ) {
            let meant = format!("{canary}{tail}");
            let encoded = utf8_percent_encode(&meant, NON_ALPHANUMERIC).to_string();
            for written in [&meant, &encoded] {
                let uri = SHAPES[shape].replace("{}", written);
                let piece = written.split(['@', ':', '/', '?', '#']).next().unwrap_or_default();
                let text = format!("invalid: {uri}, that is {meant} ({encoded}) {meant:?} and port '{piece}'");
                let hidden = without_secrets_of(&uri, &text);
                prop_assert!(!hidden.contains(&canary), "{} -> {}", text, hidden);
            }
        }
    }
}
