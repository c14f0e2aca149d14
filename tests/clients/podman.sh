#!/usr/bin/env bash
# podman with kist as its runtime: run, limits, exec, pause, kill, remove.
. "$(dirname "$0")/lib.sh"
needs podman conmon

# Nobody may raise limits on some machines, and conmon wants to be told of cgroups without systemd.
cat >"$work/containers.conf" <<CONF
[containers]
default_ulimits=["nofile=$(ulimit -Hn):$(ulimit -Hn)","nproc=1024:1024"]
[engine]
cgroup_manager="cgroupfs"
events_logger="file"
CONF
export CONTAINERS_CONF=$work/containers.conf
podman=(podman --root "$work/storage" --runroot "$work/run" --tmpdir "$work/tmp" --runtime "$runtime")
undo+=('"${podman[@]}" rm -fa' '"${podman[@]}" rmi -fa' 'umount -l "$work/storage/overlay"')
root_tar
"${podman[@]}" import "$work/root.tar" box >/dev/null 2>&1

run=("${podman[@]}" run --rm --network none)
says "run" hi "${run[@]}" box echo hi
status_is "exit status" 3 "${run[@]}" box sh -c 'exit 3'
status_is "not found" 127 "${run[@]}" box no-such-program
status_is "not executable" 126 "${run[@]}" box /etc
says "user" "1000 1000" "${run[@]}" --user 1000:1000 box sh -c 'echo $(id -u) $(id -g)'
says "maps of ids" "0 100000 1000" "${run[@]}" --uidmap 0:100000:1000 box sh -c 'echo $(cat /proc/self/uid_map)'
says "read-only" ro "${run[@]}" --read-only box sh -c 'touch /x 2>/dev/null || echo ro'
says "a volume" seen "${run[@]}" -v "$work/root:/v:ro" box sh -c 'test -x /v/bin/busybox && echo seen'
says "privileged" 0 "${run[@]}" --privileged box id -u
if [ -d /sys/fs/cgroup/memory ]; then
  says "limit of memory" 67108864 "${run[@]}" --memory 64m box cat /sys/fs/cgroup/memory/memory.limit_in_bytes
  says "limit of processes" 50 "${run[@]}" --pids-limit 50 box cat /sys/fs/cgroup/pids/pids.max
elif [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  says "limit of memory" 67108864 "${run[@]}" --memory 64m box cat /sys/fs/cgroup/memory.max
  says "limit of processes" 50 "${run[@]}" --pids-limit 50 box cat /sys/fs/cgroup/pids.max
fi

status_is "run -d" 0 "${podman[@]}" run -d --name one --network none box sleep 1000
pid=$("${podman[@]}" inspect -f '{{.State.Pid}}' one)
made_by_kist "$pid" /run/kist-runtime
says "exec" 0 "${podman[@]}" exec one id -u
status_is "exec, not found" 127 "${podman[@]}" exec one no-such-program
says "exec with a terminal" /dev/pts/0 script -qec "${podman[*]} exec -it one tty </dev/null" /dev/null
status_is "pause" 0 "${podman[@]}" pause one
says "is paused" paused "${podman[@]}" inspect -f '{{.State.Status}}' one
status_is "unpause" 0 "${podman[@]}" unpause one
status_is "top" 0 "${podman[@]}" top one
status_is "kill" 0 "${podman[@]}" kill one
says "wait" 137 "${podman[@]}" wait one
status_is "rm" 0 "${podman[@]}" rm one
is "nothing is left" "$(find /run/kist-runtime -name state.json 2>/dev/null | xargs -r grep -c "\"pid\":$pid," || true)" ""
