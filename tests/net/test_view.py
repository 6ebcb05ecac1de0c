#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Lab sheet: what others see of a live probe.

    a (fluxtap-gen) ---- veth ---- b (fluxtap run --xdp, prometheus, chromium, fluxtap top)

A real Prometheus scrapes while traffic runs, and what it has gathered must agree with the
generator's book within 1 %; promtool finds nothing to say; a real browser draws the page
without a word on its console, with the figures of /metrics; `top` runs in a real terminal.

    test_view.py             about a minute in all
    test_view.py --full      Prometheus scrapes for a minute, and its rates are compared, too
    test_view.py --shots DIR puts pictures of the page into DIR, to be looked at
"""
import html.parser
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
import unittest
import urllib.parse
import urllib.request

import lab

FULL = "--full" in sys.argv
SHOTS = pathlib.Path(sys.argv[sys.argv.index("--shots") + 1]) if "--shots" in sys.argv else None
INTERVAL_S = 5
SECONDS = 60 if FULL else 12
RATE = 6000
MIX = ("--names", 20000, "--clients", 5000)
WAIT_S = 60


def setUpModule():
    lab.need()


def get(end, path, port=9530, **headers):
    with end.inside():
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()


def until(what, why, seconds=WAIT_S):
    """What `what` gives, once it gives something."""
    for _ in range(seconds * 5):
        found = what()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {why() if callable(why) else why}")


SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.M)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def metrics(end):
    """{(name, ((label, value), ...)): value}"""
    return {(m[1], tuple(LABEL.findall(m[2] or ""))): float(m[3]) for m in SAMPLE.finditer(get(end, "/metrics"))}


def total(samples, name, **labels):
    return sum(v for (n, has), v in samples.items() if n == name and labels.items() <= dict(has).items())


# ---- Prometheus ----

class Prometheus:
    PORT = 9090

    def __init__(self, end, path):
        self.end, self.log = end, path / "log"
        (path / "config.yml").write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
            "- job_name: fluxtap\n  static_configs: [{targets: ['127.0.0.1:9530']}]\n")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                end.command("prometheus", f"--config.file={path}/config.yml", f"--storage.tsdb.path={path}/data",
                            f"--web.listen-address=127.0.0.1:{self.PORT}"), stdout=log, stderr=log)

    def ask(self, query, at=None):
        """[(labels, value)] of an instant query."""
        words = {"query": query} | ({"time": at} if at else {})
        said = json.loads(get(self.end, "/api/v1/query?" + urllib.parse.urlencode(words), self.PORT))
        if said["status"] != "success":
            raise AssertionError(said)
        return [(r["metric"], float(r["value"][1])) for r in said["data"]["result"]]

    def number(self, query, at=None):
        rows = self.ask(query, at)
        return rows[0][1] if rows else None

    def ready(self):
        try:
            return self.number("up") == 1 and self.number("fluxtap_ready") is not None
        except (OSError, AssertionError):
            return False


class Scrape(unittest.TestCase):
    def setUp(self):
        for tool in ("prometheus", "promtool"):
            if shutil.which(tool) is None:
                self.skipTest(f"no {tool}")

    def run_traffic(self, rate):
        """Traffic of so many seconds with Prometheus at its side; what it gathered, and the truth."""
        pairs = SECONDS * rate // 2
        with lab.folder() as path, lab.wire() as w, \
                lab.probe(w.b, "--xdp", w.b.iface, interval=INTERVAL_S) as probe:
            p = Prometheus(w.b, path)
            with lab.undone(lambda: lab.end_process(p.process)):
                until(p.ready, lambda: f"Prometheus scrapes: {p.log.read_text()[-2000:]}")
                begin = time.time()
                truth = lab.generate("mix", "--pairs", pairs, *MIX, send=w.a, rate=rate)
                end_of_traffic = time.time()
                queries = lab.figures(truth.traffic, ["queries"])["queries"]
                # The last interval closes 6 s after its end.
                until(lambda: total(metrics(w.b), "fluxtap_queries_total") >= queries or
                      total(metrics(w.b), "fluxtap_source_dropped_packets_total") > 0, "the last interval")
                time.sleep(3)
                self.check_promtool(w.b)
                end = time.time()
                self.assertEqual(p.number(f"min_over_time(up[{int(end - begin)}s])", end), 1, "a scrape failed")

                def grown(name, by=()):
                    """What Prometheus has of a counter after, less what it had before."""
                    words = f"sum by ({','.join(by)}) ({name})"
                    rows = {tuple(m.get(k) for k in by): v for m, v in p.ask(words, end)}
                    for m, v in p.ask(words, begin):
                        rows[tuple(m.get(k) for k in by)] -= v
                    return rows

                have = {name: grown(name, by) for name, by in self.WANTED}
                rates = self.rates(p, begin, end_of_traffic) if FULL else []
            run = probe.finish()
        lab.check_ledger(self, run)
        return truth, have, rates

    def rates(self, p, begin, end):
        """Of packets a second, as Prometheus computes them while the traffic runs."""
        return [p.number("sum(rate(fluxtap_packets_total[30s]))", at)
                for at in range(int(begin) + 33, int(end) - 1, 5)]

    WANTED = (("fluxtap_packets_total", ()), ("fluxtap_received_bytes_total", ()), ("fluxtap_messages_total", ()),
              ("fluxtap_messages_counted_total", ()), ("fluxtap_source_dropped_packets_total", ()),
              ("fluxtap_queries_total", ("vantage",)), ("fluxtap_responses_total", ("vantage",)),
              ("fluxtap_query_bytes_total", ("vantage",)), ("fluxtap_response_bytes_total", ("vantage",)),
              ("fluxtap_queries_by_qtype_total", ("qtype",)), ("fluxtap_transactions_total", ("class",)),
              ("fluxtap_responses_by_rcode_total", ("rcode",)), ("fluxtap_queries_by_transport_total", ("transport",)),
              ("fluxtap_response_time_seconds_count", ()), ("fluxtap_export_lost_records_total", ()))

    def check_promtool(self, end):
        done = subprocess.run(["promtool", "check", "metrics"], input=get(end, "/metrics"), capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        text = get(end, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
        self.assertTrue(text.endswith("# EOF\n"))

    def near(self, have, want, what):
        self.assertLessEqual(abs(have - want), 0.01 * want, f"{what}: {have}, sent {want}")

    def compare(self, truth, have):
        books = lab.figures(truth.traffic, lab.UNTIMED + lab.TIMED)
        for key, name in (("queries", "fluxtap_queries_total"), ("responses", "fluxtap_responses_total"),
                          ("query_bytes", "fluxtap_query_bytes_total"), ("response_bytes", "fluxtap_response_bytes_total")):
            self.near(sum(have[name].values()), books[key], name)
        for key, name in (("by_qtype", "fluxtap_queries_by_qtype_total"), ("by_rcode", "fluxtap_responses_by_rcode_total"),
                          ("by_class", "fluxtap_transactions_total"), ("by_transport", "fluxtap_queries_by_transport_total")):
            seen = {k[0]: v for k, v in have[name].items() if v}
            self.assertEqual(set(seen), set(books[key]), name)
            for k, want in books[key].items():
                self.near(seen[k], want, f"{name} {k}")
        self.near(have["fluxtap_response_time_seconds_count"][()], books["pairs"], "times")
        self.near(have["fluxtap_received_bytes_total"][()], truth.totals["bytes"], "bytes")
        for name in ("fluxtap_messages_total", "fluxtap_messages_counted_total"):
            self.near(have[name][()], truth.dns_frames, name)

    def test_prometheus_has_the_truth(self):
        rate = RATE
        for attempt in range(3):
            truth, have, rates = self.run_traffic(rate)
            lost = have["fluxtap_source_dropped_packets_total"][()]
            if truth.whole:
                self.near(have["fluxtap_packets_total"][()] + lost, truth.sent, "packets, received and lost")
            self.assertEqual(have["fluxtap_export_lost_records_total"][()], 0)
            if truth.whole and lost == 0:
                break
            print(f"attempt {attempt}: lost {lost}; again, slower")
            rate //= 2
        else:
            self.skipTest("the machine is too busy for a run without loss")
        self.compare(truth, have)
        if FULL:
            self.assertGreater(len(rates), 3)
            for r in rates:
                self.near(r, truth.rate, "packets a second")
            print(f"{len(rates)} rates of 30 s: {min(rates):.0f} to {max(rates):.0f}, sent {truth.rate}")


# ---- the page ----

class Dom(html.parser.HTMLParser):
    """What the page shows: cells with a key, tiles, series of charts, headings of tables."""

    def __init__(self, text):
        super().__init__()
        self.cells, self.tiles, self.series, self.tables, self.body = {}, {}, [], [], {}
        self.tile, self.text, self.scripts = None, "", 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if tag == "td" and "data-value" in a and "data-key" in a:
            self.cells[a["data-key"]] = float(a["data-value"])
        if tag == "path" and "data-name" in a:
            self.series.append((a["data-name"], a["d"]))
        if "data-table" in a:
            self.tables.append(a["data-table"])
        if tag == "body":
            self.body = a
        self.scripts += tag in ("script", "img", "iframe", "object")
        self.tile = a.get("data-tile")

    def handle_data(self, data):
        self.text += data
        if self.tile:
            self.tiles[self.tile] = data
            self.tile = None


class Page(unittest.TestCase):
    def setUp(self):
        self.browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if self.browser is None:
            self.skipTest("no chromium")

    def browse(self, end, *words):
        """A run of the browser on the page: standard output, and what its console said."""
        with lab.folder() as path:
            done = subprocess.run(end.command(
                self.browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
                "--disable-dev-shm-usage", "--disable-extensions", "--disable-sync", f"--user-data-dir={path}/profile",
                "--hide-scrollbars", "--enable-logging=stderr", "--virtual-time-budget=20000", *words, "http://127.0.0.1:9530/"),
                capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise AssertionError(f"{self.browser}: exit {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    def test_page(self):
        with lab.folder() as path:
            (path / "sinks").write_text("group ip 192.0.2.0/24\nlabs name com\n")
            with lab.wire() as w, lab.probe(w.b, "--xdp", w.b.iface, "--sinkholes", path / "sinks", "--channels", "all",
                                            interval=2) as probe:
                lab.generate("mix", "--pairs", 15000, "--names", 3000, "--clients", 500, send=w.a, rate=RATE)
                lab.generate("zoo", "--pairs", 2000, send=w.a, rate=RATE)  # names that nobody should print
                lab.generate("cname-flux", "--pairs", 3000, "--names", 300, send=w.a, rate=RATE)
                time.sleep(9)  # every interval with traffic closes: the books stand still
                text, console = self.browse(w.b, "--dump-dom")
                seen = metrics(w.b)
                self.check_dom(Dom(text), seen)
                self.assertEqual(console, [], "nothing on the console")
                if SHOTS:
                    self.shoot(w.b)
                run = probe.finish()
        lab.check_ledger(self, run)

    def check_dom(self, dom, seen):
        self.assertGreaterEqual(int(dom.body.get("data-shown", 0)), 1)
        self.assertEqual(dom.scripts, 1, "the page's own script, and nothing that a name made")
        for key, name in (("rx_packets", "fluxtap_packets_total"), ("carried", "fluxtap_packets_carried_total"),
                          ("source_dropped", "fluxtap_source_dropped_packets_total"), ("messages", "fluxtap_messages_total"),
                          ("counted", "fluxtap_messages_counted_total"), ("queries", "fluxtap_queries_total"),
                          ("responses", "fluxtap_responses_total"), ("ring_full_records", "fluxtap_ring_full_records_total"),
                          ("records_lost", "fluxtap_export_lost_records_total")):
            self.assertEqual(dom.cells.get(key), total(seen, name), key)
        self.assertGreater(dom.cells["rx_packets"], 30000)
        for kind in ("packets", "messages"):
            reasons = {dict(has)["reason"] for (n, has), v in seen.items() if n == f"fluxtap_{kind}_dropped_total" and v}
            prefix = "dropped_" if kind == "packets" else "msg_dropped_"
            shown = {k[len(prefix):] for k in dom.cells if k.startswith(prefix)}
            self.assertEqual(shown, reasons, kind)
            for r in reasons:
                self.assertEqual(dom.cells[prefix + r], total(seen, f"fluxtap_{kind}_dropped_total", reason=r), r)
        classes = {dict(has)["class"] for (n, has), v in seen.items() if n == "fluxtap_transactions_total" and v}
        drawn = dict(dom.series)
        self.assertLessEqual(classes | {"A", "AAAA", "p50", "p90", "p99", "source", "full ring"}, set(drawn))
        for name in ("DATA", "NXDOMAIN", "A", "p50"):
            self.assertGreaterEqual(drawn[name].count("L"), 2, f"{name}: a line with points: {drawn[name]}")
            self.assertNotIn("NaN", drawn[name])
        self.assertLessEqual({"Who changes too often", "Sinkholes", "Names that do not exist", "Domains asked for most",
                              "Spikes and floods", "Workers", "Books since the start"}, set(dom.tables))
        self.assertIn("ready", dom.text)
        self.assertEqual(set(dom.tiles), {"packets", "messages", "queries", "rtt", "lost", "memory"})

    def shoot(self, end):
        SHOTS.mkdir(parents=True, exist_ok=True)
        for name, size in (("desktop", "1400,2200"), ("phone", "390,3600")):
            for theme, more in (("light", []), ("dark", ["--blink-settings=preferredColorScheme=0"])):
                out = SHOTS / f"{name}-{theme}.png"
                _, console = self.browse(end, f"--window-size={size}", f"--screenshot={out}", *more)
                self.assertEqual(console, [])
                self.assertGreater(out.stat().st_size, 10000)


# ---- top, in a terminal ----

class Terminal:
    """A tmux of our own, a window for each viewer."""

    def __init__(self, path):
        self.name = f"fluxtap-lab-{os.getpid()}"
        self.path = path

    def do(self, *words):
        return lab.sh("tmux", "-f", "/dev/null", "-L", self.name, *words)

    def start(self, window, cols, rows, *command):
        env = f"TERM=screen-256color TMPDIR={self.path} "
        text = env + " ".join(map(str, command)) + f" 2>{self.path}/{window}.err; echo ended $?; sleep 1000"
        self.do("new-session", "-d", "-s", window, "-x", cols, "-y", rows, text)

    def screen(self, window, colours=False):
        return self.do("capture-pane", "-p", *(["-e"] if colours else []), "-t", window)

    def keys(self, window, *keys):
        self.do("send-keys", "-t", window, *keys)

    def resize(self, window, cols, rows):
        self.do("resize-window", "-t", window, "-x", cols, "-y", rows)

    def waits_for(self, window, text, colours=False):
        return until(lambda: text in self.screen(window, colours), lambda: f"{text!r} in {window}:\n{self.screen(window)}")


class Top(unittest.TestCase):
    def setUp(self):
        if shutil.which("tmux") is None:
            self.skipTest("no tmux")

    def test_top(self):
        with lab.folder() as path, lab.wire() as w:
            t = Terminal(path)
            with lab.probe(w.b, "--xdp", w.b.iface, interval=2) as probe, \
                    lab.undone(lambda: lab.sh("tmux", "-L", t.name, "kill-server", ok=False)):
                self.look(t, w, probe)
                probe.process.kill()
                probe.process.wait()
                self.next_one(t, w, probe, path)

    def look(self, t, w, probe):
        top = (lab.FLUXTAP, "top", "--probe", probe.name)
        t.start("small", 80, 24, *top)
        t.waits_for("small", "ready: nothing lost lately")
        sender = threading.Thread(target=lambda: lab.generate("mix", "--pairs", 20000, send=w.a, rate=4000))
        sender.start()
        try:
            self.check_live(t, w, probe, top)
        finally:
            sender.join()
        # What it shows is what was sent: no worker has been disturbed.
        until(lambda: total(metrics(w.b), "fluxtap_packets_total") + total(metrics(w.b), "fluxtap_source_dropped_packets_total")
              == 40000, "40,000 packets")

    def check_live(self, t, w, probe, top):
        until(lambda: re.search(r"^ +0 +[1-9][0-9]{2,}", t.screen("small"), re.M), lambda: t.screen("small"))
        for text in (probe.name, "Books", "lost by the source", "ns per packet", "receive", "1 overview"):
            t.waits_for("small", text)
        t.waits_for("small", "NXDOMAIN")
        lines = t.screen("small").split("\n")
        self.assertLessEqual(len(lines), 25)
        self.assertTrue(all(len(line) <= 80 for line in lines))
        t.start("large", 200, 60, *top)  # a second viewer
        for text in ("Domains asked for most", "Who changes too often", "Sinkholes", "Types"):
            t.waits_for("large", text)
        for key, text in (("2", "block_bytes_raw"), ("3", "Names that do not exist"), ("4", "Spikes and floods"),
                          ("?", "another view"), ("?", "Spikes and floods"), ("Tab", "ns per packet")):
            t.keys("small", key)
            t.waits_for("small", text)
        t.resize("small", 200, 60)
        t.waits_for("small", "Domains asked for most")
        t.resize("small", 30, 6)
        time.sleep(1.2)
        t.resize("small", 10, 2)
        time.sleep(1.2)
        t.resize("small", 80, 24)
        t.waits_for("small", "ns per packet")
        t.keys("small", "p")
        t.waits_for("small", "PAUSED")
        t.keys("small", "p")
        until(lambda: "PAUSED" not in t.screen("small"), "it goes on")

    def next_one(self, t, w, probe, path):
        """It says that the probe has ended, shows its last figures, and finds the next one."""
        for window in ("small", "large"):
            t.waits_for(window, f"probe {probe.name} ended at")
        t.waits_for("small", "Books")
        red = re.search(r"\x1b\[[0-9;]*31m[^\x1b]*ended", t.screen("small", colours=True))
        self.assertTrue(red, t.screen("small", colours=True))
        with open(path / "err", "w") as err:
            second = subprocess.Popen(w.b.command(lab.FLUXTAP, "run", "--xdp", w.b.iface, "--out", path / "second",
                                                  "--probe", probe.name, "--quiet"), stderr=err)
        with lab.undone(lambda: lab.end_process(second, 15)):
            for window in ("small", "large"):
                t.waits_for(window, f"pid {second.pid}")
                t.waits_for(window, "ready: nothing lost lately")
            t.keys("small", "q")
            t.waits_for("small", "ended 0")
            self.assertIn(f"pid {second.pid}", t.screen("large"), "the other one stays")


if __name__ == "__main__":
    sys.argv = [a for i, a in enumerate(sys.argv) if not a.startswith("--full") and a != "--shots" and sys.argv[i - 1] != "--shots"]
    lab.main()
