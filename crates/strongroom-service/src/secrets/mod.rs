//! What must not be read by those who see the database: secrets sealed with a master key, passwords as slow hashes,
//! tokens as hashes.

mod keyring;
mod password;
mod source;
mod token;

pub use keyring::{Aad, KeyId, Keyring, MasterKey};
pub use password::{PASSWORD_LENGTH, Passwords, check_password};
pub use source::{KeySource, KmsKey, put_new_key_first, write_new_key};
pub use token::{Bearer, BearerKind, Digest};
