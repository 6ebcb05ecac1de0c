/* SPDX-License-Identifier: BSD-3-Clause */
#include "walk.h"

#include "export/reader.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define RUN_BYTES ((size_t)32 << 20) /* sorted in memory; more goes through a temporary file */

/* A record and what it is sorted by: `text` holds set, vantage and line, each with
 * a NUL behind. */
struct item {
	uint64_t start;
	size_t len; /* of text, with all NULs */
	char *text;
	const char *vantage, *line;
};

/* Sorted records: in memory, or in a temporary file. */
struct stream {
	struct item *items;
	size_t at, len, cap, bytes;
	FILE *spill; /* or NULL; then items[0] is the one that was read last */
};

struct source {
	char *path;
	uint64_t start; /* no record in it is earlier; 0: unknown */
};

struct walk {
	struct config_texts sets; /* borrowed */
	struct source *sources;   /* by start */
	size_t sources_at, sources_len;
	struct stream **heap; /* of open streams, earliest record first */
	size_t heap_len;
	bool handed; /* the top's record is with the caller */
	unsigned damaged;
};

static bool wanted(const struct walk *w, const char *set)
{
	for (size_t i = 0; i < w->sets.n; i++) {
		if (strcmp(w->sets.v[i], set) == 0)
			return true;
	}
	return w->sets.n == 0;
}

static void item_point(struct item *it)
{
	it->vantage = it->text + strlen(it->text) + 1;
	it->line = it->vantage + strlen(it->vantage) + 1;
}

static int item_compare(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int order = (x->start > y->start) - (x->start < y->start);

	if (order == 0)
		order = strcmp(x->text, y->text);
	if (order == 0)
		order = strcmp(x->vantage, y->vantage);
	return order != 0 ? order : strcmp(x->line, y->line);
}

static void stream_destroy(struct stream *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->len; i++)
		free(s->items[i].text);
	free(s->items);
	if (s->spill != NULL)
		fclose(s->spill);
	free(s);
}

/* Adds one line. 1 if it is no record, 0, or -ENOMEM. */
static int stream_put(struct walk *w, struct stream *s, const char *line, size_t len)
{
	json_t *record = json_loadb(line, len, 0, NULL);
	const char *set = NULL, *vantage = "";
	json_int_t start = -1;
	struct item it = {0};
	int rc = 1;

	if (json_unpack(record, "{s:s, s?s, s:I}", "set", &set, "vantage", &vantage, "start",
			&start) != 0 ||
	    start < 0)
		goto done;
	rc = 0;
	if (!wanted(w, set))
		goto done;
	rc = -ENOMEM;
	if (s->len == s->cap) {
		const size_t cap = s->cap ? 2 * s->cap : 64;
		struct item *grown = realloc(s->items, cap * sizeof *grown);

		if (grown == NULL)
			goto done;
		s->items = grown;
		s->cap = cap;
	}
	it.start = (uint64_t)start;
	it.len = strlen(set) + strlen(vantage) + len + 3;
	it.text = malloc(it.len);
	if (it.text == NULL)
		goto done;
	snprintf(it.text, it.len, "%s%c%s%c%s", set, 0, vantage, 0, line);
	item_point(&it);
	s->items[s->len++] = it;
	s->bytes += it.len + sizeof it;
	rc = 0;
done:
	json_decref(record);
	return rc;
}

/* Reads the next record of a spilled stream into items[0]. 1, 0 at its end, -errno. */
static int stream_load(struct stream *s)
{
	uint64_t head[2];
	struct item *it = &s->items[0];

	if (fread(head, sizeof head, 1, s->spill) != 1)
		return ferror(s->spill) ? -EIO : 0;
	free(it->text);
	it->start = head[0];
	it->len = (size_t)head[1];
	it->text = malloc(it->len);
	if (it->text == NULL)
		return -ENOMEM;
	if (fread(it->text, it->len, 1, s->spill) != 1)
		return -EIO;
	item_point(it);
	return 1;
}

