"""What the API half of an add-on consists of; `schemas.addons.ADD_ONS` holds one per key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from marshmallow import Schema

from schemas.errors import Mistake

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html and .../reference-arns.html
ROLE_ARN = re.compile(
    r"arn:(?P<partition>aws|aws-cn|aws-us-gov|aws-eusc|aws-iso|aws-iso-b|aws-iso-e|aws-iso-f)"
    r":iam::(?P<account>[0-9]{12}):role/([\x21-\x7e]{1,510}/)?[A-Za-z0-9+=,.@_-]{1,64}",
    re.ASCII,
)
ROLE_ARN_EXPECTED = "the ARN of an IAM role, such as arn:aws:iam::123456789012:role/ecr-pull"

View = TypeVar("View")


@dataclass(frozen=True)
class AddOnSchema(Generic[View]):
    """One add-on as the API sees it.

    `spec` and `settings` are the schemas of `spec.addOns.KEY` and `settings.KEY`. `requires` holds the keys of
    add-ons that must be enabled beside it, `providers` where it is supported. `view` makes the typed view of the two
    documents, which then hold no mistake. `contradictions` finds what does not go together in settings whose members
    are right one by one; its paths start at the settings, as `$`.
    """

    key: str
    spec: type[Schema]
    settings: type[Schema]
    requires: tuple[str, ...]
    providers: tuple[str, ...]
    view: Callable[[Mapping[str, Any], Mapping[str, Any]], View]
    contradictions: Callable[[Mapping[str, Any]], Iterable[Mistake]] = lambda _settings: ()
