from __future__ import annotations

from pathlib import Path

import pytest

from agent.node.host import FakeHost, HostError, RealHost, temporary_name


@pytest.fixture
def host(tmp_path: Path) -> RealHost:
    return RealHost(tmp_path, enter=False)


def test_an_absolute_link_stays_inside_the_root(host: RealHost) -> None:
    (host.root / "snap").mkdir()
    (host.root / "current").symlink_to("/snap")
    host.write("/current/file", b"x")
    assert b"x" == (host.root / "snap/file").read_bytes()
    assert "/snap/file" == host.resolve("/current/file")


def test_a_link_cannot_lead_out_of_the_root(host: RealHost) -> None:
    (host.root / "out").symlink_to("../../../etc")
    assert "/etc" == host.resolve("/out")


def test_a_loop_of_links_is_an_error(host: RealHost) -> None:
    (host.root / "a").symlink_to("b")
    (host.root / "b").symlink_to("a")
    with pytest.raises(HostError, match="too many links"):
        host.read("/a")


def test_a_file_behind_a_link_is_replaced_and_the_link_stays(host: RealHost) -> None:
    (host.root / "real").write_text("old")
    (host.root / "link").symlink_to("real")
    host.write("/link", b"new")
    assert (host.root / "link").is_symlink()
    assert "new" == (host.root / "real").read_text()


def test_a_file_that_was_there_keeps_its_mode(host: RealHost) -> None:
    (host.root / "file").write_text("old")
    (host.root / "file").chmod(0o640)
    host.write("/file", b"new")
    assert 0o640 == (host.root / "file").stat().st_mode & 0o777


def test_a_write_that_fails_leaves_the_old_file_and_no_other(host: RealHost) -> None:
    with pytest.raises(HostError, match="/absent/file: cannot be written"):
        host.write("/absent/file", b"x")
    assert [] == host.names("/")


def test_a_folder_that_is_not_empty_stays(host: RealHost) -> None:
    host.make_directory("/a/b")
    host.remove("/a")
    assert "directory" == host.kind("/a/b")


def test_removing_a_link_leaves_what_it_leads_to(host: RealHost) -> None:
    (host.root / "real").write_text("x")
    (host.root / "link").symlink_to("/real")
    host.remove("/link")
    assert ["real"] == host.names("/")


def test_removing_what_is_not_there_is_nothing(host: RealHost) -> None:
    host.remove("/absent")


def test_a_command_gets_its_input_and_only_its_environment(host: RealHost) -> None:
    found = host.run(["sh", "-c", "cat; env | grep -c ."], stdin="in\n", environment={"A": "1"})
    assert (0, "in") == (found.code, found.output.splitlines()[0])
    assert int(found.output.splitlines()[1]) <= 4


def test_a_command_that_is_not_there_is_told(host: RealHost) -> None:
    assert 127 == host.run(["/absent/program"]).code


def test_a_command_that_takes_too_long_is_ended(host: RealHost) -> None:
    assert 124 == host.run(["tail", "-f", "/dev/null"], timeout_seconds=0.05).code


def test_a_command_that_must_succeed_names_its_reason(host: RealHost) -> None:
    with pytest.raises(HostError, match="exit code 3: why"):
        host.must_run(["sh", "-c", "echo why >&2; exit 3"])


def test_nobody_answers_where_nobody_listens(host: RealHost) -> None:
    assert not host.answers("http://127.0.0.1:1/healthz")


def test_the_pods_commands_enter_the_hosts_namespaces(tmp_path: Path) -> None:
    assert ("nsenter", "-t", "1", "-m", "-p", "-u", "-i", "-n", "--") == RealHost(tmp_path)._prefix


def test_an_images_commands_run_inside_its_root(tmp_path: Path) -> None:
    assert ("chroot", str(tmp_path)) == RealHost(tmp_path, enter=False, chroot=True)._prefix


def test_a_temporary_file_lies_beside_its_target() -> None:
    assert "/etc/default/.kubelet.pullpass-new" == temporary_name("/etc/default/kubelet")


def test_the_fakes_clock_moves_by_waiting(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    before = host.now()
    host.wait(5)
    assert 5 == (host.now() - before).total_seconds()
