#!/usr/bin/env python3
"""Registries with bad manners (tests/faults/hostile_registry.py), and the layers that they may give.

Each behaviour ends in a clear error, or in what was asked for; with bounded memory; the store is sound
after it, and the image that was there before is what it was. No password is shown to anybody else.
"""
import base64
import contextlib
import gzip
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

import image_forge as forge
import lib
import test_images

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))
import hostile_registry  # noqa: E402

# A pull of the good image takes some 40 MB; more than this nobody may make us take.
MOST_MEMORY = 100 << 20
SECRET = "hunter2"


def peak_memory(pid):
    with contextlib.suppress(OSError):
        found = re.search(r"^VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
        return int(found[1]) << 10 if found else 0
    return 0


class HostileRegistryTest(test_images.ImageTest):
    """The tests of a class share a store: what one leaves behind, the next one finds."""

    @classmethod
    def make_store(cls):
        cls.docker = cls.folder / "docker"
        cls.docker.mkdir()
        return cls.folder / "shared"

    def setUp(self):
        super().setUp()
        self.registry = hostile_registry.HostileRegistry()
        self.registry.__enter__()
        self.addCleanup(self.registry.__exit__)
        auth = base64.b64encode(f"joe:{SECRET}".encode()).decode()
        (self.docker / "config.json").write_text(json.dumps({"auths": {self.registry.host: {"auth": auth}}}))
        self.store = self.folder / "shared"
        if not self.store.exists():
            self.store.mkdir()
            # Another image than those of the tests, so that none of their layers is here.
            self.do("pull", "-q", self.name("other"))
            self.do("tag", self.name("other"), "kept:1")
            self.do("rmi", self.name("other"))
        self.kept = self.do("inspect", "kept:1")

    def environment(self, **more):
        return super().environment(DOCKER_CONFIG=str(self.docker), UV_HTTP_TIMEOUT="1",
                                   CONTAINERS_REGISTRIES_CONF="/dev/null", **more)

    def name(self, behaviour):
        return f"{self.registry.host}/{behaviour}:1"

    def measured(self, *args, most_memory=MOST_MEMORY):
        """Like run_kist, and what it took at most."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(self.command(*args), cwd=self.project, env=self.environment(), stdout=out,
                                       stderr=err, stdin=subprocess.DEVNULL)
            # Not by wait4(): what it tells is never less than what this program had when it forked.
            peak, end = 0, time.monotonic() + 180
            while process.poll() is None:
                peak = max(peak, peak_memory(process.pid))
                self.assertLess(time.monotonic(), end, f"{args} does not end")
                time.sleep(0.01)
            out.seek(0)
            err.seek(0)
            done = lib.Outcome(process.returncode, out.read().decode(errors="replace"), err.read().decode(errors="replace"))
        self.assertLess(peak, most_memory, done)
        return done

    def unharmed(self):
        self.assertEqual(self.do("inspect", "kept:1"), self.kept)
        self.assert_store_clean()

    def error_of(self, outcome):
        # What compressors make of a layer differs, and which end of a cut connection is noticed first.
        text = re.sub(r"localhost:\d+", "localhost:PORT", super().error_of(outcome))
        text = re.sub(r"\b[0-9a-f]{12}\b", "ID", text)
        text = re.sub(r"\b\d{3,}( bytes)?( of \d{3,} bytes)", r"NUMBER\1 of NUMBER bytes", text)
        text = re.sub(r"\b\d{3,} bytes", "NUMBER bytes", text)
        text = re.sub(r"upload of \d+", "upload of NUMBER", text)
        text = re.sub(r'Protocol "(\w+)" .*', r'Protocol "\1"', text)
        return re.sub(r"(Send|Recv) failure: [\w ]+", "broken connection", text)

    def pull_fails(self, behaviour, message, name=None):
        done = self.measured("pull", name or self.name(behaviour))
        self.assertNotIn("\x1b", done.err)
        self.assertNotIn(SECRET, done.err)
        self.assertIn(done.status, (1, 2), done)
        self.assert_fails(done, done.status, message)
        self.assertEqual(self.do("images", "--format", "{{.Repository}}:{{.Tag}}"), "kept:1\n")
        self.unharmed()
        return done

    def pull_works(self, behaviour):
        done = self.measured("pull", self.name(behaviour))
        self.assertEqual(done.status, 0, done)
        self.do("rmi", self.name(behaviour))
        self.do("gc")
        self.unharmed()
        return done

    def nobody_else_saw_it(self):
        told = json.dumps(self.registry.elsewhere)
        self.assertNotIn("authorization", told)
        self.assertNotIn(SECRET, told)


class Documents(HostileRegistryTest):
    """Manifests, indexes and configurations."""

    def test_manifest_announced_as_another(self):
        self.pull_fails("manifest-announced-as-another", """
error: cannot pull '127.0.0.1:PORT/manifest-announced-as-another:1'
  cause: the manifest of manifest-announced-as-another has the digest sha256:DIGEST, and the registry announced sha256:DIGEST
""")

    def test_manifest_of_another_digest(self):
        wanted = hostile_registry.digest(self.registry.image.manifest)
        name = self.name("manifest-of-another-digest").removesuffix(":1") + "@" + wanted
        self.pull_fails("manifest-of-another-digest", """
error: cannot pull '127.0.0.1:PORT/manifest-of-another-digest@sha256:DIGEST'
  cause: the manifest of manifest-of-another-digest has the digest sha256:DIGEST, want sha256:DIGEST
""", name)

    def test_manifest_of_100_megabytes(self):
        self.pull_fails("manifest-of-100-megabytes", """
error: cannot pull '127.0.0.1:PORT/manifest-of-100-megabytes:1'
  cause: 'http://127.0.0.1:PORT/v2/manifest-of-100-megabytes/manifests/1': the answer is longer than the limit of SIZE
""")

    def test_manifest_without_end(self):
        self.pull_fails("manifest-without-end", """
error: cannot pull '127.0.0.1:PORT/manifest-without-end:1'
  cause: 'http://127.0.0.1:PORT/v2/manifest-without-end/manifests/1': the answer is longer than the limit of SIZE
""")

    def test_manifest_that_is_no_json(self):
        self.pull_fails("manifest-that-is-no-json", """
error: cannot pull '127.0.0.1:PORT/manifest-that-is-no-json:1'
  cause: manifest is not JSON: syntax error
""")

    def test_manifest_of_brackets(self):
        self.pull_fails("manifest-of-brackets", """
error: cannot pull '127.0.0.1:PORT/manifest-of-brackets:1'
  cause: manifest is not JSON: too deep
""")

    def test_manifest_cut_off(self):
        self.pull_fails("manifest-cut-off", """
error: cannot pull '127.0.0.1:PORT/manifest-cut-off:1'
  cause: get 'http://127.0.0.1:PORT/v2/manifest-cut-off/manifests/1': transfer closed with NUMBER bytes remaining to read
""")

    def test_manifest_says_index_inside(self):
        self.pull_fails("manifest-says-index-inside", """
error: cannot pull '127.0.0.1:PORT/manifest-says-index-inside:1'
  cause: image index was announced as 'application/vnd.oci.image.manifest.v1+json', want an index's
""")

    def test_manifest_that_is_both(self):
        self.pull_fails("manifest-that-is-both", """
error: cannot pull '127.0.0.1:PORT/manifest-that-is-both:1'
  cause: image index was announced as 'application/vnd.oci.image.manifest.v1+json', want an index's
""")

    def test_manifest_of_schema_1(self):
        self.pull_fails("manifest-of-schema-1", """
error: cannot pull '127.0.0.1:PORT/manifest-of-schema-1:1'
  cause: manifest has schema version 1, want 2
""")

    def test_manifest_compressed_on_the_way(self):
        self.pull_fails("manifest-compressed-on-the-way", """
error: cannot pull '127.0.0.1:PORT/manifest-compressed-on-the-way:1'
  cause: manifest is not JSON: syntax error
""")

    def test_manifest_with_layer_outside_of_the_store(self):
        self.pull_fails("manifest-with-layer-outside-of-the-store", """
error: cannot pull '127.0.0.1:PORT/manifest-with-layer-outside-of-the-store:1'
  cause: manifest: layers 0
  cause: digest '../../../../etc/passwd' has '.' at offset 0, not a lower-case hex digit
""")

    def test_manifest_with_negative_size(self):
        self.pull_fails("manifest-with-negative-size", """
error: cannot pull '127.0.0.1:PORT/manifest-with-negative-size:1'
  cause: manifest: layers 0: field 'size' is not a length
""")

    def test_manifest_with_too_many_layers(self):
        self.pull_fails("manifest-with-too-many-layers", """
error: cannot pull '127.0.0.1:PORT/manifest-with-too-many-layers:1'
  cause: manifest: 'layers' has 5000 elements, want at most 1000
""")

    def test_artifact(self):
        self.pull_fails("artifact", """
error: cannot pull '127.0.0.1:PORT/artifact:1'
  cause: '127.0.0.1:PORT/artifact:1' is an artifact of type 'application/vnd.example.thing', and no image

hint: `kist copy 127.0.0.1:PORT/artifact:1 oci:FOLDER` brings it
""")

    def test_index_that_is_deep(self):
        self.pull_fails("index-that-is-deep", """
error: cannot pull '127.0.0.1:PORT/index-that-is-deep:1'
  cause: indexes within indexes, more than 4 deep
""")

    def test_index_that_is_its_own_child(self):
        self.pull_fails("index-that-is-its-own-child", """
error: cannot pull '127.0.0.1:PORT/index-that-is-its-own-child:1'
  cause: the manifest of index-that-is-its-own-child has the digest sha256:DIGEST, want sha256:DIGEST
""")

    def test_index_of_nothing_for_us(self):
        self.pull_fails("index-of-nothing-for-us", """
error: cannot pull '127.0.0.1:PORT/index-of-nothing-for-us:1'
  cause: no image for linux/amd64 among 1 in the index: plan9/mips

hint: `--platform plan9/mips` takes that one
""")

    def test_index_of_a_million(self):
        self.pull_fails("index-of-a-million", """
error: cannot pull '127.0.0.1:PORT/index-of-a-million:1'
  cause: 'http://127.0.0.1:PORT/v2/index-of-a-million/manifests/1': the answer is longer than the limit of SIZE
""")

    def test_config_of_another_digest(self):
        self.pull_fails("config-of-another-digest", """
error: cannot pull '127.0.0.1:PORT/config-of-another-digest:1'
  cause: the image's configuration has the digest sha256:DIGEST, want sha256:DIGEST
""")

    def test_config_of_a_terabyte(self):
        self.pull_fails("config-of-a-terabyte", """
error: cannot pull '127.0.0.1:PORT/config-of-a-terabyte:1'
  cause: the image's configuration has 1.1 TB, want at most SIZE
""")

    def test_config_missing(self):
        self.pull_fails("config-missing", """
error: cannot pull '127.0.0.1:PORT/config-missing:1'
  cause: blob ID of config-missing: the registry '127.0.0.1:PORT' answered 404: blob \\x1b[31munknown
""")

    def test_manifest_that_drips(self):
        self.pull_fails("manifest-that-drips", """
error: cannot pull '127.0.0.1:PORT/manifest-that-drips:1'
  cause: 'http://127.0.0.1:PORT/v2/manifest-that-drips/manifests/1': SIZE of a document came in 10 s
""")

    def test_tag_that_moves_gives_one_of_its_images_whole(self):
        done = self.pull_works("tag-that-moves")
        self.assertIn("Status: Downloaded newer image", done.out)
        by_tag = [path for method, path, _ in self.registry.seen if path.endswith("/tag-that-moves/manifests/1")]
        self.assertEqual(len(by_tag), 1, "a tag is asked for once")


class Layers(HostileRegistryTest):
    """Blobs that are not what the manifest says."""

    def tearDown(self):
        asked = [path for _, path, _ in self.registry.seen if path.endswith(self.registry.image.document["layers"][-1]["digest"])]
        self.assertTrue(asked, "the layer was here before")

    def test_layer_of_another_digest(self):
        self.pull_fails("layer-of-another-digest", """
error: cannot pull '127.0.0.1:PORT/layer-of-another-digest:1'
  cause: layer ID
  cause: not a tar stream of the announced kind: Unrecognized archive format
""")

    def test_layer_with_one_byte_changed(self):
        self.pull_fails("layer-with-one-byte-changed", """
error: cannot pull '127.0.0.1:PORT/layer-with-one-byte-changed:1'
  cause: layer ID
  cause: 'noise'
  cause: damaged gzip stream (wrong checksum)
""")

    def test_layer_short(self):
        self.pull_fails("layer-short", """
error: cannot pull '127.0.0.1:PORT/layer-short:1'
  cause: layer ID
  cause: 'noise'
  cause: blob ID ended after NUMBER of NUMBER bytes
""")

    def test_layer_long(self):
        self.pull_fails("layer-long", """
error: cannot pull '127.0.0.1:PORT/layer-long:1'
  cause: layer ID
  cause: 'noise'
  cause: blob ID is longer than its NUMBER bytes
""")

    def test_layer_without_end(self):
        self.pull_fails("layer-without-end", """
error: cannot pull '127.0.0.1:PORT/layer-without-end:1'
  cause: layer ID
  cause: blob ID is longer than its NUMBER bytes
""")

    def test_layer_compressed_on_the_way(self):
        self.pull_fails("layer-compressed-on-the-way", """
error: cannot pull '127.0.0.1:PORT/layer-compressed-on-the-way:1'
  cause: layer ID
  cause: not a tar stream of the announced kind: Unrecognized archive format
""")

    def test_layer_missing(self):
        self.pull_fails("layer-missing", """
error: cannot pull '127.0.0.1:PORT/layer-missing:1'
  cause: layer ID
  cause: blob ID of layer-missing: the registry '127.0.0.1:PORT' answered 404
""")

    def test_layer_always_cut_at_the_same_byte(self):
        self.pull_fails("layer-always-cut-at-the-same-byte", """
error: cannot pull '127.0.0.1:PORT/layer-always-cut-at-the-same-byte:1'
  cause: layer ID
  cause: 'noise'
  cause: get 'http://127.0.0.1:PORT/v2/layer-always-cut-at-the-same-byte/blobs/sha256:DIGEST': transfer closed with NUMBER bytes remaining to read
""")

    def test_layer_cut_then_another_range(self):
        self.pull_fails("layer-cut-then-another-range", """
error: cannot pull '127.0.0.1:PORT/layer-cut-then-another-range:1'
  cause: layer ID
  cause: 'noise'
  cause: blob ID: asked for the bytes from 1000000, got 'bytes 10-3146923/3146924'
""")

    def test_layer_cut_then_no_range_said(self):
        self.pull_fails("layer-cut-then-no-range-said", """
error: cannot pull '127.0.0.1:PORT/layer-cut-then-no-range-said:1'
  cause: layer ID
  cause: 'noise'
  cause: blob ID: asked for the bytes from 1000000, got ''
""")

    def test_layer_cut_then_other_bytes(self):
        self.pull_fails("layer-cut-then-other-bytes", """
error: cannot pull '127.0.0.1:PORT/layer-cut-then-other-bytes:1'
  cause: layer ID
  cause: 'noise'
  cause: damaged gzip stream (code -1)
""")

    def test_layer_cut_then_416(self):
        self.pull_fails("layer-cut-then-416", """
error: cannot pull '127.0.0.1:PORT/layer-cut-then-416:1'
  cause: layer ID
  cause: 'noise'
  cause: blob ID of layer-cut-then-416: the registry '127.0.0.1:PORT' answered 416
""")

    def test_layer_that_stalls(self):
        self.pull_fails("layer-that-stalls", """
error: cannot pull '127.0.0.1:PORT/layer-that-stalls:1'
  cause: layer ID
  cause: blob ID broke off after 60 of NUMBER bytes, 6 times: get 'http://127.0.0.1:PORT/v2/layer-that-stalls/blobs/sha256:DIGEST': Operation too slow. Less than 16 bytes/sec transferred the last 1 seconds

hint: check the network; behind a proxy set `HTTPS_PROXY=http://HOST:PORT`, without any network use `--offline`
""")

    def test_layers_said_to_be_larger(self):
        self.pull_fails("layers-said-to-be-larger", """
error: cannot pull '127.0.0.1:PORT/layers-said-to-be-larger:1'
  cause: layer ID
  cause: blob ID ended after NUMBER of NUMBER bytes
""")

    def test_layers_said_to_be_smaller(self):
        self.pull_fails("layers-said-to-be-smaller", """
error: cannot pull '127.0.0.1:PORT/layers-said-to-be-smaller:1'
  cause: layer ID
  cause: blob ID is longer than its NUMBER bytes
""")

    def test_layers_said_to_be_of_an_exabyte(self):
        self.pull_fails("layers-said-to-be-of-an-exabyte", """
error: cannot pull '127.0.0.1:PORT/layers-said-to-be-of-an-exabyte:1'
  cause: layer ID
  cause: blob ID ended after NUMBER of NUMBER bytes
""")

    def test_layer_unavailable_and_what_came_with_it_stays(self):
        self.pull_fails("layer-unavailable", """
error: cannot pull '127.0.0.1:PORT/layer-unavailable:1'
  cause: layer ID
  cause: blob ID of layer-unavailable: the registry '127.0.0.1:PORT' answered 503
""")
        self.pull_works("good")
        small, large = (f"/v2/good/blobs/{layer['digest']}" for layer in self.registry.image.document["layers"])
        asked = [path for _, path, _ in self.registry.seen]
        self.assertIn(large, asked)
        self.assertNotIn(small, asked)

    def test_layer_cut_then_range_ignored(self):
        self.pull_works("layer-cut-then-range-ignored")

    def test_layer_cut_then_resumed(self):
        self.pull_works("layer-cut-then-resumed")
        noise = self.registry.image.document["layers"][-1]["digest"]
        ranges = [headers.get("range") for _, path, headers in self.registry.seen
                  if path == f"/v2/layer-cut-then-resumed/blobs/{noise}"]
        self.assertEqual(ranges, [None, "bytes=1000000-"])


class Ranges(HostileRegistryTest):
    """A layer of 80 MB, which comes by several requests at once. What is wrong with ranges costs only them."""

    def setUp(self):
        super().setUp()
        tars = [hostile_registry.tar_of("noise", random.Random(self.id()).randbytes(80 << 20))]
        self.registry.image = hostile_registry.Image(tars=tars, pack=lambda tar: gzip.compress(tar, 0, mtime=0))

    def asked(self, behaviour):
        path = f"/v2/{behaviour}/blobs/{self.registry.image.document['layers'][0]['digest']}"
        return [headers.get("range") for _, asked, headers in self.registry.seen if asked == path]

    def one_stream_in_the_end(self, behaviour, most_ranges):
        self.pull_works(behaviour)
        first, *rest = self.asked(behaviour)
        self.assertIsNone(first)
        ranges = [each for each in rest if each and not each.endswith("-")]
        self.assertTrue(1 <= len(ranges) <= most_ranges, rest)
        self.assertLessEqual(len(rest) - len(ranges), 1, rest)

    def test_good(self):
        self.pull_works("ranges-good")
        first, *rest = self.asked("ranges-good")
        self.assertIsNone(first, "one request at first, to see whether the network is what is slow")
        ranges = sorted(tuple(map(int, each.removeprefix("bytes=").split("-"))) for each in rest)
        self.assertGreater(len(ranges), 12)
        self.assertTrue(8 << 20 <= ranges[0][0] < 16 << 20, ranges)
        for (_, last), (begin, _) in zip(ranges, ranges[1:]):
            self.assertEqual(begin, last + 1, "each byte is asked for once")
        self.assertEqual(ranges[-1][1], len(self.registry.image.layers[0]) - 1)

    def test_ignored(self):
        self.one_stream_in_the_end("ranges-ignored", 1)

    def test_of_another_place(self):
        self.one_stream_in_the_end("ranges-of-another-place", 1)

    def test_of_another_size(self):
        self.one_stream_in_the_end("ranges-of-another-size", 1)

    def test_without_a_place(self):
        self.one_stream_in_the_end("ranges-without-a-place", 1)

    def test_not_satisfied(self):
        self.one_stream_in_the_end("ranges-not-satisfied", 1)

    def test_ignored_later(self):
        self.one_stream_in_the_end("ranges-ignored-later", 12)

    def test_without_end(self):
        self.one_stream_in_the_end("ranges-without-end", 12)

    def test_cut(self):
        self.pull_works("ranges-cut")
        first, *rest = self.asked("ranges-cut")
        self.assertTrue(all(each and not each.endswith("-") for each in rest), "by ranges to the end")
        lengths = [int(last) + 1 - int(begin) for begin, last in (each.removeprefix("bytes=").split("-") for each in rest)]
        self.assertIn((4 << 20) - 1_000_000, lengths, "what is missing of a chunk")

    def test_too_many(self):
        self.pull_works("ranges-too-many")

    def test_elsewhere_without_a_password(self):
        self.pull_works("ranges-elsewhere")
        self.assertGreater(len([headers for _, _, headers in self.registry.elsewhere if "range" in headers]), 12)
        self.nobody_else_saw_it()

    def test_of_other_bytes(self):
        self.pull_fails("ranges-of-other-bytes", """
error: cannot pull '127.0.0.1:PORT/ranges-of-other-bytes:1'
  cause: layer ID
  cause: 'noise'
  cause: damaged gzip stream (code -1)
""")


class Servers(HostileRegistryTest):
    """Redirects, credentials, statuses, and what is hardly HTTP."""

    def test_redirect_in_a_circle(self):
        self.pull_fails("redirect-in-a-circle", """
error: cannot pull '127.0.0.1:PORT/redirect-in-a-circle:1'
  cause: get 'http://127.0.0.1:PORT/v2/redirect-in-a-circle/blobs/sha256:DIGEST': Maximum (10) redirects followed
""")

    def test_redirect_to_a_file(self):
        self.pull_fails("redirect-to-a-file", """
error: cannot pull '127.0.0.1:PORT/redirect-to-a-file:1'
  cause: get 'http://127.0.0.1:PORT/v2/redirect-to-a-file/blobs/sha256:DIGEST': Protocol "file"
""")

    def test_redirect_to_ftp(self):
        self.pull_fails("redirect-to-ftp", """
error: cannot pull '127.0.0.1:PORT/redirect-to-ftp:1'
  cause: get 'http://127.0.0.1:PORT/v2/redirect-to-ftp/blobs/sha256:DIGEST': Protocol "ftp"
""")

    def test_redirect_to_who_wants_a_password(self):
        self.pull_fails("redirect-to-who-wants-a-password", """
error: cannot pull '127.0.0.1:PORT/redirect-to-who-wants-a-password:1'
  cause: blob ID of redirect-to-who-wants-a-password: the registry '127.0.0.1:PORT' answered 401

hint: `kist login 127.0.0.1:PORT`
""")

    def test_realm_of_a_file(self):
        self.pull_fails("realm-of-a-file", """
error: cannot pull '127.0.0.1:PORT/realm-of-a-file:1'
  cause: the registry '127.0.0.1:PORT' names no token server
""")

    def test_realm_missing(self):
        self.pull_fails("realm-missing", """
error: cannot pull '127.0.0.1:PORT/realm-missing:1'
  cause: the registry '127.0.0.1:PORT' names no token server
""")

    def test_realm_cut_off(self):
        self.pull_fails("realm-cut-off", """
error: cannot pull '127.0.0.1:PORT/realm-cut-off:1'
  cause: the registry '127.0.0.1:PORT' names no token server
""")

    def test_scheme_unknown(self):
        self.pull_fails("scheme-unknown", """
error: cannot pull '127.0.0.1:PORT/scheme-unknown:1'
  cause: the registry '127.0.0.1:PORT' wants other credentials than those of 'joe'

hint: `kist login 127.0.0.1:PORT`
""")

    def test_token_garbage(self):
        self.pull_fails("token-garbage", """
""")

    def test_token_huge(self):
        self.pull_fails("token-huge", """
""")

    def test_token_with_a_line_break(self):
        self.pull_fails("token-with-a-line-break", """
""")

    def test_token_refused(self):
        self.pull_fails("token-refused", """
""")

    def test_token_never_good_enough(self):
        self.pull_fails("token-never-good-enough", """
""")

    def test_token_server_down(self):
        self.pull_fails("token-server-down", """
""")

    def test_too_many_requests_for_a_day(self):
        self.pull_fails("too-many-requests-for-a-day", """
error: cannot pull '127.0.0.1:PORT/too-many-requests-for-a-day:1'
  cause: manifest 1 of too-many-requests-for-a-day: the registry '127.0.0.1:PORT' answered 429: quota (try again in TIME)
""")

    def test_unavailable_for_ever(self):
        self.pull_fails("unavailable-for-ever", """
error: cannot pull '127.0.0.1:PORT/unavailable-for-ever:1'
  cause: manifest 1 of unavailable-for-ever: the registry '127.0.0.1:PORT' answered 503
""")

    def test_error_with_control_characters(self):
        self.pull_fails("error-with-control-characters", """
error: cannot pull '127.0.0.1:PORT/error-with-control-characters:1'
  cause: manifest 1 of error-with-control-characters: the registry '127.0.0.1:PORT' answered 400: \\x1b[2J\\x0d\\x0aerror: you are root now
""")

    def test_error_without_end(self):
        self.pull_fails("error-without-end", """
error: cannot pull '127.0.0.1:PORT/error-without-end:1'
  cause: manifest 1 of error-without-end: the registry '127.0.0.1:PORT' answered 400
""")

    def test_closes_at_once(self):
        self.pull_fails("closes-at-once", """
error: cannot pull '127.0.0.1:PORT/closes-at-once:1'
  cause: get 'http://127.0.0.1:PORT/v2/closes-at-once/manifests/1': Empty reply from server
""")

    def test_closes_in_the_head(self):
        self.pull_fails("closes-in-the-head", """
error: cannot pull '127.0.0.1:PORT/closes-in-the-head:1'
  cause: manifest is not JSON: incomplete JSON
""")

    def test_speaks_another_language(self):
        self.pull_fails("speaks-another-language", """
error: cannot pull '127.0.0.1:PORT/speaks-another-language:1'
  cause: get 'http://127.0.0.1:PORT/v2/speaks-another-language/manifests/1': Received HTTP/0.9 when not allowed
""")

    def test_head_without_end(self):
        self.pull_fails("head-without-end", """
error: cannot pull '127.0.0.1:PORT/head-without-end:1'
  cause: get 'http://127.0.0.1:PORT/v2/head-without-end/manifests/1': the answer's head is longer than SIZE
""")

    def test_head_that_drips(self):
        self.pull_fails("head-that-drips", """
error: cannot pull '127.0.0.1:PORT/head-that-drips:1'
  cause: get 'http://127.0.0.1:PORT/v2/head-that-drips/manifests/1': Operation too slow. Less than 16 bytes/sec transferred the last 1 seconds

hint: check the network; behind a proxy set `HTTPS_PROXY=http://HOST:PORT`, without any network use `--offline`
""")

    def test_two_lengths(self):
        self.pull_fails("two-lengths", """
error: cannot pull '127.0.0.1:PORT/two-lengths:1'
  cause: manifest is not JSON: incomplete JSON
""")

    def test_token_garbage(self):
        self.pull_fails("token-garbage", """
error: cannot pull '127.0.0.1:PORT/token-garbage:1'
  cause: the token server's answer has no token in it
""")

    def test_token_huge(self):
        self.pull_fails("token-huge", """
error: cannot pull '127.0.0.1:PORT/token-huge:1'
  cause: 'http://127.0.0.1:PORT/token/huge?service=x&scope=***&account=joe': the answer is longer than the limit of SIZE
""")

    def test_token_with_a_line_break(self):
        self.pull_fails("token-with-a-line-break", """
error: cannot pull '127.0.0.1:PORT/token-with-a-line-break:1'
  cause: the token server's answer has no token in it
""")

    def test_token_refused(self):
        self.pull_fails("token-refused", """
error: cannot pull '127.0.0.1:PORT/token-refused:1'
  cause: the registry '127.0.0.1:PORT' wants other credentials than those of 'joe'

hint: `kist login 127.0.0.1:PORT`
""")

    def test_token_never_good_enough(self):
        self.pull_fails("token-never-good-enough", """
error: cannot pull '127.0.0.1:PORT/token-never-good-enough:1'
  cause: the registry '127.0.0.1:PORT' does not let 'joe' pull from 'token-never-good-enough'

hint: `kist login 127.0.0.1:PORT`
""")

    def test_token_server_down(self):
        self.pull_fails("token-server-down", """
error: cannot pull '127.0.0.1:PORT/token-server-down:1'
  cause: asking for a token
  cause: get 'http://127.0.0.1:PORT/token?service=x&scope=***&account=joe': Failed to connect to 127.0.0.1 port 1 after TIME: Couldn't connect to server

hint: check the network; behind a proxy set `HTTPS_PROXY=http://HOST:PORT`, without any network use `--offline`
""")

    def test_redirect_elsewhere(self):
        self.pull_works("redirect-elsewhere")
        self.assertEqual(len(self.registry.elsewhere), 3)
        self.nobody_else_saw_it()

    def test_redirect_of_a_password(self):
        self.pull_works("basic-password")
        self.assertTrue(any("authorization" in headers for _, _, headers in self.registry.seen))
        self.assertTrue(self.registry.elsewhere)
        self.nobody_else_saw_it()

    def test_realm_elsewhere_is_asked_without_a_password(self):
        self.pull_works("realm-elsewhere")
        self.assertTrue(self.registry.elsewhere)
        self.nobody_else_saw_it()

    def test_token_of_its_own_server(self):
        self.pull_works("token")
        asked = [headers.get("authorization", "") for _, path, headers in self.registry.seen if path.startswith("/token")]
        self.assertEqual(asked, ["Basic " + base64.b64encode(f"joe:{SECRET}".encode()).decode()])

    def test_too_many_requests_once(self):
        self.pull_works("too-many-requests-once")


class Tags(HostileRegistryTest):
    """Lists of tags."""

    def tags_fail(self, behaviour, message):
        done = self.measured("tags", self.name(behaviour).removesuffix(":1"))
        self.assertNotIn("\x1b", done.out + done.err)
        self.assertIn(done.status, (1, 2), done)
        self.assert_fails(done, done.status, message)

    def test_pages(self):
        done = self.measured("tags", self.name("tags-in-pages").removesuffix(":1"))
        self.assertEqual(done.out, "".join(f"t{i}\n" for i in range(40)), done)

    def test_none(self):
        self.assertEqual(self.measured("tags", self.name("tags-null").removesuffix(":1")).out, "")

    def test_circle(self):
        self.tags_fail("tags-in-a-circle", """
error: the registry's list of tags comes back to a page before
""")

    def test_pages_without_end(self):
        self.tags_fail("tags-without-end", """
error: the registry's list of tags is longer than the limit of 1000000
""")

    def test_a_million_in_one_page(self):
        self.tags_fail("tags-a-million", """
error: 'http://127.0.0.1:PORT/v2/tags-a-million/tags/list': the answer is longer than the limit of SIZE
""")

    def test_what_is_no_tag(self):
        self.tags_fail("tags-of-other-kinds", """
error: the registry's list of tags holds something that is no tag
""")

    def test_next_page_elsewhere(self):
        self.tags_fail("tags-elsewhere", """
error: the registry '127.0.0.1:PORT' sends us to 'ftp://127.0.0.1/'
""")


class Referrers(HostileRegistryTest):
    """Lists of what refers to an image."""

    def listed(self, behaviour, *flags):
        name = self.name(behaviour).removesuffix(":1") + "@sha256:" + "0" * 64
        return self.measured("manifest", "referrers", "--json", *flags, name)

    def list_fails(self, behaviour, message):
        done = self.listed(behaviour)
        self.assertNotIn("\x1b", done.out + done.err)
        self.assertIn(done.status, (1, 2), done)
        self.assert_fails(done, done.status, message)

    def test_pages(self):
        self.assertEqual(len(json.loads(self.listed("referrers-in-pages").out)["referrers"]), 40)

    def test_a_registry_that_does_not_filter(self):
        done = self.listed("referrers-in-pages", "--artifact-type", "application/x.1")
        self.assertEqual({one["artifactType"] for one in json.loads(done.out)["referrers"]}, {"application/x.1"}, done)

    def test_circle(self):
        self.list_fails("referrers-in-a-circle", """
error: the registry's list of referrers comes back to a page before
""")

    def test_pages_without_end(self):
        self.list_fails("referrers-without-end", """
error: the registry's list of referrers is longer than the limit of 100000
""")

    def test_what_is_no_list(self):
        self.list_fails("referrers-that-are-no-list", """
error: image index: manifests 0
  cause: digest '../\\x1b[2J' has '.' at offset 0, not a lower-case hex digit
""")

    def test_next_page_elsewhere(self):
        self.list_fails("referrers-elsewhere", """
error: the registry '127.0.0.1:PORT' sends us to 'ftp://127.0.0.1/'
""")


class Pushes(HostileRegistryTest):
    """Registries that take what they are given in odd ways. The layer of 6 MB goes by PATCH."""

    def setUp(self):
        super().setUp()
        if not (self.folder / "pushed").exists():
            layout = forge.Layout(self.folder / "pushed")
            layout.image("pushed:1", [forge.layer(forge.entry("noise", content=random.Random(3).randbytes(6 << 20)))])
            self.do("load", "-i", layout.path)

    def push_fails(self, behaviour, message):
        done = self.measured("push", "pushed:1", self.name(behaviour))
        self.assertNotIn(SECRET, done.err)
        self.assertIn(done.status, (1, 2), done)
        self.assert_fails(done, done.status, message)
        self.unharmed()
        self.nobody_else_saw_it()
        return done

    def test_good(self):
        self.assertEqual(self.measured("push", "pushed:1", self.name("push-good")).status, 0)

    def test_elsewhere_sees_no_password(self):
        done = self.measured("push", "pushed:1", self.name("push-elsewhere"))
        self.assertEqual(done.status, 0, done)
        self.nobody_else_saw_it()

    def test_goes_on_where_it_was_cut(self):
        done = self.measured("push", "pushed:1", self.name("push-cut-twice"))
        self.assertEqual(done.status, 0, done)
        patches = [headers for method, _, headers in self.registry.seen if method == "PATCH"]
        begins = [int(headers.get("content-range", "0-").split("-")[0]) for headers in patches]
        self.assertEqual(begins, [0, 2 << 20, 4 << 20])
        bodies = [body for path, body in self.registry.uploads.items() if "push-cut-twice" in path]
        layer = json.loads(self.do("inspect", "pushed:1"))[0]["RootFS"]["Layers"][-1]
        self.assertIn(layer, [hostile_registry.digest(gzip.decompress(body)) for body in bodies if body])

    def test_a_digest_that_is_none(self):
        done = self.measured("push", "pushed:1", self.name("push-mounted-by-a-lie"))
        self.assertEqual(done.status, 0, done)

    def test_forgotten(self):
        done = self.measured("push", "pushed:1", self.name("push-forgotten"))
        self.assertEqual(done.status, 0, done)

    def test_to_another_scheme(self):
        self.push_fails("push-to-another-scheme", """
error: cannot push '127.0.0.1:PORT/push-to-another-scheme:1'
  cause: layer ID
  cause: the registry '127.0.0.1:PORT' sends us to 'file:///tmp/x'
""")

    def test_nowhere(self):
        self.push_fails("push-nowhere", """
error: cannot push '127.0.0.1:PORT/push-nowhere:1'
  cause: layer ID
  cause: the registry '127.0.0.1:PORT' does not say where to go on
""")

    def test_refused(self):
        self.push_fails("push-refused", """
error: cannot push '127.0.0.1:PORT/push-refused:1'
  cause: layer ID
  cause: push to push-refused: the registry '127.0.0.1:PORT' answered 403: not yours

hint: `kist login 127.0.0.1:PORT`
""")

    def test_without_space(self):
        self.push_fails("push-without-space", """
error: cannot push '127.0.0.1:PORT/push-without-space:1'
  cause: layer ID
  cause: push to push-without-space: the registry '127.0.0.1:PORT' answered 507
""")

    def test_always_cut(self):
        self.push_fails("push-always-cut", """
error: cannot push '127.0.0.1:PORT/push-always-cut:1'
  cause: layer ID
  cause: get 'http://127.0.0.1:PORT/v2/push-always-cut/blobs/uploads/1': broken connection
""")

    def test_with_lies_about_ranges(self):
        self.push_fails("push-with-lies-about-ranges", """
error: cannot push '127.0.0.1:PORT/push-with-lies-about-ranges:1'
  cause: layer ID
  cause: the registry has NUMBER bytes of an upload of NUMBER
""")

    def test_answered_in_the_middle(self):
        self.push_fails("push-answered-in-the-middle", """
error: cannot push '127.0.0.1:PORT/push-answered-in-the-middle:1'
  cause: layer ID
  cause: the upload: the registry '127.0.0.1:PORT' answered 413: too large
""")

    def test_with_another_digest(self):
        self.push_fails("push-with-another-digest", """
error: cannot push '127.0.0.1:PORT/push-with-another-digest:1'
  cause: layer ID
  cause: push of blob ID: the registry '127.0.0.1:PORT' answered 400: digest did not match
""")

    def test_of_a_manifest_refused(self):
        self.push_fails("push-of-a-manifest-refused", """
error: cannot push '127.0.0.1:PORT/push-of-a-manifest-refused:1'
  cause: push of the manifest to push-of-a-manifest-refused: the registry '127.0.0.1:PORT' answered 400: blob unknown
""")


class HostileLayers(test_images.Hostile):
    """What `load` refuses, `pull` refuses."""

    test_documents = None
    test_layout_that_links_out_of_itself = None

    def pull_layout(self, path):
        with hostile_registry.HostileRegistry() as registry:
            registry.layout = pathlib.Path(path)
            name = f"{registry.host}/layout:1"
            return name, self.run_kist("pull", name, timeout=120)

    def refused_path(self, path, reason):
        _, done = self.pull_layout(path)
        self.assertIn(done.status, (1, 2), done)
        self.assertIn(reason, done.err)
        self.assertEqual(self.do("images", "-q"), "")
        self.assert_store_clean()

    def do(self, *args, **more):
        if args[0] != "load":
            return super().do(*args, **more)
        name, done = self.pull_layout(args[2])
        self.assertEqual(done.status, 0, done)
        super().do("tag", name, "inside:1")
        return super().do("rmi", name)


if __name__ == "__main__":
    lib.main()
