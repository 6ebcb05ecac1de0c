/* SPDX-License-Identifier: BSD-3-Clause */
/* The lab's probe: opens --xdp like fluxtap, writes what it gets, counts it.
 *
 * xdp_lab SPEC WORKERS SECONDS [PCAP|-] [NAP_US] : every source is polled in turn by this
 * one thread; prints READY when attached, then one JSON object at the end (or at
 * SIGTERM). Source i is written to PCAP.i. NAP_US slows the reader, so that rings run full.
 * xdp_lab bench SPEC : ns per run of the program, by kind of frame (BPF_PROG_TEST_RUN).
 * xdp_lab settings SPEC : changes every setting and looks at the program's verdict.
 * xdp_lab flood IFACE N : sends N frames through the XDP program of the interface, as its
 * queue 0 would (BPF_F_TEST_XDP_LIVE_FRAMES); prints how long that took.
 * xdp_lab tcx IFACE : number of tcx programs on the interface, both directions. */
#include "steer.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const uint16_t ports[] = {53};
static volatile sig_atomic_t stop;

struct tally {
	uint64_t got, bytes, batches, same_ts, backwards, early, cut, big, largest;
	uint64_t tick_us, last_ts_us;
};

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static uint64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void pcap_u32(FILE *f, uint64_t v)
{
	const uint32_t x = (uint32_t)v;

	(void)fwrite(&x, sizeof(x), 1, f);
}

static void pcap_begin(FILE *f)
{
	pcap_u32(f, 0xa1b2c3d4u);
	pcap_u32(f, 2u | 4u << 16);
	pcap_u32(f, 0);
	pcap_u32(f, 0);
	pcap_u32(f, 262144);
	pcap_u32(f, 1);
}

static void take(struct tally *t, const struct batch *b, FILE *f)
{
	const uint64_t now = now_us();

	t->batches++;
	for (uint32_t i = 0; i < b->n; i++) {
		const struct pkt *p = &b->pkt[i];

		t->got++;
		t->bytes += p->wire_len;
		t->same_ts += i > 0 && p->ts_us == b->pkt[i - 1].ts_us;
		t->backwards += p->ts_us < t->last_ts_us;
		t->early +=
		    p->ts_us < t->tick_us || p->ts_us > now + 1000 || p->ts_us + 5000000 < now;
		t->cut += p->cap_len != p->wire_len;
		t->big += p->cap_len > 1800;
		if (p->wire_len > t->largest)
			t->largest = p->wire_len;
		t->last_ts_us = p->ts_us;
		if (f == NULL)
			continue;
		pcap_u32(f, p->ts_us / 1000000);
		pcap_u32(f, p->ts_us % 1000000);
		pcap_u32(f, p->cap_len);
		pcap_u32(f, p->wire_len);
		(void)fwrite(p->data, 1, p->cap_len, f);
	}
}

static void report(struct steer *s, struct rx **rx, const struct tally *t, size_t n)
{
	struct steer_counters c;
	uint64_t got = 0, dropped = 0, stamps, odd;

	steer_counters_get(s, &c);
	(void)steer_stamps_get(s, &stamps, &odd);
	printf("{\"sources\":[");
	for (size_t i = 0; i < n; i++) {
		const uint64_t lost = rx[i]->ops->dropped(rx[i]);

		got += t[i].got;
		dropped += lost;
		printf("%s{\"got\":%lu,\"bytes\":%lu,\"batches\":%lu,\"same_ts\":%lu,\"backwards\":"
		       "%lu,"
		       "\"bad_ts\":%lu,\"cut\":%lu,\"big\":%lu,\"largest\":%lu,\"dropped\":%lu}",
		       i > 0 ? "," : "", t[i].got, t[i].bytes, t[i].batches, t[i].same_ts,
		       t[i].backwards, t[i].early, t[i].cut, t[i].big, t[i].largest, lost);
	}
	printf(
	    "],\"got\":%lu,\"dropped\":%lu,\"seen\":%lu,\"taken\":%lu,\"passed\":%lu,"
	    "\"filtered\":%lu,\"unclaimed\":%lu,\"lost\":%lu,\"stamps\":%lu,\"odd_stamps\":%lu}\n",
	    got, dropped, c.seen, c.taken, c.passed, c.filtered, c.unclaimed, c.lost, stamps, odd);
}

