"""Groups that measure how an environment comes to be, and what it takes."""
import dataclasses
import os
import pathlib
import subprocess

import stores
from measure import Command, Row, as_user, load, run_once, user_name

MIB = 1 << 20
# All that is in the root itself, and not mounted into it.
SUM_OF_FILES = """
import os
total = 0
for parent, folders, files in os.walk("/"):
    folders[:] = [f for f in folders if not os.path.ismount(os.path.join(parent, f))]
    total += sum(os.lstat(os.path.join(parent, f)).st_size for f in files)
print(total)
"""


def best_of(rounds, commands):
    taken = {command.name: [] for command in commands}
    for _ in range(rounds):
        for command in commands:
            taken[command.name].append(run_once(command)[0])
    return taken


def env100(bench):
    """Nothing of Python's packages cached; the base is in the store, as it is in uv's case."""
    uid, lock = os.getuid(), bench.lock_of("big", stores.BIG)
    small, small_home = bench.small(uid)
    project = bench.project("big-cold", uid, stores.BIG, lock)
    uv, python = bench.uv(), stores.python_of(lock)
    environment = bench.environment(bench.work / "stores" / str(uid) / "cold", uid)
    venv, cache = bench.work / "uv-venv", bench.work / "uv-cache"

    def forget_kist():
        stores_like = bench.fresh_store("cold", uid, like=small_home)
        assert stores_like.exists() and small.exists()

    def forget_uv():
        bench.set_aside(venv)
        bench.set_aside(cache)

    script = (f'"{uv}" venv -q --python "{python}" "{venv}" && '
              f'VIRTUAL_ENV="{venv}" "{uv}" pip sync -q pylock.kist.toml && '
              f'"{venv}/bin/python" -c "{stores.IMPORTS}"')
    commands = [Command("uv", ["sh", "-c", script], environment | {"UV_CACHE_DIR": str(cache)},
                        before=forget_uv),
                Command("kist", [bench.kist, "run", "-q", "python", "-c", stores.IMPORTS], environment,
                        before=forget_kist)]
    at = load()
    taken = as_user(uid, project, lambda: best_of(bench.rounds(3, 1), commands))
    packages = lock.count("[[packages]]")
    return [Row("env100", f"{packages} packages, until imported", user_name(uid), "s", taken["kist"],
                "uv pip sync + import", taken["uv"], 1.2, load=at)]


def memory(bench):
    """Everything from nothing, base and all: time, peak memory, what is left, what it takes."""
    rows = []
    for uid in bench.users:
        project = bench.project("big-memory", uid, stores.BIG, bench.lock_of("big", stores.BIG))
        home = bench.fresh_store("memory", uid)
        command = Command("kist", [bench.kist, "run", "-q", "true"], bench.environment(home, uid))
        at = load()

        def measure(command=command):
            seconds, usage = run_once(command)
            return seconds, usage.ru_maxrss / 1024

        seconds, peak = as_user(uid, project, measure)
        who = user_name(uid)
        rows.append(Row("memory", "assembling it, peak of the largest process", who, "MiB", [peak],
                        goal=250, load=at, note=f"base and packages from nothing in {seconds:.1f} s"))
        rows.append(Row("left", "processes after it", who, "processes", [float(left(bench))], goal=0))
        rows.append(size_row(uid, project, home))
    return rows


def left(bench):
    """Processes whose program is kist's, or that are in a container of it."""
    count = 0
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            count += os.readlink(entry / "exe").startswith(str(bench.build) + "/")
        except OSError:
            pass
    return count


def allocated(paths):
    """Bytes on disk, each inode once."""
    seen, total = set(), 0
    for path in paths:
        stat = os.lstat(path)
        if stat.st_ino not in seen:
            seen.add(stat.st_ino)
            total += stat.st_blocks * 512
    return total


def everything_in(folder):
    for parent, folders, files in os.walk(folder):
        yield from (os.path.join(parent, name) for name in folders + files)


def size_row(uid, project, home):
    ready = stores.ready_of(home, project)
    store = allocated(everything_in(home))
    # An object is one content with its mode: what a plain copy would need for each, once.
    objects = (os.lstat(path) for path in everything_in(ready["objects"][0]))
    unique = sum((s.st_size + 4095) // 4096 * 4096 for s in objects if s.st_size < 1 << 40
                 and not os.path.stat.S_ISDIR(s.st_mode))
    return Row("size", "store on disk", user_name(uid), "MiB", [store / MIB], "unique unpacked files",
               [unique / MIB], 1.1)


def base_commands(bench, lock):
    """(project, command): the default base from .debs that are on the disk already."""
    uid = os.getuid()
    project = bench.project("base", uid, [], lock)
    debs = stores.debs_of(bench, lock)
    home = bench.work / "stores" / str(uid) / "base"

    def fill():
        bench.fresh_store("base", uid)
        partial = home / "cache" / "partial"
        partial.mkdir(parents=True)
        for digest, path in debs.items():
            os.link(path, partial / digest)

    return project, Command("kist", [bench.kist, "run", "-q", "--frozen", "python", "-c", "print(1)"],
                            bench.environment(home, uid), before=fill, first_byte=True)


