/* SPDX-License-Identifier: BSD-3-Clause */
#include "bigram.h"
#include "bigram_table.h"

const int16_t bigram_low = BIGRAM_LOW;

int16_t bigram_score(const uint8_t *label, uint32_t len)
{
	uint32_t before = BIGRAM_EDGE;
	int32_t sum = 0;

	if (len == 0)
		return 0;
	for (uint32_t i = 0; i < len; i++) {
		const uint32_t at = bigram_class[label[i]];
		sum += bigram_table[before][at];
		before = at;
	}
	sum += bigram_table[before][BIGRAM_EDGE];
	return (int16_t)(sum / (int32_t)(len + 1));
}
