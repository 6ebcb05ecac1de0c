# SPDX-License-Identifier: BSD-3-Clause
"""`fluxtap rules check` and `fluxtap rules test`: what is printed, and what is refused."""

import os
import unittest

import lab
from lab import fluxtap

LIST = """\
# a list of all kinds
bad exact evil.example.com family=fam severity=3
bad exact EVIL2.example.com.
sub suffix Example.NET   # behind a rule
sub suffix a.example.net
re regex ^[a-z]{5}\\.com$
bl dnsbl zen.spamhaus.org
bl dnsbl spamhaus.org
sh shape len=8-12 charset=a-z0-9 family=mine tld=com,net
bad exact evil.example.com
star exact *.example.org
all suffix org
"""


class Rules(lab.Case):
    def setUp(self):
        super().setUp()
        self.list = self.path("my.rules")
        self.write(LIST)

    def write(self, text):
        with open(self.list, "w", encoding="latin-1") as f:
            f.write(text)

    def rules(self, *args, **kw):
        return fluxtap("rules", *args, "--rule-cache", "off", **kw)

    def test_check(self):
        r = self.rules("check", self.list)
        self.assertEqual((r.code, r.err), (0, ""), str(r))
        for line, says in ((5, "covered by .*my.rules:4"), (10, "repeats .*my.rules:2"), (11, "ordinary character"),
                           (12, "public suffix")):
            self.assertRegex(r.out, "my.rules:%d: warning: .*%s" % (line, says))
        rows = {w[0]: w[1:] for w in map(str.split, r.out.splitlines()) if len(w) > 1}
        self.assertEqual(rows["exact"], ["2", "4", "3"])
        self.assertEqual(rows["suffix"], ["2", "3", "3"])
        self.assertEqual(rows["regex"], ["1", "1", "1"])
        self.assertEqual(rows["dnsbl"], ["1", "2", "2"])
        self.assertEqual(rows["shape"], ["1", "1", "1"])
        self.assertEqual(rows["names"], ["8"])
        self.assertEqual(rows["patterns"], ["1"])
        self.assertEqual(rows["warnings"], ["4"])

    def test_long_argument(self):
        self.write("re regex ^%s\nre regex ^%s\n" % (("[a-b]" * 500,) * 2))
        r = self.rules("check", self.list)
        self.assertEqual((r.code, r.err), (0, ""), str(r))
        self.assertRegex(r.out, "my.rules:2: warning: repeats .*my.rules:1")

    def tell(self, *names):
        """For each name its text without the name."""
        r = self.rules("test", *names, "--rules", self.list)
        self.assertEqual((r.code, r.err), (0, ""), str(r))
        told, now = {}, None
        for line in r.out.splitlines():
            if not line.startswith(" "):
                now = told.setdefault(line, [])
            else:
                now.append(line.strip())
        return told

    def test_names(self):
        told = self.tell("Evil.Example.com", "www.b.example.net.", "hello.com", "1.2.0.192.zen.spamhaus.org", ".",
                         "www.abcdefgh12.com", "nothing.example.de")
        evil = told["evil.example.com."]
        self.assertIn("registered domain example.com.", evil)
        self.assertIn("public suffix com.", evil)
        self.assertIn("rule bad family=fam severity=3", evil)
        self.assertIn(self.list + ":2: exact evil.example.com", evil)
        self.assertIn(self.list + ":10: exact evil.example.com", evil)
        self.assertIn(self.list + ":4: suffix Example.NET", told["www.b.example.net."])
        self.assertNotIn("suffix a.example.net", "\n".join(told["www.b.example.net."]))
        self.assertIn(self.list + ":6: regex ^[a-z]{5}\\.com$", told["hello.com."])
        asked = told["1.2.0.192.zen.spamhaus.org."]
        self.assertIn(self.list + ":7: dnsbl zen.spamhaus.org is asked about the address 192.0.2.1", asked)
        self.assertNotIn(":8:", "\n".join(asked))
        self.assertIn("mine", [x for x in told["www.abcdefgh12.com."] if x.startswith("families ")][0])
        self.assertIn("rule sh family=mine", told["www.abcdefgh12.com."])
        self.assertIn("no rule matches", told["."])
        self.assertIn("no rule matches", told["nothing.example.de."])

    def test_refused_lines(self):
        for text, line, says in (("x exact a..b", 1, "a..b.*one dot"), ("\n\nx foo b\n", 3, "foo.*exact, suffix"),
                                 ("x regex (\n", 1, "."), ("a exact b\na suffix c\n", 2, "kind suffix"),
                                 ("x regex (?=a)b\n", 1, "."), ("x shape len=0 charset=a-z\n", 1, "len=")):
            self.write(text)
            for args in (("check", self.list), ("test", "a.b", "--rules", self.list)):
                r = self.rules(*args)
                self.assertEqual((r.code, r.out), (2, ""), str(r))
                self.assertRegex(r.err, "my.rules:%d: .*%s" % (line, says))

    def test_wrong_use(self):
        for args, says in (((), "check FILE"), (("look",), "look.*check FILE"), (("check",), "list files"),
                           (("test", "a.b"), "--rules FILE"), (("test", "--rules", self.list), "names"),
                           (("check", self.path("nowhere")), "nowhere: No such file"),
                           (("check", self.list, "--psl", self.path("nowhere")), "nowhere"),
                           (("test", "a..b", "--rules", self.list), "a..b.*empty label"),
                           (("check", self.list, "--rules", self.list), "--rules")):
            r = self.rules(*args)
            self.assertEqual((r.code, r.out), (2, ""), str(r))
            self.assertRegex(r.err, says)

    def test_cache(self):
        cache = self.path("cache")
        self.write("re regex (ab|cd)+e.*x[0-9]{2,}y\n")  # not so simple that tables match it
        for _ in range(2):
            r = fluxtap("rules", "check", self.list, "--rule-cache", cache)
            self.assertEqual((r.code, r.err), (0, ""), str(r))
            self.assertEqual(len(os.listdir(cache)), 1)
        os.chmod(cache, 0o777)
        r = fluxtap("rules", "check", self.list, "--rule-cache", cache)
        self.assertEqual(r.code, 2, str(r))
        self.assertIn("chmod", r.err)

    def test_help(self):
        r = fluxtap("rules", "--help")
        self.assertEqual((r.code, r.err), (0, ""), str(r))
        for word in ("exact", "suffix", "regex", "dnsbl", "shape", "family=", "severity=", "--psl", "--rule-cache"):
            self.assertIn(word, r.out)


if __name__ == "__main__":
    unittest.main()
