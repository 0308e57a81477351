use super::*;
use crate::domain::facts::{Fact, FactVersion, PoolEvidenceFields};
use crate::domain::time::Timestamp;

const NOW: &str = "2026-11-01";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// A version of `slug,name,kind,value,known_at`, known when it was published.
fn version(row: &str, batch: i64) -> FactVersion<Fact> {
    let cells: Vec<&str> = row.split(',').collect();
    let [slug, name, kind, value, published_at] = cells[..] else { panic!("{row}") };
    let fields = PoolEvidenceFields {
        slug: slug.into(),
        name: name.into(),
        kind: EvidenceKind::from_name(kind).unwrap(),
        value: value.into(),
        published_at: at(published_at),
        source: "https://example.com/pools".into(),
        note: String::new(),
    };
    let row = Fact::Pool(PoolEvidence::new(fields).unwrap());
    FactVersion { known_at: row.published_at(), batch, row }
}

fn facts(rows: &[&str]) -> Facts {
    Facts::default().with(rows.iter().map(|row| version(row, 1)))
}

fn pools(rows: &[&str]) -> Pools {
    Pools::at(&facts(rows), Moment { at: at(NOW), batch: 1 })
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |place: usize| u8::from_str_radix(&hex[place..place + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

/// `antpool by tag Mined by AntPool`, or `unknown`.
fn found(pools: &Pools, script: &[u8], addresses: &[&str]) -> String {
    match attribute(pools, script, addresses.iter().copied()) {
        Attribution::Mined { pool, by, value } => format!("{} by {} {value}", pool.slug, by.name()),
        Attribution::Unknown => "unknown".to_owned(),
    }
}

const SOME: [&str; 9] = [
    "antpool,AntPool,tag,Mined by AntPool,2021-05-17",
    "antpool,AntPool,address,12dRugNcdxK39288NjcDV4GX7rMsKCGn6B,2021-05-17",
    "viabtc,ViaBTC,tag,/ViaBTC/,2021-05-17",
    "f2pool,F2Pool,tag,F2Pool,2021-05-17",
    "f2pool,F2Pool,tag,🐟,2021-05-17",
    "btc-com,BTC.com,tag,/BTC.com/,2021-05-17",
    "btc-com,BTC.com,address,1Bf9sZvBHPFGVPX71WX2njhd1NXKv5y7v5,2021-05-17",
    "bitdeer,Bitdeer,tag,Bitdeer,2021-07-17",
    "ocean,OCEAN,tag,OCEAN.XYZ,2023-12-03",
];
const ANTPOOL: &str = "12dRugNcdxK39288NjcDV4GX7rMsKCGn6B";
const BTC_COM: &str = "1Bf9sZvBHPFGVPX71WX2njhd1NXKv5y7v5";

/// Block 0, by Satoshi Nakamoto: <https://en.bitcoin.it/wiki/Genesis_block>.
const GENESIS: &str = "04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73";
/// Blocks 10000, 670718 and 670828, from the tests of bitcoin-pool-identification 0.3.8.
const ALONE: &str = "04ffff001d026f03";
const OF_BTC_COM: &str = "03fe3b0a04c16b2a6065752f4254432e636f6d2ffabe6d6d5793cfdad17c5272fca204a71fb04e88a5955239c018b8e5186ce838e789f7d4020000008e9b20aa04f5d252bb00000000000000";
const OF_VIABTC: &str = "036c3c0a1c2f5669614254432f4d696e6564206279206c6565686f6f343434342f2cfabe6d6d41f647100ea398435411f0297fd9d798625e1b82c82451f7c6ccb59c0c67ec07100000000000000010d02cfe0845dca9281bb0ee077c090000";

#[test]
fn real_blocks_are_found_by_address_tag_or_not_at_all() {
    let pools = pools(&SOME);
    assert_eq!(found(&pools, &bytes(GENESIS), &["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"]), "unknown");
    assert_eq!(found(&pools, &bytes(ALONE), &[]), "unknown");
    assert_eq!(found(&pools, &bytes(OF_VIABTC), &["18cBEMRxXHqzWWCxZNtU91F5sbUNKhL5PX"]), "viabtc by tag /ViaBTC/");
    assert_eq!(found(&pools, &bytes(OF_BTC_COM), &[]), "btc-com by tag /BTC.com/");
    assert_eq!(found(&pools, &bytes(OF_BTC_COM), &[BTC_COM]), format!("btc-com by address {BTC_COM}"));
    assert_eq!(found(&pools, &[], &[]), "unknown");
    assert_eq!(found(&Pools::default(), &bytes(OF_VIABTC), &[BTC_COM]), "unknown", "nothing is known");
}

#[test]
fn an_address_counts_before_a_tag_and_the_first_known_one() {
    let pools = pools(&SOME);
    // As block 691271, which has Bitdeer's tag and paid to an address of BTC.com.
    assert_eq!(found(&pools, b"\x03\x47\x8c\x0a Bitdeer", &[BTC_COM]), format!("btc-com by address {BTC_COM}"));
    let paid = ["1M1Xw2rczxkF3p3wiNHaTmxvbpZZ7M6vaa", ANTPOOL, BTC_COM];
    assert_eq!(found(&pools, b"/ViaBTC/", &paid), format!("antpool by address {ANTPOOL}"));
    assert_eq!(found(&pools, b"/ViaBTC/", &paid[..1]), "viabtc by tag /ViaBTC/", "an unknown one does not hinder");
    assert_eq!(found(&pools, b"", &[&ANTPOOL.to_lowercase()]), "unknown", "base58 tells cases apart");
}

#[test]
fn tags_are_found_in_any_case_and_between_any_bytes() {
    let pools = pools(&SOME);
    for script in [
        b"Mined by AntPool".to_vec(),
        b"\x03\xc0\xbd\x0e\x1bMined By AntPool955\x15\x00".to_vec(),
        b"\xff\xfeMINED BY ANTPOOL\x80".to_vec(),
        // A start that goes nowhere hides none that follows at once.
        b"Mined by Mined by AntPool".to_vec(),
    ] {
        assert_eq!(found(&pools, &script, &[]), "antpool by tag Mined by AntPool", "{script:?}");
    }
    assert_eq!(found(&pools, b"Mined by AntPoo", &[]), "unknown", "the end of the script cuts it off");
    assert_eq!(found(&pools, b"Mined by Ant\x00Pool", &[]), "unknown");
    // The fish is four bytes, which stand here between halves of other characters.
    assert_eq!(found(&pools, b"\xf0\x9f\xf0\x9f\x90\x9f\x9f", &[]), "f2pool by tag 🐟");
    assert_eq!(found(&pools, b"\xf0\x9f\x90\xa0", &[]), "unknown", "another fish");
}

#[test]
fn of_several_tags_the_first_counts_and_then_the_longest() {
    let pools = pools(&SOME);
    let cases: [(&[u8], &str); 4] = [
        (b"/ViaBTC/Mined by AntPool/", "viabtc by tag /ViaBTC/"),
        (b"Mined by AntPool /ViaBTC/", "antpool by tag Mined by AntPool"),
        (b"< OCEAN.XYZ > no F2Pool", "ocean by tag OCEAN.XYZ"),
        ("\u{1f41f} /F2Pool/".as_bytes(), "f2pool by tag 🐟"),
    ];
    for (script, expected) in cases {
        assert_eq!(found(&pools, script, &[]), expected);
    }
    // No table of facts has such tags; tables that were loaded one by one may.
    let rows = ["a,A,tag,/E2M &,2021-01-01", "b,B,tag,/e2m & BTC.TOP/,2021-01-01", "c,C,tag,BTC.TOP/,2021-01-01"];
    let nested = super::tests::pools(&rows);
    assert_eq!(found(&nested, b"/E2M & BTC.TOP/", &[]), "b by tag /e2m & BTC.TOP/");
    assert_eq!(found(&nested, b"/E2M & BTC.TO", &[]), "a by tag /E2M &");
    assert_eq!(found(&nested, b"/BTC.TOP/", &[]), "c by tag BTC.TOP/");
}

#[test]
fn a_view_knows_the_names_and_owners_of_its_time() {
    // Block 227836, the first whose coinbase begins with its height: <https://github.com/bitcoin/bips/blob/master/bip-0034.mediawiki>.
    let script = bytes("03fc7903062f503253482f04ac204f510858029a11000003550d3363646164312f736c7573682f");
    let facts = facts(&[
        "braiins-pool,Slush Pool,tag,/slush/,2021-05-17",
        "braiins-pool,Slush Pool,address,1CK6KHY6MHgYvmRQ4PAafKYDrg1ejbH1cE,2021-05-17",
        "braiins-pool,Braiins Pool,tag,/Slush/,2023-02-03",
        "ckpool,CKPool,address,1KGbsDDAgJN2HDNBjmMHp9828qATo5B9c9,2021-05-17",
        "mining-kings,MiningKings,address,1KGbsDDAgJN2HDNBjmMHp9828qATo5B9c9,2022-01-01",
        "unknown,Nobody,address,1KGbsDDAgJN2HDNBjmMHp9828qATo5B9c9,2024-01-01",
    ]);
    let corrected = version("antpool,AntPool,tag,/slush/,2021-05-17", 2);
    let facts = facts.with([FactVersion { known_at: at("2025-01-01"), ..corrected }]);
    let moment = |day: &str, batch| Moment { at: at(day), batch };
    let name = |moment: Moment, addresses: &[&str]| {
        let pools = Pools::at(&facts, moment);
        attribute(&pools, &script, addresses.iter().copied()).pool().map(|pool| format!("{} {}", pool.slug, pool.name))
    };
    assert_eq!(name(moment("2021-05-16", 1), &[]), None, "nobody had published it");
    assert_eq!(name(moment("2021-05-17", 1), &[]).unwrap(), "braiins-pool Slush Pool");
    assert_eq!(name(moment("2023-02-03", 1), &[]).unwrap(), "braiins-pool Braiins Pool");
    let old_address = ["1CK6KHY6MHgYvmRQ4PAafKYDrg1ejbH1cE"];
    assert_eq!(name(moment(NOW, 1), &old_address).unwrap(), "braiins-pool Braiins Pool", "one pool, one name");
    assert_eq!(name(moment(NOW, 0), &old_address), None, "nothing was stored");
    assert_eq!(
        name(moment(NOW, 2), &[]).unwrap(),
        "braiins-pool Braiins Pool",
        "a correction of the row of 2021 does not make it the latest"
    );
    let moved = ["1KGbsDDAgJN2HDNBjmMHp9828qATo5B9c9"];
    let owner = |day: &str| {
        let pools = Pools::at(&facts, moment(day, 1));
        attribute(&pools, &[], moved.into_iter()).pool().map(|pool| pool.slug.clone())
    };
    assert_eq!(owner("2021-12-31").as_deref(), Some("ckpool"));
    assert_eq!(owner("2022-01-01").as_deref(), Some("mining-kings"));
    assert_eq!(owner("2024-01-01"), None, "taken back");
    let slugs: Vec<_> = Pools::at(&facts, moment(NOW, 2)).all().iter().map(|pool| pool.slug.clone()).collect();
    assert_eq!(slugs, ["antpool", "braiins-pool", "ckpool", "mining-kings"]);
}

fn assert_close(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-12, "{value} is not {expected}");
}

#[test]
fn the_tally_counts_each_pool_and_states_what_is_unknown() {
    let pools = pools(&SOME);
    let [antpool, viabtc] = ["antpool", "viabtc"].map(|slug| pools.all().iter().find(|pool| pool.slug == slug));
    let mut tally = PoolTally::default();
    for (pool, reward) in [
        (viabtc, 312_500_000),
        (antpool, 313_000_001),
        (None, 314_000_000),
        (antpool, 312_999_999),
        (viabtc, 320_000_000),
        (antpool, 1),
        (None, 0),
        (viabtc, 2),
    ] {
        tally.add_block(pool, reward);
    }
    tally.add_spend(antpool, 625_000_000);
    tally.add_spend(None, 5_000_000_000);
    tally.add_spend(pools.all().first(), 0);
    let rows = tally.rows();
    let seen: Vec<_> = rows
        .iter()
        .map(|row| (row.pool.map(|pool| pool.slug.as_str()), row.blocks, row.reward_satoshi, row.spent_satoshi))
        .collect();
    assert_eq!(
        seen,
        [
            (Some("antpool"), 3, 626_000_001, 625_000_000),
            (Some("viabtc"), 3, 632_500_002, 0),
            (None, 2, 314_000_000, 5_000_000_000),
        ]
    );
    let shares: Vec<_> = rows.iter().map(|row| row.share.unwrap().value).collect();
    assert_eq!(shares, [0.375, 0.375, 0.25]);
    let unknown = rows[2].share.unwrap();
    assert_eq!(Some((unknown.low, unknown.high)), wilson_interval(2, 8));
}

#[test]
fn without_a_block_there_is_no_share() {
    let pools = pools(&SOME);
    let mut tally = PoolTally::default();
    let nothing = PoolRow { pool: None, blocks: 0, share: None, reward_satoshi: 0, spent_satoshi: 0 };
    assert_eq!(tally.rows(), [nothing]);
    tally.add_spend(pools.all().first(), 7);
    assert_eq!(tally.rows(), [PoolRow { pool: pools.all().first(), spent_satoshi: 7, ..nothing }, nothing]);
    tally.add_block(pools.all().first(), 9);
    let rows = tally.rows();
    assert_eq!(rows[0].share.unwrap().value, 1.0);
    assert_eq!(rows[1].share.unwrap().value, 0.0, "a pool of all blocks leaves none unknown");
}

#[test]
fn intervals_are_those_of_the_source() {
    // Newcombe (1998), table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    let cases = [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        // By hand, with z² = 3.841459: the centre is (0.277778 + 0.013338) / 1.026677 = 0.283552, the half
        // width 1.959964 * √(0.001393175 + 0.000046314) / 1.026677 = 0.072430.
        (40, 144, 0.2111, 0.3560),
    ];
    for (found, all, low, high) in cases {
        let interval = wilson_interval(found, all).unwrap();
        assert!((interval.0 - low).abs() < 5e-5 && (interval.1 - high).abs() < 5e-5, "{found} of {all}: {interval:?}");
    }
    let squared = NORMAL_97_5 * NORMAL_97_5;
    for all in [1, 144, 52_560] {
        let tries = all as f64;
        // With nothing found the formula is z² / (n + z²), with half ½ ± z / 2√(n + z²).
        let (low, high) = wilson_interval(0, all).unwrap();
        assert_eq!(low, 0.0);
        assert_close(high, squared / (tries + squared));
        let (low, high) = wilson_interval(all, all).unwrap();
        assert_close(low, tries / (tries + squared));
        assert_eq!(high, 1.0);
        let (low, high) = wilson_interval(all, 2 * all).unwrap();
        assert_close(high - 0.5, NORMAL_97_5 / 2.0 / (2.0 * tries + squared).sqrt());
        assert_close(low + high, 1.0);
    }
    assert_eq!(wilson_interval(0, 0), None);
}
