"""The two documents between hub and agent, versioned because the two are upgraded apart.

The hub writes `AgentConfiguration` into ConfigMap `pullpass-agent` (key `configuration.json`); the agent
writes `AgentReport` into ConfigMap `pullpass-status` (key `report.json`). Both in namespace `pullpass-system`.
A reader ignores members it does not know; a writer never changes the meaning of a member.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.addons.aws_ecr import PullSecret
from schemas.connection import AwsAccess

NAMESPACE_NAME = "pullpass-system"
HUB_ACCOUNT = "pullpass-hub"
AGENT_ACCOUNT = "pullpass-agent"
CONFIGURATION_NAME = "pullpass-agent"
CONFIGURATION_KEY = "configuration.json"
REPORT_NAME = "pullpass-status"
REPORT_KEY = "report.json"
SECRET_NAME = "pullpass-ecr"  # noqa: S105 - the name of an object


@dataclass(frozen=True)
class AgentConfiguration:
    """What the agent is to do.

    `generation` counts the hub's changes and comes back in the report. `removing` asks the agent to give back
    everything. `registries` are hosts; empty: the agent reads them off the images of the pods it sees.
    `region` is where STS is called: the first registry's, when None.
    """

    generation: int
    cluster_uid: str
    organisation: str
    cluster: str
    removing: bool
    role_arn: str
    audience: str
    region: str | None
    registries: tuple[str, ...]
    verify_image: str | None = None
    pull_secret: PullSecret = field(default_factory=PullSecret)
    aws: AwsAccess = field(default_factory=AwsAccess)


@dataclass(frozen=True)
class ReportedHop:
    """One hop of the walk token → sts → ecr → registry.

    `code` is an issue code of `schemas.issues` ("" where it succeeded); `message` holds AWS's own words.
    """

    name: str
    succeeded: bool
    code: str = ""
    message: str = ""


@dataclass(frozen=True)
class ReportedCredential:
    """One region's ECR credential, which serves all `registries` of that region."""

    region: str
    registries: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class NamespaceError:
    """One namespace that does not have what it should; `code` as in `schemas.issues`."""

    namespace: str
    code: str
    message: str


@dataclass(frozen=True)
class AgentReport:
    """What the agent did and saw.

    `generation` is the configuration's that it speaks of; `removed` is true once everything was given back.
    `hops` is the last walk, `verified_at` the last time all of it succeeded. At most 20 `namespace_errors`
    are listed, `namespaces_selected` and `namespaces_ready` count all.
    """

    generation: int
    agent_version: str
    written_at: datetime
    removed: bool = False
    registries: tuple[str, ...] = ()
    hops: tuple[ReportedHop, ...] = ()
    verified_at: datetime | None = None
    credentials: tuple[ReportedCredential, ...] = ()
    namespaces_selected: int = 0
    namespaces_ready: int = 0
    namespace_errors: tuple[NamespaceError, ...] = ()


def dump_configuration(configuration: AgentConfiguration) -> str:
    """Canonical JSON text (sorted keys): equal configurations give equal text."""
    raise NotImplementedError


def load_configuration(text: str) -> AgentConfiguration:
    """Raises `ValueError`, naming the member, when the text is no configuration of a version we read."""
    raise NotImplementedError


def dump_report(report: AgentReport) -> str:
    """Canonical JSON text (sorted keys)."""
    raise NotImplementedError


def load_report(text: str) -> AgentReport:
    """Raises `ValueError`, naming the member, when the text is no report of a version we read."""
    raise NotImplementedError


def labels(cluster_uid: str, add_on: str) -> Mapping[str, str]:
    """The labels every object of ours carries in a cluster."""
    return {
        "app.kubernetes.io/managed-by": "pullpass",
        "pullpass.dev/cluster": cluster_uid,
        "pullpass.dev/add-on": add_on,
    }
