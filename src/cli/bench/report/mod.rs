//! What benches found: said on the terminal, and, into a directory, as one page with pictures, as JSON and as
//! histograms.

mod chart;
mod machine;
mod page;
mod percentiles;
mod watch;

use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

pub use chart::{Axis, Chart, Series};
pub use machine::Machine;
pub use percentiles::{Curve, percentiles};
pub use watch::{Disturbance, Watch};

/// Where a bench leaves what it found, besides the terminal.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Leave {
    /// Leave a page with tables and pictures, JSON and histograms (.hgrm) in this directory.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// A table: a head, and rows of as many cells.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Table {
        Table { head: head.iter().map(|cell| (*cell).to_owned()).collect(), rows: vec![] }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.head.len());
        self.rows.push(cells);
    }
}

impl std::fmt::Display for Table {
    /// The first column to the left, the others to the right.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = || std::iter::once(&self.head).chain(&self.rows);
        let width = |at: usize| all().map(|row| row[at].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        for row in all() {
            write!(f, "  {:<1$}", row[0], widths[0])?;
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                write!(f, "  {cell:>width$}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// What one bench found.
#[derive(Clone, Debug)]
pub struct Section {
    /// Also the names of its files.
    name: String,
    title: String,
    command: String,
    parts: Vec<Part>,
    json: serde_json::Map<String, Value>,
    histograms: Vec<(String, Histogram<u64>)>,
    pictures: usize,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Transcript(String),
    Table(Table),
    /// The number of its file, and what it is.
    Picture(usize, String),
}

impl Section {
    /// Begins one; `command` is how it is made again.
    pub fn new(name: &str, title: &str, command: &str) -> Section {
        println!("{title}");
        Section {
            name: name.to_owned(),
            title: title.to_owned(),
            command: command.to_owned(),
            parts: vec![],
            json: serde_json::Map::new(),
            histograms: vec![],
            pictures: 0,
        }
    }

    /// Under another name.
    pub fn named(mut self, name: &str) -> Section {
        name.clone_into(&mut self.name);
        self
    }

    /// Says a line.
    pub fn say(&mut self, line: impl Into<String>) {
        let line = line.into();
        println!("  {line}");
        self.parts.push(Part::Text(line));
    }

    pub fn table(&mut self, table: Table) {
        print!("{table}");
        self.parts.push(Part::Table(table));
    }

    /// What another program said, as it said it.
    pub fn transcript(&mut self, text: &str) {
        print!("{text}");
        self.parts.push(Part::Transcript(text.to_owned()));
    }

    pub fn picture(&mut self, svg: String) {
        self.pictures += 1;
        self.parts.push(Part::Picture(self.pictures, svg));
    }

    /// Keeps a value for programs.
    pub fn keep(&mut self, key: &str, value: Value) {
        self.json.insert(key.to_owned(), value);
    }

    /// Keeps a histogram of nanoseconds.
    pub fn histogram(&mut self, name: &str, times_ns: &Histogram<u64>) {
        self.histograms.push((file_name(name), times_ns.clone()));
    }
}

fn file_name(name: &str) -> String {
    let parts = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_lowercase()
}

/// All that was found, and where it was.
pub struct Report {
    pub machine: Machine,
    pub sections: Vec<Section>,
    /// What could not run here, and why.
    pub left_out: Vec<String>,
}

impl Report {
    pub fn new() -> Report {
        Report { machine: Machine::look(), sections: vec![], left_out: vec![] }
    }

    /// Writes everything into a directory, which is made if it is not there.
    pub fn write(&self, dir: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(dir)?;
        for section in &self.sections {
            for part in &section.parts {
                if let Part::Picture(number, svg) = part {
                    std::fs::write(dir.join(format!("{}-{number}.svg", section.name)), svg)?;
                }
            }
            for (name, times_ns) in &section.histograms {
                let path = dir.join(format!("{}-{name}.hgrm", section.name));
                std::fs::write(path, hgrm(times_ns))?;
            }
        }
        let sections = self.sections.iter().map(|section| {
            let Section { title, command, json, .. } = section;
            (section.name.clone(), json!({ "title": title, "command": command, "found": json }))
        });
        let all = json!({
            "machine": self.machine.lines().iter().cloned().collect::<serde_json::Map<_, _>>(),
            "sections": sections.collect::<serde_json::Map<_, _>>(),
        });
        std::fs::write(dir.join("results.json"), format!("{all:#}\n"))?;
        std::fs::write(dir.join("index.html"), page::page(self))?;
        println!("{} shows it", dir.join("index.html").display());
        Ok(())
    }
}

/// One bench by itself: says what it found, and leaves it where it was asked to.
pub fn alone(into: &Leave, section: Section) -> super::super::Outcome {
    if let Some(dir) = &into.out {
        let mut report = Report::new();
        report.sections.push(section);
        report.write(dir)?;
    }
    Ok(())
}

/// As HdrHistogram's own tools write and read it, in microseconds.
fn hgrm(times_ns: &Histogram<u64>) -> String {
    use std::fmt::Write;
    let mut text = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut total = 0;
    for step in times_ns.iter_quantiles(5) {
        total += step.count_since_last_iteration();
        let quantile = step.quantile_iterated_to();
        let _ = write!(
            text,
            "{:>12.3} {quantile:>14.12} {total:>10}",
            step.value_iterated_to() as f64 / 1e3
        );
        let _ = match quantile < 1.0 {
            true => writeln!(text, " {:>14.2}", 1.0 / (1.0 - quantile)),
            false => writeln!(text),
        };
    }
    let us = |ns: f64| ns / 1e3;
    let _ = writeln!(
        text,
        "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]\n#[Max     = {:>12.3}, Total count    = {:>12}]\n\
         #[Buckets = {:>12}, SubBuckets     = {:>12}]",
        us(times_ns.mean()),
        us(times_ns.stdev()),
        us(times_ns.max() as f64),
        times_ns.len(),
        times_ns.buckets(),
        2048
    );
    text
}

/// Percentiles of a histogram of nanoseconds as cells, in microseconds: samples, p50 to p99.99, max.
pub fn cells(times_ns: &Histogram<u64>) -> Vec<String> {
    let at = |quantile| microseconds(times_ns.value_at_quantile(quantile) as f64);
    let mut cells = vec![times_ns.len().to_string()];
    cells.extend([0.5, 0.9, 0.99, 0.999, 0.9999].map(at));
    cells.push(microseconds(times_ns.max() as f64));
    cells
}

/// What [`cells`] are.
pub const PERCENTILE_HEAD: [&str; 7] =
    ["samples", "p50", "p90", "p99", "p99.9", "p99.99", "max us"];

fn microseconds(ns: f64) -> String {
    let us = ns / 1e3;
    if us < 100.0 { format!("{us:.2}") } else { format!("{us:.0}") }
}

/// The middle one.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A figure with so many digits behind the point; a dash where nothing undisturbed was measured.
pub fn figure(value: f64, digits: usize) -> String {
    if value.is_nan() { "-".to_owned() } else { format!("{value:.digits$}") }
}

/// Whether a mark holds, in words.
pub fn holds(holds: bool, value: f64) -> &'static str {
    match (value.is_nan(), holds) {
        (true, _) => "not measured undisturbed",
        (_, true) => "holds",
        _ => "does not hold",
    }
}

/// Mean and standard error.
pub fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let error = if count > 1.0 { (squares / (count - 1.0) / count).sqrt() } else { 0.0 };
    (mean, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_file_is_read_by_its_columns() {
        let mut times_ns = super::super::plan::histogram();
        (1..=1_000).for_each(|us| times_ns.record(us * 1_000).unwrap());
        let text = hgrm(&times_ns);
        let rows: Vec<Vec<f64>> = text
            .lines()
            .skip(2)
            .take_while(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().map(|word| word.parse().unwrap()).collect())
            .collect();
        let half = rows.iter().find(|row| row[1] == 0.5).unwrap();
        assert!((half[0] - 500.0).abs() < 1.0 && half[2] as u64 == 500, "{half:?}");
        assert_eq!(rows.last().unwrap()[2] as u64, 1_000);
        assert!(text.contains("Total count    =         1000"));
    }

    #[test]
    fn mean_and_standard_error_are_those_of_the_textbook() {
        let (mean, error) = mean(&[2.0, 4.0, 6.0]);
        assert_eq!(mean, 4.0);
        assert!((error - (4.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(super::mean(&[3.0]), (3.0, 0.0));
    }

    #[test]
    fn a_report_is_a_page_that_holds_its_pictures_and_files_beside_it() {
        let dir = std::env::temp_dir().join(format!("millrace-report-{}", std::process::id()));
        let mut section = Section::new("some", "Some <bench>", "millrace bench some");
        let mut table = Table::new(&["what", "us"]);
        table.row(vec!["a & b".to_owned(), "1.5".to_owned()]);
        section.table(table);
        let mut chart = Chart::new("rate", Axis::linear("cores"), Axis::log("orders/s"));
        chart.series.push(Series {
            name: "x".to_owned(),
            points: vec![(1.0, 10.0, 1.0), (2.0, 30.0, 2.0)],
        });
        section.picture(chart.svg());
        section.keep("rate", json!(5));
        let mut times_ns = super::super::plan::histogram();
        times_ns.record(5).unwrap();
        section.histogram("One, two", &times_ns);
        let mut report = Report::new();
        report.sections.push(section);
        report.write(&dir).unwrap();
        let page = std::fs::read_to_string(dir.join("index.html")).unwrap();
        for part in ["Some &lt;bench&gt;", "<td>a &amp; b</td>", "<svg", "millrace bench some"] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        let json = std::fs::read_to_string(dir.join("results.json")).unwrap();
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["sections"]["some"]["found"]["rate"], 5);
        assert!(dir.join("some-1.svg").exists() && dir.join("some-one-two.hgrm").exists());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
