/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads one exported file line by line; the other end of jsonl.h.
 *
 * One thread per reader. Holds one line at a time, of bounded length; never
 * trusts the file. */
#ifndef CONTROL_EXPORT_READER_H
#define CONTROL_EXPORT_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define READER_SUFFIX ".jsonl.zst"

struct reader;

/* Opens a file. NULL + errno. */
struct reader *reader_create(const char *path);

/* The next line, without its end, valid until the next call and ended by a NUL
 * too. Returns 1; 0 at the end; -EBADMSG where the file is damaged from here on,
 * or another -errno, with the reason in reader_error. */
int reader_next(struct reader *r, const char **line, size_t *len);

const char *reader_error(const struct reader *r);

/* Accepts NULL. */
void reader_destroy(struct reader *r);

/* Takes a file's name (without directory) apart: its set (`cap` octets of room)
 * and start. False if it is not named like an exported file. */
bool reader_name_split(const char *name, char *set, size_t cap, uint64_t *start_s);

/* Whether a name (without directory) is that of a whole file. */
bool reader_name_is_whole(const char *name);

#endif
