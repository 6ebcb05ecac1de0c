# SPDX-License-Identifier: BSD-3-Clause
"""Set `integrity`: changes of watched RRsets, made by hand and by the generator."""

import ipaddress
import struct
import tempfile
import unittest

import lab

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28, "DS": 43, "RRSIG": 46,
         "DNSKEY": 48, "CAA": 257}
NS1, NS2, TLD = "192.0.2.1", "192.0.2.2", "192.0.2.100"
EVIL = "203.0.113.66"
R1, R2, R3 = "198.51.100.1", "198.51.100.2", "198.51.100.3"
DAY = 86400


def rdata(kind, text):
    words = text.split()
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(text).packed
    if kind in ("NS", "CNAME"):
        return lab.qname(text)
    if kind == "MX":
        return struct.pack("!H", int(words[0])) + lab.qname(words[1])
    if kind == "TXT":
        return bytes([len(text.encode())]) + text.encode()
    if kind == "SOA":
        return lab.qname(words[0]) + lab.qname(words[1]) + struct.pack("!5I", *map(int, words[2:]))
    if kind == "DS":
        return struct.pack("!HBB", *map(int, words[:3])) + bytes.fromhex(words[3])
    if kind == "RRSIG":  # covered type, expiration
        return struct.pack("!HBBIIIH", TYPES[words[0]], 13, 2, 300, int(words[1]), 0, 1) + lab.qname("example.com") + b"s" * 64
    raise KeyError(kind)


def rr(owner, kind, ttl, text):
    data = rdata(kind, text)
    return lab.qname(owner) + struct.pack("!HHIH", TYPES[kind], 1, ttl, len(data)) + data


def opt(do, ede=None):
    data = b"" if ede is None else struct.pack("!HHH", 15, 2 + 3, ede) + b"why"
    return b"\0" + struct.pack("!HHIH", 41, 1232, do << 15, len(data)) + data


class Scene(lab.Scene):
    """Deals at seconds since the start."""

    def deal(self, at, client, server, owner, kind, answer=(), authority=(), additional=(), aa=True, ra=False,
             rcode=0, do=False, ad=False, ede=None):
        self.qid += 1
        at_us, sport = round(at * 1000000), 1024 + self.qid % 60000
        question = lab.qname(owner) + struct.pack("!HH", TYPES[kind], 1)
        tail = opt(do)
        ask = struct.pack("!6H", self.qid & 65535, ra << 8, 1, 0, 0, 1) + question + tail
        flags = 0x8000 | aa << 10 | ra << 8 | ra << 7 | ad << 5 | rcode
        reply = struct.pack("!6H", self.qid & 65535, flags, 1, len(answer), len(authority), len(additional) + 1)
        reply += question + b"".join(rr(*x) for x in (*answer, *authority, *additional)) + opt(do, ede)
        self.put(at_us - 500, lab.udp_frame(client, server, sport, 53, ask))
        self.put(at_us, lab.udp_frame(server, client, 53, sport, reply))
        return self.START_S * 1000000 + at_us

    def a(self, at, client, server, *addresses, owner="www.example.com", ttl=3600, **kw):
        return self.deal(at, client, server, owner, "A", [(owner, "A", ttl, x) for x in addresses], **kw)

    def referral(self, at, client, hosts, ds=None, do=False, ttl=86400):
        authority = [("example.com", "NS", ttl, h) for h in hosts]
        authority += [("example.com", "DS", ttl, d) for d in ds or ()]
        glue = [(h, "A", ttl, x) for h, x in hosts.items() if x]
        return self.deal(at, client, TLD, "www.example.com", "A", (), authority, glue, aa=False, do=do)


