#!/usr/bin/env python3
"""What scripts written for docker and podman expect: how things are named, listed, filtered, formatted and
refused. The expectations are what docker 20.10 with the client 28.2 and podman 4.3 do; each was run there."""
import io
import json
import os
import pty
import subprocess
import tarfile
import unittest

import lib
import test_containers


class Habits(test_containers.ContainerTest):
    def keep(self, name, *args, command=("sleep", "1000")):
        return self.do("run", "-d", "--name", name, *args, "--image", "box", *command).strip()

    def test_lists_have_titles_fields_and_labels(self):
        self.keep("one", "--label", "a.b-c=x", "--label", "team=ml", "-v", f"{self.project}:/p", "-v", "data:/d")
        self.do("create", "--name", "two", "--image", "box", "echo", "a b", "it's")
        self.assertEqual(self.do("ps", "-a", "--format", "table {{.Names}}\t{{.State}}\t{{.Label \"a.b-c\"}}"),
                         "NAMES     STATE     b c\ntwo       created   \none       running   x\n")
        self.assertEqual(self.do("ps", "--format", "{{.Label \"team\"}}|{{.Label \"none\"}}|{{.LocalVolumes}}"), "ml||1\n")
        mounts = self.do("ps", "--no-trunc", "--format", "{{.Mounts}}").strip().split(",")
        self.assertEqual(sorted(mounts), sorted([str(self.project), "data"]))
        self.assertEqual(self.do("ps", "-a", "--filter", "name=two", "--format", "{{.Command}}"), "\"echo 'a b' it's\"\n")
        fields = json.loads(self.do("ps", "--format", "json"))
        self.assertEqual(list(fields), sorted(fields))
        self.assertIn("team=ml", fields["Labels"])
        self.assertEqual(self.do("ps", "-a", "--noheading", "--sort", "names", "--format", "table {{.Names}}"), "one\ntwo\n")
        # A heading even above nothing.
        self.assertEqual(self.do("ps", "--filter", "name=nobody", "--format", "table {{.ID}}\t{{.Names}}"),
                         "CONTAINER ID   NAMES\n")
        self.assertEqual(len(self.do("ps", "-n", "0", "-q").split()), 1, "no wish")
        self.assertEqual(len(self.do("ps", "-aq", "--format", "{{.Names}}").split()[0]), 12, "-q says more")

    def test_filters_are_patterns_and_are_checked(self):
        for name in ("web1", "web2", "db"):
            self.do("create", "--name", name, "--image", "box", "true")
        names = lambda *f: sorted(self.do("ps", "-a", "--format", "{{.Names}}", *f).split())
        self.assertEqual(names("--filter", "name=web"), ["web1", "web2"])
        self.assertEqual(names("--filter", "name=^/db$"), ["db"])
        self.assertEqual(names("--filter", "name=web[2-9]"), ["web2"])
        self.assertEqual(names("--filter", "name=^b"), [])
        self.fails(2, "error: invalid filter 'status=bogus', want one of created, running, paused, restarting, "
                      "removing, exited, stopped, dead\n", "ps", "--filter", "status=bogus")
        self.fails(2, "error: invalid filter 'exited=x': not a number\n", "ps", "--filter", "exited=x")

    def test_inspect_is_for_people_and_shows_what_is_there(self):
        limit = () if self.user else ("-m", "64m")  # A plain user has no cgroup here.
        self.keep("one", *limit, "--tmpfs", "/t:size=1m", "--device", "/dev/null:/dev/zip:r")
        whole = self.do("inspect", "one")
        self.assertTrue(whole.startswith('[\n    {\n        "Id": "'), whole[:80])
        both = self.run_kist("inspect", "one", "nobody", "box", "--format", "{{.Id}}")
        self.assertEqual((both.status, len(both.out.split())), (1, 2))
        self.assertIn("error: no such object: nobody", both.err)
        nothing = self.run_kist("inspect", "nobody")
        self.assertEqual((nothing.status, nothing.out), (1, "[]\n"))
        self.assertEqual(self.run_kist("image", "inspect", "one").status, 1, "that is no image")
        self.assertEqual(self.run_kist("container", "inspect", "box").status, 1, "that is no container")
        host = json.loads(whole)[0]["HostConfig"]
        self.assertEqual(host["MemorySwap"], 2 * host["Memory"])
        self.assertEqual(host["Tmpfs"], {"/t": "size=1048576"})
        self.assertEqual(host["Devices"], [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/zip", "CgroupPermissions": "r"}])

    def test_templates_treat_what_is_missing_as_go_does(self):
        self.do("create", "--name", "one", "--label", "a=b", "--image", "box", "true")
        shown = lambda text: self.run_kist("inspect", "--format", text, "one")
        self.assertEqual(shown('<{{index .Config.Labels "nope"}}><{{.Config.Labels.nope}}>').out, "<><<no value>>\n")
        self.assertEqual(shown("{{.Config.Entrypoint}}{{.HostConfig.CapAdd}}{{.State.Health}}{{.HostConfig.PidsLimit}}").out,
                         "[][]<nil><nil>\n")
        self.assertEqual(shown("{{json .Config.Entrypoint}}").out, "null\n")
        for wrong in ("{{.State.Bogus}}", "{{.Bogus}}", "{{.State.Health.Status}}"):
            self.assertNotEqual(shown(wrong).status, 0, wrong)

    def test_names_as_inspect_shows_them(self):
        self.do("create", "--name", "/one", "--image", "box", "true")
        self.assertEqual(self.do("inspect", "--format", "{{.Name}}", "/one"), "/one\n")
        self.do("rename", "/one", "/two")
        self.fails(2, "error: container two has this name already\n", "rename", "two", "two")
        self.do("rm", "/two")

    def test_those_that_are_there_are_done(self):
        self.keep("one", command=("sh", "-c", "exit 3"))
        self.keep("two", command=("sh", "-c", "exit 4"))
        waited = self.run_kist("wait", "one", "nobody", "two")
        self.assertEqual((waited.status, waited.out), (1, "3\n4\n"))
        self.assertIn("no such container: nobody", waited.err)

    def test_all_ignore_and_files_of_ids_as_podman_has_them(self):
        one = self.keep("one", "--cidfile", str(self.project / "cid"))
        self.keep("two")
        self.do("create", "--name", "three", "--image", "box", "true")
        self.assertEqual(self.do("stop", "-t", "0", "--cidfile", str(self.project / "cid")), one + "\n")
        self.assertEqual(self.do("stop", "--all", "-t", "0").strip(), self.do("ps", "-aq", "--no-trunc", "--filter", "name=two").strip())
        self.do("rm", "--ignore", "nobody", "three")
        self.fails(1, "error: no such container: nobody\n\nhint: `kist ps -a` lists them\n", "rm", "nobody")
        self.do("create", "--name", "last", "--label", "a=b", "--image", "box", "sleep", "1000")
        last = self.do("start", "--latest").strip()
        self.assertEqual(self.do("ps", "-q", "--no-trunc", "--filter", "name=last").strip(), last)
        self.assertEqual(self.do("stop", "-t", "0", "--filter", "label=a=b").strip(), last)
        self.assertEqual(self.do("stop", "--filter", "label=a=c"), "")
        self.assertEqual(self.do("start", "--filter", "label=a=c", "one", "last"), "")
        self.assertEqual(len(self.do("start", "--all").split()), 3)
        self.fails(2, "error: kist start needs CONTAINER…\n\nhint: `kist start --help`\n", "start")
        self.do("rm", "-t", "0", "--all", "--force", "--ignore")
        self.assertEqual(self.do("ps", "-aq"), "")
        self.do("rm", "--all")
        self.fails(2, "error: kist rm needs CONTAINER…\n\nhint: `kist rm --help`\n", "rm")
        self.do("run", "-d", "--name", "again", "--image", "box", "sleep", "1000")
        self.do("run", "--name", "again", "--replace", "--image", "box", "true")
        self.assertEqual(self.state("again")["Status"], "exited")

    def test_streams_that_are_asked_for(self):
        both = ("--image", "box", "sh", "-c", "echo out; echo err >&2")
        done = self.run_kist("run", "--rm", "-a", "stdout", *both)
        self.assertEqual((done.out, done.err), ("out\n", ""))
        done = self.run_kist("run", "--rm", "-a", "STDERR", *both)
        self.assertEqual((done.out, done.err), ("", "err\n"))
        # Whoever sees none of it gets the id.
        done = self.run_kist("run", "--name", "fed", "-i", "-a", "stdin", "--image", "box", "cat", input="in\n")
        self.assertEqual((done.out, done.err), (self.do("ps", "-aq", "--no-trunc", "--filter", "name=fed"), ""))
        self.assertEqual(self.do("logs", "fed"), "in\n")
        self.fails(125, "error: conflicting options: cannot specify both --attach and --detach\n",
                   "run", "-d", "-a", "stdout", *both)

    def test_no_terminal_where_one_is_asked_for(self):
        said = "error: the input device is not a TTY\n\nhint: leave out -t\n"
        self.fails(1, said, "run", "-it", "--image", "box", "true", input="")
        self.assertEqual(self.do("ps", "-aq"), "")
        self.keep("one")
        self.fails(1, said, "exec", "-it", "one", "true", input="")

    def test_host_name_folder_and_variables(self):
        self.assertEqual(self.box("-h", "web", "--image", "box", "sh", "-c", "hostname; echo $HOSTNAME"), "web\nweb\n")
        self.assertEqual(self.box("--image", "box", "sh", "-c", "hostname; env | grep ^HOSTNAME="),
                         f"{os.uname().nodename}\nHOSTNAME={os.uname().nodename}\n", "on the host's network it is the host's")
        # -v makes the folder, --mount does not.
        self.box("-v", f"{self.project}/new/deep:/v", "--image", "box", "touch", "/v/f")
        self.assertTrue((self.project / "new/deep/f").exists())
        self.assertEqual(self.run_kist("run", "--rm", "--mount", f"type=bind,src={self.project}/nope,dst=/v",
                                       "--image", "box", "true").status, 125)
        self.keep("one", "-e", "X=1")
        self.assertEqual(self.do("exec", "-e", "X=2", "one", "sh", "-c", "env | grep ^X="), "X=2\n")

    def test_no_limit_is_no_limit(self):
        self.assertEqual(self.box("-m", "0", "--image", "box", "echo", "x"), "x\n")

    def test_wishes_that_exclude_each_other(self):
        for flags, said in ((("--memory-swap", "64m"), "--memory-swap: it is the sum"),
                            (("-m", "64m", "--memory-reservation", "65m"), "--memory-reservation cannot be more"),
                            (("--uts", "host", "--hostname", "x"), "conflicting options: --hostname and --uts host"),
                            (("--rm", "--restart", "always"), "conflicting options: cannot specify both --restart and --rm"),
                            (("--device", "/dev/null:/dev/x:q"), "bad rights 'q'"),
                            (("--ulimit", "nofile"), "'nofile' is not NAME=SOFT[:HARD]"),
                            (("--cpus", "1", "--cpu-quota", "50000"), "say the same")):
            done = self.run_kist("run", *flags, "--image", "box", "true")
            self.assertEqual(done.status, 125, done)
            self.assertIn(said, done.err)
        self.assertEqual(self.do("run", "-d", "--rm", "--restart", "no", "--image", "box", "true").strip().isalnum(), True)

    def test_lists_without_titles_and_by_patterns(self):
        for name in ("data1", "data2", "other"):
            self.do("volume", "create", name)
        self.assertEqual(self.do("volume", "ls", "--noheading", "--filter", "name=data[2-9]"), "local     data2\n")
        self.assertEqual(self.do("network", "ls", "--noheading", "--filter", "name=^ho", "--format", "table {{.Name}}"), "host\n")
        self.assertEqual(self.do("images", "--noheading", "--format", "table {{.Repository}}").split(), ["box"])

    def test_events_that_do_not_wait(self):
        self.do("create", "--name", "noted", "--image", "box", "true")
        self.assertEqual(self.do("events", "--stream=false", "--filter", "container=noted", "--format", "{{.Action}}"), "create\n")

    def test_a_word_alone_asks_what_there_is(self):
        for word in ("container", "volume", "network"):
            self.assertIn(f"usage: kist {word} VERB", self.do(word))

    def test_info_and_version(self):
        self.keep("one")
        self.do("create", "--image", "box", "true")
        self.assertEqual(self.do("info", "--format", "{{.ContainersRunning}}/{{.Containers}} {{.OSType}}"), "1/2 linux\n")
        self.assertIn("Storage Driver: overlay\n", self.do("system", "info"))
        self.assertEqual(json.loads(self.do("version", "--format", "json"))["Client"]["Os"], "linux")

    def test_tars_are_quiet(self):
        self.do("run", "--name", "one", "--image", "box", "sh", "-c", "echo x > /plain; echo x > /é")
        tar = self.start("export", "one").communicate()[0]
        listed = subprocess.run(["tar", "t"], input=tar, capture_output=True)
        self.assertNotIn(b"hdrcharset' for plain", listed.stderr)
        self.assertLess(listed.stderr.count(b"hdrcharset"), 2, listed.stderr[:300])
        self.assertIn("é", [m.name for m in tarfile.open(fileobj=io.BytesIO(tar))])
        self.fails(2, "error: bad parameter: the path in the container cannot be empty\n\nhint: write it as `CONTAINER:/PATH`\n",
                   "cp", "one:", str(self.project))

    def test_stats_of_what_does_not_run(self):
        self.do("create", "--name", "one", "--image", "box", "true")
        self.assertEqual(self.do("stats", "--no-stream", "--format", "{{.Container}} {{.MemUsage}} {{.PIDs}}", "one"),
                         "one 0B / 0B 0\n")
        self.assertEqual(self.do("stats", "--no-stream", "-a", "--format", "{{.Name}} {{.NetIO}}"), "one 0B / 0B\n")
        self.assertEqual(self.do("stats", "--no-stream", "--format", "{{.Name}}"), "")

    def test_signals_are_passed_on_with_a_terminal_too(self):
        ours, theirs = pty.openpty()
        client = subprocess.Popen(self.command("run", "-it", "--init", "--name", "one", "--image", "box", "sleep", "1000"), stdin=theirs,
                                  stdout=theirs, stderr=theirs, env=self.environment(), cwd=self.project)
        os.close(theirs)
        self.addCleanup(os.close, ours)
        self.until(lambda: self.run_kist("inspect", "-f", "{{.State.Status}}", "one").out == "running\n")
        client.terminate()
        self.assertEqual(client.wait(10), 143)
        self.assertEqual(self.state("one")["ExitCode"], 143)

    def test_stats_of_what_runs(self):
        # A plain user's have no cgroup here: then it is the sum over the processes.
        self.keep("busy", command=("sh", "-c", "sleep 1000 & while :; do :; done"))
        shown = self.do("stats", "--no-stream", "--format", "{{.Name}}|{{.PIDs}}|{{.CPUPerc}}|{{.MemUsage}}|{{.NetIO}}").strip().split("|")
        self.assertEqual((shown[0], shown[1], shown[4]), ("busy", "2", "0B / 0B"))
        self.assertGreater(float(shown[2].rstrip("%")), 5)
        self.assertRegex(shown[3], r"^[\d.]+[KM]iB / ")

    def test_limits_that_cannot_be_kept(self):
        if not self.user:
            self.skipTest("root's can")
        refused = self.run_kist("run", "--rm", "-m", "64m", "--image", "box", "echo", "x")
        if refused.status == 0:
            self.skipTest("cgroups are this user's")
        self.assertIn("limits need a cgroup of yours: run it as root, or `--best-effort` goes on without them", refused.err)
        self.assertEqual(self.box("-m", "64m", "--best-effort", "--image", "box", "echo", "x"), "x\n")
        self.keep("one")
        self.assertIn("the container has no cgroup, so its limits cannot be changed while it runs",
                      self.run_kist("update", "-m", "64m", "one").err)

    def test_top_and_update_refuse(self):
        self.keep("one")
        done = self.run_kist("top", "one", "-o", "bogus")
        self.assertEqual(done.status, 2, done)
        self.assertIn("unknown user-defined format specifier", done.err)
        self.fails(2, "error: you must provide one or more flags when using this command\n\nhint: `kist update --help`\n",
                   "update", "one")


@unittest.skipIf(os.getuid() != 0, "needs root, to be somebody else")
class HabitsAsUser(Habits):
    user = lib.PLAIN_UID


if __name__ == "__main__":
    lib.main()