static FILE *pcap_open(const char *path, size_t i)
{
	char name[512];
	FILE *f;

	if (path == NULL || strcmp(path, "-") == 0)
		return NULL;
	(void)snprintf(name, sizeof(name), "%s.%zu", path, i);
	f = fopen(name, "wb");
	if (f != NULL)
		pcap_begin(f);
	return f;
}

static int watch(struct steer *s, unsigned seconds, const char *path, unsigned nap_us)
{
	const size_t n = steer_source_count(s);
	struct rx *rx[FT_XDP_RING_CAP];
	FILE *f[FT_XDP_RING_CAP];
	struct tally *t = calloc(n, sizeof(*t));
	struct batch b;
	const uint64_t end_us = now_us() + seconds * 1000000ull;

	for (size_t i = 0; i < n; i++) {
		rx[i] = steer_source(s, i);
		f[i] = pcap_open(path, i);
	}
	printf("READY %s\n", steer_note(s));
	(void)fflush(stdout);
	for (bool idle = false; !idle || (!stop && now_us() < end_us);) {
		const bool ending =
		    stop || now_us() >= end_us; /* what is in the rings still counts */

		idle = true;
		for (size_t i = 0; i < n; i++) {
			if (rx[i]->ops->recv(rx[i], &b) > 0) {
				idle = false;
				take(&t[i], &b, f[i]);
				rx[i]->ops->release(rx[i], &b);
			} else {
				t[i].tick_us = rx[i]->ops->clock(rx[i]);
			}
		}
		if (!ending && (idle || nap_us != 0))
			(void)usleep(nap_us != 0 ? nap_us : 50);
	}
	report(s, rx, t, n);
	for (size_t i = 0; i < n; i++) {
		rx[i]->ops->destroy(rx[i]);
		if (f[i] != NULL)
			(void)fclose(f[i]);
	}
	free(t);
	return 0;
}

/* One of each kind of frame that a tap sees often, with what must become of it. */
struct sample {
	const char *name;
	uint32_t len, want; /* octets; XDP_PASS or XDP_REDIRECT */
	uint8_t frame[112];
};

#define MACS 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1
#define IP4(proto) IP4_PART(proto, 0)
#define IP4_PART(proto, part)                                                                      \
	0x45, 0, 0, 98, 0, 7, part, 0, 64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2
#define IP6(proto) 0x60, 0, 0, 0, 0, 58, proto, 64, [22] = 0xfd, [38] = 0xfd
#define QUERY 0x9c, 0x40, 0, 53
#define ANSWER 0, 53, 0x9c, 0x40
#define OTHER 0x9c, 0x40, 1, 187

static const struct sample samples[] = {
    {"UDP/IPv4 query", 112, XDP_REDIRECT, {MACS, 8, 0, IP4(17), QUERY}},
    {"UDP/IPv4 response", 112, XDP_REDIRECT, {MACS, 8, 0, IP4(17), ANSWER}},
    {"UDP/IPv6 query", 112, XDP_REDIRECT, {MACS, 0x86, 0xdd, IP6(17), [54] = QUERY}},
    {"TCP/IPv4 query", 112, XDP_REDIRECT, {MACS, 8, 0, IP4(6), QUERY}},
    {"TCP/IPv6 response", 112, XDP_REDIRECT, {MACS, 0x86, 0xdd, IP6(6), [54] = ANSWER}},
    {"802.1Q UDP/IPv4 query", 112, XDP_REDIRECT, {MACS, 0x81, 0, 0, 5, 8, 0, IP4(17), QUERY}},
    {"IPv4 fragment", 112, XDP_REDIRECT, {MACS, 8, 0, IP4_PART(17, 0x20)}},
    {"UDP/IPv4 other", 112, XDP_PASS, {MACS, 8, 0, IP4(17), OTHER}},
    {"TCP/IPv4 other", 112, XDP_PASS, {MACS, 8, 0, IP4(6), OTHER}},
    {"TCP/IPv6 other", 112, XDP_PASS, {MACS, 0x86, 0xdd, IP6(6), [54] = OTHER}},
    {"ARP", 60, XDP_PASS, {MACS, 8, 6}},
};

