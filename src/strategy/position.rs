//! What a strategy has, and what it made: exact, in integers.

use crate::order::Price;

/// Shares and money in one symbol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Position {
    /// Shares held; below zero they are owed.
    pub shares: i64,
    /// Money received less money paid, in 1/10000 of the currency unit.
    pub cash: i128,
    /// Fees paid less rebates received, in 1/10000 of the currency unit, rounded down for each trade.
    pub fees: i128,
    /// Shares ever bought.
    pub bought: u64,
    /// Shares ever sold.
    pub sold: u64,
}

/// What a trade costs, in millionths of the currency unit a share; below zero it is a rebate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fees {
    /// For shares that rested.
    pub added: i64,
    /// For shares that met those.
    pub removed: i64,
}

impl Fees {
    /// Of a trade, in 1/10000 of the currency unit, rounded down.
    pub fn of(&self, shares: u32, added: bool) -> i128 {
        let each = if added { self.added } else { self.removed };
        (i128::from(each) * i128::from(shares)).div_euclid(100)
    }
}

impl Position {
    /// Takes in a trade.
    pub fn trade(&mut self, buys: bool, shares: u32, price: Price, fee: i128) {
        let money = i128::from(price.notional(shares));
        self.fees += fee;
        if buys {
            self.shares += i64::from(shares);
            self.bought += u64::from(shares);
            self.cash -= money;
        } else {
            self.shares -= i64::from(shares);
            self.sold += u64::from(shares);
            self.cash += money;
        }
    }

    /// Profit with shares valued at half of `twice_mark`, in 1/20000 of the currency unit, which is exact.
    pub fn twice_profit(&self, twice_mark: u64) -> i128 {
        2 * (self.cash - self.fees) + i128::from(self.shares) * i128::from(twice_mark)
    }
}

/// Money in 1/20000 of the currency unit as text, five decimals at most.
pub fn money(twice: i128) -> String {
    let (sign, twice) = (if twice < 0 { "-" } else { "" }, twice.unsigned_abs());
    let (whole, fraction) = (twice / 20_000, twice % 20_000 * 5);
    match fraction % 1_000 {
        0 => format!("{sign}{whole}.{:02}", fraction / 1_000),
        _ => format!("{sign}{whole}.{fraction:05}"),
    }
}
