//! What storage costs.
//!
//! Money is counted in millionths of a currency, in whole numbers.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::course::Seen;
use crate::model::{Few, Int, Line};

/// The name of a storage class.
pub type ClassName = Line<1, 40>;
/// Money in millionths of the currency.
pub type Micros = Int<0, 1_000_000_000_000>;

/// What storage costs: a table, and the class that is used of it. Unless set, it is what Amazon S3 asks in us-east-1
/// (list prices of 2025, the first tier, in US dollars, without taxes and discounts).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prices {
    /// The currency, such as `USD`.
    #[schema(inline)]
    pub currency: Line<1, 10>,
    /// The storage class of the backups: a name in the table.
    #[schema(inline)]
    pub class: ClassName,
    /// The table.
    #[schema(inline, value_type = Vec<StorageClass>, max_items = 20)]
    pub classes: Few<StorageClass, 20>,
}

/// What a storage class costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StorageClass {
    /// Its name.
    #[schema(inline)]
    pub name: ClassName,
    /// A GiB (2^30 bytes) for a month, in millionths of the currency.
    #[schema(inline)]
    pub gib_month_micros: Micros,
    /// A thousand requests that store an object, in millionths of the currency.
    #[schema(inline)]
    pub thousand_puts_micros: Micros,
    /// Days that are charged at least for every object.
    #[schema(inline)]
    pub minimum_days: Int<0, 3650>,
}

/// Name, millionths for a GiB a month and for a thousand PUTs, days at least.
const AMAZON: [(&str, u64, u64, u64); 6] = [
    ("STANDARD", 23_000, 5_000, 0),
    ("STANDARD_IA", 12_500, 10_000, 30),
    ("ONEZONE_IA", 10_000, 10_000, 30),
    ("GLACIER_IR", 4_000, 20_000, 90),
    ("GLACIER", 3_600, 30_000, 90),
    ("DEEP_ARCHIVE", 990, 50_000, 180),
];

fn line<const MIN: usize, const MAX: usize>(text: &str) -> Line<MIN, MAX> {
    #[allow(clippy::expect_used, reason = "only names of this file, which a test reads")]
    text.parse().expect("a name in bounds")
}

impl Default for Prices {
    fn default() -> Self {
        let class = |(name, month, puts, days)| StorageClass {
            name: line(name),
            gib_month_micros: Int::of(month),
            thousand_puts_micros: Int::of(puts),
            minimum_days: Int::of(days),
        };
        let classes = Few::try_from(AMAZON.map(class).to_vec()).unwrap_or_default();
        Self { currency: line("USD"), class: line("STANDARD"), classes }
    }
}

impl Prices {
    pub(super) fn chosen(&self) -> Result<&StorageClass, String> {
        let found = self.classes.as_slice().iter().find(|class| class.name == self.class);
        found.ok_or_else(|| {
            let names: Vec<_> = self.classes.as_slice().iter().map(|class| class.name.as_str()).collect();
            format!("the price table has no storage class `{}`; it has {}", self.class, names.join(", "))
        })
    }
}

/// What a month costs, in millionths of the currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MonthCost {
    /// The month, in the schedule's zone, such as `2026-12`. The first and the last are counted in part.
    #[schema(max_length = 10)]
    pub month: String,
    /// What is stored.
    pub storage_micros: u64,
    /// Requests that store objects, estimated by the size.
    pub requests_micros: u64,
    /// What is charged for objects that are deleted before the class's least time.
    pub early_deletion_micros: u64,
}

impl MonthCost {
    pub(super) fn total(&self) -> u64 {
        self.storage_micros.saturating_add(self.requests_micros).saturating_add(self.early_deletion_micros)
    }
}

/// Sums of a month, before they are divided.
#[derive(Default)]
struct Month {
    byte_seconds: u128,
    puts: u128,
    early_byte_seconds: u128,
}

const GIB: u128 = 1 << 30;
const DAY: u128 = 86_400;
/// The size that a stored segment has about, and the objects of a backup that are no segments.
const SEGMENT: u64 = 8 << 20;
const OTHERS: u64 = 3;

pub(super) fn by_month(seen: &Seen, class: &StorageClass) -> Vec<MonthCost> {
    let mut months: BTreeMap<(i32, u32), Month> = BTreeMap::new();
    let key = |date: NaiveDate| (date.year(), date.month());
    for stretch in &seen.stretches {
        let month = months.entry(key(stretch.date)).or_default();
        month.byte_seconds += u128::from(stretch.bytes) * u128::from(stretch.seconds);
    }
    for (date, bytes) in &seen.made {
        months.entry(key(*date)).or_default().puts += u128::from(bytes.div_ceil(SEGMENT) + OTHERS);
    }
    for gone in &seen.swept {
        let least = u128::from(class.minimum_days.get()) * DAY;
        let age = u128::try_from(gone.age.num_seconds()).unwrap_or(0);
        let early = u128::from(gone.bytes) * least.saturating_sub(age);
        months.entry(key(gone.date)).or_default().early_byte_seconds += early;
    }
    months.iter().map(|(month, sums)| cost(*month, sums, class)).collect()
}

fn cost((year, month): (i32, u32), sums: &Month, class: &StorageClass) -> MonthCost {
    let days = NaiveDate::from_ymd_opt(year, month, 1).map_or(30, |date| date.num_days_in_month());
    let micros = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
    let gib_month = u128::from(class.gib_month_micros.get());
    let stored =
        |byte_seconds: u128, days: u128| micros(byte_seconds.saturating_mul(gib_month) / (GIB * DAY * days));
    MonthCost {
        month: format!("{year:04}-{month:02}"),
        storage_micros: stored(sums.byte_seconds, days.into()),
        requests_micros: micros(sums.puts.saturating_mul(class.thousand_puts_micros.get().into()) / 1000),
        early_deletion_micros: stored(sums.early_byte_seconds, 30),
    }
}
