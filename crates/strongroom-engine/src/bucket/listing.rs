//! One level of a listing, page by page, from servers that know only the older way of asking for the next page too. The
//! pages are not trusted: each must bring something new.

use std::collections::HashSet;

use super::{Listed, Listing};
use crate::error::{Code, Error, Result};

/// How long all names of a level may be together.
const NAMES_BYTES_MAX: usize = 256 << 20;
/// How many pages in a row may hold nothing; S3 sends such when much was deleted.
const EMPTY_PAGES_MAX: u32 = 1000;

/// What to ask for next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Next {
    #[default]
    First,
    /// ListObjectsV2, with a token.
    Token(String),
    /// ListObjects, with the name behind which the page begins: a server that says that there is more, and gives no token,
    /// knows only this.
    Marker(String),
}

/// One page as it came; names with all that stands before them.
#[derive(Debug, Clone, Default)]
pub(super) struct Page {
    pub(super) folders: Vec<String>,
    pub(super) objects: Vec<Listed>,
    pub(super) truncated: bool,
    /// The token or marker of the next page.
    pub(super) next: Option<String>,
}

/// The pages so far.
#[derive(Debug)]
pub(super) struct Pages {
    /// What all names begin with, and what is taken off.
    below: String,
    listing: Listing,
    bytes: usize,
    /// The greatest name so far.
    last: String,
    tokens: HashSet<String>,
    empty: u32,
}

impl Pages {
    pub(super) fn new(below: &str) -> Self {
        Self {
            below: below.to_owned(),
            listing: Listing::default(),
            bytes: 0,
            last: String::new(),
            tokens: HashSet::new(),
            empty: 0,
        }
    }

    /// Takes a page that was asked for by `asked`; what to ask for next, if there is more.
    ///
    /// # Errors
    /// [`Code::StoreHost`] when pages repeat, or come without end.
    pub(super) fn take(&mut self, asked: &Next, page: Page) -> Result<Option<Next>> {
        let objects = page.objects.iter().map(|object| &object.name);
        let greatest = page.folders.iter().chain(objects).max().cloned();
        self.empty = if greatest.is_some() { 0 } else { self.empty + 1 };
        let new = greatest.as_deref().is_some_and(|name| name > self.last.as_str());
        self.last = greatest.filter(|_| new).unwrap_or(std::mem::take(&mut self.last));
        self.add(&page)?;
        let by_token = page.next.as_ref().filter(|_| !matches!(asked, Next::Marker(_)));
        let next = match by_token {
            // A token counts, whatever is said of an end.
            Some(token) => {
                if !self.tokens.insert(token.clone()) {
                    return Err(endless("the same page again"));
                }
                Next::Token(token.clone())
            }
            None if !page.truncated => return Ok(None),
            None if !new => return Err(endless("a page with nothing new, and says that there is more")),
            None => Next::Marker(page.next.unwrap_or(self.last.clone())),
        };
        if self.empty > EMPTY_PAGES_MAX {
            return Err(endless("empty pages only"));
        }
        Ok(Some(next))
    }

    fn add(&mut self, page: &Page) -> Result<()> {
        let below = self.below.as_str();
        let name = |key: &String| {
            let name = key.strip_prefix(below)?.trim_end_matches('/');
            (!name.is_empty()).then(|| name.to_owned())
        };
        let folders: Vec<String> = page.folders.iter().filter_map(name).collect();
        let object = |object: &Listed| Some(Listed { name: name(&object.name)?, ..object.clone() });
        let objects: Vec<Listed> = page.objects.iter().filter_map(object).collect();
        let names = folders.iter().chain(objects.iter().map(|object| &object.name));
        self.bytes += names.map(|name| name.len() + size_of::<Listed>()).sum::<usize>();
        if self.bytes > NAMES_BYTES_MAX {
            return Err(endless("more names than anybody stores"));
        }
        self.listing.folders.extend(folders);
        self.listing.objects.extend(objects);
        Ok(())
    }

    /// All of it, sorted by bytes: S3 sorts folders with their slash, and some servers not at all.
    pub(super) fn whole(mut self) -> Listing {
        self.listing.folders.sort_unstable();
        self.listing.folders.dedup();
        self.listing.objects.sort_unstable();
        self.listing.objects.dedup_by(|one, other| one.name == other.name);
        self.listing
    }
}

fn endless(what: &str) -> Error {
    Error::new(Code::StoreHost, format!("the storage's list has no end: it sends {what}"))
        .help("Check what answers at the endpoint (AWS_ENDPOINT_URL): S3's lists have pages, and the last one says so.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(names: &[&str], truncated: bool, next: Option<&str>) -> Page {
        let (folders, objects) =
            names.iter().map(|name| (*name).to_owned()).partition(|n: &String| n.ends_with('/'));
        let objects: Vec<String> = objects;
        let object = |name| Listed { name, bytes: 1, modified: None };
        let objects = objects.into_iter().map(object).collect();
        Page { folders, objects, truncated, next: next.map(str::to_owned) }
    }

    #[test]
    fn pages_are_put_together_by_token_or_by_marker() {
        let mut pages = Pages::new("p/");
        let token = Next::Token("t1".into());
        assert_eq!(
            pages.take(&Next::First, page(&["p/b/", "p/a"], true, Some("t1"))).unwrap(),
            Some(token.clone())
        );
        // More, and no token.
        let marker = Next::Marker("p/c".into());
        assert_eq!(pages.take(&token, page(&["p/c"], true, None)).unwrap(), Some(marker.clone()));
        let next = Next::Marker("p/e".into());
        assert_eq!(
            pages.take(&marker, page(&["p/c", "p/d/"], true, Some("p/e"))).unwrap(),
            Some(next.clone())
        );
        assert_eq!(pages.take(&next, page(&["p/f"], false, None)).unwrap(), None);
        let listing = pages.whole();
        assert_eq!(listing.folders, ["b", "d"]);
        assert_eq!(listing.names().collect::<Vec<_>>(), ["a", "c", "f"]);
    }

    #[test]
    fn pages_without_an_end_are_ended() {
        // Tokens that alternate, the same marker again, nothing at all.
        for more in [
            [page(&["a"], true, Some("1")), page(&["b"], true, Some("2"))],
            [page(&["a"], true, None), page(&["a"], true, None)],
            [page(&[], true, None), page(&[], true, None)],
        ] {
            let (mut pages, mut asked) = (Pages::new(""), Next::First);
            let mut failed = None;
            for answer in more.iter().cycle().take(6) {
                match pages.take(&asked, answer.clone()) {
                    Ok(next) => asked = next.unwrap(),
                    Err(error) => failed = Some(error),
                }
            }
            assert_eq!(failed.unwrap().code(), Code::StoreHost);
        }
        let (mut pages, mut asked) = (Pages::new(""), Next::First);
        let ended = (0..2 * EMPTY_PAGES_MAX).find_map(|i| {
            match pages.take(&asked, page(&[], true, Some(&i.to_string()))) {
                Ok(next) => asked = next.unwrap(),
                Err(error) => return Some(error),
            }
            None
        });
        assert_eq!(ended.unwrap().code(), Code::StoreHost);
    }
}
