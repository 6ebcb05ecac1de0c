/* SPDX-License-Identifier: BSD-3-Clause */
#include "match_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define MAGIC 0x42447368626c7466ull /* "ftlbhsDB" */
#define FORMAT 1u
#define FILE_CAP (1ull << 30)

/* In the byte order of the machine: databases do not move between machines. */
struct head {
	uint64_t magic;
	uint32_t format, head_len;
	struct match_cache_key key;
	uint64_t len;
	XXH128_hash_t checksum; /* of the bytes behind */
};

static bool same_hash(XXH128_hash_t a, XXH128_hash_t b)
{
	return a.low64 == b.low64 && a.high64 == b.high64;
}

const uint8_t *match_cache_check(const uint8_t *file, size_t file_len, struct match_cache_key key,
				 size_t *len)
{
	struct head h;

	if (file_len < sizeof(h))
		return NULL;
	memcpy(&h, file, sizeof(h));
	if (h.magic != MAGIC || h.format != FORMAT || h.head_len != sizeof(h) ||
	    h.key.lo != key.lo || h.key.hi != key.hi || h.len != file_len - sizeof(h))
		return NULL;
	if (!same_hash(h.checksum, XXH3_128bits(file + sizeof(h), file_len - sizeof(h))))
		return NULL;
	*len = file_len - sizeof(h);
	return file + sizeof(h);
}

/* The path of a key's file, or with a mark in front of its temporary. */
static bool make_path(char *path, const char *dir, const char *mark, struct match_cache_key key)
{
	const int n = snprintf(path, PATH_MAX, "%s/%s%016llx%016llx.hsdb", dir, mark,
			       (unsigned long long)key.hi, (unsigned long long)key.lo);

	return n > 0 && n < PATH_MAX;
}

/* Opens a file that nobody but us and root can have written; its length, 0: no. */
static size_t open_trusted(const char *path, int *fd)
{
	struct stat st;

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (*fd < 0)
		return 0;
	if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    (st.st_mode & (S_IWGRP | S_IWOTH)) != 0 || (st.st_uid != geteuid() && st.st_uid != 0) ||
	    (uint64_t)st.st_size > FILE_CAP)
		return 0;
	return (size_t)st.st_size;
}

static bool read_whole(int fd, uint8_t *to, size_t len)
{
	while (len > 0) {
		const ssize_t n = read(fd, to, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		to += n;
		len -= (size_t)n;
	}
	return true;
}

uint8_t *match_cache_get(const char *dir, struct match_cache_key key, size_t *len)
{
	char path[PATH_MAX];
	uint8_t *file = NULL;
	int fd = -1;

	if (!make_path(path, dir, "", key))
		return NULL;
	const size_t file_len = open_trusted(path, &fd);
	if (file_len > 0 && (file = malloc(file_len)) != NULL && read_whole(fd, file, file_len)) {
		const uint8_t *data = match_cache_check(file, file_len, key, len);
		if (data != NULL) {
			memmove(file, data, *len);
			(void)close(fd);
			return file;
		}
	}
	free(file);
	if (fd >= 0)
		(void)close(fd);
	return NULL;
}

/* mkdir -p */
static int make_dir(const char *dir)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof path, "%s", dir) >= (int)sizeof path)
		return -ENAMETOOLONG;
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) != 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(path, 0750) != 0 && errno != EEXIST ? -errno : 0;
}

static int write_whole(int fd, const void *data, size_t len)
{
	for (const uint8_t *at = data; len > 0;) {
		const ssize_t n = write(fd, at, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int match_cache_put(const char *dir, struct match_cache_key key, const void *data, size_t len)
{
	const struct head h = {.magic = MAGIC,
			       .format = FORMAT,
			       .head_len = sizeof(h),
			       .key = key,
			       .len = len,
			       .checksum = XXH3_128bits(data, len)};
	char path[PATH_MAX], beside[PATH_MAX], mark[32];
	int r = make_dir(dir), fd;

	(void)snprintf(mark, sizeof mark, ".%ld-", (long)getpid());
	if (r != 0)
		return r;
	if (!make_path(path, dir, "", key) || !make_path(beside, dir, mark, key))
		return -ENAMETOOLONG;
	(void)unlink(beside); /* of a process of our number that was killed */
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = write_whole(fd, &h, sizeof(h));
	if (r == 0)
		r = write_whole(fd, data, len);
	if (close(fd) != 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(beside, path) != 0)
		r = -errno;
	if (r != 0)
		(void)unlink(beside);
	return r;
}
