//! Signed, expiring links to the screen-pop of a transfer.

use baton_time::Wall;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::TransferId;

/// Signs and checks the links of screen-pops.
#[derive(Clone)]
pub struct PopLink {
    secret: [u8; 32],
}

/// Why a link is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The signature is not ours, or not for this transfer.
    #[error("the signature of this link is wrong")]
    Forged,
    /// Its time is over.
    #[error("this link has expired")]
    Expired,
}

impl PopLink {
    /// Signs with `secret`, which stays the same across restarts.
    pub fn new(secret: [u8; 32]) -> PopLink {
        PopLink { secret }
    }

    /// The value of `sig` for `transfer`: `<expiry in Unix seconds>.<32 hexadecimal digits>`.
    pub fn sign(&self, transfer: TransferId, expires: Wall) -> String {
        let seconds = expires.as_micros() / 1_000_000;
        format!("{seconds}.{}", hex::encode(&self.mac(transfer, seconds).finalize().into_bytes()[..16]))
    }

    /// Checks `sig` in constant time.
    pub fn check(&self, transfer: TransferId, sig: &str, now: Wall) -> Result<(), LinkError> {
        let (seconds, mac) = sig.split_once('.').ok_or(LinkError::Forged)?;
        let seconds: i64 = seconds.parse().map_err(|_| LinkError::Forged)?;
        let mac = hex::decode(mac).map_err(|_| LinkError::Forged)?;
        if mac.len() != 16 {
            return Err(LinkError::Forged);
        }
        self.mac(transfer, seconds).verify_truncated_left(&mac).map_err(|_| LinkError::Forged)?;
        if Wall::from_seconds(seconds) < now { Err(LinkError::Expired) } else { Ok(()) }
    }

    fn mac(&self, transfer: TransferId, seconds: i64) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes a key of any length");
        mac.update(transfer.uuid().as_bytes());
        mac.update(&seconds.to_be_bytes());
        mac
    }
}

impl std::fmt::Debug for PopLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PopLink(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IdSource;

    #[test]
    fn a_link_opens_its_own_transfer_until_it_expires() {
        let links = PopLink::new([7; 32]);
        let mut ids = IdSource::seeded(1);
        let [one, other] = [(); 2].map(|()| TransferId::new(&mut ids, Wall::from_seconds(5)));
        let sig = links.sign(one, Wall::from_seconds(100));
        assert_eq!(links.check(one, &sig, Wall::from_seconds(99)), Ok(()));
        assert_eq!(links.check(one, &sig, Wall::from_seconds(101)), Err(LinkError::Expired));
        assert_eq!(links.check(other, &sig, Wall::from_seconds(99)), Err(LinkError::Forged));
        assert_eq!(links.check(one, "999.00", Wall::from_seconds(99)), Err(LinkError::Forged));
        assert_eq!(links.check(one, "", Wall::from_seconds(99)), Err(LinkError::Forged));
    }
}
