# SPDX-License-Identifier: BSD-3-Clause
"""Addresses and name servers that move, from capture to record: what is said is what was planted, with one
worker and with two, and lists that cannot be read are refused."""

import os
import unittest

import lab
from lab import fluxtap


class Flux(lab.Case):
    def lists(self, truth):
        self.write("asn", b"# system\n" + b"".join(b"%s %d\n" % (p.encode(), n) for p, n in truth["asn"]))
        self.write("cdn", b"cdn.listed.example # a content network\n")
        return "--asn", self.path("asn"), "--cdn", self.path("cdn")

    def of_day(self, records):
        return {(r["kind"], r["owner"], r["type"]): r for r in lab.of_set(records, "flux") if r["state"] == "day"}

    def compare(self, records, truth):
        found = self.of_day(records)
        due = {(t["kind"], t["owner"], t["type"]): t for t in truth["flux"] if t["is_due"]}
        self.assertEqual(sorted(found), sorted(due))
        for key, t in due.items():
            r = found[key]
            self.assertEqual((key, r["class"], r["double_flux"], r["vantage"]),
                             (key, t["class"], t["double_flux"], "R2A"))
            if t["kind"] == "ns":
                self.assertEqual((key, r["n_changes"]), (key, t["n_changes"]))
                continue
            self.assertEqual((key, r["suppressed_by"], r["n_a"], r["n_asn"]),
                             (key, t["suppressed_by"], t["n_a"], t["n_asn"]))
            self.assertAlmostEqual(r["f_holz"], t["f_holz"], 3)

    def test_planted(self):
        capture, truth = lab.traffic("ip-flux")
        self.assertGreater(sum(t["is_due"] for t in truth["flux"]), 10)
        self.assertGreater(sum(not t["is_due"] for t in truth["flux"]), 5)
        records = self.run_ok("--pcap", capture, *self.lists(truth))
        self.compare(records, truth)
        onsets = [r for r in lab.of_set(records, "flux") if r["state"] == "onset"]
        self.assertEqual({(r["kind"], r["owner"], r["type"]) for r in onsets}, set(self.of_day(records)))
        for r in onsets:
            self.assertEqual(r["end"] % 60, 0)
            self.assertLess(r["last_us"], r["end"] * 1000000)
            self.assertGreaterEqual(r["last_us"], (r["end"] - 60) * 1000000)

    def test_other_seed_and_length(self):
        capture, truth = lab.traffic("ip-flux", "--seed", 5, "--pairs", 39 * 60, "--duration", 7200)
        self.compare(self.run_ok("--pcap", capture, "--interval", "300", *self.lists(truth)), truth)

    def test_workers_do_not_show(self):
        cpus = lab.cpus()
        if len(cpus) < 2:
            self.skipTest("one CPU")
        for scenario in (("ip-flux",), ("zoo", "--pairs", 3000)):
            capture, truth = lab.traffic(*scenario)
            args = self.lists(truth) if "asn" in truth else ()
            runs = [self.run_ok("--pcap", capture, "--cores", c, *args)
                    for c in (str(cpus[0]), "%d,%d" % (cpus[0], cpus[1]))]
            self.same(*runs)

    def test_across_midnight(self):
        midnight = 1767225600 + 86400
        capture, truth = lab.traffic("ip-flux", "--start", midnight - 1800)
        found = [r for r in lab.of_set(self.run_ok("--pcap", capture, *self.lists(truth)), "flux")
                 if r["owner"] == "flux.evil2.example." and r["state"] == "day"]
        self.assertEqual([(r["start"], r["end"] > r["start"]) for r in found],
                         [(midnight - 86400, True), (midnight, True)])
        self.assertEqual(found[0]["end"], midnight)
        planted = [t for t in truth["flux"] if t["owner"] == "flux.evil2.example."][0]
        self.assertAlmostEqual(sum(r["n_a"] for r in found), planted["n_a"], delta=24)

    def test_without_lists(self):
        capture, truth = lab.traffic("ip-flux")
        found = self.of_day(self.run_ok("--pcap", capture))
        self.assertTrue(all(r["asn_missing"] and r["n_asn"] is None for r in found.values() if r["kind"] == "ip"))
        self.assertEqual(found["ip", "flux.evil2.example.", "A"]["class"], "FLUX")
        # Each address has a network of 16 bits of its own here.
        self.assertAlmostEqual(found["ip", "flux.evil2.example.", "A"]["f_holz"], 24 * (1.32 + 18.54 * 0.7), 3)
        self.assertEqual(found["ip", "edge.cdn.listed.example.", "A"]["suppressed_by"], None)

    def test_refused_lists(self):
        capture, _ = lab.traffic("ip-flux")
        for option, text, says in (
                ("--asn", b"64.0.0.0/8 1\n65.0.0.1/8 2\n", "asn:2"), ("--asn", b"64.0.0.0/8\n", "asn:1"),
                ("--asn", b"\n\n2001:db8::/129 7", "asn:3"), ("--asn", b"10.0.0.0/8 4294967296\n", "asn:1"),
                ("--cdn", b"cdn.example\na..b\n", "asn:2"), ("--cdn", b"two words\n", "asn:1")):
            self.write("asn", text)
            r = fluxtap("run", "--pcap", capture, "--out", self.out, option, self.path("asn"))
            self.assertEqual(r.code, 2, str(r))
            self.assertIn(os.path.join(self.dir, says), r.err)
        r = fluxtap("run", "--pcap", capture, "--out", self.out, "--asn", self.path("none"))
        self.assertEqual(r.code, 2, str(r))
        self.assertIn("none", r.err)


if __name__ == "__main__":
    unittest.main()
