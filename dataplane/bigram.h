/* SPDX-License-Identifier: BSD-3-Clause */
/* How unlike an ordinary name a label is: a log-likelihood over pairs of characters
 * (DOMAIN section 6.2), trained by tools/bigram. Pure, any thread. */
#ifndef DATAPLANE_BIGRAM_H
#define DATAPLANE_BIGRAM_H

#include <stdint.h>

/* Mean log2-likelihood of a folded label's pairs, begin and end included, in 1/256
 * bits: the lower, the stranger. 0 for an empty label. */
int16_t bigram_score(const uint8_t *label, uint32_t len);

/* The score that one ordinary label in twenty is below (DOMAIN section 6.4, t5). */
extern const int16_t bigram_low;

#endif
