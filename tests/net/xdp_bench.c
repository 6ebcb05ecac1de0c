/* SPDX-License-Identifier: BSD-3-Clause */
#include "xdp_lab.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

#define BENCH_REPEAT 500000 /* for each round */
#define BENCH_RECORDS 50000 /* host mode: these fit into the ring */

struct bench {
	int fd;
	enum bpf_prog_type type;
	struct rx *rx; /* emptied after each round */
	unsigned rounds;
};

static void bench_drain(struct rx *rx)
{
	struct batch b;

	while (rx->ops->recv(rx, &b) > 0)
		rx->ops->release(rx, &b);
}

/* The least of the rounds, in ns: others work on the machine, too. */
static uint32_t bench_one(const struct bench *w, const struct sample *s, uint32_t *retval)
{
	const bool host = w->type == BPF_PROG_TYPE_SCHED_CLS;
	uint32_t least = UINT32_MAX;
	uint8_t out[512];

	for (unsigned i = 0; i < w->rounds; i++) {
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

int lab_bench(const char *spec, unsigned rounds)
{
	static const uint16_t ports[] = {53};
	const struct steer_opts o = {.spec = spec, .workers = 1, .ports = ports, .n_ports = 1};
	char err[512] = "", name[IFNAMSIZ] = "";
	struct steer *s = steer_create(&o, err, sizeof(err));
	unsigned bad = 1;

	if (s == NULL) {
		printf("FAILED %d %s\n", errno, err);
		return 3;
	}
	memcpy(name, spec, strcspn(spec, ","));

	struct bench w = {.rx = steer_source(s, 0), .rounds = rounds};

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
