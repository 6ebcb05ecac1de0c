/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of a worker, taken once at start and never after.
 *
 * Tries huge pages, falls back to ordinary ones (asking for transparent huge
 * pages) and remembers which it was, for the note at start. Control's thread. */
#ifndef DATAPLANE_MEM_H
#define DATAPLANE_MEM_H

#include <stddef.h>

enum mem_kind { MEM_HUGE, MEM_ORDINARY, MEM_KIND_CAP };

/* Maps `bytes` zeroed octets, aligned to at least a page; NULL + errno. */
void *mem_map(size_t bytes);
/* Accepts NULL. `bytes` as given to mem_map. */
void mem_unmap(void *p, size_t bytes);
/* Never ask for huge pages from now on (--no-huge). */
void mem_forbid_huge(void);
/* Octets mapped so far on pages of this kind, by the whole process. */
size_t mem_mapped(enum mem_kind kind);

#endif
