#!/usr/bin/env python3
"""Volumes: named, without a name, of other containers, in memory; filled from the image."""
import io
import json
import os
import pathlib
import re
import subprocess
import tarfile
import unittest

import lib
from test_containers import ContainerTest, busybox_root


def image_with_data():
    """busybox and folders for volumes: owners, modes, links, attributes; and hostile ones."""
    out = io.BytesIO(busybox_root())
    with tarfile.open(fileobj=out, mode="a") as tar:
        def add(name, kind=tarfile.REGTYPE, content=b"", mode=0o644, target="", uid=0, gid=0, pax=None):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.linkname, info.size = kind, mode, target, len(content)
            info.uid, info.gid, info.mtime = uid, gid, 1000000000
            info.pax_headers = pax or {}
            tar.addfile(info, io.BytesIO(content))
        add("data", tarfile.DIRTYPE, mode=0o750, uid=1000, gid=50)
        add("data/file", content=b"of the image\n", mode=0o640, uid=1000, gid=100)
        add("data/set", content=b"x", mode=0o4755)
        add("data/sub", tarfile.DIRTYPE, mode=0o1777)
        add("data/sub/deep", content=b"deep\n")
        add("data/same", tarfile.LNKTYPE, target="data/file")
        add("data/link", tarfile.SYMTYPE, target="../etc/passwd")
        add("data/attribute", content=b"a", pax={"SCHILY.xattr.user.colour": "blue"})
        add("out", tarfile.SYMTYPE, target="/../../../../../../etc")
        add("toolink", tarfile.SYMTYPE, target="data")
        add("plain", content=b"a file\n")
    return out.getvalue()


class VolumeTest(ContainerTest):
    def setUp(self):
        lib.KistTest.setUp(self)
        if not (self.store / "images").exists():
            root = self.folder / "data.tar"
            root.write_bytes(image_with_data())
            root.chmod(0o644)
            self.do("import", str(root), "box", "-c", 'CMD ["sh", "-c", "echo of the image"]')
            self.do("import", str(root), "declared", "-c", 'CMD ["true"]', "-c", "VOLUME /data /empty")

    def tearDown(self):
        super().tearDown()
        left = self.run_kist("volume", "ls", "-q").out.split()
        if left:
            self.run_kist("volume", "rm", *left)

    def volumes(self):
        return self.do("volume", "ls", "-q").split()

    def mountpoint(self, name):
        return pathlib.Path(self.do("volume", "inspect", "-f", "{{.Mountpoint}}", name).strip())


