# One list for all our targets, clean on gcc 12 and clang 14.
set(GEMINGA_WARNINGS
    -Wall -Wextra -Wshadow -Wconversion -Werror
    -Wvla -Wmissing-prototypes -Wstrict-prototypes
    -Wold-style-definition -Wmissing-declarations -Wredundant-decls -Wnested-externs
    -Wpointer-arith -Wwrite-strings -Wundef -Wformat=2 -Wdouble-promotion
    -Wimplicit-fallthrough -Walloca -Wdate-time)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    list(APPEND GEMINGA_WARNINGS
        -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wtrampolines)
    if(GEMINGA_SANITIZE)
        # The checks that sanitizers insert confuse gcc's flow analysis into false positives.
        list(APPEND GEMINGA_WARNINGS
            -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-format-truncation)
    endif()
else()
    list(APPEND GEMINGA_WARNINGS
        -Wcomma -Wassign-enum -Wunreachable-code -Wconditional-uninitialized
        -Wthread-safety -Wno-unused-command-line-argument)
endif()
