"""What AWS must hold for a cluster to pull, what it holds, and the steps from one to the other: pure, without I/O.

`wanted` says what must be there, `iam_state` what is, `plan` and `teardown` give the steps. `aws.iam` reads the one
and executes the other; the formats that are printed for people who may not run it are made from `wanted` too.
"""
