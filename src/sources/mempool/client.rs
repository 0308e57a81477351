//! What a mempool server is asked, in which order.

use url::Url;

use super::super::feed::{Answer, Ask, Feed, Unusable, Window};
use super::super::{Normalized, Refused, address};
use super::normalize::{self, SOURCE};
use super::wire::{self, parse};
use crate::domain::indicators::difficulty::RETARGET_BLOCKS;
use crate::domain::time::Timestamp;

/// Rows that three days of blocks cannot have: a server that does not know an interval answers with
/// the whole history.
const TOO_MANY_ROWS: usize = 2_000;

/// Daily observations: hashrate, and what the blocks of the last days came to. Also the headers of the
/// epoch's first block and of those below it: the tip shows them only while they are among the newest.
#[derive(Debug, Clone)]
pub struct Days {
    base: Url,
}

/// Hourly observations from the newest blocks, their headers, and the price at the last full hour.
#[derive(Debug, Clone)]
pub struct Tip {
    base: Url,
}

const DAYS: [&str; 4] = [
    "v1/mining/hashrate/1m",
    "v1/mining/blocks/fees/3d",
    "v1/mining/blocks/rewards/3d",
    "v1/mining/difficulty-adjustments/3m",
];

const TIP: [&str; 3] = ["v1/blocks", "v1/difficulty-adjustment", "v1/prices"];

impl Days {
    #[must_use]
    pub const fn new(base: Url) -> Self {
        Self { base }
    }
}

impl Tip {
    #[must_use]
    pub const fn new(base: Url) -> Self {
        Self { base }
    }
}

impl Feed for Days {
    fn source(&self) -> &'static str {
        SOURCE
    }

    fn name(&self) -> &'static str {
        "days"
    }

    fn ask(&self, _window: Window, answers: &[Answer]) -> Result<Option<Ask>, Unusable> {
        let path = match answers {
            [.., retargets] if answers.len() == DAYS.len() => {
                epoch_start(&parse::<Vec<wire::Retarget>>(&retargets.body)?).map(|height| format!("v1/blocks/{height}"))
            }
            _ => DAYS.get(answers.len()).map(|path| (*path).to_owned()),
        };
        Ok(path.map(|path| Ask::open(address(&self.base, &path, &[]))))
    }

    fn normalize(&self, window: Window, answers: &[Answer], now: Timestamp) -> Result<Normalized, Unusable> {
        let (answers, page) = answers.split_at(answers.len().min(DAYS.len()));
        let [hashrates, fees, rewards, retargets] = whole(answers)?;
        let fees = blocks(parse::<Vec<wire::Fees>>(fees)?)?;
        let rewards = blocks(parse::<Vec<wire::Rewards>>(rewards)?)?;
        let retargets = parse::<Vec<wire::Retarget>>(retargets)?;
        let of_hashrate = normalize::hashrates(&parse(hashrates)?, window, now);
        let of_days = normalize::days(&fees, &rewards, &retargets, window, now);
        let headers = match page {
            [] => Normalized::default(),
            page => {
                let [page] = whole(page)?;
                // What the other answers say does not depend on this one.
                match parse::<Vec<wire::Block>>(page).and_then(blocks) {
                    Ok(page) => normalize::headers(&page, now),
                    Err(unusable) => Normalized {
                        refused: vec![Refused { metric: None, reason: "bad_block", detail: unusable.to_string() }],
                        ..Normalized::default()
                    },
                }
            }
        };
        Ok(together([of_hashrate, of_days, headers]))
    }
}

impl Feed for Tip {
    fn source(&self) -> &'static str {
        SOURCE
    }

    fn name(&self) -> &'static str {
        "tip"
    }

    fn ask(&self, _window: Window, answers: &[Answer]) -> Result<Option<Ask>, Unusable> {
        Ok(TIP.get(answers.len()).map(|path| Ask::open(address(&self.base, path, &[]))))
    }

    fn normalize(&self, window: Window, answers: &[Answer], now: Timestamp) -> Result<Normalized, Unusable> {
        let [blocks, adjustment, prices] = whole(answers)?;
        let blocks = self::blocks(parse::<Vec<wire::Block>>(blocks)?)?;
        let hours = normalize::hours(&blocks, &parse(adjustment)?, window, now);
        Ok(together([hours, normalize::price(&parse(prices)?, window, now)]))
    }
}

