# SPDX-License-Identifier: BSD-3-Clause
"""Who asks: the published day of Kumamoto (who asks most, A and AAAA together, the silent resolver, the mail
server that turns elsewhere), and by hand: a tap that hears nobody, a server that answers no more."""

import math
import random
import struct
import unittest

import lab
from lab import fluxtap
from test_match import frame, pcap, wire

BEGIN_S = 1767225600
PLACES = ("--auth", "192.0.2.1", "--resolvers", "10.0.0.53")


def quick(case, *args):
    """The records of set client alone; the whole day's are too many to hold each against the schema."""
    out = case.path("quick-%d" % len(args))
    r = fluxtap("run", "--quiet", "--out", out, *args)
    case.assertEqual(r.code, 0, str(r))
    r = fluxtap("cat", "--set", "client", out)
    case.assertEqual(r.code, 0, str(r))
    return lab.parse(r.out)


def kind(records, name, **more):
    return [r for r in records if r["set"] == "client" and r["kind"] == name and
            all(r.get(k) == v for k, v in more.items())]


class Kumamoto(lab.Case):
    @classmethod
    def setUpClass(cls):
        cls.capture, truth = lab.traffic("kumamoto", "--interval", 3600)
        cls.truth = truth["kumamoto"]

    def test_day(self):
        records = quick(self, "--pcap", self.capture, *PLACES)
        t = self.truth
        # The published order, exactly.
        top = kind(records, "top", span="day", vantage="AUTH", qtype="AAAA")
        self.assertEqual([(r["rank"], r["client"], r["queries"], r["err"]) for r in top], [
            (1, "10.0.0.25", 163609, 0), (2, "10.0.0.53", 13235, 0), (3, "10.0.0.101", 873, 0),
            (4, "10.0.0.102", 797, 0), (5, "10.0.0.103", 412, 0)])
        totals = {r["qtype"]: r["queries"] for r in kind(records, "top", span="day", vantage="S2R")}
        self.assertEqual(totals, {"A": 133303, "AAAA": 139794, "PTR": 13942, "MX": 35474, "TXT": 16681, "NS": 4224,
                                  "ALL": 343418})
        # R2 as published, and as the plan has it.
        c, = kind(records, "coupling", vantage="S2R")
        self.assertAlmostEqual(c["r2_1s"], 0.963, delta=0.002)
        self.assertAlmostEqual(c["r2_1s"], t["r2_1s"], delta=1e-6)
        self.assertAlmostEqual(c["r2_5s"], t["r2_5s"], delta=1e-6)
        self.assertEqual((c["client"], c["n"], c["sx"], c["sy"], c["coupled"]),
                         ("10.0.0.25", t["seconds"], t["a"], t["aaaa"], True))
        # The silence, and nobody else's at that vantage point.
        silence = kind(records, "silence", vantage="AUTH")
        self.assertEqual([(r["client"], r["state"], r["cause"]) for r in silence],
                         [("10.0.0.53", "onset", "SILENT"), ("10.0.0.53", "end", "SILENT")])
        self.assertEqual({r["from_us"] for r in silence}, {t["silent_from"] * 1000000})
        self.assertEqual([r["to_us"] for r in silence], [None, t["silent_to"] * 1000000])
        for at, want in ((silence[1]["from_us"], 11 * 3600 + 7 * 60), (silence[1]["to_us"], 23 * 3600 + 7 * 60)):
            self.assertLessEqual(abs(at / 1e6 - BEGIN_S - want), 5)
        over = kind(records, "failover")
        self.assertEqual([(r["client"], r["from"], r["to"], r["state"]) for r in over],
                         [("10.0.0.25", "10.0.0.53", "192.0.2.1", s) for s in ("onset", "end")])
        self.assertEqual(over[1]["at_us"], t["failover_at"] * 1000000)
        self.assertEqual(over[1]["end_us"], t["failover_end"] * 1000000)
        self.assertAlmostEqual(over[1]["qps_during"], 3.79, delta=0.01)
        self.assertEqual(over[1]["qps_before"], 0)

    def test_same(self):
        one = quick(self, "--pcap", self.capture, "--cores", "0", *PLACES)
        two = quick(self, "--pcap", self.capture, "--cores", "0,1", "--client-entries", "64", *PLACES)
        self.same(one, two)


