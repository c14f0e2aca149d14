"""Groups that measure a ready environment: how a container starts, and how programs run in it."""
import os
import shutil
import subprocess

import stores
from measure import Command, Row, as_user, interleave, load, rate, user_name


def floor_command(bench, project, home, uid, tail):
    """The kernel floor with the root, the mounts and the filter that kist has for this project."""
    ready = stores.ready_of(home, project)
    inside = "/root" if uid == 0 else "/home/bench"
    argv = [bench.floor, *stores.root_arguments(ready), "--mount", f"{ready['home'][0]}:{inside}",
            "--project", str(project)]
    if uid != 0:
        argv += ["--accounts", "yes"]
    return Command("floor", argv + tail, bench.environment(home, uid))


def bwrap_command(bench, project, home, root, uid, tail):
    """bwrap knows no overlay here, so it gets the root's folders read-only over a tmpfs: less work."""
    ready = stores.ready_of(home, project)
    inside = "/root" if uid == 0 else "/home/bench"
    argv = ["bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    argv += ["--unshare-user"] if uid != 0 else []
    for name in sorted(os.listdir(root)):
        path = root / name
        if path.is_symlink():
            argv += ["--symlink", os.readlink(path), f"/{name}"]
        elif name in ("usr", "etc", "opt"):  # The project may lie below /var.
            argv += ["--ro-bind", str(path), f"/{name}"]
    argv += ["--proc", "/proc", "--dev", "/dev", "--mqueue", "/dev/mqueue", "--ro-bind", "/sys", "/sys",
             "--tmpfs", "/tmp", "--tmpfs", "/run", "--bind", ready["home"][0], inside,
             "--bind", str(project), str(project), "--chdir", str(project), "--die-with-parent",
             "--seccomp", "9"]
    return Command("bwrap", argv + tail, bench.environment(home, uid),
                   files={9: str(bench.work / "filter.bpf")})


def container_engines(bench):
    """podman and docker, when they are installed and can run something."""
    found = []
    for name in ("podman", "docker"):
        if shutil.which(name) is None:
            continue
        probe = subprocess.run([name, "info"], capture_output=True, check=False)
        server = probe.returncode == 0 and b"Server Version" in probe.stdout
        if name == "podman" and probe.returncode == 0 or server:
            found.append(name)
    return found


def import_image(engine, root):
    """The same root as an image of the engine, so that both run the same bytes."""
    if subprocess.run([engine, "image", "inspect", "kist-bench"], capture_output=True).returncode == 0:
        return
    stores.say(f"importing the root to {engine}")
    tar = subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE)
    subprocess.run([engine, "import", "-", "kist-bench"], stdin=tar.stdout, check=True,
                   stdout=subprocess.DEVNULL)
    tar.wait()


def write_filter(bench):
    with open(bench.work / "filter.bpf", "wb") as out:
        subprocess.run([bench.build / "bench/bench_filter"], stdout=out, check=True)


def start(bench):
    write_filter(bench)
    rows = []
    for uid in bench.users:
        project, home = bench.small(uid)
        kist = Command("kist", [bench.kist, "run", "true"], bench.environment(home, uid))
        with stores.MountedRoot(bench, stores.ready_of(home, project)) as root:
            commands = [floor_command(bench, project, home, uid, ["true"]), kist]
            if shutil.which("bwrap"):
                commands.append(bwrap_command(bench, project, home, root, uid, ["true"]))
            at = load()
            taken = as_user(uid, project, lambda: interleave(commands, bench.rounds(300, 30), 3))
            rows += start_rows(uid, taken, at)
            if uid == 0:
                rows += engine_rows(bench, kist, project, root)
    return rows


def start_rows(uid, taken, at):
    who = user_name(uid)
    def row(reference, goal):
        return Row("start", "kist run true", who, "s", taken["kist"], reference,
                   taken.get(reference, []), goal, load=at)
    return [row("floor", 2.0), row("bwrap", 1.0)]


def engine_flags(engine, image):
    """The words before an image's command. Some machines let nobody raise a limit, and some runtimes
    do not know mixed cgroups: the first form that runs is taken."""
    limits = ["--ulimit", f"nofile={os.sysconf('SC_OPEN_MAX')}", "--ulimit", "nproc=1024"]
    for before, after in (([], []), ([], limits), (["--runtime", "runc"], limits)):
        words = [engine, *before, "run", "--rm", "--network", "host", *after]
        done = subprocess.run([*words, image, "true"], capture_output=True, text=True)
        if done.returncode == 0:
            return words
    raise RuntimeError(f"{engine} runs nothing here: {done.stderr.strip()}")


