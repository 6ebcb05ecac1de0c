# SPDX-License-Identifier: BSD-3-Clause
"""Set `cookie`: the published shares, each class by hand, and the vectors of RFC 9018."""

import struct
import unittest

import lab

CLIENT, A, B = "198.51.100.100", "192.0.2.1", "192.0.2.2"
SECRET = "e5e973e5a6b2a43f48e7dc849e37bfcf"
CC = bytes.fromhex("2464c4abcf10c957")
V1 = bytes.fromhex("010000005cf79f111f8130c3eee29480")
V1_AT = 1559731985


def edns(message, cookie=None, rcode=0, options=None):
    """The message with an OPT record, its extended rcode, and a COOKIE option."""
    if options is None:
        options = [] if cookie is None else [cookie]
    data = b"".join(struct.pack("!HH", 10, len(c)) + c for c in options)
    head = bytearray(message)
    head[11] = 1
    head[3] = head[3] & 0xF0 | rcode & 15
    return bytes(head) + b"\0" + struct.pack("!HHIH", 41, 1232, (rcode >> 4) << 24, len(data)) + data


class Scene(lab.Scene):
    START_S = V1_AT

    def deal(self, at_us, q, r, client=CLIENT, server=A, rcode=0, answered=True, sport=None, options=None, tc=False):
        self.qid += 1
        sport = sport or 2000 + self.qid
        ask = edns(lab.message("www.example", self.qid), q, options=options)
        self.put(at_us, lab.udp_frame(client, server, sport, 53, ask))
        if answered:
            reply = bytearray(lab.message("www.example", self.qid, True, aa=True))
            reply[2] |= tc << 1
            self.put(at_us + 1000, lab.udp_frame(server, client, 53, sport, edns(bytes(reply), r, rcode)))


class Shares(lab.Case):
    def all_row(self, records):
        rows = [r for r in lab.of_set(records, "cookie") if r["role"] == "ALL"]
        self.assertEqual(len(rows), 1)
        return rows[0]

    def test_published(self):
        path, truth = lab.traffic("cookies", "--seed", 3)
        want = truth["cookies"]
        row = self.all_row(self.run_ok("--pcap", path, "--interval", 3600))
        self.assertEqual(row["by_class"], want["by_class"])
        self.assertEqual(row["servers"], want["servers"])
        self.assertEqual(row["clients"], want["clients"])
        self.assertEqual({k: row["edns"][k] for k in ("queries", "present", "cookie")},
                         {k: want[k] for k in ("queries", "present", "cookie")})
        # Davis and Deccio, PAM 2021: 98 / 30 / 10 / 20 / 99 / 1 %.
        s, c = row["servers"], row["clients"]
        self.assertAlmostEqual(row["edns"]["present"] / row["edns"]["queries"], 0.98, delta=0.002)
        self.assertEqual(s["cookies"] / s["seen"], 0.30)
        self.assertEqual(c["cookies"] / c["seen"], 0.10)
        self.assertAlmostEqual(1 - c["reused"] / c["cookies"], 0.20)
        self.assertEqual(1 - s["enforcing"] / s["seen"], 0.99)
        self.assertEqual(s["enforcing"] / s["seen"], 0.01)

    @unittest.skipIf(len(lab.cpus()) < 2, "needs two CPUs")
    def test_two_workers(self):
        path, _ = lab.traffic("cookies", "--seed", 3, "--pairs", 30000)
        cpus = ",".join(map(str, lab.cpus()[:4]))
        self.same(self.run_ok("--pcap", path), self.run_ok("--pcap", path, "--cores", cpus))

    def test_report(self):
        path, _ = lab.traffic("cookies", "--seed", 3, "--pairs", 30000)
        self.run_ok("--pcap", path, "--interval", 3600, out=self.out)
        r = lab.fluxtap("report", "cookie", self.out)
        self.assertEqual(r.code, 0, str(r))
        self.assertRegex(r.out, r"30\.0 % of 100 servers gave cookies, 1\.0 % insist")
        self.assertRegex(r.out, r"R2A  192\.0\.2\.1 .* yes ")
        best = max(lab.of_set(lab.parse(lab.fluxtap("cat", self.out).out), "resolver"), key=lambda r: r["queries"])
        r = lab.fluxtap("report", "resolver", self.out)
        self.assertEqual(r.code, 0, str(r))
        self.assertRegex(r.out, r"R2A  %s +%d +%.1f%% " % (
            best["client"].replace(".", r"\."), best["queries"], 100 * best["edns"] / best["queries"]))


