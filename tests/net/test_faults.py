#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Lab sheet: faults around a live probe.

    a (fluxtap-gen) ---- veth ---- b (fluxtap run --xdp vb)

The interface goes down, comes back, or goes for good; the worker's core and control's are taken
by something else; the ring is full; the clock is set; huge pages are out; the probe is killed.
Whatever happens, what was sent is received, lost and counted, or on the books of what a killed
probe took along.
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest

import lab

RATE = 20000
PAIRS = ("--pairs", 2000)


def setUpModule():
    lab.need()


def hog(cpu, seconds):
    """A program that wants a core all for itself, before everyone else where that is allowed."""
    code = ("import os, sys, time\n"
            "os.sched_setaffinity(0, {int(sys.argv[1])})\n"
            "try: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))\n"
            "except PermissionError: os.nice(-20)\n"
            "end = time.monotonic() + float(sys.argv[2])\n"
            "while time.monotonic() < end: pass\n")
    return subprocess.Popen([sys.executable, "-c", code, str(cpu), str(seconds)])


class Faults(unittest.TestCase):
    def send(self, wire, seed, *options, rate=RATE, scenario="mix"):
        truth = lab.generate(scenario, *(options or PAIRS), "--seed", seed, send=wire.a, rate=rate)
        self.assertTrue(truth.whole, "the lab lost frames on its own")
        return truth

    def check_all(self, run, *truths):
        """Everything that was sent was received or is counted as lost."""
        lab.check_ledger(self, run)
        sent = sum(t.sent for t in truths)
        self.assertEqual(run.book("rx_packets") + run.book("source_dropped"), sent, run.stderr)
        return sent


class Interface(Faults):
    def blink(self, which):
        with lab.wire() as w, lab.probe(w.b, "--xdp", w.b.iface) as probe:
            end = (w.a, w.b)[which]
            truths = []
            for k in range(3):
                truths.append(self.send(w, k + 1))
                time.sleep(0.2)
                lab.sh("ip", "-n", end.name, "link", "set", end.iface, "down")
                time.sleep(0.2)
                lab.sh("ip", "-n", end.name, "link", "set", end.iface, "up")
                time.sleep(0.5)
            truths.append(self.send(w, 9))
            run = probe.finish()
        self.check_all(run, *truths)
        self.assertGreater(run.book("rx_packets"), 3 * truths[0].sent, "it goes on after each time")

    def test_ours_goes_down_and_up(self):
        self.blink(1)

    def test_the_other_end_goes_down_and_up(self):
        self.blink(0)

    def test_gone(self):
        """An interface that is no more ends the run, and what came before is on disk."""
        with lab.wire() as w, lab.probe(w.b, "--xdp", w.b.iface) as probe:
            truth = self.send(w, 1)
            time.sleep(0.3)
            lab.sh("ip", "-n", w.b.name, "link", "del", w.b.iface)
            self.assertEqual(probe.process.wait(20), 1)
            run = lab.Run(probe.out, 1, "", probe.said())
        self.assertIn("the interface has gone", run.stderr)
        self.check_all(run, truth)


class Starved(Faults):
    def test_worker(self):
        """The worker's core is taken away for a second and a half: the kernel's rings overflow, and
        each frame that they lose is counted."""
        with lab.wire() as w, lab.probe(w.b, "--xdp", w.b.iface, workers=1) as probe:
            one = self.send(w, 1)
            thief = hog(lab.cores(1), 1.5)
            with lab.undone(lambda: lab.end_process(thief)):
                time.sleep(0.2)
                two = self.send(w, 2, "--pairs", 20000, rate=60000)
                thief.wait()
            time.sleep(0.3)
            three = self.send(w, 3)
            run = probe.finish()
        self.check_all(run, one, two, three)
        print(f"lost while starved: {run.book('source_dropped')} of {two.sent}")

    def test_control_and_a_full_ring(self):
        """Control gets no time while small tables push out records by the million: the ring is full,
        and what did not go into it is counted."""
        lab.cores(2)
        cpus = sorted(os.sched_getaffinity(0))
        small = [w for table in ("domain", "client", "server", "rrset", "error", "match")
                 for w in (f"--{table}-entries", 64)]
        with lab.wire() as w, lab.probe(w.b, "--xdp", w.b.iface, *small, "--ring-mb", 1, "--control-core", cpus[0],
                                        "--channels", "all", workers=1) as probe:
            thief = hog(cpus[0], 3)
            with lab.undone(lambda: lab.end_process(thief)):
                truth = self.send(w, 1, "--pairs", 60000, rate=40000, scenario="flood")
                thief.wait()
            run = probe.finish()
        self.check_all(run, truth)
        print(f"records lost to the full ring: {run.book('ring_full_records')} of {run.book('records')}")
        self.assertGreater(run.book("records"), 50000)
        if run.book("ring_full_records"):
            self.assertRegex(run.stderr, r"[1-9][\d,]* records by a full ring")


