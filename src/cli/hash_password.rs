//! `millrace hash-password`

use std::io::Read;

use super::Outcome;

/// Make the argon2id hash of a password, for a configuration's `password_hash`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The password; without it, it is read from standard input, which keeps it out of the
    /// shell's history.
    password: Option<String>,
    /// For a user who speaks FIX: up to 64 characters, and case counts.
    #[arg(long)]
    fix: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let password = match &arguments.password {
        Some(password) => password.clone(),
        None => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    println!("{}", crate::gateway::hash_password(&password, arguments.fix)?);
    Ok(())
}
