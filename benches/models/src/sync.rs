//! A lock and a signal that work between threads and, in shared memory, between processes.
#![allow(unsafe_code, reason = "POSIX threads")]

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};

/// A mutex that spins a little before it sleeps.
pub struct Lock<T> {
    // In a box: a mutex must stay where it is.
    mutex: Box<UnsafeCell<libc::pthread_mutex_t>>,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only by who holds the mutex.
unsafe impl<T: Send> Sync for Lock<T> {}
// SAFETY: nothing in it is bound to a thread while nobody holds it.
unsafe impl<T: Send> Send for Lock<T> {}

impl<T> Lock<T> {
    pub fn new(value: T) -> Lock<T> {
        let mutex = Box::new(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));
        // SAFETY: all bytes zero are a value that `init` may overwrite.
        let mut attributes: libc::pthread_mutexattr_t = unsafe { std::mem::zeroed() };
        // SAFETY: attributes and mutex are this function's own and live through the calls.
        unsafe {
            libc::pthread_mutexattr_init(&mut attributes);
            libc::pthread_mutexattr_settype(&mut attributes, libc::PTHREAD_MUTEX_ADAPTIVE_NP);
            libc::pthread_mutexattr_setpshared(&mut attributes, libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_mutex_init(mutex.get(), &attributes);
        }
        Lock { mutex, value: UnsafeCell::new(value) }
    }

    pub fn lock(&self) -> Held<'_, T> {
        // SAFETY: initialised in `new`.
        unsafe { libc::pthread_mutex_lock(self.mutex.get()) };
        Held { lock: self }
    }

    pub fn try_lock(&self) -> Option<Held<'_, T>> {
        // SAFETY: initialised in `new`.
        let taken = unsafe { libc::pthread_mutex_trylock(self.mutex.get()) } == 0;
        taken.then_some(Held { lock: self })
    }
}

/// A lock that is held.
pub struct Held<'a, T> {
    lock: &'a Lock<T>,
}

impl<T> Deref for Held<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the mutex is held.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the mutex is held, and `self` borrowed for as long.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Held<'_, T> {
    fn drop(&mut self) {
        // SAFETY: this thread holds it.
        unsafe { libc::pthread_mutex_unlock(self.lock.mutex.get()) };
    }
}

/// A condition variable.
pub struct Signal(Box<UnsafeCell<libc::pthread_cond_t>>);

// SAFETY: made to be used by many.
unsafe impl Sync for Signal {}
// SAFETY: as above.
unsafe impl Send for Signal {}

impl Signal {
    pub fn new() -> Signal {
        let signal = Box::new(UnsafeCell::new(libc::PTHREAD_COND_INITIALIZER));
        // SAFETY: all bytes zero are a value that `init` may overwrite.
        let mut attributes: libc::pthread_condattr_t = unsafe { std::mem::zeroed() };
        // SAFETY: attributes and condition are this function's own and live through the calls.
        unsafe {
            libc::pthread_condattr_init(&mut attributes);
            libc::pthread_condattr_setpshared(&mut attributes, libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_cond_init(signal.get(), &attributes);
        }
        Signal(signal)
    }

    /// Gives the lock away until the signal comes, or for no reason.
    pub fn wait<'a, T>(&self, held: Held<'a, T>) -> Held<'a, T> {
        // SAFETY: both initialised, and this thread holds the mutex.
        unsafe { libc::pthread_cond_wait(self.0.get(), held.lock.mutex.get()) };
        held
    }

    pub fn all(&self) {
        // SAFETY: initialised in `new`.
        unsafe { libc::pthread_cond_broadcast(self.0.get()) };
    }
}
