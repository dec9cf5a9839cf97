//! Who is told what happens to requests.

use std::fmt;
use std::sync::Arc;

use crate::progress::{Event, Observer};

/// An observer of a store, or nobody. It makes no difference to what the options ask for, so all are equal.
#[derive(Clone, Default)]
pub struct Watcher(Option<Arc<dyn Observer>>);

impl Watcher {
    /// Reports an event.
    pub(crate) fn observe(&self, event: &Event) {
        if let Some(observer) = &self.0 {
            observer.observe(event);
        }
    }
}

impl From<Arc<dyn Observer>> for Watcher {
    fn from(observer: Arc<dyn Observer>) -> Self {
        Self(Some(observer))
    }
}

impl PartialEq for Watcher {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Watcher {}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Watcher(..)" } else { "Watcher(nobody)" })
    }
}
