# SPDX-License-Identifier: BSD-3-Clause
"""Bots among ordinary clients: each is found, with what it asked for and what answered it; nobody else is;
workers and intervals do not show; a flood of made-up names and clients stays within bounds."""

import random
import struct
import unittest

import lab
from lab import fluxtap
from test_match import frame, pcap, wire

BEGIN_S = 1767225600


def answer(client, qid, name, rcode, soa=None):
    flags = 0x8180 | rcode
    out = struct.pack("!HHHHHH", qid, flags, 1, 0, 1 if soa else 0, 0) + wire(name) + struct.pack("!HH", 1, 1)
    if soa:
        out += wire(soa) + struct.pack("!HHIH", 6, 1, 900, 22) + b"\0\0" + struct.pack("!IIIII", 1, 2, 3, 4, 900)
    return out


def missing(packets, t, client, name, soa="com."):
    """A query and its NXDOMAIN."""
    qid = len(packets) & 0xFFFF
    query = struct.pack("!HHHHHH", qid, 0x0100, 1, 0, 0, 0) + wire(name) + struct.pack("!HH", 1, 1)
    packets.append((int(t * 1e6), frame(client, "192.0.2.1", 4000, 53, query)))
    packets.append((int(t * 1e6) + 10000, frame("192.0.2.1", client, 53, 4000, answer(client, qid, name, 3, soa))))


def made_up(rng, n=14):
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(n)) + ".com."


class Bots(lab.Case):
    @classmethod
    def setUpClass(cls):
        cls.capture, truth = lab.traffic("dga", "--seed", 3)
        cls.truth = truth["dga"]

    def clients(self, records):
        return [r for r in lab.of_set(records, "dga") if r["kind"] == "client"]

    def test_truth(self):
        records = self.run_ok("--pcap", self.capture)
        rows = self.clients(records)
        self.assertEqual({r["client"] for r in rows}, {b["client"] for b in self.truth})
        for bot in self.truth:
            mine = sorted((r for r in rows if r["client"] == bot["client"]), key=lambda r: r["start"])
            self.assertEqual(mine[0]["state"], "onset")
            self.assertEqual([r["state"] for r in mine].count("onset"), 1)
            last = mine[-1]
            self.assertEqual(last["nx"], bot["missing"])
            self.assertGreaterEqual(last["flagged"], 0.9 * bot["missing"])
            self.assertEqual(last["first_us"], bot["first_us"] // 1000000 * 1000000)
            self.assertIn(bot["family"], last["families"])
            self.assertEqual(last["c2"]["name"], bot["c2"])
            self.assertEqual(len(last["c2"]["addresses"]), 1)
            # Eight names or a few more, one in 1.9 s.
            self.assertLess(mine[0]["alarm_us"] - bot["first_us"], 30e6)
        clusters = [r for r in lab.of_set(records, "dga") if r["kind"] == "cluster"]
        self.assertEqual([(r["names"], r["clients"]) for r in clusters if "chinad" in r["families"]], [(40, 3)])
        self.assertEqual([(r["tld"], r["names"], r["clients"]) for r in clusters if r["families"] == ["verblecon"]],
                         [("tk.", 40, 3)])

    def test_same(self):
        one = self.run_ok("--pcap", self.capture, "--cores", "0")
        two = self.run_ok("--pcap", self.capture, "--cores", "0,1", "--client-entries", "64")
        self.same(lab.of_set(one, "dga"), lab.of_set(two, "dga"))

    def test_report(self):
        out = self.path("out")
        self.run_ok("--pcap", self.capture, out=out)
        r = fluxtap("report", "dga", out)
        self.assertEqual(r.code, 0, str(r))
        self.assertRegex(r.out, r"generated names: 12\n")
        self.assertRegex(r.out, r"10\.200\.0\.4 .*verblecon\n")
        for bot in self.truth:
            self.assertIn("then %s was there" % bot["c2"], r.out)


class Excluded(lab.Case):
    """Names that say nothing about the client, however strange they look."""

    def alarms(self, make, soa="com."):
        packets, rng = [], random.Random(5)
        for i in range(40):
            missing(packets, BEGIN_S + i, "10.0.0.9", make(rng), soa)
        path = self.path("in")
        self.write("in", pcap(packets))
        return {r["client"] for r in lab.of_set(self.run_ok("--pcap", path), "dga") if r["kind"] == "client"}

    def test_found(self):
        self.assertEqual(self.alarms(made_up), {"10.0.0.9"})
        self.assertEqual(self.alarms(made_up, None), {"10.0.0.9"})

    def test_goes_on(self):
        """A record for each interval in which the bot asks, also for what it has asked before."""
        rng, packets = random.Random(9), []
        names = [made_up(rng) for _ in range(20)]
        for minute in (0, 1, 3):
            for i, name in enumerate(names):
                missing(packets, BEGIN_S + 60 * minute + i, "10.0.0.9", name)
        missing(packets, BEGIN_S + 299, "10.0.0.8", "ordinary.example.com.")
        path = self.path("in")
        self.write("in", pcap(packets))
        rows = [r for r in lab.of_set(self.run_ok("--pcap", path), "dga") if r["kind"] == "client"]
        self.assertEqual([(r["start"] - BEGIN_S, r["state"], r["nx"], r["last_us"] // 1000000 - BEGIN_S) for r in rows],
                         [(0, "onset", 20, 19), (60, "open", 20, 79), (180, "open", 20, 199)])

    def test_below_what_exists(self):
        """The SOA of the registered domain itself: it exists, only names below it do not."""
        rng = random.Random(6)
        domain = made_up(rng)
        self.assertEqual(self.alarms(lambda r: made_up(r)[:-5] + "." + domain, domain), set())

    def test_one_name(self):
        name = made_up(random.Random(7))
        self.assertEqual(self.alarms(lambda r: name), set())

    def test_browser_probes(self):
        self.assertEqual(self.alarms(lambda r: made_up(r)[:-4], None), set())

    def test_ordinary(self):
        words = "water paper garden window market silver forest bridge summer winter doctor kitchen".split()
        self.assertEqual(self.alarms(lambda r: r.choice(words) + r.choice(words) + ".com."), set())


class Flood(lab.Case):
    def test_bounded(self):
        """Every client new and every name made up: no alarm (nobody has enough names), and it all closes."""
        packets, rng = [], random.Random(8)
        for i in range(8000):
            missing(packets, BEGIN_S + i / 200, "10.1.%d.%d" % (i // 64, 1 + i % 64),
                    made_up(rng))
        path = self.path("in")
        self.write("in", pcap(packets))
        records = self.run_ok("--pcap", path, "--table-keys", "1000")
        self.assertEqual([r for r in lab.of_set(records, "dga") if r["kind"] == "client"], [])
        clusters = [r for r in lab.of_set(records, "dga") if r["kind"] == "cluster"]
        self.assertTrue(clusters)


if __name__ == "__main__":
    unittest.main()
