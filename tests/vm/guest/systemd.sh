#!/bin/sh
# --systemd-cgroup: the container is a scope of systemd's, for root and for a user.
. /kist/vm/guest/lib.sh
cd "$(mktemp -d /tmp/bundle.XXXXXX)" || exit 1
[ -d /run/systemd/system ] || skip "needs systemd"
soon systemctl is-active -q dbus || skip "no dbus"
systemd="$runtime --systemd-cgroup"
property() { systemctl show -P "$2" "$1"; }
limits='{"memory":{"limit":67108864,"swap":67108864,"reservation":33554432},"pids":{"limit":50},
  "cpu":{"shares":512,"quota":50000,"period":100000,"cpus":"1"}}'

bundle . 'sleep 1000' "$limits" ',"cgroupsPath":"machine-test.slice:kist:one"'
works "a scope in a slice" $systemd run -d one
pid=$(pid_of one)
like "it is there" "$(cat "/proc/$pid/cgroup")" "*/machine.slice/machine-test.slice/kist-one.scope*"
is "systemd knows it" "$(property kist-one.scope ActiveState) $(property kist-one.scope Slice)" "active machine-test.slice"
is "delegated" "$(property kist-one.scope Delegate)" yes
is "TasksMax" "$(property kist-one.scope TasksMax)" 50
is "CPUQuota" "$(property kist-one.scope CPUQuotaPerSecUSec)" 500ms
is "DevicePolicy" "$(property kist-one.scope DevicePolicy)" strict
is "pids.max" "$(in_cgroup "$pid" pids pids.max)" 50
if unified; then
  is "MemoryMax" "$(property kist-one.scope MemoryMax)" 67108864
  is "MemorySwapMax" "$(property kist-one.scope MemorySwapMax)" 0
  is "AllowedCPUs" "$(property kist-one.scope AllowedCPUs)" 1
  is "memory.max" "$(in_cgroup "$pid" memory memory.max)" 67108864
  is "cpu.weight" "$(in_cgroup "$pid" cpu cpu.weight)" 20
  is "cpuset.cpus" "$(in_cgroup "$pid" cpuset cpuset.cpus)" 1
else
  is "MemoryLimit" "$(property kist-one.scope MemoryLimit)" 67108864
  is "memory.limit" "$(in_cgroup "$pid" memory memory.limit_in_bytes)" 67108864
  is "cpu.shares" "$(in_cgroup "$pid" cpu cpu.shares)" 512
  is "cpuset.cpus" "$(in_cgroup "$pid" cpuset cpuset.cpus)" 1
fi
systemctl daemon-reload
is "limits after a reload" "$(in_cgroup "$pid" pids pids.max)" 50
is "the placeholder is gone" "$("$runtime" ps -f json one | tr -d ' \n')" "[$pid]"
works "exec" $systemd exec one true
is "a device of the host after a reload" "$($systemd exec one sh -c "mknod /tmp/d b $(tr : ' ' </sys/block/vda/dev); head -c 1 /tmp/d >/dev/null 2>&1 && echo read")" ""
works "update" $systemd update --memory 33554432 --memory-swap 33554432 --pids-limit 30 one
is "updated pids" "$(in_cgroup "$pid" pids pids.max) $(property kist-one.scope TasksMax)" "30 30"
works "pause" $systemd pause one
like "is paused" "$($systemd state one)" '*"paused"*'
works "resume" $systemd resume one
fails "the name is taken" "*kist-one.scope*" $systemd run -d other
is "and what has it goes on" "$(property kist-one.scope ActiveState)" active
works "delete --force" $systemd delete --force one
is "the scope is gone" "$(property kist-one.scope ActiveState)" inactive
is "no cgroup is left" "$(find /sys/fs/cgroup -name 'kist-*.scope')" ""
bundle . true '{}' ',"cgroupsPath":"machine-test.slice:kist:one"'
for i in 1 2 3; do works "at once again $i" $systemd run one; done

