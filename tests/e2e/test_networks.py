#!/usr/bin/env python3
"""Networks of containers: real bridges, real traffic, real ports; and nothing left of any of it."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

import lib
import test_containers

TUN = pathlib.Path("/dev/net/tun")
BRIDGE_FILTER = pathlib.Path("/proc/sys/net/bridge/bridge-nf-call-ip6tables")


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def links():
    """Names of the host's interfaces."""
    return sorted(os.listdir("/sys/class/net"))


def rules():
    return output("nft", "-s", "list", "ruleset")  # Without counters, which others move.


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(host, port, timeout=5):
    """What a server of one page says; None: the connection is refused, or nobody answers."""
    try:
        with socket.create_connection((host, port), timeout=timeout) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while part := connection.recv(4096):
                answer += part
            return answer.split(b"\r\n\r\n", 1)[1].decode().strip()
    except (OSError, IndexError):  # A program between may take the connection and drop it.
        return None


def ask_udp(client):
    """Whether a connected socket gets its own words back."""
    try:
        client.send(b"ping")
        return client.recv(10) == b"ping"
    except OSError:  # Refused, or nobody answers.
        return False


def host_address():
    return re.search(r"src (\S+)", output("ip", "-4", "route", "get", "192.0.2.1"))[1]


SERVE = "mkdir -p /w; echo {name} > /w/index.html; exec httpd -f -p {port} -h /w"
# busybox has no server of UDP.
ECHO = """
import socket
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.bind(("::", 80))
print(flush=True)
while True:
    data, where = server.recvfrom(100)
    server.sendto(data, where)
"""


