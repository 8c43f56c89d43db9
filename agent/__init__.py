"""What runs inside a cluster, started as `python -m agent`: it keeps working while the hub is away."""
