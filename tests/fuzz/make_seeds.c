/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes the seeds of fuzz_worker and fuzz_block: make_seeds CORPUS_DIR.
 * Frames are the generator's, blocks a worker's own. */
#include "rig.h"

#include <fluxtap/gen.h>

#include <errno.h>
#include <zstd.h>

#define SEED_CAP 8000u

static uint8_t seed[SEED_CAP];
static size_t used;

static void save(const char *dir, const char *target, const char *name)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s/%s", dir, target, name);
	FILE *f = fopen(path, "wb");
	if (f == NULL || fwrite(seed, 1, used, f) != used || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

/* A frame of fuzz_worker's input; time step in units of `unit`. False: no room. */
static bool put_frame(uint8_t how, uint64_t step, const uint8_t *data, uint32_t len)
{
	if (used + 4 + len > SEED_CAP || len > UINT16_MAX)
		return false;
	seed[used++] = how;
	seed[used++] = (uint8_t)(step < 255 ? step : 255);
	seed[used++] = (uint8_t)len;
	seed[used++] = (uint8_t)(len >> 8);
	memcpy(seed + used, data, len);
	used += len;
	return true;
}

/* The frames from `from` on, as many as there is room for; every `odd`th (0: none)
 * at an odd time. */
static void worker_seed(const char *dir, const char *name, enum ft_gen_scenario scenario,
			unsigned from, unsigned odd, uint8_t first)
{
	struct ft_gen_opts o = {.seed = 7,
				.scenario = scenario,
				.pairs = 2000,
				.duration_s = 30,
				.names = 50,
				.clients = 9};
	struct ft_gen *g = ft_gen_create(&o);
	struct ft_gen_frame f;
	uint64_t last_us = 0;

	if (g == NULL)
		exit(1);
	used = 0;
	seed[used++] = first;
	for (unsigned i = 0; ft_gen_next(g, &f) == 1; i++) {
		if (i < from)
			continue;
		const uint64_t step_us = last_us != 0 ? f.ts_us - last_us : 0;
		uint8_t how = step_us > 255 ? 1 << 3 : 0;
		if (odd != 0 && i % odd == 0)
			how = (uint8_t)((i / odd % 8) << 3); /* unit and direction in turn */
		if (!put_frame(how, how >> 3 == 1 ? step_us / 10000 : step_us, f.data, f.len))
			break;
		last_us = f.ts_us;
	}
	ft_gen_destroy(g);
	save(dir, "worker", name);
}

/* A fragment of an interval that closes while it waits, in seconds of its own. */
static void old_fragment_seed(const char *dir)
{
	const uint8_t frame[14 + 20 + 64] = {[12] = 0x08, [14] = 0x45, [17] = 84, [20] = 0x20,
					     [22] = 64,   [23] = 17,   [26] = 10, [30] = 11};
	const uint8_t second = 2 << 3, back = 0x20;

	used = 0;
	seed[used++] = 0x0c;
	(void)put_frame(1 << 3, 90, frame, 14);
	(void)put_frame(second, 5, frame, 14);
	(void)put_frame(second | back, 5, frame, sizeof(frame));
	(void)put_frame(second, 8, frame, 14);
	(void)put_frame(second, 12, frame, 14);
	save(dir, "worker", "old_fragment");
}

struct frames {
	struct rx_mem_frame *frame;
	size_t n;
};

static struct frames take_frames(unsigned count)
{
	struct ft_gen_opts o = {.seed = 3, .scenario = FT_GEN_ZOO, .pairs = count};
	struct ft_gen *g = ft_gen_create(&o);
	struct frames v = {calloc(8 * (size_t)count, sizeof(*v.frame)), 0};
	struct ft_gen_frame f;

	while (g != NULL && v.n < 8 * (size_t)count && ft_gen_next(g, &f) == 1) {
		uint8_t *data = malloc(f.len);
		memcpy(data, f.data, f.len);
		v.frame[v.n++] = (struct rx_mem_frame){data, f.len, f.len, f.ts_us};
	}
	ft_gen_destroy(g);
	return v;
}

/* One block of a worker: as it is, and its content. */
static void block_seed(const char *dir, unsigned number, const uint8_t *data, uint32_t bytes)
{
	struct ft_block_hdr h;
	char name[32];

	memcpy(&h, data, sizeof(h));
	seed[0] = 0;
	used = 1 + bytes;
	(void)snprintf(name, sizeof(name), "block_%u", number);
	if (used <= SEED_CAP) {
		memcpy(seed + 1, data, bytes);
		save(dir, "block", name);
	}
	seed[0] = (uint8_t)(1 + (number & 1) * 2);
	seed[1] = seed[2] = 0;
	used = 3 + h.raw_bytes;
	(void)snprintf(name, sizeof(name), "content_%u", number);
	if (used <= SEED_CAP && !ZSTD_isError(ZSTD_decompress(seed + 3, SEED_CAP - 3,
							      data + sizeof(h), bytes - sizeof(h))))
		save(dir, "block", name);
}

static void block_seeds(const char *dir, uint32_t interval_s)
{
	static struct rig rig;
	static unsigned number;
	struct frames v = take_frames(60);
	struct rx *rx = rx_mem_create(v.frame, v.n, LINK_ETHERNET, 1, 0);
	uint32_t bytes;
	const uint8_t *data;

	rig_init(&rig, 1, interval_s, 8 << 20, false);
	const struct worker_settings set = rig_settings(&rig, 0, rx);
	struct worker *w = worker_create(&set);
	while (worker_turn(w) != RX_END)
		;
	for (unsigned i = 0; i < 4 && (data = ring_peek(set.ring, &bytes)) != NULL; i++) {
		block_seed(dir, number++, data, bytes);
		ring_pop(set.ring);
	}
	worker_destroy(w);
	rx->ops->destroy(rx);
	rig_fini(&rig);
	for (size_t i = 0; i < v.n; i++)
		free((void *)(uintptr_t)v.frame[i].data);
	free(v.frame);
}

int main(int argc, char **argv)
{
	const char *dir = argv[1];

	if (argc != 2) {
		(void)fprintf(stderr, "make_seeds CORPUS_DIR\n");
		return 2;
	}
	worker_seed(dir, "mix", FT_GEN_MIX, 0, 0, 0x0c);
	worker_seed(dir, "mix_time_zero", FT_GEN_MIX, 100, 0, 1);
	worker_seed(dir, "mix_odd_times", FT_GEN_MIX, 200, 3, 0x0c);
	worker_seed(dir, "flood_few_entries", FT_GEN_FLOOD, 0, 0, 2);
	for (unsigned i = 0; i < 6; i++) {
		char name[32];
		(void)snprintf(name, sizeof(name), "zoo_%u", i);
		worker_seed(dir, name, FT_GEN_ZOO, 50 * i, 0, (uint8_t)(4 * (i % 4)));
		(void)snprintf(name, sizeof(name), "zoo_odd_times_%u", i);
		worker_seed(dir, name, FT_GEN_ZOO, 400 + 50 * i, 2 + i, 0x0c);
	}
	old_fragment_seed(dir);
	block_seeds(dir, 60);
	block_seeds(dir, 1);
	return 0;
}
