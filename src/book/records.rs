//! What goes through the book, as records of rings that other processes read. Another layout has another
//! name: raise the number with any change to one.

use crate::order::{Command, Event};
use crate::ring::Record;

impl Record for Command {
    const NAME: &'static str = "millrace.command.1";
    const EMPTY: Command = Command::EMPTY;
}

impl Record for Event {
    const NAME: &'static str = "millrace.event.1";
    const EMPTY: Event = Event::EMPTY;
}
