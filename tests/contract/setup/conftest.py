"""One scene for all that breaks, Ready before each test and after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.setup.scene import Scene, be_impatient, scene


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Made ready from an empty account, by `pullpass aws setup`."""
    with pytest.MonkeyPatch.context() as patch:
        be_impatient(patch)
        with scene(tmp_path_factory.mktemp("setup")) as made:
            made.follow(made.broken("RoleArnMissing"))
            made.ready()
            yield made
