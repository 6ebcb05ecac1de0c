# SPDX-License-Identifier: BSD-3-Clause
"""Set `transport`: connections, Fast Open, truncated answers and transfers, each made by hand and counted here."""

import struct
import unittest

import lab

CLIENT, A, B = "198.51.100.7", "192.0.2.1", "192.0.2.2"
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
MIXES = ("udp53", "tcp53", "dot", "doq", "doh")
COOKIE = bytes([34, 10]) + b"cookie!!"
REQUEST = bytes([34, 2])
OPT = b"\0" + struct.pack("!HHIH", 41, 4096, 0, 0)


def tcp_frame(src, dst, sport, dport, flags, seq, ack, payload=b"", options=b""):
    options += b"\1" * (-len(options) % 4)
    frame = lab.udp_frame(src, dst, sport, dport, b"\0" * (12 + len(options)) + payload)
    at = 54 if ":" in src else 34
    tcp = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50 + len(options) * 4, flags,
                      65535, 0, 0) + options + payload
    ip = bytearray(frame[14:at])
    if at == 34:
        ip[9], ip[10:12] = 6, b"\0\0"
        ip[10:12] = struct.pack("!H", lab.checksum(bytes(ip)))
    else:
        ip[6] = 6
    return frame[:14] + bytes(ip) + tcp


def soa(serial):
    rdata = b"\2ns\xc0\x0c\4host\xc0\x0c" + struct.pack("!IIIII", serial, 3600, 600, 86400, 300)
    return b"\xc0\x0c" + struct.pack("!HHIH", 6, 1, 300, len(rdata)) + rdata


def rr(n):
    return b"\1a\xc0\x0c" + struct.pack("!HHIHI", 1, 1, 300, 4, n)


def transfer_query(qid, zone, qtype, serial=None, tsig=False):
    out = struct.pack("!HHHHHH", qid, 0, 1, 0, serial is not None, tsig) + lab.qname(zone) + struct.pack("!HH", qtype, 1)
    if serial is not None:
        out += soa(serial)
    if tsig:
        out += b"\3key\0" + struct.pack("!HHIH", 250, 255, 0, 16) + b"\0" * 16
    return out


def transfer_answer(qid, zone, qtype, rrs, rcode=0, question=True, tc=False):
    out = struct.pack("!HHHHHH", qid, 0x8400 | rcode | tc << 9, question, len(rrs), 0, 0)
    if question:
        out += lab.qname(zone) + struct.pack("!HH", qtype, 1)
    else:  # names point at the question's place: give them one
        out += b""
        rrs = [lab.qname(zone) + r[r.index(b"\xc0\x0c") + 2:].replace(b"\xc0\x0c", b"\0") if r[0] == 0xC0 else
               b"\1a" + lab.qname(zone) + r[4:] for r in rrs]
        rrs = [fix_rdlen(r) for r in rrs]
    return out + b"".join(rrs)


def fix_rdlen(r):
    """The record with its length of rdata as its octets are."""
    at = 0
    while r[at]:
        at += r[at] + 1
    at += 9
    return r[:at] + struct.pack("!H", len(r) - at - 2) + r[at + 2:]


def client_hello(sni=None, alpn=None, pad=0):
    ext = b""
    if sni:
        n = sni.encode()
        ext += struct.pack("!HHHBH", 0, len(n) + 5, len(n) + 3, 0, len(n)) + n
    if pad:
        ext = struct.pack("!HH", 21, pad) + b"\0" * pad + ext
    if alpn:
        ext += struct.pack("!HHHB", 16, len(alpn) + 3, len(alpn) + 1, len(alpn)) + alpn
    body = b"\3\3" + b"r" * 32 + b"\0" + b"\0\2\x13\1" + b"\1\0" + struct.pack("!H", len(ext)) + ext
    hs = b"\1" + struct.pack("!I", len(body))[1:] + body
    return b"\x16\3\1" + struct.pack("!H", len(hs)) + hs


def server_hello(tls13=True):
    ext = struct.pack("!HHH", 43, 2, 0x0304) if tls13 else struct.pack("!HH", 23, 0)
    body = b"\3\3" + b"s" * 32 + b"\0" + b"\x13\1" + b"\0" + struct.pack("!H", len(ext)) + ext
    hs = b"\2" + struct.pack("!I", len(body))[1:] + body
    return b"\x16\3\3" + struct.pack("!H", len(hs)) + hs


def quic_initial():
    return (b"\xc3\0\0\0\1\x08" + b"d" * 8 + b"\0").ljust(1200, b"x")


