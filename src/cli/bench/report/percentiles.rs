//! Percentiles as a picture: one SVG, with nothing in it but lines and text.

use std::fmt::Write;

use hdrhistogram::Histogram;

/// One line.
pub struct Curve {
    pub name: String,
    pub times_ns: Histogram<u64>,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 420.0;
/// Where the lines are drawn: left, top, right, bottom.
const FRAME: [f64; 4] = [70.0, 50.0, 610.0, 360.0];
const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999"];
/// Percentiles on the axis, and the last that is drawn.
const PERCENTILES: [(f64, &str); 5] =
    [(0.0, "min"), (0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9")];
const STEPS: u32 = 120;

/// Where a quantile stands: each nine as wide as the one before.
fn across(quantile: f64) -> f64 {
    let last = -(1.0f64 - 0.999).log10();
    FRAME[0] + -(1.0 - quantile).log10() / last * (FRAME[2] - FRAME[0])
}

/// Draws the percentiles of some measurements, microseconds on a logarithmic scale.
pub fn percentiles(title: &str, curves: &[Curve]) -> String {
    let at = |curve: &Curve, quantile| {
        (curve.times_ns.value_at_quantile(quantile) as f64 / 1000.0).max(0.001)
    };
    let of_all = |quantile: f64| curves.iter().map(move |curve| at(curve, quantile));
    let low = of_all(0.0).fold(f64::INFINITY, f64::min).min(1e6);
    let high = of_all(0.999).fold(low * 2.0, f64::max);
    let ticks: Vec<f64> = (-3..7)
        .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(power)))
        .filter(|tick| (low * 0.45..high * 2.2).contains(tick))
        .collect();
    let bottom =
        ticks.iter().copied().filter(|tick| *tick <= low).fold(low, f64::min).max(low / 2.0);
    let top = high * 1.1;
    let up = |us: f64| {
        let share = (us / bottom).log10() / (top / bottom).log10();
        FRAME[3] - share * (FRAME[3] - FRAME[1])
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{}\" y=\"28\" font-size=\"16\">{title}</text>\n",
        FRAME[0]
    );
    // Writing to a string does not fail.
    let mut put = |line: std::fmt::Arguments<'_>| {
        let _ = svg.write_fmt(line);
    };
    for (quantile, name) in PERCENTILES {
        let x = across(quantile);
        put(format_args!(
            "<path d=\"M{x:.1} {}V{}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>\n",
            FRAME[1],
            FRAME[3],
            FRAME[3] + 20.0
        ));
    }
    for us in ticks.into_iter().filter(|tick| (bottom..=top).contains(tick)) {
        let y = up(us);
        put(format_args!(
            "<path d=\"M{} {y:.1}H{}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{us} µs</text>\n",
            FRAME[0],
            FRAME[2],
            FRAME[0] - 8.0,
            y + 4.0
        ));
    }
    for (number, (curve, colour)) in curves.iter().zip(COLOURS.iter().cycle()).enumerate() {
        let mut line = String::new();
        for step in 0..=STEPS {
            // Even steps across.
            let quantile = 1.0 - 10f64.powf(-3.0 * f64::from(step) / f64::from(STEPS));
            let (x, y) = (across(quantile), up(at(curve, quantile)));
            let _ = write!(line, "{}{x:.1} {y:.1}", if step == 0 { 'M' } else { 'L' });
        }
        let y = FRAME[1] + 14.0 + 22.0 * number as f64;
        let x = FRAME[2] + 16.0;
        put(format_args!(
            "<path d=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <path d=\"M{x} {:.1}h18\" stroke=\"{colour}\" stroke-width=\"3\"/>\
             <text x=\"{}\" y=\"{y:.1}\">{}</text>\n",
            y - 4.0,
            x + 24.0,
            curve.name
        ));
    }
    put(format_args!("</svg>\n"));
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_slower_is_drawn_higher_and_nothing_outside() {
        let curve = |name: &str, from: u64| {
            let mut times_ns = super::super::super::plan::histogram();
            (0..10_000).for_each(|n| times_ns.record(from + n).unwrap());
            Curve { name: name.to_owned(), times_ns }
        };
        let svg = percentiles("times", &[curve("echo", 5_000), curve("order", 50_000)]);
        let lines: Vec<Vec<f64>> = svg
            .lines()
            .filter(|line| line.contains("fill=\"none\""))
            .map(|line| {
                let path = line.split('"').nth(1).unwrap();
                let points = path.split(['M', 'L']).skip(1);
                points.map(|point| point.split(' ').nth(1).unwrap().parse().unwrap()).collect()
            })
            .collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].iter().zip(&lines[1]).all(|(echo, order)| order < echo));
        let inside = FRAME[1]..=FRAME[3];
        assert!(lines.iter().flatten().all(|y| inside.contains(y)), "{lines:?}");
        assert!(svg.contains(">echo</text>") && svg.contains(">5 µs</text>"));
    }
}
