#!/usr/bin/env bash
# Sees to the programs that the tests drive beside Kubernetes: etcd, PostgreSQL, jq, the
# cpln CLI, Chromium, and for real nodes (make e2e) debootstrap, systemd-nspawn and buildah.
# `make programs` calls it before every test run, so it is quick when all is there. With CI=true it installs what is missing (as root on Debian); elsewhere it
# only says what is missing and how to get it, and never fails: the tests that need it
# are skipped with the same words (tests/support/programs.py).
set -euo pipefail
cd "$(dirname "$0")"

root=${PULLPASS_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/pullpass}
cpln_version=$(sed -n 's/.*"@controlplane\/cli": "\([0-9.]*\)".*/\1/p' cpln/package.json)
cpln=$root/cpln/$cpln_version

has() {
  case $1 in
    postgresql) ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null ;;
    libc.a) ls /usr/lib/*/libc.a >/dev/null 2>&1 ;;
    cpln) [ -x "$cpln/node_modules/.bin/cpln" ] ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

missing_packages() {
  has etcd || echo etcd-server
  has postgresql || echo postgresql
  has jq || echo jq
  has chromium || echo chromium
  has node || echo nodejs
  has debootstrap || echo debootstrap
  has systemd-nspawn || echo systemd-container
  has buildah || echo buildah
  has ip || echo iproute2
  has iptables || echo iptables
  has gcc || echo gcc
  has libc.a || echo libc6-dev
  # npm is needed only to fetch the CLI; some builds of nodejs bring their own.
  has cpln || has npm || echo npm
}

install_cpln() {
  mkdir -p "$root/cpln"
  new=$(mktemp -d "$root/cpln/new.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  cp cpln/package.json cpln/package-lock.json "$new"
  # The lock names every package with its hash; no script of any package is run.
  (cd "$new" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) &&
    rm -rf "$cpln" && mv "$new" "$cpln"
}

packages=$(missing_packages)
if [ "${CI:-}" = true ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  if [ -n "$packages" ]; then
    apt-get update -qq
    # RUNLEVEL=1: the tests start servers of their own, Debian's need not run.
    # shellcheck disable=SC2086 # a list of names
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
  fi
  has cpln || install_cpln
  exit 0
fi

for package in $packages; do
  [ "$package" = npm ] || echo "not here: $package (tests that need it are skipped; on Debian: apt-get install $package)"
done
if ! has cpln; then
  if has npm && has node; then
    install_cpln || echo "not here: cpln (its tests are skipped; npm could not fetch @controlplane/cli $cpln_version)"
  else
    echo "not here: cpln (its tests are skipped; install nodejs and npm, then run make programs again)"
  fi
fi
