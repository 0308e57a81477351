//! Tables of facts: CSV files that people compile, each row with the address of its source.
//!
//! The tables of this release are in the program ([`shipped_tables`]); anybody may keep a directory of
//! their own in the same form. `data/README.md` describes the columns. Nothing is taken from a file
//! that has an error anywhere, and every error is told, not the first alone.

mod normalize;
mod wire;

use std::fmt;

use self::normalize::Named;
use crate::domain::facts::Fact;
use crate::domain::time::Timestamp;

/// A file of a table: its name, such as `asic_models.csv`, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFile {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Something wrong in a file, where, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactError {
    pub file: String,
    /// From 1, the line of column names.
    pub line: u64,
    /// Name of the column; `None` where the whole line or file is meant.
    pub column: Option<String>,
    /// What stands there, shortened.
    pub found: String,
    pub advice: String,
}

impl fmt::Display for FactError {
    /// `asic_models.csv:3: power_w: found "3,4kW"; write a decimal number of W, or nothing`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if let Some(column) = &self.column {
            write!(f, "{column}: ")?;
        }
        write!(f, "found {:?}; {}", self.found, self.advice)
    }
}

/// The tables that this release brings along, as files.
#[must_use]
pub fn shipped_tables() -> Vec<TableFile> {
    let tables = [
        ("network_efficiency.csv", include_str!("../../../data/network_efficiency.csv")),
        ("asic_models.csv", include_str!("../../../data/asic_models.csv")),
        ("efficiency_distribution.csv", include_str!("../../../data/efficiency_distribution.csv")),
        ("pools.csv", include_str!("../../../data/pools.csv")),
        ("issuers.csv", include_str!("../../../data/issuers.csv")),
        ("instruments.csv", include_str!("../../../data/instruments.csv")),
        ("outstanding.csv", include_str!("../../../data/outstanding.csv")),
        ("debt_options.csv", include_str!("../../../data/debt_options.csv")),
        ("amortisation.csv", include_str!("../../../data/amortisation.csv")),
        ("fundamentals.csv", include_str!("../../../data/fundamentals.csv")),
        ("revenue.csv", include_str!("../../../data/revenue.csv")),
        ("revenue_lines.csv", include_str!("../../../data/revenue_lines.csv")),
        ("sites.csv", include_str!("../../../data/sites.csv")),
        ("industry.csv", include_str!("../../../data/industry.csv")),
        ("earnings.csv", include_str!("../../../data/earnings.csv")),
    ];
    tables.map(|(name, text)| TableFile { name: name.to_owned(), bytes: text.as_bytes().to_vec() }).to_vec()
}

/// The rows of the tables that this release brings along.
#[must_use]
pub fn shipped_facts() -> Vec<Fact> {
    // Whether they are of the past is checked when they are written, not against a clock that may be wrong.
    read_tables(&shipped_tables(), Timestamp::MAX).expect("constants without an error, which a test reads")
}

/// The rows of files, in their order.
///
/// # Errors
/// Every error of every file, in their order; a row whose `known_at` is after `now` is one.
pub fn read_tables(files: &[TableFile], now: Timestamp) -> Result<Vec<Fact>, Vec<FactError>> {
    let (mut facts, mut errors) = (Vec::new(), Vec::new());
    let named = Named::in_files(files.iter().chain(&shipped_tables()));
    for file in files {
        match normalize::read_table(file, now, &named) {
            Ok(rows) => facts.extend(rows),
            Err(more) => errors.extend(more),
        }
    }
    if errors.is_empty() { Ok(facts) } else { Err(errors) }
}

#[cfg(test)]
mod tests;
