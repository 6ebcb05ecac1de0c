/* SPDX-License-Identifier: BSD-3-Clause */
#include "jsonl.h"

#include "outdir.h"
#include "reader.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#define LEVEL 3
#define SETS_CAP 32
#define KEEP_BYTES ((size_t)64 << 20)   /* compressed, all sets together */
#define PIECE_BYTES ((size_t)128 << 10) /* written to the temporary at a time */
#define SEQ_CAP 1000000u

/* The next file of one set. Its octets are numbered from 0; `keep` holds those
 * from `keep_base` on, the temporary those before `file_len`. */
struct set {
	char name[OUTDIR_SET_CAP];
	ZSTD_CCtx *zstd;
	bool frame_open;
	bool failed;               /* wait for the next commit */
	uint64_t records, start_s; /* start_s: the earliest */
	uint32_t seq;              /* of the next file */

	uint8_t *keep;
	size_t keep_len, keep_cap, keep_base;
	int fd; /* of the temporary; -1: none */
	size_t file_len;
};

struct jsonl {
	char *dir, *probe;
	struct set sets[SETS_CAP];
	size_t sets_len;
	size_t budget;
	uint64_t lost;
	jsonl_named_fn *named; /* or NULL */
	void *named_ctx;
	char error[PATH_MAX + 256];
};

/* Notes what failed, as a sentence; returns -code. */
static int note(struct jsonl *j, const char *what, const char *path, int code)
{
	snprintf(j->error, sizeof j->error, "%s %s: %s", what, path, strerror(code));
	return -code;
}

static int path_of(const struct jsonl *j, const struct set *s, const char *file, char out[PATH_MAX])
{
	const int n =
	    snprintf(out, PATH_MAX, "%s/%s%s%s", j->dir, s->name, file[0] ? "/" : "", file);

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int temporary_path(const struct jsonl *j, const struct set *s, char out[PATH_MAX])
{
	char name[NAME_MAX + 1];

	outdir_temporary(s->name, j->probe, name);
	return path_of(j, s, name, out);
}

struct jsonl *jsonl_create(const char *dir, const char *probe, char *err, size_t cap)
{
	struct jsonl *j = calloc(1, sizeof *j);
	int rc = -ENOMEM;

	if (j == NULL)
		goto failed;
	j->budget = KEEP_BYTES;
	j->dir = strdup(dir);
	j->probe = strdup(probe);
	if (j->dir == NULL || j->probe == NULL)
		goto failed;
	for (size_t n = strlen(j->dir); n > 1 && j->dir[n - 1] == '/'; n--)
		j->dir[n - 1] = '\0';
	rc = outdir_prepare(j->dir, probe);
	if (rc == 0)
		return j;
failed:
	snprintf(err, cap, "cannot write to the directory %s: %s; give another one with --out", dir,
		 strerror(-rc));
	jsonl_destroy(j);
	errno = -rc;
	return NULL;
}

static struct set *set_get(struct jsonl *j, const char *name)
{
	for (size_t i = 0; i < j->sets_len; i++) {
		if (strcmp(j->sets[i].name, name) == 0)
			return &j->sets[i];
	}
	assert(j->sets_len < SETS_CAP && strlen(name) < OUTDIR_SET_CAP);
	struct set *s = &j->sets[j->sets_len];

	memset(s, 0, sizeof *s);
	s->fd = -1;
	s->zstd = ZSTD_createCCtx();
	if (s->zstd == NULL)
		return NULL;
	ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_compressionLevel, LEVEL);
	ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_checksumFlag, 1);
	strcpy(s->name, name);
	j->sets_len++;
	return s;
}

static size_t kept_bytes(const struct jsonl *j)
{
	size_t sum = 0;

	for (size_t i = 0; i < j->sets_len; i++)
		sum += j->sets[i].keep_len;
	return sum;
}

static void close_temporary(struct jsonl *j, struct set *s, bool remove)
{
	char path[PATH_MAX];

	if (s->fd < 0)
		return;
	if (remove && temporary_path(j, s, path) == 0)
		unlink(path);
	close(s->fd);
	s->fd = -1;
}

/* Back to an empty next file. */
static void reset_set(struct set *s)
{
	ZSTD_CCtx_reset(s->zstd, ZSTD_reset_session_only);
	if (s->keep_cap > 4 * PIECE_BYTES) {
		free(s->keep);
		s->keep = NULL;
		s->keep_cap = 0;
	}
	s->frame_open = s->failed = false;
	s->records = 0;
	s->keep_len = s->keep_base = s->file_len = 0;
}

