"""The queue against a model that is too simple to be wrong: sets and times."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from reconcile.clock import FakeClock, FakeRandom
from reconcile.queue import Backoff, Queue

KEYS = st.sampled_from(["a", "b", "c"])


class QueueLaws(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(datetime(2026, 11, 22, tzinfo=UTC))
        self.queue: Queue[str] = Queue(
            clock=self.clock, random=FakeRandom(), backoff=Backoff(base=1, maximum=8, jitter=0)
        )
        self.wanted: set[str] = set()  # must run (again): added, or due
        self.running: set[str] = set()
        self.later: dict[str, float] = {}
        self.failing: set[str] = set()

    def pass_time(self) -> None:
        for key, due in list(self.later.items()):
            if due <= self.clock.monotonic():
                del self.later[key]
                self.wanted.add(key)

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        self.queue.add(key)
        self.wanted.add(key)
        self.later.pop(key, None)

    @rule(key=KEYS, seconds=st.integers(1, 10))
    def add_after(self, key: str, seconds: int) -> None:
        self.pass_time()
        self.queue.depth()  # the queue looks at the time as the model just did
        self.queue.add_after(key, seconds)
        if key not in self.wanted:
            due = self.clock.monotonic() + seconds
            self.later[key] = min(due, self.later.get(key, due))

    @rule(seconds=st.integers(1, 10))
    def advance(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.ready())
    @rule(data=st.data())
    def get(self, data: st.DataObject) -> None:
        lanes = sorted({key in self.failing for key in self.ready()})
        key = self.queue.get(failing=data.draw(st.sampled_from(lanes)))
        assert key in self.ready()
        self.wanted.discard(key)
        self.running.add(key)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), fails=st.booleans())
    def finish(self, data: st.DataObject, fails: bool) -> None:
        self.pass_time()
        self.queue.depth()
        key = data.draw(st.sampled_from(sorted(self.running)))
        if fails:
            failures = self.queue.failures(key)
            self.queue.add_rate_limited(key)
            self.failing.add(key)
            if key not in self.wanted:
                due = self.clock.monotonic() + min(2**failures, 8)
                self.later[key] = min(due, self.later.get(key, due))
        else:
            self.queue.forget(key)
            self.failing.discard(key)
        self.queue.done(key)
        self.running.discard(key)

    @precondition(lambda self: not self.running)
    @rule(key=KEYS)
    def discard(self, key: str) -> None:
        self.queue.discard(key)
        self.wanted.discard(key)
        self.failing.discard(key)
        self.later.pop(key, None)

    def ready(self) -> set[str]:
        self.pass_time()
        return self.wanted - self.running

    @invariant()
    def what_must_run_is_ready_once_in_its_lane_unless_it_runs(self) -> None:
        ready = self.ready()
        failing = ready & self.failing
        assert (len(ready - failing), len(failing)) == self.queue.depth()


QueueLaws.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestQueueLaws = QueueLaws.TestCase
