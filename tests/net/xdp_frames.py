# SPDX-License-Identifier: BSD-3-Clause
"""Frames for the XDP lab: one of every kind, each with a number of its own.

xdp_frames.py send IFACE ROUNDS FILE     sends them; writes a line "DNS|PASS hex" each
xdp_frames.py check FILE PASSED.pcap TAP.pcap...
    every DNS frame is in TAP exactly once and every other in PASSED exactly once
xdp_frames.py same A.pcap B.pcap...      A holds what the others hold together, in any order,
    and no pair of addresses (IPv4) stands in two of the others
"""
import collections
import random
import socket
import struct
import sys
import time

MACS = bytes.fromhex("0200000000020200000000aa")
A4, B4 = socket.inet_aton("192.0.2.1"), socket.inet_aton("198.51.100.7")
A6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1")
B6 = socket.inet_pton(socket.AF_INET6, "2001:db8:ffff::7")


def eth(kind, body):
    return MACS + struct.pack("!H", kind) + body


def ip4(proto, body, options=b"", frag=0):
    head = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(body),
                       7, frag, 64, proto, 0, A4, B4)
    return head + options + body


def ip6(proto, body):
    return struct.pack("!IHBB16s16s", 6 << 28, len(body), proto, 64, A6, B6) + body


def udp(sport, dport, body):
    return struct.pack("!HHHH", sport, dport, 8 + len(body), 0) + body


def tcp(sport, dport, body, flags=0x18):
    return struct.pack("!HHIIBBHHH", sport, dport, 1, 1, 0x50, flags, 8192, 0, 0) + body


def ext(following, size=8, first=0):
    return struct.pack("!BB", following, first) + bytes(size - 2)


def kinds(n):
    """(is DNS, frame) for round n; the payload makes each frame unique."""
    serial = 0

    def body(extra=0):
        nonlocal serial
        serial += 1
        return struct.pack("!II", n, serial) + bytes(16 + extra)

    def q4(extra=0, **kw):
        return eth(0x800, ip4(17, udp(4000 + n % 60000 % 1000, 53, body(extra)), **kw))

    yield True, q4()
    yield True, q4(extra=1400)
    yield True, eth(0x800, ip4(17, udp(53, 4000, body(500))))
    yield True, q4(options=bytes(40))
    yield True, eth(0x86dd, ip6(17, udp(4000, 53, body())))
    yield True, eth(0x86dd, ip6(6, tcp(53, 4000, body(900))))
    yield True, eth(0x800, ip4(6, tcp(4000, 53, body(), flags=2)))
    yield True, eth(0x800, ip4(6, tcp(4000, 53, body())))
    yield True, eth(0x8100, b"\x00\x05\x08\x00" + ip4(17, udp(9, 53, body())))
    yield True, eth(0x88a8, b"\x00\x05\x81\x00\x00\x06\x86\xdd" + ip6(17, udp(9, 53, body())))
    yield True, eth(0x800, ip4(17, udp(53, 9, body(1000)), frag=0x2000))
    yield True, eth(0x800, ip4(17, body(800), frag=0x00b9))
    yield True, eth(0x86dd, ip6(44, struct.pack("!BBHI", 17, 0, 1, 5) + udp(53, 9, body())))
    yield True, eth(0x86dd, ip6(44, struct.pack("!BBHI", 17, 0, 0x500, 5) + body()))
    yield True, eth(0x86dd, ip6(44, struct.pack("!BBHI", 17, 0, 0, 5) + udp(53, 9, body())))
    yield True, eth(0x86dd, ip6(0, ext(60) + ext(43, 16, 1) + ext(51, 24, 2) + ext(17, 24, 4) + udp(9, 53, body())))
    yield True, eth(0x800, ip4(4, ip4(17, udp(1, 2, body()))))
    yield True, eth(0x800, ip4(41, ip6(17, udp(1, 2, body()))))
    yield True, eth(0x800, ip4(47, struct.pack("!HH", 0, 0x800) + ip4(17, udp(1, 53, body()))))
    yield True, eth(0x800, ip4(17, udp(50000, 4789, bytes(8) + eth(0x800, ip4(17, udp(1, 53, body()))))))
    yield True, eth(0x800, ip4(17, udp(50000, 6081, bytes(8) + eth(0x800, ip4(17, udp(1, 53, body()))))))
    yield True, eth(0x8847, struct.pack("!I", 0x00010140) + ip4(17, udp(1, 53, body())))
    yield True, eth(0x8864, struct.pack("!BBHHH", 0x11, 0, 1, 60, 0x21) + ip4(17, udp(1, 53, body())))
    yield False, eth(0x800, ip4(17, udp(1234, 5678, body())))
    yield False, eth(0x800, ip4(6, tcp(1234, 80, body())))
    yield False, eth(0x86dd, ip6(6, tcp(1234, 443, body())))
    yield False, eth(0x800, ip4(1, b"\x08\x00\x00\x00" + body()))
    yield False, eth(0x800, ip4(1, body(), frag=0x2000))
    yield False, eth(0x86dd, ip6(58, b"\x80\x00\x00\x00" + body()))
    yield False, eth(0x806, body(20))
    yield False, eth(0x88cc, body())
    yield False, eth(0x8100, b"\x00\x05\x08\x00" + ip4(17, udp(9, 54, body())))
    yield False, eth(0x800, ip4(17, struct.pack("!HHI", 1, 2, n))[:14 + 20 + 3] + struct.pack("!HI", 2, n)[:2])
    for cut in (1, 9, 19, 21, 25):  # headers that end too early
        whole = ip4(17, udp(9, 53, body()))
        whole = whole[:4] + struct.pack("!H", n & 0xffff) + whole[6:]
        yield False, eth(0x800, whole[:cut])


