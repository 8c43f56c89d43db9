"""Pull secrets: the agent exchanges its own projected token for ECR credentials and keeps secrets fresh.

Started by `python -m agent cluster`. `loop` is the agent: informers feed a queue, workers reconcile its keys.
`selection`, `service_accounts` and `pull_secret` are pure: which namespaces, which references, which object.
`credentials` holds one credential per region; `verification` walks from the token to the registry; `report` is
what the hub reads.

The rights it needs, and keeps exactly to (`controller.rights` makes roles of them):

In every namespace (ClusterRole `pullpass-agent-secrets`):

- `""` secrets, resourceNames `pullpass-ecr`: get, list, watch, create, patch, delete
- `""` serviceaccounts: get, list, watch, patch
- `""` namespaces: get, list, watch
- `""` pods: list, watch (used only where the configuration names no registries)

In namespace `pullpass-system` (Role):

- `""` configmaps, resourceNames `pullpass-agent`: get, list, watch
- `""` configmaps, resourceNames `pullpass-status`: create, get, patch

Lists and watches of a kind narrowed by resourceNames carry the field selector `metadata.name=NAME`, which is how
RBAC lets them through; creation happens by server-side apply, whose request carries the name.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources
"""
