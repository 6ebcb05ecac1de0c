/* SPDX-License-Identifier: BSD-3-Clause */
#include "worker_config.h"

#include "stats/sink_past.h"

#include <string.h>

#define SINK_ENTRIES 8192u /* registered domains of sinkholes that a worker counts at a time */
#define ASKED_LEVEL 4u     /* one in sixteen of (client, name, type): enough to see retries by */

struct worker_settings worker_config(const struct config *c, const struct segment *s, unsigned i,
				     bool live)
{
	/* Of files control joins what the workers saw, by the packets' times, also of one: so
	 * that it finds the same in packets that are out of order as it does of several. */
	const bool alone = live && c->cores.n <= 1;

	return (struct worker_settings){
	    .number = i,
	    .shm = segment_worker(s, i),
	    .ring = segment_ring(s, i),
	    .interval_us = c->interval_s * 1000000ull,
	    .wait_us = c->timeout_ms * 1000ull,
	    .sketch_seed = c->sketch_seed,
	    .sample = {.key = c->sample_key},
	    .channels = strcmp(c->channels, "all") == 0 ? ERRORS_ALL : ERRORS_AUTO,
	    .flood_guard =
		strcmp(c->flood_guard, "on") == 0 || (strcmp(c->flood_guard, "auto") == 0 && live),
	    .dedup_us = (uint64_t)value_dedup_ms(c->dedup) * 1000,
	    .dedup_entries = c->dedup_entries,
	    .alone = alone,
	    .asked_level = live ? ASKED_LEVEL : 0,
	    .pair_entries = c->pair_entries,
	    .verdict_entries = c->verdict_entries,
	    .match_entries = c->match_entries,
	    .domain_entries = c->domain_entries,
	    .client_entries = c->client_entries,
	    .server_entries = c->server_entries,
	    .rrset_entries = c->rrset_entries,
	    .error_entries = c->error_entries,
	    .sink_entries = c->sinkholes != NULL ? SINK_ENTRIES : 0,
	    .watch = c->watch != NULL,
	    .sink_minute_us = sink_part_us(c->interval_s, c->sinkhole_hour_s),
	    .datagrams = c->frag_datagrams,
	    .connections = c->tcp_connections,
	    .stream_bytes = (size_t)c->tcp_buffer_mb << 20,
	};
}
