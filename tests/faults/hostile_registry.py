#!/usr/bin/env python3
"""A registry with bad manners, to test clients of the distribution specification against.

    with HostileRegistry() as registry:
        … f"{registry.host}/BEHAVIOUR:1" …

The name of the repository says what it does wrong; all of them serve one good image otherwise. What was
asked is kept in `registry.seen`, and what its neighbour on another port, another host as far as credentials
go, was asked in `registry.elsewhere`. Standard library only.
"""
import functools
import gzip
import hashlib
import http.server
import io
import json
import pathlib
import random
import re
import sys
import tarfile
import threading
import time

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCTETS = "application/octet-stream"
PLATFORM = {"os": "linux", "architecture": "amd64"}
ZEROS = "sha256:" + "0" * 64


@functools.lru_cache(maxsize=32)  # Large layers are asked for often.
def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def encoded(document):
    return json.dumps(document).encode()


def described(data, media_type, **more):
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}


def tar_of(name, content):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


class Image:
    """Two layers, the second of 3 MB that do not compress."""

    def __init__(self, seed=1, tars=None, pack=None, suffix="+gzip"):
        noise = random.Random(seed).randbytes(3 << 20)
        self.tars = tars or [tar_of("small", b"small %d" % seed), tar_of("noise", noise)]
        pack = pack or (lambda tar: gzip.compress(tar, 1, mtime=0))
        self.layers = [pack(tar) for tar in self.tars]
        self.config = encoded({"architecture": "amd64", "os": "linux", "config": {},
                               "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in self.tars]}})
        self.document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described(self.config, CONFIG),
                         "layers": [described(layer, LAYER.replace("+gzip", suffix)) for layer in self.layers]}

    @property
    def manifest(self):
        return encoded(self.document)

    @property
    def blobs(self):
        return {digest(blob): blob for blob in [self.config, *self.layers]}


class Asked:
    """One request, and ways to answer it."""

    def __init__(self, handler, registry):
        self.handler, self.registry = handler, registry
        self.method = handler.command
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.path, _, self.query = handler.path.partition("?")
        match = re.fullmatch(r"/v2/(.+?)/(manifests|blobs|tags|referrers)/(.*)", self.path)
        self.repository, self.kind, self.what = match.groups() if match else ("", "", "")
        self.is_upload = self.kind == "blobs" and self.what.startswith("uploads")
        self.is_layer = self.kind == "blobs" and self.what in map(digest, registry.image.layers)
        self.is_noise = self.kind == "blobs" and self.what == digest(registry.image.layers[-1])
        self.is_config = self.kind == "blobs" and self.what == digest(registry.image.config)

    def start(self, status, length, **fields):
        self.handler.send_response(status)
        if length is not None:
            self.handler.send_header("Content-Length", str(length))
        for name, value in fields.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def write(self, data):
        if self.method != "HEAD":
            self.handler.wfile.write(data)

    def answer(self, status, body=b"", **fields):
        self.start(status, len(body), **fields)
        self.write(body)
        return True

    def manifest(self, body, media_type=MANIFEST, **fields):
        return self.answer(200, body, Content_Type=media_type, Docker_Content_Digest=digest(body), **fields)

    def hang_up(self):
        self.handler.close_connection = True
        return True

    def drip(self, seconds, piece=b"x", pause=0.05):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.handler.wfile.write(piece)
            time.sleep(pause)
        return self.hang_up()

    def endless(self, piece, **fields):
        """Chunks until the other side has had enough."""
        self.start(200, None, Transfer_Encoding="chunked", **fields)
        for _ in range(4 << 30 >> 16):
            self.handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        return self.hang_up()

    def body(self):
        if self.headers.get("transfer-encoding") == "chunked":
            out = b""
            while size := int(self.handler.rfile.readline(), 16):
                out += self.handler.rfile.read(size)
                self.handler.rfile.readline()
            self.handler.rfile.readline()
            return out
        return self.handler.rfile.read(int(self.headers.get("content-length", 0)))

    def first_time(self, key=""):
        return self.registry.count((self.repository, self.kind, self.what, key)) == 1

    def range_begin(self):
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        return int(match[1]) if match else 0

    def range(self):
        """Both ends of "bytes=2-5", the second exclusive; nothing for other ranges."""
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        return (int(match[1]), int(match[2]) + 1) if match else None

    def part(self, blob, begin, end):
        return self.answer(206, blob[begin:end], Content_Range=f"bytes {begin}-{end - 1}/{len(blob)}")


def good(asked):
    image = asked.registry.other if asked.repository == "other" else asked.registry.image
    if asked.path == "/v2/":
        return asked.answer(200, b"{}")
    if asked.is_upload or asked.method in ("PUT", "PATCH", "POST"):
        return good_upload(asked)
    if asked.kind == "manifests":
        body = image.manifest
        return asked.manifest(body) if asked.what in ("1", digest(body)) else asked.answer(404)
    if asked.kind == "tags":
        return asked.answer(200, encoded({"name": asked.repository, "tags": ["1"]}))
    blob = {**asked.registry.other.blobs, **image.blobs}.get(asked.what)
    if blob is None or asked.repository.startswith("push-"):
        return asked.answer(404)
    if asked.range():
        return asked.part(blob, *asked.range())
    begin = asked.range_begin()
    if begin:
        return asked.part(blob, begin, len(blob))
    return asked.answer(200, blob, Content_Type=OCTETS)


def good_upload(asked):
    registry, place = asked.registry, asked.path
    if asked.method == "POST":
        place = f"/v2/{asked.repository}/blobs/uploads/{registry.count('uploads')}"
        registry.uploads[place] = b""
        return asked.answer(202, Location=place, Range="0-0")
    if asked.method == "PATCH":
        registry.uploads[place] = registry.uploads.get(place, b"") + asked.body()
    elif asked.method == "PUT":
        asked.body()
        return asked.answer(201, Location=place)
    there = len(registry.uploads.get(place, b""))
    return asked.answer(204 if asked.method == "GET" else 202, Location=place, Range=f"0-{max(there - 1, 0)}")


BEHAVIOURS = {}


def behaviour(function):
    BEHAVIOURS[function.__name__.replace("_", "-")] = function
    return function


def on(kind):
    """Only for requests of one kind; the others are answered as they should be."""
    def make(function):
        def handle(asked):
            fits = getattr(asked, f"is_{kind}") if hasattr(asked, f"is_{kind}") else asked.kind == kind
            return function(asked) if fits else good(asked)
        BEHAVIOURS[function.__name__.replace("_", "-")] = handle
        return handle
    return make


# Manifests and indexes.
@on("manifests")
def manifest_announced_as_another(asked):
    body = asked.registry.image.manifest
    return asked.answer(200, body, Content_Type=MANIFEST, Docker_Content_Digest=ZEROS)


@on("manifests")
def manifest_of_another_digest(asked):
    body = asked.registry.other.manifest
    return asked.answer(200, body, Content_Type=MANIFEST)


@on("manifests")
def manifest_of_100_megabytes(asked):
    asked.start(200, 100 << 20, Content_Type=MANIFEST)
    for _ in range(100):
        asked.write(b" " * (1 << 20))
    return asked.hang_up()


@on("manifests")
def manifest_without_end(asked):
    return asked.endless(b" " * 65536, Content_Type=MANIFEST)


@on("manifests")
def manifest_that_is_no_json(asked):
    return asked.manifest(b"<html>\x1b[2Jnothing here</html>")


@on("manifests")
def manifest_of_brackets(asked):
    return asked.manifest(b'{"schemaVersion":2,"x":' + b"[" * 1_000_000)


@on("manifests")
def manifest_cut_off(asked):
    body = asked.registry.image.manifest
    asked.start(200, len(body), Content_Type=MANIFEST)
    asked.write(body[:100])
    return asked.hang_up()


@on("manifests")
def manifest_says_index_outside(asked):
    return asked.manifest(asked.registry.image.manifest, INDEX)


@on("manifests")
def manifest_says_index_inside(asked):
    return asked.manifest(encoded({**asked.registry.image.document, "mediaType": INDEX}), MANIFEST)


@on("manifests")
def manifest_that_is_both(asked):
    document = dict(asked.registry.image.document, manifests=[described(asked.registry.image.config, MANIFEST)])
    del document["mediaType"]
    return asked.manifest(encoded(document))


@on("manifests")
def manifest_of_schema_1(asked):
    body = encoded({"schemaVersion": 1, "name": "x", "tag": "1", "fsLayers": [], "history": [], "signatures": []})
    return asked.manifest(body, "application/vnd.docker.distribution.manifest.v1+prettyjws")


@on("manifests")
def manifest_compressed_on_the_way(asked):
    return asked.manifest(gzip.compress(asked.registry.image.manifest), Content_Encoding="gzip")


@on("manifests")
def manifest_with_layer_outside_of_the_store(asked):
    document = asked.registry.image.document
    layer = dict(document["layers"][0], digest="sha256:../../../../etc/passwd")
    return asked.manifest(encoded({**document, "layers": [layer]}))


@on("manifests")
def manifest_with_negative_size(asked):
    document = asked.registry.image.document
    return asked.manifest(encoded({**document, "layers": [dict(document["layers"][0], size=-1)]}))


@on("manifests")
def manifest_with_too_many_layers(asked):
    document = asked.registry.image.document
    return asked.manifest(encoded({**document, "layers": document["layers"][:1] * 5000}))


@on("manifests")
def artifact(asked):
    body = encoded({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.example.thing",
                    "config": described(b"{}", "application/vnd.oci.empty.v1+json"),
                    "layers": [described(b"x", "text/plain")]})
    return asked.manifest(body)


def index_of(*entries):
    return encoded({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)})


