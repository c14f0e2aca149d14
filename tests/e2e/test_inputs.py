#!/usr/bin/env python3
"""The files that people already have, as they write them: what is locked from them, and that it runs."""
import os
import pathlib
import re
import subprocess
import textwrap
import unittest

import lib
import local_index
import make_wheel
import test_builds


def imports(*names):
    return ("python", "-c", "".join(f"import {name}\n" for name in names))


def blocks(lock):
    """The lock's [[packages]] blocks, by name."""
    found = re.findall(r'\[\[packages\]\]\nname = "([^"]*)"\n(.*?)\n\n', lock, re.S)
    return dict(found)


class InputTest(lib.KistTest):
    def publish(self, *names, version="1.0", **more):
        for name in names:
            self.index.add(make_wheel.wheel(name, version, **more))

    def lock_text(self, name="pylock.kist.toml"):
        return (self.project / name).read_text()

    def locked(self, name="pylock.kist.toml"):
        return sorted(blocks(self.lock_text(name)))


class Requirements(InputTest):
    def test_all_of_pips_syntax(self):
        """BOM, CRLF, continuations, comments, nesting, constraints, markers, extras, links, ${X}."""
        other = pathlib.Path(str(self.wheels) + "-other")
        other.mkdir()
        with local_index.LocalIndex(other, auth="user:s3cret") as index:
            index.add(make_wheel.wheel("elsewhere", "1.0"))
            self.publish("base-thing")
            self.publish("base-thing", version="2.0")
            self.publish("fancy", requires=["gold; extra == 'rich'"], extras=["rich"])
            self.publish("gold", "never", "nested")
            linked = make_wheel.wheel("linked", "1.0")
            local = make_wheel.wheel("local-file", "1.0")
            self.write({
                "requirements.txt":
                    b"\xef\xbb\xbf# made by hand\r\n"
                    b"--extra-index-url ${EXTRA_INDEX}\r\n"
                    b"--find-links ../links\r\n"
                    b"-r reqs/nested.txt\r\n"
                    b"-c limits.txt\r\n"
                    b"fancy[rich] >= 1 ; \\\r\n    python_version >= '3.8'  # a comment\r\n"
                    b"never; python_version < '3'\r\n"
                    b"base-thing\r\nelsewhere\r\nlinked\r\n"
                    + f"./vendored/{local[0]}\r\n./lib\r\n".encode(),
                "reqs/nested.txt": "nested\n",
                "limits.txt": "base-thing<2\n",
                f"vendored/{local[0]}": local[1],
                **test_builds.project("liba", folder="lib"),
            })
            links = self.project.parent / "links"
            links.mkdir(exist_ok=True)
            (links / linked[0]).write_bytes(linked[1])
            url = index.url.replace("://", "://user:${EXTRA_SECRET}@")
            self.write({"requirements.txt": (self.project / "requirements.txt").read_bytes()
                        .replace(b"${EXTRA_INDEX}", url.encode())})
            done = self.run_kist("run", *imports("fancy", "gold", "base_thing", "elsewhere", "linked",
                                                 "local_file", "liba", "nested"),
                                 env={"EXTRA_SECRET": "s3cret"})
        self.assert_runs(done)
        self.assertEqual(self.locked(), ["base-thing", "elsewhere", "fancy", "gold", "liba", "linked",
                                         "local-file", "nested"])
        self.assertIn('name = "base-thing"\nversion = "1.0"', self.lock_text())
        self.assertNotIn("s3cret", self.lock_text() + done.err)

    def test_only_hashed_files(self):
        self.publish("thing")
        good = self.index.packages["thing-1.0-py3-none-any.whl"].sha256
        self.write({"requirements.txt": f"thing==1.0 \\\n    --hash=sha256:{'0' * 64} \\\n"
                                        f"    --hash=sha256:{good}\n"})
        self.assert_runs(self.run_kist("run", *imports("thing")))

    def test_layouts_without_a_requirements_txt(self):
        self.publish("thing", "tool")
        self.write({"requirements/base.txt": "thing\n"})
        self.assert_runs(self.run_kist("run", *imports("thing")))
        self.write({"requirements/dev.txt": "-r base.txt\ntool\n"})
        self.assert_fails(self.run_kist("run", "true"), 125, """
error: there are several requirements files and no requirements.txt: requirements/base.txt, requirements/dev.txt

hint: choose one: `kist run --from requirements/base.txt …`, or for good `inputs = ["requirements/base.txt"]` under [environment] in kist.toml
""")
        self.assert_runs(self.run_kist("run", "--from", "requirements/dev.txt",
                                       *imports("thing", "tool")))

    def test_what_pip_would_not_install_either(self):
        self.write({"setup.cfg": "[metadata]\nname = x\n[options]\npackages = x\n"})
        self.assert_fails(self.run_kist("run", "true"), 125, """
error: setup.cfg describes a package, but there is neither setup.py nor pyproject.toml

hint: `printf 'from setuptools import setup\\nsetup()\\n' > setup.py`
""")


