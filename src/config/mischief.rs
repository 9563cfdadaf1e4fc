//! `[mischief]`: what a venue for tests does to those who trade there.

use serde::Deserialize;

use super::ConfigError;
use super::check::Checker;
use super::types::Config;

/// `[mischief]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mischief {
    /// The same seed does the same to the same messages.
    pub seed: u64,
    /// How long an answer is held back.
    pub delay_us: u32,
    /// Of a million new orders, so many are refused.
    pub reject_ppm: u32,
    /// Of a million trades, so many are undone.
    pub bust_ppm: u32,
    /// After so many of a million messages the connection is cut.
    pub disconnect_ppm: u32,
}

pub(super) fn check(config: &Config, checker: &Checker<'_>) -> Result<(), ConfigError> {
    let Some(mischief) = &config.mischief else { return Ok(()) };
    if let Some(port) = config.ports.iter().find(|port| !port.listen.get_ref().ip().is_loopback()) {
        let what = format!(
            "[mischief] is for tests: it needs every port on loopback, and {} is not",
            port.listen.get_ref()
        );
        return checker.fail(port.listen.span(), what);
    }
    let Mischief { delay_us, reject_ppm, bust_ppm, disconnect_ppm, .. } = *mischief.get_ref();
    if delay_us > 10_000_000
        || [reject_ppm, bust_ppm, disconnect_ppm].iter().any(|n| *n > 1_000_000)
    {
        let what = "[mischief] takes delay_us up to 10000000 and parts of a million";
        return checker.fail(mischief.span(), what);
    }
    Ok(())
}
