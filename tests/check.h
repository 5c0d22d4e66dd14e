/* The test macro. Include it, CHECK things, and end main with `return check_report();`.
   The last line printed is "N passed, N failed". */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>

static int check_passed, check_failed;

/* CHECK(condition, "printf format", ...): counts, and prints the message when it fails. */
#define CHECK(condition, ...)                                    \
    do {                                                         \
        if (condition) {                                         \
            check_passed++;                                      \
        } else if (check_failed++ < 20) {                        \
            printf("%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            printf(__VA_ARGS__);                                 \
            printf("\n");                                        \
        }                                                        \
    } while (0)

static int check_report(void)
{
    printf("%d passed, %d failed\n", check_passed, check_failed);
    return check_failed != 0;
}

#endif
