# SPDX-License-Identifier: BSD-3-Clause
"""What the generator says it made against what the probe says it saw."""

import gzip
import random
import unittest

import lab

EXACT = "queries responses pairs unanswered unsolicited query_bytes response_bytes".split()
MAPS = "by_qtype by_rcode by_class by_opcode by_transport".split()
EDNS = "queries do ecs cookie nsid padding badversion".split()
QUANTILES = ("p50", "p90", "p99", "p999")
EXACT_UP_TO = 1024  # distinct counts

MIX = ("mix", "--pairs", 60000, "--duration", 200)
FLOOD = ("flood", "--pairs", 20000)


def zoo(seed, interval=60):
    return ("zoo", "--seed", seed, "--interval", interval)


class TruthCase(lab.Case):
    def compare_row(self, want, got):
        where = "%s %d: " % (want["vantage"], want["start"])
        faults = []

        def equal(name, a, b):
            if a != b:
                faults.append("%s%s: truth %s, record %s" % (where, name, a, b))

        equal("end", want["end"], got["end"])
        for f in EXACT:
            equal(f, want[f], got[f])
        for f in MAPS:
            a = {k: n for k, n in want[f].items() if n}
            for k in sorted(set(a) | set(got[f])):
                equal("%s.%s" % (f, k), a.get(k), got[f].get(k))
        for k in EDNS:
            equal("edns." + k, want["edns"].get(k) or None, got["edns"].get(k))
        bands = sum(n for k, n in got["edns"].items() if k.startswith("bufsize_"))
        equal("edns.bufsize_* together", want["edns"]["queries"], bands)
        for f in ("clients", "names"):
            if want[f] <= EXACT_UP_TO:
                equal(f, want[f], got[f])
            elif abs(got[f] - want[f]) > 0.03 * want[f]:
                equal(f + " (within 3 %)", want[f], got[f])
        equal("rtt_us.count", want["rtt_us"]["count"], got["rtt_us"]["count"])
        equal("sum of rtt_us.bins", want["rtt_us"]["count"], sum(n for _, n in got["rtt_us"]["bins"]))
        if want["rtt_us"]["count"]:
            equal("rtt_us.max", want["rtt_us"]["max"], got["rtt_us"]["max"])
            for q in QUANTILES:
                a, b = want["rtt_us"][q], got["rtt_us"][q]
                if abs(a - b) > 0.01 * a + 1:
                    equal("rtt_us.%s (within 1 %%)" % q, a, b)
        else:
            for q in QUANTILES + ("max",):
                equal("rtt_us." + q, None, got["rtt_us"][q])
        a = {k: v for k, v in want["series"].items() if any(v)}
        for k in sorted(set(a) | set(got["series"])):
            equal("series.%s" % k, a.get(k), got["series"].get(k))
        return faults

    def compare(self, truth, records):
        got = {}
        for r in lab.of_set(records, "traffic"):
            key = (r["start"], r["vantage"])
            self.assertNotIn(key, got, "two records for one interval and vantage")
            got[key] = r
        want = {(r["start"], r["vantage"]): r for r in truth["traffic"]}
        faults = ["in the truth alone: %s" % (k,) for k in sorted(set(want) - set(got))]
        faults += ["in the records alone: %s" % (k,) for k in sorted(set(got) - set(want))]
        for key in sorted(set(want) & set(got)):
            faults += self.compare_row(want[key], got[key])
        sums = truth["totals"]
        malformed = {k: n for k, n in sums["malformed"].items() if n}
        dropped = lab.totals(records, "dropped")
        for name, a, b in (
                ("rx_packets", sums["packets"], lab.total(records, "rx_packets")),
                ("rx_bytes", sums["bytes"], lab.total(records, "rx_bytes")),
                ("messages", sums["dns_messages"], lab.total(records, "messages")),
                ("counted", sums["dns_messages"] - sum(malformed.values()), lab.total(records, "counted")),
                ("msg_dropped", malformed, lab.totals(records, "msg_dropped")),
                ("not_ip", sums["non_ip"], dropped.get("not_ip", 0)),
                ("not_dns", sums["non_dns"] - sums["non_ip"], dropped.get("not_dns", 0)),
                ("source_dropped", 0, lab.total(records, "source_dropped")),
                ("ring_full_records", 0, lab.total(records, "ring_full_records")),
                ("late", 0, lab.total(records, "late"))):
            if a != b:
                faults.append("ledger's %s: truth %s, records %s" % (name, a, b))
        if faults:
            self.fail("%d differences:\n%s" % (len(faults), "\n".join(faults[:25])))

    def compare_run(self, options, *more, **kw):
        path, truth = lab.traffic(*options)
        records = self.run_ok("--pcap", path, "--interval", truth["interval"], *more, **kw)
        self.compare(truth, records)
        return records


