//! A gateway on AF_XDP, its clients on the other host.
#![allow(dead_code, reason = "each of two test files uses some of it")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use millrace::client::Client;
use millrace::client::playground::{Carrier, Playground};
use millrace::config::Config;
use millrace::segment::{Segment, Stopped};

use crate::common::transport::{carrier, over};
use crate::common::{PATIENCE, Scratch, config_text};

/// Two hosts; `None`, said, where this process may not make them.
pub fn hosts(queues: u32) -> Option<Playground> {
    match Playground::new(queues) {
        Ok(hosts) => Some(hosts),
        Err(error) => {
            println!("skip: no network namespaces here: {error}");
            None
        }
    }
}

pub struct Venue {
    segment: Option<Segment>,
    pub config: Config,
    pub scratch: Scratch,
    pub hosts: Playground,
    pub address: SocketAddr,
}

impl Venue {
    /// The tests' configuration on one queue of AF_XDP, or on what `MILLRACE_TEST_TRANSPORT` names.
    pub fn start() -> Option<Venue> {
        Venue::with(&config_text("", ""), 1, "")
    }

    /// On as many queues, with more lines at the end. This thread is on the client's host from
    /// here on.
    pub fn with(text: &str, queues: u32, more: &str) -> Option<Venue> {
        match carrier() {
            Carrier::Kernel | Carrier::AfXdp(_) => {
                Venue::on(&Carrier::AfXdp((0..queues).collect()), text, queues, more)
            }
            dpdk => Venue::on(&dpdk, text, queues, more),
        }
    }

    /// On a transport of the caller's choice.
    pub fn on(carrier: &Carrier, text: &str, queues: u32, more: &str) -> Option<Venue> {
        let hosts = hosts(queues)?;
        let text = over(text, carrier, more);
        let mut config = Config::parse(&text, "test").unwrap();
        let scratch = Scratch::new();
        config.gateway.data_dir = scratch.0.clone();
        let segment = hosts.server.run(|| Segment::start(&config)).unwrap().unwrap();
        hosts.client.enter().unwrap();
        let address = segment.addresses()[0];
        Some(Venue { segment: Some(segment), config, scratch, hosts, address })
    }

    pub fn segment(&self) -> &Segment {
        self.segment.as_ref().unwrap()
    }

    pub fn client(&self, user: &str, from: u64) -> Client {
        Client::login(self.address, user, "secret", from).unwrap()
    }

    pub fn counter(&self, name: &str) -> u64 {
        self.segment().counters().get(name).get()
    }

    pub fn wait_for(&self, what: &str, happened: impl Fn(&Venue) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !happened(self) {
            assert!(Instant::now() < deadline, "still not: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn stop(&mut self) -> Stopped {
        self.segment.take().unwrap().stop()
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        if let Some(segment) = self.segment.take() {
            segment.stop();
        }
    }
}
