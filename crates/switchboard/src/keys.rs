//! Keys, whichever way they are told.

use baton_contract::{CallId, LegId, LegRole};
use baton_media::Command;
use baton_sip::SessionId;
use baton_time::{Mono, Now};
use baton_transfer::{Event as Told, HandBackBy, Key, SceneName};

use crate::scene::KEY_HELD;
use crate::switchboard::Switchboard;

impl Switchboard {
    pub(crate) fn on_info(&mut self, now: Now, session: SessionId, content_type: &str, body: &[u8]) {
        let Some((id, leg)) = self.call_of(session) else { return };
        if let Some(digit) = info_digit(content_type, body) {
            self.on_digit(now, id, leg, digit, now.mono, KeyBy::Info);
        }
    }

    /// A key was pressed on a leg, told by RFC 4733 or by INFO.
    pub(crate) fn on_digit(&mut self, now: Now, id: CallId, leg_id: LegId, digit: char, at: Mono, by: KeyBy) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(leg) = call.leg_mut(leg_id) else { return };
        if !leg.is_new_press(digit, at) || baton_time::bug!(88) {
            return;
        }
        let role = leg.role;
        let key = Key::try_from(digit).ok();
        let hands_back = role == LegRole::Ae && key.is_some_and(|key| self.hands_back(id, leg_id, key, at));
        if by == KeyBy::Info {
            self.pass_info(now, id, leg_id, digit, hands_back);
        }
        let Some(key) = key else { return };
        match role {
            LegRole::Caller => self.tell(now, id, Told::CallerKey(key)),
            LegRole::Ae if hands_back => self.tell(now, id, Told::HandBack { by: HandBackBy::Key, note: None }),
            LegRole::Ae => self.tell(now, id, Told::Key { leg: leg_id, key }),
            LegRole::Ai => {}
        }
    }

    /// A key that came by INFO goes on, but the first one of the AE's pair waits for the second one, as keys in the media do.
    fn pass_info(&mut self, now: Now, id: CallId, leg_id: LegId, digit: char, hands_back: bool) {
        let first = self.settings.transfer.handback_key.first.sign();
        let Some(call) = self.calls.get_mut(&id) else { return };
        let is_human = call.scene == SceneName::Human;
        let Some(leg) = call.leg_mut(leg_id) else { return };
        let (role, held) = (leg.role, leg.held_key.take());
        let waits = is_human && role == LegRole::Ae && digit == first && !hands_back;
        if waits {
            leg.held_key = Some(digit);
        }
        if hands_back {
            return;
        }
        held.into_iter().for_each(|held| self.pass_digit(id, role, held));
        if waits {
            self.set_key_alarm(id, now.mono + KEY_HELD);
        } else {
            self.pass_digit(id, role, digit);
        }
    }

    /// The second key has not come: the first one goes on.
    pub(crate) fn held_for_long(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let held: Vec<(LegRole, char)> = call.legs.iter_mut().filter_map(|leg| Some((leg.role, leg.held_key.take()?))).collect();
        held.into_iter().for_each(|(role, digit)| self.pass_digit(id, role, digit));
    }

    /// Whether a key of the AE who has the caller is the second one of the pair that hands them back.
    fn hands_back(&mut self, id: CallId, leg: LegId, key: Key, at: Mono) -> bool {
        let pair = self.settings.transfer.handback_key;
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.scene == SceneName::Human) else { return false };
        let is_theirs = call.ae_leg() == Some(leg);
        call.leg_mut(leg).is_some_and(|leg| leg.completes(pair, key, at, KEY_HELD)) && is_theirs
    }

    /// A key that came by INFO goes on to whoever hears its leg; RFC 4733 keys pass with the media.
    fn pass_digit(&mut self, id: CallId, from: LegRole, digit: char) {
        let Some(call) = self.calls.get(&id) else { return };
        let to = match (call.scene, from) {
            (SceneName::Conversation | SceneName::ConsultAi, LegRole::Caller) => call.ai(),
            (SceneName::Conversation | SceneName::ConsultAi, LegRole::Ai) | (SceneName::Human, LegRole::Ae) => call.caller(),
            (SceneName::Human, LegRole::Caller) => call.ae(),
            (_, LegRole::Caller | LegRole::Ai | LegRole::Ae) => None,
        };
        if let Some(port) = to.filter(|leg| leg.is_up()).map(crate::leg::Leg::port) {
            let room = call.room;
            self.media(Command::SendDigit { room, port, digit });
        }
    }
}

/// How a key was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyBy {
    Rtp,
    Info,
}

/// The key in the body of an INFO: `application/dtmf-relay` (`Signal=1`) or `application/dtmf` (`1`).
fn info_digit(content_type: &str, body: &[u8]) -> Option<char> {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let text = std::str::from_utf8(body).ok()?;
    let signal = match kind.as_str() {
        "application/dtmf-relay" => text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case("signal").then(|| value.trim())
        })?,
        "application/dtmf" => text.trim(),
        _ => return None,
    };
    match signal {
        "10" => Some('*'),
        "11" => Some('#'),
        _ => {
            let mut signs = signal.chars();
            let sign = signs.next()?.to_ascii_uppercase();
            (signs.next().is_none() && matches!(sign, '0'..='9' | '*' | '#' | 'A'..='D')).then_some(sign)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_an_info_are_read_in_both_of_their_forms() {
        for (kind, body, digit) in [
            ("application/dtmf-relay", "Signal=1\r\nDuration=160\r\n", Some('1')),
            ("application/DTMF-Relay; charset=x", "signal = *\nduration=9", Some('*')),
            ("application/dtmf-relay", "Signal=11\r\n", Some('#')),
            ("application/dtmf", "5\r\n", Some('5')),
            ("application/dtmf", "55", None),
            ("application/dtmf-relay", "Duration=1", None),
            ("application/dtmf-relay", "Signal=", None),
            ("text/plain", "1", None),
            ("", "", None),
        ] {
            assert_eq!(info_digit(kind, body.as_bytes()), digit, "{kind} {body:?}");
        }
        assert_eq!(info_digit("application/dtmf", &[0xff]), None);
    }
}
