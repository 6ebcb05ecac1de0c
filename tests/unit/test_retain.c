/* SPDX-License-Identifier: BSD-3-Clause */
/* --keep: which files go, against a plain list that the test keeps itself. */
#include "export/retain.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define T0 1767225600ull /* 2026-01-01 */
#define DAY 86400ull
static char dir[64];
static int null_fd;

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/fluxtap-retain-XXXXXX");
	null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	log_open(&(struct log_opts){.level = LOG_AT_INFO, .fd = null_fd});
	return mkdtemp(dir) == NULL || null_fd < 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	(void)close(null_fd);
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* "<set>/<file>" */
static const char *name_of(const char *set, uint64_t start_s, const char *probe, unsigned seq)
{
	static char name[256];
	const time_t t = (time_t)start_s;
	char text[20];
	struct tm tm;

	(void)strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", gmtime_r(&t, &tm));
	(void)snprintf(name, sizeof(name), "%s/%s-%s-%s-%06u.jsonl.zst", set, set, text, probe,
		       seq);
	return name;
}

static void put(const char *name, size_t bytes)
{
	char path[PATH_MAX], part[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	(void)snprintf(part, sizeof(part), "%s", path);
	*strrchr(part, '/') = '\0';
	(void)mkdir(part, 0755);
	const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	(void)close(fd);
}

static bool there(const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return lstat(path, &st) == 0;
}

static struct retain *make(uint32_t days, uint64_t bytes)
{
	struct retain *r = retain_create(dir, "tap1", &(struct value_keep){days, bytes});

	assert_non_null(r);
	return r;
}

static void add(struct retain *r, const char *set, uint64_t start_s, unsigned seq, size_t bytes)
{
	const char *name = name_of(set, start_s, "tap1", seq);

	put(name, bytes);
	retain_add(r, name, bytes);
}

static void close_interval(struct retain *r, uint64_t start_s)
{
	struct retain_counts before;

	retain_closed(r, start_s, start_s + 60);
	do { /* steps are short */
		before = retain_counts_get(r);
		for (int i = 0; i < 20; i++)
			retain_step(r);
	} while (retain_counts_get(r).removed_files != before.removed_files);
}

/* Thousands of files of several sets: exactly those that are too old go. */
static void test_days(void **state)
{
	static const char *const sets[] = {"traffic", "ledger", "flux"};
	unsigned left = 0;

	(void)state;
	for (unsigned i = 0; i < 4000; i++)
		put(name_of(sets[i % 3], T0 + i * 600, "tap1", i), 10); /* 27.8 days */
	struct retain *r = make(7, 0);
	assert_int_equal(retain_counts_get(r).files, 4000);
	assert_int_equal(retain_counts_get(r).bytes, 40000);
	const uint64_t now = T0 + 4000 * 600;
	add(r, "traffic", now, 5000, 10);
	close_interval(r, now);
	for (unsigned i = 0; i < 4000; i++) {
		const bool stays = T0 + i * 600 + 7 * DAY > now + 60;
		assert_int_equal(there(name_of(sets[i % 3], T0 + i * 600, "tap1", i)), stays);
		left += stays;
	}
	assert_int_equal(retain_counts_get(r).files, left + 1);
	assert_int_equal(retain_counts_get(r).removed_files, 4000 - left);
	assert_int_equal(retain_counts_get(r).removed_bytes, 10 * (4000 - left));
	retain_destroy(r);
}

/* The oldest of all sets go first until the rest fits. */
static void test_size(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3000; i++)
		put(name_of(i % 2 ? "a" : "b", T0 + i * 60, "tap1", 0), 1000);
	struct retain *r = make(0, 1000000);
	const uint64_t now = T0 + 3000 * 60;
	add(r, "a", now, 0, 1000);
	close_interval(r, now);
	assert_int_equal(retain_counts_get(r).bytes, 1000000);
	for (unsigned i = 0; i < 3000; i++)
		assert_int_equal(there(name_of(i % 2 ? "a" : "b", T0 + i * 60, "tap1", 0)),
				 i >= 2001);
	/* And from then on one for one. */
	for (unsigned i = 1; i < 50; i++) {
		add(r, "b", now + i * 60, 0, 1000);
		close_interval(r, now + i * 60);
		assert_int_equal(retain_counts_get(r).files, 1000);
		assert_false(
		    there(name_of((2000 + i) % 2 ? "a" : "b", T0 + (2000 + i) * 60, "tap1", 0)));
	}
	retain_destroy(r);
}

