//! Several books say what one says, byte for byte, whoever of them is late.

use crate::book::drawn::{Draw, SLOTS, SYMBOLS, command, definitions};
use crate::book::{
    Book, BookAgent, Books, Capacity, Events, Outlet, Places, Progress, RingReports, digest, listen,
};
use crate::feed::Follower;
use crate::gateway::{Names, Page, Voice};
use crate::journal::Durable;
use crate::order::{
    Command, CommandKind, Event, EventKind, Feedback, FirmId, NUMBERS_BY_PLACE, SeqNum, UserId,
};
use crate::ring::on_heap;
use crate::wire::Protocol;
use crate::wire::fix::Version;

const USERS: usize = 4;
const GATEWAYS: usize = 2;
const PROTOCOLS: [Protocol; USERS] = [
    Protocol::Ouch50,
    Protocol::Ouch50,
    Protocol::Fix(Version::Fix44),
    Protocol::Fix(Version::Fix42),
];

/// What risk fed nothing back to.
struct Unheard;

impl Outlet for Unheard {
    fn has_room(&mut self, _: usize) -> bool {
        true
    }
    fn event(&mut self, _: UserId, write: impl FnOnce(&mut Event)) {
        write(&mut { Event::EMPTY });
    }
    fn feedback(&mut self, _: &Feedback) {}
}

/// Definitions and so many random commands, and now and then a stream that moves, as a sequencer hands them out.
fn recorded(seed: u64, count: u64) -> Vec<Command> {
    let mut book = Book::new(Capacity { orders: SLOTS, symbols: SYMBOLS });
    let (mut draw, mut all) = (Draw(seed), vec![]);
    let mut key = Command::new(CommandKind::DefineNumbers, UserId(0), FirmId(0));
    key.qty = NUMBERS_BY_PLACE;
    key.text[..12].copy_from_slice(b"a secret key");
    let mut home = [0; USERS];
    let mut seq = 0;
    let mut definitions = std::iter::once(key).chain(definitions());
    while seq < count {
        if seq > 20 && draw.below(50) == 0 {
            let user = draw.below(USERS as u64) as usize;
            let mut moves = Command::new(CommandKind::MoveStream, UserId(user as u16), FirmId(0));
            home[user] = 1 - home[user];
            moves.qty = home[user];
            all.push(moves);
        }
        seq += 1;
        let next = definitions.next().unwrap_or_else(|| command(&mut draw, &book, seq));
        let next = Command { seq: SeqNum(seq), time_ns: seq * 1_000_003, ..next };
        book.apply(&next, &mut RingReports::new(Unheard));
        all.push(next);
    }
    all
}

/// What everybody was told, what listeners heard, and how it ends.
#[derive(PartialEq, Debug)]
struct Outcome {
    streams: Vec<Vec<u8>>,
    heard: Vec<SeqNum>,
    digest: u64,
}

