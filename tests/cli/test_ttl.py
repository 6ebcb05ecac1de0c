# SPDX-License-Identifier: BSD-3-Clause
"""Set `ttl`: caches behind resolvers by their lines of falling TTLs, and snooping clients."""

import random
import struct
import unittest

import lab

CLIENT, RESOLVER = "10.0.0.7", "192.0.2.53"
NAME = "www.example.com"


def question(name, qid, rd, qtype=1, qclass=1):
    return struct.pack("!HHHHHH", qid, rd << 8, 1, 0, 0, 0) + lab.qname(name) + struct.pack("!HH", qtype, qclass)


def answer(name, qid, rd, ttls, aa=False, ra=True, owner=b"\xc0\x0c"):
    flags = 1 << 15 | aa << 10 | rd << 8 | ra << 7
    out = struct.pack("!HHHHHH", qid, flags, 1, len(ttls), 0, 0) + lab.qname(name) + struct.pack("!HH", 1, 1)
    for k, ttl in enumerate(ttls):
        out += owner + struct.pack("!HHIH4B", 1, 1, ttl, 4, 192, 0, 2, k + 1)
    return out


class Scene(lab.Scene):
    def ask(self, at_us, ttl=None, name=NAME, client=CLIENT, server=RESOLVER, rd=True, ttls=None, qclass=1, **kw):
        """A query and its answer, empty where there is no TTL."""
        self.qid += 1
        at_us, qid, sport = int(at_us), self.qid & 0xFFFF, 1024 + self.qid // 65536
        ttls = ttls if ttls is not None else [] if ttl is None else [ttl]
        self.put(at_us - 1000, lab.udp_frame(client, server, sport, 53, question(name, qid, rd, qclass=qclass)))
        self.put(at_us, lab.udp_frame(server, client, 53, sport, answer(name, qid, rd, ttls, **kw)))


class Cache:
    """One cache of one name: filled by its users' first question after it has run out."""

    def __init__(self, rng, ttl, demand_s, end_s):
        self.fills, t = [], rng.expovariate(1 / demand_s)
        while t < end_s:
            self.fills.append((t, t + ttl))
            t += ttl + rng.expovariate(1 / demand_s)

    def ttl_at(self, t):
        for k, (begin, end) in enumerate(self.fills):
            if begin <= t < end:
                return int(end - t), k
        return None


class TtlCase(lab.Case):
    def ttl(self, scene, *args, watch=NAME + " A", interval=3600):
        records = self.run_ok("--pcap", scene.capture().save(self.path("a")), "--interval", interval, "--watch",
                              self.write("watch", watch.encode()), *args)
        return lab.of_set(records, "ttl")

    def one(self, scene):
        rows = self.ttl(scene)
        self.assertEqual(len(rows), 1, rows)
        return rows[0]


class Lines(TtlCase):
    def test_age(self):
        """6400 -> 6240 is one entry of 160 s; also by what an answer with AA=1 said."""
        for authority in (False, True):
            s = Scene()
            s.ask(0, 6400, **({"server": "198.51.100.1", "rd": False, "aa": True, "ra": False} if authority else {}))
            s.ask(160e6, 6240)
            row = self.one(s)
            self.assertEqual((row["owner"], row["type"], row["server"], row["ttl_max"], row["fills"], row["live_caches"],
                              row["idle_us"], row["demand_qps"], row["randomised"], row["stretched"], row["age_us"]),
                             (NAME + ".", "A", RESOLVER, 6400, 1, 1, None, None, False, False, 160000000))

    def test_idle(self):
        """Each fill takes the oldest expiry that no fill has taken."""
        s = Scene()
        for begin in (0, 100, 160, 1000):  # TTL 60: idle 40, 0, 780
            s.ask(begin * 1e6, 60)
            s.ask((begin + 30) * 1e6, 30)
        row = self.one(s)
        self.assertEqual((row["fills"], row["live_caches"], row["idles"]), (4, 1, 3))
        self.assertAlmostEqual(row["idle_us"], (40 + 0 + 780) / 3 * 1e6, delta=2)

    def test_owners(self):
        """Only watched owners; also behind an alias; the smallest TTL of a set."""
        s = Scene()
        s.ask(0, 300, name="other.example.com")
        s.ask(2e6, ttls=[300, 290, 295])
        s.ask(3e6, 289, name="alias.example", owner=lab.qname("WWW.example.com"))
        row = self.one(s)
        self.assertEqual((row["answers"], row["ttl_max"], row["fills"]), (2, 290, 1))

    def test_stretched(self):
        for ttls, said in (([300, 30, 30, 30], True), ([300, 30, 30], False), ([300, 300, 300, 300], False),
                           ([300, 290, 280, 270], False)):
            s = Scene()
            for k, ttl in enumerate(ttls):
                s.ask(k * 10e6, ttl)
            self.assertEqual(self.one(s)["stretched"], said, ttls)

    def test_randomised(self):
        rng, s = random.Random(5), Scene()
        for k in range(40):
            s.ask(k * 400e6, rng.randint(0, 300))
            s.ask(k * 400e6 + 1e6, 300, server="192.0.2.54")
        rows = {r["server"]: r["randomised"] for r in self.ttl(s)}
        self.assertEqual(rows, {RESOLVER: True, "192.0.2.54": False})

    def test_days(self):
        """A line that runs over midnight is a fill of one day alone."""
        s = Scene()
        s.START_S += 86000
        for t in (0, 300, 500, 900, 1500):
            s.ask(t * 1e6, 1000 - t if t < 1000 else 1000)
        rows = self.ttl(s, interval=60)
        self.assertEqual([(r["fills"], r["answers"], r["live_caches"]) for r in rows], [(1, 2, 1), (1, 3, 1)])
        self.assertEqual(rows[1]["idle_us"], 500000000)


