#!/usr/bin/env python3
"""An image as the base of an environment: locked, run, built upon, and refused when it cannot be.

The images are made of the primed store's own Debian base (lib.py), with Python where images have it, and
served by `kist registry serve`.
"""
import hashlib
import http.client
import io
import json
import os
import pathlib
import re
import subprocess
import tarfile
import time
import unittest

import image_forge as forge
import lib

# Packs the container's root. "usr": as Debian has it; "local": Python below /usr/local, as official images
# have it; "none": no Python.
PACK = r"""
import os, sys, tarfile
form, path = sys.argv[1:]
minor = "python%d.%d" % sys.version_info[:2]
def moved(info):
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = 1000000000
    name = info.name
    if name.startswith(("var/tmp/", "usr/share/doc/")): return None
    is_python = name.startswith(("usr/lib/python3", "usr/bin/python3"))
    if form == "none" and is_python: return None
    if form != "local": return info
    if "__pycache__" in name or name == "usr/bin/python3": return None
    if is_python: info.name = "usr/local" + name[3:]
    return info
with tarfile.open(path, "w") as out:
    for name in ("bin", "etc", "lib", "lib64", "sbin", "usr", "var"):
        if os.path.lexists("/" + name): out.add("/" + name, name, filter=moved)
    link = tarfile.TarInfo("usr/local/bin/python3")
    link.type, link.linkname = tarfile.SYMTYPE, minor
    if form == "local": out.addfile(link)
"""
SHOW = """
import json, os, sys, thing
print(json.dumps({"prefix": sys.prefix, "base": sys.base_prefix, "version": "%d.%d.%d" % sys.version_info[:3],
  "thing": thing.__version__, "path": os.environ["PATH"], "of_image": os.environ.get("OF_IMAGE"),
  "threads": os.environ.get("OMP_NUM_THREADS"), "pythonpath": os.environ.get("PYTHONPATH")}))
"""
CHANGES = ["ENV OF_IMAGE=yes PYTHONPATH=/nowhere OMP_NUM_THREADS=3", "LABEL owner=them", "LABEL org.opencontainers.image.title=python",
           "EXPOSE 99", "USER nobody", "ENTRYPOINT [\"/bin/false\"]", "STOPSIGNAL SIGINT",
           "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


class Registry:
    """`kist registry serve` over a folder."""

    def __init__(self, kist, folder):
        self.kist, self.folder = kist, folder

    def __enter__(self):
        self.process = subprocess.Popen(
            [self.kist, "registry", "serve", "--listen", "127.0.0.1:0", "--root", self.folder, "--access-log", "none"],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        line = self.process.stderr.readline()
        self.host = "127.0.0.1:" + line.rsplit(":", 1)[1].strip()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self.process.stderr.close()

    def manifest(self, repository, reference):
        connection = http.client.HTTPConnection(self.host, timeout=60)
        connection.request("GET", f"/v2/{repository}/manifests/{reference}", None,
                           {"Accept": f"{MANIFEST}, {INDEX}"})
        answer = connection.getresponse()
        self.last = answer.read()
        connection.close()
        return json.loads(self.last) if answer.status == 200 else None

    def size(self, repository, reference):
        self.manifest(repository, reference)
        return len(self.last)

    def put_index(self, repository, tag, manifests):
        """`manifests`: platform → digest and size."""
        body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {"mediaType": MANIFEST, "digest": digest, "size": size,
             "platform": {"os": "linux", "architecture": architecture}}
            for architecture, (digest, size) in manifests.items()]})
        connection = http.client.HTTPConnection(self.host, timeout=60)
        connection.request("PUT", f"/v2/{repository}/manifests/{tag}", body, {"Content-Type": INDEX})
        status = connection.getresponse().status
        connection.close()
        assert status == 201, status


def packed_trees():
    """form → tar, once for each kist under test."""
    lib.primed_store()
    cache = lib.cache_folder()
    folder = cache / "base-image"
    forms = ("usr", "local", "none")
    wanted = [folder / f"{form}.tar" for form in forms]
    if all(path.exists() and path.stat().st_mtime > (cache / "primed.key").stat().st_mtime for path in wanted):
        return dict(zip(forms, wanted))
    folder.mkdir(exist_ok=True)
    (folder / "requirements.txt").write_text("")
    for form in forms:
        done = subprocess.run([cache / "bin" / "kist", "run", "--root", "python", "-c", PACK, form, f"{form}.part"],
                              cwd=folder, env={**lib.host_environment(), "HOME": str(folder), "KIST_HOME": str(cache / "primed")},
                              capture_output=True, text=True, timeout=900)
        if done.returncode != 0:
            raise unittest.SkipTest("Debian's tree cannot be packed:\n" + done.stderr)
        (folder / f"{form}.part").rename(folder / f"{form}.tar")
    return dict(zip(forms, wanted))


