//! Watches one request on its way, so that a wait without progress ends, and says which it was. A body that goes or comes
//! slowly is progress.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
    BeforeTransmitInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::waits::{Wait, Waits};

/// How much of a body is handed over at once: each piece that goes is progress.
const PIECE_BYTES: usize = 64 << 10;
/// How often is looked whether a connection has been made.
const LOOK: Duration = Duration::from_millis(100);
/// The longest answer that is read whole: a page of a thousand keys of a thousand bytes, each byte escaped, has a tenth.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// One request that is on its way. Its clones watch the same one.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    seen: Arc<Mutex<Seen>>,
    /// What is sent.
    body: Bytes,
    /// Whether an answer that says yes is read piece by piece, by whoever asked.
    streams: bool,
}

#[derive(Debug)]
struct Seen {
    stage: Stage,
    /// When there was progress for the last time.
    at: Instant,
    answer: Answered,
}

#[derive(Debug)]
enum Stage {
    /// Credentials are fetched, and the request is signed.
    Preparing,
    Connecting(CaptureSmithyConnection),
    /// There is a connection; the request goes, or its answer is waited for.
    Sent,
    Answering,
}

/// What the head of an answer shows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Answered {
    pub(super) status: u16,
    /// It is a page for people.
    html: bool,
    /// It has headers that only S3 sends.
    amz: bool,
}

impl Answered {
    /// Whether it may come from a server that speaks S3, and not from a proxy or a portal in its place.
    pub(super) fn may_be_s3(self) -> bool {
        self.amz || !self.html
    }

    /// Whether it is what S3 answers to a deletion: 204 (Amazon S3 API Reference, DeleteObject).
    pub(super) fn is_deletion(self) -> bool {
        self.status == 204 || (self.amz && self.status == 200)
    }
}

impl Meter {
    /// For a request whose whole answer is read by the SDK.
    pub(super) fn new() -> Self {
        let seen = Seen { stage: Stage::Preparing, at: Instant::now(), answer: Answered::default() };
        Self { seen: Arc::new(Mutex::new(seen)), body: Bytes::new(), streams: false }
    }

    /// The same request, which sends `body`.
    pub(super) fn sending(&self, body: Bytes) -> Self {
        Self { body, ..self.clone() }
    }

    /// The same request, whose answer is as long as it may be.
    pub(super) fn streaming(&self) -> Self {
        Self { streams: true, ..self.clone() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the answer's head shows; nothing before it came.
    pub(super) fn answered(&self) -> Answered {
        self.seen().answer
    }

    /// Whether the request may have reached the server.
    pub(super) fn may_have_arrived(&self) -> bool {
        let mut seen = self.seen();
        seen.look();
        matches!(seen.stage, Stage::Sent | Stage::Answering)
    }

    /// Ends when something is waited for longer than allowed, and says what it was.
    pub(super) async fn stalls(&self, waits: &Waits) -> Wait {
        loop {
            let (wait, since, connecting) = {
                let mut seen = self.seen();
                seen.look();
                (seen.waits_for(), seen.at, matches!(seen.stage, Stage::Connecting(_)))
            };
            let now = Instant::now();
            let left = waits.longest(wait).saturating_sub(now.duration_since(since));
            if left.is_zero() {
                return wait;
            }
            tokio::time::sleep(if connecting { left.min(LOOK) } else { left }).await;
        }
    }
}

impl Seen {
    fn moved(&mut self, stage: Stage) {
        (self.stage, self.at) = (stage, Instant::now());
    }

    /// Notices a connection that has been made meanwhile.
    fn look(&mut self) {
        if let Stage::Connecting(connection) = &self.stage
            && connection.get().is_some()
        {
            self.moved(Stage::Sent);
        }
    }

    fn waits_for(&self) -> Wait {
        match self.stage {
            Stage::Connecting(_) => Wait::Connect,
            Stage::Preparing | Stage::Sent => Wait::FirstByte,
            Stage::Answering => Wait::NextByte,
        }
    }
}

#[dyn_dispatch_hint]
impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "what moves"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if !self.body.is_empty() {
            // It is signed by now.
            let body = Going { rest: self.body.clone(), meter: self.clone() };
            *context.request_mut().body_mut() = SdkBody::from_body_1_x(body);
        }
        Ok(())
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let connection = context.request().extension::<CaptureSmithyConnection>().cloned();
        self.seen().moved(connection.map_or(Stage::Sent, Stage::Connecting));
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        let headers = response.headers();
        let answer = Answered {
            status: response.status().as_u16(),
            html: headers.get("content-type").is_some_and(|kind| kind.to_ascii_lowercase().contains("html")),
            amz: headers.iter().any(|(name, _)| name.starts_with("x-amz-")),
        };
        let mut seen = self.seen();
        seen.moved(Stage::Answering);
        seen.answer = answer;
        drop(seen);
        let left = if self.streams && response.status().is_success() { usize::MAX } else { ANSWER_BYTES_MAX };
        let body = std::mem::replace(response.body_mut(), SdkBody::taken());
        *response.body_mut() =
            SdkBody::from_body_1_x(Coming { body: Box::pin(body), meter: self.clone(), left });
        Ok(())
    }
}

/// A body that is sent.
struct Going {
    rest: Bytes,
    meter: Meter,
}

impl Body for Going {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.meter.seen().moved(Stage::Sent);
        let length = self.rest.len().min(PIECE_BYTES);
        let piece = self.rest.split_to(length);
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// A body that comes.
struct Coming {
    body: Pin<Box<SdkBody>>,
    meter: Meter,
    /// Bytes that may still come.
    left: usize,
}

impl Body for Coming {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = self.body.as_mut().poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.meter.seen().moved(Stage::Answering);
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(left) = self.left.checked_sub(length) else {
                return Poll::Ready(Some(Err("the answer has no end".into())));
            };
            self.left = left;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
