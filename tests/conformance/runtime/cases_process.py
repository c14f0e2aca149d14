"""config.md: process."""
import os

from lib import Failed, IS_KIST, case, check, contains, lacks, table

P = "process"


@case(P, quick=True)
def args_are_passed_as_they_are(w):
    w.process["args"] = ["printf", "%s|", "a b", "", "$HOME", "*"]
    check(w.run().ok(), "a b||$HOME|*|")


@table(P, {f"exit status {n}": (n,) for n in (0, 1, 42, 126, 127, 255)}, quick=True)
def exit_status(w, status):
    check(w.run(f"exit {status}").status, status)


@table(P, {f"ended by signal {n}": (n,) for n in (9, 15)})
def ended_by_signal(w, number):
    # The first process of a PID namespace ignores what it has not asked for, but not a child's end.
    check(w.run(f"sh -c 'kill -{number} $$'; exit $?").status, 128 + number)


@case(P)
def env_is_exactly_what_is_given(w):
    w.process["env"] = ["PATH=/bin", "A=1", "B=two words", "HOME=/x"]
    w.process["args"] = ["env"]
    check(sorted(w.run().ok().splitlines()), ["A=1", "B=two words", "HOME=/x", "PATH=/bin"])


@case(P)
def home_comes_from_passwd(w):
    w.process["user"] = {"uid": 1000, "gid": 1000}
    check(w.run("echo $HOME").ok(), "/home/ada")


@case(P, quick=True)
def cwd_is_where_it_begins(w):
    w.process["cwd"] = "/tmp"
    check(w.run("pwd").ok(), "/tmp")


@case(P)
def cwd_that_is_missing_is_made(w):
    root = w.own_root()
    w.process["cwd"] = "/made/here"
    check(w.run("pwd").ok(), "/made/here")
    check((root / "made/here").is_dir(), True)


@table(P, {"relative cwd": ("tmp",), "empty cwd": ("",)})
def bad_cwd(w, cwd):
    w.process["cwd"] = cwd
    w.run("true").fails()


@case(P)
def cwd_that_is_a_file(w):
    w.process["cwd"] = "/etc/passwd"
    w.run("true").fails()


@case(P)
def uid_and_gid(w):
    w.process["user"] = {"uid": 1000, "gid": 1001}
    check(w.run("echo $(id -u) $(id -g) $(id -G)").ok(), "1000 1001 1001")


@case(P)
def additional_gids(w):
    w.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [5, 7]}
    check(w.run("id -G").ok(), "1000 5 7")


@table(P, {f"umask {m:03o}": (m,) for m in (0o22, 0o77, 0)})
def umask(w, mask):
    w.process["user"]["umask"] = mask
    check(int(w.run("umask").ok(), 8), mask)


@case(P)
def umask_is_022_if_not_given(w):
    check(w.run("umask").ok(), "0022")


@case(P, quick=True)
def no_new_privileges(w):
    contains(w.run("grep NoNewPrivs /proc/self/status").ok(), "1")


@case(P)
def no_new_privileges_off(w):
    w.process["noNewPrivileges"] = False
    contains(w.run("grep NoNewPrivs /proc/self/status").ok(), "0")


def sets(w):
    lines = w.run("grep ^Cap /proc/self/status").ok().splitlines()
    return {line.split(":")[0]: int(line.split()[1], 16) for line in lines}


@case(P)
def capabilities_of_root(w):
    w.process["capabilities"] = {n: ["CAP_CHOWN", "CAP_KILL"] for n in ("bounding", "effective", "permitted")}
    got = sets(w)
    check((got["CapBnd"], got["CapEff"], got["CapPrm"]), (0x21, 0x21, 0x21))


@case(P)
def no_capabilities_at_all(w):
    del w.process["capabilities"]
    got = sets(w)
    check((got["CapBnd"], got["CapEff"], got["CapPrm"]), (0, 0, 0))


@case(P)
def ambient_capabilities_reach_a_user(w):
    w.process["user"] = {"uid": 1000, "gid": 1000}
    w.process["capabilities"] = {n: ["CAP_NET_BIND_SERVICE"] for n in
                                 ("bounding", "effective", "permitted", "inheritable", "ambient")}
    got = sets(w)
    check((got["CapEff"], got["CapAmb"]), (1 << 10, 1 << 10))


@case(P)
def a_user_without_ambient_ones_has_none(w):
    w.process["user"] = {"uid": 1000, "gid": 1000}
    check(sets(w)["CapEff"], 0)


@case(P)
def a_capability_that_nobody_has_is_left_out(w):
    w.process["capabilities"]["bounding"].append("CAP_NO_SUCH_THING")
    w.run("true").ok()


LIMITS = {"RLIMIT_NOFILE": "Max open files", "RLIMIT_CORE": "Max core file size", "RLIMIT_STACK": "Max stack size",
          "RLIMIT_FSIZE": "Max file size", "RLIMIT_CPU": "Max cpu time", "RLIMIT_AS": "Max address space",
          "RLIMIT_NPROC": "Max processes", "RLIMIT_MEMLOCK": "Max locked memory", "RLIMIT_DATA": "Max data size",
          "RLIMIT_SIGPENDING": "Max pending signals", "RLIMIT_MSGQUEUE": "Max msgqueue size",
          "RLIMIT_NICE": "Max nice priority", "RLIMIT_RTPRIO": "Max realtime priority",
          "RLIMIT_RSS": "Max resident set", "RLIMIT_LOCKS": "Max file locks", "RLIMIT_RTTIME": "Max realtime timeout"}


def inherited(label):
    with open("/proc/self/limits") as text:
        for line in text:
            if line.startswith(label):
                value = line[26:].split()[1]
                return float("inf") if value == "unlimited" else int(value)


