#!/usr/bin/env bash
# containerd with kist as its runtime, by ctr: run, limits, exec, pause, kill, remove.
. "$(dirname "$0")/lib.sh"
needs containerd ctr

cat >"$work/config.toml" <<CONF
version = 2
root = "$work/root-of-containerd"
state = "$work/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$work/c.sock"
CONF
containerd --config "$work/config.toml" >"$work/log" 2>&1 &
daemon=$!
ctr=(ctr -a "$work/c.sock" -n kist-test)
undo+=('"${ctr[@]}" task kill -s KILL one' '"${ctr[@]}" task rm -f one' '"${ctr[@]}" c rm one' 'kill $daemon; wait $daemon')
for _ in $(seq 100); do
  "${ctr[@]}" version >/dev/null 2>&1 && break
  kill -0 $daemon 2>/dev/null || { tail -3 "$work/log" >&2; skip "containerd does not start here"; }
  sleep 0.2
done

# An image in the layout of OCI, made by hand: one layer, a configuration, a manifest, an index.
root_tar
python3 - "$work" <<'PYTHON'
import hashlib, json, pathlib, sys, tarfile
work = pathlib.Path(sys.argv[1])
layout = work / "layout"
(layout / "blobs/sha256").mkdir(parents=True)
def blob(data, kind):
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(data)
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}
layer = blob((work / "root.tar").read_bytes(), "layer.v1.tar")
config = blob(json.dumps({"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"]},
                          "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}).encode(), "config.v1+json")
manifest = blob(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                            "config": config, "layers": [layer]}).encode(), "manifest.v1+json")
manifest["annotations"] = {"io.containerd.image.name": "localhost/box:latest"}
(layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
(layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
with tarfile.open(work / "image.tar", "w") as out:
    out.add(layout, arcname=".")
PYTHON
"${ctr[@]}" images import "$work/image.tar" >/dev/null

run=("${ctr[@]}" run --rm --runc-binary "$runtime")
image=localhost/box:latest
says "run" hi "${run[@]}" $image two echo hi
status_is "exit status" 3 "${run[@]}" $image two sh -c 'exit 3'
status_is "not found" 1 "${run[@]}" $image two no-such-program
says "the filter of calls" 2 "${run[@]}" --seccomp $image two awk '/^Seccomp:/ {print $2}' /proc/self/status

status_is "run -d" 0 "${ctr[@]}" run -d --runc-binary "$runtime" --memory-limit 67108864 $image one sleep 1000
pid=$("${ctr[@]}" task ls | awk '$1 == "one" {print $2}')
made_by_kist "$pid" /run/containerd "$work/state"
says "exec" 0 "${ctr[@]}" task exec --exec-id e1 one id -u
status_is "pause" 0 "${ctr[@]}" task pause one
is "is paused" "$("${ctr[@]}" task ls | awk '$1 == "one" {print $3}')" PAUSED
status_is "resume" 0 "${ctr[@]}" task resume one
if [ -d /sys/fs/cgroup/memory ]; then
  cgroup=$(awk -F: '$2 == "memory" {print $3}' "/proc/$pid/cgroup")
  is "limit of memory" "$(cat "/sys/fs/cgroup/memory$cgroup/memory.limit_in_bytes")" 67108864
elif [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  is "limit of memory" "$(cat "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")/memory.max")" 67108864
fi
status_is "metrics" 0 "${ctr[@]}" task metrics one
status_is "kill" 0 "${ctr[@]}" task kill -s KILL one
for _ in $(seq 50); do
  [ "$("${ctr[@]}" task ls | awk '$1 == "one" {print $3}')" = STOPPED ] && break
  sleep 0.1
done
status_is "task rm" 0 "${ctr[@]}" task rm one
status_is "rm" 0 "${ctr[@]}" c rm one
