from __future__ import annotations

import pytest

from fleet import issuers
from reconcile.outcome import Done, RequeueAfter
from sandbox.world import SandboxCluster
from schemas.status import State
from tests.contract.controller.harness import ALICE, BOTH, ISSUER, PUBLIC_URL, REGISTRY, Hub

PUBLISHED = {
    "awsWorkloadIdentity": {"issuer": "published"},
    "awsECR": {"registries": [REGISTRY]},
}
PRIVATE = "https://kubernetes.default.svc.cluster.local"


def published_url(hub: Hub) -> str:
    found = issuers.of_cluster(hub.database, hub.uid)
    assert found is not None
    return f"{PUBLIC_URL}/oidc/{found.id}"


def test_an_issuer_that_aws_cannot_reach_blocks_with_the_reason(hub: Hub, cluster: SandboxCluster) -> None:
    cluster.set_issuers([PRIVATE, ISSUER])
    run = hub.run()
    status = hub.status().add_ons["awsWorkloadIdentity"]
    condition = next(each for each in status.conditions if each.type == "IssuerUsable")
    assert (status.state, hub.codes("awsWorkloadIdentity")) == (State.BLOCKED, ["IssuerNotUsable"])
    assert (condition.status, condition.reason) == ("False", "ClusterLocal")
    assert (hub.ecr().state, hub.codes()) == (State.BLOCKED, ["IssuerNotUsable"])
    assert hub.status().oidc_provider_url is None
    assert run.outcome == RequeueAfter(30)


def test_an_issuer_that_becomes_usable_is_found_without_a_change(hub: Hub, cluster: SandboxCluster) -> None:
    cluster.set_issuers([PRIVATE, ISSUER])
    hub.run()
    cluster.set_issuers([ISSUER])
    hub.connect()  # the old token went with the old issuer
    hub.settle()
    assert (hub.ecr().state, hub.status().oidc_provider_url) == (State.READY, ISSUER)


def test_an_unusable_issuer_leaves_what_is_installed_alone(ready_hub: Hub, cluster: SandboxCluster) -> None:
    before = ready_hub.objects()
    cluster.set_issuers([PRIVATE, ISSUER])
    ready_hub.clock.advance(3601)
    ready_hub.connect(ready_hub.hub_connection(seconds=36_000))
    ready_hub.run()
    assert (ready_hub.ecr().state, ready_hub.objects()) == (State.BLOCKED, before)


@pytest.mark.parametrize("url", [None, "http://hub.example.org"])
def test_publishing_needs_a_public_https_url(hub: Hub, url: str | None) -> None:
    hub.restart(public_url=url)
    hub.wish(BOTH, PUBLISHED)
    run = hub.run()
    assert (run.outcome, hub.codes("awsWorkloadIdentity")) == (Done(), ["PublicUrlMissing"])


def test_a_published_issuer_waits_for_the_api_servers_flags(hub: Hub) -> None:
    hub.wish(BOTH, PUBLISHED)
    run = hub.run()
    url = published_url(hub)
    issue = hub.status().add_ons["awsWorkloadIdentity"].issues[0]
    flags = (
        f"--service-account-issuer={url} --service-account-issuer={ISSUER}"
        f" --service-account-jwks-uri={url}/openid/v1/jwks"
    )
    assert (run.outcome, issue.code) == (RequeueAfter(30), "IssuerNotSwitched")
    assert flags in issue.remedy
    assert hub.status().oidc_provider_url == url


def test_a_cluster_that_switched_is_ready(hub: Hub, cluster: SandboxCluster) -> None:
    hub.wish(BOTH, PUBLISHED)
    hub.run()
    cluster.set_issuers([published_url(hub), ISSUER])
    hub.clock.advance(30)
    hub.settle()
    assert (hub.ecr().state, hub.status().oidc_provider_url) == (State.READY, published_url(hub))


def test_other_keys_than_the_pinned_ones_wait_for_an_admin_and_hold_nothing_up(
    hub: Hub, cluster: SandboxCluster
) -> None:
    issuers.reserve(hub.database, hub.uid)
    pinned = {"keys": [{"kty": "RSA", "kid": "pinned", "n": "AQAB", "e": "AQAB"}]}
    issuers.observe(hub.database, hub.uid, pinned)
    cluster.set_issuers([published_url(hub), ISSUER])
    hub.wish(BOTH, PUBLISHED)
    hub.run()
    hub.report()
    hub.run()
    identity = hub.status().add_ons["awsWorkloadIdentity"]
    found = issuers.of_cluster(hub.database, hub.uid)
    assert found is not None
    assert found.pending_keys is not None
    assert (identity.state, hub.codes("awsWorkloadIdentity")) == (State.DEGRADED, ["IssuerKeysChanged"])
    assert issuers.fingerprint(found.pending_keys) in identity.issues[0].remedy
    assert hub.ecr().state is State.READY


def test_accepted_keys_are_no_issue_any_more(hub: Hub, cluster: SandboxCluster) -> None:
    issuers.reserve(hub.database, hub.uid)
    issuers.observe(hub.database, hub.uid, {"keys": [{"kty": "RSA", "kid": "old", "n": "AQAB", "e": "AQAB"}]})
    cluster.set_issuers([published_url(hub), ISSUER])
    hub.wish(BOTH, PUBLISHED)
    hub.run()
    found = issuers.of_cluster(hub.database, hub.uid)
    assert found is not None
    assert found.pending_keys is not None
    issuers.accept(hub.database, ALICE, hub.key, issuers.fingerprint(found.pending_keys), now=hub.clock.now())
    hub.clock.advance(30)
    hub.settle()
    assert hub.codes("awsWorkloadIdentity") == []
