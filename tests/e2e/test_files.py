#!/usr/bin/env python3
"""What a container has on its disk, from outside: cp, diff, export, commit."""
import io
import json
import os
import pathlib
import subprocess
import tarfile

import lib
import test_containers
from test_volumes import VolumeTest


class FilesTest(VolumeTest):
    def command_bytes(self, *args, input=None):
        done = subprocess.run(self.command(*args), cwd=self.project, env=self.environment(), input=input,
                              capture_output=True, timeout=60)
        return done.returncode, done.stdout, done.stderr.decode()

    def make_two(self):
        """One that runs and one that has ended, with the same files."""
        script = "mkdir -p /w/sub; echo one > /w/file; echo two > /w/sub/deep; ln -s file /w/link; ln -s /etc /w/out"
        self.do("run", "-d", "--name", "runs", "-v", "mine:/vol", "--image", "box", "sh", "-c", script + "; touch /ready; sleep 100")
        self.do("run", "--name", "ended", "-v", "mine:/vol", "--image", "box", "sh", "-c", script)
        self.until(lambda: self.run_kist("exec", "runs", "ls", "/ready").status == 0)
        return ("runs", "ended")


class Copied(FilesTest):
    def test_out(self):
        for name in self.make_two():
            with self.subTest(name):
                out = self.make_project("out-")
                if self.user:
                    os.chown(out, self.user, self.user)
                self.do("cp", f"{name}:/w/file", f"{out}/new")
                self.assertEqual((out / "new").read_text(), "one\n")
                self.assertEqual((out / "new").stat().st_uid, self.user or 0)
                self.do("cp", f"{name}:/w/file", f"{out}")
                self.assertEqual((out / "file").read_text(), "one\n")
                self.do("cp", f"{name}:/w", f"{out}/folder")
                self.assertEqual(sorted(p.name for p in (out / "folder").iterdir()), ["file", "link", "out", "sub"])
                self.do("cp", f"{name}:w", f"{out}")
                self.assertEqual((out / "w/sub/deep").read_text(), "two\n")
                self.do("cp", f"{name}:/w/sub/.", f"{out}")
                self.assertEqual((out / "deep").read_text(), "two\n")
                self.do("cp", f"{name}:/w/link", f"{out}/link")
                self.assertEqual(os.readlink(out / "link"), "file")
                self.do("cp", "-L", f"{name}:/w/link", f"{out}/followed")
                self.assertEqual((out / "followed").read_text(), "one\n")

    def test_in(self):
        data = self.make_project("in-", {"file": "of the host\n", "sub/deep": "deep\n"})
        for name in self.make_two():
            with self.subTest(name):
                self.do("cp", f"{data}/file", f"{name}:/w/file")
                self.do("cp", f"{data}/file", f"{name}:/vol/{name}")
                self.do("cp", f"{data}/.", f"{name}:/w/sub/")
                self.do("cp", data, f"{name}:/fresh")
                status, out, err = self.command_bytes("cp", f"{name}:/fresh/sub/deep", "-")
                self.assertEqual((status, err), (0, ""))
        look = "cat /w/file /w/sub/sub/deep /fresh/sub/deep; stat -c %u:%g /w/file /fresh /fresh/sub"
        wanted = "of the host\ndeep\ndeep\n0:0\n0:0\n0:0\n"
        self.assertEqual(self.do("exec", "runs", "sh", "-c", look), wanted)
        self.assertEqual(self.box("-v", "mine:/v", "--image", "box", "ls", "/v"), "ended\nruns\n")

    def test_where_something_is_mounted(self):
        folder = self.make_project("bound-", {"file": "bound\n"})
        data = self.make_project("in-", {"file": "of the host\n"})
        mounts = ("-v", "fresh:/not/in/image", "-v", f"{folder}:/bound", "-v", f"{folder}:/fixed:ro")
        self.do("create", "--name", "made", *mounts, "--image", "box", "sh", "-c", "cat /not/in/image/file /bound/more; ls /etc/passwd")
        # Before it ever ran: as its start would have it.
        self.do("cp", f"{data}/file", "made:/not/in/image/")
        self.do("cp", f"{data}/file", "made:/bound/more")
        self.assertEqual((folder / "more").read_text(), "of the host\n")
        self.assertEqual(self.command_bytes("cp", "made:/bound/file", "-")[0], 0)
        done = self.run_kist("cp", f"{data}/file", "made:/fixed/file")
        self.assertEqual(done.status, 1, done)
        self.assertIn("Read-only file system", done.err)
        self.assertEqual((folder / "file").read_text(), "bound\n")
        self.assertEqual(self.do("start", "-a", "made"), "of the host\nof the host\n/etc/passwd\n")
        # What the image has goes into an empty volume before what is copied.
        self.do("create", "--name", "filled", "-v", "etc:/etc", "--image", "box", "ls", "/etc")
        self.do("cp", f"{data}/file", "filled:/etc/file")
        self.assertLessEqual({"file", "passwd", "group"}, set(self.do("start", "-a", "filled").split()))
        # In memory, while it runs; nothing below what is read-only.
        self.do("run", "-d", "--name", "up", "--read-only", "--tmpfs", "/scratch", *mounts, "--image", "box", "sleep", "1000")
        self.do("cp", f"{data}/file", "up:/scratch/file")
        self.assertEqual(self.do("exec", "up", "cat", "/scratch/file"), "of the host\n")
        self.do("exec", "up", "sh", "-c", "echo inside > /scratch/out")
        self.do("cp", "up:/scratch/out", f"{data}/out")
        self.assertEqual((data / "out").read_text(), "inside\n")
        self.assertIn("Read-only file system", self.run_kist("cp", f"{data}/file", "up:/etc/file").err)
        self.do("kill", "up")
        self.do("wait", "up")
        self.assertIn("Read-only file system", self.run_kist("cp", f"{data}/file", "up:/etc/file").err)

    def test_from_one_into_another(self):
        self.make_two()
        for source, target in (("runs", "ended"), ("ended", "runs"), ("runs", "runs")):
            with self.subTest(f"{source} {target}"):
                self.do("cp", f"{source}:/w/file", f"{target}:/one")
                self.do("cp", f"{source}:/w", f"{target}:/tmp")
                self.do("cp", f"{source}:/w/.", f"{target}:/{source}")
                status, out, err = self.command_bytes("cp", f"{target}:/{source}/sub/deep", "-")
                self.assertEqual((status, err), (0, ""))
        self.assertEqual(self.do("exec", "runs", "sh", "-c", "cat /one /tmp/w/sub/deep /ended/file; readlink /ended/link; stat -c %u /one"),
                         "one\ntwo\none\nfile\n0\n")
        done = self.run_kist("cp", "runs:/nothere", "ended:/x")
        self.assertIn("there is no '/nothere' in the container", done.err)
        self.assertEqual([p for p in pathlib.Path("/var/tmp").glob("kist-cp.*")], [])

    def test_rules(self):
        data = self.make_project("in-", {"file": "x", "sub/deep": "y"})
        for name in self.make_two():
            with self.subTest(name):
                for args, message in (((f"{name}:/nothere", f"{data}/x"), "there is no '/nothere' in the container"),
                                      ((f"{data}/nothere", f"{name}:/x"), f"there is no '{data}/nothere'"),
                                      ((f"{data}/sub", f"{name}:/w/file"), "cannot copy a directory to a file: '/w/file'"),
                                      ((f"{data}/file", f"{name}:/none/"), "the destination directory must exist: '/none'"),
                                      ((f"{data}/file", f"{name}:/none/x"), "there is no directory '/none' to copy to in the container"),
                                      ((f"{name}:/w/file/", f"{data}/x"), "'/w/file'"),
                                      ((f"{data}/file", f"{data}/x"), "must specify at least one container source")):
                    done = self.run_kist("cp", *args)
                    self.assertIn(done.status, (1, 2), args)
                    self.assertIn(message, done.err)

    def test_links_never_lead_to_the_host(self):
        secret = self.make_project("secret-", {"file": "secret\n"})
        data = self.make_project("in-", {"file": "x\n"})
        for name in self.make_two():
            with self.subTest(name):
                link = self.make_project("link-")
                os.symlink(secret, link / "evil")
                os.symlink(f"{secret}/file", link / "evilfile")
                os.symlink("../" * 20 + str(secret), link / "up")
                self.do("cp", f"{link}/.", f"{name}:/w")
                done = self.run_kist("cp", f"{name}:/w/evil/file", f"{data}/got")
                self.assertIn("there is no '/w/evil/file' in the container", done.err)
                done = self.run_kist("cp", f"{name}:/w/up/file", f"{data}/got")
                self.assertNotEqual(done.status, 0)
                done = self.run_kist("cp", f"{data}/file", f"{name}:/w/evil/file")
                self.assertNotEqual(done.status, 0)
                # What a link names is made, if it can be, in the container.
                self.run_kist("cp", f"{data}/file", f"{name}:/w/evilfile")
                self.assertEqual((secret / "file").read_text(), "secret\n")
                self.assertFalse((data / "got").exists())
                self.do("cp", f"{data}/file", f"{name}:/w/out/here")
                self.assertFalse(pathlib.Path("/etc/here").exists())

    def test_tar_streams(self):
        for name in self.make_two():
            with self.subTest(name):
                status, out, err = self.command_bytes("cp", f"{name}:/w", "-")
                self.assertEqual((status, err), (0, ""))
                with tarfile.open(fileobj=io.BytesIO(out)) as tar:
                    self.assertEqual(tar.getnames(), ["w", "w/file", "w/link", "w/out", "w/sub", "w/sub/deep"])
                    self.assertEqual(tar.extractfile("w/sub/deep").read(), b"two\n")
                    self.assertEqual(tar.getmember("w/file").uid, 0)
                status, again, _ = self.command_bytes("cp", f"{name}:/w", "-")
                self.assertEqual(out, again)
                evil = io.BytesIO()
                with tarfile.open(fileobj=evil, mode="w") as tar:
                    def add(path, content=b"", kind=tarfile.REGTYPE, target="", mode=0o640):
                        info = tarfile.TarInfo(path)
                        info.type, info.linkname, info.size, info.mode, info.uid = kind, target, len(content), mode, 33
                        tar.addfile(info, io.BytesIO(content))
                    add("../../up", b"up\n")
                    add("/absolute", b"absolute\n")
                    add("away", kind=tarfile.SYMTYPE, target="/tmp")
                    add("away/through", b"through\n")
                    add("same", kind=tarfile.LNKTYPE, target="absolute")
                    add("sub/x", b"x\n", mode=0o4755)
                status, _, err = self.command_bytes("cp", "-", f"{name}:/w", input=evil.getvalue())
                self.assertEqual((status, err), (0, ""))
                for path, content in (("/w/up", b"up\n"), ("/w/absolute", b"absolute\n"), ("/tmp/through", b"through\n"), ("/w/same", b"absolute\n")):
                    status, out, err = self.command_bytes("cp", f"{name}:{path}", "-")
                    self.assertEqual((status, err), (0, ""), path)
                    with tarfile.open(fileobj=io.BytesIO(out)) as tar:
                        self.assertEqual(tar.extractfile(tar.getmembers()[0]).read(), content)
                status, _, err = self.command_bytes("cp", "-", f"{name}:/nothere", input=evil.getvalue())
                self.assertEqual(status, 1)
                self.assertIn("there is no directory '/nothere' in the container to unpack into", err)
                status, _, err = self.command_bytes("cp", "-", f"{name}:/w", input=b"no tar at all, but long enough to see" * 40)
                self.assertEqual(status, 1)
        self.assertEqual(self.do("exec", "runs", "stat", "-c", "%a %u", "/w/sub/x", "/w/up"), "4755 0\n640 0\n")


