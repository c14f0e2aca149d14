"""config.json that is wrong: each field is named by its path."""
import json

from lib import Failed, IS_KIST, case, check, contains, table

C = "config.json"


def put(config, path, value):
    *way, last = path
    for step in way:
        config = config[step] if isinstance(step, int) else config.setdefault(step, {})
    if value is None:
        del config[last]
    else:
        config[last] = value


WRONG = [
    (("ociVersion",), "2.0.0", "ociVersion: only version 1"),
    (("ociVersion",), "one", "ociVersion: want a version"),
    (("ociVersion",), 1, "ociVersion: want a string, got 1"),
    (("root",), None, "root: is missing"),
    (("process", "args"), [], "process.args: want at least"),
    (("process", "args"), ["sh", 5], "process.args[1]: want a string, got 5"),
    (("process", "args"), "sh", "process.args: want a list, got \"sh\""),
    (("process", "cwd"), "relative", "process.cwd: want an absolute path"),
    (("process", "user"), {"uid": -1, "gid": 0}, "process.user.uid: want an integer from 0 to 4294967295, got -1"),
    (("process", "user"), {"uid": 1 << 40, "gid": 0}, "process.user.uid: want an integer"),
    (("process", "user"), {"uid": "root", "gid": 0}, "process.user.uid: want an integer"),
    (("process", "terminal"), "yes", "process.terminal: want true or false, got \"yes\""),
    (("process", "rlimits"), [{"type": "RLIMIT_NOFILES", "soft": 1, "hard": 1}],
     "process.rlimits[0].type: \"RLIMIT_NOFILES\" is not a resource limit; did you mean \"RLIMIT_NOFILE\"?"),
    (("process", "rlimits"), [{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}], "process.rlimits[0].soft: 2 is above"),
    (("process", "rlimits"), [{"type": "RLIMIT_CORE", "soft": 1, "hard": 1}] * 2, "process.rlimits[1].type: is there twice"),
    (("process", "oomScoreAdj"), 5000, "process.oomScoreAdj: want an integer from -1000 to 1000"),
    (("process", "scheduler"), {"policy": "SCHED_NONE"}, "process.scheduler.policy: \"SCHED_NONE\" is not"),
    (("process", "ioPriority"), {"class": "IOPRIO_CLASS_BE", "priority": 8}, "process.ioPriority.priority: want"),
    (("process", "env"), {"A": "b"}, "process.env: want a list, got an object"),
    (("process", "env"), ["A=b\0c"], "process.env[0]: has a NUL byte"),
    (("mounts",), {"destination": "/x"}, "mounts: want a list"),
    (("mounts", 0, "destination"), "", "mounts[0].destination: want an absolute path"),
    (("mounts", 0, "options"), "ro", "mounts[0].options: want a list"),
    (("mounts", 0), {"destination": "/x", "type": "bind"}, "mounts[0].source: a bind mount needs one"),
    (("hooks",), {"prestart": [{"path": "relative"}]}, "hooks.prestart[0].path: want an absolute path"),
    (("hooks",), {"poststop": [{"path": "/x", "timeout": 0}]}, "hooks.poststop[0].timeout: want a positive"),
    (("linux", "namespaces", 2, "type"), "ipx", "linux.namespaces[2].type: \"ipx\" is not a namespace; did you mean \"ipc\"?"),
    (("linux", "namespaces", 2, "path"), "relative", "linux.namespaces[2].path: want an absolute path"),
    (("linux", "uidMappings"), [{"containerID": 0, "hostID": 0, "size": 0}], "linux.uidMappings[0].size: want at least 1"),
    (("linux", "uidMappings"), [{"containerID": 4294967295, "hostID": 0, "size": 2}], "linux.uidMappings[0].size: 2 goes beyond"),
    (("linux", "uidMappings"), [{"containerID": 0, "hostID": 0, "size": 5}, {"containerID": 4, "hostID": 9, "size": 5}],
     "linux.uidMappings[1]: overlaps"),
    (("linux", "devices"), [{"path": "/dev/x", "type": "q", "major": 1, "minor": 1}], "linux.devices[0].type: want c, b, u or p"),
    (("linux", "devices"), [{"path": "/dev/x", "type": "c"}], "linux.devices[0]: a device needs major and minor"),
    (("linux", "resources"), {"memory": {"limit": "1g"}}, "linux.resources.memory.limit: want an integer"),
    (("linux", "resources"), {"memory": {"swappiness": 101}}, "linux.resources.memory.swappiness: want"),
    (("linux", "resources"), {"devices": [{"allow": True, "type": "x"}]}, "linux.resources.devices[0].type: want a, b or c"),
    (("linux", "resources"), {"devices": [{"allow": True, "access": "rwx"}]}, "linux.resources.devices[0].access: want"),
    (("linux", "resources"), {"unified": {"../x": "1"}}, "linux.resources.unified.../x: is not the name"),
    (("linux", "resources"), {"hugepageLimits": [{"pageSize": "2", "limit": 1}]}, "linux.resources.hugepageLimits[0].pageSize"),
    (("linux", "seccomp"), {"defaultAction": "SCMP_ACT_ALOW"},
     "linux.seccomp.defaultAction: \"SCMP_ACT_ALOW\" is not an action; did you mean \"SCMP_ACT_ALLOW\"?"),
    (("linux", "seccomp"), {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_LOG"}]},
     "linux.seccomp.syscalls[0].names: want at least one"),
    (("linux", "seccomp"), {"defaultAction": "SCMP_ACT_NOTIFY"}, "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot"),
    (("linux", "seccomp"), {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_LOG", "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]},
     "linux.seccomp.syscalls[0].args[0].index: want 0 to 5"),
    (("linux", "rootfsPropagation"), "sideways", "linux.rootfsPropagation: \"sideways\" is not"),
    (("linux", "sysctl"), {"net.x": 1}, "linux.sysctl.net.x: want a string"),
    (("linux", "timeOffsets"), {"realtime": {"secs": 1}}, "linux.timeOffsets.realtime: there are only"),
    (("annotations",), {"a": 1}, "annotations.a: want a string, got 1"),
]


