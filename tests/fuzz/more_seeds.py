#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes seeds of what the generator's scenario tunnels holds: more_seeds.py GEN CORPUS_DIR

decode: a frame of each wrapping; worker: frames that come again, with --dedup; pcap: small
captures; config: command lines; entries: what the set `tap` is made of."""
import os
import struct
import subprocess
import sys
import tempfile

GEN, CORPUS = sys.argv[1:3]


def save(target, name, data):
    os.makedirs(os.path.join(CORPUS, target), exist_ok=True)
    with open(os.path.join(CORPUS, target, name), "wb") as f:
        f.write(data)


def frames(*options):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "pcap")
        subprocess.run([GEN, *options, "--pcap", path], check=True)
        raw, at, out = open(path, "rb").read(), 24, []
        while at < len(raw):
            s, us, n, _ = struct.unpack_from("<IIII", raw, at)
            out.append((s * 1000000 + us, raw[at + 16:at + 16 + n]))
            at += 16 + n
        return raw[:24], out


def worker(first, wanted):
    """Frames with 1 us between them, each twice."""
    out = bytes([first])
    for f in wanted:
        for _ in range(2):
            if len(out) + 4 + len(f) < 4000:
                out += struct.pack("<BBH", 0, 1, len(f)) + f
    return out


head, all_frames = frames("--scenario", "tunnels", "--pairs", "300")
kinds = {}
for _, f in frames("--scenario", "tunnels", "--pairs", "50")[1]:  # each wrapping and family
    outer = f[14] >> 4 if f[12:14] in (b"\x08\0", b"\x86\xdd") else 0
    ports = {4: f[36:38], 6: f[56:58]}.get(outer, f[16:18])
    key = (f[12:14], {4: f[23], 6: f[20]}.get(outer), ports if len(set(ports)) < 2 or ports[0] in (0, 6, 18, 23) else 0)
    if len(f) < 300:
        kinds.setdefault(key, f)
kinds = dict(list(kinds.items())[:40])
for k, f in enumerate(kinds.values()):
    save("decode", "wrap_%02d" % k, bytes([0, 200, 7, 17]) + f)
fragment = next(f for _, f in all_frames if f[12:14] == b"\x08\0" and f[20] & 0x20)
save("decode", "outer_fragment", bytes([0, 255, 0, 47]) + fragment)
tags = b"\2" * 12 + b"\x81\0\0\1" * 10 + b"\x08\0"
save("decode", "ten_tags", bytes([0, 255, 0, 17]) + tags + bytes(40))
deep = b"".join(struct.pack("!BBHHHBBH8s", 0x45, 0, 20 * (7 - i) + 20, 1, 0, 9, 4, 0, b"\n\0\0\1\n\0\0\2") for i in range(7))
save("decode", "seven_deep", bytes([1, 255, 0, 4]) + deep + bytes(20))
for sizes in (0x10, 0x14, 0x1e):
    save("worker", "twice_%02x" % sizes, worker(sizes, kinds.values()))
    save("worker", "mix_twice_%02x" % sizes, worker(sizes, [f for _, f in frames("--scenario", "mix", "--pairs", "9")[1]]))

small = head + b"".join(struct.pack("<IIII", t // 1000000, t % 1000000, len(f), len(f) + (k == 1)) + f
                        for k, (t, f) in enumerate(all_frames[:6]))
for first in range(6):
    save("pcap", "plain_%d" % first, bytes([first]) + small)
save("pcap", "cut", b"\0" + small[:-3])
save("pcap", "big_endian_ns", b"\0" + struct.pack(">IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 101)
     + struct.pack(">IIII", 1, 999999999, 20, 40) + b"\x45" + bytes(19))
idb = struct.pack("<IIHHIHHB3xI", 1, 28, 1, 0, 0, 9, 1, 0x86, 28)
epb = struct.pack("<IIIIIII", 6, 32 + 60, 0, 5, 7, 60, 60) + all_frames[0][1][:60] + struct.pack("<I", 92)
ng = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28) + idb
save("pcap", "pcapng", b"\0" + ng + epb + epb)
save("pcap", "pcapng_two_interfaces", b"\3" + ng + idb + epb)
save("pcap", "text", b"\0" + b"no capture at all, but long enough to be one")

save("config", "line_run", b"\1--pcap\nx.pcap\n--cores\n0\n--interval=10\n--auth\n10.0.0.0/8,2001:db8::/64\n--dedup\n20\n--quiet")
save("config", "line_bench", b"\2--seconds\n3\n--json\n--flood\n--rules\na\n--rules\nb\n--ring-mb=3")
save("config", "line_wrong", b"\1--pcp\nx\n--interval\n7\n--xdp\neth0\n--ports\n1-3,99999\n--sample\n1/3\n--sample-key=x")
save("config", "line_help", b"\1--help")
save("config", "line_more", b"\1--dpdk\nnet_null0\n--probe\na b\n--no-huge\n--channels\nall\n--state\non\n--flood-guard\noff\n"
     b"--http\noff\n--duration\n5\n--sketch-seed\n18446744073709551615\n--sample\nauto\n--control-core\n0-1,0\n--")
entry = struct.pack("<Q", 0x7 << 32 | 1 << 4 | 5) + b"\3\xac\2\1"
tap = bytes([len(entry)]) + entry
save("entries", "tap", bytes([3, 1]) + struct.pack("<H", 2 * len(tap)) + tap * 2)
save("rules", "long_argument", b"a exact " + b"x." * 700 + b"\n")
save("rules", "root_list", b"a dnsbl .\nb shape len=3 charset=a-z tld=com,co.uk\n")