class CopiedAsUser(Copied):
    user = 12345


class Changed(FilesTest):
    SCRIPT = ("echo new > /new; rm /data/file; mv /data/sub /data/moved; chmod 700 /home; rm -r /etc; mkdir /etc; "
              "echo x > /etc/only; mkdir -p /a/b; echo f > /a/b/f; touch /dev/shm/x; echo hi >> /plain; sleep 100")
    WANTED = ("C /data\nD /data/file\nA /data/moved\nA /data/moved/deep\nD /data/sub\nC /etc\nD /etc/group\nD /etc/noexec\n"
              "A /etc/only\nD /etc/passwd\nC /home\nC /plain\nA /a\nA /a/b\nA /a/b/f\nA /new\n")

    def lines(self, text):
        return sorted(text.splitlines(), key=lambda line: line[2:])

    def make(self, *flags):
        script = self.SCRIPT.replace("rm -r /etc; mkdir /etc", "rm -r /etc/passwd /etc/group /etc/noexec")
        self.do("run", "-d", "--name", "web", *flags, "--image", "box", "sh", "-c", script.replace("sleep", "touch /ready; sleep"))
        self.until(lambda: self.run_kist("exec", "web", "ls", "/ready").status == 0)
        self.do("exec", "web", "rm", "/ready")

    def test_diff(self):
        self.do("run", "--name", "none", "--image", "box", "true")
        self.assertEqual(self.do("diff", "none"), "")
        self.make()
        self.assertEqual(self.lines(self.do("diff", "web")), self.lines(self.WANTED))
        self.do("stop", "-t", "0", "web")
        self.assertEqual(self.lines(self.do("diff", "web")), self.lines(self.WANTED))

    def test_diff_of_what_is_in_memory(self):
        process = self.start("run", "--rm", "--name", "passing", "--image", "box", "sh", "-c", "echo x > /new; rm /data/file; echo ready; sleep 100")
        self.assertEqual(process.stdout.readline(), b"ready\n")
        self.assertEqual(self.do("diff", "passing"), "C /data\nD /data/file\nA /new\n")
        self.do("kill", "passing")
        process.communicate(timeout=10)

    def test_export(self):
        self.make("-v", "mine:/vol")
        self.do("exec", "web", "touch", "/vol/not-exported")
        archive = self.project / "root.tar"
        if self.user:
            os.chown(self.project, self.user, self.user)
        self.do("export", "-o", archive, "web")
        with tarfile.open(archive) as tar:
            names = tar.getnames()
            self.assertEqual(tar.extractfile("new").read(), b"new\n")
            if not self.user:  # Its root shows all files as its own, without set-uid.
                self.assertEqual(tar.getmember("data/set").mode, 0o4755)
                self.assertEqual((tar.getmember("data").uid, tar.getmember("data").gid), (1000, 50))
        self.assertIn("bin/busybox", names)
        self.assertIn("vol", names)
        self.assertNotIn("vol/not-exported", names)
        self.assertNotIn("data/file", names)
        status, out, err = self.command_bytes("export", "web")
        self.assertEqual((status, err, out), (0, "", archive.read_bytes()))
        self.do("import", archive, "again", "-c", 'CMD ["cat", "/new"]')
        self.assertEqual(self.box("--image", "again"), "new\n")

    def test_commit(self):
        self.make("-e", "MADE=yes", "-v", "mine:/vol")
        ident = self.do("commit", "-a", "Ada", "-m", "patched", "-c", 'CMD ["cat", "/new"]', "-c", "LABEL l=1", "web", "team/patched:1").strip()
        self.assertRegex(ident, "^sha256:[0-9a-f]{64}$")
        self.assertEqual(self.box("--image", "team/patched:1"), "new\n")
        self.assertEqual(self.box("--image", "team/patched:1", "sh", "-c", "echo $MADE; ls /data /a/b /etc; stat -c %a /home"),
                         "yes\n/a/b:\nf\n\n/data:\nattribute\nlink\nmoved\nsame\nset\n\n/etc:\nhosts\nonly\nresolv.conf\n700\n")
        seen = json.loads(self.do("inspect", "--type", "image", "team/patched:1"))[0]
        base = json.loads(self.do("inspect", "--type", "image", "box"))[0]
        self.assertEqual(seen["Author"], "Ada")
        self.assertEqual(seen["Config"]["Labels"], {"l": "1"})
        self.assertEqual(seen["RootFS"]["Layers"][:-1], base["RootFS"]["Layers"])
        self.assertIn("patched", self.do("history", "--format", "{{.Comment}}", "team/patched:1"))
        # The same changes give the same layer.
        self.do("stop", "-t", "0", "web")
        self.do("commit", "web", "second")
        again = json.loads(self.do("inspect", "--type", "image", "second"))[0]
        self.assertEqual(again["RootFS"]["Layers"], seen["RootFS"]["Layers"])
        self.assertEqual(self.state("web")["Status"], "exited")

    def test_commit_of_nothing(self):
        self.do("run", "--name", "none", "--image", "box", "true")
        self.do("commit", "none", "same")
        self.assertEqual(self.box("--image", "same", "cat", "/data/file"), "of the image\n")


