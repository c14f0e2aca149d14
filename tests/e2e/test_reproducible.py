#!/usr/bin/env python3
"""The same lock gives the same bytes: tree and layers, with everything else varied.

Method: a lock made once, with real packages of the machine's own index and mirror (Debian packages,
some with scripts that need the container; a pure and a binary wheel; byte-code; source distributions
without and with a compiler; a folder), is assembled twice, and no digest may differ. What is varied:
folder (name, depth), user (root, plain), umask, time zone, language, times of files, the clock (if
libfaketime is installed), cores, the order in which downloads arrive, and what the store had before.
Then the ways in which `kist verify` finds a difference. Skips (77) without network.
"""
import gzip
import http.server
import io
import json
import os
import pathlib
import random
import select
import socket
import socketserver
import subprocess
import tarfile
import threading
import time
import unittest
import urllib.parse

import lib
import make_wheel

FAKETIME = next((str(path) for path in pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
SYSTEM = ["fontconfig", "fonts-dejavu-core", "default-jre-headless", "tree"]
REQUIREMENTS = """\
six
click
numpy
docopt
--no-binary markupsafe
markupsafe
./lib
"""
LIB = {
    "lib/pyproject.toml": '[build-system]\nrequires = ["setuptools"]\n'
                          'build-backend = "setuptools.build_meta"\n'
                          '[project]\nname = "liba"\nversion = "1.0"\n',
    "lib/liba/__init__.py": "X = 1\n",
    "lib/liba/data.txt": "data\n",
}


class LateProxy(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Passes everything on, each connection and request after a while of its own."""
    daemon_threads = True

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class LateHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_CONNECT(self):
        time.sleep(random.uniform(0, 0.4))
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host, int(port)), 30) as there:
            self.send_response(200)
            self.end_headers()
            self.copy(self.connection, there)
        self.close_connection = True

    @staticmethod
    def copy(here, there):
        while True:
            for ready in select.select([here, there], [], [], 120)[0] or [None]:
                data = ready.recv(1 << 16) if ready else b""
                if not data:
                    return
                (there if ready is here else here).sendall(data)

    def do_GET(self):
        time.sleep(random.uniform(0, 0.4))
        address = urllib.parse.urlsplit(self.path)
        with socket.create_connection((address.hostname, address.port or 80), 30) as there:
            target = address.path + (f"?{address.query}" if address.query else "")
            headers = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items()
                              if name.lower() not in ("connection", "proxy-connection"))
            there.sendall(f"GET {target} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n".encode())
            while data := there.recv(1 << 16):
                self.wfile.write(data)
        self.close_connection = True


def network_environment():
    """The host's own way to its index."""
    own = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "UV_"))}
    own.pop("PIP_FIND_LINKS", None)
    return {**lib.host_environment(), **own}


class Machine:
    """One way to be a machine: a store and a home of its own, a project folder, a user, manners."""

    def __init__(self, test, name, project, uid=0, umask=0o022, cores=None, variables=None):
        self.test, self.uid, self.umask, self.cores = test, uid, umask, cores
        self.folder = test.folder / name
        self.project = self.folder / project
        self.home = self.folder / "home"
        self.store = self.folder / "store"
        for folder in (self.project, self.home):
            folder.mkdir(parents=True)
        self.variables = {**network_environment(), "HOME": str(self.home),
                          "KIST_HOME": str(self.store), **(variables or {})}
        self.own()

    def own(self):
        if self.uid:
            lib.own(self.folder, self.uid)

    def write(self, files, when=None):
        for name, content in files.items():
            path = self.project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            if when:
                os.utime(path, (when, when))
        self.own()

    def start(self, *args, project=None):
        command = [str(self.test.kist), *args]
        if self.uid:
            command = ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups",
                       "--", *command]
        if self.cores:
            command = ["taskset", "-c", self.cores, *command]
        return subprocess.run(["sh", "-c", f'umask {self.umask:o}; exec "$@"', "sh", *command],
                              cwd=project or self.project, env=self.variables, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=1500,
                              errors="replace")

    def kist(self, *args, status=0, project=None):
        done = self.start(*args, project=project)
        self.test.assertEqual(done.returncode, status, f"{args}\n{done.stdout}\n{done.stderr}")
        return done

    def digests(self):
        return json.loads(self.kist("verify", "--here", "--json").stdout)


