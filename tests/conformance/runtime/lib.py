"""What the cases are written with: bundles of busybox, runs of a runtime, and TAP."""
import contextlib
import copy
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import traceback

RUNTIME = os.environ.get("RUNTIME", "").split() or [os.environ.get("KIST", "kist"), "runtime"]
IS_KIST = "RUNTIME" not in os.environ
BUSYBOX = "/bin/busybox"
SECONDS = 30

CASES = []


class Failed(Exception):
    pass


class Skip(Exception):
    pass


def case(section, quick=False, kist_only=False):
    """Registers a case. `section`: where the specification (or runc's command line) says so.
    `kist_only`: what the specification leaves open, or what older runc gets wrong."""

    def register(function):
        name = function.__name__.replace("_", " ")
        CASES.append((f"{section}: {name}", function, quick, kist_only))
        return function

    return register


def table(section, rows, quick=False, kist_only=False):
    """One case for each row, {name: arguments}."""

    def register(function):
        for name, arguments in rows.items():
            def one(world, arguments=arguments):
                function(world, *arguments)
            CASES.append((f"{section}: {name}", one, quick, kist_only))
        return function

    return register


def check(got, wanted, what=""):
    if got != wanted:
        raise Failed(f"{what}: got {got!r}, wanted {wanted!r}")


def contains(text, part):
    if part not in text:
        raise Failed(f"no {part!r} in {text!r}")


def lacks(text, part):
    if part in text:
        raise Failed(f"{part!r} in {text!r}")


class Done:
    def __init__(self, process):
        self.status, self.out, self.err = process.returncode, process.stdout, process.stderr

    def ok(self):
        check(self.status, 0, f"exit status ({self.err.strip()})")
        return self.out.strip()

    def fails(self):
        if self.status == 0:
            raise Failed(f"succeeded, and said {self.out!r}")
        return self.err


CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_CHOWN", "CAP_SETUID",
                "CAP_SETGID", "CAP_DAC_OVERRIDE", "CAP_MKNOD", "CAP_SYS_CHROOT"]
CONFIG = {
    "ociVersion": "1.0.2",
    "process": {
        "terminal": False, "user": {"uid": 0, "gid": 0}, "args": ["sh"], "cwd": "/",
        "env": ["PATH=/bin", "TERM=xterm"], "noNewPrivileges": True,
        "capabilities": {name: list(CAPABILITIES) for name in ("bounding", "effective", "permitted")},
    },
    "root": {"path": "rootfs"},
    "hostname": "case",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs",
         "options": ["nosuid", "noexec", "nodev", "ro"]},
    ],
    "linux": {
        "namespaces": [{"type": name} for name in ("pid", "network", "ipc", "uts", "mount")],
        "maskedPaths": ["/proc/kcore", "/proc/keys", "/sys/firmware"],
        "readonlyPaths": ["/proc/sys", "/proc/bus"],
    },
}


