"""The namespaces' labels, for handlers: an informer, and one question to the API server where it says no.

The API server chose by the webhook's selectors already, and by a view that may be newer than ours: a namespace that got
its label a moment ago must not go unserved. Runs in every replica; composed in `agent.brain`.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.informer import Follower, Informer, Scope
from kube.client import Client
from kube.errors import NotFound
from kube.objects import NAMESPACE, Object
from reconcile.clock import Clock, Random
from schemas.addons.aws_ecr import Label


class Namespaces(Follower[Mapping[str, str]]):
    """Their labels.

    Args:
        client: For the watch.
        lookups: For the questions, while an admission waits.
        clock: For the informer.
        random: For the informer.
    """

    def __init__(self, client: Client, lookups: Client, *, clock: Clock, random: Random) -> None:
        self._lookups = lookups
        super().__init__(
            Informer(
                client,
                Scope(NAMESPACE, metadata_only=True),
                view=_labels,
                changed=lambda _, __: None,
                clock=clock,
                random=random,
            )
        )

    def carries(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether `namespace` has all of `labels` now.

        Raises:
            kube.errors.KubeError: it seems not to, and the API server does not say.
        """
        if not labels or _all(labels, self._informer.get("", namespace)):
            return True
        try:
            return _all(labels, _labels(self._lookups.get(NAMESPACE, namespace)))
        except NotFound:
            return False

    def enabled(self, namespace: str, label: Label) -> bool:
        """`carries` for one label; raises as it does."""
        return self.carries(namespace, {label.key: label.value})


def _labels(obj: Object) -> Mapping[str, str]:
    return dict(obj["metadata"].get("labels") or {})


def _all(wanted: Mapping[str, str], found: Mapping[str, str] | None) -> bool:
    return found is not None and wanted.items() <= found.items()
