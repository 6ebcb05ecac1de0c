/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket: lines whole, in pieces and several at once; answers now and
 * later; clients that go, say too much, nothing, or do not read; sockets left behind. */
#include "ctl.h"

#include "ctl_cli.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define BIG (400u << 10)

struct heard {
	struct ctl *ctl;
	unsigned n;
	char line[CTL_LINE_CAP];
	uint64_t later; /* the client that asked "later" last */
};

static char dir[] = "/tmp/test_ctl.XXXXXX", path[64];

/* Says the line back; "later" is answered by the test, "big" at length. */
static void hear(void *ctx, uint64_t client, const char *line)
{
	struct heard *h = ctx;

	h->n++;
	(void)snprintf(h->line, sizeof(h->line), "%s", line);
	if (strcmp(line, "later") == 0) {
		h->later = client;
		return;
	}
	if (strcmp(line, "big") == 0) {
		char *text = malloc(BIG + 1);
		assert_non_null(text);
		memset(text, 'x', BIG);
		text[BIG] = 0;
		ctl_answer(h->ctl, client, json_pack("{s:s}", "big", text));
		free(text);
		return;
	}
	ctl_answer(h->ctl, client, json_pack("{s:s}", "said", line));
}

static void start(struct heard *h)
{
	char err[512];

	memset(h, 0, sizeof(*h));
	h->ctl = ctl_create(path, hear, h, err, sizeof(err));
	assert_non_null(h->ctl);
}

