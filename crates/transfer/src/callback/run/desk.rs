//! The stage of the plays: a callback at ten in Chicago, an AE with a backup, virtual time.

use std::time::Duration;

use baton_contract::{At, CallbackId, CallbackState, CallbackView, IdSource, LegId, Record};
use baton_time::{Mono, Now, Wall};

use super::event::{CallbackAction, CallbackEvent, CallbackWhy, Change, Said};
use super::{CallbackRun, Turn};
use crate::roster::tests::ae;
use crate::{Key, Roster, SayId, Settings};

/// Monday, 2 March 2026, 08:00 in Chicago.
pub(super) const MORNING: Now = Now { mono: Mono::from_millis(1_000), wall: Wall::from_seconds(1_772_460_000) };

/// Two hours later.
pub(super) const TEN: Wall = Wall::from_seconds(1_772_460_000 + 7_200);

pub(super) struct Desk {
    pub(super) now: Now,
    pub(super) settings: Settings,
    pub(super) roster: Roster,
    pub(super) run: CallbackRun,
    pub(super) commit: u32,
    /// The last row that was handed to the store.
    pub(super) row: CallbackView,
    pub(super) say: SayId,
}

pub(super) fn row(at: Wall, timezone: &str) -> CallbackView {
    CallbackView {
        id: CallbackId::new(&mut IdSource::seeded(5), MORNING.wall),
        state: CallbackState::Scheduled,
        call: None,
        transfer: None,
        ae: "michael".into(),
        caller: "+15550123".into(),
        at: At(at),
        timezone: timezone.into(),
        context: Default::default(),
        created_at: At(MORNING.wall),
        progress: Default::default(),
    }
}

impl Desk {
    pub(super) fn new() -> Desk {
        Desk::of(MORNING, row(TEN, "America/Chicago"))
    }

    pub(super) fn of(now: Now, row: CallbackView) -> Desk {
        let settings = Settings::default();
        let mut roster = Roster::new(vec![ae("michael", Some("sara")), ae("sara", None)], vec![]);
        let run = CallbackRun::new(now, row.clone(), 2.5, &settings, &mut roster, 3);
        Desk { now, settings, roster, run, commit: 0, row, say: SayId(0) }
    }

    pub(super) fn tell(&mut self, event: CallbackEvent) -> &mut Desk {
        self.run.on(self.now, event, &self.settings, &mut self.roster);
        self
    }

