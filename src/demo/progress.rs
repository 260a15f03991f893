//! What is shown while the stories run.

use std::io::{IsTerminal, Write};

use baton_time::Mono;

use super::cast::Role;
use super::stage::News;
use super::story::Story;

/// The display: on a terminal one line for each story, elsewhere one line for each thing that happens, and nothing at all with `--json`.
pub(crate) struct Progress {
    stories: Vec<Line>,
    style: Style,
    drawn: bool,
    start: Mono,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Live,
    Log,
    Mute,
}

struct Line {
    name: &'static str,
    at: Mono,
    says: String,
    over: bool,
    broken: bool,
}

/// What a line may be long, so that no terminal breaks it.
const COLUMNS: usize = 100;

impl Progress {
    pub(crate) fn new(stories: &[Story], json: bool, start: Mono) -> Progress {
        let style = match (json, std::io::stderr().is_terminal()) {
            (true, _) => Style::Mute,
            (false, true) => Style::Live,
            (false, false) => Style::Log,
        };
        let line =
            |story: &Story| Line { name: story.name, at: Mono::ZERO, says: "waiting".to_owned(), over: false, broken: false };
        Progress { stories: stories.iter().map(line).collect(), style, drawn: false, start }
    }

    /// Takes in what has happened in a story.
    pub(crate) fn see(&mut self, story: usize, news: &News, now: Mono) {
        let Some(says) = words(news) else { return };
        let line = &mut self.stories[story];
        line.at = Mono::ZERO + now.since(self.start);
        line.over |= matches!(news, News::Closed);
        line.broken |= matches!(news, News::Finished { verdict: Err(_), .. });
        if self.style == Style::Log {
            eprintln!("{:5.1} s  {:<9} {says}", line.at.as_micros() as f64 / 1e6, line.name);
        }
        line.says = says;
        if self.style == Style::Live {
            self.draw();
        }
    }

    /// Leaves the display as it is.
    pub(crate) fn finish(mut self) {
        if self.style == Style::Live {
            self.draw();
            eprintln!();
        }
    }

    fn draw(&mut self) {
        let mut text = String::new();
        if std::mem::replace(&mut self.drawn, true) {
            text.push_str(&format!("\x1b[{}A", self.stories.len()));
        }
        for line in &self.stories {
            let colour = match (line.broken, line.over) {
                (true, _) => "31",
                (false, true) => "32",
                (false, false) => "36",
            };
            let seconds = line.at.as_micros() as f64 / 1e6;
            let says: String = line.says.chars().take(COLUMNS - 22).collect();
            text.push_str(&format!("\x1b[2K  \x1b[{colour}m{:<9}\x1b[0m {seconds:5.1} s  {says}\n", line.name));
        }
        if std::io::stderr().write_all(text.as_bytes()).is_err() {
            self.style = Style::Mute;
        }
    }
}

/// News in words; `None` for what is not worth a line.
fn words(news: &News) -> Option<String> {
    match news {
        News::Note { note, .. } => {
            crate::voice::lines::line(note).map(|(text, speaker, _)| format!("{}: {text}", capital(speaker)))
        }
        News::Invited { role: Role::Ae(id), .. } => {
            Some(format!("{}'s phone is called", capital(id.split('-').next().unwrap_or(id))))
        }
        News::Invited { role: Role::Ai, .. } => Some("the AI is called".to_owned()),
        News::Invited { role: Role::AiAgain, .. } => Some("the AI is called again".to_owned()),
        News::Invited { role: Role::Caller, .. } => Some("the caller's phone is called".to_owned()),
        News::Finished { role, verdict: Err(fault) } => Some(format!("{role}: {fault}")),
        News::Event(event) if event.kind().starts_with("transfer.") || event.kind().starts_with("callback.") => {
            Some(event.kind().replace(['.', '_'], " "))
        }
        News::Closed => Some("everybody has hung up".to_owned()),
        News::Finished { .. } | News::Event(_) => None,
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
