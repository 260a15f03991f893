//! Digest as the side that asks (RFC 7616, RFC 8760): challenges, and whether what comes back proves the password.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_time::Mono;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use super::{Algorithms, Ask, Challenge, Hash, Quality, read_algorithm};
use crate::wire::{Header, Message, Name, Uri, pairs};

/// How long a nonce is good for: longer than any answer takes, shorter than anybody needs to try passwords on it.
const NONCE_MAX: Duration = Duration::from_secs(300);
/// How many nonces are remembered with their counts; when there are more, the oldest are as good as expired.
const NONCES_MAX: usize = 8_192;

/// What a request proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It comes from this user.
    Proved(String),
    /// The password is right, but the nonce is too old, was used up, or was made before we were started: challenge again, and say so.
    Stale,
    /// It answers no challenge of this realm.
    Missing,
    /// It proves nothing: unknown user, wrong password, or an answer that cannot be read.
    Wrong,
}

/// Asks for passwords, in one realm.
#[derive(Debug, Clone)]
pub struct Guard {
    realm: String,
    secret: [u8; 32],
    drawn: u64,
    /// The highest count that each nonce was used with.
    used: BTreeMap<Stamp, u32>,
    /// Nonces from before this are not taken any more.
    floor: Stamp,
}

/// What is known of a user.
#[derive(Clone, PartialEq, Eq)]
pub struct Known {
    /// The password.
    pub password: String,
    /// By which algorithms it may be proved.
    pub algorithms: Algorithms,
}

/// When a nonce was made, and which it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    at: Mono,
    number: u64,
}

/// The answer to a challenge.
struct Answer<'m> {
    user: &'m str,
    nonce: &'m str,
    uri: &'m str,
    response: &'m str,
    cnonce: &'m str,
    count: u32,
    hash: Hash,
    quality: Quality,
}

impl Guard {
    /// A guard whose nonces nobody without the seed can make.
    pub fn new(realm: &str, seed: u64) -> Guard {
        let secret = Sha256::new().chain_update(b"baton sip nonces").chain_update(seed.to_be_bytes()).finalize();
        let realm = realm.replace(['"', '\\'], "'");
        Guard { realm, secret: secret.into(), drawn: 0, used: BTreeMap::new(), floor: Stamp::default() }
    }

    /// The headers of a 401: one challenge for each of these algorithms, the one that is preferred first (RFC 8760 §2.3).
    pub fn challenge(&mut self, now: Mono, verdict: &Verdict, algorithms: Algorithms) -> Vec<Header> {
        self.drawn += 1;
        let nonce = self.nonce(Stamp { at: now, number: self.drawn });
        let stale = if *verdict == Verdict::Stale { ", stale=true" } else { "" };
        let challenge = |algorithm: &str| {
            let value = format!(
                "Digest realm=\"{}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth,auth-int\"{stale}",
                self.realm
            );
            Header::new("WWW-Authenticate", value)
        };
        algorithms.names().iter().map(|algorithm| challenge(algorithm)).collect()
    }

    /// Reads the Authorization of a request. `user` knows the users. An answer by an algorithm that the user was not offered is wrong, whatever
    /// it proves: nobody in between talks a phone and us down to a weaker one.
    pub fn check(&mut self, now: Mono, request: &Message, user: impl FnOnce(&str) -> Option<Known>) -> Verdict {
        let ours = request.headers(Name::Authorization).filter_map(|value| {
            let (scheme, rest) = value.split_once([' ', '\t'])?;
            scheme.eq_ignore_ascii_case("Digest").then_some(rest)
        });
        let Some(rest) = ours.into_iter().find(|rest| param(rest, "realm") == Some(&self.realm)) else { return Verdict::Missing };
        let Some(answer) = Answer::read(rest) else { return Verdict::Wrong };
        if !is_about(answer.uri, request) {
            return Verdict::Wrong;
        }
        let name = answer.user.replace("\\\"", "\"").replace("\\\\", "\\");
        let known = user(&name);
        let password = known.as_ref().map(|known| known.password.as_str()).unwrap_or_default();
        // The same work is done for users that there are not, so that nobody can ask by the clock who there is.
        let is_right = answer.is_right(&self.realm, password, request)
            & known.as_ref().is_some_and(|known| known.algorithms.has(answer.hash));
        if !is_right {
            return Verdict::Wrong;
        }
        // RFC 7616 §3.3: a right answer to a nonce that is none of ours is stale, not wrong. Phones that had one before we were started again
        // have not forgotten their password.
        match self.stamp(answer.nonce) {
            Some(stamp) if self.use_up(now, stamp, answer.count) => Verdict::Proved(name),
            Some(_) | None => Verdict::Stale,
        }
    }

