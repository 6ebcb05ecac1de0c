# SPDX-License-Identifier: BSD-3-Clause
"""Rules from list file to record: what is hit is counted as by hand, blocklist look-ups are
understood, workers do not show, and rules change while the probe runs."""

import json
import os
import signal
import socket
import struct
import subprocess
import time
import unittest

import lab
from lab import fluxtap

BEGIN_US = 1767225600 * 1000000


def wire(name):
    return b"".join(bytes([len(p)]) + p.encode() for p in name.rstrip(".").split(".") if p) + b"\0"


def frame(src, dst, sport, dport, payload):
    udp = struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, socket.inet_aton(src),
                     socket.inet_aton(dst))
    return b"\x02\0\0\0\0\1\x02\0\0\0\0\2\x08\0" + ip + udp


def exchange(at_us, name, client="198.51.100.1", ident=1, rcode=0, answers=(), qtype=1, response=True):
    """A query and its response 10 ms later, as packets."""
    question = wire(name) + struct.pack(">HH", qtype, 1)
    sport = 1024 + ident % 60000
    out = [(at_us, frame(client, "192.0.2.53", sport, 53, struct.pack(">HHHHHH", ident, 0x0100, 1, 0, 0, 0) + question))]
    if response:
        rrs = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(a) for a in answers)
        head = struct.pack(">HHHHHH", ident, 0x8180 | rcode, 1, len(answers), 0, 0)
        out.append((at_us + 10000, frame("192.0.2.53", client, 53, sport, head + question + rrs)))
    return out


