//! `millrace bench loss`

use hdrhistogram::Histogram;

use super::super::Outcome;
use super::orders;
use super::place::Place;
use super::plan::{Plan, histogram};
use crate::client::playground::{Carrier, Playground};
use crate::net::af_xdp::spoil::spoil;
use crate::runtime::{allowed_cores, signals};

/// What becomes of an order whose answer is lost: order to Accepted, one client, one order at a time,
/// over a veth pair that loses answers; by the kernel's TCP as it comes, by the kernel's with the least
/// time-out its routes allow (1 ms), and by our own over AF_XDP. Needs root.
#[derive(clap::Args)]
pub struct Arguments {
    /// Frames to the client of which so many of a million are lost.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(0..=200_000))]
    loss_ppm: u32,
    /// Orders that leave 30 us apart, each answered by a segment of its own; and answers lost at once,
    /// where one is. What is measured is the last order.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    burst: u32,
    /// Runs of each kind, in turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    runs: u32,
    /// Round trips in each run.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..=200_000))]
    round_trips: u32,
}

/// What is compared.
struct Row {
    name: &'static str,
    carrier: Carrier,
    hastened: bool,
    times_ns: Histogram<u64>,
}

pub fn run(arguments: &Arguments) -> Outcome {
    signals::hold_back();
    let cores = match allowed_cores()[..] {
        [first, second, ..] => [first, second],
        _ => return Err("two cores are needed, one for each side".into()),
    };
    let Arguments { round_trips, burst: together, .. } = *arguments;
    let plan = Plan { round_trips, idle: 0, together, cores };
    let row = |name, carrier, hastened| Row { name, carrier, hastened, times_ns: histogram() };
    let mut rows = [
        row("kernel, as it comes", Carrier::Kernel, false),
        row("kernel, rto_min 1 ms", Carrier::Kernel, true),
        row("AF_XDP, own TCP", Carrier::AfXdp(vec![0]), true),
    ];
    for _ in 0..arguments.runs {
        for row in &mut rows {
            if signals::wait(std::time::Duration::ZERO) {
                return Err(super::INTERRUPTED.into());
            }
            row.times_ns.add(&measure(&plan, row, arguments.loss_ppm)?)?;
        }
    }
    print(arguments, &rows);
    Ok(())
}

fn measure(
    plan: &Plan,
    row: &Row,
    loss_ppm: u32,
) -> Result<Histogram<u64>, Box<dyn std::error::Error>> {
    let playground = Playground::new(1)?;
    if row.hastened {
        playground.hasten()?;
    }
    let _spoilt = playground.client.run(|| spoil("vcli", loss_ppm, plan.together))??;
    Ok(orders::measure(plan, &Place::Veth(&playground), &row.carrier)?.times_ns)
}

fn print(arguments: &Arguments, rows: &[Row]) {
    let Arguments { loss_ppm, burst, runs, round_trips } = arguments;
    println!(
        "order to Accepted on veth, {loss_ppm} of a million answers lost{}, {runs} runs of \
         {round_trips} in turn",
        if *burst == 1 {
            String::new()
        } else {
            format!(" with those behind them, {burst} in all")
        }
    );
    println!("  {:<24}{:>10}{:>10}{:>10}{:>10}", "us", "p50", "p99", "p99.9", "slowest");
    for row in rows {
        print!("  {:<24}", row.name);
        for quantile in [0.5, 0.99, 0.999, 1.0] {
            print!("{:>10.1}", row.times_ns.value_at_quantile(quantile) as f64 / 1000.0);
        }
        println!();
    }
    // Of those that lost an answer the slowest hundredth is as much less of all.
    let lost = 1.0 - (1.0 - f64::from(*loss_ppm) / 1e6).powi(*burst as i32);
    if lost > 0.0 {
        println!("  where an answer was lost, p50 and p99 of these:");
        for row in rows {
            let at = |quantile: f64| {
                let of_all = 1.0 - lost * (1.0 - quantile);
                row.times_ns.value_at_quantile(of_all) as f64 / 1000.0
            };
            println!("  {:<24}{:>10.1}{:>10.1}", row.name, at(0.5), at(0.99));
        }
    }
}
