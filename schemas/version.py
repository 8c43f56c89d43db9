"""The version of Pullpass: one place, read by the wheel, the CLI, the API and the agent."""

__version__ = "0.1.0"
