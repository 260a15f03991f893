//! Overload control (RFC 7339), as a server: who says `oc` in their Via is told in every answer how much less they should send.

use baton_time::Mono;

use super::Crowd;
use crate::wire::Via;

/// Of a hundred new requests, how many whoever takes part shall keep back while there is a crowd. What comes all the same is refused until the crowd
/// has gone; half of it is what lets a peer find out how much can be worked off.
const LOSS: u8 = 50;
/// For how long, in milliseconds, unless they are told again.
const VALID_MS: u32 = 1_000;
/// The parameters that an answer has.
const PARAMS: [&str; 4] = ["oc", "oc-algo", "oc-validity", "oc-seq"];

/// The Via of an answer with what its sender is told; none where they have not asked, or know nothing but what we have not (§4.3).
///
/// Without a crowd the loss is 0 and the time is, too: whoever has kept something back sends everything again (§4.4). `now` orders what was said (§4.5).
pub(crate) fn told(via: &Via, crowd: Crowd, now: Mono) -> Option<Via> {
    if !via.params.has("oc") {
        return None;
    }
    let knows_loss = |list: &str| list.split(',').any(|one| one.trim().eq_ignore_ascii_case("loss"));
    if via.params.text("oc-algo").is_some_and(|list| !knows_loss(&list)) {
        return None;
    }
    let (loss, valid_ms) = match crowd {
        Crowd::Few => (0, 0),
        Crowd::TooMany => (LOSS, VALID_MS),
    };
    let mut plain = via.clone();
    PARAMS.iter().for_each(|name| plain.params.remove(name));
    let millis = now.as_micros() / 1_000;
    let (seconds, millis) = (millis / 1_000, millis % 1_000);
    format!("{plain};oc={loss};oc-algo=\"loss\";oc-validity={valid_ms};oc-seq={seconds}.{millis:03}").parse().ok()
}