class Named(VolumeTest):
    def test_outlives_containers(self):
        self.box("-v", "mine:/mnt", "--image", "box", "sh", "-c", "echo kept > /mnt/f")
        self.assertEqual(self.box("-v", "mine:/other", "--image", "box", "cat", "/other/f"), "kept\n")
        self.assertEqual(self.volumes(), ["mine"])
        self.assertEqual((self.mountpoint("mine") / "f").read_text(), "kept\n")

    def test_verbs(self):
        self.assertEqual(self.do("volume", "create", "one", "--label", "a=b"), "one\n")
        self.assertEqual(self.do("volume", "create", "one"), "one\n", "again is no error")
        nameless = self.do("volume", "create").strip()
        self.assertRegex(nameless, "^[0-9a-f]{64}$")
        self.assertEqual(self.do("volume", "ls", "--filter", "label=a=b"), "DRIVER    VOLUME NAME\nlocal     one\n")
        self.assertEqual(self.do("volume", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}", "--filter", "name=on"),
                         "one local local\n")
        seen = json.loads(self.do("volume", "inspect", "one"))[0]
        self.assertEqual((seen["Name"], seen["Driver"], seen["Labels"], seen["Options"], seen["Scope"]),
                         ("one", "local", {"a": "b"}, None, "local"))
        self.fails(1, "error: no such volume: two\n\nhint: `kist volume ls` lists them\n", "volume", "rm", "two")
        self.assertEqual(self.do("volume", "rm", "-f", "two"), "two\n")
        self.do("volume", "remove", "one", nameless)
        self.assertEqual(self.volumes(), [])
        done = self.run_kist("volume", "create", "../x")
        self.assertEqual(done.status, 2)
        self.assertIn("'../x' is no volume's name", done.err)

    def test_in_use(self):
        ident = self.do("run", "-d", "--name", "web", "-v", "mine:/mnt", "--image", "box", "sleep", "100").strip()
        done = self.run_kist("volume", "rm", "mine")
        self.assertEqual((done.status, done.err), (1, f"error: volume mine is in use - [{ident}]\n\nhint: `kist rm {ident[:12]}`\n"))
        self.assertEqual(self.do("ps", "-q", "--filter", "volume=mine"), ident[:12] + "\n")
        self.assertEqual(self.do("volume", "ls", "-q", "--filter", "dangling=true"), "")
        self.do("exec", "web", "touch", "/mnt/made")
        self.do("rm", "-fv", "web")
        self.assertEqual(self.volumes(), ["mine"], "a volume with a name stays")
        self.do("volume", "rm", "mine")

    def test_filled_from_the_image(self):
        look = "cd /v; stat -c '%n %a %u:%g %h' . file set sub sub/deep same attribute; readlink link; cat file same"
        there = self.box("--image", "box", "sh", "-c", look.replace("/v", "/data"))
        seen = self.box("-v", "mine:/data", "--image", "box", "sh", "-c", look.replace("/v", "/data"))
        if self.user:  # Its root is a farm of links.
            there, seen = (re.sub(r" \d+$", "", text, flags=re.M) for text in (there, seen))
        else:
            self.assertIn("file 640 1000:100 1\n", seen)
        self.assertEqual(seen, there)
        top = self.mountpoint("mine")
        if not self.user:
            self.assertEqual(os.getxattr(top / "attribute", "user.colour"), b"blue")
        # What is there is not touched again, and nobody fills what is not empty.
        self.box("-v", "mine:/data", "--image", "box", "sh", "-c", "rm /data/file; echo new > /data/same")
        self.assertEqual(self.box("-v", "mine:/data", "--image", "box", "sh", "-c", "ls /data/file 2>&1; cat /data/same"),
                         "ls: /data/file: No such file or directory\nnew\n")

    def test_not_filled(self):
        self.assertEqual(self.box("-v", "mine:/data:nocopy", "--image", "box", "ls", "/data"), "")
        self.assertEqual(self.box("--mount", "type=volume,src=other,dst=/data,volume-nocopy", "--image", "box", "ls", "/data"), "")
        self.assertEqual(self.box("-v", "third:/nothere", "--image", "box", "ls", "/nothere"), "")

    def test_links_of_the_image_lead_nowhere_else(self):
        self.assertEqual(self.box("-v", "mine:/out", "--image", "box", "cat", "/out/noexec"), "#!/bin/sh\n",
                         "/etc of the image, not of the host")
        self.assertEqual(self.box("-v", "other:/toolink", "--image", "box", "cat", "/data/file"), "of the image\n")
        self.assertTrue((self.mountpoint("other") / "link").is_symlink())

    def test_not_on_a_file(self):
        done = self.run_kist("run", "--rm", "-v", "mine:/plain", "--image", "box", "true")
        self.assertEqual(done.status, 125)
        self.assertIn("the volume 'mine' cannot be mounted on '/plain', which is no folder in the image", done.err)

    def test_a_death_in_the_middle_is_made_good(self):
        self.do("volume", "create", "mine")
        top = self.mountpoint("mine")
        # Half of a copy, not complete: begun anew.
        self.as_user("mkdir", top.parent / "filling")
        self.as_user("touch", top.parent / "filling/file")
        self.assertEqual(self.box("-v", "mine:/data", "--image", "box", "cat", "/data/file"), "of the image\n")
        self.assertFalse((top.parent / "filling").exists())
        # A whole copy, half of it moved: the rest follows.
        self.as_user("mkdir", top.parent / "filled")
        self.as_user("mv", top / "sub", top.parent / "filled/sub")
        self.assertEqual(self.box("-v", "mine:/data", "--image", "box", "cat", "/data/sub/deep"), "deep\n")
        self.assertFalse((top.parent / "filled").exists())

    def as_user(self, *command):
        subprocess.run([*map(str, command)], check=True, user=self.user or None)

    def test_read_only_and_mount_flag(self):
        self.box("-v", "mine:/mnt", "--image", "box", "touch", "/mnt/x")
        done = self.run_kist("run", "--rm", "-v", "mine:/mnt:ro", "--image", "box", "touch", "/mnt/y")
        self.assertIn("Read-only file system", done.err)
        done = self.run_kist("run", "--rm", "--mount", "type=volume,source=mine,target=/mnt,readonly", "--image", "box", "touch", "/mnt/y")
        self.assertIn("Read-only file system", done.err)
        for wrong, message in ((("-v", "a:/b:/c:/d"), "is not SOURCE:TARGET[:ro]"), (("-v", "mine:rel"), "target 'rel' is not absolute"),
                               (("-v", "mine:/x", "-v", "two:/x"), "two mounts have the target '/x'"),
                               (("-v", "mine:/"), "target '/' would hide the whole container"),
                               (("-v", "mine:/x:fast"), "'fast' is no option of a volume"),
                               (("--mount", "type=volume,target=/x,speed=1"), "'speed=1' is not known here"),
                               (("--mount", "type=nfs,target=/x"), "type 'nfs' is not one of bind, volume, tmpfs")):
            done = self.run_kist("run", "--rm", *wrong, "--image", "box", "true")
            self.assertEqual(done.status, 125, wrong)
            self.assertIn(message, done.err)
        self.assertEqual(self.volumes(), ["mine"], "what was refused made nothing")

    def test_bound_to_a_folder(self):
        data = self.make_project("data-", {"in": "from the host\n"})
        self.do("volume", "create", "--opt", "type=none", "--opt", "o=bind", "--opt", f"device={data}", "mine")
        self.assertEqual(self.box("-v", "mine:/mnt", "--image", "box", "cat", "/mnt/in"), "from the host\n")
        self.assertEqual(self.mountpoint("mine"), data)
        self.do("volume", "rm", "mine")
        self.assertEqual((data / "in").read_text(), "from the host\n", "the folder itself stays")
        self.fails(1, "error: there is no volume driver 'fast', only local and tmpfs\n", "volume", "create", "-d", "fast", "xx")

    def test_in_memory(self):
        self.do("volume", "create", "-d", "tmpfs", "mine")
        self.do("run", "-d", "--name", "one", "-v", "mine:/data", "--image", "box", "sh", "-c", "echo shared > /data/new; sleep 100")
        self.until(lambda: "new" in self.do("exec", "one", "ls", "/data"))
        self.assertEqual(self.do("exec", "one", "cat", "/data/file"), "of the image\n")
        self.assertEqual(self.box("-v", "mine:/x", "--image", "box", "cat", "/x/new"), "shared\n")
        self.do("rm", "-f", "one")
        self.assertEqual(self.box("-v", "mine:/x", "--image", "box", "ls", "/x"), "", "memory goes with its last user")

    def test_limited_memory(self):
        if self.user:
            self.fails(1, "error: a volume in memory with 'size=1m' needs root\n\nhint: leave the options out, or "
                       "`--tmpfs PATH:size=…` for a container of its own\n",
                       "volume", "create", "--opt", "type=tmpfs", "--opt", "o=size=1m", "mine")
            return
        self.do("volume", "create", "--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=1m,mode=700", "mine")
        self.assertEqual(self.box("-v", "mine:/x", "--image", "box", "sh", "-c", "df -k /x | tail -1 | awk '{print $2}'; stat -c %a /x"),
                         "1024\n700\n")
        self.assertNotIn(str(self.store), pathlib.Path("/proc/self/mounts").read_text())

    def test_tmpfs_flag(self):
        self.assertEqual(self.box("--tmpfs", "/x:size=8m,mode=700,uid=0,exec", "--image", "box", "sh", "-c",
                                  "stat -c %a /x; cp /bin/busybox /x/busybox && /x/busybox sh -c 'echo runs'"), "700\nruns\n")


