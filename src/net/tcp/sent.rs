//! What is on its way: each piece with the time it left, what the peer said of it, and which of it
//! counts as lost (RFC 8985, RACK; RFC 6675 and 5681 for peers without SACK).

use super::sequence::{ahead, before, later};

/// Pieces on their way at once. More waits, and leaves in larger pieces.
pub(super) const PIECES_MAX: usize = 64;
/// Acknowledgments that say nothing new before a piece counts as lost (RFC 5681, 3.2).
const DUPLICATES_MAX: u32 = 3;
/// Largest multiple of the reordering window (RFC 8985, 6.2, step 4).
const REORDERING_MAX: u32 = 16;

/// A piece of the stream that was sent as one segment.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Piece {
    pub from: u32,
    /// Behind its last number; a FIN counts as one.
    pub to: u32,
    /// Its last number is of a FIN.
    pub fin: bool,
    /// When it was sent last, in microseconds, from zero again after 71 minutes.
    sent_us: u32,
    /// The peer has it.
    arrived: bool,
    /// It counts as lost, and was not sent again since.
    lost: bool,
    /// It was sent more than once.
    again: bool,
    /// Only its beginning was sent again: it is longer than a segment may be by now.
    part: bool,
}

impl Piece {
    pub fn len(&self) -> u32 {
        self.to.wrapping_sub(self.from)
    }

    /// Without the FIN.
    pub fn bytes(&self) -> u32 {
        self.len() - u32::from(self.fin)
    }

    /// Whether it is on its way, as far as can be known.
    fn flies(&self) -> bool {
        !self.arrived && !self.lost
    }
}

/// What an acknowledgment told.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Told {
    /// Bytes that were not known to have arrived.
    pub arrived: u32,
    /// Microseconds that the latest of them took which was sent once only (Karn).
    pub rtt_us: Option<u32>,
}

/// Pieces in the order of their numbers.
pub(super) struct Sent {
    pieces: Box<[Piece; PIECES_MAX]>,
    first: usize,
    len: usize,
    /// Something was told of a piece other than that it came in its turn.
    disturbed: bool,
    /// Of all that arrived, when the one sent last left, and its end (RFC 8985, 5.2).
    latest: Option<(u32, u32)>,
    latest_rtt_us: u32,
    /// The end of the furthest piece that arrived, and whether one before it came later.
    furthest: u32,
    reordered: bool,
    /// Multiple of the reordering window.
    patience: u32,
}

impl Sent {
    /// Bytes that it takes beside its own.
    #[cfg(test)]
    pub const HEAP_BYTES: usize = size_of::<[Piece; PIECES_MAX]>();

    pub fn new() -> Sent {
        Sent {
            pieces: Box::new([Piece::default(); PIECES_MAX]),
            first: 0,
            len: 0,
            disturbed: false,
            latest: None,
            latest_rtt_us: 0,
            furthest: 0,
            reordered: false,
            patience: 1,
        }
    }

    pub fn begin(&mut self, una: u32) {
        (self.first, self.len, self.disturbed) = (0, 0, false);
        (self.latest, self.latest_rtt_us, self.furthest) = (None, 0, una);
        (self.reordered, self.patience) = (false, 1);
    }

