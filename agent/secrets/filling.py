"""One namespace's share: its pull secrets and the references to them; what nobody claims there is taken back.

Level based: reads what is watched, writes what differs, and nothing when nothing does. Called by
`agent.secrets.loop` for the key of a namespace, by one worker at a time for each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from agent.secrets import content, pull_secret, service_accounts
from agent.secrets.claims import Claim, ClaimKey
from agent.secrets.content import LabelledContent, Offer
from agent.secrets.patience import Patience
from agent.secrets.pull_secret import SecretView
from agent.secrets.refusals import NotFilled, refusals_named
from agent.secrets.selection import selects_account
from agent.secrets.service_accounts import Account
from agent.secrets.watching import Views
from kube.client import Client
from kube.errors import Conflict, Fenced, Forbidden, Invalid, KubeError, NotFound
from kube.objects import SECRET, SERVICE_ACCOUNT, Object
from reconcile.outcome import Retryable

_ATTEMPTS = 3


@dataclass(frozen=True)
class Share:
    """One claim in a namespace that it selects; `only_hold`: what stands stays good, nothing is made."""

    claim: Claim
    offer: Offer
    only_hold: bool = False


@dataclass(frozen=True)
class Leftover:
    """What could not be taken back, and why; without a `secret` it is the reference of a service account."""

    refusal: NotFilled
    secret: SecretView | None = None


@dataclass
class Brought:
    """What came of a visit.

    `good_until` and `refused` are by claim. `failure` is to be tried again; all that did not hang on it was done.
    """

    good_until: dict[ClaimKey, datetime | None] = field(default_factory=dict)
    refused: dict[ClaimKey, NotFilled] = field(default_factory=dict)
    leftovers: list[Leftover] = field(default_factory=list)
    failure: Exception | None = None

    @property
    def to_retry(self) -> tuple[NotFilled, ...]:
        """What may change without an event that we see."""
        refusals = (*self.refused.values(), *(left.refusal for left in self.leftovers))
        return tuple(refusal for refusal in refusals if refusal.retry)


class Filling:
    """Writes in namespaces."""

    def __init__(self, client: Client, views: Views, patience: Patience) -> None:
        self._patience = patience
        self._client = client
        self._views = views

    def bring(
        self,
        namespace: str,
        shares: Sequence[Share],
        *,
        cluster_uid: str,
        untouchable: Callable[[SecretView], bool],
        now: datetime,
    ) -> Brought:
        """Brings `namespace` to what it should be.

        Args:
            namespace: Which; it is not being deleted.
            shares: Of the claims that select it, in the order of their keys; none: all is taken back.
            cluster_uid: Of this cluster.
            untouchable: Tells of a secret of ours that may still be claimed, so that it stays as it is.
            now: When.
        """
        brought = Brought()
        ours = self._views.our_secrets(namespace, cluster_uid)
        kept = {name for name, found in ours.items() if untouchable(found)}
        referred: dict[str, Claim] = {}
        for name, share in self._owners(namespace, shares, brought).items():
            claim = share.claim
            kept.add(name)
            if claim.suspended:
                found = ours.get(name)
                brought.good_until[claim.key] = None if found is None else pull_secret.expires_at(found)
                continue
            if share.only_hold and not self._views.holds(namespace, name, cluster_uid):
                continue
            with _collected(brought, [claim.key]):
                stands, brought.good_until[claim.key] = self._fill(namespace, share, cluster_uid, now)
                if stands:
                    referred[name] = claim
        unreferred = False
        with _collected(brought, [claim.key for claim in referred.values()]):
            self._each_account(namespace, referred, kept - referred.keys())
            unreferred = True
        for name, found in ours.items():
            if unreferred and name not in kept:
                with _collected(brought, [], left=found):
                    self._delete(found)
        return brought

    def _owners(self, namespace: str, shares: Sequence[Share], brought: Brought) -> Mapping[str, Share]:
        """The claim that has each secret: the first."""
        owners: dict[str, Share] = {}
        for share in shares:
            name = share.claim.secret_name
            if name not in owners:
                owners[name] = share
                continue
            first = pull_secret.word_of(owners[name].claim.key)
            message = f"secret {name} in namespace {namespace} is already claimed by {first}"
            brought.refused[share.claim.key] = NotFilled("PullSecretClash", message, retry=False)
        return owners

    def _fill(
        self, namespace: str, share: Share, cluster_uid: str, now: datetime
    ) -> tuple[bool, datetime | None]:
        """Whether the secret stands now, and until when it opens every registry."""
        name, offer = share.claim.secret_name, share.offer
        what = f"secret {name} in namespace {namespace}"
        if not self._views.sees(name):
            raise NotFilled("NamespaceWriteRefused", f"{what} cannot be watched yet", retry=True)
        found = self._views.secrets.get(namespace, name)
        if found is not None and not pull_secret.is_ours(found, cluster_uid):
            raise NotFilled("SecretNotOurs", pull_secret.why_not_ours(found, cluster_uid), retry=False)
        if not offer.credentials:
            # A reference to a secret that is not there would only make the kubelet complain; one that is stays.
            return found is not None, None if found is None else pull_secret.expires_at(found)
        standing = self._standing(found, offer, now)
        made = content.filled(offer, standing, now)
        assert made is not None  # noqa: S101 - there are credentials; told to mypy
        wanted = pull_secret.desired(
            namespace=namespace,
            name=name,
            claim=share.claim.key,
            cluster_uid=cluster_uid,
            content=made,
        )
        if found is None or pull_secret.differs(found, wanted):
            self._write_secret(wanted, found, cluster_uid)
        complete = offer.complete or content.covers(made, offer.registries)
        return True, made.expires_at if complete else None

    def _standing(self, found: SecretView | None, offer: Offer, now: datetime) -> LabelledContent | None:
        """What is in the secret, where something of it may have to stay."""
        good_until = None if found is None else pull_secret.expires_at(found)
        if found is None or offer.complete or good_until is None or now >= good_until:
            return None
        try:
            obj = self._client.get(SECRET, found.name, namespace=found.namespace)
        except NotFound:
            return None
        return pull_secret.standing_of(obj)

    def _write_secret(self, wanted: Object, found: SecretView | None, cluster_uid: str) -> None:
        namespace, name = wanted["metadata"]["namespace"], wanted["metadata"]["name"]
        what = f"secret {name} in namespace {namespace}"
        wish = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).digest()
        if found is not None:
            # The lock: one that took its place meanwhile, and may not be ours, makes a conflict.
            wanted["metadata"]["resourceVersion"] = found.resource_version
        with (
            self._patiently(what, wish),
            refusals_named(f"{what} cannot be written"),
            self._views.secrets.writing(namespace, name) as written,
        ):
            try:
                # Without force where there was none: one that somebody made makes a conflict.
                written(self._client.apply(wanted, force=found is not None))
            except (Conflict, Forbidden, Invalid):
                if found is None:
                    self._refuse_stranger(namespace, name, cluster_uid)
                raise

    def _refuse_stranger(self, namespace: str, name: str, cluster_uid: str) -> None:
        """Says so where the secret that is in the way is not ours. It may not be watched."""
        try:
            there = pull_secret.view(self._client.get(SECRET, name, namespace=namespace))
        except (NotFound, Forbidden):
            return
        if not pull_secret.is_ours(there, cluster_uid):
            message = pull_secret.why_not_ours(there, cluster_uid)
            raise NotFilled("SecretNotOurs", message, retry=not self._views.look_out_for(name))

    def _delete(self, found: SecretView) -> None:
        what = f"secret {found.name} in namespace {found.namespace}"
        with refusals_named(f"{what} cannot be deleted"):
            self._client.delete(SECRET, found.name, namespace=found.namespace, uid=found.uid)

    def _each_account(self, namespace: str, referred: Mapping[str, Claim], kept: Collection[str]) -> None:
        """Patches where there is something to patch. One that fails is raised once the others are done."""
        failure: NotFilled | Retryable | None = None
        for account in self._views.accounts.in_namespace(namespace).values():
            wanted = {
                name
                for name, claim in referred.items()
                if selects_account(claim.service_accounts, account.name)
            }
            try:
                self._patch_account(account, wanted, kept)
            except (NotFilled, Retryable) as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def _patch_account(self, account: Account, wanted: Collection[str], kept: Collection[str]) -> None:
        patch = service_accounts.patch_for(account, wanted, kept)
        if patch is None:
            return
        namespace, name = account.namespace, account.name
        what = f"service account {name} in namespace {namespace}"
        with (
            self._patiently(what, (tuple(sorted(wanted)), tuple(sorted(kept)))),
            refusals_named(f"{what} cannot be changed"),
            self._views.accounts.writing(namespace, name) as written,
        ):
            for _ in range(_ATTEMPTS):
                try:
                    written(self._client.merge_patch(SERVICE_ACCOUNT, name, patch, namespace=namespace))
                except Conflict:
                    again = service_accounts.read(
                        self._client.get(SERVICE_ACCOUNT, name, namespace=namespace)
                    )
                    patch = service_accounts.patch_for(again, wanted, kept)
                    if patch is None:
                        return
                else:
                    return
        raise Retryable(f"{what} keeps changing")

    @contextmanager
    def _patiently(self, what: str, wish: Hashable) -> Iterator[None]:
        """Around a write. Those of another wish, after a change of settings or a refresh, are nobody's undoing."""
        seconds = self._patience.wait_for((what, wish))
        if seconds > 0.0:
            raise Retryable(f"{what} is changed back again and again by somebody else", retry_after=seconds)
        yield
        self._patience.wrote((what, wish))


@contextmanager
def _collected(
    brought: Brought, claims: Sequence[ClaimKey], *, left: SecretView | None = None
) -> Iterator[None]:
    """Notes what went wrong and goes on: one claim's trouble is none of the others'."""
    try:
        yield
    except NotFilled as refusal:
        for key in claims:
            brought.good_until[key] = None
            brought.refused[key] = refusal
        if not claims:
            brought.leftovers.append(Leftover(refusal, left))
    except Fenced:
        raise
    except (Retryable, KubeError) as failure:
        brought.failure = brought.failure or failure
