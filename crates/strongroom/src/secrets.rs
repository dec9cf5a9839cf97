//! Passwords in connection strings, kept out of all that is printed: a URI may stand where none belongs.

use strongroom_engine::deployment::ConnectionString;

/// `text` without the passwords of the connection strings among what was `given` to the program.
pub(crate) fn hide(text: &str, given: impl Iterator<Item = String>) -> String {
    let uris = given.filter_map(|one| {
        let begin = one.find("mongodb")?;
        one[begin..].parse::<ConnectionString>().ok()
    });
    uris.fold(text.to_owned(), |text, uri| uri.without_secrets(&text))
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
}
