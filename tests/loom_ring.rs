//! Model-checks the ring's orderings: every interleaving that the memory model allows.
//! Run by `scripts/test` as `RUSTFLAGS="--cfg loom" cargo test --release --test loom_ring`.
#![cfg(loom)]

use loom::sync::atomic::{AtomicBool, Ordering, fence};
use loom::thread::yield_now;
use millrace::book::{Books, Events, Places, Progress};
use millrace::order::{Command, CommandKind, Event, FirmId, SeqNum, SymbolId, UserId};
use millrace::ring::{self, Consumer, Producer, broadcast};

/// A consumer that found nothing sleeps until it is woken: it never misses what was published.
#[test]
fn who_sleeps_is_woken_by_what_comes() {
    loom::model(|| {
        let (mut tx, mut rx) = ring::on_heap(2, 0u32);
        let woken = loom::sync::Arc::new(AtomicBool::new(false));
        let rung = woken.clone();
        let bell = std::sync::Arc::new(ring::Bell::new(move || {
            rung.store(true, Ordering::SeqCst);
        }));
        tx.set_bell(&bell);
        let writer = loom::thread::spawn(move || assert!(tx.push(&7)));
        let slept = bell.lie_down(|| {
            fence(Ordering::SeqCst);
            true
        });
        assert!(slept);
        if rx.available() == 0 {
            // Blocked; a wake-up that does not come would be a deadlock.
            while !woken.load(Ordering::SeqCst) {
                yield_now();
            }
        }
        bell.get_up();
        assert_eq!(rx.pop(), Some(7));
        writer.join().unwrap();
    });
}

#[test]
fn records_arrive_once_in_order_over_a_wrapping_ring() {
    loom::model(|| {
        let (mut tx, mut rx) = ring::on_heap(2, 0u32);
        let writer = loom::thread::spawn(move || {
            let mut sent = 0;
            for n in 0..3 {
                if tx.push(&n) {
                    sent += 1;
                } else {
                    break;
                }
            }
            sent
        });
        let mut seen = Vec::new();
        for _ in 0..3 {
            rx.pop_batch(2, |r| seen.push(*r));
            loom::thread::yield_now();
        }
        let sent = writer.join().unwrap();
        rx.pop_batch(4, |r| seen.push(*r));
        assert_eq!(seen, (0..sent).collect::<Vec<_>>());
    });
}

#[test]
fn a_staged_batch_becomes_visible_at_once() {
    loom::model(|| {
        let (mut tx, mut rx) = ring::on_heap(4, 0u32);
        let writer = loom::thread::spawn(move || {
            assert!(tx.stage(&1));
            assert!(tx.stage(&2));
            tx.publish();
        });
        let seen = rx.available();
        assert!(seen == 0 || seen == 2, "saw {seen}");
        writer.join().unwrap();
        assert_eq!((rx.pop(), rx.pop(), rx.pop()), (Some(1), Some(2), None));
    });
}

/// A batch that fills the ring, and then others that begin in its middle: what it left in their
/// places is not taken for theirs.
#[test]
fn what_an_earlier_batch_left_is_not_taken_for_a_later_one() {
    loom::model(|| {
        let (mut tx, mut rx) = ring::on_heap(2, 0u32);
        assert_eq!(tx.push_slice(&[0, 1]), 2);
        let writer = loom::thread::spawn(move || {
            let mut next = 2;
            for _ in 0..3 {
                if tx.push(&next) {
                    next += 1;
                }
                yield_now();
            }
            next
        });
        let mut seen = vec![];
        for _ in 0..3 {
            rx.pop_batch(1, |r| seen.push(*r));
            yield_now();
        }
        let next = writer.join().unwrap();
        while rx.pop_batch(2, |r| seen.push(*r)) > 0 {}
        assert_eq!(seen, (0..next).collect::<Vec<_>>());
    });
}

#[test]
fn a_cell_is_written_again_only_after_it_was_read() {
    loom::model(|| {
        let (mut tx, mut rx) = ring::on_heap(1, 0u32);
        assert!(tx.push(&1));
        let reader = loom::thread::spawn(move || {
            let first = rx.pop();
            (first, rx)
        });
        let second = tx.push(&2);
        let (first, mut rx) = reader.join().unwrap();
        assert_eq!(first, Some(1));
        assert_eq!(rx.pop(), second.then_some(2));
    });
}

/// A consumer that takes over while the producer writes: it begins with what the one before had not given back,
/// and finds every batch from there.
#[test]
fn a_consumer_that_takes_over_sees_everything_in_order() {
    loom::model(|| {
        let (mut tx, mut rx) = ring::on_heap(2, 0u32);
        assert_eq!(tx.push_slice(&[0, 1]), 2);
        let writer = loom::thread::spawn(move || {
            let mut next = 2;
            for _ in 0..2 {
                if tx.push(&next) {
                    next += 1;
                }
                yield_now();
            }
            next
        });
        assert_eq!(rx.pop(), Some(0));
        let mut rx = rx.replaced();
        let mut seen = vec![];
        rx.pop_batch(2, |r| seen.push(*r));
        let mut rx = rx.replaced();
        let next = writer.join().unwrap();
        while rx.pop_batch(2, |r| seen.push(*r)) > 0 {}
        assert_eq!(seen, (1..next).collect::<Vec<_>>());
    });
}

