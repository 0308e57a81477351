use super::*;
use crate::domain::observation::Moment;
use crate::domain::pools::{Attribution, Pools, attribute};
use crate::domain::time::Day;

const NOW: &str = "2026-06-01T12:00:00Z";

const AVERAGES: &str = "observed_on,efficiency_j_per_th,known_at,publisher,title,source,note";
const AVERAGE: &str = "2024-06-30,28.2,2025-04-28,Somebody,A report,https://example.com/a,";
const MODELS: &str = "model_id,model,manufacturer,hashrate_th_per_s,power_w,efficiency_j_per_th,cooling,released_on,released_precision,price_usd_per_th,price_on,known_at,source";
const MODEL: &str = "m-1,M 1,Maker,200,3500,17.5,air,2023-09-22,day,14,2023-10-06,2023-10-07,https://example.com/m";
const POOLS: &str = "slug,name,kind,value,known_at,source,note";
const POOL: &str = "viabtc,ViaBTC,tag,/ViaBTC/,2021-05-17,https://example.com/p,";
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
    let pool = |column: &str, cell: &str| ("pools.csv", with(POOLS, POOL, column, cell).into_bytes());
    let pools = |rows: &[&str]| ("pools.csv", format!("{POOLS}\n{}\n", rows.join("\n")).into_bytes());
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
        (pool("slug", "ViaBTC"), "pools.csv:2: slug: found \"ViaBTC\"; write lower case letters and digits"),
        (pool("name", ""), "pools.csv:2: name: found \"\"; the cell is empty"),
        (pool("kind", "coinbase"), "pools.csv:2: kind: found \"coinbase\"; write tag or address"),
        (pool("value", ""), "pools.csv:2: value: found \"\"; the cell is empty"),
        (pool("value", "EMC"), "pools.csv:2: value: found \"EMC\"; write a tag of 4 to 100 bytes; shorter ones"),
        (pool("value", &"x".repeat(101)), "; write a tag of 4 to 100 bytes"),
        (pool("known_at", "2027-01-01"), "known_at: found \"2027-01-01\"; that is in the future"),
        (pool("source", "the pool"), "pools.csv:2: source: found \"the pool\"; write the address"),
        (
            pools(&["a,A,address,18cBEMRxXHqzWWCxZNtU91F5sbUNKhL5PO,2021-05-17,https://e.com/p,"]),
            "value: found \"18cBEMRxXHqzWWCxZNtU91F5sbUNKhL5PO\"; no address of this kind has the character 'O'",
        ),
        (
            pools(&["a,A,address,bc1qjl8uwezzlech723lpnyuza0h2cdkvxvh54v3Dn,2021-05-17,https://e.com/p,"]),
            "; no address of this kind has the character 'D'",
        ),
        (
            pools(&["a,A,address,bc1qjl8uwezzlech723lpnyuza0h2cdkvxvh54v3,2021-05-17,https://e.com/p,"]),
            "; copy the whole address",
        ),
        (
            pools(&["a,A,address,tb1qmf7xdqc5nvzhturuzc46qtq5kywdf3p76cpq53,2021-05-17,https://e.com/p,"]),
            "; write an address that begins with 1, 3 or, in lower case, bc1",
        ),
        (
            pools(&[POOL, "other,Other,tag,/VIABTC/,2021-05-17,https://e.com/p,"]),
            "pools.csv:3: known_at: found \"2021-05-17\"; line 2 says when tag /viabtc/ was known already",
        ),
        (
            pools(&["other,Other,tag,/VIABTC/,2021-05-18,https://e.com/p,", POOL]),
            "pools.csv:2: slug: found \"other\"; line 3 gives the same tag to viabtc; correct one of the two",
        ),
        (
            pools(&[POOL, "viabtc,Via,tag,viabtc.com deploy,2021-05-17,https://e.com/p,"]),
            "pools.csv:3: name: found \"Via\"; line 2 calls viabtc \"ViaBTC\" at the same time; write one name",
        ),
        (
            pools(&["tatmas,TATMAS Pool,tag,/ViaBTC/TATMAS Pool/,2021-05-17,https://e.com/p,", POOL]),
            "pools.csv:2: value: found \"/ViaBTC/TATMAS Pool/\"; \"/ViaBTC/\" of line 3, a tag of viabtc, is a part of it",
        ),
    ];
    assert!(cases.len() > 55);
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
fn evidence_may_move_be_renamed_and_be_taken_back() {
    let rows = [
        POOL,
        "viabtc,ViaBTC,tag,/ViaBTC/Mined by,2021-05-17,https://e.com/p,",
        "viabtc,Via,tag,/ViaBTC/,2022-01-01,https://e.com/p,",
        "other,Other,tag,/viabtc/mined by,2023-01-01,https://e.com/p,it was sold",
        "unknown,Nobody,tag,/viabtc/mined by,2024-01-01,https://e.com/p,it was not",
    ];
    let file = file("pools.csv", format!("{POOLS}\n{}\n", rows.join("\n")));
    let errors = read(std::slice::from_ref(&file)).unwrap_err();
    let [error] = errors.as_slice() else { panic!("{errors:?}") };
    assert!(error.line == 5 && error.advice.contains("of line 2, a tag of viabtc"), "{error}");
    let without_part = String::from_utf8(file.bytes).unwrap().replace("/viabtc/mined by", "/viabtc2/");
    assert_eq!(read(&[TableFile { bytes: without_part.into_bytes(), ..file }]).unwrap().len(), 5);
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

/// Height, pool and input script of coinbases, some cut where only numbers follow. The height stands in the
/// script. Block 227836 is the first that had to have it (BIP 34). 856720, 856739 and 856740 are transactions
/// 4808de30cf5ad96fbce89f7efabcebf8222f098c51926a282472292ac9291d1d,
/// 9603a850d3da9f230d36d03c83eb402c18fae9754cdb528a242c96dac0187538 and
/// 82f3748ef4ffc2acfefbbc682adf34532eef41e13c4819085a8af611a8f118fa. 966077 to 966088, of 8 September 2026,
/// are all that the author of `satcortex` saw with a node one after the other, as the tests of that project
/// have them with their pools.
const REAL_BLOCKS: [(u32, &str, &str); 17] = [
    (227_836, "braiins-pool", "03fc7903062f503253482f04ac204f510858029a11000003550d3363646164312f736c7573682f"),
    (
        856_720,
        "viabtc",
        "0390120d182f5669614254432f4d696e6564206279206173646c31372f2cfabe6d6d038689c77c851fb85eef5e10eade9efb405e21994412c978983b2e71881f47161000",
    ),
    (856_739, "antpool", "03a3120d1b4d696e656420627920416e74506f6f6c3837349f00010293f49debfabe6d6d7ce2d695ffb0"),
    (
        856_740,
        "mara-pool",
        "03a4120d04b5a2bc667c204d41524120506f6f6c207c204d61646520696e2055534120f09f87baf09f87b8207c202876303331393234293c39dbd326",
    ),
    (951_929, "ocean", "0379860e193c204f4345414e2e58595a203e0f526f7567686e65636b73000000"),
    (966_077, "binance-pool", "03bdbd0e1062696e616e63652f7d00ac0368c0b33bfabe6d6d9cb7757ef23f9e3067a3dbf5f5fb1c52"),
    (
        966_078,
        "viabtc",
        "03bebd0e182f5669614254432f4d696e6564206279206563676274632f2cfabe6d6d5eeda0c9139c29556be2c2558c2613f84d51004f7d3a6729a4ca2a223ed8",
    ),
    (
        966_079,
        "mara-pool",
        "03bfbd0e04a806a06a7c204d415241204d61646520696e2055534120f09f87baf09f87b8207c76303513fdbad5700000374985ffffffff",
    ),
    (966_080, "antpool", "03c0bd0e1b4d696e656420627920416e74506f6f6c393539150021017405f39dfabe6d6db99a73a615dd"),
    (
        966_081,
        "foundry-usa",
        "03c1bd0e0481bbe50b2f466f756e6472792055534120506f6f6c202364726f70676f6c642f0826a7b32000000000000000",
    ),
    (
        966_082,
        "foundry-usa",
        "03c2bd0e04c6a66e0d2f466f756e6472792055534120506f6f6c202364726f70676f6c642f10182bce0107000000000000",
    ),
    (
        966_083,
        "viabtc",
        "03c3bd0e082f5669614254432f2cfabe6d6df86564611927c1c28788210d26c90d6b75a1c949011718ac00a55d7e21c6",
    ),
    (
        966_084,
        "f2pool",
        "03c4bd0e2cfabe6d6df7d99ceea687f9a248c2b8cf9cd5cc3c8346348de9fc7c391c71a82826db25ba10000000f09f909f0c2f6632706f6f6c2e6b7a2f63",
    ),
    (
        966_085,
        "foundry-usa",
        "03c5bd0e048e9901172f466f756e6472792055534120506f6f6c202364726f70676f6c642f2a1140d11d2c000000000000",
    ),
    (966_086, "antpool", "03c6bd0e194d696e656420627920416e74506f6f6c20000023008b4fa021fabe6d6d9f129e0ce05bb037"),
    (966_087, "nicehash", "03c7bd0e9c68db2cab10152b870000052f4e696365486173684d696e696e672f"),
    (
        966_088,
        "f2pool",
        "03c8bd0e2cfabe6d6d1b59c5fdc32436bf55d870ff242b5751b79753b9473fa1b10989cf231b526ecf10000000f09f909f092f4632506f6f6c2f65",
    ),
];

#[test]
fn the_shipped_pools_are_those_of_real_blocks() {
    let versions = shipped_facts().into_iter().map(|row| crate::domain::facts::FactVersion {
        known_at: row.published_at(),
        batch: 1,
        row,
    });
    let facts = crate::domain::facts::Facts::default().with(versions);
    let pools = Pools::at(&facts, Moment { at: Timestamp::parse("2026-11-24").unwrap(), batch: 1 });
    assert!(pools.all().len() >= 80);
    for (height, slug, script) in REAL_BLOCKS {
        let digits = |place: usize| u8::from_str_radix(&script[place..place + 2], 16).unwrap();
        let script: Vec<u8> = (0..script.len()).step_by(2).map(digits).collect();
        assert_eq!(u32::from_le_bytes([script[1], script[2], script[3], 0]), height, "as BIP 34 has it");
        let found = attribute(&pools, &script, std::iter::empty());
        assert_eq!(found.pool().map(|pool| pool.slug.as_str()), Some(slug), "block {height}");
    }
    // Block 0 and its text, and an address that pays nobody's pool.
    let genesis = b"\x04\xff\xff\x00\x1d\x01\x04EThe Times 03/Jan/2009 Chancellor on brink of second bailout for banks";
    let found = attribute(&pools, genesis, ["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"].into_iter());
    assert_eq!(found, Attribution::Unknown);

    let name = |day: &str| {
        let pools = Pools::at(&facts, Moment { at: Day::parse(day).unwrap().end(), batch: 1 });
        attribute(&pools, b"/slush/", std::iter::empty()).pool().map(|pool| pool.name.clone())
    };
    assert_eq!(name("2021-05-16"), None, "no list that may be cited is older");
    assert_eq!(name("2023-02-02").as_deref(), Some("Slush Pool"));
    assert_eq!(name("2023-02-03").as_deref(), Some("Braiins Pool"));
}

const ISSUERS: &str = "ticker,name,cik,filer_kind,fiscal_year_end,status,industry,known_at,source,note";
const ISSUER: &str = "MARA,MARA Holdings,1507605,domestic,12-31,listed,miner,2024-09-01,https://example.com/i,";
const INSTRUMENTS: &str = "instrument_id,facility_id,ticker,title,kind,obligor,recourse,purpose,security,principal_usd,commitment_usd,issued_on,issued_precision,maturity_on,maturity_precision,coupon_kind,coupon_pct,benchmark,spread_pct,floor_pct,interest_paid,conversion_rate_per_1000,conversion_price_usd,settlement,capped_call_usd,collateral_btc,ltv_initial_pct,ltv_margin_call_pct,ltv_liquidation_pct,status,retired_on,retired_how,verification,known_at,source,note";
const INSTRUMENT: &str = "riot-0p75-2030,,RIOT,0.75% notes,convertible,Riot,parent,treasury,unsecured,594400000,,2024-12-11,day,2030-01-15,day,fixed,0.75,,,,cash,67.2767,14.864,either,,,,,,outstanding,,,verified,2024-12-11,https://example.com/n,";
const BALANCES: &str = "instrument_id,observed_on,outstanding_usd,carrying_usd,cause,known_at,source,note";
const BALANCE: &str = "riot-0p75-2030,2025-09-30,594400000,,reported,2025-10-30,https://example.com/b,";
const OPTIONS: &str = "instrument_id,kind,on,on_precision,price_pct,condition,known_at,source,note";
const PUT: &str = "mara-0-2030,put,2027-12-01,day,100,,2024-11-21,https://example.com/o,";
const PARTS: &str = "instrument_id,due_on,due_precision,amount_usd,known_at,source,note";
const FIGURES: &str = "ticker,item,period_start,period_end,value,known_at,source,note";
const FLOW: &str = "CLSK,revenue_usd,2025-04-01,2025-06-30,198644000,2025-08-07,https://example.com/f,";
const STOCK: &str = "CLSK,cash_usd,,2025-06-30,34553000,2025-08-07,https://example.com/f,";
const LINES: &str = "ticker,line,kind,known_at,source,note";
const REVENUE: &str = "ticker,line,period_start,period_end,value_usd,known_at,source,note";
const SITES: &str = "site_id,ticker,site,country,state,county,grid,gross_mw,critical_it_mw,purpose,status,observed_on,known_at,source,note";
const SITE: &str =
    "wulf-lake,WULF,Lake,US,NY,Niagara,NYISO,500,200,mixed,operating,2025-06-30,2025-08-08,https://example.com/s,";
const INDUSTRY: &str = "metric,period_start,period_end,value,unit,scope,publisher,known_at,source,note";
const TOTAL: &str = "total_debt_usd,,2025-10-15,12700000000,USD,listed,VanEck,2025-10-23,https://example.com/t,";
const REPORTS: &str = "ticker,fiscal_period_end,report_on,certainty,known_at,source,note";
const REPORT: &str = "MARA,2025-09-30,2025-11-04,confirmed,2025-11-04,https://example.com/e,";

#[test]
fn good_rows_about_issuers_are_read() {
    let of = |name: &str, header: &str, row: &str| file(name, format!("{header}\n{row}\n"));
    let files = [
        of("issuers.csv", ISSUERS, ISSUER),
        of("instruments.csv", INSTRUMENTS, INSTRUMENT),
        of("outstanding.csv", BALANCES, BALANCE),
        of("debt_options.csv", OPTIONS, PUT),
        of("fundamentals.csv", FIGURES, &format!("{FLOW}\n{STOCK}")),
        of("sites.csv", SITES, SITE),
        of("industry.csv", INDUSTRY, TOTAL),
        of("earnings.csv", REPORTS, REPORT),
    ];
    assert_eq!(read(&files).unwrap().len(), 9);
}

/// One row with one cell changed, and what is said of it.
#[test]
fn every_mistake_about_issuers_is_told_with_its_place_and_what_to_write() {
    let issuer = |column: &str, cell: &str| ("issuers.csv", with(ISSUERS, ISSUER, column, cell));
    let note = |column: &str, cell: &str| ("instruments.csv", with(INSTRUMENTS, INSTRUMENT, column, cell));
    let balance = |column: &str, cell: &str| ("outstanding.csv", with(BALANCES, BALANCE, column, cell));
    let put = |column: &str, cell: &str| ("debt_options.csv", with(OPTIONS, PUT, column, cell));
    let flow = |column: &str, cell: &str| ("fundamentals.csv", with(FIGURES, FLOW, column, cell));
    let stock = |column: &str, cell: &str| ("fundamentals.csv", with(FIGURES, STOCK, column, cell));
    let site = |column: &str, cell: &str| ("sites.csv", with(SITES, SITE, column, cell));
    let total = |column: &str, cell: &str| ("industry.csv", with(INDUSTRY, TOTAL, column, cell));
    let report = |column: &str, cell: &str| ("earnings.csv", with(REPORTS, REPORT, column, cell));
    let part = |row: &str| ("amortisation.csv", format!("{PARTS}\n{row}\n"));
    let line = |row: &str| ("revenue_lines.csv", format!("{LINES}\n{row}\n"));
    let revenue = |row: &str| ("revenue.csv", format!("{REVENUE}\n{row}\n"));
    let cases = [
        (issuer("ticker", "mara"), "ticker: found \"mara\"; write the ticker in one to five capital letters"),
        (issuer("name", ""), "name: found \"\"; the cell is empty; write who or what it is"),
        (issuer("cik", "0001507605x"), "cik: found \"0001507605x\"; write a number between 1 and 9999999999"),
        (issuer("filer_kind", "10-K"), "filer_kind: found \"10-K\"; write domestic, form_20f or form_40f"),
        (issuer("fiscal_year_end", "Dec"), "fiscal_year_end: found \"Dec\"; write month and day like 12-31"),
        (issuer("industry", "bank"), "industry: found \"bank\"; write miner or other"),
        (note("instrument_id", "RIOT 2030"), "write lower case letters and digits with single hyphens"),
        (note("ticker", "RIOTT"), "ticker: found \"RIOTT\"; write a ticker of issuers.csv, or add the issuer there"),
        (note("kind", "bond"), "kind: found \"bond\"; write convertible, exchangeable"),
        (note("kind", "term_loan"), "kind: found \"term_loan\"; write convertible or exchangeable, or leave"),
        (note("recourse", "full"), "recourse: found \"full\"; write parent, limited or none"),
        (note("principal_usd", "594.4m"), "principal_usd: found \"594.4m\"; write a number between 0 and"),
        (note("principal_usd", "5944000000000"), "without separators, in whole dollars, like 747500000"),
        (note("maturity_on", "2023-01-15"), "write a date that is not before issued_on, 2024-12-11"),
        (note("maturity_precision", "decade"), "write day, month or year: how exactly maturity_on is known"),
        (note("issued_precision", "month"), "issued_on: found \"2024-12-11\"; write the first day of the month"),
        (note("coupon_pct", "0.75%"), "coupon_pct: found \"0.75%\"; write a decimal number between 0 and 50"),
        (note("benchmark", "sofr"), "coupon_kind: found \"fixed\"; write floating, or leave benchmark"),
        (note("conversion_rate_per_1000", "0.0672767"), "write a decimal number between 1 and 10000 shares for 1,000"),
        (note("conversion_price_usd", "15.0"), "1000 over 67.2767 is 14.8640 USD; correct one of the two"),
        (note("capped_call_usd", "14"), "write a share price above the conversion price, 14.8640 USD"),
        (note("ltv_margin_call_pct", "500"), "write a decimal number between 1 and 200 percent"),
        (note("status", "retired"), "retired_on: found \"\"; write retired in status, the day and how it ended"),
        (note("retired_on", "2025-01-01"), "write retired in status, the day and how it ended, or none"),
        (note("verification", "maybe"), "verification: found \"maybe\"; write verified or candidate"),
        (note("source", "10-Q"), "source: found \"10-Q\"; write the address of the text"),
        (note("known_at", "2027-01-01"), "known_at: found \"2027-01-01\"; that is in the future"),
        (balance("instrument_id", "riot-1-2030"), "write an instrument of instruments.csv, or add it there"),
        (balance("outstanding_usd", ""), "write the principal, or the book value in carrying_usd"),
        (balance("cause", "tapped"), "cause: found \"tapped\"; write issue, tap, draw"),
        (balance("known_at", "2025-09-01"), "write a time that is not before observed_on, 2025-09-30"),
        (put("kind", "sell"), "kind: found \"sell\"; write put or call"),
        (put("on", ""), "write the date, or leave on_precision empty too"),
        (put("price_pct", "1000"), "write a decimal number between 50 and 200 percent of principal"),
        (put("condition", "always"), "condition: found \"always\"; write price_below_conversion"),
        (part("mara-0-2030,2027-01-01,day,-5,2025-01-01,https://example.com/p,"), "amount_usd: found \"-5\""),
        (flow("item", "turnover"), "item: found \"turnover\"; write revenue_usd, operating_income_usd"),
        (flow("period_start", ""), "period_start: found \"\"; write the first day of the period"),
        (
            flow("period_end", "2025-04-05"),
            "write the last day of a month, quarter, half or year that begins on 2025-04-01",
        ),
        (flow("value", "198,644"), "the line has 9 cells where the first line names 8"),
        (flow("value", "-1"), "value: found \"-1\"; write a decimal number between 0 and"),
        (stock("period_start", "2025-04-01"), "leave it empty: a balance has a day alone"),
        (stock("known_at", "2025-06-01"), "write a time that is not before period_end, 2025-06-30"),
        (line("CORZ,HPC hosting,colocation,2024-08-07,https://example.com/l,"), "write mining, hosting, hpc, power"),
        (revenue("CORZ,HPC,2024-04-01,,5500000,2024-08-07,https://example.com/r,"), "period_end: found \"\""),
        (site("country", "USA"), "write the country's two capital letters, like US"),
        (site("critical_it_mw", "600"), "write a part of gross_mw, 500 MW"),
        (site("gross_mw", "500 MW"), "write a decimal number between 0 and 10000 MW"),
        (site("status", "open"), "status: found \"open\"; write operating, building"),
        (total("unit", "usd_bn"), "unit: found \"usd_bn\"; write USD, and the value in it"),
        (total("metric", "debt"), "metric: found \"debt\"; write total_debt_usd"),
        (report("report_on", "2025-09-01"), "write a day after fiscal_period_end, 2025-09-30"),
        (report("certainty", "sure"), "certainty: found \"sure\"; write confirmed or estimated"),
        (
            ("earnings.csv", format!("{REPORTS}\n{REPORT}\n{REPORT}\n")),
            "earnings.csv:3: known_at: found \"2025-11-04\"; line 2 says when MARA 2025-09-30 was known already",
        ),
    ];
    assert!(cases.len() >= 50);
    let mut unlike = Vec::new();
    for ((name, text), expected) in cases {
        let errors = errors(name, text);
        if !(errors[0].starts_with(&format!("{name}:")) && errors.iter().any(|error| error.contains(expected))) {
            unlike.push(format!("{expected}\n  {}", errors.join("\n  ")));
        }
    }
    assert!(unlike.is_empty(), "{}", unlike.join("\n"));
}
