//! Password checks, on a helper thread: no order waits for a hash.

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::net::ConnId;
use crate::order::UserId;
use crate::ring::{Consumer, Producer};
use crate::wire::soupbin::trim;

/// What proves a user.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// The password itself.
    Plain(String),
    /// An argon2id hash of the password in upper case, as a PHC string.
    Hash(String),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(..)")
    }
}

/// A login to check.
#[derive(Clone, Copy)]
pub struct AuthRequest {
    /// Where it came from.
    pub conn: ConnId,
    /// `None` for a name that nobody has; refusing it costs what a wrong password does.
    pub user: Option<UserId>,
    /// As it stood in the login request.
    pub password: [u8; 10],
}

impl AuthRequest {
    /// What rings are filled with.
    pub const EMPTY: AuthRequest =
        AuthRequest { conn: ConnId::NONE, user: None, password: [0; 10] };
}

/// The outcome of a check.
#[derive(Clone, Copy)]
pub struct AuthAnswer {
    /// Where the login came from.
    pub conn: ConnId,
    /// Who it is, if the password was right.
    pub user: Option<UserId>,
}

impl AuthAnswer {
    /// What rings are filled with.
    pub const EMPTY: AuthAnswer = AuthAnswer { conn: ConnId::NONE, user: None };
}

/// Checks logins one after the other; a flood of them waits in its ring, not on the orders.
pub struct Authenticator {
    credentials: Vec<Credential>,
    requests: Consumer<AuthRequest>,
    answers: Producer<AuthAnswer>,
}

impl Authenticator {
    /// Checks against the credentials of users in order of their numbers.
    pub fn new(
        credentials: Vec<Credential>,
        requests: Consumer<AuthRequest>,
        answers: Producer<AuthAnswer>,
    ) -> Authenticator {
        Authenticator { credentials, requests, answers }
    }

    fn check(&self, request: &AuthRequest) -> bool {
        let password = normalize(trim(&request.password));
        let credential = request.user.and_then(|user| self.credentials.get(user.index()));
        match credential {
            Some(Credential::Plain(plain)) => equal(&normalize(plain.as_bytes()), &password),
            Some(Credential::Hash(hash)) => PasswordHash::new(hash)
                .is_ok_and(|hash| hasher().verify_password(&password, &hash).is_ok()),
            None => {
                self.take_as_long(&password);
                false
            }
        }
    }

    /// Spends on a name that nobody has what a wrong password of a hashed user costs.
    fn take_as_long(&self, password: &[u8]) {
        let hash = self.credentials.iter().find_map(|credential| match credential {
            Credential::Hash(hash) => PasswordHash::new(hash).ok(),
            Credential::Plain(_) => None,
        });
        if let Some(hash) = hash {
            let _ = std::hint::black_box(hasher().verify_password(password, &hash));
        }
    }

    /// Checks what waits. Returns how many that were.
    pub fn poll(&mut self) -> usize {
        let mut count = 0;
        while self.answers.has_room(1) {
            let Some(request) = self.requests.pop() else { break };
            let user = request.user.filter(|_| self.check(&request));
            self.answers.push(&AuthAnswer { conn: request.conn, user });
            count += 1;
        }
        count
    }
}

impl crate::runtime::Duty for Authenticator {
    fn poll(&mut self) -> usize {
        let work = Authenticator::poll(self);
        if work == 0 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        work
    }
}

/// Passwords compare without regard to case (SoupBinTCP 3.00, 2.3.2).
fn normalize(password: &[u8]) -> Vec<u8> {
    password.to_ascii_uppercase()
}

/// Compares without telling by its time where the first difference is.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}

fn hasher() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

/// The PHC string for a configuration's `password_hash`.
pub fn hash_password(password: &str) -> Result<String, String> {
    if password.is_empty() || password.len() > 10 || !password.is_ascii() {
        return Err("a SoupBinTCP password is 1 to 10 ASCII characters".to_owned());
    }
    let salt = SaltString::generate(&mut OsRng);
    let hash = hasher().hash_password(&normalize(password.as_bytes()), &salt);
    hash.map(|hash| hash.to_string()).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring;
    use crate::wire::soupbin::pad;

    #[test]
    fn the_right_password_passes_in_any_case_and_nothing_else_does() {
        let (mut requests, rx) = ring::on_heap(8, AuthRequest::EMPTY);
        let (tx, mut answers) = ring::on_heap(8, AuthAnswer::EMPTY);
        let hash = hash_password("Secret").unwrap();
        let credentials = vec![Credential::Plain("secret".to_owned()), Credential::Hash(hash)];
        let mut checker = Authenticator::new(credentials, rx, tx);
        let mut check = |user: Option<u16>, password: &str| {
            let user = user.map(UserId);
            let password = pad(password.as_bytes());
            requests.push(&AuthRequest { conn: ConnId::NONE, user, password });
            assert_eq!(checker.poll(), 1);
            answers.pop().unwrap().user
        };
        for user in [UserId(0), UserId(1)] {
            assert_eq!(check(Some(user.0), "SECRET"), Some(user));
            assert_eq!(check(Some(user.0), "secret"), Some(user));
            assert_eq!(check(Some(user.0), "secre"), None);
            assert_eq!(check(Some(user.0), ""), None);
        }
        assert_eq!(check(Some(7), "secret"), None);
        assert_eq!(check(None, "secret"), None);
    }

    #[test]
    fn passwords_that_do_not_fit_the_protocol_are_refused() {
        assert!(hash_password("").is_err());
        assert!(hash_password("elevenchars").is_err());
    }
}
