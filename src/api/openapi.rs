//! The OpenAPI document: parameters in common, and the paths as clients write them.
//!
//! The document is generated from the router. The parameter structs below only describe; requests
//! are read by [`super::params`], and a test holds the two against each other.

use utoipa::openapi::{OpenApi as Document, Server};
use utoipa::{IntoParams, IntoResponses, OpenApi};

use super::problem::ProblemBody;

use super::openapi_common;

/// Which moment of knowledge, and how fresh it must be.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct ViewParams {
    /// What was known at this moment: RFC 3339, a date (its beginning, UTC), epoch seconds or
    /// milliseconds, or relative such as `-30d`. Not later than now.
    #[param(
        required = false,
        nullable = false,
        max_length = 64,
        pattern = r"^(-[0-9]+[smhdw]|[0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?)$",
        example = "2024-12-02"
    )]
    as_of: Option<String>,
    /// The batch that bounds what was stored; needs `as_of`. Both come in `links.permanent`.
    #[param(required = false, nullable = false, minimum = 0, maximum = 9_223_372_036_854_775_807_i64, format = Int64)]
    snapshot: Option<i64>,
    /// With `as_of`: what the public could know (`public`), or what this installation had stored by
    /// then (`recorded`).
    #[param(required = false, nullable = false, inline)]
    basis: Option<Basis>,
    /// `fresh` refuses the answer with 503 when a required input is past its cadence and grace.
    #[param(required = false, nullable = false, inline)]
    require: Option<Require>,
    /// Refuses with 503 when the worst required input was valid until longer ago than this: an
    /// ISO 8601 duration.
    #[param(
        required = false,
        nullable = false,
        max_length = 32,
        pattern = r"^P(([0-9]+W)?([0-9]+D)?T([0-9]+H([0-9]+M)?([0-9]+S)?|[0-9]+M([0-9]+S)?|[0-9]+S)|[0-9]+W([0-9]+D)?|[0-9]+D)$",
        example = "PT30M"
    )]
    max_age: Option<String>,
}

/// Whose values, and by whom.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct NameParams {
    /// The subject of the values.
    #[param(required = false, nullable = false, max_length = 64, pattern = "^[A-Za-z0-9._:-]+$", example = "btc")]
    subject: Option<String>,
    /// Only this source; otherwise the preferred one that has values, and for the hourly price the median
    /// of the venues.
    #[param(
        required = false,
        nullable = false,
        max_length = 64,
        pattern = "^[A-Za-z0-9._:-]+$",
        example = "coinmetrics"
    )]
    source: Option<String>,
}

/// The forms of lists and objects.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct ListForms {
    /// The form; a suffix of the path (`.json`, `.csv`, `.ndjson`) wins over it.
    #[param(required = false, nullable = false, inline)]
    format: Option<ListForm>,
    /// Only the array, without `data`, `meta` and `links`.
    #[param(required = false, nullable = false)]
    flat: Option<bool>,
}

/// The forms of what can be drawn, and the size of the drawing.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct DrawnForms {
    /// The form; a suffix of the path (`.json`, `.csv`, `.ndjson`, `.svg`) wins over it.
    #[param(required = false, nullable = false, inline)]
    format: Option<DrawnForm>,
    /// Only the array, without `data`, `meta` and `links`.
    #[param(required = false, nullable = false)]
    flat: Option<bool>,
    /// Width of the chart in pixels, 960 by default; with `.svg` only.
    #[param(required = false, nullable = false, minimum = 200, maximum = 4_000)]
    width: Option<u16>,
    /// Height of the chart in pixels, 360 by default; with `.svg` only.
    #[param(required = false, nullable = false, minimum = 120, maximum = 3_000)]
    height: Option<u16>,
}

