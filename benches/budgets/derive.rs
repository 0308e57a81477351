//! Deriving everything from the full history, and a new day at its tip.

use std::hint::black_box;
use std::time::Duration;

use miner_signals::domain::facts::Facts;
use miner_signals::domain::indicators::statistics::Scratch;
use miner_signals::domain::network::{NetworkHistory, NetworkMetric, NetworkView};
use miner_signals::domain::observation::{Moment, SeriesLog};
use miner_signals::domain::rules::{RuleBook, SourceRulesVersion};
use miner_signals::domain::time::Timestamp;
use miner_signals::store::rule::shipped_source_rules;

use super::history;
use super::report::Finding;
use super::timing::{Ratio, least_time, show};

const RUNS: usize = 25;
const EVERYTHING: Duration = Duration::from_millis(50);
const TIP: Duration = Duration::from_millis(1);

pub fn measure() -> Vec<Finding> {
    let logs = history::daily_logs();
    let rules =
        SourceRulesVersion { version: 1, effective_at: Timestamp::MIN, batch: 0, rules: shipped_source_rules() };
    let rules = RuleBook::new(vec![rules]).expect("there is one version");
    let facts = history::facts();
    let moment = Moment { at: history::end().start(), batch: 1 };
    let pass = least_time(RUNS, || {
        black_box(pass_over(&logs, moment));
    });
    let everything = least_time(RUNS, || {
        black_box(derive_everything(&logs, &rules, &facts, moment));
    });
    let history = NetworkHistory::new(logs.iter(), &rules, &facts, moment);
    let view = history.view(moment);
    let mut scratch = Scratch::default();
    let tip = least_time(RUNS, || {
        black_box(derive_day(&view, history.days() - 2, &mut scratch));
    });
    let whole_tip = least_time(RUNS, || {
        let history = NetworkHistory::new(logs.iter(), &rules, &facts, moment);
        let mut values = 0.0;
        for metric in NetworkMetric::ALL {
            let value = history.value_at(metric, history.days() - 2, moment, &mut scratch);
            values += value.unwrap_or_default();
        }
        black_box(values);
    });
    let metrics = NetworkMetric::ALL.len();
    vec![
        Finding {
            work: format!("derive everything: {metrics} metrics on {} days", history.days()),
            limit: format!("one pass over the columns: {}", show(pass)),
            measured: show(everything),
            ratio: Some(Ratio::of(&[everything.as_secs_f64()], &[pass.as_secs_f64()])),
            target: "< 50 ms".to_owned(),
            met: Some(everything < EVERYTHING),
        },
        Finding {
            work: "a new day at the tip, every metric".to_owned(),
            limit: "–".to_owned(),
            measured: show(tip),
            ratio: None,
            target: "< 1 ms".to_owned(),
            met: Some(tip < TIP),
        },
        Finding {
            work: "the same from the stored logs: history laid out, a year's view for each metric".to_owned(),
            limit: "–".to_owned(),
            measured: show(whole_tip),
            ratio: None,
            target: "–".to_owned(),
            met: None,
        },
    ]
}

/// The sum of every daily value that a view holds: the least that reading the columns costs.
fn pass_over(logs: &[SeriesLog], moment: Moment) -> f64 {
    logs.iter().flat_map(|log| log.periods().filter_map(|period| period.value(moment))).sum()
}

fn derive_everything(logs: &[SeriesLog], rules: &RuleBook, facts: &Facts, moment: Moment) -> f64 {
    let history = NetworkHistory::new(logs.iter(), rules, facts, moment);
    let view = history.view(moment);
    let mut scratch = Scratch::default();
    (0..history.days()).map(|day| derive_day(&view, day, &mut scratch)).sum()
}

fn derive_day(view: &NetworkView<'_, '_>, day: usize, scratch: &mut Scratch) -> f64 {
    let value = |metric| view.value(metric, day, scratch).unwrap_or_default();
    NetworkMetric::ALL.into_iter().map(value).sum()
}
