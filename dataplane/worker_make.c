/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker's beginning and end: its rooms, its thread, and what others may read of it. */
#include "mem.h"
#include "worker_state.h"

#include <errno.h>
#include <sched.h>

/* 2.4 MB and 512 KB; with less there are more records, not other ones. */
#define FLOOD_DOMAINS 2048u
#define FLOOD_CLIENTS 8192u
#define SINK_CLIENTS 65536u /* 4 MB, and 1 MB; likewise */
#define SINK_SENT 131072u
#define DGA_NAMES 16384u         /* 1 MB; likewise */
#define SERVER_PARTS 16384u      /* 1 MB; likewise */
#define RESOLVER_ENTRIES 8192u   /* 1 MB; as above */
#define TTL_ENTRIES 65536u       /* 512 KB; as above */
#define COOKIE_PAIRS 262144u     /* 8 MB: beyond it the pair used least recently is forgotten */
#define COOKIE_ENTRIES 16384u    /* 2 MB; as above */
#define INTEGRITY_ENTRIES 16384u /* 2 MB, and 128 KB; only with a watch list; as above */
#define INTEGRITY_SENT 16384u

static int create_tables(struct worker *w)
{
	const struct worker_settings *s = &w->set;
	const struct matches_settings matches = {
	    .entries = s->match_entries,
	    .name_seed = s->hash_key,
	    .sketch_seed = s->sketch_seed,
	};
	const struct servers_settings servers = {
	    .hash_key = hash_mix(s->hash_key ^ 4),
	    .entries = SERVER_PARTS,
	    .asks = !s->alone,
	    .asked_level = s->asked_level,
	};
	struct cookies_settings cookies = {
	    .hash_key = hash_mix(s->hash_key ^ 5),
	    .sketch_seed = s->sketch_seed,
	    .pairs = COOKIE_PAIRS,
	    .entries = COOKIE_ENTRIES,
	    .secrets = s->cookie_secrets,
	};
	const struct resolvers_settings resolvers = {.hash_key = hash_mix(s->hash_key ^ 6),
						     .entries = RESOLVER_ENTRIES};
	struct transport_settings transport = transport_defaults(hash_mix(s->hash_key ^ 7));
	const struct ttls_settings ttls = {
	    .name_seed = s->hash_key, .entries = TTL_ENTRIES, .watch = s->watch};
	struct tables_settings tables = {
	    .hash_key = s->hash_key,
	    .entries = {s->domain_entries, s->client_entries, s->server_entries},
	    .sample = s->sample,
	};
	const struct flood_settings flood = {.domains = FLOOD_DOMAINS, .clients = FLOOD_CLIENTS};
	struct rrsets_settings rrsets = rrsets_defaults(s->hash_key);
	const struct errors_settings errors = {
	    .name_seed = s->hash_key,
	    .sketch_seed = s->sketch_seed,
	    .entries = s->error_entries,
	    .channels = s->channels,
	};

	const struct sinks_settings sinks = {
	    .domains = s->sink_entries,
	    .clients = SINK_CLIENTS,
	    .sent = SINK_SENT,
	    .minute_us = s->sink_minute_us,
	    .hash_key = s->hash_key,
	    .sketch_seed = s->sketch_seed,
	};
	const struct dga_settings dga = {.hash_key = s->hash_key, .entries = DGA_NAMES};
	const struct integrity_settings integrity = {
	    .name_seed = s->hash_key, .entries = INTEGRITY_ENTRIES, .sent = INTEGRITY_SENT};
	rrsets.entries = s->rrset_entries;
	rrsets.view_seed = s->sketch_seed;
	memcpy(cookies.secret, s->cookie_secret, sizeof(cookies.secret));
	transport.doh = s->doh;
	transport.vantage = s->vantage;
	transport.alone = s->alone;
	transport.asked_level = s->asked_level;
	w->matches = matches_create(w->tally, &matches);
	w->servers = servers_create(w->tally, &servers);
	tables.servers = w->servers;
	w->dga = dga_create(w->tally, &dga);
	w->tables = tables_create(w->tally, &tables);
	w->rrsets = rrsets_create(w->tally, &rrsets);
	w->errors = errors_create(w->tally, &errors);
	w->sinks = s->sink_entries != 0 ? sinks_create(w->tally, &sinks) : NULL;
	w->flood = flood_create(w->tally, &flood);
	w->taps = taps_create(w->tally, s->hash_key ^ 4);
	w->cookies = cookies_create(w->tally, &cookies);
	w->resolvers = resolvers_create(w->tally, &resolvers);
	w->transport = transport_create(w->tally, &transport);
	w->ttls = ttls_create(w->tally, &ttls);
	w->integrity = s->watch ? integrity_create(w->tally, &integrity) : NULL;
	w->guard = s->flood_guard ? flood_guard_create(w->tally) : NULL;
	match_guard(w->match, w->guard);
	return w->matches != NULL && w->dga != NULL && w->tables != NULL && w->servers != NULL &&
		       w->rrsets != NULL && w->errors != NULL && w->flood != NULL &&
		       w->taps != NULL && w->cookies != NULL && w->resolvers != NULL &&
		       w->transport != NULL && w->ttls != NULL &&
		       (w->sinks != NULL || s->sink_entries == 0) &&
		       (w->integrity != NULL || !s->watch) && (w->guard != NULL || !s->flood_guard)
		   ? 0
		   : -ENOMEM;
}

