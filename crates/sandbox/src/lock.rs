//! Object Lock: which versions may not be deleted, and until when. Source: Amazon S3 User Guide, "Locking objects
//! with Object Lock".

use std::time::SystemTime;

use chrono::{DateTime, Days, Months, Utc};
use s3s::dto::Timestamp;

/// How strict a retention is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Those with a right of its own may pass it by.
    Governance,
    /// Nobody may, the account's root user included.
    Compliance,
}

impl Mode {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "GOVERNANCE" => Some(Self::Governance),
            "COMPLIANCE" => Some(Self::Compliance),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }
}

/// A version is kept until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retention {
    pub(crate) mode: Mode,
    pub(crate) until: Timestamp,
}

/// What holds one version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) retention: Option<Retention>,
    /// None: it was never set.
    pub(crate) legal_hold: Option<bool>,
}

impl Lock {
    /// Whether the version may not be deleted; `bypass` says that the caller may and wants to pass governance by.
    pub(crate) fn holds(&self, now: SystemTime, bypass: bool) -> bool {
        let retained = self.in_force(now).is_some_and(|kept| kept.mode == Mode::Compliance || !bypass);
        retained || self.legal_hold == Some(true)
    }

    /// Whether its retention may be replaced by another, or by none.
    pub(crate) fn may_become(&self, other: Option<&Retention>, now: SystemTime, bypass: bool) -> bool {
        let Some(kept) = self.in_force(now) else { return true };
        let longer = other.filter(|other| other.until >= kept.until);
        match kept.mode {
            Mode::Compliance => longer.is_some_and(|other| other.mode == Mode::Compliance),
            Mode::Governance => longer.is_some() || bypass,
        }
    }

    fn in_force(&self, now: SystemTime) -> Option<&Retention> {
        self.retention.as_ref().filter(|kept| kept.until > Timestamp::from(now))
    }

    /// With the bucket's retention where it has none of its own.
    pub(crate) fn or_default(mut self, bucket: Option<&BucketLock>, now: SystemTime) -> Self {
        let default = bucket.and_then(|bucket| bucket.default);
        self.retention = self.retention.or_else(|| default.and_then(|default| default.from(now)));
        self
    }
}

/// What every new version is kept by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DefaultRetention {
    pub(crate) mode: Mode,
    pub(crate) period: Period,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Period {
    Days(u32),
    Years(u32),
}

impl DefaultRetention {
    /// None past the end of the calendar, which the limits of a period keep far away.
    fn from(self, now: SystemTime) -> Option<Retention> {
        const MONTHS_OF_A_YEAR: u32 = 12;
        let now = DateTime::<Utc>::from(now);
        let until = match self.period {
            Period::Days(days) => now.checked_add_days(Days::new(days.into()))?,
            Period::Years(years) => now.checked_add_months(Months::new(years * MONTHS_OF_A_YEAR))?,
        };
        Some(Retention { mode: self.mode, until: SystemTime::from(until).into() })
    }
}

/// That a bucket has Object Lock, and what it does with new versions.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BucketLock {
    pub(crate) default: Option<DefaultRetention>,
}
