#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""HTTP and `fluxtap status` of a probe that reads from a pipe: what is served and to whom,
and that clients who drip, hold on, or ask nonsense cost nobody else an answer. Loopback
alone; needs no privileges."""

import http.client
import json
import os
import re
import socket
import subprocess
import threading
import time
import unittest

import lab

END_S = 60


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Probe:
    """Reads a capture from a pipe that stays open, so that it runs until the test ends."""

    def __init__(self, *options, share=1.0):
        self.port = free_port()
        self.dir = os.path.join(lab.scratch(), "http-%d" % self.port)
        os.mkdir(self.dir)
        self.name = "%s-%d" % (lab.PROBE, self.port)
        self.socket = os.path.join(self.dir, "ctl")
        self.process = subprocess.Popen(
            [lab.FLUXTAP, "run", "--pcap", "-", "--http", "127.0.0.1:%d" % self.port, "--out",
             os.path.join(self.dir, "out"), "--probe", self.name, "--socket", self.socket, "--quiet", *options],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        self.left = traffic()
        self.feed(share)
        for _ in range(600):
            try:
                if self.get("/readyz")[0] == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None:
                raise AssertionError(self.process.stderr.read())
            time.sleep(0.05)
        raise AssertionError("it does not get ready")

    def feed(self, share):
        """So much of what is left of the capture goes into the pipe."""
        n = int(len(self.left) * share)
        self.process.stdin.write(self.left[:n])
        self.process.stdin.flush()
        self.left = self.left[n:]

    def ready(self):
        try:
            return self.get("/readyz")[::2]
        except http.client.HTTPException:
            return None

    def get(self, path, method="GET", **headers):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=END_S)
        try:
            c.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            r = c.getresponse()
            return r.status, dict(r.getheaders()), r.read().decode()
        finally:
            c.close()

    def raw(self, data):
        """What comes back for these octets, up to the end of the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=END_S) as s:
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                out = b""
                while chunk := s.recv(65536):
                    out += chunk
                return out
            except OSError:  # it has had enough, and has gone
                return b""

    def until(self, what, path="/api/view.json"):
        """The answer for which `what` holds, once it does."""
        for _ in range(END_S * 10):
            answer = self.get(path)[2]
            if what(answer):
                return answer
            time.sleep(0.1)
        raise AssertionError("not within %d s: %s" % (END_S, answer[:500]))

    def at_rest(self):
        """The view, once nothing has moved in it for two seconds."""
        before, since = None, time.monotonic()
        for _ in range(END_S * 4):
            view = json.loads(self.get("/api/view.json")[2])
            now = view["totals"], view["intervals"], view["records_written"]
            if now != before:
                before, since = now, time.monotonic()
            elif view["intervals"] >= 4 and time.monotonic() - since > 2:
                return view
            time.sleep(0.3)
        raise AssertionError("it does not come to rest")

    def until_ready(self, status):
        for _ in range(END_S * 10):
            answer = self.ready()
            if answer and answer[0] == status:
                return answer
            time.sleep(0.1)
        raise AssertionError("readyz: %s, not %d" % (answer, status))

    def end(self):
        self.process.stdin.close()
        code = self.process.wait(END_S)
        self.process.stderr.close()
        return code


def capture():
    return lab.traffic("mix", "--pairs", 5000, "--duration", 60, "--names", 500)[0]


def traffic():
    with open(capture(), "rb") as f:
        return f.read()


