"""runtime.md: the life of a container; and the command line of runc."""
import json
import os
import pathlib
import signal
import subprocess
import time

from lib import RUNTIME, Failed, IS_KIST, case, check, contains, lacks, table

L = "lifecycle"


@case(L, quick=True)
def create_does_not_start_it(w):
    made = w.create("echo x > /tmp/ran")
    state = w.info(made)
    check((state["status"], state["id"], state["ociVersion"]), ("created", made, w.config["ociVersion"]))
    check(os.path.exists(f"/proc/{state['pid']}"), True)
    check(state["bundle"], str(w.bundle))


@case(L, quick=True)
def start_starts_it(w):
    made = w.create("echo begun; exec sleep 100")
    w.call("start", made).ok()
    check(w.info(made)["status"], "running")
    check((w.folder / "out").read_text(), "begun\n")


@case(L)
def it_stops(w):
    made = w.started("exit 0")
    w.wait_status(made, "stopped")


@case(L)
def annotations_are_in_its_state(w):
    w.config["annotations"] = {"org.example.key": "value"}
    check(w.info(w.create())["annotations"]["org.example.key"], "value")


@table(L, {"start twice": ("start", "start"), "start of a stopped one": ("kill", "start"),
           "pause of a paused one": ("start", "pause", "pause"), "resume of a running one": ("start", "resume"),
           "delete of a running one": ("start", "delete"), "exec in a stopped one": ("kill", "exec")})
def wrong_order(w, *steps):
    made = w.create()
    for step in steps[:-1]:
        if step == "kill":
            w.call("kill", made, "KILL").ok()
            w.wait_status(made, "stopped")
        else:
            w.call(step, made).ok()
    extra = ["true"] if steps[-1] == "exec" else []
    w.call(steps[-1], made, *extra).fails()
    if "pause" in steps:
        w.call("resume", made)


@table(L, {f"{verb} of what is not there": (verb, *more) for verb, *more in
           (("start",), ("state",), ("kill",), ("delete",), ("exec", "true"), ("pause",), ("resume",), ("ps",),
            ("update", "--pids-limit", "5"), ("events", "--stats"))})
def not_there(w, verb, *more):
    options = [one for one in more if one.startswith("--") or one.isdigit()]
    rest = [one for one in more if one not in options]
    contains(w.call(verb, *options, "no-such-container", *rest).fails(), "does not exist")


@case(L, quick=True)
def delete_removes_it(w):
    made = w.started("exit 0")
    w.wait_status(made, "stopped")
    w.call("delete", made).ok()
    w.call("state", made).fails()


@case("runc delete --force")
def ends_a_running_one(w):
    made = w.started()
    pid = w.info(made)["pid"]
    w.call("delete", "--force", made).ok()
    # Whoever inherited it may not have reaped it yet.
    if os.path.exists(f"/proc/{pid}/stat"):
        check(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0], "Z")


@case("runc delete --force")
def of_what_is_not_there_is_fine(w):
    w.call("delete", "--force", "no-such-container").ok()


@case(L)
def the_same_name_twice(w):
    made = w.create()
    contains(w.call("create", made).fails(), "exist")


@table(L, {f"id {text!r}": (text,) for text in ("", "a/b", "../x", "a b", "ä", ".", "..")})
def bad_id(w, text):
    w.process["args"] = ["true"]
    w.write()
    w.call("run", text).fails()


@case(L)
def the_name_is_free_after_a_failed_create(w):
    w.process["args"] = ["no-such-program"]
    w.write()
    w.call("create", w.id()).fails()
    w.run("true").ok()


@table("runc kill", {name: (name, number) for name, number in
                     (("TERM", 15), ("SIGTERM", 15), ("15", 15), ("HUP", 1), ("KILL", 9), ("sigint", 2))})
def sends(w, name, number):
    made = w.started(f"trap 'exit {100 + number}' {number if number != 9 else ''}; echo on; while :; do sleep 0.05; done")
    for _ in range(100):
        if "on" in (w.folder / "out").read_text():
            break
        time.sleep(0.02)
    w.call("kill", made, name).ok()
    w.wait_status(made, "stopped")


