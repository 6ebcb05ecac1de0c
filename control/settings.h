/* SPDX-License-Identifier: BSD-3-Clause */
/* The one table of settings: it makes the command line, the configuration file,
 * --help and the man page, so that none of them can say something else.
 *
 * Read-only data and pure functions; nothing here prints or exits. A new
 * setting is one entry in the table and one field where it points to. */
#ifndef CONTROL_SETTINGS_H
#define CONTROL_SETTINGS_H

#include "values.h"

#include <stdbool.h>
#include <stddef.h>

enum setting_command { /* bits */
		       COMMAND_RUN = 1,
		       COMMAND_BENCH = 2,
		       COMMAND_CAT = 4,
		       COMMAND_REPORT = 8,
		       COMMAND_RULES = 16,
		       COMMAND_RELOAD = 32,
		       COMMAND_STATUS = 64,
		       COMMAND_TOP = 128,
		       COMMAND_PIN = 256,
};

enum setting_source { /* bits: the sources for which a setting means something */
		      SOURCE_PCAP = 1,
		      SOURCE_XDP = 2,
		      SOURCE_DPDK = 4,
		      SOURCE_ALL = 7,
};

enum setting_group {
	GROUP_SOURCE,
	GROUP_PLACE,
	GROUP_OUTPUT,
	GROUP_DNS,
	GROUP_LIMIT,
	GROUP_OTHER,
	GROUP_CAP
};
extern const char *const setting_group_texts[GROUP_CAP];

struct setting {
	const char *key;
	const char *arg; /* placeholder in help; NULL for a flag */
	enum value_type type;
	struct value_range range; /* of numbers */
	const char *def;          /* default, as a user would write it; NULL: none */
	const char *def_text;     /* what help says instead of `def`; NULL: `def` */
	const char *help;
	enum setting_group group;
	unsigned commands; /* enum setting_command */
	unsigned sources;  /* enum setting_source */
	bool command_line_only;
	size_t off; /* of the field in the command's options */
	int (*check)(const void *field, char *why, size_t cap); /* or NULL */
};

#define SETTINGS_CAP 96 /* at most so many entries */
extern const struct setting settings_table[];
extern const size_t settings_len;

/* The name of one command, as typed. */
const char *settings_command(unsigned command);

/* The setting with this key for a command, NULL if there is none; `len` octets. */
const struct setting *settings_find(unsigned command, const char *key, size_t len);

/* The key that a mistyped one most likely means; NULL if none is near. */
const char *settings_nearest(unsigned command, const char *key, bool file_only);

/* All keys of a command in one line, each after `prefix`. */
void settings_keys(unsigned command, const char *prefix, bool file_only, char *out, size_t cap);

/* Puts, checks, clears a setting in `base`, the command's options. 0, or -errno
 * and a sentence. */
int settings_put(const struct setting *s, const char *text, void *base, char *why, size_t cap);
void settings_clear(const struct setting *s, void *base);

/* A walk along a command line. `argv[0]` is the command's own name. */
struct settings_args {
	unsigned command;
	int argc;
	char **argv;
	int at;     /* begin with 1 */
	bool plain; /* after "--" */
};

enum settings_step { ARGS_END, ARGS_OPTION, ARGS_OPERAND, ARGS_HELP };

/* One step: what stands next. *s and *value are borrowed; a flag without a value
 * reads as "true". Returns enum settings_step, or -EINVAL and a sentence. */
int settings_args_next(struct settings_args *a, const struct setting **s, const char **value,
		       char *err, size_t cap);

#endif