class NetworkTest(test_containers.ContainerTest):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("nft") or not shutil.which("ip"):
            raise unittest.SkipTest("nftables or iproute2 is not installed")
        super().setUpClass()

    def setUp(self):
        super().setUp()
        # What was killed just before, or had another store, may still be on its way out.
        self.do("network", "prune", "-f")
        end = time.monotonic() + 20
        while time.monotonic() < end and ("table inet kist" in rules() or any(link.startswith("kist-") for link in links())):
            time.sleep(0.05)
        self.before = (links(), rules())
        self.addCleanup(self.nothing_is_left)

    def nothing_is_left(self):
        self.do("network", "prune", "-f")
        # The kernel takes namespaces apart in its own time.
        end = time.monotonic() + 20
        while (links(), rules()) != self.before and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual((links(), rules()), self.before)

    def serve(self, name, *args, port=80):
        self.do("run", "-d", "--name", name, *args, "--image", "box", "sh", "-c", SERVE.format(name=name, port=port))

    def pings(self, name, target, *flags):
        return self.run_kist("exec", name, "ping", "-c1", "-W1", *flags, target).status == 0

    def echo_udp(self, name):
        """Answers on the container's port 80 of UDP, until the returned process is killed."""
        space = self.settings(name)["SandboxKey"]
        process = subprocess.Popen(["nsenter", f"--net={space}", sys.executable, "-c", ECHO], stdout=subprocess.PIPE)
        process.stdout.readline()
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def fetch_in(self, name, host, port):
        """As fetch(), from inside of a container. busybox's wget dies of names."""
        done = self.run_kist("exec", name, "sh", "-c", f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {host} {port}")
        return done.out.split("\r\n\r\n", 1)[1].strip() if done.status == 0 and done.out else None

    def settings(self, name):
        return json.loads(self.do("inspect", name))[0]["NetworkSettings"]

    def address(self, name, network="bridge"):
        return self.settings(name)["Networks"][network]["IPAddress"]


class Bridge(NetworkTest):
    def test_default_network(self):
        seen = self.box("--network", "bridge", "--image", "box", "sh", "-c", "ip -4 -o a show eth0; ip r; cat /etc/hosts; hostname")
        address = re.search(r"inet (\S+)/20", seen)[1]
        gateway = re.search(r"default via (\S+)", seen)[1]
        host = seen.split()[-1]
        self.assertIn(f"{address}\t{host}\n", seen)
        self.assertEqual(gateway, address.rsplit(".", 1)[0] + ".1")
        self.box("--network", "bridge", "--image", "box", "ping", "-c1", "-W1", gateway)
        self.box("--network", "bridge", "--image", "box", "ping", "-c1", "-W1", host_address())

    def test_first_packet_is_not_lost(self):
        began = time.monotonic()
        gateway = re.search(r"via (\S+)", self.box("--network", "bridge", "--image", "box", "ip", "r"))[1]
        for _ in range(5):
            self.box("--network", "bridge", "--image", "box", "ping", "-c1", "-W5", gateway)
        self.assertLess(time.monotonic() - began, 4, "each would take a second if the first packet were lost")

    def test_reaches_what_the_host_reaches(self):
        # A server that only the host's namespace has, at an address of another interface.
        with socket.socket() as server:
            server.bind((host_address(), 0))
            server.listen(1)
            heard = []

            def hear():
                connection, where = server.accept()
                connection.close()
                heard.append(where[0])
            thread = threading.Thread(target=hear)
            thread.start()
            self.box("--network", "bridge", "--image", "box", "nc", "-w", "2", host_address(), server.getsockname()[1])
            thread.join(5)
        self.assertEqual(len(heard), 1)

    def test_published_ports(self):
        port, local = free_port(), free_port()
        self.serve("web", "-p", f"{port}:80", "-p", f"{port}:80/udp", "-p", f"127.0.0.1:{local}:80")
        self.until(lambda: fetch("127.0.0.1", port) == "web")
        self.assertEqual(fetch(host_address(), port), "web")
        self.assertEqual(fetch("127.0.0.1", local), "web")
        self.assertIsNone(fetch(host_address(), local), "only 127.0.0.1")
        self.assertIsNone(fetch("::1", port), "refused at once: this network has no IPv6")
        self.echo_udp("web")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(5)
            udp.connect(("127.0.0.1", port))
            udp.send(b"ping")
            self.assertEqual(udp.recv(10), b"ping")
        # From another container, and from itself, by the host's address.
        for name in ("other", "web"):
            if name == "other":
                self.do("run", "-d", "--name", "other", "--network", "bridge", "--image", "box", "sleep", "1000")
            self.assertEqual(self.fetch_in(name, host_address(), port), "web")
        self.assertEqual(self.do("port", "web", "80/udp"), f"0.0.0.0:{port}\n")
        self.assertEqual(self.do("ps", "--filter", f"publish={port}", "--format", "{{.Names}} {{.Ports}}"),
                         f"web 0.0.0.0:{port}->80/tcp, 0.0.0.0:{port}->80/udp, 127.0.0.1:{local}->80/tcp\n")
        self.assertEqual(self.settings("web")["Ports"]["80/udp"], [{"HostIp": "0.0.0.0", "HostPort": f"{port}"}])
        self.assertRegex(self.do("stats", "--no-stream", "--format", "{{.NetIO}}", "web"), r"[1-9].* / .*[1-9]")
        self.do("stop", "-t", "0", "web")
        self.assertIsNone(fetch("127.0.0.1", port))
        self.assertEqual(self.do("port", "web"), "")

    def test_udp_is_led_on_at_once_after_a_restart(self):
        # One that keeps sending from one port, as syslog and statsd do. The kernel remembers where that goes.
        port = free_port(socket.SOCK_DGRAM)
        start = lambda name: self.do("run", "-d", "--name", name, "-p", f"{port}:80/udp", "--image", "box", "sleep", "1000")
        self.serve("other", "-p", f"127.0.0.1:{free_port()}:80")  # Without rules nothing is remembered.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(2)
            client.connect((host_address(), port))
            self.assertFalse(ask_udp(client), "nobody was there yet")
            start("one")
            server = self.echo_udp("one")
            before = self.address("one")
            self.assertTrue(ask_udp(client), "it went to the host itself")
            self.do("stop", "-t", "0", "one")
            server.kill()
            for _ in range(3):
                self.assertFalse(ask_udp(client), "nobody is there")
            self.do("start", "one")
            server = self.echo_udp("one")
            self.assertTrue(ask_udp(client), "what was sent meanwhile does not count")
            # Another at another address takes its place.
            self.do("rm", "-f", "one")
            server.kill()
            start("two")
            self.assertNotEqual(self.address("two"), before)
            self.echo_udp("two")
            self.assertTrue(ask_udp(client), "it went to the one before")

    def test_loopback_of_ipv6(self):
        self.do("network", "create", "--ipv6", "lab")
        port, both = free_port(), free_port()
        if BRIDGE_FILTER.exists():
            self.addCleanup(BRIDGE_FILTER.write_text, BRIDGE_FILTER.read_text())
            BRIDGE_FILTER.write_text("1")
            self.fails(125, "error: port 80 cannot be published at [::1]: answers from bridges are filtered here before the "
                       "host sees them (net.bridge.bridge-nf-call-ip6tables is 1), and the kernel drops them then\n\n"
                       "hint: `-p 127.0.0.1:PORT:80`, or `sysctl -w net.bridge.bridge-nf-call-ip6tables=0`",
                       "run", "--rm", "--network", "lab", "-p", f"[::1]:{port}:80", "--image", "box", "true")
            self.serve("web", "--network", "lab", "-p", f"{both}:80")
            self.until(lambda: fetch("127.0.0.1", both) == "web")
            began = time.monotonic()
            self.assertIsNone(fetch("::1", both))
            self.assertLess(time.monotonic() - began, 1, "refused at once")
            self.do("rm", "-f", "web")
            BRIDGE_FILTER.write_text("0")
        self.serve("web", "--network", "lab", "-p", f"[::1]:{port}:80", "-p", f"[::1]:{port}:80/udp", "-p", f"{both}:80")
        self.until(lambda: fetch("::1", port) == "web")
        self.assertEqual(fetch("::1", both), "web")
        self.assertIsNone(fetch("127.0.0.1", port), "only ::1")
        self.echo_udp("web")
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.connect(("::1", port))
            self.assertTrue(ask_udp(client))
        # On a second network, whose bridge has a route of its own for this.
        self.do("network", "create", "--ipv6", "lab2")
        other = free_port()
        self.serve("web2", "--network", "lab2", "-p", f"[::1]:{other}:80")
        self.until(lambda: fetch("::1", other) == "web2")
        self.assertEqual(fetch("::1", port), "web")
        # The host's own servers at ::1 stay the host's.
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as own:
            self.assertNotEqual(self.run_kist("exec", "web", "nc", "-w", "1", "::1", str(own.getsockname()[1])).status, 0)
            with socket.create_connection(own.getsockname()[:2], timeout=5):
                own.accept()[0].close()

    def test_ranges_and_random_ports(self):
        first = free_port()
        self.serve("web", "-p", "80", "-P", "--expose", "90-91", "-p", f"127.0.0.1:{first}:70")
        port = int(self.do("port", "web", "80").rsplit(":", 1)[1])
        self.until(lambda: fetch("127.0.0.1", port) == "web")
        self.assertEqual(len(self.do("port", "web").splitlines()), 4)
        # It keeps what it has.
        address = self.address("web")
        self.do("restart", "-t", "0", "web")
        self.assertEqual(int(self.do("port", "web", "80").rsplit(":", 1)[1]), port)
        self.assertEqual(self.address("web"), address)
        began = time.monotonic()
        self.until(lambda: fetch("127.0.0.1", port, timeout=0.5) == "web")
        self.assertLess(time.monotonic() - began, 3)

    def test_taken_ports(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            self.fails(125, f"error: failed to bind host port for 0.0.0.0:{port}/tcp: address already in use",
                       "run", "--rm", "-p", f"{port}:80", "--image", "box", "true")
        self.serve("web", "-p", f"{port}:80")
        self.fails(125, f"error: Bind for 127.0.0.1:PORT/tcp failed: port is already allocated\n\n"
                   f"hint: `kist ps --filter publish={port}` shows by whom",
                   "run", "--rm", "-p", f"127.0.0.1:{port}:80", "--image", "box", "true")
        # And nobody else can listen there.
        with socket.socket() as other, self.assertRaises(OSError):
            other.bind(("127.0.0.1", port))
        self.assertEqual(self.box("-p", f"{port}:80/udp", "--image", "box", "echo", "fine"), "fine\n")

    def test_wrong_use(self):
        for text, message in (
                ("x", "invalid port specification: \"x\": 'x' is no port or range, want 1 to 65535"),
                ("80:80:80:80", 'invalid port specification: "80:80:80:80", want [[IP:]HOST-PORT:]PORT[/udp]'),
                ("1-3:1-2", 'invalid port specification: "1-3:1-2": the ranges have 3 and 2 ports')):
            self.fails(125, "error: " + message, "run", "--rm", "-p", text, "--image", "box", "true")
        self.fails(125, "error: network nope not found\n\nhint: `kist network ls` lists them",
                   "run", "--rm", "--network", "nope", "--image", "box", "true")
        done = self.run_kist("run", "--rm", "--network", "host", "-p", "80:80", "--image", "box", "true")
        self.assertEqual((done.status, done.err),
                         (0, "warning: Published ports are discarded when using host network mode\n"))
        self.fails(125, "error: user specified IP address is supported on user defined networks only\n\n"
                   "hint: `kist network create --subnet 10.123.0.0/24 NAME`",
                   "run", "--rm", "--network", "bridge", "--ip", "10.92.0.9", "--image", "box", "true")
        self.fails(125, "error: port 80 cannot be published at ::1: network bridge has no IPv6\n\n"
                   "hint: `kist network create --ipv6 NAME` makes one that has both",
                   "run", "--rm", "-p", "[::1]:8080:80", "--image", "box", "true")
        self.assertEqual(self.do("ps", "-aq"), "")


class Networks(NetworkTest):
    def test_names_come_and_go(self):
        self.do("network", "create", "lab")
        self.do("run", "-d", "--name", "one", "--network", "lab", "--image", "box", "sleep", "1000")
        self.do("run", "-d", "--name", "two", "--network", "lab", "--network-alias", "second", "--hostname", "deux",
                "--image", "box", "sleep", "1000")
        ident = self.do("ps", "-q", "--filter", "name=two").strip()
        for name in ("two", "second", "deux", ident):
            self.assertTrue(self.pings("one", name), name)
        self.assertTrue(self.pings("two", "one"))
        address = self.address("two", "lab")
        self.assertIn(f"{address}\ttwo second {ident} deux\n", self.do("exec", "one", "cat", "/etc/hosts"))
        self.do("stop", "-t", "0", "two")
        self.assertNotIn("\ttwo", self.do("exec", "one", "cat", "/etc/hosts"))
        self.do("start", "two")
        self.assertEqual(self.address("two", "lab"), address)
        self.assertIn(f"{address}\ttwo", self.do("exec", "one", "cat", "/etc/hosts"))
        self.do("rm", "-f", "one", "two")
        self.assertEqual(self.do("network", "rm", "lab"), "lab\n")

    def test_networks_do_not_reach_each_other(self):
        port = free_port()
        self.do("network", "create", "red")
        self.do("network", "create", "blue")
        self.serve("rr", "--network", "red", "-p", f"{port}:80")
        self.serve("bb", "--network", "blue")
        red, blue = self.address("rr", "red"), self.address("bb", "blue")
        self.until(lambda: fetch(red, 80) == "rr")  # The host does.
        self.until(lambda: fetch(blue, 80) == "bb")
        self.assertFalse(self.pings("rr", blue))
        self.assertFalse(self.pings("bb", red))
        self.assertIsNone(self.fetch_in("bb", red, 80))
        # What is published is for all.
        self.assertEqual(self.fetch_in("bb", host_address(), port), "rr")
        self.do("network", "connect", "--alias", "azure", "blue", "rr")
        self.assertTrue(self.pings("rr", "bb"))
        self.assertTrue(self.pings("bb", "azure"))
        self.assertEqual(self.do("exec", "rr", "ip", "r").count("default"), 1)
        self.fails(1, "error: endpoint with name rr already exists in network blue", "network", "connect", "blue", "rr")
        self.do("network", "disconnect", "red", "rr")
        self.assertIn("default via " + blue.rsplit(".", 1)[0] + ".1", self.do("exec", "rr", "ip", "r"))
        self.assertFalse(self.pings("bb", red))
        self.do("restart", "-t", "0", "rr")
        self.assertEqual(list(self.settings("rr")["Networks"]), ["blue"])
        self.fails(1, "error: container rr is not connected to network red", "network", "disconnect", "red", "rr")
        # Also what is on no network any more can be on one again.
        self.do("network", "disconnect", "blue", "rr")
        self.do("network", "connect", "--alias", "azure", "blue", "rr")
        self.assertEqual(self.do("inspect", "--format", "{{.HostConfig.NetworkMode}}", "rr"), "blue\n")
        done = self.run_kist("network", "rm", "blue")
        self.assertEqual(done.status, 1)
        self.assertIn("network blue has active endpoints", done.err)

    def test_internal(self):
        self.do("network", "create", "--internal", "quiet")
        self.do("run", "-d", "--name", "one", "--network", "quiet", "--image", "box", "sleep", "1000")
        self.do("run", "-d", "--name", "two", "--network", "quiet", "--image", "box", "sleep", "1000")
        self.assertTrue(self.pings("one", "two"))
        self.assertNotIn("default", self.do("exec", "one", "ip", "r"))
        gateway = self.address("one", "quiet").rsplit(".", 1)[0] + ".1"
        self.do("exec", "--privileged", "one", "ip", "r", "add", "default", "via", gateway)
        self.assertFalse(self.pings("one", "192.0.2.1"), "also with a route of its own making")
        self.fails(125, "error: ports cannot be published: network quiet is internal",
                   "run", "--rm", "--network", "quiet", "-p", "8080:80", "--image", "box", "true")

    def test_ipv6(self):
        if not pathlib.Path("/proc/sys/net/ipv6").exists():
            self.skipTest("this host has no IPv6")
        port = free_port()
        self.do("network", "create", "--ipv6", "six")
        self.do("network", "create", "--subnet", "fd77::/64", "--subnet", "10.177.0.0/24", "seven")
        self.serve("one", "--network", "six", "-p", f"{port}:80")
        self.serve("two", "--network", "seven", "--ip6", "fd77::77", "--ip", "10.177.0.77", "--mac-address", "02:00:00:00:00:07")
        self.do("network", "connect", "seven", "one")
        self.assertTrue(self.pings("one", "fd77::77", "-6"))
        self.assertTrue(self.pings("two", "one", "-6"))
        two = self.settings("two")["Networks"]["seven"]
        self.assertEqual((two["IPAddress"], two["GlobalIPv6Address"], two["MacAddress"], two["IPv6Gateway"]),
                         ("10.177.0.77", "fd77::77", "02:00:00:00:00:07", "fd77::1"))
        mine = re.search(r"inet6 (\S+)/\d+ scope global", output("ip", "-6", "a"))
        if mine:
            self.until(lambda: fetch(mine[1], port) == "one")
        self.assertIn(f"[::]:{port}->80/tcp", self.do("ps", "--filter", "name=one", "--format", "{{.Ports}}"))
        self.fails(125, "error: Address already in use: 10.177.0.77 is container "
                   f"{self.do('ps', '-q', '--filter', 'name=two').strip()}'s",
                   "run", "--rm", "--network", "seven", "--ip", "10.177.0.77", "--image", "box", "true")

    def test_addresses_run_out(self):
        self.do("network", "create", "--subnet", "10.178.0.0/29", "--ip-range", "10.178.0.4/31", "tiny")
        for name in ("one", "two"):
            self.do("run", "-d", "--name", name, "--network", "tiny", "--image", "box", "sleep", "1000")
        done = self.run_kist("run", "--rm", "--network", "tiny", "--image", "box", "true")
        self.assertEqual(done.status, 125)
        self.assertIn("no available IPv4 addresses on this network's address pool: 10.178.0.4/31", done.err)
        self.do("rm", "-f", "one")
        self.box("--network", "tiny", "--image", "box", "true")

    def test_links_as_before_there_were_networks(self):
        self.serve("db", "--network", "bridge")
        self.do("run", "-d", "--name", "web", "--link", "db:store", "--image", "box", "sleep", "1000")
        self.assertEqual(json.loads(self.do("inspect", "web"))[0]["HostConfig"]["Links"], ["/db:/web/store"])
        self.assertEqual([self.fetch_in("web", name, 80) for name in ("store", "db")], ["db", "db"])
        self.assertFalse(self.pings("db", "web"), "it goes one way")
        # Another address, and the name leads there.
        self.do("stop", "-t", "0", "db")
        self.assertFalse(self.pings("web", "store"))
        self.fails(125, "error: cannot link to a container that does not run: db\n\nhint: `kist start db`\n",
                   "run", "--rm", "--link", "db", "--image", "box", "true")
        self.do("run", "-d", "--name", "between", "--network", "bridge", "--image", "box", "sleep", "1000")
        self.do("start", "db")
        self.until(lambda: self.fetch_in("web", "store", 80) == "db")
        self.do("network", "create", "lab")
        self.serve("inner", "--network", "lab")
        self.assertEqual(self.box("--network", "lab", "--link", "inner:deep", "--image", "box", "sh", "-c",
                                  "ping -c1 -W1 deep >/dev/null && echo reached"), "reached\n")
        for flags, said in ((("--link", "inner"), "cannot link to inner, as it does not belong to the default network"),
                            (("--network", "host", "--link", "db"), "conflicting options: host type networking can't be used with links"),
                            (("--link", "nobody"), "no such container: nobody"),
                            (("--link", "db:a b"), "--link: 'db:a b' is not CONTAINER[:ALIAS]")):
            done = self.run_kist("run", "--rm", *flags, "--image", "box", "true")
            self.assertEqual(done.status, 125, done)
            self.assertIn(said, done.err)

    def test_the_usual_ones_are_always_listed(self):
        self.assertEqual(self.do("network", "ls", "--format", "{{.Name}} {{.Driver}}"), "bridge bridge\nhost host\nnone null\n")
        self.do("network", "exists", "bridge")

    def test_several_networks_from_the_start(self):
        for name in ("front", "back"):
            self.do("network", "create", name)
        self.serve("db", "--network", "back")
        self.do("run", "-d", "--name", "web", "--network", "front", "--network", "back", "--image", "box", "sleep", "1000")
        self.assertEqual(sorted(self.settings("web")["Networks"]), ["back", "front"])
        self.assertEqual(self.fetch_in("web", "db", 80), "db")

    def test_make_and_list(self):
        ident = self.do("network", "create", "--label", "a=b", "--subnet", "10.179.0.0/24", "--gateway", "10.179.0.9", "lab").strip()
        self.assertRegex(ident, "^[0-9a-f]{64}$")
        self.assertEqual(self.do("network", "ls", "--filter", "label=a=b", "--format", "{{.ID}} {{.Name}} {{.Driver}} {{.Scope}}"),
                         f"{ident[:12]} lab bridge local\n")
        self.assertIn("NETWORK ID     NAME", self.do("network", "ls"))
        shown = json.loads(self.do("network", "inspect", "lab"))[0]
        self.assertEqual(shown["IPAM"]["Config"], [{"Subnet": "10.179.0.0/24", "Gateway": "10.179.0.9"}])
        self.fails(1, "error: network with name lab already exists\n\nhint: `kist network rm lab`, or another name",
                   "network", "create", "lab")
        done = self.run_kist("network", "create", "--subnet", "10.179.0.128/25", "other")
        self.assertIn("Pool overlaps with other one on this address space", done.err)
        done = self.run_kist("network", "create", "--subnet", host_address() + "/32", "other")
        self.assertNotEqual(done.status, 0)
        for name in ("host", "bridge"):
            self.assertIn("operation is not permitted on predefined", self.run_kist("network", "create", name).err)
        self.fails(1, "error: network nope not found\n\nhint: `kist network ls` lists them", "network", "rm", "nope")
        self.do("network", "rm", "-f", "nope")
        self.do("run", "-d", "--name", "one", "--network", "lab", "--image", "box", "sleep", "1000")
        self.do("stop", "-t", "0", "one")
        self.assertEqual(self.do("network", "prune", "-f"), "", "a container names it")
        self.do("rm", "one")
        self.assertEqual(self.do("network", "prune", "-f", "--filter", "until=1h"), "")
        self.assertEqual(self.do("network", "prune", "-f"), "Deleted Networks:\nlab\n\n")
        self.do("network", "create", "lab")
        self.assertEqual(self.do("system", "prune", "-f"), "Deleted Networks:\nlab\n\nTotal reclaimed space: 0B\n")

    def test_container_shares_anothers(self):
        self.do("network", "create", "lab")
        self.serve("web", "--network", "lab")
        self.do("run", "-d", "--name", "side", "--network", "container:web", "--image", "box", "sleep", "1000")
        self.until(lambda: self.fetch_in("side", "127.0.0.1", 80) == "web")
        self.assertIn(self.address("web", "lab"), self.do("exec", "side", "cat", "/etc/hosts"))
        self.do("stop", "-t", "0", "web")
        done = self.run_kist("run", "--rm", "--network", "container:web", "--image", "box", "true")
        self.assertEqual(done.status, 125)
        self.assertIn("container web is not running", done.err)

    def test_names_of_the_host_and_resolver(self):
        seen = self.box("--network", "bridge", "--add-host", "up:host-gateway", "--add-host", "db:10.1.2.3",
                        "--dns", "10.1.1.1", "--dns-search", "lan", "--dns-option", "ndots:2",
                        "--image", "box", "sh", "-c", "cat /etc/hosts /etc/resolv.conf; ip r")
        gateway = re.search(r"default via (\S+)", seen)[1]
        self.assertIn(f"{gateway}\tup\n", seen)
        self.assertIn("10.1.2.3\tdb\n", seen)
        self.assertIn("nameserver 10.1.1.1\nsearch lan\noptions ndots:2\n", seen)


class Resolver(threading.Thread):
    """A resolver of the host's, at an address that only this test uses: 192.0.2.7, whatever is asked for."""
    address = "127.77.0.1"

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.address, 53))
        self.asked = []
        self.start()

    def run(self):
        while True:
            message, where = self.socket.recvfrom(512)
            if message == b"end":
                return
            end = message.index(0, 12) + 5
            kind = message[end - 3]
            self.asked.append(message[12:end - 4])
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4" + socket.inet_aton("192.0.2.7") if kind == 1 else b""
            counts = b"\0\1\0" + bytes([bool(answer)]) + b"\0\0\0\0"
            self.socket.sendto(message[:2] + b"\x81\x80" + counts + message[12:end] + answer, where)

    def end(self):
        self.socket.sendto(b"end", (self.address, 53))
        self.join(5)
        self.socket.close()


