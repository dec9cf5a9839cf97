//! One request to S3 and its repetitions: the only way in which a store sends anything.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::Client;
use tokio::sync::RwLock;
use tokio::time::Instant;

use super::StoreOptions;
use super::failure::Failure;
use super::meter::Meter;
use super::retry::{Again, Credit, Tries};
use super::session::{self, Place};
use crate::error::Result;
use crate::progress::Event;
use crate::waits::Wait;

/// How often one request is sent on to another place.
const MOVES_MAX: u32 = 3;

/// After a request that nobody answered, and its repetition, the next ones are not sent for so long, unless something is
/// answered meanwhile: whoever cleans up behind a thousand objects must not wait for each of them.
const SILENCE: Duration = Duration::from_secs(60);

/// Sends the requests of one store.
#[derive(Debug)]
pub(super) struct Requests {
    options: StoreOptions,
    bucket: String,
    client: RwLock<Option<Client>>,
    credit: Credit,
    /// When a request was given up that nobody answered, and nothing was answered since.
    silent: Mutex<Option<Instant>>,
}

/// What is asked, in the words of its errors and events.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    /// The API's name.
    pub(super) operation: &'static str,
    pub(super) key: &'a str,
}

impl Requests {
    pub(super) fn new(bucket: String, options: StoreOptions) -> Self {
        let (client, credit, silent) = (RwLock::new(None), Credit::default(), Mutex::new(None));
        Self { options, bucket, client, credit, silent }
    }

    /// The client; made at the first request, in the region that is configured.
    async fn client(&self) -> Result<Client> {
        if let Some(client) = &*self.client.read().await {
            return Ok(client.clone());
        }
        let mut place = self.client.write().await;
        if place.is_none() {
            *place = Some(session::watched(&self.options, None).await?);
        }
        match &*place {
            Some(client) => Ok(client.clone()),
            None => session::watched(&self.options, None).await,
        }
    }

    /// What comes of a request; `attempt` sends it and reads what is wanted of the answer. Each wait has its limit. What
    /// may do better the next time is sent again, which the watcher is told; and once more where the bucket really is.
    pub(super) async fn send<T, F>(
        &self,
        named: Named<'_>,
        attempt: impl Fn(Client, Meter) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        if self.is_silent() {
            return Err(self.stalled(Wait::FirstByte));
        }
        let mut client = self.client().await?;
        let (mut tries, mut moves, mut lost) = (Tries::default(), 0, false);
        loop {
            let meter = Meter::new();
            let work = attempt(client.clone(), meter.clone());
            let outcome = tokio::select! {
                biased;
                outcome = work => outcome,
                wait = meter.stalls(&self.options.waits) => Err(self.stalled(wait)),
            };
            let failure = match outcome {
                Ok(answer) => {
                    self.credit.earn();
                    self.note(None);
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            if failure.status().is_some() {
                self.note(None);
            }
            lost |= failure.may_have_taken_effect(&meter);
            if moves < MOVES_MAX
                && let Some(there) = self.moved(&failure, &client).await?
            {
                (client, moves) = (there, moves + 1);
                continue;
            }
            let pause = failure.again().and_then(|again| tries.pause(again, &self.credit));
            let Some(pause) = pause else {
                if failure.again() == Some(Again::Stalled) {
                    self.note(Some(Instant::now()));
                }
                return Err(failure.after(lost));
            };
            self.options.watcher.observe(&Event::Retrying {
                request: named.operation.into(),
                key: named.key.into(),
                why: failure.why(),
                pause_milliseconds: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            });
            tokio::time::sleep(pause).await;
        }
    }

    fn note(&self, silent: Option<Instant>) {
        *self.silent.lock().unwrap_or_else(PoisonError::into_inner) = silent;
    }

    fn is_silent(&self) -> bool {
        let since = *self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() < SILENCE)
    }

    fn stalled(&self, wait: Wait) -> Failure {
        Failure::stalled(self.options.waits.store_stalled(wait, format!("the bucket `{}`", self.bucket)))
    }

    /// If the answer says that the bucket lies elsewhere: a client for there. Answers carry the region even when they
    /// refuse, so no permission is needed to learn it.
    async fn moved(&self, failure: &Failure, client: &Client) -> Result<Option<Client>> {
        let known = |region: &str| client.config().region().is_some_and(|known| known.as_ref() == region);
        let place = match failure.bucket_region().filter(|region| !known(region)) {
            Some(region) => Some(Place::Region(region.to_owned())),
            None => match failure.redirects_to() {
                Some(to) => session::redirected(&self.options, to).await?,
                None => None,
            },
        };
        let Some(place) = place else { return Ok(None) };
        let lasts = matches!(place, Place::Region(_));
        let there = session::watched(&self.options, Some(place)).await?;
        if lasts {
            *self.client.write().await = Some(there.clone());
        }
        Ok(Some(there))
    }
}
