#![allow(clippy::disallowed_methods, reason = "these plays are about real sockets and real time")]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use baton_media::sdp::Direction;
use baton_media::{BindError, Clip, Codec, Negotiated, Role, RoomId, Scene, Source, Sources};

use super::*;

const ROOM: RoomId = RoomId(5);
/// What a machine that is busy with other tests may add; plays in virtual time prove the gaps themselves.
const LATE_MAX: Duration = Duration::from_millis(200);

fn relay() -> (Relay, Receiver<Event>) {
    let (events, told) = sync_channel(1_000);
    let rooms = RoomSettings::new(Arc::new(Clip::new("music", vec![2_000; 8_000])));
    let settings = RelaySettings { address: Ipv4Addr::LOCALHOST.into(), threads: 2, rooms, epoch: Instant::now() };
    (Relay::start(settings, Arc::new(move |event| events.try_send(event).is_ok())).unwrap(), told)
}

/// Ports that no other test of this program asks for.
fn ports(relay: &Relay, block: u16, count: usize) -> Vec<u16> {
    relay.bind(31_000 + block * 100..=31_099 + block * 100, count).unwrap()
}

fn party() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket
}

fn agreed(socket: &UdpSocket) -> Negotiated {
    let remote = socket.local_addr().unwrap();
    Negotiated {
        codec: Codec::Pcmu,
        payload_type: 0,
        remote_payload_type: 0,
        dtmf: None,
        ptime_ms: 20,
        remote,
        remote_rtcp: SocketAddr::new(remote.ip(), remote.port() ^ 1),
        direction: Direction::SendRecv,
        rtcp_mux: false,
    }
}

fn join(relay: &Relay, port: u16, role: Role, socket: &UdpSocket) {
    let (room, port, sources) = (ROOM, Port(port), Sources::Symmetric);
    relay.send(Command::Open { room, port, role, sources, seed: port.0.into() }).unwrap();
    relay.send(Command::Connect { room, port, negotiated: agreed(socket) }).unwrap();
}

fn scene(relay: &Relay, scene: Scene) {
    relay.send(Command::Scene { room: ROOM, scene }).unwrap();
}

fn rtp(mark: u8, seq: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend_from_slice(&seq.to_be_bytes());
    packet.extend_from_slice(&(u32::from(seq) * 160).to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, mark]);
    packet.extend_from_slice(&[mark; 160]);
    packet
}

/// Talks every 20 ms until it is told to stop; yields how often it did.
fn talk(socket: UdpSocket, to: u16, mark: u8, stop: Arc<AtomicBool>) -> JoinHandle<u16> {
    std::thread::spawn(move || {
        let begin = Instant::now();
        for seq in 0.. {
            if stop.load(Ordering::Relaxed) {
                return seq;
            }
            socket.send_to(&rtp(mark, seq), (Ipv4Addr::LOCALHOST, to)).unwrap();
            let next = begin + Duration::from_millis(20) * (u32::from(seq) + 1);
            while let Some(rest) = next.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero()) {
                std::thread::park_timeout(rest);
            }
        }
        0
    })
}

struct Got {
    at: Instant,
    seq: u16,
    timestamp: u32,
    mark: u8,
}

fn listen(socket: &UdpSocket, span: Duration) -> Vec<Got> {
    let (end, mut got, mut buffer) = (Instant::now() + span, vec![], [0; 2_048]);
    while Instant::now() < end {
        let Ok((length, _)) = socket.recv_from(&mut buffer) else { continue };
        assert_eq!(length, 172);
        let seq = u16::from_be_bytes([buffer[2], buffer[3]]);
        let timestamp = u32::from_be_bytes([buffer[4], buffer[5], buffer[6], buffer[7]]);
        got.push(Got { at: Instant::now(), seq, timestamp, mark: buffer[100] });
    }
    got
}

/// Waits for the first packet: the leg is connected.
fn hear_one(socket: &UdpSocket) {
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.recv_from(&mut [0; 2_048]).expect("a connected leg gets packets");
}

fn wait_for(told: &Receiver<Event>, what: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = told.recv_timeout(Duration::from_secs(2)).expect("the event comes");
        if what(&event) {
            return event;
        }
    }
}

#[test]
fn a_warm_transfer_over_real_sockets_is_one_stream() {
    const AI_MARK: u8 = 0x21;
    const AE_MARK: u8 = 0x23;
    let (relay, told) = relay();
    let port = ports(&relay, 0, 3);
    let (caller, ai, ae) = (party(), party(), party());
    for (index, (role, socket)) in [(Role::Caller, &caller), (Role::Ai, &ai), (Role::Ae, &ae)].into_iter().enumerate() {
        join(&relay, port[index], role, socket);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let talkers =
        [(ai, port[1], AI_MARK), (ae, port[2], AE_MARK)].map(|(socket, to, mark)| talk(socket, to, mark, Arc::clone(&stop)));
    let hear = |serial, source| Scene::new(serial).hear(Port(port[0]), source);
    scene(&relay, hear(1, Source::Leg(Port(port[1]))));
    let mut got = listen(&caller, Duration::from_millis(307));
    scene(&relay, hear(2, Source::Music));
    got.extend(listen(&caller, Duration::from_millis(211)));
    let (spoken, swapped) = (got.len(), Instant::now());
    scene(&relay, hear(3, Source::Leg(Port(port[2]))));
    got.extend(listen(&caller, Duration::from_millis(400)));
    stop.store(true, Ordering::Relaxed);
    for talker in talkers {
        talker.join().unwrap();
    }
    for pair in got.windows(2) {
        assert_eq!(pair[1].seq, pair[0].seq.wrapping_add(1));
        assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(160));
    }
    let worst = got.windows(2).map(|pair| pair[1].at - pair[0].at).max().unwrap();
    println!("worst gap at the caller {:.1} ms", worst.as_secs_f64() * 1e3);
    assert!(worst < LATE_MAX, "{worst:?}");
    assert!(got[spoken..].iter().all(|got| got.mark != AI_MARK), "the AI is heard after the bridge");
    let first = got.iter().find(|got| got.mark == AE_MARK).expect("the AE is heard");
    assert!(first.at - swapped < LATE_MAX);
    assert!(got.iter().any(|got| got.mark == AI_MARK));
    wait_for(&told, |event| matches!(event, Event::Switched { serial: 3, live: true, .. }));
}

