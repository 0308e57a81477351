//! What every answer about credit is made of: the tables and figures of a view, with the market of its day.

use std::collections::{BTreeMap, BTreeSet};

use super::super::shapes::Meta;
use crate::api::answer::Question;
use crate::api::params::Params;
use crate::api::problem::{Code, Problem};
use crate::api::readings::{Material as SeriesMaterial, Newest, Wanted, known_metric};
use crate::api::view::{Freshness, View};
use crate::domain::catalog::find_metric;
use crate::domain::credit::book::{CreditView, valid_until};
use crate::domain::credit::figure::Figures;
use crate::domain::credit::measure::Priced;
use crate::domain::credit::miner::{Material, Miner, Scenario};
use crate::domain::equities::{Closes, Split, split_adjusted_volume};
use crate::domain::filing::candidate::KnownCandidate;
use crate::domain::observation::Resolution;
use crate::domain::time::{Day, Timestamp};

/// Sessions of a month, over which volume is averaged.
const VOLUME_SESSIONS: usize = 20;

/// The tables, the figures, and the market as a view has them.
pub(in crate::api) struct Desk<'v> {
    pub view: &'v View,
    pub credit: CreditView<'v>,
    pub figures: &'v Figures,
    /// The day for which everything is said: that of the view's moment.
    pub day: Day,
    hashprice: Option<Priced>,
    btc_price: Option<Priced>,
    /// Closes of shares by ticker.
    closes: BTreeMap<String, Closes>,
    market_freshness: Freshness,
}

impl<'v> Desk<'v> {
    /// # Errors
    /// Those of the catalog.
    pub fn of(view: &'v View) -> Result<Self, Problem> {
        let facts = &view.snapshot.stored.facts;
        let newest = |slug| {
            let metric = known_metric(slug)?;
            Ok::<_, Problem>(Newest::of(
                view,
                Wanted { metric, subject: "btc", source: None, resolution: Resolution::Day },
            ))
        };
        let (hashprice, btc_price) = (newest("hashprice_usd_per_ph_day")?, newest("price_usd")?);
        let credit = facts.credit().view(view.moment);
        let closes = credit.tickers().into_iter().map(|ticker| (ticker.to_owned(), closes_of(view, ticker))).collect();
        Ok(Self {
            view,
            figures: &view.snapshot.stored.figures,
            day: view.moment.at.day(),
            market_freshness: hashprice.freshness.and(btc_price.freshness),
            hashprice: priced(&hashprice),
            btc_price: priced(&btc_price),
            closes,
            credit,
        })
    }

    /// Hashprice and price of bitcoin of the newest day.
    pub fn market(&self) -> (Option<f64>, Option<f64>) {
        let value = |price: &Option<Priced>| price.as_ref().map(|price| price.value);
        (value(&self.hashprice), value(&self.btc_price))
    }

