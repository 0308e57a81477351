"""Holds a running server to the rules that every endpoint follows, whatever its database holds.

    follow_the_rules.py BASE_URL

Forms and their precedence, half-open ranges, every way to write a time, paging in both directions,
permanent links, validators, HEAD, freshness and problems. Prints each rule as it is checked and
exits with 1 at the end if one was broken.
"""

import http.client
import json
import sys
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote, urlsplit

SERIES = "/v1/series/price_usd"
BROKEN = []


class Server:
    """Sends requests as they are written: no redirects, no headers added, errors are answers."""

    def __init__(self, base):
        self.address = urlsplit(base).netloc

    def ask(self, path, method="GET", **headers):
        connection = http.client.HTTPConnection(self.address, timeout=30)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers={"Accept-Encoding": "identity"} | headers)
        response = connection.getresponse()
        response.body = response.read()
        connection.close()
        return response

    def json(self, path):
        response = self.ask(path)
        assert response.status == 200, f"{path}: {response.status} {response.body[:300]}"
        return json.loads(response.body)


def expect(truth, *what):
    if not truth:
        BROKEN.append(what)
        print("  broken:", *what)


def expect_problem(server, path, status, code, method="GET", **headers):
    response = server.ask(path, method, **headers)
    expect(response.status == status, path, response.status, response.body[:200])
    if response.status >= 400:
        problem = json.loads(response.body)
        expect(problem["code"] == code, path, problem["code"], "instead of", code)
        expect(response.headers["content-type"] == "application/problem+json", path)
    return response


def forms(server):
    def type_of(path, **headers):
        return (server.ask(path, **headers).headers["content-type"] or "").split(";")[0]

    expect(type_of(f"{SERIES}.csv?last=1&format=json") == "text/csv", "the suffix wins over format=")
    expect(type_of(f"{SERIES}?last=1&format=csv", Accept="application/x-ndjson") == "text/csv", "format= over Accept")
    expect(type_of(f"{SERIES}?last=1", Accept="application/x-ndjson") == "application/x-ndjson", "Accept")
    expect(type_of(f"{SERIES}?last=1", Accept="text/html,*/*;q=0.8") == "application/json", "a browser gets JSON")
    expect_problem(server, SERIES, 406, "not_acceptable", Accept="image/png")
    expect_problem(server, f"{SERIES}?format=xml", 406, "not_acceptable")
    expect_problem(server, f"{SERIES}.txt", 406, "not_acceptable")


def ranges(server):
    last = date.fromisoformat(server.json(f"{SERIES}?last=1")["data"][0]["date"])
    first, end = last - timedelta(days=4), last - timedelta(days=2)
    rows = server.json(f"{SERIES}?start={first}&end={end}")["data"]
    wanted = [str(day) for day in (first, first + timedelta(days=1))]
    expect([row["date"] for row in rows] == wanted, "ranges are half-open", rows)
    midnight = datetime(first.year, first.month, first.day, tzinfo=UTC)
    seconds = int(midnight.timestamp())
    for start in (f"{first}T00:00:00Z", quote(f"{first}T02:00:00+02:00"), seconds, seconds * 1000):
        expect(server.json(f"{SERIES}?start={start}&end={end}")["data"] == rows, "a time as", start)
    relative = server.json(f"{SERIES}?as_of={last}T12:00:00Z&start=-1w")["data"]
    expect(relative and relative[0]["date"] > str(last - timedelta(days=8)), "relative times count from as_of")
    expect(server.json(f"{SERIES}?start=9999-01-01")["data"] == [], "nothing is known of the future")
    expect(server.ask(f"{SERIES}?end=9999-01-01&last=1").status == 200, "an end in the future is fine")
    expect(len(server.json(f"{SERIES}?last=1500")["data"]) in (1500, len(flat(server, ""))), "last is one page")
    expect_problem(server, f"{SERIES}?start={first}&last=3", 400, "conflicting_parameters")
    for value in ("2024-02-30", "soon", "-5y", "2024-%201-%201"):
        expect_problem(server, f"{SERIES}?start={value}", 400, "bad_parameter")


def flat(server, query):
    return [row["date"] for row in server.json(f"{SERIES}?flat=true{query}")]


def paging(server):
    start = server.json(f"{SERIES}?last=200")["data"][0]["date"]
    for query in ("", "&order=desc", f"&start={start}", f"&start={start}&order=desc", "&last=90&order=desc", "&vintage=first"):
        query = query if "start" in query or "last" in query else f"{query}&last=200"
        address, dates = f"{SERIES}?limit=37{query}", []
        while address:
            response = server.ask(address)
            page = json.loads(response.body)
            dates += [days := [row["date"] for row in page["data"]]]
            expect(days == sorted(days, reverse="desc" in query), "the order inside a page", address)
            address = page["links"].get("next")
            link = f'<{address}>; rel="next"' if address else None
            expect(response.headers["link"] == link, "Link says what links.next says", response.headers["link"])
        dates = [day for days in dates for day in days]
        expect(sorted(dates) == sorted(flat(server, query)), "a walk gives each row once", query)
    following = server.json(f"{SERIES}?limit=5")["links"]["next"]
    expect_problem(server, following.replace("price_usd", "fees_btc"), 400, "bad_cursor")
    expect_problem(server, f"{SERIES}?cursor=abc", 400, "bad_cursor")


