//! Passwords in connection strings, kept out of all that is printed: a URI may stand where none belongs.

use strongroom_engine::deployment::without_secrets_of;

/// `text` without the passwords of the connection strings among what was `given` to the program, and of those that stand
/// in the text itself.
pub(crate) fn hide(text: &str, given: impl Iterator<Item = String>) -> String {
    let hidden = given
        .filter(|one| one.contains("mongodb"))
        .fold(text.to_owned(), |text, one| without_secrets_of(&one, &text));
    without_secrets_of("", &hidden)
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
