# SPDX-License-Identifier: BSD-3-Clause
"""Sinkholes from list to record: the botnet of the published talk, at 1/1000 of its caches, comes
out with its rates; multipliers with their intervals; signals, errors of the list, workers that do
not show. `test_sinkhole.py --seeds 100` checks the intervals over 100 seeds and nothing else."""

import os
import shutil
import socket
import struct
import sys
import unittest

import lab
from lab import fluxtap
from test_match import frame, pcap, wire

BEGIN_S = 1767225600
SCALE = 1000  # caches of the talk for each one here
AUTH = ("--auth", "192.0.2.0/24", "--no-huge")
SEEDS = 6
CLASSES = ("NODATA", "NXDOMAIN", "SERVFAIL", "REFUSED", "TIMEOUT")


def name_lines(group, domains):
    return "".join("%s name bot%d.%s\n" % (group, d, "net" if d % 2 else "com") for d in range(domains))


def near(a, b, share):
    return abs(a - b) <= share * b


class Sinkhole(lab.Case):
    def go(self, capture, entries, *more):
        self.write("list", entries.encode())
        return self.run_ok("--pcap", capture, "--sinkholes", self.path("list"), *AUTH, *more)

    def quick(self, capture, entries, *more):
        """The records of this set alone; they are too many to hold each against the schema."""
        self.write("list", entries.encode())
        out = self.path("quick")
        r = fluxtap("run", "--quiet", "--out", out, "--pcap", capture, "--sinkholes", self.path("list"), *AUTH, *more)
        self.assertEqual(r.code, 0, str(r))
        r = fluxtap("cat", "--set", "sinkhole", out)
        self.assertEqual(r.code, 0, str(r))
        shutil.rmtree(out)
        return lab.parse(r.out)

    def sinks(self, records, group, name="ALL"):
        rows = [r for r in records if r["set"] == "sinkhole" and r["group"] == group and r["name"] == name]
        return sorted(rows, key=lambda r: r["start"])


