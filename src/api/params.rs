//! Query parameters, read strictly: what an endpoint does not know it refuses.
//!
//! A misspelt filter that is ignored gives a wrong answer that looks right, so unknown and
//! repeated parameters are errors that name the accepted ones. An empty value counts as absent, and
//! `_` (which some clients add against caches) is dropped.

use std::ops::RangeInclusive;

use crate::domain::time::{Day, Span, Timestamp};

use super::problem::{Code, Problem, closest, shorten};

/// The parameter that every path takes and nobody reads.
const CACHE_BUSTER: &str = "_";

/// The longest value of a parameter, in bytes: a list of a hundred metrics fits.
const LONGEST_VALUE: usize = 4_096;

/// The longest moment and duration, in bytes: none is longer but by zeros that say nothing.
const LONGEST_MOMENT: usize = 64;
const LONGEST_DURATION: usize = 32;

/// An epoch value from here on is in milliseconds: as seconds it would be the year 5138.
const FIRST_EPOCH_MS: i64 = 100_000_000_000;

const MOMENT_FORMS: &str = "takes RFC 3339 (2024-01-01T00:00:00Z), a date, epoch seconds or \
     milliseconds, or a span back from as_of such as -30d (s, m, h, d, w)";

/// The parameters of one request, checked against those the endpoint takes.
#[derive(Debug, Clone)]
pub struct Params {
    accepted: Vec<&'static str>,
    /// In the order of `accepted`; no value is empty.
    given: Vec<(&'static str, String)>,
}

/// A time in a query: fixed, or counted back from a moment that is known later (`as_of`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// An instant.
    At(Timestamp),
    /// This long before the anchor.
    Back(Span),
}

impl Moment {
    /// The instant meant, where relative moments count back from `anchor`.
    #[must_use]
    pub fn resolve(self, anchor: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Back(span) => anchor.minus(span),
        }
    }
}

impl Params {
    /// Reads a raw query string (without the `?`) against the names that the endpoint takes.
    ///
    /// # Errors
    /// 400 with one item for each parameter that is unknown or repeated, and for broken
    /// percent-encoding, text that is not UTF-8, control characters, or values over 4,096 bytes.
    pub fn parse(raw_query: Option<&str>, accepted: &[&'static str]) -> Result<Self, Problem> {
        let mut given: Vec<(&'static str, String)> = Vec::new();
        let mut unknown = Vec::new();
        let mut repeated = Vec::new();
        for pair in raw_query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = decode_pair(pair)?;
            if name == CACHE_BUSTER {
                continue;
            }
            let Some(&known) = accepted.iter().find(|&&known| known == name) else {
                unknown.push(name);
                continue;
            };
            if value.is_empty() {
                continue;
            }
            if given.iter().any(|(earlier, _)| *earlier == known) {
                repeated.push(known);
                continue;
            }
            given.push((known, value));
        }
        if !unknown.is_empty() {
            return Err(refuse_unknown(&unknown, accepted));
        }
        if !repeated.is_empty() {
            return Err(refuse_repeated(&repeated, accepted));
        }
        let place = |name: &str| accepted.iter().position(|&known| known == name);
        given.sort_by_key(|(name, _)| place(name));
        Ok(Self { accepted: accepted.to_vec(), given })
    }

    /// Whether the parameter was given with a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The value as it came.
    ///
    /// # Errors
    /// 400 when it is longer than 200 characters: no name or free text here is.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Problem> {
        match self.value(name) {
            Some(value) if value.chars().count() > 200 => {
                Err(Problem::bad_parameter(name, "takes at most 200 characters"))
            }
            value => Ok(value),
        }
    }