@on("manifests")
def index_that_is_deep(asked):
    body = asked.registry.image.manifest
    chain = {"sha256:": body}
    inner = described(body, MANIFEST, platform=PLATFORM)
    for _ in range(20):
        body = index_of(inner)
        chain[digest(body)] = body
        inner = described(body, INDEX, platform=PLATFORM)
    return asked.manifest(chain.get(asked.what, body), INDEX)


@on("manifests")
def index_that_is_its_own_child(asked):
    body = index_of({"mediaType": INDEX, "digest": ZEROS, "size": 100, "platform": PLATFORM})
    return asked.answer(200, body, Content_Type=INDEX)


@on("manifests")
def index_of_nothing_for_us(asked):
    entry = described(asked.registry.image.manifest, MANIFEST, platform={"os": "plan9", "architecture": "mips"})
    return asked.manifest(index_of(entry), INDEX)


@on("manifests")
def index_of_a_million(asked):
    return asked.manifest(index_of(*[{"mediaType": MANIFEST, "digest": ZEROS, "size": 1}] * 30_000), INDEX)


@on("manifests")
def tag_that_moves(asked):
    """Another image at each request by tag."""
    images = [asked.registry.image, asked.registry.other]
    for image in images:
        if asked.what == digest(image.manifest):
            return asked.manifest(image.manifest)
    return asked.manifest(images[asked.registry.count("moves") % 2].manifest)


