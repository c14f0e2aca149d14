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


if __name__ == "__main__":
    lib.main()
