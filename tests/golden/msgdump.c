/* SPDX-License-Identifier: BSD-3-Clause */
/* Every DNS message that the worker finds in a capture, one line each.
 *
 *	msgdump [--port N]... FILE     through the worker's own loop, up to parse
 *	msgdump --raw FILE...          bare DNS messages: parse alone, at a guard page,
 *	                               whole and cut at every length
 *
 * Columns, separated by tabs: reason of the drop or "-", QR, id, opcode, qname (lower
 * case, everything but letters, digits, "-", "_" and such as \DDD, "." for the root, empty
 * without a question), qtype, rcode (extended), ancount, 1 for TCP, packet time in us,
 * octets. captures.py compares them with what tshark says. */
#include "guard.h"
#include "name.h"
#include "parse.h"
#include "ring.h"
#include "vantage.h"
#include "worker.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define RING_BYTES ((size_t)256 << 20) /* nobody drains while the worker flushes */

enum { EXIT_INPUT = 1, EXIT_USE = 2 };

/* text has 4 * NAME_BUF_BYTES octets. */
static void write_name(char *text, const uint8_t *name, unsigned len)
{
	char *p = text;

	for (unsigned at = 0; at < len && name[at] != 0; at += name[at] + 1u) {
		for (unsigned i = 1; i <= name[at]; i++) {
			const uint8_t c = name[at + i];
			if (isalnum(c) ||
			    (c != 0 && strchr("-_/+=:*@!#$%&'^`{|}~<>[],?", c) != NULL))
				*p++ = (char)c;
			else
				p += sprintf(p, "\\%03u", c);
		}
		*p++ = '.';
	}
	if (len == 1)
		*p++ = '.';
	*p = 0;
}

static void print_message(const struct msg *m, const uint8_t *name)
{
	const bool kept = m->drop == FT_MSG_KEPT;
	char text[4 * NAME_BUF_BYTES];

	write_name(text, name, kept ? m->name_len : 0);
	(void)printf("%s\t%d\t%u\t%u\t%s\t%u\t%u\t%u\t%u\t%" PRIu64 "\t%u\n",
		     kept ? "-" : ft_msg_drop_texts[m->drop].metric, msg_is_response(m), m->id,
		     msg_opcode(m), text, m->qtype, m->rcode, m->ancount, m->tcp, m->ts_us, m->len);
}

static void print_batch(void *ctx, const struct msgs *batch)
{
	(void)ctx;
	for (uint32_t i = 0; i < batch->n; i++)
		print_message(&batch->m[i], batch->names + batch->m[i].name_off);
}

static int dump_capture(const char *path, const struct decode_ports *ports)
{
	char err[RX_TEXT_CAP];
	struct vantage_rules vantage = {.configured = false};
	struct ft_shm_worker *shm = aligned_alloc(CACHE_LINE, sizeof(*shm));
	struct ft_ring *ring =
	    aligned_alloc(4096, sizeof(*ring) + RING_BYTES + 4096 - sizeof(*ring));
	struct rx *rx = rx_pcap_create(&path, 1, err, sizeof(err));
	uint32_t bytes;

	if (rx == NULL) {
		(void)fprintf(stderr, "msgdump: %s\n", err);
		return EXIT_USE;
	}
	if (shm == NULL || ring == NULL)
		abort();
	memset(shm, 0, sizeof(*shm));
	ring_init(ring, RING_BYTES);
	const struct worker_settings settings = {
	    .rx = rx,
	    .shm = shm,
	    .ring = ring,
	    .ports = *ports,
	    .vantage = &vantage,
	    .interval_us = 60000000,
	    .wait_us = 5000000,
	    .hash_key = 1,
	    .pair_entries = 524288, /* this and below: the defaults of `fluxtap run` */
	    .verdict_entries = 1048576,
	    .match_entries = 64,
	    .domain_entries = 1024,
	    .client_entries = 1024,
	    .server_entries = 64,
	    .rrset_entries = 1024,
	    .error_entries = 1024,
	    .datagrams = 256,
	    .connections = 32768,
	    .stream_bytes = (size_t)32 << 20,
	};
	struct worker *w = worker_create(&settings);
	if (w == NULL)
		abort();
	worker_tap(w, print_batch, NULL);
	while (worker_turn(w) != RX_END)
		while (ring_peek(ring, &bytes) != NULL)
			ring_pop(ring);
	worker_destroy(w);
	const int code = rx->error[0] != 0 ? EXIT_INPUT : 0;
	if (code != 0)
		(void)fprintf(stderr, "msgdump: %s\n", rx->error);
	rx->ops->destroy(rx);
	free(ring);
	free(shm);
	return code;
}

static int dump_raw(const char *path)
{
	static uint8_t data[65536];
	uint8_t *const name = guard_copy(data, NAME_BUF_BYTES);
	FILE *f = fopen(path, "rb");
	static struct rr rr[MSG_RR_CAP + 1];
	struct msg m;

	if (f == NULL) {
		(void)fprintf(stderr, "msgdump: %s: %s\n", path, strerror(errno));
		return EXIT_USE;
	}
	const uint32_t len = (uint32_t)fread(data, 1, sizeof(data), f);
	(void)fclose(f);
	uint8_t *const end = guard_copy(data, len) + len;
	for (uint32_t cut = 0; cut <= len; cut++) {
		memcpy(end - cut, data, cut);
		m = (struct msg){.data = end - cut, .len = (uint16_t)cut};
		parse_message(&m, name, rr, 1);
	}
	print_message(&m, name);
	(void)fflush(stdout); /* so that the file that kills us is known */
	guard_free(end - len, len);
	guard_free(name, NAME_BUF_BYTES);
	return 0;
}

static int usage(void)
{
	(void)fprintf(stderr, "usage: msgdump [--port N]... FILE | --raw FILE...\n");
	return EXIT_USE;
}

int main(int argc, char **argv)
{
	struct decode_ports ports = {.port = {53}, .n = 1};
	int i = 1;

	if (argc > 2 && strcmp(argv[1], "--raw") == 0) {
		int code = 0;
		for (i = 2; i < argc; i++)
			code |= dump_raw(argv[i]);
		return code;
	}
	for (; i + 1 < argc && strcmp(argv[i], "--port") == 0; i += 2) {
		const unsigned long port = strtoul(argv[i + 1], NULL, 10);
		if (port == 0 || port > 65535 || ports.n == DECODE_PORTS_CAP)
			return usage();
		ports.port[ports.n++] = (uint16_t)port;
	}
	return i + 1 == argc ? dump_capture(argv[i], &ports) : usage();
}
