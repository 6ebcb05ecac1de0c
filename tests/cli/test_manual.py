#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What is made from the tables: manual pages and completions; and the systemd unit.

Pages are checked by mandoc and man, and against what --help and --schema say; completions by
asking the shells themselves; the unit by systemd-analyze, and by the system calls that a probe
really makes.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("FLUXTAP_BUILD", ROOT / "build")).resolve()
FLUXTAP = BUILD / "fluxtap"
GENERATOR = BUILD / "tools" / "gen" / "fluxtap-gen"
PAGES = ("fluxtap.1", "fluxtap.yaml.5", "fluxtap-output.5")
EXPOSURE = 2.5  # of 10, by systemd-analyze security; less is better


def sh(*words, **more):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=120, **more)
    if done.returncode != 0:
        raise AssertionError(f"{words}: exit {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def need(test, *tools):
    for tool in tools:
        if shutil.which(tool) is None:
            test.skipTest(f"no {tool}")


def options(command):
    return re.findall(r"^  (--[a-z0-9-]+)", sh(FLUXTAP, "help", command), re.M)


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text = {page: sh(FLUXTAP, "help", "--man", page) for page in PAGES}

    def plain(self, page):
        need(self, "mandoc")
        text = sh("mandoc", "-Tascii", "-O", "width=100", input=self.text[page])
        return re.sub(r".\x08", "", text)

    def test_lint(self):
        need(self, "mandoc")
        for page, text in self.text.items():
            done = subprocess.run(["mandoc", "-Tlint", "-W", "warning"], input=text, capture_output=True, text=True)
            self.assertEqual(done.stdout + done.stderr, "", page)

    def test_groff(self):
        need(self, "man")
        with tempfile.TemporaryDirectory() as d:
            for page, text in self.text.items():
                path = pathlib.Path(d) / page
                path.write_text(text)
                done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", path], text=True,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                      env={**os.environ, "MANROFFSEQ": "", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
                self.assertEqual(done.stderr, "", page)

    def test_every_setting(self):
        text = self.plain("fluxtap.1")
        for command in ("run", "cat", "reload", "rules", "bench"):
            self.assertTrue(options(command))
            for option in options(command):
                self.assertRegex(text, rf"(?m)^ +{option}\b", option)
        text = self.plain("fluxtap.yaml.5")
        for option in options("run"):
            if option == "--config":
                self.assertNotRegex(text, r"(?m)^ +config:")
            else:
                self.assertRegex(text, rf"(?m)^ +{option[2:]}: ", option)

    def test_every_command_and_code(self):
        text = self.plain("fluxtap.1")
        for command in re.findall(r"^  ([a-z]+) ", sh(FLUXTAP, "--help").split("Commands:")[1].split("Examples:")[0], re.M):
            self.assertRegex(text, rf"(?m)^ +fluxtap {command} ", command)
        for code in "0123":
            self.assertRegex(text, rf"(?m)^ +{code} {{2,}}\w")

    def test_every_field(self):
        text = self.plain("fluxtap-output.5")
        schema = json.loads(sh(FLUXTAP, "cat", "--schema"))
        for name, record in schema["$defs"].items():
            self.assertRegex(text, rf"(?m)^ +{name}$")
            for kind in record.get("anyOf", [record]):
                for field in kind["properties"]:
                    self.assertRegex(text, rf"(?m)^ +{field}( |$)", f"{name}.{field}")
        reasons = schema["$defs"]["ledger"]["properties"]
        for reason in (*reasons["dropped"]["properties"], *reasons["msg_dropped"]["properties"]):
            self.assertRegex(text, rf"(?m)^ +{reason}( |$)")

    def test_unknown(self):
        for what in ("--man", "--completion"):
            done = subprocess.run([FLUXTAP, "help", what, "nosuch"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2)
            self.assertIn("there are", done.stderr)


class Completion(unittest.TestCase):
    def bash(self, *words):
        """What bash would offer for the last word."""
        need(self, "bash")
        script = sh(FLUXTAP, "help", "--completion", "bash")
        tail = 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _fluxtap; ((${#COMPREPLY[@]} == 0)) || printf "%s\\n" "${COMPREPLY[@]}"\n'
        with tempfile.TemporaryDirectory() as d:
            for name in ("a.pcap", "two words.pcap"):
                (pathlib.Path(d) / name).touch()
            (pathlib.Path(d) / "folder").mkdir()
            return sh("bash", "-c", script + tail, "bash", "fluxtap", *words, cwd=d).split("\n")[:-1]

    def fish(self, line):
        need(self, "fish")
        with tempfile.TemporaryDirectory() as d:
            (pathlib.Path(d) / "a.pcap").touch()
            script = pathlib.Path(d) / "fluxtap.fish"
            script.write_text(sh(FLUXTAP, "help", "--completion", "fish"))
            out = sh("fish", "--no-config", "-c", f"source {script}; complete -C '{line}'", cwd=d,
                     env={**os.environ, "HOME": d})
            return [row.split("\t")[0] for row in out.splitlines()]

    def test_bash(self):
        self.assertLessEqual({"run", "cat", "report", "reload", "rules", "bench", "help", "--help", "--version"},
                             set(self.bash("")))
        self.assertEqual(self.bash("re"), ["report", "reload"])
        self.assertEqual(self.bash("run", "--log-"), ["--log-level"])
        self.assertEqual(set(self.bash("run", "--")), {"--help", *options("run")})
        self.assertEqual(set(self.bash("bench", "--")), {"--help", *options("bench")})
        self.assertEqual(self.bash("report", "--"), ["--help"])
        self.assertEqual(self.bash("run", "--log-level", ""), ["error", "warning", "info", "debug"])
        self.assertEqual(self.bash("run", "--state", "o"), ["on", "off"])
        self.assertEqual(self.bash("run", "--state", "=", "o"), ["on", "off"], "--state=o")
        self.assertEqual(self.bash("run", "--state", "="), ["auto", "on", "off"], "--state=")
        self.assertEqual(sorted(self.bash("run", "--pcap", "")), ["a.pcap", "folder", "two words.pcap"])
        self.assertEqual(self.bash("run", "--pcap", "tw"), ["two words.pcap"])
        self.assertEqual(self.bash("run", "--out", ""), ["folder"])
        self.assertEqual(self.bash("run", "--interval", ""), [])
        self.assertEqual(self.bash("run", "--user", "nobod"), ["nobody"])
        self.assertIn("lo", self.bash("run", "--xdp", "l"))
        self.assertEqual(self.bash("cat", "--set", "tr"), ["traffic", "transport"])
        self.assertIn("traffic", self.bash("report", ""))
        self.assertEqual(self.bash("rules", "c"), ["check"])
        self.assertEqual(self.bash("help", "ben"), ["bench"])
        self.assertEqual(self.bash("nosuch", ""), [])

    def test_fish(self):
        self.assertLessEqual({"run", "cat", "report", "reload", "rules", "bench", "help"}, set(self.fish("fluxtap ")))
        self.assertEqual(self.fish("fluxtap run --log-l"), ["--log-level"])
        self.assertEqual(self.fish("fluxtap run --log-level "), ["debug", "error", "info", "warning"])
        self.assertIn("a.pcap", self.fish("fluxtap run --pcap "))
        self.assertEqual(self.fish("fluxtap cat --set tra"), ["traffic", "transport"])

    def test_syntax(self):
        for shell in ("bash", "zsh", "fish"):
            if shutil.which(shell):
                with self.subTest(shell), tempfile.NamedTemporaryFile("w") as f:
                    f.write(sh(FLUXTAP, "help", "--completion", shell))
                    f.flush()
                    sh(shell, "-n", f.name)

    def test_zsh_has_all(self):
        text = sh(FLUXTAP, "help", "--completion", "zsh")
        for option in options("run"):
            self.assertRegex(text, rf"'\*?{option}[=\[]", option)


class Unit(unittest.TestCase):
    def setUp(self):
        need(self, "systemd-analyze")
        self.unit = (ROOT / "tools" / "service" / "fluxtap.service").read_text()

    def analyze(self, *words):
        with tempfile.TemporaryDirectory() as d:
            path = pathlib.Path(d) / "fluxtap.service"
            path.write_text(self.unit.replace("/usr/bin/fluxtap", str(FLUXTAP)))
            done = subprocess.run(["systemd-analyze", *words, path], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def test_verify(self):
        self.assertEqual(self.analyze("verify", "--man=no"), (0, ""))

    def test_exposure(self):
        _, text = self.analyze("security", "--offline=yes", "--no-pager")
        score = re.search(r"Overall exposure level for fluxtap.service: ([0-9.]+)", text)
        print("systemd-analyze security:", score[0])
        self.assertLessEqual(float(score[1]), EXPOSURE)

    def test_configuration(self):
        """The example is taken as it is but for its source, which an operator has to choose."""
        done = subprocess.run([FLUXTAP, "run", "--config", ROOT / "tools/service/fluxtap.yaml"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, "--pcap|source")
        with tempfile.TemporaryDirectory() as d:
            text = (ROOT / "tools/service/fluxtap.yaml").read_text()
            for line in re.findall(r"^#([a-z-]+: .*)$", text, re.M):  # what is commented out is right, too
                config = pathlib.Path(d) / "c.yaml"
                config.write_text(line)
                done = subprocess.run([FLUXTAP, "run", "--config", config, "--pcap", "/nosuch", "--out", f"{d}/o", "--cores", "0"],
                                      capture_output=True, text=True)
                if "CPU" not in done.stderr:  # that this machine does not have
                    self.assertNotIn("c.yaml:", done.stderr, line)

    def test_system_calls(self):
        """A file run from its start on makes only calls that the unit's filter lets through."""
        need(self, "strace")
        if re.search(rb"__[at]san_init", FLUXTAP.read_bytes()):
            self.skipTest("a sanitizer makes calls of its own")
        sets, name = {}, None
        for line in sh("systemd-analyze", "syscall-filter", "--no-pager").splitlines():
            if line.startswith("@"):
                name = line.strip()
                sets[name] = set()
            elif line.startswith("    ") and not line.strip().startswith("#"):
                sets[name].add(line.strip())

        def spread(word):
            return set().union(*map(spread, sets[word])) if word in sets else {word}

        allowed = set()
        for words in re.findall(r"^SystemCallFilter=(.*)$", self.unit, re.M):
            calls = set().union(*map(spread, words.lstrip("~").split()))
            allowed = allowed - calls if words.startswith("~") else allowed | calls
        self.assertIn("read", allowed)
        self.assertNotIn("mount", allowed)
        with tempfile.TemporaryDirectory() as d:
            sh(GENERATOR, "--scenario", "mix", "--pairs", "500", "--pcap", f"{d}/x.pcap")
            done = subprocess.run(["strace", "-f", "-qq", "-o", f"{d}/trace", FLUXTAP, "run", "--pcap", f"{d}/x.pcap", "--out", f"{d}/o",
                                   "--quiet", "--state", "on", "--keep", "1d", "--socket", f"{d}/s"], capture_output=True, text=True,
                                  timeout=120)
            if "PTRACE" in done.stderr or "ptrace" in done.stderr:
                self.skipTest(f"no strace here: {done.stderr}")
            self.assertEqual(done.returncode, 0, done.stderr)
            made = set(re.findall(r"^\d+ +([a-z0-9_]+)\(", pathlib.Path(d, "trace").read_text(), re.M))
        self.assertIn("seccomp", made)
        self.assertEqual(made - allowed, set())


if __name__ == "__main__":
    unittest.main(verbosity=2)
