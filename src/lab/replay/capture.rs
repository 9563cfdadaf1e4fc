//! Connections in a capture: what each side said, in order, and when.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError};

use crate::lab::LabError;
use crate::net::packet::{Segment, Tuple, flags, parse};
use crate::order::UnixNanos;

/// Bytes of a direction that came before their turn.
const AHEAD_MAX: usize = 16 << 20;

/// What one side said at a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    /// When.
    pub time_ns: UnixNanos,
    /// Whether the client said it: who sent the first segment, or, if that is not there, who has the higher port.
    pub client: bool,
    /// What.
    pub bytes: Vec<u8>,
}

/// One connection.
#[derive(Clone, Debug, Default)]
pub struct Conversation {
    /// Everything that was said, in order of time.
    pub said: Vec<Said>,
    /// Bytes that the capture does not have.
    pub missing: u64,
    /// The server's port.
    pub port: u16,
}

/// What a capture holds.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    /// Its connections, by when they began.
    pub conversations: Vec<Conversation>,
    /// Packets that are not TCP.
    pub foreign: u64,
    /// Whether it ends in the middle of a packet.
    pub cut: bool,
}

#[derive(Default)]
struct Direction {
    next: Option<u32>,
    ahead: BTreeMap<u32, (UnixNanos, Vec<u8>)>,
    ahead_bytes: usize,
    /// When it said something last: what came before its turn was heard no earlier than what is before it.
    last_ns: UnixNanos,
}

struct Connection {
    /// The client's end as the remote one.
    tuple: Tuple,
    client: Direction,
    server: Direction,
    conversation: Conversation,
}

/// Reads a capture: pcap or pcapng, of Ethernet, raw IP or Linux's any interface.
pub fn read(path: &Path) -> Result<Capture, LabError> {
    let mut capture = Capture::default();
    let mut connections: Vec<Connection> = vec![];
    let cut = packets(path, |time_ns, link, bytes| {
        let Some(frame) = ethernet(link, bytes) else {
            capture.foreign += 1;
            return;
        };
        match parse(&frame) {
            Ok(segment) => take(&mut connections, time_ns, &frame, &segment),
            Err(_) => capture.foreign += 1,
        }
    })?;
    capture.cut = cut;
    for mut connection in connections {
        for client in [true, false] {
            give_up(&mut connection, client);
        }
        connection.conversation.said.sort_by_key(|said| said.time_ns);
        if !connection.conversation.said.is_empty() {
            capture.conversations.push(connection.conversation);
        }
    }
    Ok(capture)
}

/// Hands out each packet with its time and its link's type. Returns whether the file ends within one.
fn packets(path: &Path, mut see: impl FnMut(UnixNanos, DataLink, &[u8])) -> Result<bool, LabError> {
    let open = || File::open(path).map(BufReader::new).map_err(LabError::io("open", path));
    let wrong = |error: PcapError| LabError::Format {
        path: path.to_owned(),
        what: format!("it is no capture that can be read: {error}"),
    };
    // A file that was cut off in the middle has whole packets before that.
    let is_end = |error: &PcapError| {
        matches!(error, PcapError::IncompleteBuffer)
            || matches!(error, PcapError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof)
    };
    let mut first = [0; 4];
    std::io::Read::read_exact(&mut open()?, &mut first).map_err(LabError::io("read", path))?;
    if first == [0x0A, 0x0D, 0x0D, 0x0A] {
        let mut reader = PcapNgReader::new(open()?).map_err(wrong)?;
        let mut interfaces: Vec<(DataLink, u64, u64)> = vec![];
        loop {
            let block = match reader.next_block() {
                None => return Ok(false),
                Some(Ok(block)) => block,
                Some(Err(error)) if is_end(&error) => return Ok(true),
                Some(Err(error)) => return Err(wrong(error)),
            };
            match block {
                Block::SectionHeader(_) => interfaces.clear(),
                Block::InterfaceDescription(interface) => {
                    let resolution = interface.options.iter().find_map(|option| match option {
                        InterfaceDescriptionOption::IfTsResol(value) => Some(*value),
                        _ => None,
                    });
                    let (times, by) = to_ns(resolution.unwrap_or(6));
                    interfaces.push((interface.linktype, times, by));
                }
                Block::EnhancedPacket(packet) => {
                    let Some((link, times, by)) = interfaces.get(packet.interface_id as usize)
                    else {
                        continue;
                    };
                    // The crate takes the count of units for nanoseconds.
                    let units = packet.timestamp.as_nanos() as u64;
                    see(units.wrapping_mul(*times) / by, *link, &packet.data);
                }
                _ => {}
            }
        }
    }
    let mut reader = PcapReader::new(open()?).map_err(wrong)?;
    let link = reader.header().datalink;
    loop {
        match reader.next_packet() {
            None => return Ok(false),
            Some(Ok(packet)) => see(packet.timestamp.as_nanos() as u64, link, &packet.data),
            Some(Err(error)) if is_end(&error) => return Ok(true),
            Some(Err(error)) => return Err(wrong(error)),
        }
    }
}

