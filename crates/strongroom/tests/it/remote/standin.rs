//! A server that answers as a test says, also as no service would.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request that came in.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// In lower case.
    pub(crate) headers: String,
    pub(crate) body: Value,
}

/// What is sent back.
pub(crate) enum Reply {
    /// A status and JSON.
    Json(u16, Value),
    /// The same, with more headers.
    With(u16, Vec<(&'static str, String)>, Value),
    /// Bytes as they are.
    Raw(Vec<u8>),
    /// A head, and then a byte now and then without an end.
    Endless,
    /// A body of so many bytes.
    Huge(usize),
}

pub(crate) struct Standin {
    address: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Standin {
    pub(crate) async fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, kept) = (Arc::new(answer), seen.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, kept) = (answer.clone(), kept.clone());
                tokio::spawn(async move {
                    // A client that goes away is no failure of the test.
                    let _ = serve(stream, &*answer, &kept).await;
                });
            }
        });
        Self { address, seen }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: &(dyn Fn(&Request) -> Reply + Send + Sync),
    seen: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let request = read(&mut stream).await?;
    seen.lock().unwrap().push(request.clone());
    match answer(&request) {
        Reply::Json(status, value) => send(&mut stream, status, &[], &value).await,
        Reply::With(status, headers, value) => send(&mut stream, status, &headers, &value).await,
        Reply::Raw(bytes) => stream.write_all(&bytes).await,
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n[").await?;
            loop {
                stream.write_all(b" ").await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Reply::Huge(bytes) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await?;
            for _ in 0..bytes / 65_536 {
                stream.write_all(&[b' '; 65_536]).await?;
            }
            Ok(())
        }
    }
}

async fn send(
    stream: &mut TcpStream,
    status: u16,
    headers: &[(&'static str, String)],
    value: &Value,
) -> std::io::Result<()> {
    let body = if value.is_null() { String::new() } else { value.to_string() };
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await
}

async fn read(stream: &mut TcpStream) -> std::io::Result<Request> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 8192]);
    let end = loop {
        let read = stream.read(&mut chunk).await?;
        bytes.extend_from_slice(&chunk[..read]);
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let (line, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
    let headers = headers.to_ascii_lowercase();
    let length = headers.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    while bytes.len() < end + 4 + length.unwrap_or(0) {
        let read = stream.read(&mut chunk).await?;
        bytes.extend_from_slice(&chunk[..read]);
    }
    let mut words = line.split(' ').map(str::to_owned);
    Ok(Request {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        headers,
        body: serde_json::from_slice(&bytes[end + 4..]).unwrap_or(Value::Null),
    })
}
