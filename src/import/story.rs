//! From what was said to a fixture: whose leg is whose, who did what when, and what came back.
//!
//! Nothing of the messages' own text goes into the fixture: parties have the names that fixtures give them, numbers are made up,
//! and of a header only what it means is kept. So there is nothing in it that could tell who spoke to whom.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use baton_party::{Message, sipfrag_status, uri_of, user_of};

use super::network::Said;

/// Why there is no story in a capture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoStory {
    /// Nobody calls.
    #[error("has no INVITE in it")]
    NoCall,
    /// Nobody calls Baton.
    #[error("has no call to {0}; name the address of the B2BUA with --baton")]
    NotCalled(SocketAddr),
}

/// How much longer than it took something may take when it is played.
const PATIENCE: Duration = Duration::from_millis(500);

/// Shorter waits are left out.
const PAUSE_MIN: Duration = Duration::from_millis(2);

/// Legs of a call at most; more of them are several calls in one capture, of which the first is told.
const LEGS_MAX: usize = 16;

/// A message of a call.
struct Turn {
    at: i64,
    /// From a party to Baton.
    to_baton: bool,
    message: Message,
    bytes: Vec<u8>,
}

/// Who is where in the story.
struct Cast {
    /// Names of legs by their Call-ID.
    legs: BTreeMap<String, String>,
    /// AEs, each with the user that was called, and where: what makes two legs the same AE.
    aes: Vec<(String, (String, SocketAddr))>,
}

/// A fixture, as text; `baton` is the address of the B2BUA if somebody knows it.
pub(super) fn story(said: &[Said], baton: Option<SocketAddr>, file: &str) -> Result<String, NoStory> {
    let messages: Vec<(&Said, Message)> = said.iter().filter_map(|said| Some((said, Message::read(&said.bytes).ok()?))).collect();
    let invites: Vec<&(&Said, Message)> = messages.iter().filter(|(_, message)| is_first_invite(message)).collect();
    let Some((first, _)) = invites.first() else { return Err(NoStory::NoCall) };
    let baton = baton.unwrap_or_else(|| middle(&invites).unwrap_or(first.to));
    let cast = cast(&messages, baton).ok_or(NoStory::NotCalled(baton))?;
    let turns = turns(&messages, baton, &cast);
    let mut writer = Writer::new(&cast, &turns);
    for index in 0..turns.len() {
        writer.turn(&turns, index);
    }
    Ok(writer.text(file, turns.len()))
}

fn is_first_invite(message: &Message) -> bool {
    message.method() == Some("INVITE") && message.to_tag().is_none()
}

/// Who both is called and calls: the address at most ends of dialogs, if it is at more than one.
fn middle(invites: &[&(&Said, Message)]) -> Option<SocketAddr> {
    let called = |address: SocketAddr| invites.iter().any(|(said, _)| said.to == address);
    invites.iter().map(|(said, _)| said.from).find(|from| called(*from))
}

/// Gives each leg of the first call its name; none where nobody calls Baton. Legs are of that call that were dialled while its caller
/// was there, unless they say that they belong to another one.
fn cast(messages: &[(&Said, Message)], baton: SocketAddr) -> Option<Cast> {
    let is_call = |(said, message): &&(&Said, Message)| said.to == baton && is_first_invite(message);
    let (first, caller) = messages.iter().find(is_call)?;
    let is_end = |(said, message): &&(&Said, Message)| {
        said.at >= first.at && message.call_id() == caller.call_id() && matches!(message.method(), Some("BYE" | "CANCEL"))
    };
    let end = messages.iter().find(is_end).map_or(i64::MAX, |(said, _)| said.at);
    let mut cast = Cast { legs: BTreeMap::from([(caller.call_id().to_owned(), "caller".to_owned())]), aes: Vec::new() };
    let mut ai: Option<(String, SocketAddr)> = None;
    let mut call: Option<&str> = None;
    let dialled =
        |said: &Said, message: &Message| said.from == baton && is_first_invite(message) && (first.at..end).contains(&said.at);
    for (said, message) in messages.iter().filter(|(said, message)| dialled(said, message)) {
        let of_another = call.is_some() && message.header("X-Baton-Call").is_some_and(|own| Some(own) != call);
        if of_another || cast.legs.contains_key(message.call_id()) || cast.legs.len() >= LEGS_MAX {
            continue;
        }
        call = call.or_else(|| message.header("X-Baton-Call"));
        let target = (user_of(message.uri().unwrap_or_default()).to_owned(), said.to);
        let name = match &ai {
            None => {
                ai = Some(target);
                "ai".to_owned()
            }
            Some(known) if *known == target => "ai-again".to_owned(),
            Some(_) => cast.ae(&target),
        };
        cast.legs.insert(message.call_id().to_owned(), name);
    }
    Some(cast)
}

