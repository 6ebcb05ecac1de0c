/* SPDX-License-Identifier: BSD-3-Clause */
/* Snapshots of CNAME flux from any bytes: what is taken can be written, read again and
 * counted on; what is refused leaves nothing behind. */
#include "flux_rig.h"
#include "stats/flux_slide.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void forget(struct flux_rig *r)
{
	for (size_t i = 0; i < r->lines; i++)
		free(r->line[i]);
	r->lines = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	const struct flux_obs more[] = {
	    {.at = 86000, .owner = 1, .ttl = 60, .vantage = 1},
	    {.at = 86001, .owner = 1, .target = 1, .ttl = 60, .vantage = 1}};
	struct flux_rig_bytes in = {(uint8_t *)(uintptr_t)input, size, 0}, copy = {0};
	static struct flux_rig r, s;

	if (r.flux == NULL) { /* once: the list of suffixes takes its time */
		flux_rig_init(&r, 1, 1, 3600);
		flux_rig_init(&s, 1, 1, 3600);
		flux_rig_slide(&r);
		flux_rig_slide(&s);
	}
	if (flux_cname_load(r.flux, flux_rig_get_bytes, &in) != 0) {
		if (flux_cname_totals_get(r.flux).owners != 0)
			abort();
		return 0;
	}
	if (flux_cname_save(r.flux, flux_rig_put_bytes, &copy) != 0)
		abort();
	if (flux_cname_load(s.flux, flux_rig_get_bytes, &copy) != 0 || copy.at != copy.n)
		abort();
	flux_rig_rows(&r, more, 2);
	flux_rig_end(&r);
	flux_rig_end(&s);
	/* Days end with an input; what outlives them is not the next one's. */
	flux_slide_reset(((struct flux_cname *)r.flux)->slide);
	flux_slide_reset(((struct flux_cname *)s.flux)->slide);
	forget(&r);
	forget(&s);
	free(copy.b);
	return 0;
}
