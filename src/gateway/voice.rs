//! How a user is told what happens, by what it speaks.

use crate::order::{Event, UserId};
use crate::session::stream::Stream;
use crate::wire::Protocol;
use crate::wire::ouch::outbound::Buffer;
use crate::wire::soupbin::HEADER_BYTES;

use super::symbols::Names;
use super::{fix, ouch5, ouch42, watchers};

/// Room for one message.
#[derive(Default)]
pub struct Page {
    ouch: Buffer,
    fix: Vec<u8>,
}

/// What a venue is told of who calls.
#[derive(Clone, Default)]
pub struct Secret {
    /// Who it is.
    pub username: String,
    /// That it is.
    pub password: String,
}

/// Turns a user's events into its messages. What one depends on came with earlier events only, so a
/// replay of the journal says the same again.
pub enum Voice {
    /// OUCH 5.0 needs to remember nothing.
    Ouch5,
    /// OUCH 4.2 remembers tokens.
    Ouch42(Box<ouch42::Voice>),
    /// FIX remembers orders and numbers.
    Fix(Box<fix::Voice>),
    /// OUCH 5.0 to a venue: remembers which number is which order's.
    OuchVenue(Box<ouch5::VenueVoice>),
    /// A drop copy in OUCH 5.0 needs to remember nothing either.
    Copy,
}

impl Voice {
    /// The voice of a user who speaks `protocol`, with its CompIDs if that is FIX.
    pub fn new(protocol: Protocol, own: &str, peer: &str) -> Voice {
        match protocol {
            Protocol::Ouch50 => Voice::Ouch5,
            Protocol::Ouch42 => Voice::Ouch42(Box::default()),
            Protocol::DropCopy => Voice::Copy,
            Protocol::Glimpse => unreachable!("nobody speaks it for good"),
            Protocol::Fix(version) => {
                let (own, peer) = (own.as_bytes().to_vec(), peer.as_bytes().to_vec());
                Voice::Fix(Box::new(fix::Voice::new(fix::Ends { version, own, peer })))
            }
        }
    }

    /// How a venue is told what is wanted of it.
    pub fn to_venue(protocol: Protocol, own: &str, peer: &str, secret: Secret) -> Voice {
        match protocol {
            Protocol::Fix(version) => {
                let (own, peer) = (own.as_bytes().to_vec(), peer.as_bytes().to_vec());
                let ends = fix::Ends { version, own, peer };
                Voice::Fix(Box::new(fix::Voice::to_venue(ends, secret)))
            }
            _ => Voice::OuchVenue(Box::new(ouch5::VenueVoice::new(secret))),
        }
    }

    /// The message that tells an event, as it goes on the wire; empty if there is nothing to tell.
    #[inline]
    pub fn encode<'a>(&mut self, event: &Event, names: &Names, page: &'a mut Page) -> &'a [u8] {
        match self {
            Voice::Ouch5 if ouch5::encode(event, names, &mut page.ouch) => page.ouch.packet(),
            Voice::Ouch5 => &[],
            Voice::Copy if watchers::encode(event, names, &mut page.ouch) => page.ouch.packet(),
            Voice::Copy => &[],
            Voice::Ouch42(voice) => match voice.encode(event, names, &mut page.ouch) {
                true => page.ouch.packet(),
                false => &[],
            },
            Voice::OuchVenue(voice) => match voice.encode(event, names, &mut page.ouch) {
                true => page.ouch.client_packet(),
                false => &[],
            },
            Voice::Fix(voice) => {
                page.fix.clear();
                voice.encode(event, names, &mut page.fix);
                &page.fix
            }
        }
    }

    /// The message in a packet, without what SoupBinTCP puts in front.
    pub fn message_of<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        match self {
            Voice::Fix(_) => packet,
            _ => &packet[HEADER_BYTES..],
        }
    }

    /// From here on the user watches others, or does not.
    pub fn watch(&mut self, own: UserId, watches: bool) {
        if let Voice::Fix(voice) = self {
            voice.watch(own, watches);
        }
    }

    /// Remembers what trades were called, in case one is undone.
    pub fn remember_trades(&mut self, remembers: bool) {
        if let Voice::Fix(voice) = self {
            voice.remembers_trades = remembers;
        }
    }

    /// What a FIX session is told by.
    pub(super) fn fix(&mut self) -> Option<&mut fix::Voice> {
        match self {
            Voice::Fix(voice) => Some(voice),
            _ => None,
        }
    }
}

/// A user's outbound side: what it was told, and how it is told more. It is at one gateway at a time.
pub struct Outbound {
    /// What it was told.
    pub stream: Stream,
    /// How it is told.
    pub voice: Voice,
    pub(super) progress: fix::Progress,
}

impl Outbound {
    /// A stream and its voice, as a journal left them.
    pub fn new(stream: Stream, mut voice: Voice) -> Outbound {
        let next_in = match &voice {
            Voice::OuchVenue(voice) => voice.next_in(),
            _ => voice.fix().map_or(1, |voice| voice.next_in()),
        };
        Outbound { stream, voice, progress: fix::Progress { next_in, ..Default::default() } }
    }

    /// MsgSeqNum expected next of a user who speaks FIX.
    pub fn next_in(&mut self) -> u64 {
        self.voice.fix().map_or(0, |voice| voice.next_in())
    }
}
