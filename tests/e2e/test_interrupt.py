#!/usr/bin/env python3
"""^C at any moment: kist ends at once as killed by it (a shell says 130), nothing of it stays alive,
the next run completes, and the person's files are as they were."""
import fcntl
import os
import pathlib
import pty
import signal
import subprocess
import termios
import time

import lib

PROGRAM = "import thing; print(thing.__version__)"
PROMPTLY_S = 5


class Terminal(lib.KistTest):
    def start_in_terminal(self, *args, **more):
        """As the foreground job of a terminal of its own."""
        self.keyboard, terminal = pty.openpty()
        self.addCleanup(os.close, self.keyboard)
        try:
            return self.start(*args, stdin=terminal, start_new_session=True,
                              preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), **more)
        finally:
            os.close(terminal)

    def interrupt(self, process, number=signal.SIGINT):
        if number == signal.SIGINT:
            os.write(self.keyboard, b"\x03")
        else:
            os.kill(process.pid, number)
        begin = time.monotonic()
        try:
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.kill(process)
            self.fail("does not end when interrupted")
        self.assertLess(time.monotonic() - begin, PROMPTLY_S)
        self.assertEqual(process.returncode, -number, err.decode(errors="replace"))

    def kill(self, process):
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def wait_for_request(self, path):
        for _ in range(600):
            if path in self.index.requests:
                return
            time.sleep(0.05)
        self.fail(f"{path} was never asked for")

    def processes(self):
        """Those that work in this test's folder, are programs of it, or name it. Who has no command
        line any more is on its way out: at idle priority that takes long on a busy machine."""
        found = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = process.joinpath("cmdline").read_bytes().replace(b"\0", b" ")
                places = [os.readlink(process / "cwd"), os.readlink(process / "exe")]
            except OSError:
                continue
            if words and int(process.name) != os.getpid() and (
                    os.fsencode(self.folder) in words or
                    any(place.startswith(str(self.folder)) for place in places)):
                found.append((process.name, words))
        return found

    def assert_nothing_runs(self):
        # The kernel takes a moment to end a pid namespace.
        for _ in range(200):
            if not self.processes():
                return
            time.sleep(0.05)
        self.assertEqual(self.processes(), [])

    def assert_next_run_completes(self):
        self.index.faults.clear()
        self.assert_store_clean()
        self.assert_runs(self.run_kist("run", "python", "-c", PROGRAM), "1.0\n")
        self.assert_store_clean()


class Interrupted(Terminal):
    def test_while_resolving(self):
        self.wheel()
        self.write({"requirements.txt": "thing\n"})
        self.index.faults["/simple/thing/"] = "slow"
        process = self.start_in_terminal("run", "python", "-c", PROGRAM)
        self.wait_for_request("/simple/thing/")
        self.interrupt(process)
        self.assert_nothing_runs()
        self.assertFalse((self.project / "pylock.kist.toml").exists())
        self.assert_next_run_completes()

    def test_while_fetching(self):
        name = self.wheel()
        self.write({"requirements.txt": "thing\n"})
        self.assert_runs(self.run_kist("lock"))
        self.index.faults[f"/files/{name}"] = "slow"
        process = self.start_in_terminal("run", "python", "-c", PROGRAM, env={"UV_HTTP_TIMEOUT": "60"})
        self.wait_for_request(f"/files/{name}")
        self.interrupt(process)
        self.assert_nothing_runs()
        self.assert_next_run_completes()

    def test_while_assembling(self):
        name = self.wheel(files={"thing.py": b'__version__ = "1.0"\n',
                                 **{f"thing_{i}.py": b"# %d\n" % i for i in range(5_000)}})
        self.write({"requirements.txt": "thing\n"})
        self.assert_runs(self.run_kist("lock"))
        process = self.start_in_terminal("run", "python", "-c", PROGRAM)
        self.wait_for_request(f"/files/{name}")
        time.sleep(0.2)
        self.interrupt(process)
        self.assert_nothing_runs()
        self.assert_next_run_completes()

    def test_while_a_program_runs(self):
        """The program decides: it has the signal from the terminal, and may take its time."""
        self.wheel()
        self.write({"requirements.txt": "thing\n"})
        program = ("import signal, sys, time\n"
                   "signal.signal(signal.SIGINT, lambda *_: (print('saved'), sys.exit(7)))\n"
                   "print('ready', flush=True)\ntime.sleep(60)\n")
        for _ in ("prepared and run", "only run"):
            process = self.start_in_terminal("run", "python", "-c", program)
            self.assertEqual(process.stdout.readline(), b"ready\n")
            os.write(self.keyboard, b"\x03")
            out, err = process.communicate(timeout=60)
            self.assertEqual((process.returncode, out), (7, b"saved\n"), err)
        self.assert_nothing_runs()