/// A producer that takes over writes nothing over that was not given back, and leaves nothing out.
#[test]
fn a_producer_that_takes_over_goes_on_behind_what_was_published() {
    loom::model(|| {
        let (mut tx, mut rx) = ring::on_heap(2, 0u32);
        assert!(tx.push(&0));
        let reader = loom::thread::spawn(move || {
            let mut seen = vec![];
            for _ in 0..2 {
                rx.pop_batch(1, |r| seen.push(*r));
                yield_now();
            }
            (rx, seen)
        });
        assert!(tx.stage(&99), "lost with its writer");
        let mut tx = tx.replaced();
        let mut next = 1;
        for _ in 0..2 {
            if tx.push(&next) {
                next += 1;
            }
        }
        let (mut rx, mut seen) = reader.join().unwrap();
        while rx.pop_batch(2, |r| seen.push(*r)) > 0 {}
        assert_eq!(seen, (0..next).collect::<Vec<_>>());
    });
}

/// A subscriber that is overtaken in the middle of a record: what it hears is whole and in its place, and what
/// it did not hear was counted.
#[test]
fn a_broadcast_record_is_never_seen_torn() {
    loom::model(|| {
        let (mut tx, mut rx) = broadcast::on_heap::<[u64; 2]>(2);
        tx.push(&[0; 2]);
        let writer = loom::thread::spawn(move || (1..3).for_each(|n| tx.push(&[n; 2])));
        let first = rx.pop();
        writer.join().unwrap();
        match first {
            Ok(record) => assert_eq!(record, Some([0; 2])),
            Err(lost) => assert_eq!(lost, broadcast::Lost::Missed { records: rx.index() }),
        }
        let next = rx.index();
        let mut heard = vec![];
        while let Some(record) = rx.pop().expect("two are there, of which none is written over") {
            heard.push(record);
        }
        assert_eq!(heard, (next..3).map(|n| [n; 2]).collect::<Vec<_>>());
    });
}

/// What a book does with the next command, if there is one.
fn carry_out(book: usize, from: &mut Consumer<Command>, to: &mut Producer<Event>, far: &Progress) {
    if let Some(command) = from.pop() {
        assert!(to.stage_with(|event| event.command.seq = command.seq));
        to.publish();
        far.set_done(book, command.seq);
    }
}

/// Two books with a thread each: whichever is late, and whatever a gateway sees of how far they are, it takes no event
/// before one of an earlier command, and in the end it takes all.
#[test]
fn events_of_two_books_are_taken_in_the_order_of_their_commands() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let far = Progress::new(2, SeqNum(0));
        let (first_tx, mut first) = ring::on_heap(2, Command::EMPTY);
        let (second_tx, mut second) = ring::on_heap(2, Command::EMPTY);
        let (mut first_told, from_first) = ring::on_heap(2, Event::EMPTY);
        let (mut second_told, from_second) = ring::on_heap(2, Event::EMPTY);
        let places = Places::new(2, &[0, 1]);
        let mut books = Books::several(vec![first_tx, second_tx], places, far.clone(), SeqNum(0));
        let mut events = Events::several(vec![from_first, from_second], far.clone());
        for (seq, symbol) in [(1, 0), (2, 1)] {
            let mut command = Command::new(CommandKind::Enter, UserId(0), FirmId(0));
            (command.seq, command.symbol) = (SeqNum(seq), SymbolId(symbol));
            assert!(books.stage(&command));
        }
        let (one, other) = (far.clone(), far);
        let slow = loom::thread::spawn(move || {
            carry_out(0, &mut first, &mut first_told, &one);
            (first, first_told, one)
        });
        let fast = loom::thread::spawn(move || {
            carry_out(1, &mut second, &mut second_told, &other);
            (second, second_told, other)
        });
        // Neither is the gateway the sequencer.
        let sequencer = loom::thread::spawn(move || books.publish());
        let mut taken = vec![];
        let mut take = |events: &mut Events| {
            events.pop_while(4, |event| {
                taken.push(event.seq().0);
                true
            })
        };
        take(&mut events);
        sequencer.join().unwrap();
        let (mut first, mut first_told, far) = slow.join().unwrap();
        carry_out(0, &mut first, &mut first_told, &far);
        let (mut second, mut second_told, far) = fast.join().unwrap();
        carry_out(1, &mut second, &mut second_told, &far);
        take(&mut events);
        assert_eq!(taken, [1, 2]);
    });
}
