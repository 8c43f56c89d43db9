"""What the engine does once for the whole fleet."""

from __future__ import annotations

from datetime import timedelta

from fleet import audit
from reconcile.clock import SystemClock
from tests.contract.controller.harness import ALICE, Hub
from tests.contract.controller.test_engine import running, until


def test_who_holds_the_first_shard_trims_the_audit_log(hub: Hub) -> None:
    with hub.database.write() as session:
        long_ago = SystemClock().now() - timedelta(days=401)
        audit.record(session, ALICE, "update", org="acme", name="long-gone", now=long_ago)
    assert audit.page(hub.database, "acme", name="long-gone").items != ()
    with running(hub):
        until(hub, lambda: audit.page(hub.database, "acme", name="long-gone").items == ())
    assert audit.page(hub.database, "acme").items != ()
