//! What was measured, as a person reads it.

use super::harness::{Figures, median};
use super::{BATCH, READERS, SIZES, Way};

/// What the note on shared memory measured: its ring's writes of four bytes a second.
const NOTE_PER_SECOND: f64 = 40e6;
/// How much further apart the cores may seem than they once did.
const STEADY: f64 = 1.5;

/// The ring and the mailbox, one right after the other.
pub struct Together {
    pub mailbox: f64,
    pub inside: Figures,
    pub across: Figures,
}

/// Everything, of each run.
#[derive(Default)]
pub struct Results {
    pub lines: Vec<f64>,
    pub mailboxes: Vec<f64>,
    pub figures: [[Vec<Figures>; SIZES.len()]; Way::ALL.len()],
    pub together: Vec<Together>,
    pub heard: Vec<[f64; READERS.len()]>,
}

impl Results {
    fn of(&self, way: usize, size: usize, what: fn(&Figures) -> f64) -> f64 {
        median(self.figures[way][size].iter().map(what).collect())
    }

    fn heard(&self, at: usize) -> f64 {
        median(self.heard.iter().map(|run| run[at]).collect())
    }

    fn ratio(&self, ratio: fn(&Together) -> f64) -> String {
        if self.together.is_empty() {
            return "     -".to_owned();
        }
        format!("{:>6.2}", median(self.together.iter().map(ratio).collect()))
    }

    pub fn print(&self) {
        let runs = self.mailboxes.len();
        let heads: String = SIZES.iter().map(|bytes| format!("{bytes:>9} B")).collect();
        let rows = |what: &dyn Fn(usize, usize) -> f64| {
            for (at, way) in Way::ALL.iter().enumerate() {
                let row: String =
                    (0..SIZES.len()).map(|size| format!("{:>11.1}", what(at, size))).collect();
                println!("  {:<28}{row}", way.name());
            }
        };
        println!("There and back, ns, medians of {runs} runs in turn");
        println!("  {:<28}{heads}", "");
        println!("  {:<28}{:>11.1}", "a cache line, bounced", median(self.lines.clone()));
        println!("  {:<28}{:>11.1}", "a mailbox each way", median(self.mailboxes.clone()));
        rows(&|way, size| self.of(way, size, |figures| figures.trip_ns));
        println!("A stream, million records a second, {BATCH} published at once");
        println!("  {:<28}{heads}", "");
        println!("  {:<28}{:>11.1}   (145 MB/s)", "the note's ring", NOTE_PER_SECOND / 1e6);
        rows(&|way, size| 1e3 / self.of(way, size, |figures| figures.stream_ns));
        println!("Broadcasting 56 bytes beside other work, ns a record for the writer");
        for (at, readers) in READERS.iter().enumerate() {
            println!("  {:<28}{:>11.1}", readers.name, self.heard(at));
        }
        self.print_marks();
        let boxes = self.mailboxes.iter().chain(self.together.iter().map(|t| &t.mailbox));
        let (nearest, farthest) =
            boxes.fold((f64::MAX, 0.0f64), |(low, high), ns| (low.min(*ns), high.max(*ns)));
        if farthest > STEADY * nearest {
            println!(
                "The cores were not always as far from each other: a mailbox took {nearest:.0} to \
                 {farthest:.0} ns. The marks compare what was measured together."
            );
        }
    }

    fn print_marks(&self) {
        let mark =
            |what: &str, value: String, mark: &str| println!("  {what:<38}{value}  ({mark})");
        let number = |value: f64| format!("{value:>6.2}");
        println!("Marks, of 56 bytes, which fill a line with the ring's word");
        let trip = self.ratio(|t| t.inside.trip_ns / t.mailbox);
        mark("there and back / mailbox", trip, "1.10, goal 1.03");
        let trips = self.ratio(|t| t.across.trip_ns / t.inside.trip_ns);
        mark("two processes / one, there and back", trips, "1.10");
        let streams = self.ratio(|t| t.across.stream_ns / t.inside.stream_ns);
        mark("two processes / one, stream", streams, "1.10");
        let across = Way::ALL.iter().position(|way| *way == Way::Across).expect("one of all");
        let note = 1e9 / self.of(across, 0, |figures| figures.stream_ns) / NOTE_PER_SECOND;
        mark("two processes, 4 bytes / the note's", number(note), "at least 3");
        let (alone, pausing, eight) = (self.heard(0), self.heard(2), self.heard(3));
        mark("broadcast, one that pauses / nobody", number(pausing / alone), "1.00");
        mark("broadcast, eight / nobody", number(eight / alone), "1.10");
    }
}
