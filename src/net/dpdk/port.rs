//! A port: one device, its queues, and its way back after a reset.
#![allow(unsafe_code, reason = "calls into DPDK")]

use std::ffi::CString;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dpdk_sys::{rte_mempool, shim_port, shim_setup, shim_stats};

use super::{Checksums, DpdkError, DpdkSetup, eal};

/// Extended statistics that are read, at most.
const XSTATS_MAX: usize = 256;

/// Memory for the frames of one queue, given back when it is dropped.
pub(super) struct Pool(pub *mut rte_mempool);

// SAFETY: DPDK's pools may be used from any thread.
unsafe impl Send for Pool {}
// SAFETY: as above, by several at once too.
unsafe impl Sync for Pool {}

impl Pool {
    fn new(name: &str, frames: u32, bytes: u16) -> Result<Pool, DpdkError> {
        let name = CString::new(name).expect("made here");
        let mut error = 0;
        // SAFETY: a terminated name, and a place for the error.
        let pool = unsafe { dpdk_sys::shim_pool(name.as_ptr(), frames, bytes, &mut error) };
        if pool.is_null() {
            return Err(DpdkError::Frames { frames, bytes, error: eal::errno(error) });
        }
        Ok(Pool(pool))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: made by `shim_pool`; its port is closed, and its queues gave their frames back.
        unsafe { dpdk_sys::shim_free_pool(self.0) };
    }
}

/// Held while devices come, go and are set up, which DPDK wants done by one thread at a time.
static SETTING_UP: Mutex<()> = Mutex::new(());

fn setting_up() -> MutexGuard<'static, ()> {
    SETTING_UP.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How to get into the network namespace of a virtual device's other half.
pub type AtHome = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// A port that runs.
pub(super) struct Port {
    id: AtomicU16,
    device: CString,
    setup: DpdkSetup,
    /// After `id` is closed: see `drop`.
    pools: Vec<Pool>,
    /// What came out, the last time it was started.
    found: Mutex<shim_port>,
    /// Queues have to keep their hands off while this is set, and say so in `quiet`.
    pub paused: AtomicBool,
    pub quiet: Vec<AtomicBool>,
    /// Resets that were carried out.
    pub resets: AtomicU64,
    xstats: Mutex<Xstats>,
    told: Mutex<Option<Tell>>,
}

/// Extended statistics, and places to read them into.
struct Xstats {
    names: Vec<[u8; 64]>,
    values: Vec<u64>,
    read: Vec<(String, u64)>,
}

type Tell = Box<dyn FnMut(&[(String, u64)]) + Send>;

