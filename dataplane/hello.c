/* SPDX-License-Identifier: BSD-3-Clause */
#include "hello.h"

#include "cursor.h"

#define RECORD_BYTES 5u

enum { RECORD_HANDSHAKE = 22, HANDSHAKE_CLIENT = 1, HANDSHAKE_SERVER = 2 };
enum { EXT_SERVER_NAME = 0, EXT_ALPN = 16, EXT_VERSIONS = 43, TLS13 = 0x0304 };
enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_TFO = 34, OPTION_EXPERIMENT = 254 };

#define TFO_MAGIC 0xf989u

/* The first name of type host_name (RFC 6066 3). */
static void read_name(struct cursor c, struct hello *out)
{
	cursor_skip(&c, 2);
	const uint8_t type = cursor_u8(&c);
	const uint32_t len = cursor_u16(&c);

	if (c.bad || type != 0 || len == 0 || len > HELLO_NAME_CAP || !cursor_has(&c, len))
		return;
	out->name = c.base + c.off;
	out->name_len = (uint8_t)len;
}

static void read_alpn(struct cursor c, struct hello *out)
{
	cursor_skip(&c, 2);
	while (!c.bad && c.off < c.end) {
		const uint32_t len = cursor_u8(&c);
		if (len == 3 && cursor_has(&c, len) && memcmp(c.base + c.off, "dot", 3) == 0)
			out->alpn_dot = true;
		cursor_skip(&c, len);
	}
}

static void read_extensions(struct cursor *c, struct hello *out)
{
	const uint32_t all = cursor_u16(c);

	if (cursor_has(c, all)) /* else as far as they are there */
		c->end = c->off + all;
	while (!c->bad && c->off < c->end) {
		const uint16_t type = cursor_u16(c);
		const uint32_t len = cursor_u16(c);
		if (!cursor_has(c, len))
			return;
		struct cursor ext = cursor_init(c->base, c->off, c->off + len);
		if (out->kind == HELLO_SERVER && type == EXT_VERSIONS)
			out->tls13 = cursor_u16(&ext) == TLS13;
		else if (out->kind == HELLO_CLIENT && type == EXT_SERVER_NAME)
			read_name(ext, out);
		else if (out->kind == HELLO_CLIENT && type == EXT_ALPN)
			read_alpn(ext, out);
		cursor_skip(c, len);
	}
}

void hello_read(const uint8_t *p, uint32_t len, struct hello *out)
{
	static const uint8_t most[] = {RECORD_HANDSHAKE, 3};

	*out = (struct hello){.kind = HELLO_NONE};
	for (uint32_t i = 0; i < sizeof(most); i++)
		if (i < len && p[i] != most[i])
			return;
	out->kind = HELLO_SHORT;
	if (len <= RECORD_BYTES)
		return;
	const uint8_t type = p[RECORD_BYTES];
	out->kind = type == HANDSHAKE_CLIENT   ? HELLO_CLIENT
		    : type == HANDSHAKE_SERVER ? HELLO_SERVER
					       : HELLO_NONE;
	const uint32_t end = RECORD_BYTES + load_u16_be(p + 3);
	if (out->kind == HELLO_NONE || end < RECORD_BYTES + 4) {
		out->kind = HELLO_NONE;
		return;
	}
	out->whole = end <= len;
	struct cursor c = cursor_init(p, RECORD_BYTES, out->whole ? end : len);
	cursor_skip(&c, 4 + 2 + 32); /* type and length, version, random */
	cursor_skip(&c, cursor_u8(&c));
	if (out->kind == HELLO_CLIENT) {
		cursor_skip(&c, cursor_u16(&c)); /* cipher suites */
		cursor_skip(&c, cursor_u8(&c));  /* compression */
	} else {
		cursor_skip(&c, 3); /* the ones that were chosen */
	}
	read_extensions(&c, out);
}

bool hello_is_quic(const uint8_t *p, uint32_t len)
{
	if (len < 7 || (p[0] & 0x80) == 0)
		return false;
	const uint32_t version = load_u32_be(p + 1);
	const bool known = version == 1 || version == 0x6b3343cf || version >> 8 == 0xff0000 ||
			   (version & 0x0f0f0f0f) == 0x0a0a0a0a;

	/* Version negotiation has no fixed bit; it answers what had one. */
	return version == 0 || (known && (p[0] & 0x40) != 0 && p[5] <= 20);
}

enum hello_tfo hello_tfo(const uint8_t *options, uint32_t len)
{
	struct cursor c = cursor_init(options, 0, len);

	while (!c.bad && c.off < c.end) {
		const uint8_t kind = cursor_u8(&c);
		if (kind == OPTION_END)
			break;
		if (kind == OPTION_NOP)
			continue;
		uint32_t n = cursor_u8(&c);
		if (n < 2 || !cursor_has(&c, n - 2))
			break;
		n -= 2;
		const bool old =
		    kind == OPTION_EXPERIMENT && n >= 2 && load_u16_be(c.base + c.off) == TFO_MAGIC;
		const uint32_t cookie = old ? n - 2 : n;
		if (kind == OPTION_TFO || old) {
			if (cookie == 0)
				return HELLO_TFO_REQUEST;
			if (cookie >= 4 && cookie <= 16 && cookie % 2 == 0)
				return HELLO_TFO_COOKIE;
		}
		cursor_skip(&c, n);
	}
	return HELLO_TFO_NONE;
}
