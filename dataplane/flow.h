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

/* What the XDP program computes, too (bpf/cursor.bpf.h): samples nest over both. */
static inline uint64_t addr_hash(const struct addr *a, uint64_t key)
{
	uint64_t lo, hi;

	memcpy(&lo, a->b, 8);
	memcpy(&hi, a->b + 8, 8);
	return hash_mix((hash_mix(lo ^ key) ^ hi) + 0x9e3779b97f4a7c15ull);
}

__extension__ typedef unsigned __int128 u128; /* not in ISO C, in gcc and clang */

/* The two halves of a product folded: one multiplication mixes 128 bits into 64. Who
 * does not know what was mixed into the factors cannot steer the result. */
static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
	const u128 product = (u128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* A quicker hash of an address, for tables within the worker. */
static inline uint64_t addr_fold(const struct addr *a, uint64_t key)
{
	uint64_t lo, hi;

	memcpy(&lo, a->b, 8);
	memcpy(&hi, a->b + 8, 8);
	return hash_fold(lo ^ key ^ 0xa0761d6478bd642full,
			 hi ^ (key << 32 | key >> 32) ^ 0xe7037ed1a0b428dbull);
}

/* The same for both directions, because addition commutes. */
static inline uint64_t flow_hash(const struct addr *x, const struct addr *y, uint64_t key)
{
	return hash_mix(addr_hash(x, key) + addr_hash(y, key));
}

#endif
