//! Files of ITCH 5.0 messages as the exchange has them: each behind its length in two bytes, big-endian; packed by
//! gzip or not.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::lab::LabError;

/// Hands out each message of a file.
pub fn each<E: From<LabError>>(
    path: &Path,
    mut see: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let file = File::open(path).map_err(LabError::io("open", path))?;
    let mut packed = [0; 2];
    {
        use std::os::unix::fs::FileExt;
        let _ = file.read_at(&mut packed, 0).map_err(LabError::io("read", path))?;
    }
    let reader: Box<dyn Read> = if packed == [0x1F, 0x8B] {
        Box::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 20, file)))
    } else {
        Box::new(file)
    };
    let mut reader = BufReader::with_capacity(1 << 20, reader);
    let (mut at, mut number, mut bytes) = (0u64, 0u64, vec![0; 65_536]);
    loop {
        let mut length = [0; 2];
        match reader.read_exact(&mut length[..1]) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(LabError::io("read", path)(error).into()),
        }
        let cut = |error: std::io::Error| match error.kind() {
            ErrorKind::UnexpectedEof => LabError::Format {
                path: path.to_owned(),
                what: format!("it ends within message {}, which begins at byte {at}", number + 1),
            },
            _ => LabError::io("read", path)(error),
        };
        reader.read_exact(&mut length[1..]).map_err(cut)?;
        let length = usize::from(u16::from_be_bytes(length));
        reader.read_exact(&mut bytes[..length]).map_err(cut)?;
        if length == 0 {
            let what = format!("at byte {at} stands a message of no bytes: this is no ITCH file");
            return Err(LabError::Format { path: path.to_owned(), what }.into());
        }
        see(&bytes[..length])?;
        at += 2 + length as u64;
        number += 1;
    }
}
