#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Lab sheet: what goes wrong around --xdp, and that nothing stays behind.
# usage: xdp_edges.sh XDP_LAB
lab=$1
here=$(cd "$(dirname "$0")" && pwd)
[ "$(id -u)" = 0 ] || { echo "skip: needs root"; exit 77; }
tx=ftx-tx-$$ rx=ftx-rx-$$ dir=$(mktemp -d) failed=0
trap 'ip netns del $tx; ip netns del $rx; rm -rf "$dir"' EXIT
ip netns add $tx && ip netns add $rx || { echo "skip: no namespaces"; exit 77; }
for ns in $tx $rx; do ip netns exec $ns sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1; done
ip -n $tx link add v0 mtu 1500 numtxqueues 2 numrxqueues 2 type veth peer name v1 netns $rx numtxqueues 2 numrxqueues 2
ip -n $tx link set v0 up; ip -n $rx link set v1 up

# expect EXIT TEXT COMMAND...: the last line of its output holds TEXT
expect() {
	want=$1 text=$2; shift 2
	"$@" >"$dir/expect" 2>&1; got=$?
	if [ $got = $want ] && tail -1 "$dir/expect" | grep -qF -- "$text"; then
		echo "ok: $text"
	else
		echo "NOT OK: exit $got instead of $want, or no '$text': $(tail -1 "$dir/expect")"; failed=1
	fi
}
start() { # SPEC WORKERS PCAP NAP: leaves the probe's pid in $probe
	: >"$dir/out"
	ip netns exec $rx "$lab" "$1" "$2" 120 "${3:--}" "${4:-0}" >"$dir/out" & probe=$!
	for i in $(seq 100); do grep -q . "$dir/out" && break; sleep 0.1; done
	head -1 "$dir/out"
}
finish() { kill $probe; wait $probe; tail -1 "$dir/out" >"$dir/json"; }
attached() { # XDP, tcx and classic tc programs on v1
	xdp=$(ip -n $rx -d link show v1 | grep -c prog/xdp)
	tc=$(for way in ingress egress; do ip netns exec $rx tc filter show dev v1 $way; done | grep -c steer_)
	echo $((xdp + tc + $(ip netns exec $rx "$lab" tcx v1)))
}
same() { # NAME A B
	if [ "$2" = "$3" ]; then echo "ok: $1: $2"; else echo "NOT OK: $1: $2 instead of $3"; failed=1; fi
}
field() { python3 -c 'import json,sys; print(eval(sys.argv[2], json.load(open(sys.argv[1]))))' "$dir/json" "$1"; }
in_rx="ip netns exec $rx"

echo "-- wrong use: EINVAL"
expect 2 "no such interface; there are: lo, v1" $in_rx "$lab" nosuch0 1 1
expect 2 "no such interface; there are:" $in_rx "$lab" a_name_that_is_far_too_long 1 1
expect 2 "\`fast\` is none of mode=tap|host" $in_rx "$lab" v1,fast 1 1
expect 2 "there is no queue 2: it has 2 (0-1)" $in_rx "$lab" v1,queues=0-2 1 1
expect 2 "a list such as 0-3" $in_rx "$lab" v1,queues=2-1 1 1
expect 2 "a list such as 0-3" $in_rx "$lab" v1,queues=,copy 1 1
expect 2 "copy or zerocopy, not both" $in_rx "$lab" v1,copy,zerocopy 1 1
expect 2 "hwstamp needs native XDP" $in_rx "$lab" v1,hwstamp,generic 1 1
expect 2 "\`busypoll\` is for mode=tap" $in_rx "$lab" v1,mode=host,busypoll 1 1
expect 2 "\`rss\` is for mode=tap" $in_rx "$lab" v1,mode=host,rss 1 1
expect 2 "rss needs a queue for each worker: 3 workers, 2 queues" $in_rx "$lab" v1,rss 3 1

echo "-- settings without a reload"
expect 0 "ok: settings" $in_rx "$lab" settings v1

echo "-- every kind of frame goes where it belongs; times of a device's clock"
expect 0 "ok: bench" $in_rx "$lab" bench v1 1
expect 0 "ok: bench" $in_rx "$lab" bench v1,mode=host 1
expect 0 "ok: stamps" $in_rx "$lab" stamps v1

