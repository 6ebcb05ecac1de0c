/* SPDX-License-Identifier: BSD-3-Clause */
/* Snapshots with statistics made for it, whose octets the test knows: back as they were,
 * and refused in every damaged form; and the real ones that have no test of their own. */
#include "guard.h"
#include "snapshot.h"
#include "stats/flood_state.h"
#include "stats/spike.h"
#include "stats/traps.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static char dir[] = "/tmp/fluxtap-snapshot-XXXXXX";
static char path[64];

/* --- a statistic that is a text --- */

struct text {
	uint8_t v[200000];
	size_t n, step; /* step: written and read in pieces of so many octets */
	int refuse;     /* what load says */
};

static int text_save(const void *stat, state_write_fn *write, void *ctx)
{
	const struct text *t = stat;
	int result = write(ctx, &t->n, sizeof(t->n));

	for (size_t i = 0; i < t->n && result == 0; i += t->step)
		result = write(ctx, t->v + i, t->n - i < t->step ? t->n - i : t->step);
	return result;
}

static int text_load(void *stat, state_read_fn *read, void *ctx)
{
	struct text *t = stat;
	size_t n;
	int result = read(ctx, &n, sizeof(n));

	if (t->refuse != 0)
		return t->refuse;
	if (result == 0 && n > sizeof(t->v))
		return -EBADMSG;
	for (size_t i = 0; result == 0 && i < n; i += 777)
		result = read(ctx, t->v + i, n - i < 777 ? n - i : 777);
	t->n = result == 0 ? n : 0;
	return result;
}

static const struct stat_ops none = {.set = "none"},
			     one = {.state = "one", .save = text_save, .load = text_load},
			     two = {.state = "two", .save = text_save, .load = text_load};
static const struct stat_ops *const both[] = {&one, &none, &two, NULL};
static const struct stat_ops *const second[] = {&two, NULL};

static struct text a, b, x, y;

