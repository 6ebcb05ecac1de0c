/* SPDX-License-Identifier: BSD-3-Clause */
#include "diaries.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_OCTETS 512u /* a client's, until they are added up */
#define CHUNK_CAP 256u

struct diary_chunk {
	struct diary_chunk *next;
	uint32_t n;
	uint8_t octets[CHUNK_CAP];
};

void diary_sum_fini(struct diary_sum *s)
{
	for (uint32_t i = 0; i < s->pages; i++)
		free(s->page[i]);
	free(s->page);
	free(s->name);
	memset(s, 0, sizeof(*s));
}

void diary_sum_clear(struct diary_sum *s)
{
	for (uint32_t i = 0; i < s->pages; i++)
		if (s->page[i] != NULL)
			memset(s->page[i], 0, sizeof(*s->page[i]));
	if (s->names != 0)
		memset(s->name, 0, s->slots * sizeof(*s->name));
	s->names = 0;
	s->over = false;
	s->servers = 0;
	s->many = false;
}

static struct diary_page *page_of(struct diary_sum *s, uint32_t second)
{
	const uint32_t i = second / DIARY_PAGE_S;

	if (i >= s->pages) {
		struct diary_page **more = realloc(s->page, (i + 1) * sizeof(*more));
		if (more == NULL)
			return NULL;
		memset(more + s->pages, 0, (i + 1 - s->pages) * sizeof(*more));
		s->page = more;
		s->pages = i + 1;
	}
	if (s->page[i] == NULL)
		s->page[i] = calloc(1, sizeof(*s->page[i]));
	return s->page[i];
}

static struct diary_name *place_of(const struct diary_sum *s, uint64_t hash, uint8_t kind)
{
	uint32_t i = (uint32_t)(hash * 0x9e3779b97f4a7c15ull >> 32);

	for (;; i++) {
		struct diary_name *n = &s->name[i & (s->slots - 1)];
		if (n->kind == FT_NOTE_PLAIN || (n->kind == kind && n->hash == hash))
			return n;
	}
}

static int grow(struct diary_sum *s)
{
	const struct diary_sum old = *s;
	struct diary_name *more = calloc(old.slots != 0 ? 2 * old.slots : 32, sizeof(*more));

	if (more == NULL)
		return -ENOMEM;
	s->name = more;
	s->slots = old.slots != 0 ? 2 * old.slots : 32;
	for (uint32_t i = 0; i < old.slots; i++)
		if (old.name[i].kind != FT_NOTE_PLAIN)
			*place_of(s, old.name[i].hash, old.name[i].kind) = old.name[i];
	free(old.name);
	return 0;
}

static int add_name(struct diary_sum *s, const struct ft_note *x)
{
	if (2 * s->names >= s->slots && grow(s) != 0)
		return -ENOMEM;
	struct diary_name *n = place_of(s, x->hash, x->kind);
	if (n->kind != FT_NOTE_PLAIN) {
		if (x->second < n->second)
			n->second = x->second;
		return 0;
	}
	/* How many there are does not depend on the order in which they came. */
	s->over |= s->names == DIARY_NAMES_CAP;
	if (s->over)
		return 0;
	*n = (struct diary_name){.hash = x->hash, .second = x->second, .kind = x->kind};
	s->names++;
	return 0;
}

/* By rising id, so that the order in which diaries come does not show. */
static void add_server(struct diary_sum *s, const struct ft_diary_server *x)
{
	unsigned i = 0;

	while (i < s->servers && s->server[i].id < x->id)
		i++;
	if (i == s->servers || s->server[i].id != x->id) {
		if (s->servers == FT_DIARY_SERVERS) {
			s->many = true;
			return;
		}
		memmove(&s->server[i + 1], &s->server[i], (s->servers - i) * sizeof(*s->server));
		s->server[i] = (struct ft_diary_server){.id = x->id};
		s->servers++;
	}
	s->server[i].queries += x->queries;
	s->server[i].unanswered += x->unanswered;
}

int diary_sum_add(struct diary_sum *s, const uint8_t *octets, size_t bytes)
{
	struct ft_diary d;
	struct ft_note n;

	if (!ft_diary_read(ft_reader_init(octets, bytes), &d))
		return -EBADMSG;
	s->many |= d.many;
	for (unsigned i = 0; i < d.servers; i++)
		add_server(s, &d.server[i]);
	while (ft_diary_next(&d, &n)) {
		if (n.type != FT_NOTE_OTHER) {
			struct diary_page *p = page_of(s, n.second);
			if (p == NULL)
				return -ENOMEM;
			p->count[n.second % DIARY_PAGE_S][n.type]++;
		}
		if (n.kind != FT_NOTE_PLAIN && add_name(s, &n) != 0)
			return -ENOMEM;
	}
	return d.notes.bad ? -EBADMSG : 0;
}

void diary_pool_fini(struct diary_pool *p)
{
	while (p->sums != NULL) {
		struct diary_sum *s = p->sums;
		p->sums = s->next;
		diary_sum_fini(s);
		free(s);
	}
}

static int add_chunks(struct diary_sum *s, const struct diary_chunk *c)
{
	int result = 0;

	for (; c != NULL && result == 0; c = c->next)
		result = diary_sum_add(s, c->octets, c->n);
	return result;
}

/* From here on they are added up as they come. */
static int begin_sum(struct diary_acc *a, struct diary_pool *p)
{
	a->sum = calloc(1, sizeof(*a->sum));
	if (a->sum == NULL)
		return -ENOMEM;
	a->sum->next = p->sums;
	p->sums = a->sum;
	return add_chunks(a->sum, a->chunks);
}

int diary_acc_add(struct diary_acc *a, struct diary_pool *p, const uint8_t *octets, size_t bytes)
{
	struct diary_chunk c = {.next = a->chunks, .n = (uint32_t)bytes};

	if (bytes == 0)
		return 0;
	if (bytes > CHUNK_CAP)
		return -EBADMSG;
	a->made_up |= (octets[0] & FT_DIARY_MADE_UP) != 0;
	if (a->sum == NULL && a->octets + bytes > SHORT_OCTETS) {
		const int result = begin_sum(a, p);
		if (result != 0)
			return result;
	}
	if (a->sum != NULL)
		return diary_sum_add(a->sum, octets, bytes);
	a->octets += (uint32_t)bytes;
	memcpy(c.octets, octets, bytes);
	a->chunks = (struct diary_chunk *)(uintptr_t)keyed_merge_keep(
	    p->arena, &c, offsetof(struct diary_chunk, octets) + bytes);
	return a->chunks != NULL ? 0 : -ENOMEM;
}

const struct diary_sum *diary_acc_read(const struct diary_acc *a, struct diary_sum *scratch)
{
	if (a->sum != NULL)
		return a->sum;
	diary_sum_clear(scratch);
	/* What cannot be has been refused when it came, or is of no use. */
	return add_chunks(scratch, a->chunks) != -ENOMEM ? scratch : NULL;
}