class Caches(TtlCase):
    """The table of DOMAIN section 9: TTL 300, a probe every 10 s to one of the caches."""

    def compare(self, caches, low, high):
        rng, s, filled, seen, live = random.Random(caches), Scene(), 0, 0, caches
        for k in range(20):
            group, hits = [Cache(rng, 300, 80, 3600) for _ in range(caches)], set()
            for t in range(5, 3600, 10):
                at, i = t + rng.random() * 0.9, rng.randrange(caches)
                hit = group[i].ttl_at(at)
                s.ask(at * 1e6, hit and hit[0], server=f"203.0.113.{k + 1}", rd=False)
                hits |= {(i, hit[1])} if hit else set()
            filled += sum(len(c.fills) for c in group)
            seen += len(hits)
        rows = self.ttl(s, "--monitors", CLIENT)
        found = sum(r["fills"] for r in rows)
        print(f"{caches} caches: {filled} fills, {seen} asked for, {found} found")
        self.assertTrue(low <= found / filled <= high and found <= seen)
        self.assertTrue(all(r["live_caches"] <= caches and not r["stretched"] and not r["randomised"] for r in rows))
        if len(lab.cpus()) > 1:
            args = ("--pcap", self.path("a"), "--watch", self.path("watch"), "--interval", 60)
            self.same(self.run_ok(*args), self.run_ok(*args, "--cores", ",".join(map(str, lab.cpus()[:4]))))

    def test_one(self):
        self.compare(1, 8.4 / 9.3, 1)

    def test_four(self):
        self.compare(4, 0.95, 1)

    def test_sixteen(self):
        self.compare(16, 0.75, 0.90)  # 121 / 150


class Snoopers(TtlCase):
    def test_classes(self):
        rng, s = random.Random(1), Scene()

        def probe(at_s, k, client, hit=True, qclass=1):
            s.ask(at_s * 1e6, 100 if hit else None, name=f"n{k}.example.net", client=client, rd=False, qclass=qclass)

        for k in range(30):
            at = rng.random() * 500 + 10
            probe(at, k % 6, "10.0.0.1", hit=k % 3 == 0)
            probe(at, k % 6, "10.9.0.1")  # a monitor
            probe(at, k % 4, "10.0.0.5")  # too few names
            s.ask(at * 1e6, 100, name=f"n{k}.example.net", client="10.0.0.6")  # RD=1
            probe(at, k, "10.0.0.8", qclass=3)  # class CH counts for nothing
        for k in range(50):
            probe(10 + k * 10 + rng.random() * 0.5, k % 5, "10.0.0.2")
        for k in range(10):
            probe(20 + rng.random() * 400, k, "10.0.0.3")
        s.ask(450e6, 200, client="10.0.0.3", rd=False)
        for k in range(9):
            probe(20 + rng.random() * 400, k, "10.0.0.4")  # too few queries
        for args, vantage in ((("--resolvers", RESOLVER), "S2R"), ((), "X")):
            rows = [r for r in self.ttl(s, "--monitors", "10.9.0.0/16,10.8.0.1", *args, interval=60)
                    if r.get("kind") == "snooper"]
            self.assertEqual({r["client"]: (r["class"], r["rd0"], r["names"], r["hits"], r["vantage"]) for r in rows},
                             {"10.0.0.1": ("SNOOPER", 30, 6, 10, vantage), "10.0.0.2": ("PERIODIC", 50, 5, 50, vantage),
                              "10.0.0.3": ("TARGETED", 11, 11, 11, vantage)})
            self.assertEqual({(r["start"], r["end"]) for r in rows}, {(s.START_S, s.START_S + 600)})


