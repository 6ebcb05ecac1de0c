/* SPDX-License-Identifier: BSD-3-Clause */
/* Snapshots of set `flux`: any octets are refused or give a state that can be written,
 * saved again, and ended. The first octet says which kind it is. */
#include "stats/flux_ip.h"
#include "stats/flux_ns.h"
#include "stats/stat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void write_record(void *ctx, const char *set, uint64_t start_s, json_t *record)
{
	(void)ctx;
	(void)set;
	(void)start_s;
	char *text = json_dumps(record, JSON_COMPACT);
	if (text == NULL)
		abort();
	free(text);
	json_decref(record);
}

static void check(int result)
{
	if (result != 0 && result != -EBADMSG)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct stat_run run = {.probe = "f", .interval_s = 60, .write = write_record};
	void *ip = stat_flux_ip.create(&run), *ns = stat_flux_ns.create(&run);
	uint8_t *out = NULL, *copy = malloc(len != 0 ? len : 1); /* of this size */
	size_t n = 0;
	int result;

	if (len == 0 || ip == NULL || ns == NULL || copy == NULL)
		goto done;
	memcpy(copy, data + 1, len - 1);
	if (data[0] % 2 == 0)
		result = flux_ip_load(ip, copy, len - 1);
	else
		result = flux_ns_load(ns, copy, len - 1);
	check(result);
	check(data[0] % 2 == 0 ? flux_ip_save(ip, &out, &n) : flux_ns_save(ns, &out, &n));
	stat_flux_ip.end(ip);
	flux_ns_finish_day(ns);
	/* What was saved is taken again. */
	if (result == 0 &&
	    (data[0] % 2 == 0 ? flux_ip_load(ip, out, n) : flux_ns_load(ns, out, n)) != 0)
		abort();
done:
	free(out);
	free(copy);
	stat_flux_ip.destroy(ip);
	stat_flux_ns.destroy(ns);
	return 0;
}