@table("process.rlimits", {name: (name, label) for name, label in LIMITS.items()})
def rlimit(w, name, label):
    hard = min(1 << 30 if name in ("RLIMIT_AS", "RLIMIT_STACK", "RLIMIT_DATA") else 60, inherited(label))
    soft = hard if hard == 0 else hard - 1
    w.process["rlimits"] = [{"type": name, "soft": soft, "hard": hard}]
    line = [l for l in w.run("cat /proc/self/limits").ok().splitlines() if l.startswith(label)][0]
    check(line[26:].split()[:2], [str(soft), str(hard)])


@case("process.rlimits", kist_only=True)
def above_the_hard_limit_is_lowered_with_a_warning(w):
    w.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 1 << 40, "hard": 1 << 40}]
    done = w.run("ulimit -n")
    if int(done.ok()) > 1 << 30:
        raise Failed(done.out)
    contains(done.err, "RLIMIT_NOFILE is lowered")


@case(P)
def oom_score_adj(w):
    w.process["oomScoreAdj"] = 500
    check(w.run("cat /proc/self/oom_score_adj").ok(), "500")


@case(P, quick=True)
def program_not_found(w):
    w.process["args"] = ["no-such-program"]
    done = w.run()
    contains(done.fails(), "executable file not found in $PATH")
    if IS_KIST:
        check(done.status, 127)


@case(P)
def program_path_not_found(w):
    w.process["args"] = ["/no/such"]
    contains(w.run().fails().lower(), "no such file or directory")


@case(P)
def program_not_executable(w):
    w.process["args"] = ["/etc/passwd"]
    done = w.run()
    contains(done.fails().lower(), "permission denied")
    if IS_KIST:
        check(done.status, 126)


@case(P)
def program_that_is_a_folder(w):
    w.process["args"] = ["/etc"]
    done = w.run()
    done.fails()
    if IS_KIST:
        check(done.status, 126)


@case(P, kist_only=True)
def script_with_a_missing_interpreter(w):
    root = w.own_root()
    (root / "bin/script").write_text("#!/no/interpreter\n")
    (root / "bin/script").chmod(0o755)
    w.process["args"] = ["script"]
    done = w.run()
    check(done.status, 127)
    contains(done.err, "interpreter")


@case(P)
def file_that_is_no_program(w):
    root = w.own_root()
    (root / "bin/odd").write_text("\x7fnonsense")
    (root / "bin/odd").chmod(0o755)
    w.process["args"] = ["odd"]
    w.run().fails()


@case(P, quick=True)
def stdin_reaches_it(w):
    check(w.run("cat", stdin="hello").ok(), "hello")


@case(P)
def stdout_and_stderr_are_apart(w):
    done = w.run("echo out; echo err >&2")
    check((done.out, done.err), ("out\n", "err\n"))


@case(P)
def only_the_standard_descriptors_are_open(w):
    fd = os.open("/etc", os.O_RDONLY)
    os.set_inheritable(fd, True)
    try:
        got = w.run("ls /proc/self/fd | sort -n | tr '\\n' ' '", pass_fds=(fd,)).ok().split()
    finally:
        os.close(fd)
    # ls itself has one open on the folder.
    check(got, ["0", "1", "2", "3"])


@case("runc run --preserve-fds")
def preserved_descriptors(w):
    path = w.folder / "kept"
    path.write_text("kept\n")
    fd = os.open(path, os.O_RDONLY)
    os.dup2(fd, 3)
    try:
        check(w.run("cat <&3", "--preserve-fds", "1", pass_fds=(3,)).ok(), "kept")
    finally:
        os.close(3)
        if fd != 3:
            os.close(fd)


@case("runc run --preserve-fds", kist_only=True)
def descriptor_that_is_not_open(w):
    contains(w.run("true", "--preserve-fds", "2").fails(), "descriptor 3 is to be preserved, but it is not open")


@case(P)
def signals_are_at_their_defaults(w):
    w.process["args"] = ["grep", "-E", "SigBlk|SigIgn", "/proc/self/status"]
    check(w.run().ok().split(), ["SigBlk:", "0" * 16, "SigIgn:", "0" * 16])


@case(P)
def it_is_the_first_process(w):
    check(w.run("echo $$").ok(), "1")


@case(P)
def it_leads_its_session(w):
    check(w.run("cut -d' ' -f5,6 /proc/self/stat").ok().split()[1], "1")


@case("process.scheduler", kist_only=True)
def batch_with_a_nice_value(w):
    w.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 5}
    # Fields 19 and 41 of stat: the nice value and the policy.
    check(w.run("cut -d' ' -f19,41 /proc/self/stat").ok(), "5 3")


@case("process.ioPriority", kist_only=True)
def idle_class(w):
    w.process["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}
    check(w.run("ionice").ok().split(":")[0], "idle")


@case("linux.personality", kist_only=True)
def thirty_two_bits(w):
    w.linux["personality"] = {"domain": "LINUX32"}
    check(w.run("uname -m").ok(), "i686")


@case(P)
def terminal_needs_a_place(w):
    w.process["terminal"] = True
    w.run("true", "--detach").fails()


@case(P, kist_only=True)
def apparmor_without_the_module_is_refused(w):
    if os.path.exists("/sys/module/apparmor"):
        from lib import Skip
        raise Skip("this kernel has AppArmor")
    w.process["apparmorProfile"] = "some-profile"
    contains(w.run("true").fails(), "this kernel has no AppArmor")


@case(P, kist_only=True)
def unconfined_needs_no_module(w):
    w.process["apparmorProfile"] = "unconfined"
    w.run("true").ok()
    lacks("", "x")
