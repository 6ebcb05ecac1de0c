#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Floods through the whole program: memory stays at its budget, the books close, and the pairs
between the hostile packets are counted one by one.

    test_floods.py                  50,000 hostile packets of each kind, against a quarter of that
    FLOOD=1000000 test_floods.py    at full scale, under a minute
"""

import os
import re
import subprocess
import unittest

import lab
from test_truth import TruthCase

N = int(os.environ.get("FLOOD", 50000))
# Tables that are full long before a flood ends, so that what grows beyond them shows.
SMALL = ("--verdict-entries", 4096, "--pair-entries", 65536, "--tcp-connections", 4096, "--tcp-buffer-mb", 4,
         "--frag-datagrams", 64, "--domain-entries", 4096, "--client-entries", 4096, "--server-entries", 1024,
         "--rrset-entries", 4096, "--error-entries", 4096, "--match-entries", 64, "--table-keys", 8192,
         "--rrset-keys", 8192, "--flux-mb", 4, "--ring-mb", 1)
SLACK_MIB = 8
RATE = 2000  # hostile packets a second of event time: as many wait at a time, whatever their number


class Floods(TruthCase):
    def flood(self, scenario, n, *more):
        """Out of the generator's pipe, as no file holds a flood; records and MiB at most."""
        truth = self.path("truth")
        out = self.path("out-%s-%d" % (scenario, n))
        make = subprocess.Popen(
            [lab.GEN, "--scenario", scenario, "--pairs", str(n), "--duration", str(n / RATE), "--pcap", "-",
             "--truth", truth],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.stop, make)
        r = lab.fluxtap("run", "--pcap", "-", "--no-huge", "--out", out, *SMALL, *more, stdin=make.stdout, timeout=500)
        self.assertEqual(r.code, 0, str(r))
        self.assertEqual(make.wait(), 0, make.stderr.read())
        with open(truth) as f:
            truth = lab.json.load(f)
        records = self.records(out)
        self.compare(truth, records)
        return records, truth, int(re.search(r"memory +(\d+) MiB", r.err + r.out)[1])

    def check_flat(self, scenario, *more):
        _, _, before = self.flood(scenario, N // 4, *more)
        records, truth, after = self.flood(scenario, N, *more)
        print("%s: %d MiB for %d packets, %d MiB for %d" % (scenario, before, N // 4, after, N), flush=True)
        self.assertLessEqual(after, before + SLACK_MIB)
        return records, truth

    def test_half_open_connections(self):
        records, truth = self.check_flat("syn-flood")
        self.assertEqual(truth["totals"]["tcp_packets"], N + (N + 2) // 3)
        # Connections of which half a message came are forgotten to make room, the others quietly.
        self.assertGreater(lab.total(records, "tcp_evicted"), 0)
        self.assertEqual(lab.totals(records, "dropped"), {})

    def test_first_fragments(self):
        records, truth = self.check_flat("fragment-flood")
        drops = lab.totals(records, "dropped")
        self.assertEqual(truth["totals"]["fragments"], N)
        self.assertEqual(sum(drops.values()), N)
        self.assertLessEqual(set(drops), {"frag_full", "frag_timeout"})
        self.assertGreater(drops["frag_full"], N // 2)

    def test_names(self):
        records, truth = self.check_flat("name-flood")
        self.assertEqual(lab.totals(records, "msg_dropped"), {})
        self.assertEqual(sum(r["unanswered"] for r in lab.of_set(records, "traffic")), N)

    def test_tiny_packets(self):
        records, truth = self.check_flat("tiny-flood")
        self.assertEqual(sum(truth["totals"]["malformed"].values()), N)
        self.assertEqual(sum(lab.totals(records, "msg_dropped").values()), N)

    def test_strangers(self):
        """Every client, server and domain comes once, with cookies and all: what goes beyond a table is left out.
        Days and intervals fill up slowly, so that there is no "before" here but a limit."""
        n = N if "FLOOD" in os.environ else N // 5  # each leaves records in six sets, which take their time to check
        records, truth, mib = self.flood("stranger-flood", n)
        print("stranger-flood: %d MiB for %d packets" % (mib, n), flush=True)
        self.assertLessEqual(mib, 350)
        self.assertEqual(lab.totals(records, "msg_dropped"), {})
        self.assertEqual(sum(r["queries"] for r in lab.of_set(records, "traffic")), n + (n + 9) // 10)
        for name, most in (("server", 1000), ("resolver", 10000)):
            rows = [r for r in lab.of_set(records, name) if not r.get("state_change")]
            self.assertLessEqual(len(rows), most * len({r["start"] for r in rows}), name)

    @unittest.skipIf(len(lab.cpus()) < 2, "needs two CPUs")
    def test_two_workers(self):
        for scenario in ("syn-flood", "name-flood", "tiny-flood"):
            self.flood(scenario, N, "--cores", ",".join(map(str, lab.cpus()[:2])))
        self.flood("stranger-flood", N // 10, "--cores", ",".join(map(str, lab.cpus()[:2])))


if __name__ == "__main__":
    unittest.main()
