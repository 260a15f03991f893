//! Who plays in which story, with sockets of their own.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use baton_party::{Identity, Lines, Party, Pilot, Script, Step};
use baton_time::{Mono, Now};

use super::port::Port;
use super::story::{Begins, Story};

/// The part that somebody plays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// The caller.
    Caller,
    /// The AI.
    Ai,
    /// The AI, called a second time.
    AiAgain,
    /// An AE, by id.
    Ae(String),
}

impl Role {
    /// The name of its recording: `caller`, `ai`, `ae-michael`. Ids are `name-story`: the story has a folder of its own.
    pub(crate) fn file_name(&self) -> String {
        match self {
            Role::Caller => "caller".to_owned(),
            Role::Ai => "ai".to_owned(),
            Role::AiAgain => "ai-again".to_owned(),
            Role::Ae(id) => format!("ae-{}", id.rsplit_once('-').map_or(id.as_str(), |(name, _)| name)),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Caller => f.write_str("caller"),
            Role::Ai => f.write_str("AI"),
            Role::AiAgain => f.write_str("AI, called again"),
            Role::Ae(id) => f.write_str(id),
        }
    }
}

/// The AI goes on sending for so long after it was hung up on: that nobody hears it is Baton's work.
const AI_LINGERS: Duration = Duration::from_millis(500);

/// A party with its place on the network.
pub(crate) struct Seat {
    /// Which story, by its place in the list.
    pub(crate) story: usize,
    /// Which part.
    pub(crate) role: Role,
    /// The party.
    pub(crate) party: Party,
    /// Which of the SIP sockets is its own: the AI has one for all its calls.
    pub(crate) sip: usize,
    /// Its RTP socket.
    pub(crate) rtp: Port,
}

/// Everybody, and the SIP sockets.
pub(crate) struct Cast {
    /// All parties.
    pub(crate) seats: Vec<Seat>,
    /// The SIP sockets; the first one is the AI's.
    pub(crate) sip: Vec<Port>,
}

impl Cast {
    /// Binds the SIP sockets of everybody; the parties follow with [`Cast::seat`], once the daemon's address is known.
    pub(crate) fn bind() -> io::Result<Cast> {
        Ok(Cast { seats: Vec::new(), sip: vec![Port::any()?] })
    }

    /// The address of the AI.
    pub(crate) fn ai(&self) -> io::Result<SocketAddr> {
        self.sip[0].address()
    }

    /// Binds a phone and gives its place among the sockets.
    pub(crate) fn phone(&mut self) -> io::Result<(usize, SocketAddr)> {
        let socket = Port::any()?;
        let address = socket.address()?;
        self.sip.push(socket);
        Ok((self.sip.len() - 1, address))
    }

    /// Seats one party. `user`: what it is called by, or the number that it calls from.
    #[expect(clippy::too_many_arguments, reason = "a seat is made at one place, from what only that place knows")]
    pub(crate) fn seat(
        &mut self,
        story: usize,
        role: Role,
        (user, display, pilot): (&str, &str, Pilot),
        sip: usize,
        proxy: SocketAddr,
        steps: &[Step],
        lines: &Lines,
        origin: Mono,
    ) -> io::Result<()> {
        let rtp = Port::pair()?;
        let identity = Identity {
            user: user.to_owned(),
            display: display.to_owned(),
            pilot,
            sip: self.sip[sip].address()?,
            rtp: rtp.address()?,
            proxy,
            seed: 0xba70 + self.seats.len() as u64 * 977,
            origin,
        };
        let lingers = if matches!(role, Role::Ai | Role::AiAgain) { AI_LINGERS } else { Duration::ZERO };
        let party = Party::new(identity, Script::new(steps), lines.clone()).lingering(lingers);
        self.seats.push(Seat { story, role, party, sip, rtp });
        Ok(())
    }
}

/// The phones of a run: everybody has one before the daemon is told of them.
pub(crate) struct Phones {
    /// The AI's address.
    pub(crate) ai: SocketAddr,
    /// Where the carrier would be called.
    pub(crate) carrier: SocketAddr,
    carrier_socket: usize,
    callers: Vec<usize>,
    aes: Vec<(&'static str, usize, SocketAddr)>,
}

impl Phones {
    /// Binds a phone for each caller and each AE.
    pub(crate) fn bind(cast: &mut Cast, stories: &[Story]) -> io::Result<Phones> {
        let (carrier_socket, carrier) = cast.phone()?;
        let mut phones = Phones { ai: cast.ai()?, carrier, carrier_socket, callers: Vec::new(), aes: Vec::new() };
        for story in stories {
            phones.callers.push(cast.phone()?.0);
            for ae in &story.aes {
                let (socket, address) = cast.phone()?;
                phones.aes.push((ae.id, socket, address));
            }
        }
        Ok(phones)
    }

    /// The address of an AE.
    pub(crate) fn of(&self, id: &str) -> SocketAddr {
        self.aes.iter().find(|(own, ..)| *own == id).map_or(self.carrier, |(_, _, address)| *address)
    }

    /// Seats everybody; their recordings begin at `start`.
    pub(crate) fn seat(
        &self,
        cast: &mut Cast,
        stories: &[Story],
        proxy: SocketAddr,
        spoken: &Lines,
        start: Now,
    ) -> io::Result<()> {
        let origin = start.mono;
        for (index, story) in stories.iter().enumerate() {
            let caller = (story.caller_number, "Jamie", Pilot::Caller);
            let phone = match story.begins {
                Begins::Caller => self.callers[index],
                Begins::Outbound | Begins::Callback { .. } => self.carrier_socket,
            };
            cast.seat(index, Role::Caller, caller, phone, proxy, &story.caller, spoken, origin)?;
            let ai = (story.dialled, "Ava", Pilot::Ai);
            for (role, steps) in [(Role::Ai, &story.ai), (Role::AiAgain, &story.ai_again)] {
                if !steps.is_empty() {
                    cast.seat(index, role, ai, 0, proxy, steps, spoken, origin)?;
                }
            }
            for ae in &story.aes {
                let socket = self.aes.iter().find(|(id, ..)| *id == ae.id).map_or(0, |(_, socket, _)| *socket);
                let role = Role::Ae(ae.id.to_owned());
                cast.seat(index, role, (ae.id, ae.name, ae.pilot), socket, proxy, &ae.steps, spoken, origin)?;
            }
        }
        Ok(())
    }
}

/// Reads every line that the stories need; `samples_max`: people say no more of each.
pub(crate) fn lines(stories: &[Story], samples_max: usize) -> Lines {
    let mut lines = Lines::default();
    for step in stories.iter().flat_map(Story::steps) {
        if let Step::Say(name) = step
            && lines.line(name).is_none()
            && let Some((_, _, clip)) = crate::voice::lines::line(name)
        {
            let samples = clip.samples();
            lines.add(name.clone(), &samples[..samples.len().min(samples_max)]);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_named_by_role_and_name() {
        assert_eq!(Role::Ae("sara-backup".to_owned()).file_name(), "ae-sara");
        assert_eq!((Role::Caller.file_name(), Role::Ai.file_name()), ("caller".to_owned(), "ai".to_owned()));
    }
}