# Configurations and layers.
@on("config")
def config_of_another_digest(asked):
    body = asked.registry.image.config
    return asked.answer(200, body.replace(b"linux", b"plan9"))


@on("manifests")
def config_of_a_terabyte(asked):
    document = asked.registry.image.document
    return asked.manifest(encoded({**document, "config": {**document["config"], "size": 1 << 40}}))


@on("config")
def config_missing(asked):
    return asked.answer(404, encoded({"errors": [{"code": "BLOB_UNKNOWN", "message": "blob \x1b[31munknown"}]}))


@on("layer")
def layer_of_another_digest(asked):
    size = len(asked.registry.image.blobs[asked.what])
    return asked.answer(200, bytes(size))


@on("noise")
def layer_with_one_byte_changed(asked):
    body = bytearray(asked.registry.image.layers[-1])
    body[len(body) // 2] ^= 1
    return asked.answer(200, bytes(body))


@on("noise")
def layer_short(asked):
    return asked.answer(200, asked.registry.image.layers[-1][:-1000])


@on("noise")
def layer_long(asked):
    return asked.answer(200, asked.registry.image.layers[-1] + b"more")


@on("noise")
def layer_without_end(asked):
    return asked.endless(b"\0" * 65536)


@on("noise")
def layer_compressed_on_the_way(asked):
    return asked.answer(200, gzip.compress(asked.registry.image.layers[-1]), Content_Encoding="gzip")


@on("noise")
def layer_missing(asked):
    return asked.answer(404)


@on("noise")
def layer_always_cut_at_the_same_byte(asked):
    blob = asked.registry.image.layers[-1]
    begin = asked.range_begin()
    if not begin:
        asked.start(200, len(blob))
        asked.write(blob[:100_000])
    else:
        asked.start(206, len(blob) - begin, Content_Range=f"bytes {begin}-{len(blob) - 1}/{len(blob)}")
    return asked.hang_up()


def cut_once(asked):
    blob = asked.registry.image.layers[-1]
    if not asked.first_time():
        return False
    asked.start(200, len(blob))
    asked.write(blob[:1_000_000])
    return asked.hang_up()


@on("noise")
def layer_cut_then_range_ignored(asked):
    return cut_once(asked) or asked.answer(200, asked.registry.image.layers[-1])


@on("noise")
def layer_cut_then_resumed(asked):
    return cut_once(asked) or good(asked)


@on("noise")
def layer_cut_then_another_range(asked):
    blob = asked.registry.image.layers[-1]
    return cut_once(asked) or asked.answer(206, blob[10:], Content_Range=f"bytes 10-{len(blob) - 1}/{len(blob)}")


@on("noise")
def layer_cut_then_no_range_said(asked):
    return cut_once(asked) or asked.answer(206, asked.registry.image.layers[-1][10:])


@on("noise")
def layer_cut_then_other_bytes(asked):
    blob, begin = asked.registry.image.layers[-1], asked.range_begin()
    return cut_once(asked) or asked.answer(206, bytes(len(blob) - begin),
                                           Content_Range=f"bytes {begin}-{len(blob) - 1}/{len(blob)}")


@on("noise")
def layer_cut_then_416(asked):
    return cut_once(asked) or asked.answer(416)


@on("noise")
def layer_unavailable(asked):
    return asked.answer(503)


@on("noise")
def layer_that_stalls(asked):
    blob = asked.registry.image.layers[-1]
    begin = asked.range_begin()
    asked.start(206 if begin else 200, len(blob) - begin,
                **({"Content_Range": f"bytes {begin}-{len(blob) - 1}/{len(blob)}"} if begin else {}))
    asked.write(blob[begin:begin + 10])
    return asked.drip(4, b"", 0.5)


def slowly_at_first(asked):
    """16 MB a second, so that several requests are worth it; later requests are answered as they come."""
    blob = asked.registry.image.layers[-1]
    if not asked.first_time():
        return good(asked)
    asked.start(200, len(blob))
    for at in range(0, len(blob), 1 << 20):
        asked.write(blob[at:at + (1 << 20)])
        time.sleep(0.06)
    return True


# Large layers, which come by several requests for a part each. Requests for the rest are answered well.
def ranges(function):
    def handle(asked):
        if not asked.is_noise:
            return good(asked)
        if not asked.range():
            return slowly_at_first(asked)
        return function(asked, asked.registry.image.layers[-1], *asked.range())
    BEHAVIOURS[function.__name__.replace("_", "-")] = handle
    return handle


@ranges
def ranges_good(asked, blob, begin, end):
    return asked.part(blob, begin, end)


@ranges
def ranges_elsewhere(asked, blob, begin, end):
    if "authorization" not in asked.headers:
        return asked.answer(401, WWW_Authenticate='Basic realm="x"')
    return redirect_elsewhere(asked)


@ranges
def ranges_ignored(asked, blob, begin, end):
    return asked.answer(200, blob)


@ranges
def ranges_of_another_place(asked, blob, begin, end):
    return asked.part(blob, begin + 1, end + 1)


@ranges
def ranges_of_another_size(asked, blob, begin, end):
    return asked.answer(206, blob[begin:end], Content_Range=f"bytes {begin}-{end - 1}/{len(blob) + 1}")


@ranges
def ranges_without_a_place(asked, blob, begin, end):
    return asked.answer(206, blob[begin:end])


@ranges
def ranges_not_satisfied(asked, blob, begin, end):
    return asked.answer(416)


@ranges
def ranges_ignored_later(asked, blob, begin, end):
    return asked.answer(200, blob) if begin > 20 << 20 else asked.part(blob, begin, end)


@ranges
def ranges_without_end(asked, blob, begin, end):
    if begin < 20 << 20:
        return asked.part(blob, begin, end)
    return asked.endless(bytes(65536), Content_Range=f"bytes {begin}-{end - 1}/{len(blob)}")


@ranges
def ranges_cut(asked, blob, begin, end):
    if end - begin < 4 << 20 or asked.registry.count("chunks") % 2:  # Every second chunk, once.
        return asked.part(blob, begin, end)
    asked.start(206, end - begin, Content_Range=f"bytes {begin}-{end - 1}/{len(blob)}")
    asked.write(blob[begin:begin + 1_000_000])
    return asked.hang_up()


@ranges
def ranges_of_other_bytes(asked, blob, begin, end):
    data = blob[begin:end] if begin < 20 << 20 else bytes(end - begin)
    return asked.answer(206, data, Content_Range=f"bytes {begin}-{end - 1}/{len(blob)}")


@ranges
def ranges_too_many(asked, blob, begin, end):
    """One at a time, else 429."""
    with asked.registry.lock:
        asked.registry.counts["now"] = asked.registry.counts.get("now", 0) + 1
        is_alone = asked.registry.counts["now"] == 1
    try:
        time.sleep(0.05)
        return asked.part(blob, begin, end) if is_alone else asked.answer(429, Retry_After="1")
    finally:
        with asked.registry.lock:
            asked.registry.counts["now"] -= 1


def with_layer_sizes(asked, change):
    document = asked.registry.image.document
    layers = [dict(layer, size=change(layer["size"])) for layer in document["layers"]]
    return asked.manifest(encoded({**document, "layers": layers}))


@on("manifests")
def layers_said_to_be_larger(asked):
    return with_layer_sizes(asked, lambda size: size + 1000)


@on("manifests")
def layers_said_to_be_smaller(asked):
    return with_layer_sizes(asked, lambda size: size - 10)


@on("manifests")
def layers_said_to_be_of_an_exabyte(asked):
    return with_layer_sizes(asked, lambda size: 1 << 60)


# Redirects.
@on("blobs")
def redirect_in_a_circle(asked):
    return asked.answer(307, Location=asked.path)


@on("blobs")
def redirect_to_a_file(asked):
    return asked.answer(307, Location="file:///etc/passwd")


@on("blobs")
def redirect_to_ftp(asked):
    return asked.answer(307, Location="ftp://127.0.0.1/x")


@on("blobs")
def redirect_elsewhere(asked):
    """To where the blob is, as storage services do."""
    return asked.answer(307, Location=f"http://localhost:{asked.registry.elsewhere_port}/blob/{asked.what}")


@on("blobs")
def redirect_to_who_wants_a_password(asked):
    return asked.answer(307, Location=f"http://localhost:{asked.registry.elsewhere_port}/password")


# Credentials.
def wants(challenge):
    def handle(asked):
        if "authorization" in asked.headers and asked.headers["authorization"] == "Bearer good":
            return good(asked)
        return asked.answer(401, WWW_Authenticate=challenge(asked.registry))
    return handle


BEHAVIOURS |= {
    "realm-elsewhere": wants(lambda r: f'Bearer realm="http://localhost:{r.elsewhere_port}/token",service="x"'),
    "realm-of-a-file": wants(lambda r: 'Bearer realm="file:///etc/passwd",service="x"'),
    "realm-missing": wants(lambda r: 'Bearer service="x"'),
    "realm-cut-off": wants(lambda r: 'Bearer realm="'),
    "scheme-unknown": wants(lambda r: "Negotiate"),
    "token": wants(lambda r: f'Bearer realm="http://{r.host}/token/good",service="x"'),
    "token-garbage": wants(lambda r: f'Bearer realm="http://{r.host}/token/garbage",service="x"'),
    "token-huge": wants(lambda r: f'Bearer realm="http://{r.host}/token/huge",service="x"'),
    "token-with-a-line-break": wants(lambda r: f'Bearer realm="http://{r.host}/token/break",service="x"'),
    "token-refused": wants(lambda r: f'Bearer realm="http://{r.host}/token/refused",service="x"'),
    "token-never-good-enough": wants(lambda r: f'Bearer realm="http://{r.host}/token/other",service="x"'),
    "token-server-down": wants(lambda r: 'Bearer realm="http://127.0.0.1:1/token",service="x"'),
}


def token(asked):
    kind = asked.path.rsplit("/", 1)[1]
    if kind == "refused":
        return asked.answer(401)
    if kind == "huge":
        return asked.endless(b'{"token":"' + b"x" * 65536)
    return asked.answer(200, {"good": b'{"token":"good"}', "other": b'{"token":"other"}', "garbage": b"\xff\xfe{token}",
                              "break": b'{"token":"a\\r\\nX-Injected: yes"}'}[kind])


@behaviour
def basic_password(asked):
    if "authorization" in asked.headers:
        return redirect_elsewhere(asked) if asked.kind == "blobs" else good(asked)
    return asked.answer(401, WWW_Authenticate='Basic realm="x"')


# The server as a whole.
@behaviour
def too_many_requests_once(asked):
    return asked.answer(429, Retry_After="1") if asked.first_time() else good(asked)


@behaviour
def too_many_requests_for_a_day(asked):
    return asked.answer(429, encoded({"errors": [{"code": "TOOMANYREQUESTS", "message": "quota"}]}), Retry_After="86400")


@behaviour
def unavailable_for_ever(asked):
    return asked.answer(503, b"<html>" + b"x" * 300_000)


@behaviour
def error_with_control_characters(asked):
    return asked.answer(400, encoded({"errors": [{"code": "X", "message": "\x1b[2J\r\nerror: you are root now"}]}))


@behaviour
def error_without_end(asked):
    asked.start(400, None, Transfer_Encoding="chunked")
    for _ in range(100_000):
        asked.handler.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    return asked.hang_up()


@behaviour
def closes_at_once(asked):
    return asked.hang_up()


@behaviour
def closes_in_the_head(asked):
    asked.handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    return asked.hang_up()


@behaviour
def speaks_another_language(asked):
    asked.handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    return asked.hang_up()


@behaviour
def head_without_end(asked):
    asked.handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for i in range(100_000):
        asked.handler.wfile.write(b"X-%d: %s\r\n" % (i, b"y" * 100))
    return asked.hang_up()


@behaviour
def head_that_drips(asked):
    asked.handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    return asked.drip(4, b"X", 0.5)


@on("manifests")
def manifest_that_drips(asked):
    asked.start(200, 1 << 20, Content_Type=MANIFEST)
    return asked.drip(30, b" " * 10)


@behaviour
def two_lengths(asked):
    body = asked.registry.image.manifest
    asked.start(200, len(body), content_length="3")
    asked.write(body)
    return asked.hang_up()


@behaviour
def layout(asked):
    """What lies in a folder of OCI's layout."""
    folder = asked.registry.layout
    if asked.kind == "manifests":
        wanted = json.loads((folder / "index.json").read_text())["manifests"][0]["digest"]
        return asked.manifest((folder / "blobs/sha256" / wanted[7:]).read_bytes())
    blob = folder / "blobs/sha256" / asked.what.removeprefix("sha256:")
    return asked.answer(200, blob.read_bytes()) if blob.is_file() else asked.answer(404)


# Tags.
@on("tags")
def tags_in_pages(asked):
    number = int(re.search(r"last=(\d+)", asked.query)[1]) if asked.query else 0
    page = encoded({"tags": [f"t{number + i}" for i in range(10)]})
    more = {"Link": f'</v2/{asked.repository}/tags/list?n=10&last={number + 10}>; rel="next"'} if number < 30 else {}
    return asked.answer(200, page, **more)


@on("tags")
def tags_in_a_circle(asked):
    return asked.answer(200, encoded({"tags": ["a"]}), Link=f'<{asked.path}?last=a>; rel="next"')


@on("tags")
def tags_without_end(asked):
    tags = [f"t{asked.registry.count('pages')}-{i}" for i in range(20_000)]
    return asked.answer(200, encoded({"tags": tags}), Link=f'<{asked.path}?last={tags[-1]}>; rel="next"')


@on("tags")
def tags_a_million(asked):
    return asked.answer(200, encoded({"tags": [f"tag-number-{i}" for i in range(1_000_000)]}))


@on("tags")
def tags_of_other_kinds(asked):
    return asked.answer(200, encoded({"tags": ["good", "\x1b[2J" + "x" * 5000]}))


@on("tags")
def tags_null(asked):
    return asked.answer(200, b'{"name":"x","tags":null}')


@on("tags")
def tags_elsewhere(asked):
    return asked.answer(200, encoded({"tags": ["a"]}), Link='<ftp://127.0.0.1/>; rel="next"')


def referrer(number, **more):
    return {"mediaType": MANIFEST, "digest": digest(str(number).encode()), "size": 7, "artifactType": f"application/x.{number % 2}", **more}


def referrers(entries):
    return encoded({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})


@on("referrers")
def referrers_in_pages(asked):
    """Which does not filter, as the specification allows."""
    number = int(re.search(r"last=(\d+)", asked.query)[1]) if "last=" in asked.query else 0
    more = {"Link": f'<{asked.path}?last={number + 10}>; rel="next"'} if number < 30 else {}
    return asked.answer(200, referrers([referrer(number + i) for i in range(10)]), Content_Type=INDEX, **more)


@on("referrers")
def referrers_in_a_circle(asked):
    return asked.answer(200, referrers([referrer(1)]), Link=f'<{asked.path}?last=a>; rel="next"')


@on("referrers")
def referrers_without_end(asked):
    page = asked.registry.count("pages")
    return asked.answer(200, referrers([referrer(page * 9_000 + i) for i in range(9_000)]), Link=f'<{asked.path}?last={page}>; rel="next"')


@on("referrers")
def referrers_that_are_no_list(asked):
    return asked.answer(200, referrers([{"mediaType": MANIFEST, "digest": "sha256:../\x1b[2J", "size": 1}]))


@on("referrers")
def referrers_elsewhere(asked):
    return asked.answer(200, referrers([referrer(1)]), Link='<ftp://127.0.0.1/>; rel="next"')


# Pushes. Names begin with "push-": nothing is there.
def pushes(method):
    def make(function):
        def handle(asked):
            return function(asked) if asked.method == method and asked.is_upload else good(asked)
        BEHAVIOURS[function.__name__.replace("_", "-")] = handle
        return handle
    return make


@pushes("POST")
def push_to_another_scheme(asked):
    return asked.answer(202, Location="file:///tmp/x")


@pushes("POST")
def push_elsewhere(asked):
    return asked.answer(202, Location=f"http://localhost:{asked.registry.elsewhere_port}/upload")


@pushes("POST")
def push_nowhere(asked):
    return asked.answer(202)


@pushes("POST")
def push_refused(asked):
    return asked.answer(403, encoded({"errors": [{"code": "DENIED", "message": "not yours"}]}))


@pushes("POST")
def push_without_space(asked):
    return asked.answer(507)


@pushes("PATCH")
def push_always_cut(asked):
    asked.handler.rfile.read(100_000)
    return asked.hang_up()


@behaviour
def push_with_lies_about_ranges(asked):
    if asked.method == "PATCH":
        asked.handler.rfile.read(100_000)
        return asked.hang_up()
    if asked.method == "GET" and asked.is_upload:
        return asked.answer(204, Location=asked.path, Range="0-999999999999")
    return good(asked)


@behaviour
def push_forgotten(asked):
    if asked.method == "PATCH" and asked.registry.count("forgotten") == 1:
        asked.handler.rfile.read(100_000)
        return asked.hang_up()
    if asked.method == "GET" and asked.is_upload:
        return asked.answer(404, encoded({"errors": [{"code": "BLOB_UPLOAD_UNKNOWN"}]}))
    return good(asked)


@behaviour
def push_cut_twice(asked):
    """Keeps what came before the cut, as the specification wishes."""
    if asked.method == "PATCH" and asked.registry.count("cuts") <= 2:
        got = asked.handler.rfile.read(2 << 20)
        asked.registry.uploads[asked.path] = asked.registry.uploads.get(asked.path, b"") + got
        return asked.hang_up()
    return good(asked)


@pushes("PATCH")
def push_answered_in_the_middle(asked):
    asked.handler.rfile.read(100_000)
    asked.answer(413, encoded({"errors": [{"code": "SIZE_INVALID", "message": "too large"}]}))
    return asked.hang_up()


@pushes("PUT")
def push_with_another_digest(asked):
    asked.body()
    return asked.answer(400, encoded({"errors": [{"code": "DIGEST_INVALID", "message": "digest did not match"}]}))


@behaviour
def push_of_a_manifest_refused(asked):
    if asked.method == "PUT" and asked.kind == "manifests":
        asked.body()
        return asked.answer(400, encoded({"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown"}]}))
    return good(asked)


