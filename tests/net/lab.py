# SPDX-License-Identifier: BSD-3-Clause
"""What the lab sheets beside this file share: wires, name servers, probes, books.

    with lab.wire() as wire, lab.probe(wire.b, "--xdp", wire.b.iface) as probe:
        lab.generate("mix", send=wire.a, rate=20000)
        run = probe.finish()
    lab.check_ledger(self, run)

Traffic stays inside the two network namespaces of a wire. All that is made here goes
away with its `with`, and at exit, Ctrl-C and SIGTERM too. Processes end by their pid.
A sheet skips, with the reason, where the kernel or a permission lacks something, and
exits 77 where nothing could run. FLUXTAP_BUILD is the build folder (../../build).
"""
import atexit
import collections
import contextlib
import ctypes
import itertools
import json
import os
import pathlib
import platform
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("FLUXTAP_BUILD", HERE.parent.parent / "build")).resolve()
FLUXTAP = BUILD / "fluxtap"
GENERATOR = BUILD / "tools" / "gen" / "fluxtap-gen"

INTERVAL_S = 3600  # long: a run lies in one interval, see `quiet_clock`
READY_S = 30
END_S = 60
SOL_PACKET, PACKET_STATISTICS, ETH_P_ALL = 263, 6, 3
AF_XDP, BPF_MAP_TYPE_XSKMAP = 44, 17
NOBODY = 65534

libc = ctypes.CDLL(None, use_errno=True)
serial = itertools.count()


class Failed(AssertionError):
    """The lab itself did not work, or a program in it ended wrongly."""


# ---- what is made goes away ----

leftovers = []  # functions that undo, the last first


@contextlib.contextmanager
def undone(undo):
    """`undo` runs once: at the end of the block or, whatever happens, at exit."""
    leftovers.append(undo)
    try:
        yield
    finally:
        if undo in leftovers:
            leftovers.remove(undo)
            undo()


def undo_all():
    while leftovers:
        with contextlib.suppress(Exception):
            leftovers.pop()()


atexit.register(undo_all)


def end_process(process, how=signal.SIGKILL):
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


@contextlib.contextmanager
def folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"fluxtap-lab-{os.getpid()}-"))
    with undone(lambda: shutil.rmtree(path, ignore_errors=True)):
        yield path


# ---- what the machine has ----

def capability_lack():
    """Why AF_XDP and BPF cannot work here whatever fluxtap does; None: they can."""
    number = {"x86_64": 321, "aarch64": 280, "riscv64": 280}.get(platform.machine())
    attr = (ctypes.c_uint32 * 32)(BPF_MAP_TYPE_XSKMAP, 4, 4, 1)
    if number is not None:
        fd = libc.syscall(number, 0, attr, ctypes.sizeof(attr))
        if fd < 0:
            return f"bpf(2): {os.strerror(ctypes.get_errno())}"
        os.close(fd)
    try:
        socket.socket(AF_XDP, socket.SOCK_RAW).close()
    except OSError as e:
        return f"AF_XDP: {e.strerror}"
    return None


def need(*tools, xdp=True):
    """For setUpModule: skips the whole sheet where the machine cannot do it."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root: network namespaces")
    if not os.access(FLUXTAP, os.X_OK) or not os.access(GENERATOR, os.X_OK):
        raise unittest.SkipTest(f"no fluxtap and fluxtap-gen in {BUILD}")
    for tool in ("ip", "ethtool") + tools:
        if shutil.which(tool) is None:
            raise unittest.SkipTest(f"no {tool}")
    why = capability_lack() if xdp else None
    if why:
        raise unittest.SkipTest(why)
    try:
        with wire():
            pass
    except (Failed, OSError) as e:
        raise unittest.SkipTest(f"no namespaces with a veth pair: {e}") from e


def cores(n):
    """The list of n CPUs for --cores, the last first for one; skips where there are fewer."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < n:
        raise unittest.SkipTest(f"needs {n} CPUs, has {len(cpus)}")
    return ",".join(map(str, cpus[-n:]))


