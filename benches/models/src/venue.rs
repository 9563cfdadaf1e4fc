//! What those have in common in whom many serve at once: books behind locks, a log, and what is to be sent.

use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::decode::{Decoder, Request, Violation, welcome};
use crate::log::{Log, canceled, entered};
use crate::matcher::{Checks, Matcher, Orders, Out, risk, symbol_of};
use crate::outbox::Outbox;
use crate::sync::Lock;
use millrace::risk::Risk;

/// What a server is started with.
pub struct Setup {
    pub log: PathBuf,
    pub durable: bool,
    pub symbols: u16,
    pub sessions: u16,
    /// Without risk checks, and without keeping what sessions were told.
    pub lean: bool,
}

/// Orders that may be open at once, over all books.
pub const ORDERS_MAX: u32 = 1 << 18;

/// Books, log and outboxes.
pub struct Venue {
    books: Vec<Lock<Matcher>>,
    outboxes: Vec<Outbox>,
    pub log: Log,
    symbols: u16,
}

/// Puts packets into outboxes.
struct Post<'a> {
    outboxes: &'a [Outbox],
    touched: &'a mut Vec<u16>,
    place: u64,
}

impl Out for Post<'_> {
    fn packet(&mut self, session: u16, packet: &[u8]) {
        self.outboxes[usize::from(session)].add(packet, self.place);
        if self.touched.last() != Some(&session) {
            self.touched.push(session);
        }
    }
}

impl Venue {
    /// With so many locks: one for all symbols, or one for each.
    pub fn new(setup: &Setup, locks: u16) -> std::io::Result<Venue> {
        let books = match locks {
            1 => vec![Lock::new(Matcher::alone(setup))],
            locks => {
                // Slots are risk's, so each book has room for all of them.
                let orders = ORDERS_MAX / 8;
                let shared = || Box::leak(Box::new(Lock::new(risk(locks, orders, setup.sessions))));
                let shared: Option<&'static Lock<Risk>> = (!setup.lean).then(|| &*shared());
                let checks = |of: u32| match shared {
                    Some(risk) => Checks::Shared(risk),
                    None => Checks::None((0..of).rev().collect()),
                };
                let book = |first| Lock::new(Matcher::new(first, 1, orders, checks(orders)));
                (0..locks).map(book).collect()
            }
        };
        Ok(Venue {
            books,
            outboxes: (0..setup.sessions).map(|_| Outbox::new(!setup.lean)).collect(),
            log: Log::new(&setup.log, setup.durable)?,
            symbols: setup.symbols,
        })
    }

    /// Carries out every whole request that came, and says for whom there is something to send.
    pub fn serve(
        &self,
        session: u16,
        decoder: &mut Decoder,
        orders: &mut Orders,
        touched: &mut Vec<u16>,
    ) -> Result<(), Violation> {
        match &self.books[..] {
            [all] => {
                let mut held = None;
                while let Some(request) = decoder.next()? {
                    // What came together is carried out together.
                    let book = held.get_or_insert_with(|| all.lock());
                    self.carry_out(session, &request, orders, touched, |_| book);
                }
            }
            books => {
                while let Some(request) = decoder.next()? {
                    let mut held = None;
                    self.carry_out(session, &request, orders, touched, |symbol| {
                        &mut **held.insert(books[usize::from(symbol)].lock())
                    });
                }
            }
        }
        touched.sort_unstable();
        touched.dedup();
        Ok(())
    }

    /// `book` locks the book of a symbol.
    fn carry_out<'a>(
        &'a self,
        session: u16,
        request: &Request,
        orders: &mut Orders,
        touched: &mut Vec<u16>,
        book: impl FnOnce(u16) -> &'a mut Matcher,
    ) {
        let mut post = Post { outboxes: &self.outboxes, touched, place: 0 };
        match request {
            Request::Login => post.packet(session, &welcome()),
            Request::Enter(order) => {
                let Some(symbol) = symbol_of(order, self.symbols) else { return };
                let book = book(symbol);
                post.place = self.log.add(book.seq() + 1, session, entered(order));
                if let Some(slot) = book.enter(session, order, symbol, &mut post) {
                    orders.add(order.user_ref.get(), symbol, slot);
                }
            }
            Request::Cancel(cancel) => {
                let Some((symbol, slot)) = orders.find(cancel.user_ref.get()) else { return };
                let book = book(symbol);
                post.place = self.log.add(book.seq() + 1, session, canceled(cancel));
                book.cancel(session, slot, cancel, &mut post);
            }
        }
    }

    /// Sends what there is for a session.
    pub fn flush(&self, session: u16, stream: &TcpStream) -> std::io::Result<()> {
        self.outboxes[usize::from(session)].flush(stream, &self.log)
    }
}

/// A connection as all servers want it: answers leave at once, and a client that takes none is cut off.
pub fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))
}
