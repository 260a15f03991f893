//! Asking for transcripts.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::fetch::Reach;
use crate::fetch::stage::{Act, Server};

/// A file that is gone after the test.
struct Sound(PathBuf);

impl Sound {
    fn new(name: &str, bytes: &[u8]) -> Sound {
        let path = std::env::temp_dir().join(format!("baton-transcribe-{}-{name}.wav", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Sound(path)
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

fn transcriber(server: &Server) -> Transcriber {
    let spec = Spec {
        target: server.at("/v1"),
        model: "whisper-1".to_owned(),
        key: None,
        language: Some("en".to_owned()),
        within: Duration::from_millis(400),
        reach: Reach::Anywhere,
    };
    Transcriber::new(spec, Arc::new(Fetch::new()))
}

#[tokio::test]
async fn a_recording_is_sent_as_a_form_and_its_text_comes_back() {
    let answer = br#"{"text": " Please call\n me back.\u0007 ", "usage": {"seconds": 3}}"#;
    let mut server = Server::saying(Act::answer(200, "content-type: application/json\r\n", answer)).await;
    let sound = Sound::new("form", b"RIFF\r\n--baton--\r\n\0\xFF");
    assert_eq!(transcriber(&server).text_of(&sound.0).await.unwrap(), "Please call me back.");
    let heard = server.next().await;
    assert_eq!(heard.path(), "/v1/audio/transcriptions");
    let kind = heard.header("content-type").unwrap().to_owned();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let text = String::from_utf8_lossy(&heard.body).into_owned();
    let parts: Vec<&str> = text.split(&format!("--{boundary}")).collect();
    assert_eq!((parts.len(), parts[0], parts[5]), (6, "", "--\r\n"), "{text}");
    assert_eq!(parts[1], "\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n");
    assert!(parts[3].contains("name=\"language\"\r\n\r\nen\r\n"));
    assert!(parts[4].contains("name=\"file\"; filename=\"voicemail.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF"));
    let sent = heard.body.windows(19).any(|window| window == b"RIFF\r\n--baton--\r\n\0\xFF");
    assert!(sent, "the sound goes as it is");
}

#[tokio::test]
async fn the_language_of_whoever_speaks_is_told_where_none_is_configured() {
    for (configured, told) in [(None, "de"), (Some("en"), "en")] {
        let mut server = Server::saying(Act::answer(200, "", br#"{"text": "Ja."}"#)).await;
        let mut one = transcriber(&server);
        one.spec.language = configured.map(str::to_owned);
        let sound = Sound::new(told, b"RIFF");
        assert_eq!(one.text_in(&sound.0, Some(Language::GERMAN)).await.unwrap(), "Ja.");
        let heard = server.next().await;
        let text = String::from_utf8_lossy(&heard.body).into_owned();
        assert!(text.contains(&format!("name=\"language\"\r\n\r\n{told}\r\n")), "{text}");
    }
}

#[tokio::test]
async fn without_a_right_answer_there_is_no_text() {
    let sound = Sound::new("wrong", b"RIFF");
    for act in [
        Act::answer(500, "", b"{\"text\": \"x\"}"),
        Act::answer(302, "location: http://127.0.0.1:1/\r\n", b""),
        Act::answer(200, "", b"<html>"),
        Act::answer(200, "", b"{\"texts\": 3}"),
        Act::answer(200, "", &vec![b' '; ANSWER_BYTES_MAX + 1]),
        Act::Last(Vec::new()),
        Act::Hang(b"HTTP/1.1 200 OK\r\n".to_vec()),
    ] {
        let server = Server::saying(act.clone()).await;
        assert!(transcriber(&server).text_of(&sound.0).await.is_err());
    }
}

#[tokio::test]
async fn a_recording_that_is_not_there_or_endless_is_not_sent() {
    let mut server = Server::saying(Act::answer(200, "", b"{\"text\": \"x\"}")).await;
    let nowhere = PathBuf::from("/no/such/file.wav");
    assert!(matches!(transcriber(&server).text_of(&nowhere).await, Err(NoText::NoFile(_))));
    let sound = Sound::new("long", b"");
    std::fs::File::options().write(true).open(&sound.0).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
    assert!(matches!(transcriber(&server).text_of(&sound.0).await, Err(NoText::TooLong)));
    assert!(server.heard.try_recv().is_err());
}

#[tokio::test]
async fn those_who_wait_have_an_end() {
    let waiting = AtomicU64::new(WAITING_MAX as u64 - 1);
    let last = Place::take(&waiting).unwrap();
    assert!(matches!(Place::take(&waiting), Err(NoText::TooMany)));
    drop(last);
    assert!(Place::take(&waiting).is_ok());
}