/* Sorts and moves what is in memory to a temporary file. */
static int stream_spill(struct stream *s)
{
	FILE *f = tmpfile();
	bool ok = f != NULL;

	for (size_t i = 0; ok && i < s->len; i++) {
		const uint64_t head[2] = {s->items[i].start, s->items[i].len};

		ok = fwrite(head, sizeof head, 1, f) == 1 &&
		     fwrite(s->items[i].text, s->items[i].len, 1, f) == 1;
	}
	if (!ok || fseek(f, 0, SEEK_SET) != 0) {
		const int code = errno;

		if (f != NULL)
			fclose(f);
		return -code;
	}
	for (size_t i = 0; i < s->len; i++) {
		free(s->items[i].text);
		s->items[i].text = NULL;
	}
	s->spill = f;
	s->len = 1;
	const int rc = stream_load(s);

	return rc < 0 ? rc : 0;
}

static bool before(const struct stream *a, const struct stream *b)
{
	return item_compare(&a->items[a->at], &b->items[b->at]) < 0;
}

static void heap_down(struct walk *w)
{
	for (size_t i = 0, child; (child = 2 * i + 1) < w->heap_len; i = child) {
		if (child + 1 < w->heap_len && before(w->heap[child + 1], w->heap[child]))
			child++;
		if (!before(w->heap[child], w->heap[i]))
			break;
		struct stream *swap = w->heap[i];

		w->heap[i] = w->heap[child];
		w->heap[child] = swap;
	}
}

