//! The columns of `observations-csv` and `observations-ndjson`, as text.

use serde::Deserialize;
use serde_json::value::RawValue;

/// One record; every field as it was written, `None` where absent or empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Record {
    #[serde(default, deserialize_with = "text")]
    pub metric: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub subject: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub source: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub resolution: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub period_start: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub period_end: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub value: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub reason: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub known_at: Option<String>,
}

/// Accepts a string, a number or null, and keeps a number's own digits.
fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    use serde::de::Error as _;

    let raw = Box::<RawValue>::deserialize(deserializer)?;
    let raw = raw.get();
    let text = match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(raw).map_err(D::Error::custom)?,
        Some(b'n') => return Ok(None),
        Some(b'{' | b'[' | b't' | b'f') | None => {
            return Err(D::Error::custom(format!("{raw} is neither text nor a number")));
        }
        Some(_) => raw.to_owned(),
    };
    Ok(Some(text).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_empty_is_absent() {
        let record: Record =
            serde_json::from_str(r#"{"metric":"price_usd","value":12.340,"reason":"","known_at":null,"more":[1]}"#)
                .unwrap();
        assert_eq!(record.value.as_deref(), Some("12.340"));
        assert_eq!((record.reason, record.known_at), (None, None));
        assert!(serde_json::from_str::<Record>(r#"{"value":{"a":1}}"#).is_err());
    }
}
