//! Ends that come, go, and are refused. What happens when their processes die is in `tests/rings`.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};

use proptest::prelude::*;

use super::*;
use crate::ring::broadcast::{From, Lost};

/// A directory of a test's own, gone with it.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let dir = std::env::temp_dir().join(format!("millrace-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Dir(dir)
    }

    fn place(&self) -> Place {
        Place::new(&self.0, "ring").unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const TERMS: Terms = Terms { capacity: 8, mode: 0o640, group: None };

fn said<T>(outcome: Result<T, RegionError>) -> String {
    outcome.err().expect("it is refused").to_string()
}

/// Puts a number into a file.
fn scribble(path: &Path, at: u64, value: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&value.to_ne_bytes(), at).unwrap();
}

#[test]
fn a_name_is_a_name() {
    for name in ["ticks", "A-1_b.c", &"x".repeat(64)] {
        assert!(Place::new(Place::DIR, name).is_ok(), "{name}");
    }
    for name in ["", "a/b", "..", ".hidden", "a b", "é", &"x".repeat(65)] {
        let said = said(Place::new(Place::DIR, name));
        assert!(said.contains("a ring's name is") && said.contains(&format!("{name:?}")), "{said}");
    }
}

#[test]
fn what_one_end_publishes_the_other_reads_and_both_can_come_again() {
    let dir = Dir::new("come-again");
    let mut next = 0u64;
    for round in 1..=5 {
        let mut tx = send::<u64>(&dir.place(), &TERMS).unwrap();
        let mut rx = receive::<u64>(&dir.place(), Start::Onward).unwrap();
        assert_eq!((tx.index(), rx.index()), (next, next));
        for n in next..next + 5 {
            assert!(tx.push(&n));
        }
        assert!(tx.stage(&999), "what was never published is lost with its writer");
        assert_eq!(rx.pop().unwrap(), Some(next));
        drop(tx);
        assert!(!rx.writer_lives());
        drop(rx);
        let mut rx = receive::<u64>(&dir.place(), Start::Onward).unwrap();
        assert_eq!(rx.writer().epoch, round);
        let mut seen = vec![];
        while rx.pop_batch(3, |n| seen.push(*n)).unwrap() > 0 {}
        assert_eq!(seen, (next + 1..next + 5).collect::<Vec<_>>());
        next += 5;
    }
}

#[test]
fn a_reader_may_start_at_the_newest() {
    let dir = Dir::new("newest");
    let mut tx = send::<u64>(&dir.place(), &TERMS).unwrap();
    assert_eq!(tx.push_slice(&[1; 20]), 8);
    let mut rx = receive::<u64>(&dir.place(), Start::Newest).unwrap();
    assert_eq!((rx.pop().unwrap(), rx.index(), tx.free()), (None, 8, 8));
    assert!(tx.push(&9));
    assert_eq!(rx.pop().unwrap(), Some(9));
}

#[test]
fn each_end_is_one_process_s() {
    let dir = Dir::new("taken");
    let tx = send::<u64>(&dir.place(), &TERMS).unwrap();
    let again = said(send::<u64>(&dir.place(), &TERMS));
    assert!(again.contains("has a writer already, process "), "{again}");
    let rx = receive::<u64>(&dir.place(), Start::Onward).unwrap();
    let again = said(receive::<u64>(&dir.place(), Start::Newest));
    assert!(again.contains("has a reader already, process "), "{again}");
    assert!(tx.reader_lives() && rx.writer_lives());
    assert_eq!(tx.reader().pid, u64::from(std::process::id()));
    drop((tx, rx));
    assert!(send::<u64>(&dir.place(), &TERMS).is_ok());
}

