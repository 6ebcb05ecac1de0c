/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap top`: a full-screen view of a running probe, once a second. Its own process: it
 * reads the segment's file and asks over the control socket; no worker notices. */
#ifndef CONTROL_VIEW_TOP_H
#define CONTROL_VIEW_TOP_H

/* argv[0] is "top". Returns the exit code. */
int top_main(int argc, char **argv);

#endif
