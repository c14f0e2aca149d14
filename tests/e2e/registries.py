"""Real registries for tests, and what may stand between: relays that count and cut, proxies."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading
import time
import unittest
import urllib.parse
import urllib.request


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_certificate(folder, name="127.0.0.1"):
    """An authority, and a certificate by it: ca.crt, server.crt, server.key."""
    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)
    alternative = ("IP:" if name[0].isdigit() else "DNS:") + name
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority",
            "-keyout", "ca.key", "-out", "ca.crt")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + name, "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text(f"subjectAltName={alternative}\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "names", "-out", "server.crt")


class DockerRegistry:
    """Debian's docker-registry, or another `program` of its kind, on a free port of this machine."""

    def __init__(self, folder, users=None, tls=False, program="docker-registry"):
        self.program = shutil.which(program)
        if self.program is None:
            raise unittest.SkipTest(f"{program} is not installed")
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        lines = ["version: 0.1", "log: {level: info}", "storage:", f"  filesystem: {{rootdirectory: {self.folder}/data}}",
                 "  delete: {enabled: true}", "http:", f"  addr: {self.host}", "  secret: not-secret"]
        if tls:
            make_certificate(self.folder)
            lines.append(f"  tls: {{certificate: {self.folder}/server.crt, key: {self.folder}/server.key}}")
        if users:
            if shutil.which("htpasswd") is None:
                raise unittest.SkipTest("htpasswd is not installed")
            (self.folder / "users").touch()
            for user, password in users.items():
                subprocess.run(["htpasswd", "-bB", self.folder / "users", user, password], check=True, capture_output=True)
            lines.append(f"auth:\n  htpasswd: {{realm: test, path: {self.folder}/users}}")
        (self.folder / "config.yml").write_text("\n".join(lines) + "\n")
        self.log = self.folder / "log"

    def __enter__(self):
        self.output = open(self.log, "ab")
        environment = {"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"}
        self.process = subprocess.Popen([self.program, "serve", self.folder / "config.yml"], stdout=self.output,
                                        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment)
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self
            time.sleep(0.05)
        raise RuntimeError("docker-registry does not start:\n" + self.log.read_text())

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.output.close()

    def requests(self):
        """[(method, path, status)], of its access log."""
        text = self.log.read_text(errors="replace")
        return [(m[1], m[2], int(m[3])) for m in
                re.finditer(r'^127\.0\.0\.1 - \S* \[[^]]*\] "(\w+) (\S+) HTTP/1\.1" (\d+)', text, re.M)]

    @contextlib.contextmanager
    def asked(self):
        """What is asked while this lasts."""
        before, seen = len(self.requests()), []
        yield seen
        time.sleep(0.1)
        seen.extend(self.requests()[before:])

    def call(self, method, path, body=None, **headers):
        request = urllib.request.Request(f"http://{self.host}{path}", data=body, method=method,
                                         headers={name.replace("_", "-"): value for name, value in headers.items()})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read(), answer.headers

    def put_blob(self, repository, data, digest):
        _, headers = self.call("POST", f"/v2/{repository}/blobs/uploads/", b"")
        place = urllib.parse.urlparse(headers["Location"])
        self.call("PUT", f"{place.path}?{place.query}&digest={digest}", data, Content_Type="application/octet-stream")

    def put_manifest(self, repository, reference, data, media_type):
        _, headers = self.call("PUT", f"/v2/{repository}/manifests/{reference}", data, Content_Type=media_type)
        return headers["Docker-Content-Digest"]


class KistRegistry:
    """`kist registry serve` on a free port of this machine."""

    def __init__(self, kist, folder):
        self.kist, self.folder, self.port = kist, pathlib.Path(folder), free_port()
        self.folder.mkdir(parents=True)
        self.host = f"127.0.0.1:{self.port}"

    def __enter__(self):
        self.process = subprocess.Popen(
            [self.kist, "registry", "serve", "--listen", self.host, "--root", self.folder / "data", "--access-log", self.folder / "log"],
            stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self
            time.sleep(0.05)
        raise RuntimeError("kist registry serve does not start")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def requests(self):
        """[(method, path, status)], of its access log."""
        lines = [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]
        return [(line["method"], line["target"], line["status"]) for line in lines]

    @contextlib.contextmanager
    def asked(self):
        """What is asked while this lasts. Its log is written once a second."""
        time.sleep(1.5)
        before, seen = len(self.requests()), []
        yield seen
        time.sleep(1.5)
        seen.extend(self.requests()[before:])


class Relay:
    """Between a client and a server: counts the bytes of each direction, and may cut.

    `cut_up`, `cut_down`: each connection is reset after so many bytes; `cuts` says how often at most.
    `hold_up`, `hold_down`: nothing passes any more once so many bytes have in all; `held` tells. `is_down`: all
    connections end, and new ones, too."""

    def __init__(self, port, cut_up=None, cut_down=None, cuts=1_000_000):
        self.upstream, self.cut_up, self.cut_down, self.cuts = port, cut_up, cut_down, cuts
        self.hold_up = self.hold_down = None
        self.held, self.is_down = threading.Event(), False
        self.up = self.down = self.connections = 0
        self.lock = threading.Lock()

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                if self.is_down:
                    client.close()
                    continue
                self.connections += 1
                server = socket.create_connection(("127.0.0.1", self.upstream))
                pair = (client, server)
                threading.Thread(target=self.pump, args=(*pair, pair, "up", self.cut_up), daemon=True).start()
                threading.Thread(target=self.pump, args=(*pair[::-1], pair, "down", self.cut_down), daemon=True).start()

    def pump(self, source, target, pair, name, cut):
        seen = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if cut is not None and self.cuts > 0:
                    data = data[:cut - seen]
                seen += len(data)
                hold = getattr(self, "hold_" + name)
                if hold is not None and getattr(self, name) >= hold:
                    self.held.set()
                    while getattr(self, "hold_" + name) is not None and not self.is_down:
                        time.sleep(0.01)
                if self.is_down:
                    break
                with self.lock:
                    setattr(self, name, getattr(self, name) + len(data))
                target.sendall(data)
                if cut is not None and seen >= cut and self.cuts > 0:
                    with self.lock:
                        self.cuts -= 1
                    break
        for end in pair:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()


class NameProxy:
    """A proxy for HTTP that leads every name to one port of this machine; keeps what it was asked."""

    def __init__(self, port):
        self.upstream, self.asked = port, []

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with contextlib.suppress(OSError), client:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(65536)
                if not piece:
                    return
                head += piece
            line, rest = head.split(b"\r\n", 1)
            method, target, _ = line.split(b" ")
            self.asked.append((method.decode(), target.decode()))
            with socket.create_connection(("127.0.0.1", self.upstream)) as server:
                if method == b"CONNECT":
                    client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                else:
                    path = urllib.parse.urlparse(target.decode())
                    path = path.path + ("?" + path.query if path.query else "")
                    server.sendall(b"%s %s HTTP/1.1\r\nConnection: close\r\n%s" % (method, path.encode(), rest))
                other = threading.Thread(target=copy, args=(client, server), daemon=True)
                other.start()
                copy(server, client)
                other.join(30)


def copy(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
