#!/usr/bin/env python3
"""Images between kist and a real registry, Debian's docker-registry, with skopeo as the second opinion."""
import base64
import gzip
import json
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import image_forge as forge
import lib
import registries
import test_images

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def busybox_layer():
    program = shutil.which("busybox")
    if program is None:
        raise unittest.SkipTest("busybox is not installed")
    return forge.layer(forge.folder("bin"), forge.entry("bin/busybox", content=pathlib.Path(program).read_bytes(), mode=0o755),
                       forge.link("bin/sh", "busybox"), forge.link("bin/cat", "busybox"), forge.folder("tmp", 0o1777))


class RegistryTest(test_images.ImageTest):
    """Each class has a registry, each test its own repositories and an empty store."""

    users = None
    tls = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = registries.DockerRegistry(cls.folder / "registry", users=cls.users, tls=cls.tls)
        cls.registry.__enter__()
        cls.addClassCleanup(cls.registry.__exit__)

    def setUp(self):
        super().setUp()
        self.repository = "test/" + self.id().rsplit(".", 1)[1].replace("_", "-")
        self.config = self.work / "config"
        self.config.mkdir()
        if self.user:
            lib.own(self.config, self.user)

    def environment(self, **more):
        return super().environment(**{"CONTAINERS_REGISTRIES_CONF": "/dev/null", "XDG_CONFIG_HOME": str(self.config),
                                      "DOCKER_CONFIG": str(self.config / "docker"), "UV_HTTP_TIMEOUT": "10", **more})

    def name(self, tag="1", repository=None, host=None):
        return f"{host or self.registry.host}/{repository or self.repository}:{tag}"

    def loaded(self, tars, name="local:1", **run):
        layout = forge.Layout(pathlib.Path(tempfile.mkdtemp(dir=self.work)) / "layout")
        image_id = layout.image(name, tars, **run)
        layout.path.parent.chmod(0o755)
        self.do("load", "-i", layout.path)
        return image_id

    def empty_store(self):
        """As another machine would have."""
        self.store = pathlib.Path(tempfile.mkdtemp(prefix="store-", dir=self.work))
        if self.user:
            lib.own(self.store, self.user)

    def skopeo(self, *args):
        done = subprocess.run([test_images.tool("skopeo"), *map(str, args)], capture_output=True, text=True, timeout=120,
                              env={**lib.host_environment(), "HOME": str(self.home)})
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def digest_at_registry(self, tag="1", repository=None):
        return json.loads(self.skopeo("inspect", "--tls-verify=false", "docker://" + self.name(tag, repository)))["Digest"]


