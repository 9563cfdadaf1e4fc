//! Passwords that were found right before, so that nobody pays for the same slow hash twice.
//!
//! What is kept of one is a digest under a key that is made at the start and never leaves memory.
//! Only right passwords are remembered: a wrong one costs the full hash every time.

use std::sync::OnceLock;

use argon2::password_hash::rand_core::{OsRng, RngCore};
use blake2::Blake2bMac;
use blake2::digest::Mac;
use blake2::digest::consts::U32;

use super::auth::{AuthRequest, Credential, equal, normal};

type Digest = [u8; 32];

/// What is remembered, for all gateways and helper threads together.
pub struct Passwords {
    key: [u8; 32],
    /// By user. A password does not change while the process runs.
    right: Vec<OnceLock<Digest>>,
}

impl Passwords {
    /// Knows the passwords that the configuration tells plainly; those of users who speak FIX
    /// compare exactly.
    pub fn new<'a>(users: impl Iterator<Item = (&'a Credential, bool)>) -> Passwords {
        let mut passwords = Passwords { key: [0; 32], right: vec![] };
        OsRng.fill_bytes(&mut passwords.key);
        for (credential, exact) in users {
            let plain = match credential {
                Credential::Plain(plain) => Some(normal(plain.as_bytes(), exact)),
                Credential::Hash(_) => None,
            };
            let right = plain.map(|plain| passwords.digest(&plain));
            passwords.right.push(right.map_or_else(OnceLock::new, OnceLock::from));
        }
        passwords
    }

    fn digest(&self, password: &[u8]) -> Digest {
        let mut mac =
            <Blake2bMac<U32> as Mac>::new_from_slice(&self.key).expect("a key of 32 bytes");
        mac.update(password);
        mac.finalize().into_bytes().into()
    }

    /// Whether a login's password is one that was right before.
    pub(super) fn knows(&self, request: &AuthRequest) -> bool {
        let right = request.user.and_then(|user| self.right.get(user.index())?.get());
        right.is_some_and(|right| equal(right, &self.digest(&request.normal())))
    }

    /// Remembers a login's password, which was right.
    pub(super) fn learn(&self, request: &AuthRequest) {
        if let Some(place) = request.user.and_then(|user| self.right.get(user.index())) {
            // Another helper may have found the same.
            let _ = place.set(self.digest(&request.normal()));
        }
    }
}
