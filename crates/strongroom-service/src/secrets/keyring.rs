//! The envelope of a secret: the value is sealed with a data key of its own, and the data key with a master key.
//!
//! A sealed value is `1`, the id of the master key (8 bytes), the sealed data key (60 bytes), and the sealed value (28
//! bytes more than the value). Both parts are AES-256-GCM with a random nonce in front, bound to the table, row and
//! column they stand in: a value that was moved elsewhere does not open. Since each data key seals one value, no number
//! of values wears a master key out, and a change of the master key opens no value.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::aead::{AES_256_GCM, Aad as Bound, RandomizedNonceKey};
use aws_lc_rs::digest;
use strongroom_engine::{Code, Error, Result};
use zeroize::Zeroizing;

/// The first byte of everything that is sealed.
const VERSION: u8 = 1;
const KEY_LENGTH: usize = 32;
/// The nonce in front and the tag behind.
const OVERHEAD: usize = 12 + 16;
const ID_LENGTH: usize = 8;
const HEADER: usize = 1 + ID_LENGTH;
const WRAPPED: usize = KEY_LENGTH + OVERHEAD;

/// Where a secret stands in the database. It opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aad<'a> {
    /// The table of what the secret belongs to.
    pub table: &'a str,
    /// The id of its row.
    pub row: &'a str,
    /// What the secret is there.
    pub column: &'a str,
}

impl Aad<'_> {
    /// Each part with its length in front, so that no two places are written the same.
    fn bytes(&self, part: u8, header: &[u8]) -> Vec<u8> {
        let mut bytes = vec![part];
        bytes.extend_from_slice(header);
        for text in [self.table, self.row, self.column] {
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }

    /// What the data key is bound to: the place and the master key.
    fn of_key(&self, header: &[u8]) -> Vec<u8> {
        self.bytes(b'k', header)
    }

    /// What the value is bound to: the place. The master key may change.
    fn of_value(&self) -> Vec<u8> {
        self.bytes(b'v', &[VERSION])
    }
}

impl fmt::Display for Aad<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.table, self.row, self.column)
    }
}

/// Which master key it is: the start of a hash of it, so that no name has to be given and none can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; ID_LENGTH]);

impl KeyId {
    fn of(key: &[u8]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"strongroom master key id\0");
        context.update(key);
        let mut id = [0; ID_LENGTH];
        id.copy_from_slice(&context.finish().as_ref()[..ID_LENGTH]);
        Self(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A key that data keys are sealed with.
pub struct MasterKey {
    id: KeyId,
    key: RandomizedNonceKey,
}

impl MasterKey {
    /// The key of these bytes.
    ///
    /// # Errors
    /// `SR-MASTER-KEY` if they are not 32, or all the same.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        if bytes.len() != KEY_LENGTH {
            return Err(Error::new(
                Code::MasterKey,
                format!("a master key has {KEY_LENGTH} bytes, and this one has {}", bytes.len()),
            ));
        }
        if bytes.iter().all(|byte| *byte == bytes[0]) {
            return Err(Error::new(Code::MasterKey, "all bytes of the master key are the same"));
        }
        Ok(Self { id: KeyId::of(bytes), key: cipher(bytes)? })
    }

    /// The bytes of a new key.
    ///
    /// # Errors
    /// `SR-INTERNAL` if the system gives no random bytes.
    pub fn random_bytes() -> Result<Zeroizing<[u8; KEY_LENGTH]>> {
        let mut bytes = Zeroizing::new([0; KEY_LENGTH]);
        aws_lc_rs::rand::fill(&mut *bytes)
            .map_err(|_| Error::new(Code::Internal, "the system gives no random bytes"))?;
        Ok(bytes)
    }

    /// Which one it is.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

fn cipher(bytes: &[u8]) -> Result<RandomizedNonceKey> {
    RandomizedNonceKey::new(&AES_256_GCM, bytes)
        .map_err(|_| Error::new(Code::Internal, "the cipher takes no such key"))
}

/// Appends the nonce, the sealed bytes and the tag to `to`.
fn seal_into(to: &mut Vec<u8>, key: &RandomizedNonceKey, bound: &[u8], plain: &[u8]) -> Result<()> {
    let mut sealed = Zeroizing::new(Vec::with_capacity(plain.len() + OVERHEAD));
    sealed.extend_from_slice(plain);
    let nonce = key
        .seal_in_place_append_tag(Bound::from(bound), &mut *sealed)
        .map_err(|_| Error::new(Code::Internal, "a secret cannot be sealed"))?;
    to.extend_from_slice(nonce.as_ref());
    to.extend_from_slice(&sealed);
    Ok(())
}

/// What [`seal_into`] sealed; nothing if it is something else, or was bound to something else.
fn open_from(key: &RandomizedNonceKey, bound: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_first_chunk::<12>()?;
    let mut plain = Zeroizing::new(rest.to_vec());
    let length = key.open_in_place(nonce.into(), Bound::from(bound), &mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}

/// The parts of a sealed value.
struct Sealed<'a> {
    header: &'a [u8],
    wrapped: &'a [u8],
    value: &'a [u8],
}

impl<'a> Sealed<'a> {
    fn parse(sealed: &'a [u8], place: &Aad<'_>) -> Result<Self> {
        match sealed.first() {
            Some(&VERSION) if sealed.len() >= HEADER + WRAPPED + OVERHEAD => {
                let (header, rest) = sealed.split_at(HEADER);
                let (wrapped, value) = rest.split_at(WRAPPED);
                Ok(Self { header, wrapped, value })
            }
            Some(version) if *version > VERSION => Err(Error::new(
                Code::NewerFormat,
                format!("the secret `{place}` was sealed by a newer Strongroom"),
            )
            .help("Use the version that sealed it, or a later one.")),
            _ => Err(damaged(place)),
        }
    }

