#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""DNS oddities through the whole program, each with what the books must say of it: derived by
hand from the RFCs and from what the README says of damaged messages, not from a run."""

import collections
import random
import struct
import unittest

import lab
from lab import Scene, qname, udp_frame

CLIENT, SERVER = "10.0.0.1", "192.0.2.53"
CLIENT6, SERVER6 = "2001:db8::1", "2001:db8:53::53"
QR, AA, TC, RD, RA = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080
A, NS, CNAME, SOA, OPT, AAAA, ANY = 1, 2, 5, 6, 41, 28, 255


def header(flags, qd=1, an=0, ns=0, ar=0, qid=0x1234):
    return struct.pack("!HHHHHH", qid, flags, qd, an, ns, ar)


def question(name="www.example.com", qtype=A, qclass=1):
    return (name if isinstance(name, bytes) else qname(name)) + struct.pack("!HH", qtype, qclass)


def rr(owner, rtype=A, rdata=b"\xc0\0\2\1", rclass=1, ttl=300):
    return owner + struct.pack("!HHIH", rtype, rclass, ttl, len(rdata)) + rdata


def opt(size=1232, high=0, version=0, rdata=b""):
    return b"\0" + struct.pack("!HHBBHH", OPT, size, high, version, 0, len(rdata)) + rdata


def pointer(to):
    return struct.pack("!H", 0xC000 | to)


SELF = pointer(12)  # the question's name
LONGEST = b"".join(bytes([63]) + bytes([97 + i]) * 63 for i in range(3)) + bytes([61]) + b"z" * 61 + b"\0"
assert len(LONGEST) == 255


class Case:
    """A message, and what is expected: QUERY or RESPONSE, MALFORMED, or DROP (why)."""

    def __init__(self, what, data, drop=None, malformed=False, qtype="A", rcode=None, opcode="QUERY", edns=0):
        self.what, self.data, self.drop, self.malformed = what, data, drop, malformed
        self.qtype, self.rcode, self.opcode, self.edns = qtype, rcode, opcode, edns  # rcode None: a query


def query(what, data, **kw):
    return Case(what, data, **kw)


def response(what, data, rcode="NOERROR", **kw):
    return Case(what, data, rcode=rcode, **kw)


def questions():
    yield query("no question", header(0, qd=0), qtype=None)
    yield query("no question but a cookie", header(0, qd=0, ar=1) + opt(rdata=b"\0\n\0\x08ABCDEFGH"), qtype=None, edns=1)
    yield query("two questions", header(RD, qd=2) + question() + question("www.example.org", AAAA))
    yield query("two said, one there", header(RD, qd=2) + question(), malformed=True)
    yield query("65535 questions said", header(RD, qd=65535) + question(), malformed=True)
    yield query("octets behind the message", header(RD) + question() + b"\xff" * 7)
    yield query("the root", header(RD) + question(b"\0", NS), qtype="NS")
    yield query("a name of 255 octets", header(RD) + question(LONGEST))
    yield query("a name of 256", header(RD) + question(b"\1x" + LONGEST), drop="name_long")
    yield query("127 labels", header(RD) + question(b"\1a" * 127 + b"\0"))
    yield query("128 labels", header(RD) + question(b"\1a" * 128 + b"\0"), drop="name_long")
    yield query("any octet in a label", header(RD) + question(b"\x10" + bytes(range(0, 16)) + b"\x20" + bytes(range(224, 256)) + b"\0"))
    yield query("dots, zeros and controls in labels", header(RD) + question(b"\4a.b\0\3\\\"\n\0"))
    for first in (0x40, 0x41, 0x7f, 0x80, 0xbf):  # bit labels (RFC 6891 5) and what nobody defined
        yield query("a label of type %#x" % first, header(RD) + question(bytes([first]) + b"a" * 16 + b"\0"),
                    drop="bad_label")
    for cut in range(12):
        yield query("%d octets" % cut, header(RD)[:cut], drop="short" if cut else None)
    whole = header(RD) + question()
    for cut in range(12, len(whole)):
        yield query("cut at %d" % cut, whole[:cut], drop="question_cut")


def pointers():
    yield query("to itself", header(RD) + question(pointer(12)), drop="name_loop")
    yield query("forwards", header(RD) + question(pointer(20)) + qname("x.example"), drop="name_loop")
    yield query("into the header", header(RD) + question(pointer(0)), drop="name_loop")
    yield query("behind the end", header(RD) + question(pointer(0x3fff)), drop="name_loop")
    yield query("back into its own labels", header(RD) + question(b"\3www" + pointer(12)), drop="name_loop")
    yield query("into the middle of a label", header(RD) + question(b"\3www" + pointer(13)), drop="name_loop")
    # Records' owners are stepped over, and their pointers followed where somebody reads the name:
    # it is nobody's then.
    yield response("owner that points to itself", header(QR, an=1) + question() + rr(pointer(33)))
    yield response("owner that points forwards", header(QR, an=1) + question() + rr(pointer(40)))
    ladder, at = b"", 33
    for i in range(20):  # each owner is a label in front of the one before
        ladder += rr(b"\1a" + pointer(12 if i == 0 else at), rdata=b"\x7f\0\0\1")
        at = 33 + len(ladder) - 18
    yield response("twenty pointers, one to the other", header(QR | AA, an=20) + question() + ladder)
    two = rr(pointer(33 + 12)), rr(pointer(33))
    yield response("two owners that point to one another", header(QR, an=2) + question() + two[0] + two[1])
    yield response("aliases in a circle", header(QR, an=2) + question() + rr(SELF, CNAME, b"\1x" + SELF)
                   + rr(pointer(45), CNAME, SELF))


def records():
    a = rr(SELF)
    yield response("an answer", header(QR | AA, an=1) + question() + a)
    yield response("without the question", header(QR | AA, qd=0, an=1) + rr(qname("www.example.com")), qtype=None)
    yield response("nothing but a header", header(QR | 5, qd=0), rcode="REFUSED")
    yield response("two OPT records", header(QR, ar=2) + question() + opt(512) + opt(4096, high=1))
    yield response("OPT among the answers", header(QR, an=1) + question() + opt(512, high=1))
    yield response("OPT among the authorities", header(QR, ns=1) + question() + opt(512, high=1))
    yield response("OPT that says BADVERS", header(QR, ar=1) + question() + opt(high=1), rcode="BADVERS")
    yield query("OPT whose option is too long", header(RD, ar=1) + question() + opt(rdata=b"\0\3\0\x09abcd"),
                malformed=True, edns=1)
    yield query("EDNS version 255", header(RD, ar=1) + question() + opt(version=255), edns=1)
    yield response("RDATA behind the end", header(QR | AA, an=1) + question() + a[:-1], malformed=True)
    yield response("one record of 65535 said", header(QR | AA, an=65535) + question() + a, malformed=True)
    yield response("TC and cut anywhere", header(QR | TC, an=2) + question() + a[:7])
    yield response("TC and empty", header(QR | TC) + question())
    yield response("unknown type and class", header(QR, an=1) + question(qtype=65399, qclass=77)
                   + rr(SELF, 65399, b"\0" * 9, 77))
    yield query("type 0, class 0", header(RD) + question(qtype=0, qclass=0), qtype="TYPE0")
    yield query("type 65535, class 65535", header(RD) + question(qtype=65535, qclass=65535), qtype="TYPE65535")
    yield query("class NONE", header(RD) + question(qclass=254))
    yield query("a query that carries an answer", header(0, an=1) + question() + a)


def opcodes():
    names = {1: "IQUERY", 2: "STATUS", 3: "OPCODE3", 4: "NOTIFY", 5: "UPDATE", 6: "DSO"}
    for code in range(1, 16):
        name = names.get(code, "OPCODE%d" % code)
        yield query("opcode %d" % code, header(code << 11) + question(qtype=SOA), opcode=name, qtype="SOA")
        yield response("opcode %d answered" % code, header(QR | code << 11 | 4) + question(qtype=SOA), rcode="NOTIMP")
    update = header(5 << 11, qd=1, an=1, ns=1) + question("example.com", SOA) + rr(
        qname("gone.example.com"), ANY, b"", 255, 0) + rr(qname("new.example.com"))
    yield query("an update with a prerequisite", update, opcode="UPDATE", qtype="SOA")
    yield query("a notify with its SOA", header(4 << 11 | AA, an=1) + question("example.com", SOA)
                + rr(SELF, SOA, b"\0\0" + b"\0\0\0\1" * 5), opcode="NOTIFY", qtype="SOA")
    yield query("an inverse query as of old", header(1 << 11, qd=0, an=1) + rr(b"\0"), opcode="IQUERY", qtype=None)


def tcp_frames(payload, port, v6):
    """SYN, data in segments of up to 400 octets, FIN."""
    out, seq = [], port * 1000
    body = struct.pack("!H", len(payload)) + payload
    parts = [(2, b"")] + [(24, body[i:i + 400]) for i in range(0, len(body), 400)] + [(17, b"")]
    for flags, data in parts:
        tcp = struct.pack("!HHIIBBHHH", port, 53, seq, 1, 5 << 4, flags, 1000, 0, 0) + data
        seq += len(data) + (flags in (2, 17))
        frame = bytearray(udp_frame(CLIENT6 if v6 else CLIENT, SERVER6 if v6 else SERVER, 1, 1, tcp))
        at = 54 if v6 else 34
        del frame[at:at + 8]  # the header of UDP
        if v6:
            frame[18:20], frame[20] = struct.pack("!H", len(tcp)), 6
        else:
            frame[16:18], frame[23] = struct.pack("!H", 20 + len(tcp)), 6
        out.append(bytes(frame))
    return out


CASES = [c for group in (questions, pointers, records, opcodes) for c in group()]


class Oddities(lab.Case):
    def put(self, scene, case, number, v6, tcp):
        """Each from a port of its own, so that nothing pairs; responses go to the client."""
        port, at = 2000 + number, 1000000 + number * 1000
        a, b = (CLIENT6, SERVER6) if v6 else (CLIENT, SERVER)
        if tcp:
            for i, frame in enumerate(tcp_frames(case.data, port, v6)):
                scene.put(at + i * 10, frame)
        elif case.rcode is None:
            scene.put(at, udp_frame(a, b, port, 53, case.data))
        else:
            scene.put(at, udp_frame(b, a, 53, port, case.data))

    def expect(self, cases, records, what):
        messages = [c for c in cases if c.data]
        kept = [c for c in messages if c.drop is None]
        queries = [c for c in kept if c.rcode is None]
        sums = {}
        for r in lab.of_set(records, "traffic"):
            for k, v in r.items():
                if isinstance(v, dict) and k.startswith("by_"):
                    sums[k] = sums.get(k, collections.Counter()) + collections.Counter(v)
                elif k in ("queries", "responses", "unsolicited", "unanswered"):
                    sums[k] = sums.get(k, 0) + v
        edns = sum(r["edns"].get("queries", 0) for r in lab.of_set(records, "traffic"))
        with self.subTest(what=what):
            self.assertEqual(lab.total(records, "messages"), len(messages))
            self.assertEqual(lab.totals(records, "msg_dropped"),
                             dict(collections.Counter(c.drop for c in messages if c.drop)))
            self.assertEqual(lab.total(records, "malformed"), sum(c.malformed for c in kept))
            self.assertEqual(sums.get("queries", 0), len(queries))
            self.assertEqual(sums.get("unanswered", 0), len(queries))
            self.assertEqual(sums.get("responses", 0), len(kept) - len(queries))
            self.assertEqual(sums.get("unsolicited", 0), len(kept) - len(queries))
            self.assertEqual(sums.get("by_qtype", {}), collections.Counter(c.qtype for c in queries if c.qtype))
            self.assertEqual(sums.get("by_opcode", {}), collections.Counter(c.opcode for c in queries))
            self.assertEqual(sums.get("by_rcode", {}),
                             collections.Counter(c.rcode for c in kept if c.rcode is not None))
            self.assertEqual(edns, sum(c.edns for c in queries))

    def test_one_by_one(self):
        """Each in a capture of its own, over UDP."""
        for k, case in enumerate(CASES):
            scene = Scene()
            self.put(scene, case, k, k % 2, False)
            records = self.run_ok("--pcap", scene.capture().save(self.path("a")), "--channels", "all")
            self.expect([case], records, case.what)
            if not case.data:
                self.assertEqual(lab.totals(records, "dropped"), {"empty": 1})

    def test_all_together(self):
        """Over UDP and TCP, IPv4 and IPv6, in any order, with one worker and with more."""
        rng = random.Random(7)
        for tcp in (False, True):
            order = [c for c in CASES * 4 if c.data or not tcp]
            rng.shuffle(order)
            scene = Scene()
            for k, case in enumerate(order):
                self.put(scene, case, k, k % 2, tcp)
            path = scene.capture().save(self.path("all"))
            cores = [lab.cpus()[:1]] + [lab.cpus()[:2]] * (len(lab.cpus()) > 1)
            runs = [self.run_ok("--pcap", path, "--channels", "all", "--cores", ",".join(map(str, c))) for c in cores]
            for records in runs:
                self.expect(order, records, "tcp" if tcp else "udp")
                self.same(runs[0], records)

    def test_icmp(self):
        """Errors that quote a DNS packet are not DNS, and what they quote does not count."""
        scene, quoted = Scene(), 0
        for k, (kind, code) in enumerate(((3, 3), (3, 1), (3, 13), (11, 0), (12, 0), (5, 1))):
            inner = udp_frame(CLIENT, SERVER, 3000 + k, 53, header(RD) + question())[14:]
            for length in (28, len(inner), 60):
                icmp = struct.pack("!BBHI", kind, code, 0, 0) + inner[:length]
                icmp = icmp[:2] + struct.pack("!H", lab.checksum(icmp)) + icmp[4:]
                frame = bytearray(udp_frame(SERVER, CLIENT, 1, 1, icmp))
                del frame[34:42]
                frame[16:18], frame[23] = struct.pack("!H", 20 + len(icmp)), 1
                scene.put(quoted * 100, bytes(frame))
                quoted += 1
        inner = udp_frame(CLIENT6, SERVER6, 3000, 53, header(RD) + question())[14:]
        for kind in (1, 2, 3, 4):
            icmp = struct.pack("!BBHI", kind, 0, 0, 0) + inner
            frame = bytearray(udp_frame(SERVER6, CLIENT6, 1, 1, icmp))
            del frame[54:62]
            frame[18:20], frame[20] = struct.pack("!H", len(icmp)), 58
            scene.put(quoted * 100, bytes(frame))
            quoted += 1
        scene.pair(500000, CLIENT, SERVER)
        records = self.run_ok("--pcap", scene.capture().save(self.path("icmp")))
        self.assertEqual(lab.totals(records, "dropped"), {"not_dns": quoted})
        self.assertEqual(lab.total(records, "messages"), 2)
        self.assertEqual(sum(r["pairs"] for r in lab.of_set(records, "traffic")), 1)


if __name__ == "__main__":
    unittest.main()
