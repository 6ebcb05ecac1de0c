/* SPDX-License-Identifier: BSD-3-Clause */
/* Export to files: names, modes, no half files, full and vanished disks. */
#include "envelope.h"
#include "jsonl.h"
#include "reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY 1700000000ull /* 2023-11-14 22:13:20 */
static char dir[64];

/* Runs a shell line in which $1 is `path`. */
static void run_shell(const char *script, const char *path)
{
	char line[512];

	snprintf(line, sizeof line, "set -- '%s'; %s", path, script);
	assert_int_equal(system(line), 0);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/fluxtap-jsonl-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	run_shell("chmod -R u+rwx $1", dir);
	run_shell("rm -r $1", dir);
	return 0;
}

/* A record of about `bytes` octets that do not compress. */
static json_t *record_of(const char *set, uint64_t start, size_t bytes)
{
	static uint64_t x = 88172645463325252ull;
	json_t *r = envelope_create(set, "tap1", "ALL", start, start + 60, 1, 0);
	char *noise = calloc(1, bytes + 1);

	for (size_t i = 0; i < bytes; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		noise[i] = (char)('0' + x % 75);
		if (noise[i] == '\\')
			noise[i] = '~';
	}
	json_object_set_new(r, "noise", json_string(noise));
	free(noise);
	return r;
}

static void put(struct jsonl *j, const char *set, uint64_t start, unsigned n, size_t bytes)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(jsonl_write(j, set, start, record_of(set, start, bytes)), 0);
}

/* Counts the entries of DIR/set; dot: those with a dot in front, else the others. */
static unsigned entries(const char *set, int dot)
{
	char path[256];
	unsigned n = 0;

	snprintf(path, sizeof path, "%s/%s", dir, set);
	DIR *d = opendir(path);

	for (struct dirent *e; d && (e = readdir(d));) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			n += (e->d_name[0] == '.') == dot;
	}
	if (d)
		closedir(d);
	return n;
}

static unsigned lines_of(const char *file)
{
	char path[300];
	const char *line;
	size_t len;
	unsigned n = 0;
	int rc;

	snprintf(path, sizeof path, "%s/%s", dir, file);
	struct reader *r = reader_create(path);

	assert_non_null(r);
	while ((rc = reader_next(r, &line, &len)) == 1)
		n++;
	assert_int_equal(rc, 0);
	reader_destroy(r);
	return n;
}

