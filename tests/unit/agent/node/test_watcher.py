"""The real script, under dash, on a folder; systemd, curl and sleep are programs of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.node import watcher
from agent.node.host import FakeHost, Result
from agent.node.state import Before

SYSTEMCTL = """\
#!/bin/sh
echo "$@" >>"$WORLD/calls"
case "$1" in
    is-active) cat "$WORLD/active" ;;
    show) cat "$WORLD/invocation" ;;
    restart)
        n=$(cat "$WORLD/invocation")
        echo $((n + 1)) >"$WORLD/invocation"
        if grep -q good "$PULLPASS_ROOT/etc/default/kubelet"; then echo active; else echo activating; fi >"$WORLD/active"
        ;;
esac
"""


class World:
    tries = 12

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "root"
        self.host = FakeHost(self.root)
        (self.root / "var/lib/pullpass/before").mkdir(parents=True)
        (self.root / "etc/default").mkdir(parents=True)
        (folder / "bin").mkdir()
        self.program("systemctl", SYSTEMCTL)
        self.program("sleep", "#!/bin/sh\n")
        self.program("sync", "#!/bin/sh\n")
        self.program("curl", '#!/bin/sh\n[ -e "$WORLD/answers" ]\n')
        self.program("journalctl", "#!/bin/sh\necho 'err=\"bad config\"'\n")
        self.say(active="active", invocation="1", answers="")

    def program(self, name: str, text: str) -> None:
        at = self.folder / "bin" / name
        at.write_text(text)
        at.chmod(0o755)

    def say(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / name).write_text(f"{text}\n")

    def kubelet(self, text: str) -> None:
        (self.root / "etc/default/kubelet").write_text(text)

    def before(self, text: str | None) -> None:
        copy = None
        if text is not None:
            copy = "/var/lib/pullpass/before/0"
            (self.root / copy.lstrip("/")).write_text(text)
        script = watcher.script(
            "kubelet.service",
            self.tries,
            watcher.HEALTH,
            [Before("/etc/default/kubelet", copy), Before("/new", None)],
        )
        self.host.write(watcher.SCRIPT, script.encode())

    def want_restart(self) -> None:
        watcher.want_restart(self.host)

    def run(self) -> str:
        dash = shutil.which("dash")
        assert dash
        environment = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "WORLD": str(self.folder),
            "PULLPASS_ROOT": str(self.root),
        }
        subprocess.run(
            [dash, str(self.root / watcher.SCRIPT.lstrip("/"))], env=environment, check=True, timeout=60
        )
        return (self.root / watcher.OUTCOME.lstrip("/")).read_text().strip()

    def calls(self) -> list[str]:
        return [one for one in (self.folder / "calls").read_text().splitlines() if one.startswith("restart")]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_it_restarts_on_request_and_says_that_the_kubelet_is_healthy(world: World) -> None:
    world.kubelet("good new\n")
    world.before("good old\n")
    world.want_restart()
    assert "healthy" == world.run()
    assert ["restart --no-block kubelet.service"] == world.calls()
    assert not (world.root / watcher.WANTED.lstrip("/")).exists()


def test_it_restarts_nothing_unasked(world: World) -> None:
    world.kubelet("good\n")
    world.before("good old\n")
    assert "healthy" == world.run()
    assert [] == world.calls()


def test_it_puts_back_what_was_there_and_takes_away_what_was_not(world: World) -> None:
    world.kubelet("bad\n")
    (world.root / "new").write_text("ours")
    world.before("good old\n")
    world.want_restart()
    assert "rolledBack" == world.run()
    assert "good old\n" == (world.root / "etc/default/kubelet").read_text()
    assert not (world.root / "new").exists()
    assert 2 == len(world.calls())
    assert 'err="bad config"' == watcher.why(world.host)


def test_it_leaves_no_temporary_file(world: World) -> None:
    world.kubelet("bad\n")
    world.before("good old\n")
    world.want_restart()
    world.run()
    assert ["kubelet"] == world.host.names("/etc/default")


def test_a_kubelet_that_does_not_answer_is_not_healthy(world: World) -> None:
    (world.folder / "answers").unlink()
    world.kubelet("good\n")
    world.before("good old\n")
    assert "rolledBack" == world.run()


CRASHES = """\
#!/bin/sh
n=$(cat "$WORLD/invocation")
echo $((n + 1)) >"$WORLD/invocation"
echo look >>"$WORLD/looks"
"""


def test_a_kubelet_that_starts_again_and_again_is_given_up_early(world: World) -> None:
    world.tries = 1000
    world.program("curl", CRASHES)
    world.kubelet("good\n")
    world.before("good old\n")
    assert "rolledBack" == world.run()
    assert len((world.folder / "looks").read_text().splitlines()) < 10


def test_a_kubelet_that_starts_late_has_time(world: World) -> None:
    world.tries = 40
    world.say(active="activating")
    late = 'n=$(grep -c is-active "$WORLD/calls"); [ "$n" -lt 20 ] || echo active >"$WORLD/active"\n'
    world.program("sleep", f"#!/bin/sh\n{late}")
    world.kubelet("good\n")
    world.before("good old\n")
    assert "healthy" == world.run()


def test_a_reboot_with_a_bad_configuration_comes_back(world: World) -> None:
    world.say(active="activating")
    world.kubelet("bad\n")
    world.before("good old\n")
    assert "rolledBack" == world.run()
    assert "active\n" == (world.folder / "active").read_text()


def test_without_a_program_that_speaks_http_systemd_has_the_word(world: World) -> None:
    (world.folder / "bin/curl").unlink()
    (world.folder / "answers").unlink()
    world.kubelet("good\n")
    world.before("good old\n")
    for name in ("cat", "cp", "mv", "rm", "grep"):
        (world.folder / "bin" / name).symlink_to(shutil.which(name) or name)
    dash = shutil.which("dash")
    assert dash
    environment = {
        "PATH": str(world.folder / "bin"),
        "WORLD": str(world.folder),
        "PULLPASS_ROOT": str(world.root),
    }
    subprocess.run(
        [dash, str(world.root / watcher.SCRIPT.lstrip("/"))], env=environment, check=True, timeout=60
    )
    assert "healthy" == watcher.outcome(world.host)


def test_it_is_enabled_before_it_is_needed_and_leaves_nothing(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    for folder in ("/etc/systemd/system", "/var/lib/pullpass"):
        host.make_directory(folder)
    before = sorted(tmp_path.rglob("*"))
    watcher.place(host, "#!/bin/sh\n")
    assert ["systemctl", "enable", watcher.SERVICE] in host.commands
    watcher.remove(host)
    assert before == sorted(tmp_path.rglob("*"))


def test_a_unit_that_systemd_refuses_is_an_error(tmp_path: Path) -> None:
    host = FakeHost(
        tmp_path,
        lambda command: Result(1, "", "Unit is masked") if "enable" in command else Result(0, "", ""),
    )
    host.make_directory("/etc/systemd/system")
    host.make_directory("/var/lib/pullpass")
    with pytest.raises(Exception, match="Unit is masked"):
        watcher.place(host, "#!/bin/sh\n")


def test_a_long_last_word_begins_with_a_whole_one(world: World) -> None:
    path = world.root / watcher.WHY.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("err= " + "kubelet " * 200)
    assert {"…", "kubelet"} == set(watcher.why(world.host).split())