def pcap(packets):
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for us, data in sorted(packets):
        out += struct.pack("<IIII", us // 1000000, us % 1000000, len(data), len(data)) + data
    return out


class Match(lab.Case):
    def go(self, rules, packets, *more):
        self.write("r.rules", rules.encode())
        self.write("in.pcap", pcap(packets))
        records = self.run_ok("--pcap", self.path("in.pcap"), "--rules", self.path("r.rules"), *more)
        return [r for r in records if r["set"] == "match"]

    def test_by_hand(self):
        packets = []
        for i in range(10):
            packets += exchange(BEGIN_US + i * 1000, "a%d.Evil.EXAMPLE" % (i % 4), "198.51.100.%d" % (i % 3), i + 1,
                                rcode=3 if i % 2 else 0, answers=() if i % 2 else ("203.0.113.9",), response=i != 6)
        packets += exchange(BEGIN_US + 50000, "evil.example", ident=77)
        packets += exchange(BEGIN_US + 60000, "notevil.example", ident=78)
        packets += exchange(BEGIN_US + 61 * 1000000, "b.evil.example", ident=79, rcode=3)
        found = self.go("bad suffix evil.example family=mirai severity=7\none exact A1.evil.example.\n"
                        "re regex ^a[0-2]\\.evil\n", packets)
        by = {(r["start"] % 60 + r["start"] // 60 * 60 - BEGIN_US // 1000000, r["rule"]): r for r in found}
        self.assertEqual(sorted(by), [(0, "bad"), (0, "one"), (0, "re"), (60, "bad")])
        bad = by[0, "bad"]
        self.assertEqual((bad["kind"], bad["family"], bad["severity"], bad["domain"]),
                         ("suffix", "mirai", 7, "evil.example."))
        self.assertEqual((bad["queries"], bad["names"], bad["clients"]), (11, 5, 3))
        self.assertEqual(bad["by_class"], {"DATA": 4, "NXDOMAIN": 5, "TIMEOUT": 1, "OTHER": 1})
        self.assertEqual((bad["first_us"], bad["last_us"]), (BEGIN_US, BEGIN_US + 50000))
        self.assertEqual(sorted(bad["sample_names"]),
                         ["a%d.evil.example." % i for i in range(4)] + ["evil.example."])
        self.assertEqual((by[0, "one"]["queries"], by[0, "one"]["sample_names"]), (3, ["a1.evil.example."]))
        self.assertEqual((by[0, "one"]["family"], by[0, "one"]["severity"]), (None, None))
        self.assertEqual((by[0, "re"]["queries"], by[0, "re"]["names"]), (8, 3))
        self.assertEqual((by[60, "bad"]["queries"], by[60, "bad"]["by_class"]), (1, {"NXDOMAIN": 1}))

    def test_dnsbl_zones_of_one_rule(self):
        packets = []
        for i, zone in enumerate(("sbl.spamhaus.org", "xbl.spamhaus.org", "xbl.spamhaus.org", "bl.spamcop.net")):
            packets += exchange(BEGIN_US + i * 1000, "2.0.0.127." + zone, ident=i + 1, rcode=3)
        found = self.go("bl dnsbl sbl.spamhaus.org\nbl dnsbl xbl.spamhaus.org\nbl dnsbl bl.spamcop.net\n", packets)
        self.assertEqual(sorted((r["zone"], r["subject"], r["queries"]) for r in found),
                         [("bl.spamcop.net.", "127.0.0.2", 1), ("sbl.spamhaus.org.", "127.0.0.2", 1),
                          ("xbl.spamhaus.org.", "127.0.0.2", 2)])

    def test_many_rules_of_one_name(self):
        rules = "".join("r%02d suffix %s\n" % (i, "deep.example" if i % 2 else "example") for i in range(30))
        found = self.go(rules, exchange(BEGIN_US, "x.deep.example"))
        self.assertEqual(sorted(r["rule"] for r in found), ["r%02d" % i for i in range(30)])
        self.assertEqual({r["domain"] for r in found}, {"deep.example."})

    def test_dnsbl(self):
        asked = [("netATLANTic.COM.MuLTI.SuRBl.ORg", 3, ()), ("2.0.0.127.zen.spamhaus.org", 0, ("127.0.0.4", "127.0.0.2")),
                 ("2.0.0.127.zen.spamhaus.org", 3, ()), ("1.2.0.192.zen.spamhaus.org", 0, ("127.255.255.254",)),
                 ("1.2.0.192.zen.spamhaus.org", 0, ("203.0.113.7",)), ("1.2.0.192.zen.spamhaus.org", 2, ()),
                 ("zen.spamhaus.org", 0, ("127.0.0.2",)), ("no-form.zen.spamhaus.org", 3, ())]
        packets = []
        for i, (name, rcode, answers) in enumerate(asked):
            packets += exchange(BEGIN_US + i * 1000, name, ident=i + 1, rcode=rcode, answers=answers)
        packets += exchange(BEGIN_US + 90000, "1.2.0.192.zen.spamhaus.org", ident=99, response=False)
        found = self.go("surbl dnsbl multi.surbl.org\nzen dnsbl zen.spamhaus.org family=spam\n", packets)
        self.assertEqual(
            sorted((r["rule"], r["zone"], r["form"], r["subject"], r["result"], r["queries"], r["codes"]) for r in found),
            [("surbl", "multi.surbl.org.", "DOMAIN", "netatlantic.com", "NOT_LISTED", 1, []),
             ("zen", "zen.spamhaus.org.", "IP4", "127.0.0.2", "LISTED", 1, ["127.0.0.2", "127.0.0.4"]),
             ("zen", "zen.spamhaus.org.", "IP4", "127.0.0.2", "NOT_LISTED", 1, []),
             ("zen", "zen.spamhaus.org.", "IP4", "192.0.2.1", "DNSBL_WILDCARD", 1, ["203.0.113.7"]),
             ("zen", "zen.spamhaus.org.", "IP4", "192.0.2.1", "ERROR", 1, []),
             ("zen", "zen.spamhaus.org.", "IP4", "192.0.2.1", "REFUSED", 1, ["127.255.255.254"]),
             ("zen", "zen.spamhaus.org.", "IP4", "192.0.2.1", "TIMEOUT", 1, [])])

    def test_workers_do_not_show(self):
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            self.skipTest("one CPU")
        file, _ = lab.traffic("mix", "--pairs", 40000, "--duration", 130, "--names", 20000)
        self.write("r.rules", b"com suffix com\ndigits regex [0-9]\nsh shape len=6-9 charset=a-z\n")
        runs = [self.run_ok("--pcap", file, "--rules", self.path("r.rules"), "--cores", c)
                for c in (str(cpus[0]), "%d,%d" % (cpus[0], cpus[1]))]
        self.assertGreater(sum(r["set"] == "match" for r in runs[0]), 1000)
        self.same(*runs)

    def test_report(self):
        packets = []
        for i in range(30):
            packets += exchange(BEGIN_US + i * 1000, "a%d.evil%d.example" % (i, i % 5), "198.51.100.%d" % (i % 3), i + 1, rcode=3)
            packets += exchange(BEGIN_US + i * 1000 + 70000000, "%d.2.0.192.bl.example.net" % i, ident=100 + i,
                                rcode=0 if i < 3 else 3, answers=("127.0.0.2",) if i < 3 else ())
        self.write("r.rules", b"bad suffix example\nlist dnsbl bl.example.net\none exact a7.evil2.example\n")
        self.write("in.pcap", pcap(packets))
        self.run_ok("--pcap", self.path("in.pcap"), "--rules", self.path("r.rules"), out=self.out)
        r = fluxtap("report", "match", self.out)
        self.assertEqual((r.code, r.err), (0, ""), str(r))
        self.assertRegex(r.out, r"^Rules that were hit: 3\n")
        rows = [line.split() for line in r.out.splitlines()]
        self.assertIn("bad suffix 30 5 3 evil0.example. evil1.example. evil2.example. ...".split(), rows)
        self.assertIn("list dnsbl 30 1 1 example.net.".split(), rows)
        self.assertIn("one exact 1 1 1 evil2.example.".split(), rows)
        self.assertIn("bl.example.net. 30 NOT_LISTED 90.0 %, LISTED 10.0 %".split(), rows)


class Reload(lab.Case):
    """A probe that reads its capture from a pipe, so that the test says when packets come."""

    def begin(self, rules):
        self.write("r.rules", rules)
        self.socket = self.path("s")
        self.probe = subprocess.Popen(
            lab.command(["run", "--pcap", "-", "--rules", self.path("r.rules"), "--out", self.out, "--socket", self.socket]),
            stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.probe.kill)
        self.feed(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        self.wait_for(lambda: os.path.exists(self.socket))

    def feed(self, data):
        self.probe.stdin.write(data)
        self.probe.stdin.flush()

    def wait_for(self, what):
        end = time.monotonic() + 30
        while not what():
            self.assertLess(time.monotonic(), end, "waited too long")
            self.assertIsNone(self.probe.poll(), "the probe has ended")
            time.sleep(0.02)

    def ask(self, line):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.socket)
            s.sendall(line.encode() + b"\n")
            return json.loads(s.makefile().readline())

    def give(self, second, n):
        packets = []
        for i in range(n):
            packets += exchange(BEGIN_US + second * 1000000 + i * 100, "n%d.old.example" % i, ident=i + 1, rcode=3)
        self.feed(pcap(packets)[24:])

    def end(self):
        _, err = self.probe.communicate(timeout=30)
        self.assertEqual(self.probe.returncode, 0, err.decode())
        self.assertFalse(os.path.exists(self.socket))
        return [r for r in self.records() if r["set"] == "match"], err.decode()

    def counted(self, n):
        return lambda: self.ask("status")["totals"]["rx_packets"] >= n

    def test_reload(self):
        self.begin(b"first suffix old.example\n")
        self.assertEqual(os.stat(self.socket).st_mode & 0o777, 0o600)
        self.give(0, 100)
        self.give(61, 1)  # makes the worker publish its counters
        self.wait_for(self.counted(200))
        status = self.ask("status")
        self.assertEqual((status["ok"], status["pid"], status["rules"]["generation"]), (True, self.probe.pid, 1))
        # A mistake changes nothing.
        self.write("r.rules", b"first suffix old.example\nsecond nonsense x\n")
        r = fluxtap("reload", "--socket", self.socket)
        self.assertEqual(r.code, 2, str(r))
        self.assertIn("r.rules:2", r.err)
        self.assertEqual(self.ask("status")["rules"]["generation"], 1)
        self.assertEqual(self.ask("status")["rules"]["failed"], 1)
        self.write("r.rules", b"second suffix old.example\n")
        r = fluxtap("reload", "--socket", self.socket)
        self.assertEqual(r.code, 0, str(r))
        self.assertIn("1 listed name", r.out)
        status = self.ask("status")
        self.assertEqual(status["rules"]["generation"], 2)
        self.assertEqual([w["generation"] for w in status["workers"]], [2])
        self.give(120, 50)
        found, err = self.end()
        self.assertIn("r.rules:2", err)
        self.assertEqual(sum(r["queries"] for r in found), 151)  # each by one generation
        self.assertEqual({r["rule"] for r in found if r["start"] == BEGIN_US // 1000000 + 120}, {"second"})
        self.assertEqual(sum(r["queries"] for r in found if r["start"] == BEGIN_US // 1000000), 100)

    def test_hangup(self):
        self.begin(b"first suffix old.example\n")
        self.write("r.rules", b"second suffix old.example\n")
        self.probe.send_signal(signal.SIGHUP)
        self.wait_for(lambda: [w["generation"] for w in self.ask("status")["workers"]] == [2])
        self.give(0, 10)
        found, _ = self.end()
        self.assertEqual([(r["rule"], r["queries"]) for r in found], [("second", 10)])

    def test_nobody_there(self):
        r = fluxtap("reload", "--socket", self.path("s"))
        self.assertEqual(r.code, 1, str(r))
        self.assertIn("no probe answers", r.err)
        self.write("in.pcap", pcap(exchange(BEGIN_US, "a.example")))
        r = fluxtap("run", "--pcap", self.path("in.pcap"), "--rules", self.path("none.rules"), "--out", self.out)
        self.assertEqual(r.code, 2, str(r))
        self.assertIn("none.rules", r.err)

    def test_unknown_request(self):
        self.begin(b"")
        answer = self.ask("stop")
        self.assertFalse(answer["ok"])
        self.assertIn("reload status", answer["error"])
        self.end()


if __name__ == "__main__":
    unittest.main()
