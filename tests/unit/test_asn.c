/* SPDX-License-Identifier: BSD-3-Clause */
/* Systems of addresses: text lines against a plain search of all of them, lines that are
 * refused, every truncation, and a MaxMind DB that is written here octet by octet. */
#include "asn.h"
#include "guard.h"
#include "lookups.h"
#include "name_text.h"

#include <fluxtap/dns.h>

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct addr addr_of(const char *text)
{
	struct addr a;
	uint8_t v4[4];

	if (inet_pton(AF_INET, text, v4) == 1)
		return addr_from_v4(v4);
	assert_int_equal(inet_pton(AF_INET6, text, a.b), 1);
	return a;
}

static uint32_t ask(const struct asn *a, const char *text)
{
	const struct addr x = addr_of(text);

	return asn_get(a, &x);
}

static const char lines[] = "# prefix asn\n"
			    "10.0.0.0/8 1\n"
			    "10.1.0.0/16\tAS2 # nested\n"
			    "10.1.2.0/24 3\r\n"
			    "10.1.2.128/25 0\n"
			    "\n"
			    "255.255.255.255/32 4294967295\n"
			    "0.0.0.0/32 9\n"
			    "2001:db8::/32 as5\n"
			    "2001:db8:0:1::/64 6\n"
			    "ffff:ffff::/32 7\n"
			    "192.0.2.0/24 30\n"
			    "192.0.2.0/24 20\n"
			    "192.0.2.0/24 25"; /* no line end */

static void check_lines(const struct asn *a)
{
	static const struct {
		const char *addr;
		uint32_t asn;
	} rows[] = {
	    {"9.255.255.255", 0},
	    {"10.0.0.0", 1},
	    {"10.0.255.255", 1},
	    {"10.1.0.0", 2},
	    {"10.1.2.0", 3},
	    {"10.1.2.127", 3},
	    {"10.1.2.128", 0},
	    {"10.1.2.255", 0},
	    {"10.1.3.0", 2},
	    {"10.2.0.0", 1},
	    {"10.255.255.255", 1},
	    {"11.0.0.0", 0},
	    {"255.255.255.255", 4294967295},
	    {"255.255.255.254", 0},
	    {"0.0.0.0", 9},
	    {"0.0.0.1", 0},
	    {"2001:db8::1", 5},
	    {"2001:db8:0:1::", 6},
	    {"2001:db8:0:1:ffff:ffff:ffff:ffff", 6},
	    {"2001:db8:0:2::", 5},
	    {"2001:db9::", 0},
	    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 7},
	    {"::", 0},
	    {"::ffff:10.1.2.3", 3},
	    {"192.0.2.77", 20},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(ask(a, rows[i].addr), rows[i].asn);
}

static void test_text(void **state)
{
	char err[256] = "x";
	struct asn *a = asn_create_text(lines, sizeof(lines) - 1, "T", err, sizeof(err));

	(void)state;
	assert_non_null(a);
	assert_string_equal(err, "");
	check_lines(a);
	asn_destroy(a);
	a = asn_create_text("", 0, "T", err, sizeof(err));
	assert_non_null(a);
	assert_int_equal(ask(a, "10.0.0.1"), 0);
	asn_destroy(a);
	asn_destroy(NULL);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
	    {"10.0.0.0/8", "T:1: 1 words"},
	    {"#\n\n10.0.0.0/8 1 2", "T:3: 3 words"},
	    {"10.0.0.0 1", "T:1: "},
	    {"10.0.0.0/ 1", "T:1: "},
	    {"10.0.0.0/33 1", "longer than 32"},
	    {"::/129 1", "longer than 128"},
	    {"10.0.0.1/8 1", "behind its length"},
	    {"2001:db8::1/64 1", "behind its length"},
	    {"10.0.0/8 1", "no prefix"},
	    {"10.0.0.0/8x 1", "no prefix"},
	    {"10.0.0.0/-8 1", "no prefix"},
	    {"10.0.0.0/99999999999 1", "no prefix"},
	    {"10.0.0.0/8 -1", "autonomous"},
	    {"10.0.0.0/8 4294967296", "autonomous"},
	    {"10.0.0.0/8 AS", "autonomous"},
	    {"10.0.0.0/8 99999999999999999999", "autonomous"},
	    {"1.0.0.0/8 1\n10.0.0.0/8 1x", "T:2: "},
	    {"\x1b[1m/8 1", "T:1: "},
	};
	char err[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		err[0] = '\0';
		assert_null(
		    asn_create_text(rows[i].text, strlen(rows[i].text), "T", err, sizeof(err)));
		if (strstr(err, rows[i].says) == NULL)
			fail_msg("%s: %s", rows[i].text, err);
		assert_null(strchr(err, '\x1b'));
	}
}