/// One series and a part of it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct SeriesParams {
    /// Length of a period.
    #[param(required = false, nullable = false, inline)]
    resolution: Option<ResolutionName>,
    /// First period, inclusive: RFC 3339, a date, epoch seconds or milliseconds, or relative to
    /// `as_of` such as `-30d`. Without it JSON gives the newest page.
    #[param(
        required = false,
        nullable = false,
        max_length = 64,
        pattern = r"^(-[0-9]+[smhdw]|[0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?)$",
        example = "2024-01-01"
    )]
    start: Option<String>,
    /// End of the range, exclusive; may lie in the future.
    #[param(
        required = false,
        nullable = false,
        max_length = 64,
        pattern = r"^(-[0-9]+[smhdw]|[0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?)$",
        example = "2024-12-01"
    )]
    end: Option<String>,
    /// The newest so many rows; not together with `start`.
    #[param(required = false, nullable = false, minimum = 1, maximum = 10_000)]
    last: Option<u16>,
    /// Order of the rows in time.
    #[param(required = false, nullable = false, inline)]
    order: Option<Order>,
    /// Rows of a page: 1,000 in JSON by default; other forms come whole without it.
    #[param(required = false, nullable = false, minimum = 1, maximum = 10_000)]
    limit: Option<u16>,
    /// The next page, from `links.next`; bound to its moment of knowledge.
    #[param(required = false, nullable = false, max_length = 64, pattern = "^[A-Za-z0-9_-]{39}$")]
    cursor: Option<String>,
    /// The newest version of each period, the first, or all.
    #[param(required = false, nullable = false, inline)]
    vintage: Option<VintageName>,
    /// `all` adds `known_basis`, `superseded_at`, subject, unit, method and simulated.
    #[param(required = false, nullable = false, inline)]
    columns: Option<ColumnsName>,
}

/// What every endpoint with a view may answer besides 200.
#[derive(IntoResponses)]
pub enum ViewErrors {
    /// Unchanged since the `ETag` or the date sent
    #[response(status = 304)]
    Unchanged,
    /// A parameter is unknown, repeated or wrong
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(ProblemBody),
    /// Unknown metric, subject, source or snapshot
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(ProblemBody),
    /// A form that is not offered
    #[response(status = 406, content_type = "application/problem+json")]
    NotAcceptable(ProblemBody),
    /// A fault of the server
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(ProblemBody),
    /// Too old for what was demanded, without value, or not started yet
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemBody),
}

/// What every endpoint about the service itself may answer besides 200.
#[derive(IntoResponses)]
pub enum StateErrors {
    /// A parameter is unknown, repeated or wrong
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(ProblemBody),
    /// A form that is not offered
    #[response(status = 406, content_type = "application/problem+json")]
    NotAcceptable(ProblemBody),
    /// A fault of the server
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(ProblemBody),
    /// Not started yet
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemBody),
}

/// Which newest values.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct LatestParams {
    /// Metrics of the catalog, separated by commas; all of the subject without it.
    #[param(
        required = false,
        nullable = false,
        max_length = 4096,
        pattern = "^ *[a-z0-9_]+ *(, *[a-z0-9_]+ *)*$",
        example = "price_usd,hashprice_usd_per_ph_day"
    )]
    metrics: Option<String>,
}

/// Which columns and rows of a wide table.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct PanelParams {
    /// Metrics of the catalog, separated by commas: the columns, in this order. At most 32.
    #[param(
        max_length = 4096,
        pattern = "^ *[a-z0-9_]+ *(, *[a-z0-9_]+ *)*$",
        example = "price_usd,hashprice_usd_per_ph_day"
    )]
    metrics: String,
    /// By the period the values are about, or by the day on which they first became known.
    #[param(required = false, nullable = false, inline)]
    align: Option<Align>,
}

/// Which part of a list in time.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct RangeParams {
    /// First row, inclusive.
    #[param(
        required = false,
        nullable = false,
        max_length = 64,
        pattern = r"^(-[0-9]+[smhdw]|[0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?)$",
        example = "2024-01-01"
    )]
    start: Option<String>,
    /// End of the range, exclusive.
    #[param(
        required = false,
        nullable = false,
        max_length = 64,
        pattern = r"^(-[0-9]+[smhdw]|[0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?)$",
        example = "2024-12-01"
    )]
    end: Option<String>,
    /// The newest so many rows; not together with `start`.
    #[param(required = false, nullable = false, minimum = 1, maximum = 10_000)]
    last: Option<u16>,
    /// Order of the rows in time.
    #[param(required = false, nullable = false, inline)]
    order: Option<Order>,
    /// Rows of a page: 1,000 in JSON by default; CSV and NDJSON come whole without it.
    #[param(required = false, nullable = false, minimum = 1, maximum = 10_000)]
    limit: Option<u16>,
    /// The next page, from `links.next` or the header `Link`; bound to its moment of knowledge.
    #[param(required = false, nullable = false, max_length = 64, pattern = "^[A-Za-z0-9_-]{39}$")]
    cursor: Option<String>,
}

