/* SPDX-License-Identifier: BSD-3-Clause */
#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define LEVEL 1 /* hashes do not get smaller for trying harder */
#define CHUNK_BYTES 65536u
#define NAME_CAP 32u /* of a section, with room for a NUL */

static_assert(sizeof(struct snapshot_head) == 80 + 9 * 8, "no octets that nobody sets");

/* --- writing --- */

struct out {
	int fd;
	ZSTD_CCtx *zstd;
	XXH3_state_t *hash;
	size_t bytes, cap;
	uint8_t *packed; /* [cap] */
	uint32_t n;      /* octets of the chunk */
	uint8_t chunk[CHUNK_BYTES];
};

static int put_file(struct out *o, const void *data, size_t len)
{
	const uint8_t *p = data;

	(void)XXH3_64bits_update(o->hash, data, len);
	o->bytes += len;
	while (len != 0) {
		const ssize_t n = write(o->fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? -EIO : -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int put_packed(struct out *o, const void *data, size_t len, ZSTD_EndDirective end)
{
	ZSTD_inBuffer in = {data, len, 0};

	for (;;) {
		ZSTD_outBuffer out = {o->packed, o->cap, 0};
		const size_t left = ZSTD_compressStream2(o->zstd, &out, &in, end);
		if (ZSTD_isError(left))
			return -EIO;
		const int result = out.pos != 0 ? put_file(o, o->packed, out.pos) : 0;
		if (result != 0)
			return result;
		if (end == ZSTD_e_end ? left == 0 : in.pos == in.size)
			return 0;
	}
}

static int put_chunk(struct out *o)
{
	int result = put_packed(o, &o->n, sizeof(o->n), ZSTD_e_continue);

	if (result == 0 && o->n != 0)
		result = put_packed(o, o->chunk, o->n, ZSTD_e_continue);
	o->n = 0;
	return result;
}

static int put(void *ctx, const void *data, size_t len)
{
	struct out *o = ctx;
	const uint8_t *p = data;
	int result = 0;

	while (len != 0 && result == 0) {
		const size_t room = CHUNK_BYTES - o->n, n = len < room ? len : room;
		memcpy(o->chunk + o->n, p, n);
		o->n += (uint32_t)n;
		p += n;
		len -= n;
		result = o->n == CHUNK_BYTES ? put_chunk(o) : 0;
	}
	return result;
}

static int put_section(struct out *o, const struct stat_ops *ops, const void *stat)
{
	const uint8_t len = (uint8_t)strlen(ops->state);
	int result = put_packed(o, &len, 1, ZSTD_e_continue);

	if (result == 0)
		result = put_packed(o, ops->state, len, ZSTD_e_continue);
	if (result == 0)
		result = ops->save(stat, put, o);
	if (result == 0 && o->n != 0)
		result = put_chunk(o);
	return result == 0 ? put_chunk(o) : result; /* an empty one ends it */
}

static int put_all(struct out *o, const struct snapshot_head *h, const struct snapshot_stats *s)
{
	const uint8_t end = 0;
	int result = put_file(o, h, sizeof(*h));

	for (unsigned i = 0; s->ops[i] != NULL && result == 0; i++)
		if (s->ops[i]->save != NULL)
			result = put_section(o, s->ops[i], s->stat[i]);
	if (result == 0)
		result = put_packed(o, &end, 1, ZSTD_e_end);
	if (result != 0)
		return result;
	const uint64_t sum = XXH3_64bits_digest(o->hash);
	return put_file(o, &sum, sizeof(sum));
}

/* The directory's entry shall be on disk, too. */
static void sync_dir(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');

	(void)snprintf(dir, sizeof(dir), "%.*s", slash != NULL ? (int)(slash - path + 1) : 1,
		       slash != NULL ? path : ".");
	const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)fsync(fd); /* some file systems cannot; the file itself is safe */
	close(fd);
}

static int save_to(struct out *o, const char *tmp, const char *path, const struct snapshot_head *h,
		   const struct snapshot_stats *s)
{
	int result = 0;

	o->fd = open(tmp, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (o->fd < 0)
		return -errno;
	/* Two runs of one name and directory: each file is one of them, whole. */
	if (flock(o->fd, LOCK_EX | LOCK_NB) != 0 || fchmod(o->fd, 0600) != 0 ||
	    ftruncate(o->fd, 0) != 0) {
		result = -errno;
		close(o->fd);
		return result;
	}
	result = put_all(o, h, s);
	if (result == 0 && fsync(o->fd) != 0)
		result = -errno;
	if (result == 0 && rename(tmp, path) != 0)
		result = -errno;
	if (result != 0)
		(void)unlink(tmp);
	close(o->fd);
	if (result == 0)
		sync_dir(path);
	return result;
}

int snapshot_save(const char *path, const struct snapshot_head *h, const struct snapshot_stats *s,
		  size_t *bytes)
{
	struct out *o = calloc(1, sizeof(*o));
	char tmp[PATH_MAX];
	int result = -ENOMEM;

	if (o == NULL)
		return result;
	o->cap = ZSTD_CStreamOutSize();
	o->packed = malloc(o->cap);
	o->zstd = ZSTD_createCCtx();
	o->hash = XXH3_createState();
	if (o->packed != NULL && o->zstd != NULL && o->hash != NULL &&
	    !ZSTD_isError(ZSTD_CCtx_setParameter(o->zstd, ZSTD_c_compressionLevel, LEVEL)) &&
	    XXH3_64bits_reset(o->hash) == XXH_OK)
		result = snprintf(tmp, sizeof(tmp), "%s.tmp", path) < (int)sizeof(tmp)
			     ? save_to(o, tmp, path, h, s)
			     : -ENAMETOOLONG;
	if (result == 0)
		*bytes = o->bytes;
	(void)XXH3_freeState(o->hash);
	ZSTD_freeCCtx(o->zstd);
	free(o->packed);
	free(o);
	return result;
}

/* --- reading --- */

int snapshot_open_octets(struct snapshot *x, const uint8_t *octets, size_t bytes)
{
	struct snapshot_head h;
	uint64_t sum;

	if (bytes < sizeof(h) + sizeof(sum))
		return -EBADMSG;
	memcpy(&h, octets, sizeof(h));
	memcpy(&sum, octets + bytes - sizeof(sum), sizeof(sum));
	if (h.magic != SNAPSHOT_MAGIC)
		return -EBADMSG;
	if (h.version != SNAPSHOT_VERSION)
		return -ENOTSUP;
	if (XXH3_64bits(octets, bytes - sizeof(sum)) != sum ||
	    memchr(h.probe, 0, sizeof(h.probe)) == NULL || h.end_s > UINT32_MAX ||
	    h.until_s > h.end_s || h.gap_s[0] > 86400 || h.gap_s[1] > 86400)
		return -EBADMSG;
	*x = (struct snapshot){octets, bytes, h};
	return 0;
}

int snapshot_open(struct snapshot *x, const char *path)
{
	struct stat st;
	int result = 0;
	const int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0)
		result = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size == 0)
		result = -EBADMSG;
	else if (st.st_uid != geteuid() || (st.st_mode & 022) != 0)
		result = -EPERM; /* somebody else may have written it */
	void *p = result == 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
			      : MAP_FAILED;
	if (result == 0 && p == MAP_FAILED)
		result = -errno;
	close(fd);
	if (result != 0)
		return result;
	result = snapshot_open_octets(x, p, (size_t)st.st_size);
	if (result != 0)
		munmap(p, (size_t)st.st_size);
	return result;
}

void snapshot_close(struct snapshot *x)
{
	if (x->octets != NULL)
		munmap((void *)(uintptr_t)x->octets, x->bytes);
	x->octets = NULL;
}

/* A section as its statistic reads it. */
struct section {
	state_read_fn *read;
	void *ctx;
	uint32_t left; /* of the chunk */
	bool ended;
	int failed; /* of what is around it */
};

/* 0 where there is something left in the chunk. */
static int next_chunk(struct section *s)
{
	if (s->failed != 0 || s->ended)
		return s->failed != 0 ? s->failed : -EBADMSG;
	if (s->left != 0)
		return 0;
	s->failed = s->read(s->ctx, &s->left, sizeof(s->left));
	if (s->failed == 0 && s->left > CHUNK_BYTES)
		s->failed = -EBADMSG;
	if (s->failed != 0)
		return s->failed;
	s->ended = s->left == 0;
	return s->ended ? -EBADMSG : 0;
}

static int read_section(void *ctx, void *data, size_t len)
{
	struct section *s = ctx;
	uint8_t *p = data;
	int result = 0;

	while (len != 0 && (result = next_chunk(s)) == 0) {
		const uint32_t n = len < s->left ? (uint32_t)len : s->left;
		result = s->failed = s->read(s->ctx, p, n);
		if (result != 0)
			break;
		s->left -= n;
		p += n;
		len -= n;
	}
	return result;
}

static int skip_section(struct section *s)
{
	uint8_t scrap[4096];

	while (next_chunk(s) == 0)
		(void)read_section(s, scrap, s->left < sizeof(scrap) ? s->left : sizeof(scrap));
	return s->failed;
}

static void note(char *refused, size_t cap, const char *name)
{
	const size_t n = strlen(refused);

	if (n < cap)
		(void)snprintf(refused + n, cap - n, "%s%s", n != 0 ? ", " : "", name);
}

/* The statistic of a section; -1: nobody knows it. */
static int find(const struct snapshot_stats *s, const char *name)
{
	for (int i = 0; s->ops[i] != NULL; i++)
		if (s->ops[i]->load != NULL && strcmp(s->ops[i]->state, name) == 0)
			return i;
	return -1;
}

int snapshot_read_sections(state_read_fn *read, void *ctx, const struct snapshot_stats *s,
			   char *refused, size_t cap)
{
	uint64_t seen = 0;
	int first = 0;

	refused[0] = '\0';
	for (;;) {
		struct section section = {.read = read, .ctx = ctx};
		char name[NAME_CAP] = "";
		uint8_t len;
		int result = read(ctx, &len, sizeof(len));
		if (result == 0 && len == 0)
			return first;
		if (result == 0)
			result = len < NAME_CAP ? read(ctx, name, len) : -EBADMSG;
		if (result != 0)
			return first != 0 ? first : result;
		const int i = find(s, name);
		if (i >= 0 && (seen >> i & 1) == 0) {
			seen |= 1ull << i;
			result = s->ops[i]->load(s->stat[i], read_section, &section);
			if (result != 0)
				note(refused, cap, name);
			first = first != 0 ? first : result;
		}
		result = skip_section(&section);
		if (result != 0)
			return first != 0 ? first : result;
	}
}

struct unpack {
	ZSTD_DCtx *zstd;
	ZSTD_inBuffer in;
	size_t at, n, cap;
	uint8_t *buffer; /* [cap] */
};

static int read_unpacked(void *ctx, void *data, size_t len)
{
	struct unpack *u = ctx;
	uint8_t *p = data;

	while (len != 0) {
		if (u->at == u->n) {
			ZSTD_outBuffer out = {u->buffer, u->cap, 0};
			const size_t before = u->in.pos;
			const size_t r = ZSTD_decompressStream(u->zstd, &out, &u->in);
			if (ZSTD_isError(r) || (out.pos == 0 && u->in.pos == before))
				return -EBADMSG;
			u->at = 0;
			u->n = out.pos;
			continue;
		}
		const size_t have = u->n - u->at, n = len < have ? len : have;
		memcpy(p, u->buffer + u->at, n);
		u->at += n;
		p += n;
		len -= n;
	}
	return 0;
}

int snapshot_load(const struct snapshot *x, const struct snapshot_stats *s, char *refused,
		  size_t cap)
{
	const size_t around = sizeof(struct snapshot_head);
	struct unpack u = {
	    .in = {x->octets + around, x->bytes - around - sizeof(uint64_t), 0},
	    .cap = ZSTD_DStreamOutSize(),
	};
	int result = -ENOMEM;

	refused[0] = '\0';
	u.zstd = ZSTD_createDCtx();
	u.buffer = malloc(u.cap);
	if (u.zstd != NULL && u.buffer != NULL)
		result = snapshot_read_sections(read_unpacked, &u, s, refused, cap);
	free(u.buffer);
	ZSTD_freeDCtx(u.zstd);
	return result;
}