def send(iface, rounds, path):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((iface, 0))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 24)
    with open(path, "w") as out:
        for n in range(rounds):
            frames = list(kinds(n))
            random.Random(n).shuffle(frames)
            for dns, frame in frames:
                s.send(frame)
                print("DNS" if dns else "PASS", frame.hex(), file=out)
            if n % 4 == 3:
                time.sleep(0.002)


def pcap(path):
    data = open(path, "rb").read()
    at, frames = 24, collections.Counter()
    while at + 16 <= len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        frames[data[at + 16:at + 16 + size]] += 1
        at += 16 + size
    return frames


def compare(name, want, got):
    missing, surplus = want - got, got - want
    print(f"{name}: sent {want.total()}, arrived {got.total()}, missing {missing.total()}, "
          f"surplus {surplus.total()}")
    for what, some in (("missing", missing), ("surplus", surplus)):
        for frame in list(some)[:3]:
            print(" ", what, len(frame), frame.hex()[:120])
    return not missing and not surplus


def same(one, *parts):
    parts = [pcap(path) for path in parts]
    pairs = collections.Counter(
        pair for part in parts for pair in {frozenset((f[26:30], f[30:34])) for f in part})
    print(f"address pairs: {len(pairs)}, in several parts: {sum(n > 1 for n in pairs.values())}, "
          f"frames by part: {[part.total() for part in parts]}")
    good = compare("copies", pcap(one), sum(parts, collections.Counter()))
    return 0 if good and max(pairs.values()) == 1 else 1


def check(path, passed, *tap):
    want = {"DNS": collections.Counter(), "PASS": collections.Counter()}
    for line in open(path):
        kind, frame = line.split()
        want[kind][bytes.fromhex(frame)] += 1
    good = compare("tap", want["DNS"], sum(map(pcap, tap), collections.Counter()))
    good = compare("kernel", want["PASS"], pcap(passed)) and good
    return 0 if good else 1


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    elif sys.argv[1] == "same":
        sys.exit(same(*sys.argv[2:]))
    else:
        sys.exit(check(*sys.argv[2:]))
