"""One namespace's share: the secret there, and the references to it; or both given back.

Level based: reads the informers, writes what differs, and nothing when nothing does. Called by
`agent.secrets.loop` for the key of a namespace, by one worker at a time for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from agent.informer import Informer
from agent.secrets import pull_secret, service_accounts
from agent.secrets.patience import Patience
from agent.secrets.pull_secret import SecretView
from agent.secrets.selection import selects_account
from agent.secrets.service_accounts import Account
from aws.credentials import RegistryCredential
from aws.registry_hosts import RegistryHost
from kube.client import Client
from kube.errors import Conflict, Forbidden, Invalid, NotFound, ServerError
from kube.objects import SECRET, SERVICE_ACCOUNT, Object
from reconcile.outcome import Retryable
from schemas.agent_documents import SECRET_NAME, AgentConfiguration

_ATTEMPTS = 3


class NotFilled(Exception):
    """A namespace does not have what it should, and somebody there has to change something.

    `code` is an issue code. `retry`: it may change without an event that we see.
    """

    def __init__(self, code: str, message: str, *, retry: bool) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry = retry


@dataclass(frozen=True)
class Offer:
    """What there is to give: credentials by region, the good ones, and the one role they are for (else "")."""

    registries: tuple[RegistryHost, ...]
    credentials: Mapping[str, RegistryCredential]
    role_arn: str

    @property
    def complete(self) -> bool:
        """Whether every registry has a credential."""
        return bool(self.registries) and all(
            registry.region in self.credentials for registry in self.registries
        )


class Filling:
    """Writes in namespaces."""

    def __init__(
        self,
        client: Client,
        secrets: Informer[SecretView],
        accounts: Informer[Account],
        patience: Patience,
    ) -> None:
        self._patience = patience
        self._client = client
        self._secrets = secrets
        self._accounts = accounts

    def fill(self, namespace: str, configuration: AgentConfiguration, offer: Offer) -> bool:
        """Brings `namespace` to what it should be; whether it has a good secret now, for every registry.

        Raises:
            NotFilled: what the user has to change.
            kube.errors.KubeError: the cluster's API failed.
        """
        found = self._secrets.get(namespace, SECRET_NAME)
        if found is not None and not pull_secret.is_ours(found, configuration.cluster_uid):
            message = pull_secret.why_not_ours(found, configuration.cluster_uid)
            raise NotFilled("SecretNotOurs", message, retry=False)
        if offer.credentials:
            self._write_secret(namespace, configuration, offer, found)
        elif found is None:
            # A reference to a secret that is not there would only make the kubelet complain.
            return False
        self._each_account(
            namespace,
            lambda account: (
                service_accounts.patch_to_add(account)
                if selects_account(configuration.pull_secret, account.name)
                else service_accounts.patch_to_take_back(account)
            ),
        )
        return offer.complete

    def give_back(self, namespace: str, cluster_uid: str) -> None:
        """Takes our references out of `namespace`, then our secret. What is not ours stays.

        Raises:
            NotFilled: the cluster refuses it.
            kube.errors.KubeError: the cluster's API failed.
        """
        self._each_account(namespace, service_accounts.patch_to_take_back)
        found = self._secrets.get(namespace, SECRET_NAME)
        if found is not None and pull_secret.is_ours(found, cluster_uid):
            with _refusals_named(f"secret {SECRET_NAME} in namespace {namespace} cannot be deleted"):
                self._client.delete(SECRET, SECRET_NAME, namespace=namespace, uid=found.uid)

    def holds_ours(self, cluster_uid: str) -> frozenset[str]:
        """The namespaces in which something of ours is left."""
        secrets = {
            namespace
            for namespace, _, found in self._secrets.everywhere()
            if pull_secret.is_ours(found, cluster_uid)
        }
        accounts = {namespace for namespace, _, account in self._accounts.everywhere() if account.marked}
        return frozenset(secrets | accounts)

    def _write_secret(
        self, namespace: str, configuration: AgentConfiguration, offer: Offer, found: SecretView | None
    ) -> None:
        wanted = pull_secret.desired(
            namespace=namespace,
            cluster_uid=configuration.cluster_uid,
            registries=offer.registries,
            credentials=offer.credentials,
            role_arn=offer.role_arn,
        )
        if found is not None and not pull_secret.differs(found, wanted):
            return
        if found is not None:
            # The lock: one that took its place meanwhile, and may not be ours, makes a conflict.
            wanted["metadata"]["resourceVersion"] = found.resource_version
        self._be_patient(f"secret {SECRET_NAME} in namespace {namespace}")
        with (
            _refusals_named(f"secret {SECRET_NAME} in namespace {namespace} cannot be written"),
            self._secrets.writing(namespace, SECRET_NAME) as written,
        ):
            # Without force where there was none: one that somebody made meanwhile makes a conflict.
            written(self._client.apply(wanted, force=found is not None))

    def _each_account(self, namespace: str, patch_for: Callable[[Account], Object | None]) -> None:
        """Patches where there is something to patch. One that fails is raised once the others are done."""
        failure: NotFilled | Retryable | None = None
        for account in self._accounts.in_namespace(namespace).values():
            try:
                self._patch_account(account, patch_for)
            except (NotFilled, Retryable) as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def _patch_account(self, account: Account, patch_for: Callable[[Account], Object | None]) -> None:
        patch = patch_for(account)
        if patch is None:
            return
        namespace, name = account.namespace, account.name
        what = f"service account {name} in namespace {namespace}"
        self._be_patient(what)
        with (
            _refusals_named(f"{what} cannot be changed"),
            self._accounts.writing(namespace, name) as written,
        ):
            for _ in range(_ATTEMPTS):
                try:
                    written(self._client.merge_patch(SERVICE_ACCOUNT, name, patch, namespace=namespace))
                except Conflict:
                    again = service_accounts.read(
                        self._client.get(SERVICE_ACCOUNT, name, namespace=namespace)
                    )
                    patch = patch_for(again)
                    if patch is None:
                        return
                else:
                    return
        raise Retryable(f"{what} keeps changing")

    def _be_patient(self, what: str) -> None:
        seconds = self._patience.wait_for(what)
        if seconds > 0.0:
            raise Retryable(f"{what} is changed back again and again by somebody else", retry_after=seconds)


@contextmanager
def _refusals_named(what: str) -> Iterator[None]:
    """Turns the cluster's no into one that the user hears of, and a lost race into another try."""
    try:
        yield
    except (Forbidden, Invalid) as error:
        raise NotFilled("NamespaceWriteRefused", f"{what}: {error.message}", retry=True) from error
    except ServerError as error:
        # 500 is what an admission webhook that fails makes of a write; the others pass with the API server's trouble.
        if error.status != HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        raise NotFilled("NamespaceWriteRefused", f"{what}: {error.message}", retry=True) from error
    except (Conflict, NotFound) as error:
        raise Retryable(f"{what}: it changed meanwhile") from error
