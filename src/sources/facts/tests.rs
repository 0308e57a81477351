use super::*;
use crate::domain::observation::Moment;
use crate::domain::time::Day;

const NOW: &str = "2026-06-01T12:00:00Z";

const AVERAGES: &str = "observed_on,efficiency_j_per_th,known_at,publisher,title,source,note";
const AVERAGE: &str = "2024-06-30,28.2,2025-04-28,Somebody,A report,https://example.com/a,";
const MODELS: &str = "model_id,model,manufacturer,hashrate_th_per_s,power_w,efficiency_j_per_th,cooling,released_on,released_precision,price_usd_per_th,price_on,known_at,source";
const MODEL: &str = "m-1,M 1,Maker,200,3500,17.5,air,2023-09-22,day,14,2023-10-06,2023-10-07,https://example.com/m";
const SHARES: &str = "as_of,efficiency_j_per_th,share,known_at,source";

fn file(name: &str, bytes: impl Into<Vec<u8>>) -> TableFile {
    TableFile { name: name.to_owned(), bytes: bytes.into() }
}

fn read(files: &[TableFile]) -> Result<Vec<Fact>, Vec<FactError>> {
    read_tables(files, Timestamp::parse(NOW).unwrap())
}

/// The errors of a file, as lines.
fn errors(name: &str, bytes: impl Into<Vec<u8>>) -> Vec<String> {
    read(&[file(name, bytes)]).unwrap_err().iter().map(ToString::to_string).collect()
}

/// `row` with one cell replaced.
fn with(header: &str, row: &str, column: &str, cell: &str) -> String {
    let place = header.split(',').position(|name| name == column).unwrap();
    let mut cells: Vec<&str> = row.split(',').collect();
    cells[place] = cell;
    format!("{header}\n{}\n", cells.join(","))
}

#[test]
fn good_rows_are_read_whatever_the_order_of_columns() {
    let text = "\u{feff}note,source,title,publisher,known_at,efficiency_j_per_th,observed_on\r\n\
                \"a, \"\"b\"\"\",https://example.com/a,A report,Somebody,2025-04-28T09:30:00Z,28.20,2024-06-30\r\n\r\n";
    let facts = read(&[file("network_efficiency.csv", text), file("asic_models.csv", format!("{MODELS}\n{MODEL}"))]);
    let facts = facts.unwrap();
    let [Fact::NetworkEfficiency(average), Fact::AsicModel(model)] = facts.as_slice() else { panic!("{facts:?}") };
    let average = average.fields();
    assert_eq!((average.observed_on.to_string().as_str(), average.efficiency_j_per_th), ("2024-06-30", 28.2));
    assert_eq!(
        (average.note.as_str(), average.published_at.to_string().as_str()),
        ("a, \"b\"", "2025-04-28T09:30:00Z")
    );
    let model = model.fields();
    assert_eq!((model.hashrate_th_per_s, model.power_w, model.efficiency_j_per_th), (Some(200.0), Some(3_500.0), 17.5));
    assert_eq!(
        model.price.map(|price| (price.usd_per_th, price.on.to_string())),
        Some((14.0, "2023-10-06".to_owned()))
    );
    assert_eq!(model.published_at.to_string(), "2023-10-08T00:00:00Z", "a day counts from its end");
}

#[test]
fn rows_of_a_day_are_one_distribution() {
    let text = format!(
        "{SHARES}\n2023-05-31,98,0.25,2023-06-13,https://example.com/s\n2023-05-31,30,0.75,2023-06-13,https://example.com/s\n"
    );
    let facts = read(&[file("efficiency_distribution.csv", text)]).unwrap();
    let [Fact::EfficiencyDistribution(distribution)] = facts.as_slice() else { panic!("{facts:?}") };
    let shares: Vec<_> =
        distribution.fields().shares.iter().map(|share| (share.efficiency_j_per_th, share.share)).collect();
    assert_eq!(shares, [(30.0, 0.75), (98.0, 0.25)]);
    assert!(read(&[file("efficiency_distribution.csv", SHARES)]).unwrap().is_empty(), "a table may have no rows");
}

