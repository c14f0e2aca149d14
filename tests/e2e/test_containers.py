#!/usr/bin/env python3
"""Containers of an image, as docker's users use them: real containers, from the command line."""
import io
import json
import os
import pathlib
import platform
import pty
import re
import select
import shutil
import signal
import subprocess
import tarfile
import time
import unittest

import lib

PASSWD = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:100:Ada:/home/ada:/bin/sh\n"
GROUP = "root:x:0:\nusers:x:100:\nstaff:x:50:ada\n"


def busybox_root():
    """A root file system in a tar: busybox with all its names."""
    program = shutil.which("busybox")
    if program is None:
        raise unittest.SkipTest("busybox-static is not installed")
    names = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        def add(name, kind=tarfile.REGTYPE, content=b"", mode=0o755, target=""):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.linkname, info.size, info.mtime = kind, mode, target, len(content), 1000000000
            tar.addfile(info, io.BytesIO(content))
        for folder in ("bin", "etc", "root", "home", "home/ada", "proc", "sys", "dev", "run", "var"):
            add(folder, tarfile.DIRTYPE)
        add("tmp", tarfile.DIRTYPE, mode=0o1777)
        add("bin/busybox", content=pathlib.Path(program).read_bytes())
        for name in names:
            if name != "busybox":
                add(f"bin/{name}", tarfile.SYMTYPE, target="busybox")
        add("etc/passwd", content=PASSWD.encode(), mode=0o644)
        add("etc/group", content=GROUP.encode(), mode=0o644)
        add("etc/noexec", content=b"#!/bin/sh\n", mode=0o644)
    return out.getvalue()


class ContainerTest(lib.KistTest):
    @classmethod
    def make_store(cls):
        return cls.folder / "store"  # No image needs the base or the network.

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.store.mkdir()
        if cls.user:
            lib.own(cls.store, cls.user)
        root = cls.folder / "root.tar"
        root.write_bytes(busybox_root())
        root.chmod(0o644)
        cls.root_tar = root

    def setUp(self):
        super().setUp()
        if not (self.store / "images").exists():
            self.do("import", str(self.root_tar), "box", "-c", 'CMD ["sh", "-c", "echo of the image"]',
                    "-c", "ENV FROM_IMAGE=yes", "-c", "LABEL a.b=c")

    def tearDown(self):
        left = self.run_kist("ps", "-aq").out.split()
        if left:
            self.run_kist("rm", "-f", *left)
        super().tearDown()

    def image_with(self, name, content):
        """A tar of the image, and one program more."""
        out = self.project / "more.tar"
        shutil.copy(self.root_tar, out)
        with tarfile.open(out, "a") as tar:
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o755, len(content)
            tar.addfile(info, io.BytesIO(content))
        return out

    def run_kist(self, *args, input=None, **more):
        if input is None:
            return super().run_kist(*args, **more)
        process = self.start(*args, stdin=subprocess.PIPE)
        out, err = process.communicate(input.encode(), timeout=60)
        return lib.Outcome(process.returncode, out.decode(), err.decode())

    def do(self, *args, **more):
        done = self.run_kist(*map(str, args), **more)
        self.assertEqual(done.status, 0, done)
        return done.out

    def fails(self, status, message, *args, **more):
        self.assert_fails(self.run_kist(*map(str, args), **more), status, message)

    def box(self, *args, **more):
        """What a command in a fresh container prints."""
        return self.do("run", "--rm", *args, **more)

    def state(self, name):
        return json.loads(self.do("inspect", name))[0]["State"]

    def until(self, is_true, seconds=10):
        end = time.monotonic() + seconds
        while not is_true():
            self.assertLess(time.monotonic(), end, "it did not come")
            time.sleep(0.02)


