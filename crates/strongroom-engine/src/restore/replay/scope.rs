//! What of the oplog is replayed, and where it goes. Pure.

use super::window::Window;
use crate::error::Result;
use crate::moment::ClusterTime;
use crate::names::{Authorization, Name, known_as};
use crate::oplog::entry::Operation;
use crate::oplog::filter::part_touches;
use crate::restore::settings::{Options, Users};

/// A window of the oplog, and what the settings choose of it.
#[derive(Debug, Clone, Copy)]
pub(in crate::restore) struct Scope<'a> {
    pub(super) window: Window,
    pub(super) settings: &'a Options,
}

impl<'a> Scope<'a> {
    pub(in crate::restore) fn new(window: Window, settings: &'a Options) -> Self {
        Self { window, settings }
    }

    pub(super) fn is_after(&self, ts: ClusterTime) -> bool {
        self.window.to.is_some_and(|to| ts > to)
    }

    pub(super) fn holds(&self, ts: ClusterTime) -> bool {
        ts > self.window.from && !self.is_after(ts)
    }

    /// Whether a part is of what is restored.
    pub(super) fn touches(&self, part: &Operation<'_>) -> Result<bool> {
        part_touches(part, &|db, collection| {
            let kept = Authorization::of(db, collection).is_some();
            let wanted = match self.settings.users {
                Users::Merge => true,
                Users::None => !kept,
                Users::Only => kept,
            };
            wanted && self.settings.filter.accepts(db, collection)
        })
    }

    /// Where the documents of a collection go; none for what the server keeps itself.
    pub(super) fn data_to(&self, from: &Name) -> Option<Name> {
        match Authorization::of(&from.db, &from.collection) {
            Some(kept) => kept.temporary(),
            None => Some(self.settings.renames.apply(&from.db, &from.collection)),
        }
    }

    /// The collection as users know it in the target: a time-series instead of its buckets.
    pub(super) fn known_as(&self, from: &Name) -> Name {
        self.settings.renames.apply(&from.db, known_as(&from.collection))
    }
}

#[cfg(test)]
mod tests {
    use bson::{Timestamp, rawdoc};

    use super::*;
    use crate::oplog::entry::Entry;
    use crate::renames::Renames;
    use crate::selection::Filter;

    const WINDOW: Window = Window {
        from: ClusterTime { seconds: 5, increment: 1 },
        to: Some(ClusterTime { seconds: 7, increment: 1 }),
    };

    #[test]
    fn a_window_begins_after_its_first_moment_and_ends_with_its_last() {
        let settings = Options::default();
        let scope = Scope::new(WINDOW, &settings);
        let at = |increment, seconds| scope.holds(ClusterTime { seconds, increment });
        assert_eq!([at(1, 5), at(2, 5), at(1, 7), at(2, 7)], [false, true, true, false]);
        let open = Scope::new(Window { to: None, ..WINDOW }, &settings);
        assert!(open.holds(ClusterTime { seconds: u32::MAX, increment: 0 }));
    }

    #[test]
    fn settings_decide_what_is_touched_and_where_it_goes() {
        let touched = |ns: &str, users| {
            let filter = Filter::new(vec!["shop.*".into(), "admin.*".into()], vec![]).unwrap();
            let settings = Options { filter, users, ..Options::default() };
            let raw =
                rawdoc! { "op": "i", "ns": ns, "o": { "_id": 1 }, "ts": Timestamp { time: 6, increment: 1 } };
            Scope::new(WINDOW, &settings).touches(&Entry::of(raw.as_bytes()).unwrap().operation).unwrap()
        };
        assert!(touched("shop.system.buckets.w", Users::Merge) && !touched("other.a", Users::Merge));
        assert!(touched("admin.system.users", Users::Only) && !touched("shop.a", Users::Only));
        assert!(!touched("admin.system.users", Users::None) && !touched("shop.system.profile", Users::Merge));

        let renames = Renames::new(["shop.*=copy.*".to_owned()]).unwrap();
        let settings = Options { renames, ..Options::default() };
        let scope = Scope::new(WINDOW, &settings);
        let buckets = Name::new("shop", "system.buckets.w");
        assert_eq!(scope.data_to(&buckets), Some(Name::new("copy", "system.buckets.w")));
        assert_eq!(scope.known_as(&buckets), Name::new("copy", "w"));
        assert_eq!(scope.data_to(&Name::new("admin", "system.users")), Some(Name::new("admin", "tempusers")));
        assert_eq!(scope.data_to(&Name::new("admin", "system.version")), None);
    }
}
