//! Several books that have the symbols among them.

use std::sync::Arc;

use super::{Book, Digest};
use crate::order::{Command, CommandKind, SymbolId};

/// Which of several books has which symbol.
#[derive(Clone, Debug)]
pub struct Places {
    books: usize,
    of: Arc<[u8]>,
}

impl Places {
    /// One book has all.
    pub fn one() -> Places {
        Places { books: 1, of: Arc::new([]) }
    }

    /// `of` says it for each symbol; those beyond are the first book's.
    pub fn new(books: usize, of: &[u8]) -> Places {
        assert!((1..=256).contains(&books) && of.iter().all(|book| usize::from(*book) < books));
        Places { books, of: of.into() }
    }

    /// How many books there are.
    pub fn books(&self) -> usize {
        self.books
    }

    /// Which book has a symbol.
    #[inline]
    pub fn of_symbol(&self, symbol: SymbolId) -> usize {
        self.of.get(symbol.index()).map_or(0, |book| usize::from(*book))
    }

    /// Which book carries a command out: what is about no order is the first one's.
    #[inline]
    pub fn of_command(&self, command: &Command) -> usize {
        use CommandKind::{Bust, Cancel, Chase, Enter, Modify, Replace, VenueSaid};
        let of_order =
            [Enter, Replace, Cancel, Modify, VenueSaid, Chase, Bust].contains(&command.kind);
        if self.books == 1 || !of_order {
            return 0;
        }
        self.of_symbol(command.symbol)
    }
}

impl Book {
    /// A book for each place, with the orders of its symbols. Each goes on as this one would with the commands
    /// that are its own.
    pub fn split(self, places: &Places) -> Vec<Book> {
        if places.books() == 1 {
            return vec![self];
        }
        assert!(self.numbering.is_by_place(), "numbers would depend on what other books do");
        let part = |at: usize| self.part(|symbol| places.of_symbol(symbol) == at);
        (0..places.books()).map(part).collect()
    }

    /// A second book that goes on as this one does.
    pub fn replica(&self) -> Book {
        self.part(|_| true)
    }

    /// The same with the orders of some symbols alone.
    fn part(&self, has: impl Fn(SymbolId) -> bool) -> Book {
        assert!(!self.is_paused(), "it is made between two commands");
        let mut part = Book::new(self.capacity());
        part.numbering = self.numbering.clone();
        for (number, ladder) in (0..).zip(&self.ladders) {
            let symbol = SymbolId(number);
            part.define_symbol(symbol, ladder.tick());
            part.numbering.take_over(symbol, &self.numbering);
            if has(symbol) {
                self.for_each_order(symbol, |slot, order| {
                    part.orders[slot.index()] = *order;
                    part.place(slot);
                    part.open_orders += 1;
                });
            }
        }
        if let Some(outside) = &self.outside {
            let mut own = outside.part(self.capacity().orders, &has);
            self.for_each_outside(|slot, _, order| {
                if has(order.symbol) {
                    part.orders[slot.index()] = *order;
                    part.open_orders += 1;
                    own.take_over(slot, order, outside);
                }
            });
            part.outside = Some(own);
        }
        part
    }

    /// A hash of everything that decides how the book behaves from here on.
    pub fn digest(&self) -> u64 {
        digest(&[self], &Places::one())
    }
}

/// The hash of several books: that of one which has all they have.
pub fn digest(books: &[&Book], places: &Places) -> u64 {
    let mut digest = Digest::new();
    books[0].numbering.add_to(&mut digest);
    for number in 0..books[0].symbols() {
        let symbol = SymbolId(number as u16);
        let book = books[places.of_symbol(symbol)];
        digest.add(u64::from(book.tick(symbol).0));
        book.numbering.add_symbol_to(symbol, &mut digest);
        book.for_each_order(symbol, |slot, order| {
            digest.add(u64::from(slot.0));
            order.add_to(&mut digest);
        });
    }
    let mut outside = vec![];
    for book in books {
        book.for_each_outside(|slot, _, order| outside.push((slot, *book, *order)));
    }
    outside.sort_unstable_by_key(|(slot, ..)| slot.0);
    for (slot, book, order) in outside {
        digest.add(u64::from(slot.0));
        order.add_to(&mut digest);
        if let Some(outside) = &book.outside {
            outside.add_to(slot, &mut digest);
        }
    }
    digest.value()
}
