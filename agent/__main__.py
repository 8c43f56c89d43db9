"""`python -m agent secrets`: the brain inside a cluster. All facts come in as environment and files; see `agent.settings`."""
