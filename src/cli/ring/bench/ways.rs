//! The ways of passing records that are measured.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;

use crossbeam_queue::ArrayQueue;
use zerocopy::FromBytes;

use super::harness::{In, Item, Out};
use crate::ring::region::Receiver;
use crate::ring::{Consumer, Producer, Record};

/// A record of every way here: plain bytes.
pub trait Plain: Item + Record + FromBytes {}

impl<R: Item + Record + FromBytes> Plain for R {}

impl<R: Item> Out<R> for Producer<R> {
    #[inline(always)]
    fn put(&mut self, record: &R) -> bool {
        self.stage(record)
    }

    #[inline(always)]
    fn publish(&mut self) {
        Producer::publish(self);
    }
}

impl<R: Item> In<R> for Consumer<R> {
    #[inline(always)]
    fn take(&mut self, most: usize, see: impl FnMut(&R)) -> usize {
        self.pop_batch(most, see)
    }
}

impl<R: Item + Record> In<R> for Receiver<R> {
    #[inline(always)]
    fn take(&mut self, most: usize, see: impl FnMut(&R)) -> usize {
        self.pop_batch(most, see).expect("any bytes are a record")
    }
}

/// crossbeam's queue, for any number of ends.
pub struct Array<R>(pub Arc<ArrayQueue<R>>);

impl<R: Item> Out<R> for Array<R> {
    #[inline(always)]
    fn put(&mut self, record: &R) -> bool {
        self.0.push(*record).is_ok()
    }
}

impl<R: Item> In<R> for Array<R> {
    #[inline(always)]
    fn take(&mut self, most: usize, mut see: impl FnMut(&R)) -> usize {
        let mut taken = 0;
        while taken < most {
            let Some(record) = self.0.pop() else { break };
            see(&record);
            taken += 1;
        }
        taken
    }
}

/// The writing end of a socket or a pipe that does not block: what is published goes in one system call.
pub struct Wire<W> {
    to: W,
    bytes: Vec<u8>,
}

impl<W> Wire<W> {
    pub fn new(to: W) -> Wire<W> {
        Wire { to, bytes: Vec::new() }
    }
}

impl<R: Plain, W: Write> Out<R> for Wire<W> {
    fn put(&mut self, record: &R) -> bool {
        self.bytes.extend_from_slice(record.as_bytes());
        true
    }

    fn publish(&mut self) {
        let mut sent = 0;
        while sent < self.bytes.len() {
            match self.to.write(&self.bytes[sent..]) {
                Ok(bytes) => sent += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("the other end is gone: {error}"),
            }
        }
        self.bytes.clear();
    }
}

/// The reading end.
pub struct Unwire<T> {
    from: T,
    bytes: Vec<u8>,
    begin: usize,
    end: usize,
}

impl<T> Unwire<T> {
    pub fn new(from: T) -> Unwire<T> {
        Unwire { from, bytes: vec![0; 1 << 16], begin: 0, end: 0 }
    }
}

impl<R: Plain, T: Read> In<R> for Unwire<T> {
    fn take(&mut self, most: usize, mut see: impl FnMut(&R)) -> usize {
        if self.end - self.begin < size_of::<R>() {
            self.bytes.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
            match self.from.read(&mut self.bytes[self.end..]) {
                Ok(0) => panic!("the other end is gone"),
                Ok(bytes) => self.end += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return 0,
                Err(error) => panic!("the other end is gone: {error}"),
            }
        }
        let there = ((self.end - self.begin) / size_of::<R>()).min(most);
        for _ in 0..there {
            let (record, _) =
                R::read_from_prefix(&self.bytes[self.begin..self.end]).expect("enough bytes");
            see(&record);
            self.begin += size_of::<R>();
        }
        there
    }
}
