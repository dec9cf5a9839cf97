//! Transactions that stand in several entries, put together until they take effect.

use std::collections::HashMap;
use std::fmt;

use super::entry::{Entry, Role, Transaction};
use crate::error::{Code, Error};
use crate::help;
use crate::help::Setting;

/// The most entries of transactions that are remembered because they have not taken effect yet: each is a few bytes
/// of memory, and a server's transaction of this many entries would hold terabytes.
const OPEN_ENTRIES_MAX: usize = 1_000_000;

/// Transactions that are under way. Where their entries are kept is up to the caller, who gets back what it gave.
#[derive(Debug)]
pub(crate) struct Transactions<T> {
    open: HashMap<(Vec<u8>, i64), Open<T>>,
    entries: usize,
    entries_max: usize,
}

/// The entries of one of them so far.
#[derive(Debug)]
struct Open<T> {
    entries: Vec<T>,
    /// Its first entries are older than what is known.
    headless: bool,
}

/// What takes effect with an entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect<T> {
    /// The entry itself.
    Alone,
    /// These entries, in this order.
    Together(Vec<T>),
    /// Nothing yet, or nothing ever.
    Nothing,
}

/// Why a transaction cannot be put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It takes effect, and its beginning was not among the entries.
    BeganBefore {
        /// Its number in its session.
        number: i64,
    },
    /// Those that are under way at one moment have too many entries.
    TooMany {
        /// The most that are remembered.
        entries_max: usize,
    },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeganBefore { number } => {
                write!(f, "transaction {number} of a session began before the oplog of the backup")
            }
            Self::TooMany { entries_max } => {
                write!(
                    f,
                    "transactions that are under way at one moment have more than {entries_max} entries"
                )
            }
        }
    }
}

impl From<Unfit> for Error {
    fn from(unfit: Unfit) -> Self {
        Self::new(Code::NotReplayable, format!("the oplog cannot be replayed: {unfit}")).help(help![
            "Choose an earlier moment with ",
            Setting::At,
            ", or another backup."
        ])
    }
}

impl<T> Default for Transactions<T> {
    fn default() -> Self {
        Self::with_entries_max(OPEN_ENTRIES_MAX)
    }
}

impl<T> Transactions<T> {
    /// Remembers at most this many entries.
    #[must_use]
    pub(crate) fn with_entries_max(entries_max: usize) -> Self {
        Self { open: HashMap::new(), entries: 0, entries_max }
    }

    /// Takes the next entry. `kept` says where it is, if it [waits](Role::waits).
    ///
    /// # Errors
    /// [`Unfit`], when a transaction takes effect whose beginning was not among the entries, or when too many entries
    /// are under way.
    pub(crate) fn take(&mut self, entry: &Entry<'_>, kept: Option<T>) -> Result<Effect<T>, Unfit> {
        match entry.role {
            Role::Alone => Ok(Effect::Alone),
            Role::Part(transaction) | Role::Prepared(transaction) => {
                self.hold(transaction, kept).map(|()| Effect::Nothing)
            }
            Role::Last(transaction) => {
                self.hold(transaction, kept)?;
                self.end(transaction).map(Effect::Together)
            }
            Role::Commit(transaction) => self.end(transaction).map(Effect::Together),
            Role::Abort(transaction) => {
                self.close(transaction);
                Ok(Effect::Nothing)
            }
        }
    }

    /// Whether none is under way.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The entries of those that have not taken effect, in no order.
    #[must_use]
    pub(crate) fn into_open(self) -> Vec<T> {
        self.open.into_values().flat_map(|open| open.entries).collect()
    }

    fn hold(&mut self, transaction: Transaction<'_>, kept: Option<T>) -> Result<(), Unfit> {
        if self.entries >= self.entries_max {
            return Err(Unfit::TooMany { entries_max: self.entries_max });
        }
        self.entries += usize::from(kept.is_some());
        let headless = transaction.continues;
        let open =
            self.open.entry(key(transaction)).or_insert_with(|| Open { entries: Vec::new(), headless });
        open.entries.extend(kept);
        Ok(())
    }

    fn end(&mut self, transaction: Transaction<'_>) -> Result<Vec<T>, Unfit> {
        match self.close(transaction) {
            Some(open) if !open.headless => Ok(open.entries),
            _ => Err(Unfit::BeganBefore { number: transaction.number }),
        }
    }

    fn close(&mut self, transaction: Transaction<'_>) -> Option<Open<T>> {
        let open = self.open.remove(&key(transaction))?;
        self.entries -= open.entries.len();
        Some(open)
    }
}

/// What tells a transaction from others.
pub(crate) fn key(transaction: Transaction<'_>) -> (Vec<u8>, i64) {
    (transaction.session.to_vec(), transaction.number)
}

#[cfg(test)]
mod tests {
    use bson::{RawDocumentBuf, Timestamp, rawdoc};
    use proptest::prelude::*;

