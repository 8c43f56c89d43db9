"""A container registry on loopback that takes only the passwords of the sandbox's ECR."""
