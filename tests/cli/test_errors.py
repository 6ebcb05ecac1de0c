# SPDX-License-Identifier: BSD-3-Clause
"""What goes wrong: the exit code, the message, and what is left on disk."""

import fcntl
import gzip
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import threading
import time
import unittest

import lab
from lab import fluxtap

MIX = ("mix", "--seed", 21, "--pairs", 6000, "--duration", 200)


def numbers(text):
    return [int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", text)]


class Refused(lab.Case):
    """Wrong use: exit 2, a message that says what, and nothing written."""

    def refused(self, *args, code=2, says=(), **kw):
        r = fluxtap(*args, **kw)
        self.assertEqual(r.code, code, str(r))
        self.assertEqual(r.out, "", str(r))
        self.assertTrue(r.err.endswith("\n"), str(r))
        for pattern in says:
            self.assertRegex(r.err, pattern, str(r))
        return r

    def run_refused(self, *args, **kw):
        r = self.refused("run", "--out", self.out, *args, **kw)
        self.assertFalse(os.path.exists(self.out) and lab.exported(self.out)[0], "a refused run has written files")
        return r

    def setUp(self):
        super().setUp()
        self.file = lab.traffic(*MIX)[0]

    def test_missing_file(self):
        self.run_refused("--pcap", self.path("nowhere.pcap"), says=["nowhere.pcap", "No such file"])

    def test_one_of_two_files_is_missing(self):
        self.run_refused("--pcap", self.file, "--pcap", self.path("nowhere.pcap"), says=["nowhere.pcap"])

    def test_directory(self):
        self.run_refused("--pcap", self.dir, says=[re.escape(self.dir), "directory"])

    def test_no_capture(self):
        for name, data in (("text", b"This is a letter and no capture file.\n" * 50),
                           ("zeros", bytes(5000)), ("short", b"\xd4\xc3"), ("short-magic", b"\xd4\xc3\xb2\xa1"),
                           ("half-header", b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0"),
                           ("gz", gzip.compress(b"This is no capture either.\n" * 50))):
            with self.subTest(name=name):
                self.run_refused("--pcap", self.write(name, data), says=[name])

    def test_empty_file(self):
        self.run_refused("--pcap", self.write("nothing", b""), says=["nothing"])
        self.run_refused("--pcap", self.write("nothing.gz", gzip.compress(b"")), says=["nothing.gz"])
        self.run_refused("--pcap", "-", says=["."], feed=b"")

    def test_wifi(self):
        """A link layer that is not understood is refused by name or number, not read as something else."""
        path = lab.Capture(lab.capture(*MIX).packets[:10], 105).save(self.path("wifi"))
        self.run_refused("--pcap", path, says=["wifi", "802.11|105"])

    def test_unreadable_file(self):
        path = shutil.copy(self.file, self.path("secret"))
        os.chmod(path, 0o600)
        os.mkdir(self.path("public"))
        os.chmod(self.path("public"), 0o777)
        r = fluxtap("run", "--pcap", path, "--out", self.path("public", "out"), preexec_fn=lab.nobody)
        self.assertIn(r.code, (2, 3), str(r))
        self.assertRegex(r.err, "secret.*ermission denied")

    def test_unknown_interface(self):
        there = sorted(os.listdir("/sys/class/net"))
        r = self.run_refused("--xdp", "nope0", says=["nope0"])
        for name in there:
            if os.path.isdir("/sys/class/net/" + name):
                self.assertRegex(r.err, r"\b%s\b" % re.escape(name))

    def test_xdp_details(self):
        for spec, says in (("lo,mode=spy", "spy|mode"), ("lo,frob", "frob"), ("lo,queues=x", "queues"), ("", "xdp")):
            with self.subTest(spec=spec):
                self.run_refused("--xdp", spec, says=[says])

    def test_no_permission_for_xdp(self):
        os.mkdir(self.path("public"))
        os.chmod(self.path("public"), 0o777)
        r = fluxtap("run", "--xdp", "lo", "--duration", 1, "--out", self.path("public", "out"), preexec_fn=lab.nobody)
        self.assertEqual(r.code, 3, str(r))
        self.assertRegex(r.err, r"sudo|setcap")
        self.assertRegex(r.err, r"\blo\b")

    def test_bad_dpdk_device(self):
        r = fluxtap("run", "--dpdk", "net_frob0", "--no-huge", "--duration", 1, "--out", self.out)
        self.assertEqual(r.code, 2, str(r))
        self.assertIn("net_frob0", r.err)
        r = fluxtap("run", "--dpdk", "net_pcap0,rx_pcap=" + self.path("nowhere.pcap"), "--no-huge", "--duration", 1,
                    "--out", self.out)
        self.assertIn(r.code, (2, 3), str(r))
        self.assertIn("nowhere.pcap", r.err)

    def test_yaml(self):
        for text, line, says in (
                ("# comment\n\nintervall: 10\n", 3, "intervall"),
                ("interval: 7\n", 1, "interval"),
                ("probe: a\ninterval: minute\n", 2, "interval"),
                ("probe: a\ninterval: 100000\n", 2, "interval"),
                ("probe: a/b\n", 1, "probe"),
                ("quiet: true\nauth: [10.0.0.0/8, 10.0.0.0/33]\n", 2, "auth"),
                ("quiet: true\nauth:\n  - 10.0.0.0/8\n  - 300.0.0.0/8\n", (2, 4), "auth"),
                ("ports: 53\nports: 54\n", 2, "ports"),
                ("interval: 10\ncores: 999\n", 2, "cores"),
                ("quiet: perhaps\n", 1, "quiet"),
                ("interval:\n  deep: 1\n", (1, 2), "interval"),
                ("interval: 10\n  broken: [\n", (2, 3), ""),
                ("interval: [10\n", (1, 2), ""),
                ("interval 10\n", (1, 2), ""),
                ("\tinterval: 10\n", 1, ""),
                ("interval: \"10\n", (1, 2), "")):
            with self.subTest(text=text):
                path = self.write("bad.yaml", text.encode())
                r = self.run_refused("--config", path, "--pcap", self.file)
                lines = line if isinstance(line, tuple) else (line,)
                self.assertRegex(r.err, r"bad\.yaml:(%s): \S" % "|".join(map(str, lines)), str(r))
                if says:
                    self.assertRegex(r.err, r"bad\.yaml:\d+: .*%s" % says)

    def test_yaml_file(self):
        self.run_refused("--config", self.path("nowhere.yaml"), "--pcap", self.file, says=["nowhere.yaml"])
        self.run_refused("--config", self.dir, "--pcap", self.file, says=[re.escape(self.dir)])
        self.run_refused("--config", self.write("bytes.yaml", os.urandom(300) + b"\0\xff"), "--pcap", self.file,
                         says=["bytes.yaml"])

    def test_flags(self):
        for args, says in (
                (["--frob"], ["--frob"]),
                (["--intervall", "10"], ["--intervall"]),
                (["-x"], ["-x"]),
                (["--interval"], ["--interval"]),
                (["--interval", "7"], ["--interval", "divide"]),
                (["--interval", "0"], ["--interval"]),
                (["--interval", "86401"], ["--interval"]),
                (["--interval", "-60"], ["--interval"]),
                (["--interval", "60s"], ["--interval"]),
                (["--interval", ""], ["--interval"]),
                (["--interval", "18446744073709551676"], ["--interval"]),
                (["--interval", "60.5"], ["--interval"]),
                (["--timeout-ms", "99"], ["--timeout-ms", "100"]),
                (["--timeout-ms", "5001"], ["--timeout-ms", "5000"]),
                (["--auth", "10.0.0.0/33"], ["--auth", "10.0.0.0/33"]),
                (["--auth", "2001:db8::/129"], ["--auth", "129"]),
                (["--auth", "10.0.0/8"], ["--auth"]),
                (["--auth", "10.0.0.1/"], ["--auth"]),
                (["--auth", "10.0.0.1,,10.0.0.2"], ["--auth"]),
                (["--auth", "ns1.example"], ["--auth", "ns1.example"]),
                (["--resolvers", "::g/64"], ["--resolvers"]),
                (["--ports", "0"], ["--ports"]),
                (["--ports", "65536"], ["--ports"]),
                (["--ports", "53,x"], ["--ports"]),
                (["--ports", ""], ["--ports"]),
                (["--cores", "999"], ["--cores", "999"]),
                (["--cores", "x"], ["--cores"]),
                (["--cores", "1-"], ["--cores"]),
                (["--cores", "1-0"], ["--cores"]),
                (["--cores", ""], ["--cores"]),
                (["--cores", "0,0"], ["--cores"]),
                (["--control-core", "999"], ["--control-core", "999"]),
                (["--probe", "a/b"], ["--probe"]),
                (["--probe", ""], ["--probe"]),
                (["--probe", "a" * 300], ["--probe"]),
                (["--http", "frob"], ["--http"]),
                (["--sample", "2"], ["--sample"]),
                (["--sketch-seed", "x"], ["--sketch-seed"]),
                (["--duration", "0"], ["--duration"]),
                (["--pair-entries", "1"], ["--pair-entries", "1024"]),
                (["--ring-mb", "3"], ["--ring-mb"]),
                (["--ring-mb", "0"], ["--ring-mb"]),
                (["--quiet=perhaps"], ["--quiet"]),
                (["stray"], ["stray"])):
            with self.subTest(args=args):
                self.run_refused("--pcap", self.file, *args, says=[re.escape(says[0])] + says[1:])

    def test_cpus_that_exist(self):
        r = self.run_refused("--pcap", self.file, "--cores", "999")
        for cpu in (lab.cpus()[0], lab.cpus()[-1]):
            self.assertRegex(r.err, r"\b%d\b" % cpu)

    def test_sources(self):
        self.run_refused("--pcap", self.file, "--xdp", "lo", says=["--pcap", "--xdp"])
        self.run_refused("--pcap", self.file, "--dpdk", "net_null0", says=["--pcap", "--dpdk"])
        self.run_refused("--xdp", "lo", "--dpdk", "net_null0", says=["--xdp", "--dpdk"])
        self.run_refused(says=["--pcap", "--xdp", "--dpdk"])
        self.run_refused("--pcap", "-", "--pcap", "-", feed=b"", says=["-"])

    def test_commands(self):
        self.refused("frob", says=["frob", "run", "cat", "report"])
        self.refused("--frob", says=["--frob"])
        for command in ("cat", "report", "bench", "run"):
            with self.subTest(command=command):
                self.refused(command, "--frob", says=["--frob"])
        self.refused("report", "frob", self.dir, says=["frob", "traffic", "ledger"])
        self.refused("report", says=["traffic", "ledger"])
        self.refused("report", "traffic", self.path("nowhere"), says=["nowhere"])
        self.refused("report", "traffic", says=["."])
        self.refused("cat", self.path("nowhere"), says=["nowhere"])
        self.refused("cat", says=["."])
        self.refused("cat", "--set", "frob", self.dir, says=["frob"])
        self.refused("help", "frob", says=["frob"])
        self.refused("bench", "--seconds", "0", says=["--seconds"])
        self.refused("bench", "--pcap", self.path("nowhere"), says=["nowhere"])

    def test_no_command(self):
        r = fluxtap()
        self.assertEqual(r.code, 2, str(r))
        self.assertIn("run", r.out + r.err)

    def test_cat_of_other_files(self):
        self.refused("cat", self.file, says=[re.escape(os.path.basename(self.file))])

    def test_unwritable_output(self):
        self.refused("run", "--pcap", self.file, "--out", self.write("a-file", b"x"), says=["a-file"])
        self.refused("run", "--pcap", self.file, "--out", self.path("a-file", "below"), says=["a-file"])
        os.mkdir(self.path("closed"), 0o555)
        r = fluxtap("run", "--pcap", self.file, "--out", self.path("closed", "out"), preexec_fn=lab.nobody)
        self.assertEqual(r.code, 2, str(r))
        self.assertIn("closed", r.err)
        self.refused("run", "--pcap", self.file, "--out", "/proc/out", says=["/proc/out"])
        self.refused("run", "--pcap", self.file, "--out", "", says=["--out"])


class Damaged(lab.Case):
    """A capture that goes wrong later on: exit 1, and what came before is there."""

    def setUp(self):
        super().setUp()
        self.capture = lab.capture(*MIX)
        self.raw = self.capture.bytes()
        self.whole = self.run_ok("--pcap", lab.traffic(*MIX)[0])

    def broken(self, path, feed=None):
        r = fluxtap("run", "--quiet", "--pcap", path, "--out", self.out, feed=feed)
        self.assertEqual(r.code, 1, str(r))
        records = self.records()
        self.assertEqual(lab.exported(self.out)[1], [])
        return r, records

    def cut(self, count):
        """The offset at which packet `count` begins."""
        return 24 + sum(16 + len(p[2]) for p in self.capture.packets[:count])

    def test_header_only(self):
        for name, data in (("classic", self.capture.header()), ("ng", lab.Capture().pcapng_bytes()),
                           ("gz", gzip.compress(self.capture.header()))):
            with self.subTest(name=name):
                out = self.path("out-" + name)
                r = fluxtap("run", "--pcap", self.write(name, data), "--out", out)
                self.assertEqual(r.code, 0, str(r))
                records = self.records(out)
                self.assertEqual(lab.total(records, "rx_packets"), 0)
                self.assertEqual(lab.of_set(records, "traffic"), [])
                for report in ("traffic", "ledger"):
                    r = fluxtap("report", report, out)
                    self.assertIn(r.code, (0, 2), str(r))

    def test_cut_inside_a_packet(self):
        for n, extra in ((7000, 16 + 40), (7000, 9), (1, 20), (11999, 30)):
            with self.subTest(packet=n, extra=extra):
                shutil.rmtree(self.out, True)
                begin = self.cut(n)
                r, records = self.broken(self.write("cut.pcap", self.raw[:begin + extra]))
                self.assertIn("cut.pcap", r.err)
                self.assertTrue(any(begin <= x <= begin + extra for x in numbers(r.err)),
                                "no offset from %d to %d in: %s" % (begin, begin + extra, r.err))
                self.assertEqual(lab.total(records, "rx_packets"), n)
                good = self.run_ok("--pcap", self.write("good.pcap", self.raw[:begin]))
                self.same(good, records)

    def test_cut_from_standard_input(self):
        begin = self.cut(5000)
        _, records = self.broken("-", feed=self.raw[:begin + 30])
        self.assertEqual(lab.total(records, "rx_packets"), 5000)

    def test_cut_between_packets(self):
        """Nobody can tell such a file from a whole one."""
        records = self.run_ok("--pcap", self.write("even.pcap", self.raw[:self.cut(4321)]))
        self.assertEqual(lab.total(records, "rx_packets"), 4321)

    def test_impossible_length(self):
        """A packet header that claims 2 GB."""
        begin = self.cut(3000)
        bad = self.raw[:begin + 8] + struct.pack("<II", 0x7FFFFFFF, 0x7FFFFFFF) + self.raw[begin + 16:]
        r, records = self.broken(self.write("huge.pcap", bad))
        self.assertIn("huge.pcap", r.err)
        self.assertTrue(any(begin <= x <= begin + 16 for x in numbers(r.err)), "offset %d: %s" % (begin, r.err))
        self.assertEqual(lab.total(records, "rx_packets"), 3000)

    def test_cut_pcapng(self):
        data = self.capture.sub(self.capture.packets[:2000]).pcapng_bytes()
        r, records = self.broken(self.write("cut.pcapng", data[:-40]))
        self.assertIn("cut.pcapng", r.err)
        self.assertTrue(any(len(data) - 1600 <= x <= len(data) for x in numbers(r.err)), r.err)
        self.assertEqual(lab.total(records, "rx_packets"), 1999)

    def compressed_fault(self, name, data, cut):
        r, records = self.broken(self.write(name, data))
        self.assertIn(name, r.err)
        self.assertTrue(any(x > 1000 for x in numbers(r.err.replace(self.dir, ""))), "no offset: " + r.err)
        got = lab.total(records, "rx_packets")
        # What decompresses before the damage is not known to the packet, but it is most of the half.
        self.assertGreater(got, 3000)
        self.assertLess(got, 12000)
        if cut:  # else a wrong octet or two may have come out before anybody could notice
            good = self.run_ok("--pcap", self.write("good.pcap", self.raw[:self.cut(got)]))
            self.same(good, records)

    def test_gzip_damaged(self):
        data = bytearray(gzip.compress(self.raw, 6))
        half = len(data) // 2
        data[half:half + 64] = bytes(64)
        self.compressed_fault("bad.pcap.gz", bytes(data), False)

    def test_gzip_cut(self):
        data = gzip.compress(self.raw, 6)
        self.compressed_fault("cut.pcap.gz", data[:len(data) // 2], True)

    def test_gzip_bad_check_sum(self):
        data = bytearray(gzip.compress(self.raw, 6))
        data[-6] ^= 0xFF
        r, records = self.broken(self.write("sum.pcap.gz", bytes(data)))
        self.assertIn("sum.pcap.gz", r.err)
        self.assertLessEqual(lab.total(records, "rx_packets"), 12000)
        self.assertGreater(lab.total(records, "rx_packets"), 11000)

    def zstd(self):
        r = lab.call(["zstd", "-q", "-B65536", "-f", lab.traffic(*MIX)[0], "-o", self.path("a.zst")])
        self.assertEqual(r.code, 0, str(r))
        with open(self.path("a.zst"), "rb") as f:
            return f.read()

    def test_zstd_cut(self):
        data = self.zstd()
        self.compressed_fault("cut.pcap.zst", data[:len(data) // 3 * 2], True)

    def test_packed_and_cut_in_its_head(self):
        """Not an octet comes out of it, but it is no wrong file: the others are read."""
        good = self.write("good.pcap", self.raw[:self.cut(100)])
        r = lab.call(["zstd", "-q", "-f", good, "-o", self.path("a.zst")])
        self.assertEqual(r.code, 0, str(r))
        with open(self.path("a.zst"), "rb") as f:
            zst = f.read()
        for name, data in (("cut.zst", zst[:len(zst) // 2]), ("cut.gz", gzip.compress(self.raw)[:12])):
            with self.subTest(name=name):
                shutil.rmtree(self.out, True)
                cut = self.write(name, data)
                r = fluxtap("run", "--quiet", "--pcap", cut, "--pcap", good, "--out", self.out)
                self.assertEqual(r.code, 1, str(r))
                self.assertRegex(r.err, name + ": offset 0: the (zstd|gzip) stream breaks off")
                self.assertEqual(lab.total(self.records(), "rx_packets"), 100)

    def test_zstd_damaged(self):
        data = bytearray(self.zstd())
        at = len(data) // 3 * 2
        data[at:at + 2000] = b"\xff" * 2000
        self.compressed_fault("bad.pcap.zst", bytes(data), False)

    def test_second_file_breaks(self):
        """The message names the file that is broken; the other one is read to its end."""
        packets = self.capture.packets
        a = self.capture.sub(packets[0::2]).save(self.path("first.pcap"))
        b = self.write("second.pcap", self.capture.sub(packets[1::2]).bytes()[:-20])
        r = fluxtap("run", "--quiet", "--pcap", a, "--pcap", b, "--out", self.out)
        self.assertEqual(r.code, 1, str(r))
        self.assertIn("second.pcap", r.err)
        self.assertNotIn("first.pcap", r.err)
        self.assertEqual(lab.total(self.records(), "rx_packets"), len(packets) - 1)


class Disk(lab.Case):
    """The place for the records goes away."""

    def test_full_disk(self):
        path, _ = lab.traffic("mix", "--seed", 22, "--pairs", 8000, "--duration", 600)
        whole = self.run_ok("--pcap", path, "--interval", 10)
        os.mkdir(self.path("small"))
        os.mkdir(self.path("saved"))
        if lab.call(["unshare", "-m", "true"]).code != 0:
            self.skipTest("no mount namespace here")
        script = ('mount -t tmpfs -o size=200k,mode=755 none "$1" && { "$2" run --quiet --interval 10 --pcap "$3" '
                  '--probe "$5" --out "$1/out"; code=$?; cp -a "$1/." "$4"; umount "$1"; exit $code; }')
        r = lab.call(["unshare", "-m", "sh", "-c", script, "sh", self.path("small"), lab.FLUXTAP, path,
                      self.path("saved"), lab.PROBE])
        self.assertEqual(r.code, 1, str(r))
        self.assertIn(self.path("small"), r.err)
        self.assertRegex(r.err, "(?i)no space")
        final, other = lab.exported(self.path("saved"))
        self.assertTrue(final)
        self.assertLessEqual(len(other), 2, other)
        kept = []
        for name in final:
            kept += lab.unpacked(name)
        self.assertTrue(set(lab.stripped(kept)) <= set(lab.stripped(whole)))
        self.check([r for r in kept if r["set"] == "traffic"])
        # Every record is either in a file or counted in the message.
        lost = len(whole) - len(kept)
        self.assertGreater(lost, 0)
        self.assertIn(lost, numbers(r.err), "%d records are missing: %s" % (lost, r.err))
        r = fluxtap("cat", self.path("saved", "out"))
        self.assertEqual(r.code, 0, str(r))
        self.assertEqual(len(lab.parse(r.out)), len(kept))

    def test_directory_vanishes(self):
        """Either the directory is made again and what follows is in it, or exit 1 with the path."""
        cap = lab.capture(*MIX)
        p = self.start("run", "--quiet", "--interval", 10, "--pcap", "-", "--out", self.out, stdin=subprocess.PIPE)
        half = 24 + sum(16 + len(x[2]) for x in cap.packets[:6000])
        raw = cap.bytes()
        p.stdin.write(raw[:half])
        p.stdin.flush()
        self.until("a first file", lambda: lab.exported(self.out)[0], p)
        shutil.rmtree(self.out, True)
        try:
            p.stdin.write(raw[half:])
        except BrokenPipeError:
            pass
        code, err = lab.ended(p)
        self.assertIn(code, (0, 1), err)
        if code == 1:
            self.assertIn(self.out, err)
            self.assertRegex(err, r"\d+ .*record")
        else:
            records = [r for name in lab.exported(self.out)[0] for r in lab.unpacked(name)]
            self.assertGreater(lab.total(records, "rx_packets"), 5000)

    def test_dev_full(self):
        path, _ = lab.traffic("mix", "--pairs", 100)
        self.run_ok("--pcap", path, out=self.out)
        for args in (["cat", self.out], ["cat", "--schema"], ["report", "traffic", self.out],
                     ["report", "ledger", self.out], ["--help"], ["run", "--help"]):
            with self.subTest(args=args), open("/dev/full", "wb") as full:
                r = fluxtap(*args, stdout=full)
                self.assertEqual(r.code, 1, str(r))
                self.assertRegex(r.err, "(?i)no space")

    def test_reader_goes_away(self):
        """`fluxtap cat | head -1` ends without a crash and without a complaint about the pipe."""
        path, _ = lab.traffic(*MIX)
        self.run_ok("--pcap", path, "--interval", 1, out=self.out)
        p = self.start("cat", self.out, stdout=subprocess.PIPE)
        p.stdout.readline()
        p.stdout.close()
        p.stdout = None
        code, err = lab.ended(p)
        self.assertIn(code, (0, -signal.SIGPIPE))
        self.assertEqual(err, "")


class Signals(lab.Case):
    """A run over standard input that is still open when the signal comes."""

    PACKETS = 6000

    def begin(self, *more, **kw):
        cap = lab.capture(*MIX)
        raw = cap.sub(cap.packets[:self.PACKETS]).bytes()
        p = self.start("run", "--interval", 10, "--pcap", "-", "--out", self.out, *more, stdin=subprocess.PIPE, **kw)
        p.stdin.write(raw)
        p.stdin.flush()
        self.until("all packets read", lambda: self.waiting(p) == 0, p)
        self.until("a first file", lambda: lab.exported(self.out)[0], p)
        time.sleep(0.3)
        self.assertIsNone(p.poll())
        return p

    @staticmethod
    def waiting(p):
        """Octets that nobody has read from the pipe yet."""
        return struct.unpack("i", fcntl.ioctl(p.stdin, termios.FIONREAD, b"\0" * 4))[0]

    def flushed(self, p, sig):
        p.send_signal(sig)
        # The input stays open: the signal alone has to end the run.
        try:
            p.wait(30)
        except subprocess.TimeoutExpired:
            self.fail("%s does not end a run that waits for its input" % signal.Signals(sig).name)
        err = p.stderr.read().decode()
        self.assertEqual(p.returncode, 0, err)
        records = self.records()
        self.assertEqual(lab.exported(self.out)[1], [])
        self.assertEqual(lab.total(records, "rx_packets"), self.PACKETS)
        self.assertEqual(lab.total(records, "counted"), self.PACKETS)

    def test_interrupt(self):
        self.flushed(self.begin("--quiet"), signal.SIGINT)

    def test_terminate(self):
        self.flushed(self.begin("--quiet"), signal.SIGTERM)

    def test_terminate_inside_a_packet(self):
        """A writer's buffers end anywhere: in the capture's head, in a packet's, in a packet."""
        cap = lab.capture(*MIX)
        raw = cap.sub(cap.packets[:3]).bytes()
        for octets, packets in ((0, 0), (10, 0), (24 + 5, 0), (24 + 16 + 3, 0), (len(raw) - 7, 2)):
            for cores in lab.cpus()[:1], lab.cpus()[:2]:
                with self.subTest(octets=octets, cores=cores):
                    shutil.rmtree(self.out, True)
                    p = self.start("run", "--quiet", "--pcap", "-", "--cores", ",".join(map(str, cores)),
                                   "--out", self.out, stdin=subprocess.PIPE)
                    p.stdin.write(raw[:octets])
                    p.stdin.flush()
                    self.until("all read", lambda: self.waiting(p) == 0, p)
                    time.sleep(0.7)
                    p.send_signal(signal.SIGTERM)
                    try:
                        p.wait(10)
                    except subprocess.TimeoutExpired:
                        self.fail("SIGTERM does not end a run that waits in the middle of a packet")
                    self.assertEqual((p.returncode, p.stderr.read()), (0, b""))
                    p.stdin.close()
                    if len(cores) == 1:  # else the reader may still have them
                        self.assertEqual(lab.total(self.records(), "rx_packets"), packets)

    def test_pipe_that_falls_silent(self):
        """What is over is exported though nothing comes after it."""
        s = lab.Scene()
        for second in range(0, 200, 5):
            s.pair(second * 1000000, "10.0.0.1", "192.0.2.53")
        p = self.start("run", "--quiet", "--pcap", "-", "--out", self.out, stdin=subprocess.PIPE)
        p.stdin.write(s.capture().bytes())
        p.stdin.flush()
        self.until("three intervals", lambda: sum("traffic-" in n for n in lab.exported(self.out)[0]) == 3, p,
                   timeout=5)
        p.stdin.close()
        self.assertEqual(p.wait(10), 0)

    @unittest.skipIf(len(lab.cpus()) < 2, "needs two CPUs")
    def test_interrupt_two_workers(self):
        self.flushed(self.begin("--quiet", "--cores", ",".join(map(str, lab.cpus()[:2]))), signal.SIGINT)

    def test_interrupt_dpdk(self):
        path, _ = lab.traffic(*MIX)
        p = self.start("run", "--quiet", "--dpdk", "net_pcap0,rx_pcap=" + path, "--no-huge", "--duration", 300,
                       "--out", self.out)
        self.until("a first file", lambda: lab.exported(self.out)[0], p)
        time.sleep(0.5)
        p.send_signal(signal.SIGTERM)
        code, err = lab.ended(p)
        self.assertEqual(code, 0, err)
        self.assertEqual(lab.total(self.records(), "rx_packets"), 12000)

    def test_interrupt_busy(self):
        """In the middle of a file that is being read: the books of what was read are whole."""
        path, _ = lab.traffic("mix", "--pairs", 150000, "--duration", 400)
        p = self.start("run", "--quiet", "--interval", 1, "--pcap", path, "--out", self.out)
        self.until("a first file", lambda: lab.exported(self.out)[0] or p.poll() is not None)
        p.send_signal(signal.SIGINT)
        code, err = lab.ended(p)
        self.assertEqual(code, 0, err)
        self.assertEqual(lab.exported(self.out)[1], [])
        records = self.records()
        self.assertGreater(lab.total(records, "rx_packets"), 0)
        self.assertLessEqual(lab.total(records, "rx_packets"), 300000)

    def second(self, sig):
        """Output is a full pipe, so that the summary cannot be written and the end does not come by itself."""
        r, w = os.pipe()
        self.addCleanup(os.close, r)
        os.set_blocking(w, False)
        try:
            while True:
                os.write(w, b"x" * 4096)
        except BlockingIOError:
            pass
        os.set_blocking(w, True)
        p = self.begin(stdout=w, stderr=w)
        os.close(w)
        p.send_signal(sig)
        self.until("the books written", lambda: p.poll() is not None or sum(
            "ledger-" in n for n in lab.exported(self.out)[0]) >= self.intervals(), None)
        time.sleep(0.3)
        if p.poll() is not None:
            self.skipTest("does not wait for its output")
        p.send_signal(sig)
        try:
            p.wait(15)
        except subprocess.TimeoutExpired:
            self.fail("a second %s does not end the program" % signal.Signals(sig).name)

    def intervals(self):
        cap = lab.capture(*MIX)
        return len({p[0] // 10000000 for p in cap.packets[:self.PACKETS]})

    def test_second_interrupt(self):
        self.second(signal.SIGINT)

    def test_second_terminate(self):
        self.second(signal.SIGTERM)

    def left_behind(self):
        final, other = lab.exported(self.out)
        records = [r for name in final for r in lab.unpacked(name)]
        per_set = {}
        for name in other:
            self.assertTrue(os.path.basename(name).startswith("."), name)
            key = os.path.relpath(name, self.out).split(os.sep)[0]
            per_set[key] = per_set.get(key, 0) + 1
        self.assertTrue(all(n <= 1 for n in per_set.values()), other)
        return final, records

    def test_kill(self):
        p = self.begin("--quiet")
        p.kill()
        p.wait()
        before, records = self.left_behind()
        self.assertTrue(records)
        r = fluxtap("cat", self.out)
        self.assertEqual(r.code, 0, str(r))
        self.assertEqual(len(lab.parse(r.out)), len(records))
        r = fluxtap("run", "--quiet", "--interval", 10, "--pcap", lab.traffic(*MIX)[0], "--out", self.out)
        self.assertEqual(r.code, 0, str(r))
        self.assertEqual(lab.segments(), [])
        after, other = lab.exported(self.out)
        self.assertEqual(other, [])
        self.assertTrue(set(before) < set(after))
        new = [r for name in set(after) - set(before) for r in lab.unpacked(name)]
        self.check(new)
        self.assertEqual(lab.total(new, "rx_packets"), 12000)

    def test_kill_at_any_time(self):
        path, _ = lab.traffic("mix", "--seed", 23, "--pairs", 40000, "--duration", 200)
        for k in range(6):
            shutil.rmtree(self.out, True)
            p = self.start("run", "--quiet", "--interval", 1, "--pcap", path, "--out", self.out)
            if k:
                self.until("some files", lambda: len(lab.exported(self.out)[0]) >= 20 * k or p.poll() is not None)
            p.kill()
            p.wait()
            if os.path.isdir(self.out):
                self.left_behind()
                # The next probe into the same directory leaves nothing unfinished.
                r = fluxtap("run", "--quiet", "--pcap", path, "--out", self.out)
                self.assertEqual(r.code, 0, str(r))
                self.assertEqual(lab.exported(self.out)[1], [])


class Terminal(lab.Case):
    """What stands on standard error when a person looks."""

    def on_terminal(self, args, feed=None, pause=0.0, parts=1):
        """Runs with standard error on a pseudo-terminal; returns the code and all that it showed."""
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        p = subprocess.Popen(lab.command(args), stdin=subprocess.PIPE if feed is not None else subprocess.DEVNULL,
                             stdout=slave, stderr=slave)
        self.addCleanup(self.stop, p)
        os.close(slave)
        shown = []

        def write():
            step = len(feed) // parts + 1
            for k in range(0, len(feed), step):
                try:
                    p.stdin.write(feed[k:k + step])
                    p.stdin.flush()
                except BrokenPipeError:
                    return
                time.sleep(pause)
            p.stdin.close()

        writer = threading.Thread(target=write, daemon=True)
        if feed is not None:
            writer.start()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    data = os.read(master, 65536)
                except OSError:
                    break
                if not data:
                    break
                shown.append(data)
        if feed is not None:
            writer.join(10)
        p.wait(30)
        return p.returncode, b"".join(shown).decode(errors="replace")

    def raw(self):
        with open(lab.traffic(*MIX)[0], "rb") as f:
            return f.read()

    def test_progress_and_summary(self):
        code, text = self.on_terminal(["run", "--pcap", "-", "--out", self.out], self.raw(), 0.25, 12)
        self.assertEqual(code, 0, text)
        self.assertIn("\r", text.replace("\r\n", "\n"), "no line that is written over")
        progress, _, summary = text.replace("\r\n", "\n").rpartition("\r")
        self.assertRegex(progress, r"\d.*messages/s|\d.*msg/s", text)
        # The summary is one screen, says how much there was, and is not mixed up with the progress.
        self.assertRegex(summary, "12,000|12000")
        self.assertIn("ledger", summary)
        self.assertLess(summary.count("\n"), 24)

    def test_progress_of_a_file(self):
        """Share read and time left: the run over a file is halted for a while, so that it lasts over a second."""
        path, _ = lab.traffic("mix", "--pairs", 150000, "--duration", 400)
        out = self.out

        def halt():
            end = time.monotonic() + 20
            while not (os.path.isdir(out) and lab.exported(out)[0]) and time.monotonic() < end:
                time.sleep(0.002)
            for pid in self.children():
                os.kill(pid, signal.SIGSTOP)
                time.sleep(1.6)
                os.kill(pid, signal.SIGCONT)

        t = threading.Thread(target=halt, daemon=True)
        t.start()
        code, text = self.on_terminal(["run", "--interval", "1", "--pcap", path, "--out", out])
        t.join(30)
        self.assertEqual(code, 0, text)
        if "\r" not in text.replace("\r\n", "\n"):
            self.skipTest("the run was over before it could be halted")
        self.assertRegex(text, r"\d+ ?%", text)
        self.assertRegex(text, r"(?i)left|remain|ETA", text)

    def children(self):
        with open("/proc/self/task/%d/children" % os.getpid()) as f:
            return [int(x) for x in f.read().split()]

    def test_short_run(self):
        """No progress where there is nothing to wait for, a summary all the same."""
        path, _ = lab.traffic("mix", "--pairs", 100)
        code, text = self.on_terminal(["run", "--pcap", path, "--out", self.out])
        self.assertEqual(code, 0, text)
        self.assertNotIn("\r", text.replace("\r\n", "\n"))
        self.assertIn("200", text)

    def test_quiet(self):
        code, text = self.on_terminal(["run", "--quiet", "--pcap", "-", "--out", self.out], self.raw(), 0.25, 8)
        self.assertEqual(code, 0, text)
        self.assertEqual(text, "")

    def test_no_terminal(self):
        """In a log file there is a summary and no progress."""
        path = lab.traffic(*MIX)[0]
        r = fluxtap("run", "--pcap", path, "--out", self.out)
        self.assertEqual(r.code, 0, str(r))
        self.assertNotIn("\r", r.out + r.err)
        self.assertNotIn("\x1b", r.out + r.err)
        self.assertIn("12,000", r.out + r.err)
        r = fluxtap("run", "--quiet", "--pcap", path, "--out", self.out)
        self.assertEqual((r.code, r.out, r.err), (0, "", ""))


if __name__ == "__main__":
    unittest.main()
