"""The `aws` command for scripts that are tested: a program that hands its words to this process, which asks boto3.

Options are found in botocore's service model, as the real CLI does; a word that the model does not know fails.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError, ParamValidationError
from werkzeug.wrappers import Request, Response

from tests.support.aws import served

_PROGRAM = """\
#!{python} -SE
import json, sys, urllib.request
request = urllib.request.Request({url!r}, json.dumps(sys.argv[1:]).encode())
done = json.load(urllib.request.urlopen(request))
sys.stdout.write(done["out"]), sys.stderr.write(done["err"])
sys.exit(done["code"])
"""
_REGION = "--region"
_WHOLE = "--cli-input-json"
_PAGE = re.compile(r"(?:https?|fileb?)://")
_PAIR = re.compile(r"(\w+)=('(?:[^'\\]|\\.)*'|[^,]*)(?:,|$)")


def run(
    script: str, folder: Path, client_of: Callable[[str], Any], *, account: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs `script` by bash, where `aws` is this one; `client_of` gives boto3's client of a service."""

    @Request.application
    def answer(request: Request) -> Response:
        return Response(json.dumps(_done(json.loads(request.get_data()), client_of, account)))

    folder.mkdir(exist_ok=True)
    with served(answer) as url:
        program = folder / "aws"
        program.write_text(_PROGRAM.format(python=sys.executable, url=url), encoding="utf-8")
        program.chmod(0o755)
        return subprocess.run(
            ["bash"],
            input=script,
            env={"PATH": f"{folder}:/usr/bin:/bin", **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def _done(words: Sequence[str], client_of: Callable[[str], Any], account: str) -> dict[str, Any]:
    if words[:2] == ["sts", "get-caller-identity"]:
        return _result(out=f"{account}\n")
    if words[:2] == ["configure", "get"]:
        return _result(code=1)
    try:
        client = client_of(words[0])
        operation = words[1].replace("-", "_")
        shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
        given = _parameters(words[2:], shape.input_shape.members, client.meta.region_name)
        getattr(client, operation)(**given)
    except ClientError as error:
        return _result(code=254, err=f"{error}\n")
    except (KeyError, ValueError, ParamValidationError) as error:
        return _result(code=252, err=f"{error!r}\n")
    return _result()


def _result(code: int = 0, out: str = "", err: str = "") -> dict[str, Any]:
    return {"code": code, "out": out, "err": err}


def _parameters(words: Sequence[str], members: Mapping[str, Any], region: str) -> dict[str, Any]:
    by_option = {f"--{xform_name(name, '-')}": name for name in members} | {_WHOLE: _WHOLE, _REGION: _REGION}
    found: dict[str, list[str]] = {}
    option = ""
    for word in words:
        if word.startswith("--"):
            option = by_option[word]
        found.setdefault(option, []).extend([] if word.startswith("--") else [word])
    whole: dict[str, Any] = json.loads("".join(found.pop(_WHOLE, [])) or "{}")
    for name, given in found.items():
        if name != "Url" and len(given) == 1 and _PAGE.match(given[0]):
            raise ValueError(f"version 1 of the CLI would send what is in {given[0]}")
    if found.pop(_REGION, [region]) != [region]:
        raise ValueError(f"the client is for {region}")
    return whole | {name: _value(given, members[name]) for name, given in found.items()}


def _value(given: list[str], shape: Any) -> Any:
    if shape.type_name == "list":
        if given[0].startswith("["):
            return json.loads(given[0])
        return [_pairs(word) if shape.member.type_name == "structure" else word for word in given]
    (word,) = given
    return int(word) if shape.type_name == "integer" else word


def _pairs(word: str) -> dict[str, str]:
    """The shorthand `Key=a,Value='b c'`."""
    found: dict[str, str] = dict(_PAIR.findall(word))
    return {
        key: re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith("'") else value
        for key, value in found.items()
    }
