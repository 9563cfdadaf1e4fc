//! Several queues: a gateway agent each, and streams that follow their users.

use millrace::client::{Answer, Client, LoginError, cancel};
use millrace::segment::{journal_dir, recover};

use super::common::{PATIENCE, buy, config_text, enter, sell};
use super::venue::Venue;

fn two_queues(gateway: &str) {
    let Some(mut venue) = Venue::with(&config_text(gateway, ""), 2, "") else { return };
    let users = ["ALICE", "BOB"];
    let mut known: [Vec<Vec<u8>>; 2] = [vec![], vec![]];
    // Each connection has another port, and so one queue or the other.
    for round in 1..=30u32 {
        let mut clients = users.map(|user| venue.client(user, 1));
        for (client, known) in clients.iter_mut().zip(&mut known) {
            for message in known.iter() {
                assert!(client.message(PATIENCE).unwrap() == *message, "round {round}");
            }
        }
        let [alice, bob] = &mut clients;
        let mut take = |of: usize, client: &mut Client| {
            let message = client.message(PATIENCE).unwrap();
            known[of].push(message.clone());
            Answer::parse(&message)
        };
        if round == 1 {
            assert!(matches!(take(0, alice), Answer::SystemEvent { .. }));
            assert!(matches!(take(1, bob), Answer::SystemEvent { .. }));
        } else if round % 2 == 0 {
            // The lost session's cancel, asked for at the gateway that it was lost at.
            assert!(matches!(take(0, alice), Answer::Canceled { quantity: 40, .. }));
        }
        alice.send(&sell(round, 100, "100.00").encode()).unwrap();
        assert!(matches!(take(0, alice), Answer::Accepted { .. }));
        bob.send(&buy(round, 60, "100.00").encode()).unwrap();
        assert!(matches!(take(1, bob), Answer::Accepted { .. }));
        assert!(matches!(take(1, bob), Answer::Executed { quantity: 60, .. }));
        assert!(matches!(take(0, alice), Answer::Executed { quantity: 60, .. }));
        if round % 2 == 0 {
            alice.send(&cancel(round, 0)).unwrap();
            assert!(matches!(take(0, alice), Answer::Canceled { quantity: 40, .. }));
        }
        drop(clients);
        venue.wait_for("both connections to end", |venue| {
            let closed = |prefix| venue.counter(&format!("{prefix}.connections_closed"));
            closed("gateway") + closed("gateway1") == 2 * u64::from(round)
        });
    }
    let opened =
        [venue.counter("gateway.logins_accepted"), venue.counter("gateway1.logins_accepted")];
    assert!(opened.iter().all(|count| *count >= 5), "both queues are used: {opened:?}");
    let config = venue.config.clone();
    let stopped = venue.stop();
    let recovered = recover(&journal_dir(&config), &config).unwrap();
    assert_eq!(recovered.state_hash(), stopped.state_hash);
}

#[test]
fn users_move_between_queues_and_their_streams_go_with_them() {
    two_queues("topology = \"inline\"");
}

#[test]
fn users_move_between_queues_of_a_pipeline() {
    two_queues("topology = \"pipeline\"");
}

#[test]
fn users_move_between_queues_behind_the_last_of_several_books() {
    two_queues("topology = \"pipeline\"\nbooks = 3");
}

#[test]
fn a_user_has_one_live_login_over_all_queues() {
    let Some(venue) = Venue::with(&config_text("", ""), 2, "") else { return };
    let mut first = venue.client("ALICE", 0);
    for _ in 0..10 {
        let second = Client::login(venue.address, "ALICE", "secret", 0);
        assert!(matches!(second, Err(LoginError::Rejected('S'))));
    }
    enter(&mut first, &buy(1, 1, "90.00"));
}