impl Port {
    pub fn open(setup: &DpdkSetup) -> Result<Arc<Port>, DpdkError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        if eal::find(&setup.device).is_some() {
            return Err(DpdkError::InUse(setup.device.clone()));
        }
        let device = CString::new(setup.device.as_str()).map_err(|_| DpdkError::Attach {
            device: setup.device.clone(),
            said: "a name with a zero byte".to_owned(),
            error: eal::errno(libc::EINVAL),
        })?;
        // The thread that attaches a device allocates for it.
        register_thread();
        let id = attach(&device).map_err(|error| DpdkError::Attach {
            device: setup.device.clone(),
            said: eal::said(),
            error,
        })?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut port = Port {
            id: AtomicU16::new(id),
            device,
            setup: setup.clone(),
            pools: Vec::new(),
            found: Mutex::new(shim_port::default()),
            paused: AtomicBool::new(false),
            quiet: (0..setup.queues).map(|_| AtomicBool::new(false)).collect(),
            resets: AtomicU64::new(0),
            xstats: Mutex::new(Xstats {
                names: vec![[0; 64]; XSTATS_MAX],
                values: vec![0; XSTATS_MAX],
                read: Vec::new(),
            }),
            told: Mutex::new(None),
        };
        let mut able = shim_port::default();
        // SAFETY: a place for what is found.
        unsafe { dpdk_sys::shim_info(id, &mut able) };
        let driver = driver(&able);
        if setup.queues > able.queues_max {
            return Err(DpdkError::Queues { driver, has: able.queues_max, wanted: setup.queues });
        }
        for queue in 0..setup.queues {
            let name = format!("millrace{number}-{queue}");
            port.pools.push(Pool::new(&name, setup.mbufs, setup.frame_bytes)?);
        }
        let found = port.start().map_err(|error| DpdkError::Start {
            device: setup.device.clone(),
            said: eal::said(),
            error,
        })?;
        if setup.checksums == Checksums::Device {
            let lacking = [
                (found.verifies_checksums, "verify checksums of frames that come in"),
                (found.fills_checksums, "fill in checksums of frames that are sent"),
            ];
            if let Some((_, what)) = lacking.into_iter().find(|(able, _)| *able == 0) {
                return Err(DpdkError::Offload { driver, what });
            }
        }
        port.read_statistics();
        let port = Arc::new(port);
        eal::adopt(Arc::downgrade(&port));
        Ok(port)
    }

    pub fn id(&self) -> u16 {
        self.id.load(Ordering::Acquire)
    }

    pub fn device(&self) -> &str {
        &self.setup.device
    }

    pub fn found(&self) -> shim_port {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn driver(&self) -> String {
        driver(&self.found())
    }

    pub fn pool(&self, queue: u16) -> *mut rte_mempool {
        self.pools[usize::from(queue)].0
    }

    /// Configures and starts it.
    fn start(&self) -> io::Result<shim_port> {
        let _setting = setting_up();
        let pools: Vec<*mut rte_mempool> = self.pools.iter().map(|pool| pool.0).collect();
        let setup = shim_setup {
            queues: self.setup.queues,
            receive_descriptors: self.setup.descriptors,
            transmit_descriptors: self.setup.descriptors,
            mtu: self.setup.mtu,
            checksums: (self.setup.checksums != Checksums::Software).into(),
            pools: pools.as_ptr(),
        };
        let mut found = shim_port::default();
        let id = self.id();
        // SAFETY: a set-up with a pool for each queue, and a place for what is found.
        let error = unsafe { dpdk_sys::shim_start(id, &setup, &mut found) };
        check(error)?;
        // SAFETY: the function stays for as long as the process. A driver without this event is
        // never called back.
        unsafe { dpdk_sys::shim_on_reset(id, eal::reset_wanted) };
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
        Ok(found)
    }

    /// Takes the device down and brings it up again, with the queues standing by.
    pub fn reset(&self) {
        self.paused.store(true, Ordering::Release);
        while !self.quiet.iter().all(|quiet| quiet.load(Ordering::Acquire)) {
            std::thread::sleep(Duration::from_micros(100));
        }
        let mut pause_ms = 10;
        while let Err(error) = self.restart() {
            tracing::error!(device = %self.setup.device, %error, said = eal::said(),
                "the device does not come back from its reset; trying again");
            std::thread::sleep(Duration::from_millis(pause_ms));
            pause_ms = (pause_ms * 2).min(1000);
        }
        self.resets.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(device = %self.setup.device, "the device was reset");
        self.paused.store(false, Ordering::Release);
    }

    fn restart(&self) -> io::Result<()> {
        let id = self.id();
        let setting = setting_up();
        // SAFETY: every queue stands by.
        let error = unsafe { dpdk_sys::shim_reset(id) };
        drop(setting);
        if error == libc::ENOTSUP && self.setup.is_virtual() {
            // Sockets of its other half belong to the namespace that it was attached in.
            (self.setup.at_home)()?;
            // Trying again finds it gone, which is as well.
            detach(id);
            self.id.store(attach(&self.device)?, Ordering::Release);
        } else if error == libc::ENOTSUP {
            // SAFETY: as above.
            check(unsafe { dpdk_sys::shim_stop(id) })?;
        } else {
            check(error)?;
        }
        self.start().map(|_| ())
    }

    pub fn statistics(&self) -> shim_stats {
        let mut stats = shim_stats::default();
        if !self.paused.load(Ordering::Acquire) {
            // SAFETY: a place for them.
            unsafe { dpdk_sys::shim_stats(self.id(), &mut stats) };
        }
        stats
    }

    /// Reads the extended statistics, for whoever asks for them later.
    pub fn read_statistics(&self) {
        let mut xstats = self.xstats.lock().unwrap_or_else(PoisonError::into_inner);
        let Xstats { names, values, read } = &mut *xstats;
        let (id, most) = (self.id(), XSTATS_MAX as u32);
        let (names_at, values_at) = (names.as_mut_ptr(), values.as_mut_ptr());
        // SAFETY: places for as many as said.
        let count = unsafe { dpdk_sys::shim_xstats(id, names_at, values_at, most) };
        let count = usize::try_from(count).unwrap_or(0);
        if read.len() == count {
            read.iter_mut().zip(values).for_each(|((_, value), now)| *value = *now);
        } else {
            let named = |(name, value): (&[u8; 64], &u64)| (until_zero(name), *value);
            *read = names.iter().zip(&*values).take(count).map(named).collect();
        }
        if let Some(tell) = &mut *self.told.lock().unwrap_or_else(PoisonError::into_inner) {
            tell(read);
        }
    }

    pub fn tell(&self, tell: Tell) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(tell);
    }

    pub fn xstats(&self) -> Vec<(String, u64)> {
        self.xstats.lock().unwrap_or_else(PoisonError::into_inner).read.clone()
    }

    pub fn link_is_up(&self) -> bool {
        // SAFETY: no pointers.
        unsafe { dpdk_sys::shim_link(self.id()) == 1 }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // Nobody has a queue of it any more. The pools go after it.
        detach(self.id());
    }
}

fn attach(device: &CString) -> io::Result<u16> {
    let _setting = setting_up();
    let mut id = 0;
    // SAFETY: a terminated string, and a place for the number.
    check(unsafe { dpdk_sys::shim_attach(device.as_ptr(), &mut id) })?;
    Ok(id)
}

/// Takes a port away, with every queue standing by or gone.
fn detach(id: u16) {
    let _setting = setting_up();
    // SAFETY: a number of a port; one that is gone is refused.
    unsafe { dpdk_sys::shim_detach(id) };
}

fn check(error: i32) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(eal::errno(error)) }
}

/// Makes this thread known to DPDK, once. Where there is no room for another thread, DPDK works
/// all the same, without caches.
pub(super) fn register_thread() {
    thread_local!(static KNOWN: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });
    if !KNOWN.replace(true) {
        // SAFETY: EAL runs.
        unsafe { dpdk_sys::shim_register_thread() };
    }
}

fn driver(found: &shim_port) -> String {
    until_zero(&found.driver)
}

fn until_zero(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
