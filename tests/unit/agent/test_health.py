from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import urllib3

from agent.health import HealthServer, Metrics

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


class Readiness:
    def __init__(self) -> None:
        self.ready = False

    def __call__(self) -> bool:
        return self.ready


@pytest.fixture
def readiness() -> Readiness:
    return Readiness()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def url(readiness: Readiness, metrics: Metrics) -> Iterator[str]:
    server = HealthServer(0, loopback=True, ready=readiness, metrics=metrics)
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


def get(url: str) -> tuple[int, str]:
    with urllib3.PoolManager() as pool:
        answer = pool.request("GET", url, retries=False)
        return answer.status, answer.data.decode()


def test_it_is_healthy_as_long_as_it_answers(url: str) -> None:
    assert get(f"{url}/healthz") == (200, "ok\n")


def test_it_is_ready_once_everything_was_read(url: str, readiness: Readiness) -> None:
    before = get(f"{url}/readyz")[0]
    readiness.ready = True
    assert (before, get(f"{url}/readyz")[0]) == (503, 200)


def test_another_path_is_not_found(url: str) -> None:
    assert get(f"{url}/")[0] == 404


@pytest.mark.parametrize(
    "line",
    [
        'pullpass_agent_credential_refreshes_total{region="eu-west-1"} 1.0',
        'pullpass_agent_failures_total{reason="StsUnreachable"} 1.0',
        'pullpass_agent_aws_calls_total{service="sts"} 1.0',
        'pullpass_agent_credential_expiry_seconds{region="eu-west-1"} 3600.0',
    ],
)
def test_metrics_tell_what_was_counted(url: str, metrics: Metrics, line: str) -> None:
    metrics.refreshed("eu-west-1")
    metrics.failed("StsUnreachable")
    metrics.called_aws("sts")
    metrics.watch(lambda: {"eu-west-1": NOW + timedelta(hours=1)}, lambda: NOW)
    assert line in get(f"{url}/metrics")[1].splitlines()


def test_off_loopback_it_answers_ipv4_too(readiness: Readiness, metrics: Metrics) -> None:
    server = HealthServer(0, loopback=False, ready=readiness, metrics=metrics)
    server.start()
    try:
        assert get(f"http://127.0.0.1:{server.port}/healthz")[0] == 200
    finally:
        server.stop()
