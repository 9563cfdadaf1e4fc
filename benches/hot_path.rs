//! System calls of the gateway for each order, one client, one order at a time.
//! `cargo bench --bench hot_path`; allocations are counted by `cargo test --test hot_path`.

#[path = "../tests/hot_path/measure.rs"]
mod measure;

const ORDERS: u32 = 5_000;

fn main() {
    let dir = std::env::temp_dir().join(format!("millrace-bench-calls-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let binary = env!("CARGO_BIN_EXE_millrace");
    let text = measure::counted_config();
    match measure::count_system_calls(binary, &dir, &text, ORDERS, |command| command.spawn()) {
        Some(counted) => {
            let each = |count: u64| count as f64 / f64::from(ORDERS);
            println!("system calls of the gateway for each of {ORDERS} orders, under strace");
            println!("  receives that brought bytes  {:>7.3}", each(counted.receives));
            println!("  sends                        {:>7.3}", each(counted.sends));
            println!(
                "  receives that found nothing  {:>7.3}  (polling)",
                each(counted.empty_receives)
            );
            println!("  waits                        {:>7.3}  (polling)", each(counted.waits));
            println!("  (mark: 2, one receive and one send)");
        }
        None => println!("hot_path: strace is not here, or may not trace"),
    }
    let _ = std::fs::remove_dir_all(&dir);
}