class Conn:
    """A TCP connection, a packet at a time; counts what it sends."""

    def __init__(self, scene, at_us, client=CLIENT, server=A, sport=None, port=53):
        scene.ports += 1
        self.s, self.at = scene, at_us
        self.c, self.d = (client, sport or 20000 + scene.ports, 1000), (server, port, 5000)
        self.seq = {True: 1000, False: 5000}
        self.sent = {True: 0, False: 0}
        self.packets = self.bytes = 0

    def put(self, client, flags, payload=b"", options=b"", seq=None, ack=None, count=True):
        a, b = (self.c, self.d) if client else (self.d, self.c)
        seq = self.seq[client] if seq is None else seq
        f = tcp_frame(a[0], b[0], a[1], b[1], flags, seq, self.seq[not client] if ack is None else ack, payload, options)
        self.s.put(self.at, f)
        self.at += 1000
        self.packets += 1
        self.bytes += len(f)
        if count:
            self.seq[client] = seq + len(payload) + bool(flags & SYN) + bool(flags & FIN)
            self.sent[client] += len(payload)
        return self

    def open(self):
        return self.put(True, SYN, ack=0).put(False, SYN | ACK).put(True, ACK)

    def message(self, client, data):
        return self.put(client, ACK | PSH, struct.pack("!H", len(data)) + data)

    def close(self):
        return self.put(True, FIN | ACK).put(False, FIN | ACK).put(True, ACK)


class Scene(lab.Scene):
    ports = 0

    def truncated(self, at_us, name, client=CLIENT, server=A, sport=3000, bufsize=None, tc=True, qtype=1):
        """A question over UDP and its answer 1 ms later."""
        self.qid += 1
        q = lab.message(name, self.qid, qtype=qtype)
        r = bytearray(lab.message(name, self.qid, True, aa=True, qtype=qtype))
        r[2] |= tc << 1
        if bufsize:
            q = q[:11] + b"\1" + q[12:] + b"\0" + struct.pack("!HHIH", 41, bufsize, 0, 0)
        self.put(at_us, lab.udp_frame(client, server, sport, 53, q))
        self.put(at_us + 1000, lab.udp_frame(server, client, 53, sport, bytes(r)))

    def retry(self, at_us, name, client=CLIENT, server=A, answered=True, qtype=1):
        self.qid += 1
        c = Conn(self, at_us, client, server).open().message(True, lab.message(name, self.qid, qtype=qtype))
        if answered:
            c.message(False, lab.message(name, self.qid, True, aa=True, qtype=qtype, answers=1))
        return c.close()


class Base(lab.Case):
    def records_of(self, scene, *args):
        path = scene.capture().save(self.path("a"))
        records = self.run_ok("--pcap", path, "--interval", 3600, *args)
        if len(lab.cpus()) > 1:
            cpus = ",".join(map(str, lab.cpus()[:4]))
            self.same(records, self.run_ok("--pcap", path, "--interval", 3600, "--cores", cpus, *args))
        return records

    def row(self, scene, *args):
        rows = [r for r in lab.of_set(self.records_of(scene, *args), "transport") if "kind" not in r]
        self.assertEqual(len(rows), 1)
        self.assertEqual(rows[0]["lost"], {"tickets": 0, "connections": 0, "transfers": 0})
        return rows[0]

    def kinds(self, scene, kind, *args):
        return [r for r in lab.of_set(self.records_of(scene, *args), "transport") if r.get("kind") == kind]

    def doh_list(self, *lines):
        return "--doh", self.write("doh.list", "".join(x + "\n" for x in lines).encode())