class Running(ContainerTest):
    def test_command_environment_and_status(self):
        self.assertEqual(self.box("--image", "box"), "of the image\n")
        self.assertEqual(self.box("--image", "box", "echo", "a  b"), "a  b\n")
        self.assertEqual(self.box("-e", "X=1", "--image", "box", "sh", "-c", "echo $X $FROM_IMAGE $HOME"), "1 yes /root\n")
        self.assertEqual(self.run_kist("run", "--rm", "--image", "box", "sh", "-c", "exit 7").status, 7)
        self.fails(127, "error: exec: 'nothere': executable file not found in $PATH\n",
                   "run", "--rm", "--image", "box", "nothere")
        self.fails(126, "error: exec: '/etc/noexec': Permission denied\n",
                   "run", "--rm", "--image", "box", "/etc/noexec")
        self.assertEqual(self.do("ps", "-aq"), "", "nothing is left")

    def test_streams_and_input(self):
        done = self.run_kist("run", "--rm", "-i", "--image", "box", "sh", "-c", "cat; echo err >&2", input="in\n")
        self.assertEqual((done.out, done.err), ("in\n", "err\n"))
        done = self.run_kist("run", "-i", "--image", "box", "sh", "-c", "cat; echo err >&2", input="in\n")
        self.assertEqual((done.out, done.err), ("in\n", "err\n"))
        self.assertEqual(self.do("logs", self.do("ps", "-lq").strip()), "in\n")

    def test_who_one_is(self):
        self.assertTrue(self.box("--image", "box", "id").startswith("uid=0(root) gid=0(root)"))
        if not self.user:
            self.assertIn("uid=1000(ada) gid=100(users) groups=50(staff),100(users)", self.box("-u", "ada", "--image", "box", "id"))
            self.assertIn("uid=7 gid=50(staff)", self.box("-u", "7:staff", "--image", "box", "id"))
        self.assertEqual(self.box("-u", "ada", "--image", "box", "sh", "-c", "id -u; echo $HOME"), "1000\n/home/ada\n")
        self.assertEqual(self.box("-w", "/home/ada", "--image", "box", "pwd"), "/home/ada\n")
        done = self.run_kist("run", "--rm", "-u", "eve", "--image", "box", "id")
        self.assertEqual(done.status, 125)
        self.assertIn("no user 'eve' in the image", done.err)

    def test_isolation(self):
        seen = self.box("--network", "none", "--image", "box", "sh", "-c",
                        "echo $$; hostname; ls /sys/class/net; grep -c . /proc/net/route; id -u;"
                        "echo 1 > /proc/sys/kernel/hostname; cat /proc/kcore | head -c 1 | wc -c; ls /dev")
        self.assertTrue(seen.startswith("1\n"), seen)
        self.assertIn("\nlo\n", seen)
        self.assertNotIn("eth", seen)
        filtered = self.box("--image", "box", "grep", "-E", "^(Seccomp|CapBnd):", "/proc/self/status")
        self.assertEqual(filtered, "CapBnd:\t00000000a80425fb\nSeccomp:\t2\n")
        dropped = self.box("--cap-drop", "ALL", "--cap-add", "chown", "--image", "box", "grep", "CapEff", "/proc/self/status")
        self.assertEqual(dropped, "CapEff:\t0000000000000001\n")
        self.fails(125, "error: 'net_admim' is no capability\n\nhint: did you mean `net_admin`?\n",
                   "run", "--rm", "--cap-add", "net_admim", "--image", "box", "true")

    def test_capabilities_open_system_calls(self):
        unshare = ["--image", "box", "unshare", "-m", "true"]
        self.assertEqual(self.run_kist("run", "--rm", *unshare).status, 1)
        self.assertEqual(self.run_kist("run", "--rm", "--cap-add", "SYS_TIME", *unshare).status, 1)
        self.do("run", "--rm", "--cap-add", "SYS_ADMIN", *unshare)
        # A profile as docker's: what it does not name fails as it says, what needs a capability with it.
        rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28,
                "excludes": {"caps": ["CAP_SYS_TIME"]}}
        self.write({"profile.json": json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}), "bad.json": "{}"})
        make = ["--security-opt", "seccomp=profile.json", "--image", "box", "mkdir", "/tmp/x"]
        self.assertIn("No space left", self.run_kist("run", "--rm", *make).err)
        self.do("run", "--rm", "--cap-add", "SYS_TIME", *make)
        self.do("run", "-d", "--name", "it", "--security-opt", "seccomp=profile.json", "--image", "box", "sleep", "100")
        self.assertIn("No space left", self.run_kist("exec", "it", "mkdir", "/tmp/x").err)
        bad = self.run_kist("run", "--rm", "--security-opt", "seccomp=bad.json", "--image", "box", "true")
        self.assertEqual(bad.status, 125)
        self.assertIn("defaultAction", bad.err)

    def test_mounts(self):
        data = self.make_project("data-", {"in": "from the host\n"})
        self.assertEqual(self.box("-v", f"{data}:/data", "--image", "box", "sh", "-c", "cat /data/in; echo out > /data/out"),
                         "from the host\n")
        self.assertEqual((data / "out").read_text(), "out\n")
        self.assertEqual((data / "out").stat().st_uid, self.user or os.getuid())
        done = self.run_kist("run", "--rm", "-v", f"{data}:/data:ro", "--image", "box", "touch", "/data/x")
        self.assertIn("Read-only file system", done.err)
        self.assertEqual(self.box("--tmpfs", "/x:size=1m", "--image", "box", "sh", "-c", "df -k /x | tail -1 | awk '{print $2}'"),
                         "1024\n")
        done = self.run_kist("run", "--rm", "--read-only", "--image", "box", "touch", "/x")
        self.assertIn("Read-only file system", done.err)
        done = self.run_kist("run", "--rm", "--mount", "type=bind,src=/does/not/exist,dst=/x", "--image", "box", "true")
        self.assertEqual(done.status, 125)
        self.assertIn("'/does/not/exist'", done.err)

    def test_what_all_takes_up(self):
        self.do("create", "--name", "d1", "-v", "scratch:/s", "--image", "box", "sh", "-c", "head -c 100000 /dev/zero > /f")
        self.do("start", "-a", "d1")
        rows = dict(line.split("|", 1) for line in self.do("system", "df", "--format", "{{.Type}}|{{.TotalCount}}|{{.Active}}").split("\n") if line)
        self.assertTrue(rows.pop("Images").endswith("|1"))
        self.assertEqual(rows, {"Containers": "1|0", "Local Volumes": "1|1"})
        self.assertIn("RECLAIMABLE", self.do("system", "df"))
        self.do("rm", "d1")
        self.do("volume", "rm", "scratch")

    def test_names_hosts_and_labels(self):
        self.assertIn("10.1.2.3\tdb\n", self.box("--add-host", "db:10.1.2.3", "--image", "box", "cat", "/etc/hosts"))
        self.assertEqual(self.box("--network", "none", "--hostname", "here", "--image", "box", "hostname"), "here\n")
        self.assertEqual(self.box("--dns", "10.0.0.1", "--dns-search", "lan", "--image", "box", "cat", "/etc/resolv.conf"),
                         "nameserver 10.0.0.1\nsearch lan\n")
        self.assertEqual(self.box("--ulimit", "nofile=64:128", "--image", "box", "sh", "-c", "ulimit -n; ulimit -Hn"),
                         "64\n128\n")

    def test_foreground_ends_with_the_signal(self):
        process = self.start("run", "--rm", "--image", "box", "sh", "-c", "trap 'echo got it; exit 3' TERM; echo ready; while :; do sleep 0.05; done")
        self.assertEqual(process.stdout.readline(), b"ready\n")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.communicate(timeout=10)[0], b"got it\n")
        self.assertEqual(process.returncode, 3)

    def test_an_image_that_is_not_there(self):
        # In a project's folder, where `kist run` without it would be something else.
        self.write({"requirements.txt": "six\n"})
        for detach in ([], ["-d"]):
            self.fails(125, "error: no such image: nowhere\n\nhint: `kist images` lists what is there", "run", *detach, "--rm", "--image", "nowhere", "true")
        self.assertEqual([path.name for path in self.project.iterdir()], ["requirements.txt"])

    def test_an_image_is_made_ready_again(self):
        for ready in (self.store / "images").glob("**/*.ready"):
            ready.unlink()
        self.assertEqual(self.do("run", "--rm", "--image", "box"), "of the image\n")
        self.assertEqual(self.do("run", "--rm", "-v", f"{self.project}:/w", "--image", "box", "sh", "-c", "umask"), "0022\n")

    def test_the_runtime_itself_is_not_executed(self):
        program = self.project / "script"
        program.write_text("#!/proc/self/exe\n")
        program.chmod(0o755)
        self.do("import", self.image_with("usr/bin/script", program.read_bytes()), "traps")
        for path in ("/proc/self/exe", "/proc/self/root/proc/self/exe", "script"):
            shown = "/usr/bin/script" if path == "script" else path
            self.fails(126, f"error: exec: '{shown}': is the container runtime itself: permission denied",
                       "run", "--rm", "--image", "traps", path, "--version")

    def test_where_others_can_see_it_the_runtime_is_protected(self):
        if self.user:
            self.skipTest("a plain user's container cannot write to what belongs to root")
        self.do("run", "-d", "--name", "it", "--image", "box", "sleep", "100")
        process = self.start("exec", "it", "sleep", "100")
        try:
            for _ in range(200):
                if self.do("top", "it", "-o", "args").count("sleep 100") == 2:
                    break
                time.sleep(0.02)
            # The file lies on a mount that no namespace has: its name from its root is all there is.
            self.assertEqual(os.readlink(f"/proc/{process.pid}/exe"), "/")
        finally:
            process.kill()
            process.communicate()

    def test_it_is_begun_anew_before_libc_begins(self):
        if self.user or shutil.which("strace") is None:
            self.skipTest("needs root and strace")
        if platform.machine() not in ("x86_64", "aarch64"):
            self.skipTest("on this processor main does it")
        self.do("run", "-d", "--name", "it", "--image", "box", "sleep", "100")
        trace = self.folder / "trace"
        subprocess.run(["strace", "-o", str(trace), str(self.kist), "exec", "it", "true"], env=self.environment(), check=True)
        calls = [line.split("(")[0] for line in trace.read_text().splitlines()]
        self.assertEqual(calls[:5], ["execve", "statx", "open_tree", "mount_setattr", "execveat"])
        self.assertNotIn("execveat", calls[5:])

    def test_exec_with_few_open_files(self):
        self.do("run", "-d", "--name", "it", "--ulimit", "nofile=10:20", "--image", "box", "sleep", "100")
        self.assertEqual(self.do("exec", "it", "sh", "-c", "ulimit -n; ulimit -Hn"), "10\n20\n")

    def test_wrong_use(self):
        self.fails(125, "error: --memory: 1m is less than the least that can start something, 6m\n",
                   "run", "--rm", "-m", "1m", "--image", "box", "true")
        self.fails(125, "error: --restart: 'sometimes' is not one of no, on-failure[:N], always, unless-stopped\n",
                   "run", "--restart", "sometimes", "--image", "box", "true")
        self.fails(125, "error: --ulimit nofile=5:1: the soft limit is above the hard one\n",
                   "run", "--rm", "--ulimit", "nofile=5:1", "--image", "box", "true")