/* What memory holds whole is written anew next time; what is in the temporary
 * alone stays there, or is lost with it. */
static void set_failed(struct jsonl *j, struct set *s, bool temporary_lost)
{
	struct stat st;

	s->failed = true;
	if (s->keep_base == 0) {
		close_temporary(j, s, true);
		s->file_len = 0;
	} else if (temporary_lost || fstat(s->fd, &st) != 0 || st.st_nlink == 0) {
		j->lost += s->records;
		close_temporary(j, s, true);
		reset_set(s);
	}
}

static int open_temporary(struct jsonl *j, struct set *s)
{
	char path[PATH_MAX];
	int rc = path_of(j, s, "", path);

	if (rc == 0)
		rc = outdir_make(path);
	if (rc != 0)
		return note(j, "cannot make the directory", path, -rc);
	rc = temporary_path(j, s, path);
	if (rc != 0)
		return note(j, "cannot create", path, -rc);
	s->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (s->fd < 0)
		return note(j, "cannot create", path, errno);
	(void)flock(s->fd, LOCK_EX | LOCK_NB); /* says that we live; see outdir.c */
	if (fchmod(s->fd, 0640) != 0) {
		rc = note(j, "cannot set the mode of", path, errno);
		close_temporary(j, s, true);
	}
	s->file_len = 0;
	return rc;
}

/* Writes to the temporary what only memory has. */
static int write_out(struct jsonl *j, struct set *s)
{
	char path[PATH_MAX];
	int rc = s->fd < 0 ? open_temporary(j, s) : 0;

	while (rc == 0 && s->file_len < s->keep_base + s->keep_len) {
		const ssize_t n =
		    pwrite(s->fd, s->keep + (s->file_len - s->keep_base),
			   s->keep_base + s->keep_len - s->file_len, (off_t)s->file_len);

		if (n > 0) {
			s->file_len += (size_t)n;
		} else if (n == 0 || errno != EINTR) {
			const int code = n == 0 ? EIO : errno;

			(void)temporary_path(j, s, path);
			rc = note(j, "cannot write", path, code);
		}
	}
	if (rc != 0)
		set_failed(j, s, false);
	return rc;
}

static int reserve(struct set *s, size_t room)
{
	size_t cap = s->keep_cap ? s->keep_cap : 2 * PIECE_BYTES;
	uint8_t *grown;

	while (cap - s->keep_len < room)
		cap *= 2;
	if (cap == s->keep_cap)
		return 0;
	grown = realloc(s->keep, cap);
	if (grown == NULL)
		return -ENOMEM;
	s->keep = grown;
	s->keep_cap = cap;
	return 0;
}

/* Compresses into memory. Takes all the room first: half a record must not get in. */
static int compress(struct set *s, const void *bytes, size_t len, ZSTD_EndDirective end)
{
	ZSTD_inBuffer in = {bytes, len, 0};
	int rc = reserve(s, ZSTD_compressBound(len) + 2 * ZSTD_CStreamOutSize());

	for (;;) {
		if (rc != 0)
			return rc;
		ZSTD_outBuffer out = {s->keep, s->keep_cap, s->keep_len};
		const size_t left = ZSTD_compressStream2(s->zstd, &out, &in, end);

		if (ZSTD_isError(left))
			return -EIO;
		s->keep_len = out.pos;
		if (end == ZSTD_e_end ? left == 0 : in.pos == in.size)
			return 0;
		rc = reserve(s, ZSTD_CStreamOutSize());
	}
}

/* Makes room in the budget; -ENOSPC where the disk does not take it. */
static int make_room(struct jsonl *j, struct set *s)
{
	if (kept_bytes(j) < j->budget)
		return 0;
	if (s->failed || write_out(j, s) != 0) {
		snprintf(j->error, sizeof j->error,
			 "%s/%s cannot be written and the memory for waiting "
			 "records is full: %" PRIu64 " records are lost",
			 j->dir, s->name, j->lost + 1);
		return -ENOSPC;
	}
	s->keep_base += s->keep_len;
	s->keep_len = 0;
	return 0;
}

