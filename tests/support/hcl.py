"""Terraform's configuration read back and applied: as much of the language as our own text uses, by boto3.

An expression is a reference (`aws_iam_role.pull.name`), `jsonencode`, or `var.x ? 1 : 0`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hcl2.api import loads

if TYPE_CHECKING:
    from types_boto3_iam import IAMClient

_JSON = re.compile(r"\$\{jsonencode\((.*)\)\}", re.DOTALL)
_CHOICE = re.compile(r"\$\{var\.(\w+) \? (\d) : (\d)\}")
_REFERENCE = re.compile(r"(?<!\$)\$\{([^{}]+)\}")
_INDEX = re.compile(r"\[\d\]")


@dataclass
class Terraform:
    """One `apply` on an account that holds none of it; `data` are the data sources' attributes."""

    client: IAMClient
    data: dict[str, str]
    variables: dict[str, bool] = field(default_factory=dict)
    _attributes: dict[str, str] = field(default_factory=dict)

    def apply(self, text: str) -> None:
        """Makes every resource, in the order that the text has them."""
        configuration: Any = loads(text)
        for each in configuration["variable"]:
            for name, variable in each.items():
                self.variables.setdefault(name, variable["default"])
        for kind, name, arguments in _resources(configuration):
            if self._value(arguments.pop("count", 1)):
                given = {key: self._value(value) for key, value in arguments.items()}
                getattr(self, kind)(name, **given)

    def _value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._value(child) for key, child in value.items()}
        if isinstance(value, list):
            return [self._value(child) for child in value]
        if not isinstance(value, str):
            return value
        if (choice := _CHOICE.fullmatch(value)) is not None:
            return int(choice[2] if self.variables[choice[1]] else choice[3])
        if (document := _JSON.fullmatch(value)) is not None:
            return json.dumps(self._value(json.loads(document[1])))
        return (
            _REFERENCE.sub(lambda match: self._named(match[1]), value)
            .replace("$${", "${")
            .replace("%%{", "%{")
        )

    def _named(self, reference: str) -> str:
        name = _INDEX.sub("", reference)
        return self.data[name] if name.startswith("data.") else self._attributes[name]

    def aws_iam_openid_connect_provider(
        self, _: str, *, url: str, client_id_list: list[str], tags: dict[str, str]
    ) -> None:
        self.client.create_open_id_connect_provider(
            Url=url, ClientIDList=client_id_list, Tags=_tags(tags), ThumbprintList=[]
        )

    def aws_iam_role(  # its arguments are Terraform's
        self,
        label: str,
        *,
        name: str,
        path: str,
        assume_role_policy: str,
        tags: dict[str, str],
        max_session_duration: int = 3600,
        description: str = "",
    ) -> None:
        made = self.client.create_role(
            RoleName=name,
            Path=path,
            AssumeRolePolicyDocument=assume_role_policy,
            MaxSessionDuration=max_session_duration,
            Description=description,
            Tags=_tags(tags),
        )["Role"]
        self._attributes[f"aws_iam_role.{label}.name"] = name
        self._attributes[f"aws_iam_role.{label}.arn"] = made["Arn"]

    def aws_iam_role_policy(self, _: str, *, name: str, role: str, policy: str) -> None:
        self.client.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=policy)

    def aws_iam_role_policy_attachment(self, _: str, *, role: str, policy_arn: str) -> None:
        self.client.attach_role_policy(RoleName=role, PolicyArn=policy_arn)

    def aws_iam_instance_profile(self, _: str, *, name: str, role: str) -> None:
        self.client.create_instance_profile(InstanceProfileName=name, Path="/")
        self.client.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)


def _resources(configuration: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for each in configuration["resource"]:
        for kind, named in each.items():
            for name, arguments in named.items():
                yield kind, name, arguments


def _tags(tags: dict[str, str]) -> list[Any]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
