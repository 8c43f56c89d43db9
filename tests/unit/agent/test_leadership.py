import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from agent.leadership import _EMPTY, LEASE_SECONDS, RENEW_SECONDS, RETRY_SECONDS, Leadership, _Term
from kube.client import Client, ObjectList
from kube.errors import Forbidden, NotFound
from kube.objects import LEASE, Kind, Object
from reconcile.clock import FakeClock, FakeRandom
from schemas.agent_documents import LEASE_NAME
from tests.unit.agent.cell import OURS, Cell, eventually

START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


class Watched(Client):
    """The real client of the election, with something happening between two of its requests."""

    def __init__(self, client: Client) -> None:
        self.__dict__.update(client.__dict__)
        self.missing: Callable[[], None] = lambda: None
        self.read: Callable[[], None] = lambda: None
        self.writes: Callable[[], None] = lambda: None
        self.looks = 0
        self.watching = "works"
        self.over = threading.Event()

    def list(self, kind: Kind, **how: Any) -> ObjectList:
        if self.watching == "refused":
            raise Forbidden(403, "Forbidden", "you may not")
        if self.watching == "silent":
            self.over.wait()
        return super().list(kind, **how)

    def get(self, kind: Kind, name: str, *, namespace: str | None = None) -> Object:
        self.looks += 1
        try:
            found = super().get(kind, name, namespace=namespace)
        except NotFound:
            self.missing()
            raise
        self.read()
        return found

    def merge_patch(
        self, kind: Kind, name: str, body: Object, *, namespace: str | None = None, **more: Any
    ) -> Object:
        self.writes()
        return super().merge_patch(kind, name, body, namespace=namespace, **more)


class CountingClock(FakeClock):
    """Counts how often each condition was waited on, so that a test knows who has looked at a new time."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.waits: Counter[int] = Counter()

    def wait(self, condition: threading.Condition, timeout_seconds: float | None) -> None:
        self.waits[id(condition)] += 1
        super().wait(condition, timeout_seconds)


class Replica:
    """One that stands for leader, and waits when it leads."""

    def __init__(self, election: "Election", name: str) -> None:
        self._election = election
        self.cut_off = threading.Event()
        self.client = Watched(election.admin.fenced(self.cut_off))
        self.leadership = Leadership(self.client, name, clock=election.clock, random=FakeRandom())
        self.terms: list[threading.Event] = []
        self.until: threading.Event | None = None  # in place of the end of the term
        self.raised: Exception | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> "Replica":
        self._thread.start()
        return self

    @property
    def leads(self) -> bool:
        return bool(self.terms) and not self.terms[-1].is_set()

    def stop(self) -> None:
        self._stopping.set()
        self.client.over.set()
        if self._thread.ident is not None:
            self._thread.join(60)
            assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.leadership.run(self._stopping, self._lead)
        except ZeroDivisionError as error:
            self.raised = error

    def _lead(self, lost: threading.Event) -> None:
        self.terms.append(lost)
        self._election.note()
        self.work(lost)

    def work(self, lost: threading.Event) -> None:
        (self.until or lost).wait()


class Failing(Replica):
    def work(self, lost: threading.Event) -> None:  # noqa: ARG002 - the base asks for it
        raise ZeroDivisionError


class Election:
    """A Lease, those who want it, and whether ever two led at once."""

    def __init__(self, cell: Cell) -> None:
        self.admin = cell.admin
        self.clock = CountingClock(START)
        self.replicas: list[Replica] = []
        self.both = False

    def replica(self, name: str, kind: type[Replica] = Replica) -> Replica:
        self.replicas.append(kind(self, name))
        return self.replicas[-1]

    def note(self) -> None:
        self.both = self.both or sum(replica.leads for replica in self.replicas) > 1

    def lease(self) -> dict[str, Any]:
        try:
            return dict(self.admin.get(LEASE, LEASE_NAME, namespace=OURS).get("spec") or {})
        except NotFound:
            return {}

    def write(self, **spec: Any) -> None:
        self.admin.merge_patch(LEASE, LEASE_NAME, {"spec": spec}, namespace=OURS)

    def renewed(self) -> bool:
        """Whether the last renewal is of now."""
        return bool(self.lease()["renewTime"] == self.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"))

    def pass_until(self, replica: Replica, *, step: float = 1.0) -> float:
        """Lets time pass, step by step as that replica has looked at each, until it leads; the seconds that took."""
        passed, condition = 0.0, id(replica.leadership._condition)
        while not replica.leads:
            assert passed < 60
            looked = self.clock.waits[condition]
            self.clock.advance(step)
            passed += step
            # A term begins with threads that wait, a moment before the work does.
            eventually(
                lambda looked=looked: (  # type: ignore[misc]
                    replica.leads
                    or (
                        self.clock.waits[condition] > looked
                        and not replica.leadership.leading
                        and self.waits(replica)
                    )
                )
            )
            self.note()
        return passed

    def heard(self, replica: Replica) -> bool:
        """Whether its watch has told of the Lease as it stands."""
        return bool(replica.leadership._observed.spec == self.lease())

    def pass_by(self, replica: Replica, seconds: float = 0.5) -> None:
        """Lets time pass, and that replica look at it."""
        eventually(lambda: self.waits(replica))
        looked = self.clock.waits[id(replica.leadership._condition)]
        self.clock.advance(seconds)
        eventually(
            lambda: self.clock.waits[id(replica.leadership._condition)] > looked and self.waits(replica)
        )

    def waits(self, replica: Replica) -> bool:
        """Whether all of its threads wait: one that stands by, or a leader's two."""
        return self.clock._waiting.count(replica.leadership._condition) >= (2 if replica.leads else 1)

    def let_pass(self, replica: Replica, seconds: float) -> None:
        """Lets time pass once that replica waits for it."""
        eventually(lambda: self.waits(replica))
        self.clock.advance(seconds)


