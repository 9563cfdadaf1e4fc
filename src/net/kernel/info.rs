//! What the kernel says of a connection (`TCP_INFO`, tcp(7)).
#![allow(unsafe_code, reason = "system calls")]

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use super::super::Look;

/// `struct tcp_info` of linux/tcp.h, as far as Linux 5.10 has it. Older kernels fill in less.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct TcpInfo {
    state: u8,
    ca_state: u8,
    retransmits: u8,
    probes: u8,
    backoff: u8,
    options: u8,
    scales: u8,
    flags: u8,
    rto: u32,
    ato: u32,
    snd_mss: u32,
    rcv_mss: u32,
    unacked: u32,
    sacked: u32,
    lost: u32,
    retrans: u32,
    fackets: u32,
    last: [u32; 4],
    pmtu: u32,
    rcv_ssthresh: u32,
    rtt: u32,
    rttvar: u32,
    snd_ssthresh: u32,
    snd_cwnd: u32,
    advmss: u32,
    reordering: u32,
    rcv_rtt: u32,
    rcv_space: u32,
    total_retrans: u32,
    pacing: [u64; 2],
    bytes_acked: u64,
    bytes_received: u64,
    segs_out: u32,
    segs_in: u32,
    notsent_bytes: u32,
    min_rtt: u32,
    data_segs_in: u32,
    data_segs_out: u32,
    delivery_rate: u64,
    limited: [u64; 3],
    delivered: u32,
    delivered_ce: u32,
    bytes_sent: u64,
    bytes_retrans: u64,
    dsack_dups: u32,
    reord_seen: u32,
    rcv_ooopack: u32,
    snd_wnd: u32,
}

/// Looks at a socket: a system call.
pub(super) fn look(stream: &TcpStream) -> io::Result<Look> {
    let peer = stream.peer_addr()?;
    let mut info = TcpInfo::default();
    let mut length = size_of::<TcpInfo>() as libc::socklen_t;
    let place: *mut TcpInfo = &mut info;
    let (fd, level, option) = (stream.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO);
    // SAFETY: the descriptor is open, and the kernel writes `length` bytes of a structure of numbers
    // at most.
    let done = unsafe { libc::getsockopt(fd, level, option, place.cast(), &mut length) };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Look {
        peer,
        state: info.state,
        rtt_us: info.rtt,
        rto_us: info.rto,
        window_out: info.snd_wnd,
        congestion: info.snd_cwnd.saturating_mul(info.snd_mss),
        window_in: info.rcv_space,
        // Segments; what is in them the kernel does not say.
        in_flight: info.unacked.saturating_mul(info.snd_mss),
        unsent: info.notsent_bytes,
        bytes_out: info.bytes_acked,
        bytes_in: info.bytes_received,
        again: info.total_retrans,
        timeouts: info.backoff.into(),
    })
}
