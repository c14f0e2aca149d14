"""The OCI runtime: one bundle, run by kist, its peers, and the kernel floor."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import stores
from measure import Command, Row, interleave, load, user_name

BUSYBOX = "/bin/busybox"


def with_own_mounts(state, command):
    """crun knows no mixed cgroups: where both versions are mounted, all are measured without version 2.
    And all keep their state in memory, where /run is on most machines."""
    unified = "/sys/fs/cgroup/unified"
    mounts = f"mount -t tmpfs tmpfs {state}"
    if os.path.ismount(unified):
        mounts += f"; umount {unified}"
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", f'{mounts}; exec "$@"', "sh", *command]


def make_bundle(bench):
    folder = pathlib.Path(bench.work) / "bundle"
    root = folder / "rootfs"
    if not (root / "bin/true").exists():
        for name in ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp"):
            (root / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(BUSYBOX, root / "bin/busybox")
        for name in ("true", "sleep", "sh"):
            (root / "bin" / name).symlink_to("busybox")
    config = folder / "config.json"
    config.unlink(missing_ok=True)
    subprocess.run([bench.kist, "runtime", "spec"], cwd=folder, check=True)
    made = json.loads(config.read_text())
    made["ociVersion"] = "1.0.2"  # What the oldest of them knows.
    made["process"]["terminal"] = False
    for name, args in (("true", ["/bin/true"]), ("sleep", ["/bin/sleep", "1000"])):
        made["process"]["args"] = args
        bundle = folder / name
        bundle.mkdir(exist_ok=True)
        made["root"]["path"] = str(root)
        (bundle / "config.json").write_text(json.dumps(made))
    add_profile(folder)
    return folder


def runtimes(bench, state):
    found = {"kist": [str(bench.kist), "runtime", "--root", f"{state}/kist"]}
    for name in ("crun", "runc"):
        if shutil.which(name):
            found[name] = [name, "--root", f"{state}/{name}"]
    return found


def runtime(bench):
    if os.geteuid() != 0 or not os.path.exists(BUSYBOX):
        stores.say("skipped: needs root and busybox-static")
        return []
    folder = make_bundle(bench)
    # A process of its own, in which the mounts may be changed.
    script = pathlib.Path(__file__).resolve()
    out = folder / "taken.json"
    state = folder / "state"
    state.mkdir(exist_ok=True)
    plan = {"folder": str(folder), "floor": str(bench.floor), "runtimes": runtimes(bench, state),
            "rounds": bench.rounds(150, 20), "out": str(out)}
    (folder / "plan.json").write_text(json.dumps(plan))
    at = load()
    subprocess.run(with_own_mounts(state, ["python3", str(script), str(folder / "plan.json")]), check=True)
    taken = json.loads(out.read_text())
    who = user_name(0)

    def row(what, values, reference, name, goal):
        return Row("runtime", what, who, "s", values, name, reference, goal, load=at)

    run, life, entered = taken["run"], taken["life"], taken["exec"]
    rows = [row("runtime run /bin/true", run["kist"], run.get(name, []), name, goal)
            for name, goal in (("floor", 2.0), ("crun", 0.35), ("runc", 0.2))]
    rows.append(row("create, start, kill, delete", life["kist"], life.get("crun", []), "crun", 0.4))
    rows.append(row("runtime exec true", entered["kist"], entered["nsenter"], "nsenter -a", 1.5))
    rows.append(row("runtime run /bin/true, a profile of seccomp", taken["seccomp"]["with"], taken["seccomp"]["without"],
                    "without", 1.5))
    rows.append(Row("runtime", "seccomp filter, installed", who, "s", filter_seconds(bench), goal=0.0002, load=load()))
    return rows


def filter_seconds(bench):
    """Each by a process of its own."""
    done = subprocess.run([bench.build / "bench/bench_filter", str(bench.rounds(1000, 100))], capture_output=True, text=True,
                          check=True)
    return [int(line) / 1e9 for line in done.stdout.split()]


def names_of_calls():
    """Those of this machine's C library, as docker's profile names some 350 of them."""
    names = pathlib.Path("/usr/include/asm-generic/unistd.h").read_text() if os.path.exists(
        "/usr/include/asm-generic/unistd.h") else ""
    return sorted(set(re.findall(r"#define __NR(?:3264)?_(\w+) ", names)) - {"syscalls", "arch_specific_syscall"})


def add_profile(folder):
    """A bundle with a profile of docker's form: what is named may be called, with conditions on some."""
    bundle = folder / "seccomp"
    bundle.mkdir(exist_ok=True)
    made = json.loads((folder / "true/config.json").read_text())
    made["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [{"names": [*names_of_calls(), "open", "stat", "access", "arch_prctl", "poll", "pipe", "fork", "vfork"],
                      "action": "SCMP_ACT_ALLOW"},
                     {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]}]}
    (bundle / "config.json").write_text(json.dumps(made))


def measured(plan):
    """Runs with the mounts as they are to be measured."""
    folder, environment = pathlib.Path(plan["folder"]), dict(os.environ)
    taken = {}
    commands = [Command(name, [*argv, "run", "-b", str(folder / "true"), f"bench-{name}"], environment)
                for name, argv in plan["runtimes"].items()]
    commands.append(Command("floor", [plan["floor"], "--lower", str(folder / "rootfs"), "--project", str(folder / "true"),
                                      "--network", "own", "--cgroups", "bench-floor", "/bin/true"], environment))
    taken["run"] = interleave(commands, plan["rounds"], 3)
    kist = plan["runtimes"]["kist"]
    # The first of them compiles it; all others find it.
    commands = [Command(name, [*kist, "run", "-b", str(folder / bundle), "bench-seccomp"], environment)
                for name, bundle in (("with", "seccomp"), ("without", "true"))]
    taken["seccomp"] = interleave(commands, plan["rounds"], 3)
    life = []
    for name, argv in plan["runtimes"].items():
        program, bundle, one = " ".join(argv), folder / "sleep", f"bench-{name}"
        # As a manager does it: delete again until the end of the process is seen.
        script = (f"{program} create -b {bundle} {one} </dev/null >/dev/null 2>&1 && {program} start {one} && "
                  f"{program} kill {one} KILL && until {program} delete {one} 2>/dev/null; do :; done")
        life.append(Command(name, ["sh", "-c", script], environment))
    taken["life"] = interleave(life, plan["rounds"] // 2, 1)
    taken["exec"] = measured_exec(plan, folder, environment)
    pathlib.Path(plan["out"]).write_text(json.dumps(taken))


def measured_exec(plan, folder, environment):
    kist = plan["runtimes"]["kist"]
    subprocess.run([*kist, "run", "-d", "-b", str(folder / "sleep"), "bench-exec"], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL)
    try:
        state = json.loads(subprocess.run([*kist, "state", "bench-exec"], capture_output=True, check=True).stdout)
        commands = [Command("kist", [*kist, "exec", "bench-exec", "/bin/true"], environment),
                    Command("nsenter", ["nsenter", "-t", str(state["pid"]), "-a", "/bin/true"], environment)]
        return interleave(commands, plan["rounds"], 3)
    finally:
        subprocess.run([*kist, "delete", "--force", "bench-exec"], check=True)


if __name__ == "__main__":
    import sys
    measured(json.loads(pathlib.Path(sys.argv[1]).read_text()))
