"""Issues of nodes: part of the table in `schemas.issues`."""

from __future__ import annotations

from schemas.issue_kinds import ENABLE_ECR, IssueKind

_DRIVER_LOG = "kubectl --context CONTEXT -n pullpass-system logs -l app.kubernetes.io/name=pullpass-node --prefix --tail=100"
_DRIVER_LEASE = "kubectl --context CONTEXT -n pullpass-system get lease pullpass-node-{NODE} -o yaml"
_USE_PULL_SECRETS = ENABLE_ECR + " --delivery pullSecret"
NODE_KINDS = (
    IssueKind(
        "NodeUnsupported",
        "Nodes that Pullpass cannot change have no credentials of their own, {NODE} for one: {MESSAGE}",
        "With delivery `auto`, pull secrets serve them. Else: " + _USE_PULL_SECRETS,
    ),
    IssueKind(
        "NodeRefused",
        "The kubelet's configuration on {NODE} has a mistake, and was left as it is: {MESSAGE}",
        "Mend the file on the node; the driver looks again by itself. What it found: " + _DRIVER_LEASE,
    ),
    IssueKind(
        "NodeRolledBack",
        "The kubelet of {NODE} did not come up with the provider, and has its old files back: {MESSAGE}",
        "Read the kubelet's log on the node (journalctl -u kubelet) and mend what it says. It is tried again, with a"
        " restart of the kubelet, when the cluster is looked at on demand: pullpass clusters look {CLUSTER} --org {ORG}",
    ),
    IssueKind(
        "NodeWaiting",
        "Nodes wait for their turn to be changed, {NODE} for one: {MESSAGE}",
        "Uncordon or mend the nodes that are in the way (kubectl --context CONTEXT get nodes). Pods with devices are"
        " disturbed only where you allow it: " + ENABLE_ECR + " --set node.restartDeviceNodes=true",
    ),
    IssueKind(
        "NodesLate",
        "Nodes have had no credentials for ten minutes, and their drivers do not say why, {NODE} for one: {MESSAGE}",
        "See whether the drivers' pods run: kubectl --context CONTEXT -n pullpass-system describe daemonset,pods"
        " -l app.kubernetes.io/managed-by=pullpass",
    ),
    IssueKind(
        "NodeFailed",
        "The driver cannot do its work on {NODE}: {MESSAGE}",
        _DRIVER_LOG,
    ),
    IssueKind(
        "PluginFailed",
        "The ecr-credential-provider does not run on {NODE}, or gives no credentials: {MESSAGE}",
        "On the node, its folder must allow programs to be run (no noexec mount, no SELinux or AppArmor rule against"
        " it). What the driver saw: " + _DRIVER_LEASE,
    ),
    IssueKind(
        "NodeRoleMayNotPull",
        "Nodes pull by the role of their own instances, and it may not, on {NODE} for one: {MESSAGE}",
        "With credentials for the nodes' account: pullpass aws attach-node-role {CLUSTER} --org {ORG}",
    ),
    IssueKind(
        "NodesNotCleaned",
        "Nodes have not given back what Pullpass put there, {NODE} for one: {MESSAGE}",
        "Start the node (one that comes back after the removal has ended is cleaned by enabling awsECR once more and"
        " disabling it again), or delete it if it is gone: kubectl --context CONTEXT delete node {NODE}",
    ),
    IssueKind(
        "KubernetesTooOldForServiceAccounts",
        "Kubernetes {VERSION} is too old for `identity: serviceAccount`: 1.34 is the first whose kubelet hands tokens"
        " of workloads to credential providers.",
        "Upgrade the cluster to Kubernetes 1.34 or later, or let all workloads share one identity: "
        + ENABLE_ECR
        + " --set identity=shared",
    ),
)
