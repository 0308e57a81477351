//! The rows of a table to facts, or every error in it.

use std::collections::{HashMap, HashSet};

use url::Url;

use super::super::parse_decimal;
use super::super::text::cut;
use super::wire::{Line, lines_of};
use super::{FactError, TableFile};
use crate::domain::credit::row::{self, CreditRow};
use crate::domain::facts::{
    AsicModel, AsicModelFields, Cooling, DatePrecision, EFFICIENCY, EfficiencyDistribution,
    EfficiencyDistributionFields, EvidenceKind, Fact, Fault, HASHRATE, NetworkEfficiency, NetworkEfficiencyFields,
    POWER, PRICE, PoolEvidence, PoolEvidenceFields, Quantity, RoughDate, SHARE, UnitPrice,
};
use crate::domain::indicators::mining_cost::EfficiencyShare;
use crate::domain::time::{Day, Timestamp};

/// The longest cell.
const CELL_LIMIT: usize = 1_000;
/// The longest piece of a cell or line that a message shows.
const SHOWN_LIMIT: usize = 60;

/// A table: its name, and its columns, which a file may have in any order.
struct Table {
    name: &'static str,
    columns: &'static [&'static str],
}

/// The tables whose rows this file reads by itself; those about issuers read themselves.
const TABLES: [Table; 4] = [
    Table {
        name: Fact::NETWORK_EFFICIENCY,
        columns: &["observed_on", "efficiency_j_per_th", "known_at", "publisher", "title", "source", "note"],
    },
    Table {
        name: Fact::ASIC_MODELS,
        columns: &[
            "model_id",
            "model",
            "manufacturer",
            "hashrate_th_per_s",
            "power_w",
            "efficiency_j_per_th",
            "cooling",
            "released_on",
            "released_precision",
            "price_usd_per_th",
            "price_on",
            "known_at",
            "source",
        ],
    },
    Table {
        name: Fact::EFFICIENCY_DISTRIBUTION,
        columns: &["as_of", "efficiency_j_per_th", "share", "known_at", "source"],
    },
    Table { name: Fact::POOLS, columns: &["slug", "name", "kind", "value", "known_at", "source", "note"] },
];

fn every_table() -> impl Iterator<Item = Table> {
    let of_credit = row::Table::ALL.into_iter().map(|table| Table { name: table.name(), columns: table.columns() });
    TABLES.into_iter().chain(of_credit)
}

/// The rows of a file.
///
/// # Errors
/// Every error of the file, by line.
pub(super) fn read_table(file: &TableFile, now: Timestamp, named: &Named) -> Result<Vec<Fact>, Vec<FactError>> {
    let mut reading = Reading { file: &file.name, now, named, errors: Vec::new() };
    let facts = reading.read(&file.bytes);
    reading.errors.sort_by_key(|error| error.line);
    if reading.errors.is_empty() { Ok(facts) } else { Err(reading.errors) }
}

/// A file being read, with the errors so far.
struct Reading<'a> {
    file: &'a str,
    now: Timestamp,
    named: &'a Named,
    errors: Vec<FactError>,
}

/// The issuers and instruments that any table has a row of: what rows of other tables may name.
#[derive(Debug, Default)]
pub(super) struct Named {
    tickers: HashSet<String>,
    instrument_ids: HashSet<String>,
}

impl Named {
    pub(super) fn in_files<'f>(files: impl Iterator<Item = &'f TableFile>) -> Self {
        let mut named = Self::default();
        for file in files {
            match file.name.as_str() {
                "issuers.csv" => named.tickers.extend(cells_of_column(file, "ticker")),
                "instruments.csv" => named.instrument_ids.extend(cells_of_column(file, "instrument_id")),
                _ => {}
            }
        }
        named
    }
}

/// The cells of a column, of lines that are rows.
fn cells_of_column(file: &TableFile, column: &str) -> Vec<String> {
    let mut lines = lines_of(&file.bytes).into_iter().flatten();
    let place = lines.next().and_then(|header| header.cells.iter().position(|cell| cell == column));
    let Some(place) = place else { return Vec::new() };
    lines.filter_map(|line| line.cells.into_iter().nth(place)).collect()
}

/// A row being read: its cells by column.
struct Row<'a> {
    line: u64,
    cells: HashMap<&'static str, &'a str>,
}

/// A cell that may be empty holds something unusable, and the reader was told.
struct Told;

impl Row<'_> {
    fn cell(&self, column: &str) -> &str {
        self.cells.get(column).copied().unwrap_or_default()
    }
}