    #[inline]
    pub fn is_full(&self) -> bool {
        self.len == PIECES_MAX
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn piece(&mut self, at: usize) -> &mut Piece {
        &mut self.pieces[(self.first + at) % PIECES_MAX]
    }

    fn list(&self) -> impl Iterator<Item = &Piece> {
        (0..self.len).map(|at| &self.pieces[(self.first + at) % PIECES_MAX])
    }

    /// A new piece leaves.
    #[inline]
    pub fn push(&mut self, from: u32, to: u32, fin: bool, now_us: u64) {
        let at = self.len;
        self.len += 1;
        *self.piece(at) = Piece { from, to, fin, sent_us: now_us as u32, ..Piece::default() };
    }

    /// Bytes on their way, as far as can be known.
    #[inline]
    pub fn in_flight(&self) -> u32 {
        if !self.disturbed {
            return match self.len {
                0 => 0,
                len => {
                    let last = &self.pieces[(self.first + len - 1) % PIECES_MAX];
                    last.to.wrapping_sub(self.pieces[self.first].from)
                }
            };
        }
        self.list().filter(|piece| piece.flies()).map(Piece::len).sum()
    }

    /// Everything before `una` arrived.
    #[inline]
    pub fn acknowledged(&mut self, una: u32, least_us: Option<u32>, now_us: u64) -> Told {
        let mut told = Told::default();
        let mut again = false;
        while self.len > 0 {
            let piece = *self.piece(0);
            if ahead(piece.to, una) > 0 {
                if before(piece.from, una) {
                    self.begin_first_with(una);
                }
                break;
            }
            again |= piece.again;
            if !piece.arrived {
                told.arrived += piece.len();
                self.arrived(&piece, least_us, now_us, &mut told);
            }
            self.first = (self.first + 1) % PIECES_MAX;
            self.len -= 1;
        }
        if self.len == 0 {
            self.disturbed = false;
        }
        // What lay behind a hole may have lain there for long.
        if again {
            told.rtt_us = None;
        }
        told
    }

    /// A part of the first arrived.
    #[cold]
    fn begin_first_with(&mut self, una: u32) {
        let piece = self.piece(0);
        piece.from = una;
        // What follows the part that was sent again is as lost as that was.
        if std::mem::take(&mut piece.part) {
            piece.lost = true;
            self.disturbed = true;
        }
    }

    /// What is longer than this does not arrive.
    pub fn lose_longer(&mut self, most: u32) {
        for at in 0..self.len {
            let piece = self.piece(at);
            piece.lost |= !piece.arrived && piece.bytes() > most;
            self.disturbed |= piece.lost;
        }
    }

    /// The peer has what lies between these numbers (RFC 2018, 5).
    pub fn selected(&mut self, from: u32, to: u32, least_us: Option<u32>, now_us: u64) -> Told {
        let mut told = Told::default();
        for at in 0..self.len {
            let piece = *self.piece(at);
            if !piece.arrived && ahead(piece.from, from) >= 0 && ahead(piece.to, to) <= 0 {
                told.arrived += piece.len();
                self.arrived(&piece, least_us, now_us, &mut told);
                let piece = self.piece(at);
                (piece.arrived, piece.lost) = (true, false);
                self.disturbed = true;
            }
        }
        told
    }

    /// RFC 8985, 6.2, steps 1 to 3.
    #[inline]
    fn arrived(&mut self, piece: &Piece, least_us: Option<u32>, now_us: u64, told: &mut Told) {
        let rtt_us = (now_us as u32).wrapping_sub(piece.sent_us);
        if !piece.again {
            told.rtt_us = Some(rtt_us);
            if before(piece.to, self.furthest) {
                self.reordered = true;
            }
        } else if rtt_us < least_us.unwrap_or(0) {
            // Of what was sent again, this is of the first: it says nothing of the second.
            self.furthest = later(self.furthest, piece.to);
            return;
        }
        self.furthest = later(self.furthest, piece.to);
        let later_sent =
            self.latest.is_none_or(|latest| sent_after((piece.sent_us, piece.to), latest));
        if later_sent {
            self.latest = Some((piece.sent_us, piece.to));
            self.latest_rtt_us = rtt_us;
        }
    }

    /// Finds what is lost because something that left later arrived (RFC 8985, 6.2, step 5).
    /// Returns whether there is any, and in how many microseconds there may be more.
    pub fn find_lost(&mut self, window_us: u32, now_us: u64) -> (bool, Option<u32>) {
        let Some(latest) = self.latest else { return (false, None) };
        let (mut found, mut wait) = (false, None);
        let patience_us = self.latest_rtt_us.saturating_add(window_us);
        for at in 0..self.len {
            let piece = self.piece(at);
            if !piece.flies() || !sent_after(latest, (piece.sent_us, piece.to)) {
                continue;
            }
            let waited = (now_us as u32).wrapping_sub(piece.sent_us);
            if waited >= patience_us {
                piece.lost = true;
                found = true;
            } else {
                let left = patience_us - waited;
                wait = Some(wait.map_or(left, |wait: u32| wait.max(left)));
            }
        }
        self.disturbed |= found;
        (found, wait)
    }

    /// How long a piece may be overtaken without counting as lost (RFC 8985, 6.2, step 4).
    pub fn reordering_us(&self, least_us: u32, smoothed_us: u32, in_recovery: bool) -> u32 {
        let arrived = self.list().filter(|piece| piece.arrived).count() as u32;
        if !self.reordered && (in_recovery || arrived >= DUPLICATES_MAX) {
            return 0;
        }
        (self.patience * (least_us / 4)).min(smoothed_us)
    }

    /// Something was sent again that the peer had: it only came late.
    pub fn be_patient(&mut self) {
        self.patience = (self.patience + 1).min(REORDERING_MAX);
    }

    /// The first that the peer lacks counts as lost (RFC 6582, for peers without SACK).
    pub fn lose_first(&mut self) {
        if self.len > 0 {
            self.piece(0).lost = true;
            self.disturbed = true;
        }
    }

    /// All of it counts as lost, also what the peer said it had: it may have dropped it (RFC 2018,
    /// 8).
    pub fn lose_all(&mut self) {
        for at in 0..self.len {
            let piece = self.piece(at);
            (piece.lost, piece.arrived) = (true, false);
        }
        self.disturbed = self.len > 0;
        // What tells of the times before the time-out tells nothing of what is sent now.
        self.latest = None;
    }

    /// The first that counts as lost leaves again, as much of it as fits a segment of `most` bytes, if
    /// that is no longer than `room`.
    pub fn take_lost(&mut self, room: u32, most: u32, now_us: u64) -> Option<Piece> {
        if !self.disturbed {
            return None;
        }
        let at = (0..self.len).find(|at| self.pieces[(self.first + at) % PIECES_MAX].lost)?;
        (self.piece(at).len().min(most) <= room).then(|| self.send_again(at, most, now_us))
    }

    /// The last leaves again, to find out what became of it (RFC 8985, 7.3).
    pub fn take_last(&mut self, most: u32, now_us: u64) -> Option<Piece> {
        let at = self.len.checked_sub(1)?;
        Some(self.send_again(at, most, now_us))
    }

    fn send_again(&mut self, at: usize, most: u32, now_us: u64) -> Piece {
        let piece = self.piece(at);
        (piece.lost, piece.again) = (false, true);
        piece.sent_us = now_us as u32;
        piece.part = piece.bytes() > most;
        match piece.part {
            true => Piece { to: piece.from.wrapping_add(most), fin: false, ..*piece },
            false => *piece,
        }
    }

    /// Whether anything counts as lost that was not sent again.
    pub fn has_lost(&self) -> bool {
        self.disturbed && self.list().any(|piece| piece.lost)
    }

    /// Acknowledgments that say nothing new before the first piece counts as lost: fewer where
    /// fewer can come (RFC 5827).
    pub fn duplicates_max(&self) -> u32 {
        (self.len as u32).saturating_sub(1).clamp(1, DUPLICATES_MAX)
    }
}

/// Whether one left after another (RFC 8985, 5.1): of those that left in one turn, the one further
/// on in the stream.
fn sent_after(one: (u32, u32), other: (u32, u32)) -> bool {
    match ahead(one.0, other.0) {
        0 => ahead(one.1, other.1) > 0,
        difference => difference > 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Option<u32> = Some(1000);

    /// Ten pieces of 100 bytes, a millisecond apart, the first at 0.
    fn ten() -> Sent {
        let mut sent = Sent::new();
        sent.begin(0);
        for n in 0..10 {
            sent.push(n * 100, n * 100 + 100, false, u64::from(n) * 1000);
        }
        sent
    }

    #[test]
    fn rfc_8985_6_2_what_left_before_something_that_arrived_is_lost_after_a_quarter_of_a_round_trip()
     {
        let mut sent = ten();
        assert_eq!(sent.selected(300, 400, LEAST, 13_000).rtt_us, Some(10_000));
        let window = sent.reordering_us(1000, 10_000, false);
        assert_eq!(window, 250);
        // 0, 100 and 200 left before 300, and have waited long enough.
        assert_eq!(sent.find_lost(window, 13_000), (true, None));
        let lost: Vec<u32> =
            std::iter::from_fn(|| sent.take_lost(u32::MAX, 100, 13_000)).map(|p| p.from).collect();
        assert_eq!(lost, [0, 100, 200]);
        assert_eq!(sent.in_flight(), 900, "sent again, and on its way");
    }

    #[test]
    fn rfc_8985_6_2_what_left_at_nearly_the_same_time_is_given_time() {
        let mut sent = Sent::new();
        sent.begin(0);
        sent.push(0, 100, false, 0);
        sent.push(100, 200, false, 0);
        sent.selected(100, 200, LEAST, 1000);
        assert_eq!(sent.find_lost(250, 1000), (false, Some(250)));
        assert_eq!(sent.find_lost(250, 1250), (true, None));
    }

    #[test]
    fn rfc_8985_6_2_an_answer_too_fast_to_be_of_the_second_sending_says_nothing_of_it() {
        let mut sent = ten();
        sent.lose_first();
        sent.take_lost(u32::MAX, 100, 20_000).unwrap();
        let told = sent.acknowledged(100, LEAST, 20_100);
        assert_eq!((told.arrived, told.rtt_us), (100, None), "Karn");
        assert_eq!(sent.find_lost(0, 20_100), (false, None));
    }

    #[test]
    fn rfc_8985_6_2_reordering_that_was_seen_is_allowed_for() {
        let mut sent = ten();
        for n in [5, 6, 7, 1] {
            sent.selected(n * 100, n * 100 + 100, LEAST, 12_000);
        }
        assert_eq!(sent.reordering_us(1000, 8000, true), 250, "not zero, although in recovery");
        sent.be_patient();
        assert_eq!(sent.reordering_us(1000, 8000, true), 500);
        assert_eq!(sent.reordering_us(1000, 300, true), 300, "a round trip at most");
    }

    #[test]
    fn rfc_2018_8_a_timeout_forgets_what_was_selected() {
        let mut sent = ten();
        sent.selected(500, 600, LEAST, 12_000);
        sent.lose_all();
        assert_eq!(sent.in_flight(), 0);
        let again: Vec<u32> =
            std::iter::from_fn(|| sent.take_lost(u32::MAX, 100, 50_000)).map(|p| p.from).collect();
        assert_eq!(again.len(), 10);
    }

    #[test]
    fn half_a_piece_acknowledged_is_half_a_piece_left() {
        let mut sent = ten();
        let told = sent.acknowledged(150, LEAST, 12_000);
        assert_eq!((told.arrived, sent.in_flight()), (100, 850));
        sent.lose_first();
        let piece = sent.take_lost(u32::MAX, 100, 13_000).unwrap();
        assert_eq!((piece.from, piece.to), (150, 200));
    }

    #[test]
    fn numbers_begin_again_at_zero() {
        let mut sent = Sent::new();
        let begin = u32::MAX - 150;
        sent.begin(begin);
        for n in 0..3 {
            let from = begin.wrapping_add(n * 100);
            sent.push(from, from.wrapping_add(100), false, u64::from(n));
        }
        assert_eq!(sent.in_flight(), 300);
        sent.selected(begin.wrapping_add(200), begin.wrapping_add(300), LEAST, 5_000);
        assert!(sent.find_lost(0, 5_000).0);
        assert_eq!(sent.acknowledged(begin.wrapping_add(300), LEAST, 6_000).arrived, 200);
        assert!(sent.is_empty());
    }

    #[test]
    fn rfc_1191_6_3_what_is_too_long_leaves_again_part_by_part() {
        let mut sent = Sent::new();
        sent.begin(0);
        sent.push(0, 1001, true, 0);
        sent.push(1001, 1041, false, 0);
        sent.lose_longer(400);
        let mut parts = vec![];
        while let Some(part) = sent.take_lost(u32::MAX, 400, 1_000) {
            assert_eq!(sent.take_lost(u32::MAX, 400, 1_000).map(|_| ()), None, "one at a time");
            parts.push((part.from, part.bytes(), part.fin));
            sent.acknowledged(part.to, LEAST, 2_000);
        }
        assert_eq!(parts, [(0, 400, false), (400, 400, false), (800, 200, true)]);
        assert_eq!(sent.in_flight(), 40, "what is short enough was not lost");
    }
}
