//! Voices in their order, the deadline, and what is remembered.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::fetch::stage::{Act, Server};

/// What a voice answers; `None`: nothing, ever.
type Answer = fn() -> Option<Result<Wave, VoiceError>>;

/// A voice that does as it is told, and counts.
struct Told {
    answer: Answer,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl Voice for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    async fn render(&self, _text: &str, _language: Language) -> Result<Wave, VoiceError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match (self.answer)() {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

fn hum() -> Option<Result<Wave, VoiceError>> {
    let samples = (0..16_000).map(|at| if at / 40 % 2 == 0 { 4_000 } else { -4_000 }).collect();
    Some(Ok(Wave { rate: 16_000, samples }))
}

fn broken() -> Option<Result<Wave, VoiceError>> {
    Some(Err(VoiceError::Failed { voice: "told", why: "hoarse".to_owned() }))
}

fn voices(answers: &[Answer]) -> (Voices, Vec<Arc<AtomicUsize>>) {
    let asked: Vec<Arc<AtomicUsize>> = answers.iter().map(|_| Arc::default()).collect();
    let told = answers
        .iter()
        .zip(&asked)
        .map(|(answer, asked)| -> Box<dyn Voice> { Box::new(Told { answer: *answer, asked: Arc::clone(asked) }) });
    (Voices { voices: told.collect(), cache: Mutex::new(Cache::default()), patience: SOON, language: Language::ENGLISH }, asked)
}

const SOON: Duration = Duration::from_millis(1_500);

#[tokio::test]
async fn the_first_voice_that_can_speaks() {
    let (voices, asked) = voices(&[broken, || Some(Err(VoiceError::NotInstalled("x"))), hum, hum]);
    let rendered = voices.render("Two words.", SOON).await.unwrap();
    assert!((1.8..2.3).contains(&rendered.words_per_second), "{rendered:?}");
    assert_eq!(asked.iter().map(|asked| asked.load(Ordering::Relaxed)).collect::<Vec<_>>(), [1, 1, 1, 0]);
}

#[tokio::test]
async fn the_same_words_are_rendered_once() {
    let (voices, asked) = voices(&[hum]);
    let first = voices.render("Two  words.\n", SOON).await.unwrap();
    let second = voices.render("Two words.", SOON).await.unwrap();
    assert!(Arc::ptr_eq(&first.clip, &second.clip));
    voices.render("Other words.", SOON).await.unwrap();
    assert_eq!(asked[0].load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_voice_that_is_late_is_not_waited_for() {
    let (voices, _) = voices(&[|| None, hum]);
    let deadline = Duration::from_millis(30);
    assert_eq!(voices.render("Two words.", deadline).await.unwrap_err(), Unrendered::Late(deadline));
}

#[tokio::test]
async fn without_any_voice_the_reasons_are_named() {
    let (voices, _) = voices(&[broken, || Some(Err(VoiceError::NotInstalled("flite")))]);
    let error = voices.render("Two words.", SOON).await.unwrap_err();
    assert_eq!(error.to_string(), "no voice could speak: told: hoarse, flite is not installed");
    assert!((voices.words_per_second().await - baton_transfer::briefing::WORDS_PER_SECOND).abs() < 1e-9);
}

#[tokio::test]
async fn what_holds_no_word_or_no_sound_is_not_spoken() {
    let (mute, _) = voices(&[|| Some(Ok(Wave { rate: 8_000, samples: vec![0; 8_000] }))]);
    assert!(matches!(mute.render("Two words.", SOON).await, Err(Unrendered::Failed(_))));
    for text in ["", " \u{7}\n", "--- …"] {
        assert_eq!(mute.render(text, SOON).await.unwrap_err(), Unrendered::Empty, "{text:?}");
    }
}

#[test]
fn a_text_is_cleaned_before_a_voice_sees_it() {
    assert_eq!(clean("--flag\u{0} Ja\u{1b}[31mmie\r\n<break/> [[h@l'oU]] `x`"), "flag Ja 31mmie break/ h@l'oU x");
    assert_eq!(clean(&"long ".repeat(9_000)).chars().count(), TEXT_CHARS_MAX - 1);
}

#[test]
fn what_is_remembered_has_an_end() {
    let mut cache = Cache::default();
    let long = || Rendered::new("told", "x", vec![1; CACHE_SAMPLES_MAX / 4]);
    for name in 0..9 {
        cache.put([name; 32], long());
        // The first one is asked for again and again, and stays.
        assert!(cache.get(&[0; 32]).is_some(), "{name}");
    }
    assert_eq!(cache.entries.len(), 4);
    assert!(cache.samples <= CACHE_SAMPLES_MAX);
    cache.put([0; 32], long());
    assert_eq!(cache.entries.len(), 4);
}

#[tokio::test]
async fn the_voices_of_this_machine_are_asked_in_the_configured_order() {
    let specs = [
        VoiceSpec::Files("no/such/directory".into()),
        VoiceSpec::Flite("slt".to_owned()),
        VoiceSpec::EspeakNg("en-us".to_owned()),
    ];
    let voices = Voices::new(Language::ENGLISH, &specs, &[], &Arc::new(Fetch::new()));
    assert_eq!(format!("{voices:?}"), r#"["files", "files", "flite", "espeak-ng"]"#);
    match voices.render("A caller is waiting.", Duration::from_secs(10)).await {
        Ok(rendered) => assert!((1.0..6.0).contains(&rendered.words_per_second), "{rendered:?}"),
        Err(error) => println!("no voice is installed here: {error}"),
    }
}

/// The contexts of the demo's stories, and the number that each is called from.
const STORIES: [(&str, &str, &str); 6] = [
    ("warm", include_str!("../demo/contexts/warm.json"), "+15550121"),
    ("backup", include_str!("../demo/contexts/backup.json"), "+15550122"),
    ("callback", include_str!("../demo/contexts/callback.json"), "+15550123"),
    ("decline", include_str!("../demo/contexts/decline.json"), "+15550124"),
    ("abandon", include_str!("../demo/contexts/abandon.json"), "+15550125"),
    ("refer", r#"{"summary": "Jamie from NovaCorp has run out of seats and wants to upgrade."}"#, "+15550126"),
];

#[test]
fn the_briefings_of_the_demo_are_recorded() {
    let recorded: Vec<&str> = shipped::briefings().map(|(text, _)| text).collect();
    for (name, context, from) in STORIES {
        let context = serde_json::from_str(context).unwrap();
        let longest = Duration::from_secs(30);
        let briefing =
            baton_transfer::briefing::compose(&context, None, from, baton_transfer::briefing::WORDS_PER_SECOND, longest);
        for (kind, text) in [("", &briefing.full), ("-short", &briefing.short)] {
            assert!(recorded.contains(&text.as_str()), "no recording of {name}{kind}: {text}");
        }
    }
}

/// A WAV file of half a second of hum.
fn hum_file() -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    let spec = hound::WavSpec { channels: 1, sample_rate: 24_000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
    (0..12_000).for_each(|at| writer.write_sample(if at / 60 % 2 == 0 { 4_000_i16 } else { -4_000 }).unwrap());
    writer.finalize().unwrap();
    file.into_inner()
}

fn studio(server: &Server) -> HttpVoice {
    HttpVoice {
        name: "studio".to_owned(),
        target: server.at("/v1"),
        model: "tts-1".to_owned(),
        voice: "alloy".to_owned(),
        key: None,
        language: None,
        within: Duration::from_millis(300),
        reach: crate::fetch::Reach::Anywhere,
    }
}

/// A voice over HTTP, and behind it one that hums.
fn remote_then_hum(spec: &HttpVoice) -> (Voices, Arc<AtomicUsize>) {
    let asked: Arc<AtomicUsize> = Arc::default();
    let second = Told { answer: hum, asked: Arc::clone(&asked) };
    let voices: Vec<Box<dyn Voice>> = vec![Box::new(Remote::new(spec, &Arc::new(Fetch::new()))), Box::new(second)];
    (Voices { voices, cache: Mutex::new(Cache::default()), patience: SOON, language: Language::ENGLISH }, asked)
}

#[tokio::test]
async fn a_voice_over_http_is_asked_as_openai_s_is_and_once_for_the_same_words() {
    let mut server = Server::saying(Act::answer(200, "content-type: audio/wav\r\n", &hum_file())).await;
    let (voices, other) = remote_then_hum(&studio(&server));
    for _ in 0..2 {
        let rendered = voices.render("Jamie wants  a \"quote\".", SOON).await.unwrap();
        assert_eq!(rendered.voice, "http");
        assert!((380..=520).contains(&rendered.clip.duration().as_millis()), "{:?}", rendered.clip.duration());
    }
    let heard = server.next().await;
    assert_eq!(heard.path(), "/v1/audio/speech");
    let body: serde_json::Value = serde_json::from_slice(&heard.body).unwrap();
    let wanted =
        serde_json::json!({"model": "tts-1", "voice": "alloy", "input": "Jamie wants a \"quote\".", "response_format": "wav"});
    assert_eq!(body, wanted);
    assert!(server.heard.try_recv().is_err(), "once");
    assert_eq!(other.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn the_next_voice_speaks_where_the_one_over_http_fails_hangs_or_says_too_much() {
    let hostile = "location: http://127.0.0.1:1/\r\n";
    let endless = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\nRIFF".to_vec();
    for act in [
        Act::answer(500, "", b""),
        Act::answer(401, "", b"{\"error\": \"key\"}"),
        Act::answer(302, hostile, b""),
        Act::answer(200, "", b"<html>"),
        Act::answer(200, "", &hum_file()[..30]),
        Act::Hang(endless),
        Act::Hang(Vec::new()),
        Act::Last(Vec::new()),
    ] {
        let server = Server::saying(act.clone()).await;
        let (voices, other) = remote_then_hum(&studio(&server));
        let rendered = voices.render("Two words.", SOON).await.unwrap();
        assert_eq!((rendered.voice, other.load(Ordering::Relaxed)), ("told", 1), "{act:?}");
    }
}

#[tokio::test]
async fn a_voice_of_another_language_and_one_in_our_own_network_are_not_asked() {
    let mut server = Server::saying(Act::answer(200, "", &hum_file())).await;
    let german = HttpVoice { language: Some("de".to_owned()), ..studio(&server) };
    let inside = HttpVoice { reach: crate::fetch::Reach::Public, ..studio(&server) };
    for spec in [german, inside] {
        let (voices, _) = remote_then_hum(&spec);
        assert_eq!(voices.render("Two words.", SOON).await.unwrap().voice, "told");
    }
    assert!(server.heard.try_recv().is_err());
}

#[tokio::test]
async fn lines_of_a_language_are_its_recordings_and_what_a_voice_makes_of_its_texts() {
    let folder = std::env::temp_dir().join(format!("baton-lines-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("one-moment.wav"), hum_file()).unwrap();
    std::fs::write(folder.join("still-trying.wav"), b"no sound").unwrap();
    std::fs::write(folder.join("goodbye.txt"), "Tot ziens.").unwrap();
    let (voices, asked) = voices(&[hum]);
    let dutch = voices.lines_in("nl".parse().unwrap(), Some(&folder)).await;
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(dutch.keys().copied().collect::<Vec<_>>(), [Line::OneMoment, Line::Goodbye]);
    assert_eq!(asked[0].load(Ordering::Relaxed), 1);
    // German has words of its own, and a tone is no words.
    let german = voices.lines_in(Language::GERMAN, None).await;
    assert_eq!(german.len(), Line::all().len() - 1);
    assert!(!german.contains_key(&Line::Beep));
}

#[tokio::test]
async fn where_nobody_speaks_a_language_not_every_line_is_tried() {
    let (voices, asked) = voices(&[broken]);
    assert!(voices.lines_in(Language::FRENCH, None).await.is_empty());
    assert_eq!(asked[0].load(Ordering::Relaxed), 3);
    assert!(!Program::flite("slt").speaks(Language::GERMAN) && Program::espeak_ng("en-gb").speaks(Language::GERMAN));
}
