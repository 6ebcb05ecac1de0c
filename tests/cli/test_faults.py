#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Faults that pass: the disk is full and has room again, the output directory goes and comes. What
was exported or is still owed comes in full; what could not be kept is counted."""

import os
import shutil
import subprocess
import unittest

import lab

MIX = ("mix", "--seed", 31, "--pairs", 20000, "--duration", 1200)


class Passing(lab.Case):
    def begin(self, out, *more):
        self.cap = lab.capture(*MIX)
        self.p = self.start("run", "--quiet", "--interval", 10, "--pcap", "-", "--out", out, *more,
                            stdin=subprocess.PIPE)
        self.p.stdin.write(self.cap.header())
        self.fed = 0

    def feed(self, share):
        """Up to this share of the capture."""
        end = int(len(self.cap.packets) * share)
        self.p.stdin.write(b"".join(self.cap.record(x) for x in self.cap.packets[self.fed:end]))
        self.p.stdin.flush()
        self.fed = end

    def finish(self):
        self.p.stdin.close()
        self.p.stdin = None
        return lab.ended(self.p)

    def files(self, out):
        return len(lab.exported(out)[0])

    def read(self, out):
        """Every file with its final name, read by the zstd program."""
        return [r for name in lab.exported(out)[0] for r in lab.unpacked(name)]

    def whole(self):
        return self.run_ok("--pcap", lab.traffic(*MIX)[0], "--interval", 10)

    def test_disk_full_and_back(self):
        small = self.path("small")
        os.mkdir(small)
        if os.geteuid() != 0 or lab.call(["mount", "-t", "tmpfs", "-o", "size=6m", "none", small]).code != 0:
            self.skipTest("cannot mount a small disk here")
        self.addCleanup(lab.call, ["umount", "-l", small])
        out, ballast = os.path.join(small, "out"), os.path.join(small, "ballast")
        self.begin(out)
        self.feed(0.2)
        self.until("first files", lambda: self.files(out) > 10, self.p)
        try:  # every octet that is left
            with open(ballast, "wb", buffering=0) as f:
                while True:
                    f.write(b"\1" * 4096)
        except OSError:
            pass
        self.feed(0.6)
        self.until("what stands in the pipe is read", lambda: self.held_still(out), self.p)
        os.unlink(ballast)
        self.feed(1)
        code, err = self.finish()
        records = self.read(out)
        whole = self.whole()
        missing = len(whole) - len(records)
        # Records wait in memory for the disk to have room again: none is lost.
        self.assertEqual((code, missing), (0, 0), err)
        self.assertEqual(lab.stripped(records), lab.stripped(whole))
        self.check(records)
        self.assertEqual(lab.exported(out)[1], [])

    def held_still(self, out):
        """No file more for a moment, though there is input."""
        before = self.files(out)
        lab.time.sleep(1)
        return self.files(out) == before

    def test_directory_goes_and_comes(self):
        """Removed again and again, and made again: what comes later is in it, whole."""
        self.begin(self.out)
        kept = []
        for share in (0.25, 0.5, 0.75):
            self.feed(share)
            self.until("files", lambda: self.files(self.out) > 10, self.p)
            kept += self.read(self.out)
            # At one stroke: while files come, a directory emptied one by one is not empty.
            os.rename(self.out, self.path("gone"))
            shutil.rmtree(self.path("gone"))
            lab.time.sleep(0.5)
            os.mkdir(self.out)
        self.feed(1)
        code, err = self.finish()
        self.assertEqual(code, 0, err)
        last = self.read(self.out)
        self.assertTrue(last)
        whole = set(lab.stripped(self.whole()))
        self.assertTrue(set(lab.stripped(kept)) | set(lab.stripped(last)) <= whole)

    def test_directory_is_a_file(self):
        """Something else has its name for a while."""
        self.begin(self.out)
        self.feed(0.3)
        self.until("files", lambda: self.files(self.out) > 10, self.p)
        os.rename(self.out, self.path("aside"))
        with open(self.out, "w"):
            pass
        self.feed(0.6)
        lab.time.sleep(1)
        os.unlink(self.out)
        os.mkdir(self.out)
        self.feed(1)
        code, err = self.finish()
        records = self.read(self.path("aside")) + self.read(self.out)
        # What had no place waited in memory.
        self.assertEqual((code, lab.stripped(records)), (0, lab.stripped(self.whole())), err)


if __name__ == "__main__":
    unittest.main()
