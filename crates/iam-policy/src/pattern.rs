//! Wildcards and variables. Source: IAM User Guide, "IAM policy elements: Variables and tags".

use crate::request::Context;

/// One piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// `*`: any characters.
    Any,
    /// `?`: one character.
    One,
    Variable {
        key: String,
        default: Option<String>,
    },
}

/// A text with wildcards, and variables where they are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    pieces: Vec<Piece>,
    /// Whether one of them is a variable.
    variables: bool,
}

/// How a pattern's text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) wildcards: bool,
    pub(crate) variables: bool,
}

/// A variable that has no value, or more than one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoValue {
    pub(crate) key: String,
    pub(crate) many: bool,
}

impl Pattern {
    pub(crate) fn new(text: &str, reading: Reading) -> Self {
        let mut pattern = Self { pieces: Vec::new(), variables: false };
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if reading.variables
                && let Some((piece, after)) = variable(rest)
            {
                pattern.push(piece);
                rest = after;
                continue;
            }
            match c {
                '*' if reading.wildcards => pattern.push(Piece::Any),
                '?' if reading.wildcards => pattern.push(Piece::One),
                c => pattern.push(Piece::Text(c.to_string())),
            }
            rest = &rest[c.len_utf8()..];
        }
        pattern
    }

    fn push(&mut self, piece: Piece) {
        self.variables |= matches!(piece, Piece::Variable { .. });
        match (self.pieces.last_mut(), piece) {
            (Some(Piece::Text(before)), Piece::Text(more)) => before.push_str(&more),
            (Some(Piece::Any), Piece::Any) => {}
            (_, piece) => self.pieces.push(piece),
        }
    }

    /// Puts two patterns one after the other.
    pub(crate) fn followed_by(mut self, next: Self) -> Self {
        for piece in next.pieces {
            self.push(piece);
        }
        self
    }

    /// The same in lower case, for ASCII.
    pub(crate) fn in_lower_case(mut self) -> Self {
        for piece in &mut self.pieces {
            if let Piece::Text(text) = piece {
                text.make_ascii_lowercase();
            }
        }
        self
    }

    pub(crate) fn has_variables(&self) -> bool {
        self.variables
    }

    /// The pattern with the variables' values in place, which are plain text whatever they hold.
    pub(crate) fn resolve(&self, context: &Context) -> Result<Self, NoValue> {
        let mut resolved = Self { pieces: Vec::new(), variables: false };
        for piece in &self.pieces {
            resolved.push(match piece {
                Piece::Variable { key, default } => match (context.get(key), default) {
                    (Some([value]), _) => Piece::Text(value.clone()),
                    (None | Some([]), Some(default)) => Piece::Text(default.clone()),
                    (None | Some([]), None) => return Err(NoValue { key: key.clone(), many: false }),
                    (Some(_), _) => return Err(NoValue { key: key.clone(), many: true }),
                },
                piece => piece.clone(),
            });
        }
        Ok(resolved)
    }

    /// Whether all of `text` fits. Variables must have been resolved: one that was not fits nothing.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.fits(text, |rest, wanted| rest.strip_prefix(wanted))
    }

    /// The same without case, for ASCII.
    pub(crate) fn matches_without_case(&self, text: &str) -> bool {
        self.fits(text, |rest, wanted| {
            let head = rest.as_bytes().get(..wanted.len())?;
            // A head that ends within a character is another text.
            if head.eq_ignore_ascii_case(wanted.as_bytes()) { rest.get(wanted.len()..) } else { None }
        })
    }

    /// `after` gives what follows a literal piece at a text's beginning, if it is there.
    fn fits<'t>(&self, text: &'t str, after: impl Fn(&'t str, &str) -> Option<&'t str>) -> bool {
        let (mut piece, mut rest) = (0, text);
        let mut star: Option<(usize, &str)> = None;
        loop {
            let fits = match self.pieces.get(piece) {
                None if rest.is_empty() => return true,
                None => None,
                Some(Piece::Any) => {
                    star = Some((piece + 1, rest));
                    piece += 1;
                    continue;
                }
                Some(Piece::Text(wanted)) => after(rest, wanted),
                Some(Piece::One) => rest.chars().next().map(|c| &rest[c.len_utf8()..]),
                Some(Piece::Variable { .. }) => None,
            };
            match (fits, &mut star) {
                (Some(remaining), _) => (piece, rest) = (piece + 1, remaining),
                // The last `*` takes one character more.
                (None, Some((next, taken))) => match taken.chars().next() {
                    Some(c) => {
                        *taken = &taken[c.len_utf8()..];
                        (piece, rest) = (*next, *taken);
                    }
                    None => return false,
                },
                (None, None) => return false,
            }
        }
    }
}

/// `${key}`, `${key, 'default'}`, and the literals `${*}`, `${?}`, `${$}`.
fn variable(text: &str) -> Option<(Piece, &str)> {
    let (inner, after) = text.strip_prefix("${")?.split_once('}')?;
    let inner = inner.trim();
    if matches!(inner, "*" | "?" | "$") {
        return Some((Piece::Text(inner.into()), after));
    }
    let (key, default) = match inner.split_once(',') {
        None => (inner, None),
        Some((key, default)) => {
            let default = default.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            (key.trim(), Some(default.to_owned()))
        }
    };
    if key.is_empty() {
        return None;
    }
    Some((Piece::Variable { key: key.to_ascii_lowercase(), default }, after))
}
