/* SPDX-License-Identifier: BSD-3-Clause */
#include "rows.h"

#include <stdlib.h>

struct stat_row **rows_place(struct stat_row **list, uint64_t number)
{
	while (*list != NULL && (*list)->number < number)
		list = &(*list)->next;
	return list;
}

void rows_put(struct stat_row **place, struct stat_row *row, uint64_t number)
{
	row->number = number;
	row->next = *place;
	*place = row;
}

void *rows_get(struct stat_row **list, uint64_t number, size_t bytes)
{
	struct stat_row **place = rows_place(list, number);

	if (*place != NULL && (*place)->number == number)
		return *place;
	struct stat_row *row = calloc(1, bytes);
	if (row != NULL)
		rows_put(place, row, number);
	return row;
}

void *rows_find(struct stat_row *list, uint64_t number)
{
	struct stat_row *row = *rows_place(&list, number);

	return row != NULL && row->number == number ? row : NULL;
}

bool rows_is_first(const struct stat_row *list, uint64_t number)
{
	return list != NULL && list->number == number;
}

void *rows_pop(struct stat_row **list)
{
	struct stat_row *row = *list;

	if (row != NULL)
		*list = row->next;
	return row;
}

uint64_t rows_first(const struct stat_row *list)
{
	return list != NULL ? list->number : UINT64_MAX;
}
