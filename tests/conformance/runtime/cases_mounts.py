"""config.md: root, mounts; config-linux.md: default filesystems and devices."""
import os
import pathlib
import subprocess

from lib import Failed, case, check, contains, lacks, table

R = "root"
M = "mounts"


def mount_line(w, target, script="true"):
    text = w.run(f"{script}; cat /proc/self/mountinfo").ok()
    lines = [line for line in text.splitlines() if len(line.split()) > 5 and line.split()[4] == target]
    if not lines:
        raise Failed(f"nothing is mounted on {target}: {text}")
    fields = lines[-1].split()
    dash = fields.index("-")
    return {"options": fields[5].split(","), "tags": fields[6:dash], "type": fields[dash + 1],
            "super": fields[dash + 3].split(",")}


@case(R, quick=True)
def it_is_the_root(w):
    check(w.run("cat /data/file").ok(), "from the image")


@case(R)
def writable(w):
    root = w.own_root()
    w.run("echo x > /written").ok()
    check((root / "written").read_text(), "x\n")


@case(R, quick=True)
def read_only(w):
    w.config["root"]["readonly"] = True
    contains(w.run("echo x > /written").fails(), "Read-only")


@case(R)
def missing(w):
    w.config["root"]["path"] = "/no/such/root"
    w.run("true").fails()


@case(R)
def relative_to_the_bundle(w):
    w.own_root()
    w.config["root"]["path"] = "rootfs"
    w.run("true").ok()


@case(R, kist_only=True)
def a_file_is_refused(w):
    w.config["root"]["path"] = "/etc/passwd"
    contains(w.run("true").fails(), "root.path: '/etc/passwd' is not a folder")


@case(R)
def nothing_of_the_host_is_left(w):
    check(w.run("ls -a / | tr '\\n' ' '").ok().split()[:3], [".", "..", "bin"])
    lacks(w.run("cat /proc/self/mountinfo").ok(), "/run/kist-runtime")


@table("linux.rootfsPropagation", {name: (name, tag) for name, tag in
                                   (("private", ""), ("rprivate", ""), ("slave", None), ("rslave", None),
                                    ("unbindable", "unbindable"))})
def propagation_of_the_root(w, name, tag):
    w.linux["rootfsPropagation"] = name
    got = mount_line(w, "/")["tags"]
    if tag is not None:
        check(" ".join(got), tag)
    elif any(one.startswith("shared") for one in got):
        raise Failed(got)


@case("linux.rootfsPropagation")
def shared_root(w):
    # On a mount of its own, which is shared, so that the host's root is left alone.
    root = w.own_root()
    subprocess.run(["mount", "--bind", root, root], check=True)
    try:
        subprocess.run(["mount", "--make-shared", root], check=True)
        w.linux["rootfsPropagation"] = "shared"
        if not any(tag.startswith("shared") for tag in mount_line(w, "/")["tags"]):
            raise Failed("the root is not shared")
    finally:
        subprocess.run(["umount", "-l", root], check=True)


TMPFS = {"ro": "ro", "nosuid": "nosuid", "nodev": "nodev", "noexec": "noexec", "noatime": "noatime",
         "relatime": "relatime", "nodiratime": "nodiratime", "sync": None, "nosymfollow": "nosymfollow"}


