//! Why a DPDK port cannot be had, with the remedy.

use std::io;

/// Why a DPDK port could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum DpdkError {
    /// No hugepages.
    #[error(
        "[dpdk] needs hugepages, and none are free: `scripts/hugepages set 512` makes some; or eal = [\"--no-huge\"] to try things out"
    )]
    NoHugepages,
    /// No device at that address.
    #[error("[dpdk] device: there is no PCI device {device}; network devices here: {known}")]
    NoDevice {
        /// What was asked for.
        device: String,
        /// The network devices there are.
        known: String,
    },
    /// The device belongs to the kernel.
    #[error(
        "[dpdk] device: {device} is bound to {driver}: `scripts/vfio bind {device}` hands it over"
    )]
    NotBound {
        /// The device.
        device: String,
        /// Its kernel driver, or "no driver".
        driver: String,
    },
    /// A gateway of this process has it.
    #[error("[dpdk] device: {0} is in use by another gateway of this process")]
    InUse(String),
    /// EAL was started with other arguments before.
    #[error("EAL runs with other arguments already: one process has one set of them")]
    OtherArguments,
    /// EAL did not start.
    #[error("[dpdk] eal: DPDK does not start: {said} ({error})")]
    Eal {
        /// What it logged last.
        said: String,
        /// The error it gave.
        error: io::Error,
    },
    /// The device did not attach.
    #[error("[dpdk] device: DPDK does not take {device}: {said} ({error})")]
    Attach {
        /// The device.
        device: String,
        /// What it logged last.
        said: String,
        /// The error it gave.
        error: io::Error,
    },
    /// Too many queues.
    #[error("[dpdk] queues: {driver} has {has} queues here, not {wanted}")]
    Queues {
        /// The driver.
        driver: String,
        /// What it has.
        has: u16,
        /// What was asked for.
        wanted: u16,
    },
    /// The port lacks an offload that was asked for.
    #[error("[dpdk] checksums = \"device\": {driver} cannot {what}; \"auto\" takes what there is")]
    Offload {
        /// The driver.
        driver: String,
        /// What it cannot do.
        what: &'static str,
    },
    /// No memory for frames.
    #[error(
        "[dpdk] mbufs: no memory for {frames} frames of {bytes} bytes ({error}): `scripts/hugepages set` with more pages, or fewer mbufs"
    )]
    Frames {
        /// How many.
        frames: u32,
        /// Of how many bytes.
        bytes: u16,
        /// The error DPDK gave.
        error: io::Error,
    },
    /// The port did not start.
    #[error("[dpdk] the port of {device} does not start: {said} ({error})")]
    Start {
        /// The device.
        device: String,
        /// What DPDK logged last.
        said: String,
        /// The error it gave.
        error: io::Error,
    },
    /// The thread beside could not be started.
    #[error("cannot start DPDK's thread: {0}")]
    Thread(#[from] io::Error),
}
