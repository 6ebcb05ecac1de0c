#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Real captures: what fluxtap finds in them against what tshark finds.

captures.py [--fluxtap PROGRAM] [--msgdump PROGRAM] [--only PART] [-v] [NAME...]

Without PROGRAMs they are looked for in build/ (or FLUXTAP and MSGDUMP). The captures are in
FLUXTAP_CAPTURES, else in ../shared/captures beside the checkout; without them, or without
tshark, the test is skipped (exit 77). They are not part of the project: licences differ.

captures   The messages as multisets of (QR, id, opcode, qname, qtype, rcode, ancount, TCP).
           A row a file: messages by tshark, by fluxtap, and equal, excused or DIFFERENT.
           The same file through `fluxtap run`: totals, the ledger's equations, and every
           error response counted under its key, with the smallest keyed tables.
robust/    Captures without DNS through `fluxtap run`: no message, no signal, a closed ledger.
wire/      Bare messages through the parser alone, at a guard page.

A difference that is tshark's own doing is excused by a rule in `Comparison` that checks what
it claims, or by a line of excused.tsv. A line of excused.tsv that is no longer needed fails.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
SKIP = 77
SECONDS_CAP = 120  # for one program on one file

# DNS on another port, where the file's own documentation says so.
ODD_PORTS = (
    (re.compile(r"pktvisor__.*dns_ipv[46]_(tcp|udp)\.pcap"), 53000),
    (re.compile(r"tcpdump__.*dns_udp_8053"), 8053),
    (re.compile(r"wireshark__.*dns_port\.pcap"), 65282),
    (re.compile(r"pki_dns_reverseproxi__dnssec\.pcap"), 5454),
)

FIELDS = (
    "frame.number", "frame.time_epoch", "frame.len", "frame.cap_len", "frame.protocols",
    "_ws.malformed", "dns.length", "dns.id", "dns.flags", "dns.count.queries", "dns.count.zones",
    "dns.count.answers", "dns.count.prerequisites", "dns.qry.name", "dns.qry.type",
    "dns.resp.ext_rcode", "_ws.expert.message",
)
MALFORMED, CUT, BAD_LENGTH, GTP = "malformed", "cut", "bad length", "gtp"
LENGTH_WORDS = re.compile(r"length exceeds|Bad length value")  # of IPv4, IPv6, UDP
JOIN = "\x01"  # between several values of a field; tshark escapes it inside names
OPCODE_UPDATE = 5

Key = collections.namedtuple("Key", "qr id opcode qname qtype rcode ancount tcp")
# frame is None for what fluxtap found; drop is None for what tshark found. A field of key is
# None where tshark does not show it. marks: of MALFORMED, CUT, BAD_LENGTH, GTP (tshark's).
Message = collections.namedtuple("Message", "key time_us drop frame marks")


class Failure(Exception):
    """A program did not do what it should; the text says which and what."""


def port_of(name):
    return next((port for pattern, port in ODD_PORTS if pattern.search(name)), None)


