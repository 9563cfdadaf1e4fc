//! The ring against a queue, and its edges.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

#[test]
fn a_full_ring_refuses_and_an_empty_one_gives_nothing() {
    let (mut tx, mut rx) = on_heap(4, 0u32);
    assert_eq!(tx.push_slice(&[1, 2, 3, 4, 5]), 4);
    assert!(!tx.push(&6));
    let mut seen = vec![];
    assert_eq!(rx.pop_batch(3, |r| seen.push(*r)), 3);
    assert_eq!(tx.free(), 3);
    assert!(tx.push(&7));
    while rx.pop_batch(usize::MAX, |r| seen.push(*r)) > 0 {}
    assert_eq!(seen, [1, 2, 3, 4, 7]);
    assert_eq!(rx.pop(), None);
    assert!(tx.is_drained());
}

#[test]
fn staged_records_are_invisible_until_published() {
    let (mut tx, mut rx) = on_heap(4, 0u32);
    assert!(tx.stage(&1) && tx.stage(&2));
    assert_eq!(rx.available(), 0);
    tx.publish();
    assert_eq!(rx.available(), 2);
}

#[test]
fn what_was_only_seen_stays_in_the_ring() {
    let (mut tx, mut rx) = on_heap(4, 0u32);
    tx.push_slice(&[1, 2, 3]);
    let mut seen = vec![];
    assert_eq!(rx.peek(2, |r| seen.push(*r)), 2);
    assert_eq!(rx.pop_batch(8, |r| seen.push(*r)), 3);
    assert_eq!(seen, [1, 2, 1, 2, 3]);
}

#[test]
fn a_refused_record_stays_in_the_ring() {
    let (mut tx, mut rx) = on_heap(4, 0u32);
    tx.push_slice(&[1, 2, 3]);
    assert_eq!(rx.pop_while(8, |r| *r < 2), 1);
    assert_eq!(rx.pop(), Some(2));
}

#[test]
fn records_cross_threads_in_order_and_whole() {
    let (mut tx, mut rx) = on_heap(64, [0u64; 8]);
    let writer = std::thread::spawn(move || {
        for n in 0..100_000u64 {
            while !tx.push(&[n; 8]) {
                std::thread::yield_now();
            }
        }
    });
    let mut next = 0;
    while next < 100_000 {
        let taken = rx.pop_batch(16, |r| {
            assert_eq!(*r, [next; 8]);
            next += 1;
        });
        if taken == 0 {
            std::thread::yield_now();
        }
    }
    writer.join().unwrap();
}

#[test]
fn batches_that_follow_each_other_are_read_together() {
    let (mut tx, mut rx) = on_heap(8, 0u32);
    (0..5).for_each(|n| assert!(tx.push(&n)));
    assert_eq!(rx.available(), 1, "at least");
    assert_eq!(rx.pop(), Some(0));
    assert!(rx.has(4) && !rx.has(5));
    assert_eq!(rx.pop_batch(8, |_| ()), 4);
}

/// What a ring is asked to do.
#[derive(Clone, Debug)]
enum Step {
    Stage(usize),
    Publish,
    Pop(usize),
    Peek(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1usize..6).prop_map(Step::Stage),
        Just(Step::Publish),
        (1usize..6).prop_map(Step::Pop),
        (1usize..6).prop_map(Step::Peek),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    /// Batches of any length, read in any portions, many times round: a queue.
    #[test]
    fn the_ring_is_a_queue(steps in steps(), log in 0u32..4) {
        let capacity = 1 << log;
        let (mut tx, mut rx) = on_heap(capacity, 0u64);
        let (mut next, mut staged, mut published) = (0u64, 0, VecDeque::new());
        for step in steps {
            match step {
                Step::Stage(count) => {
                    for _ in 0..count {
                        let fits = published.len() + staged < capacity;
                        prop_assert_eq!(tx.stage(&next), fits);
                        if fits {
                            staged += 1;
                            next += 1;
                        }
                    }
                }
                Step::Publish => {
                    tx.publish();
                    published.extend(next - staged as u64..next);
                    staged = 0;
                }
                Step::Pop(most) => {
                    let mut got = vec![];
                    let count = rx.pop_batch(most, |record| got.push(*record));
                    prop_assert_eq!(count > 0, !published.is_empty());
                    prop_assert!(count <= most);
                    prop_assert_eq!(got, published.drain(..count).collect::<Vec<_>>());
                }
                Step::Peek(most) => {
                    let mut seen = vec![];
                    rx.peek(most, |record| seen.push(*record));
                    prop_assert!(published.iter().zip(&seen).all(|(a, b)| a == b));
                    prop_assert!(seen.len() <= published.len());
                }
            }
            prop_assert_eq!(tx.is_drained(), published.len() + staged == 0);
        }
    }
}

#[test]
#[should_panic(expected = "power of two")]
fn a_capacity_that_is_no_power_of_two_is_refused() {
    let _ = on_heap(3, 0u8);
}

#[test]
fn who_has_to_know_how_many_there_are_looks_again() {
    let (mut producer, mut consumer) = on_heap::<u64>(64, 0);
    assert_eq!(producer.push_slice(&[1; 10]), 10);
    assert_eq!(consumer.pop_batch(8, |_| ()), 8);
    assert_eq!(producer.push_slice(&[2; 10]), 10);
    assert!(!consumer.has(12), "as far as it was seen");
    assert!(consumer.has_by_now(12) && !consumer.has_by_now(13));
}
