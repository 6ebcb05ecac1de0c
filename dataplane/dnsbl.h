/* SPDX-License-Identifier: BSD-3-Clause */
/* What a query to a DNS block list asks about: an address, a domain or a hash in
 * front of the list's zone (RFC 5782; DOMAIN section 5). Pure, any thread. */
#ifndef DATAPLANE_DNSBL_H
#define DATAPLANE_DNSBL_H

#include "psl.h"
#include "ruleset.h"

/* Whether folded[0..zone_off), the labels in front of the zone, has a known form:
 * IPv4 (4 decimal labels, reversed), IPv6 (32 nibbles, reversed), a hash (one label
 * of 32 or 40 hexadecimal digits, or of 32 digits in base32 as RFC 4648 or z-base-32
 * have it), or a domain of at least two labels whose last one is known to the
 * public-suffix list. In front of zones below dq.spamhaus.net a customer's key may stand
 * behind it. folded is a whole name. */
bool dnsbl_has_form(const struct psl *psl, const uint8_t *folded, uint32_t zone_off);

/* The same, and fills *out. */
bool dnsbl_read(const struct psl *psl, const uint8_t *folded, uint32_t zone_off,
		struct dnsbl_subject *out);

#endif
