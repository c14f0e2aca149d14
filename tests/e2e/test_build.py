#!/usr/bin/env python3
"""kist build: the image of a project is small, the same everywhere, and runs here and elsewhere.

A local index has the packages; the base comes from the primed store (lib.py). Other tools take part
where they are installed: skopeo, umoci, podman; the schemas of image-spec where Go's module cache, or
$IMAGE_SPEC_SCHEMA, has them.
"""
import hashlib
import io
import json
import os
import pathlib
import re
import resource
import shutil
import struct
import subprocess
import tarfile
import time
import unittest

import lib
import registries

MB = 1_000_000
SERVE = """\
import os, sys
import thing
print(thing.__version__, os.getuid(), os.getcwd(), *sys.argv[1:])
"""
KIST_TOML = """\
[run]
env = { A = "run", B = "run" }
[image]
entrypoint = ["python", "serve.py"]
cmd = ["--by-default"]
env = { B = "image" }
ports = [8888, "53/udp"]
labels = { team = "tests" }
"""


def tool(name):
    if shutil.which(name) is None:
        raise unittest.SkipTest(f"{name} is not installed")
    return name


def without_ids(schema):
    for value in list(schema.values()):
        if isinstance(value, dict):
            without_ids(value)
    if isinstance(schema.get("id"), str):
        del schema["id"]


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class BuildTest(lib.KistTest):
    def setUp(self):
        super().setUp()
        self.wheel("thing")
        self.write({"requirements.txt": "thing\n", "kist.toml": KIST_TOML, "serve.py": SERVE,
                    "pkg/__init__.py": "X = 1\n", "pkg/broken.py": "def (\n"})

    def build(self, *args, **more):
        done = self.run_kist("build", "--json", *args, **more)
        self.assertEqual(done.status, 0, done)
        return [json.loads(line) for line in done.out.splitlines()]

    def one(self, *args, **more):
        built = self.build(*args, **more)
        self.assertEqual(len(built), 1)
        return built[0]

    def saved(self, name, *args):
        """member → bytes of `kist save`."""
        path = self.folder / "saved.tar"
        self.assert_runs(self.run_kist("save", "-o", str(path), *args, name))
        with tarfile.open(path) as tar:
            return {m.name: tar.extractfile(m).read() for m in tar if m.isreg()}

    def files_of(self, name):
        """path → TarInfo, over all layers."""
        members = self.saved(name, "--format", "docker")
        seen = {}
        for layer in json.loads(members["manifest.json"])[0]["Layers"]:
            with tarfile.open(fileobj=io.BytesIO(members[layer])) as tar:
                for member in tar:
                    seen[member.name] = member
        return seen

    def contents_of(self, name):
        """path → bytes of each regular file, over all layers."""
        members = self.saved(name, "--format", "docker")
        seen = {}
        for layer in json.loads(members["manifest.json"])[0]["Layers"]:
            with tarfile.open(fileobj=io.BytesIO(members[layer])) as tar:
                seen.update({m.name: tar.extractfile(m).read() for m in tar if m.isreg()})
        return seen

    def config_of(self, name):
        return json.loads(self.run_kist("inspect", "--type", "image", name).out)[0]["Config"]


