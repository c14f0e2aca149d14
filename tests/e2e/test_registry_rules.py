"""Who may do what, how much and how often, against a running `kist registry serve`."""
import base64
import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time
import unittest
import urllib.parse

from registries import free_port
from test_registry_server import KIST, MANIFEST, RegistryTest, Server, digest_of


def basic(user, password="secret"):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def htpasswd(users):
    """Lines of a file of users."""
    lines = []
    for user, password in users.items():
        lines.append(subprocess.run(["htpasswd", "-nbBC", "4", user, password], check=True, capture_output=True, text=True).stdout.strip())
    return "\n".join(lines) + "\n"


def eventually(check, seconds=15):
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise AssertionError("does not become true")
        time.sleep(0.1)


def code_of(said):
    return json.loads(said)["errors"][0]["code"]


class Bounds(RegistryTest):
    def test_a_quota_is_kept_over_restarts_and_given_back(self):
        config = "[[quota]]\nrepositories = 'team/**'\nbytes = '1 MB'\n"
        with Server(self.folder, config=config) as server:
            self.assertEqual(server.push_image("team/a", "t", [b"config", os.urandom(600_000)])[0], 201)
            large = os.urandom(500_000)
            status, said = server.push_blob("team/b", large)
            self.assertEqual((status, code_of(said)), (403, "DENIED"))
            self.assertIn(b"the quota of 1.0 MB for 'team/**' has", said)
            self.assertEqual(server.push_blob("other", large)[0], 201)
            # Mounting it is no way around.
            status, _, said = server.ask("POST", f"/v2/team/b/blobs/uploads/?mount={digest_of(large)}&from=other")
            self.assertEqual(status, 403, said)
            server.kill(signal.SIGKILL)
            server.start()
            self.assertEqual(server.push_blob("team/b", large)[0], 403)
            digest = json.loads(server.ask("GET", "/v2/team/a/manifests/t")[2])["layers"][0]["digest"]
            self.assertEqual(server.ask("DELETE", f"/v2/team/a/blobs/{digest}")[0], 202)
            self.assertEqual(server.push_blob("team/b", large)[0], 201)
        self.check_all_whole()
        self.assertEqual(self.uploads(), [])

    def test_many_who_push_at_once_stay_within_a_quota(self):
        with Server(self.folder, config="[[quota]]\nrepositories = '**'\nbytes = '1 MB'\n") as server:
            results = []
            threads = [threading.Thread(target=lambda n=i: results.append(server.push_blob(f"r{n}", os.urandom(100_000))[0])) for i in range(30)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual((results.count(201), results.count(403)), (10, 20))

    def test_retention_while_it_serves(self):
        config = ("[gc]\nevery = '1s'\ngrace = '0s'\nuntagged = true\n"
                  "[[retention]]\nrepositories = 'team/*'\ntags = ['build-*']\nkeep_last = 2\n")
        with Server(self.folder, config=config.replace("every = '1s'", "every = '0s'")) as server:
            layers = {}
            for i in range(5):
                layers[i] = os.urandom(10_000)
                self.assertEqual(server.push_image("team/a", f"build-{i}", [b"config", layers[i]])[0], 201)
                os.utime(self.folder + f"/registry/repositories/team/a/_tags/build-{i}", (time.time() - 100 + i,) * 2)
            server.push_image("team/a", "release", [b"config", layers[0]])
            server.push_image("elsewhere", "build-0", [b"config", layers[1]])
            server.kill(signal.SIGTERM)
            server.config = config
            server.start()
            eventually(lambda: json.loads(server.ask("GET", "/v2/team/a/tags/list")[2])["tags"] == ["build-3", "build-4", "release"])
            eventually(lambda: server.ask("GET", f"/v2/team/a/blobs/{digest_of(layers[2])}")[0] == 404)
            for repository, number in [("team/a", 0), ("elsewhere", 1), ("team/a", 3), ("team/a", 4)]:
                self.assertEqual(server.ask("GET", f"/v2/{repository}/blobs/{digest_of(layers[number])}")[2], layers[number])
        self.check_all_whole()

    def test_collections_while_others_push_and_pull(self):
        config = "[gc]\nevery = '0s'\ngrace = '2s'\nuntagged = true\n"
        with Server(self.folder, config=config) as server:
            stop, wrong, pushed = threading.Event(), [], []

            def push(number):
                shared = b"shared layer " * 1000
                for i in range(1000):
                    if stop.is_set():
                        return
                    layers = [b"config", shared, os.urandom(20_000)]
                    status, said = server.push_image(f"r{number}", f"t{i}", layers)
                    if status != 201:
                        wrong.append((status, said))
                        return
                    pushed.append((f"r{number}", f"t{i}", layers))
                    for data in layers:
                        if server.ask("GET", f"/v2/r{number}/blobs/{digest_of(data)}")[2] != data:
                            wrong.append((number, i))
                    if i % 2:
                        server.ask("DELETE", f"/v2/r{number}/manifests/t{i}")
                        pushed.pop(pushed.index((f"r{number}", f"t{i}", layers)))

            threads = [threading.Thread(target=push, args=(i,)) for i in range(3)]
            for thread in threads:
                thread.start()
            freed = 0
            for _ in range(8):
                time.sleep(0.7)
                said = subprocess.run([KIST, "registry", "gc", "--root", f"{self.folder}/registry", "--config", f"{self.folder}/config.toml", "--json"],
                                      capture_output=True, text=True, check=True)
                freed += json.loads(said.stdout)["blobs"]
            stop.set()
            for thread in threads:
                thread.join()
            self.assertEqual(wrong, [])
            self.assertTrue(pushed)
            self.assertGreater(freed, 0)
            for repository, tag, layers in pushed:
                self.assertEqual(server.ask("GET", f"/v2/{repository}/manifests/{tag}")[0], 200)
                for data in layers:
                    self.assertEqual(server.ask("GET", f"/v2/{repository}/blobs/{digest_of(data)}")[2], data)
        self.check_all_whole()

    def test_one_client_may_ask_so_often(self):
        with Server(self.folder, config="[limits]\nrequests_per_second = 5\nburst = 10\n") as server:
            said = [server.ask("GET", "/v2/") for _ in range(30)]
            self.assertGreaterEqual([s for s, _, _ in said].count(200), 10)
            refused = [answer for answer in said if answer[0] == 429]
            self.assertGreater(len(refused), 5)
            self.assertEqual(refused[0][1]["retry-after"], "1")
            self.assertEqual(code_of(refused[0][2]), "TOOMANYREQUESTS")
            time.sleep(1.1)
            self.assertEqual(server.ask("GET", "/v2/")[0], 200)

    def test_read_only(self):
        with Server(self.folder) as server:
            server.push_image("a", "t", [b"config", b"layer"])
        with Server(self.folder, "--read-only") as server:
            self.assertEqual(server.ask("GET", "/v2/a/manifests/t")[0], 200)
            self.assertEqual(server.ask("GET", f"/v2/a/blobs/{digest_of(b'layer')}")[2], b"layer")
            for method, path in [("POST", "/v2/a/blobs/uploads/"), ("PUT", "/v2/a/manifests/t"), ("DELETE", "/v2/a/manifests/t"),
                                 ("DELETE", f"/v2/a/blobs/{digest_of(b'layer')}"), ("POST", f"/v2/a/blobs/uploads/?digest={digest_of(b'x')}")]:
                status, _, said = server.ask(method, path, b"{}", {"Content-Type": MANIFEST})
                self.assertEqual((status, code_of(said)), (405, "UNSUPPORTED"), (method, path))
        self.assertEqual(len(self.blobs()), 3)

    def test_slow_heads_and_bodies_end_and_fast_ones_do_not(self):
        config = "[limits]\nhead_time = '1s'\nidle = '2s'\nbody_grace = '1s'\nmin_rate = '100 kB'\n"
        with Server(self.folder, config=config) as server:
            head, body, idle = server.connect(), server.connect(), server.connect()
            head.sendall(b"GET /v2/ HT")
            data = os.urandom(150_000)
            place = server.ask("POST", "/v2/a/blobs/uploads/")[1]["location"]
            body.sendall(f"PUT {place}?digest={digest_of(data)} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode())
            began = time.monotonic()
            for connection, least, most in [(head, 0.9, 6), (body, 0.9, 6), (idle, 1.8, 8)]:
                self.assertEqual(connection.recv(100), b"")
                self.assertGreater(time.monotonic() - began, least)
                self.assertLess(time.monotonic() - began, most)
                connection.close()
            # What comes at twice the rate may take longer than the grace time.
            with server.connect() as connection:
                place = server.ask("POST", "/v2/a/blobs/uploads/")[1]["location"]
                connection.sendall(f"PUT {place}?digest={digest_of(data)} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode())
                for at in range(0, len(data), 30_000):
                    connection.sendall(data[at:at + 30_000])
                    time.sleep(0.3)
                self.assertTrue(connection.recv(1000).startswith(b"HTTP/1.1 201 "))

    def test_more_connections_than_it_takes(self):
        with Server(self.folder, config="[limits]\nconnections = 20\n") as server:
            held = [server.connect() for _ in range(20)]
            eventually(lambda: refused(server))
            for connection in held:
                connection.close()
            eventually(lambda: not refused(server))


def refused(server):
    with server.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return connection.recv(1000).startswith(b"HTTP/1.1 503 ")


@unittest.skipUnless(shutil.which("htpasswd"), "needs htpasswd")
class Shown(RegistryTest):
    def test_health_readiness_metrics_and_log(self):
        log = pathlib.Path(self.folder, "log")
        with Server(self.folder, "--access-log", str(log), config="[auth]\nhtpasswd = '%s/users'\n" % self.folder, users=htpasswd({"ada": "secret"})) as server:
            # Without a login.
            self.assertEqual(server.ask("GET", "/healthz")[2], b"ok\n")
            self.assertEqual(server.ask("GET", "/readyz")[2], b"ready\n")
            self.assertEqual(server.ask("GET", "/v2/a/tags/list")[0], 401)
            server.ask("GET", "/v2/a/tags/list", headers=basic("ada"))
            status, headers, text = server.ask("GET", "/metrics")
            self.assertEqual((status, headers["content-type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
            names = {}
            for line in text.decode().splitlines():
                if not line.startswith("#"):
                    name, value = line.rsplit(" ", 1)
                    names[name] = float(value)
            self.assertEqual(len(names), len([line for line in text.decode().splitlines() if not line.startswith("#")]), "each name once")
            self.assertGreaterEqual(names["kist_registry_request_seconds_count"], 4)
            self.assertGreater(names["kist_registry_resident_bytes"], 1_000_000)
            self.assertGreater(names["kist_registry_free_bytes"], 0)
            self.assertEqual(names["kist_registry_open_uploads"], 0)
            # A registry whose folder is not one any more is alive and not ready.
            os.unlink(f"{self.folder}/registry/format")
            self.assertEqual(server.ask("GET", "/healthz")[0], 200)
            self.assertEqual(server.ask("GET", "/readyz")[0], 503)
            pathlib.Path(self.folder, "registry/format").write_text("kist-registry 1\n")
            self.assertEqual(server.ask("GET", "/readyz")[0], 200)
            # A log that is moved away is begun anew.
            eventually(lambda: "/readyz" in log.read_text())
            log.rename(log.with_name("log.1"))
            server.process.send_signal(signal.SIGHUP)
            eventually(log.exists)
            server.ask("GET", "/v2/", headers={**basic("ada"), "User-Agent": "a \"quoted\" one\t"})
            eventually(lambda: log.read_text().count("\n") >= 1)
            line = json.loads(log.read_text().splitlines()[-1])
            self.assertEqual((line["user"], line["method"], line["target"], line["status"]), ("ada", "GET", "/v2/", 200))
            self.assertEqual(line["agent"], 'a "quoted" one')


@unittest.skipUnless(shutil.which("htpasswd"), "needs htpasswd")
class Users(RegistryTest):
    def users(self, **users):
        pathlib.Path(self.folder, "users").write_text(htpasswd(users))

    def test_users_that_change_while_it_serves(self):
        self.users(ada="one")
        with Server(self.folder, "--htpasswd", f"{self.folder}/users") as server:
            def status(user, password):
                return server.ask("GET", "/v2/", headers=basic(user, password))[0]

            self.assertEqual((status("ada", "one"), status("bob", "two"), server.ask("GET", "/v2/")[0]), (200, 401, 401))
            # Without a signal, within seconds; who was remembered is forgotten.
            self.users(bob="two")
            eventually(lambda: status("bob", "two") == 200)
            self.assertEqual(status("ada", "one"), 401)
            # With one, at once. A file that is none is told, and the old users stay.
            pathlib.Path(self.folder, "users").write_text("bob:plain\n")
            server.process.send_signal(signal.SIGHUP)
            said = server.process.stderr.readline() + server.process.stderr.readline()
            self.assertIn("line 1 is not 'user:' and a bcrypt hash", said)
            self.assertEqual(status("bob", "two"), 200)

    def rights(self):
        return ("[auth]\nhtpasswd = '%s/users'\ntokens = true\n" % self.folder +
                "[[access]]\nusers = ['ci']\nrepositories = ['team/**']\nrights = ['read', 'write']\n"
                "[[access]]\nusers = ['boss']\nrepositories = ['**']\nrights = ['read', 'delete']\n"
                "[[access]]\nusers = ['anonymous']\nrepositories = ['public/*']\nrights = ['read']\n")

    def token(self, server, user, *scopes):
        query = "&".join("scope=" + urllib.parse.quote(one) for one in scopes)
        status, _, said = server.ask("GET", f"/token?service=kist-registry&{query}", headers=basic(user) if user else {})
        self.assertEqual(status, 200, said)
        return {"Authorization": "Bearer " + json.loads(said)["token"]}

    def test_tokens_carry_the_rights_of_their_user_for_a_repository(self):
        self.users(ci="secret", boss="secret")
        with Server(self.folder, config=self.rights()) as server:
            def status(method, path, who, body=None):
                return server.ask(method, path, body, {**who, "Content-Type": MANIFEST})[0]

            challenge = server.ask("GET", "/v2/team/a/manifests/t")[1]["www-authenticate"]
            self.assertEqual(challenge, f'Bearer realm="http://127.0.0.1:{server.port}/token",service="kist-registry",scope="repository:team/a:pull"')
            ci = self.token(server, "ci", "repository:team/a:pull,push,delete")
            blob = digest_of(b"config")
            self.assertEqual(status("POST", f"/v2/team/a/blobs/uploads/?digest={blob}", ci, b"config"), 201)
            document = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": {"mediaType": "a/b", "digest": blob, "size": 6}, "layers": []})
            self.assertEqual(status("PUT", "/v2/team/a/manifests/t", ci, document), 201)
            self.assertEqual(status("GET", "/v2/team/a/manifests/t", ci), 200)
            self.assertEqual(status("DELETE", "/v2/team/a/manifests/t", ci), 401)
            self.assertEqual(status("GET", "/v2/team/b/manifests/t", ci), 401, "the token is for another repository")
            elsewhere = self.token(server, "ci", "repository:public/x:pull,push", "repository:secret:pull")
            self.assertEqual(status("POST", "/v2/public/x/blobs/uploads/", elsewhere), 401)
            self.assertEqual(status("GET", "/v2/secret/tags/list", elsewhere), 401)
            only_read = self.token(server, "ci", "repository:team/a:pull")
            self.assertEqual(status("POST", "/v2/team/a/blobs/uploads/", only_read), 401)
            boss = self.token(server, "boss", "repository:team/a:*")
            self.assertEqual(status("POST", "/v2/team/a/blobs/uploads/", boss), 401)
            self.assertEqual(status("DELETE", "/v2/team/a/manifests/t", boss), 202)
            nobody = self.token(server, None, "repository:public/x:pull", "repository:team/a:pull")
            self.assertEqual(status("GET", "/v2/public/x/tags/list", nobody), 404)
            self.assertEqual(status("GET", "/v2/team/a/tags/list", nobody), 401)
            # A password that is wrong gets none, and a token no other token.
            self.assertEqual(server.ask("GET", "/token", headers=basic("ci", "wrong"))[0], 401)
            self.assertEqual(server.ask("GET", "/token?scope=repository:team/b:pull", headers=ci)[0], 401)
            # They outlive a restart.
            server.kill(signal.SIGTERM)
            server.start()
            self.assertEqual(status("GET", "/v2/team/a/tags/list", ci), 200)


class Messages(RegistryTest):
    """What is wrong with how it is started, and what it says when nothing is."""

    def said(self, *args, config=None):
        if config is not None:
            pathlib.Path(self.folder, "c.toml").write_text(config)
            args += ("--config", "c.toml")
        got = subprocess.run([KIST, "registry", "serve", "--root", "r", *args], cwd=self.folder, capture_output=True, text=True, timeout=60)
        self.assertNotEqual(got.returncode, 0)
        self.assertEqual(got.stdout, "")
        return got.stderr

    def certificate(self, name, *key):
        subprocess.run(["openssl", "req", "-x509", "-newkey", *(key or ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")), "-nodes", "-days", "2",
                        "-subj", "/CN=x", "-keyout", f"{self.folder}/{name}.key", "-out", f"{self.folder}/{name}.crt"], check=True, capture_output=True)

    def test_what_is_wrong_is_named(self):
        here = os.path.realpath(self.folder)
        free = ("--listen", "127.0.0.1:0")
        for name in ("one", "two"):
            self.certificate(name)
        pathlib.Path(self.folder, "users").write_text("# people\nada:plain\n")
        self.assertEqual(self.said(config="[server]\nlissten = ':5'\n"), "error: c.toml:2:11: unknown key 'server.lissten'\n\nhint: write `listen`\n")
        self.assertEqual(self.said(config="[tls]\ncertificate = 'c'\n"), "error: c.toml: [tls] needs 'certificate' and 'key'\n")
        self.assertIn("hint: did you mean `--listen`?", self.said("--lissten", "x"))
        self.assertEqual(self.said("--config", "none.toml"), f"error: open '{here}/none.toml': No such file or directory\n")
        self.assertEqual(self.said(*free, "--tls-cert", "one.crt"), "error: --tls-cert and --tls-key belong together\n")
        self.assertEqual(self.said(*free, "--tls-cert", "none", "--tls-key", "one.key"),
                         f"error: TLS file\n  cause: open '{here}/none': No such file or directory\n")
        self.assertEqual(self.said(*free, "--tls-cert", "users", "--tls-key", "one.key"),
                         f"error: certificate '{here}/users': is not PEM: no line '-----BEGIN …-----'\n")
        self.certificate("rsa", "rsa:2048")
        for other in ("two", "rsa"):
            self.assertIn(f"error: key '{here}/{other}.key' is not the one of certificate '{here}/one.crt'\n",
                          self.said(*free, "--tls-cert", "one.crt", "--tls-key", f"{other}.key"))
        self.assertEqual(self.said(*free, "--htpasswd", "users"), f"error: users of '{here}/users'\n  cause: line 2 is not 'user:' and a bcrypt hash\n\n"
                                                                  "hint: `htpasswd -B FILE USER` writes such lines\n")
        self.assertEqual(self.said(*free, "--cache-of", "registry.example"),
                         "error: --cache-of is 'registry.example', want an address that begins with https:// or http://\n\n"
                         "hint: `--cache-of https://registry.example`\n")
        self.assertEqual(self.said(*free, config="[token_server]\nrealm = 'https://a'\nservice = 's'\nissuer = 'i'\njwks = 'users'\n"),
                         "error: keys of the token server\n  cause: 'users' is not a JSON Web Key Set: {\"keys\": […]}\n")
        bucket = "[s3]\nendpoint = 'http://127.0.0.1:1'\nbucket = 'b'\naccess_key = 'k'\nsecret_key = 's'\npart = "
        for size, shown in (("'1 MiB'", "1.0 MB"), ("'3 GiB'", "3.2 GB")):
            self.assertEqual(self.said(*free, config=bucket + size), f"error: [s3] 'part' is {shown}, want 5 MiB to 2.5 GiB\n")
        self.assertEqual(self.said("--listen", "5000"), "error: '5000' is not HOST:PORT\n\nhint: `--listen 127.0.0.1:5000`\n")
        with Server(self.folder) as server:
            said = self.said("--listen", f"127.0.0.1:{server.port}")
        self.assertEqual(said, f"error: listen at '127.0.0.1:{server.port}': Address already in use\n\n"
                               f"hint: `ss -ltnp 'sport = :{server.port}'` shows who does; choose another with --listen\n")
        os.rename(f"{here}/users", f"{here}/r/users")
        os.unlink(f"{here}/r/format")
        self.assertEqual(self.said(*free), f"error: '{here}/r' is neither empty nor a registry\n\nhint: choose a folder of its own with --root\n")

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to be somebody else")
    def test_what_a_user_may_not(self):
        self.certificate("one")
        os.chmod(self.folder, 0o755)
        os.mkdir(f"{self.folder}/mine")
        os.chown(f"{self.folder}/mine", 12345, 12345)

        def said(*args):
            return subprocess.run(["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups", KIST, "registry", "serve", *args],
                                  cwd=self.folder, capture_output=True, text=True, timeout=60, env={**os.environ, "KIST_HOME": f"{self.folder}/mine/kist"}).stderr

        self.assertEqual(said("--listen", "127.0.0.1:80", "--root", "mine/r"),
                         "error: listen at '127.0.0.1:80': Permission denied\n\nhint: ports below 1024 are root's: `--listen :5000`\n")
        self.assertIn("Permission denied", said("--listen", "127.0.0.1:0", "--root", "r"))
        self.assertIn("Permission denied", said("--listen", "127.0.0.1:0", "--root", "mine/r", "--tls-cert", "one.crt", "--tls-key", "one.key"))

    def test_what_it_says_when_it_serves(self):
        self.certificate("one")
        pathlib.Path(self.folder, "users").write_text("")
        for args, config, expected in [
                ((), "", "without TLS; everybody may read, write and delete\n"),
                (("--read-only",), "", "without TLS; everybody may read; read-only\n"),
                (("--htpasswd", "/dev/null", "--anonymous-read"), "", "without TLS; users of '/dev/null'; without login: read\n"),
                (("--htpasswd", "/dev/null"), "[auth]\ntokens = true\n[[access]]\nusers = ['a']\nrepositories = ['b']\nrights = ['read']\n",
                 "without TLS; users of '/dev/null', with tokens; 1 rule of access\n"),
                (("--cache-of", "http://user:word@127.0.0.1:1"), "", "without TLS; everybody may read, write and delete; cache of http://127.0.0.1:1\n")]:
            with Server(self.folder, *args, config=config) as server:
                self.assertEqual(server.said, expected)


class Signer:
    """A token server's key: tokens as it would give them, signed by OpenSSL."""

    def __init__(self, folder, name, kind="rsa"):
        self.key, self.certificate, self.kind = f"{folder}/{name}.key", f"{folder}/{name}.crt", kind
        algorithm = ["rsa:2048"] if kind == "rsa" else ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        subprocess.run(["openssl", "req", "-x509", "-newkey", *algorithm, "-nodes", "-days", "2", "-subj", f"/CN={name}",
                        "-keyout", self.key, "-out", self.certificate], check=True, capture_output=True)

    def chain(self):
        der = subprocess.run(["openssl", "x509", "-in", self.certificate, "-outform", "DER"], check=True, capture_output=True).stdout
        return [base64.b64encode(der).decode()]

    def token(self, header=None, **claims):
        now = int(time.time())
        claims = {"iss": "auth.example", "aud": "reg.example", "sub": "ada", "nbf": now - 5, "iat": now - 5, "exp": now + 300, "jti": "1",
                  "access": [{"type": "repository", "name": "team/a", "actions": ["pull", "push"]}], **claims}
        header = {"typ": "JWT", "alg": "RS256" if self.kind == "rsa" else "ES256", "x5c": self.chain(), **(header or {})}
        header = {key: value for key, value in header.items() if value is not None}
        text = ".".join(encode(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=text.encode(), check=True, capture_output=True).stdout
        if self.kind != "rsa":
            signature = raw_of(signature)
        return text + "." + encode(signature)


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw_of(der):
    """r and s, 32 bytes each, of a signature in DER."""
    first = der[3]
    r, s = der[4:4 + first], der[6 + first:]
    return b"".join(int.from_bytes(part, "big").to_bytes(32, "big") for part in (r, s))


class ForeignTokens(RegistryTest):
    def setUp(self):
        super().setUp()
        self.good, self.elliptic, self.stranger = Signer(self.folder, "good"), Signer(self.folder, "elliptic", "ec"), Signer(self.folder, "stranger")
        bundle = pathlib.Path(self.good.certificate).read_text() + pathlib.Path(self.elliptic.certificate).read_text()
        pathlib.Path(self.folder, "bundle.pem").write_text(bundle)

    def config(self):
        return ("[token_server]\nrealm = 'https://auth.example/token'\nservice = 'reg.example'\nissuer = 'auth.example'\n"
                f"certificates = '{self.folder}/bundle.pem'\n")

    def tokens(self):
        """(name, token, whether it is good)."""
        now = int(time.time())
        good = self.good.token()
        head, claims, signature = good.split(".")
        none = encode(b'{"typ":"JWT","alg":"none"}')
        with_public_key = encode(b'{"typ":"JWT","alg":"HS256"}') + "." + claims
        mac = subprocess.run(["openssl", "dgst", "-sha256", "-hmac", pathlib.Path(self.good.certificate).read_text(), "-binary"],
                             input=with_public_key.encode(), check=True, capture_output=True).stdout
        jwk = {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}
        return [
            ("RS256", good, True), ("ES256", self.elliptic.token(), True),
            ("two audiences", self.good.token(aud=["other", "reg.example"]), True),
            ("expired", self.good.token(exp=now - 100), False), ("not yet valid", self.good.token(nbf=now + 1000), False),
            ("for others", self.good.token(aud="other"), False), ("of others", self.good.token(iss="other"), False),
            ("by a stranger", self.stranger.token(), False), ("by a stranger, without its chain", self.stranger.token({"x5c": None}), False),
            ("a stranger with our chain", self.stranger.token({"x5c": self.good.chain()}), False),
            ("a stranger's key in it", self.stranger.token({"x5c": None, "jwk": jwk}), False),
            ("an unknown key", self.good.token({"x5c": None, "kid": "../../../dev/null"}), False),
            ("alg none", f"{none}.{claims}.", False), ("alg none, signed", f"{none}.{claims}.{signature}", False),
            ("HS256 with the public key", with_public_key + "." + encode(mac), False),
            ("claims changed", f"{head}.{encode(base64.urlsafe_b64decode(claims + '==').replace(b'team/a', b'team/b'))}.{signature}", False),
            ("cut", good[:-10], False), ("empty", "a..", False), ("no token", "nonsense", False),
        ]

    def test_tokens_of_a_trusted_server_and_no_others(self):
        with Server(self.folder, config=self.config()) as server:
            status, headers, _ = server.ask("POST", "/v2/team/a/blobs/uploads/")
            self.assertEqual((status, headers["www-authenticate"]),
                             (401, 'Bearer realm="https://auth.example/token",service="reg.example",scope="repository:team/a:pull,push"'))
            for name, token, is_good in self.tokens():
                with self.subTest(name):
                    status, headers, said = server.ask("POST", "/v2/team/a/blobs/uploads/", headers={"Authorization": "Bearer " + token})
                    self.assertEqual(status, 202 if is_good else 401, said)
                    if not is_good:
                        self.assertIn('error="invalid_token"', headers["www-authenticate"])
                        self.assertIn(b"this token is not valid: ", said)
            who = {"Authorization": "Bearer " + self.good.token()}
            self.assertEqual(server.ask("GET", "/v2/", headers=who)[0], 200)
            self.assertEqual(server.ask("GET", "/v2/team/b/tags/list", headers=who)[0], 401)
            self.assertEqual(server.ask("DELETE", "/v2/team/a/manifests/t", headers=who)[0], 401)
            self.assertEqual(server.ask("GET", "/v2/_catalog", headers=who)[0], 401)
            lists = {"Authorization": "Bearer " + self.good.token(access=[{"type": "registry", "name": "catalog", "actions": ["*"]}])}
            self.assertEqual(server.ask("GET", "/v2/_catalog", headers=lists)[0], 200)
            # Longer than a head may be, or than a token may be.
            for size in (17_000, 15_000):
                status = server.ask("GET", "/v2/", headers={"Authorization": "Bearer " + "a" * size})[0]
                self.assertEqual(status, 431 if size == 17_000 else 401)
            self.assertEqual(server.ask("GET", "/v2/", headers=basic("ada"))[0], 401)
            # Keys that change while it serves.
            pathlib.Path(self.folder, "bundle.pem").write_text(pathlib.Path(self.stranger.certificate).read_text())
            stranger = {"Authorization": "Bearer " + self.stranger.token()}
            eventually(lambda: server.ask("GET", "/v2/", headers=stranger)[0] == 200)
            self.assertEqual(server.ask("GET", "/v2/", headers=who)[0], 401)

    @unittest.skipUnless(shutil.which("docker-registry"), "needs docker-registry")
    def test_docker_registry_judges_the_same(self):
        port = free_port()
        pathlib.Path(self.folder, "docker.yml").write_text(
            f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {self.folder}/docker}}}}\nhttp: {{addr: '127.0.0.1:{port}', secret: x}}\n"
            "auth:\n  token: {realm: 'https://auth.example/token', service: reg.example, issuer: auth.example, "
            f"rootcertbundle: {self.folder}/bundle.pem}}\n")
        process = subprocess.Popen(["docker-registry", "serve", f"{self.folder}/docker.yml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        docker = Server(self.folder)
        docker.port = port

        def is_up():
            try:
                return docker.ask("GET", "/v2/")[0] == 401
            except OSError:
                return False

        eventually(is_up)
        for name, token, is_good in self.tokens():
            if name == "two audiences":
                continue  # Older ones know only one.
            with self.subTest(name):
                status = docker.ask("POST", "/v2/team/a/blobs/uploads/", headers={"Authorization": "Bearer " + token})[0]
                self.assertEqual(status, 202 if is_good else 401)


if __name__ == "__main__":
    unittest.main()