class FastOpen(Base):
    def tfo(self, syn, syn_ack, data=b"", accepted=False, again=None):
        s = Scene()
        c = Conn(s, 0)
        c.put(True, SYN, data, syn, ack=0, count=False)
        if again is not None:
            c.at += again
            c.put(True, SYN, b"", b"", ack=0, count=False)
        c.seq[True] += 1 + (len(data) if accepted else 0)
        c.put(False, SYN | ACK, b"", syn_ack)
        c.put(False, SYN | ACK, b"", syn_ack, seq=5000)  # it comes again: one connection all the same
        r = self.row(s)
        self.assertEqual(r["mix"]["tcp53"]["connections"], 1)
        self.assertEqual(r["mix"]["tcp53"]["packets"], c.packets)
        self.assertEqual(r["mix"]["tcp53"]["bytes"], c.bytes)
        return r["tfo"]

    def test_classes(self):
        q = lab.message("www.example", 1)
        data = struct.pack("!H", len(q)) + q
        old = bytes([254, 4]) + struct.pack("!H", 0xF989)
        old_cookie = bytes([254, 12]) + struct.pack("!H", 0xF989) + b"cookie!!"
        for name, want, args in (
                ("none", "NONE", (b"\2\4\5\xb4", b"")),
                ("request", "REQ", (REQUEST, b"")),
                ("granted", "REQ_GRANTED", (REQUEST, COOKIE)),
                ("old form", "REQ_GRANTED", (b"\2\4\5\xb4" + old, old_cookie)),
                ("accepted", "DATA_ACCEPTED", (b"\2\4\5\xb4" + COOKIE, b"", data, True)),
                ("accepted, renewed", "DATA_ACCEPTED", (COOKIE, COOKIE, data, True)),
                ("rejected", "DATA_REJECTED", (COOKIE, b"", data)),
                ("new cookie", "DATA_REJECTED_NEWCOOKIE", (COOKIE, COOKIE, data)),
                ("black hole", "BLACKHOLE", (COOKIE, b"", data, False, 1000000)),
                ("black hole of a request", "BLACKHOLE", (REQUEST, b"", b"", False, 3000000 - 2000)),
                ("too late for one", "REQ", (REQUEST, b"", b"", False, 3100000)),
                ("data without a cookie", "NONE", (b"", b"", data)),
                ("odd cookie", "NONE", (bytes([34, 7]) + b"12345", b"", data))):
            with self.subTest(name=name):
                self.assertEqual(self.tfo(*args), {want: 1})

    def test_black_hole_without_answer(self):
        s = Scene()
        Conn(s, 0, sport=9).put(True, SYN, b"", REQUEST, ack=0)
        Conn(s, 1000000, sport=9).put(True, SYN, ack=0)
        Conn(s, 9000000, sport=10).put(True, SYN, ack=0)  # no connection
        r = self.row(s)
        self.assertEqual(r["tfo"], {"BLACKHOLE": 1})
        self.assertEqual(r["mix"]["tcp53"]["connections"], 0)

    def test_ports_again(self):
        s = Scene()
        for k in range(3):
            Conn(s, k * 1000000, sport=777).open().close().s.ports += 0
        c = Conn(s, 9000000, sport=777)
        c.seq = {True: 99, False: 98}
        c.open()
        r = self.row(s)
        # The same sequence numbers are retransmissions.
        self.assertEqual((r["mix"]["tcp53"]["connections"], r["tfo"]), (2, {"NONE": 2}))