/// How the difficulty ribbon is reckoned.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct RibbonParams {
    /// Divisor of the standard deviation of the ribbon's averages: 8 or 7.
    #[param(required = false, nullable = false, inline)]
    sd: Option<SpreadName>,
}

/// Which blocks count.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct PoolParams {
    /// How far back from the newest block, an ISO 8601 duration from `PT1H` to `P90D`.
    #[param(
        required = false,
        nullable = false,
        max_length = 16,
        pattern = "^P([0-9]+W|([0-9]+D)?(T([0-9]+H)?([0-9]+M)?([0-9]+S)?)?)$",
        example = "P7D"
    )]
    window: Option<String>,
}

/// Which issuers.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct TickerParams {
    /// Only these issuers: tickers separated by commas.
    #[param(
        required = false,
        nullable = false,
        max_length = 200,
        pattern = "^[A-Za-z]{1,5}( *, *[A-Za-z]{1,5})*$",
        example = "MARA,CLSK"
    )]
    ticker: Option<String>,
}

/// How the maturity wall is cut.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct WallParams {
    /// Length of a period; a quarter by default.
    #[param(required = false, nullable = false, inline)]
    bucket: Option<BucketName>,
    /// Only rows in which this one is not 0.
    #[param(required = false, nullable = false, inline)]
    ladder: Option<LadderName>,
}

/// How the industry is cut.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct IndustryParams {
    /// A row for each issuer in place of one for all.
    #[param(required = false, nullable = false, inline)]
    by: Option<IndustryBy>,
}

/// Which days.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct SpanParams {
    /// The first day; the view's own by default.
    #[param(
        required = false,
        nullable = false,
        max_length = 10,
        pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
        example = "2026-01-01"
    )]
    from: Option<String>,
    /// The day after the last.
    #[param(
        required = false,
        nullable = false,
        max_length = 10,
        pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
        example = "2028-01-01"
    )]
    to: Option<String>,
}

/// Two moments of knowledge.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct DiffParams {
    /// The first moment: RFC 3339, a date, epoch seconds or milliseconds, or relative such as `-30d`; 30 days before the
    /// second by default.
    #[param(
        required = false,
        nullable = false,
        max_length = 64,
        pattern = r"^(-[0-9]+[smhdw]|[0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?)$",
        example = "-30d"
    )]
    from: Option<String>,
    /// The second moment; the view's own by default.
    #[param(
        required = false,
        nullable = false,
        max_length = 64,
        pattern = r"^(-[0-9]+[smhdw]|[0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?)$",
        example = "2026-06-01"
    )]
    to: Option<String>,
}

/// Which dates of debt.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct DebtKindParams {
    /// Only dates of this kind.
    #[param(required = false, nullable = false, inline)]
    kind: Option<DebtKindName>,
}

/// Which dates.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct CalendarKindParams {
    /// Only dates of this kind.
    #[param(required = false, nullable = false, inline)]
    kind: Option<DateKindName>,
}

/// What is supposed in place of the market.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct ScenarioParams {
    /// Hashprice, USD per PH/s and day.
    #[param(required = false, nullable = false, minimum = 0, maximum = 100_000, example = 30)]
    hashprice_usd_per_ph_day: Option<f64>,
    /// Price of bitcoin, USD; the market's hashprice moves along unless one is supposed.
    #[param(required = false, nullable = false, minimum = 0.01, maximum = 100_000_000, example = 60_000)]
    btc_price_usd: Option<f64>,
    /// Price of power in place of the company's own, USD/MWh.
    #[param(required = false, nullable = false, minimum = -10_000, maximum = 20_000, example = 60)]
    power_usd_per_mwh: Option<f64>,
    /// Whether inputs that nobody reports may be assumed; flags say which were.
    #[param(required = false, nullable = false)]
    assume: Option<bool>,
}

/// Which miners, in which order.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct MinerParams {
    /// Only those of whom a holder may sell a note back within so many months or years.
    #[param(required = false, nullable = false, max_length = 8, pattern = "^P[0-9]{1,3}[MY]$", example = "P24M")]
    put_within: Option<String>,
    /// Only those whose coverage at the scenario is below this.
    #[param(required = false, nullable = false, minimum = -1_000_000, maximum = 1_000_000, example = 1)]
    coverage_below: Option<f64>,
    /// A column to sort by, with a minus in front for the greatest first.
    #[param(
        required = false,
        nullable = false,
        max_length = 64,
        pattern = "^-?[a-z0-9_]+$",
        example = "-stress_score"
    )]
    sort: Option<String>,
    /// Only these columns, separated by commas.
    #[param(
        required = false,
        nullable = false,
        max_length = 1_000,
        pattern = "^[a-z0-9_]+( *, *[a-z0-9_]+)*$",
        example = "ticker,stress_score"
    )]
    fields: Option<String>,
}