def run(command, codes=(0,)):
    """(exit code, standard output, standard error); Failure where the code is none of these."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=SECONDS_CAP, check=False)
    except subprocess.TimeoutExpired as late:
        raise Failure(f"{command[0]} did not end within {SECONDS_CAP} s") from late
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode not in codes:
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit {done.returncode}"
        raise Failure(f"{pathlib.Path(command[0]).name}: {how}: {said[-300:]}")
    return done.returncode, done.stdout.decode(errors="replace"), said


# ---- names in a form that both can be brought into ----

# What tshark may have escaped, replaced or taken for UTF-8 becomes one "?" a run.
ODD = re.compile(r"(?:\\[0-7]{3}|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\[abefnrtv\\\"]"
                 r"|[^\x21-\x7e]|[\\?])+")


def name_plain(text):
    return ODD.sub("?", text.lower())


def name_of_tshark(text):
    return "." if text == "<Root>" else name_plain(text)


def name_of_fluxtap(text):
    octets = re.sub(r"\\(\d{3}|\D)", lambda m: chr(int(m[1])) if m[1].isdigit() else m[1], text)
    return name_plain(octets if octets == "." else octets.removesuffix("."))


# ---- what each of the two found ----

def tshark_messages(row):
    """The messages of one frame."""
    col = {name: value.split(JOIN) if value else [] for name, value in zip(FIELDS, row)}
    ids, flags = col["dns.id"], [int(v, 0) for v in col["dns.flags"]]
    n = max(len(ids), len(col["dns.length"]), 1)
    counts = {name: collections.deque(col["dns.count." + name])
              for name in ("queries", "zones", "answers", "prerequisites")}
    names, types = collections.deque(col["dns.qry.name"]), collections.deque(col["dns.qry.type"])
    layers = [p for p in col["frame.protocols"][0].split(":") if p in ("udp", "tcp", "dns")]
    tcp = int(layers[layers.index("dns") - 1] == "tcp") if "dns" in layers else None
    marks = {mark for mark, here in (
        (MALFORMED, col["_ws.malformed"]),
        (CUT, int(col["frame.cap_len"][0]) < int(col["frame.len"][0])),
        (BAD_LENGTH, any(LENGTH_WORDS.search(words) for words in col["_ws.expert.message"])),
        (GTP, ":gtp:" in col["frame.protocols"][0])) if here}
    asked = [0] * n
    answers = [None] * n
    for i in range(min(n, len(flags))):
        update = flags[i] >> 11 & 15 == OPCODE_UPDATE
        first, second = ("zones", "prerequisites") if update else ("queries", "answers")
        asked[i] = int(counts[first].popleft()) if counts[first] else 0
        answers[i] = int(counts[second].popleft()) if counts[second] else None
    # Where a question was cut, tshark's lists do not say whose it was, but for a single message.
    known = n == 1 or (sum(asked) == len(names) == len(types))
    for i in range(n):
        full = i < len(ids) and i < len(flags)
        qname = qtype = None
        if full and asked[i] == 0:
            qname, qtype = "", 0
        elif known and names and types:
            qname, qtype = name_of_tshark(names[0]), int(types[0])
        for _ in range(min(asked[i], len(names)) if known else 0):
            names.popleft()
            if types:
                types.popleft()
        rcode = flags[i] & 15 if full else None
        if full and n == 1 and col["dns.resp.ext_rcode"]:
            rcode |= int(col["dns.resp.ext_rcode"][0], 0) << 4
        key = Key(flags[i] >> 15 if full else None, int(ids[i], 0) if i < len(ids) else None,
                  flags[i] >> 11 & 15 if full else None, qname, qtype, rcode, answers[i], tcp)
        yield Message(key, round(float(col["frame.time_epoch"][0]) * 1e6), None,
                      int(col["frame.number"][0]), marks)


def run_tshark(path, *more):
    """(exit code: 0, or why it stopped in the middle, its words, messages); more: options"""
    port = port_of(path.name)
    ports = [53] + ([port] if port else [])
    where = " || ".join(f"udp.port=={p} || tcp.port=={p}" for p in ports)
    command = ["tshark", "-n", "-r", str(path), "-o", "tcp.reassemble_out_of_order:TRUE",
               "-Y", f"dns && !icmp && !icmpv6 && ({where})",
               *more, "-T", "fields", "-E", "occurrence=a", "-E", f"aggregator={JOIN}"]
    for p in ports[1:]:
        command += ["-d", f"udp.port=={p},dns", "-d", f"tcp.port=={p},dns"]
    for field in FIELDS:
        command += ["-e", field]
    code, out, said = run(command, codes=(0, 1, 2))
    rows = [line.split("\t") for line in out.split("\n") if line]
    return code, said, [message for row in rows for message in tshark_messages(row)]


def run_msgdump(program, path):
    port = port_of(path.name)
    _, out, _ = run([program] + (["--port", str(port)] if port else []) + [str(path)],
                    codes=(0, 1))
    messages = []
    for line in out.splitlines():
        drop, qr, ident, opcode, qname, qtype, rcode, ancount, tcp, time_us, _ = line.split("\t")
        key = Key(int(qr), int(ident), int(opcode), name_of_fluxtap(qname), int(qtype),
                  int(rcode), int(ancount), int(tcp))
        messages.append(Message(key, int(time_us), drop, None,
                                set()))
    return messages


# ---- fluxtap run ----

# Tables in which nearly every entry is pushed out by the next one: the same sums.
SMALL_TABLES = [word for table in ("domain", "client", "server", "rrset", "error", "match")
                for word in (f"--{table}-entries", "64")]

RCODES = dict(enumerate(("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN",
                         "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE"))) | {16: "BADVERS", 23: "BADCOOKIE"}


class Run:
    """`fluxtap run` on one file: its exit code, its words and its records."""

    def __init__(self, program, path, cpu):
        port = port_of(path.name)
        with tempfile.TemporaryDirectory(prefix="fluxtap-golden-") as out:
            self.code, _, self.said = run(
                [program, "run", "--pcap", str(path), "--out", out, "--quiet", "--no-huge",
                 "--probe", f"golden{os.getpid()}-{cpu}", "--cores", str(cpu),
                 "--channels", "all"] + SMALL_TABLES
                + (["--ports", f"53,{port}"] if port else []), codes=(0, 1, 2))
            self.records = collections.defaultdict(list)
            if self.code != 2:
                _, text, _ = run([program, "cat", "--set", "ledger,traffic,nxdomain,dnserror", out])
                for line in text.splitlines():
                    record = json.loads(line)
                    self.records[record["set"]].append(record)
        if self.code != 0 and not self.said:
            raise Failure(f"fluxtap run: exit {self.code} without a word")

    def total(self, name):
        return sum(r[name] for r in self.records["ledger"] if r["worker"] == "all")

    def packet_drops(self, name):
        return sum(r["dropped"].get(name, 0) for r in self.records["ledger"]
                   if r["worker"] == "all")

    def counted(self):
        return sum(r["queries"] + r["responses"] for r in self.records["traffic"])

    def check_errors(self, messages):
        """Every error response among the messages, by its name and how it failed."""
        want, have = collections.Counter(), collections.Counter()
        for m in messages:
            if m.drop == "-" and m.key.qr == 1 and m.key.rcode != 0:
                want[m.key.qname, RCODES.get(m.key.rcode, str(m.key.rcode))] += 1
        for r in self.records["nxdomain"] + self.records["dnserror"]:
            if r.get("class") != "TIMEOUT":
                qname = "" if r["qname"] is None else name_of_fluxtap(r["qname"])
                have[qname, r.get("rcode", "NXDOMAIN")] += r["count"]
        if want != have:
            raise Failure("error responses: only in messages "
                          f"{(want - have).most_common(4)}, in records {(have - want).most_common(4)}")

    def check_ledger(self):
        rows = collections.defaultdict(list)
        for r in self.records["ledger"]:
            rows[r["worker"]].append(r)
        for worker, of_worker in rows.items():
            held = held_packets = 0
            for r in sorted(of_worker, key=lambda r: r["start"]):
                where = f"ledger of worker {worker} at {r['start']}"
                if r["rx_packets"] + held_packets != (
                        sum(r["dropped"].values()) + r["carried"] + r["held_packets"]):
                    raise Failure(f"{where}: packets do not close")
                if r["messages"] + held != (
                        sum(r["msg_dropped"].values()) + r["counted"] + r["held"]):
                    raise Failure(f"{where}: messages do not close")
                if r["records"] != r["merged"] + r["ring_full_records"]:
                    raise Failure(f"{where}: records do not close")
                held, held_packets = r["held"], r["held_packets"]
            if held or held_packets:
                raise Failure(f"ledger of worker {worker}: {held} messages and {held_packets} "
                              "packets are held at the end")


# ---- comparison of one file ----

class Comparison:
    """Takes equal messages away, then what a rule explains; what is left differs."""

    def __init__(self, theirs, ours, packet_drops):
        self.excused = collections.Counter()  # rule: messages
        self.theirs, self.ours = list(theirs), list(ours)
        self.take_equal()
        self.take_same_octets()
        self.take_dropped()
        self.take_unread(packet_drops)
        self.fields = self.pair_up(lambda o, t: True, lambda m: (m.key.qr, m.key.id, m.key.tcp))

    def pair_up(self, fits, key_of):
        """Pairs (ours, theirs) with the same key_of for which fits holds, out of both lists."""
        waiting = collections.defaultdict(list)
        for t in self.theirs:
            waiting[key_of(t)].append(t)
        rest, found = [], []
        for o in self.ours:
            choice = next((t for t in waiting[key_of(o)] if fits(o, t)), None)
            if choice is None:
                rest.append(o)
            else:
                waiting[key_of(o)].remove(choice)
                found.append((o, choice))
        taken = {id(t) for _, t in found}
        self.theirs = [t for t in self.theirs if id(t) not in taken]
        self.ours = rest
        return found

    def take_equal(self):
        self.pair_up(lambda o, t: o.drop == "-", lambda m: m.key)

    def take_same_octets(self):
        """No difference, only another notation: octets that are no ASCII, which tshark takes for
        UTF-8, overlong forms among it; everything around them is equal."""
        def fits(o, t):
            return o.drop == "-" and "?" in o.key.qname and t.key.qname is not None and \
                re.fullmatch(re.escape(o.key.qname).replace(r"\?", ".+"), t.key.qname)
        self.pair_up(fits, lambda m: m.key._replace(qname=None))

    def take_dropped(self):
        """No difference either: what fluxtap dropped for a reason counts for both, where tshark
        shows it as damaged: malformed, with a remark in place of the name, or without an id."""
        def fits(o, t):
            return o.drop != "-" and (MALFORMED in t.marks or t.key.qname is None or
                                      re.search("<(name|unknown)", t.key.qname) or
                                      len(t.key.qname) > 253)
        self.pair_up(fits, lambda m: (m.key.id, m.key.tcp))
        self.pair_up(lambda o, t: o.drop == "short" and t.key.id is None, lambda m: m.key.tcp)

    def take_unread(self, packet_drops):
        """Rules: packets that fluxtap does not read on purpose and has counted as dropped."""
        for mark, reasons, words in (
                (CUT, ("truncated",), "cut by the snaplen inside the message"),
                (BAD_LENGTH, ("bad_ip", "bad_l4"), "an IP or UDP length that cannot be"),
                (GTP, ("not_dns",), "inside GTP, which fluxtap does not open")):
            marked = [t for t in self.theirs if mark in t.marks]
            if len(marked) <= sum(packet_drops(r) for r in reasons):
                self.theirs = [t for t in self.theirs if mark not in t.marks]
                self.excused[words] += len(marked)

    def counts(self):
        return {kind: n for kind, n in (("tshark-only", len(self.theirs)),
                                        ("fluxtap-only", len(self.ours)),
                                        ("fields", len(self.fields))) if n}

    def lines(self, limit):
        out = [f"only tshark:  frame {t.frame}: {show(t.key)}" for t in self.theirs]
        out += [f"only fluxtap: time {o.time_us}: {o.drop} {show(o.key)}" for o in self.ours]
        for o, t in self.fields:
            parts = [f"{name} {b!r} for {a!r}" for name, a, b in zip(Key._fields, o.key, t.key)
                     if a != b]
            out.append(f"frame {t.frame}: id {o.key.id}: {o.drop}: tshark has " + ", ".join(parts))
        return out if limit is None or len(out) <= limit else (
            out[:limit] + [f"and {len(out) - limit} more (-v shows all)"])


def show(key):
    return " ".join(f"{name}={value}" for name, value in zip(Key._fields, key))


# Link types that fluxtap refuses on purpose: 802.11, and PPI, which carries it.
REFUSED = re.compile(r"link type (IEEE802_11\w*|PPI|PRISM_HEADER)\b.* not supported")


class Test:
    def __init__(self, options):
        self.options = options
        self.excuses = read_excuses(HERE / "excused.tsv")
        self.cpus = threading.local()
        self.free_cpus = sorted(os.sched_getaffinity(0))
        self.lock = threading.Lock()

    def cpu(self):
        """A CPU for this thread's workers, so that two runs do not share one."""
        if not hasattr(self.cpus, "own"):
            with self.lock:
                self.cpus.own = self.free_cpus.pop()
        return self.cpus.own

    def capture(self, path):
        """(name, by tshark, by fluxtap, verdict, lines)"""
        try:
            return self.compare(path)
        except Failure as why:
            return path.name, "-", "-", "DIFFERENT", [str(why)]

    def compare(self, path):
        whole = Run(self.options.fluxtap, path, self.cpu())
        stopped, said, theirs = run_tshark(path)
        if whole.code == 1 and not stopped:
            raise Failure(f"tshark reads to the end; {whole.said}")
        if whole.code == 0 and stopped:
            raise Failure(f"fluxtap reads to the end; {said}")
        if whole.code == 2:
            if REFUSED.search(whole.said):
                return path.name, len(theirs), 0, "excused (link type, refused on purpose)", []
            raise Failure(whole.said)
        whole.check_ledger()
        ours = run_msgdump(self.options.msgdump, path)
        kept = sum(m.drop == "-" for m in ours)
        whole.check_errors(ours)
        if whole.total("messages") != len(ours):
            raise Failure(f"ledger has {whole.total('messages')} messages, msgdump {len(ours)}")
        if not whole.counted() == whole.total("counted") == kept:
            raise Failure(f"traffic has {whole.counted()} queries and responses, ledger "
                          f"{whole.total('counted')} counted, msgdump {kept} kept")
        c = Comparison(theirs, ours, whole.packet_drops)
        return (path.name, len(theirs), len(ours)) + self.verdict(path.name, c)

    def verdict(self, name, c):
        why = [f"{rule}: {n}" for rule, n in c.excused.items() if n]
        left = c.counts()
        for what, reason in self.excuses.get(name, {}).items():
            kind, _, n = what.partition("=")
            if left.get(kind) != int(n):
                return "DIFFERENT", [f"excused.tsv says {what}, seen: {left.get(kind, 0)}"] + \
                    c.lines(self.limit())
            why.append(f"{what}: {reason}")
            del left[kind]
        if left:
            return "DIFFERENT", c.lines(self.limit())
        verdict = f"excused ({'; '.join(why)})" if why else "equal"
        return verdict, c.lines(None) if self.options.verbose else []

    def limit(self):
        return None if self.options.verbose else 6

    def robust(self, path):
        """None, or what is wrong."""
        try:
            whole = Run(self.options.fluxtap, path, self.cpu())
            if whole.code == 2:
                return None
            whole.check_ledger()
            if whole.total("messages") != 0:
                return f"{path.name}: {whole.total('messages')} messages"
            return None
        except Failure as why:
            return f"{path.name}: {why}"