@behaviour
def push_mounted_by_a_lie(asked):
    """Says that it has everything, and that it is something else."""
    if asked.method == "HEAD" and asked.kind == "manifests":
        return asked.answer(200, Docker_Content_Digest="sha256:nonsense")
    if asked.method == "POST":
        return asked.answer(201, Location="/v2/x")
    return good(asked)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *_):
        pass

    def serve(self):
        registry = self.server.registry
        asked = Asked(self, registry)
        with registry.lock:
            registry.seen.append((self.command, self.path, asked.headers))
        try:
            if asked.path.startswith("/token/"):
                token(asked)
            else:
                BEHAVIOURS.get(asked.repository, good)(asked)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve


class Elsewhere(Handler):
    """Somebody else, who would like to know a password."""

    def serve(self):
        registry = self.server.registry
        headers = {name.lower(): value for name, value in self.headers.items()}
        with registry.lock:
            registry.elsewhere.append((self.command, self.path, headers))
        asked = Asked(self, registry)
        blob = registry.image.blobs.get(self.path.removeprefix("/blob/"))
        if asked.path == "/token":
            asked.answer(200, b'{"token":"good"}')
        elif blob:
            asked.part(blob, *asked.range()) if asked.range() else asked.answer(200, blob)
        elif self.path.startswith("/upload"):
            asked.body()
            asked.answer(201, Location="/upload")
        else:
            asked.answer(401, WWW_Authenticate='Basic realm="give it to me"')

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, registry, handler):
        self.registry = registry
        super().__init__(("127.0.0.1", 0), handler)

    def handle_error(self, *_):
        pass


class HostileRegistry:
    def __init__(self):
        self.lock = threading.Lock()
        self.seen, self.elsewhere, self.counts, self.uploads = [], [], {}, {}
        self.image, self.other = Image(1), Image(2)

    def count(self, key):
        with self.lock:
            self.counts[key] = self.counts.get(key, 0) + 1
            return self.counts[key]

    def __enter__(self):
        self.servers = [Server(self, Handler), Server(self, Elsewhere)]
        for server in self.servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        self.host = f"127.0.0.1:{self.servers[0].server_address[1]}"
        self.elsewhere_port = self.servers[1].server_address[1]
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.shutdown()
            server.server_close()


if __name__ == "__main__":
    with HostileRegistry() as running:
        print(running.host, *sorted(BEHAVIOURS), sep="\n", flush=True)
        sys.stdin.read()
