//! `baton call ID --ladder`: the SIP messages of a call, a post for each leg.

use std::time::Duration;

use baton_contract::{At, CallId, LegId, LegRole, Page, SipMessageView, Way};

use super::daemon::{Daemon, Trouble};
use super::words::{Here, between, clean, role};

/// How wide the space is in which an arrow stands, in characters; the longest usual title is `200 SUBSCRIBE`.
const ARROW: usize = 18;

/// `baton call ID --ladder`
pub(crate) fn ladder(daemon: &Daemon, json: bool, here: &Here, call: CallId) -> Result<String, Trouble> {
    let told = daemon.get::<Page<SipMessageView>>(&format!("/v1/calls/{call}/sip"))?;
    Ok(if json { told.json } else { draw(&told.view.items, here) })
}

/// A post of a leg: whose it is, and where.
struct Post {
    leg: LegId,
    name: String,
    peer: String,
}

/// The caller stands left of Baton, everybody else right of it, in the order in which they came.
fn draw(messages: &[SipMessageView], here: &Here) -> String {
    let Some(first) = messages.first() else {
        return "No message of this call is remembered: it is too long ago, or [capture] remember is 0.".to_owned();
    };
    let (left, right) = posts(messages);
    let mut lines = vec![head(&left, &right, |post| post.name.clone(), "Baton")];
    lines.push(head(&left, &right, |post| post.peer.clone(), ""));
    for (at, message) in messages.iter().enumerate() {
        let again = messages[..at].iter().any(|before| repeats(before, message));
        lines.push(rung(message, first.at, &left, &right, if again { " (again)" } else { "" }));
    }
    let begun = format!("{}, {} messages", here.time(first.at), messages.len());
    format!("{begun}\n\n{}", lines.iter().map(|line| format!("{}\n", line.trim_end())).collect::<String>())
}

fn posts(messages: &[SipMessageView]) -> (Vec<Post>, Vec<Post>) {
    let (mut left, mut right): (Vec<Post>, Vec<Post>) = (Vec::new(), Vec::new());
    for message in messages {
        let side = if message.role == LegRole::Caller && left.is_empty() { &mut left } else { &mut right };
        let is_known = |side: &[Post]| side.iter().any(|post| post.leg == message.leg);
        if is_known(side) {
            continue;
        }
        side.push(Post { leg: message.leg, name: role(message.role).to_owned(), peer: clean(&message.peer) });
    }
    // A caller's further messages fall to the right side above; they have their post already.
    right.retain(|post| left.iter().all(|known| known.leg != post.leg));
    (left, right)
}

/// How long after a message the same one of the same length is a retransmission: 64 × T1 (RFC 3261 §17).
const AGAIN_MAX: Duration = Duration::from_secs(32);

/// Two messages of one leg that say the same within the time of a retransmission.
fn repeats(before: &SipMessageView, message: &SipMessageView) -> bool {
    let is_soon = between(before.at, message.at) <= AGAIN_MAX;
    is_soon && (before.leg, before.way, &before.title, before.bytes) == (message.leg, message.way, &message.title, message.bytes)
}

fn head(left: &[Post], right: &[Post], of: impl Fn(&Post) -> String, middle: &str) -> String {
    let cell = |text: String| format!("{text:<width$}", width = ARROW + 1);
    let lefts: String = left.iter().map(|post| cell(of(post))).collect();
    // Arrows to the right lead from Baton to a post, whose name stands above its end.
    let rights: String = right.iter().map(|post| format!("{:>width$}", of(post), width = ARROW + 1)).collect();
    format!("{:>9}  {lefts}{middle:<5}{}", "", rights.get(4..).unwrap_or_default())
}

