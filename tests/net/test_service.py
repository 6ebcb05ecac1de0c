#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Lab sheet: the unit under a systemd of its own, in namespaces of its own.

    unshare: pid, mounts, network, cgroups ---- systemd ---- fluxtap.service ---- veth

All of the unit's hardening is in force. Changed are the paths and the user (nobody), so that
nothing has to be installed, and the watchdog's time.
"""
import os
import pathlib
import re
import shutil
import subprocess
import time
import unittest

import lab

ROOT = lab.HERE.parent.parent
SYSTEMD = pathlib.Path("/lib/systemd/systemd")
INSIDE = r"""
set -e
mount --make-rprivate /
for d in /run /opt /var/lib /var/cache; do mount -t tmpfs tmpfs $d; done
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /run/lock /run/systemd/system
cp FOLDER/* /opt/
mv /opt/*.service /opt/*.target /run/systemd/system/
ip link add va type veth peer name vb
for i in lo va vb; do ip link set $i up; done
export container=other
exec SYSTEMD --unit=lab.target --show-status=no
"""


def setUpModule():
    lab.need("unshare", "nsenter", "systemctl")
    if not SYSTEMD.exists():
        raise unittest.SkipTest("no systemd")
    if re.search(rb"__[at]san_init", lab.FLUXTAP.read_bytes()):
        raise unittest.SkipTest("a sanitizer does not live with the unit's limits")


def write_unit(folder):
    unit = (ROOT / "tools/service/fluxtap.service").read_text()
    for pattern, text in ((r"/usr/bin/fluxtap", "/opt/fluxtap"), (r"/etc/fluxtap/fluxtap.yaml", "/opt/fluxtap.yaml"),
                          (r"(?m)^User=.*", "User=nobody"), (r"(?m)^Group=.*", "Group=nogroup"),
                          (r"(?m)^ConfigurationDirectory=.*\n", ""), (r"(?m)^WatchdogSec=.*", "WatchdogSec=2"),
                          (r"(?m)^RestartSec=.*", "RestartSec=0"),
                          (r"(?m)^After=.*", "DefaultDependencies=no"),
                          (r"\[Service\]", "[Service]\nStandardError=append:/run/said\nStandardOutput=null")):
        unit, n = re.subn(pattern, text, unit)
        assert n > 0, pattern
    (folder / "fluxtap.service").write_text(unit)
    (folder / "lab.target").write_text("[Unit]\nDefaultDependencies=no\nAllowIsolate=yes\n")
    config = (ROOT / "tools/service/fluxtap.yaml").read_text()
    config = config.replace("#xdp: eth1\n", "xdp: vb\n").replace("interval: 60", "interval: 1")
    (folder / "fluxtap.yaml").write_text(config + "rules: /opt/lab.rules\nprobe: lab\n")
    (folder / "lab.rules").write_text("one suffix com\n")
    shutil.copy(lab.FLUXTAP, folder / "fluxtap")


class Service(unittest.TestCase):
    def sh(self, *words, ok=True):
        done = subprocess.run(["nsenter", "-t", str(self.pid), "-m", "-p", "-n", "-C", *map(str, words)], capture_output=True,
                              text=True, timeout=30)
        if ok:
            self.assertEqual(done.returncode, 0, f"{words}: {done.stdout}{done.stderr}{self.said()}")
        return done.stdout

    def said(self):
        done = subprocess.run(["nsenter", "-t", str(self.pid), "-m", "cat", "/run/said"], capture_output=True, text=True)
        return done.stdout

    def show(self, key):
        return self.sh("systemctl", "show", "-p", key, "--value", "fluxtap").strip()

    def wait(self, what, why, seconds=15):
        end = time.monotonic() + seconds
        while not what():
            self.assertLess(time.monotonic(), end, f"{why}: {self.said()}")
            time.sleep(0.1)

    def start_systemd(self, folder):
        script = INSIDE.replace("FOLDER", str(folder)).replace("SYSTEMD", str(SYSTEMD))
        outer = subprocess.Popen(["unshare", "--uts", "--ipc", "--pid", "--mount", "--cgroup", "--net", "--fork", "--mount-proc",
                                  "--kill-child=KILL", "sh", "-c", script], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(outer.stderr.close)
        self.addCleanup(lambda: lab.end_process(outer))
        for _ in range(100):
            time.sleep(0.1)
            if outer.poll() is not None:
                self.skipTest(f"no systemd in namespaces here: {outer.stderr.read().strip()}")
            children = pathlib.Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
            if not children:
                continue
            self.pid = int(children[0])
            up = subprocess.run(["nsenter", "-t", str(self.pid), "-m", "-p", "-C", "systemctl", "show", "-p", "Version"],
                                capture_output=True, timeout=20)
            if up.returncode == 0:
                return
        self.skipTest("systemd does not come up in namespaces here")

    def test_life(self):
        with lab.folder() as folder:
            folder.chmod(0o755)
            write_unit(folder)
            self.start_systemd(folder)
            self.sh("systemctl", "start", "fluxtap")
            self.assertEqual(self.show("ActiveState"), "active")
            self.assertRegex(self.show("StatusText"), "^vb: tap mode, native XDP")
            self.assertIn("no capabilities, no_new_privs, seccomp ", self.said())
            status = self.sh("cat", f"/proc/{self.show('MainPID')}/status")
            self.assertRegex(status, r"Uid:\t65534\t65534\t65534\t65534")
            for key in ("CapPrm", "CapEff", "CapAmb", "CapInh"):
                self.assertRegex(status, rf"{key}:\t0{{16}}\n")

            def generate():
                with lab.folder() as f:
                    self.sh(lab.GENERATOR, "--scenario", "mix", "--pairs", 500, "--truth", f / "t", "--send", "va", "--rate", 5000)
            generate()
            # A list that is wrong, then one that is right; the probe goes on.
            self.sh("sh", "-c", "echo nonsense > /opt/lab.rules")
            self.sh("systemctl", "reload", "fluxtap")
            self.wait(lambda: "event=reload-refused" in self.said(), "bad rules are refused")
            self.sh("sh", "-c", "printf 'one suffix com\\ntwo regex ^[a-z]\\n' > /opt/lab.rules")
            self.sh("systemctl", "reload", "fluxtap")
            self.wait(lambda: "reload: 1 expression" in self.said(), "new rules are used")
            self.assertEqual(self.show("ActiveState"), "active")
            generate()
            # An interval is exported 6 s later. Longer than the watchdog's time: the heartbeat is heard.
            self.wait(lambda: '"rule":"two"' in self.sh("sh", "-c", "/opt/fluxtap cat --set match /var/lib/fluxtap || true"), "records")
            self.assertEqual(self.show("NRestarts"), "0")
            generate()
            # One that stands still is ended, and a new one started, which says what was lost.
            before = self.show("MainPID")
            self.sh("kill", "-STOP", before)
            self.wait(lambda: self.show("NRestarts") == "1" and self.show("ActiveState") == "active", "a restart")
            self.assertNotEqual(self.show("MainPID"), before)
            self.sh("systemctl", "stop", "fluxtap")
            self.assertEqual((self.show("ActiveState"), self.show("Result"), self.show("ExecMainStatus")),
                             ("inactive", "success", "0"))
            self.assertNotIn("prog/xdp", self.sh("ip", "-d", "link", "show", "vb"))
            rows = self.sh("/opt/fluxtap", "cat", "--set", "match,ledger", "/var/lib/fluxtap")
            self.assertIn('"rule":"two"', rows)
            self.assertIn('"gap":true', rows, "what the killed one had in flight")
            for line in self.sh("find", "/var/lib/fluxtap/", "-printf", "%u %m %p\n").splitlines()[1:]:
                self.assertRegex(line, r"^nobody (640|600|750) ")
            # Wrong configuration: said, and not tried again.
            self.sh("sh", "-c", "echo 'nosuch: 1' >> /opt/fluxtap.yaml")
            self.sh("systemctl", "start", "fluxtap", ok=False)
            self.assertEqual((self.show("ActiveState"), self.show("ExecMainStatus")), ("failed", "2"))
            self.assertIn("fluxtap.yaml:", self.said().splitlines()[-1])


if __name__ == "__main__":
    lab.main()
