"""The registry's own container image: made by packaging/registry-image, run by kist, pushed to."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

from registries import free_port
from test_registry_server import KIST, Server, digest_of

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "packaging/registry-image"
USER = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]


@unittest.skipUnless(os.geteuid() == 0, "needs root, to be both")
class Image(unittest.TestCase):
    prefix = []

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kist-registry-image-", dir=os.environ.get("KIST_TEST_DIR", "/var/tmp"))
        self.addCleanup(self.clean)
        if self.prefix:
            os.chown(self.folder, 12345, 12345)
        # Others may not be able to reach the build's own folder.
        for program in ("kist", "kist-engine"):
            found = pathlib.Path(KIST).resolve().with_name(program)
            if not found.exists():
                found = pathlib.Path(KIST).resolve().parents[1] / "libexec/kist" / program
            shutil.copy(found, f"{self.folder}/{program}")
        self.environment = {"PATH": os.environ["PATH"], "KIST_HOME": f"{self.folder}/home", "HOME": self.folder, "KIST": f"{self.folder}/kist",
                            "TMPDIR": self.folder}

    def clean(self):
        self.kist("rm", "-f", "registry", check=False)
        subprocess.run(["rm", "-rf", self.folder])

    def run_(self, *command, check=True):
        got = subprocess.run([*self.prefix, *map(str, command)], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=300)
        if check:
            self.assertEqual(got.returncode, 0, got.stderr)
        return got

    def kist(self, *args, check=True):
        return self.run_(f"{self.folder}/kist", *args, check=check)

    def start(self, port):
        """Its network is a bridge, its storage a volume."""
        self.kist("run", "-d", "--name", "registry", "-p", f"127.0.0.1:{port}:5000", "-v", "kept:/registry", "--image", "kist-registry:test")

    def test_it_serves_and_keeps_what_it_was_given(self):
        self.run_(SCRIPT, "kist-registry:test")
        config = self.kist("inspect", "-f", "{{.Config.User}} {{json .Config.Entrypoint}}", "kist-registry:test").stdout
        self.assertEqual(config, '65532:65532 ["/bin/kist","registry","serve"]\n')
        registry = Server(self.folder)
        registry.port = free_port()
        layers = [b"config", os.urandom(3_000_000)]
        for round_ in range(2):
            self.start(registry.port)
            self.wait_for(registry)
            if round_ == 0:
                self.assertEqual(registry.push_image("team/tool", "v", layers)[0], 201)
                # By kist itself: the image is pushed to what runs of it.
                self.kist("tag", "kist-registry:test", f"127.0.0.1:{registry.port}/kist/registry:1")
                self.kist("push", "-q", f"127.0.0.1:{registry.port}/kist/registry:1")
            self.assertEqual(registry.ask("GET", f"/v2/team/tool/blobs/{digest_of(layers[1])}")[2], layers[1])
            self.kist("pull", "-q", f"127.0.0.1:{registry.port}/kist/registry:1")
            self.assertIn("serving '/registry/data'", self.kist("logs", "registry").stderr)
            began = time.monotonic()
            self.kist("stop", "registry")
            self.assertLess(time.monotonic() - began, 8, "SIGTERM ends it")
            self.assertEqual(self.kist("inspect", "-f", "{{.State.ExitCode}}", "registry").stdout, "0\n")
            self.kist("rm", "registry")

    def wait_for(self, registry):
        deadline = time.monotonic() + 30
        while True:
            try:
                if registry.ask("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            if time.monotonic() > deadline:
                self.fail(self.kist("logs", "registry", check=False).stderr)
            time.sleep(0.1)


class ImageAsUser(Image):
    prefix = USER

    def start(self, port):
        self.kist("run", "-d", "--name", "registry", "--network", "host", "-v", "kept:/registry", "--image", "kist-registry:test", "--",
                  "--listen", f"127.0.0.1:{port}", "--root", "/registry/data")


if __name__ == "__main__":
    unittest.main()
