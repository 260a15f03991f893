//! Signatures as Standard Webhooks has them (<https://www.standardwebhooks.com>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The secret that sender and receiver share.
#[derive(Clone)]
pub(crate) struct SigningKey(Vec<u8>);

/// A secret that says it is base64 and is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("has something else than base64 behind `whsec_`")]
pub(crate) struct KeyError;

impl SigningKey {
    /// The key in `secret`: base64 behind `whsec_`, else its octets as they are.
    pub(crate) fn new(secret: &str) -> Result<SigningKey, KeyError> {
        match secret.strip_prefix("whsec_") {
            Some(encoded) => STANDARD.decode(encoded).map(SigningKey).map_err(|_| KeyError),
            None => Ok(SigningKey(secret.as_bytes().to_vec())),
        }
    }

    /// What the header `webhook-signature` says.
    pub(crate) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_is_signed_alike() {
        let key = SigningKey::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_plain_secret_is_taken_as_it_is_and_a_broken_one_is_refused() {
        let (plain, encoded) = (SigningKey::new("hush").unwrap(), SigningKey::new("whsec_aHVzaA==").unwrap());
        assert_eq!(plain.sign("a", 1, b"x"), encoded.sign("a", 1, b"x"));
        assert!(SigningKey::new("whsec_not base64").is_err());
        assert!(!format!("{plain:?}").contains("hush"));
    }
}
