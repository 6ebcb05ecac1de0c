#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""fluxtap pin: what it changes on a veth with four queues, and that nothing is left of it.

The machine is compared by what ethtool, sysfs and procfs say, never by fluxtap itself.
Only interfaces in the namespaces made here are changed; the host's are looked at.
"""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import unittest

import lab

QUEUES = 4
NO_REST = "the default route leaves by"


def setUpModule():
    lab.need("setpriv", "taskset", "unshare", xdp=False)


def cpus():
    return sorted(os.sched_getaffinity(0))


DUMP = r"""
i=$1
for o in l g c k x n; do echo "== ethtool -$o"; ethtool -$o $i 2>&1; done
for p in udp4 tcp4 udp6 tcp6; do echo "== $p"; ethtool -n $i rx-flow-hash $p 2>&1; done
cd /sys/class/net/$i
for f in queues/*/* mtu flags tx_queue_len threaded gro_flush_timeout napi_defer_hard_irqs; do
    [ -f $f ] && echo "$f: $(cat $f 2>&1)"
done
"""


def machine(end):
    """Everything that pin could have changed, as others than fluxtap show it."""
    link = json.loads(end.sh("ip", "-d", "-j", "link", "show", "dev", end.iface))
    text = end.sh("sh", "-c", DUMP, "dump", end.iface) + json.dumps(link, sort_keys=True)
    for path in sorted(pathlib.Path("/proc/irq").glob("*/smp_affinity_list")):
        text += f"\n{path}: {path.read_text()}"
    for path in sorted(pathlib.Path("/sys/devices/system/cpu").glob("cpu*/cpufreq/scaling_governor")):
        text += f"\n{path}: {path.read_text()}"
    return text


def pin(end, *words, prefix=()):
    return subprocess.run([*prefix, *end.command(lab.FLUXTAP, "pin", *words)], capture_output=True, text=True,
                          timeout=60)


def state_files(end):
    """Those of this namespace."""
    inode = os.stat(f"/run/netns/{end.name}").st_ino
    return list(pathlib.Path("/run/fluxtap").glob(f"pin-*-net{inode}.json*"))


@contextlib.contextmanager
def four_queues():
    """A veth with something to change in every way that a veth has."""
    with lab.wire(queues=QUEUES) as wire:
        end = wire.b
        end.sh("ethtool", "-K", end.iface, "gro", "on", "rxvlan", "on")
        for queue in range(QUEUES):
            end.sh("sh", "-c", f"echo {1 + queue % 2:x} >/sys/class/net/{end.iface}/queues/rx-{queue}/rps_cpus;"
                   f"echo {64 << queue} >/sys/class/net/{end.iface}/queues/rx-{queue}/rps_flow_cnt;"
                   f"echo 1 >/sys/class/net/{end.iface}/queues/tx-{queue}/xps_cpus")
        with lab.undone(lambda: [f.unlink(missing_ok=True) for f in state_files(end)]):
            yield end


