/* SPDX-License-Identifier: BSD-3-Clause */
/* What pin reads from files: any octets give CPUs, interrupts or a state, or are refused.
 * "L" begins a list of CPUs, "{" a state, anything else is /proc/interrupts. A state that
 * was read reads the same once written, and names no file but those that pin changes. */
#include "pin/pin_irqs.h"
#include "pin/pin_state_json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void fuzz_cpus(const char *text, size_t len)
{
	static char list[PIN_LIST_MAX];
	struct pin_cpus a, b;

	if (pin_cpus_parse(text, len, &a) != 0)
		return;
	if (!pin_cpus_list(&a, list, sizeof(list)) || pin_cpus_parse(list, strlen(list), &b) != 0 ||
	    !pin_cpus_equal(&a, &b))
		abort();
}

static void fuzz_irqs(const char *text, size_t len)
{
	struct pin_irq irq;
	size_t at = 0, before = 0;

	while (pin_irqs_next(text, len, &at, &irq) > 0) {
		if (at <= before || at > len || irq.name[0] == '\0' ||
		    strlen(irq.name) >= sizeof(irq.name))
			abort();
		before = at;
		pin_irqs_classify(&irq, "eth1");
		if (irq.queue > 9999 || (irq.role == PIN_ROLE_OTHER && irq.queue != 0))
			abort();
	}
	if (at != len)
		abort();
}

static void fuzz_state(const char *text, size_t len)
{
	struct pin_state s, again;
	char err[512] = "";

	if (pin_state_parse(text, len, &s, err, sizeof(err)) != 0) {
		if (err[0] == '\0')
			abort();
		return;
	}
	for (size_t i = 0; i < s.was.files; i++)
		if (strncmp(s.was.file[i].path, "/sys/", 5) != 0 ||
		    strstr(s.was.file[i].path, "..") != NULL)
			abort();
	json_t *o = pin_state_json(&s);
	char *written = o != NULL ? json_dumps(o, 0) : NULL;
	if (written == NULL ||
	    pin_state_parse(written, strlen(written), &again, err, sizeof(err)) != 0 ||
	    memcmp(&s.was.nic, &again.was.nic, sizeof(s.was.nic)) != 0 ||
	    s.was.irqs != again.was.irqs || s.was.files != again.was.files)
		abort();
	pin_state_fini(&again);
	pin_state_fini(&s);
	json_decref(o);
	free(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *text = (const char *)data;

	if (len > 0 && text[0] == 'L')
		fuzz_cpus(text + 1, len - 1);
	else if (len > 0 && text[0] == '{')
		fuzz_state(text, len);
	else
		fuzz_irqs(text, len);
	return 0;
}