class Edits(Terminal):
    """kist add and remove: the very files come back, with owner, mode and time."""

    BEFORE = "# mine\nthing   # a comment\n"

    def setUp(self):
        super().setUp()
        self.wheel()
        self.wheel("other", "1.0")
        self.write({"requirements.txt": self.BEFORE})
        self.assert_runs(self.run_kist("lock"))
        self.path = self.project / "requirements.txt"
        self.lock = self.project / "pylock.kist.toml"
        self.path.chmod(0o640)
        self.before = self.state()
        self.index.faults["/simple/other/"] = "slow"

    def state(self):
        stats = [os.stat(path) for path in (self.path, self.lock)]
        return ([(s.st_ino, s.st_mode, s.st_uid, s.st_mtime_ns) for s in stats],
                self.path.read_text(), hash(self.lock.read_text()), sorted(os.listdir(self.project)))

    def add(self):
        process = self.start_in_terminal("add", "other", env={"UV_HTTP_TIMEOUT": "60"})
        self.wait_for_request("/simple/other/")
        self.assertIn("other", self.path.read_text(), "the test is pointless if nothing was written")
        return process

    def assert_add_works(self):
        self.index.faults.clear()
        self.assert_runs(self.run_kist("add", "other"))
        self.assertEqual(self.path.read_text(), self.BEFORE + "other\n")
        self.assertEqual(self.state()[3], self.before[3])

    def test_add(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.index.requests.clear()
            self.interrupt(self.add(), number)
            self.assert_nothing_runs()
            self.assertEqual(self.state(), self.before)
        self.assert_add_works()

    def test_add_that_fails(self):
        self.index.faults["/simple/other/"] = 404
        outcome = self.run_kist("add", "other")
        self.assert_fails(outcome, 1, """
error: nothing was changed, requirements.txt is as it was
  cause: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: No solution found when resolving dependencies
    Because other was not found in the package registry and you require other, we can conclude
    that your requirements are unsatisfiable.

hint: check the name; `kist doctor` says which index is asked
""")
        self.assertEqual(self.state(), self.before)
        self.assert_add_works()

    def test_add_that_is_killed(self):
        """Nobody can put anything back then; the next kist does."""
        self.kill(self.add())
        self.assert_nothing_runs()
        self.index.faults.clear()
        outcome = self.run_kist("run", "python", "-c", PROGRAM)
        self.assert_runs(outcome, "1.0\n")
        self.assertIn("warning: an edit that did not end was taken back", outcome.err)
        self.assertEqual(self.state(), self.before)
        self.assert_add_works()

    def test_add_without_any_file(self):
        for path in (self.path, self.lock):
            path.unlink()
        self.interrupt(self.start_after_request("add", "other"))
        self.assertEqual(os.listdir(self.project), [])

    def start_after_request(self, *args):
        self.index.requests.clear()
        process = self.start_in_terminal(*args, env={"UV_HTTP_TIMEOUT": "60"})
        self.wait_for_request("/simple/other/")
        return process


class InterruptedAsUser(Interrupted):
    user = lib.PLAIN_UID


class EditsAsUser(Edits):
    user = lib.PLAIN_UID


if __name__ == "__main__":
    lib.main()
