/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions that facts about an interface answer. */
#include "pin_drivers.h"

#include <string.h>

const char *const pin_flow_names[PIN_FLOWS] = {"udp4", "tcp4", "udp6", "tcp6"};

const struct pin_feature *pin_feature_find(const struct pin_nic *nic, const char *name)
{
	for (size_t i = 0; i < nic->features; i++)
		if (strcmp(nic->feature[i].name, name) == 0)
			return &nic->feature[i];
	return NULL;
}

uint32_t pin_queues(const struct pin_nic *nic)
{
	return nic->channels.rx + nic->channels.combined;
}

bool pin_table_equal(const struct pin_rss *rss, uint32_t queues)
{
	for (uint32_t i = 0; i < rss->table_len; i++)
		if (rss->table[i] != i % queues)
			return false;
	return true;
}

/* The key repeats after so many octets. */
static bool repeats(const struct pin_rss *rss, uint32_t octets)
{
	for (uint32_t i = octets; i < rss->key_len; i++)
		if (rss->key[i] != rss->key[i - octets])
			return false;
	return rss->key_len > octets;
}

/* Swapping the addresses moves them by 32 or 128 bits along the key, swapping the ports by
 * 16: a key that repeats after 32 bits is enough without ports, after 16 bits always (S. Woo,
 * K. Park, "Scalable TCP Session Monitoring with Symmetric Receive-side Scaling", 2012).
 * Where the device mixes source and destination first, such a key spoils it: of xor it makes
 * 0, of or-xor the bits that both addresses have. */
bool pin_symmetric(const struct pin_nic *nic, const char **why)
{
	const struct pin_rss *rss = &nic->rss;
	const struct pin_driver *driver = pin_driver_find(nic->driver);
	bool ports = false;

	for (int i = 0; i < PIN_FLOWS; i++)
		ports = ports || nic->flow[i] == PIN_FLOW_UNKNOWN ||
			(nic->flow[i] & PIN_HASH_PORTS) != 0;
	*why = "not symmetric";
	if (rss->function != PIN_TOEPLITZ) {
		*why = "not symmetric (not Toeplitz)";
		return false;
	}
	if (rss->xfrm != 0 || driver->symmetric) {
		*why = "symmetric by the device, but spoilt by a key that repeats";
		if (repeats(rss, 4))
			return false;
		*why = rss->xfrm == 1   ? "symmetric (the device's symmetric-xor)"
		       : rss->xfrm == 2 ? "symmetric (the device's symmetric-or-xor)"
					: "symmetric (the driver sees to it)";
		return true;
	}
	/* One octet over and over spreads nothing. */
	if ((repeats(rss, 2) || (!ports && repeats(rss, 4))) && !repeats(rss, 1)) {
		*why = "symmetric (by its key)";
		return true;
	}
	return false;
}
