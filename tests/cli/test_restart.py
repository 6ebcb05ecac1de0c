# SPDX-License-Identifier: BSD-3-Clause
"""State over restarts: two runs over two halves of a capture say of the day what one run over the whole
says; a run that was killed leaves sound files, a gap in the ledger, and its past to the next one."""

import datetime
import json
import os
import shutil
import signal
import struct
import unittest

import lab
from test_flux import FIELDS, SMALL, T0, wanted
from test_match import BEGIN_US, pcap
from test_trends import exchange

BRIEF = ("--interval", 300, "--top-domains", 0)  # schemas take their time
STATE = ".state-%s.zst" % lab.PROBE


def days(records, kind="cname"):
    return {(r["owner"], r["start"]): r for r in lab.of_set(records, "flux")
            if r["kind"] == kind and r.get("state", "day") == "day"}


def figures(records):
    return {k: (r["class"],) + tuple(r[f] for f in FIELDS) for k, r in days(records).items()}


def onsets(records):
    return [r["owner"] for r in lab.of_set(records, "flux") if r.get("state") == "onset"]


class Files(lab.Case):
    def halves(self, at):
        """The capture until a share of its packets, and from there on."""
        c = lab.capture(*SMALL)
        n = int(len(c.packets) * at)
        return (c.sub(c.packets[:n]).save(self.path("one.pcap")), c.sub(c.packets[n:]).save(self.path("two.pcap")))

    def run_on(self, path, *more, begin=True, out=None):
        """A run with state; returns what it exported itself, and what it said."""
        out = out or self.out
        before = lab.exported(out)[0] if os.path.isdir(out) else []
        r = lab.fluxtap("run", "--out", out, "--state", "on", *BRIEF, "--pcap", path, *more)
        self.assertEqual(r.code, 0, str(r))
        self.assertEqual("goes on from its state" in r.err, begin, str(r))
        records = [x for name in sorted(set(lab.exported(out)[0]) - set(before)) for x in lab.unpacked(name)]
        return self.check(records), r.err

    def test_two_halves(self):
        """The records of the day, byte for byte; each onset once."""
        whole = self.run_ok("--pcap", lab.traffic(*SMALL)[0], *BRIEF)
        for at in (0.5, 0.21):  # on the turn of an interval, and within one
            with self.subTest(at=at):
                shutil.rmtree(self.out, True)
                one, two = self.halves(at)
                first, said = self.run_on(one, begin=False)
                self.assertNotIn("goes on", said)
                self.assertIn("kept in", said)
                self.assertEqual(os.stat(self.path("out", STATE)).st_mode & 0o7777, 0o600)
                second, _ = self.run_on(two)
                self.assertEqual(figures(second), wanted(lab.traffic(*SMALL)[1]))
                self.assertEqual(days(second), days(whole))
                self.assertTrue(onsets(whole))
                self.assertEqual(sorted(onsets(first) + onsets(second)), sorted(onsets(whole)))
                self.assertNotEqual(figures(first), figures(whole))
                # Readers of the directory see records alone, and no temporary is left.
                self.assertEqual(lab.exported(self.out)[1], [self.path("out", STATE)])
                self.assertEqual(lab.fluxtap("cat", self.out).code, 0)

    def test_without(self):
        """Files keep nothing unless asked."""
        self.run_ok("--pcap", self.halves(0.1)[0], out=self.out)
        self.assertEqual(lab.exported(self.out)[1], [])

    def test_gap(self):
        """Packets that no run saw: the day says for how long."""
        c = lab.capture(*SMALL)
        us = [p[0] for p in c.packets]
        hole = [p for p in c.packets if not T0 + 36000 <= p[0] // 1000000 < T0 + 39600]
        one = c.sub([p for p in hole if p[0] < (T0 + 36000) * 1000000]).save(self.path("one.pcap"))
        two = c.sub([p for p in hole if p[0] >= (T0 + 36000) * 1000000]).save(self.path("two.pcap"))
        self.assertLess(len(hole), len(us))
        sinks = ("--sinkholes", self.write("sinks", b"".join(b"all name d%d.com\n" % k for k in range(20))))
        first, _ = self.run_on(one, *sinks, begin=False)
        second, said = self.run_on(two, *sinks)
        self.assertIn("3600 s in between were not watched", said)
        for records, gap in ((first, None), (second, 3600)):
            self.assertEqual({r.get("gap_s") for r in lab.of_set(records, "sinkhole")}, {gap})
        self.assertTrue(days(second))
        for r in days(second).values():
            self.assertEqual(r["gap_s"], 3600)
        for r in lab.of_set(second, "flux"):
            self.assertEqual("gap_s" in r, r.get("state") != "onset")

    def test_another_day(self):
        """A day that nobody saw the end of is written by the next run, and says so."""
        one, _ = self.halves(0.5)
        first, _ = self.run_on(one, begin=False)
        late = lab.Capture.load(one)
        late.packets = [(us + 86400 * 1000000, n, d) for us, n, d in late.packets[:2000]]
        late.save(self.path("late.pcap"))
        second, _ = self.run_on(self.path("late.pcap"))
        old = {k: r for k, r in days(second).items() if k[1] == T0}
        self.assertEqual({k: dict(r, gap_s=None) for k, r in days(first).items()},
                         {k: dict(r, gap_s=None) for k, r in old.items()})
        self.assertEqual({r["gap_s"] for r in old.values()}, {43200})

    def refused(self, two, says, *more):
        records, said = self.run_on(two, *more, begin=False)
        lines = [x for x in said.splitlines() if STATE in x and "kept in" not in x]
        self.assertEqual(len(lines), 1, said)
        self.assertIn(says, lines[0])
        return records

    def test_refused(self):
        """What is damaged, or does not fit, costs a line and the past."""
        one, two = self.halves(0.5)
        self.run_on(one, begin=False)
        state = self.path("out", STATE)
        with open(state, "rb") as f:
            good = f.read()
        alone = self.run_ok("--pcap", two, *BRIEF)
        for says, data in (("damaged", good[:-1]), ("damaged", good[:len(good) // 2] + b"x" + good[len(good) // 2 + 1:]),
                           ("damaged", b""), ("damaged", b"nonsense" * 100),
                           ("version", good[:8] + struct.pack("<I", 99) + good[12:])):
            with open(state, "wb") as f:
                f.write(data)
            self.assertEqual(days(self.refused(two, says)), days(alone))
        for says, more in (("--interval", ("--interval", 600)), ("--sample-key", ("--sample-key", 7)),
                           ("--sketch-seed", ("--sketch-seed", 7)), ("later time", ("--pcap", one))):
            with open(state, "wb") as f:
                f.write(good)
            self.refused(one if says == "later time" else two, says, *more[:2 if more[0] != "--pcap" else 0])
        os.chmod(state, 0o666)
        self.refused(two, "others")
        # And the one that was written instead is good.
        self.assertEqual(oct(os.stat(state).st_mode & 0o777), oct(0o600))

    def test_spikes(self):
        """A name that does not exist: expected is what the run before has learned."""
        def day(begin_s, minutes, count):
            out = []
            for minute in range(minutes):
                for k in range(count):
                    out += exchange(BEGIN_US + ((begin_s + minute * 60) * 1000000) + k * 1000000, "a.gone.example",
                                    "198.51.100.%d" % (k % 9), minute * 100 + k, rcode=3, soa="example")
            return pcap(out)

        one = self.write("one.pcap", day(0, 120, 3))
        two = self.write("two.pcap", day(7200, 2, 50))
        keys = ("--interval", 60)
        self.run_on(one, *keys, begin=False)
        shutil.copytree(self.out, self.path("copy"))
        second, _ = self.run_on(two, *keys)
        spikes = [r for r in lab.of_set(second, "nxdomain") if r.get("state") == "spike"]
        self.assertTrue(spikes, "no spike")
        self.assertTrue(2 < spikes[0]["expected"] < 4, spikes[0])
        os.unlink(self.path("copy", STATE))
        fresh, _ = self.run_on(two, *keys, begin=False, out=self.path("copy"))
        self.assertEqual([r for r in lab.of_set(fresh, "nxdomain") if "state" in r], [])

    def test_resolvers(self):
        """How resolvers asked in a day; what a worker knew of cookies before is gone, and with it DOWNGRADE."""
        def profiles(records):
            rows = {r["client"]: r for r in lab.of_set(records, "resolver")}
            for r in rows.values():
                r["cookie"].pop("DOWNGRADE", None)
            return rows

        c = lab.capture("cookies", "--pairs", 4000)
        own = ("--auth", "192.0.2.0/24")
        n = next(i for i in range(len(c.packets) // 3, len(c.packets))
                 if c.packets[i][0] - c.packets[i - 1][0] > 200000)  # nothing is on its way
        one, two = c.sub(c.packets[:n]).save(self.path("one.pcap")), c.sub(c.packets[n:]).save(self.path("two.pcap"))
        whole = profiles(self.run_ok("--pcap", c.save(self.path("whole.pcap")), *BRIEF, *own))
        first, _ = self.run_on(one, *own, begin=False)
        second, _ = self.run_on(two, *own)
        self.assertGreater(len(whole), 100)
        self.assertEqual(profiles(second), whole)
        self.assertNotEqual(profiles(first), whole)


class Killed(lab.Case):
    def feed(self, p, packets):
        data = b"".join(lab.Capture.record(x) for x in packets)
        for k in range(0, len(data), 65536):
            p.stdin.write(data[k:k + 65536])
        p.stdin.flush()

    def snapshot_end(self):
        """Until when the snapshot goes; 0: there is none."""
        try:
            with open(self.path("out", STATE), "rb") as f:
                head = f.read(152)
        except FileNotFoundError:
            return 0
        return struct.unpack_from("<Q", head, 104)[0]

    def exported_end(self):
        """Until when there are ledgers, by the newest one's name; 0: there is none."""
        names = [os.path.basename(n) for n in lab.exported(self.out)[0] if os.path.basename(n).startswith("ledger-")]
        if not names:
            return 0
        begun = datetime.datetime.strptime(max(names).split("-")[1], "%Y%m%dT%H%M%SZ")
        return int(begun.replace(tzinfo=datetime.timezone.utc).timestamp()) + 300

    def test_kill(self):
        """A run that reads a pipe is killed; the next one goes on, and says what the first took along."""
        c = lab.capture(*SMALL)
        n = len(c.packets) * 6 // 10
        p = self.start("run", "--quiet", "--out", self.out, "--state", "on", *BRIEF, "--pcap", "-",
                       stdin=lab.subprocess.PIPE)
        p.stdin.write(c.header())
        self.feed(p, c.packets[:n])
        last_s = c.packets[n - 1][0] // 1000000
        # What was read up to an interval that the pipe's reader has let go of; a snapshot that had to
        # wait for others to be written has caught up by then.
        self.until("a snapshot", lambda: T0 + 36000 < self.snapshot_end() == self.exported_end(), p)
        p.send_signal(signal.SIGKILL)
        p.wait()
        end_s = self.snapshot_end()
        self.assertLess(end_s, last_s + 300)
        final, other = lab.exported(self.out)
        self.assertTrue(all(os.path.basename(x).startswith(".") for x in other), other)
        before = [r for name in final for r in lab.unpacked(name)]
        self.check(before, ended=False)
        exported_s = max(r["end"] for r in lab.all_rows(before))
        self.assertIn(exported_s - end_s, (0, 300))
        self.assertEqual(len(lab.segments()), 1)
        # All that the snapshot does not have comes again: nothing is missing then, and nothing twice.
        rest = c.sub([x for x in c.packets if x[0] >= end_s * 1000000]).save(self.path("rest.pcap"))
        r = lab.fluxtap("run", "--out", self.out, "--state", "on", *BRIEF, "--pcap", rest)
        self.assertEqual(r.code, 0, str(r))
        self.assertIn("goes on from its state", r.err)
        self.assertEqual(lab.segments(), [])
        final2, other = lab.exported(self.out)
        self.assertEqual(other, [self.path("out", STATE)])
        after = self.check([x for name in sorted(set(final2) - set(final)) for x in lab.unpacked(name)])
        self.assertEqual(figures(after), wanted(lab.traffic(*SMALL)[1]))
        told = onsets([x for x in before if x["start"] < end_s]) + onsets(after)
        self.assertEqual(len(told), len(set(told)), "an onset twice")
        self.check_gap(before, after, exported_s)
        report = lab.fluxtap("report", "ledger", self.out)
        self.assertEqual((report.code, report.out.count("GAP")), (0, 1), str(report))
        self.assertNotIn("DO NOT CLOSE", report.out)

    def check_gap(self, before, after, exported_s):
        self.assertEqual(lab.gap_rows(before), [])
        rows = lab.gap_rows(after)
        self.assertEqual([r["worker"] for r in rows], ["all", 0])
        self.assertTrue(all(r["gap"] is True and r["start"] == exported_s < r["end"] for r in rows), rows)
        row = rows[0]
        self.assertEqual({k: v for k, v in rows[1].items() if k != "worker"},
                         {k: v for k, v in row.items() if k != "worker"})
        # What it had read and not told: at most what lies between its last export and its clock.
        c = lab.capture(*SMALL)
        times = [x[0] // 1000000 for x in c.packets]
        behind = sum(exported_s <= t < row["end"] for t in times)
        self.assertGreater(row["rx_packets"], 0)
        self.assertLessEqual(row["rx_packets"], behind + 1)
        self.assertEqual(row["rx_packets"], row["carried"])
        self.assertEqual(row["messages"], row["rx_packets"])

    def test_kill_again_and_again(self):
        """Whenever it is killed: what has its name is whole, and the next start takes up what there is."""
        path = lab.traffic(*SMALL)[0]
        for k in range(5):
            p = self.start("run", "--out", self.out, "--state", "on", *BRIEF, "--pcap", path)
            self.until("some files", lambda: len(lab.exported(self.out)[0]) >= 40 * k or p.poll() is not None)
            p.kill()
            said = p.communicate()[1].decode()
            self.assertNotIn("damaged", said)
            shutil.rmtree(self.path("out", "ledger"), True)
            for name in lab.exported(self.out)[0]:
                lab.unpacked(name)
        os.path.exists(self.path("out", STATE)) and os.unlink(self.path("out", STATE))
        r = lab.fluxtap("run", "--out", self.out, "--state", "on", *BRIEF, "--pcap", path)
        self.assertEqual(r.code, 0, str(r))
        self.assertEqual(lab.segments(), [])
        self.assertEqual(lab.exported(self.out)[1], [self.path("out", STATE)])

    def test_living(self):
        """The segment of a run that lives is left alone."""
        c = lab.capture(*SMALL)
        p = self.start("run", "--quiet", "--out", self.out, *BRIEF, "--pcap", "-", stdin=lab.subprocess.PIPE)
        p.stdin.write(c.header())
        self.feed(p, c.packets[:3000])
        self.until("a segment", lambda: len(lab.segments()) == 1, p)
        r = lab.fluxtap("run", "--quiet", "--out", self.path("other"), *BRIEF, "--pcap",
                        c.sub(c.packets[:50]).save(self.path("few.pcap")))
        self.assertEqual(r.code, 0, str(r))
        self.assertEqual(lab.gap_rows(self.records(self.path("other"))), [])
        self.assertEqual(len(lab.segments()), 1)
        p.stdin.close()
        self.assertEqual(p.wait(60), 0)
        self.assertEqual(lab.total(self.records(), "rx_packets"), 3000)


if __name__ == "__main__":
    unittest.main()
