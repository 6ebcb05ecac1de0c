/* SPDX-License-Identifier: BSD-3-Clause */
/* Where HTTP listens, and which Host may ask a server on loopback. */
#include "guard.h"
#include "view/http_addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void test_good(void **state)
{
	struct sockaddr_storage a;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a;
	socklen_t len;

	(void)state;
	assert_int_equal(http_addr_read("127.0.0.1:9530", &a, &len), 0);
	assert_int_equal(len, sizeof(*v4));
	assert_int_equal(v4->sin_family, AF_INET);
	assert_int_equal(ntohs(v4->sin_port), 9530);
	assert_int_equal(ntohl(v4->sin_addr.s_addr), 0x7f000001);
	assert_true(http_addr_is_loopback(&a));
	assert_int_equal(http_addr_read("0.0.0.0:1", &a, &len), 0);
	assert_false(http_addr_is_loopback(&a));
	assert_int_equal(http_addr_read("127.9.9.9:65535", &a, &len), 0);
	assert_true(http_addr_is_loopback(&a));
	assert_int_equal(http_addr_read("[::1]:80", &a, &len), 0);
	assert_int_equal(len, sizeof(*v6));
	assert_int_equal(v6->sin6_family, AF_INET6);
	assert_int_equal(ntohs(v6->sin6_port), 80);
	assert_true(http_addr_is_loopback(&a));
	assert_int_equal(http_addr_read("[2001:db8::1]:80", &a, &len), 0);
	assert_false(http_addr_is_loopback(&a));
}

static void test_bad(void **state)
{
	static const char *const texts[] = {
	    "",
	    "9530",
	    ":9530",
	    "127.0.0.1",
	    "127.0.0.1:",
	    "127.0.0.1:0",
	    "1.2.3.4:-1",
	    "1.2.3.4:65536",
	    "1.2.3.4:999999",
	    "1.2.3.4: 80",
	    "1.2.3.4:80x",
	    "host:80",
	    "localhost:9530",
	    "::1:80",
	    "[::1]80",
	    "[::1:80",
	    "[]:80",
	    "1.2.3:80",
	    "1.2.3.4.5:80",
	    "[1.2.3.4]:80",
	    "[fe80::1%lo]:80",
	    "[1111111111111111111111111111111111111111111111111111111111111111111]:80",
	};
	struct sockaddr_storage a;
	socklen_t len;

	(void)state;
	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (http_addr_read(texts[i], &a, &len) != -EINVAL)
			fail_msg("taken: %s", texts[i]);
}

static void test_host(void **state)
{
	static const char *const good[] = {"127.0.0.1",     "127.0.0.1:9530", "localhost",
					   "LocalHost:80",  "[::1]",          "[::1]:9530",
					   "192.0.2.1:9530"};
	static const char *const bad[] = {"",
					  "evil.example",
					  "evil.example:9530",
					  "[::1",
					  "localhost.evil.example",
					  "127.0.0.1.evil.example",
					  "[]",
					  "[evil]",
					  ":9530"};

	(void)state;
	assert_true(http_addr_host_is_local(NULL));
	for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(http_addr_host_is_local(good[i]));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(http_addr_host_is_local(bad[i]));
}

/* Every beginning of a text, with memory that ends behind its NUL. */
static void test_every_length(void **state)
{
	static const char *const texts[] = {
	    "127.0.0.1:9530", "[2001:db8::1]:9530", "localhost:9530",
	    "[000000000000000000000000000000000000000000000000000000000000000000000000]:1",
	    "000000000000000000000000000000000000000000000000000000000000000000000000:1"};
	struct sockaddr_storage a;
	socklen_t len;

	(void)state;
	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		for (size_t n = 0; n <= strlen(texts[i]); n++) {
			char *text = (char *)guard_copy(texts[i], n + 1);
			text[n] = '\0';
			(void)http_addr_read(text, &a, &len);
			(void)http_addr_host_is_local(text);
			guard_free((uint8_t *)text, n + 1);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_host),
	    cmocka_unit_test(test_every_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
