"""Pulling an image of 1.6 GB in six gzip layers until its `true` has run, and pushing it again unchanged, beside
podman and docker. All speak to the same docker-registry (Debian's) on the loopback."""
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import stores
from groups_peers import missing
from groups_registry import Server
from measure import Command, Row, load, run_once

TICKS = os.sysconf("SC_CLK_TCK")
SUITE = "bookworm"
# Unpacked only. Large and of many kinds: a compiler, its libraries, a Java, interpreters with their modules, documents.
PACKAGES = ("golang-go,openjdk-17-jdk-headless,llvm-14,clang-14,r-base-core,python3-scipy,"
            "python3-pandas,gcc,g++,git,perl-doc,vim-runtime,fonts-dejavu,libicu-dev,coreutils")
PARTS = [["usr/lib/go-1.19", "usr/share/go-1.19"], ["usr/lib/jvm"], ["usr/lib/llvm-14"],
         ["usr/lib/x86_64-linux-gnu"], ["usr/share", "usr/include"], ["."]]


def root(bench):
    folder = bench.work / "foreign-root"
    whole = bench.work / "foreign-root.whole"
    if not whole.exists():
        stores.say("making a root of 1.6 GB")
        subprocess.run(["rm", "-rf", folder], check=True)
        subprocess.run(["mmdebstrap", "-q", "--variant=extract", f"--include={PACKAGES}", "--format=directory", SUITE, folder],
                       check=True)
        whole.touch()
    return folder


def tar_of(folder, part, before):
    known = [f"--exclude=./{path}" for path in before] if part == ["."] else []
    words = ["tar", "--sort=name", "--mtime=@0", "--numeric-owner", "-C", folder, *known, "-c"]
    return subprocess.Popen([*words, *part], stdout=subprocess.PIPE)


def layer(folder, part, before, blobs):
    """Its digest, size and diff id."""
    plain = hashlib.sha256()
    packed = blobs / "layer.new"
    tar = tar_of(folder, part, before)
    with open(packed, "wb") as out:
        gzip = subprocess.Popen(["gzip", "-6n"], stdin=subprocess.PIPE, stdout=out)
        while piece := tar.stdout.read(1 << 20):
            plain.update(piece)
            gzip.stdin.write(piece)
        gzip.stdin.close()
        gzip.wait()
    tar.wait()
    with open(packed, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = packed.stat().st_size
    packed.rename(blobs / digest)
    return f"sha256:{digest}", size, f"sha256:{plain.hexdigest()}"


def put_document(blobs, document):
    data = json.dumps(document).encode()
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def layout(bench):
    """An OCI layout of it."""
    out = bench.work / "foreign-layout"
    if (out / "index.json").exists():
        return out
    folder = root(bench)
    stores.say("packing it into six layers")
    shutil.rmtree(out, ignore_errors=True)
    blobs = out / "blobs/sha256"
    blobs.mkdir(parents=True)
    made = []
    before = []
    for part in PARTS:
        made.append(layer(folder, [path for path in part if (folder / path).exists()], before, blobs))
        before += part

    config = put_document(blobs, {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["true"]},
                  "rootfs": {"type": "layers", "diff_ids": [diff_id for _, _, diff_id in made]}})
    kind = "application/vnd.oci.image."
    manifest = put_document(blobs, {"schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
                    "config": {"mediaType": kind + "config.v1+json", **config},
                    "layers": [{"mediaType": kind + "layer.v1.tar+gzip", "digest": digest, "size": size}
                               for digest, size, _ in made]})
    (out / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (out / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [
        {"mediaType": kind + "manifest.v1+json", **manifest,
         "annotations": {"org.opencontainers.image.ref.name": "foreign"}}]}))
    return out


def start_registry(bench):
    folder = bench.work / "transfer-registry"
    folder.mkdir(exist_ok=True)
    config = folder / "config.yml"
    config.write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
                      "http: {addr: '127.0.0.1:5098'}\nlog: {level: error, accesslog: {disabled: true}}\n")
    return Server("docker-registry", ["docker-registry", "serve", str(config)], 5098)


def daemon_seconds():
    """Processor time of docker's and containerd's daemons, which do docker's work."""
    total = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        if re.search(r"\((dockerd|containerd)\)", text):
            fields = text.rsplit(")", 1)[1].split()
            total += sum(map(int, fields[11:15]))
    return total / TICKS


def pullers(bench, name):
    kist_home = bench.work / "transfer-store"
    podman_root = bench.work / "transfer-podman"
    environment = bench.environment(kist_home, 0)
    forget = lambda folder: (lambda: bench.set_aside(folder) if folder.exists() else None)  # noqa: E731
    kist = Command("kist", ["sh", "-c", f"{bench.kist} pull -q {name} && {bench.kist} run --rm --image {name} true"],
                   environment, before=forget(kist_home))
    out = [kist]
    if shutil.which("podman"):
        words = f"podman --root {podman_root} --runroot {podman_root}-run --cgroup-manager cgroupfs"
        def forget_podman():
            subprocess.run(["podman", "--root", podman_root, "--runroot", f"{podman_root}-run", "rmi", "-af"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        out.append(Command("podman", ["sh", "-c", f"{words} pull -q --tls-verify=false {name} && {words} --runtime runc run --rm --network host "
                                      f"--ulimit nofile={os.sysconf('SC_OPEN_MAX')} --ulimit nproc=1024 {name} true"], dict(os.environ), before=forget_podman))
    if subprocess.run(["docker", "info"], capture_output=True).returncode == 0:
        def forget_docker():
            subprocess.run(["docker", "rmi", "-f", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        out.append(Command("docker", ["sh", "-c", f"docker pull -q {name} && docker run --rm --network host {name} true"],
                           dict(os.environ), before=forget_docker))
    return out


def pulls(bench, name):
    commands = pullers(bench, name)
    wall = {command.name: [] for command in commands}
    processor = {command.name: [] for command in commands}
    at = load()
    for _ in range(bench.rounds(3, 1)):
        for command in commands:
            daemons = daemon_seconds()
            seconds, usage = run_once(command)
            wall[command.name].append(seconds)
            own = usage.ru_utime + usage.ru_stime
            processor[command.name].append(own + (daemon_seconds() - daemons if command.name == "docker" else 0))
    rows = []
    for other in list(wall)[1:]:
        rows.append(Row("transfer", "pull until true has run, processor", "root", "s", processor["kist"], other,
                        processor[other], 0.33, load=at))
        rows.append(Row("transfer", "pull until true has run", "root", "s", wall["kist"], other, wall[other], 0.5, load=at))
    return rows or [Row("transfer", "pull until true has run", "root", "s", wall["kist"], load=at)]


def pushes(bench, name):
    environment = bench.environment(bench.work / "transfer-store", 0)
    command = Command("kist", [bench.kist, "push", "-q", name], environment)
    at = load()
    run_once(command)
    return [Row("transfer", "push, nothing changed", "root", "s", [run_once(command)[0] for _ in range(bench.rounds(15, 3))],
                goal=0.1, load=at)]


def transfer(bench):
    if os.getuid() != 0 or missing("docker-registry", "skopeo", "mmdebstrap"):
        return []
    source = layout(bench)
    server = start_registry(bench)
    name = f"127.0.0.1:{server.port}/foreign/image:1"
    try:
        subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{source}:foreign", f"docker://{name}"], check=True)
        time.sleep(0.5)
        return pulls(bench, name) + pushes(bench, name)
    finally:
        server.stop()
