#!/usr/bin/env python3
"""A web server with bad manners, to test HTTP clients against. Standard library only.

    http_server.py FOLDER

Makes a certificate authority and a server certificate in FOLDER, listens on free ports of 127.0.0.1,
prints one line `http PORT other PORT https PORT proxy PORT` and serves until its stdin ends. "other"
is a second plain server: another host, as far as credentials go. "proxy" forwards plain requests and
CONNECT, and wants the user `proxy:secret` when FOLDER/proxy-auth exists.

The content of a file of N bytes is pattern(N): each 16 bytes hold their own offset, so that a piece
in the wrong place is a wrong file. The path says how it is served; see Handler.
"""
import base64
import functools
import gzip
import http.client
import http.server
import json
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.parse

USER = "Basic " + base64.b64encode(b"user:se:cret@").decode()
PROXY_USER = "Basic " + base64.b64encode(b"proxy:secret").decode()


@functools.lru_cache(maxsize=64)
def pattern(size):
    lines = b"".join(b"%015x\n" % (i * 16) for i in range((size + 15) // 16))
    return lines[:size]


class State:
    """What is shared by all servers and threads."""

    def __init__(self, folder):
        self.folder = folder
        self.lock = threading.Lock()
        self.hits = {}
        self.ports = {}

    def hit(self, key):
        """How often this key was asked for before."""
        with self.lock:
            self.hits[key] = self.hits.get(key, 0) + 1
            return self.hits[key] - 1


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path.startswith("http://"):
            self.forward()
            return
        url = urllib.parse.urlsplit(self.path)
        verb, *rest = url.path.strip("/").split("/")
        self.query = dict(urllib.parse.parse_qsl(url.query))
        self.key = url.path
        getattr(self, "get_" + verb.replace("-", "_"), self.get_missing)(*rest)

    # The pieces.
    def head(self, status, length=None, **headers):
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def whole(self, body, status=200, **headers):
        self.head(status, len(body), **headers)
        self.wfile.write(body)

    def cut(self):
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def ranged(self, body, etag):
        asked = self.headers.get("Range", "")
        condition = self.headers.get("If-Range")
        if not asked.startswith("bytes=") or (condition is not None and condition != etag):
            self.whole(body, ETag=etag)
            return
        first = int(asked[6:].split("-")[0])
        if first >= len(body):
            self.whole(b"", 416, Content_Range=f"bytes */{len(body)}")
            return
        self.whole(body[first:], 206, ETag=etag,
                   Content_Range=f"bytes {first}-{len(body) - 1}/{len(body)}")

    # The manners: good.
    def get_ok(self, size, *_):
        self.ranged(pattern(int(size)), '"v1"')

    def get_empty(self):
        self.whole(b"")

    def get_chunked(self, size):
        self.head(200, Transfer_Encoding="chunked")
        body = pattern(int(size))
        for at in range(0, len(body), 1000):
            piece = body[at:at + 1000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def get_etag(self):
        if self.headers.get("If-None-Match") == '"v1"':
            self.head(304, 0, ETag='"v1"')
        else:
            self.whole(b"text", ETag='"v1"', Last_Modified="Thu, 01 Jan 2026 00:00:00 GMT")

    def get_gzip(self, size):
        self.whole(gzip.compress(pattern(int(size))), Content_Encoding="gzip")

    def get_headers(self):
        self.whole(json.dumps({k.lower(): v for k, v in self.headers.items()}).encode())

    def get_hits(self, *key):
        self.whole(str(self.server.state.hits.get("/" + "/".join(key), 0)).encode())

    def get_auth(self, size):
        if self.headers.get("Authorization") != USER:
            self.whole(b"who are you", 401, WWW_Authenticate='Basic realm="x"')
        else:
            self.ranged(pattern(int(size)), '"v1"')

    def get_redirect(self):
        self.whole(b"moved", int(self.query.get("status", 302)), Location=self.query["to"])

    # The manners: bad.
    def get_missing(self, *_):
        self.whole(b"no such file", 404)

    def get_status(self, status):
        self.server.state.hit(self.key)
        self.whole(b"an error page", int(status))

    def get_noranges(self, size):
        self.whole(pattern(int(size)))

    def get_shifted(self, size):
        """A 206 that starts elsewhere than asked."""
        body = pattern(int(size))
        if "Range" not in self.headers:
            self.whole(body, ETag='"v1"')
        else:
            self.whole(body[16:], 206, Content_Range=f"bytes 16-{len(body) - 1}/{len(body)}")

    def get_unasked(self, size):
        """A 206 although nobody asked for a range."""
        body = pattern(int(size))
        self.whole(body[16:], 206, Content_Range=f"bytes 16-{len(body) - 1}/{len(body)}")

    def get_short(self, size):
        self.server.state.hit(self.key)
        body = pattern(int(size))
        self.head(200, len(body))
        self.wfile.write(body[:len(body) // 2])
        self.cut()

    def get_cut_once(self, size, _):
        body = pattern(int(size))
        if self.server.state.hit(self.key) > 0:
            self.ranged(body, '"v1"')
            return
        self.head(200, len(body), ETag='"v1"')
        self.wfile.write(body[:len(body) // 2])
        self.cut()

    def get_cut_changed(self, size, _):
        """Half of one version; who comes for the rest finds another version."""
        body = pattern(int(size))
        if self.server.state.hit(self.key) > 0:
            self.ranged(body, '"v2"')
            return
        self.head(200, len(body), ETag='"v1"')
        self.wfile.write(b"!" * (len(body) // 2))
        self.cut()

    def get_long(self, size):
        """Announces nothing and sends twice as much."""
        self.head(200, Connection="close")
        self.wfile.write(pattern(int(size)) * 2)
        self.cut()

    def get_announces(self, size, announced):
        self.head(200, int(announced))
        self.wfile.write(pattern(int(size)))
        self.cut()

    def get_endless(self):
        self.head(200, Connection="close")
        block = pattern(1 << 16)
        try:
            while True:
                self.wfile.write(block)
        except OSError:
            self.close_connection = True

    def get_endless_error(self):
        self.head(404, Connection="close")
        try:
            while True:
                self.wfile.write(b"sorry " * 1000)
        except OSError:
            self.close_connection = True

    def get_long_head(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        try:
            while True:
                self.wfile.write(b"X-More: " + b"x" * 1000 + b"\r\n")
        except OSError:
            self.close_connection = True

    def get_stall(self, size):
        body = pattern(int(size))
        self.head(200, len(body), ETag='"v1"')
        self.wfile.write(body[:len(body) // 2])
        self.wfile.flush()
        time.sleep(30)
        self.close_connection = True

    def get_paced(self, size):
        body = pattern(int(size))
        self.head(200, len(body), ETag='"v1"')
        for at in range(0, len(body), 1 + len(body) // 20):
            self.wfile.write(body[at:at + 1 + len(body) // 20])
            self.wfile.flush()
            time.sleep(0.03)

    def get_drip(self, size):
        self.head(200, int(size))
        try:
            for _ in range(int(size)):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.5)
        except OSError:
            self.close_connection = True

    def get_flaky(self, status, times, size, _):
        if self.server.state.hit(self.key) < int(times):
            self.whole(b"later", int(status))
        else:
            self.ranged(pattern(int(size)), '"v1"')

    def get_retry_after(self, seconds, size, _):
        if self.server.state.hit(self.key) == 0:
            self.whole(b"later", 429, Retry_After=seconds)
        else:
            self.ranged(pattern(int(size)), '"v1"')

    def get_loop(self):
        self.whole(b"", 302, Location=self.path)

    def get_wrong(self, size):
        self.whole(b"?" * int(size))

    def get_bomb(self):
        """A kilobyte that unpacks to a gigabyte, a thousand times over."""
        block = gzip.compress(bytes(100 << 20))
        self.whole(block, Content_Encoding="gzip")

    def get_not_gzip(self):
        self.whole(b"this is not gzip", Content_Encoding="gzip")

    def get_garbage(self):
        self.wfile.write(b"\x00\x01\x02 what?\r\n\r\n")
        self.cut()

    def get_reset(self, *_):
        """RST in place of an answer."""
        self.server.state.hit(self.key)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def get_reset_once(self, size, key):
        if self.server.state.hit(self.key) == 0:
            self.get_reset()
        else:
            self.ranged(pattern(int(size)), '"v1"')

    def finish(self):
        try:
            super().finish()
        except (OSError, ValueError):
            pass

    # The proxy.
    def proxy_allowed(self):
        wants = (self.server.state.folder / "proxy-auth").exists()
        if not wants or self.headers.get("Proxy-Authorization") == PROXY_USER:
            return True
        self.whole(b"", 407, Proxy_Authenticate='Basic realm="proxy"')
        return False

    def forward(self):
        if not self.proxy_allowed():
            return
        url = urllib.parse.urlsplit(self.path)
        self.server.state.hit("/proxied" + url.path)
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
        connection.request("GET", url.path, headers={"Host": url.netloc})
        answer = connection.getresponse()
        self.whole(answer.read(), answer.status)

    def do_CONNECT(self):
        if not self.proxy_allowed():
            return
        self.server.state.hit("/tunnelled")
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as far:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=copy, args=(far, self.connection), daemon=True)
            back.start()
            copy(self.connection, far)
            back.join()
        self.close_connection = True


def copy(source, sink):
    try:
        while block := source.recv(1 << 16):
            sink.sendall(block)
    except OSError:
        pass
    try:
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, state):
        super().__init__(("127.0.0.1", 0), Handler)
        self.state = state

    def handle_error(self, *_):
        pass


class TlsServer(Server):
    def __init__(self, state, context):
        super().__init__(state)
        self.context = context

    # In the connection's own thread, so that a client that says nothing does not stop the others.
    def finish_request(self, request, address):
        with self.context.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, address)


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def make_certificates(folder):
    """ca.pem signs server.pem, which is for 127.0.0.1 and localhost."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.pem",
            "-days", "2", "-subj", "/CN=kist test authority")
    openssl("req", *key, "-keyout", f"{folder}/server.key", "-out", f"{folder}/server.csr",
            "-subj", "/CN=localhost")
    names = folder / "names.cnf"
    names.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    openssl("x509", "-req", "-in", f"{folder}/server.csr", "-CA", f"{folder}/ca.pem", "-CAkey",
            f"{folder}/ca.key", "-CAcreateserial", "-days", "2", "-extfile", str(names), "-out",
            f"{folder}/server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/server.pem", f"{folder}/server.key")
    return context


def main():
    folder = pathlib.Path(sys.argv[1])
    state = State(folder)
    context = make_certificates(folder)
    servers = {"http": Server(state), "other": Server(state), "https": TlsServer(state, context),
               "proxy": Server(state)}
    for server in servers.values():
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(*(f"{name} {server.server_port}" for name, server in servers.items()), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
