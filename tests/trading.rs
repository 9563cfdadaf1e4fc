//! Orders as dialogues: send this, expect that.

mod common;

use common::*;
use millrace::client::{Answer, NewOrder, account_query, cancel, mass_cancel, modify, replace};
use millrace::order::Price;
use millrace::wire::ouch::appendage::tag;

#[test]
fn two_orders_that_cross_trade_at_the_resting_price() {
    let venue = Venue::start();
    let (mut alice, mut bob) = (venue.client("ALICE"), venue.client("BOB"));
    enter(&mut alice, &sell(1, 100, "100.00"));
    enter(&mut bob, &buy(1, 60, "101.00"));
    filled(&mut bob, 1, 60, "100.00", 'R');
    filled(&mut alice, 1, 60, "100.00", 'A');
    alice.send(&cancel(1, 0)).unwrap();
    canceled(&mut alice, 1, 40, 'U');
}

#[test]
fn both_sides_of_a_trade_have_one_match_number() {
    let venue = Venue::start();
    let (mut alice, mut bob) = (venue.client("ALICE"), venue.client("BOB"));
    enter(&mut alice, &sell(1, 10, "100.00"));
    enter(&mut bob, &buy(1, 10, "100.00"));
    let number = |a| match a {
        Answer::Executed { match_number, .. } => match_number,
        other => panic!("{other:?}"),
    };
    assert_eq!(number(answer(&mut alice)), number(answer(&mut bob)));
}

#[test]
fn an_ioc_remainder_is_cancelled_and_a_fill_or_kill_trades_whole_or_not() {
    let venue = Venue::start();
    let (mut alice, mut bob) = (venue.client("ALICE"), venue.client("BOB"));
    enter(&mut alice, &sell(1, 30, "100.00"));
    let kill = buy(1, 31, "100.00").ioc().with(tag::MINIMUM_QUANTITY, &31u32.to_be_bytes());
    enter(&mut bob, &kill);
    canceled(&mut bob, 1, 31, 'I');
    enter(&mut bob, &buy(2, 50, "100.00").ioc());
    filled(&mut bob, 2, 30, "100.00", 'R');
    canceled(&mut bob, 2, 20, 'I');
}

#[test]
fn a_post_only_order_rests_or_is_cancelled_but_never_takes() {
    let venue = Venue::start();
    let (mut alice, mut bob) = (venue.client("ALICE"), venue.client("BOB"));
    enter(&mut alice, &sell(1, 10, "100.00").post_only());
    enter(&mut bob, &buy(1, 10, "100.00").post_only());
    canceled(&mut bob, 1, 10, 'G');
    enter(&mut bob, &buy(2, 10, "99.99").post_only());
    silence(&mut alice);
}

#[test]
fn a_market_order_takes_what_there_is_inside_the_collar() {
    let venue = Venue::with("", "price_collar_bps = 1000");
    let (mut alice, mut bob) = (venue.client("ALICE"), venue.client("BOB"));
    enter(&mut alice, &sell(1, 10, "105.00"));
    let market = NewOrder::new(1, b'B', 15, "AAPL", Price::MARKET);
    enter(&mut bob, &market);
    filled(&mut bob, 1, 10, "105.00", 'R');
    canceled(&mut bob, 1, 5, 'I');
    // The last trade moved the reference: 115.50 is the collar now.
    filled(&mut alice, 1, 10, "105.00", 'A');
    enter(&mut alice, &sell(2, 10, "115.50"));
    assert_eq!(refused(&mut alice, &sell(3, 10, "115.51")), 38);
}

#[test]
fn hidden_orders_trade_behind_displayed_ones_of_their_price() {
    let venue = Venue::start();
    let (mut alice, mut bob) = (venue.client("ALICE"), venue.client("BOB"));
    enter(&mut alice, &NewOrder { display: b'N', ..sell(1, 10, "100.00") });
    enter(&mut alice, &sell(2, 10, "100.00"));
    enter(&mut bob, &buy(1, 15, "100.00"));
    filled(&mut alice, 2, 10, "100.00", 'A');
    filled(&mut alice, 1, 5, "100.00", 'J');
}

#[test]
fn an_iceberg_shows_its_next_slice_at_the_back() {
    let venue = Venue::start();
    let (mut alice, mut bob) = (venue.client("ALICE"), venue.client("BOB"));
    let floor = 10u32.to_be_bytes();
    enter(&mut alice, &sell(1, 25, "100.00").with(tag::MAX_FLOOR, &floor));
    enter(&mut alice, &sell(2, 10, "100.00"));
    enter(&mut bob, &buy(1, 25, "100.00"));
    filled(&mut alice, 1, 10, "100.00", 'A');
    assert_eq!(answer(&mut alice), Answer::Restated { user_ref: 1 });
    filled(&mut alice, 2, 10, "100.00", 'A');
    filled(&mut alice, 1, 5, "100.00", 'A');
    alice.send(&cancel(1, 0)).unwrap();
    canceled(&mut alice, 1, 10, 'U');
}