static int create_rooms(struct worker *w)
{
	const struct worker_settings *s = &w->set;
	const struct stream_limits limits = {
	    .connections = s->connections,
	    .buffer_bytes = s->stream_bytes,
	    .idle_us = 60000000,
	};
	const struct match_settings match = {
	    .name_seed = s->hash_key,
	    .sketch_seed = s->sketch_seed,
	    .entries = s->verdict_entries,
	    .vantage = s->vantage,
	};

	w->msgs = mem_map(sizeof(*w->msgs));
	w->match = match_create(&match);
	w->defrag = defrag_create(s->datagrams, s->hash_key ^ 1, worker_defrag_settle, w);
	w->stream = stream_create(&limits, s->hash_key ^ 2, worker_stream_message, w);
	w->pair =
	    pair_create(s->pair_entries, s->wait_us, s->interval_us, s->hash_key ^ 3, s->alone);
	w->seal = seal_create(s->ring, s->number, !s->rx->live, &w->abandon);
	if (s->dedup_us != 0)
		w->dedup = dedup_create(s->dedup_entries, s->dedup_us, s->hash_key ^ 5);
	if ((w->dedup == NULL && s->dedup_us != 0) || w->msgs == NULL || w->match == NULL ||
	    w->defrag == NULL || w->stream == NULL || w->pair == NULL || w->seal == NULL)
		return -ENOMEM;
	w->tally = tally_create(&w->clock, w->seal);
	return w->tally != NULL ? create_tables(w) : -ENOMEM;
}

struct worker *worker_create(const struct worker_settings *settings)
{
	struct worker *w = mem_map(sizeof(*w));

	if (w == NULL)
		return NULL;
	dd_init();
	w->set = *settings;
	w->clock.interval_us = settings->interval_us;
	w->to_timed = TIMING_EVERY - 1; /* not the first turn: its caches are cold */
	if (create_rooms(w) != 0) {
		worker_destroy(w);
		errno = ENOMEM;
		return NULL;
	}
	return w;
}

void worker_destroy(struct worker *w)
{
	if (w == NULL)
		return;
	flood_guard_destroy(w->guard);
	transport_destroy(w->transport);
	integrity_destroy(w->integrity);
	ttls_destroy(w->ttls);
	resolvers_destroy(w->resolvers);
	cookies_destroy(w->cookies);
	taps_destroy(w->taps);
	flood_destroy(w->flood);
	sinks_destroy(w->sinks);
	errors_destroy(w->errors);
	rrsets_destroy(w->rrsets);
	tables_destroy(w->tables);
	servers_destroy(w->servers);
	dga_destroy(w->dga);
	matches_destroy(w->matches);
	tally_destroy(w->tally);
	seal_destroy(w->seal);
	pair_destroy(w->pair);
	stream_destroy(w->stream);
	defrag_destroy(w->defrag);
	dedup_destroy(w->dedup);
	match_destroy(w->match);
	mem_unmap(w->msgs, sizeof(*w->msgs));
	mem_unmap(w, sizeof(*w));
}

static void *run(void *arg)
{
	while (worker_turn(arg) != RX_END)
		;
	return NULL;
}

int worker_start(struct worker *w, int cpu)
{
	pthread_attr_t attr;
	cpu_set_t set;
	int r = pthread_attr_init(&attr);

	if (r != 0)
		return -r;
	if (cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET((unsigned)cpu, &set);
		r = pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	}
	if (r == 0)
		r = pthread_create(&w->thread, &attr, run, w);
	pthread_attr_destroy(&attr);
	w->started = r == 0;
	return -r;
}

void worker_stop(struct worker *w)
{
	/* Pairs with worker_turn's acquire: what was said of the source before. */
	atomic_store_explicit(&w->stop, 1, memory_order_release);
}

void worker_abandon(struct worker *w)
{
	atomic_store_explicit(&w->abandon, 1, memory_order_relaxed);
	worker_stop(w);
}

void worker_join(struct worker *w)
{
	if (w->started)
		pthread_join(w->thread, NULL);
	w->started = false;
}

uint64_t worker_cpu_ns(const struct worker *w)
{
	return atomic_load_explicit(&w->cpu_ns, memory_order_relaxed);
}

const struct worker_timing *worker_timing_get(const struct worker *w)
{
	return &w->timing;
}

void worker_timing_reset(struct worker *w)
{
	memset(&w->timing, 0, sizeof(w->timing));
}

void worker_caches(const struct worker *w, struct worker_cache out[WORKER_CACHES])
{
	const struct match_stats *m = match_stats_get(w->match);
	const struct {
		const char *name;
		const struct keyed_stats *s;
	} keyed[WORKER_CACHES - 1] = {
	    {"domains", tables_keyed_stats(w->tables, FT_TABLE_DOMAINS)},
	    {"clients", tables_keyed_stats(w->tables, FT_TABLE_CLIENTS)},
	    {"servers", tables_keyed_stats(w->tables, FT_TABLE_SERVERS)},
	    {"rrsets", rrsets_table_stats(w->rrsets)},
	    {"errors", errors_table_stats(w->errors)},
	    {"matches", matches_stats_get(w->matches)},
	};

	out[0] = (struct worker_cache){"verdicts", m->looked_up - m->missed, m->missed, 0};
	for (unsigned i = 1; i < WORKER_CACHES; i++)
		out[i] = (struct worker_cache){keyed[i - 1].name, keyed[i - 1].s->hits,
					       keyed[i - 1].s->misses, keyed[i - 1].s->evicted};
}

void worker_rewind(struct worker *w)
{
	w->input_ended = false;
	w->late = w->late_empty = 0;
	atomic_store_explicit(&w->set.shm->ended, 0, memory_order_relaxed);
	atomic_store_explicit(&w->set.shm->closed_us, 0, memory_order_relaxed);
}

void worker_tap(struct worker *w, worker_tap_fn tap, void *ctx)
{
	w->tap = tap;
	w->tap_ctx = ctx;
}
