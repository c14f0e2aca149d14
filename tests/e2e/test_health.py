#!/usr/bin/env python3
"""Health checks and the journal of events."""
import json
import time

import lib
from test_containers import ContainerTest


class Health(ContainerTest):
    def health(self, name):
        return self.state(name)["Health"]

    def test_of_flags(self):
        self.do("run", "-d", "--name", "web", "--health-cmd", "echo looked; test -e /ok", "--health-interval", "100ms",
                "--health-retries", "2", "--image", "box", "sleep", "100")
        self.assertIn("(health: starting)", self.do("ps"))
        self.until(lambda: self.health("web")["Status"] == "unhealthy")
        self.assertIn("(unhealthy)", self.do("ps", "--format", "{{.Status}}"))
        seen = self.health("web")
        self.assertGreaterEqual(seen["FailingStreak"], 2)
        self.assertEqual((seen["Log"][-1]["ExitCode"], seen["Log"][-1]["Output"]), (1, "looked\n"))
        self.do("exec", "web", "touch", "/ok")
        self.until(lambda: self.health("web")["Status"] == "healthy")
        self.assertEqual(self.do("ps", "--filter", "health=healthy", "--format", "{{.Names}}"), "web\n")
        self.assertEqual(self.do("ps", "-q", "--filter", "health=unhealthy"), "")
        self.until(lambda: len(self.health("web")["Log"]) == 5)
        self.do("restart", "-t", "0", "web")
        self.assertIn(self.health("web")["Status"], ("starting", "healthy"))
        seen = json.loads(self.do("inspect", "web"))[0]["Config"]["Healthcheck"]
        self.assertEqual((seen["Test"], seen["Interval"], seen["Retries"]),
                         (["CMD-SHELL", "echo looked; test -e /ok"], 100_000_000, 2))

    def test_of_the_image(self):
        self.do("import", str(self.root_tar), "checked", "-c", 'CMD ["sleep", "100"]',
                "-c", 'HEALTHCHECK --interval=100ms --timeout=1s CMD ["test", "-d", "/etc"]')
        self.do("run", "-d", "--name", "web", "--image", "checked")
        self.until(lambda: self.health("web")["Status"] == "healthy")
        self.do("run", "-d", "--name", "off", "--no-healthcheck", "--image", "checked")
        self.assertNotIn("Health", self.state("off"))
        self.do("run", "--rm", "--image", "checked", "true")

    def test_one_that_hangs(self):
        self.do("run", "-d", "--name", "web", "--health-cmd", "sleep 77 & sleep 78", "--health-interval", "50ms", "--health-timeout",
                "200ms", "--health-retries", "1", "--image", "box", "sleep", "100")
        self.until(lambda: self.health("web")["Status"] == "unhealthy")
        self.assertEqual(self.health("web")["Log"][0]["Output"], "Health check exceeded timeout (200ms)")
        time.sleep(1)
        self.assertLessEqual(self.do("top", "web").count("sleep 7"), 2, "they do not pile up")

    def test_wrong_use(self):
        self.fails(125, "error: --health-interval: 'soon' is no span of time of at least TIME, for example TIME or TIME\n",
                   "run", "--rm", "--health-interval", "soon", "--image", "box", "true")
        self.fails(125, "error: --no-healthcheck and --health-cmd exclude each other\n",
                   "run", "--rm", "--no-healthcheck", "--health-cmd", "true", "--image", "box", "true")


class HealthAsUser(Health):
    user = 12345


class Events(ContainerTest):
    def seen(self, *args):
        return self.do("events", "--since", "1h", "--until", "0s", *args)

    def test_a_life(self):
        ident = self.do("run", "-d", "--name", "web", "--label", "l=1", "-v", "mine:/v", "--image", "box", "sleep", "100").strip()
        self.do("exec", "web", "true")
        self.do("rename", "web", "www")
        self.do("stop", "-t", "0", "www")
        self.do("rm", "www")
        self.do("volume", "rm", "mine")
        actions = self.seen("--filter", f"container={ident}", "--format", "{{.Action}}").split("\n")
        self.assertEqual(actions, ["create", "start", "exec_create: true", "exec_start: true", "exec_die", "rename", "kill", "die",
                                   "stop", "destroy", ""])
        self.assertEqual(self.seen("--filter", "volume=mine", "--format", "{{.Action}}"), "create\nmount\nunmount\ndestroy\n")
        self.assertEqual(self.seen("--filter", "type=container", "--filter", "event=die", "--filter", "label=l=1", "--format",
                                   "{{.Actor.Attributes.exitCode}} {{.Actor.Attributes.name}}"), "137 www\n")
        line = self.seen("--filter", "event=start", "--filter", f"container={ident}")
        self.assertRegex(line, r"^\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d container start " + ident + r" \(a.b=c, image=box, l=1, name=web\)\n$")
        one = json.loads(self.seen("--filter", "event=start", "--filter", f"container={ident}", "--format", "json"))
        self.assertEqual((one["Type"], one["Action"], one["Actor"]["ID"], one["from"], one["status"]),
                         ("container", "start", ident, "box", "start"))

    def test_foreground_and_images(self):
        self.box("--name", "once", "--image", "box", "sh", "-c", "exit 0")
        self.assertEqual(self.seen("--filter", "container=once", "--format", "{{.Action}}"), "create\nstart\ndie\ndestroy\n")
        self.do("tag", "box", "other")
        self.do("rmi", "other")
        self.assertEqual(self.seen("--filter", "type=image", "--filter", "image=other", "--format", "{{.Action}}"), "tag\nuntag\n")

    def test_followed(self):
        process = self.start("events", "--filter", "event=start", "--format", "{{.Actor.Attributes.name}}")
        time.sleep(0.3)
        self.do("run", "-d", "--name", "web", "--image", "box", "sleep", "100")
        self.assertEqual(process.stdout.readline(), b"web\n")
        process.kill()
        process.communicate()
        self.assertEqual(self.run_kist("events", "--since", "soon").status, 2)