/// The forms of what has dates.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct DatedForms {
    /// The form; a suffix of the path (`.json`, `.csv`, `.ndjson`, `.ics`) wins over it.
    #[param(required = false, nullable = false, inline)]
    format: Option<DatedForm>,
    /// Only the array, without `data`, `meta` and `links`.
    #[param(required = false, nullable = false)]
    flat: Option<bool>,
}

/// A fleet of your own.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct FleetParams {
    /// Efficiency at the wall, J/TH.
    #[param(required = false, nullable = false, minimum = 1, maximum = 100_000, example = 21.5)]
    efficiency_j_per_th: Option<f64>,
    /// Price of power, USD/MWh; may be negative.
    #[param(required = false, nullable = false, minimum = -10_000, maximum = 20_000, example = 60)]
    power_usd_per_mwh: Option<f64>,
}

/// A machine, and what it and its pool cost.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct BreakevenParams {
    /// A machine of the table of models, by its id; not together with `efficiency_j_per_th`.
    #[param(required = false, nullable = false, max_length = 64, pattern = "^[a-z0-9-]+$", example = "antminer-s21")]
    model: Option<String>,
    /// Price of the machine, USD per TH/s, for the payback; by default that of the table.
    #[param(required = false, nullable = false, minimum = 0.01, maximum = 100_000, example = 25.7)]
    asic_usd_per_th: Option<f64>,
    /// What the pool keeps, as a share of revenue.
    #[param(required = false, nullable = false, minimum = 0, maximum = 0.5, example = 0.01)]
    pool_fee: Option<f64>,
}

/// A past day of a *now* view.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters; requests are read by Params")]
pub struct DateParam {
    /// That day's value with today's knowledge, or as known at `as_of`; nulls where it has none.
    #[param(required = false, nullable = false, format = Date, min_length = 10, max_length = 10, pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", example = "2024-11-30")]
    date: Option<String>,
}

/// Declares an enum that only documents the words a parameter takes.
macro_rules! words {
    ($($name:ident { $($variant:ident $word:literal),* })*) => {
        $(
            #[derive(utoipa::ToSchema)]
            #[expect(dead_code, reason = "describes the words of a parameter")]
            enum $name { $(#[schema(rename = $word)] $variant),* }
        )*
    };
}

words! {
    Basis { Public "public", Recorded "recorded" }
    Require { Fresh "fresh", Any "any" }
    ListForm { Json "json", Csv "csv", Ndjson "ndjson" }
    DrawnForm { Json "json", Csv "csv", Ndjson "ndjson", Svg "svg" }
    DatedForm { Json "json", Csv "csv", Ndjson "ndjson", Ics "ics" }
    BucketName { Month "month", Quarter "quarter", Year "year" }
    LadderName { Stated "stated", AllPuts "all_puts", Rational "rational" }
    IndustryBy { Issuer "issuer" }
    DebtKindName { Maturity "maturity", Put "put", Call "call", Coupon "coupon", Amortisation "amortisation" }
    DateKindName {
        Maturity "maturity", Put "put", Call "call", Coupon "coupon", Amortisation "amortisation",
        Earnings "earnings", Retarget "retarget", Halving "halving", Policy "policy"
    }
    ResolutionName { Day "1d", Hour "1h" }
    Order { Asc "asc", Desc "desc" }
    VintageName { Latest "latest", First "first", All "all" }
    ColumnsName { Default "default", All "all" }
    SpreadName { Population "population", Sample "sample" }
    Align { Period "period", Known "known" }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "miner-signals",
        description = "Point-in-time stress indicators for the Bitcoin mining industry: stored series, derived indicators, \
                       and what was known of them at any past moment.\n\n\
                       Lists and objects come as JSON (`data`, `meta`, `links`), CSV and NDJSON, and some as a chart (SVG): \
                       by a suffix of the path (`/v1/series/price_usd.csv`), then by `format=`, then by `Accept`; `flat=true` \
                       gives the bare array. \
                       Ranges are half-open, `[start, end)`. Times are RFC 3339 in UTC; unknown values are `null` with a reason.\n\n\
                       Parameters that a path does not take, and repeated ones, are refused; an empty value counts as absent, and \
                       `_` is ignored. Every error is `application/problem+json`: besides those listed, 405 with `Allow` for other \
                       methods. Answers have a strong `ETag`; send it back in `If-None-Match` for a 304.",
    ),
    tags(
        (name = "series", description = "Every series, stored or derived, by period and as known at any moment"),
        (name = "latest", description = "The newest values"),
        (name = "hashprice", description = "What hashrate earns, what it costs, and how hard that presses"),
        (name = "difficulty", description = "The epoch, the next retarget, and all retargets before"),
        (name = "hash ribbons", description = "Whether miners switch off"),
        (name = "credit", description = "What listed miners owe, when it is due, and at which hashprice they break"),
        (name = "state", description = "Freshness, sources and health; exempt from `as_of`"),
    ),
)]
struct Base;

