#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Lab sheet: transports, with real servers and real clients.

    a (kdig; BIND as a secondary) ---- veth ---- b (knotd, BIND as a primary; fluxtap)

Truncated answers with a small EDNS buffer, AXFR and IXFR from knotd, DNS over TLS and HTTPS
and a zone transfer over TLS with BIND. What set `transport` says is compared with what was
done, and with what kdig and BIND count themselves.
"""
import contextlib
import os
import re
import subprocess
import time
import unittest

import lab

SERVER, CLIENT = "10.99.0.2", "10.99.0.1"


def setUpModule():
    lab.need("knotd", "kdig", "named", "tcpdump", "openssl", xdp=False)


def zone(serial, extra=0):
    """example., in which `big` and `mid` do not fit into small datagrams."""
    yield "$ORIGIN example."
    yield "$TTL 300"
    yield f"@ SOA ns hostmaster {serial} 3600 600 86400 300"
    yield "@ NS ns"
    yield f"ns A {SERVER}"
    for i in range(3000):
        yield f"host{i} A 192.0.2.{i % 254 + 1}"
    for i in range(extra):
        yield f"new{i} A 198.51.100.{i % 254 + 1}"
    for name, n in (("big", 20), ("mid", 8)):
        for i in range(n):
            yield f'{name} TXT "{i}{"x" * 200}"'


@contextlib.contextmanager
def running(end, path, log, *words):
    """A program in a namespace, until the block ends."""
    with open(path / log, "w") as out:
        p = subprocess.Popen(end.command(*words), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    with lab.undone(lambda: lab.end_process(p)):
        yield p


def wait_for(what, condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise lab.Failed(f"waited {seconds} s for {what}")
        time.sleep(0.1)


@contextlib.contextmanager
def knotd(end, path):
    (path / "knot").mkdir()
    (path / "knot" / "example.zone").write_text("\n".join(zone(1)) + "\n")
    (path / "knot.conf").write_text(f"""
server:
  listen: {SERVER}@53
  rundir: {path}/knot
  udp-max-payload: 4096
database:
  storage: {path}/knot
acl:
  - id: all
    action: transfer
template:
  - id: default
    storage: {path}/knot
    acl: all
    zonefile-load: difference
    journal-content: changes
zone:
  - domain: example.
    file: example.zone
""")
    with running(end, path, "knotd.log", "knotd", "-c", path / "knot.conf") as p:
        wait_for("knotd", lambda: lab.asks(end, SERVER))
        yield p


@contextlib.contextmanager
def primary(end, path):
    """BIND with example. over TLS at 853 and HTTPS at 443."""
    lab.sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
           "-subj", "/CN=ns.example", "-addext", "subjectAltName=DNS:ns.example", "-keyout", path / "key", "-out", path / "cert")
    (path / "primary.zone").write_text("\n".join(zone(1)) + "\n")
    (path / "primary.conf").write_text(f"""
tls own {{ cert-file "{path}/cert"; key-file "{path}/key"; }};
options {{
  directory "{path}";
  listen-on {{ {SERVER}; }};
  listen-on port 853 tls own {{ {SERVER}; }};
  listen-on port 443 tls own http default {{ {SERVER}; }};
  listen-on-v6 {{ none; }};
  pid-file none; session-keyfile none; recursion no; dnssec-validation no;
  notify explicit; notify-delay 0; also-notify {{ {CLIENT}; }};
  allow-transfer port 853 transport tls {{ any; }};
}};
controls {{ }};
zone "example" {{ type primary; file "{path}/primary.zone"; ixfr-from-differences no; }};
""")
    with running(end, path, "primary.log", "named", "-g", "-4", "-c", path / "primary.conf") as p:
        wait_for("BIND", lambda: lab.asks(end, SERVER))
        yield p


@contextlib.contextmanager
def secondary(end, path):
    (path / "second").mkdir()
    (path / "secondary.conf").write_text(f"""