@case("runc kill")
def an_unknown_signal(w):
    w.call("kill", w.started(), "NOSUCH").fails()


@case("runc kill")
def of_a_stopped_one(w):
    made = w.started("exit 0")
    w.wait_status(made, "stopped")
    w.call("kill", made, "TERM").fails()


@case("runc kill --all")
def reaches_every_process(w):
    made = w.started("sleep 100 & sleep 100 & wait")
    w.call("kill", "--all", made, "KILL").ok()
    w.wait_status(made, "stopped")


@case("runc pause", quick=True)
def stops_and_goes_on(w):
    made = w.started("while :; do echo . ; sleep 0.02; done")
    w.call("pause", made).ok()
    check(w.info(made)["status"], "paused")
    before = (w.folder / "out").stat().st_size
    time.sleep(0.2)
    check((w.folder / "out").stat().st_size, before)
    w.call("resume", made).ok()
    check(w.info(made)["status"], "running")


@case("runc pause")
def a_paused_one_can_be_deleted(w):
    made = w.started()
    w.call("pause", made).ok()
    w.call("delete", "--force", made).ok()


@case("runc exec", quick=True)
def runs_in_the_container(w):
    made = w.started()
    check(w.call("exec", made, "hostname").ok(), "case")


@case("runc exec")
def joins_every_namespace(w):
    made = w.started()
    pid = w.info(made)["pid"]
    for name in ("pid", "net", "ipc", "uts", "mnt"):
        check(w.call("exec", made, "readlink", f"/proc/self/ns/{name}").ok(), os.readlink(f"/proc/{pid}/ns/{name}"))


@table("runc exec", {f"exit status {n}": (n,) for n in (0, 3, 255)})
def exec_status(w, status):
    check(w.call("exec", w.started(), "sh", "-c", f"exit {status}").status, status)


@case("runc exec")
def options_of_the_command_are_its_own(w):
    check(w.call("exec", w.started(), "echo", "--env", "-t").ok(), "--env -t")


@case("runc exec --env --cwd --user")
def take_effect(w):
    made = w.started()
    got = w.call("exec", "-e", "A=b", "--cwd", "/tmp", "-u", "1000:1001", made, "sh", "-c", "echo $A $PWD $(id -u) $(id -g)")
    check(got.ok(), "b /tmp 1000 1001")


@case("runc exec --additional-gids")
def groups(w):
    check(w.call("exec", "-u", "1000:1000", "-g", "5", "-g", "6", w.started(), "id", "-G").ok(), "1000 5 6")


@case("runc exec --cap")
def one_more(w):
    made = w.started()
    lines = w.call("exec", "--cap", "CAP_SYS_NICE", made, "grep", "CapEff", "/proc/self/status").ok()
    check(bool(int(lines.split()[1], 16) & (1 << 23)), True)


@case("runc exec --process")
def from_a_file(w):
    made = w.started()
    (w.folder / "p.json").write_text(json.dumps({**w.process, "args": ["echo", "from a file"], "cwd": "/tmp"}))
    check(w.call("exec", "--process", w.folder / "p.json", made).ok(), "from a file")


