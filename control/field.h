/* SPDX-License-Identifier: BSD-3-Clause */
/* Fields of exported records, one call each. Any thread; the object is the caller's. */
#ifndef CONTROL_FIELD_H
#define CONTROL_FIELD_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

void field_count(json_t *o, const char *key, uint64_t n);
/* A name in wire form (n octets), as it is spelled there; null for none (n = 0). */
void field_name(json_t *o, const char *key, const uint8_t *name, size_t n);
/* The same in lower case. */
void field_name_folded(json_t *o, const char *key, const uint8_t *name, size_t n);
/* A-Z of n octets as a-z; out may be name. */
void field_fold(uint8_t *out, const uint8_t *name, size_t n);

#endif
