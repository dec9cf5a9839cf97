//! Bytes that are cut off, changed, or made up: an error that names the place, never a panic, never much memory.

use std::io::{self, Read};

use mongo_archive::{DecodeError, Decoder, Event, Fault, Limits, MAGIC, Summary, check_document};
use proptest::prelude::*;

use crate::fixtures::fixture;
use crate::round_trip::small_archive;

fn read(archive: &[u8]) -> Result<Summary, DecodeError> {
    Summary::of(archive, Limits::default())
}

#[test]
fn every_cut_is_an_error_within_the_bytes_there_are() {
    let archive = small_archive();
    for length in 0..archive.len() {
        let error = read(&archive[..length]);
        // Cut right behind the prelude nothing is missing: an archive of no blocks.
        let Err(error) = error else {
            assert_eq!(read(&archive[..length]).unwrap().namespaces().len(), 0);
            continue;
        };
        assert!(error.offset <= length as u64, "{error}");
    }
}

#[test]
fn every_changed_byte_of_a_document_shows_and_every_other_is_an_error_with_its_place_or_a_reading() {
    let archive = small_archive();
    let mut documents = Vec::new();
    let mut decoder = Decoder::new(&archive[..], Limits::default());
    while let Some(event) = decoder.next().unwrap() {
        if let Event::Document(document) = event {
            let length = document.len();
            documents.push(decoder.offset() as usize - length..decoder.offset() as usize);
        }
    }
    assert_eq!(documents.len(), 3);
    for place in 0..archive.len() {
        let mut changed = archive.clone();
        changed[place] ^= 0x41;
        match read(&changed) {
            Err(error) => assert!(error.offset <= archive.len() as u64, "{error}"),
            Ok(summary) if documents.iter().any(|d| d.contains(&place)) => {
                assert_eq!(summary.wrong().count(), 1, "byte {place}");
            }
            Ok(_) => {}
        }
    }
}

/// An endless stream that begins as told.
struct Endless<'a>(&'a [u8]);

impl Read for Endless<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if !self.0.is_empty() {
            return self.0.read(into);
        }
        into.fill(0x20);
        Ok(into.len())
    }
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_a_byte_of_it_is_read() {
    for length in [i32::MAX, i32::MIN, -2, 0, 4, 17 << 20] {
        let mut archive = MAGIC.to_vec();
        archive.extend_from_slice(&length.to_le_bytes());
        let limits = Limits { prelude_bytes: 1 << 20, ..Limits::default() };
        let error = Decoder::new(Endless(&archive), limits).next().unwrap_err();
        assert_eq!(error.offset, 4);
        assert!(matches!(error.fault, Fault::Length { .. }), "{error}");
    }
}

#[test]
fn another_file_is_told_apart() {
    for bytes in [&b""[..], b"\x1f\x8b\x08\0\0\0\0\0", b"{\"a\": 1}"] {
        assert!(matches!(read(bytes).unwrap_err().fault, Fault::NotAnArchive));
    }
}

#[test]
fn a_reader_that_fails_is_said_to_fail() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the cable was cut"))
        }
    }
    let archive = small_archive();
    let error = Summary::of(archive[..20].chain(Fails), Limits::default()).unwrap_err();
    assert!(error.to_string().contains("the cable was cut"), "{error}");
}

#[test]
fn every_cut_or_changed_document_of_the_fixture_ends_the_walk_cleanly() {
    let archive = fixture("weird.archive");
    let mut decoder = Decoder::new(&archive[..], Limits::default());
    let mut documents = Vec::new();
    while let Some(event) = decoder.next().unwrap() {
        if let Event::Document(document) = event {
            documents.push(document.to_vec());
        }
    }
    for document in documents.iter().take(200) {
        assert_eq!(check_document(document), Ok(()));
        for length in 0..document.len().min(400) {
            assert!(check_document(&document[..length]).is_err());
        }
        for place in 0..document.len().min(400) {
            let mut changed = document.clone();
            changed[place] = !changed[place];
            let _may_be_either = check_document(&changed);
        }
    }
}

#[test]
fn a_document_nested_without_end_is_refused() {
    let mut document = vec![5, 0, 0, 0, 0];
    for _ in 0..5000 {
        let length = document.len() as u32 + 4 + 3 + 1;
        let mut outer = length.to_le_bytes().to_vec();
        outer.extend_from_slice(b"\x03a\0");
        outer.append(&mut document);
        outer.push(0);
        document = outer;
    }
    assert_eq!(check_document(&document).unwrap_err().what, "documents nested too deeply");
}

proptest! {
    #[test]
    fn made_up_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _either = check_document(&bytes);
        let _either = read(&bytes);
        let mut with_magic = MAGIC.to_vec();
        with_magic.extend_from_slice(&bytes);
        prop_assert!(read(&with_magic).is_err());
    }
}
