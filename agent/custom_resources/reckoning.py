"""What all custom resources together come to: their claims, whether those are the whole truth, and what the report hears.

Reads watches, writes nothing. Called by `agent.custom_resources.claimant` after every change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.custom_resources import resource
from agent.custom_resources.installed import Installed
from agent.custom_resources.keys import KeyVersions, Place
from agent.custom_resources.resource import Reading, Resource
from agent.custom_resources.status import REFUSED
from agent.secrets.claims import Claim, ClaimKey, ClaimSource
from agent.secrets.pull_secret import word_of
from kube.errors import Forbidden
from kube.objects import ALCHEMY_PULL_SECRET, ECR_PULL_SECRET
from schemas.addons.aws_ecr import Adopted
from schemas.agent_documents import NAMESPACE_ERROR_LIMIT, AgentConfiguration, NamespaceError

ADOPTABLE = {"ecrpullsecrets.alchemy.com": ALCHEMY_PULL_SECRET}


@dataclass(frozen=True)
class Understood:
    """What was understood of an object, and of which state of it."""

    uid: str
    generation: int
    held: bool
    reading: Reading


@dataclass(frozen=True)
class Sum:
    """All that is claimed, and what the report hears of it; `total` is None where nothing is served."""

    claims: tuple[Claim, ...] = ()
    synced: bool = False
    errors: tuple[NamespaceError, ...] = ()
    left: bool = False
    total: int | None = None
    understood: Mapping[ClaimKey, Understood] = field(default_factory=dict)


@dataclass(frozen=True)
class Watched:
    """What is watched: objects of our own kind, of the older operator's, and the secrets with keys."""

    custom: Installed
    adopted: Installed
    keys: KeyVersions


def serves(configuration: AgentConfiguration) -> bool:
    """Whether objects of our own kind are to be served."""
    return configuration.pull_secret.custom_resources and not configuration.removing


def adopted(configuration: AgentConfiguration) -> Adopted | None:
    """The one older resource that is known, where it is adopted."""
    if configuration.removing:
        return None
    return next((each for each in configuration.pull_secret.adopt if each.resource in ADOPTABLE), None)


def reckon(configuration: AgentConfiguration, watched: Watched, *, let_go: bool) -> Sum:
    """All that is claimed now; has the secrets with keys watched that it takes.

    Args:
        configuration: What is to be served.
        watched: What there is.
        let_go: Nothing carries our finalizer any more, while our own kind is not to be served.
    """
    wish, older = serves(configuration), adopted(configuration)
    objects: dict[ClaimKey, Resource] = {}
    if wish:
        objects |= _objects(ClaimSource.CUSTOM, watched.custom)
    if older is not None:
        objects |= _objects(ClaimSource.ADOPTED, watched.adopted)
    places = {key: place for key, found in objects.items() if (place := _place(key, found, older))}
    watched.keys.follow(places.values())
    unknown = {key for key, place in places.items() if not watched.keys.known(place)}
    understood = {
        key: Understood(
            found.uid, found.generation, found.held, _read(key, found, older, configuration, watched)
        )
        for key, found in sorted(objects.items(), key=lambda item: item[0])
        if key not in unknown
    }
    total: int | None = len(objects)
    if not wish and older is None:
        total = None if let_go else sum(found.held for found in watched.custom.objects().values())
    return Sum(
        claims=tuple(
            each.reading.claim
            for key, each in understood.items()
            if each.reading.claim is not None and (key.source is ClaimSource.ADOPTED or each.held)
        ),
        synced=not unknown
        and (not wish or watched.custom.synced)
        and (older is None or watched.adopted.synced),
        errors=_errors(watched, wish=wish, older=older, understood=understood),
        left=not wish and let_go,
        total=total,
        understood=understood,
    )


def nothing_held(custom: Installed) -> bool:
    """Whether our finalizer is known to be on no object; where we may not look, nobody of ours ever put it there."""
    if custom.absent or isinstance(custom.failure, Forbidden):
        return True
    return custom.synced and not any(found.held for found in custom.objects().values())


def _objects(source: ClaimSource, kind: Installed) -> dict[ClaimKey, Resource]:
    return {ClaimKey(source, name): found for name, found in kind.objects().items() if not found.deleting}


def _place(key: ClaimKey, found: Resource, older: Adopted | None) -> Place | None:
    """Where the keys are that an object needs."""
    if key.source is ClaimSource.CUSTOM:
        return resource.keys_of(found)
    keys = older.keys if older is not None else None
    return None if keys is None else (keys.namespace, keys.name)


def _read(
    key: ClaimKey,
    found: Resource,
    older: Adopted | None,
    configuration: AgentConfiguration,
    watched: Watched,
) -> Reading:
    if key.source is ClaimSource.CUSTOM or older is None:
        return resource.claim(found, configuration, watched.keys.version)
    return resource.adopted_claim(found, older, configuration, watched.keys.version)


def _errors(
    watched: Watched, *, wish: bool, older: Adopted | None, understood: Mapping[ClaimKey, Understood]
) -> tuple[NamespaceError, ...]:
    """What is said of no namespace but of the whole; "" is the namespace."""
    errors = []
    if wish and (why := _unavailable(watched.custom)):
        errors.append(
            _error(ClaimKey(ClaimSource.CUSTOM), REFUSED, f"{ECR_PULL_SECRET.plural}.pullpass.dev {why}")
        )
    if older is not None and (why := _unavailable(watched.adopted)):
        errors.append(
            _error(ClaimKey(ClaimSource.ADOPTED), "AdoptedResourceMissing", f"{older.resource} {why}")
        )
    errors += [
        _error(key, REFUSED, f"ECRPullSecret {key.name}: {'; '.join(each.reading.problems)}")
        for key, each in understood.items()
        if each.reading.problems
    ]
    return tuple(errors[:NAMESPACE_ERROR_LIMIT])


def _error(key: ClaimKey, code: str, message: str) -> NamespaceError:
    return NamespaceError("", code, message, secret="", claim=word_of(key))


def _unavailable(kind: Installed) -> str:
    """Why objects of a kind cannot be served; "" where they can."""
    if kind.absent:
        return "is not installed in the cluster"
    if kind.failure is not None and not kind.synced:
        return f"cannot be read: {kind.failure}"
    return ""
