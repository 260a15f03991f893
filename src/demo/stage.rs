//! The stage: one thread that owns every socket of the parties, gives them the time and their datagrams, and sends what they say.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use baton_party::{Fault, Input, Message, Output, Record};
use baton_time::Mono;
use bytes::Bytes;
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::cast::{Cast, Role, Seat};
use super::port::Datagram;
use super::story::CURTAIN;
use crate::clock::Clock;

/// Later than this is a stall of our own, and no fault of the daemon.
const STALL: Duration = Duration::from_millis(2);
/// What a story is given after its last party is done: late datagrams belong to it too.
const AFTERMATH: Duration = Duration::from_millis(400);
/// Notes and words that may wait for their reader.
pub(crate) const QUEUE: usize = 4_096;

/// What the stage tells a story's conductor.
#[derive(Debug, Clone)]
pub(crate) enum News {
    /// A note of a script.
    Note {
        /// What.
        note: String,
        /// When.
        at: Mono,
    },
    /// An INVITE came to a party.
    Invited {
        /// To whom.
        role: Role,
        /// The INVITE.
        invite: Box<Message>,
    },
    /// A script came to its end.
    Finished {
        /// Whose.
        role: Role,
        /// How.
        verdict: Result<(), Fault>,
    },
    /// An event of the daemon.
    Event(Arc<super::conductor::SeenEvent>),
    /// The story is over: everybody has gone.
    Closed,
}

/// Tells the parties of a story something.
#[derive(Clone)]
pub(crate) struct Prompter {
    words: SyncSender<(usize, String)>,
    bell: Arc<Mutex<UnixStream>>,
}

impl Prompter {
    /// Tells everybody in a story.
    pub(crate) fn tell(&self, story: usize, word: &str) {
        let told = match self.words.try_send((story, word.to_owned())) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        };
        if told && self.bell.lock().write_all(&[1]).is_err() {
            tracing::debug!(story, word, "the stage has closed");
        }
    }
}

/// What is left when everybody has gone.
pub(crate) struct Performance {
    /// Each party's record.
    pub(crate) records: Vec<(usize, Role, Record)>,
    /// When the stage itself was late: from when it should have looked to when it did.
    pub(crate) stalls: Vec<(Mono, Mono)>,
}

/// The stage.
pub(crate) struct Stage {
    clock: Clock,
    cast: Cast,
    words: Receiver<(usize, String)>,
    bell: UnixStream,
    news: Vec<SyncSender<News>>,
    closed: Vec<Option<Mono>>,
    stalls: Vec<(Mono, Mono)>,
    invited: Vec<bool>,
}

impl Stage {
    /// A stage for a cast; `news`: one reader for each story.
    pub(crate) fn new(clock: Clock, cast: Cast, news: Vec<SyncSender<News>>) -> io::Result<(Stage, Prompter)> {
        let (ear, bell) = UnixStream::pair()?;
        ear.set_nonblocking(true)?;
        bell.set_nonblocking(true)?;
        let (sender, words) = sync_channel(QUEUE);
        let stage = Stage {
            clock,
            words,
            bell: ear,
            closed: vec![None; news.len()],
            news,
            stalls: Vec::new(),
            invited: vec![false; cast.seats.len()],
            cast,
        };
        Ok((stage, Prompter { words: sender, bell: Arc::new(Mutex::new(bell)) }))
    }

    /// Plays until every story is over, or the curtain falls.
    pub(crate) fn play(mut self) -> Performance {
        let curtain = self.clock.now().mono + CURTAIN;
        for index in 0..self.cast.seats.len() {
            self.hand(index, Input::Tick);
        }
        loop {
            let now = self.clock.now().mono;
            if now >= curtain || self.all_closed(now) {
                break;
            }
            let due = self.next_due().unwrap_or(curtain).min(now + Duration::from_millis(100));
            self.wait_until(due, now);
            let woken = self.clock.now().mono;
            if woken.since(due) > STALL {
                self.stalls.push((due, woken));
            }
            self.tick(); // what is due leaves before anything else is looked at
            self.hear_words();
            self.hear_sockets();
            self.tick();
            let done = self.clock.now().mono;
            if done.since(woken) > STALL {
                self.stalls.push((woken, done));
            }
        }
        for story in 0..self.closed.len() {
            if self.closed[story].is_none() {
                self.announce(story, News::Closed); // the curtain has fallen
            }
        }
        let records = self.cast.seats.into_iter().map(|seat| (seat.story, seat.role, seat.party.into_record())).collect();
        Performance { records, stalls: self.stalls }
    }

