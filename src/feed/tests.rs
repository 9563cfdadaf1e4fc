//! What is told, against what is displayed.

use std::collections::BTreeMap;

use super::{Nobody, Teller};
use crate::book::drawn::{Draw, SLOTS, SYMBOLS, command, definitions};
use crate::book::{Book, Capacity};
use crate::client::market::{Level, Market};
use crate::order::{
    Command, CommandKind, Display, FirmId, Price, SeqNum, Side, Slot, SymbolId, UserId, UserRefNum,
};
use crate::wire::itch::Message;

/// What is displayed of a symbol: shares and orders by side and price.
fn displayed(book: &Book, symbol: SymbolId) -> [BTreeMap<Price, Level>; 2] {
    let mut sides = [BTreeMap::new(), BTreeMap::new()];
    book.for_each_order(symbol, |_, order| {
        if !order.is_hidden() {
            let side = &mut sides[usize::from(order.side.is_buy())];
            let level: &mut Level = side.entry(order.price).or_default();
            level.shares += u64::from(order.shown());
            level.orders += 1;
        }
    });
    sides
}

/// Commands and everything that was told of them.
struct Venue {
    book: Book,
    teller: Teller,
    draw: Draw,
    seq: u64,
    told: Vec<Vec<u8>>,
}

impl Venue {
    fn new(seed: u64) -> Venue {
        let book = Book::new(Capacity { orders: SLOTS, symbols: SYMBOLS });
        let (teller, draw) = (Teller::new(), Draw(seed));
        let mut venue = Venue { book, teller, draw, seq: 0, told: vec![] };
        definitions().into_iter().for_each(|command| _ = venue.carry_out(command));
        venue
    }

    /// What is told of one command.
    fn carry_out(&mut self, command: Command) -> std::ops::Range<usize> {
        let (before, told) = (self.told.len(), &mut self.told);
        self.seq += 1;
        let command = Command { seq: SeqNum(self.seq), time_ns: self.seq * 1_000_003, ..command };
        let mut out = |message: &[u8]| told.push(message.to_vec());
        self.teller.apply(&mut self.book, &command, &mut Nobody, &mut out);
        before..self.told.len()
    }

    fn step(&mut self) -> (Command, std::ops::Range<usize>) {
        let command = command(&mut self.draw, &self.book, self.seq);
        (command, self.carry_out(command))
    }
}

fn take_in(market: &mut Market, messages: &[Vec<u8>]) {
    for message in messages {
        market.apply(&Message::parse(message).unwrap()).unwrap();
    }
}

/// `MILLRACE_FEED_COMMANDS` for more of them.
#[test]
fn the_book_rebuilt_from_the_feed_is_the_displayed_one_after_every_command() {
    let more = std::env::var("MILLRACE_FEED_COMMANDS").ok().and_then(|n| n.parse().ok());
    let commands: u64 = more.unwrap_or(1_000_000);
    let mut venue = Venue::new(0x5EED_0014);
    let mut market = Market::new();
    take_in(&mut market, &venue.told);
    let mut kinds = BTreeMap::<u8, u64>::new();
    for n in 0..commands {
        venue.told.clear();
        let (command, _) = venue.step();
        take_in(&mut market, &venue.told);
        venue.told.iter().for_each(|message| *kinds.entry(message[0]).or_default() += 1);
        let [asks, bids] = displayed(&venue.book, command.symbol);
        let depth = market.located(command.symbol.0 + 1).unwrap();
        assert!(
            depth.bids.iter().eq(bids.into_iter().rev()) && depth.asks.iter().eq(asks),
            "after command {n}: {command:?}"
        );
    }
    for kind in *b"AFEXDUP" {
        assert!(kinds[&kind] > commands / 1_000, "few of {}: {kinds:?}", kind as char);
    }
    let open: usize = (0..SYMBOLS)
        .flat_map(|symbol| displayed(&venue.book, SymbolId(symbol)))
        .flat_map(BTreeMap::into_values)
        .map(|level| level.orders as usize)
        .sum();
    assert_eq!(market.orders(), open);
}

#[test]
fn a_hidden_order_is_told_by_nothing_until_it_trades() {
    let mut venue = Venue::new(7);
    let hidden = Command {
        display: Display::Hidden,
        qty: 100,
        price: Price(9_000),
        limit: Price(9_000),
        user_ref: UserRefNum(1),
        ..Command::new(CommandKind::Enter, UserId(0), FirmId(0))
    };
    let slot = |n| Slot(n);
    venue.carry_out(Command { slot: slot(0), qty: 10, ..hidden });
    let before = venue.told.len();
    venue.carry_out(Command { slot: slot(1), user_ref: UserRefNum(2), ..hidden });
    let more = Command { kind: CommandKind::Replace, orig_user_ref: UserRefNum(2), ..hidden };
    let more = Command { slot: slot(1), user_ref: UserRefNum(3), qty: 900, ..more };
    venue.carry_out(more);
    let less = Command { kind: CommandKind::Cancel, user_ref: UserRefNum(3), ..more };
    venue.carry_out(Command { qty: 500, ..less });
    assert_eq!(venue.told.len(), before, "nobody hears of it");
    let taker = Command { side: Side::Sell, display: Display::Visible, qty: 12, ..hidden };
    let firm = FirmId(1);
    let told = venue.carry_out(Command { slot: slot(2), firm, user: UserId(1), ..taker });
    let told: Vec<_> = venue.told[told].iter().map(|m| Message::parse(m).unwrap()).collect();
    let [Message::Trade(first), Message::Trade(second)] = told[..] else { panic!("{told:?}") };
    assert_eq!([first.shares.get(), second.shares.get()], [10, 2]);
    assert_eq!([first.reference.get(), second.reference.get()], [0, 0]);
    assert_eq!([first.side, second.side], *b"BB");
}

#[test]
fn who_comes_later_ends_with_the_same_book() {
    let mut venue = Venue::new(21);
    let mut from_the_start = Market::new();
    for _ in 0..20_000 {
        venue.step();
    }
    let (mut joined, mut replica) = (Market::new(), venue.book.replica());
    assert_eq!(replica.digest(), venue.book.digest());
    venue.teller.preamble(1, |message| take_in(&mut joined, &[message.to_vec()]));
    for symbol in (0..SYMBOLS).map(SymbolId) {
        let see = |message: &[u8]| take_in(&mut joined, &[message.to_vec()]);
        venue.teller.orders(&replica, symbol, 1, see);
    }
    let snapshot = venue.told.len();
    for _ in 0..5_000 {
        let command = Command {
            seq: SeqNum(venue.seq + 1),
            time_ns: (venue.seq + 1) * 1_000_003,
            ..command(&mut Draw(venue.draw.0), &venue.book, venue.seq)
        };
        replica.apply(&command, &mut Nobody);
        venue.step();
    }
    assert_eq!(replica.digest(), venue.book.digest(), "a replica goes on as its original");
    take_in(&mut from_the_start, &venue.told);
    take_in(&mut joined, &venue.told[snapshot..]);
    for locate in 1..=SYMBOLS {
        let [a, b] = [&joined, &from_the_start].map(|market| market.located(locate).unwrap());
        assert_eq!((&a.bids, &a.asks, a.trading), (&b.bids, &b.asks, b.trading));
    }
}
