"""Fills labelled secrets at admission, whatever they contain: the handler of `/labelled-secrets`.

The API server checks the JSON of such a secret only after this, so any content may come. What cannot be filled now is
admitted with a warning and filled by the leader's watch (`agent.labelled.duty`), or refused where the settings say
`Fail`. A secret that already holds something good never loses it. Pure but for what it is given; it writes nothing, so a
dry run is answered alike. Composed in `agent.brain`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from agent.labelled import content as contents
from agent.labelled.content import DATA_KEY, EMPTY, TYPE
from agent.secrets.content import LabelledContent
from agent.webhook.review import Answer, Handler, Review
from kube.objects import Object
from schemas.addons.aws_ecr import Label, Labelled
from schemas.agent_documents import AGENT_ACCOUNT, NAMESPACE_NAME, AgentConfiguration

_OURSELVES = f"system:serviceaccount:{NAMESPACE_NAME}:{AGENT_ACCOUNT}"
_FAIL = "settings.awsECR.pullSecret.labelled.failurePolicy is Fail"


class NotReady(Exception):
    """There is no configuration to go by: the API server then does what the failure policy says."""


def handler(
    *,
    configuration: Callable[[], AgentConfiguration | None],
    newest: Callable[[], AgentConfiguration | None],
    content: Callable[[], LabelledContent | None],
    enabled: Callable[[str, Label], bool],
    now: Callable[[], datetime],
) -> Handler:
    """The handler.

    The API server asks by the labels in its webhook, and the hub writes those after the configuration. So where what
    this replica knows of that does not fit what it is asked, it is behind, and asks: a secret goes unfilled only on the
    API server's own word.

    Args:
        configuration: What this replica's watch knows; None before the first was read.
        newest: What stands in the cluster; raises where that cannot be told.
        content: What to fill with now, if there is something good.
        enabled: Whether a namespace carries a label (`agent.webhook.namespaces`).
        now: The time.
    """

    def covering(found: AgentConfiguration | None, namespace: str, obj: Object) -> Labelled | None:
        labelled = None if found is None or found.removing else found.pull_secret.labelled
        if labelled is None or not _carries(obj, labelled.secret_label):
            return None
        return labelled if enabled(namespace, labelled.namespace_label) else None

    def handle(review: Review) -> Answer:
        obj = review.object
        if obj is None or not _concerned(review, obj):
            return Answer()
        known = configuration()
        labelled = covering(known, review.namespace, obj)
        if labelled is None:
            found = newest()
            if found is None and known is None:
                raise NotReady("there is no configuration yet")
            labelled = covering(found, review.namespace, obj)
        if labelled is None:
            return Answer()
        return _answer(labelled, obj, review.old_object, content(), now())

    return handle


def _concerned(review: Review, obj: Object) -> bool:
    """Whether the secret is a user's, and there to stay; what our own watch writes is right already."""
    metadata = obj.get("metadata") or {}
    return (
        review.operation in {"CREATE", "UPDATE"}
        and review.username != _OURSELVES
        and review.namespace != NAMESPACE_NAME
        and "deletionTimestamp" not in metadata
        and not contents.view({**obj, "metadata": metadata}).ours
    )


def _carries(obj: Object, label: Label) -> bool:
    return ((obj.get("metadata") or {}).get("labels") or {}).get(label.key) == label.value


def _answer(
    labelled: Labelled, obj: Object, old: Object | None, content: LabelledContent | None, now: datetime
) -> Answer:
    if obj.get("type") != TYPE:
        return _cannot(labelled, f"its type is {obj.get('type') or 'Opaque'}, not {TYPE}")
    if old is not None and old.get("immutable") is True:
        return Answer(warnings=("Pullpass: the secret is immutable and cannot be kept fresh",))
    if content is not None:
        frozen = ("Pullpass: filled, but the secret is immutable: it expires and cannot be kept fresh",)
        return Answer(patch=_filled(obj, content), warnings=frozen if obj.get("immutable") is True else ())
    if old is not None and contents.still_good(old, now):
        warning = "Pullpass: there are no new ECR credentials now; the secret keeps the ones it has"
        return Answer(patch=_kept(obj, old), warnings=(warning,))
    return _empty(labelled, obj)


def _cannot(labelled: Labelled, why: str) -> Answer:
    if labelled.failure_policy == "Fail":
        message = (
            f"Pullpass cannot fill this secret with ECR credentials: {why}, and {_FAIL}. Make it with type {TYPE}, or"
            f" take the label {labelled.secret_label.key} off."
        )
        return Answer(allowed=False, message=message)
    return Answer(warnings=(f"Pullpass does not fill this secret with ECR credentials: {why}",))


def _empty(labelled: Labelled, obj: Object) -> Answer:
    """There is nothing to fill it with."""
    if labelled.failure_policy == "Fail":
        message = (
            f"Pullpass has no ECR credentials to fill this secret with, and {_FAIL}: a labelled secret may not be there"
            f" without them. Why there are none: kubectl -n {NAMESPACE_NAME} logs deployment/{AGENT_ACCOUNT}, or"
            " the issues of add-on awsECR in the hub. Mend that and apply the secret again, or take the label"
            f" {labelled.secret_label.key} off."
        )
        return Answer(allowed=False, message=message)
    patch: tuple[Object, ...] = ()
    if not contents.is_valid(obj):  # the API server would refuse it, and the watch could never fill it
        patch = _data(obj, EMPTY)
    return Answer(patch=patch, warnings=("Pullpass has no ECR credentials yet; the secret is filled later",))


def _filled(obj: Object, content: LabelledContent) -> tuple[Object, ...]:
    present = (obj.get("metadata") or {}).get("annotations") or {}
    annotations = contents.changed_annotations(present, content)
    return (*_data(obj, contents.encoded(content)), *_annotations(obj, annotations))


def _kept(obj: Object, old: Object) -> tuple[Object, ...]:
    """What our part of the old object was."""
    before, present = contents.view(old).annotations, contents.view(obj).annotations
    annotations = {
        key: before.get(key) for key in {**before, **present} if before.get(key) != present.get(key)
    }
    return (*_data(obj, old["data"][DATA_KEY]), *_annotations(obj, annotations))


def _data(obj: Object, value: str) -> tuple[Object, ...]:
    """JSON patch operations that set `.dockerconfigjson`, and touch no other key."""
    data = obj.get("data")
    if data is None:
        return ({"op": "add", "path": "/data", "value": {DATA_KEY: value}},)
    if data.get(DATA_KEY) == value:
        return ()
    return ({"op": "add", "path": f"/data/{_escaped(DATA_KEY)}", "value": value},)


def _annotations(obj: Object, wanted: Mapping[str, str | None]) -> tuple[Object, ...]:
    """JSON patch operations that set annotations, or take away those that are None."""
    if not wanted:
        return ()
    if (obj.get("metadata") or {}).get("annotations") is None:
        value = {key: text for key, text in wanted.items() if text is not None}
        return ({"op": "add", "path": "/metadata/annotations", "value": value},)
    return tuple(
        {"op": "remove", "path": f"/metadata/annotations/{_escaped(key)}"}
        if text is None
        else {"op": "add", "path": f"/metadata/annotations/{_escaped(key)}", "value": text}
        for key, text in sorted(wanted.items())
    )


def _escaped(key: str) -> str:
    """RFC 6901."""
    return key.replace("~", "~0").replace("/", "~1")
