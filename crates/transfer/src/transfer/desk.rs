//! The stage of the plays: two AEs, a caller, virtual time.

use std::time::Duration;

use baton_contract::{AeId, CallId, Context, EventKind, IdSource, LegId, Mode, Outcome, Presence, TransferId};
use baton_time::{Deadline, Mono, Now, Wall};
use serde_json::{Map, Value};

use super::{Begin, Transfer};
use crate::roster::tests::ae;
use crate::{Action, AeSpeech, ColdBy, Event, Fact, Key, Line, Purpose, Roster, SayId, SceneName, Settings, Target, Why};

/// Monday, 2 March 2026, 09:00 in New York.
pub(crate) const MORNING: Now = Now { mono: Mono::from_millis(1_000), wall: Wall::from_seconds(1_772_460_000) };

pub(crate) struct Desk {
    pub(crate) now: Now,
    pub(crate) settings: Settings,
    pub(crate) roster: Roster,
    pub(crate) transfer: Transfer,
    pub(crate) reports: Vec<(EventKind, Map<String, Value>)>,
    /// Whether the desk plays the store: each commit is acknowledged as soon as it is asked for.
    pub(crate) store_answers: bool,
}

/// How a play begins.
pub(crate) struct Opening {
    pub(crate) mode: Mode,
    pub(crate) cold_by: ColdBy,
    pub(crate) settings: Settings,
    pub(crate) roster: Roster,
    pub(crate) target: Target,
    pub(crate) ai_up: bool,
    pub(crate) context: Context,
    pub(crate) from: &'static str,
}

impl Default for Opening {
    fn default() -> Opening {
        Opening {
            mode: Mode::Warm,
            cold_by: ColdBy::Bridge,
            settings: Settings::default(),
            roster: Roster::new(vec![ae("michael", Some("sara")), ae("sara", None)], vec![]),
            target: Target::Ae("michael".into()),
            ai_up: true,
            context: Context::default(),
            from: "+15550123",
        }
    }
}

impl Opening {
    pub(crate) fn play(self) -> Desk {
        let mut desk = self.silent_store();
        desk.store_answers = true;
        desk.commits();
        desk
    }

    pub(crate) fn silent_store(self) -> Desk {
        let Opening { mode, cold_by, settings, mut roster, target, ai_up, context, from } = self;
        let mut ids = IdSource::seeded(11);
        let begin = Begin {
            id: TransferId::new(&mut ids, MORNING.wall),
            call: CallId::new(&mut ids, MORNING.wall),
            mode,
            options: settings.options(),
            cold_by,
            target,
            reason: Some("explicit_request".into()),
            context,
            from: from.into(),
            briefing: None,
            words_per_second: 2.5,
            ai_up,
        };
        let transfer = Transfer::begin(MORNING, begin, &settings, &mut roster, &mut ids);
        Desk { now: MORNING, settings, roster, transfer, reports: Vec::new(), store_answers: false }
    }
}

impl Desk {
    pub(crate) fn new() -> Desk {
        Opening::default().play()
    }

    /// A desk where the only AE is the one of this name.
    pub(crate) fn alone(name: &str) -> Desk {
        let roster = Roster::new(vec![ae(name, None)], vec![]);
        Opening { roster, target: Target::Ae(name.into()), ..Opening::default() }.play()
    }

    pub(crate) fn tell(&mut self, event: Event) -> &mut Desk {
        self.transfer.on(self.now, event, &self.settings, &mut self.roster);
        if self.store_answers {
            self.commits();
        }
        self
    }

    /// Lets the store acknowledge what was committed, without taking anything off the queue of actions.
    fn commits(&mut self) {
        let mut told = 0;
        loop {
            let mut seen = 0;
            let mut copy = self.transfer.clone();
            let facts = std::iter::from_fn(|| copy.poll()).filter_map(|action| commit_of(&action));
            let next: Vec<Fact> = facts.inspect(|_| seen += 1).skip(told).collect();
            if next.is_empty() {
                return;
            }
            told = seen;
            for fact in next {
                self.transfer.on(self.now, Event::Committed(fact), &self.settings, &mut self.roster);
            }
        }
    }

    pub(crate) fn after(&mut self, millis: u64) -> &mut Desk {
        self.now = self.now.after(Duration::from_millis(millis));
        self.tell(Event::Wake)
    }

    /// Jumps to the next deadline with this reason, waking the transfer at each one before.
    pub(crate) fn wait_for(&mut self, wanted: Why) -> &mut Desk {
        for _ in 0..100 {
            let (at, why) = self.transfer.poll_timeout().unwrap_or_else(|| panic!("nothing to wait for; wanted {wanted:?}"));
            let Deadline::Mono(at) = at else { panic!("a deadline on the wall clock") };
            self.now = self.now.after(at.since(self.now.mono));
            self.tell(Event::Wake);
            if why == wanted {
                return self;
            }
        }
        panic!("{wanted:?} never came");
    }

    pub(crate) fn leg(&self) -> LegId {
        self.transfer.ae_leg().expect("an AE leg")
    }

