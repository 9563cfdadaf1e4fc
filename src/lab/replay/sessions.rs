//! Captured sessions, OUCH over SoupBinTCP or FIX, sent again as they were, and the answers beside those that came
//! then.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::Pace;
use super::capture::{Conversation, Said};
use crate::wire::soupbin::{Packet, kind};

/// How long the answers to the last message may take.
const SETTLE: Duration = Duration::from_secs(2);

/// What a session was, and what it is again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Played {
    /// `OUCH` or `FIX`, or what it seems to be.
    pub protocol: &'static str,
    /// Messages that the client sent.
    pub sent: usize,
    /// Messages that the gateway answered then.
    pub recorded: usize,
    /// Messages that it answers now.
    pub answered: usize,
    /// Answers from the first on that are the same, but for times and the gateway's own numbers.
    pub same: usize,
    /// The first that is not, recorded and now.
    pub first_difference: Option<(String, String)>,
}

/// Messages of one direction, without what every run has of its own.
fn messages(protocol: &str, bytes: &[u8]) -> Vec<Vec<u8>> {
    match protocol {
        "FIX" => fix_messages(bytes),
        _ => ouch_messages(bytes),
    }
}

/// Sequenced and unsequenced messages; heartbeats come when they come.
fn ouch_messages(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut at, mut all) = (0, vec![]);
    while let Ok(Some((packet, used))) = Packet::parse(&bytes[at..], u16::MAX) {
        at += used;
        let plain = matches!(packet.kind, kind::SEQUENCED | kind::UNSEQUENCED);
        if !plain {
            continue;
        }
        let mut message = packet.payload.to_vec();
        if packet.kind == kind::SEQUENCED {
            blank(&mut message);
        }
        all.push(message);
    }
    all
}

/// Blanks time, the venue's number of the order, and the match number.
fn blank(message: &mut [u8]) {
    let kind = message.first().copied();
    let mut fill = |from: usize, to: usize| {
        let to = to.min(message.len());
        message[from.min(to)..to].fill(0);
    };
    fill(1, 9);
    match kind {
        Some(b'A') => fill(36, 44),
        Some(b'U') => fill(40, 48),
        Some(b'E') => fill(26, 34),
        _ => {}
    }
}

/// FIX fields that every run has of its own: times, checksum, length, and the venue's numbers.
const OWN_FIELDS: [&[u8]; 8] = [b"9=", b"10=", b"52=", b"60=", b"37=", b"17=", b"122=", b"198="];

fn fix_messages(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![];
    let mut message: Vec<&[u8]> = vec![];
    for field in bytes.split(|byte| *byte == 1) {
        if field.starts_with(b"8=FIX") {
            message.clear();
        }
        if !OWN_FIELDS.iter().any(|own| field.starts_with(own)) {
            message.push(field);
        }
        if field.starts_with(b"10=") {
            let heartbeat = message.iter().any(|field| *field == b"35=0");
            if !heartbeat {
                all.push(message.join(&b'|'));
            }
            message.clear();
        }
    }
    all
}

fn protocol(conversation: &Conversation) -> &'static str {
    let first = conversation.said.iter().find(|said| said.client);
    match first.map(|said| &said.bytes[..]) {
        Some([b'8', b'=', ..]) => "FIX",
        Some([_, _, b'L', ..]) => "OUCH",
        _ => "no login",
    }
}

fn direction(conversation: &Conversation, client: bool) -> Vec<u8> {
    let of = conversation.said.iter().filter(|said| said.client == client);
    of.flat_map(|said| said.bytes.iter().copied()).collect()
}

/// What a conversation was, without playing it.
pub fn describe(conversation: &Conversation) -> Played {
    let protocol = protocol(conversation);
    Played {
        protocol,
        sent: messages(protocol, &direction(conversation, true)).len(),
        recorded: messages(protocol, &direction(conversation, false)).len(),
        ..Played::default()
    }
}

/// Sends captured sessions to a gateway again, each on a connection of its own, all on one clock.
pub fn play_sessions(
    conversations: &[Conversation],
    to: SocketAddr,
    mut pace: Pace,
) -> io::Result<Vec<Played>> {
    let mut streams: Vec<Option<TcpStream>> = conversations.iter().map(|_| None).collect();
    let mut heard: Vec<Vec<u8>> = vec![vec![]; conversations.len()];
    let mut all: Vec<(usize, &Said)> = conversations
        .iter()
        .enumerate()
        .flat_map(|(at, conversation)| conversation.said.iter().map(move |said| (at, said)))
        .collect();
    all.sort_by_key(|(_, said)| said.time_ns);
    // What was answered before a client said more has to be answered again before it says that.
    let mut expected: Vec<usize> = vec![0; conversations.len()];
    for (at, said) in all {
        if !said.client {
            expected[at] += said.bytes.len();
            continue;
        }
        if streams[at].is_none() {
            let stream = TcpStream::connect_timeout(&to, Duration::from_secs(5))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_micros(200)))?;
            stream.set_write_timeout(Some(Duration::from_secs(5)))?;
            streams[at] = Some(stream);
        }
        let began = Instant::now();
        loop {
            let wait = pace.wait(said.time_ns);
            for (stream, heard) in streams.iter_mut().zip(&mut heard) {
                listen(stream, heard);
            }
            let answered = heard[at].len() >= expected[at];
            if wait.is_zero() && (answered || began.elapsed() > SETTLE) {
                break;
            }
            std::thread::sleep(wait.min(Duration::from_micros(200)));
        }
        if let Some(stream) = &mut streams[at]
            && stream.write_all(&said.bytes).is_err()
        {
            streams[at] = None;
        }
    }
    let began = Instant::now();
    while began.elapsed() < SETTLE {
        for (stream, heard) in streams.iter_mut().zip(&mut heard) {
            listen(stream, heard);
        }
        let done = heard.iter().zip(&expected).all(|(heard, expected)| heard.len() >= *expected);
        if done {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(conversations.iter().zip(&heard).map(|(was, now)| compare(was, now)).collect())
}

fn listen(stream: &mut Option<TcpStream>, heard: &mut Vec<u8>) {
    let Some(open) = stream else { return };
    let mut bytes = [0; 16_384];
    match open.read(&mut bytes) {
        // What it says after the end is an error that the next write meets.
        Ok(0) => {}
        Ok(count) => heard.extend_from_slice(&bytes[..count]),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
        Err(_) => *stream = None,
    }
}

fn compare(conversation: &Conversation, now: &[u8]) -> Played {
    let mut played = describe(conversation);
    let recorded = messages(played.protocol, &direction(conversation, false));
    let answered = messages(played.protocol, now);
    played.answered = answered.len();
    played.same = recorded.iter().zip(&answered).take_while(|(a, b)| a == b).count();
    if played.same < recorded.len().max(answered.len()) {
        let text = |all: &[Vec<u8>]| match all.get(played.same) {
            Some(message) => message.escape_ascii().to_string(),
            None => "nothing".to_owned(),
        };
        played.first_difference = Some((text(&recorded), text(&answered)));
    }
    played
}
