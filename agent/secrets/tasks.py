"""The keys of the leading agent's queue. Used by `agent.secrets.loop`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agent.secrets.identity import CredentialKey


class Topic(StrEnum):
    """What a task is about."""

    CONFIGURATION = "configuration"
    PLAN = "plan"
    CREDENTIAL = "credential"
    NAMESPACE = "namespace"
    STORE = "store"
    CLAIMANTS = "claimants"
    REPORT = "report"


@dataclass(frozen=True)
class Task:
    """The queue's key; `name` is a namespace's, `key` a credential's."""

    topic: Topic
    name: str = ""
    key: CredentialKey | None = None

    def __str__(self) -> str:
        """For the log."""
        about = self.name if self.key is None else f"{self.key.identity.named} {self.key.region}"
        return f"{self.topic.value} {about}".rstrip()