class World:
    """A folder for one case, with a bundle in it."""

    def __init__(self, shared, number):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=shared, prefix="case."))
        self.shared = shared
        self.state = shared / "state"
        self.config = copy.deepcopy(CONFIG)
        self.config["root"]["path"] = str(shared / "rootfs")
        self.bundle = self.folder
        self.number = number
        self.ids = []

    @property
    def process(self):
        return self.config["process"]

    @property
    def linux(self):
        return self.config["linux"]

    def own_root(self):
        """A root of its own, to be spoilt."""
        root = self.folder / "rootfs"
        subprocess.run(["cp", "-a", "--reflink=auto", self.shared / "rootfs", root], check=True)
        self.config["root"]["path"] = str(root)
        return root

    def id(self, name="c"):
        made = f"case{self.number}-{name}"
        if made not in self.ids:
            self.ids.append(made)
        return made

    def write(self):
        (self.bundle / "config.json").write_text(json.dumps(self.config))

    def call(self, *args, stdin=None, extra=(), pass_fds=(), **kwargs):
        command = [*RUNTIME, "--root", str(self.state), *extra, *map(str, args)]
        return Done(subprocess.run(command, capture_output=True, text=True, timeout=SECONDS,
                                   stdin=subprocess.DEVNULL if stdin is None else None, input=stdin,
                                   cwd=self.bundle, pass_fds=pass_fds, **kwargs))

    def run(self, script=None, *options, **kwargs):
        """The script in a new container, to its end."""
        if script is not None:
            self.process["args"] = ["sh", "-c", script]
        self.write()
        return self.call("run", *options, self.id(), **kwargs)

    def as_user(self, *args, quiet=False):
        """A command of a plain user, who has no cgroups and one id."""
        user = 23456
        if not shutil.which("setpriv"):
            raise Skip("no setpriv here")
        if not (self.folder / "rootfs").exists():
            self.own_root()
            self.config["mounts"] = [m for m in self.config["mounts"] if m["destination"] not in ("/sys", "/dev/pts")]
            self.linux["namespaces"] = [{"type": name} for name in ("pid", "ipc", "uts", "mount", "user")]
            self.linux["uidMappings"] = [{"containerID": 0, "hostID": user, "size": 1}]
            self.linux["gidMappings"] = [{"containerID": 0, "hostID": user, "size": 1}]
            self.linux["maskedPaths"] = []
            self.write()
            subprocess.run(["chown", "-R", "-h", f"{user}:{user}", self.folder], check=True)
        pipe = subprocess.DEVNULL if quiet else subprocess.PIPE
        return subprocess.run(["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *RUNTIME,
                               "--root", str(self.folder / "state"), *args], stdout=pipe, stderr=pipe, text=True,
                              cwd=self.bundle, timeout=SECONDS, stdin=subprocess.DEVNULL)

    def create(self, script="sleep 100", *options, name="c"):
        self.process["args"] = ["sh", "-c", script]
        self.write()
        # What stays must not hold our pipes.
        with open(self.folder / "out", "w") as out, open(self.folder / "err", "w") as err:
            done = subprocess.run([*RUNTIME, "--root", str(self.state), "create", *options, self.id(name)],
                                  stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.bundle,
                                  timeout=SECONDS)
        if done.returncode != 0:
            raise Failed(f"create: {(self.folder / 'err').read_text()}")
        return self.id(name)

    def started(self, script="sleep 100", *options, name="c"):
        made = self.create(script, *options, name=name)
        self.call("start", made).ok()
        return made

    def info(self, made):
        return json.loads(self.call("state", made).ok())

    def wait_status(self, made, wanted):
        import time
        for _ in range(200):
            if self.info(made)["status"] == wanted:
                return
            time.sleep(0.02)
        raise Failed(f"is {self.info(made)['status']}, not {wanted}")

    def close(self):
        for made in self.ids:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.call("delete", "--force", made)
        shutil.rmtree(self.folder, ignore_errors=True)


def make_root(root):
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "root", "mnt", "data", "run"):
        (root / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    names = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout
    for name in names.split():
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nada:x:1000:\n")
    (root / "data/file").write_text("from the image\n")
    (root / "tmp").chmod(0o1777)


def remove_cgroups(name):
    """The folder above those of containers stays, as with runc; here it was made for the tests."""
    for folder in pathlib.Path("/sys/fs/cgroup").glob(f"*/{name}"):
        with contextlib.suppress(OSError):
            folder.rmdir()


def main(wanted, quick):
    cases = [one for one in CASES if (not quick or one[2]) and (not wanted or any(w in one[0] for w in wanted))]
    print(f"TAP version 13\n1..{len(cases)}", flush=True)
    failures = 0
    shared = pathlib.Path(tempfile.mkdtemp(prefix="runtime-cases."))
    shared.chmod(0o755)
    make_root(shared / "rootfs")
    try:
        for number, (name, function, _, kist_only) in enumerate(cases, 1):
            if kist_only and not IS_KIST:
                print(f"ok {number} - {name} # SKIP left open by the specification", flush=True)
                continue
            world = World(shared, number)
            try:
                function(world)
                print(f"ok {number} - {name}", flush=True)
            except Skip as reason:
                print(f"ok {number} - {name} # SKIP {reason}", flush=True)
            except Exception as error:
                failures += 1
                print(f"not ok {number} - {name}", flush=True)
                shown = str(error) if isinstance(error, (Failed, subprocess.TimeoutExpired)) else traceback.format_exc()
                print("\n".join(f"  # {line}" for line in shown.splitlines()), flush=True)
            finally:
                world.close()
    finally:
        shutil.rmtree(shared, ignore_errors=True)
        remove_cgroups("kist-cases")
    return 1 if failures else 0