class Hand(lab.Case):
    def watch(self, scene, text, *more, err=None):
        path = self.write("watch", text.encode())
        pcap = scene.capture().save(self.path("a.pcap"))
        out = tempfile.mkdtemp(dir=self.dir)
        r = lab.fluxtap("run", "--quiet", "--out", out, "--pcap", pcap, "--watch", path, *more)
        self.assertEqual(r.code, 0, str(r))
        self.log = r.err
        records = lab.of_set(self.records(out), "integrity")
        self.cover = {(r["owner"], r["type"]): r for r in records if r.get("kind") == "coverage"}
        return [r for r in records if "state" in r]

    def brief(self, rows):
        return [(r["state"], r["owner"], r["type"], r["side"], r["auth"], r["class"], r["flags"]) for r in rows]

    W = "www.example.com."

    def test_changed_and_back(self):
        s = Scene()
        for t in range(0, 3600, 300):
            last = s.a(t, (R1, R2)[t // 300 % 2], (NS1, NS2)[t // 600 % 2], "192.0.2.80")
        first = s.a(3650, R1, NS1, EVIL, ttl=60)
        s.a(3700, R2, NS2, EVIL, ttl=60)
        s.a(4000, R3, NS2, EVIL, ttl=60)
        gone = s.a(5000, R3, NS1, EVIL, ttl=60)
        back = s.a(5100, R1, NS1, "192.0.2.80")
        s.a(5600, R2, NS1, "192.0.2.80")
        rows = self.watch(s, "www.example.com A baseline=192.0.2.80\n")
        self.assertEqual(self.brief(rows), [
            ("SUSPECT", self.W, "A", "CHILD", "UNAUTHORISED", None, ["TTL_DROP"]),
            ("CHANGED", self.W, "A", "CHILD", "UNAUTHORISED", "ZONE_EDIT", ["TTL_DROP"]),
            ("REVERTED", self.W, "A", "CHILD", "UNAUTHORISED", "ZONE_EDIT", ["SHORT_LIVED", "TTL_DROP"])])
        _, changed, reverted = rows
        for r in rows:
            self.assertEqual((r["onset_lo_us"], r["onset_hi_us"]), (last, first))
            self.assertEqual((r["old_set"], r["new_set"], r["added"], r["removed"]),
                             (["192.0.2.80"], [EVIL], [EVIL], ["192.0.2.80"]))
            self.assertEqual((r["ttl_old"], r["ttl_new"]), (3600, 60))
            self.assertEqual(r["domain"], "example.com.")
        self.assertEqual(changed["seen_by"], {"clients": 2, "servers": 2})
        self.assertEqual(reverted["seen_by"], {"clients": 3, "servers": 2})
        self.assertEqual((changed["revert_lo_us"], changed["revert_hi_us"]), (None, None))
        self.assertEqual((reverted["revert_lo_us"], reverted["revert_hi_us"]), (gone, back))
        self.assertIn("UNAUTHORISED change of www.example.com. A (CHILD)", self.log)
        self.assertEqual(self.log.count("UNAUTHORISED"), 1)
        cover = self.cover[self.W, "A"]
        self.assertEqual(cover["observations"], 18)
        self.assertAlmostEqual(cover["cov5"], 17 / 288)


    def base(self, s, seconds, *addresses, step=300, **kw):
        """The baseline, from both servers to two resolvers."""
        for k, t in enumerate(range(*seconds, step)):
            s.a(t, (R1, R2)[k % 2], (NS1, NS2)[k // 2 % 2], *(addresses or ["192.0.2.80"]), **kw)

    def test_rotation(self):
        s = Scene()
        pool = ["192.0.2.%d" % k for k in range(80, 86)]
        for t in range(0, 7200, 60):
            s.a(t, (R1, R2, R3)[t // 60 % 3], (NS1, NS2)[t // 60 % 2], *(pool + pool)[t // 60 % 6:][:2])
        self.assertEqual(self.watch(s, "www.example.com A baseline=%s\n" % "|".join(pool)), [])

    def test_allowed(self):
        s = Scene()
        self.base(s, (0, 900))
        s.a(1000, R1, NS1, "198.18.0.7")
        s.a(1010, R2, NS2, "198.18.0.7")
        s.a(2000, R1, NS1, "192.0.2.80")
        s.a(2010, R2, NS2, "192.0.2.80")
        s.a(3000, R1, NS1, "198.18.0.7", "198.51.100.9")
        s.a(3010, R2, NS2, "198.18.0.7", "198.51.100.9")
        rows = self.watch(s, "www.example.com A allow=203.0.113.1,198.18.0.0/15 baseline=192.0.2.80\n")
        self.assertEqual([(r["state"], r["auth"], r["added"]) for r in rows],
                         [("ACCEPTED", "AUTHORISED", ["198.18.0.7"]),
                          ("CHANGED", "UNAUTHORISED", ["198.51.100.9"])])

    def test_confirmation(self):
        for name, deals, want in (
                ("one pair", [(R1, NS1)] * 5, ["SUSPECT"]),
                ("two servers", [(R1, NS1), (R1, NS2)], ["CHANGED"]),
                ("two clients", [(R1, NS1), (R2, NS1)], ["CHANGED"])):
            with self.subTest(name=name):
                s = Scene()
                self.base(s, (0, 900))
                for k, (client, server) in enumerate(deals):
                    s.a(901 + k, client, server, EVIL)
                rows = self.watch(s, "www.example.com A baseline=192.0.2.80\n")
                self.assertEqual([r["state"] for r in rows], want)

    def test_own_server(self):
        s = Scene()
        self.base(s, (0, 900))
        at = s.a(901, R1, NS1, EVIL)
        rows = self.watch(s, "www.example.com A baseline=192.0.2.80\n", "--auth", NS1 + "," + NS2)
        self.assertEqual([(r["state"], r["vantage"], r["onset_hi_us"]) for r in rows], [("CHANGED", "AUTH", at)])

    def test_superset(self):
        for n, want in ((2, []), (3, ["CHANGED"])):
            s = Scene()
            self.base(s, (0, 900))
            for k in range(n):
                s.a(901 + k, (R1, R2, R3)[k], NS1, "192.0.2.80", EVIL)
            rows = self.watch(s, "www.example.com A baseline=192.0.2.80\n")
            self.assertEqual([r["state"] for r in rows], want)

    def test_removed(self):
        """A part of the baseline is a rotation, but where all of it was seen three times and then a part as often."""
        pair = ["192.0.2.80", "192.0.2.81"]

        def go(whole, parts, *more, line="www.example.com A baseline=192.0.2.80|192.0.2.81\n"):
            s = Scene()
            for k in range(whole):
                last = s.a(10 + k, (R1, R2, R3)[k % 3], NS1, *pair, ttl=60)
            for k, part in enumerate(parts):
                s.a(100 + k, (R1, R2, R3)[k % 3], NS1, *part, ttl=60)
            return self.watch(s, line, *more), last

        one, other = pair[:1], pair[1:]
        for whole, parts in ((2, [one] * 9), (9, [one] * 2), (9, [one, other] * 9), (9, [one, one, pair] * 9)):
            self.assertEqual(go(whole, parts)[0], [])
        for line in ("www.example.com A baseline=192.0.2.80|192.0.2.81\n",
                     "www.example.com A allow=192.0.2.0/24 baseline=192.0.2.80|192.0.2.81\n"):
            rows, last = go(3, [one] * 4, line=line)
            self.assertEqual([(r["state"], r["class"], r["old_set"], r["new_set"], r["added"], r["removed"]) for r in rows],
                             [("CHANGED", "ZONE_EDIT", pair, one, [], other)])
            self.assertEqual((rows[0]["onset_lo_us"], rows[0]["onset_hi_us"]), (last, Scene.START_S * 1000000 + 100000000))
        rows, _ = go(3, [one] * 3 + [pair] * 600)
        self.assertEqual([r["state"] for r in rows], ["CHANGED", "REVERTED"])
        self.assertEqual((rows[1]["removed"], rows[1]["revert_hi_us"] - Scene.START_S * 1000000), (other, 103000000))

    def test_learned(self):
        s = Scene()
        acme = "_acme-challenge.example.com"
        soa = [("example.com", "SOA", 300, "ns1.example.com host.example.com 1 1 1 1 60")]
        for t in range(0, DAY + 7200, 1800):
            s.a(t, R1, NS1, "192.0.2.%d" % (80 + t // 1800 % 3), "192.0.2.%d" % (81 + t // 1800 % 3))
            s.deal(t + 5, R1, NS1, acme, "TXT", (), soa, rcode=3)
        s.a(DAY + 8000, R1, NS1, "192.0.2.80")
        s.a(DAY + 8001, R2, NS2, "192.0.2.99")
        s.a(DAY + 8002, R1, NS1, "192.0.2.99")
        for k, r in enumerate((R1, R2)):
            s.deal(DAY + 8010 + k, r, NS1, acme, "TXT", [(acme, "TXT", 0, "token")])
        rows = self.watch(s, "www.example.com a\n%s TXT # comment\n" % acme, "--interval", 3600)
        self.assertEqual([(r["state"], r["owner"], r["old_set"], r["added"]) for r in rows], [
            ("CHANGED", acme + ".", [], ['"token"']),
            ("CHANGED", self.W, ["192.0.2.%d" % k for k in range(80, 84)], ["192.0.2.99"])])

    def test_poisoned(self):
        s = Scene()
        self.base(s, (0, 900))
        s.a(900, R3, NS1, EVIL)
        s.a(901, R3, NS2, EVIL)
        s.a(910, R1, NS1, "192.0.2.80")
        s.a(911, R2, NS2, "192.0.2.80")
        rows = self.watch(s, "www.example.com A baseline=192.0.2.80\n")
        self.assertEqual(self.brief(rows), [
            ("CHANGED", self.W, "A", "CHILD", "UNAUTHORISED", "POISON_SUSPECT", [])])
        self.assertEqual(rows[0]["seen_by"], {"clients": 1, "servers": 2})

    def test_poisoned_late(self):
        """Others are seen only in the next interval: what was said is said again, with the class."""
        for servers, states in (((NS1,), ["SUSPECT", "SUSPECT"]), ((NS1, NS2), ["CHANGED", "REVERTED"])):
            s = Scene()
            self.base(s, (0, 900))
            for t in (955, 956, 1040):
                for k, server in enumerate(servers):
                    s.a(t + k / 4, R3, server, EVIL, ttl=3600)
            s.a(970, R1, NS1, "192.0.2.80")
            s.a(1030, R2, NS2, "192.0.2.80")
            self.base(s, (1100, 5000))
            rows = self.watch(s, "www.example.com A baseline=192.0.2.80\n")
            self.assertEqual([r["state"] for r in rows], states)
            self.assertEqual(rows[-1]["class"], "POISON_SUSPECT")

    def test_poisoned_cache(self):
        s = Scene()
        for t in range(0, 1200, 10):  # three resolvers and their stubs
            server = (R1, R2, R3)[t // 10 % 3]
            s.a(t, "10.0.0.%d" % (t % 7), server, EVIL if server == R3 and t > 600 else "192.0.2.80", aa=False, ra=True,
                ttl=300 - t % 300)
        rows = self.watch(s, "www.example.com A baseline=192.0.2.80\n")
        self.assertEqual([(r["state"], r["class"], r["vantage"], r["seen_by"]["servers"]) for r in rows],
                         [("SUSPECT", "POISON_SUSPECT", "S2R", 1)])

    HOSTS = {"ns1.example.com": NS1, "ns2.example.com": NS2}
    NS_LINE = "example.com NS baseline=ns1.example.com|NS2.example.com.\n"

    def test_strange_server(self):
        for lacks, want in ((False, []), (True, ["CHANGED"])):
            s = Scene()
            s.referral(0, R1, {"ns1.example.com": NS1, "ns2.example.com": None if lacks else NS2})
            self.base(s, (10, 900))
            for k, r in enumerate((R1, R2, R3)):
                s.a(900 + k, r, "203.0.113.53", EVIL)
            rows = self.watch(s, self.NS_LINE + "www.example.com A baseline=192.0.2.80\n")
            self.assertEqual([r["state"] for r in rows if r["class"] != "POISON_SUSPECT" and r["state"] == "CHANGED"],
                             want)

    def test_delegation(self):
        evil = {"ns1.evil.example": EVIL}
        s = Scene()
        for t in range(0, 3600, 600):
            s.referral(t, (R1, R2)[t // 600 % 2], self.HOSTS)
            s.a(t + 1, (R1, R2)[t // 600 % 2], NS1, "192.0.2.80")
        for k, r in enumerate((R1, R2)):
            s.referral(3700 + k, r, evil)
            s.a(3702 + k, r, EVIL, "203.0.113.80")
        rows = self.watch(s, self.NS_LINE + "www.example.com A baseline=192.0.2.80\n")
        self.assertEqual(self.brief(rows), [
            ("CHANGED", "example.com.", "NS", "PARENT", "UNAUTHORISED", "DELEGATION_HIJACK", []),
            ("CHANGED", self.W, "A", "CHILD", "UNAUTHORISED", "DELEGATION_HIJACK", [])])

    def test_ttl_alone(self):
        s = Scene()
        self.base(s, (0, 900))
        self.base(s, (900, 1800), ttl=60)
        self.base(s, (1800, 2700), ttl=0)
        self.base(s, (2700, 3600))
        self.base(s, (3600, 4500), ttl=14400)
        rows = self.watch(s, "www.example.com A baseline=192.0.2.80\n", "--interval", 3600)
        self.assertEqual([(r["state"], r["ttl_old"], r["ttl_new"], r["flags"]) for r in rows], [
            ("CHANGED", 3600, 60, ["TTL_DROP"]), ("CHANGED", 60, 0, ["TTL_ZERO", "TTL_DROP"]),
            ("REVERTED", 0, 3600, []), ("CHANGED", 3600, 14400, ["TTL_RAISE"])])
        for r in rows:
            self.assertEqual((r["added"], r["removed"], r["old_set"], r["auth"]), ([], [], ["192.0.2.80"], "UNKNOWN"))
        start = s.START_S * 1000000
        self.assertEqual((rows[0]["onset_lo_us"], rows[0]["onset_hi_us"]), (start + 600000000, start + 900000000))
        self.assertEqual((rows[2]["revert_lo_us"], rows[2]["revert_hi_us"]), (start + 2400000000, start + 2700000000))
        self.assertNotIn("UNAUTHORISED", self.log)

    def test_ttl_without_baseline(self):
        """Nobody knows what TTL the baseline has: what is odd by itself is said all the same."""
        for ttl, want in ((0, ["TTL_ZERO"]), (60, []), (604800, []), (604801, ["TTL_RAISE"])):
            s = Scene()
            s.a(10, R1, NS1, EVIL, ttl=ttl)
            s.a(11, R2, NS2, EVIL, ttl=ttl)
            rows = self.watch(s, "www.example.com A baseline=192.0.2.80\n")
            self.assertEqual([(r["state"], r["flags"], r["ttl_old"], r["ttl_new"]) for r in rows],
                             [("CHANGED", want, None, ttl)])

    def test_dnssec(self):
        ds, other = "1 13 2 " + "ab" * 32, "2 13 2 " + "cd" * 32
        for name, second, flags in (("removed", [], ["DS_REMOVED"]), ("changed", [other], ["DS_CHANGED"])):
            with self.subTest(name=name):
                s = Scene()
                for t in range(0, 900, 100):
                    s.referral(t, R1, self.HOSTS, [ds], do=True)
                s.referral(900, R1, self.HOSTS, do=False)  # says nothing
                for k, r in enumerate((R1, R2)):
                    s.referral(910 + k, r, self.HOSTS, second, do=True)
                rows = self.watch(s, "example.com DS baseline=%s\n" % ds.upper())
                self.assertEqual([(r["state"], r["side"], r["flags"], r["class"]) for r in rows],
                                 [("CHANGED", "PARENT", flags, "DELEGATION_HIJACK")])
                self.assertEqual(rows[0]["dnssec"]["ds"], bool(second))
                self.assertEqual(rows[0]["old_set"], ["1 13 2 " + "AB" * 32])

    def test_signatures(self):
        ds = "1 13 2 " + "ab" * 32
        w, now = "www.example.com", Scene.START_S
        for name, expires, flag in (("left out", None, "UNSIGNED_WHILE_DS"), ("soon over", now + 3600, "RRSIG_EXPIRY<24h")):
            with self.subTest(name=name):
                s = Scene()
                for k in range(4):
                    s.referral(k * 10, R1, self.HOSTS, [ds], do=True)
                    s.deal(k * 10 + 1, R1, NS1, w, "A",
                           [(w, "A", 300, "192.0.2.80"), (w, "RRSIG", 300, "A %d" % (now + 9 * DAY))], do=True)
                for k, r in enumerate((R1, R2)):
                    s.deal(100 + k, r, NS2, w, "A", [(w, "A", 300, "192.0.2.80")] + (
                        [(w, "RRSIG", 300, "A %d" % expires)] if expires else []), do=True)
                rows = self.watch(s, "example.com NS,DS\nwww.example.com A baseline=192.0.2.80\n")
                self.assertEqual(self.brief(rows), [("CHANGED", self.W, "A", "CHILD", "UNKNOWN", None, [flag])])
                self.assertEqual(rows[0]["dnssec"], {"ds": True, "ad": None, "rrsig": expires is not None, "ede": None})

    def test_ad_lost(self):
        s = Scene()
        for t in range(0, 1200, 5):
            s.a(t, "10.0.0.1", R1, "192.0.2.80", aa=False, ra=True, do=True, ad=t < 900, ttl=300,
                ede=None if t < 900 else 10)
        rows = self.watch(s, "www.example.com A baseline=192.0.2.80\n")
        self.assertEqual([r["flags"] for r in rows], [["AD_LOST"]])
        self.assertEqual(rows[0]["dnssec"], {"ds": None, "ad": False, "rrsig": None, "ede": 10})

    def test_caches_narrow(self):
        s = Scene()
        self.base(s, (0, 900), ttl=600)
        begin = s.START_S * 1000000
        s.a(1250, "10.0.0.1", R1, "192.0.2.80", aa=False, ra=True, ttl=550)  # asked at 1200
        for k, r in enumerate((R2, R3)):
            s.a(1800 + k, r, NS1, EVIL, ttl=600)
        rows = self.watch(s, "www.example.com A baseline=192.0.2.80\n")
        self.assertEqual([r["state"] for r in rows], ["CHANGED"])
        self.assertEqual(rows[0]["onset_hi_us"], begin + 1800000000)
        self.assertEqual(rows[0]["onset_lo_us"], begin + 1199000000)

    def test_alias_instead(self):
        s = Scene()
        self.base(s, (0, 900))
        w = "www.example.com"
        for k, r in enumerate((R1, R2)):
            s.deal(900 + k, r, NS1, w, "A", [(w, "CNAME", 60, "Evil.Example"), ("evil.example", "A", 60, EVIL)])
        rows = self.watch(s, "www.example.com A baseline=192.0.2.80\nwww.example.com CNAME baseline=\n")
        self.assertEqual([(r["type"], r["added"], r["removed"]) for r in rows],
                         [("A", [], ["192.0.2.80"]), ("CNAME", ["evil.example."], [])])

    def test_line_of_many_types(self):
        """Each element belongs to those that can mean it."""
        s = Scene()
        s.deal(10, R1, NS1, "example.com", "NS", [("example.com", "NS", 300, "ns.evil.example")])
        s.deal(11, R2, NS1, "example.com", "NS", [("example.com", "NS", 300, "ns.evil.example")])
        s.a(12, R1, NS1, EVIL, owner="example.com")
        s.a(13, R2, NS2, EVIL, owner="example.com")
        rows = self.watch(s, "example.com A,AAAA,NS,MX baseline=ns1.example.com|192.0.2.80|2001:db8::1|10 mx.example.com "
                          "allow=198.51.100.0/24,.good.example\n")
        self.assertEqual([(r["type"], r["old_set"], r["removed"]) for r in rows],
                         [("A", ["192.0.2.80"], ["192.0.2.80"]), ("NS", ["ns1.example.com."], ["ns1.example.com."])])

    def test_not_asked(self):
        """What a server says of names that it was not asked for does not count."""
        s = Scene()
        self.base(s, (0, 900))
        x, w = "x.example.com", "www.example.com"
        for k, r in enumerate((R1, R2, R3)):
            s.deal(900 + k, r, NS1, x, "A", [(x, "CNAME", 60, w), (w, "A", 60, EVIL)])
            s.deal(910 + k, r, NS1, x, "A", (), [("example.net", "NS", 60, "ns.example.net")], [(w, "A", 60, EVIL)],
                   aa=False)
        rows = self.watch(s, "www.example.com A baseline=192.0.2.80\nexample.net NS baseline=\n")
        self.assertEqual([(r["state"], r["type"], r["seen_by"]["clients"]) for r in rows], [("SUSPECT", "A", 0)])

    def test_other_types(self):
        s = Scene()
        sets = {"MX": ("10 mail.example.com", "5 Mx.Evil.example"), "NS": ("ns1.example.com", "a.ns.Partner.example"),
                "SOA": ("ns1.example.com h.example.com 1 2 3 4 5", "ns1.example.com h.example.com 2 2 3 4 5"),
                "TXT": ("v=spf1 -all", "v=spf1 +all; \xe9")}
        for k, (kind, (old, new)) in enumerate(sets.items()):
            for r, t in ((R1, 10), (R2, 20)):
                s.deal(t + k, r, NS1, "example.com", kind, [("example.com", kind, 300, old)])
                s.deal(t + k + 500, r, NS1, "ExAmple.com", kind, [("EXAMPLE.com", kind, 300, new)])
        rows = self.watch(s, "example.com NS,MX allow=.partner.example baseline=10 mail.example.com|ns1.example.com\n"
                             'example.com TXT baseline="v=spf1 -all"  # quoted\n'
                             "example.com SOA baseline=ns1.example.com. h.example.com 1 2 3 4 5\n")
        self.assertEqual({r["type"]: (r["state"], r["added"], r["removed"]) for r in rows}, {
            "MX": ("CHANGED", ["5 mx.evil.example."], ["10 mail.example.com."]),
            "NS": ("ACCEPTED", ["a.ns.partner.example."], ["ns1.example.com."]),
            "SOA": ("CHANGED", ["ns1.example.com. h.example.com. 2 2 3 4 5"],
                    ["ns1.example.com. h.example.com. 1 2 3 4 5"]),
            "TXT": ("CHANGED", ['"v=spf1 +all; \\195\\169"'], ['"v=spf1 -all"'])})

    def test_unseen(self):
        s = Scene()
        s.a(0, R1, NS1, "192.0.2.80", ttl=60)
        s.pair(9000 * 1000000, R1, NS1)
        s.pair(9000 * 1000000, R1, NS1, name="other.example")
        self.watch(s, "www.example.com A\nmail.example.com AAAA\n")
        here, never = self.cover[self.W, "A"], self.cover["mail.example.com.", "AAAA"]
        self.assertEqual((never["cov5"], never["last_auth_us"], never["observations"], never["flags"]), (0, None, 0, ["STALE"]))
        self.assertEqual((here["observations"], here["flags"], here["last_auth_us"]), (2, ["STALE"], s.START_S * 1000000))


class Scenario(lab.Case):
    """The hijack of 55 minutes that the generator plays, against its truth."""

    def say(self, truth):
        return self.write("watch", "\n".join(truth["watch"]).encode() + b"\n")

    def play(self, *options):
        path, truth = lab.traffic("hijack", "--seed", 3)
        records = self.run_ok("--pcap", path, "--watch", self.say(truth["hijack"]), *options)
        return truth["hijack"], lab.of_set(records, "integrity"), records

    def test_hijack(self):
        truth, rows, _ = self.play("--interval", 300)
        changes = [r for r in rows if "state" in r and r["state"] != "SUSPECT"]
        for want in truth["changes"]:
            with self.subTest(owner=want["owner"], type=want["type"], side=want["side"]):
                of = [r for r in changes if (r["owner"], r["type"], r["side"]) ==
                      (want["owner"], want["type"], want["side"])]
                self.assertEqual({r["auth"] for r in of if r["added"] or r["removed"]}, {"UNAUTHORISED"})
                changed, reverted = of[0], of[-1]
                self.assertEqual((changed["state"], reverted["state"]), ("CHANGED", "REVERTED"))
                for r in (changed, reverted):
                    self.assertLess(r["onset_lo_us"], want["onset_us"])
                    self.assertGreaterEqual(r["onset_hi_us"], want["onset_us"])
                    self.assertLess(r["onset_hi_us"] - r["onset_lo_us"], want["gap_us"])
                    self.assertEqual(r["class"], want["class"])
                    self.assertEqual((r["added"], r["removed"]), (want["added"], want["removed"]))
                self.assertLess(reverted["revert_lo_us"], want["revert_us"])
                self.assertGreaterEqual(reverted["revert_hi_us"], want["revert_us"])
                self.assertLess(reverted["revert_hi_us"] - reverted["revert_lo_us"], want["gap_us"])
                self.assertEqual(sorted(reverted["flags"]), sorted(want["flags"]))
        # Nothing else: no alarm for rotation, none for what the list allows.
        known = {(w["owner"], w["type"], w["side"]) for w in truth["changes"]}
        rest = [(r["state"], r["owner"], r["type"], r["side"], r["auth"], r["class"]) for r in changes
                if (r["owner"], r["type"], r["side"]) not in known]
        self.assertEqual(rest, [tuple(x) for x in truth["others"]])

    def test_coverage(self):
        truth, rows, _ = self.play("--interval", 3600)
        seen = {(r["owner"], r["type"]): r for r in rows if r.get("kind") == "coverage"}
        self.assertEqual(len(seen), len(truth["observations"]))
        for want in truth["observations"]:
            r = seen[want["owner"], want["type"]]
            self.assertEqual((r["observations"], r["last_auth_us"]), (want["observations"], want["last_auth_us"]), want)
            self.assertAlmostEqual(r["cov5"], want["slots"] / 288, msg=want)

    @unittest.skipIf(len(lab.cpus()) < 2, "needs two CPUs")
    def test_two_workers(self):
        cpus = ",".join(map(str, lab.cpus()[:4]))
        self.same(self.play("--interval", 900)[2], self.play("--interval", 900, "--cores", cpus)[2])

    def test_report(self):
        path, truth = lab.traffic("hijack", "--seed", 3)
        self.run_ok("--pcap", path, "--interval", 900, "--watch", self.say(truth["hijack"]), out=self.out)
        r = lab.fluxtap("report", "integrity", self.out)
        self.assertEqual(r.code, 0, str(r))
        self.assertRegex(r.out, r"REVERTED  www\.bank\.example\. A, CHILD: UNAUTHORISED, DELEGATION_HIJACK SHORT_LIVED")
        self.assertRegex(r.out, r"%  .*  www\.bank\.example\. A")


    def cut(self, second=None):
        """The records of two runs, of which one goes on where the other was ended, in the midst of the hijack."""
        path, truth = lab.traffic("hijack", "--seed", 3)
        c, at_us = lab.Capture.load(path), (lab.Scene.START_S + 9 * 900) * 1000000
        halves = ([p for p in c.packets if p[0] < at_us], [p for p in c.packets if p[0] >= at_us])
        lists = (truth["hijack"]["watch"], second or truth["hijack"]["watch"])
        for packets, lines, alarms in zip(halves, lists, (5, 1)):
            watch = self.write("watch", "\n".join(lines).encode())
            r = lab.fluxtap("run", "--quiet", "--state", "on", "--interval", 900, "--out", self.out, "--pcap",
                            c.sub(packets).save(self.path("half.pcap")), "--watch", watch)
            self.assertEqual(r.code, 0, str(r))
            self.assertEqual(r.err.count("UNAUTHORISED"), alarms, r.err)
        return self.records()

    def changes(self, records):
        return sorted(str(r) for r in lab.of_set(records, "integrity") if "state" in r)

    def test_restart(self):
        self.assertEqual(self.changes(self.cut()), self.changes(self.play("--interval", 900)[2]))

    def test_accepted(self):
        _, truth = lab.traffic("hijack", "--seed", 3)
        lines = [x.replace("=192.0.2.80", "=192.0.2.80|203.0.113.80") for x in truth["hijack"]["watch"]]
        rows = [r for r in lab.of_set(self.cut(lines), "integrity") if r["owner"] == "www.bank.example." and "state" in r]
        self.assertEqual([r["state"] for r in rows if r["added"]], ["CHANGED", "ACCEPTED"])


class Lists(lab.Case):
    def test_refused(self):
        for text, says in (("example.com", "nothing else"), ("example.com PTR", "none of NS"), ("a..b A", "a..b"),
                           ("example.com A,A", "twice"), ("example.com A allow=", "without anything"),
                           ("example.com A allow=192.0.2.0/33", "no allow"), ("example.com A baseline=ns1", "no rdata"),
                           ("example.com A base=1", "neither"), ("example.com A baseline=192.0.2.1|", "empty")):
            with self.subTest(text=text):
                path = self.write("watch", b"# list\n\n" + text.encode() + b"\n")
                pcap = lab.Capture().save(self.path("empty.pcap"))
                r = lab.fluxtap("run", "--out", self.out, "--pcap", pcap, "--watch", path)
                self.assertEqual(r.code, 2, str(r))
                self.assertIn("%s:3: " % path, r.err)
                self.assertIn(says, r.err)


if __name__ == "__main__":
    unittest.main()
