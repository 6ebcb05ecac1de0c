/* SPDX-License-Identifier: BSD-3-Clause */
/* The door to this machine's drivers: SIOCETHTOOL.
 *
 * The ioctl, and not ethtool's netlink family: every kernel and driver answers it, for
 * reading without privileges, while netlink sets keys and tables only since 6.17. */
#include "pin.h"
#include "pin_netlink.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define XFRM_NO_CHANGE 0xffu /* RXH_XFRM_NO_CHANGE of 6.8 */
#define BLOCKS_CAP (PIN_FEATURE_CAP / 32)

static const uint32_t flow_types[PIN_FLOWS] = {UDP_V4_FLOW, TCP_V4_FLOW, UDP_V6_FLOW, TCP_V6_FLOW};

/* One request; the answer of the ioctl, or -errno. */
static int call(const char *ifname, void *command)
{
	struct ifreq ifr = {.ifr_data = command};
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	memcpy(ifr.ifr_name, ifname, strnlen(ifname, sizeof(ifr.ifr_name) - 1));
	int rc = ioctl(fd, SIOCETHTOOL, &ifr);
	rc = rc < 0 ? -errno : rc;
	(void)close(fd);
	return rc;
}

static void read_driver(const char *ifname, struct pin_nic *nic)
{
	struct ethtool_drvinfo d = {.cmd = ETHTOOL_GDRVINFO};

	if (call(ifname, &d) < 0)
		return;
	(void)snprintf(nic->driver, sizeof(nic->driver), "%.31s", d.driver);
	(void)snprintf(nic->version, sizeof(nic->version), "%.31s", d.version);
	(void)snprintf(nic->firmware, sizeof(nic->firmware), "%.31s", d.fw_version);
	(void)snprintf(nic->bus, sizeof(nic->bus), "%.31s", d.bus_info);
}

static void read_channels(const char *ifname, struct pin_nic *nic)
{
	struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};

	if (call(ifname, &c) < 0)
		return;
	nic->has |= PIN_HAS_CHANNELS;
	nic->channels.rx = c.rx_count;
	nic->channels.tx = c.tx_count;
	nic->channels.other = c.other_count;
	nic->channels.combined = c.combined_count;
	nic->channels.rx_max = c.max_rx;
	nic->channels.tx_max = c.max_tx;
	nic->channels.combined_max = c.max_combined;
}

static void read_rings(const char *ifname, struct pin_nic *nic)
{
	struct ethtool_ringparam r = {.cmd = ETHTOOL_GRINGPARAM};

	if (call(ifname, &r) < 0)
		return;
	nic->has |= PIN_HAS_RINGS;
	nic->rings.rx = r.rx_pending;
	nic->rings.tx = r.tx_pending;
	nic->rings.rx_max = r.rx_max_pending;
	nic->rings.tx_max = r.tx_max_pending;
}

static void read_coalesce(const char *ifname, struct pin_nic *nic)
{
	struct ethtool_coalesce c = {.cmd = ETHTOOL_GCOALESCE};

	if (call(ifname, &c) < 0)
		return;
	nic->has |= PIN_HAS_COALESCE;
	nic->coalesce.adaptive_rx = c.use_adaptive_rx_coalesce != 0;
	nic->coalesce.adaptive_tx = c.use_adaptive_tx_coalesce != 0;
	nic->coalesce.rx_usecs = c.rx_coalesce_usecs;
	nic->coalesce.rx_frames = c.rx_max_coalesced_frames;
	nic->coalesce.tx_usecs = c.tx_coalesce_usecs;
	nic->coalesce.tx_frames = c.tx_max_coalesced_frames;
}

static int read_rss(const char *ifname, struct pin_nic *nic)
{
	struct ethtool_rxfh sizes = {.cmd = ETHTOOL_GRSSH}, *r;

	if (call(ifname, &sizes) < 0 || sizes.indir_size > PIN_TABLE_CAP ||
	    sizes.key_size > PIN_KEY_CAP)
		return 0;
	const size_t table_bytes = sizes.indir_size * sizeof(uint32_t);
	r = calloc(1, sizeof(*r) + table_bytes + sizes.key_size);
	if (r == NULL)
		return -ENOMEM;
	*r = (struct ethtool_rxfh){
	    .cmd = ETHTOOL_GRSSH, .indir_size = sizes.indir_size, .key_size = sizes.key_size};
	if (call(ifname, r) >= 0 && r->indir_size == sizes.indir_size &&
	    r->key_size == sizes.key_size && sizes.indir_size > 0) {
		nic->has |= PIN_HAS_RSS;
		nic->rss.table_len = sizes.indir_size;
		nic->rss.key_len = sizes.key_size;
		nic->rss.function = r->hfunc;
		nic->rss.xfrm = r->rsvd8[0]; /* input_xfrm since 6.8 */
		memcpy(nic->rss.table, r->rss_config, table_bytes);
		memcpy(nic->rss.key, (const char *)r->rss_config + table_bytes, sizes.key_size);
	}
	free(r);
	return 0;
}