class Scenario(lab.Case):
    """The caches and snoopers that the generator plays, against its truth."""

    SEEDS = (1, 3)

    def play(self, seed, *options, monitors="198.51.100.1", **kw):
        path, truth = lab.traffic("caches", "--seed", seed)
        watch = self.write("watch", "\n".join(truth["caches"]["watch"]).encode() + b"\n")
        may = ("--monitors", monitors) if monitors else ()
        records = self.run_ok("--pcap", path, "--watch", watch, "--interval", 600, *may, *options, **kw)
        return truth["caches"], lab.of_set(records, "ttl"), records

    def test_lines(self):
        """All that was asked for is found, but for fills of one second, which the truth counts."""
        exact = 0
        for seed in self.SEEDS:
            truth, rows, _ = self.play(seed)
            found = {(r["owner"], r["server"]): r for r in rows if "kind" not in r}
            self.assertEqual(len(found), len(truth["lines"]))
            for want in truth["lines"]:
                with self.subTest(seed=seed, owner=want["owner"], server=want["server"]):
                    r = found[want["owner"], want["server"]]
                    self.assertEqual([r[k] for k in ("type", "ttl_max", "answers", "randomised", "stretched", "evicted")],
                                     ["A"] + [want[k] for k in ("ttl_max", "answers", "randomised", "stretched")] + [0])
                    if want["randomised"] or want["stretched"]:
                        continue  # fills are not exact
                    self.assertEqual(r["fills"], want["seen"] - want["collisions"])
                    self.assertEqual(r["live_caches"], want["live"])
                    self.assertLessEqual(r["live_caches"], want["caches"])
                    self.assertAlmostEqual(r["demand_qps"], 1e6 / r["idle_us"])
                    if want["caches"] == 1:  # else no tap knows which cache it was
                        self.assertEqual(r["idles"], want["idles"])
                        self.assertAlmostEqual(r["idle_us"] / 1e6, want["idle_s"] / want["idles"], delta=1)
                        continue
                    ratio = r["idle_us"] * want["idles"] / 1e6 / want["idle_s"]
                    self.assertGreater(ratio, 0.85)  # expiries whose fill nobody saw make it longer, only
                    if want["seen"] == want["fills"] and not want["collisions"]:
                        self.assertLess(ratio, 1.15)
                        exact += 1
        self.assertGreater(exact, 2)

    def test_misses(self):
        """What is missing, of all fills, is what was never asked for and collisions: nothing of 1 cache and
        about a fifth of 16."""
        for seed in self.SEEDS:
            made, found = {}, {}
            truth, rows, _ = self.play(seed)
            fills = {(r["owner"], r["server"]): r["fills"] for r in rows if "kind" not in r}
            for want in truth["lines"]:
                if not want["randomised"] and not want["stretched"]:
                    made[want["caches"]] = made.get(want["caches"], 0) + want["fills"]
                    found[want["caches"]] = found.get(want["caches"], 0) + fills[want["owner"], want["server"]]
            self.assertGreaterEqual(found[1], made[1] - 2)  # the last of each may come after the last question
            self.assertGreater(found[4] / made[4], 0.94)
            self.assertTrue(0.72 < found[16] / made[16] < 0.92, (found, made))

    def snoopers(self, rows):
        return sorted((r["start"], r["client"], r["class"], r["rd0"], r["names"], r["hits"], r["misses"], r["chaos"])
                      for r in rows if r.get("kind") == "snooper")

    def test_snoopers(self):
        for monitors in ("198.51.100.1", None):
            truth, rows, _ = self.play(3, monitors=monitors)
            want = [(s["start"], s["client"], s["class"], s["rd0"], s["names"], s["hits"], s["rd0"] - s["hits"], s["chaos"])
                    for s in truth["snoopers"] if not (monitors and s["monitor"])]
            self.assertEqual({w[2] for w in want}, {"SNOOPER", "PERIODIC", "TARGETED"})
            self.assertEqual(self.snoopers(rows), sorted(want))
            self.assertEqual({r["client"] for r in rows if r.get("periodic") and r["client"] != "198.51.100.1"},
                             {"198.51.100.3"})

    @unittest.skipIf(len(lab.cpus()) < 2, "needs two CPUs")
    def test_two_workers(self):
        cpus = ",".join(map(str, lab.cpus()[:4]))
        self.same(self.play(3)[2], self.play(3, "--cores", cpus)[2])

    def test_report(self):
        truth, _, _ = self.play(3, out=self.out)
        r = lab.fluxtap("report", "ttl", self.out)
        self.assertEqual(r.code, 0, str(r))
        for want in truth["lines"]:
            says = " random" if want["randomised"] else " stretched" if want["stretched"] else r"\d"
            self.assertRegex(r.out, r"(?m)^%s .* %s +%d .*%s$" % (
                want["owner"], want["server"].replace(".", r"\."), want["ttl_max"], says))
        self.assertRegex(r.out, r"198\.51\.100\.4 +6 .*TARGETED")


if __name__ == "__main__":
    unittest.main()
