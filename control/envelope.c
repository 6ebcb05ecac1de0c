/* SPDX-License-Identifier: BSD-3-Clause */
#include "envelope.h"

json_t *envelope_create(const char *set, const char *probe, const char *vantage, uint64_t start_s,
			uint64_t end_s, double p, uint64_t loss_ppm)
{
	json_t *record = json_object();
	int failed = record == NULL;

	failed |= json_object_set_new(record, "set", json_string(set));
	failed |= json_object_set_new(record, "v", json_integer(ENVELOPE_VERSION));
	failed |= json_object_set_new(record, "probe", json_string(probe));
	failed |= json_object_set_new(record, "vantage", json_string(vantage));
	failed |= json_object_set_new(record, "start", json_integer((json_int_t)start_s));
	failed |= json_object_set_new(record, "end", json_integer((json_int_t)end_s));
	failed |= json_object_set_new(record, "p", p >= 1 ? json_integer(1) : json_real(p));
	failed |= json_object_set_new(record, "loss_ppm", json_integer((json_int_t)loss_ppm));
	if (failed) {
		json_decref(record);
		return NULL;
	}
	return record;
}
