//! Which member of a replica set to read from. Pure: `topology.rs` asks the members.

use std::collections::HashMap;
use std::time::Duration;

use crate::members::{Member, MemberState};

/// Tags and their values, as a set's configuration gives them to a member.
pub(super) type Tags = HashMap<String, String>;

/// What a member said of itself.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// `host:port`.
    pub(super) name: String,
    pub(super) state: MemberState,
    /// What went wrong, where it could not be asked.
    pub(super) failure: Option<String>,
    pub(super) hidden: bool,
    pub(super) tags: Tags,
    /// How long it is kept behind on purpose.
    pub(super) delay_seconds: u64,
    /// When the newest write that it holds was made, in milliseconds since 1970.
    pub(super) last_write: Option<i64>,
}

/// Which members the connection string's read preference lets be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing was said: what is least missed goes first.
    Free,
    Primary,
    PrimaryPreferred,
    Secondary,
    SecondaryPreferred,
    Nearest,
}

/// What the member should be like.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) mode: Mode,
    /// The first of these that any member has counts; none: any will do.
    pub(super) tag_sets: Vec<Tags>,
    pub(super) lag_max: Duration,
}

/// Each member in the order given, with why it is read or not; at most one is taken.
pub(super) fn choose(candidates: &[Candidate], wish: &Wish) -> Vec<Member> {
    let newest = candidates.iter().filter_map(|candidate| candidate.last_write).max();
    let lag = |candidate: &Candidate| {
        let behind = newest?.saturating_sub(candidate.last_write?);
        Some(Duration::from_millis(behind.unsigned_abs()))
    };
    let unfit: Vec<Option<String>> = candidates.iter().map(|c| unfit(c, lag(c), wish)).collect();
    let tags = wish.tag_sets.iter().find(|set| {
        candidates.iter().zip(&unfit).any(|(candidate, unfit)| unfit.is_none() && has(candidate, set))
    });
    let fits = |place: &usize| {
        let candidate = &candidates[*place];
        unfit[*place].is_none() && (tags_do(candidate, tags, wish))
    };
    let taken = (0..candidates.len())
        .filter(fits)
        .min_by_key(|&place| (rank(&candidates[place], wish.mode), lag(&candidates[place])));
    let verdict = |place: usize| match (&unfit[place], taken) {
        (Some(why), _) => why.clone(),
        (None, _) if !fits(&place) => "its tags are not those that the URI asks for".into(),
        (None, Some(taken)) if taken == place => why_taken(&candidates[place], wish.mode).into(),
        (None, _) if candidates[place].state == MemberState::Primary => "the primary is spared".into(),
        (None, _) => "another one is read".into(),
    };
    let member = |(place, candidate): (usize, &Candidate)| Member {
        name: candidate.name.clone(),
        state: candidate.state,
        hidden: candidate.hidden,
        lag_seconds: lag(candidate).map(|lag| lag.as_secs_f64()),
        taken: taken == Some(place),
        reason: verdict(place),
    };
    candidates.iter().enumerate().map(member).collect()
}

/// Why a member is not to be read, whatever the others are.
fn unfit(candidate: &Candidate, lag: Option<Duration>, wish: &Wish) -> Option<String> {
    match candidate.state {
        MemberState::Arbiter => return Some("an arbiter holds no data".into()),
        MemberState::Recovering => return Some("it is starting or recovering".into()),
        MemberState::Unreachable => {
            return Some(candidate.failure.clone().unwrap_or_else(|| "it does not answer".into()));
        }
        MemberState::Primary if wish.mode == Mode::Secondary => return Some(left_out()),
        MemberState::Secondary if wish.mode == Mode::Primary => return Some(left_out()),
        MemberState::Primary => return None,
        MemberState::Secondary => {}
    }
    if candidate.delay_seconds > 0 {
        return Some(format!("it is kept {} s behind on purpose", candidate.delay_seconds));
    }
    let (lag, most) = (lag?, wish.lag_max);
    (lag > most).then(|| format!("it lags {} s behind, more than {} s", lag.as_secs(), most.as_secs()))
}

fn left_out() -> String {
    "the URI's read preference leaves it out".into()
}

fn has(candidate: &Candidate, set: &Tags) -> bool {
    set.iter().all(|(name, value)| candidate.tags.get(name) == Some(value))
}

/// Tags choose among the secondaries; the primary is fallen back to without them, but not where any member is as
/// good as another (MongoDB manual, "Read Preference Tag Set Lists").
fn tags_do(candidate: &Candidate, set: Option<&Tags>, wish: &Wish) -> bool {
    let free_of_tags = candidate.state == MemberState::Primary && wish.mode != Mode::Nearest;
    wish.tag_sets.is_empty() || free_of_tags || set.is_some_and(|set| has(candidate, set))
}

/// The lower, the sooner: a hidden member is missed by no client.
fn rank(candidate: &Candidate, mode: Mode) -> u8 {
    match (candidate.state, mode) {
        (MemberState::Primary, Mode::Primary | Mode::PrimaryPreferred) => 0,
        (MemberState::Primary, _) => 3,
        (_, _) if candidate.hidden => 1,
        (_, _) => 2,
    }
}

