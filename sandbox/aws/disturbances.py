"""What tests do to the sandbox's AWS, and what they count of it: refusals, hang-ups, services and regions that are down.

Asked by `sandbox.aws.front` at each call.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass

from sandbox.aws.protocol import AwsError


@dataclass(frozen=True)
class _Refusal:
    code: str
    message: str
    status: int


@dataclass(frozen=True)
class _HangUp:
    """No answer: the connection is cut."""


_Fault = _Refusal | _HangUp


class Disturbances:
    """Thread-safe. `calls` and `calls_by` are as in `sandbox.aws.server.SandboxAws`."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.calls_by: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._faults: dict[str, deque[_Fault]] = {}
        self._down: set[str] = set()
        self._disabled_regions: set[str] = set()

    def refuse_next(self, operation: str, code: str, message: str, *, status: int, times: int) -> None:
        """The next calls of `operation` are refused with these words."""
        self._add(operation, _Refusal(code, message, status), times)

    def hang_up_next(self, operation: str, *, times: int) -> None:
        """The next calls of `operation` get no answer: their connection is cut."""
        self._add(operation, _HangUp(), times)

    def set_down(self, service: str, *, down: bool) -> None:
        """Whether `service` answers nothing but 503."""
        with self._lock:
            (self._down.add if down else self._down.discard)(service)

    def is_down(self, service: str) -> bool:
        """As `set_down` left it."""
        with self._lock:
            return service in self._down

    def set_region(self, region: str, *, enabled: bool) -> None:
        """Whether STS is activated there."""
        with self._lock:
            (self._disabled_regions.discard if enabled else self._disabled_regions.add)(region)

    def check_region(self, region: str) -> None:
        """Raises `AwsError` where STS is not activated."""
        with self._lock:
            disabled = region in self._disabled_regions
        if disabled:
            raise AwsError(
                "RegionDisabledException",
                f"STS is not activated in this region ({region}). Your account administrator can activate STS in "
                "this region using the IAM Console.",
                status=403,
            )

    def count(self, operation: str) -> None:
        """One call.

        Raises:
            AwsError: it is to be refused.
            ConnectionResetError: it is to get no answer; both servers of the sandbox close the connection then.
        """
        with self._lock:
            self.calls[operation] += 1
            faults = self._faults.get(operation)
            fault = faults.popleft() if faults else None
        if isinstance(fault, _HangUp):
            raise ConnectionResetError
        if fault is not None:
            raise AwsError(fault.code, fault.message, status=fault.status)

    def count_by(self, operation: str, principal_arn: str) -> None:
        """Who made it."""
        with self._lock:
            self.calls_by[operation, principal_arn] += 1

    def _add(self, operation: str, fault: _Fault, times: int) -> None:
        with self._lock:
            self._faults.setdefault(operation, deque()).extend([fault] * times)
