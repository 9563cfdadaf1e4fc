//! Datagrams of market data: what is asked of the request server, and what a reader makes of packets and
//! their messages.

use millrace::client::feed::{Arbiter, take_in};
use millrace::client::market::Market;
use millrace::wire::itch::Message;
use millrace::wire::moldudp64::{BLOCK_BYTES, END_OF_SESSION, HEADER_BYTES, Header, Packet};

use super::Input;

fn request(data: &[u8]) {
    if let Ok(request) = Header::request(data) {
        assert_eq!(data.len(), HEADER_BYTES);
        assert!(request.sequence.get() > 0);
        assert!(![0, END_OF_SESSION].contains(&request.count.get()));
    }
}

fn packet(data: &[u8], arbiter: &mut Arbiter, market: &mut Market) {
    if let Ok(packet) = Packet::parse(data) {
        let told = packet.numbered().map(|(_, message)| BLOCK_BYTES + message.len());
        assert_eq!(HEADER_BYTES + told.sum::<usize>(), data.len(), "all of it, and nothing else");
    }
    let before = arbiter.next();
    let mut expected = before;
    arbiter.packet(data, |number, message| {
        assert!(before == 0 || number == expected, "in order, each once");
        expected = number + 1;
        let _ = Message::parse(message);
        let _ = take_in(market, message);
    });
    for (first, count) in arbiter.missing().take(16) {
        assert!(first >= arbiter.next() && count > 0);
    }
}

/// Datagrams one after the other, each behind two bytes of length.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let (mut arbiter, mut market) = (Arbiter::from(u64::from(input.byte() % 3)), Market::new());
    while !input.0.is_empty() {
        let length = usize::from(input.byte()) << 8 | usize::from(input.byte());
        let (datagram, rest) = input.0.split_at(length.min(input.0.len()));
        input.0 = rest;
        request(datagram);
        packet(datagram, &mut arbiter, &mut market);
    }
}