@contextlib.contextmanager
def huge_pages(n):
    """n more huge pages of 2 MiB than there were; skips where there is no room for them."""
    total = pathlib.Path("/proc/sys/vm/nr_hugepages")
    free = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
    if not free.exists():
        raise unittest.SkipTest("no huge pages of 2 MiB")
    before = int(total.read_text())
    with undone(lambda: total.write_text(str(before))):
        total.write_text(str(before + n))
        if int(free.read_text()) < n:
            raise unittest.SkipTest(f"no room for {n} huge pages")
        yield


def quiet_clock(seconds=60):
    """Waits past the turn of an interval where it is near, so that distinct counts need no merging."""
    left = INTERVAL_S - time.time() % INTERVAL_S
    if left < seconds:
        time.sleep(left + 0.1)


# ---- wires ----

def sh(*words, ok=True):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    if ok and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, words))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class End:
    """One end of a wire: a namespace with one interface in it."""

    def __init__(self, name, iface, mac, v4, v6):
        self.name, self.iface, self.mac, self.v4, self.v6 = name, iface, mac, v4, v6

    def command(self, *words):
        return ["ip", "netns", "exec", self.name] + [str(w) for w in words]

    def sh(self, *words, ok=True):
        return sh(*self.command(*words), ok=ok)

    @contextlib.contextmanager
    def inside(self):
        """This thread is in the namespace; a socket that it makes there stays there."""
        with open("/proc/self/ns/net") as home, open(f"/run/netns/{self.name}") as there:
            if libc.setns(there.fileno(), 0) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                libc.setns(home.fileno(), 0)

    def socket(self, *kind):
        with self.inside():
            return socket.socket(*kind)

    @contextlib.contextmanager
    def kernel_count(self):
        """Gives a function: how many frames the kernel saw on the interface since."""
        with self.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as s:
            with self.inside():
                s.bind((self.iface, ETH_P_ALL))
            seen = [0]

            def count():  # the kernel's figures start anew with each question
                seen[0] += struct.unpack("II", s.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[0]
                return seen[0]

            count()
            yield count

    def link(self):
        return sh("ip", "-n", self.name, "-d", "link", "show", "dev", self.iface)

    def has_xdp(self):
        return "prog/xdp" in self.link()


class Wire:
    def __init__(self, a, b):
        self.a, self.b = a, b


@contextlib.contextmanager
def wire(queues=1, v6=False):
    """Two namespaces joined by a veth pair. Without v6 nobody speaks unless asked to."""
    n = next(serial)
    a = End(f"ftl-a-{os.getpid()}-{n}", "va", "02:00:00:99:00:01", "10.99.0.1", "fd99::1")
    b = End(f"ftl-b-{os.getpid()}-{n}", "vb", "02:00:00:99:00:02", "10.99.0.2", "fd99::2")
    with contextlib.ExitStack() as stack:
        for end in (a, b):
            sh("ip", "netns", "add", end.name)
            stack.enter_context(undone(lambda name=end.name: sh("ip", "netns", "del", name, ok=False)))
            what = 0 if v6 else 1
            end.sh("sh", "-c", f"for f in all default; do echo {what} >/proc/sys/net/ipv6/conf/$f/disable_ipv6; done",
                   ok=False)
            sh("ip", "-n", end.name, "link", "set", "lo", "up")
        many = ("numtxqueues", queues, "numrxqueues", queues)
        sh("ip", "-n", a.name, "link", "add", a.iface, *many, "type", "veth",
           "peer", "name", b.iface, "netns", b.name, *many)
        for end in (a, b):
            # Frames as on a wire: checksums filled in, tags in their place, nothing joined.
            end.sh("ethtool", "-K", end.iface, "tx", "off", "gro", "off", "gso", "off", "tso", "off", ok=False)
            end.sh("ethtool", "-K", end.iface, "txvlan", "off", "rxvlan", "off", ok=False)
            sh("ip", "-n", end.name, "link", "set", end.iface, "address", end.mac, "addrgenmode", "none")
            sh("ip", "-n", end.name, "addr", "add", f"{end.v4}/24", "dev", end.iface)
            if v6:
                sh("ip", "-n", end.name, "addr", "add", f"{end.v6}/64", "dev", end.iface, "nodad")
            sh("ip", "-n", end.name, "link", "set", end.iface, "up")
        for end, other in ((a, b), (b, a)):  # known from the start: a fresh IPv6 neighbour may miss the first call
            for address in (other.v4, other.v6)[:1 + v6]:
                sh("ip", "-n", end.name, "neigh", "replace", address, "lladdr", other.mac, "dev", end.iface)
        yield Wire(a, b)


# ---- the probe ----

class Run:
    """What a run of fluxtap left."""

    def __init__(self, out, code, stdout, stderr):
        self.code, self.stdout, self.stderr = code, stdout, stderr
        self.traffic = list(records("traffic", out))
        self.ledger = [row for row in records("ledger", out) if "gap" not in row]
        self.channels = [row for name in ("nxdomain", "dnserror") for row in records(name, out) if "state" not in row]
        self.domains = list(records("domain", out))

    def book(self, key):
        """A figure of the ledger, over all intervals and workers."""
        return sum(row[key] for row in self.ledger if row["worker"] == "all")

    def drops(self, key):
        return dict(add_up([{key: row[key]} for row in self.ledger if row["worker"] == "all"]).get(key, {}))


def records(name, out):
    text = sh(FLUXTAP, "cat", "--set", name, out)
    return map(json.loads, text.splitlines())


def read_files(*paths, workers=1, options=()):
    """fluxtap run --pcap FILE, to its end."""
    with folder() as out:
        words = [w for p in paths for w in ("--pcap", p)]
        done = subprocess.run(list(map(str, [FLUXTAP, "run", *words, "--out", out / "r", "--probe", "lab",
                                             "--interval", INTERVAL_S, "--cores", cores(workers), *options])),
                              capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise Failed(f"fluxtap run --pcap: exit {done.returncode}: {done.stderr}")
        return Run(out / "r", done.returncode, done.stdout, done.stderr)


class Probe:
    """A live fluxtap in a namespace."""

    def __init__(self, end, words, path, program=(FLUXTAP,), env=None):
        self.path, self.name = path, f"lab-{os.getpid()}-{next(serial)}"
        self.out, self.err = path / "records", path / "stderr"
        command = end.command(*program, "run", *words, "--out", self.out, "--probe", self.name)
        with open(self.err, "w") as err, open(path / "stdout", "w") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                            env=env and {**os.environ, **env})

    def said(self):
        return self.err.read_text()

    def wait_ready(self):
        for _ in range(READY_S * 50):
            if "output in" in self.said():
                return
            if self.process.poll() is not None:
                raise Failed(f"fluxtap ended before it was ready, exit {self.process.returncode}: {self.said()}")
            time.sleep(0.02)
        raise Failed(f"fluxtap not ready after {READY_S} s: {self.said()}")

    def finish(self, how=signal.SIGINT, settle_s=0.3):
        """Stops it (None: it ends by itself) and gives what it wrote."""
        if how is not None:
            time.sleep(settle_s)  # what is on the way arrives
            self.process.send_signal(how)
        try:
            code = self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            raise Failed(f"fluxtap did not end in {END_S} s after {how}") from None
        if code != 0:
            raise Failed(f"fluxtap: exit {code}: {self.said()}")
        return Run(self.out, code, (self.path / "stdout").read_text(), self.said())

    def clean(self):
        end_process(self.process)
        for left in pathlib.Path("/dev/shm").glob(f"fluxtap.{self.name}*"):  # of a killed one
            left.unlink(missing_ok=True)


@contextlib.contextmanager
def probe(end, *words, interval=INTERVAL_S, workers=1, program=(FLUXTAP,), env=None, prepare=None):
    """fluxtap run WORDS in a namespace, ready when the block begins. prepare(folder): called before."""
    quiet_clock()
    with folder() as path:
        if prepare is not None:
            prepare(path)
        p = Probe(end, [*words, "--interval", interval, "--cores", cores(workers)], path, program, env)
        with undone(p.clean):
            p.wait_ready()
            yield p


# ---- traffic with known contents ----

class Truth:
    """What the generator says that it made. `sent`: frames handed to the interface, at
    `rate` a second; `whole`: nothing was lost before the other end of the wire."""

    def __init__(self, path, sent=None, whole=True, rate=None):
        said = json.loads(path.read_text())
        self.totals, self.traffic = said["totals"], said["traffic"]
        self.transport = said.get("transport")
        self.sent, self.whole, self.rate = sent, whole, rate
        self.dns_frames = self.totals["packets"] - self.totals["non_dns"]


def generate(scenario, *options, send=None, rate=None, pcap=None):
    """fluxtap-gen: into a file, or out of an end of a wire (rate None: by event times)."""
    with folder() as path:
        words = [GENERATOR, "--scenario", scenario, "--interval", INTERVAL_S, "--truth", path / "truth", *options]
        if pcap is not None:
            sh(*words, "--pcap", pcap)
            return Truth(path / "truth")
        words += ["--send", send.iface] + (["--rate", rate] if rate is not None else [])
        done = subprocess.run(send.command(*words), capture_output=True, text=True, timeout=300)
        said = re.search(r"(\d+) frames handed .*\((\d+)/s\)", done.stderr)
        if said is None or done.returncode not in (0, 1):
            raise Failed(f"fluxtap-gen: exit {done.returncode}: {done.stderr}")
        return Truth(path / "truth", int(said[1]), done.returncode == 0, int(said[2]))


# ---- books ----

UNTIMED = ("queries", "responses", "by_qtype", "by_rcode", "by_opcode", "by_transport", "edns",
           "query_bytes", "response_bytes")
TIMED = ("pairs", "unanswered", "unsolicited", "by_class")
DISTINCT = ("clients", "names")


def add_up(rows):
    """Rows of numbers and of objects of numbers, added key by key; zeros are left out."""
    total = {}
    for row in rows:
        for key, value in row.items():
            if isinstance(value, dict):
                counter = total.setdefault(key, collections.Counter())
                counter.update({k: v for k, v in value.items() if isinstance(v, int) and v})
            elif isinstance(value, int):
                total[key] = total.get(key, 0) + value
    return total


def figures(rows, keys):
    total = add_up([{k: row[k] for k in keys} for row in rows])
    edns = total.get("edns")
    if edns is not None:  # the sizes of the buffers are not in the generator's books
        total["edns"] = collections.Counter({k: v for k, v in edns.items() if not k.startswith("bufsize")})
    return total


def by_vantage(rows, keys):
    return {v: figures([r for r in rows if r["vantage"] == v], keys) for v in sorted({r["vantage"] for r in rows})}


def check_ledger(test, run, ended=True):
    """The three equations, for each worker and for all; the sum of the workers; nothing held at the end."""
    before = collections.Counter()
    sums = collections.defaultdict(collections.Counter)
    plain = ("rx_packets", "rx_bytes", "source_dropped", "carried", "held_packets", "messages", "held",
             "counted", "records", "merged", "ring_full_records")
    test.assertTrue(run.ledger, "no ledger")
    for row in sorted(run.ledger, key=lambda r: r["start"]):
        worker = row["worker"]
        say = f"interval {row['start']}, worker {worker}"
        test.assertEqual(row["rx_packets"] + before[worker, "packets"],
                         sum(row["dropped"].values()) + row["carried"] + row["held_packets"], f"packets, {say}")
        test.assertEqual(row["messages"] + before[worker, "messages"],
                         sum(row["msg_dropped"].values()) + row["counted"] + row["held"], f"messages, {say}")
        test.assertEqual(row["records"], row["merged"] + row["ring_full_records"], f"records, {say}")
        before[worker, "packets"], before[worker, "messages"] = row["held_packets"], row["held"]
        sums[row["start"]].update({(worker == "all", k): row[k] for k in plain})
    for start, total in sums.items():
        for key in plain:
            test.assertEqual(total[True, key], total[False, key], f"{key}: all and the workers, interval {start}")
    if ended:
        test.assertFalse(any(before.values()), f"held at the end: {dict(before)}")
    for row in run.traffic:
        test.assertEqual(row["queries"], row["pairs"] + row["unanswered"], f"queries of {row['vantage']}")
        test.assertEqual(row["responses"], row["pairs"] + row["unsolicited"], f"responses of {row['vantage']}")
        test.assertEqual(sum(row["by_class"].values()), row["queries"], f"classes of {row['vantage']}")
        test.assertEqual(row["rtt_us"]["count"], row["pairs"], f"delays of {row['vantage']}")


# ---- a name server and those who ask it ----

HOSTS, ALIASES, CHILDREN = 300, 100, 60


def zone():
    """example.: some hundred names of every kind that a TLD's server answers."""
    yield "$ORIGIN example."
    yield "$TTL 300"
    yield "@ SOA ns hostmaster 1 3600 600 86400 300"
    yield "@ NS ns"
    yield "ns A 10.99.0.2"
    for i in range(HOSTS):
        yield f"host{i} A 192.0.2.{i % 254 + 1}"
        yield f"host{i} AAAA 2001:db8::{i:x}"
        if i % 10 == 0:
            yield f"host{i} MX 10 host{i + 1}"
        if i % 5 == 0:
            yield f'host{i} TXT "v=spf1 ip4:192.0.2.{i % 254 + 1} -all"'
    for i in range(ALIASES):
        yield f"alias{i} CNAME host{i}"
        yield f"away{i} CNAME www{i}.example.net."
    for i in range(CHILDREN):
        yield f"child{i} NS ns1.child{i}"
        yield f"child{i} NS ns2.elsewhere.test."
        yield f"ns1.child{i} A 198.51.100.{i + 1}"
    for i in range(20):
        yield f'big TXT "{i}{"x" * 200}"'


# Question, its share, and how the server answers over UDP (TCP alike, but for TC).
QUESTIONS = [
    (lambda i: (f"host{i % HOSTS}.example", "A"), 30, "DATA"),
    (lambda i: (f"host{i % HOSTS}.example", "AAAA"), 15, "DATA"),
    (lambda i: (f"host{i // 10 * 10 % HOSTS}.example", "MX"), 5, "DATA"),
    (lambda i: (f"host{i // 5 * 5 % HOSTS}.example", "TXT"), 5, "DATA"),
    (lambda i: (f"host{i % HOSTS}.example", "SRV"), 5, "NODATA"),
    (lambda i: (f"alias{i % ALIASES}.example", "A"), 5, "DATA"),
    (lambda i: (f"away{i % ALIASES}.example", "A"), 3, "CNAME_ONLY"),
    (lambda i: (f"www.child{i % CHILDREN}.example", "A"), 15, "REFERRAL"),
    (lambda i: (f"missing{i}.example", "A"), 12, "NXDOMAIN"),
    (lambda i: (f"www{i % 50}.elsewhere.test", "A"), 3, "REFUSED"),
    (lambda i: ("big.example", "TXT"), 2, "TC"),
]
RCODE_OF = {"NXDOMAIN": "NXDOMAIN", "REFUSED": "REFUSED"}  # the rest is NOERROR


def questions(n, tcp=False, seed=1):
    """n lines for dnsperf, the classes of their answers, and their names."""
    rng = random.Random(seed)
    lines, classes, names = [], collections.Counter(), set()
    kinds = rng.choices(QUESTIONS, [share for _, share, _ in QUESTIONS], k=n)
    for question, _, answer in kinds:
        name, qtype = question(rng.randrange(2000))
        lines.append(f"{name} {qtype}\n")
        classes["DATA" if tcp and answer == "TC" else answer] += 1
        names.add(name)
    return lines, classes, names


class Nsd:
    def __init__(self, process):
        self.process = process

    def stop(self):
        end_process(self.process, signal.SIGTERM)


def asks(end, address):
    """True where a name server answers."""
    query = struct.pack("!HHHHHH", 4711, 0, 1, 0, 0, 0) + b"\x07example\0" + struct.pack("!HH", 6, 1)
    with end.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.2)
        with contextlib.suppress(OSError):
            s.sendto(query, (address, 53))
            return s.recv(512)[:2] == query[:2]
    return False


