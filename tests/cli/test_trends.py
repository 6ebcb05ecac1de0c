# SPDX-License-Identifier: BSD-3-Clause
"""What the tables and the NXDOMAIN channel add up to: the domains asked for most, names that do
not exist and are suddenly asked for, domains that mail is looked for at though there are none."""

import collections
import random
import struct
import unittest

import lab
from test_match import BEGIN_US, frame, pcap, wire

MX = 15


def exchange(at_us, name, client, ident, rcode=0, qtype=1, soa=None):
    """A query and its response; soa: the zone that denies the name."""
    question = wire(name) + struct.pack(">HH", qtype, 1)
    sport = 1024 + ident % 60000
    authority = b""
    if soa is not None:
        rdata = b"\0\0" + struct.pack(">IIIII", 1, 2, 3, 4, 900)
        authority = wire(soa) + struct.pack(">HHIH", 6, 1, 900, len(rdata)) + rdata
    head = struct.pack(">HHHHHH", ident & 0xFFFF, 0x8400 | rcode, 1, 0, int(soa is not None), 0)
    return [(at_us, frame(client, "192.0.2.53", sport, 53,
                          struct.pack(">HHHHHH", ident & 0xFFFF, 0, 1, 0, 0, 0) + question)),
            (at_us + 1000, frame("192.0.2.53", client, 53, sport, head + question + authority))]


