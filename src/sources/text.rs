//! Scalars and messages as sources write them: the same field comes as a number here, as a string
//! there, and as null, `""` or not at all where there is nothing.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::parse_decimal;

/// The longest message of a source that is kept.
const MESSAGE_LIMIT: usize = 200;
/// The longest scalar that is shown.
const SHOWN_LIMIT: usize = 60;

/// One JSON scalar in its own digits: `12.340` and `"12.340"` are the same, null and `""` are
/// nothing. A list, an object or a truth value is kept as text too, and is then no number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text(Option<String>);

impl Text {
    #[must_use]
    pub fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The number, with a power of ten applied as in [`parse_decimal`].
    #[must_use]
    pub fn decimal(&self, power_of_ten: i32) -> Option<f64> {
        parse_decimal(self.get()?, power_of_ten)
    }

    /// The number if it is whole, not negative and at most 2^53: a height, a stamp, satoshi.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53 is checked first")]
    #[expect(clippy::cast_sign_loss, reason = "not negative is checked first")]
    pub fn whole(&self) -> Option<u64> {
        const LAST_EXACT: f64 = 9_007_199_254_740_992.0;
        let number = self.decimal(0)?;
        (number.fract() == 0.0 && (0.0..=LAST_EXACT).contains(&number)).then_some(number as u64)
    }

    /// The text for a message: quoted, without control characters, cut after 60 characters.
    #[must_use]
    pub fn shown(&self) -> String {
        self.get().map_or_else(|| "nothing".to_owned(), |text| format!("{:?}", cut(text, SHOWN_LIMIT)))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;

        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let raw = raw.get();
        if raw == "null" {
            return Ok(Self(None));
        }
        if !raw.starts_with('"') {
            return Ok(Self::from(raw));
        }
        serde_json::from_str::<String>(raw).map(|text| Self::from(text.as_str())).map_err(D::Error::custom)
    }
}

/// What an error body says, for people: the message of a JSON object in one of the usual shapes, or
/// plain text; one line of at most 200 characters. `None` for HTML and for a body that says nothing.
#[must_use]
pub fn message_of(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    if text.starts_with('<') {
        return None;
    }
    let said = match serde_json::from_str::<Value>(text) {
        Ok(value) => message_in(&value)?,
        Err(_) => text.to_owned(),
    };
    Some(cut(&said, MESSAGE_LIMIT)).filter(|said| !said.is_empty())
}

/// `{"error":{"message":…}}`, `{"error":"…"}`, `{"error":["…"]}`, `{"message":…}`,
/// `{"errors":[{"message":…}]}`, `{"status":{"message":…}}`.
fn message_in(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let said: Vec<_> = parts.iter().filter_map(message_in).collect();
            (!said.is_empty()).then(|| said.join("; "))
        }
        Value::Object(fields) => {
            ["error", "message", "errors", "reason", "status"].iter().find_map(|name| message_in(fields.get(*name)?))
        }
        _ => None,
    }
}

/// One line of at most `limit` characters: runs of white space become one blank, other control
/// characters and angle brackets are left out.
pub(super) fn cut(text: &str, limit: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control() && !matches!(c, '<' | '>')).take(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_strings_are_the_same_text() {
        let texts: Vec<Text> =
            serde_json::from_str(r#"[12.340,"12.340",null,"",[1],true,300000000000000000000]"#).unwrap();
        assert_eq!(texts[0], texts[1]);
        assert_eq!((texts[2].get(), texts[3].get()), (None, None));
        assert_eq!((texts[4].decimal(0), texts[5].decimal(0)), (None, None));
        assert_eq!(texts[6].decimal(0), Some(3e20));
    }

    #[test]
    fn a_whole_number_is_whole_and_exact() {
        let whole = |text: &str| Text::from(text).whole();
        assert_eq!(
            (whole("24212890"), whole("24212890.0000"), whole("0")),
            (Some(24_212_890), Some(24_212_890), Some(0))
        );
        for text in ["-1", "0.5", "1e300", "NaN", "", "9007199254740994"] {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn messages_of_every_usual_shape_are_found() {
        let said = |body: &str| message_of(body.as_bytes());
        assert_eq!(said(r#"{"error":{"type":"t","message":"Bad\nday"}}"#).as_deref(), Some("Bad day"));
        assert_eq!(said(r#"{"error":"no such block"}"#).as_deref(), Some("no such block"));
        assert_eq!(said(r#"{"error":["A","B"]}"#).as_deref(), Some("A; B"));
        assert_eq!(said(r#"{"message":"NotFound"}"#).as_deref(), Some("NotFound"));
        assert_eq!(said(r#"{"status":{"code":401,"message":"unauthorized"}}"#).as_deref(), Some("unauthorized"));
        assert_eq!(said("plain words").as_deref(), Some("plain words"));
        assert_eq!(said(&"x".repeat(900)).unwrap().len(), 200);
        assert_eq!((said("<html>x</html>"), said("{}"), said(" ")), (None, None, None));
    }
}