bundle . 'sleep 1000'
works "without a path" $systemd run -d two
like "it is in system.slice" "$(cat "/proc/$(pid_of two)/cgroup")" "*/system.slice/kist-two.scope*"
kill -9 "$(pid_of two)"
soon sh -c "$runtime state two | grep -q stopped"
works "delete of what has ended" $systemd delete two
bundle . 'tail /dev/zero' '{"memory":{"limit":16777216,"swap":16777216}}'
timeout 60 "$runtime" --systemd-cgroup run three >/dev/null 2>&1
is "out of memory" "$?" 137
is "no failed unit is left" "$(systemctl list-units --failed --plain --no-legend 'kist-*' | wc -l)" 0

bundle . 'sleep 1000' '{}' ',"cgroupsPath":":kist:four"' ''
sed -i "s/^{/{\"annotations\":{\"org.systemd.property.TimeoutStopSec\":\"uint64 7\",\"org.systemd.property.TasksMax\":\"uint64 44\",\"org.systemd.property.After\":\"['dbus.service', 'tmp.mount']\",\"org.systemd.property.CollectMode\":\"'inactive'\"},/" config.json
works "properties by annotations" $systemd run -d four
is "TimeoutStopSec" "$(property kist-four.scope TimeoutStopUSec)" 7s
is "TasksMax of an annotation" "$(property kist-four.scope TasksMax)" 44
like "After" "$(property kist-four.scope After)" "*dbus.service*"
$systemd delete -f four
sed -i 's/"uint64 7"/"seven"/' config.json
fails "an annotation that is no value" "*annotations.org.systemd.property.TimeoutStopSec*" $systemd run -d five
bundle . true '{}' ',"cgroupsPath":"/a/b"'
fails "a path that is no unit" "*SLICE:PREFIX:NAME*" $systemd run -d five
bundle . true '{}' ',"cgroupsPath":"a:b:c"'
fails "a slice that is none" "*no slice*" $systemd run -d five
bundle . true
fails "without busctl" "*busctl*missing*" env PATH=/nowhere "$runtime" --systemd-cgroup run -d five
is "nothing is left" "$("$runtime" list -q; find /sys/fs/cgroup -name 'kist-*.scope')" ""

# --- kist run in a slice ----------------------------------------------------------------------------
# In memory: the machine's root is an overlay itself.
export KIST_HOME=/run/store
root_folder /tmp/box
tar -C /tmp/box -c . | $engine import - box >/dev/null
works "run in a slice" $engine run -d --name sliced --cgroup-parent jobs-night.slice -m 64m --pids-limit 40 --image box sleep 1000
pid=$($engine inspect --format '{{.State.Pid}}' sliced)
scope=kist-$($engine inspect --format '{{.Id}}' sliced).scope
like "it is there" "$(cat "/proc/$pid/cgroup")" "*/jobs.slice/jobs-night.slice/$scope*"
is "systemd knows it" "$(property "$scope" ActiveState) $(property "$scope" Slice) $(property "$scope" TasksMax)" "active jobs-night.slice 40"
works "exec in it" $engine exec sliced true
like "stats of it" "$($engine stats --no-stream --format '{{.MemUsage}}' sliced)" "*/ 64MiB"
works "update of it" $engine update --pids-limit 30 sliced
is "updated" "$(in_cgroup "$pid" pids pids.max) $(property "$scope" TasksMax)" "30 30"
works "pause of it" $engine pause sliced
works "unpause of it" $engine unpause sliced
works "restart of it" $engine restart -t 0 sliced
pid=$($engine inspect --format '{{.State.Pid}}' sliced)
like "it is there again" "$(cat "/proc/$pid/cgroup")" "*/jobs.slice/jobs-night.slice/$scope*"
works "rm of it" $engine rm -f sliced
is "its scope is gone" "$(property "$scope" ActiveState)" inactive
fails "a name that is no slice's" "*--cgroup-parent: 'a b.slice' is no name of a slice*" $engine run --rm --cgroup-parent "a b.slice" --image box true
is "the exit status passes through" "$($engine run --rm --cgroup-parent jobs.slice --image box sh -c 'exit 7'; echo $?)" 7
unset KIST_HOME

# --- A user, whose own manager systemd is ----------------------------------------------------------
unified || finish
loginctl enable-linger ana
soon test -S /run/user/1000/bus || { not_ok "ana's bus" none /run/user/1000/bus; finish; }
mkdir -p /home/ana/b
bundle /home/ana/b 'sleep 1000' '{"memory":{"limit":67108864},"pids":{"limit":40}}' \
  ',"cgroupsPath":"user.slice:kist:ana","uidMappings":[{"containerID":0,"hostID":1000,"size":1}],"gidMappings":[{"containerID":0,"hostID":1000,"size":1}]'
