#!/usr/bin/env python3
"""A virtual machine to run tests in which this machine's kernel, cgroups or clock do not allow.

    machine.py build [--suite bookworm]                      the disk, the kernel, the initial memory disk
    machine.py run [--suite S] [--init systemd|none] [--cgroups v2|hybrid|v1] SCRIPT [ARGUMENT…]

`run` boots Debian's own kernel in qemu, runs SCRIPT (of tests/vm) there as root, prints what it says
and ends with its exit status; 77 where qemu or the disk is missing, with the reason. The disk is
read-only, what a run writes is in memory. The program under test is $KIST; all of tests/vm and
tests/clients come with it, under /kist.

What `build` makes is kept in $KIST_VM_CACHE, default ~/.cache/kist-vm; it asks for root, mmdebstrap,
mkfs.erofs and cpio. KVM is used where it boots a machine, which is tried once: there are hosts whose
/dev/kvm starts none of the usual kernels.
"""
import argparse
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
SKIPPED = 77
BASE = """systemd systemd-sysv dbus dbus-user-session libpam-systemd procps busybox-static apparmor
  util-linux iproute2 kmod uidmap mount login passwd linux-image-cloud-amd64 runc""".split()
PACKAGES = {
    "bookworm": BASE,
    "trixie": BASE + """podman conmon crun docker.io docker-cli containerd nftables netavark
      passt python3 bsdutils util-linux-extra""".split(),
}
MODULES = "virtio_pci virtio_blk erofs overlay bfq loop".split()
QEMU = "qemu-system-x86_64"
BOOT_LIMIT_S = 300


def cache():
    given = os.environ.get("KIST_VM_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or str(pathlib.Path.home() / ".cache")
    return pathlib.Path(given or home + "/kist-vm")


def skip(why):
    print(f"skipped: {why}", file=sys.stderr)
    sys.exit(SKIPPED)


# --- Building ---------------------------------------------------------------------------------


def make_root(suite, root):
    words = ["mmdebstrap", "--variant=minbase", "--include=" + ",".join(PACKAGES[suite])]
    for what in ("doc", "man", "locale", "info"):
        words.append(f"--dpkgopt=path-exclude=/usr/share/{what}/*")
    # Ours is made below, in a tenth of the time.
    subprocess.run(words + [suite, str(root)], check=True, env={**os.environ, "INITRD": "No"})
    # Who logs in, and what makes waiting at boot pointless.
    shell = f"""
      set -e
      useradd -m -u 1000 -s /bin/sh ana
      rm -f /etc/machine-id /var/lib/dbus/machine-id; : >/etc/machine-id
      systemctl mask -q getty@tty1 serial-getty@ttyS0 systemd-timesyncd systemd-networkd-wait-online \\
        docker.service docker.socket containerd.service systemd-udev-settle apt-daily.timer \\
        apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer podman.socket podman.service \\
        podman-restart.service podman-auto-update.timer systemd-binfmt apparmor.service || true
    """
    subprocess.run(["chroot", str(root), "sh", "-c", shell], check=True)
    (root / "etc/systemd/system/kist-test.service").write_text(
        "[Unit]\nAfter=dbus.service systemd-logind.service\nRequires=dbus.service\n"
        "[Service]\nExecStart=/kist/vm/guest/begin\nStandardInput=null\nTasksMax=infinity\n")


def module_files(root, release):
    """The files of MODULES and of all that they need, in the order of loading."""
    needs = {}
    folder = root / "usr/lib/modules" / release
    for line in (folder / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        name = pathlib.Path(path).name.split(".")[0].replace("-", "_")
        needs[name] = (path, others.split())
    out = []
    for name in MODULES:
        if name in needs:  # Else it is in the kernel.
            path, others = needs[name]
            out += [one for one in reversed(others) if one not in out]
            out += [path] if path not in out else []
    return [folder / path for path in out]


def pack(folder, target):
    """A folder as the archive that the kernel unpacks at boot."""
    names = subprocess.run(["find", ".", "-mindepth", "1", "-printf", "%P\\n"], cwd=folder, check=True,
                           capture_output=True).stdout
    with open(target, "wb") as out:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"], input=names, cwd=folder,
                       check=True, stdout=out)


def make_initial(root, target, work):
    release = sorted(one.name for one in (root / "usr/lib/modules").iterdir())[-1]
    for name in ("bin", "dev", "proc", "sys", "modules", "lower", "upper", "root"):
        (work / name).mkdir()
    shutil.copy(root / "bin/busybox", work / "bin/busybox")
    names = []
    for number, path in enumerate(module_files(root, release)):
        name = f"{number:02}-{path.name}"
        if path.suffix == ".xz":
            name = name[:-3]
            (work / "modules" / name).write_bytes(
                subprocess.run(["xz", "-dc", str(path)], check=True, capture_output=True).stdout)
        else:
            shutil.copy(path, work / "modules" / name)
        names.append(name)
    shutil.copy(HERE / "guest/init", work / "init")
    (work / "init").chmod(0o755)
    pack(work, target)
    shutil.copy(root / "boot" / f"vmlinuz-{release}", target.parent / "kernel")


def build(suite):
    for program in ("mmdebstrap", "mkfs.erofs", "cpio"):
        if not shutil.which(program):
            sys.exit(f"error: {program} is missing\nhint: scripts/setup --vm")
    folder = cache() / suite
    if is_built(folder):
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="making.") as name:
        work = pathlib.Path(name)
        make_root(suite, work / "root")
        (work / "initial").mkdir()
        make_initial(work / "root", folder / "initial.cpio", work / "initial")
        for what in ("boot", "var/cache/apt", "var/lib/apt/lists"):
            subprocess.run(["rm", "-rf", str(work / "root" / what)], check=True)
        for what in ("boot", "kist"):
            (work / "root" / what).mkdir()
        subprocess.run(["mkfs.erofs", "--quiet", str(work / "disk"), str(work / "root")], check=True)
        (folder / "recipe").write_text(recipe(suite))
        (work / "disk").rename(folder / "disk")


