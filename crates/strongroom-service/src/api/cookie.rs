//! The cookie of a session.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::secrets::{Bearer, BearerKind};

/// Browsers take the first name only over TLS, for this host alone and all of its paths.
const SECURE: &str = "__Host-strongroom_session";
const PLAIN: &str = "strongroom_session";

/// The session that a request carries.
pub(super) fn read(headers: &HeaderMap, https: bool) -> Option<Bearer> {
    Bearer::parse(BearerKind::Session, value(headers, if https { SECURE } else { PLAIN })?)
}

/// The value of a cookie.
pub(super) fn value<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

/// Sets the cookie; without a session it removes it.
pub(super) fn write(session: Option<&Bearer>, https: bool) -> Option<HeaderValue> {
    let (name, secure) = if https { (SECURE, "; Secure") } else { (PLAIN, "") };
    let (value, age) = session.map_or(("", "; Max-Age=0"), |session| (session.expose(), ""));
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}");
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_comes_back_by_the_name_that_fits_the_connection() {
        let session = Bearer::random(BearerKind::Session).unwrap();
        let set = write(Some(&session), true).unwrap();
        let set = set.to_str().unwrap();
        assert!(set.starts_with("__Host-strongroom_session=srs_"), "{set}");
        assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Strict; Secure"), "{set}");
        let pair = set.split(';').next().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_str(&format!("other=1; {pair}")).unwrap());
        assert_eq!(read(&headers, true).unwrap().expose(), session.expose());
        assert!(read(&headers, false).is_none());
        assert!(write(None, false).unwrap().to_str().unwrap().contains("Max-Age=0"));
    }
}
