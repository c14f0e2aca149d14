"""What `kist registry serve` serves from elsewhere: another registry, this machine's store, a bucket."""
import gzip
import hashlib
import http.client
import http.server
import io
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tarfile
import threading
import time
import unittest

import lib  # noqa: F401: where versitygw may be.
import registries
from registries import free_port
from test_registry_rules import eventually
from test_registry_server import KIST, MANIFEST, RegistryTest, Server, digest_of


class Cache(RegistryTest):
    def setUp(self):
        super().setUp()
        for name in ("far", "near"):
            os.mkdir(f"{self.folder}/{name}")

    def test_fetched_once_checked_and_kept(self):
        layers = [b"config", os.urandom(3_000_000)]
        with Server(f"{self.folder}/far") as far:
            far.push_image("team/tool", "v", layers)
            with Server(f"{self.folder}/near", "--cache-of", f"http://127.0.0.1:{far.port}/",
                        config="[upstream]\nrefresh = '0s'\n") as near:
                for _ in range(2):
                    status, headers, document = near.ask("GET", "/v2/team/tool/manifests/v")
                    self.assertEqual((status, headers["docker-content-digest"]), (200, digest_of(document)))
                    for data in layers:
                        self.assertEqual(near.ask("GET", f"/v2/team/tool/blobs/{digest_of(data)}")[2], data)
                self.assertEqual(near.ask("GET", "/v2/team/tool/manifests/none")[0], 404)
                self.assertEqual(near.ask("GET", f"/v2/team/tool/blobs/{digest_of(b'none')}")[0], 404)
                # A tag that has moved there moves here.
                far.push_image("team/tool", "v", [b"config", b"new"])
                moved = near.ask("GET", "/v2/team/tool/manifests/v")[2]
                self.assertIn(digest_of(b"new").encode(), moved)
                # One that nobody can ask about any more is served as it was.
                far.kill(signal.SIGKILL)
                self.assertEqual(near.ask("GET", "/v2/team/tool/manifests/v")[2], moved)
                self.assertEqual(near.ask("GET", "/v2/team/tool/manifests/other")[0], 503)
                self.assertEqual(near.ask("GET", f"/v2/team/tool/blobs/{digest_of(layers[1])}")[2], layers[1])

    def test_a_lie_is_not_passed_on(self):
        with Server(f"{self.folder}/far") as far:
            far.push_image("a", "v", [b"config", b"x" * 1000])
            for path in pathlib.Path(self.folder, "far").glob("registry/blobs/sha256/*/" + digest_of(b"x" * 1000)[7:]):
                path.write_bytes(b"y" * 1000)
            with Server(f"{self.folder}/near", "--cache-of", f"http://127.0.0.1:{far.port}") as near:
                self.assertEqual(near.ask("GET", "/v2/a/manifests/v")[0], 200)
                status, _, said = near.ask("GET", f"/v2/a/blobs/{digest_of(b'x' * 1000)}")
                self.assertEqual(status, 502, said)
                self.assertIn(b"the upstream registry: the 1000 bytes have the digest", said)
                self.assertFalse(list(pathlib.Path(self.folder, "near").glob("registry/uploads/*")))


class Upstream:
    """A registry with one repository of blobs, which sends as it is told to.

    `feed`: the bytes that a GET gets, one piece after the other; it waits for the next. None cuts it."""

    def __init__(self, says_size=True):
        self.feed, self.requests, self.says_size, self.size, self.knows_ranges = queue.Queue(), [], says_size, 0, True
        self.is_gone = False
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self):
                upstream.requests.append(("HEAD", None))
                self.send_response(200)
                self.send_header("Content-Length", str(upstream.size))
                self.end_headers()

            def do_GET(self):
                wanted = self.headers.get("Range")
                upstream.requests.append(("GET", wanted))
                if upstream.is_gone:
                    self.send_error(404)
                    return
                begin = int(wanted.split("=")[1].split("-")[0]) if wanted and upstream.knows_ranges else 0
                self.send_response(206 if begin else 200)
                if begin:
                    self.send_header("Content-Range", f"bytes {begin}-{upstream.size - 1}/{upstream.size}")
                if upstream.says_size:
                    self.send_header("Content-Length", str(upstream.size - begin))
                self.end_headers()
                sent = begin
                while sent < upstream.size and (piece := upstream.feed.get()) is not None:
                    self.wfile.write(piece)
                    self.wfile.flush()
                    sent += len(piece)
                self.close_connection = True

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        for _ in range(100):
            self.feed.put(None)
        self.server.shutdown()
        self.server.server_close()

    def serve(self, data, *pieces):
        self.size = len(data)
        for piece in pieces:
            self.feed.put(piece)