class NameServer(NetworkTest):
    """For programs that ask a name server and do not look into /etc/hosts."""

    def setUp(self):
        super().setUp()
        try:
            self.resolver = Resolver()
        except OSError as error:
            self.skipTest(f"somebody has port 53 at {Resolver.address}: {error}")
        self.addCleanup(self.resolver.end)
        self.do("network", "create", "--ipv6", "lab")
        self.run_named("one")

    def run_named(self, name, *flags):
        self.do("run", "-d", "--name", name, "--network", "lab", "--dns", Resolver.address, *flags, "--image", "box",
                "sleep", "1000")

    def ask(self, name, what, *flags):
        return re.findall(r"Name:\t.*\nAddress: (\S+)", self.run_kist("exec", name, "nslookup", *flags, what).out)

    def test_names_and_what_it_does_not_know(self):
        self.run_named("two", "--network-alias", "second")
        two = self.settings("two")["Networks"]["lab"]
        for name in ("two", "second", "TWO", two["IPAddress"] and self.do("ps", "-q", "--filter", "name=two").strip()):
            self.assertEqual(self.ask("one", name), [two["IPAddress"], two["GlobalIPv6Address"]], name)
        self.assertEqual(self.ask("one", "two", "-type=aaaa"), [two["GlobalIPv6Address"]])
        self.assertEqual(self.ask("one", "example.org"), ["192.0.2.7"])
        self.assertEqual(set(self.resolver.asked), {b"\7example\3org\0"}, "names of containers stay here")
        self.do("stop", "-t", "0", "two")
        self.assertEqual(self.ask("one", "two."), ["192.0.2.7"], "it is nobody's now")
        # In the foreground it is the caller who answers.
        self.assertIn(self.address("one", "lab"), self.box("--network", "lab", "--image", "box", "nslookup", "one"))
        self.assertIn("nameserver 127.0.0.11\nnameserver 127.77.0.1\noptions ndots:0\n",
                      self.do("exec", "one", "cat", "/etc/resolv.conf"))
        # Who shares a network shares its names.
        self.do("run", "-d", "--name", "side", "--network", "container:one", "--image", "box", "sleep", "1000")
        self.assertEqual(self.ask("side", "one")[:1], [self.address("one", "lab")])

    def test_names_of_addresses(self):
        one = self.settings("one")["Networks"]["lab"]
        for address in (one["IPAddress"], one["GlobalIPv6Address"]):
            self.assertRegex(self.run_kist("exec", "one", "nslookup", address).out, r"name = one\b", address)

    def test_streams(self):
        # More addresses than a datagram holds: it says so, and a stream has them all.
        self.do("exec", "one", "sh", "-c", "for i in $(seq 100); do echo 10.9.9.$i many; done >> /etc/hosts")
        space = self.settings("one")["SandboxKey"]
        question = b"\x12\x34\x01\0\0\1\0\0\0\0\0\0\4many\0\0\1\0\1"
        ask = f"""
import socket, struct
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagram.settimeout(5)
datagram.sendto({question!r}, ("127.0.0.11", 53))
answer = datagram.recv(4096)
print(len(answer) <= 512, bool(answer[2] & 2))
stream = socket.create_connection(("127.0.0.11", 53), timeout=5).makefile("rwb")
stream.write(struct.pack("!H", {len(question)}) + {question!r})
stream.flush()
answer = stream.read(*struct.unpack("!H", stream.read(2)))
print(bool(answer[2] & 2), *struct.unpack("!H", answer[6:8]))
"""
        self.assertEqual(output("nsenter", f"--net={space}", sys.executable, "-c", ask), "True True\nFalse 100\n")

    def test_nonsense_does_not_stop_it(self):
        flood = "for i in $(seq 20); do head -c $((i * 60)) /dev/urandom | nc -u -w 1 127.0.0.11 53 & done; wait"
        self.do("exec", "one", "sh", "-c", flood)
        self.do("exec", "one", "sh", "-c", flood.replace("nc -u", "nc"))
        self.until(lambda: self.ask("one", "one")[:1] == [self.address("one", "lab")])

    def test_a_hosts_file_that_says_it_is_a_terabyte(self):
        self.do("exec", "one", "sh", "-c", "dd if=/dev/zero of=/etc/hosts bs=1 seek=1000000000000 count=1 2>&1")
        self.assertEqual(self.ask("one", "example.org"), ["192.0.2.7"], "its keeper lives")
        # Who comes and goes writes the names of all of its network.
        self.run_named("two")
        self.assertEqual(self.ask("two", "one")[:1], [self.address("one", "lab")])

    def test_who_has_none(self):
        own = "127.0.0.11"
        self.assertNotIn(own, self.box("--network", "bridge", "--image", "box", "cat", "/etc/resolv.conf"))
        # One that is a name server itself may have the port at all addresses.
        seen = self.box("--network", "lab", "--expose", "53/udp", "--image", "box", "sh", "-c",
                        "cat /etc/resolv.conf; netstat -anu | grep -c :53; true")
        self.assertNotIn(own, seen)
        self.assertEqual(seen.splitlines()[-1], "0")

    def test_without_its_keeper_the_next_is_asked(self):
        ident = self.do("ps", "-q", "--no-trunc", "--filter", "name=one").strip()
        lines = (self.store / "containers/ids" / ident / "status").read_text().splitlines()
        os.kill(int(dict(line.split(" ", 1) for line in lines if " " in line)["supervisor"]), signal.SIGKILL)
        done = self.run_kist("exec", "one", "nslookup", "one", own := "127.0.0.11")
        self.assertNotIn(self.address("one", "lab"), done.out.replace(own, ""))
        self.assertTrue(self.pings("one", "one"), "by the hosts file")


