"""What `kist registry serve` serves from elsewhere: another registry, this machine's store, a bucket."""
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tarfile
import time
import unittest

import lib  # noqa: F401: where versitygw may be.
from test_registry_server import KIST, MANIFEST, RegistryTest, Server, digest_of


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
                self.assertGreaterEqual(status, 400, said)
                self.assertFalse(list(pathlib.Path(self.folder, "near").glob("registry/uploads/*")))


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

    def config(self, secret="secretsecret"):
        return (f"[s3]\nendpoint = 'http://127.0.0.1:{self.port}'\nbucket = 'images'\nprefix = 'reg'\naccess_key = 'key'\n"
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

    def test_a_wrong_key_is_told_at_the_start(self):
        pathlib.Path(self.folder, "c.toml").write_text(self.config("wrong"))
        got = subprocess.run([KIST, "registry", "serve", "--listen", "127.0.0.1:0", "--root", f"{self.folder}/r", "--config",
                              f"{self.folder}/c.toml"], capture_output=True, text=True, timeout=60)
        self.assertEqual(got.returncode, 1)
        self.assertIn("object storage answers 403 SignatureDoesNotMatch", got.stderr)


if __name__ == "__main__":
    unittest.main()
