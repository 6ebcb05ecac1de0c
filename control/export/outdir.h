/* SPDX-License-Identifier: BSD-3-Clause */
/* The directory that records are exported to: made, tried, tidied.
 * Control's thread; owns nothing. */
#ifndef CONTROL_EXPORT_OUTDIR_H
#define CONTROL_EXPORT_OUTDIR_H

#include <limits.h>

#define OUTDIR_SET_CAP 32 /* octets of a set's name with its NUL */

/* Makes `dir` with its parents, writes a file into it to be sure, and removes the
 * temporaries of this probe that no living process holds. 0 or -errno. */
int outdir_prepare(const char *dir, const char *probe);

/* Makes one directory with mode 0750 whatever the umask; fine where it exists. 0
 * or -errno. */
int outdir_make(const char *path);
/* The same with all directories above it. */
int outdir_make_all(const char *path);

/* The name of this process's temporary for a set. */
void outdir_temporary(const char *set, const char *probe, char out[NAME_MAX + 1]);

#endif