class Truncated(Base):
    def tc(self, s, *args):
        r = self.row(s, *args)["tc"]
        return {k: v for k, v in r.items() if k in "TCP_OK TCP_FAIL UDP_RETRY OTHER_SERVER NONE".split() and v}, r

    def outcome(self, follow):
        s = Scene()
        s.truncated(0, "big.example")
        follow(s)
        for k in range(30):  # other work of this and other clients
            s.pair(k * 300000, CLIENT, B, name="n%d.example" % k, aa=True)
            s.pair(k * 300000 + 50, "198.51.100.9", B, name="big.example", aa=True)
        got, r = self.tc(s)
        self.assertEqual((r["responses"], r["p"]), (1, 1.0))
        self.assertEqual(len(got), 1, got)
        return next(iter(got))

    def test_each(self):
        def refused(s):
            Conn(s, 500000).put(True, SYN, ack=0).put(False, RST | ACK)

        def other_question(s):  # the connection is for something else
            s.retry(500000, "else.example")

        def other_later(s):
            s.retry(500000, "big.example", answered=False)
            s.query(2000000, CLIENT, B, "big.example")

        def other_first(s):
            s.query(400000, CLIENT, B, "big.example")
            s.retry(500000, "big.example")

        for name, want, follow in (
                ("ok", "TCP_OK", lambda s: s.retry(500000, "big.example")),
                ("ok, last moment", "TCP_OK", lambda s: s.retry(4990000, "big.example")),
                ("too late", "NONE", lambda s: s.retry(5100000, "big.example")),
                ("no answer", "TCP_FAIL", lambda s: s.retry(500000, "big.example", answered=False)),
                ("no SYN-ACK", "TCP_FAIL", lambda s: Conn(s, 500000).put(True, SYN, ack=0)),
                ("refused", "TCP_FAIL", refused),
                ("nothing said", "TCP_FAIL", lambda s: Conn(s, 500000).open().close()),
                ("other question", "NONE", other_question),
                ("failed, then another", "TCP_FAIL", other_later),
                ("another, then it", "OTHER_SERVER", other_first),
                ("larger", "UDP_RETRY", lambda s: s.truncated(500000, "big.example", sport=3001, bufsize=4096, tc=False)),
                ("as large", "NONE", lambda s: s.truncated(500000, "big.example", sport=3001, tc=False)),
                ("other type", "NONE", lambda s: s.retry(500000, "big.example", qtype=28)),
                ("other server", "OTHER_SERVER", lambda s: s.query(500000, CLIENT, B, "big.example")),
                ("other server, TCP", "OTHER_SERVER", lambda s: s.retry(500000, "big.example", server=B)),
                ("other client", "NONE", lambda s: s.retry(500000, "big.example", client="198.51.100.8")),
                ("none", "NONE", lambda s: None)):
            with self.subTest(name=name):
                self.assertEqual(self.outcome(follow), want)

    def test_retry_is_cut_again(self):
        s = Scene()
        s.truncated(0, "big.example")
        s.truncated(100000, "big.example", sport=3001, bufsize=4096)
        s.retry(300000, "big.example")
        self.assertEqual(self.tc(s)[0], {"UDP_RETRY": 1, "TCP_OK": 1})

    def test_latency(self):
        s = Scene()
        for k in range(100):
            s.truncated(k * 10000000, "n%d.example" % k, client="198.51.100.%d" % (k + 1))
            s.retry(k * 10000000 + 2000 + 1000 * k, "n%d.example" % k, client="198.51.100.%d" % (k + 1))
        got, r = self.tc(s)
        self.assertEqual(got, {"TCP_OK": 100})
        want = sorted(2000 + 1000 * k + 4000 for k in range(100))  # SYN, SYN-ACK, ACK, query
        self.assertEqual((r["latency_us"]["count"], r["latency_us"]["max"]), (100, want[-1]))
        for q, at in (("p50", 49), ("p90", 89), ("p99", 98)):
            self.assertAlmostEqual(r["latency_us"][q] / want[at], 1, delta=0.0101)

    def test_intervals(self):
        """Booked at the response, though the client does something in the next interval."""
        s = Scene()
        s.truncated(59900000, "a.example")
        s.query(60500000, CLIENT, B, "a.example")
        s.truncated(59950000, "b.example", sport=3002)
        s.retry(62000000, "b.example")
        s.pair(200000000, CLIENT, B, aa=True)
        path = s.capture().save(self.path("a"))
        for cores in ([], ["--cores", ",".join(map(str, lab.cpus()[:4]))]):
            for interval in (1, 60):
                rows = [r for r in lab.of_set(self.run_ok("--pcap", path, "--interval", interval, *cores), "transport")
                        if r["tc"]["responses"]]
                self.assertEqual([r["start"] for r in rows], [s.START_S + 60 - interval])
                self.assertEqual([rows[0]["tc"][k] for k in ("responses", "OTHER_SERVER", "TCP_OK")], [2, 1, 1])