static void read_flows(const char *ifname, struct pin_nic *nic)
{
	struct ethtool_rxnfc rules = {.cmd = ETHTOOL_GRXCLSRLCNT};

	for (int i = 0; i < PIN_FLOWS; i++) {
		struct ethtool_rxnfc f = {.cmd = ETHTOOL_GRXFH, .flow_type = flow_types[i]};
		nic->flow[i] =
		    call(ifname, &f) < 0 || f.data == 0 ? PIN_FLOW_UNKNOWN : (uint32_t)f.data;
	}
	if (call(ifname, &rules) < 0)
		return;
	nic->has |= PIN_HAS_RULES;
	nic->rules = rules.rule_cnt;
}

/* How many features there are; 0 where that cannot be learnt. */
static unsigned count_features(const char *ifname)
{
	_Alignas(8) unsigned char buffer[sizeof(struct ethtool_sset_info) + 4] = {0};
	struct ethtool_sset_info *set = (void *)buffer;

	set->cmd = ETHTOOL_GSSET_INFO;
	set->sset_mask = 1ull << ETH_SS_FEATURES;
	if (call(ifname, set) < 0 || set->sset_mask == 0 || set->data[0] > PIN_FEATURE_CAP)
		return 0;
	return set->data[0];
}

static int read_features(const char *ifname, struct pin_nic *nic)
{
	const unsigned count = count_features(ifname);
	struct ethtool_gstrings *names =
	    calloc(1, sizeof(*names) + (size_t)PIN_FEATURE_CAP * ETH_GSTRING_LEN);
	struct ethtool_gfeatures *get =
	    calloc(1, sizeof(*get) + BLOCKS_CAP * sizeof(struct ethtool_get_features_block));
	const int rc = names == NULL || get == NULL ? -ENOMEM : 0;

	if (rc == 0 && count > 0) {
		*names = (struct ethtool_gstrings){
		    .cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES, .len = count};
		*get =
		    (struct ethtool_gfeatures){.cmd = ETHTOOL_GFEATURES, .size = (count + 31) / 32};
		if (call(ifname, names) >= 0 && call(ifname, get) >= 0)
			nic->features = count;
	}
	for (unsigned i = 0; i < nic->features; i++) {
		const struct ethtool_get_features_block *b = &get->features[i / 32];
		const uint32_t bit = 1u << i % 32;
		struct pin_feature *f = &nic->feature[i];

		(void)snprintf(f->name, sizeof(f->name), "%.31s",
			       (const char *)names->data + (size_t)i * ETH_GSTRING_LEN);
		f->changeable = (b->available & ~b->never_changed & bit) != 0;
		f->wanted = (b->requested & bit) != 0;
		f->active = (b->active & bit) != 0;
	}
	free(names);
	free(get);
	return rc;
}

static int machine_read(void *ctx, const char *ifname, struct pin_nic *nic)
{
	int rc;

	(void)ctx;
	memset(nic, 0, sizeof(*nic));
	read_driver(ifname, nic);
	read_channels(ifname, nic);
	read_rings(ifname, nic);
	read_coalesce(ifname, nic);
	read_flows(ifname, nic);
	rc = read_rss(ifname, nic);
	if (rc == 0)
		rc = read_features(ifname, nic);
	if (pin_netlink_xdp(if_nametoindex(ifname), &nic->xdp) == 0)
		nic->has |= PIN_HAS_XDP;
	return rc;
}

/* The setters read first what they do not set. */
static int write_channels(const char *ifname, const struct pin_nic *want)
{
	struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};
	int rc = call(ifname, &c);

	if (rc < 0)
		return rc;
	c.cmd = ETHTOOL_SCHANNELS;
	c.rx_count = want->channels.rx;
	c.tx_count = want->channels.tx;
	c.combined_count = want->channels.combined;
	return call(ifname, &c);
}

