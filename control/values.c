/* SPDX-License-Identifier: BSD-3-Clause */
#include "values.h"

#include "pin/pin_cpus.h"
#include "view/http_addr.h"

#include <fluxtap/rec_tables.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CPU_MAX 8191u
#define CPU_SETS ((CPU_MAX + CPU_SETSIZE) / CPU_SETSIZE)
#define CPUS_CAP 64u /* workers, FT_WORKER_CAP */
#define PORTS_CAP 64u
#define ITEM_CAP 64u /* octets of one item of a list of numbers or prefixes */
#define DAY_S 86400u

bool value_is_list(enum value_type type)
{
	return type >= VALUE_TEXTS;
}

const char *value_quote(char out[VALUE_QUOTE_CAP], const char *text)
{
	const size_t room = VALUE_QUOTE_CAP - 6; /* quotes, dots, end */
	size_t n = 0;

	out[n++] = '"';
	for (; *text != '\0' && n < room; text++)
		out[n++] = iscntrl((unsigned char)*text) ? '?' : *text;
	if (*text != '\0') {
		while (((unsigned char)out[n - 1] & 0xc0) ==
		       0x80) /* no half of a UTF-8 character */
			n--;
		if ((unsigned char)out[n - 1] >= 0xc0)
			n--;
		memcpy(out + n, "...", 3);
		n += 3;
	}
	out[n++] = '"';
	out[n] = '\0';
	return out;
}

static int refuse_number(const struct value_range *r, const char *text, const char *what, char *why,
			 size_t cap)
{
	char q[VALUE_QUOTE_CAP];

	snprintf(why, cap, "%s %s; give a whole number%s%s from %" PRIu64 " to %" PRIu64,
		 value_quote(q, text), what, r->unit ? " of " : "", r->unit ? r->unit : "", r->min,
		 r->max);
	return -EINVAL;
}

static int put_number(const struct value_range *r, const char *text, uint64_t *out, char *why,
		      size_t cap)
{
	uint64_t v = 0;

	if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0')
		return refuse_number(r, text, "is not a whole number", why, cap);
	for (const char *p = text; *p != '\0'; p++) {
		const uint64_t digit = (uint64_t)(*p - '0');

		if (v > (UINT64_MAX - digit) / 10)
			return refuse_number(r, text, "is out of range", why, cap);
		v = v * 10 + digit;
	}
	if (v < r->min || v > r->max)
		return refuse_number(r, text, "is out of range", why, cap);
	*out = v;
	return 0;
}

static int put_flag(const char *text, bool *out, char *why, size_t cap)
{
	static const char *const yes[] = {"true", "yes", "on", "1"};
	static const char *const no[] = {"false", "no", "off", "0"};
	char q[VALUE_QUOTE_CAP];

	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
			*out = strcasecmp(text, yes[i]) == 0;
			return 0;
		}
	}
	snprintf(why, cap, "%s is neither yes nor no; give true or false", value_quote(q, text));
	return -EINVAL;
}

static int out_of_memory(char *why, size_t cap)
{
	snprintf(why, cap, "out of memory; give the machine more");
	return -ENOMEM;
}

static int put_text(const char *text, char **out, char *why, size_t cap)
{
	if (text[0] == '\0') {
		snprintf(why, cap, "the value is empty; give one or leave the setting out");
		return -EINVAL;
	}
	char *copy = strdup(text);

	if (copy == NULL)
		return out_of_memory(why, cap);
	free(*out);
	*out = copy;
	return 0;
}

/* Makes room for one more element of `size` octets; *v stays valid on failure. */
static int list_grow(void *v, size_t n, size_t size)
{
	void *old, *grown;

	if ((n & (n - 1)) != 0) /* room is the next power of two */
		return 0;
	memcpy(&old, v, sizeof old);
	grown = realloc(old, (n ? 2 * n : 1) * size);
	if (grown == NULL)
		return -ENOMEM;
	memcpy(v, &grown, sizeof grown);
	return 0;
}

