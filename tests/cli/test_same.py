# SPDX-License-Identifier: BSD-3-Clause
"""One input, one result: over workers, sources, orders and settings; and the settings that change it on purpose."""

import hashlib
import itertools
import os
import random
import shutil
import subprocess
import unittest

import lab
from lab import Scene

ZOO = ("zoo", "--seed", 11, "--pairs", 10000)
MIX = ("mix", "--seed", 12, "--pairs", 20000, "--duration", 200)
FLOOD = ("flood", "--seed", 13, "--pairs", 10000)


def traffic_of(records, vantage=None):
    """Sums of the traffic records over time."""
    out = {}
    for r in lab.of_set(records, "traffic"):
        if vantage in (None, r["vantage"]):
            for f in ("queries", "responses", "pairs", "unanswered", "unsolicited"):
                out[f] = out.get(f, 0) + r[f]
    return out


class Workers(lab.Case):
    """One worker or two, from file or DPDK."""

    @unittest.skipIf(len(lab.cpus()) < 2, "needs two CPUs")
    def test_two_workers(self):
        both = ",".join(map(str, lab.cpus()[:2]))
        for options in (ZOO, MIX, FLOOD):
            with self.subTest(scenario=options[0]):
                path, _ = lab.traffic(*options)
                one = self.run_ok("--pcap", path)
                two = self.run_ok("--pcap", path, "--cores", both)
                self.assertEqual({r["worker"] for r in lab.of_set(one, "ledger")}, {"all", 0})
                self.assertEqual({r["worker"] for r in lab.of_set(two, "ledger")}, {"all", 0, 1})
                for worker in (0, 1):
                    self.assertTrue(sum(r["rx_packets"] for r in lab.of_set(two, "ledger") if r["worker"] == worker))
                self.same(one, two)

    @unittest.skipIf(len(lab.cpus()) < 2, "needs two CPUs")
    def test_two_workers_with_short_intervals_and_small_rings(self):
        both = ",".join(map(str, lab.cpus()[:2]))
        path, _ = lab.traffic(*ZOO)
        one = self.run_ok("--pcap", path, "--interval", 1)
        two = self.run_ok("--pcap", path, "--interval", 1, "--cores", both, "--ring-mb", 1, "--control-core",
                          lab.cpus()[0])
        self.same(one, two)
        # A file run waits for a full ring and loses nothing.
        self.assertEqual(lab.total(two, "ring_full_records"), 0)

    @unittest.skipIf(len(lab.cpus()) < 2, "needs two CPUs")
    def test_control_threads(self):
        """What is merged, read and written by two threads of control is what one would have."""
        both = ",".join(map(str, lab.cpus()[:2]))
        day = ("cname-flux", "--seed", 14, "--pairs", 12000, "--names", 4000)
        move = ("ip-flux", "--seed", 15, "--pairs", 1170)
        wrong = ("errors", "--seed", 16, "--pairs", 10000)
        for options in (ZOO, MIX, day, move, wrong):
            with self.subTest(scenario=options[0]):
                path, _ = lab.traffic(*options)
                one = self.run_ok("--pcap", path, "--channels", "all", "--control-core", lab.cpus()[0])
                two = self.run_ok("--pcap", path, "--channels", "all", "--control-core", both, "--cores", both)
                self.assertGreater(len(one), 50)
                self.same(one, two)

    def test_sets(self):
        """As many workers as there are CPUs, up to four, whose tables are too small: what clients, bots,
        servers and resolvers do is the same, and cookies are."""
        many = ",".join(map(str, lab.cpus()[:4]))
        small = ("--client-entries", 64, "--server-entries", 64, "--domain-entries", 64)
        for scenario, options, sets in (
                ("servers", ("--seed", 15, "--pairs", 10000), {"server", "resolver"}),
                ("cookies", ("--seed", 16, "--pairs", 10000), {"cookie", "server"}),
                ("dga", ("--seed", 17, "--pairs", 20000), {"dga", "client"}),
                ("mix", ("--seed", 18, "--pairs", 10000, "--clients", 500), {"client", "server"})):
            with self.subTest(scenario=scenario):
                path, _ = lab.traffic(scenario, *options)
                one = self.run_ok("--pcap", path, "--cores", lab.cpus()[0])
                self.assertLessEqual(sets, {r["set"] for r in one})
                self.same(one, self.run_ok("--pcap", path, "--cores", many, *small))

    def test_again(self):
        """Hash keys differ at each start; the records do not."""
        path, _ = lab.traffic(*ZOO)
        self.same(self.run_ok("--pcap", path), self.run_ok("--pcap", path))

    def test_dpdk(self):
        """Both captures at a time, for net_pcap has no end and each takes its 6 s."""
        running = []
        for options in (ZOO, MIX):
            path, _ = lab.traffic(*options)
            out = self.path("dpdk-" + options[0])
            p = self.start("run", "--quiet", "--dpdk", "net_pcap0,rx_pcap=" + path, "--no-huge", "--duration", 6,
                           "--out", out)
            running.append((options, path, out, p))
        for options, path, out, p in running:
            with self.subTest(scenario=options[0]):
                code, err = lab.ended(p)
                self.assertEqual(code, 0, err)
                self.same(self.run_ok("--pcap", path), self.records(out))


