//! Files: their names, and what becomes of one that is closed.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// `audit-20260701-0001.log`: the day in UTC, and a number that counts through the directory's day.
pub(super) fn name_of(day: &str, number: u32) -> String {
    format!("audit-{day}-{number:04}.log")
}

/// Every audit file of a directory, oldest first.
pub(super) fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = vec![];
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        let ours =
            name.starts_with("audit-") && (name.ends_with(".log") || name.ends_with(".log.zst"));
        if ours {
            files.push(path);
        }
    }
    // Names sort as their times do.
    files.sort();
    Ok(files)
}

/// The number after the highest of a day.
pub(super) fn next_number(dir: &Path, day: &str) -> io::Result<u32> {
    let prefix = format!("audit-{day}-");
    let number = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?;
        name.strip_prefix(&prefix)?.split('.').next()?.parse::<u32>().ok()
    };
    Ok(list(dir)?.iter().filter_map(number).max().unwrap_or(0) + 1)
}

/// Compresses a closed file beside it, then removes it. What was there in part, because a process
/// ended in the middle of this, is made again.
pub(super) fn compress(path: &Path) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".zst.part");
    let part = PathBuf::from(part);
    let mut from = File::open(path)?;
    let mut to = zstd::Encoder::new(BufWriter::new(File::create(&part)?), 3)?;
    io::copy(&mut from, &mut to)?;
    let mut file = to.finish()?;
    file.flush()?;
    file.get_ref().sync_all()?;
    std::fs::rename(&part, part.with_extension(""))?;
    std::fs::remove_file(path)
}
