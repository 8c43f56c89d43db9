#!/usr/bin/env bash
# Builds the Kubernetes programs that go.mod pins, once, into a cache outside the
# repository, so that one build serves every clone. `make kubernetes` calls it; the
# tests find the programs by the path it prints (tests/support/programs.py).
#
# The server stamps its version from these link flags; without them it says v0.0.0.
set -euo pipefail
cd "$(dirname "$0")"

version=$(sed -n 's/^[[:space:]]*\(require \)\{0,1\}k8s.io\/kubernetes \(v[0-9.]*\).*/\2/p' go.mod | head -n 1)
minor=${version#v1.}; minor=${minor%%.*}
cache=${PULLPASS_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/pullpass}/kubernetes/$version
stamp=k8s.io/component-base/version
go=${GO:-go}

mkdir -p "$cache"
for program in $(sed -n 's/^[[:space:]]*k8s.io\/kubernetes\/cmd\/\([a-z-]*\)$/\1/p' go.mod); do
  if [ -x "$cache/$program" ]; then
    continue
  fi
  echo "building $program $version (the first build takes about 10 minutes)" >&2
  CGO_ENABLED=0 "$go" build -trimpath -o "$cache/$program.new" \
    -ldflags "-s -w -X $stamp.gitVersion=$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=$minor" \
    "k8s.io/kubernetes/cmd/$program"
  mv "$cache/$program.new" "$cache/$program"
done
echo "$cache"
