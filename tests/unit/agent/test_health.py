from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import urllib3

from agent.health import HealthServer, Progress, Pulse
from agent.metrics import Metrics
from reconcile.clock import FakeClock


class Troubles:
    def __init__(self) -> None:
        self.found: tuple[str, ...] = ()

    def __call__(self) -> tuple[str, ...]:
        return self.found


@pytest.fixture
def sick() -> Troubles:
    return Troubles()


@pytest.fixture
def unready() -> Troubles:
    return Troubles()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def url(sick: Troubles, unready: Troubles, metrics: Metrics) -> Iterator[str]:
    server = HealthServer(0, loopback=True, sick=sick, unready=unready, metrics=metrics)
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


def get(url: str) -> tuple[int, str]:
    with urllib3.PoolManager() as pool:
        answer = pool.request("GET", url, retries=False)
        return answer.status, answer.data.decode()


def test_it_is_healthy_and_ready_when_nothing_is_wrong(url: str) -> None:
    assert [(200, "ok\n")] * 2 == [get(f"{url}/healthz"), get(f"{url}/readyz")]


def test_it_says_what_is_not_there_yet_and_is_healthy_all_the_same(url: str, unready: Troubles) -> None:
    unready.found = ("the configuration is not read", "there is no certificate")
    assert (503, "the configuration is not read\nthere is no certificate\n") == get(f"{url}/readyz")
    assert 200 == get(f"{url}/healthz")[0]


def test_it_says_what_only_a_restart_mends(url: str, sick: Troubles) -> None:
    sick.found = ("the election is silent",)
    assert (503, "the election is silent\n") == get(f"{url}/healthz")


def test_another_path_is_not_found(url: str) -> None:
    assert get(f"{url}/")[0] == 404


def test_metrics_are_served_as_prometheus_reads_them(url: str, metrics: Metrics) -> None:
    metrics.called_aws("sts")
    assert 'pullpass_agent_aws_calls_total{service="sts"} 1.0' in get(f"{url}/metrics")[1].splitlines()


def test_off_loopback_it_answers_ipv4_too(sick: Troubles, unready: Troubles, metrics: Metrics) -> None:
    server = HealthServer(0, loopback=False, sick=sick, unready=unready, metrics=metrics)
    server.start()
    try:
        assert get(f"http://127.0.0.1:{server.port}/healthz")[0] == 200
    finally:
        server.stop()


def looks(*seen: Progress, every: float = 300.0) -> list[bool]:
    """What a pulse says, look by look."""
    clock = FakeClock(datetime(2026, 11, 22, 6, 0, tzinfo=UTC))
    pulse, said = Pulse(clock), []
    for progress in seen:
        said.append(pulse.wedged(progress))
        clock.advance(every)
    return said


def test_work_that_waits_while_nothing_is_done_is_wedged() -> None:
    assert [False, False, False, True] == looks(*[Progress(3, 7)] * 4)


def test_work_that_moves_is_not_wedged_however_much_waits() -> None:
    assert not any(looks(*(Progress(500, done) for done in range(10))))


def test_an_idle_leader_is_not_wedged_when_something_comes_after_hours() -> None:
    assert not any(looks(*[Progress(0, 7)] * 20, Progress(1, 7), Progress(0, 8)))
