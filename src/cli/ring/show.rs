//! `millrace ring show`

use std::time::Duration;

use super::{Outcome, Which, now_ns};
use crate::ring::region::{self, Life, Sight};

/// Print what a ring is, who is at its ends, and how far each is. Changes nothing.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let place = arguments.which.place()?;
    let sight = region::look(&place)?;
    if arguments.json {
        println!("{}", json(&sight));
        return Ok(());
    }
    let now_ns = now_ns();
    println!("{}", place.ring().display());
    let line = |what: &str, value: String| println!("  {what:<12}{value}");
    line("kind", format!("{}, layout version {}", sight.kind, sight.version));
    let (bytes, name) = (sight.record_bytes, &sight.record_name);
    let stride = sight.stride_bytes;
    line("records", format!("{name}, {bytes} bytes, one each {stride} bytes"));
    let (capacity, file) = (sight.capacity, sight.file_bytes);
    line("capacity", format!("{capacity} records, {file} bytes with the header"));
    line("made", format!("{} ago", ago(sight.made_ns, now_ns)));
    line("writer", life(&sight.writer, sight.writer_lives, now_ns));
    line("written", sight.written.to_string());
    if let Some(reader) = &sight.reader {
        line("reader", life(&reader.life, reader.lives, now_ns));
        line("read", reader.read.to_string());
        match sight.written.checked_sub(reader.read) {
            Some(unread) if unread <= sight.capacity => {
                line(
                    "unread",
                    format!("{unread}, {} % of the ring", unread * 100 / sight.capacity),
                );
            }
            _ => line("unread", "cannot be said: the reader's index is not the writer's".into()),
        }
    }
    Ok(())
}

fn life(life: &Life, lives: bool, now_ns: u64) -> String {
    let Life { pid, epoch, beat_ns } = *life;
    match (epoch, lives) {
        (0, _) => "nobody so far".to_owned(),
        (_, true) => {
            let beat = ago(beat_ns, now_ns);
            format!("process {pid}, heard of {beat} ago; {epoch} so far")
        }
        (_, false) => {
            let beat = ago(beat_ns, now_ns);
            format!("gone; was process {pid}, heard of {beat} ago; {epoch} so far")
        }
    }
}

fn ago(then_ns: u64, now_ns: u64) -> String {
    let since = Duration::from_nanos(now_ns.saturating_sub(then_ns));
    match since.as_secs() {
        0..100 => format!("{:.1} s", since.as_secs_f64()),
        seconds @ 100..6_000 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

fn json(sight: &Sight) -> serde_json::Value {
    let life = |life: &Life, lives| {
        let Life { pid, epoch, beat_ns } = *life;
        serde_json::json!({ "pid": pid, "epoch": epoch, "beat_ns": beat_ns, "lives": lives })
    };
    let reader = sight.reader.as_ref().map(|reader| {
        let mut value = life(&reader.life, reader.lives);
        value["read"] = reader.read.into();
        value["unread"] = sight.written.saturating_sub(reader.read).into();
        value
    });
    serde_json::json!({
        "kind": sight.kind.to_string(),
        "version": sight.version,
        "capacity": sight.capacity,
        "record": sight.record_name,
        "record_bytes": sight.record_bytes,
        "stride_bytes": sight.stride_bytes,
        "file_bytes": sight.file_bytes,
        "made_ns": sight.made_ns,
        "written": sight.written,
        "writer": life(&sight.writer, sight.writer_lives),
        "reader": reader,
    })
}
