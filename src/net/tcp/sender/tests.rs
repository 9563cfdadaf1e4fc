//! The sender against a peer that knows only which bytes it has.

use super::super::super::packet::Blocks;
use super::super::sequence::ahead;
use super::*;
use proptest::prelude::*;

const BEGIN: u32 = u32::MAX - 2_000;
const MSS: u32 = 100;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    Send(u8),
    /// The peer gets the nth of what is on the wire, and answers.
    Arrive(u8, bool),
    /// The nth is lost.
    Lose(u8),
    Wait(u32),
    /// Longer ones do not arrive any more, and a router says so.
    Narrow(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1usize..600).prop_map(Step::Write),
        any::<u8>().prop_map(Step::Send),
        (any::<u8>(), any::<bool>()).prop_map(|(n, tell)| Step::Arrive(n, tell)),
        any::<u8>().prop_map(Step::Lose),
        (1u32..40_000).prop_map(Step::Wait),
        (20u32..MSS).prop_map(Step::Narrow),
    ];
    prop::collection::vec(step, 1..120)
}

/// A peer that knows only which bytes it has.
struct Peer {
    has: Vec<bool>,
    wire: Vec<(u32, u32)>,
    selective: bool,
}

impl Peer {
    fn place(number: u32) -> usize {
        number.wrapping_sub(BEGIN) as usize
    }

    fn next(&self) -> u32 {
        BEGIN.wrapping_add(self.has.iter().take_while(|has| **has).count() as u32)
    }

    fn take(&mut self, (from, to): (u32, u32)) {
        let (from, to) = (Self::place(from), Self::place(to));
        self.has.resize(self.has.len().max(to), false);
        self.has[from..to].fill(true);
    }

    fn blocks(&self) -> Blocks {
        let mut blocks = Blocks::default();
        let next = Self::place(self.next());
        let mut from = None;
        for at in next..=self.has.len() {
            match (from, self.has.get(at) == Some(&true)) {
                (None, true) => from = Some(at),
                (Some(begun), false) => {
                    let number = |at: usize| BEGIN.wrapping_add(at as u32);
                    blocks.push(number(begun), number(at));
                    from = None;
                }
                _ => {}
            }
        }
        if self.selective { blocks } else { Blocks::default() }
    }

    fn answer(&self, sender: &mut Sender, now_us: u64) {
        let said = Said { seq: 1, ack: self.next(), window: 3_000, bare: true };
        assert_eq!(sender.acknowledged(said, &self.blocks(), now_us), Worth::Good);
    }
}

fn send(sender: &mut Sender, peer: &mut Peer, now_us: u64, most: usize) -> usize {
    let mut count = 0;
    while count < most
        && let Some(piece) = sender.next_piece(now_us)
    {
        let mut bytes = vec![0; piece.length as usize];
        sender.read(piece.seq, &mut bytes);
        for (n, byte) in bytes.iter().enumerate() {
            let number = piece.seq.wrapping_add(n as u32);
            assert_eq!(*byte, byte_at(Peer::place(number)), "the byte of this number");
        }
        assert!(piece.length <= sender.mss);
        let behind = piece.length + u32::from(piece.fin);
        peer.wire.push((piece.seq, piece.seq.wrapping_add(behind)));
        count += 1;
    }
    count
}

fn byte_at(place: usize) -> u8 {
    (place.wrapping_mul(31) >> 2) as u8
}

fn write(sender: &mut Sender, count: usize) {
    let from = Peer::place(sender.end);
    let bytes: Vec<u8> = (from..from + count).map(byte_at).collect();
    sender.write(&bytes);
}

proptest! {
    /// Whatever the wire does, each number carries its byte, no more is on its way than the
    /// peer takes, and once the wire is good everything arrives, the end too.
    #[test]
    fn everything_that_was_written_arrives(steps in steps(), selective in any::<bool>()) {
        let mut sender = Sender::new(2048, 1_000);
        sender.begin(BEGIN, MSS, selective, 1_000);
        sender.set_window(Said { seq: 0, ack: BEGIN, window: 3_000, bare: true });
        let mut peer = Peer { has: vec![], wire: vec![], selective };
        let mut now_us = 1_000_000;
        for step in steps {
            match step {
                Step::Write(count) => write(&mut sender, count),
                Step::Send(most) => {
                    send(&mut sender, &mut peer, now_us, most.into());
                }
                Step::Arrive(n, tell) if !peer.wire.is_empty() => {
                    let piece = peer.wire.remove(usize::from(n) % peer.wire.len());
                    peer.take(piece);
                    if tell {
                        peer.answer(&mut sender, now_us);
                    }
                }
                Step::Lose(n) if !peer.wire.is_empty() => {
                    peer.wire.remove(usize::from(n) % peer.wire.len());
                }
                Step::Narrow(mss) if mss < sender.mss => {
                    peer.wire.retain(|(from, to)| to.wrapping_sub(*from) <= mss);
                    sender.narrow(mss);
                }
                Step::Wait(us) => {
                    now_us += u64::from(us);
                    prop_assert!(sender.on_time(now_us));
                }
                _ => {}
            }
            prop_assert!(ahead(sender.una, peer.next()) <= 0, "nothing is taken for granted");
            prop_assert!(sender.nxt.wrapping_sub(sender.una) <= 3_000);
            let waits = !sender.sent.is_empty();
            prop_assert!(!waits || sender.deadline_us().is_some(), "it is waited for");
        }
        sender.close();
        for _ in 0..5_000 {
            send(&mut sender, &mut peer, now_us, 64);
            for piece in std::mem::take(&mut peer.wire) {
                peer.take(piece);
                now_us += 50;
                peer.answer(&mut sender, now_us);
            }
            if sender.is_over() {
                break;
            }
            now_us = sender.deadline_us().unwrap_or(now_us).max(now_us + 50);
            prop_assert!(sender.on_time(now_us));
        }
        prop_assert!(sender.is_over(), "una {} end {}", sender.una, sender.end);
    }
}
