//! How the tables of a version are made: which fields a message type or a group's entry has, found by
//! their tags in tables that are made when this is compiled.

/// How a value is written.
#[derive(Clone, Copy)]
pub enum Kind {
    /// String, and what is compared as one.
    Text,
    /// char.
    Character,
    /// One of these characters.
    One(&'static [u8]),
    /// Characters of these, with a space between (MultipleValueString).
    Several(&'static [u8]),
    /// SeqNum, Length, and ints that are never negative.
    Number,
    /// int.
    Integer,
    /// Qty, Price, Amt, Percentage: a decimal number.
    Decimal,
    Boolean,
    Timestamp,
    Date,
    /// NumInGroup.
    Group(&'static Layout),
}

/// Fields of one kind.
pub struct Rules {
    pub kind: Kind,
    tags: &'static [u16],
    required: bool,
}

pub const fn may(kind: Kind, tags: &'static [u16]) -> Rules {
    Rules { kind, tags, required: false }
}

pub const fn must(kind: Kind, tags: &'static [u16]) -> Rules {
    Rules { kind, tags, required: true }
}

/// A repeating group behind the field with its count.
pub const fn group(count: &'static [u16], entry: &'static Layout) -> Rules {
    may(Kind::Group(entry), count)
}

/// Tags below this are looked up.
const TAGS: usize = 1024;
/// Fields of one layout.
const PLACES_MAX: usize = 192;
/// Lines of one layout.
const RULES_MAX: usize = 64;

/// Places of fields that were seen.
#[derive(Clone, Copy, Default)]
pub struct Seen([u64; PLACES_MAX / 64]);

impl Seen {
    /// Adds a place. False if it was there.
    #[inline]
    pub fn add(&mut self, place: usize) -> bool {
        let word = &mut self.0[place / 64];
        let bit = 1 << (place % 64);
        std::mem::replace(word, *word | bit) & bit == 0
    }
}

/// A message type, a header, or a group's entry: its first field begins each entry.
pub struct Layout {
    /// For each tag its place and one, 0 where there is none.
    places: [u8; TAGS],
    tags: [u16; PLACES_MAX],
    /// For each place its line.
    lines: [u8; PLACES_MAX],
    rules: [&'static Rules; RULES_MAX],
    required: Seen,
}

/// Puts a layout together.
pub const fn layout(parts: &[&'static [Rules]]) -> Layout {
    static NONE: Rules = may(Kind::Text, &[]);
    let mut layout = Layout {
        places: [0; TAGS],
        tags: [0; PLACES_MAX],
        lines: [0; PLACES_MAX],
        rules: [&NONE; RULES_MAX],
        required: Seen([0; PLACES_MAX / 64]),
    };
    let (mut line, mut place) = (0, 0);
    let mut part = 0;
    while part < parts.len() {
        let mut at = 0;
        while at < parts[part].len() {
            let rules = &parts[part][at];
            layout.rules[line] = rules;
            let mut nth = 0;
            while nth < rules.tags.len() {
                let tag = rules.tags[nth];
                assert!(layout.places[tag as usize] == 0, "a field stands there once");
                layout.tags[place] = tag;
                layout.lines[place] = line as u8;
                if rules.required {
                    layout.required.0[place / 64] |= 1 << (place % 64);
                }
                place += 1;
                layout.places[tag as usize] = place as u8;
                nth += 1;
            }
            line += 1;
            at += 1;
        }
        part += 1;
    }
    layout
}

impl Layout {
    /// The place of a field, and how it is written.
    #[inline]
    pub fn find(&'static self, tag: u32) -> Option<(usize, Kind)> {
        let place = usize::from(*self.places.get(tag as usize)?).checked_sub(1)?;
        Some((place, self.rules[usize::from(self.lines[place])].kind))
    }

    /// The first required field that was not seen.
    #[inline]
    pub fn missing(&self, seen: &Seen) -> Option<u32> {
        for (word, (required, seen)) in self.required.0.iter().zip(&seen.0).enumerate() {
            let missing = required & !seen;
            if missing != 0 {
                return Some(self.tags[word * 64 + missing.trailing_zeros() as usize].into());
            }
        }
        None
    }

    /// The field that begins a group's entry.
    pub fn first(&self) -> u32 {
        self.tags[0].into()
    }

    /// Every field, and whether it is required.
    #[cfg(test)]
    pub fn fields(&'static self) -> impl Iterator<Item = (u32, Kind, bool)> {
        let count = self.places.iter().filter(|place| **place != 0).count();
        self.tags[..count].iter().map(|tag| {
            let (place, kind) = self.find((*tag).into()).expect("its own");
            ((*tag).into(), kind, self.required.0[place / 64] >> (place % 64) & 1 == 1)
        })
    }
}
