/* SPDX-License-Identifier: BSD-3-Clause */
/* What drivers can do that they cannot be asked for. Constant data. */
#ifndef CONTROL_PIN_PIN_DRIVERS_H
#define CONTROL_PIN_PIN_DRIVERS_H

#include "pin.h"

struct pin_driver {
	const char *name;        /* NULL: a driver that the table does not have */
	bool xdp;                /* runs XDP programs itself */
	bool zerocopy;           /* AF_XDP without copying */
	bool ports_fixed;        /* cannot leave the ports out of TCP's hash */
	bool symmetric;          /* Toeplitz hashes are symmetric whatever the key */
	bool delay_fixed;        /* takes no rx-usecs */
	unsigned adaptive_usecs; /* rx-usecs from 1 to this mean an adaptive delay */
};

/* Never NULL. */
const struct pin_driver *pin_driver_find(const char *name);

#endif
