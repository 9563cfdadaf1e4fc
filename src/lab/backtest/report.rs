//! A back-test's report: a page with pictures, and the same as Parquet.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use parquet::arrow::ArrowWriter;

use super::{HORIZONS_NS, Latency, Marked, Outcome, Point};
use crate::lab::LabError;
use crate::order::UnixNanos;
use crate::strategy::{Desk, money};

/// Width and height of a picture.
const SIZE: (f64, f64) = (860.0, 180.0);

/// What the report says beside the numbers.
pub struct Heading {
    /// The strategy, and what it was told.
    pub strategy: String,
    /// The recording.
    pub data: String,
    /// The seed.
    pub seed: u64,
    /// Words on how live and back-test compare, if there was a live run.
    pub live: Option<String>,
}

/// Writes `report.html`, `fills.parquet` and `curve.parquet` into a folder.
pub fn write(
    dir: &Path,
    heading: &Heading,
    outcome: &Outcome,
    desk: &Desk,
    latency: &Latency,
) -> Result<(), LabError> {
    std::fs::create_dir_all(dir).map_err(LabError::io("make", dir))?;
    let path = dir.join("report.html");
    std::fs::write(&path, page(heading, outcome, desk, latency))
        .map_err(LabError::io("write", &path))?;
    table(&dir.join("fills.parquet"), &fills(&outcome.fills, desk)?)?;
    table(&dir.join("curve.parquet"), &curve(&outcome.curve)?)
}

fn table(path: &Path, batch: &RecordBatch) -> Result<(), LabError> {
    let file = File::create(path).map_err(LabError::io("make", path))?;
    let failed = || LabError::parquet(path);
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).map_err(failed())?;
    writer.write(batch).map_err(failed())?;
    writer.close().map_err(failed())?;
    Ok(())
}

fn times(times: impl Iterator<Item = UnixNanos>) -> ArrayRef {
    let times = times.map(|ns| Some(ns as i64)).collect::<TimestampNanosecondArray>();
    Arc::new(times.with_timezone("UTC"))
}

fn decimals(
    values: impl Iterator<Item = Option<i128>>,
    digits: (u8, i8),
) -> Result<ArrayRef, LabError> {
    let values = values.collect::<Decimal128Array>();
    Ok(Arc::new(values.with_precision_and_scale(digits.0, digits.1)?))
}

fn fills(fills: &[Marked], desk: &Desk) -> Result<RecordBatch, LabError> {
    let all = || fills.iter().map(|marked| &marked.fill);
    let name = |symbol: usize| String::from_utf8_lossy(desk.name(symbol)).trim_end().to_owned();
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("time".into(), times(all().map(|fill| fill.time_ns))),
        (
            "symbol".into(),
            Arc::new(StringArray::from_iter_values(all().map(|fill| name(fill.symbol)))),
        ),
        (
            "side".into(),
            Arc::new(StringArray::from_iter_values(
                all().map(|fill| if fill.buys { "buy" } else { "sell" }),
            )),
        ),
        ("shares".into(), Arc::new(UInt32Array::from_iter_values(all().map(|fill| fill.shares)))),
        ("price".into(), decimals(all().map(|f| Some(i128::from(f.price.0))), (10, 4))?),
        ("added".into(), Arc::new(all().map(|fill| Some(fill.added)).collect::<BooleanArray>())),
        ("fee".into(), decimals(all().map(|fill| Some(fill.fee)), (18, 4))?),
        ("order".into(), Arc::new(UInt64Array::from_iter_values(all().map(|f| f.reference)))),
        ("match".into(), Arc::new(UInt64Array::from_iter_values(all().map(|f| f.match_number)))),
    ];
    for (at, horizon) in HORIZONS_NS.into_iter().enumerate() {
        // Halves of a ten-thousandth.
        let after = fills.iter().map(|marked| marked.after[at].map(|twice| i128::from(twice) * 5));
        columns.push((format!("after_{}ms", horizon / 1_000_000), decimals(after, (18, 5))?));
    }
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn curve(curve: &[Point]) -> Result<RecordBatch, LabError> {
    Ok(RecordBatch::try_from_iter([
        ("time", times(curve.iter().map(|point| point.time_ns))),
        ("profit", decimals(curve.iter().map(|p| Some(p.twice_profit * 5)), (38, 5))?),
        ("held", Arc::new(Int64Array::from_iter_values(curve.iter().map(|p| p.held))) as ArrayRef),
        (
            "mid",
            decimals(
                curve.iter().map(|p| (p.twice_mid > 0).then(|| i128::from(p.twice_mid) * 5)),
                (11, 5),
            )?,
        ),
    ])?)
}