class Generator(lab.Case):
    def make(self, *options):
        path = self.path("x.pcap")
        truth = self.path("x.json")
        r = lab.call([lab.GEN, "--pcap", path, "--truth", truth] + [str(o) for o in options])
        self.assertEqual(r.code, 0, str(r))
        digest = hashlib.sha256()
        for name in (path, truth):
            with open(name, "rb") as f:
                digest.update(f.read())
        return digest.hexdigest()

    def test_same_seed_same_bytes(self):
        for scenario, pairs in (("mix", 5000), ("flood", 5000), ("zoo", 3000)):
            with self.subTest(scenario=scenario):
                options = ("--scenario", scenario, "--pairs", pairs)
                first = self.make("--seed", 5, *options)
                self.assertEqual(first, self.make("--seed", 5, *options))
                self.assertNotEqual(first, self.make("--seed", 6, *options))

    def test_standard_output(self):
        options = ["--scenario", "zoo", "--seed", "7", "--pairs", "300"]
        p = subprocess.run([lab.GEN] + options + ["--pcap", "-"], stdout=subprocess.PIPE, timeout=60)
        self.assertEqual(p.returncode, 0)
        r = lab.call([lab.GEN] + options + ["--pcap", self.path("y.pcap")])
        self.assertEqual(r.code, 0, str(r))
        with open(self.path("y.pcap"), "rb") as f:
            self.assertEqual(p.stdout, f.read())

    def test_wrong_use(self):
        for bad in (["--scenario", "circus"], ["--frob"], [], ["--interval", "7", "--pcap", "/dev/null"]):
            with self.subTest(args=bad):
                r = lab.call([lab.GEN] + bad)
                self.assertEqual(r.code, 2, str(r))
                self.assertTrue(r.err.strip())