static mode_t mode_of(const char *file)
{
	char path[300];
	struct stat st;

	snprintf(path, sizeof path, "%s/%s", dir, file);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void test_envelope(void **state)
{
	json_t *r = envelope_create("flux", "tap1", "R2A", 60, 120, 1, 7);
	char *text = json_dumps(r, JSON_COMPACT | JSON_PRESERVE_ORDER);

	(void)state;
	assert_string_equal(
	    text, "{\"set\":\"flux\",\"v\":1,\"probe\":\"tap1\",\"vantage\":\"R2A\",\"start\":60,"
		  "\"end\":120,\"p\":1,\"loss_ppm\":7}");
	free(text);
	json_decref(r);
	r = envelope_create("flux", "tap1", "R2A", 60, 120, 0.125, 0);
	assert_true(json_is_real(json_object_get(r, "p")));
	json_decref(r);
	assert_null(envelope_create("flux", "\xff", "R2A", 60, 120, 1, 0)); /* no UTF-8 */
}

static void test_names(void **state)
{
	char err[512], sub[128];
	const mode_t mask = umask(077);

	(void)state;
	snprintf(sub, sizeof sub, "%s/a/b", dir);
	struct jsonl *j = jsonl_create(sub, "tap-1.x", err, sizeof err);

	assert_non_null(j);
	assert_int_equal(jsonl_commit(j), 0); /* nothing there */
	put(j, "traffic", DAY + 40, 3, 100);
	put(j, "traffic", DAY - 20, 1, 100); /* the earliest gives the name */
	put(j, "ledger", DAY + 40, 1, 100);
	assert_int_equal(jsonl_held_records(j), 5);
	assert_int_equal(jsonl_commit(j), 0);
	assert_int_equal(jsonl_held_records(j), 0);
	put(j, "traffic", DAY + 40, 1, 100);
	assert_int_equal(jsonl_commit(j), 0);
	assert_string_equal(jsonl_error(j), "");
	jsonl_destroy(j);
	umask(mask);
	assert_int_equal(lines_of("a/b/traffic/traffic-20231114T221300Z-tap-1.x-000000.jsonl.zst"),
			 4);
	assert_int_equal(lines_of("a/b/traffic/traffic-20231114T221400Z-tap-1.x-000001.jsonl.zst"),
			 1);
	assert_int_equal(lines_of("a/b/ledger/ledger-20231114T221400Z-tap-1.x-000000.jsonl.zst"),
			 1);
	assert_int_equal(entries("a/b/traffic", 1), 0);
	assert_int_equal(entries("a/b", 1), 0);
	assert_int_equal(mode_of("a/b/traffic/traffic-20231114T221300Z-tap-1.x-000000.jsonl.zst"),
			 0640);
	assert_int_equal(mode_of("a/b/traffic"), 0750);
	assert_int_equal(mode_of("a"), 0750);
}

static void test_never_overwrites(void **state)
{
	char err[512];

	(void)state;
	for (unsigned run = 0; run < 3; run++) {
		struct jsonl *j = jsonl_create(dir, "tap1", err, sizeof err);

		put(j, "traffic", DAY, run + 1, 100);
		assert_int_equal(jsonl_commit(j), 0);
		jsonl_destroy(j);
	}
	assert_int_equal(lines_of("traffic/traffic-20231114T221320Z-tap1-000000.jsonl.zst"), 1);
	assert_int_equal(lines_of("traffic/traffic-20231114T221320Z-tap1-000001.jsonl.zst"), 2);
	assert_int_equal(lines_of("traffic/traffic-20231114T221320Z-tap1-000002.jsonl.zst"), 3);
}

/* A reader sees nothing before the commit, and a writer that is dropped leaves nothing. */
static void test_temporaries(void **state)
{
	char err[512];

	(void)state;
	struct jsonl *j = jsonl_create(dir, "tap1", err, sizeof err);

	put(j, "traffic", DAY, 300, 4000); /* enough to reach the disk */
	assert_int_equal(entries("traffic", 1), 1);
	assert_int_equal(entries("traffic", 0), 0);
	jsonl_destroy(j);
	assert_int_equal(entries("traffic", 1), 0);
	assert_int_equal(entries("traffic", 0), 0);
}

static void test_leftovers(void **state)
{
	static const char *const names[] = {".traffic-tap1.999999.tmp",
					    ".traffic-tap1.12.tmp",
					    ".traffic-tap1.1.12.tmp",
					    ".traffic-tap2.12.tmp",
					    ".hidden",
					    "traffic-20231114T221320Z-tap1-000000.jsonl.zst"};
	char err[512], path[256];
	int held = -1;

	(void)state;
	run_shell("mkdir $1/traffic", dir);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/traffic/%s", dir, names[i]);
		const int fd = open(path, O_WRONLY | O_CREAT, 0600);

		if (i == 1) /* as a living process would */
			assert_int_equal(flock(held = fd, LOCK_EX), 0);
		else
			close(fd);
	}
	jsonl_destroy(jsonl_create(dir, "tap1", err, sizeof err));
	assert_int_equal(entries("traffic", 1), 4); /* all but the first */
	assert_int_equal(entries("traffic", 0), 1);
	snprintf(path, sizeof path, "%s/traffic/%s", dir, names[0]);
	assert_int_equal(access(path, F_OK), -1);
	close(held);
}