class Transfers(Base):
    ZONE = "zone.example"

    def one(self, qtype, answers, serial=None, tsig=False, udp=False, qid=77, lookups=True, **kw):
        """answers: [(rrs, rcode, with question)]; one record, with what was sent."""
        s = Scene()
        messages = [transfer_answer(qid, self.ZONE, qtype, rrs, rcode, question, **kw) for rrs, rcode, question in answers]
        query = transfer_query(qid, self.ZONE, qtype, serial, tsig)
        if udp:
            s.put(0, lab.udp_frame(CLIENT, A, 4000, 53, query))
            s.put(1000, lab.udp_frame(A, CLIENT, 53, 4000, messages[0]))
            dur = 1000
        else:
            c = Conn(s, 0).open()
            if lookups:  # the serial first, on the same connection
                c.message(True, lab.message(self.ZONE, 76, qtype=6))
                c.message(False, lab.message(self.ZONE, 76, True, aa=True, qtype=6) + b"")
            begin = c.at
            c.message(True, query)
            for m in messages:
                data = struct.pack("!H", len(m)) + m
                for k in range(0, len(data), 1400):
                    c.put(False, ACK, data[k:k + 1400])
            dur = c.at - 1000 - begin
            c.close()
        rows = self.kinds(s, "transfer")
        self.assertEqual(len(rows), 1, rows)
        r = rows[0]
        self.assertEqual((r["client"], r["server"], r["zone"]), (CLIENT, A, self.ZONE + "."))
        self.assertEqual(r["type"], {251: "IXFR", 252: "AXFR"}[qtype])
        self.assertEqual(r["messages"], len(messages))
        self.assertEqual(r["bytes"], sum(map(len, messages)))
        self.assertEqual(r["rrs"], sum(len(rrs) for rrs, _, _ in answers))
        self.assertEqual(r["dur_us"], dur)
        self.assertEqual((r["serial_from"], r["tsig"]), (serial, tsig))
        return r["style"], r["serial_to"]

    def test_axfr(self):
        self.assertEqual(self.one(252, [([soa(9), rr(1), rr(2), soa(9)], 0, True)]), ("full", 9))
        many = [([soa(9)] + [rr(k) for k in range(900)], 0, True)]
        many += [([rr(k) for k in range(1000)], 0, k % 2 == 0) for k in range(5)]
        many += [([rr(1), soa(9)], 0, False)]
        self.assertEqual(self.one(252, many, tsig=True), ("full", 9))
        self.assertEqual(self.one(252, [([soa(9)], 0, True), ([rr(1)], 0, True), ([soa(9)], 0, True)]), ("full", 9))

    def test_ixfr(self):
        diff = [soa(9), soa(7), rr(1), soa(8), rr(2), rr(3), soa(8), rr(2), soa(9), rr(5), soa(9)]
        self.assertEqual(self.one(251, [(diff, 0, True)], serial=7), ("diff", 9))
        for cut in range(1, len(diff)):
            with self.subTest(cut=cut):
                self.assertEqual(self.one(251, [(diff[:cut], 0, True), (diff[cut:], 0, True)], serial=7, lookups=False),
                                 ("diff", 9))
        self.assertEqual(self.one(251, [([soa(9), rr(1), soa(9)], 0, True)], serial=7), ("full", 9))
        self.assertEqual(self.one(251, [([soa(9)], 0, True)], serial=9), ("uptodate", 9))
        self.assertEqual(self.one(251, [([soa(9)], 0, True)], serial=12), ("uptodate", 9))
        self.assertEqual(self.one(251, [([soa(3)], 0, True)], serial=3, udp=True), ("uptodate", 3))
        self.assertEqual(self.one(251, [(diff, 0, True)], serial=7, udp=True), ("diff", 9))
        self.assertEqual(self.one(251, [([soa(9)], 0, True)], serial=7, udp=True), ("overflow", 9))

    def test_refused(self):
        self.assertEqual(self.one(252, [([], 5, True)]), ("refused", None))
        self.assertEqual(self.one(251, [([], 9, True)], serial=4), ("notauth", None))
        self.assertEqual(self.one(252, [([], 2, True)]), ("failed", None))

    def test_broken_off(self):
        self.assertEqual(self.one(252, [([soa(9), rr(1)], 0, True)]), ("failed", 9))
        s = Scene()
        Conn(s, 0).open().message(True, transfer_query(5, self.ZONE, 252)).close()
        self.assertEqual([(r["style"], r["messages"]) for r in self.kinds(s, "transfer")], [("failed", 0)])

    def test_two_at_once(self):
        s = Scene()
        c = Conn(s, 0).open().message(True, transfer_query(1, "a.example", 252)).message(
            True, transfer_query(2, "b.example", 252))
        c.message(False, transfer_answer(2, "b.example", 252, [soa(2), rr(1)]))
        c.message(False, transfer_answer(1, "a.example", 252, [soa(1), soa(1)]))
        c.message(False, transfer_answer(2, "b.example", 252, [rr(2), rr(3), soa(2)]))
        got = sorted((r["zone"], r["messages"], r["rrs"], r["serial_to"]) for r in self.kinds(s, "transfer"))
        self.assertEqual(got, [("a.example.", 1, 2, 1), ("b.example.", 2, 5, 2)])


