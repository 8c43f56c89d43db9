#!/usr/bin/env bash
# Builds the image with whichever of docker, podman or buildah works here. `make image` calls it.
#   IMAGE=name:tag                what to call it (default pullpass:VERSION)
#   BUILD_BASE, RUN_BASE          other base images
#   GO_BASE                       another base for the credential provider's compiler (default BUILD_BASE where that is set)
#   IMAGE_FLAGS                   more flags for the builder, such as --platform linux/arm64
#   BUILDER                       docker, podman or buildah, where more than one is here
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' schemas/version.py)
image=${IMAGE:-pullpass:$version}
GO_BASE=${GO_BASE:-${BUILD_BASE:-}}
arguments=()
for base in BUILD_BASE RUN_BASE GO_BASE; do
  if [ -n "${!base:-}" ]; then
    arguments+=(--build-arg "$base=${!base}")
  fi
done

if [ -n "${BUILDER:-}" ]; then
  found=$BUILDER
elif docker info >/dev/null 2>&1; then
  found=docker
elif command -v podman >/dev/null; then
  found=podman
elif command -v buildah >/dev/null; then
  found=buildah
else
  echo "make image needs one of docker (with its engine running), podman or buildah" >&2
  exit 1
fi
case $found in
  buildah) builder=(buildah bud --layers) ;;
  *) builder=("$found" build) ;;
esac
if [ "$found" != docker ]; then
  # What docker sets itself: older buildah and podman do not know it where a base is named.
  case $(uname -m) in
    x86_64) arguments+=(--build-arg BUILDPLATFORM=linux/amd64) ;;
    aarch64) arguments+=(--build-arg BUILDPLATFORM=linux/arm64) ;;
  esac
fi
# shellcheck disable=SC2086 # IMAGE_FLAGS holds several words
"${builder[@]}" ${IMAGE_FLAGS:-} "${arguments[@]}" --tag "$image" .
echo "built $image with ${builder[0]}"
