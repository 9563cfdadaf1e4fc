//! Which transport the end-to-end tests run on: kernel sockets on loopback, or what
//! `MILLRACE_TEST_TRANSPORT` names between two network namespaces, for each test's thread its
//! own.

use std::cell::RefCell;

use millrace::client::playground::{self, Carrier, Playground};

/// The argon2id hash of `secret` with little work: plain passwords are for loopback.
const SECRET: &str =
    "$argon2id$v=19$m=8,t=1,p=1$bWlsbHJhY2U$y/IpJydpDyR/9GC9DkZ6Axt/XkiKIo2/AraVVKYSc3M";

thread_local! {
    static PLAYGROUND: RefCell<Option<Playground>> = const { RefCell::new(None) };
}

/// What `MILLRACE_TEST_TRANSPORT` names: `kernel`, `af_xdp`, or `dpdk` with one of the drivers for
/// virtual devices behind it, `dpdk:net_af_packet` or `dpdk:net_af_xdp`.
pub fn carrier() -> Carrier {
    match std::env::var("MILLRACE_TEST_TRANSPORT").as_deref() {
        Ok("kernel") | Err(_) => Carrier::Kernel,
        Ok("af_xdp") => Carrier::AfXdp(vec![0]),
        Ok("dpdk:net_af_packet") => Carrier::Dpdk("net_af_packet"),
        Ok("dpdk:net_af_xdp") => Carrier::Dpdk("net_af_xdp"),
        Ok(other) => panic!("MILLRACE_TEST_TRANSPORT={other}: see tests/common/transport.rs"),
    }
}

pub fn is_kernel() -> bool {
    carrier() == Carrier::Kernel
}

/// A test's configuration, as the transport wants it, and with as many books as `MILLRACE_TEST_BOOKS` says.
pub fn adapt(text: &str) -> String {
    let text = match std::env::var("MILLRACE_TEST_BOOKS") {
        Ok(books) => with_books(text, &books),
        Err(_) => text.to_owned(),
    };
    if is_kernel() { text } else { over(&text, &carrier(), "") }
}

fn with_books(text: &str, books: &str) -> String {
    let pipeline = "topology = \"pipeline\"\n";
    let text = text.replace("topology = \"inline\"\n", pipeline);
    let own = if text.contains(pipeline) { "" } else { pipeline };
    text.replacen("[gateway]\n", &format!("[gateway]\nbooks = {books}\n{own}"), 1)
}

/// The same on another transport, with more lines at the end.
pub fn over(text: &str, carrier: &Carrier, more: &str) -> String {
    format!("{}{more}\n", playground::adapt(text, carrier, SECRET))
}

/// Does something on the gateway's host. Afterwards this thread is on the client's.
pub fn on_server<R>(what: impl FnOnce() -> R) -> R {
    if is_kernel() {
        return what();
    }
    with_playground(1, |playground| {
        let result = playground.server.run(what).unwrap();
        playground.client.enter().unwrap();
        result
    })
}

/// This thread's two hosts, made when first asked for.
pub fn with_playground<R>(queues: u32, what: impl FnOnce(&Playground) -> R) -> R {
    PLAYGROUND.with(|playground| {
        let mut playground = playground.borrow_mut();
        what(playground.get_or_insert_with(|| Playground::new(queues).unwrap()))
    })
}