class Encrypted(Base):
    def flow(self, s, at, first, port=853, server=A, answer=b"\x16\3\3\0\1\2", more=b"x" * 700):
        c = Conn(s, at, server=server, port=port).open()
        for k in range(0, len(first), 1400):
            c.put(True, ACK, first[k:k + 1400])
        return c.put(False, ACK, answer).put(True, ACK, more).put(False, ACK, more).close()

    def mixes(self, s, *args):
        records = self.records_of(s, *args)
        rows = [r for r in lab.of_set(records, "transport") if "kind" not in r]
        self.assertEqual(len(rows), 1)
        return rows[0]["mix"], lab.totals(records, "dropped")

    def sums(self, *flows):
        return {"packets": sum(f.packets for f in flows), "bytes": sum(f.bytes for f in flows),
                "connections": len(flows), "messages": 0}

    def nothing(self):
        return {"packets": 0, "bytes": 0, "connections": 0, "messages": 0}

    def test_dot(self):
        s = Scene()
        a = self.flow(s, 0, client_hello())
        b = self.flow(s, 500000, client_hello(alpn=b"dot", pad=1800))
        c = self.flow(s, 900000, b"GET / HTTP/1.0\r\n\r\n")  # something else on its port
        d = Conn(s, 1200000, port=853).open().close()        # nothing was said
        e = Conn(s, 1500000, "2001:db8::7", "2001:db8::1", port=853).open().put(True, ACK, client_hello()).close()
        got, dropped = self.mixes(s)
        self.assertEqual(got["dot"], self.sums(a, b, e))
        self.assertEqual(dropped, {"encrypted": sum(x.packets for x in (a, b, c, d, e))})
        for m in ("udp53", "tcp53", "doq", "doh"):
            self.assertEqual(got[m], self.nothing())

    def test_doq(self):
        s = Scene()
        packets = size = n = 0
        for k, port in enumerate((853, 784, 8853)):
            for j, (mine, data) in enumerate(((True, quic_initial()), (False, quic_initial()), (True, b"\x40" + b"s" * 60),
                                              (False, b"\x41" + b"s" * 300))):
                ends = (CLIENT, A, 5000 + k, port) if mine else (A, CLIENT, port, 5000 + k)
                f = lab.udp_frame(*ends, data)
                s.put(k * 1000000 + j * 1000, f)
                packets, size = packets + 1, size + len(f)
        for j in range(3):  # DTLS, and nothing in particular
            s.put(j, lab.udp_frame(CLIENT, A, 5100, 853, b"\x16\xfe\xfd" + b"d" * 50))
            n += 1
        got, dropped = self.mixes(s)
        self.assertEqual(got["doq"], {"packets": packets, "bytes": size, "connections": 3, "messages": 0})
        self.assertEqual(dropped, {"encrypted": packets + n})

    def test_doh(self):
        s = Scene()
        a = self.flow(s, 0, client_hello("www.example"), 443, server="203.0.113.5")
        b = self.flow(s, 300000, client_hello("DNS.Example.net"), 443, server="203.0.113.77")
        c = self.flow(s, 600000, client_hello("x1.dns.example.org", pad=1500), 443, server="203.0.113.78")
        d = self.flow(s, 900000, client_hello("www.example.net"), 443, server="203.0.113.79")
        e = self.flow(s, 1200000, client_hello("dns.example.org"), 443, server="203.0.113.80")
        f = lab.udp_frame(CLIENT, "203.0.113.5", 6000, 443, quic_initial())
        s.put(2000000, f)
        got, dropped = self.mixes(s, *self.doh_list("# servers", "203.0.113.4/31", "dns.example.net", "*.dns.example.org"))
        want = self.sums(a, b, c)
        self.assertEqual(got["doh"], {"packets": want["packets"] + 1, "bytes": want["bytes"] + len(f),
                                      "connections": 4, "messages": 0})
        self.assertEqual(sum(dropped.values()), sum(x.packets for x in (a, b, c, d, e)) + 1)
        # What comes before the name was seen is nobody's yet.
        self.assertEqual(dropped["not_dns"], d.packets + e.packets + 3 + 4)
        # Without a list nothing is DoH.
        got, dropped = self.mixes(s)
        self.assertEqual((got["doh"], set(dropped)), (self.nothing(), {"not_dns"}))

    def test_bad_list(self):
        r = lab.fluxtap("run", "--quiet", "--out", self.out, "--pcap", Scene().capture().save(self.path("a")),
                        *self.doh_list("192.0.2.1", "no name"))
        self.assertEqual(r.code, 2)
        self.assertIn("doh.list:2: ", r.err)

    def test_plain(self):
        """Datagrams, also in fragments, and messages over TCP."""
        s = Scene()
        s.pair(0, CLIENT, A, aa=True)
        s.pair(5000, CLIENT, A, aa=True, name="x.example")
        whole = lab.udp_frame(A, CLIENT, 53, 4000, lab.message("f.example", 9, True, aa=True, answers=80))[34:]
        for k in range(0, len(whole), 800):
            part = whole[k:k + 800]
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(part), 7, (0x2000 if k + 800 < len(whole) else 0) | k // 8,
                             64, 17, 0, bytes([192, 0, 2, 1]), bytes([198, 51, 100, 7]))
            ip = ip[:10] + struct.pack("!H", lab.checksum(ip)) + ip[12:]
            s.put(7000 + k, bytes.fromhex("020000000002020000000001") + b"\x08\0" + ip + part)
        udp = [len(p[2]) for p in s.packets]
        c = s.retry(9000, "t.example")
        s.put(20000, b"\2" * 12 + b"\x08\6" + b"\0" * 28)  # ARP
        got, _ = self.mixes(s)
        self.assertEqual(got["udp53"], {"packets": len(udp), "bytes": sum(udp), "connections": 0, "messages": 5})
        self.assertEqual(got["tcp53"], {"packets": c.packets, "bytes": c.bytes, "connections": 1, "messages": 2})

    def test_intervals(self):
        """Each packet in its own interval, also those before the ClientHello."""
        s = Scene()
        c = Conn(s, 59998500, port=853).open()
        before = c.bytes
        c.at = 61000000
        c.put(True, ACK, client_hello()).put(False, ACK, b"x" * 100).close()
        path = s.capture().save(self.path("a"))
        rows = [r["mix"]["dot"] for r in lab.of_set(self.run_ok("--pcap", path), "transport")]
        two = rows[0]["packets"]
        self.assertEqual(two, 2)  # SYN and SYN-ACK
        self.assertEqual(rows[1]["packets"], c.packets - 2)
        self.assertEqual(rows[0]["bytes"] + rows[1]["bytes"], c.bytes)
        self.assertLess(rows[0]["bytes"], before)
        self.assertEqual([r["connections"] for r in rows], [1, 0])


