//! The state: the same contract on SQLite and on PostgreSQL.

mod bed;
mod claims;
mod events;
mod everything;
mod failures;
mod opening;
mod resources;

/// Tests of the contract, each of which runs on both.
macro_rules! on_both {
    ($(async fn $name:ident($bed:ident: Bed) $body:block)+) => {
        mod contract {
            use super::*;

            $(pub(super) async fn $name($bed: Bed) $body)+
        }

        mod sqlite {
            use super::{Bed, contract};

            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                contract::$name(Bed::sqlite().await).await;
            })+
        }

        mod with_postgres {
            use super::{Bed, contract};

            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                contract::$name(Bed::postgres().await).await;
            })+
        }
    };
}
use on_both;
