/* SPDX-License-Identifier: BSD-3-Clause */
#include "retain.h"

#include "../log.h"
#include "outdir.h"
#include "reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SETS_CAP 64u
#define STEP_US 2000u /* how long a step may take, about */
#define DAY_S 86400u
#define TIME_LEN 16u /* YYYYMMDDThhmmssZ */

struct file {
	uint64_t start_s, bytes;
	uint32_t seq;
	uint16_t set;
	uint16_t round; /* in which it came; ROUND_GONE */
};
#define ROUND_GONE 0u
#define ROUND_FOUND 1u /* by the walk */

struct retain {
	char *dir, *probe;
	struct value_keep keep;
	char set[SETS_CAP][OUTDIR_SET_CAP];
	unsigned sets;
	struct file *file; /* [len], by start, set, number; those before `head` are gone */
	size_t head, len, cap, scan;
	uint16_t round;
	bool sealed; /* what comes next is of a new round */
	uint64_t last_start_s, last_end_s;
	struct retain_counts n;
	uint64_t pass_files, pass_bytes; /* removed, and not told yet */
};

/* Two digits and four. */
static bool digits(const char *c, unsigned n, int *out)
{
	*out = 0;
	for (unsigned i = 0; i < n; i++) {
		if (c[i] < '0' || c[i] > '9')
			return false;
		*out = *out * 10 + (c[i] - '0');
	}
	return true;
}

static bool read_time(const char *c, uint64_t *out)
{
	struct tm tm = {0}, again;

	if (!digits(c, 4, &tm.tm_year) || !digits(c + 4, 2, &tm.tm_mon) ||
	    !digits(c + 6, 2, &tm.tm_mday) || c[8] != 'T' || !digits(c + 9, 2, &tm.tm_hour) ||
	    !digits(c + 11, 2, &tm.tm_min) || !digits(c + 13, 2, &tm.tm_sec) || c[15] != 'Z')
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	again = tm;
	const time_t t = timegm(&again);
	*out = (uint64_t)t;
	/* No 31st of June. */
	return t >= 0 && again.tm_mon == tm.tm_mon && again.tm_mday == tm.tm_mday &&
	       again.tm_hour == tm.tm_hour && again.tm_min == tm.tm_min;
}

/* <set>-<time>-<probe>-<number>.jsonl.zst and nothing else is ours. */
static bool read_name(const struct retain *r, const char *set, const char *name, struct file *f)
{
	const size_t set_len = strlen(set), probe_len = strlen(r->probe);
	size_t n = 0;

	if (strncmp(name, set, set_len) != 0 || name[set_len] != '-' ||
	    strlen(name) < set_len + 1 + TIME_LEN || !read_time(name + set_len + 1, &f->start_s))
		return false;
	name += set_len + 1 + TIME_LEN;
	if (name[0] != '-' || strncmp(name + 1, r->probe, probe_len) != 0 ||
	    name[1 + probe_len] != '-')
		return false;
	name += 2 + probe_len;
	f->seq = 0;
	for (; name[n] >= '0' && name[n] <= '9' && n < 7; n++)
		f->seq = f->seq * 10 + (uint32_t)(name[n] - '0');
	return n >= 6 && strcmp(name + n, READER_SUFFIX) == 0;
}

static void path_of(const struct retain *r, const struct file *f, char out[PATH_MAX])
{
	const time_t start = (time_t)f->start_s;
	char text[TIME_LEN + 1];
	struct tm tm;

	(void)strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", gmtime_r(&start, &tm));
	(void)snprintf(out, PATH_MAX, "%s/%s/%s-%s-%s-%06" PRIu32 READER_SUFFIX, r->dir,
		       r->set[f->set], r->set[f->set], text, r->probe, f->seq);
}

/* The number of a set; SETS_CAP: there is no room for one more. */
static unsigned set_of(struct retain *r, const char *name, size_t len)
{
	for (unsigned i = 0; i < r->sets; i++)
		if (strlen(r->set[i]) == len && memcmp(r->set[i], name, len) == 0)
			return i;
	if (r->sets == SETS_CAP || len >= OUTDIR_SET_CAP)
		return SETS_CAP;
	memcpy(r->set[r->sets], name, len);
	r->set[r->sets][len] = '\0';
	return r->sets++;
}

static int compare(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	if (x->start_s != y->start_s)
		return x->start_s < y->start_s ? -1 : 1;
	if (x->set != y->set)
		return x->set < y->set ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static bool grow(struct retain *r)
{
	if (r->head > r->len / 2) { /* room at the front */
		memmove(r->file, r->file + r->head, (r->len - r->head) * sizeof(*r->file));
		r->len -= r->head;
		r->scan -= r->scan < r->head ? r->scan : r->head;
		r->head = 0;
	}
	if (r->len < r->cap)
		return true;
	const size_t cap = r->cap != 0 ? 2 * r->cap : 1024;
	struct file *grown = realloc(r->file, cap * sizeof(*grown));
	if (grown == NULL)
		return false;
	r->file = grown;
	r->cap = cap;
	return true;
}

static void walk_set(struct retain *r, const char *set)
{
	const unsigned number = set_of(r, set, strlen(set));
	char path[PATH_MAX];
	struct stat st;
	DIR *d;

	if (number == SETS_CAP || snprintf(path, sizeof(path), "%s/%s", r->dir, set) >= PATH_MAX)
		return;
	d = opendir(path);
	for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
		struct file f = {.set = (uint16_t)number, .round = ROUND_FOUND};

		if (!read_name(r, set, e->d_name, &f) ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISREG(st.st_mode) || !grow(r))
			continue;
		f.bytes = (uint64_t)st.st_size;
		r->file[r->len++] = f;
		r->n.files++;
		r->n.bytes += f.bytes;
	}
	if (d != NULL)
		(void)closedir(d);
}

