#!/usr/bin/env python3
"""Images of other tools: they load, show the same files, and are given back bit for bit.

Made by hand (image_forge.py), and by podman, buildah, skopeo and umoci where they are installed.
"""
import contextlib
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import tarfile
import tempfile
import time
import unittest

import image_forge as forge
import lib


def tool(name):
    if shutil.which(name) is None:
        raise unittest.SkipTest(f"{name} is not installed")
    return name


def listing(root, modes=True):
    """path → what a program sees of it."""
    seen = {}
    root = os.fsencode(str(root))
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            what = [stat.filemode(st.st_mode)[0]]
            if stat.S_ISLNK(st.st_mode):
                what.append(os.readlink(path))
            if stat.S_ISREG(st.st_mode):
                what.append(hashlib.sha256(pathlib.Path(os.fsdecode(path)).read_bytes()).hexdigest())
            if modes:
                what += [oct(stat.S_IMODE(st.st_mode)), st.st_uid, st.st_gid]
                if not stat.S_ISDIR(st.st_mode):
                    what.append(int(st.st_mtime))
            seen[path[len(root) + 1:]] = tuple(what)
    return seen


class ImageTest(lib.KistTest):
    @classmethod
    def make_store(cls):
        return cls.folder / "store"  # Of no use: no image needs the base or the network.

    def setUp(self):
        super().setUp()
        self.work = self.folder / self.id().rsplit(".", 1)[1]
        self.store = self.work / "store"
        self.store.mkdir(parents=True)
        if self.user:
            lib.own(self.work, self.user)

    def do(self, *args, **more):
        done = self.run_kist(*map(str, args), **more)
        self.assertEqual(done.status, 0, done)
        return done.out

    def layout(self, name="layout"):
        return forge.Layout(self.work / name)

    def id_of(self, name):
        return self.do("inspect", "--format", "{{.Id}}", name).strip()

    def ready(self, image_id):
        text = (self.store / "images/ids" / f"{image_id[7:]}.ready").read_text()
        out = {}
        for line in text.splitlines()[1:-1]:
            key, _, value = line.partition(" ")
            out.setdefault(key, []).append(value)
        return out

    @contextlib.contextmanager
    def shown(self, image_id):
        """The root of an image, as a container sees it."""
        ready = self.ready(image_id)
        if "erofs" not in ready:
            self.assertEqual(len(ready["lower"]), 1, "a root of differences cannot be walked")
            yield pathlib.Path(ready["lower"][0])
            return
        meta, root = self.work / "meta", self.work / "root"
        for place in (meta, root):
            place.mkdir()
        subprocess.run(["mount", "-t", "erofs", "-o", "ro,loop", ready["erofs"][0], meta], check=True)
        try:
            subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                            f"ro,metacopy=on,redirect_dir=on,lowerdir={meta}::{ready['objects'][0]}",
                            root], check=True)
            try:
                yield root
            finally:
                subprocess.run(["umount", root], check=True)
        finally:
            subprocess.run(["umount", meta], check=True)
            meta.rmdir()
            root.rmdir()

    def blobs_of(self, archive):
        with tarfile.open(archive) as tar:
            return {m.name: tar.extractfile(m).read() for m in tar if m.isreg() and m.name.startswith("blobs/")}


