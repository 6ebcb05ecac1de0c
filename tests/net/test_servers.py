#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Lab sheet: real servers and a real resolver, and what the probe says of them.

    a (asker, named as resolver) ---- veth ---- b (knotd with cookies, nsd without; fluxtap)

A server is stopped and started; retries go elsewhere; cookies are on at one server and
off at the other. What the sets `server` and `cookie` say is compared with what was done.
"""
import contextlib
import os
import pathlib
import random
import select
import socket
import struct
import subprocess
import time
import unittest

import lab

COOKIES, PLAIN = "10.99.0.2", "10.99.0.3"
RESOLVER = "10.99.0.1"
ZONE = """$ORIGIN example.
$TTL 1
@ SOA ns.example. host.example. 1 3600 600 86400 1
@ NS ns1
@ NS ns2
ns1 A %s
ns2 A %s
* A 192.0.2.1
""" % (COOKIES, PLAIN)


def setUpModule():
    lab.need("nsd", "knotd", "named", xdp=False)


@contextlib.contextmanager
def running(end, path, *words):
    """A program in a namespace, until the block ends."""
    with open(path / (pathlib.Path(words[0]).name + ".log"), "w") as log:
        p = subprocess.Popen(end.command(*words), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    with lab.undone(lambda: lab.end_process(p)):
        yield p


def query(name, qid, rd=0):
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
    return struct.pack("!HHHHHH", qid, rd << 8, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1)


class Asker:
    """Asks over UDP and counts what it sent and what came back within two seconds."""

    def __init__(self, end):
        self.end, self.sent, self.got, self.random = end, 0, 0, random.Random(1)

    def ask(self, server, count, rate, rd=0):
        """Asks one socket a query, so that a port never comes twice in a while."""
        open_ones = {}
        begin = time.time()
        for k in range(count):
            s = self.end.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.connect((server, 53))
            self.sent += 1
            with contextlib.suppress(ConnectionError):
                s.send(query(f"q{self.random.randrange(10 ** 9)}.example", self.random.randrange(65536), rd))
                open_ones[s] = time.time()
            while True:
                left = begin + (k + 1) / rate - time.time()
                if left <= 0:
                    break
                self.collect(open_ones, left)
        end = time.time() + 2
        while open_ones and time.time() < end:
            self.collect(open_ones, end - time.time())
        for s in open_ones:
            s.close()

    def collect(self, open_ones, seconds):
        ready, _, _ = select.select(list(open_ones), [], [], max(0, min(seconds, 0.05)))
        for s in ready:
            with contextlib.suppress(ConnectionError):  # refused: the server is stopped
                self.got += bool(s.recv(4096))
            del open_ones[s]
            s.close()
        if not open_ones:
            time.sleep(max(0, min(seconds, 0.05)))


def wait_for(end, server):
    asker = Asker(end)
    for _ in range(50):
        asker.ask(server, 1, 20)
        if asker.got:
            return
    raise lab.Failed(f"{server} does not answer")


@contextlib.contextmanager
def knotd(end, path):
    (path / "knot").mkdir()
    (path / "knot" / "example.zone").write_text(ZONE)
    (path / "knot.conf").write_text(f"""
server:
  listen: {COOKIES}@53
  rundir: {path}/knot
database:
  storage: {path}/knot
template:
  - id: default
    storage: {path}/knot
    global-module: mod-cookies
zone:
  - domain: example.
    file: example.zone
""")
    with running(end, path, "knotd", "-c", path / "knot.conf"):
        yield


@contextlib.contextmanager
def nsd(end, path):
    (path / "nsd.zone").write_text(ZONE)
    (path / "nsd.conf").write_text(f"""
server:
  ip-address: {PLAIN}
  username: ""
  chroot: ""
  zonesdir: {path}
  database: ""
  pidfile: ""
  xfrdfile: {path}/xfrd
  zonelistfile: {path}/zonelist
  answer-cookie: no
remote-control:
  control-enable: no
zone:
  name: example
  zonefile: nsd.zone
""")
    with running(end, path, "nsd", "-d", "-c", path / "nsd.conf") as p:
        yield p


@contextlib.contextmanager
def resolver(end, path):
    (path / "named.conf").write_text(f"""