@pytest.fixture
def election(cell: Cell) -> Iterator[Election]:
    election = Election(cell)
    yield election
    for replica in election.replicas:
        replica.stop()
    assert not election.both


@pytest.fixture
def leader(election: Election) -> Replica:
    leader = election.replica("one").start()
    eventually(lambda: leader.leads)
    return leader


@pytest.fixture
def standby(election: Election, leader: Replica) -> Replica:
    standby = election.replica("two").start()
    eventually(lambda: election.waits(standby))
    return standby


def test_the_first_leads_and_the_other_stands_by(leader: Replica, standby: Replica) -> None:
    assert (True, False) == (leader.leadership.leading, standby.leadership.leading)


def test_the_lease_says_who_leads_and_since_when(election: Election, leader: Replica) -> None:
    expected = {
        "holderIdentity": "one",
        "leaseDurationSeconds": 13,
        "acquireTime": "2026-11-22T06:00:00.000000Z",
        "renewTime": "2026-11-22T06:00:00.000000Z",
        "leaseTransitions": 1,
    }
    assert expected == election.lease()


def test_a_leader_that_renews_goes_on_leading(election: Election, leader: Replica, standby: Replica) -> None:
    for _ in range(10):
        election.let_pass(leader, RENEW_SECONDS)
        eventually(election.renewed)
    assert (True, 1, 0) == (leader.leads, len(leader.terms), len(standby.terms))


def test_a_standby_that_hears_of_renewals_sends_nothing(
    election: Election, leader: Replica, standby: Replica
) -> None:
    eventually(lambda: election.heard(standby))
    before = standby.client.looks
    for _ in range(15):
        election.let_pass(leader, RENEW_SECONDS)
        eventually(election.renewed)
        eventually(lambda: election.heard(standby))
    assert before == standby.client.looks


@pytest.mark.parametrize("broken", ["refused", "silent"])
def test_a_standby_whose_watch_is_broken_looks_by_itself(
    election: Election, leader: Replica, broken: str
) -> None:
    standby = election.replica("two")
    standby.client.watching = broken
    standby.start()
    for _ in range(5):
        eventually(lambda: election.waits(standby))
        election.let_pass(leader, RENEW_SECONDS)
        eventually(election.renewed)
        late = 0.0
        while not election.heard(standby):
            election.pass_by(standby)
            late += 0.5
        assert late <= RETRY_SECONDS * 1.2 + 0.5
    leader.cut_off.set()
    assert election.pass_until(standby) <= 15
    assert (1, False) == (len(leader.terms), leader.leads)