class Scenarios(TruthCase):
    def test_mix(self):
        self.compare_run(MIX)

    def test_flood(self):
        self.compare_run(FLOOD)

    def test_zoo(self):
        for seed in (1, 2, 77):
            with self.subTest(seed=seed):
                self.compare_run(zoo(seed))

    def test_one_pair(self):
        self.compare_run(("mix", "--pairs", 1))


class Intervals(TruthCase):
    def lengths(self, *options):
        for interval in (1, 10, 3600):
            with self.subTest(interval=interval):
                self.compare_run(options + ("--interval", interval))

    def test_mix(self):
        self.lengths(*MIX)

    def test_zoo(self):
        self.lengths("zoo", "--seed", 3, "--pairs", 6000)

    def test_day(self):
        """The longest one there is; the traffic begins in the middle of it."""
        self.compare_run(("zoo", "--seed", 4, "--pairs", 300, "--interval", 86400, "--start", 1767225600 + 43210))

    def test_begin_inside(self):
        """The first interval is aligned to UTC, not to the first packet."""
        records = self.compare_run(("zoo", "--seed", 5, "--pairs", 2000, "--start", 1767225600 + 3599,
                                    "--duration", 70))
        for r in records:
            if (r["set"] == "resolver" or (r["set"] == "flux" and r["state"] == "day") or
                    r.get("span") == "day" or r.get("kind") in ("coupling", "cluster", "snooper") or
                    (r["set"] == "ttl" and "fills" in r)):
                continue
            self.assertEqual(r["start"] % 60, 0)
            self.assertEqual(r["end"], r["start"] + 60)


