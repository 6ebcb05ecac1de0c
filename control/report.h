/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap report`: exported records as tables for people, on standard output.
 * One thread; reads records through walk.h, one at a time. */
#ifndef CONTROL_REPORT_H
#define CONTROL_REPORT_H

#include "walk.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* `fluxtap report NAME DIR...`; argv[0] is "report". Returns the exit code. */
int report_main(int argc, char **argv);

/* The names of all reports, one after another; NULL behind the last. */
const char *report_name_at(size_t i);

/* The reports themselves, in report_<name>.c. Each takes the records of one set in
 * time order and prints to standard output; 0 or -errno. `width` is in columns. */
int report_traffic(struct walk *w, size_t width);
int report_ledger(struct walk *w, size_t width);
int report_nxdomain(struct walk *w, size_t width);
int report_client(struct walk *w, size_t width);
int report_dga(struct walk *w, size_t width);
int report_flux(struct walk *w, size_t width);
int report_server(struct walk *w, size_t width);
int report_cookie(struct walk *w, size_t width);
int report_resolver(struct walk *w, size_t width);
int report_transport(struct walk *w, size_t width);
int report_ttl(struct walk *w, size_t width);
int report_integrity(struct walk *w, size_t width);
int report_match(struct walk *w, size_t width);
int report_sinkhole(struct walk *w, size_t width);

/* Help for them. */

/* Hands over each record of the walk; take may keep a reference of its own, and what it says
 * other than 0 is the end. Returns that, or 0, or -ENOMEM. Damage is the walk's to tell. */
typedef int report_take_fn(void *ctx, json_t *record);
int report_each(struct walk *w, report_take_fn *take, void *ctx);

#define REPORT_NUMBER_CAP 32
/* 1234567 as "1,234,567"; returns out. */
const char *report_number(char out[REPORT_NUMBER_CAP], uint64_t n);
/* A field that is a number, 0 if it is not there or negative. */
uint64_t report_count(const json_t *object, const char *key);
/* A field that is a text, "" if it is not there. */
const char *report_text(const json_t *object, const char *key);
/* Prints the line above an interval's rows: time, length, probe. */
void report_heading(const json_t *record);

#endif
