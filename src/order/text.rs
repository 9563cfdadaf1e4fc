//! Text longer than one command has room for travels in front of it.

use super::{Command, CommandKind, TEXT_BYTES};

/// Text commands before the one they belong to, at most.
pub const CARRIED_MAX: usize = 8;

/// Bytes of the longest text.
const BYTES_MAX: usize = (CARRIED_MAX + 1) * TEXT_BYTES;

/// Splits a text: calls `before` with what goes ahead, in order, each a whole Text command's, and
/// writes the rest into `command`. What is longer than can be carried is cut.
pub fn carry(text: &[u8], command: &mut Command, mut before: impl FnMut(&Command)) {
    let mut text = &text[..text.len().min(BYTES_MAX)];
    while text.len() > TEXT_BYTES {
        let (head, rest) = text.split_at(TEXT_BYTES);
        let mut part = Command::new(CommandKind::Text, command.user, command.firm);
        part.text.copy_from_slice(head);
        part.carried = command.carried;
        before(&part);
        command.carried += 1;
        text = rest;
    }
    command.text[..text.len()].copy_from_slice(text);
}

/// The texts of one user's commands, put together again.
#[derive(Clone, Debug)]
pub struct CarriedText {
    bytes: [u8; BYTES_MAX],
}

impl Default for CarriedText {
    fn default() -> CarriedText {
        CarriedText { bytes: [0; BYTES_MAX] }
    }
}

impl CarriedText {
    /// Takes in a Text command.
    pub fn take(&mut self, part: &Command) {
        let at = usize::from(part.carried) * TEXT_BYTES;
        if let Some(place) = self.bytes.get_mut(at..at + TEXT_BYTES) {
            place.copy_from_slice(&part.text);
        }
    }

    /// The whole text of a command.
    pub fn of<'a>(&'a mut self, command: &'a Command) -> &'a [u8] {
        let used = |text: &[u8]| text.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        if command.carried == 0 {
            return &command.text[..used(&command.text)];
        }
        let at = usize::from(command.carried).min(CARRIED_MAX) * TEXT_BYTES;
        self.bytes[at..at + TEXT_BYTES].copy_from_slice(&command.text);
        &self.bytes[..at + used(&command.text)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{FirmId, UserId};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_comes_back_whole(text in prop::collection::vec(1u8..255, 0..BYTES_MAX)) {
            let mut command = Command::new(CommandKind::Session, UserId(1), FirmId(0));
            let mut carried = CarriedText::default();
            carry(&text, &mut command, |part| carried.take(part));
            prop_assert_eq!(carried.of(&command), &text[..]);
        }
    }
}