class RunningAsUser(Running):
    user = 12345


class Ids(ContainerTest):
    """What a plain user's container has of ids."""
    user = 12345

    def in_a_machine_with_ranges(self, script):
        """With a person of this id in /etc/passwd who has subordinate ids, in mounts of its own."""
        for program in ("newuidmap", "unshare", "setpriv"):
            if shutil.which(program) is None:
                self.skipTest(f"{program} is not installed")
        uid = self.user
        self.write({"passwd": pathlib.Path("/etc/passwd").read_text() + f"ranger:x:{uid}:{uid}::/:/bin/sh\n",
                    "group": pathlib.Path("/etc/group").read_text() + f"ranger:x:{uid}:\n",
                    "subid": "ranger:100000:65536\n",
                    "outer": "set -e\n" + "".join(
                        f"mount --bind {self.project}/{ours} /etc/{theirs}\n"
                        for ours, theirs in (("passwd", "passwd"), ("group", "group"), ("subid", "subuid"), ("subid", "subgid")))
                    + f"exec setpriv --reuid {uid} --regid {uid} --clear-groups sh inner\n",
                    "inner": "set -e\n" + script})
        done = subprocess.run(["unshare", "-m", "sh", "outer"], cwd=self.project, capture_output=True, text=True, timeout=100,
                              env={**self.environment(), "KIST": str(self.kist)})
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()

    def test_changing_owners_seems_to_succeed(self):
        script = "touch /x && chown 5:6 /x && chown -R 7 /etc && stat -c %u:%g /x; chown 5 /nowhere || echo no such file"
        self.assertEqual(self.do("run", "--rm", "--ids", "single", "--image", "box", "sh", "-c", script), "0:0\nno such file\n")
        self.do("run", "-d", "--name", "it", "--image", "box", "sleep", "100")
        self.do("exec", "it", "chown", "5", "/etc/passwd")

    def test_a_range_of_ids(self):
        out = self.in_a_machine_with_ranges("""
            $KIST run --rm --ids range --image box sh -c 'touch /x; chown 5:6 /x; stat -c %u:%g /x; id -u'
            $KIST run --rm --ids range -u 33:44 --image box sh -c 'touch /tmp/x; stat -c %u:%g /tmp/x'
            $KIST run --ids auto --name it --image box sh -c 'mkdir -p /d/e; touch /d/e/f; chmod 700 /d /d/e; chown -R 7:8 /d'
            $KIST run -d --ids range --name on --image box sleep 100 > /dev/null
            $KIST exec -u 9:9 on id -u
            $KIST rm -f it on
        """)
        self.assertEqual(out, ["5:6", "0", "33:44", "9", "it", "on"])
        self.assertEqual(list((self.store / "containers/ids").iterdir()), [], "what others own inside is gone too")

    def test_docker_and_podman_words_for_ids(self):
        self.assertEqual(self.box("--userns", "keep-id", "--image", "box", "id", "-u"), f"{lib.PLAIN_UID}\n")
        self.fails(125, "error: --userns host: only root can make containers without a user namespace\n\n"
                   "hint: `--userns keep-id` keeps your own id inside", "run", "--rm", "--userns", "host", "--image", "box", "id")
        self.fails(125, "error: --ids and --userns say the same: give one of them", "run", "--rm", "--userns", "keep-id", "--ids", "single", "--image", "box", "id")

    def test_no_range(self):
        self.fails(125, "error: --ids range: /etc/subuid has no range for you\n\nhint: `sudo usermod --add-subuids "
                   "100000-165535 --add-subgids 100000-165535 $USER`, or --ids single",
                   "run", "--rm", "--ids", "range", "--image", "box", "true")
        self.assertEqual(self.do("run", "--rm", "--ids", "auto", "--image", "box"), "of the image\n")


