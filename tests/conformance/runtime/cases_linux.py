"""config-linux.md: namespaces, ids, cgroups, seccomp, sysctl."""
import ctypes
import json
import os
import pathlib
import socket
import subprocess
import threading

from lib import CONFIG, Failed, Skip, case, check, contains, lacks, table

N = "linux.namespaces"
KINDS = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "mount": "mnt"}


def own(name):
    return os.readlink(f"/proc/self/ns/{name}")


@table(N, {f"{kind} is new": (name,) for kind, name in KINDS.items()}, quick=True)
def is_new(w, name):
    if w.run(f"readlink /proc/self/ns/{name}").ok() == own(name):
        raise Failed("it is the host's")


@table(N, {f"{kind} is shared if not given": (kind, name) for kind, name in KINDS.items() if kind in ("pid", "network", "ipc", "uts")})
def is_shared(w, kind, name):
    w.linux["namespaces"] = [ns for ns in w.linux["namespaces"] if ns["type"] != kind]
    if kind == "uts":
        del w.config["hostname"]
    if kind == "network":
        # Without a network namespace of one's own sysfs may be the host's.
        w.config["mounts"] = [m for m in w.config["mounts"] if m["destination"] != "/sys"]
    check(w.run(f"readlink /proc/self/ns/{name}").ok(), own(name))


@case(N)
def cgroup_is_new(w):
    w.linux["namespaces"].append({"type": "cgroup"})
    if w.run("readlink /proc/self/ns/cgroup").ok() == own("cgroup"):
        raise Failed("it is the host's")


@case(N)
def cgroup_has_its_own_top(w):
    w.linux["namespaces"].append({"type": "cgroup"})
    w.linux["cgroupsPath"] = f"/kist-cases/{w.id()}"
    for line in w.run("cat /proc/self/cgroup").ok().splitlines():
        if line.split(":")[1] not in ("", "name=systemd"):
            check(line.split(":")[2], "/")


@table(N, {f"{kind} of another process": (kind, name) for kind, name in KINDS.items() if kind not in ("mount", "pid")})
def joined(w, kind, name):
    other = subprocess.Popen(["unshare", f"--{'net' if kind == 'network' else kind}", "sleep", "100"])
    try:
        import time
        while (wanted := os.readlink(f"/proc/{other.pid}/ns/{name}")) == own(name):
            time.sleep(0.01)
        for ns in w.linux["namespaces"]:
            if ns["type"] == kind:
                ns["path"] = f"/proc/{other.pid}/ns/{name}"
        check(w.run(f"readlink /proc/self/ns/{name}").ok(), wanted)
    finally:
        other.kill()
        other.wait()


@case(N)
def pid_of_another_container(w):
    first = w.started(name="first")
    pid = w.info(first)["pid"]
    for ns in w.linux["namespaces"]:
        if ns["type"] == "pid":
            ns["path"] = f"/proc/{pid}/ns/pid"
    check(w.run("readlink /proc/self/ns/pid").ok(), os.readlink(f"/proc/{pid}/ns/pid"))


@case(N, kist_only=True)
def none_at_all(w):
    w.config["linux"] = {}
    del w.config["hostname"]
    w.config["mounts"] = []
    check(w.run("cat /data/file").ok(), "from the image")


@case(N)
def path_that_is_missing(w):
    w.linux["namespaces"][1]["path"] = "/no/such/ns"
    w.run("true").fails()


@case(N)
def path_of_another_kind(w):
    w.linux["namespaces"][1]["path"] = "/proc/self/ns/uts"
    w.run("true").fails()


@case(N)
def the_same_twice(w):
    w.linux["namespaces"].append({"type": "pid"})
    w.run("true").fails()


@case("linux.timeOffsets", kist_only=True)
def boot_time_is_moved(w):
    w.linux["namespaces"].append({"type": "time"})
    w.linux["timeOffsets"] = {"boottime": {"secs": 1_000_000, "nanosecs": 0}, "monotonic": {"secs": 5}}
    uptime = float(w.run("cut -d' ' -f1 /proc/uptime").ok())
    if uptime < 1_000_000:
        raise Failed(uptime)


