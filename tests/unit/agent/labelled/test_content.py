from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.labelled import content as contents
from agent.secrets.content import LabelledContent

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
CONTENT = LabelledContent(b"{}", NOW, NOW + timedelta(hours=12), "arn:aws:iam::1:role/r")
MARKS = st.sampled_from(
    [
        "pullpass.dev/issued-at",
        "pullpass.dev/expires-at",
        "pullpass.dev/role-arn",
        "ecr-anywhere.centml.ai/expires_at",
        "ecr-anywhere.centml.ai/updated_at",
        "note",
    ]
)


def secret(annotations: dict[str, str] | None = None, data: str = "e30=") -> dict[str, Any]:
    return {
        "metadata": {"uid": "u", "resourceVersion": "7", "annotations": annotations},
        "type": contents.TYPE,
        "data": {".dockerconfigjson": data},
    }


def merged(obj: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    annotations = {**(obj["metadata"]["annotations"] or {}), **patch["metadata"]["annotations"]}
    kept = {key: value for key, value in annotations.items() if value is not None}
    return secret(kept, patch["data"][".dockerconfigjson"])


def test_a_view_keeps_nothing_of_what_is_inside() -> None:
    assert "c2VjcmV0" not in repr(contents.view(secret(data="c2VjcmV0")))


def test_the_patch_locks_the_version_that_was_seen() -> None:
    assert "7" == contents.patch_to_fill(contents.view(secret()), CONTENT)["metadata"]["resourceVersion"]


@settings(deadline=None)  # other tests run beside it
@given(st.none() | st.dictionaries(MARKS, st.sampled_from(["x", "2026-11-22T21:00:00Z"])))
def test_what_was_patched_needs_no_other_patch(annotations: dict[str, str] | None) -> None:
    obj = secret(annotations, data="eA==")
    after = merged(obj, contents.patch_to_fill(contents.view(obj), CONTENT))
    assert contents.view(after).holds(CONTENT)
    assert (annotations or {}).get("note") == after["metadata"]["annotations"].get("note")


def test_another_expiry_alone_is_a_difference() -> None:
    filled = merged(secret(), contents.patch_to_fill(contents.view(secret()), CONTENT))
    assert not contents.view(filled).holds(replace(CONTENT, expires_at=NOW))


@pytest.mark.parametrize("text", ["", "x", "2026-11-22T08:00:00Z"])
def test_an_expiry_that_is_past_or_no_time_is_not_good(text: str) -> None:
    assert not contents.view(secret({"pullpass.dev/expires-at": text})).good(NOW)


@pytest.mark.parametrize("data", [None, {}, {".dockerconfigjson": "%"}, {".dockerconfigjson": "eA=="}])
def test_what_the_api_server_would_refuse_is_not_valid(data: dict[str, str] | None) -> None:
    assert not contents.is_valid({"data": data})
