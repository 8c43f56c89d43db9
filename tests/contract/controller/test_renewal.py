from __future__ import annotations

from datetime import timedelta

from fleet import connections
from kube.objects import ROLE
from schemas.agent_documents import HUB_ACCOUNT, NAMESPACE_NAME
from schemas.connection import Connection
from tests.contract.controller.harness import Hub

HOUR = timedelta(hours=1)


def stored(hub: Hub) -> Connection:
    connection = connections.read(hub.database, hub.uid)
    assert connection is not None
    return connection


def may_renew(hub: Hub, verbs: list[str]) -> None:
    role = hub.admin.get(ROLE, HUB_ACCOUNT, namespace=NAMESPACE_NAME)
    rules = [
        {**rule, "verbs": verbs} if rule["resources"] == ["serviceaccounts/token"] else rule
        for rule in role["rules"]
    ]
    hub.admin.merge_patch(ROLE, HUB_ACCOUNT, {"rules": rules}, namespace=NAMESPACE_NAME)


def test_before_a_third_of_its_life_the_token_stays(ready_hub: Hub) -> None:
    before = stored(ready_hub)
    ready_hub.clock.advance(900)
    ready_hub.run()
    assert stored(ready_hub) == before


def test_at_a_third_of_its_life_the_token_is_renewed_without_a_new_generation(ready_hub: Hub) -> None:
    before, generation = stored(ready_hub), ready_hub.stored().generation
    ready_hub.clock.advance(1300)
    ready_hub.run()
    ready_hub.run()
    after = stored(ready_hub)
    assert after.token != before.token
    assert (after.renewable, after.server, ready_hub.stored().generation) == (True, before.server, generation)


def test_a_renewed_token_is_renewed_again(ready_hub: Hub) -> None:
    ready_hub.clock.advance(1300)
    ready_hub.run()
    first = stored(ready_hub)
    assert first.expires_at is not None
    ready_hub.clock.advance((first.expires_at - ready_hub.clock.now()).total_seconds() / 2)
    ready_hub.report()
    ready_hub.run()
    assert stored(ready_hub).token != first.token


def test_a_renewal_that_fails_keeps_the_old_token_and_says_nothing_at_first(ready_hub: Hub) -> None:
    before = stored(ready_hub)
    may_renew(ready_hub, ["get"])
    ready_hub.clock.advance(1300)
    ready_hub.run()
    assert (stored(ready_hub), ready_hub.status().issues) == (before, ())


def test_a_renewal_that_goes_on_failing_is_an_issue(ready_hub: Hub) -> None:
    may_renew(ready_hub, ["get"])
    ready_hub.clock.advance(2800)
    ready_hub.report()
    ready_hub.run()
    assert [issue.code for issue in ready_hub.status().issues] == ["ConnectionExpiring"]
    may_renew(ready_hub, ["create"])
    ready_hub.run()
    ready_hub.run()
    assert ready_hub.status().issues == ()