int jsonl_write(struct jsonl *j, const char *set, uint64_t start_s, json_t *record)
{
	const size_t flags = JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15);
	struct set *s = set_get(j, set);
	char *text = s != NULL ? json_dumps(record, flags) : NULL;
	int rc = text != NULL ? make_room(j, s) : -ENOMEM;

	json_decref(record);
	if (rc == 0) {
		const size_t len = strlen(text);

		text[len] = '\n'; /* over the end mark: compress() goes by length */
		rc = compress(s, text, len + 1, ZSTD_e_continue);
	}
	free(text);
	if (rc != 0) {
		j->lost++;
		return rc;
	}
	s->frame_open = true;
	if (s->records++ == 0 || start_s < s->start_s)
		s->start_s = start_s;
	if (!s->failed && s->keep_base + s->keep_len >= s->file_len + PIECE_BYTES)
		(void)write_out(j, s); /* the records are kept; the commit tells */
	return 0;
}

/* Renames without ever replacing a file; takes the next free number. */
static int name_file(struct jsonl *j, struct set *s)
{
	char from[PATH_MAX], to[PATH_MAX], name[NAME_MAX + 1], time_text[32];
	const time_t start = (time_t)s->start_s;
	struct tm tm;
	int rc;

	rc = temporary_path(j, s, from);
	strftime(time_text, sizeof time_text, "%Y%m%dT%H%M%SZ", gmtime_r(&start, &tm));
	for (; rc == 0 && s->seq < SEQ_CAP; s->seq++) {
		snprintf(name, sizeof name, "%s-%s-%s-%06" PRIu32 READER_SUFFIX, s->name, time_text,
			 j->probe, s->seq);
		rc = path_of(j, s, name, to);
		if (rc != 0 || renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
			break;
		if (errno == EINVAL || errno == ENOSYS) /* a file system without it */
			rc = link(from, to) == 0 ? unlink(from) : -1;
		else
			rc = -1;
		if (rc == 0 || errno != EEXIST)
			break;
		rc = 0;
	}
	if (rc == 0 && s->seq < SEQ_CAP) {
		s->seq++;
		if (j->named != NULL)
			j->named(j->named_ctx, to + strlen(j->dir) + 1, s->file_len);
		return 0;
	}
	return note(j, "cannot name the file", to, rc == 0 ? EEXIST : rc == -1 ? errno : -rc);
}

static int sync_dir(struct jsonl *j, struct set *s)
{
	char path[PATH_MAX];
	int rc = path_of(j, s, "", path);
	const int fd = rc == 0 ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		(void)fsync(fd); /* some file systems cannot; the file itself is safe */
		close(fd);
	}
	return rc;
}

static int commit_set(struct jsonl *j, struct set *s)
{
	char path[PATH_MAX];
	int rc = s->frame_open ? compress(s, NULL, 0, ZSTD_e_end) : 0;

	if (rc != 0)
		return note(j, "cannot compress records for", s->name, -rc);
	s->frame_open = false;
	s->failed = false;
	rc = write_out(j, s);
	if (rc != 0)
		return rc;
	if (fsync(s->fd) != 0) {
		rc = errno;
		(void)temporary_path(j, s, path);
		rc = note(j, "cannot write", path, rc);
		set_failed(j, s, true);
		return rc;
	}
	rc = name_file(j, s);
	if (rc != 0) {
		set_failed(j, s, false);
		return rc;
	}
	close_temporary(j, s, false);
	reset_set(s);
	return sync_dir(j, s);
}

int jsonl_commit(struct jsonl *j)
{
	int first = 0;

	for (size_t i = 0; i < j->sets_len; i++) {
		int rc = j->sets[i].records > 0 ? commit_set(j, &j->sets[i]) : 0;

		/* Somebody tidied the set's directory away: it is made again. */
		if (rc == -ENOENT && j->sets[i].records > 0)
			rc = commit_set(j, &j->sets[i]);
		if (first == 0)
			first = rc;
	}
	return first;
}

const char *jsonl_error(const struct jsonl *j)
{
	return j->error;
}

uint64_t jsonl_lost_records(const struct jsonl *j)
{
	return j->lost;
}

uint64_t jsonl_held_records(const struct jsonl *j)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < j->sets_len; i++)
		sum += j->sets[i].records;
	return sum;
}

void jsonl_destroy(struct jsonl *j)
{
	if (j == NULL)
		return;
	for (size_t i = 0; i < j->sets_len; i++) {
		close_temporary(j, &j->sets[i], true);
		ZSTD_freeCCtx(j->sets[i].zstd);
		free(j->sets[i].keep);
	}
	free(j->dir);
	free(j->probe);
	free(j);
}

void jsonl_on_named(struct jsonl *j, jsonl_named_fn *named, void *ctx)
{
	j->named = named;
	j->named_ctx = ctx;
}

void jsonl_set_budget(struct jsonl *j, size_t bytes)
{
	j->budget = bytes;
}
