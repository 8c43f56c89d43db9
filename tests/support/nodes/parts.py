"""What the test bed is made of and costs time to make: a Debian root, images, the plugin. Made once, into the cache.

`make e2e` makes them (`python -m tests.support.nodes.parts`); the tests take them from where they are. A part is made
under another name and renamed, so an interrupted one is never taken for whole.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import programs

SUITE = "bookworm"
_NODE_PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "iproute2", "iptables", "containerd", "runc", "conntrack", "kmod"),
    *("containernetworking-plugins", "ca-certificates", "curl"),
)
# What slim base images leave out as well: a figure of the image's size compares with theirs.
_LEFT_OUT = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")
_PYTHON_PACKAGES = ("python3", "python3-venv", "ca-certificates")
PYTHON_BASE = "localhost/python-base"
_KEPT_ARCHIVES = 2  # and the one being made: a run of another clone may be about to use its own
PRODUCT_IMAGE = "localhost/pullpass:e2e"

# What each program comes with, on Debian.
NEEDED = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "ip": "iproute2",
    "iptables": "iptables",
    "gcc": "gcc libc6-dev",
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "buildah": "buildah",
    "etcd": "etcd-server",
}


def node_root() -> Path:
    """The Debian root of every node; used read-only."""
    return _made(
        f"root-{_hash(SUITE, *_NODE_PACKAGES, *_LEFT_OUT)}", lambda path: _debootstrap(path, _NODE_PACKAGES)
    )


def python_root() -> Path:
    """A Debian root with Python, of which the base image is made where no registry is."""
    return _made(
        f"python-{_hash(SUITE, *_PYTHON_PACKAGES, *_LEFT_OUT)}",
        lambda path: _debootstrap(path, _PYTHON_PACKAGES),
    )


def product_archive() -> Path:
    """The product's image as `make image` builds it of this tree, as an OCI archive; built again when a file changed."""
    return _made(f"product-{_hash_of_sources()}.tar", _build_product)


def require_product() -> Path:
    """The archive that `make e2e` has made of this tree and names; the tests themselves reach no index to build it."""
    named = os.environ.get("PULLPASS_E2E_IMAGE")
    path = Path(named) if named else _cache() / f"product-{_hash_of_sources()}.tar"
    if not path.exists():
        _give_up("the image of this tree is not built: `make e2e` builds it")
    return path


def require_programs() -> None:
    """Skips the test, or with CI=true fails it, when a program of the bed is missing; says what to install."""
    missing = {package for name, package in NEEDED.items() if programs.find(name) is None}
    if missing:
        _give_up(f"the test bed needs more programs: apt-get install {' '.join(sorted(missing))}")


