//! One track: a WAV file that grows.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use baton_media::Tapped;
use baton_switchboard::{RecordFault, Recorded};
use baton_time::Mono;
use hound::{SampleFormat, WavSpec, WavWriter};

/// Samples of a millisecond.
const PER_MS: u64 = 8;

/// A gap is filled with silence once it is longer than what a network shuffles about, in samples.
const GAP_MIN: u64 = 60 * PER_MS;

/// How far sound may be ahead of the clock before it is left out: a sender that is too fast, or a burst after a stall, in samples.
const AHEAD_MAX: u64 = 1_000 * PER_MS;

/// The mean level above which a packet is speech: about -40 dBFS.
const SPEECH_RMS_MIN: u64 = 330;

const SPEC: WavSpec = WavSpec { channels: 1, sample_rate: 8_000, bits_per_sample: 16, sample_format: SampleFormat::Int };

/// A file of 16-bit samples, 8,000 a second, that follows the clock: what was not heard is silence.
pub(super) struct Track {
    writer: WavWriter<BufWriter<File>>,
    /// As the switchboard is told of it.
    pub(super) name: String,
    since: Mono,
    written: u64,
    speech: u64,
}

impl Track {
    /// Makes the file, readable for its owner only.
    pub(super) fn create(folder: &Path, name: String, since: Mono) -> Result<Track, RecordFault> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = options.open(folder.join(&name)).map_err(|error| fault_of(&error))?;
        let writer = WavWriter::new(BufWriter::new(file), SPEC).map_err(|error| fault(&error))?;
        Ok(Track { writer, name, since, written: 0, speech: 0 })
    }

    /// Takes what was heard.
    pub(super) fn hear(&mut self, tapped: &Tapped) -> Result<(), RecordFault> {
        let due = samples_between(self.since, tapped.at);
        if self.written > due + AHEAD_MAX {
            return Ok(());
        }
        let length = tapped.samples().count() as u64;
        if due > self.written + length + GAP_MIN {
            self.fill(due - length)?;
        }
        let mut power = 0;
        for sample in tapped.samples() {
            self.writer.write_sample(sample).map_err(|error| fault(&error))?;
            power += u64::from(sample.unsigned_abs()) * u64::from(sample.unsigned_abs());
        }
        self.written += length;
        if power > SPEECH_RMS_MIN * SPEECH_RMS_MIN * length {
            self.speech += length;
        }
        Ok(())
    }

    /// Silence up to this place.
    fn fill(&mut self, to: u64) -> Result<(), RecordFault> {
        for _ in self.written..to {
            self.writer.write_sample(0_i16).map_err(|error| fault(&error))?;
        }
        self.written = self.written.max(to);
        Ok(())
    }

    /// Where the track stands, in milliseconds since it began.
    pub(super) fn at_ms(&self, now: Mono) -> u64 {
        samples_between(self.since, now) / PER_MS
    }

    /// Puts on the disk what there is, so that the file can be played after a crash.
    pub(super) fn flush(&mut self) -> Result<(), RecordFault> {
        self.writer.flush().map_err(|error| fault(&error))
    }

    /// Ends the file.
    pub(super) fn close(self) -> Result<Recorded, RecordFault> {
        let Track { writer, name, written, speech, .. } = self;
        writer.finalize().map_err(|error| fault(&error))?;
        Ok(Recorded { file: name, duration_ms: written / PER_MS, speech_ms: speech / PER_MS })
    }
}

/// Waits until a file is on the disk for good.
pub(super) fn settle(file: &Path) -> Result<(), RecordFault> {
    File::open(file).and_then(|file| file.sync_all()).map_err(|error| fault_of(&error))
}

fn samples_between(from: Mono, to: Mono) -> u64 {
    u64::try_from(to.since(from).as_micros()).unwrap_or(u64::MAX) / 125
}

fn fault(error: &hound::Error) -> RecordFault {
    match error {
        hound::Error::IoError(error) => fault_of(error),
        hound::Error::FormatError(_)
        | hound::Error::TooWide
        | hound::Error::UnfinishedSample
        | hound::Error::Unsupported
        | hound::Error::InvalidSampleFormat => RecordFault::NotWritable,
    }
}

/// What an error of the system means for a recording.
pub(super) fn fault_of(error: &std::io::Error) -> RecordFault {
    let is_full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge);
    if is_full { RecordFault::DiskFull } else { RecordFault::NotWritable }
}