class Build(BuildTest):
    def test_runs_as_it_says(self):
        built = self.one("-t", "model:1", "-t", "team/model")
        self.assertEqual(built["names"], ["model:1", "team/model:latest"])
        run = self.run_kist("run", "--rm", "--network", "none", "--image", "model:1")
        self.assert_runs(run, "1.0 10001 /app --by-default\n")
        run = self.run_kist("run", "--rm", "--network", "none", "--image", "team/model", "other")
        self.assert_runs(run, "1.0 10001 /app other\n")
        config = self.config_of("model:1")
        self.assertEqual(config["User"], "10001")
        self.assertIn("A=run", config["Env"])
        self.assertIn("B=image", config["Env"])
        self.assertEqual(sorted(config["ExposedPorts"]), ["53/udp", "8888/tcp"])
        lock = (self.project / "pylock.kist.toml").read_bytes()
        self.assertEqual(config["Labels"]["kist.lock"], sha256(lock))
        self.assertEqual(config["Labels"]["team"], "tests")
        self.assert_store_clean()

    def test_what_is_in_it_and_what_is_not(self):
        self.write({".gitignore": "*.log\n/data/\n", ".dockerignore": "notes\n!notes/keep.txt\n",
                    "a.log": "x", "data/big": "x", "notes/a": "x", "notes/keep.txt": "x",
                    "venv/pyvenv.cfg": "", "venv/x.py": "", "__pycache__/x.pyc": "", ".git/config": "",
                    "run.sh": "#!/bin/sh\n", "sub/.gitignore": "here\n", "sub/here": "", "sub/there": ""})
        (self.project / "run.sh").chmod(0o700)
        (self.project / "link").symlink_to("serve.py")
        self.one("-t", "files")
        files = self.files_of("files")
        app = {path for path in files if path.startswith("app/")}
        for inside in ("serve.py", "pkg/__init__.py", "notes/keep.txt", "run.sh", "link", "sub/there",
                       "__pycache__/serve.cpython-"):
            self.assertTrue(any(path.startswith("app/" + inside) for path in app), inside)
        for outside in ("a.log", "data", "notes/a", "venv", ".git", "sub/here", "pkg/__pycache__/broken"):
            self.assertFalse([path for path in app if path.startswith("app/" + outside)], outside)
        self.assertEqual(files["app/run.sh"].mode, 0o755)
        self.assertEqual(files["app/serve.py"].mode, 0o644)
        self.assertEqual({files[path].uid for path in app}, {0})
        self.assertEqual(files["home/app"].uid, 10001)
        for gone in ("usr/bin/dpkg", "usr/bin/apt", "usr/bin/gcc", "var/lib/dpkg/info/bash.postinst"):
            self.assertNotIn(gone, files)
        self.assertIn("usr/bin/bash", files)

    def test_only_what_is_included(self):
        self.write({"kist.toml": '[image]\ninclude = ["serve.py", "pkg/"]\n', ".gitignore": "serve.py\n", "more": ""})
        self.one("-t", "included")
        app = {path.rstrip("/") for path in self.files_of("included") if path.startswith("app/")}
        app = {path for path in app if "__pycache__" not in path}
        self.assertEqual(app, {"app/serve.py", "app/pkg", "app/pkg/__init__.py", "app/pkg/broken.py"})
        self.write({"kist.toml": '[image]\ninclude = ["no"]\n'})
        self.assert_fails(self.run_kist("build"), 1, """
error: image.include: 'no' does not exist

hint: paths start at the project's folder
""")
        self.write({"kist.toml": '[image]\ninclude = ["../x"]\n'})
        self.assert_fails(self.run_kist("build"), 2, """
error: image.include: '../x' leads out of the project
""")

    def test_sizes_and_forms(self):
        sizes = {}
        for form, settings, flags in (("usual", "", []), ("minimal", "minimal = true\n", []), ("dev", "", ["--dev"])):
            self.write({"kist.toml": "[image]\n" + settings})
            built = self.one("-t", form, *flags)
            beside = [layer for layer in built["layers"]
                      if not layer["name"].startswith(("python/", "application"))]
            sizes[form] = [sum(layer[key] for layer in beside) for key in ("content", "size")]
        print("beside packages and application, unpacked and compressed:", sizes)
        for form in ("usual", "minimal"):
            self.assertLessEqual(sizes[form][0], 70 * MB, form)
            self.assertLessEqual(sizes[form][1], 28 * MB, form)
        self.assertLess(sizes["minimal"][0], sizes["usual"][0])
        self.assertNotEqual(self.run_kist("run", "--rm", "--image", "minimal", "sh", "-c", "true").status, 0)
        python = ["python", "-c", "import ssl, sqlite3, ctypes, lzma, readline; print(6 * 7)"]
        for form in sizes:
            self.assert_runs(self.run_kist("run", "--rm", "--network", "none", "--image", form, *python), "42\n")
        self.assert_runs(self.run_kist("run", "--rm", "--image", "dev", "dpkg", "-l", "bash"))

    def test_nothing_changed_costs_nothing(self):
        build = ["-t", "again", "--compression", "zstd:2"]  # That no other test has.
        first = self.one(*build)
        self.assertEqual(first["known_layers"], 0)
        again = self.one(*build)
        self.assertEqual(again["known_layers"], len(again["layers"]))
        self.assertEqual(again["digest"], first["digest"])
        # Also when it is the memory alone that was lost.
        shutil.rmtree(self.store / "names/built")
        self.assertEqual(self.one(*build)["known_layers"], 0)
        self.assertEqual(self.one(*build)["known_layers"], len(again["layers"]))
        self.write({"serve.py": SERVE + "# more\n"})
        changed = self.one(*build)
        self.assertEqual(changed["known_layers"], len(changed["layers"]) - 1)
        names = [layer["name"] for layer, old in zip(changed["layers"], first["layers"])
                 if layer["digest"] != old["digest"]]
        self.assertEqual(names, ["application"])

    def test_same_lock_and_files_same_digest(self):
        digest = self.one("-t", "one")["digest"]
        other = self.make_project("elsewhere-")
        shutil.copytree(self.project, other, dirs_exist_ok=True)
        for path in other.rglob("*"):
            os.utime(path, (1, 1), follow_symlinks=False)
        store = self.folder / "other-store"
        subprocess.run(["cp", "-a", "--reflink=auto", lib.primed_store(), store], check=True)
        env = {"KIST_HOME": str(store), "TZ": "Asia/Tokyo"}
        self.assertEqual(self.one("-t", "two", "--locked", project=other, env=env,
                                  umask=0o077)["digest"], digest)
        env["SOURCE_DATE_EPOCH"] = "1700000000"
        self.assertNotEqual(self.one("--frozen", project=other, env=env)["digest"], digest)

    def test_compressions(self):
        diff_ids, digests = set(), set()
        for compression, media in (("zstd:1", "zstd"), ("gzip:1", "gzip"), ("none", "tar"), ("zstd", "zstd"),
                                   ("zstd:chunked", "zstd")):
            built = self.one("-t", "packed", "--compression", compression)
            diff_ids.add(tuple(layer["diff_id"] for layer in built["layers"]))
            digests.add(built["digest"])
            blobs = self.saved("packed")
            manifest = json.loads(blobs["blobs/sha256/" + built["digest"][7:]])
            for descriptor in manifest["layers"]:
                self.assertTrue(descriptor["mediaType"].endswith(media), descriptor)
                self.assertEqual(sha256(blobs["blobs/sha256/" + descriptor["digest"][7:]]), descriptor["digest"])
        self.assertEqual(len(diff_ids), 1)
        self.assertEqual(len(digests), 5)

    def test_chunked_layers_say_where_their_table_is(self):
        built = self.one("-t", "chunked", "--compression", "zstd:chunked:1")
        again = self.one("-t", "chunked", "--compression", "zstd:chunked:1")  # From what the store knows of them.
        self.assertEqual(again["known_layers"], len(again["layers"]))
        self.assertEqual(again["digest"], built["digest"])
        blobs = self.saved("chunked")
        manifest = json.loads(blobs["blobs/sha256/" + built["digest"][7:]])
        for descriptor in manifest["layers"]:
            blob = blobs["blobs/sha256/" + descriptor["digest"][7:]]
            told = {key.rsplit(".", 1)[1]: value for key, value in descriptor["annotations"].items()}
            offset, length, plain, kind = map(int, told["manifest-position"].split(":"))
            self.assertEqual(sha256(blob[offset:offset + length]), told["manifest-checksum"])
            self.assertEqual(kind, 1)
            self.assertTrue(blob.endswith(b"GNUlInUx"))
            self.assertEqual(blob[-64:-40], struct.pack("<QQQ", offset, length, plain))
        # A layer more does not make the others' tables forgotten.
        self.assert_runs(self.run_kist("run", "--network", "none", "--name", "chunked", "--entrypoint", "python",
                                       "--image", "chunked", "--", "-c", "open('/home/app/x', 'w')"))
        self.assert_runs(self.run_kist("commit", "chunked", "more"), None)
        blobs = self.saved("more")
        digest = json.loads(blobs["index.json"])["manifests"][0]["digest"]
        more = json.loads(blobs["blobs/sha256/" + digest[7:]])
        self.assertEqual(more["layers"][:-1], manifest["layers"])

    def test_pushed(self):
        """To the registry of each name; `--output registry` is the same."""
        with registries.KistRegistry(self.kist, self.folder / "registry") as registry:
            name = f"{registry.host}/team/model"
            built = self.one("--push", "-t", f"{name}:1", "-t", f"{name}:latest")
            self.assertEqual(self.run_kist("tags", name).out.split(), ["1", "latest"])
            for tag in ("1", "latest"):
                at = json.loads(self.run_kist("inspect", f"docker://{name}:{tag}").out)
                self.assertEqual(at["Digest"], built["digest"])
            self.write({"serve.py": SERVE + "# changed\n"})
            again = self.one("--output", "registry", "-t", f"{name}:2")
            self.assertNotEqual(again["digest"], built["digest"])
            self.assertEqual(json.loads(self.run_kist("inspect", f"docker://{name}:2").out)["Digest"], again["digest"])
            env = {"KIST_HOME": str(self.folder / "another-store")}
            run = self.run_kist("run", "--rm", "--network", "none", "--image", f"{name}:2", env=env)
            self.assertEqual((run.status, run.out), (0, "1.0 10001 /app --by-default\n"), run)
        nameless = self.run_kist("build", "--push")
        self.assertEqual(nameless.status, 2, nameless)
        self.assertIn("--push needs a name", nameless.err)

    def test_wrong_usage(self):
        self.assert_fails(self.run_kist("build", "--compression", "xz"), 2, """
error: --compression
  cause: compression 'xz' is not one of zstd[:1-22], zstd:chunked[:1-22], gzip[:1-12], none

hint: `--compression zstd:3`
""")
        self.assert_fails(self.run_kist("build", "--output", "image.tar"), 2, """
error: --output: 'image.tar' is none of oci:FOLDER, oci-archive:FILE, docker-archive:FILE, registry

hint: `kist build --output oci:image`
""")
        self.assert_fails(self.run_kist("build", "--label", "=x"), 2, """
error: --label: '=x' has no name, want KEY=VALUE
""")
        self.assert_fails(self.run_kist("build", "--tag", "Upper"), 2, """
error: --tag
  cause: image name 'Upper' has upper-case letters

hint: write it as `[REGISTRY/]NAME[:TAG]`, the name in lower case
""")
        self.assert_fails(self.run_kist("build", "--platform", "linux/s390x"), 1, """
error: --platform
  cause: platform 'linux/s390x' is not one of linux/amd64, linux/arm64
""")
        self.assert_fails(self.run_kist("build", "--frozen"), 1, """
error: --frozen: there is no lock 'PROJECT/pylock.kist.toml'

hint: `kist lock`
""")
        self.assert_fails(self.run_kist("build", "--locked"), 2, """
error: --locked: there is no 'pylock.kist.toml' for requirements.txt

hint: `kist lock`
""")


