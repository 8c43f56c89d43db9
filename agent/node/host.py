"""The node as the driver sees it: files under the host's root, commands in the host's own namespaces, a clock.

Everything in `agent.node` that touches the machine goes through `Host`, so that a folder stands in for a node in
tests (`FakeHost`, beside the real one). Paths are the host's own, absolute; links are followed inside the root, never
out of it. A file appears under its name complete or not at all: temporary file, fsync, rename, fsync of the folder.
"""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
import stat
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Literal, Protocol

_MOST_LINKS = 40  # as Linux itself
_TEMPORARY = ".pullpass-new"
_NEW_FILE, _PRIVATE = 0o644, 0o600
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin"
_HEALTH_SECONDS = 2
NOT_RUN = 127  # what a shell says when there is no such command
TIMED_OUT = 124  # what timeout(1) says

Kind = Literal["file", "directory", "other"]


class HostError(Exception):
    """The host did not let us; the message names the path or the command and the system's reason."""


@dataclass(frozen=True)
class Result:
    """How a command ended: its exit code (127: could not be started, 124: took too long) and what it wrote."""

    code: int
    output: str
    errors: str


class Host(Protocol):
    """A node. Every method that changes something is atomic and may be repeated."""

    def read(self, path: str) -> bytes | None:
        """The content; None when there is no such file."""

    def kind(self, path: str) -> Kind | None:
        """What is there, links followed; None when nothing is."""

    def executable(self, path: str) -> bool:
        """Whether a regular file is there that may be executed."""

    def names(self, path: str) -> list[str]:
        """The names in a folder, sorted; empty when there is no such folder."""

    def resolve(self, path: str) -> str:
        """The host path that `path` leads to when links are followed."""

    def write(self, path: str, content: bytes, mode: int | None = None) -> None:
        """Puts a file there; without `mode`, the one before keeps its mode and owner (a new one gets 0644)."""

    def copy(self, path: str, to: str) -> None:
        """Copies a file with its mode and owner."""

    def install(self, source: Path, path: str) -> None:
        """Puts a program from the driver's own filesystem there, mode 0755."""

    def same(self, source: Path, path: str) -> bool:
        """Whether a file there has the content of one in the driver's own filesystem."""

    def make_directory(self, path: str) -> None:
        """Makes a folder and its parents."""

    def remove(self, path: str) -> None:
        """Removes a file, a link, or a folder if it is empty; what is not there or not empty is left."""

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
        timeout_seconds: float = 30,
    ) -> Result:
        """Runs a command on the host; `environment` is the whole of it (without: the driver's path only)."""

    def must_run(self, command: Sequence[str]) -> None:
        """Runs a command that has to succeed.

        Raises:
            HostError: it did not.
        """

    def answers(self, url: str) -> bool:
        """Whether an http address of the host itself answers 200."""

    def now(self) -> datetime: ...

    def wait(self, seconds: float) -> None: ...


