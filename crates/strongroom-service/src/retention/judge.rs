//! Which backups the rules keep.

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Timelike, Utc};

use super::{Candidate, Reason, Retention, Rule, Standing, Unit};
use crate::schedule::Zone;

/// What is decided about a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Whether it is kept.
    pub keep: bool,
    /// Why it is kept, or why not; never empty.
    pub reasons: Vec<Reason>,
}

impl Judged {
    /// The reasons in words.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        self.reasons.iter().map(ToString::to_string).collect()
    }
}

/// Judges all backups of a plan, in the order in which they are given.
///
/// `zone` is the schedule's ([`crate::schedule::Schedule::zone`]). What is kept at a time is kept at every earlier one;
/// applied to what it kept it keeps all of it; a rule beside others only keeps more.
#[must_use]
pub fn apply(backups: &[Candidate], rules: &Retention, zone: Zone, now: DateTime<Utc>) -> Vec<Judged> {
    let dated: Vec<_> = backups.iter().map(|backup| Dated::of(backup, zone)).collect();
    judge(&dated.iter().collect::<Vec<_>>(), rules, now)
}

/// A backup and the hour, day, week, month and year that it is in, as numbers that grow with time.
#[derive(Debug)]
pub(crate) struct Dated<'a> {
    backup: &'a Candidate,
    local: NaiveDateTime,
    units: [i64; Unit::ALL.len()],
}

impl<'a> Dated<'a> {
    pub(crate) fn of(backup: &'a Candidate, zone: Zone) -> Self {
        let local = backup.at.with_timezone(&zone.tz()).naive_local();
        let date = local.date();
        // The hour that comes twice when clocks go back is two hours.
        let into_hour = i64::from(local.minute()) * 60 + i64::from(local.second());
        let day = i64::from(date.num_days_from_ce());
        let units = [
            backup.at.timestamp() - into_hour,
            day,
            day - i64::from(date.weekday().num_days_from_monday()),
            i64::from(date.year()) * 12 + i64::from(date.month0()),
            i64::from(date.year()),
        ];
        Self { backup, local, units }
    }

    fn of_unit(&self, unit: Unit) -> i64 {
        self.units[unit as usize]
    }

    fn counts(&self, rules: &Retention) -> bool {
        self.backup.standing == Standing::Good && !(self.backup.requested && rules.keeps_requested)
    }
}

/// Judges backups in the order in which they are given.
pub(crate) fn judge(backups: &[&Dated<'_>], rules: &Retention, now: DateTime<Utc>) -> Vec<Judged> {
    let mut newest_first: Vec<_> = backups.iter().copied().enumerate().collect();
    newest_first.sort_by(|(_, a), (_, b)| (b.backup.at, &b.backup.id).cmp(&(a.backup.at, &a.backup.id)));
    let last_good = newest_first.iter().find(|(_, dated)| dated.backup.standing == Standing::Good);
    let last_good = last_good.map(|(place, dated)| (*place, dated.backup.at));

    let mut keeps: Vec<Vec<Reason>> = backups.iter().map(|dated| by_itself(dated, rules, now)).collect();
    let counted: Vec<_> = newest_first.into_iter().filter(|(_, dated)| dated.counts(rules)).collect();
    let picked: Vec<_> = rules.rules().map(|rule| picks(rule, &counted, now)).collect();
    for (place, reason) in picked.iter().flat_map(|picks| &picks.kept) {
        keeps[*place].push(reason.clone());
    }
    for (place, dated) in backups.iter().enumerate() {
        let newer_good = last_good.is_some_and(|(_, at)| at > dated.backup.at);
        match dated.backup.standing {
            Standing::Good if Some(place) == last_good.map(|(place, _)| place) => {
                keeps[place].push(Reason::LastGood);
            }
            Standing::Incomplete if !newer_good => keeps[place].push(Reason::NothingBetter),
            _ => {}
        }
    }
    let judged = |(reasons, dated): (Vec<_>, &&Dated<'_>)| {
        if reasons.is_empty() {
            return Judged { keep: false, reasons: why_not(dated, &picked) };
        }
        Judged { keep: true, reasons }
    };
    keeps.into_iter().zip(backups).map(judged).collect()
}

/// What keeps a backup whatever others there are.
fn by_itself(dated: &Dated<'_>, rules: &Retention, now: DateTime<Utc>) -> Vec<Reason> {
    let backup = dated.backup;
    let mut reasons: Vec<_> = backup.holds.iter().cloned().map(Reason::Held).collect();
    reasons.extend(backup.locked_until.filter(|until| *until > now).map(Reason::Locked));
    match backup.standing {
        Standing::Running => reasons.push(Reason::Running),
        Standing::Foreign => reasons.push(Reason::Foreign),
        Standing::Discarded => {}
        _ if rules.keeps_all() => reasons.push(Reason::NoRules),
        Standing::Good if !dated.counts(rules) => reasons.push(Reason::Requested),
        Standing::Incomplete if backup.requested && rules.keeps_requested => reasons.push(Reason::Requested),
        Standing::Incomplete => {
            let days = rules.max_age_days.map(crate::model::Int::get);
            reasons
                .extend(days.filter(|days| is_young(backup, *days, now)).map(|days| Reason::Young { days }));
        }
        Standing::Good => {}
    }
    reasons
}

fn is_young(backup: &Candidate, days: u64, now: DateTime<Utc>) -> bool {
    now.signed_duration_since(backup.at) <= TimeDelta::days(days.cast_signed())
}

/// What one rule keeps.
struct Picks {
    rule: Rule,
    kept: Vec<(usize, Reason)>,
    /// The earliest unit of which it keeps one.
    earliest: i64,
}

fn picks(rule: Rule, newest_first: &[(usize, &Dated<'_>)], now: DateTime<Utc>) -> Picks {
    let mut picks = Picks { rule, kept: Vec::new(), earliest: i64::MAX };
    for (place, dated) in newest_first {
        let number = picks.kept.len() as u64 + 1;
        let reason = match rule {
            Rule::Last(of) | Rule::Each(_, of) if number > of => break,
            Rule::Last(of) => Reason::Last { place: number, of },
            Rule::Age(days) if is_young(dated.backup, days, now) => Reason::Young { days },
            Rule::Age(_) => break,
            // Where a clock goes back over midnight, dates do not simply follow each other.
            Rule::Each(unit, _) if dated.of_unit(unit) >= picks.earliest => continue,
            Rule::Each(unit, of) => {
                picks.earliest = dated.of_unit(unit);
                Reason::NewestOf { unit, local: dated.local, place: number, of }
            }
        };
        picks.kept.push((*place, reason));
    }
    picks
}

/// Why a backup that nothing keeps is not kept.
fn why_not(dated: &Dated<'_>, picked: &[Picks]) -> Vec<Reason> {
    match dated.backup.standing {
        Standing::Discarded => vec![Reason::Discarded],
        Standing::Incomplete => vec![Reason::Superseded],
        _ => {
            let of_rule = |picks: &Picks| match picks.rule {
                Rule::Last(of) => Reason::NotLast { of },
                Rule::Age(days) => Reason::Old { days },
                Rule::Each(unit, _) if dated.of_unit(unit) >= picks.earliest => Reason::NotNewestOf { unit },
                Rule::Each(unit, of) => Reason::Beyond { unit, of },
            };
            picked.iter().map(of_rule).collect()
        }
    }
}