class Images(RegistryTest):
    def test_there_and_back(self):
        image_id = self.loaded(forge.changing_layers())
        out = self.do("push", "local:1", self.name())
        digest = out.strip().splitlines()[-1].split()[2]
        self.assertEqual(digest, self.digest_at_registry())
        with self.registry.asked() as again:
            self.do("push", "local:1", self.name())
        self.assertLessEqual(len(again), 2, again)
        self.empty_store()
        out = self.do("pull", self.name())
        self.assertIn(f"Digest: {digest}\n", out)
        self.assertIn("Status: Downloaded newer image for " + self.name(), out)
        self.assertEqual(self.id_of(self.name()), image_id)
        with self.registry.asked() as again:
            self.assertIn("Status: Image is up to date for " + self.name(), self.do("pull", self.name()))
        self.assertLessEqual(len(again), 2, again)
        self.assert_store_clean()

    def test_a_newer_version_brings_its_new_layers_only(self):
        shared = forge.layer(forge.entry("shared", content=noise(1 << 20)))
        first = self.loaded([shared, forge.layer(forge.entry("version", content=b"1"))], "local:1")
        second = self.loaded([shared, forge.layer(forge.entry("version", content=b"2"))], "local:2")
        self.do("push", "local:1", self.name("latest"))
        store = self.store
        self.empty_store()
        mine, self.store = self.store, store
        self.do("push", "local:2", self.name("other"))
        self.store = mine
        self.do("pull", self.name("latest"))
        self.assertEqual(self.id_of(self.name("latest")), first)
        self.store = store
        self.do("push", "local:2", self.name("latest"))
        self.store = mine
        with self.registry.asked() as asked:
            self.do("pull", self.name("latest"))
        self.assertEqual(self.id_of(self.name("latest")), second)
        blobs = [path for method, path, _ in asked if "/blobs/" in path]
        self.assertEqual(len(blobs), 2, f"the configuration and one layer: {asked}")
        self.assertEqual(self.id_of(first[7:19]), first, "the old one is here still, without a name")
        self.assert_store_clean()

    def test_by_digest(self):
        image_id = self.loaded([forge.layer(forge.entry("a", content=b"a"))])
        digest = self.do("push", "local:1", self.name()).strip().splitlines()[-1].split()[2]
        self.empty_store()
        name = f"{self.registry.host}/{self.repository}@{digest}"
        self.assertEqual(self.do("pull", "-q", name).strip(), name)
        self.assertEqual(self.id_of(image_id[7:]), image_id)
        wrong = self.run_kist("pull", f"{self.registry.host}/{self.repository}@sha256:{'0' * 64}")
        self.assertEqual(wrong.status, 1, wrong)
        self.assertIn("answered 404", wrong.err)

    def test_index_of_two_platforms(self):
        ids, entries = {}, []
        for architecture in ("amd64", "arm64"):
            tar = forge.layer(forge.entry("for", content=architecture.encode()))
            config = forge.config_of([tar]).replace(b"amd64", architecture.encode())
            packed = gzip.compress(tar, mtime=0)
            manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json", "digest": forge.digest(config), "size": len(config)},
                "layers": [{"mediaType": forge.LAYER + "+gzip", "digest": forge.digest(packed), "size": len(packed)}]}).encode()
            for blob in (config, packed):
                self.registry.put_blob(self.repository, blob, forge.digest(blob))
            self.registry.put_manifest(self.repository, forge.digest(manifest), manifest, MANIFEST)
            ids[architecture] = forge.digest(config)
            entries.append({"mediaType": MANIFEST, "digest": forge.digest(manifest), "size": len(manifest),
                            "platform": {"os": "linux", "architecture": architecture}})
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
        digest = self.registry.put_manifest(self.repository, "1", index, INDEX)
        for architecture in ("amd64", "arm64"):
            self.assertIn(f"Digest: {digest}", self.do("pull", "--platform", "linux/" + architecture, self.name()))
            self.assertEqual(self.id_of(self.name()), ids[architecture])
        missing = self.run_kist("pull", "--platform", "linux/riscv64", self.name())
        self.assertEqual(missing.status, 1, missing)
        self.assertIn("no image for linux/riscv64 among 2 in the index: linux/amd64, linux/arm64\n\nhint: `--platform linux/amd64`", missing.err)
        self.assertEqual(self.do("manifest", "inspect", self.name()).strip().encode(), index)
        alone = f"{self.registry.host}/{self.repository}@{entries[0]['digest']}"
        wrong = self.run_kist("pull", "--platform", "linux/arm64", alone)
        self.assertEqual(wrong.status, 1, wrong)
        self.assertIn("the image is for linux/amd64, want linux/arm64", wrong.err)
        self.do("pull", alone)

    def test_run_pulls_what_is_not_here(self):
        self.loaded([busybox_layer(), forge.layer(forge.entry("version", content=b"one\n"))])
        self.do("push", "local:1", self.name())
        self.do("rmi", "local:1")
        run = lambda *more: self.run_kist("run", *more, "--image", self.name(), "--", "/bin/busybox", "cat", "/version")
        never = run("--pull", "never")
        self.assertNotEqual(never.status, 0, never)
        self.assertEqual(run().out, "one\n")
        self.loaded([busybox_layer(), forge.layer(forge.entry("version", content=b"two\n"))], "local:2")
        self.do("push", "local:2", self.name())
        with self.registry.asked() as asked:
            self.assertEqual(run().out, "one\n")
        self.assertEqual(asked, [], "an image that is here is not asked for")
        self.assertEqual(run("--pull", "always").out, "two\n")

    def test_layers_of_other_repositories_are_mounted(self):
        self.loaded([forge.layer(forge.entry("a", content=noise(300_000)))])
        first = self.name(repository=self.repository + "/one")
        self.do("push", "local:1", first)
        self.do("tag", "local:1", first)
        with self.registry.asked() as asked:
            out = self.do("push", "local:1", self.name(repository=self.repository + "/two"))
        self.assertIn(": Mounted", out)
        mounts = [status for method, path, status in asked if method == "POST" and "mount=" in path]
        self.assertEqual(mounts, [201])
        self.empty_store()
        self.do("pull", self.name(repository=self.repository + "/two"))

    def test_dry_run_sends_nothing(self):
        self.loaded([forge.layer(forge.entry("a", content=noise(300_000)))])
        with self.registry.asked() as asked:
            out = self.do("push", "--dry-run", "local:1", self.name())
        self.assertIn("Would be pushed", out)
        self.assertIn("to send: 3", out)
        self.assertEqual({method for method, _, _ in asked}, {"HEAD"})
        self.assertIn("answered 404", self.run_kist("pull", self.name()).err)

    def test_all_tags(self):
        for tag in ("a", "b"):
            self.loaded([forge.layer(forge.entry("tag", content=tag.encode()))], "local:" + tag)
            self.do("push", "local:" + tag, self.name(tag))
        name = self.name().removesuffix(":1")
        self.assertEqual(sorted(self.do("tags", name).split()), ["a", "b"])
        self.assertEqual(json.loads(self.do("tags", "--json", name))["Repository"], name)
        self.empty_store()
        # What is no image, a signature say, is passed over.
        config = b'{"mediaType": "none"}'
        self.registry.put_blob(self.repository, config, forge.digest(config))
        described = {"mediaType": "application/x.thing", "digest": forge.digest(config), "size": len(config)}
        self.registry.put_manifest(self.repository, "aa", json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": described,
                                                                      "layers": []}).encode(), MANIFEST)
        done = self.run_kist("pull", "-q", "--all-tags", name)
        self.assertEqual(done.status, 0, done)
        self.assertIn(f"warning: left out '{name}:aa': it is no image for linux/", done.err)
        self.assertEqual(len(self.do("images", "-q").split()), 2)
        # And all of them go back at once.
        self.do("tag", self.name("a"), self.name("c"))
        self.do("push", "-q", "--all-tags", name)
        self.assertEqual(sorted(self.do("tags", name).split()), ["a", "aa", "b", "c"])

    def test_not_faster_than_it_may(self):
        self.loaded([forge.layer(forge.entry("small", content=noise(500_000, 1))), forge.layer(forge.entry("large", content=noise(6 << 20, 2)))])
        begun = time.monotonic()
        self.do("push", "--limit-rate", "4m", "local:1", self.name())
        self.assertGreater(time.monotonic() - begun, 1.6)
        self.empty_store()
        begun = time.monotonic()
        self.do("pull", "--limit-rate", "4m", self.name())
        self.assertGreater(time.monotonic() - begun, 1.6)
        begun = time.monotonic()
        self.do("copy", "--limit-rate", "4m", self.name(), f"oci:{self.work}/layout")
        self.assertGreater(time.monotonic() - begun, 1.6)
        for rate, why in (("0", "size '0' is out of range"), ("fast", "`--limit-rate 5m` is 5 MiB a second")):
            refused = self.run_kist("pull", "--limit-rate", rate, self.name())
            self.assertEqual(refused.status, 2, refused)
            self.assertIn(why, refused.err)

    def test_skopeo_agrees(self):
        self.loaded([forge.layer(forge.entry("a", content=b"a")), forge.layer(forge.entry("b", content=noise(5 << 20)))])
        digest = self.do("push", "local:1", self.name()).strip().splitlines()[-1].split()[2]
        self.skopeo("copy", "--src-tls-verify=false", "docker://" + self.name(), f"oci:{self.work}/copied:1")
        self.assertEqual(json.loads((self.work / "copied/index.json").read_text())["manifests"][0]["digest"], digest)
        self.skopeo("copy", "--dest-tls-verify=false", "--preserve-digests", f"oci:{self.work}/copied:1",
                    "docker://" + self.name("by-skopeo"))
        self.empty_store()
        self.assertIn("Digest: " + digest, self.do("pull", self.name("by-skopeo")))
        # And docker's own kind of manifest, which keeps its digest when it is pushed again.
        self.skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--format", "v2s2", "docker://" + self.name(),
                    "docker://" + self.name("docker"))
        wanted = self.digest_at_registry("docker")
        self.empty_store()
        self.assertIn("Digest: " + wanted, self.do("pull", self.name("docker")))
        self.do("push", self.name("docker"), self.name("docker-again"))
        self.assertEqual(self.digest_at_registry("docker-again"), wanted)

    def test_mirrors(self):
        self.loaded([forge.layer(forge.entry("a", content=b"a"))])
        self.do("push", "local:1", self.name())
        conf = self.work / "registries.conf"
        dead = f"127.0.0.1:{registries.free_port()}"
        conf.write_text(f'[[registry]]\nprefix = "registry.test"\nlocation = "{dead}"\n'
                        f'[[registry.mirror]]\nlocation = "{dead}/dead"\n'
                        f'[[registry.mirror]]\nlocation = "{self.registry.host}/test"\n')
        self.empty_store()
        name = f"registry.test/{self.repository.removeprefix('test/')}:1"
        done = self.run_kist("pull", name, env={"CONTAINERS_REGISTRIES_CONF": str(conf)})
        self.assertEqual(done.status, 0, done)
        self.assertIn(f"the mirror '{dead}' does not help", done.err)
        self.assertEqual(self.do("images", "--format", "{{.Repository}}").strip(), name.removesuffix(":1"))

    def test_a_name_without_a_registry(self):
        self.loaded([forge.layer(forge.entry("a", content=b"a"))])
        self.do("push", "local:1", self.name())
        conf = self.work / "registries.conf"
        conf.write_text(f'unqualified-search-registries = ["{self.registry.host}"]\n')
        self.empty_store()
        env = {"CONTAINERS_REGISTRIES_CONF": str(conf)}
        self.do("pull", self.repository + ":1", env=env)
        blocked = self.work / "blocked.conf"
        blocked.write_text(f'[[registry]]\nlocation = "{self.registry.host}"\nblocked = true\n')
        done = self.run_kist("pull", self.name(), env={"CONTAINERS_REGISTRIES_CONF": str(blocked)})
        self.assertEqual(done.status, 1, done)
        self.assertIn("is blocked in registries.conf", done.err)

    def test_no_tls_is_refused_off_this_machine(self):
        self.loaded([forge.layer(forge.entry("a", content=b"a"))])
        self.do("push", "local:1", self.name())
        name = f"registry.test:5000/{self.repository}:1"
        with registries.NameProxy(self.registry.port) as proxy:
            env = {"http_proxy": proxy.url, "https_proxy": proxy.url, "HTTP_PROXY": proxy.url, "HTTPS_PROXY": proxy.url,
                   "no_proxy": "", "UV_HTTP_TIMEOUT": "2"}
            refused = self.run_kist("pull", name, env=env)
            self.assertEqual(refused.status, 1, refused)
            self.assertEqual({method for method, _ in proxy.asked}, {"CONNECT"}, "nothing goes without TLS")
            self.do("pull", "--insecure", name, env=env)

    def test_not_there(self):
        self.assert_fails(self.run_kist("pull", self.name()), 1, """
error: cannot pull '127.0.0.1:PORT/test/test-not-there:1'
  cause: manifest 1 of test/test-not-there: the registry '127.0.0.1:PORT' answered 404: manifest unknown
""")