class Projects(InputTest):
    def test_extras_and_groups(self):
        self.publish("core", "plots", "testing", "linting", "documents")
        files = test_builds.project("demo", source="src")
        files["pyproject.toml"] += textwrap.dedent("""
            dependencies = ["core"]
            [project.optional-dependencies]
            plot = ["plots"]
            [dependency-groups]
            test = ["testing"]
            dev = [{ include-group = "test" }, "linting"]
            docs = ["documents"]
            [tool.kist.environment]
            extras = ["plot"]
            [tool.kist.environment.docs]
            groups = ["docs"]
            default-groups = false
            [tool.kist.tasks]
            hello = "demo-hello"
            words = ["python", "-c", "import sys; print(sys.argv[1:])", "a b"]
        """)
        self.write({**files, "requirements-dev.txt": "nonesuch\n"})
        self.assert_runs(self.run_kist("task", "hello"), "hello from demo\n")
        self.assertEqual(self.locked(), ["core", "demo", "linting", "plots", "testing"])
        self.assert_runs(self.run_kist("task", "words", "c d"), "['a b', 'c d']\n")
        self.assert_runs(self.run_kist("run", "--env", "docs", *imports("demo", "documents")))
        self.assertEqual(self.locked("pylock.kist-docs.toml"), ["core", "demo", "documents", "plots"])

    def test_metadata_that_is_built_beside_its_sources(self):
        """setuptools writes *.egg-info into the project; that must work, and must not stay."""
        self.publish("core")
        files = test_builds.project("demo")
        files["pyproject.toml"] = files["pyproject.toml"].replace(
            'version = "1.0"', 'dynamic = ["version", "dependencies"]')
        files["backend/own.py"] = files["backend/own.py"].replace(
            'Version: {VERSION}\\n"', 'Version: {VERSION}\\nRequires-Dist: core\\n"').replace(
            "def get_requires_for_build_wheel(settings=None): return []",
            "def get_requires_for_build_wheel(settings=None):\n"
            '    pathlib.Path("demo.egg-info").mkdir()\n    return []')
        self.write(files)
        locked = self.run_kist("lock")
        self.assert_runs(locked)
        self.assertEqual(self.locked(), ["core", "demo"])
        self.assertFalse((self.project / "demo.egg-info").exists())

    def test_lock_of_a_name(self):
        self.publish("thing", "tool")
        thing = self.index.packages["thing-1.0-py3-none-any.whl"]
        foreign = ('lock-version = "1.0"\ncreated-by = "test"\n[[packages]]\nname = "thing"\n'
                   f'version = "1.0"\nwheels = [{{ url = "{self.index.origin}/files/{thing.name}", '
                   f'hashes = {{ sha256 = "{thing.sha256}" }} }}]\n')
        self.write({"pylock.dev.toml": foreign})
        self.assert_runs(self.run_kist("run", *imports("thing")))
        self.write({"pylock.prod.toml": foreign})
        self.assert_fails(self.run_kist("lock"), 2, """
error: there are several locks and no pylock.toml: pylock.dev.toml, pylock.prod.toml

hint: choose one: `kist run --from pylock.dev.toml …`, or for good `inputs = ["pylock.dev.toml"]` under [environment] in kist.toml
""")

    def test_python_that_the_base_has_not(self):
        self.write({".python-version": "3.12\n", "requirements.txt": ""})
        self.assert_fails(self.run_kist("run", "true"), 125, """
error: the project wants Python 3.12 (.python-version); there is Python 3.13 (debian:trixie), 3.11 (debian:bookworm)

hint: for a standalone build of Python 3.12 write under [environment] in kist.toml: `interpreter = { url = "https://…/cpython-3.12.…-x86_64-unknown-linux-gnu-install_only.tar.gz", sha256 = "…" }`
""")


