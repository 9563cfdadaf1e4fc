//! What millrace needs of DPDK 22.11 or later: hand-written declarations, and `shim/`, a few C
//! functions around what DPDK has inline and around structures that change between releases. The
//! layout below is asserted in C when this crate is built.
//!
//! What the functions do is told in `shim/shim.h`; errors are `errno` values, 0 is none.
#![allow(non_camel_case_types, reason = "DPDK's names")]
#![allow(missing_docs, reason = "shim/shim.h and DPDK's own documentation have them")]
#![no_std]

use core::ffi::{c_char, c_int, c_uint, c_void};

/// The head of a frame: what a driver writes of one that came in, and reads of one to send.
#[repr(C, align(64))]
pub struct rte_mbuf {
    pub buf_addr: *mut c_void,
    _buf_iova: u64,
    pub data_off: u16,
    _refcnt: u16,
    pub nb_segs: u16,
    _port: u16,
    pub ol_flags: u64,
    _packet_type: u32,
    pub pkt_len: u32,
    pub data_len: u16,
    _between: [u8; 12],
    pub buf_len: u16,
    _rest: [u8; 72],
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<rte_mbuf>() == 128);
    assert!(offset_of!(rte_mbuf, data_off) == 16);
    assert!(offset_of!(rte_mbuf, nb_segs) == 20);
    assert!(offset_of!(rte_mbuf, ol_flags) == 24);
    assert!(offset_of!(rte_mbuf, pkt_len) == 36);
    assert!(offset_of!(rte_mbuf, data_len) == 40);
    assert!(offset_of!(rte_mbuf, buf_len) == 54);
};

/// Bits of `ol_flags`: what the device found of the checksums.
pub const RX_L4_CKSUM_BAD: u64 = 1 << 3;
pub const RX_IP_CKSUM_BAD: u64 = 1 << 4;
pub const RX_IP_CKSUM_GOOD: u64 = 1 << 7;
pub const RX_L4_CKSUM_GOOD: u64 = 1 << 8;

/// Never looked into.
#[repr(C)]
pub struct rte_mempool {
    _opaque: [u8; 0],
}

#[repr(C)]
pub struct shim_setup {
    pub queues: u16,
    pub receive_descriptors: u16,
    pub transmit_descriptors: u16,
    pub mtu: u16,
    pub checksums: u8,
    pub pools: *const *mut rte_mempool,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct shim_port {
    pub mac: [u8; 6],
    pub mtu: u16,
    pub queues_max: u16,
    pub receive_descriptors: u16,
    pub transmit_descriptors: u16,
    pub verifies_checksums: u8,
    pub fills_checksums: u8,
    pub spreads: u8,
    pub driver: [u8; 32],
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct shim_stats {
    pub missed: u64,
    pub no_buffer: u64,
    pub receive_errors: u64,
    pub transmit_errors: u64,
}

pub type shim_log = extern "C" fn(text: *const c_char, length: usize);

unsafe extern "C" {
    pub fn shim_init(argc: c_int, argv: *mut *mut c_char, log: shim_log) -> c_int;
    pub fn shim_attach(device: *const c_char, port: *mut u16) -> c_int;
    pub fn shim_detach(port: u16) -> c_int;
    pub fn shim_info(port: u16, found: *mut shim_port) -> c_int;
    pub fn shim_start(port: u16, setup: *const shim_setup, found: *mut shim_port) -> c_int;
    pub fn shim_stop(port: u16) -> c_int;
    pub fn shim_reset(port: u16) -> c_int;
    pub fn shim_link(port: u16) -> c_int;
    pub fn shim_stats(port: u16, stats: *mut shim_stats) -> c_int;
    pub fn shim_xstats(port: u16, names: *mut [u8; 64], values: *mut u64, most: c_uint) -> c_int;
    pub fn shim_on_reset(port: u16, wanted: extern "C" fn(port: u16)) -> c_int;
    pub fn shim_timers();
    pub fn shim_register_thread() -> c_int;
    pub fn shim_pool(
        name: *const c_char,
        frames: c_uint,
        bytes: u16,
        error: *mut c_int,
    ) -> *mut rte_mempool;
    pub fn shim_free_pool(pool: *mut rte_mempool);
    pub fn shim_alloc(pool: *mut rte_mempool, frames: *mut *mut rte_mbuf, count: c_uint) -> c_int;
    pub fn shim_free(frames: *mut *mut rte_mbuf, count: c_uint);
    pub fn shim_receive(port: u16, queue: u16, frames: *mut *mut rte_mbuf, most: u16) -> u16;
    pub fn shim_transmit(port: u16, queue: u16, frames: *mut *mut rte_mbuf, count: u16) -> u16;
    pub fn shim_prepare(port: u16, queue: u16, frames: *mut *mut rte_mbuf, count: u16) -> u16;
    pub fn shim_want_checksums(frame: *mut rte_mbuf, link_bytes: u16, ip_bytes: u16, is_ipv4: i32);
    pub fn shim_version() -> *const c_char;
}
