/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* Stage 0, steer: which frames the workers get.
 *
 * steer_tap redirects DNS to the AF_XDP sockets of its receive queue; the rest
 * goes on to the kernel. steer_in and steer_out copy DNS of both directions
 * into ring buffers and never touch the frame. Settings and counters are global
 * data, see fluxtap/xdp_abi.h. */
#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include <fluxtap/xdp_abi.h>

#include "cursor.bpf.h"

char steer_license[] SEC("license") = "Dual BSD/GPL";

/* .data: user space stores, word by word, at any time. */
volatile __u64 ports[FT_XDP_PORT_WORDS] = {1}; /* not all zero: belongs into .data */
volatile struct ft_xdp_settings settings = {.workers = 1, .tunnels = 1};

/* .bss: user space reads. */
struct ft_xdp_counters counters[FT_XDP_CPU_CAP];
__u64 ring_lost[FT_XDP_RING_CAP]; /* host mode: records without room, by ring */

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, FT_XDP_QUEUE_CAP);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, FT_XDP_PREFIX_CAP);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ft_xdp_prefix);
	__type(value, __u8);
} prefixes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, FT_XDP_DOH_CAP);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ft_xdp_prefix);
	__type(value, __u8);
} doh SEC(".maps");

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16); /* user space makes the real ones */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, FT_XDP_RING_CAP);
	__type(key, __u32);
	__array(values, struct ring);
} rings SEC(".maps");

static __always_inline bool port_set(__u16 port)
{
	return ports[port >> 6] >> (port & 63) & 1;
}

static __always_inline bool tunnels_set(void)
{
	return settings.tunnels != 0;
}

static __always_inline bool doh_set(void)
{
	return settings.doh != 0;
}

static __always_inline struct ft_xdp_counters *counters_here(void)
{
	return &counters[bpf_get_smp_processor_id() & (FT_XDP_CPU_CAP - 1)];
}

static __always_inline bool map_holds(void *map, const __u64 *end)
{
	struct ft_xdp_prefix key = {.bits = 128};

	__builtin_memcpy(key.addr, end, sizeof(key.addr));
	return bpf_map_lookup_elem(map, &key) != NULL;
}

static __always_inline bool prefix_holds(const __u64 *end)
{
	return map_holds(&prefixes, end);
}

/* What is left to decide of port 443. */
static __always_inline enum verdict doh_verdict(enum verdict verdict, const struct ends *ends)
{
	if (verdict != VERDICT_DOH)
		return verdict;
	return map_holds(&doh, ends->src) || map_holds(&doh, ends->dst) ? VERDICT_TAKE
									: VERDICT_PASS;
}

/* False: the settings ask to leave this flow alone. The upper bits decide
 * about sampling, the lower ones choose the worker. */
static __always_inline bool settings_want(const struct ends *ends)
{
	const __u32 shift = settings.sample_shift;

	if (settings.prefixes == FT_XDP_NOTHING ||
	    (settings.prefixes && !prefix_holds(ends->src) && !prefix_holds(ends->dst)))
		return false;
	if (shift == 0 || shift > FT_XDP_SAMPLE_CAP)
		return true;
	return ends_hash(ends, settings.sample_key) >> (64 - shift) == 0;
}

/* The walks are functions of their own, so that the straight way needs few registers. */
static __always_inline enum verdict walk_packet(struct xdp_md *ctx, struct ends *ends)
{
	struct bpf_cursor c = {.data = (void *)(long)ctx->data, .end = (void *)(long)ctx->data_end};

	return walk_frame(&c, settings.raw_ip, ends);
}

static __always_inline enum verdict walk_skb(struct __sk_buff *skb, struct ends *ends)
{
	struct bpf_cursor c = {.skb = skb, .in_skb = true};

	return walk_frame(&c, settings.raw_ip, ends);
}

/* Kernel 6.3, in a program that is loaded for one device. */
extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *ns) __ksym __weak;

/* The time goes in front of the frame; where there is no room for it, the
 * worker's clock has to do. The device's own comes without a look at ours. */
static __always_inline void meta_put(struct xdp_md *ctx, bool device)
{
	__u64 magic = FT_XDP_META_DEVICE, time_ns = 0;
	struct ft_xdp_meta *meta;

	if (!device || bpf_xdp_metadata_rx_timestamp(ctx, &time_ns) != 0 || time_ns == 0) {
		magic = FT_XDP_META_MAGIC;
		time_ns = bpf_ktime_get_ns();
	}
	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)) != 0)
		return;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return;
	meta->magic = magic;
	meta->time_ns = time_ns;
}

