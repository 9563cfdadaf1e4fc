//! OUCH 5.0 as the crate `slouch` reads and writes it: its requests drive the gateway, and it
//! understands the gateway's answers.

#[path = "../common/mod.rs"]
mod common;

use common::*;
use slouch::msg::{OuchRequest, OuchResponse};
use slouch::types::*;
use slouch::{account_query, cancel, enter, mass_cancel, modify, replace};

fn reference(number: u32) -> UserRefNum {
    let mut reference = UserRefNum::new();
    while reference.val() < number {
        reference.increment();
    }
    reference
}

fn order(number: u32, side: Side, quantity: u32, dollars: u64) -> OuchRequest {
    enter! {
        user_ref_num: reference(number),
        side: side,
        quantity: quantity,
        symbol: StockSymbol::from("AAPL").unwrap(),
        price: Price::new(dollars * 10_000).unwrap(),
        time_in_force: TimeInForce::Day,
        display: Display::Visible,
        capacity: Capacity::Agency,
        intermarket_sweep: false,
        cross_type: CrossType::ContinuousMarket,
        order_token: OrderToken::from("token 1").unwrap(),
    }
}

/// Sends a request of slouch's and has slouch read the answer.
fn ask(client: &mut millrace::client::Client, request: &OuchRequest) -> OuchResponse {
    client.send(&request.encode()).unwrap();
    read(client)
}

fn read(client: &mut millrace::client::Client) -> OuchResponse {
    let message = client.message(PATIENCE).unwrap();
    OuchResponse::parse(&message).map(|(_, response)| response).unwrap()
}

#[test]
fn slouch_and_millrace_understand_each_other() {
    let venue = Venue::start();
    let (mut alice, mut bob) = (venue.client("ALICE"), venue.client("BOB"));
    match ask(&mut alice, &account_query!()) {
        OuchResponse::AccountQueryResponse(answer) => {
            assert_eq!(answer.next_user_ref_num().val(), 1);
        }
        other => panic!("{other:?}"),
    }
    match ask(&mut alice, &order(1, Side::Sell, 100, 100)) {
        OuchResponse::OrderAccepted(accepted) => {
            assert_eq!(accepted.user_ref_num().val(), 1);
            assert_eq!(accepted.side(), Side::Sell);
            assert_eq!(accepted.quantity(), 100);
            assert_eq!(accepted.symbol(), StockSymbol::from("AAPL").unwrap());
            assert_eq!(accepted.price(), Price::new(1_000_000).unwrap());
            assert_eq!(accepted.order_state(), OrderState::Live);
            assert_eq!(accepted.order_token(), OrderToken::from("token 1").unwrap());
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(ask(&mut bob, &order(1, Side::Buy, 30, 101)), OuchResponse::OrderAccepted(_)));
    for client in [&mut alice, &mut bob] {
        match read(client) {
            OuchResponse::OrderExecuted(fill) => {
                assert_eq!((fill.quantity(), fill.price()), (30, Price::new(1_000_000).unwrap()));
            }
            other => panic!("{other:?}"),
        }
    }
    let request = modify! { user_ref_num: reference(1), side: Side::SellShort, quantity: 90u32 };
    match ask(&mut alice, &request) {
        OuchResponse::OrderModified(modified) => assert_eq!(modified.quantity(), 90),
        other => panic!("{other:?}"),
    }
    let request = replace! {
        old_ref_num: reference(1),
        new_ref_num: reference(2),
        quantity: 80u32,
        price: Price::new(1_020_000).unwrap(),
        time_in_force: TimeInForce::Day,
        display: Display::Visible,
        intermarket_sweep: false,
        order_token: OrderToken::from("token 2").unwrap(),
    };
    match ask(&mut alice, &request) {
        OuchResponse::OrderReplaced(replaced) => {
            assert_eq!(replaced.quantity(), 50);
            assert_eq!(replaced.side(), Side::SellShort);
        }
        other => panic!("{other:?}"),
    }
    match ask(&mut alice, &cancel! { user_ref_num: reference(2), quantity: 40u32 }) {
        OuchResponse::OrderCanceled(canceled) => {
            assert_eq!(canceled.quantity(), 40);
            assert_eq!(canceled.reason(), CancelReason::UserRequested);
        }
        other => panic!("{other:?}"),
    }
    let request = mass_cancel! {
        user_ref_num: reference(3),
        firm: Mpid::from("AAA").unwrap(),
        symbol: StockSymbol::from("AAPL").unwrap(),
    };
    assert!(matches!(ask(&mut alice, &request), OuchResponse::MassCancelResponse(_)));
    assert!(matches!(read(&mut alice), OuchResponse::OrderCanceled(_)));
    match ask(&mut alice, &order(4, Side::Buy, 1, 1)) {
        OuchResponse::OrderRejected(rejected) => {
            assert_eq!(rejected.user_ref_num().val(), 4);
        }
        other => panic!("the collar rejects this: {other:?}"),
    }
}
