//! Candidate events: filings that may tell of a new debt, each with the sentence that says most about it.
//!
//! They are no instruments: nothing is computed of them until a person has read the filing and written it into the
//! tables.

use std::sync::Arc;

use super::Filing;
use crate::domain::observation::Moment;
use crate::domain::time::Timestamp;

/// The items of an 8-K that speak of agreements and obligations: entry into a material definitive agreement, and
/// creation of a direct financial obligation.
pub const ITEMS: [&str; 2] = ["1.01", OBLIGATION];
const OBLIGATION: &str = "2.03";

/// What a document says of a new agreement.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    pub cik: u64,
    /// Accession number of the filing.
    pub accession: Arc<str>,
    /// Whether the sentence speaks of debt, or the filing has item 2.03.
    pub is_about_debt: bool,
    /// `None` where none was found, or the document could not be read.
    pub sentence: Option<String>,
    /// The first amount in it of 100,000 USD or more.
    pub amount_usd: Option<f64>,
}

impl Candidate {
    /// That of a filing of which nothing was read but its items.
    #[must_use]
    pub fn unread(filing: &Filing) -> Self {
        Self {
            cik: filing.cik,
            accession: Arc::clone(&filing.accession),
            is_about_debt: filing.items.iter().any(|item| item == OBLIGATION),
            sentence: None,
            amount_usd: None,
        }
    }
}

/// A candidate that is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownCandidate {
    pub candidate: Candidate,
    pub ticker: Arc<str>,
    pub items: Vec<String>,
    /// Address of the document; that of the filing where it has none.
    pub url: String,
    /// When its filing was known.
    pub known_at: Timestamp,
    pub batch: i64,
}

/// Every stored candidate, in the order in which they were known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Candidates(Vec<Arc<KnownCandidate>>);

impl Candidates {
    /// These and more.
    #[must_use]
    pub fn with(mut self, candidates: impl IntoIterator<Item = KnownCandidate>) -> Self {
        self.0.extend(candidates.into_iter().map(Arc::new));
        self.0.sort_by(|a, b| (a.known_at, &a.candidate.accession).cmp(&(b.known_at, &b.candidate.accession)));
        self
    }

    /// What a view has of an issuer, in the order in which it was known.
    pub fn visible<'c>(
        &'c self,
        ticker: &str,
        moment: Moment,
    ) -> impl DoubleEndedIterator<Item = &'c KnownCandidate> + use<'c> {
        let ticker: Arc<str> = ticker.into();
        let known = self.0.iter().map(AsRef::as_ref);
        known.filter(move |known: &&KnownCandidate| {
            known.ticker == ticker && known.known_at <= moment.at && known.batch <= moment.batch
        })
    }
}
