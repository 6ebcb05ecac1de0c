/* SPDX-License-Identifier: BSD-3-Clause */
/* Least privilege: what `run` may do, step by step less.
 *
 * rights_begin checks what the source needs of the machine and becomes --user; rights_drop, when
 * everything is open and before threads start, gives up all capabilities but those that the
 * run's end needs; rights_lock, when they run, puts the system call filter on every thread. Main
 * thread only. What is left over after each step is looked up, not assumed. */
#ifndef CONTROL_RIGHTS_H
#define CONTROL_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;

/* Sets of capabilities: bit n is capability n of linux/capability.h. */
#define RIGHTS_CAP(n) (1ull << (n))

/* Each returns an exit code (exit.h) and, but for 0, a sentence. */
int rights_begin(const struct config *c, char *err, size_t cap);
/* `source_keeps`: what the source's end needs. */
int rights_drop(const struct config *c, uint64_t source_keeps, char *err, size_t cap);
int rights_lock(const struct config *c, char *err, size_t cap);

/* Capabilities that closing a DPDK device takes. */
uint64_t rights_keeps_dpdk(const char *devargs);

/* "no capabilities, no_new_privs, seccomp on", for the line at start. */
const char *rights_text(char *text, size_t cap);

/* ---- the parts, for rights.c and tests ---- */

/* What of the source's needs is missing. EXIT_DONE or EXIT_MACHINE. */
int rights_needs(const struct config *c, char *err, size_t cap);
/* Capabilities of use while the source is opened, of those that we have. */
uint64_t rights_opening(const struct config *c);

/* Permitted capabilities of this thread. */
uint64_t caps_permitted(void);
/* Sets this thread's effective and permitted set; -errno. */
int caps_set(uint64_t set);
int caps_set_effective(uint64_t set);
/* The same for every thread of the process, and no_new_privs; empties the ambient and
 * inheritable sets, and the bounding set where that is allowed. -errno; -EBUSY: a thread does
 * not listen, and has more than it should. */
int caps_limit_all(uint64_t set);
/* "CAP_NET_ADMIN CAP_BPF"; "" for none. */
const char *caps_text(uint64_t set, char *text, size_t cap);

enum filter_kind { FILTER_FILE, FILTER_XDP, FILTER_DPDK };
enum filter_action { FILTER_KILL, FILTER_LOG };
/* Puts the filter on all threads; `netlink`: the end speaks it. -errno; -ENOTSUP: not in this
 * build, or not with this kernel. */
int filter_load(enum filter_kind kind, enum filter_action action, bool netlink);
/* Why this build has none; NULL: it has. */
const char *filter_lack(void);

#endif
