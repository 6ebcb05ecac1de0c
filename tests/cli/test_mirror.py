#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Mirror ports that give the same packet more than once, and taps that differ by their tags."""

import json
import struct
import unittest

import lab

MIX = ("mix", "--pairs", 3000, "--duration", 100)
ZOO = ("zoo", "--pairs", 3000, "--duration", 100)


def hop(frame):
    """As the next router sends it: TTL one less, the check sum with it, other Ethernet addresses."""
    f = bytearray(frame)
    f[0:12] = b"\2\0\0\0\7\7\2\0\0\0\7\x08"
    kind = struct.unpack_from("!H", f, 12)[0]
    if kind == 0x0800:
        header = 4 * (f[14] & 15)
        f[22] -= 1
        f[15] = 0x48  # and another DSCP
        f[24:26] = b"\0\0"
        f[24:26] = struct.pack("!H", lab.checksum(bytes(f[14:14 + header])))
    elif kind == 0x86DD:
        f[21] -= 1
    return bytes(f)


def vlan(frame, vid):
    return frame[:12] + struct.pack("!HH", 0x8100, vid) + frame[12:]


def erspan(frame, session):
    inner = struct.pack("!HHIII", 0x1000, 0x88BE, 1, 0x10000000 | session, 0) + frame
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(inner), 7, 0, 60, 47, 0) + bytes([10, 9, 9, 1, 10, 9, 9, 2])
    ip = ip[:10] + struct.pack("!H", lab.checksum(ip)) + ip[12:]
    return bytes.fromhex("020000000902020000000901") + b"\x08\0" + ip + inner


def is_dns_packet(frame):
    """UDP, TCP or a fragment of them, without tags and options: what the copies are made of."""
    kind = struct.unpack_from("!H", frame, 12)[0]
    if kind == 0x0800 and frame[14] == 0x45:
        return frame[23] in (6, 17)
    return kind == 0x86DD and frame[20] in (6, 17, 44)


