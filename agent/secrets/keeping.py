"""What of the credentials is stored, and the content for labelled secrets made of them.

Called by `agent.secrets.loop`.
"""

from __future__ import annotations

from datetime import datetime

import structlog

from agent.secrets import content, store
from agent.secrets.content import LabelledContent
from agent.secrets.plan import Plan
from agent.secrets.pool import CredentialPool
from agent.secrets.store import StoredCredential
from kube.client import Client

_log = structlog.get_logger(__name__)


class Keeping:
    """Reads the store once and writes it when something changed. Used by one thread at a time."""

    def __init__(self, client: Client, pool: CredentialPool) -> None:
        self._client = client
        self._pool = pool
        self._kept: tuple[tuple[StoredCredential, ...], LabelledContent | None] = ((), None)

    def recall(self, now: datetime) -> None:
        """Takes over what the last leader stored.

        Raises:
            kube.errors.KubeError: the cluster's API failed.
        """
        kept, stored_content = store.load(self._client, now)
        self._pool.restore(kept)
        self._kept = (tuple(kept[name] for name in sorted(kept)), stored_content)
        for stored in kept.values():
            _log.info("credential recalled", identity=stored.identity, region=stored.credential.region)

    def keep(self, plan: Plan, now: datetime) -> None:
        """Stores what is good now; nothing once all is to be given back.

        Raises:
            kube.errors.KubeError: the cluster's API failed.
        """
        removing = plan.configuration.removing
        wanted = ((), None) if removing else (self._pool.stored(now), self._content(plan, now))
        if wanted == self._kept:
            return
        if wanted == ((), None):
            store.delete(self._client)
        else:
            store.save(self._client, plan.configuration.cluster_uid, *wanted)
        self._kept = wanted

    def _content(self, plan: Plan, now: datetime) -> LabelledContent | None:
        before = self._kept[1]
        if before is not None and now >= before.expires_at:
            before = None
        if not plan.configuration.role_arn:
            return None
        offer = self._pool.offer(plan.identity, plan.registries, now)
        return content.filled(offer, None if offer.complete else before, now) or before
