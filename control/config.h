/* SPDX-License-Identifier: BSD-3-Clause */
/* What `run` and `bench` are told: command line over configuration file over
 * defaults, all checked before anything else happens.
 *
 * Called once at start by the main thread. A configuration owns its lists and
 * texts until config_fini. Prints only --help; reads only the file it is given. */
#ifndef CONTROL_CONFIG_H
#define CONTROL_CONFIG_H

#include "values.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config {
	char *file; /* the configuration file, or NULL */

	/* Exactly one kind is given (bench: pcap or nothing). */
	struct config_texts pcap;
	char *xdp, *dpdk; /* or NULL */

	struct config_u16s cores;        /* one worker each; never empty for run */
	struct config_u16s control_core; /* empty: not pinned */
	bool no_huge;
	bool flux_sliding;
	uint32_t duration_s; /* 0: no limit */

	char *out, *probe;
	uint32_t interval_s;
	char *http;       /* "ADDR:PORT", "auto" or "off" */
	char *http_token; /* a file, or NULL */
	char *socket;     /* a path, "auto" or "off" */
	char *state;      /* "auto", "on" or "off" */
	char *log_level;  /* see log.h */
	char *keep;       /* see value_keep_read; NULL: all */
	bool quiet;
	char *user;    /* or NULL */
	char *seccomp; /* "on", "off" or "log" */

	struct config_prefixes auth, resolvers, monitors;
	struct config_u16s ports;
	uint32_t timeout_ms;
	char *sample;      /* see value_sample_level */
	char *channels;    /* "auto" or "all" */
	char *flood_guard; /* "auto", "on" or "off" */
	char *dedup;       /* milliseconds or "off" */
	uint64_t sample_key, sketch_seed;
	struct config_texts rules; /* list files */
	char *psl, *rule_cache;    /* or NULL: see rules.h */
	char *asn, *cdn;           /* or NULL: see lookups.h */
	char *doh;                 /* list file, or NULL: see doh_list.h */
	char *cookie_secret;       /* file, or NULL: see cookie_secret.h */
	char *sinkholes;           /* list file, or NULL */
	uint32_t dga_p0_percent;
	char *watch;               /* list file, or NULL: see watchlist.h */
	uint32_t sinkhole_hour_s, sinkhole_domains, sinkhole_history;

	uint32_t dedup_entries;
	uint32_t pair_entries, verdict_entries, frag_datagrams, tcp_connections;
	uint32_t domain_entries, client_entries, server_entries;
	uint32_t rrset_entries, error_entries, match_entries;
	uint32_t table_keys, rrset_keys, top_domains, top_clients;
	uint32_t tcp_buffer_mb, ring_mb, flux_mb; /* MiB */

	uint32_t bench_seconds;
	bool bench_json, bench_flood;
};

/* Reads a command line into *c; `argv[0]` is "run" (or "bench"). Returns 0; 1
 * where help was asked for and printed on standard output; -EINVAL (or another
 * -errno) with a sentence in `err` and *c zeroed. */
int config_parse_run(int argc, char **argv, struct config *c, char *err, size_t cap);
int config_parse_bench(int argc, char **argv, struct config *c, char *err, size_t cap);

/* Reads YAML from memory alone: no defaults, no check between settings. `name`
 * stands in messages. For tests; results as above. */
int config_parse_yaml(const char *name, const char *text, size_t len, struct config *c, char *err,
		      size_t cap);

/* Frees what *c owns and zeroes it. */
void config_fini(struct config *c);

#endif