#[test]
fn another_ring_than_was_meant_is_refused_in_one_line() {
    let dir = Dir::new("other");
    let place = dir.place();
    assert!(said(receive::<u64>(&place, Start::Onward)).starts_with("there is no ring "));
    drop(send::<u64>(&place, &TERMS).unwrap());
    let refusals = [
        (
            said(send::<u32>(&place, &TERMS)),
            "holds records \"u64\" of 8 bytes, not records \"u32\"",
        ),
        (said(receive::<[u64; 2]>(&place, Start::Onward)), "not records \"u64\" of 16 bytes"),
        (said(subscribe::<u64>(&place, From::Newest)), "a queue, not a broadcast ring"),
        (said(publish::<u64>(&place, &TERMS)), "a queue, not a broadcast ring"),
        (said(send::<u64>(&place, &Terms { capacity: 16, ..TERMS })), "holds 8 records, not 16"),
        (said(send::<u64>(&place, &Terms { capacity: 3, ..TERMS })), "a power of two from 2 on"),
    ];
    for (said, part) in refusals {
        assert!(said.contains(part) && !said.contains('\n'), "{said}");
    }
}

#[test]
fn a_damaged_ring_is_refused_by_both_ends() {
    let damages: [(u64, u64, &str); 6] = [
        (0, 7, "not a ring"),
        (8, 2, "layout version 2, this program knows 1"),
        (24, 9, "a kind of ring that is not known"),
        (32, 12, "the header is damaged: 12 records"),
        (32, 1 << 62, "was cut short"),
        (48, 64, "the header is damaged: a record each 64 bytes"),
    ];
    for (at, value, part) in damages {
        let dir = Dir::new("damaged");
        drop(send::<u64>(&dir.place(), &TERMS).unwrap());
        scribble(&dir.place().ring(), at, value);
        for said in [
            said(send::<u64>(&dir.place(), &TERMS)),
            said(receive::<u64>(&dir.place(), Start::Onward)),
            said(look(&dir.place())),
        ] {
            assert!(said.contains(part), "{said}");
        }
    }
}

#[test]
fn a_ring_that_was_cut_short_is_refused() {
    let dir = Dir::new("short");
    drop(send::<u64>(&dir.place(), &TERMS).unwrap());
    for len in [8192 + 127, 8192, 100] {
        let file = OpenOptions::new().write(true).open(dir.place().ring()).unwrap();
        file.set_len(len).unwrap();
        for said in [
            said(send::<u64>(&dir.place(), &TERMS)),
            said(receive::<u64>(&dir.place(), Start::Onward)),
        ] {
            assert!(said.contains("was cut short"), "{said}");
        }
    }
    let file = OpenOptions::new().write(true).open(dir.place().reader()).unwrap();
    file.set_len(100).unwrap();
    let said = said(send::<u64>(&dir.place(), &TERMS));
    assert!(said.contains("was cut short"), "{said}");
}

#[test]
fn a_reader_s_page_of_another_ring_is_refused() {
    let dir = Dir::new("page");
    drop(send::<u64>(&dir.place(), &TERMS).unwrap());
    scribble(&dir.place().reader(), 16, 1);
    for said in
        [said(send::<u64>(&dir.place(), &TERMS)), said(receive::<u64>(&dir.place(), Start::Onward))]
    {
        assert!(said.contains("of another ring than the one beside it"), "{said}");
    }
    std::fs::remove_file(dir.place().reader()).unwrap();
    assert!(said(send::<u64>(&dir.place(), &TERMS)).contains("is missing beside its ring"));
}

#[test]
fn a_reader_beyond_its_writer_is_not_believed() {
    let dir = Dir::new("beyond");
    let place = dir.place();
    let mut tx = send::<u64>(&place, &TERMS).unwrap();
    assert_eq!(tx.push_slice(&[1, 2, 3]), 3);
    for lie in [4, 1000, u64::MAX] {
        scribble(&place.reader(), 128, lie);
        assert_eq!(tx.free(), 5, "the writer keeps to what it knew");
        let said = said(receive::<u64>(&place, Start::Onward));
        assert!(said.contains(&format!("says that {lie} records were read")), "{said}");
    }
    drop(tx);
    let mut tx = send::<u64>(&place, &TERMS).unwrap();
    assert_eq!(tx.push_slice(&[0; 10]), 5, "nothing that may be unread is written over");
    drop(receive::<u64>(&place, Start::Newest).unwrap());
    assert_eq!(tx.free(), 8);
}

