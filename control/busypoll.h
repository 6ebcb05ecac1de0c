/* SPDX-License-Identifier: BSD-3-Clause */
/* What busy polling wants of an interface: hold its interrupts back for a while.
 *
 * Control's thread, from steer.c alone. The two settings belong to the interface, not
 * to us: nobody puts them back where the process is killed, so they are set only when
 * asked for, and the note at start names the values before. */
#ifndef CONTROL_BUSYPOLL_H
#define CONTROL_BUSYPOLL_H

#include <net/if.h>
#include <stdbool.h>

struct busypoll {
	char ifname[IFNAMSIZ];
	unsigned long before[2]; /* napi_defer_hard_irqs, gro_flush_timeout */
	bool set[2];
};

/* Raises the settings where they are lower; 0 or -errno, then as before. */
int busypoll_set(struct busypoll *b, const char *ifname);
/* Puts back what busypoll_set has changed. */
void busypoll_restore(struct busypoll *b);

#endif