@table(M, {f"tmpfs with {option}": (option, shown) for option, shown in TMPFS.items()})
def tmpfs_option(w, option, shown):
    w.config["mounts"].append({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": [option]})
    got = mount_line(w, "/mnt")
    contains(got["options"] if shown else got["super"], shown or option)


@table(M, {f"tmpfs, the last of {' and '.join(o)} wins": (o, s) for o, s in
           ((("ro", "rw"), "rw"), (("rw", "ro"), "ro"), (("noexec", "exec"), None), (("nosuid", "suid"), None))})
def last_wins(w, options, shown):
    w.config["mounts"].append({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": list(options)})
    got = mount_line(w, "/mnt")["options"]
    if shown:
        contains(got, shown)
    else:
        lacks(got, options[0])


@case(M)
def tmpfs_size_and_mode(w):
    w.config["mounts"].append({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs",
                               "options": ["size=1m", "mode=0700"]})
    check(w.run("stat -c %a /mnt; df -k /mnt | tail -1 | awk '{print $2}'").ok().split(), ["700", "1024"])


def bind(w, *options, source=None, destination="/mnt"):
    path = pathlib.Path(source or w.folder / "source")
    if source is None:
        path.mkdir()
        (path / "f").write_text("bound\n")
    w.config["mounts"].append({"destination": destination, "type": "bind", "source": str(path),
                               "options": list(options)})
    return path


@case(M, quick=True)
def bind_of_a_folder(w):
    bind(w, "bind")
    check(w.run("cat /mnt/f").ok(), "bound")


@case(M)
def bind_of_a_file(w):
    path = w.folder / "one"
    path.write_text("one\n")
    bind(w, "bind", source=path, destination="/etc/one")
    check(w.run("cat /etc/one").ok(), "one")


@case(M)
def bind_makes_its_target(w):
    w.own_root()
    bind(w, "bind", destination="/deep/er/target")
    check(w.run("cat /deep/er/target/f").ok(), "bound")


@case(M)
def bind_relative_to_the_bundle(w):
    (w.folder / "near").mkdir()
    (w.folder / "near/f").write_text("near\n")
    w.config["mounts"].append({"destination": "/mnt", "type": "bind", "source": "near", "options": ["bind"]})
    check(w.run("cat /mnt/f").ok(), "near")


@case(M, quick=True)
def bind_read_only(w):
    bind(w, "bind", "ro")
    contains(w.run("echo x > /mnt/new").fails(), "Read-only")


@table(M, {f"bind with {option}": (option,) for option in ("nosuid", "nodev", "noexec", "noatime", "nosymfollow")})
def bind_option(w, option):
    bind(w, "bind", option)
    contains(mount_line(w, "/mnt")["options"], option)


@case(M)
def bind_without_a_source(w):
    bind(w, "bind", source="/no/such/source")
    contains(w.run("true").fails().lower(), "no such file or directory")


def nested(w):
    source = w.folder / "source"
    (source / "below").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", source / "below"], check=True)
    (source / "below/f").write_text("below\n")
    return source


@table(M, {"rbind shows what is mounted below": ("rbind", True), "bind does not": ("bind", False)})
def recursive_bind(w, option, shown):
    source = nested(w)
    try:
        w.config["mounts"].append({"destination": "/mnt", "type": "bind", "source": str(source), "options": [option]})
        check(w.run("test -e /mnt/below/f").status == 0, shown)
    finally:
        subprocess.run(["umount", source / "below"], check=True)


@table(M, {"ro is for the top": ("ro", True), "rro is for all below": ("rro", False)})
def recursive_read_only(w, option, writable_below):
    source = nested(w)
    try:
        w.config["mounts"].append({"destination": "/mnt", "type": "bind", "source": str(source),
                                   "options": ["rbind", option]})
        check(w.run("echo x > /mnt/below/new").status == 0, writable_below)
    finally:
        subprocess.run(["umount", source / "below"], check=True)


@table(M, {f"{p} propagation": (p, t) for p, t in
           (("private", ""), ("rprivate", ""), ("unbindable", "unbindable"), ("shared", "shared"))})
def propagation_of_a_mount(w, propagation, tag):
    bind(w, "rbind", propagation)
    got = mount_line(w, "/mnt")["tags"]
    if tag == "shared":
        contains(got[0] if got else "", "shared:")
    else:
        check(" ".join(got), tag)


@case(M)
def slave_propagation(w):
    source = w.folder / "source"
    source.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", source], check=True)
    try:
        subprocess.run(["mount", "--make-shared", source], check=True)
        w.config["mounts"].append({"destination": "/mnt", "type": "bind", "source": str(source),
                                   "options": ["rbind", "rslave"]})
        contains(mount_line(w, "/mnt")["tags"][0], "master:")
    finally:
        subprocess.run(["umount", "-l", source], check=True)


@case(M)
def tmpcopyup(w):
    w.config["mounts"].append({"destination": "/data", "type": "tmpfs", "source": "tmpfs",
                               "options": ["tmpcopyup"]})
    check(w.run("cat /data/file; echo changed > /data/file").ok(), "from the image")
    check((pathlib.Path(w.config["root"]["path"]) / "data/file").read_text(), "from the image\n")


@case(M)
def later_ones_cover_earlier_ones(w):
    bind(w, "bind")
    w.config["mounts"].append({"destination": "/mnt/f", "type": "bind", "source": "/etc/hostname", "options": ["bind"]})
    if w.run("cat /mnt/f").ok() == "bound":
        raise Failed("the first one is still seen")


@case(M)
def remount(w):
    w.config["mounts"] += [{"destination": "/mnt", "type": "tmpfs", "source": "tmpfs"},
                           {"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": ["remount", "ro"]}]
    contains(mount_line(w, "/mnt")["options"], "ro")


@case(M)
def of_an_unknown_type(w):
    w.config["mounts"].append({"destination": "/mnt", "type": "no-such-fs", "source": "x"})
    w.run("true").fails()


@case(M)
def proc_is_that_of_the_container(w):
    check(w.run("ls /proc | grep -cE '^[0-9]+$'").ok() in ("1", "2", "3", "4"), True)


@case(M)
def idmap_of_a_bind(w):
    if os.environ.get("RUNTIME", "").endswith("runc"):
        from lib import Skip
        raise Skip("runc before 1.2 has none")
    source = bind(w, "bind", "idmap")
    os.chown(source / "f", 0, 0)
    w.config["mounts"][-1]["uidMappings"] = [{"containerID": 0, "hostID": 1000, "size": 1}]
    w.config["mounts"][-1]["gidMappings"] = [{"containerID": 0, "hostID": 1001, "size": 1}]
    check(w.run("stat -c '%u %g' /mnt/f").ok(), "1000 1001")


DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}


@table("default devices", {name: (name, *numbers) for name, numbers in DEVICES.items()}, quick=True)
def default_device(w, name, major, minor):
    check(w.run(f"stat -c '%F %t %T %a' /dev/{name}").ok(),
          f"character special file {major:x} {minor:x} 666")


@table("default devices", {f"/dev/{name} is a link": (name, to) for name, to in
                           (("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
                            ("stderr", "/proc/self/fd/2"), ("ptmx", "pts/ptmx"))})
def device_link(w, name, to):
    check(w.run(f"readlink /dev/{name}").ok(), to)


@case("linux.devices")
def a_device_with_mode_and_owner(w):
    w.linux["devices"] = [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640,
                           "uid": 7, "gid": 8}]
    check(w.run("stat -c '%F %t %T %a %u %g' /dev/fuse").ok(), "character special file a e5 640 7 8")


@case("linux.devices")
def a_fifo(w):
    w.linux["devices"] = [{"path": "/dev/pipe", "type": "p", "fileMode": 0o600}]
    check(w.run("stat -c '%F' /dev/pipe").ok(), "fifo")


@case("linux.devices")
def below_a_new_folder(w):
    w.linux["devices"] = [{"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200, "fileMode": 0o666}]
    check(w.run("stat -c '%t %T' /dev/net/tun").ok(), "a c8")


@table("linux.maskedPaths", {"a file": ("/proc/keys",), "another": ("/proc/timer_list",)})
def masked_file(w, path):
    w.linux["maskedPaths"] = [path]
    check(w.run(f"cat {path}").out, "")


@case("linux.maskedPaths")
def masked_folder(w):
    w.linux["maskedPaths"] = ["/data"]
    check(w.run("ls /data").ok(), "")
    w.run("echo x > /data/new").fails()


@case("linux.maskedPaths")
def missing_paths_are_no_error(w):
    w.linux["maskedPaths"] = ["/no/such/path"]
    w.linux["readonlyPaths"] = ["/no/such/path"]
    w.run("true").ok()


@case("linux.maskedPaths", kist_only=True)
def the_mask_cannot_be_changed(w):
    w.linux["maskedPaths"] = ["/proc/keys"]
    before = os.stat("/dev/null").st_mode
    w.run("chmod 600 /proc/keys").fails()
    check(os.stat("/dev/null").st_mode, before)


@case("linux.readonlyPaths", quick=True)
def read_only_path(w):
    w.linux["readonlyPaths"] = ["/data"]
    contains(w.run("echo x > /data/new").fails(), "Read-only")


@case("linux.readonlyPaths")
def proc_sys_is_read_only(w):
    w.run("echo 1 > /proc/sys/net/ipv4/ip_forward").fails()