/// By what units of an interface's clock are multiplied and divided to be nanoseconds (if_tsresol).
fn to_ns(resolution: u8) -> (u64, u64) {
    match resolution {
        0..=9 => (10u64.pow(9 - u32::from(resolution)), 1),
        10..=18 => (1, 10u64.pow(u32::from(resolution) - 9)),
        _ => (1, 1),
    }
}

/// The packet as a frame of Ethernet.
fn ethernet(link: DataLink, bytes: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
    let framed = |ip: &[u8]| {
        let kind: [u8; 2] = if ip.first()? >> 4 == 6 { [0x86, 0xDD] } else { [0x08, 0x00] };
        Some([&[0; 12], &kind[..], ip].concat().into())
    };
    match link {
        DataLink::ETHERNET => Some(bytes.into()),
        DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => framed(bytes),
        DataLink::LINUX_SLL => framed(bytes.get(16..)?),
        // Cooked, version 2.
        DataLink::Unknown(276) => framed(bytes.get(20..)?),
        DataLink::NULL => framed(bytes.get(4..)?),
        _ => None,
    }
}

fn take(connections: &mut Vec<Connection>, time_ns: UnixNanos, frame: &[u8], segment: &Segment) {
    let Tuple { remote, local } = segment.tuple;
    let turned = Tuple { remote: local, local: remote };
    let opens = segment.has(flags::SYN) && !segment.has(flags::ACK);
    let known =
        |connection: &Connection| connection.tuple == segment.tuple || connection.tuple == turned;
    let at = match connections.iter().rposition(known).filter(|_| !opens) {
        Some(at) => at,
        None => {
            let answers = segment.has(flags::SYN | flags::ACK);
            let from_client = opens || !answers && remote.1 >= local.1;
            let tuple = if from_client { segment.tuple } else { turned };
            connections.push(Connection {
                tuple,
                client: Direction::default(),
                server: Direction::default(),
                conversation: Conversation { port: tuple.local.1, ..Conversation::default() },
            });
            connections.len() - 1
        }
    };
    let connection = &mut connections[at];
    let client = connection.tuple == segment.tuple;
    let Connection { client: up, server: down, conversation, .. } = connection;
    let direction = if client { up } else { down };
    let begins = segment.seq.wrapping_add(u32::from(segment.has(flags::SYN)));
    let next = direction.next.get_or_insert(begins);
    let payload = &frame[segment.payload..segment.end];
    if payload.is_empty() {
        return;
    }
    let late = next.wrapping_sub(begins);
    if (late as i32) < 0 {
        // Something before it is missing so far.
        if direction.ahead_bytes + payload.len() <= AHEAD_MAX {
            direction.ahead_bytes += payload.len();
            direction.ahead.insert(begins, (time_ns, payload.to_vec()));
        }
        return;
    }
    say(direction, conversation, time_ns, client, begins, payload);
    while let Some((seq, (time_ns, bytes))) = in_turn(direction) {
        direction.ahead_bytes -= bytes.len();
        say(direction, conversation, time_ns, client, seq, &bytes);
    }
}

fn in_turn(direction: &mut Direction) -> Option<(u32, (UnixNanos, Vec<u8>))> {
    let next = direction.next?;
    let seq = *direction.ahead.keys().find(|seq| next.wrapping_sub(**seq) as i32 >= 0)?;
    direction.ahead.remove(&seq).map(|held| (seq, held))
}

/// What is new of a segment.
fn say(
    direction: &mut Direction,
    conversation: &mut Conversation,
    time_ns: UnixNanos,
    client: bool,
    seq: u32,
    payload: &[u8],
) {
    let next = direction.next.get_or_insert(seq);
    let again = next.wrapping_sub(seq) as usize;
    if again < payload.len() {
        let bytes = payload[again..].to_vec();
        *next = next.wrapping_add(bytes.len() as u32);
        direction.last_ns = direction.last_ns.max(time_ns);
        conversation.said.push(Said { time_ns: direction.last_ns, client, bytes });
    }
}

/// Goes on behind what the capture does not have.
fn give_up(connection: &mut Connection, client: bool) {
    let Connection { client: up, server: down, conversation, .. } = connection;
    let direction = if client { up } else { down };
    while let Some((seq, (time_ns, bytes))) = direction.ahead.pop_first() {
        let next = direction.next.unwrap_or(seq);
        let gap = seq.wrapping_sub(next);
        if (gap as i32) > 0 {
            conversation.missing += u64::from(gap);
            direction.next = Some(seq);
        }
        say(direction, conversation, time_ns, client, seq, &bytes);
    }
}
