"""Container images without a registry or a builder: one static program each, as OCI content.

https://github.com/opencontainers/image-spec
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"

# It is process 1 of a pod: it must leave on SIGTERM and reap what it inherits.
_PAUSE_SOURCE = """
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void leave(int number) { (void)number; _exit(0); }
static void reap(int number) { (void)number; while (waitpid(-1, 0, WNOHANG) > 0) {} }
int main(void) {
  signal(SIGTERM, leave);
  signal(SIGINT, leave);
  signal(SIGCHLD, reap);
  for (;;) pause();
}
"""


@dataclass(frozen=True)
class Image:
    """The manifest and every blob it names."""

    manifest: bytes
    blobs: tuple[bytes, ...]

    @property
    def digest(self) -> str:
        return digest(self.manifest)

    def write_archive(self, path: Path, reference: str) -> Path:
        """As the OCI archive that `ctr images import` takes, named `reference`."""
        index = {
            "schemaVersion": 2,
            "manifests": [
                {
                    "mediaType": MANIFEST_TYPE,
                    "digest": self.digest,
                    "size": len(self.manifest),
                    "annotations": {
                        "io.containerd.image.name": reference,
                        "org.opencontainers.image.ref.name": reference.rpartition(":")[2],
                    },
                }
            ],
        }
        files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": _canonical(index)}
        for blob in (self.manifest, *self.blobs):
            files[f"blobs/sha256/{digest(blob).removeprefix('sha256:')}"] = blob
        with tarfile.open(path, "w") as archive:
            for name, content in files.items():
                _add(archive, name, content)
        return path


def compile_pause(path: Path) -> Path:
    """A static program that waits for SIGTERM."""
    source = path.with_suffix(".c")
    source.write_text(_PAUSE_SOURCE, encoding="ascii")
    subprocess.run(["gcc", "-static", "-Os", "-s", "-o", path, source], check=True, capture_output=True)
    return path


def image_of(program: Path, *, label: str, padding: int = 0) -> Image:
    """An image that runs `program`; `label` tells it from others, `padding` bytes of zeros make it larger."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        _add(archive, program.name, program.read_bytes(), mode=0o755)
        _add(archive, "label", label.encode())
        if padding:
            _add(archive, "padding", bytes(padding))
    layer = buffer.getvalue()
    config = _canonical(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"], "Labels": {"pullpass.dev/test": label}},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        }
    )
    manifest = _canonical(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": _CONFIG_TYPE, "digest": digest(config), "size": len(config)},
            "layers": [{"mediaType": _LAYER_TYPE, "digest": digest(layer), "size": len(layer)}],
        }
    )
    return Image(manifest, (config, layer))


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def _add(archive: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = mode
    archive.addfile(member, io.BytesIO(content))
