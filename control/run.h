/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap run`: puts sources, workers, rings, statistics and export together,
 * lets them go, and ends them in order. Control's main thread. */
#ifndef CONTROL_RUN_H
#define CONTROL_RUN_H

/* argv[0] is "run". Returns the exit code. */
int run_main(int argc, char **argv);

#endif
