/* SPDX-License-Identifier: BSD-3-Clause */
#include "segment.h"

#include "../dataplane/ring.h"
#include "../dataplane/rx.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opens and locks a segment; the lock says that its probe lives. */
static int open_locked(const char *name)
{
	const int fd = shm_open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		const int why = errno;
		close(fd);
		return -why;
	}
	return fd;
}

static int open_any(struct segment *s, const char *probe)
{
	(void)snprintf(s->name, sizeof(s->name), "/fluxtap.%s", probe);
	int fd = open_locked(s->name);
	if (fd == -EWOULDBLOCK || fd == -EACCES) {
		(void)snprintf(s->name, sizeof(s->name), "/fluxtap.%s.%ld", probe, (long)getpid());
		fd = open_locked(s->name);
	}
	return fd;
}

/* Removes what second probes of this name left when they were killed: nobody
 * would take their place. Those that live hold their lock. */
static void collect_dead(const char *probe)
{
	char prefix[128];
	DIR *d = opendir("/dev/shm");
	const struct dirent *e;

	if (d == NULL)
		return;
	const int n = snprintf(prefix, sizeof(prefix), "fluxtap.%s.", probe);
	while ((e = readdir(d)) != NULL) {
		char name[sizeof(e->d_name) + 1];
		if (strncmp(e->d_name, prefix, (size_t)n) != 0 ||
		    strspn(e->d_name + n, "0123456789") != strlen(e->d_name + n))
			continue;
		(void)snprintf(name, sizeof(name), "/%s", e->d_name);
		const int fd = shm_open(name, O_RDWR | O_CLOEXEC, 0);
		if (fd < 0)
			continue;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			shm_unlink(name);
		close(fd);
	}
	closedir(d);
}

/* Whether `n` pieces, `stride` octets apart and each of `bytes`, lie within the segment. */
static bool lies_within(const struct ft_shm *h, size_t size, uint64_t off, uint64_t stride,
			size_t bytes)
{
	return off % 64 == 0 && stride % 64 == 0 && stride >= bytes && stride <= size &&
	       off <= size && h->workers <= (size - off) / stride;
}

static bool copy_left(const struct ft_shm *h, size_t size, struct segment_left *left)
{
	const char *base = (const char *)h;

	if (size < sizeof(*h) || h->magic != FT_SHM_MAGIC || h->version != FT_SHM_VERSION ||
	    h->workers == 0 || h->workers > FT_WORKER_CAP ||
	    !lies_within(h, size, h->worker_off, h->worker_stride, sizeof(struct ft_shm_worker)) ||
	    !lies_within(h, size, h->ring_off, h->ring_stride, sizeof(struct ft_ring)))
		return false;
	left->pid = h->pid;
	left->started_us = h->started_us;
	left->exported_s = atomic_load_explicit(&h->exported_s, memory_order_relaxed);
	left->live = h->live != 0;
	left->workers = h->workers;
	for (unsigned i = 0; i < left->workers; i++) {
		const struct ft_shm_worker *w =
		    (const struct ft_shm_worker *)(base + h->worker_off + i * h->worker_stride);
		const struct ft_ring *r =
		    (const struct ft_ring *)(base + h->ring_off + i * h->ring_stride);
		struct segment_left_worker *to = &left->worker[i];
		for (unsigned c = 0; c < FT_CTR_CAP; c++) {
			to->total[c] = atomic_load_explicit(&w->total[c], memory_order_relaxed);
			to->exported[c] =
			    atomic_load_explicit(&w->exported[c], memory_order_relaxed);
		}
		to->clock_us = atomic_load_explicit(&w->clock_us, memory_order_relaxed);
		to->ring_bytes = atomic_load_explicit(&r->head, memory_order_relaxed) -
				 atomic_load_explicit(&r->tail, memory_order_relaxed);
		if (to->ring_bytes > size)
			to->ring_bytes = 0; /* no ring's positions */
	}
	return left->started_us < UINT64_MAX / 2 && left->exported_s < UINT32_MAX;
}

bool segment_read_left(const char *probe, struct segment_left *left)
{
	char name[128];
	struct stat st;
	bool whole = false;

	(void)snprintf(name, sizeof(name), "/fluxtap.%s", probe);
	const int fd = shm_open(name, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	/* Without its lock: its probe lives. */
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_size > 0) {
		void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
		whole = p != MAP_FAILED && copy_left(p, (size_t)st.st_size, left);
		if (p != MAP_FAILED)
			munmap(p, (size_t)st.st_size);
	}
	close(fd);
	return whole;
}

static size_t pages(size_t n)
{
	return (n + 4095) & ~(size_t)4095;
}

static void lay_out(struct segment *s, const char *probe, unsigned workers, size_t ring_bytes)
{
	struct ft_shm *h = s->shm;

	h->version = FT_SHM_VERSION;
	h->workers = workers;
	h->bytes = s->bytes;
	h->pid = (uint64_t)getpid();
	h->started_us = rx_now_us();
	h->worker_off = pages(sizeof(*h));
	h->worker_stride = pages(sizeof(struct ft_shm_worker));
	h->ring_off = h->worker_off + workers * h->worker_stride;
	h->ring_stride = pages(sizeof(struct ft_ring) + ring_bytes);
	(void)snprintf(h->probe, sizeof(h->probe), "%s", probe);
	for (unsigned i = 0; i < workers; i++)
		ring_init(segment_ring(s, i), ring_bytes);
	h->magic = FT_SHM_MAGIC; /* last: a viewer that sees it may read the rest */
}

int segment_init(struct segment *s, const char *probe, unsigned workers, size_t ring_bytes,
		 char *err, size_t cap)
{
	int r;

	memset(s, 0, sizeof(*s));
	s->bytes =
	    pages(sizeof(struct ft_shm)) + workers * (pages(sizeof(struct ft_shm_worker)) +
						      pages(sizeof(struct ft_ring) + ring_bytes));
	collect_dead(probe);
	s->fd = open_any(s, probe);
	if (s->fd < 0) {
		(void)snprintf(err, cap, "/dev/shm%s: %s", s->name, strerror(-s->fd));
		return s->fd;
	}
	if (ftruncate(s->fd, 0) != 0 || ftruncate(s->fd, (off_t)s->bytes) != 0)
		goto undo_open;
	/* Take the pages now: a full /dev/shm shall be an error and not a SIGBUS. */
	r = posix_fallocate(s->fd, 0, (off_t)s->bytes);
	if (r != 0) {
		errno = r;
		goto undo_open;
	}
	s->shm = mmap(NULL, s->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
	if (s->shm == MAP_FAILED)
		goto undo_open;
	lay_out(s, probe, workers, ring_bytes);
	return 0;
undo_open:
	r = errno;
	(void)snprintf(err, cap, "/dev/shm%s: cannot take %zu MiB of shared memory: %s", s->name,
		       s->bytes >> 20, strerror(r));
	shm_unlink(s->name);
	close(s->fd);
	s->shm = NULL;
	return -r;
}

void segment_fini(struct segment *s)
{
	if (s->shm == NULL)
		return;
	munmap(s->shm, s->bytes);
	shm_unlink(s->name);
	close(s->fd);
	s->shm = NULL;
}

struct ft_shm_worker *segment_worker(const struct segment *s, unsigned i)
{
	return (struct ft_shm_worker *)((char *)s->shm + s->shm->worker_off +
					i * s->shm->worker_stride);
}

struct ft_ring *segment_ring(const struct segment *s, unsigned i)
{
	return (struct ft_ring *)((char *)s->shm + s->shm->ring_off + i * s->shm->ring_stride);
}
