#!/usr/bin/env python3
"""Registries with bad manners (tests/faults/hostile_registry.py), and the layers that they may give.

Each behaviour ends in a clear error, or in what was asked for; with bounded memory; the store is sound
after it, and the image that was there before is what it was. No password is shown to anybody else.
"""
import base64
import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import image_forge as forge
import lib
import test_images

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))
import hostile_registry  # noqa: E402

# What a pull of the good image takes is some 60 MB; more than this nobody may make us take.
MOST_MEMORY = 250 << 20
SECRET = "hunter2"


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
            self.do("pull", "-q", self.name("good"))
            self.do("tag", self.name("good"), "kept:1")
            self.do("rmi", self.name("good"))
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
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            done = lib.Outcome(process.returncode, out.read().decode(errors="replace"), err.read().decode(errors="replace"))
        self.assertLess(usage.ru_maxrss << 10, most_memory, done)
        return done

    def unharmed(self):
        self.assertEqual(self.do("inspect", "kept:1"), self.kept)
        self.assert_store_clean()

    def pull_fails(self, behaviour, message):
        done = self.measured("pull", self.name(behaviour))
        self.assertNotIn("\x1b", done.err)
        self.assertNotIn(SECRET, done.err)
        self.assert_fails(done, 1, message)
        self.assertEqual(self.do("images", "--format", "{{.Repository}}:{{.Tag}}"), "kept:1\n")
        self.unharmed()
        return done

    def pull_works(self, behaviour):
        done = self.measured("pull", self.name(behaviour))
        self.assertEqual(done.status, 0, done)
        self.do("rmi", self.name(behaviour))
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
""")

    def test_manifest_of_another_digest(self):
        self.pull_fails("manifest-of-another-digest", """
""")

    def test_manifest_of_100_megabytes(self):
        self.pull_fails("manifest-of-100-megabytes", """
""")

    def test_manifest_without_end(self):
        self.pull_fails("manifest-without-end", """
""")

    def test_manifest_that_is_no_json(self):
        self.pull_fails("manifest-that-is-no-json", """
""")

    def test_manifest_of_brackets(self):
        self.pull_fails("manifest-of-brackets", """
""")

    def test_manifest_cut_off(self):
        self.pull_fails("manifest-cut-off", """
""")

    def test_manifest_says_index_inside(self):
        self.pull_fails("manifest-says-index-inside", """
""")

    def test_manifest_that_is_both(self):
        self.pull_fails("manifest-that-is-both", """
""")

    def test_manifest_of_schema_1(self):
        self.pull_fails("manifest-of-schema-1", """
""")

    def test_manifest_compressed_on_the_way(self):
        self.pull_fails("manifest-compressed-on-the-way", """
""")

    def test_manifest_with_layer_outside_of_the_store(self):
        self.pull_fails("manifest-with-layer-outside-of-the-store", """
""")

    def test_manifest_with_negative_size(self):
        self.pull_fails("manifest-with-negative-size", """
""")

    def test_manifest_with_too_many_layers(self):
        self.pull_fails("manifest-with-too-many-layers", """
""")

    def test_artifact(self):
        self.pull_fails("artifact", """
""")

    def test_index_that_is_deep(self):
        self.pull_fails("index-that-is-deep", """
""")

    def test_index_that_is_its_own_child(self):
        self.pull_fails("index-that-is-its-own-child", """
""")

    def test_index_of_nothing_for_us(self):
        self.pull_fails("index-of-nothing-for-us", """
""")

    def test_index_of_a_million(self):
        self.pull_fails("index-of-a-million", """
""")

    def test_config_of_another_digest(self):
        self.pull_fails("config-of-another-digest", """
""")

    def test_config_of_a_terabyte(self):
        self.pull_fails("config-of-a-terabyte", """
""")

    def test_config_missing(self):
        self.pull_fails("config-missing", """
""")

    def test_manifest_that_drips(self):
        self.pull_fails("manifest-that-drips", """
""")


class Layers(HostileRegistryTest):
    """Blobs that are not what the manifest says."""

    def test_layer_of_another_digest(self):
        self.pull_fails("layer-of-another-digest", """
""")

    def test_layer_with_one_byte_changed(self):
        self.pull_fails("layer-with-one-byte-changed", """
""")

    def test_layer_short(self):
        self.pull_fails("layer-short", """
""")

    def test_layer_long(self):
        self.pull_fails("layer-long", """
""")

    def test_layer_without_end(self):
        self.pull_fails("layer-without-end", """
""")

    def test_layer_compressed_on_the_way(self):
        self.pull_fails("layer-compressed-on-the-way", """
""")

    def test_layer_missing(self):
        self.pull_fails("layer-missing", """
""")

    def test_layer_always_cut_at_the_same_byte(self):
        self.pull_fails("layer-always-cut-at-the-same-byte", """
""")

    def test_layer_cut_then_another_range(self):
        self.pull_fails("layer-cut-then-another-range", """
""")

    def test_layer_cut_then_no_range_said(self):
        self.pull_fails("layer-cut-then-no-range-said", """
""")

    def test_layer_cut_then_other_bytes(self):
        self.pull_fails("layer-cut-then-other-bytes", """
""")

    def test_layer_cut_then_416(self):
        self.pull_fails("layer-cut-then-416", """
""")

    def test_layer_that_stalls(self):
        self.pull_fails("layer-that-stalls", """
""")

    def test_layers_said_to_be_larger(self):
        self.pull_fails("layers-said-to-be-larger", """
""")

    def test_layers_said_to_be_smaller(self):
        self.pull_fails("layers-said-to-be-smaller", """
""")

    def test_layers_said_to_be_of_an_exabyte(self):
        self.pull_fails("layers-said-to-be-of-an-exabyte", """
""")


class Servers(HostileRegistryTest):
    """Redirects, credentials, statuses, and what is hardly HTTP."""

    def test_redirect_in_a_circle(self):
        self.pull_fails("redirect-in-a-circle", """
""")

    def test_redirect_to_a_file(self):
        self.pull_fails("redirect-to-a-file", """
""")

    def test_redirect_to_ftp(self):
        self.pull_fails("redirect-to-ftp", """
""")

    def test_redirect_to_who_wants_a_password(self):
        self.pull_fails("redirect-to-who-wants-a-password", """
""")

    def test_realm_of_a_file(self):
        self.pull_fails("realm-of-a-file", """
""")

    def test_realm_missing(self):
        self.pull_fails("realm-missing", """
""")

    def test_realm_cut_off(self):
        self.pull_fails("realm-cut-off", """
""")

    def test_scheme_unknown(self):
        self.pull_fails("scheme-unknown", """
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
""")

    def test_unavailable_for_ever(self):
        self.pull_fails("unavailable-for-ever", """
""")

    def test_error_with_control_characters(self):
        self.pull_fails("error-with-control-characters", """
""")

    def test_error_without_end(self):
        self.pull_fails("error-without-end", """
""")

    def test_closes_at_once(self):
        self.pull_fails("closes-at-once", """
""")

    def test_closes_in_the_head(self):
        self.pull_fails("closes-in-the-head", """
""")

    def test_speaks_another_language(self):
        self.pull_fails("speaks-another-language", """
""")

    def test_head_without_end(self):
        self.pull_fails("head-without-end", """
""")

    def test_head_that_drips(self):
        self.pull_fails("head-that-drips", """
""")

    def test_two_lengths(self):
        self.pull_fails("two-lengths", """
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


if __name__ == "__main__":
    lib.main()
