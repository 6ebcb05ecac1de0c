/* SPDX-License-Identifier: BSD-3-Clause */
#include "pin_drivers.h"

#include <string.h>

/* From the kernel tree (drivers/net, Documentation/networking): XDP and zero-copy as in the
 * xdp_features that each driver sets, the newest kernel's (the kernel's own answer goes
 * first; it gives one since 6.3); ports_fixed from what set_rxfh_fields (before: set_rxnfc)
 * refuses; symmetric: mlx5 sets rx_hash_symmetric with each Toeplitz key, kernels before
 * 6.15 without saying so; adaptive_usecs as in the drivers' set_coalesce; delay_fixed: virtio
 * takes delays only from hosts with VIRTIO_NET_F_NOTF_COAL. */
static const struct pin_driver drivers[] = {
    {.name = "atlantic", .xdp = true},
    {.name = "bnxt_en", .xdp = true},
    {.name = "cxgb4"},
    {.name = "e1000e", .adaptive_usecs = 3},
    {.name = "ena", .xdp = true},
    {.name = "gve", .xdp = true, .zerocopy = true},
    {.name = "hv_netvsc", .xdp = true},
    {.name = "i40e", .xdp = true, .zerocopy = true},
    {.name = "iavf"},
    {.name = "ice", .xdp = true, .zerocopy = true},
    {.name = "igb", .xdp = true, .zerocopy = true, .ports_fixed = true, .adaptive_usecs = 3},
    {.name = "igc", .xdp = true, .zerocopy = true, .ports_fixed = true, .adaptive_usecs = 3},
    {.name = "ixgbe", .xdp = true, .zerocopy = true, .ports_fixed = true, .adaptive_usecs = 1},
    {.name = "ixgbevf", .xdp = true, .ports_fixed = true, .adaptive_usecs = 1},
    {.name = "mlx4_en", .xdp = true},
    {.name = "mlx5_core", .xdp = true, .zerocopy = true, .symmetric = true},
    {.name = "nfp", .xdp = true, .zerocopy = true},
    {.name = "qede", .xdp = true},
    {.name = "r8169"},
    {.name = "sfc", .xdp = true},
    {.name = "stmmac", .xdp = true, .zerocopy = true},
    {.name = "st_gmac", .xdp = true, .zerocopy = true},
    {.name = "tg3"},
    {.name = "tun", .xdp = true},
    {.name = "veth", .xdp = true},
    {.name = "virtio_net", .xdp = true, .zerocopy = true, .delay_fixed = true},
    {.name = "vmxnet3", .xdp = true},
};

const struct pin_driver *pin_driver_find(const char *name)
{
	static const struct pin_driver unknown = {.name = NULL};

	for (size_t i = 0; i < sizeof(drivers) / sizeof(*drivers); i++)
		if (strcmp(drivers[i].name, name) == 0)
			return &drivers[i];
	return &unknown;
}
