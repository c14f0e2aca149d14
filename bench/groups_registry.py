"""The registry against nginx, which only sends files, and Debian's docker-registry."""
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import threading
import time

import stores
from measure import Row, load

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
PUSHERS = 64
LARGE_TIMES = 10


class Server:
    """One of the three. Its processor time is that of all threads of the process and its children, as the scheduler
    counts it: in nanoseconds, where /proc/PID/stat has hundredths of a second. None of the three ends threads meanwhile."""

    def __init__(self, name, argv, port):
        self.name = name
        self.port = port
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                self.ask("GET", "/")
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"{name} does not start")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    def pids(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def seconds(self):
        total = 0
        for pid in self.pids():
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def peak_bytes(self):
        text = "".join(pathlib.Path(f"/proc/{pid}/status").read_text() for pid in self.pids())
        return max(int(kb) * 1024 for kb in re.findall(r"VmHWM:\s+(\d+)", text))

    def ask(self, method, path, body=None, headers=None, connection=None):
        own = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        own.request(method, path, body, headers or {})
        answer = own.getresponse()
        got = answer.status, answer.getheader("Location"), answer.read()
        if connection is None:
            own.close()
        return got

    def push(self, repository, tag, blobs):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        described = []
        for data in blobs:
            digest = "sha256:" + hashlib.sha256(data).hexdigest()
            described.append({"mediaType": "application/octet-stream", "digest": digest, "size": len(data)})
            status, place, _ = self.ask("POST", f"/v2/{repository}/blobs/uploads/", connection=connection)
            place = place[place.index("/v2/"):]
            status, _, said = self.ask("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", data,
                                       {"Content-Type": "application/octet-stream"}, connection)
            if status != 201:
                raise RuntimeError(f"{self.name}: {status} {said}")
        document = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": described[0], "layers": described[1:]})
        status, _, said = self.ask("PUT", f"/v2/{repository}/manifests/{tag}", document, {"Content-Type": MANIFEST}, connection)
        if status != 201:
            raise RuntimeError(f"{self.name}: {status} {said}")
        connection.close()
        return document, described


def wrk(server, path, seconds):
    before = server.seconds()
    said = subprocess.run(["wrk", "-t1", "-c16", f"-d{seconds}", "-H", f"Accept: {MANIFEST}", f"http://127.0.0.1:{server.port}{path}"], capture_output=True, text=True, check=True).stdout
    used = server.seconds() - before
    if "Non-2xx" in said:
        raise RuntimeError(f"{server.name}: {said}")
    count = int(re.search(r"(\d+) requests in", said)[1])
    return used / count * 1e6, float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])


def large(servers, paths):
    """By server: milliseconds of processor for one fetch, and the best rate. One fetch of each in turn, several times:
    what the two ends cost depends on which processors they are given, and that changes from one moment to the next."""
    used, speeds = {}, {}
    for _ in range(LARGE_TIMES):
        for server in servers:
            before = server.seconds()
            said = subprocess.run(["curl", "-sf", "-o", "/dev/null", "-w", "%{speed_download}", f"http://127.0.0.1:{server.port}{paths[server.name]}"],
                                  capture_output=True, text=True, check=True).stdout
            used.setdefault(server.name, []).append((server.seconds() - before) * 1e3)
            speeds.setdefault(server.name, []).append(float(said) / 1e6)
    return {server.name: (statistics.median(used[server.name]), max(speeds[server.name])) for server in servers}


