/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of systems and of content networks: any octets give a table that can be asked,
 * or one sentence. */
#include "asn.h"
#include "lookups.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char err[512] = "", *copy = malloc(len != 0 ? len : 1); /* of this size */
	struct addr lo = {{0}}, hi;

	if (copy == NULL)
		abort();
	if (len != 0)
		memcpy(copy, data, len);
	struct asn *a = asn_create_text(copy, len, "F", err, sizeof(err));
	if ((a == NULL) != (err[0] != '\0'))
		abort();
	memset(&hi, 0xff, sizeof(hi));
	if (a != NULL) {
		if (asn_ranges(a) == 0 || asn_ranges(a) > len + 1)
			abort();
		(void)asn_get(a, &lo);
		(void)asn_get(a, &hi);
		for (size_t i = 0; i + 16 <= len; i++) {
			memcpy(lo.b, copy + i, 16);
			(void)asn_get(a, &lo);
		}
	}
	asn_destroy(a);
	err[0] = '\0';
	struct cdn *c = cdn_create_text(copy, len, "F", err, sizeof(err));
	if ((c == NULL) != (err[0] != '\0'))
		abort();
	cdn_destroy(c);
	free(copy);
	return 0;
}
