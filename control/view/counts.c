/* SPDX-License-Identifier: BSD-3-Clause */
#include "counts.h"

#include "../../dataplane/timing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)

uint64_t counts_now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void take_header(const struct ft_shm *h, struct counts *out)
{
	out->pid = h->pid;
	out->started_us = h->started_us;
	out->live = h->live != 0;
	out->workers = h->workers;
	memcpy(out->probe, h->probe, sizeof(out->probe));
	out->probe[sizeof(out->probe) - 1] = '\0';
	out->heartbeat_us = LOAD(h->heartbeat_us);
	out->exported_s = LOAD(h->exported_s);
	out->sample_level = LOAD(h->sample_level);
	out->records_written = LOAD(h->records_written);
	out->records_lost = LOAD(h->records_lost);
	out->export_failures = LOAD(h->export_failures);
	out->export_failing = LOAD(h->export_failing) != 0;
	out->mono_us = counts_now_us();
	out->ticks = timing_now();
}

static void take_worker(const struct ft_shm_worker *w, const struct ft_ring *r,
			struct counts_worker *out)
{
	for (unsigned i = 0; i < FT_CTR_CAP; i++)
		out->total[i] = LOAD(w->total[i]);
	for (unsigned i = 0; i < FT_SHM_STAGES; i++)
		out->stage_ticks[i] = LOAD(w->stage_ticks[i]);
	out->timed_packets = LOAD(w->timed_packets);
	out->source_dropped = LOAD(w->source_dropped);
	out->clock_us = LOAD(w->clock_us);
	out->generation = LOAD(w->generation);
	out->turns = LOAD(w->turns);
	out->idle_turns = LOAD(w->idle_turns);
	out->ended = LOAD(w->ended) != 0;
	/* The tail first: the head may move on meanwhile, and is never behind it. */
	const uint64_t tail = LOAD(r->tail), head = LOAD(r->head);
	out->ring_bytes = r->bytes;
	out->ring_used = head - tail <= r->bytes ? head - tail : r->bytes;
}

void counts_of(const struct segment *s, struct counts *out)
{
	take_header(s->shm, out);
	for (unsigned i = 0; i < out->workers; i++)
		take_worker(segment_worker(s, i), segment_ring(s, i), &out->worker[i]);
}

int counts_open(struct counts_file *f, const char *name)
{
	(void)snprintf(f->name, sizeof(f->name), "%s", name);
	f->fd = shm_open(name, O_RDONLY | O_CLOEXEC, 0);
	return f->fd < 0 ? -errno : 0;
}

void counts_close(struct counts_file *f)
{
	if (f->fd >= 0)
		(void)close(f->fd);
	f->fd = -1;
}

/* All of it or -ESTALE: a file that ends too early is being made anew. */
static int read_at(int fd, void *to, size_t bytes, uint64_t off)
{
	const ssize_t n = off < INT64_MAX ? pread(fd, to, bytes, (off_t)off) : -1;

	return n == (ssize_t)bytes ? 0 : -ESTALE;
}

static bool is_sound(const struct ft_shm *h)
{
	return h->version == FT_SHM_VERSION && h->workers != 0 && h->workers <= FT_WORKER_CAP &&
	       h->worker_stride >= sizeof(struct ft_shm_worker) && h->worker_stride <= UINT32_MAX &&
	       h->ring_stride >= sizeof(struct ft_ring) && h->ring_stride <= UINT32_MAX &&
	       h->worker_off <= UINT32_MAX && h->ring_off <= UINT32_MAX;
}

int counts_take(const struct counts_file *f, struct counts *out)
{
	struct ft_shm h;
	struct ft_shm_worker w;
	struct ft_ring r;
	struct stat st;

	if (f->fd < 0 || fstat(f->fd, &st) != 0 || st.st_nlink == 0)
		return -ESTALE; /* a clean end removes it */
	if (read_at(f->fd, &h, sizeof(h), 0) != 0 || h.magic != FT_SHM_MAGIC)
		return -ESTALE;
	if (!is_sound(&h))
		return -EBADMSG;
	take_header(&h, out);
	for (unsigned i = 0; i < out->workers; i++) {
		if (read_at(f->fd, &w, sizeof(w), h.worker_off + i * h.worker_stride) != 0 ||
		    read_at(f->fd, &r, sizeof(r), h.ring_off + i * h.ring_stride) != 0)
			return -ESTALE;
		take_worker(&w, &r, &out->worker[i]);
	}
	/* A killed probe leaves its segment. One in another PID namespace has a heartbeat. */
	const bool beats =
	    out->mono_us - out->heartbeat_us < 3000000 && out->heartbeat_us <= out->mono_us;
	if (!beats && (h.pid > INT32_MAX || (kill((pid_t)h.pid, 0) != 0 && errno == ESRCH)))
		return -ESTALE;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

size_t counts_list(char (*names)[128], size_t cap)
{
	DIR *d = opendir("/dev/shm");
	const struct dirent *e;
	size_t n = 0;

	while (d != NULL && n < cap && (e = readdir(d)) != NULL)
		if (strncmp(e->d_name, "fluxtap.", 8) == 0 && strlen(e->d_name) < 127)
			(void)snprintf(names[n++], sizeof(*names), "/%.126s", e->d_name);
	if (d != NULL)
		(void)closedir(d);
	if (n != 0)
		qsort(names, n, sizeof(*names), by_name);
	return n;
}

uint64_t counts_sum(const struct counts *c, unsigned counter)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < c->workers; i++)
		sum += c->worker[i].total[counter];
	return sum;
}

uint64_t counts_source_dropped(const struct counts *c)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < c->workers; i++)
		sum += c->worker[i].source_dropped;
	return sum;
}

uint64_t counts_range(const struct counts_worker *w, unsigned first, unsigned cap)
{
	uint64_t sum = 0;

	for (unsigned i = first; i < first + cap; i++)
		sum += w->total[i];
	return sum;
}
