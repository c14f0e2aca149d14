#!/usr/bin/env python3
"""Indexes and servers that fail: while resolving, and while the locked files are fetched."""
import hashlib
import unittest

import lib
import make_wheel


class WhileResolving(lib.KistTest):
    def lock(self, fault, **env):
        self.wheel()
        self.index.faults["/simple/thing/"] = fault
        self.write({"requirements.txt": "thing\n"})
        return self.run_kist("lock", env={"UV_HTTP_RETRIES": "0", **env})

    def test_404(self):
        self.assert_fails(self.lock(404), 1, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: No solution found when resolving dependencies
    Because thing was not found in the package registry and you require thing, we can conclude
    that your requirements are unsatisfiable.

hint: check the name; `kist doctor` says which index is asked
""")

    def test_429(self):
        self.assert_fails(self.lock(429), 1, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: Failed to fetch: http://127.0.0.1:PORT/simple/thing/
    HTTP status client error (429 Too Many Requests) for url
    (http://127.0.0.1:PORT/simple/thing/)

hint: check the connection and the index: `kist doctor`
""")

    def test_500(self):
        self.assert_fails(self.lock(500), 1, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: Failed to fetch: http://127.0.0.1:PORT/simple/thing/
    HTTP status server error (500 Internal Server Error) for url
    (http://127.0.0.1:PORT/simple/thing/)

hint: check the connection and the index: `kist doctor`
""")

    def test_401(self):
        self.assert_fails(self.lock(401), 1, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: No solution found when resolving dependencies
    Because thing was not found in the package registry and you require thing, we can conclude
    that your requirements are unsatisfiable.
    An index URL (http://127.0.0.1:PORT/simple) could not be queried due to a lack of valid authentication credentials (401 Unauthorized)

hint: put the credentials into ~/.netrc: `machine 127.0.0.1 login USER password SECRET`
""")

    def test_slow(self):
        self.assert_fails(self.lock("slow"), 1, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: Failed to fetch: http://127.0.0.1:PORT/simple/thing/
    error decoding response body for url (http://127.0.0.1:PORT/simple/thing/)
    request or response body error
    operation timed out

hint: check the connection and the index: `kist doctor`
""")

    def test_truncated(self):
        self.assert_fails(self.lock("truncate"), 1, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: Failed to fetch: http://127.0.0.1:PORT/simple/thing/
    error decoding response body for url (http://127.0.0.1:PORT/simple/thing/)
    request or response body error
    error reading a body from connection
    end of file before message length reached

hint: check the connection and the index: `kist doctor`
""")

    def test_nobody_listens(self):
        self.write({"requirements.txt": "thing\n"})
        outcome = self.run_kist("lock", env={"UV_DEFAULT_INDEX": "http://127.0.0.1:1/simple",
                                             "UV_HTTP_RETRIES": "0"})
        self.assert_fails(outcome, 1, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: Failed to fetch: http://127.0.0.1:PORT/simple/thing/
    error sending request for url (http://127.0.0.1:PORT/simple/thing/)
    client error (Connect)
    tcp connect error
    Connection refused (os error 111)

hint: check the connection and the index: `kist doctor`
""")

    def test_passing_faults_are_survived(self):
        self.assert_runs(self.lock("once-503", UV_HTTP_RETRIES="3"))


class WhileFetching(lib.KistTest):
    """The lock is good; the file that comes is not."""

    def run_with(self, fault, **env):
        name = self.wheel()
        self.write({"requirements.txt": "thing\n"})
        self.assert_runs(self.run_kist("lock"))
        self.path = f"/files/{name}"
        self.index.faults[self.path] = fault
        return self.run_kist("run", "python", "-c", "import thing",
                             env={"UV_HTTP_RETRIES": "1", **env})

    def assert_refused(self, outcome, message):
        self.assert_fails(outcome, 125, message)
        self.assert_store_clean()
        # Nothing of it stays in the way: with a good server it works.
        self.index.faults.clear()
        self.assert_runs(self.run_kist("run", "python", "-c", "print('fine')"), "fine\n")
        self.assert_store_clean()

    def test_corrupt(self):
        self.assert_refused(self.run_with("corrupt"), """
error: fetching thing 1.0
  cause: get 'http://127.0.0.1:PORT/files/thing-1.0-py3-none-any.whl'
  cause: thing 1.0 has sha256:DIGEST, want sha256:DIGEST

hint: if it stays so, take another file or version: `kist lock --upgrade-package thing`
""")

    def test_truncated(self):
        self.assert_refused(self.run_with("truncate"), """
error: fetching thing 1.0
  cause: get 'http://127.0.0.1:PORT/files/thing-1.0-py3-none-any.whl': transfer closed with 561 bytes remaining to read

hint: if it stays so, take another file or version: `kist lock --upgrade-package thing`
""")

    def test_announces_more(self):
        self.assert_refused(self.run_with("long"), """
error: fetching thing 1.0
  cause: get 'http://127.0.0.1:PORT/files/thing-1.0-py3-none-any.whl': the server announces 2127 bytes, want 1127

hint: if it stays so, take another file or version: `kist lock --upgrade-package thing`
""")

    def test_endless(self):
        self.assert_refused(self.run_with("endless"), """
error: fetching thing 1.0
  cause: get 'http://127.0.0.1:PORT/files/thing-1.0-py3-none-any.whl': the server sends more than the 1120 bytes wanted

hint: if it stays so, take another file or version: `kist lock --upgrade-package thing`
""")

    def test_slow(self):
        self.assert_refused(self.run_with("slow"), """
error: fetching thing 1.0
  cause: get 'http://127.0.0.1:PORT/files/thing-1.0-py3-none-any.whl': Operation too slow. Less than 16 bytes/sec transferred the last 3 seconds

hint: check the network; behind a proxy set `HTTPS_PROXY=http://HOST:PORT`, without any network use `--offline`
""")

    def test_404(self):
        self.assert_refused(self.run_with(404), """
error: fetching thing 1.0
  cause: get 'http://127.0.0.1:PORT/files/thing-1.0-py3-none-any.whl': the server answered 404 (not found), want 200

hint: if it stays so, take another file or version: `kist lock --upgrade-package thing`
""")

    def test_429(self):
        self.assert_refused(self.run_with(429), """
error: fetching thing 1.0
  cause: get 'http://127.0.0.1:PORT/files/thing-1.0-py3-none-any.whl': the server answered 429 (too many requests), want 200

hint: try it again: what has arrived is kept
""")

    def test_500(self):
        self.assert_refused(self.run_with(500), """
error: fetching thing 1.0
  cause: get 'http://127.0.0.1:PORT/files/thing-1.0-py3-none-any.whl': the server answered 500, want 200

hint: try it again: what has arrived is kept
""")

    def test_403(self):
        self.assert_refused(self.run_with(403), """
error: fetching thing 1.0
  cause: get 'http://127.0.0.1:PORT/files/thing-1.0-py3-none-any.whl': the server answered 403 (not allowed), want 200

hint: put the credentials into ~/.netrc: `machine 127.0.0.1 login USER password SECRET`
""")

    def test_what_is_whole_stays(self):
        good, bad = self.wheel(), self.wheel("other", "1.0")
        self.write({"requirements.txt": "thing\nother\n"})
        self.assert_runs(self.run_kist("lock"))
        self.index.faults[f"/files/{bad}"] = "slow"
        self.assertEqual(self.run_kist("run", "true", env={"UV_HTTP_RETRIES": "0"}).status, 125)
        self.assertIn(f"/files/{good}", self.index.requests)
        self.index.faults.clear()
        self.index.requests.clear()
        self.assert_runs(self.run_kist("run", "python", "-c", "import thing, other"))
        self.assertIn(f"/files/{bad}", self.index.requests)
        self.assertNotIn(f"/files/{good}", self.index.requests)

    def test_passing_faults_are_survived(self):
        self.assert_runs(self.run_with("once-503"))

    def test_retry_after(self):
        self.assert_runs(self.run_with("retry-after"))

    def test_offline(self):
        name = self.wheel()
        self.write({"requirements.txt": "thing\n"})
        self.assert_runs(self.run_kist("lock"))
        self.assert_fails(self.run_kist("run", "--offline", "true"), 125, """
error: 1 of the locked packages are not on this machine, first thing 1.0

hint: run it once without `--offline`
""")
        self.assertNotIn(f"/files/{name}", self.index.requests)


class Credentials(lib.KistTest):
    SECRET = "hunter2-is-no-good-password"

    def setUp(self):
        super().setUp()
        self.index.credentials = f"me:{self.SECRET}"
        import base64
        self.index.auth = "Basic " + base64.b64encode(self.index.credentials.encode()).decode()
        self.wheel()
        self.write({"requirements.txt": "thing\n"})

    def assert_secret_is_nowhere(self, *outcomes):
        for outcome in outcomes:
            self.assertNotIn(self.SECRET, outcome.out + outcome.err)
        for folder in (self.project, self.store):
            for path in folder.rglob("*"):
                # uv keeps its own cache and answers for its own secrets.
                if path.is_file() and not path.is_symlink() and "cache/uv" not in str(path):
                    self.assertNotIn(self.SECRET.encode(), path.read_bytes(), path)

    def test_none(self):
        self.assert_fails(self.run_kist("lock"), 1, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: No solution found when resolving dependencies
    Because thing was not found in the package registry and you require thing, we can conclude
    that your requirements are unsatisfiable.
    An index URL (http://127.0.0.1:PORT/simple) could not be queried due to a lack of valid authentication credentials (401 Unauthorized)

hint: put the credentials into ~/.netrc: `machine 127.0.0.1 login USER password SECRET`
""")

    def test_wrong(self):
        url = self.index.url.replace("://", f"://me:{self.SECRET}x@")
        outcome = self.run_kist("lock", env={"UV_DEFAULT_INDEX": url})
        self.assert_fails(outcome, 1, """
error: cannot resolve requirements.txt for Python 3.13 on linux/amd64 (glibc 2.41)
  cause: No solution found when resolving dependencies
    Because thing was not found in the package registry and you require thing, we can conclude
    that your requirements are unsatisfiable.
    An index URL (http://127.0.0.1:PORT/simple) could not be queried due to a lack of valid authentication credentials (401 Unauthorized)

hint: put the credentials into ~/.netrc: `machine 127.0.0.1 login USER password SECRET`
""")
        self.assert_secret_is_nowhere(outcome)

    def test_in_the_address(self):
        env = {"UV_DEFAULT_INDEX": self.index.url_with_credentials}
        outcome = self.run_kist("run", "python", "-c", "import os, thing; print(sorted(os.environ))",
                                env=env)
        self.assert_runs(outcome)
        self.assert_secret_is_nowhere(outcome)

    def test_in_netrc(self):
        netrc = self.home / ".netrc"
        netrc.write_text(f"machine 127.0.0.1 login me password {self.SECRET}\n")
        netrc.chmod(0o600)
        if self.user:
            lib.own(netrc, self.user)
        self.addCleanup(netrc.unlink)
        outcome = self.run_kist("run", "python", "-c", "import thing")
        self.assert_runs(outcome)
        self.assert_secret_is_nowhere(outcome)

    def test_in_pip_conf(self):
        conf = self.folder / "pip.conf"
        conf.write_text(f"[global]\nindex-url = {self.index.url_with_credentials}\n")
        outcome = self.run_kist("run", "python", "-c", "import thing",
                                env={"PIP_CONFIG_FILE": str(conf), "UV_DEFAULT_INDEX": ""})
        self.assert_runs(outcome)
        self.assert_secret_is_nowhere(outcome)


class WithoutNetwork(lib.KistTest):
    """A proxy that nobody listens at stands for a network that is down."""

    DOWN = {"http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1",
            "HTTPS_PROXY": "http://127.0.0.1:1", "no_proxy": "", "NO_PROXY": ""}

    def test_what_is_ready_runs(self):
        self.write({"requirements.txt": ""})
        self.assert_runs(self.run_kist("run", "true"))
        self.assert_runs(self.run_kist("run", "true", env=self.DOWN))
        self.assert_runs(self.run_kist("run", "--offline", "true", env=self.DOWN))

    def test_new_project(self):
        self.write({"requirements.txt": "thing\n"})
        self.assert_fails(self.run_kist("run", "true", env=self.DOWN), 125, """
error: get 'MIRROR/dists/trixie/InRelease': Failed to connect to 127.0.0.1 port 1 after TIME: Couldn't connect to server

hint: check the network; behind a proxy set `HTTPS_PROXY=http://HOST:PORT`, without any network use `--offline`
""")

    def test_empty_store(self):
        self.write({"requirements.txt": ""})
        env = {**self.DOWN, "KIST_HOME": str(self.folder / "empty")}
        self.assert_fails(self.run_kist("run", "true", env=env), 125, """
error: get 'MIRROR/dists/trixie/InRelease': Failed to connect to 127.0.0.1 port 1 after TIME: Couldn't connect to server

hint: check the network; behind a proxy set `HTTPS_PROXY=http://HOST:PORT`, without any network use `--offline`
""")


if __name__ == "__main__":
    lib.main()
