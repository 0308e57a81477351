"""Reads every list and object of a running server as pandas and DuckDB do, without any glue.

    read_with_pandas_and_duckdb.py BASE_URL

The paths come from the server's own OpenAPI document. Each is read as CSV, NDJSON and flat JSON by
both tools; all must have the same rows, numbers must be numbers and times must be times. Prints
what was read and exits with 1 at the first thing that is not so.
"""

import json
import re
import sys
import urllib.error
import urllib.request
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode

import duckdb
import duckdb_extension_httpfs
import pandas

DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{6})?Z")
NUMBERS_IN_DUCKDB = {"DOUBLE", "BIGINT", "HUGEINT", "INTEGER", "UBIGINT"}
PANEL_METRICS = "price_usd,hashprice_usd_per_ph_day"


def fetch(url, method="GET"):
    """Headers and body; error answers raise."""
    request = urllib.request.Request(url, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.headers, response.read()


def connect():
    """DuckDB with httpfs from PyPI: the server of its extensions may be out of reach."""
    connection = duckdb.connect(config={"allow_unsigned_extensions": "false"})
    [extension] = Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")
    return connection


def addresses(base):
    """(path without suffix, query) of everything that comes as CSV, from the OpenAPI document."""
    document = json.loads(fetch(f"{base}/openapi.json")[1])
    catalog = json.loads(fetch(f"{base}/v1/series.json?flat=true")[1])
    for path, item in document["paths"].items():
        forms = item["get"]["responses"]["200"].get("content", {})
        if not path.startswith("/v1/") or "text/csv" not in forms:
            continue
        path = path.removesuffix(".csv")
        if path == "/v1/panel":
            newest = max(row["last_date"] for row in catalog if row["metric"] == "price_usd")
            a_year = date.fromisoformat(newest[:10]) - timedelta(days=365)
            yield path, {"metrics": PANEL_METRICS}
            yield path, {"metrics": PANEL_METRICS, "align": "known", "start": str(a_year)}
        elif path == "/v1/series/{metric}":
            for row in catalog:
                query = {"subject": row["subject"], "resolution": row["resolution"]}
                yield path.replace("{metric}", row["metric"]), query
                yield path.replace("{metric}", row["metric"]), query | {"columns": "all", "last": "50"}
        else:
            yield path, {}
    for metric in sorted({row["metric"] for row in catalog if row["subject"] == "btc"}):
        yield f"/v1/latest/{metric}", {}


def kind_of(values):
    """What all values are, None where they differ or there are none."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    if all(isinstance(value, bool) for value in values):
        return "truth"
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return "number"
    for kind, pattern in (("date", DATE), ("instant", INSTANT)):
        if all(isinstance(value, str) and pattern.fullmatch(value) for value in values):
            return kind
    return None


def check_head(url):
    """HEAD has the length that GET has, which is that of the body."""
    length = fetch(url, "HEAD")[0]["Content-Length"]
    headers, body = fetch(url)
    assert length == headers["Content-Length"] == str(len(body)), f"{url}: HEAD {length}, body {len(body)}"


def check_pandas(url, frame, kinds, rows, is_csv):
    assert len(frame) == len(rows), f"{url}: pandas has {len(frame)} rows, not {len(rows)}"
    for column, kind in kinds.items():
        dtype = frame[column].dtype
        where = f"{url}: pandas has {column} as {dtype}"
        if kind == "number":
            assert dtype.kind in "iuf", where
            expected = [row[column] for row in rows if row[column] is not None]
            got = frame[column].dropna().tolist()
            assert all(abs(a - b) <= 1e-12 * abs(b) for a, b in zip(got, expected, strict=True)), url
        elif kind == "truth" and not frame[column].isna().any():
            assert dtype.kind == "b", where
        elif kind in ("date", "instant") and (is_csv or column == "date" or column.endswith("_at")):
            assert dtype.kind == "M", where


def check_duckdb(connection, url, reader, kinds, rows):
    relation = connection.sql(f"select * from {reader}")
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    assert relation.count("*").fetchone() == (len(rows),), f"{url}: DuckDB has other rows than {len(rows)}"
    for column, kind in kinds.items():
        found = types[column]
        good = {
            "number": found in NUMBERS_IN_DUCKDB,
            "truth": found == "BOOLEAN",
            "date": found == "DATE",
            # DuckDB minds the Z of CSV and leaves it out of account in JSON.
            "instant": found == ("TIMESTAMP WITH TIME ZONE" if reader.startswith("'") else "TIMESTAMP"),
        }[kind]
        assert good, f"{url}: DuckDB has {column} as {found}, not a {kind}"
    for column in (column for column, kind in kinds.items() if kind == "number"):
        [total] = relation.aggregate(f'sum("{column}"::double)').fetchone()
        expected = sum(row[column] for row in rows if row[column] is not None)
        assert abs(total - expected) <= 1e-9 * max(abs(expected), 1), f"{url}: the sum of {column} differs"


def count_pages(base, path, query):
    """Rows of the JSON form over all its pages, each once."""
    url = f"{base}{path}.json?{urlencode(query)}"
    seen = []
    while url:
        answer = json.loads(fetch(url)[1])
        data = answer["data"]
        seen += data if isinstance(data, list) else []
        following = answer.get("links", {}).get("next")
        url = f"{base}{following}" if following else None
        if not isinstance(data, list):
            return None
    keys = [json.dumps(row) for row in seen]
    assert len(set(keys)) == len(keys), f"{path}: a row comes twice in a walk over the pages"
    return len(seen)


def check(connection, base, path, query):
    plain = f"?{urlencode(query)}" if query else ""
    flat = f"{base}{path}.json?{urlencode(query | {'flat': 'true'})}"
    rows = json.loads(fetch(flat)[1])
    columns = list(dict.fromkeys(column for row in rows for column in row))
    rows = [{column: row.get(column) for column in columns} for row in rows]
    kinds = {column: kind_of(row[column] for row in rows) for column in columns}
    kinds = {column: kind for column, kind in kinds.items() if kind}
    csv, ndjson = (f"{base}{path}.{form}{plain}" for form in ("csv", "ndjson"))
    for url in (csv, ndjson, flat):
        check_head(url)
    lines = fetch(ndjson)[1].decode().splitlines()
    assert len(lines) == len(rows), f"{ndjson}: {len(lines)} lines, not {len(rows)}"
    paged = count_pages(base, path, query)
    assert paged in (None, len(rows)), f"{path}: {paged} rows in pages, not {len(rows)}"
    times = [column for column, kind in kinds.items() if kind in ("date", "instant")]
    check_pandas(csv, pandas.read_csv(csv, parse_dates=times), kinds, rows, True)
    if rows:
        check_pandas(flat, pandas.read_json(flat), kinds, rows, False)
        check_duckdb(connection, csv, f"'{csv}'", kinds, rows)
        check_duckdb(connection, flat, f"read_json('{flat}')", kinds, rows)
        check_duckdb(connection, ndjson, f"read_json('{ndjson}')", kinds, rows)
    shown = ", ".join(f"{column} {kind}" for column, kind in kinds.items()) or "no values"
    print(f"{path}{plain}: {len(rows)} rows; {shown}")


def check_bots(base):
    """The small reads: a decimal for Hummingbot, a range for DuckDB by suffix, one line a record."""
    text = fetch(f"{base}/v1/latest/price_usd.txt?require=any")[1].decode()
    price = Decimal(text)
    map_of_one = json.loads(fetch(f"{base}/v1/latest?metrics=price_usd")[1])
    assert price == Decimal(str(map_of_one["data"]["price_usd"]["value"]))
    try:
        fetch(f"{base}/v1/latest/price_usd.txt")
        assert map_of_one["meta"]["stale"] is False, "a stale value came as text without being asked for"
    except urllib.error.HTTPError as error:
        assert error.code == 503 and json.load(error)["code"] == "stale"
    print(f"/v1/latest/price_usd.txt: {price}")


def check_suffix(connection, base):
    newest = json.loads(fetch(f"{base}/v1/latest?metrics=price_usd")[1])["data"]["price_usd"]["date"]
    url = f"{base}/v1/series/price_usd.csv?start={newest}"
    found = connection.sql(f"select date::varchar, value from '{url}'").fetchall()
    assert found[0][0] == newest, found
    print(f"/v1/series/price_usd.csv?start={newest} in DuckDB: {found}")


def main(base):
    connection = connect()
    count = 0
    for path, query in addresses(base):
        check(connection, base, path, query)
        count += 1
    check_bots(base)
    check_suffix(connection, base)
    print(f"{count} addresses read with pandas {pandas.__version__} and DuckDB {duckdb.__version__}; all is well")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: read_with_pandas_and_duckdb.py BASE_URL")
    try:
        main(sys.argv[1].rstrip("/"))
    except AssertionError as error:
        sys.exit(f"failed: {error}")
    except urllib.error.HTTPError as error:
        sys.exit(f"failed: {error.url}: {error.code} {error.read().decode(errors='replace')}")
