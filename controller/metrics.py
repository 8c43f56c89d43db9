"""The controller's figures for Prometheus, in the default registry; `cli` serves them."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter(
    "pullpass_reconciles", "Runs by result: done, requeue, retry, terminal, error.", ["result"]
)
SECONDS = Histogram(
    "pullpass_reconcile_seconds",
    "Seconds that a run took.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
QUEUE_DEPTH = Gauge("pullpass_queue_depth", "Clusters that are ready to run, by lane.", ["lane"])
SHARDS_HELD = Gauge("pullpass_shards_held", "Shards that this process holds.")
LOOKS = Counter("pullpass_looks", "Periodic looks that were due.")
REQUESTS = Counter("pullpass_cluster_requests", "Requests to the API servers of clusters.")
