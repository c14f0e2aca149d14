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
        self.assert_fails(self.lock("nonesuch"), 1, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: No solution found when resolving dependencies
    Because nonesuch was not found in the package registry and you require nonesuch, we can
    conclude that your requirements are unsatisfiable.

hint: check the name; `kist doctor` says which index is asked
""")

    def test_typing_error(self):
        self.assert_fails(self.lock("scikit-lern"), 1, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: No solution found when resolving dependencies
    Because scikit-lern was not found in the package registry and you require scikit-lern, we
    can conclude that your requirements are unsatisfiable.

hint: did you mean `scikit-learn`?
""")

    def test_import_name(self):
        self.assert_fails(self.lock("cv2"), 1, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: No solution found when resolving dependencies
    Because cv2 was not found in the package registry and you require cv2, we can conclude that
    your requirements are unsatisfiable.

hint: did you mean `opencv-python`?
""")

    def test_unknown_debian_package(self):
        self.write({"requirements.txt": "", "kist.toml": '[environment]\nsystem = ["ffmpge"]\n'})
        self.assert_fails(self.run_kist("lock"), 1, """
error: resolving the Debian packages
  cause: there is no Debian package 'ffmpge' in trixie

hint: did you mean `ffmpeg`?
""")

    def test_pinned_twice(self):
        self.assert_fails(self.lock("thing==1", "thing==2"), 2, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: No solution found when resolving dependencies
    Because you require thing==1 and thing==2, we can conclude that your requirements are
    unsatisfiable.

hint: loosen or leave out one that does not fit, for example: `kist remove thing`
""")

    def test_conflict(self):
        self.wheel("base-lib", "1.0")
        self.wheel("base-lib", "2.0")
        self.wheel("old", "1.0", requires=["base-lib<2"])
        self.wheel("new", "1.0", requires=["base-lib>=2"])
        self.assert_fails(self.lock("old", "new"), 2, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: No solution found when resolving dependencies
    Because all versions of new depend on base-lib>=2 and all versions of old depend
    on base-lib<2, we can conclude that all versions of new and all versions of old are
    incompatible.
    And because you require old and new, we can conclude that your requirements are
    unsatisfiable.

hint: loosen or leave out one that does not fit, for example: `kist remove old`
""")

    def test_no_such_version(self):
        self.wheel()
        self.assert_fails(self.lock("thing==9"), 2, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: No solution found when resolving dependencies
    Because there is no version of thing==9 and you require thing==9, we can conclude that your
    requirements are unsatisfiable.

hint: loosen or leave out one that does not fit, for example: `kist remove thing`
""")

    def test_no_wheel_for_this_platform(self):
        self.wheel("thing", "1.0", tag="cp313-cp313-win_amd64")
        self.assert_fails(self.lock("thing"), 2, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: No solution found when resolving dependencies
    Because thing==1.0 has no wheels with a matching platform tag (e.g.,
    `manylinux_2_40_x86_64`) and only thing==1.0 is available, we can conclude that all
    versions of thing cannot be used.
    And because you require thing, we can conclude that your requirements are unsatisfiable.
    Wheels are available for `thing` (v1.0) on the following platform: `win_amd64`

hint: loosen or leave out one that does not fit, for example: `kist remove thing`
""")

    def test_wants_another_python(self):
        self.wheel("thing", "1.0", requires_python=">=4")
        self.assert_fails(self.lock("thing"), 2, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: No solution found when resolving dependencies
    Because the current Python version (3.13.5) does not satisfy Python>=4 and thing==1.0
    depends on Python>=4, we can conclude that thing==1.0 cannot be used.
    And because only thing==1.0 is available and you require thing, we can conclude that your
    requirements are unsatisfiable.

hint: loosen or leave out one that does not fit, for example: `kist remove thing`
""")

    def test_index_replaced_the_file(self):
        """The same name with other bytes than were locked."""
        self.wheel()
        self.assert_runs(self.lock("thing"))
        self.wheel(files={"thing.py": b"# something else\n"})
        self.assert_fails(self.run_kist("run", "true"), 125, """
error: fetching thing 1.0
  cause: get 'http://127.0.0.1:PORT/files/thing-1.0-py3-none-any.whl': the server announces 1132 bytes, want 1135

hint: if it stays so, take another file or version: `kist lock --upgrade-package thing`
""")
        self.assert_store_clean()
        self.assert_runs(self.run_kist("lock", "--upgrade-package", "thing"))
        self.assert_runs(self.run_kist("run", "true"))

    def test_lock_of_a_newer_kist(self):
        self.wheel()
        self.assert_runs(self.lock("thing"))
        path = self.project / "pylock.kist.toml"
        text = path.read_text()
        self.assertIn('lock-version = "1.0"', text)
        path.write_text(text.replace('lock-version = "1.0"', 'lock-version = "2.0"'))
        self.assert_fails(self.run_kist("run", "--frozen", "true"), 125, """
error: pylock.kist.toml:2:16: lock-version 2.0 is not supported, only 1.0 (PEP 751)

hint: update kist, or write the lock with an older tool
""")
        self.assertEqual(path.read_text().count('lock-version = "2.0"'), 1)

    def test_hash_in_requirements_differs(self):
        self.wheel()
        self.assert_fails(self.lock(f"thing==1.0 --hash=sha256:{'0' * 64}"), 1, """
error: no file of thing 1.0 that the index has fits the hashes in the requirements

hint: if the change is expected, write the hashes again: `pip-compile --generate-hashes`
""")

    def test_same_file_different_bytes(self):
        self.wheel("one", "1.0", {"shared.py": b"1\n", "one.py": b""})
        self.wheel("two", "1.0", {"shared.py": b"2\n", "two.py": b""})
        self.write({"requirements.txt": "one\ntwo\n"})
        self.assert_fails(self.run_kist("run", "true"), 125, """
error: assembling the environment
  cause: 'opt/kist/lib/python3.13/site-packages/shared.py' differs between one 1.0 and two 1.0

hint: leave one of them out of what the project asks for, or take other versions
""")
        self.assert_store_clean()


