"""The watcher: what brings a kubelet back that does not survive a change, when the driver cannot.

An enabled unit of systemd and a POSIX sh script, both on disk before the first change and removed when the kubelet is
healthy. The script restarts the kubelet when it is asked to, so that its look begins before the restart and no pod has
to live; it says the outcome in a file. A machine that reboots half-way runs it at boot. `steps` places it, asks it and
reads its word.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Sequence
from typing import Literal

from agent.node.distributions import OURS
from agent.node.host import Host, temporary_name
from agent.node.state import Before

SERVICE = "pullpass-restore.service"
UNIT = f"/etc/systemd/system/{SERVICE}"
LINK = f"/etc/systemd/system/multi-user.target.wants/{SERVICE}"
SCRIPT = f"{OURS}/restore.sh"
WANTED, OUTCOME, WHY = f"{OURS}/restart-wanted", f"{OURS}/outcome", f"{OURS}/why"
HEALTH = "http://127.0.0.1:10248/healthz"
TRIES, SERVER_TRIES = 120, 360  # seconds, at least: a server of k3s or RKE2 starts a whole control plane
_LONGEST_WHY = 600

Outcome = Literal["healthy", "rolledBack"]

UNIT_TEXT = f"""\
# Written by Pullpass ahead of a change to the kubelet's files, and removed when the kubelet is healthy with them.
[Unit]
Description=Pullpass: gives the kubelet its files back if it does not come up
RequiresMountsFor={OURS}

[Service]
# Not ordered after the kubelet: a kubelet that never gets ready must not keep this from running.
Type=simple
ExecStart=/bin/sh {SCRIPT}
Restart=on-failure
RestartSec=5

[Install]
WantedBy=multi-user.target
"""

_SCRIPT = """\
#!/bin/sh
# Written by Pullpass ahead of a change to the kubelet's files, and removed when the kubelet is healthy with them.
# Restarts the kubelet if it is asked to, waits for it, and puts its files back if it does not come up.
set -u
root=${PULLPASS_ROOT:-}
ours=$root@OURS@
service=@SERVICE@
tries=@TRIES@
settle=10
starts=5
health=@HEALTH@

invocation() { systemctl show "$service" --property InvocationID --value; }

restart() {
    systemctl reset-failed "$service" 2>/dev/null
    systemctl restart --no-block "$service"
}

is_healthy() {
    [ "$(systemctl is-active "$service")" = active ] || return 1
    [ -n "$health" ] || return 0
    if command -v curl >/dev/null 2>&1; then
        curl --silent --fail --noproxy '*' --max-time 2 --output /dev/null "$health"
    elif command -v wget >/dev/null 2>&1; then
        http_proxy='' wget -q -T 2 -O /dev/null "$health"
    fi
}

# Healthy for $settle looks in a row, all under one start of the unit, and not the one named.
# A unit that was started $starts times over will not do better at the next.
comes_up() {
    tried=0
    good=0
    started=0
    seen=$1
    while [ "$tried" -lt "$tries" ] && [ "$started" -le "$starts" ]; do
        tried=$((tried + 1))
        now=$(invocation)
        if [ "$now" != "$seen" ]; then
            started=$((started + 1))
            good=0
        fi
        seen=$now
        if [ "$now" != "$1" ] && is_healthy; then
            good=$((good + 1))
            [ "$good" -lt "$settle" ] || return 0
        else
            good=0
        fi
        sleep 1
    done
    return 1
}

say() {
    echo "$1" >"$ours/.outcome" && mv -f "$ours/.outcome" "$ours/outcome"
    sync
}

put_back() {
    cp -p "$ours/before/$1" "$root$2" && sync && mv -f "$root$2" "$root$3"
    if command -v restorecon >/dev/null 2>&1; then restorecon "$root$3" 2>/dev/null; fi
}

take_away() { rm -f "$root$1"; }

before=
if [ -e "$ours/restart-wanted" ]; then
    before=$(invocation)
    restart
    rm -f "$ours/restart-wanted"
fi
if comes_up "$before"; then
    say healthy
    exit 0
fi
journalctl --unit "$service" --lines 12 --output cat --no-pager >"$ours/why" 2>/dev/null
@RESTORE@
sync
restart
say rolledBack
"""


def script(service: str, tries: int, health: str, before: Sequence[Before]) -> str:
    """The script's text; files are put back in the reverse order of `before`."""
    restore = []
    for one in reversed(before):
        if one.copy is None:
            restore.append(f"take_away {shlex.quote(one.path)}")
        else:
            parts = (posixpath.basename(one.copy), temporary_name(one.path), one.path)
            restore.append(f"put_back {shlex.join(parts)}")
    values = {
        "OURS": OURS,
        "SERVICE": shlex.quote(service),
        "TRIES": str(tries),
        "HEALTH": shlex.quote(health),
        "RESTORE": "\n".join(restore) or ":",
    }
    text = _SCRIPT
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def place(host: Host, text: str) -> None:
    """Puts the watcher on disk, enabled, and nothing of an earlier one in its way.

    Raises:
        HostError: a file cannot be written, or systemd does not take the unit.
    """
    if host.kind(UNIT):
        host.run(["systemctl", "stop", SERVICE])
    for path in (WANTED, OUTCOME, WHY):
        host.remove(path)
    host.write(SCRIPT, text.encode(), 0o700)
    host.write(UNIT, UNIT_TEXT.encode(), 0o644)
    host.must_run(["systemctl", "daemon-reload"])
    host.must_run(["systemctl", "enable", SERVICE])
    host.run(["sync", "-f", UNIT])  # the link too has to survive a power failure


def want_restart(host: Host) -> None:
    """Has the watcher restart the kubelet when it is started next, by the driver or by a reboot."""
    host.write(WANTED, b"", 0o600)


def start(host: Host) -> None:
    """Starts the watcher, if it does not run."""
    host.must_run(["systemctl", "start", "--no-block", SERVICE])


def runs(host: Host) -> bool:
    """Whether the watcher is at work."""
    return host.run(["systemctl", "is-active", SERVICE]).output.strip() in ("active", "activating")


def outcome(host: Host) -> Outcome | None:
    """The watcher's word; None while it has none."""
    word = (host.read(OUTCOME) or b"").decode(errors="replace").strip()
    if word == "healthy":
        return "healthy"
    return "rolledBack" if word == "rolledBack" else None


def why(host: Host) -> str:
    """The last that the kubelet said before its files were put back."""
    text = (host.read(WHY) or b"").decode(errors="replace").strip()
    telling = [line for line in text.splitlines() if "credential" in line.lower() or "err=" in line]
    words = " ".join((telling[-1] if telling else text).split())
    return words if len(words) <= _LONGEST_WHY else "… " + words[-_LONGEST_WHY:].partition(" ")[2]


def remove(host: Host) -> None:
    """Takes the watcher away: the kubelet is healthy, or has its files back."""
    if host.kind(UNIT):
        host.run(["systemctl", "disable", SERVICE])
        host.remove(LINK)
        host.remove(UNIT)
        host.run(["systemctl", "daemon-reload"])
    for path in (SCRIPT, WANTED, OUTCOME, WHY):
        host.remove(path)
