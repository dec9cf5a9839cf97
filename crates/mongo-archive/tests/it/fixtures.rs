//! Archives that mongodump 100.18 made from MongoDB 6.0.5.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use mongo_archive::{Decoder, Encoder, Event, Limits, Summary, check_document};

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name);
    let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    if !name.ends_with(".gz") {
        return bytes;
    }
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
    plain
}

const ALL: [&str; 3] = ["weird.archive", "weird.archive.gz", "server-oplog.archive.gz"];

#[test]
fn every_document_and_checksum_is_read() {
    for name in ALL {
        let archive = fixture(name);
        let summary = Summary::of(&archive[..], Limits::default()).unwrap();
        assert!(summary.namespaces().len() > 5, "{name}");
        assert_eq!(summary.wrong().collect::<Vec<_>>(), Vec::<&mongo_archive::Namespace>::new(), "{name}");
        let mut decoder = Decoder::new(&archive[..], Limits::default());
        while let Some(event) = decoder.next().unwrap() {
            if let Event::Document(document) = event {
                check_document(document).unwrap();
            }
        }
        assert_eq!(decoder.offset(), archive.len() as u64);
    }
}

#[test]
fn counts_are_those_that_the_server_gave() {
    let expected: String = String::from_utf8(fixture("weird.expected.json")).unwrap();
    let summary = Summary::of(&fixture("weird.archive")[..], Limits::default()).unwrap();
    let counts = expected.split_once("\"counts\"").expect("counts in weird.expected.json").1;
    let archive = fixture("weird.archive");
    let mut decoder = Decoder::new(&archive[..], Limits::default());
    let Some(Event::Prelude(prelude)) = decoder.next().unwrap() else { panic!("no prelude") };
    let views: Vec<String> =
        prelude.metadata.iter().filter(|m| m.kind != "collection").map(|m| m.collection.clone()).collect();
    let mut compared = 0;
    for (namespace, found) in summary.namespaces() {
        // A view has a count too, but no documents of its own.
        if namespace.collection.starts_with("system.") || views.contains(&namespace.collection) {
            continue;
        }
        let key = format!("\"{}\":", namespace.collection);
        let Some((_, rest)) = counts.split_once(&key) else { continue };
        let number: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        assert_eq!(found.documents, number.parse::<u64>().unwrap(), "{namespace}");
        compared += 1;
    }
    assert!(compared > 5, "only {compared} collections compared");
}

#[test]
fn what_is_decoded_encodes_to_the_same_bytes() {
    for name in ALL {
        let archive = fixture(name);
        assert!(encode_again(&archive) == archive, "{name}");
    }
}

fn encode_again(archive: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(archive, Limits::default());
    let Some(Event::Prelude(prelude)) = decoder.next().unwrap() else { panic!("no prelude") };
    let mut encoder = Encoder::archive(Vec::new(), prelude).unwrap();
    while let Some(event) = decoder.next().unwrap() {
        match event {
            Event::BlockStart(namespace) => encoder.begin_block(namespace).unwrap(),
            Event::Document(document) => encoder.document(document).unwrap(),
            Event::BlockEnd => encoder.end_block().unwrap(),
            Event::Eof { namespace, crc } => encoder.eof(namespace, crc).unwrap(),
            Event::Prelude(_) => panic!("a second prelude"),
        }
    }
    encoder.finish().unwrap()
}
