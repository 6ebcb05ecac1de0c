# SPDX-License-Identifier: BSD-3-Clause
"""CNAME flux from packets to records: the planted owners are found and nobody else, with
exactly the changes that the generator's truth has, whatever the split over workers."""

import ipaddress
import json
import os
import shutil
import struct
import unittest

import lab

DAY = ("cname-flux", "--seed", 1)
SMALL = ("cname-flux", "--seed", 5, "--names", 3000, "--pairs", 90000)
T0 = 1767225600
FIELDS = ("trans", "vtrans", "views", "targets")


def wanted(truth):
    """What the day's records have to say, by owner and day."""
    out = {}
    for x in truth["flux"]:
        if x["kind"] == "LONG" or max(x["trans"], x["vtrans"]) < 8:
            continue
        cls = "GEO" if x["vtrans"] < 8 else "LB" if x["kind"] == "LB" else "FLUX"
        out[x["owner"], x["start"]] = (cls,) + tuple(x[f] for f in FIELDS)
    return out


class Planted(lab.Case):
    def compare(self, options, *more):
        path, truth = lab.traffic(*options)
        records = lab.of_set(self.run_ok("--pcap", path, *more), "flux")
        want = wanted(truth)
        days = [r for r in records if "state" not in r]
        onsets = [r for r in records if r.get("state") == "onset"]
        got = {(r["owner"], r["start"]): (r["class"],) + tuple(r[f] for f in FIELDS) for r in days}
        self.assertEqual(len(got), len(days), "two records of one owner and day")
        self.assertEqual(got, want)
        # Recall and precision of the decision by one view's changes.
        self.assertEqual({k[0] for k, v in want.items() if v[2] >= 8}, {r["owner"] for r in onsets})
        self.assertGreaterEqual(len(onsets), 4)
        for r in days:
            self.assertEqual((r["end"] - r["start"], r["p"], r["vantage"], r["kind"]), (86400, 1, "S2R", "cname"))
            self.assertEqual(r["start"] % 86400, 0)
            self.assertGreaterEqual(r["first_us"], r["start"] * 1000000)
            self.assertLess(r["last_us"], r["end"] * 1000000)
            self.assertLessEqual(len(r["top_targets"]), 16)
            self.assertLessEqual(sum(t["name"] is None for t in r["top_targets"]), 1)
        for r in onsets:
            self.assertTrue(r["start"] * 1000000 <= r["at_us"] < r["end"] * 1000000)
            self.assertGreaterEqual(r["vtrans"], 8)
        return records

    def test_day_at_one_to_a_hundred(self):
        """160,000 owners: one in 80,000 changes, and two of each kind that shall not be taken for it."""
        self.compare(DAY, "--interval", 600)

    def test_intervals(self):
        for interval in (60, 3600, 86400):
            with self.subTest(interval=interval):
                path, truth = lab.traffic(*SMALL)
                records = lab.of_set(self.run_ok("--pcap", path, "--interval", interval), "flux")
                self.assertEqual({(r["owner"], r["start"]): (r["class"],) + tuple(r[f] for f in FIELDS)
                                  for r in records if "state" not in r}, wanted(truth))

    def test_workers(self):
        """The same records, byte for byte, with keys that differ in every run."""
        path, _ = lab.traffic(*SMALL)
        cpus = lab.cpus()
        cores = [["--cores", cpus[0]]] * 2 + [["--cores", ",".join(str(c) for c in cpus[:2])]]
        runs = [self.run_ok("--pcap", path, "--interval", 300, *c) for c in cores]
        flux = [lab.of_set(r, "flux") for r in runs]
        self.assertTrue(flux[0])
        for other in flux[1:]:
            self.assertEqual(sorted(map(str, flux[0])), sorted(map(str, other)))

    def test_small_tables(self):
        """Workers' tables that evict all the time change nothing."""
        path, truth = lab.traffic(*SMALL)
        records = lab.of_set(self.run_ok("--pcap", path, "--interval", 3600, "--rrset-entries", 64), "flux")
        self.assertEqual({(r["owner"], r["start"]): (r["class"],) + tuple(r[f] for f in FIELDS)
                          for r in records if "state" not in r}, wanted(truth))

    def test_budget(self):
        """Above the budget a share of the owners is followed, exactly, and that is said."""
        path, truth = lab.traffic(*DAY)
        records = lab.of_set(self.run_ok("--pcap", path, "--interval", 600, "--flux-mb", 4, out=self.out), "flux")
        all_ = [r for r in records if r["owner"] == "ALL"]
        self.assertEqual(len(all_), 1)
        self.assertIn(all_[0]["p"], (0.5, 0.25))
        self.assertGreater(all_[0]["dropped_owners"], 10000)
        self.assertGreater(all_[0]["left_out"], 10000)
        want = wanted(truth)
        for r in records:
            if "state" not in r and r["owner"] != "ALL":
                self.assertEqual((r["class"],) + tuple(r[f] for f in FIELDS), want[r["owner"], r["start"]])
        r = lab.fluxtap("report", "flux", self.out)
        self.assertEqual(r.code, 0, str(r))
        self.assertIn("not all owners could be followed", r.out)

    def test_report(self):
        path, truth = lab.traffic(*SMALL)
        self.run_ok("--pcap", path, "--interval", 3600, out=self.out)
        r = lab.fluxtap("report", "flux", self.out)
        self.assertEqual(r.code, 0, str(r))
        owners = [line.split()[-1] for line in r.out.splitlines() if line.split()[:1] and
                  line.split()[0] in ("FLUX", "LB", "GEO")]
        want = wanted(truth)
        self.assertEqual(sorted(owners), sorted(k[0] for k in want))
        classes = [want[o, T0][0] for o in owners]
        self.assertEqual(classes, sorted(classes, key=("FLUX", "LB", "GEO").index))


