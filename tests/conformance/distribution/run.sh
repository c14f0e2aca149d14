#!/usr/bin/env bash
# The conformance program of the OCI distribution specification against `kist registry serve`. It is a Go
# module, fetched by Go's own means and built once outside of the repository. Fails on any failure, and if
# anything was skipped, or disabled for version 1.1. `--dev` also asks for what the next version has.
set -euo pipefail
module=github.com/opencontainers/distribution-spec/conformance
version=v0.0.0-20260831232431-97274622c111
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/kist-tests/distribution-$version
kist=${KIST:?the program to test}

skip() { echo "SKIPPED: distribution conformance: $*" >&2; exit 77; }

if [ ! -x "$cache/conformance" ]; then
  command -v go >/dev/null || skip "needs Go, to build $module"
  mkdir -p "$cache"
  source=$(cd "$cache" && GOFLAGS=-mod=mod go mod download -json "$module@$version" | python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])') ||
    skip "$module cannot be fetched"
  build=$(mktemp -d)
  trap 'chmod -R u+w "$build"; rm -rf "$build"' EXIT
  cp -r "$source/." "$build"
  chmod -R u+w "$build"
  (cd "$build" && go build -p 1 -o "$cache/conformance.new" .) || skip "$module cannot be built"
  mv "$cache/conformance.new" "$cache/conformance"
fi

work=$(mktemp -d)
"$kist" registry serve --listen 127.0.0.1:0 --root "$work/registry" --access-log none --config <(printf '[server]\nsparse = true\n') \
  2>"$work/log" &
server=$!
trap 'kill $server 2>/dev/null; wait $server; rm -rf "$work"' EXIT
address=
for _ in $(seq 100); do
  address=$(sed -n 's|.* at http://||p' "$work/log")
  [ -n "$address" ] && break
  kill -0 $server || { cat "$work/log" >&2; exit 1; }
  sleep 0.1
done

run() {
  env OCI_REGISTRY="$address" OCI_TLS=disabled OCI_RESULTS_DIR="$work/results" "$@" "$cache/conformance" >"$work/out" 2>&1 ||
    { grep -v 'Pass$' "$work/out" | tail -40 >&2; return 1; }
  sed -n '/OCI Conformance Result/,/Total/p' "$work/out"
}
count() { awk -F: -v what="$1" '$1 ~ "^ *" what "\\." {print $2 + 0; exit}' "$work/out"; }

run OCI_VERSION=1.1
[ "$(count FAIL)$(count Error)$(count Skip)" = 000 ] || exit 1
# Version 1.1 itself does not ask for these; with them, nothing is disabled.
run OCI_VERSION=1.1 OCI_API_BLOBS_UPLOAD_CANCEL=true OCI_API_BLOBS_DIGEST_HEADER=true OCI_API_MANIFESTS_DIGEST_HEADER=true \
  OCI_API_MANIFESTS_TAG_PARAM=true OCI_DATA_SPARSE=true
[ "$(count FAIL)$(count Error)$(count Skip)$(count Disabled)" = 0000 ]
