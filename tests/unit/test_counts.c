/* SPDX-License-Identifier: BSD-3-Clause */
/* A segment read from outside: the same figures as from inside, and no surprise from one
 * that is cut short, made anew, removed, of another version, or rubbish. */
#include "view/counts.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char probe[32];

static void begin(struct segment *s)
{
	char err[256];

	(void)snprintf(probe, sizeof(probe), "test-counts-%d", (int)getpid());
	assert_int_equal(segment_init(s, probe, 3, 65536, err, sizeof(err)), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct ft_shm_worker *w = segment_worker(s, i);
		for (unsigned c = 0; c < FT_CTR_CAP; c++)
			atomic_store(&w->total[c], 1000 * i + c);
		for (unsigned k = 0; k < FT_SHM_STAGES; k++)
			atomic_store(&w->stage_ticks[k], 70 * i + k);
		atomic_store(&w->timed_packets, 32 + i);
		atomic_store(&w->source_dropped, 5 + i);
		atomic_store(&w->turns, 6 + i);
		atomic_store(&w->idle_turns, 7 + i);
		atomic_store(&w->generation, 8 + i);
		atomic_store(&segment_ring(s, i)->head, 4096 + i);
		atomic_store(&segment_ring(s, i)->tail, 96);
	}
	atomic_store(&segment_worker(s, 2)->ended, 1);
	atomic_store(&s->shm->heartbeat_us, counts_now_us());
	atomic_store(&s->shm->records_written, 77);
	atomic_store(&s->shm->sample_level, 2);
}

static void check_figures(const struct counts *c)
{
	assert_int_equal(c->workers, 3);
	assert_int_equal(c->pid, getpid());
	assert_string_equal(c->probe, probe);
	assert_int_equal(c->records_written, 77);
	assert_int_equal(c->sample_level, 2);
	for (unsigned i = 0; i < 3; i++) {
		const struct counts_worker *w = &c->worker[i];
		for (unsigned k = 0; k < FT_CTR_CAP; k++)
			assert_int_equal(w->total[k], 1000 * i + k);
		assert_int_equal(w->stage_ticks[3], 70 * i + 3);
		assert_int_equal(w->timed_packets, 32 + i);
		assert_int_equal(w->source_dropped, 5 + i);
		assert_int_equal(w->turns, 6 + i);
		assert_int_equal(w->idle_turns, 7 + i);
		assert_int_equal(w->generation, 8 + i);
		assert_int_equal(w->ring_bytes, 65536);
		assert_int_equal(w->ring_used, 4000 + i);
		assert_int_equal(w->ended, i == 2);
	}
	assert_int_equal(counts_sum(c, FT_CTR_RX_BYTES), 3000 + 3 * FT_CTR_RX_BYTES);
	assert_int_equal(counts_source_dropped(c), 18);
}

static struct counts c; /* large */

static void test_inside_and_outside(void **state)
{
	struct segment s;
	struct counts_file f;

	(void)state;
	begin(&s);
	counts_of(&s, &c);
	check_figures(&c);
	memset(&c, 0, sizeof(c));
	assert_int_equal(counts_open(&f, s.name), 0);
	assert_int_equal(counts_take(&f, &c), 0);
	check_figures(&c);
	segment_fini(&s); /* a clean end */
	assert_int_equal(counts_take(&f, &c), -ESTALE);
	counts_close(&f);
	assert_int_equal(counts_take(&f, &c), -ESTALE);
	assert_int_equal(counts_open(&f, s.name), -ENOENT);
	counts_close(&f);
}

