"""Pods that cannot pull, and what can be done for them: a duty of the leading agent."""
