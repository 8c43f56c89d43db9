from __future__ import annotations

import pytest

from tests.support.hub import Hub, manifest


@pytest.mark.parametrize("path", ["/org/acme/mk8s/demo", "/healthz", "/nothing", "/metrics"])
def test_every_answer_carries_the_headers_of_an_api(hub: Hub, path: str) -> None:
    hub.put(manifest())
    headers = hub.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Request-Id"]


def test_a_head_is_a_get_without_its_body(hub: Hub) -> None:
    hub.put(manifest())
    answer = hub.call("HEAD", "/org/acme/mk8s/demo")
    assert (answer.status_code, answer.text) == (200, "")
    assert answer.headers["ETag"] == hub.get("/org/acme/mk8s/demo").headers["ETag"]
