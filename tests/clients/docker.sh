#!/usr/bin/env bash
# The Docker daemon with kist as a runtime: run, limits, exec, pause, update, kill, remove.
. "$(dirname "$0")/lib.sh"
needs dockerd docker containerd

# A daemon of its own, that touches no bridge and no firewall.
dockerd --data-root "$work/data" --exec-root "$work/exec" -H "unix://$work/d.sock" -p "$work/pid" \
  --bridge none --iptables=false --add-runtime "kist=$runtime" --default-runtime runc >"$work/log" 2>&1 &
daemon=$!
docker=(docker -H "unix://$work/d.sock")
undo+=('"${docker[@]}" rm -f one' 'kill $daemon; wait $daemon')
for _ in $(seq 100); do
  "${docker[@]}" version >/dev/null 2>&1 && break
  kill -0 $daemon 2>/dev/null || { tail -3 "$work/log" >&2; skip "dockerd does not start here"; }
  sleep 0.2
done
root_tar
"${docker[@]}" import "$work/root.tar" box >/dev/null

run=("${docker[@]}" run --rm --runtime kist --network none)
says "run" hi "${run[@]}" box echo hi
status_is "exit status" 3 "${run[@]}" box sh -c 'exit 3'
status_is "not found" 127 "${run[@]}" box no-such-program
status_is "not executable" 126 "${run[@]}" box /etc
says "network of the host" host "${docker[@]}" run --rm --runtime kist --network host box echo host
says "user" "1000 1000" "${run[@]}" --user 1000:1000 box sh -c 'echo $(id -u) $(id -g)'
says "read-only" ro "${run[@]}" --read-only box sh -c 'touch /x 2>/dev/null || echo ro'
says "a volume" seen "${run[@]}" -v "$work/root:/v:ro" box sh -c 'test -x /v/bin/busybox && echo seen'
says "privileged" 0 "${run[@]}" --privileged box id -u
says "the filter of calls" 2 "${run[@]}" box awk '/^Seccomp:/ {print $2}' /proc/self/status
status_is "a limit above the machine's" 0 "${run[@]}" --ulimit nofile=10000000 box true
if [ -d /sys/fs/cgroup/memory ]; then
  says "limit of memory" 67108864 "${run[@]}" --memory 64m box cat /sys/fs/cgroup/memory/memory.limit_in_bytes
  says "limit of processes" 50 "${run[@]}" --pids-limit 50 box cat /sys/fs/cgroup/pids/pids.max
elif [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  says "limit of memory" 67108864 "${run[@]}" --memory 64m box cat /sys/fs/cgroup/memory.max
  says "limit of processes" 50 "${run[@]}" --pids-limit 50 box cat /sys/fs/cgroup/pids.max
fi

status_is "run -d" 0 "${docker[@]}" run -d --runtime kist --name one --network none box sleep 1000
pid=$("${docker[@]}" inspect -f '{{.State.Pid}}' one)
made_by_kist "$pid" /run/docker /var/run/docker "$work/exec" /run/kist-runtime
says "exec" 0 "${docker[@]}" exec one id -u
says "exec with a terminal" /dev/pts/0 sh -c \
  "script -qec '${docker[*]} exec -it one tty' /dev/null </dev/null | grep -o '/dev/pts/[0-9]*'"
status_is "pause" 0 "${docker[@]}" pause one
says "is paused" paused "${docker[@]}" inspect -f '{{.State.Status}}' one
status_is "unpause" 0 "${docker[@]}" unpause one
status_is "update" 0 "${docker[@]}" update --memory 80m --memory-swap 160m --cpus 0.5 one
status_is "stats" 0 "${docker[@]}" stats --no-stream one
status_is "top" 0 "${docker[@]}" top one
status_is "restart" 0 "${docker[@]}" restart -t 0 one
status_is "kill" 0 "${docker[@]}" kill one
says "wait" 137 "${docker[@]}" wait one
status_is "rm" 0 "${docker[@]}" rm one