class HostileWheels(lib.KistTest):
    """Each wheel is wrong in one way; none leaves anything."""

    def install(self, kind, program="import evil"):
        # What the index says of a file need not be true: the file is what is tried here.
        metadata = make_wheel.metadata("evil", "1.0") if kind in ("entries", "not-a-zip") else None
        self.index.add(make_wheel.hostile(kind), metadata)
        self.write({"requirements.txt": "evil\n"})
        outcome = self.run_kist("run", "python", "-c", program)
        self.assert_store_clean()
        return outcome

    def warnings_of(self, outcome):
        return [line for line in outcome.err.splitlines() if line.startswith("warning: ")]

    # What is installed tells the truth, whatever the wheel said.
    SHOW_RECORD = "import evil, os; d = os.path.dirname(evil.__file__); " \
                  "print([l for l in open(d + '/evil-1.0.dist-info/RECORD') if 'evil.py' in l])"
    GOOD_RECORD = str([make_wheel.record_line("evil.py", b'__version__ = "1.0"\n')]) + "\n"

    def test_dotdot(self):
        self.assert_fails(self.install("dotdot"), 125, """
error: installing evil 1.0
  cause: installing wheel 'evil-1.0-py3-none-any.whl'
  cause: reading zip 'STORE/cache/partial/claims.XXXXXX/0'
  cause: entry '../../../../tmp/evil' has a name that contains '..'

hint: if it stays so, take another file or version: `kist lock --upgrade-package evil`
""")

    def test_absolute(self):
        self.assert_fails(self.install("absolute"), 125, """
error: installing evil 1.0
  cause: installing wheel 'evil-1.0-py3-none-any.whl'
  cause: reading zip 'STORE/cache/partial/claims.XXXXXX/0'
  cause: entry '/tmp/evil' has a name that is absolute

hint: if it stays so, take another file or version: `kist lock --upgrade-package evil`
""")

    def test_backslash(self):
        """A letter like any other here: a file of that odd name, where the wheel is."""
        outcome = self.install("backslash", "import evil, os; d = os.path.dirname(evil.__file__); "
                                            "print([n for n in os.listdir(d) if '\\\\' in n])")
        self.assert_runs(outcome, r"['..\\..\\evil']" + "\n")
        self.assertEqual(self.warnings_of(outcome), [
            r"warning: evil 1.0: RECORD does not list '..\..\evil'; it was written anew"])

    def test_symlink(self):
        self.assert_fails(self.install("symlink"), 125, """
error: installing evil 1.0
  cause: installing wheel 'evil-1.0-py3-none-any.whl'
  cause: entry 'link' is a symbolic link, want a file

hint: if it stays so, take another file or version: `kist lock --upgrade-package evil`
""")

    def test_case(self):
        """Two files, as everywhere where case counts."""
        show = "import evil, os; d = os.path.dirname(evil.__file__) + '/'; " \
               "print(open(d + 'A.py').read() + open(d + 'a.py').read())"
        self.assert_runs(self.install("case", show), "1\n2\n\n")

    def test_duplicate(self):
        self.assert_fails(self.install("duplicate"), 125, """
error: installing evil 1.0
  cause: installing wheel 'evil-1.0-py3-none-any.whl'
  cause: 'opt/kist/lib/python3.13/site-packages/evil.py' occurs twice with different entries

hint: if it stays so, take another file or version: `kist lock --upgrade-package evil`
""")

    def test_file_and_folder(self):
        self.assert_fails(self.install("file-and-folder"), 125, """
error: installing evil 1.0
  cause: installing wheel 'evil-1.0-py3-none-any.whl'
  cause: 'opt/kist/lib/python3.13/site-packages/x' is a file and cannot hold 'opt/kist/lib/python3.13/site-packages/x/y'

hint: if it stays so, take another file or version: `kist lock --upgrade-package evil`
""")

    def test_record_hash(self):
        outcome = self.install("record-hash", self.SHOW_RECORD)
        self.assertEqual(self.warnings_of(outcome), [
            "warning: evil 1.0: RECORD has the wrong hash of 'evil.py'; it was written anew"])
        self.assert_runs(outcome, self.GOOD_RECORD)

    def test_record_missing(self):
        outcome = self.install("record-missing", self.SHOW_RECORD)
        self.assertEqual(self.warnings_of(outcome), [
            "warning: evil 1.0: RECORD does not list 'evil.py' and 2 more; it was written anew"])
        self.assert_runs(outcome, self.GOOD_RECORD)

    def test_bomb(self):
        self.assert_fails(self.install("bomb"), 125, """
error: installing evil 1.0
  cause: installing wheel 'evil-1.0-py3-none-any.whl'
  cause: reading zip 'STORE/cache/partial/claims.XXXXXX/0'
  cause: unpacks from SIZE to SIZE, more than 200 times as much

hint: if it stays so, take another file or version: `kist lock --upgrade-package evil`
""")

    def test_entries(self):
        self.assert_fails(self.install("entries"), 125, """
error: installing evil 1.0
  cause: installing wheel 'evil-1.0-py3-none-any.whl'
  cause: reading zip 'STORE/cache/partial/claims.XXXXXX/0'
  cause: 1000000 entries, more than the limit of 300000

hint: if it stays so, take another file or version: `kist lock --upgrade-package evil`
""")

    def test_lying_size(self):
        self.assert_fails(self.install("lying-size"), 125, """
error: installing evil 1.0
  cause: installing wheel 'evil-1.0-py3-none-any.whl'
  cause: entry 'big': its content is longer than 10 bytes

hint: if it stays so, take another file or version: `kist lock --upgrade-package evil`
""")

    def test_other_name(self):
        self.assert_fails(self.install("other-name"), 125, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: Package metadata name `other` does not match given name `evil`
""")

    def test_wheel_version(self):
        self.assert_fails(self.install("wheel-version"), 125, """
error: installing evil 1.0
  cause: installing wheel 'evil-1.0-py3-none-any.whl'
  cause: a wheel of format 2.0, only 1 is known

hint: if it stays so, take another file or version: `kist lock --upgrade-package evil`
""")

    def test_not_utf8(self):
        self.assert_fails(self.install("not-utf8"), 125, """
error: installing evil 1.0
  cause: installing wheel 'evil-1.0-py3-none-any.whl'
  cause: reading zip 'STORE/cache/partial/claims.XXXXXX/0'
  cause: entry 'n\\xffme' has a name that is not UTF-8

hint: if it stays so, take another file or version: `kist lock --upgrade-package evil`
""")

    def test_not_a_zip(self):
        self.assert_fails(self.install("not-a-zip"), 125, """
error: installing evil 1.0
  cause: installing wheel 'evil-1.0-py3-none-any.whl'
  cause: reading zip 'STORE/cache/partial/claims.XXXXXX/0'
  cause: not a zip, or cut off: it has no end record

hint: if it stays so, take another file or version: `kist lock --upgrade-package evil`
""")


if __name__ == "__main__":
    lib.main()
