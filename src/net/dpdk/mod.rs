//! Frames by DPDK: a driver in this process, on a device that the kernel let go.
//!
//! `dpdk/` is the crate beneath it, with the declarations and a C shim. A frame is an `rte_mbuf`:
//! it is read where the device put it, and written where the device takes it from.
#![allow(unsafe_code, reason = "frames that DPDK owns")]

mod eal;
mod error;
mod port;

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dpdk_sys::{
    RX_IP_CKSUM_BAD, RX_IP_CKSUM_GOOD, RX_L4_CKSUM_BAD, RX_L4_CKSUM_GOOD, rte_mbuf, rte_mempool,
};

use super::frames::{BURST, Capabilities, FrameDriver, STATISTICS};
use super::packet::{ip_of_tcp, parse};
use port::Port;

pub use error::DpdkError;
pub use port::AtHome;

/// Frames taken to be sent and not yet handed to the device, at most.
const OUT_MAX: usize = 4 * BURST;
/// Calls in one flush that found no room in the device.
const TRIES_MAX: u32 = 8;
/// How long an idle queue sleeps at a time: nothing wakes it.
const NAP_US: u32 = 50;

/// Who takes care of checksums.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checksums {
    /// The device as far as it can.
    Auto,
    /// The device, or it is an error.
    Device,
    /// This program.
    Software,
}

/// What to open.
#[derive(Clone)]
pub struct DpdkSetup {
    /// Arguments for EAL, beside those that follow from the rest.
    pub eal: Vec<String>,
    /// A PCI address such as `0000:00:06.0`, or a virtual device such as
    /// `net_af_packet0,iface=vsrv`, with the driver's own arguments.
    pub device: String,
    /// Queues, one driver each.
    pub queues: u16,
    /// Descriptors of each queue in either direction.
    pub descriptors: u16,
    /// Frames in the pool of each queue.
    pub mbufs: u32,
    /// Bytes of each frame's memory.
    pub frame_bytes: u16,
    /// Bytes of the longest IP packet, 0 for the device's own.
    pub mtu: u16,
    /// Who takes care of checksums.
    pub checksums: Checksums,
    /// Called in the thread that attaches a virtual device again.
    pub at_home: AtHome,
}

impl DpdkSetup {
    fn is_virtual(&self) -> bool {
        pci_address(&self.device).is_none()
    }

    /// The whole command line of EAL.
    fn arguments(&self) -> Vec<String> {
        let has = |prefixes: &[&str]| {
            self.eal.iter().any(|word| prefixes.iter().any(|prefix| word.starts_with(prefix)))
        };
        let mut words = self.eal.clone();
        let mut add = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
        if !has(&["-l", "-c", "--lcores"]) {
            add(&["-l", &eal::first_core().to_string()]);
        }
        if has(&["--no-huge"]) {
            add(&["--no-shconf"]);
        } else if !has(&["--in-memory", "--file-prefix", "--huge-dir"]) {
            add(&["--in-memory"]);
        }
        if !has(&["--telemetry"]) {
            add(&["--no-telemetry"]);
        }
        match pci_address(&self.device) {
            None if !has(&["-a", "--allow", "--no-pci"]) => add(&["--no-pci"]),
            Some(_) if !has(&["-a", "--allow", "-b"]) => add(&["-a", &self.device]),
            _ => {}
        }
        words
    }
}

/// The PCI address that a device string begins with.
fn pci_address(device: &str) -> Option<&str> {
    let name = device.split(',').next()?;
    let is_address = name
        .split([':', '.'])
        .all(|part| !part.is_empty() && part.chars().all(|digit| digit.is_ascii_hexdigit()));
    (is_address && name.contains(':')).then_some(name)
}

/// What can be seen wrong before DPDK is asked.
fn look_first(setup: &DpdkSetup) -> Result<(), DpdkError> {
    if !setup.eal.iter().any(|word| word == "--no-huge") && free_hugepages() == Some(0) {
        return Err(DpdkError::NoHugepages);
    }
    let Some(address) = pci_address(&setup.device) else { return Ok(()) };
    let devices = Path::new("/sys/bus/pci/devices");
    let full = if address.len() < 12 { format!("0000:{address}") } else { address.to_owned() };
    let device = devices.join(&full);
    if !device.exists() {
        return Err(DpdkError::NoDevice { device: full, known: network_devices(devices) });
    }
    let driver = std::fs::read_link(device.join("driver")).ok();
    let driver = driver.and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
    match driver.as_deref() {
        // Mellanox devices are shared with their kernel driver.
        Some("vfio-pci" | "igb_uio" | "uio_pci_generic" | "mlx5_core" | "mlx4_core") => Ok(()),
        driver => {
            let driver = driver.unwrap_or("no driver").to_owned();
            Err(DpdkError::NotBound { device: full, driver })
        }
    }
}