#[test]
fn every_mistake_says_where_it_is_and_what_to_write() {
    let averages = "network_efficiency.csv";
    let models = "asic_models.csv";
    let distribution = "efficiency_distribution.csv";
    let average = |column: &str, cell: &str| (averages, with(AVERAGES, AVERAGE, column, cell).into_bytes());
    let model = |column: &str, cell: &str| (models, with(MODELS, MODEL, column, cell).into_bytes());
    let text = |name: &'static str, text: String| (name, text.into_bytes());
    let share = |rows: &str| (distribution, format!("{SHARES}\n{rows}").into_bytes());
    let cases: Vec<((&str, Vec<u8>), &str)> = vec![
        (
            text("machines.csv", String::new()),
            "machines.csv:1: found \"machines.csv\"; there is no such table; the files are network_efficiency.csv",
        ),
        (
            text(averages, String::new()),
            "network_efficiency.csv:1: found \"\"; the file is empty; write a first line with observed_on,",
        ),
        (
            text(averages, AVERAGES.replace(",title", "")),
            "network_efficiency.csv:1: title: found \"observed_on,efficiency",
        ),
        (
            text(averages, AVERAGES.replace("title", "titel")),
            "network_efficiency.csv:1: titel: found \"titel\"; there is no such column; the columns are observed_on, ",
        ),
        (
            text(averages, AVERAGES.replace("note", "title")),
            "network_efficiency.csv:1: title: found \"title\"; write each column once",
        ),
        (
            text(averages, format!("{AVERAGES}\n2024-06-30,28.2\n")),
            "network_efficiency.csv:2: found \"2024-06-30,28.2\"; the line has 2 cells where the first line names 7",
        ),
        (
            text(averages, format!("{AVERAGES}\n{AVERAGE},more\n")),
            "network_efficiency.csv:2: found \"2024-06-30,28.2,2025-04-28,Somebody,A report,https://example\"; the line has 8 cells",
        ),
        ((averages, [AVERAGES.as_bytes(), b"\n\xff\xfe,1\n"].concat()), "; write the file in UTF-8"),
        (
            average("note", "\"never closed"),
            "network_efficiency.csv:2: found \"2024-06-30,28.2,2025-04-28,Somebody,A report,https://example\"; close the quote on the same line",
        ),
        (average("note", "\"a\"b"), "; write a comma right after a closing quote"),
        (average("note", "5\" disk"), "; put a cell with quotes into quotes as a whole"),
        (average("note", "a\tb"), "; leave control characters, such as tabs, out of cells"),
        (average("note", &"x".repeat(1_001)), "; write at most 1000 bytes"),
        (
            average("observed_on", "30.6.2024"),
            "network_efficiency.csv:2: observed_on: found \"30.6.2024\"; write a day like 2024-06-30",
        ),
        (average("observed_on", "2024-06-31"), "observed_on: found \"2024-06-31\"; write a day"),
        (
            average("observed_on", "2025-04-30"),
            "network_efficiency.csv:2: known_at: found \"2025-04-28\"; write a time that is not before observed_on, 2025-04-30",
        ),
        (average("known_at", ""), "known_at: found \"\"; write the day of publication like 2025-04-28, or the instant"),
        (average("known_at", "April 2025"), "known_at: found \"April 2025\"; write the day of publication"),
        (
            average("known_at", "2026-06-01"),
            "known_at: found \"2026-06-01\"; that is in the future, and a day counts from its end",
        ),
        (average("known_at", "2026-06-01T12:00:00.000001Z"), "; that is in the future"),
        (average("efficiency_j_per_th", "28,2"), "the line has 8 cells"),
        (
            average("efficiency_j_per_th", "28.2 J/TH"),
            "efficiency_j_per_th: found \"28.2 J/TH\"; write a decimal number between 1 and 5000 J/TH",
        ),
        (average("efficiency_j_per_th", "NaN"), "efficiency_j_per_th: found \"NaN\"; write a decimal number"),
        (
            average("efficiency_j_per_th", "0.0282"),
            "efficiency_j_per_th: found \"0.0282\"; write a number between 1 and 5000 J/TH",
        ),
        (average("publisher", ""), "publisher: found \"\"; the cell is empty; write who or what it is"),
        (average("title", "  "), "title: found \"\"; the cell is empty"),
        (average("source", ""), "source: found \"\"; write the address of the text that states it"),
        (average("source", "a report"), "source: found \"a report\"; write the address"),
        (average("source", "ftp://example.com/a"), "source: found \"ftp://example.com/a\"; write the address"),
        (average("source", "https://"), "source: found \"https://\"; write the address"),
        (
            text(averages, format!("{AVERAGES}\n{AVERAGE}\n{AVERAGE}\n")),
            "network_efficiency.csv:3: known_at: found \"2025-04-28\"; line 2 says when 2024-06-30 Somebody was known already",
        ),
        (model("model_id", "M_1"), "asic_models.csv:2: model_id: found \"M_1\"; write lower case letters and digits"),
        (model("hashrate_th_per_s", "0"), "hashrate_th_per_s: found \"0\"; write a number between 0.01 and 10000 TH/s"),
        (
            model("power_w", "3.5kW"),
            "power_w: found \"3.5kW\"; write a decimal number between 10 and 100000 W, or nothing",
        ),
        (
            model("efficiency_j_per_th", "30"),
            "efficiency_j_per_th: found \"30\"; 3500 W over 200 TH/s is 17.5 J/TH; correct one of the three",
        ),
        (model("cooling", "water"), "cooling: found \"water\"; write air, hydro or immersion"),
        (model("released_on", ""), "released_on: found \"\"; write the date, or leave released_precision empty too"),
        (model("released_precision", "quarter"), "released_precision: found \"quarter\"; write day, month or year"),
        (model("released_precision", "month"), "released_on: found \"2023-09-22\"; write the first day of the month"),
        (
            model("price_on", ""),
            "price_on: found \"\"; write the day of the price, or leave price_usd_per_th empty too",
        ),
        (model("price_usd_per_th", ""), "price_usd_per_th: found \"\"; write the price, or leave price_on empty too"),
        (
            model("price_usd_per_th", "0"),
            "price_usd_per_th: found \"0\"; write a number between 0.01 and 100000 USD/TH",
        ),
        (
            model("price_on", "2023-10-09"),
            "known_at: found \"2023-10-07\"; write a time that is not before price_on, 2023-10-09",
        ),
        (
            share("2023-05-31,98,0.25,2023-06-13,https://e.com/s\n2023-05-31,30,0.70,2023-06-13,https://e.com/s\n"),
            "efficiency_distribution.csv:2: share: found \"0.25\"; the shares of 2023-05-31 sum to 0.95; they must sum to 1",
        ),
        (
            share("2023-05-31,30,0.5,2023-06-13,https://e.com/s\n2023-05-31,30,0.5,2023-06-13,https://e.com/s\n"),
            "write each efficiency of a day once",
        ),
        (
            share("2023-05-31,30,0.5,2023-06-13,https://e.com/s\n2023-05-31,31,0.5,2023-06-13,https://e.com/t\n"),
            "efficiency_distribution.csv:3: source: found \"https://e.com/t\"; the shares of a day come from one source",
        ),
        (
            share("2023-05-31,30,100%,2023-06-13,https://e.com/s\n"),
            "share: found \"100%\"; write a decimal number between 0 and 1 share",
        ),
    ];
    assert!(cases.len() > 40);
    let mut unlike = Vec::new();
    for ((name, bytes), expected) in cases {
        let errors = errors(name, bytes);
        // A name of a column that is wrong is a column that lacks, too.
        let is_alone = errors.len() == 1 || errors.iter().all(|error| error.starts_with(&format!("{name}:1: ")));
        let is_a_line = errors[0].starts_with(&format!("{name}:")) && errors[0].lines().count() == 1;
        if !(is_alone && is_a_line && errors[0].contains(expected)) {
            unlike.push(format!("{expected}\n  {}", errors.join("\n  ")));
        }
    }
    assert!(unlike.is_empty(), "{}", unlike.join("\n"));
}

