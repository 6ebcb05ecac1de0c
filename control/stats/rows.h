/* SPDX-License-Identifier: BSD-3-Clause */
/* What a statistic keeps by interval: a list of rows with rising numbers.
 *
 * Few at a time, the oldest first. A statistic's row begins with struct stat_row; what
 * else a row owns is the statistic's to free. Control's thread alone. */
#ifndef CONTROL_STATS_ROWS_H
#define CONTROL_STATS_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stat_row {
	uint64_t number;
	struct stat_row *next;
};

/* Where the row of that number is, or would be put. */
struct stat_row **rows_place(struct stat_row **list, uint64_t number);
/* Puts a new row at its place. */
void rows_put(struct stat_row **place, struct stat_row *row, uint64_t number);
/* The row, made of `bytes` zeroed octets where it is not there. NULL: no memory. */
void *rows_get(struct stat_row **list, uint64_t number, size_t bytes);
/* NULL where it is not there. */
void *rows_find(struct stat_row *list, uint64_t number);
/* Whether that one is the oldest there is. */
bool rows_is_first(const struct stat_row *list, uint64_t number);
/* Takes the oldest row out of the list; NULL where that is empty. */
void *rows_pop(struct stat_row **list);
/* The oldest row's number; UINT64_MAX where there is none. */
uint64_t rows_first(const struct stat_row *list);

#endif