#define BENCH_ROUNDS 15     /* the least of them: others work on the machine, too */
#define BENCH_REPEAT 500000 /* for each round */
#define BENCH_RECORDS 50000 /* host mode: these fit into the ring */

struct bench {
	int fd;
	enum bpf_prog_type type;
	struct rx *rx; /* emptied after each round */
};

static void bench_drain(struct rx *rx)
{
	struct batch b;

	while (rx->ops->recv(rx, &b) > 0)
		rx->ops->release(rx, &b);
}

static uint32_t bench_one(const struct bench *w, const struct sample *s, uint32_t *retval)
{
	const bool host = w->type == BPF_PROG_TYPE_SCHED_CLS;
	uint32_t least = UINT32_MAX;
	uint8_t out[512];

	for (int i = 0; i < BENCH_ROUNDS; i++) {
		struct bpf_test_run_opts o = {
		    .sz = sizeof(o),
		    .data_in = s->frame,
		    .data_size_in = s->len,
		    .data_out = out,
		    .data_size_out = sizeof(out),
		    .repeat = host ? BENCH_RECORDS : BENCH_REPEAT,
		};

		if (bpf_prog_test_run_opts(w->fd, &o) != 0)
			return UINT32_MAX;
		bench_drain(w->rx);
		*retval = o.retval;
		if (o.duration < least)
			least = o.duration;
	}
	return least;
}

/* What the kernel takes to run a program of two instructions: part of every figure. */
static uint32_t bench_empty(const struct bench *like)
{
	const struct bpf_insn pass[] = {
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_PASS},
	    {.code = BPF_JMP | BPF_EXIT},
	};
	struct bench w = *like;
	uint32_t retval = 0, ns;

	w.fd = bpf_prog_load(w.type, "empty", "GPL", pass, 2, NULL);
	if (w.fd < 0)
		return UINT32_MAX;
	ns = bench_one(&w, &samples[0], &retval);
	(void)close(w.fd);
	return ns;
}

/* The program's verdict on a frame from 10.0.0.0 to 11.0.0.0. */
static unsigned verdict(int fd, uint8_t proto, uint16_t port)
{
	uint8_t frame[80] = {[12] = 8,
			     [14] = 0x45,
			     [17] = 66,
			     [23] = proto,
			     [26] = 10,
			     [30] = 11,
			     [36] = (uint8_t)(port >> 8),
			     [37] = (uint8_t)port};
	uint8_t out[512];
	struct bpf_test_run_opts o = {
	    .sz = sizeof(o),
	    .data_in = frame,
	    .data_size_in = sizeof(frame),
	    .data_out = out,
	    .data_size_out = sizeof(out),
	    .repeat = 1,
	};

	return bpf_prog_test_run_opts(fd, &o) == 0 ? o.retval : UINT32_MAX;
}

