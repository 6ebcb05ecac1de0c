/* SPDX-License-Identifier: BSD-3-Clause */
/* Texts that a user writes, made into values: numbers, CPU lists, prefixes, ports.
 *
 * Used by the command line and the configuration file alike, at start, by one
 * thread. Each list owns its memory. A refusal is a sentence in two halves,
 * "what is wrong; what would be right". Never prints, never exits. */
#ifndef CONTROL_VALUES_H
#define CONTROL_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_texts {
	char **v;
	size_t n;
};

struct config_u16s {
	uint16_t *v;
	size_t n;
};

/* An IPv4 prefix stands as IPv4-mapped IPv6: 10.0.0.0/8 is ::ffff:10.0.0.0/104. */
struct config_prefix {
	uint8_t addr[16];
	uint8_t bits; /* of 128 */
};

struct config_prefixes {
	struct config_prefix *v;
	size_t n;
};

enum value_type {
	VALUE_FLAG, /* bool */
	VALUE_U32,
	VALUE_U64,
	VALUE_TEXT,     /* char *, owned */
	VALUE_TEXTS,    /* struct config_texts; one text each time, commas are part of it */
	VALUE_WORDS,    /* struct config_texts; split at commas, likewise all below */
	VALUE_CPUS,     /* struct config_u16s, "0-3,6" */
	VALUE_PORTS,    /* struct config_u16s */
	VALUE_PREFIXES, /* struct config_prefixes */
};

struct value_range {
	uint64_t min, max; /* of a number; both inclusive */
	const char *unit;  /* "seconds", or NULL */
};

bool value_is_list(enum value_type type);

/* Stores `text` in *field; a list grows by it, a text is replaced. Returns 0, or
 * -EINVAL or -ENOMEM with a sentence in `why` (field unchanged, but for a list,
 * which may hold the items before the wrong one). */
int value_put(enum value_type type, const struct value_range *range, const char *text, void *field,
	      char *why, size_t cap);

/* Empties the field and frees what it owned. */
void value_clear(enum value_type type, void *field);

/* Checks that a value may need beside its type; same results as value_put. */
int value_check_interval(const void *field, char *why, size_t cap);
int value_check_power_of_two(const void *field, char *why, size_t cap);
int value_check_probe(const void *field, char *why, size_t cap);
int value_check_guard(const void *field, char *why, size_t cap);
int value_check_dedup(const void *field, char *why, size_t cap);
int value_check_sample(const void *field, char *why, size_t cap);
int value_check_channels(const void *field, char *why, size_t cap);
int value_check_http(const void *field, char *why, size_t cap);
int value_check_log_level(const void *field, char *why, size_t cap);
int value_check_seccomp(const void *field, char *why, size_t cap);
int value_check_keep(const void *field, char *why, size_t cap);

/* What --keep says; 0: no limit. */
#define VALUE_KEEP_DAYS_CAP 36500u
struct value_keep {
	uint32_t days;
	uint64_t bytes;
};
/* 0, or -EINVAL or -ERANGE and *keep unchanged. */
int value_keep_read(const char *text, struct value_keep *keep);

/* s of a share 2^-s that value_check_sample accepts; VALUE_SAMPLE_AUTO; -EINVAL. */
#define VALUE_SAMPLE_AUTO (-1)
int value_sample_level(const char *text);

/* The milliseconds of a text that value_check_dedup accepts; 0: off. -EINVAL. */
#define VALUE_DEDUP_MS_CAP 1000
int value_dedup_ms(const char *text);

/* `text` for a message: in quotes, cut short, control characters made visible. */
#define VALUE_QUOTE_CAP 64
const char *value_quote(char out[VALUE_QUOTE_CAP], const char *text);

/* The CPUs that this process may run on, ascending; -errno. The caller frees out->v. */
int value_allowed_cpus(struct config_u16s *out);

#endif
