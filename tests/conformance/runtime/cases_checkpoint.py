"""checkpoint and restore of runc's command line, with a real CRIU: that of $KIST_TEST_CRIU, or the host's."""
import os
import shutil
import subprocess
import time

from lib import Failed, IS_KIST, RUNTIME, Skip, case, check, contains

C = "checkpoint"
COUNTER = "i=0; while :; do i=$((i+1)); echo $i >> /tmp/n; sleep 0.05; done"
CRIU = os.environ.get("KIST_TEST_CRIU") or shutil.which("criu")


def options():
    return ["--criu", CRIU] if IS_KIST else []


def needs_criu():
    if CRIU is None:
        raise Skip("no criu here")
    checked = subprocess.run([CRIU, "check"], capture_output=True, text=True)
    if checked.returncode != 0:
        raise Skip("criu cannot work with this kernel: " + checked.stderr.strip().splitlines()[0])


def count(w):
    lines = (w.folder / "rootfs/tmp/n").read_text().split()
    return int(lines[-1]) if lines else 0


def counts(w, at_least):
    for _ in range(100):
        if (w.folder / "rootfs/tmp/n").exists() and count(w) >= at_least:
            return count(w)
        time.sleep(0.05)
    raise Failed(f"it does not count to {at_least}")


def counting(w):
    needs_criu()
    w.own_root()
    made = w.started(COUNTER)
    counts(w, 3)
    return made


def checkpoint(w, made, *more):
    w.call("checkpoint", "--image-path", str(w.folder / "images"), *more, made, extra=options()).ok()


def restore(w, made, *more):
    with open(w.folder / "out2", "w") as out, open(w.folder / "err2", "w") as err:
        done = subprocess.run([*RUNTIME, "--root", str(w.state), *options(), "restore", "--detach", "--image-path",
                               str(w.folder / "images"), *more, made], stdin=subprocess.DEVNULL, stdout=out,
                              stderr=err, text=True, cwd=w.bundle, timeout=60)
    check(done.returncode, 0, (w.folder / "err2").read_text())


def refused(w, made):
    try:
        restore(w, made)
    except Failed as said:
        return str(said)
    raise Failed("it was restored")


@case(C, kist_only=True)
def a_pipe_for_a_file(w):
    made = counting(w)
    checkpoint(w, made)
    said = w.call("restore", "--image-path", str(w.folder / "images"), made, extra=options()).fails()
    contains(said, "standard output was a file, and would be a pipe")


@case(C)
def it_goes_on_where_it_was(w):
    made = counting(w)
    checkpoint(w, made)
    contains(w.call("state", made).fails(), "does not exist")
    at = count(w)
    time.sleep(0.3)
    check(count(w), at, "it has ended")
    restore(w, made)
    check(w.info(made)["status"], "running")
    counts(w, at + 3)
    check((w.folder / "rootfs/tmp/n").read_text().split(), [str(n) for n in range(1, count(w) + 1)])
    check(w.call("exec", made, "cat", "/tmp/n").ok().split()[0], "1")
    w.call("pause", made).ok()
    w.call("resume", made).ok()
    w.call("kill", made, "KILL").ok()
    w.wait_status(made, "stopped")


@case(C)
def left_running(w):
    made = counting(w)
    checkpoint(w, made, "--leave-running")
    check(w.info(made)["status"], "running")
    counts(w, count(w) + 3)


@case(C)
def before_it_only_memory(w):
    made = counting(w)
    if subprocess.run([CRIU, "check", "--feature", "mem_dirty_track"], capture_output=True).returncode != 0:
        said = w.call("checkpoint", "--pre-dump", "--image-path", str(w.folder / "before"), made, extra=options()).fails()
        if IS_KIST:
            contains(said, "CRIU finds no 'mem_dirty_track' in this kernel")
        return
    w.call("checkpoint", "--pre-dump", "--image-path", str(w.folder / "before"), made, extra=options()).ok()
    counts(w, count(w) + 2)
    checkpoint(w, made, "--parent-path", "../before")
    restore(w, made)
    counts(w, count(w) + 2)


@case(C)
def it_keeps_its_limits_and_its_cgroup_namespace(w):
    w.linux["resources"] = {"pids": {"limit": 50}}
    w.linux["namespaces"].append({"type": "cgroup"})
    w.linux["cgroupsPath"] = "/kist-cases/checkpoint"
    made = counting(w)
    checkpoint(w, made)
    restore(w, made)
    pid = w.info(made)["pid"]
    with open(f"/proc/{pid}/cgroup") as own:
        contains(own.read(), "kist-cases/checkpoint")
    check(os.readlink(f"/proc/{pid}/ns/cgroup") != os.readlink("/proc/self/ns/cgroup"), True, "a cgroup namespace")


@case(C)
def mounts_from_outside(w):
    (w.folder / "data").mkdir()
    (w.folder / "data/x").write_text("of the host")
    w.config["mounts"].append({"destination": "/mnt", "type": "bind", "source": str(w.folder / "data"),
                               "options": ["bind", "ro"]})
    made = counting(w)
    checkpoint(w, made)
    restore(w, made)
    check(w.call("exec", made, "cat", "/mnt/x").ok(), "of the host")
    contains(w.call("exec", made, "touch", "/mnt/y").fails(), "Read-only")


@case(C, kist_only=True)
def a_configuration_without_its_mount(w):
    (w.folder / "data").mkdir()
    w.config["mounts"].append({"destination": "/mnt", "type": "bind", "source": str(w.folder / "data"), "options": ["bind"]})
    made = counting(w)
    checkpoint(w, made)
    w.config["mounts"].pop()
    w.write()
    said = refused(w, made)
    contains(said, "'/mnt'")
    contains(w.call("state", made).fails(), "does not exist")


@case(C)
def in_the_foreground_with_pipes(w):
    needs_criu()
    w.own_root()
    w.process["args"] = ["sh", "-c", "echo begun; while [ ! -e /tmp/end ]; do sleep 0.05; done; echo ended; exit 7"]
    w.write()
    made = w.id()
    first = subprocess.Popen([*RUNTIME, "--root", str(w.state), "run", made], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=w.bundle)
    check(first.stdout.readline(), "begun\n")
    checkpoint(w, made)
    first.wait(timeout=20)
    (w.folder / "rootfs/tmp/end").write_text("")
    done = w.call("restore", "--image-path", str(w.folder / "images"), made, extra=options())
    check((done.status, done.out), (7, "ended\n"), done.err)


@case(C, kist_only=True)
def it_says_what_is_missing(w):
    made = w.started()
    said = w.call("checkpoint", made, extra=["--criu", "/nowhere/criu"]).fails()
    contains(said, "'/nowhere/criu' cannot be run")
    check(w.info(made)["status"], "running")
    contains(w.call("checkpoint", "not-there").fails(), "does not exist")
    contains(w.call("checkpoint", "--manage-cgroups-mode", "x", made).fails(), "want soft, full, strict or ignore")


@case(C, kist_only=True)
def images_that_are_none(w):
    needs_criu()
    w.write()
    (w.folder / "images").mkdir()
    said = w.call("restore", "--image-path", str(w.folder / "images"), w.id(), extra=options()).fails()
    contains(said, "not written by")
    (w.folder / "images/kist.json").write_text('{"mounts":[],"streams":[],"network":""}')
    said = w.call("restore", "--image-path", str(w.folder / "images"), w.id(), extra=options()).fails()
    contains(said, "criu restore")
    contains(w.call("state", w.id()).fails(), "does not exist")