class Domains(lab.Case):
    def traffic(self):
        """Packets, and what is in them: (interval, domain): queries, NXDOMAIN, names, clients."""
        rng = random.Random(4)
        truth = collections.defaultdict(lambda: [0, 0, set(), set()])
        packets = []
        domains = ["d%d.com" % i for i in range(60)]
        for n in range(6000):
            domain = domains[min(int(rng.expovariate(0.08)), 59)]
            name = rng.choice(("", "www.", "a.b.")) + domain
            client = "198.51.100.%d" % rng.randrange(200)
            at_us = BEGIN_US + n * 20000
            nx = rng.random() < int(domain[1:-4]) % 7 / 10
            packets += exchange(at_us, name, client, n, rcode=3 if nx else 0)
            t = truth[n * 20000 // 60000000, domain + "."]
            t[0] += 1
            t[1] += nx
            t[2].add(name)
            t[3].add(client)
        return packets, truth

    def test_top(self):
        packets, truth = self.traffic()
        self.write("in.pcap", pcap(packets))
        records = self.run_ok("--pcap", self.path("in.pcap"), "--top-domains", "10")
        found = collections.defaultdict(dict)
        for r in lab.of_set(records, "domain"):
            self.assertEqual(r["p"], 1)
            found[(r["start"] * 1000000 - BEGIN_US) // 60000000][r["domain"]] = r
        self.assertEqual(sorted(found), [0, 1])
        for interval, rows in found.items():
            mine = {d: t for (i, d), t in truth.items() if i == interval}
            for domain, r in rows.items():
                queries, nx, names, clients = mine[domain]
                self.assertEqual((r["queries"], r["by_class"].get("NXDOMAIN", 0)), (queries, nx))
                self.assertEqual(sum(r["by_class"].values()), queries)
                self.assertEqual(r["names"], len(names))
                self.assertLess(abs(r["clients"] - len(clients)), 1 + 0.55 * len(clients))
                if len(clients) <= 8:
                    self.assertEqual(r["clients"], len(clients))
            # Whoever is not there has no more than the least that is, in either order.
            for by in (0, 1):
                tenth = sorted((t[by] for t in mine.values()), reverse=True)[9]
                self.assertTrue(all(d in rows for d, t in mine.items() if t[by] > tenth))
            self.assertLessEqual(len(rows), 20)

    def test_sampled(self):
        packets, truth = self.traffic()
        self.write("in.pcap", pcap(packets))
        records = self.run_ok("--pcap", self.path("in.pcap"), "--top-domains", "100", "--sample", "1/2^2")
        rows = lab.of_set(records, "domain")
        off = [0, 0]
        self.assertGreater(len(rows), 60)
        for r in rows:
            self.assertEqual(r["p"], 0.25)
            want = truth[(r["start"] * 1000000 - BEGIN_US) // 60000000, r["domain"]][0]
            self.assertAlmostEqual(r["est_queries"], 4 * r["queries"])
            self.assertAlmostEqual(sum(r["est_by_class"].values()), r["est_queries"])
            if r["queries"] >= 40:
                self.assertLess(abs(r["est_queries"] - want), 6 * r["se_queries"])
                off[0] += abs(r["est_queries"] - want) < 2.1314 * r["se_queries"]
                off[1] += 1
        self.assertGreater(off[1], 8)
        self.assertGreater(off[0], 0.6 * off[1])

    def test_none(self):
        self.write("in.pcap", pcap(exchange(BEGIN_US, "a.com", "198.51.100.1", 1)))
        records = self.run_ok("--pcap", self.path("in.pcap"), "--top-domains", "0")
        self.assertEqual(lab.of_set(records, "domain"), [])


class Spikes(lab.Case):
    def test_spike(self):
        packets = []
        for minute in range(90):
            for i in range(80 if minute == 75 else 6):
                packets += exchange(BEGIN_US + minute * 60000000 + i * 100000, "x%d.Calm.example" % i,
                                    "198.51.100.%d" % (i % 5), minute * 100 + i, rcode=3, soa="example")
            packets += exchange(BEGIN_US + minute * 60000000, "busy.test", "198.51.100.9", minute, rcode=3, soa="test")
        self.write("in.pcap", pcap(packets))
        for cores in lab.cpus()[:1], lab.cpus()[:2]:
            records = self.run_ok("--pcap", self.path("in.pcap"), "--channels", "all",
                                  "--cores", ",".join(map(str, cores)), out=self.path("out%d" % len(cores)))
            found = [r for r in lab.of_set(records, "nxdomain") if "state" in r]
            self.assertEqual(len(found), 1)
            r = found[0]
            self.assertEqual((r["state"], r["nx_cut"], r["count"]), ("spike", "calm.example.", 80))
            self.assertEqual(r["start"] * 1000000, BEGIN_US + 75 * 60000000)
            self.assertAlmostEqual(r["expected"], 6, places=3)
        report = lab.fluxtap("report", "nxdomain", self.path("out1"))
        self.assertEqual(report.code, 0, str(report))
        rows = report.out.splitlines()
        self.assertIn("704 NXDOMAIN answers, 2 names", rows[0])
        self.assertRegex(rows[2], r"calm\.example\. +614 +87\.2% .*spike: 80 at 01-01 01:15, 6\.0 expected")
        self.assertRegex(rows[3], r"busy\.test\. +90 .*few clients")

    def test_blocklist(self):
        """A subject that is asked about twentyfold, and with it the list; others go on."""
        packets = []
        for minute in range(90):
            for subject, n in ((7, 80 if minute == 80 else 4), (8, 5), (9, 5)):
                for i in range(n):
                    packets += exchange(BEGIN_US + minute * 60000000 + i * 100000 + subject,
                                        "%d.2.0.192.bl.example" % subject, "198.51.100.%d" % (i % 5),
                                        minute * 100 + i, rcode=3)
        self.write("in.pcap", pcap(packets))
        self.write("r.rules", b"list dnsbl bl.example\n")
        records = self.run_ok("--pcap", self.path("in.pcap"), "--rules", self.path("r.rules"))
        found = [r for r in lab.of_set(records, "match") if "state" in r]
        self.assertEqual([(r["rule"], r["zone"], r["subject"], r["queries"], r["state"]) for r in
                          sorted(found, key=lambda r: r["subject"] or "")],
                         [("list", "bl.example.", None, 90, "spike"),
                          ("list", "bl.example.", "192.0.2.7", 80, "spike")])
        self.assertEqual({r["start"] * 1000000 for r in found}, {BEGIN_US + 80 * 60000000})


class Spamtraps(lab.Case):
    def test_days(self):
        packets = []
        day_us = 86400 * 1000000
        for day in range(5):
            for i in range(4):
                at = BEGIN_US + day * day_us + i * 1000000
                packets += exchange(at, "Trap.example", "198.51.100.%d" % i, day * 10 + i, rcode=3, qtype=MX, soa="example")
                # Too few clients; too few days; another type.
                packets += exchange(at, "one.example", "198.51.100.1", day * 10 + i, rcode=3, qtype=MX, soa="example")
                if day < 2:
                    packets += exchange(at, "short.example", "198.51.100.%d" % i, day * 10 + i, rcode=3, qtype=MX, soa="example")
                packets += exchange(at, "a.example", "198.51.100.%d" % i, day * 10 + i, rcode=3, soa="example")
                # Hosts of one domain; nobody says which zone it is that has not got it.
                packets += exchange(at, "h%d.Hosts.example" % i, "198.51.100.%d" % i, day * 10 + i, rcode=3, qtype=MX)
                # Two domains of a zone that holds the public suffix below it.
                packets += exchange(at, "x.y%d.co.jp" % (i % 2), "198.51.100.%d" % (i + day), day * 10 + i, rcode=3,
                                    qtype=MX, soa="jp")
        self.write("in.pcap", pcap(packets))
        records = self.run_ok("--pcap", self.path("in.pcap"), "--channels", "all", "--interval", "3600")
        found = lab.of_set(records, "spamtrap")
        self.assertEqual(sorted((r["domain"], r["days"], r["q30d"], r["clients"], r["nx_by"]) for r in found),
                         [("hosts.example.", d, 4 * d, 4, None) for d in (3, 4, 5)]
                         + [("trap.example.", d, 4 * d, 4, "example.") for d in (3, 4, 5)]
                         + [("y%d.co.jp." % k, 5, 10, n, "jp.") for k, n in ((0, 7), (1, 7))])
        self.assertEqual({r["first_us"] for r in found if "trap" in r["domain"]}, {BEGIN_US + 1000})


if __name__ == "__main__":
    unittest.main()
