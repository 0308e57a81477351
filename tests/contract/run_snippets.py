"""Runs every line that pages and documents offer to be copied, as it is written, against a served API.

    run_snippets.py BASE_URL

- the curl, pandas and DuckDB lines on the page of every metric, for several ranges and moments: all
  three must read the same rows, and those that the page says it shows;
- the same lines in the Markdown twins;
- `$ curl` lines, and the blocks for Python and SQL, in README.md and docs/: their address is that of
  a demo, so there, and only there, it is replaced by BASE_URL.

A line of a document must answer; the numbers of a demo are not compared. Exits with 1 at the first
line that does not do what it says.
"""

import contextlib
import html
import io
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import duckdb
import duckdb_extension_httpfs
import pandas

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTED = "http://127.0.0.1:8080"
# What a reader may choose on the page of a metric; the last two as the form itself writes them.
CHOICES = ["", "range=30d", "range=all", "range=90d&as_of={past}T00%3A00%3A00", "range=custom&start={start}&end={past}"]
SNIPPET = re.compile(r'<pre tabindex="0"[^>]*><code id="(\w+)">(.*?)</code></pre>', re.S)
COUNT = re.compile(r"The last \d+ of (\d+) rows")


def fetch(url):
    with urllib.request.urlopen(url, timeout=30) as response:
        return response.read().decode()


def connect():
    """DuckDB with httpfs from PyPI: the server of its extensions may be out of reach."""
    connection = duckdb.connect()
    [extension] = Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")
    return connection


def run_curl(line):
    """The rows that the shell gives for a line, as dictionaries of text."""
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{line}: {done.stderr}"
    return done.stdout


def run_pandas(line):
    names = {}
    exec(line, names)  # noqa: S102: the line is what is tested
    return names["frame"]


def run_line(connection, tool, line):
    """(date, value) of each row that a line reads; the value is None where there is none."""
    if tool == "curl":
        frame = pandas.read_csv(io.StringIO(run_curl(line)), parse_dates=["date"])
    elif tool == "pandas":
        frame = run_pandas(line)
        assert len(frame) == 0 or frame["known_at"].dtype.kind == "M", f"{line}: known_at is {frame['known_at'].dtype}"
    else:
        relation = connection.sql(line).project("date::varchar as date, value")
        frame = pandas.DataFrame(relation.fetchall(), columns=relation.columns)
    dates = pandas.to_datetime(frame["date"], utc=True).dt.strftime("%Y-%m-%dT%H:%M:%S")
    values = pandas.to_numeric(frame["value"])
    return [(date, None if pandas.isna(value) else value) for date, value in zip(dates, values, strict=True)]


def run_page(connection, url):
    page = fetch(url)
    lines = [(tool, html.unescape(line)) for tool, line in SNIPPET.findall(page)]
    assert [tool for tool, _ in lines] == ["curl", "pandas", "duckdb"], f"{url}: {lines}"
    shown = int(COUNT.search(page)[1])
    read = {tool: run_line(connection, tool, line) for tool, line in lines}
    for tool, rows in read.items():
        assert len(rows) == shown, f"{url}: {tool} reads {len(rows)} rows, the page shows {shown}"
        assert rows == read["curl"], f"{url}: {tool} reads other values than curl"
    return len(lines), shown


def run_twin(connection, url):
    blocks = re.findall(r"\n(curl|pandas|DuckDB):\n\n```\n(.*?)\n```", fetch(url))
    assert len(blocks) == 3, f"{url}: {blocks}"
    read = [run_line(connection, tool.lower(), line) for tool, line in blocks]
    assert read[0] == read[1] == read[2], f"{url}: the tools read other rows"
    return len(blocks)


def run_documents(connection, base):
    """Lines and blocks in README.md and docs/, with the address of the demo replaced by that of the server."""
    count = 0
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = path.read_text()
        for line, answer in re.findall(r"^\$ (curl .*)\n(.*)$", text, re.M):
            assert DOCUMENTED in line, f"{path.name}: {line}"
            got = run_curl(line.replace(DOCUMENTED, base))
            meant = "error" if '"type":"/docs/errors/' in answer else "answer"
            found = "error" if got.startswith('{"type":"/docs/errors/') else "answer"
            assert got and found == meant, f"{path.name}: {line}: {got[:200]}"
            count += 1
        for language, block in re.findall(r"^```(python|sql)\n(.*?)^```", text, re.M | re.S):
            if DOCUMENTED not in block:
                continue
            block = block.replace(DOCUMENTED, base)
            rows = len(run_pandas(block) if language == "python" else connection.sql(block).fetchall())
            assert rows, f"{path.name}: no rows from {block}"
            count += 1
    assert count >= 5, f"only {count} lines found in documents"
    return count


def main(base):
    connection = connect()
    catalog = json.loads(fetch(f"{base}/v1/series.json?flat=true"))
    newest = max(row["last_date"][:10] for row in catalog if row["last_date"])
    past = (pandas.Timestamp(newest) - pandas.Timedelta(days=7)).strftime("%Y-%m-%d")
    start = (pandas.Timestamp(newest) - pandas.Timedelta(days=20)).strftime("%Y-%m-%d")
    count = rows = 0
    for metric in dict.fromkeys(row["metric"] for row in catalog):
        for choice in CHOICES:
            lines, shown = run_page(connection, f"{base}/docs/metrics/{metric}?{choice.format(past=past, start=start)}")
            count, rows = count + lines, rows + shown
        count += run_twin(connection, f"{base}/docs/metrics/{metric}.md")
    assert rows, "no page shows a row"
    documented = run_documents(connection, base)
    print(f"{count} lines of pages and {documented} of documents run as written; {rows} rows are the same in all tools")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: run_snippets.py BASE_URL")
    try:
        with contextlib.redirect_stderr(sys.stdout):
            main(sys.argv[1].rstrip("/"))
    except AssertionError as error:
        sys.exit(f"failed: {error}")
    except urllib.error.HTTPError as error:
        sys.exit(f"failed: {error.url}: {error.code} {error.read().decode(errors='replace')}")
