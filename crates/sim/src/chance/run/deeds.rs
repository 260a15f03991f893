//! What happens in a random world: what phones, the network, the store and the clock do.

use std::time::Duration;

use baton_media::Port;
use baton_switchboard::Input;
use bytes::Bytes;

use super::{Post, Run};
use crate::Store;
use crate::chance::leg::{Leg, Phase};
use crate::chance::plan::{AI, By, CALLER, FIRST_AE, Strange, Target, What, Who};
use crate::chance::tally::Fault;
use crate::chance::watch::{Check, Writer};
use crate::chance::ways::{SESSION, Timer};
use crate::chance::wire::Talk;
use crate::world::TRAVEL;

impl Run<'_> {
    pub(super) fn perform(&mut self, at: usize) {
        let what = self.plan.deeds[at].what;
        let now = self.now.mono;
        let branch = self.dice.draw() >> 4;
        self.note(|| format!("deed {what:?}"));
        match what {
            What::Call { phone, offer } => self.dial(phone, offer, branch),
            What::Ring(who, status) => self.respond(who, status, Talk::Both, "rings"),
            What::Answer(who, talk) => self.respond(who, 200, talk, "answers"),
            What::Refuse(who, status) => self.respond(who, status, Talk::Both, "refuses"),
            What::HangUp(who) => {
                if let Some(at) = self.leg_of(who).filter(|at| self.legs[*at].phase != Phase::Over) {
                    self.tally.reach(Fault::HangUp);
                    let name = self.name(who);
                    self.act(|| format!("{name} hangs up"));
                    self.hang_up(at);
                }
            }
            What::Press(who, key, by) => self.press(who, key, by),
            What::Offer(who, talk) => self.offer(who, talk, branch),
            What::Refer(who, target) => self.refer(who, target, branch),
            What::Notify(who, status) => self.notify(who, status, branch),
            What::Text(who) => self.write(who, branch),
            What::Mute(who) => {
                if let Some(at) = self.leg_of(who).filter(|at| self.legs[*at].sends_sound()) {
                    self.legs[at].muted = true;
                    let name = self.name(who);
                    self.act(|| format!("{name} mutes"));
                    self.silent_later(at);
                }
            }
            What::CutOff(phone) => self.cut_off(phone),
            What::Strange(who, strange) => self.strange(who, strange, branch),
            What::Api(api) => self.api(api),
            What::Store(store, span) => self.trouble_store(store, span),
            What::Clock(seconds) => {
                let span = Duration::from_secs(seconds.unsigned_abs());
                self.now.wall = if seconds < 0 { self.now.wall - span } else { self.now.wall + span };
                self.tally.reach(Fault::Clock);
                self.watch.out_of_time = true;
            }
            What::Drain => {
                self.tally.reach(Fault::Drain);
                self.watch.out_of_time = true;
                self.act(|| "baton drains".to_owned());
                self.tell_board(Input::Drain { retry_after: Duration::from_secs(60) });
            }
            What::Outage(span) => {
                self.tally.reach(Fault::Datagram);
                self.act(|| format!("outage {}ms", span.as_millis()));
                self.outage_until = now + span;
            }
            What::NoVoice => {
                self.tally.reach(Fault::Voice);
                self.voice = false;
            }
            What::OtherNode => {
                if self.disk.claimed_elsewhere(self.now.wall) {
                    self.tally.reach(Fault::OtherNode);
                    self.watch.other_node = true;
                }
            }
            What::Unsendable(phone) => self.unsendable = Some(phone),
        }
    }

    /// A caller calls.
    fn dial(&mut self, phone: usize, offer: bool, branch: u64) {
        let now = self.now.mono;
        let user = if phone == CALLER { "+15550123" } else { "+15550124" };
        let timer = if phone == CALLER { self.plan.rules.ways.timer } else { Timer::Unasked };
        let body = (offer, timer.headers());
        let (mut leg, bytes) = Leg::calling(now, Who { phone, nth: 0 }, self.phones[phone], user, branch, body);
        leg.refer_status = self.plan.rules.ways.refer_status;
        self.legs.push(leg);
        if timer != Timer::Unasked {
            self.tally.reach(Fault::SessionTimer);
            let at = self.legs.len() - 1;
            self.post(SESSION + Duration::from_secs(1), Post::Check(Check::Refreshed(at, timer)));
        }
        let line = if offer { "caller calls" } else { "caller calls without offer" };
        self.act(|| line.to_owned());
        if !offer {
            self.tally.reach(Fault::Sdp);
        }
        self.send(self.legs.len() - 1, bytes);
    }

    /// A phone is dead from here on.
    fn cut_off(&mut self, phone: usize) {
        self.dead[phone] = true;
        self.tally.reach(Fault::NoAnswer);
        self.act(|| {
            format!(
                "{} is cut off",
                if phone == CALLER {
                    "caller".to_owned()
                } else if phone == AI {
                    "ai".to_owned()
                } else {
                    format!("ae{}", phone - FIRST_AE)
                }
            )
        });
        for at in 0..self.legs.len() {
            if self.legs[at].who.phone == phone {
                self.silent_later(at);
            }
        }
    }

    /// The store refuses, or is silent, for a while.
    fn trouble_store(&mut self, store: Store, span: Duration) {
        self.store = store;
        self.watch.store_troubled = true;
        self.tally.reach(Fault::Store);
        self.act(|| if store == Store::Refuses { "store refuses".to_owned() } else { "store is silent".to_owned() });
        self.post(span, Post::StoreWorks);
    }

    fn respond(&mut self, who: Who, status: u16, talk: Talk, verb: &str) {
        let Some(at) = self.leg_of(who) else { return };
        let Some(bytes) = self.legs[at].respond(self.now.mono, status, talk) else { return };
        let name = self.name(who);
        self.act(
            || if verb == "answers" || status == 180 { format!("{name} {verb}") } else { format!("{name} {verb} {status}") },
        );
        if status >= 300 && who.phone >= FIRST_AE {
            self.tally.reach(Fault::FinalCode);
        }
        if talk != Talk::Both {
            self.tally.reach(Fault::Sdp);
        }
        self.send(at, bytes);
    }

    pub(super) fn hang_up(&mut self, at: usize) {
        let branch = self.dice.draw() >> 4;
        let bytes = self.legs[at].hang_up(self.now.mono, branch);
        if let Some(bytes) = bytes {
            self.send(at, bytes);
        }
        self.silent_later(at);
    }

    fn press(&mut self, who: Who, key: char, by: By) {
        let Some(at) = self.leg_of(who).filter(|at| self.legs[*at].phase == Phase::Up && !self.dead[who.phone]) else { return };
        let name = self.name(who);
        self.act(|| format!("{name} presses {key}{}", if by == By::Info { " by info" } else { "" }));
        match by {
            By::Rtp if self.legs[at].muted => {}
            By::Rtp => {
                let port = Port(self.legs[at].port);
                if let Some(room) = self.rooms.line(port).filter(|line| line.connected).map(|line| line.room) {
                    let event = baton_media::Event::Digit { room, port, digit: key, at: self.now.mono + TRAVEL };
                    self.post(TRAVEL, Post::Media(event));
                }
            }
            By::Info => {
                let branch = self.dice.draw() >> 4;
                let bytes = self.legs[at].send(self.now.mono, "INFO", branch, "", &format!("Signal={key}\r\nDuration=160\r\n"));
                self.send(at, bytes);
            }
        }
    }

    fn offer(&mut self, who: Who, talk: Talk, branch: u64) {
        let Some(at) = self.leg_of(who).filter(|_| !self.dead[who.phone]) else { return };
        let before = self.legs[at].sends_sound();
        let Some(bytes) = self.legs[at].offer(self.now.mono, branch, talk) else { return };
        self.tally.reach(if matches!(talk, Talk::SendOnly | Talk::Inactive | Talk::Both) { Fault::Hold } else { Fault::Sdp });
        let name = self.name(who);
        self.act(|| match talk {
            Talk::SendOnly => format!("{name} holds"),
            Talk::Inactive => format!("{name} holds inactive"),
            Talk::Both | Talk::Missing | Talk::PortZero | Talk::StrangeCodec => format!("{name} resumes"),
        });
        self.send(at, bytes);
        if before {
            self.silent_later(at);
        }
    }

    fn refer(&mut self, who: Who, target: Target, branch: u64) {
        let Some(at) = self.leg_of(who).filter(|at| self.legs[*at].phase == Phase::Up) else { return };
        self.tally.reach(Fault::Refer);
        let name = self.name(who);
        let uri = target.uri();
        self.act(|| format!("{name} refers to {uri}"));
        let extra = format!("Refer-To: <{uri}>\r\n");
        let bytes = self.legs[at].send(self.now.mono, "REFER", branch, &extra, "");
        self.send(at, bytes);
    }

    fn write(&mut self, who: Who, branch: u64) {
        let Some(at) = self.leg_of(who).filter(|at| self.legs[*at].phase == Phase::Up && !self.dead[who.phone]) else { return };
        self.tally.reach(Fault::Text);
        let (name, text, call) = (self.name(who), self.next_text(), self.call_of_writer(at));
        self.act(|| format!("{name} writes {text}"));
        let bytes = self.legs[at].send(self.now.mono, "MESSAGE", branch, "", &text);
        self.watch_writing(Writer::Leg(at, self.legs[at].last_seq()), call);
        self.send(at, bytes);
    }

    /// The trunk tells how the REFER goes on that it has taken.
    fn notify(&mut self, who: Who, status: u16, branch: u64) {
        let Some(at) = self.leg_of(who).filter(|at| self.legs[*at].phase == Phase::Up) else { return };
        let name = self.name(who);
        self.act(|| format!("{name} tells {status}"));
        let state = if status < 200 { "active;expires=60" } else { "terminated;reason=noresource" };
        let extra = format!("Event: refer\r\nSubscription-State: {state}\r\n");
        let bytes = self.legs[at].send(self.now.mono, "NOTIFY", branch, &extra, &format!("SIP/2.0 {status} X\r\n"));
        if (200..300).contains(&status) {
            self.facts(at).passed_on = true;
        }
        self.send(at, bytes);
    }

    fn strange(&mut self, who: Who, strange: Strange, branch: u64) {
        let Some(at) = self.leg_of(who) else { return };
        let leg = &mut self.legs[at];
        let bytes = match strange {
            Strange::OldSeq | Strange::WrongTag
                if leg.phase == Phase::Up && leg.wrong.is_empty() && (leg.last_seq() > 1 || !leg.is_dialled()) =>
            {
                leg.wrong.push(branch);
                if strange == Strange::WrongTag {
                    leg.with_wrong_tag(branch)
                } else {
                    Some(leg.ask("INFO", branch, leg.last_seq(), "", ""))
                }
            }
            Strange::Gap if leg.phase == Phase::Up => {
                leg.skip_seq(7);
                Some(leg.send(self.now.mono, "INFO", branch, "", ""))
            }
            Strange::StrayResponse => leg.stray(487, "nobody").map(of_another_branch),
            Strange::Torn => Some(Bytes::from_static(b"INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP x")),
            Strange::Fork if leg.facts.answered.is_some() => leg.stray(200, "fork"),
            Strange::LateRinging if leg.facts.answered.is_some() => leg.stray(180, &leg.tag.clone()),
            Strange::OldSeq | Strange::Gap | Strange::WrongTag | Strange::Fork | Strange::LateRinging => None,
        };
        if let Some(bytes) = bytes {
            self.tally.reach(if matches!(strange, Strange::Fork | Strange::LateRinging) {
                Fault::Fork
            } else {
                Fault::Malformed
            });
            self.send(at, bytes);
        }
    }
}

/// The same response, as if to a request that was never sent.
fn of_another_branch(bytes: Bytes) -> Bytes {
    let text = String::from_utf8_lossy(&bytes).replacen("z9hG4bK", "z9hG4bKother", 1);
    Bytes::from(text)
}
