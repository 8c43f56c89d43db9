"""The hands: what runs on every node and has the kubelet ask ECR for credentials by itself.

Standard library and PyYAML only, nothing of ours (an import contract holds it): the process stays small, and the same
code serves `python -m agent node` in a DaemonSet and `pullpass node install` in an image build. The order of reading:
`configuration` and `settings` (what is wanted), `host` and `distributions` (what there is), `plan` (the difference),
`steps` and `watcher` (how a node is changed without ever being lost), `slots` (when), `loop` (again and again).
"""
