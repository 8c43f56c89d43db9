"""A cluster in few words, from what the API says of it: one row of a list, or the page that a person reads. Pure.

The steps of an add-on are those that the console shows (`web.journey`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from cli.output import coloured
from web import journey
from web.journey import Mark

Json = Mapping[str, Any]

_MARKS = {
    Mark.DONE: click.style("✓", fg="green"),
    Mark.BUSY: click.style("…", fg="cyan"),
    Mark.BLOCKED: click.style("!", fg="yellow"),
    Mark.FAILED: click.style("✗", fg="red"),
    Mark.WAITING: click.style("·", fg="bright_black"),
    Mark.ASIDE: click.style("-", fg="bright_black"),
}
_IN_THE_WAY = frozenset({Mark.BUSY, Mark.BLOCKED, Mark.FAILED})
_LABEL_WIDTH = 14
_STEP_WIDTH = 34
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_LEAST = 2  # of a unit: 90 seconds is said in seconds


def row(cluster: Json, now: datetime) -> dict[str, Any]:
    """One row of a list."""
    found = issues(cluster)
    more = f" (+{len(found) - 1})" if len(found) > 1 else ""
    return {
        "name": cluster["name"],
        "state": cluster["status"].get("standing"),
        "provider": next(iter(cluster["spec"].get("provider") or {}), None),
        "version": cluster["spec"].get("version"),
        "issue": f"{found[0]['code']}{more}" if found else None,
        "age": age(cluster["created"], now),
    }


def issues(cluster: Json) -> list[Json]:
    """What needs a person: of the cluster first, then of its add-ons, each once."""
    status = cluster["status"]
    found = [*status.get("issues", ())]
    for add_on in (status.get("addOns") or {}).values():
        found += [issue for issue in add_on.get("issues", ()) if issue not in found]
    return found


def state_of(cluster: Json) -> str:
    """The cluster's state in one word, while a change has not been acted on yet `Installing`."""
    status = cluster["status"]
    standing = str(status.get("standing", ""))
    behind = status.get("observedGeneration") != status.get("generation")
    return "Installing" if behind and standing in {"Ready", "Disabled"} and _enabled(cluster) else standing


def progress(cluster: Json) -> str:
    """Where the cluster is now, on one line: for logs."""
    words = [state_of(cluster)]
    for key, add_on in _add_ons(cluster).items():
        step = next((step for step in journey.steps(key, add_on) if step.mark in _IN_THE_WAY), None)
        if step is not None:
            words.append(f"{step.name}: {step.words}" if step.words else step.name)
            break
    words += [f"[{issue['code']}]" for issue in issues(cluster)]
    return "  ".join(words)


def page(cluster: Json, now: datetime) -> str:
    """All that a person asks first: state, steps, issues with their remedies, the provider URL."""
    return "\n".join(_page(cluster, now))


def age(moment: str | None, now: datetime) -> str | None:
    """How long ago `moment` (RFC 3339) was, in its largest unit: `3d`."""
    if not moment:
        return None
    seconds = int((now - datetime.fromisoformat(moment).astimezone(UTC)).total_seconds())
    for unit, length in (("d", _DAY), ("h", _HOUR), ("m", _MINUTE)):
        if seconds >= _LEAST * length:
            return f"{seconds // length}{unit}"
    return f"{max(0, seconds)}s"


def told(issue: Json) -> Iterator[str]:
    """An issue: what is wrong, and what to do."""
    yield click.style(f"  {issue['code']}: ", fg="red", bold=True) + str(issue["message"])
    yield click.style("    do: ", bold=True) + str(issue["remedy"])


def _page(cluster: Json, now: datetime) -> Iterator[str]:
    status = cluster["status"]
    provider = next(iter(cluster["spec"].get("provider") or {}), "no provider")
    kind = click.style(f"({provider}, Kubernetes {cluster['spec'].get('version', '?')})", fg="bright_black")
    yield f"{click.style(cluster['name'], bold=True)}  {coloured(state_of(cluster))}  {kind}"
    yield _line("Provider URL", status.get("oidcProviderUrl") or "not known yet")
    seen = age(status.get("lastSeen"), now)
    yield _line(
        "API server",
        f"{status.get('serverUrl') or _unreached(status)}{f'  (seen {seen} ago)' if seen else ''}",
    )
    if status.get("removal"):
        removal = status["removal"]
        yield _line("Removal", f"since {removal['requestedAt']}, by {removal['requestedBy']}")
    for key, add_on in _add_ons(cluster).items():
        yield ""
        yield f"{click.style(key, bold=True)}  {coloured(add_on['state'])}{_delivery(add_on)}"
        for step in journey.steps(key, add_on):
            yield f"  {_MARKS[step.mark]} {step.name:<{_STEP_WIDTH}}{step.words}".rstrip()
    found = issues(cluster)
    if found:
        yield ""
        for issue in found:
            yield from told(issue)


def _line(label: str, words: str) -> str:
    return f"{click.style(label.ljust(_LABEL_WIDTH), fg='bright_black')} {words}"


def _unreached(status: Json) -> str:
    return "not reached yet" if status.get("connected") else "not connected: pullpass connect"


def _add_ons(cluster: Json) -> Mapping[str, Json]:
    """Those that Pullpass looks after: others are only kept in the manifest."""
    found: Mapping[str, Json] = cluster["status"].get("addOns") or {}
    return {key: add_on for key, add_on in found.items() if "state" in add_on}


def _enabled(cluster: Json) -> bool:
    return bool(cluster["spec"].get("addOns"))


def _delivery(add_on: Json) -> str:
    words = [f"delivery: {add_on['delivery']}"] if add_on.get("delivery") else []
    credentials = add_on.get("credentials") or {}
    if credentials.get("verifiedAt"):
        words.append(
            f"verified {credentials['verifiedAt']} from the {credentials.get('verifiedFrom', 'agent')}"
        )
    if credentials.get("expiresAt"):
        words.append(f"credentials until {credentials['expiresAt']}")
    return click.style(f"  {', '.join(words)}", fg="bright_black") if words else ""
