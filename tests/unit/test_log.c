/* SPDX-License-Identifier: BSD-3-Clause */
/* What is said while it runs: form, levels, what is held back and told later, readers that
 * do not read. Lines are compared with hand-written ones. */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t clock_ms = 1000000;
static int ends[2];

static uint64_t now_ms(void)
{
	return clock_ms;
}

static void open_pipe(enum log_level level)
{
	const struct log_opts o = {.level = level, .now_ms = now_ms};

	assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	struct log_opts with = o;
	with.fd = ends[1];
	log_open(&with);
	clock_ms += 1000000; /* no window of the test before */
}

static void close_pipe(void)
{
	log_close();
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/* All that was said since. */
static const char *heard(void)
{
	static char text[1 << 17];
	const ssize_t n = read(ends[0], text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static size_t lines(const char *text)
{
	size_t n = 0;

	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n;
}

static void test_form(void **state)
{
	(void)state;
	open_pipe(LOG_AT_INFO);
	log_info("reload", LOG_FIELDS(LOG_NUM("n", -5), LOG_TEXT("path", "/a/b")),
		 "%d rules in use", 5);
	assert_string_equal(heard(),
			    "fluxtap: 5 rules in use level=info event=reload n=-5 path=/a/b\n");
	log_error("x", LOG_NO_FIELDS, "a\nb\033[2J\x7f");
	assert_string_equal(heard(), "fluxtap: a?b?[2J? level=error event=x\n");
	log_error("end", LOG_PLAIN, "f.pcap: no capture");
	assert_string_equal(heard(), "fluxtap: f.pcap: no capture\n");
	log_alarm("odd",
		  LOG_FIELDS(LOG_TEXT("a", "two words"), LOG_TEXT("b", ""), LOG_TEXT("c", NULL),
			     LOG_TEXT("d", "q\"\\"), LOG_TEXT("e", "x=y"), LOG_TEXT("f", "\n\x01"),
			     LOG_TEXT("g", "\xc3\xa4")),
		  "s");
	assert_string_equal(heard(), "fluxtap: s level=alarm event=odd a=\"two words\" b=\"\" "
				     "d=\"q\\\"\\\\\" e=\"x=y\" f=\"\\x0a\\x01\" g=\xc3\xa4\n");
	close_pipe();
}

/* A line is one line and whole, whatever it is given. */
static void test_long(void **state)
{
	char big[9000];

	(void)state;
	memset(big, '"', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	open_pipe(LOG_AT_INFO);
	log_info("big",
		 LOG_FIELDS(LOG_TEXT("a", big), LOG_TEXT("b", big), LOG_TEXT("c", big),
			    LOG_TEXT("d", big), LOG_TEXT("e", big), LOG_TEXT("f", big),
			    LOG_NUM("last", 7)),
		 "%s", big);
	const char *text = heard();
	assert_int_equal(lines(text), 1);
	assert_true(strlen(text) < 4096);
	assert_int_equal(text[strlen(text) - 1], '\n');
	assert_non_null(strstr(text, " last=7\n"));
	/* But a refusal that lists all options is whole. */
	big[3500] = '\0';
	log_error("end", LOG_PLAIN, "%s", big);
	text = heard();
	assert_int_equal(strlen(text), 9 + 3500 + 1);
	assert_int_equal(lines(text), 1);
	close_pipe();
}

static void test_levels(void **state)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(log_level_read(names[i]), LOG_AT_ERROR + i);
		open_pipe((enum log_level)(LOG_AT_ERROR + i));
		log_alarm("a", LOG_NO_FIELDS, "s");
		log_error("a", LOG_NO_FIELDS, "s");
		log_warning("a", LOG_NO_FIELDS, "s");
		log_info("a", LOG_NO_FIELDS, "s");
		log_debug("a", LOG_NO_FIELDS, "s");
		assert_int_equal(lines(heard()), 2 + i);
		close_pipe();
	}
	assert_int_equal(log_level_read("alarm"), -EINVAL); /* nobody turns these off */
	assert_int_equal(log_level_read(""), -EINVAL);
}

static void one_place(void)
{
	log_warning("often", LOG_NO_FIELDS, "again");
}

static void test_rate(void **state)
{
	(void)state;
	open_pipe(LOG_AT_INFO);
	for (int i = 0; i < 1000; i++)
		one_place();
	assert_int_equal(lines(heard()), 10);
	log_warning("other", LOG_NO_FIELDS, "another place is not held back");
	assert_int_equal(lines(heard()), 1);
	log_step();
	assert_string_equal(heard(), "");
	clock_ms += 30000;
	one_place(); /* says for the others, too */
	assert_string_equal(heard(), "fluxtap: again level=warning event=often suppressed=990\n");
	log_step();
	assert_string_equal(heard(), "");
	for (int i = 0; i < 12; i++)
		one_place();
	assert_int_equal(lines(heard()), 9);
	clock_ms += 29999;
	log_step();
	assert_string_equal(heard(), "");
	clock_ms += 1;
	log_step();
	assert_string_equal(heard(), "fluxtap: 3 more such lines (often) level=warning event=often "
				     "suppressed=3\n");
	for (int i = 0; i < 200; i++)
		log_alarm("alarm", LOG_NO_FIELDS, "look");
	assert_int_equal(lines(heard()), 100);
	log_close();
	assert_non_null(strstr(heard(), "suppressed=100\n"));
	close_pipe();
}

/* A reader that stands still costs lines, not time; and how many is said. */
static void test_full(void **state)
{
	char scrap[4096];
	unsigned n = 0;

	(void)state;
	open_pipe(LOG_AT_INFO);
	assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0); /* a write could block now */
	for (int i = 0; i < 5000; i++) {
		clock_ms += 30000;
		one_place();
	}
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	for (ssize_t got; (got = read(ends[0], scrap, sizeof(scrap))) > 0;)
		for (ssize_t i = 0; i < got; i++)
			n += scrap[i] == '\n';
	assert_true(n > 100 && n < 5000);
	clock_ms += 30000;
	one_place();
	(void)snprintf(scrap, sizeof(scrap),
		       "fluxtap: again level=warning event=often unwritten=%u\n", 5000 - n);
	assert_string_equal(heard(), scrap);
	close_pipe();
}

static void *say_often(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++)
		one_place();
	return NULL;
}

/* Threads of control: nothing is lost from the count. */
static void test_threads(void **state)
{
	pthread_t t[4];
	unsigned long said = 0, suppressed = 0;

	(void)state;
	open_pipe(LOG_AT_INFO);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, say_often, NULL), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	said = lines(heard());
	log_close();
	assert_int_equal(sscanf(heard(), "fluxtap: %lu more", &suppressed), 1);
	assert_int_equal(said + suppressed, 80000);
	close_pipe();
}

static void test_terminal(void **state)
{
	struct log_opts o = {.level = LOG_AT_INFO, .now_ms = now_ms};
	char text[200] = "";
	int master, slave;

	(void)state;
	if (openpty(&master, &slave, NULL, NULL, NULL) != 0)
		skip();
	o.fd = slave;
	log_open(&o);
	clock_ms += 100000;
	log_info("x", LOG_FIELDS(LOG_NUM("n", 1)), "a sentence");
	assert_true(read(master, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "fluxtap: a sentence\r\n");
	(void)close(master);
	(void)close(slave);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_form),     cmocka_unit_test(test_long),
	    cmocka_unit_test(test_levels),   cmocka_unit_test(test_rate),
	    cmocka_unit_test(test_full),     cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
