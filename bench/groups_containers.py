"""Containers of an image, against the kernel floor of the same root and against docker and podman."""
import os
import pathlib
import shutil
import subprocess
import time

import stores
from groups_run import container_engines, engine_flags
from measure import Command, Row, as_user, interleave, load, rate, user_name

BUSYBOX = "/bin/busybox"
LOG_BYTES = 1 << 30


def make_image(bench, uid):
    """A store with one image of busybox, and the lines of its ready file."""
    home = bench.work / f"containers-{uid}"
    tar = bench.work / "busybox.tar"
    if not tar.exists():
        root = bench.work / "busybox"
        for name in ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp"):
            (root / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(BUSYBOX, root / "bin/busybox")
        for name in ("true", "sleep", "sh", "cat", "seq", "echo"):
            (root / "bin" / name).symlink_to("busybox")
        subprocess.run(["tar", "-C", root, "-cf", tar, "."], check=True)
    if not home.exists():
        home.mkdir()
        os.chown(home, uid, uid)
    environment = bench.environment(home, uid)
    as_user(uid, home, lambda: subprocess.run([bench.kist, "import", tar, "bench"], env=environment, check=True,
                                              stdout=subprocess.DEVNULL).returncode)
    ready = {}
    for line in next((home / "images").glob("*.ready")).read_text().splitlines():
        key, _, value = line.partition(" ")
        ready.setdefault(key, []).append(value)
    return home, environment, ready


def floor_of(bench, ready, home, network):
    argv = [bench.floor, *stores.root_arguments(ready), "--project", str(home)]
    if network == "none":
        argv += ["--network", "own"]
    return Command("floor", [*argv, "true"], dict(os.environ))


def starts(bench, uid):
    home, environment, ready = make_image(bench, uid)
    rows = []
    for network in ("none", "host"):
        kist = Command("kist", [bench.kist, "run", "--rm", "--network", network, "--image", "bench", "true"], environment)
        floor = floor_of(bench, ready, home, network)
        at = load()
        taken = as_user(uid, home, lambda: interleave([floor, kist], bench.rounds(200, 20), 3))
        rows.append(Row("containers", f"run --rm --network {network} true", user_name(uid), "s", taken["kist"], "floor",
                        taken["floor"], 2.0, load=at))
        if uid == 0 and network == "host":
            rows += engine_rows(bench, kist)
    return rows


def engine_rows(bench, kist):
    rows = []
    for engine in container_engines(bench):
        if subprocess.run([engine, "image", "inspect", "kist-busybox"], capture_output=True).returncode != 0:
            subprocess.run([engine, "import", bench.work / "busybox.tar", "kist-busybox"], check=True, stdout=subprocess.DEVNULL)
        words = engine_flags(engine, "kist-busybox")
        other = Command(engine, [*words, "kist-busybox", "true"], dict(os.environ))
        at = load()
        taken = interleave([kist, other], bench.rounds(15, 3))
        rows.append(Row("containers", f"{engine} run --rm --network host true", user_name(0), "s", taken[engine], "kist",
                        taken["kist"], 30, at_least=True, load=at))
        rows[-1].low = min
        if engine == "docker":
            rows += docker_exec(bench, words)
    return rows


def docker_exec(bench, words):
    name = subprocess.run([*words[:2], "-d", *words[3:], "kist-busybox", "sleep", "1000"], check=True, capture_output=True,
                          text=True).stdout.strip()
    home, environment, _ = make_image(bench, 0)
    call(bench, environment, "run", "-d", "--name", "exec", "--image", "bench", "sleep", "1000")
    try:
        commands = [Command("docker", ["docker", "exec", name, "true"], dict(os.environ)),
                    Command("kist", [bench.kist, "exec", "exec", "true"], environment)]
        at = load()
        taken = interleave(commands, bench.rounds(15, 3))
        row = Row("containers", "docker exec true", user_name(0), "s", taken["docker"], "kist", taken["kist"], 20,
                  at_least=True, load=at)
        row.low = min
        return [row]
    finally:
        subprocess.run(["docker", "rm", "-f", name], stdout=subprocess.DEVNULL)
        call(bench, environment, "rm", "-f", "exec")


def call(bench, environment, *args):
    return subprocess.run([bench.kist, *map(str, args)], env=environment, check=True, stdout=subprocess.PIPE, text=True,
                          stdin=subprocess.DEVNULL).stdout


def executes(bench):
    home, environment, _ = make_image(bench, 0)
    call(bench, environment, "run", "-d", "--name", "exec", "--image", "bench", "sleep", "1000")
    try:
        pid = call(bench, environment, "inspect", "-f", "{{.State.Pid}}", "exec").strip()
        commands = [Command("kist", [bench.kist, "exec", "exec", "true"], environment),
                    Command("nsenter", ["nsenter", "-t", pid, "-a", "true"], environment)]
        at = load()
        taken = interleave(commands, bench.rounds(200, 20), 3)
        return [Row("containers", "exec true", user_name(0), "s", taken["kist"], "nsenter -a", taken["nsenter"], 1.5, load=at)]
    finally:
        call(bench, environment, "rm", "-f", "exec")


def alive_at_once(bench):
    """Rate of starts, then many at once: failures, what each costs beyond its program, and ps over all."""
    home, environment, ready = make_image(bench, 0)
    runs = bench.rounds(400, 40)
    floor = floor_of(bench, ready, home, "host")
    kist = Command("kist", [bench.kist, "run", "--rm", "--network", "host", "--image", "bench", "true"], environment)
    at = load()
    rates = {one.name: [rate(one, runs, 4) for _ in range(bench.rounds(3, 1))] for one in (floor, kist)}
    rows = [Row("containers", f"{runs} runs, 4 at a time", user_name(0), "/s", rates["kist"], "floor", rates["floor"], 0.6,
                at_least=True, load=at)]
    alive, all_of_them = bench.rounds(300, 30), bench.rounds(500, 50)
    try:
        for _ in range(alive):
            call(bench, environment, "run", "-d", "--log-driver", "none", "--image", "bench", "sleep", "1000")
        running = call(bench, environment, "ps", "-q").split()
        rows.append(Row("containers", f"{alive} alive at once: missing", user_name(0), "containers", [alive - len(running)], goal=0))
        rows.append(Row("containers", "a supervisor's own memory", user_name(0), "MiB", [supervisor_bytes(home) / (1 << 20)], goal=2))
        for _ in range(all_of_them - alive):
            call(bench, environment, "create", "--image", "bench", "true")
        ps = Command("ps", [bench.kist, "ps", "-a"], environment)
        at = load()
        rows.append(Row("containers", f"ps -a of {all_of_them}", user_name(0), "s", interleave([ps], bench.rounds(100, 10))["ps"],
                        goal=0.010, load=at))
    finally:
        left = call(bench, environment, "ps", "-aq").split()
        for i in range(0, len(left), 50):
            call(bench, environment, "rm", "-f", *left[i:i + 50])
    return rows


def supervisor_bytes(home):
    """What one has for itself: pages of the program's file are shared by all."""
    sizes = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if pathlib.Path(f"/proc/{pid}/comm").read_text() != "kist\n":
                continue
            if f"KIST_HOME={home}".encode() not in pathlib.Path(f"/proc/{pid}/environ").read_bytes():
                continue
            lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
            sizes.append(sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS")))
        except OSError:
            pass
    return max(sizes)


def supervisor_of(home, one):
    for line in (home / "containers/ids" / one / "status").read_text().splitlines():
        key, _, value = line.partition(" ")
        if key == "supervisor":
            return int(value)
    raise RuntimeError(f"{one} has no supervisor")


def processor_ns(pid):
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def idle(bench):
    """What a supervisor costs while nothing happens, and what each health check costs it; by the kernel's own count."""
    home, environment, _ = make_image(bench, 0)
    seconds = bench.rounds(30, 5)
    kinds = {"idle": [], "idle, a port published": ["-p", "127.0.0.1:28765:80"],
             "checks": ["--health-cmd", "true", "--health-interval", "1s"]}
    if not shutil.which("nft"):
        del kinds["idle, a port published"]
    started = {}
    try:
        for what, flags in kinds.items():
            started[what] = call(bench, environment, "run", "-d", *flags, "--image", "bench", "sleep", "1000").strip()
        time.sleep(2)  # Until what starting leaves to do is done.
        at = load()
        pids = {what: supervisor_of(home, one) for what, one in started.items()}
        before = {what: processor_ns(pid) for what, pid in pids.items()}
        time.sleep(seconds)
        used = {what: processor_ns(pid) - before[what] for what, pid in pids.items()}
    finally:
        for one in started.values():
            call(bench, environment, "rm", "-f", one)
        call(bench, environment, "network", "prune", "-f")
    note = f"counted for {seconds} s"
    rows = [Row("containers", f"a supervisor's processor time in an hour, {what}", user_name(0), "ms",
                [ns / 1e6 * 3600 / seconds], goal=1, load=at, note=note) for what, ns in used.items() if what != "checks"]
    rows.append(Row("containers", "a supervisor's processor time for a health check", user_name(0), "s",
                    [used["checks"] / 1e9 / seconds], goal=0.002, load=at, note=note))
    return rows


def logs(bench):
    """A program that prints faster than any log: what it prints lies in memory already."""
    home, environment, _ = make_image(bench, 0)
    folder = pathlib.Path("/dev/shm/kist-bench")
    folder.mkdir(exist_ok=True)
    piece = 32 << 20
    (folder / "lines").write_bytes((b"x" * 100 + b"\n") * (piece // 101))
    (folder / "zeros").write_bytes(bytes(piece))
    times = bench.rounds(LOG_BYTES, LOG_BYTES // 16) // piece
    rows = []
    for what, name in (("lines of 101 bytes", "lines"), ("no newline", "zeros")):
        print_it = f"for i in $(seq {times}); do cat /print/{name}; done"
        mount = ["-v", f"{folder}:/print:ro", "--image", "bench", "sh", "-c"]
        size = times * (folder / name).stat().st_size
        at = load()
        start = time.perf_counter()
        subprocess.run([bench.kist, "run", "--rm", *mount, print_it], env=environment, stdout=subprocess.PIPE, check=True)
        plain = size / (time.perf_counter() - start) / 1e6
        values = []
        for _ in range(bench.rounds(3, 1)):
            start = time.perf_counter()
            one = call(bench, environment, "run", "-d", "--log-opt", "max-size=64m", *mount, print_it).strip()
            call(bench, environment, "wait", one)
            values.append(size / (time.perf_counter() - start) / 1e6)
            call(bench, environment, "rm", "-f", one)
        rows.append(Row("containers", f"log of {size >> 20} MiB, {what}", user_name(0), "MB/s", values, goal=500, at_least=True,
                        load=at, note=f"into a pipe that Python reads: {plain:.0f} MB/s"))
    shutil.rmtree(folder)
    return rows


def containers(bench):
    if os.geteuid() != 0 or not os.path.exists(BUSYBOX):
        stores.say("skipped: needs root and busybox-static")
        return []
    rows = []
    for uid in bench.users:
        rows += starts(bench, uid)
    return rows + executes(bench) + alive_at_once(bench) + idle(bench) + logs(bench)
