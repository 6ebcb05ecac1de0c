/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of bytes that took long to make, kept by content: DIR/<key>.hsdb.
 *
 * Whatever is short, damaged, of another format or key, or could have been written by
 * others is as good as missing. Control's thread; never logs. */
#ifndef DATAPLANE_MATCH_CACHE_H
#define DATAPLANE_MATCH_CACHE_H

#include <stddef.h>
#include <stdint.h>

struct match_cache_key {
	uint64_t lo, hi;
};

/* The bytes kept under a key, for the caller to free; NULL: none that can be trusted. */
uint8_t *match_cache_get(const char *dir, struct match_cache_key key, size_t *len);
/* Keeps data[0..len), making the directory if need be. 0 or -errno. */
int match_cache_put(const char *dir, struct match_cache_key key, const void *data, size_t len);

/* The bytes within the contents of a file, or NULL: what match_cache_get decides by. */
const uint8_t *match_cache_check(const uint8_t *file, size_t file_len, struct match_cache_key key,
				 size_t *len);

#endif
