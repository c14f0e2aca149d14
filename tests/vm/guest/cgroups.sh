#!/bin/sh
# Limits of `kist runtime`, read back and enforced, in whatever cgroups this machine has mounted.
. /kist/vm/guest/lib.sh
cd "$(mktemp -d /tmp/bundle.XXXXXX)" || exit 1
if unified; then layout=v2; elif [ -d /sys/fs/cgroup/unified ]; then layout=hybrid; else layout=v1; fi
echo "# layout: $layout"
disk=$(cat /sys/block/vdb/dev)
major=${disk%:*} minor=${disk#*:}

# --- Read back ---------------------------------------------------------------------------------
limits="{\"memory\":{\"limit\":67108864,\"swap\":134217728,\"reservation\":33554432},
  \"cpu\":{\"shares\":512,\"quota\":50000,\"period\":100000,\"cpus\":\"1\",\"mems\":\"0\"},
  \"pids\":{\"limit\":50},
  \"blockIO\":{\"weight\":200,\"throttleReadBpsDevice\":[{\"major\":$major,\"minor\":$minor,\"rate\":1048576}],
    \"throttleWriteBpsDevice\":[{\"major\":$major,\"minor\":$minor,\"rate\":2097152}],
    \"throttleReadIOPSDevice\":[{\"major\":$major,\"minor\":$minor,\"rate\":100}],
    \"throttleWriteIOPSDevice\":[{\"major\":$major,\"minor\":$minor,\"rate\":200}]}}"
echo bfq >/sys/block/vdb/queue/scheduler
bundle . "while true; do date +%s%N >/tmp/alive; sleep 0.05; done" "$limits"
works "create with every limit" "$runtime" run -d one
pid=$(pid_of one)
if [ $layout = v2 ]; then
  is "memory.max" "$(in_cgroup "$pid" memory memory.max)" 67108864
  is "memory.swap.max" "$(in_cgroup "$pid" memory memory.swap.max)" 67108864
  is "memory.low" "$(in_cgroup "$pid" memory memory.low)" 33554432
  is "cpu.max" "$(in_cgroup "$pid" cpu cpu.max)" "50000 100000"
  is "cpu.weight" "$(in_cgroup "$pid" cpu cpu.weight)" 20
  is "cpuset.cpus" "$(in_cgroup "$pid" cpuset cpuset.cpus)" 1
  is "cpuset.mems" "$(in_cgroup "$pid" cpuset cpuset.mems)" 0
  is "io.max" "$(in_cgroup "$pid" io io.max)" "$disk rbps=1048576 wbps=2097152 riops=100 wiops=200"
  is "io.bfq.weight" "$(in_cgroup "$pid" io io.bfq.weight)" "default 200"
else
  is "memory.limit" "$(in_cgroup "$pid" memory memory.limit_in_bytes)" 67108864
  is "memory.memsw" "$(in_cgroup "$pid" memory memory.memsw.limit_in_bytes)" 134217728
  is "memory.soft_limit" "$(in_cgroup "$pid" memory memory.soft_limit_in_bytes)" 33554432
  is "cpu.cfs_quota" "$(in_cgroup "$pid" cpu cpu.cfs_quota_us)" 50000
  is "cpu.cfs_period" "$(in_cgroup "$pid" cpu cpu.cfs_period_us)" 100000
  is "cpu.shares" "$(in_cgroup "$pid" cpu cpu.shares)" 512
  is "cpuset.cpus" "$(in_cgroup "$pid" cpuset cpuset.cpus)" 1
  is "blkio write" "$(in_cgroup "$pid" blkio blkio.throttle.write_bps_device)" "$disk 2097152"
  is "blkio read operations" "$(in_cgroup "$pid" blkio blkio.throttle.read_iops_device)" "$disk 100"
  is "blkio.bfq.weight" "$(in_cgroup "$pid" blkio blkio.bfq.weight)" 200
fi
is "pids.max" "$(in_cgroup "$pid" pids pids.max)" 50
is "the processor it is on" "$(sed -n 's/Cpus_allowed_list:\t//p' "/proc/$pid/status")" 1
if [ $layout = v2 ]; then
  is "exec joins it" "$("$runtime" exec one cat /proc/self/cgroup)" "0::/"
  is "inside it sees its own" "$("$runtime" exec one cat /sys/fs/cgroup/memory.max)" 67108864
else
  is "exec joins it" "$("$runtime" exec one sed -n 's/.*memory://p' /proc/self/cgroup)" /
  is "inside it sees its own" "$("$runtime" exec one cat /sys/fs/cgroup/memory/memory.limit_in_bytes)" 67108864
fi

# --- Freezer, update, statistics -----------------------------------------------------------------
# Within ten seconds: an emulated processor may leave it waiting for longer than half of one.
alive() {
  a=$(cat rootfs/tmp/alive)
  for _ in $(seq 50); do
    sleep 0.2
    [ "$a" != "$(cat rootfs/tmp/alive)" ] && return
  done
  return 1
}
is "it runs" "$(alive && echo yes)" yes
works "pause" "$runtime" pause one
like "is paused" "$("$runtime" state one)" '*"status": "paused"*'
works "nothing moves" sh -c 'sleep 0.3; a=$(cat rootfs/tmp/alive); sleep 0.6; [ "$a" = "$(cat rootfs/tmp/alive)" ]'
fails "no exec into what is paused" "*paused*" "$runtime" exec one true
works "resume" "$runtime" resume one
is "it runs again" "$(alive && echo yes)" yes
works "update" "$runtime" update --memory 33554432 --memory-swap 67108864 --pids-limit 30 --cpu-quota 20000 one
works "update by JSON" sh -c "echo '{\"cpu\":{\"shares\":1024}}' | $runtime update -r - one"
if [ $layout = v2 ]; then
  is "updated memory" "$(in_cgroup "$pid" memory memory.max) $(in_cgroup "$pid" memory memory.swap.max)" "33554432 33554432"
  is "updated quota" "$(in_cgroup "$pid" cpu cpu.max)" "20000 100000"
  is "updated shares" "$(in_cgroup "$pid" cpu cpu.weight)" 39
else
  is "updated memory" "$(in_cgroup "$pid" memory memory.limit_in_bytes) $(in_cgroup "$pid" memory memory.memsw.limit_in_bytes)" "33554432 67108864"
  is "updated quota" "$(in_cgroup "$pid" cpu cpu.cfs_quota_us)" 20000
  is "updated shares" "$(in_cgroup "$pid" cpu cpu.shares)" 1024
fi
is "updated pids" "$(in_cgroup "$pid" pids pids.max)" 30
# Version 2 takes it, and kills.
[ $layout = v2 ] || fails "an update that cannot be" "*memory*" "$runtime" update --memory 4096 one
fails "an update to processors that are not there" "*cpu.cpus*" "$runtime" update --cpuset-cpus 77 one
stats=$("$runtime" events --stats one)
like "statistics: the limit of memory" "$stats" '*"limit":33554432*'
like "statistics: pids" "$stats" '*"pids":{"current":[1-9]*,"limit":30*'
like "statistics: processor" "$stats" '*"cpu":{"usage":{"total":[1-9]*'
is "list of processes" "$("$runtime" ps -f json one | grep -c "$pid")" 1
"$runtime" kill one KILL
soon sh -c "$runtime state one | grep -q stopped"
works "delete" "$runtime" delete one
is "no cgroup is left" "$(find /sys/fs/cgroup -type d -name one)" ""

# --- Enforced ------------------------------------------------------------------------------------
# run_with RESOURCES COMMAND [OF_LINUX]
run_with() { bundle . "$2" "$1" "${3:-}"; timeout 60 "$runtime" run two 2>&1; }
run_with '{"memory":{"limit":16777216,"swap":16777216}}' 'tail /dev/zero' >/dev/null
is "out of memory: killed" "$?" 137
like "as many processes as it may have" "$(run_with '{"pids":{"limit":6}}' \
  'for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; echo never')" "*fork*"
bundle . 'while :; do :; done' '{"cpu":{"quota":20000,"period":100000}}'
"$runtime" run -d two
sleep 3
used=$("$runtime" events --stats two | sed -n 's/.*"usage":{"total":\([0-9]*\).*/\1/p')
"$runtime" delete -f two
if [ "$used" -gt 200000000 ] && [ "$used" -lt 1200000000 ]; then ok "a fifth of a processor"
else not_ok "a fifth of a processor" "$used ns in 3 s" "about 600000000"; fi

bundle . "mknod /tmp/disk b $major $minor; time -p dd if=/dev/zero of=/tmp/disk bs=256k count=16 oflag=direct" \
  "{\"devices\":[{\"allow\":true,\"type\":\"b\",\"major\":$major,\"minor\":$minor,\"access\":\"rwm\"}],
    \"blockIO\":{\"throttleWriteBpsDevice\":[{\"major\":$major,\"minor\":$minor,\"rate\":2097152}]}}"
took=$("$runtime" run two 2>&1 | sed -n 's/^real \([0-9]*\).*/\1/p')
if [ "${took:-0}" -ge 1 ]; then ok "4 MiB at 2 MiB/s"; else not_ok "4 MiB at 2 MiB/s" "$took s" "about 2"; fi
rm -f rootfs/tmp/disk

# --- Devices -------------------------------------------------------------------------------------
rule() { echo "{\"devices\":[{\"allow\":false,\"access\":\"rwm\"},{\"allow\":true,\"type\":\"b\",\"major\":$major,\"minor\":$minor,\"access\":\"$1\"}]}"; }
use="mknod /tmp/disk b $major $minor; head -c 1 /tmp/disk >/dev/null && echo read; echo x 2>/dev/null >/tmp/disk && echo wrote; head -c 1 /dev/zero >/dev/null && echo zero; rm /tmp/disk"
said() { run_with "$1" "$use" | grep -xE 'read|wrote|zero' | tr '\n' ' '; }
is "devices: none by default" "$(said '{}')" "zero "
is "devices: denied" "$(said '{"devices":[{"allow":false,"access":"rwm"}]}')" "zero "
is "devices: reading" "$(said "$(rule r)")" "read zero "
is "devices: writing" "$(said "$(rule w)")" "wrote zero "
is "devices: both" "$(said "$(rule rwm)")" "read wrote zero "
is "devices: all" "$(said '{"devices":[{"allow":true,"access":"rwm"}]}')" "read wrote zero "
like "devices: the message" "$(run_with '{}' "mknod /tmp/disk b $major $minor; cat /tmp/disk; rm /tmp/disk")" "*Operation not permitted*"

# --- The map of version 2 ------------------------------------------------------------------------
bundle . 'sleep 100' '{"unified":{"memory.high":"33554432","pids.max":"77","cgroup.max.depth":"3"}}'
case $layout in
  v2)
    works "unified" "$runtime" run -d three
    pid=$(pid_of three)
    is "unified memory.high" "$(in_cgroup "$pid" memory memory.high)" 33554432
    is "unified pids.max" "$(in_cgroup "$pid" pids pids.max)" 77
    is "unified cgroup.max.depth" "$(in_cgroup "$pid" "" cgroup.max.depth)" 3
    works "update of unified" sh -c "echo '{\"unified\":{\"memory.high\":\"max\"}}' | $runtime update -r - three"
    is "unified memory.high is gone" "$(in_cgroup "$pid" memory memory.high)" max
    bundle . 'sleep 100' '{"unified":{"memory.nonsense":"1"}}'
    fails "unified, no such file" "*unified.memory.nonsense*" "$runtime" run -d four
    ;;
  hybrid)
    fails "unified of a controller that is in version 1" "*unified.memory.high*" "$runtime" run -d three
    bundle . 'sleep 100' '{"unified":{"cgroup.max.depth":"3"}}'
    works "unified on the side of version 2" "$runtime" run -d three
    is "unified cgroup.max.depth" "$(in_cgroup "$(pid_of three)" "" cgroup.max.depth)" 3
    ;;
  v1) fails "unified without version 2" "*unified*" "$runtime" run -d three ;;
