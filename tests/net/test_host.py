#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Lab sheet: host mode, beside a real name server.

    a (dnsperf) ---- veth ---- b (nsd, fluxtap run --xdp vb,mode=host)

Watching must not cost the service an answer, and the probe's books must be those of
the one who asked: every query, every response, with the right class and a delay that
is shorter than the one the client saw.
"""
import collections
import shutil
import threading
import unittest

import lab

UDP, TCP = 6000, 1500


def setUpModule():
    lab.need("nsd", "dnsperf")


class Service(unittest.TestCase):
    """Asks over one transport after the other and compares both accounts."""

    def ask(self, w, wanted, **asked_of):
        """{transport: what dnsperf said}; every query must be answered."""
        said = {}
        for transport in wanted:
            tcp, v6 = transport.startswith("tcp"), transport.endswith("6")
            lines, classes, names = lab.questions(TCP if tcp else UDP, tcp, seed=len(said))
            a = lab.dnsperf(w.a, w.b.v6 if v6 else w.b.v4, lines, "tcp" if tcp else "udp", **asked_of)
            self.assertEqual((a.sent, a.completed, a.lost), (len(lines), len(lines), 0), a.text)
            a.classes, a.names = classes, names
            said[transport] = a
        return said

    def compare(self, run, said):
        lab.check_ledger(self, run)
        self.assertEqual(run.book("source_dropped"), 0)
        self.assertEqual({row["vantage"] for row in run.traffic}, {"AUTH"})
        have = lab.figures(run.traffic, lab.UNTIMED + lab.TIMED)
        sent = sum(a.sent for a in said.values())
        self.assertEqual(have["queries"], sent)
        self.assertEqual(have["responses"], sent)
        self.assertEqual(have["pairs"], sum(a.completed for a in said.values()))
        self.assertEqual(have["unanswered"], 0)
        self.assertEqual(have["unsolicited"], 0)
        self.assertEqual(have["by_transport"], collections.Counter({t: a.sent for t, a in said.items()}))
        self.assertEqual(have["by_opcode"], collections.Counter(QUERY=sent))
        self.assertEqual(have["by_rcode"], sum((a.rcodes for a in said.values()), collections.Counter()),
                         "response codes as dnsperf counted them")
        self.assertEqual(have["by_class"], sum((a.classes for a in said.values()), collections.Counter()),
                         "classes as the zone has them")
        slowest_us = max(a.max_us for a in said.values())
        for row in run.traffic:
            rtt = row["rtt_us"]
            self.assertEqual(rtt["count"], row["pairs"])
            self.assertGreater(rtt["p50"], 0)
            self.assertLessEqual(rtt["p50"], rtt["p99"])
            self.assertLess(rtt["p50"], 50000)
            self.assertLessEqual(rtt["max"], slowest_us + 2000, "no slower than the client saw it")

    def serve(self, wanted, workers=1, words="", interval=lab.INTERVAL_S, **asked_of):
        with lab.wire(v6=True) as w, lab.nsd(w.b, w.b.v4, w.b.v6), \
                lab.probe(w.b, "--xdp", f"{w.b.iface},mode=host{words}", "--auth", f"{w.b.v4}/32,{w.b.v6}/128",
                          workers=workers, interval=interval) as probe:
            said = self.ask(w, wanted, **asked_of)
            run = probe.finish()
            self.left_behind(w.b)
        self.compare(run, said)
        return run, said

    def left_behind(self, end):
        """Neither a filter nor the qdisc that carries one."""
        self.assertNotIn("clsact", end.sh("tc", "qdisc", "show", "dev", end.iface))
        if shutil.which("bpftool"):
            self.assertNotIn("steer", end.sh("bpftool", "net", "show", "dev", end.iface, ok=False))
        self.assertFalse(end.has_xdp())

    def test_udp_and_tcp(self):
        run, said = self.serve(["udp4", "tcp4", "udp6", "tcp6"])
        row, = run.traffic
        self.assertEqual(row["clients"], 2)
        names = set().union(*(a.names for a in said.values()))
        self.assertAlmostEqual(row["names"], len(names), delta=2 + 0.03 * len(names))

    def test_two_workers(self):
        run, _ = self.serve(["udp4", "tcp4", "udp6", "tcp6"], workers=2)
        self.assertIn("2 workers", run.stderr)

    def test_two_workers_share(self):
        """Sixteen clients fall to two workers by a hash of the addresses; sums do not show it."""
        with lab.wire() as w, lab.nsd(w.b, w.b.v4), \
                lab.probe(w.b, "--xdp", f"{w.b.iface},mode=host", "--auth", f"{w.b.v4}/32", workers=2) as probe:
            sent = 0
            for i in range(100, 116):
                lab.sh("ip", "-n", w.a.name, "addr", "add", f"10.99.0.{i}/24", "dev", w.a.iface)
                lines, *_ = lab.questions(200, seed=i)
                a = lab.dnsperf(w.a, w.b.v4, lines, source=f"10.99.0.{i}")
                self.assertEqual(a.completed, 200, a.text)
                sent += a.completed
            run = probe.finish()
        lab.check_ledger(self, run)
        have = lab.figures(run.traffic, ["queries", "pairs", "clients"])
        self.assertEqual(have, {"queries": sent, "pairs": sent, "clients": 16})
        shares = [r["rx_packets"] for r in run.ledger if r["worker"] != "all"]
        self.assertEqual(len(shares), 2)
        self.assertTrue(all(shares), f"one worker got all: {shares}")

    def test_short_intervals(self):
        """The same sums from many intervals, with queries that wait over their borders."""
        run, _ = self.serve(["udp4", "tcp4"], interval=1, rate=2000)
        self.assertGreater(len({row["start"] for row in run.traffic}), 2)

    def test_clsact(self):
        """As on a kernel without tcx."""
        run, _ = self.serve(["udp4", "tcp6"], words=",clsact")
        self.assertIn("clsact", run.stderr)

    def test_service_without_probe_is_the_same(self):
        """The control: nsd answers all that, without us."""
        with lab.wire(v6=True) as w, lab.nsd(w.b, w.b.v4, w.b.v6):
            self.ask(w, ["udp4", "tcp4", "udp6", "tcp6"])


class Outage(unittest.TestCase):
    def test_server_dies(self):
        """nsd ends midway: what it answered is paired, the rest is unanswered, and the ledger closes."""
        with lab.wire() as w, lab.nsd(w.b, w.b.v4) as server, \
                lab.probe(w.b, "--xdp", f"{w.b.iface},mode=host", "--auth", f"{w.b.v4}/32", "--timeout-ms", 500,
                          interval=1) as probe:
            end = threading.Timer(2.5, server.stop)
            end.start()
            lines, *_ = lab.questions(2000)
            said = lab.dnsperf(w.a, w.b.v4, lines, rate=300, limit_s=5, timeout_s=1, waiting=400)
            end.join()
            run = probe.finish()
        lab.check_ledger(self, run)
        have = lab.figures(run.traffic, lab.UNTIMED + lab.TIMED)
        self.assertGreater(said.completed, 300, said.text)
        self.assertGreater(said.lost, 300, said.text)
        self.assertEqual(have["queries"], said.sent)
        self.assertEqual(have["pairs"], said.completed)
        self.assertEqual(have["unanswered"], said.lost)
        self.assertEqual(have["by_class"]["TIMEOUT"], said.lost)
        seconds = sorted((row["start"], row["unanswered"]) for row in run.traffic)
        self.assertEqual(seconds[0][1], 0, "at first all is well")
        self.assertGreater(max(n for _, n in seconds[-3:]), 100, "then nothing comes back")
        self.assertGreater(max(row["held"] for row in run.ledger), 0, "queries wait over the turn of an interval")


if __name__ == "__main__":
    lab.main()
