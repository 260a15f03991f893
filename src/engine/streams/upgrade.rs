//! From a stream to a WebSocket.

use std::io;

use baton_sip::websocket::{Frames, HEAD_MAX, Opening, Upgrade, head_end};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Wire;

/// Answers the request of HTTP that opens a WebSocket. What came behind it is in the frames already.
///
/// # Errors
/// When it is no such request, which is told to the far side; when the stream breaks.
pub(super) async fn serve(mut wire: Wire) -> io::Result<(Wire, Frames)> {
    let (head, end) = head(&mut wire).await?;
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

/// Asks whoever we have called for a WebSocket. What came behind the answer is in the frames already.
///
/// # Errors
/// When the answer makes none; when the stream breaks.
pub(super) async fn ask(mut wire: Wire, host: &str, nonce: [u8; 16]) -> io::Result<(Wire, Frames)> {
    let opening = Opening::new(nonce);
    wire.write_all(opening.request(host).as_bytes()).await?;
    wire.flush().await?;
    let (head, end) = head(&mut wire).await?;
    opening.check(&head[..end]).map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
    let mut frames = Frames::from_server();
    frames.push(&head[end..]);
    Ok((wire, frames))
}

/// Reads a head of HTTP; tells where it ends.
async fn head(wire: &mut Wire) -> io::Result<(BytesMut, usize)> {
    let mut head = BytesMut::new();
    loop {
        if wire.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match head_end(&head) {
            Some(end) if end <= HEAD_MAX => return Ok((head, end)),
            None if head.len() <= HEAD_MAX => {}
            Some(_) | None => return Err(io::Error::new(io::ErrorKind::InvalidData, "the head is too long")),
        }
    }
}
