/* SPDX-License-Identifier: BSD-3-Clause */
#include "keeper.h"

#include "../dataplane/rx.h"
#include "config.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REST 9u /* times as long as the last one took: a tenth of the time at most */

struct keeper {
	const struct config *config;
	char path[PATH_MAX];
	bool live;
	uint64_t begin_s; /* of the run */
	struct snapshot found;
	bool has_found;
	struct snapshot_stats stats;
	struct state_gap gap;
	struct snapshot_head next; /* that of the last closed interval */
	bool has_next;
	/* The thread; while `running`, `head`, `result` and `bytes` are its own. */
	pthread_t thread;
	bool running;
	atomic_bool done;
	struct snapshot_head head;
	int result;
	size_t bytes;
	/* Of the last one, and of the last that is on disk: */
	uint64_t begin_us, end_us;
	uint64_t written_end_s, written_bytes, written_us;
	uint64_t skipped; /* intervals since then */
	int said;         /* the failure that was told last */
};

static uint64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static const char *reason(int result)
{
	switch (-result) {
	case EBADMSG: return "it is damaged";
	case ENOTSUP: return "it is of another version";
	case EPERM: return "others than its owner can write to it";
	default: return strerror(-result);
	}
}

static void refuse(const struct keeper *k, const char *why)
{
	log_warning("state-refused", LOG_FIELDS(LOG_TEXT("path", k->path)),
		    "%s is not taken up: %s; the run begins without a past", k->path, why);
}

/* What differs, so that the past is of no use; NULL: nothing. */
static const char *misfit(const struct config *c, const struct snapshot_head *h)
{
	if (strcmp(h->probe, c->probe) != 0)
		return "it is of another probe";
	if (h->interval_s != c->interval_s)
		return "it is of another --interval";
	if (h->sample_key != c->sample_key)
		return "it is of another --sample-key";
	if (h->sketch_seed != c->sketch_seed)
		return "it is of another --sketch-seed";
	return NULL;
}

struct keeper *keeper_create(const struct config *c, bool live)
{
	struct keeper *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	k->config = c;
	k->live = live;
	k->begin_s = rx_now_us() / 1000000;
	if (snprintf(k->path, sizeof(k->path), "%s/.state-%s.zst", c->out, c->probe) >=
	    (int)sizeof(k->path)) {
		free(k);
		errno = ENAMETOOLONG;
		return NULL;
	}
	const int result = snapshot_open(&k->found, k->path);
	const char *why = result == 0         ? misfit(c, &k->found.head)
			  : result == -ENOENT ? NULL
					      : reason(result);
	k->has_found = result == 0 && why == NULL;
	if (why != NULL)
		refuse(k, why);
	if (!k->has_found)
		snapshot_close(&k->found);
	return k;
}

static void join(struct keeper *k)
{
	if (!k->running)
		return;
	(void)pthread_join(k->thread, NULL);
	k->running = false;
	k->end_us = now_us();
	if (k->result == 0) {
		k->written_end_s = k->head.end_s;
		k->written_bytes = k->bytes;
		k->written_us = k->end_us - k->begin_us;
		k->skipped = 0;
	} else if (k->result != k->said) {
		log_error("state-failed", LOG_FIELDS(LOG_NUM("errno", -k->result)),
			  "cannot write %s: %s", k->path, strerror(-k->result));
	}
	k->said = k->result;
}

void keeper_destroy(struct keeper *k)
{
	if (k == NULL)
		return;
	join(k);
	snapshot_close(&k->found);
	free(k);
}

bool keeper_hash_key(const struct keeper *k, uint64_t *key)
{
	if (k == NULL || !k->has_found)
		return false;
	*key = k->found.head.hash_key;
	return true;
}

void keeper_use(struct keeper *k, uint64_t hash_key, const struct snapshot_stats *stats)
{
	if (k == NULL)
		return;
	k->stats = *stats;
	k->next = (struct snapshot_head){
	    .magic = SNAPSHOT_MAGIC,
	    .version = SNAPSHOT_VERSION,
	    .interval_s = k->config->interval_s,
	    .hash_key = hash_key,
	    .sketch_seed = k->config->sketch_seed,
	    .sample_key = k->config->sample_key,
	};
	(void)snprintf(k->next.probe, sizeof(k->next.probe), "%s", k->config->probe);
}

const struct state_gap *keeper_gap(const struct keeper *k)
{
	return k != NULL ? &k->gap : NULL;
}

