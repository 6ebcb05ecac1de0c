# SPDX-License-Identifier: BSD-3-Clause
"""Reading what was exported: cat, report, the schema, the help; and bench's one object."""

import datetime
import json
import os
import re
import shutil
import subprocess
import unittest

import jsonschema

import lab
from lab import fluxtap

ZOO = ("zoo", "--seed", 31, "--pairs", 12000)


def utc(text):
    return int(datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=datetime.timezone.utc).timestamp())


def number(text):
    return int(text.replace(",", ""))


class Exported(lab.Case):
    """One run, read in many ways."""

    @classmethod
    def setUpClass(cls):
        cls.dir_all = os.path.join(lab.scratch(), "read-" + cls.__name__)
        cls.file = lab.traffic(*ZOO)[0]
        r = fluxtap("run", "--quiet", "--pcap", cls.file, "--out", cls.dir_all, "--probe", "tap1")
        if r.code != 0:
            raise AssertionError(str(r))
        r = fluxtap("cat", cls.dir_all)
        if r.code != 0:
            raise AssertionError(str(r))
        cls.text = r.out
        cls.all = lab.parse(r.out)


SETS = {"domain", "flux", "traffic", "ledger", "nxdomain", "dnserror", "server", "cookie",
        "resolver", "client", "tap", "transport", "ttl"}  # what a run without rules writes