    /// As [`Desk::tell`]; says why it was ignored.
    pub(super) fn step(&mut self, event: CallbackEvent) -> Option<&'static str> {
        self.run.on(self.now, event, &self.settings, &mut self.roster)
    }

    pub(super) fn committed(&mut self) -> &mut Desk {
        self.done();
        let number = self.run.case.awaited.unwrap_or(self.commit);
        self.tell(CallbackEvent::Committed(number))
    }

    pub(super) fn refused(&mut self) -> &mut Desk {
        self.done();
        let number = self.run.case.awaited.unwrap_or(self.commit);
        self.tell(CallbackEvent::CommitRefused(number))
    }

    /// Jumps to the next deadline, which is for this.
    pub(super) fn wait_for(&mut self, wanted: CallbackWhy) -> &mut Desk {
        let (at, why) = self.run.poll_timeout(&self.settings.callback).expect("something to wait for");
        assert_eq!(why, wanted);
        self.now = self.now.after(at.mono(self.now).since(self.now.mono));
        self.tell(CallbackEvent::Wake)
    }

    pub(super) fn after(&mut self, millis: u64) -> &mut Desk {
        self.now = self.now.after(Duration::from_millis(millis));
        self.tell(CallbackEvent::Wake)
    }

    pub(super) fn ae_leg(&self) -> LegId {
        self.run.ae_leg().expect("an AE")
    }

    pub(super) fn caller_leg(&self) -> LegId {
        self.run.caller_leg().expect("a caller")
    }

    /// Due, claimed and leased: the AE is dialled.
    pub(super) fn dialled(&mut self) -> &mut Desk {
        self.wait_for(CallbackWhy::Reminder).committed().wait_for(CallbackWhy::Due).committed().committed()
    }

    pub(super) fn listening(&mut self) -> &mut Desk {
        self.dialled();
        let leg = self.ae_leg();
        self.tell(CallbackEvent::Rendered(Ok(()))).tell(CallbackEvent::Answered { leg })
    }

    pub(super) fn calling(&mut self) -> &mut Desk {
        self.listening();
        let leg = self.ae_leg();
        self.tell(CallbackEvent::Key { leg, key: Key::ONE })
    }

    pub(super) fn confirming(&mut self) -> &mut Desk {
        self.calling();
        let leg = self.caller_leg();
        self.tell(CallbackEvent::Answered { leg })
    }

    pub(super) fn keeping(&mut self) -> &mut Desk {
        self.confirming();
        let leg = self.caller_leg();
        self.tell(CallbackEvent::Key { leg, key: Key::ONE })
    }

    pub(super) fn human(&mut self) -> &mut Desk {
        self.keeping().committed().tell(CallbackEvent::Switched)
    }

    /// Takes what is to be done, in a short form.
    pub(super) fn done(&mut self) -> Vec<String> {
        let mut done = Vec::new();
        while let Some(action) = self.run.poll() {
            if let CallbackAction::Commit { number, records, .. } = &action {
                self.commit = *number;
                if let Some(Record::Claim { callback, .. }) = records.first() {
                    self.row = (**callback).clone();
                }
            }
            if let CallbackAction::SayToAe { say, .. } | CallbackAction::SayToCaller { say, .. } = &action {
                self.say = *say;
            }
            done.extend(short(&action));
        }
        done
    }

    pub(super) fn expect<const N: usize>(&mut self, wanted: [&str; N]) -> &mut Desk {
        assert_eq!(self.done(), wanted);
        self
    }

    pub(super) fn then(&mut self) -> &mut Desk {
        self.done();
        self
    }

    pub(super) fn adopt(&mut self, row: CallbackView) {
        self.run.adopt(&mut Turn { now: self.now, settings: &self.settings, roster: &mut self.roster }, row);
    }

    pub(super) fn moved(&self, hours: u64) -> CallbackEvent {
        let at = At(self.run.row.at.0 + Duration::from_secs(3_600 * hours));
        CallbackEvent::Change(Change::Move { ae: "michael".into(), at, timezone: "America/Chicago".into() })
    }
}

fn short(action: &CallbackAction) -> Option<String> {
    let words = |speech: &[Said]| {
        let word = |said: &Said| match said {
            Said::Line(line) => line.slug(),
            Said::Briefing => "briefing",
            Said::Greeting => "greeting",
            Said::Message => "message",
        };
        speech.iter().map(word).collect::<Vec<_>>().join(" ")
    };
    Some(match action {
        CallbackAction::Commit { records, .. } => match records.first() {
            Some(Record::Claim { callback, .. }) => format!("write {:?}", callback.state).to_lowercase(),
            Some(Record::Lease(lease)) => format!("lease {}", lease.ae),
            Some(_) | None => return None,
        },
        CallbackAction::Reload => "read again".into(),
        CallbackAction::DialAe { ae, .. } => format!("dial {ae}"),
        CallbackAction::DialCaller { to, .. } => format!("dial {to}"),
        CallbackAction::HangUp { cause, .. } => format!("hang up {cause:?}"),
        CallbackAction::Scene(scene) => format!("scene {scene:?}"),
        CallbackAction::SayToAe { speech, .. } => format!("ae: {}", words(speech)),
        CallbackAction::SayToCaller { speech, .. } => format!("caller: {}", words(speech)),
        CallbackAction::Listen { .. } => "listen".into(),
        CallbackAction::StopListening => "stop listening".into(),
        CallbackAction::Render(_) => "render".into(),
        CallbackAction::Report(kind, _) => match kind.name().strip_prefix("callback.") {
            Some(name) => format!("report {name}"),
            None => return None,
        },
        CallbackAction::HandOver { ae, .. } => format!("hand over to {ae}"),
        CallbackAction::Changed(Ok(())) => "answer: changed".into(),
        CallbackAction::Changed(Err(why)) => format!("answer: not changed, {why:?}"),
        CallbackAction::EndCall => "end call".into(),
    })
}
