#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A soak: mixed and hostile traffic over AF_XDP on a veth pair for so many minutes (30 unless
told), with faults in between. At the end the probe's totals are the sender's, each interval's
books close, and resident memory has stayed flat since the warm-up.

    soak.py [MINUTES]
"""
import itertools
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest

import lab
from test_faults import hog

MINUTES = float(sys.argv.pop(1)) if len(sys.argv) > 1 and re.fullmatch(r"[\d.]+", sys.argv[1]) else 30
RATE = 8000
ROUND = [  # scenario, options; the same again and again, so that tables are as full as they get
    ("mix", ("--pairs", 10000, "--seed", 1)), ("zoo", ("--pairs", 3000, "--seed", 2)),
    ("tunnels", ("--seed", 3)), ("syn-flood", ("--pairs", 8000, "--seed", 4)),
    ("fragment-flood", ("--pairs", 8000, "--seed", 5)), ("name-flood", ("--pairs", 8000, "--seed", 6)),
    ("tiny-flood", ("--pairs", 8000, "--seed", 7)), ("errors", ("--pairs", 4000, "--seed", 8)),
]
SMALL = [str(w) for w in (
    "--verdict-entries", 16384, "--pair-entries", 65536, "--tcp-connections", 4096, "--tcp-buffer-mb", 4,
    "--frag-datagrams", 64, "--domain-entries", 4096, "--client-entries", 4096, "--server-entries", 1024,
    "--rrset-entries", 4096, "--error-entries", 4096, "--table-keys", 8192, "--rrset-keys", 8192, "--flux-mb", 16,
    "--dedup", 5)]
WARM_UP = 0.3
SLACK_KB = 8192


def resident_kb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


class Soak(unittest.TestCase):
    def faults(self, w, probe):
        """One after the other, for ever: each is called between two pieces of traffic and says its
        name; what it begins may last into the next piece."""
        cpus = sorted(os.sched_getaffinity(0))

        def blink(end):
            lab.sh("ip", "-n", end.name, "link", "set", end.iface, "down")
            time.sleep(0.1)
            lab.sh("ip", "-n", end.name, "link", "set", end.iface, "up")
            time.sleep(0.4)

        def starve(cpu):
            self.thieves.append(hog(cpu, 0.4))

        def hang_up():
            probe.process.send_signal(signal.SIGHUP)

        return itertools.cycle((
            ("nothing", lambda: None), ("interface down and up", lambda: blink(w.b)),
            ("the worker's core taken", lambda: starve(cpus[-1])), ("reload", hang_up),
            ("the other end down and up", lambda: blink(w.a)), ("control's core taken", lambda: starve(cpus[0]))))

    def test_soak(self):
        self.thieves = []
        sent, seen, begin = 0, [], time.monotonic()
        with lab.folder() as d, lab.wire() as w, w.b.kernel_count() as kernel:
            probe = lab.Probe(w.b, ["--xdp", w.b.iface, *SMALL, "--interval", 10, "--cores", lab.cores(1)], d)
            with lab.undone(probe.clean):
                probe.wait_ready()
                faults = self.faults(w, probe)
                for scenario, options in itertools.cycle(ROUND):
                    name, fault = next(faults)
                    fault()
                    truth = lab.generate(scenario, *options, send=w.a, rate=RATE)
                    sent += truth.sent  # what the interface took: a starved sender may fail, too
                    passed_s = time.monotonic() - begin
                    seen.append((passed_s, resident_kb(probe.process.pid)))
                    print(f"{passed_s:6.0f} s  {sent:10} frames  {seen[-1][1] // 1024:5} MiB  {scenario}, {name}",
                          flush=True)
                    if passed_s > 60 * MINUTES:
                        break
                for thief in self.thieves:
                    thief.wait()
                time.sleep(0.5)
                run = probe.finish()
                passed = kernel()
        lab.check_ledger(self, run)
        lost = run.book("source_dropped")
        print(f"{sent} sent, {run.book('rx_packets')} received, {lost} lost and counted, {passed} passed on; "
              f"{len({r['start'] for r in run.ledger})} intervals; duplicates {run.drops('dropped').get('duplicate', 0)}")
        self.assertEqual(run.book("rx_packets") + lost + passed, sent)
        self.assertEqual(run.book("ring_full_records"), 0)
        warm = [kb for s, kb in seen if s > WARM_UP * 60 * MINUTES]
        self.assertLess(max(warm), warm[0] + SLACK_KB, "memory grows")
        # Not a little more each time, either: the second half's middle against the first's.
        half = len(warm) // 2
        if MINUTES >= 5:
            self.assertLess(sorted(warm[half:])[half // 2], sorted(warm[:half])[half // 2] + SLACK_KB // 4)


if __name__ == "__main__":
    lab.need()
    lab.main()