static int write_rings(const char *ifname, const struct pin_nic *want)
{
	struct ethtool_ringparam r = {.cmd = ETHTOOL_GRINGPARAM};
	int rc = call(ifname, &r);

	if (rc < 0)
		return rc;
	r.cmd = ETHTOOL_SRINGPARAM;
	r.rx_pending = want->rings.rx;
	r.tx_pending = want->rings.tx;
	return call(ifname, &r);
}

static int write_coalesce(const char *ifname, const struct pin_nic *want)
{
	struct ethtool_coalesce c = {.cmd = ETHTOOL_GCOALESCE};
	int rc = call(ifname, &c);

	if (rc < 0)
		return rc;
	c.cmd = ETHTOOL_SCOALESCE;
	c.use_adaptive_rx_coalesce = want->coalesce.adaptive_rx;
	c.use_adaptive_tx_coalesce = want->coalesce.adaptive_tx;
	c.rx_coalesce_usecs = want->coalesce.rx_usecs;
	c.rx_max_coalesced_frames = want->coalesce.rx_frames;
	c.tx_coalesce_usecs = want->coalesce.tx_usecs;
	c.tx_max_coalesced_frames = want->coalesce.tx_frames;
	return call(ifname, &c);
}

static int write_rss(const char *ifname, const struct pin_nic *want)
{
	const struct pin_rss *rss = &want->rss;
	const size_t table_bytes = rss->table_len * sizeof(uint32_t);
	struct ethtool_rxfh *r = calloc(1, sizeof(*r) + table_bytes + rss->key_len);

	if (r == NULL)
		return -ENOMEM;
	*r = (struct ethtool_rxfh){.cmd = ETHTOOL_SRSSH,
				   .indir_size = rss->table_len,
				   .key_size = rss->key_len,
				   .hfunc = rss->function};
	/* 0 would switch it off; kernels that do not know it want 0. */
	r->rsvd8[0] = rss->xfrm != 0 ? XFRM_NO_CHANGE : 0;
	memcpy(r->rss_config, rss->table, table_bytes);
	memcpy((char *)r->rss_config + table_bytes, rss->key, rss->key_len);
	const int rc = call(ifname, r);
	free(r);
	return rc;
}

static int write_feature(const char *ifname, const struct pin_nic *want, unsigned index)
{
	const uint32_t bit = 1u << index % 32;
	struct ethtool_sfeatures *set =
	    calloc(1, sizeof(*set) + BLOCKS_CAP * sizeof(struct ethtool_set_features_block));

	if (set == NULL)
		return -ENOMEM;
	*set = (struct ethtool_sfeatures){.cmd = ETHTOOL_SFEATURES,
					  .size = ((uint32_t)want->features + 31) / 32};
	set->features[index / 32].valid = bit;
	set->features[index / 32].requested = want->feature[index].wanted ? bit : 0;
	const int rc = call(ifname, set);
	free(set);
	return rc > 0 && (rc & ETHTOOL_F_UNSUPPORTED) != 0 ? -EOPNOTSUPP : rc < 0 ? rc : 0;
}

static int machine_write(void *ctx, const char *ifname, enum pin_part part, unsigned index,
			 const struct pin_nic *want)
{
	struct ethtool_rxnfc flow = {.cmd = ETHTOOL_SRXFH};

	(void)ctx;
	switch (part) {
	case PIN_CHANNELS: return write_channels(ifname, want);
	case PIN_RINGS: return write_rings(ifname, want);
	case PIN_COALESCE: return write_coalesce(ifname, want);
	case PIN_FEATURE: return write_feature(ifname, want, index);
	case PIN_RSS: return write_rss(ifname, want);
	case PIN_FLOW: break;
	case PIN_FILE:
	case PIN_IRQ: return -EINVAL;
	}
	flow.flow_type = flow_types[index];
	flow.data = want->flow[index];
	const int rc = call(ifname, &flow);
	return rc < 0 ? rc : 0;
}

static int machine_default(void *ctx, const char *ifname)
{
	const unsigned ifindex = if_nametoindex(ifname);

	(void)ctx;
	return ifindex == 0 ? -ENODEV : pin_netlink_default(ifindex);
}

const struct pin_door pin_door_machine = {
    .root = "",
    .nic_read = machine_read,
    .nic_write = machine_write,
    .carries_default = machine_default,
};