    fn next_due(&self) -> Option<Mono> {
        self.cast.seats.iter().filter_map(|seat| seat.party.poll_timeout()).min()
    }

    /// A story is closed when each of its parties has gone, and some time has passed; tells its conductor once.
    fn all_closed(&mut self, now: Mono) -> bool {
        for story in 0..self.closed.len() {
            if self.closed[story].is_some() {
                continue;
            }
            let mut seats = self.cast.seats.iter().filter(|seat| seat.story == story);
            if seats.all(|seat| seat.party.record().verdict.is_some() && !seat.party.is_up()) {
                self.closed[story] = Some(now);
                self.announce(story, News::Closed);
            }
        }
        self.closed.iter().all(|at| at.is_some_and(|at| now >= at + AFTERMATH))
    }

    /// Sleeps until something comes or `due`.
    fn wait_until(&self, due: Mono, now: Mono) {
        let span = due.since(now);
        let timeout = Timespec { tv_sec: span.as_secs() as i64, tv_nsec: i64::from(span.subsec_nanos()) };
        let sockets = self.cast.sip.iter().chain(self.cast.seats.iter().map(|seat: &Seat| &seat.rtp));
        let mut fds: Vec<PollFd<'_>> = sockets.map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        fds.push(PollFd::new(&self.bell, PollFlags::IN));
        if let Err(error) = poll(&mut fds, Some(&timeout)) {
            tracing::trace!(%error, "poll was interrupted"); // the next round looks again
        }
    }

    fn hear_words(&mut self) {
        let mut rung = [0; 64];
        while self.bell.read(&mut rung).is_ok_and(|read| read > 0) {}
        while let Ok((story, word)) = self.words.try_recv() {
            self.tell_story(story, None, &word);
        }
    }

    fn tell_story(&mut self, story: usize, but: Option<usize>, word: &str) {
        for index in 0..self.cast.seats.len() {
            if self.cast.seats[index].story == story && Some(index) != but {
                self.hand(index, Input::Told(word.to_owned()));
            }
        }
    }

    fn hear_sockets(&mut self) {
        for index in 0..self.cast.sip.len() {
            while let Some(datagram) = self.cast.sip[index].receive(self.clock) {
                self.hear_sip(index, datagram);
            }
        }
        for index in 0..self.cast.seats.len() {
            while let Some(Datagram { from, at, bytes }) = self.cast.seats[index].rtp.receive(self.clock) {
                self.hand_at(index, at, Input::Rtp { from, bytes });
            }
        }
    }

    /// Finds whose datagram it is: several calls share the AI's socket.
    fn hear_sip(&mut self, socket: usize, datagram: Datagram) {
        let Datagram { from, at, bytes } = datagram;
        let Ok(message) = Message::read(&bytes) else { return };
        let wanted = |seat: &Seat| seat.sip == socket && seat.party.wants(&message);
        match self.cast.seats.iter().position(wanted) {
            Some(index) => {
                if message.method() == Some("INVITE") && !std::mem::replace(&mut self.invited[index], true) {
                    let (story, role) = (self.cast.seats[index].story, self.cast.seats[index].role.clone());
                    self.announce(story, News::Invited { role, invite: Box::new(message) });
                }
                self.hand_at(index, at, Input::Sip { from, bytes });
            }
            None => self.answer_stranger(socket, from, &message),
        }
    }

