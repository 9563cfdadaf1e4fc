//! Messages to the gateway.

use zerocopy::IntoBytes;

use crate::order::Price;
use crate::wire::ouch::appendage::{push_element, tag};
use crate::wire::ouch::inbound::{CancelOrder, EnterOrder, MassCancel, ModifyOrder, ReplaceOrder};
use crate::wire::soupbin::pad;

/// A new order, to be changed as needed and then [encoded](NewOrder::encode).
#[derive(Clone, Debug)]
pub struct NewOrder {
    /// The client's number.
    pub user_ref: u32,
    /// `B`, `S`, `T` or `E`.
    pub side: u8,
    /// Shares.
    pub quantity: u32,
    /// Symbol.
    pub symbol: String,
    /// Price in 1/10000.
    pub price: u64,
    /// `0` Day, `3` IOC, `5` GTX, `6` GTT.
    pub time_in_force: u8,
    /// `Y`, `N` or `A`.
    pub display: u8,
    /// Client order id.
    pub cl_ord_id: String,
    /// Optional elements: tag and value.
    pub elements: Vec<(u8, Vec<u8>)>,
}

impl NewOrder {
    /// A displayed day order.
    pub fn new(user_ref: u32, side: u8, quantity: u32, symbol: &str, price: Price) -> NewOrder {
        NewOrder {
            user_ref,
            side,
            quantity,
            symbol: symbol.to_owned(),
            price: price.0.into(),
            time_in_force: b'0',
            display: b'Y',
            cl_ord_id: String::new(),
            elements: vec![],
        }
    }

    /// Immediate or cancel.
    pub fn ioc(mut self) -> NewOrder {
        self.time_in_force = b'3';
        self
    }

    /// Post only.
    pub fn post_only(self) -> NewOrder {
        self.with(tag::POST_ONLY, b"P")
    }

    /// With an optional element.
    pub fn with(mut self, tag: u8, value: &[u8]) -> NewOrder {
        self.elements.push((tag, value.to_vec()));
        self
    }

    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let fixed = EnterOrder {
            kind: b'O',
            user_ref: self.user_ref.into(),
            side: self.side,
            quantity: self.quantity.into(),
            symbol: pad(self.symbol.as_bytes()),
            price: self.price.into(),
            time_in_force: self.time_in_force,
            display: self.display,
            capacity: b'P',
            sweep: b'N',
            cross_type: b'N',
            cl_ord_id: pad(self.cl_ord_id.as_bytes()),
        };
        with_appendage(fixed.as_bytes(), &self.elements)
    }
}

fn with_appendage(fixed: &[u8], elements: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut appendage = Vec::new();
    elements.iter().for_each(|(tag, value)| push_element(&mut appendage, *tag, value));
    [fixed, &(appendage.len() as u16).to_be_bytes(), &appendage].concat()
}

/// A Cancel: `quantity` is the new size, 0 cancels.
pub fn cancel(user_ref: u32, quantity: u32) -> Vec<u8> {
    let fixed = CancelOrder { kind: b'X', user_ref: user_ref.into(), quantity: quantity.into() };
    with_appendage(fixed.as_bytes(), &[])
}

/// A Replace of `orig_user_ref` by a displayed day order.
pub fn replace(orig_user_ref: u32, user_ref: u32, quantity: u32, price: Price) -> Vec<u8> {
    let fixed = ReplaceOrder {
        kind: b'U',
        orig_user_ref: orig_user_ref.into(),
        user_ref: user_ref.into(),
        quantity: quantity.into(),
        price: u64::from(price.0).into(),
        time_in_force: b'0',
        display: b'Y',
        sweep: b'N',
        cl_ord_id: [b' '; 14],
    };
    with_appendage(fixed.as_bytes(), &[])
}

/// A Modify: new side and size. The appendage is left out, as some clients do.
pub fn modify(user_ref: u32, side: u8, quantity: u32) -> Vec<u8> {
    let fixed =
        ModifyOrder { kind: b'M', user_ref: user_ref.into(), side, quantity: quantity.into() };
    fixed.as_bytes().to_vec()
}

/// A Mass Cancel; blank firm and symbol are the user's own and all.
pub fn mass_cancel(user_ref: u32, firm: &str, symbol: &str) -> Vec<u8> {
    let fixed = MassCancel {
        kind: b'C',
        user_ref: user_ref.into(),
        firm: pad(firm.as_bytes()),
        symbol: pad(symbol.as_bytes()),
    };
    with_appendage(fixed.as_bytes(), &[])
}

/// An Account Query.
pub fn account_query() -> Vec<u8> {
    b"Q".to_vec()
}