def members(archive):
    """Names in all layers of what `docker save` would write."""
    with tarfile.open(archive) as whole:
        for name in whole.getnames():
            if name.endswith(".tar"):
                with tarfile.open(fileobj=io.BytesIO(whole.extractfile(name).read())) as layer:
                    yield from layer.getnames()


class BaseImageTest(lib.KistTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.trees = packed_trees()
        (cls.folder / "registry").mkdir()
        cls.registry = Registry(cls.kist, cls.folder / "registry")
        cls.registry.__enter__()
        cls.addClassCleanup(cls.registry.__exit__)

    def setUp(self):
        super().setUp()
        self.wheel("thing")
        self.write({"requirements.txt": "thing\n", "show.py": SHOW})

    def import_tree(self, form, *names, changes=CHANGES):
        path = self.folder / f"{form}.tar"
        if not path.exists():
            os.link(self.trees[form], path) if self.trees[form].stat().st_dev == self.folder.stat().st_dev \
                else path.write_bytes(self.trees[form].read_bytes())
            path.chmod(0o644)
        for name in names:
            done = self.run_kist("import", *[f"--change={change}" for change in changes], str(path), name)
            self.assertEqual(done.status, 0, done)

    def pushed(self, form, repository, **more):
        """The name of an image that is in the registry and not here."""
        name = f"{self.registry.host}/{repository}"
        self.import_tree(form, name, **more)
        self.assert_runs(self.run_kist("push", name))
        self.assert_runs(self.run_kist("rmi", name))
        return name

    def base(self, name, more=""):
        self.write({"kist.toml": f'[environment]\nbase = "{name}"\n{more}'})

    def lock(self):
        return (self.project / "pylock.kist.toml").read_text()

    def locked_digest(self):
        return re.search(r'image = \{ digest = "(sha256:[0-9a-f]{64})"', self.lock())[1]

    def shown(self, *args, env=None):
        done = self.run_kist("run", *args, "show.py", timeout=900, env=env)
        self.assertEqual(done.status, 0, done)
        return json.loads(done.out)


class BaseImage(BaseImageTest):
    def test_lock_run_and_the_listings(self):
        name = self.pushed("local", "team/python:1")
        self.base(name)
        done = self.run_kist("lock", timeout=900)
        self.assertEqual(done.status, 0, done)
        lock = self.lock()
        self.assertIn(f'base = "{name}"\n', lock)
        minor = re.search(r'python = "/usr/local/bin/python(3\.\d+)", libc = "glibc 2\.\d+" }', lock)[1]
        self.assertRegex(lock, r'\nversion = 2\n')
        self.assertNotIn("debian = [", lock)
        self.assertEqual(self.run_kist("lock", "--locked").status, 0)
        said = self.shown(env={"OMP_NUM_THREADS": "5"})
        self.assertEqual([said["prefix"], said["base"], said["thing"]], ["/opt/kist", "/usr/local", "1.0"])
        self.assertTrue(said["version"].startswith(minor + "."), said)
        self.assertIn(f'python = "{said["version"]}"', lock)
        self.assertEqual(said["path"], "/opt/kist/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        # The image's variables, but not what leads past the lock; the host's own come first.
        self.assertEqual([said["of_image"], said["pythonpath"], said["threads"]], ["yes", None, "5"])
        self.assertEqual(self.shown()["threads"], "3")
        # Debian's Python is not where it was: only the image's own is there.
        self.assert_runs(self.run_kist("run", "sh", "-c", "ls /usr/bin/python3* 2>/dev/null | wc -l"), "0\n")
        self.assert_runs(self.run_kist("run", "--offline", "python", "-c", "print(6)"), "6\n")
        self.assert_runs(self.run_kist("run", "--frozen", "--offline", "python", "-c", "print(7)"), "7\n")
        status = self.run_kist("status")
        self.assertEqual(status.status, 0, status)
        self.assertIn("current, 1 Python packages\n", status.out)
        self.assertIn(f"base         {name} ({self.locked_digest()}), Python {said['version']} at "
                      f"/usr/local/bin/python{minor}, glibc 2.", status.out)
        self.assertIn(f"{name} {self.locked_digest()[7:19]} (image)", self.run_kist("size").out)
        self.assertIn(f"{name} {self.locked_digest()[7:19]}\n", self.run_kist("tree").out)
        self.assert_runs(self.run_kist("why", "thing"), "requirements.txt:1 → thing 1.0\n")
        self.assertIn(f"kist.toml → {name}", self.run_kist("why", name).out)
        verified = self.run_kist("verify", timeout=900)
        self.assertEqual(verified.status, 0, verified)
        self.assertIn("identical: ", verified.out)

    def test_a_tag_is_pinned_until_it_is_upgraded(self):
        name = self.pushed("local", "team/moving:1")
        self.base(name)
        self.assert_runs(self.run_kist("lock", timeout=900))
        first = self.locked_digest()
        self.assertEqual(self.pushed("local", "team/moving:1", changes=["LABEL new=yes"]), name)
        self.write({"requirements.txt": "thing>=1\n"})
        self.assert_runs(self.run_kist("lock"))
        self.assertEqual(self.locked_digest(), first)
        self.assertIsNone(self.shown()["pythonpath"])
        self.assert_runs(self.run_kist("lock", "--upgrade"))
        self.assertNotEqual(self.locked_digest(), first)
        self.assertIsNone(self.shown()["of_image"])

    def test_what_is_built_has_the_layers_below_as_they_are(self):
        name = self.pushed("local", "team/below:1")
        below = self.registry.manifest("team/below", "1")
        self.base(name, '[image]\nports = [8888]\n')
        built = self.run_kist("build", "--json", "-t", f"{self.registry.host}/team/above:1", timeout=900)
        self.assertEqual(built.status, 0, built)
        built = json.loads(built.out)
        count = len(below["layers"])
        self.assertEqual([layer["digest"] for layer in built["layers"][:count]],
                         [layer["digest"] for layer in below["layers"]])
        self.assertEqual([layer["name"] for layer in built["layers"][:count + 1]],
                         [f"base image/{i + 1}" for i in range(count)] + ["interpreter"])
        # Mounted from the repository that has it: none of it is sent.
        pushed = self.run_kist("push", "--json", f"{self.registry.host}/team/above:1")
        self.assertEqual(pushed.status, 0, pushed)
        above = self.registry.manifest("team/above", "1")
        self.assertEqual(above["layers"][:count], below["layers"])
        self.assertEqual([layer["state"] for layer in json.loads(pushed.out)["layers"]],
                         ["Mounted"] * count + ["Pushed"] * (len(above["layers"]) - count))
        config = json.loads(self.run_kist("inspect", "--type", "image", f"{self.registry.host}/team/above:1").out)[0]["Config"]
        self.assertEqual(config["User"], "10001")
        self.assertFalse(config.get("Entrypoint"))
        self.assertEqual(config["Cmd"], ["python"])
        self.assertEqual(config["StopSignal"], "SIGINT")
        self.assertEqual(sorted(config["ExposedPorts"]), ["8888/tcp", "99/tcp"])
        self.assertIn("OF_IMAGE=yes", config["Env"])
        self.assertIn("PATH=/opt/kist/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", config["Env"])
        labels = config["Labels"]
        self.assertEqual(labels["owner"], "them")
        self.assertNotIn("org.opencontainers.image.title", labels)
        self.assertEqual(labels["org.opencontainers.image.base.name"], name)
        self.assertEqual(labels["org.opencontainers.image.base.digest"], self.locked_digest())
        history = self.run_kist("history", "--no-trunc", f"{self.registry.host}/team/above:1").out
        self.assertIn("kist build: metadata", history)
        self.assertGreater(history.count("\n"), count + 3)
        run = self.run_kist("run", "--rm", "--image", f"{self.registry.host}/team/above:1", "python", "/app/show.py")
        self.assertEqual(run.status, 0, run)
        said = json.loads(run.out)
        self.assertEqual([said["prefix"], said["base"], said["thing"]], ["/opt/kist", "/usr/local", "1.0"])
        # The standard library's byte-code, which this base lacks, is in what was built.
        run = self.run_kist("run", "--rm", "--image", f"{self.registry.host}/team/above:1", "python", "-c",
                            "import json, os; print(os.path.exists(json.__cached__))")
        self.assert_runs(run, "True\n")
        again = json.loads(self.run_kist("build", "--json", "-t", "above:2").out)
        self.assertEqual(again["digest"], built["digest"])
        self.assertEqual(again["known_layers"], len(built["layers"]))

    def test_an_image_that_kist_built_is_a_base_too(self):
        self.wheel("older")
        other = self.make_project("below-", {"requirements.txt": "older\n", "note.txt": "from below\n"})
        self.assert_runs(self.run_kist("build", "-t", "below:1", project=other, timeout=900))
        self.base("below:1")
        self.assertIn("/usr", self.shown()["base"])
        missing = self.run_kist("run", "python", "-c", "import older")
        self.assertEqual(missing.status, 1, missing)
        self.assert_runs(self.run_kist("build", "-t", "above:1", timeout=900))
        for command, said in (("import thing; print(thing.__version__)", "1.0\n"),
                              ("import os; print(sorted(n for n in os.listdir('/opt/kist/lib/' + os.listdir('/opt/kist/lib')[0] "
                               "+ '/site-packages') if 'older' in n))", "[]\n"),
                              ("print(open('/app/note.txt').read(), end='')", "from below\n")):
            self.assert_runs(self.run_kist("run", "--rm", "--image", "above:1", "python", "-c", command), said)

    def test_other_inputs_other_base(self):
        self.import_tree("usr", "same:1")
        self.base("same:1")
        self.shown()
        first = self.lock()
        self.import_tree("local", "another:1")
        self.base("another:1")
        self.assertEqual(self.run_kist("lock", "--locked").status, 2)
        self.assertEqual(self.shown()["base"], "/usr/local")
        self.assertNotEqual(self.lock(), first)

    def test_a_source_distribution_is_built_in_the_image(self):
        self.import_tree("local", "builds:1")
        self.base("builds:1")
        backend = ("import zipfile\n"
                   "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
                   "    name = 'pure-1.0-py3-none-any.whl'\n"
                   "    with zipfile.ZipFile(folder + '/' + name, 'w') as z:\n"
                   "        z.writestr('pure.py', 'import sys\\nWHERE = %r' % __import__('sys').base_prefix)\n"
                   "        z.writestr('pure-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: pure\\nVersion: 1.0\\n')\n"
                   "        z.writestr('pure-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n"
                   "        z.writestr('pure-1.0.dist-info/RECORD', '')\n"
                   "    return name\n")
        self.write({"pure/pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
                                           '[project]\nname = "pure"\nversion = "1.0"\n',
                    "pure/backend.py": backend, "requirements.txt": "thing\n./pure\n"})
        done = self.run_kist("run", "python", "-c", "import pure; print(pure.WHERE)", timeout=900)
        self.assert_runs(done, "/usr/local\n")


def for_arm(source, target):
    """The same tree, with ELF files that say that they are for the other machine."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old:
            data = old.extractfile(member).read() if member.isreg() else None
            if data and data[:4] == b"\x7fELF":
                data = data[:18] + b"\xb7\x00" + data[20:]
            if member.name.endswith("/ld-linux-x86-64.so.2"):
                continue
            member.name = member.name.replace("x86_64-linux-gnu", "aarch64-linux-gnu")
            member.linkname = member.linkname.replace("x86_64-linux-gnu", "aarch64-linux-gnu")
            new.addfile(member, None if data is None else io.BytesIO(data))


class Platforms(BaseImageTest):
    def test_each_has_its_own_of_an_index(self):
        for_arm(self.trees["local"], self.folder / "arm.tar")
        repository = f"{self.registry.host}/team/both"
        self.import_tree("local", f"{repository}:amd64")
        done = self.run_kist("import", "--platform", "linux/arm64", str(self.folder / "arm.tar"), f"{repository}:arm64")
        self.assertEqual(done.status, 0, done)
        manifests = {}
        for architecture in ("amd64", "arm64"):
            pushed = self.run_kist("push", "--json", f"{repository}:{architecture}")
            self.assertEqual(pushed.status, 0, pushed)
            image = json.loads(self.run_kist("inspect", "--type", "image", f"{repository}:{architecture}").out)[0]
            digest = image["RepoDigests"][0].split("@")[1]
            manifests[architecture] = (digest, self.registry.size(repository.split("/", 1)[1], architecture))
        self.registry.put_index("team/both", "1", manifests)
        self.base(f"{repository}:1")
        self.assert_runs(self.run_kist("lock", "--platform", "linux/amd64", "--platform", "linux/arm64", timeout=900))
        self.assertEqual(self.locked_digest(), manifests["amd64"][0])
        other = (self.project / "pylock.kist@linux-arm64.toml").read_text()
        self.assertIn(f'image = {{ digest = "{manifests["arm64"][0]}", python = "/usr/local/bin/python3.', other)
        self.assertEqual(self.shown()["base"], "/usr/local")
        # The name stays with this machine's.
        image = json.loads(self.run_kist("inspect", "--type", "image", f"{repository}:1").out)[0]
        self.assertEqual(image["Architecture"], "amd64")
        built = self.run_kist("build", "--json", "-t", "both:1", "--platform", "linux/amd64,linux/arm64", timeout=900)
        self.assertEqual(built.status, 0, built)
        for line, architecture in zip(built.out.splitlines(), ("amd64", "arm64")):
            below = self.registry.manifest("team/both", architecture)["layers"]
            layers = json.loads(line)["layers"]
            self.assertEqual([layer["digest"] for layer in layers[:len(below)]], [layer["digest"] for layer in below])
        # This machine's image compiles for the other: what is in it beside the base is the same, byte-code too.
        self.assertNotIn("byte-code for", built.err)
        above = [{layer["name"]: layer["digest"] for layer in json.loads(line)["layers"][1:]} for line in built.out.splitlines()]
        packages = [{name: digest for name, digest in one.items() if name.startswith(("python/", "application"))} for one in above]
        self.assertTrue(packages[0])
        self.assertEqual(packages[0], packages[1])
        saved = self.run_kist("save", "--format", "docker", "-o", str(self.folder / "both.tar"), "both:1-linux-arm64")
        self.assertEqual(saved.status, 0, saved)
        self.assertTrue([name for name in members(self.folder / "both.tar") if name.endswith(".pyc") and "/site-packages/" in name])
        # Alone it is the same, also where the image for this machine is gone.
        digest = json.loads(built.out.splitlines()[1])["digest"]
        self.assert_runs(self.run_kist("rmi", "-f", "both:1", "both:1-linux-arm64", f"{repository}:1", f"{repository}:amd64"))
        alone = self.run_kist("build", "--json", "-t", "arm:1", "--platform", "linux/arm64", timeout=900)
        self.assertEqual(json.loads(alone.out)["digest"], digest, alone)
        verified = self.run_kist("verify", "--platform", "linux/arm64", timeout=900)
        self.assertEqual(verified.status, 0, verified)


class Kept(BaseImageTest):
    def test_the_project_keeps_what_it_stands_on(self):
        self.import_tree("usr", "here:1")
        self.base("here:1")
        self.assertEqual(self.shown()["base"], "/usr")
        self.assert_runs(self.run_kist("image", "prune", "--all", "--force"))
        self.assert_runs(self.run_kist("run", "--image", "here:1", "--rm", "--entrypoint", "true"), "")
        self.assert_runs(self.run_kist("rmi", "here:1"))
        self.assert_runs(self.run_kist("gc", "--all"))
        self.assert_store_clean()
        self.assertEqual(self.shown()["base"], "/usr")


class Refused(BaseImageTest):
    def test_no_python(self):
        self.import_tree("none", "bare:1")
        self.base("bare:1")
        self.assert_fails(self.run_kist("lock"), 1, """
error: the base image 'bare:1' has no Python that can be used
  cause: there is no python3 on its PATH (/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)

hint: name one that is elsewhere in it, `interpreter = "/opt/conda/bin/python"` under [environment] in kist.toml; bring one, `interpreter = { url = …, sha256 = … }`, or let kist make the base, `base = "debian:trixie"`
""")
        self.base("bare:1", 'interpreter = "/opt/conda/bin/python"\n')
        self.assert_fails(self.run_kist("lock"), 1, """
error: the base image 'bare:1' has no Python that can be used
  cause: there is no program '/opt/conda/bin/python' in it

hint: leave `interpreter` out to take the one on its PATH; bring one, `interpreter = { url = …, sha256 = … }`, or let kist make the base, `base = "debian:trixie"`
""")

    def test_another_python_than_the_project_wants(self):
        self.import_tree("local", "wrong:1")
        self.base("wrong:1", 'python = "3.9"\n')
        done = self.run_kist("lock")
        self.assertEqual(done.status, 1, done)
        self.assertRegex(self.error_of(done), r"'/usr/local/bin/python3\.\d+' of the base image 'wrong:1'\n"
                         r"  cause: the interpreter is Python 3\.\d+\.\d+, the project wants Python 3\.9 \(kist\.toml\)")

    def test_images_that_are_not_there(self):
        self.base(f"{self.registry.host}/team/nothing:1")
        self.assert_fails(self.run_kist("lock"), 1, """
error: cannot pull '127.0.0.1:PORT/team/nothing:1'
  cause: manifest 1 of team/nothing: the registry '127.0.0.1:PORT' answered 404: 'team/nothing' has no manifest '1'

hint: `kist tags 127.0.0.1:PORT/team/nothing` shows what there is
""")
        self.base("nothing:1")
        self.assert_fails(self.run_kist("lock"), 1, """
error: the base image 'nothing:1' is not on this machine, and its name leads to no registry

hint: `kist images` lists what is there; a name with a registry in it is pulled
""")
        self.import_tree("usr", "gone:1", changes=["LABEL gone=yes"])  # As no other is.
        self.base("gone:1")
        self.assert_runs(self.run_kist("lock", timeout=900))
        self.assert_runs(self.run_kist("rmi", "gone:1"))
        self.assert_fails(self.run_kist("run", "--frozen", "true"), 125, """
error: the base image 'gone:1' (sha256:DIGEST) is not on this machine, and its name leads to no registry

hint: bring it (`kist load`), or `kist lock --upgrade` to take what has this name now
""")
        self.assert_fails(self.run_kist("run", "--offline", "true"), 125, """
error: --offline: the base image 'gone:1@sha256:DIGEST' is not on this machine

hint: run it once without `--offline`, or bring the image: `kist load`
""")

    def test_another_platform(self):
        layout = forge.Layout(self.folder / self.id())
        config = json.loads(forge.config_of([forge.layer(forge.folder("bin"))]))
        config["architecture"] = "arm64"
        tar = forge.layer(forge.folder("bin"))
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": layout.blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
                    "layers": [layout.blob(tar, forge.LAYER)]}
        layout.manifest("other:1", manifest)
        self.assert_runs(self.run_kist("load", "-i", str(layout.path)))
        self.base("other:1")
        self.assert_fails(self.run_kist("lock"), 1, """
error: 'other:1' on this machine is for linux/arm64, want linux/amd64

hint: `kist pull --platform linux/amd64 other:1`
""")

    def test_debian_packages(self):
        self.import_tree("usr", "debian-like:1")
        self.base("debian-like:1", 'system = ["ffmpeg"]\n')
        self.assert_fails(self.run_kist("lock"), 1, """
error: Debian packages (ffmpeg) cannot be installed over an image: base 'debian-like:1'

hint: take an image that has them, or `base = "debian:trixie"`
""")

    def test_minimal(self):
        self.import_tree("usr", "whole:1")
        self.base("whole:1", "[image]\nminimal = true\n")
        self.assert_fails(self.run_kist("build", "-t", "x:1", timeout=900), 1, """
error: `minimal` cannot take anything out of the base image 'whole:1'

hint: leave `minimal` out of [image] in kist.toml, and take a base image without a shell
""")

    def test_no_compiler(self):
        self.import_tree("usr", "plain:1")
        self.base("plain:1")
        self.write({"native/pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
                                             '[project]\nname = "native"\nversion = "1.0"\n',
                    "native/backend.py": "import subprocess\n"
                                         "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
                                         "    raise SystemExit(\"error: command 'gcc' failed: No such file or directory\")\n",
                    "requirements.txt": "./native\n"})
        self.assert_fails(self.run_kist("run", "true", timeout=900), 125, """
error: building native
  cause: native has no wheel and needs a compiler, which the base image 'plain:1' has not

hint: take an image with a compiler in it, a version that has a wheel, or `base = "debian:trixie"`
""")


class BaseImageAsUser(BaseImageTest):
    user = lib.PLAIN_UID

    def test_lock_run_and_build(self):
        self.import_tree("local", "mine:1")
        self.base("mine:1")
        self.assertEqual(self.shown()["base"], "/usr/local")
        self.assert_runs(self.run_kist("build", "-t", "above:1", timeout=900))
        self.assert_runs(self.run_kist("run", "--rm", "--image", "above:1", "python", "-c", "import thing; print(1)"), "1\n")


del BaseImageTest
if __name__ == "__main__":
    lib.main()
