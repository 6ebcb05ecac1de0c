/* SPDX-License-Identifier: BSD-3-Clause */
/* Queries for the names of IPv4 addresses: each goes to control, which looks for clients
 * that go through address space. Other types cost a branch. Worker's thread; no memory. */
#ifndef DATAPLANE_REVERSE_H
#define DATAPLANE_REVERSE_H

#include "pair.h"
#include "tally.h"

/* The address that a folded name of `len` octets below in-addr.arpa stands for; false: none. */
bool reverse_ipv4(const uint8_t *name, uint32_t len, uint8_t ipv4[4]);
/* Emits what settled transactions asked; before tally_step. */
void reverse_step(struct tally *tally, const struct txn *txn, uint32_t n);

#endif
