# SPDX-License-Identifier: BSD-3-Clause
"""The NXDOMAIN channel against a plain reading of the capture: every distinct question, server and
zone that ended in NXDOMAIN once an interval, with its exact count, first wire form and time.

test_channel.py [PAIRS]: 60,000 by default; a million is the published size."""

import collections
import ipaddress
import struct
import sys
import unittest

import lab

PAIRS = int(sys.argv.pop()) if len(sys.argv) > 1 and sys.argv[-1].isdigit() else 60000
QTYPES = {1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 43: "DS",
          48: "DNSKEY", 64: "SVCB", 65: "HTTPS", 255: "ANY"}


def name_at(message, at):
    """(text in the wire's case with its last dot, offset behind it)"""
    labels, end, jumps = [], None, 0
    while message[at]:
        if message[at] >= 0xC0:
            end = end or at + 2
            at = struct.unpack_from(">H", message, at)[0] & 0x3FFF
            jumps += 1
            assert jumps < 64
            continue
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels) + ".", end or at + 1


def frames(path):
    """(time in us, source, destination, source port, destination port, UDP payload)"""
    with open(path, "rb") as f:
        magic = struct.unpack("<I", f.read(24)[:4])[0]
        unit = 1 if magic == 0xA1B2C3D4 else 1000
        while head := f.read(16):
            s, part, n, _ = struct.unpack("<IIII", head)
            data = f.read(n)
            v6 = data[12:14] == b"\x86\xdd"
            addresses, l4 = (data[22:54], 54) if v6 else (data[26:34], 34)
            half = len(addresses) // 2
            sport, dport = struct.unpack_from(">HH", data, l4)
            yield s * 1000000 + part // unit, addresses[:half], addresses[half:], sport, dport, data[l4 + 8:]


def nxdomain_key(m, server):
    """(qname, qtype, server, zone) and the wire forms of the names; None for another response."""
    _, flags, qd, an, ns, _ = struct.unpack_from(">HHHHHH", m)
    if flags & 15 != 3:
        return None
    assert qd == 1
    qname, at = name_at(m, 12)
    qtype = struct.unpack_from(">H", m, at)[0]
    at += 4
    zone = ""
    for i in range(an + ns):
        owner, at = name_at(m, at)
        rtype, _, _, length = struct.unpack_from(">HHIH", m, at)
        at += 10 + length
        if i >= an and rtype == 6 and not zone:
            zone = owner
    return (qname.lower(), QTYPES.get(qtype, "TYPE%d" % qtype), str(ipaddress.ip_address(server)),
            zone.lower()), qname, zone


def plain_reading(path, interval):
    """{(start, qname, qtype, server, zone): [count, first time, qname's and zone's wire forms then]}; a
    transaction belongs to the interval of its query."""
    asked, found = {}, {}
    for us, source, destination, sport, dport, m in frames(path):
        if dport == 53:
            asked[source, sport, destination, m[:2]] = us
            continue
        query_us = asked.pop((destination, dport, source, m[:2]), us)
        row = nxdomain_key(m, source)
        if row is None:
            continue
        key = (query_us // 1000000 // interval * interval,) + row[0]
        if key not in found:
            found[key] = [0, us, row[1], row[2]]
        found[key][0] += 1
    return found


class Channel(lab.Case):
    def test_mix(self):
        pcap = self.path("mix.pcap")
        done = lab.call([lab.GEN, "--scenario", "mix", "--pairs", str(PAIRS), "--duration", "240", "--pcap", pcap],
                        timeout=600)
        self.assertEqual(done.code, 0, str(done))
        want = plain_reading(pcap, 60)
        self.assertGreater(len(want), PAIRS // 20)
        for n in 1, 2:
            out = self.path("out%d" % n)
            done = lab.fluxtap("run", "--pcap", pcap, "--out", out, "--quiet", "--no-huge", "--channels", "all",
                               "--probe", "channel", "--cores", ",".join(map(str, lab.cpus()[:n])),
                               "--error-entries", "64" if n == 2 else "65536", timeout=600)
            self.assertEqual(done.code, 0, str(done))
            have = {}
            for r in lab.parse(lab.fluxtap("cat", "--set", "nxdomain", out, timeout=600).out):
                key = (r["start"], r["qname"], r["qtype"], r["response_ip"], (r["soa_rrname_raw"] or "").lower())
                self.assertNotIn(key, have, "one record for each")
                have[key] = r
            self.assertEqual(set(have), set(want))
            for key, (count, us, qname, zone) in want.items():
                r = have[key]
                self.assertEqual((r["count"], r["response_us"], r["qname_raw"], r["soa_rrname_raw"] or "", r["qclass"]),
                                 (count, us, qname, zone, "IN"))


class ErrorMix(lab.Case):
    """The generator's scenario of failures and block list look-ups against its own books."""

    def test_errors(self):
        pcap, books = lab.traffic("errors", "--pairs", "20000")
        self.write("r.rules", b"list dnsbl bl.example\ndomains dnsbl dbl.example\n")
        records = self.run_ok("--pcap", pcap, "--rules", self.path("r.rules"))
        failed, looked_up = collections.Counter(), collections.Counter()
        for e in books["errors"]:
            if e["class"] != "DATA":
                failed[e["start"], e["qname"], e["class"]] += e["queries"]
            if "zone" in e:
                looked_up[e["start"], e["zone"], e["subject"], e["result"]] += e["queries"]
        self.assertGreater(len(failed), 300)
        self.assertEqual({c for _, _, c in failed},
                         {"NXDOMAIN", "SERVFAIL", "REFUSED", "FORMERR", "NOTIMP", "TIMEOUT"})
        self.assertEqual({r for *_, r in looked_up}, {"LISTED", "NOT_LISTED", "REFUSED"})
        have = collections.Counter()
        for name in "nxdomain", "dnserror":
            for r in lab.of_set(records, name):
                have[r["start"], r["qname"], r.get("class", "NXDOMAIN")] += r["count"]
        self.assertEqual(have, failed)
        have = collections.Counter()
        for r in lab.of_set(records, "match"):
            have[r["start"], r["zone"], r["subject"], r["result"]] += r["queries"]
        self.assertEqual(have, looked_up)


if __name__ == "__main__":
    unittest.main()
