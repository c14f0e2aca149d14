# What the tests inside the machine share. Each check is told; the first that fails ends nothing, so
# that one boot shows all of them.
set -u
kist=/kist/kist
runtime=/kist/kist-runtime
checks=0
failures=0
# Of kist-engine: a small system has not all that it is linked with.
engine="env LD_LIBRARY_PATH=/kist/lib /kist/kist"

ok() { checks=$((checks + 1)); echo "ok - $1"; }
not_ok() {
  checks=$((checks + 1)); failures=$((failures + 1))
  echo "not ok - $1: got '$2', wanted '$3'"
}
# is WHAT GOT WANTED
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "$2" "$3"; fi; }
# like WHAT GOT PATTERN, of the shell
like() {
  # shellcheck disable=SC2254
  case $2 in $3) ok "$1" ;; *) not_ok "$1" "$2" "$3" ;; esac
}
# fails WHAT PATTERN COMMAND…: it must end with an error that says so
fails() {
  what=$1 pattern=$2
  shift 2
  # By a file: a container in the background would keep a pipe open.
  if timeout -k 5 60 "$@" >/tmp/said 2>&1; then not_ok "$what" "success: $(cat /tmp/said)" "$pattern"
  else like "$what" "$(cat /tmp/said)" "$pattern"; fi
}
# works WHAT COMMAND…
works() {
  what=$1
  shift
  if timeout -k 5 60 "$@" >/tmp/said 2>&1; then ok "$what"
  else not_ok "$what" "status $?: $(cat /tmp/said)" "success"; fi
}
skip() { echo "skipped: $*"; exit 77; }
finish() {
  echo "# checks: $checks, failures: $failures"
  [ "$failures" = 0 ]
  exit
}
# soon COMMAND…: within ten seconds
soon() {
  for _ in $(seq 100); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.1
  done
  return 1
}

# root_folder FOLDER: a root of busybox
root_folder() {
  mkdir -p "$1/bin" "$1/etc" "$1/tmp" "$1/proc" "$1/sys" "$1/dev"
  cp /bin/busybox "$1/bin/"
  for name in $(/bin/busybox --list | grep -vx busybox); do ln -sf busybox "$1/bin/$name"; done
  echo root:x:0:0:root:/root:/bin/sh >"$1/etc/passwd"
}

# bundle FOLDER COMMAND [RESOURCES] [OF_LINUX] [OF_PROCESS] [CAPABILITIES]: a bundle whose process is
# `sh -c COMMAND`
bundle() {
  [ -d "$1/rootfs" ] || root_folder "$1/rootfs"
  capabilities=${6:-'"CAP_KILL","CAP_MKNOD","CAP_DAC_OVERRIDE"'}
  cat >"$1/config.json" <<JSON
{"ociVersion":"1.0.2",
 "process":{"user":{"uid":0,"gid":0},"args":["sh","-c","$2"],"env":["PATH=/bin"],"cwd":"/",
            "capabilities":{"bounding":[$capabilities],"effective":[$capabilities],"permitted":[$capabilities]}${5:-}},
 "root":{"path":"rootfs"},
 "mounts":[{"destination":"/proc","type":"proc","source":"proc"},
           {"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["mode=755"]},
           {"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup","options":["ro"]}],
 "linux":{"namespaces":[{"type":"pid"},{"type":"mount"},{"type":"ipc"},{"type":"uts"},{"type":"network"},{"type":"cgroup"}],
          "resources":${3:-"{}"}${4:-}}}
JSON
}

unified() { [ -f /sys/fs/cgroup/cgroup.controllers ]; }
# in_cgroup PID CONTROLLER FILE: what is in that file of the cgroup of the process; "" is version 2
in_cgroup() {
  if unified || [ -z "$2" ]; then
    top=/sys/fs/cgroup
    unified || top=/sys/fs/cgroup/unified
    cat "$top$(sed -n 's/^0:://p' "/proc/$1/cgroup")/$3" 2>&1
  else
    cat "/sys/fs/cgroup/$2$(sed -nE "s/^[0-9]+:([a-z_,]*,)?$2(,[a-z_,]*)?:(.*)/\3/p" "/proc/$1/cgroup")/$3" 2>&1
  fi
}
# pid_of ID, of `kist runtime`
pid_of() { "$runtime" state "$1" | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p'; }