    fn answer_stranger(&self, socket: usize, from: SocketAddr, message: &Message) {
        let Some(answer) = answer_to_stranger(message) else { return };
        self.cast.sip[socket].send(from, &answer);
    }

    fn tick(&mut self) {
        let now = self.clock.now().mono;
        for index in 0..self.cast.seats.len() {
            if self.cast.seats[index].party.poll_timeout().is_some_and(|at| at <= now) {
                self.hand(index, Input::Tick);
            }
        }
    }

    fn hand(&mut self, index: usize, input: Input) {
        self.hand_at(index, self.clock.now().mono, input);
    }

    /// Hands something over with the time at which it came.
    fn hand_at(&mut self, index: usize, now: Mono, input: Input) {
        self.cast.seats[index].party.handle(now, input);
        while let Some(output) = self.cast.seats[index].party.poll() {
            let seat = &self.cast.seats[index];
            let (story, role) = (seat.story, seat.role.clone());
            match output {
                Output::Sip { to, bytes } => self.cast.sip[seat.sip].send(to, &bytes),
                Output::Rtp { to, bytes } => seat.rtp.send(to, &bytes),
                Output::Note(note) => {
                    self.announce(story, News::Note { note: note.clone(), at: now });
                    self.tell_story(story, Some(index), &note);
                }
                Output::Finished(verdict) => self.announce(story, News::Finished { role, verdict }),
            }
        }
    }

    fn announce(&self, story: usize, news: News) {
        if self.news[story].try_send(news).is_err() {
            tracing::debug!(story, "nobody reads the news of this story any more");
        }
    }
}

/// OPTIONS is answered by everybody; any other request that belongs to nobody here is refused.
pub(crate) fn answer_to_stranger(message: &Message) -> Option<Bytes> {
    let status = match message.method() {
        None | Some("ACK") => return None,
        Some("OPTIONS") => 200,
        Some("INVITE") => 404,
        Some(_) => 481,
    };
    Some(Message::response_to(message, status, "stage").write())
}

#[cfg(test)]
mod tests {
    use baton_party::{Cue, Lines, Pilot, Step};

    use super::*;

    #[test]
    fn two_parties_call_each_other_over_real_sockets() {
        let clock = Clock::start();
        let mut cast = Cast::bind().unwrap();
        let ai = cast.ai().unwrap();
        let (phone, _) = cast.phone().unwrap();
        let origin = clock.now().mono;
        let calls = [
            Step::call("sip:+15550100@127.0.0.1"),
            Step::wait_for(Cue::Up, 3_000),
            Step::wait_for(Cue::Hears(Pilot::Ai), 3_000),
            Step::note("heard"),
            Step::wait_for(Cue::Told("enough".to_owned()), 3_000),
            Step::HangUp,
        ];
        let answers = [Step::Ring { status: 180 }, Step::Answer, Step::wait_for(Cue::Gone, 5_000)];
        let lines = Lines::default();
        cast.seat(0, Role::Caller, ("+1555", "Jamie", Pilot::Caller), phone, ai, &calls, &lines, origin).unwrap();
        cast.seat(0, Role::Ai, ("+15550100", "Ava", Pilot::Ai), 0, ai, &answers, &lines, origin).unwrap();
        let (sender, news) = sync_channel(QUEUE);
        let (stage, prompter) = Stage::new(clock, cast, vec![sender]).unwrap();
        let conductor = std::thread::spawn(move || {
            let mut seen = Vec::new();
            while let Ok(news) = news.recv() {
                if matches!(&news, News::Note { note, .. } if note == "heard") {
                    prompter.tell(0, "enough");
                }
                seen.push(news);
            }
            seen
        });
        let performance = stage.play();
        for (_, role, record) in &performance.records {
            assert_eq!(record.verdict, Some(Ok(())), "{role}");
            assert!(!record.rtp_received.is_empty());
        }
        let seen = conductor.join().unwrap();
        assert!(matches!(seen.last(), Some(News::Closed)));
        assert!(seen.iter().any(|news| matches!(news, News::Invited { role: Role::Ai, .. })));
    }
}
