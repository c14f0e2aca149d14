#!/usr/bin/env python3
"""Python that kist.toml names as an archive: run, verified, built with, and refused when it is wrong.

The archive is $KIST_E2E_INTERPRETER, a standalone build of the reader's choice; else one is made here
of Debian's own Python 3.11, laid out like "install_only" archives, by kist itself.
"""
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile

import lib
import make_wheel
import test_base_image

# Runs in a container that has Debian's Python with its headers: packs that as others ship theirs.
PACK = r"""
import os, sys, tarfile
def neutral(info):
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    name = info.name
    if "__pycache__" in name or "/dist-packages" in name or "/config-" in name: return None
    return None if info.issym() and info.linkname.startswith("/") else info
with tarfile.open(sys.argv[1], "w:gz", compresslevel=1) as out:
    for source, name in (("/usr/bin/python3.11", "bin/python3.11"), ("/usr/lib/python3.11", "lib/python3.11"),
                         ("/usr/include/python3.11", "include/python3.11")):
        out.add(source, "python/" + name, filter=neutral)
"""
PRINT = """
import json, ssl, sys, sysconfig, zlib, ctypes, sqlite3, lzma, bz2
print(json.dumps({"version": "%d.%d.%d" % sys.version_info[:3], "prefix": sys.prefix, "base": sys.base_prefix,
  "program": sys.executable, "certificates": ssl.create_default_context().cert_store_stats()["x509_ca"],
  "headers": sysconfig.get_path("include"), "path": [p for p in sys.path if p]}))
"""


def made_archive():
    """From Debian's packages, once for each kist under test."""
    lib.primed_store()
    cache = lib.cache_folder()
    kist = cache / "bin" / "kist"
    archive = cache / "cpython-3.11-made-of-debian.tar.gz"
    if archive.exists() and archive.stat().st_mtime > (cache / "primed.key").stat().st_mtime:
        return archive
    project = cache / "packing"
    project.mkdir(exist_ok=True)
    (project / "kist.toml").write_text('[environment]\npython = "3.11"\nsystem = ["libpython3.11-dev"]\n')
    done = subprocess.run([kist, "run", "--root", "python", "-c", PACK, "made.tar.gz"], cwd=project,
                          env={**lib.host_environment(), "HOME": str(project),
                               "KIST_HOME": str(cache / "packing-store")},
                          capture_output=True, text=True, timeout=1800)
    if done.returncode != 0:
        raise lib.unittest.SkipTest("Debian's Python cannot be packed (is the network there?):\n" + done.stderr)
    (project / "made.tar.gz").rename(archive)
    lib.remove_tree(cache / "packing-store")
    return archive


def read_members(archive):
    with tarfile.open(archive) as tar:
        return [(member, tar.extractfile(member).read() if member.isreg() else None) for member in tar]