class Reproducible(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        lib.KistTest.setUpClass.__func__(cls)

    @classmethod
    def make_store(cls):
        lib.primed_store()  # Says whether there is a network; the machines begin with nothing.
        return cls.folder / "unused"

    user = None

    def test_same_lock_same_bytes(self):
        text = f"[environment]\nsystem = {json.dumps(SYSTEM)}\n"
        files = {"kist.toml": text, "requirements.txt": REQUIREMENTS, **LIB}
        first = Machine(self, "first", "a", cores="0",
                        variables={"TZ": "UTC", "LANG": "C.UTF-8"})
        first.write(files)
        first.kist("lock")
        lock = (first.project / "pylock.kist.toml").read_bytes()
        here = first.digests()

        with LateProxy(("127.0.0.1", 0), LateHandler) as proxy:
            variables = {"TZ": "Asia/Kathmandu", "LANG": "de_DE.UTF-8", "LC_ALL": "tr_TR.UTF-8",
                         "http_proxy": proxy.url, "https_proxy": proxy.url}
            if FAKETIME:
                variables |= {"LD_PRELOAD": FAKETIME, "FAKETIME": "+26h", "FAKETIME_DONT_RESET": "1"}
            plain = lib.PLAIN_UID if os.getuid() == 0 else 0
            second = Machine(self, "second", "deep er/ünï/c/d/e/f/g", uid=plain, umask=0o077,
                             variables=variables)
            # A store that had something else before, of which some is the same.
            other = second.folder / "other"
            other.mkdir()
            (other / "requirements.txt").write_text("numpy\nattrs\nsetuptools\n")
            (other / "kist.toml").write_text('[environment]\nsystem = ["fontconfig", "less"]\n')
            second.own()
            second.kist("run", "true", project=other)
            second.write({**files, "pylock.kist.toml": lock}, when=1_000_000_000)
            there = second.digests()
        self.assertEqual((second.project / "pylock.kist.toml").read_bytes(), lock)
        self.assertEqual(here["layers"], there["layers"], self.difference(first, second))
        self.assertEqual(here, there)
        for layer in ("base", "bytecode", "python/numpy"):
            self.assertIn(layer, here["layers"])
        # Not only the same, but right.
        second.kist("run", "--frozen", "python", "-c",
                    "import six, click, numpy, docopt, markupsafe._speedups, liba")

        # The lock itself is a function of inputs and index: made anew, in another way, it is the same.
        third = Machine(self, "third", "elsewhere", variables={"TZ": "America/Lima"})
        third.write({"kist.toml": text, "requirements.txt": REQUIREMENTS.replace("./lib\n", "six\n"), **LIB})
        third.kist("lock")
        third.write(files)
        third.kist("lock")
        self.assertEqual((third.project / "pylock.kist.toml").read_text(), lock.decode())

    def difference(self, first, second):
        """Which files differ, for whoever has to find out why."""
        lines = []
        for left, right in [(first, second)]:
            program = ("import os,hashlib,sys\nfor d,_,n in os.walk('/'):\n"
                       " if d.startswith(('/proc','/sys','/dev','/tmp','/var/tmp','/run')): continue\n"
                       " for f in n:\n  p=os.path.join(d,f)\n"
                       "  if os.path.isfile(p) and not os.path.islink(p) and os.access(p, os.R_OK):\n"
                       "   print(hashlib.sha256(open(p,'rb').read()).hexdigest(), p)")
            a, b = (set(m.start("run", "--frozen", "python", "-c", program).stdout.splitlines())
                    for m in (left, right))
            lines = sorted({line.split(" ", 1)[1] for line in a ^ b})
        return "\n".join(lines[:60])


# A backend that comes from the index, and puts its own version into what it builds.
BACKEND = '''
import base64, hashlib, os, zipfile
INFO = "thing-1.0.dist-info"
def get_requires_for_build_wheel(settings=None): return ["helper"]
def build_wheel(folder, settings=None, metadata=None):
    import helper
    files = {"thing.py": f"MADE_BY = ({VERSION!r}, {helper.VERSION!r})\\n",
             f"{INFO}/METADATA": "Metadata-Version: 2.1\\nName: thing\\nVersion: 1.0\\n",
             f"{INFO}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"}
    files[f"{INFO}/RECORD"] = "".join(f"{n},,\\n" for n in [*files, f"{INFO}/RECORD"])
    with zipfile.ZipFile(os.path.join(folder, "thing-1.0-py3-none-any.whl"), "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return "thing-1.0-py3-none-any.whl"
'''


def source_distribution(name, version, files):
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in sorted(files.items()):
            info = tarfile.TarInfo(f"{name}-{version}/{path}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return f"{name}-{version}.tar.gz", gzip.compress(plain.getvalue(), mtime=0)


class BuildsAreLocked(lib.KistTest):
    """What a source distribution is built with is part of the lock: a newer one changes nothing."""

    def publish(self, version):
        for name, text in (("backend", BACKEND), ("helper", "")):
            self.index.add(make_wheel.wheel(name, version, {
                f"{name}.py": f"VERSION = {version!r}\n{text}".encode()}))

    def made_by(self, *args):
        done = self.run_kist("run", *args, "python", "-c", "import thing; print(*thing.MADE_BY)",
                             timeout=900)
        self.assert_runs(done)
        return done.out.strip()

    def fresh_store(self):
        fresh = self.folder / f"store-{time.monotonic_ns()}"
        subprocess.run(["cp", "-a", "--reflink=auto", lib.primed_store(), fresh], check=True)
        self.store = fresh

    def test_newer_build_requirements_change_nothing_until_asked_for(self):
        self.publish("1.0")
        self.index.add(source_distribution("thing", "1.0", {
            "PKG-INFO": b"Metadata-Version: 2.2\nName: thing\nVersion: 1.0\n",
            "pyproject.toml": b'[build-system]\nrequires = ["backend"]\nbuild-backend = "backend"\n'
                              b'[project]\nname = "thing"\nversion = "1.0"\n'}))
        self.write({"requirements.txt": "thing\n"})
        self.assert_runs(self.run_kist("lock", timeout=900))
        lock = (self.project / "pylock.kist.toml").read_text()
        self.assertIn('builds = [\n    "thing",\n]', lock)
        self.assertRegex(lock, r'\{ package = "thing", name = "helper", version = "1\.0", sha256 = "\w{64}" \}')
        self.publish("2.0")
        self.assertEqual(self.made_by(), "1.0 1.0")
        self.fresh_store()
        self.assertEqual(self.made_by("--frozen"), "1.0 1.0")
        # Another requirement alone does not change it either.
        self.index.add(make_wheel.wheel("other", "1.0"))
        self.write({"requirements.txt": "thing\nother\n"})
        self.assertEqual(self.made_by(), "1.0 1.0")
        self.assert_runs(self.run_kist("lock", "--upgrade", timeout=900))
        self.assertEqual(self.made_by(), "2.0 2.0")


class VerifyFinds(lib.KistTest):
    """`kist verify` ends with 0 when all is the same, with 3 when something differs."""

    def setUp(self):
        super().setUp()
        # Bytes of this test alone: the tests share a store and must not see each other's damage.
        self.content = f"# {self.id()}\n".encode() * 10
        self.index.add(make_wheel.wheel("thing", "1.0", {"thing.py": self.content}))
        self.write({"requirements.txt": "thing\n"})
        # In the foreground: nothing may compile on while the test damages the store.
        self.assert_runs(self.run_kist("lock"))
        self.assert_runs(self.run_kist("verify", "--here"))

    def test_identical(self):
        done = self.run_kist("verify", timeout=900)
        self.assert_runs(done)
        self.assertRegex(done.out, r"identical: \d+ packages, \d+ layers, tree sha256:")

    def test_another_tree(self):
        """The name of the environment's tree leads to the tree of another project."""
        names = sorted((self.store / "names/env").iterdir(), key=lambda path: path.stat().st_mtime)
        ours = next(path for path in reversed(names) if path.name.endswith("-complete"))
        key = ours.name.removesuffix("-complete")
        other = next(path for path in names if not path.name.startswith(key))
        ours.write_bytes(other.read_bytes())
        done = self.run_kist("verify", timeout=900)
        self.assertEqual(done.status, 3, done)
        self.assertRegex(done.out, r"different: \d+ of \d+ layers, \d+ paths")
        self.assertIn("thing.py: only anew", done.out)
        as_json = self.run_kist("verify", "--json", timeout=900)
        self.assertEqual(as_json.status, 3, as_json)
        self.assertFalse(json.loads(as_json.out)["identical"])

    def test_damaged_object(self):
        found = [path for path in (self.store / "objects").rglob("*")
                 if path.is_file() and path.read_bytes() == self.content]
        self.assertEqual(len(found), 1)
        data = bytearray(found[0].read_bytes())
        data[0] ^= 1
        found[0].chmod(0o644)
        found[0].write_bytes(data)
        done = self.run_kist("verify", timeout=900)
        self.assertEqual(done.status, 3, done)
        self.assertRegex(done.out, r"layer python/tail-\d+: object sha256:\w+ of '\S*thing.py' has the content")
        self.assertIn("hint: `kist fsck --repair`", done.err)


if __name__ == "__main__":
    lib.main()