@case("hostname", quick=True)
def is_set(w):
    w.config["hostname"] = "here"
    check(w.run("hostname").ok(), "here")


@case("hostname")
def without_a_namespace_is_refused(w):
    w.linux["namespaces"] = [ns for ns in w.linux["namespaces"] if ns["type"] != "uts"]
    w.run("true").fails()


@case("domainname", kist_only=True)
def domain_is_set(w):
    w.config["domainname"] = "there"
    check(w.run("cat /proc/sys/kernel/domainname").ok(), "there")


@case("network")
def loopback_is_up(w):
    contains(w.run("ifconfig lo").ok(), "UP LOOPBACK")


def with_maps(w, size=1000):
    root = w.own_root()
    subprocess.run(["chown", "-R", "-h", "100000:100000", root], check=True)
    w.folder.chmod(0o755)
    w.linux["namespaces"].append({"type": "user"})
    w.linux["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": size}]
    w.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": size}]


@case("linux.uidMappings", quick=True)
def maps_are_as_given(w):
    with_maps(w)
    check(w.run("cat /proc/self/uid_map /proc/self/gid_map").ok().split(), ["0", "100000", "1000"] * 2)


@case("linux.uidMappings")
def files_belong_to_the_mapped_user(w):
    with_maps(w)
    w.run("echo x > /tmp/new").ok()
    check((pathlib.Path(w.config["root"]["path"]) / "tmp/new").stat().st_uid, 100000)


@case("linux.uidMappings")
def another_user_in_it(w):
    with_maps(w, 2000)
    w.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [5]}
    check(w.run("echo $(id -u) $(id -G)").ok(), "1000 1000 5")


@case("linux.uidMappings")
def a_user_that_is_not_mapped(w):
    with_maps(w)
    w.process["user"] = {"uid": 5000, "gid": 0}
    w.run("true").fails()


@case("linux.uidMappings")
def devices_are_there_all_the_same(w):
    with_maps(w)
    check(w.run("echo x > /dev/null && head -c 3 /dev/zero | wc -c").ok(), "3")


@case("linux.uidMappings")
def a_bind_of_a_folder_that_only_root_may_enter(w):
    with_maps(w)
    closed = w.folder / "closed"
    (closed / "in").mkdir(parents=True)
    (closed / "in/f").write_text("seen\n")
    closed.chmod(0o700)
    w.config["mounts"].append({"destination": "/mnt", "type": "bind", "source": str(closed / "in"), "options": ["bind"]})
    if os.environ.get("RUNTIME"):
        raise Skip("left open")
    check(w.run("cat /mnt/f").ok(), "seen")


@case("linux.uidMappings")
def maps_without_a_namespace_mean_nothing(w):
    w.linux["uidMappings"] = [{"containerID": 0, "hostID": 1000, "size": 1}]
    w.linux["gidMappings"] = [{"containerID": 0, "hostID": 1000, "size": 1}]
    check(w.run("readlink /proc/self/ns/user").ok(), own("user"))


@case("linux.uidMappings")
def a_namespace_without_maps(w):
    w.linux["namespaces"].append({"type": "user"})
    w.run("true").fails()


