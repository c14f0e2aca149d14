#!/usr/bin/env python3
"""`kist fsck --repair`: whatever is damaged in a store is found, put right, and the program runs again.

Method: a store with one environment, its files damaged in each way that a disk or a person has; fsck
must name the damage, repair must fetch again what it needs, and the environment must be as before.
"""
import json
import os

import lib
import make_wheel

CONTENT = b"X = 'thing'\n" * 300


class Repair(lib.KistTest):
    def setUp(self):
        super().setUp()
        self.content = CONTENT + f"# {self.id()}\n".encode()
        self.index.add(make_wheel.wheel("thing", "1.0", {"thing.py": self.content}))
        self.write({"requirements.txt": "thing\n"})
        self.assert_runs(self.run_kist("run", "python", "-c", "import thing"))
        # In the foreground, so that nobody compiles while the test damages the store.
        self.assert_runs(self.run_kist("verify", "--here", timeout=900))
        self.digests = self.run_kist("verify", "--here", "--json", timeout=900).out
        # The root of the whole tree takes the place of the first one.
        self.assert_runs(self.run_kist("run", "python", "-c", "import thing; print(thing.X)"), "thing\n")

    def object_of(self, content):
        found = [path for path in (self.store / "objects").rglob("*")
                 if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content]
        self.assertTrue(found, "the store has the file")
        return found[0]

    def tree_file(self, name_pattern):
        """Of the newest name: the file of its tree."""
        names = sorted((self.store / "names").glob(name_pattern), key=lambda path: path.stat().st_mtime)
        digest = names[-1].read_text().strip().removeprefix("sha256:")
        return self.store / "trees" / digest[:2] / digest[2:]

    def overwrite(self, path, data):
        """In place: the same inode, as a bad disk does it."""
        mode = path.stat().st_mode
        path.chmod(0o644)
        with open(path, "r+b") as file:
            file.truncate(len(data))
            file.write(data)
        path.chmod(mode & 0o7777)

    def flip(self, path):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0x20
        self.overwrite(path, bytes(data))

    def check(self, *said):
        found = self.run_kist("fsck", "--full")
        self.assertEqual(found.status, 1, found)
        for text in said:
            self.assertIn(text, found.out, found)
        self.assertIn("hint: `kist fsck --repair`", found.err)
        repaired = self.run_kist("fsck", "--full", "--repair", timeout=900)
        self.assertEqual(repaired.status, 0, repaired)
        again = self.assert_store_clean()
        self.assertIn("clean:", again.out)
        self.assert_runs(self.run_kist("run", "python", "-c", "import thing; print(thing.X)", timeout=900),
                         "thing\n")
        self.assertEqual(json.loads(self.run_kist("verify", "--here", "--json", timeout=900).out),
                         json.loads(self.digests))
        self.assert_store_clean()

    def test_object_with_another_content(self):
        self.flip(self.object_of(self.content))
        self.check("has the content of sha256:", "needed by ")

    def test_object_cut_short(self):
        self.overwrite(self.object_of(self.content), self.content[:100])
        self.check(f"100 bytes, want {len(self.content)}")

    def test_object_missing(self):
        self.object_of(self.content).unlink()
        self.check("missing")

    def test_tree_with_another_content(self):
        self.flip(self.tree_file("env/*-complete"))
        self.check("tree trees/")

    def test_tree_missing(self):
        self.tree_file("wheel/*").unlink()
        self.check("name names/wheel/", " is missing")

    def test_name_that_names_nothing(self):
        name = sorted((self.store / "names/wheel").iterdir(), key=lambda path: path.stat().st_mtime)[-1]
        name.write_text("what was I about to say\n")
        self.check("name names/wheel/")

    def test_several_at_once(self):
        self.tree_file("wheel/*").unlink()
        self.overwrite(self.object_of(self.content), b"")
        self.flip(self.tree_file("bytecode/*"))
        self.check("missing", "0 bytes, want ")

    def test_of_the_base(self):
        """Debian's packages are fetched again."""
        self.flip(self.tree_file("base/*"))
        license_text = next(path for path in (self.store / "objects").rglob("*")
                            if path.is_file() and path.read_bytes()[:40].startswith(b"\x7fELF"))
        self.overwrite(license_text, b"\x7fELF")
        self.check("tree trees/", "4 bytes, want ")

    def test_root(self):
        """What a root is made of beside objects is made again."""
        for image in (self.store / "roots").rglob("*.erofs"):
            self.overwrite(image, image.read_bytes()[:4096])
        for folder in (self.store / "roots").iterdir():
            for root in folder.iterdir():
                for path in root.rglob("thing.py"):
                    path.unlink()
        self.run_kist("fsck", "--full", "--repair", timeout=900)
        self.assert_runs(self.run_kist("run", "python", "-c", "import thing; print(thing.X)", timeout=900),
                         "thing\n")
        self.assert_store_clean()


class RepairAsUser(Repair):
    user = lib.PLAIN_UID

    def setUp(self):
        if os.getuid() != 0:
            self.skipTest("only root can become another user")
        super().setUp()


if __name__ == "__main__":
    lib.main()
