/* SPDX-License-Identifier: BSD-3-Clause */
/* Input that ends where readable memory ends.
 *
 * guard_copy puts a copy of the octets right before a page that may not be
 * touched, so that a parser that reads one octet too many dies at once, with or
 * without a sanitizer. The copy may be written to. For tests alone: it maps memory
 * on each call and aborts where it gets none.
 *
 *	uint8_t *p = guard_copy(message, n);
 *	parse(p, n);
 *	guard_free(p, n); */
#ifndef TESTS_UNIT_GUARD_H
#define TESTS_UNIT_GUARD_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static inline size_t guard_room(size_t len)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (len + page - 1) / page * page;
}

/* A copy of data[0..len) of which [len] cannot be read; len may be 0 (then data
 * may be NULL). The caller gives it back with guard_free. */
static inline uint8_t *guard_copy(const void *data, size_t len)
{
	const size_t room = guard_room(len), page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *base =
	    mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED || mprotect(base + room, page, PROT_NONE) != 0)
		abort();
	if (len > 0)
		memcpy(base + room - len, data, len);
	return base + room - len;
}

/* p and len as they were with guard_copy. */
static inline void guard_free(uint8_t *p, size_t len)
{
	const size_t room = guard_room(len);

	if (munmap(p + len - room, room + (size_t)sysconf(_SC_PAGESIZE)) != 0)
		abort();
}

#endif
