//! `[af_xdp]`, `[dpdk]` and what goes with both: how frames reach the gateway.

use serde::Deserialize;
use toml::Spanned;

/// `[af_xdp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AfXdp {
    /// Name of the network interface.
    pub interface: Spanned<String>,
    /// Its queues; each has a gateway agent of its own.
    #[serde(default = "first_queue")]
    pub queues: Spanned<Vec<u32>>,
    /// How frames travel between device and memory.
    #[serde(default)]
    pub mode: AfXdpMode,
    /// Whether system calls of the gateway poll the device, instead of its interrupts.
    #[serde(default)]
    pub busy_poll: bool,
    /// Bytes of a frame, 2048 or 4096.
    #[serde(default = "frame_bytes")]
    pub frame_bytes: Spanned<u32>,
    /// Frames on the way in, and as many on the way out, for each queue.
    #[serde(default = "ring_frames")]
    pub ring_frames: Spanned<u32>,
}

fn first_queue() -> Spanned<Vec<u32>> {
    Spanned::new(0..0, vec![0])
}

fn frame_bytes() -> Spanned<u32> {
    Spanned::new(0..0, 2048)
}

fn ring_frames() -> Spanned<u32> {
    Spanned::new(0..0, 2048)
}

/// `mode`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfXdpMode {
    /// The best there is.
    #[default]
    Auto,
    /// The device reads and writes the frames itself.
    ZeroCopy,
    /// The kernel copies each frame once.
    Copy,
    /// The kernel makes a socket buffer of each frame first.
    Generic,
}

/// `[dpdk]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dpdk {
    /// A PCI address, or a virtual device with its arguments.
    pub device: Spanned<String>,
    /// Arguments for EAL, beside those that follow from the rest.
    #[serde(default)]
    pub eal: Vec<String>,
    /// Its queues; each has a gateway agent of its own.
    #[serde(default = "one_queue")]
    pub queues: Spanned<u16>,
    /// Descriptors of each queue in either direction.
    #[serde(default = "descriptors")]
    pub descriptors: Spanned<u16>,
    /// Frames in the pool of each queue.
    #[serde(default = "mbufs")]
    pub mbufs: Spanned<u32>,
    /// Bytes of each frame's memory.
    #[serde(default = "mbuf_bytes")]
    pub frame_bytes: Spanned<u16>,
    /// Bytes of the longest IP packet, 0 for the device's own.
    #[serde(default = "device_mtu")]
    pub mtu: Spanned<u16>,
    /// Who takes care of checksums.
    #[serde(default)]
    pub checksums: Checksums,
}

fn one_queue() -> Spanned<u16> {
    Spanned::new(0..0, 1)
}

fn descriptors() -> Spanned<u16> {
    Spanned::new(0..0, 512)
}

fn mbufs() -> Spanned<u32> {
    Spanned::new(0..0, 8191)
}

fn mbuf_bytes() -> Spanned<u16> {
    Spanned::new(0..0, 2048)
}

fn device_mtu() -> Spanned<u16> {
    Spanned::new(0..0, 0)
}

/// `checksums`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Checksums {
    /// The device as far as it can.
    #[default]
    Auto,
    /// The device, or it is an error.
    Device,
    /// The gateway.
    Software,
}

/// `[tcp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tcp {
    /// Bytes received and not yet taken, for each connection.
    pub receive_bytes: Spanned<usize>,
    /// Bytes sent and not yet acknowledged, for each connection.
    pub transmit_bytes: Spanned<usize>,
    /// The least retransmission time-out in microseconds: less brings back sooner what was lost, more
    /// sends less again that was only late.
    pub rto_min_us: Spanned<u32>,
}

impl Default for Tcp {
    fn default() -> Self {
        Tcp {
            receive_bytes: Spanned::new(0..0, 16 << 10),
            transmit_bytes: Spanned::new(0..0, 32 << 10),
            rto_min_us: Spanned::new(0..0, 1_000),
        }
    }
}

/// `[faults]`: every key is 0 unless given.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Where the pseudo-random numbers start.
    pub seed: u64,
    /// Frames of a million lost, each way.
    pub loss_ppm: u32,
    /// Frames of a million overtaken by others.
    pub reorder_ppm: u32,
    /// Frames of a million that come twice.
    pub duplicate_ppm: u32,
    /// Frames of a million with one bit flipped.
    pub corrupt_ppm: u32,
    /// What every frame takes.
    pub delay_us: u32,
    /// What a frame takes more than that, at most.
    pub jitter_us: u32,
}
