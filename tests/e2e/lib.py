"""What the end-to-end tests share: a kist with a store of its own, projects, users, a local index.

The program under test is $KIST (default: build/release/kist). A store that holds the base and the
resolver is made once and copied for each test class, at $KIST_E2E_CACHE (default:
/tmp/kist-e2e-UID): that needs the network once, and the tests skip when it cannot be reached.

ACCEPT=1 writes what kist says into the tests instead of comparing; read the difference.
"""
import ast
import dataclasses
import fcntl
import hashlib
import inspect
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import local_index  # noqa: E402
import make_wheel  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLAIN_UID = 12345
# What scripts/setup --clients has made of Go modules.
GO_PROGRAMS = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "kist-tests/go"
os.environ["PATH"] += f":{GO_PROGRAMS}"
# What tells how to reach the network. Indexes are named by the tests themselves.
PASSED = ("PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "HTTP_PROXY",
          "HTTPS_PROXY", "ALL_PROXY", "all_proxy")


def find_kist():
    return pathlib.Path(os.environ.get("KIST", ROOT / "build/release/kist")).resolve()


@dataclasses.dataclass
class Outcome:
    status: int
    out: str
    err: str

    def __str__(self):
        return f"exit {self.status}\n--- stdout\n{self.out}--- stderr\n{self.err}"


def filtered(text, places=()):
    """Without what differs from run to run. `places`: (path, name) pairs."""
    for path, name in sorted(places, key=lambda place: -len(str(place[0]))):
        text = text.replace(str(path), name)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    # The host's mirror, whichever it is.
    text = re.sub(r"https?://[^/' ]+/[^' ]*?(/dists/|/pool/)", r"MIRROR\1", text)
    text = re.sub(r"sha256:[0-9a-f]{64}", "sha256:DIGEST", text)
    text = re.sub(r"\b[0-9a-f]{32,64}\b", "DIGEST", text)
    text = re.sub(r"\bafter \d+ ms\b", "after TIME", text)
    text = re.sub(r"\b(claims|tmp)\.[A-Za-z0-9]{6}\b", r"\1.XXXXXX", text)
    text = re.sub(r"\b(\d+m)?\d+(\.\d+)?m?s\b", "TIME", text)
    text = re.sub(r"\b\d+(\.\d+)? ?(B|kB|MB|GB|KiB|MiB|GiB)(/s)?", r"SIZE\3", text)
    return text


def cache_folder():
    default = f"/tmp/kist-e2e-{os.getuid()}"
    return pathlib.Path(os.environ.get("KIST_E2E_CACHE", default))


def program_copy(folder):
    """kist and kist-engine where everybody may read them: a build folder may be private."""
    folder.mkdir(parents=True, exist_ok=True)
    source = find_kist()
    if not source.exists():
        raise unittest.SkipTest(f"{source} is not built")
    for name in ("kist", "kist-engine"):
        temporary = folder / f".{name}.{os.getpid()}"
        shutil.copy2(source.parent / name, temporary)
        temporary.rename(folder / name)
    return folder / "kist"


def host_environment():
    return {name: os.environ[name] for name in PASSED if name in os.environ}


def primed_store():
    """A store that has locked and run a project with one package. Made once for each kist."""
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return prime(cache)


def prime(cache):
    kist = program_copy(cache / "bin")
    key = hashlib.sha256(kist.read_bytes() + (kist.parent / "kist-engine").read_bytes()).hexdigest()
    home = cache / "primed"
    stamp = cache / "primed.key"
    if home.exists() and stamp.exists() and stamp.read_text() == key:
        return home
    project = cache / "priming"
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir()
    name, data = make_wheel.wheel("priming", "1.0")
    (project / name).write_bytes(data)
    (project / "requirements.txt").write_text(f"priming @ file://{project / name}\n")
    environment = {**host_environment(), "HOME": str(project), "KIST_HOME": str(home)}
    # The host's own index, for the resolver that is fetched from it.
    environment |= {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "UV_"))}
    environment.pop("PIP_FIND_LINKS", None)
    done = subprocess.run([kist, "run", "python", "-c", "import priming"], cwd=project,
                          env=environment, capture_output=True, text=True, timeout=1800)
    if done.returncode != 0:
        raise unittest.SkipTest("the base cannot be made (is the network there?):\n" + done.stderr)
    stamp.write_text(key)
    return home


