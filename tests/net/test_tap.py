#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Lab sheet: tap mode.

    a (fluxtap-gen, or a neighbour) ---- veth ---- b (fluxtap run --xdp vb)

The generator knows what it sent; the probe must have seen exactly that, the kernel
behind the probe exactly the rest, and a capture file of the same traffic must give
the same figures. Sent faster than its event times, traffic keeps all but the delays
and what follows from them: time-outs, late answers, classes.
"""
import pathlib
import re
import signal
import socket
import struct
import subprocess
import time
import unittest

import lab

MIX = ("--pairs", 20000, "--names", 50000, "--clients", 5000)
ZOO = ("--pairs", 5000, "--duration", 20)
RATE = 25000  # frames/s; halved where the machine is too busy for it


def setUpModule():
    lab.need("setpriv")


class Tap(unittest.TestCase):
    def send_whole(self, scenario, options, spec="", workers=1, queues=1, rate=RATE, more=()):
        """Sends until a run loses nothing; the books must be right in each."""
        for attempt in range(4):
            with lab.wire(queues) as w, w.b.kernel_count() as kernel, \
                    lab.probe(w.b, "--xdp", w.b.iface + spec, *more, workers=workers) as probe:
                truth = lab.generate(scenario, *options, send=w.a, rate=rate)
                run = probe.finish()
                passed = kernel()
            lab.check_ledger(self, run)
            if truth.whole:
                self.assertEqual(run.book("rx_packets") + run.book("source_dropped") + passed, truth.sent,
                                 f"received, lost and passed on make up what was sent: {run.stderr}")
            if truth.whole and run.book("source_dropped") == 0:
                self.assertEqual(truth.sent, truth.totals["packets"])
                self.assertEqual(passed, truth.totals["non_dns"], "frames that the kernel got")
                return truth, run
            print(f"attempt {attempt}: lost {run.book('source_dropped')} at the probe; again, slower")
            if rate is not None:
                rate //= 2
        self.skipTest("the machine is too busy for a run without loss")

    def check_packets(self, truth, run):
        self.assertEqual(run.book("rx_packets"), truth.dns_frames)
        self.assertEqual(run.drops("dropped"), {}, "what is not DNS was not taken")
        self.assertEqual(run.drops("msg_dropped"), {k: v for k, v in truth.totals["malformed"].items() if v})
        self.assertEqual(run.book("messages"), truth.totals["dns_messages"])

    def check_near(self, run, truth):
        """Distinct counts are estimates once they are large."""
        for key in lab.DISTINCT:
            have, want = lab.figures(run.traffic, [key])[key], lab.figures(truth.traffic, [key])[key]
            self.assertAlmostEqual(have, want, delta=2 + 0.03 * want, msg=key)

    def file_of(self, scenario, options):
        with lab.folder() as d:
            truth = lab.generate(scenario, *options, pcap=d / "pcap")
            return truth, lab.read_files(d / "pcap")

    def check_mix(self, options=MIX, **how):
        """Every pair is whole whatever the pace: all but delays must agree."""
        truth, run = self.send_whole("mix", options, **how)
        self.check_packets(truth, run)
        keys = lab.UNTIMED + lab.TIMED
        self.assertEqual(lab.by_vantage(run.traffic, keys), lab.by_vantage(truth.traffic, keys))
        self.check_near(run, truth)
        same, file_run = self.file_of("mix", options)
        self.assertEqual(same.traffic, truth.traffic, "the generator makes the same again")
        keys += lab.DISTINCT
        self.assertEqual(lab.by_vantage(run.traffic, keys), lab.by_vantage(file_run.traffic, keys))
        for key in ("rx_packets", "rx_bytes", "messages", "counted"):
            self.assertEqual(run.book(key), file_run.book(key), key)
        return run

    def check_zoo(self, **how):
        """Sent in a hurry: what does not hang on time must agree."""
        truth, run = self.send_whole("zoo", ZOO, **how)
        self.check_packets(truth, run)
        self.assertEqual(lab.figures(run.traffic, lab.UNTIMED), lab.figures(truth.traffic, lab.UNTIMED))
        _, file_run = self.file_of("zoo", ZOO)
        self.assertEqual(lab.figures(run.traffic, lab.UNTIMED), lab.figures(file_run.traffic, lab.UNTIMED))
        self.assertEqual(run.book("carried"), file_run.book("carried"))
        self.assertEqual(run.drops("msg_dropped"), file_run.drops("msg_dropped"))
        return run


class Totals(Tap):
    def test_mix(self):
        self.check_mix()

    def test_mix_generic_xdp(self):
        self.assertIn("generic XDP", self.check_mix(spec=",generic").stderr)

    def test_mix_two_workers(self):
        self.assertIn("2 workers", self.check_mix(workers=2).stderr)

    def test_mix_two_queues(self):
        """A query and its response on two queues keep their order only where there is some
        time between them: at the pace of the events, and not squeezed into microseconds."""
        mix = (*MIX, "--duration", 4)
        self.assertIn("2 queues", self.check_mix(spec=",queues=0-1", queues=2, rate=None, options=mix).stderr)

    def test_zoo(self):
        self.check_zoo()

    def test_zoo_two_workers_two_queues(self):
        self.check_zoo(spec=",queues=0,1", workers=2, queues=2)

    def test_zoo_at_its_own_pace(self):
        """By event time: pairs, classes and delays agree too, and it is the file's run again."""
        truth, run = self.send_whole("zoo", ZOO, rate=None)
        self.check_packets(truth, run)
        keys = lab.UNTIMED + lab.TIMED
        self.assertEqual(lab.by_vantage(run.traffic, keys), lab.by_vantage(truth.traffic, keys))
        _, file_run = self.file_of("zoo", ZOO)
        keys += lab.DISTINCT
        self.assertEqual(lab.by_vantage(run.traffic, keys), lab.by_vantage(file_run.traffic, keys))
        for have, want in zip(*(sorted(r, key=lambda row: row["vantage"]) for r in (run.traffic, truth.traffic))):
            self.assertAlmostEqual(have["rtt_us"]["p50"], want["rtt_us"]["p50"],
                                   delta=2000 + 0.1 * want["rtt_us"]["p50"])

    def test_statistics(self):
        """Over the wire or from a file, by one worker or two: the same errors and domains."""
        more = ("--channels", "all", "--top-domains", 100000, "--sample", 1)
        options = ("--pairs", 6000)

        def sums(run):
            out = {}
            for r in run.channels:
                key = tuple(r.get(k) for k in ("set", "vantage", "qname", "qtype", "response_ip", "soa_rrname_raw",
                                               "nx_cut", "rcode"))
                out[key] = out.get(key, 0) + r["count"]
            for r in run.domains:
                for k in ("queries", "query_bytes", "response_bytes"):
                    out[r["vantage"], r["domain"], k] = out.get((r["vantage"], r["domain"], k), 0) + r[k]
            return out

        for workers in (1, 2):
            with self.subTest(workers=workers):
                _, run = self.send_whole("errors", options, workers=workers, more=more, rate=RATE // 5)
                with lab.folder() as d:
                    lab.generate("errors", *options, pcap=d / "pcap")
                    file_run = lab.read_files(d / "pcap", options=more)
                live, filed = sums(run), sums(file_run)
                self.assertGreater(len(live), 500)
                self.assertEqual(live, filed)

    def test_one_queue_of_two(self):
        """DNS on the queue that nobody asked for goes on to the kernel; none is lost or counted twice."""
        with lab.wire(2) as w, w.b.kernel_count() as kernel, \
                lab.probe(w.b, "--xdp", w.b.iface + ",queues=1") as probe:
            truth = lab.generate("mix", *MIX, send=w.a, rate=RATE)
            run = probe.finish()
            passed = kernel()
        lab.check_ledger(self, run)
        self.assertGreater(run.book("rx_packets"), 0)
        self.assertGreater(passed, 0)
        if truth.whole:
            self.assertEqual(run.book("rx_packets") + run.book("source_dropped") + passed, truth.sent)


LAB = lab.BUILD / "tests" / "xdp_lab"
NAPI = ("napi_defer_hard_irqs", "gro_flush_timeout")


def napi_settings(end, *values):
    """What busy polling needs of an interface; with values, sets them first."""
    for name, value in zip(NAPI, values):
        end.sh("sh", "-c", f"echo {value} >/sys/class/net/{end.iface}/{name}")
    return [int(end.sh("cat", f"/sys/class/net/{end.iface}/{name}")) for name in NAPI]


class Words(Tap):
    def test_busypoll(self):
        """veth names no NAPI instance that a socket could poll: the figures are the same, the
        interface is left alone, and the probe says that its driver does not offer it."""
        run = self.check_mix(spec=",busypoll")
        self.assertRegex(run.stderr, ", no busy polling: the driver does not offer it|, busy polling")

    def test_busypoll_two_workers_two_queues(self):
        self.check_zoo(spec=",busypoll,queues=0,1", workers=2, queues=2)

    def test_settings_of_the_interface(self):
        """What busy polling wants is set where it is less, and put back."""
        with lab.wire() as w:
            for before, meanwhile in (((0, 0), [2, 200000]), ((7, 0), [7, 200000]), ((1, 5000000), [2, 5000000])):
                self.assertEqual(napi_settings(w.b, *before), list(before))
                setter = subprocess.Popen(w.b.command(LAB, "napi", w.b.iface), stdout=subprocess.PIPE, text=True)
                with lab.undone(lambda: lab.end_process(setter)):
                    self.assertEqual(setter.stdout.readline(), "rc 0\n")
                    self.assertEqual(napi_settings(w.b), meanwhile)
                    self.assertEqual(napi_settings(w.a), [0, 0], "the other end is not ours")
                    setter.send_signal(signal.SIGTERM)
                    self.assertEqual(setter.wait(10), 0)
                self.assertEqual(napi_settings(w.b), list(before), "as they were")
                setter.stdout.close()
            done = subprocess.run(w.b.command(LAB, "napi", "nosuch0"), capture_output=True)
            self.assertEqual(done.returncode, 1)

    def test_hwstamp(self):
        """veth runs the program for a device's stamps, and has none: ours stand in."""
        run = self.check_mix(spec=",hwstamp")
        if ", no device time stamps" in run.stderr:
            self.skipTest("no stamps from veth before Linux 6.3")
        self.assertIn(", device time stamps", run.stderr)
        self.assertIn(", 0 with the device's time, 0 whose was absurd", run.stderr)

    def test_hwstamp_refused(self):
        """lo has no native XDP and no stamps: the probe runs without, and says so."""
        with lab.wire() as w, lab.probe(w.b, "--xdp", "lo,hwstamp") as probe:
            run = probe.finish()
        self.assertRegex(run.stderr, r"lo: tap mode, generic XDP .*, no device time stamps \(")
        self.assertNotIn("with the device's time", run.stderr)

    def test_huge_umem(self):
        with lab.huge_pages(300):
            with lab.wire() as w, lab.probe(w.b, "--xdp", w.b.iface) as probe:
                status = pathlib.Path(f"/proc/{probe.process.pid}/status").read_text()
                truth = lab.generate("mix", "--pairs", 5000, send=w.a, rate=RATE)
                run = probe.finish()
        used = re.search(r"HugetlbPages:\s+(\d+) kB", status)
        self.assertGreaterEqual(int(used[1]), 65536, "the umem and more")
        self.assertIn("umem 64 MiB in huge pages", run.stderr)
        lab.check_ledger(self, run)
        if truth.whole:
            self.assertEqual(run.book("rx_packets") + run.book("source_dropped"), truth.sent)
        with lab.wire() as w, lab.probe(w.b, "--xdp", w.b.iface, "--no-huge") as probe:
            self.assertIn("umem 64 MiB in ordinary pages", probe.finish().stderr)


def ping(end, address):
    """An ICMP echo and its answer: true."""
    body = struct.pack("!HH", 0x4654, 1) + b"fluxtap lab sheet"[:16]
    total = sum(struct.unpack("!" + "H" * (len(body) // 2), body)) + 0x0800
    total = (total & 0xffff) + (total >> 16)
    with end.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
        s.settimeout(2)
        s.sendto(struct.pack("!BBH", 8, 0, ~total & 0xffff) + body, (address, 0))
        try:
            while True:
                packet = s.recv(1024)
                if packet[20] == 0 and packet[24:] == body:
                    return True
        except TimeoutError:
            return False


class Neighbourhood(unittest.TestCase):
    def test_the_rest_passes(self):
        """Ping and TCP to another port work through the probe; DNS does not (the wire copy ends here)."""
        with lab.wire() as w, lab.probe(w.b, "--xdp", w.b.iface) as probe, \
                w.b.socket(socket.AF_INET, socket.SOCK_STREAM) as listener, \
                w.b.socket(socket.AF_INET, socket.SOCK_DGRAM) as port53:
            listener.bind((w.b.v4, 8053))
            listener.listen()
            listener.settimeout(3)
            port53.bind((w.b.v4, 53))
            port53.settimeout(0.5)
            self.assertTrue(ping(w.a, w.b.v4), "ping through the probe")
            self.assertTrue(ping(w.b, w.a.v4), "ping from beside the probe")
            with w.a.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
                s.settimeout(3)
                s.connect((w.b.v4, 8053))
                there, _ = listener.accept()
                with there:
                    s.sendall(b"x" * 100000)
                    s.shutdown(socket.SHUT_WR)
                    got = 0
                    while chunk := there.recv(65536):
                        got += len(chunk)
            self.assertEqual(got, 100000)
            with w.a.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.sendto(b"\0\1\1\0\0\1\0\0\0\0\0\0\7example\0\0\6\0\1", (w.b.v4, 53))
            with self.assertRaises(TimeoutError):
                port53.recv(512)
            run = probe.finish()
        self.assertEqual(run.book("rx_packets"), 1)
        self.assertEqual(lab.figures(run.traffic, ["queries"])["queries"], 1)
        lab.check_ledger(self, run)


def start(end, *words):
    """fluxtap run to its end, where that is soon: exit code, standard error."""
    with lab.folder() as d:
        d.chmod(0o777)
        command = list(words[:-1]) if callable(words[-1]) else list(words)
        before = words[-1]() if callable(words[-1]) else []
        done = subprocess.run(end.command(*before, lab.FLUXTAP, "run", *command, "--out", d / "o"),
                              capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr


class Refusals(unittest.TestCase):
    def test_unknown_interface(self):
        with lab.wire() as w:
            code, said = start(w.b, "--xdp", "nosuch0")
        self.assertEqual(code, 2, said)
        self.assertIn("nosuch0", said)

    def test_unknown_word(self):
        with lab.wire() as w:
            code, said = start(w.b, "--xdp", "vb,mode=bridge")
            self.assertFalse(w.b.has_xdp())
        self.assertEqual(code, 2, said)

    def test_no_such_queue(self):
        with lab.wire() as w:
            code, said = start(w.b, "--xdp", "vb,queues=7")
            self.assertFalse(w.b.has_xdp())
        self.assertEqual(code, 2, said)

    def test_nobody(self):
        """Without the capabilities: exit 3 and the command that gives them."""
        def as_nobody():
            return ["setpriv", f"--reuid={lab.NOBODY}", f"--regid={lab.NOBODY}", "--clear-groups"]

        with lab.wire() as w:
            for spec in ("vb", "vb,mode=host"):
                reach = subprocess.run([*as_nobody(), str(lab.FLUXTAP), "--version"], capture_output=True)
                if reach.returncode != 0:
                    self.skipTest("nobody cannot reach the build folder")
                code, said = start(w.b, "--xdp", spec, as_nobody)
                self.assertEqual(code, 3, f"{spec}: {said}")
                self.assertRegex(said, "sudo|setcap")
                self.assertFalse(w.b.has_xdp())


class Life(unittest.TestCase):
    def check_bare(self, end):
        self.assertFalse(end.has_xdp(), end.link())
        self.assertIn("promiscuity 0", end.link())

    def test_nothing_is_left_after_sigint(self):
        for spec in ("", ",generic"):
            with lab.wire() as w, lab.probe(w.b, "--xdp", w.b.iface + spec) as probe:
                self.assertTrue(w.b.has_xdp(), w.b.link())
                run = probe.finish(signal.SIGINT)
                self.check_bare(w.b)
                self.assertIn("fluxtap: 0 packets", run.stdout + run.stderr)

    def test_sigterm_is_like_sigint(self):
        with lab.wire() as w, lab.probe(w.b, "--xdp", w.b.iface) as probe:
            probe.finish(signal.SIGTERM)
            self.check_bare(w.b)

    def test_nothing_is_left_after_kill(self):
        """kill -9: the kernel detaches; a second probe starts where the first one died."""
        with lab.wire() as w:
            with lab.probe(w.b, "--xdp", w.b.iface) as probe:
                lab.generate("mix", "--pairs", 500, send=w.a, rate=5000)
                probe.process.kill()
                probe.process.wait()
                for _ in range(50):  # the kernel frees sockets and programs behind our back
                    if not w.b.has_xdp() and "promiscuity 0" in w.b.link():
                        break
                    time.sleep(0.02)
                self.check_bare(w.b)
            with lab.probe(w.b, "--xdp", w.b.iface) as probe:
                truth = lab.generate("mix", "--pairs", 500, send=w.a, rate=5000)
                run = probe.finish()
            self.assertEqual(run.book("rx_packets") + run.book("source_dropped"), truth.sent)

    def test_second_probe_is_refused(self):
        with lab.wire() as w, lab.probe(w.b, "--xdp", w.b.iface) as probe:
            code, said = start(w.b, "--xdp", w.b.iface)
            self.assertEqual(code, 3, said)
            self.assertIn("XDP program already", said)
            truth = lab.generate("mix", "--pairs", 500, send=w.a, rate=5000)
            run = probe.finish()
        self.assertEqual(run.book("rx_packets") + run.book("source_dropped"), truth.sent, "the first goes on")

    def test_duration(self):
        begin = time.monotonic()
        with lab.wire() as w, lab.probe(w.b, "--xdp", w.b.iface, "--duration", 2) as probe:
            ready = time.monotonic()
            truth = lab.generate("mix", "--pairs", 500, send=w.a, rate=5000)
            run = probe.finish(how=None)
            took = time.monotonic() - ready
            self.check_bare(w.b)
        self.assertLess(took, 5)
        self.assertGreater(time.monotonic() - begin, 2)
        self.assertEqual(run.book("rx_packets") + run.book("source_dropped"), truth.sent)
        lab.check_ledger(self, run)

    def test_stop_under_load(self):
        """SIGINT in the middle of the traffic: exit 0, all that was taken is in the books."""
        with lab.wire() as w, lab.probe(w.b, "--xdp", w.b.iface, workers=1) as probe:
            sender = subprocess.Popen(w.a.command(lab.GENERATOR, "--send", w.a.iface, "--rate", 20000, "--pairs", 500000),
                                      stderr=subprocess.DEVNULL)
            with lab.undone(lambda: lab.end_process(sender)):
                time.sleep(1)
                run = probe.finish(settle_s=0)
        self.assertGreater(run.book("rx_packets"), 1000)
        taken = re.search(r"([\d,]+) to workers", run.stderr)
        self.assertTrue(taken, run.stderr)
        self.assertEqual(run.book("rx_packets") + run.book("source_dropped"), int(taken[1].replace(",", "")))
        lab.check_ledger(self, run)


if __name__ == "__main__":
    lab.main()
