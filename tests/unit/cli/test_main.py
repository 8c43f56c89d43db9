from __future__ import annotations

import subprocess
import sys

from click.testing import CliRunner

from cli.main import main
from schemas.version import __version__


def test_the_version_is_the_projects() -> None:
    assert f"pullpass, version {__version__}\n" == CliRunner().invoke(main, ["--version"]).output


def test_an_unknown_command_is_wrong_usage() -> None:
    assert 2 == CliRunner().invoke(main, ["fly"]).exit_code


def test_asking_for_the_version_loads_no_command() -> None:
    script = (
        "import sys\nfrom cli.main import main\n"
        "main(['--version'], standalone_mode=False)\n"
        "print(sorted({'flask', 'kubernetes', 'boto3', 'sqlalchemy'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "[]" == result.stdout.splitlines()[-1]


def test_a_command_that_asks_a_hub_loads_what_it_needs_and_no_more() -> None:
    script = (
        "import sys\nfrom cli.main import main\n"
        "main(['clusters', 'list', '--help'], standalone_mode=False)\n"
        "heavy = {'boto3', 'flask', 'kubernetes', 'marshmallow', 'rich', 'sqlalchemy', 'yaml'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "[]" == result.stdout.splitlines()[-1]
