/* SPDX-License-Identifier: BSD-3-Clause */
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#define LINE_CAP ((size_t)64 << 20) /* no record is longer */

struct reader {
	int fd;
	bool file_end;
	size_t frame_left; /* 0: between frames */
	bool any;          /* octets were read */
	ZSTD_DCtx *zstd;
	uint8_t *in;
	size_t in_pos, in_len, in_cap;
	char *out; /* decompressed, not yet handed out: [out_pos, out_len) */
	size_t out_pos, out_len, out_cap, scanned;
	char error[160];
};

struct reader *reader_create(const char *path)
{
	struct reader *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (r->fd < 0) {
		free(r);
		return NULL;
	}
	r->in_cap = ZSTD_DStreamInSize();
	r->in = malloc(r->in_cap);
	r->zstd = ZSTD_createDCtx();
	if (r->in == NULL || r->zstd == NULL) {
		reader_destroy(r);
		errno = ENOMEM;
		return NULL;
	}
	return r;
}

void reader_destroy(struct reader *r)
{
	if (r == NULL)
		return;
	close(r->fd);
	ZSTD_freeDCtx(r->zstd);
	free(r->in);
	free(r->out);
	free(r);
}

const char *reader_error(const struct reader *r)
{
	return r->error;
}

static int fail(struct reader *r, int code, const char *why)
{
	snprintf(r->error, sizeof r->error, "%s", why);
	return -code;
}

/* Gets compressed octets; 0 also at the end of the file. */
static int fill(struct reader *r)
{
	ssize_t n;

	if (r->in_pos < r->in_len || r->file_end)
		return 0;
	do
		n = read(r->fd, r->in, r->in_cap);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail(r, errno, strerror(errno));
	r->in_pos = 0;
	r->in_len = (size_t)n;
	r->file_end = n == 0;
	r->any |= n > 0;
	return 0;
}

/* Makes room behind out_len, with one octet to spare for a NUL. */
static int make_room(struct reader *r)
{
	const size_t room = ZSTD_DStreamOutSize();

	if (r->out_pos > 0) {
		memmove(r->out, r->out + r->out_pos, r->out_len - r->out_pos);
		r->out_len -= r->out_pos;
		r->scanned -= r->out_pos;
		r->out_pos = 0;
	}
	if (r->out_cap - r->out_len > room)
		return 0;
	if (r->out_len > LINE_CAP)
		return fail(r, EBADMSG, "a line is longer than any record");
	const size_t cap = r->out_cap ? 2 * r->out_cap : 4 * room;
	char *grown = realloc(r->out, cap);

	if (grown == NULL)
		return fail(r, ENOMEM, strerror(ENOMEM));
	r->out = grown;
	r->out_cap = cap;
	return 0;
}

/* Decompresses some more; 0 also where nothing is left. */
static int decompress(struct reader *r)
{
	int rc = fill(r);

	if (rc == 0)
		rc = make_room(r);
	if (rc != 0)
		return rc;
	ZSTD_inBuffer in = {r->in, r->in_len, r->in_pos};
	ZSTD_outBuffer out = {r->out, r->out_cap - 1, r->out_len};
	const size_t left = ZSTD_decompressStream(r->zstd, &out, &in);

	if (ZSTD_isError(left))
		return fail(r, EBADMSG, ZSTD_getErrorName(left));
	if (in.pos != in.size || in.pos != r->in_pos || out.pos != r->out_len)
		r->frame_left = left;
	r->in_pos = in.pos;
	r->out_len = out.pos;
	return 0;
}

int reader_next(struct reader *r, const char **line, size_t *len)
{
	for (;;) {
		char *end = r->scanned < r->out_len
				? memchr(r->out + r->scanned, '\n', r->out_len - r->scanned)
				: NULL;

		if (end != NULL) {
			*line = r->out + r->out_pos;
			*len = (size_t)(end - *line);
			*end = '\0';
			r->out_pos = r->scanned = (size_t)(end + 1 - r->out);
			return 1;
		}
		r->scanned = r->out_len;

		const size_t before = r->out_len - r->out_pos;
		const int rc = decompress(r);

		if (rc != 0)
			return rc;
		if (!r->file_end || r->out_len - r->out_pos != before)
			continue;
		if (!r->any)
			return fail(r, EBADMSG, "the file is empty");
		if (r->frame_left != 0)
			return fail(r, EBADMSG, "the file is cut off");
		if (r->out_pos != r->out_len)
			return fail(r, EBADMSG, "the last line has no end");
		return 0;
	}
}

bool reader_name_is_whole(const char *name)
{
	const size_t len = strlen(name), suffix = strlen(READER_SUFFIX);

	return name[0] != '.' && len > suffix && strcmp(name + len - suffix, READER_SUFFIX) == 0;
}

bool reader_name_split(const char *name, char *set, size_t cap, uint64_t *start_s)
{
	const size_t set_len = strcspn(name, "-");
	struct tm tm = {0};
	const char *rest;

	if (!reader_name_is_whole(name) || name[set_len] == '\0' || set_len == 0 || set_len >= cap)
		return false;
	rest = strptime(name + set_len + 1, "%Y%m%dT%H%M%SZ", &tm);
	if (rest == NULL || rest != name + set_len + 17 || *rest != '-')
		return false;
	memcpy(set, name, set_len);
	set[set_len] = '\0';
	*start_s = (uint64_t)timegm(&tm);
	return true;
}