class EventsAsUser(Events):
    user = 12345


class Others(ContainerTest):
    def test_init(self):
        self.assertEqual(self.box("--init", "--image", "box", "sh", "-c", "cat /proc/1/cmdline | tr '\\0' ' '; echo; echo $$"),
                         "kist-init 2 \n2\n")
        done = self.run_kist("run", "--rm", "--init", "-e", "SECRET=1", "--image", "box", "sh", "-c", "cat /proc/1/environ")
        self.assertEqual(done.out, "", "nothing of the host's environment is to be seen")
        self.assertEqual(self.run_kist("run", "--rm", "--init", "--image", "box", "sh", "-c", "exit 9").status, 9)
        self.assertEqual(self.run_kist("run", "--rm", "--init", "--image", "box", "nothere").status, 127)
        self.do("run", "-d", "--name", "web", "--init", "--image", "box", "sh", "-c",
                "(sh -c 'sleep 0.2 &'); trap 'echo got; exit 3' TERM; while :; do sleep 0.05; done")
        time.sleep(0.6)
        self.assertNotIn("[sleep]", self.do("exec", "web", "ps"), "orphans are reaped")
        self.do("stop", "web")
        self.assertEqual(self.state("web")["ExitCode"], 3)
        self.assertTrue(json.loads(self.do("inspect", "web"))[0]["HostConfig"]["Init"])

    def test_create_and_wait(self):
        ident = self.do("create", "--name", "job", "--image", "box", "sh", "-c", "echo hello").strip()
        self.assertEqual(self.state("job")["Status"], "created")
        self.assertEqual(self.do("start", "-a", "job"), "hello\n")
        self.do("container", "create", "--name", "web", "--health-cmd", "true", "--health-interval", "100ms", "--image", "box", "sleep", "100")
        self.do("start", "web")
        self.do("wait", "--condition", "healthy", "web")
        self.assertEqual(self.do("container", "ls", "-q", "--filter", "before=web", "-a"), ident[:12] + "\n")
        self.fails(125, "error: kist create needs --image NAME\n\nhint: `kist create --help`\n", "create", "x")

    def test_prune(self):
        self.do("run", "--name", "one", "--image", "box", "sh", "-c", "head -c 8192 /dev/zero > /f")
        self.do("run", "-d", "--name", "web", "--image", "box", "sleep", "100")
        self.do("commit", "one", "unused")
        self.assertEqual(self.do("container", "prune", "-f", "--filter", "until=1h"), "Total reclaimed space: 0B\n")
        self.assertRegex(self.do("container", "prune", "-f"), "^Deleted Containers:\n[0-9a-f]{64}\n\nTotal reclaimed space: 8.19kB\n$")
        self.assertEqual(self.do("ps", "-a", "--format", "{{.Names}}"), "web\n")
        self.assertEqual(self.do("image", "prune", "-f"), "Total reclaimed space: 0B\n")
        out = self.do("image", "prune", "-af")
        self.assertIn("untagged: unused:latest\n", out)
        self.assertEqual(self.do("images", "--format", "{{.Repository}}"), "box\n", "web has it")
        self.do("stop", "-t", "0", "web")
        self.assertIn("Deleted Containers:", self.do("system", "prune", "-f"))

    def test_size_and_wishes(self):
        self.do("run", "--name", "one", "--image", "box", "sh", "-c", "head -c 8192 /dev/zero > /f")
        self.assertRegex(self.do("ps", "-a", "--size", "--format", "{{.Size}}"), r"^8.19kB \(virtual \d.*MB\)\n$")
        seen = json.loads(self.do("inspect", "--size", "one"))[0]
        self.assertEqual(seen["SizeRw"], 8192)
        self.assertGreater(seen["SizeRootFs"], 500_000)
        for flag, value, message in (("--gpus", "all", "--gpus is not supported yet"), ("--pull", "always", "says no registry, and none is configured"),
                                     ("--pull", "now", "invalid pull option: 'now'"), ("--runtime", "runsc", "unknown or invalid runtime name: runsc"),
                                     ("--platform", "linux/s390x", "is for another platform")):
            done = self.run_kist("run", "--rm", flag, value, "--image", "box", "true")
            self.assertEqual(done.status, 125)
            self.assertIn(message, done.err)


class OthersAsUser(Others):
    user = 12345


if __name__ == "__main__":
    lib.main()