class Classes(lab.Case):
    def rows(self, scene, *args):
        records = self.run_ok("--pcap", scene.capture().save(self.path("a")), "--interval", 3600, *args)
        return {(r["role"], r["address"]): r for r in lab.of_set(records, "cookie")}

    def classes(self, scene, server=A):
        row = self.rows(scene).get(("server", server))
        return row["by_class"] if row else {}

    def test_each(self):
        other = bytes.fromhex("010000005cf7a871d4a564a1442aca77")
        for name, deals, want in (
                ("issue", [(CC, CC + V1)], {"ISSUE": 1}),
                ("ok", [(CC + V1, CC + V1)], {"OK": 1}),
                ("renew", [(CC + V1, CC + other)], {"RENEW": 1}),
                ("none back", [(CC, None), (CC + V1, None)], {"UNSUPPORTED": 2}),
                ("own part back", [(CC, CC), (CC + V1, CC)], {"UNSUPPORTED": 2}),
                ("mismatch", [(CC, bytes(8) + V1)], {"CLIENT_MISMATCH": 1}),
                ("unsolicited", [(None, CC + V1)], {"UNSOLICITED": 1}),
                ("none", [(None, None)], {}),
                ("downgrade", [(CC + V1, CC + V1), (None, None), (None, None)], {"OK": 1, "DOWNGRADE": 2}),
                ("no downgrade", [(CC, CC + V1), (None, None)], {"ISSUE": 1}),
                ("bad query", [(CC[:7], None), (CC + V1[:7], None), (CC + V1 * 2 + b"x", None), (b"", None)],
                 {"BADLEN": 4}),
                ("bad response", [(CC, CC[:3])], {"BADLEN": 1}),
                ("lengths", [(CC + V1[:8], CC + V1[:8]), (CC + V1 * 2, CC + V1 * 2)], {"OK": 2})):
            with self.subTest(name=name):
                s = Scene()
                for k, (q, r) in enumerate(deals):
                    s.deal(k * 1000000, q, r)
                self.assertEqual(self.classes(s), want)

    def test_unanswered(self):
        """A lost packet says nothing about cookies, but for those that the client left out."""
        s = Scene()
        s.deal(0, CC + V1, None, answered=False)
        s.deal(20000000, None, None, answered=False)
        self.assertEqual(self.classes(s), {"DOWNGRADE": 1})

    def test_first_option_counts(self):
        s = Scene()
        s.deal(0, None, CC + V1, options=[CC, CC[:5]])
        self.assertEqual(self.classes(s), {"ISSUE": 1})

    def test_badcookie(self):
        s = Scene()
        s.deal(0, CC, CC + V1, rcode=23)
        s.deal(1000000, CC + V1, CC + V1)  # it came back
        s.deal(20000000, CC, CC + V1, rcode=23)
        s.deal(26000000, CC + V1, CC + V1)  # too late
        s.deal(40000000, CC, CC + V1, rcode=23)
        s.deal(41000000, CC + V1, CC + V1, server=B)  # elsewhere
        self.assertEqual(self.classes(s), {"BADCOOKIE": 2, "BADCOOKIE_RETRY_OK": 1, "OK": 2})

    def test_badcookies(self):
        """Several wait at a time: each has its own five seconds, and its own interval."""
        s = Scene()
        s.deal(0, CC, CC + V1, rcode=23)
        s.deal(4000000, CC, CC + V1, rcode=23)
        s.deal(4500000, CC, CC + V1, rcode=23)
        s.deal(6000000, CC + V1, CC + V1)  # too late for the first one
        self.assertEqual(self.classes(s), {"BADCOOKIE": 1, "BADCOOKIE_RETRY_OK": 2, "OK": 1})
        s = Scene()
        s.START_S = V1_AT // 60 * 60
        s.deal(58000000, CC, CC + V1, rcode=23)
        s.deal(61000000, CC, CC + V1, rcode=23)
        s.deal(62000000, CC + V1, CC + V1)
        records = self.run_ok("--pcap", s.capture().save(self.path("b")), "--interval", 60)
        for role in ("server", "client", "ALL"):
            self.assertEqual([r["by_class"] for r in lab.of_set(records, "cookie") if r["role"] == role],
                             [{"BADCOOKIE_RETRY_OK": 1}, {"BADCOOKIE_RETRY_OK": 1, "OK": 1}])

    def test_order_of_queries(self):
        """What counts is when a query was asked, not when its time was up."""
        s = Scene()
        s.deal(0, None, None, answered=False)
        s.deal(1000000, CC, CC + V1)
        s.deal(2000000, CC + V1, CC + V1)
        self.assertEqual(self.classes(s), {"ISSUE": 1, "OK": 1})
        s.deal(2500000, None, None, answered=False)
        self.assertEqual(self.classes(s), {"ISSUE": 1, "OK": 1, "DOWNGRADE": 1})

    def test_formats(self):
        at = struct.pack("!I", V1_AT)
        def v1(age, reserved=b"\0\0\0"):
            return b"\1" + reserved + struct.pack("!I", V1_AT - age) + b"12345678"
        s = Scene()
        for k, (cookie) in enumerate((v1(0), v1(3500), v1(3700), v1(-290), v1(-400), v1(0, b"\0\0\1"), b"12345678",
                                      b"123456789", at * 8)):
            s.deal(k * 1000, CC, CC + cookie)  # one in the response alone
        row = self.rows(s)["server", A]
        self.assertEqual(row["format"], {"V1_OK": 3, "V1_EXPIRED": 1, "V1_FUTURE": 1, "V1_RESERVED": 1, "LEGACY8": 1,
                                         "OTHER": 2})

    def test_enforcing(self):
        def of(*more, **kw):
            s = Scene()
            s.deal(0, CC, CC + V1)
            for k, (q, r, keys) in enumerate(more):
                s.deal(5000000 + k * 1000000, q, r, **keys)
            return self.rows(s)["server", A]["enforcing"]
        self.assertIsNone(of())
        self.assertIsNone(of((CC + V1, CC + V1, {})))
        self.assertIs(of((CC, CC + V1, {"rcode": 23})), True)
        self.assertIs(of((CC, CC + V1, {"rcode": 23}), (None, None, {"rcode": 5}), (None, None, {"tc": True})), True)
        self.assertIs(of((CC, CC + V1, {"rcode": 23}), (None, None, {})), False)
        self.assertIsNone(of((None, None, {"client": "198.51.100.7"})))  # to whom it gave none

    def test_enforcing_at_once(self):
        """Milliseconds behind the first cookie; a query that was under way by then does not count."""
        for at_us, want in ((2000, False), (1100, False), (500, None)):
            s = Scene()
            s.deal(0, CC, CC + V1)
            s.deal(at_us, None, None)
            self.assertIs(self.rows(s)["server", A]["enforcing"], want)

    def test_reused(self):
        s = Scene()
        s.deal(0, CC, CC + V1)
        s.deal(1000000, CC, CC + V1, server=B)
        s.deal(2000000, CC, CC + V1, client="198.51.100.7")
        s.deal(3000000, CC[::-1], CC[::-1] + V1, client="198.51.100.7", server=B)
        rows = self.rows(s)
        self.assertIs(rows["client", CLIENT]["cc_reused"], True)
        self.assertIs(rows["client", "198.51.100.7"]["cc_reused"], False)
        self.assertEqual(rows["client", CLIENT]["transactions"], 2)

    def test_reused_anywhere(self):
        """One of the two servers is our own: whose traffic it is does not matter."""
        s = Scene()
        s.deal(0, CC, CC + V1)
        s.deal(1000000, CC, CC + V1, server=B)
        records = self.run_ok("--pcap", s.capture().save(self.path("a")), "--auth", A)
        rows = [(r["vantage"], r["cc_reused"]) for r in lab.of_set(records, "cookie") if r["role"] == "client"]
        self.assertEqual(sorted(rows), [("AUTH", True), ("X", True)])

    def test_secret(self):
        """RFC 9018, appendix A.1; the same for another client is forged."""
        s = Scene()
        s.deal(0, CC, CC + V1)
        s.deal(1000000, CC + V1, CC + V1)
        s.deal(2000000, CC + V1, CC + V1, client="198.51.100.7")
        rows = self.rows(s, "--cookie-secret", self.write("secret", ("# ours\n%s\n" % SECRET).encode()))
        self.assertEqual(rows["client", CLIENT]["verified"], {"genuine": 3, "forged": 0})
        self.assertEqual(rows["client", "198.51.100.7"]["verified"], {"genuine": 0, "forged": 2})
        self.assertEqual(rows["server", A]["verified"], {"genuine": 3, "forged": 2})
        for text in (b"", b"1234\n", b"zz" * 16, (SECRET + " x").encode(), (SECRET + "\n").encode() * 5):
            r = lab.fluxtap("run", "--out", self.out, "--pcap", self.path("a"), "--cookie-secret",
                            self.write("bad", text))
            self.assertEqual(r.code, 2, str(r))
            self.assertNotIn(SECRET, r.err)


if __name__ == "__main__":
    unittest.main()