    /// A nonce tells when it was made, and proves that it is ours; nothing has to be remembered until it is used.
    fn nonce(&self, stamp: Stamp) -> String {
        let stamp_text = format!("{:016x}{:016x}", stamp.at.as_micros(), stamp.number);
        let proof = Sha256::new().chain_update(self.secret).chain_update(stamp_text.as_bytes()).finalize();
        format!("{stamp_text}{}", hex::encode(&proof[..16]))
    }

    /// The stamp of a nonce of ours.
    fn stamp(&self, nonce: &str) -> Option<Stamp> {
        let number = |text: Option<&str>| u64::from_str_radix(text?, 16).ok();
        let stamp = Stamp { at: Mono::from_micros(number(nonce.get(..16))?), number: number(nonce.get(16..32))? };
        bool::from(self.nonce(stamp).as_bytes().ct_eq(nonce.as_bytes())).then_some(stamp)
    }

    /// Whether a nonce may be used with this count now: each count once, and only upwards.
    fn use_up(&mut self, now: Mono, stamp: Stamp, count: u32) -> bool {
        if stamp <= self.floor || stamp.at + NONCE_MAX <= now {
            return false;
        }
        let last = self.used.get(&stamp).copied().unwrap_or(0);
        if count <= last {
            return false;
        }
        self.used.insert(stamp, count);
        while self.used.len() > NONCES_MAX {
            if let Some((oldest, _)) = self.used.pop_first() {
                self.floor = oldest;
            }
        }
        true
    }
}

