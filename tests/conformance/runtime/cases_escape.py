"""What containers have escaped by."""
import json
import os
import pathlib
import shutil
import subprocess
import threading
import time

from lib import Failed, IS_KIST, RUNTIME, Skip, case, check, contains, lacks, table

E = "escape"


@case(f"{E}, CVE-2019-5736", kist_only=True)
def the_runtime_executed_from_inside_cannot_be_written(w):
    root = w.own_root()
    copy = w.folder / "runtime-copy"
    shutil.copy(shutil.which(RUNTIME[0]), copy)
    before = copy.read_bytes()
    # The image's program is the runtime itself. While it is executed inside, its file is opened by /proc;
    # when nobody executes it any more, it is written to.
    (root / "bin/self").symlink_to("/proc/self/exe")
    os.mkfifo(root / "tmp/fifo")
    (root / "bin/attack").write_text("""#!/bin/sh
for i in $(seq 200); do
  for p in /proc/[0-9]*; do
    case $(tr '\\0' ' ' < $p/cmdline 2>/dev/null) in /bin/self*)
      exec 9< $p/exe || continue
      cat /tmp/fifo > /dev/null &
      for j in $(seq 100); do
        [ -e $p ] || { sleep 0.3; echo overwritten > /proc/self/fd/9 && echo WRITTEN > /tmp/result; break; }
        sleep 0.05
      done
      echo done >> /tmp/result; exit 0;;
    esac
  done
  sleep 0.05
done
echo never >> /tmp/result
""")
    (root / "bin/attack").chmod(0o755)
    w.process["args"] = ["attack"]
    w.write()
    command = [str(copy), "runtime", "--root", str(w.state)]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([*command, "run", "-d", w.id()], check=True, cwd=w.bundle, **quiet)
    # "exec … self" executes the runtime inside, where it waits for a reader of its log.
    subprocess.run([*command, "exec", w.id(), "/bin/self", "runtime", "--log", "/tmp/fifo", "list"], timeout=20, **quiet)
    result = root / "tmp/result"
    for _ in range(200):
        if result.exists() and ("done" in result.read_text() or "never" in result.read_text()):
            break
        time.sleep(0.05)
    check(result.read_text(), "done\n")
    check(copy.read_bytes() == before, True, "the runtime's file")


@table(f"{E}, CVE-2019-5736", {"a link to it": (None,), "a script for it": ("#!/proc/self/exe runtime\n",),
                                "a script for a script": ("#!/bin/between\n",)}, kist_only=True)