class Mirror(lab.Case):
    def copies(self, options, apart_us):
        """The capture with each packet as two other taps have it; how many copies."""
        cap, out, n = lab.capture(*options), [], 0
        for us, _, data in cap.packets:
            out.append((us, len(data), data))
            if not is_dns_packet(data):
                continue
            for k, copy in enumerate((vlan(hop(data), 7), erspan(hop(hop(data)), 5))):
                out.append((us + (k + 1) * apart_us, len(copy), copy))
                n += 1
        out.sort(key=lambda p: p[0])
        return cap.sub(out).save(self.path("copies-%s-%d" % (options[0], apart_us))), n

    def figures(self, records, *but):
        """All but what tells that there were copies."""
        out = [json.dumps(dict(r, loss_ppm=0), sort_keys=True) for r in records
               if r["set"] not in ("ledger", "tap", *but)]
        return sorted(out)

    def cores(self):
        return [",".join(map(str, lab.cpus()[:n])) for n in sorted({1, min(2, len(lab.cpus()))})]

    def test_mix(self):
        once = self.run_ok("--pcap", lab.traffic(*MIX)[0])
        path, n = self.copies(MIX, 400)
        self.assertEqual(n, 12000)
        for cores in self.cores():
            with self.subTest(cores=cores):
                records = self.run_ok("--pcap", path, "--dedup", 1, "--cores", cores)
                self.assertEqual(self.figures(records), self.figures(once))
                self.assertEqual(lab.totals(records, "dropped"), {"duplicate": n})
                self.assertEqual(lab.total(records, "messages"), lab.total(once, "messages"))
                self.assertEqual(lab.total(records, "rx_packets"), 6000 + n)
        records = self.run_ok("--pcap", path)
        self.assertEqual(lab.total(records, "messages"), 6000 + n, "it is off unless asked for")

    def test_zoo(self):
        """Fragments and TCP as well. The zoo itself repeats TCP segments, and over IPv6 the
        repeated one is the same packet: dropped, and no message goes with it."""
        once = self.run_ok("--pcap", lab.traffic(*ZOO)[0])
        path, n = self.copies(ZOO, 100)
        for cores in self.cores():
            records = self.run_ok("--pcap", path, "--dedup", 2, "--cores", cores)
            # Frames of repeated segments count in `transport` where nothing takes them for copies.
            self.assertEqual(self.figures(records, "transport"), self.figures(once, "transport"))
            drops = lab.totals(records, "dropped")
            self.assertEqual(lab.total(records, "messages"), lab.total(once, "messages"))
            self.assertEqual(lab.totals(records, "msg_dropped"), lab.totals(once, "msg_dropped"))
            self.assertGreater(drops["duplicate"], 0.8 * n)

    def test_window(self):
        """Copies that come later than the window are packets of their own."""
        path, n = self.copies(MIX, 3000)
        records = self.run_ok("--pcap", path, "--dedup", 4)
        # The second copy is 6 ms behind the packet and 3 ms behind the first copy, which does not count.
        self.assertEqual(lab.totals(records, "dropped"), {"duplicate": n // 2})
        records = self.run_ok("--pcap", path, "--dedup", 7)
        self.assertEqual(lab.totals(records, "dropped"), {"duplicate": n})

    def test_small_table(self):
        """What it forgets counts again, and the books close."""
        path, n = self.copies(MIX, 400)
        records = self.run_ok("--pcap", path, "--dedup", 1, "--dedup-entries", 1024)
        got = lab.totals(records, "dropped").get("duplicate", 0)
        self.assertEqual(lab.total(records, "messages") + got, 6000 + n)

    def test_settings(self):
        path, _ = lab.traffic(*MIX)
        for bad in ("0", "1001", "x", "-1", ""):
            r = lab.fluxtap("run", "--pcap", path, "--out", self.out, "--dedup=" + bad)
            self.assertEqual(r.code, 2, str(r))
            self.assertIn("--dedup", r.err)


class Taps(lab.Case):
    def test_by_hand(self):
        """Three taps and what came without tags, over two intervals."""
        cap = lab.capture(*MIX)
        base = cap.packets[0][0] // 60000000 * 60000000
        packets, want = [], {}
        for k, (us, _, data) in enumerate(cap.packets):
            how = k % 4
            frame = (data, vlan(data, 7), vlan(vlan(data, 9), 8), vlan(erspan(vlan(data, 3), 77), 6))[how]
            key = (((us - base) // 60000000) * 60,
                   (("untagged", (), None, None), ("tap", (7,), None, None), ("tap", (8, 9), None, None),
                    ("tap", (6,), "erspan", 77))[how])
            n = want.setdefault(key, [0, 0, 0])
            n[0] += 1
            n[1] += len(frame)
            n[2] += 1
            packets.append((us, len(frame), frame))
        path = cap.sub(packets).save(self.path("taps"))
        for cores in Mirror.cores(self):
            records = self.run_ok("--pcap", path, "--cores", cores)
            got = {(r["start"] - base // 1000000, (r["kind"], tuple(r["vlan"]), r["tunnel"], r["id"])):
                   [r["packets"], r["bytes"], r["messages"]] for r in lab.of_set(records, "tap")}
            self.assertEqual(got, want)

    def test_none(self):
        """Traffic without tags has no set `tap`."""
        self.assertEqual(lab.of_set(self.run_ok("--pcap", lab.traffic(*MIX)[0]), "tap"), [])

    def test_too_many(self):
        """More combinations than stand one by one: together in one record, nothing is lost."""
        cap = lab.capture(*MIX)
        packets = []
        for k, (us, _, data) in enumerate(cap.packets):
            frame = vlan(vlan(data, k % 4096), k * 7 % 4096)
            packets.append((us, len(frame), frame))
        path = cap.sub(packets).save(self.path("taps"))
        runs = [self.run_ok("--pcap", path, "--interval", 86400, "--cores", c) for c in Mirror.cores(self)]
        for records in runs:
            taps = lab.of_set(records, "tap")
            self.assertEqual(sum(r["kind"] == "tap" for r in taps), 1024)
            self.assertEqual([r["kind"] for r in taps if r["kind"] != "tap"], ["other"])
            self.assertEqual(sum(r["packets"] for r in taps), 6000)
            self.same(runs[0], records)


if __name__ == "__main__":
    unittest.main()
