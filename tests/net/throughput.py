#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How much of a wire the probe takes before it loses something, on this machine.

    a (fluxtap-gen, rising rates) ---- veth ---- b (fluxtap run --xdp vb,WORDS)

throughput.py [--words WORDS]... [--rates N,N,...] [--seconds S] [--workers N] [--tries N]

Prints a line a run: frames sent and at what rate, received, lost by the source, passed
to the kernel, messages counted, and whether the books close. A series ends with the
first rate at which something is lost or that the sender does not reach; the last line
of each names the highest rate without loss, in one of a few tries. On a small machine it is mostly the sender,
the wire's softirqs and the probe that share the CPUs: the figure is a floor, not a limit.

--check: one short run of each kind, for the tests. It asserts the books, never a time.
"""
import argparse
import os
import sys
import unittest

import lab

WORDS = ["native", "native,busypoll", "generic"]
RATES = [50000, 100000, 150000, 200000, 250000, 300000, 400000, 500000, 700000, 1000000]
REACHED = 0.95  # of the rate that was asked for: else it is the sender's limit


class Line:
    """One run: what was sent and where it went."""

    def __init__(self, words, rate, seconds, workers):
        with lab.wire() as w, w.b.kernel_count() as kernel, \
                lab.probe(w.b, "--xdp", f"{w.b.iface},{words}", workers=workers) as probe, apart(workers):
            truth = lab.generate("mix", "--pairs", max(1, int(rate * seconds / 2)), send=w.a, rate=rate)
            self.run = probe.finish()
            self.passed = kernel()
        self.words, self.rate, self.sent, self.whole = words, rate, truth.sent, truth.whole
        self.dns, self.reached = truth.dns_frames, truth.rate
        self.received, self.lost = self.run.book("rx_packets"), self.run.book("source_dropped")
        self.counted = self.run.book("counted")
        self.closes = "yes"
        try:
            lab.check_ledger(unittest.TestCase(), self.run)
            if self.received + self.lost + self.passed != self.sent:
                self.closes = f"NO: {self.sent - self.received - self.lost - self.passed} frames on no side"
        except AssertionError as e:
            self.closes = f"NO: {e}"

    def __str__(self):
        return (f"{self.words:20} {self.rate:9,} {self.reached:9,.0f} {self.sent:9,} {self.received:9,} "
                f"{self.lost:9,} {self.passed:7,} {self.counted:9,}  {self.closes}")


class apart:
    """Meanwhile, what this process starts keeps off the workers' CPUs, where there are others."""

    def __init__(self, workers):
        self.before = os.sched_getaffinity(0)
        self.others = set(sorted(self.before)[:-workers])

    def __enter__(self):
        if self.others:
            os.sched_setaffinity(0, self.others)

    def __exit__(self, *_):
        os.sched_setaffinity(0, self.before)


HEAD = (f"{'words':20} {'asked/s':>9} {'sent/s':>9} {'sent':>9} {'received':>9} {'lost':>9} {'passed':>7} "
        f"{'counted':>9}  books close")


def series(words, o):
    """Rising rates, until something is lost in every try; whether all books closed."""
    best, good, why = 0, True, "the highest rate tried"
    for rate in o.rates:
        for _ in range(o.tries):
            line = Line(words, rate, o.seconds, o.workers)
            print(line, flush=True)
            good = good and line.closes == "yes"
            if line.lost == 0:
                break
        if line.lost != 0:
            why = "the next one lost frames"
            break
        best = max(best, line.reached)
        if line.reached < REACHED * rate:
            why = "the sender's limit"
            break
    print(f"{words}: {best:,.0f} frames/s without loss ({why})\n", flush=True)
    return good


class Check(unittest.TestCase):
    def test_books(self):
        for words in WORDS:
            line = Line(words, 20000, 0.5, 1)
            self.assertEqual(line.closes, "yes", words)
            self.assertGreater(line.received, 0, words)
            if line.whole:
                self.assertEqual(line.received + line.lost, line.dns, words)
            if line.lost == 0:
                self.assertEqual(line.counted, line.received, f"{words}: every frame of this traffic is a message")


def setUpModule():
    lab.need()


def main():
    if sys.argv[1:2] == ["--check"]:
        del sys.argv[1]
        lab.main()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", action="append", help="words of --xdp, such as native,copy; may be given again")
    parser.add_argument("--rates", type=lambda text: [int(n) for n in text.split(",")], default=RATES)
    parser.add_argument("--seconds", type=float, default=2, help="of traffic in each run (default 2)")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--tries", type=int, default=3, help="at one rate, until one loses nothing (default 3)")
    o = parser.parse_args()
    try:
        lab.need()
    except unittest.SkipTest as e:
        print(f"skip: {e}")
        return 77
    print(HEAD)
    return 0 if all([series(words, o) for words in o.words or WORDS]) else 1


if __name__ == "__main__":
    sys.exit(main())
