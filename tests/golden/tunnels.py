#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every wrapping, over IPv4 and IPv6, UDP and TCP, whole and in fragments: each message that
the generator sent is found, as sent, and no other; tshark is the second opinion.

tunnels.py --fluxtap PROGRAM --msgdump PROGRAM --gen PROGRAM [-v]
"""
import argparse
import collections
import json
import os
import pathlib
import shutil
import sys
import tempfile

import captures

# A control word and then Ethernet: tshark has to be told, else it guesses wrong.
TSHARK_OPTIONS = ("-d", "mpls.label==16001,pwethcw")

Tag = collections.namedtuple("Tag", "vlan tunnel id")


def key_of(m):
    return captures.Key(m["qr"], m["id"], m["opcode"], captures.name_of_fluxtap(m["qname"]), m["qtype"],
                        m["rcode"], m["ancount"], int(m["tcp"]))


def check(what, have, want):
    """1 and a few lines where two counters differ."""
    if have == want:
        print(f"{what}: {sum(want.values())} as sent")
        return 0
    print(f"{what}: DIFFERENT\n  missing {(want - have).most_common(4)}\n  too many {(have - want).most_common(4)}")
    return 1


def check_messages(options, path, truth):
    found = captures.run_msgdump(options.msgdump, path)
    bad = check("messages", collections.Counter(m.key for m in found),
                collections.Counter(key_of(m) for m in truth["messages"]))
    # Of TCP the generator notes a segment's time, not that of its last fragment.
    return bad + check("times of messages over UDP",
                       collections.Counter((m.key, m.time_us) for m in found if not m.key.tcp),
                       collections.Counter((key_of(m), m["ts_us"]) for m in truth["messages"] if not m["tcp"]))


def expected_taps(truth):
    """{tags: [packets, bytes, messages]}, of fragments but the last by VLANs alone."""
    sums = collections.defaultdict(lambda: [0, 0, 0])
    messages = collections.Counter(m["wrap"] for m in truth["messages"])
    rest = [truth["totals"]["packets"], truth["totals"]["bytes"], len(truth["messages"])]
    for w in truth["wraps"]:
        whole = Tag(tuple(w["vlan"]), w["tunnel"], w["id"])
        for tag, numbers in ((whole, (w["packets"], w["bytes"], messages[w["name"]])),
                             (Tag(whole.vlan, None, None), (w["part_packets"], w["part_bytes"], 0))):
            if tag == Tag((), None, None):
                continue
            for i, n in enumerate(numbers):
                sums[tag][i] += n
                rest[i] -= n
    sums[Tag((), None, None)] = rest
    return {tag: numbers for tag, numbers in sums.items() if any(numbers)}


def check_taps(options, path, truth, cores):
    with tempfile.TemporaryDirectory(prefix="fluxtap-golden-") as out:
        captures.run([options.fluxtap, "run", "--pcap", str(path), "--out", out, "--quiet", "--no-huge",
                      "--probe", f"golden{os.getpid()}-tunnels", "--cores", cores])
        _, text, _ = captures.run([options.fluxtap, "cat", "--set", "tap,ledger,traffic", out])
    sums = collections.defaultdict(lambda: [0, 0, 0])
    drops, counted = collections.Counter(), 0
    for r in map(json.loads, text.splitlines()):
        if r["set"] == "ledger" and r["worker"] == "all":
            drops.update(r["dropped"])
            if r["held"] or r["held_packets"]:
                raise captures.Failure("something is held at the end")
        elif r["set"] == "traffic":
            counted += r["queries"] + r["responses"]
        elif r["set"] == "tap":
            if (r["kind"] == "untagged") != (not r["vlan"] and r["tunnel"] is None):
                raise captures.Failure(f"kind {r['kind']} for {r}")
            for i, field in enumerate(("packets", "bytes", "messages")):
                sums[Tag(tuple(r["vlan"]), r["tunnel"], r["id"])][i] += r[field]
    want = expected_taps(truth)
    bad = 0
    for tag in sorted(set(sums) | set(want), key=str):
        if sums.get(tag) != want.get(tag):
            print(f"tap {tag}: {sums.get(tag)} instead of {want.get(tag)}")
            bad += 1
    deep = sum(w["packets"] for w in truth["wraps"] if w["too_deep"])
    if dict(drops) != {"tunnel_depth": deep}:
        print(f"dropped {dict(drops)} instead of {deep} that are too deep")
        bad += 1
    if counted != len(truth["messages"]):
        print(f"{counted} messages in traffic instead of {len(truth['messages'])}")
        bad += 1
    print(f"taps with cores {cores}: {len(want)} combinations, {bad} wrong")
    return bad


def check_tshark(path, truth):
    _, _, found = captures.run_tshark(path, *TSHARK_OPTIONS)
    by_key = collections.defaultdict(list)
    for m in truth["messages"]:
        by_key[key_of(m)].append(m["wrap"])
    seen, others = collections.Counter(), 0
    for m in found:
        if by_key[m.key]:
            seen[by_key[m.key].pop()] += 1
        else:
            others += 1
    sent = collections.Counter(m["wrap"] for m in truth["messages"])
    bad = 0
    for wrap in sorted(sent):
        if seen[wrap] != sent[wrap]:
            print(f"tshark: {wrap}: {seen[wrap]} of {sent[wrap]}")
            bad += 1
    deep = sum(w["packets"] for w in truth["wraps"] if w["too_deep"])  # it goes as deep as you like
    print(f"tshark: {sum(seen.values())} of {sum(sent.values())} messages and {others} of {deep} that are too "
          f"deep for us, {bad} wrappings wrong")
    return bad + (others != deep)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    for name in ("fluxtap", "msgdump", "gen"):
        parser.add_argument("--" + name, required=True)
    options = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    bad = 0
    with tempfile.TemporaryDirectory(prefix="fluxtap-golden-") as folder:
        for seed in (1, 2):
            path, said = pathlib.Path(folder) / f"{seed}.pcap", pathlib.Path(folder) / f"{seed}.json"
            captures.run([options.gen, "--scenario", "tunnels", "--seed", str(seed), "--pcap", str(path),
                          "--truth", str(said)])
            truth = json.loads(said.read_text())
            bad += check_messages(options, path, truth)
            for n in {1, min(2, len(cpus))}:
                bad += check_taps(options, path, truth, ",".join(map(str, cpus[:n])))
            if shutil.which("tshark"):
                bad += check_tshark(path, truth)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