/* What was written for the last interval stays, even where it is too much by itself, and even
 * where a file's name says midnight (a day's records). With the next interval it may go. */
static void test_last_interval(void **state)
{
	const uint64_t now = T0 + DAY - 60;

	(void)state;
	put(name_of("a", T0 + 3600, "tap1", 0), 10);
	struct retain *r = make(0, 1 << 20);
	add(r, "a", now, 0, 2 << 20);
	add(r, "flux", T0, 0, 2 << 20);
	close_interval(r, now);
	assert_false(there(name_of("a", T0 + 3600, "tap1", 0)));
	assert_true(there(name_of("a", now, "tap1", 0)));
	assert_true(there(name_of("flux", T0, "tap1", 0)));
	add(r, "a", now + 60, 0, 1000);
	close_interval(r, now + 60);
	assert_false(there(name_of("flux", T0, "tap1", 0)));
	assert_false(there(name_of("a", now, "tap1", 0)));
	assert_true(there(name_of("a", now + 60, "tap1", 0)));
	retain_destroy(r);
}

/* Names that look nearly like ours, and things that are no files. */
static void test_others(void **state)
{
	static const char *const alien[] = {
	    "a/a-20250101T000000Z-tap2-000001.jsonl.zst",        /* another probe */
	    "a/a-20250101T000000Z-tap1-x-000001.jsonl.zst",      /* a probe whose name begins so */
	    "a/a-20250101T000000Z-x-tap1-000001.jsonl.zst",      /* or ends so */
	    "a/a-20250101T000000Z-tap1-000001-000001.jsonl.zst", /* likewise */
	    "a/a-20250101T000000Z-tap1-000001.jsonl",
	    "a/a-20250101T000000Z-tap1-000001.jsonl.zst.bak",
	    "a/a-20250101T000000Z-tap1-1.jsonl.zst",
	    "a/a-20250101T000000Z-tap1-.jsonl.zst",
	    "a/a-20250101T000000Z-tap1-00000x.jsonl.zst",
	    "a/b-20250101T000000Z-tap1-000001.jsonl.zst", /* another set's name */
	    "a/a-20250132T000000Z-tap1-000001.jsonl.zst", /* no such day */
	    "a/a-20250101T250000Z-tap1-000001.jsonl.zst",
	    "a/a-19000101T000000Z-tap1-000001.jsonl.zst",
	    "a/a-20250101t000000Z-tap1-000001.jsonl.zst",
	    "a/a-20250101T000000-tap1-000001.jsonl.zst",
	    "a/.a-20250101T000000Z-tap1-000001.jsonl.zst",
	    "a/.a-tap1.17.tmp",
	    "a/notes.txt",
	    "./readme",
	    "./a-20250101T000000Z-tap1-000001.jsonl.zst", /* in no set's directory */
	    ".hidden/.hidden-20250101T000000Z-tap1-000001.jsonl.zst",
	};
	char path[PATH_MAX];

	(void)state;
	put("a/a-20250101T000000Z-tap1-000007.jsonl.zst", 5);
	for (size_t i = 0; i < sizeof(alien) / sizeof(*alien); i++)
		put(alien[i], 5);
	(void)snprintf(path, sizeof(path), "%s/a/a-20250101T000000Z-tap1-000008.jsonl.zst", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/a/a-20250101T000000Z-tap1-000009.jsonl.zst", dir);
	assert_int_equal(symlink("notes.txt", path), 0);
	struct retain *r = make(1, 1 << 20);
	assert_int_equal(retain_counts_get(r).files, 1);
	retain_add(r, "a/no-name-of-ours", 5 << 20);
	retain_add(r, "noslash", 5 << 20);
	close_interval(r, T0);
	assert_false(there("a/a-20250101T000000Z-tap1-000007.jsonl.zst"));
	for (size_t i = 0; i < sizeof(alien) / sizeof(*alien); i++)
		assert_true(there(alien[i]));
	assert_true(there("a/a-20250101T000000Z-tap1-000008.jsonl.zst"));
	assert_true(there("a/a-20250101T000000Z-tap1-000009.jsonl.zst"));
	assert_int_equal(retain_counts_get(r).files, 0);
	retain_destroy(r);
}

/* A clock that was set back: files of the future stay, and nothing just written goes. */
static void test_clock(void **state)
{
	(void)state;
	put(name_of("a", T0, "tap1", 0), 600 << 10);
	put(name_of("a", T0 + 400 * DAY, "tap1", 0), 600 << 10);
	struct retain *r = make(30, 1 << 20);
	add(r, "a", T0 + DAY, 0, 100);
	close_interval(r, T0 + DAY);
	assert_false(there(name_of("a", T0, "tap1", 0))); /* the size: the oldest by name */
	assert_true(there(name_of("a", T0 + 400 * DAY, "tap1", 0)));
	for (unsigned i = 1; i < 10; i++) { /* backwards, hour by hour */
		add(r, "a", T0 + DAY - i * 3600, 0, 100);
		close_interval(r, T0 + DAY - i * 3600);
		for (unsigned k = 0; k <= i; k++)
			assert_true(there(name_of("a", T0 + DAY - k * 3600, "tap1", 0)));
	}
	retain_destroy(r);
}

/* Files that others removed, and those that cannot be. */
static void test_trouble(void **state)
{
	char path[PATH_MAX];

	(void)state;
	put(name_of("a", T0, "tap1", 0), 5);
	put(name_of("a", T0, "tap1", 1), 5);
	put(name_of("b", T0, "tap1", 0), 5);
	struct retain *r = make(1, 0);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name_of("a", T0, "tap1", 0));
	assert_int_equal(unlink(path), 0);
	/* A directory in its place: not even root unlinks that. */
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name_of("b", T0, "tap1", 0));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	close_interval(r, T0 + 2 * DAY);
	assert_int_equal(retain_counts_get(r).removed_files, 1);
	assert_int_equal(retain_counts_get(r).failed, 1);
	assert_int_equal(retain_counts_get(r).files, 0);
	close_interval(r, T0 + 2 * DAY + 60);
	assert_int_equal(retain_counts_get(r).failed, 1); /* not again and again */
	retain_destroy(r);
	retain_destroy(NULL);
	retain_closed(NULL, 0, 0);
	retain_step(NULL);
	retain_finish(NULL);
}

