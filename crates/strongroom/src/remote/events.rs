//! The stream of events (`text/event-stream`, HTML Living Standard 9.2), followed through breaks.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;

use super::client::{Ask, Client};
use super::paths;
use crate::failure::{Remote, RemoteCode, Result};

/// Bytes of one event. A larger one is from no service of ours.
const EVENT_MAX: usize = 1 << 20;
/// A service sends at least a comment sooner.
const SILENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// So many attempts in a row without an event end the watch.
const TRIES: u32 = 10;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// An event of this kind.
    Told { kind: String, data: Value },
    /// Something may have been missed: look at everything again.
    Resync,
}

/// The events from now on.
#[derive(Debug)]
pub(crate) struct Events<'a> {
    client: &'a Client,
    open: Option<Response>,
    parser: Parser,
    last: Option<String>,
    failed: u32,
}

impl<'a> Events<'a> {
    pub(crate) fn of(client: &'a Client) -> Self {
        Self { client, open: None, parser: Parser::default(), last: None, failed: 0 }
    }

    /// The next event. A stream that breaks off is opened again where it was.
    pub(crate) async fn next(&mut self) -> Result<Event> {
        loop {
            if let Some(frame) = self.parser.next() {
                self.failed = 0;
                self.last = frame.id.clone().or(self.last.take());
                return Ok(frame.event());
            }
            if let Err(remote) = self.read().await {
                self.open = None;
                self.parser = Parser::default();
                self.failed += 1;
                if self.failed >= TRIES || remote.code != RemoteCode::Unreachable {
                    return Err(remote.into());
                }
                tokio::time::sleep((PAUSE * self.failed).min(PAUSE_MAX)).await;
                // Live progress has no id, and the server may have forgotten the last one.
                return Ok(Event::Resync);
            }
        }
    }

    async fn read(&mut self) -> Result<(), Remote> {
        let response = match &mut self.open {
            Some(response) => response,
            closed => {
                closed.insert(self.client.stream(&Ask::get(paths::EVENTS), self.last.as_deref()).await?)
            }
        };
        let broke_off = || Remote::new(RemoteCode::Unreachable, "the stream of events broke off");
        let read = tokio::time::timeout(SILENCE, response.chunk()).await.map_err(|_| broke_off())?;
        let chunk = read.map_err(|e| self.client.unreachable(e))?.ok_or_else(broke_off)?;
        self.parser.push(&chunk)
    }
}

/// Lines into events.
#[derive(Debug, Default)]
struct Parser {
    bytes: Vec<u8>,
}

#[derive(Debug, Default, PartialEq)]
struct Frame {
    id: Option<String>,
    kind: String,
    data: String,
}

impl Parser {
    fn push(&mut self, chunk: &[u8]) -> Result<(), Remote> {
        if self.bytes.len() + chunk.len() > EVENT_MAX {
            return Err(Remote::new(RemoteCode::Answer, "an event is larger than 1 MiB"));
        }
        self.bytes.extend(chunk.iter().filter(|byte| **byte != b'\r'));
        Ok(())
    }

    /// The next whole event; comments alone are none.
    fn next(&mut self) -> Option<Frame> {
        loop {
            let end = self.bytes.windows(2).position(|pair| pair == b"\n\n")?;
            let text: Vec<u8> = self.bytes.drain(..end + 2).collect();
            let frame = Frame::of(&String::from_utf8_lossy(&text));
            if !frame.data.is_empty() || !frame.kind.is_empty() {
                return Some(frame);
            }
        }
    }
}

impl Frame {
    fn of(text: &str) -> Self {
        let mut frame = Self::default();
        for line in text.lines() {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "id" => frame.id = Some(value.into()),
                "event" => frame.kind = value.into(),
                "data" if frame.data.is_empty() => frame.data = value.into(),
                "data" => frame.data = format!("{}\n{value}", frame.data),
                _ => {}
            }
        }
        frame
    }

    fn event(self) -> Event {
        if self.kind == "resync" {
            return Event::Resync;
        }
        // What cannot be understood is not missed: whoever follows looks again.
        serde_json::from_str(&self.data).map_or(Event::Resync, |data| Event::Told { kind: self.kind, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text =
            ": hello\n\nid: 7\nevent: run\ndata: {\"a\":\ndata: 1}\n\nevent: resync\ndata: {}\n\nid: 8\nda";
        for size in [1, 3, 1000] {
            let (mut parser, mut frames) = (Parser::default(), Vec::new());
            for chunk in text.replace('\n', "\r\n").as_bytes().chunks(size) {
                parser.push(chunk).unwrap();
                frames.extend(std::iter::from_fn(|| parser.next()));
            }
            assert_eq!(frames.len(), 2, "{frames:?}");
            assert_eq!(frames[0].id.as_deref(), Some("7"));
            let told = Event::Told { kind: "run".into(), data: serde_json::json!({"a": 1}) };
            assert_eq!(frames.remove(0).event(), told);
            assert_eq!(frames.remove(0).event(), Event::Resync);
        }
    }

    #[test]
    fn an_event_without_an_end_is_refused() {
        let mut parser = Parser::default();
        assert!((0..20).any(|_| parser.push(&[b'x'; 100_000]).is_err()));
    }
}