    /// One of the `allowed` words; the answer is the entry of `allowed`.
    ///
    /// # Errors
    /// 400 naming the allowed words.
    pub fn one_of(&self, name: &str, allowed: &[&'static str]) -> Result<Option<&'static str>, Problem> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match allowed.iter().find(|&&word| word == value) {
            Some(&word) => Ok(Some(word)),
            None => Err(refuse(name, &format!("takes one of {}", allowed.join(", ")), value)),
        }
    }

    /// A whole number inside `range`.
    ///
    /// # Errors
    /// 400 naming the range.
    pub fn whole_number(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Problem> {
        let Some(value) = self.value(name) else { return Ok(None) };
        parse_whole(value).filter(|number| range.contains(number)).map(Some).ok_or_else(|| {
            let takes = format!("takes a whole number from {} to {}", range.start(), range.end());
            refuse(name, &takes, value)
        })
    }

    /// A finite number inside `range`.
    ///
    /// # Errors
    /// 400 naming the range.
    pub fn number(&self, name: &str, range: RangeInclusive<f64>) -> Result<Option<f64>, Problem> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let number = value.parse().ok().filter(|number: &f64| number.is_finite());
        number.filter(|number| range.contains(number)).map(Some).ok_or_else(|| {
            let takes = format!("takes a number from {} to {}", range.start(), range.end());
            refuse(name, &takes, value)
        })
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// 400 for any other word.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        Ok(self.one_of(name, &["true", "false"])?.map(|word| word == "true"))
    }

    /// A moment: RFC 3339, a date (its beginning), epoch seconds, epoch milliseconds (from 1e11
    /// on), or a span back such as `-30d`.
    ///
    /// # Errors
    /// 400 naming these forms; times outside the years 1970 to 9999 too.
    pub fn moment(&self, name: &str) -> Result<Option<Moment>, Problem> {
        self.parsed(name, MOMENT_FORMS, |value| parse_moment(value).filter(|_| value.len() <= LONGEST_MOMENT))
    }

    /// A day, `YYYY-MM-DD`.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn day(&self, name: &str) -> Result<Option<Day>, Problem> {
        self.parsed(name, "takes a day, YYYY-MM-DD", |value| Day::parse(value).ok())
    }

    /// A length of time in ISO 8601 with weeks, days, hours, minutes and seconds: `PT30M`,
    /// `P1DT12H`, `P2W`. Months and years are no length of time.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn duration(&self, name: &str) -> Result<Option<Span>, Problem> {
        self.parsed(name, "takes a duration in ISO 8601 such as PT30M, P1D or P1DT12H", |value| {
            parse_duration(value).filter(|_| value.len() <= LONGEST_DURATION)
        })
    }

    /// A length of time in months, as ISO 8601 writes months and years: `P24M`, `P2Y`.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn months(&self, name: &str) -> Result<Option<i32>, Problem> {
        self.parsed(name, "takes months or years in ISO 8601 such as P24M or P2Y", |value| {
            let body = value.strip_prefix('P')?;
            let (digits, months) = match body.strip_suffix('M') {
                Some(digits) => (digits, 1),
                None => (body.strip_suffix('Y')?, 12),
            };
            let is_number = (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse::<i32>().ok().map(|count| count * months))?
        })
    }

    /// A comma-separated list; spaces around the items do not count. Never empty when given.
    ///
    /// # Errors
    /// 400 for an empty item or one that comes twice.
    pub fn list(&self, name: &str) -> Result<Option<Vec<&str>>, Problem> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let items: Vec<&str> = value.split(',').map(str::trim).collect();
        for (place, item) in items.iter().enumerate() {
            if item.is_empty() {
                return Err(refuse(name, "takes a list separated by commas, without empty items", value));
            }
            if items[..place].contains(item) {
                return Err(Problem::bad_parameter(name, format!("has {} twice", shorten(item))));
            }
        }
        Ok(Some(items))
    }

    /// The value of a parameter that must be there.
    ///
    /// # Errors
    /// 400 `missing_parameter` when it is not.
    pub fn needed<T>(&self, name: &str, value: Option<T>) -> Result<T, Problem> {
        value.ok_or_else(|| {
            Problem::new(Code::MissingParameter, format!("{name} is needed here."))
                .at_parameter(name, "is needed and was not given")
        })
    }

    /// The query in one fixed form, for links and cache keys: in the order in which the endpoint
    /// lists its parameters, without those in `without`, with the values of `with` in the place of
    /// those given, or at the end. Percent-encoded, without `?`; empty when nothing is left.
    #[must_use]
    pub fn canonical_query(&self, without: &[&str], with: &[(&str, &str)]) -> String {
        let replaced = |name: &str| with.iter().any(|(other, _)| *other == name);
        let mut pairs: Vec<(usize, &str, &str)> = Vec::with_capacity(self.given.len() + with.len());
        for (name, value) in &self.given {
            if !without.contains(name) && !replaced(name) {
                pairs.push((self.place(name), name, value));
            }
        }
        for (name, value) in with.iter().filter(|(_, value)| !value.is_empty()) {
            pairs.push((self.place(name), name, value));
        }
        pairs.sort_by_key(|(place, ..)| *place);
        let mut query = String::new();
        for (_, name, value) in pairs {
            if !query.is_empty() {
                query.push('&');
            }
            encode_into(&mut query, name);
            query.push('=');
            encode_into(&mut query, value);
        }
        query
    }

    fn value(&self, name: &str) -> Option<&str> {
        debug_assert!(self.accepted.contains(&name), "{name} is read but not accepted");
        self.given.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    fn parsed<T>(&self, name: &str, takes: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        let Some(value) = self.value(name) else { return Ok(None) };
        parse(value).map(Some).ok_or_else(|| refuse(name, takes, value))
    }

    /// Where the parameter stands in a canonical query; the endpoint's own come first.
    fn place(&self, name: &str) -> usize {
        self.accepted.iter().position(|&known| known == name).unwrap_or(self.accepted.len())
    }
}

