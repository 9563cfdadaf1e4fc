//! The broadcast ring against a list of everything that was ever written.

use super::*;
use proptest::prelude::*;
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};
#[test]
fn everyone_hears_everything() {
    let (mut tx, first) = on_heap::<[u32; 3]>(8);
    let mut subscribers = [first.clone(), first];
    for n in 0..100u32 {
        tx.push(&[n; 3]);
        for rx in &mut subscribers {
            assert_eq!(rx.pop(), Ok(Some([n; 3])));
            assert_eq!(rx.pop(), Ok(None));
        }
    }
}

#[test]
fn records_of_any_size_come_whole() {
    fn run<const N: usize>() {
        let (mut tx, mut rx) = on_heap::<[u8; N]>(4);
        for n in 0..20u8 {
            let record = std::array::from_fn(|at| n.wrapping_mul(31).wrapping_add(at as u8));
            tx.push(&record);
            assert_eq!(rx.pop(), Ok(Some(record)));
        }
    }
    run::<1>();
    run::<4>();
    run::<7>();
    run::<8>();
    run::<9>();
    run::<56>();
    run::<57>();
    run::<200>();
}

#[test]
fn a_bad_pattern_of_bytes_is_told_and_passed_over() {
    #[derive(Clone, Copy, PartialEq, Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
    #[repr(u8)]
    enum Answer {
        Yes = 1,
    }
    impl Record for Answer {
        const NAME: &'static str = "answer";
        const EMPTY: Answer = Answer::Yes;
    }
    let (mut tx, rx) = on_heap::<u8>(4);
    let Shared { told, places, capacity, memory, .. } = rx.shared.clone();
    let shared = Shared { told, places, capacity, memory, records: PhantomData };
    let mut rx = Subscriber::<Answer>::tune_in(shared, From::Oldest).unwrap();
    [1, 7, 1].iter().for_each(|n| tx.push(n));
    let mut heard = vec![];
    assert_eq!(rx.pop_batch(8, |r| heard.push(*r)), Ok(1));
    assert_eq!(rx.pop_batch(8, |r| heard.push(*r)), Err(Lost::Damaged { index: 1 }));
    assert_eq!(rx.pop_batch(8, |r| heard.push(*r)), Ok(1));
    assert_eq!(heard, [Answer::Yes; 2]);
}

/// What a writer leaves that dies in the middle of a record, and who follows it.
#[test]
fn half_a_record_is_never_seen() {
    let (mut tx, mut rx) = on_heap::<u64>(2);
    (0..3).for_each(|n| tx.push(&n));
    let (place, word) = tx.shared.place(3);
    word.store(being_written(3), Ordering::Relaxed);
    place[0].store(99, Ordering::Relaxed);
    assert_eq!(rx.pop(), Err(Lost::Missed { records: 2 }));
    assert_eq!((rx.pop(), rx.pop()), (Ok(Some(2)), Ok(None)));
    let mut next = Publisher::follow_on(tx.shared.clone()).unwrap();
    next.push(&3);
    assert_eq!(rx.pop(), Ok(Some(3)));
}

/// Dying between a record and what is told of it.
#[test]
fn a_whole_record_that_was_not_told_is_not_written_over() {
    let (mut tx, mut rx) = on_heap::<u64>(4);
    (0..6).for_each(|n| tx.push(&n));
    tx.shared.told().store(5, Ordering::Relaxed);
    let mut next = Publisher::follow_on(tx.shared.clone()).unwrap();
    assert_eq!(next.index(), 6);
    next.push(&6);
    assert_eq!(rx.pop(), Err(Lost::Missed { records: 5 }));
    assert_eq!((rx.pop(), rx.pop(), rx.pop()), (Ok(Some(5)), Ok(Some(6)), Ok(None)));
}

#[test]
fn torn_records_are_never_seen_and_the_missed_are_counted() {
    let (mut tx, rx) = on_heap::<[u64; 7]>(16);
    let subscribers = [rx.clone(), rx].map(|mut rx| {
        std::thread::spawn(move || {
            let mut next = 0;
            while next < 100_000 {
                match rx.pop() {
                    Ok(Some(record)) => {
                        assert_eq!(record, [next; 7]);
                        next += 1;
                    }
                    Ok(None) => std::thread::yield_now(),
                    Err(Lost::Missed { records }) => next += records,
                    Err(Lost::Damaged { index }) => unreachable!("any bytes are one: {index}"),
                }
            }
            assert_eq!(rx.index(), next);
        })
    });
    for n in 0..100_000u64 {
        tx.push(&[n; 7]);
        if n % 64 == 0 {
            std::thread::yield_now();
        }
    }
    subscribers.into_iter().for_each(|subscriber| subscriber.join().unwrap());
}

proptest! {
    /// Every record is either heard, in its place, or among those said to be missed.
    #[test]
    fn what_is_not_heard_is_counted(
        steps in prop::collection::vec((0u64..12, 0usize..12), 1..60),
        log in 1u32..5,
        from in prop_oneof![Just(From::Newest), Just(From::Oldest), (0u64..=20).prop_map(From::Index)],
    ) {
        let (mut tx, rx) = on_heap::<u64>(1 << log);
        (0..20).for_each(|n| tx.push(&n));
        prop_assert!(Subscriber::tune_in(rx.shared.clone(), From::Index(21)).is_none());
        let mut rx = Subscriber::tune_in(rx.shared.clone(), from).unwrap();
        let mut next = match from {
            From::Newest => 20,
            From::Oldest => 20u64.saturating_sub(1 << log),
            From::Index(index) => index,
        };
        prop_assert_eq!(rx.index(), next);
        for (pushes, pops) in steps {
            for _ in 0..pushes {
                let record = tx.index();
                tx.push(&record);
            }
            let mut heard = vec![];
            match rx.pop_batch(pops, |r| heard.push(*r)) {
                Ok(count) => {
                    let there = tx.index().saturating_sub(next).min(pops as u64);
                    prop_assert_eq!(count as u64, there);
                }
                Err(Lost::Missed { records }) => {
                    prop_assert!(tx.index() - next > 1 << log, "it was really overtaken");
                    next += records;
                    prop_assert!(next < tx.index());
                }
                Err(lost) => prop_assert!(false, "{}", lost),
            }
            prop_assert_eq!(&heard, &(next..next + heard.len() as u64).collect::<Vec<_>>());
            next += heard.len() as u64;
            prop_assert_eq!(rx.index(), next);
        }
    }
}

#[test]
#[should_panic(expected = "power of two")]
fn a_capacity_that_is_no_power_of_two_is_refused() {
    let _ = on_heap::<u8>(1);
}