impl Cast {
    fn ae(&mut self, target: &(String, SocketAddr)) -> String {
        if let Some((name, _)) = self.aes.iter().find(|(_, known)| known == target) {
            return name.clone();
        }
        let name = format!("ae{}", self.aes.len() + 1);
        self.aes.push((name.clone(), target.clone()));
        name
    }

    fn name(&self, turn: &Turn) -> &str {
        self.legs.get(turn.message.call_id()).map_or("", String::as_str)
    }
}

/// The messages of the call's legs, without retransmissions.
fn turns(messages: &[(&Said, Message)], baton: SocketAddr, cast: &Cast) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    for (said, message) in messages {
        let is_ours = cast.legs.contains_key(message.call_id()) && (said.to == baton || said.from == baton);
        let to_baton = said.to == baton;
        let is_again = turns.iter().any(|known| known.to_baton == to_baton && known.bytes == said.bytes);
        if is_ours && !is_again {
            turns.push(Turn { at: said.at, to_baton, message: message.clone(), bytes: said.bytes.clone() });
        }
    }
    turns
}

/// Where a request for a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Nobody has asked, or it is over.
    No,
    /// The AI has, by REFER.
    ByRefer,
    /// The story has, by its API.
    ByApi,
}

struct Writer<'a> {
    cast: &'a Cast,
    head: Vec<String>,
    lines: Vec<String>,
    /// The instant of the last line.
    last: i64,
    asked: Asked,
    /// The AE who is tried, and the one before.
    tried: Option<String>,
    /// Who has answered and not gone.
    up: Vec<String>,
    backups: BTreeMap<String, String>,
}

