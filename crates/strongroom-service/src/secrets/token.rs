//! What a request carries to say whose it is: random text that is kept as its SHA-256 only.
//!
//! A fast hash is enough: nobody guesses 256 random bits.

use std::fmt;

use aws_lc_rs::{constant_time, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use strongroom_engine::{Code, Error, Result};

const RANDOM: usize = 32;

/// What such a text is for. Its first letters say so, for people and for those who search for leaked secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BearerKind {
    /// A token of the API.
    Token,
    /// The session of a browser.
    Session,
    /// A link that is used once, such as the one that makes the first admin.
    Link,
}

impl BearerKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Token => "srt_",
            Self::Session => "srs_",
            Self::Link => "srl_",
        }
    }
}

/// A token, session or link as it is given to a person. It has no debug output that shows it.
#[derive(Clone)]
pub struct Bearer(String);

impl Bearer {
    /// A new one.
    ///
    /// # Errors
    /// `SR-INTERNAL` if the system gives no random bytes.
    pub fn random(kind: BearerKind) -> Result<Self> {
        let mut bytes = [0; RANDOM];
        aws_lc_rs::rand::fill(&mut bytes)
            .map_err(|_| Error::new(Code::Internal, "the system gives no random bytes"))?;
        Ok(Self(format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// One that a request brought; none if the text is none of this kind.
    #[must_use]
    pub fn parse(kind: BearerKind, text: &str) -> Option<Self> {
        let random = text.strip_prefix(kind.prefix())?;
        // Longer text is not looked at.
        let fits = random.len() == (RANDOM * 4).div_ceil(3);
        let bytes = fits.then(|| URL_SAFE_NO_PAD.decode(random).ok())??;
        (bytes.len() == RANDOM).then(|| Self(text.into()))
    }

    /// The text, for the person it is for.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut bytes = [0; digest::SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, self.0.as_bytes()).as_ref());
        Digest(bytes)
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer")
    }
}

/// The SHA-256 of a [`Bearer`].
#[derive(Debug, Clone, Copy)]
pub struct Digest([u8; digest::SHA256_OUTPUT_LEN]);

impl Digest {
    /// The bytes to keep and to search by.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the one that was kept. It takes the same time whatever the answer.
    #[must_use]
    pub fn is(&self, kept: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(&self.0, kept).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_digest_and_by_nothing_near_it() {
        let token = Bearer::random(BearerKind::Token).unwrap();
        let again = Bearer::parse(BearerKind::Token, token.expose()).unwrap();
        assert!(again.digest().is(token.digest().as_bytes()));
        assert!(!again.digest().is(&token.digest().as_bytes()[1..]));
        let other = Bearer::random(BearerKind::Token).unwrap();
        assert!(!other.digest().is(token.digest().as_bytes()));
        assert_eq!(format!("{token:?}"), "Bearer");
    }

    #[test]
    fn text_that_is_no_token_is_not_hashed() {
        let token = Bearer::random(BearerKind::Token).unwrap();
        assert!(token.expose().starts_with("srt_") && token.expose().len() == 47);
        assert!(Bearer::parse(BearerKind::Session, token.expose()).is_none());
        let long = format!("{}A", token.expose());
        for wrong in ["", "srt_", &token.expose()[..46], &long, "srt_é", &"x".repeat(100_000)] {
            assert!(Bearer::parse(BearerKind::Token, wrong).is_none(), "{wrong}");
        }
    }
}
