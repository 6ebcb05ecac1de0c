/* SPDX-License-Identifier: BSD-3-Clause */
#include "pin_cpus.h"

#include "../values.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One "N" or "N-M" at *at, and the comma behind it. 1, 0 at the end, -EINVAL. */
static int next_span(const char **at, const char *end, unsigned *lo, unsigned *hi)
{
	unsigned v[2] = {0, 0};
	int parts = 0;

	if (*at == end)
		return 0;
	for (;;) {
		const char *digits = *at;

		for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
			v[parts] = v[parts] * 10 + (unsigned)(**at - '0');
			if (v[parts] >= PIN_CPU_CAP)
				return -EINVAL;
		}
		if (*at == digits)
			return -EINVAL;
		if (++parts == 2 || *at == end || **at != '-')
			break;
		(*at)++;
	}
	*lo = v[0];
	*hi = parts == 2 ? v[1] : v[0];
	if (*hi < *lo)
		return -EINVAL;
	if (*at < end && *(*at)++ != ',')
		return -EINVAL;
	/* A comma with nothing behind it. */
	return *at == end && (*at)[-1] == ',' ? -EINVAL : 1;
}

int pin_cpus_parse(const char *text, size_t len, struct pin_cpus *out)
{
	struct pin_cpus found = {0};
	const char *end = text + len;
	unsigned lo, hi;
	int rc;

	while (end > text && (end[-1] == '\n' || end[-1] == ' '))
		end--;
	if (end - text == 6 && memcmp(text, "(null)", 6) == 0)
		end = text;
	while ((rc = next_span(&text, end, &lo, &hi)) > 0)
		for (; lo <= hi; lo++)
			pin_cpus_add(&found, lo);
	if (rc == 0)
		*out = found;
	return rc;
}

int pin_cores_parse(const char *text, struct pin_cores *out, char *err, size_t cap)
{
	struct pin_cores found = {.n = 0};
	struct pin_cpus seen = {0};
	const char *at = text, *end = text + strlen(text);
	char q[VALUE_QUOTE_CAP];
	unsigned lo, hi;
	int rc;

	while ((rc = next_span(&at, end, &lo, &hi)) > 0) {
		for (; lo <= hi; lo++) {
			if (pin_cpus_has(&seen, lo)) {
				(void)snprintf(err, cap, "CPU %u is given twice; give it once", lo);
				return -EINVAL;
			}
			if (found.n == PIN_CORES_CAP) {
				(void)snprintf(err, cap, "more than %u CPUs; give %u at most",
					       PIN_CORES_CAP, PIN_CORES_CAP);
				return -EINVAL;
			}
			pin_cpus_add(&seen, lo);
			found.v[found.n++] = (uint16_t)lo;
		}
	}
	if (rc < 0 || found.n == 0) {
		(void)snprintf(err, cap, "%s is no list of CPUs; give one such as 2-5,8",
			       value_quote(q, text));
		return -EINVAL;
	}
	*out = found;
	return 0;
}

void pin_cpus_add(struct pin_cpus *s, unsigned cpu)
{
	if (cpu < PIN_CPU_CAP)
		s->bits[cpu / 64] |= 1ull << cpu % 64;
}

bool pin_cpus_has(const struct pin_cpus *s, unsigned cpu)
{
	return cpu < PIN_CPU_CAP && (s->bits[cpu / 64] >> cpu % 64 & 1) != 0;
}

unsigned pin_cpus_count(const struct pin_cpus *s)
{
	unsigned n = 0;

	for (size_t i = 0; i < PIN_CPU_CAP / 64; i++)
		n += (unsigned)__builtin_popcountll(s->bits[i]);
	return n;
}

bool pin_cpus_equal(const struct pin_cpus *a, const struct pin_cpus *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Appends "A" or "A-B"; what does not fit any more becomes "...", and false. */
static bool add_span(char *out, size_t cap, unsigned lo, unsigned hi)
{
	const size_t at = strlen(out), room = cap - at;
	char span[32];

	if (at >= 3 && strcmp(out + at - 3, "...") == 0)
		return false;
	if (hi > lo)
		(void)snprintf(span, sizeof(span), "%s%u-%u", at > 0 ? "," : "", lo, hi);
	else
		(void)snprintf(span, sizeof(span), "%s%u", at > 0 ? "," : "", lo);
	const bool fits = room > strlen(span) + 4;
	(void)snprintf(out + at, room, "%s", fits ? span : "...");
	return fits;
}

bool pin_cpus_list(const struct pin_cpus *s, char *out, size_t cap)
{
	bool fits = true;

	out[0] = '\0';
	for (unsigned lo = 0, hi; lo < PIN_CPU_CAP; lo = hi + 1) {
		for (hi = lo; pin_cpus_has(s, hi); hi++)
			;
		if (hi > lo)
			fits = add_span(out, cap, lo, hi - 1) && fits;
	}
	return fits;
}

const char *pin_cpus_text(const struct pin_cpus *s, char out[PIN_LIST_CAP])
{
	(void)pin_cpus_list(s, out, PIN_LIST_CAP);
	if (out[0] == '\0')
		(void)snprintf(out, PIN_LIST_CAP, "none");
	return out;
}

const char *pin_cores_text(const struct pin_cores *c, char out[PIN_LIST_CAP])
{
	out[0] = '\0';
	for (size_t i = 0, end; i < c->n; i = end) {
		for (end = i + 1; end < c->n && c->v[end] == c->v[end - 1] + 1; end++)
			;
		(void)add_span(out, PIN_LIST_CAP, c->v[i], c->v[end - 1]);
	}
	return out;
}