def _give_up(message: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def _made(name: str, make: Callable[[Path], None]) -> Path:
    path = _cache() / name
    if path.exists():
        return path
    new = path.with_name(f".{name}.{os.getpid()}")
    try:
        make(new)
        new.rename(path)
    finally:
        if new.is_dir():
            shutil.rmtree(new)
        else:
            new.unlink(missing_ok=True)
    return path


def _cache() -> Path:
    path = programs.cache_directory() / "nodes"
    path.mkdir(parents=True, exist_ok=True)
    return path


def _hash(*words: str) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


def _debootstrap(path: Path, packages: tuple[str, ...]) -> None:
    sys.stderr.write(f"making a Debian root with {packages[0]} (a minute)\n")
    _quiet(["debootstrap", "--variant=minbase", f"--include={','.join(packages)}", SUITE, path, _mirror()])
    for folder in _LEFT_OUT:
        shutil.rmtree(path / folder, ignore_errors=True)


def _mirror() -> str:
    """Where this machine's apt gets Debian from."""
    sources = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for source in sources:
        text = source.read_text(encoding="utf-8") if source.is_file() else ""
        for line in text.splitlines():
            found = re.match(r"(?:URIs:|deb(?:\s+\[[^]]*\])?)\s+(https?://\S+/debian/?)(?:\s|$)", line)
            if found:
                return found[1]
    raise RuntimeError("apt's sources name no Debian mirror to make a node's root from")


def _build_product(path: Path) -> None:
    storage = _cache() / "containers"
    base = f"{PYTHON_BASE}:{python_root().name}"
    environment = os.environ | {
        "BUILDAH_ISOLATION": "chroot",
        "BUILDER": "buildah",
        "IMAGE": PRODUCT_IMAGE,
        "BUILD_BASE": base,
        "RUN_BASE": base,
        "IMAGE_FLAGS": "--isolation chroot --pull=never",
        "CONTAINERS_STORAGE_CONF": str(_storage_configuration(storage)),
    }
    if not _answers(["buildah", "inspect", "--type", "image", base], environment):
        _make_python_base(base, environment)
    subprocess.run(["make", "image"], env=environment, check=True, cwd=programs.REPOSITORY, stdout=sys.stderr)
    _quiet(["buildah", "push", "--quiet", PRODUCT_IMAGE, f"oci-archive:{path}:{PRODUCT_IMAGE}"], environment)
    archives = sorted(_cache().glob("product-*.tar"), key=lambda archive: archive.stat().st_mtime)
    for old in archives[:-_KEPT_ARCHIVES]:
        old.unlink()


def _hash_of_sources() -> str:
    """Of every file that the image can be made of: what git knows or would take in, as it lies there."""
    listed = _said(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], dict(os.environ))
    files = [name for name in listed.split("\0") if name and not name.startswith(("tests/", "docs/"))]
    present = [name for name in sorted(files) if (programs.REPOSITORY / name).is_file()]
    contents = (hashlib.sha256((programs.REPOSITORY / name).read_bytes()).hexdigest() for name in present)
    return _hash(*(f"{name} {content}" for name, content in zip(present, contents, strict=True)))


def _make_python_base(base: str, environment: dict[str, str]) -> None:
    container = _said(["buildah", "from", "scratch"], environment)
    try:
        _quiet(["buildah", "copy", "--quiet", container, f"{python_root()}/", "/"], environment)
        bundle = Path(
            "/etc/ssl/certs/ca-certificates.crt"
        )  # whoever this machine trusts, pip in the build does
        if bundle.exists():
            _quiet(["buildah", "copy", "--quiet", container, bundle, bundle], environment)
        _quiet(
            [
                "buildah",
                "config",
                "--env",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                container,
            ],
            environment,
        )
        _quiet(["buildah", "commit", "--quiet", container, base], environment)
    finally:
        _quiet(["buildah", "rm", container], environment)


def _storage_configuration(storage: Path) -> Path:
    """Images of the tests lie in the cache, not among the machine's own."""
    storage.mkdir(parents=True, exist_ok=True)
    driver = os.environ.get("STORAGE_DRIVER", "overlay")
    path = storage / "storage.conf"
    path.write_text(
        f'[storage]\ndriver = "{driver}"\ngraphroot = "{storage}/graph"\nrunroot = "{storage}/run"\n',
        encoding="utf-8",
    )
    return path


def _answers(command: list[str], environment: dict[str, str]) -> bool:
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


def _said(command: list[str], environment: dict[str, str]) -> str:
    answer = subprocess.run(
        command, env=environment, capture_output=True, check=False, text=True, cwd=programs.REPOSITORY
    )
    if answer.returncode != 0:
        raise RuntimeError(f"{command}: {answer.stderr}")
    return answer.stdout.strip()


def _quiet(command: list[str | Path], environment: dict[str, str] | None = None) -> None:
    answer = subprocess.run(command, env=environment, capture_output=True, check=False, text=True)
    if answer.returncode != 0:
        raise RuntimeError(f"{command}: {(answer.stdout + answer.stderr)[-3000:]}")


if __name__ == "__main__":
    node_root()
    sys.stdout.write(f"{product_archive()}\n")