static int settings(const char *spec)
{
	static const uint16_t others[] = {5353, 65535, 0};
	static const struct ft_xdp_prefix in = {96 + 8, {[10] = 0xff, [11] = 0xff, [12] = 11}};
	static const struct ft_xdp_prefix out = {96 + 8, {[10] = 0xff, [11] = 0xff, [12] = 12}};
	const struct steer_opts o = {.spec = spec, .workers = 1, .ports = ports, .n_ports = 1};
	struct bpf_xdp_query_opts q = {.sz = sizeof(q)};
	char err[512] = "", name[IFNAMSIZ] = "";
	struct steer *s = steer_create(&o, err, sizeof(err));
	unsigned bad = 0;

	memcpy(name, spec, strcspn(spec, ","));
	if (s == NULL || bpf_xdp_query((int)if_nametoindex(name), 0, &q) != 0)
		return 3;
	const int fd = bpf_prog_get_fd_by_id(q.prog_id);
#define WANT(what, want)                                                                           \
	if ((long)(what) != (long)(want))                                                          \
	printf("NOT OK: %s\n", #what), bad++
	WANT(verdict(fd, 17, 53), XDP_REDIRECT);
	WANT(verdict(fd, 6, 53), XDP_REDIRECT);
	WANT(verdict(fd, 17, 5353), XDP_PASS);
	steer_ports_set(s, others, 3);
	WANT(verdict(fd, 17, 53), XDP_REDIRECT); /* source port 0 */
	steer_ports_set(s, others, 2);
	WANT(verdict(fd, 17, 53), XDP_PASS);
	WANT(verdict(fd, 17, 5353), XDP_REDIRECT);
	WANT(verdict(fd, 17, 65535), XDP_REDIRECT);
	steer_ports_set(s, ports, 1);
	WANT(verdict(fd, 47, 53), XDP_REDIRECT);
	WANT(verdict(fd, 17, 4789), XDP_REDIRECT);
	WANT(verdict(fd, 1, 4789), XDP_PASS);
	steer_tunnels_set(s, false);
	WANT(verdict(fd, 47, 53), XDP_PASS);
	WANT(verdict(fd, 17, 4789), XDP_PASS);
	WANT(verdict(fd, 17, 53), XDP_REDIRECT);
	WANT(steer_prefixes_set(s, &out, 1), 0);
	WANT(verdict(fd, 17, 53), XDP_PASS);
	WANT(steer_prefixes_set(s, &in, 1), 0);
	WANT(verdict(fd, 17, 53), XDP_REDIRECT);
	WANT(steer_prefixes_set(s, &out, 1), 0);
	WANT(verdict(fd, 17, 53), XDP_PASS);
	WANT(steer_prefixes_set(s, NULL, 0), 0);
	WANT(verdict(fd, 17, 53), XDP_REDIRECT);
	unsigned kept = 0;
	for (uint64_t key = 0; key < 4096; key++) {
		WANT(steer_sample_set(s, 2, key), 0);
		kept += verdict(fd, 17, 53) == XDP_REDIRECT;
	}
	WANT(kept > 850 && kept < 1200, 1); /* a quarter of the keys: 1024, sigma 28 */
	WANT(steer_sample_set(s, 33, 0), -EINVAL);
	WANT(steer_sample_set(s, 0, 0), 0);
	WANT(verdict(fd, 17, 53), XDP_REDIRECT);
#undef WANT
	(void)close(fd);
	steer_destroy(s);
	printf(bad == 0 ? "ok: settings\n" : "NOT OK: settings\n");
	return bad != 0;
}

static int flood(const char *name, uint32_t n)
{
	uint8_t frame[112] = {
	    [12] = 8, [14] = 0x45, [17] = 98, [23] = 17, [26] = 10, [30] = 11, [37] = 53};
	const int ifindex = (int)if_nametoindex(name);
	struct xdp_md in = {.data_end = sizeof(frame), .ingress_ifindex = (uint32_t)ifindex};
	struct bpf_xdp_query_opts q = {.sz = sizeof(q)};
	struct bpf_test_run_opts o = {
	    .sz = sizeof(o),
	    .data_in = frame,
	    .data_size_in = sizeof(frame),
	    .ctx_in = &in,
	    .ctx_size_in = sizeof(in),
	    .repeat = (int)n,
	    .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
	    .batch_size = 64,
	};

	if (bpf_xdp_query(ifindex, 0, &q) != 0 || q.prog_id == 0)
		return 1;
	const uint64_t begin = now_us();
	const int rc = bpf_prog_test_run_opts(bpf_prog_get_fd_by_id(q.prog_id), &o);
	const uint64_t us = now_us() - begin;

	printf("rc %d, %u frames in %lu us, %.2f M/s\n", rc, n, us, (double)n / (double)us);
	return rc != 0;
}

static unsigned bench_all(const struct bench *w, struct steer *s)
{
	struct bpf_prog_info info = {0};
	uint32_t info_len = sizeof(info);
	struct steer_counters before, after;
	unsigned bad = 0;

	if (bpf_obj_get_info_by_fd(w->fd, &info, &info_len) == 0)
		printf("%s: %u instructions, %u octets of machine code, %u instructions verified\n",
		       info.name, info.xlated_prog_len / 8, info.jited_prog_len,
		       info.verified_insns);
	printf("%-24s %4u ns\n", "(empty program)", bench_empty(w));
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		uint32_t retval = 0;

		steer_counters_get(s, &before);
		const uint32_t ns = bench_one(w, &samples[i], &retval);
		steer_counters_get(s, &after);
		/* On a queue without a socket, a frame that was meant for one passes. */
		const bool taken = after.passed == before.passed;
		const bool good = taken == (samples[i].want == XDP_REDIRECT) &&
				  after.seen > before.seen && after.lost == before.lost;

		printf("%-24s %4u ns, %s%s\n", samples[i].name, ns,
		       taken ? "to the worker" : "to the kernel", good ? "" : ": NOT OK");
		bad += !good;
	}
	return bad;
}

