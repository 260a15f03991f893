use super::{INVITE, lines};
use crate::wire::{AddrRef, Framer, Message, Name, UriRef};

/// A small generator of numbers (xorshift), the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap_or(0)
    }
}

const SPICE: [&[u8]; 28] = [
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b"\"",
    b"\\",
    b"<",
    b">",
    b";",
    b",",
    b"@",
    b"%",
    b"%0",
    b"?",
    b"&",
    b"=",
    b"[",
    b"]",
    b":",
    b" ",
    b"\t",
    b"\xff",
    b"\xc3",
    b"99999999999",
    b"\r\n ",
    b"SIP/2.0",
    b"\"\\",
    "\u{5927}".as_bytes(),
];

fn mutant(dice: &mut Dice, seed: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(bytes.len().max(1)).min(bytes.len());
        let end = (at + dice.roll(12)).min(bytes.len());
        match dice.roll(5) {
            0 => {
                bytes.drain(at..end);
            }
            1 => {
                let piece = bytes[at..end].to_vec();
                let to = dice.roll(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            2 if at < bytes.len() => bytes[at] = u8::try_from(dice.roll(256)).unwrap_or(0),
            3 => bytes.truncate(at.max(1)),
            _ => {
                let spice = SPICE[dice.roll(SPICE.len())];
                bytes.splice(at..at, spice.iter().copied());
            }
        }
    }
    bytes
}

/// Asks a message for everything it has.
fn read_all(message: &Message) -> usize {
    let uris = [message.request_uri(), message.contact().map(AddrRef::uri), Some(message.from().uri())]
        .map(|uri| uri.map(UriRef::owned));
    let mut seen = message.vias().len() + message.routes().len() + message.record_routes().len() + message.contacts().len();
    for uri in uris.into_iter().flatten() {
        let again = uri.to_string().parse().expect("what was read can be read again");
        assert!(uri == again && uri.is_same(&again));
        seen +=
            uri.params().count() + uri.headers().count() + usize::from(uri.tel().is_some()) + uri.password().map_or(0, str::len);
        seen += uri.without_headers().with_param("x", Some("\u{e4};")).without_param("x").as_str().len();
    }
    seen += message.reasons().len() + message.all_headers().count();
    seen += usize::from(message.refer_to().is_some_and(|refer| refer.replaces().is_some()));
    seen += usize::from(message.retry_after().is_some()) + usize::from(message.content_type().is_some());
    seen += usize::from(message.event().is_some()) + usize::from(message.subscription_state().is_some());
    let again: crate::wire::NameAddr = message.to().owned().to_string().parse().expect("what was read can be read again");
    assert_eq!(again.tag(), message.to().tag());
    seen + message.headers(Name::Require).count() + message.phrase().len() + message.from().display().len()
}

fn seeds() -> Vec<Vec<u8>> {
    let mut all = vec![lines(INVITE)];
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sip-fixtures/torture");
    let mut paths: Vec<_> = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    all.extend(
        paths
            .iter()
            .filter(|path| path.extension().is_some_and(|kind| kind == "sip"))
            .map(|path| std::fs::read(path).expect("a file")),
    );
    all.retain(|bytes| bytes.len() < 2_000);
    all
}

#[test]
fn no_mutant_of_any_message_makes_us_panic() {
    let seeds = seeds();
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let (mut read, mut refused, mut dropped) = (0, 0, 0);
    let source = "192.0.2.9:5060".parse().expect("an address");
    for turn in 0..200_000 {
        let bytes = mutant(&mut dice, &seeds[turn % seeds.len()]);
        match super::parse(&bytes) {
            Ok(message) => {
                read += 1;
                if turn % 8 == 0 {
                    read_all(&message);
                    let answer = crate::wire::Builder::response_to(&message, 200, "OK", Some("t")).build();
                    assert!(Message::parse(answer.clone()).is_ok(), "{:?} answered by {answer:?}", message.raw());
                }
            }
            Err(fault) => match fault.response(source) {
                Some(answer) => {
                    refused += 1;
                    assert!(!answer.windows(2).any(|two| two[0] == b'\r' && two[1] != b'\n'), "{answer:?}");
                }
                None => dropped += 1,
            },
        }
        if turn % 4 == 0 {
            let mut framer = Framer::new();
            framer.push(&bytes);
            while let Ok(Some(_)) = framer.next() {}
        }
    }
    assert!(read > 10_000 && refused > 20_000 && dropped > 20_000, "{read} {refused} {dropped}");
}