def base(bench):
    """From downloaded .debs until Python runs, against decompressing them with both cores."""
    uid = os.getuid()
    lock = bench.lock_of("base", [])
    debs = stores.debs_of(bench, lock)
    project, kist = base_commands(bench, lock)
    largest_first = sorted(map(str, debs.values()), key=os.path.getsize, reverse=True)
    script = ["xargs", "-P", str(os.cpu_count()), "-n", "1", "sh", "-c",
              'dpkg-deb --fsys-tarfile "$0" >/dev/null']
    listing = bench.work / "debs.list"
    listing.write_text("\n".join(largest_first))
    reference = Command("xz", ["sh", "-c", f'"$@" < "{listing}"', "sh", *script], dict(os.environ))
    at = load()
    # The same until the prompt is back: by then all is on the disk, for which decompressing has no
    # equal, so that it has no goal.
    durable = dataclasses.replace(kist, name="durable", first_byte=False)
    taken = as_user(uid, project,
                    lambda: best_of(bench.rounds(7, 2), [reference, kist, durable]))
    home = pathlib.Path(kist.environment["KIST_HOME"])
    bench.kist_run(project, home, uid, "true", flags=["--frozen"])
    unpacked = bench.kist_run(project, home, uid, "python", "-c", SUM_OF_FILES, flags=["--frozen"])[1]
    return [Row("base", f"{len(debs)} .debs until python runs", user_name(uid), "s", taken["kist"],
                "decompressing them", taken["xz"], 1.5, load=at),
            Row("base", "the same, until it ended and all is on the disk", user_name(uid), "s",
                taken["durable"], goal=60),
            Row("base", "unpacked", user_name(uid), "MB", [int(unpacked) / 1e6], goal=110)]


def second(bench):
    rows = []
    for uid in bench.users:
        _, home = bench.big(uid)
        lock = bench.lock_of("big", stores.BIG)
        rounds = bench.rounds(12, 3)
        at = load()
        taken = []
        for i in range(rounds):
            project = bench.project(f"second-{os.getpid()}-{i}", uid, stores.BIG, lock)
            command = Command("kist", [bench.kist, "run", "-q", "echo", "here"],
                              bench.environment(home, uid), first_byte=True)
            taken.append(as_user(uid, project, lambda c=command: run_once(c)[0]))
            subprocess.run(["rm", "-rf", project], check=True)
        rows.append(Row("second", "the same lock in another project, to its first output",
                        user_name(uid), "s", taken, goal=0.150, load=at))
    return rows


def change(bench):
    """One small package of an environment with torch changes; its wheel is in the store."""
    rows = []
    versions = ["1.17.0", "1.16.0", "1.15.0", "1.14.0", "1.13.0", "1.12.0"]
    locks = [bench.lock_of("torch", ["torch", f"six=={versions[0]}"])]
    for uid in bench.users:
        home = bench.store("torch", uid)
        if uid != bench.users[0] and not (home / "objects").exists():
            adopt(bench, uid)
        project = bench.project("torch", uid, ["torch", f"six=={versions[0]}"], locks[0])
        stores.say(f"assembling torch for {user_name(uid)}")
        bench.kist_run(project, home, uid, "true")
        taken = []
        at = load()
        for version in versions[1:bench.rounds(len(versions), 3)]:
            other = bench.lock_of(f"six-{version}", [f"six=={version}"])
            wheel = bench.project(f"six-{version}", uid, [f"six=={version}"], other)
            bench.kist_run(wheel, home, uid, "true")
            lock = stores.replace_package(locks[0], other, "six")
            changed = bench.project("torch", uid, ["torch", f"six=={version}"], lock)
            command = Command("kist", [bench.kist, "run", "-q", "--frozen", "echo", "here"],
                              bench.environment(home, uid), first_byte=True)
            taken.append(as_user(uid, changed, lambda c=command: run_once(c)[0]))
            shown = bench.kist_run(changed, home, uid, "python", "-c",
                                   "import six; print(six.__version__)", flags=["--frozen"])[1]
            if shown.strip() != version:
                raise RuntimeError(f"six is {shown.strip()}, not {version}")
        rows.append(Row("change", "a small package changes beside torch, to the first output",
                        user_name(uid), "s", taken, goal=1.0, load=at))
    return rows


def adopt(bench, uid):
    """The same objects for the plain user, without fetching gigabytes twice: its own copy."""
    source = bench.work / "stores" / "0" / "torch"
    target = bench.work / "stores" / str(uid) / "torch"
    subprocess.run(["rm", "-rf", target], check=True)
    stores.say("copying the store")
    subprocess.run(["cp", "-a", source, target], check=True)
    subprocess.run(["rm", "-rf", target / "projects", target / "roots"], check=True)
    subprocess.run(["chown", "-R", f"{uid}:{uid}", target], check=True)
