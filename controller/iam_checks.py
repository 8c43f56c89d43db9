"""Compares what AWS holds with what each cluster needs, hourly and on change, and never in the way of a reconcile.

Where the hub has been given read access (`PULLPASS_IAM_CHECK_ROLE`), threads of their own read each role's account;
a reconcile only takes the last answer, so that an AWS that is slow or away delays nothing. Without access, or without
an answer, the status says so: `not checked` is not `fine`. Called by `controller.cluster`.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from aws import images, registry_hosts
from aws.arns import parse_role
from aws.setup import check, registry_sides
from aws.setup.check import Difference, Found, Part
from aws.setup.wanted import Permissions, TrustedCluster, Wanted
from aws.trust_policy import TrustedWorkload, subject
from controller.addons.addon import Context
from controller.addons.ecr_configuration import KEY
from fleet import external_ids
from fleet.database import Database
from fleet.records import Cluster
from reconcile.clock import Clock
from schemas import trusted_accounts
from schemas.status import AddOnStatus, Issue, Json
from schemas.times import format_time

if TYPE_CHECKING:
    from aws.hub_identity import HubIdentity

_AGAIN = timedelta(hours=1)
_AGAIN_UNANSWERED = timedelta(minutes=5)
_THREADS = 4
_NO_ROLE = "the hub has not been given read access (PULLPASS_IAM_CHECK_ROLE)"
_CODES = {
    Part.PROVIDER: "IamProviderDiffers",
    Part.TRUST: "IamTrustDiffers",
    Part.PERMISSIONS: "IamPermissionsDiffer",
    Part.REGISTRY: "RegistryPolicyDiffers",
}

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Answer:
    """What was found at `checked_at`; None: not checked, and `reason` says why."""

    checked_at: datetime | None
    found: Found = field(default_factory=Found)
    reason: str = ""


@dataclass(frozen=True)
class _Entry:
    """The last answer for `wanted`, asked for under `generation`; `due` is when to ask again."""

    wanted: Wanted
    generation: int
    answer: Answer
    due: datetime


class IamChecks:
    """The last answers, and the threads that find new ones. Thread-safe.

    Args:
        database: For the organisations' external ids.
        role_name: The role that may read, in each account; None: nothing is ever read.
        clock: The time.
        changed: Told the uid of a cluster whose answer is new.
    """

    def __init__(
        self,
        database: Database,
        role_name: str | None,
        *,
        clock: Clock,
        changed: Callable[[str], None] = lambda _uid: None,
    ) -> None:
        self._database = database
        self._role_name = role_name
        self._clock = clock
        self._changed = changed
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._under_way: dict[str, tuple[Cluster, Wanted]] = {}  # by uid, the newest question
        self._queue: queue.SimpleQueue[tuple[Cluster, Wanted] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._identity: HubIdentity | None = None

    def told(
        self, context: Context, cluster: Cluster, add_ons: Mapping[str, AddOnStatus]
    ) -> dict[str, AddOnStatus]:
        """`add_ons`, that of ECR with what is known of its side in AWS; waits for nobody."""
        found = dict(add_ons)
        status = found.get(KEY)
        if status is not None:
            answer = self._answer(cluster, *_wanted(context, cluster, status))
            found[KEY] = replace(
                status,
                issues=(*status.issues, *_issues(context, answer.found.differences)),
                details={**status.details, "iam": _shown(answer)},
            )
        return found

    def drop(self, uids: Iterable[str]) -> None:
        """Forgets clusters."""
        with self._lock:
            for uid in uids:
                self._entries.pop(uid, None)
                self._under_way.pop(uid, None)

    def stop(self, timeout_seconds: float) -> None:
        """Asks no more; what is under way may end within the time, and is lost after it."""
        with self._lock:
            threads, self._threads = self._threads, []
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            thread.join(timeout_seconds)

    def _answer(self, cluster: Cluster, wanted: Wanted | None, reason: str) -> Answer:
        if self._role_name is None:
            return Answer(None, reason=_NO_ROLE)
        if wanted is None:
            return Answer(None, reason=reason)
        uid = cluster.uid
        with self._lock:
            known = self._entries.get(uid)
            if known is not None and known.wanted != wanted:
                known = None
            due = known is None or self._clock.now() >= known.due or known.generation != cluster.generation
            if due:
                if uid not in self._under_way:
                    self._queue.put((cluster, wanted))
                    self._start()
                self._under_way[uid] = (cluster, wanted)
        return known.answer if known is not None else Answer(None, reason="AWS has not answered yet")

    def _start(self) -> None:
        """The lock is held."""
        if len(self._threads) < _THREADS:
            thread = threading.Thread(target=self._work, name=f"iam-check-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            cluster, wanted = item
            uid = cluster.uid
            try:
                answer = self._ask(cluster.key.org, wanted)
            except Exception as error:  # noqa: BLE001 - a bug must not end the thread, nor pass for an answer
                _log.exception("IAM not checked", cluster=uid)
                answer = Answer(
                    None, reason=f"the controller failed ({type(error).__name__}); its log says how"
                )
            wait = _AGAIN if answer.checked_at is not None else _AGAIN_UNANSWERED
            with self._lock:
                newest = self._under_way.get(uid)
                if newest is None:
                    continue  # dropped meanwhile
                before = self._entries.get(uid)
                self._entries[uid] = _Entry(wanted, cluster.generation, answer, self._clock.now() + wait)
                if (newest[0].generation, newest[1]) == (cluster.generation, wanted):
                    del self._under_way[uid]
                else:
                    self._queue.put(newest)  # asked meanwhile
            if before is None or (before.wanted, before.answer) != (wanted, answer):
                self._changed(uid)

    def _ask(self, org: str, wanted: Wanted) -> Answer:
        from aws import iam_reader  # noqa: PLC0415 - boto3 is slow to import

        asking = {
            "role_name": self._role_name or "",
            "external_id": external_ids.of_organisation(self._database, org),
            "session": f"pullpass-{org}",
        }
        try:
            found = [check.compare(wanted, iam_reader.read(self._hub(), wanted=wanted, **asking))]
        except iam_reader.NotRead as error:
            return Answer(None, reason=str(error))
        for side in wanted.other_sides:
            try:
                policies = iam_reader.read_registry(self._hub(), side=side, **asking)
                found.append(registry_sides.compare(wanted.role, side, policies))
            except iam_reader.NotRead as error:
                words = f"the registry of account {side.account} in {side.region} was not checked: {error}"
                found.append(Found(unjudged=(words,)))
        differences = tuple(difference for one in found for difference in one.differences)
        unjudged = tuple(words for one in found for words in one.unjudged)
        return Answer(self._clock.now(), Found(differences, unjudged))

    def _hub(self) -> HubIdentity:
        from aws.hub_identity import HubIdentity  # noqa: PLC0415 - boto3 is slow to import

        with self._lock:
            if self._identity is None:
                self._identity = HubIdentity()
            return self._identity


def _wanted(context: Context, cluster: Cluster, status: AddOnStatus) -> tuple[Wanted | None, str]:
    """What this cluster needs of its role's account; None, and why there is nothing to compare."""
    wishes = context.manifest.aws_ecr
    if wishes is None or not wishes.role_arn:
        return None, "the cluster has no roleArn"
    issuer, accounts = (
        context.identity.provider_url,
        trusted_accounts.of_cluster(cluster.manifest, cluster.settings),
    )
    if issuer is None or not issuer.startswith("https://"):
        return None, "the cluster's OIDC provider URL is not known"
    if not accounts:
        return None, "the cluster assumes no role by web identity"
    workload = TrustedWorkload(
        issuer, context.identity.audience, tuple(subject(*account.split("/", 1)) for account in accounts)
    )
    hosts = wishes.registries or status.details.get("registries") or ()
    image = images.parse_image(wishes.verify_image) if wishes.verify_image else None
    registries = {registry_hosts.parse(str(host)) for host in hosts} | {image.registry if image else None}
    known = [registry for registry in registries if registry is not None]
    if not known:
        return None, "the cluster's registries are not known yet"
    return (
        Wanted(
            role=parse_role(wishes.role_arn),
            organisation=cluster.key.org,
            trusted=(TrustedCluster(cluster.uid, cluster.key.name, workload),),
            permissions=Permissions(
                registries=tuple(sorted(known, key=lambda registry: registry.host)),
                repositories=(image.repository,) if image is not None and len(known) == 1 else ("*",),
            ),
        ),
        "",
    )


def _issues(context: Context, differences: Iterable[Difference]) -> list[Issue]:
    """One issue for each part."""
    by_part: dict[Part, list[Difference]] = {}
    for difference in differences:
        by_part.setdefault(difference.part, []).append(difference)
    return [
        context.issue(
            _CODES[part],
            {**found[0].values, "MESSAGE": "; ".join(each.message for each in found)},
            resources=tuple(dict.fromkeys(each.resource for each in found)),
        )
        for part, found in by_part.items()
    ]


def _shown(answer: Answer) -> Json:
    """The member `iam` of the add-on's status."""
    if answer.checked_at is None:
        return {"checked": False, "reason": f"not checked: {answer.reason}"}
    return {
        "checked": True,
        "checkedAt": format_time(answer.checked_at),
        "differences": [each.message for each in answer.found.differences],
        "notJudged": list(answer.found.unjudged),
    }
