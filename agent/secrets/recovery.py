"""What a new agent finds of the last one's credentials, so that a storm of restarts does not call ECR.

Called once by `agent.secrets.loop`, when it takes up its first configuration.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import structlog

from agent.informer import Informer
from agent.secrets import pull_secret
from agent.secrets.credentials import CredentialCache
from agent.secrets.pull_secret import SecretView
from agent.secrets.regions import identity_of
from aws.registry_hosts import RegistryHost
from kube.client import Client
from kube.errors import NotFound
from kube.objects import SECRET
from schemas.agent_documents import SECRET_NAME, AgentConfiguration

_log = structlog.get_logger(__name__)


def recover(
    client: Client,
    secrets: Informer[SecretView],
    cache: CredentialCache,
    configuration: AgentConfiguration,
    now: datetime,
) -> tuple[RegistryHost, ...]:
    """Puts into `cache` what one existing secret of ours offers; returns the registries that it names.

    The content that most namespaces hold is taken: who may write secrets in one of them cannot hand theirs to the
    others. What is taken is checked against the registry before long (`Regions.take_over`).

    Raises:
        kube.errors.KubeError: the cluster's API failed.
    """
    uid = configuration.cluster_uid
    ours = [view for _, _, view in secrets.everywhere() if pull_secret.is_ours(view, uid)]
    if not ours:
        return ()
    common, _ = Counter(view.digest for view in ours).most_common(1)[0]
    chosen = min((view for view in ours if view.digest == common), key=lambda view: view.namespace)
    try:
        found = client.get(SECRET, SECRET_NAME, namespace=chosen.namespace)
    except NotFound:
        return ()
    recovered = pull_secret.recover(found, now) if pull_secret.view(found).digest == common else None
    if recovered is None:
        return ()
    same_role = recovered.role_arn == configuration.role_arn
    for credential in recovered.credentials:
        cache.put(credential, identity_of(configuration) if same_role else None, recovered=True)
        _log.info("credential recovered", region=credential.region, same_role=same_role)
    return recovered.registries