class Scripts(InputTest):
    def test_metadata_of_a_script_however_it_is_named(self):
        self.publish("thing")
        self.write({"sub/script.py": '# /// script\n# dependencies = ["thing"]\n# ///\n'
                                     'import sys, thing\nprint(sys.argv[1:])\n'})
        script = self.project / "sub/script.py"
        for command in (["sub/script.py"], ["./sub/script.py"], ["sub/../sub//script.py"],
                        [str(script)], ["python", "./sub/script.py"]):
            self.assert_runs(self.run_kist("run", *command, "a", "--b"), "['a', '--b']\n")
        self.assertEqual(sorted(p.name for p in self.project.iterdir()), ["sub"])

    def test_project_however_it_is_named(self):
        self.write({"requirements.txt": "", "sub/x": ""})
        for name in (".", "./", "sub/..", str(self.project), f"{self.project}/."):
            done = self.run_kist("run", "--project", name, "pwd")
            self.assert_runs(done, f"{self.project}\n")
        self.assert_runs(self.run_kist("run", "pwd", project=self.project / "sub"),
                         f"{self.project}/sub\n")
        link = self.project.parent / (self.project.name + "-link")
        link.symlink_to(self.project)
        linked = self.run_kist("run", "pwd", project=link, env={"PWD": str(link)})
        self.assert_runs(linked, f"{link}\n")

    def test_umask_of_the_person(self):
        self.write({"requirements.txt": ""})
        for umask, mode in ((0o077, 0o600), (0o002, 0o664), (0o027, 0o640)):
            for name in ("first", "second"):  # By the engine, and by what is ready.
                made = self.project / f"{name}{umask:o}"
                if name == "first":
                    (self.project / "requirements.txt").write_text(f"# {umask}\n")
                self.assert_runs(self.run_kist("run", "touch", made.name,
                                               preexec_fn=lambda m=umask: os.umask(m)))
                self.assertEqual(made.stat().st_mode & 0o777, mode, name)