static __always_inline int tap_step(struct xdp_md *ctx, bool device)
{
	const __u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ft_xdp_counters *count = counters_here();
	const bool choose = settings.prefixes || settings.sample_shift != 0 || settings.doh;
	enum verdict verdict = VERDICT_WALK;
	struct ends ends;
	int action;

	count->seen++;
	if (!settings.raw_ip)
		verdict = walk_straight(data, end, choose, &ends);
	if (verdict == VERDICT_WALK)
		verdict = walk_packet(ctx, &ends);
	if (choose)
		verdict = doh_verdict(verdict, &ends);
	if (verdict == VERDICT_PASS) {
		count->passed++;
		return XDP_PASS;
	}
	if (choose && !settings_want(&ends)) {
		count->filtered++;
		return XDP_PASS;
	}
	meta_put(ctx, device);
	action = (int)bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
	if (action == XDP_REDIRECT)
		count->taken++;
	else
		count->unclaimed++;
	return action;
}

SEC("xdp.frags")
int steer_tap(struct xdp_md *ctx)
{
	return tap_step(ctx, false);
}

SEC("xdp.frags")
int steer_tap_device(struct xdp_md *ctx)
{
	return tap_step(ctx, true);
}

/* Copies len octets into a record of the size class `cap` (a constant). */
static __always_inline bool record_put(struct __sk_buff *skb, void *ring, __u32 len, __u32 cap,
				       enum ft_xdp_direction direction)
{
	struct ft_xdp_record *r = bpf_ringbuf_reserve(ring, sizeof(*r) + cap, 0);

	if (r == NULL)
		return false;
	asm volatile("" : "+r"(len)); /* keep the bounds where the verifier sees them */
	if (len == 0 || len > cap || bpf_skb_load_bytes(skb, 0, r + 1, len) != 0) {
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
		return false;
	}
	r->mono_ns = bpf_ktime_get_ns();
	r->wire_len = skb->len;
	r->cap_len = len;
	r->ifindex = skb->ifindex;
	r->direction = (__u8)direction;
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP); /* the worker polls */
	return true;
}

static __always_inline bool frame_copy(struct __sk_buff *skb, void *ring,
				       enum ft_xdp_direction direction)
{
	__u32 len = skb->len;

	if (len > FT_XDP_RECORD_CAP)
		len = FT_XDP_RECORD_CAP;
#define CLASS(cap)                                                                                 \
	if (len <= (cap))                                                                          \
		return record_put(skb, ring, len, cap, direction);
	FT_XDP_CLASSES(CLASS)
#undef CLASS
	return false;
}

static __always_inline int host_step(struct __sk_buff *skb, enum ft_xdp_direction direction)
{
	const __u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ft_xdp_counters *count = counters_here();
	enum verdict verdict = VERDICT_WALK;
	const __u32 workers = settings.workers;
	struct ends ends;
	void *ring;
	__u32 i;

	count->seen++;
	if (!settings.raw_ip) /* what lies in one piece; the walk sees all */
		verdict = walk_straight(data, end, true, &ends);
	if (verdict == VERDICT_WALK)
		verdict = walk_skb(skb, &ends);
	verdict = doh_verdict(verdict, &ends);
	if (verdict == VERDICT_PASS) {
		count->passed++;
		return TC_ACT_UNSPEC; /* the next program decides, as without us */
	}
	if (!settings_want(&ends)) {
		count->filtered++;
		return TC_ACT_UNSPEC;
	}
	i = workers > 1 ? (__u32)(ends_hash(&ends, settings.hash_key) % workers) : 0;
	ring = bpf_map_lookup_elem(&rings, &i);
	if (ring != NULL && frame_copy(skb, ring, direction)) {
		count->taken++;
	} else {
		count->lost++;
		__sync_fetch_and_add(&ring_lost[i & (FT_XDP_RING_CAP - 1)], 1);
	}
	return TC_ACT_UNSPEC;
}

SEC("tc")
int steer_in(struct __sk_buff *skb)
{
	return host_step(skb, FT_XDP_INGRESS);
}

SEC("tc")
int steer_out(struct __sk_buff *skb)
{
	return host_step(skb, FT_XDP_EGRESS);
}
