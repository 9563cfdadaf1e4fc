//! Bytes go through unharmed and in order, whatever the wire takes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;

use proptest::prelude::*;

use super::*;
use crate::net::{COUNTERS, Close, Counts, Handler, Transport};
use crate::ring;

const CONNS: usize = 4;

/// A wire in memory: what is to come in, and what was sent.
#[derive(Default)]
struct Wire {
    coming: Vec<(ConnId, Option<Vec<u8>>)>,
    sent: HashMap<ConnId, Vec<u8>>,
    /// How many bytes a send takes, in turn.
    takes: Vec<usize>,
    turn: usize,
    closed: Vec<ConnId>,
    starved: Vec<ConnId>,
}

impl Transport for Wire {
    fn poll(&mut self, handler: &mut impl Handler, _: usize, _: u64) -> usize {
        for id in std::mem::take(&mut self.starved) {
            handler.writable(id);
        }
        for (id, what) in std::mem::take(&mut self.coming) {
            match what {
                Some(bytes) if bytes.is_empty() => {
                    handler.opened(id, (id.index % 2) as usize, IpAddr::V4(Ipv4Addr::LOCALHOST));
                }
                Some(bytes) => assert_eq!(handler.received(id, &bytes), Ok(bytes.len())),
                None => handler.closed(id),
            }
        }
        1
    }

    fn send(&mut self, id: ConnId, bytes: &[u8]) -> Result<usize, Close> {
        let most = self.takes[self.turn % self.takes.len()];
        self.turn += 1;
        let count = bytes.len().min(most);
        self.sent.entry(id).or_default().extend(&bytes[..count]);
        if count < bytes.len() {
            self.starved.push(id);
        }
        Ok(count)
    }

    fn close(&mut self, id: ConnId) {
        self.closed.push(id);
    }

    fn wakes_by(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    fn idle_us(&mut self) -> u32 {
        u32::MAX
    }

    fn connections_max(&self) -> usize {
        CONNS
    }

    fn counts(&mut self) -> Counts {
        [0; COUNTERS.len()]
    }
}

/// Sends back what it is sent, and remembers.
#[derive(Default)]
struct Echo {
    opened: Vec<(ConnId, usize)>,
    owed: HashMap<ConnId, Vec<u8>>,
    heard: HashMap<ConnId, Vec<u8>>,
    closed: Vec<ConnId>,
}

impl Handler for Echo {
    fn opened(&mut self, id: ConnId, port: usize, _: IpAddr) {
        self.opened.push((id, port));
    }

    fn received(&mut self, id: ConnId, bytes: &[u8]) -> Result<usize, Close> {
        // Three at a time, so that something is left now and then.
        let whole = bytes.len() / 3 * 3;
        self.owed.entry(id).or_default().extend(&bytes[..whole]);
        self.heard.entry(id).or_default().extend(&bytes[..whole]);
        Ok(whole)
    }

    fn writable(&mut self, _: ConnId) {}

