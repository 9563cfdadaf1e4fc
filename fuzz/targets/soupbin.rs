//! Bytes of a session: however they are cut, the same packets come out, and every message is
//! read or refused.

use millrace::session::soup::{Input as Packet, Phase, Session};
use millrace::wire::ouch::appendage::Elements;
use millrace::wire::ouch::inbound::Inbound;

use super::Input;

const NOW_NS: u64 = 1_000_000_000;

/// What a session makes of bytes that arrive in pieces of the given sizes.
fn read(stream: &[u8], mut piece: impl FnMut() -> usize) -> (Vec<String>, bool) {
    let mut session = Session::new(NOW_NS);
    let (mut told, mut start, mut end) = (vec![], 0, 0);
    loop {
        match session.next(&stream[start..end], NOW_NS) {
            Ok(Some((packet, used))) => {
                assert!(used > 0 && used <= end - start);
                told.push(tell(&packet));
                start += used;
                if session.phase() == Phase::LoggingIn {
                    session.accept(NOW_NS);
                }
            }
            Ok(None) if end == stream.len() => return (told, true),
            Ok(None) => end = (end + piece().max(1)).min(stream.len()),
            Err(_) => return (told, false),
        }
    }
}

fn tell(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Message(message) => {
            let read = Inbound::parse(message);
            if let Ok(Inbound::Enter(_, tail) | Inbound::Replace(_, tail)) = &read {
                for element in Elements::parse(tail).into_iter().flatten().flatten() {
                    let _ = (element.u32(), element.u16(), element.u8());
                }
            }
            format!("message {message:?} {}", read.is_ok())
        }
        Packet::Login(login) => {
            let _ = login.sequence();
            format!("login {:?}", login.request.user)
        }
        Packet::Logout => "logout".to_owned(),
        Packet::Nothing => "nothing".to_owned(),
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let sizes: [u8; 4] = [input.byte(), input.byte(), input.byte(), input.byte()];
    let mut sizes = sizes.into_iter().cycle();
    let whole = read(input.0, || usize::MAX / 2);
    let pieces = read(input.0, || sizes.next().unwrap_or(1).into());
    assert_eq!(whole, pieces);
}
