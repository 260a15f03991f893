//! A packet's way through a room takes no memory from the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;

use baton_media::sdp::{Direction, KeyTypes};
use baton_media::{
    Channel, Clip, Codec, Command, Negotiated, Outbox, Port, Role, Room, RoomId, RoomSettings, Scene, Source, Sources,
};
use baton_time::Mono;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the promises that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const ROOM: RoomId = RoomId(1);
const LEGS: [(Port, Codec); 3] = [(Port(4_000), Codec::Pcmu), (Port(4_002), Codec::Pcma), (Port(4_004), Codec::Pcmu)];

fn bridged(out: &mut Outbox) -> Room {
    let mut room = Room::new(ROOM, Arc::new(RoomSettings::new(Arc::new(Clip::new("music", vec![900; 8_000])))));
    for (port, codec) in LEGS {
        let remote = SocketAddr::from(([192, 0, 2, 1], port.0));
        let negotiated = Negotiated {
            codec,
            payload_type: codec.payload_type(),
            remote_payload_type: codec.payload_type(),
            dtmf: Some(KeyTypes { payload_type: 101, remote_payload_type: 101 }),
            ptime_ms: 20,
            remote,
            remote_rtcp: remote,
            direction: Direction::SendRecv,
            rtcp_mux: true,
        };
        room.command(
            Mono::ZERO,
            Command::Open { room: ROOM, port, role: Role::Caller, sources: Sources::Symmetric, seed: 1 },
            out,
        );
        room.command(Mono::ZERO, Command::Connect { room: ROOM, port, negotiated }, out);
    }
    let [(one, _), (other, _), (third, _)] = LEGS;
    let scene = Scene::new(1).hear(one, Source::Leg(other)).hear(other, Source::Leg(one)).hear(third, Source::Music);
    room.command(Mono::ZERO, Command::Scene { room: ROOM, scene }, out);
    room
}

#[test]
fn forwarding_transcoding_and_music_take_no_memory() {
    let mut out = Outbox::new();
    let mut room = bridged(&mut out);
    let mut settled = 0;
    for number in 0..500u16 {
        if number == 20 {
            settled = ALLOCATIONS.get();
        }
        let now = Mono::from_millis(u64::from(number) * 20);
        for (port, codec) in LEGS {
            let mut packet = [0x55; 172];
            packet[..2].copy_from_slice(&[0x80, codec.payload_type()]);
            packet[2..4].copy_from_slice(&number.to_be_bytes());
            packet[4..8].copy_from_slice(&(u32::from(number) * 160).to_be_bytes());
            packet[8..12].copy_from_slice(&u32::from(port.0).to_be_bytes());
            let from = SocketAddr::from(([192, 0, 2, 1], port.0));
            room.on_packet(now, port, Channel::Rtp, from, &packet, &mut out);
        }
        room.tick(now, &mut out);
        assert!(out.outgoing().count() >= 3);
        out.clear();
    }
    assert_eq!(ALLOCATIONS.get() - settled, 0);
}
