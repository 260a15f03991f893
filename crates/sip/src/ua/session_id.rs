//! Session-ID (RFC 7989): one name for a call that outlives the elements which it passes. To who says theirs we say ours; to others where that is
//! wanted.

use sha2::{Digest as _, Sha256};

use crate::wire::{Message, Name};

/// How many hexadecimal digits half a Session-ID has.
const DIGITS: usize = 32;

/// The half of somebody who has not said theirs (RFC 7989 §5).
pub(crate) const NIL: &str = "00000000000000000000000000000000";

/// The half of whoever has sent this message; none if it says none, or none that can be read.
pub(crate) fn of(message: &Message) -> Option<String> {
    let half = message.header(Name::SessionId)?.split(';').next()?.trim();
    let is_half = half.len() == DIGITS && half.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_half && half != NIL).then(|| half.to_ascii_lowercase())
}

/// The value that says both halves. Ours follows from our end of the dialog, so that it stays the same for all of it.
pub(crate) fn pair(call_id: &str, tag: &str, theirs: &str) -> String {
    let digest =
        Sha256::new().chain_update(b"baton session").chain_update(call_id).chain_update([0]).chain_update(tag).finalize();
    format!("{};remote={theirs}", hex::encode(&digest[..DIGITS / 2]))
}