class ImagesAsUser(Images):
    user = lib.PLAIN_UID


class Passwords(RegistryTest):
    users = {"joe": "s:cret"}

    def login(self, password, **more):
        with tempfile.TemporaryFile() as secret:
            secret.write(password.encode() + b"\n")
            secret.seek(0)
            return self.run_kist("login", "-u", "joe", "--password-stdin", self.registry.host, stdin=secret, **more)

    def test_login_and_logout(self):
        self.loaded([forge.layer(forge.entry("a", content=b"a"))])
        refused = self.run_kist("push", "local:1", self.name())
        self.assertEqual(refused.status, 1, refused)
        self.assertIn(f"the registry '{self.registry.host}' wants a login\n", refused.err)
        self.assertIn(f"`kist login {self.registry.host}`", refused.err)
        wrong = self.login("wrong")
        self.assertEqual(wrong.status, 1, wrong)
        self.assertIn("wants other credentials than those of 'joe'", wrong.err)
        self.assertFalse((self.config / "docker/config.json").exists(), "a password that is refused is not kept")
        self.assertEqual(self.login("s:cret").out, "Login Succeeded\n")
        kept = self.config / "docker/config.json"
        self.assertEqual(kept.stat().st_mode & 0o777, 0o600)
        self.assertEqual(json.loads(kept.read_text())["auths"][self.registry.host]["auth"],
                         base64.b64encode(b"joe:s:cret").decode())
        self.do("push", "local:1", self.name())
        with self.registry.asked() as again:
            self.do("push", "local:1", self.name())
        self.assertLessEqual(len([status for _, _, status in again if status != 401]), 2, again)
        self.assertIn("Removing login", self.do("logout", self.registry.host))
        self.assertIn("Not logged in", self.do("logout", self.registry.host))
        self.assertEqual(self.run_kist("pull", self.name()).status, 1)

    def test_given_on_the_command_line(self):
        self.loaded([forge.layer(forge.entry("a", content=b"a"))])
        self.assertEqual(self.run_kist("push", "--creds", "joe:wrong", "local:1", self.name()).status, 1)
        self.do("push", "--creds", "joe:s:cret", "local:1", self.name())
        self.assertEqual(self.do("tags", "--creds", "joe:s:cret", self.name().removesuffix(":1")), "1\n")
        self.do("copy", "--src-creds", "joe:s:cret", "--dest-creds", "joe:s:cret", self.name(), self.name("2"))
        self.assertEqual(self.run_kist("copy", "--src-creds", "joe:s:cret", self.name(), self.name("3")).status, 1)
        self.assertEqual(sorted(json.loads(self.do("inspect", "--creds", "joe:s:cret", "docker://" + self.name()))["RepoTags"]), ["1", "2"])
        half = self.run_kist("pull", "--creds", "joe", self.name())
        self.assertEqual(half.status, 2, half)
        self.assertIn("--creds is not USER:PASSWORD", half.err)
        self.assertFalse((self.config / "docker/config.json").exists(), "nothing is kept")

    def test_a_file_of_ones_own(self):
        auth = self.work / "auth.json"
        self.assertEqual(self.run_kist("login", "--get-login", self.registry.host).status, 1)
        self.assertEqual(self.login("s:cret").out, "Login Succeeded\n")
        self.assertEqual(self.do("login", "--get-login", self.registry.host), "joe\n")
        self.do("logout", "--all")
        self.assertEqual(self.do("logout", "--all"), "Not logged in anywhere\n")
        self.do("login", "-u", "joe", "-p", "s:cret", "--authfile", auth, self.registry.host)
        self.assertEqual(list(json.loads(auth.read_text())["auths"]), [self.registry.host])
        self.loaded([forge.layer(forge.entry("a", content=b"a"))])
        self.assertEqual(self.run_kist("push", "local:1", self.name()).status, 1)
        self.do("push", "--authfile", auth, "local:1", self.name())
        self.assertIn("Removing login", self.do("logout", "--authfile", auth, self.registry.host))

    def test_another_tools_login_is_told(self):
        folder = self.config / "containers"
        folder.mkdir()
        (folder / "auth.json").write_text(json.dumps({"auths": {self.registry.host: {"auth": base64.b64encode(b"joe:s:cret").decode()}}}))
        done = self.run_kist("logout", self.registry.host)
        self.assertEqual((done.status, done.out), (0, f"Not logged in to {self.registry.host}\n"), done)
        self.assertIn(f"{folder}/auth.json still has a login for {self.registry.host}", done.err)

    def test_podmans_file(self):
        auth = self.work / "auth.json"
        auth.write_text(json.dumps({"auths": {self.registry.host: {"auth": base64.b64encode(b"joe:s:cret").decode()}}}))
        self.loaded([forge.layer(forge.entry("a", content=b"a"))])
        self.do("push", "local:1", self.name(), env={"REGISTRY_AUTH_FILE": str(auth)})