impl<'m> Answer<'m> {
    fn read(rest: &'m str) -> Option<Answer<'m>> {
        let (hash, is_session) = read_algorithm(param(rest, "algorithm").unwrap_or("MD5"))?;
        // Neither a session nor SHA-512/256 was offered.
        if is_session || hash == Hash::Sha512 {
            return None;
        }
        let quality = match param(rest, "qop") {
            None => Quality::Old,
            Some(text) if text.eq_ignore_ascii_case("auth") => Quality::Auth,
            Some(text) if text.eq_ignore_ascii_case("auth-int") => Quality::AuthInt,
            Some(_) => return None,
        };
        let count = match quality {
            // Who does not count uses a nonce once.
            Quality::Old => u32::MAX,
            Quality::Auth | Quality::AuthInt => {
                param(rest, "nc").filter(|text| text.len() == 8).and_then(|text| u32::from_str_radix(text, 16).ok())?
            }
        };
        let cnonce = param(rest, "cnonce").unwrap_or_default();
        let (user, nonce) = (param(rest, "username")?, param(rest, "nonce")?);
        let (uri, response) = (param(rest, "uri")?, param(rest, "response")?);
        Some(Answer { user, nonce, uri, response, cnonce, count, hash, quality })
    }

    /// Whether the password makes this response; takes as long if it does not.
    fn is_right(&self, realm: &str, password: &str, request: &Message) -> bool {
        let challenge = Challenge {
            realm: realm.to_owned(),
            nonce: self.nonce.to_owned(),
            opaque: None,
            algorithm: None,
            hash: self.hash,
            is_session: false,
            quality: self.quality,
            is_stale: false,
            is_proxy: false,
        };
        let body = request.body();
        let ask = Ask { method: request.method(), uri: self.uri, body, nonce_count: self.count, cnonce: self.cnonce };
        let expected = challenge.response(self.user, password, &ask);
        bool::from(expected.as_bytes().ct_eq(self.response.to_ascii_lowercase().as_bytes()))
    }
}

/// Whether the URI that the digest covers is that of the request: an answer is no good for another one.
fn is_about(uri: &str, request: &Message) -> bool {
    let asked = request.request_uri();
    asked.is_some_and(|asked| asked.as_str() == uri || uri.parse::<Uri>().is_ok_and(|uri| uri.is_same(&asked.owned())))
}

fn param<'m>(rest: &'m str, name: &str) -> Option<&'m str> {
    pairs(rest).find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Credentials, challenges};

    const SECOND: Duration = Duration::from_secs(1);

    fn request(authorization: &str) -> Message {
        let text = format!(
            "REGISTER sip:baton.example SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:m@b>;tag=1\r\nTo: <sip:m@b>\r\n\
             Call-ID: 1\r\nCSeq: 1 REGISTER\r\n{authorization}Content-Length: 4\r\n\r\nbody"
        );
        Message::parse(text.into_bytes().into()).expect("a request")
    }

    /// What a user agent makes of the challenges; `only` leaves one algorithm.
    fn answer(headers: &[Header], only: &str, password: &str, count: u32) -> Message {
        let lines = headers.iter().filter(|header| header.value.contains(only));
        let lines: String = lines.map(|header| format!("{}: {}\r\n", header.name, header.value)).collect();
        let text = format!(
            "SIP/2.0 401 No\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:m@b>;tag=1\r\nTo: <sip:m@b>;tag=2\r\nCall-ID: 1\r\n\
             CSeq: 1 REGISTER\r\n{lines}\r\n"
        );
        let response = Message::parse(text.into_bytes().into()).expect("a response");
        let challenge = challenges(&response).remove(0);
        let ask = Ask { method: "REGISTER", uri: "sip:baton.example", body: b"body", nonce_count: count, cnonce: "c" };
        request(&format!("Authorization: {}\r\n", Credentials::new("michael", password).answer(&challenge, &ask).value))
    }

    fn known(user: &str) -> Option<Known> {
        known_by(user, Algorithms::Any)
    }

    fn known_by(user: &str, algorithms: Algorithms) -> Option<Known> {
        (user == "michael").then(|| Known { password: "secret".to_owned(), algorithms })
    }

    #[test]
    fn whoever_knows_the_password_proves_it_with_the_best_hash_that_they_have() {
        for algorithm in ["", "SHA-256", "MD5"] {
            let mut guard = Guard::new("baton", 7);
            let headers = guard.challenge(Mono::default(), &Verdict::Missing, Algorithms::Any);
            assert!(headers[0].value.contains("algorithm=SHA-256") && headers.len() == 2);
            let answer = answer(&headers, algorithm, "secret", 1);
            let text = answer.header(Name::Authorization).expect("an answer");
            assert_eq!(text.contains("algorithm=SHA-256"), algorithm != "MD5", "{text}");
            assert_eq!(guard.check(Mono::default() + SECOND, &answer, known), Verdict::Proved("michael".to_owned()));
        }
    }

    #[test]
    fn an_algorithm_that_a_user_is_not_offered_proves_nothing() {
        let (all, sha, md5) = (Algorithms::Any, Algorithms::Sha256, Algorithms::Md5);
        for (allowed, by, expected) in
            [(sha, "SHA-256", true), (sha, "MD5", false), (md5, "SHA-256", false), (md5, "MD5", true), (all, "MD5", true)]
        {
            let mut guard = Guard::new("baton", 7);
            let offered = guard.challenge(Mono::default(), &Verdict::Missing, allowed);
            assert!(
                offered
                    .iter()
                    .all(|header| allowed == all || header.value.contains(&format!("algorithm={}", allowed.names()[0])))
            );
            let headers = guard.challenge(Mono::default(), &Verdict::Missing, all);
            let answer = answer(&headers, &format!("algorithm={by},"), "secret", 1);
            let verdict = guard.check(Mono::default() + SECOND, &answer, |user| known_by(user, allowed));
            assert_eq!(
                verdict == Verdict::Proved("michael".to_owned()),
                expected,
                "{by} where {allowed:?} is allowed: {verdict:?}"
            );
            assert!(expected || verdict == Verdict::Wrong);
        }
    }

    #[test]
    fn a_nonce_of_an_earlier_run_is_stale_for_those_who_know_the_password_and_wrong_for_others() {
        let headers = Guard::new("baton", 7).challenge(Mono::default(), &Verdict::Missing, Algorithms::Any);
        let mut next = Guard::new("baton", 8);
        let mut check = |password| next.check(Mono::default() + SECOND, &answer(&headers, "", password, 2), known);
        assert_eq!([check("secret"), check("guess"), check("secret")], [Verdict::Stale, Verdict::Wrong, Verdict::Stale]);
    }

    #[test]
    fn a_count_is_good_once_and_only_upwards() {
        let mut guard = Guard::new("baton", 7);
        let headers = guard.challenge(Mono::default(), &Verdict::Missing, Algorithms::Any);
        let mut check = |count| guard.check(Mono::default() + SECOND, &answer(&headers, "", "secret", count), known);
        let proved = Verdict::Proved("michael".to_owned());
        assert_eq!(
            [check(1), check(2), check(2), check(1), check(7)],
            [proved.clone(), proved.clone(), Verdict::Stale, Verdict::Stale, proved]
        );
    }

    #[test]
    fn an_old_nonce_is_stale_for_those_who_know_the_password_and_wrong_for_others() {
        let mut guard = Guard::new("baton", 7);
        let headers = guard.challenge(Mono::default(), &Verdict::Missing, Algorithms::Any);
        let late = Mono::default() + NONCE_MAX;
        assert_eq!(guard.check(late, &answer(&headers, "", "guess", 1), known), Verdict::Wrong);
        assert_eq!(guard.check(late, &answer(&headers, "", "secret", 1), known), Verdict::Stale);
        assert!(
            guard.challenge(late, &Verdict::Stale, Algorithms::Any).iter().all(|header| header.value.ends_with("stale=true"))
        );
    }

    #[test]
    fn nothing_else_proves_anything() {
        let mut guard = Guard::new("baton", 7);
        let headers = guard.challenge(Mono::default(), &Verdict::Missing, Algorithms::Any);
        let right = answer(&headers, "", "secret", 1).header(Name::Authorization).expect("an answer").to_owned();
        let mut check =
            |value: &str| guard.check(Mono::default() + SECOND, &request(&format!("Authorization: {value}\r\n")), known);
        let nonce = right.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a nonce").to_owned();
        let bent = nonce.replacen('0', "1", 1);
        let wrong = [
            right.replace("michael", "nobody"),
            right.replace("sip:baton.example", "sip:elsewhere.example"),
            right.replace(&nonce, &bent),
            right.replace(&nonce, "n"),
            right.replace("nc=00000001", "nc=1"),
            right.replace("nc=00000001", "nc=00000002"),
            right.replace("qop=auth", "qop=auth-conf"),
            right.replace("algorithm=SHA-256", "algorithm=SHA-256-sess"),
            right.replace("algorithm=SHA-256", "algorithm=SHA-512-256"),
            right.replace("response=\"", "response=\"0"),
            right.replace("response=", "answer="),
        ];
        for value in wrong {
            assert_eq!(check(&value), Verdict::Wrong, "{value}");
        }
        for value in [right.replace("realm=\"baton\"", "realm=\"other\""), "Basic bTpz".to_owned(), "Digest".to_owned()] {
            assert_eq!(check(&value), Verdict::Missing, "{value}");
        }
        assert_eq!(guard.check(Mono::default() + SECOND, &request(""), known), Verdict::Missing);
    }

    #[test]
    fn what_is_remembered_of_nonces_has_an_end_and_forgets_nothing_that_could_be_used_again() {
        let mut guard = Guard::new("baton", 7);
        let first = guard.challenge(Mono::default(), &Verdict::Missing, Algorithms::Any);
        let at = Mono::default() + SECOND;
        assert_eq!(guard.check(at, &answer(&first, "", "secret", 1), known), Verdict::Proved("michael".to_owned()));
        for number in 0..=NONCES_MAX as u64 {
            assert!(guard.use_up(at, Stamp { at, number }, 1));
        }
        assert_eq!(guard.used.len(), NONCES_MAX);
        assert_eq!(guard.check(at, &answer(&first, "", "secret", 1), known), Verdict::Stale);
    }
}