class Locks(InputTest):
    def test_a_new_package_changes_its_own_lines_only(self):
        self.publish("aaa", "mmm", "zzz")
        self.write({"requirements.txt": "aaa\nzzz\n"})
        self.assert_runs(self.run_kist("lock"))
        before = self.lock_text()
        self.publish("aaa", version="1.1")
        self.write({"requirements.txt": "aaa\nzzz\nmmm\n"})
        self.assert_runs(self.run_kist("lock"))
        after = self.lock_text()
        self.assertEqual(blocks(before), {k: v for k, v in blocks(after).items() if k != "mmm"})
        gone = [line for line in before.splitlines() if line not in after.splitlines()]
        self.assertEqual([line.split(" = ")[0] for line in gone], ["inputs"])

    def test_of_another_platform(self):
        self.publish("aaa")
        self.write({"requirements.txt": "aaa\n"})
        self.assert_fails(self.run_kist("verify", "--platform", "linux/arm64"), 1, """
error: there is no lock 'PROJECT/pylock.kist@linux-arm64.toml'

hint: `kist lock --platform linux/arm64`
""")
        self.assert_runs(self.run_kist("lock", "--platform", "linux/arm64"))
        text = (self.project / "pylock.kist@linux-arm64.toml").read_text()
        self.assertIn('architecture = "arm64"', text)
        self.assertNotIn('architecture = "amd64"', text)
        done = self.run_kist("verify", "--platform", "linux/arm64", timeout=600)
        self.assertRegex(done.out, r"^identical: \d+ packages", done)

    def test_upgrade_of_one(self):
        self.publish("aaa", "zzz")
        self.write({"requirements.txt": "aaa\nzzz\n"})
        self.assert_runs(self.run_kist("lock"))
        self.publish("aaa", "zzz", version="1.1")
        self.assert_runs(self.run_kist("lock"))
        self.assertIn('"aaa"\nversion = "1.0"', self.lock_text())
        self.assert_runs(self.run_kist("lock", "--upgrade", "zzz"))
        self.assertIn('"aaa"\nversion = "1.0"', self.lock_text())
        self.assertIn('"zzz"\nversion = "1.1"', self.lock_text())
        self.assert_runs(self.run_kist("lock", "--upgrade"))
        self.assertIn('"aaa"\nversion = "1.1"', self.lock_text())
        self.assert_fails(self.run_kist("lock", "zzz"), 2, """
error: kist lock takes no 'zzz'

hint: `kist lock --upgrade zzz` for a newer version of it, `kist add zzz` to ask for it
""")

    def test_locked_frozen_offline(self):
        self.publish("aaa", "zzz")
        self.write({"requirements.txt": "aaa\n"})
        self.assert_fails(self.run_kist("run", "--locked", "true"), 125, """
error: --locked: there is no 'pylock.kist.toml' for requirements.txt

hint: `kist lock`
""")
        self.assert_fails(self.run_kist("run", "--frozen", "true"), 125, """
error: --frozen: there is no lock 'PROJECT/pylock.kist.toml'

hint: `kist lock`
""")
        self.assert_runs(self.run_kist("run", *imports("aaa")))
        self.write({"requirements.txt": "aaa\nzzz\n"})
        self.assert_fails(self.run_kist("run", "--locked", "true"), 125, """
error: --locked: 'pylock.kist.toml' is stale: requirements.txt or what it uses has changed

hint: `kist lock`
""")
        self.assert_fails(self.run_kist("run", "--offline", "true"), 125, """
error: --offline: the lock is not current, and resolving needs the index

hint: run it once without `--offline`
""")
        self.assert_runs(self.run_kist("run", "--frozen", *imports("aaa")))
        self.assert_fails(self.run_kist("add", "--offline", "zzz"), 1, """
error: --offline: the lock is not current, and resolving needs the index

hint: run it once without `--offline`
""")


