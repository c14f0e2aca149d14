"""Group that measures `kist build`: images of environments whose packages are in the store."""
import os
import shutil
import subprocess
import tarfile

import stores
from measure import Command, Row, as_user, interleave, load, user_name

TORCH = ["torch", "transformers", "pandas"]
MIB = 1 << 20


def ready_project(bench, name, requirements, uid):
    """(project, store): locked, assembled, with all byte-code."""
    lock = bench.lock_of(name, requirements)
    project, home = bench.project(name, uid, requirements, lock), bench.store(name, uid)
    (project / "serve.py").write_text("print('serving')\n")
    bench.kist_run(project, home, uid, "true")
    bench.settle(project, home, uid)
    return project, home


def build_command(bench, name, home, uid, before=None):
    return Command(name, [bench.kist, "build", "-q", "--frozen", "-t", "bench/image"],
                   bench.environment(home, uid), before=before)


def layer_tars(bench, home, uid, folder):
    """Every layer's plain tar as a file, the largest first: what a compressor is given."""
    shutil.rmtree(folder, ignore_errors=True)
    save = subprocess.Popen([bench.kist, "save", "--format", "docker", "bench/image"], stdout=subprocess.PIPE,
                            env=bench.environment(home, uid))
    with tarfile.open(fileobj=save.stdout, mode="r|") as tar:
        for member in tar:
            if member.name.endswith(".tar"):
                tar.extract(member, folder, filter="data")
    if save.wait() != 0:
        raise RuntimeError("kist save failed")
    return sorted(folder.iterdir(), key=lambda path: -path.stat().st_size)


def anew(bench, what, project, home, uid):
    """All layers written for the first time, against zstd alone on both cores, from memory."""
    tars = layer_tars(bench, home, uid, bench.work / "layers")
    listing = bench.work / "layers.list"
    listing.write_text("".join(f"{path}\n" for path in tars))
    size = sum(path.stat().st_size for path in tars)

    def forget():
        shutil.rmtree(home / "names/built")

    def warm():
        subprocess.run(["cat", *tars], stdout=subprocess.DEVNULL, check=True)

    script = f'xargs -a "{listing}" -P {os.cpu_count()} -n 1 zstd -q -3 -c >/dev/null'
    commands = [Command("zstd", ["sh", "-c", script], dict(os.environ), before=warm),
                build_command(bench, "kist", home, uid, forget)]
    at = load()
    taken = as_user(uid, project, lambda: interleave(commands, bench.rounds(3, 1), 0))
    shutil.rmtree(bench.work / "layers")
    rates = {name: [size / MIB / seconds for seconds in values] for name, values in taken.items()}
    return Row("build", f"{what}, {len(tars)} new layers", user_name(uid), "MiB/s", rates["kist"],
               "zstd -3 on both cores", rates["zstd"], 0.8, at_least=True, load=at,
               note=f"{size / MIB:.0f} MiB of tars")


def known(bench, what, project, home, uid):
    """Nothing but one file of the application is new; then nothing at all."""
    count = iter(range(10**6))

    def edit():
        (project / "serve.py").write_text(f"print('serving', {os.getpid()}, {next(count)})\n")

    rows = []
    for case, before in (("one file changed", edit), ("nothing changed", None)):
        at = load()
        commands = [build_command(bench, "kist", home, uid, before)]
        taken = as_user(uid, project, lambda: interleave(commands, bench.rounds(7, 3)))
        rows.append(Row("build", f"{what}, layers known, {case}", user_name(uid), "s", taken["kist"], goal=3, load=at))
    return rows


def build(bench):
    uid, rows = os.getuid(), []
    environments = [("100 packages", "build-big", stores.BIG)]
    if not bench.quick:
        environments.append(("torch", "build-torch", TORCH))
    for what, name, requirements in environments:
        project, home = ready_project(bench, name, requirements, uid)
        subprocess.run(build_command(bench, "first", home, uid).argv, cwd=project, check=True,
                       env=bench.environment(home, uid), stdout=subprocess.DEVNULL)
        rows += known(bench, what, project, home, uid)
        rows.append(anew(bench, what, project, home, uid))
    return rows
