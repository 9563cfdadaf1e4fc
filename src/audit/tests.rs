//! What goes in comes out, whatever it is.

use proptest::prelude::*;

use super::*;
use crate::order::UserId;
use crate::ring;
use crate::runtime::Counters;

/// 2026-07-01, 12:04:05.
const NOON_NS: u64 = 1_782_907_445_000_000_000;

struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new() -> Scratch {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("millrace-audit-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn all(dir: &std::path::Path) -> Vec<Entry> {
    let mut entries = vec![];
    for file in files(dir).unwrap() {
        read(&file, |entry| entries.push(entry.clone())).unwrap();
    }
    entries
}

fn pair(scratch: &Scratch, slots: usize, overload: Overload, bytes_max: u64) -> (Tap, Writer) {
    let (tx, rx) = ring::on_heap(slots, Slot::EMPTY);
    let names = vec![("ALICE".to_owned(), "ouch5"), ("CLIENT1".to_owned(), "fix44")];
    let counters = ["dropped", "written", "lost"].map(String::from);
    let counters = Counters::create(&scratch.0.join("counters"), &counters).unwrap();
    let counter = |name| counters.get(name);
    let tap = Tap::new(Some(tx), overload, counter("dropped"));
    let (written, lost) = (counter("written"), counter("lost"));
    let writer = Writer::new(&scratch.0, bytes_max, vec![rx], names, written, lost);
    (tap, writer.unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn every_message_comes_back_as_it_was(
        messages in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..600), any::<bool>(), 0u16..4), 1..60),
        bytes_max in 200u64..20_000,
    ) {
        let scratch = Scratch::new();
        let (mut tap, mut writer) = pair(&scratch, 1024, Overload::Block, bytes_max);
        for (at, (message, out, user)) in messages.iter().enumerate() {
            let direction = if *out { Direction::Out } else { Direction::In };
            let user = (*user < 3).then_some(UserId(*user));
            tap.put(direction, user, NOON_NS + at as u64, message);
            tap.publish();
            writer.take();
        }
        writer.finish();
        let entries = all(&scratch.0);
        prop_assert_eq!(entries.len(), messages.len());
        for (at, (entry, (message, out, user))) in entries.iter().zip(&messages).enumerate() {
            prop_assert_eq!(&entry.message, message);
            prop_assert_eq!(&entry.direction, if *out { "out" } else { "in" });
            let name = ["ALICE", "CLIENT1"].get(usize::from(*user)).unwrap_or(&"-");
            prop_assert_eq!(&entry.session, name);
            let time = format!("2026-07-01T12:04:05.{at:09}Z");
            prop_assert_eq!(&entry.time, &time);
        }
        // What is closed is compressed.
        let compressed = files(&scratch.0).unwrap();
        prop_assert!(compressed.iter().all(|file| file.extension().unwrap() == "zst"));
    }
}

#[test]
fn a_day_has_its_own_file() {
    let scratch = Scratch::new();
    let (mut tap, mut writer) = pair(&scratch, 64, Overload::Block, 1 << 20);
    for day in 0..3u64 {
        tap.put(Direction::In, None, NOON_NS + day * 86_400_000_000_000, b"x");
        tap.publish();
        writer.take();
    }
    writer.finish();
    let name = |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let names: Vec<String> = files(&scratch.0).unwrap().iter().map(name).collect();
    let days = ["20260701", "20260702", "20260703"];
    assert_eq!(names, days.map(|day| format!("audit-{day}-0001.log.zst")));
}

#[test]
fn a_writer_that_does_not_keep_up_costs_messages_or_time_as_chosen() {
    let scratch = Scratch::new();
    let (mut tap, writer) = pair(&scratch, 16, Overload::DropAndCount, 1 << 20);
    for _ in 0..20 {
        assert!(tap.may_send());
        tap.put(Direction::Out, None, NOON_NS, b"x");
    }
    tap.publish();
    writer.finish();
    assert_eq!(all(&scratch.0).len(), 16);

    let scratch = Scratch::new();
    let (mut tap, mut writer) = pair(&scratch, 16, Overload::Block, 1 << 20);
    let mut sent = 0;
    while tap.may_send() {
        tap.put(Direction::Out, None, NOON_NS, b"x");
        sent += 1;
    }
    tap.publish();
    writer.take();
    assert!(tap.may_send() && tap.room() == 16, "it goes on once there is room");
    writer.finish();
    assert_eq!(all(&scratch.0).len(), sent);
}

#[test]
fn what_a_dead_writer_left_is_read_and_compressed() {
    let scratch = Scratch::new();
    let (mut tap, mut writer) = pair(&scratch, 64, Overload::Block, 1 << 20);
    tap.put(Direction::In, Some(UserId(1)), NOON_NS, b"first");
    tap.put(Direction::In, Some(UserId(1)), NOON_NS, b"second");
    tap.publish();
    writer.take();
    drop(writer);
    let left = files(&scratch.0).unwrap();
    assert_eq!(left.len(), 1);
    // Torn in the middle of the second.
    let bytes = std::fs::read(&left[0]).unwrap();
    std::fs::write(&left[0], &bytes[..bytes.len() - 3]).unwrap();
    assert_eq!(all(&scratch.0).len(), 1);
    let (mut tap, mut writer) = pair(&scratch, 64, Overload::Block, 1 << 20);
    tap.put(Direction::In, Some(UserId(1)), NOON_NS, b"third");
    tap.publish();
    writer.take();
    writer.finish();
    let messages: Vec<Vec<u8>> = all(&scratch.0).into_iter().map(|entry| entry.message).collect();
    assert_eq!(messages, [b"first".to_vec(), b"third".to_vec()]);
}