#[test]
fn what_is_no_record_is_not_taken_for_one() {
    use crate::order::{Command, CommandKind, FirmId, UserId};
    let dir = Dir::new("claimed");
    let place = dir.place();
    let mut tx = send::<Command>(&place, &TERMS).unwrap();
    let mut rx = receive::<Command>(&place, Start::Onward).unwrap();
    let enter = Command::new(CommandKind::Enter, UserId(1), FirmId(1));
    assert_eq!(tx.push_slice(&[enter; 3]), 3);
    let kind = std::mem::offset_of!(Command, kind) as u64;
    let file = OpenOptions::new().write(true).open(place.ring()).unwrap();
    file.write_all_at(&[99], layout::PLACES as u64 + 128 + kind).unwrap();
    let mut seen = vec![];
    assert_eq!(rx.pop_batch(8, |c| seen.push(*c)).unwrap(), 1);
    assert_eq!(
        said(rx.pop_batch(8, |c| seen.push(*c))),
        "record 1 is not what the ring is said to hold"
    );
    assert_eq!(seen, [enter]);
    drop(tx);
    drop(send::<Command>(&place, &TERMS).unwrap());
    assert_eq!(rx.pop().unwrap(), Some(Command::EMPTY), "emptied by the writer that found it");
}

#[test]
fn everyone_who_subscribes_hears_and_comes_again_where_it_was() {
    let dir = Dir::new("broadcast");
    let place = dir.place();
    let mut tx = publish::<u64>(&place, &TERMS).unwrap();
    (0..5).for_each(|n| tx.push(&n));
    let mut old = subscribe::<u64>(&place, From::Oldest).unwrap();
    let mut new = subscribe::<u64>(&place, From::Newest).unwrap();
    assert_eq!((old.pop().unwrap(), new.pop().unwrap()), (Some(0), None));
    drop(tx);
    assert!(!old.writer_lives());
    let mut tx = publish::<u64>(&place, &TERMS).unwrap();
    (5..15).for_each(|n| tx.push(&n));
    let mut again = subscribe::<u64>(&place, From::Index(9)).unwrap();
    assert_eq!(again.pop().unwrap(), Some(9));
    assert_eq!(old.pop(), Err(Lost::Missed { records: 10 }));
    assert_eq!(old.pop(), Ok(Some(11)));
    let said = said(subscribe::<u64>(&place, From::Index(16)));
    assert!(said.contains("has 15 records"), "{said}");
    assert!(said_of_reader(&place), "a broadcast ring has no reader's page");
}

fn said_of_reader(place: &Place) -> bool {
    !place.reader().exists()
}

#[test]
fn modes_are_what_was_asked_and_nobody_else_writes_records() {
    let dir = Dir::new("modes");
    let place = dir.place();
    let tx = send::<u64>(&place, &Terms { mode: 0o666, ..TERMS }).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!((mode(&place.ring()), mode(&place.reader())), (0o644, 0o666));
    drop(tx);
    std::fs::remove_file(place.ring()).unwrap();
    drop(send::<u64>(&place, &Terms { mode: 0o640, ..TERMS }).unwrap());
    assert_eq!((mode(&place.ring()), mode(&place.reader())), (0o640, 0o660));
}

#[test]
fn no_room_is_an_error_and_leaves_nothing() {
    let dir = Dir::new("full");
    let place = dir.place();
    // More than any machine here has.
    let capacity = 1 << 50;
    let said = said(send::<u64>(&place, &Terms { capacity, ..TERMS }));
    assert!(said.starts_with("cannot take the memory of "), "{said}");
    assert!(!place.ring().exists());
}