fn refuse(name: &str, takes: &str, value: &str) -> Problem {
    Problem::bad_parameter(name, format!("{takes}; not {}", shorten(value)))
}

fn refuse_unknown(unknown: &[String], accepted: &[&'static str]) -> Problem {
    let name = shorten(&unknown[0]);
    let accepts = say_accepted(accepted);
    let hint = match closest(&unknown[0], accepted.iter().copied()) {
        Some(meant) => format!("; did you mean {meant}?"),
        None => ".".to_owned(),
    };
    let problem = Problem::new(Code::UnknownParameter, format!("No parameter {name} here{hint} {accepts}"));
    unknown
        .iter()
        .take(20)
        .fold(problem, |problem, name| problem.at_parameter(&shorten(name), "is not a parameter of this path"))
}

fn refuse_repeated(repeated: &[&'static str], accepted: &[&'static str]) -> Problem {
    let detail = format!("{} was given more than once. {}", repeated[0], say_accepted(accepted));
    let problem = Problem::new(Code::RepeatedParameter, detail);
    repeated
        .iter()
        .take(20)
        .fold(problem, |problem, name| problem.at_parameter(name, "was given more than once; give it once"))
}

fn say_accepted(accepted: &[&'static str]) -> String {
    if accepted.is_empty() {
        return "This path takes no parameters.".to_owned();
    }
    format!("Accepted once each: {}.", accepted.join(", "))
}

fn decode_pair(pair: &str) -> Result<(String, String), Problem> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let name = decode(name).map_err(|reason| Problem::new(Code::BadRequest, format!("The query {reason}.")))?;
    let value = decode(value).map_err(|reason| Problem::bad_parameter(&shorten(&name), reason))?;
    Ok((name, value))
}

/// Percent-decoding of a query, where `+` is a space.
fn decode(text: &str) -> Result<String, &'static str> {
    if text.len() > 3 * LONGEST_VALUE {
        return Err("is too long");
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let pair = (rest.next().and_then(hex_digit), rest.next().and_then(hex_digit));
                let (Some(high), Some(low)) = pair else {
                    return Err("has a % that two hexadecimal digits do not follow");
                };
                high << 4 | low
            }
            other => other,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8")?;
    if text.len() > LONGEST_VALUE {
        return Err("is too long");
    }
    if text.chars().any(char::is_control) {
        return Err("has control characters");
    }
    Ok(text)
}