def push_all(server, round_, images):
    failed = []

    def one(number):
        try:
            server.push(f"push/t{number}", f"r{round_}", images[number])
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(PUSHERS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    if failed:
        raise RuntimeError(f"{server.name} lost {len(failed)} of {PUSHERS} pushes: {failed[0]}")
    for number in range(PUSHERS):
        for data in images[number]:
            digest = "sha256:" + hashlib.sha256(data).hexdigest()
            if server.ask("GET", f"/v2/push/t{number}/blobs/{digest}")[2] != data:
                raise RuntimeError(f"{server.name} lost a blob")
    return PUSHERS / took


def registry(bench):
    for program in ("nginx", "docker-registry", "wrk", "curl"):
        if shutil.which(program) is None:
            stores.say(f"skipped: needs {program}")
            return []
    work = pathlib.Path(bench.work) / "registry"
    shutil.rmtree(work, ignore_errors=True)
    (work / "static").mkdir(parents=True)
    work.chmod(0o755)
    (work / "nginx.conf").write_text(
        f"worker_processes 1; daemon off; pid {work}/nginx.pid; error_log /dev/null; user root;\nevents {{}}\n"
        "http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; default_type application/octet-stream;\n"
        f"client_body_temp_path {work}; server {{ listen 127.0.0.1:5802; root {work}/static; }} }}\n")
    (work / "docker.yml").write_text("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
                                     f"storage: {{filesystem: {{rootdirectory: {work}/docker}}}}\nhttp: {{addr: '127.0.0.1:5803'}}\n")
    servers = []
    try:
        servers.append(Server("kist", [bench.kist, "registry", "serve", "--listen", "127.0.0.1:5801", "--root", str(work / "kist"), "--access-log", "none"], 5801))
        servers.append(Server("nginx", ["nginx", "-c", str(work / "nginx.conf")], 5802))
        servers.append(Server("docker-registry", ["docker-registry", "serve", str(work / "docker.yml")], 5803))
        return measure(bench, work, *servers)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(work, ignore_errors=True)


def measure(bench, work, kist, nginx, docker):
    rounds, seconds = (2, 2) if bench.quick else (5, 4)
    small, big = os.urandom(182), os.urandom(400_000_000)
    document, blobs = kist.push("a", "v", [small, big])
    docker.push("a", "v", [small, big])
    for name, data in (("manifest", document.encode()), ("small", small), ("big", big)):
        (work / "static" / name).write_bytes(data)
    paths = {"manifest": "/v2/a/manifests/v", "small": f"/v2/a/blobs/{blobs[0]['digest']}", "big": f"/v2/a/blobs/{blobs[1]['digest']}"}
    values = {}
    for round_ in range(rounds):
        for what in ("manifest", "small"):
            for server in (kist, nginx, docker):
                got = wrk(server, f"/{what}" if server is nginx else paths[what], seconds)
                for unit, value in zip(("cpu", "rate"), got):
                    values.setdefault((what, server.name, unit), []).append(value)
        for name, got in large((kist, nginx), {"kist": paths["big"], "nginx": "/big"}).items():
            for unit, value in zip(("cpu", "rate"), got):
                values.setdefault(("big", name, unit), []).append(value)
    for round_ in range(rounds):
        images = [[b"config %d %d" % (round_, i), os.urandom(1_000_000), os.urandom(100_000)] for i in range(PUSHERS)]
        for server in (kist, docker):
            values.setdefault(("push", server.name, "rate"), []).append(push_all(server, round_, images))
    title = {"manifest": "GET manifest, 16 connections", "small": "GET blob of 182 B, 16 connections", "big": "GET blob of 400 MB",
             "push": f"{PUSHERS} clients push different images at once"}

    def row(what, unit, name, reference, goal, at_least):
        return Row("registry", title[what], "kist", name, values[what, "kist", unit], reference, values[what, reference, unit],
                   goal=goal, at_least=at_least, load=load())

    rows = []
    for what in ("manifest", "small"):
        rows.append(row(what, "cpu", "µs cpu", "nginx", 2.5, False))
        rows.append(row(what, "rate", "/s", "docker-registry", 15, True))
    rows.append(row("big", "rate", "MB/s", "nginx", 0.9, True))
    rows.append(row("big", "cpu", "ms cpu", "nginx", 1.5, False))
    rows.append(row("push", "rate", "images/s", "docker-registry", 3, True))
    rows.append(Row("registry", "memory at the end of all this", "kist", "MB", [kist.peak_bytes() / 1e6], goal=50, load=load()))
    return rows
