"""What `make image` puts together, held without building it: the slimmed tree and the bill of materials."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import botocore
import pytest

ROOT = Path(__file__).parents[2]


def tool(name: str) -> ModuleType:
    spec = spec_from_file_location(name, ROOT / "tools/image" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def slimmed(tmp_path: Path) -> Path:
    """site-packages with botocore alone in it, without what the image leaves out."""
    shutil.copytree(Path(botocore.__file__).parent, tmp_path / "botocore", copy_function=os.symlink)
    (tmp_path / "package/tests").mkdir(parents=True)
    tool("slim").slim(tmp_path)
    return tmp_path


def test_only_the_models_that_are_called_stay(slimmed: Path) -> None:
    folders = [one.name for one in (slimmed / "botocore/data").iterdir() if one.is_dir()]
    assert sorted(tool("slim").SERVICES) == sorted(folders)


def test_every_client_that_pullpass_makes_has_its_model_in_the_image() -> None:
    calls = "".join(path.read_text() for path in (ROOT / "aws").glob("*.py"))
    made = set(re.findall(r"""[._]client\(\s*["']([\w-]+)["']""", calls))
    assert set(tool("slim").SERVICES) == made


def test_all_clients_are_made_of_the_slimmed_tree(slimmed: Path) -> None:
    program = (
        "import boto3, botocore\n"
        "print(boto3.client('ecr-public', region_name='us-east-1').meta.endpoint_url)\n"
        "for name in ('sts', 'ecr'): print(boto3.client(name, region_name='cn-north-1').meta.endpoint_url)\n"
        "print(botocore.__file__)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(slimmed)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert [
        "https://api.ecr-public.us-east-1.amazonaws.com",
        "https://sts.cn-north-1.amazonaws.com.cn",
        "https://api.ecr.cn-north-1.amazonaws.com.cn",
        str(slimmed / "botocore/__init__.py"),
    ] == said


def test_suites_of_packages_do_not_stay(slimmed: Path) -> None:
    assert not (slimmed / "package/tests").exists()


PYTHON_SBOM: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "components": [{"name": "pullpass", "version": "1.2.3", "bom-ref": "pullpass==1.2.3", "type": "library"}],
    "dependencies": [{"ref": "pullpass==1.2.3"}],
}
GO_MODULES: dict[str, Any] = {
    "GoVersion": "go1.26.6 X:nocoverageredesign",
    "Path": "example.com/provider/cmd/ecr-credential-provider",
    "Main": {"Path": "example.com/provider", "Version": "v1.34.3"},
    "Deps": [
        {"Path": "example.com/one", "Version": "v1.0.0"},
        {
            "Path": "example.com/two",
            "Version": "v2.0.0",
            "Replace": {"Path": "example.com/fork", "Version": "v2.0.1"},
        },
    ],
}


@pytest.fixture
def bill() -> dict[str, Any]:
    found: dict[str, Any] = tool("sbom").complete(
        json.loads(json.dumps(PYTHON_SBOM)), json.loads(json.dumps(GO_MODULES)), "arm64"
    )
    return found


def test_the_bill_names_the_packages_the_program_its_modules_and_gos_library(bill: dict[str, Any]) -> None:
    assert [
        ("pullpass", "1.2.3"),
        ("ecr-credential-provider", "v1.34.3"),
        ("example.com/one", "v1.0.0"),
        ("example.com/fork", "v2.0.1"),
        ("stdlib", "1.26.6"),
    ] == [(one["name"], one["version"]) for one in bill["components"]]


def test_the_bill_says_where_the_program_comes_from(bill: dict[str, Any]) -> None:
    program = next(one for one in bill["components"] if one["name"] == "ecr-credential-provider")
    assert "pkg:golang/example.com/provider@v1.34.3#cmd/ecr-credential-provider" == program["purl"]


def test_all_that_the_bill_depends_on_is_in_it(bill: dict[str, Any]) -> None:
    named = {one["bom-ref"] for one in [*bill["components"], bill["metadata"]["component"]]}
    assert named == {one["ref"] for one in bill["dependencies"]}
    assert set() == {to for one in bill["dependencies"] for to in one.get("dependsOn", [])} - named


def test_the_build_gets_every_file_that_it_copies() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    needed = {
        "tools/ecr-plugin",
        "tools/image",
        "tools/kubernetes/go-toolchain.txt",
        "requirements",
        "docs/reference/issues.md",
        "pyproject.toml",
    }
    assert set() == needed - let_in
    packages = re.search(r"^packages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert packages is not None
    assert set() == set(re.findall(r'"(\w+)"', packages[1])) - let_in
