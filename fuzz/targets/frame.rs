//! One frame: what the parser says of it lies within it.

use millrace::net::packet::{ETHERNET_BYTES, IPV4_BYTES, TCP_BYTES, complete_tcp, parse};

pub fn run(frame: &[u8]) {
    let Ok(segment) = parse(frame) else { return };
    assert!(segment.tcp >= ETHERNET_BYTES + IPV4_BYTES);
    assert!(segment.payload >= segment.tcp + TCP_BYTES);
    assert!(segment.payload <= segment.end && segment.end <= frame.len());
    let right = segment.checksums_are_right(frame);
    let (options, room) = (segment.options(frame), segment.payload - segment.tcp - TCP_BYTES);
    assert!(options.mss.is_none() || room >= 4, "a segment size from nowhere");
    assert!(options.stamps.is_none() || room >= 10, "timestamps from nowhere");
    assert!(options.blocks.list().len() * 8 <= room, "blocks from nowhere");
    // One more bit cannot be right as well; checksums put in are.
    let mut other = frame.to_vec();
    other[segment.tcp + 4] ^= 1;
    assert!(!(right && segment.checksums_are_right(&other)));
    let plain = segment.tcp == ETHERNET_BYTES + IPV4_BYTES;
    if plain {
        other.truncate(segment.end);
        complete_tcp(&mut other[ETHERNET_BYTES..]);
        assert!(segment.checksums_are_right(&other));
    }
}
