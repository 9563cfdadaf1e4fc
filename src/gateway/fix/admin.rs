//! What a session says beside orders, as messages.

use crate::order::{CommandKind, Event};
use crate::wire::fix::write::{Head, Writer};
use crate::wire::fix::{Version, msg_type};

use super::super::symbols::Names;
use super::Ends;
use super::outbound::{Said, Voice};
use super::reasons::{business_text, session_reject_text};
use super::route::put_route;
use super::say::Say;
use super::text::divide;

/// The head of each message type.
pub(super) struct Heads {
    pub heartbeat: Head,
    pub test_request: Head,
    pub resend_request: Head,
    pub reject: Head,
    pub sequence_reset: Head,
    pub logout: Head,
    pub logon: Head,
    pub report: Head,
    pub cancel_reject: Head,
    pub business_reject: Head,
    pub mass_report: Head,
    pub mass_status_request: Head,
}

impl Heads {
    pub fn new(ends: &Ends) -> Heads {
        let head = |kind| Head::new(ends.version, kind, &ends.own, &ends.peer);
        Heads {
            heartbeat: head(msg_type::HEARTBEAT),
            test_request: head(msg_type::TEST_REQUEST),
            resend_request: head(msg_type::RESEND_REQUEST),
            reject: head(msg_type::REJECT),
            sequence_reset: head(msg_type::SEQUENCE_RESET),
            logout: head(msg_type::LOGOUT),
            logon: head(msg_type::LOGON),
            report: head(msg_type::EXECUTION_REPORT),
            cancel_reject: head(msg_type::ORDER_CANCEL_REJECT),
            business_reject: head(msg_type::BUSINESS_MESSAGE_REJECT),
            mass_report: head(msg_type::ORDER_MASS_CANCEL_REPORT),
            mass_status_request: head(msg_type::ORDER_MASS_STATUS_REQUEST),
        }
    }
}

impl Voice {
    /// What the session says beside orders.
    pub(super) fn session(&mut self, event: &Event, names: &Names, out: &mut Vec<u8>) {
        if event.command.kind == CommandKind::Text {
            return self.carried.take(&event.command);
        }
        let mut carried = std::mem::take(&mut self.carried);
        let (words, route) = divide(carried.of(&event.command));
        let say = Say::read(&event.command, words);
        match say {
            Say::Heard => {}
            Say::Status { order, words } => {
                self.order_status(event, order, words, route, names, out);
            }
            say => self.admin(event, say, route, out),
        }
        self.carried = carried;
    }

    fn admin(&mut self, event: &Event, say: Say<'_>, route: &[u8], out: &mut Vec<u8>) {
        if let Say::LogOn { reset: true, .. } = say {
            self.before = self.told;
        }
        let (number, _) = self.next();
        let time = *self.times.text(event.time_ns());
        let head = match say {
            Say::LogOn { .. } => &self.heads.logon,
            Say::LogOut(_) => &self.heads.logout,
            Say::TestRequest => &self.heads.test_request,
            Say::ResendRequest(_) => &self.heads.resend_request,
            Say::Reject { .. } => &self.heads.reject,
            Say::BusinessReject { .. } => &self.heads.business_reject,
            Say::MassStatusRequest => &self.heads.mass_status_request,
            _ => &self.heads.heartbeat,
        };
        let mut writer = Writer::new(out, head, number, &time);
        put_route(&mut writer, route);
        match say {
            Say::LogOn { heartbeat_s, reset } => {
                self.said = Some(Said::LogOn);
                writer.character(b"98=", b'0').number(b"108=", heartbeat_s.into());
                if reset {
                    writer.character(b"141=", b'Y');
                }
                if let Some(calls) = &self.calls {
                    calls.put_secret(&mut writer);
                }
            }
            Say::LogOut(text) => {
                self.said = Some(Said::LogOut);
                if !text.is_empty() {
                    writer.bytes(b"58=", text);
                }
            }
            Say::Heartbeat(id) if !id.is_empty() => {
                writer.bytes(b"112=", id);
            }
            Say::TestRequest => {
                writer.number(b"112=", number);
            }
            Say::ResendRequest(from) => {
                writer.number(b"7=", from.into()).character(b"16=", b'0');
            }
            Say::Reject { number, tag, reason, msg_type } => {
                writer.number(b"45=", number.into());
                if tag != 0 {
                    writer.number(b"371=", tag.into());
                }
                writer.bytes(b"372=", msg_type);
                // FIX 4.2 knows reasons 0 to 11.
                if self.ends.version == Version::Fix44 || reason <= 11 {
                    writer.number(b"373=", reason.into());
                }
                writer.bytes(b"58=", session_reject_text(reason));
            }
            Say::BusinessReject { number, reason, msg_type } => {
                writer.number(b"45=", number.into()).bytes(b"372=", msg_type);
                writer.number(b"380=", reason.into()).bytes(b"58=", business_text(reason));
            }
            Say::MassStatusRequest => {
                writer.number(b"584=", number).character(b"585=", b'7');
            }
            _ => {}
        }
        writer.finish();
    }
}