class HostFiles:
    """The half of `Host` that is files below a root folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes | None:
        try:
            return self._at(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise HostError(f"{path}: cannot be read: {error.strerror}") from error

    def kind(self, path: str) -> Kind | None:
        try:
            mode = self._at(path).lstat().st_mode
        except OSError:
            return None
        if stat.S_ISREG(mode):
            return "file"
        return "directory" if stat.S_ISDIR(mode) else "other"

    def executable(self, path: str) -> bool:
        at = self._at(path)
        return at.is_file() and bool(at.stat().st_mode & 0o111)

    def names(self, path: str) -> list[str]:
        try:
            return sorted(entry.name for entry in self._at(path).iterdir())
        except OSError:
            return []

    def resolve(self, path: str) -> str:
        return "/" + str(self._at(path).relative_to(self.root)).removeprefix(".")

    def write(self, path: str, content: bytes, mode: int | None = None) -> None:
        at = self._at(path)
        before = at.stat() if mode is None and at.exists() else None
        with self._replacing(path, at, _NEW_FILE if mode is None and before is None else mode) as temporary:
            with temporary.open("wb") as file:
                os.fchmod(file.fileno(), _PRIVATE)  # before there is anything to read
                file.write(content)
            self._sync(temporary)
            if before is not None:
                _be_like(temporary, before)

    def copy(self, path: str, to: str) -> None:
        source = self._at(path)
        with self._replacing(to, self._at(to), None) as temporary:
            shutil.copyfile(source, temporary)
            _be_like(temporary, source.stat())
            self._sync(temporary)

    def install(self, source: Path, path: str) -> None:
        with self._replacing(path, self._at(path), 0o755) as temporary:
            shutil.copyfile(source, temporary)
            self._sync(temporary)

    def same(self, source: Path, path: str) -> bool:
        try:
            # Remembers its answer for as long as size and time of both stay.
            return filecmp.cmp(source, self._at(path), shallow=False)
        except OSError:
            return False

    def make_directory(self, path: str) -> None:
        try:
            self._at(path).mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            raise HostError(f"{path}: cannot be made: {error.strerror}") from error

    def remove(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        at = self._at(folder) / name  # a link itself, never what it leads to
        try:
            if at.is_dir() and not at.is_symlink():
                at.rmdir()
            else:
                at.unlink()
        except FileNotFoundError:
            return
        except OSError as error:
            if at.is_dir() and any(at.iterdir()):
                return
            raise HostError(f"{path}: cannot be removed: {error.strerror}") from error
        self._sync(at.parent)

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
        timeout_seconds: float = 30,
    ) -> Result:
        """Half of a host only: files."""
        del stdin, environment, timeout_seconds
        return Result(NOT_RUN, "", f"{command[0]}: no commands here")

    def must_run(self, command: Sequence[str]) -> None:
        result = self.run(command)
        if result.code:
            raise HostError(f"{' '.join(command)}: exit code {result.code}: {result.errors.strip()}")

    def _sync(self, path: Path) -> None:
        """Has the disk hold a file or the names in a folder."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _replacing(self, path: str, at: Path, mode: int | None) -> Iterator[Path]:
        """A temporary file beside `at` that takes its place at the end, with `mode` if one is given."""
        temporary = Path(temporary_name(str(at)))
        try:
            yield temporary
            if mode is not None:
                temporary.chmod(mode)
            temporary.replace(at)
            self._sync(at.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise HostError(f"{path}: cannot be written: {error.strerror}") from error

    def _at(self, path: str) -> Path:
        """Where a host path lies for us: like chroot, links (absolute ones too) stay inside the root."""
        left = [part for part in path.split("/") if part not in ("", ".")][::-1]
        here, links = self.root, 0
        while left:
            part = left.pop()
            if part == "..":
                here = here if here == self.root else here.parent
                continue
            step = here / part
            if not step.is_symlink():
                here = step
                continue
            links += 1
            if links > _MOST_LINKS:
                raise HostError(f"{path}: too many links")
            target = step.readlink()
            here = self.root if target.is_absolute() else here
            left += [piece for piece in target.parts if piece != "/"][::-1]
        return here


def temporary_name(path: str) -> str:
    """Where a new content of `path` is written before it takes its place; a driver that was killed may leave it."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/.{name}{_TEMPORARY}"


def _be_like(path: Path, example: os.stat_result) -> None:
    os.chown(path, example.st_uid, example.st_gid)
    path.chmod(stat.S_IMODE(example.st_mode))


class RealHost(HostFiles):
    """The node around the pod: its root is mounted at `root`, commands enter the namespaces of process 1.

    With `enter=False` the commands run where we are: `pullpass node install` on the node itself. With `chroot` too they
    run inside `root`: that of an image that is being built.
    """

    _ENTER = ("nsenter", "-t", "1", "-m", "-p", "-u", "-i", "-n", "--")

    def __init__(self, root: Path, *, enter: bool = True, chroot: bool = False) -> None:
        super().__init__(root)
        inside = ("chroot", str(root)) if chroot else ()
        self._prefix = self._ENTER if enter else inside
        self._never = threading.Event()

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
        timeout_seconds: float = 30,
    ) -> Result:
        try:
            ended = subprocess.run(  # noqa: S603 - the commands are the driver's own, as lists, never through a shell
                [*self._prefix, *command],
                input=stdin,
                env={"PATH": _PATH, **(environment or {})},
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Result(TIMED_OUT, "", f"took longer than {timeout_seconds:g} s")
        except OSError as error:
            return Result(NOT_RUN, "", f"{command[0]}: {error.strerror}")
        return Result(ended.returncode, ended.stdout, ended.stderr)

    def answers(self, url: str) -> bool:
        directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with directly.open(url, timeout=_HEALTH_SECONDS) as response:
                return bool(response.status == HTTPStatus.OK)
        except (OSError, ValueError):
            return False

    def now(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, seconds: float) -> None:
        self._never.wait(seconds)


class FakeHost(HostFiles):
    """A folder for a node: commands are recorded and answered by `answer`, the clock moves only by waiting.

    `before_change` is called with a short name ahead of every change; a test raises from it to kill the driver there.
    """

    def __init__(self, root: Path, answer: Callable[[Sequence[str]], Result] | None = None) -> None:
        super().__init__(root)
        self.answer = answer or (lambda _command: Result(0, "", ""))
        self.before_change: Callable[[str], None] = lambda _what: None
        self.healthy = True
        self.commands: list[list[str]] = []
        self.stdin: list[str] = []
        self.environments: list[dict[str, str]] = []
        self.time = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)

    def _sync(self, path: Path) -> None:
        """A folder of a test's need not survive a power failure."""

    def write(self, path: str, content: bytes, mode: int | None = None) -> None:
        self.before_change(f"write {path}")
        super().write(path, content, mode)

    def copy(self, path: str, to: str) -> None:
        self.before_change(f"copy {path} {to}")
        super().copy(path, to)

    def install(self, source: Path, path: str) -> None:
        self.before_change(f"install {path}")
        super().install(source, path)

    def make_directory(self, path: str) -> None:
        self.before_change(f"make {path}")
        super().make_directory(path)

    def remove(self, path: str) -> None:
        self.before_change(f"remove {path}")
        super().remove(path)

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
        timeout_seconds: float = 30,
    ) -> Result:
        del timeout_seconds
        self.before_change(f"run {' '.join(command)}")
        self.commands.append(list(command))
        self.stdin.append(stdin)
        self.environments.append(dict(environment or {}))
        return self.answer(command)

    def answers(self, url: str) -> bool:
        del url
        return self.healthy

    def now(self) -> datetime:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