class Forged(ImageTest):
    """Images made by hand: what each feature of a layer means."""

    def load(self, tars, compress=None, name="forged:1", **run):
        layout = self.layout()
        image_id = layout.image(name, tars, compress, **run)
        self.do("load", "-i", layout.path)
        self.assertEqual(self.id_of(name), image_id)
        return layout, image_id

    def test_every_change_that_a_layer_can_make(self):
        _, image_id = self.load(forge.changing_layers())
        with self.shown(image_id) as root:
            seen = listing(root, modes=False)
            kinds = {os.fsdecode(path): what[0] for path, what in seen.items()}
            read = lambda path: (root / path).read_bytes()
            self.assertEqual(read("d/new"), b"new")
            self.assertEqual(read("opaque/fresh"), b"fresh")
            self.assertEqual(read("across"), b"changed after")
            self.assertEqual(read("linked"), b"across")
            self.assertEqual(read("n" * 200 + "/" + "m" * 200), b"long")
            self.assertEqual(os.readlink(root / "l"), "/etc/../d/kept")
            self.assertEqual(kinds["becomes-file"], "-")
            self.assertEqual(kinds["becomes-folder"], "d")
            self.assertEqual(kinds["becomes-real"], "d")
            self.assertEqual(sorted(os.listdir(root / "opaque")), ["fresh"])
            self.assertEqual(sorted(os.listdir(root / "reborn")), ["after"])
            for gone in ("d/gone", "gone-folder", "opaque/sub", "becomes-file/in"):
                self.assertNotIn(gone, kinds)
            self.assertFalse([path for path in kinds if ".wh." in path])
            self.assertEqual(os.getxattr(root / "attr", "user.note"), b"hello")

    def test_owners_and_all_mode_bits_show_in_the_root_of_root(self):
        if self.user or os.getuid() != 0:
            self.skipTest("only root has a root that shows owners")
        tars = forge.changing_layers()
        capable = self.work / "capable"
        capable.write_bytes(b"cap")
        value = b"\x01\x00\x00\x02\x00\x04\x00\x00" + bytes(12)
        os.setxattr(capable, "security.capability", value)
        tars.append(subprocess.run(["tar", "-C", self.work, "--xattrs", "--xattrs-include=*", "-cf", "-",
                                    "capable"], check=True, capture_output=True).stdout)
        _, image_id = self.load(tars)
        with self.shown(image_id) as root:
            look = lambda path: ((st := (root / path).lstat()).st_mode & 0o7777, st.st_uid, st.st_gid)
            self.assertEqual(look("suid"), (0o4755, 0, 0))
            self.assertEqual(look("sgid"), (0o2755, 0, 0))
            self.assertEqual(look("shared"), (0o640, 3, 4))
            self.assertEqual(look("shared-too"), (0o640, 3, 4))
            self.assertEqual(look("tmp"), (0o1777, 0, 0))
            self.assertEqual(look("locked"), (0o700, 7, 8))
            self.assertEqual(look("d"), (0o711, 1, 0))
            self.assertEqual(look("secret"), (0, 0, 0))
            self.assertEqual((root / "secret").read_bytes(), b"none may")
            self.assertEqual(os.getxattr(root / "capable", "security.capability"), value)

    def test_each_compression_gives_the_same_tree_and_its_own_bytes_again(self):
        tars = forge.changing_layers()
        zstd = lambda data: subprocess.run([tool("zstd"), "-q", "-c"], input=data, check=True,
                                           capture_output=True).stdout
        forms = {"gzip": None, "none": (forge.plain, ""),
                 "members": (lambda tar: gzip.compress(tar[:700], mtime=0)
                             + gzip.compress(tar[700:], mtime=0), "+gzip")}
        if shutil.which("zstd"):
            forms["zstd"] = (zstd, "+zstd")
            forms["frames"] = (lambda tar: zstd(tar[:700]) + b"\x50\x2a\x4d\x18\x03\0\0\0abc"
                               + zstd(tar[700:]), "+zstd")
        trees = set()
        for form, compress in forms.items():
            with self.subTest(form=form):
                layout = self.layout(form)
                image_id = layout.image(f"{form}:1", tars, compress)
                self.do("load", "-i", layout.path)
                self.assertEqual(self.id_of(f"{form}:1"), image_id)
                trees.add(self.ready(image_id)["tree"][0])
                saved = self.work / f"{form}.tar"
                self.do("save", "-o", saved, f"{form}:1")
                wanted = {f"blobs/sha256/{p.name}": p.read_bytes()
                          for p in (layout.path / "blobs/sha256").iterdir()}
                self.assertEqual(self.blobs_of(saved), wanted)
        self.assertEqual(len(trees), 1)

    def test_odd_tars_are_given_back_bit_for_bit(self):
        first = forge.layer(forge.entry("a", content=b"x" * 1000), form=tarfile.GNU_FORMAT)
        sparse = self.work / "sparse"
        with open(sparse, "wb") as file:
            file.write(b"begin")
            file.seek(1 << 20)
            file.write(b"end")
        forms = {"no end": first[:1536], "much end": first + bytes(100_000),
                 "gnu long": forge.layer(forge.entry("l" * 200 + "/" + "m" * 200, content=b"y"), form=tarfile.GNU_FORMAT),
                 "old": forge.layer(forge.entry("v", content=b"z" * 512), form=tarfile.USTAR_FORMAT),
                 "empty": bytes(1024), "junk after the end": first + b"junk" * 200}
        for form in ("gnu", "posix"):
            forms["sparse " + form] = subprocess.run(
                ["tar", "-C", self.work, f"--format={form}", "--sparse", "-cf", "-", "sparse"],
                check=True, capture_output=True).stdout
        for number, (form, tar) in enumerate(forms.items()):
            with self.subTest(form=form):
                layout = self.layout(f"odd{number}")
                image_id = layout.image(f"odd{number}:1", [tar], (forge.plain, ""))
                self.do("load", "-i", layout.path)
                saved = self.work / f"odd{number}.tar"
                self.do("save", "-o", saved, f"odd{number}:1")
                self.assertEqual(self.blobs_of(saved)["blobs/sha256/" + forge.digest(tar)[7:]], tar)
                if form.startswith("sparse"):
                    with self.shown(image_id) as root:
                        self.assertEqual((root / "sparse").read_bytes(), sparse.read_bytes())

    def test_of_two_entries_with_one_name_the_later_counts(self):
        entry, folder = forge.entry, forge.folder
        tar = forge.layer(entry("twice", content=b"first"), entry("twice", content=b"second"),
                          entry("a", content=b"file"), folder("a"), entry("a/in", content=b"in"),
                          folder("b"), entry("b/in", content=b"in"), entry("b", content=b"file"))
        layout, image_id = self.load([tar], (forge.plain, ""))
        with self.shown(image_id) as root:
            self.assertEqual((root / "twice").read_bytes(), b"second")
            self.assertEqual((root / "a/in").read_bytes(), b"in")
            self.assertEqual((root / "b").read_bytes(), b"file")
        self.do("gc", "--all")
        self.do("save", "-o", self.work / "saved.tar", "forged:1")
        blobs = self.blobs_of(self.work / "saved.tar")
        self.assertEqual(blobs["blobs/sha256/" + forge.digest(tar)[7:]], tar)

    def test_a_second_load_reads_no_layer(self):
        layout, image_id = self.load(forge.changing_layers())
        for blob in (layout.path / "blobs/sha256").iterdir():
            if blob.read_bytes()[:2] == b"\x1f\x8b":
                blob.unlink()
        self.do("load", "-i", layout.path)
        self.assertEqual(self.id_of("forged:1"), image_id)

    def test_images_that_share_layers_store_them_once(self):
        tars = forge.changing_layers()
        self.load(tars[:2], name="base:1")
        layout = self.layout("more")
        layout.image("more:1", tars)
        before = sum(1 for _ in (self.store / "objects").rglob("*"))
        for name in {forge.digest(gzip.compress(tar, 1, mtime=0))[7:] for tar in tars[:2]}:
            (layout.path / "blobs/sha256" / name).unlink()
        self.do("load", "-i", layout.path)
        self.assertLess(sum(1 for _ in (self.store / "objects").rglob("*")) - before, 12)

    def test_bundles_of_what_is_new(self):
        tars = forge.changing_layers()
        self.load(tars[:2], name="first:1")
        more = self.layout("more")
        second = more.image("second:1", tars)
        self.do("load", "-i", more.path)
        whole, delta = self.work / "whole.tar", self.work / "delta.tar"
        self.do("bundle", "-o", whole, "first:1")
        self.do("bundle", "-o", delta, "--since", "first:1", "second:1")
        self.assertEqual(set(self.blobs_of(whole)) & set(self.blobs_of(delta)), set())
        self.store = self.work / "elsewhere"
        done = self.run_kist("load", "-i", str(delta))
        self.assertEqual(done.status, 1, done)
        self.assertIn("only what is new since the image sha256:", done.err)
        self.assertIn("hint: load the archive of that image first", done.err)
        self.assertEqual(self.do("images", "-q"), "")
        self.do("load", "-i", whole)
        self.do("load", "-i", delta)
        self.assertEqual(self.id_of("second:1"), second)
        done = self.run_kist("save", "--format", "docker", "--since", "first:1", "-o", str(self.work / "x"), "second:1")
        self.assertEqual(done.status, 2, done)

    def test_gc_keeps_what_a_name_or_a_container_needs(self):
        _, image_id = self.load(forge.changing_layers())
        tree = self.ready(image_id)["tree"][0]
        self.do("gc", "--all")
        self.do("fsck", "--full")
        with self.shown(image_id) as root:
            self.assertEqual((root / "linked").read_bytes(), b"across")
        container = self.store / "containers/ids/c0ffee"
        container.mkdir(parents=True)
        (container / "roots").write_text(tree + "\n")
        if self.user:
            lib.own(self.store / "containers", self.user)
        self.assert_fails(self.run_kist("rmi", "forged:1"), 1, f"""
error: conflict: unable to delete {image_id[7:19]} (must be forced) - container c0ffee is using it

hint: `kist rmi --force {image_id[7:19]}`
""")
        self.do("rmi", "--force", "forged:1")
        self.do("gc", "--all")
        self.assertTrue((self.store / "trees" / tree[7:9] / tree[9:]).exists())
        shutil.rmtree(container)
        self.do("gc", "--all")
        self.assertFalse((self.store / "trees" / tree[7:9] / tree[9:]).exists())
        left = [p for p in (self.store / "objects").rglob("*") if p.is_file()]
        self.assertEqual(left, [])

    def test_tag_rmi_and_names(self):
        _, image_id = self.load(forge.changing_layers(), Labels={"kind": "test"}, Cmd=["/bin/sh"],
                                Env=["A=1"])
        self.do("tag", "forged:1", "registry.example:5000/team/tool")
        self.assertEqual(self.id_of("registry.example:5000/team/tool:latest"), image_id)
        self.assertEqual(self.id_of(image_id[7:13]), image_id)
        names = self.do("images", "--format", "{{.Repository}}:{{.Tag}}").split()
        self.assertEqual(names, ["forged:1", "registry.example:5000/team/tool:latest"])
        self.assertEqual(self.do("images", "-q", "--no-trunc"), image_id + "\n")
        self.assertEqual(self.do("images", "-q", "--filter", "label=kind=other"), "")
        self.assertEqual(self.run_kist("rmi", image_id[7:19]).status, 1)
        self.assertEqual(self.do("rmi", "forged:1"), "Untagged: forged:1\n")
        removed = self.do("image", "rm", "registry.example:5000/team/tool")
        self.assertIn(f"Deleted: {image_id}\n", removed)
        self.assertEqual(self.do("images", "-q"), "")
        self.assertFalse(list((self.store / "images").rglob("*.ready")))

    def test_docker_archives_in_every_wrapping(self):
        tars = forge.changing_layers()
        config = forge.config_of(tars)
        members = {f"{forge.digest(config)[7:]}.json": config}
        members |= {f"l{i}/layer.tar": tar for i, tar in enumerate(tars)}
        members["manifest.json"] = json.dumps([{
            "Config": f"{forge.digest(config)[7:]}.json", "RepoTags": ["saved:1", "saved:2"],
            "Layers": [f"l{i}/layer.tar" for i in range(len(tars))]}]).encode()
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        plain = out.getvalue()
        for name, data in {"plain": plain, "gz": gzip.compress(plain)}.items():
            path = self.work / name
            path.write_bytes(data)
            said = self.do("load", "-i", path)
            self.assertEqual(said, "Loaded image: saved:1\nLoaded image: saved:2\n")
            self.assertEqual(self.id_of("saved"  + ":2"), forge.digest(config))
            with open(path, "rb") as stream:
                self.do("load", stdin=stream)
            piped = subprocess.Popen(["cat", path], stdout=subprocess.PIPE)
            self.do("load", stdin=piped.stdout)
            piped.stdout.close()
            piped.wait()
        saved = self.work / "again.tar"
        self.do("save", "--format", "docker", "-o", saved, "saved:1", "saved:2")
        with tarfile.open(saved) as tar:
            listed = json.load(tar.extractfile("manifest.json"))
            self.assertEqual(listed[0]["RepoTags"], ["saved:1", "saved:2"])
            self.assertEqual(tar.extractfile(listed[0]["Config"]).read(), config)
            self.assertEqual([tar.extractfile(name).read() for name in listed[0]["Layers"]], tars)

    def test_import_with_changes(self):
        tar = forge.layer(forge.entry("bin/tool", content=b"tool", mode=0o755))
        path = self.work / "rootfs.tar.gz"
        path.write_bytes(gzip.compress(tar))
        image_id = self.do("import", path, "tool:1", "--change", 'CMD ["tool", "-x"]', "--change",
                           "ENV A=1 B='x y'", "--change", "EXPOSE 80 53/udp", "--change", "USER 5:6",
                           "--change", "WORKDIR /w").strip()
        config = json.loads(self.do("inspect", "tool:1"))[0]["Config"]
        self.assertEqual(config, {"User": "5:6", "ExposedPorts": {"53/udp": {}, "80/tcp": {}},
                                  "Env": ["A=1", "B=x y"], "Cmd": ["tool", "-x"], "WorkingDir": "/w"})
        with self.shown(image_id) as root:
            self.assertEqual((root / "bin/tool").read_bytes(), b"tool")
        self.assertEqual(self.run_kist("import", str(path), "--change", "FROM x").status, 2)

    def test_killed_loads_leave_nothing_half_done(self):
        tar = forge.layer(*[forge.entry(f"f{i}", content=os.urandom(3000)) for i in range(2000)])
        layout = self.layout()
        image_id = layout.image("killed:1", [tar, *forge.changing_layers()])
        killed = 0
        for wait in (0.005, 0.02, 0.04, 0.08, 0.12, 0.2, 0.3):
            process = self.start("load", "-i", str(layout.path), start_new_session=True)
            time.sleep(wait)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            killed += process.returncode == -signal.SIGKILL
            shown = self.do("images", "-q", "--no-trunc").split()
            self.assertIn(shown, ([], [image_id]))
            self.assert_store_clean()
            if shown:
                self.do("rmi", "-f", image_id)
        self.assertGreater(killed, 0, "every load had ended before it was killed")
        self.do("load", "-i", layout.path)
        self.assertEqual(self.id_of("killed:1"), image_id)
        self.assert_store_clean()