fn rung(message: &SipMessageView, begun: At, left: &[Post], right: &[Post], note: &str) -> String {
    let seconds = between(begun, message.at).as_secs_f64();
    let title: String = clean(&message.title).chars().take(ARROW - 4).collect();
    let is_left = left.iter().any(|post| post.leg == message.leg);
    let to_the_right = match message.way {
        Way::In => is_left,
        Way::Out => !is_left,
    };
    let mut line = String::new();
    for post in left {
        line.push('|');
        line.push_str(&if post.leg == message.leg { arrow(&title, ARROW, to_the_right) } else { " ".repeat(ARROW) });
    }
    line.push('|');
    if let Some(place) = right.iter().position(|post| post.leg == message.leg) {
        line.push_str(&arrow(&title, (ARROW + 1) * (place + 1) - 1, to_the_right));
        line.push('|');
        line.push_str(&right[place + 1..].iter().map(|_| format!("{}|", " ".repeat(ARROW))).collect::<String>());
    } else {
        line.push_str(&right.iter().map(|_| format!("{}|", " ".repeat(ARROW))).collect::<String>());
    }
    format!("{seconds:>8.3}s  {line}{note}")
}

/// `--- INVITE ---->`, so wide.
fn arrow(title: &str, width: usize, to_the_right: bool) -> String {
    let shaft = width.saturating_sub(title.chars().count() + 3);
    let (before, after) = (shaft / 2, shaft - shaft / 2);
    match to_the_right {
        true => format!("{} {title} {}>", "-".repeat(before), "-".repeat(after)),
        false => format!("<{} {title} {}", "-".repeat(before), "-".repeat(after)),
    }
}

#[cfg(test)]
mod tests {
    use baton_contract::IdSource;
    use baton_time::Wall;
    use jiff::tz::TimeZone;

    use super::*;

    const BEGINNING: Wall = Wall::from_seconds(1_772_460_000);

    fn message(millis: i64, leg: LegId, role: LegRole, way: Way, title: &str) -> SipMessageView {
        let at = At(Wall::from_micros(BEGINNING.as_micros() + millis * 1_000));
        let peer = format!("127.0.0.1:50{}0", role as u8 + 6);
        SipMessageView { at, leg, role, way, transport: "UDP".to_owned(), peer, title: title.to_owned(), bytes: 400 }
    }

    #[test]
    fn the_caller_stands_left_of_baton_and_everybody_else_right_of_it() {
        let mut ids = IdSource::seeded(1);
        let [caller, ai, ae] = [(); 3].map(|()| LegId::new(&mut ids, BEGINNING));
        let messages = [
            message(0, caller, LegRole::Caller, Way::In, "INVITE"),
            message(1, caller, LegRole::Caller, Way::Out, "100 INVITE"),
            message(4, ai, LegRole::Ai, Way::Out, "INVITE"),
            message(9, ai, LegRole::Ai, Way::In, "200 INVITE"),
            message(12, ae, LegRole::Ae, Way::Out, "INVITE"),
            message(512, ae, LegRole::Ae, Way::Out, "INVITE"),
            message(600, ae, LegRole::Ae, Way::In, "200 INVITE"),
        ];
        let drawn = draw(&messages, &Here { zone: TimeZone::UTC, now: BEGINNING });
        let expected = "\
2026-03-02 14:00:00, 7 messages

           caller             Baton             AI                 AE
           127.0.0.1:5060           127.0.0.1:5070     127.0.0.1:5080
   0.000s  |---- INVITE ----->|                  |                  |
   0.001s  |<-- 100 INVITE ---|                  |                  |
   0.004s  |                  |---- INVITE ----->|                  |
   0.009s  |                  |<-- 200 INVITE ---|                  |
   0.012s  |                  |-------------- INVITE -------------->|
   0.512s  |                  |-------------- INVITE -------------->| (again)
   0.600s  |                  |<------------ 200 INVITE ------------|
";
        assert_eq!(drawn, expected, "\n{drawn}");
    }

    #[test]
    fn where_nothing_is_remembered_that_is_said() {
        let here = Here { zone: TimeZone::UTC, now: BEGINNING };
        assert!(draw(&[], &here).starts_with("No message of this call is remembered"));
    }

    #[test]
    fn what_comes_from_outside_cannot_steer_the_terminal() {
        let leg = LegId::new(&mut IdSource::seeded(1), BEGINNING);
        let drawn =
            draw(&[message(0, leg, LegRole::Caller, Way::In, "INV\u{1b}[2J")], &Here { zone: TimeZone::UTC, now: BEGINNING });
        assert!(!drawn.contains('\u{1b}'), "{drawn}");
    }
}