class Backwards(lab.Case):
    """Time that runs backwards within one file."""

    def swapped(self, options, block_us):
        """Blocks of so many microseconds, every two of them exchanged; time falls back by two blocks at most."""
        cap = lab.capture(*options)
        begin = cap.packets[0][0]
        blocks = [list(g) for _, g in itertools.groupby(cap.packets, lambda p: (p[0] - begin) // block_us)]
        for k in range(0, len(blocks) - 1, 2):
            blocks[k], blocks[k + 1] = blocks[k + 1], blocks[k]
        path = cap.sub([p for b in blocks for p in b]).save(self.path("swapped"))
        return path, len(cap.packets)

    def whole(self, options, records, packets):
        """Nothing is lost: all packets, bytes and messages of the truth are in the books."""
        truth = lab.traffic(*options)[1]
        self.assertEqual(lab.total(records, "rx_packets"), packets)
        self.assertEqual(lab.total(records, "rx_bytes"), truth["totals"]["bytes"])
        self.assertEqual(lab.total(records, "ring_full_records"), 0)
        self.assertEqual(lab.total(records, "source_dropped"), 0)

    def test_three_seconds(self):
        for options in (MIX, ZOO):
            with self.subTest(scenario=options[0]):
                path, packets = self.swapped(options, 1500000)
                records = self.run_ok("--pcap", path)
                self.whole(options, records, packets)
                self.assertEqual(lab.total(records, "late"), 0)

    def test_three_seconds_of_whole_pairs(self):
        """Queries and responses that move together: not one figure changes."""
        scene, order = Scene(), []
        rng = random.Random(3)
        for second in range(0, 130):
            at = len(scene.packets)
            for k in range(20):
                # All of a second's transactions end within it.
                scene.pair(second * 1000000 + k * 30000, "10.0.%d.%d" % (k, 1 + rng.randrange(200)), "192.0.2.53",
                           delay_us=rng.randrange(100, 300000), name="h%d.example.org" % rng.randrange(500))
            order.append(sorted(scene.packets[at:]))
        straight = scene.capture()
        for k in range(0, len(order) - 2, 3):  # 0 1 2 -> 2 1 0: by up to 3 s
            order[k], order[k + 2] = order[k + 2], order[k]
        mixed = straight.sub([p for b in order for p in b])
        a = self.run_ok("--pcap", straight.save(self.path("straight")))
        b = self.run_ok("--pcap", mixed.save(self.path("mixed")))
        self.assertEqual(traffic_of(a)["pairs"], 2600)
        self.assertEqual(lab.total(b, "late"), 0)
        self.same(a, b)

    def test_far_behind_in_an_open_interval(self):
        """The clock is far ahead of a query and its response, and they are a pair all the same; late ones that are
        too far apart are none."""
        scene = Scene()
        for second in 30, 31, 3, 4, 5:
            scene.pair(second * 1000000, "10.0.0.1", "192.0.2.53", delay_us=50000, sport=20000 + second)
        behind = self.run_ok("--pcap", lab.Capture(scene.packets).save(self.path("behind")))
        self.assertEqual(lab.total(behind, "late"), 0)
        sums = traffic_of(behind)
        self.assertEqual([sums[k] for k in ("pairs", "unanswered", "unsolicited")], [5, 0, 0])
        scene = Scene()
        scene.pair(300 * 1000000, "10.0.0.1", "192.0.2.53")
        for second, delay_us in (10, 5000000), (20, 5000001), (9, 50000):
            scene.pair(second * 1000000, "10.0.0.1", "192.0.2.53", delay_us=delay_us, sport=20000 + second)
        late = self.run_ok("--pcap", lab.Capture(scene.packets).save(self.path("late")))
        self.assertEqual(lab.total(late, "late"), 6)
        sums = traffic_of(late)
        self.assertEqual([sums[k] for k in ("pairs", "unanswered", "unsolicited")], [3, 1, 1])

    def test_hundred_seconds(self):
        for options in (MIX, ZOO):
            with self.subTest(scenario=options[0]):
                path, packets = self.swapped(options, 100000000)
                records = self.run_ok("--pcap", path)
                self.whole(options, records, packets)
                self.assertGreater(lab.total(records, "late"), 0)
                if options is MIX:  # no TCP in it, so the messages stay whole whatever the order
                    truth = lab.traffic(*options)[1]
                    self.assertEqual(lab.total(records, "messages"), truth["totals"]["dns_messages"])
                    self.assertEqual(lab.total(records, "counted"), truth["totals"]["dns_messages"])
                    sums = traffic_of(records)
                    self.assertEqual(sums["queries"], sum(r["queries"] for r in truth["traffic"]))
                    self.assertEqual(sums["responses"], sum(r["responses"] for r in truth["traffic"]))
                    self.assertEqual(sums["pairs"] + sums["unanswered"], sums["queries"])
                    self.assertEqual(sums["pairs"] + sums["unsolicited"], sums["responses"])

    @unittest.skipIf(len(lab.cpus()) < 2, "needs two CPUs")
    def test_hundred_seconds_two_workers(self):
        """Order of arrival must not depend on the number of workers either."""
        path, _ = self.swapped(MIX, 100000000)
        one = self.run_ok("--pcap", path)
        two = self.run_ok("--pcap", path, "--cores", ",".join(map(str, lab.cpus()[:2])))
        self.same(one, two)

    def test_years(self):
        """One packet with a wild time in the middle: the run ends, the books close."""
        cap = lab.capture("mix", "--pairs", 2000, "--duration", 60)
        for wild in (1, (2 ** 32 - 1) * 1000000):
            with self.subTest(at=wild):
                packets = list(cap.packets)
                packets[2000] = (wild,) + packets[2000][1:]
                records = self.run_ok("--pcap", cap.sub(packets).save(self.path("wild")))
                self.assertEqual(lab.total(records, "rx_packets"), len(packets))
                self.assertEqual(lab.total(records, "counted"), 4000)


class Vantage(lab.Case):
    """Where --auth or --resolvers is given, addresses alone decide."""

    AUTH, AUTH6 = "192.0.2.53", "2001:db8:a::53"
    RESOLVER, RESOLVER6 = "198.51.100.8", "2001:db8:b::8"
    STUB, STUB6 = "10.1.2.3", "2001:db8:c::3"
    OTHER, OTHER6 = "203.0.113.9", "2001:db8:d::9"

    def scene(self):
        """Each pair of roles so often that a sum tells which of them went where; flags say the contrary."""
        s, at, expect = Scene(), 0, {}
        roles = (
            ("STUB", "AUTH", 1, "AUTH"), ("OTHER", "AUTH", 2, "AUTH"), ("RESOLVER", "OTHER", 4, "R2A"),
            ("STUB", "RESOLVER", 8, "S2R"), ("OTHER", "RESOLVER", 16, "S2R"), ("STUB", "OTHER", 32, "X"),
            ("AUTH", "OTHER", 64, "X"))
        for six in ("", "6"):
            for client, server, times, _ in roles:
                for k in range(times):
                    flags = dict(rd=True, ra=True) if k % 2 else dict(aa=True)
                    s.pair(at, getattr(self, client + six), getattr(self, server + six), sport=20000 + k, **flags)
                    at += 10000
        for _, _, times, vantage in roles:
            expect[vantage] = expect.get(vantage, 0) + 2 * times
        return s.capture(), expect

    def split(self, records, field="queries"):
        out = {}
        for r in lab.of_set(records, "traffic"):
            out[r["vantage"]] = out.get(r["vantage"], 0) + r[field]
        return {k: n for k, n in out.items() if n}

    def test_both_lists(self):
        cap, expect = self.scene()
        path = cap.save(self.path("a"))
        for auth, resolvers in (
                ("192.0.2.53/32,2001:db8:a::53/128", "198.51.100.8/32,2001:db8:b::8/128"),
                ("192.0.2.53,2001:db8:a::53", "198.51.100.8,2001:db8:b::8"),
                ("192.0.2.0/24,2001:db8:a::/48", "198.51.100.0/29,2001:db8:b::/64,198.51.100.8/31")):
            with self.subTest(auth=auth):
                records = self.run_ok("--pcap", path, "--auth", auth, "--resolvers", resolvers)
                self.assertEqual(self.split(records), expect)
                self.assertEqual(self.split(records, "pairs"), expect)

    def test_one_list(self):
        cap, _ = self.scene()
        path = cap.save(self.path("a"))
        records = self.run_ok("--pcap", path, "--auth", "192.0.2.53,2001:db8:a::53")
        self.assertEqual(self.split(records), {"AUTH": 6, "X": 248})
        records = self.run_ok("--pcap", path, "--resolvers", "198.51.100.8")
        self.assertEqual(self.split(records), {"R2A": 4, "S2R": 24, "X": 226})

    def test_edge_of_a_prefix(self):
        s = Scene()
        for k, server in enumerate(("192.0.2.127", "192.0.2.128", "192.0.2.191", "192.0.2.192",
                                    "2001:db8::7fff", "2001:db8::8000", "2001:db8::bfff", "2001:db8::c000")):
            for n in range(2 ** k):
                s.pair(1000000 * k + n * 100, "10.0.0.1" if "." in server else "2001:db8:ffff::1", server,
                       sport=10000 + n)
        records = self.run_ok("--pcap", s.capture().save(self.path("a")), "--auth", "192.0.2.128/26,2001:db8::8000/114")
        self.assertEqual(self.split(records), {"AUTH": 2 + 4 + 32 + 64, "X": 1 + 8 + 16 + 128})

    def test_all_addresses(self):
        cap, expect = self.scene()
        records = self.run_ok("--pcap", cap.save(self.path("a")), "--auth", "0.0.0.0/0")
        half = sum(expect.values()) // 2
        self.assertEqual(self.split(records), {"AUTH": half, "X": half})

    def test_auth_wins(self):
        """An address in both lists is an authoritative server's."""
        s = Scene()
        s.pair(0, "10.0.0.1", self.AUTH)
        records = self.run_ok("--pcap", s.capture().save(self.path("a")), "--auth", self.AUTH, "--resolvers", self.AUTH)
        self.assertEqual(self.split(records), {"AUTH": 1})

    def test_unpaired(self):
        """Queries without a response and responses without a query have their vantage too."""
        s = Scene()
        s.query(0, self.STUB, self.AUTH, rd=True)
        s.answer(1000, self.STUB, self.RESOLVER, 77, aa=True)
        s.query(2000, self.RESOLVER, self.OTHER, rd=True)
        records = self.run_ok("--pcap", s.capture().save(self.path("a")), "--auth", self.AUTH, "--resolvers",
                              self.RESOLVER)
        self.assertEqual(self.split(records, "unanswered"), {"AUTH": 1, "R2A": 1})
        self.assertEqual(self.split(records, "unsolicited"), {"S2R": 1})

    def test_flags_decide_where_nothing_is_configured(self):
        s = Scene()
        for k in range(1):
            s.pair(0, self.STUB, self.OTHER, rd=True, ra=True, sport=1000)
        for k in range(2):
            s.pair(1000, self.STUB, self.OTHER, aa=True, sport=2000 + k)
        for k in range(4):
            s.pair(2000, self.STUB, self.OTHER, rd=True, sport=3000 + k)
        for k in range(8):
            s.query(3000, self.STUB, self.OTHER, rd=True, sport=4000 + k)
        for k in range(16):
            s.query(4000, self.STUB, self.OTHER, sport=5000 + k)
        records = self.run_ok("--pcap", s.capture().save(self.path("a")))
        self.assertEqual(self.split(records), {"S2R": 1 + 8, "R2A": 2 + 16, "X": 4})

    def test_same_totals(self):
        """The lists move transactions from one vantage to another and change nothing else."""
        path, _ = lab.traffic(*ZOO)
        plain = self.run_ok("--pcap", path)
        lists = self.run_ok("--pcap", path, "--auth", "10.0.0.0/8", "--resolvers", "192.0.0.0/3,::/0")
        self.assertEqual(traffic_of(plain), traffic_of(lists))
        self.assertEqual([r for r in lab.stripped(plain) if '"ledger"' in r],
                         [r for r in lab.stripped(lists) if '"ledger"' in r])


class Settings(lab.Case):
    def test_timeout(self):
        s = Scene()
        delays = (50, 90000, 400000, 600000, 1900000, 2100000, 4900000, 5100000, 20000000)
        for k, delay in enumerate(delays):
            s.pair(k * 100000, "10.0.0.1", "192.0.2.1", delay, sport=1000 + k, rd=True, ra=True)
        path = s.capture().save(self.path("a"))
        for ms in (100, 500, 2000, None):
            with self.subTest(ms=ms):
                records = self.run_ok("--pcap", path, *(["--timeout-ms", ms] if ms else []))
                answered = sum(d < (ms or 5000) * 1000 for d in delays)
                self.assertEqual(traffic_of(records), {
                    "queries": 9, "responses": 9, "pairs": answered, "unanswered": 9 - answered,
                    "unsolicited": 9 - answered})
                classes = {}
                for r in lab.of_set(records, "traffic"):
                    for k, n in r["by_class"].items():
                        classes[k] = classes.get(k, 0) + n
                self.assertEqual(classes, {"DATA": answered, "TIMEOUT": 9 - answered})

    def test_default_timeout(self):
        path, _ = lab.traffic(*ZOO)
        self.same(self.run_ok("--pcap", path), self.run_ok("--pcap", path, "--timeout-ms", 5000))

    def test_ports(self):
        s = Scene()
        for k, port in enumerate((53, 5353, 8053)):
            for n in range(2 ** k):
                s.pair(k * 1000000 + n * 5000, "10.0.0.1", "192.0.2.1", port=port, sport=33000 + n)
        path = s.capture().save(self.path("a"))
        for ports, queries in ((None, 1), ("53", 1), ("5353", 2), ("53,8053", 5), ("53,5353,8053", 7), ("54", 0)):
            with self.subTest(ports=ports):
                records = self.run_ok("--pcap", path, *(["--ports", ports] if ports else []))
                self.assertEqual(traffic_of(records).get("queries", 0), queries)
                self.assertEqual(traffic_of(records).get("pairs", 0), queries)
                self.assertEqual(lab.totals(records, "dropped"), {"not_dns": 14 - 2 * queries} if queries < 7 else {})

    def test_config_file(self):
        """A file says the same as the flags; flags win."""
        path, _ = lab.traffic(*ZOO)
        flags = self.run_ok("--pcap", path, "--interval", 10, "--auth", "10.0.0.0/8,192.0.2.0/24", "--probe", "tap1",
                            "--timeout-ms", 700)
        text = "# a comment\npcap: %s\ninterval: 10\nauth: [10.0.0.0/8, 192.0.2.0/24]\nprobe: tap1\ntimeout-ms: %s\n"
        a = self.write("a.yaml", (text % (path, 700)).encode())
        self.same(flags, self.run_ok("--config", a))
        b = self.write("b.yaml", (text % (path, 900)).replace("[", "").replace("]", "").encode())
        self.same(flags, self.run_ok("--config", b, "--timeout-ms", 700))
        c = self.write("c.yaml", (text % (path, 700)).replace(
            "auth: [10.0.0.0/8, 192.0.2.0/24]", "auth:\n  - 10.0.0.0/8\n  - 192.0.2.0/24").encode())
        self.same(flags, self.run_ok("--config=" + c))

    def test_probe_name(self):
        path, _ = lab.traffic("mix", "--pairs", 10)
        records = self.run_ok("--pcap", path, "--probe", "tap-7.north_1", out=self.out)
        self.assertEqual({r["probe"] for r in records}, {"tap-7.north_1"})
        for name in lab.exported(self.out)[0]:
            self.assertRegex(os.path.basename(name),
                             r"^(client|cookie|dga|domain|server|traffic|transport|ledger)-\d{8}T\d{6}Z-tap-7\.north_1-\d+\.jsonl\.zst$")

    def test_default_directory(self):
        path, _ = lab.traffic("mix", "--pairs", 10)
        r = lab.fluxtap("run", "--quiet", "--pcap", path, cwd=self.dir)
        self.assertEqual(r.code, 0, str(r))
        self.assertTrue(self.records(self.path("fluxtap-out")))

    def test_file_mode(self):
        path, _ = lab.traffic("mix", "--pairs", 10)
        self.run_ok("--pcap", path, out=self.out, umask=0)
        for name in lab.exported(self.out)[0]:
            self.assertEqual(os.stat(name).st_mode & 0o777, 0o640, name)

    def test_same_directory_again(self):
        """A second run adds its files and overwrites none."""
        path, _ = lab.traffic(*ZOO)
        once = self.run_ok("--pcap", path, out=self.out)
        before = {}
        for name in lab.exported(self.out)[0]:
            with open(name, "rb") as f:
                before[name] = f.read()
        r = lab.fluxtap("run", "--quiet", "--out", self.out, "--pcap", path)
        self.assertEqual(r.code, 0, str(r))
        final, other = lab.exported(self.out)
        self.assertEqual(other, [])
        self.assertEqual(len(final), 2 * len(before))
        for name, data in before.items():
            with open(name, "rb") as f:
                self.assertEqual(f.read(), data, name)
        new = self.path("new")
        os.mkdir(new)
        for name in final:
            if name not in before:
                shutil.copy(name, new)
        self.same(once, self.records(new))


if __name__ == "__main__":
    unittest.main()
