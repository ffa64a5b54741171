#!/usr/bin/env bash
# Builds the images. Where a public base can be pulled:
#   docker/build.sh                                         both, from Node's image
#   BASE=node:24.21.0-bookworm-slim@sha256:… docker/build.sh   pinned by digest
# Where nothing can be pulled, from this machine's own files:
#   docker/base-from-host.sh openclaw/base:host && BASE=openclaw/base:host docker/build.sh runtime
# Tags: RUNTIME_TAG, GATEWAY_TAG. NETWORK=none builds without network, which a base from this machine allows.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
BASE="${BASE:-node:24.21.0-bookworm-slim}"
network=()
[ -z "${NETWORK:-}" ] || network=(--network "$NETWORK")

runtime() {
  # The same sum as the gateway makes of its own: names and contents, in order.
  local supervisor
  supervisor=$(cd skills/sandbox/supervisor && sha256sum -- *.py *.mjs | LC_ALL=C sort -k2 | sha256sum | cut -c1-16)
  docker build "${network[@]}" -q --build-arg "BASE=$BASE" --build-arg "SUPERVISOR=$supervisor" \
    -t "${RUNTIME_TAG:-openclaw/skill-runtime:1}" -f docker/skill-runtime/Dockerfile .
}
gateway() {
  docker build "${network[@]}" -q --build-arg "BASE=$BASE" -t "${GATEWAY_TAG:-openclaw/gateway:1}" -f docker/Dockerfile .
}

case "${1:-all}" in
  runtime) runtime ;;
  gateway) gateway ;;
  all) runtime && gateway ;;
  *) echo "usage: docker/build.sh [runtime|gateway|all]" >&2; exit 2 ;;
esac
