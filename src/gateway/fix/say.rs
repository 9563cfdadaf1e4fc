//! What a session says beside orders, as the fields of a [`CommandKind::Session`] command. The
//! journal keeps it, so these numbers are part of its format.

use crate::order::{Command, UserRefNum};

use super::text::{Parts, Words};

/// One thing to say. Texts lie in the command's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Say<'a> {
    /// Nothing: something was heard that takes a number.
    Heard,
    /// A Logon.
    LogOn {
        /// HeartBtInt.
        heartbeat_s: u32,
        /// Numbers begin at 1 with it.
        reset: bool,
    },
    /// A Logout.
    LogOut(&'a [u8]),
    /// A Heartbeat, with a TestReqID or nothing.
    Heartbeat(&'a [u8]),
    /// A TestRequest; its TestReqID is its own MsgSeqNum.
    TestRequest,
    /// A ResendRequest from a number on.
    ResendRequest(u32),
    /// A Reject.
    Reject {
        /// RefSeqNum.
        number: u32,
        /// RefTagID, or 0.
        tag: u32,
        /// SessionRejectReason.
        reason: u32,
        /// RefMsgType.
        msg_type: &'a [u8],
    },
    /// A BusinessMessageReject.
    BusinessReject {
        /// RefSeqNum.
        number: u32,
        /// BusinessRejectReason.
        reason: u32,
        /// RefMsgType.
        msg_type: &'a [u8],
    },
    /// An ExecutionReport of how an order stands: the one of that number, 0 for none. The text has
    /// ClOrdID, OrdStatusReqID, Symbol and Side of the request.
    Status {
        /// The order's number.
        order: u32,
        /// The request's words.
        words: Parts<'a>,
    },
    /// An OrderMassStatusRequest for all orders; its MassStatusReqID is its own MsgSeqNum.
    MassStatusRequest,
}

impl PartialEq for Parts<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Parts<'_> {}

impl std::fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&String::from_utf8_lossy(self.0), f)
    }
}

impl<'a> Say<'a> {
    /// Writes it into a command and, where it has one, its text into `words`.
    pub fn write(&self, command: &mut Command, words: &mut Words) {
        words.clear();
        let mut put = |code: u32, numbers: [u32; 3], text: &[u8]| {
            command.qty = code;
            [command.min_qty, command.max_floor, command.expire_s] = numbers;
            words.push(text);
        };
        match *self {
            Say::Heard => put(0, [0; 3], b""),
            Say::LogOn { heartbeat_s, reset } => put(1, [heartbeat_s, reset.into(), 0], b""),
            Say::LogOut(text) => put(2, [0; 3], text),
            Say::Heartbeat(id) => put(3, [0; 3], id),
            Say::TestRequest => put(4, [0; 3], b""),
            Say::ResendRequest(from) => put(5, [from, 0, 0], b""),
            Say::Reject { number, tag, reason, msg_type } => {
                put(6, [number, tag, reason], msg_type);
            }
            Say::BusinessReject { number, reason, msg_type } => {
                put(7, [number, 0, reason], msg_type);
            }
            Say::Status { order, words: of } => {
                put(8, [0; 3], of.0);
                command.user_ref = UserRefNum(order);
            }
            Say::MassStatusRequest => put(9, [0; 3], b""),
        }
    }

    /// Reads it back from a command and the parts of its text.
    pub fn read(command: &Command, parts: Parts<'a>) -> Say<'a> {
        let Parts(text) = parts;
        let [a, b, c] = [command.min_qty, command.max_floor, command.expire_s];
        match command.qty {
            1 => Say::LogOn { heartbeat_s: a, reset: b != 0 },
            2 => Say::LogOut(text),
            3 => Say::Heartbeat(text),
            4 => Say::TestRequest,
            5 => Say::ResendRequest(a),
            6 => Say::Reject { number: a, tag: b, reason: c, msg_type: text },
            7 => Say::BusinessReject { number: a, reason: c, msg_type: text },
            8 => Say::Status { order: command.user_ref.0, words: parts },
            9 => Say::MassStatusRequest,
            _ => Say::Heard,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{CommandKind, FirmId, UserId, carry};

    #[test]
    fn what_is_said_is_read_back() {
        for say in [
            Say::Heard,
            Say::LogOn { heartbeat_s: 30, reset: true },
            Say::LogOut(b"until tomorrow"),
            Say::Heartbeat(b""),
            Say::Heartbeat(b"are you there?"),
            Say::TestRequest,
            Say::ResendRequest(17),
            Say::Reject { number: 3, tag: 38, reason: 6, msg_type: b"D" },
            Say::BusinessReject { number: 4, reason: 3, msg_type: b"AE" },
            Say::Status { order: 5, words: Parts(b"C1\x01S1\x01AAPL\x011") },
            Say::MassStatusRequest,
        ] {
            let mut command = Command::new(CommandKind::Session, UserId(1), FirmId(0));
            let mut words = Words::new();
            say.write(&mut command, &mut words);
            carry(words.get(), &mut command, |_| panic!("it is short"));
            let mut carried = crate::order::CarriedText::default();
            assert_eq!(Say::read(&command, Parts(carried.of(&command))), say);
        }
    }
}