@table(C, {f"{'.'.join(map(str, path))} = {json.dumps(value)[:60]}": (path, value, message)
           for path, value, message in WRONG}, quick=True, kist_only=True)
def wrong_field(w, path, value, message):
    put(w.config, path, value)
    w.write()
    done = w.call("run", w.id())
    contains(done.fails(), message)
    check(done.status, 1)


@case(C)
def unknown_fields_are_ignored(w):
    w.config["future"] = {"x": 1}
    w.linux["future"] = [1]
    w.run("true").ok()


@table(C, {name: (text,) for name, text in {
    "empty": "", "not JSON": "{", "a list": "[]", "followed by more": "{} {}", "binary": "\x00\x01",
    "a thousand brackets deep": "[" * 1000 + "]" * 1000}.items()}, quick=True)
def no_object(w, text):
    (w.bundle / "config.json").write_text(text)
    w.call("run", w.id()).fails()


@case(C)
def is_missing(w):
    w.call("run", w.id()).fails()


@case(C, kist_only=True)
def of_a_hundred_megabytes(w):
    with open(w.bundle / "config.json", "w") as out:
        out.write('{"ociVersion": "1.0.2", "x": "')
        for _ in range(100):
            out.write("y" * (1 << 20))
        out.write('"}')
    contains(w.call("run", w.id()).fails(), "larger than")


@case(C, kist_only=True)
def with_a_million_mounts(w):
    w.config["mounts"] = [{"destination": "/x", "type": "tmpfs"}] * 70_000
    w.write()
    contains(w.call("run", w.id()).fails(), "mounts")
