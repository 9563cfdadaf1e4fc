//! Whatever is lost on the way is brought back, and the book is the same.

use super::common::Scratch;
use super::venue::{Exchange, Reader, Spoilt, assert_is_the_journals};

const BAD: Spoilt = Spoilt { lost: 50, doubled: 50, late: 50 };

#[test]
fn two_lossy_lines_end_with_the_same_messages_and_the_journals_book() {
    let exchange = Exchange::start("", "ack = \"sequenced\"");
    let mut readers = [0, 1].map(|line| Reader::open(&exchange, line, BAD, line as u64 + 1));
    std::thread::scope(|scope| {
        let trading = scope.spawn(|| exchange.trade(3, 6_000));
        while !trading.is_finished() {
            if !readers.iter_mut().any(Reader::poll) {
                std::thread::yield_now();
            }
        }
    });
    let last = exchange.told();
    readers.iter_mut().for_each(|reader| reader.read_until(last));
    assert!(exchange.venue.counter("feed.requests") > 0, "nothing was asked for");
    let [a, b] = &readers;
    assert!(a.messages == b.messages);
    let (_, scratch) = exchange.venue.stop();
    readers.iter().for_each(|reader| assert_is_the_journals(&reader.market, &scratch));
}

#[test]
fn a_gateway_that_was_stopped_goes_on_with_the_same_feed() {
    let exchange = Exchange::start("", "");
    let mut reader = Reader::open(&exchange, 0, Spoilt::default(), 1);
    exchange.trade(5, 2_000);
    let before = exchange.told();
    reader.read_until(before);
    let Exchange { venue, lines, request } = exchange;
    let (_, scratch) = venue.stop();
    let lines = [lines[0], lines[1]];
    let exchange = Exchange::start_in(scratch, "keep = 1024", "", lines, request);
    assert_eq!(exchange.told(), before, "nothing is told that was told before");
    exchange.trade(6, 2_000);
    let last = exchange.told();
    assert!(last > before);
    reader.read_until(last);
    // One that missed all of it has it from memory and from the journal.
    let mut late = Reader::open(&exchange, 1, Spoilt::default(), 1);
    late.read_until(last);
    assert!(late.messages == reader.messages);
    assert!(exchange.venue.counter("feed.requests_past") > 0, "the ring still had all of it");
    let (_, scratch): (_, Scratch) = exchange.venue.stop();
    assert_is_the_journals(&late.market, &scratch);
}
