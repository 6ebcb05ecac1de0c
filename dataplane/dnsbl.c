/* SPDX-License-Identifier: BSD-3-Clause */
#include "dnsbl.h"

#include "name_text.h"

#include <arpa/inet.h>
#include <fluxtap/dns.h>
#include <string.h>

#define NIBBLES 32u

enum { HEX = 1, BASE32 = 2, ZBASE32 = 4 };
/* clang-format off */
static const uint8_t digits[256] = {
#define H HEX | BASE32 | ZBASE32
#define B BASE32 | ZBASE32
	['0'] = HEX, ['1'] = HEX | ZBASE32, ['2'] = HEX | BASE32, ['3'] = H, ['4'] = H, ['5'] = H,
	['6'] = H, ['7'] = H, ['8'] = HEX | ZBASE32, ['9'] = HEX | ZBASE32,
	['a'] = H, ['b'] = H, ['c'] = H, ['d'] = H, ['e'] = H, ['f'] = H, ['g'] = B, ['h'] = B,
	['i'] = B, ['j'] = B, ['k'] = B, ['l'] = BASE32, ['m'] = B, ['n'] = B, ['o'] = B,
	['p'] = B, ['q'] = B, ['r'] = B, ['s'] = B, ['t'] = B, ['u'] = B, ['v'] = BASE32,
	['w'] = B, ['x'] = B, ['y'] = B, ['z'] = B,
#undef H
#undef B
};
/* clang-format on */

static uint32_t nibble_of(uint8_t c)
{
	return c <= '9' ? c - '0' + 0u : c - 'a' + 10u;
}

/* A label that is a decimal octet, in its only spelling; -1 for any other. */
static int octet_of(const uint8_t *label)
{
	const uint32_t n = label[0];
	uint32_t value = 0;

	if (n == 0 || n > 3 || (n > 1 && label[1] == '0'))
		return -1;
	for (uint32_t i = 1; i <= n; i++) {
		if (label[i] < '0' || label[i] > '9')
			return -1;
		value = value * 10 + (label[i] - '0' + 0u);
	}
	return value <= 255 ? (int)value : -1;
}

/* Labels come last octet first. */
static bool read_ipv4(const uint8_t *folded, uint8_t addr[4])
{
	for (uint32_t i = 4, at = 0; i > 0; at += folded[at] + 1u) {
		const int octet = octet_of(folded + at);

		if (octet < 0)
			return false;
		addr[--i] = (uint8_t)octet;
	}
	return true;
}

static bool read_ipv6(const uint8_t *folded, uint32_t zone_off, uint8_t addr[16])
{
	if (zone_off != 2 * NIBBLES)
		return false;
	memset(addr, 0, 16);
	for (uint32_t i = 0; i < NIBBLES; i++) {
		const uint8_t *label = folded + 2 * i;
		const uint32_t back = NIBBLES - 1 - i;

		if (label[0] != 1 || (digits[label[1]] & HEX) == 0)
			return false;
		addr[back / 2] |= (uint8_t)(nibble_of(label[1]) << (back % 2 == 0 ? 4 : 0));
	}
	return true;
}

static bool is_hash(const uint8_t *label)
{
	const uint32_t n = label[0];
	uint8_t all = HEX | BASE32 | ZBASE32;

	if (n != 32 && n != 40)
		return false;
	for (uint32_t i = 1; i <= n; i++)
		all &= digits[label[i]];
	return n == 32 ? all != 0 : (all & HEX) != 0;
}

/* The prefix as a name of its own, with a root. */
static uint32_t cut_prefix(const uint8_t *folded, uint32_t zone_off, uint8_t out[FT_NAME_CAP])
{
	memcpy(out, folded, zone_off);
	out[zone_off] = 0;
	return zone_off + 1;
}

/* Form of the prefix, or DNSBL_FORM_CAP; where it is an address, that as well. */
static enum dnsbl_form form_of(const struct psl *psl, const uint8_t *folded, uint32_t zone_off,
			       uint8_t addr[16])
{
	uint8_t prefix[FT_NAME_CAP];
	uint32_t labels = 0, len;

	for (uint32_t at = 0; at < zone_off; at += folded[at] + 1u)
		labels++;
	if (labels == 4 && read_ipv4(folded, addr))
		return DNSBL_IPV4;
	if (labels == NIBBLES && read_ipv6(folded, zone_off, addr))
		return DNSBL_IPV6;
	if (labels == 1 && is_hash(folded))
		return DNSBL_HASH;
	if (labels < 2)
		return DNSBL_FORM_CAP;
	len = cut_prefix(folded, zone_off, prefix);
	return psl_knows_tld(psl, prefix, len) ? DNSBL_DOMAIN : DNSBL_FORM_CAP;
}

/* Lists where each customer has a key, as a label in front of the zone. */
static bool is_keyed(const uint8_t *zone)
{
	static const char keyed[] = "\2dq\10spamhaus\3net";

	while (zone[0] != 0 && strncmp((const char *)zone, keyed, sizeof(keyed)) != 0)
		zone += zone[0] + 1u;
	return zone[0] != 0;
}

/* The form, and where what is asked about ends: before the zone, or before the key. */
static enum dnsbl_form read_form(const struct psl *psl, const uint8_t *folded, uint32_t zone_off,
				 uint8_t addr[16], uint32_t *end)
{
	const enum dnsbl_form form = form_of(psl, folded, zone_off, addr);
	uint32_t key = 0;

	*end = zone_off;
	if (form != DNSBL_FORM_CAP || zone_off == 0 || !is_keyed(folded + zone_off))
		return form;
	for (uint32_t at = 0; at < zone_off; at += folded[at] + 1u)
		key = at;
	*end = key;
	return form_of(psl, folded, key, addr);
}

bool dnsbl_has_form(const struct psl *psl, const uint8_t *folded, uint32_t zone_off)
{
	uint8_t addr[16];
	uint32_t end;

	return read_form(psl, folded, zone_off, addr, &end) != DNSBL_FORM_CAP;
}

bool dnsbl_read(const struct psl *psl, const uint8_t *folded, uint32_t zone_off,
		struct dnsbl_subject *out)
{
	uint8_t addr[16], prefix[FT_NAME_CAP];
	uint32_t end;
	const enum dnsbl_form form = read_form(psl, folded, zone_off, addr, &end);

	switch (form) {
	case DNSBL_IPV4: inet_ntop(AF_INET, addr, out->text, sizeof(out->text)); break;
	case DNSBL_IPV6: inet_ntop(AF_INET6, addr, out->text, sizeof(out->text)); break;
	case DNSBL_HASH:
	case DNSBL_DOMAIN:
		name_text(prefix, cut_prefix(folded, end, prefix), out->text, false);
		break;
	default: return false;
	}
	out->form = form;
	out->zone_off = (uint8_t)zone_off;
	return true;
}
