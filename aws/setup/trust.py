"""Trust policies merged: our statements go in, replaced or out; whatever others wrote stays, word for word, in its place.

A statement is ours when it carries the `Sid` of one of our clusters, or when it says nothing but what ours says: the
same provider, no other condition than `:aud` and `:sub`, and subjects that are all ours (the document that the hub
shows has no Sids, and people paste it). Everything else is foreign. Used by `plan` and `teardown`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws.setup.documents import Document, listed, meaning, statements
from aws.setup.wanted import is_sid

WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"
NOBODY_SID = "PullpassNobody"
# IAM takes no trust policy without statements: this is what an emptied one holds.
NOBODY: Document = {
    "Sid": NOBODY_SID,
    "Effect": "Deny",
    "Principal": {"AWS": "*"},
    "Action": "sts:AssumeRole",
}

_STRING_OPERATORS = ("StringEquals", "StringLike")
_ELEMENTS = frozenset({"Sid", "Effect", "Principal", "Action", "Condition"})
# What IAM puts in the place of a user or role that was deleted, and never takes back.
_GONE = re.compile(r"A(?:IDA|ROA|GPA|NPA)[A-Z0-9]{12,}")


@dataclass(frozen=True)
class Merged:
    """The document to write, and what became of each statement; `changed` is false where nothing is to be written.

    `added`, `mended` and `removed` are Sids, `foreign` counts statements that are somebody else's, `strays` are Sids
    of our form that belong to no cluster we know: another organisation's, or of a cluster removed long ago.
    """

    document: Document
    added: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    foreign: int = 0
    strays: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether the document differs from the one that is there."""
        return bool(self.added or self.mended or self.removed)


def merge(existing: Mapping[str, Any], wanted: Sequence[Document]) -> Merged:
    """`existing` with every statement of `wanted` (each with its Sid) in it once.

    Foreign statements keep their order and words; ours keep their places; new ones come last, in the order of
    `wanted`. Merging the result again changes nothing.
    """
    missing = {str(statement["Sid"]): statement for statement in wanted}
    result: list[Any] = []
    mended: list[str] = []
    removed: list[str] = []
    foreign: list[Any] = []
    for statement in statements(existing):
        sid = _owner(statement, wanted)
        if sid is None:
            if _is_nobody(statement):
                removed.append(NOBODY_SID)
                continue
            foreign.append(statement)
            result.append(statement)
        elif sid not in missing:  # a second one for the same cluster
            removed.append(sid)
        else:
            ours = missing.pop(sid)
            equal = meaning(ours) == meaning(statement)
            result.append(statement if equal else ours)
            if not equal:
                mended.append(sid)
    result.extend(missing.values())
    return Merged(
        document=_with(existing, result),
        added=tuple(missing),
        mended=tuple(mended),
        removed=tuple(removed),
        foreign=len(foreign),
        strays=_strays(foreign),
    )


def without(existing: Mapping[str, Any], leaving: Sequence[Document]) -> Merged:
    """`existing` without the statements of clusters that leave (`leaving`: as they would be wanted).

    Where nothing remains it trusts nobody, because IAM takes no empty document.
    """
    kept: list[Any] = []
    removed: list[str] = []
    for statement in statements(existing):
        sid = _owner(statement, leaving)
        if sid is None:
            kept.append(statement)
        else:
            removed.append(sid)
    foreign = [statement for statement in kept if not _is_nobody(statement)]
    return Merged(
        document=_with(existing, kept or [NOBODY]),
        removed=tuple(removed),
        foreign=len(foreign),
        strays=_strays(foreign),
    )


def providers_named(document: Mapping[str, Any]) -> frozenset[str]:
    """ARNs of the federated providers that any of its statements names."""
    return frozenset(
        str(name)
        for statement in statements(document)
        if isinstance(statement, Mapping) and isinstance(statement.get("Principal"), Mapping)
        for name in listed(statement["Principal"].get("Federated"))
    )


def principals_gone(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Ids of principals that have been deleted: IAM refuses every document that names one."""
    return tuple(
        str(name)
        for statement in statements(document)
        if isinstance(statement, Mapping) and isinstance(statement.get("Principal"), Mapping)
        for name in listed(statement["Principal"].get("AWS"))
        if _GONE.fullmatch(str(name))
    )


def denies(document: Mapping[str, Any], provider_arns: Iterable[str]) -> tuple[str, ...]:
    """Sids (or `""`) of statements that deny tokens of one of `provider_arns`, whatever their conditions."""
    ours = set(provider_arns)
    return tuple(
        str(statement.get("Sid", ""))
        for statement in statements(document)
        if isinstance(statement, Mapping)
        and statement.get("Effect") == "Deny"
        and any(
            str(action).lower() in {WEB_IDENTITY.lower(), "sts:*", "*"}
            for action in listed(statement.get("Action"))
        )
        and (_names_everybody(statement.get("Principal")) or ours & providers_named({"Statement": statement}))
    )


def _owner(statement: Any, wanted: Sequence[Document]) -> str | None:
    """The Sid of the wanted statement that `statement` stands for, None when it is foreign."""
    if not isinstance(statement, Mapping):
        return None
    sid = statement.get("Sid")
    sids = [str(one["Sid"]) for one in wanted]
    if sid in sids:
        return str(sid)
    shape = None if is_sid(sid) else _shape(statement)
    if shape is None:
        return None
    provider, subjects = shape
    for one, own_sid in zip(wanted, sids, strict=True):
        own = _shape(one)
        if own is not None and own[0] == provider and subjects <= own[1]:
            return own_sid
    return None


def _shape(statement: Mapping[str, Any]) -> tuple[str, frozenset[str]] | None:
    """Provider and subjects of a statement of exactly our shape; None for any other."""
    principal, condition = statement.get("Principal"), statement.get("Condition")
    if set(statement) - _ELEMENTS or statement.get("Effect") != "Allow":
        return None
    if (
        not isinstance(principal, Mapping)
        or set(principal) != {"Federated"}
        or not isinstance(condition, Mapping)
    ):
        return None
    providers, actions = listed(principal["Federated"]), listed(statement.get("Action"))
    if len(providers) != 1 or [str(action).lower() for action in actions] != [WEB_IDENTITY.lower()]:
        return None
    issuer = str(providers[0]).partition(":oidc-provider/")[2]
    subjects: set[str] = set()
    for operator, tests in condition.items():
        if operator not in _STRING_OPERATORS or not isinstance(tests, Mapping):
            return None
        if set(tests) - {f"{issuer}:aud", f"{issuer}:sub"}:
            return None
        subjects.update(str(subject) for subject in listed(tests.get(f"{issuer}:sub")))
    return (str(providers[0]), frozenset(subjects)) if subjects else None


def _is_nobody(statement: Any) -> bool:
    return isinstance(statement, Mapping) and statement.get("Sid") == NOBODY_SID


def _names_everybody(principal: Any) -> bool:
    if isinstance(principal, Mapping):
        return "*" in listed(principal.get("AWS")) or "*" in listed(principal.get("Federated"))
    return bool(principal == "*")


def _strays(foreign: Sequence[Any]) -> tuple[str, ...]:
    return tuple(
        str(statement["Sid"])
        for statement in foreign
        if isinstance(statement, Mapping) and is_sid(statement.get("Sid"))
    )


def _with(existing: Mapping[str, Any], found: list[Any]) -> Document:
    document = {"Version": "2012-10-17"} | dict(existing)
    document["Statement"] = found
    return document