class ChangedAsUser(Changed):
    user = 12345


class OfARange(FilesTest):
    """A plain user's container with subordinate ids: seen with these, from outside too."""
    user = 12345
    in_a_machine_with_ranges = test_containers.Ids.in_a_machine_with_ranges

    def test_owners_are_those_inside(self):
        os.chown(self.project, self.user, self.user)
        out = self.in_a_machine_with_ranges("""
            $KIST run -d --ids range --name on -v kept:/data -v fresh:/f --image box sh -c 'mkdir /p; echo x > /p/s; touch /f/f; chown -R 7:8 /p /f; chmod 700 /p; chmod 600 /p/s; touch /ok; sleep 100' > /dev/null
            until $KIST exec on test -e /ok; do sleep 0.1; done
            $KIST exec on stat -c %u:%g /data/file
            for state in on off; do
              $KIST diff on | grep /p
              $KIST cp on:/p/s - | tar t -v --numeric-owner | cut -c 1-20
              $KIST cp on:/p/s ./out-$state; stat -c %u ./out-$state
              $KIST cp -a on:/p - | tar t -v --numeric-owner | cut -c 1-20
              $KIST stop -t 0 on > /dev/null
            done
            $KIST commit on committed > /dev/null
            $KIST run --rm --ids range --image committed stat -c %u:%g:%a /p/s
            $KIST cp ./out-on on:/in
            $KIST start on > /dev/null; $KIST exec on stat -c %u:%g /in
            $KIST rm -f on; $KIST volume rm kept fresh
        """)
        once = ["A /p", "A /p/s", "-rw------- 7/8", "12345", "drwx------ 7/8", "-rw------- 7/8"]
        self.assertEqual([line.rstrip() for line in out],
                         # What an image has is the caller's own, as its root is a farm of links.
                         ["0:0", *once, *once, "0:0:600", "0:0", "on", "kept", "fresh"])
        self.assertEqual([p.name for p in (self.store / "volumes").iterdir()], ["lock"])


if __name__ == "__main__":
    lib.main()
