"""Clients that behave as no client should, deaths, full disks, and many at once, against `kist registry serve`."""
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

KIST = os.environ["KIST"]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Server:
    def __init__(self, root, *args, config="", users=""):
        self.root = pathlib.Path(root)
        if users:
            (self.root / "users").write_text(users)
        self.args = args
        self.config = config
        self.process = None
        self.port = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill(signal.SIGTERM)

    def start(self):
        command = [KIST, "registry", "serve", "--listen", f"127.0.0.1:{self.port or 0}", "--root", str(self.root / "registry"),
                   *([] if "--access-log" in self.args else ["--access-log", "none"]), *self.args]
        if self.config:
            (self.root / "config.toml").write_text(self.config)
            command += ["--config", str(self.root / "config.toml")]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        assert " at http" in line, line + self.process.stderr.read()
        self.port = int(line.rsplit(":", 1)[1])
        self.said = self.process.stderr.readline()

    def kill(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(60)
        self.process.stderr.close()

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, dict((k.lower(), v) for k, v in answer.getheaders()), answer.read()
        finally:
            connection.close()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), 20)

    def push_blob(self, repository, data):
        status, headers, _ = self.ask("POST", f"/v2/{repository}/blobs/uploads/")
        assert status == 202, status
        status, _, said = self.ask("PUT", f"{headers['location']}?digest={digest_of(data)}", data)
        return status, said

    def push_image(self, repository, tag, layers):
        for data in layers:
            status, said = self.push_blob(repository, data)
            if status != 201:
                return status, said
        document = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST,
                               "config": {"mediaType": "application/x", "digest": digest_of(layers[0]), "size": len(layers[0])},
                               "layers": [{"mediaType": "application/x", "digest": digest_of(x), "size": len(x)} for x in layers[1:]]})
        status, _, said = self.ask("PUT", f"/v2/{repository}/manifests/{tag}", document, {"Content-Type": MANIFEST})
        return status, said

    def memory_kb(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])


class RegistryTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kist-registry-", dir=os.environ.get("KIST_TEST_DIR"))
        self.addCleanup(shutil.rmtree, self.folder, True)

    def blobs(self):
        return [p for p in pathlib.Path(self.folder).glob("registry/blobs/*/*/*")]

    def uploads(self):
        return list(pathlib.Path(self.folder).glob("registry/uploads/*"))

    def check_all_whole(self):
        for path in self.blobs():
            self.assertEqual(hashlib.sha256(path.read_bytes()).hexdigest(), path.name)


