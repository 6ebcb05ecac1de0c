/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#define WINDOW_MS 30000u
#define WINDOW_LINES 10u   /* of one place in the source */
#define WINDOW_ALARMS 100u /* likewise */
#define SENTENCE_CAP 1024u /* where fields follow */
#define WORDS_CAP 4096u    /* last words */
#define LINE_CAP 3072u     /* below PIPE_BUF, so that lines do not mix */
#define TAIL_CAP 96u       /* kept free for what stands last */
#define FIELDS_CAP 16u
#define FIELD_CAP 512u

static const struct {
	const char *name;
	int priority; /* of syslog */
} levels[] = {{"alarm", 1}, {"error", 3}, {"warning", 4}, {"info", 6}, {"debug", 7}};

static struct {
	pthread_mutex_t lock;
	enum log_level level;
	char probe[80];
	int fd;
	bool journal;
	bool people; /* a terminal: sentences alone */
	uint64_t (*now_ms)(void);
	struct log_site *held; /* those with something suppressed */
	uint64_t unwritten;    /* lines that nobody took */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = LOG_AT_INFO, .fd = STDERR_FILENO};

static uint64_t now_ms(void)
{
	struct timespec t;

	if (state.now_ms != NULL)
		return state.now_ms();
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* sd-daemon(3), "JOURNAL_STREAM": device and inode of the stream that leads to the journal. */
static bool is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream != NULL && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(fd, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void log_open(const struct log_opts *o)
{
	(void)pthread_mutex_lock(&state.lock);
	state.level = o->level;
	state.fd = o->fd;
	state.now_ms = o->now_ms;
	state.journal = is_journal(o->fd);
	state.people = isatty(o->fd) != 0;
	(void)snprintf(state.probe, sizeof(state.probe), "%s", o->probe != NULL ? o->probe : "");
	(void)pthread_mutex_unlock(&state.lock);
}

int log_level_read(const char *text)
{
	for (int i = LOG_AT_ERROR; i <= LOG_AT_DEBUG; i++)
		if (strcmp(levels[i].name, text) == 0)
			return i;
	return -EINVAL;
}

/* Values that would not read back as one word stand in quotes, with escapes. */
static bool is_plain(const char *v)
{
	if (*v == '\0')
		return false;
	for (; *v != '\0'; v++)
		if ((unsigned char)*v <= ' ' || *v == '"' || *v == '=' || *v == '\\' || *v == 0x7f)
			return false;
	return true;
}

static size_t put_text(char *out, size_t cap, const char *v)
{
	const bool plain = is_plain(v);
	size_t n = 0;

	if (!plain)
		out[n++] = '"';
	for (; *v != '\0' && n + 8 < cap; v++) {
		const unsigned char c = (unsigned char)*v;
		if (c < ' ' || c == 0x7f)
			n += (size_t)snprintf(out + n, cap - n, "\\x%02x", c);
		else if (c == '"' || c == '\\')
			n += (size_t)snprintf(out + n, cap - n, "\\%c", c);
		else
			out[n++] = (char)c;
	}
	if (!plain)
		out[n++] = '"';
	out[n] = '\0';
	return n;
}

/* " key=value" */
static size_t put_field(char *out, size_t cap, const struct log_field *f)
{
	char value[FIELD_CAP];

	if (f->number)
		(void)snprintf(value, sizeof(value), "%" PRId64, f->value);
	else if (f->text != NULL)
		(void)put_text(value, sizeof(value), f->text);
	else
		return 0;
	if (strlen(f->key) + strlen(value) + 3 > cap)
		return 0; /* whole or not at all */
	return (size_t)snprintf(out, cap, " %s=%s", f->key, value);
}

static void write_line(const struct log_site *s, const struct log_field *fields,
		       const char *sentence, uint64_t suppressed)
{
	const struct log_field tail[] = {LOG_NUM("suppressed", suppressed),
					 LOG_NUM("unwritten", state.unwritten)};
	struct pollfd ready = {.fd = state.fd, .events = POLLOUT};
	const bool plain = fields == NULL;
	char line[WORDS_CAP + LINE_CAP];
	const size_t cap = plain ? sizeof(line) : LINE_CAP;
	size_t n = (size_t)snprintf(line, plain ? WORDS_CAP + 16 : SENTENCE_CAP + 16, "fluxtap: %s",
				    sentence);

	n = !plain && n > SENTENCE_CAP + 15 ? SENTENCE_CAP + 15 : n;
	if (state.people)
		fields = NULL;
	if (fields != NULL)
		n += (size_t)snprintf(line + n, cap - n, " level=%s event=%s",
				      levels[s->level].name, s->event);
	for (; fields != NULL && fields->key != NULL; fields++)
		n += put_field(line + n, cap - n - TAIL_CAP, fields);
	for (unsigned i = 0; i < 2; i++)
		if (tail[i].value != 0)
			n += put_field(line + n, cap - n - 1, &tail[i]);
	line[n++] = '\n';
	/* A terminal that is stopped, a pipe that nobody reads: control has other work, until it
	 * says its last words. */
	if ((plain || poll(&ready, 1, 0) == 1) && write(state.fd, line, n) == (ssize_t)n)
		state.unwritten = 0;
	else
		state.unwritten++;
}

static bool journal_put(struct iovec *v, int *n, const char *key, const char *value)
{
	char *text;

	if (asprintf(&text, "%s=%s", key, value) < 0)
		return false;
	v[*n] = (struct iovec){text, strlen(text)};
	(*n)++;
	return true;
}

/* FLUXTAP_KEY=value: names of the journal's fields have capital letters only. */
static void journal_field(struct iovec *v, int *n, const struct log_field *f)
{
	char key[64] = "FLUXTAP_", number[24];
	size_t at = strlen(key);

	if (!f->number && f->text == NULL)
		return;
	for (const char *k = f->key; *k != '\0' && at + 1 < sizeof(key); k++)
		key[at++] = (char)toupper((unsigned char)*k);
	key[at] = '\0';
	(void)snprintf(number, sizeof(number), "%" PRId64, f->value);
	(void)journal_put(v, n, key, f->number ? number : f->text);
}

static bool write_journal(const struct log_site *s, const struct log_field *fields,
			  const char *sentence, uint64_t suppressed)
{
	const struct log_field extra[] = {
	    LOG_TEXT("event", s->event),
	    LOG_TEXT("probe", state.probe[0] != '\0' ? state.probe : NULL),
	    LOG_NUM("suppressed", suppressed),
	};
	struct iovec v[FIELDS_CAP + 8];
	const char priority[] = {(char)('0' + levels[s->level].priority), '\0'};
	int n = 0, result = -ENOMEM;

	if (journal_put(v, &n, "MESSAGE", sentence) && journal_put(v, &n, "PRIORITY", priority) &&
	    journal_put(v, &n, "SYSLOG_IDENTIFIER", "fluxtap")) {
		for (unsigned i = 0; i < 3; i++)
			if (i < 2 || suppressed != 0)
				journal_field(v, &n, &extra[i]);
		for (unsigned i = 0; fields != NULL && i < FIELDS_CAP && fields[i].key != NULL; i++)
			journal_field(v, &n, &fields[i]);
		result = sd_journal_sendv(v, n);
	}
	while (n > 0)
		free(v[--n].iov_base);
	return result == 0;
}

static void say(struct log_site *s, const struct log_field *fields, const char *sentence)
{
	const uint64_t suppressed = s->suppressed;

	s->suppressed = 0;
	s->said++;
	if (!state.journal || !write_journal(s, fields, sentence, suppressed))
		write_line(s, fields, sentence, suppressed);
}

void log_write(struct log_site *s, const struct log_field *fields, const char *format, ...)
{
	char sentence[WORDS_CAP];
	va_list args;

	if (s->level > state.level)
		return;
	va_start(args, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	for (char *c = sentence; *c != '\0'; c++) /* one line, and no terminal's commands */
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	(void)pthread_mutex_lock(&state.lock);
	const uint64_t now = now_ms();
	if (s->said == 0 || now - s->window_ms >= WINDOW_MS) {
		s->window_ms = now;
		s->said = 0;
	}
	if (s->said < (s->level == LOG_AT_ALARM ? WINDOW_ALARMS : WINDOW_LINES)) {
		say(s, fields, sentence);
	} else {
		s->suppressed++;
		if (!s->listed) {
			s->listed = true;
			s->next = state.held;
			state.held = s;
		}
	}
	(void)pthread_mutex_unlock(&state.lock);
}

static void tell_held(bool all)
{
	char sentence[SENTENCE_CAP];

	(void)pthread_mutex_lock(&state.lock);
	for (struct log_site **at = &state.held; *at != NULL;) {
		struct log_site *s = *at;
		if (!all && s->suppressed != 0 && now_ms() - s->window_ms < WINDOW_MS) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		s->listed = false;
		if (s->suppressed == 0)
			continue;
		(void)snprintf(sentence, sizeof(sentence), "%" PRIu64 " more such lines (%s)",
			       s->suppressed, s->event);
		say(s, LOG_NO_FIELDS, sentence);
	}
	(void)pthread_mutex_unlock(&state.lock);
}

void log_step(void)
{
	tell_held(false);
}

void log_close(void)
{
	tell_held(true);
}
