import base64
import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.secrets.content import LabelledContent
from agent.webhook.labelled_secrets import NotReady, handler
from agent.webhook.review import Answer, Review
from kube.errors import Unreachable
from schemas.addons.aws_ecr import Label, Labelled, PullSecret
from schemas.agent_documents import AgentConfiguration

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
TYPE = "kubernetes.io/dockerconfigjson"
FAKE = base64.b64encode(b"FAKE").decode()  # no JSON
CONTENT = LabelledContent(
    b'{"auths":{"a":{"auth":"bmV3"}}}', NOW, NOW + timedelta(hours=12), "arn:aws:iam::1:role/r"
)
FILLED = base64.b64encode(CONTENT.data).decode()
ANNOTATIONS = {
    "pullpass.dev/issued-at": "2026-11-22T09:00:00Z",
    "pullpass.dev/expires-at": "2026-11-22T21:00:00Z",
    "pullpass.dev/role-arn": "arn:aws:iam::1:role/r",
}
CONFIGURATION = AgentConfiguration(
    generation=1,
    cluster_uid="c-1",
    organisation="acme",
    cluster="demo",
    removing=False,
    role_arn="arn:aws:iam::1:role/r",
    audience="sts.amazonaws.com",
    region=None,
    registries=(),
    pull_secret=PullSecret(labelled=Labelled()),
)


def secret(
    data: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None, **members: Any
) -> dict[str, Any]:
    metadata = {"name": "ecr", "namespace": "shop", "labels": {"pullpass.dev/managed": "true"}}
    if annotations is not None:
        metadata["annotations"] = dict(annotations)
    obj = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": TYPE, **members}
    if data is not None:
        obj["data"] = dict(data)
    return obj


def answer(
    obj: dict[str, Any] | None,
    old: dict[str, Any] | None = None,
    *,
    content: LabelledContent | None = CONTENT,
    policy: str = "Ignore",
    enabled: bool = True,
    username: str = "alice",
    namespace: str = "shop",
    dry_run: bool = False,
    operation: str = "",
    **configured: Any,
) -> Answer:
    labelled = Labelled(failure_policy=policy)
    configuration = replace(CONFIGURATION, **({"pull_secret": PullSecret(labelled=labelled)} | configured))
    handle = handler(
        configuration=lambda: configuration,
        newest=lambda: configuration,
        content=lambda: content,
        enabled=lambda _, __: enabled,
        now=lambda: NOW,
    )
    word = operation or ("CREATE" if old is None else "UPDATE")
    return handle(Review("u", word, namespace, "ecr", username, dry_run, obj, old))


def patched(obj: dict[str, Any], given_answer: Answer) -> dict[str, Any]:
    """RFC 6902, as far as the handlers use it."""
    result = copy.deepcopy(obj)
    for operation in given_answer.patch:
        *path, last = (
            part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]
        )
        target = result
        for part in path:
            target = target[part]
        if operation["op"] == "remove":
            del target[last]
        else:
            target[last] = operation["value"]
    return result


@pytest.mark.parametrize(
    "data", [None, {}, {".dockerconfigjson": FAKE}, {".dockerconfigjson": ""}, {".dockerconfigjson": "%"}]
)
def test_any_content_is_overwritten(data: dict[str, str] | None) -> None:
    obj = secret(data)
    assert secret({".dockerconfigjson": FILLED}, ANNOTATIONS) == patched(obj, answer(obj))


def test_a_dry_run_is_answered_alike() -> None:
    obj = secret({".dockerconfigjson": FAKE})
    assert answer(obj) == answer(obj, dry_run=True)


def test_an_update_is_filled_too() -> None:
    old = secret({".dockerconfigjson": FILLED}, ANNOTATIONS)
    obj = secret({".dockerconfigjson": FAKE})
    assert old == patched(obj, answer(obj, old))


