#!/usr/bin/env python3
"""Machines that fail: full disks, read-only stores, missing permissions, odd names; and many kists
at once."""
import os
import pathlib
import shutil
import subprocess
import unittest

import lib
import make_wheel

PROGRAM = "import thing, sys; print(thing.__version__)"


class OddNames(lib.KistTest):
    """Project paths as people have them, and worse."""

    def runs_in(self, name):
        self.wheel()
        project = self.make_project(name=name, files={"requirements.txt": "thing\n", "main.py": PROGRAM})
        self.assert_runs(self.run_kist("run", "python", "main.py", project=project), "1.0\n")
        self.assert_runs(self.run_kist("run", "pwd", project=project), f"{project}\n")

    def test_spaces(self):
        self.runs_in("a project with  spaces")

    def test_quotes(self):
        self.runs_in("it's \"quoted\" `here` $HOME")

    def test_newline(self):
        self.runs_in("two\nlines")

    def test_backslash_colon_comma(self):
        self.runs_in("a\\b:c,d=e;f")

    def test_percent_and_hash(self):
        self.runs_in("100%20 #1 ?")

    def test_local_packages_below_them(self):
        wheel_name, wheel = make_wheel.wheel("thing", "1.0", {"thing.py": b"x = 1\n"})
        sdist_name, sdist = make_wheel.sdist("other", "1.0")
        for name in ("50%20 #1 ?", "it's two \"quoted\" ž"):
            project = self.make_project(name=name, files={
                "requirements.txt": f"./{wheel_name}\n./{sdist_name}\n", wheel_name: wheel, sdist_name: sdist})
            self.assert_runs(self.run_kist("run", "python", "-c", "import thing, other; print(thing.x, other.__version__)",
                                           project=project), "1 1.0\n")

    def test_unicode(self):
        self.runs_in("žluťoučký kůň – 数据")

    def test_leading_dash(self):
        self.runs_in("-rf")

    def test_files_that_are_not_utf8(self):
        self.wheel()
        self.write({"requirements.txt": "thing\n"})
        with open(os.fsencode(self.project) + b"/\xff\xfe name", "wb") as file:
            file.write(b"x")
        self.assert_runs(self.run_kist("run", "sh", "-c", "printf %s *name | head -c 2 | od -An -tx1"),
                         " ff fe\n")

    def test_folder_that_is_not_utf8(self):
        raw = os.fsencode(self.folder) + b"/\xff\xfe"
        os.mkdir(raw)
        with open(raw + b"/requirements.txt", "wb"):
            pass
        outcome = self.run_kist("run", "true", project=raw)
        self.assert_runs(outcome)


class ReadOnlyStore(lib.KistTest):
    """A store on a medium that cannot be written: what is ready runs, the rest says why not."""

    def setUp(self):
        super().setUp()
        if os.getuid() != 0:
            self.skipTest("mounting read-only needs root")
        self.wheel()
        self.write({"requirements.txt": "thing\n"})

    def read_only(self):
        subprocess.run(["mount", "--bind", self.store, self.store], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.store], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", self.store], check=True)

    def test_ready_environments_run(self):
        self.assert_runs(self.run_kist("run", "python", "-c", PROGRAM), "1.0\n")
        self.read_only()
        self.assert_runs(self.run_kist("run", "python", "-c", PROGRAM), "1.0\n")

    def test_new_ones_do_not(self):
        self.read_only()
        self.assert_fails(self.run_kist("run", "true"), 125, """
error: create folder 'STORE/projects/DIGEST': Read-only file system

hint: a store that can be written to is needed: `export KIST_HOME=/a/folder/of/yours`
""")

    def test_fsck(self):
        self.read_only()
        self.assert_store_clean()


class NoPermission(lib.KistTest):
    user = lib.PLAIN_UID

    def test_store_of_somebody_else(self):
        self.write({"requirements.txt": ""})
        locked = self.folder / "locked"
        locked.mkdir(mode=0o700, exist_ok=True)
        outcome = self.run_kist("run", "true", env={"KIST_HOME": str(locked)})
        self.assert_fails(outcome, 125, """
error: opening the store 'FOLDER/locked'
  cause: open 'FOLDER/locked/version': Permission denied

hint: use a folder of your own: `export KIST_HOME=~/.local/share/kist`
""")

    def test_project_of_somebody_else(self):
        self.wheel()
        self.write({"requirements.txt": "thing\n"})
        lib.own(self.project, 0)
        outcome = self.run_kist("run", "python", "-c", PROGRAM)
        self.assert_fails(outcome, 125, """
error: create a file in 'PROJECT': Permission denied

hint: the lock belongs beside the inputs: make the folder writable, or copy the project to one that is
""")

    def test_unreadable_requirements(self):
        self.write({"requirements.txt": "thing\n"})
        path = self.project / "requirements.txt"
        lib.own(path, 0)
        path.chmod(0o600)
        self.assert_fails(self.run_kist("run", "true"), 125, """
error: open 'PROJECT/requirements.txt': Permission denied
""")