def read_excuses(path):
    """{file: {"kind=count": reason}}"""
    excuses = collections.defaultdict(dict)
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, what, reason = line.split("\t")
            excuses[name][what] = reason
    return excuses


def captures_dir():
    place = os.environ.get("FLUXTAP_CAPTURES")
    return pathlib.Path(place) if place else CHECKOUT.parent / "shared" / "captures"


def wanted(options, paths):
    files = sorted((p for p in paths if p.is_file() and
                    p.name not in ("README.md", "MANIFEST.tsv")),
                   key=lambda p: (-p.stat().st_size, p.name))  # the long ones first
    return [p for p in files if not options.names or any(n in p.name for n in options.names)]


def test_captures(test, pool, folder):
    rows = list(pool.map(test.capture, wanted(test.options, folder.iterdir())))
    rows.sort()
    width = max((len(r[0]) for r in rows), default=0)
    for name, theirs, ours, verdict, lines in rows:
        print(f"{name:{width}} {theirs:>6} {ours:>6} {verdict}")
        for line in lines:
            print(f"    {line}")
    bad = sum(r[3] == "DIFFERENT" for r in rows)
    equal = sum(r[3] == "equal" for r in rows)
    gone = 0
    if not test.options.names:
        gone = len(set(test.excuses) - {r[0] for r in rows})
        if gone:
            print(f"excused.tsv names {gone} files that are not there")
    print(f"captures: {len(rows)} files, {sum(r[1] for r in rows if r[1] != '-')} messages by "
          f"tshark; {equal} equal, {len(rows) - equal - bad} excused, {bad} DIFFERENT")
    return bad + gone


