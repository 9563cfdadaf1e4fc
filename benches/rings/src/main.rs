//! millrace's ring next to `iceoryx2` and `rtrb`, in one process and across two, in turn in one run.
//! `cargo run --release --manifest-path benches/rings/Cargo.toml`; iceoryx2 needs libclang to be built.
//!
//! What is done with each is what `millrace ring bench` does, from the same file.

#[path = "../../../src/cli/ring/bench/harness.rs"]
mod harness;

use std::error::Error;
use std::process::{Child, Command};
use std::time::Instant;

use harness::{Figures, In, Out, Plan, answer, ask, in_process, median, pin};
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::PortFactory as _;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;
use iceoryx2_bb_lock_free::spsc::queue;
use millrace::ring::region::{self, Place, RegionError, Start, Terms};

const CAPACITY: usize = 4096;
const RUNS: usize = 5;

/// What fills a cache line with the word of millrace's ring.
type Record = [u64; 7];

#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    Millrace,
    Rtrb,
    IceoryxQueue,
    MillraceAcross,
    IceoryxAcross,
}

const ALL: [(Way, &str); 5] = [
    (Way::Millrace, "millrace, in one process"),
    (Way::Rtrb, "rtrb, in one process"),
    (Way::IceoryxQueue, "iceoryx2's SPSC queue, in one"),
    (Way::MillraceAcross, "millrace, two processes"),
    (Way::IceoryxAcross, "iceoryx2 publish-subscribe, two"),
];

const PLAN: Plan = Plan { trips: 100_000, stream: 4_000_000, batch: 64 };

struct Sending<'a>(&'a mut millrace::ring::Producer<Record>);
struct Receiving(millrace::ring::Consumer<Record>);
struct ReceivingAcross(region::Receiver<Record>);

impl Out<Record> for Sending<'_> {
    #[inline(always)]
    fn put(&mut self, record: &Record) -> bool {
        self.0.stage(record)
    }

    #[inline(always)]
    fn publish(&mut self) {
        self.0.publish();
    }
}

impl In<Record> for Receiving {
    #[inline(always)]
    fn take(&mut self, most: usize, see: impl FnMut(&Record)) -> usize {
        self.0.pop_batch(most, see)
    }
}

impl In<Record> for ReceivingAcross {
    #[inline(always)]
    fn take(&mut self, most: usize, see: impl FnMut(&Record)) -> usize {
        self.0.pop_batch(most, see).expect("any bytes are a record")
    }
}

/// rtrb as it is used most; `cargo bench --bench ring` has its chunks.
struct Rtrb<T>(T);

impl Out<Record> for Rtrb<rtrb::Producer<Record>> {
    #[inline(always)]
    fn put(&mut self, record: &Record) -> bool {
        self.0.push(*record).is_ok()
    }
}

impl In<Record> for Rtrb<rtrb::Consumer<Record>> {
    #[inline(always)]
    fn take(&mut self, most: usize, mut see: impl FnMut(&Record)) -> usize {
        let Ok(chunk) = self.0.read_chunk(self.0.slots().min(most)) else { return 0 };
        let count = chunk.len();
        let (first, second) = chunk.as_slices();
        first.iter().chain(second).for_each(&mut see);
        chunk.commit_all();
        count
    }
}

impl Out<Record> for queue::Producer<'_, Record, CAPACITY> {
    #[inline(always)]
    fn put(&mut self, record: &Record) -> bool {
        self.push(record)
    }
}

impl In<Record> for queue::Consumer<'_, Record, CAPACITY> {
    #[inline(always)]
    fn take(&mut self, most: usize, mut see: impl FnMut(&Record)) -> usize {
        let mut taken = 0;
        while taken < most {
            let Some(record) = self.pop() else { break };
            see(&record);
            taken += 1;
        }
        taken
    }
}

type Service = ipc::Service;

impl Out<Record> for Publisher<Service, Record, ()> {
    #[inline(always)]
    fn put(&mut self, record: &Record) -> bool {
        // Waits for room.
        let sample = self.loan_uninit().expect("a sample to write");
        sample.write_payload(*record).send().expect("it is sent") == 1
    }
}

impl In<Record> for Subscriber<Service, Record, ()> {
    #[inline(always)]
    fn take(&mut self, most: usize, mut see: impl FnMut(&Record)) -> usize {
        let mut taken = 0;
        while taken < most {
            let Some(sample) = self.receive().expect("it can be received") else { break };
            see(sample.payload());
            taken += 1;
        }
        taken
    }
}

fn service(
    node: &Node<Service>,
    name: &str,
) -> Result<PortFactory<Service, Record, ()>, Box<dyn Error>> {
    let builder = node.service_builder(&name.try_into()?).publish_subscribe::<Record>();
    let builder = builder.max_publishers(1).max_subscribers(1).enable_safe_overflow(false);
    Ok(builder.subscriber_max_buffer_size(CAPACITY).history_size(0).open_or_create()?)
}

fn wait_for_reader(service: &PortFactory<Service, Record, ()>) {
    while service.dynamic_config().number_of_subscribers() == 0 {
        std::thread::yield_now();
    }
}

fn other(way: Way, id: u32, core: usize) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args([format!("{way:?}"), id.to_string(), core.to_string()])
        .spawn()
}

fn ended(mut child: Child, figures: Figures) -> Result<Figures, Box<dyn Error>> {
    if child.wait()?.success() { Ok(figures) } else { Err("the other process failed".into()) }
}

