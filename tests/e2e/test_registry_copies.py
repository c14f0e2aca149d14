#!/usr/bin/env python3
"""`kist copy` from registry to registry."""
import gzip
import json
import urllib.request

import image_forge as forge
import lib
import registries
import test_registry


class Copies(test_registry.RegistryTest):
    """`kist copy`: nothing is kept here, digests stay."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.own = registries.KistRegistry(cls.kist, cls.folder / "own-registry")
        cls.own.__enter__()
        cls.addClassCleanup(cls.own.__exit__)

    def put(self, document, media_type=test_registry.MANIFEST, tag=None):
        data = json.dumps(document).encode()
        self.registry.put_manifest(self.repository, tag or forge.digest(data), data, media_type)
        return {"mediaType": media_type, "digest": forge.digest(data), "size": len(data)}

    def blob(self, data, media_type):
        self.registry.put_blob(self.repository, data, forge.digest(data))
        return {"mediaType": media_type, "digest": forge.digest(data), "size": len(data)}

    def put_image(self, architecture, tag=None):
        tar = forge.layer(forge.entry("for", content=architecture.encode() + test_registry.noise(300_000)))
        config = forge.config_of([tar]).replace(b"amd64", architecture.encode())
        entry = self.put({"schemaVersion": 2, "mediaType": test_registry.MANIFEST,
                          "config": self.blob(config, "application/vnd.oci.image.config.v1+json"),
                          "layers": [self.blob(gzip.compress(tar, mtime=0), forge.LAYER + "+gzip")]}, tag=tag)
        return {**entry, "platform": {"os": "linux", "architecture": architecture}}

    def put_index(self, tag="1"):
        entries = [self.put_image("amd64"), self.put_image("arm64")]
        return entries, self.put({"schemaVersion": 2, "mediaType": test_registry.INDEX, "manifests": entries}, test_registry.INDEX, tag)["digest"]

    def raw(self, name):
        return self.skopeo("inspect", "--raw", "--tls-verify=false", "docker://" + name)

    def test_all_platforms(self):
        entries, digest = self.put_index()
        target = self.name(host=self.own.host)
        self.assertEqual(self.do("copy", self.name(), target), f"{target}@{digest}\n")
        self.assertEqual(self.raw(target), self.raw(self.name()))
        for entry in entries:
            self.do("pull", "-q", f"{self.own.host}/{self.repository}@{entry['digest']}")
        with self.own.asked() as asked:
            self.do("copy", self.name(), target)
        self.assertEqual([method for method, _, _ in asked if method], ["HEAD"], "all is there")
        self.assertEqual(self.do("images", "--format", "{{.Repository}}").count("test"), 0, "nothing got a name here")

    def test_one_platform(self):
        entries, _ = self.put_index()
        target = self.name(host=self.own.host)
        self.assertEqual(self.do("copy", "--platform", "linux/arm64", self.name(), target), f"{target}@{entries[1]['digest']}\n")
        self.assertEqual(forge.digest(self.raw(target).encode()), entries[1]["digest"])
        other = self.run_kist("pull", f"{self.own.host}/{self.repository}@{entries[0]['digest']}")
        self.assertEqual(other.status, 1, "the other platform did not come along")
        missing = self.run_kist("copy", "--platform", "linux/riscv64", self.name(), target)
        self.assertEqual(missing.status, 1)
        self.assertIn("no image for linux/riscv64 among 2 in the index", missing.err)

    def test_within_one_registry_blobs_are_mounted(self):
        _, digest = self.put_index()
        target = self.name(repository=self.repository + "-too")
        with self.registry.asked() as asked:
            self.assertIn(digest, self.do("copy", self.name(), target))
        posts = [(path.partition("?")[2][:6], status) for method, path, status in asked if method == "POST"]
        self.assertEqual(posts, [("mount=", 201)] * 4)
        blobs = [path for method, path, _ in asked if method in ("GET", "PATCH") and "/blobs/" in path]
        self.assertEqual(blobs, [], "no byte of a blob goes through here")
        self.assertEqual(self.digest_at_registry(repository=self.repository + "-too"), self.digest_at_registry())

    def test_another_tag_of_one_repository(self):
        entry = self.put_image("amd64", "1")
        with self.registry.asked() as asked:
            self.do("copy", self.name(), self.name("stable"))
        self.assertEqual([method for method, path, _ in asked if method in ("POST", "PATCH", "PUT")], ["PUT"])
        self.assertEqual(self.digest_at_registry("stable"), entry["digest"])

    def put_report(self, subject, text):
        empty = self.blob(b"{}", "application/vnd.oci.empty.v1+json")
        return self.put({"schemaVersion": 2, "mediaType": test_registry.MANIFEST, "artifactType": "application/x.report", "config": empty,
                         "layers": [self.blob(text, "text/plain")], "subject": subject})

    def test_what_refers_to_it(self):
        """Docker's registry is older than the API for referrers: there a tag stands for them."""
        image = self.put_image("amd64", "1")
        subject = {key: image[key] for key in ("mediaType", "digest", "size")}
        reports = [self.put_report(subject, text) for text in (b"good", b"very good")]
        index = [{**report, "artifactType": "application/x.report"} for report in reports]
        self.put({"schemaVersion": 2, "mediaType": test_registry.INDEX, "manifests": index}, test_registry.INDEX, image["digest"].replace(":", "-"))
        target = self.name(host=self.own.host)
        self.do("copy", self.name(), target)
        found = lambda: [entry["digest"] for entry in json.loads(urllib.request.urlopen(
            f"http://{self.own.host}/v2/{self.repository}/referrers/{image['digest']}").read())["manifests"]]
        self.assertEqual(found(), [], "only when asked for")
        self.do("copy", "--referrers", self.name(), target)
        self.assertEqual(sorted(found()), sorted(report["digest"] for report in reports))
        # And from a registry that has the API.
        with registries.KistRegistry(self.kist, self.work / "third") as third:
            self.do("copy", "--referrers", target, self.name(host=third.host))
            for report in reports:
                self.assertTrue(self.raw(f"{third.host}/{self.repository}@{report['digest']}"))

    def test_an_artifact(self):
        config = self.blob(b"{}", "application/vnd.oci.empty.v1+json")
        artifact = self.put({"schemaVersion": 2, "mediaType": test_registry.MANIFEST, "artifactType": "application/x.model", "config": config,
                             "layers": [self.blob(test_registry.noise(5 << 20), "application/x.weights")]}, tag="1")
        target = self.name(host=self.own.host)
        self.assertEqual(self.do("copy", self.name(), target), f"{target}@{artifact['digest']}\n")
        self.assertEqual(self.raw(target), self.raw(self.name()))

    def test_by_digest_and_back(self):
        entry = self.put_image("amd64", "1")
        source = f"{self.registry.host}/{self.repository}@{entry['digest']}"
        self.do("copy", source, self.name(host=self.own.host))
        self.do("copy", self.name(host=self.own.host), self.name("back"))
        self.assertEqual(self.digest_at_registry("back"), entry["digest"])

    def test_not_there(self):
        self.assert_fails(self.run_kist("copy", self.name(), self.name(host=self.own.host)), 1, """
error: cannot copy '127.0.0.1:PORT/test/test-not-there:1' to '127.0.0.1:PORT/test/test-not-there:1'
  cause: manifest 1 of test/test-not-there: the registry '127.0.0.1:PORT' answered 404: manifest unknown
""")


if __name__ == "__main__":
    lib.main()