class Inputs(TruthCase):
    """The same packets in other wrappings give the same records, which are the truth."""

    @classmethod
    def setUpClass(cls):
        cls.options = ("zoo", "--seed", 6, "--pairs", 8000, "--duration", 120)
        cls.file, cls.truth = lab.traffic(*cls.options)
        cls.capture = lab.capture(*cls.options)
        with open(cls.file, "rb") as f:
            cls.raw = f.read()

    def run_files(self, *paths, **kw):
        args = []
        for p in paths:
            args += ["--pcap", p]
        records = self.run_ok(*args, **kw)
        self.compare(self.truth, records)
        return records

    def zstd(self, data):
        path = self.write("to-compress", data)
        r = lab.call(["zstd", "-q", "-f", path, "-o", path + ".out"])
        self.assertEqual(r.code, 0, str(r))
        with open(path + ".out", "rb") as f:
            return f.read()

    def test_gzip(self):
        # The name says nothing: the magic does.
        self.run_files(self.write("packed.bin", gzip.compress(self.raw, 1)))

    def test_gzip_members(self):
        """Two gzip members one after the other are one file (as `cat a.gz b.gz` makes it)."""
        half = len(self.raw) // 2
        self.run_files(self.write("two.gz", gzip.compress(self.raw[:half], 1) + gzip.compress(self.raw[half:], 1)))

    def test_zstd(self):
        self.run_files(self.write("packed.pcap", self.zstd(self.raw)))

    def test_zstd_frames(self):
        half = len(self.raw) // 3
        self.run_files(self.write("two.zst", self.zstd(self.raw[:half]) + self.zstd(self.raw[half:])))

    def test_stdin(self):
        self.run_files("-", feed=self.raw)

    def test_stdin_compressed(self):
        self.run_files("-", feed=gzip.compress(self.raw, 1))
        self.run_files("-", feed=self.zstd(self.raw))

    def test_stdin_is_a_file(self):
        with open(self.file, "rb") as f:
            self.run_files("-", stdin=f)

    def test_pcapng(self):
        self.run_files(self.write("a.pcapng", self.capture.pcapng_bytes()))

    def test_nanoseconds_big_endian(self):
        self.run_files(self.write("a.pcap", self.capture.nanosecond_bytes()))

    def test_parts_by_time(self):
        packets = self.capture.packets
        cuts = [0, len(packets) // 7, len(packets) // 2, len(packets) - 3, len(packets)]
        names = []
        for k in range(4):
            names.append(self.capture.sub(packets[cuts[k]:cuts[k + 1]]).save(self.path("part%d" % k)))
        self.run_files(*names)
        self.run_files(*reversed(names))
        random.Random(1).shuffle(names)
        self.run_files(*names)

    def test_parts_by_turns(self):
        """Every other packet in another file: the merge has to bring them together again."""
        packets = self.capture.packets
        # Packets of one time belong into one file: no merge could know their order.
        parts, turn, last = ([], []), 0, None
        for p in packets:
            if p[0] != last:
                turn, last = 1 - turn, p[0]
            parts[turn].append(p)
        odd = self.capture.sub(parts[0]).save(self.path("odd"))
        even = self.capture.sub(parts[1]).save(self.path("even"))
        self.run_files(odd, even)
        self.run_files(even, odd)

    def test_parts_of_many_kinds(self):
        packets = self.capture.packets
        third = len(packets) // 3
        parts = [self.capture.sub(packets[k * third:(k + 1) * third if k < 2 else None]) for k in range(3)]
        self.run_files(self.write("c.gz", gzip.compress(parts[2].nanosecond_bytes(), 1)),
                       self.write("b.zst", self.zstd(parts[1].bytes())),
                       self.write("a.pcapng", parts[0].pcapng_bytes()))

    def test_twice_the_same_file(self):
        """Nothing is merged away: every packet of both counts."""
        records = self.run_ok("--pcap", self.file, "--pcap", self.file)
        self.assertEqual(lab.total(records, "rx_packets"), 2 * self.truth["totals"]["packets"])
        self.assertEqual(lab.total(records, "rx_bytes"), 2 * self.truth["totals"]["bytes"])

    def test_cooked_v1(self):
        """Linux cooked capture: another link layer, the same traffic."""
        options = ("mix", "--pairs", 3000, "--duration", 100)
        cap, (_, truth) = lab.capture(*options), lab.traffic(*options)
        packets = []
        for us, _, d in cap.packets:
            d = bytes.fromhex("00000001000602000000000000 00".replace(" ", "")) + b"\0\0" + d[12:14] + d[14:]
            packets.append((us, len(d), d[:14] + d[16:]))
        packets = [(us, len(d), d) for us, _, d in packets]
        path = lab.Capture(packets, 113).save(self.path("cooked"))
        records = self.run_ok("--pcap", path)
        truth = dict(truth, totals=dict(truth["totals"], bytes=sum(len(p[2]) for p in packets)))
        self.compare(truth, records)

    def test_raw_ip(self):
        options = ("mix", "--pairs", 3000, "--duration", 100)
        cap, (_, truth) = lab.capture(*options), lab.traffic(*options)
        packets = [(us, n - 14, d[14:]) for us, n, d in cap.packets]
        path = lab.Capture(packets, 101).save(self.path("raw"))
        records = self.run_ok("--pcap", path)
        truth = dict(truth, totals=dict(truth["totals"], bytes=sum(p[1] for p in packets)))
        self.compare(truth, records)


if __name__ == "__main__":
    unittest.main()
