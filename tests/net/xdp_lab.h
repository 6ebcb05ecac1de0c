/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of the lab's probe that stand in files of their own. */
#ifndef TESTS_NET_XDP_LAB_H
#define TESTS_NET_XDP_LAB_H

#include "steer.h"

/* xdp_lab bench SPEC [ROUNDS]; returns the exit code. */
int lab_bench(const char *spec, unsigned rounds);
/* xdp_lab stamps IFACE; returns the exit code. */
int lab_stamps(const char *name);

#endif