class Clock(Faults):
    LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"

    def stepped(self, *offsets):
        """The wall clock as libfaketime tells it is set while the probe runs."""
        if not os.path.exists(self.LIBRARY):
            self.skipTest("no libfaketime")
        if "asan" in lab.sh("ldd", lab.FLUXTAP):
            self.skipTest("AddressSanitizer wants to be loaded first")
        with lab.folder() as d, lab.wire() as w:
            stamp = d / "offset"
            stamp.write_text("+0\n")
            environment = {"LD_PRELOAD": self.LIBRARY, "FAKETIME_TIMESTAMP_FILE": str(stamp),
                           "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_CACHE_DURATION": "1"}
            os.environ.update(environment)
            try:
                begun = lab.probe(w.b, "--xdp", w.b.iface, interval=60)
                probe = begun.__enter__()
            finally:
                for key in environment:
                    del os.environ[key]
            try:
                truths = [self.send(w, 1)]
                for k, offset in enumerate(offsets):
                    time.sleep(0.3)
                    stamp.write_text(offset + "\n")
                    time.sleep(2.2)
                    truths.append(self.send(w, k + 2))
                run = probe.finish()
            finally:
                begun.__exit__(None, None, None)
                for left in pathlib.Path("/dev/shm").glob(f"*faketime*_{probe.process.pid}"):
                    left.unlink()
        self.check_all(run, *truths)
        self.assertEqual(run.book("late"), 0)
        said = re.search(r"the clock stepped (\d+) times", run.stderr)
        self.assertTrue(said, run.stderr)
        self.assertGreaterEqual(int(said[1]), len(offsets))
        return run

    def test_forward(self):
        run = self.stepped("+7200s")
        self.assertGreater(max(r["start"] for r in run.ledger), time.time() + 6000)

    def test_back(self):
        """Packet times never go back: they go slower until the clock has caught up."""
        begin = time.time()
        run = self.stepped("-7200s")
        self.assertGreater(min(r["start"] for r in run.ledger), begin - 120)

    def test_to_and_fro(self):
        self.stepped("+100s", "-50s", "+1s", "-3600s")


class Memory(Faults):
    def test_out_of_huge_pages(self):
        """Some huge pages, and far too few: the rest lies in ordinary ones, and the figures are the same."""
        with lab.huge_pages(4):
            with lab.wire() as w, lab.probe(w.b, "--xdp", w.b.iface) as probe:
                truth = self.send(w, 1)
                run = probe.finish()
        self.assertIn("in ordinary pages", run.stderr)
        self.check_all(run, truth)
        self.assertEqual(run.book("source_dropped"), 0)


class Killed(Faults):
    def test_gap(self):
        """kill -9: the next start says what the dead one had received and not told."""
        with lab.wire() as w:
            with lab.probe(w.b, "--xdp", w.b.iface) as probe:
                truth = self.send(w, 1)
                time.sleep(0.5)  # counters are published ten times a second
                probe.process.kill()
                probe.process.wait()
                again = [lab.FLUXTAP, "run", "--xdp", w.b.iface, "--out", probe.out, "--probe", probe.name,
                         "--interval", lab.INTERVAL_S, "--cores", lab.cores(1), "--duration", 1]
                done = None
                for _ in range(20):  # the kernel frees the dead one's sockets behind our back
                    done = subprocess.run(w.b.command(*again), capture_output=True, text=True, timeout=60)
                    if done.returncode == 0:
                        break
                    time.sleep(0.2)
                self.assertEqual(done.returncode, 0, done.stderr)
                gaps = [r for r in lab.records("ledger", probe.out) if "gap" in r and r["worker"] == "all"]
        self.assertEqual(len(gaps), 1)
        self.assertEqual(gaps[0]["rx_packets"], truth.sent)
        self.assertEqual(gaps[0]["messages"], truth.sent)

    def test_any_moment(self):
        """Under load, at times that nobody chose: no file with its name is damaged."""
        with lab.wire() as w:
            sender = subprocess.Popen(
                w.a.command(lab.GENERATOR, "--send", w.a.iface, "--rate", 20000, "--pairs", 2000000),
                stderr=subprocess.DEVNULL)
            with lab.undone(lambda: lab.end_process(sender)), lab.folder() as d:
                name = f"lab-{os.getpid()}-any"
                for k in range(3):
                    words = [lab.FLUXTAP, "run", "--quiet", "--xdp", w.b.iface, "--out", d / "o", "--probe", name,
                             "--interval", 1, "--cores", lab.cores(1)]
                    probe = subprocess.Popen(w.b.command(*words), stderr=subprocess.PIPE, text=True)
                    time.sleep(8.2 + 0.37 * k)  # intervals of a second close six seconds late
                    running = probe.poll() is None
                    lab.end_process(probe)
                    said = probe.stderr.read()
                    probe.stderr.close()
                    self.assertTrue(running, said)
                    files = list((d / "o").rglob("*.jsonl.zst"))
                    whole = [f for f in files if not f.name.startswith(".")]
                    self.assertTrue(whole)
                    for f in whole:
                        lab.sh("zstd", "-tq", f)
                    if k:
                        self.assertTrue(any("gap" in r for r in lab.records("ledger", d / "o")))
                for left in pathlib.Path("/dev/shm").glob(f"fluxtap.{name}*"):
                    left.unlink()


if __name__ == "__main__":
    lab.main()
