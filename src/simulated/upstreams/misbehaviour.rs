//! The ways in which an upstream can misbehave.

/// What an upstream does wrong, to every request until it is told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Misbehaviour {
    /// 429; Kraken without `retry_after` says so inside a 200, as the real one does.
    TooManyRequests {
        retry_after: Option<u32>,
    },
    /// 500; Kraken says so inside a 200, as the real one does.
    ServerError,
    HtmlWithStatus200,
    /// `Content-Length` of the whole, half of the bytes, end of the connection.
    Truncated,
    /// Nothing for ten minutes.
    SlowHeader,
    /// The header at once, then a byte each second.
    SlowBody,
    /// `Content-Encoding: gzip`, 2 MB that unpack to 2 GiB.
    GzipBomb,
    /// 1 GiB of valid JSON, in chunks.
    HugeBody,
    /// 302 to the same path with a growing number.
    EndlessRedirect,
    /// The newest rows stand there twice.
    Duplicates,
    /// The newest rows in another order.
    Reordered,
    /// The newest values are 1 % higher.
    Revision,
    /// The newest values are 1000 times as large.
    UnitTimes1000,
    /// The newest values have a minus.
    Negative,
    /// `"NaN"` instead of the newest values.
    NanText,
    /// One more row, five days ahead.
    FutureDate,
    /// Rows of the last days are missing, and so are the newest two.
    MissingDays,
}

impl Misbehaviour {
    /// Every kind once, in the order of their declaration.
    pub const ALL: [Self; 17] = [
        Self::TooManyRequests { retry_after: Some(2) },
        Self::ServerError,
        Self::HtmlWithStatus200,
        Self::Truncated,
        Self::SlowHeader,
        Self::SlowBody,
        Self::GzipBomb,
        Self::HugeBody,
        Self::EndlessRedirect,
        Self::Duplicates,
        Self::Reordered,
        Self::Revision,
        Self::UnitTimes1000,
        Self::Negative,
        Self::NanText,
        Self::FutureDate,
        Self::MissingDays,
    ];

    /// The name on the command line and in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooManyRequests { .. } => "too-many-requests",
            Self::ServerError => "server-error",
            Self::HtmlWithStatus200 => "html-with-status-200",
            Self::Truncated => "truncated",
            Self::SlowHeader => "slow-header",
            Self::SlowBody => "slow-body",
            Self::GzipBomb => "gzip-bomb",
            Self::HugeBody => "huge-body",
            Self::EndlessRedirect => "endless-redirect",
            Self::Duplicates => "duplicates",
            Self::Reordered => "reordered",
            Self::Revision => "revision",
            Self::UnitTimes1000 => "unit-times-1000",
            Self::Negative => "negative",
            Self::NanText => "nan-text",
            Self::FutureDate => "future-date",
            Self::MissingDays => "missing-days",
        }
    }

    /// The kind of a name; `too-many-requests` asks for a wait of two seconds.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for kind in Misbehaviour::ALL {
            assert_eq!(Misbehaviour::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Misbehaviour::from_name("polite"), None);
    }
}
