# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the command line share: running a program with a time limit,
capture files made, split and damaged byte by byte, exported records read, and the
checks that every run has to stand: each record fits the printed schema, and the
ledger closes. Knows the program only by its contract."""

import atexit
import functools
import json
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest

import jsonschema

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(os.environ.get("FLUXTAP_BUILD", os.path.join(HERE, "..", "..", "build")))
FLUXTAP = os.path.join(BUILD, "fluxtap")
GEN = os.path.join(BUILD, "tools", "gen", "fluxtap-gen")
SLOW = int(os.environ.get("FLUXTAP_SLOW", 1))  # how many times longer a program may take
TIMEOUT_S = 60
PROBE = "cli-%d" % os.getpid()  # probes of other tests on this machine have other names

# What depends on the number of workers and blocks, and may differ between equal runs.
EXEMPT = ("records", "merged", "blocks", "block_bytes_raw", "block_bytes")

_scratch = None


def scratch():
    """A directory that lives as long as the test program; in memory where there is room, for the probe syncs
    every file that it exports."""
    global _scratch
    if _scratch is None:
        memory = "/dev/shm"
        roomy = "TMPDIR" not in os.environ and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 400e6
        _scratch = tempfile.mkdtemp(prefix="fluxtap-cli-", dir=memory if roomy else None)
        os.chmod(_scratch, 0o755)
        atexit.register(tidy)
    return _scratch


def segments():
    """The shared-memory segments of this test's probes."""
    return [os.path.join("/dev/shm", n) for n in os.listdir("/dev/shm") if PROBE in n]


def tidy():
    shutil.rmtree(_scratch, True)
    for name in segments():  # of probes that were killed
        os.unlink(name)


class Result:
    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    def __str__(self):
        return "%s\nexit %s\nstdout: %s\nstderr: %s" % (
            " ".join(map(str, self.args)), self.code, self.out[-1500:], self.err[-3000:])


def call(args, stdin=subprocess.DEVNULL, timeout=TIMEOUT_S, feed=None, stdout=subprocess.PIPE, **kw):
    """Runs a program to its end; past the time limit it is killed and the test fails."""
    p = subprocess.Popen(args, stdin=subprocess.PIPE if feed is not None else stdin, stdout=stdout,
                         stderr=subprocess.PIPE, **kw)
    try:
        out, err = p.communicate(feed, timeout * SLOW)
    except subprocess.TimeoutExpired:
        p.kill()
        out, err = p.communicate()
        raise AssertionError("still running after %d s: %s\n%s" % (
            timeout * SLOW, " ".join(map(str, args)), err.decode(errors="replace")))
    return Result(args, p.returncode, (out or b"").decode(errors="replace"), err.decode(errors="replace"))


def command(args):
    """The command line of fluxtap; runs have a probe name of their own."""
    args = [str(a) for a in args]
    if args[:1] == ["run"] and not any(a.startswith(("--probe", "--config", "--help")) for a in args):
        args[1:1] = ["--probe", PROBE]
    return [FLUXTAP] + args


def fluxtap(*args, **kw):
    return call(command(args), **kw)


def nobody():
    """For preexec_fn: gives every privilege up."""
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


# ---- traffic ---------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=None)
def traffic(scenario, *options):
    """Makes traffic once for each set of options; returns the capture's path and the truth."""
    base = os.path.join(scratch(), "gen-%s-%s" % (scenario, "_".join(map(str, options)).replace("--", "")))
    r = call([GEN, "--scenario", scenario, "--pcap", base + ".pcap", "--truth", base + ".json"]
             + [str(o) for o in options])
    if r.code != 0:
        raise AssertionError(str(r))
    with open(base + ".json") as f:
        return base + ".pcap", json.load(f)


