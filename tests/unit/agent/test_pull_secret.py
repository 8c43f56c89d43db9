import json
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.secrets import pull_secret
from agent.secrets.claims import ClaimKey, ClaimSource
from agent.secrets.content import LabelledContent
from agent.secrets.pull_secret import CLAIM, EXPIRES_AT, ISSUED_AT, ROLE_ARN, TYPE, SecretView
from kube.objects import Object

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
ROLE = "arn:aws:iam::111122223333:role/pull"
ADD_ON = ClaimKey(ClaimSource.ADD_ON)
CONTENT = LabelledContent(b'{"auths":{"a":{"password":"word"}}}', NOW, NOW + timedelta(hours=12), ROLE)


def desired(content: LabelledContent = CONTENT, claim: ClaimKey = ADD_ON) -> Object:
    return pull_secret.desired(
        namespace="shop", name="pullpass-ecr", claim=claim, cluster_uid="c-1", content=content
    )


def stored(obj: Object, **metadata: Any) -> Object:
    obj = deepcopy(obj)
    obj["metadata"] = {**obj["metadata"], "uid": "u-1", "resourceVersion": "5", **metadata}
    return obj


def view(obj: Object) -> SecretView:
    return pull_secret.view(obj)


def test_metadata_says_whose_it_is_and_how_long_it_lives() -> None:
    expected = {
        "name": "pullpass-ecr",
        "namespace": "shop",
        "labels": {
            "app.kubernetes.io/managed-by": "pullpass",
            "pullpass.dev/cluster": "c-1",
            "pullpass.dev/add-on": "awsECR",
        },
        "annotations": {
            CLAIM: "add-on",
            ISSUED_AT: "2026-11-22T06:00:00Z",
            EXPIRES_AT: "2026-11-22T18:00:00Z",
            ROLE_ARN: ROLE,
        },
    }
    assert expected == desired()["metadata"]


def test_no_annotation_and_no_view_holds_a_password() -> None:
    obj = desired()
    assert "word" not in json.dumps(obj["metadata"]) + repr(view(stored(obj)))


def test_the_role_is_left_out_when_it_is_not_one() -> None:
    assert ROLE_ARN not in desired(replace(CONTENT, role_arn=""))["metadata"]["annotations"]


def test_what_was_written_is_ours_and_does_not_differ() -> None:
    obj = desired()
    found = view(stored(obj))
    assert pull_secret.is_ours(found, "c-1")
    assert not pull_secret.differs(found, obj)


def test_labels_and_annotations_of_others_make_no_difference() -> None:
    obj = desired()
    found = stored(obj)
    found["metadata"]["labels"]["team"] = "a"
    found["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = "{}"
    assert not pull_secret.differs(view(found), obj)


@pytest.mark.parametrize(
    "change",
    [
        lambda obj: obj["data"].update({".dockerconfigjson": "e30="}),
        lambda obj: obj["data"].update({"more": "e30="}),
        lambda obj: obj.pop("data"),
        lambda obj: obj["metadata"]["annotations"].pop(EXPIRES_AT),
        lambda obj: obj["metadata"]["labels"].pop("pullpass.dev/add-on"),
    ],
)
def test_what_somebody_edited_differs(change: Any) -> None:
    obj = desired()
    edited = stored(obj)
    change(edited)
    assert pull_secret.differs(view(edited), obj)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda obj: obj["metadata"].pop("labels"), "was not made by Pullpass"),
        (lambda obj: obj["metadata"]["labels"].update({"pullpass.dev/cluster": "c-2"}), "another cluster"),
        (lambda obj: obj.update(type="Opaque"), "has type Opaque"),
    ],
)
def test_what_is_not_ours_is_told_apart(change: Any, reason: str) -> None:
    obj = stored(desired())
    change(obj)
    assert not pull_secret.is_ours(view(obj), "c-1")
    assert reason in pull_secret.why_not_ours(view(obj), "c-1")


@pytest.mark.parametrize(
    ("claim", "word"),
    [
        (ClaimKey(ClaimSource.ADD_ON), "add-on"),
        (ClaimKey(ClaimSource.PUBLIC), "public"),
        (ClaimKey(ClaimSource.CUSTOM, "web"), "custom/web"),
        (ClaimKey(ClaimSource.ADOPTED, "old"), "adopted/old"),
    ],
)
def test_the_claim_is_remembered(claim: ClaimKey, word: str) -> None:
    obj = desired(claim=claim)
    assert obj["metadata"]["annotations"][CLAIM] == word
    assert pull_secret.claim_of(view(stored(obj))) == claim


def test_a_secret_of_an_older_agent_is_the_add_ons() -> None:
    obj = stored(desired())
    del obj["metadata"]["annotations"][CLAIM]
    assert pull_secret.claim_of(view(obj)) == ADD_ON


def test_what_stands_can_be_read_back() -> None:
    assert pull_secret.standing_of(stored(desired())) == CONTENT


@pytest.mark.parametrize("data", [{}, {".dockerconfigjson": "%"}])
def test_what_cannot_be_read_is_nothing(data: dict[str, str]) -> None:
    obj = stored(desired())
    obj["data"] = data
    assert pull_secret.standing_of(obj) is None


def test_the_type_is_the_one_that_the_kubelet_reads() -> None:
    assert desired()["type"] == TYPE == "kubernetes.io/dockerconfigjson"
