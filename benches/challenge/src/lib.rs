//! millrace's book behind the C interface of the public matching engine challenge
//! (`api/matching_engine_api.h` of flash1-dev/matching-engine-benchmark, commit 41656c8).
//!
//! The book that matches here is the one the gateway runs, with its iceberg, hidden, self-trade
//! and minimum-quantity rules in place; the adapter only renames. The harness's order ids are
//! dense, so a flat table leads from them to slots, as in the challenge's own adapters. Reports
//! travel over millrace's own ring, supplied through the optional `engine_get_transport`.
#![allow(unsafe_code, reason = "a C interface: pointers in, pointers out")]

mod abi;
mod engine;

use std::cell::UnsafeCell;
use std::ffi::c_void;

use abi::{Cancel, Message, Modify, NewOrder, Transport};
use engine::Engine;

/// The one engine of this library. The harness calls from one thread at a time.
struct Global(UnsafeCell<Option<Box<Engine>>>);

// SAFETY: the harness's contract is that all `engine_*` calls but the transport's `drain` come
// from its matcher thread, one after the other.
unsafe impl Sync for Global {}

static ENGINE: Global = Global(UnsafeCell::new(None));

#[inline(always)]
fn engine() -> &'static mut Engine {
    // SAFETY: calls come one after the other (see `Global`), and none keeps the reference.
    let slot = unsafe { &mut *ENGINE.0.get() };
    slot.as_mut().expect("engine_init comes first")
}

/// Makes an empty book.
///
/// # Safety
///
/// `sink` is a handle of the transport that `engine_get_transport` names.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn engine_init(_seed: u64, _transport: *const Transport, sink: *mut c_void) {
    // SAFETY: `sink` is what `transport::create` returned, and this thread is its only producer.
    let reports = unsafe { engine::producer_of(sink) };
    // SAFETY: calls come one after the other (see `Global`).
    unsafe { *ENGINE.0.get() = Some(Box::new(Engine::new(reports))) };
}

/// Frees the book.
#[unsafe(no_mangle)]
pub extern "C" fn engine_shutdown() {
    // SAFETY: calls come one after the other (see `Global`).
    unsafe { *ENGINE.0.get() = None };
}

/// A new order.
#[unsafe(no_mangle)]
pub extern "C" fn engine_on_new_order(order: &NewOrder) {
    engine().new_order(order);
}

/// A cancel.
#[unsafe(no_mangle)]
pub extern "C" fn engine_on_cancel(cancel: &Cancel) {
    engine().cancel(cancel);
}

/// A modify: cancel and reinsert.
#[unsafe(no_mangle)]
pub extern "C" fn engine_on_modify(modify: &Modify) {
    engine().modify(modify);
}

/// A run of messages, each processed as if it came alone.
///
/// # Safety
///
/// `messages` points at `count` messages.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn engine_on_batch(messages: *const Message, count: u32) {
    // SAFETY: the caller's promise.
    let messages = unsafe { std::slice::from_raw_parts(messages, count as usize) };
    let engine = engine();
    for message in messages {
        engine.message(message);
    }
}

/// Everything delivered is matched and reported: publishes what is staged.
#[unsafe(no_mangle)]
pub extern "C" fn engine_flush() {
    engine().flush();
}

/// Best bid in ticks, `i64::MIN` without one.
#[unsafe(no_mangle)]
pub extern "C" fn engine_query_best_bid() -> i64 {
    engine().best_bid().unwrap_or(i64::MIN)
}

/// Best ask in ticks, `i64::MAX` without one.
#[unsafe(no_mangle)]
pub extern "C" fn engine_query_best_ask() -> i64 {
    engine().best_ask().unwrap_or(i64::MAX)
}

/// Open quantity at a price.
#[unsafe(no_mangle)]
pub extern "C" fn engine_query_depth_at(price_ticks: i64, side: u8) -> u64 {
    engine().depth_at(price_ticks, side)
}

/// The ring that carries the reports.
#[unsafe(no_mangle)]
pub extern "C" fn engine_get_transport() -> *const Transport {
    &engine::TRANSPORT
}
