//! Passwords in connection strings and signatures in URLs, kept out of all that is printed: a URI may stand where none
//! belongs.

use strongroom_engine::deployment::without_secrets_of;

/// Parameters of signed URLs that let whoever has them in (Amazon S3 User Guide, "Authenticating requests: using query
/// parameters"; the second line: of other stores).
const SIGNING: [&str; 6] = [
    "x-amz-signature=",
    "x-amz-credential=",
    "x-amz-security-token=",
    "signature=",
    "awsaccesskeyid=",
    "sig=",
];

/// `text` without the passwords of the connection strings among what was `given` to the program, and of those that stand
/// in the text itself.
pub(crate) fn hide(text: &str, given: impl Iterator<Item = String>) -> String {
    let hidden = given
        .filter(|one| one.contains("mongodb"))
        .fold(text.to_owned(), |text, one| without_secrets_of(&one, &text));
    without_signatures(&without_secrets_of("", &hidden))
}

fn without_signatures(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || "?&;#`'\"".contains(c);
    let hidden = text.split_inclusive(ends).map(|parameter| {
        let (bare, end) = parameter.split_at(parameter.trim_end_matches(ends).len());
        let name = SIGNING.iter().find(|name| bare.to_ascii_lowercase().starts_with(*name));
        name.map_or_else(|| parameter.to_owned(), |name| format!("{}***{end}", &bare[..name.len()]))
    });
    hidden.collect()
}

#[cfg(test)]
mod tests {
    use super::hide;

    #[test]
    fn a_uri_anywhere_on_the_command_line_keeps_its_password_to_itself() {
        for argument in [
            "mongodb://u:hush@h",
            "--uri=mongodb+srv://u:hush@h/db",
            "mongodb://u:hu:sh@h",
            "mongodb://u:hu@sh@h",
        ] {
            let printed =
                hide(&format!("unexpected argument '{argument}' found"), [argument.to_owned()].into_iter());
            assert!(!printed.contains("hu") && !printed.contains("sh@"), "{printed}");
        }
        assert_eq!(hide("no backup `x`", ["list".to_owned()].into_iter()), "no backup `x`");
    }

    #[test]
    fn a_signed_url_keeps_its_signature_to_itself() {
        let none = || std::iter::empty();
        assert_eq!(
            hide("cannot open `h/k?X-Amz-Date=1&X-Amz-Signature=ab%20&x=1`: \"?sig=é\"", none()),
            "cannot open `h/k?X-Amz-Date=1&X-Amz-Signature=***&x=1`: \"?sig=***\""
        );
        for plain in ["the design=1 of `?s=1`", "signature", "a?b&c"] {
            assert_eq!(hide(plain, none()), plain);
        }
    }
}
