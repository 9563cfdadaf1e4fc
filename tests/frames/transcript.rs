//! What clients are told does not depend on what carries it.

use millrace::client::load::Random;
use millrace::client::{Answer, Client, NewOrder, account_query, cancel, mass_cancel, replace};
use millrace::order::Price;

use super::common::{self, PATIENCE, comparable};
use super::venue::Venue;

const MESSAGES: u32 = 3_000;

/// Sends a message and takes everything up to the answer to a query behind it.
fn tell(client: &mut Client, message: &[u8], transcript: &mut Vec<Vec<u8>>) {
    client.send(message).unwrap();
    client.send(&account_query()).unwrap();
    loop {
        let message = client.message(PATIENCE).unwrap();
        let last = matches!(Answer::parse(&message), Answer::AccountQueryResponse { .. });
        transcript.push(comparable(message));
        if last {
            return;
        }
    }
}

/// A flow that follows from its seed, of every message there is, by two firms and users.
fn flow(clients: &mut [Client; 2]) -> [Vec<Vec<u8>>; 2] {
    let mut random = Random::new(77);
    let mut transcripts = [vec![], vec![]];
    let mut next = [1u32; 2];
    for _ in 0..MESSAGES {
        let who = random.below(2) as usize;
        let (user_ref, back) = (next[who], 1 + random.below(20) as u32);
        let price = Price(1_000_000 + (random.below(21) as u32 * 100) - 1_000);
        let quantity = 1 + random.below(300) as u32;
        let side = if random.below(2) == 0 { b'B' } else { b'S' };
        let order = NewOrder::new(user_ref, side, quantity, "AAPL", price);
        let message = match random.below(20) {
            0..11 => order.encode(),
            11 => order.ioc().encode(),
            12 => order.post_only().encode(),
            13..17 => cancel(user_ref.saturating_sub(back), random.below(100) as u32),
            17 | 18 => replace(user_ref.saturating_sub(back), user_ref, quantity, price),
            _ => mass_cancel(user_ref, if who == 0 { "AAA" } else { "BBB" }, "AAPL"),
        };
        next[who] += 1;
        tell(&mut clients[who], &message, &mut transcripts[who]);
    }
    transcripts
}

#[test]
fn a_fixed_flow_gives_the_same_bytes_as_over_kernel_sockets() {
    let Some(venue) = Venue::start() else { return };
    let mut clients = [venue.client("ALICE", 1), venue.client("BOB", 1)];
    let over_frames = flow(&mut clients);
    drop(clients);
    drop(venue);
    let kernel = std::thread::spawn(|| {
        let venue = common::Venue::start();
        flow(&mut [venue.client_from("ALICE", 1), venue.client_from("BOB", 1)])
    });
    let over_kernel = kernel.join().unwrap();
    for (frames, kernel) in over_frames.iter().zip(&over_kernel) {
        assert!(frames.len() > 3_000, "{} messages are no flow", frames.len());
        let differs = frames.iter().zip(kernel).position(|(a, b)| a != b);
        assert_eq!((differs, frames.len()), (None, kernel.len()));
    }
}
