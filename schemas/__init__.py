"""The language: manifests, add-ons, connections, statuses, hub-agent documents, and refusals. Pure: no I/O, no clock."""