class Streams(RegistryTest):
    """A blob that the cache does not have, while it comes."""

    def setUp(self):
        super().setUp()
        self.data = os.urandom(3_000_000)
        self.path = f"/v2/a/blobs/{digest_of(self.data)}"
        self.third = len(self.data) // 3

    def piece(self, number):
        return self.data[number * self.third:(number + 1) * self.third]

    def begin(self, near, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", near.port, timeout=30)
        connection.request("GET", self.path, headers=headers)
        answer = connection.getresponse()
        answer.connection = connection
        self.addCleanup(connection.close)
        return answer

    def cache(self, far, *args):
        return Server(self.folder, "--cache-of", f"http://127.0.0.1:{far.port}", *args)

    def check_nothing_is_kept(self):
        self.assertEqual(self.blobs() + self.uploads(), [])
        self.assertFalse(list(pathlib.Path(self.folder).glob("registry/repositories/*")))

    def test_the_first_bytes_come_early_and_others_follow(self):
        with Upstream() as far, self.cache(far) as near:
            far.serve(self.data, self.piece(0))
            first = self.begin(near)
            self.assertEqual((first.status, first.getheader("Content-Length")), (200, str(len(self.data))))
            self.assertEqual(first.read(self.third), self.piece(0))
            # Who comes later gets what is here at once, and then follows. None of them asks there again.
            others = [self.begin(near) for _ in range(40)]
            for other in others:
                self.assertEqual(other.read(self.third), self.piece(0))
            status, headers, _ = near.ask("HEAD", self.path)
            self.assertEqual((status, headers["content-length"]), (200, str(len(self.data))))
            part = self.begin(near, Range=f"bytes={self.third - 5}-{self.third + 4}")
            self.assertEqual((part.status, part.getheader("Content-Range")), (206, f"bytes {self.third - 5}-{self.third + 4}/{len(self.data)}"))
            self.assertEqual(part.read(5), self.data[self.third - 5:self.third])
            tail = self.begin(near, Range="bytes=-100")
            self.assertEqual(tail.status, 206)
            self.assertEqual(near.ask("GET", self.path, headers={"Range": f"bytes={len(self.data)}-"})[0], 416)
            self.assertEqual(self.blobs(), [])
            # A client that leaves, and a registry with other things to do: nobody waits for anybody.
            others.pop().connection.close()
            self.assertEqual(near.ask("GET", "/healthz")[0], 200)
            far.serve(self.data, self.piece(1))
            self.assertEqual(first.read(self.third), self.piece(1))
            far.serve(self.data, self.piece(2))
            self.assertEqual(first.read(), self.piece(2))
            for other in others:
                self.assertEqual(other.read(), self.piece(1) + self.piece(2))
            self.assertEqual(part.read(), self.data[self.third:self.third + 5])
            self.assertEqual(tail.read(), self.data[-100:])
            self.assertEqual(near.ask("GET", self.path)[2], self.data)
            self.assertEqual(far.requests, [("GET", None)])
            self.assertLess(near.memory_kb(), 50_000)
        self.check_all_whole()
        self.assertEqual((len(self.blobs()), self.uploads()), (1, []))

    def test_by_tls_too(self):
        key, certificate = f"{self.folder}/key.pem", f"{self.folder}/cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=x",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], check=True, capture_output=True)
        context = ssl.create_default_context(cafile=certificate)

        def begin(near):
            connection = http.client.HTTPSConnection("127.0.0.1", near.port, timeout=30, context=context)
            self.addCleanup(connection.close)
            connection.request("GET", self.path)
            return connection, connection.getresponse()

        with Upstream() as far, self.cache(far, "--tls-cert", certificate, "--tls-key", key) as near:
            far.serve(self.data, self.piece(0))
            both = [begin(near) for _ in range(5)]
            for number in range(2):
                for _, answer in both:
                    self.assertEqual(answer.read(self.third), self.piece(number))
                far.serve(self.data, self.piece(number + 1))
            for _, answer in both:
                self.assertEqual(answer.read(), self.piece(2))
            # The connections are as good as before.
            for connection, _ in both:
                connection.request("GET", self.path)
                self.assertEqual(connection.getresponse().read(), self.data)
            self.assertEqual(far.requests, [("GET", None)])

    def test_a_wrong_blob_never_looks_whole(self):
        wrong = self.piece(2)[:-1] + bytes([self.piece(2)[-1] ^ 1])
        with Upstream() as far, self.cache(far) as near:
            far.serve(self.data, self.piece(0), self.piece(1))
            answers = [self.begin(near), self.begin(near, Range="bytes=0-9")]
            self.assertEqual(answers[0].read(2 * self.third), self.piece(0) + self.piece(1))
            far.serve(self.data, wrong)
            for answer in answers:
                with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
                    answer.read()
            self.check_nothing_is_kept()
            # The next who asks gets the right one.
            far.serve(self.data, self.data)
            self.assertEqual(near.ask("GET", self.path)[2], self.data)
            self.assertEqual(far.requests, [("GET", None)] * 2)

    def test_more_or_less_than_was_announced(self):
        with Upstream() as far, self.cache(far) as near:
            far.serve(self.data, self.data + b"more")
            far.size = len(self.data) - 10
            answer = self.begin(near)
            with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
                answer.read()
            self.check_nothing_is_kept()

    def test_what_breaks_off_is_gone_on_with(self):
        for far_knows_ranges in (True, False):
            shutil.rmtree(f"{self.folder}/registry", ignore_errors=True)
            with Upstream() as far, self.cache(far) as near:
                far.knows_ranges = far_knows_ranges
                far.serve(self.data, self.piece(0), None)
                # The client sees nothing of it.
                answer = self.begin(near)
                self.assertEqual(answer.read(self.third), self.piece(0))
                far.serve(self.data, *([] if far_knows_ranges else [self.piece(0)]), self.piece(1), self.piece(2))
                self.assertEqual(answer.read(), self.piece(1) + self.piece(2))
                self.assertEqual(far.requests, [("GET", None), ("GET", f"bytes={self.third}-")])
            self.check_all_whole()
            self.assertEqual((len(self.blobs()), self.uploads()), (1, []))

    def test_who_is_cut_asks_again_and_only_the_rest_is_fetched(self):
        with Upstream() as far, self.cache(far) as near:
            far.serve(self.data, self.piece(0), None)
            answer = self.begin(near)
            self.assertEqual(answer.read(self.third), self.piece(0))
            far.serve(self.data, None, None, None)
            with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
                answer.read()
            self.assertEqual(self.blobs(), [])
            before = len(far.requests)
            far.serve(self.data, self.piece(1), self.piece(2))
            self.assertEqual(near.ask("GET", self.path)[2], self.data)
            self.assertEqual(far.requests[before:], [("GET", f"bytes={self.third}-")])
        self.check_all_whole()
        self.assertEqual((len(self.blobs()), self.uploads()), (1, []))

    def test_a_small_one_that_is_gone_before_it_has_come(self):
        self.data = self.data[:1000]
        self.path = f"/v2/a/blobs/{digest_of(self.data)}"
        with Upstream() as far, self.cache(far) as near:
            far.serve(self.data, self.data[:500])
            said = []
            asking = threading.Thread(target=lambda: said.append(near.ask("GET", self.path)))
            asking.start()
            eventually(lambda: far.requests)
            far.is_gone = True
            far.feed.put(None)
            asking.join()
            # Not the head of an answer whose rest does not come.
            self.assertEqual((said[0][0], json.loads(said[0][2])["errors"][0]["code"]), (404, "BLOB_UNKNOWN"))
        self.check_nothing_is_kept()

    def test_a_size_that_is_not_announced(self):
        with Upstream(says_size=False) as far, self.cache(far) as near:
            far.serve(self.data, self.piece(0), self.piece(1), self.piece(2))
            self.assertEqual(near.ask("GET", self.path)[2], self.data)

    def test_who_looks_fetches_nothing(self):
        with Upstream() as far, self.cache(far) as near:
            far.serve(self.data)
            status, headers, _ = near.ask("HEAD", self.path)
            self.assertEqual((status, headers["content-length"], headers["docker-content-digest"]), (200, str(len(self.data)), digest_of(self.data)))
            self.assertEqual(far.requests, [("HEAD", None)])

    def test_the_registry_stops_and_dies_in_the_middle(self):
        config = "[server]\nshutdown = '1s'\n"
        with Upstream() as far, self.cache(far) as near:
            near.config = config
            for number in (signal.SIGTERM, signal.SIGKILL):
                near.kill(signal.SIGKILL)
                near.start()
                far.serve(self.data, self.piece(0))
                answer = self.begin(near)
                self.assertEqual(answer.read(self.third), self.piece(0))
                began = time.monotonic()
                near.process.send_signal(number)
                near.process.wait(20)
                self.assertLess(time.monotonic() - began, 8)
                with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
                    answer.read()
                far.feed.put(None)
                self.assertEqual(self.blobs(), [])
            near.config += "upload_expiry = '0s'\n"
            near.start()
            self.check_nothing_is_kept()

    def test_who_waits_for_what_does_not_come_does_not_hold_a_registry_that_stops(self):
        # Nobody knows how large it is, so that all of it is waited for.
        with Upstream(says_size=False) as far, self.cache(far) as near:
            near.config = "[server]\nshutdown = '1s'\n"
            near.kill(signal.SIGKILL)
            near.start()
            far.serve(self.data, self.piece(0))
            asking = threading.Thread(target=lambda: quietly(lambda: near.ask("GET", self.path)))
            asking.start()
            eventually(self.uploads)
            near.process.send_signal(signal.SIGTERM)
            self.assertEqual(near.process.wait(8), 0)
            asking.join()
            self.check_nothing_is_kept()

    def test_what_is_here_waits_for_nobody(self):
        with Upstream(says_size=False) as far, self.cache(far) as near:
            far.serve(self.data, self.data)
            self.assertEqual(near.ask("GET", self.path)[2], self.data)
            # More than there are threads wait for what does not come.
            waiting = [threading.Thread(target=lambda number=i: quietly(lambda: near.ask("GET", f"/v2/a/blobs/{digest_of(bytes([number]))}")))
                       for i in range(20)]
            for thread in waiting:
                thread.start()
            eventually(lambda: len(far.requests) >= 16)
            time.sleep(0.2)
            began = time.monotonic()
            self.assertEqual(near.ask("GET", self.path)[2], self.data)
            self.assertEqual(near.ask("HEAD", self.path)[0], 200)
            self.assertLess(time.monotonic() - began, 3)
            near.kill(signal.SIGKILL)
            for thread in waiting:
                thread.join()

    def test_a_full_disk(self):
        mount = pathlib.Path(self.folder, "small")
        mount.mkdir()
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(mount)], capture_output=True).returncode:
            self.skipTest("needs root, to mount a small disk")
        self.addCleanup(subprocess.run, ["umount", "-l", str(mount)])
        with Upstream() as far, Server(mount, "--cache-of", f"http://127.0.0.1:{far.port}") as near:
            far.serve(self.data, self.data)
            answer = self.begin(near)
            with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
                answer.read()
            self.assertFalse(list(mount.glob("registry/uploads/*")))
            self.assertEqual(near.ask("GET", "/healthz")[0], 200)


