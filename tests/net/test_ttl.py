#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Lab sheet: a real resolver's cache, seen by its falling TTLs.

    a (asks) ---- veth ---- b (unbound, nsd behind it, tcpdump)

One record is asked for, left to run out, and asked for again, three times. Fills and idle
time that the set `ttl` finds are compared with what was done.
"""
import contextlib
import os
import pathlib
import socket
import struct
import subprocess
import time
import unittest

import lab

RESOLVER, SERVER, TTL = "10.99.0.2", "10.99.0.3", 6
ZONE = f"""$ORIGIN example.
$TTL {TTL}
@ SOA ns.example. host.example. 1 3600 600 86400 1
@ NS ns
ns A {SERVER}
* A 192.0.2.1
"""
NSD = """server:
  ip-address: %s
  username: ""
  chroot: ""
  zonesdir: %s
  database: ""
  pidfile: ""
  xfrdfile: %s/xfrd
  zonelistfile: %s/zonelist
remote-control:
  control-enable: no
zone:
  name: example
  zonefile: nsd.zone
"""
UNBOUND = """server:
  interface: %s
  username: ""
  chroot: ""
  directory: "%s"
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  module-config: "iterator"
  access-control: 10.99.0.0/24 allow_snoop
  outgoing-interface: %s
remote-control:
  control-enable: no
stub-zone:
  name: "example"
  stub-addr: %s
"""


def setUpModule():
    lab.need("nsd", "unbound", "tcpdump", xdp=False)


@contextlib.contextmanager
def running(end, path, *words):
    """A program in a namespace, until the block ends."""
    with open(path / (pathlib.Path(words[0]).name + ".log"), "w") as log:
        p = subprocess.Popen(end.command(*words), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    with lab.undone(lambda: lab.end_process(p)):
        yield p


def ask(end, qid, server=RESOLVER, rd=True, timeout=1.5):
    """The TTL of the answer, None where there is none; and when it came."""
    name = b"\3www\7example\0"
    with end.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, contextlib.suppress(OSError):
        s.settimeout(timeout)
        s.connect((server, 53))
        s.send(struct.pack("!HHHHHH", qid, rd << 8, 1, 0, 0, 0) + name + struct.pack("!HH", 1, 1))
        data = s.recv(4096)
        if struct.unpack("!H", data[6:8])[0]:
            return struct.unpack("!I", data[12 + len(name) + 4 + 6:][:4])[0], time.time()
    return None, time.time()


class Cache(unittest.TestCase):
    def test_fills_and_idle(self):
        idles, seen, filled, qid = (3.0, 5.0, 0), [], [], iter(range(1, 1000))
        with lab.wire() as w, lab.folder() as path:
            os.chmod(path, 0o755)
            lab.sh("ip", "-n", w.b.name, "addr", "add", f"{SERVER}/24", "dev", w.b.iface)
            lab.sh("ip", "-n", w.b.name, "link", "set", "lo", "up")
            (path / "nsd.zone").write_text(ZONE)
            (path / "nsd.conf").write_text(NSD % (SERVER, path, path, path))
            (path / "unbound.conf").write_text(UNBOUND % (RESOLVER, path, RESOLVER, SERVER))
            (path / "watch").write_text("www.example A\n")
            file = path / "lab.pcap"
            with running(w.b, path, "nsd", "-d", "-c", path / "nsd.conf"), \
                    running(w.b, path, "unbound", "-d", "-c", path / "unbound.conf"):
                while ask(w.a, next(qid), SERVER, timeout=0.2)[0] is None or ask(w.a, next(qid), timeout=0.3)[0] is None:
                    time.sleep(0.1)
                time.sleep(TTL + 1)
                with running(w.b, path, "tcpdump", "-i", w.b.iface, "-w", file, "-U", "--immediate-mode", "-Z", "root",
                             "port", "53"):
                    time.sleep(1)
                    for idle in idles:
                        ttl, at = ask(w.a, next(qid))
                        filled.append(at)
                        seen.append(ttl)
                        while time.time() < at + TTL - 0.8:
                            time.sleep(0.4)
                            seen.append(ask(w.a, next(qid), rd=False)[0])
                        time.sleep(max(0.0, at + TTL + idle - time.time()) if idle else 0.5)
            lab.sh(lab.FLUXTAP, "run", "--quiet", "--pcap", file, "--out", path / "r", "--probe", "lab", "--interval", 600,
                   "--watch", path / "watch", "--resolvers", RESOLVER)
            rows = [r for r in lab.records("ttl", path / "r") if r.get("owner") == "www.example." and r["server"] == RESOLVER]
        self.assertEqual(len(rows), 1, rows)
        row = rows[0]
        self.assertEqual((max(seen), row["ttl_max"]), (TTL, TTL))
        self.assertLess(min(seen), TTL - 3, "it falls")
        self.assertEqual((row["fills"], row["live_caches"], row["stretched"]), (3, 1, False), row)
        want = sum(b - a - TTL for a, b in zip(filled, filled[1:])) / 2
        self.assertAlmostEqual(row["idle_us"] / 1e6, want, delta=1.0)  # TTLs are whole seconds


if __name__ == "__main__":
    unittest.main()