/* Takes the stream over, in any case. */
static int heap_push(struct walk *w, struct stream *s, bool spill)
{
	struct stream **grown;
	int rc = 0;

	if (s->len > 0)
		qsort(s->items, s->len, sizeof *s->items, item_compare);
	if (spill)
		rc = stream_spill(s);
	grown = realloc(w->heap, (w->heap_len + 1) * sizeof(struct stream *));
	if (grown != NULL)
		w->heap = grown;
	if (s->len == 0 || rc != 0 || grown == NULL) {
		stream_destroy(s);
		return rc != 0 ? rc : grown == NULL ? -ENOMEM : 0;
	}
	size_t i = w->heap_len++;

	for (; i > 0 && before(s, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = s;
	return 0;
}

static void complain(struct walk *w, const char *path, const char *what)
{
	fprintf(stderr, "fluxtap: %s: %s\n", path, what);
	w->damaged++;
}

static int read_lines(struct walk *w, struct reader *r, const char *path)
{
	struct stream *s = calloc(1, sizeof *s);
	const char *line;
	size_t len;
	char text[256];
	uint64_t lines = 0, bad = 0;
	int rc = s != NULL ? 0 : -ENOMEM;

	while (rc == 0 && (rc = reader_next(r, &line, &len)) == 1) {
		lines++;
		rc = stream_put(w, s, line, len);
		bad += rc == 1;
		rc = rc == 1 ? 0 : rc;
		if (rc == 0 && s->bytes > RUN_BYTES) {
			rc = heap_push(w, s, true);
			s = calloc(1, sizeof *s);
			rc = rc == 0 && s == NULL ? -ENOMEM : rc;
		}
	}
	if (s != NULL) {
		const int pushed = heap_push(w, s, false);

		rc = rc != 0 ? rc : pushed;
	}
	if (rc < 0 && reader_error(r)[0] != '\0') {
		snprintf(text, sizeof text, "damaged after %" PRIu64 " records: %s", lines,
			 reader_error(r));
		complain(w, path, text);
		rc = 0;
	}
	if (bad > 0) {
		snprintf(text, sizeof text, "%" PRIu64 " lines are no records; left out", bad);
		complain(w, path, text);
	}
	return rc;
}

static int open_source(struct walk *w, const char *path)
{
	struct reader *r = reader_create(path);
	int rc = 0;

	if (r == NULL)
		complain(w, path, strerror(errno));
	else
		rc = read_lines(w, r, path);
	reader_destroy(r);
	return rc;
}

static int source_compare(const void *a, const void *b)
{
	const struct source *x = a, *y = b;
	const int order = (x->start > y->start) - (x->start < y->start);

	return order != 0 ? order : strcmp(x->path, y->path);
}

static int add_source(struct walk *w, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct source *grown;
	char set[64];
	uint64_t start = 0;

	if (reader_name_split(slash ? slash + 1 : path, set, sizeof set, &start) && !wanted(w, set))
		return 0;
	grown = realloc(w->sources, (w->sources_len + 1) * sizeof *grown);
	if (grown == NULL)
		return -ENOMEM;
	w->sources = grown;
	grown[w->sources_len].start = start;
	grown[w->sources_len].path = strdup(path);
	return grown[w->sources_len].path != NULL ? (w->sources_len++, 0) : -ENOMEM;
}

/* Adds the whole files of a directory, and with `depth` of those in it. */
static int add_dir(struct walk *w, const char *dir, int depth)
{
	char path[PATH_MAX];
	DIR *d = opendir(dir);
	int rc = d != NULL ? 0 : -errno;

	for (struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;) {
		if (e->d_name[0] == '.' ||
		    snprintf(path, sizeof path, "%s/%s", dir, e->d_name) >= (int)sizeof path)
			continue;
		if (reader_name_is_whole(e->d_name)) {
			rc = add_source(w, path);
		} else if (depth > 0 &&
			   e->d_name[strspn(e->d_name, "abcdefghijklmnopqrstuvwxyz0123456789_")] ==
			       '\0') {
			rc = add_dir(w, path, depth - 1);
			if (rc == -ENOTDIR)
				rc = 0;
			if (rc == -EACCES) {
				complain(w, path, strerror(EACCES));
				rc = 0;
			}
		}
	}
	if (d != NULL)
		closedir(d);
	return rc;
}

struct walk *walk_create(const struct config_texts *paths, const struct config_texts *sets,
			 char *err, size_t cap)
{
	struct walk *w = calloc(1, sizeof *w);
	const char *at = "fluxtap";
	struct stat st;
	int rc = w != NULL ? 0 : -ENOMEM;

	if (w != NULL)
		w->sets = *sets;
	for (size_t i = 0; rc == 0 && i < paths->n; i++) {
		at = paths->v[i];
		const char *slash = strrchr(at, '/');

		if (stat(at, &st) != 0) {
			rc = -errno;
		} else if (S_ISDIR(st.st_mode)) {
			rc = add_dir(w, at, 1);
		} else if (reader_name_is_whole(slash ? slash + 1 : at)) {
			rc = add_source(w, at);
		} else {
			snprintf(err, cap,
				 "%s is no exported file; give a directory or files that end "
				 "in " READER_SUFFIX,
				 at);
			walk_destroy(w);
			return NULL;
		}
	}
	if (rc != 0) {
		snprintf(err, cap, "%s: %s; give the directory that --out named", at,
			 strerror(-rc));
		walk_destroy(w);
		return NULL;
	}
	if (w->sources_len > 0)
		qsort(w->sources, w->sources_len, sizeof *w->sources, source_compare);
	return w;
}

/* Leaves the record at the top behind. */
static int advance(struct walk *w)
{
	struct stream *top = w->heap[0];
	int rc = 1;

	if (top->spill != NULL)
		rc = stream_load(top);
	else if (++top->at == top->len)
		rc = 0;
	if (rc < 0)
		return rc;
	if (rc == 0) {
		stream_destroy(top);
		w->heap[0] = w->heap[--w->heap_len];
	}
	heap_down(w);
	return 0;
}

int walk_next(struct walk *w, const char **line, size_t *len)
{
	int rc = w->handed ? advance(w) : 0;

	w->handed = false;
	while (rc == 0 && w->sources_at < w->sources_len) {
		const struct source *next = &w->sources[w->sources_at];

		if (w->heap_len > 0 && next->start > w->heap[0]->items[w->heap[0]->at].start)
			break;
		w->sources_at++;
		rc = open_source(w, next->path);
	}
	if (rc != 0 || w->heap_len == 0)
		return rc;
	const struct item *it = &w->heap[0]->items[w->heap[0]->at];

	*line = it->line;
	*len = it->len - 1 - (size_t)(it->line - it->text);
	w->handed = true;
	return 1;
}

unsigned walk_damaged(const struct walk *w)
{
	return w->damaged;
}

void walk_destroy(struct walk *w)
{
	if (w == NULL)
		return;
	for (size_t i = 0; i < w->heap_len; i++)
		stream_destroy(w->heap[i]);
	for (size_t i = 0; i < w->sources_len; i++)
		free(w->sources[i].path);
	free(w->heap);
	free(w->sources);
	free(w);
}