def packed(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for member, data in members:
            tar.addfile(member, None if data is None else io.BytesIO(data))
    return gzip.compress(out.getvalue(), 1, mtime=0)


def member(name, **more):
    info = tarfile.TarInfo(name)
    for key, value in more.items():
        setattr(info, key, value)
    return info, b"" if info.isreg() else None


class Interpreter(lib.KistTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        given = os.environ.get("KIST_E2E_INTERPRETER")
        cls.archive = pathlib.Path(given) if given else made_archive()
        with tarfile.open(cls.archive) as tar:
            header = next(m for m in tar if m.name.endswith("/patchlevel.h"))
            cls.version = re.search(rb'PY_VERSION\s+"([^"]+)"', tar.extractfile(header).read())[1].decode()
        cls.minor = ".".join(cls.version.split(".")[:2])

    def name_interpreter(self, data=None, more="", **project):
        """Puts the archive into the project and says so in kist.toml."""
        data = self.archive.read_bytes() if data is None else data
        digest = hashlib.sha256(data).hexdigest()
        self.write({"parts/python.tar.gz": data,
                    "kist.toml": f'[environment]\ninterpreter = {{ url = "parts/python.tar.gz", '
                                 f'sha256 = "{digest}" }}\n{more}', "requirements.txt": "", **project})

    def c_extension(self):
        """A wheel with compiled code for this Python, from the host's own index."""
        found = subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
             "--python-version", self.minor, "--platform", "manylinux2014_x86_64", "--implementation", "cp",
             "--abi", "cp" + self.minor.replace(".", ""), "-d", self.folder / "downloads", "markupsafe"],
            capture_output=True, text=True, timeout=300)
        if found.returncode != 0:
            self.skipTest("no wheel with compiled code (is the network there?):\n" + found.stderr)
        for path in (self.folder / "downloads").iterdir():
            self.index.add((path.name, path.read_bytes()))

    def test_over_an_image_without_python(self):
        tree = self.folder / "none.tar"
        tree.write_bytes(test_base_image.packed_trees()["none"].read_bytes())
        self.assert_runs(self.run_kist("import", str(tree), "bare:1"))
        # A tree without the library that zlib is in: what needs it is told.
        with tarfile.open(tree) as old, tarfile.open(self.folder / "less.tar", "w") as new:
            for info in old:
                if "libz.so" not in info.name:
                    new.addfile(info, old.extractfile(info) if info.isreg() else None)
        self.assert_runs(self.run_kist("import", str(self.folder / "less.tar"), "less:1"))
        self.wheel("thing")
        self.name_interpreter(more='base = "bare:1"\n', **{"requirements.txt": "thing\n"})
        done = self.run_kist("run", "python", "-c", "import sys, thing; print(sys.base_prefix, thing.__version__)", timeout=900)
        self.assert_runs(done, "/opt/python 1.0\n")
        self.assertNotIn("the interpreter needs libz.so.1", done.err)
        self.assertRegex((self.project / "pylock.kist.toml").read_text(),
                         r'image = \{ digest = "sha256:[0-9a-f]{64}", libc = "glibc 2\.\d+" \}')
        self.assert_runs(self.run_kist("build", "-t", "above:1", timeout=900))
        self.assert_runs(self.run_kist("run", "--rm", "--image", "above:1", "python", "-c", "import thing, sys; print(sys.prefix)"),
                         "/opt/kist\n")
        self.name_interpreter(more='base = "less:1"\n', **{"requirements.txt": "thing\n"})
        self.assertIn("the interpreter needs libz.so.1, which neither it nor the base image 'less:1' brings",
                      self.run_kist("lock").err)

    def test_runs_and_is_the_same_when_made_anew(self):
        self.c_extension()
        self.name_interpreter(**{"requirements.txt": "markupsafe\n", ".python-version": self.minor,
                                 "show.py": PRINT})
        done = self.run_kist("run", "show.py", timeout=900)
        self.assertEqual(done.status, 0, done)
        said = json.loads(done.out)
        self.assertEqual(said["version"], self.version)
        self.assertEqual([said["prefix"], said["base"], said["program"]],
                         ["/opt/kist", "/opt/python", "/opt/kist/bin/python"])
        self.assertEqual(said["headers"], f"/opt/python/include/python{self.minor}")
        self.assertGreater(said["certificates"], 50)
        self.assertIn(f"/opt/kist/lib/python{self.minor}/site-packages", said["path"])
        self.assert_runs(self.run_kist("run", "python", "-c", "import markupsafe._speedups"))
        # The base has no other Python.
        self.assert_runs(self.run_kist("run", "sh", "-c", "ls /usr/bin | grep -c '^python'; true"), "0\n")
        lock = (self.project / "pylock.kist.toml").read_text()
        self.assertIn(f'python = "{self.version}"', lock)
        self.assertIn('interpreter = { path = "parts/python.tar.gz", size = ', lock)
        self.assertIn(f"interpreter  Python {self.version} of kist.toml", self.run_kist("status").out)
        self.assertIn(f"python {self.version} (interpreter)", self.run_kist("size").out)
        self.assertIn("kist.toml → python", self.run_kist("why", "python").out)
        verified = self.run_kist("verify", timeout=900)
        self.assertEqual(verified.status, 0, verified)

    def test_builds_with_it(self):
        self.index.add(make_wheel.sdist(
            "pure", "1.0", hook="    import sys; assert sys.base_prefix == '/opt/python', sys.base_prefix"))
        self.name_interpreter(**{"requirements.txt": "pure\n"})
        self.assert_runs(self.run_kist("run", "python", "-c", "import pure; print(pure.__version__)",
                                       timeout=900), "1.0\n")

    def test_what_is_in_the_store_needs_no_archive(self):
        self.name_interpreter()
        self.assert_runs(self.run_kist("run", "python", "-c", "print(1)", timeout=600), "1\n")
        (self.project / "parts/python.tar.gz").unlink()
        self.write({"pylock.kist.toml": (self.project / "pylock.kist.toml").read_text()})
        self.assert_runs(self.run_kist("run", "--offline", "--frozen", "python", "-c", "print(2)"), "2\n")

    def test_lock_for_another_machine(self):
        members = read_members(self.archive)
        for i, (info, data) in enumerate(members):
            if data and data.startswith(b"\x7fELF"):
                members[i] = (info, data[:18] + b"\xb7\0" + data[20:])  # EM_AARCH64
        data = packed(members)
        digest = hashlib.sha256(data).hexdigest()
        self.name_interpreter(data, more=f'[environment.two]\n[environment.two.interpreter]\n'
                              f'"linux/arm64" = {{ url = "parts/python.tar.gz", sha256 = "{digest}" }}\n')
        self.assert_fails(self.run_kist("run", "true"), 125, """
error: 'parts/python.tar.gz' is for linux/arm64, want linux/amd64

hint: name one for each platform: `[environment.interpreter]` and below it `"linux/amd64" = { url = …, sha256 = … }`
""")
        done = self.run_kist("lock", "--env", "two", "--platform", "linux/arm64", timeout=600)
        self.assertEqual(done.status, 0, done)
        lock = (self.project / "pylock.kist-two@linux-arm64.toml").read_text()
        self.assertIn(f'python = "{self.version}"', lock)
        self.assertNotIn('name = "python3"', lock)

    def test_wrong_archives(self):
        with tarfile.open(self.archive) as tar:
            program = next(m.name for m in tar if re.search(r"/bin/python3\.\d+$", m.name))
        home = program.split("/bin/")[0]
        link = {"type": tarfile.SYMTYPE}
        for extra, message in (
                (member("../../etc/evil"), "error: path '../../etc/evil' has '..' in it"),
                (member("/etc/evil"), "error: path '/etc/evil' is absolute, want one inside the archive"),
                (member(f"{home}/lib/evil", linkname="/etc", **link),
                 "leads out of the interpreter's folder"),
                (member(f"{home}/lib/evil", linkname="../../..", **link),
                 "leads out of the interpreter's folder"),
                (member(f"{home}/lib/evil", type=tarfile.FIFOTYPE), "it is a device or a pipe")):
            with self.subTest(message), tarfile.open(self.archive) as tar:
                self.name_interpreter(packed([*self.small(tar), extra]))
                done = self.run_kist("run", "true")
                self.assertEqual(done.status, 125, done)
                self.assertIn(message.removeprefix("error: "), done.err)
                self.assertFalse((self.project / "pylock.kist.toml").exists())
        self.name_interpreter(packed([member("python/README")]))
        self.assert_fails(self.run_kist("run", "true"), 125, """
error: installing interpreter 'python.tar.gz'
  cause: there is no Python in it: want a folder with bin/python3.X and lib/python3.X/os.py

hint: take an archive whose name ends in `install_only.tar.gz`
""")
        self.assert_store_clean(full=False)

    def small(self, tar):
        """Of the archive what makes it one."""
        for info in tar:
            if re.search(r"/bin/python3\.\d+$|/os\.py$|/patchlevel\.h$", info.name):
                yield info, tar.extractfile(info).read()

    def test_wrong_hash(self):
        self.name_interpreter()
        text = (self.project / "kist.toml").read_text()
        self.write({"kist.toml": re.sub(r'sha256 = "\w+"', f'sha256 = "{"0" * 64}"', text)})
        done = self.run_kist("run", "true")
        self.assertEqual(done.status, 125, done)
        self.assertIn("0" * 64, done.err)
        self.assertIn(hashlib.sha256(self.archive.read_bytes()).hexdigest(), done.err)

    def test_missing(self):
        self.write({"kist.toml": '[environment]\ninterpreter = { url = "gone.tar.gz", sha256 = "' + "1" * 64 + '" }\n'})
        self.assert_fails(self.run_kist("run", "true"), 125, """
error: the interpreter's archive 'PROJECT/gone.tar.gz' does not exist

hint: put it there, or change `interpreter` under [environment] in kist.toml
""")

    def test_another_version_than_asked_for(self):
        self.name_interpreter(**{".python-version": "3.9\n"})
        done = self.run_kist("run", "true")
        self.assertEqual(done.status, 125, done)
        self.assertIn(f"the interpreter is Python {self.version}, the project wants Python 3.9 (.python-version)",
                      done.err)

    def test_says_what_to_write(self):
        self.write({".python-version": "3.12\n", "requirements.txt": "\n"})
        self.assert_fails(self.run_kist("run", "true"), 125, """
error: the project wants Python 3.12 (.python-version); there is Python 3.13 (debian:trixie), 3.11 (debian:bookworm)

hint: for a standalone build of Python 3.12 write under [environment] in kist.toml: `interpreter = { url = "https://…/cpython-3.12.…-x86_64-unknown-linux-gnu-install_only.tar.gz", sha256 = "…" }`
""")


class InterpreterAsUser(Interpreter):
    user = lib.PLAIN_UID

    def setUp(self):
        if os.getuid() != 0:
            self.skipTest("only root can become another user")
        super().setUp()


if __name__ == "__main__":
    lib.main()
