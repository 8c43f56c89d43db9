"""What the reconciler asks of an add-on, and what it gives it: the seam between the engine and the add-ons.

The reconciler goes through `controller.addons.ADD_ONS` and knows none of them by name. Everything here is pure: an
add-on sees a frozen picture of one cluster at one time and says what it wants and what it makes of what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from aws.arns import parse_role
from fleet.records import ClusterKey
from kube.objects import Object, ObjectKey
from schemas import issues
from schemas.connection import Connection
from schemas.manifest import Manifest
from schemas.status import AddOnStatus, Condition, Issue, State

Evidence = Mapping[ObjectKey, Object]


@dataclass(frozen=True)
class Identity:
    """Where this cluster's web identity tokens come from, and whether AWS will believe them.

    `provider_url` is None while unknown or unusable. `status`, `reason` and `message` are those of the condition
    `IssuerUsable`. `blocks` tells that nothing new is installed until a person has acted.
    """

    provider_url: str | None = None
    audience: str = ""
    status: str = "Unknown"
    reason: str = "NotAsked"
    message: str = ""
    issues: tuple[Issue, ...] = ()
    blocks: bool = False


@dataclass(frozen=True)
class Server:
    """What the API server said of itself: its `version` as (major, minor) (zeros: unknown), `named` in its own words.

    `token_audiences` are those that kubelets may ask workloads' tokens for, as far as our ClusterRole says.
    `has_eks_webhook`: the EKS pod identity webhook is installed in the cluster.
    """

    version: tuple[int, int] = (0, 0)
    named: str = ""
    token_audiences: frozenset[str] = frozenset()
    has_eks_webhook: bool = False


@dataclass(frozen=True)
class Context:
    """One cluster at one time.

    `since` is when this process first worked on this generation: the start of every grace period. A cluster without a
    connection has one with an empty server.
    """

    uid: str
    key: ClusterKey
    generation: int
    manifest: Manifest
    connection: Connection
    agent_image: str
    now: datetime
    since: datetime
    identity: Identity = field(default_factory=Identity)
    server: Server = field(default_factory=Server)

    def issue(
        self, code: str, values: Mapping[str, str] | None = None, *, resources: tuple[str, ...] = ()
    ) -> Issue:
        """The issue with this cluster's values filled in, and `values` over them."""
        own, said = self._values(), values or {}
        other = said.get("ROLE_ARN", own.get("ROLE_ARN")) != own.get("ROLE_ARN")
        return issues.issue(code, {**own, **said}, resources=resources, other_role=other)

    def condition(self, kind: str, status: str, reason: str, message: str = "") -> Condition:
        """A condition that changed now; `schemas.status.with_transition_times` keeps the older time."""
        return Condition(kind, status, reason, message, self.now, self.generation)

    def _values(self) -> dict[str, str]:
        values = {
            "CLUSTER": self.key.name,
            "ORG": self.key.org,
            "UID": self.uid,
            "VERSION": self.server.named,
        }
        if self.connection.server:
            values["SERVER"] = self.connection.server
        if self.manifest.aws_workload_identity is not None:
            values["AUDIENCE"] = self.manifest.aws_workload_identity.audience
        if self.identity.provider_url:
            values["ISSUER"] = self.identity.provider_url
            values["ISSUER_HOST"] = self.identity.provider_url.removeprefix("https://")
        add_on = self.manifest.aws_ecr
        if add_on is not None and add_on.role_arn:
            role = parse_role(add_on.role_arn)
            values |= {
                "ROLE_ARN": add_on.role_arn,
                "ROLE_NAME": role.name,
                "ACCOUNT": role.account,
                "PARTITION": role.partition,
            }
        return values


@dataclass(frozen=True)
class Departure:
    """How far an add-on's removal phase is.

    `finished`: what it applied may be pruned now. Until then `objects` are what has to stand in the cluster for the
    phase to go on, and `status` (state Removing) says what it waits for. `last` is pruned behind everything else:
    the proof that the phase is over, which a run that is cut short must find again. Issues of a finished one are what
    it leaves undone: they go into the event log.
    """

    finished: bool
    status: AddOnStatus
    objects: tuple[Object, ...] = ()
    last: tuple[ObjectKey, ...] = ()


@dataclass(frozen=True)
class AddOn:
    """The cluster half of one add-on.

    Attributes:
        enabled: Whether the manifest asks for it.
        obstacles: Why it cannot be installed now, each a person's to mend: nothing is installed anew, and what is
            installed is left alone.
        stage: Where it is on its way from one way of working to another, in one word; "" where it is on none.
        desired: The objects that should stand in the cluster at that stage; never asked while there are obstacles.
        evidence: The objects that `observe` and `remove` want to see whole.
        kept: Objects that others make for it in the cluster, which stay as long as it does.
        observe: The status, from what the cluster shows.
        remove: One step of the removal phase.
    """

    enabled: Callable[[Manifest], bool]
    obstacles: Callable[[Context], tuple[Issue, ...]]
    desired: Callable[[Context, str], tuple[Object, ...]]
    observe: Callable[[Context, Evidence], AddOnStatus]
    remove: Callable[[Context, Evidence], Departure]
    evidence: tuple[ObjectKey, ...] = ()
    kept: tuple[ObjectKey, ...] = ()
    stage: Callable[[Context, Evidence], str] = lambda _context, _evidence: ""


def removed() -> Departure:
    """Nothing of the add-on is left to be given back."""
    return Departure(finished=True, status=AddOnStatus(State.REMOVING))