def engine_rows(bench, kist, project, root):
    rows = []
    for engine in container_engines(bench):
        import_image(engine, root)
        argv = [*engine_flags(engine, "kist-bench"), "-v", f"{project}:{project}", "-w", str(project),
                "kist-bench", "true"]
        other = Command(engine, argv, dict(os.environ))
        at = load()
        taken = as_user(0, project, lambda: interleave([kist, other], bench.rounds(15, 3)))
        rows.append(Row("start", f"{engine} run true", user_name(0), "s", taken[engine], "kist",
                        taken["kist"], 30, at_least=True, load=at,
                        note="best of both: least times"))
        # "Best" of a row that must be large is its largest value; here the least time is fair.
        rows[-1].low = min
    return rows


def rates(bench):
    rows = []
    runs = bench.rounds(200, 40)
    for uid in bench.users:
        project, home = bench.small(uid)
        floor = floor_command(bench, project, home, uid, ["true"])
        kist = Command("kist", [bench.kist, "run", "true"], bench.environment(home, uid))
        at = load()

        def measure():
            taken = {"floor": [], "kist": []}
            for _ in range(bench.rounds(7, 2)):
                for command in (floor, kist):
                    taken[command.name].append(rate(command, runs, at_once=4))
            return taken

        taken = as_user(uid, project, measure)
        rows.append(Row("rate", f"{runs} runs, 4 at a time", user_name(uid), "/s", taken["kist"],
                        "floor", taken["floor"], 0.6, at_least=True, load=at))
    return rows


def version(bench):
    environment = bench.environment(bench.work, os.getuid())
    commands = [Command("empty", [bench.empty], environment),
                Command("kist", [bench.kist, "--version"], environment)]
    at = load()
    taken = interleave(commands, bench.rounds(1000, 100), 5)
    return [Row("version", "kist --version", user_name(os.getuid()), "s", taken["kist"],
                "empty static program", taken["empty"], 1.6, load=at)]


def imports(bench):
    """The same files, once as a root in a container and once copied to a plain folder."""
    if os.getuid() != 0:
        stores.say("import: only root can chroot to the plain folder; skipped")
        return []
    rows = []
    statement = f"import time; t = time.perf_counter(); {stores.IMPORTS}; " \
                "print(time.perf_counter() - t)"
    for uid in bench.users:
        project, home = bench.big(uid)
        plain = bench.work / "plain" / str(uid)
        with stores.MountedRoot(bench, stores.ready_of(home, project)) as root:
            mark = plain / ".copy-of"
            wanted = stores.ready_of(home, project)["tree"][0]
            if not mark.exists() or mark.read_text() != wanted:
                subprocess.run(["rm", "-rf", plain], check=True)
                plain.parent.mkdir(parents=True, exist_ok=True)
                subprocess.run(["cp", "-a", root, plain], check=True)
                # Device and memory files that libraries look for when they are imported.
                for name in ("proc", "sys", "dev"):
                    (plain / name).mkdir(exist_ok=True)
                mark.write_text(wanted)
        rows.append(import_row(bench, uid, project, home, plain, statement))
    return rows


def import_row(bench, uid, project, home, plain, statement):
    for name in ("proc", "sys", "dev"):
        subprocess.run(["mount", "--rbind", f"/{name}", plain / name], check=True)
    taken = {"kist": [], "plain": []}
    at = load()
    try:
        for i in range(bench.rounds(15, 3) + 1):
            inside = bench.kist_run(project, home, uid, "python", "-c", statement)[1]
            outside = subprocess.run(
                [shutil.which("chroot"), f"--userspec={uid}:{uid}", plain, "/opt/kist/bin/python", "-c", statement],
                env={"PATH": "/opt/kist/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/tmp"},
                text=True, check=True, capture_output=True).stdout
            if i > 0:
                taken["kist"].append(float(inside))
                taken["plain"].append(float(outside))
    finally:
        for name in ("dev", "sys", "proc"):
            subprocess.run(["umount", "-R", "-l", plain / name], check=False)
    return Row("import", "numpy scipy pandas sklearn matplotlib", user_name(uid), "s", taken["kist"],
               "plain folder", taken["plain"], 1.1, load=at)
