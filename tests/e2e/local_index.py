#!/usr/bin/env python3
"""A Python package index over a folder of wheels and sdists, for tests: PEP 503 (HTML), PEP 691
(JSON), PEP 658 (metadata), hashes, basic auth, TLS, and faults on demand. It is also a proxy, behind
which it is the host index.invalid itself. Standard library only.

    with LocalIndex(folder) as index:
        … UV_DEFAULT_INDEX=index.url …
        index.faults["/files/thing-1.0-py3-none-any.whl"] = "truncate"

As a program: local_index.py FOLDER [USER:PASSWORD] prints the address and serves until stdin ends.

Faults, by path (or "*" for all): a number is that HTTP status; "once-NNN" that status the first time;
"truncate" half of the body; "corrupt" the right length, one byte wrong; "slow" stalls in the middle;
"endless" never ends; "long" announces more than it has; "retry-after" 429 with Retry-After: 1, once.
"""
import base64
import hashlib
import html
import http.server
import json
import pathlib
import re
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile

JSON = "application/vnd.pypi.simple.v1+json"  # The name of the format, from PEP 691.


def normalize(name):
    return re.sub(r"[-_.]+", "-", name).lower()


class Package:
    """One file, with what the index says of it. Read once: tests may replace it on the disk."""

    def __init__(self, path, metadata=None):
        self.data = path.read_bytes()
        self.name = path.name
        self.project = normalize(path.name.split("-")[0])
        self.sha256 = hashlib.sha256(self.data).hexdigest()
        self.metadata = metadata
        self.requires_python = None
        if path.suffix == ".whl" and metadata is None:
            try:
                with zipfile.ZipFile(path) as archive:
                    member = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
                    self.metadata = archive.read(member)
            except (zipfile.BadZipFile, StopIteration, NotImplementedError):
                pass
        for line in (self.metadata or b"").decode(errors="replace").splitlines():
            if line.startswith("Requires-Python: "):
                self.requires_python = line[len("Requires-Python: "):]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    PROXIED_HOST = "index.invalid"
    timeout = 60

    def log_message(self, *_):
        pass

    def do_GET(self):
        index = self.server.index
        path = self.path.split("?")[0]
        if path.startswith("http://"):
            if index.proxy_auth and self.headers.get("Proxy-Authorization") != index.proxy_auth:
                self.reply(b"who are you", 407, {"Proxy-Authenticate": 'Basic realm="proxy"'})
                return
            index.proxied.append(path)
            if not path.startswith(f"http://{Handler.PROXIED_HOST}/"):
                self.pass_on()
                return
            path = "/" + path.split("/", 3)[-1]
        with index.lock:
            index.requests.append(path)
        if index.auth and self.headers.get("Authorization") != index.auth:
            self.reply(b"who are you", 401, {"WWW-Authenticate": 'Basic realm="index"'})
            return
        fault = index.fault_of(path)
        if isinstance(fault, int):
            self.reply(b"a fault", fault)
        elif fault == "retry-after":
            self.reply(b"later", 429, {"Retry-After": "1"})
        else:
            self.serve(path, fault)

    do_HEAD = do_GET

    def pass_on(self):
        """Somebody else's address: asked as this machine asks it."""
        try:
            with urllib.request.urlopen(self.path, timeout=60) as answer:
                self.reply(answer.read())
        except urllib.error.HTTPError as error:
            self.reply(b"", error.code)

    def serve(self, path, fault):
        index = self.server.index
        if path.startswith("/simple/") and path.count("/") == 3:
            self.page(index.files_of(path.split("/")[2]), fault)
            return
        name = path.rsplit("/", 1)[-1]
        package = index.packages.get(name)
        if path.startswith("/files/") and package:
            self.reply(package.data, fault=fault)
            return
        package = index.packages.get(name.removesuffix(".metadata"))
        if path.startswith("/files/") and package and package.metadata is not None:
            self.reply(package.metadata, fault=fault)
            return
        self.reply(b"no such file", 404)

    def page(self, packages, fault):
        if not packages:
            self.reply(b"no such project", 404)
        elif "json" in self.headers.get("Accept", ""):
            body = {"meta": {"api-version": "1.1"}, "name": packages[0].project,
                    "versions": sorted({p.name.split("-")[1] for p in packages}),
                    "files": [self.describe(p) for p in packages]}
            self.reply(json.dumps(body).encode(), headers={"Content-Type": JSON}, fault=fault)
        else:
            links = "".join(self.link(p) for p in packages)
            self.reply(f"<!DOCTYPE html><html><body>{links}</body></html>".encode(),
                       headers={"Content-Type": "text/html"}, fault=fault)

    @staticmethod
    def describe(package):
        out = {"filename": package.name, "url": f"../../files/{package.name}",
               "hashes": {"sha256": package.sha256}, "size": len(package.data), "yanked": False}
        if package.metadata is not None:
            out["core-metadata"] = {"sha256": hashlib.sha256(package.metadata).hexdigest()}
        if package.requires_python:
            out["requires-python"] = package.requires_python
        return out

    @staticmethod
    def link(package):
        extra = ""
        if package.metadata is not None:
            extra += f' data-core-metadata="sha256={hashlib.sha256(package.metadata).hexdigest()}"'
        if package.requires_python:
            extra += f' data-requires-python="{html.escape(package.requires_python)}"'
        return (f'<a href="../../files/{package.name}#sha256={package.sha256}"{extra}>'
                f"{package.name}</a>\n")

    def reply(self, body, status=200, headers=None, fault=None):
        whole = body
        asked = self.headers.get("Range", "")
        headers = dict(headers or {})
        if status == 200 and fault is None and asked.startswith("bytes=") and asked[6:-1].isdigit():
            first = int(asked[6:-1])
            if first < len(whole):
                status, body = 206, whole[first:]
                headers["Content-Range"] = f"bytes {first}-{len(whole) - 1}/{len(whole)}"
        self.send_response(status)
        length = len(body) + (1000 if fault == "long" else 0)
        if fault != "endless":
            self.send_header("Content-Length", str(length))
        self.send_header("ETag", f'"{hashlib.sha256(whole).hexdigest()[:16]}"')
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            self.send_body(body, fault)
        except OSError:
            self.close_connection = True

    def send_body(self, body, fault):
        half = len(body) // 2
        if fault in ("truncate", "slow"):
            self.wfile.write(body[:half])
            self.wfile.flush()
            time.sleep(60 if fault == "slow" else 0)
            self.close_connection = True
        elif fault == "corrupt":
            self.wfile.write(body[:half] + bytes([body[half] ^ 1]) + body[half + 1:])
        elif fault == "endless":
            self.close_connection = True
            while True:
                self.wfile.write(body + bytes(1 << 16))
        else:
            self.wfile.write(body)
            self.close_connection |= fault == "long"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass


