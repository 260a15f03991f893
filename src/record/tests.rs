//! The writer, over real files.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use baton_contract::{CallId, IdSource, LegId, LegRole};
use baton_media::Codec;
use baton_switchboard::{RecordKind, Track};
use baton_time::{Mono, Wall};

use super::*;

type Told = (TapId, Result<Recorded, RecordFault>);

struct Stage {
    folder: PathBuf,
    recorder: Recorder,
    told: Receiver<Told>,
    free: Arc<AtomicU64>,
}

impl Stage {
    fn new() -> Stage {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("baton-record-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        let (tell, told) = sync_channel(100);
        let tell: Tell =
            Box::new(move |tap, result: &Result<Recorded, RecordFault>| tell.try_send((tap, result.clone())).is_ok());
        let free = Arc::new(AtomicU64::new(PLENTY));
        let looked = free.clone();
        let recorder = Recorder::with_disk(&folder, tell, Box::new(move |_| Ok(looked.load(Ordering::SeqCst)))).unwrap();
        Stage { folder, recorder, told, free }
    }

    fn open(&self, tap: u64, kind: RecordKind, at_ms: u64) -> Track {
        let mut ids = IdSource::seeded(tap);
        let leg = LegId::new(&mut ids, Wall::from_seconds(1));
        let track = Track { tap: TapId(tap), call: call(), leg, role: LegRole::Caller, kind, transfer: None };
        self.order(RecordOrder::Open(track), at_ms);
        track
    }

    fn order(&self, order: RecordOrder, at_ms: u64) {
        self.recorder.obey(order, now(at_ms)).unwrap();
    }

    /// Packets of 20 ms from `from_ms` on.
    fn say(&self, tap: u64, from_ms: u64, packets: u64, sample: i16) {
        for number in 0..packets {
            let octets = [Codec::Pcmu.encode(sample); 160];
            let tapped = Tapped::new(TapId(tap), mono(from_ms + (number + 1) * 20), Codec::Pcmu, &octets);
            assert!(self.recorder.hear(tapped));
        }
    }

    fn told(&self) -> Told {
        self.told.recv_timeout(Duration::from_secs(10)).expect("the writer answers")
    }

    fn lines(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.folder.join(call().to_string()).join("events.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn samples(&self, recorded: &Recorded) -> Vec<i16> {
        let reader = hound::WavReader::open(self.folder.join(&recorded.file)).unwrap();
        assert_eq!((reader.spec().channels, reader.spec().sample_rate, reader.spec().bits_per_sample), (1, 8_000, 16));
        reader.into_samples().map(Result::unwrap).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.recorder.stop();
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

const PLENTY: u64 = 1 << 40;

fn call() -> CallId {
    CallId::new(&mut IdSource::seeded(3), Wall::from_seconds(1))
}

fn mono(ms: u64) -> Mono {
    Mono::from_millis(100_000 + ms)
}

fn now(ms: u64) -> Now {
    Now { mono: mono(ms), wall: Wall::from_seconds(1_700_000_000) }
}

#[test]
fn what_a_leg_said_is_a_file_of_its_own() {
    let stage = Stage::new();
    let track = stage.open(1, RecordKind::Call, 0);
    stage.say(1, 0, 50, 8_000);
    stage.say(2, 0, 50, 8_000);
    stage.order(RecordOrder::Close(TapId(1)), 1_000);
    let (tap, recorded) = stage.told();
    let recorded = recorded.unwrap();
    assert_eq!((tap, recorded.duration_ms, recorded.speech_ms), (TapId(1), 1_000, 1_000));
    assert_eq!(recorded.file, format!("{}/call-caller-{}.wav", call(), track.leg));
    let samples = stage.samples(&recorded);
    assert_eq!(samples.len(), 8_000);
    assert!(samples.iter().all(|sample| (7_700..8_300).contains(sample)));
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(stage.folder.join(&recorded.file)).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "for nobody else: {mode:o}");
    let counts = Counts { written: 1, ..Counts::default() };
    assert_eq!(stage.recorder.counts(), counts);
}

#[test]
fn a_track_follows_the_clock_through_gaps_and_pauses() {
    let stage = Stage::new();
    stage.open(1, RecordKind::Call, 0);
    stage.say(1, 500, 10, 8_000);
    stage.order(RecordOrder::Mark { call: call(), what: "paused" }, 700);
    stage.order(RecordOrder::Mark { call: call(), what: "resumed" }, 5_000);
    stage.say(1, 5_000, 10, 8_000);
    stage.order(RecordOrder::Close(TapId(1)), 5_200);
    let recorded = stage.told().1.unwrap();
    assert_eq!((recorded.duration_ms, recorded.speech_ms), (5_200, 400));
    let samples = stage.samples(&recorded);
    assert!(samples[..4_000].iter().all(|sample| *sample == 0), "silence before the first packet");
    assert!(
        samples[4_000] > 7_000
            && samples[5_599] > 7_000
            && samples[5_600] == 0
            && samples[39_999] == 0
            && samples[40_000] > 7_000
    );
    let marks: Vec<_> = stage.lines().into_iter().map(|line| (line["what"].clone(), line["at_ms"].clone())).collect();
    assert_eq!(marks[1..3], [("paused".into(), 700.into()), ("resumed".into(), 5_000.into())]);
    assert_eq!((marks[0].0.as_str(), marks[3].0.as_str()), (Some("track_started"), Some("track_ended")));
}

#[test]
fn a_sender_that_is_too_fast_does_not_make_the_track_longer_than_the_call() {
    let stage = Stage::new();
    stage.open(1, RecordKind::Voicemail, 0);
    for _ in 0..500 {
        let octets = [Codec::Pcma.encode(8_000); 160];
        assert!(stage.recorder.hear(Tapped::new(TapId(1), mono(100), Codec::Pcma, &octets)));
    }
    stage.order(RecordOrder::Close(TapId(1)), 200);
    let recorded = stage.told().1.unwrap();
    assert!(recorded.duration_ms <= 1_120, "{recorded:?}");
}

#[test]
fn the_end_of_a_call_ends_all_its_tracks() {
    let stage = Stage::new();
    for tap in 1..=3 {
        stage.open(tap, RecordKind::Consult, 0);
    }
    stage.say(2, 0, 5, 3);
    stage.order(RecordOrder::CloseCall(call()), 100);
    let told: Vec<_> = (0..3).map(|_| stage.told()).collect();
    assert_eq!(told.iter().map(|(tap, _)| tap.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(told.iter().all(|(_, result)| result.as_ref().is_ok_and(|recorded| recorded.speech_ms == 0)));
    stage.order(RecordOrder::Close(TapId(1)), 200);
    stage.order(RecordOrder::CloseCall(call()), 200);
    stage.recorder.stop();
    assert!(stage.told.try_recv().is_err(), "each has one answer");
}

#[test]
fn a_leg_that_is_recorded_twice_has_two_files() {
    let stage = Stage::new();
    let mut files = Vec::new();
    for at in [0, 500] {
        stage.open(1, RecordKind::Call, at);
        stage.order(RecordOrder::Close(TapId(1)), at + 100);
        files.push(stage.told().1.unwrap().file);
    }
    assert_ne!(files[0], files[1]);
    assert!(files.iter().all(|file| stage.folder.join(file).exists()));
}

#[test]
fn a_full_disk_ends_recordings_and_refuses_new_ones() {
    let stage = Stage::new();
    stage.open(1, RecordKind::Call, 0);
    stage.open(2, RecordKind::Call, 0);
    stage.order(RecordOrder::Close(TapId(2)), 0);
    assert!(stage.told().1.is_ok(), "there was room");
    stage.free.store(1_000_000, Ordering::SeqCst);
    stage.say(1, 0, 200, 8_000);
    assert_eq!(stage.told(), (TapId(1), Err(RecordFault::DiskFull)));
    stage.open(3, RecordKind::Call, 4_100);
    assert_eq!(stage.told(), (TapId(3), Err(RecordFault::DiskFull)));
    let counts = Counts { written: 1, failed: 2, lost: 0 };
    assert_eq!(stage.recorder.counts(), counts);
    stage.free.store(PLENTY, Ordering::SeqCst);
    stage.open(4, RecordKind::Call, 9_000);
    stage.order(RecordOrder::Close(TapId(4)), 9_100);
    assert!(stage.told().1.is_ok(), "there is room again");
}

#[test]
fn a_folder_that_cannot_be_written_is_a_fault_of_the_recording() {
    let stage = Stage::new();
    std::fs::write(stage.folder.join(call().to_string()), "in the way").unwrap();
    stage.open(1, RecordKind::Call, 0);
    assert_eq!(stage.told(), (TapId(1), Err(RecordFault::NotWritable)));
    let nowhere = std::path::Path::new("/proc/no/such/folder");
    assert!(Recorder::start(nowhere, Box::new(|_, _| true)).is_err());
}

#[test]
fn an_answer_that_nobody_takes_is_told_again() {
    let folder = std::env::temp_dir().join(format!("baton-record-{}-again", std::process::id()));
    let (tell, told) = sync_channel(10);
    let refusals = AtomicU64::new(3);
    let stubborn: Tell = Box::new(move |tap, _| {
        let refused = refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        !refused && tell.try_send(tap).is_ok()
    });
    let recorder = Recorder::start(&folder, stubborn).unwrap();
    recorder.obey(RecordOrder::Open(track(9)), now(0)).unwrap();
    recorder.obey(RecordOrder::Close(TapId(9)), now(0)).unwrap();
    assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(TapId(9)));
    recorder.stop();
    std::fs::remove_dir_all(folder).unwrap();
}

fn track(tap: u64) -> Track {
    let leg = LegId::new(&mut IdSource::seeded(tap), Wall::from_seconds(1));
    Track { tap: TapId(tap), call: call(), leg, role: LegRole::Ai, kind: RecordKind::Call, transfer: None }
}

#[test]
fn what_was_recorded_is_whole_when_the_daemon_ends() {
    let stage = Stage::new();
    stage.open(1, RecordKind::Call, 0);
    stage.say(1, 0, 50, 8_000);
    stage.recorder.stop();
    let recorded = stage.told().1.unwrap();
    assert_eq!(stage.samples(&recorded).len(), 8_000);
}