class ForgedAsUser(Forged):
    user = lib.PLAIN_UID


class Hostile(ImageTest):
    """Refused, with a reason, and nothing is left."""

    def refused(self, tars, reason, compress=None):
        layout = self.layout(f"l{len(list(self.work.iterdir()))}")
        layout.image("evil:1", tars, compress)
        self.refused_path(layout.path, reason)

    def refused_path(self, path, reason):
        done = self.run_kist("load", "-i", str(path), timeout=120)
        self.assertEqual(done.status in (1, 2), True, done)
        self.assertIn(reason, done.err)
        self.assertEqual(self.do("images", "-q"), "")

    def test_paths(self):
        entry, folder, link, hard = forge.entry, forge.folder, forge.link, forge.hard
        self.refused([forge.layer(entry("../escape", content=b"x"))], "leads out of the image")
        self.refused([forge.layer(entry("a/../../escape"))], "leads out of the image")
        self.refused([forge.layer(hard("h", "../../etc/passwd"))], "leads out of the image")
        self.refused([forge.layer(hard("h", "nowhere"))], "is in no layer")
        self.refused([forge.layer(entry("d/.wh..."))], "would hide a folder that it lies in")
        self.refused([forge.layer(entry("d/.wh.."))], "would hide a folder that it lies in")
        self.refused([forge.layer(entry("d/.wh."))], "would hide a folder that it lies in")
        self.refused([forge.layer(link("a", "b"), link("b", "a"), entry("a/x"))], "symlinks")
        self.refused([forge.layer(folder("d"), hard("h", "d"))], "leads to the folder")
        self.refused([forge.layer(entry("n" * 256))], "component of 256 bytes")
        self.refused([forge.layer(entry("u", uid=2**32 - 1))], "which is no user")

    def test_links_are_followed_inside_only(self):
        victim = self.work / "victim"
        victim.mkdir()
        layout = self.layout()
        image_id = layout.image("inside:1", [forge.layer(
            forge.link("out", str(victim)), forge.entry("out/x", content=b"x"),
            forge.link("up", "../../../.."), forge.entry("up/y", content=b"y"))])
        self.do("load", "-i", layout.path)
        self.assertEqual(list(victim.iterdir()), [])
        with self.shown(image_id) as root:
            self.assertEqual((root / "y").read_bytes(), b"y")
            self.assertEqual((root / str(victim)[1:] / "x").read_bytes(), b"x")
        self.do("rmi", "inside:1")

    def test_damage(self):
        tars = forge.changing_layers()
        pack = lambda tar: gzip.compress(tar, mtime=0)
        for name, harm in {
                "cut": (lambda t: pack(t)[:-20], "cut off"),
                "flipped": (lambda t: pack(t)[:-6] + b"\0" + pack(t)[-5:], "damaged gzip"),
                "trailing": (lambda t: pack(t) + b"more", "gzip stream"),
                "other": (lambda t: pack(t[:-1024] + bytes(2048)), "has the diff id")}.items():
            with self.subTest(name=name):
                self.refused(tars, harm[1], (harm[0], "+gzip"))
        layout = self.layout()
        layout.image("evil:1", tars)
        for blob in (layout.path / "blobs/sha256").iterdir():
            if blob.read_bytes()[:2] == b"\x1f\x8b":
                blob.write_bytes(gzip.compress(b"something else"))
        self.refused_path(layout.path, "")

    def test_bombs(self):
        zeros = forge.layer(forge.entry("z", content=bytes(1 << 20)))
        header = zeros[:512]
        size = b"77777777777\0"  # 8 GiB that never come.
        lying = header[:124] + size + header[136:148] + b" " * 8 + header[156:]
        lying = lying[:148] + b"%06o\0 " % sum(lying) + lying[156:]
        self.refused([lying], "damaged tar stream")
        if shutil.which("zstd"):
            out = subprocess.run("head -c 3G /dev/zero | zstd -q -19 --long=27 -c", shell=True,
                                 check=True, capture_output=True).stdout
            layout = self.layout("zstd")
            layout.image("evil:1", [zeros], (lambda tar: out, "+zstd"))
            begin = time.monotonic()
            self.refused_path(layout.path, "")
            self.assertLess(time.monotonic() - begin, 30)

    def test_documents(self):
        def broken(change, reason):
            layout = self.layout(f"l{len(list(self.work.iterdir()))}")
            layout.image("evil:1", [forge.layer(forge.entry("a"))])
            change(layout)
            self.refused_path(layout.path, reason)

        def index_loop(layout):
            described = {"mediaType": "application/vnd.oci.image.index.v1+json",
                         "platform": {"os": "linux", "architecture": "amd64"},
                         "digest": "sha256:" + "0" * 64, "size": 1}
            (layout.path / "index.json").write_text(json.dumps(
                {"schemaVersion": 2, "manifests": [described]}))

        broken(index_loop, "blobs/sha256/000")
        broken(lambda l: (l.path / "index.json").write_text("[" * 100_000), "not JSON")
        broken(lambda l: (l.path / "index.json").write_text("{}"), "schema version")
        broken(lambda l: (l.path / "index.json").unlink(), "neither index.json")
        broken(lambda l: [p.write_bytes(p.read_bytes() + b" ") for p in
                          (l.path / "blobs/sha256").iterdir()], "want")
        (self.work / "empty").write_bytes(b"")
        self.refused_path(self.work / "empty", "is empty")
        (self.work / "junk").write_bytes(os.urandom(5000))
        self.refused_path(self.work / "junk", "error")

    def test_layout_that_links_out_of_itself(self):
        layout = self.layout()
        layout.image("evil:1", [forge.layer(forge.entry("a"))])
        for blob in (layout.path / "blobs/sha256").iterdir():
            outside = self.work / blob.name
            blob.rename(outside)
            blob.symlink_to(outside)
        self.refused_path(layout.path, "error")


