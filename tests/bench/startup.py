#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How long a start takes with many rules: seconds from start to first packet, and memory.

    tests/bench/startup.py [--build DIR] [--patterns N] [--hyperscan N] [--names N] [--check]

Writes a list of expressions and exact names, and a capture of a few packets, and runs
the probe over it: without rules, with rules and an empty cache of compiled databases
(cold), and again (warm). What a run takes longer than the one without rules, the rules
have cost before the first packet. Goal: warm under 2 s, at most 1 GiB in memory.
--check: exit 1 where the three runs do not count the same, or rules hit other queries
warm than cold; say nothing about times."""

import argparse
import glob
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TLDS = "com net org info biz ru cn de fr nl eu io co me tv cc ws top xyz club online site pw su in us uk it se".split()
CLASSES = ["[a-z]", "[a-z0-9]", "[a-f0-9]", "[a-y]", "[a-p]", "[b-df-hj-np-tv-z]", "[a-z2-7]", "[0-9]", "[a-z0-9-]"]
ANY_BEFORE = "^(?:[a-z0-9_-]{1,63}\\.)*"


def word(rng, low=3, high=10):
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(low, high)))


def repeat(rng):
    low = rng.randint(4, 20)
    return "{%d}" % low if rng.random() < 0.5 else "{%d,%d}" % (low, low + rng.randint(1, 12))


def endings(rng):
    tlds = rng.sample(TLDS, rng.randint(1, 8))
    return tlds[0] if len(tlds) == 1 else "(?:%s)" % "|".join(tlds)


def simple(rng):
    """Labels in a row, as in the published lists of generated domains, and fixed zones."""
    kind = rng.randrange(5)
    if kind < 3:
        front = [ANY_BEFORE, "^", "^(?:www\\.)?"][kind]
        return "%s%s%s\\.%s$" % (front, rng.choice(CLASSES), repeat(rng), endings(rng))
    if kind == 3:
        return "(?:^|\\.)%s\\.%s\\.%s$" % (word(rng, 2, 6), word(rng), rng.choice(TLDS))
    return "^%s[0-9]{%d}-?%s\\.%s\\.%s$" % (word(rng), rng.randint(1, 5), rng.choice(CLASSES), word(rng), endings(rng))


def search(rng):
    """What takes a search within labels."""
    return rng.choice([
        lambda: "%s.*%s\\.%s$" % (word(rng, 4, 7), word(rng, 3, 5), rng.choice(TLDS)),
        lambda: "(?:%s|%s)+[0-9]" % (word(rng, 3, 5), word(rng, 3, 5)),
        lambda: "%s[0-9]{2,4}" % word(rng, 4, 8),
        lambda: "^[^.]*%s[^.]*\\.%s\\.%s$" % (word(rng, 3, 6), word(rng), rng.choice(TLDS)),
    ])()


def write_list(path, args):
    rng = random.Random(1)
    with open(path, "w") as f:
        for i in range(args.patterns):
            make = search if i < args.hyperscan else simple
            f.write("shape%d regex %s family=f%d severity=%d\n" % (i % 1000, make(rng), i % 1000 % 40, i % 1000 % 100))
        for i in range(args.names):
            f.write("list%d exact %s-%x.%s.%s\n" % (i % 20, word(rng, 4, 8), i, word(rng, 4, 9), rng.choice(TLDS)))
        for tld in ("com", "net", "org"):  # of what the generator asks for: hits in every run
            f.write("tld-%s suffix %s\n" % (tld, tld))


def run(args, work, name, more):
    """Seconds, those of them on a CPU, and memory in octets."""
    out = os.path.join(work, name)
    shutil.rmtree(out, True)
    begin = time.monotonic()
    child = subprocess.Popen([
        args.fluxtap, "run", "--pcap", os.path.join(work, "small.pcap"), "--out", out, "--probe",
        "startup-%d" % os.getpid(), "--quiet"] + more, stderr=subprocess.PIPE)
    err = child.stderr.read().decode(errors="replace")
    status, usage = os.wait4(child.pid, 0)[1:]
    took = time.monotonic() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit("%s: exit %d\n%s" % (name, child.returncode, err))
    return took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def records(args, work, name, kind):
    """The records of a set without their clock of writing, sorted."""
    text = subprocess.run([args.fluxtap, "cat", "--set", kind, os.path.join(work, name)], check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    return sorted(text.splitlines())


def check(args, work):
    cold, warm = (records(args, work, name, "match") for name in ("cold", "warm"))
    traffic = [records(args, work, name, "traffic") for name in ("none", "cold", "warm")]
    wrong = []
    if not cold or not any(json.loads(x)["rule"].startswith("tld-") for x in cold):
        wrong.append("no rule has hit anything")
    if cold != warm:
        wrong.append("rules hit other queries warm than cold")
    if not traffic[0] or traffic[0] != traffic[1] or traffic[0] != traffic[2]:
        wrong.append("the traffic is not the same with rules")
    if args.hyperscan > 0 and not glob.glob(os.path.join(work, "cache", "*.hsdb")):
        wrong.append("nothing has been kept in the cache")
    return wrong


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=os.environ.get("FLUXTAP_BUILD", os.path.join(HERE, "..", "..", "build")))
    p.add_argument("--patterns", type=int, default=10000, help="expressions, default %(default)s")
    p.add_argument("--hyperscan", type=int, default=500, help="of these for Hyperscan, default %(default)s")
    p.add_argument("--names", type=int, default=1000000, help="exact names, default %(default)s")
    p.add_argument("--runs", type=int, default=5, help="runs whose median counts, default %(default)s")
    p.add_argument("--keep", metavar="DIR", help="leave list, capture and cache there")
    p.add_argument("--check", action="store_true", help="exit 1 where something is wrong")
    args = p.parse_args()
    args.fluxtap = os.path.join(args.build, "fluxtap")
    work = args.keep or tempfile.mkdtemp(prefix="fluxtap-startup-")
    try:
        os.makedirs(os.path.join(work, "cache"), 0o700, True)
        for old in glob.glob(os.path.join(work, "cache", "*")):
            os.unlink(old)
        rules = os.path.join(work, "list.rules")
        write_list(rules, args)
        subprocess.run([os.path.join(args.build, "tools", "gen", "fluxtap-gen"), "--pairs", "2000", "--duration", "20",
                        "--names", "1000", "--pcap", os.path.join(work, "small.pcap")], check=True)
        more = ["--rules", rules, "--rule-cache", os.path.join(work, "cache")]
        none = [run(args, work, "none", ["--rule-cache", "off"]) for _ in range(args.runs)]
        cold = [run(args, work, "cold", more)]
        warm = [run(args, work, "warm", more) for _ in range(args.runs)]
        base, base_cpu, _ = map(statistics.median, zip(*none))
        print("%d expressions, %d of them for Hyperscan; %d names" % (args.patterns, args.hyperscan, args.names))
        for name, runs in ("without rules", none), ("cold", cold), ("warm", warm):
            took, cpu, memory = map(statistics.median, zip(*runs))
            print("%-14s %7.3f s (CPU %7.3f s); for the rules %7.3f s (CPU %7.3f s); %5d MiB" % (
                name, took, cpu, took - base, cpu - base_cpu, memory / 2**20))
        wrong = check(args, work) if args.check else []
        for text in wrong:
            print("wrong: " + text, file=sys.stderr)
        return 1 if wrong else 0
    finally:
        if not args.keep:
            shutil.rmtree(work, True)


if __name__ == "__main__":
    sys.exit(main())
