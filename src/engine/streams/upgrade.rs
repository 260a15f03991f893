//! From a stream to a WebSocket.

use std::io;

use baton_sip::websocket::{Frames, HEAD_MAX, Upgrade, head_end};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Wire;

/// Answers the request of HTTP that opens a WebSocket. What came behind it is in the frames already.
///
/// # Errors
/// When it is no such request, which is told to the far side; when the stream breaks.
pub(super) async fn serve(mut wire: Wire) -> io::Result<(Wire, Frames)> {
    let mut head = BytesMut::new();
    let end = loop {
        if wire.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match head_end(&head) {
            Some(end) if end <= HEAD_MAX => break end,
            None if head.len() <= HEAD_MAX => {}
            Some(_) | None => return Err(io::Error::new(io::ErrorKind::InvalidData, "the request is too long")),
        }
    };
    match Upgrade::read(&head[..end]) {
        Ok(upgrade) => {
            wire.write_all(upgrade.response().as_bytes()).await?;
            wire.flush().await?;
            let mut frames = Frames::from_client();
            frames.push(&head[end..]);
            Ok((wire, frames))
        }
        Err(refusal) => {
            wire.write_all(refusal.response().as_bytes()).await?;
            wire.shutdown().await?;
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("{refusal:?}")))
        }
    }
}