class Cat(Exported):
    def test_records(self):
        self.check(self.all)
        self.assertEqual({r["set"] for r in self.all}, SETS)

    def test_reader_who_has_seen_enough(self):
        """As head does: that is no failure, and nothing to talk about."""
        for args in (["cat", self.dir_all], ["cat", "--schema"], ["report", "traffic", self.dir_all]):
            p = subprocess.Popen(lab.command(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            p.stdout.close()
            err = p.stderr.read()
            p.stderr.close()
            self.assertEqual((p.wait(), err), (0, b""), args)

    def test_nothing_but_the_files(self):
        """The lines are those that stand in the files, octet for octet."""
        lines = []
        for name in lab.exported(self.dir_all)[0]:
            r = lab.call(["zstd", "-dcq", name])
            self.assertEqual(r.code, 0, str(r))
            lines += r.out.splitlines()
        self.assertEqual(sorted(lines), sorted(self.text.splitlines()))

    def test_order(self):
        starts = [r["start"] for r in self.all]
        self.assertEqual(starts, sorted(starts))
        self.assertEqual(fluxtap("cat", self.dir_all).out, self.text)

    def test_envelope(self):
        for line in self.text.splitlines():
            self.assertRegex(line, r'^\{"set":"(traffic|ledger|nxdomain|dnserror|flux|domain|server|cookie|resolver|client|dga|tap|transport|ttl)","v":1,"probe":"tap1",'
                                   r'"vantage":"[A-Z0-9]+",'
                                   r'"start":\d+,"end":\d+,"p":1,"loss_ppm":\d+,')

    def test_set(self):
        for name in ("traffic", "ledger"):
            r = fluxtap("cat", "--set", name, self.dir_all)
            self.assertEqual(r.code, 0, str(r))
            self.assertEqual(lab.parse(r.out), lab.of_set(self.all, name))
        for names in (",".join(sorted(SETS)), ",".join(sorted(SETS, reverse=True))):
            r = fluxtap("cat", "--set=" + names, self.dir_all)
            self.assertEqual(r.out, self.text, r.err)
        r = fluxtap("cat", self.dir_all, "--set", "traffic")
        self.assertEqual(lab.parse(r.out), lab.of_set(self.all, "traffic"))

    def test_single_files(self):
        names = lab.exported(self.dir_all)[0]
        for name in names:
            r = fluxtap("cat", name)
            self.assertEqual(r.code, 0, str(r))
            # Records of one time come in an order of their own.
            self.assertEqual(sorted(map(json.dumps, lab.parse(r.out))),
                             sorted(map(json.dumps, lab.unpacked(name))))
        # In whatever order they are given, records come in time order.
        for order in (names, names[::-1]):
            r = fluxtap("cat", *order)
            self.assertEqual(r.code, 0, str(r))
            got = lab.parse(r.out)
            self.assertEqual([x["start"] for x in got], sorted(x["start"] for x in self.all))
            self.assertEqual(sorted(r.out.splitlines()), sorted(self.text.splitlines()))

    def test_one_set_of_a_directory(self):
        """The directory of a set is a directory too."""
        r = fluxtap("cat", os.path.join(self.dir_all, "traffic"))
        self.assertEqual(r.code, 0, str(r))
        self.assertEqual(sorted(r.out.splitlines()),
                         sorted(x for x in self.text.splitlines() if x.startswith('{"set":"traffic"')))

    def test_two_directories(self):
        other = self.path("later")
        self.run_ok("--pcap", lab.traffic("mix", "--pairs", 500, "--start", 1767225600 + 150)[0], out=other)
        more = lab.parse(fluxtap("cat", other).out)
        r = fluxtap("cat", self.dir_all, other)
        self.assertEqual(r.code, 0, str(r))
        got = lab.parse(r.out)
        self.assertEqual([x["start"] for x in got], sorted(x["start"] for x in self.all + more))
        self.assertEqual(sorted(map(json.dumps, got)), sorted(map(json.dumps, self.all + more)))

    def test_temporaries_are_left_alone(self):
        shutil.copytree(self.dir_all, self.out)
        for name in (".traffic-20260101T000000Z-tap1-000009.jsonl.zst", ".half", "README"):
            with open(os.path.join(self.out, "traffic", name), "wb") as f:
                f.write(b"half a file")
        r = fluxtap("cat", self.out)
        self.assertEqual((r.code, r.out), (0, self.text), r.err)

    def test_damaged_file(self):
        """The message names the file; the other files are printed all the same."""
        shutil.copytree(self.dir_all, self.out)
        name = [n for n in lab.exported(self.out)[0] if "/traffic/" in n][-1]
        with open(name, "rb") as f:
            data = f.read()
        with open(name, "wb") as f:
            f.write(data[:len(data) // 2])
        r = fluxtap("cat", self.out)
        self.assertEqual(r.code, 1, r.err)
        self.assertIn(os.path.basename(name), r.err)
        for line in r.out.splitlines():
            self.assertIn(json.loads(line), self.all)
        self.assertGreaterEqual(len(r.out.splitlines()), len(self.all) - 3)

    def test_empty_directory(self):
        os.mkdir(self.out)
        r = fluxtap("cat", self.out)
        self.assertEqual(r.out, "")
        self.assertIn(r.code, (0, 2), str(r))


class Schema(Exported):
    def test_is_a_schema(self):
        jsonschema.validators.validator_for(lab.schema()).check_schema(lab.schema())

    def test_names_each_set(self):
        text = json.dumps(lab.schema())
        for name in ("traffic", "ledger"):
            self.assertIn('"%s"' % name, text)

    def test_says_what_each_field_means(self):
        for name, one in lab.schema()["$defs"].items():
            for field, rule in one.get("properties", {}).items():
                self.assertTrue(rule.get("description"), "%s.%s" % (name, field))

    def test_has_teeth(self):
        """A record that is changed in any one way is refused."""
        good = json.dumps(lab.of_set(self.all, "traffic")[0])
        for change in (lambda r: r.pop("queries"), lambda r: r.update(queries=-1), lambda r: r.update(queries="7"),
                       lambda r: r.update(queries=1.5), lambda r: r.update(vantage="Y"), lambda r: r.update(set="frob"),
                       lambda r: r.update(extra=1), lambda r: r["by_class"].update(FROB=1),
                       lambda r: r["series"]["A"].append(-1), lambda r: r["rtt_us"]["bins"].append([1]),
                       lambda r: r["rtt_us"].pop("max"), lambda r: r.update(p=2), lambda r: r.pop("set")):
            record = json.loads(good)
            change(record)
            self.assertFalse(lab.validator().is_valid(record))

    def test_contract(self):
        """Every field that the contract promises is there."""
        for r in lab.of_set(self.all, "ledger"):
            for f in ("rx_packets rx_bytes source_dropped carried held_packets messages held counted late records "
                      "merged blocks block_bytes_raw block_bytes ring_full_records dropped msg_dropped worker").split():
                self.assertIn(f, r)
        for r in lab.of_set(self.all, "traffic"):
            for f in ("queries responses pairs unanswered unsolicited by_qtype by_rcode by_class by_opcode "
                      "by_transport edns query_bytes response_bytes clients names rtt_us series").split():
                self.assertIn(f, r)
            self.assertTrue({"count", "p50", "p90", "p99", "p999", "max"} <= set(r["rtt_us"]))

    def test_loss(self):
        """Damaged messages in a capture file that was read without loss are not packets lost before the probe."""
        ledger = lab.all_rows(self.all)
        text = fluxtap("report", "traffic", self.dir_all).out
        for r in self.all:
            lost = r["loss_ppm"]
            rows = [x for x in ledger if x["start"] == r["start"]]
            reasons = rows[0]["source_dropped"] + rows[0]["ring_full_records"] if rows else 0
            if not reasons and lost:
                self.assertNotRegex(text, "lost before",
                                    "nothing was lost, but loss_ppm is %d and the report says so" % lost)


class Report(Exported):
    def blocks(self, name):
        """The report by interval: start and lines."""
        r = fluxtap("report", name, self.dir_all)
        self.assertEqual(r.code, 0, str(r))
        self.assertEqual(r.err, "")
        out, lines = [], None
        for line in r.out.splitlines():
            m = re.match(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC, (\d+) s, probe tap1$", line)
            if m:
                lines = []
                out.append((utc(m.group(1)), int(m.group(2)), lines))
            elif line.startswith("Total"):
                lines = []
                out.append((None, None, lines))
            elif lines is not None:
                lines.append(line)
        return r.out, out

    def test_width(self):
        for name in ("traffic", "ledger"):
            text = fluxtap("report", name, self.dir_all).out
            self.assertLessEqual(max(map(len, text.splitlines())), 100)

    def test_traffic(self):
        text, blocks = self.blocks("traffic")
        seen = {}
        for start, length, lines in blocks:
            vantage = None
            for line in lines:
                m = re.match(r"  (AUTH|R2A|S2R|X) +([\d,]+) +([\d.,]+) +([\d,]+) +(-|[\d.]+ %) +([\d,]+) +([\d,]+)$",
                             line)
                if m:
                    vantage = m.group(1)
                    seen[start, vantage] = m.groups()[1:], {}
                    continue
                m = re.match(r"    (types|classes|rtt)? +(.*)$", line)
                if m and vantage:
                    more = seen[start, vantage][1]
                    key = m.group(1) or more.get("last")
                    more["last"] = key
                    more[key] = more.get(key, "") + "  " + m.group(2)
        want = {(r["start"], r["vantage"]): r for r in lab.of_set(self.all, "traffic")}
        self.assertEqual(set(want), {k for k in seen if k[0] is not None}, text[:2000])
        for key, r in want.items():
            (queries, rate, responses, missing, clients, names), more = seen[key]
            self.assertEqual([number(queries), number(responses), number(clients), number(names)],
                             [r["queries"], r["responses"], r["clients"], r["names"]], key)
            self.assertAlmostEqual(float(rate.replace(",", "")), r["queries"] / 60, delta=0.51)
            if r["queries"]:
                self.assertAlmostEqual(float(missing.split()[0]), 100 * r["unanswered"] / r["queries"], delta=0.006)
            else:
                self.assertEqual(missing, "-")
            shares = dict(re.findall(r"([A-Z_]+) ([\d.]+) %", more.get("classes", "")))
            for k, n in r["by_class"].items():
                if k in shares:
                    self.assertAlmostEqual(float(shares[k]), 100 * n / sum(r["by_class"].values()), delta=0.051)
            self.assertTrue(set(shares) <= set(r["by_class"]))
            shares = dict(re.findall(r"([A-Z0-9-]+) ([\d.]+) %", more.get("types", "")))
            for k, x in shares.items():
                self.assertAlmostEqual(float(x), 100 * r["by_qtype"][k] / sum(r["by_qtype"].values()), delta=0.051)
            if r["rtt_us"]["count"]:
                times = dict(re.findall(r"(p\d+|max) ([\d.]+) ms", more.get("rtt", "")))
                for k, x in times.items():
                    self.assertAlmostEqual(float(x), r["rtt_us"][k] / 1000, delta=0.051, msg=(key, k))
                self.assertIn("p50", times)
        # The totals: what can be added up is, distinct counts are merged and not added.
        for vantage in {k[1] for k in want}:
            (queries, _, responses, _, clients, names), _ = seen[None, vantage]
            rows = [r for r in want.values() if r["vantage"] == vantage]
            self.assertEqual(number(queries), sum(r["queries"] for r in rows))
            self.assertEqual(number(responses), sum(r["responses"] for r in rows))
            for got, field in ((number(clients), "clients"), (number(names), "names")):
                self.assertLessEqual(got, sum(r[field] for r in rows))
                self.assertGreaterEqual(got, 0.95 * max(r[field] for r in rows))

    def test_traffic_totals_are_the_truth(self):
        """The distinct counts of the whole run against a truth over the whole run."""
        _, truth = lab.traffic(*(ZOO + ("--interval", 3600)))
        text = fluxtap("report", "traffic", self.dir_all).out
        total = text[text.index("Total"):]
        for row in truth["traffic"]:
            m = re.search(r"^  %s +([\d,]+) +\S+ +([\d,]+) +\S+ %% +([\d,]+) +([\d,]+)$" % row["vantage"], total, re.M)
            self.assertTrue(m, total)
            self.assertEqual([number(m.group(1)), number(m.group(2))], [row["queries"], row["responses"]])
            for k, field in ((3, "clients"), (4, "names")):
                self.assertAlmostEqual(number(m.group(k)), row[field], delta=0.03 * row[field] + 2, msg=field)

    def test_ledger(self):
        text, blocks = self.blocks("ledger")
        before = {"packets": 0, "messages": 0}
        rows = {r["start"]: r for r in lab.all_rows(self.all)}
        self.assertEqual([b[0] for b in blocks if b[0] is not None], sorted(rows))
        for start, _, lines in blocks:
            if start is None:
                continue
            r = rows[start]
            table = {}
            for line in lines:
                m = re.match(r"  (packets|messages|records) +([\d,]+) +(-|[\d,]+) +([\d,]+) +([\d,]+) +(-|[\d,]+)"
                             r"  (.*)$", line)
                if m:
                    table[m.group(1)] = [x if x == "-" else number(x) for x in m.groups()[1:6]]
                    self.assertEqual(m.group(7), "closes")
            self.assertEqual(table["packets"], [r["rx_packets"], before["packets"], sum(r["dropped"].values()),
                                                r["carried"], r["held_packets"]])
            self.assertEqual(table["messages"], [r["messages"], before["messages"], sum(r["msg_dropped"].values()),
                                                 r["counted"], r["held"]])
            self.assertEqual(table["records"], [r["records"], "-", r["ring_full_records"], r["merged"], "-"])
            before = {"packets": r["held_packets"], "messages": r["held"]}
            drops = {m.group(2): number(m.group(1)) for m in (
                re.match(r" +([\d,]+) ([a-z_]+)  +\S", x) for x in lines) if m}
            self.assertEqual(drops, {**r["dropped"], **r["msg_dropped"]})
        self.assertRegex(text, r"All \d+ equations close")

    def test_ledger_says_when_it_does_not_close(self):
        """A record with one packet too few is found."""
        record = lab.all_rows(self.all)[0]
        record = dict(record, rx_packets=record["rx_packets"] - 1)
        os.makedirs(self.path("bad", "ledger"))
        name = self.path("bad", "ledger", "ledger-20260101T000000Z-tap1-000000.jsonl.zst")
        line = json.dumps(record, separators=(",", ":")) + "\n"
        p = subprocess.run(["zstd", "-q", "-o", name], input=line.encode(), timeout=30)
        self.assertEqual(p.returncode, 0)
        r = fluxtap("report", "ledger", self.path("bad"))
        self.assertNotRegex(r.out, r"All \d+ equations close")
        self.assertRegex(r.out, r"(?i)(not close|off by|missing|differ)")


class Help(lab.Case):
    CONTRACT = {
        "run": "config pcap xdp dpdk cores control-core out interval auth resolvers no-huge probe sample http http-token duration "
               "quiet timeout-ms ports",
        "cat": "set schema",
        "report": "",
        "bench": "pcap seconds json",
        "pin": "cores json force",
        "status": "json probe socket out",
        "top": "probe socket out",
        "help": ""}

    def test_every_flag(self):
        for command, flags in self.CONTRACT.items():
            with self.subTest(command=command):
                r = fluxtap(command, "--help")
                self.assertEqual((r.code, r.err), (0, ""), str(r))
                self.assertTrue(r.out.startswith("Usage: ") or command == "help", r.out[:80])
                for f in flags.split():
                    self.assertRegex(r.out, r"(?m)^ +--%s\b" % f)
                # What the program itself lists as its options has its line as well.
                bad = fluxtap(command, "--frob")
                self.assertEqual(bad.code, 2, str(bad))
                for f in re.findall(r"--([a-z][a-z-]+)", bad.err.partition("there are:")[2]):
                    if f != "help":
                        self.assertRegex(r.out, r"(?m)^ +--%s\b" % f, "%s: --%s has no line" % (command, f))

    def test_every_flag_of_the_help_exists(self):
        """No option is explained that is then refused as unknown."""
        for command in ("run", "cat", "bench", "pin"):
            text = fluxtap(command, "--help").out
            for f in set(re.findall(r"(?m)^ +--([a-z][a-z-]+)", text)):
                r = fluxtap(command, "--%s" % f, "--frob")
                self.assertEqual(r.code, 2, str(r))
                self.assertNotRegex(r.err, r'--%s" is no option' % f)

    def test_same_text(self):
        for command in self.CONTRACT:
            self.assertEqual(fluxtap("help", command).out, fluxtap(command, "--help").out)
        self.assertEqual(fluxtap("help").out, fluxtap("--help").out)

    def test_report_names(self):
        text = fluxtap("report", "--help").out
        self.assertIn("traffic", text)
        self.assertIn("ledger", text)

    def test_overview(self):
        text = fluxtap("--help").out
        for command in self.CONTRACT:
            self.assertRegex(text, r"(?m)^  %s +\S" % command)
        for code in range(4):
            self.assertRegex(text, r"(?m)^  %d +\S" % code)

    def test_width(self):
        for args in (["--help"],) + tuple([c, "--help"] for c in self.CONTRACT):
            for line in fluxtap(*args).out.splitlines():
                self.assertLessEqual(len(line), 80, line)

    def test_version(self):
        r = fluxtap("--version")
        self.assertEqual(r.code, 0, str(r))
        self.assertRegex(r.out, r"\d+\.\d+")


class Bench(lab.Case):
    KEYS = ("ns_per_packet floor_ns_per_packet ratio packets messages mpps ring_full patterns listed_names loop_us "
            "seal_us stages rss_bytes").split()

    def one_object(self, *args):
        r = fluxtap("bench", "--json", *args)
        self.assertEqual(r.code, 0, str(r))
        self.assertEqual(r.err, "")
        self.assertEqual(r.out.count("\n"), 1)
        return json.loads(r.out)

    def shape(self, b):
        self.assertEqual([k for k in self.KEYS if k not in b], [])
        for k in ("p50", "p99", "p999", "max"):
            self.assertGreater(b["loop_us"][k], 0)
        self.assertLessEqual(b["loop_us"]["p50"], b["loop_us"]["p99"])
        self.assertLessEqual(b["loop_us"]["p99"], b["loop_us"]["p999"])
        self.assertLessEqual(b["loop_us"]["p999"], b["loop_us"]["max"])
        self.assertGreaterEqual(b["seal_us"]["max"], 0)
        self.assertTrue({"decode", "parse", "pair", "tally", "seal"} <= set(b["stages"]))
        self.assertTrue(all(v >= 0 for v in b["stages"].values()))
        self.assertGreater(b["packets"], 0)
        self.assertGreater(b["rss_bytes"], 1 << 20)
        # The figures agree with one another, to their printed digits.
        ratio = b["ns_per_packet"] / b["floor_ns_per_packet"]
        self.assertAlmostEqual(b["ratio"], ratio, delta=0.01 * ratio + 0.01)
        self.assertAlmostEqual(b["mpps"], 1000 / b["ns_per_packet"], delta=0.01 * b["mpps"] + 0.01)

    def test_json(self):
        b = self.one_object("--seconds", 2)
        self.shape(b)
        # Each packet of the standard mix holds one message.
        self.assertEqual(b["messages"], b["packets"])

    def test_capture(self):
        b = self.one_object("--seconds", 1, "--pcap", lab.traffic("mix", "--pairs", 5000)[0])
        self.shape(b)
        self.assertEqual(b["messages"], b["packets"])

    def test_table(self):
        r = fluxtap("bench", "--seconds", 1, "--pcap", lab.traffic("mix", "--pairs", 5000)[0])
        self.assertEqual(r.code, 0, str(r))
        for word in ("floor", "decode", "parse", "pair", "tally", "seal"):
            self.assertIn(word, r.out)


if __name__ == "__main__":
    unittest.main()