static void say_taken_up(const struct keeper *k, uint64_t gap_s)
{
	const time_t until = (time_t)k->found.head.until_s;
	struct tm tm;
	char text[32];

	(void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", gmtime_r(&until, &tm));
	log_info("state-taken-up", LOG_FIELDS(LOG_NUM("gap_s", gap_s)),
		 "goes on from its state of %s UTC; %" PRIu64 " s in between were not watched",
		 text, gap_s);
}

void keeper_first(struct keeper *k, const struct stat_interval *in)
{
	char refused[256], why[300];

	if (k == NULL || !k->has_found)
		return;
	const struct snapshot_head *h = &k->found.head;
	if (in->end_s < h->end_s) {
		refuse(k, "it is of a later time than the input");
		snapshot_close(&k->found);
		k->has_found = false;
		return;
	}
	/* The first interval of a live run was watched in part. */
	uint64_t from_s = in->start_s;
	if (k->live && k->begin_s > from_s)
		from_s = k->begin_s < in->end_s ? k->begin_s : in->end_s;
	memcpy(k->gap.day, h->gap_day, sizeof(k->gap.day));
	memcpy(k->gap.s, h->gap_s, sizeof(k->gap.s));
	state_gap_add(&k->gap, h->until_s, from_s);
	const int result = snapshot_load(&k->found, &k->stats, refused, sizeof(refused));
	if (result != 0) {
		(void)snprintf(why, sizeof(why), "%s%s%s", refused, refused[0] != '\0' ? ": " : "",
			       reason(result));
		log_warning("state-refused", LOG_FIELDS(LOG_TEXT("path", k->path)),
			    "%s is not taken up as a whole: %s", k->path, why);
	} else {
		say_taken_up(k, from_s > h->until_s ? from_s - h->until_s : 0);
	}
	snapshot_close(&k->found);
	k->has_found = false;
}

static void *run_thread(void *arg)
{
	struct keeper *k = arg;

	k->result = snapshot_save(k->path, &k->head, &k->stats, &k->bytes);
	/* Pairs with keeper_busy's acquire load. */
	atomic_store_explicit(&k->done, true, memory_order_release);
	return NULL;
}

static void begin(struct keeper *k)
{
	sigset_t all, before;

	k->head = k->next;
	k->begin_us = now_us();
	atomic_store_explicit(&k->done, false, memory_order_relaxed);
	/* Signals are control's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	const int result = pthread_create(&k->thread, NULL, run_thread, k);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	k->running = result == 0;
	if (k->running) /* the result is its own now */
		return;
	k->result = -result;
	if (k->said != -result)
		log_error("state-failed", LOG_FIELDS(LOG_NUM("errno", result)),
			  "cannot start a thread to write %s: %s", k->path, strerror(result));
	k->said = -result;
}

void keeper_closed(struct keeper *k, const struct stat_interval *in)
{
	if (k == NULL)
		return;
	join(k);
	k->next.end_s = k->next.until_s = in->end_s;
	memcpy(k->next.gap_day, k->gap.day, sizeof(k->gap.day));
	memcpy(k->next.gap_s, k->gap.s, sizeof(k->gap.s));
	k->has_next = true;
	k->skipped++;
	k->result = 0; /* what failed is tried again with each interval */
	keeper_step(k);
}

void keeper_step(struct keeper *k)
{
	if (k == NULL || keeper_busy(k) || k->skipped == 0 || k->result != 0)
		return;
	if (now_us() - k->end_us >= REST * (k->end_us - k->begin_us))
		begin(k);
}

bool keeper_busy(struct keeper *k)
{
	if (k == NULL || !k->running)
		return false;
	if (!atomic_load_explicit(&k->done, memory_order_acquire))
		return true;
	join(k);
	return false;
}

void keeper_finish(struct keeper *k)
{
	if (k == NULL)
		return;
	join(k);
	if (!k->has_next) /* nothing has come: what is there is as good as ever */
		return;
	const uint64_t now_s = rx_now_us() / 1000000;
	if (k->live && now_s < k->next.until_s)
		k->next.until_s = now_s;
	begin(k);
	join(k);
}

const char *keeper_text(const struct keeper *k, char *text, size_t cap)
{
	text[0] = '\0';
	if (k == NULL || !k->has_next)
		return text;
	if (k->written_end_s == 0)
		(void)snprintf(text, cap, "not kept: %s could not be written", k->path);
	else
		(void)snprintf(text, cap, "kept in %s: %.1f MB in %.2f s%s", k->path,
			       (double)k->written_bytes / 1e6, (double)k->written_us / 1e6,
			       k->skipped != 0 ? ", but not to the end" : "");
	return text;
}