class FullDisk(lib.KistTest):
    """A store on a small memory file system that fills up at some step: each size is another step."""

    @classmethod
    def make_store(cls):
        return cls.folder / "store"

    def test_every_step(self):
        if os.getuid() != 0:
            self.skipTest("mounting a small file system needs root")
        self.wheel("thing", "1.0", {"thing.py": b'__version__ = "1.0"\n',
                                                         "thing_data.bin": os.urandom(8 << 20)})
        self.write({"requirements.txt": "thing\n"})
        primed = lib.primed_store()
        used_mb = int(subprocess.run(["du", "-sm", primed], check=True, capture_output=True,
                                     text=True).stdout.split()[0])
        self.store.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={used_mb + 200}m", "kist-e2e", self.store],
                       check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.store], check=True)
        subprocess.run(["cp", "-a", f"{primed}/.", self.store], check=True)
        statuses = []
        for left_kb in (0, 64, 512, 2048, 6000, 9000, 12000, 15000, 20000, 30000):
            with self.subTest(left_kb=left_kb):
                (self.project / "pylock.kist.toml").unlink(missing_ok=True)
                statuses.append(self.try_with(left_kb))
        self.assertIn(125, statuses, "the disk never was full")
        self.assert_runs(self.run_kist("run", "python", "-c", PROGRAM), "1.0\n")
        self.assert_store_clean()

    def try_with(self, left_kb):
        ballast = self.store / "ballast"
        free = os.statvfs(self.store)
        with open(ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(free.f_bavail * free.f_bsize - left_kb * 1024, 4096))
        outcome = self.run_kist("run", "python", "-c", PROGRAM)
        ballast.unlink()
        if outcome.status != 0:
            self.assertEqual(outcome.status, 125, outcome)
            self.assertRegex(outcome.err, "No space left on device|the disk is full, ")
            self.assertRegex(outcome.err, "\nhint: .*`kist gc`")
        self.assert_store_clean()
        return outcome.status


CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec* now) {
  int (*real)(clockid_t, struct timespec*) = dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(id, now);
  if (result == 0 && id == CLOCK_REALTIME) now->tv_sec -= 10L * 365 * 86400;
  return result;
}
time_t time(time_t* out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}
"""


class ClockInThePast(lib.KistTest):
    """Ten years ago, as on a board without a battery. Preloaded, since the clock is everybody's."""

    def setUp(self):
        super().setUp()
        if os.getuid() != 0:
            self.skipTest("changing apt's settings for one process needs root")
        if not shutil.which("cc"):
            self.skipTest("there is no C compiler")
        self.write({"requirements.txt": ""})
        library = self.folder / "clock.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-o", library, "-", "-ldl"], check=True,
                       input=CLOCK, text=True)
        # The host's settings, but with the check that it may have turned off.
        self.settings = self.folder / "apt.conf.d"
        if not self.settings.exists():
            shutil.copytree("/etc/apt/apt.conf.d", self.settings)
            (self.settings / "zzz").write_text('Acquire::Check-Date "true";\n')
        self.past = {"LD_PRELOAD": str(library)}

    def command(self, *args):
        return ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/apt/apt.conf.d && exec "$@"',
                str(self.settings), *super().command(*args)]

    def test_what_is_ready_runs(self):
        self.assert_runs(self.run_kist("run", "true"))
        self.assert_runs(self.run_kist("run", "true", env=self.past))
        self.assert_store_clean(env=self.past)

    def test_indexes_are_from_the_future(self):
        outcome = self.run_kist("lock", env=self.past)
        self.assertEqual(outcome.status, 1, outcome)
        self.assertRegex(outcome.err, r"error: the Release file of '\w+' is of 20.* UTC, but this machine's clock says 20")
        self.assertIn("hint: set the clock: `timedatectl set-ntp true`", outcome.err)
        self.assert_store_clean(env=self.past)
        self.assert_runs(self.run_kist("lock"))


class ManyAtOnce(lib.KistTest):
    def together(self, count):
        self.wheel()
        for i in range(10):
            self.wheel(f"dep{i}", "1.0", {f"dep{i}.py": os.urandom(50_000)})
        self.write({"requirements.txt": "thing\n" + "".join(f"dep{i}\n" for i in range(10))})
        running = [self.start("run", "python", "-c", PROGRAM) for _ in range(count)]
        for process in running:
            out, err = process.communicate(timeout=600)
            self.assertEqual((process.returncode, out), (0, b"1.0\n"), err.decode(errors="replace"))
        self.assert_store_clean()
        fetched = [path for path in self.index.requests if path.endswith("dep3-1.0-py3-none-any.whl")]
        return len(fetched)

    def test_two(self):
        self.assertEqual(self.together(2), 1)

    def test_twenty(self):
        self.assertEqual(self.together(20), 1)

    def test_two_projects(self):
        self.wheel()
        projects = [self.make_project(files={"requirements.txt": "thing\n"}) for _ in range(4)]
        running = [self.start("run", "python", "-c", PROGRAM, project=p) for p in projects]
        for process in running:
            out, err = process.communicate(timeout=600)
            self.assertEqual((process.returncode, out), (0, b"1.0\n"), err.decode(errors="replace"))
        self.assert_store_clean()


class ManyAtOnceAsUser(ManyAtOnce):
    user = lib.PLAIN_UID


if __name__ == "__main__":
    lib.main()
