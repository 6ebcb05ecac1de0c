/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules: list files into compiled generations for workers, and what numbers mean.
 *
 * Control's thread alone. Rule numbers are given out once per (id, kind) and stay for
 * the life of the process, so that records of several generations merge. */
#ifndef CONTROL_RULES_H
#define CONTROL_RULES_H

#include "../dataplane/ruleset.h"

struct rules;
struct watchlist;

/* A group of sinkholes is a rule of kind RULE_SINKHOLE: its id, behind this. */
#define SINKHOLE_ID_PREFIX " "

/* What the operator wrote about a rule; owned by struct rules, never goes away. */
struct rule_info {
	const char *id, *family; /* family NULL: none given */
	int severity;            /* -1: none given */
	enum rule_kind kind;
};

struct rules_settings {
	const char *const *paths; /* list files */
	size_t paths_len;
	const char *psl_path;  /* NULL: the system's */
	const char *cache_dir; /* compiled databases; NULL: nowhere */
	const char *sinkholes; /* list of sinkholes; NULL: none */
	const char *watch;     /* the watch list; NULL: none */
	uint64_t name_seed, sketch_seed;
};

/* No rules yet. NULL + errno. */
struct rules *rules_create(const struct rules_settings *settings);
void rules_destroy(struct rules *r);

/* Reads all files and compiles a new generation, which the caller owns; the registry
 * of numbers grows. NULL where a file or line is refused, with file, line and what
 * would be right in err: nothing has changed then. */
struct ruleset *rules_load(struct rules *r, char *err, size_t cap);
/* The same in two steps, for running workers. rules_stage reads and compiles, on any one
 * thread, and touches nothing that rules_info shows; then control's thread calls
 * rules_settle: from there on the registry knows the new rules or, where keep is false or
 * nothing was staged, forgets them. */
struct ruleset *rules_stage(struct rules *r, char *err, size_t cap);
void rules_settle(struct rules *r, bool keep);

/* The family of a bit of the shapes' mask, NULL for one not given out; bits stay as
 * numbers do. */
const char *rules_family(const struct rules *r, unsigned bit);

/* The watch list of the last generation, until the next is settled; NULL: none. */
const struct watchlist *rules_watch(const struct rules *r);

/* Whether the list of sinkholes has addresses, servers or aliases. */
bool rules_have_answers(const struct rules *r);

/* NULL for a number never given out. */
const struct rule_info *rules_info(const struct rules *r, uint32_t number);
size_t rules_count(const struct rules *r); /* numbers given out: 1..count */
/* The number of (id, kind); 0: never given out. */
uint32_t rules_number(const struct rules *r, const char *id, size_t len, enum rule_kind kind);

/* Where compiled databases are kept: the directory `setting`, nowhere for "off", and for
 * NULL $XDG_CACHE_HOME/fluxtap, else /var/cache/fluxtap where it can be written, else
 * $HOME/.cache/fluxtap; made if need be. Only what belongs to this user (or root) and
 * nobody else can write to is taken. NULL: nowhere; *why says so where one was asked for. */
const char *rules_cache_dir(const char *setting, char *out, size_t cap, const char **why);

#endif
