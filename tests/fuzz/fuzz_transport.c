/* SPDX-License-Identifier: BSD-3-Clause */
/* What set `transport` reads: hellos, long headers, TCP options, the list of DoH servers, and
 * record bodies: taken or refused and nothing worse.
 *
 * Input: an octet that says which, then its octets; bodies stand each behind an octet of type
 * and one of length. */
#include "doh_list.h"
#include "hello.h"
#include "stats/stat.h"

#include <errno.h>
#include <fluxtap/rec_transport.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __LINE__))
#define ROW 29453760u

static void check_failed(const char *what, int line)
{
	fprintf(stderr, "fuzz_transport.c:%d: %s\n", line, what);
	abort();
}

static void read_hello(const uint8_t *p, uint32_t n)
{
	struct hello h, less;

	hello_read(p, n, &h);
	CHECK(h.name_len == 0 || (h.name >= p && h.name + h.name_len <= p + n));
	CHECK(!h.tls13 || h.kind == HELLO_SERVER);
	CHECK(h.kind != HELLO_SHORT || n < 6);
	/* More octets never take back what was said. */
	hello_read(p, n / 2, &less);
	CHECK(less.kind == HELLO_SHORT || less.kind == h.kind);
	CHECK(!less.whole || (h.whole && less.tls13 == h.tls13 && less.name_len == h.name_len));
}

static void read_list(const char *text, size_t n)
{
	struct doh_file f;
	char err[512] = "";
	const int r = doh_file_parse("list", text, n, &f, err, sizeof(err));

	CHECK(r == 0 || (r == -EINVAL && err[0] != '\0'));
	for (size_t i = 0; r == 0 && i < f.list.names; i++) {
		const char *name = f.list.name[i];
		CHECK(name[0] == '*' || strlen(name) >= 256 ||
		      doh_has_name(&f.list, (const uint8_t *)name, (uint32_t)strlen(name)));
	}
	for (size_t i = 0; r == 0 && i < f.prefixes; i++)
		CHECK(doh_has_addr(&f.list, (const struct addr *)(const void *)f.prefix[i].addr));
	if (r == 0)
		doh_file_fini(&f);
}

static void write_record(void *ctx, const char *set, uint64_t start_s, json_t *record)
{
	(void)ctx;
	(void)start_s;
	CHECK(strcmp(set, "transport") == 0);
	char *text = json_dumps(record, JSON_COMPACT);
	CHECK(text != NULL);
	free(text);
	json_decref(record);
}

static void read_bodies(const uint8_t *p, size_t n)
{
	static const uint16_t types[] = {FT_REC_TRANSPORT, FT_REC_TICKET, FT_REC_TRANSFER,
					 FT_REC_ASKED};
	const struct stat_run run = {
	    .probe = "fuzz", .workers = 1, .interval_s = 60, .write = write_record};
	void *stat = stat_transport.create(&run);
	const struct ft_pair64 ledger = {.id = FT_CTR_RX_PACKETS, .value = 1u << 30};
	const struct ft_rec_hdr told = {.type = FT_REC_LEDGER, .row = ROW};
	const struct stat_record first = {.hdr = &told, .body = &ledger, .bytes = sizeof(ledger)};

	CHECK(stat != NULL && stat_transport.record(stat, &first) == 0);
	while (n >= 3) {
		const size_t len = p[1] < n - 2 ? p[1] : n - 2;
		uint8_t *copy = malloc(len + 1);
		const struct ft_rec_hdr h = {
		    .type = types[p[0] & 3], .row = ROW + (p[0] >> 7), .vantage = p[0] >> 2 & 15};
		const struct stat_record rec = {.hdr = &h, .body = copy + 1, .bytes = len};
		CHECK(copy != NULL);
		memcpy(copy + 1, p + 2, len);
		const int r = stat_transport.record(stat, &rec);
		CHECK(r == 0 || r == -EBADMSG);
		free(copy);
		p += 2 + len;
		n -= 2 + len;
	}
	for (uint64_t row = ROW; row < ROW + 2; row++) {
		struct stat_interval in = {.row = row, .start_s = row * 60, .end_s = row * 60 + 60};
		stat_transport.close(stat, &in);
	}
	stat_transport.end(stat);
	stat_transport.destroy(stat);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	if (size == 0)
		return 0;
	const size_t n = size - 1;
	uint8_t *copy = malloc(n != 0 ? n : 1); /* of this size, for the sanitizer */
	CHECK(copy != NULL);
	memcpy(copy, input + 1, n);
	switch (input[0] % 5) {
	case 0: read_hello(copy, (uint32_t)n); break;
	case 1: (void)hello_is_quic(copy, (uint32_t)n); break;
	case 2: (void)hello_tfo(copy, (uint32_t)n); break;
	case 3: read_list((const char *)copy, n); break;
	default: read_bodies(copy, n); break;
	}
	free(copy);
	return 0;
}
