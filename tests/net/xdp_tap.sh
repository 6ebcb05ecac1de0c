#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Lab sheet: tap mode on a veth pair with two queues.
#   sender namespace (tx) ---- veth ---- tap namespace (rx, xdp_lab)
# Every DNS frame must arrive at the probe exactly once and unchanged, every other
# frame at the kernel exactly once. usage: xdp_tap.sh XDP_LAB [WORDS] [ROUNDS] [WORKERS]
lab=$1; words=${2:-}; rounds=${3:-500}; workers=${4:-1}
here=$(cd "$(dirname "$0")" && pwd)
[ "$(id -u)" = 0 ] || { echo "skip: needs root"; exit 77; }
tx=ftx-tx-$$ rx=ftx-rx-$$ dir=$(mktemp -d)
trap 'ip netns del $tx; ip netns del $rx; rm -rf "$dir"' EXIT
ip netns add $tx && ip netns add $rx || { echo "skip: no namespaces"; exit 77; }
for ns in $tx $rx; do ip netns exec $ns sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1; done
ip -n $tx link add v0 numtxqueues 2 numrxqueues 2 type veth peer name v1 netns $rx numtxqueues 2 numrxqueues 2
ip netns exec $tx ethtool -K v0 tx off txvlan off >/dev/null 2>&1
ip netns exec $rx ethtool -K v1 rxvlan off >/dev/null 2>&1
ip -n $tx link set v0 up; ip -n $rx link set v1 up

: >"$dir/out"
ip netns exec $rx "$lab" "v1$words" "$workers" 120 "$dir/tap.pcap" >"$dir/out" & probe=$!
for i in $(seq 50); do grep -q . "$dir/out" && break; sleep 0.1; done
head -1 "$dir/out"
ip netns exec $rx tcpdump -i v1 -Q in -B 65536 -s 0 -U -w "$dir/passed.pcap" 2>/dev/null & dump=$!
sleep 1
ip netns exec $tx python3 "$here/xdp_frames.py" send v0 "$rounds" "$dir/sent"
sleep 1
kill $dump; wait $dump 2>/dev/null
kill $probe; wait $probe
tail -1 "$dir/out"
python3 "$here/xdp_frames.py" check "$dir/sent" "$dir/passed.pcap" "$dir"/tap.pcap.* || exit 1
ip netns exec $rx ip -d link show v1 | grep -q 'prog/xdp' && { echo "still attached"; exit 1; }
echo "ok"
