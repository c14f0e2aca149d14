#!/usr/bin/env python3
"""Packages without a wheel: source distributions, folders, editable projects, commits; byte-code."""
import os
import socket
import subprocess

import lib
import make_wheel

# A backend of the project's own, so that nothing is fetched: wheels from SOURCE, or a .pth to it.
BACKEND = '''
import os, pathlib, zipfile
NAME, VERSION, SOURCE, SCRIPTS = {name!r}, "1.0", {source!r}, {scripts!r}
def make(folder, files):
    wheel = f"{{NAME}}-{{VERSION}}-py3-none-any.whl"
    info = f"{{NAME}}-{{VERSION}}.dist-info"
    files = dict(files)
    files[f"{{info}}/METADATA"] = f"Metadata-Version: 2.1\\nName: {{NAME}}\\nVersion: {{VERSION}}\\n"
    files[f"{{info}}/WHEEL"] = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    files[f"{{info}}/entry_points.txt"] = SCRIPTS
    files[f"{{info}}/RECORD"] = "".join(f"{{n}},,\\n" for n in [*files, f"{{info}}/RECORD"])
    with zipfile.ZipFile(pathlib.Path(folder) / wheel, "w") as zip:
        for name, text in files.items(): zip.writestr(name, text)
    return wheel
def get_requires_for_build_wheel(settings=None): return []
def get_requires_for_build_editable(settings=None): return []
def build_wheel(folder, settings=None, metadata=None):
    {hook}
    root = pathlib.Path(SOURCE)
    return make(folder, {{str(p.relative_to(root)): p.read_text() for p in root.rglob("*.py")
                         if "backend" not in p.parts}})
def build_editable(folder, settings=None, metadata=None):
    return make(folder, {{f"{{NAME}}.pth": os.path.abspath(SOURCE) + "\\n"}})
'''


def project(name, source=".", hook="pass", folder=""):
    scripts = f"[console_scripts]\n{name}-hello = {name}:main\n"
    where = f"{folder}/" if folder else ""
    package = name if source == "." else f"{source}/{name}"
    return {
        f"{where}pyproject.toml":
            '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["backend"]\n'
            f'[project]\nname = "{name}"\nversion = "1.0"\n'
            f'scripts = {{ {name}-hello = "{name}:main" }}\n',
        f"{where}backend/own.py":
            BACKEND.format(name=name, source=source, scripts=scripts, hook=hook),
        f"{where}{package}/__init__.py": f'def main():\n    print("hello from {name}")\n',
    }


class Builds(lib.KistTest):
    def test_folder(self):
        self.write({"requirements.txt": "./lib\n", **project("liba", folder="lib")})
        self.assert_runs(self.run_kist("run", "liba-hello"), "hello from liba\n")
        where = self.run_kist("run", "python", "-c", "import liba; print(liba.__file__)")
        self.assertIn("/site-packages/", where.out, where)

    def test_project_is_editable_and_rebuilt_only_when_its_build_changes(self):
        self.write(project("demo", source="src"))
        self.assert_runs(self.run_kist("run", "demo-hello"), "hello from demo\n")
        self.write({"src/demo/__init__.py": 'def main():\n    print("changed")\n'})
        again = self.run_kist("run", "demo-hello")
        self.assert_runs(again, "changed\n")
        self.assertNotIn("built", again.err)

    def test_editable_requirement(self):
        self.write({"requirements.txt": "-e .\n", **project("demo", source="src")})
        self.assert_runs(self.run_kist("run", "demo-hello"), "hello from demo\n")

    def test_commit(self):
        files = project("gitpkg")
        repository = self.make_project("repository-", files)
        # git does as little as kist in a folder of somebody else.
        lib.own(repository, os.getuid())
        git = ["git", "-c", "user.email=a@b.c", "-c", "user.name=n", "-C", str(repository)]
        for args in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
            subprocess.run([*git, *args], check=True, env={**os.environ, "HOME": str(self.home)})
        if self.user:
            lib.own(repository, self.user)
        self.write({"requirements.txt": f"gitpkg @ git+file://{repository}\n"})
        done = self.run_kist("run", "gitpkg-hello", timeout=900)
        if "fetch" in done.err and done.status == 125 and "network" in done.err:
            self.skipTest("git cannot be fetched: " + done.err)
        self.assert_runs(done, "hello from gitpkg\n")

    def test_sdist(self):
        self.index.add(make_wheel.sdist("pure", "1.0"))
        self.write({"requirements.txt": "pure\n"})
        self.assert_runs(self.run_kist("run", "python", "-c", "import pure"))

    def test_failure_names_the_package_and_shows_the_end_of_its_output(self):
        self.write({"requirements.txt": "./lib\n",
                    **project("liba", folder="lib", hook="raise SystemExit('no such luck')")})
        done = self.run_kist("run", "true")
        self.assertEqual(done.status, 125, done)
        self.assertIn("building liba", done.err)
        self.assertIn("no such luck", done.err)

    def build_that_connects(self, address):
        """A wheel is the proof that the connection was made: without one the build fails."""
        hook = f"import socket; socket.create_connection({address!r}, 5).close()"
        self.write({"requirements.txt": "./lib\n", **project("liba", folder="lib", hook=hook)})
        return self.run_kist("run", "liba-hello")

    def test_a_build_has_no_network(self):
        """The index listens there, and answers whoever reaches it."""
        address = ("127.0.0.1", self.index.server.server_port)
        with socket.create_connection(address, 5):
            pass
        done = self.build_that_connects(address)
        self.assertEqual(done.status, 125, done)
        self.assertIn("building liba", done.err)
        # Unreachable or refused: there is a network of its own, and nobody in it.
        self.assertRegex(done.err, r"ConnectionRefusedError|Network is unreachable")


class BuildsAsUser(Builds):
    user = lib.PLAIN_UID


class ByteCode(lib.KistTest):
    def test_compiled_while_a_program_runs_then_used(self):
        self.index.add(make_wheel.wheel("thing", "1.0", {"thing.py": b"X = 1\n"}))
        self.write({"requirements.txt": "thing\n"})
        wait = "import time; time.sleep(0.2)"
        self.assert_runs(self.run_kist("run", "python", "-c", wait))
        # The store has the project that primed it, too.
        ready = next(path for path in self.store.glob("projects/*/default.ready")
                     if f"\nproject {self.project}\n" in path.read_text())
        # At idle priority it may take long on a busy machine: done here as the helper would do it.
        if "\nbytecode " in ready.read_text():
            engine = self.kist.parent / "kist-engine"
            done = subprocess.run([engine, "--compile-bytecode", ready], env=self.environment(),
                                  capture_output=True, text=True, timeout=900)
            self.assertEqual(done.returncode, 0, done)
        self.assertNotIn("\nbytecode ", ready.read_text())
        failure = self.store / "cache/bytecode/last-error"
        self.assertFalse(failure.exists(), failure.exists() and failure.read_text())
        loaded = self.run_kist("run", "python", "-v", "-c", "import thing, json")
        self.assertRegex(loaded.err, r"code object from '?/opt/kist/\S*/__pycache__/thing\.cpython-\d+\.pyc")
        self.assertRegex(loaded.err, r"code object from '?/usr/lib/\S*/json/__pycache__/")


if __name__ == "__main__":
    lib.main()
