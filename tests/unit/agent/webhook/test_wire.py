import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.webhook import wire
from agent.webhook.review import Answer, Review

REVIEW = Review("u-1", "CREATE", "shop", "web", "alice", dry_run=False, object={})


def body(**changes: Any) -> bytes:
    request = {
        "uid": "u-1",
        "operation": "UPDATE",
        "namespace": "shop",
        "name": "web",
        "userInfo": {"username": "alice"},
        "dryRun": True,
        "object": {"kind": "Secret"},
        "oldObject": {"kind": "Secret", "data": {}},
    }
    document = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request | changes}
    return json.dumps(document).encode()


def answered(answer: Answer) -> dict[str, Any]:
    document = json.loads(wire.write(REVIEW, answer))
    assert ("admission.k8s.io/v1", "AdmissionReview") == (document["apiVersion"], document["kind"])
    assert document["response"]["uid"] == "u-1"
    return dict(document["response"])


def test_reads_every_member_of_a_review() -> None:
    expected = Review(
        uid="u-1",
        operation="UPDATE",
        namespace="shop",
        name="web",
        username="alice",
        dry_run=True,
        object={"kind": "Secret"},
        old_object={"kind": "Secret", "data": {}},
    )
    assert expected == wire.read(body())


def test_an_object_that_is_to_be_named_by_the_server_has_no_name() -> None:
    document = json.loads(body())
    del document["request"]["name"]
    assert wire.read(json.dumps(document).encode()).name == ""


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"[" * 100_000,
        b"{}",
        b'{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": {"uid": "u"}}',
        b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}',
        b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": []}',
        b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {}}',
        body(uid=7),
        body(operation=None),
        body(object=[]),
        body(oldObject="x"),
        body(userInfo=[1]),
    ],
)
def test_what_is_no_review_is_refused(text: bytes) -> None:
    with pytest.raises(wire.Malformed):
        wire.read(text)


@settings(deadline=None)  # other tests run beside it
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(text: bytes) -> None:
    with contextlib.suppress(wire.Malformed):
        wire.read(text)


@settings(deadline=None)  # other tests run beside it
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    )
)
def test_no_json_raises_anything_else(value: object) -> None:
    for text in (json.dumps(value).encode(), body(object=value, userInfo=value, uid=value)):
        with contextlib.suppress(wire.Malformed):
            wire.read(text)


def test_a_patch_is_written_in_base64() -> None:
    patch = {"op": "add", "path": "/a", "value": "ä"}
    response = answered(Answer(patch=(patch,)))
    assert ("JSONPatch", [patch]) == (response["patchType"], json.loads(base64.b64decode(response["patch"])))


def test_an_answer_without_a_patch_names_no_patch_type() -> None:
    assert {"uid": "u-1", "allowed": True} == answered(Answer())


def test_a_refusal_says_why_and_changes_nothing() -> None:
    response = answered(Answer(allowed=False, message="because", patch=({"op": "remove", "path": "/a"},)))
    assert response["status"]["message"] == "because"
    assert "patch" not in response


def test_warnings_are_cut_to_what_the_api_server_takes() -> None:
    warnings = answered(Answer(warnings=("w" * 300,) * 30))["warnings"]
    assert {256} == {len(warning) for warning in warnings}
    assert sum(map(len, warnings)) <= 4096
