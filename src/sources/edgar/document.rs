//! What the document of an 8-K says about a new debt: the one sentence that says most, as it stands there.
//!
//! Only the sections of items 1.01 and 2.03 are read. Of their sentences the first with an amount, a word of debt and
//! words such as "aggregate principal amount" is taken, else one with an amount and a word of debt, else one with
//! such a word; else the first whole sentence. It is quoted for a person to judge, and nothing is computed of it.

use super::super::feed::Unusable;
use super::super::text::cut;
use super::wire::is_refusal;
use crate::domain::filing::candidate::{Candidate, ITEMS};
use crate::domain::filing::{Filing, LARGEST_VALUE};

/// Elements after which a new line begins.
const BLOCKS: [&str; 13] = ["p", "div", "tr", "br", "li", "table", "h1", "h2", "h3", "h4", "h5", "h6", "hr"];
/// Elements whose content nobody sees.
const HIDDEN: [&str; 5] = ["head", "script", "style", "ix:header", "title"];
const DEBT_WORDS: [&str; 13] = [
    " notes",
    "loan",
    "credit agreement",
    "credit facility",
    "revolving",
    "indenture",
    "borrow",
    "debenture",
    "principal amount",
    "promissory note",
    "lender",
    "financing agreement",
    "indebtedness",
];
/// Words of the sentence that states the size.
const SIZE_WORDS: [&str; 5] = ["principal amount", "commitment", "borrow", "up to", "aggregate amount"];
/// Smaller amounts are denominations and prices, no debts.
const LEAST_USD: f64 = 100_000.0;
/// Shorter pieces are headings.
const LEAST_SENTENCE: usize = 60;
/// The longest quotation, in bytes.
const LONGEST_SENTENCE: usize = 1_500;
/// A point after these ends no sentence.
const ABBREVIATIONS: [&str; 18] = [
    "Inc", "Corp", "Ltd", "Co", "No", "Nos", "Mr", "Ms", "Mrs", "Dr", "Jr", "St", "vs", "approx", "Sec", "Art", "L.P",
    "U.S",
];

/// What a document says of the agreement for which it was filed.
///
/// # Errors
/// [`Unusable::RateLimited`] for the page that EDGAR sends to who asks too fast.
pub fn read(filing: &Filing, body: &[u8]) -> Result<Candidate, Unusable> {
    let page = String::from_utf8_lossy(body);
    if is_refusal(&page) {
        return Err(Unusable::RateLimited("EDGAR sent a page about too many requests in place of a document".into()));
    }
    let has_item = |item: &str| filing.items.iter().any(|filed| filed == item);
    let lines = text_of(&page);
    let sections = sections(&lines, |item| ITEMS.contains(&item) && has_item(item));
    let best = best_sentence(&sections);
    let unread = Candidate::unread(filing);
    Ok(Candidate {
        is_about_debt: unread.is_about_debt || best.is_some_and(speaks_of_debt),
        amount_usd: best.and_then(amount_usd),
        sentence: best.map(|sentence| cut(sentence, LONGEST_SENTENCE)),
        ..unread
    })
}

/// The lines that a reader sees, without empty ones; blanks are single spaces.
fn text_of(page: &str) -> Vec<String> {
    let mut text = String::with_capacity(page.len() / 2);
    let mut rest = page;
    while let Some(begin) = rest.find('<') {
        text.push_str(&words(&rest[..begin]));
        rest = &rest[begin..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let Some((tag, after)) = rest[1..].split_once('>') else { return lines_of(&text) };
        rest = after;
        let name: String =
            tag.chars().take_while(|letter| !letter.is_whitespace()).collect::<String>().to_ascii_lowercase();
        let name = name.trim_end_matches('/');
        if HIDDEN.contains(&name) && !tag.ends_with('/') {
            rest = behind_end(rest, name);
        } else if BLOCKS.contains(&name.trim_start_matches('/')) {
            text.push('\n');
        } else if matches!(name, "td" | "/td") {
            text.push(' ');
        }
    }
    text.push_str(&words(rest));
    lines_of(&text)
}

/// Text of the source, in which line ends are blanks like others.
fn words(source: &str) -> String {
    html_escape::decode_html_entities(source).replace(['\n', '\r', '\t', '\u{a0}'], " ")
}

fn lines_of(text: &str) -> Vec<String> {
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(line).filter(|line| !line.is_empty()).collect()
}

/// What follows the end of an element.
fn behind_end<'a>(rest: &'a str, name: &str) -> &'a str {
    let end = format!("</{name}");
    let found = rest.to_ascii_lowercase().find(&end);
    found.and_then(|place| rest[place..].split_once('>')).map_or("", |(_, after)| after)
}

