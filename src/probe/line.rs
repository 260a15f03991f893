//! The probe's own user agent and sockets.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::Context as _;
use baton_media::sdp;
use baton_sip::digest::Credentials;
use baton_sip::wire::{HostPort, NameAddr, Uri};
use baton_sip::{Dial, Event, Hop, Listen, Reason, Redirects, SessionId, Settings, UserAgent};
use baton_time::Mono;

use super::profile::Sound;
use super::wire::Wire;
use crate::clock::Clock;
use crate::config::Config;

/// The longest wait for a message.
const NAP_MAX: Duration = Duration::from_millis(20);

/// A user agent with a way for SIP and a socket for RTP.
pub(super) struct Line {
    clock: Clock,
    pub(super) agent: UserAgent,
    sip: Wire,
    rtp: UdpSocket,
}

impl Line {
    /// Opens the way to `hop`, and a socket for RTP on the address from which it is reached.
    pub(super) fn open(config: &Config, hop: &Hop) -> anyhow::Result<Line> {
        let sip = Wire::open(config, hop)?;
        let local = sip.local;
        let rtp = UdpSocket::bind((local.ip(), 0)).context("no socket for RTP")?;
        rtp.set_nonblocking(true)?;
        let listen = Listen { transport: hop.transport, addr: local, advertise: HostPort::from(local) };
        let seed = u64::from(local.port()) << 32 | u64::from(std::process::id());
        let agent = UserAgent::new(Settings { user_agent: "Baton probe".to_owned(), ..Settings::new(vec![listen], seed) });
        Ok(Line { clock: Clock::start(), agent, sip, rtp })
    }

    pub(super) fn now(&self) -> Mono {
        self.clock.now().mono
    }

    /// Calls with G.711 and keys on offer.
    pub(super) fn dial(
        &mut self,
        target: Uri,
        route: Hop,
        from: NameAddr,
        credentials: Option<Credentials>,
    ) -> anyhow::Result<SessionId> {
        let rtp = self.rtp.local_addr().context("the socket for RTP")?;
        let direction = sdp::Direction::SendRecv;
        let local = sdp::Local { address: rtp.ip(), port: rtp.port(), session_id: 1, version: 1, direction };
        let dial = Dial {
            target,
            route,
            flow: None,
            others: Vec::new(),
            beside: Vec::new(),
            routes: Vec::new(),
            redirects: Redirects::Usual,
            from,
            to: None,
            headers: Vec::new(),
            sdp: Some(sdp::offer(&local, &sdp::Capabilities::default())),
            credentials,
            max_forwards: None,
        };
        let now = self.now();
        Ok(self.agent.dial(now, dial)?)
    }

    /// Lets things happen until `wanted` has seen what it waits for, or for so long; says whether it has.
    pub(super) fn until(&mut self, span: Duration, mut wanted: impl FnMut(&Event, Mono) -> bool) -> anyhow::Result<bool> {
        let end = self.now() + span;
        while self.now() < end {
            self.step()?;
            let now = self.now();
            while let Some(event) = self.agent.poll_event() {
                if wanted(&event, now) {
                    self.send()?;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn step(&mut self) -> anyhow::Result<()> {
        self.send()?;
        for incoming in self.sip.receive(NAP_MAX)? {
            let now = self.now();
            self.agent.receive(now, incoming);
        }
        let now = self.now();
        if self.agent.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.agent.on_timeout(now);
        }
        self.send()
    }

    fn send(&mut self) -> anyhow::Result<()> {
        while let Some(transmit) = self.agent.poll_transmit() {
            self.sip.send(&transmit.bytes, transmit.remote)?;
        }
        Ok(())
    }

    /// Sends silence to where the far side listens, and hears whether something comes from there, and from where.
    pub(super) fn listen(&mut self, span: Duration, media: Option<SocketAddr>) -> anyhow::Result<Sound> {
        let mut sound = Sound::default();
        let end = self.now() + span;
        let (mut seq, mut buffer) = (0_u16, [0; 2_048]);
        while self.now() < end {
            if let Some(media) = media {
                let mut packet = vec![0x80, 0];
                packet.extend(seq.to_be_bytes());
                packet.extend((u32::from(seq) * 160).to_be_bytes());
                packet.extend([0x42, 0x41, 0x54, 0x4f]);
                packet.extend([0xff; 160]);
                seq = seq.wrapping_add(1);
                // Nobody there yet is nothing that the probe has to tell.
                drop(self.rtp.send_to(&packet, media));
            }
            while let Ok((_, from)) = self.rtp.recv_from(&mut buffer) {
                sound.packets += 1;
                sound.from = Some(from.to_string());
                sound.is_symmetric = media.map(|media| media == from);
            }
            self.step()?;
        }
        Ok(sound)
    }

    /// Asks for the call to be passed on; the status of the answer, 408 where there is none.
    pub(super) fn refer(&mut self, session: SessionId, to: Uri, span: Duration) -> anyhow::Result<u16> {
        let now = self.now();
        self.agent.refer(now, session, &NameAddr::new(None, to), Vec::new())?;
        let mut answer = 408;
        self.until(span, |event, _| {
            if let Event::ReferAnswered { status, .. } = event {
                answer = *status;
            }
            matches!(event, Event::ReferAnswered { .. })
        })?;
        Ok(answer)
    }

    /// Ends the call, and waits for its end a moment.
    pub(super) fn hang_up(&mut self, session: SessionId) -> anyhow::Result<()> {
        let now = self.now();
        if self.agent.hang_up(now, session, Some(Reason::sip(200, "Probed"))).is_ok() {
            self.until(Duration::from_secs(4), |event, _| matches!(event, Event::Released { .. }))?;
        }
        Ok(())
    }
}
