/* SPDX-License-Identifier: BSD-3-Clause */
/* Stage 5, match: what the name and the addresses alone decide.
 *
 * Runs before pairing, because the waiting query keeps the verdict. So far the
 * verdict is the sketch hashes and the vantage; rule tags, shapes and the
 * registered domain join it here. Called by one worker; reads settings only. */
#ifndef DATAPLANE_MATCH_H
#define DATAPLANE_MATCH_H

#include "msg.h"
#include "vantage.h"

struct match {
	uint64_t sketch_seed; /* shared by the sites whose sketches shall merge */
	const struct vantage_rules *vantage;
};

/* Fills the match part of every message that is still kept. */
void match_step(const struct match *settings, struct msgs *batch);

#endif
