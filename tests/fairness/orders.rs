//! What orders use up: places, price levels, names, timers, the disk.

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use millrace::client::{Answer, NewOrder, cancel, mass_cancel};
use millrace::order::Price;

use super::common::{PATIENCE, Scratch, Venue, answer, transport};
use super::{Honest, floor, text};

/// Enters orders until one is refused; how many were accepted, and the reason.
fn until_refused(venue: &Venue, price: impl Fn(u32) -> u32) -> (u32, u16) {
    let mut evil = venue.client("EVIL");
    for user_ref in 1.. {
        let order = NewOrder::new(user_ref, b'B', 1, "AAPL", Price(price(user_ref)));
        evil.send(&order.encode()).unwrap();
        match answer(&mut evil) {
            Answer::Accepted { live: true, .. } => {}
            Answer::Rejected { reason, .. } => return (user_ref - 1, reason),
            other => panic!("{other:?}"),
        }
    }
    unreachable!("more orders than there is room for")
}

#[test]
fn places_for_orders_run_out_for_the_firm_that_used_its_own() {
    let venue = floor("", "");
    // Its part of the table: there are eleven firms.
    let (entered, reason) = until_refused(&venue, |_| 500_000);
    assert_eq!((entered, reason), (4096 / 11, 32));
    Honest::of(&venue).trade(20);
}

#[test]
fn price_levels_far_apart_leave_room_for_everybody_elses() {
    let venue = floor("", "max_open_orders = 3000");
    let (entered, reason) = until_refused(&venue, |n| n * 6_400 * 64 % 1_999_999_900);
    assert_eq!((entered, reason), (3000, 32));
    Honest::of(&venue).trade(20);
}

#[test]
fn orders_that_all_expire_at_once_and_mass_cancels_hold_nobody_up() {
    let venue = floor("", "max_open_orders = 3000");
    let mut honest = Honest::of(&venue);
    let mut evil = venue.client("EVIL");
    // A hundred at a time: one who does not read in between is closed.
    for hundred in 0..30 {
        for user_ref in 1 + hundred * 100..=100 + hundred * 100 {
            let order = NewOrder::new(user_ref, b'B', 1, "AAPL", Price(500_000));
            let mut order = order.with(15, &5u32.to_be_bytes()).encode();
            // Time in force, behind type, number, side, quantity, symbol and price.
            order[26] = b'6';
            evil.send(&order).unwrap();
        }
        for _ in 0..100 {
            assert!(matches!(answer(&mut evil), Answer::Accepted { live: true, .. }));
        }
    }
    honest.trade(20);
    for _ in 1..=3000 {
        assert!(matches!(answer(&mut evil), Answer::Canceled { reason: 'T', .. }));
    }
    for hundred in 0..30 {
        for user_ref in 3001 + hundred * 100..=3100 + hundred * 100 {
            let order = NewOrder::new(user_ref, b'B', 1, "AAPL", Price(500_000));
            evil.send(&order.encode()).unwrap();
        }
        for _ in 0..100 {
            assert!(matches!(answer(&mut evil), Answer::Accepted { live: true, .. }));
        }
    }
    evil.send(&mass_cancel(6001, "EVIL", "")).unwrap();
    honest.trade(20);
}

#[test]
fn names_of_orders_run_out_for_the_user_who_used_them() {
    let venue = floor("order_names_max = 50", "");
    let mut honest = Honest::of(&venue);
    let mut evil = super::sessions::FixClient::log_on(&venue);
    for n in 1..=50 {
        evil.send_order(&format!("A{n}"));
        assert!(evil.next().contains("|39=0|"), "order {n} is accepted");
    }
    evil.send_order("A51");
    let answer = evil.next();
    assert!(answer.contains("|35=j|") && answer.contains("|380=4|"), "{answer}");
    // What takes risk away still goes.
    evil.send_cancel("C1", "A1");
    assert!(evil.next().contains("|39=4|"));
    honest.trade(5);
}

#[test]
fn on_a_disk_that_is_nearly_full_orders_are_refused_and_cancels_go_on() {
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if !root || !transport::is_kernel() {
        println!("skip: a small disk is mounted by root");
        return;
    }
    let scratch = Scratch::new();
    let disk = scratch.0.join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mount = |words: &[&str]| Command::new(words[0]).args(&words[1..]).status().unwrap();
    let at = disk.to_str().unwrap();
    assert!(mount(&["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", at]).success());
    struct Unmount(String);
    impl Drop for Unmount {
        fn drop(&mut self) {
            let _ = Command::new("umount").args(["-l", &self.0]).status();
        }
    }
    let _unmount = Unmount(at.to_owned());
    let mut config = super::common::config(&disk, &text("min_free_bytes = 33554432", ""));
    config.gateway.data_dir = disk.join("data");
    let segment = super::common::start(&config).unwrap();
    let login = |user| millrace::client::Client::login(segment.addresses()[0], user, "secret", 0);
    let (mut trader, mut user_ref) = (login("H0").unwrap(), 0);
    let mut enter = |client: &mut millrace::client::Client| {
        user_ref += 1;
        let order = NewOrder::new(user_ref, b'B', 1, "AAPL", Price(500_000));
        client.send(&order.encode()).unwrap();
        answer(client)
    };
    assert!(matches!(enter(&mut trader), Answer::Accepted { .. }));
    std::fs::write(disk.join("filler"), vec![1; 56 << 20]).unwrap();
    let mut until = |client: &mut millrace::client::Client, wanted: fn(&Answer) -> bool| {
        let deadline = std::time::Instant::now() + PATIENCE;
        while !wanted(&enter(client)) {
            assert!(std::time::Instant::now() < deadline);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    until(&mut trader, |answer| matches!(answer, Answer::Rejected { reason: 7, .. }));
    trader.send(&cancel(1, 0)).unwrap();
    assert!(matches!(answer(&mut trader), Answer::Canceled { user_ref: 1, .. }));
    std::fs::remove_file(disk.join("filler")).unwrap();
    until(&mut trader, |answer| matches!(answer, Answer::Accepted { .. }));
    segment.stop();
}
