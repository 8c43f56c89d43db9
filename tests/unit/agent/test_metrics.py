from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from agent.metrics import Metrics

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
DOCUMENTATION = Path(__file__).parents[3] / "docs/reference/metrics.md"


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics()
    metrics.watch(lambda: {"eu-west-1": NOW + timedelta(hours=1)}, lambda: NOW)
    metrics.watch_secrets(lambda: {("shop", "pullpass-ecr"): NOW + timedelta(hours=2)}, lambda: NOW)
    metrics.watch_labelled(lambda: {("shop", "own"): NOW + timedelta(hours=4)}, lambda: NOW)
    metrics.watch_certificate(lambda: NOW + timedelta(hours=3), lambda: NOW)
    metrics.watch_leadership(lambda: True)
    return metrics


def scraped(metrics: Metrics) -> list[str]:
    return generate_latest(metrics.registry).decode().splitlines()


@pytest.mark.parametrize(
    "line",
    [
        'pullpass_agent_credential_refreshes_total{region="eu-west-1"} 1.0',
        'pullpass_agent_failures_total{reason="StsUnreachable"} 1.0',
        'pullpass_agent_aws_calls_total{service="sts"} 1.0',
        'pullpass_agent_webhook_requests_total{allowed="false",path="/pods"} 1.0',
        'pullpass_agent_credential_expiry_seconds{region="eu-west-1"} 3600.0',
        'pullpass_agent_secret_expiry_seconds{name="pullpass-ecr",namespace="shop"} 7200.0',
        'pullpass_agent_secret_expiry_seconds{name="own",namespace="shop"} 14400.0',
        "pullpass_agent_webhook_certificate_expiry_seconds 10800.0",
        "pullpass_agent_leader 1.0",
    ],
)
def test_metrics_tell_what_was_counted_and_measured(metrics: Metrics, line: str) -> None:
    metrics.refreshed("eu-west-1")
    metrics.failed("StsUnreachable")
    metrics.called_aws("sts")
    metrics.reviewed("/pods", allowed=False)
    assert line in scraped(metrics)


def test_one_that_leads_no_longer_tells_nothing_of_credentials_and_secrets(metrics: Metrics) -> None:
    metrics.forget_work()
    expected = ["pullpass_agent_leader 1.0", "pullpass_agent_webhook_certificate_expiry_seconds 10800.0"]
    assert expected == sorted(line for line in scraped(metrics) if not line.startswith("#"))


def test_another_term_measures_anew(metrics: Metrics) -> None:
    metrics.watch(lambda: {"eu-west-1": NOW + timedelta(minutes=1)}, lambda: NOW)
    found = [line for line in scraped(metrics) if line.startswith("pullpass_agent_credential_expiry")]
    assert ['pullpass_agent_credential_expiry_seconds{region="eu-west-1"} 60.0'] == found


def test_without_a_certificate_none_is_measured(metrics: Metrics) -> None:
    metrics.watch_certificate(lambda: None, lambda: NOW)
    assert not [line for line in scraped(metrics) if line.startswith("pullpass_agent_webhook_certificate")]


def test_every_metric_is_documented(metrics: Metrics) -> None:
    names = {family.name for family in metrics.registry.collect()}
    documented = DOCUMENTATION.read_text()
    assert [] == sorted(name for name in names if f"`{name}`" not in documented)