def permanence(server):
    page_two = server.json(f"{SERIES}?limit=5&start=-9999d")["links"]["next"]
    panel = "/v1/panel.json?metrics=price_usd,fees_btc&limit=3"
    for path in (f"{SERIES}?limit=3", page_two, "/v1/series", "/v1/latest", "/v1/hashprice", panel, f"{SERIES}?as_of=-3d&limit=3"):
        answer = server.json(path)
        link = answer["links"]["permanent"]
        first, second = server.ask(link), server.ask(link)
        expect("immutable" in first.headers["cache-control"], "a permanent link is immutable", link)
        expect("immutable" not in server.ask(path).headers["cache-control"], "nothing else is", path)
        expect(first.body == second.body, "and has the same bytes", link)
        permanent = json.loads(first.body)
        expect(permanent["data"] == answer["data"], "and the data it stands for", link)
        expect(permanent["links"]["permanent"] == link, "and links to itself", link)
    moment = "as_of=-1d"
    expect_problem(server, f"{SERIES}?snapshot=1", 400, "conflicting_parameters")
    expect_problem(server, f"{SERIES}?snapshot=1&basis=public&{moment}", 400, "conflicting_parameters")
    expect_problem(server, f"{SERIES}?snapshot=999999999&{moment}", 404, "unknown_snapshot")
    expect_problem(server, f"{SERIES}?as_of=9999-01-01", 400, "as_of_in_future")


def validators(server):
    panel = "/v1/panel.csv?metrics=price_usd,fees_btc&last=300"
    for path in (f"{SERIES}?last=300", f"{SERIES}.csv?last=300", "/v1/latest.ndjson", "/v1/hashprice", panel):
        tags = set()
        for coding in ("identity", "gzip"):
            got, head = server.ask(path, Accept_Encoding=coding), server.ask(path, "HEAD", Accept_Encoding=coding)
            own = ("date", "x-request-id", "ratelimit", "x-ratelimit")
            pairs = [{name.lower(): value for name, value in each.headers.items() if not name.lower().startswith(own)} for each in (got, head)]
            expect(pairs[0] == pairs[1] and not head.body, "HEAD has the headers of GET", path, coding)
            expect(pairs[0]["content-length"] == str(len(got.body)), "and its length", path)
            for name in ("x-stale", "x-simulated", "x-snapshot-id", "last-modified", "vary"):
                expect(name in pairs[0], name, "on", path)
            tag = pairs[0]["etag"]
            tags.add(tag)
            same = server.ask(path, Accept_Encoding=coding, If_None_Match=tag)
            expect(same.status == 304 and not same.body and same.headers["etag"] == tag, "304", path, coding)
        expect(len(tags) == 2 or pairs[1].get("content-encoding") is None, "a tag for each coding", path)


def freshness(server):
    stale = server.json(f"{SERIES}?last=1")["meta"]["stale"]
    for path in (f"{SERIES}?require=fresh", "/v1/latest/price_usd.txt"):
        if stale:
            refused = expect_problem(server, path, 503, "stale")
            expect(refused.headers["x-stale"] == "true" and int(refused.headers["retry-after"]) >= 1, path)
        else:
            expect(server.ask(path).status == 200, path)
    expect(server.ask("/v1/latest/price_usd.txt?require=any").status == 200, "require=any opts out")
    nothing = server.json("/v1/hashprice?date=1970-01-01")
    expect(nothing["data"]["reason"] == "no_data" and nothing["data"]["usd_per_ph_day"] is None, "a day without value")
    expect(nothing["meta"]["knowledge"] == "hindsight", "a past day is known in hindsight")


def problems(server):
    unknown = expect_problem(server, "/v1/series/price_us", 404, "unknown_metric")
    expect(b"did you mean price_usd?" in unknown.body, "did you mean")
    expect_problem(server, f"{SERIES}?subject=nowhere", 404, "unknown_subject")
    expect_problem(server, f"{SERIES}?source=nobody", 404, "unknown_source")
    expect_problem(server, f"{SERIES}?last=1&last=1", 400, "repeated_parameter")
    misspelt = expect_problem(server, f"{SERIES}?strat=1", 400, "unknown_parameter")
    expect(b"did you mean start?" in misspelt.body and b"vintage" in misspelt.body, "names the accepted ones")
    expect_problem(server, "/v1/nothing", 404, "unknown_route")
    expect_problem(server, "/v1/panel.csv", 400, "missing_parameter")
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        refused = expect_problem(server, SERIES, 405, "method_not_allowed", method)
        expect(refused.headers["allow"] == "GET,HEAD", method)
    busted = server.ask(f"{SERIES}?last=1&_=1&_=2&limit=")
    expect(busted.status == 200 and b"_=" not in busted.body and b"limit=" not in busted.body, "_ and empty values are dropped")


def pages(server):
    document = server.json("/openapi.json")
    for code in document["components"]["schemas"]["Code"]["enum"]:
        path = f"/docs/errors/{code.replace('_', '-')}"
        expect(server.ask(path).status == 200, path)
    for row in server.json("/v1/series?flat=true"):
        path = f"/docs/metrics/{row['metric']}"
        expect(server.ask(path).status == 200, path)
    for path in ("/", "/docs/", "/docs/metrics/price_usd", "/docs/swagger-initializer.js"):
        body = server.ask(path).body.decode()
        foreign = [word for word in body.split() if '="http' in word or '="//' in word]
        expect(not foreign, path, "asks other hosts", foreign)
    expect('"validatorUrl": "none"' in server.ask("/docs/swagger-initializer.js").body.decode(), "no foreign validator")


def main(base):
    server = Server(base)
    for rule in (forms, ranges, paging, permanence, validators, freshness, problems, pages):
        print(f"rules of {rule.__name__}")
        rule(server)
    if BROKEN:
        sys.exit(f"failed: {len(BROKEN)} rules are broken")
    print("all rules are followed")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: follow_the_rules.py BASE_URL")
    main(sys.argv[1].rstrip("/"))