def test_a_label_put_on_an_old_secret_fills_it() -> None:
    old = secret({".dockerconfigjson": FAKE}) | {"metadata": {"name": "ecr"}}
    obj = secret({".dockerconfigjson": FAKE})
    assert secret({".dockerconfigjson": FILLED}, ANNOTATIONS) == patched(obj, answer(obj, old))


def test_the_labels_are_settings() -> None:
    labelled = Labelled(
        Label("ecr-anywhere.centml.ai/namespace", "enabled"), Label("ecr-anywhere.centml.ai/managed", "true")
    )
    obj = secret({".dockerconfigjson": FAKE})
    assert Answer() == answer(obj, pull_secret=PullSecret(labelled=labelled))
    obj["metadata"]["labels"] = {"ecr-anywhere.centml.ai/managed": "true"}
    assert answer(obj, pull_secret=PullSecret(labelled=labelled)).patch


def test_a_role_that_is_no_longer_one_is_not_left_standing() -> None:
    obj = secret({".dockerconfigjson": FAKE}, ANNOTATIONS)
    several = replace(CONTENT, role_arn="")
    assert (
        "pullpass.dev/role-arn" not in patched(obj, answer(obj, content=several))["metadata"]["annotations"]
    )


def test_what_ecr_anywhere_wrote_is_kept_true_where_it_stands() -> None:
    older = {
        "ecr-anywhere.centml.ai/expires_at": "2026-11-21T00:00:00Z",
        "ecr-anywhere.centml.ai/updated_at": "2026-11-20T12:00:00Z",
        "ecr-anywhere.centml.ai/marked_for_update_at": "2026-11-20T18:00:00Z",
    }
    obj = secret({".dockerconfigjson": FAKE}, older)
    newer = older | {
        "ecr-anywhere.centml.ai/expires_at": "2026-11-22T21:00:00Z",
        "ecr-anywhere.centml.ai/updated_at": "2026-11-22T09:00:00Z",
    }
    assert newer | ANNOTATIONS == patched(obj, answer(obj))["metadata"]["annotations"]


@pytest.mark.parametrize(
    "changes",
    [
        {"enabled": False},
        {"namespace": "pullpass-system"},
        {"username": "system:serviceaccount:pullpass-system:pullpass-agent"},
        {"operation": "DELETE"},
        {"operation": "CONNECT"},
        {"removing": True},
        {"pull_secret": PullSecret()},
    ],
)
@pytest.mark.parametrize("policy", ["Ignore", "Fail"])
def test_what_does_not_concern_it_passes_as_it_is(changes: dict[str, Any], policy: str) -> None:
    assert Answer() == answer(secret({".dockerconfigjson": FAKE}), **({"policy": policy} | changes))


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"labels": None},
        {"labels": {"pullpass.dev/managed": "false"}},
        {"labels": {"pullpass.dev/managed": "true", "app.kubernetes.io/managed-by": "pullpass"}},
        {"labels": {"pullpass.dev/managed": "true"}, "deletionTimestamp": "2026-11-22T09:00:00Z"},
    ],
    ids=["no labels", "null", "another value", "our own pull secret", "ending"],
)
def test_another_secret_passes_as_it_is(metadata: dict[str, Any]) -> None:
    assert Answer() == answer({"metadata": metadata, "type": TYPE}, policy="Fail", content=None)


def test_a_deletion_has_no_object_and_passes() -> None:
    assert Answer() == answer(None, secret())


def asked(
    known: AgentConfiguration | None,
    newest: Callable[[], AgentConfiguration | None],
    enabled: Callable[[str, Label], bool] = lambda _, __: True,
) -> Answer:
    """By an API server whose webhook is of another moment than what this replica knows."""
    handle = handler(
        configuration=lambda: known,
        newest=newest,
        content=lambda: CONTENT,
        enabled=enabled,
        now=lambda: NOW,
    )
    return handle(Review("u", "CREATE", "shop", "ecr", "alice", dry_run=False, object=secret()))


def labelled(**members: Any) -> AgentConfiguration:
    return replace(CONFIGURATION, pull_secret=PullSecret(labelled=Labelled(failure_policy="Fail", **members)))