    pub(crate) fn dialed(&mut self) -> &mut Desk {
        let leg = self.leg();
        self.tell(Event::Dialed { leg })
    }

    pub(crate) fn rings(&mut self) -> &mut Desk {
        let leg = self.leg();
        self.dialed().tell(Event::Ringing { leg, status: 180 })
    }

    pub(crate) fn answers(&mut self) -> &mut Desk {
        let leg = self.leg();
        self.tell(Event::BriefingReady { full: Duration::from_secs(20), short: Duration::from_secs(4) });
        self.rings().tell(Event::Answered { leg })
    }

    pub(crate) fn key(&mut self, key: Key) -> &mut Desk {
        let leg = self.leg();
        self.tell(Event::Key { leg, key })
    }

    pub(crate) fn bridged(&mut self) -> &mut Desk {
        self.answers().key(Key::ONE).tell(Event::Switched).tell(Event::AiGone)
    }

    pub(crate) fn refused(&mut self, status: u16) -> &mut Desk {
        let leg = self.leg();
        self.tell(Event::Refused { leg, status, phrase: "Whatever".into() })
    }

    /// Takes what is to be done, in a short form; reports and commits of releases and outcomes are set aside.
    pub(crate) fn done(&mut self) -> Vec<String> {
        let mut done = Vec::new();
        while let Some(action) = self.transfer.poll() {
            done.extend(short(&action));
            if let Action::Report(kind, data) = action {
                self.reports.push((kind, data));
            }
        }
        done
    }

    pub(crate) fn expect<const N: usize>(&mut self, wanted: [&str; N]) -> &mut Desk {
        assert_eq!(self.done(), wanted);
        self
    }

    /// Forgets what was to be done so far.
    pub(crate) fn then(&mut self) -> &mut Desk {
        self.done();
        self.reports.clear();
        self
    }

    pub(crate) fn reported(&mut self, kind: EventKind) -> Vec<Value> {
        let more = self.done();
        assert_eq!(more, Vec::<String>::new(), "expect what is done first");
        self.reports.iter().filter(|(known, _)| *known == kind).map(|(_, data)| Value::Object(data.clone())).collect()
    }

    pub(crate) fn last_say(&self) -> SayId {
        let mut copy = self.transfer.clone();
        std::iter::from_fn(|| copy.poll()).filter_map(|action| say_of(&action)).last().expect("something is being said")
    }

    pub(crate) fn presence(&mut self, id: &str, presence: Presence) {
        assert!(self.roster.set_presence(&AeId::from(id), presence));
    }

    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.transfer.outcome()
    }

    pub(crate) fn scene(&self) -> SceneName {
        self.transfer.scene()
    }
}

fn commit_of(action: &Action) -> Option<Fact> {
    if let Action::Commit { fact, .. } = action { Some(*fact) } else { None }
}

pub(crate) fn say_of(action: &Action) -> Option<SayId> {
    if let Action::SayToAe { say, .. } | Action::SayToCaller { say, .. } = action { Some(*say) } else { None }
}

fn short(action: &Action) -> Option<String> {
    let words = |lines: &[Line]| lines.iter().map(|line| line.slug()).collect::<Vec<_>>().join(" ");
    Some(match action {
        Action::Commit { fact: Fact::Released | Fact::Outcome, .. } | Action::Report(..) => return None,
        Action::Commit { fact, level, .. } => format!("commit {fact:?} {level:?}"),
        Action::Dial { to, attempt, .. } => format!("dial {} {attempt}", to.name()),
        Action::HangUp { cause, .. } => format!("hang up {cause:?}"),
        Action::Scene(scene) => format!("scene {scene:?}"),
        Action::SayToCaller { lines, .. } => format!("caller: {}", words(lines)),
        Action::HushCaller => "hush caller".into(),
        Action::SayToAe { speech: AeSpeech::Briefing(lines), .. } => format!("ae: briefing, {}", words(lines)),
        Action::SayToAe { speech: AeSpeech::Short(lines), .. } => format!("ae: short, {}", words(lines)),
        Action::SayToAe { speech: AeSpeech::Lines(lines), .. } => format!("ae: {}", words(lines)),
        Action::Render(_) => "render".into(),
        Action::DropAi => "drop ai".into(),
        Action::RecallAi { purpose: Purpose::Return, .. } => "recall ai".into(),
        Action::RecallAi { purpose, note, .. } => {
            let note = note.as_ref().map(|note| format!(" {note:?}")).unwrap_or_default();
            format!("recall ai {}{note}", purpose.name())
        }
        Action::ReferCaller { to } => format!("refer caller {}", to.name()),
        Action::Record { max, silence_max } => format!("record {} s, silence {} s", max.as_secs(), silence_max.as_secs()),
        Action::StopRecording => "stop recording".into(),
        Action::ForgetAi => "forget ai".into(),
        Action::Progress(progress) => {
            let outcome = progress.outcome.map(|outcome| format!(" {outcome}")).unwrap_or_default();
            format!("progress {}{outcome}{}", progress.status, if progress.last { " last" } else { "" })
        }
        Action::EndCall => "end call".into(),
        Action::Finished(outcome) => format!("finished {outcome}"),
    })
}