@case("runc exec --detach --pid-file")
def leaves_it_running(w):
    made = w.started()
    path = w.folder / "pid"
    subprocess.run([*RUNTIME, "--root", str(w.state), "exec", "-d", "--pid-file", str(path), made, "sleep", "100"],
                   check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    contains(pathlib.Path(f"/proc/{path.read_text()}/cmdline").read_text(), "sleep")


@case("runc exec --tty")
def has_a_terminal(w):
    made = w.started()
    command = " ".join([*RUNTIME, "--root", str(w.state), "exec", "-t", made, "tty"])
    done = subprocess.run(["script", "-qec", command, "/dev/null"], capture_output=True, text=True, timeout=20,
                          stdin=subprocess.DEVNULL)
    contains(done.stdout, "/dev/pts/")


@case("runc exec")
def not_found(w):
    done = w.call("exec", w.started(), "no-such-program")
    contains(done.fails(), "executable file not found in $PATH")
    check(done.status, 255)


@case("runc exec")
def in_a_paused_one(w):
    made = w.started()
    w.call("pause", made).ok()
    w.call("exec", made, "true").fails()
    w.call("resume", made).ok()


@case("runc exec")
def is_in_the_cgroup(w):
    made = w.started()
    check(w.call("exec", made, "cat", "/proc/self/cgroup").ok(),
          w.call("exec", made, "cat", "/proc/1/cgroup").ok())


@case("runc exec")
def has_the_filter(w):
    w.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                          "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}
    w.call("exec", w.started(), "mkdir", "/tmp/x").fails()


@case("runc exec")
def with_a_user_namespace(w):
    from cases_linux import with_maps
    with_maps(w)
    check(w.call("exec", w.started(), "sh", "-c", "id -u; cat /proc/self/uid_map").ok().split(),
          ["0", "0", "100000", "1000"])


@case("runc exec")
def without_a_pid_namespace(w):
    w.linux["namespaces"] = [ns for ns in w.linux["namespaces"] if ns["type"] != "pid"]
    check(w.call("exec", w.started(), "hostname").ok(), "case")


@case("runc run --detach")
def goes_on_alone(w):
    w.process["args"] = ["sleep", "100"]
    w.write()
    subprocess.run([*RUNTIME, "--root", str(w.state), "run", "-d", w.id()], check=True, cwd=w.bundle,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    check(w.info(w.id())["status"], "running")


@case("runc run --keep", kist_only=True)
def keeps_it(w):
    w.run("true", "--keep").ok()
    check(w.info(w.id())["status"], "stopped")


@case("runc run")
def leaves_nothing(w):
    w.run("true").ok()
    w.call("state", w.id()).fails()


@case("runc run")
def passes_signals_on(w):
    w.process["args"] = ["sh", "-c", "trap 'exit 9' TERM; echo on; while :; do sleep 0.05; done"]
    w.write()
    run = subprocess.Popen([*RUNTIME, "--root", str(w.state), "run", w.id()], cwd=w.bundle, stdout=subprocess.PIPE,
                           stdin=subprocess.DEVNULL)
    check(run.stdout.readline(), b"on\n")
    run.send_signal(signal.SIGTERM)
    check(run.wait(10), 9)


@case("runc run")
def terminal_of_its_own(w):
    w.process["terminal"] = True
    w.process["args"] = ["sh", "-c", "tty; stty size; test -c /dev/console && echo console"]
    w.process["consoleSize"] = {"height": 30, "width": 100}
    w.write()
    command = " ".join([*RUNTIME, "--root", str(w.state), "run", w.id()])
    done = subprocess.run(["script", "-qec", command, "/dev/null"], capture_output=True, text=True, timeout=20,
                          stdin=subprocess.DEVNULL, cwd=w.bundle)
    contains(done.stdout, "/dev/pts/0")
    contains(done.stdout, "console")


@case("runc create --console-socket", quick=True)
def gives_the_terminal_away(w):
    import socket
    path = str(w.folder / "tty.sock")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen(1)
    w.process["terminal"] = True
    w.process["consoleSize"] = {"height": 31, "width": 101}
    made = w.create("stty size; sleep 5", "--console-socket", path)
    connection, _ = server.accept()
    _, fds, _, _ = socket.recv_fds(connection, 100, 1)
    w.call("start", made).ok()
    got = b""
    while b"\n" not in got:
        got += os.read(fds[0], 100)
    os.close(fds[0])
    check(got.split(), [b"31", b"101"])


@case("runc create --pid-file")
def has_the_pid(w):
    made = w.create("sleep 100", "--pid-file", str(w.folder / "pid"))
    check(int((w.folder / "pid").read_text()), w.info(made)["pid"])


@case("runc create --pidfd-socket", kist_only=True)
def gives_a_pidfd(w):
    import socket
    path = str(w.folder / "pidfd.sock")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen(1)
    made = w.create("sleep 100", "--pidfd-socket", path)
    connection, _ = server.accept()
    _, fds, _, _ = socket.recv_fds(connection, 100, 1)
    signal.pidfd_send_signal(fds[0], signal.SIGKILL)
    os.close(fds[0])
    w.wait_status(made, "stopped")


@case("runc run --no-pivot")
def works_without_pivot_root(w):
    check(w.run("cat /data/file", "--no-pivot").ok(), "from the image")


@case("runc list", quick=True)
def shows_them_all(w):
    one, two = w.create(name="one"), w.create(name="two")
    rows = [line.split() for line in w.call("list").ok().splitlines()]
    check(rows[0], ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"])
    for made in (one, two):
        check([row for row in rows if row[0] == made][0][2], "created")


@case("runc list --quiet")
def only_ids(w):
    made = w.create()
    contains(w.call("list", "-q").ok().splitlines(), made)


@case("runc list --format json")
def as_json(w):
    made = w.create()
    entry = [one for one in json.loads(w.call("list", "-f", "json").ok()) if one["id"] == made][0]
    check((entry["status"], entry["owner"], entry["bundle"]), ("created", "root", str(w.bundle)))


@case("runc ps", quick=True)
def its_processes(w):
    made = w.started("sleep 99 & sleep 98; wait")
    time.sleep(0.2)
    text = w.call("ps", made).ok()
    contains(text, "sleep 99")
    contains(text, "sleep 98")


@case("runc ps --format json")
def pids_as_json(w):
    made = w.started()
    contains(json.loads(w.call("ps", "-f", "json", made).ok()), w.info(made)["pid"])


@table("runc update", {name: row for name, row in {
    "memory": (["--memory", str(80 << 20)], "memory", "memory.limit_in_bytes", str(80 << 20)),
    "memory and swap": (["--memory", str(80 << 20), "--memory-swap", str(90 << 20)], "memory", "memory.memsw.limit_in_bytes", str(90 << 20)),
    "cpu shares": (["--cpu-share", "300"], "cpu", "cpu.shares", "300"),
    "cpu quota": (["--cpu-period", "50000", "--cpu-quota", "10000"], "cpu", "cpu.cfs_quota_us", "10000"),
    "cpus": (["--cpuset-cpus", "0"], "cpuset", "cpuset.cpus", "0"),
    "pids": (["--pids-limit", "17"], "pids", "pids.max", "17")}.items()})
def update(w, options, controller, file, wanted):
    from cases_linux import folder_of
    w.linux["cgroupsPath"] = f"/kist-cases/{w.id()}"
    folder = folder_of(controller, w.linux["cgroupsPath"])
    w.call("update", *options, w.started()).ok()
    check((folder / file).read_text().strip(), wanted)


@case("runc update --resources")
def update_from_stdin(w):
    from cases_linux import folder_of
    w.linux["cgroupsPath"] = f"/kist-cases/{w.id()}"
    folder = folder_of("pids", w.linux["cgroupsPath"])
    w.call("update", "-r", "-", w.started(), stdin='{"pids": {"limit": 23}}').ok()
    check((folder / "pids.max").read_text().strip(), "23")


@case("runc events --stats")
def counts(w):
    data = json.loads(w.call("events", "--stats", w.started()).ok())
    check((data["type"], data["data"]["pids"]["current"]), ("stats", 1))


@case("runc spec", quick=True)
def writes_a_config_that_runs(w):
    w.call("spec").ok()
    made = json.loads((w.bundle / "config.json").read_text())
    made["process"]["terminal"] = False
    made["process"]["args"] = ["echo", "from spec"]
    made["root"]["path"] = w.config["root"]["path"]
    w.config = made
    check(w.run().ok(), "from spec")


@case("runc spec")
def does_not_overwrite(w):
    w.write()
    w.call("spec").fails()


@case("runc features")
def says_what_there_is(w):
    features = json.loads(w.call("features").ok())
    contains(features["linux"]["namespaces"], "user")
    contains(features["mountOptions"], "rro")
    contains(features["hooks"], "createContainer")


@case("runc --log-format json")
def errors_are_json(w):
    w.process["args"] = ["no-such-program"]
    w.write()
    w.call("create", w.id(), extra=("--log", str(w.folder / "log"), "--log-format", "json")).fails()
    last = json.loads((w.folder / "log").read_text().splitlines()[-1])
    check(last["level"], "error")
    contains(last["msg"], "executable file not found")


@table("runc", {"an unknown command": ("no-such-command",), "an unknown option": ("list", "--no-such-option"),
                "no id": ("state",), "too many ids": ("state", "a", "b")})
def misuse(w, *args):
    w.call(*args).fails()


@table("runc", {"--version": ("--version",), "--help": ("--help",), "help of a command": ("run", "--help")})
def tells(w, *args):
    contains(w.call(*args).ok().lower(), "run")


HOOKS = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")


@table("hooks", {f"{kind} gets the state": (kind,) for kind in HOOKS}, quick=True)
def hook(w, kind):
    out = w.folder / "hook"
    w.config["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", f"cat > {out}; echo $A >> {out}"], "env": ["A=b"]}]}
    w.run("true").ok()
    text = out.read_text()
    state, variable = text[:text.rindex("}") + 1], text[text.rindex("}") + 1:]
    state = json.loads(state)
    check((state["id"], state["bundle"], variable.strip()), (w.id(), str(w.bundle), "b"))
    if kind != "poststop":
        check(state["pid"] > 1, True)


