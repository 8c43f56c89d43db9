"""`pullpass --version` and `pullpass clusters` against a bare click and urllib3 script that makes the same call.

And 1,000 clusters listed as JSON: ours against the real `cpln` on the same hub. Each figure is the median of programs
started one after the other, ours and the baseline in turns, so that a machine that gets busy hits both.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import urllib3

from tests.bench.api import TOKEN, manifest, served
from tests.support.cpln import require_cpln

ROOT = Path(__file__).parents[2]
PULLPASS = Path(sys.executable).with_name("pullpass")
FEW, MANY = 20, 1000
RUNS, LONG_RUNS = 25, 7

BARE = """
import json, os
import click
import urllib3

@click.group(invoke_without_command=True)
@click.version_option("1.0")
def main():
    pass

@main.command()
def clusters():
    pool = urllib3.PoolManager(retries=False, timeout=30)
    url = os.environ["PULLPASS_ENDPOINT"] + "/org/" + os.environ["PULLPASS_ORG"] + "/mk8s?limit=500"
    token = os.environ["PULLPASS_TOKEN"]
    answer = pool.request("GET", url, headers={"Authorization": f"Bearer {token}", "Accept": "application/json"})
    for item in json.loads(answer.data)["items"]:
        click.echo("\\t".join((item["name"], item["status"]["standing"])))

main()
"""


def run() -> None:
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        script = home / "bare.py"
        script.write_text(BARE)
        bare: list[str | Path] = [sys.executable, script]
        environment = {
            **os.environ,
            "PULLPASS_DATA_DIRECTORY": directory,
            "PULLPASS_DATABASE_URL": f"sqlite:///{directory}/pullpass.db",
            "PULLPASS_BOOTSTRAP_TOKEN": TOKEN,
            "PULLPASS_LOG_LEVEL": "warning",
        }
        with served([sys.executable, "-m", "cli", "serve"], environment) as port:
            endpoint = f"http://127.0.0.1:{port}"
            caller = {
                "PATH": os.environ["PATH"],
                "HOME": directory,
                "PULLPASS_ENDPOINT": endpoint,
                "PULLPASS_ORG": "acme",
                "PULLPASS_TOKEN": TOKEN,
                "CPLN_SKIP_UPDATE_CHECK": "1",
                "CPLN_ENDPOINT": endpoint,
                "CPLN_TOKEN": TOKEN,
            }
            _fill(endpoint, 0, FEW)
            version = _turns([[PULLPASS, "--version"], [*bare, "--version"]], caller, RUNS)
            few = _turns([[PULLPASS, "clusters"], [*bare, "clusters"]], caller, RUNS)
            _fill(endpoint, FEW, MANY)
            ours: list[str | Path] = [PULLPASS, "clusters", "list", "-o", "json"]
            cpln: list[str | Path] = [
                require_cpln(),
                "mk8s",
                "get",
                "-o",
                "json",
                "--org",
                "acme",
                "--max",
                str(MANY),
            ]
            many = _turns([ours, cpln], caller, LONG_RUNS)
            for command in (ours, cpln):
                _check(command, caller)
    print(f"{'command line':32}{'ours ms':>10}{'other ms':>10}{'ratio':>8}")
    _print("--version, against bare", version)
    _print("clusters, against bare", few)
    _print(f"{MANY} clusters, against cpln", many)


def _turns(
    commands: Sequence[Sequence[str | Path]], environment: Mapping[str, str], runs: int
) -> tuple[float, ...]:
    """The median time of each command, in milliseconds; the first run of each only warms the disk's cache."""
    times: list[list[float]] = [[] for _ in commands]
    for number in range(runs + 1):
        for command, taken in zip(commands, times, strict=True):
            start = time.perf_counter()
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, cwd=ROOT, check=True)
            if number:
                taken.append(1000 * (time.perf_counter() - start))
    return tuple(statistics.median(taken) for taken in times)


def _check(command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, check=True)
    found = len(json.loads(done.stdout)["items"])
    if found != MANY:
        raise RuntimeError(f"{command[0]} listed {found} clusters")


def _fill(endpoint: str, first: int, behind: int) -> None:
    pool = urllib3.PoolManager(retries=False)
    for number in range(first, behind):
        response = pool.request(
            "PUT",
            f"{endpoint}/org/acme/mk8s",
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
            body=json.dumps(manifest(f"cluster-{number:04}")).encode(),
        )
        if response.status != 201:
            raise RuntimeError(response.data)
    pool.clear()


def _print(name: str, times: tuple[float, ...]) -> None:
    ours, other = times
    print(f"{name:32}{ours:>10.0f}{other:>10.0f}{ours / other:>8.2f}")


if __name__ == "__main__":
    run()
