/* SPDX-License-Identifier: BSD-3-Clause */
#include "reverse.h"

#include "vantage.h"

#include <fluxtap/rec_reverse.h>

static const uint8_t zone[] = "\7in-addr\4arpa"; /* with the root's label */

bool reverse_ipv4(const uint8_t *name, uint32_t len, uint8_t ipv4[4])
{
	uint32_t at = 0;

	for (unsigned i = 4; i-- > 0;) {
		const uint32_t digits = at < len ? name[at] : 0;
		uint32_t value = 0;

		if (digits < 1 || digits > 3 || at + 1 + digits > len)
			return false;
		for (uint32_t k = 1; k <= digits; k++) {
			if (name[at + k] < '0' || name[at + k] > '9')
				return false;
			value = value * 10 + (name[at + k] - '0');
		}
		if (value > 255)
			return false;
		ipv4[i] = (uint8_t)value;
		at += 1 + digits;
	}
	return len - at == sizeof(zone) && memcmp(name + at, zone, sizeof(zone)) == 0;
}

static __attribute__((noinline)) void emit(struct tally *tally, const struct txn *x)
{
	struct ft_reverse_rec r = {.vantage = (uint8_t)vantage_of_txn(x)};

	if (!reverse_ipv4(x->name, x->name_len, r.ipv4))
		return;
	const uint64_t row = clock_row(tally->clock, x->q.t_us);
	memcpy(r.client, x->client, sizeof(r.client));
	r.t_us = x->q.t_us - row * tally->clock->interval_us;
	uint8_t *out = tally_entry_begin(tally, FT_REC_REVERSE, row, FT_REVERSE_ENTRY_CAP);
	tally_entry_end(tally, ft_reverse_write(&r, out));
}

STAGE void reverse_step(struct tally *tally, const struct txn *txn, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (txn[i].q.qtype == FT_QTYPE_PTR && txn[i].has_query && txn[i].q.has_name)
			emit(tally, &txn[i]);
}
