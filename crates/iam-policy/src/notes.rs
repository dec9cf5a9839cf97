//! What is written down while a request is judged.

/// Why a statement does or does not match; written down only when somebody wants to read it.
pub(crate) type Notes<'a> = Option<&'a mut Vec<String>>;

pub(crate) fn note(notes: &mut Notes<'_>, text: impl FnOnce() -> String) {
    if let Some(notes) = notes {
        notes.push(text());
    }
}
