"""What a change costs that travels: one small package beside torch, pushed by kist and by what pushes the image of a
Dockerfile, and the next version of a foreign image, pulled."""
import json
import os
import pathlib
import shutil
import subprocess
import time

import groups_transfer
import stores
from groups_peers import missing
from groups_registry import MANIFEST, Server
from measure import Command, Row, load, run_once

# Small packages that an environment may well have, each with the version before.
SMALL = {"six": ("1.16.0", "1.17.0"), "packaging": ("24.1", "24.2"), "click": ("8.1.7", "8.1.8"),
         "idna": ("3.9", "3.10"), "certifi": ("2024.7.4", "2024.8.30"), "attrs": ("24.1.0", "24.2.0"),
         "tqdm": ("4.66.5", "4.66.6"), "tabulate": ("0.8.10", "0.9.0"), "pytz": ("2024.1", "2024.2"),
         "colorama": ("0.4.5", "0.4.6")}
ALLOWANCE = 200_000  # Configuration, manifest, lock and what of the last layer names the versions.


def layers_of(server, repository, tag):
    """{digest: (name, bytes)} of an image that kist has built."""
    ask = {"Accept": MANIFEST}
    manifest = json.loads(server.ask("GET", f"/v2/{repository}/manifests/{tag}", headers=ask)[2])
    config = json.loads(server.ask("GET", f"/v2/{repository}/blobs/{manifest['config']['digest']}")[2])
    names = [line["created_by"] for line in config["history"] if not line.get("empty_layer")]
    return {layer["digest"]: (name, layer["size"]) for layer, name in zip(manifest["layers"], names)}


class Torch:
    """torch with ten small packages, built and pushed once."""

    def __init__(self, bench, server):
        self.bench, self.server = bench, server
        self.home = bench.store("torch", 0)
        self.environment = bench.environment(self.home, 0)
        self.requirements = ["torch", *(f"{name}=={old}" for name, (old, _) in SMALL.items())]
        self.lock = bench.lock_of("torch-and-ten", self.requirements)
        self.repository = "team/torch"
        self.name = f"127.0.0.1:{server.port}/{self.repository}"

    def put(self, tag, lock):
        """Builds and pushes: (seconds of the build, of the push, bytes sent)."""
        project = self.bench.project("torch-and-ten", 0, self.requirements, lock)
        build = Command("kist", [self.bench.kist, "build", "-q", "--frozen", "--project", str(project), "-t",
                                 f"{self.name}:{tag}"], self.environment)
        built = run_once(build)[0]
        start = time.perf_counter()
        said = subprocess.run([self.bench.kist, "push", "--json", f"{self.name}:{tag}"], env=self.environment, check=True,
                              capture_output=True, text=True).stdout
        return built, time.perf_counter() - start, json.loads(said)["sent"]


