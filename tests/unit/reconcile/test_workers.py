from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from reconcile.clock import FakeClock, FakeRandom, SystemClock, SystemRandom
from reconcile.outcome import Done, Outcome, RequeueAfter, Retryable, Terminal
from reconcile.queue import Backoff, Queue
from reconcile.workers import Workers, settle


class Recorder:
    """Keeps what it hears; `heard` waits for so many runs."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.runs: list[tuple[object, str]] = []
        self.details: list[tuple[float, BaseException | None]] = []

    def finished(self, key: object, result: str, seconds: float, error: BaseException | None) -> None:
        with self._condition:
            self.runs.append((key, result))
            self.details.append((seconds, error))
            self._condition.notify_all()

    def heard(self, count: int) -> list[tuple[object, str]]:
        with self._condition:
            self._condition.wait_for(lambda: len(self.runs) >= count)
            return list(self.runs)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 11, 22, tzinfo=UTC))


@pytest.fixture
def queue(clock: FakeClock) -> Queue[str]:
    return Queue(clock=clock, random=FakeRandom())


@contextmanager
def working(
    queue: Queue[str], reconcile: Callable[[str], Outcome], *, healthy: int = 1, failing: int = 1
) -> Iterator[Recorder]:
    recorder = Recorder()
    workers = Workers(queue, reconcile, observer=recorder, healthy=healthy, failing=failing)
    workers.start()
    try:
        yield recorder
    finally:
        assert workers.stop(10)


@pytest.mark.parametrize(
    ("outcome", "word", "left"),
    [
        (Done(), "done", (0, (0, 0))),
        (RequeueAfter(5), "requeue", (0, (1, 0))),
        (Terminal("no role"), "terminal", (0, (0, 0))),
        (Retryable("down"), "retry", (2, (0, 1))),
        (Retryable("slow down", retry_after=60), "retry", (2, (0, 0))),
        (ValueError("a bug"), "error", (2, (0, 1))),
    ],
)
def test_an_outcome_settles_the_queue(
    queue: Queue[str],
    clock: FakeClock,
    outcome: Outcome | BaseException,
    word: str,
    left: tuple[int, tuple[int, int]],
) -> None:
    queue.add("a")
    queue.get()
    queue.add_rate_limited("a")  # it failed once before
    queue.discard("b")
    queue._due.clear()
    said = settle(queue, "a", outcome)
    queue.done("a")
    clock.advance(5)
    assert (word, left) == (said, (queue.failures("a"), queue.depth()))


def test_a_failure_is_tried_again_after_its_backoff(queue: Queue[str], clock: FakeClock) -> None:
    answers: Iterator[Exception | Outcome] = iter([Retryable("down"), Done()])

    def reconcile(key: str) -> Outcome:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with working(queue, reconcile) as recorder:
        queue.add("a")
        recorder.heard(1)
        clock.until_waiting(2)
        clock.advance(1)
        assert recorder.heard(2) == [("a", "retry"), ("a", "done")]


def test_a_change_during_the_run_is_never_lost(queue: Queue[str]) -> None:
    inside, go_on = threading.Event(), threading.Event()
    seen: list[int] = []
    state = [1]

    def reconcile(key: str) -> Outcome:
        seen.append(state[0])
        inside.set()
        assert go_on.wait(60)
        return Done()

    with working(queue, reconcile) as recorder:
        queue.add("a")
        assert inside.wait(60)
        state[0] = 2
        queue.add("a")
        go_on.set()
        recorder.heard(2)
    assert seen == [1, 2]


def test_failing_keys_that_hang_leave_the_healthy_workers_free(queue: Queue[str], clock: FakeClock) -> None:
    hang = threading.Event()
    second_time: set[str] = set()

    def reconcile(key: str) -> Outcome:
        if key.startswith("dead"):
            if key in second_time:
                assert hang.wait(60)
            second_time.add(key)
            raise Retryable("down")
        return Done()

    with working(queue, reconcile, healthy=1, failing=1) as recorder:
        for number in range(5):
            queue.add(f"dead-{number}")
        recorder.heard(5)
        clock.until_waiting(2)
        clock.advance(10)
        queue.add("healthy")
        runs = recorder.heard(6)
        hang.set()
    assert runs[5] == ("healthy", "done")


def test_never_two_workers_on_one_key() -> None:
    queue: Queue[str] = Queue(
        clock=SystemClock(), random=SystemRandom(), backoff=Backoff(base=0.0001, maximum=0.001)
    )
    lock = threading.Lock()
    inside: Counter[str] = Counter()
    overlaps: list[str] = []
    added, ran = Counter[str](), Counter[str]()

    def reconcile(key: str) -> Outcome:
        with lock:
            inside[key] += 1
            if inside[key] > 1:
                overlaps.append(key)
            ran[key] = added[key]  # what the state was when the run began
        with lock:
            inside[key] -= 1
            odd = added[key] % 2
        if odd:
            raise Retryable("down")
        return Done()

    with working(queue, reconcile, healthy=4, failing=2) as recorder:
        for number in range(2000):
            key = f"key-{number % 5}"
            with lock:
                added[key] += 1
            queue.add(key)
        while True:
            with lock:
                if ran == added and not sum(inside.values()):
                    break
            recorder.heard(len(recorder.runs) + 1)
    assert overlaps == []


def test_an_observer_that_fails_costs_no_worker(queue: Queue[str]) -> None:
    done = threading.Semaphore(0)

    class Broken:
        def finished(self, *_: object, **__: object) -> None:
            done.release()
            raise ValueError("a bug in the observer")

    workers: Workers[str] = Workers(queue, lambda _key: Done(), observer=Broken(), healthy=1, failing=0)
    workers.start()
    queue.add("a")
    assert done.acquire(timeout=60)
    queue.add("b")
    assert done.acquire(timeout=60)
    assert workers.stop(10)


def test_stopping_says_when_a_run_goes_on(queue: Queue[str]) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def reconcile(key: str) -> Outcome:
        inside.set()
        go_on.wait(60)
        return Done()

    workers: Workers[str] = Workers(queue, reconcile, observer=Recorder(), healthy=1, failing=0)
    workers.start()
    queue.add("a")
    assert inside.wait(60)
    hung = workers.stop(0.01)
    go_on.set()
    assert (hung, workers.stop(10)) == (False, True)