def test_robust(test, pool, folder):
    files = wanted(test.options, folder.iterdir())
    bad = [line for line in pool.map(test.robust, files) if line]
    for line in sorted(bad):
        print(f"robust/{line}")
    print(f"robust/: {len(files)} files without DNS, {len(bad)} wrong")
    return len(bad)


def test_wire(test, folder):
    files = wanted(test.options, folder.iterdir())
    bad = 0
    if files:
        try:
            _, out, _ = run([test.options.msgdump, "--raw"] + [str(p) for p in files])
            bad = len(files) - out.count("\n")
        except Failure as why:
            print(f"wire/: {why}")
            bad = 1
    print(f"wire/: {len(files)} bare messages, at every length, {bad} wrong")
    return bad


def program(given, variable, *places):
    for place in [given, os.environ.get(variable), *(CHECKOUT / "build" / p for p in places)]:
        if place and pathlib.Path(place).is_file():
            return str(place)
    sys.exit(f"captures.py: no {variable.lower()}: build it, or say where it is")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--fluxtap")
    parser.add_argument("--msgdump")
    parser.add_argument("--only", choices=("captures", "robust", "wire"))
    parser.add_argument("-v", "--verbose", action="store_true", help="every difference")
    parser.add_argument("names", nargs="*", metavar="NAME", help="part of a file's name")
    options = parser.parse_args()
    folder = captures_dir()
    if not folder.is_dir():
        print(f"skipped: no captures at {folder} (FLUXTAP_CAPTURES may say where they are)")
        return SKIP
    if shutil.which("tshark") is None:
        print("skipped: no tshark")
        return SKIP
    options.fluxtap = program(options.fluxtap, "FLUXTAP", "fluxtap")
    options.msgdump = program(options.msgdump, "MSGDUMP", "tests/msgdump")
    begin = time.monotonic()
    test = Test(options)
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(len(test.free_cpus)) as pool:
        if options.only in (None, "captures"):
            bad += test_captures(test, pool, folder)
        if options.only in (None, "robust"):
            bad += test_robust(test, pool, folder / "robust")
    if options.only in (None, "wire"):
        bad += test_wire(test, folder / "wire")
    print(f"{time.monotonic() - begin:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
