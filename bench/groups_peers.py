"""Groups that compare with whole other tools: minutes each, and skipped where a tool is missing."""
import os
import pathlib
import shutil
import subprocess
import tomllib

import stores
from groups_assembly import base_commands
from groups_run import engine_flags
from measure import Command, Row, as_user, interleave, load, user_name

DOCKERFILE = """FROM kist-bench-debian
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends python3 python3-venv
COPY requirements.txt /
RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install -q --no-cache-dir -r /requirements.txt
"""


def missing(*programs):
    absent = [name for name in programs if shutil.which(name) is None]
    if absent or os.getuid() != 0:
        stores.say(f"skipped: needs root and {', '.join(programs)}")
    return bool(absent) or os.getuid() != 0


def suite_of(lock):
    return tomllib.loads(lock)["tool"]["kist"]["base"].removeprefix("debian:")


def repository(bench, suite):
    """The .debs that mmdebstrap takes for the same purpose, as a repository on this disk."""
    folder = bench.work / "mmdebstrap-repository"
    if (folder / "Packages").exists():
        return folder
    stores.say("fetching what mmdebstrap needs")
    root = bench.work / "mmdebstrap-root"
    subprocess.run(["rm", "-rf", root, folder], check=True)
    subprocess.run(["mmdebstrap", "-q", "--variant=minbase", "--include=python3,ca-certificates",
                    '--aptopt=APT::Keep-Downloaded-Packages "true"', "--skip=essential/unlink",
                    "--skip=cleanup/apt", suite, root], check=True)
    folder.mkdir()
    for deb in (root / "var/cache/apt/archives").glob("*.deb"):
        shutil.copy(deb, folder)
    with open(folder / "Packages.new", "wb") as out:
        subprocess.run(["dpkg-scanpackages", "-m", "."], cwd=folder, stdout=out, check=True,
                       stderr=subprocess.DEVNULL)
    (folder / "Packages.new").rename(folder / "Packages")
    (folder / "Release").write_text(f"Suite: {suite}\nCodename: {suite}\n")
    subprocess.run(["rm", "-rf", root], check=True)
    return folder


def mmdebstrap(bench):
    """Both have their .debs on the disk. mmdebstrap's root has apt and dpkg in it besides."""
    if missing("mmdebstrap", "dpkg-scanpackages"):
        return []
    lock = bench.lock_of("base", [])
    source = repository(bench, suite_of(lock))
    root = bench.work / "mmdebstrap-measured"
    script = (f'mmdebstrap -q --variant=minbase --include=python3,ca-certificates {suite_of(lock)} '
              f'"{root}" "deb [trusted=yes] copy:{source} ./" && chroot "{root}" python3 -c 1')
    other = Command("mmdebstrap", ["sh", "-c", script], dict(os.environ),
                    before=lambda: subprocess.run(["rm", "-rf", root], check=True))
    project, kist = base_commands(bench, lock)
    at = load()
    taken = as_user(0, project, lambda: interleave([kist, other], bench.rounds(3, 1), 0))
    subprocess.run(["rm", "-rf", root], check=True)
    return [peer_row("base", "mmdebstrap of .debs until python runs", taken["mmdebstrap"], taken["kist"],
                     at)]


def peer_row(group, what, theirs, ours, at):
    row = Row(group, what, user_name(0), "s", theirs, "kist", ours, 5, at_least=True, load=at)
    row.low = min  # Of a row that must be large the least time is still the fair one.
    return row


def debian_image(suite):
    """What a Dockerfile of this host's mirror would begin with."""
    if subprocess.run(["podman", "image", "exists", "kist-bench-debian"]).returncode == 0:
        return
    stores.say("making an image to build upon")
    tar = subprocess.Popen(["mmdebstrap", "-q", "--variant=minbase", "--include=ca-certificates", suite,
                            "-"], stdout=subprocess.PIPE)
    subprocess.run(["podman", "import", "-", "kist-bench-debian"], stdin=tar.stdout, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if tar.wait() != 0:
        raise RuntimeError("mmdebstrap failed")


def podman_build(bench):
    """From nothing but the lock, base and all, until the libraries are imported."""
    if missing("mmdebstrap", "podman"):
        return []
    lock = bench.lock_of("big", stores.BIG)
    debian_image(suite_of(lock))
    folder = bench.work / "podman-build"
    folder.mkdir(exist_ok=True)
    packages = tomllib.loads(lock)["packages"]
    (folder / "requirements.txt").write_text(
        "".join(f"{package['name']}=={package['version']}\n" for package in packages))
    (folder / "Dockerfile").write_text(DOCKERFILE)
    # The host's index, certificates and limits; otherwise the build could reach nothing here.
    flags = ["--network", "host"]
    for path in ("/etc/ssl/certs", "/etc/pip.conf"):
        if pathlib.Path(path).exists():
            flags += ["-v", f"{path}:{path}:ro"]
    run = " ".join(engine_flags("podman", "kist-bench-debian"))
    script = (f"podman build -q --no-cache --isolation chroot {' '.join(flags)} -t kist-bench-built . "
              f">/dev/null && {run} kist-bench-built /opt/venv/bin/python -c '{stores.IMPORTS}'")
    forget = lambda: subprocess.run(["podman", "rmi", "-f", "kist-bench-built"], capture_output=True)
    other = Command("podman", ["sh", "-c", f"cd '{folder}' && {script}"], dict(os.environ),
                    before=forget)
    project = bench.project("big-peer", 0, stores.BIG, lock)
    home = bench.work / "stores" / "0" / "peer"
    kist = Command("kist", [bench.kist, "run", "-q", "python", "-c", stores.IMPORTS],
                   bench.environment(home, 0), before=lambda: bench.fresh_store("peer", 0))
    at = load()
    taken = as_user(0, project, lambda: interleave([kist, other], bench.rounds(2, 1), 0))
    return [peer_row("env100", "podman build of it, until imported", taken["podman"], taken["kist"], at)]
