//! Transports: byte streams in, byte streams out.
//!
//! A [`Transport`] moves bytes between connections and the [`Handler`] above it. Received bytes
//! are handed over where they lie, in order; what the handler leaves comes again with more
//! behind it. Kernel sockets ([`kernel::KernelTransport`]) are one transport; a TCP stack over
//! raw frames is another with the same face.

pub mod kernel;

/// A connection. The generation tells it from an earlier one with the same index.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct ConnId {
    /// Index below [`Transport::connections_max`].
    pub index: u32,
    /// How often the index was used before.
    pub generation: u32,
}

impl ConnId {
    /// No connection.
    pub const NONE: ConnId = ConnId { index: u32::MAX, generation: 0 };
}

/// The handler cannot go on with a connection: it is closed after the call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Close;

/// What a transport tells.
pub trait Handler {
    /// A peer connected to a port (its place among those listened to).
    fn opened(&mut self, conn: ConnId, port: usize);

    /// Bytes came in; `bytes` begins with what was left the last time. Returns how many are
    /// done with.
    fn received(&mut self, conn: ConnId, bytes: &[u8]) -> Result<usize, Close>;

    /// A connection that took less than it was given can take more now.
    fn writable(&mut self, conn: ConnId);

    /// The connection is gone. Also told after a [`Close`], but not after [`Transport::close`].
    fn closed(&mut self, conn: ConnId);
}

/// Bytes a handler may leave unconsumed on a connection; more closes it.
pub const UNCONSUMED_MAX: usize = 2048;

/// Moves bytes. Nothing here blocks but [`Transport::wait`].
pub trait Transport {
    /// Takes in what there is, up to about `budget` bytes, and tells the handler. Returns how
    /// much was done.
    fn poll(&mut self, handler: &mut impl Handler, budget: usize) -> usize;

    /// Sends what it can of `bytes`, in order. Returns how many were taken; fewer than given
    /// means to wait for [`Handler::writable`]. Fails if the connection is gone, which the
    /// handler is told in the next poll.
    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Result<usize, Close>;

    /// Closes a connection; what was sent before still arrives if it can.
    fn close(&mut self, conn: ConnId);

    /// Waits for something to come in, `timeout_us` at most.
    fn wait(&mut self, timeout_us: u32);

    /// Connections there can be at once.
    fn connections_max(&self) -> usize;

    /// Connections refused because there were too many.
    fn refused(&self) -> u64;
}