class OtherTools(ImageTest):
    """What podman, buildah, skopeo and umoci write is read, and what kist writes they read."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if os.getuid() != 0:
            raise unittest.SkipTest("podman's storage here is root's")

    def setUp(self):
        super().setUp()
        self.layers = forge.changing_layers()
        self.made = self.layout("made")
        self.image_id = self.made.image("localhost/forged:1", self.layers)

    def ref(self, path):
        return f"oci:{path}:localhost/forged:1"

    def podman_storage(self):
        # podman takes no runroot of more than 50 characters.
        run = tempfile.mkdtemp(prefix="kist-", dir="/tmp")
        self.addCleanup(lib.remove_tree, run)
        return ["--root", str(self.work / "storage"), "--runroot", run, "--storage-driver", "vfs"]

    def run_tool(self, *args):
        tool(args[0])
        done = subprocess.run([*map(str, args)], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_the_same_files_as_umoci_shows(self):
        tool("umoci")
        # umoci's names for tags have neither '/' nor ':'.
        made = self.layout("umoci")
        image_id = made.image("forged", self.layers)
        bundle = self.work / "bundle"
        self.run_tool("umoci", "unpack", "--image", f"{made.path}:forged", bundle)
        self.do("load", "-i", made.path)
        with self.shown(image_id) as root:
            self.assertEqual(listing(root), listing(bundle / "rootfs"))

    def test_the_same_files_as_podman_shows(self):
        tool("podman")
        storage = self.podman_storage()
        archive = self.work / "made.tar"
        self.run_tool("tar", "-C", self.made.path, "-cf", archive, ".")
        self.run_tool("podman", *storage, "load", "-i", archive)
        name = self.run_tool("podman", *storage, "images", "-q", "--no-trunc").strip()
        self.assertEqual(name, self.image_id)
        mounted = self.run_tool("podman", *storage, "image", "mount", self.image_id[7:]).strip()
        self.do("load", "-i", self.made.path)
        try:
            with self.shown(self.image_id) as root:
                self.assertEqual(listing(root), listing(mounted))
        finally:
            self.run_tool("podman", *storage, "image", "umount", self.image_id[7:])

    def test_podman_both_ways(self):
        tool("podman")
        storage = self.podman_storage()
        for form in ("docker", "oci"):
            with self.subTest(form=form):
                self.do("load", "-i", self.made.path)
                ours = self.work / f"{form}.tar"
                self.do("save", "--format", form, "-o", ours, "localhost/forged:1")
                self.run_tool("podman", *storage, "load", "-i", ours)
                ids = self.run_tool("podman", *storage, "images", "-q", "--no-trunc").strip()
                self.assertEqual(ids, self.image_id)
                theirs = self.work / f"podman-{form}.tar"
                self.run_tool("podman", *storage, "save", "--format", f"{form}-archive", "-o",
                              theirs, "localhost/forged:1")
                self.do("rmi", "-f", "localhost/forged:1")
                self.do("load", "-i", theirs)
                self.assertEqual(self.id_of("localhost/forged:1"), self.image_id)

    def test_skopeo_copies_what_kist_saved(self):
        tool("skopeo")
        self.do("load", "-i", self.made.path)
        ours = self.work / "ours.tar"
        self.do("save", "-o", ours, "localhost/forged:1")
        copied = self.work / "copied"
        self.run_tool("skopeo", "copy", f"oci-archive:{ours}:localhost/forged:1", f"oci:{copied}:again")
        index = json.loads((copied / "index.json").read_text())
        digest = self.do("inspect", "--format", "{{.Digest}}", "localhost/forged:1").strip()
        self.assertEqual(index["manifests"][0]["digest"], digest)
        # As a plain user skopeo gives folders that have no member to root, which it may not.
        own = self.work / "own"
        own.mkdir()
        lib.own(own, lib.PLAIN_UID)
        plain = subprocess.run(["setpriv", "--reuid", str(lib.PLAIN_UID), "--regid", str(lib.PLAIN_UID), "--clear-groups", "skopeo",
                                "inspect", f"oci-archive:{ours}:localhost/forged:1"], capture_output=True, text=True,
                               env={**os.environ, "HOME": str(own), "TMPDIR": str(own), "XDG_RUNTIME_DIR": str(own)})
        self.assertEqual(plain.returncode, 0, plain.stderr)
        docker = self.work / "ours.docker.tar"
        self.do("save", "--format", "docker", "-o", docker, "localhost/forged:1")
        config = self.run_tool("skopeo", "inspect", "--config", "--raw", f"docker-archive:{docker}")
        self.assertEqual(forge.digest(config.encode()), self.image_id)
        theirs = self.work / "theirs.tar"
        self.run_tool("skopeo", "copy", self.ref(self.made.path), f"docker-archive:{theirs}:localhost/x:2")
        self.do("load", "-i", theirs)
        self.assertEqual(self.id_of("localhost/x:2"), self.image_id)

    def test_umoci_unpacks_what_kist_saved(self):
        tool("umoci")
        self.do("load", "-i", self.made.path)
        self.do("tag", "localhost/forged:1", "forged")
        ours = self.work / "ours.tar"
        self.do("save", "-o", ours, self.image_id)
        layout = self.work / "unpacked"
        layout.mkdir()
        self.run_tool("tar", "-C", layout, "-xf", ours)
        index = json.loads((layout / "index.json").read_text())
        index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "one"}
        (layout / "index.json").write_text(json.dumps(index))
        self.run_tool("umoci", "unpack", "--image", f"{layout}:one", self.work / "bundle")
        with self.shown(self.image_id) as root:
            self.assertEqual(listing(root), listing(self.work / "bundle/rootfs"))


if __name__ == "__main__":
    lib.main()
