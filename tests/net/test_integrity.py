#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Lab sheet: a zone on nsd is changed and changed back while kdig asks.

    a (kdig, as two resolvers) ---- veth ---- b (nsd; fluxtap on the same machine)

The probe listens over AF_XDP in host mode and is to call out the change while it lasts;
of a capture of it all, with its times drawn out, it is to say when it began and ended.
"""
import contextlib
import os
import signal
import struct
import subprocess
import time
import unittest

import lab

OTHER = "10.99.0.11"
GOOD, EVIL, MORE = "192.0.2.80", "203.0.113.66", "198.51.100.7"
STRETCH = 30  # so that 300 s of quiet are 10 s here

ZONE = """$ORIGIN shop.example.
$TTL {ttl}
@ SOA ns1 host {serial} 3600 600 86400 60
@ NS {ns}
@ MX 10 mail
ns1 A 10.99.0.2
www A {www}
cdn A {cdn}
{acme}
"""
WATCH = f"""# what the operator wrote down
www.shop.example A baseline={GOOD}
shop.example NS,MX baseline=ns1.shop.example|10 mail.shop.example
_acme-challenge.shop.example TXT baseline=
cdn.shop.example A allow=198.51.100.0/24 baseline={GOOD}
"""


def setUpModule():
    lab.need("nsd", "kdig", "tcpdump")


class Server:
    """nsd whose zone can be rewritten."""

    def __init__(self, end, path):
        self.end, self.path, self.serial, self.process = end, path, 0, None

    def write(self, www=GOOD, ns="ns1", ttl=3600, acme="", cdn=GOOD):
        self.serial += 1
        (self.path / "zone").write_text(ZONE.format(serial=self.serial, www=www, ns=ns, ttl=ttl, acme=acme, cdn=cdn))
        if self.process is not None:
            self.process.send_signal(signal.SIGHUP)
            self.wait()

    def ask(self, name, kind, source=None, extra=()):
        r = subprocess.run(self.end.command("kdig", "@10.99.0.2", "+norec", "+retry=0", "+time=1", "+short", *extra,
                                            *(["-b", source] if source else []), name, kind),
                           capture_output=True, text=True, timeout=20)
        return r.stdout.strip()

    def wait(self):
        for _ in range(100):
            if self.ask("shop.example", "SOA").split()[2:3] == [str(self.serial)]:
                return
            time.sleep(0.05)
        raise lab.Failed("nsd does not serve the new zone")


@contextlib.contextmanager
def nsd(wire, path):
    server = Server(wire.a, path)
    server.write()
    (path / "nsd.conf").write_text(f"""
server:
  ip-address: 10.99.0.2
  username: ""
  chroot: ""
  zonesdir: {path}
  database: ""
  pidfile: ""
  xfrdfile: {path}/xfrd
  zonelistfile: {path}/zonelist
remote-control:
  control-enable: no
zone:
  name: shop.example
  zonefile: zone
