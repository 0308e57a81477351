//! One issuer: its filings and figures asked for, read, and written down as one batch.

use std::collections::HashSet;
use std::time::Instant;

use sqlx::Connection as _;
use tokio_util::sync::CancellationToken;

use super::{Claim, Followed, Trouble, Watcher};
use crate::domain::filing::candidate::Candidate;
use crate::domain::filing::{Filing, StatedFigure};
use crate::domain::time::Span;
use crate::sources::Refused;
use crate::sources::edgar::wire::{FilingColumns, Submissions, parse, parse_facts};
use crate::sources::edgar::{SOURCE, normalize};
use crate::sources::feed::{Answer, Ask};
use crate::sources::http::{FetchError, Fetched};
use crate::store::StoreError;
use crate::store::candidate::append_candidates;
use crate::store::evidence::{keep_raw, quarantine};
use crate::store::filing::{append_figures, append_filings, is_awaiting_figures, list_accessions};
use crate::store::head::{MAX_ROWS_PER_BATCH, record_batch, take_head};
use crate::store::lease::hold;
use crate::worker::settle::quarantined;

/// Lists of filings are kept for so long; figures, which are evidence, for ever.
const KEEP_LISTS: Span = Span::DAY.times(90);
/// Figures follow their filing within minutes. One that has none after this has none.
const AWAIT_FIGURES: Span = Span::DAY;
/// The forms that come with figures.
const WITH_FIGURES: [&str; 12] =
    ["10-Q", "10-Q/A", "10-QT", "10-QT/A", "10-K", "10-K/A", "10-KT", "10-KT/A", "20-F", "20-F/A", "40-F", "40-F/A"];

/// What one batch of an issuer holds.
#[derive(Clone, Copy, Default)]
pub(super) struct News<'a> {
    pub filings: &'a [Filing],
    pub figures: &'a [StatedFigure],
    pub candidates: &'a [Candidate],
}

impl News<'_> {
    const fn is_empty(&self) -> bool {
        self.filings.is_empty() && self.figures.is_empty() && self.candidates.is_empty()
    }
}

impl Watcher {
    /// Asks about an issuer, and stores what is new.
    pub(super) async fn read_issuer(
        &mut self,
        claim: &mut Claim,
        issuer: &Followed,
        stop: &CancellationToken,
    ) -> Result<(), Trouble> {
        let known = list_accessions(&mut *self.deps.pool.acquire().await?, issuer.cik).await?;
        let pages = self.read_pages(claim, issuer, &known, stop).await?;
        let filings = normalize::filings(issuer.cik, &pages)?;
        let new: Vec<Filing> =
            filings.filings.into_iter().filter(|filing| !known.contains(&*filing.accession)).collect();
        let mut refused = filings.refused;
        let figures = if self.wants_figures(issuer, &known, &new).await? {
            let read = self.read_figures(claim, issuer, stop).await?;
            refused.extend(read.refused);
            read.figures
        } else {
            Vec::new()
        };
        let told = known.len() + new.len() + figures.len();
        claim.counts.read += told as u64;
        self.record(claim, issuer, &new, &figures, refused).await
    }

    /// The newest filings, with the pages of older ones at the first time, or if more was filed since than stands
    /// on the first page.
    async fn read_pages(
        &mut self,
        claim: &mut Claim,
        issuer: &Followed,
        known: &HashSet<String>,
        stop: &CancellationToken,
    ) -> Result<Vec<FilingColumns>, Trouble> {
        let answer = self.fetch(claim, &self.watch.edgar.newest_filings(issuer.cik), stop).await?;
        self.keep(claim, &answer, Some(KEEP_LISTS)).await?;
        let newest: Submissions = parse(&answer.body)?;
        normalize::check_filer(&newest.cik, issuer.cik)?;
        let joins = newest.filings.recent.accession_number.iter().any(|accession| known.contains(accession));
        let mut pages = vec![newest.filings.recent];
        if !joins {
            for page in &newest.filings.files {
                let ask = self.watch.edgar.older_filings(issuer.cik, &page.name)?;
                let answer = self.fetch(claim, &ask, stop).await?;
                self.keep(claim, &answer, Some(KEEP_LISTS)).await?;
                pages.push(parse(&answer.body)?);
            }
        }
        Ok(pages)
    }

    /// Whether there may be new figures: at the first time, with a new filing that has some, and while those of
    /// a stored one are awaited.
    async fn wants_figures(
        &self,
        issuer: &Followed,
        known: &HashSet<String>,
        new: &[Filing],
    ) -> Result<bool, StoreError> {
        // Of a 6-K nobody knows before it is read.
        if known.is_empty() || new.iter().any(|filing| filing.is_periodic() || filing.form.starts_with("6-K")) {
            return Ok(true);
        }
        let since = self.deps.clock.now().minus(AWAIT_FIGURES);
        let forms = WITH_FIGURES.map(str::to_owned);
        is_awaiting_figures(&mut *self.deps.pool.acquire().await?, issuer.cik, &forms, since).await
    }

    async fn read_figures(
        &mut self,
        claim: &mut Claim,
        issuer: &Followed,
        stop: &CancellationToken,
    ) -> Result<normalize::ReadFigures, Trouble> {
        let answer = match self.fetch(claim, &self.watch.edgar.figures(issuer.cik), stop).await {
            Ok(answer) => answer,
            // The filer never tagged anything.
            Err(Trouble::Fetch(FetchError::Refused { status: 404, .. })) => {
                return Ok(normalize::ReadFigures::default());
            }
            Err(trouble) => return Err(trouble),
        };
        self.keep(claim, &answer, None).await?;
        let facts = parse_facts(&answer.body)?;
        normalize::check_filer(&facts.cik, issuer.cik)?;
        Ok(normalize::figures(issuer.cik, &facts)?)
    }