class Hostile(RegistryTest):
    def raw(self, server, data, wait=True):
        with server.connect() as connection:
            connection.sendall(data)
            got = b""
            try:
                while wait and (piece := connection.recv(65536)):
                    got += piece
            except OSError:
                pass
            return got

    def test_paths_that_want_out(self):
        secret = pathlib.Path(self.folder, "secret")
        secret.write_text("secret")
        with Server(self.folder) as server:
            for path in ["/v2/../../secret", "/v2/a/blobs/../../../secret", "/v2/a/manifests/../../../../secret", "/../secret",
                         "/v2/%2e%2e/%2e%2e/manifests/secret", "/v2/a/blobs/sha256:..%2f..%2fsecret", "/v2/a%00/manifests/x",
                         "/v2/a/blobs/uploads/..%2f..%2fsecret", "/v2/" + "a/" * 300 + "manifests/x", "//v2/a/manifests/x",
                         "/v2/a/manifests/x%0d%0aEvil:1", "/v2/..%c0%af../manifests/x"]:
                for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "POST"]:
                    got = self.raw(server, f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode())
                    self.assertIn(got.split(b" ")[1][:1], [b"4"], (method, path, got[:200]))
                    self.assertNotIn(b"secret\n", got)
                    self.assertNotIn(b"\r\nEvil", got)
            self.assertEqual(server.ask("GET", "/healthz")[0], 200)
        self.assertEqual(sorted(os.listdir(self.folder)), ["registry", "secret"])

    def test_what_is_not_http(self):
        with Server(self.folder) as server:
            for data in [b"\x00" * 1000 + b"\r\n\r\n", b"GET /v2/ HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
                         b"GET /v2/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                         b"GET /v2/ HTTP/1.1\r\nA: " + b"x" * 200000 + b"\r\n\r\n", b"G" * 100000,
                         b"GET /v2/ HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % i for i in range(20000)) + b"\r\n",
                         b"GET /v2/ HTTP/1.1\r\n folded: yes\r\n\r\n", b"GET /v2/\r\n\r\n"]:
                got = self.raw(server, data)
                self.assertIn(got.split(b" ")[1:2], [[b"400"], [b"431"]], (data[:60], got[:100]))
            for data in [b"PUT /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
                         b"PUT /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
                         b"PUT /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;" + b"x" * 100000]:
                self.assertIn(self.raw(server, data).split(b" ")[1:2], [[], [b"400"]], data[:80])
            self.assertEqual(server.ask("GET", "/healthz")[0], 200)
            self.assertLess(server.memory_kb(), 50_000)

    def test_manifests_that_are_bombs(self):
        with Server(self.folder) as server:
            deep = b"[" * 2_000_000
            many = json.dumps({"manifests": [{"digest": "sha256:" + "0" * 64}] * 40_000}).encode()
            for body in [deep, b'{"a":' * 700_000, many, b"\xff\xfe" * 100, b""]:
                status, _, said = server.ask("PUT", "/v2/a/manifests/x", body, {"Content-Type": MANIFEST})
                self.assertIn(status, (400, 413), said)
            # 100 MB: refused before it is sent, or while it is.
            with server.connect() as connection:
                connection.sendall(b"PUT /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
                try:
                    for _ in range(1600):
                        connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                    self.assertTrue(connection.recv(1000).startswith(b"HTTP/1.1 413 "))
                except OSError:
                    pass
            self.assertEqual(server.ask("PUT", "/v2/a/manifests/x", b"x" * (5 << 20), {"Content-Type": MANIFEST})[0], 413)
            self.assertLess(server.memory_kb(), 50_000)

    def test_lies_about_digests(self):
        with Server(self.folder) as server:
            wrong = digest_of(b"other")
            self.assertEqual(server.ask("POST", f"/v2/a/blobs/uploads/?digest={wrong}", b"data")[0], 400)
            for bad in ["sha256:", "sha256:xyz", "md5:" + "0" * 32, "sha256:" + "A" * 64, "", "sha256:../../x", "sha512:" + "0" * 64]:
                self.assertEqual(server.ask("POST", f"/v2/a/blobs/uploads/?digest={bad}", b"data")[0], 400, bad)
            self.assertEqual(server.ask("GET", f"/v2/a/blobs/{wrong}")[0], 404)
        self.assertEqual(self.blobs() + self.uploads(), [])

    def test_connections_that_are_cut_in_a_push(self):
        data = os.urandom(3_000_000)
        with Server(self.folder) as server:
            for cut in (1, 100_000, 2_999_999):
                place = server.ask("POST", "/v2/a/blobs/uploads/")[1]["location"]
                with server.connect() as connection:
                    connection.sendall(f"PATCH {place} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[:cut])
                deadline = time.monotonic() + 10
                have = 0
                while time.monotonic() < deadline and have != cut:
                    status, headers, _ = server.ask("GET", place)
                    have = int(headers["range"].split("-")[1]) + 1 if status == 204 else 0
                    time.sleep(0.02)
                self.assertGreaterEqual(have, cut)
                # The client goes on where the server says.
                status, _, said = server.ask("PUT", f"{place}?digest={digest_of(data)}", data[have:], {"Content-Range": f"{have}-{len(data) - 1}"})
                self.assertEqual(status, 201, said)
                self.assertEqual(server.ask("GET", f"/v2/a/blobs/{digest_of(data)}")[2], data)
                self.assertEqual(server.ask("DELETE", f"/v2/a/blobs/{digest_of(data)}")[0], 202)

    def test_a_thousand_connections_and_slow_clients(self):
        config = "[limits]\nhead_time = '60s'\nbody_grace = '60s'\n"
        with Server(self.folder, config=config) as server:
            server.push_image("a", "t", [b"config", b"layer"])
            held = []
            for i in range(1000):
                connection = server.connect()
                held.append(connection)
                if i % 3 == 0:
                    connection.sendall(b"GET /v2/a/manif")
                elif i % 3 == 1:
                    connection.sendall(b"POST /v2/a/blobs/uploads/?digest=" + digest_of(b"x" * 1000).encode() +
                                       b" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nxx")
            began = time.monotonic()
            for _ in range(50):
                self.assertEqual(server.ask("GET", "/v2/a/manifests/t")[0], 200)
            self.assertLess(time.monotonic() - began, 5)
            self.assertLess(server.memory_kb(), 50_000)
            # Those that end what they began are served all the same.
            for connection in held[1::3]:
                connection.sendall(b"x" * 998)
            for connection in held[1::3]:
                self.assertTrue(connection.recv(1000).startswith(b"HTTP/1.1 201 "))
            for connection in held:
                connection.close()
        self.check_all_whole()

    def test_clients_that_do_not_read(self):
        data = os.urandom(20_000_000)
        with Server(self.folder, config="[limits]\nbody_grace = '2s'\nmin_rate = '1 MB'\n") as server:
            server.push_blob("a", data)
            with server.connect() as connection:
                connection.sendall(f"GET /v2/a/blobs/{digest_of(data)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                time.sleep(0.3)
                self.assertEqual(server.ask("GET", f"/v2/a/blobs/{digest_of(data)}")[2], data)
                deadline = time.monotonic() + 30
                while time.monotonic() < deadline:
                    if b"kist_registry_connections 1\n" in server.ask("GET", "/metrics")[2]:
                        break
                    time.sleep(0.2)
                else:
                    self.fail("the client that does not read is still connected")

    def test_one_tag_from_many_sides(self):
        with Server(self.folder) as server:
            server.push_blob("a", b"config")

            def push(number):
                document = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "annotations": {"n": str(number)}, "layers": [],
                                       "config": {"mediaType": "application/x", "digest": digest_of(b"config"), "size": 6}}).encode()
                for _ in range(10):
                    status = server.ask("PUT", "/v2/a/manifests/t", document, {"Content-Type": MANIFEST})[0]
                    results.append(status)
                    status, headers, body = server.ask("GET", "/v2/a/manifests/t")
                    results.append(201 if status == 200 and headers["docker-content-digest"] == digest_of(body) else status)

            results = []
            threads = [threading.Thread(target=push, args=(i,)) for i in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(results, [201] * 160)

    def test_deletes_and_collections_during_pulls(self):
        data = os.urandom(30_000_000)
        with Server(self.folder) as server:
            server.push_blob("a", data)
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            connection.request("GET", f"/v2/a/blobs/{digest_of(data)}")
            answer = connection.getresponse()
            first = answer.read(1000)
            self.assertEqual(server.ask("DELETE", f"/v2/a/blobs/{digest_of(data)}")[0], 202)
            said = subprocess.run([KIST, "registry", "gc", "--root", str(server.root / "registry"), "--grace", "0s", "--json"],
                                  capture_output=True, text=True, check=True)
            self.assertEqual(json.loads(said.stdout)["blobs"], 1)
            self.assertEqual(self.blobs(), [])
            self.assertEqual(first + answer.read(), data)
            connection.close()


class Faults(RegistryTest):
    def test_killed_in_pushes(self):
        with Server(self.folder) as server:
            for round_ in range(6):
                acknowledged = []

                def push(number):
                    try:
                        for i in range(50):
                            layers = [b"config", os.urandom(200_000)]
                            if server.push_image(f"a{number}", f"t{round_}-{i}", layers)[0] == 201:
                                acknowledged.append((f"a{number}", f"t{round_}-{i}", digest_of(layers[1])))
                    except OSError:
                        pass
                    except http.client.HTTPException:
                        pass

                threads = [threading.Thread(target=push, args=(i,)) for i in range(4)]
                for thread in threads:
                    thread.start()
                while len(acknowledged) < 2 + 3 * round_:
                    time.sleep(0.005)
                server.process.kill()
                server.process.wait()
                server.process.stderr.close()
                for thread in threads:
                    thread.join()
                self.check_all_whole()
                server.start()
                self.assertFalse([p for p in self.uploads() if p.name.startswith("text.")])
                self.assertTrue(acknowledged)
                for repository, tag, layer in acknowledged:
                    self.assertEqual(server.ask("HEAD", f"/v2/{repository}/manifests/{tag}")[0], 200)
                    self.assertEqual(digest_of(server.ask("GET", f"/v2/{repository}/blobs/{layer}")[2]), layer)

    def test_uploads_that_nobody_ends_go_away_at_the_start(self):
        with Server(self.folder) as server:
            place = server.ask("POST", "/v2/a/blobs/uploads/")[1]["location"]
            server.ask("PATCH", place, b"x" * 1000)
            server.kill(signal.SIGKILL)
            self.assertEqual(len(self.uploads()), 1)
            server.start()  # Within the hour its client may go on with it.
            self.assertEqual(server.ask("GET", place)[1]["range"], "0-999")
            server.kill(signal.SIGKILL)
            server.config = "[server]\nupload_expiry = '0s'\n"
            server.start()
            self.assertEqual(self.uploads(), [])
            self.assertEqual(server.ask("GET", place)[0], 404)

    def test_term_lets_an_upload_finish(self):
        data = os.urandom(2_000_000)
        with Server(self.folder) as server:
            place = server.ask("POST", "/v2/a/blobs/uploads/")[1]["location"]
            with server.connect() as connection:
                connection.sendall(f"PUT {place}?digest={digest_of(data)} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[:1000])
                time.sleep(0.2)
                server.process.send_signal(signal.SIGTERM)
                time.sleep(0.3)
                with self.assertRaises(OSError):
                    server.connect().close()
                connection.sendall(data[1000:])
                self.assertTrue(connection.recv(1000).startswith(b"HTTP/1.1 201 "))
            self.assertEqual(server.process.wait(20), 0)
        self.check_all_whole()
        self.assertEqual(len(self.blobs()), 1)

    def test_a_full_disk(self):
        mount = pathlib.Path(self.folder, "small")
        mount.mkdir()
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(mount)], capture_output=True).returncode:
            self.skipTest("needs root, to mount a small disk")
        self.addCleanup(subprocess.run, ["umount", "-l", str(mount)])
        with Server(mount) as server:
            self.assertEqual(server.push_image("a", "t", [b"config", b"x" * 1000])[0], 201)
            status, said = server.push_blob("a", os.urandom(20_000_000))
            self.assertEqual(status, 507, said)
            self.assertIn(b"disk is full", said)
            self.assertEqual(list(mount.glob("registry/uploads/*")), [])
            self.assertEqual(server.push_blob("a", os.urandom(1_000_000))[0], 201)
            self.assertEqual(server.ask("GET", "/v2/a/manifests/t")[0], 200)

    def test_certificates_are_renewed_while_it_serves(self):
        def certificate(name):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                            "-subj", f"/CN={name}", "-keyout", f"{self.folder}/key.pem", "-out", f"{self.folder}/cert.pem"],
                           check=True, capture_output=True)

        def served_name():
            said = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}"], input=b"", capture_output=True).stdout
            return said.decode(errors="replace")

        certificate("first")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = subprocess.Popen([KIST, "registry", "serve", "--listen", f"127.0.0.1:{port}", "--root", f"{self.folder}/registry", "--access-log",
                                    "none", "--tls-cert", f"{self.folder}/cert.pem", "--tls-key", f"{self.folder}/key.pem"],
                                   stderr=subprocess.PIPE, text=True)
        try:
            self.assertIn("https://", process.stderr.readline())
            self.assertEqual("with TLS; everybody may read, write and delete\n", process.stderr.readline())
            self.assertIn("CN = first", served_name())
            certificate("second")
            process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 10
            while "CN = second" not in served_name():
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.1)
            # One that cannot be used is told, and the good one stays.
            pathlib.Path(self.folder, "cert.pem").write_text("nonsense")
            process.send_signal(signal.SIGHUP)
            self.assertIn("error: certificate", process.stderr.readline())
            self.assertIn("CN = second", served_name())
            # Without a signal it is seen within seconds.
            certificate("third")
            deadline = time.monotonic() + 20
            while "CN = third" not in served_name():
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.3)
        finally:
            process.terminate()
            process.wait(20)
            process.stderr.close()

    def test_many_push_at_once_and_nothing_is_lost(self):
        with Server(self.folder) as server:
            shared = os.urandom(1_000_000)
            images = {f"team/t{i}": [b"config %d" % i, shared, os.urandom(300_000)] for i in range(64)}
            results = {}
            threads = [threading.Thread(target=lambda n=name: results.update({n: server.push_image(n, "v", images[n])})) for name in images]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual({status for status, _ in results.values()}, {201})
            for name, layers in images.items():
                for layer in layers:
                    self.assertEqual(server.ask("GET", f"/v2/{name}/blobs/{digest_of(layer)}")[2], layer)
            self.assertLess(server.memory_kb(), 50_000)
        self.assertEqual(len(self.blobs()), 64 * 3 + 1)
        self.assertEqual(self.uploads(), [])


if __name__ == "__main__":
    unittest.main()
