//! A scripted HTTP server for plays: it hears requests whole, and answers what it was told to, right or wrong.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Target;

/// A request that was heard.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    /// Its first line and its headers.
    pub(crate) head: String,
    /// Its body.
    pub(crate) body: Vec<u8>,
    /// Which connection it came by, counted from 0.
    pub(crate) connection: usize,
}

impl Heard {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (held, value) = line.split_once(':')?;
            held.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The path that was asked for.
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }
}

/// What is done with a request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// These bytes are sent; the connection goes on.
    Say(Vec<u8>),
    /// These bytes are sent, then the connection ends.
    Last(Vec<u8>),
    /// These bytes are sent, and nothing ever after.
    Hang(Vec<u8>),
}

impl Act {
    /// An answer with a status and a body.
    pub(crate) fn answer(status: u16, headers: &str, body: &[u8]) -> Act {
        let mut bytes = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(body);
        Act::Say(bytes)
    }
}

type Script = Arc<dyn Fn(usize, &Heard) -> Act + Send + Sync>;

/// The server; it ends with the runtime of the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) heard: Receiver<Heard>,
}

impl Server {
    /// Answers the `n`th request, counted from 0, with what `script` says.
    pub(crate) async fn start(script: impl Fn(usize, &Heard) -> Act + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, heard) = channel(10_000);
        let (script, count): (Script, _) = (Arc::new(script), Arc::new(std::sync::atomic::AtomicUsize::new(0)));
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                tokio::spawn(serve(stream, connection, script.clone(), count.clone(), tell.clone()));
            }
        });
        Server { address, heard }
    }

    /// Always the same answer.
    pub(crate) async fn saying(act: Act) -> Server {
        Server::start(move |_, _| act.clone()).await
    }

    /// A URL on it.
    pub(crate) fn at(&self, path: &str) -> Target {
        format!("http://{}{path}", self.address).parse().unwrap()
    }

    /// The next request that was heard.
    pub(crate) async fn next(&mut self) -> Heard {
        let next = tokio::time::timeout(std::time::Duration::from_secs(60), self.heard.recv());
        next.await.expect("no request came").unwrap()
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    script: Script,
    count: Arc<std::sync::atomic::AtomicUsize>,
    tell: Sender<Heard>,
) {
    stream.set_nodelay(true).unwrap();
    let mut held = Vec::new();
    while let Some((heard, length)) = request(&mut stream, &mut held, connection).await {
        held.drain(..length);
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let act = script(number, &heard);
        tell.try_send(heard).unwrap();
        let (bytes, goes_on) = match act {
            Act::Say(bytes) => (bytes, true),
            Act::Last(bytes) => (bytes, false),
            Act::Hang(bytes) => {
                stream.write_all(&bytes).await.ok();
                return std::future::pending().await;
            }
        };
        // Whoever asked may have gone in the middle of a long answer.
        if stream.write_all(&bytes).await.is_err() || !goes_on {
            return;
        }
    }
}

async fn request(stream: &mut TcpStream, held: &mut Vec<u8>, connection: usize) -> Option<(Heard, usize)> {
    loop {
        if let Some(end) = held.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&held[..end]).into_owned();
            let heard = Heard { head, body: Vec::new(), connection };
            let length: usize = heard.header("content-length").map_or(0, |text| text.parse().unwrap());
            if held.len() >= end + 4 + length {
                let body = held[end + 4..end + 4 + length].to_vec();
                return Some((Heard { body, ..heard }, end + 4 + length));
            }
        }
        let mut buffer = vec![0; 16_384];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => held.extend_from_slice(&buffer[..length]),
        }
    }
}