    /// Stores filings and their figures as one batch, or as some if there are very many.
    async fn record(
        &self,
        claim: &mut Claim,
        issuer: &Followed,
        filings: &[Filing],
        figures: &[StatedFigure],
        refused: Vec<Refused>,
    ) -> Result<(), Trouble> {
        let mut connection = self.deps.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        hold(&mut transaction, &claim.lease, self.deps.lease).await?;
        quarantine(&mut transaction, claim.run_id, &quarantined(SOURCE, &refused)).await?;
        transaction.commit().await?;
        let mut parts = figures.chunks(MAX_ROWS_PER_BATCH / 2);
        let first = News { filings, figures: parts.next().unwrap_or_default(), ..News::default() };
        let mut stored = self.append(&mut connection, claim, issuer, first).await?;
        for figures in parts {
            stored += self.append(&mut connection, claim, issuer, News { figures, ..News::default() }).await?;
        }
        claim.counts.stored += stored;
        claim.counts.unchanged += ((filings.len() + figures.len()) as u64).saturating_sub(stored);
        claim.counts.quarantined += refused.len() as u64;
        claim.set_aside.extend(refused);
        Ok(())
    }

    /// Appends a batch; when nothing of it is new, no batch has been.
    pub(super) async fn append(
        &self,
        connection: &mut sqlx::PgConnection,
        claim: &Claim,
        issuer: &Followed,
        news: News<'_>,
    ) -> Result<u64, StoreError> {
        if news.is_empty() {
            return Ok(0);
        }
        let mut transaction = connection.begin().await?;
        hold(&mut transaction, &claim.lease, self.deps.lease).await?;
        let batch = take_head(&mut transaction).await?;
        let stored = append_filings(&mut transaction, batch, &issuer.ticker, news.filings).await?
            + append_figures(&mut transaction, batch, &issuer.ticker, news.figures).await?
            + append_candidates(&mut transaction, batch, &issuer.ticker, news.candidates).await?;
        if stored == 0 {
            transaction.rollback().await?;
        } else {
            let rows = usize::try_from(stored).unwrap_or(usize::MAX);
            record_batch(&mut transaction, batch, Some(claim.run_id), rows).await?;
            transaction.commit().await?;
        }
        Ok(stored)
    }

    /// Sets an issuer of whom nothing can be used aside, with the reason.
    pub(super) async fn set_aside(
        &self,
        claim: &mut Claim,
        issuer: &Followed,
        trouble: &Trouble,
    ) -> Result<(), StoreError> {
        let detail = format!("{}: {trouble}", issuer.ticker);
        let refused = Refused { metric: None, reason: trouble.code(), detail };
        let mut connection = self.deps.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        hold(&mut transaction, &claim.lease, self.deps.lease).await?;
        quarantine(&mut transaction, claim.run_id, &quarantined(SOURCE, std::slice::from_ref(&refused))).await?;
        transaction.commit().await?;
        claim.counts.quarantined += 1;
        claim.set_aside.push(refused);
        Ok(())
    }

    /// Keeps the bytes of an answer, before anybody reads them.
    pub(super) async fn keep(
        &self,
        claim: &mut Claim,
        answer: &Answer,
        keep_for: Option<Span>,
    ) -> Result<(), StoreError> {
        let mut connection = self.deps.pool.acquire().await?;
        keep_raw(&mut connection, claim.run_id, claim.kept, SOURCE, &answer.body, keep_for).await?;
        claim.kept += 1;
        Ok(())
    }

    /// Waits for the next turn and asks, and holds the lease meanwhile.
    pub(super) async fn fetch(
        &mut self,
        claim: &Claim,
        ask: &Ask,
        stop: &CancellationToken,
    ) -> Result<Answer, Trouble> {
        let wait = self.pace.wait(Instant::now());
        let asking = async {
            tokio::time::sleep(wait).await;
            self.deps.http.fetch(ask, None).await
        };
        tokio::pin!(asking);
        let mut renewals = tokio::time::interval(self.deps.lease / 3);
        let fetched = loop {
            tokio::select! {
                fetched = &mut asking => break fetched,
                _ = renewals.tick() => hold(&mut *self.deps.pool.acquire().await?, &claim.lease, self.deps.lease).await?,
                () = stop.cancelled() => return Err(Trouble::Stopped),
            }
        };
        match fetched {
            Ok(Fetched::Answer { answer, .. }) => Ok(answer),
            // Nothing was sent that an answer could be the same as.
            Ok(Fetched::NotModified) => {
                let detail = format!("{} answered 304 to a request without conditions", ask.address);
                Err(Trouble::Answer { code: "bad_body", detail })
            }
            Err(error @ FetchError::Refused { status: 403, .. }) => Err(Trouble::Throttled(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::filing::is_periodic;

    #[test]
    fn the_forms_with_figures_are_the_periodic_ones() {
        assert!(WITH_FIGURES.iter().all(|form| is_periodic(form)));
        assert!(!is_periodic("NT 10-Q") && !is_periodic("8-K"));
    }
}