static void test_unwritable(void **state)
{
	char err[512], path[128];
	int status;

	(void)state;
	snprintf(path, sizeof path, "%s/file", dir);
	close(open(path, O_WRONLY | O_CREAT, 0600));
	assert_null(jsonl_create(path, "tap1", err, sizeof err));
	assert_int_equal(errno, ENOTDIR);
	assert_non_null(strstr(err, path));
	assert_non_null(strstr(err, "Not a directory; give another one with --out"));
	assert_null(jsonl_create("/proc/nothing", "tap1", err, sizeof err));
	assert_non_null(strstr(err, "cannot write to the directory /proc/nothing: "));
	if (getuid() != 0)
		return;
	assert_int_equal(chmod(dir, 0755), 0);
	const pid_t child = fork();

	if (child == 0) {
		if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0)
			_exit(9);
		if (jsonl_create(dir, "tap1", err, sizeof err) != NULL || errno != EACCES)
			_exit(1);
		if (strstr(err, dir) == NULL ||
		    strstr(err, "Permission denied; give another") == NULL)
			_exit(2);
		snprintf(path, sizeof path, "%s/new", dir);
		if (jsonl_create(path, "tap1", err, sizeof err) != NULL || errno != EACCES)
			_exit(3);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_vanished(void **state)
{
	char err[512];

	(void)state;
	struct jsonl *j = jsonl_create(dir, "tap1", err, sizeof err);

	put(j, "traffic", DAY, 300, 4000);
	assert_int_equal(entries("traffic", 1), 1);
	run_shell("rm -r $1/traffic", dir); /* somebody tidies: made again */
	assert_int_equal(jsonl_commit(j), 0);
	assert_int_equal(lines_of("traffic/traffic-20231114T221320Z-tap1-000000.jsonl.zst"), 300);

	put(j, "traffic", DAY, 300, 4000);
	run_shell("rm -r $1", dir); /* all of it: kept */
	assert_int_equal(jsonl_commit(j), -ENOENT);
	assert_non_null(strstr(jsonl_error(j), "cannot make the directory"));
	assert_non_null(strstr(jsonl_error(j), "traffic: No such file or directory"));
	assert_int_equal(jsonl_held_records(j), 300);
	put(j, "traffic", DAY + 60, 2, 100);
	run_shell("mkdir $1", dir); /* it comes back */
	assert_int_equal(jsonl_commit(j), 0);
	assert_int_equal(lines_of("traffic/traffic-20231114T221320Z-tap1-000001.jsonl.zst"), 302);
	assert_int_equal(jsonl_lost_records(j), 0);
	jsonl_destroy(j);
}

/* Beyond the budget the disk is trusted with the only copy. */
static void test_budget(void **state)
{
	char err[512];

	(void)state;
	struct jsonl *j = jsonl_create(dir, "tap1", err, sizeof err);

	jsonl_set_budget(j, 100000);
	put(j, "traffic", DAY, 500, 4000);
	assert_int_equal(jsonl_commit(j), 0);
	assert_int_equal(lines_of("traffic/traffic-20231114T221320Z-tap1-000000.jsonl.zst"), 500);
	/* The only copy vanishes: those records are lost, and counted. */
	put(j, "traffic", DAY, 500, 4000);
	run_shell("rm $1/traffic/.traffic*", dir);
	assert_int_equal(jsonl_commit(j), -ENOENT);
	assert_int_equal(jsonl_lost_records(j), 500);
	put(j, "traffic", DAY, 1, 100);
	assert_int_equal(jsonl_commit(j), 0);
	/* No disk at all and no room in memory: what does not fit is lost, and counted. */
	run_shell("rm -r $1", dir);
	unsigned taken = 0, refused = 0;

	for (unsigned i = 0; i < 300; i++) {
		const int rc = jsonl_write(j, "traffic", DAY, record_of("traffic", DAY, 4000));

		taken += rc == 0;
		refused += rc == -ENOSPC;
	}
	assert_int_equal(taken + refused, 300);
	assert_in_range(refused, 100, 299);
	assert_int_equal(jsonl_lost_records(j), 500 + refused);
	assert_non_null(strstr(jsonl_error(j), "the memory for waiting records is full"));
	run_shell("mkdir $1", dir);
	assert_int_equal(jsonl_commit(j), 0);
	assert_int_equal(lines_of("traffic/traffic-20231114T221320Z-tap1-000002.jsonl.zst"), taken);
	jsonl_destroy(j);
}

/* On a disk of 256 KiB, in a mount namespace of its own. Exit code: 0, or a line's number. */
#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "line %d: %s\n", __LINE__, #x);                            \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)
static void full_disk(void)
{
	char err[512], filler[128];

	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("tmpfs", dir, "tmpfs", 0, "size=256k") != 0)
		_exit(77);
	struct jsonl *j = jsonl_create(dir, "tap1", err, sizeof err);

	CHECK(j != NULL);
	put(j, "traffic", DAY, 1, 1000);
	CHECK(jsonl_commit(j) == 0);
	snprintf(filler, sizeof filler, "%s/filler", dir);
	const int fd = open(filler, O_WRONLY | O_CREAT, 0600);

	CHECK(ftruncate(fd, 0) == 0 && posix_fallocate(fd, 0, 200 << 10) == 0);
	put(j, "ledger", DAY + 60, 1, 100);
	put(j, "traffic", DAY + 60, 30, 4000);
	CHECK(jsonl_commit(j) == -ENOSPC);
	CHECK(strstr(jsonl_error(j), "cannot write ") &&
	      strstr(jsonl_error(j), "No space left on device"));
	CHECK(strstr(jsonl_error(j), dir));
	CHECK(jsonl_held_records(j) == 30); /* the small set got through */
	CHECK(entries("traffic", 0) == 1 && entries("traffic", 1) == 0);
	CHECK(lines_of("traffic/traffic-20231114T221320Z-tap1-000000.jsonl.zst") == 1);
	put(j, "traffic", DAY + 120, 1, 100);
	CHECK(jsonl_commit(j) == -ENOSPC);
	CHECK(unlink(filler) == 0 && close(fd) == 0);
	CHECK(jsonl_commit(j) == 0);
	CHECK(lines_of("traffic/traffic-20231114T221420Z-tap1-000001.jsonl.zst") == 31);
	CHECK(jsonl_lost_records(j) == 0);
	jsonl_destroy(j);
	/* Full from the beginning: refused before any packet is read. */
	const int full = open(filler, O_WRONLY | O_CREAT, 0600);
	char page[4096] = {1};

	while (write(full, page, sizeof page) > 0)
		;
	CHECK(jsonl_create(dir, "tap1", err, sizeof err) == NULL && errno == ENOSPC);
	CHECK(strstr(err, "No space left on device; give another one with --out"));
	_exit(0);
}