@case("hooks")
def startContainer_is_inside(w):
    root = w.own_root()
    w.config["hooks"] = {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "cat > /tmp/hook"]}]}
    w.run("true").ok()
    check(json.loads((root / "tmp/hook").read_text())["id"], w.id())


@table("hooks", {f"{kind} that fails": (kind,) for kind in ("prestart", "createRuntime", "createContainer", "startContainer")})
def failing_hook(w, kind):
    w.config["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", "exit 5"]}]}
    w.run("true").fails()
    w.config["hooks"] = {}
    w.run("true").ok()


@table("hooks", {f"{kind} that fails is no error": (kind,) for kind in ("poststop",)})
def late_failing_hook(w, kind):
    w.config["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", "exit 5"]}]}
    w.run("true").ok()


@case("hooks")
def timeout(w):
    w.config["hooks"] = {"prestart": [{"path": "/bin/sleep", "args": ["sleep", "20"], "timeout": 1}]}
    start = time.monotonic()
    w.run("true").fails()
    check(time.monotonic() - start < 10, True)


@case("hooks")
def in_their_order(w):
    out = w.folder / "order"
    w.config["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", f"echo {kind}-{i} >> {out}"]} for i in (1, 2)]
                         for kind in HOOKS}
    w.run("true").ok()
    check(out.read_text().split(), [f"{kind}-{i}" for kind in HOOKS for i in (1, 2)])


