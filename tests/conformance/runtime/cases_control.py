"""What runc's own integration tests ask for beyond the specification, and drop-in use relies on."""
import json
import os
import pathlib
import signal
import subprocess
import time

from lib import RUNTIME, SECONDS, Skip, case, check, contains, table


def cgroup_v1(controller):
    """Where this process is in that tree."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        before, after = line.split(" - ")
        if after.split()[0] == "cgroup" and controller in after.split()[2].split(","):
            return pathlib.Path(before.split()[4])
    raise Skip(f"{controller} is not in a tree of version 1 here")


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(what, seconds=10):
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.02)
    return what()


@case("hooks")
def createruntime_finds_the_root_at_its_path_inside(w):
    root = w.own_root()
    (w.folder / "given").write_text("by the hook\n")
    (root / "data/place").write_text("")
    mount = f"pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/'); nsenter -m -t $pid mount --bind {w.folder}/given {root}/data/place"
    w.config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", mount], "env": [f"PATH={os.environ['PATH']}"]}]}
    check(w.run("cat /data/place").ok(), "by the hook")
    check((root / "data/place").read_text(), "", "outside nothing is mounted")


@case("hooks")
def createcontainer_begins_in_the_root(w):
    root = w.own_root()
    w.config["hooks"] = {"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "echo here > ./data/hook"]}]}
    check(w.run("cat /data/hook").ok(), "here")
    check((root / "data/hook").read_text(), "here\n")


@table("hooks", {"startContainer has the filter, new privileges or not": (True,), "startContainer has the filter": (False,)},
       kist_only=True)  # runc 1.1 says it in other words.
def hook_under_filter(w, no_new_privileges):
    w.process["noNewPrivileges"] = no_new_privileges
    w.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                          "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 42}]}
    w.config["hooks"] = {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "mkdir /tmp/made"]}]}
    contains(w.run("true").fails(), "error running startContainer hook #0")


@case("mounts")
def a_source_in_the_root_is_what_was_mounted_there(w):
    root = w.own_root()
    (w.folder / "source").mkdir()
    (w.folder / "source/file").write_text("from outside\n")
    w.config["mounts"] += [{"destination": "/mnt", "type": "bind", "source": str(w.folder / "source"), "options": ["bind"]},
                           {"destination": f"{root}/data", "type": "bind", "source": f"{root}/mnt", "options": ["bind"]}]
    check(w.run("cat /data/file").ok(), "from outside")


@table("mounts", {"tmpfs keeps the mode of a folder": (0o2751, [], "2751"), "tmpfs with a mode": (0o751, ["mode=0710"], "710"),
                  "tmpfs on a new folder": (None, [], "1777")}, kist_only=True)  # runc 1.1 does it otherwise.
def tmpfs_mode(w, mode, options, wanted):
    root = w.own_root()
    if mode is not None:
        (root / "covered").mkdir()
        (root / "covered").chmod(mode)
    w.config["mounts"].append({"destination": "/covered", "type": "tmpfs", "source": "tmpfs", "options": options})
    check(w.run("stat -c %a /covered").ok(), wanted)


@case("runc run --no-pivot")
def no_bare_proc_for_a_user_namespace(w):
    w.process["noNewPrivileges"] = False
    for kind in ("bounding", "permitted", "effective"):
        w.process["capabilities"][kind] += ["CAP_SETFCAP", "CAP_SYS_ADMIN"]
    done = w.run("unshare -mrpf sh -c 'mount -t proc none /proc'", "--no-pivot")
    contains(done.fails(), "ermission denied")


@case("process.terminal", kist_only=True)  # runc wants to have a terminal itself.
def without_a_mount_namespace(w):
    w.linux["namespaces"] = [{"type": name} for name in ("pid", "network", "ipc", "uts")]
    w.linux["maskedPaths"] = w.linux["readonlyPaths"] = []
    w.config["mounts"] = []
    w.process["terminal"] = True
    check(w.run("test -t 0 && test -t 1 && echo terminal").ok(), "terminal")


@case("process.terminal", kist_only=True)  # runc wants to have a terminal itself.
def newlines_arrive_as_they_were_printed(w):
    w.process["terminal"] = True
    w.process["args"] = ["sh", "-c", "echo one; echo two"]
    w.write()
    done = subprocess.run([*RUNTIME, "--root", str(w.state), "run", w.id()], cwd=w.bundle, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=SECONDS)
    check(done.stdout, b"one\ntwo\n")


@case("runc exec", kist_only=True)  # runc 1.1 does not yet.
def has_the_priority_of_the_container(w):
    w.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 6}
    made = w.started()
    contains(w.call("exec", made, "ionice", "-p", "0").ok() or w.call("exec", made, "ionice").ok(), "prio 6")


@table("runc exec", {"--cgroup of a controller": ("memory:sub", "sub"), "--cgroup of another one": ("cpu:sub", ""),
                     "--cgroup of all": ("/", "")})
def cgroup_of_a_controller(w, given, wanted):
    memory = cgroup_v1("memory")
    w.linux["cgroupsPath"] = f"/kist-cases/{w.id()}"
    made = w.started()
    (memory / "kist-cases" / made / "sub").mkdir()
    (cgroup_v1("cpu") / "kist-cases" / made / "sub").mkdir()
    lines = w.call("exec", "--cgroup", given, made, "cat", "/proc/self/cgroup").ok().splitlines()
    path = next(line.split(":")[2] for line in lines if line.split(":")[1] == "memory")
    check(path.split(made)[-1].strip("/"), wanted)


@table("runc exec --cgroup", {"of no controller": ("whaaat:/", "unknown controller "),
                              "above its own": ("..", " .. is not a sub cgroup path"),
                              "that is not there": ("nowhere", "/nowhere/cgroup.procs: no such file ")})
def wrong_cgroup(w, given, said):
    cgroup_v1("memory")
    done = w.call("exec", "--cgroup", given, w.started(), "true")
    contains(done.fails(), said)
    check(done.status, 255)


@case("linux.cgroupsPath")
def version_2_of_a_hybrid_host_has_it_too(w):
    cgroup_v1("memory")
    if not any(" - cgroup2 " in line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()):
        raise Skip("no tree of version 2 here")
    w.linux["cgroupsPath"] = f"/kist-cases/{w.id()}"
    made = w.started()
    wanted = f"0::/kist-cases/{made}"
    contains(pathlib.Path(f"/proc/{w.info(made)['pid']}/cgroup").read_text(), wanted)
    contains(w.call("exec", made, "cat", "/proc/self/cgroup").ok(), wanted)


@case("runc kill")
def signal_0_asks_whether_it_runs(w):
    made = w.started()
    w.call("kill", made, "0").ok()
    w.call("kill", made, "KILL").ok()
    w.wait_status(made, "stopped")
    contains(w.call("kill", made, "0").fails(), "container not running")


@case("runc kill")
def one_that_waits_to_be_started_ends_by_term(w):
    made = w.create()
    w.call("kill", made, "TERM").ok()
    w.wait_status(made, "stopped")


@case("runc kill", kist_only=True)  # runc 1.1 does not yet.
def what_outlives_the_first_process(w):
    w.linux["namespaces"] = [{"type": name} for name in ("network", "ipc", "uts", "mount")]
    w.linux["cgroupsPath"] = f"/kist-cases/{w.id()}"
    made = w.started("sleep 101 & sleep 102 & exec sleep 100")
    folder = cgroup_v1("pids") / "kist-cases" / made
    until(lambda: len((folder / "cgroup.procs").read_text().split()) == 3)
    pids = [int(pid) for pid in (folder / "cgroup.procs").read_text().split()]
    os.kill(w.info(made)["pid"], signal.SIGKILL)
    w.wait_status(made, "stopped")
    w.call("kill", made, "KILL").ok()
    check(until(lambda: not any(alive(pid) for pid in pids)), True)


@table("runc update", {"--memory 50M": (("--memory", "50M"), "memory", "memory.limit_in_bytes", 50 << 20),
                       "--memory 64m": (("--memory", "64m"), "memory", "memory.limit_in_bytes", 64 << 20),
                       "--memory-reservation 1GiB": (("--memory-reservation", "1GiB"), "memory", "memory.soft_limit_in_bytes", 1 << 30)})
def sizes(w, options, controller, file, wanted):
    w.linux["cgroupsPath"] = f"/kist-cases/{w.id()}"
    made = w.started()
    w.call("update", *options, made).ok()
    check(int((cgroup_v1(controller) / "kist-cases" / made / file).read_text()), wanted)


@table("runc update", {"--memory 5X": ("5X",), "--memory 5MiBB": ("5MiBB",), "--memory M": ("M",), "--memory too much": ("9999999999999T",)},
       kist_only=True)
def wrong_sizes(w, text):
    contains(w.call("update", "--memory", text, w.started()).fails(), "--memory: want bytes, or a size such as 50M")


@case("runc update", kist_only=True)  # runc 1.1 does not yet.
def quota_and_period_below_that_of_the_parent(w):
    parent = cgroup_v1("cpu") / "kist-cases"
    parent.mkdir(exist_ok=True)
    (parent / "cpu.cfs_quota_us").write_text("50000")
    try:
        w.linux["cgroupsPath"] = f"/kist-cases/{w.id()}"
        made = w.started()
        w.call("update", "--cpu-quota", "60000", made).fails()
        w.call("update", "--cpu-period", "10000", "--cpu-quota", "3000", made).ok()
        check((parent / made / "cpu.cfs_period_us").read_text().strip(), "10000")
        check((parent / made / "cpu.cfs_quota_us").read_text().strip(), "3000")
    finally:
        (parent / "cpu.cfs_quota_us").write_text("-1")


@case("mounts", kist_only=True)  # Debian 12's runc knows no idmap.
def owners_of_a_namespace_that_is_joined(w):
    w.own_root()
    w.folder.chmod(0o755)
    (w.folder / "source").mkdir()
    (w.folder / "source/file").write_text("")
    os.chown(w.folder / "source/file", 7, 8)
    w.linux["namespaces"].append({"type": "user"})
    w.linux["uidMappings"] = w.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    w.config["mounts"] = [one for one in w.config["mounts"] if one["destination"] != "/sys"]
    first = w.started(name="first")
    pid = w.info(first)["pid"]
    del w.linux["uidMappings"], w.linux["gidMappings"]
    w.linux["namespaces"][-1] = {"type": "user", "path": f"/proc/{pid}/ns/user"}
    w.config["mounts"].append({"destination": "/mnt", "source": str(w.folder / "source"), "options": ["rbind", "idmap"]})
    check(w.run("stat -c %u:%g /mnt/file").ok(), "7:8")


@case("runc --debug", kist_only=True)
def says_what_it_does(w):
    w.write()
    log = w.folder / "log"
    w.process["args"] = ["true"]
    w.write()
    w.call("run", w.id(), extra=("--debug", "--log", str(log), "--log-format", "json")).ok()
    levels = {json.loads(line)["level"] for line in log.read_text().splitlines()}
    check(levels, {"debug"})