/// The bodies of a run's answers, if all of them are there.
fn whole<const COUNT: usize>(answers: &[Answer]) -> Result<[&[u8]; COUNT], Unusable> {
    let bodies: Vec<&[u8]> = answers.iter().map(|answer| answer.body.as_ref()).collect();
    let count = bodies.len();
    bodies.try_into().map_err(|_| Unusable::BadBody(format!("{count} answers where {COUNT} are expected")))
}

fn blocks<Row>(rows: Vec<Row>) -> Result<Vec<Row>, Unusable> {
    if rows.len() > TOO_MANY_ROWS {
        return Err(Unusable::BadBody(format!("{} rows, more than {TOO_MANY_ROWS} for a few days", rows.len())));
    }
    Ok(rows)
}

fn together<const COUNT: usize>(parts: [Normalized; COUNT]) -> Normalized {
    parts.into_iter().fold(Normalized::default(), |mut all, part| {
        all.arrivals.extend(part.arrivals);
        all.headers.extend(part.headers);
        all.refused.extend(part.refused);
        all
    })
}

/// The height of the newest retarget in the list; `None` if it names none.
fn epoch_start(retargets: &[wire::Retarget]) -> Option<u64> {
    let heights = retargets.iter().filter_map(|row| row.get(1)?.whole());
    heights.filter(|height| height.is_multiple_of(u64::from(RETARGET_BLOCKS))).max()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::super::super::candles::tests::window;
    use super::*;
    use crate::domain::append::Arrival;
    use crate::domain::chain::{Header, parse_block_hash};

    /// 2030-01-01T00:00:00Z.
    const NEW_YEAR: i64 = 1_893_456_000;
    const HOUR: i64 = 3_600;

    fn answers(bodies: &[&str]) -> Vec<Answer> {
        let address = Url::parse("http://node.test").unwrap();
        bodies.iter().map(|body| Answer { address: address.clone(), body: (*body).to_owned().into() }).collect()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn shown(arrivals: &[Arrival]) -> Vec<(&'static str, String, f64)> {
        let show = |arrival: &Arrival| {
            (arrival.key.metric.slug, arrival.period_start.to_string(), arrival.incoming.reading.value().unwrap())
        };
        arrivals.iter().map(show).collect()
    }

    fn reasons(normalized: &Normalized) -> Vec<&'static str> {
        normalized.refused.iter().map(|refused| refused.reason).collect()
    }

    const HASHRATES: &str = include_str!("../../../tests/fixtures/mempool/hashrate.json");
    const RETARGETS: &str = "[[1893400000,2016,2.5e14,1.05],[1890000000,0,2e14,1]]";

    /// A block every two hours from 2029-12-31T01:00Z, from height 2005 on, in both lists, oldest
    /// last; without the heights in `without`.
    fn lists(without: &[u64]) -> (String, String) {
        let (mut fees, mut rewards) = (String::from("["), String::from("["));
        for index in (0..42).rev().filter(|index| !without.contains(&(2005 + index))) {
            let (height, time) = (2005 + index, NEW_YEAR - 23 * HOUR + 2 * HOUR * i64::try_from(index).unwrap());
            write!(fees, r#"{{"avgHeight":{height},"timestamp":{time},"avgFees":{},"USD":9}},"#, 10 + index).unwrap();
            write!(rewards, r#"{{"avgHeight":{height},"timestamp":{time},"avgRewards":{}}},"#, 312_500_010 + index)
                .unwrap();
        }
        (format!("{}]", fees.trim_end_matches(',')), format!("{}]", rewards.trim_end_matches(',')))
    }

    fn days(hashrates: &str, fees: &str, rewards: &str) -> Result<Normalized, Unusable> {
        let days = Days::new(Url::parse("http://node.test/api").unwrap());
        let answers = answers(&[hashrates, fees, rewards, RETARGETS]);
        days.normalize(window("2029-12-01", "2030-02-01"), &answers, at("2030-01-03T12:00:00Z"))
    }

    #[test]
    fn days_are_asked_for_in_order() {
        let feed = Days::new(Url::parse("http://node.test/api/").unwrap());
        let mut asked = Vec::new();
        let window = window("2030-01-01", "2030-01-02");
        while let Some(ask) = feed.ask(window, &answers(&vec![RETARGETS; asked.len()])).unwrap() {
            asked.push(ask.address.path().to_owned());
        }
        let expected = [
            "/api/v1/mining/hashrate/1m",
            "/api/v1/mining/blocks/fees/3d",
            "/api/v1/mining/blocks/rewards/3d",
            "/api/v1/mining/difficulty-adjustments/3m",
            "/api/v1/blocks/2016",
        ];
        assert_eq!(asked, expected);
        for nothing in ["[]", "[[1,2,3,4],[],[null,null]]"] {
            assert_eq!(feed.ask(window, &answers(&[nothing; 4])), Ok(None), "{nothing}");
        }
        assert_eq!(feed.ask(window, &answers(&["<"; 4])).unwrap_err().code(), "bad_body");
    }

    #[test]
    fn a_hashrate_stands_at_the_end_of_its_day_and_zero_is_none() {
        let normalized = days(HASHRATES, "[]", "[]").unwrap();
        let expected = [
            ("hashrate_h_per_s", "2029-12-31T00:00:00Z".to_owned(), 1.236_499_762_108_771_8e21),
            ("hashrate_h_per_s", "2030-01-01T00:00:00Z".to_owned(), 1.2e21),
        ];
        assert_eq!(shown(&normalized.arrivals), expected);
        assert_eq!(reasons(&normalized), ["node_down", "bad_time", "in_future", "not_a_number"]);
    }

    #[test]
    fn whole_days_are_summed_in_satoshi() {
        let (fees, rewards) = lists(&[]);
        let normalized = days(r#"{"hashrates":[]}"#, &fees, &rewards).unwrap();
        assert_eq!(reasons(&normalized), [""; 0]);
        // The first day lacks blocks before it; the day of the newest block is not over. Of 1 and 2
        // January, indices 12 to 23 and 24 to 35: fees 10 + index, coins 3.125 a block.
        let of_day = |day: &str| -> Vec<_> {
            let all = shown(&normalized.arrivals);
            all.into_iter()
                .filter(|(_, start, _)| start.starts_with(day))
                .map(|(slug, _, value)| (slug, value))
                .collect()
        };
        let expected =
            |fees| [("block_count", 12.0), ("fees_btc", fees), ("issuance_btc", 37.5), ("difficulty", 2.5e14)];
        assert_eq!(of_day("2030-01-01"), expected(0.000_003_30)); // 12 * 10 + (12 + … + 23) = 330 satoshi
        assert_eq!(of_day("2030-01-02"), expected(0.000_004_74)); // 12 * 10 + (24 + … + 35) = 474 satoshi
        assert_eq!(normalized.arrivals.len(), 8);
    }

    #[test]
    fn a_day_with_a_hole_is_refused_and_says_so() {
        let (fees, rewards) = lists(&[2031]); // index 26, on 2 January and more than the margin after the 1st
        let (_, all_rewards) = lists(&[]);
        for rewards in [rewards, all_rewards] {
            let normalized = days(r#"{"hashrates":[]}"#, &fees, &rewards).unwrap();
            assert_eq!(reasons(&normalized).first(), Some(&"incomplete_day"));
            assert!(shown(&normalized.arrivals).iter().all(|(_, start, _)| !start.starts_with("2030-01-02")));
        }
    }

    #[test]
    fn a_height_with_two_amounts_is_no_block() {
        let (fees, rewards) = lists(&[]);
        let twice = fees.replacen('[', r#"[{"avgHeight":2035,"timestamp":1,"avgFees":1},"#, 1);
        let normalized = days(r#"{"hashrates":[]}"#, &twice, &rewards).unwrap();
        assert!(reasons(&normalized).contains(&"conflicting_height"));
        assert!(reasons(&normalized).contains(&"incomplete_day"));
        let below_fees = rewards.replace("312500044", "7");
        assert!(reasons(&days(r#"{"hashrates":[]}"#, &fees, &below_fees).unwrap()).contains(&"bad_block"));
    }

    #[test]
    fn errors_and_nonsense_are_told_apart() {
        let error = r#"{"error":"no such interval"}"#;
        assert_eq!(days(error, "[]", "[]"), Err(Unusable::Refused("no such interval".to_owned())));
        assert_eq!(days("[]", "[]", "[]").unwrap_err().code(), "bad_body");
        assert_eq!(days(HASHRATES, "[{", "[]").unwrap_err().code(), "bad_body");
        let history = format!("[{}]", vec!["{}"; TOO_MANY_ROWS + 1].join(","));
        assert_eq!(days(HASHRATES, &history, "[]").unwrap_err().code(), "bad_body");
        assert_eq!(reasons(&days(r#"{"hashrates":[]}"#, "[{}]", r#"[{"avgHeight":-1}]"#).unwrap()), ["bad_block"; 2]);
        let feed = Days::new(Url::parse("http://node.test").unwrap());
        assert!(feed.normalize(window("2030-01-01", "2030-01-02"), &answers(&["{}"]), at("2030-01-03")).is_err());
    }

    /// The hash of a block, with its height in decimal digits.
    fn id(height: u32) -> String {
        format!("{:0>63}{height}", "b").split_off(height.to_string().len() - 1)
    }

    /// Fifteen blocks, newest first: heights 4020 to 4034, at these minutes after new year.
    fn tip_blocks(minutes: [i64; 15], change: impl Fn(u32, String) -> String) -> String {
        let blocks: Vec<String> = (4020_u32..4035)
            .zip(minutes)
            .map(|(height, minute)| {
                let time = NEW_YEAR + 60 * minute;
                let block = format!(
                    r#"{{"id":"{}","height":{height},"timestamp":{time},"difficulty":250000000000000.5,
                    "previousblockhash":"{}","extras":{{"totalFees":1000000,"reward":313500000}}}}"#,
                    id(height),
                    id(height - 1)
                );
                change(height, block)
            })
            .rev()
            .collect();
        format!("[{}]", blocks.join(","))
    }

    /// One block before 01:00, three in the hour after it, none from 02:00 to 03:00.
    const MINUTES: [i64; 15] = [59, 65, 70, 119, 180, 185, 190, 191, 192, 193, 194, 195, 196, 197, 198];
    const ADJUSTMENT: &str = r#"{"nextRetargetHeight":6048,"remainingBlocks":2014,"difficultyChange":1}"#;

    fn tip(blocks: &str, adjustment: &str, prices: &str) -> Normalized {
        let feed = Tip::new(Url::parse("http://node.test/api").unwrap());
        let answers = answers(&[blocks, adjustment, prices]);
        feed.normalize(window("2030-01-01", "2030-01-02"), &answers, at("2030-01-01T03:20:00Z")).unwrap()
    }

    const PRICES: &str = r#"{"time":1893466980,"USD":250120,"EUR":-1}"#; // 03:03

    #[test]
    fn whole_hours_and_the_price_at_their_end() {
        let normalized = tip(&tip_blocks(MINUTES, |_, block| block), ADJUSTMENT, PRICES);
        assert_eq!(reasons(&normalized), [""; 0]);
        let hour = |hour: &str| format!("2030-01-01T{hour}:00:00Z");
        let expected = [
            ("block_count", hour("01"), 3.0),
            ("fees_btc", hour("01"), 0.03),
            ("issuance_btc", hour("01"), 9.375),
            ("difficulty", hour("01"), 250_000_000_000_000.5),
            ("block_count", hour("02"), 0.0),
            ("fees_btc", hour("02"), 0.0),
            ("issuance_btc", hour("02"), 0.0),
            ("price_usd", hour("02"), 250_120.0),
        ];
        assert_eq!(shown(&normalized.arrivals), expected);
    }

    #[test]
    fn blocks_that_are_not_one_chain_are_not_used() {
        let reasons_of = |change: fn(u32, String) -> String| {
            let normalized = tip(&tip_blocks(MINUTES, change), ADJUSTMENT, r#"{"time":1893459600,"USD":250120}"#);
            assert_eq!(shown(&normalized.arrivals).len(), 1, "the price does not depend on the blocks");
            reasons(&normalized)
        };
        assert_eq!(reasons_of(|height, block| if height == 4025 { "{}".to_owned() } else { block }), ["bad_block"]);
        let gap = |height, block: String| {
            if height == 4025 { block.replace(r#""height":4025"#, r#""height":4024"#) } else { block }
        };
        assert_eq!(reasons_of(gap), ["conflicting_height"]);
        let fork = |height, block: String| if height == 4025 { block.replace("b4025", "c4025") } else { block };
        assert_eq!(reasons_of(fork), ["broken_chain"]);
        let twice = |height, block: String| {
            if height == 4025 { block.replace("4025", "4024") } else { block }
        };
        assert_eq!(reasons_of(twice), ["height_gap"]);
    }

    #[test]
    fn newest_blocks_that_are_one_chain_give_their_headers() {
        let with_bits = |_, block: String| block.replace("250000000000000.5", r#"53911173001054.6,"bits":386218132"#);
        let headers = tip(&tip_blocks(MINUTES, with_bits), ADJUSTMENT, PRICES).headers;
        assert_eq!(headers.len(), 15);
        let first = Header {
            hash: parse_block_hash(&id(4020)).unwrap(),
            previous: parse_block_hash(&id(4019)).unwrap(),
            height: 4020,
            time: at("2030-01-01T00:59:00Z"),
            bits: Some(0x1705_3894),
            difficulty: headers[0].difficulty,
            found_by: None,
        };
        assert_eq!(headers[0], first);
        assert!((first.difficulty - 53_911_173_001_054.59).abs() < 0.01, "with all its digits");
        let plain = tip(&tip_blocks(MINUTES, |_, block| block), ADJUSTMENT, PRICES).headers;
        assert_eq!((plain[14].height, plain[14].bits, plain[14].difficulty), (4034, None, 250_000_000_000_000.5));
        let another_tip = r#"{"nextRetargetHeight":6048,"remainingBlocks":2000}"#;
        assert_eq!(tip(&tip_blocks(MINUTES, |_, block| block), another_tip, PRICES).headers, []);
    }

    #[test]
    fn a_header_that_cannot_be_right_spoils_its_page() {
        let reasons_of = |from: &'static str, to: &'static str| {
            let change = move |height, block: String| if height == 4027 { block.replace(from, to) } else { block };
            let normalized = normalize::headers(
                &parse::<Vec<wire::Block>>(tip_blocks(MINUTES, change).as_bytes()).unwrap(),
                at("2030-01-01T03:20:00Z"),
            );
            assert!(normalized.headers.is_empty() && normalized.arrivals.is_empty());
            reasons(&normalized)
        };
        let number = "250000000000000.5";
        assert_eq!(reasons_of("1893467460", "1893475201"), ["in_future"], "two hours and a second ahead");
        assert_eq!(reasons_of("1893467460", "-1"), ["bad_time"]);
        assert_eq!(reasons_of("1893467460", "null"), ["bad_time"]);
        assert_eq!(reasons_of(number, "0"), ["not_a_number"]);
        assert_eq!(reasons_of(number, r#""NaN""#), ["not_a_number"]);
        assert_eq!(reasons_of(number, r#"53911173001054.6,"bits":386218133"#), ["difficulty_not_of_bits"]);
        assert_eq!(reasons_of(number, r#"53911173001054.6,"bits":-1"#), ["bad_bits"]);
        assert_eq!(reasons_of(number, r#"53911173001054.6,"bits":377487360"#), ["bad_bits"], "a target of zero");
        assert_eq!(reasons_of("b4026", "x4026"), ["broken_chain"]);
        assert_eq!(reasons_of(r#""height":4027"#, r#""height":5027"#), ["height_gap"]);
    }

    #[test]
    fn hashes_and_heights_of_headers_are_checked() {
        let reasons_of = |block: &str| {
            let blocks = parse::<Vec<wire::Block>>(format!("[{block}]").as_bytes()).unwrap();
            let normalized = normalize::headers(&blocks, at("2030-01-01T03:20:00Z"));
            (normalized.headers.len(), reasons(&normalized))
        };
        let block = |height: u64, id: &str, previous: &str| {
            let rest = r#""timestamp":1893460000,"difficulty":1"#;
            format!(r#"{{"id":"{id}","previousblockhash":{previous},"height":{height},{rest}}}"#)
        };
        let (good, below) = (id(7), format!("\"{}\"", id(6)));
        assert_eq!(reasons_of(&block(7, &good, &below)), (1, vec![]));
        assert_eq!(reasons_of(&block(7, &good[1..], &below)), (0, vec!["bad_hash"]));
        assert_eq!(reasons_of(&block(7, &good.replace('b', "g"), &below)), (0, vec!["bad_hash"]));
        assert_eq!(reasons_of(&block(7, &good, "null")), (0, vec!["bad_hash"]));
        assert_eq!(reasons_of(&block(0, &good, "null")), (1, vec![]), "the first block has none below");
        // 662,461,495 seconds after the first block there are at most 2,208,204 blocks.
        assert_eq!(reasons_of(&block(2_208_204, &good, &below)), (1, vec![]));
        assert_eq!(reasons_of(&block(2_208_205, &good, &below)), (0, vec!["implausible_height"]));
        assert_eq!(reasons_of(&block(1 << 40, &good, &below)), (0, vec!["implausible_height"]));
    }

    #[test]
    fn the_page_of_the_retarget_gives_headers_and_no_values() {
        let days = |page: &[&str]| {
            let feed = Days::new(Url::parse("http://node.test/api").unwrap());
            let bodies = [&[r#"{"hashrates":[]}"#, "[]", "[]", RETARGETS], page].concat();
            feed.normalize(window("2029-12-01", "2030-02-01"), &answers(&bodies), at("2030-01-03T12:00:00Z"))
        };
        let page = tip_blocks(MINUTES, |_, block| block);
        let normalized = days(&[&page]).unwrap();
        assert_eq!((normalized.headers.len(), normalized.arrivals.len(), reasons(&normalized)), (15, 0, vec![]));
        assert_eq!(days(&[&page.replace("b4025", "c4025")]).unwrap().headers.len(), 15, "in both places");
        let broken = page.replacen("b4025", "c4025", 1);
        assert_eq!(
            (days(&[&broken]).unwrap().headers, reasons(&days(&[&broken]).unwrap())),
            (vec![], vec!["broken_chain"])
        );
        assert_eq!(days(&[]).unwrap().headers, []);
        let without = days(&[r#"{"error":"gone"}"#]).unwrap();
        assert_eq!((without.headers.len(), reasons(&without)), (0, vec!["bad_block"]), "the other answers stand");
        assert!(days(&[&page, &page]).is_err());
    }

    #[test]
    fn a_block_without_numbers_spoils_its_hour_only() {
        let blocks = tip_blocks(
            MINUTES,
            |height, block| {
                if height == 4022 { block.replace("313500000", "\"?\"") } else { block }
            },
        );
        let normalized = tip(&blocks, ADJUSTMENT, PRICES);
        assert_eq!(reasons(&normalized), ["bad_block", "incomplete_hour"]);
        assert_eq!(shown(&normalized.arrivals)[0].1, "2030-01-01T02:00:00Z");
    }

    #[test]
    fn the_tip_must_be_that_of_the_adjustment() {
        let with = |adjustment: &str| reasons(&tip(&tip_blocks(MINUTES, |_, block| block), adjustment, PRICES));
        assert_eq!(with(r#"{"nextRetargetHeight":"6048","remainingBlocks":"2012"}"#), [""; 0], "two blocks later");
        assert_eq!(with(r#"{"nextRetargetHeight":6048,"remainingBlocks":2000}"#), ["inconsistent_tip"]);
        assert_eq!(with(r#"{"nextRetargetHeight":6049,"remainingBlocks":2015}"#), ["inconsistent_tip"]);
        assert_eq!(with(r#"{"nextRetargetHeight":1,"remainingBlocks":2}"#), ["bad_adjustment"]);
        assert_eq!(with(r#"{"nextRetargetHeight":null,"remainingBlocks":2}"#), ["bad_adjustment"]);
    }

    #[test]
    fn a_price_counts_within_ten_minutes_after_the_hour() {
        let price = |time: i64, usd: &str| {
            let normalized = tip("[]", ADJUSTMENT, &format!(r#"{{"time":{time},"USD":{usd}}}"#));
            (normalized.arrivals.len(), reasons(&normalized))
        };
        assert_eq!(price(NEW_YEAR + 2 * HOUR + 600, "5"), (1, vec![]));
        assert_eq!(price(NEW_YEAR + 2 * HOUR + 601, "5"), (0, vec![]));
        assert_eq!(price(NEW_YEAR + 2 * HOUR, "-1"), (0, vec!["out_of_range"]));
        assert_eq!(price(NEW_YEAR + 2 * HOUR, "0"), (0, vec!["out_of_range"]));
        assert_eq!(price(NEW_YEAR + 2 * HOUR, "null"), (0, vec!["not_a_number"]));
        assert_eq!(price(NEW_YEAR + 9 * HOUR, "5"), (0, vec!["in_future"]));
        assert_eq!(price(-7, "5"), (0, vec!["bad_time"]));
        assert_eq!(price(60, "5"), (0, vec![]));
    }
}