static void fill(struct text *t, size_t n, size_t step, unsigned seed)
{
	memset(t, 0, sizeof(*t));
	for (size_t i = 0; i < n; i++)
		t->v[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
	t->n = n;
	t->step = step;
}

static const struct snapshot_head head = {
    .magic = SNAPSHOT_MAGIC,
    .version = SNAPSHOT_VERSION,
    .interval_s = 60,
    .probe = "tap1",
    .hash_key = 0x0123456789abcdef,
    .sketch_seed = 5,
    .sample_key = 6,
    .end_s = 1767225660,
    .until_s = 1767225645,
    .gap_day = {20454},
    .gap_s = {17},
};

static void save_both(void)
{
	void *const stats[] = {&a, NULL, &b};
	const struct snapshot_stats s = {both, stats};
	size_t bytes = 0;
	struct stat st;

	assert_int_equal(snapshot_save(path, &head, &s, &bytes), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, bytes);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static int load_into(const struct stat_ops *const *ops, struct text *p, struct text *q,
		     char *refused)
{
	void *const stats[] = {p, NULL, q};
	const struct snapshot_stats s = {ops, stats};
	struct snapshot shot;
	int result = snapshot_open(&shot, path);

	if (result != 0)
		return result;
	assert_memory_equal(&shot.head, &head, sizeof(head));
	result = snapshot_load(&shot, &s, refused, 64);
	snapshot_close(&shot);
	return result;
}

static void test_round_trip(void **state)
{
	static const size_t sizes[] = {0, 1, 65527, 65528, 65529, 131072, 200000};
	char refused[64];

	(void)state;
	for (unsigned i = 0; i < 7; i++) {
		for (size_t step = 1; step < 300000; step = step * 70 + 1) {
			fill(&a, sizes[i], step, 1);
			fill(&b, sizes[6 - i], step, 2);
			memset(&x, 0, sizeof(x));
			memset(&y, 0, sizeof(y));
			save_both();
			assert_int_equal(load_into(both, &x, &y, refused), 0);
			assert_string_equal(refused, "");
			assert_int_equal(x.n, a.n);
			assert_memory_equal(x.v, a.v, a.n);
			assert_int_equal(y.n, b.n);
			assert_memory_equal(y.v, b.v, b.n);
		}
	}
}

/* A section that nobody knows is skipped, and one that is refused, whole or in part. */
static void test_other_sections(void **state)
{
	char refused[64];

	(void)state;
	fill(&a, 150000, 1000, 1);
	fill(&b, 70000, 999, 2);
	save_both();
	memset(&x, 0, sizeof(x));
	assert_int_equal(load_into(second, &x, NULL, refused), 0);
	assert_int_equal(x.n, b.n);
	assert_memory_equal(x.v, b.v, b.n);
	memset(&x, 0, sizeof(x));
	memset(&y, 0, sizeof(y));
	x.refuse = -EINVAL;
	assert_int_equal(load_into(both, &x, &y, refused), -EINVAL);
	assert_string_equal(refused, "one");
	assert_int_equal(y.n, b.n);
	assert_memory_equal(y.v, b.v, b.n);
}

static size_t read_file(uint8_t *out, size_t cap)
{
	FILE *f = fopen(path, "rb");

	assert_non_null(f);
	const size_t n = fread(out, 1, cap, f);
	assert_int_equal(fclose(f), 0);
	return n;
}

/* Any octet missing or changed: refused as a whole, nothing is handed out. */
static void test_damage(void **state)
{
	static uint8_t whole[4096];
	struct snapshot shot;

	(void)state;
	fill(&a, 300, 7, 1);
	fill(&b, 200, 300, 2);
	save_both();
	const size_t n = read_file(whole, sizeof(whole));
	assert_true(n > 400 && n < sizeof(whole));
	for (size_t cut = 0; cut < n; cut++) {
		uint8_t *p = guard_copy(whole, cut);
		assert_int_equal(snapshot_open_octets(&shot, p, cut), -EBADMSG);
		guard_free(p, cut);
	}
	for (size_t i = 0; i < n * 8; i++) {
		uint8_t *p = guard_copy(whole, n);
		p[i / 8] ^= (uint8_t)(1u << i % 8);
		const int result = snapshot_open_octets(&shot, p, n);
		assert_true(result == -EBADMSG || (result == -ENOTSUP && i / 8 >= 8 && i / 8 < 12));
		guard_free(p, n);
	}
}

/* With a checksum that is right: every cut of what the zstd frame holds. */
static void test_cut_frame(void **state)
{
	static uint8_t whole[4096];
	void *const stats[] = {&x, NULL, &y};
	const struct snapshot_stats s = {both, stats};
	struct snapshot shot;
	char refused[64];
	uint64_t sum;

	(void)state;
	fill(&a, 300, 7, 1);
	fill(&b, 200, 300, 2);
	save_both();
	const size_t n = read_file(whole, sizeof(whole)) - sizeof(sum);
	for (size_t cut = sizeof(head); cut < n; cut++) {
		uint8_t *p = guard_copy(whole, cut + sizeof(sum));
		sum = XXH3_64bits(p, cut);
		memcpy(p + cut, &sum, sizeof(sum));
		memset(&x, 0, sizeof(x));
		memset(&y, 0, sizeof(y));
		assert_int_equal(snapshot_open_octets(&shot, p, cut + sizeof(sum)), 0);
		assert_true(snapshot_load(&shot, &s, refused, sizeof(refused)) < 0);
		guard_free(p, cut + sizeof(sum));
	}
}

static void test_files(void **state)
{
	struct snapshot shot;
	char tmp[80];

	(void)state;
	(void)unlink(path);
	assert_int_equal(snapshot_open(&shot, path), -ENOENT);
	fill(&a, 10, 7, 1);
	fill(&b, 0, 300, 2);
	save_both();
	assert_int_equal(chmod(path, 0622), 0);
	assert_int_equal(snapshot_open(&shot, path), -EPERM);
	save_both(); /* takes its place, with its own mode */
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(snapshot_open(&shot, path), -EBADMSG);
	/* One that cannot be written leaves the old one and no other file. */
	save_both();
	void *const stats[] = {&a, NULL, &b};
	const struct snapshot_stats s = {both, stats};
	size_t bytes;
	(void)snprintf(tmp, sizeof(tmp), "%s/none/file", dir);
	assert_int_equal(snapshot_save(tmp, &head, &s, &bytes), -ENOENT);
	(void)snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	assert_int_equal(access(tmp, F_OK), -1);
	assert_int_equal(symlink("/dev/null", tmp), 0);
	assert_int_equal(snapshot_save(path, &head, &s, &bytes), -ELOOP);
	assert_int_equal(unlink(tmp), 0);
	assert_int_equal(snapshot_open(&shot, path), 0);
	snapshot_close(&shot);
}

/* --- the statistics' own octets --- */

struct sheet {
	uint8_t v[1 << 16];
	size_t n, at, cap;
};

static struct sheet sheet, again;

static int put(void *ctx, const void *data, size_t len)
{
	struct sheet *s = ctx;

	assert_true(s->n + len <= sizeof(s->v));
	memcpy(s->v + s->n, data, len);
	s->n += len;
	return 0;
}

static int get(void *ctx, void *data, size_t len)
{
	struct sheet *s = ctx;

	if (s->cap - s->at < len)
		return -ENODATA;
	memcpy(data, s->v + s->at, len);
	s->at += len;
	return 0;
}

/* A spike table that was taken up judges as the one that ran on. */
static void test_spikes(void **state)
{
	struct spikes *on = spikes_create(60, 64);

	(void)state;
	for (uint64_t row = 1000; row < 1100; row++)
		for (uint64_t key = 1; key < 20; key++)
			(void)spikes_step(on, key, row * 60, 5 * key + (row * key) % 7);
	sheet.n = 0;
	assert_int_equal(spikes_save(on, put, &sheet), 0);
	for (size_t cut = 0; cut < sheet.n; cut++) {
		struct spikes *s = spikes_create(60, 64);
		sheet.at = 0;
		sheet.cap = cut;
		assert_int_equal(spikes_load(s, get, &sheet), -ENODATA);
		again.n = 0; /* it is empty again */
		assert_int_equal(spikes_save(s, put, &again), 0);
		assert_true(again.n < sheet.n);
		assert_int_equal(spikes_step(s, 1, 66000, 1000).kind, SPIKE_NONE);
		spikes_destroy(s);
	}
	struct spikes *back = spikes_create(60, 64), *other = spikes_create(300, 64);
	sheet.at = 0;
	sheet.cap = sheet.n;
	assert_int_equal(spikes_load(back, get, &sheet), 0);
	sheet.at = 0;
	assert_int_equal(spikes_load(other, get, &sheet), -EINVAL);
	for (uint64_t key = 1; key < 25; key++) {
		const uint64_t count = key % 2 == 0 ? 5 * key : 50 * key;
		const struct spike p = spikes_step(on, key, 1100 * 60, count),
				   q = spikes_step(back, key, 1100 * 60, count);
		assert_int_equal(p.kind, q.kind);
		assert_true(p.expected == q.expected && p.dispersion == q.dispersion);
		assert_int_equal(p.kind, key % 2 == 0 && key < 20 ? SPIKE_NONE : SPIKE_SUDDEN);
	}
	spikes_destroy(on);
	spikes_destroy(back);
	spikes_destroy(other);
}

static bool ask(struct traps *t, unsigned domain, uint64_t day, unsigned client)
{
	uint8_t key[TRAP_KEY_BYTES] = {(uint8_t)domain};
	struct handful clients = {0};
	struct trap out;

	handful_add(&clients, client * 2654435761u + 1);
	return traps_step(t, key, &(struct trap_day){day, 4, day, day, &clients}, &out);
}

static void test_traps(void **state)
{
	struct traps *t = traps_create(64), *back = traps_create(64), *small = traps_create(2);

	(void)state;
	for (unsigned domain = 0; domain < 5; domain++)
		for (uint64_t day = 20000; day < 20002; day++)
			assert_false(ask(t, domain, day, (unsigned)day));
	sheet.n = 0;
	assert_int_equal(traps_save(t, put, &sheet), 0);
	for (size_t cut = 0; cut < sheet.n; cut++) {
		sheet.at = 0;
		sheet.cap = cut;
		assert_int_equal(traps_load(back, get, &sheet), -ENODATA);
	}
	sheet.at = 0;
	sheet.cap = sheet.n;
	assert_int_equal(traps_load(back, get, &sheet), 0);
	sheet.at = 0;
	assert_int_equal(traps_load(small, get, &sheet), -EBADMSG);
	/* The third day and client are what is missing, and told once. */
	assert_true(ask(back, 1, 20002, 7));
	assert_false(ask(back, 1, 20002, 7));
	assert_false(ask(back, 9, 20002, 7));
	assert_false(ask(small, 1, 20002, 7));
	traps_destroy(t);
	traps_destroy(back);
	traps_destroy(small);
}

static unsigned records;
static char state_of[16];

static void write_record(void *ctx, const char *set, uint64_t start_s, json_t *record)
{
	(void)ctx;
	(void)set;
	(void)start_s;
	records++;
	(void)snprintf(state_of, sizeof(state_of), "%s",
		       json_string_value(json_object_get(record, "state")));
	assert_string_equal(json_string_value(json_object_get(record, "domain")), "victim.com.");
	json_decref(record);
}

static struct past *new_past(uint64_t key, const char *text)
{
	struct past *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->key = key;
	p->vantage = 1;
	p->text = text != NULL ? strdup(text) : NULL;
	return p;
}

/* A flood that lasted when the run ended is over in the first interval without it. */
static void test_flood(void **state)
{
	const struct stat_run run = {.probe = "t", .interval_s = 60, .write = write_record};
	struct flood *f = stat_flood.create(&run), *back = stat_flood.create(&run);
	struct past *victim = new_past(1u << 9, "victim.com."), *quiet = new_past(77u << 9, NULL);

	(void)state;
	victim->flooded = true;
	victim->since_us = 123456;
	victim->history = quiet->history = 5000;
	f->past[flood_bucket(victim->key, 1)] = victim;
	f->past[flood_bucket(quiet->key, 1)] = quiet;
	f->closed = 9;
	sheet.n = 0;
	assert_int_equal(stat_flood.save(f, put, &sheet), 0);
	for (size_t cut = 0; cut < sheet.n; cut++) {
		sheet.at = 0;
		sheet.cap = cut;
		assert_int_equal(stat_flood.load(back, get, &sheet), -ENODATA);
		for (unsigned i = 0; i < FLOOD_BUCKETS; i++)
			assert_null(back->past[i]);
		assert_int_equal(back->closed, 0);
	}
	sheet.at = 0;
	sheet.cap = sheet.n;
	assert_int_equal(stat_flood.load(back, get, &sheet), 0);
	assert_int_equal(back->closed, 9);
	struct stat_interval in = {.row = 10, .start_s = 600, .end_s = 660};
	stat_flood.close(back, &in);
	assert_int_equal(records, 1);
	assert_string_equal(state_of, "end");
	assert_true(back->past[flood_bucket(quiet->key, 1)]->history == 3750);
	stat_flood.destroy(f);
	stat_flood.destroy(back);
}

static void test_octets(void **state)
{
	uint8_t *out;
	size_t n;
	const uint64_t much = 1ull << 60;

	(void)state;
	for (size_t bytes = 0; bytes < 150; bytes++) {
		fill(&a, bytes, 1, 3);
		sheet.n = sheet.at = 0;
		assert_int_equal(state_write_octets(put, &sheet, a.v, bytes), 0);
		sheet.cap = sheet.n;
		assert_int_equal(state_read_octets(get, &sheet, &out, &n), 0);
		assert_int_equal(n, bytes);
		assert_memory_equal(out, a.v, bytes);
		free(out);
		sheet.at = 0;
		sheet.cap = sheet.n - 1;
		assert_int_equal(state_read_octets(get, &sheet, &out, &n), -ENODATA);
	}
	/* A number that lies takes no memory. */
	memcpy(sheet.v, &much, sizeof(much));
	sheet.at = 0;
	sheet.cap = 100;
	assert_int_equal(state_read_octets(get, &sheet, &out, &n), -ENODATA);
}

static void test_gaps(void **state)
{
	struct state_gap g = {0};
	const uint64_t day = 20000ull * 86400;

	(void)state;
	assert_int_equal(state_gap_of(NULL, 20000), 0);
	state_gap_add(&g, day + 5, day + 5);
	state_gap_add(&g, day + 9, day + 5);
	assert_int_equal(state_gap_of(&g, 20000), 0);
	state_gap_add(&g, day + 100, day + 160);
	state_gap_add(&g, day + 500, day + 501);
	assert_int_equal(state_gap_of(&g, 20000), 61);
	state_gap_add(&g, day + 86399, day + 86400 + 7); /* over midnight */
	assert_int_equal(state_gap_of(&g, 20000), 62);
	assert_int_equal(state_gap_of(&g, 20001), 7);
	state_gap_add(&g, day + 86400 * 3 - 10, day + 86400 * 5 + 20); /* the older ones go */
	assert_int_equal(state_gap_of(&g, 20002), 10);
	assert_int_equal(state_gap_of(&g, 20005), 20);
	assert_int_equal(state_gap_of(&g, 20004), 0);
	state_gap_add(&g, day + 86400 * 5, day + 86400 * 6); /* to the very end of a day */
	assert_int_equal(state_gap_of(&g, 20005), 86400);
	assert_int_equal(state_gap_of(&g, 20006), 0);
}

static int make_dir(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/.state-t.zst", dir);
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
	    cmocka_unit_test(test_round_trip), cmocka_unit_test(test_other_sections),
	    cmocka_unit_test(test_damage),     cmocka_unit_test(test_cut_frame),
	    cmocka_unit_test(test_files),      cmocka_unit_test(test_spikes),
	    cmocka_unit_test(test_traps),      cmocka_unit_test(test_flood),
	    cmocka_unit_test(test_octets),     cmocka_unit_test(test_gaps),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
