# What the tests of real clients share. Each test is skipped (77) where its client is not installed.
set -euo pipefail

work=$(mktemp -d /tmp/kist-client.XXXXXX)
checks=0
undo=()

finish() {
  local status=$?
  for command in "${undo[@]}"; do eval "$command" >/dev/null 2>&1 || true; done
  # Daemons leave namespaces and layers mounted.
  grep -oE " $work[^ ]*" /proc/self/mounts | sort -r | xargs -r umount -l 2>/dev/null || true
  rm -rf "$work" || true
  [ $status = 0 ] && echo "ok, checks: $checks"
  exit $status
}
trap finish EXIT

skip() { echo "skipped: $*" >&2; trap - EXIT; rm -rf "$work"; exit 77; }

needs() {
  [ "$(id -u)" = 0 ] || skip "needs root"
  [ -x /bin/busybox ] || skip "needs busybox-static"
  for program in "$@"; do command -v "$program" >/dev/null || skip "needs $program"; done
}

# The program under the name by which it is a runtime.
runtime=$work/kist-runtime
ln -s "${KIST:?the program to test}" "$runtime"

# is WHAT GOT WANTED
is() {
  checks=$((checks + 1))
  [ "$2" = "$3" ] && return
  echo "not ok: $1: got '$2', wanted '$3'" >&2
  return 1
}

# status_is WHAT WANTED COMMAND…
status_is() {
  local what=$1 wanted=$2 got=0
  shift 2
  timeout 60 "$@" >"$work/said" 2>&1 || got=$?
  is "$what" "$got" "$wanted" || { cat "$work/said" >&2; return 1; }
}

# says WHAT WANTED COMMAND…
says() {
  local what=$1 wanted=$2 got
  shift 2
  got=$(timeout 60 "$@" 2>"$work/said") || { cat "$work/said" >&2; return 1; }
  is "$what" "$(tr -d '\r' <<<"$got")" "$wanted"
}

# The state of the process PID is kept by kist, under one of the FOLDERs: so it is kist that runs it.
made_by_kist() {
  local pid=$1
  shift
  local found
  found=$(find "$@" -name state.json 2>/dev/null | xargs -r grep -l '"start_time"' | xargs -r grep -l "\"pid\":$pid," | wc -l)
  is "process $pid is kist's" "$found" 1
}

# A tar of a root with busybox.
root_tar() {
  mkdir -p "$work"/root/{bin,etc,tmp,proc,sys,dev}
  cp /bin/busybox "$work/root/bin"
  for name in $(/bin/busybox --list | grep -vx busybox); do ln -sf busybox "$work/root/bin/$name"; done
  echo root:x:0:0:root:/root:/bin/sh >"$work/root/etc/passwd"
  tar -C "$work/root" -cf "$work/root.tar" .
}
