"""Whatever is sent, it is never an error of ours, and what was taken comes back as sent."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.hub import Hub, manifest

WORDS = [
    "kind", "name", "description", "tags", "spec", "settings", "version", "provider", "addOns", "awsECR", "roleArn",
    "awsWorkloadIdentity", "generic", "location", "id", "demo", "$replace/spec", "$replace/settings", "pullSecret",
]  # fmt: skip
TEXTS = st.sampled_from(WORDS) | st.text(max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=5)
MANY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)


@MANY
@given(method=st.sampled_from(["PUT", "POST"]), body=OBJECTS)
def test_no_body_is_an_error_of_ours(hub: Hub, method: str, body: dict[str, Any]) -> None:
    answer = hub.call(method, "/org/acme/mk8s", data=json.dumps(body), content_type="application/json")
    assert answer.status_code < 500, answer.text


@MANY
@given(change=OBJECTS)
def test_no_patch_is_an_error_of_ours_or_leaves_what_cannot_be_shown(
    hub: Hub, change: dict[str, Any]
) -> None:
    hub.put(manifest())
    answer = hub.call(
        "PATCH", "/org/acme/mk8s/demo", data=json.dumps(change), content_type="application/json"
    )
    assert answer.status_code < 500, answer.text
    assert hub.get("/org/acme/mk8s/demo").status_code == 200


@MANY
@given(data=st.binary(max_size=200), kind=st.sampled_from(["application/json", "application/yaml"]))
def test_no_bytes_are_an_error_of_ours(hub: Hub, data: bytes, kind: str) -> None:
    answer = hub.call("PUT", "/org/acme/mk8s", data=data, content_type=kind)
    assert answer.status_code < 500, answer.text


@MANY
@given(
    body=OBJECTS,
    path=st.sampled_from(["-connection", "-issuer/accept"]),
)
def test_no_body_of_an_admin_is_an_error_of_ours(hub: Hub, body: dict[str, Any], path: str) -> None:
    hub.put(manifest())
    method = "PUT" if path == "-connection" else "POST"
    answer = hub.call(
        method, f"/org/acme/mk8s/demo/{path}", data=json.dumps(body), content_type="application/json"
    )
    assert answer.status_code < 500, answer.text


@MANY
@given(tags=st.dictionaries(TEXTS, st.text() | st.integers() | st.booleans(), max_size=5))
def test_tags_that_are_taken_come_back_as_sent(hub: Hub, tags: dict[str, Any]) -> None:
    answer = hub.call(
        "PUT",
        "/org/acme/mk8s",
        data=json.dumps({**manifest(), "tags": tags}),
        content_type="application/json",
    )
    if answer.status_code < 300:
        assert hub.show("demo")["tags"] == tags


TERMS = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["=", "!=", "~", ">", ">=", "<", "<=", "exists", "!exists", "=="]),
        "property": TEXTS
        | st.sampled_from(["spec.addOns", "status.addOns.awsECR.issues.code", "*", "tags.a"]),
        "tag": TEXTS,
        "rel": TEXTS,
        "value": JSON,
    },
)


@MANY
@given(
    match=st.sampled_from(["all", "any", "none"]) | JSON,
    terms=st.lists(TERMS, max_size=3) | JSON,
    sort=st.fixed_dictionaries({}, optional={"by": TEXTS, "order": st.sampled_from(["asc", "desc"]) | TEXTS}),
    after=st.none() | st.text(max_size=20) | JSON.map(json.dumps),
)
def test_no_query_is_an_error_of_ours(hub: Hub, match: Any, terms: Any, sort: Any, after: str | None) -> None:
    hub.put({**manifest(), "tags": {"a": 1, "demo": "x"}})
    body = {"spec": {"match": match, "terms": terms, "sort": sort}}
    query = {} if after is None else {"after": after.encode(errors="surrogatepass")}
    answer = hub.call(
        "POST",
        "/org/acme/mk8s/-query",
        data=json.dumps(body),
        content_type="application/json",
        query_string=query,
    )
    assert answer.status_code in {200, 400}, answer.text
