#!/usr/bin/env python3
"""Flags of `run` and `create` that scripts written for docker and podman bring along: that they do what they
say, show in `inspect` as docker shows them, and are refused with a reason where they cannot be kept."""
import json
import os
import pathlib
import unittest

import lib
import test_containers

CGROUPS = pathlib.Path("/sys/fs/cgroup")


def disk():
    """A disk of this machine, by its device; None: there is none to limit."""
    for name in sorted(os.listdir("/sys/block")):
        path = pathlib.Path("/dev") / name
        if path.is_block_device() and not name.startswith(("loop", "ram", "zram")):
            return str(path)
    return None


class RunFlags(test_containers.ContainerTest):
    def host_config(self, name):
        return json.loads(self.do("inspect", name))[0]["HostConfig"]

    def test_the_last_of_a_flag_counts(self):
        self.do("create", "--name", "zero", "--name", "one", "-w", "/tmp", "-w", "/var", "--image", "none", "--image", "box", "pwd")
        self.assertEqual(self.do("start", "-a", "one"), "/var\n")
        self.assertEqual(self.do("ps", "-a", "--format", "{{.Names}}", "--format", "{{.Image}}"), "box\n")

    def test_folder_that_is_not_there(self):
        # `run` makes its working folder, as docker; `exec` does not.
        self.assertEqual(self.box("-w", "/new/deep", "--image", "box", "pwd"), "/new/deep\n")
        self.do("run", "-d", "--name", "one", "--image", "box", "sleep", "1000")
        done = self.run_kist("exec", "-w", "/nosuch", "one", "true")
        self.assertEqual(done.status, 126, done)
        self.assertIn("'/nosuch': No such file or directory", done.err)

    def test_variables(self):
        env = lambda *flags: set(self.box(*flags, "--image", "box", "env", env={"FROM_HOST": "yes"}).split())
        self.assertIn("FROM_IMAGE=yes", env())
        self.assertNotIn("FROM_IMAGE=yes", env("--unsetenv", "FROM_IMAGE"))
        self.assertNotIn("FROM_IMAGE=yes", env("--unsetenv-all"))
        self.assertIn("FROM_HOST=yes", env("--env-host"))
        self.assertLessEqual({"FROM_IMAGE=no", "FROM_HOST=yes"}, env("--unsetenv-all", "--env-host", "-e", "FROM_IMAGE=no"))

    def test_time_zone_and_umask(self):
        if not pathlib.Path("/usr/share/zoneinfo/Asia/Tokyo").exists():
            self.skipTest("tzdata is not installed")
        self.assertEqual(self.box("--tz", "Asia/Tokyo", "--image", "box", "sh", "-c", "date -d @0 +%H%z; ls -l /etc/localtime | cut -c1"), "09+0900\n-\n")
        self.fails(125, "error: --tz: there is no time zone 'Mars/Phobos' on this host (/usr/share/zoneinfo/Mars/Phobos)\n\n"
                        "hint: `ls /usr/share/zoneinfo` lists them; they come with the package tzdata\n",
                   "run", "--tz", "Mars/Phobos", "--image", "box", "true")
        self.assertEqual(self.box("--umask", "0027", "--image", "box", "sh", "-c", "umask"), "0027\n")
        self.fails(125, "error: --umask: '8' is no mode, want one from 0000 to 0777\n", "run", "--umask", "8", "--image", "box", "true")

    def test_hosts_of_the_image(self):
        self.assertEqual(self.box("--no-hosts", "--image", "box", "sh", "-c", "cat /etc/hosts 2>/dev/null; echo"), "\n")
        self.fails(125, "error: conflicting options: --no-hosts and --add-host\n",
                   "run", "--no-hosts", "--add-host", "a:10.0.0.1", "--image", "box", "true")

    def test_entrypoint_as_a_list(self):
        # podman's way for one that has arguments.
        self.assertEqual(self.box("--entrypoint", '["echo", "a b"]', "--image", "box", "c"), "a b c\n")
        self.assertEqual(self.run_kist("run", "--rm", "--entrypoint", "[x", "--image", "box").status, 127)

    def test_annotations(self):
        self.do("create", "--name", "one", "--annotation", "org.x/y=z", "--image", "box", "true")
        self.assertEqual(self.host_config("one")["Annotations"], {"org.x/y": "z"})

    def test_what_cannot_be_kept_is_refused(self):
        for flags, said in ((("--storage-opt", "size=1g"), "--storage-opt: 'size=1g' cannot be enforced"),
                            (("--isolation", "hyperv"), "--isolation: 'hyperv' is none of Linux's"),
                            (("--kernel-memory", "1g"), "--kernel-memory: kernels since 5.16"),
                            (("--device-read-bps", "/dev/nosuch:1mb"), "--device-read-bps\n  cause: '/dev/nosuch' is no block device of this host\n\nhint: `lsblk -p`"),
                            (("--device-write-iops", "/dev/null"), "--device-write-iops: '/dev/null' is not DEVICE:N"),
                            (("--memory-swappiness", "101"), "--memory-swappiness: "),
                            (("--cpu-shares", "1"), "--cpu-shares: '1' is no number from 2 to 262144"),
                            (("--pid", "container:nobody"), "no such container: nobody"),
                            (("--ipc", "container:nobody"), "no such container: nobody"),
                            (("--ipc", "bogus"), "--ipc: 'bogus' is not one of")):
            done = self.run_kist("run", *flags, "--image", "box", "true")
            self.assertEqual(done.status, 125, done)
            self.assertIn(said, done.err)
        self.assertEqual(self.box("--isolation", "default", "--disable-content-trust", "--image", "box", "echo", "x"), "x\n")
        self.assertEqual(self.do("ps", "-aq"), "")

    def test_namespaces_of_another(self):
        self.do("run", "-d", "--name", "one", "--image", "box", "sh", "-c", "echo shared > /dev/shm/f; exec sleep 1234")
        seen = self.box("--pid", "container:one", "--ipc", "container:one", "--image", "box", "sh", "-c",
                        "until cat /dev/shm/f 2>/dev/null; do :; done; ps -o args | grep -c '[s]leep 1234'; readlink /proc/self/ns/ipc")
        self.assertEqual(seen.splitlines()[:2], ["shared", "1"])
        self.assertEqual(seen.splitlines()[2], self.do("exec", "one", "readlink", "/proc/self/ns/ipc").strip())
        # It goes with the other, whose processes end with the first of them.
        self.do("run", "-d", "--name", "side", "--pid", "container:one", "--image", "box", "sleep", "1000")
        ident = self.do("ps", "-q", "--no-trunc", "--filter", "name=one").strip()
        self.assertEqual(self.host_config("side")["PidMode"], f"container:{ident}")
        self.assertEqual(self.do("exec", "side", "sh", "-c", "ps -o args | grep -c '[s]leep 1234'"), "1\n")
        self.do("rm", "-f", "one")
        self.assertEqual(self.do("wait", "side"), "137\n")
        done = self.run_kist("start", "side")
        self.assertEqual(done.status, 1, done)
        self.assertIn("no such container", done.err)
        for how in ("none", "private"):
            self.do("run", "-d", "--name", how, "--ipc", how, "--image", "box", "sleep", "1000")
            done = self.run_kist("run", "--rm", "--ipc", f"container:{how}", "--image", "box", "true")
            self.assertEqual(done.status, 125, done)
            self.assertIn(f"--ipc: container {how} shares no IPC namespace of its own", done.err)
        self.assertNotEqual(self.run_kist("exec", "none", "ls", "/dev/shm").status, 0)
        # One that does not run has no namespaces.
        self.do("create", "--name", "two", "--image", "box", "true")
        self.fails(125, "error: --ipc: cannot join a container that does not run: container two is not running\n\nhint: `kist start two`\n",
                   "run", "--rm", "--ipc", "container:two", "--image", "box", "true")

    def test_there_or_not(self):
        self.do("create", "--name", "one", "--image", "box", "true")
        self.do("volume", "create", "data")
        for kind, name in (("container", "one"), ("image", "box"), ("volume", "data"), ("network", "host")):
            there = self.run_kist(kind, "exists", name)
            self.assertEqual((there.status, there.out, there.err), (0, "", ""), kind)
            absent = self.run_kist(kind, "exists", "nobody")
            self.assertEqual((absent.status, absent.out, absent.err), (1, "", ""), kind)

    def test_what_each_takes_up(self):
        self.do("run", "--name", "one", "-v", "data:/d", "--image", "box", "sh", "-c", "head -c 5000 /dev/zero > /f; head -c 7000 /dev/zero > /d/f")
        said = self.do("system", "df", "-v")
        self.assertRegex(said, r"^Images space usage:\n\nREPOSITORY +TAG +IMAGE ID +CREATED +SIZE +SHARED SIZE +UNIQUE SIZE +CONTAINERS\n"
                               r"box +latest +[0-9a-f]{12} .* ago +[\d.]+MB +0B +[\d.]+MB +1\n")
        self.assertRegex(said, r"\n\nContainers space usage:\n\nCONTAINER ID .*LOCAL VOLUMES +SIZE .*\n[0-9a-f]{12} .* 1 +[\d.]+kB .*one\n")
        self.assertRegex(said, r"\n\nLocal Volumes space usage:\n\nVOLUME NAME +LINKS +SIZE\ndata +1 +[\d.]+kB\n$")
        whole = json.loads(self.do("system", "df", "-v", "--format", "json"))
        self.assertEqual([len(whole[part]) for part in ("Images", "Containers", "Volumes")], [1, 1, 1])
        self.assertEqual(self.do("system", "df", "-v", "--format", "{{range .Volumes}}{{.Name}} {{.Links}}{{end}}"), "data 1\n")


