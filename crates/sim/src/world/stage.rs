//! What a world begins with: its parties, and Baton's settings.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use baton_contract::{AeId, IdSource, PopLink};
use baton_media::Clip;
use baton_party::{Identity, Lines, Party, Pilot, Script, Step};
use baton_sip::{Listen, Transport, UserAgent};
use baton_switchboard::{AeLine, Begin, Settings, Strangers, Trunk};
use baton_time::Mono;
use baton_transfer::{AeSettings, GroupSettings, Language, Line, Roster};

use super::wiring::AesAt;
use super::{BATON, Setup};
use crate::hearing::{GERMAN_HERTZ, VOICE_HERTZ};

/// A voice, made once for all worlds.
struct Voice {
    /// Whatever is said is a piece from the beginning of this.
    sound: Vec<i16>,
    lines: BTreeMap<Line, Arc<Clip>>,
}

static ENGLISH: LazyLock<Voice> = LazyLock::new(|| Voice::new(VOICE_HERTZ));
static GERMAN: LazyLock<Voice> = LazyLock::new(|| Voice::new(GERMAN_HERTZ));

/// The music on hold, made once for all worlds.
static MUSIC: LazyLock<Arc<Clip>> = LazyLock::new(|| Arc::new(Clip::new("music", tone(400.0, 4_000.0, 16_000))));

/// What a party can say, made once for all worlds.
static WORDS: LazyLock<Lines> = LazyLock::new(|| {
    let mut lines = Lines::default();
    let voice: Vec<i16> = (0..8_000_i32).map(|n| if (n / 12) % 2 == 0 { 7_000 } else { -7_000 }).collect();
    lines.add("words", &voice);
    lines
});

/// The longest text that a voice says.
const WORDS_MAX: usize = 200;

/// Samples in a second.
const RATE: usize = 8_000;

/// Samples of a word: a second of sound for every three.
const WORD: usize = 2_667;

impl Voice {
    fn new(hertz: f64) -> Voice {
        let mut voice = Voice { sound: tone(hertz, 6_000.0, WORDS_MAX * WORD), lines: BTreeMap::new() };
        voice.lines = Line::all().into_iter().map(|line| (line, voice.says(line.text()))).collect();
        voice
    }

    fn of(language: Language) -> &'static Voice {
        if language == Language::GERMAN { &GERMAN } else { &ENGLISH }
    }

    fn says(&self, text: &str) -> Arc<Clip> {
        let words = text.split_whitespace().count().clamp(1, WORDS_MAX);
        Arc::new(Clip::new("briefing", self.sound[..words * WORD].to_vec()))
    }
}

/// A second of sound for every three words.
pub(super) fn speech(text: &str, language: Language) -> Arc<Clip> {
    Voice::of(language).says(text)
}

/// The music on hold.
pub(super) fn music() -> Arc<Clip> {
    Arc::clone(&MUSIC)
}

/// The spoken lines in a language.
fn lines_in(language: Language) -> BTreeMap<Line, Arc<Clip>> {
    Voice::of(language).lines.clone()
}

/// The lines in the languages that the story asks for, beside English; there are voices for German only.
fn tongues(setup: &Setup) -> BTreeMap<Language, BTreeMap<Line, Arc<Clip>>> {
    let of_aes = setup.aes.iter().filter_map(|ae| ae.language);
    let wanted = of_aes.chain(setup.wiring.language).chain([setup.transfer.language]);
    wanted.filter(|language| *language == Language::GERMAN).map(|language| (language, lines_in(language))).collect()
}

/// A tone without overtones: nothing of it lies where the pilots are. Of a whole number of hertz, so that it comes again after a second at the latest.
fn tone(hertz: f64, amplitude: f64, samples: usize) -> Vec<i16> {
    let at = |n: usize| (amplitude * (std::f64::consts::TAU * hertz * n as f64 / RATE as f64).sin()) as i16;
    let second: Vec<i16> = (0..samples.min(RATE)).map(at).collect();
    second.iter().copied().cycle().take(samples).collect()
}

/// Makes what all worlds share, which is made once.
pub(crate) fn make_ready() {
    LazyLock::force(&ENGLISH);
    LazyLock::force(&MUSIC);
    LazyLock::force(&WORDS);
}

pub(super) fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, host], port))
}