class Xot(Base):
    def xot(self, notify_s=-10.0, tls13=True, size=60000, sender=A, up=0, split=False):
        s = Scene()
        start = 100000000
        if notify_s is not None:
            m = bytearray(lab.message("zone.example", 3, qtype=6, aa=True))
            m[2] |= 4 << 3
            s.put(start + int(notify_s * 1e6), lab.udp_frame(sender, CLIENT, 5353, 53, bytes(m)))
        c = Conn(s, start, port=853).open().put(True, ACK, client_hello(alpn=b"dot"))
        hello = server_hello(tls13)
        if split:
            c.put(False, ACK, hello[:20])
            c.put(False, ACK, hello[20:])
        else:
            c.put(False, ACK, hello + b"e" * 900)
        c.put(True, ACK, b"f" * (80 + up))
        for k in range(0, size, 1400):
            c.put(False, ACK, b"z" * min(1400, size - k))
            if k == 2800:  # one comes again
                c.put(False, ACK, b"z" * 1400, seq=c.seq[False] - 1400, count=False)
        c.close()
        return self.kinds(s, "xot"), c, start

    def test_found(self):
        for split in (False, True):
            rows, c, start = self.xot(split=split)
            self.assertEqual(len(rows), 1)
            r = rows[0]
            self.assertEqual((r["client"], r["server"]), (CLIENT, A))
            self.assertEqual((r["bytes_out"], r["bytes_in"]), (c.sent[True], c.sent[False]))
            self.assertEqual((r["dur_us"], r["after_notify_us"]), (c.at - 1000 - start, 10000000))

    def test_not_so(self):
        for name, kw in (("no NOTIFY", {"notify_s": None}), ("too old", {"notify_s": -60.1}),
                         ("later", {"notify_s": 0.05}), ("TLS 1.2", {"tls13": False}),
                         ("of another", {"sender": B}), ("too small", {"size": 3000}),
                         ("too much asked", {"up": 7000})):
            with self.subTest(name=name):
                self.assertEqual(self.xot(**kw)[0], [])