/// The document before the routes are added.
#[must_use]
pub fn base() -> Document {
    Base::openapi()
}

/// Paths that clients write with a suffix, because the form is part of their name.
const SUFFIXED: [(&str, &str); 2] =
    [("/v1/panel", "/v1/panel.csv"), ("/v1/latest/{metric}", "/v1/latest/{metric}.txt")];

/// The finished document: paths as clients write them, addressed relative to where it is served,
/// with what all operations have in common.
#[must_use]
pub fn finish(mut document: Document) -> Document {
    for (route, written) in SUFFIXED {
        if let Some(item) = document.paths.paths.remove(route) {
            document.paths.paths.insert(written.to_owned(), item);
        }
    }
    document.servers = Some(vec![Server::new("/")]);
    openapi_common::complete(&mut document);
    document
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::api::router::document;

    fn value() -> Value {
        serde_json::to_value(document()).unwrap()
    }

    fn operations(document: &Value) -> Vec<&Value> {
        document["paths"].as_object().unwrap().values().map(|item| &item["get"]).collect()
    }

    #[test]
    fn every_operation_is_named_once_and_described() {
        let document = value();
        let mut names: Vec<&str> = Vec::new();
        for operation in operations(&document) {
            names.push(operation["operationId"].as_str().unwrap());
            for member in ["summary", "description"] {
                assert!(!operation[member].as_str().unwrap().is_empty(), "{member} of {}", operation["operationId"]);
            }
        }
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn every_parameter_is_bounded_and_described() {
        let document = value();
        for operation in operations(&document) {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap();
                let schema = &parameter["schema"];
                let bounded = match schema["type"].as_str().unwrap() {
                    "string" => {
                        schema["enum"].is_array() || schema["maxLength"].is_u64() && schema["pattern"].is_string()
                    }
                    "integer" => schema["minimum"].is_i64() && schema["maximum"].is_i64(),
                    "number" => schema["minimum"].is_number() && schema["maximum"].is_number(),
                    other => other == "boolean",
                };
                assert!(bounded, "{name} of {} has no bounds", operation["operationId"]);
                assert!(parameter["description"].is_string(), "{name} has no description");
                let optional = parameter["in"] == "query" && parameter["required"] == false;
                assert_eq!(parameter["allowEmptyValue"] == true, optional, "{name}");
            }
        }
    }

    #[test]
    fn every_error_is_a_problem() {
        let document = value();
        for operation in operations(&document) {
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(response["description"].is_string());
                if status.as_str() >= "400" {
                    let problem = &response["content"]["application/problem+json"]["schema"]["$ref"];
                    assert_eq!(problem, "#/components/schemas/Problem", "{status} of {}", operation["operationId"]);
                }
            }
        }
    }

    #[test]
    fn what_may_be_null_is_never_missing() {
        let document = value();
        let data = &document["components"]["schemas"]["Envelope_Hashprice"]["properties"]["data"];
        let required = data["required"].as_array().unwrap();
        assert_eq!(required.len(), data["properties"].as_object().unwrap().len());
        let json =
            &document["paths"]["/v1/hashprice"]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        assert_eq!(json["anyOf"][0]["$ref"], "#/components/schemas/Envelope_Hashprice");
        assert_eq!(json["anyOf"][1]["type"], "array");
    }
}