fn why_taken(candidate: &Candidate, mode: Mode) -> &'static str {
    match (candidate.state, mode) {
        (MemberState::Primary, Mode::Free) => "no other member can be read",
        (_, Mode::Free) if candidate.hidden => "no client reads a hidden member",
        (_, Mode::Free) => "a secondary, so that the primary is spared",
        (_, _) => "the URI's read preference chose it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, state: MemberState) -> Candidate {
        Candidate {
            name: name.into(),
            state,
            failure: None,
            hidden: false,
            tags: Tags::new(),
            delay_seconds: 0,
            last_write: Some(1_000_000),
        }
    }

    fn primary() -> Candidate {
        member("p", MemberState::Primary)
    }

    fn secondary(name: &str) -> Candidate {
        member(name, MemberState::Secondary)
    }

    fn tagged(name: &str, value: &str) -> Candidate {
        Candidate { tags: [("use".to_owned(), value.to_owned())].into(), ..secondary(name) }
    }

    fn wish(mode: Mode) -> Wish {
        Wish { mode, tag_sets: Vec::new(), lag_max: Duration::from_secs(30) }
    }

    fn taken(candidates: &[Candidate], wish: &Wish) -> Option<String> {
        let members = choose(candidates, wish);
        assert!(members.iter().filter(|member| member.taken).count() <= 1);
        members.into_iter().find(|member| member.taken).map(|member| member.name)
    }

    fn why(candidates: &[Candidate], wish: &Wish, name: &str) -> String {
        choose(candidates, wish).into_iter().find(|member| member.name == name).unwrap().reason
    }

    #[test]
    fn the_hidden_go_first_then_secondaries_then_the_primary() {
        let hidden = Candidate { hidden: true, ..secondary("h") };
        let all = [primary(), secondary("s"), hidden];
        assert_eq!(taken(&all, &wish(Mode::Free)).as_deref(), Some("h"));
        assert_eq!(taken(&all[..2], &wish(Mode::Free)).as_deref(), Some("s"));
        assert_eq!(taken(&all[..1], &wish(Mode::Free)).as_deref(), Some("p"));
        assert_eq!(why(&all, &wish(Mode::Free), "p"), "the primary is spared");
    }

    #[test]
    fn who_cannot_or_should_not_be_read_is_passed_over_and_said_why() {
        let late = Candidate { last_write: Some(1_000_000 - 31_000), ..secondary("late") };
        let delayed = Candidate { delay_seconds: 3600, ..secondary("delayed") };
        let gone = Candidate { failure: Some("refused".into()), ..member("gone", MemberState::Unreachable) };
        let all = [
            late,
            delayed,
            gone,
            member("arbiter", MemberState::Arbiter),
            member("new", MemberState::Recovering),
            primary(),
        ];
        let free = wish(Mode::Free);
        assert_eq!(taken(&all, &free).as_deref(), Some("p"));
        assert_eq!(why(&all, &free, "late"), "it lags 31 s behind, more than 30 s");
        assert_eq!(why(&all, &free, "delayed"), "it is kept 3600 s behind on purpose");
        assert_eq!(why(&all, &free, "gone"), "refused");
        assert!(why(&all, &free, "arbiter").contains("no data"));
        assert!(why(&all, &free, "new").contains("recovering"));
        assert_eq!(taken(&all, &wish(Mode::Secondary)), None);
    }

    #[test]
    fn of_equals_the_one_that_lags_least_is_read() {
        let behind = Candidate { last_write: Some(990_000), ..secondary("behind") };
        assert_eq!(taken(&[behind, secondary("s"), primary()], &wish(Mode::Free)).as_deref(), Some("s"));
    }

    #[test]
    fn a_read_preference_is_kept_to() {
        let all = [primary(), secondary("s")];
        for (mode, expected) in [
            (Mode::Primary, "p"),
            (Mode::PrimaryPreferred, "p"),
            (Mode::Secondary, "s"),
            (Mode::SecondaryPreferred, "s"),
            (Mode::Nearest, "s"),
        ] {
            assert_eq!(taken(&all, &wish(mode)).as_deref(), Some(expected), "{mode:?}");
        }
        assert_eq!(taken(&all[1..], &wish(Mode::Primary)), None);
        assert_eq!(taken(&all[1..], &wish(Mode::PrimaryPreferred)).as_deref(), Some("s"));
    }

    #[test]
    fn the_first_set_of_tags_that_any_member_has_counts() {
        let tags = |value: &str| Tags::from([("use".to_owned(), value.to_owned())]);
        let all = [tagged("a", "reports"), tagged("b", "backup"), primary()];
        let asked = |sets: &[Tags], mode| Wish { tag_sets: sets.to_vec(), ..wish(mode) };
        let two = [tags("none"), tags("backup")];
        assert_eq!(taken(&all, &asked(&two, Mode::SecondaryPreferred)).as_deref(), Some("b"));
        assert!(why(&all, &asked(&two, Mode::Secondary), "a").contains("tags"));
        let none = [tags("none")];
        assert_eq!(taken(&all, &asked(&none, Mode::Secondary)), None);
        assert_eq!(taken(&all, &asked(&none, Mode::SecondaryPreferred)).as_deref(), Some("p"));
        assert_eq!(taken(&all, &asked(&none, Mode::Nearest)), None);
        let any = [tags("none"), Tags::new()];
        assert_eq!(taken(&all, &asked(&any, Mode::Secondary)).as_deref(), Some("a"));
    }
}