@case(L, quick=True)
def of_a_plain_user(w):
    w.process["args"] = ["sleep", "100"]
    check(w.as_user("create", w.id(), quiet=True).returncode, 0)
    check(json.loads(w.as_user("state", w.id()).stdout)["status"], "created")
    check(w.as_user("start", w.id()).returncode, 0)
    check(w.as_user("exec", w.id(), "id", "-u").stdout.strip(), "0")
    check(w.as_user("delete", w.id()).returncode == 0, False)
    check(w.as_user("delete", "--force", w.id()).returncode, 0)
    check(w.as_user("list", "-q").stdout, "")


@case(L, kist_only=True)
def a_thousand_leftovers_do_not_slow_list(w):
    state = w.folder / "many"
    for i in range(1000):
        (state / f"left{i}").mkdir(parents=True)
        (state / f"left{i}/state.json").write_text(json.dumps({"id": f"left{i}", "pid": 1, "start_time": 5}))
    start = time.monotonic()
    done = subprocess.run([*RUNTIME, "--root", str(state), "list", "-q"], capture_output=True, text=True)
    check(len(done.stdout.split()), 1000)
    if time.monotonic() - start > 1:
        raise Failed(f"{time.monotonic() - start:.2f} s")


@case(L, kist_only=True)
def the_folder_of_states_is_gone(w):
    import shutil
    made = w.started()
    pid = w.info(made)["pid"]
    shutil.rmtree(w.state / made)
    contains(w.call("state", made).fails(), "does not exist")
    os.kill(pid, 9)
    # Its cgroups are still there; they have nobody in them, and are taken over.
    time.sleep(0.1)
    w.run("true").ok()
