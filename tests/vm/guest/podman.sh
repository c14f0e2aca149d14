#!/bin/sh
# podman with systemd as the manager of cgroups, and kist as its runtime: for root, and for a user.
. /kist/vm/guest/lib.sh
cd "$(mktemp -d /tmp/podman.XXXXXX)" || exit 1
command -v podman >/dev/null || skip "needs podman"
soon systemctl is-active -q dbus
root_folder root
tar -C root -cf box.tar .
ln -s /kist/kist /usr/local/bin/kist-runtime
# The root of the machine is an overlay, on which there can be no other.
mount -t tmpfs tmpfs /var/lib/containers
podman="podman --runtime /usr/local/bin/kist-runtime --cgroup-manager systemd --events-backend file"
works "import" $podman import box.tar box
is "run" "$($podman run --rm --network none box echo hi 2>&1)" hi
works "run -d" $podman run -d --name one --network none --memory 64m --pids-limit 50 --cpus 0.5 box sleep 1000
pid=$($podman inspect -f '{{.State.Pid}}' one)
like "it is a scope of libpod's" "$(cat "/proc/$pid/cgroup")" "0::/machine.slice/libpod-*.scope*"
is "kist has made it" "$(grep -l "\"pid\":$pid," /run/kist-runtime/*/state.json | wc -l)" 1
scope=$(sed -n 's,.*/\(libpod-[0-9a-f]*\.scope\).*,\1,p' "/proc/$pid/cgroup")
is "MemoryMax" "$(systemctl show -P MemoryMax "$scope")" 67108864
is "TasksMax" "$(systemctl show -P TasksMax "$scope")" 50
is "memory.max" "$(in_cgroup "$pid" memory memory.max)" 67108864
is "cpu.max" "$(in_cgroup "$pid" cpu cpu.max)" "50000 100000"
is "exec" "$($podman exec one id -u)" 0
works "update" $podman update --memory 80m one
is "updated" "$(in_cgroup "$pid" memory memory.max) $(systemctl show -P MemoryMax "$scope")" "83886080 83886080"
works "stats" $podman stats --no-stream one
works "pause" $podman pause one
works "unpause" $podman unpause one
works "kill" $podman kill one
works "rm" $podman rm -f one
is "no scope is left" "$(systemctl list-units --all --plain --no-legend 'libpod-[0-9a-f]*.scope' | grep -vc conmon)" 0

loginctl enable-linger ana
soon test -S /run/user/1000/bus
mkdir -p /home/ana/.local && mount -t tmpfs tmpfs /home/ana/.local && cp box.tar /home/ana/ && chown -R ana: /home/ana
printf 'ana:100000:65536\n' >/etc/subuid
printf 'ana:100000:65536\n' >/etc/subgid
ana="setpriv --reuid 1000 --regid 1000 --init-groups env -i HOME=/home/ana PATH=$PATH XDG_RUNTIME_DIR=/run/user/1000 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus"
cd /home/ana || exit 1
works "a user's import" $ana $podman import box.tar box
is "a user's run" "$($ana $podman run --rm --network none box echo hi 2>&1)" hi
works "a user's run -d" $ana $podman run -d --name two --network none --memory 64m --pids-limit 50 box sleep 1000
pid=$($ana $podman inspect -f '{{.State.Pid}}' two)
like "it is below the user's manager" "$(cat "/proc/$pid/cgroup")" "0::/user.slice/user-1000.slice/user@1000.service/*libpod-*.scope*"
is "memory.max" "$(in_cgroup "$pid" memory memory.max)" 67108864
is "pids.max" "$(in_cgroup "$pid" pids pids.max)" 50
works "a user's exec" $ana $podman exec two true
works "a user's rm -f" $ana $podman rm -f -t 0 two
finish
