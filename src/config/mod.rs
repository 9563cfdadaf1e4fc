//! The configuration file: its shape, its defaults, and errors that name the line and what
//! would be right.

mod check;
mod error;
mod feed;
mod frames;
mod mischief;
mod segments;
mod symbols;
mod types;
mod venues;

pub use check::FEED_MTU_MIN;
pub use error::ConfigError;
pub use feed::Feed;
pub use frames::{AfXdp, AfXdpMode, Checksums, Dpdk, Faults, Tcp};
pub use mischief::Mischief;
pub use segments::SegmentTable;
pub use types::{
    Ack, Audit, Config, Gateway, Idle, Limits, Money, Password, Port, Protocol, Risk,
    SelfTradePolicy, Symbol, SymbolsFile, Topology, TransportKind, User,
};
pub use venues::{FirmRouting, Policy, Prefer, Routing, Venue, VenueFeed, VenueProtocol, Ways};

use std::path::Path;

/// The configuration used where none is given.
pub const BUILT_IN: &str = include_str!("built_in.toml");

impl Config {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Config::parse_in(folder, &text, &path.display().to_string())
    }

    /// Reads and checks a text; `name` is how errors call it. Files it names are looked for in the
    /// current folder.
    pub fn parse(text: &str, name: &str) -> Result<Config, ConfigError> {
        Config::parse_in(Path::new(""), text, name)
    }

    fn parse_in(folder: &Path, text: &str, name: &str) -> Result<Config, ConfigError> {
        let mut config: Config =
            toml::from_str(text).map_err(|error| ConfigError::from_toml(name, text, &error))?;
        check::check(&config, text, name)?;
        if let Some(table) = &config.symbols_file {
            let more = symbols::read(&folder.join(table.file.get_ref()), &config.symbols)?;
            config.symbols.extend(more);
        }
        check::check_whole(&config, text, name)?;
        Ok(config)
    }

    /// The built-in configuration.
    pub fn built_in() -> Config {
        Config::parse(BUILT_IN, "built-in configuration").expect("the built-in one is valid")
    }
}

#[cfg(test)]
mod tests;
