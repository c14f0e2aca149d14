#!/usr/bin/env python3
"""Pulls, pushes and copies that died or lost their network, and the process that goes on."""
import json
import signal
import time

import image_forge as forge
import lib
import registries
import test_registry


class Resumed(test_registry.RegistryTest):
    """What died, or lost its network, goes on in the next process: the bytes that came are not asked for again."""

    SIZE = 24 << 20
    SLACK = 3 << 20  # What was in memory, and what is no blob.

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.own = registries.KistRegistry(cls.kist, cls.folder / "own-registry")
        cls.own.__enter__()
        cls.addClassCleanup(cls.own.__exit__)

    def image(self, **more):
        tars = [forge.layer(forge.entry("small", content=b"small")), forge.layer(forge.entry("noise", content=test_registry.noise(self.SIZE)))]
        return self.loaded(tars, **more)

    def parts(self):
        folder = self.store / "cache/partial"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def killed_when_held(self, relay, *args):
        process = self.start(*args)
        self.assertTrue(relay.held.wait(60), "so much never came")
        time.sleep(0.5)  # What came is written.
        process.send_signal(signal.SIGKILL)
        process.communicate()
        relay.held.clear()

    def test_killed_pulls(self):
        self.pulls_are_killed(self.image())

    def test_killed_pulls_of_a_plain_layer(self):
        self.pulls_are_killed(self.image(compress=(lambda tar: tar, "")))

    def pulls_are_killed(self, image_id):
        self.do("push", "local:1", self.name())
        self.empty_store()
        with registries.Relay(self.registry.port) as relay:
            name = self.name(host=relay.host)
            for step in (5, 9, 15, 21):
                relay.hold_down = step << 20
                self.killed_when_held(relay, "pull", name)
                self.assertEqual(len(self.parts()), 1)
                self.assertEqual(self.do("images", "-q"), "")
                relay.hold_down = None
            done = self.run_kist("pull", name)
            self.assertEqual(done.status, 0, done)
            self.assertIn("were here from before", done.err)
            self.assertEqual(self.id_of(name), image_id)
            self.assertLess(relay.down, self.SIZE + 4 * self.SLACK)
        self.assertEqual(self.parts(), [])
        self.assert_store_clean()
        with registries.KistRegistry(self.kist, self.work / "again") as again:
            self.do("push", name, self.name(host=again.host))

    def test_pull_without_a_network(self):
        image_id = self.image()
        self.do("push", "local:1", self.name())
        self.empty_store()
        with registries.Relay(self.registry.port) as relay:
            name = self.name(host=relay.host)
            for step in (6, 12, 18):
                relay.hold_down = step << 20
                process = self.start("pull", name)
                self.assertTrue(relay.held.wait(60))
                relay.is_down = True
                _, err = process.communicate(timeout=120)
                self.assertEqual(process.returncode, 1, err)
                self.assertIn(b"error: cannot pull", err)
                self.assertEqual(len(self.parts()), 1)
                self.assert_store_clean()
                relay.held.clear()
                relay.hold_down, relay.is_down = None, False
            self.do("pull", name)
            self.assertEqual(self.id_of(name), image_id)
            self.assertLess(relay.down, self.SIZE + 3 * self.SLACK)

    def test_what_is_left_of_a_pull_is_damaged(self):
        image_id = self.image()
        self.do("push", "local:1", self.name())
        self.empty_store()
        with registries.Relay(self.registry.port) as relay:
            name = self.name(host=relay.host)
            relay.hold_down = 12 << 20
            self.killed_when_held(relay, "pull", name)
            relay.hold_down = None
            part = self.store / "cache/partial" / self.parts()[0]
            with open(part, "r+b") as file:
                file.seek(5 << 20)
                file.write(bytes(1 << 20))
            self.do("pull", name)
        self.assertEqual(self.id_of(name), image_id)
        self.assertEqual(self.parts(), [])
        self.assert_store_clean()

    def test_gc_takes_what_nobody_goes_on_with(self):
        self.image()
        self.do("push", "local:1", self.name())
        self.empty_store()
        with registries.Relay(self.registry.port) as relay:
            relay.hold_down = 12 << 20
            self.killed_when_held(relay, "pull", self.name(host=relay.host))
        self.do("gc")
        self.assertEqual(len(self.parts()), 1)
        self.do("gc", "--all")
        self.assertEqual(self.parts(), [])

    def test_killed_pushes(self):
        self.image()
        with registries.Relay(self.own.port) as relay:
            name = self.name(host=relay.host)
            for step in (5, 9, 15, 21):
                relay.hold_up = step << 20
                self.killed_when_held(relay, "push", "local:1", name)
                self.assertEqual(len(self.parts()), 1)
                relay.hold_up = None
                time.sleep(0.5)  # The registry sees that nobody is there any more.
            digest = self.do("push", "local:1", name).strip().splitlines()[-1].split()[2]
            self.assertLess(relay.up, self.SIZE + 4 * self.SLACK)
        self.assertEqual(self.parts(), [])
        inspected = json.loads(self.skopeo("inspect", "--tls-verify=false", "docker://" + self.name(host=self.own.host)))
        self.assertEqual(inspected["Digest"], digest)

    def test_push_to_a_registry_that_forgets(self):
        """Docker's does, as soon as an upload breaks off: then it begins anew."""
        self.image()
        with registries.Relay(self.registry.port) as relay:
            name = self.name(host=relay.host)
            relay.hold_up = 12 << 20
            self.killed_when_held(relay, "push", "local:1", name)
            relay.hold_up = None
            digest = self.do("push", "local:1", name).strip().splitlines()[-1].split()[2]
        self.assertEqual(self.digest_at_registry(), digest)
        self.assertEqual(self.parts(), [])

    def test_killed_copies(self):
        self.image()
        digest = self.do("push", "local:1", self.name()).strip().splitlines()[-1].split()[2]
        with registries.Relay(self.own.port) as target, registries.Relay(self.registry.port) as source:
            names = self.name(host=source.host), self.name(host=target.host)
            target.hold_up = 12 << 20
            self.killed_when_held(target, "copy", *names)
            target.hold_up = None
            time.sleep(0.5)
            self.assertIn(digest, self.do("copy", *names))
            self.assertLess(target.up, self.SIZE + self.SLACK)
            self.assertLess(source.down, self.SIZE + 2 * self.SLACK + (2 << 20))


class ResumedAsUser(Resumed):
    user = lib.PLAIN_UID


if __name__ == "__main__":
    lib.main()