tls other {{ remote-hostname "ns.example"; ca-file "{path}/cert"; }};
options {{
  directory "{path}/second";
  listen-on {{ {CLIENT}; }};
  listen-on-v6 {{ none; }};
  pid-file none; session-keyfile none; recursion no; dnssec-validation no;
}};
controls {{ }};
zone "example" {{ type secondary; file "example.copy"; primaries {{ {SERVER} port 853 tls other; }}; }};
""")
    with running(end, path, "secondary.log", "named", "-g", "-4", "-c", path / "secondary.conf") as p:
        yield p


@contextlib.contextmanager
def capture(end, path):
    """tcpdump on the end's interface; the file is whole when the block ends."""
    file = path / "lab.pcap"
    p = subprocess.Popen(end.command("tcpdump", "-i", end.iface, "-w", file, "-U", "-Z", "root", "tcp or udp"),
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    with lab.undone(lambda: lab.end_process(p)):
        p.stderr.readline()
        wait_for("tcpdump", lambda: file.exists() and file.stat().st_size >= 24)
        time.sleep(0.3)
        yield file
        time.sleep(0.7)
        lab.end_process(p, lab.signal.SIGINT)
        p.stderr.close()


def kdig(end, *words):
    done = subprocess.run(end.command("kdig", f"@{SERVER}", "+time=3", "+retry=0", *words), capture_output=True,
                          text=True, timeout=30, check=False)
    return done.stdout + done.stderr


def says(file, *options):
    """Records of set transport: the one interval, and what stands beside it."""
    with lab.folder() as out:
        lab.sh(lab.FLUXTAP, "run", "--quiet", "--pcap", file, "--out", out / "r", "--probe", "transport-lab",
               "--interval", 86400, *options)
        rows = list(lab.records("transport", out / "r"))
    main = [r for r in rows if "kind" not in r]
    return main, [r for r in rows if r.get("kind") == "transfer"], [r for r in rows if r.get("kind") == "xot"]


def frames(file, expression):
    """What tcpdump counts."""
    text = subprocess.run(["tcpdump", "-nn", "-r", file, expression], capture_output=True, text=True, check=True).stdout
    return len(text.splitlines())


class Transport(unittest.TestCase):
    @contextlib.contextmanager
    def lab(self):
        with lab.wire() as w, lab.folder() as path:
            os.chmod(path, 0o755)
            for end in (w.a, w.b):  # frames of the size of the wire's
                lab.sh("ip", "netns", "exec", end.name, "ethtool", "-K", end.iface, "tso", "off", "gso", "off", "gro",
                       "off", ok=False)
            yield w, path

    def test_truncated(self):
        with self.lab() as (w, path), knotd(w.b, path):
            with capture(w.b, path) as file:
                for _ in range(10):
                    self.assertIn("TXT", kdig(w.a, "big.example", "TXT", "+bufsize=512"))
                time.sleep(5.5)
                for _ in range(2):  # the client does not want TCP
                    kdig(w.a, "big.example", "TXT", "+bufsize=512", "+ignore")
                    time.sleep(5.5)
                for _ in range(3):
                    kdig(w.a, "mid.example", "TXT", "+bufsize=512", "+ignore")
                    kdig(w.a, "mid.example", "TXT", "+bufsize=4096", "+ignore")
                    time.sleep(5.5)
            main, _, _ = says(file)
        tc = main[0]["tc"]
        self.assertEqual({k: tc[k] for k in ("responses", "TCP_OK", "TCP_FAIL", "UDP_RETRY", "OTHER_SERVER", "NONE")},
                         {"responses": 15, "TCP_OK": 10, "TCP_FAIL": 0, "UDP_RETRY": 3, "OTHER_SERVER": 0, "NONE": 2})
        self.assertTrue(0 < tc["latency_us"]["p50"] < 1000000)
        self.assertEqual(main[0]["mix"]["tcp53"]["connections"], 10)
        self.assertEqual(main[0]["tfo"], {"NONE": 10})

    def test_transfers(self):
        want = []

        def take(end, qtype, style, serial_from, serial_to):
            text = kdig(end, "example", qtype)
            got = re.search(r"Received (\d+) B \((\d+) messages, (\d+) records\)", text)
            self.assertTrue(got, text[-500:])
            want.append((qtype[:4], style, serial_from, serial_to, *map(int, got.groups())))

        with self.lab() as (w, path), knotd(w.b, path) as server:
            with capture(w.b, path) as file:
                take(w.a, "AXFR", "full", None, 1)
                take(w.a, "IXFR=1", "uptodate", 1, 1)
                (path / "knot" / "example.zone").write_text("\n".join(zone(2, 50)) + "\n")
                server.send_signal(lab.signal.SIGHUP)
                wait_for("serial 2", lambda: " 2 3600 " in kdig(w.a, "example", "SOA"))
                take(w.a, "IXFR=1", "diff", 1, 2)
                take(w.a, "AXFR", "full", None, 2)
                refused = kdig(w.a, "elsewhere.test", "AXFR")
            main, transfers, _ = says(file)
            count = {e: frames(file, e) for e in ("tcp port 53", "udp port 53")}
        self.assertIn("NOTAUTH", refused)
        got = sorted(transfers, key=lambda r: r["first_us"])
        self.assertEqual([(r["type"], r["style"], r["serial_from"], r["serial_to"], r["bytes"], r["messages"], r["rrs"])
                          for r in got[:-1]], want)
        self.assertEqual({(r["client"], r["server"], r["zone"]) for r in got[:-1]}, {(CLIENT, SERVER, "example.")})
        self.assertEqual((got[-1]["style"], got[-1]["rrs"], got[-1]["zone"]), ("notauth", 0, "elsewhere.test."))
        self.assertTrue(all(r["dur_us"] > 0 and not r["tsig"] for r in got))
        for mix, expression in (("tcp53", "tcp port 53"), ("udp53", "udp port 53")):
            self.assertEqual(main[0]["mix"][mix]["packets"], count[expression])

    def test_encrypted(self):
        with self.lab() as (w, path), primary(w.b, path):
            with capture(w.b, path) as file:
                for k in range(3):
                    self.assertIn("NOERROR", kdig(w.a, "+tls", f"host{k}.example", "A"))
                for k in range(2):
                    self.assertIn("NOERROR", kdig(w.a, "+https", f"host{k}.example", "A"))
                kdig(w.a, "host1.example", "A")
            (path / "doh").write_text(f"{SERVER}\n")
            main, _, _ = says(file, "--doh", path / "doh")
            bare, _, _ = says(file)
            count = {"dot": frames(file, "tcp port 853"), "doh": frames(file, "tcp port 443"),
                     "udp53": frames(file, "udp port 53")}
        mix = main[0]["mix"]
        self.assertEqual([mix[k]["connections"] for k in ("dot", "doh", "doq")], [3, 2, 0])
        self.assertEqual({k: mix[k]["packets"] for k in count}, count)
        self.assertEqual(bare[0]["mix"]["doh"]["packets"], 0, "without a list nothing is DoH")

    def test_xot(self):
        with self.lab() as (w, path):
            with primary(w.b, path) as first, secondary(w.a, path) as _:
                log = path / "secondary.log"
                wait_for("the zone", lambda: log.read_text().count("Transfer status: success") >= 1, 30)
                time.sleep(1)
                with capture(w.b, path) as file:
                    (path / "primary.zone").write_text("\n".join(zone(2, 40)) + "\n")
                    first.send_signal(lab.signal.SIGHUP)
                    wait_for("the new zone", lambda: log.read_text().count("Transfer status: success") >= 2, 30)
                    time.sleep(1)
                done = re.findall(r"Transfer completed: (\d+) messages, (\d+) records, (\d+) bytes", log.read_text())[-1]
                main, transfers, xots = says(file)
                segments = subprocess.run(["tcpdump", "-nn", "-r", file, "tcp port 853"], capture_output=True, text=True,
                                          check=True).stdout
        self.assertEqual(transfers, [], "nothing went in the clear")
        self.assertEqual(len(xots), 1, (xots, done))
        r = xots[0]
        self.assertEqual((r["client"], r["server"]), (CLIENT, SERVER))
        # Each TLS record adds 22 octets, a message its length; certificates some 2 KB.
        octets = int(done[2])
        self.assertTrue(octets < r["bytes_in"] < octets * 1.02 + 6000, (done, r))
        self.assertTrue(0 < r["after_notify_us"] < 5000000 and r["dur_us"] > 0, r)
        ports = set(re.findall(rf"{CLIENT}\.(\d+) > ", segments))
        sums = {p: sum(int(n) for n in re.findall(rf"{SERVER}\.853 > {CLIENT}\.{p}: .* length (\d+)", segments))
                for p in ports}
        self.assertIn(r["bytes_in"], sums.values())
        self.assertEqual(main[0]["mix"]["dot"]["packets"], len(segments.splitlines()))


class Tap(unittest.TestCase):
    def setUp(self):
        lack = lab.capability_lack()
        if lack:
            self.skipTest(lack)

    def check(self, spec, workers=1):
        """Generated traffic over the wire, at its own pace: the program hands over what belongs to the set."""
        with lab.folder() as path, lab.wire() as w:
            (path / "doh").write_text("192.0.2.53\n")
            with lab.probe(w.b, "--xdp", w.b.iface + spec, "--doh", path / "doh", workers=workers) as probe:
                truth = lab.generate("transport", "--pairs", 190, "--duration", 20, send=w.a)
                time.sleep(5.5)
                run = probe.finish()
                rows = list(lab.records("transport", probe.out))
        want = truth.transport
        main = [r for r in rows if "kind" not in r]
        for mix, fields in want["mix"].items():
            self.assertEqual({k: sum(r["mix"][mix][k] for r in main) for k in fields}, fields, mix)
        self.assertEqual({k: sum(r["tfo"].get(k, 0) for r in main) for k in want["tfo"]}, want["tfo"])
        if workers == 1:
            self.assertEqual({k: sum(r["tc"][k] for r in main) for k in want["tc"] if k != "latency_sum_us"},
                             {k: v for k, v in want["tc"].items() if k != "latency_sum_us"})
        keys = ("client", "zone", "type", "style", "messages", "rrs", "bytes", "serial_from", "serial_to")
        self.assertEqual(sorted(str([r[k] for k in keys]) for r in rows if r.get("kind") == "transfer"),
                         sorted(str([t[k] for k in keys]) for t in want["transfer"]))
        keys = ("client", "bytes_out", "bytes_in")
        self.assertEqual(sorted(str([r[k] for k in keys]) for r in rows if r.get("kind") == "xot"),
                         sorted(str([t[k] for k in keys]) for t in want["xot"]))
        # HTTPS of others was left with the kernel.
        self.assertEqual(run.book("rx_packets"), sum(m["packets"] for m in want["mix"].values()))
        lab.check_ledger(self, run)

    def test_native(self):
        self.check("")

    def test_generic_two_workers(self):
        self.check(",generic", workers=2)


if __name__ == "__main__":
    lab.main()
