"""The Kubernetes half of the sandbox: an API server, its objects, tokens and rules."""
