//! What is written is read back.

use mongo_archive::{
    Crc64, Decoder, EncodeError, Encoder, Event, Header, Limits, Metadata, Namespace, Prelude, Summary,
};
use proptest::prelude::*;

/// A document `{b: BinData(0, …)}`.
fn document(content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend_from_slice(b"\x05b\0");
    bytes.extend_from_slice(&(content.len() as u32).to_le_bytes());
    bytes.push(0);
    bytes.extend_from_slice(content);
    bytes.push(0);
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes
}

fn namespace(i: usize) -> Namespace {
    Namespace { db: format!("db {i} ü"), collection: format!("c.{i}$🦀") }
}

/// Blocks of documents, each of one of a few namespaces.
type Blocks = Vec<(usize, Vec<Vec<u8>>)>;

fn blocks() -> impl Strategy<Value = Blocks> {
    let documents = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..6);
    prop::collection::vec((0usize..4, documents), 0..12)
}

fn prelude(namespaces: usize) -> Prelude {
    let metadata = (0..namespaces).map(|i| Metadata {
        db: namespace(i).db,
        collection: namespace(i).collection,
        metadata: "{\"indexes\":[]}".into(),
        size: 0,
        kind: "collection".into(),
    });
    Prelude { header: Header::new(4, "6.0.5", "test"), metadata: metadata.collect() }
}

pub(crate) fn small_archive() -> Vec<u8> {
    encode(&vec![(0, vec![b"one".to_vec(), b"two".to_vec()]), (1, vec![]), (0, vec![b"three".to_vec()])])
        .concat()
}

/// The archive in pieces: the prelude, each block, the ends.
fn encode(blocks: &Blocks) -> Vec<Vec<u8>> {
    let mut pieces = vec![Encoder::archive(Vec::new(), &prelude(4)).unwrap().finish().unwrap()];
    let mut crcs = vec![None; 4];
    for (i, documents) in blocks {
        let mut encoder = Encoder::blocks(Vec::new());
        encoder.begin_block(&namespace(*i)).unwrap();
        for content in documents {
            let document = document(content);
            crcs[*i].get_or_insert_with(Crc64::new).update(&document);
            encoder.document(&document).unwrap();
        }
        crcs[*i].get_or_insert_with(Crc64::new);
        encoder.end_block().unwrap();
        pieces.push(encoder.finish().unwrap());
    }
    let mut ends = Encoder::blocks(Vec::new());
    for (i, crc) in crcs.iter().enumerate() {
        if let Some(crc) = crc {
            ends.eof(&namespace(i), crc.value()).unwrap();
        }
    }
    pieces.push(ends.finish().unwrap());
    pieces
}

fn documents(mut decoder: Decoder<&[u8]>) -> Blocks {
    let mut blocks = Blocks::new();
    while let Some(event) = decoder.next().unwrap() {
        match event {
            Event::BlockStart(found) => {
                blocks.push(((0..4).position(|i| namespace(i) == *found).unwrap(), Vec::new()));
            }
            Event::Document(found) => blocks.last_mut().unwrap().1.push(found.to_vec()),
            Event::Prelude(found) => assert_eq!(*found, prelude(4)),
            Event::BlockEnd | Event::Eof { .. } => {}
        }
    }
    blocks
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_whole_and_in_pieces(blocks in blocks()) {
        let pieces = encode(&blocks);
        let archive = pieces.concat();
        let expected: Blocks =
            blocks.iter().map(|(i, d)| (*i, d.iter().map(|c| document(c)).collect())).collect();
        prop_assert_eq!(documents(Decoder::new(&archive, Limits::default())), expected.clone());
        prop_assert_eq!(Summary::of(&archive[..], Limits::default()).unwrap().wrong().count(), 0);
        let in_pieces: Blocks =
            pieces[1..].iter().flat_map(|piece| documents(Decoder::blocks(piece, Limits::default()))).collect();
        prop_assert_eq!(in_pieces, expected);
    }

    #[test]
    fn crcs_of_consecutive_runs_go_together(runs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8)) {
        let mut whole = Crc64::new();
        let mut joined = Crc64::new();
        for run in &runs {
            whole.update(run);
            let mut own = Crc64::new();
            own.update(run);
            joined.append(&own);
        }
        prop_assert_eq!(joined.value(), whole.value());
        prop_assert_eq!(joined.length(), whole.length());
    }
}

#[test]
fn the_crc_is_crc_64_xz() {
    let mut crc = Crc64::new();
    assert_eq!(crc.value(), 0);
    crc.update(b"12345");
    crc.update(b"6789");
    // The check value of CRC-64/XZ in the catalogue of parametrised CRC algorithms.
    assert_eq!(crc.value(), 0x995d_c9bb_df19_39fa);
}

#[test]
fn calls_in_the_wrong_order_are_refused() {
    let mut encoder = Encoder::blocks(Vec::new());
    assert!(matches!(encoder.document(&document(b"")), Err(EncodeError::Order(_))));
    assert!(matches!(encoder.end_block(), Err(EncodeError::Order(_))));
    encoder.begin_block(&namespace(0)).unwrap();
    assert!(matches!(encoder.begin_block(&namespace(0)), Err(EncodeError::Order(_))));
    assert!(matches!(encoder.eof(&namespace(0), 0), Err(EncodeError::Order(_))));
    assert!(matches!(encoder.document(b"\x06\0\0\0\0"), Err(EncodeError::Document { bytes: 5, says: 6 })));
    assert!(matches!(encoder.finish(), Err(EncodeError::Order(_))));
}