pub(super) fn cast(setup: &Setup) -> Vec<Party> {
    let one = |index: usize, place: usize, user: &str, steps: &[Step]| {
        let host = u8::try_from(place).unwrap_or(u8::MAX) + 1;
        let identity = Identity {
            user: user.to_owned(),
            display: user.to_owned(),
            pilot: Pilot::ALL[place.min(Pilot::ALL.len() - 1)],
            sip: address(host, 5060),
            rtp: address(host, if index == place { 7_000 } else { 7_002 }),
            proxy: BATON,
            seed: setup.seed.wrapping_mul(31).wrapping_add(index as u64),
            origin: Mono::ZERO,
        };
        Party::new(identity, Script::new(steps), WORDS.clone())
    };
    let mut parties = vec![one(0, 0, "+15550123", &setup.caller), one(1, 1, "ai", &setup.ai)];
    for (place, ae) in setup.aes.iter().enumerate() {
        parties.push(one(place + 2, place + 2, &ae.id, ae.script.as_deref().unwrap_or_default()));
    }
    parties.push(one(parties.len(), 1, "ai", &setup.ai_again));
    parties
}

pub(crate) fn settings(setup: &Setup) -> Settings {
    let trunk = (setup.wiring.aes == AesAt::Trunk).then_some(0);
    let lines = setup.aes.iter().enumerate().map(|(place, ae)| {
        let host = u8::try_from(place).unwrap_or(u8::MAX) + 3;
        let at = if ae.script.is_some() { address(host, 5060) } else { address(250, 5060) };
        let uri = format!("sip:{}@{at}", ae.id).parse().expect("a URI of letters and an address");
        let line = AeLine { trunk, trusted: trunk.is_none(), uui: setup.wiring.uui, ..AeLine::new(uri, at) };
        (AeId::from(ae.id.as_str()), line)
    });
    let carrier = Trunk { cold_by: setup.cold, ..setup.wiring.trunk.clone() };
    let outside = setup.aes.iter().position(|ae| setup.outside.as_ref() == Some(&ae.id)).map(|place| {
        let at = address(u8::try_from(place).unwrap_or(u8::MAX) + 3, 5060);
        Trunk::new("outside", format!("sip:{at}").parse().expect("a URI of an address"), at)
    });
    Settings {
        domain: "baton.example".to_owned(),
        media_address: BATON.ip(),
        trunks: [carrier].into_iter().chain(outside).collect(),
        ais: vec![setup.wiring.ai.clone()],
        routes: vec![setup.wiring.route()],
        ai_routes: setup.wiring.ai_routes(),
        aes: lines.collect(),
        transfer: setup.transfer.clone(),
        prompts: Arc::new(lines_in(Language::ENGLISH)),
        tongues: tongues(setup),
        public_url: "http://10.0.0.1:8080".to_owned(),
        pop_link_ttl: Duration::from_secs(3_600),
        words_per_second: 3.0,
        ai_answer_max: Duration::from_secs(4),
        recording: setup.recording,
        strangers: Strangers::default(),
        sabotage: None,
    }
}

fn groups(setup: &Setup) -> Vec<GroupSettings> {
    let one = |(name, aes): &(String, Vec<String>)| GroupSettings {
        name: name.clone(),
        aes: aes.iter().map(|ae| AeId::from(ae.as_str())).collect(),
        numbers: Vec::new(),
    };
    setup.groups.iter().map(one).collect()
}

/// The AEs as the configuration would name them.
pub(crate) fn ae_settings(setup: &Setup) -> Vec<AeSettings> {
    let aes = setup.aes.iter().map(|ae| AeSettings {
        id: AeId::from(ae.id.as_str()),
        name: ae.id.clone(),
        uri: format!("sip:{}@10.0.1.9", ae.id),
        numbers: Vec::new(),
        backup: ae.backup.as_deref().map(AeId::from),
        timezone: "America/New_York".parse().expect("a zone of the bundled database"),
        hours: ae.hours.parse().expect("hours, as the configuration has them"),
        language: ae.language,
        skills: Vec::new(),
        trunk: None,
        trusted: true,
        ring_max: None,
        ringing: None,
    });
    aes.collect()
}

pub(super) fn begin(setup: &Setup) -> Begin {
    let listen = vec![Listen { transport: Transport::Udp, addr: BATON, advertise: BATON.into() }];
    Begin {
        agent: UserAgent::new(baton_sip::Settings::new(listen, setup.seed)),
        roster: Roster::new(ae_settings(setup), groups(setup)),
        ids: IdSource::seeded(setup.seed),
        links: PopLink::new([7; 32]),
        callbacks: Vec::new(),
        last_event_seq: 0,
    }
}
