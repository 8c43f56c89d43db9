"""`make test` itself: what it shows, what it answers, and that nothing is left of it when it is killed."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.programs import REPOSITORY

_MAIN = (
    "import json, sys; from tests.support.side_by_side import main;"
    " sys.exit(main(json.loads(sys.argv[1]), ['-p', 'no:cacheprovider']))"
)
_PASSES = "def test_fine() -> None: ...\n"
_FAILS = "def test_wrong() -> None: assert 'this' == 'that'\n"
_LASTS = """
import os, threading
from pathlib import Path
import pytest
from tests.support import processes

@pytest.fixture
def started():
    yield processes.start(["sleep", "600"], log=Path({folder!r}) / "log")
    Path({folder!r}, "tidied").touch()

def test_it_lasts(started) -> None:
    (Path({folder!r}) / "sleeper.new").write_text(str(started.pid))
    (Path({folder!r}) / "sleeper.new").rename({folder!r} + "/sleeper")
    threading.Event().wait()
"""


def command(**runs: Path) -> list[str]:
    paths = {name: [str(path)] for name, path in runs.items()}
    return [sys.executable, "-c", _MAIN, json.dumps(paths)]


def written(folder: Path, text: str) -> Path:
    file = folder / "test_one.py"
    folder.mkdir(exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.parametrize(("text", "code"), [(_PASSES, 0), (_FAILS, 1)])
def test_it_fails_when_one_of_them_does_and_shows_what_each_said(
    tmp_path: Path, text: str, code: int
) -> None:
    one, other = written(tmp_path / "a", _PASSES), written(tmp_path / "b", text)
    ended = subprocess.run(
        command(one=one, other=other), cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert code == ended.returncode, ended.stdout
    progress = [line for line in ended.stdout.splitlines() if line.endswith("[100%]")]
    assert {"one", "other"} == {line.split()[0] for line in progress}
    assert 2 == ended.stdout.count("rootdir")
    assert bool(code) == ("'this' == 'that'" in ended.stdout)


def _lasting(folder: Path, started: subprocess.Popen[bytes]) -> list[int]:
    """Waits until the test runs; all processes under `started`."""
    for _ in range(600):
        if (folder / "sleeper").exists():
            break
        with pytest.raises(subprocess.TimeoutExpired):
            started.wait(0.1)
    found = processes.descendants(started.pid)
    assert int((folder / "sleeper").read_text()) in found
    return found


def test_told_to_end_it_has_its_tests_clean_up(tmp_path: Path) -> None:
    test = written(tmp_path, _LASTS.format(folder=str(tmp_path)))
    with subprocess.Popen(command(one=test), cwd=REPOSITORY, stdout=subprocess.DEVNULL) as started:
        all_of_it = _lasting(tmp_path, started)
        started.terminate()
        assert 1 == started.wait(60)
    assert (tmp_path / "tidied").exists()
    processes.wait_until_gone(all_of_it)


def test_when_make_is_killed_all_of_it_goes(tmp_path: Path) -> None:
    test = written(tmp_path, _LASTS.format(folder=str(tmp_path)))
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"SHELL := /bin/bash\ntest:\n\t@{shlex.join(command(one=test))}\n")
    with subprocess.Popen(
        ["make", "-f", makefile, "test"], cwd=REPOSITORY, stdout=subprocess.DEVNULL
    ) as make:
        all_of_it = _lasting(tmp_path, make)
        make.send_signal(signal.SIGKILL)
    processes.wait_until_gone(all_of_it)


def test_when_it_is_killed_all_of_it_goes(tmp_path: Path) -> None:
    test = written(tmp_path, _LASTS.format(folder=str(tmp_path)))
    with subprocess.Popen(command(one=test), cwd=REPOSITORY, stdout=subprocess.DEVNULL) as started:
        all_of_it = _lasting(tmp_path, started)
        started.kill()
    processes.wait_until_gone(all_of_it)
