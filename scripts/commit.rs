//! Cargo's build script: which commit a release was built from, for `millrace bench` to say.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=scripts/commit.rs");
    // Others are built too often to look.
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    for path in ["src", ".git/HEAD", ".git/logs/HEAD"] {
        if Path::new(path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let described =
        Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=10"]).output();
    if let Ok(output) = described
        && output.status.success()
        && Path::new(".git").exists()
    {
        println!(
            "cargo::rustc-env=MILLRACE_COMMIT={}",
            String::from_utf8_lossy(&output.stdout).trim()
        );
    }
}