class Pin(unittest.TestCase):
    def good(self, done):
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_apply_and_restore(self):
        for workers in (1, min(2, len(cpus()))):
            with self.subTest(workers=workers), four_queues() as end:
                before = machine(end)
                said = self.good(pin(end, "apply", end.iface, "--cores", lab.cores(workers)))
                self.assertIn(f"queues: rx {QUEUES} -> {workers}", said)
                after = machine(end)
                self.assertNotEqual(before, after)
                self.assertIn("generic-receive-offload: off", after)
                self.assertIn("rx-vlan-offload: off", after)
                self.assertRegex(end.sh("ethtool", "-l", end.iface).split("Current")[1], rf"RX:\s+{workers}\n")
                for queue in range(workers):
                    self.assertIn(f"queues/rx-{queue}/rps_cpus: 0\n", after)
                self.assertEqual(len(state_files(end)), 1)
                self.assertIn("everything is as before", self.good(pin(end, "restore", end.iface)))
                self.assertEqual(machine(end), before)
                self.assertEqual(state_files(end), [])

    def test_commands_of_the_plan_do_the_same(self):
        with four_queues() as end:
            self.good(pin(end, "apply", end.iface, "--cores", lab.cores(1)))
            applied = machine(end)
            self.good(pin(end, "restore", end.iface))
            plan = json.loads(self.good(pin(end, "plan", end.iface, "--cores", lab.cores(1), "--json")))
            self.assertGreater(len(plan["changes"]), 3)
            for change in plan["changes"]:
                self.assertTrue(change["why"])
                end.sh("sh", "-c", change["command"])
            self.assertEqual(machine(end), applied)
            self.assertIn("Nothing to do", self.good(pin(end, "plan", end.iface, "--cores", lab.cores(1))))
            self.assertIn("nothing to do", self.good(pin(end, "apply", end.iface, "--cores", lab.cores(1))))
            self.assertEqual(state_files(end), [])

    def test_failure_half_way_is_undone(self):
        with four_queues() as end:
            before = machine(end)
            done = subprocess.run(end.command("sh", "-c", "mount -o remount,bind,ro /sys && exec \"$@\"", "sh",
                                              lab.FLUXTAP, "pin", "apply", end.iface, "--cores", lab.cores(1)),
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
            self.assertIn("queues: rx", done.stdout)  # it had begun
            self.assertIn("rps_cpus", done.stderr)    # where it failed, as a command
            self.assertIn("could not be put back", done.stdout + done.stderr)
            # Going from four queues to one took RPS of three along, which a read-only sysfs
            # cannot give back: that was said, and the state is kept for another day.
            self.assertEqual(len(state_files(end)), 1)
            self.good(pin(end, "restore", end.iface))
            self.assertEqual(machine(end), before)
        with four_queues() as end:  # without RPS on the queues that go: undone at once
            for queue in range(1, QUEUES):
                end.sh("sh", "-c", f"cd /sys/class/net/{end.iface}/queues; echo 0 >rx-{queue}/rps_cpus; "
                       f"echo 0 >rx-{queue}/rps_flow_cnt")
            before = machine(end)
            done = subprocess.run(end.command("sh", "-c", "mount -o remount,bind,ro /sys && exec \"$@\"", "sh",
                                              lab.FLUXTAP, "pin", "apply", end.iface, "--cores", lab.cores(1)),
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
            self.assertIn("everything is as it was before", done.stderr)
            self.assertEqual(machine(end), before)
            self.assertEqual(state_files(end), [])

    def test_second_apply(self):
        with four_queues() as end:
            before = machine(end)
            self.good(pin(end, "apply", end.iface, "--cores", lab.cores(1)))
            self.assertIn("nothing to do", self.good(pin(end, "apply", end.iface, "--cores", lab.cores(1))))
            end.sh("ethtool", "-K", end.iface, "gro", "on")
            between = machine(end)
            done = pin(end, "apply", end.iface, "--cores", lab.cores(1))
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"fluxtap pin restore {end.iface}", done.stderr)
            self.assertEqual(machine(end), between)
            self.good(pin(end, "restore", end.iface))
            self.assertEqual(machine(end), before)

    def test_restore_without_apply(self):
        with four_queues() as end:
            before = machine(end)
            done = pin(end, "restore", end.iface)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"nothing was applied to {end.iface}", done.stderr)
            self.assertEqual(machine(end), before)

    def test_default_route(self):
        routes = (("route", "add", "default", "via", "10.99.0.1"),
                  ("route", "add", "default", "via", "10.99.0.1", "table", "77"),
                  ("route", "add", "0.0.0.0/1", "via", "10.99.0.1"),
                  ("route", "add", "default", "nexthop", "via", "10.98.0.1", "dev", "other",
                   "nexthop", "via", "10.99.0.1", "dev", "vb"),
                  ("-6", "route", "add", "default", "dev", "vb"))
        for route in routes:
            with self.subTest(" ".join(route)), four_queues() as end:
                end.sh("sh", "-c", "ip link add other type veth peer far && ip addr add 10.98.0.2/24 dev other && "
                       "ip link set other up && ip link set far up && echo 0 >/proc/sys/net/ipv6/conf/vb/disable_ipv6")
                self.assertNotIn("default route", self.good(pin(end, "plan", end.iface)))
                end.sh("ip", *route)
                before = machine(end)
                self.assertIn("carries the default route", self.good(pin(end, "plan", end.iface)))
                done = pin(end, "apply", end.iface)
                self.assertEqual(done.returncode, 2)
                self.assertIn(NO_REST, done.stderr)
                self.assertIn("--force", done.stderr)
                self.assertEqual(machine(end), before)
                self.assertEqual(state_files(end), [])
                self.good(pin(end, "apply", end.iface, "--force"))
                self.good(pin(end, "restore", end.iface))
                self.assertEqual(machine(end), before)

    def test_default_route_of_what_stands_on_it(self):
        with four_queues() as end:
            end.sh("sh", "-c", f"ip link add bridge type bridge && ip link set {end.iface} master bridge && "
                   "ip addr add 10.97.0.2/24 dev bridge && ip link set bridge up && ip route add default via 10.97.0.1")
            done = pin(end, "apply", end.iface)
            self.assertEqual(done.returncode, 2)
            self.assertIn(NO_REST + " bridge", done.stderr)

    def test_interface_that_came_anew(self):
        with four_queues() as end:
            self.good(pin(end, "apply", end.iface))
            end.sh("ip", "link", "del", end.iface)
            end.sh("ip", "link", "add", end.iface, "numrxqueues", 4, "numtxqueues", 4, "type", "veth", "peer", "vc")
            before = machine(end)
            done = pin(end, "apply", end.iface)
            self.assertEqual(done.returncode, 2)  # restore first: the old state is not lost unseen
            self.assertIn("is gone", self.good(pin(end, "restore", end.iface)))
            self.assertEqual(machine(end), before)
            self.assertEqual(state_files(end), [])
            self.good(pin(end, "apply", end.iface))
            end.sh("ip", "link", "del", end.iface)
            self.assertIn("is gone", self.good(pin(end, "restore", end.iface)))

    def test_state_of_somebody_else(self):
        with four_queues() as end:
            self.good(pin(end, "apply", end.iface))
            path, = state_files(end)
            good = path.read_text()
            between = machine(end)
            for text, code, says in ((good[:len(good) // 2], 2, "JSON"), ("[]", 2, "JSON"), ("", 2, "JSON"),
                                     (good.replace("/queues/rx-0/", "/../../../../etc/"), 2, "files"),
                                     (good.replace('"rx": 4', '"rx": "4"'), 2, "rx")):
                path.write_text(text)
                done = pin(end, "restore", end.iface)
                self.assertEqual(done.returncode, code, text[:80] + done.stderr)
                self.assertIn(says, done.stderr)
                self.assertIn(str(path), done.stderr)
            path.write_text(good)
            path.chmod(0o666)
            done = pin(end, "restore", end.iface)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("somebody else", done.stderr)
            path.chmod(0o600)
            os.chown(path, lab.NOBODY, 0)
            self.assertEqual(pin(end, "restore", end.iface).returncode, 3)
            os.chown(path, 0, 0)
            real = path.with_suffix(".json.real")
            path.rename(real)
            path.symlink_to(real)
            self.assertNotEqual(pin(end, "restore", end.iface).returncode, 0)
            path.unlink()
            real.rename(path)
            self.assertEqual(machine(end), between)
            self.good(pin(end, "restore", end.iface))

    def test_ordinary_user(self):
        with four_queues() as end, lab.folder() as place:
            place.chmod(0o755)
            program = place / "fluxtap"
            shutil.copy(lab.FLUXTAP, program)
            user = ("setpriv", f"--reuid={lab.NOBODY}", f"--regid={lab.NOBODY}", "--clear-groups")

            def run(*words):
                return subprocess.run(end.command(*user, program, "pin", *words), capture_output=True, text=True,
                                      timeout=60)
            self.assertIn("queues", self.good(run("show", end.iface)))
            self.assertIn(f"rx {QUEUES} -> 1", self.good(run("plan", end.iface)))
            for what in ("apply", "restore"):
                done = run(what, end.iface)
                self.assertEqual(done.returncode, 3)
                self.assertIn(f"sudo fluxtap pin {what} {end.iface}", done.stderr)

    def test_show_says_what_ethtool_says(self):
        with four_queues() as end:
            shown = json.loads(self.good(pin(end, "show", end.iface, "--json")))
            self.assertEqual(shown["driver"], "veth")
            self.assertEqual((shown["queues"]["rx"], shown["queues"]["rx_max"]), (QUEUES, QUEUES))
            features = end.sh("ethtool", "-k", end.iface)
            for name, legacy in (("rx-gro", "generic-receive-offload"), ("rx-lro", "large-receive-offload"),
                                 ("rx-vlan-hw-parse", "rx-vlan-offload"), ("rx-hashing", "receive-hashing")):
                now = features.split(f"{legacy}: ")[1].split("\n")[0].split()
                self.assertEqual(shown["features"][name], {"on": now[0] == "on", "fixed": "[fixed]" in now})
            self.assertNotIn("rss", shown)
            self.assertEqual([c["cpu"] for c in shown["cpus"]],
                             [int(p.name[3:]) for p in sorted(pathlib.Path("/sys/bus/cpu/devices").iterdir(),
                                                              key=lambda p: int(p.name[3:]))
                              if (p / "topology").exists()])
            text = self.good(pin(end, "show", end.iface))
            self.assertIn(f"rx {QUEUES} of {QUEUES}, tx {QUEUES} of {QUEUES}", text)
            self.assertIn("rx-0 to mask 1", text)

    def test_the_host_is_only_looked_at(self):
        for path in sorted(pathlib.Path("/sys/class/net").iterdir()):
            for what in ("show", "plan"):
                for more in ((), ("--json",)):
                    done = subprocess.run([lab.FLUXTAP, "pin", what, path.name, *more], capture_output=True,
                                          text=True, timeout=60)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    if more:
                        self.assertEqual(json.loads(done.stdout)["interface"], path.name)

    def test_isolated_cpus_can_be_used(self):
        """What plan advises, isolcpus=, takes CPUs out of every process's mask; run takes them all the same."""
        if len(cpus()) < 2:
            self.skipTest("needs 2 CPUs")
        first, last = cpus()[0], cpus()[-1]
        with lab.folder() as place:
            (place / "isolated").write_text(f"{last}\n")
            lab.sh(lab.GENERATOR, "--scenario", "mix", "--pairs", 10, "--pcap", place / "x.pcap")
            words = ["taskset", "-c", first, lab.FLUXTAP, "run", "--pcap", place / "x.pcap", "--out", place / "out",
                     "--cores", last]
            words = [str(w) for w in words]
            done = subprocess.run(words, capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"CPU {last} does not exist or this process may not use it", done.stderr)
            hide = f'mount --bind {place}/isolated /sys/devices/system/cpu/isolated && exec "$@"'
            done = subprocess.run(["unshare", "--mount", "sh", "-c", hide, "sh", *words], capture_output=True, text=True,
                                  timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_wrong_use(self):
        with four_queues() as end:
            for words, says in ((("show",), "no interface"), (("shw", "vb"), "no command"), ((), "no command"),
                                (("show", "vb", "va"), "more than one"), (("show", "../vb"), "no interface"),
                                (("show", "vb9"), "there are: "), (("restore", "../vb"), "no interface"),
                                (("plan", "vb", "--cores", "0-"), "no list of CPUs"),
                                (("plan", "vb", "--cores", "0,0"), "given twice"),
                                (("plan", "vb", "--cores", "8000"), "there are CPUs"),
                                (("plan", "vb", "--cores", "99999999999999999999"), "no list of CPUs"),
                                (("plan", "vb", "--force"), "not for plan"), (("show", "vb", "--cores", "0"), "--cores"),
                                (("apply", "vb", "--json"), "--json"), (("plan", "vb", "--core", "0"), "--cores")):
                done = pin(end, *words)
                self.assertEqual(done.returncode, 2, f"{words}: {done.stdout}{done.stderr}")
                self.assertIn(says, done.stderr, words)
                self.assertEqual(len(done.stderr.splitlines()), 1)


if __name__ == "__main__":
    lab.main()
