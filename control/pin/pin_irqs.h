/* SPDX-License-Identifier: BSD-3-Clause */
/* /proc/interrupts: which interrupts there are, and which queue each one serves.
 *
 * Pure functions over text in memory. */
#ifndef CONTROL_PIN_PIN_IRQS_H
#define CONTROL_PIN_PIN_IRQS_H

#include "pin.h"

/* The next interrupt with a number and a name at or behind *at: 1, 0 at the end. Lines of
 * another form (NMI, counters of errors) are passed over. Affinities are left empty. */
int pin_irqs_next(const char *text, size_t len, size_t *at, struct pin_irq *irq);

/* Fills in role and queue by the name that the driver gave. */
void pin_irqs_classify(struct pin_irq *irq, const char *ifname);

#endif