#[test]
fn a_replace_changes_number_price_and_size_and_can_trade() {
    let venue = Venue::start();
    let (mut alice, mut bob) = (venue.client("ALICE"), venue.client("BOB"));
    enter(&mut alice, &sell(1, 100, "101.00"));
    enter(&mut bob, &buy(1, 40, "100.00"));
    alice.send(&replace(1, 2, 100, price("100.00"))).unwrap();
    match answer(&mut alice) {
        Answer::Replaced { orig_user_ref: 1, user_ref: 2, quantity: 100, live: true, .. } => {}
        other => panic!("{other:?}"),
    }
    filled(&mut alice, 2, 40, "100.00", 'R');
    // The old number is gone; executed shares count into a new size.
    alice.send(&replace(1, 3, 100, price("100.00"))).unwrap();
    assert_eq!(answer(&mut alice), Answer::Rejected { user_ref: 3, reason: 21 });
    alice.send(&replace(2, 4, 40, price("100.00"))).unwrap();
    match answer(&mut alice) {
        Answer::Replaced { user_ref: 4, quantity: 0, live: false, .. } => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_modify_keeps_priority_and_changes_only_between_sells() {
    let venue = Venue::start();
    let (mut alice, mut bob) = (venue.client("ALICE"), venue.client("BOB"));
    enter(&mut alice, &sell(1, 20, "100.00"));
    enter(&mut alice, &sell(2, 20, "100.00"));
    alice.send(&modify(1, b'T', 15)).unwrap();
    assert_eq!(answer(&mut alice), Answer::Modified { user_ref: 1, side: 'T', quantity: 15 });
    alice.send(&modify(1, b'B', 15)).unwrap();
    assert_eq!(answer(&mut alice), Answer::CancelReject { user_ref: 1 });
    enter(&mut bob, &buy(1, 15, "100.00"));
    filled(&mut alice, 1, 15, "100.00", 'A');
}

#[test]
fn a_partial_cancel_keeps_priority() {
    let venue = Venue::start();
    let (mut alice, mut bob) = (venue.client("ALICE"), venue.client("BOB"));
    enter(&mut alice, &sell(1, 20, "100.00"));
    enter(&mut alice, &sell(2, 20, "100.00"));
    alice.send(&cancel(1, 5)).unwrap();
    canceled(&mut alice, 1, 15, 'U');
    enter(&mut bob, &buy(1, 6, "100.00"));
    filled(&mut alice, 1, 5, "100.00", 'A');
    filled(&mut alice, 2, 1, "100.00", 'A');
}

#[test]
fn a_mass_cancel_is_answered_and_takes_one_symbol_or_all() {
    let venue = Venue::start();
    let mut alice = venue.client("ALICE");
    enter(&mut alice, &sell(1, 10, "100.00"));
    enter(&mut alice, &NewOrder::new(2, b'S', 10, "MSFT", price("100.00")));
    enter(&mut alice, &sell(3, 10, "100.00"));
    alice.send(&mass_cancel(4, "AAA", "AAPL")).unwrap();
    let said = Answer::MassCancelResponse { user_ref: 4, symbol: "AAPL".to_owned() };
    assert_eq!(answer(&mut alice), said);
    canceled(&mut alice, 1, 10, 'U');
    canceled(&mut alice, 3, 10, 'U');
    alice.send(&mass_cancel(5, "", "")).unwrap();
    assert_eq!(answer(&mut alice).user_ref(), Some(5));
    canceled(&mut alice, 2, 10, 'U');
    alice.send(&mass_cancel(6, "BBB", "")).unwrap();
    assert_eq!(answer(&mut alice), Answer::Rejected { user_ref: 6, reason: 12 });
}

#[test]
fn order_entry_is_disabled_for_the_whole_firm_until_enabled() {
    let venue = Venue::start();
    let (mut alice, mut carol) = (venue.client("ALICE"), venue.client("CAROL"));
    let mut bob = venue.client("BOB");
    alice.send(b"D\0\0\0\x01AAA \0\0").unwrap();
    assert_eq!(answer(&mut alice), Answer::FirmSwitch { enabled: false, user_ref: 1 });
    assert_eq!(refused(&mut carol, &buy(1, 1, "90.00")), 12);
    enter(&mut bob, &buy(1, 1, "90.00"));
    alice.send(b"E\0\0\0\x02AAA \0\0").unwrap();
    assert_eq!(answer(&mut alice), Answer::FirmSwitch { enabled: true, user_ref: 2 });
    enter(&mut carol, &buy(2, 1, "90.00"));
}

#[test]
fn a_gtt_order_expires() {
    let venue = Venue::start();
    let mut alice = venue.client("ALICE");
    let order = NewOrder { time_in_force: b'6', ..sell(1, 10, "100.00") };
    enter(&mut alice, &order.with(tag::EXPIRE_TIME, &1u32.to_be_bytes()));
    canceled(&mut alice, 1, 10, 'T');
}

#[test]
fn self_trades_are_prevented_as_the_firm_chose() {
    for (policy, maker, taker) in [
        ("cancel_newest", None, Some((10, 'W'))),
        ("cancel_oldest", Some((20, 'O')), None),
        ("cancel_both", Some((20, 'O')), Some((10, 'W'))),
        ("decrement", Some((10, 'D')), Some((10, 'D'))),
    ] {
        let venue = Venue::with("", &format!("self_trade = \"{policy}\""));
        let (mut alice, mut carol) = (venue.client("ALICE"), venue.client("CAROL"));
        enter(&mut alice, &sell(1, 20, "100.00"));
        enter(&mut carol, &buy(1, 10, "100.00"));
        for (client, said) in [(&mut alice, maker), (&mut carol, taker)] {
            match said {
                Some((decrement, strategy)) => {
                    let price = price("100.00").0.into();
                    let (user_ref, prevented) = (1, 10);
                    let said =
                        Answer::AiqCanceled { user_ref, decrement, prevented, price, strategy };
                    assert_eq!(answer(client), said, "{policy}");
                }
                None => silence(client),
            }
        }
    }
}

#[test]
fn an_account_query_tells_the_next_number_also_over_a_reconnect() {
    let venue = Venue::start();
    let mut alice = venue.client("ALICE");
    alice.send(&account_query()).unwrap();
    assert_eq!(answer(&mut alice), Answer::AccountQueryResponse { next_user_ref: 1 });
    enter(&mut alice, &buy(41, 1, "90.00"));
    drop(alice);
    venue.wait_for("gateway.connections_closed", 1);
    let mut alice = venue.client("ALICE");
    // With or without an appendage.
    alice.send(b"Q\0\0").unwrap();
    loop {
        match answer(&mut alice) {
            Answer::Canceled { .. } => {}
            other => break assert_eq!(other, Answer::AccountQueryResponse { next_user_ref: 42 }),
        }
    }
}

#[test]
fn optional_elements_are_echoed_or_refused_with_their_reason() {
    let venue = Venue::start();
    let mut alice = venue.client("ALICE");
    let order = buy(1, 10, "90.00").with(tag::FIRM, b"AAA ").with(tag::GROUP_ID, &[0, 7]);
    alice.send(&order.encode()).unwrap();
    let accepted = alice.message(PATIENCE).unwrap();
    assert_eq!(&accepted[62..], b"\0\x0a\x05\x02AAA \x03\x18\0\x07");
    let with = |tag, value: &[u8]| buy(100 + u32::from(tag), 10, "90.00").with(tag, value);
    for (order, reason) in [
        (with(tag::FIRM, b"BBB "), 12),
        (with(tag::MINIMUM_QUANTITY, &[0, 0, 0, 5]), 13),
        (with(tag::CUSTOMER_TYPE, b"R"), 26),
        (with(tag::MAX_FLOOR, b"abc"), 4),
        (with(tag::PRICE_TYPE, b"M"), 17),
        (with(tag::PEG_OFFSET, &[0; 4]), 17),
        (with(tag::DISCRETION_PRICE, &[0; 8]), 17),
        (with(tag::POST_ONLY, b"?"), 15),
        (with(tag::RANDOM_RESERVES, &[0; 4]), 15),
        (with(tag::ROUTE, b"SCAN"), 22),
        (with(tag::EXPIRE_TIME, &[0, 0, 0, 9]), 15),
        (NewOrder { side: b'T', ..with(tag::SHARES_LOCATED, b"N") }, 39),
        (with(tag::USER_REF_INDEX, &[1]), 15),
        (with(99, b""), 15),
    ] {
        assert_eq!(refused(&mut alice, &order), reason, "tag {}", order.elements[0].0);
    }
}

#[test]
fn what_the_format_allows_and_the_venue_does_not_has_its_reason() {
    let venue = Venue::start();
    let mut alice = venue.client("ALICE");
    let mut user_ref = 0;
    let mut order = || {
        user_ref += 1;
        buy(user_ref, 10, "90.00")
    };
    let high = u64::from(Price::MAX_LIMIT.0) + 100;
    let cases = [
        (NewOrder { side: b'X', ..order() }, 9),
        (NewOrder { quantity: 0, ..order() }, 19),
        (NewOrder { quantity: 1_000_000, ..order() }, 19),
        (NewOrder { quantity: u32::MAX, ..order() }, 19),
        (NewOrder { symbol: "NONE".to_owned(), ..order() }, 23),
        (NewOrder { symbol: "\u{fffd}\u{fffd}".to_owned(), ..order() }, 23),
        (NewOrder { price: 0, ..order() }, 29),
        (NewOrder { price: high, ..order() }, 29),
        (NewOrder { price: u64::MAX - 9_999, ..order() }, 29),
        (NewOrder { price: 900_050, ..order() }, 29),
        (NewOrder { time_in_force: b'E', ..order() }, 15),
        (NewOrder { time_in_force: b'6', ..order() }, 15),
        (NewOrder { display: b'?', ..order() }, 3),
    ];
    for (order, reason) in &cases {
        assert_eq!(refused(&mut alice, order), *reason, "{order:?}");
    }
    enter(&mut alice, &order());
}