def small_changes(bench, torch):
    """Each of the ten packages in turn: build, push, bytes, and bytes beside the layer that the package lies in."""
    stores.say("building and pushing torch's image for the first time")
    torch.put("before", torch.lock)
    before = layers_of(torch.server, torch.repository, "before")
    built, pushed, sent, beside = [], [], [], []
    at = load()
    for name, (_, new) in list(SMALL.items())[:bench.rounds(len(SMALL), 3)]:
        other = bench.lock_of(f"{name}-{new}", [f"{name}=={new}"])
        build_s, push_s, bytes_sent = torch.put(name, stores.replace_package(torch.lock, other, name))
        after = layers_of(torch.server, torch.repository, name)
        bucket = sum(size for digest, (layer, size) in after.items() if digest not in before and "python/" in layer)
        built.append(build_s)
        pushed.append(push_s)
        sent.append(bytes_sent)
        beside.append(bytes_sent - bucket)
    worst = Row("updates", "bytes beside the package's layer, at the most", "root", "B", [max(beside)], goal=ALLOWANCE, load=at)
    median = Row("updates", "bytes sent, median", "root", "B", [sorted(sent)[len(sent) // 2]], goal=6_000_000, load=at,
                 note=f"{len(sent)} packages, {min(sent)} to {max(sent)}")
    rows = [Row("updates", "build, one small package beside torch new", "root", "s", built, goal=3, load=at),
            Row("updates", "push of it", "root", "s", pushed, goal=2, load=at), median, worst]
    return rows, pushed


def dockerfile_push(bench, torch, pushed):
    """The same files as the one layer that `RUN pip install` makes: whatever changes, it is pushed whole."""
    tar = bench.work / "torch-layer.tar"
    if not tar.exists():
        stores.say("the environment as one layer")
        run = lambda *args, **more: subprocess.run([bench.kist, *args], env=torch.environment, check=True, **more)  # noqa: E731
        run("create", "--name", "as-one-layer", "--image", f"{torch.name}:before", "true", stdout=subprocess.DEVNULL)
        run("export", "-o", str(tar), "as-one-layer")
        run("rm", "as-one-layer", stdout=subprocess.DEVNULL)
    rows = []
    for engine, flags in (("podman", ["--tls-verify=false"]), ("docker", [])):
        if shutil.which(engine) is None or subprocess.run([engine, "info"], capture_output=True).returncode != 0:
            continue
        name = f"127.0.0.1:{torch.server.port}/peers/{engine}:1"
        stores.say(f"{engine} import and push of {tar.stat().st_size >> 20} MiB")
        subprocess.run([engine, "import", str(tar), name], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        at = load()
        start = time.perf_counter()
        subprocess.run([engine, "push", "-q", *flags, name], check=True, stdout=subprocess.DEVNULL)
        took = time.perf_counter() - start
        subprocess.run([engine, "rmi", "-f", name], check=True, stdout=subprocess.DEVNULL)
        row = Row("updates", f"{engine} push after the same change", "root", "s", [took], "kist", pushed, 5, at_least=True,
                  load=at)
        row.low = min
        rows.append(row)
    tar.unlink()
    return rows


def next_root(bench):
    """The foreign root with other contents in one file of twenty: (folder, parts that differ, contents that are new)."""
    source, folder = groups_transfer.root(bench), bench.work / "foreign-root-2"
    subprocess.run(["rm", "-rf", folder], check=True)
    subprocess.run(["cp", "-al", source, folder], check=True)
    parts, seen, fresh = [4], 0, set()
    for top in groups_transfer.PARTS[4]:
        for parent, _, names in os.walk(folder / top):
            for name in sorted(names):
                path = pathlib.Path(parent) / name
                if path.is_symlink() or not path.is_file():
                    continue
                seen += 1
                if seen % 8:
                    continue
                data = path.read_bytes() + b"\nnext\n"
                path.unlink()
                path.write_bytes(data)
                fresh.add(data)
    return folder, parts, len(fresh), sum(map(len, fresh))


def next_version(bench, name, layout):
    """A pull of a version in which one layer of six has new files: bytes fetched, objects written."""
    folder, parts, fresh, fresh_bytes = next_root(bench)
    blobs = layout / "blobs/sha256"
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_text())
    config = json.loads((blobs / manifest["config"]["digest"][7:]).read_text())
    new_bytes = 0
    for part in parts:
        digest, size, diff_id = groups_transfer.layer(folder, groups_transfer.PARTS[part], [], blobs)
        manifest["layers"][part] |= {"digest": digest, "size": size}
        config["rootfs"]["diff_ids"][part] = diff_id
        new_bytes += size
    manifest["config"] |= groups_transfer.put_document(blobs, config)
    entry = index["manifests"][0] | groups_transfer.put_document(blobs, manifest)
    entry["annotations"] = {"org.opencontainers.image.ref.name": "next"}
    index["manifests"] = [index["manifests"][0], entry]
    (layout / "index.json").write_text(json.dumps(index))
    subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:next", f"docker://{name}:2"], check=True)
    home = bench.work / "updates-store"
    bench.set_aside(home)
    environment = bench.environment(home, 0)
    pull = lambda tag: Command("kist", [bench.kist, "pull", "-q", f"{name}:{tag}"], environment)  # noqa: E731
    run_once(pull(1))
    objects = lambda: sum(len(files) for _, _, files in os.walk(home / "objects"))  # noqa: E731
    before, received = objects(), loopback_bytes()
    at = load()
    seconds = run_once(pull(2))[0]
    fetched, written = loopback_bytes() - received, objects() - before
    subprocess.run(["rm", "-rf", folder], check=True)
    return [Row("updates", "pull of the next version: bytes received", "root", "B", [fetched], "its new layers", [new_bytes], 1.05, load=at,
                note=f"{seconds:.2f} s"),
            # The layer as it came is an object, and so are the image's documents.
            Row("updates", "objects written beside its new contents", "root", "objects", [written - fresh], goal=10, load=at,
                note=f"{fresh} new contents of {fresh_bytes >> 20} MiB")]


def loopback_bytes():
    for line in pathlib.Path("/proc/net/dev").read_text().splitlines():
        if line.strip().startswith("lo:"):
            return int(line.split(":")[1].split()[0])
    raise RuntimeError("no loopback interface")


def updates(bench):
    if os.getuid() != 0 or missing("docker-registry", "skopeo", "mmdebstrap"):
        return []
    layout = groups_transfer.layout(bench)
    theirs = groups_transfer.start_registry(bench)
    folder = bench.work / "updates-registry"
    shutil.rmtree(folder, ignore_errors=True)
    ours = Server("kist", [bench.kist, "registry", "serve", "--listen", "127.0.0.1:5097", "--root", str(folder), "--access-log", "none"], 5097)
    name = f"127.0.0.1:{theirs.port}/foreign/image"
    try:
        subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:foreign", f"docker://{name}:1"], check=True)
        rows = next_version(bench, name, layout)
        torch = Torch(bench, ours)
        ours_rows, pushed = small_changes(bench, torch)
        return rows + ours_rows + ([] if bench.quick else dockerfile_push(bench, torch, pushed))
    finally:
        theirs.stop()
        ours.stop()
        shutil.rmtree(folder, ignore_errors=True)