static int dial(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	memcpy(at.sun_path, path, sizeof(path));
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void step(struct heard *h)
{
	for (unsigned i = 0; i < 4; i++)
		ctl_step(h->ctl);
}

/* What has come so far; "" for nothing, "END" where the other side has closed. */
static const char *got(int fd)
{
	static char text[1024];
	const ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return errno == EAGAIN ? "" : "END";
	text[n] = 0;
	return n == 0 ? "END" : text;
}

static void test_lines(void **state)
{
	struct heard h;

	(void)state;
	start(&h);
	const int fd = dial();
	step(&h);
	assert_string_equal(got(fd), "");
	say(fd, "status\n");
	step(&h);
	assert_string_equal(got(fd), "{\"said\":\"status\"}\n");
	for (const char *c = "one\r\n"; *c != 0; c++) {
		assert_int_equal(h.n, 1);
		const char one[2] = {*c, 0};
		say(fd, one);
		step(&h);
	}
	assert_string_equal(got(fd), "{\"said\":\"one\"}\n");
	say(fd, "a\nb\n\nc\nd");
	step(&h);
	assert_string_equal(got(fd),
			    "{\"said\":\"a\"}\n{\"said\":\"b\"}\n{\"said\":\"\"}\n{\"said\":"
			    "\"c\"}\n");
	say(fd, "\n");
	step(&h);
	assert_string_equal(got(fd), "{\"said\":\"d\"}\n");
	(void)close(fd);
	ctl_destroy(h.ctl);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_later(void **state)
{
	struct heard h;

	(void)state;
	start(&h);
	const int fd = dial();
	say(fd, "later\nnext\n");
	step(&h);
	assert_string_equal(h.line, "later");
	assert_string_equal(got(fd), "");
	ctl_answer(h.ctl, h.later, json_pack("{s:i}", "now", 1));
	step(&h);
	assert_string_equal(got(fd), "{\"now\":1}\n{\"said\":\"next\"}\n");
	/* It says no more, but it listens. */
	say(fd, "later\n");
	(void)shutdown(fd, SHUT_WR);
	step(&h);
	ctl_answer(h.ctl, h.later, json_pack("{s:i}", "now", 2));
	step(&h);
	assert_string_equal(got(fd), "{\"now\":2}\n");
	assert_string_equal(got(fd), "END");
	(void)close(fd);
	/* It is gone before the answer, and somebody else has its place. */
	const int gone = dial();
	say(gone, "later\n");
	step(&h);
	const uint64_t asked = h.later;
	(void)close(gone);
	ctl_answer(h.ctl, asked, json_pack("{s:i}", "now", 3));
	step(&h);
	const int other = dial();
	step(&h);
	ctl_answer(h.ctl, asked, json_pack("{s:i}", "now", 4));
	step(&h);
	assert_string_equal(got(other), "");
	(void)close(other);
	ctl_destroy(h.ctl);
}

static void test_hostile(void **state)
{
	char text[2 * CTL_LINE_CAP];
	struct heard h;

	(void)state;
	start(&h);
	memset(text, 'a', sizeof(text));
	int fd = dial();
	assert_int_equal(send(fd, text, sizeof(text), MSG_NOSIGNAL), sizeof(text));
	step(&h);
	assert_string_equal(got(fd), "{\"ok\":false,\"error\":\"the line is too long\"}\n");
	assert_string_equal(got(fd), "END");
	(void)close(fd);
	for (unsigned len = CTL_LINE_CAP - 2; len <= CTL_LINE_CAP; len++) { /* with line feed */
		fd = dial();
		memset(text, 'a', sizeof(text));
		text[len - 1] = '\n';
		assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
		step(&h);
		assert_int_equal(strncmp(got(fd), "{\"said\"", 7), 0);
		assert_int_equal(strlen(h.line), len - 1);
		(void)close(fd);
		step(&h);
	}
	fd = dial();
	h.n = 0;
	assert_int_equal(send(fd, "re\0load\nstatus\x80\nok\n", 19, MSG_NOSIGNAL), 19);
	step(&h);
	assert_int_equal(h.n, 1); /* the last one */
	assert_non_null(strstr(got(fd), "{\"said\":\"ok\"}"));
	(void)close(fd);
	ctl_destroy(h.ctl);
}

static void test_crowd(void **state)
{
	int fd[2 * CTL_CLIENTS];
	struct heard h;

	(void)state;
	start(&h);
	for (unsigned i = 0; i < 2 * CTL_CLIENTS; i++) {
		fd[i] = dial();
		say(fd[i], "hello\n");
		if (i < CTL_CLIENTS)
			step(&h);
	}
	step(&h);
	assert_int_equal(h.n, CTL_CLIENTS);
	assert_string_equal(got(fd[CTL_CLIENTS]), ""); /* it waits its turn */
	for (unsigned i = 0; i < CTL_CLIENTS; i++)
		(void)close(fd[i]);
	step(&h);
	step(&h);
	assert_int_equal(h.n, 2 * CTL_CLIENTS);
	for (unsigned i = CTL_CLIENTS; i < 2 * CTL_CLIENTS; i++) {
		assert_string_equal(got(fd[i]), "{\"said\":\"hello\"}\n");
		(void)close(fd[i]);
	}
	ctl_destroy(h.ctl);
}

/* An answer longer than the socket's buffer goes out as it is taken, and holds up
 * nobody else. */
static void test_slow_reader(void **state)
{
	struct heard h;
	size_t n = 0;

	(void)state;
	start(&h);
	const int slow = dial(), other = dial();
	say(slow, "big\n");
	step(&h);
	say(other, "hello\n");
	step(&h);
	assert_string_equal(got(other), "{\"said\":\"hello\"}\n");
	for (unsigned i = 0; i < 100000; i++) {
		char text[4096];
		const ssize_t r = recv(slow, text, sizeof(text), 0);
		ctl_step(h.ctl);
		if (r <= 0)
			continue;
		n += (size_t)r;
		if (text[r - 1] == '\n')
			break;
	}
	assert_int_equal(n, BIG + 11);
	(void)close(slow);
	(void)close(other);
	ctl_destroy(h.ctl);
}

static void test_paths(void **state)
{
	struct heard h;
	struct stat st;
	char err[512] = "";

	(void)state;
	start(&h);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_null(ctl_create(path, hear, &h, err, sizeof(err)));
	assert_non_null(strstr(err, "another probe answers"));
	assert_int_equal(access(path, F_OK), 0);
	/* One that was left behind: nobody listens. */
	ctl_destroy(h.ctl);
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	memcpy(at.sun_path, path, sizeof(path));
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	(void)close(fd);
	start(&h);
	/* Somebody has put another one in its place: that stays. */
	assert_int_equal(unlink(path), 0);
	const int file = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(file >= 0);
	(void)close(file);
	ctl_destroy(h.ctl);
	assert_int_equal(access(path, F_OK), 0);
	assert_null(ctl_create(path, hear, &h, err, sizeof(err)));
	assert_non_null(strstr(err, "no socket"));
	assert_int_equal(unlink(path), 0);
	assert_null(ctl_create("/nonexistent/x.sock", hear, &h, err, sizeof(err)));
	assert_non_null(strstr(err, "/nonexistent/x.sock"));
	char too_long[200];
	memset(too_long, 'a', sizeof(too_long));
	too_long[sizeof(too_long) - 1] = 0;
	assert_null(ctl_create(too_long, hear, &h, err, sizeof(err)));
	assert_non_null(strstr(err, "longer than"));
	ctl_destroy(NULL);
}

static _Atomic int serving;

static void *serve(void *arg)
{
	while (atomic_load(&serving)) {
		ctl_step(((struct heard *)arg)->ctl);
		(void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	return NULL;
}

static void test_ask(void **state)
{
	struct heard h;
	char err[512] = "";
	pthread_t thread;

	(void)state;
	start(&h);
	atomic_store(&serving, 1);
	assert_int_equal(pthread_create(&thread, NULL, serve, &h), 0);
	json_t *o = ctl_cli_ask(path, "status", 10, err, sizeof(err));
	assert_string_equal(json_string_value(json_object_get(o, "said")), "status");
	json_decref(o);
	assert_null(ctl_cli_ask(path, "later", 1, err, sizeof(err)));
	assert_non_null(strstr(err, "did not answer"));
	atomic_store(&serving, 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	ctl_destroy(h.ctl);
	assert_null(ctl_cli_ask(path, "status", 1, err, sizeof(err)));
	assert_non_null(strstr(err, "no probe answers"));
}

static int make_dir(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/a.sock", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),       cmocka_unit_test(test_later),
	    cmocka_unit_test(test_hostile),     cmocka_unit_test(test_crowd),
	    cmocka_unit_test(test_slow_reader), cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_ask),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
