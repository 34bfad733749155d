// Calls that tier code must not make, as compile errors that name what to use instead. The build
// puts this file in front of every source outside runtime/ and tests/ (with -include), so nobody
// includes it by hand. tools/check_style.py bans more; what is here, no macro can smuggle past.
// The headers that declare the functions come first: later includes find them already read.
#ifndef GEMINGA_RUNTIME_BANNED_H
#define GEMINGA_RUNTIME_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RT_BANNED(function, instead) function##_is_banned_use_##instead

#undef strcpy
#define strcpy(...) RT_BANNED(strcpy, memcpy_or_snprintf)
#undef strcat
#define strcat(...) RT_BANNED(strcat, memcpy_or_snprintf)
#undef strncpy
#define strncpy(...) RT_BANNED(strncpy, memcpy_or_snprintf)
#undef strncat
#define strncat(...) RT_BANNED(strncat, memcpy_or_snprintf)
#undef sprintf
#define sprintf(...) RT_BANNED(sprintf, snprintf)
#undef vsprintf
#define vsprintf(...) RT_BANNED(vsprintf, vsnprintf)
#undef strtok
#define strtok(...) RT_BANNED(strtok, strtok_r)

#undef malloc
#define malloc(...) RT_BANNED(malloc, rt_alloc)
#undef calloc
#define calloc(...) RT_BANNED(calloc, rt_alloc)
#undef realloc
#define realloc(...) RT_BANNED(realloc, rt_alloc)
#undef free
#define free(...) RT_BANNED(free, rt_free)
#undef strdup
#define strdup(...) RT_BANNED(strdup, rt_strdup)
#undef strndup
#define strndup(...) RT_BANNED(strndup, rt_strdup)

#undef time
#define time(...) RT_BANNED(time, the_clock_of_the_runtime)
#undef clock_gettime
#define clock_gettime(...) RT_BANNED(clock_gettime, the_clock_of_the_runtime)
#undef gettimeofday
#define gettimeofday(...) RT_BANNED(gettimeofday, the_clock_of_the_runtime)
#undef rand
#define rand(...) RT_BANNED(rand, rt_random)
#undef srand
#define srand(...) RT_BANNED(srand, rt_random)
#undef random
#define random(...) RT_BANNED(random, rt_random)

#endif
