/* SPDX-License-Identifier: BSD-3-Clause */
/* What a running probe says: to the journal where standard error is connected to it, else to
 * standard error. A sentence for people, then (but on a terminal) key=value for programs.
 *
 * Any thread of control may call, no worker may (dataplane/ cannot include this). Never waits
 * for a reader: a line that standard error has no room for is counted. A call site that says
 * too much is held back, and says later how often ("suppressed"). Refusals of a command line
 * do not come through here: they are plain sentences. */
#ifndef CONTROL_LOG_H
#define CONTROL_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_AT_ALARM, LOG_AT_ERROR, LOG_AT_WARNING, LOG_AT_INFO, LOG_AT_DEBUG };

struct log_opts {
	enum log_level level;     /* the last that is said */
	const char *probe;        /* a field of journal entries; NULL: none */
	int fd;                   /* standard error, or a test's */
	uint64_t (*now_ms)(void); /* NULL: the monotonic clock */
};

/* Before the first line; without it, all but debug goes to standard error. Reads JOURNAL_STREAM. */
void log_open(const struct log_opts *o);
/* Tells what was suppressed until now, whatever the time. */
void log_close(void);
/* Now and then: tells what was suppressed, when its time has come. */
void log_step(void);

/* One of "error", "warning", "info", "debug"; -EINVAL. */
int log_level_read(const char *text);

/* A field: text (NULL is left out) or a number. Keys are lower-case words of letters, digits
 * and "_". */
struct log_field {
	const char *key; /* NULL ends a list */
	const char *text;
	bool number;
	int64_t value;
};
#define LOG_TEXT(k, v)                                                                             \
	{                                                                                          \
		.key = (k), .text = (v)                                                            \
	}
#define LOG_NUM(k, v)                                                                              \
	{                                                                                          \
		.key = (k), .number = true, .value = (int64_t)(v)                                  \
	}
#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__, {.key = NULL}})
#define LOG_NO_FIELDS ((const struct log_field[]){{.key = NULL}})
#define LOG_PLAIN ((const struct log_field *)0) /* on standard error the sentence alone */

/* A place in the source that logs; made by the macros below, one each, and kept for ever. */
struct log_site {
	const char *event; /* names the place: a word or two with "-" */
	enum log_level level;
	uint64_t window_ms;    /* begin of the window */
	unsigned said;         /* in this window */
	uint64_t suppressed;   /* since the last line */
	struct log_site *next; /* of those with something suppressed */
	bool listed;
};

void log_write(struct log_site *site, const struct log_field *fields, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define LOG_AT(at, name, fields, ...)                                                              \
	do {                                                                                       \
		static struct log_site log_site_ = {.event = (name), .level = (at)};               \
		log_write(&log_site_, (fields), __VA_ARGS__);                                      \
	} while (0)
/* Something that an operator has to look at, whatever else goes on: held back last. */
#define log_alarm(name, fields, ...) LOG_AT(LOG_AT_ALARM, name, fields, __VA_ARGS__)
#define log_error(name, fields, ...) LOG_AT(LOG_AT_ERROR, name, fields, __VA_ARGS__)
#define log_warning(name, fields, ...) LOG_AT(LOG_AT_WARNING, name, fields, __VA_ARGS__)
#define log_info(name, fields, ...) LOG_AT(LOG_AT_INFO, name, fields, __VA_ARGS__)
#define log_debug(name, fields, ...) LOG_AT(LOG_AT_DEBUG, name, fields, __VA_ARGS__)

#endif