static void test_full_disk(void **state)
{
	int status;
	const pid_t child = fork();

	(void)state;
	if (child == 0)
		full_disk();
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("skipped: this needs root and a mount namespace\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static void test_destroy(void **state)
{
	char err[512];
	const char *line;
	size_t len;

	(void)state;
	jsonl_destroy(NULL);
	reader_destroy(NULL);
	assert_null(reader_create("/nonexistent"));
	assert_int_equal(errno, ENOENT);
	struct reader *r = reader_create("/tmp");

	assert_non_null(r);
	assert_int_equal(reader_next(r, &line, &len), -EISDIR);
	assert_string_equal(reader_error(r), "Is a directory");
	reader_destroy(r);
	struct jsonl *j = jsonl_create(dir, "tap1", err, sizeof err);

	assert_int_equal(jsonl_write(j, "traffic", DAY, NULL), -ENOMEM);
	assert_int_equal(jsonl_lost_records(j), 1);
	jsonl_destroy(j);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_envelope),    TEST(test_names),     TEST(test_never_overwrites),
	    TEST(test_temporaries), TEST(test_leftovers), TEST(test_unwritable),
	    TEST(test_vanished),    TEST(test_budget),    TEST(test_full_disk),
	    TEST(test_destroy),
	};

	return cmocka_run_group_tests_name("jsonl", tests, NULL, NULL);
}
