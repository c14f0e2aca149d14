#!/usr/bin/env python3
"""What kist says about packages that are wrong, and that the store is clean afterwards."""
import lib
import make_wheel


class Requirements(lib.KistTest):
    """What the resolver cannot solve: its explanation, not a stack."""

    def lock(self, *lines):
        self.write({"requirements.txt": "".join(f"{line}\n" for line in lines)})
        return self.run_kist("lock")

    def test_unknown_package(self):
        self.assert_fails(self.lock("nonesuch"), 1, """?""")

    def test_conflict(self):
        self.index.add(make_wheel.wheel("base-lib", "1.0"))
        self.index.add(make_wheel.wheel("base-lib", "2.0"))
        self.index.add(make_wheel.wheel("old", "1.0", requires=["base-lib<2"]))
        self.index.add(make_wheel.wheel("new", "1.0", requires=["base-lib>=2"]))
        self.assert_fails(self.lock("old", "new"), 1, """?""")

    def test_no_such_version(self):
        self.index.add(make_wheel.wheel("thing", "1.0"))
        self.assert_fails(self.lock("thing==9"), 1, """?""")

    def test_no_wheel_for_this_platform(self):
        self.index.add(make_wheel.wheel("thing", "1.0", tag="cp313-cp313-win_amd64"))
        self.assert_fails(self.lock("thing"), 1, """?""")

    def test_wants_another_python(self):
        self.index.add(make_wheel.wheel("thing", "1.0", requires_python=">=4"))
        self.assert_fails(self.lock("thing"), 1, """?""")

    def test_hash_in_requirements_differs(self):
        self.index.add(make_wheel.wheel("thing", "1.0"))
        self.assert_fails(self.lock(f"thing==1.0 --hash=sha256:{'0' * 64}"), 1, """?""")

    def test_same_file_different_bytes(self):
        self.index.add(make_wheel.wheel("one", "1.0", {"shared.py": b"1\n", "one.py": b""}))
        self.index.add(make_wheel.wheel("two", "1.0", {"shared.py": b"2\n", "two.py": b""}))
        self.write({"requirements.txt": "one\ntwo\n"})
        self.assert_fails(self.run_kist("run", "true"), 125, """?""")
        self.assert_store_clean()


class HostileWheels(lib.KistTest):
    """Each wheel is wrong in one way; none leaves anything."""

    def install(self, kind):
        self.index.add(make_wheel.hostile(kind))
        self.write({"requirements.txt": "evil\n"})
        outcome = self.run_kist("run", "python", "-c", "import evil")
        self.assert_store_clean()
        return outcome

    def test_dotdot(self):
        self.assert_fails(self.install("dotdot"), 125, """?""")

    def test_absolute(self):
        self.assert_fails(self.install("absolute"), 125, """?""")

    def test_backslash(self):
        self.assert_fails(self.install("backslash"), 125, """?""")

    def test_symlink(self):
        self.assert_fails(self.install("symlink"), 125, """?""")

    def test_case(self):
        self.assert_fails(self.install("case"), 125, """?""")

    def test_duplicate(self):
        self.assert_fails(self.install("duplicate"), 125, """?""")

    def test_file_and_folder(self):
        self.assert_fails(self.install("file-and-folder"), 125, """?""")

    def test_record_hash(self):
        self.assert_fails(self.install("record-hash"), 125, """?""")

    def test_record_missing(self):
        self.assert_fails(self.install("record-missing"), 125, """?""")

    def test_bomb(self):
        self.assert_fails(self.install("bomb"), 125, """?""")

    def test_entries(self):
        self.assert_fails(self.install("entries"), 125, """?""")

    def test_lying_size(self):
        self.assert_fails(self.install("lying-size"), 125, """?""")

    def test_other_name(self):
        self.assert_fails(self.install("other-name"), 125, """?""")

    def test_wheel_version(self):
        self.assert_fails(self.install("wheel-version"), 125, """?""")

    def test_not_utf8(self):
        self.assert_fails(self.install("not-utf8"), 125, """?""")

    def test_not_a_zip(self):
        self.assert_fails(self.install("not-a-zip"), 125, """?""")


if __name__ == "__main__":
    lib.main()