class Capture:
    """A classic capture file in memory: packets as (microseconds, wire length, data)."""

    def __init__(self, packets=(), link=1):
        self.packets, self.link = list(packets), link

    @classmethod
    def load(cls, path):
        with open(path, "rb") as f:
            raw = f.read()
        magic, _, _, _, _, _, link = struct.unpack_from("<IHHiIII", raw)
        if magic != 0xA1B2C3D4:
            raise AssertionError("%s: not a little-endian microsecond capture" % path)
        packets, off = [], 24
        while off < len(raw):
            s, us, cap, length = struct.unpack_from("<IIII", raw, off)
            packets.append((s * 1000000 + us, length, raw[off + 16:off + 16 + cap]))
            off += 16 + cap
        return cls(packets, link)

    def header(self):
        return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, self.link)

    @staticmethod
    def record(packet):
        us, length, data = packet
        return struct.pack("<IIII", us // 1000000, us % 1000000, len(data), length) + data

    def bytes(self):
        return b"".join([self.header()] + [self.record(p) for p in self.packets])

    def nanosecond_bytes(self):
        """The same in big-endian with nanoseconds."""
        out = [struct.pack(">IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, self.link)]
        for us, length, data in self.packets:
            out.append(struct.pack(">IIII", us // 1000000, us % 1000000 * 1000, len(data), length) + data)
        return b"".join(out)

    def pcapng_bytes(self):
        """The same as pcapng; the interface counts in units of 1/2^20 s or microseconds by its option."""
        out = [struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)]
        opt = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)  # if_tsresol 10^-9
        out.append(struct.pack("<IIHHI", 1, 20 + len(opt), self.link, 0, 262144) + opt
                   + struct.pack("<I", 20 + len(opt)))
        for us, length, data in self.packets:
            pad = -len(data) % 4
            total = 32 + len(data) + pad
            ns = us * 1000
            out.append(struct.pack("<IIIIIII", 6, total, 0, ns >> 32, ns & 0xFFFFFFFF, len(data), length)
                       + data + b"\0" * pad + struct.pack("<I", total))
        return b"".join(out)

    def save(self, path):
        with open(path, "wb") as f:
            f.write(self.bytes())
        return path

    def sub(self, packets):
        return Capture(packets, self.link)


@functools.lru_cache(maxsize=None)
def capture(scenario, *options):
    return Capture.load(traffic(scenario, *options)[0])


# ---- frames by hand --------------------------------------------------------------------------------------------


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def qname(text):
    return b"".join(bytes([len(x)]) + x.encode() for x in text.rstrip(".").split(".") if x) + b"\0"


def message(name, qid, response=False, rd=False, ra=False, aa=False, rcode=0, qtype=1, answers=0):
    """A DNS message; the answers are address records of the question's name."""
    flags = response << 15 | aa << 10 | rd << 8 | ra << 7 | rcode
    out = struct.pack("!HHHHHH", qid, flags, 1, answers, 0, 0) + qname(name) + struct.pack("!HH", qtype, 1)
    for k in range(answers):
        out += struct.pack("!HHHIH4B", 0xC00C, 1, 1, 300, 4, 192, 0, 2, k + 1)
    return out


def udp_frame(src, dst, sport, dport, payload):
    """Ethernet, IPv4 or IPv6 (by the form of the addresses), UDP."""
    import ipaddress
    s, d = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    udp = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    if s.version == 4:
        pseudo = s.packed + d.packed + struct.pack("!BBH", 0, 17, len(udp))
    else:
        pseudo = s.packed + d.packed + struct.pack("!IHBB", len(udp), 0, 0, 17)
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp) or 0xFFFF) + udp[8:]
    if s.version == 4:
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + s.packed + d.packed
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
        kind = 0x0800
    else:
        ip = struct.pack("!IHBB", 6 << 28, len(udp), 17, 64) + s.packed + d.packed
        kind = 0x86DD
    return bytes.fromhex("020000000002020000000001") + struct.pack("!H", kind) + ip + udp


class Scene:
    """Packets written one after another, in any order of time."""

    START_S = 1767225600

    def __init__(self):
        self.packets, self.qid = [], 0

    def put(self, at_us, frame):
        self.packets.append((self.START_S * 1000000 + at_us, len(frame), frame))

    def query(self, at_us, client, server, name="www.example.com", port=53, sport=40000, rd=False, qid=None):
        self.qid = self.qid + 1 if qid is None else qid
        self.put(at_us, udp_frame(client, server, sport, port, message(name, self.qid & 0xFFFF, rd=rd)))
        return self.qid

    def answer(self, at_us, client, server, qid, name="www.example.com", port=53, sport=40000, rd=False, ra=False,
               aa=False, rcode=0, answers=1):
        self.put(at_us, udp_frame(server, client, port, sport,
                                  message(name, qid & 0xFFFF, True, rd, ra, aa, rcode, answers=answers)))

    def pair(self, at_us, client, server, delay_us=1000, **kw):
        keys = {k: kw[k] for k in ("name", "port", "sport", "rd") if k in kw}
        qid = self.query(at_us, client, server, **keys)
        self.answer(at_us + delay_us, client, server, qid, **kw)

    def capture(self):
        return Capture(sorted(self.packets, key=lambda p: p[0]))


# ---- records ---------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=None)
def schema():
    r = fluxtap("cat", "--schema")
    if r.code != 0:
        raise AssertionError(str(r))
    return json.loads(r.out)


def counts_at_least(rule):
    """The least value that a plain rule for integers allows; None for any other rule."""
    if isinstance(rule, dict) and rule.get("type") == "integer" and set(rule) <= {"type", "minimum", "description"}:
        return rule.get("minimum")
    return None


def items_fast(standard):
    """The keyword `items`, quick for the long arrays of counts; what is not plainly right takes the standard way."""
    def items(validator, rule, instance, owner):
        least = counts_at_least(rule)
        if least is not None and isinstance(instance, list):
            if all(type(x) is int and x >= least for x in instance):
                return
        elif isinstance(rule, dict) and rule.get("type") == "array" and isinstance(instance, list) and set(rule) == {
                "type", "prefixItems", "minItems", "items"} and rule["items"] is False:
            bounds = [counts_at_least(r) for r in rule["prefixItems"]]
            if None not in bounds and rule["minItems"] == len(bounds) and all(
                    type(x) is list and len(x) == len(bounds) and all(
                        type(n) is int and n >= low for n, low in zip(x, bounds)) for x in instance):
                return
        yield from standard(validator, rule, instance, owner)
    return items


def written_out(rule):
    """A part of the schema with what it refers to in place of references, which take long to look up."""
    if isinstance(rule, list):
        return [written_out(r) for r in rule]
    if not isinstance(rule, dict):
        return rule
    rest = {k: written_out(v) for k, v in rule.items() if k != "$ref"}
    if "$ref" not in rule:
        return rest
    target = written_out(schema()["$defs"][rule["$ref"].removeprefix("#/$defs/")])
    return {"allOf": [target], **rest} if rest else target


def may_be(rule, value):
    """False where a rule of one of the plain forms does not allow the value."""
    return value == rule["const"] if "const" in rule else value in rule["enum"] if "enum" in rule else True


@functools.lru_cache(maxsize=None)
def validator(of=None, kind=None):
    """Of any record; or, quicker, of those of one set and kind, by the part of the schema that is about them."""
    cls = jsonschema.validators.validator_for(schema())
    cls.check_schema(schema())
    rule = schema()
    if of is not None:
        rule = written_out(rule["$defs"][of])
        parts = [part for part in rule.get("anyOf", ())
                 if may_be(part.get("properties", {}).get("kind", {}), kind)]
        rule = {"anyOf": parts} if parts else rule
    return jsonschema.validators.extend(cls, {"items": items_fast(cls.VALIDATORS["items"])})(rule)


def schema_error(record, seen):
    """What is wrong with a record, or None. The first of each set and kind is held against the whole schema."""
    key = record.get("set"), record.get("kind")
    whole = key not in seen or key[0] not in schema()["$defs"]
    seen.add(key)
    rule = validator() if whole else validator(*key)
    return None if rule.is_valid(record) else jsonschema.exceptions.best_match(rule.iter_errors(record))


def parse(text):
    return [json.loads(line) for line in text.splitlines()]


def unpacked(path):
    """The records of one exported file, read by the zstd program and not by ours; fails if it is damaged."""
    r = call(["zstd", "-dcq", path])
    if r.code != 0:
        raise AssertionError(str(r))
    if r.out and not r.out.endswith("\n"):
        raise AssertionError("%s: the last line has no end" % path)
    return parse(r.out)


def exported(outdir):
    """Files with their final name below a directory, and the rest."""
    final, other = [], []
    for folder, _, names in os.walk(outdir):
        for n in names:
            (final if n.endswith(".jsonl.zst") and not n.startswith(".") else other).append(os.path.join(folder, n))
    return sorted(final), sorted(other)


def of_set(records, name):
    return [r for r in records if r["set"] == name]


def all_rows(records):
    return [r for r in of_set(records, "ledger") if r["worker"] == "all" and "gap" not in r]


def gap_rows(records):
    """What killed runs took along."""
    return [r for r in of_set(records, "ledger") if "gap" in r]


def total(records, field):
    return sum(r[field] for r in all_rows(records))


def totals(records, field):
    """The sum of a map such as `dropped` over all intervals."""
    out = {}
    for r in all_rows(records):
        for k, n in r[field].items():
            out[k] = out.get(k, 0) + n
    return out


def stripped(records):
    """The records as sorted lines without what may differ between equal runs."""
    out = []
    for r in records:
        if r["set"] == "ledger":
            if r["worker"] != "all" or "gap" in r:
                continue
            r = {k: v for k, v in r.items() if k not in EXEMPT}
        out.append(json.dumps(r))
    return sorted(out)


NUMBERS = ("rx_packets rx_bytes source_dropped carried held_packets messages counted held late records merged blocks "
           "block_bytes_raw block_bytes ring_full_records malformed tcp_gaps tcp_lost_bytes tcp_evicted").split()


def ledger_faults(records, ended=True):
    """Every equation of the ledger that does not hold, as text."""
    faults, by_worker, by_start = [], {}, {}
    for r in of_set(records, "ledger"):
        if "gap" in r:
            continue
        key = (r["start"], r["worker"])
        if r["worker"] in by_start.setdefault(r["start"], {}):
            faults.append("two rows for %s" % (key,))
        by_start[r["start"]][r["worker"]] = r
        by_worker.setdefault(r["worker"], []).append(r)
    for worker, rows in by_worker.items():
        rows.sort(key=lambda r: r["start"])
        held_packets = held = 0
        for r in rows:
            where = "start %d worker %s: " % (r["start"], worker)
            left = r["rx_packets"] + held_packets
            right = sum(r["dropped"].values()) + r["carried"] + r["held_packets"]
            if left != right:
                faults.append(where + "packets %d != %d" % (left, right))
            left = r["messages"] + held
            right = sum(r["msg_dropped"].values()) + r["counted"] + r["held"]
            if left != right:
                faults.append(where + "messages %d != %d" % (left, right))
            if r["records"] != r["merged"] + r["ring_full_records"]:
                faults.append(where + "records %d != %d + %d" % (r["records"], r["merged"], r["ring_full_records"]))
            held_packets, held = r["held_packets"], r["held"]
        if ended and rows and (held or held_packets):
            faults.append("worker %s: holds %d messages, %d packets at the end" % (worker, held, held_packets))
    for start, rows in by_start.items():
        if "all" not in rows:
            faults.append("start %d: no row for all" % start)
            continue
        parts = [r for w, r in rows.items() if w != "all"]
        if not parts:
            faults.append("start %d: no worker's row" % start)
        for field in NUMBERS:
            if field not in rows["all"]:
                faults.append("start %d: no %s" % (start, field))
            elif rows["all"][field] != sum(r[field] for r in parts):
                faults.append("start %d: %s of all is not the sum of the workers" % (start, field))
        for field in ("dropped", "msg_dropped"):
            sums = {}
            for r in parts:
                for k, n in r[field].items():
                    sums[k] = sums.get(k, 0) + n
            if sums != rows["all"][field]:
                faults.append("start %d: %s of all is not the sum of the workers" % (start, field))
    return faults


class Case(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        self.dir = tempfile.mkdtemp(dir=scratch())
        os.chmod(self.dir, 0o755)
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.out = self.path("out")

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    def check(self, records, ended=True):
        """The checks that every run has to stand."""
        seen = set()
        for r in records:
            error = schema_error(r, seen)
            if error is not None:
                self.fail("record of %s at %s breaks the schema: %s at %s" % (
                    r.get("set"), r.get("start"), error.message[:300], list(error.absolute_path)))
        faults = ledger_faults(records, ended)
        if faults:
            self.fail("the ledger does not close:\n" + "\n".join(faults[:20]))
        return records

    def records(self, outdir=None, ended=True, *more):
        r = fluxtap("cat", *more, outdir or self.out)
        self.assertEqual(r.code, 0, str(r))
        return self.check(parse(r.out), ended)

    def run_ok(self, *args, out=None, **kw):
        """Runs `fluxtap run` into a fresh directory, demands success and returns the records, checked."""
        out = out or tempfile.mkdtemp(dir=self.dir)
        r = fluxtap("run", "--quiet", "--out", out, *args, **kw)
        self.assertEqual(r.code, 0, str(r))
        return self.records(out)

    def same(self, a, b):
        a, b = stripped(a), stripped(b)
        if a != b:
            only_a, only_b = sorted(set(a) - set(b)), sorted(set(b) - set(a))
            text = ["%d and %d records, %d and %d of them without a twin" % (len(a), len(b), len(only_a), len(only_b))]
            for x, y in list(zip(only_a, only_b))[:3]:
                x, y = json.loads(x), json.loads(y)
                for k in x:
                    if x.get(k) != y.get(k):
                        text.append("%s %s %s %s: %.200s | %.200s" % (
                            x["set"], x["vantage"], x["start"], k, x.get(k), y.get(k)))
            self.fail("\n".join(text))

    def stop(self, p):
        """Ends a process of this test whatever its state."""
        if p.poll() is None:
            p.kill()
        p.wait()
        for f in (p.stdin, p.stdout, p.stderr):
            if f is not None:
                try:
                    f.close()
                except OSError:
                    pass

    def start(self, *args, **kw):
        """Starts fluxtap; it is ended with the test."""
        kw.setdefault("stdout", subprocess.DEVNULL)
        kw.setdefault("stderr", subprocess.PIPE)
        p = subprocess.Popen(command(args), **kw)
        self.addCleanup(self.stop, p)
        return p

    def until(self, what, condition, p=None, timeout=30):
        """Waits for a condition, generously."""
        end = time.monotonic() + timeout * SLOW
        while not condition():
            if p is not None and p.poll() is not None and not condition():
                self.fail("ended with %s before: %s\n%s" % (
                    p.returncode, what, p.stderr.read().decode() if p.stderr else ""))
            if time.monotonic() > end:
                self.fail("waited %d s for: %s" % (timeout, what))
            time.sleep(0.02)


def ended(p, timeout=TIMEOUT_S):
    """Waits for the end of a process; returns its code and what it said on standard error."""
    try:
        _, err = p.communicate(timeout=timeout * SLOW)
    except subprocess.TimeoutExpired:
        p.kill()
        _, err = p.communicate()
        raise AssertionError("still running after %d s\n%s" % (timeout, (err or b"").decode()))
    return p.returncode, (err or b"").decode(errors="replace")


def cpus():
    return sorted(os.sched_getaffinity(0))


SIGNALS = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM}