def recipe(suite):
    return (HERE / "guest/init").read_text() + " ".join(PACKAGES[suite] + MODULES)


def is_built(folder):
    try:
        return (folder / "disk").exists() and (folder / "recipe").read_text() == recipe(folder.name)
    except OSError:
        return False


# --- Running ----------------------------------------------------------------------------------


def qemu(accelerator, folder, initial, append, more):
    processor = {"kvm": "host", "tcg": "max"}[accelerator]
    return [QEMU, "-machine", f"pc,accel={accelerator}", "-cpu", processor, "-smp", "2", "-m", "3072",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", str(folder / "kernel"), "-initrd", str(initial),
            "-append", "console=ttyS0 panic=-1 quiet loglevel=4 mitigations=off random.trust_cpu=1 "
            "tsc=unstable " + append] + more


def accelerator(folder):
    """"kvm" where a machine comes up with it, else "tcg". Found out once for each kernel of the host."""
    known = cache() / ("accelerator-" + os.uname().release)
    if known.exists():
        return known.read_text()
    answer = "tcg"
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        command = qemu("kvm", folder, folder / "initial.cpio", "kist.probe", ["-serial", "stdio"])
        try:
            said = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=20)
            if b"kist: probed" in said.stdout:
                answer = "kvm"
        except subprocess.TimeoutExpired:
            pass
    known.write_text(answer)
    return answer


def copy_libraries(kist):
    """Those of kist-engine that a small system has not; the system's own C library serves both."""
    (kist / "lib").mkdir()
    said = subprocess.run(["ldd", str(kist / "kist-engine")], capture_output=True, text=True).stdout
    own = ("libc.so", "libm.so", "libpthread.so", "libdl.so", "librt.so", "ld-linux", "libresolv.so")
    for line in said.splitlines():
        name, _, rest = line.strip().partition(" => ")
        if rest.startswith("/") and not name.startswith(own):
            shutil.copy(rest.split()[0], kist / "lib" / name)