/// The lines of the wanted items, without their headings' numbers.
fn sections(lines: &[String], is_wanted: impl Fn(&str) -> bool) -> Vec<&str> {
    let mut wanted = false;
    let mut found = Vec::new();
    for line in lines {
        let mut line = line.as_str();
        if let Some((item, after)) = heading(line) {
            wanted = is_wanted(item);
            line = after;
        } else if line.eq_ignore_ascii_case("signature") || line.eq_ignore_ascii_case("signatures") {
            wanted = false;
        }
        if wanted && !line.is_empty() {
            found.push(line);
        }
    }
    found
}

/// The item that a line is the heading of, and what follows.
fn heading(line: &str) -> Option<(&str, &str)> {
    let word = line.get(..4)?;
    let rest = line.get(4..)?.trim_start();
    let item = rest.get(..4)?;
    let is_number = item.bytes().enumerate().all(|(place, byte)| match place {
        1 => byte == b'.',
        _ => byte.is_ascii_digit(),
    });
    let after = rest.get(4..)?.trim_start_matches(['.', ':', ' ', '—', '–', '-']);
    (word.eq_ignore_ascii_case("item") && is_number).then_some((item, after))
}

fn best_sentence<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let mut best: Option<(u8, &str)> = None;
    for sentence in lines.iter().flat_map(|line| sentences(line)) {
        let worth = worth(sentence);
        if worth > 0 && best.is_none_or(|(known, _)| worth > known) {
            best = Some((worth, sentence));
        }
    }
    best.map(|(_, sentence)| sentence)
}

/// How much a sentence says of a debt; 0 for a heading or a reference.
fn worth(sentence: &str) -> u8 {
    let is_reference = sentence.contains("incorporated") && sentence.contains("by reference");
    if sentence.len() < LEAST_SENTENCE || is_reference || sentence.starts_with("Creation of a Direct") {
        return 0;
    }
    let (has_word, has_amount) = (speaks_of_debt(sentence), amount_usd(sentence).is_some());
    let lower = sentence.to_lowercase();
    match (has_word, has_amount) {
        (true, true) if SIZE_WORDS.iter().any(|word| lower.contains(word)) => 4,
        (true, true) => 3,
        (true, false) => 2,
        (false, _) => 1,
    }
}

fn speaks_of_debt(sentence: &str) -> bool {
    let lower = sentence.to_lowercase();
    DEBT_WORDS.iter().any(|word| lower.contains(word))
}

/// The first amount of some size in US dollars.
fn amount_usd(sentence: &str) -> Option<f64> {
    sentence.match_indices('$').find_map(|(place, _)| {
        let (before, after) = (&sentence[..place], &sentence[place + 1..]);
        // C$ and A$ are others' dollars; US$ are not.
        let is_foreign = before.ends_with(|letter: char| letter.is_ascii_uppercase()) && !before.ends_with("US");
        let is_digit = |letter: char| letter.is_ascii_digit() || matches!(letter, ',' | '.');
        let (digits, unit) = after.split_at(after.find(|letter| !is_digit(letter)).unwrap_or(after.len()));
        let number: f64 = digits.trim_end_matches(['.', ',']).replace(',', "").parse().ok()?;
        let unit = unit.trim_start_matches([' ', '-']);
        let factor = [("billion", 1e9), ("million", 1e6)].into_iter().find(|(name, _)| unit.starts_with(name));
        // To the cent: 150.1 million is no other number than 150,100,000.
        let usd = (number * factor.map_or(1.0, |(_, factor)| factor) * 100.0).round() / 100.0;
        (!is_foreign && (LEAST_USD..LARGEST_VALUE).contains(&usd)).then_some(usd)
    })
}

/// The sentences of a line.
fn sentences(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut begin = 0;
    for (place, mark) in line.char_indices().filter(|(_, letter)| matches!(letter, '.' | '!' | '?')) {
        let after = &line[place + mark.len_utf8()..];
        let rest = after.trim_start_matches(['”', '"', ')', '’']);
        let end = line.len() - rest.len();
        let next = rest.trim_start().chars().next();
        let begins = next.is_none_or(|letter| letter.is_uppercase() || matches!(letter, '“' | '"' | '('));
        let is_apart = rest.is_empty() || rest.starts_with(' ');
        if end > begin && is_apart && begins && !is_abbreviation(&line[begin..place]) {
            found.push(line[begin..end].trim());
            begin = end;
        }
    }
    found.push(line[begin..].trim());
    found.retain(|sentence| !sentence.is_empty());
    found
}

