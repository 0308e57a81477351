//! Everything that is stored, in memory: the log of every series up to one batch.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::{Connection, PgConnection};

use super::StoreError;
use super::block::read_followed_after;
use super::candidate::read_candidates_after;
use super::database::{Mode, find_mode};
use super::fact::read_facts_after;
use super::filing::{read_figures_after, read_filings_after};
use super::head::{Batch, list_batches_after, read_head};
use super::header::read_headers_after;
use super::observation::{list_series, read_rows_after};
use super::rule::read_rule_book;
use crate::domain::block_log::BlockLog;
use crate::domain::chain::{HEADER_TIMING, HeaderLog};
use crate::domain::choice::{Group, union_of_periods};
use crate::domain::credit::book::valid_until;
use crate::domain::credit::figure::{Figure, Figures};
use crate::domain::facts::{Fact, FactVersion, Facts};
use crate::domain::filing::Filings;
use crate::domain::filing::candidate::Candidates;
use crate::domain::network::{NetworkHistory, NetworkMetric};
use crate::domain::observation::{Moment, Resolution, SeriesLog};
use crate::domain::rules::RuleBook;
use crate::domain::spot::{SpotHistory, is_spot};
use crate::domain::time::Timestamp;

/// Everything stored up to one batch.
#[derive(Debug)]
pub struct Stored {
    pub mode: Mode,
    pub head: Batch,
    pub rules: RuleBook,
    /// Every version of what people compiled.
    pub facts: Facts,
    /// Every figure that filings and the table of figures state, shared with the snapshot before where there is no new one.
    pub figures: Arc<Figures>,
    /// Every filing of an issuer, shared likewise.
    pub filings: Arc<Filings>,
    /// What documents of filings say about new agreements, shared likewise.
    pub candidates: Arc<Candidates>,
    /// Every block header, shared with the snapshot before where there is no new one.
    pub headers: Arc<HeaderLog>,
    /// Every block that an own node was followed to, shared likewise.
    pub blocks: Arc<BlockLog>,
    /// Every series by its id, those without rows included.
    logs: HashMap<i32, Arc<SeriesLog>>,
    /// Every batch, oldest first.
    batches: Vec<Batch>,
}

impl Stored {
    /// Every log, in no particular order.
    pub fn logs(&self) -> impl Iterator<Item = &SeriesLog> + Clone {
        self.logs.values().map(AsRef::as_ref)
    }

    /// The last batch recorded by an instant: what this installation knew then.
    #[must_use]
    pub fn batch_recorded_by(&self, at: Timestamp) -> i64 {
        let count = self.batches.partition_point(|batch| batch.recorded_at <= at);
        count.checked_sub(1).map_or(0, |last| self.batches[last].number)
    }

    /// Reads everything; what a batch appended is read in one repeatable-read transaction.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer or was not migrated.
    pub async fn read(connection: &mut PgConnection) -> Result<Self, StoreError> {
        let mode = find_mode(connection).await?.ok_or_else(|| StoreError::Unexpected {
            table: "database_mode",
            column: "mode",
            found: "no row; run `miner-signals migrate`".to_owned(),
        })?;
        let nothing = Batch { number: 0, recorded_at: Timestamp::MIN };
        let rules = read_rule_book(connection).await?;
        let (headers, blocks, logs) = (Arc::default(), Arc::default(), HashMap::new());
        let (facts, figures, filings, candidates) = (Facts::default(), Arc::default(), Arc::default(), Arc::default());
        let batches = Vec::new();
        let empty =
            Self { mode, head: nothing, rules, facts, figures, filings, candidates, headers, blocks, logs, batches };
        empty.read_on(connection).await
    }