class Credentials(InputTest):
    """They reach the index, and nothing that is kept or said."""

    SECRET = "pa55w0rd-in-no-file"

    def setUp(self):
        super().setUp()
        self.guarded = self.serve(auth=f"ada:{self.SECRET}")

    def serve(self, **more):
        folder = pathlib.Path(str(self.wheels) + f"-{len(more)}{'-'.join(more)}")
        folder.mkdir()
        index = local_index.LocalIndex(folder, **more)
        index.__enter__()
        self.addCleanup(index.__exit__)
        index.add(make_wheel.wheel("thing", "1.0"))
        return index

    def assert_secret_is_kept(self, *outcomes):
        for outcome in outcomes:
            self.assertNotIn(self.SECRET, outcome.out + outcome.err)
        encoded = local_index.basic(f"ada:{self.SECRET}")[6:]
        for folder in (self.store, self.project):
            for word in (self.SECRET, encoded):
                found = subprocess.run(["grep", "-rlF", "--", word, folder], capture_output=True,
                                       text=True, check=False)
                self.assertEqual(found.stdout, "")

    def run_thing(self, **env):
        self.write({"requirements.txt": "thing\n"})
        done = self.run_kist("run", *imports("thing"), env=env)
        self.assert_runs(done)
        self.assert_secret_is_kept(done)
        return done

    def test_in_the_address(self):
        self.run_thing(UV_DEFAULT_INDEX=self.guarded.url_with_credentials)

    def test_of_pips_variables_and_files(self):
        self.write({"pip.conf": f"[global]\nindex-url = {self.guarded.url_with_credentials}\n"})
        conf = self.home / "pip.conf"
        (self.project / "pip.conf").rename(conf)
        self.run_thing(UV_DEFAULT_INDEX="", PIP_CONFIG_FILE=str(conf))

    def test_of_netrc(self):
        netrc = self.home / "netrc"
        netrc.write_text(f"machine 127.0.0.1 login ada password {self.SECRET}\n")
        netrc.chmod(0o600)
        self.addCleanup(netrc.unlink)
        if self.user:
            lib.own(netrc, self.user)
        self.run_thing(UV_DEFAULT_INDEX=self.guarded.url, NETRC=str(netrc))

    def test_of_the_keyring(self):
        folder = self.folder / "keyring-program"
        folder.mkdir()
        (folder / "keyring").write_text(f'#!/bin/sh\n[ "$3" = ada ] && echo {self.SECRET}\n')
        (folder / "keyring").chmod(0o755)
        self.run_thing(UV_DEFAULT_INDEX=self.guarded.url.replace("://", "://ada@"),
                       UV_KEYRING_PROVIDER="subprocess", PATH=f"{folder}:{os.environ['PATH']}")

    def test_wrong_ones(self):
        self.write({"requirements.txt": "thing\n"})
        wrong = self.guarded.url.replace("://", f"://eve:{self.SECRET}@")
        done = self.run_kist("run", "true", env={"UV_DEFAULT_INDEX": wrong})
        self.assert_fails(done, 125, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: No solution found when resolving dependencies
    Because thing was not found in the package registry and you require thing, we can conclude
    that your requirements are unsatisfiable.
    An index URL (http://127.0.0.1:PORT/simple) could not be queried due to a lack of valid authentication credentials (401 Unauthorized)

hint: put the credentials into ~/.netrc: `machine 127.0.0.1 login USER password SECRET`
""")
        self.assert_secret_is_kept(done)

    def test_of_a_guarded_direct_address(self):
        wheel = "thing-1.0-py3-none-any.whl"
        url = f"{self.guarded.origin}/files/{wheel}".replace("://", f"://ada:{self.SECRET}@")
        self.write({"requirements.txt": f"thing @ {url.replace(self.SECRET, '${TOKEN}')}\n"})
        done = self.run_kist("run", *imports("thing"), env={"TOKEN": self.SECRET})
        self.assert_runs(done)
        self.assert_secret_is_kept(done)

    def test_certificate_that_only_the_host_knows(self):
        pem, certificate = local_index.make_certificate(self.folder)
        secure = self.serve(tls=pem)
        known = self.home / "known.pem"
        known.write_text(certificate)
        known.chmod(0o644)
        self.write({"requirements.txt": "thing\n"})
        self.assert_fails(self.run_kist("run", "true", env={"UV_DEFAULT_INDEX": secure.url}), 125, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: Failed to fetch: https://127.0.0.1:PORT/simple/thing/
    error sending request for url (https://127.0.0.1:PORT/simple/thing/)
    client error (Connect)
    invalid peer certificate: UnknownIssuer

hint: check the connection and the index: `kist doctor`
""")
        self.run_thing(UV_DEFAULT_INDEX=secure.url, SSL_CERT_FILE=str(known))

    def test_through_a_proxy(self):
        proxy = self.serve(proxy_auth=f"ada:{self.SECRET}")
        address = proxy.origin.replace("://", f"://ada:{self.SECRET}@")
        self.run_thing(UV_DEFAULT_INDEX="http://index.invalid/simple", http_proxy=address,
                       HTTP_PROXY=address, no_proxy="", NO_PROXY="")
        self.assertTrue(any(".whl" in path for path in proxy.proxied), proxy.proxied)


@unittest.skipIf(os.getuid() != 0, "only root can become another user")
class CredentialsAsUser(Credentials):
    user = lib.PLAIN_UID


if __name__ == "__main__":
    lib.main()