@contextlib.contextmanager
def nsd(end, *addresses):
    """A real name server with `zone()` on these addresses, answering when the block begins."""
    with folder() as path:
        (path / "zone").write_text("\n".join(zone()) + "\n")
        (path / "conf").write_text("\n".join(
            ["server:", *[f"  ip-address: {a}" for a in (*addresses, "127.0.0.1")],
             "  server-count: 1", '  username: ""', '  chroot: ""', f'  zonesdir: "{path}"', '  database: ""',
             f'  pidfile: "{path}/pid"', f'  xfrdfile: "{path}/xfrd"', f'  zonelistfile: "{path}/list"',
             "  tcp-count: 100", "  rrl-ratelimit: 0", "  verbosity: 1", "remote-control:", "  control-enable: no",
             "zone:", "  name: example", "  zonefile: zone", ""]))
        with open(path / "log", "w") as log:
            process = subprocess.Popen(end.command("nsd", "-d", "-c", path / "conf"),
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        server = Nsd(process)
        with undone(server.stop):
            for _ in range(50):
                if process.poll() is not None:
                    raise Failed(f"nsd: exit {process.returncode}: {(path / 'log').read_text()}")
                if asks(end, "127.0.0.1"):
                    break
                time.sleep(0.1)
            else:
                raise Failed(f"nsd does not answer: {(path / 'log').read_text()}")
            yield server


class Asked:
    """What dnsperf says of a run."""

    def __init__(self, text):
        def number(what):
            found = re.search(rf"{what}:\s+([\d.]+)", text)
            return float(found[1]) if found else 0.0

        self.text = text
        self.sent, self.completed, self.lost = (int(number(f"Queries {w}")) for w in ("sent", "completed", "lost"))
        codes = re.search(r"Response codes:(.*)", text)
        self.rcodes = collections.Counter(
            {name: int(n) for name, n in re.findall(r"([A-Z][A-Z0-9]*) (\d+) \(", codes[1] if codes else "")})
        slowest = re.search(r"Average Latency.*max ([\d.]+)", text)
        self.max_us = float(slowest[1]) * 1e6 if slowest else 0.0


def dnsperf(end, address, lines, mode="udp", rate=None, limit_s=None, timeout_s=5, waiting=50,
            source=None):
    """Asks every line once (with limit_s: again and again, so long), four clients, no EDNS;
    up to `waiting` questions at a time."""
    with folder() as path:
        (path / "questions").write_text("".join(lines))
        words = ["dnsperf", "-W", "-s", address, "-d", path / "questions", "-m", mode, "-c", 4, "-q", waiting,
                 "-t", timeout_s]
        words += ["-l", limit_s] if limit_s else ["-n", 1]
        words += ["-Q", rate] if rate else []
        words += ["-a", source] if source else []
        done = subprocess.run(end.command(*words), capture_output=True, text=True, timeout=120)
        if done.returncode != 0 or "Statistics:" not in done.stdout:
            raise Failed(f"dnsperf: exit {done.returncode}: {done.stdout} {done.stderr}")
        return Asked(done.stdout)


# ---- running a sheet ----

class Result(unittest.TextTestResult):
    done = 0  # tests that did more than skip

    def stopTest(self, test):
        super().stopTest(test)
        if not any(t is test for t, _ in self.skipped):
            self.done += 1


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # unittest stops at a KeyboardInterrupt
    runner = unittest.TextTestRunner(verbosity=2, resultclass=Result)
    result = unittest.main(module="__main__", testRunner=runner, exit=False).result
    for test, why in result.skipped:
        print(f"skipped: {test}: {why}")
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if result.done == 0 and result.skipped else 0)
