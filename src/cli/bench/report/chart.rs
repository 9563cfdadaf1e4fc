//! Lines over an axis, with bars for the standard error: one SVG, with nothing in it but lines and text.

use std::fmt::Write;

use super::page::escaped;

/// A line: x, y, and the standard error of y.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64, f64)>,
}

/// What an axis shows, and how.
#[derive(Clone, Debug)]
pub struct Axis {
    label: String,
    log: bool,
}

impl Axis {
    /// From zero, even steps.
    pub fn linear(label: &str) -> Axis {
        Axis { label: label.to_owned(), log: false }
    }

    /// Every decade as wide as the other.
    pub fn log(label: &str) -> Axis {
        Axis { label: label.to_owned(), log: true }
    }

    fn scale(&self, values: impl Iterator<Item = f64> + Clone) -> Scale {
        let values = values.filter(|value| value.is_finite() && (!self.log || *value > 0.0));
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        if low > high {
            return Scale { from: 0.0, to: 1.0, log: false };
        }
        match self.log {
            true => Scale { from: low / 1.3, to: high * 1.3, log: true },
            false => {
                Scale { from: 0.0, to: if high > 0.0 { high * 1.08 } else { 1.0 }, log: false }
            }
        }
    }
}

struct Scale {
    from: f64,
    to: f64,
    log: bool,
}

impl Scale {
    /// 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let share = match self.log {
            true => (value.max(self.from) / self.from).ln() / (self.to / self.from).ln(),
            false => (value - self.from) / (self.to - self.from),
        };
        share.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        let inside = |tick: &f64| (self.from..=self.to).contains(tick);
        if self.log {
            let all = (-3..12).flat_map(|p| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(p)));
            let all: Vec<f64> = all.filter(inside).collect();
            // Over many decades only whole ones.
            let many = all.len() > 10;
            return all.into_iter().filter(|t| !many || (t.log10() % 1.0).abs() < 1e-9).collect();
        }
        let rough = (self.to - self.from) / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(|s| *s >= rough);
        let step = step.unwrap_or(rough);
        (0..8).map(|n| f64::from(n) * step).filter(inside).collect()
    }
}

/// A picture of some lines.
#[derive(Clone, Debug)]
pub struct Chart {
    title: String,
    x: Axis,
    y: Axis,
    pub series: Vec<Series>,
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 400.0;
/// Where the lines are drawn: left, top, right, bottom.
const FRAME: [f64; 4] = [80.0, 46.0, 640.0, 340.0];
const COLOURS: [&str; 10] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999", "#8c564b",
    "#000000", "#7b3294",
];

/// 12000 as 12 k.
fn short(value: f64) -> String {
    let text = |value: f64| format!("{}", (value * 100.0).round() / 100.0);
    match value {
        value if value >= 1e6 => format!("{} M", text(value / 1e6)),
        value if value >= 1e3 => format!("{} k", text(value / 1e3)),
        value => text(value),
    }
}

impl Chart {
    pub fn new(title: &str, x: Axis, y: Axis) -> Chart {
        Chart { title: title.to_owned(), x, y, series: vec![] }
    }