@case("linux.sysctl", quick=True)
def of_the_network(w):
    w.linux["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "80"}
    check(w.run("cat /proc/sys/net/ipv4/ip_unprivileged_port_start").ok(), "80")


@case("linux.sysctl")
def of_ipc(w):
    w.linux["sysctl"] = {"kernel.msgmax": "9000"}
    check(w.run("cat /proc/sys/kernel/msgmax").ok(), "9000")


@table("linux.sysctl", {"of the host is refused": ("vm.swappiness",), "unknown": ("net.no.such.thing",),
                        "with dots that lead up": ("net.../../kernel.panic",)})
def bad_sysctl(w, name):
    w.linux["sysctl"] = {name: "1"}
    w.run("true").fails()


def folder_of(controller, path):
    for line in open("/proc/self/mountinfo"):
        fields = line.split()
        if " - cgroup " in line and controller in fields[-1].split(","):
            return pathlib.Path(fields[4]) / path.lstrip("/")
    raise Skip(f"no cgroup v1 for {controller} here")


LIMITS = {
    "memory limit": ("memory", {"memory": {"limit": 64 << 20}}, "memory.limit_in_bytes", str(64 << 20)),
    "memory reservation": ("memory", {"memory": {"reservation": 32 << 20}}, "memory.soft_limit_in_bytes", str(32 << 20)),
    "cpu shares": ("cpu", {"cpu": {"shares": 512}}, "cpu.shares", "512"),
    "cpu quota": ("cpu", {"cpu": {"quota": 20000, "period": 50000}}, "cpu.cfs_quota_us", "20000"),
    "cpu period": ("cpu", {"cpu": {"quota": 20000, "period": 50000}}, "cpu.cfs_period_us", "50000"),
    "cpus": ("cpuset", {"cpu": {"cpus": "0"}}, "cpuset.cpus", "0"),
    "mems": ("cpuset", {"cpu": {"mems": "0"}}, "cpuset.mems", "0"),
    "pids": ("pids", {"pids": {"limit": 20}}, "pids.max", "20"),
}


@table("linux.resources", {name: row for name, row in LIMITS.items()}, quick=True)
def limit(w, controller, resources, file, wanted):
    w.linux["resources"] = resources
    w.linux["cgroupsPath"] = f"/kist-cases/{w.id()}"
    folder = folder_of(controller, w.linux["cgroupsPath"])
    w.started()
    check((folder / file).read_text().strip(), wanted)


@case("linux.cgroupsPath")
def absolute_starts_at_the_top(w):
    w.linux["cgroupsPath"] = f"/kist-cases/{w.id()}"
    lines = w.run("cat /proc/self/cgroup").ok().splitlines()
    for line in lines:
        if line.split(":")[1] in ("memory", "pids", "cpu"):
            check(line.split(":")[2], w.linux["cgroupsPath"])


@case("linux.cgroupsPath")
def it_goes_away_with_the_container(w):
    w.linux["cgroupsPath"] = f"/kist-cases/{w.id()}"
    folder = folder_of("pids", w.linux["cgroupsPath"])
    w.run("true").ok()
    check(folder.exists(), False)


@case("linux.cgroupsPath", kist_only=True)
def one_that_is_in_use_is_refused(w):
    w.linux["cgroupsPath"] = f"/kist-cases/{w.id()}"
    w.started()
    w.process["args"] = ["true"]
    w.write()
    contains(w.call("run", w.id("other")).fails(), "has processes or cgroups in it already")


@case("linux.resources.memory")
def too_much_is_killed(w):
    w.linux["resources"] = {"memory": {"limit": 16 << 20, "swap": 16 << 20}}
    folder_of("memory", "/")
    check(w.run("head -c 100000000 /dev/zero | tail -c 90000000 | wc -c; exit $?", ).out.strip() != "90000000", True)


@case("linux.resources.pids")
def no_more_than_allowed(w):
    w.linux["resources"] = {"pids": {"limit": 5}}
    folder_of("pids", "/")
    done = w.run("for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait")
    contains(done.err.lower(), "fork")


def devices(w, *rules):
    w.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}, *rules]}
    folder_of("devices", "/")


@case("linux.resources.devices", quick=True)
def what_is_not_allowed_cannot_be_opened(w):
    devices(w)
    contains(w.run("mknod /tmp/k c 10 229; : < /tmp/k").fails(), "not permitted")


@case("linux.resources.devices", quick=True)
def without_any_rule_disks_are_out_of_reach(w):
    folder_of("devices", "/")
    contains(w.run("mknod /tmp/k c 10 229; : < /tmp/k").fails(), "not permitted")


