"""A world to play and test in: Kubernetes APIs, an AWS and a registry on loopback. Not part of the image."""
