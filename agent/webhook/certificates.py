"""Keeps the webhooks' certificate: who serves reads it, and the leader makes it, changes it in time, and spreads trust.

Secret `pullpass-webhook` holds it; `caBundle` of our MutatingWebhookConfigurations is the agent's alone (field manager
`pullpass-agent`), so what the hub applies never touches it; so is the path, which ends in a word that the Secret holds. A
change goes in steps, each of which can be the last of one
leader and be gone on from by the next: the new authority is written beside the old one; both stand in every `caBundle`
for a while; then the new certificate is served. The old authority is trusted until the old certificate has expired.

`ServingCertificate` runs in every replica, `Certificates` in the leader; both are started by `agent.brain`.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from agent.informer import Follower, Informer, Scope
from agent.secrets.patience import Patience
from agent.webhook import certificate
from agent.webhook.certificate import TYPE, Kept, Serving, Spoiled
from kube.client import Client
from kube.errors import Conflict, Fenced, KubeError
from kube.objects import MUTATING_WEBHOOK, SECRET, Object
from reconcile.clock import Clock, Random
from reconcile.queue import Backoff
from schemas.agent_documents import NAMESPACE_NAME, WEBHOOK_NAME, WEBHOOK_SECRET_NAME
from schemas.pod_identity_documents import POD_IDENTITY_NAME
from schemas.reported import ReportedWebhook

FIELD_MANAGER = "pullpass-agent"
CONFIGURATIONS = (WEBHOOK_NAME, POD_IDENTITY_NAME)
# API servers hear of a new caBundle by a watch of their own; one of several may lag behind.
SPREAD_SECONDS = 60.0
# With so little left the next certificate is served whether or not everybody trusts it: the old one is as good as dead.
_LAST_MOMENT = timedelta(hours=1)
# Wall clocks are set; a long wait is looked at again.
_LONGEST_WAIT_SECONDS = 3600.0
_BACKOFF = Backoff(base=1.0, maximum=60.0)
_JOIN_SECONDS = 5.0
_SYNC_POLL_SECONDS = 0.2

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Found:
    """The Secret: `kept` is None where `spoiled` says why it is of no use."""

    uid: str
    resource_version: str
    type: str
    kept: Kept | None
    spoiled: str = ""


@dataclass(frozen=True)
class Called:
    """How the API server calls a webhook: whom it trusts (in base64), and the path."""

    bundle: str
    path: str = field(repr=False)


class ServingCertificate(Follower[Found]):
    """What this replica serves with: the last good one that stood in the Secret.

    Args:
        client: The cluster.
        clock: For expiry, and the informer's pauses.
        random: Spreads those.
    """

    def __init__(self, client: Client, *, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._good: Kept | None = None
        self._listener: Callable[[], None] = _nobody
        super().__init__(
            Informer(
                client,
                Scope(SECRET, NAMESPACE_NAME, f"metadata.name={WEBHOOK_SECRET_NAME}"),
                view=self._view,
                changed=lambda _, __: self._listener(),
                clock=clock,
                random=random,
            )
        )

    @property
    def ready(self) -> bool:
        """Whether there is something to serve with."""
        return self.current() is not None

    def current(self) -> Serving | None:
        """For `agent.webhook.server`. A Secret that was deleted or spoiled leaves the last good one in use."""
        kept = self._good
        return kept.serving if kept is not None and self._clock.now() < kept.serving.expires_at else None

    @property
    def expires_at(self) -> datetime | None:
        """Of what is served, also of what has expired."""
        kept = self._good
        return None if kept is None else kept.serving.expires_at

    @property
    def last_good(self) -> Kept | None:
        """What `current` comes from."""
        return self._good

    def found(self) -> Found | None:
        """What stands in the cluster; None: nothing."""
        return self._informer.get(NAMESPACE_NAME, WEBHOOK_SECRET_NAME)

    @contextmanager
    def writing(self) -> Iterator[Callable[[Object], None]]:
        """Around a write of the Secret: hand over what the server answered, and it is known at once."""
        with self._informer.writing(NAMESPACE_NAME, WEBHOOK_SECRET_NAME) as written:
            yield written

    def tell(self, listener: Callable[[], None]) -> None:
        """Calls `listener` from now on when the Secret has changed."""
        self._listener = listener

    def _view(self, obj: Object) -> Found:
        metadata = obj["metadata"]
        told = metadata["uid"], metadata["resourceVersion"], obj.get("type", "")
        try:
            kept = certificate.read(obj, self._clock.now())
        except Spoiled as why:
            _log.warning("the webhooks' certificate cannot be used", reason=str(why))
            return Found(*told, None, str(why))
        self._good = kept
        return Found(*told, kept)


class Certificates:
    """The leader's part.

    Args:
        client: The cluster, fenced.
        serving: This replica's.
        changed: Called when `status` may say something else.
        failed: Counts what fails, by its reason.
        clock: For all waiting.
        random: Spreads retries.
    """

    def __init__(
        self,
        client: Client,
        serving: ServingCertificate,
        *,
        changed: Callable[[], None],
        failed: Callable[[str], None],
        clock: Clock,
        random: Random,
    ) -> None:
        self._client = client
        self._trusting = client.managing_as(FIELD_MANAGER)
        self._serving = serving
        self._changed = changed
        self._count = failed
        self._clock = clock
        self._random = random
        self._patience = Patience(clock)
        self._condition = threading.Condition()
        self._again = False
        self._stopping = False
        self._trusted_since: tuple[bytes, float] | None = None
        self._error = ""
        self._told: ReportedWebhook | None = None
        self._configurations = {
            name: Informer(
                client,
                Scope(MUTATING_WEBHOOK, field_selector=f"metadata.name={name}"),
                view=_called,
                changed=lambda _, __: self._wake(),
                clock=clock,
                random=random,
            )
            for name in CONFIGURATIONS
        }

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set."""
        threading.Thread(target=self._end_with, args=(stop,), name="certificates-stop", daemon=True).start()
        self._serving.tell(self._wake)
        for informer in self._configurations.values():
            informer.start()
        failures = 0
        while not self._stopping:
            try:
                seconds, failures = self._step(), 0
            except KubeError as error:
                seconds, failures = _BACKOFF.delay(failures, self._random), failures + 1
                self._failed(error)
            except Exception:  # noqa: BLE001 - a thread that died would let the certificate expire, unseen
                seconds, failures = _BACKOFF.delay(failures, self._random), failures + 1
                self._count("Unexpected")
                _log.exception("unexpected failure")
            self._tell()
            self._wait(seconds)
        self._serving.tell(_nobody)
        for informer in self._configurations.values():
            informer.stop()
        for informer in self._configurations.values():
            informer.join(_JOIN_SECONDS)

    def status(self) -> ReportedWebhook:
        """How the webhooks fare, for the report."""
        found = self._serving.found()
        kept = found.kept if found is not None else None
        return ReportedWebhook(
            certificate_expires_at=None if kept is None else kept.serving.expires_at,
            served=() if kept is None else tuple(sorted(self._standing() - self._lacking(kept).keys())),
            error=self._error,
        )

    def _step(self) -> float:
        """Does what is next; in how many seconds to look again, if nothing changes before."""
        self._error = ""
        if not self._serving.synced:
            return _SYNC_POLL_SECONDS
        now, found = self._clock.now(), self._serving.found()
        if found is None or found.kept is None or now >= found.kept.serving.expires_at:
            return self._begin(found, now)
        if not all(each.synced for each in self._configurations.values()):
            return _SYNC_POLL_SECONDS
        kept = found.kept
        if kept.upcoming is None and now >= kept.serving.due_at:
            _log.info("a new webhook certificate is made")
            return self._write(certificate.with_next(kept, now), found)
        alive = certificate.without_dead(kept, now)
        if alive != kept:
            return self._write(alive, found)
        wait = self._spread(kept)
        if kept.upcoming is not None:
            wait = min(wait, self._promote(kept, found, now))
        return min(wait, max(1.0, (kept.serving.due_at - now).total_seconds()), _LONGEST_WAIT_SECONDS)

    def _begin(self, found: Found | None, now: datetime) -> float:
        """Nothing good stands there. What replicas still serve stays trusted, and the new one is trusted first.

        Whoever deletes the Secret wants all of it anew, the word included.
        """
        last = self._serving.last_good
        kept = certificate.first(now, last, same_word=found is not None)
        _log.info(
            "a first webhook certificate is made",
            reason="missing" if found is None else found.spoiled or "expired",
        )
        if last is not None and now < last.serving.expires_at:
            self._spread(kept)
        if found is None:
            with self._serving.writing() as written:
                written(self._client.create(certificate.secret(kept)))
            return 0.0
        if found.type == TYPE:
            return self._write(kept, found)
        # A secret's type cannot be changed. It is made anew when the watch has told that it is gone.
        self._client.delete(SECRET, WEBHOOK_SECRET_NAME, namespace=NAMESPACE_NAME, uid=found.uid)
        return _LONGEST_WAIT_SECONDS

    def _write(self, kept: Kept, found: Found) -> float:
        wanted = certificate.secret(kept)
        wanted["metadata"]["resourceVersion"] = found.resource_version
        with self._serving.writing() as written:
            written(self._client.apply(wanted))
        return 0.0

    def _spread(self, kept: Kept) -> float:
        """Writes `caBundle` where it is another; in how many seconds what had to wait can be written."""
        wait = _LONGEST_WAIT_SECONDS
        for name, webhooks in self._lacking(kept).items():
            seconds = self._patience.wait_for(name)
            if seconds > 0.0:
                self._error = f"caBundle of {name} is changed back again and again by somebody else"
                wait = min(wait, seconds)
                continue
            self._trusting.apply(
                {
                    "apiVersion": MUTATING_WEBHOOK.api_version,
                    "kind": MUTATING_WEBHOOK.kind,
                    "metadata": {"name": name},
                    "webhooks": [
                        {
                            "name": webhook,
                            "clientConfig": {"caBundle": wanted.bundle, "service": {"path": wanted.path}},
                        }
                        for webhook, wanted in webhooks.items()
                    ],
                }
            )
            self._patience.wrote(name)
            _log.info("caBundle written", configuration=name)
        return wait

    def _promote(self, kept: Kept, found: Found, now: datetime) -> float:
        """Serves the next certificate once everybody has trusted it for a while; else says when to look again."""
        if now < kept.serving.expires_at - _LAST_MOMENT:
            if self._lacking(kept):
                self._trusted_since = None
                return _LONGEST_WAIT_SECONDS
            moment = self._clock.monotonic()
            if self._trusted_since is None or self._trusted_since[0] != kept.bundle:
                self._trusted_since = kept.bundle, moment
            left = self._trusted_since[1] + SPREAD_SECONDS - moment
            if left > 0:
                return left
        _log.info("the new webhook certificate is served")
        return self._write(certificate.promoted(kept), found)

    def _standing(self) -> frozenset[str]:
        return frozenset(
            name for name, each in self._configurations.items() if each.get("", name) is not None
        )

    def _lacking(self, kept: Kept) -> dict[str, dict[str, Called]]:
        """The configurations that do not say so everywhere, with what all their webhooks should say."""
        bundle = base64.b64encode(kept.bundle).decode()
        lacking = {}
        for name, informer in self._configurations.items():
            called = informer.get("", name) or {}
            wanted = {webhook: Called(bundle, path_of(webhook, kept.serving.word)) for webhook in called}
            if wanted != called:
                lacking[name] = wanted
        return lacking

    def _failed(self, error: KubeError) -> None:
        if isinstance(error, Conflict | Fenced):
            return  # what changed it is on its way to us, or another leads now
        self._count(type(error).__name__)
        _log.warning("the webhooks' certificate cannot be kept", error=str(error))
        self._error = str(error)

    def _tell(self) -> None:
        status = self.status()
        if status != self._told:
            self._told = status
            self._changed()

    def _wake(self) -> None:
        with self._condition:
            self._again = True
            self._condition.notify_all()

    def _end_with(self, stop: threading.Event) -> None:
        stop.wait()
        with self._condition:
            self._stopping = True
            self._condition.notify_all()

    def _wait(self, seconds: float) -> None:
        until = self._clock.monotonic() + seconds
        with self._condition:
            while not self._stopping and not self._again and (left := until - self._clock.monotonic()) > 0:
                self._clock.wait(self._condition, left)
            self._again = False


def path_of(webhook: str, word: str) -> str:
    """Where the API server sends the reviews of a webhook: `labelled-secrets.pullpass.dev` has `/labelled-secrets/…`."""
    return f"/{webhook.removesuffix('.pullpass.dev')}/{word}"


def _called(obj: Object) -> Mapping[str, Called]:
    """By the webhook's name."""
    found = {}
    for webhook in obj.get("webhooks") or ():
        client = webhook.get("clientConfig") or {}
        found[webhook["name"]] = Called(
            client.get("caBundle") or "", (client.get("service") or {}).get("path") or ""
        )
    return found


def _nobody() -> None:
    """Nobody listens."""
