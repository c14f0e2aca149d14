"""A container of an image on no network, the host's, and a bridge."""
import os
import pathlib
import subprocess
import urllib.parse

import stores
from measure import Command, Row, interleave, load, user_name

BUSYBOX = "/bin/busybox"
BRIDGE = "kist-floor"


def image_store(bench):
    """A store with an image of busybox."""
    home = pathlib.Path(bench.work) / "image-store"
    root = pathlib.Path(bench.work) / "image-root"
    for name in ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    if not (root / "bin/true").is_symlink():
        (root / "bin/busybox").write_bytes(pathlib.Path(BUSYBOX).read_bytes())
        (root / "bin/busybox").chmod(0o755)
        (root / "bin/true").symlink_to("busybox")
    environment = bench.environment(home, 0)
    tar = subprocess.run(["tar", "-C", root, "-c", "."], capture_output=True, check=True).stdout
    subprocess.run([bench.kist, "import", "-", "bench"], input=tar, env=environment, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([bench.kist, "run", "--rm", "--image", "bench", "true"], env=environment, check=True)
    return home


def ready_image(home):
    fields = {}
    for line in next(home.glob("images/ids/*.ready")).read_text().splitlines():
        key, _, value = line.partition(" ")
        fields.setdefault(key, []).append(urllib.parse.unquote(value))
    return fields


def network(bench):
    if os.geteuid() != 0 or not os.path.exists(BUSYBOX):
        stores.say("skipped: needs root and busybox-static")
        return []
    home = image_store(bench)
    environment = bench.environment(home, 0)
    subprocess.run(["ip", "link", "add", BRIDGE, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "addr", "add", "10.250.0.1/24", "dev", BRIDGE], check=True)
        subprocess.run(["ip", "link", "set", BRIDGE, "up"], check=True)
        return measure(bench, environment, ready_image(home))
    finally:
        subprocess.run(["ip", "link", "delete", BRIDGE], check=True)
        subprocess.run([bench.kist, "network", "prune", "-f"], env=environment, check=True)


def measure(bench, environment, ready):
    floor = [bench.floor, *stores.root_arguments(ready), "--cgroups", "kist-bench-floor"]
    run = [bench.kist, "run", "--rm"]
    tail = ["--image", "bench", "true"]
    cases = [("none", ["--network", "own"], ["--network", "none"], 2.0), ("host", [], ["--network", "host"], 2.0),
             ("bridge", ["--network", "own", "--bridge", BRIDGE], ["--network", "bridge"], 4.0)]
    commands = []
    for name, more, flags, _ in cases:
        commands.append(Command(f"floor {name}", [*floor, *more, "/bin/true"], environment))
        commands.append(Command(f"kist {name}", [*run, *flags, *tail], environment))
    commands.append(Command("kist port", [*run, "-p", "18080:80", *tail], environment))
    taken = interleave(commands, 10 if bench.quick else 60)
    rows = [Row("network", f"run --rm --image, {name}", user_name(0), "ms", [v * 1e3 for v in taken[f"kist {name}"]],
                "floor", [v * 1e3 for v in taken[f"floor {name}"]], goal, load=load()) for name, _, _, goal in cases]
    rows.append(Row("network", "run --rm --image, bridge, a port", user_name(0), "ms",
                    [v * 1e3 for v in taken["kist port"]], goal=100, load=load(),
                    note="nft twice"))
    return rows