struct retain *retain_create(const char *dir, const char *probe, const struct value_keep *keep)
{
	struct retain *r = calloc(1, sizeof(*r));
	DIR *d;

	if (r == NULL)
		return NULL;
	r->keep = *keep;
	r->round = ROUND_FOUND + 1;
	r->dir = strdup(dir);
	r->probe = strdup(probe);
	if (r->dir == NULL || r->probe == NULL) {
		retain_destroy(r);
		errno = ENOMEM;
		return NULL;
	}
	d = opendir(dir);
	for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
		if (e->d_name[0] != '.' && strlen(e->d_name) < OUTDIR_SET_CAP)
			walk_set(r, e->d_name);
	if (d != NULL)
		(void)closedir(d);
	if (r->len != 0)
		qsort(r->file, r->len, sizeof(*r->file), compare);
	return r;
}

void retain_destroy(struct retain *r)
{
	if (r == NULL)
		return;
	free(r->file);
	free(r->dir);
	free(r->probe);
	free(r);
}

void retain_add(struct retain *r, const char *name, uint64_t bytes)
{
	const char *slash = r != NULL ? strchr(name, '/') : NULL;
	struct file f = {.bytes = bytes};
	size_t at;

	if (slash == NULL)
		return;
	const unsigned set = set_of(r, name, (size_t)(slash - name));
	if (set == SETS_CAP || !read_name(r, r->set[set], slash + 1, &f) || !grow(r))
		return; /* found by the next start's walk */
	if (r->sealed) {
		r->sealed = false;
		r->round = (uint16_t)(r->round == UINT16_MAX ? ROUND_FOUND + 1u : r->round + 1u);
	}
	f.set = (uint16_t)set;
	f.round = r->round;
	for (at = r->len; at > r->head && compare(&r->file[at - 1], &f) > 0; at--)
		;
	memmove(&r->file[at + 1], &r->file[at], (r->len - at) * sizeof(f));
	r->file[at] = f;
	r->len++;
	r->n.files++;
	r->n.bytes += bytes;
}

void retain_closed(struct retain *r, uint64_t start_s, uint64_t end_s)
{
	if (r == NULL)
		return;
	r->sealed = true;
	r->last_start_s = start_s;
	r->last_end_s = end_s;
	r->scan = r->head;
}

static void tell(struct retain *r)
{
	if (r->pass_files == 0)
		return;
	log_info("keep",
		 LOG_FIELDS(LOG_NUM("files", r->pass_files), LOG_NUM("bytes", r->pass_bytes),
			    LOG_NUM("left_files", r->n.files), LOG_NUM("left_bytes", r->n.bytes)),
		 "--keep: removed %" PRIu64 " old file%s (%.1f MB)", r->pass_files,
		 r->pass_files == 1 ? "" : "s", (double)r->pass_bytes / 1e6);
	r->pass_files = r->pass_bytes = 0;
}

static void remove_file(struct retain *r, struct file *f)
{
	char path[PATH_MAX];

	path_of(r, f, path);
	if (unlink(path) == 0) {
		r->pass_files++;
		r->pass_bytes += f->bytes;
		r->n.removed_files++;
		r->n.removed_bytes += f->bytes;
	} else if (errno != ENOENT) { /* somebody else was quicker */
		r->n.failed++;
		log_error("keep-failed", LOG_FIELDS(LOG_NUM("errno", errno)),
			  "--keep: cannot remove %s: %s", path, strerror(errno));
	}
	/* One that stays all the same is not held against the others. */
	r->n.files--;
	r->n.bytes -= f->bytes;
	f->round = ROUND_GONE;
}

static bool is_due(const struct retain *r, const struct file *f)
{
	if (r->keep.days != 0 && f->start_s + (uint64_t)r->keep.days * DAY_S <= r->last_end_s)
		return true;
	return r->keep.bytes != 0 && r->n.bytes > r->keep.bytes;
}

static uint64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

void retain_step(struct retain *r)
{
	uint64_t begin_us;

	if (r == NULL || !r->sealed || r->scan == r->len)
		return;
	begin_us = now_us();
	for (; r->scan < r->len; r->scan++) {
		struct file *f = &r->file[r->scan];

		if (f->round == ROUND_GONE)
			continue;
		if (f->start_s >= r->last_start_s || !is_due(r, f)) {
			r->scan = r->len; /* those behind are newer */
			break;
		}
		if (f->round == r->round) /* written last, whatever its records begin with */
			continue;
		if (now_us() - begin_us > STEP_US)
			return; /* goes on with the next turn */
		remove_file(r, f);
	}
	while (r->head < r->len && r->file[r->head].round == ROUND_GONE)
		r->head++;
	tell(r);
}

void retain_finish(struct retain *r)
{
	if (r == NULL)
		return;
	retain_closed(r, r->last_start_s, r->last_end_s);
	while (r->scan != r->len)
		retain_step(r);
}

struct retain_counts retain_counts_get(const struct retain *r)
{
	return r != NULL ? r->n : (struct retain_counts){0};
}
