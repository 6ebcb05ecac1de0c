/* SPDX-License-Identifier: BSD-3-Clause */
/* SipHash-2-4 with 64 bits of output (Aumasson and Bernstein, INDOCRYPT 2012), as server
 * cookies use it (RFC 9018 section 4.4). Pure. */
#ifndef DATAPLANE_SIPHASH_H
#define DATAPLANE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t siphash_rotl(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static inline void siphash_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = siphash_rotl(v[1], 13) ^ v[0];
	v[0] = siphash_rotl(v[0], 32);
	v[2] += v[3];
	v[3] = siphash_rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = siphash_rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = siphash_rotl(v[1], 17) ^ v[2];
	v[2] = siphash_rotl(v[2], 32);
}

static inline uint64_t siphash_load(const uint8_t *p, size_t n)
{
	uint64_t x = 0;

	for (size_t i = 0; i < n; i++)
		x |= (uint64_t)p[i] << (8 * i);
	return x;
}

static inline uint64_t siphash_24(const uint8_t key[16], const uint8_t *data, size_t n)
{
	const uint64_t k0 = siphash_load(key, 8), k1 = siphash_load(key + 8, 8);
	uint64_t v[4] = {k0 ^ 0x736f6d6570736575ull, k1 ^ 0x646f72616e646f6dull,
			 k0 ^ 0x6c7967656e657261ull, k1 ^ 0x7465646279746573ull};

	for (size_t at = 0; at <= n; at += 8) {
		const size_t left = n - at;
		const uint64_t m = siphash_load(data + at, left < 8 ? left : 8) |
				   (left < 8 ? (uint64_t)(n & 0xff) << 56 : 0);
		v[3] ^= m;
		siphash_round(v);
		siphash_round(v);
		v[0] ^= m;
	}
	v[2] ^= 0xff;
	for (unsigned i = 0; i < 4; i++)
		siphash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