static void test_truncated(void **state)
{
	char err[256];

	(void)state;
	for (size_t n = 0; n < sizeof(lines); n++) {
		char *copy = (char *)guard_copy(lines, n);
		struct asn *a = asn_create_text(copy, n, "T", err, sizeof(err));
		assert_int_equal(a == NULL, err[0] != '\0');
		asn_destroy(a);
		guard_free((uint8_t *)copy, n);
	}
}

/* Random nested prefixes; the reference looks at all of them. */
static void test_longest_prefix(void **state)
{
	enum { N = 400 };
	static char text[N * 64];
	static uint32_t net[N], asn[N];
	static unsigned bits[N];
	uint64_t x = 1;
	char err[256], *p = text;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		bits[i] = (unsigned)(x >> 60) * 22 / 15 + 10;
		/* Few different octets, so that they nest. */
		net[i] = (uint32_t)(x >> 20) & 0x03030303u;
		net[i] &= (uint32_t)(0xffffffffull << (32 - bits[i]));
		asn[i] = i + 1;
		p += sprintf(p, "%u.%u.%u.%u/%u %u\n", net[i] >> 24, net[i] >> 16 & 255,
			     net[i] >> 8 & 255, net[i] & 255, bits[i], asn[i]);
	}
	struct asn *a = asn_create_text(text, (size_t)(p - text), "T", err, sizeof(err));
	assert_non_null(a);
	unsigned found = 0;
	for (unsigned i = 0; i < 20000; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		const uint32_t v = (uint32_t)(x >> 24) & (i % 2 != 0 ? 0x07070707u : 0x03030303u);
		unsigned best = N;
		for (unsigned k = 0; k < N; k++)
			if ((v ^ net[k]) >> (32 - bits[k]) == 0 &&
			    (best == N || bits[k] > bits[best]))
				best = k; /* of equal ones the first has the lowest number */
		const uint32_t be = htonl(v);
		const struct addr address = addr_from_v4((const uint8_t *)&be);
		assert_int_equal(asn_get(a, &address), best == N ? 0 : asn[best]);
		found += best != N;
	}
	assert_true(found > 1000 && found < 20000);
	asn_destroy(a);
}

/* A MaxMind DB (version 2.0): a tree of records of 24 bits, 16 zero octets, data,
 * metadata behind a mark. */
struct mmdb {
	uint32_t node[2000][2]; /* 0: none; below 1 << 20: a node; else data */
	uint32_t nodes;
	uint8_t data[2048];
	uint32_t used;
	uint8_t file[16384];
	size_t len;
};

static void put_text(struct mmdb *m, const char *text)
{
	const size_t n = strlen(text);

	assert_true(n < 29);
	m->file[m->len++] = (uint8_t)(2 << 5 | n);
	memcpy(m->file + m->len, text, n);
	m->len += n;
}

static void put_uint(struct mmdb *m, unsigned type, unsigned octets, uint32_t v)
{
	m->file[m->len++] = (uint8_t)(type << 5 | octets);
	while (octets-- > 0)
		m->file[m->len++] = (uint8_t)(v >> 8 * octets);
}

static void mmdb_add(struct mmdb *m, const char *prefix, unsigned bits, const char *key,
		     uint32_t asn)
{
	struct addr a = addr_of(prefix);
	uint32_t at = 0;

	if (strchr(prefix, ':') == NULL) {
		bits += 96;
		a.b[10] = a.b[11] = 0; /* the tree has IPv4 at ::/96 */
	}
	const uint32_t value = 1u << 20 | m->used;
	m->data[m->used++] = 7 << 5 | 1; /* a map of one */
	m->data[m->used++] = (uint8_t)(2 << 5 | strlen(key));
	memcpy(m->data + m->used, key, strlen(key));
	m->used += (uint32_t)strlen(key);
	m->data[m->used++] = 6 << 5 | 4;
	for (unsigned i = 4; i-- > 0;)
		m->data[m->used++] = (uint8_t)(asn >> 8 * i);
	for (unsigned i = 0; i < bits; i++) {
		uint32_t *next = &m->node[at][a.b[i / 8] >> (7 - i % 8) & 1];
		if (i == bits - 1) {
			*next = value;
		} else if (*next == 0) {
			*next = ++m->nodes;
			assert_true(m->nodes < 1999);
		}
		at = *next;
	}
}

