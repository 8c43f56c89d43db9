"""Failures of the state: the world's fault, not the user's (those are `schemas.errors`)."""


class FleetError(Exception):
    """The base."""


class DatabaseUnavailable(FleetError):
    """The database does not answer, or is locked for too long."""


class StaleEpoch(FleetError):
    """Another process holds this shard now; nothing was written."""


class SealBroken(FleetError):
    """The stored bytes do not open with any key we have."""
