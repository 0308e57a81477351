"""Checks of our own besides those of Schemathesis."""

import schemathesis


@schemathesis.check
def only_stale_is_refused(ctx, response, case):
    """A 5xx is a fault of the server, except the 503 that asks for fresh data are due."""
    if response.status_code < 500:
        return
    code = response.json().get("code")
    assert (response.status_code, code) == (503, "stale"), f"{response.status_code} {code}"
    assert int(response.headers["retry-after"][0]) >= 1
    assert response.headers["x-stale"][0] == "true"


@schemathesis.check
def errors_are_problems(ctx, response, case):
    """RFC 9457 with our members, and the identifier that the header has too."""
    if response.status_code < 400:
        return
    assert response.headers["content-type"][0] == "application/problem+json", response.headers
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["type"] == "/docs/errors/" + problem["code"].replace("_", "-")
    assert problem["request_id"] == response.headers["x-request-id"][0]


@schemathesis.check
def views_say_their_state(ctx, response, case):
    """Answers about data name their snapshot and freshness in headers, whatever the form."""
    path = case.operation.path
    if response.status_code != 200 or not path.startswith("/v1/"):
        return
    for name in ("x-snapshot-id", "x-simulated", "cache-control"):
        assert name in response.headers, f"no {name}"
    if path in ("/v1/status", "/v1/sources"):
        return
    for name in ("x-stale", "etag", "last-modified", "vary"):
        assert name in response.headers, f"no {name}"
