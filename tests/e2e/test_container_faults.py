#!/usr/bin/env python3
"""What goes wrong around containers of an image: full disks, floods, machines that end."""
import os
import pathlib
import pty
import random
import shutil
import signal
import subprocess
import time
import unittest

import lib
from test_containers import ContainerTest

MEGABYTE = 1 << 20


def resident_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


class Faults(ContainerTest):
    def wait(self, what, until, seconds=30):
        for _ in range(int(seconds * 20)):
            if until():
                return
            time.sleep(0.05)
        self.fail(f"not in {seconds} s: {what}")

    def supervisors(self):
        out = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
                program = pathlib.Path(f"/proc/{pid}/comm").read_text()
            except OSError:
                continue
            if program == "kist\n" and f"KIST_HOME={self.store}".encode() in environment.split(b"\0"):
                out.append(int(pid))
        return out

    def status_of(self, name, field="Status"):
        return self.do("inspect", "-f", "{{.State.%s}}" % field, name).strip()

    def test_a_flood_without_a_newline(self):
        size = 1000 * MEGABYTE
        self.do("run", "-d", "--name", "it", "--log-opt", "max-size=20m", "--image", "box", "sh", "-c",
                f"head -c {size} /dev/zero; echo; echo end")
        most = 0
        supervisor = self.supervisors()
        self.assertEqual(len(supervisor), 1)
        while self.status_of("it") == "running":
            try:
                most = max(most, resident_bytes(supervisor[0]))
            except OSError:
                break
            time.sleep(0.02)
        self.assertEqual(self.status_of("it", "ExitCode"), "0")
        self.assertLess(most, 4 * MEGABYTE, "the supervisor holds no more than a piece")
        self.assertTrue(self.do("logs", "--tail", "1", "it").endswith("end\n"))

    def test_a_process_that_forks_without_end(self):
        if self.user:
            self.skipTest("a plain user has no cgroup here to limit processes with")
        bomb = "f() { f | f & f; }; f"
        self.do("run", "-d", "--name", "it", "--pids-limit", "30", "--log-driver", "none", "--image", "box", "sh", "-c", bomb)
        time.sleep(1)
        self.assertEqual(self.do("run", "--rm", "--image", "box", "echo", "well").strip(), "well")
        self.do("rm", "-f", "it")
        self.assertEqual(self.supervisors(), [])

    def test_stop_one_that_stands_still(self):
        self.do("run", "-d", "--name", "it", "--image", "box", "sleep", "1000")
        self.do("kill", "-s", "STOP", "it")
        self.do("stop", "-t", "1", "it")
        self.assertEqual((self.status_of("it"), self.status_of("it", "ExitCode")), ("exited", "137"))

    def test_one_that_has_ended_before_it_is_attached_to(self):
        if os.getuid() != 0 or shutil.which("strace") is None:
            self.skipTest("needs root and strace, to hold the first frame up")
        slowly = ["strace", "-o", "/dev/null", "-e", "trace=sendto", "-e", "inject=sendto:delay_enter=300000"]
        done = subprocess.run([*slowly, self.kist, "run", "--image", "box", "sh", "-c", "echo out; exit 3"], capture_output=True,
                              text=True, env=self.environment(), timeout=60)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (3, "out\n", ""))

    def test_the_machine_starts_again(self):
        self.do("run", "-d", "--name", "it", "--restart", "always", "--image", "box", "sh", "-c", "echo x >> /count; sleep 1000")
        self.wait("it runs", lambda: self.status_of("it") == "running")
        # A reboot: no process, and nothing of what is kept in memory.
        pid = int(self.status_of("it", "Pid"))
        for one in [*self.supervisors(), pid]:
            os.kill(one, signal.SIGKILL)
        id = self.do("inspect", "-f", "{{.Id}}", "it").strip()
        for memory in (f"/run/kist", f"/dev/shm/kist-{self.user or 0}"):
            for left in pathlib.Path(memory).glob(f"**/{id}*"):
                lib.remove_tree(left) if left.is_dir() else left.unlink(missing_ok=True)
        self.wait("it is over", lambda: not pathlib.Path(f"/proc/{pid}").exists())
        self.assertIn(self.status_of("it"), ("exited", "dead"))
        self.assertIn("it", self.do("ps", "-a", "--format", "{{.Names}}"))
        self.do("start", "it")
        self.wait("it runs again", lambda: self.do("exec", "it", "cat", "/count") == "x\nx\n")
        self.do("rm", "-f", "it")

    def test_hostile_terminal_input(self):
        self.do("run", "-dit", "--name", "it", "--image", "box", "sh", "-c", "stty raw -echo; cat > /dev/null")
        noise = random.Random(1)
        master, slave = pty.openpty()
        process = self.start("attach", "--sig-proxy=false", "it", stdin=slave)
        os.close(slave)
        for _ in range(200):
            piece = noise.randbytes(200).replace(b"\x10", b"\x11") + b"\x1b[999999999;1H\x1b]0;" + b"A" * 300 + b"\x1b[?1;2c\x03\x1a\x1c"
            os.write(master, piece)
        self.assertEqual(self.status_of("it"), "running")
        os.write(master, b"\x10\x11")  # ctrl-p ctrl-q
        process.communicate(timeout=20)
        os.close(master)
        self.assertEqual(self.status_of("it"), "running")

    def test_many_starts_leave_nothing(self):
        count = int(os.environ.get("KIST_RESTARTS", "100"))
        self.do("run", "-d", "--name", "it", "--image", "box", "sleep", "1000")
        folder = next((self.store / "containers/ids").iterdir())
        sizes = []
        for number in range(count):
            self.do("restart", "-t", "0", "it")
            if number in (4, count - 1):
                files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
                pid = self.supervisors()
                self.assertEqual(len(pid), 1)
                # Whoever has just asked may not have hung up yet.
                open_files = []
                for _ in range(20):
                    open_files.append(len(os.listdir(f"/proc/{pid[0]}/fd")))
                    time.sleep(0.02)
                sizes.append((files, min(open_files), resident_bytes(pid[0])))
        self.assertEqual(sizes[0][:2], sizes[1][:2])
        self.assertLess(sizes[1][2], sizes[0][2] + MEGABYTE // 4)


class FaultsAsUser(Faults):
    user = 12345


class SmallDisk(Faults):
    """A store on a disk that is full."""
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("mounting needs root")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", str(self.store)], check=True)
        super().setUp()

    def tearDown(self):
        super().tearDown()
        subprocess.run(["umount", "-l", str(self.store)], check=True)

    def fill(self):
        with open(self.store / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(4096))
            except OSError:
                pass

    def test_logging_goes_on_when_there_is_room_again(self):
        # It says how much it has printed where no disk is needed.
        self.do("run", "-d", "--name", "it", "--tmpfs", "/t", "--image", "box", "sh", "-c",
                "i=0; while :; do i=$((i+1)); echo line $i of what it prints; echo $i > /t/count; [ $i -gt 20 ] && usleep 1000; done")
        count = lambda: int(self.do("exec", "it", "cat", "/t/count") or 0)
        self.wait("it prints", lambda: count() > 30)
        self.fill()
        before = count()
        self.wait("it goes on with the disk full", lambda: count() > before + 500)
        (self.store / "filler").unlink()
        self.wait("the loss is told", lambda: "bytes of output were lost" in self.run_kist("logs", "it").err)
        last = count()
        self.wait("what comes later is there", lambda: f"line {last + 100} of" in self.do("logs", "--tail", "3000", "it"))
        self.do("rm", "-f", "it")

    def test_starting_with_a_full_disk(self):
        self.fill()
        done = self.run_kist("run", "-d", "--name", "it", "--image", "box", "true")
        self.assertEqual(done.status, 125, done)
        self.assertIn("No space left", done.err)
        (self.store / "filler").unlink()
        self.do("run", "--name", "it", "--image", "box", "true")


for inherited in [name for name in dir(Faults) if name.startswith("test_")]:
    setattr(SmallDisk, inherited, None)

del ContainerTest

if __name__ == "__main__":
    lib.main()
