/* SPDX-License-Identifier: BSD-3-Clause */
#include "pin_irqs.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define IRQ_MAX 0xffffffu

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* "  28:   0   7  PCI-MSIX-0000:00:01.0   0-edge   virtio0-config" */
static bool read_line(const char *line, size_t len, struct pin_irq *irq)
{
	size_t at = 0, begin;
	unsigned number = 0;

	while (at < len && blank(line[at]))
		at++;
	for (begin = at; at < len && isdigit((unsigned char)line[at]); at++) {
		number = number * 10 + (unsigned)(line[at] - '0');
		if (number > IRQ_MAX)
			return false;
	}
	if (at == begin || at == len || line[at] != ':')
		return false;
	while (len > at && blank(line[len - 1]))
		len--;
	for (begin = len; begin > at + 1 && !blank(line[begin - 1]);)
		begin--;
	/* A name of digits alone is the last counter of a line without one. */
	size_t digits = 0;
	while (begin + digits < len && isdigit((unsigned char)line[begin + digits]))
		digits++;
	if (begin + digits == len || len - begin >= PIN_NAME_CAP)
		return false;
	*irq = (struct pin_irq){.number = number};
	memcpy(irq->name, line + begin, len - begin);
	for (char *c = irq->name; *c != '\0'; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	return true;
}

int pin_irqs_next(const char *text, size_t len, size_t *at, struct pin_irq *irq)
{
	while (*at < len) {
		const char *line = text + *at, *end = memchr(line, '\n', len - *at);
		const size_t n = end != NULL ? (size_t)(end - line) : len - *at;

		*at += n + (end != NULL ? 1 : 0);
		if (memchr(line, '\0', n) == NULL && read_line(line, n, irq))
			return 1;
	}
	return 0;
}

static bool ends_with(const char *text, size_t len, const char *end)
{
	const size_t n = strlen(end);

	return len >= n && strncasecmp(text + len - n, end, n) == 0;
}

/* Names, as the drivers of the kernel tree make them: i40e-eth1-TxRx-3, eth1-TxRx-3 (ixgbe,
 * igb), eth1-Tx-Rx-3 (ena), mlx5_comp3@pci:0000:03:00.0, virtio2-input.3, eth1-rx-3, eth1-3. */
void pin_irqs_classify(struct pin_irq *irq, const char *ifname)
{
	static const char *const rx[] = {"txrx", "rx", "comp", "input", "fp"};
	static const char *const tx[] = {"tx", "output"};
	static const char *const other[] = {"async", "misc", "ctrl", "mgmnt", "config"};
	size_t len = strcspn(irq->name, "@");
	size_t digits = len;

	irq->role = ends_with(irq->name, len, "virtqueues") ? PIN_ROLE_UNKNOWN : PIN_ROLE_OTHER;
	irq->queue = 0;
	while (digits > 0 && isdigit((unsigned char)irq->name[digits - 1]))
		digits--;
	if (digits == len || len - digits > 4)
		return;
	for (size_t i = digits; i < len; i++)
		irq->queue = irq->queue * 10 + (unsigned)(irq->name[i] - '0');
	len = digits;
	while (len > 0 && strchr("-._", irq->name[len - 1]) != NULL)
		len--;
	for (size_t i = 0; i < sizeof(rx) / sizeof(*rx); i++)
		if (ends_with(irq->name, len, rx[i]))
			irq->role = PIN_ROLE_RX;
	for (size_t i = 0; i < sizeof(tx) / sizeof(*tx) && irq->role == PIN_ROLE_OTHER; i++)
		if (ends_with(irq->name, len, tx[i]))
			irq->role = PIN_ROLE_TX;
	const bool named = len == strlen(ifname) && strncmp(irq->name, ifname, len) == 0;
	if (irq->role == PIN_ROLE_OTHER && strcmp(irq->name, ifname) != 0)
		irq->role = len < digits && named ? PIN_ROLE_RX : PIN_ROLE_UNKNOWN;
	for (size_t i = 0; i < sizeof(other) / sizeof(*other); i++)
		if (ends_with(irq->name, len, other[i]))
			irq->role = PIN_ROLE_OTHER;
	if (irq->role != PIN_ROLE_RX && irq->role != PIN_ROLE_TX)
		irq->queue = 0;
}
