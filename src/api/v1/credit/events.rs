//! Events as an iCalendar file (RFC 5545), with ids that stay when a date moves.

use std::fmt::Write as _;

use crate::api::time_format::Date;
use crate::domain::time::{Day, Timestamp};

/// The longest line, in bytes, without its end (RFC 5545, section 3.1).
const LINE_BYTES: usize = 75;

/// One event of a calendar, a whole day long.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// Stays the same when the date or the amount changes.
    pub uid: String,
    pub on: Day,
    pub summary: String,
    pub description: String,
    pub url: Option<String>,
    /// When the newest version of it was known: a later one replaces the event.
    pub known_at: Timestamp,
    pub is_cancelled: bool,
}

/// The events as a calendar, in the order given.
pub(super) fn calendar(name: &str, events: &[Event]) -> String {
    let mut out = String::new();
    line(&mut out, "BEGIN:VCALENDAR");
    line(&mut out, "VERSION:2.0");
    line(&mut out, "PRODID:-//miner-signals//calendar//EN");
    line(&mut out, "CALSCALE:GREGORIAN");
    line(&mut out, "METHOD:PUBLISH");
    line(&mut out, &format!("X-WR-CALNAME:{}", escaped(name)));
    for event in events {
        write_event(&mut out, event);
    }
    line(&mut out, "END:VCALENDAR");
    out
}

fn write_event(out: &mut String, event: &Event) {
    let date = |day: Day| Date(day).text().replace('-', "");
    line(out, "BEGIN:VEVENT");
    line(out, &format!("UID:{}@miner-signals", event.uid));
    line(out, &format!("DTSTAMP:{}", stamp(event.known_at)));
    line(out, &format!("LAST-MODIFIED:{}", stamp(event.known_at)));
    // Calendars take the greater number of one UID: hours since 1970 grow with what is known.
    line(out, &format!("SEQUENCE:{}", event.known_at.micros() / 3_600_000_000));
    line(out, &format!("DTSTART;VALUE=DATE:{}", date(event.on)));
    line(out, &format!("DTEND;VALUE=DATE:{}", date(event.on.plus(1))));
    line(out, &format!("SUMMARY:{}", escaped(&event.summary)));
    if !event.description.is_empty() {
        line(out, &format!("DESCRIPTION:{}", escaped(&event.description)));
    }
    if let Some(url) = &event.url {
        line(out, &format!("URL:{url}"));
    }
    line(out, if event.is_cancelled { "STATUS:CANCELLED" } else { "STATUS:CONFIRMED" });
    line(out, "TRANSP:TRANSPARENT");
    line(out, "END:VEVENT");
}

/// `20260101T100000Z`.
fn stamp(at: Timestamp) -> String {
    let whole = Timestamp::from_micros(at.micros().div_euclid(1_000_000) * 1_000_000);
    whole.to_string().replace(['-', ':'], "")
}

/// Text as RFC 5545, section 3.3.11 has it.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace(';', "\\;").replace(',', "\\,");
    text.replace("\r\n", "\\n").replace('\n', "\\n")
}

/// A content line, folded.
fn line(out: &mut String, text: &str) {
    let mut room = LINE_BYTES;
    for character in text.chars() {
        if character.len_utf8() > room {
            out.push_str("\r\n ");
            room = LINE_BYTES - 1;
        }
        room -= character.len_utf8();
        out.push(character);
    }
    // Writing to a string cannot fail.
    let _ = write!(out, "\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_folded_and_escaped() {
        let mut out = String::new();
        line(&mut out, &"ä".repeat(50));
        let lines: Vec<&str> = out.split("\r\n").collect();
        assert_eq!(lines[0].len(), 74, "a character is never parted");
        assert!(lines[1].starts_with(' ') && lines.iter().all(|line| line.len() <= LINE_BYTES));
        assert_eq!(escaped("a,b;c\\d\ne"), "a\\,b\\;c\\\\d\\ne");
        assert_eq!(stamp(Timestamp::parse("2026-01-01T10:00:00.5Z").unwrap()), "20260101T100000Z");
    }
}
