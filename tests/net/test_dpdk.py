#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Lab sheet: DPDK ports without hardware.

net_pcap reads a file through DPDK and must give the records that --pcap gives.

    a (fluxtap-gen) ---- veth ---- b (fluxtap run --dpdk net_af_xdp0,iface=vb)

net_af_xdp takes all frames of its queue, DNS or not. A third kind of port is an
interface of the kernel's, to which fluxtap-gen sends (net_tap).
"""
import os
import subprocess
import unittest

import lab


def setUpModule():
    lab.need(xdp=False)


def without_envelope_of_run(rows):
    """Records as they must be the same however the packets came; ledgers without what hangs on blocks."""
    exempt = {"probe", "records", "merged", "blocks", "block_bytes_raw", "block_bytes"}
    return [{k: v for k, v in row.items() if k not in exempt} for row in rows]


def read_port(devargs, *options, workers=1, memory="--no-huge"):
    """fluxtap run --dpdk, to its end after 5 s: a net_pcap has none."""
    with lab.folder() as d:
        done = subprocess.run([str(lab.FLUXTAP), "run", "--dpdk", devargs, "--duration", "5",
                               "--out", str(d / "r"), "--probe", "lab", "--interval", str(lab.INTERVAL_S),
                               "--cores", lab.cores(workers), *([memory] if memory else []), *options],
                              capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise lab.Failed(f"fluxtap run --dpdk {devargs}: exit {done.returncode}: {done.stderr}")
        return lab.Run(d / "r", 0, done.stdout, done.stderr)


class File(unittest.TestCase):
    def check(self, scenario, *options, workers=1, memory="--no-huge"):
        with lab.folder() as d:
            truth = lab.generate(scenario, *options, pcap=d / "pcap")
            want = lab.read_files(d / "pcap", workers=workers)
            have = read_port(f"net_pcap0,rx_pcap={d}/pcap", workers=workers, memory=memory)
        lab.check_ledger(self, have)
        self.assertEqual(have.book("rx_packets"), truth.totals["packets"])
        self.assertEqual(have.traffic, want.traffic, "record for record")
        everything = [[row for row in without_envelope_of_run(run.ledger) if row["worker"] == "all"]
                      for run in (have, want)]
        self.assertEqual(*everything)
        return have

    def test_mix_huge_pages(self):
        with lab.huge_pages(300):
            said = self.check("mix", "--pairs", 20000, "--names", 50000, memory=None).stderr
        self.assertNotIn("no huge pages", said)
        self.assertNotIn("(0 MiB on huge pages)", said)

    def test_mix(self):
        self.check("mix", "--pairs", 20000, "--names", 50000)

    def test_zoo(self):
        self.check("zoo", "--pairs", 20000)

    def test_zoo_two_workers(self):
        self.check("zoo", "--pairs", 20000, workers=2)

    def test_wrong_device(self):
        for devargs, names in (("net_nosuch0", "net_nosuch0"), ("net_pcap0", "net_pcap0"),
                               ("net_pcap0,rx_pcap=/nonexistent/file", "/nonexistent/file")):
            with lab.folder() as d:
                done = subprocess.run([str(lab.FLUXTAP), "run", "--dpdk", devargs, "--no-huge", "--out", str(d / "r")],
                                      capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 2, f"{devargs}: {done.stderr}")
            self.assertIn(names, done.stderr)


class Wire(unittest.TestCase):
    def setUp(self):
        # DPDK 22.11's net_af_xdp driver does not give its umem back: in a build with
        # LeakSanitizer that would be taken for a leak of ours.
        before = os.environ.get("ASAN_OPTIONS")
        os.environ["ASAN_OPTIONS"] = ":".join(filter(None, (before, "detect_leaks=0")))
        self.addCleanup(os.environ.pop if before is None else os.environ.__setitem__,
                        "ASAN_OPTIONS", *(() if before is None else (before,)))

    def receive(self, scenario, *options, workers=1, memory="--no-huge", tap=False):
        """Until a run loses nothing; `with` each, the ledger must close."""
        why = None if tap else lab.capability_lack()
        if why:
            self.skipTest(why)
        rate = 20000
        for attempt in range(4):
            with lab.wire() as w:
                port = "net_tap0,iface=dtap0" if tap else f"net_af_xdp0,iface={w.b.iface}"
                try:
                    with lab.probe(w.b, "--dpdk", port, *([memory] if memory else []),
                                   workers=workers) as probe:
                        sender = self.tap_end(w.b) if tap else w.a
                        truth = lab.generate(scenario, *options, send=sender, rate=rate)
                        run = probe.finish()
                except lab.Failed as e:
                    if "exit 3" in str(e) or "no such driver" in str(e):
                        self.skipTest(f"the driver does not start: {e}")
                    raise
                self.assertFalse(w.b.has_xdp(), "nothing is left on the interface")
            lab.check_ledger(self, run)
            lost = run.book("source_dropped")
            if truth.whole:
                self.assertEqual(run.book("rx_packets") + lost, truth.sent)
            if truth.whole and lost == 0:
                return truth, run
            print(f"attempt {attempt}: lost {lost}; again, slower")
            rate //= 2
        self.skipTest("the machine is too busy for a run without loss")

    def test_mix(self):
        truth, run = self.receive("mix", "--pairs", 10000, "--names", 20000, "--clients", 5000)
        keys = lab.UNTIMED + lab.TIMED
        self.assertEqual(lab.by_vantage(run.traffic, keys), lab.by_vantage(truth.traffic, keys))

    def test_zoo(self):
        truth, run = self.receive("zoo", "--pairs", 5000, "--duration", 20)
        self.assertEqual(run.book("rx_packets"), truth.totals["packets"])
        self.assertEqual(sum(run.drops("dropped").values()), truth.totals["non_dns"])
        self.assertEqual(lab.figures(run.traffic, lab.UNTIMED), lab.figures(truth.traffic, lab.UNTIMED))

    def tap_end(self, end):
        """The kernel's side of net_tap, in the probe's own namespace."""
        sh = "echo 1 >/proc/sys/net/ipv6/conf/dtap0/disable_ipv6; ip link set dtap0 up"
        end.sh("sh", "-c", sh)
        return lab.End(end.name, "dtap0", None, None, None)

    def test_mix_huge_pages(self):
        keys = lab.UNTIMED + lab.TIMED
        with lab.huge_pages(300):
            for tap in (False, os.path.exists("/dev/net/tun")):
                truth, run = self.receive("mix", "--pairs", 10000, "--names", 20000, memory=None, tap=tap)
                self.assertEqual(lab.by_vantage(run.traffic, keys), lab.by_vantage(truth.traffic, keys))
                self.assertNotIn("(0 MiB on huge pages)", run.stderr)

    def test_tap(self):
        if not os.path.exists("/dev/net/tun"):
            self.skipTest("no /dev/net/tun")
        truth, run = self.receive("mix", "--pairs", 10000, "--names", 20000, tap=True)
        keys = lab.UNTIMED + lab.TIMED
        self.assertEqual(lab.by_vantage(run.traffic, keys), lab.by_vantage(truth.traffic, keys))

    def test_two_workers(self):
        """The device has one queue; software hands its packets out."""
        truth, run = self.receive("mix", "--pairs", 10000, "--names", 20000, "--clients", 5000, workers=2)
        keys = lab.UNTIMED + lab.TIMED
        self.assertEqual(lab.by_vantage(run.traffic, keys), lab.by_vantage(truth.traffic, keys))


if __name__ == "__main__":
    lab.main()
