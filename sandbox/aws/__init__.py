"""An AWS on loopback: IAM, STS and ECR as far as image pulls with web identity need them, as strict as the real one."""
