/* SPDX-License-Identifier: BSD-3-Clause */
/* For targets that keep objects from one input to the next: what is allocated between
 * leaks_off and leaks_on is no leak. Nothing without a sanitizer. */
#ifndef TESTS_FUZZ_LEAKS_H
#define TESTS_FUZZ_LEAKS_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAKS_LOOKED_FOR
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define LEAKS_LOOKED_FOR
#endif

#ifdef LEAKS_LOOKED_FOR
#include <sanitizer/lsan_interface.h>
#define leaks_off() __lsan_disable()
#define leaks_on() __lsan_enable()
#else
#define leaks_off() ((void)0)
#define leaks_on() ((void)0)
#endif

#endif