impl Reading<'_> {
    fn read(&mut self, bytes: &[u8]) -> Vec<Fact> {
        let Some(table) = every_table().find(|table| self.file.strip_suffix(".csv") == Some(table.name)) else {
            let names = every_table().map(|table| format!("{}.csv", table.name)).collect::<Vec<_>>().join(", ");
            self.error(1, None, self.file, format!("there is no such table; the files are {names}"));
            return Vec::new();
        };
        let mut lines = Vec::new();
        for line in lines_of(bytes) {
            match line {
                Ok(line) => lines.push(line),
                Err(damage) => self.error(damage.line, None, &damage.found, damage.advice.to_owned()),
            }
        }
        let mut lines = lines.iter();
        let Some(header) = lines.next() else {
            if self.errors.is_empty() {
                let advice = format!("the file is empty; write a first line with {}", table.columns.join(","));
                self.error(1, None, "", advice);
            }
            return Vec::new();
        };
        let Some(columns) = self.columns(&table, header) else { return Vec::new() };
        let rows: Vec<Row> = lines.filter_map(|line| self.row(&columns, line)).collect();
        match table.name {
            Fact::NETWORK_EFFICIENCY => self.each(&rows, Self::network_efficiency),
            Fact::ASIC_MODELS => self.each(&rows, Self::asic_model),
            Fact::POOLS => self.pools(&rows),
            Fact::EFFICIENCY_DISTRIBUTION => self.distributions(&rows),
            name => match row::Table::from_name(name) {
                Some(table) => self.each(&rows, |reading, row| reading.credit_row(table, row)),
                None => Vec::new(), // every table is one of the above
            },
        }
    }

    fn error(&mut self, line: u64, column: Option<&str>, found: &str, advice: String) {
        self.errors.push(FactError {
            file: self.file.to_owned(),
            line,
            column: column.map(str::to_owned),
            found: cut(found, SHOWN_LIMIT),
            advice,
        });
    }

    fn wrong(&mut self, row: &Row, column: &str, advice: impl Into<String>) {
        self.error(row.line, Some(column), row.cell(column), advice.into());
    }

    fn faults(&mut self, row: &Row, faults: Vec<Fault>) {
        for fault in faults {
            self.wrong(row, fault.column, fault.advice);
        }
    }

    /// The columns in the order of the file; `None` if some are missing, unknown or there twice.
    fn columns(&mut self, table: &Table, header: &Line) -> Option<Vec<&'static str>> {
        let before = self.errors.len();
        let mut columns: Vec<&'static str> = Vec::new();
        for cell in &header.cells {
            match table.columns.iter().find(|column| *column == cell) {
                None => {
                    let advice = format!("there is no such column; the columns are {}", table.columns.join(", "));
                    self.error(header.number, Some(cell), cell, advice);
                }
                Some(column) if columns.contains(column) => {
                    self.error(header.number, Some(column), cell, "write each column once".to_owned());
                }
                Some(column) => columns.push(column),
            }
        }
        for column in table.columns.iter().filter(|column| !columns.contains(column)) {
            let found = header.cells.join(",");
            self.error(
                header.number,
                Some(column),
                &found,
                "add the column; its cells may stay empty if it is optional".to_owned(),
            );
        }
        (self.errors.len() == before).then_some(columns)
    }

    fn row<'a>(&mut self, columns: &[&'static str], line: &'a Line) -> Option<Row<'a>> {
        if line.cells.len() != columns.len() {
            let advice = format!(
                "the line has {} cells where the first line names {}; put a cell with a comma into quotes",
                line.cells.len(),
                columns.len()
            );
            self.error(line.number, None, &line.cells.join(","), advice);
            return None;
        }
        let cells = columns.iter().copied().zip(line.cells.iter().map(String::as_str)).collect();
        let row = Row { line: line.number, cells };
        for column in columns {
            if row.cell(column).len() > CELL_LIMIT {
                self.wrong(&row, column, format!("write at most {CELL_LIMIT} bytes"));
                return None;
            }
        }
        Some(row)
    }

    /// Each row to a fact; a second row about the same thing at the same time is an error.
    fn each(&mut self, rows: &[Row], read: impl Fn(&mut Self, &Row) -> Option<Fact>) -> Vec<Fact> {
        let mut first_lines: HashMap<(String, Timestamp), u64> = HashMap::new();
        let mut facts = Vec::new();
        for row in rows {
            let Some(fact) = read(self, row) else { continue };
            let key = (fact.key(), fact.published_at());
            if let Some(first) = first_lines.get(&key) {
                let advice = format!("line {first} says when {} was known already; keep one of the two", key.0);
                self.wrong(row, "known_at", advice);
                continue;
            }
            first_lines.insert(key, row.line);
            facts.push(fact);
        }
        facts
    }

    fn credit_row(&mut self, table: row::Table, row: &Row) -> Option<Fact> {
        let published_at = self.known_at(row);
        self.source(row)?;
        let cells = row.cells.iter().filter(|(column, cell)| **column != "known_at" && !cell.is_empty());
        let cells = cells.map(|(column, cell)| (*column, (*cell).to_owned())).collect();
        // With an unknown time the rest is checked all the same, as if it were late enough.
        match CreditRow::new(table, cells, published_at.unwrap_or(Timestamp::MAX)) {
            Ok(credit_row) => {
                self.check_named(row, &credit_row);
                published_at.map(|_| Fact::Credit(credit_row))
            }
            Err(faults) => {
                self.faults(row, faults);
                None
            }
        }
    }

    /// A row about an issuer or an instrument that no table has is a slip in its name.
    fn check_named(&mut self, row: &Row, credit_row: &CreditRow) {
        let is_named = |name: Option<&str>, names: &HashSet<String>| name.is_none_or(|name| names.contains(name));
        if !is_named(credit_row.ticker(), &self.named.tickers) {
            self.wrong(row, "ticker", "write a ticker of issuers.csv, or add the issuer there");
        }
        if !is_named(credit_row.instrument_id(), &self.named.instrument_ids) {
            self.wrong(row, "instrument_id", "write an instrument of instruments.csv, or add it there");
        }
    }

    fn network_efficiency(&mut self, row: &Row) -> Option<Fact> {
        let observed_on = self.day(row, "observed_on");
        let efficiency = self.number(row, "efficiency_j_per_th", EFFICIENCY);
        let published_at = self.known_at(row);
        let [publisher, title] = ["publisher", "title"].map(|column| self.text(row, column));
        let source = self.source(row);
        let fields = NetworkEfficiencyFields {
            observed_on: observed_on?,
            efficiency_j_per_th: efficiency?,
            published_at: published_at?,
            publisher: publisher?,
            title: title?,
            source: source?,
            note: row.cell("note").to_owned(),
        };
        match NetworkEfficiency::new(fields) {
            Ok(average) => Some(Fact::NetworkEfficiency(average)),
            Err(faults) => {
                self.faults(row, faults);
                None
            }
        }
    }

    fn asic_model(&mut self, row: &Row) -> Option<Fact> {
        let [model_id, model, manufacturer] =
            ["model_id", "model", "manufacturer"].map(|column| self.text(row, column));
        let hashrate = self.optional(row, "hashrate_th_per_s", HASHRATE);
        let power = self.optional(row, "power_w", POWER);
        let efficiency = self.number(row, "efficiency_j_per_th", EFFICIENCY);
        let cooling = Cooling::from_name(row.cell("cooling"));
        if cooling.is_none() {
            self.wrong(row, "cooling", "write air, hydro or immersion");
        }
        let released = self.released(row);
        let price = self.price(row);
        let published_at = self.known_at(row);
        let source = self.source(row);
        let fields = AsicModelFields {
            model_id: model_id?,
            model: model?,
            manufacturer: manufacturer?,
            hashrate_th_per_s: hashrate.ok()?,
            power_w: power.ok()?,
            efficiency_j_per_th: efficiency?,
            cooling: cooling?,
            released: released.ok()?,
            price: price.ok()?,
            published_at: published_at?,
            source: source?,
        };
        match AsicModel::new(fields) {
            Ok(model) => Some(Fact::AsicModel(model)),
            Err(faults) => {
                self.faults(row, faults);
                None
            }
        }
    }

    /// The date of release, if the row has one.
    fn released(&mut self, row: &Row) -> Result<Option<RoughDate>, Told> {
        match (row.cell("released_on"), row.cell("released_precision")) {
            ("", "") => return Ok(None),
            ("", _) => self.wrong(row, "released_on", "write the date, or leave released_precision empty too"),
            (_, precision) => {
                let day = self.day(row, "released_on");
                let Some(precision) = DatePrecision::from_name(precision) else {
                    self.wrong(row, "released_precision", "write day, month or year: how exactly released_on is known");
                    return Err(Told);
                };
                let day = day.ok_or(Told)?;
                let begins = match precision {
                    DatePrecision::Day => true,
                    DatePrecision::Month => row.cell("released_on").ends_with("-01"),
                    DatePrecision::Year => row.cell("released_on").ends_with("-01-01"),
                };
                if begins {
                    return Ok(Some(RoughDate { day, precision }));
                }
                self.wrong(row, "released_on", format!("write the first day of the {}", precision.name()));
            }
        }
        Err(Told)
    }

    /// The price and its day, if the row has one.
    fn price(&mut self, row: &Row) -> Result<Option<UnitPrice>, Told> {
        match (row.cell("price_usd_per_th"), row.cell("price_on")) {
            ("", "") => Ok(None),
            ("", _) => {
                self.wrong(row, "price_usd_per_th", "write the price, or leave price_on empty too");
                Err(Told)
            }
            (_, "") => {
                self.wrong(row, "price_on", "write the day of the price, or leave price_usd_per_th empty too");
                Err(Told)
            }
            _ => {
                let usd_per_th = self.number(row, "price_usd_per_th", PRICE);
                let on = self.day(row, "price_on");
                Ok(Some(UnitPrice { usd_per_th: usd_per_th.ok_or(Told)?, on: on.ok_or(Told)? }))
            }
        }
    }

    /// The rows of one day and one time of publication are one distribution.
    fn distributions(&mut self, rows: &[Row]) -> Vec<Fact> {
        let mut groups: Vec<(EfficiencyDistributionFields, usize)> = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            let as_of = self.day(row, "as_of");
            let efficiency = self.number(row, "efficiency_j_per_th", EFFICIENCY);
            let share = self.number(row, "share", SHARE);
            let published_at = self.known_at(row);
            let source = self.source(row);
            let (Some(as_of), Some(efficiency_j_per_th), Some(share), Some(published_at), Some(source)) =
                (as_of, efficiency, share, published_at, source)
            else {
                continue;
            };
            let share = EfficiencyShare { efficiency_j_per_th, share };
            let same = |group: &&mut (EfficiencyDistributionFields, usize)| {
                (group.0.as_of, group.0.published_at) == (as_of, published_at)
            };
            match groups.iter_mut().find(same) {
                None => {
                    groups.push((
                        EfficiencyDistributionFields { as_of, shares: vec![share], published_at, source },
                        place,
                    ));
                }
                Some((group, _)) if group.source == source => group.shares.push(share),
                Some((group, _)) => {
                    let advice = format!("the shares of a day come from one source; before it was {}", group.source);
                    self.wrong(row, "source", advice);
                }
            }
        }
        if !self.errors.is_empty() {
            return Vec::new(); // sums without the rows at fault would only add to the noise
        }
        let mut facts = Vec::new();
        for (fields, place) in groups {
            match EfficiencyDistribution::new(fields) {
                Ok(distribution) => facts.push(Fact::EfficiencyDistribution(distribution)),
                Err(faults) => self.faults(&rows[place], faults),
            }
        }
        facts
    }

    /// Each row is a piece of evidence; together they may not say two things about one block.
    fn pools(&mut self, rows: &[Row]) -> Vec<Fact> {
        let facts = self.each(rows, Self::pool_evidence);
        if !self.errors.is_empty() {
            return Vec::new(); // then not every row is a fact, and what they say together is not known
        }
        let pieces = rows.iter().zip(&facts).filter_map(|(row, fact)| match fact {
            Fact::Pool(piece) => Some((row, piece)),
            _ => None,
        });
        let evidence: Vec<(&Row, &PoolEvidence)> = pieces.collect();
        self.check_moves(&evidence);
        self.check_names(&evidence);
        self.check_tags(&evidence);
        facts
    }

    fn pool_evidence(&mut self, row: &Row) -> Option<Fact> {
        let [slug, name, value] = ["slug", "name", "value"].map(|column| self.text(row, column));
        let kind = EvidenceKind::from_name(row.cell("kind"));
        if kind.is_none() {
            self.wrong(row, "kind", "write tag or address");
        }
        let published_at = self.known_at(row);
        let source = self.source(row);
        let fields = PoolEvidenceFields {
            slug: slug?,
            name: name?,
            kind: kind?,
            value: value?,
            published_at: published_at?,
            source: source?,
            note: row.cell("note").to_owned(),
        };
        match PoolEvidence::new(fields) {
            Ok(evidence) => Some(Fact::Pool(evidence)),
            Err(faults) => {
                self.faults(row, faults);
                None
            }
        }
    }

    /// Evidence may go to another pool as time goes by, but then the row says why: else it is a slip.
    fn check_moves(&mut self, evidence: &[(&Row, &PoolEvidence)]) {
        let mut in_time: Vec<_> = evidence.to_vec();
        in_time.sort_by_key(|(_, piece)| piece.fields().published_at);
        let mut owners: HashMap<(EvidenceKind, String), (&str, u64)> = HashMap::new();
        for (row, piece) in in_time {
            let fields = piece.fields();
            let now = (fields.slug.as_str(), row.line);
            if let Some((owner, line)) = owners.insert((fields.kind, piece.compared_value()), now)
                && owner != fields.slug
                && fields.note.is_empty()
            {
                let advice = format!(
                    "line {line} gives the same {} to {owner}; correct one of the two, or say in note why it went to another pool",
                    fields.kind.name()
                );
                self.wrong(row, "slug", advice);
            }
        }
    }

    /// A pool has one name at a time.
    fn check_names(&mut self, evidence: &[(&Row, &PoolEvidence)]) {
        let mut names: HashMap<(&str, Timestamp), (&str, u64)> = HashMap::new();
        for (row, piece) in evidence {
            let fields = piece.fields();
            let (name, line) =
                *names.entry((&fields.slug, fields.published_at)).or_insert((fields.name.as_str(), row.line));
            if name != fields.name {
                let advice = format!("line {line} calls {} {name:?} at the same time; write one name", fields.slug);
                self.wrong(row, "name", advice);
            }
        }
    }

    /// A tag within a tag of another pool is ambiguous: the shorter one stands in every block of both.
    fn check_tags(&mut self, evidence: &[(&Row, &PoolEvidence)]) {
        let is_tag =
            |fields: &PoolEvidenceFields| fields.kind == EvidenceKind::Tag && fields.slug != PoolEvidence::NOBODY;
        let tags: Vec<_> = evidence
            .iter()
            .filter(|(_, piece)| is_tag(piece.fields()))
            .map(|(row, piece)| (row, piece.fields(), piece.compared_value()))
            .collect();
        for (row, fields, tag) in &tags {
            let within = tags
                .iter()
                .find(|(_, other, shorter)| other.slug != fields.slug && tag != shorter && tag.contains(shorter));
            if let Some((other_row, other, _)) = within {
                let advice = format!(
                    "{:?} of line {}, a tag of {}, is a part of it; leave one of the two out",
                    other.value, other_row.line, other.slug
                );
                self.wrong(row, "value", advice);
            }
        }
    }

    fn day(&mut self, row: &Row, column: &str) -> Option<Day> {
        let day = Day::parse(row.cell(column)).ok();
        if day.is_none() {
            self.wrong(row, column, "write a day like 2024-06-30");
        }
        day
    }

    /// When the public could know the row. Of a day alone nobody knows the hour, so the row counts as
    /// known when the day is over.
    fn known_at(&mut self, row: &Row) -> Option<Timestamp> {
        let text = row.cell("known_at");
        let known_at = match Day::parse(text) {
            Ok(day) => Ok(day.end()),
            Err(_) => Timestamp::parse(text),
        };
        match known_at {
            Err(_) => {
                self.wrong(
                    row,
                    "known_at",
                    "write the day of publication like 2025-04-28, or the instant like 2025-04-28T09:00:00Z",
                );
                None
            }
            Ok(known_at) if known_at > self.now => {
                let advice = "that is in the future, and a day counts from its end; write when it was published";
                self.wrong(row, "known_at", advice);
                None
            }
            Ok(known_at) => Some(known_at),
        }
    }

    fn number(&mut self, row: &Row, column: &str, quantity: Quantity) -> Option<f64> {
        let value = parse_decimal(row.cell(column), 0);
        if value.is_none() {
            self.wrong(row, column, format!("write a decimal number {quantity}"));
        }
        value
    }

    fn optional(&mut self, row: &Row, column: &str, quantity: Quantity) -> Result<Option<f64>, Told> {
        if row.cell(column).is_empty() {
            return Ok(None);
        }
        let value = parse_decimal(row.cell(column), 0);
        if value.is_none() {
            self.wrong(row, column, format!("write a decimal number {quantity}, or nothing"));
        }
        value.map(Some).ok_or(Told)
    }

    fn text(&mut self, row: &Row, column: &str) -> Option<String> {
        let text = row.cell(column);
        if text.is_empty() {
            self.wrong(row, column, "the cell is empty; write who or what it is");
            return None;
        }
        Some(text.to_owned())
    }

    /// The address of the source, as it is written.
    fn source(&mut self, row: &Row) -> Option<String> {
        let text = row.cell("source");
        let is_address =
            Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some());
        if !is_address || text.contains(' ') {
            self.wrong(
                row,
                "source",
                "write the address of the text that states it, beginning with https:// or http://",
            );
            return None;
        }
        Some(text.to_owned())
    }
}