def value(metrics, name):
    """The sum over all samples of a metric."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in metrics.splitlines()
               if re.match(re.escape(name) + r"[{ ]", line))


class Served(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.probe = Probe("--interval", "10")

    @classmethod
    def tearDownClass(cls):
        assert cls.probe.end() == 0

    def test_figures(self):
        """5000 pairs, of which the last few wait in the pipe's reader: once all has come to
        rest, every way says the same."""
        p = self.probe
        view = p.at_rest()
        self.assertGreaterEqual(view["totals"]["rx_packets"], 9000)
        self.assertTrue(view["ready"])
        self.assertEqual(view["probe"], p.name)
        text = p.get("/metrics")[2]
        self.assertEqual(value(text, "fluxtap_packets_total"), view["totals"]["rx_packets"])
        queries = value(text, "fluxtap_queries_total")
        self.assertGreater(queries, 2000)
        for name in ("fluxtap_queries_by_qtype_total", "fluxtap_transactions_total", "fluxtap_queries_by_transport_total"):
            self.assertEqual(value(text, name), queries, name)
        self.assertEqual(value(text, "fluxtap_ledger_broken_intervals_total"), 0)
        self.assertGreaterEqual(view["intervals"], 4)
        self.assertEqual(sum(point["queries"] for point in view["points"]), queries)
        self.assertTrue(view["tables"]["domain"]["rows"])

    def test_formats(self):
        status, headers, text = self.probe.get("/metrics", Accept="application/openmetrics-text;version=1.0.0")
        self.assertEqual(status, 200)
        self.assertTrue(headers["Content-Type"].startswith("application/openmetrics-text"))
        self.assertTrue(text.endswith("\n# EOF\n"))
        status, headers, text = self.probe.get("/metrics")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        self.assertNotIn("# EOF", text)

    def test_page(self):
        status, headers, text = self.probe.get("/")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        policy = headers["Content-Security-Policy"]
        self.assertIn("default-src 'none'", policy)
        self.assertNotIn("unsafe", policy)
        # Self-contained: nothing is loaded from anywhere.
        self.assertEqual(re.findall(r"(?:https?:)?//[a-z0-9.]+\.[a-z]+", text.replace("http://www.w3.org/2000/svg", "")), [])
        self.assertEqual(re.findall(r"(?:src|@import|innerHTML|outerHTML|insertAdjacent|document\.write|eval)\b", text), [])

    def test_health(self):
        self.assertEqual(self.probe.get("/healthz")[::2], (200, "ok\n"))
        self.assertEqual(self.probe.get("/readyz?x=1")[::2], (200, "ok\n"))

    def test_wrong_requests(self):
        p = self.probe
        self.assertEqual(p.get("/nope")[0], 404)
        self.assertEqual(p.get("/../etc/passwd")[0], 404)
        status, headers, _ = p.get("/metrics", "POST")
        self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD"))
        self.assertEqual(p.get("/metrics", "HEAD")[::2], (200, ""))
        # A page somewhere else that lets its name point to us.
        self.assertEqual(p.get("/metrics", Host="evil.example:%d" % p.port)[0], 403)
        self.assertEqual(p.get("/metrics", Host="localhost")[0], 200)

    def test_nonsense(self):
        p = self.probe
        for data in (b"", b"\r\n\r\n", b"\0" * 5000, b"GET", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
                     b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n", b"GET / HTTP/1.1\r\nHost: [\r\n\r\n",
                     b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nabc",
                     b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", os.urandom(3000)):
            answer = p.raw(data)
            self.assertTrue(answer == b"" or answer.startswith(b"HTTP/1."), answer[:50])
        self.assertEqual(p.get("/healthz")[0], 200)

    def test_keeps_connections(self):
        c = http.client.HTTPConnection("127.0.0.1", self.probe.port, timeout=END_S)
        for _ in range(5):
            c.request("GET", "/metrics")
            self.assertEqual(len(c.getresponse().read()) > 1000, True)
        c.close()

    def test_slow_clients_make_room(self):
        """More of them than there are places, each sending an octet now and then: they are
        shown out, and who asks properly gets an answer. The control thread does not notice."""
        p, stop, held = self.probe, threading.Event(), []
        for _ in range(40):
            s = socket.create_connection(("127.0.0.1", p.port), timeout=END_S)
            s.sendall(b"GET /metrics HTTP/1.1\r\n")
            held.append(s)

        def drip():
            while not stop.wait(1):
                for s in held:
                    try:
                        s.sendall(b"X")
                    except OSError:
                        pass

        t = threading.Thread(target=drip)
        t.start()
        try:
            status = subprocess.run([lab.FLUXTAP, "status", "--json", "--socket", p.socket], capture_output=True, timeout=END_S)
            self.assertEqual(status.returncode, 0, status.stderr)
            for _ in range(END_S):  # a connection may be refused while they hold all places
                try:
                    self.assertEqual(p.get("/metrics")[0], 200)
                    break
                except (OSError, http.client.HTTPException):
                    time.sleep(1)
            else:
                self.fail("no answer")
        finally:
            stop.set()
            t.join()
            for s in held:
                s.close()

    def test_status(self):
        p = self.probe
        p.until(lambda t: json.loads(t)["intervals"] >= 2)
        r = subprocess.run([lab.FLUXTAP, "status", "--socket", p.socket], capture_output=True, text=True, timeout=END_S)
        self.assertEqual((r.returncode, r.stderr), (0, ""), r)
        self.assertIn("probe %s, pid %d" % (p.name, p.process.pid), r.stdout)
        self.assertIn("ready, nothing lost lately", r.stdout)
        self.assertLessEqual(len(r.stdout.splitlines()), 24)
        r = subprocess.run([lab.FLUXTAP, "status", "--json", "--probe", p.name], capture_output=True, text=True, timeout=END_S)
        self.assertEqual((r.returncode, r.stderr), (0, ""), r)
        said = json.loads(r.stdout)
        self.assertEqual(said["pid"], p.process.pid)
        self.assertIn("rx_packets", said["per_second"])

    def test_top_wants_a_terminal(self):
        r = subprocess.run([lab.FLUXTAP, "top", "--socket", self.probe.socket], capture_output=True, text=True, timeout=END_S)
        self.assertEqual(r.returncode, 2)
        self.assertIn("needs a terminal", r.stderr)

    def test_port_is_taken(self):
        r = lab.fluxtap("run", "--pcap", capture(), "--out", os.path.join(lab.scratch(), "taken"), "--http",
                        "127.0.0.1:%d" % self.probe.port)
        self.assertEqual(r.code, 3, str(r))
        self.assertIn("cannot listen for HTTP at 127.0.0.1:%d: Address already in use; give another --http" % self.probe.port, r.err)


class Token(unittest.TestCase):
    SECRET = "tEst-0123456789"

    def file(self, content):
        path = os.path.join(lab.scratch(), "token")
        with open(path, "w") as f:
            f.write(content)
        return path

    def test_token(self):
        p = Probe("--http-token", self.file(self.SECRET + "\nmore\n"))
        try:
            for path in ("/metrics", "/api/view.json"):
                status, headers, text = p.get(path)
                self.assertEqual((status, headers["WWW-Authenticate"]), (401, 'Bearer realm="fluxtap"'))
                self.assertNotIn("fluxtap_", text)
                for wrong in ("", "Bearer", "Bearer ", "Basic " + self.SECRET, "Bearer " + self.SECRET[:-1],
                              "Bearer " + self.SECRET + "x", "Bearer " + "x" * 1000, "Bearer more"):
                    self.assertEqual(p.get(path, Authorization=wrong)[0], 401, wrong)
                self.assertEqual(p.get(path, Authorization="Bearer " + self.SECRET)[0], 200)
            for path in ("/", "/healthz", "/readyz"):
                self.assertEqual(p.get(path)[0], 200)
            self.assertEqual(p.get("/nope")[0], 401)
        finally:
            self.assertEqual(p.end(), 0)

    def test_bad_files(self):
        for content in ("", "\n", "two words\n", "\x01\n", "x" * 300 + "\n"):
            r = lab.fluxtap("run", "--pcap", capture(), "--out", os.path.join(lab.scratch(), "bad"), "--http",
                            "127.0.0.1:%d" % free_port(), "--http-token", self.file(content))
            self.assertEqual(r.code, 2, str(r))
            self.assertIn("token", r.err)
        r = lab.fluxtap("run", "--pcap", capture(), "--out", os.path.join(lab.scratch(), "bad"), "--http",
                        "127.0.0.1:%d" % free_port(), "--http-token", "/nonexistent/token")
        self.assertEqual(r.code, 2, str(r))
        self.assertIn("/nonexistent/token: No such file", r.err)


class Losing(unittest.TestCase):
    def test_export_fails(self):
        """A file where the directory was: not ready, with a sentence; ready again once it can
        write, with all that has waited."""
        p = Probe("--interval", "5", share=0.3)
        out = os.path.join(p.dir, "out")
        p.until(lambda t: json.loads(t)["intervals"] >= 1)
        os.rename(out, out + ".away")
        with open(out, "w"):
            pass
        p.feed(0.4)
        status, why = p.until_ready(503)
        self.assertEqual(why, "losing: the export fails; records wait in memory\n")
        self.assertEqual(p.get("/healthz")[0], 200)
        r = subprocess.run([lab.FLUXTAP, "status", "--socket", p.socket], capture_output=True, text=True, timeout=END_S)
        self.assertEqual(r.returncode, 1)
        self.assertIn("NOT READY: losing: the export fails", r.stdout)
        text = p.get("/metrics")[2]
        self.assertEqual((value(text, "fluxtap_ready"), value(text, "fluxtap_export_failing")), (0, 1))
        self.assertGreaterEqual(value(text, "fluxtap_export_failures_total"), 1)
        os.unlink(out)
        os.rename(out + ".away", out)
        p.feed(1)
        self.assertEqual(p.until_ready(200)[1], "ok\n")
        self.assertEqual(value(p.get("/metrics")[2], "fluxtap_export_lost_records_total"), 0)
        self.assertEqual(p.end(), 0)


class Nobody(unittest.TestCase):
    def test_no_probe(self):
        for command in ("status", "top"):
            r = lab.fluxtap(command, "--probe", "no-such-probe")
            self.assertEqual(r.code, 1, str(r))
            self.assertRegex(r.err, "^fluxtap %s: no probe answers at" % command)


if __name__ == "__main__":
    unittest.main()
