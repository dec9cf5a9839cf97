//! The member that is read, and going on with another one when it is lost.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use mongodb::Client;
use mongodb::bson::Bson;

use super::choice::{Candidate, choose};
use super::topology::{self, Look, Members};
use super::{Deployment, ReadAt, any_member, oplog, run};
use crate::error::Result;
use crate::members::{Member, MemberState, Source};
use crate::moment::ClusterTime;
use crate::progress::Event;

/// How long a member is waited for that has not reached what was read already.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);
/// How long one answer is waited for meanwhile.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Which member of a set is read: the first, or the one that took its place, and so on. Places of records belong to
/// one member: on another the same documents lie elsewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turn(u32);

impl Turn {
    /// That of the member that was chosen first.
    pub const FIRST: Self = Self(0);
}

/// The member that is read now, and those before it.
#[derive(Debug)]
pub(super) struct Seats {
    client: Client,
    name: String,
    turn: Turn,
    /// None where there is one server alone.
    members: Option<Members>,
    /// The newest moment that anything was read at.
    reached: ClusterTime,
    moves: Vec<Move>,
    /// Whether another member may be taken: not before the catalogue is listed, which is one member's.
    may_move: bool,
    /// What nobody was told yet.
    news: Vec<Event>,
}

/// That a member was lost, and which one took its place.
#[derive(Debug, Clone)]
struct Move {
    lost: String,
    why: String,
    next: Member,
}

impl Seats {
    pub(super) fn new(client: Client, name: String, members: Option<Members>) -> Self {
        let (turn, reached) = (Turn::FIRST, ClusterTime::default());
        Self { client, name, turn, members, reached, moves: Vec::new(), may_move: false, news: Vec::new() }
    }
}

impl Deployment {
    /// Which member is read now.
    #[must_use]
    pub fn turn(&self) -> Turn {
        self.seats().turn
    }

    /// The member that is read now, as `host:port`.
    #[must_use]
    pub fn member(&self) -> String {
        self.seats().name.clone()
    }

    /// Notes that something was read as it was at `time`: a member that has not got there cannot take over.
    pub fn has_seen(&self, time: ClusterTime) {
        let mut seats = self.seats();
        seats.reached = seats.reached.max(time);
    }

    /// From now on another member may be gone on with.
    pub fn may_go_elsewhere(&self) {
        self.seats().may_move = true;
    }

    /// What happened since the last call that a person should know: questions that failed and are asked again, and
    /// members that took another's place.
    #[must_use]
    pub fn news(&self) -> Vec<Event> {
        std::mem::take(&mut self.seats().news)
    }

    /// Says that something failed and is tried again after `pause`.
    pub fn retries(&self, request: &str, key: &str, why: &str, pause: Duration) {
        self.seats().news.push(Event::Retrying {
            request: request.into(),
            key: key.into(),
            why: why.into(),
            pause_milliseconds: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
        });
    }

    /// What the deployment is, and all members that were read, as it turned out.
    #[must_use]
    pub fn source_as_read(&self) -> Source {
        let moves = self.seats().moves.clone();
        moves.iter().fold(self.source.clone(), Move::told)
    }

    /// If the member of `turn` cannot be read any more, another one that can is read from now on; with `insist` also
    /// if it says that it can be.
    pub async fn go_elsewhere(&self, turn: Turn, insist: bool) {
        let _one_at_a_time = self.moving.lock().await;
        // Where nobody can take over, this member is asked again.
        let _ = self.try_elsewhere(turn, insist).await;
    }

    async fn try_elsewhere(&self, turn: Turn, insist: bool) -> Option<()> {
        let (looking, lost, reached) = {
            let seats = self.seats();
            let members = seats.members.as_ref().filter(|_| seats.may_move && seats.turn == turn)?;
            (topology::look_again(members), seats.name.clone(), seats.reached)
        };
        let mut looks = looking.await;
        let current = looks.iter_mut().find(|look| look.candidate.name == lost)?;
        if !insist && is_readable(&current.candidate) {
            return None;
        }
        let why = give_up(current, "it does not go on");
        let next = self.first_that_has(reached, &mut looks).await?;
        self.take(next, lost, why);
        Some(())
    }

    async fn first_that_has(&self, reached: ClusterTime, looks: &mut [Look]) -> Option<(Client, Member)> {
        loop {
            let candidates: Vec<Candidate> = looks.iter().map(|look| look.candidate.clone()).collect();
            let members = {
                let seats = self.seats();
                choose(&candidates, &seats.members.as_ref()?.wish)
            };
            let place = members.iter().position(|member| member.taken)?;
            let (client, _) = looks[place].answer.clone()?;
            if has(&client, reached).await {
                return Some((client, members.into_iter().nth(place)?));
            }
            give_up(&mut looks[place], "it has not reached what was read already");
        }
    }

    fn take(&self, (client, mut next): (Client, Member), lost: String, why: String) {
        next.reason = format!("{}, in place of {lost}", next.reason);
        let mut seats = self.seats();
        seats.client = client;
        seats.name.clone_from(&next.name);
        seats.turn = Turn(seats.turn.0 + 1);
        seats.news.push(Event::Member(next.clone()));
        seats.moves.push(Move { lost, why, next });
    }

    pub(super) fn client(&self) -> Client {
        self.seats().client.clone()
    }

    /// The connection to the member that is read now, and which one that is.
    pub(super) fn seat(&self) -> (Client, Turn) {
        let seats = self.seats();
        (seats.client.clone(), seats.turn)
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Move {
    fn told(mut source: Source, one: &Self) -> Source {
        if let Some(lost) = source.members.iter_mut().find(|member| member.name == one.lost) {
            lost.reason = format!("it was read until it was lost: {}", one.why);
        }
        match source.members.iter_mut().find(|member| member.name == one.next.name) {
            Some(known) => *known = one.next.clone(),
            None => source.members.push(one.next.clone()),
        }
        let follows = one.next.state == MemberState::Secondary;
        Source {
            member: one.next.name.clone(),
            member_role: one.next.state.as_str().to_owned(),
            lag_seconds: one.next.lag_seconds.filter(|_| follows),
            member_reason: one.next.reason.clone(),
            ..source
        }
    }
}

fn is_readable(candidate: &Candidate) -> bool {
    matches!(candidate.state, MemberState::Primary | MemberState::Secondary)
}

/// Makes a member one that cannot be read; why not.
fn give_up(look: &mut Look, unless_known: &str) -> String {
    look.candidate.state = MemberState::Unreachable;
    look.answer = None;
    look.candidate.failure.get_or_insert_with(|| unless_known.to_owned()).clone()
}

/// Whether reads of what a majority has see what there was at `reached`.
async fn has(client: &Client, reached: ClusterTime) -> bool {
    for _ in 0..TRIES {
        let newest = tokio::time::timeout(ANSWER_WITHIN, newest(client)).await;
        if matches!(newest, Ok(Ok(Some(newest))) if newest >= reached) {
            return true;
        }
        tokio::time::sleep(PAUSE).await;
    }
    false
}

async fn newest(client: &Client) -> Result<Option<ClusterTime>> {
    let mut find = oplog::newest_entry();
    find.insert("readConcern", ReadAt::Committed.concern());
    let answer = run(&client.database(oplog::DB), find, &any_member()).await?;
    let first = answer.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    let entry = first.ok().and_then(|batch| batch.first()).and_then(Bson::as_document);
    Ok(entry.and_then(|entry| entry.get_timestamp("ts").ok()).map(ClusterTime::from))
}
