"""What the agent makes of the node drivers' reports: their sum, and whether pull secrets are still needed beside them.

`agent.node` (one node's driver, which imports nothing of ours) writes the reports; `agent.secrets.loop` asks here.
"""
