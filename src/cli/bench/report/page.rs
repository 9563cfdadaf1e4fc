//! One HTML page, with nothing in it that has to be fetched.

use std::fmt::Write;

use super::{Part, Report, Table};

const STYLE: &str = "body{font:15px/1.45 sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222}\
table{border-collapse:collapse;margin:1em 0;font-size:13px}\
td,th{padding:.2em .7em;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}\
td:first-child,th:first-child{text-align:left}\
.wide,pre{overflow-x:auto}pre{font-size:12px}code{background:#f3f3f3;padding:.1em .3em}svg{max-width:100%;height:auto}\
nav a{margin-right:1em}";

pub fn page(report: &Report) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>millrace bench</title>\
         <style>{STYLE}</style><h1>millrace bench</h1>\n<table>"
    );
    // Writing to a string does not fail.
    for (key, value) in report.machine.lines() {
        let value = value.as_str().map_or(value.to_string(), str::to_owned);
        let _ = write!(html, "<tr><td>{}</td><td>{}</td></tr>", escaped(key), escaped(&value));
    }
    html += "</table>\n<nav>";
    for section in &report.sections {
        let _ = write!(html, "<a href=\"#{}\">{}</a>", section.name, section.name);
    }
    html += "</nav>\n";
    for section in &report.sections {
        let _ = writeln!(
            html,
            "<h2 id=\"{}\">{}</h2><p><code>{}</code></p>",
            section.name,
            escaped(&section.title),
            escaped(&section.command)
        );
        for part in &section.parts {
            let _ = match part {
                Part::Transcript(text) => writeln!(html, "<pre>{}</pre>", escaped(text)),
                Part::Text(line) => writeln!(html, "<p>{}</p>", escaped(line)),
                Part::Table(table) => writeln!(html, "{}", rows(table)),
                Part::Picture(_, svg) => writeln!(html, "{svg}"),
            };
        }
    }
    for line in &report.left_out {
        let _ = writeln!(html, "<p>Left out: {}</p>", escaped(line));
    }
    html + "</html>\n"
}

fn rows(table: &Table) -> String {
    let cells = |row: &[String], tag: &str| -> String {
        row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect()
    };
    let body: String =
        table.rows.iter().map(|row| format!("<tr>{}</tr>\n", cells(row, "td"))).collect();
    format!(
        "<div class=\"wide\"><table><tr>{}</tr>\n{body}</table></div>",
        cells(&table.head, "th")
    )
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
