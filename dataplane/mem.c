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
	void *p = mmap(NULL, whole, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (bytes >= HUGE_BYTES && !atomic_load(&forbid_huge))
		(void)madvise(p, whole, MADV_HUGEPAGE);
	atomic_fetch_add(&mapped[MEM_ORDINARY], whole);
	return p;
}

void mem_unmap(void *p, size_t bytes)
{
	if (p == NULL)
		return;
	(void)munmap(p, round_up(bytes, bytes >= HUGE_BYTES ? HUGE_BYTES : 4096));
}
