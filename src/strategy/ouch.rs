//! A desk's link to a gateway: OUCH 5.0 over SoupBinTCP.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::desk::{Desk, Request};
use super::link::{Link, LinkEvent};
use super::order::{Manner, Report};
use crate::client::{Client, LoginError, Received, account_query};
use crate::order::Price;
use crate::wire::ouch::appendage::tag;
use crate::wire::ouch::inbound::{CancelOrder, EnterOrder, ReplaceOrder};
use crate::wire::ouch::outbound as wire;
use crate::wire::soupbin::{header, kind, pad};

/// After which a login is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Appendages: of no element, and of the one that says that an order must not trade on entry.
const NOTHING: &[u8] = &[0, 0];
const POST_ONLY: &[u8] = &[0, 3, 2, tag::POST_ONLY, b'P'];

/// A session that comes back by itself, and has what it missed told again.
pub struct OuchLink {
    to: SocketAddr,
    user: String,
    password: String,
    client: Option<Client>,
    /// Number of the next message.
    next: u64,
    tried: Option<Instant>,
    lost: bool,
    /// What the socket did not take yet.
    unsent: Vec<u8>,
    out: Vec<u8>,
}

impl OuchLink {
    /// A link that logs in when it is polled first, and has the whole day told: so the desk knows the orders and
    /// the position of an earlier run.
    pub fn new(to: SocketAddr, user: &str, password: &str) -> OuchLink {
        OuchLink {
            to,
            user: user.to_owned(),
            password: password.to_owned(),
            client: None,
            next: 1,
            tried: None,
            lost: false,
            unsent: Vec::new(),
            out: Vec::with_capacity(4_096),
        }
    }

