#!/usr/bin/env python3
"""kill -9 of `kist runtime` at every system call of create, start, run and delete.

  runtime_kill.py [--step N]     KIST names the program; every Nth call (default 1)

After each kill the next create of the same name must work, once `delete --force` was called where the
container exists already; and nothing may be left: no process, no cgroup, no mount. Needs root, strace
and busybox-static. Exit status: 0, 1, or 77 if it cannot run here.
"""
import argparse
import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "conformance/runtime"))
import lib  # noqa: E402

KIST = os.environ.get("KIST", "kist")
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Place:
    def __init__(self, folder):
        self.folder = folder
        self.state = folder / "state"
        lib.make_root(folder / "rootfs")
        config = json.loads(json.dumps(lib.CONFIG))
        config["root"]["path"] = str(folder / "rootfs")
        config["process"]["args"] = ["sleep", "1000"]
        config["linux"]["cgroupsPath"] = "/kist-kill/c"
        config["linux"]["resources"] = {"pids": {"limit": 50}}
        (folder / "config.json").write_text(json.dumps(config))

    def command(self, *args):
        return [KIST, "runtime", "--root", str(self.state), *args]

    def call(self, *args):
        return subprocess.run(self.command(*args), cwd=self.folder, timeout=60, **QUIET).returncode

    def calls_of(self, *args):
        """The system calls that the program makes, as (name, how many of this name so far)."""
        trace = self.folder / "trace"
        subprocess.run(["strace", "-o", str(trace), *self.command(*args)], cwd=self.folder, timeout=60, **QUIET)
        seen, calls = collections.Counter(), []
        for line in trace.read_text().splitlines():
            name = line.split("(")[0]
            if name.replace("_", "").isalnum() and name not in ("exit_group", "execve"):
                seen[name] += 1
                calls.append((name, seen[name]))
        return calls

    def kill_at(self, call, *args):
        name, number = call
        trace = ["strace", "-o", "/dev/null", "-e", f"trace={name}",
                 "-e", f"inject={name}:signal=SIGKILL:when={number}"]
        return subprocess.run([*trace, *self.command(*args)], cwd=self.folder, timeout=60, **QUIET).returncode != 0

    def leftovers(self):
        found = [str(path) for path in pathlib.Path("/sys/fs/cgroup").glob("*/kist-kill/c")]
        found += [str(path) for path in self.state.glob("*")] if self.state.exists() else []
        found += [line for line in open("/proc/self/mountinfo") if str(self.folder) in line]
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/root") == str(self.folder / "rootfs"):
                    found.append(f"process {pid}")
            except OSError:
                pass
        return found


def recover(place, what):
    """What somebody would do who finds out that the program died."""
    if (place.state / "c/state.json").exists() and place.call("delete", "--force", "c") != 0:
        return f"{what}: delete --force fails"
    if place.call("create", "c") != 0:
        return f"{what}: the name cannot be used again"
    if place.call("start", "c") != 0:
        return f"{what}: the new container does not start"
    if place.call("delete", "--force", "c") != 0:
        return f"{what}: the new container cannot be deleted"
    time.sleep(0.01)
    left = place.leftovers()
    return f"{what}: left: {left}" if left else None


PHASES = {"create": ([], ["create", "c"]), "start": ([["create", "c"]], ["start", "c"]),
          "run": ([], ["run", "-d", "c"]), "delete": ([["run", "-d", "c"]], ["delete", "--force", "c"])}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--step", type=int, default=1)
    step = parser.parse_args().step
    if os.geteuid() != 0 or not shutil.which("strace") or not os.path.exists(lib.BUSYBOX):
        print("skipped: needs root, strace and busybox-static", file=sys.stderr)
        return 77
    folder = pathlib.Path(tempfile.mkdtemp(prefix="runtime-kill."))
    folder.chmod(0o755)
    failures = []
    try:
        place = Place(folder)
        if place.call("create", "c") != 0 or place.call("delete", "--force", "c") != 0:
            print("skipped: containers cannot be made here", file=sys.stderr)
            return 77
        for name, (before, command) in PHASES.items():
            for one in before:
                place.call(*one)
            calls = place.calls_of(*command)
            place.call("delete", "--force", "c")
            kills = 0
            for index in range(0, len(calls), step):
                for one in before:
                    place.call(*one)
                kills += place.kill_at(calls[index], *command)
                shown = f"{name}, killed at call {index + 1} of {len(calls)}, {calls[index][0]}"
                if failed := recover(place, shown):
                    failures.append(failed)
                    print(failed, flush=True)
                    place.call("delete", "--force", "c")
            place.call("delete", "--force", "c")
            print(f"{name}: killed {kills} times", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lib.remove_cgroups("kist-kill")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
