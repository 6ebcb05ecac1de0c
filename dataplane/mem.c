/* SPDX-License-Identifier: BSD-3-Clause */
#include "mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#define HUGE_BYTES ((size_t)2 << 20)

static atomic_size_t mapped[MEM_KIND_CAP];
static atomic_bool forbid_huge;

static size_t round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

void mem_forbid_huge(void)
{
	atomic_store(&forbid_huge, true);
}

size_t mem_mapped(enum mem_kind kind)
{
	return atomic_load(&mapped[kind]);
}

/* Ordinary pages that the kernel may join: they must lie as huge ones would, which
 * kernels before 6.7 do not see to. */
static void *map_ordinary(size_t whole, bool joined)
{
	const size_t slack = joined ? HUGE_BYTES : 0;
	uint8_t *p =
	    mmap(NULL, whole + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || !joined)
		return p == MAP_FAILED ? NULL : p;

	const size_t head = round_up((uintptr_t)p, HUGE_BYTES) - (uintptr_t)p;

	if (head != 0)
		(void)munmap(p, head);
	if (slack != head)
		(void)munmap(p + head + whole, slack - head);
	(void)madvise(p + head, whole, MADV_HUGEPAGE);
	return p + head;
}

void *mem_map(size_t bytes)
{
	const int prot = PROT_READ | PROT_WRITE;
	/* One size for both kinds, so that mem_unmap need not know which it was. */
	const size_t whole = round_up(bytes, bytes >= HUGE_BYTES ? HUGE_BYTES : 4096);

	if (bytes >= HUGE_BYTES && !atomic_load(&forbid_huge)) {
		void *p = mmap(NULL, whole, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
		if (p != MAP_FAILED) {
			atomic_fetch_add(&mapped[MEM_HUGE], whole);
			return p;
		}
	}
	void *p = map_ordinary(whole, bytes >= HUGE_BYTES && !atomic_load(&forbid_huge));
	if (p != NULL)
		atomic_fetch_add(&mapped[MEM_ORDINARY], whole);
	return p;
}

void mem_unmap(void *p, size_t bytes)
{
	if (p == NULL)
		return;
	(void)munmap(p, round_up(bytes, bytes >= HUGE_BYTES ? HUGE_BYTES : 4096));
}
