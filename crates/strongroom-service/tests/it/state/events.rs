//! Events: in order, once, and a word where some are missing.

use serde_json::json;
use strongroom_service::events::{Events, Followed};
use strongroom_service::model::Progress;
use strongroom_service::state::State;
use strongroom_service::state::events as stored;

use super::bed::Bed;
use super::on_both;

async fn tell(state: &State, subject: &str) {
    let mut tx = state.begin().await.unwrap();
    tx.tell("plan.updated", Some(subject), json!({}));
    tx.commit().await.unwrap();
}

fn subject(followed: Option<Followed>) -> String {
    match followed {
        Some(Followed::Event(event)) => event.subject.clone().unwrap(),
        other => panic!("an event was expected, not {other:?}"),
    }
}

on_both! {
    async fn a_follower_gets_every_event_once_and_in_order(bed: Bed) {
        const WRITERS: usize = 8;
        const EACH: usize = 10;
        let events = Events::start(bed.state.clone()).await.unwrap();
        let mut follower = events.follow(None).await.unwrap();
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let state = bed.state.clone();
            writers.spawn(async move {
                for number in 0..EACH {
                    tell(&state, &format!("{writer}/{number}")).await;
                }
            });
        }
        let (mut last, mut seen) = (0, std::collections::BTreeSet::new());
        while seen.len() < WRITERS * EACH {
            let Some(Followed::Event(event)) = follower.next().await else { panic!("only events were sent") };
            assert_eq!(event.seq, last + 1);
            last = event.seq;
            assert!(seen.insert(event.subject.clone().unwrap()), "{event:?} twice");
        }
    }

    async fn a_follower_that_comes_back_gets_what_it_missed(bed: Bed) {
        let events = Events::start(bed.state.clone()).await.unwrap();
        for subject in ["a", "b", "c"] {
            tell(&bed.state, subject).await;
        }
        let mut follower = events.follow(Some(1)).await.unwrap();
        tell(&bed.state, "d").await;
        for expected in ["b", "c", "d"] {
            assert_eq!(subject(follower.next().await), expected);
        }
    }

    async fn a_follower_whose_place_is_unknown_begins_anew(bed: Bed) {
        let events = Events::start(bed.state.clone()).await.unwrap();
        tell(&bed.state, "a").await;
        let mut follower = events.follow(Some(7)).await.unwrap();
        assert_eq!(follower.next().await, Some(Followed::Resync(1)));
        tell(&bed.state, "b").await;
        assert_eq!(subject(follower.next().await), "b");
    }

    async fn old_events_are_forgotten_and_those_who_missed_them_begin_anew(bed: Bed) {
        let events = Events::start(bed.state.clone()).await.unwrap();
        let mut tx = bed.begin().await;
        for _ in 0..stored::KEPT + 5 {
            tx.tell("plan.updated", None, json!({}));
        }
        tx.commit().await.unwrap();
        let mut conn = bed.reader().await;
        assert_eq!(stored::oldest(&mut conn).await, Ok(6));
        drop(conn);
        let mut follower = events.follow(Some(4)).await.unwrap();
        assert_eq!(follower.next().await, Some(Followed::Resync(stored::KEPT + 5)));
        let mut follower = events.follow(Some(5)).await.unwrap();
        assert!(matches!(follower.next().await, Some(Followed::Event(event)) if event.seq == 6));
    }

    async fn a_change_that_is_not_committed_is_not_told(bed: Bed) {
        let mut tx = bed.begin().await;
        tx.tell("plan.updated", None, json!({}));
        drop(tx);
        tell(&bed.state, "a").await;
        let all = stored::after(&mut bed.reader().await, 0, 10).await.unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].seq, all[0].subject.as_deref()), (1, Some("a")));
    }

    async fn progress_is_live_only(bed: Bed) {
        let events = Events::start(bed.state.clone()).await.unwrap();
        let mut follower = events.follow(None).await.unwrap();
        let plan = bed.plans(&["a"]).await.remove(0);
        let run = bed.run(&plan).id;
        let progress = Progress { documents: 7, ..Progress::default() };
        events.progress(run.clone(), progress.clone());
        let Some(Followed::Progress(got)) = follower.next().await else { panic!("progress was expected") };
        assert_eq!(*got, (run, progress));
        assert_eq!(stored::newest(&mut bed.reader().await).await, Ok(0));
    }
}
