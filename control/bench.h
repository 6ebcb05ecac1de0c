/* SPDX-License-Identifier: BSD-3-Clause */
/* `fluxtap bench`: the production loop over packets in memory, in turns with the
 * floor (include/fluxtap/floor.h), on one core; control drains on another. */
#ifndef CONTROL_BENCH_H
#define CONTROL_BENCH_H

/* argv[0] is "bench". Returns the exit code. */
int bench_main(int argc, char **argv);

#endif