    pub fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| series.points.iter());
        let across = self.x.scale(points().map(|(x, _, _)| *x));
        let up = self.y.scale(points().flat_map(|(_, y, error)| [y - error, y + error]));
        let x = |value: f64| FRAME[0] + across.place(value) * (FRAME[2] - FRAME[0]);
        let y = |value: f64| FRAME[3] - up.place(value) * (FRAME[3] - FRAME[1]);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
             <text x=\"{}\" y=\"26\" font-size=\"16\">{}</text>\n",
            FRAME[0],
            escaped(&self.title)
        );
        // Writing to a string does not fail.
        let mut put = |line: std::fmt::Arguments<'_>| {
            let _ = svg.write_fmt(line);
        };
        // Where values are few, each has its own tick.
        let mut values: Vec<f64> = points().map(|(x, _, _)| *x).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        for tick in if values.len() <= 6 { values } else { across.ticks() } {
            let at = x(tick);
            put(format_args!(
                "<path d=\"M{at:.1} {}V{}\" stroke=\"#ddd\"/>\
                 <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                FRAME[1],
                FRAME[3],
                FRAME[3] + 18.0,
                short(tick)
            ));
        }
        for tick in up.ticks() {
            let at = y(tick);
            put(format_args!(
                "<path d=\"M{} {at:.1}H{}\" stroke=\"#ddd\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                FRAME[0],
                FRAME[2],
                FRAME[0] - 8.0,
                at + 4.0,
                short(tick)
            ));
        }
        put(format_args!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
             <text x=\"18\" y=\"{}\" text-anchor=\"middle\" transform=\"rotate(-90 18 {})\">{}</text>\n",
            (FRAME[0] + FRAME[2]) / 2.0,
            FRAME[3] + 42.0,
            escaped(&self.x.label),
            (FRAME[1] + FRAME[3]) / 2.0,
            (FRAME[1] + FRAME[3]) / 2.0,
            escaped(&self.y.label)
        ));
        for (number, (series, colour)) in self.series.iter().zip(COLOURS.iter().cycle()).enumerate()
        {
            let mut line = String::new();
            let own = series.name.starts_with("millrace");
            let width = if own { 3.0 } else { 1.6 };
            for (n, (at, value, error)) in series.points.iter().enumerate() {
                let (at, high) = (x(*at), y(value + error));
                let _ = write!(line, "{}{at:.1} {:.1}", if n == 0 { 'M' } else { 'L' }, y(*value));
                put(format_args!(
                    "<circle cx=\"{at:.1}\" cy=\"{:.1}\" r=\"{:.1}\" fill=\"{colour}\"/>\
                     <path d=\"M{at:.1} {high:.1}V{:.1}\" stroke=\"{colour}\"/>\n",
                    y(*value),
                    width + 0.8,
                    y(value - error)
                ));
            }
            let (name_x, name_y) = (FRAME[2] + 16.0, FRAME[1] + 12.0 + 21.0 * number as f64);
            put(format_args!(
                "<path class=\"line\" d=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>\n\
                 <path d=\"M{name_x} {:.1}h18\" stroke=\"{colour}\" stroke-width=\"{width}\"/>\
                 <text x=\"{}\" y=\"{name_y:.1}\">{}</text>\n",
                name_y - 4.0,
                name_x + 24.0,
                escaped(&series.name)
            ));
        }
        put(format_args!("</svg>\n"));
        svg
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_is_higher_and_nothing_is_outside() {
        let mut chart = Chart::new("a < b", Axis::log("sessions"), Axis::linear("orders/s"));
        let series = |name: &str, by: f64| Series {
            name: name.to_owned(),
            points: [1.0, 5.0, 50.0, 500.0].map(|x| (x, by * 1_000.0, by * 10.0)).to_vec(),
        };
        chart.series = vec![series("millrace", 5.0), series("other", 1.0)];
        let svg = chart.svg();
        let heights: Vec<f64> = svg
            .lines()
            .filter(|line| line.contains("class=\"line\""))
            .map(|line| line.split('"').nth(3).unwrap().split(' ').nth(1).unwrap())
            .map(|text| text.split('L').next().unwrap().parse().unwrap())
            .collect();
        assert!(heights[0] < heights[1], "{heights:?}");
        assert!(heights.iter().all(|y| (FRAME[1]..=FRAME[3]).contains(y)));
        assert!(
            svg.contains("a &lt; b") && svg.contains(">500</text>") && svg.contains(">4 k</text>")
        );
    }

    #[test]
    fn a_chart_of_nothing_is_drawn_too() {
        let chart = Chart::new("empty", Axis::log("x"), Axis::log("y"));
        assert!(chart.svg().ends_with("</svg>\n"));
    }
}
