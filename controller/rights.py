"""Every right Pullpass may ever need in a cluster, under fixed names: what `pullpass connect` installs.

The hub's ServiceAccount may `bind` the named ClusterRoles (never `escalate`), apply in `pullpass-system`, and
make tokens of the named ServiceAccounts. Documented in docs/reference/rights.md.
"""

from __future__ import annotations

from kube.objects import Object

AGENT_SECRETS_ROLE = "pullpass-agent-secrets"


def objects() -> list[Object]:
    """Namespace, the hub's ServiceAccount, its roles and bindings, the agent's ClusterRoles, the admission policy."""
    raise NotImplementedError