class Certificates(RegistryTest):
    tls = True

    def test_own_authority(self):
        self.loaded([forge.layer(forge.entry("a", content=b"a"))])
        self.do("push", "--insecure", "local:1", self.name())
        folder = self.config / "containers/certs.d" / self.registry.host
        folder.mkdir(parents=True)
        shutil.copy(self.registry.folder / "ca.crt", folder / "ca.crt")
        self.empty_store()
        self.do("pull", self.name())
        # Another authority than the one that signed.
        other = self.work / "other"
        other.mkdir()
        registries.make_certificate(other)
        shutil.copy(other / "ca.crt", folder / "ca.crt")
        refused = self.run_kist("pull", self.name())
        self.assertEqual(refused.status, 1, refused)
        self.assertIn("certificate", refused.err)
        self.do("pull", "--insecure", self.name())

    def test_own_authorities_stand_beside_the_systems(self):
        """The system's, here SSL_CERT_FILE, has signed this registry's; certs.d has another one."""
        self.loaded([forge.layer(forge.entry("a", content=b"a"))])
        folder = self.config / "containers/certs.d" / self.registry.host
        folder.mkdir(parents=True)
        other = self.work / "other"
        other.mkdir()
        registries.make_certificate(other)
        shutil.copy(other / "ca.crt", folder / "a.crt")
        system = {"SSL_CERT_FILE": str(self.registry.folder / "ca.crt")}
        self.do("push", "local:1", self.name(), env=system)
        refused = self.run_kist("push", "local:1", self.name("2"))
        self.assertEqual(refused.status, 1, refused)
        self.assertIn("certificate", refused.err)
        # And all files of the folder count.
        shutil.copy(self.registry.folder / "ca.crt", folder / "b.crt")
        self.do("push", "local:1", self.name("3"))
        (folder / "c.crt").write_text("no certificate")
        self.assert_fails(self.run_kist("push", "local:1", self.name("4")), 1, """
error: cannot push '127.0.0.1:PORT/test/test-own-authorities-stand-beside-the-systems:4'
  cause: 'FOLDER/test_own_authorities_stand_beside_the_systems/config/containers/certs.d/127.0.0.1:PORT/c.crt' holds no certificate, want one in PEM
""")

    def test_a_certificate_that_nobody_knows_is_refused_off_this_machine(self):
        with registries.NameProxy(self.registry.port) as proxy:
            env = {"https_proxy": proxy.url, "HTTPS_PROXY": proxy.url, "no_proxy": ""}
            refused = self.run_kist("pull", f"registry.test/{self.repository}:1", env=env)
        self.assertEqual(refused.status, 1, refused)
        self.assertIn("certificate", refused.err)


