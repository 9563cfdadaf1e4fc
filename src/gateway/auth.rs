//! Password checks, on helper threads: no order waits for a hash.

use std::sync::Arc;

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::net::ConnId;
use crate::order::UserId;
use crate::ring::{Consumer, Producer};
use crate::wire::soupbin::trim;

use super::passwords::Passwords;

/// Bytes of the longest password (FIX; SoupBinTCP's have up to 10).
pub const PASSWORD_BYTES_MAX: usize = 64;

/// What proves a user.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// The password itself.
    Plain(String),
    /// An argon2id hash of the password as a PHC string; of a SoupBinTCP password, in upper case.
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
    /// As it stood in the login request, padding and all.
    password: [u8; PASSWORD_BYTES_MAX],
    len: u8,
    /// Case counts: SoupBinTCP's passwords compare without regard to it, FIX's do not.
    exact: bool,
}

impl AuthRequest {
    /// What rings are filled with.
    pub const EMPTY: AuthRequest = AuthRequest {
        conn: ConnId::NONE,
        user: None,
        password: [0; PASSWORD_BYTES_MAX],
        len: 0,
        exact: false,
    };

    /// A login. A password longer than any is nobody's.
    pub fn new(conn: ConnId, user: Option<UserId>, password: &[u8], exact: bool) -> AuthRequest {
        let fits = password.len() <= PASSWORD_BYTES_MAX;
        let mut request = AuthRequest { conn, user: user.filter(|_| fits), exact, ..Self::EMPTY };
        if fits {
            request.password[..password.len()].copy_from_slice(password);
            request.len = password.len() as u8;
        }
        request
    }
}

impl AuthRequest {
    /// The password as it is compared.
    pub(super) fn normal(&self) -> Vec<u8> {
        normal(&self.password[..self.len.into()], self.exact)
    }
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

/// Checks logins one after the other, for all gateways in turn.
pub struct Authenticator {
    credentials: Arc<[Credential]>,
    passwords: Arc<Passwords>,
    /// One for each gateway.
    lines: Vec<(Consumer<AuthRequest>, Producer<AuthAnswer>)>,
}

impl Authenticator {
    /// Checks against the credentials of users in order of their numbers, and has right passwords
    /// remembered.
    pub fn new(
        credentials: Arc<[Credential]>,
        passwords: Arc<Passwords>,
        lines: Vec<(Consumer<AuthRequest>, Producer<AuthAnswer>)>,
    ) -> Authenticator {
        Authenticator { credentials, passwords, lines }
    }

    /// Checks one login of each gateway's. Returns how many that were.
    pub fn poll(&mut self) -> usize {
        let mut count = 0;
        for (requests, answers) in &mut self.lines {
            if !answers.has_room(1) {
                continue;
            }
            let Some(request) = requests.pop() else { continue };
            let right = check(&self.credentials, &request);
            if right {
                self.passwords.learn(&request);
            }
            let user = request.user.filter(|_| right);
            answers.push(&AuthAnswer { conn: request.conn, user });
            count += 1;
        }
        count
    }
}

/// Whether a login's password is its user's.
fn check(credentials: &[Credential], request: &AuthRequest) -> bool {
    let password = request.normal();
    let credential = request.user.and_then(|user| credentials.get(user.index()));
    match credential {
        Some(Credential::Plain(plain)) => {
            equal(&normal(plain.as_bytes(), request.exact), &password)
        }
        Some(Credential::Hash(hash)) => PasswordHash::new(hash)
            .is_ok_and(|hash| hasher().verify_password(&password, &hash).is_ok()),
        None => {
            take_as_long(credentials, &password);
            false
        }
    }
}

/// Spends on a name that nobody has what a wrong password of a hashed user costs.
fn take_as_long(credentials: &[Credential], password: &[u8]) {
    let hash = credentials.iter().find_map(|credential| match credential {
        Credential::Hash(hash) => PasswordHash::new(hash).ok(),
        Credential::Plain(_) => None,
    });
    if let Some(hash) = hash {
        let _ = std::hint::black_box(hasher().verify_password(password, &hash));
    }
}

impl crate::runtime::Duty for Authenticator {
    /// A hash takes a core for many milliseconds.
    fn begin(&mut self) {
        crate::runtime::promptness::give_way();
    }