def test_a_watch_that_falls_silent_is_not_relied_on(
    election: Election, leader: Replica, standby: Replica
) -> None:
    eventually(lambda: election.heard(standby))
    standby.leadership._watch.stop()  # type: ignore[union-attr]  # it stands by: there is one
    for _ in range(6):
        election.let_pass(leader, RENEW_SECONDS)
        eventually(election.renewed)
        election.pass_by(standby)
    leader.cut_off.set()
    assert election.pass_until(standby) <= 15
    assert 1 == len(leader.terms)


def test_what_a_watch_tells_too_late_takes_no_lease_from_its_holder(
    election: Election, leader: Replica, standby: Replica
) -> None:
    eventually(lambda: election.heard(standby))
    before, looks = election.lease(), standby.client.looks
    with standby.leadership._condition:
        standby.leadership._observe({"leaseDurationSeconds": 1, "renewTime": "of a release long ago"})
        standby.leadership._condition.notify_all()
    eventually(lambda: standby.client.looks > looks)
    eventually(lambda: election.waits(standby))
    assert (before, []) == (election.lease(), standby.terms)


def test_a_lease_that_is_made_again_is_not_free_before_its_holder_has_signed_it(
    election: Election, leader: Replica, standby: Replica
) -> None:
    eventually(lambda: election.heard(standby))
    leader.cut_off.set()
    election.admin.delete(LEASE, LEASE_NAME, namespace=OURS)
    election.admin.apply(_EMPTY)
    eventually(lambda: {} == standby.leadership._watch.get(OURS, LEASE_NAME))  # type: ignore[union-attr]  # as above
    looks = standby.client.looks
    for _ in range(8):
        election.pass_by(standby, RETRY_SECONDS)
    assert standby.client.looks > looks
    assert [] == standby.terms


def test_of_many_that_begin_at_once_one_leads(election: Election) -> None:
    replicas = [election.replica(str(number)) for number in range(6)]
    for replica in replicas:
        replica.start()
    eventually(lambda: sum(map(election.waits, replicas)) >= 6)
    assert 1 == sum(replica.leads for replica in replicas)


def test_one_that_finds_no_lease_and_then_anothers_does_not_lead(election: Election) -> None:
    quick, late = election.replica("quick"), election.replica("late")

    def overtake() -> None:
        quick.start()
        eventually(lambda: quick.leads)

    late.client.missing = overtake
    late.start()
    eventually(lambda: election.waits(late))
    assert (True, []) == (quick.leads, late.terms)


def test_one_that_was_overtaken_between_reading_and_writing_does_not_lead(
    election: Election, leader: Replica
) -> None:
    leader.stop()
    late = election.replica("late")
    late.client.read = lambda: election.write(holderIdentity="quick", leaseDurationSeconds=LEASE_SECONDS)
    late.start()
    eventually(lambda: election.waits(late))
    assert ("quick", []) == (election.lease()["holderIdentity"], late.terms)


def test_a_leader_that_cannot_renew_stops_before_another_begins_within_15_seconds(
    election: Election, leader: Replica, standby: Replica
) -> None:
    leader.cut_off.set()
    passed = election.pass_until(standby)
    assert leader.terms[0].is_set()
    assert LEASE_SECONDS <= passed <= 15


def test_a_leader_that_stops_hands_over_without_a_wait(
    election: Election, leader: Replica, standby: Replica
) -> None:
    eventually(lambda: election.heard(standby))
    leader.stop()
    eventually(lambda: standby.leads)  # and no time passes
    assert ("two", 2) == (election.lease()["holderIdentity"], election.lease()["leaseTransitions"])


def test_the_lease_is_released_only_when_the_work_has_ended(election: Election, leader: Replica) -> None:
    working = threading.Event()
    second = election.replica("two")
    second.until = working
    leader.stop()
    second.start()
    eventually(lambda: second.leads)
    second._stopping.set()
    eventually(lambda: not second.leads)
    held_meanwhile = election.lease()["holderIdentity"]
    working.set()
    second.stop()
    assert ("two", None) == (held_meanwhile, election.lease().get("holderIdentity"))


