#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Lab sheet: host mode beside a real name server.
#   client namespace (dnsperf) ---- veth ---- server namespace (nsd, xdp_lab mode=host)
# dnsperf must lose nothing, and the probe must see every query and every response.
# usage: xdp_host.sh XDP_LAB [WORDS] [QUERIES] [WORKERS]
lab=$1; words=${2:-}; queries=${3:-20000}; workers=${4:-2}
[ "$(id -u)" = 0 ] || { echo "skip: needs root"; exit 77; }
for tool in nsd dnsperf; do command -v $tool >/dev/null || { echo "skip: no $tool"; exit 77; }; done
cl=ftx-cl-$$ sv=ftx-sv-$$ dir=$(mktemp -d)
trap 'kill $nsd 2>/dev/null; ip netns del $cl; ip netns del $sv; rm -rf "$dir"' EXIT
ip netns add $cl && ip netns add $sv || { echo "skip: no namespaces"; exit 77; }
for ns in $cl $sv; do ip netns exec $ns sysctl -qw net.ipv6.conf.all.disable_ipv6=1; ip -n $ns link set lo up; done
ip -n $cl link add v0 type veth peer name v1 netns $sv
ip -n $cl addr add 10.99.0.2/24 dev v0; ip -n $sv addr add 10.99.0.1/24 dev v1
ip -n $cl link set v0 up; ip -n $sv link set v1 up

{
	echo '$TTL 300'; echo '@ SOA ns hostmaster 1 3600 600 86400 300'; echo '@ NS ns'; echo 'ns A 10.99.0.1'
	echo 'www A 192.0.2.1'
	i=0; while [ $i -lt 15 ]; do echo "big TXT \"$i$(printf '%0200d' 0)\""; i=$((i + 1)); done
	i=0; while [ $i -lt 100 ]; do echo "huge TXT \"$i$(printf '%0240d' 0)\""; i=$((i + 1)); done
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
printf 'www.example A\nhuge.example TXT\nbig.example TXT\n' >"$dir/tcp"
iface=${IFACE:-v1}; to=10.99.0.1; from=$cl
[ "$iface" = lo ] && { to=127.0.0.1; from=$sv; }
ip netns exec $sv "$lab" "$iface,mode=host$words" "$workers" 120 "$dir/host.pcap" >"$dir/out" & probe=$!
for i in $(seq 50); do grep -q . "$dir/out" && break; sleep 0.1; done
head -1 "$dir/out"
sleep 0.5
for mode in udp tcp; do
	n=$queries; [ $mode = tcp ] && n=$((queries / 10))
	for k in $(seq $((n / $(wc -l <"$dir/$mode")))); do cat "$dir/$mode"; done >"$dir/q"
	ip netns exec $from dnsperf -e -s $to -d "$dir/q" -m $mode -c 4 -q 40 2>&1 |
		grep -E 'Queries (sent|completed|lost)|per second' | tr -s ' ' | tr '\n' ' '
	echo
done
sleep 0.5
kill $probe; wait $probe
tail -1 "$dir/out"
count() { tcpdump -nr "$dir/host.pcap" "$1" 2>/dev/null | wc -l; }
echo "udp queries $(count 'udp dst port 53') responses $(count 'udp src port 53') later fragments $(count 'ip[6:2] & 0x1fff != 0')" \
	"tcp in $(count 'tcp dst port 53') out $(count 'tcp src port 53') of them gso $(count 'tcp src port 53 and greater 1600')"
ip netns exec $sv tc qdisc show dev $iface | grep clsact && { echo "qdisc left behind"; exit 1; }
ip netns exec $sv bpftool net show dev $iface | grep -q steer && { echo "still attached"; exit 1; }
echo "done"
