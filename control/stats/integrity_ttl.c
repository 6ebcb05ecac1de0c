/* SPDX-License-Identifier: BSD-3-Clause */
/* What changes beside the rdata: TTLs and signatures. */
#include "integrity_parts.h"

#include <fluxtap/rec_integrity.h>

#include <errno.h>

#define TTL_NOTES 8u /* without a flag, of a day */
#define TTL_LOW_S 300u
#define TTL_HIGH_S 604800u
#define AD_SLOT_US (300ull * SECOND_US)
#define AD_LEAST 10u

uint32_t integrity_ttl_flags(const struct integrity_machine *m, uint32_t ttl)
{
	const uint64_t old = m->base_ttl;
	uint32_t flags = 0;

	if (m->has_ttl && ttl == old)
		return 0;
	if (ttl == 0)
		flags |= integrity_bit(INTEGRITY_TTL_ZERO);
	if (!m->has_ttl) /* the baseline was never seen */
		return flags | (ttl > TTL_HIGH_S ? integrity_bit(INTEGRITY_TTL_RAISE) : 0);
	if (4ull * ttl <= old && ttl <= TTL_LOW_S)
		flags |= integrity_bit(INTEGRITY_TTL_DROP);
	if ((old != 0 && ttl >= 4 * old) || (ttl > TTL_HIGH_S && old <= TTL_HIGH_S))
		flags |= integrity_bit(INTEGRITY_TTL_RAISE);
	return flags;
}

/* --- TTLs --- */

static int tell_ttl(struct integrity_machine *m, const struct integrity_event *x)
{
	const bool back = x->ttl == m->base_ttl && !m->changed;
	const uint32_t flags = integrity_ttl_flags(m, x->ttl);
	const uint64_t day = x->t_us / DAY_US;
	const struct rdset *set = m->changed ? &m->shown : &m->base;

	if (m->ttl_day != day)
		m->ttl_told = 0;
	m->ttl_day = day;
	m->flags |= m->changed ? flags : 0;
	if (m->ttl_told++ >= TTL_NOTES && flags == 0)
		return 0;
	struct integrity_note *n =
	    integrity_note_add(m, back ? INTEGRITY_REVERTED : INTEGRITY_CHANGED, set, set);
	if (n == NULL)
		return -ENOMEM;
	n->ttl_new = x->ttl;
	n->flags = flags;
	n->clients = m->ttl_by.clients.n;
	n->servers = m->ttl_by.servers.n;
	n->vantage = x->vantage;
	n->onset_lo_us = back ? m->ttl_on_lo_us : m->ttl_lo_us;
	n->onset_hi_us = back ? m->ttl_on_hi_us : m->ttl_first_us;
	n->revert_lo_us = back ? m->ttl_lo_us : 0;
	n->revert_hi_us = back ? m->ttl_first_us : 0;
	return 0;
}

int integrity_see_ttl(struct integrity_machine *m, const struct integrity_event *x)
{
	if (x->set->bytes == 0 || (m->changed && !m->has_ttl))
		return 0;
	if (!m->has_ttl) {
		m->has_ttl = true;
		m->ttl = m->base_ttl = x->ttl;
	}
	if (x->ttl == m->ttl) {
		m->ttl_last_us = x->t_us;
		group_fini(&m->ttl_by);
		return 0;
	}
	if (!m->known) { /* learning: the greatest is the one of the zone */
		m->base_ttl = x->ttl > m->base_ttl ? x->ttl : m->base_ttl;
		m->ttl = x->ttl;
		return 0;
	}
	if (m->ttl_by.seen == 0 || m->ttl_next != x->ttl) {
		group_fini(&m->ttl_by);
		m->ttl_next = x->ttl;
		m->ttl_lo_us = m->ttl_last_us;
		m->ttl_first_us = x->t_us;
	}
	if (group_add(&m->ttl_by, x) != 0)
		return -ENOMEM;
	if (!group_confirms(&m->ttl_by, 1, x->own))
		return 0;
	const int result = tell_ttl(m, x);
	if (m->ttl == m->base_ttl) {
		m->ttl_on_lo_us = m->ttl_lo_us;
		m->ttl_on_hi_us = m->ttl_first_us;
	}
	m->ttl = x->ttl;
	m->ttl_last_us = x->t_us;
	group_fini(&m->ttl_by);
	return result;
}

/* --- DNSSEC --- */

static int tell_flag(struct integrity_machine *m, const struct integrity_event *x,
		     enum integrity_flag flag, uint64_t lo_us, uint64_t hi_us)
{
	const struct rdset *set = m->changed ? &m->shown : &m->base;
	struct integrity_note *n = integrity_note_add(m, INTEGRITY_CHANGED, set, set);

	if (n == NULL)
		return -ENOMEM;
	n->flags = integrity_bit(flag);
	n->onset_lo_us = lo_us;
	n->onset_hi_us = hi_us;
	n->vantage = x->vantage;
	n->clients = n->servers = 1;
	if (flag != INTEGRITY_UNSIGNED_WHILE_DS)
		return 0;
	n->clients = m->unsigned_by.clients.n;
	n->servers = m->unsigned_by.servers.n;
	return 0;
}

int integrity_see_signatures(struct integrity_machine *m, const struct integrity_event *x)
{
	const bool has = (x->facts & FT_INTEGRITY_RRSIG) != 0;
	int result = 0;

	if (!has && (x->facts & FT_INTEGRITY_DO) == 0)
		return 0;
	m->rrsig = has;
	if (!has) {
		if (m->ds != 1 || m->unsigned_told)
			return 0;
		if (m->unsigned_by.seen == 0)
			m->unsigned_first_us = x->t_us;
		result = group_add(&m->unsigned_by, x);
		if (result != 0 || !group_confirms(&m->unsigned_by, 1, x->own))
			return result;
		m->unsigned_told = true;
		return tell_flag(m, x, INTEGRITY_UNSIGNED_WHILE_DS, 0, m->unsigned_first_us);
	}
	m->unsigned_told = false;
	group_fini(&m->unsigned_by);
	/* RFC 4034 3.1.5: serial number arithmetic. */
	const int64_t left = (int32_t)(x->rrsig_s - (uint32_t)(x->t_us / SECOND_US));
	if (left < 86400 && !m->expiry_told)
		result = tell_flag(m, x, INTEGRITY_RRSIG_EXPIRY, 0, x->t_us);
	m->expiry_told = left < 86400;
	return result;
}

int integrity_see_ad(struct integrity_machine *m, const struct integrity_event *x)
{
	const uint64_t slot = x->t_us / AD_SLOT_US;
	const bool ad = (x->facts & FT_INTEGRITY_AD) != 0;

	if ((x->facts & FT_INTEGRITY_DO) == 0)
		return 0;
	m->ad = ad;
	if (slot != m->ad_slot) {
		if (m->ad_n >= AD_LEAST)
			m->ad_was_high = m->ad_yes * 10 > m->ad_n * 9;
		m->ad_slot = slot;
		m->ad_n = m->ad_yes = 0;
	}
	m->ad_n += x->count;
	m->ad_yes += ad ? x->count : 0;
	if (m->ad_yes * 10 > m->ad_n * 9)
		m->ad_told = false;
	if (!m->ad_was_high || m->ad_told || m->ad_n < AD_LEAST || m->ad_yes * 10 >= m->ad_n)
		return 0;
	m->ad_told = true;
	return tell_flag(m, x, INTEGRITY_AD_LOST, slot * AD_SLOT_US, x->t_us);
}
