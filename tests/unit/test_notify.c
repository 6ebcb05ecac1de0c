/* SPDX-License-Identifier: BSD-3-Clause */
/* What a service manager hears, by a socket of our own in its place. */
#include "notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct sockaddr_un at = {.sun_family = AF_UNIX};
static int fd;

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "/tmp/fluxtap-notify-%d", (int)getpid());
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
	       setenv("NOTIFY_SOCKET", at.sun_path, 1) != 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)close(fd);
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
	return unlink(at.sun_path);
}

/* The next message; "" if there is none. */
static const char *heard(void)
{
	static char text[1024];
	const ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void rest(unsigned ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	(void)nanosleep(&t, NULL);
}

static void test_life(void **state)
{
	struct notify n;

	(void)state;
	notify_init(&n);
	assert_int_equal(n.watchdog_us, 0);
	notify_ready(&n, "vb: tap mode");
	assert_string_equal(heard(), "READY=1\nSTATUS=vb: tap mode");
	notify_reloading(&n, false);
	assert_string_equal(heard(), "");
	notify_reloading(&n, true);
	const char *text = heard();
	assert_int_equal(strncmp(text, "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	assert_true(strtoull(text + 27, NULL, 10) > 0);
	notify_reloading(&n, true);
	assert_string_equal(heard(), "");
	notify_reloading(&n, false);
	assert_string_equal(heard(), "READY=1");
	assert_false(notify_step(&n)); /* nobody waits for a heartbeat */
	assert_string_equal(heard(), "");
	notify_status(&n, "5 packets");
	assert_string_equal(heard(), "STATUS=5 packets");
	notify_stopping(&n);
	assert_int_equal(strncmp(heard(), "STOPPING=1\n", 11), 0);
}

static void test_watchdog(void **state)
{
	struct notify n;
	char pid[16];
	unsigned beats = 0;

	(void)state;
	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	(void)setenv("WATCHDOG_USEC", "200000", 1);
	(void)setenv("WATCHDOG_PID", pid, 1);
	notify_init(&n);
	assert_int_equal(n.watchdog_us, 100000);
	notify_ready(&n, "");
	(void)heard();
	for (int i = 0; i < 100; i++) { /* half a second of turns */
		(void)notify_step(&n);
		rest(5);
		for (const char *text; (text = heard())[0] != '\0'; beats++)
			assert_string_equal(text, "WATCHDOG=1");
	}
	assert_in_range(beats, 3, 10);
	/* Meant for another process. */
	(void)setenv("WATCHDOG_PID", "1", 1);
	notify_init(&n);
	assert_int_equal(n.watchdog_us, 0);
}

static void test_nobody(void **state)
{
	struct notify n;

	(void)state;
	(void)unsetenv("NOTIFY_SOCKET");
	notify_init(&n);
	notify_ready(&n, "x");
	notify_reloading(&n, true);
	notify_stopping(&n);
	assert_false(notify_step(&n));
	assert_string_equal(heard(), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	    T(test_life),
	    T(test_watchdog),
	    T(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