/// Hands recorded commands to so many books over small rings; `seed` decides who runs when.
fn run(commands: &[Command], books: usize, seed: u64) -> Outcome {
    let mut draw = Draw(seed);
    let of: Vec<u8> = (0..SYMBOLS).map(|symbol| (symbol as usize % books) as u8).collect();
    let places = Places::new(books, &of);
    let (known, rest) = commands.split_at(1 + USERS + usize::from(SYMBOLS));
    let mut book = Book::new(Capacity { orders: SLOTS, symbols: SYMBOLS });
    known.iter().for_each(|command| book.apply(command, &mut RingReports::new(Unheard)));
    let last = known.last().unwrap().seq;
    let progress = Progress::new(books, last);
    let (mut to_books, mut agents, mut feedbacks, mut heard) = (vec![], vec![], vec![], vec![]);
    let mut from_books: Vec<Vec<_>> = (0..GATEWAYS).map(|_| vec![]).collect();
    for (at, book) in book.split(&places).into_iter().enumerate() {
        let (to_book, commands) = on_heap(32, Command::EMPTY);
        let (feedback, feedback_end) = on_heap(32, Feedback::EMPTY);
        let mut to_gateways = vec![];
        for of_gateway in &mut from_books {
            let (events, end) = on_heap(32, Event::EMPTY);
            to_gateways.push(events);
            of_gateway.push(end);
        }
        let mut agent = BookAgent::new(book, commands, to_gateways, USERS, feedback);
        if books > 1 {
            agent.set_place(at, progress.clone(), last);
        }
        let (listener, end) = on_heap(4_096, Command::EMPTY);
        let (listener, end) = listen(listener, end);
        agent.add_listener(listener);
        heard.push(end);
        to_books.push(to_book);
        agents.push(agent);
        feedbacks.push(feedback_end);
    }
    let mut sequencer = match books {
        1 => Books::one(to_books.remove(0)),
        _ => Books::several(to_books, places.clone(), progress.clone(), last),
    };
    let mut gateways: Vec<Events> = from_books
        .into_iter()
        .map(|mut rings| match books {
            1 => Events::one(rings.remove(0)),
            _ => Events::several(rings, progress.clone()),
        })
        .collect();
    let nowhere = std::env::temp_dir().join("no-journal-here");
    let durable = Durable::new(SeqNum(0));
    let mut follower = Follower::new(heard, &nowhere, durable, false, last);

    let names = Names {
        symbols: vec![*b"SY0     ", *b"SY1     ", *b"SY2     "],
        firms: vec![*b"FRM0", *b"FRM1", *b"FRM2", *b"FRM3"],
        users: (0..USERS as u16).map(FirmId).collect(),
        user_names: vec![*b"USER0 ", *b"USER1 ", *b"USER2 ", *b"USER3 "],
        ..Names::default()
    };
    let mut voices = PROTOCOLS.map(|protocol| Voice::new(protocol, "M", "C"));
    let mut page = Page::default();
    let (mut home, mut told_all) = ([0; USERS], [0; USERS]);
    let mut outcome = Outcome { streams: vec![vec![]; USERS], heard: vec![], digest: 0 };
    let mut rest = rest.iter().peekable();
    let mut quiet = 0;
    while quiet < 1_000 {
        let mut work = 0;
        match draw.below(4) {
            0 => {
                for _ in 0..draw.below(8) {
                    let Some(command) = rest.peek().filter(|_| sequencer.has_room()) else { break };
                    let moves = command.kind == CommandKind::MoveStream;
                    // Only the gateway that has a stream asks for another to have it.
                    if moves && home[command.user.index()] == command.qty as usize {
                        break;
                    }
                    let staged = if moves {
                        sequencer.stage_for_all(command)
                    } else {
                        sequencer.stage(command)
                    };
                    assert!(staged, "room was asked for");
                    rest.next();
                    work += 1;
                }
                sequencer.publish();
            }
            1 => {
                let at = draw.below(books as u64) as usize;
                let paused = usize::from(agents[at].book.is_paused());
                work += agents[at].poll() - paused;
                feedbacks[at].pop_batch(usize::MAX, |_| ());
            }
            2 => {
                let at = draw.below(GATEWAYS as u64) as usize;
                let most = 1 + draw.below(20) as usize;
                work += gateways[at].pop_while(most, |event| {
                    let user = event.user.index();
                    if home[user] != at {
                        // On its way here.
                        return false;
                    }
                    if event.kind == EventKind::StreamMoved {
                        told_all[user] += 1;
                        if told_all[user] == books {
                            (home[user], told_all[user]) = (event.qty as usize, 0);
                        }
                    } else {
                        let packet = voices[user].encode(event, &names, &mut page);
                        outcome.streams[user].extend_from_slice(packet);
                    }
                    true
                });
            }
            _ => {
                let heard = &mut outcome.heard;
                work += follower
                    .poll(16, |command| {
                        heard.push(command.seq);
                        true
                    })
                    .unwrap();
            }
        }
        quiet = if work > 0 { 0 } else { quiet + 1 };
    }
    assert!(rest.next().is_none(), "all were handed out");
    assert!(gateways.iter_mut().all(Events::is_empty), "and everything told");
    assert!(agents.iter_mut().all(BookAgent::is_idle) && sequencer.are_drained());
    let all: Vec<&Book> = agents.iter().map(|agent| &agent.book).collect();
    outcome.digest = digest(&all, &places);
    outcome
}

#[test]
fn several_books_say_what_one_says() {
    for seed in 1..=24 {
        let commands = recorded(seed, 2_500);
        let one = run(&commands, 1, seed);
        let last = commands.iter().map(|command| command.seq).max().unwrap();
        assert_eq!(one.heard.last(), Some(&last));
        assert!(one.streams.iter().all(|stream| stream.len() > 10_000), "they hear of something");
        for books in 2..=4 {
            let several = run(&commands, books, seed * 31 + books as u64);
            assert!(several == one, "seed {seed}, {books} books");
        }
    }
}

#[test]
fn books_are_split_and_hashed_as_one() {
    let mut book = Book::new(Capacity { orders: SLOTS, symbols: SYMBOLS });
    let commands = recorded(5, 4_000);
    let (before, behind) = commands.split_at(2_000);
    let mut reports = RingReports::new(Unheard);
    before.iter().for_each(|command| book.apply(command, &mut reports));
    let places = Places::new(2, &[0, 1, 0]);
    let mut parts = book.replica().split(&places);
    let hash = |parts: &[Book]| digest(&parts.iter().collect::<Vec<_>>(), &places);
    assert_eq!(hash(&parts), book.digest());
    assert_eq!(parts.iter().map(Book::open_orders).sum::<u32>(), book.open_orders());
    for command in behind {
        book.apply(command, &mut reports);
        parts[places.of_command(command)].apply(command, &mut reports);
    }
    assert_eq!(hash(&parts), book.digest());
}
