"""The state: clusters, connections, work, shards, statuses, events, audit, tokens, and what changes them."""
