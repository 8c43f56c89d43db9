"""Pull secrets as custom resources: ECRPullSecret of pullpass.dev, and those of older operators, adopted."""