BEHIND = {
    "not on yet": replace(CONFIGURATION, pull_secret=PullSecret()),
    "another label on the secret": labelled(secret_label=Label("older", "true")),
    "another label on the namespace": labelled(namespace_label=Label("older", "true")),
    "none read yet": None,
}


@pytest.mark.parametrize("known", BEHIND.values(), ids=BEHIND.keys())
def test_a_replica_that_is_behind_asks_and_lets_no_secret_in_unfilled(
    known: AgentConfiguration | None,
) -> None:
    given_answer = asked(known, labelled, lambda _, label: label.key != "older")
    assert FILLED == patched(secret(), given_answer)["data"][".dockerconfigjson"]


@pytest.mark.parametrize("known", BEHIND.values(), ids=BEHIND.keys())
def test_where_it_cannot_ask_the_failure_policy_decides(known: AgentConfiguration | None) -> None:
    def silent() -> AgentConfiguration:
        raise Unreachable("no answer")

    with pytest.raises(Unreachable):
        asked(known, silent, lambda _, label: label.key != "older")


def test_one_that_knows_does_not_ask() -> None:
    def never() -> AgentConfiguration:
        raise AssertionError

    assert asked(labelled(), never).patch


@pytest.mark.parametrize(
    "newest",
    [replace(CONFIGURATION, pull_secret=PullSecret()), replace(CONFIGURATION, removing=True), None],
    ids=["off", "being removed", "gone"],
)
def test_what_was_turned_off_stands_in_nobodys_way(newest: AgentConfiguration | None) -> None:
    assert Answer() == asked(replace(CONFIGURATION, pull_secret=PullSecret()), lambda: newest)


def test_without_a_configuration_nothing_is_answered() -> None:
    with pytest.raises(NotReady):
        asked(None, lambda: None)


def test_ignore_admits_what_cannot_be_filled_yet_in_a_form_that_can_be_stored() -> None:
    obj = secret({".dockerconfigjson": FAKE})
    given_answer = answer(obj, content=None)
    stored = patched(obj, given_answer)["data"][".dockerconfigjson"]
    assert (True, {"auths": {}}) == (given_answer.allowed, json.loads(base64.b64decode(stored)))
    assert "filled later" in given_answer.warnings[0]


def test_ignore_leaves_valid_content_as_it_is_until_there_is_something_better() -> None:
    obj = secret({".dockerconfigjson": base64.b64encode(b'{"auths":{"x":{}}}').decode()})
    assert () == answer(obj, content=None).patch


def test_fail_refuses_what_cannot_be_filled_and_says_what_to_do() -> None:
    given_answer = answer(secret({".dockerconfigjson": FAKE}), content=None, policy="Fail")
    assert not given_answer.allowed
    assert "failurePolicy is Fail" in given_answer.message
    assert "kubectl -n pullpass-system logs" in given_answer.message


@pytest.mark.parametrize("policy", ["Ignore", "Fail"])
def test_a_secret_that_holds_something_good_never_loses_it(policy: str) -> None:
    old = secret({".dockerconfigjson": FILLED, "mine": "eA=="}, ANNOTATIONS)
    obj = secret({".dockerconfigjson": FAKE, "mine": "eQ=="}, {"note": "x"})
    given_answer = answer(obj, old, content=None, policy=policy)
    expected = secret({".dockerconfigjson": FILLED, "mine": "eQ=="}, ANNOTATIONS | {"note": "x"})
    assert (True, expected) == (given_answer.allowed, patched(obj, given_answer))


def test_what_has_expired_is_not_held_to_be_good() -> None:
    expired = ANNOTATIONS | {"pullpass.dev/expires-at": "2026-11-22T09:00:00Z"}
    old = secret({".dockerconfigjson": FILLED}, expired)
    assert not answer(secret({".dockerconfigjson": FAKE}), old, content=None, policy="Fail").allowed