    use super::*;

    fn entry(session: i32, o: RawDocumentBuf, first: bool) -> Vec<u8> {
        let before = Timestamp { time: u32::from(!first), increment: 0 };
        rawdoc! {
            "op": "c", "ns": "admin.$cmd", "o": o, "ts": Timestamp { time: 1, increment: 1 },
            "lsid": { "id": session }, "txnNumber": 1_i64, "prevOpTime": { "ts": before, "t": 1_i64 },
        }
        .into_bytes()
    }

    fn part(session: i32, n: i32, first: bool) -> Vec<u8> {
        entry(session, rawdoc! { "applyOps": [], "n": n, "partialTxn": true }, first)
    }

    type Kept = Transactions<Vec<u8>>;

    fn take(transactions: &mut Kept, bytes: &[u8]) -> Result<Effect<Vec<u8>>, Unfit> {
        let entry = Entry::of(bytes).unwrap();
        let kept = entry.role.waits().then(|| bytes.to_vec());
        transactions.take(&entry, kept)
    }

    #[test]
    fn parts_take_effect_with_the_last_one() {
        let mut transactions = Kept::default();
        let (a, b) = (part(1, 1, true), part(2, 2, true));
        let last = entry(1, rawdoc! { "applyOps": [], "count": 2_i64 }, false);
        for bytes in [&a, &b] {
            assert_eq!(take(&mut transactions, bytes).unwrap(), Effect::Nothing);
        }
        assert_eq!(take(&mut transactions, &last).unwrap(), Effect::Together(vec![a, last]));
        assert_eq!(transactions.entries, 1);
        let whole = entry(3, rawdoc! { "applyOps": [] }, true);
        assert_eq!(take(&mut transactions, &whole).unwrap(), Effect::Alone);
    }

    #[test]
    fn what_is_prepared_takes_effect_when_it_is_committed_and_never_when_it_is_given_up() {
        let mut transactions = Kept::default();
        let prepared = |session| entry(session, rawdoc! { "applyOps": [], "prepare": true }, true);
        for session in [1, 2] {
            assert_eq!(take(&mut transactions, &prepared(session)).unwrap(), Effect::Nothing);
        }
        let commit = |session| entry(session, rawdoc! { "commitTransaction": 1 }, false);
        assert_eq!(take(&mut transactions, &commit(2)).unwrap(), Effect::Together(vec![prepared(2)]));
        let abort = entry(1, rawdoc! { "abortTransaction": 1 }, false);
        assert_eq!(take(&mut transactions, &abort).unwrap(), Effect::Nothing);
        assert_eq!(transactions.entries, 0);
        assert_eq!(take(&mut transactions, &commit(1)), Err(Unfit::BeganBefore { number: 1 }));
    }

    #[test]
    fn a_missing_beginning_and_too_many_entries_are_errors() {
        let mut transactions = Kept::with_entries_max(5);
        take(&mut transactions, &part(1, 2, false)).unwrap();
        let last = entry(1, rawdoc! { "applyOps": [] }, false);
        assert_eq!(take(&mut transactions, &last), Err(Unfit::BeganBefore { number: 1 }));
        let unfit = (0..9).find_map(|n| take(&mut transactions, &part(1, n, n == 0)).err()).unwrap();
        assert_eq!(unfit, Unfit::TooMany { entries_max: 5 });
        let error = Error::from(unfit);
        assert_eq!(error.code(), Code::NotReplayable);
        assert!(error.message().contains("more than 5 entries"), "{error}");
    }

    proptest! {
        /// However transactions are interleaved, each comes out whole and in order, and nothing stays.
        #[test]
        fn each_comes_out_whole(parts in proptest::collection::vec(1_usize..5, 1..6), seed in any::<u64>()) {
            let mut transactions = Kept::default();
            let mut left: Vec<(usize, usize)> = parts.iter().map(|&n| (0, n)).collect();
            let mut whole = 0;
            let mut chance = seed;
            while left.iter().any(|(sent, all)| sent < all) {
                chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let session = (chance >> 33) as usize % left.len();
                let (sent, all) = left[session];
                if sent == all {
                    continue;
                }
                left[session].0 += 1;
                let last = sent + 1 == all;
                let o = if last { rawdoc! { "applyOps": [] } } else { rawdoc! { "applyOps": [], "partialTxn": true } };
                let bytes = entry(session as i32, o, sent == 0);
                match take(&mut transactions, &bytes).unwrap() {
                    Effect::Nothing => prop_assert!(!last),
                    Effect::Alone => prop_assert!(last && all == 1),
                    Effect::Together(entries) => prop_assert!(last && entries.len() == all),
                }
                whole += usize::from(last);
            }
            prop_assert_eq!(whole, parts.len());
            prop_assert_eq!(transactions.entries, 0);
        }
    }
}