static void mmdb_finish(struct mmdb *m)
{
	const uint32_t nodes = m->nodes + 1;

	m->len = 0;
	for (uint32_t i = 0; i < nodes; i++)
		for (unsigned side = 0; side < 2; side++) {
			uint32_t v = m->node[i][side];
			v = v == 0 ? nodes : v >> 20 != 0 ? nodes + 16 + (v & 0xfffff) : v;
			for (unsigned k = 3; k-- > 0;)
				m->file[m->len++] = (uint8_t)(v >> 8 * k);
		}
	memset(m->file + m->len, 0, 16);
	m->len += 16;
	memcpy(m->file + m->len, m->data, m->used);
	m->len += m->used;
	memcpy(m->file + m->len, "\xab\xcd\xefMaxMind.com", 14);
	m->len += 14;
	m->file[m->len++] = 7 << 5 | 9;
	put_text(m, "node_count");
	put_uint(m, 6, 4, nodes);
	put_text(m, "record_size");
	put_uint(m, 5, 2, 24);
	put_text(m, "ip_version");
	put_uint(m, 5, 2, 6);
	put_text(m, "database_type");
	put_text(m, "GeoLite2-ASN");
	put_text(m, "languages");
	m->file[m->len++] = 0; /* an empty array: type 11 is written as 11 - 7 */
	m->file[m->len++] = 4;
	put_text(m, "binary_format_major_version");
	put_uint(m, 5, 2, 2);
	put_text(m, "binary_format_minor_version");
	put_uint(m, 5, 2, 0);
	put_text(m, "build_epoch");
	m->file[m->len++] = 1; /* uint64 of one octet: type 9 */
	m->file[m->len++] = 2;
	m->file[m->len++] = 1;
	put_text(m, "description");
	m->file[m->len++] = 7 << 5; /* an empty map */
}

static char path[] = "/tmp/test_asn_XXXXXX";

static struct asn *open_file(const uint8_t *data, size_t n, char *err, size_t cap)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	return asn_create(path, err, cap);
}

static void test_mmdb(void **state)
{
	static struct mmdb m, city;
	char err[512] = "";

	(void)state;
	const int fd = mkstemp(path);
	assert_true(fd >= 0);
	(void)close(fd);
	mmdb_add(&m, "1.0.0.0", 24, "autonomous_system_number", 13335);
	mmdb_add(&m, "198.51.100.0", 24, "autonomous_system_number", 64501);
	mmdb_add(&m, "2001:db8::", 32, "autonomous_system_number", 4200000000);
	mmdb_add(&m, "2001:db9::", 32, "city", 5);
	mmdb_finish(&m);
	struct asn *a = open_file(m.file, m.len, err, sizeof(err));
	if (a == NULL)
		fail_msg("%s", err);
	assert_int_equal(ask(a, "1.0.0.1"), 13335);
	assert_int_equal(ask(a, "1.0.1.0"), 0);
	assert_int_equal(ask(a, "198.51.100.255"), 64501);
	assert_int_equal(ask(a, "2001:db8:ffff::1"), 4200000000);
	assert_int_equal(ask(a, "2001:db9::1"), 0);
	assert_int_equal(ask(a, "::1"), 0);
	asn_destroy(a);
	/* Cut short it is refused, or read as far as it is there. */
	for (size_t n = 0; n < m.len; n += n < m.len - 400 ? 97 : 1)
		asn_destroy(open_file(m.file, n, err, sizeof(err)));
	mmdb_add(&city, "1.0.0.0", 24, "city", 1);
	mmdb_finish(&city);
	assert_null(open_file(city.file, city.len, err, sizeof(err)));
	assert_non_null(strstr(err, "autonomous_system_number"));
	a = open_file((const uint8_t *)lines, sizeof(lines) - 1, err, sizeof(err));
	assert_non_null(a);
	check_lines(a);
	asn_destroy(a);
	assert_int_equal(remove(path), 0);
	assert_null(asn_create(path, err, sizeof(err)));
	assert_non_null(strstr(err, path));
}

static bool cdn_says(const struct cdn *c, const char *text)
{
	uint8_t name[FT_NAME_CAP];
	const char *why;
	const uint32_t n = name_from_text(text, (uint32_t)strlen(text), name, &why);

	assert_true(n != 0);
	return cdn_has(c, name, n);
}

static void test_cdn(void **state)
{
	static const char text[] = "# names\nCDN.example.\nedge.test # and below\n";
	char err[256];
	struct cdn *c = cdn_create_text(text, sizeof(text) - 1, "C", err, sizeof(err));

	(void)state;
	assert_non_null(c);
	assert_true(cdn_says(c, "cdn.example"));
	assert_true(cdn_says(c, "a.b.cdn.example."));
	assert_true(cdn_says(c, "edge.test"));
	assert_false(cdn_says(c, "xcdn.example"));
	assert_false(cdn_says(c, "example"));
	assert_false(cdn_says(c, "test"));
	assert_false(cdn_says(c, "."));
	cdn_destroy(c);
	assert_null(cdn_create_text("a.example b.example", 19, "C", err, sizeof(err)));
	assert_non_null(strstr(err, "C:1: 2 words"));
	assert_null(cdn_create_text("ok.example\n.", 12, "C", err, sizeof(err)));
	assert_non_null(strstr(err, "C:2: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),      cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_truncated), cmocka_unit_test(test_longest_prefix),
	    cmocka_unit_test(test_mmdb),      cmocka_unit_test(test_cdn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
