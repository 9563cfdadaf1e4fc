//! Readers that nobody here wrote, who rebuild the book from packets alone.

use std::collections::{BTreeMap, HashMap};

use itchy::{Body, MessageStream, Side};
use millrace::book::{Book, Capacity};
use millrace::client::market::Level;
use millrace::feed::{Nobody, Teller};
use millrace::journal::read_all;
use millrace::order::{Price, SymbolId};
use millrace::segment::journal_dir;

use super::venue::{Exchange, Reader, Spoilt, displayed};

/// A book as plain as can be, fed by what `itchy` reads.
#[derive(Default)]
struct Plain {
    /// Symbol, side, price and shares by number.
    orders: HashMap<u64, (u16, bool, u32, u32)>,
}

impl Plain {
    fn apply(&mut self, message: &itchy::Message) {
        let locate = message.stock_locate;
        match &message.body {
            Body::AddOrder(add) => {
                let order = (locate, add.side == Side::Buy, add.price.raw(), add.shares);
                assert!(self.orders.insert(add.reference, order).is_none());
            }
            Body::OrderExecuted { reference, executed: shares, .. }
            | Body::OrderCancelled { reference, cancelled: shares } => {
                let order = self.orders.get_mut(reference).unwrap();
                order.3 -= shares;
                if order.3 == 0 {
                    self.orders.remove(reference);
                }
            }
            Body::DeleteOrder { reference } => _ = self.orders.remove(reference).unwrap(),
            Body::ReplaceOrder(replace) => {
                let old = self.orders.remove(&replace.old_reference).unwrap();
                let order = (old.0, old.1, replace.price.raw(), replace.shares);
                assert!(self.orders.insert(replace.new_reference, order).is_none());
            }
            Body::NonCrossTrade(trade) => assert_eq!(trade.reference, 0),
            Body::SystemEvent { .. } | Body::StockDirectory(_) | Body::TradingAction { .. } => {}
            other => panic!("this market does not tell {other:?}"),
        }
    }

    fn displayed(&self, locate: u16) -> [BTreeMap<Price, Level>; 2] {
        let mut sides = [BTreeMap::new(), BTreeMap::new()];
        for (_, buys, price, shares) in self.orders.values().filter(|order| order.0 == locate) {
            let level: &mut Level = sides[usize::from(*buys)].entry(Price(*price)).or_default();
            level.shares += u64::from(*shares);
            level.orders += 1;
        }
        sides
    }
}

#[test]
fn itchy_rebuilds_the_book_of_the_journal_after_every_command() {
    let exchange = Exchange::start("", "");
    let bad = Spoilt { lost: 50, doubled: 50, late: 50 };
    let mut reader = Reader::open(&exchange, 0, bad, 3);
    exchange.trade(23, 2_000);
    reader.read_until(exchange.told());
    let config = exchange.venue.config.clone();
    let (_, _scratch) = exchange.venue.stop();
    // What came along the line, in itchy's own framing.
    let framed = |message: &Vec<u8>| [&(message.len() as u16).to_be_bytes()[..], message].concat();
    let bytes: Vec<u8> = reader.messages.iter().flat_map(framed).collect();
    let mut messages = MessageStream::from_reader(&bytes[..]);
    let mut plain = Plain::default();
    let mut book = Book::new(Capacity { orders: 4_096, symbols: 2 });
    // How many messages belong to each command.
    let mut teller = Teller::new();
    let mut commands = 0;
    read_all(&journal_dir(&config), |command| {
        let mut told = 0;
        teller.apply(&mut book, command, &mut Nobody, &mut |_: &[u8]| told += 1);
        messages.by_ref().take(told).for_each(|message| plain.apply(&message.unwrap()));
        if book.symbols() > usize::from(command.symbol.0) {
            let symbol = SymbolId(command.symbol.0);
            let after = format!("after command {}", command.seq);
            assert_eq!(plain.displayed(symbol.0 + 1), displayed(&book, symbol), "{after}");
        }
        commands += 1;
    })
    .unwrap();
    assert!(messages.next().is_none(), "everything that was told belongs to a command");
    assert!(commands > 1_500 && !plain.orders.is_empty());
}
