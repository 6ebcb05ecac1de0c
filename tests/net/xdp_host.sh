#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Lab sheet: host mode beside a real name server.
#   client namespace (dnsperf) ---- veth ---- server namespace (nsd, xdp_lab mode=host)
# dnsperf must lose nothing, and the probe must see every query and every response.
# usage: xdp_host.sh XDP_LAB [WORDS] [QUERIES] [WORKERS]
lab=$1; words=${2:-}; queries=${3:-20000}; workers=${4:-2}
here=$(cd "$(dirname "$0")" && pwd)
[ "$(id -u)" = 0 ] || { echo "skip: needs root"; exit 77; }
for tool in nsd dnsperf; do command -v $tool >/dev/null || { echo "skip: no $tool"; exit 77; }; done
cl=ftx-cl-$$ sv=ftx-sv-$$ dir=$(mktemp -d)
trap 'kill $nsd 2>/dev/null; ip netns del $cl; ip netns del $sv; rm -rf "$dir"' EXIT
ip netns add $cl && ip netns add $sv || { echo "skip: no namespaces"; exit 77; }
for ns in $cl $sv; do ip netns exec $ns sysctl -qw net.ipv6.conf.all.disable_ipv6=1; ip -n $ns link set lo up; done
ip -n $cl link add v0 type veth peer name v1 netns $sv
for i in $(seq 2 9); do ip -n $cl addr add 10.99.0.$i/24 dev v0; done; ip -n $sv addr add 10.99.0.1/24 dev v1
ip -n $cl link set v0 up; ip -n $sv link set v1 up

{
	echo '$TTL 300'; echo '@ SOA ns hostmaster 1 3600 600 86400 300'; echo '@ NS ns'; echo 'ns A 10.99.0.1'
	echo 'www A 192.0.2.1'
	i=0; while [ $i -lt 15 ]; do echo "big TXT \"$i$(printf '%0200d' 0)\""; i=$((i + 1)); done
	i=0; while [ $i -lt 200 ]; do echo "huge TXT \"$i$(printf '%0240d' 0)\""; i=$((i + 1)); done
} >"$dir/zone"
cat >"$dir/nsd.conf" <<NSD
server:
	ip-address: 10.99.0.1
	ip-address: 127.0.0.1
	server-count: 1
	rrl-ratelimit: 0
	username: root
	chroot: ""
	zonesdir: "$dir"
	database: ""
	pidfile: "$dir/nsd.pid"
	xfrdfile: "$dir/xfrd.state"
	zonelistfile: "$dir/zone.list"
	ipv4-edns-size: 8192
	tcp-count: 500
remote-control:
	control-enable: no
zone:
	name: example
	zonefile: zone
NSD
ip netns exec $sv nsd -d -c "$dir/nsd.conf" 2>"$dir/nsd.log" & nsd=$!
printf 'www.example A\nnx.example A\nbig.example TXT\nwww.example AAAA\n' >"$dir/udp"
printf 'www.example A\nbig.example TXT\n' >"$dir/tcp"
iface=${IFACE:-v1}; to=10.99.0.1; from=$cl
[ "$iface" = lo ] && { to=127.0.0.1; from=$sv; }
: >"$dir/out"
ip netns exec $sv "$lab" "$iface,mode=host$words" "$workers" 120 "$dir/host.pcap" >"$dir/out" & probe=$!
for i in $(seq 50); do grep -q . "$dir/out" && break; sleep 0.1; done
head -1 "$dir/out"
ip netns exec $sv tcpdump -i "$iface" $([ "$iface" = lo ] && echo -Q in) -U -B 65536 -s 262144 -w "$dir/dump.pcap" port 53 or 'ip[6:2] & 0x3fff != 0' 2>/dev/null & dump=$!
sleep 1
for mode in udp tcp udp3 udp4 udp5 udp6; do
	n=$queries local_addr=
	case $mode in
	tcp) n=$((queries / 10)) ;;
	udp?) [ "$iface" = lo ] && continue; local_addr="-a 10.99.0.${mode#udp}"; n=$((queries / 10)); cp "$dir/udp" "$dir/$mode" ;;
	esac
	for k in $(seq $((n / $(wc -l <"$dir/$mode")))); do cat "$dir/$mode"; done >"$dir/q"
	ip netns exec $from dnsperf -e $local_addr -s $to -d "$dir/q" -m ${mode%[0-9]} -c 4 -q 40 2>&1 |
		grep -E 'Queries (sent|completed|lost)|per second' | tr -s ' ' | tr '\n' ' '
	echo
done
# One answer of 50 KiB in one connection: GSO frames on the way out.
ip netns exec $from python3 -c '
import socket, sys
s = socket.create_connection((sys.argv[1], 53))
for i in range(20):
    q = bytes([0, i, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + b"\4huge\7example\0\0\x10\0\1"
    s.sendall(len(q).to_bytes(2, "big") + q)
    n = int.from_bytes(s.recv(2, socket.MSG_WAITALL), "big")
    assert len(s.recv(n, socket.MSG_WAITALL)) == n > 40000
' $to || exit 1
sleep 2
kill $dump; wait $dump 2>/dev/null
kill $probe; wait $probe
tail -1 "$dir/out"
count() { for f in "$dir"/host.pcap.*; do tcpdump -nr "$f" "$1" 2>/dev/null; done | wc -l; }
echo "udp queries $(count 'udp dst port 53') responses $(count 'udp src port 53') later fragments $(count 'ip[6:2] & 0x1fff != 0')" \
	"tcp in $(count 'tcp dst port 53') out $(count 'tcp src port 53') of them gso $(count 'tcp src port 53 and greater 1600')"
python3 "$here/xdp_frames.py" same "$dir/dump.pcap" "$dir"/host.pcap.* || exit 1
ip netns exec $sv tc qdisc show dev $iface | grep clsact && { echo "qdisc left behind"; exit 1; }
[ "$(ip netns exec $sv "$lab" tcx $iface)" = 0 ] || { echo "still attached"; exit 1; }
echo "done"
