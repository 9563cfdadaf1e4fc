//! The command line; each subcommand is a file in `src/cli/`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    millrace::cli::main()
}