class Botnet(Sinkhole):
    """At the real speed: 50 hours, negative TTL 900, delegation 172,800."""

    @classmethod
    def setUpClass(cls):
        cls.capture, truth = lab.traffic("botnet", "--interval", "3600")
        cls.truth = truth["botnet"]
        cls.before, cls.after = cls.truth["stages"]

    def records_of(self, *more):
        return self.go(self.capture, name_lines("talk", self.truth["domains"]) +
                       "cert ns sinkhole.example\n", "--interval", "3600", *more)

    def test_published(self):
        records = self.records_of()
        rows = self.sinks(records, "talk")
        # What the books say is there, every query of it, and every name.
        for stage in self.truth["stages"]:
            some = [r for r in rows if stage["begin_us"] <= r["start"] * 10**6 < stage["end_us"]]
            self.assertEqual(sum(r["queries"] for r in some), stage["queries"])
            self.assertEqual({k for r in some for k in r["by_class"]}, {stage["class"]})
            domains = self.truth["domains"]
            seconds = (stage["end_us"] - stage["begin_us"]) / 1e6
            published = 225 if stage["class"] == "NXDOMAIN" else 6
            qps = sum(r["queries"] for r in some) / seconds / domains
            self.assertTrue(near(qps * SCALE, published, 0.02), qps)
        self.assertTrue(all(r["names"] == self.truth["names"] for r in rows if "NXDOMAIN" in r["by_class"]))
        self.assertEqual({r["neg_ttl"] for r in rows if "NXDOMAIN" in r["by_class"]}, {900})
        self.assertEqual({r["ans_ttl"] for r in rows if "REFERRAL" in r["by_class"]}, {172800})
        last = rows[-1]
        self.assertTrue(near(last["ratio"], 37.5, 0.02), last["ratio"])
        self.assertTrue(near(last["before"] * SCALE * 42.6, 225, 0.02), last["before"])
        self.assertTrue(near(last["after"] * SCALE * 42.6, 6, 0.02), last["after"])
        self.assertTrue(0 <= last["switch_us"] - self.after["begin_us"] <= 5 * 60 * 10**6, last["switch_us"])
        self.assertEqual((last["from_class"], last["to_class"]), ("NXDOMAIN", "REFERRAL"))

    def test_signals(self):
        records = self.records_of()
        early = self.sinks(records, "talk", "bot0.com.")[2]
        late = self.sinks(records, "talk", "bot0.com.")[-1]
        self.assertEqual((early["class"], early["signals"]), ("SINKHOLE_MAYBE", ["NAME"]))
        self.assertIsNone(early["before"])
        self.assertEqual((late["class"], late["signals"]), ("SINKHOLED", ["NS", "NAME", "NXDOMAIN"]))
        # Found by their name servers alone: the same queries, and a past from before.
        found = self.sinks(records, "cert", "bot0.com.")
        self.assertEqual(found[-1]["found"], "answer")
        self.assertGreaterEqual(found[0]["start"], self.after["begin_us"] // 10**6)
        by_start = {r["start"]: r for r in self.sinks(records, "talk", "bot0.com.")}
        for r in found:
            self.assertEqual(r["queries"], by_start[r["start"]]["queries"])
        # Small sketches of the names: 13 %, the same names before and after.
        self.assertTrue(near(found[-1]["ratio"], 37.5, 0.3), found[-1]["ratio"])

    def test_workers_do_not_show(self):
        cpus = lab.cpus()
        if len(cpus) < 2:
            self.skipTest("one CPU")
        lines = name_lines("talk", 4) + "cert ns sinkhole.example\n"
        one = self.go(self.capture, lines, "--interval", "10800", "--cores", cpus[0])
        two = self.go(self.capture, lines, "--interval", "10800", "--cores", "%d,%d" % (cpus[0], cpus[1]))
        self.assertTrue(self.sinks(one, "talk"))
        self.same(one, two)

    def test_report(self):
        out = self.path("out")
        self.write("list", name_lines("talk", 3).encode())
        r = fluxtap("run", "--quiet", "--out", out, "--pcap", self.capture, "--sinkholes", self.path("list"), *AUTH,
                    "--interval", "3600")
        self.assertEqual(r.code, 0, str(r))
        r = fluxtap("report", "sinkhole", out)
        self.assertEqual(r.code, 0, str(r))
        for text in ("group talk: 3 domains", "bot0.com.", "SINKHOLED", "NAME+NXDOMAIN; NXDOMAIN to REFERRAL"):
            self.assertIn(text, r.out)


class Compressed(Sinkhole):
    def test_hundred_times_faster(self):
        capture, truth = lab.traffic("botnet", "--duration", 1800, "--interval", 60, "--seed", 5)
        truth = truth["botnet"]
        rows = self.sinks(self.quick(capture, name_lines("talk", 20), "--interval", 6, "--sinkhole-hour", 36), "talk")
        self.assertEqual({r["neg_ttl"] for r in rows if "NXDOMAIN" in r["by_class"]}, {9})
        self.assertTrue(near(rows[-1]["ratio"], 37.5, 0.04), rows[-1]["ratio"])
        self.assertEqual(sum(r["queries"] for r in rows), sum(s["queries"] for s in truth["stages"]))


def multipliers(case, seed):
    capture, truth = lab.traffic("botnet-stages", "--seed", seed, "--interval", 3600)
    rows = case.sinks(case.quick(capture, name_lines("talk", 1), "--interval", 60), "talk")
    os.unlink(capture)
    lab.traffic.cache_clear()
    want = {s["class"]: s["multiplier"] for s in truth["botnet"]["stages"]}
    return want, rows[-1]["multipliers"]


class Multipliers(Sinkhole):
    def test_intervals_hold_what_they_say(self):
        held = {c: 0 for c in CLASSES}
        for seed in range(1, SEEDS + 1):
            want, got = multipliers(self, seed)
            for c in CLASSES:
                self.assertEqual(got[c]["basis"], "minute")
                self.assertTrue(near(got[c]["est"], want[c], 0.15), (seed, c, got[c], want[c]))
                held[c] += got[c]["lo"] <= want[c] <= got[c]["hi"]
        print("seeds %d, intervals that hold: %s" % (SEEDS, held), file=sys.stderr)
        if SEEDS >= 100:
            self.assertTrue(all(n >= 0.9 * SEEDS for n in held.values()), held)
        else:
            self.assertGreaterEqual(sum(held.values()), 0.8 * len(held) * SEEDS, held)


def rr(owner, kind, ttl, rdata):
    return owner + struct.pack(">HHIH", kind, 1, ttl, len(rdata)) + rdata


def exchange(at_s, name, answers=(), authority=(), rcode=0, ident=1, client="198.18.0.1"):
    question = wire(name) + struct.pack(">HH", 1, 1)
    head = struct.pack(">HHHHHH", ident, 0, 1, 0, 0, 0)
    back = struct.pack(">HHHHHH", ident, 0x8400 | rcode, 1, len(answers), len(authority), 0)
    at_us = int(at_s * 1e6)
    return [(at_us, frame(client, "192.0.2.53", 1024 + ident, 53, head + question)),
            (at_us + 9000, frame("192.0.2.53", client, 53, 1024 + ident,
                                 back + question + b"".join(answers) + b"".join(authority)))]


class ByHand(Sinkhole):
    def test_each_signal(self):
        """One address, server and alias, each with a TTL beyond any gate; other names do not count."""
        at, ptr = BEGIN_S + 1, b"\xc0\x0c"
        a = lambda text: socket.inet_aton(text)
        packets = exchange(at, "www.one.example", [rr(ptr, 1, 86400, a("203.0.113.9"))], ident=1)
        packets += exchange(at, "two.example", [], [rr(ptr, 2, 172800, wire("ns1.Drop.Test"))], ident=2)
        packets += exchange(at, "c.three.example", [rr(ptr, 5, 99999, wire("hole.cert.test"))], ident=3)
        packets += exchange(at, "four.example", [rr(ptr, 1, 60, a("203.0.112.9"))], ident=4)
        packets += exchange(at, "x.five.example", [], rcode=3, ident=5)
        packets += exchange(at, "notfive.example", [], rcode=3, ident=6)
        packets += exchange(at, "www.six.example", [rr(ptr, 5, 9, wire("ns1.drop.test")),
                                                    rr(wire("ns1.drop.test"), 1, 9, a("203.0.113.255"))], ident=7)
        self.write("in.pcap", pcap(packets))
        records = self.go(self.path("in.pcap"), "# by hand\ng ip 203.0.113.0/24\ng ns drop.test\n"
                          "g cname hole.cert.test.\ng name five.example # asked for\n")
        got = {r["name"]: (r["signals"], r["class"], r["queries"], r["found"]) for r in records
               if r["set"] == "sinkhole" and r["name"] != "ALL"}
        self.assertEqual(got, {
            "one.example.": (["IP"], "SINKHOLE_MAYBE", 1, "answer"),
            "two.example.": (["NS"], "SINKHOLE_MAYBE", 1, "answer"),
            "three.example.": (["CNAME"], "SINKHOLE_MAYBE", 1, "answer"),
            "five.example.": (["NAME"], "SINKHOLE_MAYBE", 1, "name"),
            "six.example.": (["IP"], "SINKHOLE_MAYBE", 1, "answer"),
        })
        every = self.sinks(records, "g")
        self.assertEqual([(r["domains"], r["queries"], r["names"]) for r in every], [(5, 5, 5)])

    def test_two_groups_add_up(self):
        packets = exchange(BEGIN_S + 1, "www.one.example", [rr(b"\xc0\x0c", 1, 5, socket.inet_aton("203.0.113.9"))])
        self.write("in.pcap", pcap(packets))
        records = self.go(self.path("in.pcap"), "a ip 203.0.113.9\nb name one.example\n")
        for group, found in (("a", "answer"), ("b", "name")):
            r, = self.sinks(records, group, "one.example.")
            self.assertEqual((r["class"], r["signals"], r["found"]), ("SINKHOLED", ["IP", "NAME"], found))

    def test_bad_lists(self):
        self.write("in.pcap", pcap(exchange(BEGIN_S, "a.example")))
        for text, line, words in (("g ip 10.0.0.1/8\n", 1, "10.0.0.0/8 would be right"), ("# x\ng\n", 2, "right would be"),
                                  ("g name a..b\n", 1, "an empty label"), ("g asn 5\n", 1, "none of ip, ns, cname"),
                                  ("g ip\n", 1, "an address or prefix"), ("g name .\n", 1, "the root"),
                                  ("\n\ng name a.b c.d\n", 3, "too much")):
            self.write("list", text.encode())
            r = fluxtap("run", "--quiet", "--out", self.out, "--pcap", self.path("in.pcap"), "--sinkholes",
                        self.path("list"))
            self.assertEqual(r.code, 2, str(r))
            self.assertIn("%s:%d: " % (self.path("list"), line), r.err)
            self.assertIn(words, r.err)
        r = fluxtap("run", "--quiet", "--out", self.out, "--pcap", self.path("in.pcap"), "--sinkholes", "/nowhere")
        self.assertEqual(r.code, 2, str(r))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--seeds"]:
        SEEDS = int(sys.argv[2])
        sys.argv[1:] = ["Multipliers"]
    unittest.main()