def basic(credentials):
    return "Basic " + base64.b64encode(credentials.encode()).decode() if credentials else None


def make_certificate(folder):
    """For 127.0.0.1: a file with certificate and key, and the text of the authority that signed it, of
    which nobody has heard."""
    folder = pathlib.Path(folder)
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for command in (
            [*new, "-x509", "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem"],
            [*new, "-subj", "/CN=127.0.0.1", "-keyout", "own.key", "-out", "own.request"],
            ["openssl", "x509", "-req", "-in", "own.request", "-CA", "ca.pem", "-CAkey", "ca.key",
             "-CAcreateserial", "-days", "2", "-extfile", "own.extensions", "-out", "own.pem"]):
        (folder / "own.extensions").write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    path = folder / "server.pem"
    path.write_text((folder / "own.pem").read_text() + (folder / "own.key").read_text())
    return path, (folder / "ca.pem").read_text()


class LocalIndex:
    def __init__(self, folder, auth=None, tls=None, proxy_auth=None):
        """auth, proxy_auth: "user:password" to ask for. tls: a file with certificate and key."""
        self.folder = pathlib.Path(folder)
        self.packages = {}
        self.faults = {}
        self.requests = []
        self.lock = threading.Lock()
        self.proxied = []
        self.auth = basic(auth)
        self.proxy_auth = basic(proxy_auth)
        self.credentials = auth
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.index = self
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.origin = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_port}"
        self.url = f"{self.origin}/simple"
        self.reload()

    @property
    def url_with_credentials(self):
        return self.url.replace("://", f"://{self.credentials}@")

    def reload(self):
        """Looks at the folder again."""
        paths = sorted(p for p in self.folder.iterdir() if p.name.endswith((".whl", ".tar.gz")))
        self.packages = {p.name: Package(p) for p in paths}

    def add(self, file, metadata=None):
        """Puts (name, bytes) into the folder. `metadata` stands for what is in the file."""
        name, data = file
        (self.folder / name).write_bytes(data)
        self.packages[name] = Package(self.folder / name, metadata)
        return name

    def files_of(self, project):
        return [p for p in self.packages.values() if p.project == normalize(project)]

    def fault_of(self, path):
        with self.lock:
            key = path if path in self.faults else "*"
            fault = self.faults.get(key)
            if isinstance(fault, str) and (fault.startswith("once-") or fault == "retry-after"):
                del self.faults[key]
                return fault if fault == "retry-after" else int(fault[5:])
            return fault

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def main():
    with LocalIndex(sys.argv[1], *sys.argv[2:3]) as index:
        print(index.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
