//! Errors with the line, and what would be right.

use std::ops::Range;
use std::path::PathBuf;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{name}, line {line}: {what}")]
    Wrong {
        /// The file.
        name: String,
        /// From 1.
        line: usize,
        /// What is wrong, and what would be right.
        what: String,
    },
}

impl ConfigError {
    /// An error at a place in the text.
    pub(super) fn at(name: &str, text: &str, place: Range<usize>, what: String) -> ConfigError {
        let line = text[..place.start.min(text.len())].matches('\n').count() + 1;
        ConfigError::Wrong { name: name.to_owned(), line, what }
    }

    pub(super) fn from_toml(name: &str, text: &str, error: &toml::de::Error) -> ConfigError {
        let place = error.span().unwrap_or(0..0);
        let message = error.message().replace('\n', " ");
        ConfigError::at(name, text, place, message)
    }
}
