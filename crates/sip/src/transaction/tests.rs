//! The four machines by themselves: every timer, over datagrams and streams. Repetitions and crossings are played in `ua`.

use std::time::Duration;

use baton_time::Mono;
use bytes::Bytes;

use super::*;
use crate::timing::{Timing, Why};
use crate::transport::Transport;

const T: Timing = Timing {
    t1: Duration::from_millis(500),
    t2: Duration::from_secs(4),
    t4: Duration::from_secs(5),
    trying: Duration::from_millis(20),
};
const BEGIN: Mono = Mono::from_millis(1_000);

fn message(transport: Transport) -> Transmit {
    let addr = "192.0.2.1:5060".parse().unwrap();
    Transmit { transport, connection: None, local: addr, remote: addr, server: None, bytes: Bytes::from_static(b"x") }
}

/// Wakes a machine at each of its deadlines and writes down when, in ms, why, and what came of it.
fn run(mut poll: impl FnMut(Option<Mono>) -> (Option<(Mono, Why)>, Option<Wake>)) -> Vec<(u128, Why, Wake)> {
    let mut all = Vec::new();
    while let (Some((at, why)), _) = poll(None) {
        let wake = poll(Some(at)).1.unwrap();
        let is_over = matches!(wake, Wake::GaveUp | Wake::Over);
        all.push((at.since(BEGIN).as_millis(), why, wake));
        if is_over {
            break;
        }
    }
    all
}

macro_rules! run {
    ($machine:expr) => {{
        let machine = &mut $machine;
        run(|at| match at {
            None => (machine.poll_timeout(), None),
            Some(at) => (None, Some(machine.on_timeout(at))),
        })
    }};
}

fn sent(at: &[u128], last: (u128, Why, Wake), transport: Transport) -> Vec<(u128, Why, Wake)> {
    let mut all: Vec<_> = at.iter().map(|at| (*at, Why::SendAgain, Wake::Send(message(transport)))).collect();
    all.push(last);
    all
}

#[test]
fn timers_a_and_b_repeat_an_invite_and_give_it_up() {
    let mut machine = ClientInvite::new(BEGIN, message(Transport::Udp), T);
    let expected = sent(&[500, 1_500, 3_500, 7_500, 15_500, 31_500], (32_000, Why::GiveUp, Wake::GaveUp), Transport::Udp);
    assert_eq!(run!(machine), expected);
    let mut machine = ClientInvite::new(BEGIN, message(Transport::Tcp), T);
    assert_eq!(run!(machine), [(32_000, Why::GiveUp, Wake::GaveUp)]);
}

#[test]
fn timer_d_remembers_a_refused_invite() {
    for (transport, linger) in [(Transport::Udp, 32_000), (Transport::Tcp, 0)] {
        let mut machine = ClientInvite::new(BEGIN, message(transport), T);
        assert_eq!(machine.on_response(BEGIN, 486, Transmit::clone), Answer::DeliverAndAcknowledge);
        assert_eq!(machine.on_response(BEGIN, 486, Transmit::clone), Answer::AcknowledgeAgain(message(transport)));
        assert_eq!(machine.on_response(BEGIN, 200, Transmit::clone), Answer::Ignore);
        assert_eq!(machine.on_response(BEGIN, 180, Transmit::clone), Answer::Ignore);
        assert_eq!(run!(machine), [(linger, Why::Forget, Wake::Over)]);
    }
}

#[test]
fn timer_m_lets_every_2xx_through_and_nothing_else() {
    let mut machine = ClientInvite::new(BEGIN, message(Transport::Udp), T);
    assert_eq!(machine.on_response(BEGIN, 180, Transmit::clone), Answer::Deliver);
    assert_eq!(machine.poll_timeout(), None);
    assert!(machine.is_proceeding());
    for _ in 0..3 {
        assert_eq!(machine.on_response(BEGIN, 200, Transmit::clone), Answer::Deliver);
    }
    assert_eq!(machine.on_response(BEGIN, 180, Transmit::clone), Answer::Ignore);
    assert_eq!(machine.on_response(BEGIN, 486, Transmit::clone), Answer::Ignore);
    assert_eq!(run!(machine), [(32_000, Why::Forget, Wake::Over)]);
}

#[test]
fn timers_e_and_f_repeat_a_request_and_give_it_up() {
    let mut machine = Client::new(BEGIN, message(Transport::Udp), T);
    let times = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(run!(machine), sent(&times, (32_000, Why::GiveUp, Wake::GaveUp), Transport::Udp));
    let mut machine = Client::new(BEGIN, message(Transport::Tcp), T);
    assert_eq!(run!(machine), [(32_000, Why::GiveUp, Wake::GaveUp)]);
}

#[test]
fn timer_e_is_slow_after_a_provisional_answer() {
    let mut machine = Client::new(BEGIN, message(Transport::Udp), T);
    assert!(machine.on_response(BEGIN, 100));
    let times = [500, 4_500, 8_500, 12_500, 16_500, 20_500, 24_500, 28_500];
    assert_eq!(run!(machine), sent(&times, (32_000, Why::GiveUp, Wake::GaveUp), Transport::Udp));
}