def make_payload(target, script, arguments, work):
    """What a run brings along: the program, the tests, and what to do with them."""
    kist = work / "payload/kist"
    kist.mkdir(parents=True)
    program = pathlib.Path(os.environ["KIST"])
    shutil.copy(program, kist / "kist")
    if program.with_name("kist-engine").exists():
        shutil.copy(program.with_name("kist-engine"), kist / "kist-engine")
    copy_libraries(kist)
    (kist / "kist-runtime").symlink_to("kist")
    shutil.copytree(HERE, kist / "vm", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(HERE.parent / "clients", kist / "clients")
    command = " ".join(shlex.quote(one) for one in [f"/kist/{script}", *arguments])
    (kist / "command").write_text(f"#!/bin/sh\nexec {command}\n")
    (kist / "command").chmod(0o755)
    pack(work / "payload", target)


def run(options):
    folder = cache() / options.suite
    if not shutil.which(QEMU):
        skip(f"{QEMU} is not installed: scripts/setup --vm")
    if not is_built(folder):
        skip(f"no disk for {options.suite} in {cache()}: scripts/setup --vm")
    means = os.environ.get("KIST_VM_ACCELERATOR") or accelerator(folder)
    if means == "tcg":
        print("note: no KVM that boots a machine here; the processor is emulated, which is slow",
              file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="kist-vm.") as name:
        work = pathlib.Path(name)
        make_payload(work / "payload.cpio", options.script, options.arguments, work)
        with open(work / "initial", "wb") as out:
            for part in (folder / "initial.cpio", work / "payload.cpio"):
                out.write(part.read_bytes())
        (work / "scratch").touch()
        os.truncate(work / "scratch", 64 << 20)
        return boot(options, means, folder, work)


def append_of(options):
    words = [f"kist.init={options.init}", f"kist.cgroups={options.cgroups}", "apparmor=1",
             "security=apparmor", "systemd.show_status=0", "systemd.log_level=warning",
             "systemd.unit=multi-user.target", "systemd.wants=kist-test.service",
             "net.ifnames=0", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1", *options.append]
    words += {"v2": ["systemd.unified_cgroup_hierarchy=1"],
              "hybrid": ["systemd.unified_cgroup_hierarchy=0",
                         "systemd.legacy_systemd_cgroup_controller=0"],
              "v1": ["systemd.unified_cgroup_hierarchy=0",
                     "systemd.legacy_systemd_cgroup_controller=1"]}[options.cgroups]
    return " ".join(words)


def boot(options, means, folder, work):
    more = ["-drive", f"file={folder}/disk,if=virtio,format=raw,readonly=on",
            "-drive", f"file={work}/scratch,if=virtio,format=raw,cache=unsafe",
            "-serial", f"file:{work}/console", "-serial", "stdio"]
    began = time.monotonic()
    machine = subprocess.Popen(qemu(means, folder, work / "initial", append_of(options), more),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace")
    status = None
    came_up = None
    # Two limits: to come up, and for the whole.
    late = threading.Timer(BOOT_LIMIT_S, machine.kill)
    late.start()
    for line in machine.stdout:
        line = line.rstrip("\r\n")
        if line.startswith("kist-vm: up"):
            late.cancel()
            came_up = time.monotonic() - began
            late = threading.Timer(options.timeout, machine.kill)
            late.start()
        elif line.startswith("kist-vm: status "):
            status = int(line.split()[-1])
        else:
            print(line, flush=True)
    machine.wait()
    late.cancel()
    if status is None:
        print((work / "console").read_text(errors="replace")[-6000:], file=sys.stderr)
        print("error: the machine ended, or was ended, before its test did", file=sys.stderr)
        return 1
    if options.console:
        print((work / "console").read_text(errors="replace"), file=sys.stderr)
    print(f"# {options.suite}, {options.cgroups}, {means}: up after {came_up:.1f} s, "
          f"done after {time.monotonic() - began:.1f} s")
    return status


def main():
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("build", "run"):
        one = verbs.add_parser(verb)
        one.add_argument("--suite", default="bookworm", choices=PACKAGES)
        if verb == "run":
            one.add_argument("--init", default="none", choices=["systemd", "none"])
            one.add_argument("--cgroups", default="v2", choices=["v2", "hybrid", "v1"])
            one.add_argument("--append", action="append", default=[], help="a word for the kernel")
            one.add_argument("--timeout", type=float, default=600, help="seconds, without booting")
            one.add_argument("--console", action="store_true", help="print the console at the end")
            one.add_argument("script", help="below tests/, as vm/guest/x.sh")
            one.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    if options.verb == "build":
        build(options.suite)
        return 0
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