def test_a_renewal_that_hangs_ends_the_term_in_time(election: Election, leader: Replica) -> None:
    hanging, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        hanging.set()
        go_on.wait()

    leader.client.writes = hang
    election.let_pass(leader, RENEW_SECONDS)
    hanging.wait()
    election.clock.advance(LEASE_SECONDS - RENEW_SECONDS)
    eventually(lambda: threading.Event.is_set(leader.terms[0]))
    leader.client.writes = lambda: None
    go_on.set()


def test_a_process_that_was_paused_knows_at_once_that_it_leads_no_longer() -> None:
    clock = FakeClock(START)
    term = _Term(clock, clock.monotonic(), {})
    clock.advance(LEASE_SECONDS - 2)
    assert term.lost.is_set()


def test_a_lease_that_somebody_labels_is_renewed_all_the_same(election: Election, leader: Replica) -> None:
    labelled = {"metadata": {"labels": {"seen": "yes"}}}
    election.admin.merge_patch(LEASE, LEASE_NAME, labelled, namespace=OURS)
    election.let_pass(leader, RENEW_SECONDS)
    eventually(election.renewed)
    assert leader.leads


def test_a_lease_that_is_deleted_is_made_again_by_its_holder(
    election: Election, leader: Replica, standby: Replica
) -> None:
    election.admin.delete(LEASE, LEASE_NAME, namespace=OURS)
    election.let_pass(leader, RENEW_SECONDS)
    eventually(lambda: election.lease().get("holderIdentity") == "one")
    eventually(lambda: election.heard(standby))
    assert (True, []) == (leader.leads, standby.terms)


def test_a_lease_that_another_was_given_is_let_go(election: Election, leader: Replica) -> None:
    election.write(holderIdentity="two")
    election.let_pass(leader, RENEW_SECONDS)
    eventually(lambda: not leader.leads)
    assert "two" == election.lease()["holderIdentity"]


@pytest.mark.parametrize("renewed", ["2020-01-01T00:00:00.000000Z", "2040-01-01T00:00:00.000000Z"])
def test_what_time_the_holder_believes_it_to_be_does_not_matter(
    election: Election, leader: Replica, renewed: str
) -> None:
    leader.stop()
    election.write(holderIdentity="skewed", leaseDurationSeconds=LEASE_SECONDS, renewTime=renewed)
    other = election.replica("two").start()
    eventually(lambda: election.waits(other))
    assert LEASE_SECONDS == election.pass_until(other)


def test_a_replica_that_came_back_under_its_name_leads_at_once(election: Election, leader: Replica) -> None:
    leader.stop()
    election.write(holderIdentity="two", leaseDurationSeconds=LEASE_SECONDS)
    again = election.replica("two").start()
    eventually(lambda: again.leads)


def test_after_a_lost_term_it_stands_again(election: Election, leader: Replica) -> None:
    leader.cut_off.set()
    election.let_pass(leader, LEASE_SECONDS)
    eventually(lambda: not leader.leads)
    leader.cut_off.clear()
    election.pass_until(leader)
    assert 2 == len(leader.terms)


def test_what_the_work_raises_comes_out_and_the_lease_is_free(election: Election) -> None:
    replica = election.replica("one", Failing).start()
    eventually(lambda: replica.raised is not None)
    assert "holderIdentity" not in election.lease()


def test_work_that_does_not_end_is_noticed(election: Election, leader: Replica) -> None:
    leader.stop()
    working = threading.Event()
    wedged = election.replica("two")
    wedged.until = working
    wedged.start()
    eventually(lambda: wedged.leads)
    wedged.cut_off.set()
    election.let_pass(wedged, LEASE_SECONDS)
    eventually(lambda: not wedged.leads)
    before = wedged.leadership.stuck
    election.clock.advance(61)
    stuck = wedged.leadership.stuck
    working.set()
    assert (False, True) == (before, stuck)


def test_a_standby_thatwaits_is_not_stuck(election: Election, leader: Replica, standby: Replica) -> None:
    leader.cut_off.set()
    election.pass_until(standby)
    assert not standby.leadership.stuck