class Report(lab.Case):
    """Records by hand: a day that is not over, kinds that have no table of their own."""

    BASE = {"set": "flux", "v": 1, "probe": "tap1", "vantage": "R2A", "start": T0, "end": T0 + 86400, "p": 1, "loss_ppm": 0}

    def put(self, *records):
        os.makedirs(self.path("out", "flux"))
        text = "".join(json.dumps(dict(self.BASE, **r)) + "\n" for r in records)
        path = self.write("lines", text.encode())
        r = lab.call(["zstd", "-q", path, "-o", self.path("out", "flux", "flux-20260101T000000Z-tap1-000001.jsonl.zst")])
        self.assertEqual(r.code, 0, str(r))
        r = lab.fluxtap("report", "flux", self.path("out"))
        self.assertEqual(r.code, 0, str(r))
        return r.out

    def cname(self, owner, **more):
        return dict({"kind": "cname", "owner": owner, "class": "FLUX", "trans": 9, "vtrans": 9, "views": 1, "targets": 2,
                     "multi_cname": 0, "ttl_min": 1, "ttl_max": 2, "first_us": T0 * 1000000, "last_us": T0 * 1000000,
                     "top_targets": [{"name": None, "count": 1, "first": T0, "last": T0}]}, **more)

    def test_onsets(self):
        begun = {"state": "onset", "at_us": (T0 + 3723) * 1000000, "start": T0 + 3720, "end": T0 + 3780}
        out = self.put(self.cname("a.example.", **begun), self.cname("a.example."), self.cname("b.example.", **begun))
        self.assertEqual((out.count("a.example."), out.count("b.example.")), (1, 1))
        self.assertEqual(out.count("when it began, at 01:02:03"), 1)

    def test_other_kinds(self):
        out = self.put({"kind": "ip", "owner": "x.example.", "class": "FLUX", "n_a": 40, "f_holz": 150.5},
                       {"kind": "ns", "owner": "y.example.", "class": None, "n_changes": 3, "suppressed_by": "cdn"},
                       self.cname("z.example."))
        for text in ("kind ip", "kind ns", "kind cname", "x.example.", "n_a 40", "f_holz 150.50", "y.example.",
                     "n_changes 3", "suppressed_by cdn", "z.example."):
            self.assertIn(text, out)

    def test_nothing(self):
        self.assertIn("No owner", self.put())