class Cuts(RegistryTest):
    """The network breaks, kist is killed: what is done again comes to the same digest."""

    SIZE = 12 << 20

    def image(self):
        return self.loaded([forge.layer(forge.entry("small", content=b"small")),
                            forge.layer(forge.entry("noise", content=noise(self.SIZE)))])

    def test_pull_goes_on_where_it_was_cut(self):
        image_id = self.image()
        self.do("push", "local:1", self.name())
        self.empty_store()
        with registries.Relay(self.registry.port, cut_down=5 << 20) as relay:
            self.do("pull", self.name(host=relay.host))
            self.assertEqual(self.id_of(self.name(host=relay.host)), image_id)
            self.assertGreaterEqual(relay.connections, 3)
            self.assertLess(relay.down, self.SIZE + (2 << 20), "no byte comes twice")
        self.assert_store_clean()

    def test_push_that_was_cut_is_done_again(self):
        """Docker's registry forgets an upload that broke off; tests/e2e/test_hostile_registry.py has one
        that does not."""
        self.image()
        with registries.Relay(self.registry.port, cut_up=5 << 20, cuts=2) as relay:
            digest = self.do("push", "local:1", self.name(host=relay.host)).strip().splitlines()[-1].split()[2]
            self.assertEqual(relay.cuts, 0)
        self.assertEqual(self.digest_at_registry(), digest)

    def test_pulls_cut_anywhere_then_whole(self):
        image_id = self.image()
        self.do("push", "local:1", self.name())
        for cut in (1, 300, 1500, 20_000, 1 << 20, (12 << 20) - 5):
            with self.subTest(cut=cut):
                self.empty_store()
                with registries.Relay(self.registry.port, cut_down=cut) as relay:
                    done = self.run_kist("pull", self.name(host=relay.host), timeout=120)
                    if done.status == 0:
                        self.assertEqual(self.id_of(self.name(host=relay.host)), image_id)
                    else:
                        self.assertIn("error: cannot pull", done.err)
                        self.assertEqual(self.do("images", "-q"), "")
                    relay.cut_down = None
                    self.do("pull", self.name(host=relay.host))
                    self.assertEqual(self.id_of(self.name(host=relay.host)), image_id)
                self.assert_store_clean()

    def test_pushes_cut_anywhere_then_whole(self):
        self.image()
        for number, cut in enumerate((1, 300, 1000, 20_000, 1 << 20)):
            with self.subTest(cut=cut):
                repository = f"{self.repository}/{number}"
                with registries.Relay(self.registry.port, cut_up=cut) as relay:
                    done = self.run_kist("push", "local:1", self.name(host=relay.host, repository=repository), timeout=120)
                    if done.status != 0:
                        self.assertIn("error: cannot push", done.err)
                    relay.cut_up = None
                    out = self.do("push", "local:1", self.name(host=relay.host, repository=repository))
                self.assertEqual(self.digest_at_registry(repository=repository), out.strip().splitlines()[-1].split()[2])

    def killed(self, seconds, *args):
        process = self.start(*args)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.communicate()
        return process.returncode

    def test_killed_pulls_and_pushes(self):
        image_id = self.image()
        digest = None
        kills = 0
        for step in range(12):
            repository = f"{self.repository}/{step}"
            kills += self.killed(0.02 + 0.04 * step, "push", "local:1", self.name(repository=repository)) < 0
            out = self.do("push", "local:1", self.name(repository=repository))
            digest = digest or out.strip().splitlines()[-1].split()[2]
            self.assertEqual(out.strip().splitlines()[-1].split()[2], digest)
        for step in range(12):
            self.empty_store()
            kills += self.killed(0.02 + 0.04 * step, "pull", self.name(repository=f"{self.repository}/0")) < 0
            self.assert_store_clean()
            self.do("pull", self.name(repository=f"{self.repository}/0"))
            self.assertEqual(self.id_of(self.name(repository=f"{self.repository}/0")), image_id)
            self.assert_store_clean()
        self.assertGreaterEqual(kills, 6, "most are killed before their end")


if __name__ == "__main__":
    lib.main()
