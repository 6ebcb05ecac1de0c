/* SPDX-License-Identifier: BSD-3-Clause */
/* Segment: one name, one living probe; leftovers are taken over; a clean end leaves nothing. */
#include "ring.h"
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define RING ((size_t)64 << 10)

static char probe[32]; /* of this run of the test alone */
static char err[256];

static bool exists(const char *name)
{
	const int fd = shm_open(name, O_RDONLY, 0);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* Nothing overlaps, everything lies within, and all of it is zero and can be written. */
static void check_layout(const struct segment *s, unsigned workers, size_t ring_bytes)
{
	const char *base = (const char *)s->shm, *end = base + s->bytes;
	const char *last = base + sizeof(*s->shm);
	struct stat st;

	assert_int_equal(fstat(s->fd, &st), 0);
	assert_int_equal(st.st_size, s->bytes);
	assert_int_equal(st.st_mode & 0777 & ~0640u, 0);
	assert_int_equal(s->shm->magic, FT_SHM_MAGIC);
	assert_int_equal(s->shm->version, FT_SHM_VERSION);
	assert_int_equal(s->shm->workers, workers);
	assert_int_equal(s->shm->bytes, s->bytes);
	assert_int_equal(s->shm->pid, getpid());
	assert_true(s->shm->started_us > 0);
	assert_string_equal(s->shm->probe, probe);
	for (unsigned i = 0; i < workers; i++) {
		const struct ft_shm_worker *w = segment_worker(s, i);
		const struct ft_shm_worker zero = {0};
		assert_int_equal((uintptr_t)w % _Alignof(struct ft_shm_worker), 0);
		assert_true((const char *)w >= last);
		assert_memory_equal(w, &zero, sizeof(zero));
		last = (const char *)(w + 1);
	}
	for (unsigned i = 0; i < workers; i++) {
		struct ft_ring *r = segment_ring(s, i);
		assert_int_equal((uintptr_t)r % _Alignof(struct ft_ring), 0);
		assert_true((const char *)r >= last);
		assert_int_equal(r->bytes, ring_bytes);
		last = (const char *)ring_data(r) + ring_bytes;
		memset(ring_data(r), 0x5a, ring_bytes);
	}
	assert_true(last <= end);
}

static void test_sizes(void **state)
{
	static const unsigned workers[] = {1, 2, 7, FT_WORKER_CAP};
	static const size_t rings[] = {4096, RING, 1 << 20};

	(void)state;
	for (unsigned w = 0; w < 4; w++)
		for (unsigned i = 0; i < 3; i++) {
			struct segment s;
			assert_int_equal(
			    segment_init(&s, probe, workers[w], rings[i], err, sizeof(err)), 0);
			check_layout(&s, workers[w], rings[i]);
			assert_true(exists(s.name));
			segment_fini(&s);
			assert_false(exists(s.name));
			segment_fini(&s); /* once more is harmless */
		}
}

/* A viewer reads what the probe has written, and can do no more. */
static void test_viewer(void **state)
{
	struct segment s;

	(void)state;
	assert_int_equal(segment_init(&s, probe, 2, RING, err, sizeof(err)), 0);
	const int fd = shm_open(s.name, O_RDONLY, 0);
	assert_true(fd >= 0);
	const struct ft_shm *v = mmap(NULL, s.bytes, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(v != MAP_FAILED);
	atomic_store(&segment_worker(&s, 1)->clock_us, 12345);
	const struct ft_shm_worker *w =
	    (const struct ft_shm_worker *)((const char *)v + v->worker_off + v->worker_stride);
	assert_int_equal(atomic_load(&w->clock_us), 12345);
	segment_fini(&s);
	assert_int_equal(v->magic, FT_SHM_MAGIC); /* the mapping outlives the name */
	munmap((void *)(uintptr_t)v, v->bytes);
	close(fd);
}

/* Two of one name live side by side, neither harms the other. */
static void test_second_probe(void **state)
{
	struct segment a, b;
	char own[128];

	(void)state;
	assert_int_equal(segment_init(&a, probe, 1, RING, err, sizeof(err)), 0);
	assert_int_equal(segment_init(&b, probe, 1, RING, err, sizeof(err)), 0);
	(void)snprintf(own, sizeof(own), "/fluxtap.%s", probe);
	assert_string_equal(a.name, own);
	(void)snprintf(own, sizeof(own), "/fluxtap.%s.%ld", probe, (long)getpid());
	assert_string_equal(b.name, own);
	check_layout(&a, 1, RING);
	check_layout(&b, 1, RING);
	atomic_store(&segment_worker(&a, 0)->clock_us, 1);
	assert_int_equal(atomic_load(&segment_worker(&b, 0)->clock_us), 0);
	segment_fini(&a);
	assert_false(exists(a.name));
	assert_true(exists(b.name));
	segment_fini(&b);
	assert_false(exists(b.name));
}

/* Starts a probe with a segment in a process of its own and kills it. */
static pid_t leave_behind(unsigned workers, size_t ring_bytes)
{
	struct segment s;
	char told = 0;
	int ready[2];

	assert_int_equal(pipe(ready), 0);
	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		told = segment_init(&s, probe, workers, ring_bytes, err, sizeof(err)) == 0;
		if (told)
			memset(segment_worker(&s, 0), 0x77, sizeof(struct ft_shm_worker));
		(void)!write(ready[1], &told, 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &told, 1), 1);
	close(ready[0]);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(told, 1);
	return pid;
}

/* A killed probe's segment is taken over under its name, whatever its size was. */
static void test_leftovers(void **state)
{
	char name[128];

	(void)state;
	(void)snprintf(name, sizeof(name), "/fluxtap.%s", probe);
	for (unsigned larger = 0; larger < 2; larger++) {
		struct segment s;
		(void)leave_behind(larger ? 8 : 1, larger ? 4 * RING : RING / 4);
		assert_true(exists(name));
		assert_int_equal(segment_init(&s, probe, 2, RING, err, sizeof(err)), 0);
		assert_string_equal(s.name, name);
		check_layout(&s, 2, RING);
		segment_fini(&s);
		assert_false(exists(name));
	}
}

/* More than the machine has: a sentence, an error number, and nothing left behind. */
static void test_too_large(void **state)
{
	struct segment s;
	struct statvfs v;
	char name[128];

	(void)state;
	if (statvfs("/dev/shm", &v) != 0 || v.f_blocks == 0)
		skip();
	size_t ring_bytes = 1 << 20;
	while (ring_bytes / v.f_frsize <= v.f_blocks)
		ring_bytes *= 2;
	err[0] = 0;
	assert_int_equal(segment_init(&s, probe, 1, ring_bytes, err, sizeof(err)), -ENOSPC);
	assert_non_null(strstr(err, "MiB"));
	assert_non_null(strstr(err, probe));
	(void)snprintf(name, sizeof(name), "/fluxtap.%s", probe);
	assert_false(exists(name));
	segment_fini(&s); /* of one that never was */
	assert_int_equal(segment_init(&s, probe, 1, RING, err, sizeof(err)), 0);
	segment_fini(&s);
}

/* A name that cannot be one of a file. */
static void test_bad_name(void **state)
{
	struct segment s;
	char longest[400];

	(void)state;
	err[0] = 0;
	assert_true(segment_init(&s, "a/b", 1, RING, err, sizeof(err)) < 0);
	assert_true(err[0] != 0);
	segment_fini(&s);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	const int result = segment_init(&s, longest, 1, RING, err, sizeof(err));
	assert_true(result <= 0); /* cut to what fits, or refused */
	if (result == 0)
		assert_int_equal(strlen(s.shm->probe), sizeof(s.shm->probe) - 1);
	segment_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sizes),        cmocka_unit_test(test_viewer),
	    cmocka_unit_test(test_second_probe), cmocka_unit_test(test_leftovers),
	    cmocka_unit_test(test_too_large),    cmocka_unit_test(test_bad_name),
	};

	(void)snprintf(probe, sizeof(probe), "test-%ld", (long)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