    fn poll(&mut self) -> usize {
        Authenticator::poll(self)
    }
}

/// A password as it is compared: SoupBinTCP's without padding and regard to case (3.00, 2.3.2),
/// FIX's as it stands.
pub(super) fn normal(password: &[u8], exact: bool) -> Vec<u8> {
    if exact { password.to_vec() } else { trim(password).to_ascii_uppercase() }
}

/// Compares without telling by its time where the first difference is.
pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}

fn hasher() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

/// The PHC string for a configuration's `password_hash`: of a SoupBinTCP password, or of a FIX one.
pub fn hash_password(password: &str, fix: bool) -> Result<String, String> {
    let (most, of) = if fix { (PASSWORD_BYTES_MAX, "FIX") } else { (10, "SoupBinTCP") };
    let printable = password.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if password.is_empty() || password.len() > most || !printable {
        return Err(format!("a {of} password is 1 to {most} ASCII characters"));
    }
    let salt = SaltString::generate(&mut OsRng);
    let hash = hasher().hash_password(&normal(password.as_bytes(), fix), &salt);
    hash.map(|hash| hash.to_string()).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring;
    use crate::wire::soupbin::pad;

    fn checker(
        credentials: &[Credential],
    ) -> (Authenticator, Producer<AuthRequest>, Consumer<AuthAnswer>) {
        let (requests, rx) = ring::on_heap(8, AuthRequest::EMPTY);
        let (tx, answers) = ring::on_heap(8, AuthAnswer::EMPTY);
        let passwords = Arc::new(Passwords::new(credentials.iter().map(|c| (c, false))));
        (Authenticator::new(credentials.into(), passwords, vec![(rx, tx)]), requests, answers)
    }

    #[test]
    fn a_right_password_is_known_from_then_on_and_a_wrong_one_never_is() {
        let hash = hash_password("Secret", false).unwrap();
        let (mut checker, mut requests, _answers) = checker(&[Credential::Hash(hash)]);
        let request = |password: &str, user| {
            let password: [u8; 10] = pad(password.as_bytes());
            AuthRequest::new(ConnId::NONE, Some(UserId(user)), &password, false)
        };
        for wrong in ["wrong", "secret1"] {
            requests.push(&request(wrong, 0));
            assert_eq!(checker.poll(), 1);
            assert!(!checker.passwords.knows(&request(wrong, 0)));
        }
        assert!(!checker.passwords.knows(&request("secret", 0)), "not before it was checked");
        requests.push(&request("secret", 0));
        assert_eq!(checker.poll(), 1);
        assert!(checker.passwords.knows(&request("SECRET", 0)));
        assert!(!checker.passwords.knows(&request("wrong", 0)));
        assert!(!checker.passwords.knows(&request("secret", 1)));
    }

    #[test]
    fn the_right_password_passes_in_any_case_and_nothing_else_does() {
        let hash = hash_password("Secret", false).unwrap();
        let credentials = [Credential::Plain("secret".to_owned()), Credential::Hash(hash)];
        let (mut checker, mut requests, mut answers) = checker(&credentials);
        let mut check = |user: Option<u16>, password: &str| {
            let user = user.map(UserId);
            let password: [u8; 10] = pad(password.as_bytes());
            requests.push(&AuthRequest::new(ConnId::NONE, user, &password, false));
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
        assert!(hash_password("", false).is_err());
        assert!(hash_password("elevenchars", false).is_err());
        assert!(hash_password("elevenchars", true).is_ok());
        assert!(hash_password(&"x".repeat(65), true).is_err());
    }

    #[test]
    fn case_counts_in_fix() {
        let hash = hash_password("Secret and long", true).unwrap();
        let plain = Credential::Plain("Secret and long".to_owned());
        let (mut checker, mut requests, mut answers) = checker(&[plain, Credential::Hash(hash)]);
        let long = "Secret and long".repeat(5);
        for user in [UserId(0), UserId(1)] {
            for (password, passes) in
                [("Secret and long", true), ("secret and long", false), ("", false), (&long, false)]
            {
                let request = AuthRequest::new(ConnId::NONE, Some(user), password.as_bytes(), true);
                requests.push(&request);
                checker.poll();
                assert_eq!(answers.pop().unwrap().user, Some(user).filter(|_| passes));
            }
        }
    }
}
