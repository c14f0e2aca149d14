#!/usr/bin/env python3
"""The same as with Debian's docker-registry, with other servers: registry 3 (distribution), whose module
scripts/setup --clients builds, and the one in crane."""
import contextlib
import pathlib
import shutil
import socket
import subprocess
import time
import unittest

import image_forge as forge
import lib
import registries
import test_images
import test_registry


class Registry3(test_registry.Images):
    @classmethod
    def setUpClass(cls):
        test_images.ImageTest.setUpClass.__func__(cls)
        cls.registry = registries.DockerRegistry(cls.folder / "registry", program="registry")
        cls.registry.__enter__()
        cls.addClassCleanup(cls.registry.__exit__)


class Crane(test_images.ImageTest):
    """It keeps what it is given in memory, knows no other digests than it sees, and mounts nothing."""

    def setUp(self):
        super().setUp()
        if shutil.which("crane") is None:
            raise unittest.SkipTest("crane is not installed: scripts/setup --clients")
        port = registries.free_port()
        self.host = f"127.0.0.1:{port}"
        server = subprocess.Popen(["crane", "registry", "serve", "--address", self.host], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.05)
        raise RuntimeError("crane registry does not start")

    def test_there_and_back(self):
        layout = forge.Layout(self.work / "layout")
        image_id = layout.image("local:1", forge.changing_layers())
        self.do("load", "-i", layout.path)
        out = self.do("push", "local:1", f"{self.host}/team/tool:1")
        digest = out.strip().splitlines()[-1].split()[2]
        crane = lambda *args: subprocess.run(["crane", *args], check=True, capture_output=True, text=True,  # noqa: E731
                                             env={**lib.host_environment(), "HOME": str(self.home)}).stdout.strip()
        self.assertEqual(crane("digest", f"{self.host}/team/tool:1"), digest)
        crane("validate", "--remote", f"{self.host}/team/tool:1")
        self.store = self.work / "empty-store"
        self.store.mkdir()
        self.assertIn(f"Digest: {digest}\n", self.do("pull", f"{self.host}/team/tool:1"))
        self.assertEqual(self.id_of(f"{self.host}/team/tool:1"), image_id)
        self.assertEqual(self.do("tags", f"{self.host}/team/tool").split(), ["1"])
        self.assert_store_clean()


if __name__ == "__main__":
    unittest.main()