    fn write(&mut self) {
        let Some(client) = &mut self.client else { return self.unsent.clear() };
        while !self.unsent.is_empty() {
            match client.try_send_raw(&self.unsent) {
                Ok(0) => return,
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) => return self.lose(&error),
            }
        }
    }

    fn lose(&mut self, error: &io::Error) {
        tracing::warn!(gateway = %self.to, %error, "the connection is lost; it is tried again");
        self.client = None;
        self.unsent.clear();
        self.lost = true;
    }

    fn log_in(&mut self) -> Result<bool, LoginError> {
        if self.tried.is_some_and(|tried| tried.elapsed() < TRY_AGAIN) {
            return Ok(false);
        }
        self.tried = Some(Instant::now());
        match Client::login(self.to, &self.user, &self.password, self.next) {
            Ok(mut client) => {
                client.send(&account_query())?;
                client.set_nonblocking()?;
                self.client = Some(client);
                Ok(true)
            }
            // The gateway is not there, or has not noticed yet that the session before is gone.
            Err(LoginError::Io(_) | LoginError::Rejected('S')) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Link for OuchLink {
    #[inline]
    fn send(&mut self, desk: &mut Desk) {
        if !desk.has_requests() {
            return;
        }
        encode(desk, &mut self.out);
        if self.unsent.is_empty() {
            std::mem::swap(&mut self.unsent, &mut self.out);
        } else {
            self.unsent.extend_from_slice(&self.out);
        }
        self.out.clear();
        self.write();
    }

    fn poll(&mut self, see: &mut dyn FnMut(LinkEvent)) -> Result<usize, LoginError> {
        if std::mem::take(&mut self.lost) {
            see(LinkEvent::Lost);
        }
        if self.client.is_none() && !self.log_in()? {
            return Ok(0);
        }
        self.write();
        let Some(client) = &mut self.client else { return Ok(0) };
        let mut ended = false;
        let taken = client.drain(|received| match received {
            Received::Message(_, bytes) => {
                if let Some(event) = event(&bytes) {
                    see(event);
                }
            }
            Received::EndOfSession => ended = true,
            Received::Debug(text) => tracing::warn!(text, "the gateway says"),
        });
        self.next = client.next_number;
        match taken {
            Ok(taken) if !ended => Ok(taken),
            Ok(_) => {
                self.lose(&io::Error::new(io::ErrorKind::UnexpectedEof, "the session ended"));
                Ok(1)
            }
            Err(error) => {
                self.lose(&error);
                Ok(1)
            }
        }
    }

    fn log_out(&mut self) {
        if let Some(client) = &mut self.client {
            let _ = client.logout();
        }
        self.client = None;
    }
}

fn view<T: FromBytes + Immutable + KnownLayout + Unaligned>(bytes: &[u8]) -> Option<&T> {
    T::ref_from_prefix(bytes).ok().map(|(view, _)| view)
}

/// What a message means for a desk; `None` if nothing.
pub fn event(bytes: &[u8]) -> Option<LinkEvent> {
    let price = |wide: u64| Price(u32::try_from(wide).unwrap_or(u32::MAX));
    let report = match bytes.first()? {
        b'A' => {
            let m: &wire::Accepted = view(bytes)?;
            Report::Accepted {
                id: m.user_ref.get(),
                symbol: m.symbol,
                buys: m.side == b'B',
                shares: m.quantity.get(),
                price: price(m.price.get()),
                reference: m.order_reference.get(),
                live: m.state == b'L',
            }
        }
        b'U' => {
            let m: &wire::Replaced = view(bytes)?;
            Report::Replaced {
                old: m.orig_user_ref.get(),
                id: m.user_ref.get(),
                shares: m.quantity.get(),
                price: price(m.price.get()),
                reference: m.order_reference.get(),
                live: m.state == b'L',
            }
        }
        b'E' => {
            let m: &wire::Executed = view(bytes)?;
            Report::Executed {
                id: m.user_ref.get(),
                shares: m.quantity.get(),
                price: price(m.price.get()),
                added: m.liquidity != b'R',
                match_number: m.match_number.get(),
            }
        }
        b'C' => {
            let m: &wire::Canceled = view(bytes)?;
            Report::Canceled { id: m.user_ref.get(), shares: m.quantity.get() }
        }
        b'D' => {
            let m: &wire::AiqCanceled = view(bytes)?;
            Report::Canceled { id: m.user_ref.get(), shares: m.decrement.get() }
        }
        b'J' => {
            let m: &wire::Rejected = view(bytes)?;
            Report::Rejected { id: m.user_ref.get(), reason: m.reason.get() }
        }
        b'I' => Report::CancelRejected { id: view::<wire::CancelReject>(bytes)?.user_ref.get() },
        b'Q' => {
            let m: &wire::AccountQueryResponse = view(bytes)?;
            return Some(LinkEvent::Connected { next_id: m.next_user_ref.get() });
        }
        _ => return None,
    };
    Some(LinkEvent::Report(report))
}

/// Writes everything that a desk wants sent, as packets.
#[inline]
pub fn encode(desk: &mut Desk, out: &mut Vec<u8>) {
    desk.send_requests(|desk, request| encode_one(desk, request, out));
}

fn appendage(manner: Manner) -> &'static [u8] {
    if manner == Manner::PostOnly { POST_ONLY } else { NOTHING }
}

fn encode_one(desk: &Desk, request: &Request, out: &mut Vec<u8>) {
    let mut put = |fixed: &[u8], appendage: &[u8]| {
        let length = fixed.len() + appendage.len();
        out.extend_from_slice(&header(kind::UNSEQUENCED, length));
        out.extend_from_slice(fixed);
        out.extend_from_slice(appendage);
    };
    match *request {
        Request::Enter { id, symbol, buys, shares, price, manner } => {
            let fixed = EnterOrder {
                kind: b'O',
                user_ref: id.into(),
                side: if buys { b'B' } else { b'S' },
                quantity: shares.into(),
                symbol: *desk.name(symbol),
                price: u64::from(price.0).into(),
                time_in_force: if manner == Manner::Ioc { b'3' } else { b'0' },
                display: b'Y',
                capacity: b'P',
                sweep: b'N',
                cross_type: b'N',
                cl_ord_id: pad(b""),
            };
            put(fixed.as_bytes(), appendage(manner));
        }
        Request::Replace { old, id, shares, price, manner } => {
            let fixed = ReplaceOrder {
                kind: b'U',
                orig_user_ref: old.into(),
                user_ref: id.into(),
                quantity: shares.into(),
                price: u64::from(price.0).into(),
                time_in_force: b'0',
                display: b'Y',
                sweep: b'N',
                cl_ord_id: pad(b""),
            };
            put(fixed.as_bytes(), appendage(manner));
        }
        Request::Cancel { id } => {
            let fixed = CancelOrder { kind: b'X', user_ref: id.into(), quantity: 0.into() };
            put(fixed.as_bytes(), NOTHING);
        }
    }
}