    /// The same with the batches since; logs that did not change are shared.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn read_on(&self, connection: &mut PgConnection) -> Result<Self, StoreError> {
        let mut transaction = connection.begin_with("begin isolation level repeatable read read only").await?;
        let head = read_head(&mut transaction).await?;
        let series = list_series(&mut transaction).await?;
        let mut rows = read_rows_after(&mut transaction, self.head.number).await?;
        let new_headers = read_headers_after(&mut transaction, self.head.number).await?;
        let (new_blocks, new_events) = read_followed_after(&mut transaction, self.head.number).await?;
        let later = list_batches_after(&mut transaction, self.head.number).await?;
        let rules = read_rule_book(&mut transaction).await?;
        let new_facts = read_facts_after(&mut transaction, self.head.number).await?;
        let new_filings = read_filings_after(&mut transaction, self.head.number).await?;
        let new_candidates = read_candidates_after(&mut transaction, self.head.number).await?;
        let mut new_figures = read_figures_after(&mut transaction, self.head.number).await?;
        new_figures.extend(new_facts.iter().filter_map(figure_of_fact));
        let facts = self.facts.clone().with(new_facts);
        transaction.rollback().await?;
        let logs = series
            .into_iter()
            .map(|stored| {
                let known = self.logs.get(&stored.series_id).map(Arc::clone);
                let log = known.unwrap_or_else(|| Arc::new(SeriesLog::empty(stored.key)));
                let log = match rows.remove(&stored.series_id) {
                    Some(new) => Arc::new(log.with_rows(new)),
                    None => log,
                };
                (stored.series_id, log)
            })
            .collect();
        let headers = if new_headers.is_empty() {
            Arc::clone(&self.headers)
        } else {
            Arc::new(self.headers.with_headers(new_headers))
        };
        let blocks = if new_blocks.is_empty() && new_events.is_empty() {
            Arc::clone(&self.blocks)
        } else {
            Arc::new(self.blocks.with(new_blocks, new_events))
        };
        let filings = grown(&self.filings, new_filings, Filings::with);
        let candidates = grown(&self.candidates, new_candidates, Candidates::with);
        let figures = grown(&self.figures, new_figures, Figures::with);
        let batches = self.batches.iter().copied().chain(later).collect();
        Ok(Self { mode: self.mode, head, rules, facts, figures, filings, candidates, headers, blocks, logs, batches })
    }

    /// Whether there are newer batches in the database.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn is_behind(&self, connection: &mut PgConnection) -> Result<bool, StoreError> {
        Ok(read_head(connection).await?.number > self.head.number)
    }

    /// The batches after one, oldest first.
    #[must_use]
    pub fn batches_after(&self, number: i64) -> &[Batch] {
        &self.batches[self.batches.partition_point(|batch| batch.number <= number)..]
    }

    /// The first instant after a moment at which an answer changes without any new row.
    #[must_use]
    pub fn next_change(&self, moment: Moment) -> Option<Timestamp> {
        let mut changes: Vec<Timestamp> = Vec::new();
        let mut names: Vec<(&str, &str, Resolution)> =
            self.logs().map(|log| (log.key.metric.slug, log.key.subject.as_str(), log.key.resolution)).collect();
        names.sort_unstable();
        names.dedup();
        for (metric, subject, resolution) in names {
            let logs = self.logs_of(metric, subject, resolution);
            if is_spot(metric, subject, resolution) {
                let spot = SpotHistory::new(logs.into_iter(), &self.rules, moment);
                changes.extend(spot.view(moment).valid_until());
                continue;
            }
            let periods = union_of_periods(logs.iter().copied(), moment.batch);
            let group = Group::new(&[metric_of(&logs)], logs.iter().copied(), periods, &self.rules, moment);
            let view = group.view(moment);
            changes.extend(view.next_change);
            changes.extend(view.newest().map(|newest| newest.timing.valid_until(newest.observed_until)));
        }
        let moment_rules = self.rules.in_force(moment);
        changes.extend(self.logs().filter_map(|log| {
            let key = &log.key;
            let timing = moment_rules.timing(&key.source, key.metric.slug, key.resolution);
            Some(timing.valid_until(log.observed_until(moment)?))
        }));
        let history = NetworkHistory::new(self.logs(), &self.rules, &self.facts, moment);
        let view = history.view(moment);
        for group in view.every_group() {
            changes.extend(group.next_change);
            changes.extend(group.newest().map(|newest| newest.timing.valid_until(newest.observed_until)));
        }
        for metric in NetworkMetric::ALL {
            changes.extend(view.newest_days(metric).into_iter().flatten().map(|(end, timing)| timing.valid_until(end)));
        }
        changes.extend(self.filings.next_known(moment));
        let tip = self.headers.view(moment, 1);
        changes.extend(tip.map(|chain| HEADER_TIMING.valid_until(chain.tip().time)));
        changes.extend(self.facts.credit().newest_known_at(moment).map(valid_until));
        changes.into_iter().filter(|&change| change > moment.at).min()
    }

    /// The logs of one metric, subject and resolution: one for each source.
    #[must_use]
    pub fn logs_of(&self, metric: &str, subject: &str, resolution: Resolution) -> Vec<&SeriesLog> {
        self.logs()
            .filter(|log| {
                log.key.metric.slug == metric && log.key.subject == subject && log.key.resolution == resolution
            })
            .collect()
    }
}

fn metric_of(logs: &[&SeriesLog]) -> &'static str {
    logs.first().map_or("", |log| log.key.metric.slug)
}

/// A part of a snapshot with new rows; shared with the snapshot before where there is none.
fn grown<Part: Clone, Row>(part: &Arc<Part>, rows: Vec<Row>, with: impl FnOnce(Part, Vec<Row>) -> Part) -> Arc<Part> {
    if rows.is_empty() { Arc::clone(part) } else { Arc::new(with(Part::clone(part), rows)) }
}

/// The figure that a row of the table of figures states.
fn figure_of_fact(version: &FactVersion<Fact>) -> Option<Figure> {
    let Fact::Credit(row) = &version.row else { return None };
    row.figure(version.known_at, version.batch)
}