class NamedAsUser(Named):
    user = 12345


class WithoutName(VolumeTest):
    def test_goes_with_its_container(self):
        self.box("-v", "/mnt", "--image", "box", "touch", "/mnt/x")
        self.assertEqual(self.volumes(), [], "--rm takes it along")
        self.do("run", "--name", "one", "-v", "/mnt", "--image", "box", "touch", "/mnt/x")
        self.assertEqual(len(self.volumes()), 1)
        self.do("rm", "one")
        self.assertEqual(len(self.volumes()), 1, "rm alone leaves it")
        self.assertEqual(self.do("volume", "ls", "-q", "--filter", "dangling=true").split(), self.volumes())
        self.do("run", "--name", "two", "-v", "/mnt", "--image", "box", "true")
        self.do("rm", "-v", "two")
        self.assertEqual(len(self.volumes()), 1)
        out = self.do("volume", "prune", "-f")
        self.assertRegex(out, r"^Deleted Volumes:\n[0-9a-f]{64}\n\nTotal reclaimed space: 0B\n$")
        self.do("run", "-d", "--rm", "-v", "/mnt", "--image", "box", "true")
        self.until(lambda: self.do("ps", "-aq") == "" and self.volumes() == [])

    def test_of_the_image(self):
        self.do("run", "--name", "one", "--image", "declared", "true")
        mounts = {m["Destination"]: m for m in json.loads(self.do("inspect", "one"))[0]["Mounts"]}
        self.assertEqual(sorted(mounts), ["/data", "/empty"])
        self.assertEqual(mounts["/data"]["Type"], "volume")
        self.assertEqual((self.mountpoint(mounts["/data"]["Name"]) / "file").read_text(), "of the image\n")
        self.do("rm", "-v", "one")
        self.assertEqual(self.volumes(), [])
        self.do("run", "--name", "two", "-v", "mine:/data", "--tmpfs", "/empty", "--image", "declared", "true")
        self.assertEqual(self.volumes(), ["mine"], "a flag takes its place")

    def test_of_other_containers(self):
        self.do("run", "--name", "one", "-v", "/mnt", "-v", "mine:/n", "--image", "box", "sh", "-c", "echo a > /mnt/f; echo b > /n/f")
        self.assertEqual(self.box("--volumes-from", "one", "--image", "box", "cat", "/mnt/f", "/n/f"), "a\nb\n")
        done = self.run_kist("run", "--rm", "--volumes-from", "one:ro", "--image", "box", "touch", "/mnt/g")
        self.assertIn("Read-only file system", done.err)
        self.assertEqual(self.do("start", "-a", "one"), "", "its volume is there still")
        self.do("run", "-d", "--name", "two", "--volumes-from", "one", "--image", "box", "sleep", "100")
        self.do("rm", "-v", "one")
        self.assertEqual(self.do("exec", "two", "cat", "/mnt/f"), "a\n")
        self.do("rm", "-fv", "two")
        self.assertEqual(self.volumes(), ["mine"])
        self.fails(125, "error: --volumes-from nobody\n  cause: no such container: nobody\n\nhint: `kist ps -a` lists them\n", "run", "--rm", "--volumes-from", "nobody",
                   "--image", "box", "true")

    def test_prune(self):
        self.do("volume", "create", "named")
        self.do("volume", "create", "kept", "--label", "keep")
        (self.mountpoint("named") / "f").write_bytes(b"x" * 8192)
        self.assertEqual(self.do("volume", "prune", "-f"), "Total reclaimed space: 0B\n")
        self.assertEqual(self.do("volume", "prune", input="n\n"),
                         "WARNING! This will remove anonymous local volumes not used by at least one container.\n"
                         "Are you sure you want to continue? [y/N] ")
        self.assertEqual(self.do("volume", "prune", "-af", "--filter", "label!=keep"),
                         "Deleted Volumes:\nnamed\n\nTotal reclaimed space: 8.19kB\n")
        self.assertEqual(self.volumes(), ["kept"])


class WithoutNameAsUser(WithoutName):
    user = 12345


if __name__ == "__main__":
    lib.main()
