/* SPDX-License-Identifier: BSD-3-Clause */
/* Captures made octet by octet, for the tests of the packet sources. */
#ifndef TESTS_RX_PCAP_MAKE_H
#define TESTS_RX_PCAP_MAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#define FRAMES 5u
#define BYTES_CAP ((size_t)1 << 20)
#define T0_S 1700000000u

/* A capture in the making. */
struct bytes {
	size_t n;
	bool big; /* byte order */
	uint8_t p[BYTES_CAP];
};

static inline void put8(struct bytes *b, const void *p, size_t n)
{
	assert_true(b->n + n <= sizeof(b->p));
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static inline void put_u16(struct bytes *b, unsigned v)
{
	const uint8_t hi = (uint8_t)(v >> 8), lo = (uint8_t)v;

	put8(b, b->big ? &hi : &lo, 1);
	put8(b, b->big ? &lo : &hi, 1);
}

static inline void put_u32(struct bytes *b, uint32_t v)
{
	put_u16(b, b->big ? v >> 16 : v & 0xffff);
	put_u16(b, b->big ? v & 0xffff : v >> 16);
}

static inline void put_pcap_header(struct bytes *b, bool ns, uint32_t link)
{
	put_u32(b, ns ? 0xa1b23c4d : 0xa1b2c3d4);
	put_u16(b, 2);
	put_u16(b, 4);
	put_u32(b, 0);
	put_u32(b, 0);
	put_u32(b, 262144);
	put_u32(b, link);
}

static inline void put_pcap_frame(struct bytes *b, uint64_t sub, const void *data, uint32_t len,
				  bool ns)
{
	const uint32_t unit = ns ? 1000000000 : 1000000;

	put_u32(b, (uint32_t)(T0_S + sub / unit));
	put_u32(b, (uint32_t)(sub % unit));
	put_u32(b, len);
	put_u32(b, len + 4); /* 4 octets cut by a snap length */
	put8(b, data, len);
}

static inline struct bytes *bytes_new(bool big)
{
	struct bytes *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->big = big;
	return b;
}

/* Frame i: 20 + i octets of the value tag + i. */
static inline uint32_t frame_len(unsigned i)
{
	return 20 + i;
}

static inline const uint8_t *frame_data(unsigned tag, unsigned i)
{
	static uint8_t f[64];

	memset(f, (int)(tag + i), sizeof(f));
	return f;
}

/* FRAMES frames, frame i at i seconds and i + 7 us (and 999 ns where there are any). */
static inline void make_pcap(struct bytes *b, bool ns, uint32_t link, unsigned tag)
{
	b->n = 0;
	put_pcap_header(b, ns, link);
	for (unsigned i = 0; i < FRAMES; i++) {
		const uint64_t us = i * 1000000ull + i + 7;

		put_pcap_frame(b, ns ? us * 1000 + 999 : us, frame_data(tag, i), frame_len(i), ns);
	}
}

static inline void put_shb(struct bytes *b)
{
	put_u32(b, 0x0a0d0d0a);
	put_u32(b, 28);
	put_u32(b, 0x1a2b3c4d);
	put_u16(b, 1);
	put_u16(b, 0);
	put_u32(b, UINT32_MAX);
	put_u32(b, UINT32_MAX);
	put_u32(b, 28);
}

/* tsresol: decimal digits behind the point; 0: the default. */
static inline void put_idb(struct bytes *b, unsigned link, uint8_t tsresol)
{
	const uint8_t option[4] = {tsresol, 0, 0, 0};
	const uint32_t len = tsresol != 0 ? 32 : 20;

	put_u32(b, 1);
	put_u32(b, len);
	put_u16(b, link);
	put_u16(b, 0);
	put_u32(b, 262144);
	if (tsresol != 0) {
		put_u16(b, 9);
		put_u16(b, 1);
		put8(b, option, 4);
		put_u32(b, 0);
	}
	put_u32(b, len);
}

static inline void put_epb(struct bytes *b, uint32_t iface, uint64_t t, const void *data,
			   uint32_t len)
{
	const uint32_t padded = (len + 3) / 4 * 4;

	put_u32(b, 6);
	put_u32(b, 32 + padded);
	put_u32(b, iface);
	put_u32(b, (uint32_t)(t >> 32));
	put_u32(b, (uint32_t)t);
	put_u32(b, len);
	put_u32(b, len + 4);
	put8(b, data, len);
	put8(b, "\0\0\0", padded - len);
	put_u32(b, 32 + padded);
}

static inline void make_pcapng(struct bytes *b, uint8_t tsresol, unsigned tag)
{
	const uint64_t unit = tsresol == 9 ? 1000 : 1;

	b->n = 0;
	put_shb(b);
	put_idb(b, 1, tsresol);
	for (unsigned i = 0; i < FRAMES; i++) {
		const uint64_t us = T0_S * 1000000ull + i * 1000000ull + i + 7;

		put_epb(b, 0, us * unit + (unit - 1), frame_data(tag, i), frame_len(i));
	}
}

static inline void pack_gzip(const struct bytes *in, struct bytes *out)
{
	z_stream z = {0};

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)in->p;
	z.avail_in = (uInt)in->n;
	z.next_out = out->p + out->n;
	z.avail_out = (uInt)(sizeof(out->p) - out->n);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out->n = sizeof(out->p) - z.avail_out;
	(void)deflateEnd(&z);
}

static inline void pack_zstd(const struct bytes *in, struct bytes *out)
{
	const size_t n = ZSTD_compress(out->p + out->n, sizeof(out->p) - out->n, in->p, in->n, 3);

	assert_false(ZSTD_isError(n));
	out->n += n;
}

#endif