class Flood(Base):
    """More than there is room for: the oldest go, and it shows."""

    def lost(self, s):
        records = self.run_ok("--pcap", s.capture().save(self.path("a")), "--interval", 3600)
        return [r for r in lab.of_set(records, "transport") if "kind" not in r][0], records

    def test_connections(self):
        s = Scene()
        for k in range(20000):
            f = tcp_frame("10.0.%d.%d" % (k >> 8, k & 255), A, 4000, 853, SYN, 1, 0)
            s.put(k, f)
        r, _ = self.lost(s)
        self.assertEqual(r["lost"], {"tickets": 0, "connections": 20000 - 16384, "transfers": 0})

    def test_handshakes(self):
        s = Scene()
        for k in range(40000):
            s.put(k, tcp_frame("10.0.%d.%d" % (k >> 8, k & 255), A, 4000, 53, SYN, 1, 0))
        c = Conn(s, 100000).open()
        r, _ = self.lost(s)
        # The connection takes a place, too.
        self.assertEqual(r["lost"]["connections"], 40000 + 1 - 32768)
        self.assertEqual((r["mix"]["tcp53"]["connections"], r["tfo"]), (1, {"NONE": 1}))
        self.assertEqual(r["mix"]["tcp53"]["packets"], 40000 + c.packets)

    def test_tickets_and_transfers(self):
        s = Scene()
        for k in range(18000):
            s.truncated(k * 100, "n%d.example" % k)
        for k in range(2100):
            s.put(3000000 + k, lab.udp_frame(CLIENT, A, 10000 + k, 53, transfer_query(5, "z.example", 251, 3)))
        r, records = self.lost(s)
        self.assertEqual(r["lost"], {"tickets": 18000 - 16384, "connections": 0, "transfers": 2100 - 2048})
        self.assertEqual((r["tc"]["responses"], r["tc"]["NONE"]), (18000, 18000))
        self.assertEqual(len([x for x in lab.of_set(records, "transport") if x.get("kind") == "transfer"]), 2100)


class Truth(lab.Case):
    KEYS = ("client", "zone", "type", "style", "messages", "rrs", "bytes", "serial_from", "serial_to", "dur_us")

    def rows(self, options=(), *args):
        path, truth = lab.traffic("transport", "--seed", 4, *options)
        want = truth["transport"]
        records = self.run_ok("--pcap", path, "--doh", self.write("doh", want["doh"][0].encode() + b"\n"), *args)
        rows = lab.of_set(records, "transport")
        return ([r for r in rows if "kind" not in r], [r for r in rows if r.get("kind") == "transfer"],
                [r for r in rows if r.get("kind") == "xot"], want, records)

    def test_generated(self):
        rows, transfers, xots, want, _ = self.rows((), "--interval", 3600)
        self.assertEqual(len(rows), 1)
        r = rows[0]
        self.assertEqual(r["mix"], want["mix"])
        self.assertEqual(r["tfo"], want["tfo"])
        self.assertEqual(set(r["tfo"]), {"NONE", "REQ", "REQ_GRANTED", "DATA_ACCEPTED", "DATA_REJECTED",
                                         "DATA_REJECTED_NEWCOOKIE", "BLACKHOLE"})
        self.assertEqual({k: r["tc"][k] for k in want["tc"] if k != "latency_sum_us"},
                         {k: v for k, v in want["tc"].items() if k != "latency_sum_us"})
        mean = want["tc"]["latency_sum_us"] / want["tc"]["TCP_OK"]  # they all take the same time
        self.assertAlmostEqual(r["tc"]["latency_us"]["p50"] / mean, 1, delta=0.0101)
        self.assertEqual(r["tc"]["latency_us"]["count"], want["tc"]["TCP_OK"])
        key = lambda x: x["client"]
        self.assertEqual(sorted(({k: x[k] for k in self.KEYS} for x in transfers), key=key),
                         sorted(want["transfer"], key=key))
        self.assertEqual({x["server"] for x in transfers}, {"192.0.2.3"})
        self.assertGreater(max(x["messages"] for x in transfers), 100)
        self.assertEqual(sorted(({k: x[k] for k in want["xot"][0]} for x in xots), key=key),
                         sorted(want["xot"], key=key))

    def test_intervals(self):
        """However the intervals are cut, the sums are the same."""
        for interval in (1, 60):
            rows, transfers, xots, want, _ = self.rows(("--pairs", 380), "--interval", interval)
            for mix, fields in want["mix"].items():
                self.assertEqual({k: sum(r["mix"][mix][k] for r in rows) for k in fields}, fields)
            self.assertEqual({k: sum(r["tfo"].get(k, 0) for r in rows) for k in want["tfo"]}, want["tfo"])
            self.assertEqual({k: sum(r["tc"][k] for r in rows) for k in want["tc"] if k != "latency_sum_us"},
                             {k: v for k, v in want["tc"].items() if k != "latency_sum_us"})
            self.assertEqual((len(transfers), len(xots)), (len(want["transfer"]), len(want["xot"])))

    @unittest.skipIf(len(lab.cpus()) < 2, "needs two CPUs")
    def test_workers(self):
        cpus = ",".join(map(str, lab.cpus()[:4]))
        for interval in (1, 60):
            one = self.rows(("--pairs", 760), "--interval", interval)[4]
            self.same(one, self.rows(("--pairs", 760), "--interval", interval, "--cores", cpus)[4])


if __name__ == "__main__":
    unittest.main()
