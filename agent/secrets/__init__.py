"""Pull secrets: claimed by the add-on's settings and by custom resources, filled alike, and kept fresh.

Who calls whom, from the outside in:

- `loop`: the queue and its tasks; run by `agent.brain` for each term of leadership.
- `planning` makes the `plan`: every claim (`add_on`, and claimants by `duties`) and every credential that they need.
- `watching`: namespaces, service accounts, pull secrets and, where needed, pods and `strangers` by the same names.
- `fetching`: one credential for each identity and region, and its proof by a walk (`verification`, `keys`); held in the
  `pool`, stored by `keeping` in the `store`.
- `filling`: one namespace's secrets (`pull_secret`, `content`) and references (`service_accounts`, `selection`);
  `patience` limits quarrels with others, `refusals` tells a no from a lost race.
- `results`, `report` and `telling`: what came of it, for the hub and for claimants.

Rights are in `controller.agent_rights`. Lists and watches of a kind that resourceNames narrow carry the field selector
`metadata.name=NAME`, which is how RBAC lets them through; creation happens by server-side apply, whose request carries
the name. https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources
"""