class KistTest(unittest.TestCase):
    """Each class has a store of its own, each test a project and an index."""

    maxDiff = None
    user = None  # A uid: run as that user without any privilege.

    @classmethod
    def setUpClass(cls):
        if cls.user and os.getuid() != 0:
            raise unittest.SkipTest("only root can become another user")
        # Plain users must be able to go through it.
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="kist-e2e-", dir="/var/tmp"))
        cls.folder.chmod(0o755)
        cls.addClassCleanup(remove_tree, cls.folder)
        cls.kist = program_copy(cls.folder / "bin")
        cls.home = cls.folder / "home"
        cls.home.mkdir()
        cls.store = cls.make_store()
        if cls.user:
            own(cls.home, cls.user)

    @classmethod
    def make_store(cls):
        store = cls.folder / "store"
        subprocess.run(["cp", "-a", "--reflink=auto", primed_store(), store], check=True)
        if cls.user:
            own(store, cls.user)
        return store

    def setUp(self):
        self.wheels = pathlib.Path(tempfile.mkdtemp(prefix="wheels-", dir=self.folder))
        self.wheels.chmod(0o755)
        self.index = local_index.LocalIndex(self.wheels)
        self.index.__enter__()
        self.addCleanup(self.index.__exit__)
        self.project = self.make_project("project-")

    def wheel(self, name="thing", version="1.0", files=None, **more):
        """Puts a wheel into the index that no other test has: the store has never seen it."""
        module = name.replace("-", "_")
        if files is None:
            files = {f"{module}.py": f'__version__ = "{version}"\n'.encode()}
        files = {**files, f"{module}_of_test.py": f"# {self.id()}\n".encode()}
        return self.index.add(make_wheel.wheel(name, version, files, **more))

    def make_project(self, prefix="project-", files=None, name=None):
        if name is None:
            project = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=self.folder))
        else:
            project = self.folder / name
            project.mkdir(parents=True)
        project.chmod(0o755)
        self.write(files or {}, project)
        return project

    def write(self, files, project=None):
        project = project or self.project
        for name, content in files.items():
            path = project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if self.user:
            own(project, self.user)

    def environment(self, **more):
        return {**host_environment(), "HOME": str(self.home), "KIST_HOME": str(self.store),
                "UV_DEFAULT_INDEX": self.index.url, "PIP_CONFIG_FILE": "/dev/null", "LANG": "C.UTF-8",
                "UV_HTTP_TIMEOUT": "3", **more}

    def command(self, *args):
        command = [str(self.kist), *args]
        if self.user:
            command = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups",
                       "--", *command]
        return command

    def start(self, *args, project=None, env=None, **more):
        more.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(self.command(*args), cwd=project or self.project,
                                env=self.environment(**(env or {})), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **more)

    def run_kist(self, *args, project=None, env=None, timeout=300, **more):
        process = self.start(*args, project=project, env=env, **more)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self.fail(f"kist {' '.join(args)} does not end\n{err.decode(errors='replace')}")
        return Outcome(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))

    # What is expected.
    def places(self, project=None):
        return [(project or self.project, "PROJECT"), (self.store, "STORE"), (self.home, "HOME"),
                (self.wheels, "WHEELS"), (self.folder, "FOLDER")]

    def error_of(self, outcome):
        """The error and its hint, filtered; progress lines and warnings are left out."""
        text = filtered(outcome.err, self.places())
        at = text.find("error: ")
        return text[at:].rstrip("\n") if at >= 0 else "no error in:\n" + text

    def assert_fails(self, outcome, status, message):
        self.assertEqual(outcome.status, status, outcome)
        said = self.error_of(outcome)
        if os.environ.get("ACCEPT"):
            accept(said, message)
        else:
            self.assertEqual(said, message.strip("\n"), outcome)

    def assert_runs(self, outcome, out=None):
        self.assertEqual(outcome.status, 0, outcome)
        if out is not None:
            self.assertEqual(outcome.out, out, outcome)

    def assert_store_clean(self, *, full=True, env=None):
        checked = self.run_kist("fsck", *(["--full"] if full else []), env=env)
        self.assertEqual(checked.status, 0, checked)
        return checked


ACCEPTED = []  # (path, line, literal, said)


def accept(said, message):
    frame = next(f for f in inspect.stack() if f.function.startswith("test_"))
    ACCEPTED.append((frame.filename, frame.lineno, message, said))


def write_accepted():
    """From the bottom up, so that the lines above stay where they are."""
    for path, line, message, said in sorted(ACCEPTED, reverse=True):
        data = pathlib.Path(path).read_bytes()
        starts = [0]
        for text in data.splitlines(keepends=True):
            starts.append(starts[-1] + len(text))
        node = min((node for node in ast.walk(ast.parse(data)) if isinstance(node, ast.Constant)
                    and node.value == message and node.lineno >= line), key=lambda node: node.lineno)
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        body = said.replace("\\", "\\\\").replace('"""', '\\"""')
        literal = f'"""\n{body}\n"""'.encode()
        pathlib.Path(path).write_bytes(data[:begin] + literal + data[end:])


def own(path, uid):
    subprocess.run(["chown", "-Rh", f"{uid}:{uid}", path], check=True)


def remove_tree(path):
    for mount in reversed(pathlib.Path("/proc/self/mounts").read_text().splitlines()):
        target = mount.split()[1].replace("\\040", " ")
        if target == str(path) or target.startswith(f"{path}/"):
            subprocess.run(["umount", "-l", target], check=False)
    subprocess.run(["rm", "-rf", path], check=False)


def main():
    """Runs the tests of the file; exit status 77 (skipped, for ctest) when not one could run."""
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    write_accepted()
    if not result.wasSuccessful():
        sys.exit(1)
    skipped = len(result.skipped)
    if skipped and (result.testsRun == 0 or skipped >= result.testsRun):
        print(*{reason for _, reason in result.skipped}, sep="\n", file=sys.stderr)
        sys.exit(77)
