//! Transactions that stand in several entries, put together until they take effect.

use std::collections::HashMap;
use std::fmt;

use super::entry::{Entry, Role, Transaction};
use crate::error::{Code, Error};
use crate::help;
use crate::help::Setting;

/// The most bytes of transactions that are held because they have not taken effect yet.
const OPEN_BYTES_MAX: usize = 512 * 1024 * 1024;

/// Transactions that are under way.
#[derive(Debug)]
pub struct Transactions {
    open: HashMap<(Vec<u8>, i64), Open>,
    bytes: usize,
    bytes_max: usize,
}

/// The entries of one of them so far.
#[derive(Debug, Default)]
struct Open {
    entries: Vec<Vec<u8>>,
    /// Its first entries are older than what is known.
    headless: bool,
}

/// What takes effect with an entry.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// The entry itself.
    Alone,
    /// These entries, in this order.
    Together(Vec<Vec<u8>>),
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
    /// Those that are under way at one moment are too large to be held.
    TooLarge {
        /// The most that is held, in bytes.
        bytes_max: usize,
    },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeganBefore { number } => {
                write!(f, "transaction {number} of a session began before the oplog of the backup")
            }
            Self::TooLarge { bytes_max } => {
                let megabytes = bytes_max / (1024 * 1024);
                write!(f, "transactions that are under way at one moment hold more than {megabytes} MiB")
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

impl Default for Transactions {
    fn default() -> Self {
        Self::with_bytes_max(OPEN_BYTES_MAX)
    }
}

impl Transactions {
    /// Holds at most this many bytes of entries.
    #[must_use]
    pub fn with_bytes_max(bytes_max: usize) -> Self {
        Self { open: HashMap::new(), bytes: 0, bytes_max }
    }

    /// Takes the next entry, which `bytes` are.
    ///
    /// # Errors
    /// [`Unfit`], when a transaction takes effect whose beginning was not among the entries, or when too many bytes
    /// are under way.
    pub fn take(&mut self, entry: &Entry<'_>, bytes: &[u8]) -> Result<Effect, Unfit> {
        match entry.role {
            Role::Alone => Ok(Effect::Alone),
            Role::Part(transaction) | Role::Prepared(transaction) => {
                self.hold(transaction, bytes).map(|()| Effect::Nothing)
            }
            Role::Last(transaction) => {
                self.hold(transaction, bytes)?;
                self.end(transaction).map(Effect::Together)
            }
            Role::Commit(transaction) => self.end(transaction).map(Effect::Together),
            Role::Abort(transaction) => {
                self.close(transaction);
                Ok(Effect::Nothing)
            }
        }
    }

    /// The entries of those that have not taken effect, in the order of the oplog.
    #[must_use]
    pub fn into_open(self) -> Vec<Vec<u8>> {
        let mut entries: Vec<Vec<u8>> = self.open.into_values().flat_map(|open| open.entries).collect();
        entries.sort_by_cached_key(|bytes| Entry::of(bytes).map(|entry| entry.ts).ok());
        entries
    }

    fn hold(&mut self, transaction: Transaction<'_>, bytes: &[u8]) -> Result<(), Unfit> {
        self.bytes += bytes.len();
        if self.bytes > self.bytes_max {
            return Err(Unfit::TooLarge { bytes_max: self.bytes_max });
        }
        let open = self.open.entry(key(transaction)).or_default();
        open.headless |= open.entries.is_empty() && transaction.continues;
        open.entries.push(bytes.to_vec());
        Ok(())
    }

    fn end(&mut self, transaction: Transaction<'_>) -> Result<Vec<Vec<u8>>, Unfit> {
        match self.close(transaction) {
            Some(open) if !open.headless => Ok(open.entries),
            _ => Err(Unfit::BeganBefore { number: transaction.number }),
        }
    }

    fn close(&mut self, transaction: Transaction<'_>) -> Option<Open> {
        let open = self.open.remove(&key(transaction))?;
        self.bytes -= open.entries.iter().map(Vec::len).sum::<usize>();
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

    fn take(transactions: &mut Transactions, bytes: &[u8]) -> Result<Effect, Unfit> {
        transactions.take(&Entry::of(bytes).unwrap(), bytes)
    }

    #[test]
    fn parts_take_effect_with_the_last_one() {
        let mut transactions = Transactions::default();
        let (a, b) = (part(1, 1, true), part(2, 2, true));
        let last = entry(1, rawdoc! { "applyOps": [], "count": 2_i64 }, false);
        for bytes in [&a, &b] {
            assert_eq!(take(&mut transactions, bytes).unwrap(), Effect::Nothing);
        }
        assert_eq!(take(&mut transactions, &last).unwrap(), Effect::Together(vec![a, last]));
        assert_eq!(transactions.bytes, b.len());
        let whole = entry(3, rawdoc! { "applyOps": [] }, true);
        assert_eq!(take(&mut transactions, &whole).unwrap(), Effect::Alone);
    }

    #[test]
    fn what_is_prepared_takes_effect_when_it_is_committed_and_never_when_it_is_given_up() {
        let mut transactions = Transactions::default();
        let prepared = |session| entry(session, rawdoc! { "applyOps": [], "prepare": true }, true);
        for session in [1, 2] {
            assert_eq!(take(&mut transactions, &prepared(session)).unwrap(), Effect::Nothing);
        }
        let commit = |session| entry(session, rawdoc! { "commitTransaction": 1 }, false);
        assert_eq!(take(&mut transactions, &commit(2)).unwrap(), Effect::Together(vec![prepared(2)]));
        let abort = entry(1, rawdoc! { "abortTransaction": 1 }, false);
        assert_eq!(take(&mut transactions, &abort).unwrap(), Effect::Nothing);
        assert_eq!(transactions.bytes, 0);
        assert_eq!(take(&mut transactions, &commit(1)), Err(Unfit::BeganBefore { number: 1 }));
    }

    #[test]
    fn a_missing_beginning_and_too_many_bytes_are_errors() {
        let mut transactions = Transactions::with_bytes_max(600);
        take(&mut transactions, &part(1, 2, false)).unwrap();
        let last = entry(1, rawdoc! { "applyOps": [] }, false);
        assert_eq!(take(&mut transactions, &last), Err(Unfit::BeganBefore { number: 1 }));
        let unfit = (0..9).find_map(|n| take(&mut transactions, &part(1, n, n == 0)).err()).unwrap();
        assert_eq!(unfit, Unfit::TooLarge { bytes_max: 600 });
        let error = Error::from(unfit);
        assert_eq!(error.code(), Code::NotReplayable);
        assert!(error.message().contains("more than 0 MiB"), "{error}");
    }

    proptest! {
        /// However transactions are interleaved, each comes out whole and in order, and nothing stays.
        #[test]
        fn each_comes_out_whole(parts in proptest::collection::vec(1_usize..5, 1..6), seed in any::<u64>()) {
            let mut transactions = Transactions::default();
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
            prop_assert_eq!(transactions.bytes, 0);
        }
    }
}
