"""What the leading agent watches of the cluster: namespaces, service accounts, pull secrets, and pods where it must.

Pull secrets are watched by name as long as `pullpass-ecr` is the only one; by our label once there may be others,
which needs wider rights (`AgentConfiguration.wide_secrets`). Going back, the wide watch stays until nothing is left
elsewhere. Used by `agent.secrets.loop`, `agent.secrets.filling` and `agent.secrets.telling`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from agent.informer import Informer, Scope
from agent.secrets import pull_secret, registries, service_accounts
from agent.secrets.claims import ClaimKey, Selection
from agent.secrets.pull_secret import SecretView
from agent.secrets.selection import selects_namespace
from agent.secrets.service_accounts import Account
from agent.secrets.strangers import Strangers
from kube.client import Client
from kube.errors import Forbidden
from kube.objects import CONFIG_MAP, NAMESPACE, POD, SECRET, SERVICE_ACCOUNT, Object
from reconcile.clock import Clock, Random
from schemas.agent_documents import CONFIGURATION_KEY, CONFIGURATION_NAME, NAMESPACE_NAME, SECRET_NAME

_NARROW = Scope(SECRET, field_selector=f"metadata.name={SECRET_NAME}")
_WIDE = Scope(SECRET, label_selector=pull_secret.MANAGED_BY_US)


@dataclass(frozen=True)
class NamespaceView:
    """A namespace as far as it matters here."""

    labels: Mapping[str, str]
    terminating: bool


@dataclass(frozen=True)
class Told:
    """Who hears of changes: `namespace` of anything in one, by its name; `pod` of the images in use."""

    namespace: Callable[[str], None]
    pod: Callable[[], None]
    configuration: Callable[[], None]


class Views:
    """The informers, and the questions asked of them. Safe for several threads; `begin`, `follow` and `watch_pods` for one."""

    def __init__(self, client: Client, told: Told, *, clock: Clock, random: Random) -> None:
        self._client = client
        self._told = told
        self._clock = clock
        self._random = random
        self._namespaces = self._informer(
            Scope(NAMESPACE, metadata_only=True), _namespace_view, lambda _, name: told.namespace(name)
        )
        self.accounts: Informer[Account] = self._informer(
            Scope(SERVICE_ACCOUNT), service_accounts.read, lambda namespace, _: told.namespace(namespace)
        )
        self._configurations = self._informer(
            Scope(CONFIG_MAP, NAMESPACE_NAME, f"metadata.name={CONFIGURATION_NAME}"),
            _configuration_text,
            lambda _, __: told.configuration(),
        )
        self._strangers = Strangers(client, changed=told.namespace, clock=clock, random=random)
        self._begun = False
        # The scopes stand beside their informers: the one that is asked, and the one that is to follow it.
        self._secrets: tuple[Scope, Informer[SecretView]] | None = None
        self._next: tuple[Scope, Informer[SecretView]] | None = None
        self._pods: Informer[registries.Hosts] | None = None

    def start(self) -> None:
        """Begins with the configuration; as long as there is none, the agent has no right to the rest."""
        self._configurations.start()

    def begin(self) -> None:
        """Begins with what every configuration needs; called again it does nothing."""
        if not self._begun:
            self._begun = True
            self._namespaces.start()
            self.accounts.start()

    def stop(self) -> None:
        """Ends all watches."""
        self._strangers.stop()
        for informer in self._all():
            informer.stop()

    def join(self, timeout_seconds: float) -> None:
        """Waits for them to end."""
        self._strangers.join(timeout_seconds)
        for informer in self._all():
            informer.join(timeout_seconds)

    @property
    def configuration_synced(self) -> bool:
        """Whether the configuration was looked for."""
        return self._configurations.synced

    @property
    def synced(self) -> bool:
        """Whether what every configuration needs has been read."""
        return self._namespaces.synced and self.accounts.synced

    @property
    def secrets_synced(self) -> bool:
        """Whether pull secrets are known."""
        current = self._secrets
        return current is not None and current[1].synced

    def configuration(self) -> str | None:
        """The text of the configuration; None where there is none."""
        return self._configurations.get(NAMESPACE_NAME, CONFIGURATION_NAME)

    def follow(self, *, wide: bool, cluster_uid: str) -> bool:
        """Watches pull secrets as widely as is asked and needed; whether that is so now. To be called until it is.

        Raises:
            kube.errors.KubeError: the cluster's API failed.
        """
        if self._secrets is None and not wide:
            wide = self._others_are_left(cluster_uid)
        elif not wide:
            wide = self.elsewhere(cluster_uid) > 0
        scope = _WIDE if wide else _NARROW
        if self._secrets is None:
            self._secrets = (scope, self._watch_secrets(scope))
            return False
        if self._secrets[0] == scope:
            self._drop_next()
            return self._secrets[1].synced
        if self._next is None or self._next[0] != scope:
            self._drop_next()
            self._next = (scope, self._watch_secrets(scope))
        if not self._next[1].synced:
            return False
        before, self._secrets, self._next = self._secrets[1], self._next, None
        before.stop()
        return True

    def watch_pods(self, *, wanted: bool) -> None:
        """Begins or ends to watch pods: all images of a big cluster are much to watch."""
        if not wanted and self._pods is not None:
            self._pods.stop()
            self._pods = None
        elif wanted and self._pods is None:
            self._pods = self._informer(
                Scope(POD),
                registries.hosts_of_pod,
                lambda _, __: self._told.pod(),
                list_by=lambda: [name for _, name, _ in self._namespaces.everywhere()],
            )
            self._pods.start()

    def hosts_in_use(self) -> list[tuple[str, registries.Hosts]] | None:
        """Namespace and registries of each pod that uses any; None while that is not known."""
        if self._pods is None or not self._pods.synced:
            return None
        return [(namespace, hosts) for namespace, _, hosts in self._pods.everywhere()]

    @property
    def pods_are_watched(self) -> bool:
        """Whether a namespace's labels may change which registries are in use."""
        return self._pods is not None

    def sees(self, secret_name: str) -> bool:
        """Whether secrets by that name are watched."""
        return self._secrets is not None and (self._secrets[0] == _WIDE or secret_name == SECRET_NAME)

    @property
    def narrow(self) -> bool:
        """Whether secrets are watched by name."""
        return self._secrets is not None and self._secrets[0] == _NARROW

    def look_out_for(self, secret_name: str) -> bool:
        """Whether a secret by that name that is not ours is seen, and so its going; it is watched from now on."""
        return self.narrow or self._strangers.look_out_for(secret_name)

    def claimed(self, secret_names: Collection[str]) -> None:
        """Secrets by other names are in nobody's way."""
        self._strangers.keep_only(() if self.narrow else secret_names)

    @property
    def secrets(self) -> Informer[SecretView]:
        """Pull secrets; `follow` was called."""
        assert self._secrets is not None  # noqa: S101 - told to mypy: the loop follows before it plans
        return self._secrets[1]

    def our_secrets(self, namespace: str, cluster_uid: str) -> dict[str, SecretView]:
        """Those of ours in a namespace, by name; never any in our own."""
        if namespace == NAMESPACE_NAME or self._secrets is None:
            return {}
        return {
            name: found
            for name, found in self._secrets[1].in_namespace(namespace).items()
            if pull_secret.is_ours(found, cluster_uid)
        }

    def all_our_secrets(self, cluster_uid: str) -> list[SecretView]:
        """Those of ours anywhere."""
        if self._secrets is None:
            return []
        return [
            found
            for namespace, _, found in self._secrets[1].everywhere()
            if namespace != NAMESPACE_NAME and pull_secret.is_ours(found, cluster_uid)
        ]

    def elsewhere(self, cluster_uid: str) -> int:
        """How many of ours have another name than `SECRET_NAME`."""
        return sum(found.name != SECRET_NAME for found in self.all_our_secrets(cluster_uid))

    def remaining(self, cluster_uid: str) -> frozenset[ClaimKey]:
        """The claims of which a secret still stands in a namespace that is there to stay."""
        alive = self.alive()
        return frozenset(
            pull_secret.claim_of(found)
            for found in self.all_our_secrets(cluster_uid)
            if found.namespace in alive
        )

    def holding(self, cluster_uid: str) -> frozenset[str]:
        """The namespaces in which something of ours is left: a secret, or a reference."""
        secrets = {found.namespace for found in self.all_our_secrets(cluster_uid)}
        accounts = {namespace for namespace, _, account in self.accounts.everywhere() if account.marked}
        return frozenset(secrets | accounts)

    def holds(self, namespace: str, secret_name: str, cluster_uid: str) -> bool:
        """Whether a secret of ours by that name, or a reference to it, stands in the namespace."""
        return secret_name in self.our_secrets(namespace, cluster_uid) or any(
            secret_name in account.marked for account in self.accounts.in_namespace(namespace).values()
        )

    def namespace(self, name: str) -> NamespaceView | None:
        """One namespace."""
        return self._namespaces.get("", name)

    def namespaces(self) -> list[tuple[str, NamespaceView]]:
        """All of them."""
        return [(name, view) for _, name, view in self._namespaces.everywhere()]

    def alive(self) -> frozenset[str]:
        """The names of those that are not being deleted: in the others nothing can be made."""
        return frozenset(name for name, view in self.namespaces() if not view.terminating)

    def selected(self, selection: Selection) -> frozenset[str]:
        """The living namespaces that a claim selects."""
        return frozenset(
            name
            for name, view in self.namespaces()
            if not view.terminating and selects_namespace(selection, name, view.labels)
        )

    def _others_are_left(self, cluster_uid: str) -> bool:
        """Whether an agent before this one left secrets by other names, as far as we may still see them."""
        try:
            found = self._client.list(SECRET, label_selector=pull_secret.MANAGED_BY_US, metadata_only=True)
        except Forbidden:
            return False
        return any(
            obj["metadata"]["name"] != SECRET_NAME
            and obj["metadata"]["namespace"] != NAMESPACE_NAME
            and pull_secret.carries_our_labels(obj, cluster_uid)
            for obj in found.items
        )

    def _watch_secrets(self, scope: Scope) -> Informer[SecretView]:
        made = self._informer(scope, pull_secret.view, lambda namespace, _: self._told.namespace(namespace))
        made.start()
        return made

    def _drop_next(self) -> None:
        if self._next is not None:
            self._next[1].stop()
            self._next = None

    def _all(self) -> list[Informer[Any]]:
        found: list[Informer[Any]] = [self._namespaces, self.accounts, self._configurations]
        found += [each[1] for each in (self._secrets, self._next) if each is not None]
        return [*found, self._pods] if self._pods is not None else found

    def _informer(
        self, scope: Scope, view: Callable[[Object], Any], changed: Callable[[str, str], None], **more: Any
    ) -> Informer[Any]:
        return Informer(
            self._client,
            scope,
            view=view,
            changed=changed,
            clock=self._clock,
            random=self._random,
            **more,
        )


def _namespace_view(obj: Object) -> NamespaceView:
    metadata = obj["metadata"]
    return NamespaceView(dict(metadata.get("labels") or {}), "deletionTimestamp" in metadata)


def _configuration_text(obj: Object) -> str:
    return str((obj.get("data") or {}).get(CONFIGURATION_KEY, ""))
