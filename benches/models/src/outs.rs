//! What is to be sent, for one who has it all alone.

use crate::matcher::{Kept, Out};
use crate::venue::Setup;

/// Packets by session, and which sessions have some.
pub struct Outs {
    pub bytes: Vec<Vec<u8>>,
    pub touched: Vec<u16>,
    /// By session; nobody's in the lean one.
    kept: Vec<Kept>,
}

impl Outs {
    pub fn new(setup: &Setup) -> Outs {
        let sessions = if setup.lean { 0 } else { setup.sessions };
        let kept = (0..sessions).map(|_| Kept::new()).collect();
        Outs { bytes: vec![vec![]; setup.sessions.into()], touched: vec![], kept }
    }
}

impl Out for Outs {
    fn packet(&mut self, session: u16, packet: &[u8]) {
        let bytes = &mut self.bytes[usize::from(session)];
        if bytes.is_empty() {
            self.touched.push(session);
        }
        bytes.extend_from_slice(packet);
        if let Some(kept) = self.kept.get_mut(usize::from(session)) {
            kept.add(packet);
        }
    }
}