    fn is_by(&self, id: KeyId) -> bool {
        self.header[1..] == id.0
    }
}

fn damaged(place: &Aad<'_>) -> Error {
    Error::new(
        Code::Damaged,
        format!("the secret `{place}` does not open: it was changed, or belongs elsewhere"),
    )
    .help("Set it again.")
}

/// The master keys: the first seals, all of them open. It is shared, and its keys may be replaced while it is used.
pub struct Keyring(RwLock<Arc<Vec<MasterKey>>>);

impl Keyring {
    /// A keyring of these keys.
    ///
    /// # Errors
    /// `SR-MASTER-KEY` if there is none.
    pub fn new(keys: Vec<MasterKey>) -> Result<Self> {
        let keyring = Self(RwLock::default());
        keyring.replace(keys)?;
        Ok(keyring)
    }

    /// A keyring with a new key that is kept nowhere, for a service that keeps nothing.
    ///
    /// # Errors
    /// `SR-INTERNAL` if the system gives no random bytes.
    pub fn ephemeral() -> Result<Self> {
        Self::new(vec![MasterKey::new(&*MasterKey::random_bytes()?)?])
    }

    /// Uses these keys from now on.
    ///
    /// # Errors
    /// `SR-MASTER-KEY` if there is none; the keys stay as they were.
    pub fn replace(&self, keys: Vec<MasterKey>) -> Result<()> {
        if keys.is_empty() {
            return Err(Error::new(Code::MasterKey, "no master key was given"));
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    fn keys(&self) -> Arc<Vec<MasterKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The ids of all keys, the one that seals first.
    #[must_use]
    pub fn ids(&self) -> Vec<KeyId> {
        self.keys().iter().map(MasterKey::id).collect()
    }

    /// Seals a value for its place, with the first key.
    ///
    /// # Errors
    /// `SR-INTERNAL` if the system gives no random bytes.
    pub fn seal(&self, place: &Aad<'_>, plain: &[u8]) -> Result<Vec<u8>> {
        let data_key = MasterKey::random_bytes()?;
        let mut sealed = self.wrap(place, &*data_key)?;
        seal_into(&mut sealed, &cipher(&*data_key)?, &place.of_value(), plain)?;
        Ok(sealed)
    }

    /// Opens a value of this place. It is wiped from memory when it is dropped.
    ///
    /// # Errors
    /// `SR-MASTER-KEY` if the key that sealed it is not here, `SR-DAMAGED` if it was changed or belongs elsewhere,
    /// `SR-NEWER-FORMAT`.
    pub fn open(&self, place: &Aad<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let sealed = Sealed::parse(sealed, place)?;
        let data_key = cipher(&self.unwrap(place, &sealed)?)?;
        open_from(&data_key, &place.of_value(), sealed.value).ok_or_else(|| damaged(place))
    }

    /// The same value with its data key sealed by the first key; none if it is already. The value is not opened.
    ///
    /// # Errors
    /// As those of [`Keyring::open`].
    pub fn reseal(&self, place: &Aad<'_>, sealed: &[u8]) -> Result<Option<Vec<u8>>> {
        let sealed = Sealed::parse(sealed, place)?;
        if self.keys().first().is_some_and(|first| sealed.is_by(first.id)) {
            return Ok(None);
        }
        let data_key = self.unwrap(place, &sealed)?;
        let mut again = self.wrap(place, &data_key)?;
        again.extend_from_slice(sealed.value);
        Ok(Some(again))
    }

    /// The header and the sealed data key.
    fn wrap(&self, place: &Aad<'_>, data_key: &[u8]) -> Result<Vec<u8>> {
        let keys = self.keys();
        let first = keys.first().ok_or_else(|| Error::new(Code::MasterKey, "there is no master key"))?;
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(&first.id.0);
        let bound = place.of_key(&sealed);
        seal_into(&mut sealed, &first.key, &bound, data_key)?;
        Ok(sealed)
    }

    fn unwrap(&self, place: &Aad<'_>, sealed: &Sealed<'_>) -> Result<Zeroizing<Vec<u8>>> {
        let keys = self.keys();
        let by = keys.iter().find(|key| sealed.is_by(key.id)).ok_or_else(|| unknown(place, sealed, &keys))?;
        open_from(&by.key, &place.of_key(sealed.header), sealed.wrapped).ok_or_else(|| damaged(place))
    }
}

fn unknown(place: &Aad<'_>, sealed: &Sealed<'_>, keys: &[MasterKey]) -> Error {
    let ids = keys.iter().map(|key| key.id.to_string()).collect::<Vec<_>>().join(", ");
    let by = hex::encode(&sealed.header[1..]);
    Error::new(
        Code::MasterKey,
        format!("the secret `{place}` was sealed with the master key {by}, and this service has {ids}"),
    )
    .help(
        "Give the service that key too, behind the one that seals. Without it the secret must be set again.",
    )
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys().iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: Aad<'static> = Aad { table: "deployments", row: "dep_1", column: "uri" };

    fn key(byte: u8) -> MasterKey {
        let mut bytes = [byte; KEY_LENGTH];
        bytes[0] = !byte;
        MasterKey::new(&bytes).unwrap()
    }

    fn ring(bytes: &[u8]) -> Keyring {
        Keyring::new(bytes.iter().map(|byte| key(*byte)).collect()).unwrap()
    }

    #[test]
    fn a_secret_opens_where_it_belongs_and_nowhere_else() {
        let ring = ring(&[1]);
        let sealed = ring.seal(&PLACE, b"mongodb://u:p@h").unwrap();
        assert_eq!(&*ring.open(&PLACE, &sealed).unwrap(), b"mongodb://u:p@h");
        for elsewhere in [
            Aad { table: "locations", ..PLACE },
            Aad { row: "dep_2", ..PLACE },
            Aad { column: "ur", ..PLACE },
            Aad { table: "deployment", row: "sdep_1", ..PLACE },
        ] {
            assert_eq!(ring.open(&elsewhere, &sealed).unwrap_err().code(), Code::Damaged);
        }
    }

    #[test]
    fn no_bit_of_a_sealed_secret_can_be_changed_and_no_end_cut_off() {
        let ring = ring(&[1]);
        let sealed = ring.seal(&PLACE, b"hush").unwrap();
        for at in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[at / 8] ^= 1 << (at % 8);
            assert!(ring.open(&PLACE, &changed).is_err(), "bit {at}");
        }
        for length in 0..sealed.len() {
            assert_eq!(ring.open(&PLACE, &sealed[..length]).unwrap_err().code(), Code::Damaged, "{length}");
        }
        let newer = [&[9], &sealed[1..]].concat();
        assert_eq!(ring.open(&PLACE, &newer).unwrap_err().code(), Code::NewerFormat);
    }

    #[test]
    fn a_new_first_key_seals_and_the_old_one_still_opens() {
        let (old, both, new) = (ring(&[1]), ring(&[2, 1]), ring(&[2]));
        let sealed = old.seal(&PLACE, b"hush").unwrap();
        assert_eq!(&*both.open(&PLACE, &sealed).unwrap(), b"hush");
        let missing = new.open(&PLACE, &sealed).unwrap_err();
        assert_eq!(missing.code(), Code::MasterKey);
        assert!(missing.message().contains(&key(1).id().to_string()), "{missing}");

        let again = both.reseal(&PLACE, &sealed).unwrap().unwrap();
        assert_eq!(&*new.open(&PLACE, &again).unwrap(), b"hush");
        assert_eq!(both.reseal(&PLACE, &again).unwrap(), None);
        assert!(old.open(&PLACE, &again).is_err());
    }

    #[test]
    fn the_same_secret_never_looks_the_same_twice_and_no_debug_output_shows_a_key() {
        let ring = ring(&[7]);
        assert_ne!(ring.seal(&PLACE, b"hush").unwrap(), ring.seal(&PLACE, b"hush").unwrap());
        assert_eq!(format!("{ring:?}"), format!("[MasterKey({})]", key(7).id()));
    }

    #[test]
    fn a_key_of_another_length_or_without_chance_is_refused() {
        for bytes in [&[][..], &[1; 31], &[1; 33], &[0; 32], &[9; 32]] {
            assert_eq!(MasterKey::new(bytes).unwrap_err().code(), Code::MasterKey);
        }
        assert_eq!(Keyring::new(Vec::new()).unwrap_err().code(), Code::MasterKey);
    }

    proptest! {
        #[test]
        fn any_bytes_are_sealed_and_any_bytes_are_refused_without_a_panic(bytes: Vec<u8>) {
            let ring = ring(&[1]);
            let sealed = ring.seal(&PLACE, &bytes).unwrap();
            prop_assert_eq!(&*ring.open(&PLACE, &sealed).unwrap(), &bytes);
            prop_assert!(ring.open(&PLACE, &bytes).is_err());
        }
    }
}
