/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_load.h"

#include "../dataplane/mem.h"

#include <fluxtap/gen.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOAD_BYTES ((size_t)1 << 30)
#define SPAN_US 600000000ull /* event time of the standard mix */
#define LISTED_NAMES 1000000u
#define FLOOD_PAIRS 2000000u

static int load_add(struct load *l, const uint8_t *data, uint32_t len, uint32_t wire_len,
		    uint64_t ts_us)
{
	if (l->data == NULL) {
		l->bytes = LOAD_BYTES;
		l->data = mem_map(l->bytes);
	}
	if (l->data == NULL)
		return -ENOMEM;
	if (l->used + len > l->bytes)
		return -ENOSPC;
	if (l->n == l->cap) {
		const size_t cap = l->cap != 0 ? l->cap * 2 : 1 << 20;
		struct rx_mem_frame *f = realloc(l->frame, cap * sizeof(*f));
		if (f == NULL)
			return -ENOMEM;
		l->frame = f;
		l->cap = cap;
	}
	memcpy(l->data + l->used, data, len);
	l->frame[l->n++] = (struct rx_mem_frame){
	    .data = l->data + l->used, .len = len, .wire_len = wire_len, .ts_us = ts_us};
	l->used += (len + 7u) & ~7u;
	return 0;
}

int bench_load_generate(struct load *l, bool flood)
{
	struct ft_gen_opts o = {
	    .seed = 1,
	    .scenario = flood ? FT_GEN_FLOOD : FT_GEN_MIX,
	    .pairs = flood ? FLOOD_PAIRS : 0,
	};
	struct ft_gen_frame f;
	int r = 0;

	ft_gen_opts_fill(&o);
	struct ft_gen *g = ft_gen_create(&o);
	if (g == NULL)
		return -errno;
	while (r == 0 && (r = ft_gen_next(g, &f)) == 1)
		r = load_add(l, f.data, f.len, f.len, f.ts_us);
	ft_gen_destroy(g);
	l->span_us = SPAN_US;
	l->link = LINK_ETHERNET;
	return r;
}

int bench_load_pcap(struct load *l, const struct config_texts *paths)
{
	char err[512];
	struct batch b;
	struct rx *rx = rx_pcap_create((const char *const *)paths->v, paths->n, err, sizeof(err));
	int r = 0, n;

	if (rx == NULL) {
		(void)fprintf(stderr, "fluxtap: %s\n", err);
		return -EINVAL;
	}
	while (r == 0 && (n = rx->ops->recv(rx, &b)) != RX_END) {
		if (n == 0) /* a pipe that is slow */
			continue;
		for (uint32_t i = 0; i < b.n && r == 0; i++) {
			l->link = (enum link_type)b.pkt[i].link;
			r = load_add(l, b.pkt[i].data, b.pkt[i].cap_len, b.pkt[i].wire_len,
				     b.pkt[i].ts_us);
		}
		rx->ops->release(rx, &b);
	}
	if (r == 0 && l->n != 0)
		l->span_us = l->frame[l->n - 1].ts_us - l->frame[0].ts_us + 1;
	rx->ops->destroy(rx);
	return r == 0 && l->n == 0 ? -ENODATA : r;
}

void bench_load_fini(struct load *l)
{
	mem_unmap(l->data, l->bytes);
	free(l->frame);
}

/* Expressions of the kinds that operators write: what generated names look like, names
 * of services, tunnels. Some are labels in a row, which tables match; the others are
 * Hyperscan's. None is meant to hit often. */
static void write_expressions(FILE *f)
{
	static const char *const tlds[] = {"com", "net", "org", "info", "biz", "ru", "cn", "top"};
	static const char *const words[] = {"login",  "secure", "update", "verify", "account",
					    "wallet", "paypal", "office", "signin", "support"};

	for (unsigned i = 0; i < 50; i++)
		(void)fprintf(f, "dga%u regex ^(?:[a-z0-9_-]{1,63}\\.)*[a-y]{%u,%u}[0-9]%s\\.%s$\n",
			      i, 12 + i % 7, 14 + i % 7 + i % 5, i % 3 == 0 ? "{2}" : "",
			      tlds[i % 8]);
	for (unsigned i = 0; i < 20; i++)
		(void)fprintf(f, "hex%u regex ^[a-f0-9]{%u}\\.[a-z]{3,9}\\.%s$\n", i, 24 + i,
			      tlds[i % 8]);
	for (unsigned i = 0; i < 40; i++)
		(void)fprintf(f, "phish%u regex (?:^|[.-])%s[.-]%s[a-z0-9-]*\\.(?:%s|%s)$\n", i,
			      words[i % 10], words[(i * 3 + 1) % 10], tlds[i % 8],
			      tlds[(i + 3) % 8]);
	for (unsigned i = 0; i < 20; i++)
		(void)fprintf(f, "tunnel%u regex ^(?:[a-z2-7]{%u,63}\\.){2,}t%u\\.\n", i, 30 + i,
			      i);
}

static void write_lists(FILE *f)
{
	for (unsigned i = 0; i < LISTED_NAMES; i++)
		(void)fprintf(f, "listed %s l%07x.w%05u.example\n", "exact", i * 2654435761u >> 4,
			      i % 65521);
	for (unsigned i = 0; i < 75; i++)
		(void)fprintf(f, "bl dnsbl bl%u.dnsbl.example\n", i);
}

static int write_own_rules(char *path, size_t cap)
{
	const int fd = memfd_create("bench.rules", 0);

	if (fd < 0)
		return -1;
	FILE *f = fdopen(dup(fd), "w");
	if (f == NULL)
		return -1;
	write_expressions(f);
	write_lists(f);
	if (fclose(f) != 0)
		return -1;
	(void)snprintf(path, cap, "/proc/self/fd/%d", fd);
	return 0;
}

struct rules *bench_rules_create(const struct config *c, uint64_t name_seed)
{
	static char path[64], cache[4096]; /* the rules read them again */
	static const char *own[] = {path};
	const char *why = NULL;
	struct rules_settings set = {
	    .paths = (const char *const *)c->rules.v,
	    .paths_len = c->rules.n,
	    .psl_path = c->psl,
	    .cache_dir = rules_cache_dir(c->rule_cache, cache, sizeof(cache), &why),
	    .name_seed = name_seed,
	    .sketch_seed = 0,
	    .sinkholes = c->sinkholes,
	    .watch = c->watch,
	};

	if (c->rules.n == 0) {
		if (write_own_rules(path, sizeof(path)) != 0)
			return NULL;
		set.paths = own;
		set.paths_len = 1;
	}
	return rules_create(&set);
}
