/* SPDX-License-Identifier: BSD-3-Clause */
/* What pin asks of SIOCETHTOOL, of a kernel in this file: ioctl is answered here by the rules of
 * <linux/ethtool.h> and of the kernel's net/ethtool/ioctl.c, so that what few NICs have
 * (keys, tables, rings) is met by each test. Whatever was not to be set must not change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pin/pin.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define FEATURES 70u
#define TABLE 128u
#define KEY 40u
#define NAME "a-name-as-long-" /* as names may be */

static struct kernel {
	struct ethtool_channels channels;
	struct ethtool_ringparam rings;
	struct ethtool_coalesce coalesce;
	struct ethtool_get_features_block features[3];
	uint32_t table[TABLE];
	uint8_t key[KEY], function, xfrm;
	bool old; /* before 6.8: what became input_xfrm must be 0 */
	bool default_table;
	uint64_t flow[64];
	unsigned calls;
} kernel;

static int get_rxfh(struct ethtool_rxfh *r)
{
	const uint32_t indir = r->indir_size, key = r->key_size;

	if (kernel.old && (r->rsvd8[0] | r->rsvd8[1] | r->rsvd8[2] | (uint8_t)r->rsvd32) != 0)
		return EINVAL;
	if ((indir != 0 && indir != TABLE) || (key != 0 && key != KEY))
		return EINVAL;
	r->indir_size = TABLE;
	r->key_size = KEY;
	r->hfunc = kernel.function;
	r->rsvd8[0] = kernel.old ? 0 : kernel.xfrm;
	if (indir != 0)
		memcpy(r->rss_config, kernel.table, sizeof(kernel.table));
	if (key != 0)
		memcpy((char *)r->rss_config + indir * sizeof(uint32_t), kernel.key, KEY);
	return 0;
}

static int set_rxfh(const struct ethtool_rxfh *r)
{
	const bool no_table = r->indir_size == ETH_RXFH_INDIR_NO_CHANGE;
	const uint8_t xfrm = r->rsvd8[0];

	if (kernel.old && (r->rsvd8[0] | r->rsvd8[1] | r->rsvd8[2]) != 0)
		return EINVAL;
	if ((r->indir_size != 0 && !no_table && r->indir_size != TABLE) ||
	    (r->key_size != 0 && r->key_size != KEY) ||
	    (no_table && r->key_size == 0 && r->hfunc == 0))
		return EINVAL;
	for (uint32_t i = 0; r->indir_size == TABLE && i < TABLE; i++)
		if (r->rss_config[i] >= kernel.channels.combined_count)
			return EINVAL;
	if (!no_table) {
		kernel.default_table = r->indir_size == 0;
		for (uint32_t i = 0; i < TABLE; i++)
			kernel.table[i] = kernel.default_table ? i % kernel.channels.combined_count
							       : r->rss_config[i];
	}
	if (r->key_size != 0)
		memcpy(kernel.key, (const char *)r->rss_config + (no_table ? 0 : r->indir_size * 4),
		       KEY);
	if (r->hfunc != 0)
		kernel.function = r->hfunc;
	if (!kernel.old && xfrm != 0xff)
		kernel.xfrm = xfrm;
	return 0;
}

static int set_features(const struct ethtool_sfeatures *s)
{
	if (s->size != (FEATURES + 31) / 32)
		return -EINVAL;
	for (uint32_t i = 0; i < s->size; i++) {
		struct ethtool_get_features_block *b = &kernel.features[i];
		const uint32_t valid = s->features[i].valid;
		if ((valid & ~b->available) != 0)
			return ETHTOOL_F_UNSUPPORTED;
		b->requested = (b->requested & ~valid) | (valid & s->features[i].requested);
		b->active = (b->active & ~valid) | (valid & s->features[i].requested);
	}
	return 0;
}

static void get_strings(struct ethtool_gstrings *s)
{
	assert_int_equal(s->string_set, ETH_SS_FEATURES);
	assert_int_equal(s->len, FEATURES);
	for (unsigned i = 0; i < FEATURES; i++)
		(void)snprintf((char *)s->data + (size_t)i * ETH_GSTRING_LEN, ETH_GSTRING_LEN,
			       "feature-%u", i);
}

static void copy(void *out, const void *in, size_t len)
{
	const uint32_t cmd = *(const uint32_t *)out;

	memcpy(out, in, len);
	memcpy(out, &cmd, sizeof(cmd));
}

