# SPDX-License-Identifier: BSD-3-Clause
"""Set `server`: what became of each server's queries, against what was sent."""

import struct
import unittest

import lab

SERVERS = ("servers", "--seed", 5)
COUNTS = ("queries", "answered", "unanswered", "late", "dup", "retry_same", "retry_other")


def bound(k, n, upper):
    """Wilson's interval at 99.9 %, solved by bisection from the binomial variance."""
    p = k / n
    lo, hi = (p, 1.0) if upper else (0.0, p)
    for _ in range(60):
        x = (lo + hi) / 2
        far = abs(p - x) > 3.2905 * (x * (1 - x) / n) ** 0.5
        if upper:
            lo, hi = (lo, x) if far else (x, hi)
        else:
            lo, hi = (x, hi) if far else (lo, x)
    return lo


def tcp_frame(src, dst, sport, dport, flags, seq, ack, payload=b""):
    frame = lab.udp_frame(src, dst, sport, dport, b"\0" * 12 + payload)
    tcp = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 65535, 0, 0) + payload
    ip = bytearray(frame[14:34])
    ip[9] = 6
    ip[10:12] = b"\0\0"
    ip[10:12] = struct.pack("!H", lab.checksum(bytes(ip)))
    return frame[:14] + bytes(ip) + tcp


class Chosen(lab.Case):
    def test_configured(self):
        """More than a thousand servers are asked more often than those that are our own."""
        s = lab.Scene()
        for k in range(2200):
            s.pair(k * 1000, "10.0.0.53", "198.18.%d.%d" % divmod(k % 1100, 250), aa=True)
        s.pair(3000000, "203.0.113.1", "192.0.2.1", aa=True)
        s.pair(3100000, "203.0.113.1", "192.0.2.53", rd=True, ra=True)
        s.pair(3200000, "203.0.113.1", "192.0.2.99", rd=True, ra=True)
        path = s.capture().save(self.path("a"))
        mine = ["192.0.2.1", "192.0.2.53"]
        for args, own in ((("--auth", mine[0], "--resolvers", mine[1]), mine), ((), [])):
            rows = lab.of_set(self.run_ok("--pcap", path, *args), "server")
            self.assertEqual(sorted(r["server"] for r in rows if r["server"].startswith("192")), own)
            self.assertEqual(len(rows), 1000)


class Truth(lab.Case):
    def servers(self, records, change=False):
        return {r["server"]: r for r in lab.of_set(records, "server") if r["state_change"] is change}

    def test_generated(self):
        path, truth = lab.traffic(*SERVERS)
        records = self.run_ok("--pcap", path, "--interval", 3600)
        rows = self.servers(records)
        self.assertEqual(len(rows), len(truth["servers"]))
        for s in truth["servers"]:
            r = rows[s["server"]]
            self.assertEqual({k: r[k] for k in COUNTS}, {k: s[k] for k in COUNTS}, s["server"])
            self.assertEqual(r["by_class"].get("TIMEOUT", 0), s["unanswered"])
            if s["down_us"] == 0 and not s["late"]:
                self.assertTrue(bound(r["unanswered"], r["queries"], False) <= s["loss"]
                                <= bound(r["unanswered"], r["queries"], True), s["server"])
            if s["answered"]:
                self.assertEqual(r["rtt_us"]["count"], s["answered"])
                self.assertEqual(r["rtt_us"]["max"], s["rtt_us"]["max"])
                for q in ("p50", "p90", "p99", "p999"):
                    self.assertAlmostEqual(r["rtt_us"][q] / s["rtt_us"][q], 1, delta=0.0101)
            if s["retry_other"]:
                self.assertAlmostEqual(r["retry_other_us"]["p50"] / s["retry_other_us"], 1, delta=0.0101)
                self.assertEqual(r["retry_other_us"]["max"], s["retry_other_us"])

    def test_states(self):
        path, truth = lab.traffic(*SERVERS)
        records = self.run_ok("--pcap", path)
        seen = {}
        for r in sorted((r for r in lab.of_set(records, "server") if r["state_change"]), key=lambda r: r["since_us"]):
            seen.setdefault(r["server"], []).append((r["state"], r["since_us"]))
        for s in truth["servers"]:
            changes = seen.get(s["server"], [])
            if s["down_us"]:
                down = [at for state, at in changes if state == "DOWN"]
                up = [at for state, at in changes if state == "UP"]
                self.assertEqual((len(down), len(up)), (1, 1), changes)
                self.assertTrue(s["down_us"] < down[0] <= s["down_us"] + 60000000)
                self.assertTrue(s["up_us"] < up[0] <= s["up_us"] + 40000000)
            elif s["loss"] == 1:
                self.assertEqual([state for state, _ in changes], ["DOWN"])
            elif s["loss"] <= 0.01:
                self.assertEqual(changes, [], s["server"])
            else:
                self.assertEqual(changes[0][0], "DEGRADED")

    def test_intervals_agree(self):
        """The state does not depend on how long the intervals are, nor do the sums."""
        path, _ = lab.traffic(*SERVERS)
        out = []
        for interval in (15, 60, 300):
            records = self.run_ok("--pcap", path, "--interval", interval, out=self.path("i%d" % interval))
            sums = {}
            for r in lab.of_set(records, "server"):
                for k in COUNTS:
                    if not r["state_change"]:
                        key = (r["server"], k)
                        sums[key] = sums.get(key, 0) + r[k]
            changes = sorted((r["server"], r["state"], r["since_us"])
                             for r in lab.of_set(records, "server") if r["state_change"])
            out.append((sums, changes))
        self.assertEqual(out[0], out[1])
        self.assertEqual(out[0], out[2])

    @unittest.skipIf(len(lab.cpus()) < 2, "needs two CPUs")
    def test_two_workers(self):
        path, _ = lab.traffic(*SERVERS)
        cpus = ",".join(map(str, lab.cpus()[:4]))
        self.same(self.run_ok("--pcap", path), self.run_ok("--pcap", path, "--cores", cpus))