esac
"$runtime" delete -f three
is "nothing is left of what failed" "$("$runtime" list -q)" ""

# --- Paths ---------------------------------------------------------------------------------------
bundle . 'sleep 100' '{"pids":{"limit":9}}' ',"cgroupsPath":"/deep/er/four"'
works "a path of three folders" "$runtime" run -d four
pid=$(pid_of four)
like "it is there" "$(cat "/proc/$pid/cgroup")" "*:/deep/er/four*"
is "and limited" "$(in_cgroup "$pid" pids pids.max)" 9
fails "a cgroup with others in it" "*has processes*" "$runtime" run -d five
works "exec --cgroup needs it to be there" sh -c "! $runtime exec --cgroup sub four true"
works "kill all" "$runtime" kill --all four KILL
soon sh -c "$runtime state four | grep -q stopped"
works "delete --force" "$runtime" delete --force four
bundle . 'sleep 0.1 & sleep 0.1' '{"memory":{"limit":1073741824}}'
for i in 1 2 3 4 5 6 7 8; do timeout 20 "$runtime" run many$i || not_ok "many $i" "$?" 0; done
is "no cgroup is left of any" "$(find /sys/fs/cgroup -type d \( -name 'many*' -o -name four -o -name five \))" ""
fails "--systemd-cgroup without systemd" "*systemd does not run*" "$runtime" --systemd-cgroup run -d six
finish
