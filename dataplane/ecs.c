/* SPDX-License-Identifier: BSD-3-Clause */
#include "ecs.h"

#include "cursor.h"

#define FIXED_BYTES 4u /* family, two lengths of prefixes */
#define V4_BITS 32u
#define V6_BITS 128u

bool ecs_read(const uint8_t *option, uint32_t len, struct ecs_scope *out)
{
	if (len < FIXED_BYTES)
		return false;
	const uint32_t family = load_u16_be(option), source = option[2], scope = option[3];
	const uint32_t most = family == 1 ? V4_BITS : family == 2 ? V6_BITS : 0;
	const uint32_t bits = scope < source ? scope : source;

	if (source > most || scope > most || bits == 0 || len != FIXED_BYTES + (source + 7) / 8)
		return false;
	*out = (struct ecs_scope){.bits = (uint8_t)(V6_BITS - most + bits)};
	if (family == 1)
		out->prefix.b[10] = out->prefix.b[11] = 0xff;
	uint8_t *to = out->prefix.b + (V6_BITS - most) / 8;
	memcpy(to, option + FIXED_BYTES, (bits + 7) / 8);
	if (bits % 8 != 0)
		to[bits / 8] &= (uint8_t)(0xff00u >> bits % 8);
	return true;
}

uint64_t ecs_view(const struct ecs_scope *scope, uint64_t view)
{
	return addr_fold(&scope->prefix, view + scope->bits * 0x9e3779b97f4a7c15ull);
}
