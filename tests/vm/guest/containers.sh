#!/bin/sh
# The same limits by `kist run --image`.
. /kist/vm/guest/lib.sh
cd "$(mktemp -d /tmp/containers.XXXXXX)" || exit 1
export KIST_HOME=/tmp/store
root_folder root
tar -C root -c . | $engine import - box >/dev/null || exit 1
inspected() { $engine inspect --format "$2" "$1"; }
disk=$(cat /sys/block/vdb/dev)

works "run with limits" $engine run -d --name one --image box --memory 64m --memory-swap 128m --cpus 0.5 \
  --cpuset-cpus 1 --pids-limit 50 --cpu-shares 512 --memory-reservation 32m sleep 1000
pid=$(inspected one '{{.State.Pid}}')
# The first process may be the one that reaps; both are in the container's cgroup.
if unified; then
  is "memory.max" "$(in_cgroup "$pid" memory memory.max)" 67108864
  is "memory.swap.max" "$(in_cgroup "$pid" memory memory.swap.max)" 67108864
  is "memory.low" "$(in_cgroup "$pid" memory memory.low)" 33554432
  is "cpu.max" "$(in_cgroup "$pid" cpu cpu.max)" "50000 100000"
  is "cpu.weight" "$(in_cgroup "$pid" cpu cpu.weight)" 20
  is "inside it sees its own" "$($engine exec one cat /sys/fs/cgroup/memory.max)" 67108864
  like "and cannot change it" "$($engine exec one sh -c 'echo max >/sys/fs/cgroup/memory.max' 2>&1)" "*Read-only*"
else
  is "memory.limit" "$(in_cgroup "$pid" memory memory.limit_in_bytes)" 67108864
  is "memory.memsw" "$(in_cgroup "$pid" memory memory.memsw.limit_in_bytes)" 134217728
  is "cpu.cfs_quota" "$(in_cgroup "$pid" cpu cpu.cfs_quota_us)" 50000
  is "cpu.shares" "$(in_cgroup "$pid" cpu cpu.shares)" 512
fi
is "cpuset.cpus" "$(in_cgroup "$pid" cpuset cpuset.cpus)" 1
is "pids.max" "$(in_cgroup "$pid" pids pids.max)" 50
works "update" $engine update --memory 80m --memory-swap 80m --cpus 0.25 --pids-limit 20 one
is "updated pids" "$(in_cgroup "$pid" pids pids.max)" 20
if unified; then
  is "updated memory" "$(in_cgroup "$pid" memory memory.max) $(in_cgroup "$pid" memory memory.swap.max)" "83886080 0"
  is "updated cpus" "$(in_cgroup "$pid" cpu cpu.max)" "25000 100000"
else
  is "updated memory" "$(in_cgroup "$pid" memory memory.limit_in_bytes) $(in_cgroup "$pid" memory memory.memsw.limit_in_bytes)" "83886080 83886080"
fi
like "stats" "$($engine stats --no-stream --format '{{.MemUsage}} {{.PIDs}} {{.CPUPerc}}' one)" "* / 80MiB [12] *%"
works "pause" $engine pause one
is "is paused" "$(inspected one '{{.State.Status}}')" paused
works "unpause" $engine unpause one
is "is running" "$(inspected one '{{.State.Status}}')" running
works "restart" $engine restart -t 0 one
pid=$(inspected one '{{.State.Pid}}')
is "the limit is there after a restart" "$(in_cgroup "$pid" pids pids.max)" 20
works "pause before stop" $engine pause one
works "stop of what is paused" $engine stop -t 1 one
works "rm" $engine rm one

$engine run --name oom --image box --memory 24m --memory-swap 24m tail /dev/zero >/dev/null 2>&1
is "out of memory: status" "$?" 137
is "out of memory: told by inspect" "$(inspected oom '{{.State.OOMKilled}}')" true
$engine rm oom >/dev/null
like "as many processes as it may have" "$($engine run --rm --image box --pids-limit 8 \
  sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1 & done; echo never' 2>&1)" "*fork*"
use="mknod /tmp/d b ${disk%:*} ${disk#*:} && head -c 1 /tmp/d >/dev/null && echo read"
like "a device of the host" "$($engine run --rm --image box sh -c "$use" 2>&1)" "*Operation not permitted*"
is "one that is let in" "$($engine run --rm --device /dev/vdb --image box sh -c 'head -c 1 /dev/vdb >/dev/null && echo read' 2>&1)" read
is "one that is let in for reading" "$($engine run --rm --device /dev/vdb:/dev/vdb:r --image box sh -c \
  'head -c 1 /dev/vdb >/dev/null && echo read; echo x 2>/dev/null >/dev/vdb && echo wrote' 2>/dev/null)" read
is "privileged" "$($engine run --rm --privileged --image box sh -c "$use" 2>&1)" read
works "a cgroup above" $engine run -d --name under --cgroup-parent /above --image box sleep 100
like "it is there" "$(cat "/proc/$(inspected under '{{.State.Pid}}')/cgroup")" "*:/above/*"
works "rm -f" $engine rm -f under
is "no cgroup is left" "$(find /sys/fs/cgroup -type d | grep -cE '/[0-9a-f]{64}$')" 0
finish
