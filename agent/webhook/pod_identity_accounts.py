"""What service accounts say of their pods' AWS identity, known at the moment a pod is admitted.

The annotations are those of the EKS pod identity webhook. That one knows service accounts from a watch alone, and a
pod that is made right after its service account, or right after the annotation, starts without an identity and never
gets one (https://github.com/aws/amazon-eks-pod-identity-webhook/issues/174). Here the watch only saves questions: it
keeps the service accounts that name a role, and of every other one the API server is asked. So a pod is left alone
only on the API server's own word. Used by `agent.webhook.pod_identity_source`.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass

from agent.informer import Follower, Informer, Scope
from kube.client import Client
from kube.errors import KubeError, NotFound, Unreachable
from kube.objects import SERVICE_ACCOUNT, Object
from reconcile.clock import Clock, Random

PREFIX = "eks.amazonaws.com/"
SHORTEST_SECONDS, LONGEST_SECONDS = 600, 86_400
# The longest silence of the API server that a lookup bears: a wait for somebody else's lookup, a connection and an
# answer stay together under the webhook's own time-out of 3 seconds.
LOOKUP_SECONDS = 0.8
# The pods of one owner come together; a word of the API server holds for them.
REMEMBERED_SECONDS = 5.0

_INTEGER = re.compile(r"[+-]?[0-9]+")
_LARGEST_INTEGER = 2**63 - 1
# Go's strconv.ParseBool.
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


@dataclass(frozen=True)
class AccountIdentity:
    """The role that a service account names; None where it leaves the rest to the configuration."""

    role_arn: str
    audience: str | None = None
    regional_sts: bool | None = None
    token_expiration_seconds: int | None = None


def read(account: Object) -> AccountIdentity | None:
    """What a ServiceAccount's annotations say; None when it names no role. What cannot be read counts as not said."""
    annotations = account["metadata"].get("annotations") or {}
    role_arn = annotations.get(f"{PREFIX}role-arn")
    if not role_arn:
        return None
    return AccountIdentity(
        role_arn,
        annotations.get(f"{PREFIX}audience"),
        _boolean(annotations.get(f"{PREFIX}sts-regional-endpoints")),
        token_expiration(annotations.get(f"{PREFIX}token-expiration")),
    )


def token_expiration(text: str | None) -> int | None:
    """Seconds, brought within the limits; None when `text` is no integer (decimal, 64 bits, as Go reads it)."""
    if text is None or _INTEGER.fullmatch(text) is None:
        return None
    seconds = int(text)
    if not -_LARGEST_INTEGER - 1 <= seconds <= _LARGEST_INTEGER:
        return None
    return max(SHORTEST_SECONDS, min(seconds, LONGEST_SECONDS))


def _boolean(text: str | None) -> bool | None:
    if text in _TRUE:
        return True
    return False if text in _FALSE else None


@dataclass
class _Lookup:
    """One question to the API server, shared by all who have it at the same time."""

    done: bool = False
    at: float = 0.0
    found: AccountIdentity | None = None
    error: KubeError | None = None


class Accounts(Follower[AccountIdentity]):
    """The cluster's service accounts, as far as they name a role.

    Args:
        client: For the watch.
        lookups: For the questions; its answers must not take longer than `LOOKUP_SECONDS`.
        clock: For both.
        random: For the watch.
    """

    def __init__(self, client: Client, lookups: Client, *, clock: Clock, random: Random) -> None:
        self._lookup_client = lookups
        self._clock = clock
        self._condition = threading.Condition()
        self._lookups: dict[tuple[str, str], _Lookup] = {}
        super().__init__(
            Informer(
                client,
                Scope(SERVICE_ACCOUNT, metadata_only=True),
                view=read,
                changed=lambda _, __: None,
                clock=clock,
                random=random,
            )
        )

    def of(self, namespace: str, name: str) -> AccountIdentity | None:
        """What service account `name` says; None when it names no role, or is not there.

        Raises:
            KubeError: the watch knows of no role and the API server does not answer.
        """
        seen = self._informer.get(namespace, name)
        return seen if seen is not None else self._look_up((namespace, name))

    def _look_up(self, key: tuple[str, str]) -> AccountIdentity | None:
        with self._condition:
            now = self._clock.monotonic()
            self._lookups = {
                each: lookup
                for each, lookup in self._lookups.items()
                if not lookup.done or now < lookup.at + REMEMBERED_SECONDS
            }
            lookup, mine = self._lookups.get(key), False
            if lookup is None:
                lookup, mine = self._lookups.setdefault(key, _Lookup()), True
        if mine:
            self._ask(key, lookup)
        else:
            self._await(lookup, now + LOOKUP_SECONDS)
        if lookup.error is not None:
            raise Unreachable(str(lookup.error)) from lookup.error
        return lookup.found

    def _ask(self, key: tuple[str, str], lookup: _Lookup) -> None:
        namespace, name = key
        remembered = False
        try:
            lookup.found = read(self._lookup_client.get(SERVICE_ACCOUNT, name, namespace=namespace))
            remembered = True
        except NotFound:
            pass  # not remembered: it may be made any moment
        except KubeError as error:
            lookup.error = error
        finally:
            with self._condition:
                lookup.done, lookup.at = True, self._clock.monotonic()
                if not remembered:
                    del self._lookups[key]
                self._condition.notify_all()

    def _await(self, lookup: _Lookup, until: float) -> None:
        with self._condition:
            while not lookup.done:
                left = until - self._clock.monotonic()
                if left <= 0:
                    raise Unreachable("the API server does not answer in time")
                self._clock.wait(self._condition, left)
