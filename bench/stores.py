"""Stores and projects to measure in, made once and kept in the work folder for the next time."""
import concurrent.futures
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import tomllib
import urllib.parse
import urllib.request

PLAIN_UID = 12345
BIG = ["jupyterlab", "pandas", "scikit-learn", "matplotlib"]
IMPORTS = "import numpy, scipy, pandas, sklearn, matplotlib.pyplot"


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Bench:
    """Where things are, and who measures."""

    def __init__(self, build, work, quick):
        self.build = pathlib.Path(build).resolve()
        self.work = pathlib.Path(work).resolve()
        self.quick = quick
        self.kist = str(self.build / "kist")
        self.users = [0, PLAIN_UID] if os.getuid() == 0 else [os.getuid()]
        self.work.mkdir(parents=True, exist_ok=True)
        self.work.chmod(0o755)
        if os.getuid() == 0:
            self.readable_programs()
        self.floor = str(self.build / "bench/bench_floor")
        self.empty = str(self.build / "bench/bench_empty")

    def readable_programs(self):
        """The plain user may not be able to enter the build folder, so it gets copies."""
        copies = self.work / "programs"
        (copies / "bench").mkdir(parents=True, exist_ok=True)
        for name in ["kist", "kist-engine", "bench/bench_floor", "bench/bench_empty", "bench/bench_filter"]:
            new = copies / (name + ".new")
            shutil.copy(self.build / name, new)
            os.replace(new, copies / name)  # The old one may still run.
        self.build = copies
        self.kist = str(copies / "kist")

    def rounds(self, many, few):
        return few if self.quick else many

    def environment(self, home, uid):
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("KIST_", "PYTHON", "VIRTUAL_"))
                and k != "PWD"}
        person = self.own(self.work / "homes" / str(uid), uid)
        return keep | {"KIST_HOME": str(home), "HOME": str(person),
                       "USER": "root" if uid == 0 else "bench", "NO_COLOR": "1"}

    def own(self, folder, uid):
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, uid, uid)
        return folder

    def project(self, name, uid, requirements, lock=None):
        """A folder with requirements, and a lock when there is one; not locked, not assembled."""
        folder = self.own(self.work / "projects" / str(uid) / name, uid)
        for path, text in ((folder / "requirements.txt", "\n".join(requirements) + "\n"),
                           (folder / "pylock.kist.toml", lock)):
            if text is not None and not (path.exists() and path.read_text() == text):
                path.write_text(text)
                os.chown(path, uid, uid)
        return folder

    def store(self, name, uid):
        return self.own(self.work / "stores" / str(uid) / name, uid)

    def set_aside(self, path):
        """Out of the way, to be deleted when all is measured: ext4 does not use an inode again for
        minutes after its file was deleted, and looks at every such inode for each new file."""
        if path.exists():
            trash = self.work / "trash"
            trash.mkdir(exist_ok=True)
            path.rename(trash / f"{os.getpid()}-{len(os.listdir(trash))}")

    def empty_trash(self):
        subprocess.run(["rm", "-rf", self.work / "trash"], check=True)

    def fresh_store(self, name, uid, like=None):
        """An empty store, or a copy of another one."""
        folder = self.work / "stores" / str(uid) / name
        self.set_aside(folder)
        if like is None:
            return self.own(folder, uid)
        subprocess.run(["cp", "-a", like, folder], check=True)
        return folder

    def kist_run(self, project, home, uid, *command, flags=()):
        """Runs it as the user, and gives seconds and output; for what is prepared, not measured."""
        start = time.perf_counter()
        done = subprocess.run([self.kist, "run", *flags, *command], cwd=project, text=True,
                              env=self.environment(home, uid), user=uid, group=uid, extra_groups=[],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise RuntimeError(f"kist run {' '.join(command)}: {done.returncode}\n{done.stderr}")
        return time.perf_counter() - start, done.stdout

    def lock_of(self, name, requirements):
        """The text of the lock for these requirements; resolved once."""
        kept = self.work / "locks" / f"{name}.toml"
        wanted = hashlib.sha256("\n".join(requirements).encode()).hexdigest()
        mark = self.work / "locks" / f"{name}.of"
        if not kept.exists() or not mark.exists() or mark.read_text() != wanted:
            say(f"locking {name}")
            uid = os.getuid()
            project = self.project("locking-" + name, uid, requirements)
            # The versions and their addresses are all that matters here; so any store will do.
            subprocess.run([self.kist, "lock", "-q"], cwd=project, check=True,
                           env=self.environment(self.store("small", uid), uid))
            kept.parent.mkdir(exist_ok=True)
            shutil.copy(project / "pylock.kist.toml", kept)
            mark.write_text(wanted)
        return kept.read_text()

    def small(self, uid):
        """A ready project that needs next to nothing: (project, store)."""
        lock = self.lock_of("small", ["six"])
        project, home = self.project("small", uid, ["six"], lock), self.store("small", uid)
        self.kist_run(project, home, uid, "true")
        self.settle(project, home, uid)
        return project, home

    def big(self, uid):
        """A ready project of about a hundred packages: (project, store)."""
        lock = self.lock_of("big", BIG)
        project, home = self.project("big", uid, BIG, lock), self.store("big", uid)
        self.kist_run(project, home, uid, "true")
        self.settle(project, home, uid)
        return project, home

    def settle(self, project, home, uid):
        """Byte-code is compiled while programs run; so one runs until nothing is left to compile."""
        if "bytecode" not in ready_of(home, project):
            return
        say(f"completing the byte-code of {project}")
        running = subprocess.Popen([self.kist, "run", "sleep", "900"], cwd=project, user=uid, group=uid,
                                   env=self.environment(home, uid), extra_groups=[])
        while "bytecode" in ready_of(home, project) and running.poll() is None:
            hurry(home)
            time.sleep(0.5)
        running.terminate()
        running.wait()

    def uv(self):
        """A uv of our own, from the index that pip has."""
        program = self.work / "uv" / "bin" / "uv"
        if not program.exists():
            say("installing uv")
            subprocess.run([sys.executable, "-m", "venv", self.work / "uv"], check=True)
            subprocess.run([self.work / "uv/bin/pip", "install", "-q", "uv"], check=True)
        return str(program)


def hurry(home):
    """Idle priority means never on a busy machine. Nothing is measured here, so it may be raised."""
    for entry in pathlib.Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"--compile-bytecode" in words and any(str(home).encode() in word for word in words):
                os.sched_setscheduler(int(entry.name), os.SCHED_OTHER, os.sched_param(0))
                os.setpriority(os.PRIO_PROCESS, int(entry.name), os.getpriority(os.PRIO_PROCESS, 0))
        except (OSError, ValueError):
            pass


def ready_of(home, project):
    """The fields of the ready file of a project: {key: [values]}."""
    for path in pathlib.Path(home).glob("projects/*/*.ready"):
        fields = {}
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            fields.setdefault(key, []).append(urllib.parse.unquote(value))
        if fields["project"] == [str(project)]:
            return fields
    raise RuntimeError(f"{project} is not ready in {home}")


def root_arguments(ready):
    """The root as floor takes it."""
    if "erofs" in ready:
        return ["--erofs", ready["erofs"][0], "--objects", ready["objects"][0]]
    return [word for lower in ready["lower"] for word in ("--lower", lower)]


class MountedRoot:
    """The root as a folder of the host, read-only."""

    def __init__(self, bench, ready):
        self.lowers = ready.get("lower", [])
        self.image, self.objects = ready.get("erofs", [""])[0], ready["objects"][0]
        self.base, self.merged = bench.work / "mounts/base", bench.work / "mounts/merged"

    def __enter__(self):
        if len(self.lowers) == 1:
            return pathlib.Path(self.lowers[0])
        for folder in (self.base, self.merged):
            folder.mkdir(parents=True, exist_ok=True)
        if self.lowers:
            options = f"lowerdir={':'.join(self.lowers)},userxattr"
        else:
            subprocess.run(["mount", "-t", "erofs", "-o", "ro", self.image, self.base], check=True)
            options = f"metacopy=on,redirect_dir=on,lowerdir={self.base}::{self.objects}"
        subprocess.run(["mount", "-t", "overlay", "none", "-o", options, self.merged], check=True)
        return self.merged

    def __exit__(self, *_):
        if len(self.lowers) != 1:
            subprocess.run(["umount", self.merged], check=True)
        if not self.lowers:
            subprocess.run(["umount", self.base], check=True)


def debs_of(bench, lock):
    """The .debs that a lock names, fetched from where apt fetches: {sha256: path}."""
    listed = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)"], text=True,
                            capture_output=True, check=True).stdout
    mirrors = sorted(set(listed.split()))
    folder = bench.work / "debs"
    folder.mkdir(exist_ok=True)

    def fetch(package):
        path = folder / package["sha256"]
        if path.exists():
            return
        for mirror in mirrors:
            try:
                with urllib.request.urlopen(f"{mirror.rstrip('/')}/{package['path']}", timeout=60) as answer:
                    content = answer.read()
            except OSError:
                continue
            if hashlib.sha256(content).hexdigest() == package["sha256"]:
                path.write_bytes(content)
                return
        raise RuntimeError(f"no mirror has {package['path']}")

    packages = tomllib.loads(lock)["tool"]["kist"]["debian"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(fetch, packages))
    return {package["sha256"]: folder / package["sha256"] for package in packages}


def python_of(lock):
    """An interpreter of the host with the lock's minor version, so that uv takes the same wheels."""
    minor = re.match(r"3\.\d+", tomllib.loads(lock)["tool"]["kist"]["python"])[0]
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"))
    for found in [shutil.which(f"python{minor}"), *pyenv.glob(f"versions/{minor}.*/bin/python")]:
        if found and subprocess.run([found, "-c", "import ensurepip"], capture_output=True).returncode == 0:
            return found
    raise RuntimeError(f"no Python {minor} on this host to compare with")


def replace_package(lock, other, name):
    """`lock` with the entry of `name` that `other` has."""
    def entry(text):
        start = text.index(f'[[packages]]\nname = "{name}"')
        ends = [text.find(mark, start + 1) for mark in ("[[packages]]", "[tool.kist]")]
        return start, min(end for end in ends if end > 0)
    start, end = entry(lock)
    other_start, other_end = entry(other)
    return lock[:start] + other[other_start:other_end] + lock[end:]