class Scenes(lab.Case):
    """Single packets, each figure counted by hand."""

    A, B = "192.0.2.1", "192.0.2.2"

    def rows(self, scene, *args):
        records = self.run_ok("--pcap", scene.capture().save(self.path("a")), "--interval", 300, *args)
        return {r["server"]: r for r in lab.of_set(records, "server") if not r["state_change"]}

    def counts(self, row):
        return {k: row[k] for k in COUNTS if row[k]}

    def test_late_and_dup(self):
        s = lab.Scene()
        q = s.query(0, "10.0.0.1", self.A)
        s.answer(7000000, "10.0.0.1", self.A, q, aa=True)
        s.answer(7100000, "10.0.0.1", self.A, q, aa=True)  # unsolicited: the late one has come
        q = s.query(20000000, "10.0.0.1", self.A, name="b.example", sport=5)
        s.answer(31000000, "10.0.0.1", self.A, q, name="b.example", sport=5, aa=True)  # too late to be late
        q = s.query(40000000, "10.0.0.1", self.A, name="c.example", sport=6)
        s.query(40000100, "10.0.0.1", self.A, name="c.example", sport=6, qid=q)
        s.answer(40200000, "10.0.0.1", self.A, q, name="c.example", sport=6, aa=True)
        row = self.rows(s)[self.A]
        self.assertEqual(self.counts(row), {"queries": 4, "answered": 1, "unanswered": 3, "late": 1, "dup": 1})
        self.assertEqual(row["unsolicited"], 3)
        self.assertEqual(row["rtt_us"]["max"], 200000)

    def test_retries(self):
        s = lab.Scene()
        s.query(0, "10.0.0.1", self.A, sport=1)
        s.query(400000, "10.0.0.1", self.A, sport=2)  # again at A
        s.pair(2000000, "10.0.0.1", self.B, sport=3, aa=True)  # A is left, after 2 s
        s.pair(20000000, "10.0.0.1", self.B, sport=4, aa=True)  # and again: those at A are unanswered still
        s.pair(31000000, "10.0.0.1", self.B, sport=5, aa=True)  # over thirty seconds later than both
        s.pair(3000000, "10.0.0.2", self.B, sport=6, aa=True)  # somebody else
        s.pair(4000000, "10.0.0.1", self.B, sport=7, aa=True, name="other.example")
        rows = self.rows(s)
        self.assertEqual(self.counts(rows[self.A]), {"queries": 2, "unanswered": 2, "retry_same": 1, "retry_other": 2})
        self.assertEqual(rows[self.A]["retry_other_us"]["max"], 20000000)
        self.assertEqual(self.counts(rows[self.B]), {"queries": 5, "answered": 5})
        self.assertIsNone(rows[self.B]["retry_other_us"])

    def test_retry_at_an_answered_server(self):
        """Asked elsewhere while the answer was on its way: a retry; afterwards: none."""
        s = lab.Scene()
        s.pair(0, "10.0.0.1", self.A, delay_us=500000, sport=1, aa=True)
        s.pair(300000, "10.0.0.1", self.B, sport=2, aa=True)
        s.pair(600000, "10.0.0.1", self.B, sport=3, aa=True)
        rows = self.rows(s)
        self.assertEqual(self.counts(rows[self.A]), {"queries": 1, "answered": 1, "retry_other": 1})
        self.assertEqual(self.counts(rows[self.B]), {"queries": 2, "answered": 2})

    def test_left_in_the_interval_before(self):
        s = lab.Scene()
        s.query(299900000, "10.0.0.1", self.A, sport=1)
        s.pair(300300000, "10.0.0.1", self.B, sport=2, aa=True)
        records = self.run_ok("--pcap", s.capture().save(self.path("a")), "--interval", 300)
        rows = {(r["server"], r["start"] % 600): r for r in lab.of_set(records, "server")}
        self.assertEqual(self.counts(rows[self.A, 0]), {"queries": 1, "unanswered": 1})
        self.assertEqual(self.counts(rows[self.A, 300]), {"retry_other": 1})

    def test_handshake(self):
        s = lab.Scene()
        for k, us in enumerate((30000, 50000, 70000)):
            at, c = k * 1000000, "10.0.0.%d" % (k + 1)
            s.put(at, tcp_frame(c, self.A, 4000, 53, 2, 100, 0))
            s.put(at + 10, tcp_frame(self.A, c, 53, 4000, 18, 500, 101))
            s.put(at + 10 + us, tcp_frame(c, self.A, 4000, 53, 16, 101, 501))
            q = lab.message("www.example.com", 7)
            a = lab.message("www.example.com", 7, True, aa=True, answers=1)
            s.put(at + 20 + us, tcp_frame(c, self.A, 4000, 53, 24, 101, 501, struct.pack("!H", len(q)) + q))
            s.put(at + 30 + us, tcp_frame(self.A, c, 53, 4000, 24, 501, 103 + len(q), struct.pack("!H", len(a)) + a))
        row = self.rows(s)[self.A]
        self.assertEqual(self.counts(row), {"queries": 3, "answered": 3})
        self.assertEqual(row["tcp_rtt_us"]["count"], 3)
        self.assertEqual(row["tcp_rtt_us"]["max"], 70000)
        self.assertAlmostEqual(row["tcp_rtt_us"]["p50"] / 50000, 1, delta=0.0101)

    def test_one_direction(self):
        """No responses at all: how many were asked, and nothing about who is down."""
        s = lab.Scene()
        for k in range(300):
            s.query(k * 100000, "10.0.0.%d" % (k % 200), "192.0.2.%d" % (1 + k % 5), sport=1000 + k)
        for r in self.rows(s).values():
            self.assertEqual((r["queries"], r["answered"], r["unanswered"], r["state"], r["guard"]),
                             (60, None, None, None, "ASYM"))

    def test_clients(self):
        s = lab.Scene()
        for k in range(40):
            s.pair(k * 100000, "10.0.0.%d" % (k % 7), self.A, sport=1000 + k, aa=True)
        self.assertEqual(self.rows(s)[self.A]["clients"], 7)

    def test_report(self):
        path, _ = lab.traffic(*SERVERS)
        self.run_ok("--pcap", path, out=self.out)
        r = lab.fluxtap("report", "server", self.out)
        self.assertEqual(r.code, 0, str(r))
        self.assertRegex(r.out, r"192\.0\.2\.8 +[\d,]+ +100\.00%.* DOWN\n")
        self.assertRegex(r.out, r"R2A  192\.0\.2\.5 +DOWN\n")


if __name__ == "__main__":
    unittest.main()
