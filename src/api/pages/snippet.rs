//! Lines that read what a page shows, to be copied and run as they are.
//!
//! `tests/contract/run_snippets.py` does that with every one of them.

/// A line for one tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// The tool, as a heading: `curl`.
    pub tool: &'static str,
    /// The name of the element with the line, for the button that copies it.
    pub id: String,
    pub line: String,
}

/// The lines that read a series; `query` is without the question mark.
///
/// The address is between quotes in all of them, and neither a host nor a query, which is
/// percent-encoded, has quotes itself.
#[must_use]
pub fn of_series(origin: &str, slug: &str, query: &str) -> Vec<Snippet> {
    let question = if query.is_empty() { "" } else { "?" };
    let address = format!("{origin}/v1/series/{slug}.csv{question}{query}");
    let snippet = |tool: &'static str, line: String| Snippet { tool, id: tool.to_lowercase(), line };
    vec![
        snippet("curl", format!("curl -fsS '{address}'")),
        snippet(
            "pandas",
            format!(
                "import pandas as pd; \
                 frame = pd.read_csv(\"{address}\", parse_dates=[\"date\", \"period_end\", \"known_at\"])"
            ),
        ),
        snippet("DuckDB", format!("select date, value, known_at, source from '{address}' order by date;")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_the_whole_address() {
        let lines = of_series("http://127.0.0.1:8080", "price_usd", "start=-30d&as_of=2024-12-02T00:00:00Z");
        let address = "http://127.0.0.1:8080/v1/series/price_usd.csv?start=-30d&as_of=2024-12-02T00:00:00Z";
        assert_eq!(lines.iter().map(|snippet| snippet.id.as_str()).collect::<Vec<_>>(), ["curl", "pandas", "duckdb"]);
        assert!(lines.iter().all(|snippet| snippet.line.contains(address) && !snippet.line.contains('\n')));
        assert!(of_series("http://h", "price_usd", "")[0].line.ends_with("/price_usd.csv'"));
    }
}