echo "-- the machine lacks something"
expect 3 "leave out \`zerocopy\`" $in_rx "$lab" v1,zerocopy 1 1
same "left attached" "$(attached)" 0
expect 3 "run with sudo, or: setcap" $in_rx setpriv --reuid 65534 --clear-groups "$lab" v1 1 1
expect 3 "run with sudo, or: setcap" $in_rx setpriv --reuid 65534 --clear-groups "$lab" v1,mode=host 1 1
expect 3 "leave out \`native\`" $in_rx "$lab" lo,native 1 1
ip -n $rx link set v1 down
$in_rx "$lab" v1 1 1 >"$dir/down"; same "down: a note, or refused with the cure" "$(grep -cE 'interface is down|ip link set dev v1 up' "$dir/down")" 1
ip -n $rx link set v1 up
same "left attached" "$(attached)" 0
start v1 1
expect 3 "it has an XDP program already" $in_rx "$lab" v1 1 1
echo "-- killed: the kernel takes everything away"
kill -KILL $probe; wait $probe 2>/dev/null
sleep 0.3
same "XDP left" "$(attached)" 0
same "promiscuous" "$(ip -n $rx -d link show v1 | grep -o 'promiscuity [0-9]*')" "promiscuity 0"
start v1,mode=host 2
same "tcx attached" "$(attached)" 2
kill -KILL $probe; wait $probe 2>/dev/null
sleep 0.3
same "tcx left" "$(attached)" 0
start v1,mode=host,clsact 2
kill -KILL $probe; wait $probe 2>/dev/null
start v1,mode=host,clsact 2
same "clsact filters after a crash and a start" "$(attached)" 2
finish
same "clsact left" "$(attached)" 0
same "qdisc" "$(ip netns exec $rx tc qdisc show dev v1 | grep -c clsact)" 1 # the first start made it, and was killed
ip netns exec $rx tc qdisc del dev v1 clsact

echo "-- capabilities in the place of root"
for mode in tap host; do
	caps=+bpf,+perfmon,+net_admin,+net_raw,+ipc_lock
	expect 0 '"dropped":0' $in_rx setpriv --reuid 65534 --clear-groups --inh-caps $caps --ambient-caps $caps \
		"$lab" v1,mode=$mode 1 1
done

echo "-- a slow reader: every frame is received or counted"
for words in "" ,generic; do
	start v1$words 1 - 30000
	ip netns exec $tx python3 "$here/xdp_frames.py" send v0 2000 "$dir/sent"
	sleep 0.5; finish
	same "v1$words: taken == got + dropped" "$(field 'taken == got + dropped and dropped > 0')" True
	field '"taken %d got %d dropped %d" % (taken, got, dropped)'
done
start v1,mode=host 1 - 200000
for i in 1 2 3 4 5; do ip netns exec $tx python3 "$here/xdp_frames.py" send v0 2000 "$dir/sent"; done
finish
same "host: lost" "$(field 'lost == dropped and taken == got and seen == taken + passed + lost and lost > 0')" True
field '"seen %d taken %d got %d lost %d" % (seen, taken, got, lost)'

echo "-- frames larger than a chunk"
ip -n $tx link set v0 mtu 9000; ip -n $rx link set v1 mtu 9000
cat >"$dir/jumbo.py" <<'PY'
import sys
sys.path.insert(0, sys.argv[1])
import socket, time
from xdp_frames import eth, ip4, ip6, tcp, udp
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("v0", 0))
with open(sys.argv[2], "w") as out:
    for n in range(600):
        size = (100, 1700, 1760, 2000, 3500, 3700, 4000, 8800)[n % 8] + n // 8
        body = bytes([n & 255, n >> 8]) * (size // 2)
        kind, port = ("DNS", 53) if n % 3 else ("PASS", 1234)
        frame = eth(0x800, ip4(6, tcp(4000, port, body))) if n & 1 else eth(0x86dd, ip6(17, udp(port, 9, body)))
        s.send(frame)
        print(kind, frame.hex(), file=out)
        time.sleep(0.0005)
PY
for words in "" ,generic; do
	rm -f "$dir"/tap.pcap.*
	start v1$words 1 "$dir/tap.pcap"
	$in_rx tcpdump -i v1 -Q in -U -s 0 -w "$dir/passed.pcap" 2>/dev/null & dump=$!
	sleep 1
	ip netns exec $tx python3 "$dir/jumbo.py" "$here" "$dir/sent"
	sleep 1.5; kill $dump; wait $dump 2>/dev/null; finish
	python3 "$here/xdp_frames.py" check "$dir/sent" "$dir/passed.pcap" "$dir"/tap.pcap.* || failed=1
	field '"largest %d dropped %d cut %d" % (sources[0]["largest"], dropped, sources[0]["cut"])'
done
[ $failed = 0 ] && echo "all ok"
exit $failed