sed -i 's/"namespaces":\[/"namespaces":[{"type":"user"},/' /home/ana/b/config.json
chown -R ana: /home/ana/b
as_ana="setpriv --reuid 1000 --regid 1000 --init-groups env -i HOME=/home/ana PATH=$PATH XDG_RUNTIME_DIR=/run/user/1000"
# From within a unit of ana's manager, where the kernel lets ana move her processes.
in_ana="$as_ana systemd-run --user --scope -q"
cd /home/ana/b || exit 1
$as_ana sh -c "cd /home/ana/b && systemd-run --user --scope -q $runtime --systemd-cgroup run -d ana" >/tmp/said 2>&1
is "a user's scope" "$?: $(cat /tmp/said)" "0: "
pid=$($as_ana "$runtime" state ana | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')
like "it is there" "$(cat "/proc/$pid/cgroup")" "0::/user.slice/user-1000.slice/user@1000.service/*/kist-ana.scope"
is "memory.max" "$(in_cgroup "$pid" memory memory.max)" 67108864
is "pids.max" "$(in_cgroup "$pid" pids pids.max)" 40
works "exec as a user" $in_ana "$runtime" --systemd-cgroup exec ana true
works "pause as a user" $in_ana "$runtime" --systemd-cgroup pause ana
works "resume as a user" $in_ana "$runtime" --systemd-cgroup resume ana
works "update as a user" $in_ana "$runtime" --systemd-cgroup update --memory 33554432 ana
is "updated memory" "$(in_cgroup "$pid" memory memory.max)" 33554432
works "delete as a user" $in_ana "$runtime" --systemd-cgroup delete --force ana
is "no cgroup is left of the user's" "$(find /sys/fs/cgroup -name 'kist-*.scope')" ""

# Cgroups made directly, below what systemd has delegated.
sed -i 's/"cgroupsPath":"[^"]*",//' config.json
chown ana config.json
$as_ana sh -c "cd /home/ana/b && systemd-run --user --scope -q -p Delegate=yes $runtime --rootless false run -d direct" >/tmp/said 2>&1
is "a delegated cgroup, directly" "$?: $(cat /tmp/said)" "0: "
pid=$($as_ana "$runtime" state direct | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')
is "its memory.max" "$(in_cgroup "$pid" memory memory.max)" 67108864
works "exec into it" $in_ana "$runtime" exec direct true
works "delete of it" $in_ana "$runtime" delete --force direct
rm -rf /tmp/ana-image && mkdir /tmp/ana-image && root_folder /tmp/ana-image/root
tar -C /tmp/ana-image/root -cf /tmp/ana-image/box.tar . && chmod -R a+rX /tmp/ana-image
# What is written in a container goes to a disk of its own: the machine's root is an overlay itself.
mkfs.ext4 -q /dev/vdb && mkdir /store && mount /dev/vdb /store && chown ana /store && cd /store || exit 1
in_ana="$in_ana -E KIST_HOME=/store" as_ana="$as_ana KIST_HOME=/store"
works "import as a user" $in_ana $engine import /tmp/ana-image/box.tar box
works "kist run as a user with limits" $in_ana $engine run -d --name web -m 64m --pids-limit 30 --image box sleep 1000
pid=$($as_ana $engine inspect --format '{{.State.Pid}}' web)
is "its memory.max" "$(in_cgroup "$pid" memory memory.max)" 67108864
is "its pids.max" "$(in_cgroup "$pid" pids pids.max)" 30
like "stats as a user" "$($as_ana $engine stats --no-stream --format '{{.MemUsage}}' web)" "*/ 64MiB"
works "update as a user" $in_ana $engine update --pids-limit 20 web
is "its updated pids.max" "$(in_cgroup "$pid" pids pids.max)" 20
works "pause as a user" $in_ana $engine pause web
works "unpause as a user" $in_ana $engine unpause web
works "rm -f as a user" $in_ana $engine rm -f web
fails "limits where cgroups are nobody's" "*systemd-run --user --scope*" $as_ana $engine run --rm -m 64m --image box true
finish
