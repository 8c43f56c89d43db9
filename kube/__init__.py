"""One cluster: request, apply, prune, watch, token; its errors. Used by `controller`, `agent` and `cli`."""