#[test]
fn timer_k_swallows_repeated_answers() {
    for (transport, linger) in [(Transport::Udp, 5_000), (Transport::Tcp, 0)] {
        let mut machine = Client::new(BEGIN, message(transport), T);
        assert!(machine.on_response(BEGIN, 200));
        assert!(!machine.on_response(BEGIN, 200));
        assert!(!machine.on_response(BEGIN, 100));
        assert_eq!(run!(machine), [(linger, Why::Forget, Wake::Over)]);
    }
}

#[test]
fn a_100_to_a_datagram_leaves_when_nothing_better_was_said_for_a_moment() {
    let mut machine = ServerInvite::new(T);
    assert!(!machine.has_spoken());
    assert_eq!(machine.respond(BEGIN, 100, message(Transport::Udp)), Leaves::Later);
    assert!(!machine.has_spoken() && machine.on_repetition().is_some(), "whoever asks again meanwhile gets it");
    assert_eq!(run!(machine), [(20, Why::Trying, Wake::Speak(message(Transport::Udp)))]);
    assert!(machine.has_spoken());
    for better in [180, 200, 486] {
        let mut machine = ServerInvite::new(T);
        machine.respond(BEGIN, 100, message(Transport::Udp));
        assert_eq!(machine.respond(BEGIN, better, message(Transport::Udp)), Leaves::Now);
        assert!(machine.has_spoken() && run!(machine).iter().all(|(_, why, _)| *why != Why::Trying), "{better}");
        assert_eq!(machine.respond(BEGIN, 100, message(Transport::Udp)), if better == 180 { Leaves::Now } else { Leaves::Later });
    }
    let mut machine = ServerInvite::new(T);
    assert_eq!(machine.respond(BEGIN, 100, message(Transport::Tcp)), Leaves::Now, "nobody sends an INVITE twice over a stream");
}

#[test]
fn timers_g_and_h_repeat_a_refusal_and_give_it_up() {
    let mut machine = ServerInvite::new(T);
    assert_eq!((machine.poll_timeout(), machine.on_repetition()), (None, None));
    machine.respond(BEGIN, 486, message(Transport::Udp));
    let times = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(run!(machine), sent(&times, (32_000, Why::GiveUp, Wake::GaveUp), Transport::Udp));
    let mut machine = ServerInvite::new(T);
    machine.respond(BEGIN, 486, message(Transport::Tcp));
    assert_eq!(run!(machine), [(32_000, Why::GiveUp, Wake::GaveUp)]);
}

#[test]
fn timer_i_swallows_repeated_acks() {
    for (transport, linger) in [(Transport::Udp, 5_000), (Transport::Tcp, 0)] {
        let mut machine = ServerInvite::new(T);
        machine.respond(BEGIN, 486, message(transport));
        assert_eq!(machine.on_repetition(), Some(&message(transport)));
        assert!(machine.on_ack(BEGIN));
        assert!(machine.on_ack(BEGIN));
        assert_eq!(machine.on_repetition(), None);
        assert_eq!(run!(machine), [(linger, Why::Forget, Wake::Over)]);
    }
}

#[test]
fn timer_l_swallows_repeated_invites_and_leaves_the_ack_to_the_session() {
    let mut machine = ServerInvite::new(T);
    machine.respond(BEGIN, 180, message(Transport::Udp));
    assert_eq!(machine.on_repetition(), Some(&message(Transport::Udp)));
    machine.respond(BEGIN, 200, message(Transport::Udp));
    machine.respond(BEGIN, 486, message(Transport::Udp));
    assert!(!machine.is_open());
    assert_eq!(machine.on_repetition(), None);
    assert!(!machine.on_ack(BEGIN));
    assert_eq!(run!(machine), [(32_000, Why::Forget, Wake::Over)]);
}

#[test]
fn timer_j_answers_repeated_requests() {
    for (transport, linger) in [(Transport::Udp, 32_000), (Transport::Tcp, 0)] {
        let mut machine = Server::new(BEGIN, T);
        assert_eq!(machine.on_repetition(), None);
        machine.respond(BEGIN, 100, message(transport));
        assert_eq!(machine.on_repetition(), Some(&message(transport)));
        machine.respond(BEGIN, 200, message(transport));
        assert_eq!(machine.on_repetition(), Some(&message(transport)));
        assert_eq!(run!(machine), [(linger, Why::Forget, Wake::Over)]);
    }
}

#[test]
fn a_request_that_we_never_answer_is_given_up_in_silence() {
    let mut machine = Server::new(BEGIN, T);
    assert_eq!(run!(machine), [(32_000, Why::GiveUp, Wake::GaveUp)]);
    machine.respond(BEGIN, 200, message(Transport::Udp));
    assert!(!machine.is_open());
}
