//! A small HTTP/1.1 client for the daemon's API: one request a connection, and one connection that stays open for the events.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// How long the daemon may take for an answer: a little longer than it gives itself.
const PATIENCE: Duration = Duration::from_secs(6);
/// The longest body that is read.
const BODY_BYTES_MAX: usize = 4 << 20;

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The connection failed.
    #[error("{path}: {source}")]
    Connection {
        /// What was asked for.
        path: String,
        /// What happened.
        source: std::io::Error,
    },
    /// What came is no HTTP.
    #[error("{path}: the answer is no HTTP/1.1")]
    Malformed {
        /// What was asked for.
        path: String,
    },
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The daemon's API.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Api {
    address: SocketAddr,
}

impl Api {
    pub(crate) fn new(address: SocketAddr) -> Api {
        Api { address }
    }

    pub(crate) fn get(self, path: &str) -> Result<Answer, ApiError> {
        self.ask("GET", path, None, None)
    }

    pub(crate) fn put(self, path: &str, body: &Value) -> Result<Answer, ApiError> {
        self.ask("PUT", path, None, Some(body))
    }

    pub(crate) fn post(self, path: &str, body: &Value) -> Result<Answer, ApiError> {
        self.ask("POST", path, None, Some(body))
    }

    /// Opens the stream of events; each line of data is handed to `each` until that says no, or the stream ends.
    pub(crate) fn follow(self, path: &str, each: impl FnMut(&str) -> bool) -> Result<(), ApiError> {
        self.follow_until_closed(path, |_| (), each)
    }

    /// As [`Api::follow`]; `opened` gets a handle by which somebody else can close the stream.
    pub(crate) fn follow_until_closed(
        self,
        path: &str,
        opened: impl FnOnce(TcpStream),
        mut each: impl FnMut(&str) -> bool,
    ) -> Result<(), ApiError> {
        let lost = |source| ApiError::Connection { path: path.to_owned(), source };
        let stream = self.send("GET", path, None, None).map_err(lost)?;
        stream.set_read_timeout(None).map_err(lost)?;
        opened(stream.try_clone().map_err(lost)?);
        let mut reader = BufReader::new(stream);
        let head = read_head(&mut reader).ok_or_else(|| ApiError::Malformed { path: path.to_owned() })?;
        let mut body: Box<dyn BufRead> =
            if head.chunked { Box::new(BufReader::new(Chunks::new(reader))) } else { Box::new(reader) };
        let mut line = String::new();
        while body.read_line(&mut line).map_err(lost)? > 0 {
            if line.strip_prefix("data:").is_some_and(|data| !each(data.trim())) {
                break;
            }
            line.clear();
        }
        Ok(())
    }

    /// Any request; `token` is shown to a daemon that wants one.
    pub(crate) fn ask(self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Result<Answer, ApiError> {
        let lost = |source| ApiError::Connection { path: path.to_owned(), source };
        let mut reader = BufReader::new(self.send(method, path, token, body).map_err(lost)?);
        let head = read_head(&mut reader).ok_or_else(|| ApiError::Malformed { path: path.to_owned() })?;
        let mut body = Vec::new();
        let limit = head.length.unwrap_or(BODY_BYTES_MAX).min(BODY_BYTES_MAX) as u64;
        if head.chunked {
            Chunks::new(reader).take(limit).read_to_end(&mut body).map_err(lost)?;
        } else {
            reader.take(limit).read_to_end(&mut body).map_err(lost)?;
        }
        Ok(Answer { status: head.status, body })
    }

    fn send(self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let shown = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{shown}{kind}Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        Ok(stream)
    }
}

struct Head {
    status: u16,
    length: Option<usize>,
    chunked: bool,
}

fn read_head(reader: &mut impl BufRead) -> Option<Head> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let status = line.strip_prefix("HTTP/1.")?.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let mut head = Head { status, length: None, chunked: false };
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { return Some(head) };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => head.length = value.trim().parse().ok(),
            "transfer-encoding" => head.chunked = value.to_ascii_lowercase().contains("chunked"),
            _ => {}
        }
    }
}

/// The inside of a chunked body (RFC 9112 §7.1).
struct Chunks<R> {
    inner: R,
    left: usize,
    over: bool,
}

impl<R: BufRead> Chunks<R> {
    fn new(inner: R) -> Chunks<R> {
        Chunks { inner, left: 0, over: false }
    }

    fn next_chunk(&mut self) -> std::io::Result<()> {
        let mut line = String::new();
        while line.trim().is_empty() {
            line.clear();
            if self.inner.read_line(&mut line)? == 0 {
                self.over = true;
                return Ok(());
            }
        }
        let size = line.trim().split(';').next().unwrap_or_default();
        self.left = usize::from_str_radix(size, 16).map_err(|_| std::io::ErrorKind::InvalidData)?;
        self.over = self.left == 0;
        Ok(())
    }
}

impl<R: BufRead> Read for Chunks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 && !self.over {
            self.next_chunk()?;
        }
        if self.over {
            return Ok(0);
        }
        let most = buffer.len().min(self.left);
        let read = self.inner.read(&mut buffer[..most])?;
        self.left -= read;
        self.over = read == 0 && most > 0;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A server that gives one answer to one request.
    fn answering(answer: &'static str) -> Api {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4_096];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        Api::new(address)
    }

    #[test]
    fn a_body_is_read_whether_it_has_a_length_or_comes_in_chunks() {
        let whole = answering("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"a\":1}beyond");
        assert_eq!(whole.get("/").unwrap().json(), serde_json::json!({"a": 1}));
        let chunked =
            answering("HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n");
        let answer = chunked.post("/", &Value::Null).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (202, "{\"a\":1}"));
    }

    #[test]
    fn events_are_handed_over_line_by_line() {
        let api = answering(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nid: 1\nda\r\n8\r\nta: {1}\n\r\n9\r\ndata:{2}\n\r\n0\r\n\r\n",
        );
        let mut seen = Vec::new();
        api.follow("/v1/events", |data| {
            seen.push(data.to_owned());
            true
        })
        .unwrap();
        assert_eq!(seen, ["{1}", "{2}"]);
    }

    #[test]
    fn nobody_there_and_nonsense_are_told_apart() {
        let nobody = Api::new("127.0.0.1:1".parse().unwrap());
        assert!(matches!(nobody.get("/readyz"), Err(ApiError::Connection { .. })));
        assert!(matches!(answering("what?\r\n\r\n").get("/"), Err(ApiError::Malformed { .. })));
    }
}
