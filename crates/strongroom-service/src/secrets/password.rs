//! Passwords as Argon2id hashes. A hash takes 19 MiB and some 75 ms on purpose: few are computed at a time.

use std::sync::Arc;

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordVerifier, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use strongroom_engine::{Code, Error, Result};
use tokio::sync::Semaphore;

use crate::model::Secret;

/// How many characters a password has.
pub const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 12..=1024;

/// Memory in KiB, passes, lanes: the first choice of OWASP's Password Storage Cheat Sheet.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
/// Hashes computed at a time: 38 MiB, and requests are not held up by sign-ins.
const AT_ONCE: usize = 2;
/// Sign-ins that wait their turn. More are turned away: each would wait for several seconds.
const WAITING_MAX: usize = 64;

/// Whether a password may be set.
///
/// # Errors
/// A text that says what is wrong with it.
pub fn check_password(password: &Secret) -> Result<(), String> {
    let length = password.expose().chars().count();
    if PASSWORD_LENGTH.contains(&length) {
        return Ok(());
    }
    let (least, most) = (PASSWORD_LENGTH.start(), PASSWORD_LENGTH.end());
    Err(format!("a password has {least} to {most} characters, and this one has {length}"))
}

/// Makes and checks hashes of passwords, few at a time.
#[derive(Debug, Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// A hash that no password has, for users who do not exist: the answer takes as long as for those who do.
    nobody: Arc<str>,
}

impl Passwords {
    /// # Errors
    /// `SR-INTERNAL` if the system gives no random bytes.
    pub fn new() -> Result<Self> {
        let (memory, passes, lanes) = COST;
        let (salt, hash) = (STANDARD_NO_PAD.encode(random::<16>()?), STANDARD_NO_PAD.encode(random::<32>()?));
        Ok(Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            nobody: format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}").into(),
        })
    }

    /// The hash to keep of a password, as a PHC string.
    ///
    /// # Errors
    /// `SR-INTERNAL`: too many wait for their turn, or the system gives no random bytes.
    pub async fn hash(&self, password: &Secret) -> Result<String> {
        let salt = random::<16>()?;
        let password = password.clone();
        self.in_turn(move || {
            let hash: PasswordHash =
                argon2()?
                    .hash_password_with_salt(password.expose().as_bytes(), &salt)
                    .map_err(|e| Error::new(Code::Internal, "a password cannot be hashed").caused_by(e))?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether a password is the one of this hash; `stored` is none where there is no such user or no password. It takes
    /// the same time whatever the answer.
    ///
    /// # Errors
    /// `SR-INTERNAL`: too many wait for their turn, or `stored` is no hash.
    pub async fn verify(&self, password: &Secret, stored: Option<&str>) -> Result<bool> {
        let known = stored.is_some();
        let stored = stored.unwrap_or(&self.nobody).to_owned();
        let password = password.clone();
        self.in_turn(move || {
            let hash = PasswordHash::new(&stored)
                .map_err(|e| Error::new(Code::Internal, "a stored password is no hash").caused_by(e))?;
            // The cost is that of the hash: an old one still opens.
            Ok(argon2()?.verify_password(password.expose().as_bytes(), &hash).is_ok() && known)
        })
        .await
    }

    async fn in_turn<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        let failed = |_| Error::new(Code::Internal, "the hashing of a password ended early");
        let _place = self.waiting.try_acquire().map_err(|_| {
            Error::new(Code::Internal, "too many people sign in at once").help("Try again in a few seconds.")
        })?;
        // The turn goes with the work: a request that is gone does not make room for another hash.
        let turn = self.turns.clone().acquire_owned().await;
        let turn = turn.map_err(|e| Error::new(Code::Internal, "no turn to hash a password").caused_by(e))?;
        let work = move || {
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(failed)?
    }
}

fn argon2() -> Result<Argon2<'static>> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None)
        .map_err(|e| Error::new(Code::Internal, "argon2 takes no such cost").caused_by(e))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::new(Code::Internal, "the system gives no random bytes"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        text.to_owned().try_into().unwrap()
    }

    #[tokio::test]
    async fn a_password_opens_its_own_hash_and_an_unknown_user_has_none() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash(&secret("correct horse battery")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash(&secret("correct horse battery")).await.unwrap());
        assert!(passwords.verify(&secret("correct horse battery"), Some(&hash)).await.unwrap());
        assert!(!passwords.verify(&secret("correct horse batterY"), Some(&hash)).await.unwrap());
        assert!(!passwords.verify(&secret("correct horse battery"), None).await.unwrap());
        assert!(passwords.verify(&secret("x"), Some("plain")).await.is_err());
        let nobody = PasswordHash::new(&passwords.nobody).unwrap();
        assert_eq!(nobody.params, PasswordHash::new(&hash).unwrap().params);
    }

    #[tokio::test]
    async fn those_who_would_wait_too_long_are_turned_away() {
        let passwords = Passwords::new().unwrap();
        let _all = passwords.waiting.clone().acquire_many_owned(WAITING_MAX as u32).await.unwrap();
        let refused = passwords.verify(&secret("x"), None).await.unwrap_err();
        assert!(refused.message().contains("too many"), "{refused}");
    }

    #[test]
    fn short_passwords_are_refused_by_characters_not_bytes() {
        assert!(check_password(&secret("é".repeat(11).as_str())).unwrap_err().contains("has 11"));
        assert!(check_password(&secret("é".repeat(12).as_str())).is_ok());
        assert!(check_password(&secret("x".repeat(1024).as_str())).is_ok());
        assert!(check_password(&secret("x".repeat(1025).as_str())).is_err());
    }
}