class Detached(ContainerTest):
    def test_life(self):
        ident = self.do("run", "-d", "--name", "web", "--label", "x=y", "--image", "box", "sh", "-c",
                        "echo started; trap 'echo bye; exit 5' TERM; while :; do sleep 0.05; done").strip()
        self.assertRegex(ident, "^[0-9a-f]{64}$")
        self.assertEqual(self.do("ps", "--format", "{{.ID}} {{.Names}} {{.State}}"), f"{ident[:12]} web running\n")
        self.assertEqual(self.do("ps", "-q", "--filter", "label=x=y"), f"{ident[:12]}\n")
        self.assertEqual(self.do("ps", "-q", "--filter", "label=x=z"), "")
        self.until(lambda: self.do("logs", "web") == "started\n")
        self.assertEqual(self.do("exec", "web", "sh", "-c", "echo $FROM_IMAGE; exit 0"), "yes\n")
        self.assertEqual(self.run_kist("exec", "web", "sh", "-c", "exit 9").status, 9)
        self.assertEqual(self.run_kist("exec", "web", "nothere").status, 127)
        self.assertEqual(self.do("exec", "-i", "web", "cat", input="x"), "x")
        self.assertIn("sleep", self.do("top", "web"))
        self.fails(1, "error: container web is running\n\nhint: `kist stop web` first, or `kist rm -f web`\n", "rm", "web")
        self.do("stop", "web")
        self.assertEqual(self.state("web")["ExitCode"], 5)
        self.assertEqual(self.do("logs", "web"), "started\nbye\n")
        self.assertEqual(self.do("wait", "web"), "5\n")
        self.do("start", "web")
        self.until(lambda: self.do("logs", "--tail", "1", "web") == "started\n")
        self.do("kill", "web")
        self.assertEqual(self.state("web")["ExitCode"], 137)
        self.do("rename", "web", "www")
        self.do("start", "www")
        self.do("rename", "www", "w3")
        self.do("stop", "-t", "0", "w3")
        self.assertEqual(self.do("ps", "-a", "--format", "{{.Names}}"), "w3\n", "its supervisor has heard of it")
        self.do("rm", "w3")
        self.assertEqual(self.do("ps", "-aq"), "")

    def test_writes_stay_until_it_is_removed(self):
        self.do("run", "--name", "one", "--image", "box", "sh", "-c", "echo $(cat /n 2>/dev/null)x > /n; cat /n")
        self.assertEqual(self.do("start", "-a", "one"), "xx\n")

    def test_keeps_its_image(self):
        ident = self.do("run", "-d", "--name", "web", "--image", "box", "sleep", "100").strip()
        done = self.run_kist("rmi", "box")
        self.assertEqual(done.status, 1, done)
        self.assertIn(f"container {ident[:12]} is using it", done.err)
        self.do("gc", "--all")
        self.do("restart", "-t", "0", "web")
        self.assertEqual(self.do("exec", "web", "echo", "fine"), "fine\n")

    def test_a_name_is_taken_once(self):
        self.do("run", "-d", "--name", "web", "--image", "box", "sleep", "100")
        done = self.run_kist("run", "-d", "--name", "web", "--image", "box", "true")
        self.assertEqual(done.status, 125)
        self.assertRegex(done.err, r"the name 'web' is in use by container [0-9a-f]{12}\n")
        self.assertEqual(self.do("ps", "-a", "--format", "{{.Names}}"), "web\n")

    def test_restarts(self):
        self.do("run", "-d", "--name", "again", "--restart", "on-failure:2", "--image", "box", "sh", "-c", "echo try; exit 1")
        self.until(lambda: self.state("again")["Status"] == "exited")
        self.assertEqual(self.do("logs", "again"), "try\n" * 3)
        self.assertEqual(json.loads(self.do("inspect", "again"))[0]["RestartCount"], 2)

    def test_what_cannot_start_says_why(self):
        self.fails(127, "error: exec: 'nothere': executable file not found in $PATH\n",
                   "run", "-d", "--name", "bad", "--image", "box", "nothere")
        self.assertEqual(self.state("bad")["ExitCode"], 127)

    def test_pause(self):
        if self.user:
            self.skipTest("a plain user has no cgroups of its own here")
        self.do("run", "-d", "--name", "web", "--image", "box", "sleep", "100")
        self.do("pause", "web")
        self.assertEqual(self.state("web")["Status"], "paused")
        self.fails(125, "error: container web is paused\n\nhint: `kist unpause web`\n", "exec", "web", "true")
        self.do("unpause", "web")
        self.do("exec", "web", "true")
        self.do("pause", "web")
        self.do("stop", "-t", "1", "web")

    def test_follow_ends_with_the_container(self):
        self.do("run", "-d", "--name", "count", "--image", "box", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done")
        self.assertEqual(self.do("logs", "-f", "count", timeout=20), "1\n2\n3\n")

    def test_rm_when_it_ends(self):
        self.do("run", "-d", "--rm", "--name", "gone", "--image", "box", "true")
        self.until(lambda: self.do("ps", "-aq") == "")

    def test_killed_supervisor(self):
        self.do("run", "-d", "--name", "web", "--image", "box", "sleep", "100")
        pid = self.state("web")["Pid"]
        supervisor = int(re.search(r"^supervisor (\d+)$", self.status_file("web"), re.M)[1])
        os.kill(supervisor, signal.SIGKILL)
        self.until(lambda: not pathlib.Path(f"/proc/{supervisor}").exists() or "Z" in pathlib.Path(f"/proc/{supervisor}/stat").read_text())
        state = self.state("web")
        self.assertEqual((state["Status"], state["Pid"]), ("running", pid))
        self.assertIn("supervisor is gone", state["Error"])
        self.assertEqual(self.do("exec", "web", "echo", "alive"), "alive\n")
        self.do("stop", "-t", "0", "web")
        self.assertEqual(self.state("web")["Status"], "exited")
        self.do("start", "web")
        self.assertEqual(self.state("web")["Status"], "running")

    def test_killed_supervisor_and_container(self):
        self.do("run", "-d", "--name", "web", "--image", "box", "sleep", "100")
        pid = self.state("web")["Pid"]
        supervisor = int(re.search(r"^supervisor (\d+)$", self.status_file("web"), re.M)[1])
        os.kill(supervisor, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        self.until(lambda: self.state("web")["Status"] == "exited")
        self.assertEqual(self.state("web")["ExitCode"], 137)
        self.do("start", "web")
        self.do("rm", "-f", "web")

    def status_file(self, name):
        ident = self.do("inspect", "--format", "{{.Id}}", name).strip()
        return (self.store / "containers/ids" / ident / "status").read_text()

    def test_terminal(self):
        parent, child = pty.openpty()
        process = subprocess.Popen(self.command("run", "-it", "--name", "tty", "--image", "box", "sh"),
                                   cwd=self.project, env=self.environment(), stdin=child, stdout=child, stderr=child)
        os.close(child)
        seen = self.talk(parent, b"tty; stty size; echo do''ne\n", b"done")
        self.assertIn(b"/dev/pts/0", seen)
        os.write(parent, b"\x10\x11")  # ctrl-p ctrl-q leaves it running.
        self.assertEqual(process.wait(timeout=10), 0)
        self.assertEqual(self.state("tty")["Status"], "running")
        os.close(parent)

    def talk(self, terminal, typed, until):
        os.write(terminal, typed)
        seen = b""
        while until not in seen:
            ready, _, _ = select.select([terminal], [], [], 10)
            self.assertTrue(ready, seen)
            seen += os.read(terminal, 4096)
        return seen


class DetachedAsUser(Detached):
    user = 12345


class Limits(ContainerTest):
    def test_memory(self):
        self.do("run", "-d", "--name", "eater", "-m", "32m", "--image", "box", "sh", "-c", "tail -c 200000000 /dev/zero | wc -c; sleep 1")
        done = self.run_kist("run", "--name", "eater2", "-m", "32m", "--image", "box", "tail", "-c", "200000000", "/dev/zero")
        self.assertEqual(done.status, 137, done)
        state = self.state("eater2")
        self.assertTrue(state["OOMKilled"], state)

    def test_processes(self):
        done = self.run_kist("run", "--rm", "--pids-limit", "5", "--image", "box", "sh", "-c",
                             "for i in 1 2 3 4 5 6 7 8; do sleep 0.3 & done; wait")
        self.assertIn("can't fork", done.err)

    def test_the_cgroup_above(self):
        folder = f"kist-e2e-{os.getpid()}"
        self.addCleanup(lambda: [path.rmdir() for path in pathlib.Path("/sys/fs/cgroup").glob(f"**/{folder}")])
        self.do("run", "-d", "--name", "below", "--cgroup-parent", f"/{folder}", "-m", "64m", "--image", "box", "sleep", "100")
        pid = self.do("inspect", "--format", "{{.State.Pid}}", "below").strip()
        self.assertIn(f":/{folder}/", pathlib.Path(f"/proc/{pid}/cgroup").read_text())
        self.do("rm", "-f", "below")
        for parent, message in (("a b.slice", "'a b.slice' is no name of a slice, want one as jobs.slice or jobs-night.slice"),
                                ("a--b.slice", "'a--b.slice' is no name of a slice, want one as jobs.slice or jobs-night.slice"),
                                ("/a/../..", "'/a/../..' has '..' in it")):
            self.fails(125, "error: --cgroup-parent: " + message, "run", "--rm", "--cgroup-parent", parent, "--image", "box", "true")

    def test_update(self):
        self.do("run", "-d", "--name", "web", "-m", "64m", "--image", "box", "sleep", "100")
        self.do("update", "-m", "128m", "web")
        self.assertIn("/ 128MiB", self.do("stats", "--no-stream", "web"))


if __name__ == "__main__":
    lib.main()
