//! The harness's structures, field by field as in `api/matching_engine_api.h`.

use std::ffi::{c_int, c_void};

/// `new_order_t`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NewOrder {
    pub order_id: u64,
    pub sequence_number: u64,
    pub price_ticks: i64,
    pub quantity: u32,
    pub side: u8,
    pub ioc: u8,
    pub reserved: [u8; 2],
}

/// `cancel_t`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Cancel {
    pub order_id: u64,
    pub sequence_number: u64,
}

/// `modify_t`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Modify {
    pub order_id: u64,
    pub sequence_number: u64,
    pub new_price_ticks: i64,
    pub new_quantity: u32,
    pub side: u8,
    pub reserved: [u8; 3],
}

/// `me_msg_t`: a type and one of the three.
#[repr(C)]
pub struct Message {
    pub kind: u8,
    pub reserved: [u8; 7],
    pub body: Body,
}

/// The union of `me_msg_t`.
#[repr(C)]
pub union Body {
    pub new_order: NewOrder,
    pub cancel: Cancel,
    pub modify: Modify,
}

pub const ORDER_ACK: u8 = 0;
pub const TRADE: u8 = 1;
pub const CANCEL_ACK: u8 = 2;
pub const MODIFY_ACK: u8 = 3;
pub const CANCEL_REJECT: u8 = 4;
pub const MODIFY_REJECT: u8 = 5;

/// `me_report_t`: one cache line.
#[repr(C, align(64))]
#[derive(Clone, Copy, Default)]
pub struct Report {
    pub kind: u8,
    pub side: u8,
    pub reserved: [u8; 6],
    pub sequence_number: u64,
    pub order_id: u64,
    pub price_ticks: i64,
    pub quantity: u32,
    pub reserved2: u32,
    pub maker_order_id: u64,
    pub taker_order_id: u64,
    pub reserved3: u64,
}

const _: () = assert!(size_of::<Report>() == 64);

/// `me_transport_t`.
#[repr(C)]
pub struct Transport {
    pub create: unsafe extern "C" fn(u32) -> *mut c_void,
    pub push: unsafe extern "C" fn(*mut c_void, *const Report) -> c_int,
    pub drain: unsafe extern "C" fn(*mut c_void, *mut Report, u32) -> u32,
    pub flush: unsafe extern "C" fn(*mut c_void),
    pub destroy: unsafe extern "C" fn(*mut c_void),
}