class Elsewhere(BuildTest):
    """What others make of it."""

    def layout(self, *args):
        folder = self.project / "image"
        built = self.build("-t", "model:1", "--output", f"oci:{folder}", *args)
        return folder, built

    def test_a_layout_is_no_part_of_its_own_image(self):
        folder, first = self.layout()
        _, again = self.layout()
        self.assertEqual(first[0]["digest"], again[0]["digest"])
        self.assertEqual(len(json.loads((folder / "index.json").read_bytes())["manifests"]), 1)

    def test_loads_into_another_store(self):
        archive = self.folder / "model.tar"
        built = self.one("-t", "model:1", "--output", f"oci-archive:{archive}")
        env = {"KIST_HOME": str(self.folder / "empty-store")}
        self.assert_runs(self.run_kist("load", "-i", str(archive), env=env))
        run = self.run_kist("run", "--rm", "--network", "none", "--image", "model:1", env=env)
        self.assert_runs(run, "1.0 10001 /app --by-default\n")
        tree = lambda home: [line for line in (pathlib.Path(home) / "images/ids" / f"{built['id'][7:]}.ready")
                             .read_text().splitlines() if line.startswith("tree ")]
        # What was assembled here is what the layers give.
        self.assertEqual(tree(self.store), tree(env["KIST_HOME"]))

    def test_schemas(self):
        jsonschema = __import__("importlib").import_module("jsonschema")
        folder_of_schemas = pathlib.Path(os.environ.get("IMAGE_SPEC_SCHEMA") or lib.GO_PROGRAMS / "image-spec")
        if not folder_of_schemas.is_dir():
            raise unittest.SkipTest("no schemas of image-spec: scripts/setup --clients")
        # Their ids are addresses from which nothing shall be fetched.
        schemas = {path.name: json.loads(path.read_text()) for path in folder_of_schemas.glob("*.json")}
        for schema in schemas.values():
            without_ids(schema)
        places = {(folder_of_schemas / name).as_uri(): schema for name, schema in schemas.items()}

        def check(name, text):
            place = (folder_of_schemas / name).as_uri()
            resolver = jsonschema.RefResolver(place, schemas[name], places)
            jsonschema.Draft4Validator(schemas[name], resolver=resolver).validate(json.loads(text))

        folder, built = self.layout("--platform", "linux/amd64,linux/arm64")
        blob = lambda digest: (folder / "blobs/sha256" / digest[7:]).read_bytes()
        check("image-layout-schema.json", (folder / "oci-layout").read_text())
        index = (folder / "index.json").read_text()
        check("image-index-schema.json", index)
        nested = blob(json.loads(index)["manifests"][0]["digest"])
        check("image-index-schema.json", nested)
        for one, entry in zip(built, json.loads(nested)["manifests"]):
            self.assertEqual(entry["digest"], one["digest"])
            check("image-manifest-schema.json", blob(one["digest"]))
            check("config-schema.json", blob(one["id"]))

    def test_platforms(self):
        folder, built = self.layout("--platform", "linux/amd64", "--platform", "linux/arm64")
        self.assertEqual([one["platform"] for one in built], ["linux/amd64", "linux/arm64"])
        self.assertEqual(built[1]["names"], ["model:1-linux-arm64"])
        self.assertTrue((self.project / "pylock.kist@linux-arm64.toml").exists())
        architecture = self.run_kist("inspect", "--type", "image", "--format", "{{.Architecture}}",
                                     "model:1-linux-arm64")
        self.assert_runs(architecture, "arm64\n")
        here, there = self.contents_of("model:1"), self.contents_of("model:1-linux-arm64")
        self.assertIn("usr/lib/aarch64-linux-gnu/libc.so.6", there)
        # Byte-code is there too, and what is the same source is the same byte-code.
        compiled = {path for path in there if path.endswith(".pyc")}
        self.assertGreater(len(compiled), 500)
        for part in ("site-packages/__pycache__/thing.cpython-", "app/__pycache__/serve.cpython-",
                     "/json/__pycache__/decoder.cpython-"):
            self.assertTrue([path for path in compiled if part in path], part)
        self.assertEqual({there[path][:4] for path in compiled}, {here[path][:4] for path in compiled if path in here})
        self.assertEqual([path for path in compiled & here.keys() if here[path] != there[path]], [])
        self.assertEqual({path for path in compiled if "_sysconfigdata_" not in path},
                         {path for path in here if path.endswith(".pyc") and "_sysconfigdata_" not in path})

    def test_platforms_are_pushed_as_one_index(self):
        platforms = ("linux/amd64", "linux/arm64")
        self.assert_runs(self.run_kist("lock", *(word for one in platforms for word in ("--platform", one)), timeout=900))
        with registries.KistRegistry(self.kist, self.folder / "registry-of-platforms") as registry:
            name = f"{registry.host}/team/model:1"
            built = self.build("--push", "-t", name, "--platform", ",".join(platforms), timeout=900)
            index = json.loads(self.run_kist("manifest", "inspect", name).out)
            self.assertEqual([one["digest"] for one in index["manifests"]], [one["digest"] for one in built])
            self.assertEqual([f"{one['platform']['os']}/{one['platform']['architecture']}" for one in index["manifests"]], list(platforms))

    def test_byte_code_that_nothing_here_can_compile_is_told(self):
        self.assert_runs(self.run_kist("lock", "--platform", "linux/arm64"))
        lock = self.project / "pylock.kist@linux-arm64.toml"
        text = lock.read_text()
        now = re.search(r'name = "python3\.\d+-minimal", version = "([^"]+)"', text)[1]
        lock.write_text(text.replace(f'"{now}"', '"3.0.0-1"'))
        done = self.run_kist("build", "-t", "bare", "--frozen", "--platform", "linux/arm64")
        self.assertEqual(done.status, 0, done)
        self.assertIn("warning: byte-code for linux/arm64 needs Python 3.0.0-1 for linux/amd64, there is " + now, done.err)
        self.assertIn("`kist lock --upgrade --platform linux/arm64`", done.err)
        self.assertEqual([path for path in self.files_of("bare") if path.endswith(".pyc")], [])

    def test_another_platforms_image_is_the_same_from_an_empty_store(self):
        digests = set()
        for name in ("first", "second"):
            store = self.folder / name
            subprocess.run(["cp", "-a", "--reflink=auto", lib.primed_store(), store], check=True)
            digests.add(self.one("-t", "model:1", "--platform", "linux/arm64", env={"KIST_HOME": str(store)})["digest"])
        # Nor does it matter that this machine's image was built before it, or which locks there are.
        both = self.build("-t", "model:1", "--platform", "linux/amd64,linux/arm64")
        digests.add(both[1]["digest"])
        self.assertEqual(len(digests), 1, digests)
        again = self.build("-t", "model:1", "--platform", "linux/amd64,linux/arm64")
        self.assertEqual([one["digest"] for one in again], [one["digest"] for one in both])

    def test_skopeo_and_umoci(self):
        folder, built = self.layout("--compression", "gzip")  # umoci before 0.5 knows no zstd.
        seen = json.loads(subprocess.run([tool("skopeo"), "inspect", f"oci:{folder}:model:1"], check=True,
                                         capture_output=True).stdout)
        self.assertEqual(seen["Digest"], built[0]["digest"])
        out = self.folder / "unpacked"
        rootless = ["--rootless"] if os.getuid() else []
        done = subprocess.run([tool("umoci"), "unpack", *rootless, "--image", f"{folder}:model:1", out],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((out / "rootfs/app/serve.py").read_text(), SERVE)

    def test_podman(self):
        if os.getuid() != 0:
            raise unittest.SkipTest("needs root")
        archive = self.folder / "docker.tar"
        self.one("-t", "model:1", "--output", f"docker-archive:{archive}")
        # Nobody may raise limits on some machines.
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        conf = self.folder / "containers.conf"
        conf.write_text(f'[containers]\ndefault_ulimits=["nofile={hard}:{hard}","nproc=1024:1024"]\n')
        environment = {**os.environ, "CONTAINERS_CONF": str(conf)}
        runtime = self.folder / "kist-runtime"
        runtime.symlink_to(self.kist)
        podman = [tool("podman"), "--runtime", str(runtime), "--root", str(self.folder / "podman"), "--runroot", str(self.folder / "podman-run"),
                  "--cgroup-manager", "cgroupfs", "--events-backend", "file"]
        subprocess.run([*podman, "load", "-i", archive], check=True, capture_output=True, env=environment)
        run = subprocess.run([*podman, "run", "--rm", "--network", "none", "model:1"],
                             capture_output=True, text=True, timeout=120, env=environment)
        self.assertEqual(run.stdout, "1.0 10001 /app --by-default\n", run.stderr)

    def test_docker(self):
        if os.getuid() != 0:
            raise unittest.SkipTest("needs root")
        archive, work = self.folder / "docker.tar", self.folder / "docker"
        self.one("-t", "model:1", "--output", f"docker-archive:{archive}")
        work.mkdir()
        # A daemon of its own, that touches no bridge and no firewall.
        daemon = subprocess.Popen([tool("dockerd"), "--data-root", work / "data", "--exec-root", work / "exec", "-H",
                                   f"unix://{work}/socket", "-p", work / "pid", "--bridge", "none",
                                   "--iptables=false"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.terminate)
        docker = [tool("docker"), "-H", f"unix://{work}/socket"]
        for _ in range(100):
            if subprocess.run([*docker, "version"], capture_output=True).returncode == 0:
                break
            if daemon.poll() is not None:
                raise unittest.SkipTest("dockerd does not start here")
            time.sleep(0.2)
        subprocess.run([*docker, "load", "-i", archive], check=True, capture_output=True)
        run = subprocess.run([*docker, "run", "--rm", "--network", "none", "model:1"], capture_output=True,
                             text=True, timeout=120)
        self.assertEqual(run.stdout, "1.0 10001 /app --by-default\n", run.stderr)

    def test_crane_validates_it(self):
        archive = self.folder / "docker.tar"
        self.one("-t", "model:1", "--output", f"docker-archive:{archive}")
        done = subprocess.run([tool("crane"), "validate", "--tarball", archive], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("PASS", done.stdout)

    def test_containerd(self):
        if os.getuid() != 0:
            raise unittest.SkipTest("needs root")
        tool("runc")
        archive, work = self.folder / "oci.tar", self.folder / "containerd"
        self.one("-t", "docker.io/team/model:1", "--output", f"oci-archive:{archive}")
        work.mkdir()
        (work / "config.toml").write_text(
            f'version = 2\nroot = "{work}/root"\nstate = "{work}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\n  address = "{work}/socket"\n')
        daemon = subprocess.Popen([tool("containerd"), "--config", work / "config.toml"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.terminate)
        ctr = [tool("ctr"), "-a", f"{work}/socket"]
        for _ in range(100):
            if subprocess.run([*ctr, "version"], capture_output=True).returncode == 0:
                break
            if daemon.poll() is not None:
                raise unittest.SkipTest("containerd does not start here")
            time.sleep(0.2)
        subprocess.run([*ctr, "images", "import", "--snapshotter", "native", archive], check=True, capture_output=True)
        name = subprocess.run([*ctr, "images", "ls", "-q"], check=True, capture_output=True, text=True).stdout.strip()
        run = subprocess.run([*ctr, "run", "--rm", "--snapshotter", "native", name, "one"], capture_output=True, text=True, timeout=120)
        self.assertEqual(run.stdout, "1.0 10001 /app --by-default\n", run.stderr)


class BuildAsUser(BuildTest):
    user = lib.PLAIN_UID

    def test_the_same_digest_as_root(self):
        built = self.one("-t", "model")
        store = self.folder / "root-store"
        subprocess.run(["cp", "-a", "--reflink=auto", lib.primed_store(), store], check=True)
        done = subprocess.run([self.kist, "build", "--json", "--locked"], cwd=self.project, capture_output=True,
                              env=self.environment(KIST_HOME=str(store)), text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["digest"], built["digest"])
        run = self.run_kist("run", "--rm", "--network", "none", "--image", "model")
        self.assertEqual(run.out.split()[0], "1.0", run)


if __name__ == "__main__":
    lib.main()