@case("linux.resources.devices")
def everything_for_who_asks(w):
    if not os.path.exists("/dev/fuse"):
        raise Skip("no /dev/fuse here")
    w.linux["resources"] = {"devices": [{"allow": True, "access": "rwm"}]}
    w.run("mknod /tmp/k2 c 10 229; : < /tmp/k2").ok()


@case("linux.resources.devices")
def what_is_allowed_can(w):
    devices(w, {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "r"})
    w.linux["devices"] = [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666}]
    if not os.path.exists("/dev/fuse"):
        raise Skip("no /dev/fuse here")
    w.run(": < /dev/fuse").ok()
    w.run(": > /dev/fuse").fails()


@case("linux.resources.devices")
def the_usual_ones_always_can(w):
    devices(w)
    check(w.run("echo x > /dev/null; head -c 2 /dev/urandom | wc -c").ok(), "2")


@case("linux.resources.unified", kist_only=True)
def a_file_that_is_not_there(w):
    w.linux["resources"] = {"unified": {"memory.no_such": "1"}}
    contains(w.run("true").fails(), "linux.resources.unified.memory.no_such")


@case("linux.resources.hugepageLimits", kist_only=True)
def hugepages(w):
    if not os.path.exists("/sys/kernel/mm/hugepages/hugepages-2048kB"):
        raise Skip("no huge pages of 2 MB here")
    w.linux["resources"] = {"hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}]}
    w.linux["namespaces"].append({"type": "cgroup"})
    w.started()


def profile(w, *rules, default="SCMP_ACT_ALLOW", **more):
    w.linux["seccomp"] = {"defaultAction": default, "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
                          "syscalls": list(rules), **more}


@case("linux.seccomp", quick=True)
def a_call_that_is_refused(w):
    profile(w, {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"})
    contains(w.run("mkdir /tmp/x").fails(), "not permitted")


@case("linux.seccomp")
def with_another_error(w):
    profile(w, {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 30})
    contains(w.run("mkdir /tmp/x").fails(), "Read-only")


@table("linux.seccomp", {action: (action,) for action in ("SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP")})
def ends_the_process(w, action):
    profile(w, {"names": ["mkdir", "mkdirat"], "action": action})
    check(w.run("mkdir /tmp/x; echo $?").ok(), str(128 + 31))


@case("linux.seccomp")
def log_lets_it_pass(w):
    profile(w, {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_LOG"})
    w.run("mkdir /tmp/x && rmdir /tmp/x").ok()


@case("linux.seccomp")
def by_argument(w):
    profile(w, {"names": ["personality"], "action": "SCMP_ACT_ERRNO",
                "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]})
    contains(w.run("grep Seccomp: /proc/self/status").ok(), "2")


@table("linux.seccomp", {f"operator {op}": (op, value, two, works) for op, value, two, works in
                         (("EQ", 7, 0, False), ("NE", 7, 0, True), ("LT", 8, 0, False), ("LE", 7, 0, False), ("GT", 6, 0, False),
                          ("GE", 8, 0, True), ("MASKED_EQ", 7, 7, False))})
def operator(w, op, value, two, works):
    # kill(pid, 7): the second argument is compared.
    args = [{"index": 1, "value": value, "valueTwo": two, "op": f"SCMP_CMP_{op}"}]
    if op == "MASKED_EQ":
        args = [{"index": 1, "value": 0xff, "valueTwo": 7, "op": "SCMP_CMP_MASKED_EQ"}]
    profile(w, {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": args})
    check(w.run("sleep 5 & kill -7 $!").status == 0, works)


@case("linux.seccomp")
def default_refuses_all_else(w):
    known = "execve brk access openat open read write close fstat stat lstat newfstatat mmap mprotect munmap exit exit_group " \
            "arch_prctl set_tid_address set_robust_list rseq prlimit64 getrandom readlink readlinkat futex rt_sigaction " \
            "rt_sigprocmask getuid getpid getppid fcntl dup2 ioctl getcwd uname geteuid getegid getgid sysinfo prctl " \
            "chdir setuid setgid setgroups capget capset setresuid setresgid umask close_range epoll_ctl epoll_pwait " \
            "epoll_create1 nanosleep sched_getaffinity sigaltstack mremap madvise tgkill gettid getdents64 statfs fstatfs " \
            "sendmsg recvmsg rt_sigreturn accept4 faccessat faccessat2 fchdir clone kill setsid getpgrp pipe2 lseek"
    profile(w, {"names": known.split(), "action": "SCMP_ACT_ALLOW"}, default="SCMP_ACT_ERRNO")
    contains(w.run("mkdir /tmp/x").fails(), "not permitted")


@case("linux.seccomp")
def unknown_names_are_left_out(w):
    profile(w, {"names": ["no_such_call", "mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"})
    w.run("mkdir /tmp/x").fails()


@case("linux.seccomp")
def without_no_new_privileges(w):
    w.process["noNewPrivileges"] = False
    profile(w, {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"})
    w.run("mkdir /tmp/x").fails()


@table("linux.seccomp", {f"flag {flag}": (flag,) for flag in ("TSYNC", "LOG", "SPEC_ALLOW")})
def flag(w, flag):
    profile(w, {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}, flags=[f"SECCOMP_FILTER_FLAG_{flag}"])
    w.run("mkdir /tmp/x").fails()


class Notification(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint64), ("pid", ctypes.c_uint32), ("flags", ctypes.c_uint32),
                ("data", ctypes.c_uint8 * 64)]


class Answer(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint64), ("val", ctypes.c_int64), ("error", ctypes.c_int32),
                ("flags", ctypes.c_uint32)]


@case("linux.seccomp", kist_only=True)
def a_listener_answers(w):
    import fcntl
    path = str(w.folder / "agent")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen(1)
    heard = {}

    def serve():
        connection, _ = server.accept()
        text, fds, _, _ = socket.recv_fds(connection, 65536, 1)
        heard["state"] = json.loads(text)
        request = Notification()
        fcntl.ioctl(fds[0], 0xC0502100, request)  # SECCOMP_IOCTL_NOTIF_RECV
        answer = Answer(id=request.id, val=0, error=-28, flags=0)
        fcntl.ioctl(fds[0], 0xC0182101, answer)  # SECCOMP_IOCTL_NOTIF_SEND
        os.close(fds[0])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    profile(w, {"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}, listenerPath=path, listenerMetadata="hello")
    contains(w.run("mkdir /tmp/x").fails(), "No space left")
    thread.join(5)
    state = heard["state"]
    check((state["metadata"], state["fds"], state["state"]["id"]), ("hello", ["seccompFd"], w.id()))
    check(state["pid"] > 1, True)


@case("linux.intelRdt", kist_only=True)
def is_refused(w):
    w.linux["intelRdt"] = {"closID": "x"}
    contains(w.run("true").fails(), "linux.intelRdt: Intel RDT")


@case("mounts of type cgroup", quick=True)
def shows_each_hierarchy(w):
    w.config["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                               "options": ["ro", "nosuid", "noexec", "nodev"]})
    folder_of("memory", "/")
    contains(w.run("ls /sys/fs/cgroup").ok(), "memory")
    w.run("mkdir /sys/fs/cgroup/memory/x").fails()


@case("mounts of type cgroup")
def shows_its_own_limits(w):
    folder_of("memory", "/")
    w.linux["resources"] = {"memory": {"limit": 64 << 20}}
    w.config["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"})
    check(w.run("cat /sys/fs/cgroup/memory/memory.limit_in_bytes").ok(), str(64 << 20))


@table("linux.seccomp", {f"getcwd is refused, new privileges {'not ' if no else ''}allowed": (no,) for no in (True, False)})
def calls_that_the_runtime_makes_itself(w, no_new_privileges):
    w.process["noNewPrivileges"] = no_new_privileges
    profile(w, {"names": ["getcwd"], "action": "SCMP_ACT_ERRNO"})
    check(w.run("echo ran").ok(), "ran")