/* The program on the way in. */
static int bench_find(const char *name, struct bench *w)
{
	const int ifindex = (int)if_nametoindex(name);
	struct bpf_xdp_query_opts q = {.sz = sizeof(q)};
	__u32 ids[1], flags = 0, count = 1;

	w->type = BPF_PROG_TYPE_XDP;
	if (bpf_xdp_query(ifindex, 0, &q) == 0 && q.prog_id != 0)
		return bpf_prog_get_fd_by_id(q.prog_id);
	w->type = BPF_PROG_TYPE_SCHED_CLS;
	if (bpf_prog_query(ifindex, (enum bpf_attach_type)46, 0, &flags, ids, &count) == 0 &&
	    count == 1)
		return bpf_prog_get_fd_by_id(ids[0]);
	return -1;
}

static int bench(const char *spec)
{
	const struct steer_opts o = {.spec = spec, .workers = 1, .ports = ports, .n_ports = 1};
	char err[512] = "", name[IFNAMSIZ] = "";
	struct steer *s = steer_create(&o, err, sizeof(err));
	unsigned bad = 1;

	if (s == NULL) {
		printf("FAILED %d %s\n", errno, err);
		return 3;
	}
	memcpy(name, spec, strcspn(spec, ","));

	struct bench w = {.rx = steer_source(s, 0)};

	w.fd = bench_find(name, &w);
	if (w.fd >= 0) {
		bad = bench_all(&w, s);
		(void)close(w.fd);
	}
	w.rx->ops->destroy(w.rx);
	steer_destroy(s);
	printf(bad == 0 ? "ok: bench\n" : "NOT OK: bench\n");
	return bad != 0;
}

static int tcx(const char *name)
{
	unsigned n = 0;

	for (int type = 46; type <= 47; type++) { /* BPF_TCX_INGRESS, BPF_TCX_EGRESS */
		__u32 ids[64], flags = 0, count = 64;

		if (bpf_prog_query((int)if_nametoindex(name), (enum bpf_attach_type)type, 0, &flags,
				   ids, &count) == 0)
			n += count;
	}
	printf("%u\n", n);
	return 0;
}

int main(int argc, char **argv)
{
	char err[512] = "";

	if (argc == 3 && strcmp(argv[1], "bench") == 0)
		return bench(argv[2]);
	if (argc == 3 && strcmp(argv[1], "settings") == 0)
		return settings(argv[2]);
	if (argc == 4 && strcmp(argv[1], "flood") == 0)
		return flood(argv[2], (uint32_t)atoi(argv[3]));
	if (argc == 3 && strcmp(argv[1], "tcx") == 0)
		return tcx(argv[2]);
	if (argc < 4)
		return 2;
	(void)signal(SIGTERM, on_signal);
	const struct steer_opts o = {
	    .spec = argv[1],
	    .workers = (unsigned)atoi(argv[2]),
	    .ports = ports,
	    .n_ports = 1,
	};
	struct steer *s = steer_create(&o, err, sizeof(err));
	if (s == NULL) {
		printf("FAILED %s: %s\n", strerrorname_np(errno), err);
		return errno == EINVAL ? 2 : 3;
	}
	const int rc = watch(s, (unsigned)atoi(argv[3]), argc > 4 ? argv[4] : NULL,
			     argc > 5 ? (unsigned)atoi(argv[5]) : 0);
	steer_destroy(s);
	return rc;
}