/// A curve over time, as a step line, with its least and its most.
fn picture(
    title: &str,
    points: &[(f64, f64)],
    text: impl Fn(f64) -> String,
    color: &str,
) -> String {
    let (width, height) = SIZE;
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
    let least = points.iter().map(|p| p.1).fold(f64::MAX, f64::min);
    let most = points.iter().map(|p| p.1).fold(f64::MIN, f64::max);
    let span = (last.0 - first.0).max(1e-9);
    let range = if most > least { most - least } else { 1.0 };
    let x = |at: f64| (at - first.0) / span * (width - 120.0) + 100.0;
    let y = |value: f64| height - 24.0 - (value - least) / range * (height - 48.0);
    let mut path = String::new();
    for (n, (at, value)) in points.iter().enumerate() {
        let _ = match n {
            0 => write!(path, "M{:.1},{:.1}", x(*at), y(*value)),
            _ => write!(path, "H{:.1}V{:.1}", x(*at), y(*value)),
        };
    }
    let zero = if least < 0.0 && most > 0.0 {
        let at = y(0.0);
        format!("<line x1='100' x2='{:.1}' y1='{at:.1}' y2='{at:.1}' class='zero'/>", width - 20.0)
    } else {
        String::new()
    };
    format!(
        "<h2>{title}</h2><svg viewBox='0 0 {width} {height}' role='img' aria-label='{title}'>{zero}\
         <text x='94' y='{:.1}' text-anchor='end'>{}</text>\
         <text x='94' y='{:.1}' text-anchor='end'>{}</text>\
         <text x='100' y='{:.1}'>0 s</text>\
         <text x='{:.1}' y='{:.1}' text-anchor='end'>{span:.3} s</text>\
         <path d='{path}' fill='none' stroke='{color}' stroke-width='1.5'/></svg>\n",
        y(most) + 4.0,
        text(most),
        y(least) + 4.0,
        text(least),
        height - 6.0,
        width - 20.0,
        height - 6.0,
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Average gain of a share after a fill at each horizon, in 1/10000 of the currency unit, and of how many shares.
pub fn markouts(fills: &[Marked], added: bool) -> [(f64, u64); HORIZONS_NS.len()] {
    let mut all = [(0.0, 0); HORIZONS_NS.len()];
    for (at, place) in all.iter_mut().enumerate() {
        let of = fills.iter().filter(|marked| marked.fill.added == added);
        let seen = of.filter_map(|marked| Some((marked.after[at]?, marked.fill.shares)));
        let (gain, shares) = seen.fold((0i128, 0u64), |(gain, shares), (after, count)| {
            (gain + i128::from(after) * i128::from(count), shares + u64::from(count))
        });
        *place = (gain as f64 / 2.0 / shares.max(1) as f64, shares);
    }
    all
}

fn page(heading: &Heading, outcome: &Outcome, desk: &Desk, latency: &Latency) -> String {
    let began = outcome.span.0;
    let seconds = |ns: UnixNanos| ns.saturating_sub(began) as f64 / 1e9;
    let of = |value: fn(&Point) -> f64| -> Vec<(f64, f64)> {
        outcome.curve.iter().map(|p| (seconds(p.time_ns), value(p))).collect()
    };
    let profit = of(|p| p.twice_profit as f64 / 20_000.0);
    let held = of(|p| p.held as f64);
    let mut mid = of(|p| p.twice_mid as f64 / 20_000.0);
    mid.retain(|(_, mid)| *mid > 0.0);
    let counts = desk.counts();
    let position = desk.position(0);
    let fees: i128 = outcome.fills.iter().map(|m| m.fill.fee).sum();
    let mut rows = vec![
        ("Strategy", escaped(&heading.strategy)),
        ("Recording", escaped(&heading.data)),
        ("From", format!("{} {}", crate::lab::store::date(began), clock(began))),
        ("Events", format!("{} in {:.3} s", outcome.events, seconds(outcome.span.1))),
        ("Seed", heading.seed.to_string()),
        ("Profit", money(desk.twice_profit())),
        ("Fees", money(2 * fees)),
        ("Held at the end", position.shares.to_string()),
        ("Bought, sold", format!("{}, {}", position.bought, position.sold)),
        (
            "Orders",
            format!(
                "{} entered, {} replaced, {} cancelled, {} rejected, {} held back",
                counts.entered, counts.replaced, counts.cancelled, counts.rejected, counts.refused
            ),
        ),
        ("Fills", outcome.fills.len().to_string()),
        (
            "Traded with those recorded",
            format!(
                "{} shares; {} met another than in the recording",
                outcome.differences.traded, outcome.differences.strayed
            ),
        ),
    ];
    if let Some(why) = desk.killed() {
        rows.push(("Stopped", why.to_string()));
    }
    if let Some(live) = &heading.live {
        rows.push(("Live", escaped(live)));
    }
    let mut html = String::from(
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Back-test</title><style>\
         body{font:15px/1.5 system-ui,sans-serif;max-width:900px;margin:2rem auto;padding:0 1rem;color:#222}\
         h1{font-size:1.4rem}h2{font-size:1rem;margin:1.6rem 0 .3rem}svg{width:100%;background:#fafafa}\
         text{font-size:11px;fill:#666}.zero{stroke:#bbb;stroke-dasharray:3 3}\
         table{border-collapse:collapse}td,th{padding:.15rem .9rem .15rem 0;text-align:left;font-variant-numeric:tabular-nums}\
         </style><h1>Back-test</h1><table>\n",
    );
    for (what, value) in rows {
        let _ = writeln!(html, "<tr><th>{what}</th><td>{value}</td></tr>");
    }
    html.push_str("</table>\n");
    html.push_str(&picture("Profit", &profit, |v| format!("{v:.2}"), "#0a7d4f"));
    html.push_str(&picture("Shares held", &held, |v| format!("{v:.0}"), "#8a4f0a"));
    html.push_str(&picture("Mid", &mid, |v| format!("{v:.4}"), "#205ea8"));
    html.push_str(
        "<h2>Adverse selection: what a share gained after its fill, to who traded it</h2><table>\
         <tr><th></th>",
    );
    for horizon in HORIZONS_NS {
        let _ = write!(html, "<th>{} ms</th>", horizon / 1_000_000);
    }
    html.push_str("</tr>\n");
    for (name, added) in [("Rested", true), ("Took", false)] {
        let _ = write!(html, "<tr><th>{name}</th>");
        for (gain, shares) in markouts(&outcome.fills, added) {
            let _ = match shares {
                0 => write!(html, "<td>-</td>"),
                _ => write!(html, "<td>{:+.6} ({shares})</td>", gain / 10_000.0),
            };
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table><h2>Latency</h2><table><tr><th></th><th>p50</th><th>p99</th></tr>\n");
    for (name, delay) in
        [("Feed", &latency.feed), ("Order", &latency.order), ("Report", &latency.report)]
    {
        let (p50, p99) = delay.percentiles();
        let us = |ns: u64| ns as f64 / 1_000.0;
        let _ = writeln!(
            html,
            "<tr><th>{name}</th><td>{:.1} us</td><td>{:.1} us</td></tr>",
            us(p50),
            us(p99)
        );
    }
    html.push_str("</table></html>\n");
    html
}

fn clock(unix_ns: UnixNanos) -> String {
    let (s, us) = (unix_ns / 1_000_000_000 % 86_400, unix_ns / 1_000 % 1_000_000);
    format!("{:02}:{:02}:{:02}.{us:06} UTC", s / 3600, s / 60 % 60, s % 60)
}