/* 0 or more, or -errno. */
static int answer(void *data)
{
	struct ethtool_sset_info *set = data;
	struct ethtool_drvinfo *driver = data;
	struct ethtool_rxnfc *nfc = data;
	const uint32_t cmd = *(const uint32_t *)data;

	switch (cmd) {
	case ETHTOOL_GDRVINFO:
		memset(driver->driver, 'd', sizeof(driver->driver)); /* without an end */
		(void)snprintf(driver->bus_info, sizeof(driver->bus_info), "0000:01:00.0");
		return 0;
	case ETHTOOL_GCHANNELS: copy(data, &kernel.channels, sizeof(kernel.channels)); return 0;
	case ETHTOOL_SCHANNELS: memcpy(&kernel.channels, data, sizeof(kernel.channels)); return 0;
	case ETHTOOL_GRINGPARAM: copy(data, &kernel.rings, sizeof(kernel.rings)); return 0;
	case ETHTOOL_SRINGPARAM: memcpy(&kernel.rings, data, sizeof(kernel.rings)); return 0;
	case ETHTOOL_GCOALESCE: copy(data, &kernel.coalesce, sizeof(kernel.coalesce)); return 0;
	case ETHTOOL_SCOALESCE: memcpy(&kernel.coalesce, data, sizeof(kernel.coalesce)); return 0;
	case ETHTOOL_GRSSH: return -get_rxfh(data);
	case ETHTOOL_SRSSH: return -set_rxfh(data);
	case ETHTOOL_GRXFH: nfc->data = kernel.flow[nfc->flow_type]; return 0;
	case ETHTOOL_SRXFH: kernel.flow[nfc->flow_type] = nfc->data; return 0;
	case ETHTOOL_GRXCLSRLCNT: nfc->rule_cnt = 3; return 0;
	case ETHTOOL_GSSET_INFO:
		assert_int_equal(set->sset_mask, 1ull << ETH_SS_FEATURES);
		set->data[0] = FEATURES;
		return 0;
	case ETHTOOL_GSTRINGS: get_strings(data); return 0;
	case ETHTOOL_GFEATURES:
		assert_int_equal(((struct ethtool_gfeatures *)data)->size, 3);
		memcpy(((struct ethtool_gfeatures *)data)->features, kernel.features,
		       sizeof(kernel.features));
		return 0;
	case ETHTOOL_SFEATURES: return set_features(data);
	default: return -EOPNOTSUPP;
	}
}

/* In place of libc's. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;

	(void)fd;
	va_start(ap, request);
	struct ifreq *ifr = va_arg(ap, struct ifreq *);
	va_end(ap);
	assert_int_equal(request, SIOCETHTOOL);
	assert_string_equal(ifr->ifr_name, NAME);
	kernel.calls++;
	const int rc = answer(ifr->ifr_data);
	if (rc >= 0)
		return rc;
	errno = -rc;
	return -1;
}

static struct kernel start(void)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.channels = (struct ethtool_channels){
	    .max_combined = 16, .max_other = 1, .combined_count = 8, .other_count = 1};
	kernel.rings = (struct ethtool_ringparam){.rx_max_pending = 4096,
						  .rx_mini_max_pending = 7,
						  .tx_max_pending = 4096,
						  .rx_pending = 512,
						  .rx_mini_pending = 3,
						  .tx_pending = 256};
	kernel.coalesce = (struct ethtool_coalesce){.rx_coalesce_usecs = 50,
						    .rx_max_coalesced_frames = 9,
						    .tx_coalesce_usecs = 60,
						    .stats_block_coalesce_usecs = 77,
						    .use_adaptive_rx_coalesce = 1,
						    .rate_sample_interval = 5};
	for (uint32_t i = 0; i < TABLE; i++)
		kernel.table[i] = i % 8;
	for (uint32_t i = 0; i < KEY; i++)
		kernel.key[i] = (uint8_t)(i * 7);
	kernel.function = PIN_TOEPLITZ;
	kernel.default_table = true;
	kernel.flow[UDP_V4_FLOW] = kernel.flow[TCP_V4_FLOW] = kernel.flow[UDP_V6_FLOW] =
	    RXH_IP_SRC | RXH_IP_DST | RXH_L4_B_0_1 | RXH_L4_B_2_3;
	kernel.flow[TCP_V6_FLOW] = RXH_IP_SRC | RXH_IP_DST;
	/* 3 and 65: on, changeable. 4: on, fixed. 66: never. 67: wanted, not active. */
	kernel.features[0] = (struct ethtool_get_features_block){8, 8, 8 | 16, 0};
	kernel.features[2] = (struct ethtool_get_features_block){2 | 4 | 8, 2 | 8, 2, 4};
	return kernel;
}

static struct pin_nic *nic_of_kernel(void)
{
	struct pin_nic *n = malloc(sizeof(*n));

	assert_non_null(n);
	assert_int_equal(pin_door_machine.nic_read(NULL, NAME, n), 0);
	return n;
}

static int set(enum pin_part part, unsigned index, const struct pin_nic *n)
{
	return pin_door_machine.nic_write(NULL, NAME, part, index, n);
}

/* The kernel is as `want`, all of it. */
static void check(const struct kernel *want)
{
	struct kernel now = kernel;

	now.calls = want->calls;
	/* Their first words say which command was the last. */
	now.channels.cmd = want->channels.cmd;
	now.rings.cmd = want->rings.cmd;
	now.coalesce.cmd = want->coalesce.cmd;
	assert_memory_equal(&now, want, sizeof(now));
}

