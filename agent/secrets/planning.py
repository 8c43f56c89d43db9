"""From a configuration, what is watched and what claimants claim to a plan. Called by `agent.secrets.loop`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from agent.nodes.summing import Secrets
from agent.secrets import add_on, registries
from agent.secrets.duties import Claimant
from agent.secrets.identity import CredentialKey
from agent.secrets.plan import Plan, merged
from agent.secrets.pool import CredentialPool
from agent.secrets.selection import of_settings, selects_namespace
from agent.secrets.watching import Views
from aws import registry_hosts
from aws.registry_hosts import RegistryHost
from schemas.agent_documents import AgentConfiguration, AgentReport


@dataclass(frozen=True)
class Taken:
    """A configuration, when it was taken up, and what the report said then (the last leader's, or None)."""

    configuration: AgentConfiguration
    at: datetime
    previous: AgentReport | None


class Planner:
    """Makes plans. Used by one thread at a time."""

    def __init__(self, views: Views, pool: CredentialPool, claimants: Sequence[Claimant]) -> None:
        self._views = views
        self._pool = pool
        self._claimants = claimants

    def plan(self, taken: Taken, secrets: Secrets, before: Plan | None, now: datetime) -> Plan | None:
        """What is wanted now; None while the registries in use are not known yet. `secrets`: what nodes leave to do."""
        configuration = taken.configuration
        self._views.watch_pods(wanted=self._needs_pods(configuration, secrets))
        found = self._registries(taken, secrets, before, now)
        if found is None:
            return None
        removing = configuration.removing
        own = add_on.claims_of(configuration, found) if _serves_own(configuration, secrets) else ()
        others = [] if removing else [claim for each in self._claimants for claim in each.claims()]
        plan = Plan(
            configuration=configuration,
            configured_at=taken.at,
            registries=found,
            secrets=secrets,
            claims=merged(own, others, before.claims if before is not None else ()),
            complete=removing or all(claimant.synced for claimant in self._claimants),
        )
        if before is not None and plan.says_the_same(before):
            return before
        return replace(plan, serial=1 if before is None else before.serial + 1)

    def _needs_pods(self, configuration: AgentConfiguration, secrets: Secrets) -> bool:
        return (
            bool(configuration.role_arn)
            and not configuration.registries
            and not configuration.removing
            and (secrets is not Secrets.GIVE_BACK or configuration.pull_secret.labelled is not None)
        )

    def _registries(
        self, taken: Taken, secrets: Secrets, before: Plan | None, now: datetime
    ) -> tuple[RegistryHost, ...] | None:
        """The add-on's: none where no credential of it is needed, None where they are not known yet."""
        configuration = taken.configuration
        if not configuration.role_arn:
            return ()
        if configuration.removing:
            return registries.configured(configuration)
        idle = secrets is Secrets.GIVE_BACK or (
            secrets is Secrets.HOLD
            and (configuration.pull_secrets == "never" or not self._holds_own(configuration))
        )
        if idle and configuration.pull_secret.labelled is None:
            return ()
        if configuration.registries:
            return registries.configured(configuration)
        in_use = self._views.hosts_in_use()
        if in_use is None:
            return None
        known = before.registries if before is not None else _of_report(taken.previous)
        identity = add_on.identity_of(configuration)
        served = {
            registry.region
            for registry in known
            if self._pool.good(CredentialKey(identity, registry.region), now) is not None
        }
        return registries.seen(
            configuration,
            in_use,
            selected=lambda name: self._is_selected(configuration, name),
            known=known,
            served_regions=served,
        )

    def _holds_own(self, configuration: AgentConfiguration) -> bool:
        """Whether a pull secret of the add-on, or a reference to it, stands anywhere."""
        names = {configuration.pull_secret.name, configuration.pull_secret.public_name}
        uid = configuration.cluster_uid
        return any(found.name in names for found in self._views.all_our_secrets(uid)) or any(
            account.marked & names for _, _, account in self._views.accounts.everywhere()
        )

    def _is_selected(self, configuration: AgentConfiguration, name: str) -> bool:
        view = self._views.namespace(name)
        selection = of_settings(configuration.pull_secret)
        return view is not None and not view.terminating and selects_namespace(selection, name, view.labels)


def _serves_own(configuration: AgentConfiguration, secrets: Secrets) -> bool:
    """Whether the add-on claims anything. Without a role what stands stays, unless others are served alone."""
    wanted = configuration.pull_secret
    alone = not configuration.role_arn and (wanted.custom_resources or bool(wanted.adopt))
    return not alone and not configuration.removing and secrets is not Secrets.GIVE_BACK


def _of_report(report: AgentReport | None) -> tuple[RegistryHost, ...]:
    found = [registry_hosts.parse(host) for host in report.registries] if report is not None else []
    return tuple(registry for registry in found if registry is not None)
