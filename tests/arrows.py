#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reads the #include lines and fails where an arrow between rooms is wrong.

include <- bpf, include <- dataplane <- control, include <- tools; tests may use
anything, nothing uses tests. Foreign libraries have doors: the files listed below.
Every header of include/ compiles alone.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ALLOWED = {
    "include": {"include"},
    "bpf": {"include", "bpf"},
    "dataplane": {"include", "dataplane"},
    "control": {"include", "dataplane", "control"},
    "tools": {"include", "tools"},
}
# A foreign header (by the beginning of its name) and the files that may include it.
DOORS = {
    "rte_": {"dataplane/rx_dpdk.c", "dataplane/rx_dpdk.h", "control/ports.c"},
    "xdp/": {"dataplane/rx_xdp.c", "dataplane/rx_xdp.h", "control/steer.c"},
    "bpf/": {"dataplane/rx_xdp.c", "dataplane/rx_host.c", "dataplane/rx_xdp.h", "control/steer.c",
             "control/steer_spec.c", "bpf/*"},
    "zstd": {"dataplane/seal.c", "dataplane/capfile.c", "control/drain.c", "control/snapshot.c",
             "control/export/*"},
    "pcap": {"dataplane/rx_pcap.c", "dataplane/capfile.c", "dataplane/capfile.h", "tools/gen/*"},
    "hs": {"dataplane/match_hs.c"},
    "maxminddb": {"control/asn.c"},
    "yaml": {"control/config.c"},
    "zlib": {"dataplane/capfile.c"},
    "seccomp": {"control/rights_filter.c"},
    "sys/capability": {"control/rights_caps.c"},
    "systemd/": {"control/log.c", "control/notify.c"},
    "microhttpd": {"control/view/http.c"},
    "curses": {"control/view/top_curses.c"},
    "ncurses": {"control/view/top_curses.c"},
}
# Programs that are made of parts of several rooms (control/bench.c uses the generator
# and the floor through include/).
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
HEADERS_ALONE = ["-std=c17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c"]


def room(path):
    return path.relative_to(ROOT).parts[0]


def check_file(path, errors):
    name = str(path.relative_to(ROOT))
    for mark, target in INCLUDE.findall(path.read_text()):
        if mark == '"':
            found = (path.parent / target).resolve()
            if not found.exists():
                if not target.endswith(".skel.h"):
                    errors.append(f"{name}: \"{target}\" is not beside it")
            elif room(found) not in ALLOWED[room(path)]:
                errors.append(f"{name}: {room(path)}/ may not include {found.relative_to(ROOT)}")
            continue
        for prefix, doors in DOORS.items():
            if target.startswith(prefix) and not any(path.match(d) for d in doors):
                errors.append(f"{name}: <{target}> belongs behind a door: {', '.join(sorted(doors))}")


def check_alone(header, errors):
    run = subprocess.run(["cc", *HEADERS_ALONE, "-I", ROOT / "include", header],
                         capture_output=True, text=True)
    if run.returncode != 0:
        errors.append(f"{header.relative_to(ROOT)} does not compile alone:\n{run.stderr}")


def main():
    errors = []
    files = [p for r in ALLOWED for p in sorted((ROOT / r).rglob("*.[ch]"))]
    for path in files:
        check_file(path, errors)
    for header in sorted((ROOT / "include").rglob("*.h")):
        check_alone(header, errors)
    print("\n".join(errors) or f"{len(files)} files, all arrows right")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
