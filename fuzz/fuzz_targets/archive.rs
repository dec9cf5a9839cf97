//! Arbitrary bytes as an archive: never a panic, never more memory than the limits; and whatever decodes
//! encodes to an archive that decodes to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mongo_archive::{Decoder, Encoder, Event, Limits, Summary, check_document};

const LIMITS: Limits = Limits { document_bytes: 1 << 20, prelude_bytes: 1 << 20, header_bytes: 1 << 12, namespaces: 1000 };

/// The archive written anew from its events, as far as it decodes.
fn again(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(bytes, LIMITS);
    let Ok(Some(Event::Prelude(prelude))) = decoder.next() else { return None };
    let mut encoder = Encoder::archive(Vec::new(), prelude).ok()?;
    loop {
        match decoder.next().ok()? {
            None => return Some(encoder.finish().expect("every block has ended")),
            Some(Event::BlockStart(namespace)) => encoder.begin_block(namespace).expect("no block is open"),
            Some(Event::Document(document)) => {
                let _either = check_document(document);
                encoder.document(document).expect("a block is open");
            }
            Some(Event::BlockEnd) => encoder.end_block().expect("a block is open"),
            Some(Event::Eof { namespace, crc }) => encoder.eof(namespace, crc).expect("no block is open"),
            Some(Event::Prelude(_)) => panic!("a second prelude"),
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let _either = check_document(bytes);
    let _either = Summary::of(bytes, LIMITS);
    let mut piece = Decoder::blocks(bytes, LIMITS);
    while let Ok(Some(_)) = piece.next() {}
    if let Some(written) = again(bytes) {
        assert_eq!(again(&written).as_ref(), Some(&written));
        let (read, reread) = (Summary::of(bytes, LIMITS), Summary::of(&written[..], LIMITS));
        let known = |summary: &Summary| format!("{:?}", summary.namespaces());
        assert_eq!(read.as_ref().ok().map(known), reread.as_ref().ok().map(known));
    }
});
