/* SPDX-License-Identifier: BSD-3-Clause */
/* What the programs of bpf/ and user space share: settings, counters, records.
 *
 * Included from BPF C and from user C; all widths are fixed and all sizes are
 * asserted on both sides. Settings and counters are global data of the BPF
 * object, which user space maps: a change needs no reload, and reading a counter
 * needs neither a system call nor a capability. */
#ifndef FLUXTAP_XDP_ABI_H
#define FLUXTAP_XDP_ABI_H

#include <linux/types.h>

#define FT_XDP_QUEUE_CAP 256    /* receive queues of one interface, entries of the XSKMAP */
#define FT_XDP_CPU_CAP 1024     /* power of two; CPU numbers wrap beyond it */
#define FT_XDP_RING_CAP 64      /* host mode: ring buffers, one a worker (FT_WORKER_CAP) */
#define FT_XDP_PREFIX_CAP 65536 /* entries of the prefix filter */
#define FT_XDP_PORT_WORDS 1024  /* port p is bit p % 64 of word p / 64 */
#define FT_XDP_DOH_CAP 65536    /* entries of the list of DoH servers */
#define FT_XDP_HTTPS_PORT 443
#define FT_XDP_SAMPLE_CAP 32    /* greatest sample_shift */

#define FT_XDP_NOTHING 2 /* `prefixes` of a probe that ends: the kernel has the rest */

/* Global data `settings`: user space stores, the programs read. */
struct ft_xdp_settings {
	__u64 hash_key;    /* host mode: of the hash that chooses the worker */
	__u64 sample_key;  /* of the hash that decides about sampling */
	__u32 workers;     /* host mode: rings in use, at least 1 */
	__u8 tunnels;      /* 1: hand encapsulated traffic to the workers */
	__u8 raw_ip;       /* 1: frames begin with the IP header */
	__u8 prefixes;     /* 1: only what has an end within map `prefixes`, or FT_XDP_NOTHING */
	__u8 sample_shift; /* s: of all address pairs a share of 2^-s is taken */
	__u8 doh;          /* 1: also port 443 of what is within map `doh` */
	__u8 spare[7];
};
_Static_assert(sizeof(struct ft_xdp_settings) == 32, "settings");

/* Global data `counters`, one a CPU: only the programs on that CPU store.
 * seen = taken + passed + filtered + unclaimed + lost. */
struct ft_xdp_counters {
	__u64 seen;      /* frames looked at */
	__u64 taken;     /* redirected (tap) or copied (host) */
	__u64 passed;    /* not DNS */
	__u64 filtered;  /* DNS, but outside the prefixes, sampled out, or after the end */
	__u64 unclaimed; /* tap: DNS on a queue without a socket */
	__u64 lost;      /* host: no room in the ring buffer */
	__u64 spare[2];
};
_Static_assert(sizeof(struct ft_xdp_counters) == 64, "one cache line a CPU");

/* In front of a redirected frame, ending at its first octet. User space clears
 * the magic once it has read it, so that a frame without one is recognised. */
#define FT_XDP_META_MAGIC 0x74c3a1f05eb2d967ull  /* CLOCK_MONOTONIC */
#define FT_XDP_META_DEVICE 0x91d60b7ce8432fa5ull /* the device's own clock */
struct ft_xdp_meta {
	__u64 magic;
	__u64 time_ns; /* when the program saw the frame, or the device received it */
};
_Static_assert(sizeof(struct ft_xdp_meta) == 16, "a multiple of 4, at most 32");

enum ft_xdp_direction { FT_XDP_INGRESS = 0, FT_XDP_EGRESS = 1 };

/* Host mode: a record of the ring buffer; the frame follows. The record's own
 * length is that of its size class, so cap_len says where the frame ends. */
struct ft_xdp_record {
	__u64 mono_ns; /* CLOCK_MONOTONIC */
	__u32 wire_len;
	__u32 cap_len; /* octets of the frame that follow, at most wire_len */
	__u32 ifindex;
	__u8 direction; /* enum ft_xdp_direction */
	__u8 spare[11];
};
_Static_assert(sizeof(struct ft_xdp_record) == 32, "record header");

/* Size classes of records: octets of frame. The last one holds a whole GSO frame. */
#define FT_XDP_CLASSES(X) X(128) X(256) X(512) X(1024) X(2048) X(4096) X(16384) X(65600)
#define FT_XDP_RECORD_CAP 65600

/* Key of maps `prefixes` and `doh` (LPM tries); IPv4 stands as ::ffff:a.b.c.d, so that its
 * lengths are 96 more. The value is a __u8 without meaning. */
struct ft_xdp_prefix {
	__u32 bits;
	__u8 addr[16];
};
_Static_assert(sizeof(struct ft_xdp_prefix) == 20, "prefix key");

#endif