    fn closed(&mut self, id: ConnId) {
        self.closed.push(id);
    }
}

fn pair(wire: Wire) -> (Front<Wire>, Back) {
    let (to_back, from_front) = ring::on_heap(PARCELS, Parcel::EMPTY);
    let (to_front, from_back) = ring::on_heap(PARCELS, Parcel::EMPTY);
    let ends = Ends { out: to_back, inlet: from_back };
    let own = Ends { out: to_front, inlet: from_front };
    (Front::new(wire, vec![false, true], vec![ends]), Back::new(own, CONNS))
}

fn id(index: u32) -> ConnId {
    ConnId { index, generation: 1 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_goes_in_comes_back(
        pieces in prop::collection::vec((0u32..4, prop::collection::vec(any::<u8>(), 1..900)), 1..60),
        takes in prop::collection::vec(1usize..2000, 1..8),
    ) {
        let mut wire = Wire { takes, ..Wire::default() };
        wire.coming.extend((0..4).map(|index| (id(index), Some(vec![]))));
        let (mut front, mut back) = pair(wire);
        let (mut own, mut echo) = (Echo::default(), Echo::default());
        let mut turn = |front: &mut Front<Wire>, own: &mut Echo, echo: &mut Echo| {
            front.poll(own, usize::MAX, 0);
            back.poll(echo, usize::MAX, 0);
            for (id, owed) in &mut echo.owed {
                let sent = back.send(*id, owed).unwrap();
                owed.drain(..sent);
            }
            back.flush(0);
            front.flush(0);
        };
        turn(&mut front, &mut own, &mut echo);
        let mut expected: HashMap<ConnId, Vec<u8>> = HashMap::new();
        for (index, piece) in pieces {
            expected.entry(id(index)).or_default().extend(&piece);
            // The own handler takes three at a time, and nobody brings the rest again here.
            if index % 2 == 0 {
                continue;
            }
            front.inner.coming.push((id(index), Some(piece)));
            turn(&mut front, &mut own, &mut echo);
        }
        for _ in 0..100_000 {
            if echo.owed.values().all(Vec::is_empty) && front.inner.starved.is_empty() {
                break;
            }
            turn(&mut front, &mut own, &mut echo);
        }
        turn(&mut front, &mut own, &mut echo);
        prop_assert_eq!(&own.opened, &[(id(0), 0), (id(2), 0)]);
        prop_assert_eq!(&echo.opened, &[(id(1), 1), (id(3), 1)]);
        for (id, bytes) in expected.into_iter().filter(|(id, _)| id.index % 2 == 1) {
            let whole = bytes.len() / 3 * 3;
            prop_assert_eq!(echo.heard.get(&id).map_or(&[][..], |v| v), &bytes[..whole]);
            prop_assert_eq!(front.inner.sent.get(&id).map_or(&[][..], |v| v), &bytes[..whole]);
        }
    }
}

#[test]
fn ends_are_told_both_ways_and_what_was_sent_arrives_first() {
    let mut wire = Wire { takes: vec![1], ..Wire::default() };
    wire.coming = vec![(id(1), Some(vec![])), (id(3), Some(vec![]))];
    let (mut front, mut back) = pair(wire);
    let (mut own, mut echo) = (Echo::default(), Echo::default());
    front.poll(&mut own, usize::MAX, 0);
    back.poll(&mut echo, usize::MAX, 0);
    // The wire ends one.
    front.inner.coming.push((id(1), None));
    front.poll(&mut own, usize::MAX, 0);
    back.poll(&mut echo, usize::MAX, 0);
    assert_eq!(echo.closed, [id(1)]);
    assert!(back.send(id(1), b"late").is_err());
    // The handler ends the other, with something under way.
    assert_eq!(back.send(id(3), b"goodbye"), Ok(7));
    back.close(id(3));
    back.flush(0);
    for _ in 0..20 {
        front.poll(&mut own, usize::MAX, 0);
    }
    assert_eq!(front.inner.sent[&id(3)], b"goodbye");
    assert_eq!(front.inner.closed, [id(3)]);
    assert_eq!(front.closing(), 0);
}

#[test]
fn a_peer_that_does_not_read_takes_no_more_than_its_share() {
    let mut wire = Wire { takes: vec![0], ..Wire::default() };
    wire.coming = vec![(id(1), Some(vec![]))];
    let (mut front, mut back) = pair(wire);
    let (mut own, mut echo) = (Echo::default(), Echo::default());
    front.poll(&mut own, usize::MAX, 0);
    back.poll(&mut echo, usize::MAX, 0);
    let mut given = 0;
    for _ in 0..1_000 {
        given += back.send(id(1), &[7; 1000]).unwrap();
        back.flush(0);
        front.poll(&mut own, usize::MAX, 0);
        back.poll(&mut echo, usize::MAX, 0);
    }
    assert_eq!(given, UNSENT_MAX);
}