fn hex_digit(byte: u8) -> Option<u8> {
    // A hexadecimal digit is below 16.
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn encode_into(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        // These may stand for themselves in a query (RFC 3986, section 3.4), and times and lists
        // stay readable.
        if byte.is_ascii_alphanumeric() || b"-._~:,/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// Digits with at most a minus in front; Rust alone would also take `+5`.
fn parse_whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn parse_moment(text: &str) -> Option<Moment> {
    if let Some(span) = text.strip_prefix('-') {
        return parse_relative(span).map(Moment::Back);
    }
    if let Some(epoch) = parse_whole(text) {
        return from_epoch(epoch).map(Moment::At);
    }
    Timestamp::parse(text).or_else(|_| Timestamp::parse(&restore_plus(text))).ok().map(Moment::At)
}

fn parse_relative(text: &str) -> Option<Span> {
    let unit = match text.bytes().last()? {
        b's' => Span::SECOND,
        b'm' => Span::MINUTE,
        b'h' => Span::HOUR,
        b'd' => Span::DAY,
        b'w' => Span::DAY.times(7),
        _ => return None,
    };
    let count = parse_whole(&text[..text.len() - 1]).filter(|count| *count >= 0)?;
    Some(unit.times(count))
}

fn from_epoch(epoch: i64) -> Option<Timestamp> {
    if epoch < FIRST_EPOCH_MS {
        return Timestamp::from_epoch_seconds(epoch);
    }
    let at = Timestamp::from_micros(epoch.checked_mul(1_000)?);
    (at <= Timestamp::MAX).then_some(at)
}

/// `+02:00` typed into an address without encoding arrives as ` 02:00`: in a time with a `T`, a
/// space six characters before the end can only have been the plus of the offset.
fn restore_plus(text: &str) -> String {
    match text.rsplit_once(' ') {
        Some((time, offset)) if offset.len() == 5 && time.contains('T') => {
            format!("{time}+{offset}")
        }
        _ => text.to_owned(),
    }
}

/// ISO 8601 `P[nW][nD][T[nH][nM][nS]]`, whole numbers, in this order, at least one part.
fn parse_duration(text: &str) -> Option<Span> {
    let text = text.strip_prefix('P')?;
    let (days, time) = match text.split_once('T') {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None if text.is_empty() => return None,
        None => (text, ""),
    };
    let days = sum_parts(days, &[('W', Span::DAY.times(7)), ('D', Span::DAY)])?;
    let time = sum_parts(time, &[('H', Span::HOUR), ('M', Span::MINUTE), ('S', Span::SECOND)])?;
    days.checked_add(time).map(Span::from_micros)
}

fn sum_parts(mut text: &str, units: &[(char, Span)]) -> Option<i64> {
    let mut sum = 0_i64;
    for (letter, unit) in units {
        if let Some((count, rest)) = text.split_once(*letter) {
            let count = parse_whole(count).filter(|count| *count >= 0)?;
            sum = sum.checked_add(count.checked_mul(unit.micros())?)?;
            text = rest;
        }
    }
    text.is_empty().then_some(sum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ACCEPTED: &[&str] = &["start", "end", "limit", "metrics", "flat", "max_age", "subject"];

    fn read(query: &str) -> Params {
        Params::parse(Some(query), ACCEPTED).unwrap()
    }

    fn refused(query: &str) -> Problem {
        Params::parse(Some(query), ACCEPTED).unwrap_err()
    }

    fn moment(value: &str) -> Option<String> {
        let params = Params::parse(Some(&format!("start={value}")), ACCEPTED).ok()?;
        let moment = params.moment("start").ok()??;
        Some(moment.resolve(Timestamp::parse("2024-03-31").unwrap()).to_string())
    }

    #[test]
    fn values_are_decoded_and_empty_ones_are_absent() {
        let params = read("subject=a%20b+c%2Bd&limit=&_=123&_=124&&end");
        assert_eq!(params.text("subject").unwrap(), Some("a b c+d"));
        assert!(!params.has("limit") && !params.has("end") && !params.has("start"));
        assert!(Params::parse(None, &[]).is_ok());
    }

    #[test]
    fn unknown_parameters_are_refused_with_a_hint() {
        let problem = refused("strat=1&foo=&limit=5");
        assert_eq!(problem.code(), Code::UnknownParameter);
        assert!(problem.detail().starts_with("No parameter strat here; did you mean start?"), "{problem:?}");
        assert!(problem.detail().contains("start, end, limit"));
        let named: Vec<_> = problem.errors().iter().map(|item| item.parameter.as_deref()).collect();
        assert_eq!(named, [Some("strat"), Some("foo")]);
        assert_eq!(problem.errors()[0].pointer, "#/query/strat");
    }

    #[test]
    fn repeated_parameters_are_refused_unless_all_but_one_are_empty() {
        assert_eq!(refused("limit=5&limit=5").code(), Code::RepeatedParameter);
        assert_eq!(read("limit=&limit=5").whole_number("limit", 1..=10).unwrap(), Some(5));
    }

    #[test]
    fn broken_encoding_is_refused() {
        for query in ["subject=%", "subject=%f", "subject=%zz", "subject=%ff", "subject=%00", "subject=a%0Ab"] {
            assert_eq!(refused(query).errors()[0].parameter.as_deref(), Some("subject"), "{query}");
        }
        assert_eq!(refused("%ff=1").code(), Code::BadRequest);
        assert_eq!(refused(&format!("subject={}", "x".repeat(5_000))).code(), Code::BadParameter);
    }

    #[test]
    fn numbers_hold_to_their_range() {
        assert_eq!(read("limit=10").whole_number("limit", 1..=10).unwrap(), Some(10));
        for value in ["0", "11", "1.0", "%2B5", "1e1", "ten", "99999999999999999999", "-"] {
            let problem = read(&format!("limit={value}")).whole_number("limit", 1..=10).unwrap_err();
            assert_eq!(problem.code(), Code::BadParameter, "{value}");
            assert_eq!(problem.errors()[0].parameter.as_deref(), Some("limit"));
            assert!(problem.detail().contains("from 1 to 10"));
        }
        assert_eq!(read("limit=0.05").number("limit", 0.0..=1.0).unwrap(), Some(0.05));
        for value in ["inf", "NaN", "-0.1", "1.5", "0,5"] {
            assert!(read(&format!("limit={value}")).number("limit", 0.0..=1.0).is_err(), "{value}");
        }
        assert!(read("limit=inf").number("limit", 0.0..=f64::INFINITY).is_err());
    }

    #[test]
    fn words_and_flags() {
        assert_eq!(read("flat=true").flag("flat").unwrap(), Some(true));
        assert_eq!(read("flat=false").flag("flat").unwrap(), Some(false));
        assert!(read("flat=1").flag("flat").is_err());
        assert_eq!(read("subject=b").one_of("subject", &["a", "b"]).unwrap(), Some("b"));
        assert!(read("subject=c").one_of("subject", &["a", "b"]).unwrap_err().detail().contains("a, b"));
        assert_eq!(read("").needed("limit", None::<i64>).unwrap_err().code(), Code::MissingParameter);
    }

    #[test]
    fn moments_come_in_five_forms() {
        for (value, at) in [
            ("2024-01-01", "2024-01-01T00:00:00Z"),
            ("2024-01-01T12:30:00Z", "2024-01-01T12:30:00Z"),
            ("2024-01-01T12:30:00.25Z", "2024-01-01T12:30:00.250000Z"),
            ("2024-01-01T02:00:00%2B02:00", "2024-01-01T00:00:00Z"),
            ("2024-01-01T02:00:00+02:00", "2024-01-01T00:00:00Z"),
            ("1704067200", "2024-01-01T00:00:00Z"),
            ("1704067200123", "2024-01-01T00:00:00.123000Z"),
            ("99999999999", "5138-11-16T09:46:39Z"),
            ("100000000000", "1973-03-03T09:46:40Z"),
            ("0", "1970-01-01T00:00:00Z"),
            ("-30d", "2024-03-01T00:00:00Z"),
            ("-1w", "2024-03-24T00:00:00Z"),
            ("-90m", "2024-03-30T22:30:00Z"),
            ("-36h", "2024-03-29T12:00:00Z"),
            ("-1s", "2024-03-30T23:59:59Z"),
            ("-9999999999w", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(moment(value).as_deref(), Some(at), "{value}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for value in [
            "now",
            "-",
            "-d",
            "-30",
            "-30y",
            "--5d",
            "30d",
            "1e9",
            "2024-02-30",
            "2024-01-01T00:00:00",
            "999999999999999999",
            "2024-01-01 02:00",
            "%C3%A9",
            "-5%C3%A9",
        ] {
            assert_eq!(moment(value), None, "{value}");
        }
        let problem = read("start=soon").moment("start").unwrap_err();
        assert_eq!(problem.errors()[0].pointer, "#/query/start");
        assert!(problem.detail().ends_with("not soon"));
    }

    #[test]
    fn durations_are_iso_8601_without_months() {
        let duration = |value: &str| read(&format!("max_age={value}")).duration("max_age").ok().flatten();
        assert_eq!(duration("PT30M"), Some(Span::MINUTE.times(30)));
        assert_eq!(duration("P1D"), Some(Span::DAY));
        assert_eq!(duration("P1DT12H"), Some(Span::HOUR.times(36)));
        assert_eq!(duration("P2W"), Some(Span::DAY.times(14)));
        assert_eq!(duration("PT0S"), Some(Span::ZERO));
        for value in [
            "P",
            "PT",
            "P1DT",
            "P1M",
            "P1Y",
            "1D",
            "PT-5M",
            "PT5",
            "PT1M1H",
            "P0000000000000000000000000000001D",
            "P99999999999D",
            "pt5m",
        ] {
            assert_eq!(duration(value), None, "{value}");
        }
    }

    #[test]
    fn lists_are_split_at_commas() {
        assert_eq!(read("metrics=b,%20a").list("metrics").unwrap(), Some(vec!["b", "a"]));
        assert!(read("metrics=a,,b").list("metrics").is_err());
        assert!(read("metrics=a,b,a").list("metrics").is_err());
        assert_eq!(read("").list("metrics").unwrap(), None);
    }

    #[test]
    fn the_canonical_query_does_not_depend_on_the_order_given() {
        let one = read("limit=5&_=9&end=&start=2024-01-01T02%3A00%3A00%2B02%3A00&subject=a b");
        assert_eq!(one.canonical_query(&[], &[]), "start=2024-01-01T02:00:00%2B02:00&limit=5&subject=a%20b");
        let other = read("start=2024-01-01T02:00:00%2B02:00&subject=a+b&limit=5");
        assert_eq!(one.canonical_query(&[], &[]), other.canonical_query(&[], &[]));
        assert_eq!(
            one.canonical_query(&["subject"], &[("snapshot", "812"), ("start", "2024-01-01"), ("end", "")]),
            "start=2024-01-01&limit=5&snapshot=812"
        );
        assert_eq!(read("").canonical_query(&[], &[]), "");
    }

    proptest! {
        #[test]
        fn no_query_breaks_the_reading(query in ".{0,60}", value in ".{0,40}") {
            let _ = Params::parse(Some(&query), ACCEPTED);
            let _ = parse_moment(&value);
            let _ = parse_duration(&value);
        }

        #[test]
        fn what_is_encoded_is_read_back(value in "[^\\p{C}]{1,40}") {
            let query = {
                let mut query = String::from("subject=");
                encode_into(&mut query, &value);
                query
            };
            let params = read(&query);
            prop_assert_eq!(params.text("subject").unwrap(), Some(value.as_str()));
            prop_assert_eq!(params.canonical_query(&[], &[]), query);
        }
    }
}
