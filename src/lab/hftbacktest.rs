//! A market as hftbacktest reads it: a NumPy array of its event records, order by order (its level-3 feed).
//!
//! Layout and bits are those of hftbacktest's documentation, "Data": fields `ev`, `exch_ts`, `local_ts`, `px`, `qty`,
//! `order_id`, `ival`, `fval`.

use std::collections::HashMap;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use super::replay::MarketSource;
use super::row::{Kind, Row};
use super::table::LabError;
use crate::order::Price;

/// Kinds of events.
const TRADE: u64 = 2;
const ADD_ORDER: u64 = 10;
const CANCEL_ORDER: u64 = 11;
const MODIFY_ORDER: u64 = 12;
const FILL: u64 = 13;
/// Whose clock an event counts on, and whose side it is of.
const EXCHANGE: u64 = 1 << 31;
const LOCAL: u64 = 1 << 30;
const BUY: u64 = 1 << 29;
const SELL: u64 = 1 << 28;

/// Bytes in front of the array: NumPy's header, padded.
const HEADER_BYTES: usize = 256;

fn header(count: u64) -> Vec<u8> {
    let fields = "[('ev', '<u8'), ('exch_ts', '<i8'), ('local_ts', '<i8'), ('px', '<f8'), \
                  ('qty', '<f8'), ('order_id', '<u8'), ('ival', '<i8'), ('fval', '<f8')]";
    let text = format!("{{'descr': {fields}, 'fortran_order': False, 'shape': ({count},), }}");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&((HEADER_BYTES - 10) as u16).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes.resize(HEADER_BYTES - 1, b' ');
    bytes.push(b'\n');
    bytes
}

struct Writer<W> {
    out: W,
    latency_ns: u64,
    count: u64,
    /// Shares that an order has left.
    left: HashMap<u64, (u32, Price)>,
}

impl<W: Write> Writer<W> {
    fn event(
        &mut self,
        kind: u64,
        row: &Row,
        buys: bool,
        price: Price,
        shares: u32,
        order: u64,
    ) -> std::io::Result<()> {
        let side = if buys { BUY } else { SELL };
        let local_ns = if row.local_ns > 0 { row.local_ns } else { row.time_ns + self.latency_ns };
        self.out.write_all(&(kind | EXCHANGE | LOCAL | side).to_le_bytes())?;
        self.out.write_all(&(row.time_ns as i64).to_le_bytes())?;
        self.out.write_all(&(local_ns as i64).to_le_bytes())?;
        self.out.write_all(&(f64::from(price.0) / 10_000.0).to_le_bytes())?;
        self.out.write_all(&f64::from(shares).to_le_bytes())?;
        self.out.write_all(&order.to_le_bytes())?;
        self.out.write_all(&[0; 16])?;
        self.count += 1;
        Ok(())
    }

    fn row(&mut self, row: &Row) -> std::io::Result<()> {
        let buys = row.buys.unwrap_or(true);
        match row.kind {
            Kind::Add => {
                self.left.insert(row.order, (row.shares, row.price));
                self.event(ADD_ORDER, row, buys, row.price, row.shares, row.order)
            }
            Kind::Replace => {
                if let Some((left, price)) = self.left.remove(&row.replaces) {
                    self.event(CANCEL_ORDER, row, buys, price, left, row.replaces)?;
                }
                self.left.insert(row.order, (row.shares, row.price));
                self.event(ADD_ORDER, row, buys, row.price, row.shares, row.order)
            }
            Kind::Execute | Kind::ExecuteAt => {
                // Who took is on the other side.
                self.event(TRADE, row, !buys, row.price, row.shares, 0)?;
                self.event(FILL, row, buys, row.price, row.shares, row.order)?;
                self.lower(row, row.shares, buys)
            }
            Kind::Cancel => self.lower(row, row.shares, buys),
            Kind::Delete => self.lower(row, u32::MAX, buys),
            Kind::Trade => self.event(TRADE, row, true, row.price, row.shares, 0),
        }
    }

    fn lower(&mut self, row: &Row, shares: u32, buys: bool) -> std::io::Result<()> {
        let Some((left, price)) = self.left.get_mut(&row.order) else { return Ok(()) };
        *left = left.saturating_sub(shares);
        let (left, price) = (*left, *price);
        if left > 0 {
            return self.event(MODIFY_ORDER, row, buys, price, left, row.order);
        }
        self.left.remove(&row.order);
        self.event(CANCEL_ORDER, row, buys, price, 0, row.order)
    }
}

/// Writes one symbol of a market; who looks at it does so `latency_ns` later, where nobody recorded when. Returns how
/// many events there are.
pub fn write(
    source: &MarketSource,
    symbol: &str,
    latency_ns: u64,
    path: &Path,
) -> Result<u64, LabError> {
    let failed = || LabError::io("write", path);
    let file = std::fs::File::create(path).map_err(LabError::io("make", path))?;
    let mut out = BufWriter::new(file);
    out.write_all(&header(0)).map_err(failed())?;
    let mut writer = Writer { out, latency_ns, count: 0, left: HashMap::new() };
    source.each::<LabError>(&[symbol.to_owned()], |_, row| {
        writer.row(row).map_err(LabError::io("write", path))
    })?;
    let Writer { mut out, count, .. } = writer;
    out.seek(SeekFrom::Start(0)).map_err(failed())?;
    out.write_all(&header(count)).map_err(failed())?;
    out.flush().map_err(failed())?;
    Ok(count)
}