static int put_one_text(const char *text, struct config_texts *out, char *why, size_t cap)
{
	char *copy = NULL;
	const int rc = put_text(text, &copy, why, cap);

	if (rc != 0)
		return rc;
	if (list_grow(&out->v, out->n, sizeof *out->v) != 0) {
		free(copy);
		return out_of_memory(why, cap);
	}
	out->v[out->n++] = copy;
	return 0;
}

static int put_u16(struct config_u16s *out, unsigned long v, size_t most, const char *what,
		   char *why, size_t cap)
{
	for (size_t i = 0; i < out->n; i++) {
		if (out->v[i] == v) {
			snprintf(why, cap, "%s %lu is given twice; give it once", what, v);
			return -EINVAL;
		}
	}
	if (out->n == most) {
		snprintf(why, cap, "more than %zu in the list; give %zu at most", most, most);
		return -EINVAL;
	}
	if (list_grow(&out->v, out->n, sizeof *out->v) != 0)
		return out_of_memory(why, cap);
	out->v[out->n++] = (uint16_t)v;
	return 0;
}

/* Reads "N" or "N-M" with N <= M <= max; false if it is anything else. */
static bool read_span(const char *text, unsigned long max, unsigned long *lo, unsigned long *hi)
{
	char *rest;

	if (!isdigit((unsigned char)*text))
		return false;
	*lo = *hi = strtoul(text, &rest, 10);
	if (*rest == '-') {
		if (!isdigit((unsigned char)rest[1]))
			return false;
		*hi = strtoul(rest + 1, &rest, 10);
	}
	return *rest == '\0' && *lo <= *hi && *hi <= max;
}

int value_allowed_cpus(struct config_u16s *out)
{
	cpu_set_t sets[CPU_SETS];
	struct config_u16s found = {0};

	memset(sets, 0, sizeof sets);
	if (sched_getaffinity(0, sizeof sets, sets) != 0)
		return -errno;
	for (unsigned cpu = 0; cpu <= CPU_MAX; cpu++) {
		if (!CPU_ISSET_S(cpu, sizeof sets, sets))
			continue;
		if (list_grow(&found.v, found.n, sizeof *found.v) != 0) {
			free(found.v);
			return -ENOMEM;
		}
		found.v[found.n++] = (uint16_t)cpu;
	}
	*out = found;
	return 0;
}

static void cpus_text(const struct config_u16s *cpus, char *out, size_t cap)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0, end; i < cpus->n && len < cap; i = end) {
		for (end = i + 1; end < cpus->n && cpus->v[end] == cpus->v[end - 1] + 1; end++)
			;
		const char *comma = i ? "," : "";
		const int n = end - i > 1
				  ? snprintf(out + len, cap - len, "%s%u-%u", comma, cpus->v[i],
					     cpus->v[end - 1])
				  : snprintf(out + len, cap - len, "%s%u", comma, cpus->v[i]);
		len += (size_t)n;
	}
}

static bool has_cpu(const struct config_u16s *cpus, unsigned long cpu)
{
	for (size_t i = 0; i < cpus->n; i++) {
		if (cpus->v[i] == cpu)
			return true;
	}
	return false;
}

/* CPUs that the kernel was told to keep free (isolcpus) are in no process's mask, but run
 * who asks for them: just what workers want. Whether it may is learnt by trying. */
static bool can_have_isolated(unsigned long cpu)
{
	cpu_set_t before[CPU_SETS], one[CPU_SETS];
	struct pin_cpus isolated = {0};
	char text[4096] = "";
	FILE *f = fopen("/sys/devices/system/cpu/isolated", "re");
	const bool read = f != NULL && fgets(text, sizeof text, f) != NULL;

	if (f != NULL)
		(void)fclose(f);
	if (!read || cpu > CPU_MAX || pin_cpus_parse(text, strlen(text), &isolated) != 0 ||
	    !pin_cpus_has(&isolated, (unsigned)cpu))
		return false;
	memset(one, 0, sizeof one);
	CPU_SET_S(cpu, sizeof one, one);
	memset(before, 0, sizeof before);
	if (sched_getaffinity(0, sizeof before, before) != 0 ||
	    sched_setaffinity(0, sizeof one, one) != 0)
		return false;
	return sched_setaffinity(0, sizeof before, before) == 0;
}

