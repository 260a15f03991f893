//! Voices that are programs of this machine: flite and espeak-ng. Text goes in by stdin, never through a shell.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use baton_transfer::Language;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::Semaphore;

use super::wav::{self, Wave};
use super::{Voice, VoiceError};

/// The most sound that a program may give, in bytes: a minute and a half at 48 kHz.
const WAV_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Programs that run at once; a further one waits within its deadline.
const PROGRAMS_MAX: usize = 2;

/// A program that reads text from stdin and gives a WAV file.
pub(super) struct Program {
    name: &'static str,
    /// Behind the voice, which these follow.
    arguments: Vec<String>,
    voice: Choice,
    output: Output,
    slots: Semaphore,
}

/// Which voice of the program reads.
enum Choice {
    /// None is named.
    #[cfg(test)]
    Unnamed,
    /// This one, which reads English.
    English(&'static str, String),
    /// This one what is in its language, which its name begins with, and anything else whoever has the name of that language.
    Any(&'static str, String),
}

/// Where a program puts its sound.
enum Output {
    /// On stdout.
    Stdout,
    /// In the file whose name follows this argument.
    File(&'static str),
}

impl Program {
    /// flite with one of its voices, a little faster than it speaks by itself. It writes whole files only.
    pub(super) fn flite(voice: &str) -> Program {
        let arguments = ["--setf", "duration_stretch=0.92", "-f", "/dev/stdin"].map(str::to_owned).to_vec();
        let voice = Choice::English("-voice", voice.to_owned());
        Program { name: "flite", arguments, voice, output: Output::File("-o"), slots: Semaphore::new(PROGRAMS_MAX) }
    }

    /// espeak-ng with one of its voices.
    pub(super) fn espeak_ng(voice: &str) -> Program {
        let arguments = ["--stdin", "--stdout"].map(str::to_owned).to_vec();
        let voice = Choice::Any("-v", voice.to_owned());
        Program { name: "espeak-ng", arguments, voice, output: Output::Stdout, slots: Semaphore::new(PROGRAMS_MAX) }
    }

    #[cfg(test)]
    fn of(name: &'static str, arguments: &[&str]) -> Program {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Program { name, arguments, voice: Choice::Unnamed, output: Output::Stdout, slots: Semaphore::new(PROGRAMS_MAX) }
    }

    async fn run(&self, text: &str, language: Language) -> Result<Vec<u8>, VoiceError> {
        let mut command = Command::new(self.name);
        match &self.voice {
            #[cfg(test)]
            Choice::Unnamed => {}
            Choice::Any(argument, voice) if Language::of_tag(voice) != Ok(language) => {
                command.args([*argument, language.tag()]);
            }
            Choice::English(argument, voice) | Choice::Any(argument, voice) => {
                command.args([*argument, voice.as_str()]);
            }
        }
        command.args(&self.arguments).stdin(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let scratch = match self.output {
            Output::Stdout => None,
            Output::File(argument) => {
                let scratch = Scratch::new().map_err(|error| self.failed(&error.to_string()))?;
                command.arg(argument).arg(scratch.file());
                Some(scratch)
            }
        };
        command.stdout(if scratch.is_some() { Stdio::null() } else { Stdio::piped() });
        let mut child = command.spawn().map_err(|error| {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            if missing { VoiceError::NotInstalled(self.name) } else { self.failed(&error.to_string()) }
        })?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let write = async {
            if let Some(mut stdin) = stdin {
                stdin.write_all(text.as_bytes()).await?;
                stdin.write_all(b"\n").await?;
            }
            Ok::<(), std::io::Error>(())
        };
        let read = async {
            let mut bytes = Vec::new();
            if let Some(stdout) = stdout {
                stdout.take(WAV_BYTES_MAX).read_to_end(&mut bytes).await?;
            }
            Ok::<Vec<u8>, std::io::Error>(bytes)
        };
        // A program that does not read all of its text is judged by what it gives.
        let (_written, read) = tokio::join!(write, read);
        let bytes = read.map_err(|error| self.failed(&error.to_string()))?;
        if bytes.len() as u64 >= WAV_BYTES_MAX {
            return Err(self.failed("it gives sound without an end"));
        }
        let status = child.wait().await.map_err(|error| self.failed(&error.to_string()))?;
        if !status.success() {
            return Err(self.failed(&status.to_string()));
        }
        scratch.map_or(Ok(bytes), |scratch| read_bounded(&scratch.file()).map_err(|error| self.failed(&error.to_string())))
    }

    fn failed(&self, why: &str) -> VoiceError {
        VoiceError::Failed { voice: self.name, why: why.to_owned() }
    }
}

#[async_trait]
impl Voice for Program {
    fn name(&self) -> &'static str {
        self.name
    }

    fn speaks(&self, language: Language) -> bool {
        match self.voice {
            #[cfg(test)]
            Choice::Unnamed => true,
            Choice::English(..) => language == Language::ENGLISH,
            Choice::Any(..) => true,
        }
    }

    async fn render(&self, text: &str, language: Language) -> Result<Wave, VoiceError> {
        let _slot = self.slots.acquire().await.map_err(|_| self.failed("it is closed"))?;
        let bytes = self.run(text, language).await?;
        wav::read(&bytes).map_err(|error| self.failed(&error.to_string()))
    }
}

/// A directory of our own for one file, gone when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Scratch> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("baton-voice-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        // Fails where somebody else has put something there.
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Scratch(path))
    }

    fn file(&self) -> PathBuf {
        self.0.join("speech.wav")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, "voice-scratch-stays");
        }
    }
}

fn read_bounded(file: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(WAV_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_program_that_is_not_there_says_so() {
        let voice = Program::of("no-such-voice", &[]);
        assert!(matches!(voice.render("Hello.", Language::ENGLISH).await, Err(VoiceError::NotInstalled("no-such-voice"))));
    }

    #[tokio::test]
    async fn a_program_that_fails_or_gives_no_sound_is_an_error() {
        for (name, arguments) in [("false", [].as_slice()), ("cat", &[]), ("true", &[])] {
            assert!(
                matches!(Program::of(name, arguments).render("Hello.", Language::ENGLISH).await, Err(VoiceError::Failed { .. })),
                "{name}"
            );
        }
    }

    #[tokio::test]
    async fn a_program_that_never_ends_is_left_at_the_deadline() {
        for (name, arguments) in [("yes", [].as_slice()), ("tail", &["-f", "/dev/null"])] {
            let voice = Program::of(name, arguments);
            let ended = tokio::time::timeout(Duration::from_millis(300), voice.render("Hello.", Language::ENGLISH)).await;
            assert!(ended.is_err() || matches!(ended, Ok(Err(VoiceError::Failed { .. }))), "{name}");
        }
    }

    #[tokio::test]
    async fn installed_voices_speak() {
        for voice in [Program::flite("slt"), Program::espeak_ng("en-us")] {
            match voice.render("A caller is waiting. They asked for a person.", Language::ENGLISH).await {
                Ok(wave) => assert!(wave.samples.len() > wave.rate as usize, "{}", voice.name()),
                Err(VoiceError::NotInstalled(name)) => println!("{name} is not installed here"),
                Err(error @ VoiceError::Failed { .. }) => panic!("{error}"),
                Err(VoiceError::NoRecording) => panic!("a program has no recordings"),
            }
        }
    }
}
