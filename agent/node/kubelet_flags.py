"""The kubelet's two credential provider flags, in the files that hand flags to it.

Two kinds of file: an environment file of systemd (`/etc/default/kubelet`, `/etc/sysconfig/kubelet`), where the flags
ride in `KUBELET_EXTRA_ARGS`, and a file with one flag a line (MicroK8s). In both we append a block that a marker
begins, and touch no other line. systemd takes the last assignment of a variable, so the block repeats the flags that
were set before it; flags that others later write into the block survive our leaving. `plan` calls `merge` and
`unmerge`; the law is `unmerge(merge(x)) == x`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

Style = Literal["environment", "lines"]

VARIABLE = "KUBELET_EXTRA_ARGS"
BIN_DIRECTORY = "--image-credential-provider-bin-dir"
CONFIG = "--image-credential-provider-config"
_MARKER = "# Pullpass: where the kubelet finds the credential provider. Removed with Pullpass."
_MADE = "# Pullpass: this file was not here before."
_JOINED = " The line above had no end."
_OURS = re.compile(rf"(?:^|\s+)(?:{BIN_DIRECTORY}|{CONFIG})=\S+")
_ASSIGNMENT = re.compile(rf"^\s*{VARIABLE}=(.*)$", re.DOTALL)


def flags(bin_directory: str, config: str) -> tuple[str, str]:
    """The two flags."""
    return f"{BIN_DIRECTORY}={bin_directory}", f"{CONFIG}={config}"


def merge(text: str | None, style: Style, bin_directory: str, config: str, unit_arguments: str = "") -> str:
    """The file with our flags at its end.

    `text` is None where there is no file. `unit_arguments` is what the kubelet's unit itself sets the variable to
    (`Environment=`): an assignment in the file beats it, so it is repeated.
    """
    rest = "" if text is None else unmerge(text, style, unit_arguments)
    made = text is None or rest is None
    rest = rest or ""
    marker = f"{_MADE}\n{_MARKER}" if made else _MARKER
    joined = "" if not rest or rest.endswith("\n") else "\n"
    if joined:
        marker += _JOINED
    ours = flags(bin_directory, config)
    if style == "lines":
        return f"{rest}{joined}{marker}\n{ours[0]}\n{ours[1]}\n"
    foreign = foreign_arguments(rest)
    before = unit_arguments if foreign is None else foreign
    value = " ".join([_OURS.sub("", before).strip(), *ours]).strip()
    return f"{rest}{joined}{marker}\n{VARIABLE}={_quoted(value)}\n"


def unmerge(text: str, style: Style, unit_arguments: str = "") -> str | None:
    """The file without our block; None when we made the file and nothing else is in it."""
    lines = text.splitlines(keepends=True)
    begin = next((number for number, line in enumerate(lines) if line.startswith(_MARKER)), None)
    if begin is None:
        return text
    joined = lines[begin].rstrip("\n").endswith(_JOINED)
    before, after = lines[:begin], lines[begin + 1 :]
    made = bool(before) and before[-1].startswith(_MADE)
    if made:
        before = before[:-1]
    elif joined and before and not after[_own_lines(after, style) :]:
        before[-1] = before[-1].removesuffix("\n")
    rest = "".join(before)
    rest += _kept(after, style, rest, unit_arguments)
    return None if made and not rest else rest


def foreign_arguments(text: str) -> str | None:
    """What the last assignment of the variable gives; None when the file does not set it."""
    found = None
    for line in _logical_lines(text):
        match = _ASSIGNMENT.match(line)
        if match and not line.lstrip().startswith(("#", ";")):
            found = _unquoted(match[1].strip())
    return found


def _own_lines(after: Sequence[str], style: Style) -> int:
    """How many of the lines behind the marker are the block as we write it."""
    if style == "environment":
        return 1 if after and _ASSIGNMENT.match(after[0]) else 0
    number = 0
    while number < len(after) and _is_ours(after[number].strip()):
        number += 1
    return number


def _kept(after: Sequence[str], style: Style, before: str, unit_arguments: str) -> str:
    """What others put into or behind our block."""
    own = _own_lines(after, style)
    if style == "lines" or not own:
        return "".join(line for line in after if not _is_ours(line.strip()))
    value = _OURS.sub("", foreign_arguments(after[0]) or "").strip()
    foreign = foreign_arguments(before)
    known = (unit_arguments if foreign is None else foreign).split()
    line = "" if set(value.split()) <= set(known) else f"{VARIABLE}={_quoted(value)}\n"
    return line + "".join(after[own:])


def _is_ours(argument: str) -> bool:
    return argument.startswith((f"{BIN_DIRECTORY}=", f"{CONFIG}="))


def _logical_lines(text: str) -> list[str]:
    """Lines as systemd joins them: a backslash at the end continues."""
    return text.replace("\\\n", "").split("\n")


def _quoted(value: str) -> str:
    escaped = re.sub(r'([\\"`$])', r"\\\1", value)
    return f'"{escaped}"'


def _unquoted(value: str) -> str:
    """As systemd reads a value: quotes count where a piece begins, elsewhere they are part of it."""
    if value[:1] not in ("'", '"'):
        return re.sub(r"\\(.)", r"\1", value)
    pieces = re.findall(r"""\s*(?:'([^']*)'|"((?:[^"\\]|\\.)*)"|([^'"\s][^\s]*))""", value, re.DOTALL)
    return "".join(single or re.sub(r'\\([\\"`$])', r"\1", double) or bare for single, double, bare in pieces)
