//! OUCH 4.2: tokens instead of numbers.

use millrace::client::Client;
use millrace::wire::ouch42::{
    Accepted, CancelOrder, Canceled, EnterOrder, Executed, MARKET_HOURS, Rejected, ReplaceOrder,
    Replaced,
};
use millrace::wire::soupbin::pad;
use zerocopy::{FromBytes, IntoBytes};

use super::Floor;
use super::common::*;

fn order(token: &str, side: u8, shares: u32, at: &str) -> EnterOrder {
    EnterOrder {
        kind: b'O',
        token: pad(token.as_bytes()),
        side,
        shares: shares.into(),
        stock: *b"AAPL    ",
        price: price(at).0.into(),
        time_in_force: MARKET_HOURS.into(),
        firm: *b"EEE ",
        display: b'Y',
        capacity: b'P',
        sweep: b'N',
        min_quantity: 0.into(),
        cross_type: b'N',
        customer_type: b' ',
    }
}

fn cancel(token: &str) -> CancelOrder {
    CancelOrder { kind: b'X', token: pad(token.as_bytes()), shares: 0.into() }
}

fn replace(existing: &str, replacement: &str, shares: u32, at: &str) -> ReplaceOrder {
    ReplaceOrder {
        kind: b'U',
        existing: pad(existing.as_bytes()),
        replacement: pad(replacement.as_bytes()),
        shares: shares.into(),
        price: price(at).0.into(),
        time_in_force: MARKET_HOURS.into(),
        display: b'Y',
        sweep: b'N',
        min_quantity: 0.into(),
    }
}

fn next<T: FromBytes>(client: &mut Client) -> T {
    let bytes = client.message(PATIENCE).unwrap();
    T::read_from_bytes(&bytes).unwrap_or_else(|_| panic!("{bytes:?}"))
}

fn log_in(floor: &Floor, number: u64) -> Client {
    Client::login(floor.address(3), "TOKEN1", "secret", number).unwrap()
}

#[test]
fn a_session_of_tokens() {
    let floor = Floor::open();
    let mut alice = floor.venue.client("ALICE");
    let mut token = log_in(&floor, 1);
    let start = token.message(PATIENCE).unwrap();
    assert_eq!((start[0], start.len(), start[9]), (b'S', 10, b'S'));
    token.send(order("T1", b'B', 100, "100.00").as_bytes()).unwrap();
    let accepted: Accepted = next(&mut token);
    assert_eq!(accepted.order.token, pad::<14>(b"T1"));
    assert_eq!(
        (accepted.order.kind, accepted.order.shares.get(), accepted.order.state),
        (b'A', 100, b'L')
    );
    assert_eq!(accepted.order.time_in_force.get(), MARKET_HOURS);
    enter(&mut alice, &sell(1, 30, "100.00"));
    let executed: Executed = next(&mut token);
    assert_eq!((executed.kind, executed.shares.get(), executed.liquidity), (b'E', 30, b'A'));
    assert_eq!((executed.token, executed.price.get()), (pad(b"T1"), price("100.00").0));
    token.send(replace("T1", "T2", 150, "99.00").as_bytes()).unwrap();
    let replaced: Replaced = next(&mut token);
    assert_eq!((replaced.order.token, replaced.previous), (pad(b"T2"), pad(b"T1")));
    assert_eq!((replaced.order.shares.get(), replaced.order.state), (120, b'L'));
    // A token that was used, and one that stands for nothing, are passed over.
    token.send(order("T1", b'B', 100, "99.00").as_bytes()).unwrap();
    token.send(cancel("T9").as_bytes()).unwrap();
    token.send(cancel("T1").as_bytes()).unwrap();
    token.send(cancel("T2").as_bytes()).unwrap();
    let canceled: Canceled = next(&mut token);
    assert_eq!(
        (canceled.token, canceled.decrement.get(), canceled.reason),
        (pad(b"T2"), 120, b'U')
    );
    let bad = EnterOrder { stock: *b"NOSUCH  ", ..order("T3", b'B', 1, "99.00") };
    token.send(bad.as_bytes()).unwrap();
    let rejected: Rejected = next(&mut token);
    assert_eq!((rejected.token, rejected.reason), (pad(b"T3"), b'S'));
    token.send(order("T4", b'B', 100, "99.00").as_bytes()).unwrap();
    let _: Accepted = next(&mut token);
    drop(token);

    let floor = floor.restart();
    let mut token = log_in(&floor, 2);
    let again: Accepted = next(&mut token);
    assert_eq!(again.as_bytes(), accepted.as_bytes());
    let _: Executed = next(&mut token);
    let _: Replaced = next(&mut token);
    let _: Canceled = next(&mut token);
    let _: Rejected = next(&mut token);
    let _: Accepted = next(&mut token);
    let canceled: Canceled = next(&mut token);
    assert_eq!((canceled.token, canceled.reason), (pad(b"T4"), b'S'));
    token.send(order("T4", b'B', 100, "99.00").as_bytes()).unwrap();
    silence(&mut token);
}

#[test]
fn an_unreadable_message_ends_the_session() {
    let floor = Floor::open();
    let mut token = log_in(&floor, 1);
    let _ = token.message(PATIENCE).unwrap();
    token.send(&order("T1", b'B', 100, "100.00").as_bytes()[..48]).unwrap();
    assert!(token.message(PATIENCE).is_err());
}