fn places(id: u32) -> Result<[Place; 2], RegionError> {
    let place = |way| Place::new(Place::DIR, &format!("millrace-rings-{id}-{way}"));
    Ok([place("there")?, place("back")?])
}

fn receive(place: &Place) -> Result<region::Receiver<Record>, RegionError> {
    loop {
        match region::receive(place, Start::Onward) {
            Err(RegionError::NotThere { .. }) => std::thread::yield_now(),
            done => return done,
        }
    }
}

fn measure(way: Way, cores: [usize; 2]) -> Result<Figures, Box<dyn Error>> {
    let id = std::process::id();
    let terms = Terms { capacity: CAPACITY, ..Terms::default() };
    match way {
        Way::Millrace => {
            let (mut out, there) = millrace::ring::on_heap(CAPACITY, [0; 7]);
            let (mut answers, back) = millrace::ring::on_heap(CAPACITY, [0; 7]);
            let others = (Receiving(there), Sending(&mut answers));
            Ok(in_process(cores, PLAN, (Sending(&mut out), Receiving(back)), others))
        }
        Way::Rtrb => {
            let (out, there) = rtrb::RingBuffer::new(CAPACITY);
            let (answers, back) = rtrb::RingBuffer::new(CAPACITY);
            Ok(in_process(cores, PLAN, (Rtrb(out), Rtrb(back)), (Rtrb(there), Rtrb(answers))))
        }
        Way::IceoryxQueue => {
            let queues = Box::new([(); 2].map(|()| queue::Queue::<Record, CAPACITY>::new()));
            let [there, back] = &*queues;
            let ends =
                (there.acquire_producer().ok_or("taken")?, back.acquire_consumer().ok_or("taken")?);
            let others =
                (there.acquire_consumer().ok_or("taken")?, back.acquire_producer().ok_or("taken")?);
            Ok(in_process(cores, PLAN, ends, others))
        }
        Way::MillraceAcross => {
            let places = places(id)?;
            let mut out = region::send(&places[0], &terms)?;
            let child = other(way, id, cores[1])?;
            let mut back = ReceivingAcross(receive(&places[1])?);
            pin(cores[0]);
            let figures = ask(&mut Sending(&mut out), &mut back, PLAN);
            for place in &places {
                std::fs::remove_file(place.ring())?;
                std::fs::remove_file(place.reader())?;
            }
            ended(child, figures)
        }
        Way::IceoryxAcross => {
            let node = NodeBuilder::new().create::<Service>()?;
            let there = service(&node, &format!("millrace/{id}/there"))?;
            let back = service(&node, &format!("millrace/{id}/back"))?;
            let mut out = there.publisher_builder().create()?;
            let mut answers = back.subscriber_builder().create()?;
            let child = other(way, id, cores[1])?;
            wait_for_reader(&there);
            pin(cores[0]);
            let figures = ask::<Record>(&mut out, &mut answers, PLAN);
            ended(child, figures)
        }
    }
}

/// The other process.
fn be_the_other(way: &str, id: u32, core: usize) -> Result<(), Box<dyn Error>> {
    pin(core);
    if way == "MillraceAcross" {
        let places = places(id)?;
        let mut there = ReceivingAcross(receive(&places[0])?);
        let terms = Terms { capacity: CAPACITY, ..Terms::default() };
        let mut out = region::send(&places[1], &terms)?;
        answer(&mut there, &mut Sending(&mut out), PLAN);
        return Ok(());
    }
    let node = NodeBuilder::new().create::<Service>()?;
    let there = service(&node, &format!("millrace/{id}/there"))?;
    let back = service(&node, &format!("millrace/{id}/back"))?;
    let mut out = back.publisher_builder().create()?;
    wait_for_reader(&back);
    let mut asked = there.subscriber_builder().create()?;
    answer::<Record>(&mut asked, &mut out, PLAN);
    // Not gone before the last answer was taken.
    let waits = Instant::now();
    while there.dynamic_config().number_of_publishers() > 0 && waits.elapsed().as_secs() < 5 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    set_log_level(LogLevel::Error);
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, way, id, core] = &arguments[..] {
        return be_the_other(way, id.parse()?, core.parse()?);
    }
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let [first, second, ..] = cores[..] else {
        println!("rings: needs two cores");
        return Ok(());
    };
    let mut figures = vec![vec![]; ALL.len()];
    for _ in 0..RUNS {
        for (figures, (way, _)) in figures.iter_mut().zip(ALL) {
            figures.push(measure(way, [first.id, second.id])?);
        }
    }
    println!("Records of 56 bytes, medians of {RUNS} runs in turn");
    println!("  {:<34}{:>14}{:>16}", "", "there and back", "stream");
    let medians: Vec<(f64, f64)> = figures
        .iter()
        .map(|runs| {
            let trip = median(runs.iter().map(|f: &Figures| f.trip_ns).collect());
            (trip, median(runs.iter().map(|f| f.stream_ns).collect()))
        })
        .collect();
    for ((_, name), (trip, stream)) in ALL.iter().zip(&medians) {
        println!("  {name:<34}{trip:>11.1} ns{:>12.1} M/s", 1e3 / stream);
    }
    let [_, _, _, ours, theirs] = medians[..] else { unreachable!() };
    println!(
        "Two processes, millrace / iceoryx2: there and back {:.2}, stream {:.2} of its time",
        ours.0 / theirs.0,
        ours.1 / theirs.1
    );
    Ok(())
}
