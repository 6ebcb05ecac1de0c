/* SPDX-License-Identifier: BSD-3-Clause */
/* The plan's part on the hash that spreads packets over queues. */
#include "pin_plan_make.h"

#include <stdio.h>
#include <string.h>

#define ITSELF "; fluxtap spreads packets itself (no rss in --xdp)"

/* The key of Microsoft's specification of RSS: one that does not repeat, for devices that
 * make the hash symmetric before the key is used. */
static const uint8_t plain_key[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
				      0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
				      0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
				      0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

static const char *over(uint32_t bits)
{
	switch (bits) {
	case PIN_HASH_ADDRESSES: return "addresses";
	case PIN_HASH_ADDRESSES | PIN_HASH_PORTS: return "addresses and ports";
	default: return "other fields";
	}
}

/* What the hash is over afterwards stands in *after. True where that is addresses alone. */
static bool plan_flows(struct pin_making *m, struct pin_nic *after)
{
	bool all = true, refused = false;

	for (unsigned i = 0; i < PIN_FLOWS; i++) {
		const uint32_t now = after->flow[i];
		const bool tcp = i == PIN_TCP4 || i == PIN_TCP6;

		if (now == PIN_HASH_ADDRESSES)
			continue;
		if (now == PIN_FLOW_UNKNOWN || (tcp && m->driver->ports_fixed)) {
			all = false;
			refused = refused || now != PIN_FLOW_UNKNOWN;
			continue;
		}
		struct pin_change *c =
		    pin_plan_add(m, PIN_FLOW,
				 "both directions of a flow and all its fragments, which have no "
				 "ports, meet on one worker");
		c->index = i;
		c->value = after->flow[i] = PIN_HASH_ADDRESSES;
		c->tentative = m->driver->name == NULL;
		(void)snprintf(c->what, sizeof(c->what), "hash of %s: %s -> addresses",
			       pin_flow_names[i], over(now));
		(void)snprintf(c->command, sizeof(c->command), "ethtool -N %s rx-flow-hash %s sd",
			       m->f->ifname, pin_flow_names[i]);
	}
	if (refused)
		pin_plan_note(m, false,
			      "%s cannot leave the ports out of TCP's hash: a truncated "
			      "answer and its query over TCP may reach two workers" ITSELF,
			      after->driver);
	else if (!all)
		pin_plan_note(m, false, "%s does not say what its hash is over" ITSELF,
			      after->driver);
	return all;
}

/* The key that makes *after symmetric stands in the plan; false: none is needed or helps. */
static bool plan_key(struct pin_making *m, struct pin_nic *after)
{
	struct pin_rss *rss = &after->rss;
	const char *why;

	rss->function = PIN_TOEPLITZ;
	if (pin_symmetric(after, &why))
		return false;
	if (rss->key_len < 4) {
		pin_plan_note(m, false,
			      "%s lets nobody set the key of its hash, which is %s" ITSELF,
			      after->driver, why);
		return false;
	}
	for (uint32_t i = 0; i < rss->key_len; i++) {
		rss->key[i] = i % 2 == 0 ? 0x6d : 0x5a;
		if (rss->xfrm != 0 || m->driver->symmetric)
			rss->key[i] = plain_key[i % sizeof(plain_key)];
	}
	memcpy(m->plan->key, rss->key, sizeof(m->plan->key));
	return true;
}

static void add_rss(struct pin_making *m, bool key, bool function, bool table)
{
	const struct pin_rss *rss = &m->f->nic.rss;
	const uint32_t queues = m->plan->queues;
	struct pin_change *c = pin_plan_add(
	    m, PIN_RSS,
	    !table ? "query and answer have swapped addresses and must get the same hash"
	    : key  ? "query and answer have swapped addresses and must get the same hash; all "
		     "queues get as much"
		   : "all queues get as much");
	size_t len;

	c->on = key;
	c->value = table ? queues : 0;
	c->tentative = m->driver->name == NULL;
	(void)snprintf(c->what, sizeof(c->what), "RSS:%s%s%s", function ? " function toeplitz" : "",
		       key ? function ? ", symmetric key" : " symmetric key" : "",
		       table ? key || function ? ", table" : " table" : "");
	len = strlen(c->what);
	if (table)
		(void)snprintf(c->what + len, sizeof(c->what) - len, " over %u queues", queues);
	len = (size_t)snprintf(c->command, sizeof(c->command), "ethtool -X %s%s%s", m->f->ifname,
			       function ? " hfunc toeplitz" : "", key ? " hkey " : "");
	for (uint32_t i = 0; key && i < rss->key_len && len + 4 < sizeof(c->command); i++)
		len += (size_t)snprintf(c->command + len, sizeof(c->command) - len, "%s%02x",
					i > 0 ? ":" : "", m->plan->key[i]);
	if (table && len < sizeof(c->command))
		(void)snprintf(c->command + len, sizeof(c->command) - len, " equal %u", queues);
}

void pin_plan_rss(struct pin_making *m)
{
	const struct pin_nic *nic = &m->f->nic;
	struct pin_nic after = *nic;
	const char *why;

	if (m->plan->cores.n < 2 || m->plan->queues < 2)
		return; /* one worker gets it all */
	if ((nic->has & PIN_HAS_RSS) == 0) {
		pin_plan_note(m, false, "%s has no RSS that could be set" ITSELF, nic->driver);
		return;
	}
	const bool addresses = plan_flows(m, &after);
	const bool function = nic->rss.function != PIN_TOEPLITZ;
	const bool key = plan_key(m, &after);
	const bool table = !pin_table_equal(&nic->rss, m->plan->queues);

	if (key || function || table)
		add_rss(m, key, function, table);
	m->plan->rss =
	    addresses && pin_symmetric(&after, &why) && m->plan->queues >= m->plan->cores.n;
}