/// Whether the word before a point is one that a point follows within a sentence.
fn is_abbreviation(before: &str) -> bool {
    let word = before.rsplit([' ', '(']).next().unwrap_or_default();
    let is_initial = word.len() == 1 && word.starts_with(|letter: char| letter.is_ascii_uppercase());
    is_initial || ABBREVIATIONS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Day;

    fn filing(items: &[&str]) -> Filing {
        Filing {
            cik: 1,
            accession: "0000000001-25-000001".into(),
            form: "8-K".into(),
            filed_on: Day::parse("2025-11-12").unwrap(),
            accepted_at: None,
            report_on: None,
            items: items.iter().map(|&item| item.to_owned()).collect(),
            primary_document: "a.htm".to_owned(),
        }
    }

    fn read_items(items: &[&str], body: &str) -> Candidate {
        read(&filing(items), body.as_bytes()).unwrap()
    }

    const NOTES: &str = r#"<?xml version='1.0'?><html><head><title>8-K</title></head><body>
        <div style="display:none"><ix:header><ix:hidden>$9,000,000 loan of nobody who would say it aloud in a long sentence.</ix:hidden></ix:header></div>
        <!-- a comment with a <p> in it -->
        <p><b>Item&#160;1.01&#160;Entry into a Material Definitive Agreement.</b></p>
        <p>On October&nbsp;28, 2025, Example Mining, Inc. (the &#8220;Company&#8221;) entered into a purchase
        agreement with J. Smith &amp; Co. LLC, as representative of several initial purchasers. The Company sold
        <span>$1,025.0&#160;million</span> aggregate principal amount of 0.00% convertible senior notes due 2031, in
        denominations of $1,000. It will use C$5,000,000 of other money for a loan.</p>
        <table><tr><td>Item 2.03</td><td>Creation of a Direct Financial Obligation or an Obligation under an
        Off-Balance Sheet Arrangement of a Registrant.</td></tr></table>
        <p>The information set forth under Item 1.01 above is incorporated by reference into this Item 2.03.</p>
        <p>Item 9.01 Financial Statements and Exhibits</p><p>Indenture of a loan of $7.0 billion, which nobody should read here at all.</p>
        <p>SIGNATURES</p></body></html>"#;

    #[test]
    fn the_sentence_with_the_principal_is_quoted() {
        let read = read_items(&["1.01", "2.03", "9.01"], NOTES);
        assert_eq!(
            read.sentence.as_deref(),
            Some(
                "The Company sold $1,025.0 million aggregate principal amount of 0.00% convertible senior notes due \
                 2031, in denominations of $1,000."
            )
        );
        assert_eq!((read.amount_usd, read.is_about_debt), (Some(1.025e9), true));
    }

    #[test]
    fn an_agreement_about_something_else_is_quoted_and_no_debt() {
        let page = "<p>ITEM 1.01. Entry into a Material Definitive Agreement.</p><p>On May 5, 2025, the Company agreed \
            to buy 3,000 machines from a vendor for a price of $12.5 million.</p>";
        let read = read_items(&["1.01"], page);
        assert!(!read.is_about_debt);
        assert_eq!(read.amount_usd, Some(12.5e6));
        assert!(read.sentence.unwrap().starts_with("On May 5, 2025, the Company agreed to buy"));
    }

    #[test]
    fn what_was_not_filed_for_is_not_read() {
        let read = read_items(&["2.03"], &NOTES.replace("2.03", "8.01"));
        assert_eq!((read.sentence, read.amount_usd, read.is_about_debt), (None, None, true));
    }

    #[test]
    fn amounts_are_of_some_size_and_in_us_dollars() {
        assert_eq!(amount_usd("a note of $1,000 within $588 million"), Some(588e6));
        assert_eq!(amount_usd("C$400,000,000 or US$300,000,000.00, at most"), Some(3e8));
        assert_eq!(amount_usd("$3.2 billion, of which $1 billion"), Some(3.2e9));
        assert_eq!(amount_usd("at $12.34 a share and $ nothing"), None);
    }

    #[test]
    fn a_point_within_a_sentence_does_not_end_it() {
        let line = "Example, Inc. (the “Company”) of the U.S. borrowed 4.5 million. It “paid.” Then it stopped";
        assert_eq!(
            sentences(line),
            ["Example, Inc. (the “Company”) of the U.S. borrowed 4.5 million.", "It “paid.”", "Then it stopped"]
        );
    }

    #[test]
    fn the_page_about_too_many_requests_is_no_document() {
        let page = b"<html><title>SEC.gov | Request Rate Threshold Exceeded</title></html>";
        assert_eq!(read(&filing(&["2.03"]), page).unwrap_err().code(), "rate_limited");
        let cut_off = read_items(&["2.03"], "Item 2.03 <p>x</p> <div");
        assert_eq!(cut_off.sentence, None);
    }
}