""")
    with open(path / "nsd.log", "w") as log:
        server.process = subprocess.Popen(wire.b.command("nsd", "-d", "-c", path / "nsd.conf"),
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    with lab.undone(lambda: lab.end_process(server.process)):
        server.wait()
        yield server


@contextlib.contextmanager
def capture(end, path):
    file = path / "lab.pcap"
    p = subprocess.Popen(end.command("tcpdump", "-i", end.iface, "-w", file, "-U", "-Z", "root", "port", "53"),
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    with lab.undone(lambda: lab.end_process(p)):
        p.stderr.readline()
        time.sleep(0.3)
        yield file
        time.sleep(0.5)
        lab.end_process(p, signal.SIGINT)
        p.stderr.close()


def stretched(file, out):
    """The same packets, the time between them drawn out; gives the begin of it all."""
    data = file.read_bytes()
    at, begin, parts = 24, None, [data[:24]]
    while at + 16 <= len(data):
        s, us, length, whole = struct.unpack_from("<IIII", data, at)
        now = s * 1000000 + us
        begin = now if begin is None else begin
        then = begin + (now - begin) * STRETCH
        parts += [struct.pack("<IIII", then // 1000000, then % 1000000, length, whole),
                  data[at + 16:at + 16 + length]]
        at += 16 + length
    out.write_bytes(b"".join(parts))
    return begin


class Integrity(unittest.TestCase):
    def ask_all(self, server, rounds):
        for k in range(rounds):
            for name, kind in (("www.shop.example", "A"), ("shop.example", "NS"), ("shop.example", "MX"),
                               ("_acme-challenge.shop.example", "TXT"), ("cdn.shop.example", "A")):
                server.ask(name, kind, (None, OTHER)[k % 2])

    def play(self, w, path, stack):
        """Does it all; gives what was done when, the probe and what it said meanwhile."""
        lab.sh("ip", "-n", w.a.name, "addr", "add", f"{OTHER}/24", "dev", w.a.iface)
        (path / "watch").write_text(WATCH)
        server = stack.enter_context(nsd(w, path))
        stack.enter_context(capture(w.b, path))
        probe = stack.enter_context(lab.probe(w.b, "--xdp", f"{w.b.iface},mode=host", "--watch", path / "watch",
                                              interval=1))
        done = {}
        self.ask_all(server, 6)
        done["before"] = time.time()
        server.write(www=EVIL, ns="ns.evil.example.", ttl=60, acme="_acme-challenge TXT token", cdn=MORE)
        done["changed"] = time.time()
        self.ask_all(server, 6)
        server.write(www=EVIL, ns="ns.evil.example.", ttl=0, acme="_acme-challenge TXT token", cdn=MORE)
        end = time.time() + 9  # an interval closes six seconds after its end
        while time.time() < end:
            self.ask_all(server, 2)
        meanwhile = probe.said()
        done["leaving"] = time.time()
        server.write()
        done["back"] = time.time()
        end = time.time() + 14
        while time.time() < end:
            self.ask_all(server, 2)
        probe.finish()
        return done, list(lab.records("integrity", probe.out)), meanwhile

    def test_changed_and_back(self):
        with lab.folder() as path:
            os.chmod(path, 0o755)
            with lab.wire() as w, contextlib.ExitStack() as stack:
                done, live, meanwhile = self.play(w, path, stack)
            begin = stretched(path / "lab.pcap", path / "slow.pcap")
            lab.sh(lab.FLUXTAP, "run", "--quiet", "--pcap", path / "slow.pcap", "--watch", path / "watch", "--out",
                   path / "slow", "--probe", "lab")
            slow = [r for r in lab.records("integrity", path / "slow") if "state" in r]
        self.assertEqual(meanwhile.count("UNAUTHORISED change of"), 3, meanwhile)
        alarms = [r for r in live if r.get("state") == "CHANGED" and r["auth"] == "UNAUTHORISED"]
        self.assertEqual({(r["owner"], r["type"]): r["added"] for r in alarms}, self.DONE)
        for r in alarms:
            self.assertTrue(r["onset_lo_us"] <= done["changed"] * 1e6 and r["onset_hi_us"] >= done["before"] * 1e6, r)
            self.assertEqual(r["seen_by"], {"clients": 2, "servers": 1})
        self.check_slow(slow, {k: begin + (t * 1e6 - begin) * STRETCH for k, t in done.items()})

    DONE = {("www.shop.example.", "A"): [EVIL], ("shop.example.", "NS"): ["ns.evil.example."],
            ("_acme-challenge.shop.example.", "TXT"): ['"token"']}

    def check_slow(self, rows, done):
        ends = {(r["owner"], r["type"]): r for r in rows if r["state"] == "REVERTED" and r["added"]}
        self.assertEqual({k: r["added"] for k, r in ends.items()}, self.DONE)
        for r in ends.values():
            self.assertTrue(r["onset_lo_us"] <= done["changed"] and r["onset_hi_us"] >= done["before"], (r, done))
            self.assertTrue(r["revert_lo_us"] <= done["back"] and r["revert_hi_us"] >= done["leaving"], (r, done))
            self.assertIn("SHORT_LIVED", r["flags"])
        self.assertEqual(ends["www.shop.example.", "A"]["flags"], ["SHORT_LIVED", "TTL_ZERO", "TTL_DROP"])
        allowed = [r for r in rows if r["owner"] == "cdn.shop.example." and (r["added"] or r["removed"])]
        self.assertEqual([(r["state"], r["auth"], r["added"]) for r in allowed], [("ACCEPTED", "AUTHORISED", [MORE])])
        self.assertFalse([r for r in rows if r["type"] == "MX" and r["added"]])


if __name__ == "__main__":
    unittest.main()
