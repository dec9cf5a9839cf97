//! Ctrl-C and SIGTERM: the first asks for a clean end, the second ends at once.

use strongroom_engine::{Code, Error};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::Result;

/// Runs `work`, whose token is cancelled at the first signal. At the second its end is not waited for.
pub(crate) async fn until_asked_twice<F>(work: impl FnOnce(CancellationToken) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let mut signals = Signals::new()?;
    let cancel = CancellationToken::new();
    let mut work = std::pin::pin!(work(cancel.clone()));
    tokio::select! {
        outcome = &mut work => return outcome,
        () = signals.next() => cancel.cancel(),
    }
    tokio::select! {
        outcome = &mut work => outcome,
        () = signals.next() => {
            Err(Error::new(Code::Cancelled, "ended at once; what was begun may be left behind").into())
        }
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| {
            signal(kind).map_err(|e| Error::new(Code::Internal, "signals cannot be listened to").caused_by(e))
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
