//! Bridged calls through a relay on loopback: `cargo run --release -p baton-relay --example load -- CALLS SECONDS`.
//!
//! Each call has two parties that send 50 packets a second. Prints the delay that the relay adds (with the generator's own), what
//! was lost, and the processor time of the media threads for each relayed packet. With a third word, `bare`, a loop that does
//! nothing but receive and send takes the relay's place: what the system itself costs.
#![allow(clippy::disallowed_methods, reason = "a load tool owns its clock")]

use std::error::Error;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use baton_media::sdp::{Direction, KeyTypes};
use baton_media::{Clip, Codec, Command, Fate, Negotiated, Port, Role, RoomId, RoomSettings, Scene, Source, Sources};
use baton_relay::{Relay, RelaySettings};
use rustix::event::epoll;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let mut number = |default: u64| words.next().map_or(Ok(default), |word| word.parse());
    let (calls, seconds) = (number(100)?, number(5)?);
    let is_bare = std::env::args().nth(3).is_some_and(|word| word == "bare");
    let parties = (0..calls * 2).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<Vec<_>, _>>()?;
    let (relay, ports) =
        if is_bare { (None, bare(&parties)?) } else { relay(&parties).map(|(relay, ports)| (Some(relay), ports))? };
    let stop = AtomicBool::new(false);
    let begin = Instant::now();
    let (sent, mut delays_us) = std::thread::scope(|scope| {
        let ears = scope.spawn(|| listen(&parties, begin, &stop));
        let sent = talk(&parties, &ports, begin, Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
        (sent, ears.join().unwrap_or_default())
    });
    delays_us.sort_unstable();
    let at = |share: f64| delays_us.get((delays_us.len() as f64 * share) as usize).copied().unwrap_or(0);
    let busy_ns = media_threads_ns()?;
    println!("{calls} calls, {sent} packets sent, {} heard", delays_us.len());
    println!("delay p50 {} µs, p99 {} µs, worst {} µs", at(0.5), at(0.99), delays_us.last().unwrap_or(&0));
    println!("{:.2} µs of processor time for each relayed packet", busy_ns as f64 / 1e3 / sent.max(1) as f64);
    for fate in Fate::ALL {
        let packets = relay.as_ref().map_or(0, |relay| relay.tally().of(fate));
        if packets > 0 {
            println!("{:?}: {packets}", fate.labels());
        }
    }
    Ok(())
}

/// A relay whose rooms have two parties each.
fn relay(parties: &[UdpSocket]) -> Result<(Relay, Vec<u16>), Box<dyn Error>> {
    let rooms = RoomSettings::new(Arc::new(Clip::new("none", vec![])));
    let settings = RelaySettings { address: Ipv4Addr::LOCALHOST.into(), threads: 1, rooms, epoch: Instant::now() };
    let relay = Relay::start(settings, Arc::new(|_| true))?;
    let ports = relay.bind(20_000..=60_000, parties.len())?;
    for (room, (ports, parties)) in ports.chunks_exact(2).zip(parties.chunks_exact(2)).enumerate() {
        bridge(&relay, RoomId(room as u64), ports, parties)?;
    }
    Ok((relay, ports))
}

/// A loop that sends what comes from one party to the other.
fn bare(parties: &[UdpSocket]) -> Result<Vec<u16>, Box<dyn Error>> {
    let (epoll, mut sockets) = (epoll::create(epoll::CreateFlags::CLOEXEC)?, Vec::new());
    for (index, party) in parties.iter().enumerate() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(party.local_addr()?)?;
        epoll::add(&epoll, &socket, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
        sockets.push(socket);
    }
    let ports = sockets.iter().map(|socket| socket.local_addr().map(|local| local.port())).collect::<Result<_, _>>()?;
    let pass = move || loop {
        let (mut events, mut packet) = ([const { MaybeUninit::uninit() }; 256], [0; 2_048]);
        let Ok((ready, _)) = epoll::wait(&epoll, &mut events, None) else { continue };
        for event in ready {
            let index = event.data.u64() as usize;
            if let Ok(length) = sockets[index].recv(&mut packet) {
                sockets[index ^ 1].send(&packet[..length]).ok();
            }
        }
    };
    std::thread::Builder::new().name("media-bare".into()).spawn(pass)?;
    Ok(ports)
}