class RunFlagsAsRoot(test_containers.ContainerTest):
    """Limits, devices and networks, which root alone has everywhere."""

    @unittest.skipUnless((CGROUPS / "memory").is_dir(), "cgroups of version 1 are not here")
    def test_own_limits_are_seen_inside(self):
        look = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.shares"
        self.assertEqual(self.box("-m", "64m", "-c", "77", "--image", "box", "sh", "-c", look), "67108864\n77\n")
        for network in ("host", "none"):
            self.do("run", "-d", "--name", network, "--network", network, "--image", "box", "sleep", "1000")
            self.do("update", "-m", "80m", network)
            self.assertEqual(self.do("exec", network, "sh", "-c", look), "83886080\n1024\n")
            # What a program is told of its path and what is mounted there fit together.
            path = "sed -n 's/.*:memory://p' /proc/self/cgroup; awk '$5 == \"/sys/fs/cgroup/memory\" {print $4}' /proc/self/mountinfo"
            self.assertEqual(len(set(self.do("exec", network, "sh", "-c", path).split())), 1)

    def limit(self, *args, v1=None, v2=None):
        """What stands in a file of the cgroup of a container with these flags."""
        file = CGROUPS / v1 if v2 is None or (CGROUPS / v1.split("/")[0]).is_dir() else CGROUPS / v2
        self.do("run", "-d", "--name", "one", *args, "--image", "box", "sleep", "1000")
        pid = self.state("one")["Pid"]
        lines = [line.split(":", 2) for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().split()]
        controller = file.relative_to(CGROUPS).parts[0]
        below = next(path for _, names, path in lines if controller in names.split(",") or names == "")
        config = json.loads(self.do("inspect", "one"))[0]["HostConfig"]
        text = (CGROUPS / controller / below.lstrip("/") / file.name).read_text()
        self.do("rm", "-f", "one")
        return text, config

    @unittest.skipUnless((CGROUPS / "memory").is_dir(), "cgroups of version 1 are not here")
    def test_limits_of_version_1(self):
        text, config = self.limit("-m", "64m", "--memory-swappiness", "7", v1="memory/memory.swappiness")
        self.assertEqual((text, config["MemorySwappiness"]), ("7\n", 7))
        text, config = self.limit("-m", "64m", "--oom-kill-disable", v1="memory/memory.oom_control")
        self.assertIn("oom_kill_disable 1", text)
        self.assertTrue(config["OomKillDisable"])
        text, config = self.limit("--cpu-period", "50000", "--cpu-quota", "20000", v1="cpu/cpu.cfs_quota_us")
        self.assertEqual((text, config["CpuPeriod"], config["CpuQuota"], config["NanoCpus"]), ("20000\n", 50000, 20000, 0))
        text, config = self.limit("-c", "512", v1="cpu/cpu.shares")
        self.assertEqual((text, config["CpuShares"]), ("512\n", 512))
        done = self.run_kist("run", "--rm", "--oom-kill-disable", "--image", "box", "true")
        self.assertEqual(done.status, 0, done)
        self.assertIn("warning: --oom-kill-disable without --memory", done.err)

    @unittest.skipUnless((CGROUPS / "blkio").is_dir() and disk(), "no disk to limit by cgroups of version 1")
    def test_disks(self):
        for flag, number, file, field in (("read-bps", "1.5mb", "read_bps", "ReadBps"), ("write-bps", "1572864", "write_bps", "WriteBps"),
                                          ("read-iops", "100", "read_iops", "ReadIOps"), ("write-iops", "100", "write_iops", "WriteIOps")):
            text, config = self.limit(f"--device-{flag}", f"{disk()}:{number}", v1=f"blkio/blkio.throttle.{file}_device")
            rate = 100 if "iops" in flag else 1572864
            self.assertRegex(text, rf"^\d+:\d+ {rate}\n$")
            self.assertEqual(config[f"BlkioDevice{field}"], [{"Path": disk(), "Rate": rate}])

    @unittest.skipUnless(pathlib.Path("/dev/fuse").is_char_device(), "the kernel has no FUSE")
    def test_rules_for_devices(self):
        make = "mknod /x c 10 229 && : < /x && echo opened"  # /dev/fuse
        self.assertIn("Operation not permitted", self.run_kist("run", "--rm", "--image", "box", "sh", "-c", make).err)
        self.assertEqual(self.box("--device-cgroup-rule", "c 10:229 r", "--image", "box", "sh", "-c", make), "opened\n")
        self.fails(125, "error: --device-cgroup-rule\n  cause: 'c 1:3' is no rule for devices, want one as 'c 1:3 rwm' or 'b *:* r'\n",
                   "run", "--device-cgroup-rule", "c 1:3", "--image", "box", "true")

    def test_devices_of_the_host(self):
        # As docker: a folder is what is in it, and the privileged have all.
        nodes = {str(p) for p in pathlib.Path("/dev").rglob("*") if p.is_char_device() and not p.is_symlink()}
        if "/dev/net/tun" in nodes:
            self.assertEqual(self.box("--device", "/dev/net:/dev/wires:r", "--image", "box", "find", "/dev/wires", "-type", "c"), "/dev/wires/tun\n")
        seen = set(self.box("--privileged", "--image", "box", "find", "/dev", "-type", "c").split())
        own = lambda path: path.startswith(("/dev/pts", "/dev/console", "/dev/ptmx"))
        self.assertEqual({p for p in nodes if not own(p)}, {p for p in seen if not own(p)})

    @unittest.skipUnless((CGROUPS / "blkio").is_dir() and not list(CGROUPS.glob("blkio/*/blkio.bfq.weight")), "this kernel has shares of disks")
    def test_shares_of_disks_that_the_kernel_has_not(self):
        done = self.run_kist("run", "--rm", "--blkio-weight", "300", "--image", "box", "true")
        self.assertEqual(done.status, 125, done)
        self.assertIn("linux.resources.blockIO.weight: this kernel has no shares of disks for containers (no 'blkio.bfq.weight')", done.err)

    def test_hooks_see_annotations(self):
        self.do("run", "-d", "--name", "one", "--annotation", "a=b", "--image", "box", "sleep", "1000")
        ident = self.do("ps", "-q", "--no-trunc").strip()
        state = self.run_kist("runtime", "--root", str(self.runtime_root()), "state", ident)
        self.assertEqual(json.loads(state.out)["annotations"], {"a": "b"}, state)

    def runtime_root(self):
        for root in ("/run/kist/runtime", "/dev/shm/kist-0/runtime", str(self.store / "containers/passing/runtime")):
            if pathlib.Path(root).is_dir():
                return pathlib.Path(root)
        self.fail("no state of the runtime")


@unittest.skipIf(os.getuid() != 0, "needs root, to be somebody else")
class RunFlagsAsUser(RunFlags):
    user = lib.PLAIN_UID

    def test_rules_for_devices_are_roots(self):
        done = self.run_kist("run", "--device-cgroup-rule", "c 1:7 rwm", "--image", "box", "true")
        self.assertEqual(done.status, 125, done)
        self.assertIn("only root's containers have rules for devices", done.err)


if __name__ == "__main__":
    lib.main()