options {{
  directory "{path}";
  listen-on {{ {RESOLVER}; }};
  listen-on-v6 {{ none; }};
  pid-file none;
  session-keyfile none;
  recursion yes;
  dnssec-validation no;
  send-cookie yes;
  max-cache-ttl 1;
}};
controls {{ }};
zone "example" {{ type static-stub; server-addresses {{ {COOKIES}; {PLAIN}; }}; }};
""")
    with running(end, path, "named", "-f", "-4", "-c", path / "named.conf"):
        yield


@contextlib.contextmanager
def capture(end, path):
    """tcpdump on the end's interface; the file is whole when the block ends."""
    file = path / "lab.pcap"
    p = subprocess.Popen(end.command("tcpdump", "-i", end.iface, "-w", file, "-U", "-Z", "root", "port", "53"),
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    with lab.undone(lambda: lab.end_process(p)):
        p.stderr.readline()
        time.sleep(0.3)
        yield file
        time.sleep(0.5)
        lab.end_process(p, lab.signal.SIGINT)
        p.stderr.close()


def probe_says(name, file, *options):
    with lab.folder() as out:
        lab.sh(lab.FLUXTAP, "run", "--quiet", "--pcap", file, "--out", out / "r", "--probe", "lab", *options)
        return list(lab.records(name, out / "r"))


class Servers(unittest.TestCase):
    @contextlib.contextmanager
    def lab(self):
        with lab.wire() as w, lab.folder() as path:
            os.chmod(path, 0o755)
            lab.sh("ip", "-n", w.b.name, "addr", "add", f"{PLAIN}/24", "dev", w.b.iface)
            yield w, path

    def test_stopped_and_started(self):
        with self.lab() as (w, path), knotd(w.b, path):
            wait_for(w.a, COOKIES)
            both, alone = Asker(w.a), Asker(w.a)
            with capture(w.b, path) as file:
                with nsd(w.b, path):
                    wait_for(w.a, PLAIN)
                    alone.ask(PLAIN, 200, 40)
                stopped = time.time()
                both.ask(COOKIES, 50, 100)
                alone.ask(PLAIN, 800, 40)
                started = time.time()
                with nsd(w.b, path):
                    wait_for(w.a, PLAIN)
                    alone.ask(PLAIN, 45 * 40, 40)
                    both.ask(COOKIES, 50, 100)
            # A minute in which nobody answers looks like a tap that sees one direction (guard ASYM).
            rows = probe_says("server", file, "--auth", f"{COOKIES},{PLAIN}", "--interval", "86400")
        changes = [(r["state"], r["since_us"] / 1e6) for r in rows if r["server"] == PLAIN and r["state_change"]]
        states = [s for s, _ in changes]
        self.assertEqual(states[-2:], ["DOWN", "UP"], changes)
        (_, down), (_, up) = changes[-2:]
        self.assertTrue(stopped < down <= started + 10, (stopped, changes))
        self.assertTrue(started < up <= started + 50, (started, changes))
        self.assertFalse([r for r in rows if r["server"] == COOKIES and r["state_change"]])
        mine = [r for r in rows if r["server"] == PLAIN and not r["state_change"]]
        # What wait_for asked is in the books, too: at most fifty more, unanswered.
        asked, answered = sum(r["queries"] for r in mine), sum(r["answered"] for r in mine)
        self.assertTrue(alone.sent < asked <= alone.sent + 100)
        self.assertTrue(alone.got < answered <= alone.got + 4, (alone.got, answered))
        self.assertEqual(sum(r["answered"] for r in rows if r["server"] == COOKIES), both.got)

    def test_resolver(self):
        """Cookies at one server and not at the other; and what a resolver does when one is gone."""
        with self.lab() as (w, path), knotd(w.b, path), resolver(w.a, path):
            wait_for(w.a, COOKIES)
            asker = Asker(w.a)
            with capture(w.b, path) as file:
                with nsd(w.b, path):
                    wait_for(w.a, PLAIN)
                    asker.ask(RESOLVER, 600, 100, rd=1)
                # Silent, and not refused: as when its machine is off.
                lab.sh("ip", "-n", w.b.name, "addr", "del", f"{PLAIN}/24", "dev", w.b.iface)
                lab.sh("ip", "-n", w.a.name, "neigh", "replace", PLAIN, "lladdr", w.b.mac, "dev", w.a.iface)
                asker.ask(RESOLVER, 600, 100, rd=1)
            said = {r["address"]: r for r in probe_says("cookie", file, "--resolvers", RESOLVER, "--interval", 3600)}
            rows = {r["server"]: r for r in probe_says("server", file, "--resolvers", RESOLVER, "--interval", 3600)
                    if not r["state_change"]}
        self.assertGreater(asker.got, 1000)
        give, plain = said[COOKIES], said[PLAIN]
        self.assertGreater(give["by_class"]["OK"] + give["by_class"].get("RENEW", 0), 50)
        self.assertIn("BADCOOKIE_RETRY_OK", give["by_class"], "knotd insists on its cookie")
        self.assertNotIn("UNSUPPORTED", give["by_class"])
        self.assertEqual(set(give["format"]), {"V1_OK"})
        self.assertEqual(set(plain["by_class"]), {"UNSUPPORTED"})
        self.assertIs(said[RESOLVER]["cc_reused"], False, "BIND has a cookie for each server")
        self.assertEqual(said[None]["servers"]["cookies"], 1)
        self.assertGreater(rows[PLAIN]["unanswered"], 0)
        self.assertGreater(rows[PLAIN]["retry_other"], 0, "the resolver went elsewhere")
        # BIND's least time-out is 301 ms (lib/dns/resolver.c), or several times the server's.
        self.assertTrue(200000 < rows[PLAIN]["retry_other_us"]["p50"] < 3000000, rows[PLAIN])
        self.assertEqual(rows[COOKIES]["unanswered"], 0)


if __name__ == "__main__":
    unittest.main()