/// Free hugepages of every size.
fn free_hugepages() -> Option<u64> {
    let sizes = std::fs::read_dir("/sys/kernel/mm/hugepages").ok()?;
    let free = |entry: std::fs::DirEntry| {
        std::fs::read_to_string(entry.path().join("free_hugepages"))
            .ok()?
            .trim()
            .parse::<u64>()
            .ok()
    };
    Some(sizes.flatten().filter_map(free).sum())
}

fn network_devices(devices: &Path) -> String {
    const NETWORK: &str = "0x02";
    let mut known = Vec::new();
    for entry in std::fs::read_dir(devices).into_iter().flatten().flatten() {
        let class = std::fs::read_to_string(entry.path().join("class")).unwrap_or_default();
        if class.starts_with(NETWORK) {
            known.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    known.sort();
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

/// What came of it.
pub struct Opened {
    /// One for each queue.
    pub drivers: Vec<Dpdk>,
    /// The driver's name, and whose checksums are used.
    pub name: String,
    /// The port, for its statistics.
    pub watch: Watch,
}

/// Starts DPDK if it does not run, and the port with its queues.
pub fn open(setup: &DpdkSetup) -> Result<Opened, DpdkError> {
    look_first(setup)?;
    eal::start(&setup.arguments())?;
    let port = Port::open(setup)?;
    let found = port.found();
    let checksums = match (found.verifies_checksums, found.fills_checksums) {
        (0, 0) => "checksums in software",
        (_, 0) => "checksums verified by the device",
        (0, _) => "checksums filled in by the device",
        _ => "checksums by the device",
    };
    let link = if port.link_is_up() { "link up" } else { "link down" };
    let spread = match (setup.queues, found.spreads) {
        (1, _) => "",
        (_, 0) => ", spread by the device's own choice",
        _ => ", spread by RSS",
    };
    let name = format!("{} ({checksums}, {link}{spread})", port.driver());
    let drivers = (0..setup.queues).map(|queue| Dpdk::new(port.clone(), queue)).collect();
    Ok(Opened { drivers, name, watch: Watch(port) })
}

/// A view of a port from outside its queues.
#[derive(Clone)]
pub struct Watch(Arc<Port>);

impl Watch {
    /// The device's own statistics (`rte_eth_xstats_get`), not older than a second or two.
    pub fn statistics(&self) -> Vec<(String, u64)> {
        self.0.xstats()
    }

    /// Has `tell` called with the statistics each second, from DPDK's thread.
    pub fn each_second(&self, tell: impl FnMut(&[(String, u64)]) + Send + 'static) {
        self.0.tell(Box::new(tell));
    }
}

/// Has a device reset as if it had asked for it (`RTE_ETH_EVENT_INTR_RESET`). Returns whether
/// there is a port of that name.
pub fn ask_for_reset(device: &str) -> bool {
    let port = eal::find(device);
    port.inspect(|port| eal::reset_wanted(port.id())).is_some()
}

/// Resets of a device's port that were carried out.
pub fn resets(device: &str) -> u64 {
    eal::find(device).map_or(0, |port| port.resets.load(Ordering::Relaxed))
}

/// One queue of a port.
pub struct Dpdk {
    port: Arc<Port>,
    id: u16,
    queue: u16,
    pool: *mut rte_mempool,
    /// Frames that nobody uses.
    free: Vec<*mut rte_mbuf>,
    /// Frames to send.
    out: Vec<*mut rte_mbuf>,
    fills_checksums: bool,
    verifies_checksums: bool,
    paused: bool,
    frames_in: u64,
    frames_out: u64,
    dropped: u64,
}

// SAFETY: the frames belong to this queue alone, and DPDK's queues and pools may be used from any
// thread, a queue by one at a time.
unsafe impl Send for Dpdk {}

impl Dpdk {
    fn new(port: Arc<Port>, queue: u16) -> Dpdk {
        let (id, pool, found) = (port.id(), port.pool(queue), port.found());
        Dpdk {
            port,
            id,
            queue,
            pool,
            free: Vec::with_capacity(2 * BURST),
            out: Vec::with_capacity(OUT_MAX),
            fills_checksums: found.fills_checksums != 0,
            verifies_checksums: found.verifies_checksums != 0,
            paused: false,
            frames_in: 0,
            frames_out: 0,
            dropped: 0,
        }
    }

    /// Whether the port may not be touched; takes part in its reset.
    #[inline]
    fn stands_by(&mut self) -> bool {
        let wanted = self.port.paused.load(Ordering::Acquire);
        if wanted != self.paused {
            self.change_sides(wanted);
        }
        wanted
    }

    #[cold]
    fn change_sides(&mut self, pause: bool) {
        if pause {
            // What was to be sent is lost, as on a wire.
            give_back(&mut self.out);
        } else {
            self.id = self.port.id();
        }
        self.paused = pause;
        self.port.quiet[usize::from(self.queue)].store(pause, Ordering::Release);
    }

    /// The bytes of a frame in one piece.
    #[inline]
    fn bytes(frame: &mut rte_mbuf) -> &mut [u8] {
        // SAFETY: a frame's data begins at that offset of its buffer, and is as long as said;
        // nobody else has the frame.
        let data = unsafe { frame.buf_addr.cast::<u8>().add(frame.data_off.into()) };
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(data, frame.data_len.into()) }
    }

    /// Whether a frame's checksums are right, or still to be looked at above.
    #[inline]
    fn is_sound(&self, frame: &mut rte_mbuf) -> bool {
        if !self.verifies_checksums {
            return true;
        }
        const GOOD: u64 = RX_IP_CKSUM_GOOD | RX_L4_CKSUM_GOOD;
        let found = frame.ol_flags;
        if found & GOOD == GOOD {
            return true;
        }
        // The device did not look, or not at all of it.
        let bytes = Dpdk::bytes(frame);
        match parse(bytes) {
            // The header of IPv6 has no checksum that could be good.
            Ok(segment) if !segment.tuple.is_ipv4() && found & RX_L4_CKSUM_GOOD != 0 => true,
            Ok(segment) => {
                found & (RX_IP_CKSUM_BAD | RX_L4_CKSUM_BAD) == 0
                    && segment.checksums_are_right(bytes)
            }
            // No segment: whoever makes something of it looks for himself.
            Err(_) => true,
        }
    }
}

/// Gives frames back to their pool.
fn give_back(frames: &mut Vec<*mut rte_mbuf>) {
    // SAFETY: frames that nobody else has.
    unsafe { dpdk_sys::shim_free(frames.as_mut_ptr(), frames.len() as u32) };
    frames.clear();
}

impl FrameDriver for Dpdk {
    #[inline]
    fn receive(&mut self, _now_ns: u64, mut each: impl FnMut(&mut [u8])) -> usize {
        if self.stands_by() {
            return 0;
        }
        port::register_thread();
        let mut frames = [std::ptr::null_mut::<rte_mbuf>(); BURST];
        // SAFETY: places for as many as said; this is the queue's only user.
        let count = unsafe {
            dpdk_sys::shim_receive(self.id, self.queue, frames.as_mut_ptr(), BURST as u16)
        };
        let count = usize::from(count);
        if count == 0 {
            return 0;
        }
        for &frame in &frames[..count] {
            // SAFETY: the driver handed it over, and nobody else has it.
            let frame = unsafe { &mut *frame };
            // Frames longer than their memory come in pieces: no MTU of ours is that long.
            if frame.nb_segs == 1 && self.is_sound(frame) {
                each(Dpdk::bytes(frame));
            } else {
                self.dropped += 1;
            }
        }
        // SAFETY: nobody uses them any more.
        unsafe { dpdk_sys::shim_free(frames.as_mut_ptr(), count as u32) };
        self.frames_in += count as u64;
        count
    }

    #[inline]
    fn room(&mut self) -> usize {
        if self.stands_by() {
            return 0;
        }
        if self.free.len() < BURST {
            let at = self.free.len();
            self.free.resize(at + BURST, std::ptr::null_mut());
            // SAFETY: places for as many as asked for.
            let error = unsafe {
                dpdk_sys::shim_alloc(self.pool, self.free[at..].as_mut_ptr(), BURST as u32)
            };
            if error != 0 {
                self.free.truncate(at);
            }
        }
        self.free.len().min(OUT_MAX - self.out.len())
    }

    #[inline]
    fn transmit<R>(&mut self, length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let pointer = self.free.pop().expect("there was room");
        // SAFETY: fresh from the pool, and nobody else has it.
        let frame = unsafe { &mut *pointer };
        assert!(length <= usize::from(frame.buf_len - frame.data_off), "frames fit their memory");
        frame.data_len = length as u16;
        frame.pkt_len = length as u32;
        let result = fill(Dpdk::bytes(frame));
        if self.fills_checksums {
            let bytes = Dpdk::bytes(frame);
            if let Some((link, header, is_ipv4)) = ip_of_tcp(bytes) {
                let (link, header) = (link as u16, header as u16);
                // SAFETY: the frame is this driver's.
                unsafe { dpdk_sys::shim_want_checksums(frame, link, header, is_ipv4.into()) };
            }
        }
        self.out.push(pointer);
        self.frames_out += 1;
        result
    }

    #[inline]
    fn flush(&mut self, _now_ns: u64) {
        if self.out.is_empty() || self.stands_by() {
            return;
        }
        let mut sent = 0;
        for _ in 0..TRIES_MAX {
            let left = &mut self.out[sent..];
            let (frames, count) = (left.as_mut_ptr(), left.len() as u16);
            let fit = if self.fills_checksums {
                // SAFETY: frames of this driver's.
                unsafe { dpdk_sys::shim_prepare(self.id, self.queue, frames, count) }
            } else {
                count
            };
            // SAFETY: as above; those that are taken belong to the device from here on.
            let taken = unsafe { dpdk_sys::shim_transmit(self.id, self.queue, frames, fit) };
            sent += usize::from(taken);
            if sent == self.out.len() {
                break;
            }
        }
        self.out.drain(..sent);
    }

    fn wakes_by(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn idle_us(&self) -> u32 {
        NAP_US
    }

    fn capabilities(&self) -> Capabilities {
        let found = self.port.found();
        Capabilities {
            mtu: found.mtu.into(),
            verifies_checksums: self.verifies_checksums,
            fills_checksums: self.fills_checksums,
            answers_as: Some(found.mac),
        }
    }

    fn statistics(&mut self) -> [u64; STATISTICS.len()] {
        let port = self.port.statistics();
        // The port's own counts are for all queues: the first has them.
        let first = u64::from(self.queue == 0);
        [
            self.frames_in,
            self.frames_out,
            port.missed * first,
            port.no_buffer * first,
            self.dropped + port.receive_errors * first,
            port.transmit_errors * first,
            0,
            0,
        ]
    }
}

impl Drop for Dpdk {
    fn drop(&mut self) {
        give_back(&mut self.out);
        give_back(&mut self.free);
        // A reset need not wait for this queue.
        self.port.quiet[usize::from(self.queue)].store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(device: &str, eal: &[&str]) -> DpdkSetup {
        DpdkSetup {
            eal: eal.iter().map(|word| (*word).to_owned()).collect(),
            device: device.to_owned(),
            queues: 1,
            descriptors: 512,
            mbufs: 4096,
            frame_bytes: 2048,
            mtu: 0,
            checksums: Checksums::Auto,
            at_home: Arc::new(|| Ok(())),
        }
    }

    #[test]
    fn devices_are_told_apart() {
        assert_eq!(pci_address("0000:00:06.0,llq_policy=1"), Some("0000:00:06.0"));
        assert_eq!(pci_address("00:06.0"), Some("00:06.0"));
        assert_eq!(pci_address("net_af_packet0,iface=vsrv"), None);
        assert_eq!(pci_address("eth1"), None);
    }

    #[test]
    fn what_the_user_says_of_eal_stands() {
        let core = eal::first_core().to_string();
        let own = setup("net_null0", &[]).arguments();
        assert_eq!(own, ["-l", &core, "--in-memory", "--no-telemetry", "--no-pci"]);
        let given = ["-l", "1", "--file-prefix=a", "--telemetry", "-a", "0000:00:07.0"];
        assert_eq!(setup("0000:00:06.0", &given).arguments(), given);
        let allowed = setup("0000:00:06.0,x=1", &["-l", "1"]).arguments();
        assert_eq!(allowed[4..], ["-a", "0000:00:06.0,x=1"]);
    }

    #[test]
    fn a_device_that_is_not_there_is_told_before_dpdk_starts() {
        let error = open(&setup("0000:ff:1f.7", &["--no-huge"])).err().unwrap().to_string();
        assert!(error.contains("there is no PCI device 0000:ff:1f.7"), "{error}");
    }
}
