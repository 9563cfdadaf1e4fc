//! Reading a recording: its rows in the order of their messages, whatever files they are in.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::{Array, StringArray};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::row::Row;
use super::store::{Found, Store};
use super::table::{self, LabError};

/// Rows decoded at once, of each file that is open.
const BATCH_ROWS: usize = 8_192;

/// Reads recordings of one session.
pub struct Recording {
    /// Files that are open or will be, of each symbol in the order of their messages.
    lanes: Vec<Lane>,
    /// Names by the numbers that rows have.
    pub symbols: Vec<String>,
    /// The numbers by the names, where the symbol is a column.
    numbers: HashMap<String, u16>,
    /// The session that is read.
    pub session: String,
    /// Which lane has the next row, where there are several.
    heap: std::collections::BinaryHeap<std::cmp::Reverse<(u64, usize)>>,
}

struct Lane {
    files: std::vec::IntoIter<Found>,
    open: Option<(ParquetRecordBatchReader, PathBuf)>,
    rows: std::vec::IntoIter<Row>,
    next: Option<Row>,
    locate: u16,
}

/// Opens a file and sees that it is one of events.
pub fn open(path: &Path) -> Result<ParquetRecordBatchReader, LabError> {
    let file = File::open(path).map_err(LabError::io("open", path))?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(LabError::parquet(path))?;
    let found = builder.schema();
    for wanted in table::events_schema(false).fields() {
        let no = |what: String| LabError::Schema { path: path.to_owned(), what };
        match found.field_with_name(wanted.name()) {
            Err(_) => return Err(no(format!("it has no column {}", wanted.name()))),
            Ok(field) if !fits(field.data_type(), wanted.data_type()) => {
                let (is, should) = (field.data_type(), wanted.data_type());
                return Err(no(format!("its column {} is {is}, not {should}", wanted.name())));
            }
            Ok(_) => {}
        }
    }
    builder.with_batch_size(BATCH_ROWS).build().map_err(LabError::parquet(path))
}

fn fits(found: &DataType, wanted: &DataType) -> bool {
    found == wanted
}

impl Recording {
    /// The recording in a folder; of some symbols only, unless none is named. Where there are several sessions, the
    /// one that was written last.
    pub fn open(dir: &Path, symbols: &[String]) -> Result<Recording, LabError> {
        let files = Store::new(dir).files("events")?;
        let nothing = |what: &str| LabError::Schema { path: dir.to_owned(), what: what.to_owned() };
        let newest = |file: &Found| std::fs::metadata(&file.path).and_then(|m| m.modified()).ok();
        let session = files.iter().max_by_key(|file| newest(file)).map(|f| f.span.session.clone());
        let session = session.ok_or_else(|| nothing("there is no file of events in it"))?;
        let mut lanes: HashMap<Option<String>, Vec<Found>> = HashMap::new();
        for file in files.into_iter().filter(|file| file.span.session == session) {
            let wanted = |symbol: &String| symbols.is_empty() || symbols.contains(symbol);
            if file.symbol.as_ref().is_none_or(wanted) {
                lanes.entry(file.symbol.clone()).or_default().push(file);
            }
        }
        if lanes.is_empty() {
            return Err(nothing(&format!("it has nothing of {}", symbols.join(", "))));
        }
        let mut lanes: Vec<_> = lanes.into_iter().collect();
        lanes.sort_by(|a, b| a.0.cmp(&b.0));
        let mut recording = Recording {
            lanes: vec![],
            symbols: vec![String::new()],
            numbers: HashMap::new(),
            session,
            heap: Default::default(),
        };
        for (symbol, mut files) in lanes {
            files.sort_by_key(|file| file.span.first);
            let locate = match symbol {
                Some(symbol) => {
                    recording.symbols.push(symbol);
                    (recording.symbols.len() - 1) as u16
                }
                None => 0,
            };
            let rows = vec![].into_iter();
            let mut lane = Lane { files: files.into_iter(), open: None, rows, next: None, locate };
            lane.advance(&mut recording.symbols, &mut recording.numbers, symbols)?;
            if let Some(row) = &lane.next {
                recording.heap.push(std::cmp::Reverse((row.number, recording.lanes.len())));
            }
            recording.lanes.push(lane);
        }
        Ok(recording)
    }

    /// The next row, by the numbers of messages.
    #[inline]
    pub fn next(&mut self, symbols: &[String]) -> Result<Option<Row>, LabError> {
        if let [lane] = &mut self.lanes[..] {
            let row = lane.next.take();
            lane.advance(&mut self.symbols, &mut self.numbers, symbols)?;
            return Ok(row);
        }
        let Some(std::cmp::Reverse((_, at))) = self.heap.pop() else { return Ok(None) };
        let lane = &mut self.lanes[at];
        let row = lane.next.take();
        lane.advance(&mut self.symbols, &mut self.numbers, symbols)?;
        if let Some(next) = &lane.next {
            self.heap.push(std::cmp::Reverse((next.number, at)));
        }
        Ok(row)
    }
}

impl Lane {
    #[inline]
    fn advance(
        &mut self,
        names: &mut Vec<String>,
        numbers: &mut HashMap<String, u16>,
        wanted: &[String],
    ) -> Result<(), LabError> {
        loop {
            if let Some(row) = self.rows.next() {
                self.next = Some(row);
                return Ok(());
            }
            if !self.fill(names, numbers, wanted)? {
                self.next = None;
                return Ok(());
            }
        }
    }

    /// Decodes what comes next. False if there is nothing.
    fn fill(
        &mut self,
        names: &mut Vec<String>,
        numbers: &mut HashMap<String, u16>,
        wanted: &[String],
    ) -> Result<bool, LabError> {
        loop {
            if let Some((reader, path)) = &mut self.open {
                if let Some(batch) = reader.next() {
                    let batch = batch?;
                    let mut rows = table::rows(&batch, path)?;
                    match batch.column_by_name("symbol") {
                        Some(column) if self.locate == 0 => {
                            locate(&mut rows, column, (names, numbers), wanted);
                        }
                        _ => rows.iter_mut().for_each(|row| row.locate = self.locate),
                    }
                    self.rows = rows.into_iter();
                    return Ok(true);
                }
                self.open = None;
            }
            let Some(file) = self.files.next() else { return Ok(false) };
            self.open = Some((open(&file.path)?, file.path));
        }
    }
}

/// Gives rows the numbers of their symbols, and drops those that are not wanted.
fn locate(
    rows: &mut Vec<Row>,
    column: &dyn Array,
    (names, numbers): (&mut Vec<String>, &mut HashMap<String, u16>),
    wanted: &[String],
) {
    let Some(texts) = column.as_any().downcast_ref::<StringArray>() else { return };
    for (row, name) in rows.iter_mut().zip(texts.iter()) {
        let name = name.unwrap_or_default();
        row.locate = match numbers.get(name) {
            Some(number) => *number,
            None => {
                let number = names.len() as u16;
                names.push(name.to_owned());
                numbers.insert(name.to_owned(), number);
                number
            }
        };
    }
    rows.retain(|row| wanted.is_empty() || wanted.contains(&names[usize::from(row.locate)]));
}