/* The next probe of that name cuts the file to nothing first: no SIGBUS, at any length. */
static void test_cut_short(void **state)
{
	struct segment s;
	struct counts_file f;

	(void)state;
	begin(&s);
	const size_t last = s.shm->ring_off + 2 * s.shm->ring_stride + sizeof(struct ft_ring);
	assert_int_equal(counts_open(&f, s.name), 0);
	const int fd = shm_open(s.name, O_RDWR, 0);
	assert_true(fd >= 0);
	char *whole = malloc(s.bytes);
	assert_non_null(whole);
	assert_int_equal(pread(fd, whole, s.bytes, 0), s.bytes);
	for (size_t len = 0; len < s.bytes; len += len < 4096 ? 1 : 509) {
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, whole, len, 0), (ssize_t)len);
		assert_int_equal(counts_take(&f, &c), len < last ? -ESTALE : 0);
	}
	assert_int_equal(pwrite(fd, whole, s.bytes, 0), (ssize_t)s.bytes);
	free(whole);
	counts_close(&f);
	(void)close(fd);
	segment_fini(&s);
}

static void test_rubbish(void **state)
{
	struct segment s;
	struct counts_file f;
	uint64_t x = 88172645463325252ull;

	(void)state;
	begin(&s);
	assert_int_equal(counts_open(&f, s.name), 0);
	struct ft_shm *h = s.shm, good = *h;
	h->version++;
	assert_int_equal(counts_take(&f, &c), -EBADMSG);
	*h = good;
	h->workers = FT_WORKER_CAP + 1;
	assert_int_equal(counts_take(&f, &c), -EBADMSG);
	*h = good;
	h->workers = 0;
	assert_int_equal(counts_take(&f, &c), -EBADMSG);
	*h = good;
	h->magic ^= 1;
	assert_int_equal(counts_take(&f, &c), -ESTALE); /* not whole yet */
	memset(h->probe, 'x', sizeof(h->probe));        /* no end */
	h->magic = good.magic;
	assert_int_equal(counts_take(&f, &c), 0);
	assert_int_equal(strlen(c.probe), sizeof(c.probe) - 1);
	for (unsigned round = 0; round < 2000; round++) { /* everything behind the version */
		uint64_t *word = (uint64_t *)h;
		for (size_t i = 2; i < sizeof(*h) / 8; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			word[i] = round % 2 == 0 ? x : x >> (x % 60);
		}
		h->workers = 1 + (unsigned)(x % FT_WORKER_CAP);
		const int r = counts_take(&f, &c);
		assert_true(r == 0 || r == -ESTALE || r == -EBADMSG);
	}
	*h = good;
	counts_close(&f);
	segment_fini(&s);
}

/* A killed probe leaves its segment: whether it lives is told by its process, and where that
 * cannot be seen, by its heartbeat. */
static void test_killed(void **state)
{
	struct segment s;
	struct counts_file f;

	(void)state;
	begin(&s);
	const pid_t child = fork();
	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	s.shm->pid = (uint64_t)child;
	assert_int_equal(counts_open(&f, s.name), 0);
	assert_int_equal(counts_take(&f, &c), 0);
	atomic_store(&s.shm->heartbeat_us, counts_now_us() - 10000000);
	assert_int_equal(counts_take(&f, &c), -ESTALE);
	s.shm->pid = (uint64_t)getpid();
	assert_int_equal(counts_take(&f, &c), 0); /* it is slow */
	counts_close(&f);
	segment_fini(&s);
}

static void test_list(void **state)
{
	struct segment s;
	char(*names)[128] = calloc(256, sizeof(*names));
	size_t found = 0;

	(void)state;
	begin(&s);
	const size_t n = counts_list(names, 256);
	for (size_t i = 0; i < n; i++) {
		found += strcmp(names[i], s.name) == 0;
		assert_true(i == 0 || strcmp(names[i - 1], names[i]) < 0);
	}
	assert_int_equal(found, 1);
	assert_int_equal(counts_list(names, 0), 0);
	segment_fini(&s);
	free(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_inside_and_outside),
	    cmocka_unit_test(test_cut_short),
	    cmocka_unit_test(test_rubbish),
	    cmocka_unit_test(test_killed),
	    cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
