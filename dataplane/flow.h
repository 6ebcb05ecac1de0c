/* SPDX-License-Identifier: BSD-3-Clause */
/* The two ends of a packet, and the hash that is the same in both directions. */
#ifndef DATAPLANE_FLOW_H
#define DATAPLANE_FLOW_H

#include <stdint.h>
#include <string.h>

/* IPv4 addresses stand as IPv4-mapped IPv6 (::ffff:a.b.c.d, RFC 4291 2.5.5.2). */
struct addr {
	uint8_t b[16];
};

struct flow {
	struct addr src, dst;
	uint16_t sport, dport; /* host order */
	uint8_t v6;            /* 1: IPv6 */
	uint8_t tcp;           /* 1: TCP, 0: UDP */
};

static inline struct addr addr_from_v4(const uint8_t *p)
{
	struct addr a = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};

	memcpy(a.b + 12, p, 4);
	return a;
}

static inline struct addr addr_from_v6(const uint8_t *p)
{
	struct addr a;

	memcpy(a.b, p, 16);
	return a;
}

/* Murmur3's 64-bit finalizer: every input bit reaches every output bit. */
static inline uint64_t hash_mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	x ^= x >> 33;
	return x;
}

static inline uint64_t addr_hash(const struct addr *a, uint64_t key)
{
	uint64_t lo, hi;

	memcpy(&lo, a->b, 8);
	memcpy(&hi, a->b + 8, 8);
	return hash_mix((hash_mix(lo ^ key) ^ hi) + 0x9e3779b97f4a7c15ull);
}

/* The same for both directions, because addition commutes. */
static inline uint64_t flow_hash(const struct addr *x, const struct addr *y, uint64_t key)
{
	return hash_mix(addr_hash(x, key) + addr_hash(y, key));
}

#endif