/* The end of a run removes what steps have not come to. */
static void test_finish(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2000; i++)
		put(name_of("a", T0 + i, "tap1", 0), 5);
	struct retain *r = make(1, 0);
	retain_closed(r, T0 + 3 * DAY, T0 + 3 * DAY + 60);
	retain_finish(r);
	assert_int_equal(retain_counts_get(r).files, 0);
	assert_false(there(name_of("a", T0 + 1999, "tap1", 0)));
	retain_destroy(r);
}

static void test_value(void **state)
{
	static const struct {
		const char *text;
		uint32_t days;
		uint64_t bytes;
	} good[] = {{"30d", 30, 0},
		    {"1d", 1, 0},
		    {"20G", 0, 20ull << 30},
		    {"1M", 0, 1 << 20},
		    {"2T,36500d", 36500, 2ull << 40},
		    {"7d,1024K", 7, 1 << 20}};
	static const char *const bad[] = {"",          "d",           "0d",
					  "30",        "30D",         "20g",
					  "20G ",      " 20G",        "-1d",
					  "1K",        "36501d",      "1d,2d",
					  "1G,2G",     "1d,2G,3d",    "1d,",
					  ",1d",       "1.5G",        "99999999999999999999d",
					  "16777216T", "4294967295T", "18446744073709551615G"};
	struct value_keep keep;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(value_keep_read(good[i].text, &keep), 0);
		assert_int_equal(keep.days, good[i].days);
		assert_int_equal(keep.bytes, good[i].bytes);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char why[200] = "";

		keep = (struct value_keep){77, 78};
		assert_true(value_keep_read(bad[i], &keep) < 0);
		assert_int_equal(keep.days, 77);
		assert_true(value_check_keep(&bad[i], why, sizeof(why)) < 0);
		assert_non_null(strstr(why, "30d"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	    T(test_days),  T(test_size),    T(test_last_interval), T(test_others),
	    T(test_clock), T(test_trouble), T(test_finish),        T(test_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