@pytest.mark.parametrize(("policy", "allowed"), [("Ignore", True), ("Fail", False)])
def test_another_type_cannot_be_filled(policy: str, *, allowed: bool) -> None:
    given_answer = answer(secret(type="Opaque"), policy=policy)
    assert (allowed, ()) == (given_answer.allowed, given_answer.patch)
    assert "Opaque" in given_answer.message + "".join(given_answer.warnings)


def test_an_immutable_secret_is_filled_once_with_a_warning() -> None:
    obj = secret({".dockerconfigjson": FAKE}, immutable=True)
    given_answer = answer(obj)
    assert FILLED == patched(obj, given_answer)["data"][".dockerconfigjson"]
    assert "immutable" in given_answer.warnings[0]


@pytest.mark.parametrize("policy", ["Ignore", "Fail"])
def test_an_update_of_an_immutable_secret_is_not_made_impossible(policy: str) -> None:
    obj = secret({".dockerconfigjson": FAKE}, immutable=True)
    given_answer = answer(obj, obj, policy=policy)
    assert (True, ()) == (given_answer.allowed, given_answer.patch)


def test_nothing_secret_is_said() -> None:
    for content in (CONTENT, None):
        for policy in ("Ignore", "Fail"):
            given_answer = answer(secret({".dockerconfigjson": FAKE}), content=content, policy=policy)
            said = given_answer.message + "".join(given_answer.warnings)
            assert FILLED not in said
            assert "FAKE" not in said


KEYS = st.sampled_from([".dockerconfigjson", "mine", "a~b", "tls.crt"])
MARKS = st.sampled_from([*ANNOTATIONS, "ecr-anywhere.centml.ai/expires_at", "note", "a/b~c"])
SECRETS = st.builds(
    secret,
    data=st.none() | st.dictionaries(KEYS, st.sampled_from([FAKE, FILLED, "", "e30="])),
    annotations=st.none() | st.dictionaries(MARKS, st.sampled_from(["x", *ANNOTATIONS.values()])),
)
CONTENTS = st.sampled_from([CONTENT, replace(CONTENT, role_arn=""), None])
POLICIES = st.sampled_from(["Ignore", "Fail"])


@settings(deadline=None)  # other tests run beside it
@given(SECRETS, st.none() | SECRETS, CONTENTS, POLICIES)
def test_a_second_review_of_what_was_patched_changes_nothing(
    obj: dict[str, Any], old: dict[str, Any] | None, content: LabelledContent | None, policy: str
) -> None:
    first = answer(obj, old, content=content, policy=policy)
    second = answer(patched(obj, first), old, content=content, policy=policy)
    assert () == second.patch


@settings(deadline=None)  # other tests run beside it
@given(SECRETS, st.none() | SECRETS, CONTENTS, POLICIES)
def test_what_is_not_ours_survives(
    obj: dict[str, Any], old: dict[str, Any] | None, content: LabelledContent | None, policy: str
) -> None:
    def others(found: dict[str, Any]) -> tuple[Any, ...]:
        data, annotations = found.get("data") or {}, found["metadata"].get("annotations") or {}
        ours = {*ANNOTATIONS, "ecr-anywhere.centml.ai/expires_at"}
        return (
            {key: value for key, value in data.items() if key != ".dockerconfigjson"},
            {key: value for key, value in annotations.items() if key not in ours},
            found["metadata"]["labels"],
            found["type"],
        )

    assert others(obj) == others(patched(obj, answer(obj, old, content=content, policy=policy)))


@settings(deadline=None)  # other tests run beside it
@given(SECRETS, st.none() | SECRETS, CONTENTS)
def test_ignore_always_admits_something_that_can_be_stored(
    obj: dict[str, Any], old: dict[str, Any] | None, content: LabelledContent | None
) -> None:
    given_answer = answer(obj, old, content=content)
    assert given_answer.allowed
    json.loads(base64.b64decode(patched(obj, given_answer)["data"][".dockerconfigjson"], validate=True))