class LocalImages(RegistryTest):
    def layout(self):
        """An image with a compressed layer and a plain one."""
        root = pathlib.Path(self.folder, "layout")
        (root / "blobs/sha256").mkdir(parents=True)

        def blob(data, kind):
            name = hashlib.sha256(data).hexdigest()
            (root / "blobs/sha256" / name).write_bytes(data)
            return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{name}", "size": len(data)}

        def tar(name, data):
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w") as archive:
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
            return out.getvalue()

        self.layers = [gzip.compress(tar("one", os.urandom(500_000)), 1, mtime=0), tar("two", os.urandom(300_000))]
        plain = [gzip.decompress(self.layers[0]), self.layers[1]]
        self.config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                                  "rootfs": {"type": "layers", "diff_ids": [digest_of(data) for data in plain]}}).encode()
        self.manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": blob(self.config, "config.v1+json"),
                                    "layers": [blob(self.layers[0], "layer.v1.tar+gzip"), blob(self.layers[1], "layer.v1.tar")]}).encode()
        described = blob(self.manifest, "manifest.v1+json")
        described["annotations"] = {"org.opencontainers.image.ref.name": "team/tool:v"}
        (root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [described]}))
        (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return root

    def test_served_from_the_store_without_a_copy(self):
        os.environ["KIST_HOME"] = f"{self.folder}/home"
        self.addCleanup(os.environ.pop, "KIST_HOME")
        subprocess.run([KIST, "load", "-q", "-i", str(self.layout())], check=True, capture_output=True)
        with Server(self.folder, "--with-images") as server:
            status, headers, got = server.ask("GET", "/v2/team/tool/manifests/v")
            self.assertEqual((status, got), (200, self.manifest))
            self.assertEqual(headers["docker-content-digest"], digest_of(self.manifest))
            self.assertEqual(server.ask("GET", f"/v2/team/tool/manifests/{digest_of(self.manifest)}")[2], self.manifest)
            for data in [self.config, *self.layers]:
                path = f"/v2/team/tool/blobs/{digest_of(data)}"
                self.assertEqual(server.ask("GET", path)[2], data)
                self.assertEqual(server.ask("HEAD", path)[1]["content-length"], str(len(data)))
                status, headers, part = server.ask("GET", path, headers={"Range": "bytes=100-149"})
                self.assertEqual((status, part), (206, data[100:150]))
            self.assertEqual(json.loads(server.ask("GET", "/v2/team/tool/tags/list")[2])["tags"], ["v"])
            self.assertEqual(json.loads(server.ask("GET", "/v2/_catalog")[2])["repositories"], ["team/tool"])
            self.assertEqual(server.ask("GET", "/v2/other/manifests/v")[0], 404)
            self.assertEqual(self.blobs(), [], "a copy was made")
            # What was pushed wins; a name that is given later is seen at once.
            server.push_image("team/tool", "w", [b"config"])
            subprocess.run([KIST, "tag", "team/tool:v", "team/new:1"], check=True)
            self.assertEqual(server.ask("GET", "/v2/team/new/manifests/1")[2], self.manifest)
            self.assertEqual(json.loads(server.ask("GET", "/v2/team/tool/tags/list")[2])["tags"], ["v", "w"])


class OddBucket(RegistryTest):
    def test_a_storage_that_does_not_know_ranges(self):
        data = os.urandom(300_000)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = data if "/blobs/" in self.path else b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        bucket = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.addCleanup(bucket.server_close)
        self.addCleanup(bucket.shutdown)
        threading.Thread(target=bucket.serve_forever, daemon=True).start()
        config = (f"[s3]\nendpoint = 'http://127.0.0.1:{bucket.server_address[1]}'\nbucket = 'images'\naccess_key = 'k'\nsecret_key = 's'\n")
        with Server(self.folder, config=config) as server:
            path = f"/v2/a/blobs/{digest_of(data)}"
            self.assertEqual(server.ask("GET", path)[2], data)
            status, headers, part = server.ask("GET", path, headers={"Range": "bytes=200000-200099"})
            self.assertEqual((status, part), (206, data[200_000:200_100]))


def quietly(work):
    try:
        work()
    except (OSError, http.client.HTTPException):
        pass


@unittest.skipUnless(shutil.which("versitygw"), "needs versitygw, a server of S3: scripts/setup --clients")
class Buckets(RegistryTest):
    def setUp(self):
        super().setUp()
        os.makedirs(f"{self.folder}/s3/images")
        self.port = free_port()
        self.storage = subprocess.Popen(["versitygw", "--access", "key", "--secret", "secretsecret", "--port", f"127.0.0.1:{self.port}", "posix",
                                         f"{self.folder}/s3"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.storage.wait)
        self.addCleanup(self.storage.kill)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                time.sleep(0.1)

    def config(self, secret="secretsecret", port=None):
        return (f"[s3]\nendpoint = 'http://127.0.0.1:{port or self.port}'\npart = '5 MiB'\nbucket = 'images'\nprefix = 'reg'\naccess_key = 'key'\n"
                f"secret_key = '{secret}'\n")

    def test_push_pull_delete_collect(self):
        layers = [b"config", os.urandom(3_000_000), b""]
        with Server(self.folder, config=self.config()) as server:
            self.assertEqual(server.push_image("team/tool", "v", layers)[0], 201)
            self.assertEqual(server.push_image("team/tool", "w", layers)[0], 201)
            for data in layers:
                self.assertEqual(server.ask("GET", f"/v2/team/tool/blobs/{digest_of(data)}")[2], data)
            part = server.ask("GET", f"/v2/team/tool/blobs/{digest_of(layers[1])}", headers={"Range": "bytes=10-19"})
            self.assertEqual((part[0], part[2]), (206, layers[1][10:20]))
            self.assertEqual(json.loads(server.ask("GET", "/v2/team/tool/tags/list?n=1")[2])["tags"], ["v"])
            self.assertEqual(server.push_blob("other", b"loose")[0], 201)
            self.assertFalse(list(pathlib.Path(self.folder, "registry/uploads").iterdir()), "what is in the bucket is still here")
            time.sleep(1.1)  # Times in a bucket are whole seconds.
            said = subprocess.run([KIST, "registry", "gc", "--root", f"{self.folder}/registry", "--config", f"{self.folder}/config.toml",
                                   "--grace", "0s", "--json"], capture_output=True, text=True, check=True)
            self.assertEqual(json.loads(said.stdout)["blobs"], 1)
            self.assertEqual(server.ask("GET", "/v2/team/tool/manifests/v")[0], 200)
            server.kill(signal.SIGKILL)
            server.start()
            self.assertEqual(server.ask("GET", f"/v2/team/tool/blobs/{digest_of(layers[1])}")[2], layers[1])

    def parts_left(self):
        """Uploads in parts that were neither ended nor put together, as the storage lists them."""
        said = subprocess.run(["curl", "-sf", "--aws-sigv4", "aws:amz:us-east-1:s3", "-u", "key:secretsecret", "-H",
                               "x-amz-content-sha256: " + hashlib.sha256(b"").hexdigest(), f"http://127.0.0.1:{self.port}/images?prefix=reg%2F&uploads="],
                              capture_output=True, text=True, check=True).stdout
        return re.findall("<UploadId>(.*?)</UploadId>", said)

    def collect(self):
        said = subprocess.run([KIST, "registry", "gc", "--root", f"{self.folder}/registry", "--config", f"{self.folder}/config.toml",
                               "--grace", "0s", "--json"], capture_output=True, text=True, check=True)
        return json.loads(said.stdout)

    def test_large_blobs_go_in_parts(self):
        data = os.urandom(23 << 20)
        path = f"/v2/a/blobs/{digest_of(data)}"
        with Server(self.folder, config=self.config()) as server:
            self.assertEqual(server.push_blob("a", data)[0], 201)
            self.assertEqual(server.ask("GET", path)[2], data)
            for begin, end in [(0, 0), (5 << 20, (5 << 20) + 10), ((10 << 20) - 3, (15 << 20) + 3), (len(data) - 1, len(data) - 1)]:
                status, headers, part = server.ask("GET", path, headers={"Range": f"bytes={begin}-{end}"})
                self.assertEqual((status, headers["content-range"]), (206, f"bytes {begin}-{end}/{len(data)}"))
                self.assertEqual(part, data[begin:end + 1])
            self.assertEqual(server.ask("GET", path, headers={"Range": "bytes=-7"})[2], data[-7:])
            self.assertEqual(server.ask("GET", path, headers={"Range": f"bytes={len(data)}-"})[0], 416)
            self.assertEqual(server.ask("HEAD", path)[1]["content-length"], str(len(data)))
        self.assertEqual((self.uploads(), self.parts_left()), ([], []))

    def test_a_push_that_breaks_off_leaves_no_parts(self):
        data = os.urandom(23 << 20)
        # Each connection to the bucket dies in a part, three times: all tries of the first, and then none.
        with registries.Relay(self.port, cut_up=3 << 20, cuts=3) as relay:
            with Server(self.folder, config=self.config(port=relay.port)) as server:
                status, said = server.push_blob("a", data)
                self.assertEqual(status, 503, said)
                self.assertEqual(server.ask("HEAD", f"/v2/a/blobs/{digest_of(data)}")[0], 404)
                self.assertEqual(self.uploads(), [])
                if self.parts_left():  # The storage noticed too late that the last part would not come.
                    time.sleep(1.1)
                    self.collect()
                self.assertEqual(self.parts_left(), [])
                self.assertEqual(server.push_blob("a", data)[0], 201)
                self.assertEqual(server.ask("GET", f"/v2/a/blobs/{digest_of(data)}")[2], data)
        # One that dies less often is gone on with.
        data = os.urandom(23 << 20)
        with registries.Relay(self.port, cut_up=2 << 20, cuts=2) as relay:
            with Server(self.folder, config=self.config(port=relay.port)) as server:
                self.assertEqual(server.push_blob("a", data)[0], 201)
                self.assertEqual(relay.cuts, 0)
                self.assertEqual(server.ask("GET", f"/v2/a/blobs/{digest_of(data)}")[2], data)

    def test_what_a_death_left_in_the_bucket_is_collected(self):
        data = os.urandom(23 << 20)
        with registries.Relay(self.port) as relay:
            with Server(self.folder, config=self.config(port=relay.port)) as server:
                place = server.ask("POST", "/v2/a/blobs/uploads/")[1]["location"]
                pusher = threading.Thread(target=lambda: quietly(lambda: server.ask("PUT", f"{place}?digest={digest_of(data)}", data)))
                pusher.start()
                deadline = time.monotonic() + 30
                while not self.parts_left():
                    self.assertLess(time.monotonic(), deadline)
                server.kill(signal.SIGKILL)
                pusher.join()
                if not self.parts_left():
                    self.skipTest("it was too fast")
                time.sleep(1.1)  # Times in a bucket are whole seconds.
                self.collect()
                self.assertEqual(self.parts_left(), [])

    def test_more_names_than_one_answer_of_a_bucket_has(self):
        with Server(self.folder, config=self.config()) as server:
            server.push_image("team/tool", "t0000", [b"config"])
        # As the registry would have written them.
        tags = pathlib.Path(self.folder, "s3/images/reg/repositories/team/tool/_tags")
        text = (tags / "t0000").read_bytes()
        for i in range(1, 2300):
            (tags / f"t{i:04}").write_bytes(text)
        for i in range(1100):
            other = pathlib.Path(self.folder, f"s3/images/reg/repositories/r{i:04}/_tags")
            other.mkdir(parents=True)
            (other / "v").write_bytes(text)
        with Server(self.folder, config=self.config()) as server:
            said = json.loads(server.ask("GET", "/v2/team/tool/tags/list?n=5000")[2])["tags"]
            self.assertEqual(said, [f"t{i:04}" for i in range(2300)])
            said = json.loads(server.ask("GET", "/v2/team/tool/tags/list?n=3&last=t1500")[2])["tags"]
            self.assertEqual(said, ["t1501", "t1502", "t1503"])
            said = json.loads(server.ask("GET", "/v2/_catalog?n=5000")[2])["repositories"]
            self.assertEqual(len(said), 1101)

    def test_a_wrong_key_is_told_at_the_start(self):
        pathlib.Path(self.folder, "c.toml").write_text(self.config("wrong"))
        got = subprocess.run([KIST, "registry", "serve", "--listen", "127.0.0.1:0", "--root", f"{self.folder}/r", "--config",
                              f"{self.folder}/c.toml"], capture_output=True, text=True, timeout=60)
        self.assertEqual(got.returncode, 1)
        self.assertIn("object storage answers 403 SignatureDoesNotMatch", got.stderr)


if __name__ == "__main__":
    unittest.main()