#[test]
fn every_error_of_every_file_is_told_in_order() {
    let averages = format!("{AVERAGES}\n,x,,,,,\n{AVERAGE}\n\"broken\n2024-06-30,0,2025-04-28,A,B,https://e.com,\n");
    let models = with(MODELS, MODEL, "cooling", "");
    let errors = read(&[file("network_efficiency.csv", averages), file("asic_models.csv", models)]).unwrap_err();
    let places: Vec<_> = errors.iter().map(|error| (error.line, error.column.as_deref().unwrap_or("line"))).collect();
    let expected = [
        (2, "observed_on"),
        (2, "efficiency_j_per_th"),
        (2, "known_at"),
        (2, "publisher"),
        (2, "title"),
        (2, "source"),
        (4, "line"),
        (5, "efficiency_j_per_th"),
        (2, "cooling"),
    ];
    assert_eq!(places, expected);
}

#[test]
fn the_shipped_tables_have_no_error_and_were_published_when_they_say() {
    // The day on which they were compiled.
    let compiled = Timestamp::parse("2026-11-24").unwrap();
    let facts = read_tables(&shipped_tables(), compiled).unwrap();
    assert_eq!(facts, shipped_facts());
    let rows: usize =
        shipped_tables().iter().map(|table| String::from_utf8(table.bytes.clone()).unwrap().lines().count() - 1).sum();
    assert_eq!(facts.len(), rows, "each line is a row");

    let versions =
        facts.into_iter().map(|row| crate::domain::facts::FactVersion { known_at: row.published_at(), batch: 1, row });
    let facts = crate::domain::facts::Facts::default().with(versions);
    let now = Moment { at: compiled, batch: 1 };
    let known = |day: &str| facts.network_efficiency_column(Day::parse(day).unwrap(), 1, now)[0];
    assert_eq!(known("2014-04-27"), None);
    assert_eq!(known("2014-04-28"), Some(1_500.0));
    assert_eq!(known("2019-01-01"), Some(98.0));
    assert_eq!(known("2022-04-25"), Some(48.8), "of two figures of one survey, the one about the later day");
    assert_eq!(known("2025-04-27"), Some(34.0));
    assert_eq!(known("2025-04-28"), Some(28.2));
    let newest = facts.asic_models(now);
    let s21 = newest.iter().find(|version| version.row.fields().model_id == "antminer-s21").unwrap();
    assert_eq!(s21.row.fields().price.map(|price| price.usd_per_th), Some(14.0));
}