    /// What filings of an issuer say about new agreements, oldest first.
    pub fn candidates(&self, ticker: &str) -> impl DoubleEndedIterator<Item = &'v KnownCandidate> {
        self.view.snapshot.stored.candidates.visible(ticker, self.view.moment)
    }

    /// The instrument whose row, or one of whose balances, rests on a filing.
    pub fn instrument_of_filing(&'v self, ticker: &str, accession: &str) -> Option<&'v str> {
        let folder = accession.replace('-', "");
        let rests = |source: &str| source.contains(accession) || source.contains(&folder);
        let mut instruments = self.credit.instruments_of(ticker);
        let found = instruments.find(|known| {
            let balances = self.credit.outstanding(&known.entry.instrument_id);
            rests(known.row.source()) || balances.iter().any(|balance| rests(balance.row.source()))
        });
        found.map(|known| known.entry.instrument_id.as_str())
    }

    /// Closes of an issuer's share.
    pub fn closes(&'v self, ticker: &str) -> &'v Closes {
        static NONE: Closes = Closes { sessions: Vec::new(), splits: Vec::new() };
        self.closes.get(ticker).unwrap_or(&NONE)
    }

    /// Mean volume of the last 20 sessions, in shares of the view's day; `None` with fewer.
    pub fn mean_volume(&self, ticker: &str) -> Option<f64> {
        let volumes = values_of(self.view, "equity_volume_shares", ticker);
        let last = volumes.len().checked_sub(VOLUME_SESSIONS)?;
        let splits = &self.closes(ticker).splits;
        let in_todays =
            volumes[last..].iter().map(|&(day, volume)| split_adjusted_volume(volume, day, splits, self.day));
        let mean = in_todays.sum::<f64>() / VOLUME_SESSIONS as f64;
        (mean > 0.0).then_some(mean)
    }

    /// An issuer with its measures.
    pub fn miner(&'v self, ticker: &'v str, scenario: Scenario) -> Miner<'v> {
        let has_market = self.has_market(ticker);
        let material = Material {
            credit: &self.credit,
            figures: self.figures,
            moment: self.view.moment,
            day: self.day,
            hashprice: self.hashprice.as_ref().filter(|_| has_market),
            btc_price: self.btc_price.as_ref().filter(|_| has_market),
            closes: self.closes(ticker),
            scenario,
        };
        Miner::new(ticker, material)
    }

    /// Prices of a simulated world say nothing about companies that are real.
    pub fn has_market(&self, ticker: &str) -> bool {
        !self.view.is_simulated() || self.credit.issuer(ticker).is_some_and(|issuer| issuer.entry.is_fictional())
    }

    /// The issuers asked for by `ticker=A,B`, or all of them.
    ///
    /// # Errors
    /// 404 for a ticker that nobody knows, with the closest one.
    pub fn tickers(&'v self, params: &Params) -> Result<BTreeSet<&'v str>, Problem> {
        let known = self.credit.tickers();
        let Some(wanted) = params.list("ticker")? else { return Ok(known) };
        wanted.into_iter().map(|ticker| self.ticker(ticker)).collect()
    }

    /// An issuer by its ticker, in any case.
    ///
    /// # Errors
    /// 404 for a ticker that nobody knows, with the closest one.
    pub fn ticker(&'v self, wanted: &str) -> Result<&'v str, Problem> {
        let known = self.credit.tickers();
        let found = known.iter().find(|ticker| ticker.eq_ignore_ascii_case(wanted)).copied();
        found.ok_or_else(|| Problem::unknown(Code::UnknownSubject, "ticker", wanted, known.into_iter()))
    }

    /// How fresh the tables are; they are compiled by people and filings, so they age slowly.
    pub fn freshness(&self) -> Freshness {
        let facts = &self.view.snapshot.stored.facts;
        facts.credit().newest_known_at(self.view.moment).map_or_else(Freshness::default, fresh_since)
    }

    /// The same with the market's prices, where they are used.
    pub fn freshness_with_market(&self) -> Freshness {
        self.freshness().and(self.market_freshness)
    }

    pub fn meta(&self, freshness: &Freshness, sources: &[&str]) -> Meta {
        Meta::of(None, None, self.view, freshness, sources.iter().map(|&source| source.to_owned()).collect())
    }
}

/// Freshness of tables whose newest row was known at an instant.
fn fresh_since(known_at: Timestamp) -> Freshness {
    Freshness { observed_until: Some(known_at), next_expected: None, valid_until: Some(valid_until(known_at)) }
}

/// The scenario that a question supposes.
///
/// # Errors
/// 400 for what is no number in its range.
pub(in crate::api) fn scenario_of(question: &Question) -> Result<Scenario, Problem> {
    let params = &question.params;
    Ok(Scenario {
        hashprice_usd_per_ph_day: params.number("hashprice_usd_per_ph_day", 0.0..=100_000.0)?,
        btc_price_usd: params.number("btc_price_usd", 0.01..=100_000_000.0)?,
        power_usd_per_mwh: params.number("power_usd_per_mwh", -10_000.0..=20_000.0)?,
        may_assume: params.flag("assume")?.unwrap_or(false),
    })
}

fn priced(newest: &Newest) -> Option<Priced> {
    let row = newest.row.as_ref()?;
    Some(Priced { value: row.value?, observed_on: row.start.day(), known_at: row.known_at, source: row.source.clone() })
}

fn closes_of(view: &View, ticker: &str) -> Closes {
    let splits = values_of(view, "equity_split_ratio", ticker);
    let splits = splits.into_iter().map(|(day, ratio)| Split { day, ratio }).collect();
    Closes { sessions: values_of(view, "equity_close_usd", ticker), splits }
}

/// Days and values of a share's daily series, in time order; none where there is no such series.
fn values_of(view: &View, slug: &str, ticker: &str) -> Vec<(Day, f64)> {
    let Some(metric) = find_metric(slug) else { return Vec::new() };
    let wanted = Wanted { metric, subject: ticker, source: None, resolution: Resolution::Day };
    let material = SeriesMaterial::gather(view, wanted);
    material.series().latest_rows().into_iter().filter_map(|row| Some((row.start.day(), row.value?))).collect()
}
