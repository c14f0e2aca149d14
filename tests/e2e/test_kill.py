#!/usr/bin/env python3
"""kill -9 at each step: whatever the moment, the store is good and the next run completes.

Two loops. One kills after growing times, which hits what takes long. The other has the kernel kill at
the N-th system call that changes something on the disk (strace's fault injection), which hits what is
short. $KIST_KILLS (default 4) is the number of moments of each.
"""
import os
import shutil
import signal
import subprocess
import time
import unittest

import lib
import make_wheel

PROGRAM = "import thing; print(thing.__version__)"
KILLS = int(os.environ.get("KIST_KILLS", "4"))
# What changes names or contents.
CALLS = "write,pwrite64,rename,renameat,renameat2,link,linkat,symlinkat,unlink,unlinkat,mkdir,mkdirat,fsync,syncfs"


class Killed(lib.KistTest):
    def fresh(self, number):
        """A project whose one package nobody has seen yet."""
        wheel = make_wheel.wheel("thing", "1.0", {
            "thing.py": b'__version__ = "1.0"\n', **{f"thing_{i}.py": f"# {number} {i}\n".encode()
                                                     for i in range(30)}})
        self.index.add(wheel)
        return self.make_project(files={"requirements.txt": "thing\n"})

    def assert_recovers(self, project):
        self.assert_store_clean()
        self.assert_runs(self.run_kist("run", "python", "-c", PROGRAM, project=project), "1.0\n")
        self.assert_store_clean()

    def kill_group(self, process):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.communicate()

    def test_after_growing_times(self):
        project = self.fresh(0)
        begin = time.monotonic()
        self.assert_runs(self.run_kist("run", "python", "-c", PROGRAM, project=project))
        whole = time.monotonic() - begin
        killed = 0
        for number in range(1, KILLS + 1):
            with self.subTest(number=number):
                project = self.fresh(number)
                process = self.start("run", "python", "-c", PROGRAM, project=project,
                                     start_new_session=True)
                time.sleep(whole * number / (KILLS + 1))
                self.kill_group(process)
                killed += process.returncode == -signal.SIGKILL
                self.assert_recovers(project)
        self.assertGreater(killed, 0, "every run had ended before it was killed")

    def test_at_each_change_of_the_disk(self):
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        changes = self.count_changes()
        self.assertGreater(changes, 20)
        killed = 0
        for number in range(1, KILLS + 1):
            when = 1 + (changes - 1) * (number - 1) // KILLS
            with self.subTest(when=when, of=changes):
                project = self.fresh(1000 + number)
                killed += 0 != self.traced(project, ["-e", f"inject={CALLS}:signal=KILL:when={when}"])
                self.assert_recovers(project)
        self.assertGreaterEqual(killed, (KILLS + 1) // 2, "too many runs were not killed")

    def traced(self, project, options):
        """strace counts each thread's calls, so this is "at the latest at the N-th of one"."""
        command = ["strace", "-f", "-qq", "-o", str(self.folder / "trace"), "-e", f"trace={CALLS}",
                   *options, *self.command("run", "python", "-c", PROGRAM)]
        process = subprocess.Popen(command, cwd=project, env=self.environment(), start_new_session=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        try:
            process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            pass
        self.kill_group(process)
        return process.returncode

    def count_changes(self):
        self.assertEqual(self.traced(self.fresh(999), []), 0)
        counts = {}
        for line in (self.folder / "trace").read_text(errors="replace").splitlines():
            counts[line.split()[0]] = counts.get(line.split()[0], 0) + 1
        return max(counts.values())


class KilledAsUser(Killed):
    user = lib.PLAIN_UID

    def test_at_each_change_of_the_disk(self):
        self.skipTest("done as root")


if __name__ == "__main__":
    lib.main()