def run_of_the_runtime_itself(w, script):
    root = w.own_root()
    (root / "bin/between").write_text("#!/proc/self/exe runtime\n")
    (root / "bin/between").chmod(0o755)
    if script is None:
        (root / "bin/self").symlink_to("/proc/self/exe")
    else:
        (root / "bin/self").write_text(script)
        (root / "bin/self").chmod(0o755)
    w.process["args"] = ["/bin/self", "--version"]
    w.write()
    # A runtime that others could write to: the test's own copy.
    copy = w.folder / "runtime-copy"
    shutil.copy(shutil.which(RUNTIME[0]), copy)
    done = subprocess.run([str(copy), "runtime", "--root", str(w.state), "run", w.id()], cwd=w.bundle,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    check(done.returncode, 126, done.stderr)
    contains(done.stderr, "is the container runtime itself")
    lacks(done.stdout, "kist")


@table(f"{E}, CVE-2024-21626", {f"cwd /proc/self/fd/{n}": (n,) for n in range(3, 20)}, kist_only=True)
def working_folder_of_the_host(w, number):
    fd = os.open("/", os.O_RDONLY)
    os.set_inheritable(fd, True)
    w.process["cwd"] = f"/proc/self/fd/{number}"
    try:
        done = w.run("ls", pass_fds=(fd,))
    finally:
        os.close(fd)
    done.fails()
    lacks(done.out, "etc")


@table(f"{E}, CVE-2024-21626", {f"exec --cwd /proc/self/fd/{n}": (n,) for n in range(3, 12)})
def exec_in_a_folder_of_the_host(w, number):
    done = w.call("exec", "--cwd", f"/proc/self/fd/{number}", w.started(), "ls")
    lacks(done.out, "proc")
    done.fails()


@case(f"{E}, CVE-2021-30465", kist_only=True)
def targets_that_are_swapped_for_links(w):
    """A neighbour with the same volume swaps a folder for a link to "/", while a mount is made in it."""
    shared = w.folder / "shared"
    (shared / "a").mkdir(parents=True)
    (shared / "b").symlink_to("/")
    w.config["mounts"] += [
        {"destination": "/mnt", "type": "bind", "source": str(shared), "options": ["bind"]},
        {"destination": "/mnt/a/tmp/caught", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m"]}]
    stop = threading.Event()

    def swap():
        one, two, spare = shared / "a", shared / "b", shared / "c"
        while not stop.is_set():
            try:
                os.rename(one, spare), os.rename(two, one), os.rename(spare, two)
            except OSError:
                time.sleep(0)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for i in range(40):
            w.process["args"] = ["cat", "/proc/self/mountinfo"]
            w.write()
            w.call("run", w.id(f"n{i}"))
            lacks(open("/proc/self/mountinfo").read(), "/tmp/caught")
            check(os.path.exists("/tmp/caught"), False)
    finally:
        stop.set()
        thread.join()


@table(f"{E}, links in the image", {f"{target} is a link to {to}": (target, to) for target, to in
                                    (("proc", "/tmp"), ("proc", "../../../tmp"), ("sys", "/tmp"))})
def system_folders_through_links(w, target, to):
    root = w.own_root()
    shutil.rmtree(root / target)
    (root / target).symlink_to(to)
    w.run("true").fails()


@table(f"{E}, links in the image", {f"bind onto a link to {to}": (to,) for to in ("/etc", "../../../../etc", "/proc/self/cwd")},
       kist_only=True)
def bind_onto_a_link(w, to):
    root = w.own_root()
    (root / "out").symlink_to(to)
    source = w.folder / "source"
    source.mkdir()
    w.config["mounts"].append({"destination": "/out/made-by-case", "type": "bind", "source": str(source), "options": ["bind"]})
    w.run("true")
    check(os.path.exists("/etc/made-by-case"), False)


@case(f"{E}, links in the image")
def dev_that_is_a_link(w):
    root = w.own_root()
    shutil.rmtree(root / "dev")
    (root / "dev").symlink_to("/tmp")
    w.run("true")
    check(os.path.islink("/dev/stdin") or os.path.exists("/dev/null"), True)
    check(os.path.exists("/tmp/null"), False)


@case(f"{E}, CVE-2025-31133", kist_only=True)
def null_of_the_image_masks_nothing(w):
    """Masks come from the host's /dev/null: one of the image's making could be a link to anywhere."""
    root = w.own_root()
    w.config["mounts"] = [m for m in w.config["mounts"] if not m["destination"].startswith("/dev")]
    os.symlink("/proc/sys/kernel/core_pattern", root / "dev/null")
    w.linux["maskedPaths"] = ["/proc/keys"]
    done = w.run("cat /proc/keys")
    if done.status == 0:
        check(done.out, "")


@case(f"{E}, CVE-2025-52565", kist_only=True)
def console_that_is_a_link(w):
    root = w.own_root()
    w.config["mounts"] = [m for m in w.config["mounts"] if m["destination"] != "/dev"]
    (root / "dev/pts").mkdir()
    (root / "dev/console").symlink_to("/etc/target")
    (root / "etc/target").write_text("untouched\n")
    w.process["terminal"] = True
    w.process["args"] = ["true"]
    w.write()
    command = " ".join([*RUNTIME, "--root", str(w.state), "run", w.id()])
    subprocess.run(["script", "-qec", command, "/dev/null"], capture_output=True, timeout=20,
                   stdin=subprocess.DEVNULL, cwd=w.bundle)
    check((root / "etc/target").read_text(), "untouched\n")


@case(f"{E}, CVE-2025-52881", kist_only=True)
def settings_go_to_the_real_proc(w):
    """A mount over /proc of the container must not get what is meant for the kernel."""
    source = w.folder / "fake"
    (source / "sys/net/ipv4").mkdir(parents=True)
    (source / "sys/net/ipv4/ip_unprivileged_port_start").write_text("fake\n")
    w.config["mounts"].append({"destination": "/proc", "type": "bind", "source": str(source), "options": ["bind"]})
    w.linux["maskedPaths"] = w.linux["readonlyPaths"] = []
    w.linux["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "81"}
    w.run("true")
    check((source / "sys/net/ipv4/ip_unprivileged_port_start").read_text(), "fake\n")


@case(f"{E}, CVE-2025-52881", kist_only=True)
def masked_path_that_leads_away_from_proc(w):
    w.config["mounts"].append({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs"})
    w.linux["maskedPaths"] = ["/proc/self/cwd/mnt"]
    w.run("true").fails()


@case(f"{E}, setgroups")
def groups_stay_denied_for_a_plain_user(w):
    """Dropping a group can give access that the group was denied."""
    w.process["args"] = ["cat", "/proc/self/setgroups"]
    done = w.as_user("run", w.id())
    check((done.stdout, done.returncode), ("deny\n", 0), done.stderr)


@case(E)
def nothing_of_the_host_is_reachable_upwards(w):
    check(w.run("ls -di / /.. /../.. | awk '{print $1}' | sort -u | wc -l").ok(), "1")


@case(E)
def no_mount_appears_on_the_host(w):
    before = open("/proc/self/mountinfo").read()
    w.config["mounts"].append({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs"})
    w.run("true").ok()
    check(len(open("/proc/self/mountinfo").read().splitlines()), len(before.splitlines()))


@case(E, kist_only=True)
def no_descriptor_is_left_behind(w):
    """The first process must hold nothing of the runtime: no folder of the host, no socket of its state."""
    made = w.started()
    pid = w.info(made)["pid"]
    for fd in os.listdir(f"/proc/{pid}/fd"):
        if int(fd) > 2:
            raise Failed(f"{fd} → {os.readlink(f'/proc/{pid}/fd/{fd}')}")
