"""The loop without I/O: clock, outcome, back-off, de-duplicating queue and workers, for controller and agent."""
