"""What lies on a node before anything of ours: containerd, CNI, the kubelet's unit in kubeadm's or in k3s' layout.

The k3s layout is said plainly: k3s' paths and its way of finding a credential provider by itself, with a script in the
place of the k3s program that starts the same kubelet. k3s itself is not on the module proxy.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

PAUSE_IMAGE = "pullpass.dev/pause:1"
CLUSTER_DNS = "10.96.0.10"
_CGROUPS_UNIT = """[Unit]
Description=Make cgroups writable, as on a node that is no container
DefaultDependencies=no
After=local-fs.target
Before=containerd.service kubelet.service k3s-agent.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'mount --make-rshared /; for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do mountpoint -q $hierarchy && mount -o remount,rw,bind $hierarchy; done; true'

[Install]
WantedBy=multi-user.target
"""

_KUBE_PROXY_UNIT = """[Unit]
Description=kube-proxy
After=network.target

[Service]
ExecStart=/usr/bin/kube-proxy --kubeconfig=/etc/kubernetes/kube-proxy.conf --hostname-override={name} \
  --proxy-mode=iptables --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 \
  --conntrack-tcp-timeout-close-wait=0 --cluster-cidr=10.244.0.0/16
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
"""

# As Debian's kubelet package and kubeadm write them.
_KUBELET_UNIT = """[Unit]
Description=kubelet: The Kubernetes Node Agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target containerd.service

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
"""
_KUBEADM_DROP_IN = """# Note: This dropin only works with kubeadm and kubelet v1.11+
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
# This is a file that "kubeadm init" and "kubeadm join" generates at runtime, populating the KUBELET_KUBEADM_ARGS variable dynamically
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
# This is a file that the user can use for overrides of the kubelet args as a last resort.
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
"""

# As k3s' install script writes it.
_K3S_UNIT = """[Unit]
Description=Lightweight Kubernetes
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target containerd.service

[Install]
WantedBy=multi-user.target

[Service]
Type=exec
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-/etc/systemd/system/k3s-agent.service.env
KillMode=process
Delegate=yes
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStart=/usr/local/bin/k3s \\
    agent \\

"""
# k3s turns the credential provider on when the folder exists and the configuration is a regular file.
_K3S_PROGRAM = """#!/bin/sh
set -eu
bin=/var/lib/rancher/credentialprovider/bin
config=/var/lib/rancher/credentialprovider/config.yaml
set --
if [ -d "$bin" ] && [ -f "$config" ]; then
  set -- --image-credential-provider-bin-dir=$bin --image-credential-provider-config=$config
fi
exec /usr/bin/kubelet --config=/var/lib/kubelet/config.yaml --hostname-override={name} \\
  --kubeconfig=/var/lib/rancher/k3s/agent/kubelet.kubeconfig --node-ip={address} \\
  --node-labels=node.kubernetes.io/instance-type=k3s "$@"
"""

_CONTAINERD = """version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "/etc/containerd/certs.d"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""

_HOSTS = """server = "https://{host}"

[host."https://{host}"]
  capabilities = ["pull", "resolve"]
  ca = "{authority}"
"""


@dataclass(frozen=True)
class NodeFacts:
    """What the files of a node are made from; `kubeconfig` is the kubelet's own."""

    name: str
    address: str
    pods: str
    kubeconfig: str
    proxy_kubeconfig: str
    certificate_authority: str
    registry_hosts: tuple[str, ...]
    registry_address: str
    registry_authority: str


@dataclass(frozen=True)
class Layout:
    """A way of laying a node out: `unit` is what starts its kubelet, `files` by path; an entry's mode is its second part."""

    name: str
    unit: str
    files: Callable[[NodeFacts], dict[str, tuple[str, int]]]


def _common(facts: NodeFacts) -> dict[str, tuple[str, int]]:
    return _registries(facts) | {
        "/etc/hostname": (f"{facts.name}\n", 0o644),
        "/etc/machine-id": ("", 0o644),
        "/etc/hosts": (
            f"127.0.0.1 localhost {facts.name}\n{facts.registry_address} {' '.join(facts.registry_hosts)}\n",
            0o644,
        ),
        "/etc/resolv.conf": ("nameserver 127.0.0.1\n", 0o644),
        "/etc/containerd/config.toml": (_CONTAINERD.format(pause=PAUSE_IMAGE), 0o644),
        "/etc/cni/net.d/10-bridge.conflist": (json.dumps(_network(facts.pods)), 0o644),
        "/etc/kubernetes/pki/ca.crt": (facts.certificate_authority, 0o644),
        "/etc/kubernetes/kube-proxy.conf": (facts.proxy_kubeconfig, 0o600),
        "/var/lib/kubelet/config.yaml": (yaml.safe_dump(_kubelet_configuration(facts)), 0o644),
        "/etc/systemd/system/writable-cgroups.service": (_CGROUPS_UNIT, 0o644),
        "/etc/systemd/system/kube-proxy.service": (_KUBE_PROXY_UNIT.format(name=facts.name), 0o644),
    }


def _registries(facts: NodeFacts) -> dict[str, tuple[str, int]]:
    """How containerd trusts each of them."""
    files: dict[str, tuple[str, int]] = {}
    for host in facts.registry_hosts:
        folder = f"/etc/containerd/certs.d/{host}"
        files[f"{folder}/hosts.toml"] = (_HOSTS.format(host=host, authority=f"{folder}/ca.crt"), 0o644)
        files[f"{folder}/ca.crt"] = (facts.registry_authority, 0o644)
    return files


def _kubeadm(facts: NodeFacts) -> dict[str, tuple[str, int]]:
    return _common(facts) | {
        "/etc/kubernetes/kubelet.conf": (facts.kubeconfig, 0o600),
        "/usr/lib/systemd/system/kubelet.service": (_KUBELET_UNIT, 0o644),
        "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf": (_KUBEADM_DROP_IN, 0o644),
        "/var/lib/kubelet/kubeadm-flags.env": (
            f'KUBELET_KUBEADM_ARGS="--hostname-override={facts.name} --node-ip={facts.address}"\n',
            0o644,
        ),
        "/etc/default/kubelet": ("KUBELET_EXTRA_ARGS=\n", 0o644),
    }


def _k3s(facts: NodeFacts) -> dict[str, tuple[str, int]]:
    return _common(facts) | {
        "/var/lib/rancher/k3s/agent/kubelet.kubeconfig": (facts.kubeconfig, 0o600),
        "/etc/systemd/system/k3s-agent.service": (_K3S_UNIT, 0o644),
        "/etc/systemd/system/k3s-agent.service.env": ("", 0o600),
        "/usr/local/bin/k3s": (_K3S_PROGRAM.format(name=facts.name, address=facts.address), 0o755),
    }


KUBEADM = Layout("kubeadm", "kubelet.service", _kubeadm)
K3S = Layout("k3s", "k3s-agent.service", _k3s)


def _network(pods: str) -> dict[str, Any]:
    ipam = {"type": "host-local", "ranges": [[{"subnet": pods}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "ipam": ipam}
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}],
    }


def _kubelet_configuration(facts: NodeFacts) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",  # noqa: S104 - inside the node's own network namespace
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": "/etc/kubernetes/pki/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "clusterDNS": [CLUSTER_DNS],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "failSwapOn": False,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": 10248,
        "nodeStatusUpdateFrequency": "2s",
        "resolvConf": "/etc/resolv.conf",
        "staticPodPath": "/etc/kubernetes/manifests",
        "syncFrequency": "5s",
    }
