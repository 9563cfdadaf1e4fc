//! Signals kept as the book changes, against the same ones from the whole book.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A change of a book: side, price, shares, and whether an order goes instead of coming.
type Change = (bool, u32, u32, bool);

/// Best prices with their shares: to buy, to sell.
type Best = (Option<(u32, u64)>, Option<(u32, u64)>);

/// A book in the simplest words there are.
#[derive(Default)]
struct Plain {
    sides: [BTreeMap<u32, Vec<u32>>; 2],
}

impl Plain {
    fn levels(&self, buys: bool) -> Vec<(u32, u64)> {
        let told = |(price, orders): (&u32, &Vec<u32>)| {
            (*price, orders.iter().map(|shares| u64::from(*shares)).sum())
        };
        let side = &self.sides[usize::from(buys)];
        if buys { side.iter().rev().map(told).collect() } else { side.iter().map(told).collect() }
    }

    fn quote(&self) -> Best {
        (self.levels(true).first().copied(), self.levels(false).first().copied())
    }
}

/// e_n in the words of the paper; a side without orders is at a price beyond all others.
fn flow(before: Best, now: Best) -> i64 {
    let ((pb0, qb0), (pb, qb)) = (before.0.unwrap_or((0, 0)), now.0.unwrap_or((0, 0)));
    let none = (u32::MAX, 0);
    let ((pa0, qa0), (pa, qa)) = (before.1.unwrap_or(none), now.1.unwrap_or(none));
    let mut e = 0;
    if pb >= pb0 {
        e += qb as i64;
    }
    if pb <= pb0 {
        e -= qb0 as i64;
    }
    if pa <= pa0 {
        e -= qa as i64;
    }
    if pa >= pa0 {
        e += qa0 as i64;
    }
    e
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec((any::<bool>(), 0..30u32, 1..500u32, any::<bool>()), 1..400)
}

proptest! {
    #[test]
    fn signals_are_those_of_the_whole_book_after_each_event(changes in changes()) {
        let (mut bids, mut asks) = (Ladder::new(true), Ladder::new(false));
        let (mut signals, mut plain, mut total) = (Signals::default(), Plain::default(), 0);
        for (buys, price, shares, goes) in changes {
            let before = plain.quote();
            let ladder = if buys { &mut bids } else { &mut asks };
            // Sides never meet.
            let price = if buys { 1_000 - price } else { 1_001 + price };
            let side = &mut plain.sides[usize::from(buys)];
            let moved = match side.get_mut(&price).filter(|_| goes) {
                Some(orders) => {
                    let shares = shares.min(orders[0]);
                    orders[0] -= shares;
                    let done = orders[0] == 0;
                    if done {
                        orders.remove(0);
                    }
                    if orders.is_empty() {
                        side.remove(&price);
                    }
                    ladder.lower(Price(price), shares, done).unwrap()
                }
                None => {
                    side.entry(price).or_default().push(shares);
                    ladder.add(Price(price), shares)
                }
            };
            signals.moved(buys, ladder, moved);
            signals.settle(&bids, &asks);
            total += flow(before, plain.quote());
            prop_assert_eq!(signals.flow(), total);
            for (buys, ladder) in [(true, &bids), (false, &asks)] {
                let found: Vec<_> = ladder.iter().map(|(p, l)| (p.0, l.shares)).collect();
                prop_assert_eq!(found, plain.levels(buys));
            }
            let sum = |buys, depth| -> u64 {
                plain.levels(buys).iter().take(depth).map(|(_, shares)| shares).sum()
            };
            for (at, depth) in DEPTHS.into_iter().enumerate() {
                let (b, a) = (sum(true, depth), sum(false, depth));
                prop_assert_eq!(signals.shares(at), (b, a));
                let expected = (b as f64 - a as f64) / (b as f64 + a as f64);
                prop_assert_eq!(signals.imbalance(at), (b + a > 0).then_some(expected));
            }
            match plain.quote() {
                (Some((pb, qb)), Some((pa, qa))) => {
                    prop_assert_eq!(signals.twice_mid(), Some(u64::from(pb + pa)));
                    prop_assert_eq!(signals.spread(), Some(pa - pb));
                    let micro = (f64::from(pb) * qa as f64 + f64::from(pa) * qb as f64) / (qa + qb) as f64;
                    prop_assert!((signals.microprice().unwrap() - micro).abs() < 1e-9);
                }
                _ => prop_assert_eq!((signals.twice_mid(), signals.spread(), signals.microprice()), (None, None, None)),
            }
        }
        prop_assert_eq!(Signals { flow: 0, events: 0, ..signals }, Signals::of(&bids, &asks));
    }

    #[test]
    fn a_window_has_the_flow_of_its_time(
        events in prop::collection::vec((0..50u64, -100..100i64), 1..200), span in 1..200u64,
    ) {
        let mut window = FlowWindow::new(span);
        let (mut signals, mut now, mut all) = (Signals::default(), 0, vec![]);
        for (passed, flow) in events {
            now += passed;
            signals.flow += flow;
            all.push((now, flow));
            let inside = all.iter().filter(|(at, _)| at + span > now);
            prop_assert_eq!(window.at(now, &signals), inside.map(|(_, flow)| flow).sum::<i64>());
        }
    }
}

/// As the note tells that it happened: a level at 30000.96 that came as a decimal text became 30000.95999999, so
/// that what took it away did not find it, and it stayed in the book for ever.
#[test]
fn a_level_at_30000_96_that_came_as_text_leaves_the_book_again() {
    let (mut bids, asks) = (Ladder::new(true), Ladder::new(false));
    let mut signals = Signals::default();
    let came: Price = "30000.96".parse().unwrap();
    let moved = bids.add(came, 100);
    signals.moved(true, &bids, moved);
    signals.settle(&bids, &asks);
    assert_eq!(signals.imbalance(0), Some(1.0));
    let goes: Price = "30000.9600".parse().unwrap();
    assert_eq!((came, goes.to_string()), (Price(300_009_600), "30000.96".to_owned()));
    let moved = bids.lower(goes, 100, true).expect("it is found");
    signals.moved(true, &bids, moved);
    signals.settle(&bids, &asks);
    assert!(bids.is_empty());
    assert_eq!((signals.imbalance(0), signals.shares(2)), (None, (0, 0)));
    // Every price of four decimals around it, to text and back.
    for units in 300_000_000..300_020_000 {
        assert_eq!(Price(units).to_string().parse(), Ok(Price(units)));
    }
}