class Chains(lab.Case):
    """Each hop of a chain is its own owner; answers by hand."""

    @staticmethod
    def wire(name):
        return lab.qname(name)

    def answer(self, at_us, client, server, qid, chain, ttl=60, aa=True, flags=0, sport=40000, subnet=None):
        q = struct.pack("!6H", qid, 0, 1, 0, 0, 0) + self.wire(chain[0]) + struct.pack("!2H", 1, 1)
        a = struct.pack("!6H", qid, 0x8000 | (0x0400 if aa else 0) | flags, 1, len(chain) - 1, 0, 0)
        a += self.wire(chain[0]) + struct.pack("!2H", 1, 1)
        for owner, target in zip(chain, chain[1:]):
            rdata = self.wire(target)
            a += self.wire(owner) + struct.pack("!2HIH", 5, 1, ttl, len(rdata)) + rdata
        if subnet is not None:  # RFC 7871: a net of 24 bits, and for whom of it the answer is
            net, scope = subnet
            rdata = struct.pack("!3H2B", 8, 7, 1, 24, scope) + bytes(net)
            a = a[:10] + struct.pack("!H", 1) + a[12:] + struct.pack("!B2HIH", 0, 41, 1232, 0, len(rdata)) + rdata
        self.scene.put(at_us, lab.udp_frame(client, server, sport, 53, q))
        self.scene.put(at_us + 1000, lab.udp_frame(server, client, 53, sport, a))

    def play(self):
        path = self.scene.capture().save(self.path("chain.pcap"))
        return [r for r in lab.of_set(self.run_ok("--pcap", path), "flux") if "state" not in r]

    def setUp(self):
        super().setUp()
        self.scene = lab.Scene()

    def test_hops(self):
        for i in range(10):
            chain = ["www.a.example", "edge.b.example", "host%d.c%d.example" % (i % 2, i % 2)]
            self.answer(i * 10000000, "10.0.0.1", "192.0.2.1", i, chain, sport=40000 + i)
        records = self.play()
        self.assertEqual([r["owner"] for r in records], ["edge.b.example."])
        self.assertEqual((records[0]["class"], records[0]["trans"], records[0]["vtrans"]), ("FLUX", 9, 9))

    def test_seven_and_eight(self):
        for changes, found in ((7, 0), (8, 1)):
            self.scene = lab.Scene()
            for i in range(changes + 1):
                self.answer(i * 1000000, "10.0.0.1", "192.0.2.1", i, ["w.a.example", "t%d.example" % i], sport=40000 + i)
            self.assertEqual(len(self.play()), found)

    def test_case_does_not_matter(self):
        for i in range(12):
            name = "t.example" if i % 2 else "T.eXample"
            self.answer(i * 1000000, "10.0.0.1", "192.0.2.1", i, ["w.a.example", name], sport=40000 + i)
        self.assertEqual(self.play(), [])

    def test_truncated_answers(self):
        for i in range(12):
            self.answer(i * 1000000, "10.0.0.1", "192.0.2.1", i, ["w.a.example", "t%d.example" % i], flags=0x0200,
                        sport=40000 + i)
        self.assertEqual(self.play(), [])

    def test_long_ttl(self):
        for aa in (True, False):
            self.scene = lab.Scene()
            for i in range(12):
                self.answer(i * 1000000, "10.0.0.1", "192.0.2.1", i, ["w.a.example", "t%d.example" % i], ttl=10801, aa=aa,
                            sport=40000 + i)
            self.assertEqual(self.play(), [])

    def test_subnets(self):
        """One resolver that asks for its clients' nets: what each is told differs, or does change."""
        for scope, rotates, expected in ((24, False, ("GEO", 59, 0, 6)), (20, False, ("GEO", 59, 0, 3)),
                                         (0, False, ("FLUX", 59, 59, 1)), (24, True, ("FLUX", 59, 9, 6))):
            with self.subTest(scope=scope, rotates=rotates):
                self.scene = lab.Scene()
                for i in range(60):
                    net = (10, i % 3, i // 3 % 2)  # six of 24 bits in three of 20
                    target = i % 3 if not rotates else i // 6 * 3 + i % 3
                    self.answer(i * 1000000, "10.0.0.1", "192.0.2.1", i, ["w.a.example", "t%d.example" % target],
                                sport=40000 + i, subnet=(net, scope))
                (r,) = self.play()
                self.assertEqual((r["class"], r["trans"], r["vtrans"], r["views"]), expected)

    def slide(self, times):
        """A change at each of these seconds, and the first answer before; onsets of any 24 h, other records."""
        self.scene = lab.Scene()
        for i, s in enumerate([times[0] - 60] + times):
            self.answer(s * 1000000, "10.0.0.1", "192.0.2.1", i, ["w.a.example", "t%d.example" % (i % 2)], sport=40000 + i)
        path = self.scene.capture().save(self.path("slide.pcap"))
        shutil.rmtree(self.out, True)
        records = lab.of_set(self.run_ok("--pcap", path, "--interval", 3600, "--flux-sliding", out=self.out), "flux")
        sliding = [r for r in records if r.get("window") == "sliding"]
        self.assertEqual([r for r in lab.of_set(self.run_ok("--pcap", path, "--interval", 3600), "flux")],
                         [r for r in records if r not in sliding])
        return sliding, len(records) - len(sliding)

    def test_sliding(self):
        """Changes on both sides of midnight."""
        night = [86400 - 1800, 86400 - 1200, 86400 - 600, 86400 - 300]
        for morning, found in (([300, 600, 900], 0), ([300, 600, 900, 1200], 1)):
            sliding, others = self.slide(night + [86400 + s for s in morning])
            self.assertEqual((len(sliding), others), (found, 0))
        (r,) = sliding
        self.assertEqual((r["owner"], r["class"], r["state"], r["views"]), ("w.a.example.", "FLUX", "onset", 1))
        self.assertEqual((r["at_us"], r["since_us"]), ((T0 + 87600) * 1000000, (T0 + 84600) * 1000000))
        r = lab.fluxtap("report", "flux", self.out)
        self.assertEqual(r.code, 0, str(r))
        self.assertIn("within 24 h, though not within a day", r.out)
        for span, found in ((86399, 1), (86400, 0), (86401, 0)):
            times = [43200 + i * 7200 for i in range(7)] + [43200 + span]
            self.assertEqual([len(self.slide(times)[0]), self.slide(times)[1]], [found, 0])

    def test_views(self):
        """One answer for each of twelve resolvers: many changes, none in any view."""
        for i in range(60):
            client = str(ipaddress.IPv4Address("10.0.0.1") + i % 12)
            self.answer(i * 1000000, client, "192.0.2.1", i, ["w.a.example", "t%d.example" % (i % 12)], sport=40000 + i)
        (r,) = self.play()
        self.assertEqual((r["class"], r["trans"], r["vtrans"], r["views"], r["targets"], r["vantage"]),
                         ("GEO", 59, 0, 12, 12, "R2A"))


if __name__ == "__main__":
    unittest.main()
