#!/usr/bin/env python3
"""`kist copy` between registries, folders and files; what is asked of a registry beside."""
import gzip
import json
import urllib.request

import image_forge as forge
import lib
import registries
import test_registry


class CopyTest(test_registry.RegistryTest):
    """Docker's registry with images in it, and one of kist's."""

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

    def put_report(self, subject, text):
        empty = self.blob(b"{}", "application/vnd.oci.empty.v1+json")
        return self.put({"schemaVersion": 2, "mediaType": test_registry.MANIFEST, "artifactType": "application/x.report", "config": empty,
                         "layers": [self.blob(text, "text/plain")], "subject": subject})

    def subject(self, entry):
        return {key: entry[key] for key in ("mediaType", "digest", "size")}

    def referrers(self, name, *flags):
        return json.loads(self.do("manifest", "referrers", "--json", *flags, name))


class Copies(CopyTest):
    """`kist copy`: nothing is kept here, digests stay."""

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

    def test_a_registry_without_the_api_gets_the_list_that_stands_for_it(self):
        """The specification gives it to clients to keep: docker's registry knows nothing of referrers."""
        image = self.put_image("amd64", "1")
        subject = {key: image[key] for key in ("mediaType", "digest", "size")}
        reports = [self.put_report(subject, text) for text in (b"good", b"very good")]
        with registries.KistRegistry(self.kist, self.work / "third") as third:
            target = self.name(host=third.host)
            self.do("copy", self.name(), target)
            for report in reports:
                self.do("copy", f"{self.registry.host}/{self.repository}@{report['digest']}", f"{third.host}/{self.repository}@{report['digest']}")
            again = self.repository + "-again"
            self.do("copy", "--referrers", target, self.name(repository=again))
        listed = json.loads(self.raw(self.name(image["digest"].replace(":", "-"), repository=again)))
        self.assertEqual(listed["mediaType"], test_registry.INDEX)
        self.assertEqual(sorted(one["digest"] for one in listed["manifests"]), sorted(report["digest"] for report in reports))
        self.assertEqual({one["artifactType"] for one in listed["manifests"]}, {"application/x.report"})
        # Copied again nothing is listed twice; deleted it is listed no more.
        self.do("copy", "--referrers", self.name(repository=again), self.name("2", repository=again))
        self.assertEqual(len(self.referrers(self.name(repository=again))["referrers"]), 2)
        self.do("delete", f"{self.registry.host}/{again}@{reports[0]['digest']}")
        left = self.referrers(self.name(repository=again))
        self.assertEqual(([one["digest"] for one in left["referrers"]], left["subject"]), ([reports[1]["digest"]], image["digest"]))

    def test_what_refers_to_it_is_listed(self):
        image = self.put_image("amd64", "1")
        subject = {key: image[key] for key in ("mediaType", "digest", "size")}
        target = self.name(host=self.own.host)
        self.do("copy", self.name(), target)
        self.assertEqual(self.do("manifest", "referrers", target).split(), ["DIGEST", "ARTIFACT", "TYPE", "CREATED"])
        report = self.put_report(subject, b"good")
        self.do("copy", f"{self.registry.host}/{self.repository}@{report['digest']}", f"{self.own.host}/{self.repository}@{report['digest']}")
        found = self.referrers(target)["referrers"]
        self.assertEqual([(one["digest"], one["artifactType"]) for one in found], [(report["digest"], "application/x.report")])
        self.assertEqual(self.do("manifest", "referrers", "--format", "{{.Digest}} {{.Type}}", f"docker://{target}"), f"{report['digest']} application/x.report\n")
        self.assertEqual(self.referrers(target, "--artifact-type", "application/x.other")["referrers"], [])
        self.assertEqual(len(self.referrers(target, "--artifact-type", "application/x.report")["referrers"]), 1)

    def test_what_refers_to_each_platform_and_to_that(self):
        entries, digest = self.put_index()
        of_arm = self.put_report(self.subject(entries[1]), b"of arm")
        of_that = self.put_report(self.subject(of_arm), b"a signature of the report")
        first, second = self.name(host=self.own.host), self.name(repository=self.repository + "-too", host=self.own.host)
        self.do("copy", self.name(), first)
        for report in (of_arm, of_that):
            self.do("copy", f"{self.registry.host}/{self.repository}@{report['digest']}", f"{self.own.host}/{self.repository}@{report['digest']}")
        folder = self.work / "layout"
        self.do("copy", "--referrers", first, f"oci:{folder}:x")
        self.do("copy", "--referrers", f"oci:{folder}:x", second)
        at = f"{self.own.host}/{self.repository}-too@"
        self.assertEqual([one["digest"] for one in self.referrers(at + entries[1]["digest"])["referrers"]], [of_arm["digest"]])
        self.assertEqual([one["digest"] for one in self.referrers(at + of_arm["digest"])["referrers"]], [of_that["digest"]])
        self.assertEqual(self.referrers(at + digest)["referrers"], [])

    def test_folders_and_archives(self):
        """All platforms and what refers to them, out of a registry, through a file, into another one."""
        entries, digest = self.put_index()
        report = self.put_report({"mediaType": test_registry.INDEX, "digest": digest, "size": len(self.raw(self.name()))}, b"good")
        self.do("copy", f"{self.registry.host}/{self.repository}@{report['digest']}", f"{self.own.host}/{self.repository}@{report['digest']}")
        self.do("copy", self.name(), self.name(host=self.own.host))
        source = f"docker://{self.name(host=self.own.host)}"
        folder, archive = self.work / "layout", self.work / "layout.tar"
        self.assertIn("to copy: ", self.do("copy", "--dry-run", "--referrers", source, f"oci:{folder}:x"))
        self.assertFalse(folder.exists(), "a dry run makes nothing")
        self.assertEqual(self.do("copy", "--referrers", source, f"oci:{folder}:team/tool:7"), f"oci:{folder}:team/tool:7@{digest}\n")
        self.assertEqual(self.do("copy", "--referrers", source, f"oci-archive:{archive}"), f"oci-archive:{archive}:{self.name(host=self.own.host)}@{digest}\n")
        for entry in entries:
            self.assertEqual(forge.digest((folder / "blobs/sha256" / entry["digest"][7:]).read_bytes()), entry["digest"])
        self.assertEqual(json.loads(self.skopeo("inspect", "--raw", f"oci:{folder}:team/tool:7"))["manifests"], entries)
        back = self.repository + "-back"
        for number, place in enumerate((f"oci:{folder}:team/tool:7", f"oci-archive:{archive}:{self.name(host=self.own.host)}")):
            target = self.name(repository=f"{back}/{number}")
            self.assertEqual(self.do("copy", "--referrers", place, target), f"{target}@{digest}\n")
            self.assertEqual(self.raw(target), self.raw(self.name()))
            self.assertEqual([one["digest"] for one in self.referrers(target)["referrers"]], [report["digest"]])
        self.assertIn("Loaded image: " + self.name(host=self.own.host), self.do("load", "-i", archive))
        self.assertEqual(list((self.store / "staging").iterdir()), [], "what was put together for the archive is gone")

    def test_all_tags(self):
        self.put_index("1")
        self.put_image("amd64", "2")
        folder = self.work / "layout"
        out = self.do("copy", "--all-tags", f"{self.registry.host}/{self.repository}", f"oci:{folder}")
        self.assertEqual(sorted(line.partition("@")[0] for line in out.split()), [f"oci:{folder}:{self.name(tag)}" for tag in "12"])
        target = f"{self.own.host}/{self.repository}-too"
        self.do("copy", "-a", f"oci:{folder}", target)
        self.assertEqual(sorted(self.do("tags", target).split()), ["1", "2"])
        for tag in "12":
            self.assertEqual(self.raw(f"{target}:{tag}"), self.raw(self.name(tag)))
        one = self.run_kist("copy", "-a", self.name(), target)
        self.assertEqual(one.status, 2, one)
        self.assertIn("is one image, and --all-tags wants names without tag", one.err)
        several = self.run_kist("copy", f"oci:{folder}", target)
        self.assertEqual(several.status, 2, several)
        self.assertIn(f"oci:{folder} has 2 images, and none is named; it has {self.registry.host}/", several.err)
        self.assertIn("has no 'x', it has", self.run_kist("copy", f"oci:{folder}:x", target).err)

    def test_a_layout_that_lies(self):
        self.put_image("amd64", "1")
        folder = self.work / "layout"
        self.do("copy", self.name(), f"oci:{folder}:x")
        blobs = sorted((folder / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
        blobs[-1].write_bytes(blobs[-1].read_bytes()[:-1] + b"x")
        refused = self.run_kist("copy", f"oci:{folder}:x", f"oci:{self.work / 'other'}:x")
        self.assertEqual(refused.status, 1, refused)
        self.assertIn(f"want sha256:{blobs[-1].name}", refused.err)
        self.assertFalse((self.work / "other/index.json").exists(), "it names nothing that is not there")
        refused = self.run_kist("copy", f"oci:{folder}:x", self.name(host=self.own.host))
        self.assertEqual(refused.status, 1, refused)
        self.assertIn(f"want sha256:{blobs[-1].name}", refused.err)

    def test_delete(self):
        entry = self.put_image("amd64", "1")
        target = self.name(host=self.own.host)
        for tag in ("1", "2"):
            self.do("copy", self.name(), self.name(tag, host=self.own.host))
        guessed = self.run_kist("delete", f"{self.own.host}/{self.repository}")
        self.assertEqual(guessed.status, 2, guessed)
        self.assertIn("names neither tag nor digest", guessed.err)
        self.assertEqual(self.do("delete", f"docker://{target}"), f"Deleted: {target}\n")
        self.assertEqual(self.do("tags", f"{self.own.host}/{self.repository}"), "2\n", "a tag goes alone")
        self.do("delete", f"{self.own.host}/{self.repository}@{entry['digest']}")
        self.assertEqual(self.run_kist("pull", self.name("2", host=self.own.host)).status, 1)
        self.assertEqual(self.run_kist("delete", target).status, 1, "it is not there any more")
        # Docker's registry deletes by digest only.
        refused = self.run_kist("delete", self.name())
        self.assertEqual(refused.status, 1, refused)
        self.assertIn(f"`kist delete {self.registry.host}/{self.repository}@{entry['digest']}` deletes the image with all its tags", " ".join(refused.err.split()))
        self.do("delete", f"{self.registry.host}/{self.repository}@{entry['digest']}")
        self.assertEqual(self.run_kist("pull", self.name()).status, 1)

    def test_looked_at_where_it_is(self):
        """`kist inspect docker://…` is what skopeo says, and brings nothing here."""
        self.put_index()
        said = json.loads(self.do("inspect", "docker://" + self.name()))
        wanted = json.loads(self.skopeo("inspect", "--tls-verify=false", "docker://" + self.name()))
        self.assertEqual({key: said[key] for key in wanted}, wanted)
        self.assertEqual(self.do("inspect", "--raw", "docker://" + self.name()).rstrip("\n"), self.raw(self.name()))
        config = self.do("inspect", "--config", "--platform", "linux/arm64", "docker://" + self.name())
        self.assertEqual(json.loads(config)["architecture"], "arm64")
        self.assertEqual(self.do("inspect", "-f", "{{.Architecture}}", "--platform", "arm64", "docker://" + self.name()), "arm64\n")
        self.assertEqual(self.do("images", "-q"), "")

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


class Lists(CopyTest):
    """`kist manifest create …`: indexes that are put together by hand."""

    def test_of_images_here_and_elsewhere(self):
        remote = self.put_image("arm64", "arm")
        self.loaded([forge.layer(forge.entry("a", content=b"a"))], "local:1")
        name, own = self.name("all"), self.name("all", host=self.own.host)
        self.assertEqual(self.do("manifest", "create", name, "local:1", self.name("arm")), f"Created manifest list {name}\n")
        again = self.run_kist("manifest", "create", name, "local:1")
        self.assertEqual(again.status, 1, again)
        self.assertIn("is there already", again.err)
        self.do("manifest", "annotate", name, self.name("arm"), "--variant", "v8", "--annotation", "a=b")
        listed = json.loads(self.do("manifest", "inspect", name))
        self.assertEqual([one["platform"] for one in listed["manifests"]],
                         [{"architecture": "amd64", "os": "linux"}, {"architecture": "arm64", "os": "linux", "variant": "v8"}])
        self.assertEqual(listed["manifests"][1]["annotations"], {"a": "b"})
        digest = self.do("manifest", "push", name).strip()
        self.assertEqual(digest, self.digest_at_registry("all"))
        self.assertEqual(self.do("manifest", "push", "--purge", name, own).strip(), digest, "another name, the same bytes")
        self.assertEqual(json.loads(self.raw(own)), listed)
        self.empty_store()
        self.do("pull", "-q", own)
        self.do("pull", "-q", "--platform", "linux/arm64", own)
        self.assertEqual(self.do("images", "--format", "{{.Digest}}", own).strip(), remote["digest"])
        self.assertEqual(self.run_kist("manifest", "push", name).status, 1, "it was purged with the other store")

    def test_of_an_index_and_one_more(self):
        self.put_index()
        self.loaded([forge.layer(forge.entry("a", content=b"a"))], "local:1")
        name = self.name("more")
        self.do("manifest", "create", name, "docker://" + self.name())
        self.do("manifest", "add", name, "local:1")
        listed = json.loads(self.do("manifest", "inspect", name))["manifests"]
        self.assertEqual([one["platform"]["architecture"] for one in listed], ["arm64", "amd64"], "that for amd64 made place")
        self.do("manifest", "create", "--amend", name, self.name())
        self.assertEqual(len(json.loads(self.do("manifest", "inspect", name))["manifests"]), 2)
        self.do("manifest", "rm", name)
        gone = self.run_kist("manifest", "rm", name)
        self.assertEqual(gone.status, 1, gone)
        self.assertIn(f"no such manifest list: {name}", gone.err)
        missing = self.run_kist("manifest", "create", name, self.name("missing"))
        self.assertEqual(missing.status, 1, missing)
        self.assertIn("answered 404", missing.err)
        self.assertEqual(self.run_kist("manifest", "rm", name).status, 1, "nothing was begun")


if __name__ == "__main__":
    lib.main()
