/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl_cli.h"

#include "exit.h"
#include "help.h"
#include "live.h"
#include "settings.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define RELOAD_TIMEOUT_S 600u /* ten thousand expressions take seconds */
#define ANSWER_CAP (1u << 20)

static int find_only(char *path, size_t cap, char *err, size_t err_cap)
{
	glob_t g;
	size_t n = 0;

	path[0] = '\0';
	if (glob("/run/fluxtap/*.sock", 0, NULL, &g) == 0) {
		n = g.gl_pathc;
		(void)snprintf(path, cap, "%s", g.gl_pathv[0]);
		globfree(&g);
	}
	if (n == 1)
		return 0;
	if (n > 1) {
		(void)snprintf(err, err_cap,
			       "%zu probes have sockets in /run/fluxtap; say which with --probe",
			       n);
		return -EINVAL;
	}
	(void)snprintf(path, cap, "fluxtap-out/.fluxtap.sock");
	if (access(path, F_OK) == 0)
		return 0;
	(void)snprintf(err, err_cap,
		       "no probe runs here: no socket in /run/fluxtap, and no %s; give --socket "
		       "if it is elsewhere",
		       path);
	return -ENOENT;
}

int ctl_cli_find(const struct ctl_options *o, char *path, size_t cap, char *err, size_t err_cap)
{
	if (o->socket != NULL) {
		(void)snprintf(path, cap, "%s", o->socket);
		return 0;
	}
	if (o->probe != NULL) {
		(void)snprintf(path, cap, "/run/fluxtap/%s.sock", o->probe);
		return 0;
	}
	if (o->out != NULL) { /* that probe and no other */
		(void)snprintf(path, cap, "%s/.fluxtap.sock", o->out);
		if (access(path, F_OK) == 0)
			return 0;
		(void)snprintf(err, err_cap,
			       "no %s: the probe does not run, or has its socket in /run/fluxtap; "
			       "then name it with --probe",
			       path);
		return -ENOENT;
	}
	return find_only(path, cap, err, err_cap);
}

static int connect_to(const char *path, char *err, size_t cap)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(at.sun_path)) {
		(void)snprintf(err, cap, "%s is too long for the path of a socket", path);
		return -ENAMETOOLONG;
	}
	memcpy(at.sun_path, path, strlen(path) + 1);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	const int why = errno;
	if (fd >= 0)
		(void)close(fd);
	(void)snprintf(err, cap, "no probe answers at %s: %s", path, strerror(why));
	return -why;
}

/* Octets up to the line feed; NULL and a sentence. */
static char *read_answer(int fd, unsigned timeout_s, char *err, size_t cap)
{
	struct timespec t;
	size_t len = 0;
	char *text = malloc(ANSWER_CAP);

	(void)snprintf(err, cap, "not enough memory");
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	const time_t end_s = t.tv_sec + (time_t)timeout_s;
	while (text != NULL && len < ANSWER_CAP) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		(void)clock_gettime(CLOCK_MONOTONIC, &t);
		(void)snprintf(err, cap, "the probe did not answer within %u s", timeout_s);
		if (t.tv_sec >= end_s)
			break;
		if (poll(&p, 1, 1000) <= 0)
			continue;
		const ssize_t n = recv(fd, text + len, ANSWER_CAP - len, 0);
		(void)snprintf(err, cap, "the probe ended before it answered");
		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		len += n > 0 ? (size_t)n : 0;
		if (len != 0 && text[len - 1] == '\n') {
			text[len - 1] = '\0';
			return text;
		}
	}
	free(text);
	return NULL;
}

json_t *ctl_cli_ask(const char *path, const char *line, unsigned timeout_s, char *err, size_t cap)
{
	const int fd = connect_to(path, err, cap);
	json_t *answer = NULL;

	if (fd < 0)
		return NULL;
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) == (ssize_t)strlen(line) &&
	    send(fd, "\n", 1, MSG_NOSIGNAL) == 1) {
		char *text = read_answer(fd, timeout_s, err, cap);
		answer = text != NULL ? json_loads(text, 0, NULL) : NULL;
		if (text != NULL && answer == NULL)
			(void)snprintf(err, cap, "what answers at %s is no probe", path);
		free(text);
	} else {
		(void)snprintf(err, cap, "cannot write to %s: %s", path, strerror(errno));
	}
	(void)close(fd);
	return answer;
}

static int refuse(int code, const char *why)
{
	(void)fprintf(stderr, "fluxtap reload: %s\n", why);
	return code;
}

static int refuse_options(unsigned command, const char *why)
{
	(void)fprintf(stderr, "fluxtap %s: %s\n", settings_command(command), why);
	return EXIT_USAGE;
}

static int reload_at(const char *path)
{
	char err[PATH_MAX + 256];
	json_t *answer = ctl_cli_ask(path, "reload", RELOAD_TIMEOUT_S, err, sizeof(err));
	int code = EXIT_DONE;

	if (answer == NULL)
		return refuse(EXIT_FAILED, err);
	if (json_is_true(json_object_get(answer, "ok"))) {
		const json_int_t us = json_integer_value(json_object_get(answer, "load_us")) +
				      json_integer_value(json_object_get(answer, "swap_us"));
		(void)printf("%lld expressions and %lld listed names in use after %.1f s\n",
			     json_integer_value(json_object_get(answer, "patterns")),
			     json_integer_value(json_object_get(answer, "listed_names")),
			     (double)us / 1e6);
	} else {
		const char *why = json_string_value(json_object_get(answer, "error"));
		(void)snprintf(err, sizeof(err), "%s; the old rules stay in use",
			       why != NULL ? why : "the probe refused");
		code = refuse(EXIT_USAGE, err);
	}
	json_decref(answer);
	return code;
}

int ctl_cli_options(unsigned command, int argc, char **argv, struct ctl_options *o)
{
	struct settings_args a = {.command = command, .argc = argc, .argv = argv, .at = 1};
	char err[PATH_MAX + 256], why[512];
	const struct setting *s;
	const char *value;
	int step, code = -1;

	while (code < 0 &&
	       (step = settings_args_next(&a, &s, &value, err, sizeof(err))) != ARGS_END) {
		if (step == ARGS_HELP) {
			help_command(stdout, command);
			code = EXIT_DONE;
		} else if (step < 0) {
			code = refuse_options(command, err);
		} else if (step == ARGS_OPERAND) {
			code = refuse_options(command, "no argument is needed but options");
		} else if (settings_put(s, value, o, why, sizeof(why)) != 0) {
			(void)snprintf(err, sizeof(err), "--%s: %s", s->key, why);
			code = refuse_options(command, err);
		}
	}
	return code;
}

void ctl_cli_options_fini(struct ctl_options *o)
{
	free(o->socket);
	free(o->probe);
	free(o->out);
	memset(o, 0, sizeof(*o));
}

int reload_main(int argc, char **argv)
{
	struct ctl_options o = {0};
	char err[PATH_MAX + 256], path[PATH_MAX];
	int code = ctl_cli_options(COMMAND_RELOAD, argc, argv, &o);

	if (code < 0 && ctl_cli_find(&o, path, sizeof(path), err, sizeof(err)) != 0)
		code = refuse(EXIT_FAILED, err);
	if (code < 0)
		code = reload_at(path);
	ctl_cli_options_fini(&o);
	return code;
}
