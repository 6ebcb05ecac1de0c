/* SPDX-License-Identifier: BSD-3-Clause */
/* What only netlink says of an interface of this network namespace: default routes (also
 * with several next hops and outside the main table), and what a driver's XDP can do. */
#ifndef CONTROL_PIN_PIN_NETLINK_H
#define CONTROL_PIN_PIN_NETLINK_H

#include <stdint.h>

/* 1 where a default route of either family leaves by the interface, 0, or -errno. A half
 * of all addresses (0.0.0.0/1) counts as default: VPNs make them so. */
int pin_netlink_default(unsigned ifindex);

/* NETDEV_XDP_ACT_ bits; -EOPNOTSUPP before Linux 6.3. */
int pin_netlink_xdp(unsigned ifindex, uint64_t *features);

#endif