static int put_cpus(const char *item, struct config_u16s *out, char *why, size_t cap)
{
	struct config_u16s have;
	unsigned long lo, hi;
	char q[VALUE_QUOTE_CAP], text[256];
	int rc = value_allowed_cpus(&have);

	if (rc != 0) {
		snprintf(why, cap, "cannot learn which CPUs there are: %s", strerror(-rc));
		return rc;
	}
	cpus_text(&have, text, sizeof text);
	if (!read_span(item, ULONG_MAX, &lo, &hi)) {
		snprintf(why, cap, "%s is no CPU and no range such as 0-3; there are CPUs %s",
			 value_quote(q, item), text);
		rc = -EINVAL;
	}
	for (; rc == 0 && lo <= hi; lo++) {
		if (!has_cpu(&have, lo) && !can_have_isolated(lo)) {
			snprintf(why, cap,
				 "CPU %lu does not exist or this process may not use it; "
				 "there are CPUs %s",
				 lo, text);
			rc = -EINVAL;
		} else {
			rc = put_u16(out, lo, CPUS_CAP, "CPU", why, cap);
		}
	}
	free(have.v);
	return rc;
}

static int put_port(const char *item, struct config_u16s *out, char *why, size_t cap)
{
	static const struct value_range range = {1, 65535, NULL};
	uint64_t port;
	const int rc = put_number(&range, item, &port, why, cap);

	return rc != 0 ? rc : put_u16(out, port, PORTS_CAP, "port", why, cap);
}

/* Clears the bits from `bits` on; true if one of them was set. */
static bool mask_addr(uint8_t addr[16], unsigned bits)
{
	bool set = false;

	for (unsigned i = 0; i < 16; i++) {
		const unsigned kept = bits >= 8 * (i + 1) ? 8 : bits > 8 * i ? bits - 8 * i : 0;
		const uint8_t mask = (uint8_t)(0xff00u >> kept);

		set |= (addr[i] & (uint8_t)~mask) != 0;
		addr[i] &= mask;
	}
	return set;
}

