//! What all random worlds share, made once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use baton_contract::{AeId, IdSource, PopLink};
use baton_media::Clip;
use baton_sip::{Listen, Transport, UserAgent};
use baton_switchboard::{Allowed, Begin, Settings, Spoken, Switchboard, Trunk};
use baton_transfer::{AeSettings, Line, Roster};

use super::plan::Rules;
use crate::world::{BATON, stage};
use crate::{Ae, Setup};

/// The most AEs of a world.
const AES_MAX: usize = 3;

/// Settings and sounds that worlds begin with.
pub struct Stock {
    settings: Settings,
    aes: Vec<AeSettings>,
    pub(super) spoken: Spoken,
}

impl Default for Stock {
    fn default() -> Stock {
        let setup = Setup::of((0..AES_MAX).map(|at| Ae::new(&format!("ae{at}"), Some(Vec::new()))).collect());
        let mut settings = stage::settings(&setup);
        let prompts = Line::all().into_iter().map(|line| (line, said(&format!("{line:?}"), line.text())));
        settings.prompts = Arc::new(prompts.collect::<BTreeMap<_, _>>());
        // Nobody here speaks anything else, and each world has settings of its own.
        settings.tongues.clear();
        let mut second: Trunk = settings.trunks[0].clone();
        second.name = "second".to_owned();
        second.sources = vec!["10.0.1.9".parse().expect("an address")];
        settings.trunks.push(second);
        // Names are dialled over one trunk only, and there only one.
        settings.trunks.iter_mut().for_each(|trunk| trunk.allow = Allowed::Patterns(vec!["+*".to_owned()]));
        let host = "10.0.1.20:5060".parse().expect("an address");
        let mut outside = Trunk::new("outside", "sip:10.0.1.20".parse().expect("a URI of an address"), host);
        outside.allow = Allowed::Patterns(vec!["lee".to_owned()]);
        settings.trunks.push(outside);
        let spoken = Spoken { full: said("briefing", &"word ".repeat(18)), short: said("briefing", &"word ".repeat(6)) };
        Stock { settings, aes: stage::ae_settings(&setup), spoken }
    }
}

/// A clip that takes as long as saying the text; nobody listens to it.
fn said(name: &str, text: &str) -> Arc<Clip> {
    let words = text.split_whitespace().count().max(1);
    Arc::new(Clip::new(name, vec![0; words * 2_667]))
}

impl Stock {
    /// A switchboard before its first call.
    pub(super) fn switchboard(&self, seed: u64, rules: &Rules) -> Switchboard {
        let mut settings = self.settings.clone();
        let transfer = &mut settings.transfer;
        transfer.ring_max = rules.ring_max;
        transfer.attempts = rules.attempts;
        transfer.accept = rules.accept;
        transfer.after_ae = rules.after_ae;
        transfer.wrap_up = rules.wrap_up;
        let ways = rules.ways;
        (transfer.while_dialing, transfer.briefing, transfer.introduce) = (ways.while_dialing, ways.briefing, ways.introduce);
        settings.trunks.iter_mut().for_each(|trunk| trunk.cold_by = ways.cold);
        settings.ais.iter_mut().for_each(|ai| ai.bye = ways.ai_bye);
        for route in &mut settings.routes {
            (route.answer, route.rescue.by) = (ways.answer, ways.rescue);
        }
        let mut aes = self.aes[..rules.aes].to_vec();
        for (at, ae) in aes.iter_mut().enumerate() {
            ae.backup = (at + 1 < rules.aes).then(|| AeId(format!("ae{}", at + 1)));
        }
        let listen = vec![Listen { transport: Transport::Udp, addr: BATON, advertise: BATON.into() }];
        let begin = Begin {
            agent: UserAgent::new(baton_sip::Settings::new(listen, seed)),
            roster: Roster::new(aes, Vec::new()),
            ids: IdSource::seeded(seed),
            links: PopLink::new([7; 32]),
            callbacks: Vec::new(),
            last_event_seq: 0,
        };
        Switchboard::new(settings, begin)
    }

    /// How long a key press counts as the same one, and no other rule is meant.
    pub(super) fn accept_worst(&self) -> Duration {
        self.settings.transfer.budget.accept.worst
    }
}
