#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Lab sheet: what a running probe may do.

An ordinary user with file capabilities on a copy of the binary, and root with --user: what
every thread has left (/proc/PID/task/*/status), and that watching, reloading, snapshots,
--keep and a clean end work with that. What the service manager and the journal are told, by
sockets of our own in their place.
"""
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time
import unittest

import lab

USER = "nobody"
PW = pwd.getpwnam(USER)
FILE_CAPS = "cap_bpf,cap_perfmon,cap_net_admin,cap_net_raw,cap_ipc_lock+ep"
RATE = 5000
AS_USER = ["setpriv", f"--reuid={PW.pw_uid}", f"--regid={PW.pw_gid}", "--clear-groups"]
RULES = "first suffix com\n"
# Runs a command in the lab's folder, where its standard error goes.
IN_FOLDER = ["sh", "-c", 'cd "$(dirname "$(readlink /proc/self/fd/2)")" && exec "$@"', "sh"]


def setUpModule():
    lab.need("setcap", "setpriv")


def copy_with(folder, caps):
    """A copy of the binary with these file capabilities; skips where the file system has none."""
    copy = folder / "fluxtap"
    shutil.copy(lab.FLUXTAP, copy)
    copy.chmod(0o755)
    done = subprocess.run(["setcap", caps, copy], capture_output=True, text=True)
    if done.returncode != 0:
        raise unittest.SkipTest(f"no file capabilities here: {done.stderr.strip()}")
    reach = subprocess.run([*AS_USER, copy, "--version"], capture_output=True, text=True)
    if reach.returncode != 0:
        raise unittest.SkipTest(f"{USER} cannot run it here: {reach.stderr}")
    return copy


def status(pid):
    """Of each thread: {key: value}."""
    threads = []
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        lines = (line.split(":", 1) for line in path.read_text().splitlines())
        threads.append({key: value.strip() for key, value in lines})
    return threads


def for_user(path):
    """The lab's folder, for USER to write to; with a list of rules in it."""
    path.chmod(0o755)
    records = path / "records"
    records.mkdir()
    os.chown(records, PW.pw_uid, PW.pw_gid)
    (path / "rules").write_text(RULES)


class Rights(unittest.TestCase):
    def check_threads(self, pid, uid, caps=0, least=2):
        threads = status(pid)
        self.assertGreaterEqual(len(threads), least)
        for t in threads:
            for key in ("CapEff", "CapPrm"):
                self.assertEqual(int(t[key], 16), caps, (key, t["Name"]))
            for key in ("CapInh", "CapAmb"):
                self.assertEqual(int(t[key], 16), 0, (key, t["Name"]))
            self.assertEqual(t["NoNewPrivs"], "1", t["Name"])
            self.assertEqual(t["Uid"].split(), [str(uid)] * 4)
            if self.has_filter:
                self.assertEqual(t["Seccomp"], "2", t["Name"])
            else:
                self.assertEqual(t["Seccomp"], "0", "a build with a sanitizer")
        return threads

    def check_day(self, w, probe, uid, caps=0):
        """Traffic, reload, more traffic, what it wrote, a clean end."""
        self.has_filter = "seccomp off in this build" not in probe.said()
        self.check_threads(probe.process.pid, uid, caps)
        truth = lab.generate("mix", "--pairs", 2000, send=w.a, rate=RATE)
        (probe.path / "rules").write_text(RULES + "second regex ^[a-z0-9-]+\\.[a-z]\n")
        said = lab.sh(lab.FLUXTAP, "reload", *self.socket(probe))
        self.assertIn("1 expression", said)
        self.check_threads(probe.process.pid, uid, caps)
        time.sleep(2.5)  # intervals of a second: exports and snapshots
        self.check_threads(probe.process.pid, uid, caps)
        more = lab.generate("mix", "--pairs", 2000, "--seed", 2, send=w.a, rate=RATE)
        run = probe.finish()
        self.assertFalse(w.b.has_xdp(), w.b.link())
        self.assertIn("promiscuity 0", w.b.link())
        self.assertNotIn("tcx", w.b.link())
        lab.check_ledger(self, run)
        if truth.whole and more.whole:
            self.assertEqual(run.book("rx_packets") + run.book("source_dropped"), truth.sent + more.sent)
        rules = {row["rule"] for row in lab.records("match", probe.out) if "rule" in row}
        self.assertLessEqual({"first", "second"}, rules)
        state = probe.out / f".state-{probe.name}.zst"
        self.assertEqual(state.stat().st_uid, uid)
        self.assertEqual(state.stat().st_mode & 0o777, 0o600)
        self.assertFalse((probe.out / ".fluxtap.sock").exists())
        for path in probe.out.rglob("*"):
            self.assertEqual(path.stat().st_uid, uid, path)
        self.assertEqual(list(pathlib.Path("/dev/shm").glob(f"fluxtap.{probe.name}*")), [])
        self.assertEqual(list(pathlib.Path("/run/fluxtap").glob(f"{probe.name}*")), [])
        return run

    @staticmethod
    def socket(probe):
        if (probe.out / ".fluxtap.sock").exists():
            return "--socket", probe.out / ".fluxtap.sock"
        return "--probe", probe.name

    def test_ordinary_user(self):
        """File capabilities alone, in tap and in host mode."""
        with lab.folder() as folder:
            folder.chmod(0o755)
            copy = copy_with(folder, FILE_CAPS)
            for spec in ("", ",mode=host"):
                with lab.wire() as w, lab.probe(w.b, "--xdp", w.b.iface + spec, "--rules", "rules", interval=1,
                                                program=[*IN_FOLDER, *AS_USER, copy], prepare=for_user) as probe:
                    if not spec:
                        self.assertTrue(w.b.has_xdp())
                    self.check_day(w, probe, PW.pw_uid)

    def test_root_becomes_user(self):
        for spec in ("", ",mode=host"):
            def prepare(path):
                for_user(path)
                (path / "records").rmdir()  # made by the probe, for its user

            with lab.wire() as w, lab.probe(w.b, "--xdp", w.b.iface + spec, "--user", USER, "--rules", "rules", interval=1,
                                            program=[*IN_FOLDER, lab.FLUXTAP], prepare=prepare) as probe:
                self.check_day(w, probe, PW.pw_uid)

    def test_root(self):
        """Without --user: uid 0, and nothing else of root."""
        with lab.wire() as w, lab.probe(w.b, "--xdp", w.b.iface, "--rules", "rules", interval=1,
                                        program=[*IN_FOLDER, lab.FLUXTAP], prepare=lambda path: (path / "rules").write_text(RULES)) as probe:
            self.check_day(w, probe, 0)

    def test_clsact_keeps_one(self):
        """A tc filter can only be taken away with CAP_NET_ADMIN (bit 12): that one stays."""
        with lab.wire() as w, lab.probe(w.b, "--xdp", w.b.iface + ",mode=host,clsact", "--rules", "rules", interval=1,
                                        program=[*IN_FOLDER, lab.FLUXTAP], prepare=lambda path: (path / "rules").write_text(RULES)) as probe:
            self.check_day(w, probe, 0, caps=1 << 12)
            self.assertNotIn("clsact", w.b.sh("tc", "qdisc", "show", "dev", w.b.iface))

    def test_dpdk_threads(self):
        """Threads that DPDK started before: they give up theirs, too."""
        keeps = 1 << 12 | 1 << 21  # CAP_NET_ADMIN, CAP_SYS_ADMIN
        env = {"ASAN_OPTIONS": "detect_leaks=0"}  # the driver does not give its umem back
        with lab.wire() as w, lab.probe(w.b, "--dpdk", f"net_af_xdp0,iface={w.b.iface}", "--no-huge", env=env) as probe:
            self.has_filter = "seccomp off in this build" not in probe.said()
            threads = self.check_threads(probe.process.pid, 0, keeps, least=3)
            self.assertTrue(any("eal" in t["Name"] or "rte" in t["Name"] for t in threads), [t["Name"] for t in threads])
            lab.generate("mix", "--pairs", 500, send=w.a, rate=RATE)
            self.assertNotIn("not permitted", probe.finish().stderr)
            self.assertFalse(w.b.has_xdp(), w.b.link())

    def test_file(self):
        """Nothing at all for a file; the run ends as ever."""
        with lab.folder() as path:
            lab.generate("mix", "--pairs", 2000, pcap=path / "x.pcap")
            fifo = path / "fifo"
            os.mkfifo(fifo)
            p = subprocess.Popen([lab.FLUXTAP, "run", "--pcap", "-", "--out", path / "r", "--quiet", "--state", "on",
                                  "--socket", path / "sock"],
                                 stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=False)
            with lab.undone(lambda: lab.end_process(p)):
                data = (path / "x.pcap").read_bytes()
                p.stdin.write(data[:100000])
                p.stdin.flush()
                for _ in range(200):  # the library's start comes first
                    if len(status(p.pid)) >= 2 and all(t["NoNewPrivs"] == "1" for t in status(p.pid)):
                        break
                    time.sleep(0.05)
                time.sleep(0.2)
                self.has_filter = any(t["Seccomp"] == "2" for t in status(p.pid))
                self.check_threads(p.pid, 0)
                p.stdin.write(data[100000:])
                p.stdin.close()
                self.assertEqual(p.wait(60), 0, p.stderr.read())
                p.stderr.close()

    def test_what_lacks(self):
        """Each capability that is missing is named, with the command; nothing was opened."""
        with lab.folder() as folder, lab.wire() as w:
            folder.chmod(0o755)
            for have, lacks in (("cap_net_raw+ep", "CAP_NET_ADMIN CAP_PERFMON CAP_BPF"),
                                ("cap_bpf,cap_perfmon,cap_net_admin+ep", "CAP_NET_RAW")):
                copy = copy_with(folder, have)
                done = subprocess.run(w.b.command(*AS_USER, copy, "run", "--xdp", w.b.iface, "--out", folder / "o"),
                                      capture_output=True, text=True, timeout=30)
                self.assertEqual(done.returncode, 3, done.stderr)
                self.assertIn(f"lacks {lacks}: ", done.stderr)
                self.assertIn(f"setcap {FILE_CAPS} {copy}", done.stderr)
                self.assertFalse((folder / "o").exists())
            copy = copy_with(folder, "cap_bpf,cap_perfmon,cap_net_admin,cap_net_raw+ep")
            done = subprocess.run(w.b.command("prlimit", "--memlock=8388608:8388608", *AS_USER, copy, "run", "--xdp",
                                              w.b.iface, "--out", folder / "o"), capture_output=True, text=True, timeout=30)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("LimitMEMLOCK=infinity", done.stderr)
            self.assertFalse(w.b.has_xdp())


class Manager(unittest.TestCase):
    def test_notify(self):
        """Ready when the source is open, a heartbeat, reloading, stopping."""
        with lab.folder() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            folder.chmod(0o711)
            manager.bind(str(folder / "notify"))
            (folder / "notify").chmod(0o666)
            manager.settimeout(10)

            def hear():
                return manager.recv(4096).decode()

            def hear_until(what):
                while what not in (text := hear()):
                    self.assertIn(text, ["WATCHDOG=1"])
                return text

            env = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "400000"}
            with lab.wire() as w, lab.probe(w.b, "--xdp", w.b.iface, "--user", USER, interval=1, env=env,
                                            prepare=lambda path: path.chmod(0o711)) as probe:
                self.assertRegex(hear(), r"^READY=1\nSTATUS=vb: tap mode, ")
                begin = time.monotonic()
                beats = 0
                while time.monotonic() - begin < 2:
                    self.assertEqual(hear(), "WATCHDOG=1")
                    beats += 1
                self.assertGreaterEqual(beats, 8, "one each 0.2 s at least")
                os.kill(probe.process.pid, signal.SIGHUP)
                self.assertIn("MONOTONIC_USEC=", hear_until("RELOADING=1"))
                hear_until("READY=1")
                begin = time.monotonic()
                text = hear_until("STATUS=")
                self.assertRegex(text, r"^STATUS=\d+ packets, \d+ messages, 0 packets lost by the source$")
                os.kill(probe.process.pid, signal.SIGTERM)
                hear_until("STOPPING=1")
                probe.finish(how=None)

    def test_journal(self):
        """To the journal by fields, where standard error leads to it: a socket of ours plays its part."""
        if os.path.exists("/run/systemd/journal/socket"):
            self.skipTest("a journal runs here")
        with lab.folder() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
            place = pathlib.Path("/run/systemd/journal")
            made = not place.exists()
            place.mkdir(parents=True, exist_ok=True)
            with lab.undone(lambda: ((place / "socket").unlink(missing_ok=True), made and place.rmdir())):
                journal.bind(str(place / "socket"))
                journal.settimeout(10)
                lab.generate("mix", "--pairs", 500, pcap=folder / "x.pcap")
                (folder / "o").mkdir()
                (folder / "o" / ".state-jtest.zst").write_text("damaged")
                r, w = os.pipe()
                st = os.fstat(w)
                done = subprocess.run([lab.FLUXTAP, "run", "--pcap", folder / "x.pcap", "--out", folder / "o", "--probe", "jtest",
                                       "--state", "on", "--quiet"], stderr=w, timeout=60,
                                      env={**os.environ, "JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"})
                os.close(w)
                self.assertEqual(os.read(r, 4096), b"", "nothing beside")
                os.close(r)
                self.assertEqual(done.returncode, 0)
                entry = dict(line.split("=", 1) for line in journal.recv(65536).decode().strip().split("\n"))
                self.assertIn("is not taken up", entry["MESSAGE"])
                self.assertEqual(entry["PRIORITY"], "4")
                self.assertEqual(entry["SYSLOG_IDENTIFIER"], "fluxtap")
                self.assertEqual(entry["FLUXTAP_PROBE"], "jtest")
                self.assertEqual(entry["FLUXTAP_EVENT"], "state-refused")
                self.assertEqual(entry["FLUXTAP_PATH"], str(folder / "o" / ".state-jtest.zst"))


class Keep(unittest.TestCase):
    def test_size(self):
        """A long file run with a small limit: what is left fits, and is the newest; others' files stay."""
        with lab.folder() as folder:
            lab.generate("mix", "--pairs", 60000, pcap=folder / "x.pcap")
            out = folder / "o"
            (out / "traffic").mkdir(parents=True)
            (out / "ledger").mkdir()
            alien = [out / "traffic" / "traffic-20200101T000000Z-other-000001.jsonl.zst", out / "traffic" / "notes"]
            old = [out / s / f"{s}-20200101T{i // 60:02}{i % 60:02}00Z-keep-{i:06}.jsonl.zst"
                   for s in ("traffic", "ledger") for i in range(1200)]
            for path in alien + old:
                path.write_bytes(b"x" * 2000)
            done = subprocess.run([lab.FLUXTAP, "run", "--pcap", folder / "x.pcap", "--out", out, "--probe", "keep",
                                   "--interval", "5", "--keep", "1M", "--socket", "off"], capture_output=True, text=True, timeout=120)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stderr, r"--keep: removed \d+ old files .* level=info event=keep files=\d+ bytes=\d+")
            said = re.search(r"keep +([\d,]+) old files removed .*, ([\d,]+) left", done.stderr)
            self.assertGreater(int(said[1].replace(",", "")), 1200)
            self.assertEqual(int(said[2].replace(",", "")), len(list(out.glob("*/*-keep-*.jsonl.zst"))))
            for path in alien:
                self.assertTrue(path.exists())
            there = [path.exists() for path in sorted(old, key=lambda p: p.name.split("-")[1])]
            self.assertFalse(there[0])
            self.assertEqual(there, sorted(there), "the oldest went, of both sets")
            left = sorted((p for p in out.glob("*/*-keep-*.jsonl.zst")), key=lambda p: p.name.split("-")[1])
            size = sum(p.stat().st_size for p in left)
            newest = left[-1].name.split("-")[1]
            self.assertLessEqual(sum(p.stat().st_size for p in left if p.name.split("-")[1] != newest), 1 << 20)
            self.assertGreater(size, 1 << 19, "and not more than needed is gone")
            for path in old:
                path.unlink(missing_ok=True)
            times = [json.loads(line)["start"] for line in lab.sh(lab.FLUXTAP, "cat", "--set", "ledger", out).splitlines()
                     if '"keep"' in line]
            self.assertEqual(times, sorted(times))
            self.assertEqual(set(b - a for a, b in zip(times, times[1:])) - {0}, {5}, "no hole in what is left")


if __name__ == "__main__":
    lab.main()
