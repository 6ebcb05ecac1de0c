/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcapng.h"

#include <string.h>

#define HEAD_BYTES 16u /* holds every field that matters here */
#define BLOCK_MIN_BYTES 12u
#define IDB_MIN_BYTES 20u
#define SPB_MIN_BYTES 16u
#define SNAPLEN_OFF 12u /* in an interface description block */
#define WIRE_LEN_OFF 8u /* in a simple packet block */
#define ORDER_OFF 8u    /* in a section header block */
#define ORDER_MAGIC 0x1a2b3c4du
#define LIBPCAP_MAX_BYTES 262144u /* what libpcap takes for no limit, for our link types */

/* pcapng, section 11.1 */
enum block_type {
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET = 2, /* obsolete */
	BLOCK_SIMPLE_PACKET = 3,
	BLOCK_ENHANCED_PACKET = 6,
	BLOCK_SECTION = 0x0a0d0d0a, /* the same in both byte orders */
};

static uint32_t get_u32(const struct pcapng *g, const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return g->swapped ? __builtin_bswap32(v) : v;
}

static void put_u32(const struct pcapng *g, uint8_t *p, uint32_t v)
{
	if (g->swapped)
		v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

/* The limit that libpcap makes of a snapshot length. */
static uint32_t limit(uint32_t snaplen)
{
	return snaplen == 0 || snaplen > INT32_MAX ? LIBPCAP_MAX_BYTES : snaplen;
}

/* Reads the head of a block: its type and length, and who is first in file and
 * section. False, and off, where it makes no sense: libpcap will say so. */
static bool read_head(struct pcapng *g, const uint8_t *p, uint32_t *type, uint32_t *len)
{
	*type = get_u32(g, p);
	if (*type == BLOCK_SECTION) {
		if (get_u32(g, p + ORDER_OFF) != ORDER_MAGIC)
			g->swapped = !g->swapped;
		g->on = get_u32(g, p + ORDER_OFF) == ORDER_MAGIC;
		g->section_iface = false;
	}
	*len = get_u32(g, p + 4);
	g->on = g->on && *len >= BLOCK_MIN_BYTES && *len % 4 == 0;
	if (!g->on || *type != BLOCK_INTERFACE)
		return g->on;
	g->on = *len >= IDB_MIN_BYTES;

	const uint32_t snaplen = get_u32(g, p + SNAPLEN_OFF);

	if (!g->iface)
		g->snaplen = snaplen;
	if (!g->section_iface)
		g->section_snaplen = snaplen;
	g->iface = g->section_iface = true;
	return g->on;
}

bool pcapng_look(struct pcapng *g, const uint8_t *p, size_t len)
{
	uint32_t type, block_len;

	while (g->look_off < len && len - g->look_off >= HEAD_BYTES) {
		const uint8_t *head = p + g->look_off;

		if (!read_head(g, head, &type, &block_len))
			return true;
		if (type == BLOCK_PACKET || type == BLOCK_SIMPLE_PACKET ||
		    type == BLOCK_ENHANCED_PACKET)
			return true;
		if (type == BLOCK_INTERFACE)
			g->mixed = limit(get_u32(g, head + SNAPLEN_OFF)) != limit(g->snaplen);
		if (g->mixed)
			return true;
		g->look_off += block_len;
	}
	return len >= 4 && get_u32(g, p) != BLOCK_SECTION;
}

static void edit_head(struct pcapng *g, uint8_t *p)
{
	uint32_t type, len;

	if (!read_head(g, p, &type, &len))
		return;
	g->left_bytes = len;

	const uint32_t shown = g->mixed ? 0 : g->snaplen;
	const uint32_t own = limit(g->section_snaplen);

	if (type == BLOCK_INTERFACE && limit(get_u32(g, p + SNAPLEN_OFF)) != limit(shown))
		put_u32(g, p + SNAPLEN_OFF, shown);
	else if (type == BLOCK_SIMPLE_PACKET && len >= SPB_MIN_BYTES && g->section_iface &&
		 own < limit(shown) && get_u32(g, p + WIRE_LEN_OFF) > own)
		put_u32(g, p + WIRE_LEN_OFF, own);
}

size_t pcapng_pass(struct pcapng *g, uint8_t *p, size_t len, size_t want)
{
	const size_t end = len < want ? len : want;
	size_t n = 0;

	while (g->on && n < end) {
		if (g->left_bytes == 0) {
			if (len - n < HEAD_BYTES)
				return n;
			edit_head(g, p + n);
			continue;
		}

		const size_t step = g->left_bytes < end - n ? g->left_bytes : end - n;

		g->left_bytes -= (uint32_t)step;
		n += step;
	}
	return g->on ? n : end;
}
