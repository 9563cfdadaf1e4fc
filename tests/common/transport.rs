//! Which transport the end-to-end tests run on: kernel sockets on loopback, or with
//! `MILLRACE_TEST_TRANSPORT=af_xdp` AF_XDP between two network namespaces, for each test's thread
//! its own.

use std::cell::RefCell;

use millrace::client::playground::{self, Playground};

/// The argon2id hash of `secret` with little work: plain passwords are for loopback.
const SECRET: &str =
    "$argon2id$v=19$m=8,t=1,p=1$bWlsbHJhY2U$y/IpJydpDyR/9GC9DkZ6Axt/XkiKIo2/AraVVKYSc3M";

thread_local! {
    static PLAYGROUND: RefCell<Option<Playground>> = const { RefCell::new(None) };
}

pub fn is_af_xdp() -> bool {
    match std::env::var("MILLRACE_TEST_TRANSPORT").as_deref() {
        Ok("af_xdp") => true,
        Ok("kernel") | Err(_) => false,
        Ok(other) => panic!("MILLRACE_TEST_TRANSPORT={other}: it is kernel or af_xdp"),
    }
}

/// A test's configuration, as the transport wants it.
pub fn adapt(text: &str) -> String {
    if is_af_xdp() { over_af_xdp(text, &[0], "") } else { text.to_owned() }
}

/// The same on AF_XDP, with more lines at the end.
pub fn over_af_xdp(text: &str, queues: &[u32], more: &str) -> String {
    format!("{}{more}\n", playground::adapt(text, "af_xdp", queues, SECRET))
}

/// Does something on the gateway's host. Afterwards this thread is on the client's.
pub fn on_server<R>(what: impl FnOnce() -> R) -> R {
    if !is_af_xdp() {
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
