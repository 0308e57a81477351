//! Documents of 8-Ks that may tell of a new debt: asked for once each, and their sentence stored as a candidate.

use tokio_util::sync::CancellationToken;

use super::read::News;
use super::{Claim, Followed, Trouble, Watcher};
use crate::domain::filing::Filing;
use crate::domain::filing::candidate::Candidate;
use crate::sources::edgar::document;
use crate::store::candidate::list_unread_agreements;

/// Documents of one issuer that are asked for in a round; older ones follow in the next.
const DOCUMENTS_A_ROUND: i64 = 20;

impl Watcher {
    /// Reads the documents of an issuer that were not read, the newest first. One that cannot be read is set aside
    /// and stored as a candidate without a sentence: a person has to look.
    pub(super) async fn read_documents(
        &mut self,
        claim: &mut Claim,
        issuer: &Followed,
        stop: &CancellationToken,
    ) -> Result<(), Trouble> {
        let mut connection = self.deps.pool.acquire().await?;
        let filings = list_unread_agreements(&mut connection, issuer.cik, DOCUMENTS_A_ROUND).await?;
        drop(connection);
        let mut candidates = Vec::with_capacity(filings.len());
        let mut ended = Ok(());
        for filing in &filings {
            match self.read_document(claim, filing, stop).await {
                Ok(candidate) => candidates.push(candidate),
                Err(trouble) if trouble.is_of_one_issuer() => {
                    self.set_aside(claim, issuer, &trouble).await?;
                    candidates.push(Candidate::unread(filing));
                }
                Err(trouble) => {
                    ended = Err(trouble);
                    break;
                }
            }
        }
        // What was read before the end is stored even so.
        claim.counts.read += candidates.len() as u64;
        let news = News { candidates: &candidates, ..News::default() };
        let mut connection = self.deps.pool.acquire().await?;
        claim.counts.stored += self.append(&mut connection, claim, issuer, news).await?;
        ended
    }

    async fn read_document(
        &mut self,
        claim: &mut Claim,
        filing: &Filing,
        stop: &CancellationToken,
    ) -> Result<Candidate, Trouble> {
        let ask = self.watch.edgar.document(filing.cik, &filing.accession, &filing.primary_document)?;
        let answer = self.fetch(claim, &ask, stop).await?;
        // What a quotation rests on is kept for ever.
        self.keep(claim, &answer, None).await?;
        Ok(document::read(filing, &answer.body)?)
    }
}