static void test_read(void **state)
{
	const struct kernel before = start();
	struct pin_nic *n = nic_of_kernel();

	(void)state;
	check(&before);
	assert_int_equal(strlen(n->driver), 31);
	assert_string_equal(n->bus, "0000:01:00.0");
	assert_int_equal(n->has & ~(unsigned)PIN_HAS_XDP, PIN_HAS_CHANNELS | PIN_HAS_RINGS |
							      PIN_HAS_COALESCE | PIN_HAS_RSS |
							      PIN_HAS_RULES);
	assert_int_equal(n->channels.combined, 8);
	assert_int_equal(n->channels.combined_max, 16);
	assert_int_equal(n->rings.rx, 512);
	assert_int_equal(n->rings.tx_max, 4096);
	assert_true(n->coalesce.adaptive_rx);
	assert_int_equal(n->coalesce.tx_usecs, 60);
	assert_int_equal(n->rss.key_len, KEY);
	assert_memory_equal(n->rss.key, kernel.key, KEY);
	assert_int_equal(n->rss.table_len, TABLE);
	assert_memory_equal(n->rss.table, kernel.table, sizeof(kernel.table));
	assert_int_equal(n->rss.function, PIN_TOEPLITZ);
	assert_int_equal(n->flow[PIN_UDP4], PIN_HASH_ADDRESSES | PIN_HASH_PORTS);
	assert_int_equal(n->flow[PIN_TCP6], PIN_HASH_ADDRESSES);
	assert_int_equal(n->rules, 3);
	assert_int_equal(n->features, FEATURES);
	for (unsigned i = 0; i < FEATURES; i++) {
		const struct pin_feature *f = &n->feature[i];
		char name[32];
		(void)snprintf(name, sizeof(name), "feature-%u", i);
		assert_string_equal(f->name, name);
		assert_int_equal(f->changeable, i == 3 || i == 65 || i == 67);
		assert_int_equal(f->active, i == 3 || i == 4 || i == 65);
		assert_int_equal(f->wanted, i == 3 || i == 65 || i == 67);
	}
	free(n);
}

static void test_write_simple(void **state)
{
	struct kernel want = start();
	struct pin_nic *n = nic_of_kernel();

	(void)state;
	want.channels.combined_count = n->channels.combined = 4;
	assert_int_equal(set(PIN_CHANNELS, 0, n), 0);
	check(&want);
	want.rings.rx_pending = n->rings.rx = 4096;
	assert_int_equal(set(PIN_RINGS, 0, n), 0);
	check(&want);
	n->coalesce.adaptive_rx = false;
	want.coalesce.use_adaptive_rx_coalesce = 0;
	want.coalesce.rx_coalesce_usecs = n->coalesce.rx_usecs = 40;
	assert_int_equal(set(PIN_COALESCE, 0, n), 0);
	check(&want);
	want.flow[UDP_V6_FLOW] = n->flow[PIN_UDP6] = RXH_IP_SRC | RXH_IP_DST;
	assert_int_equal(set(PIN_FLOW, PIN_UDP6, n), 0);
	check(&want);
	n->feature[65].wanted = false;
	want.features[2].requested &= ~2u;
	want.features[2].active &= ~2u;
	assert_int_equal(set(PIN_FEATURE, 65, n), 0);
	check(&want);
	n->feature[4].wanted = true;
	assert_int_equal(set(PIN_FEATURE, 4, n), -EOPNOTSUPP);
	check(&want);
	assert_int_equal(set(PIN_IRQ, 0, n), -EINVAL);
	free(n);
}

/* Keys and tables, on kernels old and new, with and without a device that mixes first. */
static void test_write_rss(void **state)
{
	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		struct kernel want = start();
		kernel.old = want.old = kind == 0;
		kernel.xfrm = want.xfrm = kind == 2 ? 1 : 0;
		struct pin_nic *n = nic_of_kernel();
		assert_int_equal(n->rss.xfrm, kind == 2 ? 1 : 0);

		for (uint32_t i = 0; i < TABLE; i++)
			want.table[i] = n->rss.table[i] = i % 4;
		for (uint32_t i = 0; i < KEY; i++)
			want.key[i] = n->rss.key[i] = i % 2 == 0 ? 0x6d : 0x5a;
		want.default_table = false;
		assert_int_equal(set(PIN_RSS, 0, n), 0);
		check(&want);

		/* Back to the table of nobody, key and function as they are. */
		n->rss.table_len = n->rss.key_len = 0;
		n->rss.function = 0;
		assert_int_equal(set(PIN_RSS, 0, n), 0);
		want.default_table = true;
		for (uint32_t i = 0; i < TABLE; i++)
			want.table[i] = i % 8;
		check(&want);

		/* The same with another key. */
		n->rss.key_len = KEY;
		memset(n->rss.key, 9, KEY);
		memset(want.key, 9, KEY);
		assert_int_equal(set(PIN_RSS, 0, n), 0);
		check(&want);
		n->rss.key_len = KEY - 1;
		assert_int_equal(set(PIN_RSS, 0, n), -EINVAL);
		check(&want);
		free(n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_write_simple),
	    cmocka_unit_test(test_write_rss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
