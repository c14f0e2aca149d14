#!/usr/bin/env python3
"""kill -9 of `kist run -d`, start, stop and rm at every system call, in each of its processes.

  container_kill.py [--step N] [--only VERB]     KIST names the program; every Nth call (default 1)

After each kill `ps`, `inspect` and `rm -f` must work, the name must be free then, and the same container
must start again; at the end nothing may be left: no process, no cgroup, no mount, no folder that ps does
not show. Needs root, strace and busybox-static. Exit status: 0, 1, or 77 if it cannot run here.
"""
import argparse
import collections
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "conformance/runtime"))
import lib  # noqa: E402

KIST = os.environ.get("KIST", "kist")
NAME = "kill-each"


class Place:
    def __init__(self, folder):
        self.folder = folder
        self.environment = {**os.environ, "KIST_HOME": str(folder / "store")}
        lib.make_root(folder / "rootfs")
        subprocess.run(["tar", "-C", str(folder / "rootfs"), "-cf", str(folder / "root.tar"), "."], check=True)
        self.must("import", str(folder / "root.tar"), "box")

    def call(self, *args, before=()):
        # Through a pipe it would wait for whoever still has its other end.
        with open(self.folder / "said", "w+") as said:
            done = subprocess.run([*before, KIST, *args], env=self.environment, stdin=subprocess.DEVNULL, stdout=said,
                                  stderr=subprocess.STDOUT, timeout=60)
            said.seek(0)
            return done.returncode, said.read()

    def must(self, *args):
        status, said = self.call(*args)
        if status != 0:
            raise RuntimeError(f"kist {' '.join(args)}: exit status {status}: {said}")
        return said

    def calls_of(self, *args):
        """The system calls of each process, as (name, how many of this name so far)."""
        prefix = self.folder / "trace"
        # -D: it traces from the background, and does not wait for what stays.
        self.call(*args, before=["strace", "-D", "-ff", "-o", str(prefix)])
        time.sleep(0.2)
        calls = set()
        for trace in self.folder.glob("trace.*"):
            seen = collections.Counter()
            for line in trace.read_text(errors="replace").splitlines():
                name = line.split("(")[0]
                if name.replace("_", "").isalnum() and name not in ("exit_group", "execve"):
                    seen[name] += 1
                    calls.add((name, seen[name]))
            trace.unlink()
        return sorted(calls)

    def kill_at(self, call, *args):
        name, number = call
        return self.call(*args, before=["strace", "-D", "-f", "-o", "/dev/null", "-e", f"trace={name}",
                                        "-e", f"inject={name}:signal=SIGKILL:when={number}"])[0]

    def leftovers(self):
        # A folder without a status is none; `rm` sweeps them when they are a minute old.
        found = [str(path) for path in (self.folder / "store/containers/ids").glob("*") if (path / "status").exists()]
        for top, folders, _ in os.walk("/sys/fs/cgroup"):
            found += [os.path.join(top, name) for name in folders if name in self.ids]
        found += [line for line in open("/proc/self/mountinfo") if str(self.folder) in line]
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
            except OSError:
                continue
            if f"KIST_HOME={self.folder}/store".encode() in environment.split(b"\0"):
                found.append(f"process {pid}")
        return found

    ids = set()


def settle(place):
    """What runs meanwhile ends by itself; only what stays is wrong."""
    for _ in range(100):
        left = place.leftovers()
        if not left:
            return []
        time.sleep(0.05)
    return left


def recover(place, what):
    """What somebody would do who sees that the program died."""
    status, said = place.call("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.Status}}")
    if status != 0:
        return f"{what}: ps fails: {said}"
    place.ids.update(line.split()[0] for line in said.splitlines())
    if NAME in said:
        status, said = place.call("inspect", said.split()[0])
        if status != 0 or json.loads(said)[0]["State"]["Status"] not in ("created", "running", "exited", "dead"):
            return f"{what}: inspect says {said}"
    # One that nobody could name yet is shown by its id.
    left = place.call("ps", "-aq", "--no-trunc")[1].split()
    if left:
        status, said = place.call("rm", "-f", *left)
        if status != 0:
            return f"{what}: rm -f fails: {said}"
    status, said = place.call(*RUN)
    if status != 0:
        return f"{what}: the name is not free: {said}"
    place.ids.add(said.strip())
    status, said = place.call("rm", "-f", NAME)
    if status != 0:
        return f"{what}: rm -f of its successor fails: {said}"
    left = settle(place)
    return f"{what}: left behind: {left[:5]}" if left else None


RUN = ("run", "-d", "--name", NAME, "--pids-limit", "50", "--image", "box", "sleep", "1000")
# Of each: what comes before it.
ACTIONS = {
    "run": ((), RUN),
    "stop": ((RUN,), ("stop", "-t", "0", NAME)),
    "start": ((RUN, ("stop", "-t", "0", NAME)), ("start", NAME)),
    "rm": ((RUN,), ("rm", "-f", NAME)),
    "exec": ((RUN,), ("exec", NAME, "true")),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--only")
    args = parser.parse_args()
    for program in ("strace", "busybox"):
        if shutil.which(program) is None:
            print(f"skipped: {program} is not installed")
            return 77
    if os.geteuid() != 0:
        print("skipped: needs root")
        return 77
    failed = []
    with tempfile.TemporaryDirectory(prefix="kist-kill-") as folder:
        place = Place(pathlib.Path(folder))
        for verb, (before, action) in ACTIONS.items():
            if args.only not in (None, verb):
                continue
            for command in before:
                place.must(*command)
            calls = place.calls_of(*action)[::args.step]
            problem = recover(place, f"{verb} unharmed")
            failed += [problem] if problem else []
            killed = 0
            for call in calls:
                for command in before:
                    place.must(*command)
                killed += place.kill_at(call, *action) != 0
                problem = recover(place, f"{verb}, killed at {call[0]} {call[1]}")
                if problem:
                    print(f"not ok: {problem}", flush=True)
                    failed.append(problem)
                    for pid in [int(one.split()[1]) for one in place.leftovers() if one.startswith("process")]:
                        os.kill(pid, signal.SIGKILL)
                    if len(failed) > 20:
                        return 1
            print(f"{verb}: {len(calls)} calls, {killed} of which ended it, {len(failed)} failures so far", flush=True)
            if calls and killed == 0:
                failed.append(f"{verb}: nothing was killed")
    print(f"{len(failed)} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
