/* The library's memory, counted: include this before cnnvis.h, and CNNVIS_MALLOC and its friends
   count the blocks that are alive, and refuse one on request. New memory is full of NaN: what was
   never written shows. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdlib.h>
#include <string.h>

static long memory_live;     /* blocks that were allocated and not freed */
static long memory_calls;    /* requests so far */
static long memory_fail_at;  /* the request that is refused; 0: none */

/* More than any test needs is refused as well: no machine should have to try. */
static void *memory_malloc(size_t bytes)
{
    void *p;
    if (++memory_calls == memory_fail_at || bytes > (size_t)1 << 36) return NULL;
    p = malloc(bytes);
    if (!p) return NULL;
    memory_live++;
    memset(p, 0xFF, bytes);
    return p;
}

static void *memory_realloc(void *old, size_t bytes)
{
    void *p;
    if (++memory_calls == memory_fail_at || bytes > (size_t)1 << 36) return NULL;
    p = realloc(old, bytes);
    if (p && !old) memory_live++;
    return p;
}

static void memory_free(void *p)
{
    if (p) memory_live--;
    free(p);
}

#define CNNVIS_MALLOC(bytes) memory_malloc(bytes)
#define CNNVIS_REALLOC(p, bytes) memory_realloc(p, bytes)
#define CNNVIS_FREE(p) memory_free(p)

#endif