static int read_prefix(char *item, struct config_prefix *p, char *why, size_t cap)
{
	char q[VALUE_QUOTE_CAP], right[INET6_ADDRSTRLEN];
	char *slash = strchr(item, '/');
	const bool v6 = strchr(item, ':') != NULL;
	const unsigned width = v6 ? 128 : 32;
	unsigned long len = width, same;

	value_quote(q, item);
	if (slash != NULL) {
		*slash++ = '\0';
		if (strchr(slash, '-') != NULL || !read_span(slash, width, &len, &same)) {
			snprintf(why, cap, "%s has no usable length; give one from /0 to /%u", q,
				 width);
			return -EINVAL;
		}
	}
	memcpy(p->addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0\0", 16);
	if (inet_pton(v6 ? AF_INET6 : AF_INET, item, v6 ? p->addr : p->addr + 12) != 1) {
		snprintf(why, cap,
			 "%s is no address or prefix; "
			 "give one such as 192.0.2.0/24 or 2001:db8::/32",
			 q);
		return -EINVAL;
	}
	p->bits = (uint8_t)(len + 128 - width);
	if (mask_addr(p->addr, p->bits)) {
		inet_ntop(v6 ? AF_INET6 : AF_INET, v6 ? p->addr : p->addr + 12, right,
			  sizeof right);
		snprintf(why, cap, "%s has bits set beyond its length; %s/%lu would be right", q,
			 right, len);
		return -EINVAL;
	}
	return 0;
}

static int put_prefix(char *item, struct config_prefixes *out, char *why, size_t cap)
{
	struct config_prefix p;
	const int rc = read_prefix(item, &p, why, cap);

	if (rc != 0)
		return rc;
	if (list_grow(&out->v, out->n, sizeof *out->v) != 0)
		return out_of_memory(why, cap);
	out->v[out->n++] = p;
	return 0;
}

static int put_item(enum value_type type, const char *at, size_t len, void *field, char *why,
		    size_t cap)
{
	char item[ITEM_CAP], q[VALUE_QUOTE_CAP];

	for (; len > 0 && isspace((unsigned char)*at); at++)
		len--;
	while (len > 0 && isspace((unsigned char)at[len - 1]))
		len--;
	if (len == 0) {
		snprintf(why, cap, "an item of the list is empty; separate items by one comma");
		return -EINVAL;
	}
	snprintf(item, sizeof item, "%.*s", len < sizeof item ? (int)len : (int)sizeof item, at);
	if (len >= sizeof item) {
		snprintf(why, cap, "%s is too long; separate items by commas",
			 value_quote(q, item));
		return -EINVAL;
	}
	switch (type) {
	case VALUE_CPUS: return put_cpus(item, field, why, cap);
	case VALUE_PORTS: return put_port(item, field, why, cap);
	case VALUE_PREFIXES: return put_prefix(item, field, why, cap);
	default: return put_one_text(item, field, why, cap);
	}
}

static int put_items(enum value_type type, const char *text, void *field, char *why, size_t cap)
{
	for (;;) {
		const size_t len = strcspn(text, ",");
		const int rc = put_item(type, text, len, field, why, cap);

		if (rc != 0 || text[len] == '\0')
			return rc;
		text += len + 1;
	}
}

int value_put(enum value_type type, const struct value_range *range, const char *text, void *field,
	      char *why, size_t cap)
{
	uint64_t number;
	int rc;

	switch (type) {
	case VALUE_FLAG: return put_flag(text, field, why, cap);
	case VALUE_TEXT: return put_text(text, field, why, cap);
	case VALUE_TEXTS: return put_one_text(text, field, why, cap);
	case VALUE_U32:
	case VALUE_U64:
		rc = put_number(range, text, &number, why, cap);
		if (rc == 0 && type == VALUE_U32)
			*(uint32_t *)field = (uint32_t)number;
		else if (rc == 0)
			*(uint64_t *)field = number;
		return rc;
	default: return put_items(type, text, field, why, cap);
	}
}

void value_clear(enum value_type type, void *field)
{
	struct config_texts *texts = field;

	switch (type) {
	case VALUE_FLAG: *(bool *)field = false; break;
	case VALUE_U32: *(uint32_t *)field = 0; break;
	case VALUE_U64: *(uint64_t *)field = 0; break;
	case VALUE_TEXT:
		free(*(char **)field);
		*(char **)field = NULL;
		break;
	case VALUE_TEXTS:
	case VALUE_WORDS:
		for (size_t i = 0; i < texts->n; i++)
			free(texts->v[i]);
		free(texts->v);
		*texts = (struct config_texts){0};
		break;
	case VALUE_CPUS:
	case VALUE_PORTS:
		free(((struct config_u16s *)field)->v);
		*(struct config_u16s *)field = (struct config_u16s){0};
		break;
	case VALUE_PREFIXES:
		free(((struct config_prefixes *)field)->v);
		*(struct config_prefixes *)field = (struct config_prefixes){0};
		break;
	}
}

int value_check_interval(const void *field, char *why, size_t cap)
{
	const uint32_t s = *(const uint32_t *)field;
	uint32_t below = s, above = s;

	if (DAY_S % s == 0)
		return 0;
	while (DAY_S % below != 0)
		below--;
	while (DAY_S % above != 0)
		above++;
	snprintf(why, cap, "%u seconds do not divide a day; %u or %u would be right", s, below,
		 above);
	return -EINVAL;
}

int value_check_power_of_two(const void *field, char *why, size_t cap)
{
	const uint32_t v = *(const uint32_t *)field;
	uint32_t below = 1;

	if ((v & (v - 1)) == 0)
		return 0;
	while (below * 2 < v)
		below *= 2;
	snprintf(why, cap, "%u is no power of two; %u or %u would be right", v, below, below * 2);
	return -EINVAL;
}

int value_check_probe(const void *field, char *why, size_t cap)
{
	static const char legal[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	const char *name = *(char *const *)field;
	char q[VALUE_QUOTE_CAP];

	if (strlen(name) <= 63 && name[strspn(name, legal)] == '\0')
		return 0;
	snprintf(why, cap,
		 "%s is no probe name; give 1 to 63 letters, digits, \"-\", \"_\" and \".\"",
		 value_quote(q, name));
	return -EINVAL;
}

int value_sample_level(const char *text)
{
	char *end;

	if (strcmp(text, "auto") == 0)
		return VALUE_SAMPLE_AUTO;
	if (strcmp(text, "1") == 0)
		return 0;
	const bool power = strncmp(text, "1/2^", 4) == 0;
	const char *digits = text + (power ? 4 : 2);
	if (strncmp(text, "1/", 2) != 0 || *digits < '0' || *digits > '9')
		return -EINVAL;
	const unsigned long n = strtoul(digits, &end, 10);
	if (*end != '\0' || n > 1ul << FT_SAMPLE_LEVEL_MAX)
		return -EINVAL;
	if (power)
		return n <= FT_SAMPLE_LEVEL_MAX ? (int)n : -EINVAL;
	return n != 0 && (n & (n - 1)) == 0 ? __builtin_ctzl(n) : -EINVAL;
}

int value_check_guard(const void *field, char *why, size_t cap)
{
	const char *text = *(char *const *)field;
	char q[VALUE_QUOTE_CAP];

	if (strcmp(text, "auto") == 0 || strcmp(text, "on") == 0 || strcmp(text, "off") == 0)
		return 0;
	snprintf(why, cap, "%s is none of auto, on, off", value_quote(q, text));
	return -EINVAL;
}

int value_dedup_ms(const char *text)
{
	static const struct value_range range = {1, VALUE_DEDUP_MS_CAP, NULL};
	char why[256];
	uint32_t ms;

	if (strcmp(text, "off") == 0)
		return 0;
	return value_put(VALUE_U32, &range, text, &ms, why, sizeof why) == 0 ? (int)ms : -EINVAL;
}

int value_check_dedup(const void *field, char *why, size_t cap)
{
	const char *text = *(char *const *)field;
	char q[VALUE_QUOTE_CAP];

	if (value_dedup_ms(text) >= 0)
		return 0;
	snprintf(why, cap, "%s is no window; give milliseconds from 1 to %d, or off",
		 value_quote(q, text), VALUE_DEDUP_MS_CAP);
	return -EINVAL;
}

int value_check_sample(const void *field, char *why, size_t cap)
{
	const char *text = *(char *const *)field;
	char q[VALUE_QUOTE_CAP];

	if (value_sample_level(text) != -EINVAL)
		return 0;
	snprintf(why, cap, "%s is no share; give auto, 1, or 1/2^s such as 1/8, down to 1/65536",
		 value_quote(q, text));
	return -EINVAL;
}

int value_check_channels(const void *field, char *why, size_t cap)
{
	const char *text = *(char *const *)field;
	char q[VALUE_QUOTE_CAP];

	if (strcmp(text, "auto") == 0 || strcmp(text, "all") == 0)
		return 0;
	snprintf(why, cap, "%s: give auto or all", value_quote(q, text));
	return -EINVAL;
}

int value_check_http(const void *field, char *why, size_t cap)
{
	const char *text = *(char *const *)field;
	struct sockaddr_storage at;
	socklen_t len;
	char q[VALUE_QUOTE_CAP];

	if (strcmp(text, "off") == 0 || strcmp(text, "auto") == 0 ||
	    http_addr_read(text, &at, &len) == 0)
		return 0;
	snprintf(why, cap,
		 "%s is no address and port; give off, or such as 127.0.0.1:9530 or [::1]:9530",
		 value_quote(q, text));
	return -EINVAL;
}
