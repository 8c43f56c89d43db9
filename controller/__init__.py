"""The engine that keeps every cluster of the fleet as its manifest wishes: one reconcile per cluster."""
