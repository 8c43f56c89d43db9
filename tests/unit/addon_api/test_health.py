from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from addon_api.app import ApiSettings, create_app
from fleet.database import Database
from fleet.sealing import Sealer
from schemas.status import AddOnStatus, ClusterStatus, State
from schemas.times import format_time
from tests.support.hub import CONNECTION, START, Hub, manifest, status


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_needs_no_token(hub: Hub, path: str) -> None:
    answer = hub.get(path, caller=None)
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_a_hub_without_its_database_lives_and_is_not_ready(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/never/made.db", sealer=Sealer((bytes(32),)))
    client = create_app(database, ApiSettings(), now=lambda: START).test_client()
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    database.close()


def test_metrics_need_a_token_of_any_organisation(hub: Hub) -> None:
    assert hub.get("/metrics", caller=None).status_code == 401
    assert hub.get("/metrics", caller="stranger").status_code == 200


def test_metrics_count_requests_by_route_and_never_by_path(hub: Hub) -> None:
    hub.put(manifest())
    hub.get("/org/acme/mk8s/demo")
    hub.get("/org/acme/mk8s/none")
    hub.get("/nothing/here")
    text = hub.get("/metrics").text
    rule = 'method="GET",route="/org/<org>/mk8s/<name>"'
    assert f'pullpass_http_requests_total{{{rule},status="200"}} 1.0' in text
    assert f'pullpass_http_requests_total{{{rule},status="404"}} 1.0' in text
    assert 'route="unmatched",status="404"} 1.0' in text
    assert f"pullpass_http_request_duration_seconds_count{{{rule}}} 2.0" in text
    assert "/nothing" not in text
    assert "none" not in text


def test_an_invented_method_makes_no_label(hub: Hub) -> None:
    hub.call("BREW", "/healthz")
    assert 'method="other"' in hub.get("/metrics").text


def test_metrics_tell_the_add_ons_states(hub: Hub) -> None:
    hub.put(manifest())
    hub.report("demo", status())
    expected = 'pullpass_add_on_clusters{add_on="awsWorkloadIdentity",state="Ready"} 1.0'
    assert expected in hub.get("/metrics").text


def test_metrics_tell_the_hours_until_the_first_connection_dies(hub: Hub) -> None:
    hub.put(manifest())
    assert "pullpass_first_connection_expiry_hours" not in hub.get("/metrics").text
    hub.call(
        "PUT", "/org/acme/mk8s/demo/-connection", json={**CONNECTION, "expiresAt": "2026-11-22T17:40:00Z"}
    )
    assert "pullpass_first_connection_expiry_hours 12.0" in hub.get("/metrics").text
    hub.clock.pass_seconds(13 * 3600)
    assert "pullpass_first_connection_expiry_hours -1.0" in hub.get("/metrics").text


def test_the_first_node_token_to_run_out_is_a_metric(hub: Hub) -> None:
    assert "pullpass_first_node_token_expiry_hours" not in hub.get("/metrics").text
    for name, hours in (("demo", 20), ("other", 3)):
        hub.put(manifest(name))
        expires_at = format_time(START + timedelta(hours=hours))
        details = {"nodes": {"tokenExpiresAt": expires_at}}
        add_ons = {"awsECR": AddOnStatus(State.READY, details=details)}
        hub.report(name, ClusterStatus(add_ons=add_ons))
    assert "pullpass_first_node_token_expiry_hours 3.0" in hub.get("/metrics").text
