/* SPDX-License-Identifier: BSD-3-Clause */
#include "field.h"

#include "../dataplane/name_text.h"

#include <fluxtap/dns.h>

void field_count(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

void field_name(json_t *o, const char *key, const uint8_t *name, size_t n)
{
	char text[NAME_TEXT_CAP];

	if (n != 0)
		(void)name_text(name, (uint32_t)n, text, true);
	json_object_set_new(o, key, n != 0 ? json_string(text) : json_null());
}

void field_fold(uint8_t *out, const uint8_t *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(name[i] + (name[i] >= 'A' && name[i] <= 'Z' ? 32 : 0));
}

void field_name_folded(json_t *o, const char *key, const uint8_t *name, size_t n)
{
	uint8_t folded[FT_NAME_CAP];

	field_fold(folded, name, n);
	field_name(o, key, folded, n);
}