def query(packets, t, client, server, qid, name, answered=True, ra=True, qtype=1):
    head = struct.pack("!HHHHHH", qid & 0xFFFF, 0x0100, 1, 0, 0, 0)
    question = wire(name) + struct.pack("!HH", qtype, 1)
    us = int(t * 1e6)
    packets.append((us, frame(client, server, 1024 + qid % 60000, 53, head + question)))
    if answered:
        head = struct.pack("!HHHHHH", qid & 0xFFFF, 0x8100 | ra << 7, 1, 0, 0, 0)
        packets.append((us + 5000, frame(server, client, 53, 1024 + qid % 60000, head + question)))


class ByHand(lab.Case):
    def run_packets(self, packets, *more):
        self.write("in", pcap(packets))
        return self.run_ok("--pcap", self.path("in"), *more)

    def test_tap_loss(self):
        """Everybody is silent for three minutes: nobody fell silent by himself, nobody turned elsewhere."""
        packets, qid = [], 0
        for s in range(1800):
            for c in range(3):
                if 1200 <= s < 1380 and not (c == 0 and s == 1290):
                    continue
                qid += 1
                query(packets, BEGIN_S + s + c / 10, "10.0.1.%d" % (c + 1), "10.0.0.53", qid, "www.example.com")
        records = self.run_packets(packets)
        silence = kind(records, "silence")
        self.assertTrue(silence)
        self.assertEqual({r["cause"] for r in silence}, {"TAP_LOSS"})
        for c in (2, 3):
            mine = [r for r in silence if r["client"] == "10.0.1.%d" % c]
            self.assertEqual([r["state"] for r in mine], ["onset", "end"])
            self.assertEqual(mine[1]["from_us"], (BEGIN_S + 1199) * 1000000)
            self.assertEqual(mine[1]["to_us"], (BEGIN_S + 1380) * 1000000)
        self.assertEqual(kind(records, "failover"), [])

    def test_server_down(self):
        """A stub whose first resolver does not answer any more asks the second, and comes back."""
        packets, qid = [], 0
        for s in range(2400):
            down = 1200 <= s < 1800
            for c in (1, 2):
                qid += 2
                if c == 1 and down:
                    if s % 10 == 0:
                        query(packets, BEGIN_S + s, "10.0.1.1", "10.0.0.53", qid, "a.example.com", answered=False)
                    query(packets, BEGIN_S + s + 0.5, "10.0.1.1", "10.0.0.54", qid + 1, "a.example.com")
                else:
                    query(packets, BEGIN_S + s, "10.0.1.%d" % c, "10.0.0.53", qid, "a.example.com")
        records = self.run_packets(packets)
        over = kind(records, "failover")
        self.assertEqual([(r["client"], r["from"], r["to"], r["state"]) for r in over],
                         [("10.0.1.1", "10.0.0.53", "10.0.0.54", s) for s in ("onset", "end")])
        self.assertLessEqual(abs(over[0]["at_us"] / 1e6 - BEGIN_S - 1200), 5)
        self.assertLessEqual(abs(over[1]["end_us"] / 1e6 - BEGIN_S - 1799), 61)
        self.assertEqual(kind(records, "silence"), [])

    def test_server_down_anytime(self):
        """The same in the middle of an interval, by stubs that ask the first resolver each time, or three times."""
        for name, asks in (("each time", lambda age: [1, 2]), ("three times", lambda age: [1] if age < 3 else [2])):
            packets, qid = [], 0
            for s in range(2400):
                down = 1230 <= s < 1800
                for k in asks(s - 1230) if down else [1]:
                    qid += 1
                    query(packets, BEGIN_S + s + k / 4, "10.0.1.1", "10.0.0.%d" % k, qid, "a.example.com",
                          answered=k == 2 or not down)
            with self.subTest(name=name):
                over = kind(self.run_packets(packets), "failover")
                self.assertEqual([(r["client"], r["from"], r["to"], r["state"]) for r in over],
                                 [("10.0.1.1", "10.0.0.1", "10.0.0.2", s) for s in ("onset", "end")])
                self.assertLessEqual(abs(over[0]["at_us"] / 1e6 - BEGIN_S - 1230), 60)
                self.assertLessEqual(abs(over[1]["end_us"] / 1e6 - BEGIN_S - 1799), 61)
                self.assertEqual(over[0]["qps_before"], 0)

    def test_moves_by_itself(self):
        """A stub that changes its resolver though the first one answers did not fail over."""
        packets = []
        for s in range(2400):
            query(packets, BEGIN_S + s, "10.0.1.1", "10.0.0.%d" % (1 + (s >= 1230)), s, "a.example.com")
        self.assertEqual(kind(self.run_packets(packets), "failover"), [])

    def test_end_of_input(self):
        """Somewhere in an interval: nobody is silent for that, and nobody has come back."""
        for end, slow in ((1210, 0), (1259.5, 0), (1200, 0.7), (1201, 0)):
            packets, qid = [], 0
            for k in range(int(end * 2)):
                for c in (1, 2):
                    qid += 1
                    query(packets, BEGIN_S + k / 2 + c / 10, "10.0.1.%d" % c, "10.0.0.53", qid, "a.example.com")
            if slow:
                packets.append((packets[-1][0] + int(slow * 1e6), packets[-1][1]))
            with self.subTest(end=end):
                self.assertEqual(kind(self.run_packets(packets), "silence"), [])
        packets, qid = [], 0
        for s in range(1510):
            down = s >= 1200
            for k in (1, 2) if down else (1,):
                qid += 1
                query(packets, BEGIN_S + s + k / 4, "10.0.1.1", "10.0.0.%d" % k, qid, "a.example.com",
                      answered=k == 2 or not down)
        self.assertEqual([r["state"] for r in kind(self.run_packets(packets), "failover")], ["onset"])

    def test_alone(self):
        """One client: nobody else is missing when it is silent, wherever in an interval that begins."""
        for begin in (1199, 1220):
            packets = []
            for s in range(3600):
                if s <= begin or s >= 2400:
                    query(packets, BEGIN_S + s, "10.0.1.1", "10.0.0.53", s, "a.example.com")
            silence = kind(self.run_packets(packets), "silence")
            self.assertEqual(sorted((r["state"], r["cause"]) for r in silence),
                             [("end", "SILENT"), ("onset", "SILENT")])
            self.assertEqual({r["from_us"] for r in silence}, {(BEGIN_S + begin) * 1000000})
            self.assertEqual({r["to_us"] for r in silence}, {None, (BEGIN_S + 2400) * 1000000})

    def test_slow_client(self):
        """Of 864 queries a day one is missed after 1,382 s, and not before."""
        packets, qid = [], 0
        for s in range(0, 36000, 4):
            clients = [1]
            if s % 100 == 0 and not 14400 < s < 15600 and not 21600 < s < 23600:
                clients.append(2)
            for c in clients:
                qid += 1
                query(packets, BEGIN_S + 3 + s + c / 10, "10.0.1.%d" % c, "10.0.0.53", qid, "a.example.com")
        silence = kind(self.run_packets(packets), "silence")
        self.assertEqual(sorted((r["client"], r["state"], r["cause"]) for r in silence),
                         [("10.0.1.2", "end", "SILENT"), ("10.0.1.2", "onset", "SILENT")])
        self.assertEqual({r["from_us"] for r in silence}, {(BEGIN_S + 21603) * 1000000})
        self.assertEqual({r["to_us"] for r in silence}, {None, (BEGIN_S + 23603) * 1000000})

    def test_coupling_from_the_first_query(self):
        """Which is for something else, as is the last one; and A and AAAA by ones and twos count, too."""
        rng, packets, qid, n = random.Random(9), [], 0, [[0, 0] for _ in range(3000)]
        for s in range(3000):
            asks = [15]
            if 600 <= s < 2400 and rng.random() < (0.02 if s < 1200 else 0.5):
                asks = [1, 28] if rng.random() < 0.9 else [28]
            for t in asks:
                qid += 1
                query(packets, BEGIN_S + 7 + s, "10.0.1.1", "10.0.0.53", qid, "a.example.com", qtype=t)
                n[s][0] += t == 1
                n[s][1] += t == 28
        c, = kind(self.run_packets(packets), "coupling")
        self.assertEqual((c["n"], c["sx"], c["sy"]), (3000, sum(x for x, _ in n), sum(y for _, y in n)))
        for field, width in (("r2_1s", 1), ("r2_5s", 5)):
            bins = {}
            for s, (x, y) in enumerate(n):
                b = bins.setdefault((BEGIN_S + 7 + s) // width, [0, 0])
                b[0] += x
                b[1] += y
            mx, my = (sum(b[i] for b in bins.values()) / len(bins) for i in (0, 1))
            xy, xx, yy = (sum((a - p) * (b - q) for a, b, p, q in rows) for rows in (
                [(x, y, mx, my) for x, y in bins.values()], [(x, x, mx, mx) for x, _ in bins.values()],
                [(y, y, my, my) for _, y in bins.values()]))
            self.assertAlmostEqual(c[field], xy * xy / (xx * yy), delta=1e-9)

    def test_host_search(self):
        """Two clients go through address space, one by one and at random; a mail server and a small one do not."""
        rng, packets, qid = random.Random(7), [], 0
        lists = {"10.0.1.1": ["192.0.%d.%d" % divmod(1000 + i, 256) for i in range(30)],
                 "10.0.1.2": [".".join(str(rng.randrange(256)) for _ in range(4)) for _ in range(200)],
                 "10.0.1.3": ["10.1.%d.%d" % (rng.randrange(40), rng.randrange(256)) for _ in range(60)],
                 "10.0.1.4": ["192.0.2.%d" % i for i in range(15)]}
        for client, addresses in lists.items():
            for i, a in enumerate(addresses):
                qid += 1
                query(packets, BEGIN_S + 2 + i * 0.2, client, "10.0.0.53", qid,
                      ".".join(reversed(a.split("."))) + ".in-addr.arpa", qtype=12)
        packets.sort(key=lambda p: p[0])
        one = self.run_packets(packets)
        rows = {r["client"]: r for r in kind(one, "host_search")}
        self.assertEqual({c: (r["form"], r["queries"]) for c, r in rows.items()},
                         {"10.0.1.1": ("CONSECUTIVE", 30), "10.0.1.2": ("RANDOM", 200)})
        for client, r in rows.items():
            points = [list(map(int, a.split("."))) for a in lists[client]]
            steps = [math.dist(a, b) for a, b in zip(points, points[1:])]
            self.assertAlmostEqual(r["distance_mean"], sum(steps) / len(steps), delta=1e-9)
        if len(lab.cpus()) > 1:
            self.same(one, self.run_packets(packets, "--cores", ",".join(map(str, lab.cpus()[:4]))))

    def test_entropy_of_a_day(self):
        """Over two intervals: clients that ask 1, 2, 4 ... times, each for a domain of its own."""
        packets, qid = [], 0
        for k in range(8):
            for i in range(2 ** k):
                qid += 1
                query(packets, BEGIN_S + 60 * (i % 2) + i / 10, "10.0.1.%d" % (k + 1), "10.0.0.53", qid,
                      "www.dom%d.com" % k)
        packets.sort(key=lambda p: p[0])
        day, = kind(self.run_packets(packets), "entropy", span="day")
        n = 255
        want = -sum(2 ** k / n * math.log2(2 ** k / n) for k in range(8))
        self.assertAlmostEqual(day["h_client"], want, delta=1e-3)
        self.assertAlmostEqual(day["h_qname"], want, delta=1e-3)
        self.assertIsNone(day["reading"])

    def test_poisson_clients(self):
        """Clients of all rates, none of them silent: by chance, nobody is reported in two hours."""
        rng, packets, qid = random.Random(3), [], 0
        for c in range(16):
            t, rate = 0.0, 0.02 * 1.25 ** c
            while True:
                t += rng.expovariate(rate)
                if t >= 7200:
                    break
                qid += 1
                query(packets, BEGIN_S + t, "10.0.1.%d" % (c + 1), "10.0.0.53", qid, "a.example.com")
        self.write("in", pcap(packets))
        records = quick(self, "--pcap", self.path("in"))
        self.assertEqual(kind(records, "silence"), [])
        top = kind(records, "top", span="day", qtype="ALL")
        self.assertEqual(sorted(r["rank"] for r in top), list(range(1, 11)))

    def test_sampled(self):
        """A share of the flows: what was seen, and what that says of all; each record tells its share."""
        packets, rng, truth = [], random.Random(5), {}
        for i in range(12000):
            client, qtype = "10.0.1.%d" % rng.randrange(1, 6), rng.choice((1, 1, 28))
            key = client, {1: "A", 28: "AAAA"}[qtype]
            truth[key] = truth.get(key, 0) + 1
            query(packets, BEGIN_S + i / 100, client, "10.1.%d.%d" % (i % 50, i % 20), i, "a.example.com", qtype=qtype)
        records = self.run_packets(packets, "--sample", "1/2^1")
        for kind_of in ("top", "entropy"):
            self.assertEqual({r["p"] for r in kind(records, kind_of)}, {0.5})
        for span in ("interval", "day"):
            for qtype in ("A", "AAAA"):
                seen = {}
                for r in kind(records, "top", span=span, qtype=qtype):
                    a = seen.setdefault(r["client"], [0, 0, 0])
                    for i, k in enumerate(("queries", "est_queries", "se_queries")):
                        a[i] += r[k]
                self.assertEqual(len(seen), 5)
                for client, (queries, est, se) in seen.items():
                    self.assertAlmostEqual(est, 2 * queries, delta=1e-6)
                    self.assertLess(abs(est - truth[client, qtype]), 6 * se)
        for r in kind(self.run_packets(packets), "top"):
            self.assertNotIn("est_queries", r)

    def test_flood(self):
        """New clients all the time: what is kept stays within its budget, and the counts are no more than true."""
        packets, rng, truth = [], random.Random(4), {}
        for i in range(12000):
            client = "10.2.%d.%d" % (i // 250 % 250, 1 + i % 250)
            if i % 3 == 0:
                client = "10.0.1.%d" % rng.randrange(1, 4)
            truth[client] = truth.get(client, 0) + 1
            query(packets, BEGIN_S + i / 100, client, "10.0.0.53", i, "a.example.com")
        for budget in ("262144", "500"):
            records = self.run_packets(packets, "--table-keys", budget)
            for r in kind(records, "top", span="day", qtype="ALL"):
                self.assertLessEqual(r["queries"], truth[r["client"]] + r["err"])
                if budget != "500":  # beyond the budget of keys, what was left out is missing
                    self.assertGreaterEqual(r["queries"], truth[r["client"]])
                    if r["rank"] <= 3:
                        self.assertEqual((r["queries"], r["err"]), (truth[r["client"]], 0))


class Report(lab.Case):
    def test_report(self):
        packets = []
        for s in range(900):
            for k in range(2):
                query(packets, BEGIN_S + s + k / 3, "10.0.1.1", "10.0.0.53", 2 * s + k, "a.example.com")
        self.write("in", pcap(packets))
        self.run_ok("--pcap", self.path("in"), out=self.out)
        r = fluxtap("report", "client", self.out)
        self.assertEqual(r.code, 0, str(r))
        self.assertIn("S2R, type A\n   1  10.0.1.1                                        1,800\n", r.out)


if __name__ == "__main__":
    unittest.main()
