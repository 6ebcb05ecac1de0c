#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The Debian package on this machine: built, installed, started as its unit would on a veth,
purged; and nothing is left. A command of its own, because building takes minutes:

    FLUXTAP_BUILD=build python3 tests/net/package.py [--deb FILE]
"""
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

import lab

ROOT = lab.HERE.parent.parent
DEB = None
UNIT = pathlib.Path("/lib/systemd/system/fluxtap.service")
# What dpkg and man-db write down for themselves, and others' work meanwhile.
NOT_OURS = ("/var/lib/dpkg", "/var/cache/man", "/var/cache/debconf", "/var/log", "/var/backups", "/var/cache/ldconfig",
            "/etc/ld.so.cache", "/etc/.pwd.lock", "/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-",
            "/var/cache/fluxtap",  # other probes of this machine keep their compiled rules there
            "/etc/subuid-", "/etc/subgid-", "/var/cache/apt", "/var/lib/apt", "/var/tmp", "/var/lib/systemd/deb-systemd")


def files():
    found = set()
    for top in ("/etc", "/usr", "/lib/systemd", "/var", "/opt"):
        for folder, dirs, names in os.walk(top):
            dirs[:] = [d for d in dirs if not os.path.join(folder, d).startswith(NOT_OURS)]
            found.update(os.path.join(folder, n) for n in (*dirs, *names))
    return {f for f in found if not f.startswith(NOT_OURS)}


def accounts():
    return {name: pathlib.Path(f"/etc/{name}").read_text() for name in ("passwd", "group", "shadow")}


def dpkg(*words):
    return lab.sh("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", *words)


class Package(unittest.TestCase):
    def setUp(self):
        lab.need("dpkg-buildpackage", "setpriv", "man")
        if shutil.which("fluxtap") or pathlib.Path("/etc/fluxtap").exists():
            self.skipTest("a fluxtap is installed here")

    def unit(self, key):
        return re.findall(rf"(?m)^{key}=(.*)$", UNIT.read_text())[0]

    def as_systemd(self, end, folder):
        """The unit's user, capabilities, directories, limits and view of /proc; then its ExecStart."""
        user = pwd.getpwnam(self.unit("User"))
        made = []
        for key, place in (("RuntimeDirectory", "/run"), ("StateDirectory", "/var/lib"), ("CacheDirectory", "/var/cache")):
            path = pathlib.Path(place, self.unit(key))
            if not path.exists():
                path.mkdir()
                made.append(path)
                os.chown(path, user.pw_uid, user.pw_gid)
        caps = [name.lower().removeprefix("cap_") for name in self.unit("AmbientCapabilities").split()]
        these = ",".join(f"+{name}" for name in caps)
        script = ("mount -t proc -o subset=pid,hidepid=invisible proc /proc && umask 0027 && cd /var/lib/fluxtap && "
                  "{ ulimit -l unlimited || true; } 2>/dev/null; exec \"$@\"")
        self.command = end.command("unshare", "-m", "sh", "-c", script, "sh", "setpriv", f"--reuid={user.pw_uid}",
                                   f"--regid={user.pw_gid}", "--clear-groups", f"--bounding-set=-all,{these}",
                                   f"--inh-caps={these}", f"--ambient-caps={these}", "--no-new-privs",
                                   *self.unit("ExecStart").split())
        self.user = user
        return made

    def test_life(self):
        before, people = files(), accounts()
        self.addCleanup(lambda: subprocess.run(["dpkg", "--purge", "fluxtap"], capture_output=True))
        dpkg("-i", DEB)
        self.assertIn("fluxtap 0.", lab.sh("/usr/bin/fluxtap", "--version"))
        self.assertEqual(lab.sh("getcap", "/usr/bin/fluxtap"), "", "the unit gives capabilities, not the file")
        for page in (("1", "fluxtap"), ("5", "fluxtap.yaml"), ("5", "fluxtap-output")):
            self.assertIn("fluxtap", lab.sh("man", "-w", *page))
        for path in ("bash-completion/completions/fluxtap", "zsh/vendor-completions/_fluxtap",
                     "fish/vendor_completions.d/fluxtap.fish"):
            self.assertTrue(pathlib.Path("/usr/share", path).exists(), path)
        verify = subprocess.run(["systemd-analyze", "verify", UNIT], capture_output=True, text=True)
        self.assertEqual((verify.returncode, verify.stdout + verify.stderr), (0, ""))
        self.assertFalse(pathlib.Path("/etc/systemd/system/multi-user.target.wants/fluxtap.service").exists(), "not enabled by itself")
        self.check_service()
        dpkg("--remove", "fluxtap")
        self.assertTrue(pathlib.Path("/etc/fluxtap/fluxtap.yaml").exists(), "an operator's")
        self.assertTrue(pathlib.Path("/var/lib/fluxtap").exists())
        dpkg("--purge", "fluxtap")
        self.assertEqual({f for f in files() - before if "fluxtap" in f}, set())
        self.assertEqual({f for f in before - files() if "fluxtap" in f}, set())
        extra = {f for f in files() ^ before if not pathlib.Path(f).name.startswith((".", "tmp"))}
        self.assertEqual(extra, set())
        self.assertEqual(accounts(), people)

    def check_service(self):
        config = pathlib.Path("/etc/fluxtap/fluxtap.yaml")
        with lab.folder() as folder, lab.wire() as w:
            made = self.as_systemd(w.b, folder)
            refused = subprocess.run(self.command, capture_output=True, text=True, timeout=60)
            self.assertEqual(refused.returncode, 2, refused.stderr)
            self.assertIn("source", refused.stderr, "none was chosen yet")
            with config.open("a") as f:
                f.write(f"\nxdp: {w.b.iface}\nprobe: packaged\nstate: on\n")
            with open(folder / "stderr", "w") as err:
                p = subprocess.Popen(self.command, stderr=err, stdin=subprocess.DEVNULL)
            with lab.undone(lambda: lab.end_process(p)):
                for _ in range(500):
                    if "output in" in (folder / "stderr").read_text() or p.poll() is not None:
                        break
                    time.sleep(0.02)
                said = (folder / "stderr").read_text()
                self.assertIsNone(p.poll(), said)
                self.assertIn("no capabilities, no_new_privs, seccomp on", said)
                self.assertIn(f"uid={self.user.pw_uid}", said)
                truth = lab.generate("mix", "--pairs", 1000, send=w.a, rate=5000)
                self.assertIn("in use", lab.sh("fluxtap", "reload", "--probe", "packaged") if pathlib.Path(
                    "/run/fluxtap/packaged.sock").exists() else lab.sh("fluxtap", "reload", "--out", "/var/lib/fluxtap"))
                time.sleep(0.3)
                p.send_signal(signal.SIGTERM)
                self.assertEqual(p.wait(60), 0, (folder / "stderr").read_text())
            self.assertFalse(w.b.has_xdp())
            rows = [r for r in lab.records("ledger", "/var/lib/fluxtap") if r["worker"] == "all"]
            self.assertEqual(sum(r["rx_packets"] + r["source_dropped"] for r in rows), truth.sent)
            for path in pathlib.Path("/var/lib/fluxtap").rglob("*"):
                self.assertEqual(path.stat().st_uid, self.user.pw_uid, path)
                self.assertEqual(path.stat().st_mode & 0o007, 0, path)
            for path in made:
                if str(path).startswith("/run"):
                    shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    if "--deb" in sys.argv:
        at = sys.argv.index("--deb")
        DEB = sys.argv[at + 1]
        del sys.argv[at:at + 2]
    else:
        DEB = subprocess.run([ROOT / "tools" / "package"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1]
    lab.main()
