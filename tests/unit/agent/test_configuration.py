from collections.abc import Iterator

import pytest

from agent.configuration import ConfigurationSource
from kube.objects import CONFIG_MAP
from reconcile.clock import SystemClock, SystemRandom
from tests.unit.agent.cell import OURS, Cell, eventually


class Followed:
    def __init__(self, cell: Cell) -> None:
        self.told = 0
        self.source = ConfigurationSource(
            cell.admin, cell.admin, changed=self._changed, clock=SystemClock(), random=SystemRandom()
        )

    def _changed(self) -> None:
        self.told += 1


@pytest.fixture
def followed(cell: Cell) -> Iterator[Followed]:
    followed = Followed(cell)
    followed.source.start()
    yield followed
    followed.source.stop()
    followed.source.join(60)


def test_before_there_is_one_it_is_known_that_there_is_none(cell: Cell, followed: Followed) -> None:
    eventually(lambda: followed.source.synced)
    assert (None, 0) == (followed.source.current(), followed.told)


def test_each_that_comes_is_in_force_and_told(cell: Cell, followed: Followed) -> None:
    cell.configure()
    eventually(lambda: followed.told == 1)
    cell.reconfigure(region="eu-west-1")
    eventually(lambda: followed.told == 2)
    assert cell.configuration == followed.source.current()


@pytest.mark.parametrize("text", ["", "{}", "no JSON"])
def test_one_that_cannot_be_read_leaves_the_last_in_force(cell: Cell, followed: Followed, text: str) -> None:
    cell.configure()
    eventually(lambda: followed.told == 1)
    cell.apply("ConfigMap", "pullpass-agent", namespace=OURS, data={"configuration.json": text})
    cell.reconfigure(region="eu-west-1")
    eventually(lambda: followed.told == 2)
    assert cell.configuration == followed.source.current()


def test_one_that_is_deleted_stays_in_force(cell: Cell, followed: Followed) -> None:
    cell.configure()
    eventually(lambda: followed.told == 1)
    cell.admin.delete(CONFIG_MAP, "pullpass-agent", namespace=OURS)
    eventually(lambda: followed.source._informer.get(OURS, "pullpass-agent") is None)
    assert cell.configuration == followed.source.current()


def test_one_that_asked_for_removal_is_gone_when_it_is_deleted(cell: Cell, followed: Followed) -> None:
    cell.configure(removing=True)
    eventually(lambda: followed.told == 1)
    cell.admin.delete(CONFIG_MAP, "pullpass-agent", namespace=OURS)
    eventually(lambda: followed.told == 2)
    assert None is followed.source.current()


def test_what_the_watch_has_not_told_yet_can_be_asked_for(cell: Cell) -> None:
    unstarted = Followed(cell).source
    before = unstarted.newest()
    cell.configure()
    assert (None, cell.configuration) == (before, unstarted.newest())
