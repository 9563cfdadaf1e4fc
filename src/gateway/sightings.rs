//! What somebody who looks from outside sees of the connections.
//!
//! Each connection has a place on a [`Board`]; it is written while somebody looks, and costs nothing
//! while nobody does.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::net::Look;
use crate::net::packet::mapped;
use crate::order::UnixNanos;
use crate::runtime::Board;
use crate::runtime::board::WORDS;

/// Bytes of a user's name that are shown.
const NAME_BYTES: usize = 32;

/// A connection, as it is written on the board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting<S> {
    /// When it was written.
    pub written_ns: UnixNanos,
    /// When the connection was opened.
    pub opened_ns: UnixNanos,
    /// Who is logged in; empty as long as nobody is.
    pub user: S,
    /// What is spoken.
    pub protocol: S,
    /// Where the peer is, without a port if only that is known.
    pub peer: IpAddr,
    /// What TCP says, if it can be asked.
    pub tcp: Option<Look>,
}

fn text_words<const N: usize>(text: &str) -> [u64; N] {
    let mut bytes = [0; NAME_BYTES];
    let shown = text.len().min(N * 8);
    bytes[..shown].copy_from_slice(&text.as_bytes()[..shown]);
    std::array::from_fn(|n| {
        u64::from_le_bytes(bytes[8 * n..8 * n + 8].try_into().expect("eight bytes"))
    })
}

fn text(words: &[u64]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn pair(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

impl<S: AsRef<str>> Sighting<S> {
    /// As the words of a place.
    pub fn words(&self) -> [u64; WORDS] {
        let mut words = [0; WORDS];
        words[0] = self.written_ns;
        words[1] = self.opened_ns;
        words[2..6].copy_from_slice(&text_words::<4>(self.user.as_ref()));
        words[6..7].copy_from_slice(&text_words::<1>(self.protocol.as_ref()));
        let address = mapped(self.peer);
        (words[7], words[8]) = ((address.to_bits() >> 64) as u64, address.to_bits() as u64);
        if let Some(tcp) = &self.tcp {
            words[9] = 1 | u64::from(tcp.state) << 8 | u64::from(tcp.peer.port()) << 16;
            words[10] = pair(tcp.rtt_us, tcp.rto_us);
            words[11] = pair(tcp.window_out, tcp.congestion);
            words[12] = pair(tcp.window_in, tcp.in_flight);
            words[13] = pair(tcp.unsent, tcp.again);
            (words[14], words[15]) = (tcp.bytes_out, tcp.bytes_in);
            words[16] = tcp.timeouts.into();
        }
        words
    }
}

impl Sighting<String> {
    /// What the words of a place say.
    pub fn read(words: &[u64; WORDS]) -> Sighting<String> {
        let bits = u128::from(words[7]) << 64 | u128::from(words[8]);
        let peer = Ipv6Addr::from_bits(bits).to_canonical();
        let (low, high) = (|n: usize| words[n] as u32, |n: usize| (words[n] >> 32) as u32);
        let tcp = (words[9] & 1 != 0).then(|| Look {
            peer: SocketAddr::new(peer, (words[9] >> 16) as u16),
            state: (words[9] >> 8) as u8,
            rtt_us: low(10),
            rto_us: high(10),
            window_out: low(11),
            congestion: high(11),
            window_in: low(12),
            in_flight: high(12),
            unsent: low(13),
            again: high(13),
            bytes_out: words[14],
            bytes_in: words[15],
            timeouts: low(16),
        });
        Sighting {
            written_ns: words[0],
            opened_ns: words[1],
            user: text(&words[2..6]),
            protocol: text(&words[6..7]),
            peer,
            tcp,
        }
    }
}

/// One gateway's share of the board.
pub struct Sightings {
    board: Option<Board>,
    /// The gateway's number, and the place of its first connection.
    writer: usize,
    first: usize,
    /// Somebody looked when this round began.
    watched: bool,
    began_ns: UnixNanos,
}

impl Sightings {
    /// The share of a gateway whose connections have the places from `first` on.
    pub fn new(board: Board, writer: usize, first: usize) -> Sightings {
        Sightings { board: Some(board), writer, first, watched: false, began_ns: 0 }
    }

    /// No share: nobody looks.
    pub fn nowhere() -> Sightings {
        Sightings { board: None, writer: 0, first: 0, watched: false, began_ns: 0 }
    }

    /// Another round through all connections begins; the one before is over.
    pub fn begin_round(&mut self, now_ns: UnixNanos) {
        let Some(board) = &self.board else { return };
        if self.watched {
            board.finish_round(self.writer, self.began_ns);
        }
        (self.watched, self.began_ns) = (board.is_watched(now_ns), now_ns);
    }

    /// Whether sightings are wanted.
    #[inline]
    pub fn are_wanted(&self) -> bool {
        self.watched
    }

    /// Writes one.
    pub fn write(&self, connection: usize, sighting: &Sighting<&str>) {
        if let Some(board) = &self.board {
            board.write(self.first + connection, &sighting.words());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let tcp = Look {
            peer: "10.9.0.2:40000".parse().unwrap(),
            state: 8,
            rtt_us: 1,
            rto_us: 2,
            window_out: 3,
            congestion: 4,
            window_in: 5,
            in_flight: 6,
            unsent: 7,
            bytes_out: u64::MAX,
            bytes_in: 9,
            again: 10,
            timeouts: 11,
        };
        let sighting = Sighting {
            written_ns: 1,
            opened_ns: 2,
            user: "TRADE1".to_owned(),
            protocol: "ouch5".to_owned(),
            peer: tcp.peer.ip(),
            tcp: Some(tcp),
        };
        assert_eq!(Sighting::read(&sighting.words()), sighting);
        let other = Sighting { tcp: None, peer: "::5".parse().unwrap(), ..sighting };
        assert_eq!(Sighting::read(&other.words()), other);
    }
}