class Idle(NetworkTest):
    def test_supervisors_sleep(self):
        # Not "little": nothing. Time and turns on a processor, by the kernel's count.
        self.do("network", "create", "lab")
        self.do("run", "-d", "--name", "plain", "--image", "box", "sleep", "1000")
        self.do("run", "-d", "--name", "port", "-p", f"{free_port()}:80", "--image", "box", "sleep", "1000")
        self.do("run", "-d", "--name", "named", "--network", "lab", "--image", "box", "sleep", "1000")
        files = []
        for ident in self.do("ps", "-q", "--no-trunc").split():
            lines = (self.store / "containers/ids" / ident / "status").read_text().splitlines()
            pid = dict(line.split(" ", 1) for line in lines if " " in line)["supervisor"]
            files.append(pathlib.Path(f"/proc/{pid}/schedstat"))
        self.assertEqual(len(files), 3)
        time.sleep(1)
        before = [file.read_text().split()[::2] for file in files]
        time.sleep(3)
        self.assertEqual([file.read_text().split()[::2] for file in files], before)


class Killed(NetworkTest):
    def network_state(self):
        """What kist holds of containers on networks: leases and members."""
        live = pathlib.Path("/run/kist/networks")
        if not live.exists():
            live = pathlib.Path(f"/dev/shm/kist-{os.getuid()}/networks")
        return sorted(str(p) for p in live.glob("*/*/*"))

    def start_published(self):
        self.do("network", "create", "lab")
        port = free_port()
        self.do("run", "-d", "--name", "other", "--network", "lab", "--image", "box", "sleep", "1000")
        self.left = self.network_state()
        self.serve("web", "--network", "lab", "-p", f"{port}:80")
        self.until(lambda: fetch("127.0.0.1", port) == "web")
        status = dict(line.split(" ", 1) for line in
                      (self.store / "containers/ids" / self.do("ps", "-q", "--no-trunc", "--filter", "name=web").strip() / "status")
                      .read_text().splitlines() if " " in line)
        return port, int(status["supervisor"]), int(status["pid"])

    def is_gone(self, port):
        self.do("ps")
        return (self.network_state() == self.left and f"{port}" not in rules()
                and "\tweb" not in self.do("exec", "other", "cat", "/etc/hosts"))

    def test_the_container(self):
        port, _, pid = self.start_published()
        os.kill(pid, signal.SIGKILL)
        self.until(lambda: self.is_gone(port))

    def test_the_supervisor(self):
        port, supervisor, pid = self.start_published()
        os.kill(supervisor, signal.SIGKILL)
        self.do("ps")
        self.assertEqual(fetch("127.0.0.1", port), "web", "it goes on")
        self.fails(125, f"error: Bind for 0.0.0.0:{port}/tcp failed: port is already allocated\n\n"
                   f"hint: `kist ps --filter publish={port}` shows by whom",
                   "run", "--rm", "-p", f"{port}:80", "--image", "box", "true")
        os.kill(pid, signal.SIGKILL)
        self.until(lambda: self.is_gone(port))

    def test_both(self):
        port, supervisor, pid = self.start_published()
        os.kill(supervisor, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        self.until(lambda: self.is_gone(port))
        self.do("start", "web")
        self.until(lambda: fetch("127.0.0.1", port) == "web")

    def test_in_the_foreground(self):
        port = free_port()
        process = self.start("run", "--rm", "-p", f"{port}:80", "--image", "box", "sh", "-c", "echo ready; sleep 1000")
        self.assertEqual(process.stdout.readline(), b"ready\n")
        self.assertIn(f"{port}", rules())
        pid = int(self.do("inspect", "--format", "{{.State.Pid}}", self.do("ps", "-q").strip()))
        process.kill()
        os.kill(pid, signal.SIGKILL)
        process.communicate()
        self.until(lambda: self.do("ps") and f"{port}" not in rules())
        self.assertEqual(self.network_state(), [])

    def test_rules_that_somebody_flushed_come_back(self):
        port, _, _ = self.start_published()
        subprocess.run(["nft", "delete", "table", "inet", "kist"], check=True)
        self.assertIsNone(fetch("127.0.0.1", port, timeout=1))
        self.do("ps")
        self.assertEqual(fetch("127.0.0.1", port), "web")

    def test_reboot(self):
        # What a reboot takes: processes, interfaces, rules, all in memory.
        port, supervisor, pid = self.start_published()
        other = int(self.do("inspect", "--format", "{{.State.Pid}}", "other"))
        for one in (supervisor, pid, other):
            os.kill(one, signal.SIGKILL)
        time.sleep(0.3)
        subprocess.run(["nft", "delete", "table", "inet", "kist"], check=True)
        shown = json.loads(self.do("network", "inspect", "lab"))[0]
        subprocess.run(["ip", "link", "delete", shown["Options"]["com.docker.network.bridge.name"]], check=True)
        for folder in {pathlib.Path(p).parents[1] for p in self.network_state()}:
            if folder.name == shown["Id"]:
                shutil.rmtree(folder)
        self.do("start", "other", "web")
        self.until(lambda: fetch("127.0.0.1", port) == "web")
        self.assertTrue(self.pings("web", "other"))

    def test_others_rules_are_not_touched(self):
        subprocess.run(["nft", "-f", "-"], input="table inet mine { chain x { type filter hook forward priority 5; "
                       "policy accept;\ncounter comment \"of somebody else\"\n}\n}\n", text=True, check=True)
        self.addCleanup(subprocess.run, ["nft", "delete", "table", "inet", "mine"], check=True)
        handles = output("nft", "-a", "list", "table", "inet", "mine")
        self.box("-p", "18124:80", "--image", "box", "true")
        self.do("network", "prune", "-f")
        strip = lambda text: re.sub(r"packets \d+ bytes \d+", "", text)
        self.assertEqual(strip(output("nft", "-a", "list", "table", "inet", "mine")), strip(handles))


class KilledWhileStarting(NetworkTest):
    network_state = Killed.network_state

    def test_while_it_starts(self):
        # Wherever it dies, the next one starts, and nothing stays.
        for step in range(25):
            process = self.start("run", "--rm", "--name", f"n{step}", "-p", "18123:80", "--image", "box", "true")
            time.sleep(step * 0.001)
            process.kill()
            process.communicate()
        self.until(lambda: self.run_kist("run", "--rm", "-p", "18123:80", "--image", "box", "true").status == 0)
        self.until(lambda: self.do("ps") and "18123" not in rules() and self.network_state() == [])


class OfUser(test_containers.ContainerTest):
    """A plain user's container: pasta, or slirp4netns."""
    user = lib.PLAIN_UID
    program = "pasta"

    def setUp(self):
        super().setUp()
        if not shutil.which(self.program):
            self.skipTest(f"{self.program} is not installed")
        if not TUN.exists() or TUN.stat().st_mode & 0o006 != 0o006:
            self.skipTest(f"{TUN} is not open to everybody: sudo chmod 0666 {TUN}")

    def helpers(self):
        """Those of this test's containers."""
        found = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
                if process.stat().st_uid == self.user and words[0].endswith(self.program.encode()):
                    found.append(int(process.name))
            except OSError:
                pass
        return found

    def status_of(self, name):
        ident = self.do("ps", "-q", "--no-trunc", "--filter", f"name={name}").strip()
        lines = (self.store / "containers/ids" / ident / "status").read_text().splitlines()
        return dict(line.split(" ", 1) for line in lines if " " in line)

    def test_network_and_ports(self):
        port, other = free_port(), free_port()
        seen = self.box("--network", self.program, "--image", "box", "ip", "r")
        self.assertIn("default via", seen)
        self.do("run", "-d", "--name", "web", "--network", self.program, "-p", f"127.0.0.1:{port}:80", "-p", f"{other}:80",
                "-p", "81", "--image", "box", "sh", "-c", SERVE.format(name="web", port=80))
        self.until(lambda: fetch("127.0.0.1", port) == "web")
        self.assertEqual(fetch(host_address(), other), "web")
        self.assertIsNone(fetch(host_address(), port))
        self.assertEqual(len(self.do("port", "web").splitlines()), 3)
        self.assertEqual(self.do("port", "web", "80").splitlines(), [f"127.0.0.1:{port}", f"0.0.0.0:{other}"])
        self.fails(125, "error: failed to bind host port for 127.0.0.1:PORT/tcp: address already in use",
                   "run", "--rm", "--network", self.program, "-p", f"127.0.0.1:{port}:80", "--image", "box", "true")
        self.do("restart", "-t", "0", "web")
        self.until(lambda: fetch("127.0.0.1", port) == "web")
        self.do("run", "-d", "--name", "side", "--network", "container:web", "--image", "box", "sleep", "1000")
        answer = self.do("exec", "side", "sh", "-c", "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 127.0.0.1 80")
        self.assertTrue(answer.endswith("web\n"), answer)
        self.do("rm", "-f", "side", "web")
        self.until(lambda: not self.helpers())

    def test_it_goes_with_the_container(self):
        for kill_supervisor in (False, True):
            self.do("run", "-d", "--name", "web", "--network", self.program, "--image", "box", "sleep", "1000")
            status = self.status_of("web")
            self.assertEqual(len(self.helpers()), 1)
            if kill_supervisor:
                os.kill(int(status["supervisor"]), signal.SIGKILL)
                time.sleep(0.1)
                self.assertEqual(len(self.helpers()), 1, "the container goes on, and so does its network")
            os.kill(int(status["pid"]), signal.SIGKILL)
            self.until(lambda: not self.helpers())
            self.do("rm", "-f", "web")


class OfUserBySlirp(OfUser):
    program = "slirp4netns"


class UserAdvice(test_containers.ContainerTest):
    user = lib.PLAIN_UID

    def test_networks_need_root(self):
        self.fails(125, "error: --network bridge: networks of kist's own need root\n\n"
                   "hint: `--network pasta` gives a plain user's container a network and published ports",
                   "run", "--rm", "--network", "bridge", "--image", "box", "true")
        self.fails(1, "error: networks of containers need root\n\n"
                   "hint: `--network pasta` gives a plain user's container a network and published ports",
                   "network", "create", "lab")
        self.assertEqual(self.do("network", "ls", "-q").count("\n"), 2)

    def test_closed_device(self):
        if not shutil.which("pasta"):
            self.skipTest("pasta is not installed")
        if not TUN.exists() or TUN.stat().st_mode & 0o006:
            self.skipTest(f"{TUN} is open to everybody here, or not there")
        self.fails(125, "error: this user may not open '/dev/net/tun', which a network of its own needs\n\n"
                   "hint: `sudo chmod 0666 /dev/net/tun`, or `--network host`",
                   "run", "--rm", "-p", "80", "--image", "box", "true")


if __name__ == "__main__":
    lib.main()