fn bridge(relay: &Relay, room: RoomId, ports: &[u16], parties: &[UdpSocket]) -> Result<(), Box<dyn Error>> {
    let (one, other) = (Port(ports[0]), Port(ports[1]));
    for (port, party) in [one, other].into_iter().zip(parties) {
        relay.send(Command::Open { room, port, role: Role::Caller, sources: Sources::Symmetric, seed: port.0.into() })?;
        let remote = party.local_addr()?;
        let negotiated = Negotiated {
            codec: Codec::Pcmu,
            payload_type: 0,
            remote_payload_type: 0,
            dtmf: Some(KeyTypes { payload_type: 101, remote_payload_type: 101 }),
            ptime_ms: 20,
            remote,
            remote_rtcp: SocketAddr::new(remote.ip(), 9),
            direction: Direction::SendRecv,
            rtcp_mux: false,
        };
        relay.send(Command::Connect { room, port, negotiated })?;
    }
    relay.send(Command::Scene { room, scene: Scene::new(1).hear(one, Source::Leg(other)).hear(other, Source::Leg(one)) })?;
    Ok(())
}

/// Sends for all parties, each at its own phase; yields how many packets that were.
fn talk(parties: &[UdpSocket], ports: &[u16], begin: Instant, span: Duration) -> u64 {
    let (mut sent, mut packet) = (0, [0x5A; 172]);
    for round in 0..(span.as_millis() / 20) as u32 {
        for (index, (party, port)) in parties.iter().zip(ports).enumerate() {
            let due = begin + Duration::from_millis(20) * round + Duration::from_millis(20) * index as u32 / parties.len() as u32;
            while let Some(rest) = due.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero()) {
                std::thread::park_timeout(rest);
            }
            packet[..2].copy_from_slice(&[0x80, 0]);
            packet[2..4].copy_from_slice(&(round as u16).to_be_bytes());
            packet[4..8].copy_from_slice(&(round * 160).to_be_bytes());
            packet[8..12].copy_from_slice(&(index as u32).to_be_bytes());
            packet[12..20].copy_from_slice(&(begin.elapsed().as_micros() as u64).to_be_bytes());
            sent += u64::from(party.send_to(&packet, (Ipv4Addr::LOCALHOST, *port)).is_ok());
        }
    }
    sent
}

/// Hears for all parties; yields the delays of what other parties said, in microseconds.
fn listen(parties: &[UdpSocket], begin: Instant, stop: &AtomicBool) -> Vec<u64> {
    let mut delays = Vec::new();
    let Ok(epoll) = epoll::create(epoll::CreateFlags::CLOEXEC) else { return delays };
    for (index, party) in parties.iter().enumerate() {
        let watched = epoll::add(&epoll, party, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN);
        if watched.is_err() || party.set_nonblocking(true).is_err() {
            return delays;
        }
    }
    let wait = rustix::time::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    while !stop.load(Ordering::Relaxed) {
        let mut events = [const { MaybeUninit::uninit() }; 256];
        let Ok((ready, _)) = epoll::wait(&epoll, &mut events, Some(&wait)) else { continue };
        for event in ready {
            let mut packet = [0; 2_048];
            while let Ok((172, _)) = parties[event.data.u64() as usize].recv_from(&mut packet) {
                if packet[20] == 0x5A {
                    let stamp = packet[12..20].iter().fold(0, |stamp, octet| stamp << 8 | u64::from(*octet));
                    delays.push((begin.elapsed().as_micros() as u64).saturating_sub(stamp));
                }
            }
        }
    }
    delays
}

/// The processor time of this program's media threads, in nanoseconds.
fn media_threads_ns() -> Result<u64, Box<dyn Error>> {
    let mut busy = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let path = task?.path();
        if std::fs::read_to_string(path.join("comm"))?.starts_with("media-") {
            let spent = std::fs::read_to_string(path.join("schedstat"))?;
            busy += spent.split_ascii_whitespace().next().unwrap_or("0").parse::<u64>()?;
        }
    }
    Ok(busy)
}