#[test]
fn a_relay_without_rooms_sleeps() {
    let (relay, _told) = relay();
    ports(&relay, 1, 10);
    std::thread::park_timeout(Duration::from_millis(150));
    assert_eq!(relay.wakes(), 0);
}

#[test]
fn a_port_comes_back_and_brings_nothing_along() {
    let (relay, told) = relay();
    let port = ports(&relay, 2, 1)[0];
    let (first, second) = (party(), party());
    join(&relay, port, Role::Caller, &first);
    relay.send(Command::CloseRoom { room: ROOM }).unwrap();
    wait_for(&told, |event| matches!(event, Event::Closed { port: at, .. } if at.0 == port));
    assert_eq!(relay.ports_free(), 1);
    for seq in 0..20 {
        first.send_to(&rtp(9, seq), (Ipv4Addr::LOCALHOST, port)).unwrap();
    }
    join(&relay, port, Role::Caller, &second);
    hear_one(&second);
    second.send_to(&rtp(7, 0), (Ipv4Addr::LOCALHOST, port)).unwrap();
    wait_for(&told, |event| matches!(event, Event::FirstPacket { .. }));
    assert_eq!(relay.tally().of(Fate::Spoofed), 0);
    assert!(ports(&relay, 2, 1)[0] != port);
}

#[test]
fn a_port_that_is_not_in_stock_is_told() {
    let (relay, told) = relay();
    let room = ROOM;
    relay.send(Command::Open { room, port: Port(4), role: Role::Ai, sources: Sources::Symmetric, seed: 1 }).unwrap();
    let error = BindError::NotInStock;
    assert_eq!(wait_for(&told, |_| true), Event::BindFailed { room, port: Port(4), error });
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 31_310)).unwrap();
    assert_eq!(relay.bind(31_310..=31_313, 2).unwrap(), [31_312]);
    let refused = relay.bind(31_310..=31_313, 1).unwrap_err();
    assert!(refused.to_string().contains("no further RTP port"), "{refused}");
    drop(taken);
}

/// Policy and nice value of every thread of that name, as proc(5) writes them: fields 41 and 19 of `stat`.
fn precedences(name: &str) -> Vec<(String, String)> {
    let threads = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    let named = threads.filter_map(|stat| {
        let (front, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        front.ends_with(&format!("({name}")).then(|| (fields[38].to_owned(), fields[16].to_owned()))
    });
    named.collect()
}

#[test]
fn media_threads_come_before_others_where_the_system_allows_it() {
    let allowed = std::thread::Builder::new().name("alike".into());
    let alike = allowed.spawn(|| (precedence::take(), precedences("alike").remove(0))).unwrap();
    let (precedence, alike) = alike.join().unwrap();
    let (relay, told) = relay();
    relay.send(Command::Open { room: ROOM, port: Port(9), role: Role::Caller, sources: Sources::Symmetric, seed: 1 }).unwrap();
    wait_for(&told, |event| matches!(event, Event::BindFailed { .. }));
    let media: Vec<_> = ["media-0", "media-1"].into_iter().flat_map(precedences).collect();
    assert!(media.contains(&alike), "{precedence:?} {alike:?} {media:?}");
}

#[test]
fn a_far_end_that_refuses_packets_for_a_while_ends_nothing() {
    let (relay, _told) = relay();
    let port = ports(&relay, 4, 1)[0];
    let phone = party();
    let address = phone.local_addr().unwrap();
    join(&relay, port, Role::Caller, &phone);
    scene(&relay, Scene::new(1).hear(Port(port), Source::Music));
    hear_one(&phone);
    for seq in 0..4 {
        phone.send_to(&rtp(7, seq), (Ipv4Addr::LOCALHOST, port)).unwrap();
    }
    hear_one(&phone);
    drop(phone);
    std::thread::park_timeout(Duration::from_millis(100));
    let phone = UdpSocket::bind(address).unwrap();
    phone.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let got = listen(&phone, Duration::from_millis(200));
    assert!(got.len() >= 3, "{} packets", got.len());
    assert_eq!(relay.tally().of(Fate::SendFailed), 0);
}

#[test]
fn somebody_else_is_not_heard() {
    let (relay, _told) = relay();
    let port = ports(&relay, 5, 2);
    let (caller, ae, thief) = (party(), party(), party());
    join(&relay, port[0], Role::Caller, &caller);
    join(&relay, port[1], Role::Ae, &ae);
    scene(&relay, Scene::new(1).hear(Port(port[0]), Source::Leg(Port(port[1]))));
    hear_one(&ae);
    for seq in 0..8 {
        ae.send_to(&rtp(7, seq), (Ipv4Addr::LOCALHOST, port[1])).unwrap();
        thief.send_to(&rtp(9, seq), (Ipv4Addr::LOCALHOST, port[1])).unwrap();
    }
    let got = listen(&caller, Duration::from_millis(200));
    assert_eq!(got.iter().filter(|got| got.mark == 7).count(), 8);
    assert_eq!(got.iter().filter(|got| got.mark == 9).count(), 0);
}