impl<'a> Writer<'a> {
    fn new(cast: &'a Cast, turns: &[Turn]) -> Writer<'a> {
        let last = turns.first().map_or(0, |turn| turn.at);
        let (head, lines, up, backups) = (Vec::new(), Vec::new(), Vec::new(), BTreeMap::new());
        Writer { cast, head, lines, last, asked: Asked::No, tried: None, up, backups }
    }

    fn turn(&mut self, turns: &[Turn], index: usize) {
        let turn = &turns[index];
        let name = self.cast.name(turn).to_owned();
        match turn.to_baton {
            true => self.party_acts(turns, turn, &name),
            false => self.baton_acts(turns, turn, &name),
        }
    }

    /// What a party does; what its phone does by itself is left to it.
    fn party_acts(&mut self, turns: &[Turn], turn: &Turn, name: &str) {
        let message = &turn.message;
        let body = body_of(turn);
        let deed = match (message.method(), message.status()) {
            (Some("INVITE"), _) if is_first_invite(message) => match body.contains("m=audio") {
                true => "calls".to_owned(),
                false => "calls without offer".to_owned(),
            },
            (Some("INVITE"), _) if body.contains("a=sendonly") => "holds".to_owned(),
            (Some("INVITE"), _) if body.contains("a=inactive") => "holds inactive".to_owned(),
            (Some("INVITE"), _) if body.contains("m=audio") => "resumes".to_owned(),
            (Some("BYE" | "CANCEL"), _) => {
                self.up.retain(|up| up != name);
                "hangs up".to_owned()
            }
            (Some("REFER"), _) => {
                self.asked = Asked::ByRefer;
                format!("refers to {}", self.refer_to(message, turns))
            }
            (Some("INFO"), _) => match key_of(&body) {
                Some(key) => format!("presses {key} by info"),
                None => return,
            },
            (Some("NOTIFY"), _) => match sipfrag_status(body.as_bytes()) {
                Some(status) if status > 100 => format!("tells {status}"),
                Some(_) | None => return,
            },
            (None, Some(status)) if answers_first_invite(turns, turn) => match status {
                100 => return,
                101..200 if body.contains("m=audio") => format!("rings {status} with sdp"),
                180 => "rings".to_owned(),
                101..200 => format!("rings {status}"),
                200..300 => {
                    self.up.push(name.to_owned());
                    "answers".to_owned()
                }
                487 if was_cancelled(turns, turn) => return,
                _ => format!("refuses {status}"),
            },
            (_, _) => return,
        };
        let pause = span(self.last, turn.at);
        if pause >= PAUSE_MIN {
            self.lines.push(format!("wait {}ms", pause.as_millis()));
        }
        self.push(turn.at, format!("{name} {deed}"));
    }

    /// What Baton sends and means; what a transaction sends by itself is not asked for.
    fn baton_acts(&mut self, turns: &[Turn], turn: &Turn, name: &str) {
        let message = &turn.message;
        let title = match (message.method(), message.status()) {
            (Some("INVITE"), _) if is_first_invite(message) => {
                if name.starts_with("ae") && name != "ai-again" {
                    self.ask_for(turn.at, name);
                }
                "INVITE".to_owned()
            }
            (Some(method @ ("BYE" | "CANCEL" | "REFER")), _) => {
                if method == "BYE" && self.up.iter().any(|up| up == name) {
                    self.explain_bye(turn.at, name);
                    self.up.retain(|up| up != name);
                }
                method.to_owned()
            }
            (Some("NOTIFY"), _) => match sipfrag_status(body_of(turn).as_bytes()) {
                Some(status) => format!("NOTIFY {status}"),
                None => return,
            },
            (None, Some(status)) if status > 100 && matches!(message.cseq().1, "INVITE" | "REFER") => {
                if name == "caller" && status < 300 && message.cseq().1 == "INVITE" && answers_first_invite(turns, turn) {
                    self.up.extend((status >= 200).then(|| name.to_owned()));
                } else if message.cseq().1 == "INVITE" && !answers_first_invite(turns, turn) {
                    return;
                }
                format!("{status} {}", message.cseq().1)
            }
            (_, _) => return,
        };
        let within = span(self.last, turn.at);
        let within = within + within / 2 + PATIENCE;
        self.push(turn.at, format!("{name} <- {title} within {}ms", within.as_millis()));
    }

    /// An AE is dialled: by a request that was seen, after somebody else, or because somebody asked in a way that is not SIP.
    fn ask_for(&mut self, at: i64, name: &str) {
        match (self.asked, self.tried.take()) {
            (Asked::No, _) => {
                self.pause(at);
                self.push(at, format!("api transfer to={name} => 202"));
                self.asked = Asked::ByApi;
            }
            (Asked::ByRefer | Asked::ByApi, Some(before)) if before != name => {
                self.backups.insert(before, name.to_owned());
            }
            (Asked::ByRefer | Asked::ByApi, _) => {}
        }
        self.tried = Some(name.to_owned());
    }

    /// Baton lets go of somebody who is up. That the AI goes means that the AE has accepted, that an AE goes that they have not;
    /// keys that said so are not in SIP.
    fn explain_bye(&mut self, at: i64, name: &str) {
        let is_up = |who: &str| self.up.iter().any(|up| up == who);
        let ae = self.tried.clone().filter(|ae| is_up(ae));
        let said = match (name.starts_with("ai"), ae) {
            (true, Some(_)) if is_up("caller") && self.asked != Asked::No => "api accept => 200",
            (false, Some(ae)) if ae == name && is_up("caller") && is_up("ai") && self.asked != Asked::No => "api decline => 200",
            (_, _) => return,
        };
        self.pause(at);
        self.push(at, said.to_owned());
        self.asked = Asked::No;
    }

    fn pause(&mut self, at: i64) {
        let pause = span(self.last, at);
        if pause >= PAUSE_MIN {
            self.lines.push(format!("wait {}ms", pause.as_millis()));
        }
    }

    fn push(&mut self, at: i64, line: String) {
        self.lines.push(line);
        self.last = at.max(self.last);
    }

    /// Whom the AI asks for: the AE who is dialled next, else a number that nobody has.
    fn refer_to(&self, refer: &Message, turns: &[Turn]) -> String {
        let wanted = user_of(uri_of(refer.header("Refer-To").unwrap_or_default()));
        let by_user = self.cast.aes.iter().find(|(_, (user, _))| user == wanted);
        let later = |turn: &&Turn| !turn.to_baton && is_first_invite(&turn.message) && self.cast.name(turn).starts_with("ae");
        let named = by_user.map(|(name, _)| name.as_str()).or_else(|| turns.iter().find(later).map(|turn| self.cast.name(turn)));
        named.map_or_else(|| "sip:+15550199@10.0.0.1".to_owned(), |name| format!("sip:{name}@10.0.0.1"))
    }

    fn text(mut self, file: &str, messages: usize) -> String {
        let kind = file.rsplit_once('.').map_or("", |(_, kind)| kind);
        self.head.push(format!(
            "# Imported from a {} of {messages} messages in {} legs. Names, numbers and addresses are made up; look it over before you keep it.",
            if kind == "pcapng" { "pcapng" } else { "capture" },
            self.cast.legs.len()
        ));
        for (name, _) in &self.cast.aes {
            let backup = self.backups.get(name).filter(|backup| self.comes_later(name, backup));
            self.head.push(format!("ae {name}{}", backup.map(|backup| format!(" backup {backup}")).unwrap_or_default()));
        }
        let mut text = self.head.join("\n");
        text.push_str("\n\n");
        text.extend(self.lines.iter().map(|line| format!("{line}\n")));
        text
    }

    /// Backups do not go round in a circle.
    fn comes_later(&self, name: &str, backup: &str) -> bool {
        let place = |wanted: &str| self.cast.aes.iter().position(|(known, _)| known == wanted);
        place(name) < place(backup)
    }
}

/// Whether a response is one to the INVITE that began its leg.
fn answers_first_invite(turns: &[Turn], turn: &Turn) -> bool {
    let (number, method) = turn.message.cseq();
    let asked = |other: &Turn| {
        other.to_baton != turn.to_baton && other.message.call_id() == turn.message.call_id() && is_first_invite(&other.message)
    };
    method == "INVITE" && turns.iter().find(|other| asked(other)).is_some_and(|invite| invite.message.cseq().0 == number)
}

fn was_cancelled(turns: &[Turn], turn: &Turn) -> bool {
    let is_cancel = |other: &Turn| {
        other.at <= turn.at
            && other.to_baton != turn.to_baton
            && other.message.call_id() == turn.message.call_id()
            && other.message.method() == Some("CANCEL")
    };
    turns.iter().any(is_cancel)
}

fn body_of(turn: &Turn) -> String {
    let text = String::from_utf8_lossy(&turn.bytes);
    text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

/// The key of an INFO: `Signal=1`, or the bare key.
fn key_of(body: &str) -> Option<char> {
    let value = body.lines().find_map(|line| line.split_once('=').filter(|(name, _)| name.trim() == "Signal"));
    let text = value.map_or(body.trim(), |(_, key)| key.trim());
    let mut signs = text.chars();
    let key = signs.next().filter(|key| key.is_ascii_digit() || matches!(key, '*' | '#'));
    key.filter(|_| signs.next().is_none())
}

fn span(from: i64, to: i64) -> Duration {
    Duration::from_micros(u64::try_from(to - from).unwrap_or(0))
}
