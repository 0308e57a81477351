//! The reading half of a run: ask, fetch, keep the bytes, until the feed has enough.

use std::time::Duration;

use bytes::Bytes;
use sqlx::Connection;
use tokio_util::sync::CancellationToken;

use super::poll::{Claim, Deps};
use super::schedule::Entry;
use crate::sources::Refused;
use crate::sources::feed::{Answer, Ask, Feed, Unusable, Window};
use crate::sources::http::{FetchError, Fetched, Validators};
use crate::store::StoreError;
use crate::store::evidence::{Validator, find_validator, keep_raw};
use crate::store::lease::hold;

/// The answers of a run, in the order asked.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) answers: Vec<Answer>,
    pub(super) kept: Vec<Kept>,
}

/// Where the bytes of an answer are, and what to send with the next request for them.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) address: String,
    pub(super) raw_id: i64,
    pub(super) validators: Validators,
}

/// Why a run has no usable answers.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The answer came and cannot be used; its begin, for people.
    #[error("{message}")]
    Unusable { code: &'static str, message: String, begin: String },
    /// The worker was told to stop.
    #[error("the worker was told to stop")]
    Stopped,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How much of an unusable answer the quarantine shows.
const BEGIN_SHOWN: usize = 300;

impl ReadError {
    pub(super) fn unusable(unusable: &Unusable, answer: Option<&Answer>) -> Self {
        let body = answer.map(|answer| String::from_utf8_lossy(&answer.body)).unwrap_or_default();
        let begin = body.chars().take(BEGIN_SHOWN).collect();
        let address = answer.map(|answer| answer.address.as_str()).unwrap_or_default();
        Self::Unusable { code: unusable.code(), message: format!("{unusable}, in the answer of {address}"), begin }
    }

    /// The code in the ledger and in `/v1/sources`.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.code(),
            Self::Unusable { code, .. } => code,
            Self::Stopped => "stopped",
            Self::Store(_) => "database",
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Fetch(error) => error.retry_after(),
            _ => None,
        }
    }

    /// What goes into the quarantine: bytes that came and make no sense.
    pub(super) fn refused(&self) -> Option<Refused> {
        let detail = match self {
            Self::Unusable { message, begin, .. } => format!("{message}; it begins {begin:?}"),
            Self::Fetch(error) if matches!(error.code(), "not_json" | "truncated" | "too_large") => error.to_string(),
            _ => return None,
        };
        Some(Refused { metric: None, reason: self.code(), detail })
    }
}

/// Reads a window of a feed. Every answer is kept before the feed sees it.
pub(super) async fn read(
    deps: &Deps,
    feed: &dyn Feed,
    entry: &Entry,
    claim: &Claim,
    window: Window,
    stop: &CancellationToken,
) -> Result<Read, ReadError> {
    let mut read = Read::default();
    loop {
        let asked = feed.ask(window, &read.answers);
        let asked = asked.map_err(|unusable| ReadError::unusable(&unusable, read.answers.last()))?;
        let Some(ask) = asked else { return Ok(read) };
        let known = known_answer(deps, &ask).await?;
        let (answer, validators) = tokio::select! {
            fetched = fetch(deps, &ask, known) => fetched?,
            () = stop.cancelled() => return Err(ReadError::Stopped),
        };
        let raw_id = keep(deps, entry, claim, read.answers.len(), &answer).await?;
        read.kept.push(Kept { address: answer.address.to_string(), raw_id, validators });
        read.answers.push(answer);
    }
}

async fn known_answer(deps: &Deps, ask: &Ask) -> Result<Option<Validator>, StoreError> {
    let mut connection = deps.pool.acquire().await?;
    find_validator(&mut connection, ask.address.as_str()).await
}

async fn fetch(deps: &Deps, ask: &Ask, known: Option<Validator>) -> Result<(Answer, Validators), ReadError> {
    let Some(known) = known else {
        return match deps.http.fetch(ask, None).await? {
            Fetched::Answer { answer, validators } => Ok((answer, validators)),
            Fetched::NotModified => {
                let message = "304 to a request that named no version".to_owned();
                Err(ReadError::Unusable { code: "bad_body", message, begin: String::new() })
            }
        };
    };
    let validators = Validators { etag: known.etag, last_modified: known.last_modified };
    match deps.http.fetch(ask, Some(&validators)).await? {
        Fetched::Answer { answer, validators } => Ok((answer, validators)),
        Fetched::NotModified => {
            Ok((Answer { address: ask.address.clone(), body: Bytes::from(known.body) }, validators))
        }
    }
}

/// Keeps the bytes, if the lease is still ours.
async fn keep(deps: &Deps, entry: &Entry, claim: &Claim, place: usize, answer: &Answer) -> Result<i64, StoreError> {
    let mut connection = deps.pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    hold(&mut transaction, &claim.lease, deps.lease).await?;
    let sequence = i32::try_from(place).unwrap_or(i32::MAX);
    let raw_id = keep_raw(&mut transaction, claim.run_id, sequence, entry.source, &answer.body, entry.keep_raw).await?;
    transaction.commit().await?;
    Ok(raw_id)
}
