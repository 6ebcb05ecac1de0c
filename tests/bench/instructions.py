#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Instructions per packet by stage, counted by callgrind: repeatable where time is not.

    instructions.py STAGES            print the table beside the recorded one; a rise of
                                      more than 5 % fails
    instructions.py STAGES --record   write instructions.json anew
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
RECORD = os.path.join(HERE, "instructions.json")
RUNS = {"mix": 120000, "flood": 120000}
# A stage is what these functions cost with all they call; decode is the rest of the loop.
STAGES = {
    "receive": ["mem_recv"],
    "parse": ["parse_step"],
    "match": ["match_step"],
    "pair": ["pair_step"],
    "tables": ["dga_step", "tables_step"],
    "rrsets": ["rrsets_step"],
    "errors": ["errors_step"],
    "matches": ["matches_step", "flood_step"],
    "behaviour": ["cookies_step", "resolvers_step", "reverse_step", "transport_step", "ttls_step", "servers_step"],
    "tally": ["tally_step", "count_ledger"],
    "seal": ["housekeep", "flush"],
}
LIMIT = 1.05


def count(stages, scenario, pairs):
    """{stage: instructions per packet} of one run."""
    with tempfile.TemporaryDirectory() as tmp:
        out = os.path.join(tmp, "out")
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
             "--instr-atstart=no", "--collect-atstart=no",
             "--toggle-collect=worker_turn", stages, scenario, str(pairs)],
            capture_output=True, text=True, check=False)
        if run.returncode != 0:
            sys.exit(f"instructions: {run.stderr}")
        packets = int(re.match(r"packets (\d+)", run.stdout).group(1))
        text = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100", out],
                              capture_output=True, text=True, check=True).stdout
    cost = {}
    for line in text.splitlines():
        m = re.match(r"\s*([\d,]+) \([^)]*\)\s+\S*:(\w+)", line)
        if m:
            cost[m.group(2)] = max(cost.get(m.group(2), 0), int(m.group(1).replace(",", "")))
    table = {stage: sum(cost.get(f, 0) for f in functions) / packets
             for stage, functions in STAGES.items()}
    total = cost["worker_turn"] / packets
    table["decode"] = total - sum(table.values())
    table["all"] = total
    return {k: round(v, 1) for k, v in table.items()}


def main():
    if shutil.which("valgrind") is None:
        print("valgrind is not installed")
        return 77
    now = {s: count(sys.argv[1], s, n) for s, n in RUNS.items()}
    if "--record" in sys.argv:
        with open(RECORD, "w", encoding="ascii") as f:
            json.dump(now, f, indent=1)
            f.write("\n")
    with open(RECORD, encoding="ascii") as f:
        before = json.load(f)
    failed = 0
    print(f"{'instructions per packet':<24}{'recorded':>10}{'now':>10}{'ratio':>8}")
    for scenario, table in now.items():
        for stage, n in table.items():
            old = before.get(scenario, {}).get(stage, 0)
            ratio = n / old if old > 0 else 1
            # A stage of a few instructions may double unnoticed; the sum may not.
            bad = n > old * LIMIT + (5 if stage != "all" else 0)
            failed += bad
            print(f"{scenario + ' ' + stage:<24}{old:>10.1f}{n:>10.1f}{ratio:>8.3f}"
                  f"{'  MORE THAN 5 % ABOVE' if bad else ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