#[test]
fn a_ring_that_nobody_finished_is_made_anew() {
    let dir = Dir::new("unfinished");
    let place = dir.place();
    drop(send::<u64>(&place, &TERMS).unwrap());
    scribble(&place.ring(), 0, 0);
    assert!(said(receive::<u64>(&place, Start::Onward)).starts_with("there is no ring "));
    let mut tx = send::<u64>(&place, &TERMS).unwrap();
    assert_eq!((tx.index(), tx.free()), (0, 8));
}

#[test]
fn a_link_is_not_followed() {
    let dir = Dir::new("link");
    let place = dir.place();
    std::fs::write(dir.0.join("precious"), "precious").unwrap();
    std::os::unix::fs::symlink(dir.0.join("precious"), place.ring()).unwrap();
    assert!(said(send::<u64>(&place, &TERMS)).starts_with("cannot open "));
    assert_eq!(std::fs::read(dir.0.join("precious")).unwrap(), b"precious");
    std::fs::set_permissions(&dir.0, Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn what_is_seen_from_outside_is_so() {
    let dir = Dir::new("look");
    let place = dir.place();
    let mut tx = send::<[u32; 3]>(&place, &TERMS).unwrap();
    let mut rx = receive::<[u32; 3]>(&place, Start::Onward).unwrap();
    tx.push_slice(&[[1; 3]; 5]);
    rx.pop().unwrap();
    tx.beat(1234);
    let sight = look(&place).unwrap();
    assert_eq!((sight.kind, sight.capacity, sight.record_bytes), (Kind::Queue, 8, 12));
    assert_eq!((sight.stride_bytes, sight.record_name.as_str()), (32, "u32"));
    assert_eq!((sight.written, sight.writer.beat_ns, sight.writer_lives), (5, 1234, true));
    let reader = sight.reader.unwrap();
    assert_eq!((reader.read, reader.lives, reader.life.epoch), (1, true, 1));
    drop(rx);
    assert!(!look(&place).unwrap().reader.unwrap().lives);
}

/// Numbers that are near something, and others.
fn words() -> impl Strategy<Value = u64> {
    let near = (0u64..40, prop_oneof![Just(0), Just(1 << 32), Just(1 << 62), Just(u64::MAX - 40)]);
    prop_oneof![near.prop_map(|(more, base)| base + more), any::<u64>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever another process wrote into the files: an end is refused in a line, or it works in its bounds.
    #[test]
    fn made_up_files_end_in_a_line_or_do_no_harm(
        broadcast in any::<bool>(),
        ring in prop::collection::vec((prop_oneof![0u64..12, 512u64..516, 1024u64..1060], words()), 0..6),
        page in prop::collection::vec((prop_oneof![0u64..3, 16u64..17], words()), 0..3),
    ) {
        let dir = Dir::new("made-up");
        let place = dir.place();
        if broadcast {
            let mut tx = publish::<u64>(&place, &TERMS).unwrap();
            (0..20).for_each(|n| tx.push(&n));
        } else {
            let mut tx = send::<u64>(&place, &TERMS).unwrap();
            tx.push_slice(&[0, 1, 2]);
            tx.push_slice(&[3, 4]);
            page.iter().for_each(|(at, value)| scribble(&place.reader(), at * 8, *value));
        }
        ring.iter().for_each(|(at, value)| scribble(&place.ring(), at * 8, *value));
        let _ = look(&place);
        for start in [Start::Onward, Start::Newest] {
            if let Ok(mut rx) = receive::<u64>(&place, start) {
                let read: usize = (0..4).map(|_| rx.pop_batch(100, |_| ()).unwrap()).sum();
                prop_assert!(read <= 4 * rx.capacity());
            }
        }
        for from in [From::Newest, From::Oldest, From::Index(3)] {
            if let Ok(mut rx) = subscribe::<u64>(&place, from) {
                (0..4).for_each(|_| _ = rx.pop_batch(100, |_| ()));
            }
        }
        if let Ok(mut tx) = publish::<u64>(&place, &TERMS) {
            tx.push(&7);
        }
        if let Ok(mut tx) = send::<u64>(&place, &TERMS) {
            prop_assert!(tx.push_slice(&[7; 20]) <= 8);
        }
    }
}
